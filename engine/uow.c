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

nx_value *nxi_planner_key(const nxi_planner *p)
{
    size_t parts = 1;

    for (size_t t = 0; t < p->db->tables.count; t++)
        parts = nxi_max_size(parts, p->db->tables.list[t].key_count);
    return NXI_ARENA_ARRAY(p->arena, nx_value, parts);
}

static size_t list_columns(nxi_planner *p, const nxi_table *table, const uint64_t *bits)
{
    size_t count = 0;

    for (size_t i = 0; i < table->column_count; i++)
        if (nxi_bit_is_set(bits, i))
            p->columns[count++] = &table->columns[i];
    return count;
}

/* ------------------------------------------------------------------------------ kinds */

static bool is_kind(const nxi_kind *kind, const nxi_kind *want)
{
    return kind->verb == want->verb && kind->table == want->table && kind->parked == want->parked && kind->late == want->late &&
           kind->made_unknown == want->made_unknown &&
           memcmp(kind->columns, want->columns, nxi_planner_words(want->table) * sizeof(uint64_t)) == 0;
}

static bool is_kind_item(const void *item, const void *key)
{
    return is_kind(item, key);
}

enum { KINDS_LISTED_MAX = 16 };

/* Most flushes have a handful of kinds: only more than that are worth a map. */
static nxi_kind *find_kind(const nxi_planner *p, const nxi_kind *want)
{
    if (p->kind_count > KINDS_LISTED_MAX)
        return nxi_map_find(&p->kinds, want->hash, is_kind_item, want);
    for (nxi_kind *kind = p->list; kind != NULL; kind = kind->next)
        if (kind->hash == want->hash && is_kind(kind, want))
            return kind;
    return NULL;
}

static bool enter_kind(nxi_planner *p, nxi_kind *kind)
{
    kind->serial = p->kind_count++;
    kind->next = p->list;
    p->list = kind;
    if (p->kind_count <= KINDS_LISTED_MAX)
        return true;
    if (p->kind_count > KINDS_LISTED_MAX + 1)
        return nxi_map_add(&p->kinds, kind->hash, kind);
    for (nxi_kind *listed = p->list; listed != NULL; listed = listed->next)
        if (!nxi_map_add(&p->kinds, listed->hash, listed))
            return false;
    return true;
}

nxi_kind *nxi_planner_kind(nxi_planner *p, const nxi_kind *like)
{
    nxi_kind want = { .verb = like->verb, .table = like->table, .parked = like->parked, .late = like->late,
                      .made_unknown = like->made_unknown, .columns = p->bits };

    /* Rows come in runs of one kind: the latest is nearly always the one. */
    if (p->latest != NULL && is_kind(p->latest, &want))
        return p->latest;
    size_t bytes = nxi_planner_words(want.table) * sizeof(uint64_t);
    unsigned marks = (unsigned)want.verb * 8 + want.made_unknown * 4U + want.parked * 2U + want.late;
    want.hash = nxi_hash_bytes(p->bits, bytes, (uint64_t)(uintptr_t)want.table + marks);
    nxi_kind *kind = find_kind(p, &want);
    if (kind == NULL) {
        kind = nxi_arena_copy(p->arena, &want, sizeof(want));
        if (kind == NULL || (kind->columns = nxi_arena_copy(p->arena, p->bits, bytes)) == NULL || !enter_kind(p, kind))
            return NULL;
    }
    p->latest = kind;
    return kind;
}

enum { CHUNK_ROWS_MIN = 16, CHUNK_ROWS_MAX = 65536 };

/* Twice as large as the one before, so that a flush of any size takes few of them and nothing is moved while it grows. */
static bool add_chunk(nxi_planner *p, nxi_kind *kind)
{
    size_t capacity = kind->chunk == NULL ? CHUNK_ROWS_MIN : nxi_min_size(kind->chunk->capacity * 2, CHUNK_ROWS_MAX);
    nxi_kind_chunk *chunk = nxi_arena_get(p->arena, sizeof(nxi_kind_chunk) + capacity * sizeof(void *), 16);

    if (chunk == NULL)
        return false;
    chunk->before = kind->chunk;
    chunk->count = 0;
    chunk->capacity = capacity;
    kind->chunk = chunk;
    return true;
}

