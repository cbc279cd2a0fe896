/*
 * cursor - results that are fetched in pieces, and the side connections that make this possible.
 *
 * Design notes: a paused statement holds a snapshot. On the main connection it would hold up everybody's next read
 * transaction, so a cursor gets a connection of its own. Inside a transaction it must see what that transaction wrote and runs
 * on its connection. ":memory:" has one connection only: there the result is copied into a private temporary database, which is
 * where the cursor then reads; it needs no lock and no transaction of the main one.
 */
#include "drivers/sqlite/sqlite.h"

#include <stdio.h>

/* ------------------------------------------------------------------------------ side connections */

static nxi_sq_side *free_side(nxi_sq_worker *worker, bool scratch, nxi_sq_side ***ret_place)
{
    *ret_place = NULL;
    for (size_t i = 0; i < NXI_SQ_SIDES_MAX; i++) {
        nxi_sq_side *side = worker->sides[i];
        if (side == NULL && *ret_place == NULL)
            *ret_place = &worker->sides[i];
        if (side != NULL && !side->in_use && side->scratch == scratch)
            return side;
    }
    return NULL;
}

nx_status nxi_sq_side_get(nxi_sq_worker *worker, bool scratch, nxi_sq_side **ret_side, nx_error *error)
{
    nxi_sq_side **place, *side = free_side(worker, scratch, &place);
    nx_status status;

    if (side == NULL) {
        if (place == NULL)
            return nxi_fail(error, NX_ELIMIT, "more than %d streams and snapshots are open at a time on one reader",
                            (int)NXI_SQ_SIDES_MAX);
        side = nxi_zalloc(worker->memory, sizeof(*side));
        if (side == NULL)
            return nxi_fail(error, NX_ENOMEM, "out of memory");
        side->connection.memory = worker->memory;
        side->connection.port = worker->port;
        side->scratch = scratch;
        status = nxi_sq_open(&side->connection, &worker->settings, scratch ? NXI_SQ_SCRATCH : NXI_SQ_SIDE, error);
        if (status != NX_OK) {
            nxi_release(worker->memory, side);
            return status;
        }
        *place = side;
    }
    side->in_use = true;
    *ret_side = side;
    return NX_OK;
}

nxi_sq_side *nxi_sq_side_find(nxi_sq_worker *worker, uint64_t transaction)
{
    for (size_t i = 0; i < NXI_SQ_SIDES_MAX; i++) {
        nxi_sq_side *side = worker->sides[i];
        if (side != NULL && side->in_use && side->transaction == transaction)
            return side;
    }
    return NULL;
}

void nxi_sq_side_put(nxi_sq_worker *worker, nxi_sq_side *side)
{
    size_t idle = 0;

    nxi_sq_rollback(&side->connection);
    side->in_use = false;
    side->transaction = 0;
    for (size_t i = 0; i < NXI_SQ_SIDES_MAX; i++)
        idle += worker->sides[i] != NULL && !worker->sides[i]->in_use;
    /* A private database is as large as what was in it. */
    for (size_t i = 0; i < NXI_SQ_SIDES_MAX; i++) {
        if (worker->sides[i] != side || (idle <= NXI_SQ_SIDES_IDLE_MAX && !side->scratch))
            continue;
        nxi_sq_close(&side->connection);
        nxi_release(worker->memory, side);
        worker->sides[i] = NULL;
        break;
    }
}

/* ------------------------------------------------------------------------------ opening */

static nxi_sq_cursor *find_cursor(nxi_sq_worker *worker, uint64_t id)
{
    for (size_t i = 0; i < NXI_SQ_SIDES_MAX; i++) {
        if (worker->cursors[i].id == id)
            return &worker->cursors[i];
    }
    return NULL;
}

/* "INSERT INTO result VALUES (?,...)" with its table, which has no affinities: values stay as they are. */
static int make_table(sqlite3 *db, int columns, nxi_memory *memory, sqlite3_stmt **ret_insert)
{
    nxi_buf sql;
    int code = SQLITE_NOMEM;

    nxi_buf_init(&sql, memory);
    nxi_buf_puts(&sql, "CREATE TABLE result (");
    for (int i = 0; i < columns; i++)
        nxi_buf_printf(&sql, "%sc%d", i == 0 ? "" : ", ", i);
    nxi_buf_puts(&sql, ")");
    if (nxi_buf_str(&sql) != NULL)
        code = sqlite3_exec(db, nxi_buf_str(&sql), NULL, NULL, NULL);
    nxi_buf_clear(&sql);
    nxi_buf_puts(&sql, "INSERT INTO result VALUES (");
    for (int i = 0; i < columns; i++)
        nxi_buf_puts(&sql, i == 0 ? "?" : ", ?");
    nxi_buf_puts(&sql, ")");
    if (code == SQLITE_OK)
        code = nxi_buf_str(&sql) == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, nxi_buf_str(&sql), -1, ret_insert, NULL);
    nxi_buf_fini(&sql);
    return code;
}

static int copy_row(sqlite3_stmt *from, sqlite3_stmt *insert)
{
    int code = SQLITE_OK;

    for (int i = 0; code == SQLITE_OK && i < sqlite3_column_count(from); i++)
        code = sqlite3_bind_value(insert, i + 1, sqlite3_column_value(from, i));
    if (code == SQLITE_OK)
        (void)sqlite3_step(insert);
    return code == SQLITE_OK ? sqlite3_reset(insert) : code;
}

