/*
 * db_rows - rows and raw statements outside sessions: each operation is one statement and one transaction.
 */
#include "engine/db.h"

#include "engine/select.h"
#include "engine/uow.h"

/* ------------------------------------------------------------------------------ rows */

static uint64_t address_hash(const void *row)
{
    return nxi_hash_u64((uint64_t)(uintptr_t)row);
}

static bool is_same(const void *item, const void *key)
{
    return item == key;
}

void *nxi_db_make_row(nx_db *db, const nxi_table *table)
{
    nxi_memory *memory = db->loop->memory;
    nxi_arena scratch;

    /* A block of its own, so that it can be given back alone; the arena only shapes it. */
    nxi_row *header = nxi_zalloc(memory, sizeof(nxi_row) + 2 * table->row_size);
    if (header == NULL)
        return NULL;
    nxi_arena_init(&scratch, memory);
    void *shaped = nxi_row_new(&scratch, table, NULL);
    void *row = nxi_row_data(header);
    if (shaped != NULL) {
        memcpy(header, nxi_row_of(shaped), sizeof(nxi_row) + 2 * table->row_size);
        if (!nxi_map_add(&db->rows, address_hash(row), row))
            shaped = NULL;
    }
    nxi_arena_fini(&scratch);
    if (shaped != NULL)
        return row;
    nxi_release(memory, header);
    return NULL;
}

bool nxi_db_own_texts(nx_db *db, void *row)
{
    nxi_row *header = nxi_row_of(row);
    nxi_memory *memory = db->loop->memory;

    if (nxi_map_find(&db->rows, address_hash(row), is_same, row) == NULL)
        return false;
    /* All of them anew, so that a row saved a thousand times does not keep a thousand texts. */
    nxi_arena *fresh = nxi_zalloc(memory, sizeof(*fresh));
    if (fresh == NULL)
        return false;
    nxi_arena_init(fresh, memory);
    if (!nxi_row_own(row, fresh)) {
        /* The row may point into it already: it replaces the old one all the same, which must then stay too. */
        if (header->texts != NULL)
            nxi_arena_adopt(fresh, header->texts);
        nxi_release(memory, header->texts);
        header->texts = fresh;
        return false;
    }
    if (header->texts != NULL)
        nxi_arena_fini(header->texts);
    nxi_release(memory, header->texts);
    header->texts = fresh;
    return true;
}

void nxi_db_free_row(nx_db *db, void *row)
{
    nxi_row *header = nxi_row_of(row);

    if (header->texts != NULL)
        nxi_arena_fini(header->texts);
    nxi_release(db->loop->memory, header->texts);
    nxi_release(db->loop->memory, header);
}

void nxi_db_release_row(nx_db *db, void *row)
{
    if (row == NULL || nxi_map_find(&db->rows, address_hash(row), is_same, row) == NULL)
        return;
    nxi_map_remove(&db->rows, address_hash(row), row);
    nxi_db_free_row(db, row);
}

typedef struct row_write {
    nxi_plan plan;
    void *row;
} row_write;

/* An operation on a row that another one is writing: it begins when that one is over. */
struct nxi_row_wait {
    struct nxi_row_wait *next;
    nxi_op *op;
    nx_db *db;
    void *row;
    nxi_write write;
};

static void start_write(nx_db *db, nxi_op *op, void *row, nxi_write write);

static void wait_unlink(nx_db *db, struct nxi_row_wait **link)
{
    struct nxi_row_wait *wait = *link;

    *link = wait->next;
    if (db->row_waits_end == &wait->next)
        db->row_waits_end = link;
    wait->op->stop = NULL;
    wait->op->context = NULL;
}

static void wait_stop(nxi_op *op, nx_status why)
{
    const struct nxi_row_wait *wait = op->context;
    nx_db *db = wait->db;
    struct nxi_row_wait **link = &db->row_waits;

    while (*link != wait)
        link = &(*link)->next;
    wait_unlink(db, link);
    nxi_op_failf(op, why, "%s while it waited for an earlier operation on its row",
                 why == NX_EDEADLINE ? "the deadline passed" : "cancelled");
}

static void wait_for_row(nx_db *db, nxi_op *op, void *row, nxi_write write)
{
    struct nxi_row_wait *wait = NXI_ARENA_NEW(&op->arena, struct nxi_row_wait);

    if (wait == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return;
    }
    *wait = (struct nxi_row_wait){ .op = op, .db = db, .row = row, .write = write };
    op->context = wait;
    op->stop = wait_stop;
    if (db->row_waits == NULL)
        db->row_waits_end = &db->row_waits;
    *db->row_waits_end = wait;
    db->row_waits_end = &wait->next;
}

