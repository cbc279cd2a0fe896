/*
 * The same statements through the engine and through libpq: the same values come out.
 *
 * The engine asks in binary, libpq in text; libpq's text is read by the codec's text side, so that both of them and the server
 * have to agree. Texts and names are compared as they are. Each statement runs three times: before and after the engine
 * knows its result, and as an entity's row would be read.
 */
#include <criterion/criterion.h>
#include <nextorm.h>

#include "drivers/postgres/codec.h"
#include "engine/values.h"
#include "tests/support/pg_kit.h"

static const char *const statements[] = {
    "SELECT 1::int2, (-32768)::int2, 32767::int2, NULL::int2",
    "SELECT 0::int4, (-2147483648)::int4, 2147483647::int4, NULL::int4",
    "SELECT 0::int8, (-9223372036854775808)::int8, 9223372036854775807::int8, 1::oid, 4294967295::oid",
    "SELECT true, false, NULL::bool, 1 = 1",
    "SELECT 0.1::float8, 1e308::float8, -0.0::float8, 'NaN'::float8, 'Infinity'::float8, 5e-324::float8, 0.1::float4, "
    "1e38::float4",
    "SELECT 0::numeric, 0.00::numeric, -12.50::numeric, 1e40::numeric, 1e-40::numeric, 'NaN'::numeric, 10000::numeric, "
    "0.0001::numeric, "
    "123456789012345678901234567890.123456789::numeric(50, 9), 99999999::numeric, 1.10::numeric",
    "SELECT ''::text, 'abc'::text, 'gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80'::text, 'x'::varchar(3), 'x'::char(3), 'n'::name, "
    "'q'::\"char\", NULL::text",
    "SELECT ''::bytea, '\\x00ff10'::bytea, decode(repeat('ab', 5000), 'hex'), NULL::bytea",
    "SELECT '2000-01-01'::date, '1970-01-01'::date, '0001-01-01'::date, '9999-12-31'::date, 'infinity'::date, '-infinity'::date",
    "SELECT '00:00'::time, '23:59:59.999999'::time, '24:00'::time",
    "SELECT '2000-01-01'::timestamp, '1969-12-31 23:59:59.999999'::timestamp, 'infinity'::timestamp, '2024-02-29 "
    "12:34:56.7'::timestamp",
    "SELECT '2000-01-01 00:00+05:45'::timestamptz, '1900-06-01 12:00 Europe/Dublin'::timestamptz, '-infinity'::timestamptz",
    "SELECT '1 year 2 mons 3 days 04:05:06.789'::interval, '-1 day'::interval, '00:00'::interval, '-00:00:00.000001'::interval",
    "SELECT '00112233-4455-6677-8899-aabbccddeeff'::uuid, NULL::uuid",
    "SELECT '{\"a\": [1, 2, {\"b\": null}]}'::jsonb, '{ \"kept\" :  1 }'::json, '\"text\"'::jsonb, 'null'::jsonb",
    "SELECT ARRAY[1, NULL, 3], ARRAY['a', 'b c', NULL, '\"', '', 'NULL', '{'], ARRAY[[1, 2], [3, 4]], ARRAY[]::int4[], "
    "ARRAY[true, false], ARRAY[1.5, 2]::float8[], ARRAY['2024-01-01']::date[], '[0:1]={5,6}'::int4[]",
    "SELECT '1.2.3.4/24'::inet, '08:00:2b:01:02:03'::macaddr, '(1,2)'::point, B'101'::bit(3), '[1,5)'::int4range, ROW(1, "
    "'x')::text, "
    "'12:34:56+02'::timetz, 'a b'::tsvector, '1'::xid8",
    "SELECT g, g * 1.5, 'row ' || g, CASE WHEN g % 3 = 0 THEN NULL ELSE g END FROM generate_series(1, 500) g",
    "SELECT repeat('x', 65536), repeat('y', 1000000), ''",
    "SELECT",
    "SELECT 1 WHERE false",
    "SELECT 1 AS a, 2 AS a, 3 AS \"A\", 4 AS \"with \"\"quotes\"\"\"",
    "VALUES (1, 'one'), (2, 'two'), (NULL, NULL)",
    "SELECT * FROM (SELECT oid, typname, typlen, typbyval, typcategory, typinput::text FROM pg_type ORDER BY oid LIMIT 100) t",
};

