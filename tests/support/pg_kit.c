/*
 * pg_kit - see the header.
 */
#include "tests/support/pg_kit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "tests/support/test_kit.h"

const char *pgk_env(const char *name)
{
    char variable[64];
    snprintf(variable, sizeof(variable), "NX_TEST_POSTGRES_%s", name);
    const char *value = getenv(variable);
    cr_assert_not_null(value, "%s is not set: tests/run starts the servers, or tests/servers does", variable);
    return value;
}

static uint16_t port_of(const char *name)
{
    char *end = NULL;
    unsigned long port = strtoul(pgk_env(name), &end, 10);
    cr_assert(*end == '\0' && port > 0 && port <= UINT16_MAX, "%s", pgk_env(name));
    return (uint16_t)port;
}

uint16_t pgk_port(void)
{
    return port_of("PORT");
}

uint16_t pgk_pooler_port(void)
{
    return port_of("POOLER_PORT");
}

PGconn *pgk_connect(const pg_kit *k)
{
    char options[256];
    snprintf(options, sizeof(options),
             "-csearch_path=%s -cTimeZone=UTC -cDateStyle=ISO -cIntervalStyle=iso_8601 -cextra_float_digits=1 -cbytea_output=hex",
             k->schema);
    const char *const keywords[] = { "host", "port", "dbname", "user", "options", "client_encoding", "application_name", NULL };
    const char *const values[] = {
        pgk_env("SOCKET"), pgk_env("PORT"), pgk_env("DBNAME"), pgk_env("USER"), options, "UTF8", "test", NULL
    };
    PGconn *conn = PQconnectdbParams(keywords, values, 0);
    cr_assert_eq(PQstatus(conn), CONNECTION_OK, "%s", PQerrorMessage(conn));
    return conn;
}

static PGresult *run(pg_kit *k, const char *sql)
{
    PGresult *result = PQexec(k->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY, "%s: %s", sql,
              PQerrorMessage(k->conn));
    return result;
}

void pgk_do(pg_kit *k, const char *sql)
{
    PQclear(run(k, sql));
}

char *pgk_text(pg_kit *k, const char *sql, char *buffer, size_t size)
{
    PGresult *result = run(k, sql);
    cr_assert(PQntuples(result) > 0 && PQnfields(result) > 0, "%s: no row", sql);
    snprintf(buffer, size, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return buffer;
}

int64_t pgk_number(pg_kit *k, const char *sql)
{
    char text[64], *end = NULL;
    pgk_text(k, sql, text, sizeof(text));
    long long number = strtoll(text, &end, 10);
    cr_assert(text[0] != '\0' && *end == '\0', "%s: \"%s\" is no number", sql, text);
    return number;
}

static void ignore_notice(void *context, const PGresult *notice)
{
    (void)context;
    (void)notice;
}

void pgk_open(pg_kit *k)
{
    char sql[96];
    uint64_t number = 0;

    *k = (pg_kit){ .conn = NULL };
    cr_assert_eq(getrandom(&number, sizeof(number), 0), (ssize_t)sizeof(number));
    snprintf(k->schema, sizeof(k->schema), "t%ld_%016llx", (long)getpid(), (unsigned long long)number);
    k->conn = pgk_connect(k);
    PQsetNoticeReceiver(k->conn, ignore_notice, NULL);
    snprintf(sql, sizeof(sql), "CREATE SCHEMA %s", k->schema);
    pgk_do(k, sql);
}

void pgk_close(pg_kit *k)
{
    char sql[256];

    if (k->conn == NULL)
        return;
    if (PQtransactionStatus(k->conn) != PQTRANS_IDLE)
        pgk_do(k, "ROLLBACK");
    snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", k->schema);
    pgk_do(k, sql);
    if (k->has_role) {
        /* The pooler keeps its sessions a little longer than their clients. */
        snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%s'; DROP ROLE %s",
                 k->schema, k->schema);
        pgk_do(k, sql);
    }
    PQfinish(k->conn);
    k->conn = NULL;
}