/* The row is free for the next operation on it. */
static void row_is_free(nx_db *db, void *row)
{
    nxi_row_of(row)->flags &= (uint16_t)~NXI_ROW_BUSY;
    for (struct nxi_row_wait **link = &db->row_waits; *link != NULL; link = &(*link)->next) {
        struct nxi_row_wait *wait = *link;
        if (wait->row != row)
            continue;
        wait_unlink(db, link);
        start_write(db, wait->op, row, wait->write);
        if ((nxi_row_of(row)->flags & NXI_ROW_BUSY) == 0)
            row_is_free(db, row); /* it had nothing to send: the one behind it may go on */
        return;
    }
}

static void fail_row(nxi_op *op, nx_status status, const nx_error *about, void *row)
{
    nx_error error;

    if (about == NULL) {
        nxi_op_fail(op, status, NULL);
        return;
    }
    error = *about;
    error.object = status == NX_ENOMEM ? NULL : row;
    error.row = -1;
    nxi_op_fail(op, status, &error);
}

static void row_written(nxi_call *call)
{
    row_write *w = call->context;
    nx_db *db = call->db;
    void *row = w->row;

    if (call->request.status != NX_OK) {
        if (call->request.outcome_found && call->request.outcome == NX_OUTCOME_COMMITTED)
            nxi_plan_apply_unseen(&w->plan, NULL);
        else
            nxi_plan_undo(&w->plan);
        fail_row(call->op, call->request.status, call->request.error, row);
    } else {
        nxi_plan_apply(&w->plan, NULL, false);
        call->op->last.public.count = (int64_t)w->plan.row_count;
        nxi_op_finish(call->op);
    }
    row_is_free(db, row);
}

/* The write is over, and had nothing to send: equal values in memory of the user's are its own again. */
static void keep_own(nx_db *db, void *row)
{
    nxi_row *header = nxi_row_of(row);

    if ((header->flags & NXI_ROW_TRACKED) == 0 || !header->table->has_pointers || nxi_row_is_same_bytes(row))
        return;
    if (nxi_db_own_texts(db, row))
        nxi_row_track(row);
    else
        header->flags &= (uint16_t)~NXI_ROW_TRACKED;
}

void nxi_db_write_row(nx_db *db, nxi_op *op, void *row, nxi_write write)
{
    if ((nxi_row_of(row)->flags & NXI_ROW_BUSY) != 0)
        wait_for_row(db, op, row, write);
    else
        start_write(db, op, row, write);
}

static void start_write(nx_db *db, nxi_op *op, void *row, nxi_write write)
{
    row_write *w = NXI_ARENA_NEW(&op->arena, row_write);
    nx_error error;
    nx_status status;

    if (w == NULL)
        goto no_memory;
    status = nxi_db_check(db, true, &error);
    if (status == NX_OK && nxi_row_of(row)->table->db != db)
        status =
            nxi_fail(&error, NX_ENOTMAPPED, "the row of %s belongs to another database", nxi_row_of(row)->table->entity->name);
    if (status != NX_OK) {
        nxi_op_fail(op, status, &error);
        return;
    }
    status = nxi_plan_row(db, row, write, &op->arena, &w->plan, &error);
    if (status != NX_OK) {
        fail_row(op, status, &error, row);
        return;
    }
    w->row = row;
    if (w->plan.batch_count == 0) {
        keep_own(db, row);
        nxi_op_finish(op); /* nothing has changed */
        return;
    }
    nxi_call *call = nxi_call_new(op, db, w->plan.batch_count, row_written);
    if (call == NULL)
        goto no_memory;
    nxi_plan_steps(&w->plan, call->request.steps);
    call->context = w;
    call->request.writes = true;
    nxi_row_of(row)->flags |= NXI_ROW_BUSY;
    nxi_call_submit(call);
    return;

no_memory:
    nxi_op_fail(op, NX_ENOMEM, NULL);
}

/* ------------------------------------------------------------------------------ raw statements */

