/*
 * sqlite dialect: types, checks, IN lists, LIKE, quoting; each rendered text is run by SQLite itself.
 */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>

#include "drivers/driver.h"

static const nxi_dialect *dialect(void)
{
    return nxi_driver_sqlite.dialect;
}

typedef struct bench {
    nxi_memory *memory;
    nxi_arena arena;
    nxi_buf sql;
    sqlite3 *db;
} bench;

static void bench_open(bench *b)
{
    b->memory = nxi_memory_new(0);
    nxi_arena_init(&b->arena, b->memory);
    nxi_buf_init(&b->sql, b->memory);
    cr_assert_eq(sqlite3_open(":memory:", &b->db), SQLITE_OK);
}

static void bench_close(bench *b)
{
    sqlite3_close(b->db);
    nxi_buf_fini(&b->sql);
    nxi_arena_fini(&b->arena);
    nxi_memory_free(b->memory);
}

static void placeholder(void *context, nxi_buf *sql)
{
    (void)context;
    nxi_buf_putc(sql, '?');
}

/* ------------------------------------------------------------------------------ identifiers */

Test(sqlite_dialect, quotes_are_doubled)
{
    bench b;

    bench_open(&b);
    nxi_quote(dialect(), "a\"b\"\"c", &b.sql);
    cr_assert_str_eq(nxi_buf_str(&b.sql), "\"a\"\"b\"\"\"\"c\"");
    nxi_buf_clear(&b.sql);
    nxi_quote(dialect(), "", &b.sql);
    cr_assert_str_eq(nxi_buf_str(&b.sql), "\"\"");
    bench_close(&b);
}

Test(sqlite_dialect, identifiers_are_checked)
{
    char name[300];

    memset(name, 'a', sizeof(name));
    name[255] = '\0';
    cr_assert(nxi_identifier_is_valid(dialect(), name));
    name[255] = 'a';
    name[256] = '\0';
    cr_assert(!nxi_identifier_is_valid(dialect(), name));
    cr_assert(!nxi_identifier_is_valid(dialect(), ""));
    cr_assert(!nxi_identifier_is_valid(dialect(), NULL));
    cr_assert(!nxi_identifier_is_valid(dialect(), "a\xff"));
    cr_assert(!nxi_identifier_is_valid(dialect(), "\xed\xa0\x80"));
    cr_assert(nxi_identifier_is_valid(dialect(), "größe \"x\""));
}

/* ------------------------------------------------------------------------------ types */

static const char *type_text(bench *b, nx_type type, const nx_field *field, nxi_form form)
{
    nxi_column column = {
        .name = "c", .field = field, .type = type, .form = form, .max_len = field == NULL ? 0 : (uint32_t)field->max_len};

    nxi_buf_clear(&b->sql);
    dialect()->column_type(&column, &b->sql);
    return nxi_buf_str(&b->sql);
}

