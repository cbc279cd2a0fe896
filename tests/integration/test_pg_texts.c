/*
 * The texts of PostgreSQL's driver, run by a server: tables of every type, and each text that writes rows, with real rows in the
 * binary forms of the codec. libpq carries them, so that nothing but the texts and the codec is under test.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "drivers/postgres/dialect.h"
#include "drivers/postgres/variants.h"
#include "engine/select.h"
#include "tests/support/pg_kit.h"

#define PLACE(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, name, .max_len = 20, .unique = true)                                                                     \
    FIELD(E, OPT, i32, size)                                                                                                     \
    FIELD(E, OPT, enumeration, mood, .labels = NX_LABELS("sad", "happy"), .sql_type = "mood")                                    \
    FIELD(E, OPT, vector, shape)                                                                                                 \
    FIELD(E, REQ, i32, version, .version = true, .initial = "1")
#define PAIR(FIELD, E)                                                                                                           \
    FIELD(E, PK, i32, a, .caller_assigned = true)                                                                                \
    FIELD(E, PK, text, b)                                                                                                        \
    FIELD(E, OPT, json, c)                                                                                                       \
    FIELD(E, SINGLE, Place, place, .optional = true)
#define LOOSE(FIELD, E)                                                                                                          \
    FIELD(E, PK, ulid, id, .generate = NX_GENERATE_ULID)                                                                         \
    FIELD(E, OPT, i32, x)                                                                                                        \
    FIELD(E, OPT, text, y)                                                                                                       \
    FIELD(E, OPT, text, z, .sql_type = "varchar(5)")
NX_ENTITY(Place, PLACE)
NX_ENTITY(Pair, PAIR, .table = "odd\"name")
NX_ENTITY(Loose, LOOSE, .uniques = NX_LIST("x, y"))

/* Components of vectors. */
static const float floats_0[] = { 1, 2.5f };
static const float floats_1[] = { 0.1f, -1e30f, 3 };
static const float floats_2[] = { 1.5f };
static const float floats_4[] = { 1 };

static pg_kit kit;
static nxi_memory *memory;
static nxi_arena arena;
static nxi_tables tables;
static nxi_statements statements;
static nx_error error;

static void create(const nx_entity *const *entities, size_t count)
{
    const char *const *list = NULL;

    nx_status status = nxi_tables_build(&arena, &nxi_pg_dialect, entities, count, &tables, &error);
    cr_assert_eq(status, NX_OK, "%s", error.message);
    cr_assert_eq(nxi_schema_create(&tables, &nxi_pg_dialect, &arena, &list, &error), NX_OK, "%s", error.message);
    for (int round = 0; round < 2; round++) { /* again: nothing to do */
        for (size_t i = 0; list[i] != NULL; i++)
            pgk_do(&kit, list[i]);
    }
}

static void set_up(void)
{
    static const nx_entity *const entities[] = { &Place_entity, &Pair_entity, &Loose_entity };

    pgk_open(&kit);
    memory = nxi_memory_new(0);
    nxi_arena_init(&arena, memory);
    nxi_statements_init(&statements, memory);
    pgk_do(&kit, "SET client_min_messages = warning; CREATE TYPE mood AS ENUM ('sad', 'happy')");
    create(entities, NXI_COUNT(entities));
}

static void tear_down(void)
{
    nxi_statements_fini(&statements);
    nxi_arena_fini(&arena);
    nxi_memory_free(memory);
    pgk_close(&kit);
}

TestSuite(pg_texts, .init = set_up, .fini = tear_down);

/* ------------------------------------------------------------------------- statements and rows */

typedef struct list {
    const nxi_column *columns[8];
    size_t count;
} list;

static const nxi_table *table_of(const nx_entity *entity)
{
    return nxi_tables_find(&tables, entity);
}

static list columns_of(const nx_entity *entity, const char *names)
{
    list made = { .count = 0 };

    while (*names != '\0') {
        size_t size = strcspn(names, " ");
        const nxi_column *column = nxi_table_column(table_of(entity), nx_strn(names, size));
        cr_assert_not_null(column, "%s", names);
        made.columns[made.count++] = column;
        names += size + (names[size] == ' ');
    }
    return made;
}