nx_status nxi_planner_join(nxi_planner *p, nxi_kind *kind, void *row)
{
    if (NXI_UNLIKELY(kind->chunk == NULL || kind->chunk->count == kind->chunk->capacity) && !add_chunk(p, kind))
        return nxi_planner_no_memory(p);
    kind->chunk->rows[kind->chunk->count++] = row;
    kind->row_count++;
    return NX_OK;
}

nx_status nxi_planner_put(nxi_planner *p, nxi_batch_verb verb, void *row)
{
    const nxi_row *header = nxi_row_of(row);
    bool unknown = p->optimistic == NX_OPTIMISTIC_ALL && verb != NXI_BATCH_INSERT && (header->flags & NXI_ROW_MADE_UNKNOWN) != 0;
    nxi_kind *kind = nxi_planner_kind(p, &(nxi_kind){ .verb = verb, .table = header->table, .made_unknown = unknown });

    return kind == NULL ? nxi_planner_no_memory(p) : nxi_planner_join(p, kind, row);
}

void nxi_planner_list(nxi_kind *kind, nxi_plan_op *ret_ops)
{
    size_t at = kind->row_count;

    for (const nxi_kind_chunk *chunk = kind->chunk; chunk != NULL; chunk = chunk->before) {
        at -= chunk->count;
        for (size_t i = 0; i < chunk->count; i++)
            ret_ops[at + i] = (nxi_plan_op){ chunk->rows[i], kind };
    }
}

/* The rows one behind the other, as a statement takes them. NULL: out of memory. */
static void **collect_rows(nxi_planner *p, const nxi_kind *kind)
{
    size_t at = kind->row_count;

    if (kind->chunk->before == NULL)
        return kind->chunk->rows;
    void **rows = nxi_arena_get(p->arena, at * sizeof(void *), 16);
    for (const nxi_kind_chunk *chunk = kind->chunk; rows != NULL && chunk != NULL; chunk = chunk->before) {
        at -= chunk->count;
        memcpy(rows + at, chunk->rows, chunk->count * sizeof(void *));
    }
    return rows;
}

/* ------------------------------------------------------------------------------ updates */

/* A row of another entity or database does not become the right one because its key is the same. */
static bool is_elsewhere(const nxi_column *column, const void *row)
{
    if (column->form != NXI_FORM_REFERENCE)
        return false;
    const void *target = nxi_reference_of(column, row)->row;
    return target != NULL && nxi_row_of(target)->table != column->target;
}

/* Set the bits of changed columns; *ret_key: a key column is among them. */
static bool changed_columns(nxi_planner *p, const nxi_table *table, void *row, const nxi_column **ret_key)
{
    const void *snapshot = nxi_row_snapshot(row);
    bool some = false;

    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        /* A row that is still to be inserted has no key to compare; it will have one when the UPDATE is written. */
        bool is_changed = nxi_column_changed(column, row, snapshot) || nxi_planner_new_target(column, row, p->db) != NULL ||
                          is_elsewhere(column, row);
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
    p->row_count++;
    return status == NX_OK ? nxi_planner_put(p, NXI_BATCH_UPDATE, row) : status;
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

    for (size_t i = 0; i < p->rows->known_count && status == NX_OK; i++) {
        nxi_row *row = p->rows->known[i];
        if (nxi_planner_wants(p, row) && nxi_row_is_written(row) && !nxi_row_is_same(row))
            status = plan_update(p, nxi_row_data(row));
    }
    return status;
}

/* ------------------------------------------------------------------------------ deletes */

static nx_status plan_delete(nxi_planner *p, void *row)
{
    if (!nxi_planner_scratch(p, nxi_row_of(row)->table))
        return nxi_planner_no_memory(p);
    p->row_count++;
    return nxi_planner_put(p, NXI_BATCH_DELETE, row);
}

static nx_status plan_deletes(nxi_planner *p)
{
    nx_status status = NX_OK;

    for (size_t i = 0; i < p->rows->deleting_count && status == NX_OK; i++) {
        nxi_row *row = p->rows->deleting[i];
        if (nxi_planner_wants(p, row) && row->state == NXI_ROW_DELETING)
            status = plan_delete(p, nxi_row_data(row));
    }
    return status;
}

/* ------------------------------------------------------------------------------ statements */

