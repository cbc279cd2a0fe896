/*
 * planner_deleted - references by key to rows that the same flush deletes.
 *
 * The database would take such a row away again, by a cascade, or refuse the flush. References by object are seen where the row
 * is checked (uow_insert.c). Only references to tables of which rows are deleted are looked at.
 */
#include "engine/planner.h"

typedef struct checker {
    nxi_planner *p;
    bool *deletes; /* by index of the root table: rows of it are deleted */
    nxi_map fresh; /* new rows of such tables that have a key; filled when one is asked for */
    bool fresh_made;
    nx_value *key; /* of the reference at hand */
} checker;

typedef struct wanted_key {
    const nxi_table *table;
    const nx_value *key;
} wanted_key;

static bool has_key(const void *item, const void *key)
{
    const wanted_key *want = key;

    return nxi_row_of(item)->table->root == want->table->root && nxi_row_key_is(want->table, item, want->key);
}

static bool fill_fresh(checker *c)
{
    c->fresh_made = true;
    for (const nxi_kind *kind = c->p->list; kind != NULL; kind = kind->next) {
        if (kind->verb != NXI_BATCH_INSERT || !c->deletes[kind->table->root->index])
            continue;
        for (const nxi_kind_chunk *chunk = kind->chunk; chunk != NULL; chunk = chunk->before)
            for (size_t i = 0; i < chunk->count; i++)
                if (nxi_row_has_key(kind->table, chunk->rows[i]) &&
                    !nxi_map_add(&c->fresh, nxi_row_key_hash(kind->table, chunk->rows[i]), chunk->rows[i]))
                    return false;
    }
    return true;
}

static nx_status check_row(checker *c, const nxi_column *column, void *row)
{
    const nx_reference *reference = nxi_reference_of(column, row);
    const nxi_table *target = column->target;

    if (reference->row != NULL || reference->key.part_count == 0)
        return NX_OK;
    for (size_t part = 0; part < target->key_count; part++) {
        nxi_column_get(column + part, row, &c->key[part]);
        if (c->key[part].type == NX_TYPE_null)
            return NX_OK;
    }
    const void *found = nxi_identity_find(&c->p->session->rows.identity, target, c->key);
    if (found == NULL || nxi_row_of(found)->state != NXI_ROW_DELETING)
        return NX_OK;
    if (!c->fresh_made && !fill_fresh(c))
        return nxi_planner_no_memory(c->p);
    if (nxi_map_find(&c->fresh, nxi_key_hash(target, c->key), has_key, &(wanted_key){ target, c->key }) != NULL)
        return NX_OK;
    c->p->at = row;
    return nxi_planner_refuse_reference(c->p, column, target, "deleted by the same flush");
}

static nx_status check_column(checker *c, const nxi_kind *kind, const nxi_column *column)
{
    nx_status status = NX_OK;

    for (const nxi_kind_chunk *chunk = kind->chunk; chunk != NULL; chunk = chunk->before)
        for (size_t i = 0; i < chunk->count && status == NX_OK; i++)
            status = check_row(c, column, chunk->rows[i]);
    return status;
}

static nx_status check_kind(checker *c, const nxi_kind *kind)
{
    const nxi_table *table = kind->table;
    nx_status status = NX_OK;

    for (size_t i = 0; i < table->column_count && status == NX_OK; i++) {
        const nxi_column *column = &table->columns[i];
        if (nxi_is_reference(column) && c->deletes[column->target->root->index] && nxi_kind_writes(kind, column))
            status = check_column(c, kind, column);
    }
    return status;
}

nx_status nxi_planner_check_deleted(nxi_planner *p)
{
    const nxi_tables *tables = &p->db->tables;
    checker c = { .p = p, .deletes = NXI_ARENA_ARRAY(p->arena, bool, tables->count) };
    nx_status status = NX_OK;

    c.key = nxi_planner_key(p);
    if (c.deletes == NULL || c.key == NULL)
        return nxi_planner_no_memory(p);
    for (const nxi_kind *kind = p->list; kind != NULL; kind = kind->next)
        if (kind->verb == NXI_BATCH_DELETE)
            c.deletes[kind->table->root->index] = true;
    nxi_map_init(&c.fresh, p->db->loop->memory);
    for (const nxi_kind *kind = p->list; kind != NULL && status == NX_OK; kind = kind->next)
        if (kind->verb != NXI_BATCH_DELETE && kind->table->has_references)
            status = check_kind(&c, kind);
    nxi_map_fini(&c.fresh);
    return status;
}
