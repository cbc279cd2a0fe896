/*
 * fuzz_pg_answers - any bytes as what a PostgreSQL server says to any requests: every request ends once or with the connection,
 * nothing is read that is not there, nothing is leaked.
 *
 * The first byte is the size of the script that follows; the rest is what the server says. The script: see `play`. When it is
 * over, the rest is received in pieces, and the driver may send between them.
 */
#include <stdint.h>
#include <stdlib.h>

#include "drivers/postgres/dialect.h"
#include "drivers/postgres/postgres.h"
#include "engine/select.h"
#include "engine/table.h"
#include "nextorm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ITEM(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, number)                                                                                                   \
    FIELD(E, OPT, text, name)
NX_ENTITY(Item, ITEM)

enum { REQUESTS_MAX = 24, KINDS = 16, PIECE = 48, ROWS_MAX = NXI_PG_COPY_MIN + 8, BYTES_MAX = 64 << 20 };

static nxi_memory *lasting;
static nxi_arena mapping;
static nxi_tables tables;
static nxi_statements statements;

/* One run. */
static nxi_memory *memory;
static nxi_arena arena;
static nxi_pg *pg;
static nxi_buf out;
static nxi_request *requests[REQUESTS_MAX], tombstones[REQUESTS_MAX];
static bool ended[REQUESTS_MAX], given_up[REQUESTS_MAX], buried[REQUESTS_MAX];
static size_t request_count;

/* ------------------------------------------------------------------------------ statements */

static const nxi_statement *text(const char *sql)
{
    nxi_statement prototype = { .sql = sql, .sql_size = strlen(sql) };
    const nxi_statement *s = nxi_statements_find(&statements, sql, strlen(sql));

    if (s != NULL)
        return s;
    for (const char *at = sql; *at != '\0'; at++)
        prototype.param_count += *at == '$';
    return nxi_statements_add(&statements, sql, strlen(sql), &prototype);
}

static const nxi_table *item_table(void)
{
    return nxi_tables_find(&tables, &Item_entity);
}

static const nxi_statement *fetch_statement(void)
{
    static const char sql[] = "SELECT id, number, name FROM item";
    const nxi_table *table = item_table();
    const nxi_column *columns[] = { &table->columns[0], &table->columns[1], &table->columns[2] };
    nxi_statement prototype = { .sql = sql, .sql_size = sizeof(sql) - 1, .table = table, .results = columns, .result_count = 3 };
    const nxi_statement *s = nxi_statements_find(&statements, "fetch", 5);

    return s != NULL ? s : nxi_statements_add(&statements, "fetch", 5, &prototype);
}

static const nxi_statement *insert_statement(bool ignore)
{
    const nxi_table *table = item_table();
    const nxi_column *columns[] = { &table->columns[1], &table->columns[2] };
    nxi_conflict conflict = { .rule = ignore ? NX_CONFLICT_IGNORE : NX_CONFLICT_ERROR };
    const nxi_statement *made = NULL;

    nx_status status = nxi_statement_insert(table, columns, 2, &conflict, &nxi_pg_dialect, &statements, &made);
    NX_ASSERT(status == NX_OK);
    return made;
}

static const nxi_statement *update_statement(void)
{
    const nxi_table *table = item_table();
    const nxi_column *columns[] = { &table->columns[1] };
    const nxi_statement *made = NULL;

    nx_status status = nxi_statement_update(table, columns, 1, NULL, 0, false, &nxi_pg_dialect, &statements, &made);
    NX_ASSERT(status == NX_OK);
    return made;
}

/* ------------------------------------------------------------------------------ requests */

static void **make_rows(size_t count, bool with_keys)
{
    void **rows = NXI_ARENA_ARRAY(&arena, void *, count);

    for (size_t i = 0; i < count; i++) {
        Item *item = nxi_row_new(&arena, item_table(), NULL);
        NX_ASSERT(rows != NULL && item != NULL);
        item->number = (int32_t)i * 100;
        if (with_keys)
            item->id = (int64_t)i + 1;
        rows[i] = item;
    }
    return rows;
}

static nxi_step write_step(const nxi_statement *statement, size_t count, bool with_keys)
{
    return (nxi_step){ .kind = NXI_STEP_WRITE, .statement = statement, .rows = make_rows(count, with_keys), .row_count = count };
}