static const nxi_statement *insert(const nx_entity *entity, const char *names, nx_conflict rule, const char *key)
{
    const nxi_statement *made = NULL;
    list columns = columns_of(entity, names), key_columns = columns_of(entity, key);
    nxi_conflict conflict = { .rule = rule, .key = key_columns.columns, .key_count = key_columns.count };

    cr_assert_eq(
        nxi_statement_insert(table_of(entity), columns.columns, columns.count, &conflict, &nxi_pg_dialect, &statements, &made),
        NX_OK);
    return made;
}

static const nxi_statement *update(const nx_entity *entity, const char *names, const char *compare, bool use_version)
{
    const nxi_statement *made = NULL;
    list columns = columns_of(entity, names), compared = columns_of(entity, compare);

    cr_assert_eq(nxi_statement_update(table_of(entity), columns.columns, columns.count, compared.columns, compared.count,
                                      use_version, &nxi_pg_dialect, &statements, &made),
                 NX_OK);
    return made;
}

static const nxi_statement *remove_rows(const nx_entity *entity, const char *compare, bool use_version)
{
    const nxi_statement *made = NULL;
    list compared = columns_of(entity, compare);

    cr_assert_eq(nxi_statement_delete(table_of(entity), compared.columns, compared.count, use_version, &nxi_pg_dialect,
                                      &statements, &made),
                 NX_OK);
    return made;
}

static Place *place(int64_t id, const char *name)
{
    Place *made = nxi_row_new(&arena, table_of(&Place_entity), NULL);
    made->id = id;
    made->name = nx_str(name);
    nxi_row_track(made);
    return made;
}

static Place *named_place(size_t number)
{
    char name[24];
    snprintf(name, sizeof(name), "place %zu", number);
    return place((int64_t)number, nxi_arena_str(&arena, name));
}

/* ------------------------------------------------------------------------------------- running */

enum { PARAMETERS_MAX = 16 };

typedef struct call {
    int count;
    Oid types[PARAMETERS_MAX];
    size_t offsets[PARAMETERS_MAX];
    int formats[PARAMETERS_MAX];
    nxi_buf out;
} call;

static void call_add(call *c, Oid type)
{
    cr_assert_lt(c->count, PARAMETERS_MAX);
    c->types[c->count] = type;
    c->formats[c->count] = (int)nxi_pg_parameter_format(type);
    c->offsets[c->count++] = c->out.size;
}

static void make_outs(const nxi_statement *s, bool is_element, nxi_pg_out *outs)
{
    nxi_pg_oid types[PARAMETERS_MAX];
    for (size_t i = 0; i < s->param_count; i++)
        types[i] = is_element ? nxi_pg_variant_element(&s->params[i]) : nxi_pg_variant_type(&s->params[i]);
    nxi_pg_outs_make(s->params, types, s->param_count, outs);
}

static void call_rows(call *c, const nxi_statement *s, void *const *rows, size_t count, bool is_counted)
{
    nxi_pg_out outs[PARAMETERS_MAX];
    size_t bad;

    make_outs(s, true, outs);
    for (size_t i = 0; i < s->param_count; i++) {
        call_add(c, nxi_pg_array_of(outs[i].type));
        cr_assert_eq(nxi_pg_put_column(&c->out, &outs[i], rows, count, &bad, &error), NX_OK, "%s", error.message);
    }
    if (!is_counted)
        return;
    call_add(c, NXI_PG_INT8);
    nx_value number = nx_value_i64((int64_t)count);
    cr_assert_eq(nxi_pg_put_value(&c->out, &number, NXI_PG_INT8, NULL, &error), NX_OK);
}

static void call_row(call *c, const nxi_statement *s, const void *row)
{
    nxi_pg_out outs[PARAMETERS_MAX];

    make_outs(s, false, outs);
    for (size_t i = 0; i < s->param_count; i++) {
        call_add(c, outs[i].type);
        cr_assert_eq(nxi_pg_put_row(&c->out, &outs[i], 1, row, &error), NX_OK, "%s", error.message);
        nxi_buf_putc(&c->out, '\0'); /* where libpq wants a text to end */
    }
}

