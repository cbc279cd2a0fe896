/*
 * pg_train_kit - see the header.
 */
#include "tests/support/pg_train_kit.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "drivers/postgres/dialect.h"
#include "engine/select.h"
#include "engine/table.h"
#include "nextorm.h"

NX_ENTITY_DEFINE(Item, ITEM)

train_kit tk;

/* ------------------------------------------------------------------------------ reports */

static void report(const char *format, ...) NX_PRINTF(1, 2);
static void report(const char *format, ...)
{
    size_t used = strlen(tk.report);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(tk.report + used, sizeof(tk.report) - used, format, arguments);
    va_end(arguments);
}

static void report_step(const nxi_request *request, const nxi_step *step)
{
    if (step->kind == NXI_STEP_RAW && request->status == NX_OK) {
        for (size_t i = 0; i < step->raw.row_count; i++)
            report(" %lld", (long long)nx_rows_at(&step->raw, i, 0).i64);
    } else if (step->kind == NXI_STEP_WRITE || step->kind == NXI_STEP_EXECUTE) {
        report(" %lld", (long long)step->affected);
    }
    for (size_t i = 0; i < step->reject_count; i++)
        report(" !%zu", step->rejects[i].row);
}

static void finished(void *context, nxi_request *request)
{
    size_t at = 0;

    (void)context;
    while (at < tk.request_count && tk.requests[at] != request)
        at++;
    tk.finished++;
    if (at == tk.request_count)
        return; /* a tombstone */
    report("%c", (int)('a' + at));
    for (size_t i = 0; request->status == NX_OK && i < request->step_count; i++)
        report_step(request, &request->steps[i]);
    if (request->status != NX_OK)
        report(" %s", nx_status_name(request->status) + 3);
    if (request->status != NX_OK && request->error->sqlstate[0] != '\0')
        report("/%s", request->error->sqlstate);
    if (request->status != NX_OK && request->error->row >= 0)
        report("@%lld", (long long)request->error->row);
    if (request->outcome == NX_OUTCOME_COMMITTED)
        report(" committed");
    if (request->outcome == NX_OUTCOME_ROLLED_BACK)
        report(" rolled back");
    if (request->outcome == NX_OUTCOME_UNKNOWN)
        report(" unknown");
    if (request->in_transaction)
        report(" open");
    report("; ");
}

static void notified(void *context, nx_text channel, nx_text payload)
{
    (void)context;
    cr_assert_eq(channel.size, 4u);
    cr_assert_eq(payload.size, 5u);
    tk.notified++;
}

/* ------------------------------------------------------------------------------ life */

void tk_open(const nx_bind_options *options)
{
    static const nx_bind_options none;
    static const nx_entity *const entities[] = { &Item_entity };
    nx_error error;

    memset(&tk, 0, sizeof(tk));
    tk.memory = nxi_memory_new(0);
    nxi_arena_init(&tk.arena, tk.memory);
    nxi_statements_init(&tk.statements, tk.memory);
    nxi_buf_init(&tk.out, tk.memory);
    cr_assert_eq(nxi_tables_build(&tk.arena, &nxi_pg_dialect, entities, NXI_COUNT(entities), &tk.tables, &error), NX_OK);
    tk.wire = nxi_driver_postgres.wire;
    tk.pg = nxi_zalloc(tk.memory, tk.wire->state_size);
    nxi_pg_init(tk.pg, options == NULL ? &none : options, tk.memory);
    pgm_open(&tk.model);
}

void tk_close(void)
{
    tk.wire->close(tk.pg);
    nxi_release(tk.memory, tk.pg);
    nxi_buf_fini(&tk.out);
    nxi_statements_fini(&tk.statements);
    nxi_arena_fini(&tk.arena);
    nxi_memory_free(tk.memory);
    pgm_close(&tk.model);
}

void tk_begin(void)
{
    tk_open(NULL);
}

void tk_end(void)
{
    tk_close();
}

/* ------------------------------------------------------------------------------ requests */

const nxi_statement *tk_text(const char *sql)
{
    nxi_statement prototype = { .sql = sql, .sql_size = strlen(sql) };
    const nxi_statement *s = nxi_statements_find(&tk.statements, sql, strlen(sql));

    return s != NULL ? s : nxi_statements_add(&tk.statements, sql, strlen(sql), &prototype);
}

nxi_request *tk_new(size_t steps)
{
    nxi_request *request = NXI_ARENA_NEW(&tk.arena, nxi_request);

    cr_assert_lt(tk.request_count, TK_REQUESTS_MAX);
    request->steps = NXI_ARENA_ARRAY(&tk.arena, nxi_step, steps);
    request->step_count = steps;
    request->arena = &tk.arena;
    tk.requests[tk.request_count++] = request;
    return request;
}

