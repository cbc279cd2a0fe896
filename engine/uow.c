/*
 * uow - from changed structs to batches.
 */
#include "engine/planner.h"

#include <stdlib.h>

/* Scratch space for the columns of a table, cleared. */
bool nxi_planner_scratch(nxi_planner *p, const nxi_table *table)
{
    size_t words = nxi_planner_words(table);

    if (words > p->bits_capacity) {
        p->bits = NXI_ARENA_ARRAY(p->arena, uint64_t, words);
        p->bits_capacity = p->bits == NULL ? 0 : words;
    }
    if (table->column_count > p->columns_capacity) {
        p->columns = NXI_ARENA_ARRAY(p->arena, const nxi_column *, table->column_count);
        p->columns_capacity = p->columns == NULL ? 0 : table->column_count;
    }
    if (p->bits == NULL || p->columns == NULL)
        return false;
    memset(p->bits, 0, words * sizeof(uint64_t));
    return true;
}

static size_t list_columns(nxi_planner *p, const nxi_table *table, const uint64_t *bits)
{
    size_t count = 0;

    for (size_t i = 0; i < table->column_count; i++)
        if (nxi_bit_is_set(bits, i))
            p->columns[count++] = &table->columns[i];
    return count;
}

/* ------------------------------------------------------------------------------ batches */

static bool is_batch(const nxi_batch *batch, const nxi_batch *want)
{
    return batch->verb == want->verb && batch->level == want->level && batch->table == want->table &&
           memcmp(batch->columns, want->columns, nxi_planner_words(want->table) * sizeof(uint64_t)) == 0;
}

static bool is_batch_item(const void *item, const void *key)
{
    return is_batch(item, key);
}

enum { BATCHES_LISTED_MAX = 16 };

/* Most flushes have a handful of batches: only more than that are worth a map. */
static nxi_batch *find_batch(const nxi_planner *p, const nxi_batch *want)
{
    if (p->batch_count > BATCHES_LISTED_MAX)
        return nxi_map_find(&p->batches, want->hash, is_batch_item, want);
    for (nxi_batch *batch = p->list; batch != NULL; batch = batch->next)
        if (batch->hash == want->hash && is_batch(batch, want))
            return batch;
    return NULL;
}

static bool enter_batch(nxi_planner *p, nxi_batch *batch)
{
    batch->serial = (uint32_t)p->batch_count++;
    batch->next = p->list;
    p->list = batch;
    if (p->batch_count <= BATCHES_LISTED_MAX)
        return true;
    if (p->batch_count > BATCHES_LISTED_MAX + 1)
        return nxi_map_add(&p->batches, batch->hash, batch);
    for (nxi_batch *listed = p->list; listed != NULL; listed = listed->next)
        if (!nxi_map_add(&p->batches, listed->hash, listed))
            return false;
    return true;
}

static nxi_batch *batch_for(nxi_planner *p, nxi_batch_verb verb, uint32_t level, const nxi_table *table)
{
    nxi_batch want = { .verb = verb, .level = level, .table = table, .columns = p->bits };

    /* Rows come in runs of one kind: the latest batch is nearly always the one. */
    if (p->latest != NULL && is_batch(p->latest, &want))
        return p->latest;
    size_t bytes = nxi_planner_words(table) * sizeof(uint64_t);
    want.hash = nxi_hash_bytes(p->bits, bytes, ((uint64_t)(uintptr_t)table ^ ((uint64_t)level << 8)) + verb);
    nxi_batch *batch = find_batch(p, &want);
    if (batch == NULL) {
        batch = nxi_arena_copy(p->arena, &want, sizeof(want));
        if (batch == NULL || (batch->columns = nxi_arena_copy(p->arena, p->bits, bytes)) == NULL || !enter_batch(p, batch))
            return NULL;
    }
    p->latest = batch;
    return batch;
}

enum { CHUNK_ROWS_MIN = 16, CHUNK_ROWS_MAX = 65536 };