static nxi_step raw_step(const char *sql)
{
    static const nx_value value = { .type = NX_TYPE_i64, .i64 = 7 };
    const nxi_statement *s = text(sql);

    return (nxi_step){ .kind = NXI_STEP_RAW, .statement = s, .values = &value, .value_count = s->param_count };
}

static nxi_step plain_step(nxi_step_kind kind, const char *sql)
{
    return (nxi_step){ .kind = kind, .statement = text(sql) };
}

/* Numbers over 1000 are refused by the table. */
static nxi_step step_of(unsigned kind)
{
    nxi_step step;

    switch (kind) {
    case 0: return raw_step("SELECT 1 AS a, 'x'::text AS b, 1.5::numeric AS c, now() AS d, ARRAY[1, 2] AS e");
    case 1: return raw_step("SELECT $1::int8 AS a");
    case 2: return raw_step("SELECT 1 / 0");
    case 3: return raw_step("SELEC");
    case 4: return (nxi_step){ .kind = NXI_STEP_FETCH, .statement = fetch_statement() };
    case 5: return write_step(insert_statement(false), 1, false);
    case 6:
        step = write_step(insert_statement(false), 12, false);
        step.set_aside = true;
        return step;
    case 7: return write_step(insert_statement(false), ROWS_MAX, false);
    case 8: return plain_step(NXI_STEP_EXECUTE, "UPDATE item SET name = 'y'");
    case 9: return write_step(insert_statement(true), 6, false);
    case 10:
        step = write_step(update_statement(), 3, true);
        step.must_affect = true;
        return step;
    case 11: return plain_step(NXI_STEP_SCALAR, "SELECT count(*) FROM item");
    case 12: return (nxi_step){ .kind = NXI_STEP_CURSOR_OPEN, .statement = fetch_statement(), .cursor = 1 };
    case 13: return (nxi_step){ .kind = NXI_STEP_CURSOR_FETCH, .statement = fetch_statement(), .cursor = 1, .row_limit = 2 };
    case 14: return (nxi_step){ .kind = NXI_STEP_CURSOR_CLOSE, .cursor = 1 };
    default: return plain_step(NXI_STEP_SCRIPT, "SET application_name = 'fuzz'");
    }
}

/* way: 0 alone, 1 begins transaction 1, 2 in it, 3 ends it. */
static void put_request(unsigned kind, unsigned way)
{
    nxi_request *request = NXI_ARENA_NEW(&arena, nxi_request);
    bool is_read = kind <= 4 || kind == 11;

    if (request_count == REQUESTS_MAX)
        return;
    request->arena = &arena;
    request->steps = NXI_ARENA_NEW(&arena, nxi_step);
    request->step_count = 1;
    *request->steps = step_of(kind);
    request->tracked = kind % 2 == 0;
    request->writes = !is_read;
    if (way != 0 || (kind >= 12 && kind <= 14))
        request->transaction = 1;
    if (way == 1 || (kind == 12 && way == 0))
        request->begin = kind % 3 == 0 ? NXI_BEGIN_SNAPSHOT : NXI_BEGIN_WRITE;
    if (way == 3)
        request->end = kind % 2 == 0 ? NXI_END_COMMIT : NXI_END_ROLLBACK;
    request->context = &requests[request_count];
    requests[request_count++] = request;
    nx_status status = nxi_driver_postgres.wire->put(pg, request);
    NX_ASSERT(status == NX_OK);
}

static void finished(void *context, nxi_request *request)
{
    (void)context;
    if (request >= tombstones && request < tombstones + REQUESTS_MAX) {
        size_t at = (size_t)(request - tombstones);
        NX_ASSERT(given_up[at] && !buried[at]);
        buried[at] = true;
        return;
    }
    size_t at = (size_t)((nxi_request **)request->context - requests);
    NX_ASSERT(at < request_count && !ended[at] && !given_up[at]);
    ended[at] = true;
    NX_ASSERT(request->status == NX_OK || request->error != NULL);
    for (size_t i = 0; i < request->step_count && request->status == NX_OK; i++) {
        const nxi_step *step = &request->steps[i];
        for (int64_t row = 0; (step->kind == NXI_STEP_FETCH || step->kind == NXI_STEP_CURSOR_FETCH) && row < step->affected;
             row++)
            NX_ASSERT(step->fetched[row] != NULL);
        for (size_t v = 0; v < step->raw.row_count * step->raw.column_count; v++)
            NX_ASSERT(step->raw.values[v].type < NX_TYPE_count);
    }
}