static PGresult *call_run(call *c, const char *sql)
{
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX];

    for (int i = 0; i < c->count; i++) {
        const uint8_t *at = (const uint8_t *)c->out.data + c->offsets[i];
        lengths[i] = (int)nxi_pg_load32(at);
        values[i] = lengths[i] < 0 ? NULL : (const char *)at + 4;
    }
    PGresult *result = PQexecParams(kit.conn, sql, c->count, c->types, values, lengths, c->formats, 0);
    nxi_buf_fini(&c->out);
    return result;
}

static char *text_of(const nxi_statement *s, nxi_pg_variant variant)
{
    nxi_buf sql;

    nxi_buf_init(&sql, memory);
    cr_assert(nxi_pg_variant_render(s, variant, false, &sql), "variant %d", variant);
    cr_assert_not(sql.failed);
    char *text = nxi_arena_text(&arena, sql.data, sql.size);
    nxi_buf_fini(&sql);
    return text;
}

/* Any result; rows as arrays for MANY, the first one for ONE. */
static PGresult *run_any(const nxi_statement *s, nxi_pg_variant variant, void *const *rows, size_t count)
{
    call c = { .count = 0 };

    nxi_buf_init(&c.out, memory);
    if (variant == NXI_PG_ONE || variant == NXI_PG_ONE_CHECKED)
        call_row(&c, s, rows[0]);
    else
        call_rows(&c, s, rows, count, variant == NXI_PG_MANY && s->write->verb != NXI_WRITE_VERB_INSERT);
    return call_run(&c, text_of(s, variant));
}

static PGresult *run(const nxi_statement *s, nxi_pg_variant variant, void *const *rows, size_t count)
{
    PGresult *result = run_any(s, variant, rows, count);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, "%s\n%s", text_of(s, variant), PQerrorMessage(kit.conn));
    return result;
}

static void run_silent(const nxi_statement *s, nxi_pg_variant variant, void *const *rows, size_t count)
{
    PGresult *result = run(s, variant, rows, count);
    cr_expect_eq(PQntuples(result), 0, "nothing is returned");
    PQclear(result);
}

/* It must fail as the check does: the number of the row. */
static void expect_missing(const nxi_statement *s, nxi_pg_variant variant, void *const *rows, size_t count, int64_t row, int line)
{
    PGresult *result = run_any(s, variant, rows, count);
    cr_assert_eq(PQresultStatus(result), PGRES_FATAL_ERROR, "line %d", line);
    cr_expect_str_eq(PQresultErrorField(result, PG_DIAG_SQLSTATE), "22P02", "line %d: %s", line, PQerrorMessage(kit.conn));
    cr_expect_eq(nxi_pg_missing_row(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)), row, "line %d: %s", line,
                 PQerrorMessage(kit.conn));
    PQclear(result);
}
#define EXPECT_MISSING(s, variant, rows, count, row) expect_missing((s), NXI_PG_##variant, (rows), (count), (row), __LINE__)