nx_status nxi_raw_step(nx_db *db, nxi_op *op, const nxi_raw *raw, bool rows, nxi_step *step, nx_error *error)
{
    const nxi_statement *statement;
    nx_value *values = NXI_ARENA_ARRAY(&op->arena, nx_value, raw->count == 0 ? 1 : raw->count);

    if (raw->sql == NULL || (raw->count > 0 && raw->values == NULL))
        return nxi_fail(error, NX_EINVAL, "no SQL text, or no values, are given");
    if (raw->count > db->driver->dialect->parameters_max)
        return nxi_fail(error, NX_ELIMIT, "%zu parameters; %s takes at most %zu", raw->count, db->driver->name,
                        db->driver->dialect->parameters_max);
    if (values == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for the statement");
    for (size_t i = 0; i < raw->count; i++) {
        bool is_text = raw->values[i].type == NX_TYPE_text || raw->values[i].type == NX_TYPE_longtext ||
                       raw->values[i].type == NX_TYPE_json || raw->values[i].type == NX_TYPE_decimal;
        if ((unsigned)raw->values[i].type >= NX_TYPE_key)
            return nxi_fail(error, NX_ETYPE, "parameter %zu is no value", i + 1);
        if (is_text && !nxi_text_is_valid(raw->values[i].text.data, raw->values[i].text.size, NULL))
            return nxi_fail(error, NX_EENCODING, "parameter %zu is no valid UTF-8 text, or has a zero byte in it", i + 1);
        if (!nxi_value_copy(&op->arena, &raw->values[i], &values[i]))
            return nxi_fail(error, NX_ENOMEM, "no memory for the statement");
    }
    nx_status status = nxi_statement_raw(raw->sql, db->driver->dialect, &db->statements, &op->arena, &statement, error);
    if (status != NX_OK)
        return status;
    if (statement->param_count != raw->count)
        return nxi_fail(error, NX_EINVAL, "the statement has %zu parameters, %zu values are given", statement->param_count,
                        raw->count);
    *step = (nxi_step){ .kind = rows ? NXI_STEP_RAW : NXI_STEP_EXECUTE,
                        .read_any = true,
                        .statement = statement,
                        .values = values,
                        .value_count = raw->count };
    return NX_OK;
}

static void raw_done(nxi_call *call)
{
    nxi_op *op = call->op;
    const nxi_step *step = &call->request.steps[0];

    if (!nxi_call_is_ok(call))
        return;
    op->last.public.count = step->affected;
    op->last.public.raw = step->kind == NXI_STEP_RAW ? &step->raw : NULL;
    op->last.public.rows = step->kind == NXI_STEP_FETCH && step->affected > 0 ? step->fetched : NULL;
    nxi_op_finish(op);
}

static nxi_call *raw_call(nx_db *db, nxi_op *op, const nxi_raw *raw, bool rows, nx_error *error)
{
    nxi_call *call = nxi_call_new(op, db, 1, raw_done);
    nx_status status = nxi_db_check(db, false, error);

    if (call == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return NULL;
    }
    if (status == NX_OK)
        status = nxi_raw_step(db, op, raw, rows, &call->request.steps[0], error);
    if (status != NX_OK) {
        nxi_op_fail(op, status, error);
        return NULL;
    }
    /* What the text does is not known: it goes where writes go. */
    call->request.writes = true;
    return call;
}

void nxi_db_raw(nx_db *db, nxi_op *op, const nxi_raw *raw, bool rows)
{
    nx_error error;
    nxi_call *call = raw_call(db, op, raw, rows, &error);

    if (call != NULL)
        nxi_call_submit(call);
}

void nxi_db_describe(nx_db *db, nxi_op *op, const char *table, bool uniques)
{
    nx_error error;

    if (nxi_db_check(db, false, &error) != NX_OK) {
        nxi_op_fail(op, error.status, &error);
        return;
    }
    const nxi_dialect *dialect = db->driver->dialect;
    if (table == NULL) {
        nxi_op_failf(op, NX_EINVAL, "no table is given");
        return;
    }
    nx_value name = nx_value_str(table);
    nxi_call *call = raw_call(db, op, &(nxi_raw){ uniques ? dialect->table_uniques : dialect->table_columns, &name, 1 }, true,
                              &error);
    if (call == NULL)
        return;
    call->request.writes = false;
    call->request.steps[0].read_any = false;
    nxi_call_submit(call);
}

/* Which column of a result is which of a table. */
enum { IS_ABSENT = -1, IS_NULL = -2 };
typedef struct sql_rows {
    const nxi_table *table;
    const nx_rows *raw;
    ptrdiff_t *places; /* per table column: number in the result, or IS_ABSENT, or IS_NULL */
    bool by_text;
} sql_rows;

/* A reference of which some columns are there and some not has a key with NULLs: none. */
static void find_places(const sql_rows *s)
{
    for (size_t i = 0; i < s->table->column_count; i++)
        s->places[i] = IS_ABSENT;
    for (size_t c = 0; c < s->raw->column_count; c++) {
        const nxi_column *column = nxi_table_column_named(s->table, nx_str(s->raw->names[c]));
        if (column == NULL)
            continue;
        s->places[column->index] = (ptrdiff_t)c;
        for (size_t part = 0; column->form == NXI_FORM_REFERENCE && part < column->target->key_count; part++) {
            size_t other = column->index - column->key_part + part;
            if (s->places[other] == IS_ABSENT)
                s->places[other] = IS_NULL;
        }
    }
}

static nx_status fail_value(const sql_rows *s, const nxi_column *column, size_t row, nx_status status, nx_error *error)
{
    if (status == NX_ENOMEM)
        return nxi_fail(error, NX_ENOMEM, "no memory for the rows");
    (void)nxi_fail(error, status, "row %zu: %s.%s cannot hold what column \"%.100s\" returned%s", row, s->table->entity->name,
                   column->field->name, s->raw->names[s->places[column->index]],
                   status == NX_EENCODING ? ": no valid UTF-8" : "");
    nxi_error_name(error->table, s->table->name);
    nxi_error_name(error->column, column->name);
    return status;
}

static nx_status take_row(const sql_rows *s, nxi_arena *arena, size_t number, void *row, nx_error *error)
{
    for (size_t i = 0; i < s->table->column_count; i++) {
        const nxi_column *column = &s->table->columns[i];
        ptrdiff_t place = s->places[i];
        if (place == IS_ABSENT)
            continue;
        nx_value value = place == IS_NULL ? nx_null() : nx_rows_at(s->raw, number, (size_t)place);
        nx_status status = nxi_value_take(arena, column->type, nxi_column_labels(column), s->by_text, &value);
        if (status == NX_OK && value.type == NX_TYPE_null && !column->nullable && place != IS_NULL)
            status = NX_ETYPE;
        if (status == NX_OK && (value.type != NX_TYPE_null || column->nullable || column->form == NXI_FORM_REFERENCE) &&
            !nxi_column_fill(column, row, value, arena))
            status = NX_ENOMEM;
        if (status != NX_OK)
            return fail_value(s, column, number, status, error);
        if (column->lazy)
            nxi_row_of(row)->lazy_missing &= ~(UINT32_C(1) << column->lazy_bit);
    }
    return NX_OK;
}

/* Rows first as values: which column is which is known only from the answer. */
static void sql_fetched(nxi_call *call)
{
    nxi_op *op = call->op;
    const nx_rows *raw = &call->request.steps[0].raw;
    sql_rows s = { .table = call->context, .raw = raw };
    nx_error error;

    if (!nxi_call_is_ok(call))
        return;
    s.by_text = ((nx_db *)s.table->db)->driver->dialect->texts_of_any_type;
    s.places = NXI_ARENA_ARRAY(&op->arena, ptrdiff_t, s.table->column_count);
    void **rows = NXI_ARENA_ARRAY(&op->arena, void *, raw->row_count == 0 ? 1 : raw->row_count);
    if (s.places == NULL || rows == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return;
    }
    find_places(&s);
    for (size_t r = 0; r < raw->row_count; r++) {
        rows[r] = nxi_row_get(&op->arena, s.table, NULL, true);
        if (rows[r] == NULL) {
            nxi_op_fail(op, NX_ENOMEM, NULL);
            return;
        }
        memset(rows[r], 0, s.table->row_size);
        nxi_row_of(rows[r])->lazy_missing = s.table->lazy_mask;
        nx_status status = take_row(&s, &op->arena, r, rows[r], &error);
        if (status != NX_OK) {
            nxi_op_fail(op, status, &error);
            return;
        }
        nxi_row_track(rows[r]);
    }
    op->last.public.count = (int64_t)raw->row_count;
    op->last.public.rows = raw->row_count == 0 ? NULL : rows;
    nxi_op_finish(op);
}

void nxi_db_fetch_sql(nx_db *db, nxi_op *op, const nx_entity *entity, const nxi_raw *raw)
{
    nx_error error;
    const nxi_table *table = nxi_db_table(db, entity);

    if (table == NULL) {
        nxi_op_failf(op, NX_ENOTMAPPED, "entity %s is not mapped by this database", entity == NULL ? "(none)" : entity->name);
        return;
    }
    nxi_call *call = raw_call(db, op, raw, true, &error);
    if (call == NULL)
        return;
    union {
        const nxi_table *constant;
        void *context;
    } held = { .constant = table };
    call->context = held.context;
    call->then = sql_fetched;
    nxi_call_submit(call);
}
