/*
 * uow_insert - inserts in an order that foreign keys allow.
 */
#include "engine/planner.h"

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
        bool written = p->only == NULL && target->owner != NULL && target->owner == nxi_row_of(row)->owner;
        bool keyless = target->state == NXI_ROW_NEW && !written && !nxi_row_has_key(target->table, reference->row);
        if (target->table == column->target && target->state != NXI_ROW_GONE && !keyless)
            continue;
        nx_status status = nxi_fail(p->error, NX_EVALUE, "%s.%s refers to a row of %s that is %s", table->entity->name,
                                    column->field->name, target->table->entity->name,
                                    target->table != column->target ? "of another entity or database"
                                    : target->state == NXI_ROW_GONE ? "deleted"
                                                                    : "not saved");
        nxi_error_name(p->error->column, column->field->name);
        nxi_error_name(p->error->table, table->name);
        return status;
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

/* Rows come in runs of one kind: whether the columns of this one are known to be those of the batch that the last row joined. */
static bool is_as_latest(const nxi_planner *p, const nxi_table *table, const void *row, uint32_t level)
{
    const nxi_batch *latest = p->latest;

    if (latest == NULL || latest->table != table || latest->level != level || latest->verb != NXI_BATCH_INSERT ||
        table->has_defaults)
        return false;
    return table->auto_key == NULL || nxi_bit_is_set(latest->columns, table->auto_key->index) == nxi_row_has_key(table, row);
}

nx_status nxi_planner_insert(nxi_planner *p, void *row, uint32_t level)
{
    const nxi_table *table = nxi_row_of(row)->table;
    nx_status status;

    p->at = row;
    status = nxi_row_prepare_insert(table, row, &p->undo, p->error);
    if (status == NX_OK && table->has_references)
        status = nxi_planner_check_references(p, row, NULL);
    if (status != NX_OK)
        return status;
    if (NXI_LIKELY(is_as_latest(p, table, row, level)))
        return nxi_planner_join(p, p->latest, row);
    if (!nxi_planner_scratch(p, table))
        return nxi_planner_no_memory(p);
    insert_columns(p, table, row);
    return nxi_planner_put(p, NXI_BATCH_INSERT, level, row);
}

/*
 * Levels row by row, for tables that refer to each other in a circle: a row's level is above those of the new rows that it
 * refers to. Depth first with a stack of our own: chains may be as long as the flush.
 */
typedef struct visit {
    void *row;
    size_t column;
    uint32_t level;
} visit;
typedef struct mark {
    void *row;
    uint32_t level;
    bool open;
} mark;
typedef struct late {
    const void *row;
    const nxi_column *column;
} late;

typedef struct leveller {
    nxi_planner *p;
    nxi_map marks; /* rows that were met */
    nxi_map late;  /* references that are left out of the INSERT and set afterwards */
    visit *stack;
    size_t depth, capacity;
} leveller;

static bool is_mark(const void *item, const void *key)
{
    return ((const mark *)item)->row == key;
}

static uint64_t address_hash(const void *row)
{
    return nxi_hash_u64((uint64_t)(uintptr_t)row);
}

static mark *mark_of(leveller *l, const void *row)
{
    return nxi_map_find(&l->marks, address_hash(row), is_mark, row);
}

static bool push(leveller *l, void *row)
{
    mark *m = NXI_ARENA_NEW(l->p->arena, mark);

    if (m == NULL || !nxi_map_add(&l->marks, address_hash(row), m))
        return false;
    *m = (mark){ row, 0, true };
    if (l->depth == l->capacity) {
        size_t capacity = l->capacity == 0 ? 64 : l->capacity * 2;
        visit *stack = nxi_arena_get(l->p->arena, capacity * sizeof(visit), 16);
        if (stack == NULL)
            return false;
        if (l->depth > 0)
            memcpy(stack, l->stack, l->depth * sizeof(visit));
        l->stack = stack;
        l->capacity = capacity;
    }
    l->stack[l->depth++] = (visit){ row, 0, 0 };
    return true;
}

static uint64_t late_hash(const void *row, const nxi_column *column)
{
    return nxi_hash_u64((uint64_t)(uintptr_t)row ^ ((uint64_t)column->index << 48));
}

static bool is_same_late(const void *item, const void *key)
{
    const late *a = item, *b = key;

    return a->row == b->row && a->column == b->column;
}

static bool is_late(const leveller *l, const void *row, const nxi_column *column)
{
    return nxi_map_find(&l->late, late_hash(row, column), is_same_late, &(late){ row, column }) != NULL;
}

static bool add_late(leveller *l, const void *row, const nxi_column *column)
{
    late *item = nxi_arena_copy(l->p->arena, &(late){ row, column }, sizeof(late));

    return item != NULL && nxi_map_add(&l->late, late_hash(row, column), item);
}

/*
 * The reference at the top of the stack leads back to `target` further down. One optional reference on that way is left for
 * later; rows above it are forgotten and will be met again.
 */