/* The storage class of a text or integer in a column of that type tells the affinity. */
static const char *stored_as(bench *b, nx_type type, const char *literal)
{
    static char result[16];
    sqlite3_stmt *stmt;
    char sql[256];

    (void)snprintf(sql, sizeof(sql), "DROP TABLE IF EXISTS t; CREATE TABLE t (c %s); INSERT INTO t VALUES (%s)",
                   type_text(b, type, NULL, NXI_FORM_PLAIN), literal);
    cr_assert_eq(sqlite3_exec(b->db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(b->db));
    cr_assert_eq(sqlite3_prepare_v2(b->db, "SELECT typeof(c) FROM t", -1, &stmt, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    (void)snprintf(result, sizeof(result), "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return result;
}

Test(sqlite_dialect, texts_that_look_like_numbers_stay_texts)
{
    static const nx_type texts[] = {NX_TYPE_text, NX_TYPE_longtext, NX_TYPE_decimal,     NX_TYPE_json,
                                    NX_TYPE_date, NX_TYPE_time,     NX_TYPE_timestamp,   NX_TYPE_timestamptz,
                                    NX_TYPE_uuid, NX_TYPE_ulid,     NX_TYPE_enumeration, NX_TYPE_vector};
    static const nx_type integers[] = { NX_TYPE_boolean, NX_TYPE_i16, NX_TYPE_i32, NX_TYPE_i64, NX_TYPE_u32, NX_TYPE_interval };
    bench b;

    bench_open(&b);
    for (size_t i = 0; i < NXI_COUNT(texts); i++) {
        cr_assert_str_eq(stored_as(&b, texts[i], "'0.10'"), "text", "%s", nx_type_name(texts[i]));
        cr_assert_str_eq(stored_as(&b, texts[i], "'12'"), "text", "%s", nx_type_name(texts[i]));
    }
    for (size_t i = 0; i < NXI_COUNT(integers); i++)
        cr_assert_str_eq(stored_as(&b, integers[i], "1"), "integer", "%s", nx_type_name(integers[i]));
    cr_assert_str_eq(stored_as(&b, NX_TYPE_f64, "1.5"), "real");
    cr_assert_str_eq(stored_as(&b, NX_TYPE_bytes, "x'31'"), "blob");
    bench_close(&b);
}

Test(sqlite_dialect, type_options)
{
    bench b;

    bench_open(&b);
    cr_assert_str_eq(type_text(&b, NX_TYPE_text, &(nx_field){ .max_len = 20 }, NXI_FORM_PLAIN), "VARCHAR(20)");
    cr_assert_str_eq(type_text(&b, NX_TYPE_decimal, &(nx_field){.precision = 10, .scale = 2}, NXI_FORM_PLAIN),
                     "DECIMAL_TEXT(10, 2)");
    cr_assert_str_eq(type_text(&b, NX_TYPE_vector, &(nx_field){ .dimensions = 3 }, NXI_FORM_PLAIN), "VECTOR_TEXT(3)");
    cr_assert_str_eq(type_text(&b, NX_TYPE_i64, &(nx_field){ .sql_type = "NUMERIC" }, NXI_FORM_PLAIN), "NUMERIC");
    cr_assert_str_eq(type_text(&b, NX_TYPE_i64, NULL, NXI_FORM_REFERENCE), "INTEGER");
    nxi_buf_clear(&b.sql);
    dialect()->auto_key(&(nxi_column){ .name = "id" }, &b.sql);
    cr_assert_str_eq(nxi_buf_str(&b.sql), "INTEGER PRIMARY KEY");
    bench_close(&b);
}

Test(sqlite_dialect, checks)
{
    bench b;
    nx_field labelled = { .labels = NX_LABELS("a", "it's") };

    bench_open(&b);
    dialect()->column_check(&(nxi_column){ .type = NX_TYPE_enumeration, .field = &labelled }, "\"c\"", &b.sql);
    cr_assert_str_eq(nxi_buf_str(&b.sql), "CHECK (\"c\" IN ('a', 'it''s'))");
    nxi_buf_clear(&b.sql);
    dialect()->column_check(&(nxi_column){ .type = NX_TYPE_boolean }, "\"c\"", &b.sql);
    cr_assert_str_eq(nxi_buf_str(&b.sql), "CHECK (\"c\" IN (0, 1))");
    nxi_buf_clear(&b.sql);
    dialect()->column_check(&(nxi_column){ .type = NX_TYPE_i32 }, "\"c\"", &b.sql);
    cr_assert_eq(b.sql.size, 0);
    bench_close(&b);
}

/* ------------------------------------------------------------------------------ IN */

/* How many of the values 0 .. 19 are in the list by SQLite's own judgement; texts are "<prefix><number>". */
static int count_in(bench *b, nx_type type, const nx_value *values, size_t count, bool negated, const char *lhs)
{
    size_t parameters = dialect()->in_list(type, count);
    const nx_value *bound = dialect()->in_values(type, values, count, parameters, &b->arena);
    sqlite3_stmt *stmt;
    int found;

    cr_assert_not_null(bound);
    nxi_buf_clear(&b->sql);
    nxi_buf_puts(&b->sql,
                 "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19) SELECT count(*) FROM n WHERE ");
    dialect()->in_render(&(nxi_column){ .type = type }, lhs, negated, parameters, &b->sql, placeholder, NULL);
    cr_assert_eq(sqlite3_prepare_v2(b->db, nxi_buf_str(&b->sql), -1, &stmt, NULL), SQLITE_OK, "%s: %s", sqlite3_errmsg(b->db),
                 nxi_buf_str(&b->sql));
    cr_assert_eq((size_t)sqlite3_bind_parameter_count(stmt), parameters);
    for (size_t i = 0; i < parameters; i++) {
        if (bound[i].type == NX_TYPE_text)
            sqlite3_bind_text(stmt, (int)i + 1, bound[i].text.data, (int)bound[i].text.size, SQLITE_STATIC);
        else if (bound[i].type == NX_TYPE_f64)
            sqlite3_bind_double(stmt, (int)i + 1, bound[i].f64);
        else
            sqlite3_bind_int64(stmt, (int)i + 1, bound[i].i64);
    }
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    found = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return found;
}

Test(sqlite_dialect, in_lists_of_any_length)
{
    bench b;
    nx_value values[5000];

    bench_open(&b);
    for (size_t count = 0; count <= NXI_COUNT(values); count = count < 20 ? count + 1 : count * 5) {
        for (size_t i = 0; i < count; i++)
            values[i] = nx_value_i64((int64_t)i * 2);
        int expected = count < 10 ? (int)count : 10;
        cr_assert_eq(count_in(&b, NX_TYPE_i64, values, count, false, "i"), expected, "%zu", count);
        cr_assert_eq(count_in(&b, NX_TYPE_i64, values, count, true, "i"), 20 - expected, "%zu", count);
        for (size_t i = 0; i < count; i++)
            values[i] = nx_value_f64((double)i * 2);
        cr_assert_eq(count_in(&b, NX_TYPE_f64, values, count, false, "i * 1.0"), expected, "%zu", count);
    }
    bench_close(&b);
}

Test(sqlite_dialect, few_shapes_arise)
{
    size_t shapes = 0, last = 0;

    for (size_t count = 1; count < 100000; count++) {
        size_t parameters = dialect()->in_list(NX_TYPE_text, count);
        shapes += parameters != last;
        last = parameters;
        cr_assert(parameters == 1 || parameters >= count);
    }
    cr_assert_leq(shapes, 4);
    cr_assert_geq(dialect()->in_list(NX_TYPE_bytes, 20000), 20000);
    cr_assert_leq(dialect()->in_list(NX_TYPE_bytes, 20000), dialect()->parameters_max);
    cr_assert_gt(dialect()->in_list(NX_TYPE_bytes, 40000), dialect()->parameters_max, "too many must be seen to be too many");
}

/* A long list is JSON: what is inside texts must come through. */
Test(sqlite_dialect, texts_in_long_lists_are_exact)
{
    static const char *const texts[] = {"",
                                        "a\"b",
                                        "back\\slash",
                                        "new\nline",
                                        "\x01\x1f\x7f",
                                        ("gr\xc3\xbc\xc3\x9f"
                                         "e"),
                                        "\xf0\x9f\x98\x80",
                                        "null",
                                        "1",
                                        "0.10",
                                        "'",
                                        "\\u0041"};
    bench b;

    bench_open(&b);
    for (size_t i = 0; i < NXI_COUNT(texts); i++) {
        nx_value values[12];
        nx_value wanted = nx_value_str(texts[i]);
        char *lhs = sqlite3_mprintf("%Q", texts[i]);
        for (size_t v = 0; v < NXI_COUNT(values); v++)
            values[v] = nx_value_str("other");
        cr_assert_eq(count_in(&b, NX_TYPE_text, values, NXI_COUNT(values), false, lhs), 0);
        values[7] = wanted;
        cr_assert_eq(count_in(&b, NX_TYPE_text, values, NXI_COUNT(values), false, lhs), 20, "%zu", i);
        sqlite3_free(lhs);
    }
    bench_close(&b);
}

Test(sqlite_dialect, extreme_integers_in_long_lists_are_exact)
{
    static const int64_t numbers[] = { INT64_MIN, INT64_MAX, INT64_MIN + 1, 9007199254740993, -1, 0 };
    bench b;

    bench_open(&b);
    for (size_t i = 0; i < NXI_COUNT(numbers); i++) {
        nx_value values[12];
        char lhs[64];
        for (size_t v = 0; v < NXI_COUNT(values); v++)
            values[v] = nx_value_i64(77);
        values[3] = nx_value_i64(numbers[i]);
        (void)snprintf(lhs, sizeof(lhs), numbers[i] == INT64_MIN ? "(-9223372036854775807 - 1)" : "%lld", (long long)numbers[i]);
        cr_assert_eq(count_in(&b, NX_TYPE_i64, values, NXI_COUNT(values), false, lhs), 20, "%lld", (long long)numbers[i]);
    }
    bench_close(&b);
}

Test(sqlite_dialect, rendered_types_in_long_lists)
{
    bench b;
    nx_value values[10];
    char text[NX_TEXT_FORM_SIZE], lhs[NX_TEXT_FORM_SIZE + 4];

    bench_open(&b);
    for (size_t i = 0; i < NXI_COUNT(values); i++)
        values[i] = nx_value_date((nx_date){ (int32_t)i });
    nx_date_format((nx_date){ 4 }, text);
    (void)snprintf(lhs, sizeof(lhs), "'%s'", text);
    cr_assert_eq(count_in(&b, NX_TYPE_date, values, NXI_COUNT(values), false, lhs), 20);
    for (size_t i = 0; i < NXI_COUNT(values); i++)
        values[i] = nx_value_interval((nx_interval){ .microseconds = (int64_t)i });
    cr_assert_eq(count_in(&b, NX_TYPE_interval, values, NXI_COUNT(values), false, "i"), 10);
    values[0].interval.months = 1;
    cr_assert_null(dialect()->in_values(NX_TYPE_interval, values, NXI_COUNT(values), 1, &b.arena));
    bench_close(&b);
}

/* ------------------------------------------------------------------------------ LIKE */

static bool is_like(bench *b, const char *text, const char *pattern, bool ignore_case)
{
    char *lhs = sqlite3_mprintf("%Q", text);
    sqlite3_stmt *stmt;
    bool result;

    cr_assert_eq(sqlite3_exec(b->db, "PRAGMA case_sensitive_like=ON", NULL, NULL, NULL), SQLITE_OK);
    nxi_buf_clear(&b->sql);
    nxi_buf_puts(&b->sql, "SELECT ");
    dialect()->like(lhs, ignore_case, &b->sql, placeholder, NULL);
    sqlite3_free(lhs);
    cr_assert_eq(sqlite3_prepare_v2(b->db, nxi_buf_str(&b->sql), -1, &stmt, NULL), SQLITE_OK, "%s", sqlite3_errmsg(b->db));
    sqlite3_bind_text(stmt, 1, pattern, -1, SQLITE_STATIC);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    result = sqlite3_column_int(stmt, 0) != 0;
    sqlite3_finalize(stmt);
    return result;
}

Test(sqlite_dialect, like_minds_the_case_and_escapes)
{
    bench b;

    bench_open(&b);
    cr_assert(is_like(&b, "Hello", "H%o", false));
    cr_assert(!is_like(&b, "Hello", "h%", false));
    cr_assert(is_like(&b, "Hello", "h%", true));
    cr_assert(is_like(&b, "100%", "100\\%", false));
    cr_assert(!is_like(&b, "1000", "100\\%", false));
    cr_assert(is_like(&b, "A_B", "a\\_b", true));
    cr_assert(!is_like(&b, "AxB", "a\\_b", true));
    bench_close(&b);
}
