/*
 * sqlite_kit - see the header.
 */
#include "tests/support/sqlite_kit.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

NX_ENTITY_DEFINE(Owner, KIT_OWNER, .table = "owner")
NX_ENTITY_DEFINE(Thing, KIT_THING, .table = "thing")
NX_ENTITY_DEFINE(Kinds, KIT_KINDS, .table = "kinds")

/* ------------------------------------------------------------------------------ opening */

void kit_prepare(kit *k)
{
    static const nx_entity *const entities[] = { &Owner_entity, &Thing_entity, &Kinds_entity };
    nx_error error;

    *k = (kit){ .memory = nxi_memory_new(0) };
    nxi_arena_init(&k->arena, k->memory);
    nxi_statements_init(&k->statements, k->memory);
    (void)snprintf(k->directory, sizeof(k->directory), "/tmp/nextorm-XXXXXX");
    cr_assert_not_null(mkdtemp(k->directory));
    (void)snprintf(k->path, sizeof(k->path), "%s/test.db", k->directory);
    k->options.path = k->path;
    cr_assert_eq(nxi_tables_build(&k->arena, nxi_driver_sqlite.dialect, entities, NXI_COUNT(entities), &k->tables, &error), NX_OK,
                 "%s", error.message);
}

void kit_discard(kit *k)
{
    static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
    char path[160];

    for (size_t i = 0; i < NXI_COUNT(ends); i++) {
        (void)snprintf(path, sizeof(path), "%s/test.db%s", k->directory, ends[i]);
        (void)unlink(path);
    }
    (void)rmdir(k->directory);
    nxi_statements_fini(&k->statements);
    nxi_arena_fini(&k->arena);
    nxi_memory_free(k->memory);
}

nx_status kit_open_worker(kit *k, size_t at, nxi_role role, nx_error *error)
{
    const nxi_executor *executor = nxi_driver_sqlite.executor;

    k->ports[at] = (nxi_port){ .memory = k->memory };
    k->states[at] = nxi_zalloc(k->memory, executor->state_size);
    cr_assert_not_null(k->states[at]);
    k->worker_count = at + 1 > k->worker_count ? at + 1 : k->worker_count;
    return executor->open(k->states[at], &k->options, role, &k->ports[at], error);
}

void kit_open(kit *k, const nx_bind_options *options, bool in_memory)
{
    const char *const *list;
    nx_error error;

    kit_prepare(k);
    if (options != NULL)
        k->options = *options;
    k->options.path = in_memory ? ":memory:" : k->path;
    cr_assert_eq(kit_open_worker(k, KIT_WRITER, in_memory ? NXI_ROLE_ONLY : NXI_ROLE_WRITER, &error), NX_OK, "%s", error.message);
    for (size_t i = 1; i < KIT_WORKERS_MAX && !in_memory; i++)
        cr_assert_eq(kit_open_worker(k, i, NXI_ROLE_READER, &error), NX_OK, "%s", error.message);
    cr_assert_eq(nxi_schema_create(&k->tables, nxi_driver_sqlite.dialect, &k->arena, &list, &error), NX_OK, "%s", error.message);
    for (; *list != NULL; list++)
        kit_do(k, *list);
}

void kit_close(kit *k)
{
    const nxi_executor *executor = nxi_driver_sqlite.executor;

    for (size_t i = 0; i < k->worker_count; i++) {
        executor->abandon(k->states[i], NX_ECLOSED);
        executor->close(k->states[i]);
        nxi_release(k->memory, k->states[i]);
    }
    kit_discard(k);
}

/* ------------------------------------------------------------------------------ statements */

const nxi_table *kit_table(const kit *k, const nx_entity *entity)
{
    const nxi_table *table = nxi_tables_find(&k->tables, entity);

    cr_assert_not_null(table);
    return table;
}

const nxi_column *kit_column(const nxi_table *table, const char *name)
{
    const nxi_column *column = nxi_table_column(table, nx_str(name));

    cr_assert_not_null(column, "%s", name);
    return column;
}

const nxi_statement *kit_insert(kit *k, const nx_entity *entity, const nxi_conflict *conflict)
{
    const nxi_table *table = kit_table(k, entity);
    const nxi_column *columns[32];
    const nxi_statement *statement;
    size_t count = 0;

    for (size_t i = 0; i < table->column_count; i++)
        if (&table->columns[i] != table->auto_key)
            columns[count++] = &table->columns[i];
    cr_assert_eq(nxi_statement_insert(table, columns, count, conflict, nxi_driver_sqlite.dialect, &k->statements, &statement),
                 NX_OK);
    return statement;
}

