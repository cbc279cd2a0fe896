/*
 * execute - the steps of a request on one connection.
 */
#include "drivers/sqlite/sqlite.h"

#include <stdio.h>

static nx_status run_execute(nxi_sq_connection *connection, nxi_request *request, size_t step)
{
    nxi_sq_prepared *prepared;
    nx_status status = nxi_sq_prepare(connection, request, step, &prepared);
    sqlite3_int64 before = sqlite3_total_changes64(connection->db);
    int code = SQLITE_ROW;

    if (status != NX_OK)
        return status;
    status = nxi_sq_bind_values(connection, prepared->stmt, request, step, false);
    while (status == NX_OK && code == SQLITE_ROW)
        code = sqlite3_step(prepared->stmt);
    if (status == NX_OK && code != SQLITE_DONE)
        status = nxi_sq_fail(connection, request, step, code);
    /* A statement that changes no row leaves the count of the one before it. */
    else if (status == NX_OK)
        request->steps[step].affected = sqlite3_total_changes64(connection->db) == before ? 0 : sqlite3_changes64(connection->db);
    nxi_sq_done(connection, prepared);
    return status;
}

static nx_status run_query(nxi_sq_connection *connection, nxi_request *request, size_t step)
{
    nxi_step *s = &request->steps[step];
    nxi_sq_prepared *prepared;
    bool ended;
    nx_status status = nxi_sq_prepare(connection, request, step, &prepared);

    if (status != NX_OK)
        return status;
    status = nxi_sq_bind_values(connection, prepared->stmt, request, step, false);
    if (status == NX_OK && s->kind == NXI_STEP_SCALAR) {
        status = nxi_sq_fetch_scalar(connection, prepared->stmt, request, step);
    } else if (status == NX_OK && s->kind == NXI_STEP_RAW) {
        status = nxi_sq_fetch_raw(connection, prepared->stmt, request, step);
    } else if (status == NX_OK) {
        nxi_sq_rows rows = { .connection = connection, .stmt = prepared->stmt, .statement = s->statement };
        status = nxi_sq_fetch(&rows, request, step, s->row_limit, &ended);
    }
    nxi_sq_done(connection, prepared);
    return status;
}

static nx_status run_savepoint(nxi_sq_connection *connection, nxi_request *request, size_t step)
{
    const nxi_step *s = &request->steps[step];
    const char *verb = s->kind == NXI_STEP_SAVEPOINT ? "SAVEPOINT" : s->kind == NXI_STEP_RELEASE ? "RELEASE" : "ROLLBACK TO";
    char sql[64];
    int code;

    /* Outside of a transaction a savepoint would begin one that nobody ends. */
    if (!nxi_sq_in_transaction(connection))
        return nxi_request_fail(request, step, NX_ESTATE, "%s needs a transaction", verb);
    (void)snprintf(sql, sizeof(sql), "%s nxi_%u", verb, (unsigned)s->level);
    code = sqlite3_exec(connection->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? NX_OK : nxi_sq_fail(connection, request, step, code);
}

static nx_status run_step(nxi_sq_worker *worker, nxi_sq_connection *connection, nxi_request *request, size_t step)
{
    const nxi_step *s = &request->steps[step];

    switch (s->kind) {
    case NXI_STEP_EXECUTE: return run_execute(connection, request, step);
    case NXI_STEP_SCRIPT: return nxi_sq_script(connection, request, step);
    case NXI_STEP_WRITE: return nxi_sq_write(connection, request, step);
    case NXI_STEP_FETCH:
    case NXI_STEP_SCALAR:
    case NXI_STEP_RAW: return run_query(connection, request, step);
    case NXI_STEP_SAVEPOINT:
    case NXI_STEP_RELEASE:
    case NXI_STEP_ROLLBACK_TO: return run_savepoint(connection, request, step);
    case NXI_STEP_CURSOR_OPEN: return nxi_sq_cursor_open(worker, connection, request, step);
    case NXI_STEP_CURSOR_FETCH: return nxi_sq_cursor_fetch(worker, request, step);
    case NXI_STEP_CURSOR_CLOSE: nxi_sq_cursor_close(worker, s->cursor); return NX_OK;
    }
    return nxi_request_fail(request, step, NX_EINVAL, "unknown kind of step");
}

nx_status nxi_sq_run(nxi_sq_worker *worker, nxi_sq_connection *connection, nxi_request *request)
{
    int64_t then = request->taken_ns != 0 ? request->taken_ns : nxi_clock_ns(), now;
    bool unstoppable = nxi_request_is_unstoppable(request);

    request->taken_ns = then;
    connection->running = unstoppable ? NULL : request;
    connection->stopped = NX_OK;
    for (size_t i = request->steps_done; i < request->step_count && (unstoppable || !nxi_sq_is_stopped(request, i, then)); i++) {
        nx_status status = run_step(worker, connection, request, i);
        NX_ASSERT((status == NX_OK) == (request->status == NX_OK));
        now = nxi_clock_ns();
        request->steps[i].elapsed_ns = now - then;
        then = now;
        if (status != NX_OK)
            break;
        request->steps_done = i + 1;
    }
    if (request->step_count == 0 && request->end != NXI_END_ROLLBACK)
        (void)nxi_sq_is_stopped(request, 0, then);
    request->done_ns = then;
    connection->running = NULL;
    return request->status;
}

void nxi_sq_forget(nxi_request *request, size_t first)
{
    request->status = NX_OK;
    request->error = NULL;
    request->failed_step = 0;
    request->taken_ns = 0;
    request->steps_done = first;
    for (size_t i = first; i < request->step_count; i++) {
        nxi_step *step = &request->steps[i];
        step->cursor_ended = false;
        step->affected = 0;
        step->fetched = NULL;
        step->raw = (nx_rows){ 0 };
        step->scalar = nx_null();
        step->rejects = NULL;
        step->reject_count = 0;
        step->ignored = step->updated = 0;
    }
}