/* Twice as large as the one before, so that a flush of any size takes few of them and nothing is moved while it grows. */
static bool add_chunk(nxi_planner *p, nxi_batch *batch)
{
    size_t capacity = batch->chunk == NULL ? CHUNK_ROWS_MIN : nxi_min_size(batch->chunk->capacity * 2, CHUNK_ROWS_MAX);
    nxi_batch_chunk *chunk = nxi_arena_get(p->arena, sizeof(nxi_batch_chunk) + capacity * sizeof(void *), 16);

    if (chunk == NULL)
        return false;
    chunk->before = batch->chunk;
    chunk->count = 0;
    chunk->capacity = capacity;
    batch->chunk = chunk;
    return true;
}

nx_status nxi_planner_join(nxi_planner *p, nxi_batch *batch, void *row)
{
    if (NXI_UNLIKELY(batch->chunk == NULL || batch->chunk->count == batch->chunk->capacity) && !add_chunk(p, batch))
        return nxi_planner_no_memory(p);
    batch->chunk->rows[batch->chunk->count++] = row;
    batch->row_count++;
    p->row_count++;
    return NX_OK;
}

nx_status nxi_planner_put(nxi_planner *p, nxi_batch_verb verb, uint32_t level, void *row)
{
    nxi_batch *batch = batch_for(p, verb, level, nxi_row_of(row)->table);

    return batch == NULL ? nxi_planner_no_memory(p) : nxi_planner_join(p, batch, row);
}

/* The rows one behind the other, as a statement takes them. False: out of memory. */
static bool collect_rows(nxi_planner *p, nxi_batch *batch)
{
    size_t at = batch->row_count;

    if (batch->chunk->before == NULL) {
        batch->rows = batch->chunk->rows;
        return true;
    }
    batch->rows = nxi_arena_get(p->arena, batch->row_count * sizeof(void *), 16);
    if (batch->rows == NULL)
        return false;
    for (const nxi_batch_chunk *chunk = batch->chunk; chunk != NULL; chunk = chunk->before) {
        at -= chunk->count;
        memcpy(batch->rows + at, chunk->rows, chunk->count * sizeof(void *));
    }
    return true;
}

/* ------------------------------------------------------------------------------ updates */

/* Set the bits of changed columns; *ret_key: a key column is among them. */
static bool changed_columns(nxi_planner *p, const nxi_table *table, void *row, const nxi_column **ret_key)
{
    const void *snapshot = nxi_row_snapshot(row);
    bool some = false;

    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        /* A row that is still to be inserted has no key to compare; it will have one when the UPDATE is written. */
        bool is_changed = nxi_column_changed(column, row, snapshot) || nxi_planner_new_target(column, row, p->db) != NULL;
        if (column->is_volatile || column->is_version || !is_changed)
            continue;
        if (column->is_key)
            *ret_key = column;
        nxi_bit_set(p->bits, i);
        some = true;
    }
    return some;
}

static nx_status plan_update_bits(nxi_planner *p, void *row)
{
    const nxi_table *table = nxi_row_of(row)->table;
    size_t count = list_columns(p, table, p->bits);
    nx_status status = nxi_row_prepare_update(row, p->columns, count, &p->undo, p->error);

    if (status == NX_OK)
        status = nxi_planner_check_references(p, row, p->bits);
    return status == NX_OK ? nxi_planner_put(p, NXI_BATCH_UPDATE, table->order, row) : status;
}

static nx_status plan_update(nxi_planner *p, void *row)
{
    const nxi_table *table = nxi_row_of(row)->table;
    const nxi_column *key = NULL;

    p->at = row;
    if (!nxi_planner_scratch(p, table))
        return nxi_planner_no_memory(p);
    if (!changed_columns(p, table, row, &key))
        return NX_OK;
    if (key != NULL) {
        nx_status status = nxi_fail(p->error, NX_EVALUE, "%s.%s: the primary key of a stored row cannot be changed",
                                    table->entity->name, key->field->name);
        nxi_error_name(p->error->column, key->field->name);
        return status;
    }
    return plan_update_bits(p, row);
}

static nx_status plan_updates(nxi_planner *p)
{
    nx_status status = NX_OK;

    for (nxi_row *row = p->session->root->identity.first; row != NULL && status == NX_OK; row = row->next)
        if (nxi_row_is_written(row) && nxi_planner_wants(p, row) && !nxi_row_is_same(row))
            status = plan_update(p, nxi_row_data(row));
    return status;
}