/* All rows of a bound statement into the private database. */
static nx_status copy_result(nxi_sq_connection *from, sqlite3_stmt *stmt, nxi_sq_connection *into, nxi_request *request,
                             size_t step)
{
    sqlite3_stmt *insert = NULL;
    int code = SQLITE_DONE, copied = nxi_sq_do(into, NXI_SQ_BEGIN);

    if (copied == SQLITE_OK)
        copied = make_table(into->db, sqlite3_column_count(stmt), into->memory, &insert);
    while (copied == SQLITE_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW)
        copied = copy_row(stmt, insert);
    (void)sqlite3_finalize(insert);
    if (copied == SQLITE_OK)
        copied = nxi_sq_do(into, NXI_SQ_COMMIT);
    if (copied != SQLITE_OK)
        return nxi_sq_fail(into, request, step, copied);
    return code == SQLITE_DONE ? NX_OK : nxi_sq_fail(from, request, step, code);
}

static nx_status open_copied(nxi_sq_cursor *cursor, nxi_sq_connection *connection, nxi_request *request, size_t step)
{
    nxi_sq_prepared *prepared;
    nx_status status = nxi_sq_prepare(connection, request, step, &prepared);
    int code;

    if (status != NX_OK)
        return status;
    status = nxi_sq_bind_values(connection, prepared->stmt, request, step, false);
    if (status == NX_OK)
        status = copy_result(connection, prepared->stmt, cursor->connection, request, step);
    nxi_sq_done(connection, prepared);
    if (status != NX_OK)
        return status;
    code = sqlite3_prepare_v2(cursor->connection->db, "SELECT * FROM result ORDER BY rowid", -1, &cursor->stmt, NULL);
    return code == SQLITE_OK ? NX_OK : nxi_sq_fail(cursor->connection, request, step, code);
}

/* What it holds goes back; the cursor itself stays. */
static void release(nxi_sq_worker *worker, nxi_sq_cursor *cursor)
{
    (void)sqlite3_finalize(cursor->stmt);
    cursor->stmt = NULL;
    if (cursor->side != NULL)
        nxi_sq_side_put(worker, cursor->side);
    cursor->side = NULL;
    cursor->connection = NULL;
}

nx_status nxi_sq_cursor_open(nxi_sq_worker *worker, nxi_sq_connection *connection, nxi_request *request, size_t step)
{
    const nxi_step *s = &request->steps[step];
    nxi_sq_cursor *cursor = find_cursor(worker, 0);
    bool own = request->transaction == 0;
    nx_status status;
    nx_error error;

    if (s->cursor == 0 || find_cursor(worker, s->cursor) != NULL)
        return nxi_request_fail(request, step, NX_EINVAL, "a cursor of that number is open already");
    if (cursor == NULL)
        return nxi_request_fail(request, step, NX_ELIMIT, "more than %d streams are open at a time on one worker",
                                (int)NXI_SQ_SIDES_MAX);
    *cursor = (nxi_sq_cursor){
        .id = s->cursor, .transaction = request->transaction, .connection = connection, .statement = s->statement};
    if (own && nxi_sq_side_get(worker, worker->settings.memory, &cursor->side, &error) != NX_OK) {
        cursor->id = 0;
        return nxi_sq_fail_with(request, step, &error);
    }
    if (own)
        cursor->connection = &cursor->side->connection;
    if (own && worker->settings.memory) {
        status = open_copied(cursor, connection, request, step);
    } else {
        status = nxi_sq_prepare_own(cursor->connection, request, step, &cursor->stmt);
        if (status == NX_OK)
            status = nxi_sq_bind_values(cursor->connection, cursor->stmt, request, step, true);
    }
    if (status != NX_OK)
        nxi_sq_cursor_close(worker, s->cursor);
    return status;
}

/* ------------------------------------------------------------------------------ going on, and ending */

nx_status nxi_sq_cursor_fetch(nxi_sq_worker *worker, nxi_request *request, size_t step)
{
    nxi_step *s = &request->steps[step];
    nxi_sq_cursor *cursor = s->cursor == 0 ? NULL : find_cursor(worker, s->cursor);
    nxi_request *running;
    nx_status status;

    if (cursor == NULL)
        return nxi_request_fail(request, step, NX_ESTATE,
                                "the stream is not open any more: its transaction has ended, or it failed");
    if (cursor->stmt == NULL) {
        s->cursor_ended = true;
        return NX_OK;
    }
    nxi_sq_rows rows = { .connection = cursor->connection, .stmt = cursor->stmt, .statement = cursor->statement };
    running = cursor->connection->running;
    cursor->connection->running = request;
    cursor->connection->stopped = NX_OK;
    status = nxi_sq_fetch(&rows, request, step, s->row_limit, &s->cursor_ended);
    cursor->connection->running = running;
    if (status != NX_OK)
        nxi_sq_cursor_close(worker, s->cursor);
    else if (s->cursor_ended)
        release(worker, cursor); /* an exhausted cursor holds no snapshot */
    return status;
}

void nxi_sq_cursor_close(nxi_sq_worker *worker, uint64_t id)
{
    nxi_sq_cursor *cursor = id == 0 ? NULL : find_cursor(worker, id);

    if (cursor == NULL)
        return;
    release(worker, cursor);
    *cursor = (nxi_sq_cursor){ 0 };
}

void nxi_sq_cursors_end(nxi_sq_worker *worker, uint64_t transaction)
{
    for (size_t i = 0; transaction != 0 && i < NXI_SQ_SIDES_MAX; i++) {
        nxi_sq_cursor *cursor = &worker->cursors[i];
        if (cursor->id != 0 && cursor->transaction == transaction)
            nxi_sq_cursor_close(worker, cursor->id);
    }
}