static void give_up(size_t at)
{
    if (at >= request_count || ended[at] || given_up[at])
        return;
    given_up[at] = true;
    tombstones[at] = (nxi_request){ .status = NX_ECANCELED };
    buried[at] = !nxi_driver_postgres.wire->give_up(pg, requests[at], &tombstones[at]);
    memset(requests[at]->steps, 0xa5, sizeof(nxi_step)); /* it is the engine's again */
}

/* ------------------------------------------------------------------------------ bytes */

/* Everything in small pieces, or what one call gives. */
static void fill(size_t enough)
{
    nxi_buf_clear(&out);
    (void)nxi_driver_postgres.wire->fill(pg, &out, enough, 0);
}

/* False: the connection is of no more use. */
static bool feed(const uint8_t **data, const uint8_t *end, size_t size)
{
    static const nxi_sink sink = { .finished = finished };
    size_t taken = nxi_min_size(size, (size_t)(end - *data));
    nx_error error;

    if (taken == 0)
        return true;
    nxi_error_reset(&error);
    nx_status status = nxi_driver_postgres.wire->decode(pg, *data, taken, &sink, &error);
    *data += taken;
    NX_ASSERT(status == NX_OK || error.status == status);
    return status == NX_OK;
}

/*
 * One byte of the script: its high half says what, its low half of which kind. 0 to 3: a request, see put_request. 4: the driver
 * sends what fits into a few bytes; 5: all. 6: bytes of the server arrive. 7: a request is given up. 8: settle. 9: spares.
 */
static bool play(uint8_t word, const uint8_t **data, const uint8_t *end)
{
    unsigned which = word & 15;

    switch (word >> 4) {
    case 0:
    case 1:
    case 2:
    case 3: put_request(which, word >> 4); break;
    case 4: fill(1 + which * 8); break;
    case 5: fill(1 << 20); break;
    case 6: return feed(data, end, 1 + which * which);
    case 7: give_up(which); break;
    case 8: nxi_driver_postgres.wire->settle(pg); break;
    case 9: (void)nxi_driver_postgres.wire->spares(pg); break;
    default: break;
    }
    return !out.failed;
}

static void begin_run(void)
{
    static const nx_bind_options options = { .statements_max = 4 };
    static const nx_entity *const entities[] = { &Item_entity };
    nx_error error;

    if (lasting == NULL) {
        lasting = nxi_memory_new(0);
        nxi_arena_init(&mapping, lasting);
        nxi_statements_init(&statements, lasting);
        nx_status status = nxi_tables_build(&mapping, &nxi_pg_dialect, entities, NXI_COUNT(entities), &tables, &error);
        NX_ASSERT(status == NX_OK);
    }
    memory = nxi_memory_new(BYTES_MAX);
    nxi_arena_init(&arena, memory);
    nxi_buf_init(&out, memory);
    pg = nxi_zalloc(memory, nxi_driver_postgres.wire->state_size);
    nxi_pg_init(pg, &options, memory);
    request_count = 0;
    memset(ended, 0, sizeof(ended));
    memset(given_up, 0, sizeof(given_up));
    memset(buried, 0, sizeof(buried));
}

static void end_run(void)
{
    nxi_driver_postgres.wire->close(pg);
    nxi_release(memory, pg);
    nxi_buf_fini(&out);
    nxi_arena_fini(&arena);
    nxi_memory_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *end = data + size;
    bool good = true;

    if (size == 0)
        return 0;
    size_t script = nxi_min_size(*at++, size - 1);
    const uint8_t *answers = at + script;
    begin_run();
    for (size_t i = 0; i < script && good; i++)
        good = play(at[i], &answers, end);
    while (good && answers < end) {
        fill(1 << 20);
        good = !out.failed && feed(&answers, end, PIECE);
    }
    /* An idle connection has nothing left to say to anybody. */
    for (size_t i = 0; good && nxi_driver_postgres.wire->is_idle(pg) && i < request_count; i++)
        NX_ASSERT(given_up[i] ? buried[i] : ended[i]);
    end_run();
    return 0;
}