static bool is_made(const nxi_table *table, size_t column)
{
    return (table->made != NULL && nxi_bit_is_set(table->made, column)) ||
           (table->update_made != NULL && nxi_bit_is_set(table->update_made, column));
}

/* Columns that an optimistic check compares with the snapshot: not those of which only the database knows the value. */
static size_t compared_columns(nxi_planner *p, const nxi_kind *kind)
{
    const nxi_table *table = kind->table;
    size_t count = 0;

    if (p->optimistic != NX_OPTIMISTIC_ALL)
        return 0;
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        if (!column->is_key && !column->is_volatile && !column->is_version && !column->lazy &&
            !(kind->made_unknown && is_made(table, i)))
            p->columns[count++] = column;
    }
    return count;
}

static nx_status make_update(nxi_planner *p, nxi_kind *kind, const nxi_column *const *changed, size_t count)
{
    const nxi_table *table = kind->table;
    unsigned version = kind->verb == NXI_BATCH_UPDATE ? 0 : NXI_VERSION_KEPT;
    size_t compared = 0;

    /* A late one follows a statement of the same flush that has found the row. */
    if (kind->verb != NXI_BATCH_LATE_UPDATE && p->optimistic != NX_OPTIMISTIC_NONE) {
        version |= NXI_VERSION_COMPARED;
        compared = kind->parked ? 0 : compared_columns(p, kind);
    }
    return nxi_statement_update(table, changed, count, p->columns, compared, version, p->db->driver->dialect, &p->db->statements,
                                &kind->statement);
}

nx_status nxi_planner_statement(nxi_planner *p, nxi_kind *kind)
{
    const nxi_table *table = kind->table;
    const nxi_dialect *dialect = p->db->driver->dialect;
    nxi_statements *statements = &p->db->statements;
    nx_status status;

    if (kind->statement != NULL)
        return NX_OK;
    if (!nxi_planner_scratch(p, table))
        return nxi_planner_no_memory(p);
    const nxi_column **changed = NXI_ARENA_ARRAY(p->arena, const nxi_column *, table->column_count);
    if (changed == NULL)
        return nxi_planner_no_memory(p);
    size_t count = list_columns(p, table, kind->columns);
    memcpy(changed, p->columns, count * sizeof(*changed));
    if (kind->verb == NXI_BATCH_INSERT) {
        status = nxi_statement_insert(table, changed, count, NULL, dialect, statements, &kind->statement);
    } else if (kind->verb == NXI_BATCH_DELETE) {
        bool version = table->version != NULL && p->optimistic != NX_OPTIMISTIC_NONE;
        size_t compared = kind->parked ? 0 : compared_columns(p, kind);
        status = nxi_statement_delete(table, p->columns, compared, version, dialect, statements, &kind->statement);
    } else {
        status = make_update(p, kind, changed, count);
    }
    return status == NX_OK ? NX_OK : nxi_fail(p->error, status, "cannot make the statement for %s", table->entity->name);
}

/* ------------------------------------------------------------------------------ batches */

/* The rows of a circle of tables have one rank, so that their levels decide. */
uint32_t nxi_planner_rank(const nxi_planner *p, const nxi_kind *kind)
{
    uint32_t rank = kind->table->in_cycle ? kind->table->component : kind->table->order;

    return kind->verb == NXI_BATCH_DELETE ? (uint32_t)p->db->tables.count - rank : rank;
}

nxi_batch nxi_planner_batch(const nxi_kind *kind, uint64_t order)
{
    return (nxi_batch){ .order = order,
                        .serial = kind->serial,
                        .verb = kind->verb,
                        .counts_version = kind->verb == NXI_BATCH_UPDATE,
                        .table = kind->table,
                        .statement = kind->statement,
                        .columns = kind->columns };
}

static int compare_batches(const void *left, const void *right)
{
    const nxi_batch *a = *(nxi_batch *const *)left, *b = *(nxi_batch *const *)right;

    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return a->serial < b->serial ? -1 : a->serial > b->serial;
}

