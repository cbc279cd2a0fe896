/*
 * uow_insert - inserts in an order that foreign keys allow.
 */
#include "engine/planner.h"

nx_status nxi_planner_refuse_reference(const nxi_planner *p, const nxi_column *column, const nxi_table *target, const char *why)
{
    nx_status status = nxi_fail(p->error, NX_EVALUE, "%s.%s refers to a row of %s that is %s", column->table->entity->name,
                                column->field->name, target->entity->name, why);

    nxi_error_name(p->error->column, column->field->name);
    nxi_error_name(p->error->table, column->table->name);
    return status;
}

/* A reference to a row that no flush of this session will insert would be written as NULL, silently. */
nx_status nxi_planner_check_references(const nxi_planner *p, const void *row, const uint64_t *bits)
{
    const nxi_table *table = nxi_row_of(row)->table;

    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        if (column->form != NXI_FORM_REFERENCE || (bits != NULL && !nxi_bit_is_set(bits, i)))
            continue;
        const nx_reference *reference = (const void *)((const char *)row + column->offset);
        if (reference->row == NULL)
            continue;
        const nxi_row *target = nxi_row_of(reference->row);
        bool written = reference->row == row ||
                       (!p->partial && target->owner != NULL && target->owner == nxi_row_of(row)->owner);
        bool deleted = target->state == NXI_ROW_DELETING && written;
        bool keyless = target->state == NXI_ROW_NEW && !written && !nxi_row_has_key(target->table, reference->row);
        if (target->table == column->target && target->state != NXI_ROW_GONE && !deleted && !keyless)
            continue;
        return nxi_planner_refuse_reference(p, column, target->table,
                                            target->table != column->target ? "of another entity or database"
                                            : target->state == NXI_ROW_GONE ? "deleted"
                                            : deleted                       ? "deleted by the same flush"
                                                                            : "not saved");
    }
    return NX_OK;
}

/* ------------------------------------------------------------------------------ inserts */

/* Columns of an INSERT: all but an automatic key that is not set, and empty columns that the database has a default for. */
static void insert_columns(nxi_planner *p, const nxi_table *table, const void *row)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        if (column == table->auto_key && !nxi_row_has_key(table, row))
            continue;
        if (column->field->sql_default != NULL && nxi_column_is_null(column, row))
            continue;
        nxi_bit_set(p->bits, i);
    }
}

/* Rows come in runs of one kind: whether this one is known to be of the kind that the last row joined. */
static bool is_as_latest(const nxi_planner *p, const nxi_table *table, const void *row)
{
    const nxi_kind *latest = p->latest;

    if (latest == NULL || latest->table != table || latest->verb != NXI_BATCH_INSERT || table->has_defaults)
        return false;
    return table->auto_key == NULL || nxi_bit_is_set(latest->columns, table->auto_key->index) == nxi_row_has_key(table, row);
}

nx_status nxi_planner_insert(nxi_planner *p, void *row)
{
    const nxi_table *table = nxi_row_of(row)->table;
    nx_status status;

    p->at = row;
    status = nxi_row_prepare_insert(table, row, &p->undo, p->error);
    /* Rows of circular tables are checked where their references are followed (planner_order.c): each target is visited once. */
    if (status == NX_OK && table->has_references && (!table->in_cycle || p->session == NULL))
        status = nxi_planner_check_references(p, row, NULL);
    if (status != NX_OK)
        return status;
    p->row_count++;
    if (NXI_LIKELY(is_as_latest(p, table, row)))
        return nxi_planner_join(p, p->latest, row);
    if (!nxi_planner_scratch(p, table))
        return nxi_planner_no_memory(p);
    insert_columns(p, table, row);
    return nxi_planner_put(p, NXI_BATCH_INSERT, row);
}
