/*
 * write - a row-bound statement, once for each row of a step.
 */
#include "drivers/sqlite/sqlite.h"

static nx_status affected_nothing(nxi_sq_writer *w, nx_error *error)
{
    const nxi_table *table = w->s->statement->table;

    if (!w->s->must_affect) {
        w->s->ignored++;
        return NX_OK;
    }
    nxi_fail(error, NX_EOPTIMISTIC, "%s: the row was changed or deleted by somebody else", table == NULL ? "?" : table->name);
    nxi_error_name(error->table, table == NULL ? "" : table->name);
    error->retryable = true;
    return NX_EOPTIMISTIC;
}

/* Bind, step, reset. */
static nx_status write_row(nxi_sq_writer *w, size_t index, nx_error *error)
{
    const nxi_statement *statement = w->s->statement;
    sqlite3 *db = w->binder.connection->db;
    void *row = w->s->rows[index];
    nx_status status = nxi_sq_bind_row(&w->binder, w->prepared->stmt, 1, row, error);
    int code;

    if (NXI_UNLIKELY(status != NX_OK))
        return status;
    /* An upsert that updates leaves the last rowid alone: a number that no row has tells it from one that inserts. */
    if (statement->upserts)
        sqlite3_set_last_insert_rowid(db, INT64_MIN);
    do
        code = sqlite3_step(w->prepared->stmt);
    while (NXI_UNLIKELY(code == SQLITE_ROW));
    if (NXI_UNLIKELY(code != SQLITE_DONE)) {
        status = nxi_sq_describe(w->binder.connection, code, statement, error);
        (void)sqlite3_reset(w->prepared->stmt);
        return status;
    }
    sqlite3_int64 changes = sqlite3_changes64(db);
    (void)sqlite3_reset(w->prepared->stmt);
    if (NXI_UNLIKELY(changes == 0))
        return affected_nothing(w, error);
    w->s->affected += changes;
    bool updated = statement->upserts && sqlite3_last_insert_rowid(db) == INT64_MIN;
    w->s->updated += updated;
    if (statement->key_column != NULL && !updated)
        status = nxi_set_made_key(statement->key_column, row, sqlite3_last_insert_rowid(db), error);
    w->is_written = status != NX_OK;
    return status;
}

static bool set_aside(nxi_sq_writer *w, size_t index, const nx_error *error)
{
    nxi_step *s = w->s;

    if (s->reject_count == w->reject_capacity) {
        size_t capacity = w->reject_capacity == 0 ? 4 : w->reject_capacity * 2;
        nx_reject *list = NXI_ARENA_ARRAY(w->request->arena, nx_reject, capacity);
        if (list == NULL)
            return false;
        if (s->reject_count > 0)
            memcpy(list, s->rejects, s->reject_count * sizeof(*list));
        s->rejects = list;
        w->reject_capacity = capacity;
    }
    s->rejects[s->reject_count] = (nx_reject){ .row = index, .error = *error };
    s->rejects[s->reject_count++].error.row = (int64_t)index;
    return true;
}

/* A row has failed: set it aside if that is wished and possible. */
static nx_status refuse_row(nxi_sq_writer *w, size_t index, bool was_in_transaction, nx_error *error)
{
    bool lost = was_in_transaction && !nxi_sq_in_transaction(w->binder.connection);

    error->row = (int64_t)index;
    if (!w->s->set_aside || w->is_written || lost || !nxi_is_about_row(error->status))
        return nxi_sq_fail_with(w->request, w->step, error);
    if (!set_aside(w, index, error))
        return nxi_request_fail(w->request, w->step, NX_ENOMEM, "%s", "");
    return NX_OK;
}

static nx_status write_singly(nxi_sq_writer *w, size_t first, size_t end, bool was_in_transaction)
{
    nx_error error;

    w->last_key_known = false;
    for (size_t i = first; i < end; i++) {
        if (NXI_UNLIKELY(write_row(w, i, &error) != NX_OK) && refuse_row(w, i, was_in_transaction, &error) != NX_OK)
            return w->request->status;
    }
    return NX_OK;
}

static nx_status write_rows(nxi_sq_writer *w)
{
    bool was_in_transaction = nxi_sq_in_transaction(w->binder.connection);
    size_t count = w->s->row_count, end;
    nx_error error;

    for (size_t i = 0; i < count; i = end) {
        if (i > 0 && nxi_sq_is_stopped(w->request, w->step, w->request->deadline_ns == 0 ? 0 : nxi_clock_ns()))
            return w->request->status;
        if (nxi_port_is_stopping(w->binder.connection->port))
            return nxi_request_fail(w->request, w->step, NX_ECLOSED, "the database was closed while rows were written");
        end = i + nxi_min_size(NXI_SQ_BATCH_ROWS, count - i);
        if (end - i == NXI_SQ_BATCH_ROWS && !w->prepared->row_by_row) {
            nxi_sq_batch result = nxi_sq_write_batch(w, i, &error);
            if (result == NXI_SQ_BATCH_WRITTEN)
                continue;
            if (result == NXI_SQ_BATCH_FATAL)
                return nxi_sq_fail_with(w->request, w->step, &error);
        }
        if (write_singly(w, i, end, was_in_transaction) != NX_OK)
            return w->request->status;
    }
    return NX_OK;
}

nx_status nxi_sq_write(nxi_sq_connection *connection, nxi_request *request, size_t step)
{
    nxi_step *s = &request->steps[step];
    nxi_sq_prepared *prepared;
    nx_status status = nxi_sq_prepare(connection, request, step, &prepared);

    if (status != NX_OK)
        return status;
    if ((size_t)prepared->parameters != s->statement->param_count) {
        status = nxi_request_fail(request, step, NX_EINVAL, "the statement has %d parameters, but %zu are bound",
                                  prepared->parameters, s->statement->param_count);
    } else {
        nxi_sq_writer w = {
            .binder = { connection, s->statement, request->arena }, .request = request, .s = s, .step = step, .prepared = prepared
        };
        status = write_rows(&w);
    }
    nxi_sq_done(connection, prepared);
    return status;
}