static int64_t result_number(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static void expect_text(const char *sql, const char *expected, int line)
{
    char text[2048];
    cr_expect_str_eq(pgk_text(&kit, sql, text, sizeof(text)), expected, "line %d: %s", line, text);
}
#define EXPECT_TEXT(sql, expected) expect_text((sql), (expected), __LINE__)

/* COPY, with the codec's tuples. */
static void copy_rows(const char *sql, const nxi_statement *s, void *const *rows, size_t count)
{
    static const char head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
    nxi_pg_out outs[PARAMETERS_MAX];
    nxi_buf out;

    make_outs(s, false, outs);
    nxi_buf_init(&out, memory);
    nxi_buf_put(&out, head, sizeof(head) - 1);
    for (size_t i = 0; i < count; i++) {
        nxi_pg_store16(nxi_buf_grow(&out, 2), (uint16_t)s->param_count);
        cr_assert_eq(nxi_pg_put_row(&out, outs, s->param_count, rows[i], &error), NX_OK, "%s", error.message);
    }
    nxi_buf_put(&out, "\377\377", 2);
    PGresult *result = PQexec(kit.conn, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_COPY_IN, "%s", PQerrorMessage(kit.conn));
    PQclear(result);
    cr_assert_eq(PQputCopyData(kit.conn, out.data, (int)out.size), 1);
    cr_assert_eq(PQputCopyEnd(kit.conn, NULL), 1);
    result = PQgetResult(kit.conn);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s\n%s", sql, PQerrorMessage(kit.conn));
    PQclear(result);
    while ((result = PQgetResult(kit.conn)) != NULL)
        PQclear(result);
    nxi_buf_fini(&out);
}

/* ------------------------------------------------------------------------------------- inserts */

Test(pg_texts, one_row)
{
    void *rows[1] = { place(0, "a") };
    const nxi_statement *s = insert(&Place_entity, "name mood shape version", NX_CONFLICT_ERROR, "");

    ((Place *)rows[0])->mood = nx_some(enumeration, 1);
    ((Place *)rows[0])->shape = nx_some(vector, ((nx_vector){ floats_0, 2 }));
    PGresult *result = run(s, NXI_PG_ONE, rows, 1);
    cr_assert_eq(PQntuples(result), 1);
    cr_expect_eq(result_number(result, 0, 0), 1);
    PQclear(result);
    EXPECT_TEXT("SELECT id || name || mood || shape::text || version FROM place", "1ahappy{1,2.5}1");
    s = insert(&Place_entity, "name version", NX_CONFLICT_UPDATE, "name");
    result = run(s, NXI_PG_ONE, rows, 1);
    cr_expect_eq(PQntuples(result), 0, "nothing to update: left out");
    PQclear(result);
    s = insert(&Place_entity, "name size version", NX_CONFLICT_UPDATE, "name");
    result = run(s, NXI_PG_ONE, rows, 1);
    cr_expect_eq(result_number(result, 0, 0), 1);
    cr_expect_str_eq(PQgetvalue(result, 0, 1), "f", "it was there");
    PQclear(result);
    rows[0] = place(0, "b");
    result = run(s, NXI_PG_ONE, rows, 1);
    cr_expect_str_eq(PQgetvalue(result, 0, 1), "t", "it was not");
    PQclear(result);
    result = run(insert(&Place_entity, "name version", NX_CONFLICT_IGNORE, "name"), NXI_PG_ONE, rows, 1);
    cr_expect_eq(PQntuples(result), 0);
    PQclear(result);
}

/* Goal: keys are given out and returned in the order of the rows, whatever that order is. */
Test(pg_texts, many_rows_in_their_order)
{
    enum { COUNT = 5000 };
    static void *rows[COUNT];
    const nxi_statement *s = insert(&Place_entity, "name size mood shape version", NX_CONFLICT_ERROR, "");

    for (size_t i = 0; i < COUNT; i++) {
        Place *made = named_place(i * 7919 % COUNT);
        made->size = nx_some(i32, (int32_t)i);
        if (i % 3 == 0)
            made->mood = nx_some(enumeration, (nx_enumeration)(i % 2));
        if (i % 5 == 0)
            made->shape = nx_some(vector, ((nx_vector){ floats_1, i % 4 }));
        rows[i] = made;
    }
    PGresult *result = run(s, NXI_PG_MANY, rows, COUNT);
    cr_assert_eq(PQntuples(result), COUNT);
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(result_number(result, i, 0), i + 1);
    PQclear(result);
    cr_expect_eq(pgk_number(&kit, "SELECT count(*) FROM place WHERE id = size + 1"), COUNT);
    cr_expect_eq(pgk_number(&kit, "SELECT count(*) FROM place WHERE name = 'place ' || size::bigint * 7919 % 5000"), COUNT);
    cr_expect_eq(pgk_number(&kit, "SELECT count(*) FROM place WHERE mood IS NOT DISTINCT FROM CASE WHEN size % 3 = 0 THEN "
                                  "(ARRAY['sad', 'happy'])[size % 2 + 1]::mood END"),
                 COUNT);
    cr_expect_eq(pgk_number(&kit, "SELECT count(*) FROM place WHERE shape IS NOT DISTINCT FROM CASE WHEN size % 5 = 0 THEN "
                                  "(ARRAY[0.1, -1e30, 3]::real[])[:size % 4] END"),
                 COUNT);
}

Test(pg_texts, a_value_that_is_too_long_is_refused_not_cut)
{
    Loose *row = nxi_row_new(&arena, table_of(&Loose_entity), NULL);
    void *rows[1] = { row };

    row->z = nx_some(text, nx_str("123456"));
    PGresult *result = run_any(insert(&Loose_entity, "id z", NX_CONFLICT_ERROR, ""), NXI_PG_MANY, rows, 1);
    cr_expect_str_eq(PQresultErrorField(result, PG_DIAG_SQLSTATE), "22001");
    PQclear(result);
}

Test(pg_texts, conflicts_of_many_rows)
{
    void *rows[6];
    const char *names[] = { "a", "b", "a", "c", "b", "a" };

    pgk_do(&kit, "INSERT INTO place (name, size, version) VALUES ('b', 100, 7)");
    for (size_t i = 0; i < 6; i++) {
        Place *made = place(0, names[i]);
        made->size = nx_some(i32, (int32_t)i);
        rows[i] = made;
    }
    PGresult *result = run(insert(&Place_entity, "name size version", NX_CONFLICT_UPDATE, "name"), NXI_PG_MANY, rows, 6);
    cr_expect_eq(PQntuples(result), 3, "one for each key");
    cr_expect_str_eq(PQgetvalue(result, 0, 1), "t", "c");
    cr_expect_str_eq(PQgetvalue(result, 1, 1), "f", "b was there");
    cr_expect_str_eq(PQgetvalue(result, 2, 1), "t", "a");
    PQclear(result);
    EXPECT_TEXT("SELECT string_agg(name || size || ':' || version, ' ' ORDER BY name) FROM place", "a5:1 b4:8 c3:1");
    for (size_t i = 0; i < 6; i++)
        ((Place *)rows[i])->size = nx_some(i32, (int32_t)i + 50);
    ((Place *)rows[5])->name = nx_str("d");
    result = run(insert(&Place_entity, "name size version", NX_CONFLICT_IGNORE, "name"), NXI_PG_MANY, rows, 6);
    cr_expect_eq(PQntuples(result), 1);
    PQclear(result);
    EXPECT_TEXT("SELECT string_agg(name || size || ':' || version, ' ' ORDER BY name) FROM place", "a5:1 b4:8 c3:1 d55:1");
}

static Loose *loose(bool has_x, int x, const char *y, const char *z)
{
    Loose *made = nxi_row_new(&arena, table_of(&Loose_entity), NULL);
    made->id = nx_ulid_new();
    if (has_x)
        made->x = nx_some(i32, x);
    if (y != NULL)
        made->y = nx_some(text, nx_str(y));
    made->z = nx_some(text, nx_str(z));
    return made;
}

Test(pg_texts, nulls_in_a_key_conflict_with_nothing)
{
    void *rows[] = { loose(true, 1, "a", "1"),  loose(false, 0, "a", "2"), loose(false, 0, "a", "3"),
                     loose(true, 1, NULL, "4"), loose(true, 1, "a", "5"),  loose(true, 1, NULL, "6") };
    const nxi_statement *s = insert(&Loose_entity, "id x y z", NX_CONFLICT_UPDATE, "x y");

    PQclear(run(s, NXI_PG_MANY, rows, 6));
    EXPECT_TEXT("SELECT string_agg(z, '' ORDER BY z) FROM loose", "23456");
}

Test(pg_texts, copy)
{
    enum { COUNT = 300 };
    void *rows[COUNT];
    const nxi_statement *s = insert(&Place_entity, "id name size mood shape version", NX_CONFLICT_ERROR, "");

    for (size_t i = 0; i < COUNT; i++) {
        Place *made = named_place(i + 1);
        if (i % 2 == 0) {
            made->mood = nx_some(enumeration, 1);
            made->shape = nx_some(vector, ((nx_vector){ floats_2, 1 }));
        }
        rows[i] = made;
    }
    copy_rows(text_of(s, NXI_PG_COPY), s, rows, COUNT);
    cr_expect_eq(pgk_number(&kit, "SELECT count(*) FROM place WHERE name = 'place ' || id AND version = 1 AND size IS NULL AND "
                                  "(mood = 'happy' AND shape = '{1.5}') IS NOT DISTINCT FROM CASE WHEN id % 2 = 1 THEN true END"),
                 COUNT);
}

/* -------------------------------------------------------------------------- updates and deletes */

static void fill_places(size_t count)
{
    char sql[200];
    snprintf(sql, sizeof(sql),
             "INSERT INTO place (id, name, size, version) SELECT i, 'place ' || i, nullif(i %% 2, 0), 1 "
             "FROM generate_series(1, %zu) AS s(i)",
             count);
    pgk_do(&kit, sql);
}

/* Rows as fill_places has made them. */
static void make_places(void **rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        Place *made = named_place(i + 1);
        if ((i + 1) % 2 == 1)
            made->size = nx_some(i32, 1);
        nxi_row_track(made);
        rows[i] = made;
    }
}