static nx_bind_options through_pooler(pg_kit *k, const char *database)
{
    char sql[256];

    if (!k->has_role) {
        snprintf(sql, sizeof(sql), "CREATE ROLE %s SUPERUSER LOGIN; ALTER ROLE %s SET search_path TO %s", k->schema, k->schema,
                 k->schema);
        pgk_do(k, sql);
        k->has_role = true;
    }
    return (nx_bind_options){
        .host = pgk_env("HOST"), .port = pgk_pooler_port(), .user = k->schema, .dbname = database, .pooler = NX_POOLER_TRANSACTION
    };
}

nx_bind_options pgk_options(pg_kit *k, pgk_way way)
{
    if (way == PGK_POOLER || way == PGK_POOLER_ONE)
        return through_pooler(k, way == PGK_POOLER ? "nextorm" : "nextorm_one");

    nx_bind_options options = { .port = pgk_port(), .user = pgk_env("USER"), .dbname = pgk_env("DBNAME"), .dsn = k->dsn };

    if (way == PGK_SOCKET) {
        options.host = pgk_env("SOCKET");
        snprintf(k->dsn, sizeof(k->dsn), "options='-csearch_path=%s' application_name=%s", k->schema, k->schema);
        return options;
    }
    options.host = pgk_env("HOST");
    options.password = pgk_env("PASSWORD");
    int size = way == PGK_PLAIN ? snprintf(k->dsn, sizeof(k->dsn),
                                           "options='-csearch_path=%s' application_name=%s sslmode=disable", k->schema, k->schema)
                                : snprintf(k->dsn, sizeof(k->dsn),
                                           "options='-csearch_path=%s' application_name=%s sslmode=verify-full sslrootcert='%s'",
                                           k->schema, k->schema, pgk_env("CA"));
    cr_assert(size > 0 && (size_t)size < sizeof(k->dsn));
    return options;
}

nx_db *pgk_bind(const nx_bind_options *options, const nx_entity *const *entities, nx_loop **ret_loop)
{
    cr_assert_eq(nx_loop_open(NULL, ret_loop, NULL), NX_OK);
    nx_db *db = nx_db_new(*ret_loop, entities);
    nx_completion c = nx_await(*ret_loop, nx_bind(db, "postgres", options, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    return db;
}

void pgk_map(nx_loop *loop, nx_db *db, unsigned flags)
{
    nx_completion c = nx_await(loop, nx_generate_mapping(db, flags, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
}

void pgk_finish(pg_kit *k, nx_loop *loop)
{
    PGresult *result;

    while (PQisBusy(k->conn) != 0) {
        cr_assert_eq(nx_submit(loop), NX_OK);
        tk_pause_ms(1);
        cr_assert_eq(PQconsumeInput(k->conn), 1, "%s", PQerrorMessage(k->conn));
    }
    while ((result = PQgetResult(k->conn)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s", PQerrorMessage(k->conn));
        PQclear(result);
    }
}

void pgk_wait_for(pg_kit *k, nx_loop *loop, const char *sql)
{
    for (int i = 0; pgk_number(k, sql) == 0; i++) {
        cr_assert_lt(i, 10000, "it does not come: %s", sql);
        if (loop != NULL)
            cr_assert_eq(nx_submit(loop), NX_OK);
        tk_pause_ms(1);
    }
}

void pgk_wait_for_sleepers(pg_kit *k, nx_loop *loop, const char *words, int count)
{
    char sql[256];

    snprintf(sql, sizeof(sql),
             "SELECT (count(*) = %d)::int FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%%%s%%' AND "
             "application_name = '%s'",
             count, words, k->schema);
    pgk_wait_for(k, loop, sql);
}

bool pgk_kill(pg_kit *k, int64_t pid, int wait_ms)
{
    char sql[96];

    snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d, %d)::int", (int)pid, wait_ms);
    return pgk_number(k, sql) == 1;
}