const nxi_statement *kit_update(kit *k, const nx_entity *entity, const char *column)
{
    const nxi_table *table = kit_table(k, entity);
    const nxi_column *columns[] = { kit_column(table, column) };
    const nxi_statement *statement;

    cr_assert_eq(nxi_statement_update(table, columns, 1, NULL, 0, false, nxi_driver_sqlite.dialect, &k->statements, &statement),
                 NX_OK);
    return statement;
}

const nxi_statement *kit_delete(kit *k, const nx_entity *entity)
{
    const nxi_statement *statement;

    cr_assert_eq(
        nxi_statement_delete(kit_table(k, entity), NULL, 0, false, nxi_driver_sqlite.dialect, &k->statements, &statement), NX_OK);
    return statement;
}

static const nxi_column *const *all_columns(kit *k, const nxi_table *table)
{
    const nxi_column **columns = NXI_ARENA_ARRAY(&k->arena, const nxi_column *, table->column_count);

    for (size_t i = 0; i < table->column_count; i++)
        columns[i] = &table->columns[i];
    return columns;
}

const nxi_statement *kit_by_key(kit *k, const nx_entity *entity)
{
    const nxi_table *table = kit_table(k, entity);
    const nxi_statement *statement;

    cr_assert_eq(nxi_statement_by_key(table, all_columns(k, table), table->column_count, nxi_driver_sqlite.dialect,
                                      &k->statements, &statement),
                 NX_OK);
    return statement;
}

const nxi_statement *kit_select(kit *k, const nx_entity *entity, const char *tail, uint32_t id)
{
    const nxi_table *table = kit_table(k, entity);
    nxi_statement *statement = NXI_ARENA_NEW(&k->arena, nxi_statement);
    nxi_buf sql;

    nxi_buf_init(&sql, k->memory);
    for (size_t i = 0; i < table->column_count; i++) {
        nxi_buf_puts(&sql, i == 0 ? "SELECT " : ", ");
        nxi_quote(nxi_driver_sqlite.dialect, table->columns[i].name, &sql);
    }
    nxi_buf_printf(&sql, " FROM %s %s", table->name, tail);
    *statement = (nxi_statement){.id = id,
                                 .sql = nxi_arena_text(&k->arena, sql.data, sql.size),
                                 .sql_size = sql.size,
                                 .table = table,
                                 .results = all_columns(k, table),
                                 .result_count = table->column_count};
    nxi_buf_fini(&sql);
    return statement;
}

const nxi_statement *kit_raw(kit *k, const char *sql)
{
    nxi_statement *statement = NXI_ARENA_NEW(&k->arena, nxi_statement);

    *statement = (nxi_statement){ .sql = sql, .sql_size = strlen(sql) };
    return statement;
}

/* ------------------------------------------------------------------------------ rows and requests */

Thing *kit_thing(kit *k, int number, const char *title)
{
    Thing *thing = nxi_row_new(&k->arena, kit_table(k, &Thing_entity), NULL);

    cr_assert_not_null(thing);
    thing->number = number;
    thing->title = nx_str(nxi_arena_str(&k->arena, title));
    return thing;
}

nxi_request *kit_request(kit *k, size_t steps)
{
    nxi_request *request = NXI_ARENA_NEW(&k->arena, nxi_request);

    request->arena = &k->arena;
    request->steps = NXI_ARENA_ARRAY(&k->arena, nxi_step, steps);
    request->step_count = steps;
    request->queued_ns = nxi_clock_ns();
    return request;
}

nxi_request *kit_write(kit *k, const nxi_statement *statement, void *const *rows, size_t count)
{
    nxi_request *request = kit_request(k, 1);

    request->writes = true;
    request->steps[0] = (nxi_step){ .kind = NXI_STEP_WRITE, .statement = statement, .row_count = count,
                                    .rows = nxi_arena_copy(&k->arena, rows, count * sizeof(*rows)) };
    return request;
}

static nxi_request *with_values(kit *k, nxi_step_kind kind, const nxi_statement *statement, const nx_value *values, size_t count)
{
    nxi_request *request = kit_request(k, 1);

    request->steps[0] = (nxi_step){ .kind = kind, .statement = statement, .value_count = count,
                                    .values = count == 0 ? NULL : nxi_arena_copy(&k->arena, values, count * sizeof(*values)) };
    return request;
}