/* ------------------------------------------------------------------------------ deletes */

/* How many rows that are being deleted stand above this one in its own circle of tables. */
static uint32_t delete_depth(const nxi_planner *p, void *row, uint32_t depth)
{
    const nxi_table *table = nxi_row_of(row)->table;
    uint32_t deepest = depth;

    if (depth > 4096)
        return depth;
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        nx_value key;
        if (column->form != NXI_FORM_REFERENCE || !column->target->in_cycle || column->target->key_count != 1)
            continue;
        nxi_column_get(column, nxi_row_snapshot(row), &key);
        void *target = key.type == NX_TYPE_null ? NULL : nxi_identity_find(&p->session->root->identity, column->target, &key);
        if (target == NULL || target == row || nxi_row_of(target)->state != NXI_ROW_DELETING)
            continue;
        uint32_t found = delete_depth(p, target, depth + 1);
        deepest = found > deepest ? found : deepest;
    }
    return deepest;
}

/* Referring rows first: the highest level leads. */
static nx_status plan_delete(nxi_planner *p, void *row)
{
    const nxi_table *table = nxi_row_of(row)->table;
    uint32_t level = table->order;

    if (!nxi_planner_scratch(p, table))
        return nxi_planner_no_memory(p);
    if (table->in_cycle && p->session != NULL) {
        if (!nxi_identity_settle(&p->session->root->identity))
            return nxi_planner_no_memory(p);
        level += delete_depth(p, row, 0);
    }
    return nxi_planner_put(p, NXI_BATCH_DELETE, level, row);
}

static nx_status plan_deletes(nxi_planner *p)
{
    nx_status status = NX_OK;

    for (nxi_row *row = p->session->root->identity.first; row != NULL && status == NX_OK; row = row->next)
        if (row->state == NXI_ROW_DELETING && nxi_planner_wants(p, row))
            status = plan_delete(p, nxi_row_data(row));
    return status;
}

/* ------------------------------------------------------------------------------ statements */

/* Columns that an optimistic check compares with the snapshot. */
static size_t compared_columns(nxi_planner *p, const nxi_table *table)
{
    size_t count = 0;

    if (p->optimistic != NX_OPTIMISTIC_ALL)
        return 0;
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        if (!column->is_key && !column->is_volatile && !column->is_version && !column->lazy)
            p->columns[count++] = column;
    }
    return count;
}

static nx_status find_statement(nxi_planner *p, nxi_batch *batch)
{
    const nxi_table *table = batch->table;
    const nxi_dialect *dialect = p->db->driver->dialect;
    nxi_statements *statements = &p->db->statements;
    bool version = table->version != NULL && p->optimistic != NX_OPTIMISTIC_NONE;
    nx_status status;

    if (!nxi_planner_scratch(p, table))
        return nxi_planner_no_memory(p);
    const nxi_column **changed = NXI_ARENA_ARRAY(p->arena, const nxi_column *, table->column_count);
    if (changed == NULL)
        return nxi_planner_no_memory(p);
    size_t count = list_columns(p, table, batch->columns);
    memcpy(changed, p->columns, count * sizeof(*changed));
    if (batch->verb == NXI_BATCH_INSERT) {
        status = nxi_statement_insert(table, changed, count, NULL, dialect, statements, &batch->statement);
    } else if (batch->verb == NXI_BATCH_DELETE) {
        size_t compared = compared_columns(p, table);
        status = nxi_statement_delete(table, p->columns, compared, version, dialect, statements, &batch->statement);
    } else if (batch->verb == NXI_BATCH_LATE_UPDATE) {
        status = nxi_statement_update(table, changed, count, NULL, 0, false, dialect, statements, &batch->statement);
    } else {
        size_t compared = compared_columns(p, table);
        status =
            nxi_statement_update(table, changed, count, p->columns, compared, version, dialect, statements, &batch->statement);
    }
    return status == NX_OK ? NX_OK : nxi_fail(p->error, status, "cannot make the statement for %s", table->entity->name);
}