static nx_status open_circle(leveller *l, const void *target, const nxi_column *closing)
{
    visit *top = &l->stack[l->depth - 1];

    if (closing->nullable)
        return add_late(l, top->row, closing) ? NX_OK : nxi_planner_no_memory(l->p);
    for (size_t i = l->depth - 1; i-- > 0;) {
        const nxi_column *column = &nxi_row_of(l->stack[i].row)->table->columns[l->stack[i].column];
        if (column->nullable) {
            for (; l->depth > i + 1; l->depth--) {
                const void *row = l->stack[l->depth - 1].row;
                nxi_map_remove(&l->marks, address_hash(row), mark_of(l, row));
            }
            return add_late(l, l->stack[i].row, column) ? NX_OK : nxi_planner_no_memory(l->p);
        }
        if (l->stack[i].row == target)
            break;
    }
    l->p->at = l->stack[l->depth - 1].row;
    nx_status status =
        nxi_fail(l->p->error, NX_EVALUE,
                 "%s.%s closes a circle of new rows in which no reference is optional: no order of INSERTs is possible",
                 closing->table->entity->name, closing->field->name);
    nxi_error_name(l->p->error->column, closing->field->name);
    nxi_error_name(l->p->error->table, closing->table->name);
    return status;
}

static nx_status level_row(leveller *l, void *start)
{
    if (mark_of(l, start) != NULL)
        return NX_OK;
    if (!push(l, start))
        return nxi_planner_no_memory(l->p);
    while (l->depth > 0) {
        visit *top = &l->stack[l->depth - 1];
        const nxi_table *table = nxi_row_of(top->row)->table;
        if (top->column == table->column_count) {
            mark *m = mark_of(l, top->row);
            m->level = top->level;
            m->open = false;
            l->depth--;
            continue;
        }
        const nxi_column *column = &table->columns[top->column++];
        void *target = nxi_planner_new_target(column, top->row, l->p->db);
        if (target == NULL || is_late(l, top->row, column))
            continue;
        mark *m = mark_of(l, target);
        if (m == NULL) {
            top->column--; /* look again when the target is done */
            if (!push(l, target))
                return nxi_planner_no_memory(l->p);
        } else if (m->open) {
            nx_status status = open_circle(l, target, column);
            if (status != NX_OK)
                return status;
        } else if (m->level + 1 > top->level) {
            top->level = m->level + 1;
        }
    }
    return NX_OK;
}

/* The columns of a row whose references are partly set later. */
static nx_status plan_levelled_insert(leveller *l, void *row)
{
    nxi_planner *p = l->p;
    const nxi_table *table = nxi_row_of(row)->table;
    nx_status status = nxi_planner_insert(p, row, mark_of(l, row)->level);

    if (status != NX_OK || l->late.count == 0)
        return status;
    bool some = false;
    if (!nxi_planner_scratch(p, table))
        return nxi_planner_no_memory(p);
    memcpy(p->bits, p->latest->columns, nxi_planner_words(table) * sizeof(uint64_t));
    for (size_t i = 0; i < table->column_count; i++)
        if (is_late(l, row, &table->columns[i])) {
            p->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
            some = true;
        }
    if (!some)
        return NX_OK;
    p->latest->chunk->count--; /* it was put into the batch of whole rows: move it */
    p->latest->row_count--;
    p->row_count--;
    status = nxi_planner_put(p, NXI_BATCH_INSERT, mark_of(l, row)->level, row);
    if (status != NX_OK)
        return status;
    memset(p->bits, 0, nxi_planner_words(table) * sizeof(uint64_t));
    for (size_t i = 0; i < table->column_count; i++)
        if (is_late(l, row, &table->columns[i]))
            nxi_bit_set(p->bits, i);
    return nxi_planner_put(p, NXI_BATCH_LATE_UPDATE, 0, row);
}

static nx_status plan_inserts_levelled(nxi_planner *p)
{
    leveller l = { .p = p };
    nx_status status = NX_OK;

    nxi_map_init(&l.marks, p->db->loop->memory);
    nxi_map_init(&l.late, p->db->loop->memory);
    for (nxi_row *row = p->session->new_first; row != NULL && status == NX_OK; row = row->next)
        if (nxi_planner_wants(p, row))
            status = level_row(&l, nxi_row_data(row));
    for (nxi_row *row = p->session->new_first; row != NULL && status == NX_OK; row = row->next)
        if (nxi_planner_wants(p, row))
            status = plan_levelled_insert(&l, nxi_row_data(row));
    nxi_map_fini(&l.late);
    nxi_map_fini(&l.marks);
    return status;
}

nx_status nxi_planner_inserts(nxi_planner *p)
{
    nx_status status = NX_OK;

    for (nxi_row *row = p->db->tables.has_cycle ? p->session->new_first : NULL; row != NULL; row = row->next)
        if (nxi_planner_wants(p, row) && row->table->in_cycle)
            return plan_inserts_levelled(p);
    for (nxi_row *row = p->session->new_first; row != NULL && status == NX_OK; row = row->next)
        if (nxi_planner_wants(p, row))
            status = nxi_planner_insert(p, nxi_row_data(row), row->table->order);
    return status;
}