Test(pg_texts, update_of_many)
{
    enum { COUNT = 1000 };
    void *rows[COUNT];
    const nxi_statement *s = update(&Place_entity, "name mood shape", "size name", true);

    fill_places(COUNT);
    make_places(rows, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        Place *row = rows[i];
        row->mood = nx_some(enumeration, 0);
        row->shape = nx_some(vector, ((nx_vector){ floats_4, 1 }));
    }
    run_silent(s, NXI_PG_MANY, rows, COUNT);
    cr_expect_eq(pgk_number(&kit, "SELECT count(*) FROM place WHERE version = 2 AND mood = 'sad' AND shape = '{1}' AND "
                                  "name = 'place ' || id"),
                 COUNT);
    /* The version has moved on. */
    EXPECT_MISSING(s, MANY, rows, COUNT, 1);
    for (size_t i = 0; i < COUNT; i++)
        ((Place *)rows[i])->version = 2;
    pgk_do(&kit, "UPDATE place SET version = 3 WHERE id IN (700, 33, 34)");
    EXPECT_MISSING(s, MANY, rows, COUNT, 33);
    cr_expect_eq(pgk_number(&kit, "SELECT count(*) FROM place WHERE version = 2"), COUNT - 3, "nothing of it remains");
    pgk_do(&kit, "UPDATE place SET version = 2 WHERE id <> 700; UPDATE place SET version = 2, size = 5 WHERE id = 700");
    EXPECT_MISSING(s, MANY, rows, COUNT, 700); /* was NULL */
    pgk_do(&kit, "UPDATE place SET size = NULL WHERE id = 700; DELETE FROM place WHERE id = 1000");
    EXPECT_MISSING(s, MANY, rows, COUNT, 1000);
    PGresult *result = run(s, NXI_PG_MANY_UNCHECKED, rows, COUNT);
    cr_expect_str_eq(PQcmdTuples(result), "999");
    PQclear(result);
    rows[1] = rows[0];
    for (size_t i = 0; i < COUNT; i++)
        ((Place *)rows[i])->version = 3;
    EXPECT_MISSING(s, MANY, rows, 2, 2); /* a row that is there twice */
}