nxi_request *tk_read(const char *sql)
{
    nxi_request *request = tk_new(1);

    request->steps[0] = (nxi_step){ .kind = NXI_STEP_RAW, .statement = tk_text(sql) };
    return request;
}

nxi_request *tk_execute(const char *sql)
{
    nxi_request *request = tk_new(1);

    request->steps[0] = (nxi_step){ .kind = NXI_STEP_EXECUTE, .statement = tk_text(sql) };
    request->writes = true;
    return request;
}

static const nxi_statement *insert_statement(void)
{
    const nxi_table *table = nxi_tables_find(&tk.tables, &Item_entity);
    const nxi_column *number = nxi_table_column(table, nx_str("number"));
    const nxi_statement *made = NULL;

    cr_assert_eq(nxi_statement_insert(table, &number, 1, NULL, &nxi_pg_dialect, &tk.statements, &made), NX_OK);
    return made;
}

nxi_request *tk_insert(size_t count, int32_t first)
{
    nxi_request *request = tk_new(1);
    void **rows = NXI_ARENA_ARRAY(&tk.arena, void *, count);

    for (size_t i = 0; i < count; i++) {
        Item *item = nxi_row_new(&tk.arena, nxi_tables_find(&tk.tables, &Item_entity), NULL);
        item->number = first + (int32_t)i;
        rows[i] = item;
    }
    request->steps[0] = (nxi_step){ .kind = NXI_STEP_WRITE, .statement = insert_statement(), .rows = rows, .row_count = count };
    request->writes = true;
    return request;
}

nxi_request *tk_of(nxi_request *request, uint64_t number, nxi_begin begin, nxi_end end)
{
    request->transaction = number;
    request->begin = begin;
    request->end = end;
    return request;
}

bool tk_put(nxi_request *request)
{
    request->taken_ns = nxi_clock_ns();
    return tk.wire->put(tk.pg, request) == NX_OK;
}

Item *tk_item(const nxi_request *request, size_t row)
{
    return request->steps[0].rows[row];
}

/* ------------------------------------------------------------------------------ moving bytes */

void tk_fill(void)
{
    bool more = true;

    while (more && !tk.out.failed) {
        size_t before = tk.out.size;
        more = tk.wire->fill(tk.pg, &tk.out, tk.enough == 0 ? 1048576 : tk.out.size + tk.enough, tk.position);
        tk.position += tk.out.size - before;
        if (tk.enough != 0)
            break;
    }
}

void tk_serve(void)
{
    if (tk.out.failed)
        return;
    pgm_take(&tk.model, tk.out.data, tk.out.size);
    nxi_buf_clear(&tk.out);
}

/* A block of exactly these bytes, so that a read beyond them is seen. */
static nx_status decode(const uint8_t *data, size_t size)
{
    static const nxi_sink sink = { .finished = finished, .notified = notified };
    uint8_t *exact = size == 0 ? NULL : malloc(size);
    nx_status status;

    if (exact == NULL)
        return NX_OK;
    memcpy(exact, data, size);
    nxi_error_reset(&tk.error);
    status = tk.wire->decode(tk.pg, exact, size, &sink, &tk.error);
    free(exact);
    tk.received += (long)size;
    if (status == NX_OK)
        return NX_OK;
    cr_assert_eq(tk.error.status, status);
    tk.status = status;
    tk.failures++;
    return status;
}

nx_status tk_feed(const void *data, size_t size)
{
    const uint8_t *at = data;
    nx_status status = NX_OK;

    if (tk.cut == TK_BYTES) {
        for (size_t i = 0; i < size && status == NX_OK; i++)
            status = decode(at + i, 1);
        return status;
    }
    if (tk.cut > tk.received && tk.cut < tk.received + (long)size) {
        size_t first = (size_t)(tk.cut - tk.received);
        status = decode(at, first);
        at += first;
        size -= first;
    }
    return status == NX_OK ? decode(at, size) : status;
}

void tk_receive(void)
{
    if (tk.status == NX_OK)
        (void)tk_feed(tk.model.out.data, tk.model.out.size);
    tk.model.out.size = 0;
}

bool tk_run(void)
{
    for (unsigned quiet = 0; quiet < 2 && tk.status == NX_OK && !tk.out.failed;) {
        size_t sent;
        tk_fill();
        sent = tk.out.size;
        tk_serve();
        quiet = sent == 0 && tk.model.out.size == 0 ? quiet + 1 : 0;
        tk_receive();
    }
    return tk.status == NX_OK && !tk.out.failed;
}

const char *tk_log(void)
{
    static char copy[sizeof(tk.model.log)];

    memcpy(copy, tk.model.log, tk.model.log_size + 1);
    tk.model.log_size = 0;
    tk.model.log[0] = '\0';
    return copy;
}