static int compare_batches(const void *left, const void *right)
{
    const nxi_batch *a = *(nxi_batch *const *)left, *b = *(nxi_batch *const *)right;

    if (a->verb != b->verb)
        return a->verb < b->verb ? -1 : 1;
    if (a->level != b->level)
        return (a->level < b->level) == (a->verb != NXI_BATCH_DELETE) ? -1 : 1;
    return a->serial < b->serial ? -1 : a->serial > b->serial;
}

static nx_status finish_plan(nxi_planner *p, nxi_plan *ret_plan)
{
    size_t count = 0;
    nxi_batch **batches = NXI_ARENA_ARRAY(p->arena, nxi_batch *, p->batch_count);

    if (batches == NULL)
        return nxi_planner_no_memory(p);
    for (nxi_batch *batch = p->list; batch != NULL; batch = batch->next) {
        if (batch->row_count == 0)
            continue;
        nx_status status = find_statement(p, batch);
        if (status != NX_OK)
            return status;
        if (!collect_rows(p, batch))
            return nxi_planner_no_memory(p);
        batches[count++] = batch;
    }
    qsort(batches, count, sizeof(*batches), compare_batches);
    *ret_plan = (nxi_plan){ .db = p->db, .batches = batches, .batch_count = count, .row_count = p->row_count, .undo = p->undo };
    return NX_OK;
}

/* Want of memory is nobody's fault, and neither is what fails after the rows. */
static void name_object(const nxi_planner *p, nx_status status)
{
    if (status == NX_OK)
        return;
    p->error->row = -1;
    p->error->object = status == NX_ENOMEM ? NULL : p->at;
}

nx_status nxi_plan_build(nx_session *s, nx_db *db, void *only, nxi_arena *arena, nxi_plan *ret_plan, nx_error *error)
{
    nxi_planner p = {
        .session = s->root, .db = db, .arena = arena, .error = error, .only = only, .optimistic = s->options.optimistic,
        .undo = { .arena = arena }
    };
    nx_status status;

    nxi_map_init(&p.batches, db->loop->memory);
    status = nxi_planner_inserts(&p);
    if (status == NX_OK)
        status = plan_updates(&p);
    if (status == NX_OK)
        status = plan_deletes(&p);
    nx_status ready = status;
    if (status == NX_OK)
        status = finish_plan(&p, ret_plan);
    nxi_map_fini(&p.batches);
    if (status != NX_OK)
        nxi_prepare_undo(&p.undo);
    name_object(&p, ready);
    return status;
}

/* ------------------------------------------------------------------------------ one row */

static nx_status plan_save(nxi_planner *p, void *row)
{
    nxi_row *header = nxi_row_of(row);
    const nxi_table *table = header->table;

    if ((header->flags & NXI_ROW_TRACKED) != 0)
        return plan_update(p, row);
    /* Nothing is known of what it was: all columns that were loaded. */
    if (!nxi_planner_scratch(p, table))
        return nxi_planner_no_memory(p);
    for (size_t i = table->key_count; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        bool missing = column->lazy && (header->lazy_missing >> column->lazy_bit & 1) != 0;
        if (!column->is_volatile && !column->is_version && !missing)
            nxi_bit_set(p->bits, i);
    }
    return plan_update_bits(p, row);
}

nx_status nxi_plan_row(nx_db *db, void *row, nxi_write write, nxi_arena *arena, nxi_plan *ret_plan, nx_error *error)
{
    nxi_planner p = { .db = db, .arena = arena, .error = error, .undo = { .arena = arena } };
    nxi_row *header = nxi_row_of(row);
    bool is_new = header->state == NXI_ROW_NEW || header->state == NXI_ROW_GONE;
    nx_status status;

    nxi_map_init(&p.batches, db->loop->memory);
    if (write == NXI_WRITE_DELETE)
        status = is_new
                     ? nxi_fail(error, NX_ESTATE, "a row of %s that is not stored cannot be deleted", header->table->entity->name)
                     : plan_delete(&p, row);
    else if (write == NXI_WRITE_INSERT || is_new)
        status = nxi_planner_insert(&p, row, 0);
    else
        status = plan_save(&p, row);
    if (status == NX_OK)
        status = finish_plan(&p, ret_plan);
    nxi_map_fini(&p.batches);
    if (status != NX_OK)
        nxi_prepare_undo(&p.undo);
    return status;
}