Test(pg_texts, updates_and_deletes_of_one)
{
    void *rows[2];
    const nxi_statement *s = update(&Place_entity, "size", "size", true);

    fill_places(2);
    make_places(rows, 2);
    ((Place *)rows[1])->size = nx_some(i32, 9);
    run_silent(s, NXI_PG_ONE_CHECKED, rows + 1, 1);
    EXPECT_TEXT("SELECT string_agg(coalesce(size, 0) || ':' || version, ' ' ORDER BY id) FROM place", "1:1 9:2");
    EXPECT_MISSING(s, ONE_CHECKED, rows + 1, 1, 1);
    PGresult *result = run(s, NXI_PG_ONE, rows + 1, 1);
    cr_expect_str_eq(PQcmdTuples(result), "0");
    PQclear(result);
    s = remove_rows(&Place_entity, "", false);
    run_silent(s, NXI_PG_ONE_CHECKED, rows, 1);
    EXPECT_MISSING(s, ONE_CHECKED, rows, 1, 1);
    EXPECT_TEXT("SELECT count(*) FROM place", "1");
}

Test(pg_texts, delete_of_many)
{
    void *rows[100];
    const nxi_statement *s = remove_rows(&Place_entity, "size", true);

    fill_places(100);
    make_places(rows, 100);
    run_silent(s, NXI_PG_MANY, rows, 50);
    cr_expect_eq(pgk_number(&kit, "SELECT count(*) FROM place"), 50);
    EXPECT_MISSING(s, MANY, rows + 49, 51, 1);
    s = remove_rows(&Place_entity, "", false);
    run_silent(s, NXI_PG_MANY, rows + 50, 10);
    EXPECT_MISSING(s, MANY, rows + 50, 20, 1);
    PGresult *result = run(s, NXI_PG_MANY_UNCHECKED, rows, 100);
    cr_expect_str_eq(PQcmdTuples(result), "40");
    PQclear(result);
    result = run(s, NXI_PG_MANY_UNCHECKED, rows, 0);
    cr_expect_str_eq(PQcmdTuples(result), "0");
    PQclear(result);
}