nxi_request *kit_execute(kit *k, const char *sql, const nx_value *values, size_t count)
{
    nxi_request *request = with_values(k, NXI_STEP_EXECUTE, kit_raw(k, sql), values, count);

    request->writes = true;
    request->steps[0].read_any = true;
    return request;
}

nxi_request *kit_query(kit *k, const char *sql, const nx_value *values, size_t count)
{
    return with_values(k, NXI_STEP_RAW, kit_raw(k, sql), values, count);
}

nxi_request *kit_fetch(kit *k, const nxi_statement *statement, const nx_value *values, size_t count)
{
    return with_values(k, NXI_STEP_FETCH, statement, values, count);
}

nxi_request *kit_in(nxi_request *request, uint64_t transaction, nxi_begin begin, nxi_end end)
{
    request->transaction = transaction;
    request->begin = begin;
    request->end = end;
    return request;
}

nxi_request *kit_end(kit *k, uint64_t transaction, nxi_end end)
{
    return kit_in(kit_request(k, 0), transaction, NXI_BEGIN_NONE, end);
}

void kit_serve(kit *k, size_t worker, ...)
{
    nxi_request *batch = NULL, **end = &batch;
    va_list list;

    va_start(list, worker);
    for (nxi_request *request; (request = va_arg(list, nxi_request *)) != NULL;) {
        request->next = NULL;
        *end = request;
        end = &request->next;
    }
    va_end(list);
    nxi_driver_sqlite.executor->serve(k->states[worker], batch);
}

void kit_serve_until(kit *k, size_t worker, const nxi_request *request)
{
    while (!kit_is_finished(k, worker, request)) {
        int64_t wake_ns = nxi_driver_sqlite.executor->wake_at(k->states[worker]), now = nxi_clock_ns();
        cr_assert_neq(wake_ns, INT64_MAX, "nothing would ever wake the worker");
        if (wake_ns > now)
            nanosleep(&(struct timespec){.tv_sec = (wake_ns - now) / 1000000000, .tv_nsec = (wake_ns - now) % 1000000000}, NULL);
        nxi_driver_sqlite.executor->serve(k->states[worker], NULL);
    }
}

bool kit_is_finished(const kit *k, size_t worker, const nxi_request *request)
{
    size_t times = 0;

    for (size_t i = 0; i < k->ports[worker].finished_count; i++)
        times += k->ports[worker].finished[i] == request;
    cr_assert_leq(times, 1, "finished twice");
    return times == 1;
}

nx_status kit_run(kit *k, size_t worker, nxi_request *request)
{
    kit_serve(k, worker, request, NULL);
    cr_assert(kit_is_finished(k, worker, request));
    cr_assert_eq(request->status == NX_OK, request->error == NULL);
    if (request->error != NULL)
        cr_assert_eq(request->error->status, request->status);
    return request->status;
}

int64_t kit_number(kit *k, size_t worker, const char *sql)
{
    nxi_request *request = kit_query(k, sql, NULL, 0);

    cr_assert_eq(kit_run(k, worker, request), NX_OK, "%s: %s", sql, request->error == NULL ? "" : request->error->message);
    cr_assert_eq(request->steps[0].raw.row_count, 1);
    return request->steps[0].raw.values[0].i64;
}

void kit_do(kit *k, const char *sql)
{
    nxi_request *request = kit_execute(k, sql, NULL, 0);

    cr_assert_eq(kit_run(k, KIT_WRITER, request), NX_OK, "%s: %s", sql, request->error == NULL ? "" : request->error->message);
}

sqlite3 *kit_open_other(kit *k)
{
    sqlite3 *other;

    cr_assert_eq(sqlite3_open(k->path, &other), SQLITE_OK);
    sqlite3_extended_result_codes(other, 1);
    return other;
}

void kit_other_do(sqlite3 *other, const char *sql)
{
    cr_assert_eq(sqlite3_exec(other, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(other));
}

nxi_request *kit_insert_owner(kit *k, const char *name)
{
    char *sql = nxi_arena_get(&k->arena, 128, 1);

    (void)snprintf(sql, 128, "INSERT INTO owner (name) VALUES ('%s')", name);
    return kit_execute(k, sql, NULL, 0);
}

nxi_request *kit_whole(nxi_request *request, uint64_t transaction)
{
    return kit_in(request, transaction, NXI_BEGIN_WRITE, NXI_END_COMMIT);
}

int64_t kit_owners(kit *k)
{
    return kit_number(k, KIT_READER, "SELECT count(*) FROM owner");
}