/* The batches of the kinds that are not ordered row by row. */
static nx_status batches_of_kinds(nxi_planner *p, nxi_batch **ret_list, size_t *ret_count)
{
    size_t count = 0;

    for (nxi_kind *kind = p->list; kind != NULL; kind = kind->next) {
        if (kind->row_count == 0)
            continue;
        nx_status status = nxi_planner_statement(p, kind);
        if (status != NX_OK)
            return status;
        uint32_t rank = kind->verb == NXI_BATCH_UPDATE ? kind->table->order : nxi_planner_rank(p, kind);
        nxi_batch made = nxi_planner_batch(kind, nxi_planner_place(kind->late ? NXI_BATCH_LATE_UPDATE : kind->verb, rank, 0));
        made.rows = collect_rows(p, kind);
        made.row_count = kind->row_count;
        nxi_batch *batch = nxi_arena_copy(p->arena, &made, sizeof(made));
        if (made.rows == NULL || batch == NULL)
            return nxi_planner_no_memory(p);
        ret_list[count++] = batch;
    }
    qsort(ret_list, count, sizeof(*ret_list), compare_batches);
    *ret_count = count;
    return NX_OK;
}

/* Those of kinds, sorted at the end of `list`, and those of ordered rows, which are in order, become one. */
static void merge_batches(const nxi_planner *p, nxi_batch **list, size_t kinds, size_t total)
{
    size_t next = total - kinds, at = 0;

    for (size_t run = 0; run < NXI_COUNT(p->ordered_runs); run++) {
        for (size_t i = 0; i < p->ordered_count[run]; i++) {
            nxi_batch *ordered = &p->ordered_runs[run][i];
            while (next < total && compare_batches(&list[next], &ordered) < 0)
                list[at++] = list[next++];
            list[at++] = ordered;
        }
    }
}

static nx_status finish_plan(nxi_planner *p, nxi_plan *ret_plan)
{
    size_t ordered = p->ordered_count[0] + p->ordered_count[1], kinds = 0;
    nxi_batch **batches = nxi_arena_get(p->arena, (ordered + p->kind_count + 1) * sizeof(*batches), 16);

    if (batches == NULL)
        return nxi_planner_no_memory(p);
    nx_status status = batches_of_kinds(p, batches + ordered, &kinds);
    if (status != NX_OK)
        return status;
    merge_batches(p, batches, kinds, ordered + kinds);
    *ret_plan =
        (nxi_plan){ .db = p->db, .batches = batches, .batch_count = ordered + kinds, .row_count = p->row_count, .undo = p->undo };
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

static nx_status plan_rows(nxi_planner *p)
{
    nx_status status = NX_OK;

    for (size_t i = 0; i < p->rows->fresh_count && status == NX_OK; i++) {
        nxi_row *row = p->rows->fresh[i];
        if (nxi_planner_wants(p, row) && row->state == NXI_ROW_NEW)
            status = nxi_planner_insert(p, nxi_row_data(row));
    }
    if (status == NX_OK)
        status = plan_updates(p);
    return status == NX_OK ? plan_deletes(p) : status;
}

nx_status nxi_plan_build(nx_session *s, nx_db *db, const nxi_plan_rows *rows, bool partial, nxi_arena *arena, nxi_plan *ret_plan,
                         nx_error *error)
{
    nxi_planner p = { .session = s->root,
                      .db = db,
                      .arena = arena,
                      .error = error,
                      .rows = rows,
                      .partial = partial,
                      .optimistic = s->options.optimistic,
                      .undo = { .arena = arena } };
    nx_status status;

    nxi_map_init(&p.kinds, db->loop->memory);
    status = plan_rows(&p);
    if (status == NX_OK)
        status = nxi_planner_order(&p);
    nx_status ready = status;
    if (status == NX_OK)
        status = finish_plan(&p, ret_plan);
    nxi_map_fini(&p.kinds);
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

    nxi_map_init(&p.kinds, db->loop->memory);
    if (write == NXI_WRITE_DELETE)
        status = is_new
                     ? nxi_fail(error, NX_ESTATE, "a row of %s that is not stored cannot be deleted", header->table->entity->name)
                     : plan_delete(&p, row);
    else if (write == NXI_WRITE_INSERT || is_new)
        status = nxi_planner_insert(&p, row);
    else
        status = plan_save(&p, row);
    if (status == NX_OK)
        status = finish_plan(&p, ret_plan);
    nxi_map_fini(&p.kinds);
    if (status != NX_OK)
        nxi_prepare_undo(&p.undo);
    return status;
}