Test(pg_texts, composite_keys_and_references)
{
    void *rows[3];

    fill_places(2);
    for (int i = 0; i < 3; i++) {
        Pair *made = nxi_row_new(&arena, table_of(&Pair_entity), NULL);
        made->a = i;
        made->b = nx_str("b");
        made->c = nx_some(json, nx_json_of("{\"x\": 1}"));
        if (i != 2)
            nx_set_ref_key(made->place, i + 1);
        nxi_row_track(made);
        rows[i] = made;
    }
    run_silent(insert(&Pair_entity, "a b c place", NX_CONFLICT_ERROR, ""), NXI_PG_MANY, rows, 3);
    EXPECT_TEXT("SELECT string_agg(a || coalesce(place_id::text, '-') || (c->>'x'), ' ' ORDER BY a) FROM \"odd\"\"name\"",
                "011 121 2-1");
    ((Pair *)rows[1])->c = nx_some(json, nx_json_of("[]"));
    nx_set_ref_key(((Pair *)rows[2])->place, 2);
    const nxi_statement *s = update(&Pair_entity, "c place", "c", false);
    run_silent(s, NXI_PG_MANY, rows, 3);
    EXPECT_TEXT("SELECT string_agg(place_id::text || c::text, ' ' ORDER BY a) FROM \"odd\"\"name\"",
                "1{\"x\": 1} 2[] 2{\"x\": 1}");
    EXPECT_MISSING(s, MANY, rows, 3, 2);
    s = remove_rows(&Pair_entity, "", false);
    run_silent(s, NXI_PG_MANY, rows, 2);
    EXPECT_MISSING(s, MANY, rows + 1, 2, 1);
    PGresult *result = run(s, NXI_PG_MANY_UNCHECKED, rows, 3);
    cr_expect_str_eq(PQcmdTuples(result), "1");
    PQclear(result);
}

/*
 * Goal: the check fails only when it is reached: neither when the statement is planned, with parameters known or not, nor when
 * all rows are there.
 */
Test(pg_texts, the_check_is_evaluated_only_when_rows_are_missing)
{
    static const char *const modes[] = { "force_custom_plan", "force_generic_plan", "auto" };
    char sql[2048];

    fill_places(3);
    for (size_t i = 0; i < NXI_COUNT(modes); i++) {
        snprintf(sql, sizeof(sql), "SET plan_cache_mode = %s; PREPARE many(bigint[], bigint) AS %s", modes[i],
                 text_of(update(&Place_entity, "version", "", false), NXI_PG_MANY));
        pgk_do(&kit, sql);
        snprintf(sql, sizeof(sql), "PREPARE one(bigint) AS %s",
                 text_of(update(&Place_entity, "version", "", false), NXI_PG_ONE_CHECKED));
        pgk_do(&kit, sql);
        pgk_do(&kit, "EXPLAIN EXECUTE many('{7,8}', 2); EXPLAIN EXECUTE one(7)");
        for (int round = 0; round < 8; round++) {
            pgk_do(&kit, "EXECUTE many('{1,2,3}', 3); EXECUTE one(2)");
            PGresult *result = PQexec(kit.conn, "EXECUTE many('{1,7,3,8}', 4)");
            cr_expect_eq(nxi_pg_missing_row(PQresultErrorMessage(result)), 2, "%s", PQresultErrorMessage(result));
            PQclear(result);
            result = PQexec(kit.conn, "EXECUTE one(7)");
            cr_expect_eq(nxi_pg_missing_row(PQresultErrorMessage(result)), 1, "%s", PQresultErrorMessage(result));
            PQclear(result);
        }
        pgk_do(&kit, "DEALLOCATE ALL");
    }
    cr_expect_eq(pgk_number(&kit, "SELECT version FROM place WHERE id = 2"), 1 + 3 * 8 * 2);
}