static pg_kit kit;
static nx_loop *loop;
static nx_db *db;
static nxi_memory *memory;

static void open_both(void)
{
    nx_bind_options options;

    pgk_open(&kit);
    options = pgk_options(&kit, PGK_SOCKET);
    memory = nxi_memory_new(0);
    db = pgk_bind(&options, NULL, &loop);
}

static void close_both(void)
{
    nx_loop_close(loop);
    nxi_memory_free(memory);
    pgk_close(&kit);
}

static void compare_value(const char *sql, const PGresult *expected, int row, int column, nx_value found)
{
    nxi_arena arena;
    nx_value value;
    nx_error error;
    bool is_null = PQgetisnull(expected, row, column) == 1;

    nxi_arena_init(&arena, memory);
    nx_status status = nxi_pg_get_value(&arena, (nxi_pg_oid)PQftype(expected, column), NXI_PG_AS_TEXT,
                                        is_null ? NULL : (const uint8_t *)PQgetvalue(expected, row, column),
                                        (size_t)PQgetlength(expected, row, column), &value, &error);
    cr_assert_eq(status, NX_OK, "%s: column %d: %s", sql, column, error.message);
    cr_assert_eq(found.type, value.type, "%s: column %d: %s, not %s", sql, column, nx_type_name(found.type),
                 nx_type_name(value.type));
    cr_assert(nxi_value_equal(&found, &value), "%s: row %d, column %d: \"%s\" by libpq", sql, row, column,
              PQgetvalue(expected, row, column));
    nxi_arena_fini(&arena);
}

static void compare(const char *sql)
{
    PGresult *expected = PQexec(kit.conn, sql);
    nx_completion c = nx_await(loop, nx_select_raw(db, sql, nx_no_args, NULL));

    cr_assert_eq(PQresultStatus(expected), PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(kit.conn));
    cr_assert_eq(c.status, NX_OK, "%s: %s", sql, c.error == NULL ? "" : c.error->message);
    cr_assert_eq(c.raw->row_count, (size_t)PQntuples(expected), "%s", sql);
    cr_assert_eq(c.raw->column_count, (size_t)PQnfields(expected), "%s", sql);
    for (int i = 0; i < PQnfields(expected); i++)
        cr_expect_str_eq(c.raw->names[i], PQfname(expected, i));
    for (int row = 0; row < PQntuples(expected); row++) {
        for (int i = 0; i < PQnfields(expected); i++)
            compare_value(sql, expected, row, i, nx_rows_at(c.raw, (size_t)row, (size_t)i));
    }
    nx_seen(loop, &c);
    PQclear(expected);
}

Test(pg_oracle, results_are_those_of_libpq, .init = open_both, .fini = close_both, .timeout = 60)
{
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        compare(statements[i]);
        compare(statements[i]);
    }
}

/* What fails by libpq fails here, with the same SQLSTATE, and the connection goes on. */
Test(pg_oracle, failures_are_those_of_libpq, .init = open_both, .fini = close_both, .timeout = 60)
{
    static const char *const wrong[] = {
        "SELECT 1/0",
        "SELECT nothing",
        "SELECT * FROM nowhere",
        "SELEC",
        "SELECT 'x'::int4",
        "SELECT '2024-13-01'::date",
        "SELECT 2147483647::int4 + 1",
        "SELECT pg_sleep('x')",
        "SELECT (SELECT 1 UNION ALL SELECT 2)",
        "SELECT 1 FROM pg_class GROUP BY",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        PGresult *expected = PQexec(kit.conn, wrong[i]);
        nx_completion c = nx_await(loop, nx_select_raw(db, wrong[i], nx_no_args, NULL));

        cr_assert_neq(c.status, NX_OK, "%s", wrong[i]);
        cr_expect_str_eq(c.error->sqlstate, PQresultErrorField(expected, PG_DIAG_SQLSTATE), "%s", wrong[i]);
        PQclear(expected);
        compare("SELECT 1");
    }
}
