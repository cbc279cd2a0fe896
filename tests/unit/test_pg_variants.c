/*
 * variants, sqltype: the texts that write many rows, word by word. tests/integration/test_pg_texts.c runs them.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "drivers/postgres/dialect.h"
#include "drivers/postgres/sqltype.h"
#include "drivers/postgres/variants.h"
#include "engine/select.h"

#define PLACE(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, name, .max_len = 20, .unique = true)                                                                     \
    FIELD(E, OPT, i32, size)                                                                                                     \
    FIELD(E, OPT, enumeration, mood, .labels = NX_LABELS("sad", "happy"), .sql_type = "mood")                                    \
    FIELD(E, OPT, vector, shape)                                                                                                 \
    FIELD(E, REQ, i32, version, .version = true)
#define PAIR(FIELD, E)                                                                                                           \
    FIELD(E, PK, i32, a, .caller_assigned = true)                                                                                \
    FIELD(E, PK, text, b)                                                                                                        \
    FIELD(E, OPT, json, c)                                                                                                       \
    FIELD(E, SINGLE, Place, place, .optional = true)
NX_ENTITY(Place, PLACE)
NX_ENTITY(Pair, PAIR, .table = "odd\"name")

static nxi_memory *memory;
static nxi_arena arena;
static nxi_tables tables;
static nxi_statements statements;
static nxi_buf sql;

static void set_up(void)
{
    static const nx_entity *const entities[] = { &Place_entity, &Pair_entity };
    nx_error error;

    memory = nxi_memory_new(0);
    nxi_arena_init(&arena, memory);
    nxi_statements_init(&statements, memory);
    nxi_buf_init(&sql, memory);
    nx_status status = nxi_tables_build(&arena, &nxi_pg_dialect, entities, NXI_COUNT(entities), &tables, &error);
    cr_assert_eq(status, NX_OK, "%s", error.message);
}

static void tear_down(void)
{
    nxi_buf_fini(&sql);
    nxi_statements_fini(&statements);
    nxi_arena_fini(&arena);
    nxi_memory_free(memory);
}

TestSuite(pg_variants, .init = set_up, .fini = tear_down);

/* Columns by the names of their fields, "a b c". */
typedef struct list {
    const nxi_column *columns[8];
    size_t count;
} list;

static list columns_of(const nx_entity *entity, const char *names)
{
    list made = { .count = 0 };
    const nxi_table *table = nxi_tables_find(&tables, entity);

    while (*names != '\0') {
        size_t size = strcspn(names, " ");
        const nxi_column *column = nxi_table_column(table, nx_strn(names, size));
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

    cr_assert_eq(nxi_statement_insert(nxi_tables_find(&tables, entity), columns.columns, columns.count, &conflict,
                                      &nxi_pg_dialect, &statements, &made),
                 NX_OK);
    return made;
}

static const nxi_statement *update(const nx_entity *entity, const char *names, const char *compare, bool use_version)
{
    const nxi_statement *made = NULL;
    list columns = columns_of(entity, names), compared = columns_of(entity, compare);

    cr_assert_eq(nxi_statement_update(nxi_tables_find(&tables, entity), columns.columns, columns.count, compared.columns,
                                      compared.count, use_version, &nxi_pg_dialect, &statements, &made),
                 NX_OK);
    return made;
}

static const nxi_statement *remove_rows(const nx_entity *entity, const char *compare, bool use_version)
{
    const nxi_statement *made = NULL;
    list compared = columns_of(entity, compare);

    cr_assert_eq(nxi_statement_delete(nxi_tables_find(&tables, entity), compared.columns, compared.count, use_version,
                                      &nxi_pg_dialect, &statements, &made),
                 NX_OK);
    return made;
}

/* NULL: there is no such text. */
static const char *text_of(const nxi_statement *statement, nxi_pg_variant variant)
{
    nxi_buf_clear(&sql);
    bool is_there = nxi_pg_variant_render(statement, variant, false, &sql);
    cr_assert_not(sql.failed);
    return is_there ? nxi_buf_str(&sql) : NULL;
}

static const char *text_by_lookup(const nxi_statement *statement, nxi_pg_variant variant)
{
    nxi_buf_clear(&sql);
    cr_assert(nxi_pg_variant_render(statement, variant, true, &sql));
    return nxi_buf_str(&sql);
}
#define EXPECT(statement, variant, text) cr_expect_str_eq(text_of((statement), NXI_PG_##variant), text)
#define EXPECT_NONE(statement, variant)  cr_expect_null(text_of((statement), NXI_PG_##variant))

/* ------------------------------------------------------------------------------------ insert */

Test(pg_variants, insert)
{
    const nxi_statement *s = insert(&Place_entity, "name size version", NX_CONFLICT_ERROR, "");

    EXPECT(s, ONE, "INSERT INTO \"place\" (\"name\", \"size\", \"version\") VALUES ($1, $2, $3) RETURNING \"id\"");
    EXPECT(s, MANY,
           "INSERT INTO \"place\" (\"name\", \"size\", \"version\") SELECT u.c1, u.c2, u.c3 "
           "FROM unnest($1, $2, $3) WITH ORDINALITY AS u(c1, c2, c3, o) ORDER BY u.o RETURNING \"id\"");
    EXPECT(s, COPY, "COPY \"place\" (\"name\", \"size\", \"version\") FROM STDIN (FORMAT binary)");
    EXPECT_NONE(s, ONE_CHECKED);
    EXPECT_NONE(s, MANY_UNCHECKED);
}

Test(pg_variants, insert_with_given_keys_returns_nothing)
{
    const nxi_statement *s = insert(&Pair_entity, "a b", NX_CONFLICT_ERROR, "");

    EXPECT(s, ONE, "INSERT INTO \"odd\"\"name\" (\"a\", \"b\") VALUES ($1, $2)");
    EXPECT(s, MANY,
           "INSERT INTO \"odd\"\"name\" (\"a\", \"b\") SELECT u.c1, u.c2 "
           "FROM unnest($1, $2) WITH ORDINALITY AS u(c1, c2, o) ORDER BY u.o");
    EXPECT(s, COPY, "COPY \"odd\"\"name\" (\"a\", \"b\") FROM STDIN (FORMAT binary)");
}

Test(pg_variants, insert_without_columns)
{
    const nxi_statement *s = insert(&Place_entity, "", NX_CONFLICT_ERROR, "");

    EXPECT(s, ONE, "INSERT INTO \"place\" DEFAULT VALUES RETURNING \"id\"");
    EXPECT_NONE(s, MANY);
    EXPECT_NONE(s, COPY);
}

Test(pg_variants, types_of_the_users_own_are_cast)
{
    const nxi_statement *s = insert(&Place_entity, "mood shape", NX_CONFLICT_ERROR, "");

    EXPECT(s, ONE, "INSERT INTO \"place\" (\"mood\", \"shape\") VALUES ($1, $2) RETURNING \"id\"");
    EXPECT(s, MANY,
           "INSERT INTO \"place\" (\"mood\", \"shape\") SELECT u.c1::mood, translate(u.c2, '[]', '{}')::real[] "
           "FROM unnest($1, $2) WITH ORDINALITY AS u(c1, c2, o) ORDER BY u.o RETURNING \"id\"");
    EXPECT(s, COPY, "COPY \"place\" (\"mood\", \"shape\") FROM STDIN (FORMAT binary)");
    cr_expect_eq(nxi_pg_variant_type(&s->params[0]), NXI_PG_INFER);
    cr_expect_eq(nxi_pg_variant_element(&s->params[0]), NXI_PG_TEXT);
    cr_expect_eq(nxi_pg_variant_type(&s->params[1]), nxi_pg_array_of(NXI_PG_FLOAT4));
    cr_expect_eq(nxi_pg_variant_element(&s->params[1]), NXI_PG_TEXT);
}

Test(pg_variants, conflicts)
{
    const nxi_statement *s = insert(&Place_entity, "name size", NX_CONFLICT_IGNORE, "name");

    EXPECT(s, ONE,
           "INSERT INTO \"place\" (\"name\", \"size\") VALUES ($1, $2) ON CONFLICT (\"name\") DO NOTHING RETURNING \"id\"");
    EXPECT(s, MANY,
           "INSERT INTO \"place\" (\"name\", \"size\") SELECT u.c1, u.c2 FROM unnest($1, $2) WITH ORDINALITY AS u(c1, c2, o) "
           "ORDER BY u.o ON CONFLICT (\"name\") DO NOTHING RETURNING \"id\"");
    EXPECT_NONE(s, COPY);
    s = insert(&Place_entity, "name size", NX_CONFLICT_UPDATE, "name");
    EXPECT(s, ONE,
           "INSERT INTO \"place\" (\"name\", \"size\") VALUES ($1, $2) ON CONFLICT (\"name\") DO UPDATE SET \"size\" = "
           "excluded.\"size\", \"version\" = \"place\".\"version\" + 1 RETURNING \"id\", (xmax = 0)");
    EXPECT(s, MANY,
           "INSERT INTO \"place\" (\"name\", \"size\") SELECT u.c1, u.c2 FROM (SELECT DISTINCT ON (u.c1) u.* FROM "
           "unnest($1, $2) WITH ORDINALITY AS u(c1, c2, o) ORDER BY u.c1, u.o DESC) AS u ORDER BY u.o ON CONFLICT (\"name\") "
           "DO UPDATE SET \"size\" = excluded.\"size\", \"version\" = \"place\".\"version\" + 1 RETURNING \"id\", (xmax = 0)");
    s = insert(&Pair_entity, "a b c", NX_CONFLICT_UPDATE, "");
    EXPECT(s, MANY,
           "INSERT INTO \"odd\"\"name\" (\"a\", \"b\", \"c\") SELECT u.c1, u.c2, u.c3 FROM (SELECT DISTINCT ON (u.c1, u.c2) u.* "
           "FROM unnest($1, $2, $3) WITH ORDINALITY AS u(c1, c2, c3, o) ORDER BY u.c1, u.c2, u.o DESC) AS u ORDER BY u.o "
           "ON CONFLICT (\"a\", \"b\") DO UPDATE SET \"c\" = excluded.\"c\" RETURNING (xmax = 0)");
    cr_expect_str_eq(text_by_lookup(s, NXI_PG_ONE),
                     "INSERT INTO \"odd\"\"name\" (\"a\", \"b\", \"c\") VALUES ($1, $2, $3) ON CONFLICT (\"a\", \"b\") DO UPDATE "
                     "SET \"c\" = excluded.\"c\" RETURNING NOT EXISTS (SELECT FROM \"odd\"\"name\" AS nextorm_there "
                     "WHERE nextorm_there.\"a\" = \"odd\"\"name\".\"a\" AND nextorm_there.\"b\" = \"odd\"\"name\".\"b\")");
    s = insert(&Pair_entity, "a b", NX_CONFLICT_UPDATE, "");
    EXPECT(
        s, ONE,
        "INSERT INTO \"odd\"\"name\" (\"a\", \"b\") VALUES ($1, $2) ON CONFLICT (\"a\", \"b\") DO NOTHING RETURNING (xmax = 0)");
    cr_expect_null(strstr(text_of(s, NXI_PG_MANY), "DISTINCT"), "nothing is written twice");
}

Test(pg_variants, keys_with_nulls_or_that_are_not_written_keep_all_rows)
{
    const nxi_statement *s = insert(&Place_entity, "size mood", NX_CONFLICT_UPDATE, "size mood");

    EXPECT(s, MANY,
           "INSERT INTO \"place\" (\"size\", \"mood\") SELECT u.c1, u.c2::mood FROM unnest($1, $2) WITH ORDINALITY AS "
           "u(c1, c2, o) ORDER BY u.o ON CONFLICT (\"size\", \"mood\") DO NOTHING RETURNING \"id\", (xmax = 0)");
    s = insert(&Place_entity, "size mood name", NX_CONFLICT_UPDATE, "size mood");
    EXPECT(s, MANY,
           "INSERT INTO \"place\" (\"size\", \"mood\", \"name\") SELECT u.c1, u.c2::mood, u.c3 FROM (SELECT DISTINCT ON (u.c1, "
           "u.c2::mood, CASE WHEN u.c1 IS NULL OR u.c2 IS NULL THEN u.o END) u.* FROM unnest($1, $2, $3) WITH ORDINALITY AS "
           "u(c1, c2, c3, o) ORDER BY u.c1, u.c2::mood, CASE WHEN u.c1 IS NULL OR u.c2 IS NULL THEN u.o END, u.o DESC) AS u "
           "ORDER BY u.o ON CONFLICT (\"size\", \"mood\") DO UPDATE SET \"name\" = excluded.\"name\", \"version\" = "
           "\"place\".\"version\" + 1 RETURNING \"id\", (xmax = 0)");
    s = insert(&Place_entity, "name", NX_CONFLICT_UPDATE, "");
    cr_expect_null(strstr(text_of(s, NXI_PG_MANY), "DISTINCT"), "the key is the database's own");
}

/* -------------------------------------------------------------------------- update and delete */

#define CHECK_MANY(n)                                                                                                            \
    " RETURNING u.o) SELECT 0 FROM (SELECT count(*) AS n FROM w) AS c WHERE CASE WHEN c.n = $" n                                 \
    " THEN false ELSE ('nextorm:row ' || (SELECT min(i) FROM generate_series(1, $" n ") AS s(i) "                                \
    "WHERE NOT EXISTS (SELECT FROM w WHERE w.o = s.i)))::int8 = 0 END"
#define CHECK_ONE                                                                                                                \
    " RETURNING 1) SELECT 0 FROM (SELECT count(*) AS n FROM w) AS c WHERE CASE WHEN c.n <> 0 THEN false "                        \
    "ELSE ('nextorm:row ' || (1 + c.n))::int8 = 0 END"

Test(pg_variants, update)
{
    const nxi_statement *s = update(&Place_entity, "name mood", "name size", true);
    static const char many[] =
        "UPDATE \"place\" AS r SET \"name\" = u.c1, \"mood\" = u.c2::mood, \"version\" = r.\"version\" + 1 "
        "FROM unnest($1, $2, $3, $4, $5, $6) WITH ORDINALITY AS u(c1, c2, c3, c4, c5, c6, o) WHERE r.\"id\" = u.c3 AND "
        "r.\"version\" = u.c4 AND r.\"name\" = u.c5 AND r.\"size\" IS NOT DISTINCT FROM u.c6";
    char checked[1024];

    cr_expect_str_eq(text_of(s, NXI_PG_ONE), s->sql);
    snprintf(checked, sizeof(checked), "WITH w AS (%s" CHECK_ONE, s->sql);
    EXPECT(s, ONE_CHECKED, checked);
    EXPECT(s, MANY_UNCHECKED, many);
    snprintf(checked, sizeof(checked), "WITH w AS (%s" CHECK_MANY("7"), many);
    EXPECT(s, MANY, checked);
    EXPECT_NONE(s, COPY);
    s = update(&Place_entity, "version", "", false);
    EXPECT(s, MANY_UNCHECKED,
           "UPDATE \"place\" AS r SET \"version\" = r.\"version\" + 1 FROM unnest($1) WITH ORDINALITY AS u(c1, o) "
           "WHERE r.\"id\" = u.c1");
    s = update(&Pair_entity, "c place", "", false);
    EXPECT(s, MANY_UNCHECKED,
           "UPDATE \"odd\"\"name\" AS r SET \"c\" = u.c1, \"place_id\" = u.c2 FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS "
           "u(c1, c2, c3, c4, o) WHERE r.\"a\" = u.c3 AND r.\"b\" = u.c4");
}

Test(pg_variants, delete)
{
    const nxi_statement *s = remove_rows(&Place_entity, "", false);

    EXPECT(s, MANY_UNCHECKED, "DELETE FROM \"place\" WHERE \"id\" = ANY ($1)");
    EXPECT(s, MANY,
           "WITH w AS (DELETE FROM \"place\" AS r USING unnest($1) WITH ORDINALITY AS u(c1, o) WHERE r.\"id\" = u.c1" CHECK_MANY(
               "2"));
    EXPECT(s, ONE_CHECKED, "WITH w AS (DELETE FROM \"place\" WHERE \"id\" = $1" CHECK_ONE);
    s = remove_rows(&Place_entity, "mood", true);
    EXPECT(s, MANY_UNCHECKED,
           "DELETE FROM \"place\" AS r USING unnest($1, $2, $3) WITH ORDINALITY AS u(c1, c2, c3, o) WHERE r.\"id\" = u.c1 AND "
           "r.\"version\" = u.c2 AND r.\"mood\" IS NOT DISTINCT FROM u.c3::mood");
    s = remove_rows(&Pair_entity, "", false);
    EXPECT(s, MANY_UNCHECKED,
           "DELETE FROM \"odd\"\"name\" AS r USING unnest($1, $2) WITH ORDINALITY AS u(c1, c2, o) WHERE r.\"a\" = u.c1 AND "
           "r.\"b\" = u.c2");
}

Test(pg_variants, statements_that_write_no_rows_have_none)
{
    const nxi_statement s = { .sql = "SELECT 1", .sql_size = 8 };

    for (int variant = NXI_PG_ONE; variant <= NXI_PG_COPY; variant++)
        cr_expect_null(text_of(&s, (nxi_pg_variant)variant));
}

Test(pg_variants, lack_of_memory_shows_in_the_buffer)
{
    const nxi_statement *s = insert(&Place_entity, "name mood", NX_CONFLICT_UPDATE, "name");

    for (int variant = NXI_PG_ONE; variant <= NXI_PG_COPY; variant++) {
        nxi_buf fresh;
        nxi_buf_init(&fresh, memory);
        nxi_memory_fail(1, true);
        bool is_there = nxi_pg_variant_render(s, (nxi_pg_variant)variant, false, &fresh);
        nxi_memory_fail(0, false);
        cr_expect(!is_there || fresh.failed);
        nxi_buf_fini(&fresh);
    }
}

Test(pg_variants, the_missing_row)
{
    cr_expect_eq(nxi_pg_missing_row("invalid input syntax for type bigint: \"nextorm:row 3\""), 3);
    cr_expect_eq(nxi_pg_missing_row("ung\xc3\xbcltige Eingabe: \xc2\xbbnextorm:row 12345\xc2\xab"), 12345);
    cr_expect_eq(nxi_pg_missing_row("nextorm:row "), 0);
    cr_expect_eq(nxi_pg_missing_row("nextorm:row -1"), 0);
    cr_expect_eq(nxi_pg_missing_row("nextorm:row 99999999999999999999"), 0);
    cr_expect_eq(nxi_pg_missing_row("something else"), 0);
    cr_expect_eq(nxi_pg_missing_row(""), 0);
}

/* ----------------------------------------------------------------------------------- sqltype */

typedef struct expectation {
    nx_type type;
    const char *sql_type;
    nxi_pg_oid one, element;
    bool needs_cast, copies;
    const char *cast, *reference;
} expectation;

Test(pg_variants, what_users_call_their_types)
{
    static const expectation wanted[] = {
        { NX_TYPE_text, "citext", NXI_PG_INFER, NXI_PG_TEXT, true, true, "x::citext", "citext" },
        { NX_TYPE_text, "VARCHAR(10)", NXI_PG_INFER, NXI_PG_TEXT, false, true, "x", "VARCHAR(10)" },
        { NX_TYPE_text, "character  varying (10) COLLATE \"C\"", NXI_PG_INFER, NXI_PG_TEXT, false, true, "x",
          "character  varying (10)" },
        { NX_TYPE_text, "uuid", NXI_PG_INFER, NXI_PG_TEXT, true, false, "x::uuid", "uuid" },
        { NX_TYPE_text, "inet DEFAULT '::1'", NXI_PG_INFER, NXI_PG_TEXT, true, false, "x::inet", "inet" },
        { NX_TYPE_text, "bit(8)", NXI_PG_INFER, NXI_PG_TEXT, true, false, "x::varbit", "bit(8)" },
        { NX_TYPE_text, "\"not\".\"My Type\"(3) not null", NXI_PG_INFER, NXI_PG_TEXT, true, false, "x::\"not\".\"My Type\"(3)",
          "\"not\".\"My Type\"(3)" },
        { NX_TYPE_i64, "bigserial", NXI_PG_INT8, NXI_PG_INT8, false, true, "x", "bigint" },
        { NX_TYPE_i64, "INT", NXI_PG_INT4, NXI_PG_INT4, false, true, "x", "INT" },
        { NX_TYPE_i64, "numeric(20)", NXI_PG_INFER, NXI_PG_TEXT, true, false, "x::numeric(20)", "numeric(20)" },
        { NX_TYPE_f64, "real", NXI_PG_FLOAT8, NXI_PG_FLOAT8, false, false, "x", "real" },
        { NX_TYPE_decimal, "Numeric (10, 2)  CHECK (x > 0)", NXI_PG_NUMERIC, NXI_PG_NUMERIC, false, true, "x",
          "Numeric (10, 2)" },
        { NX_TYPE_decimal, "money", NXI_PG_INFER, NXI_PG_TEXT, true, false, "x::money", "money" },
        { NX_TYPE_json, "json", NXI_PG_INFER, NXI_PG_TEXT, true, true, "x::json", "json" },
        { NX_TYPE_enumeration, "mood", NXI_PG_INFER, NXI_PG_TEXT, true, true, "x::mood", "mood" },
        { NX_TYPE_timestamptz, "timestamp(3) with time zone", NXI_PG_TIMESTAMPTZ, NXI_PG_TIMESTAMPTZ, false, true, "x",
          "timestamp(3) with time zone" },
        { NX_TYPE_uuid, "UUID", NXI_PG_UUID, NXI_PG_UUID, false, true, "x", "UUID" },
        { NX_TYPE_vector, "vector(3)", NXI_PG_INFER, NXI_PG_TEXT, true, false, "x::vector(3)", "vector(3)" },
        { NX_TYPE_vector, "real[]", 1021, NXI_PG_TEXT, true, true, "translate(x, '[]', '{}')::real[]", "real[]" },
        { NX_TYPE_text, "a_type_with_a_name_that_is_longer_than_any_that_is_known", NXI_PG_INFER, NXI_PG_TEXT, true, false,
          "x::a_type_with_a_name_that_is_longer_than_any_that_is_known",
          "a_type_with_a_name_that_is_longer_than_any_that_is_known" },
    };

    for (size_t i = 0; i < NXI_COUNT(wanted); i++) {
        const expectation *e = &wanted[i];
        nx_field field = { .name = "x", .type = e->type, .sql_type = e->sql_type };
        nxi_column column = { .name = "x", .field = &field, .type = e->type };
        nxi_pg_travel travel = nxi_pg_travel_of(&column);
        cr_expect_eq(travel.one, e->one, "%s", e->sql_type);
        cr_expect_eq(travel.element, e->element, "%s", e->sql_type);
        cr_expect_eq(travel.needs_cast, e->needs_cast, "%s", e->sql_type);
        cr_expect_eq(travel.copies, e->copies, "%s", e->sql_type);
        nxi_buf_clear(&sql);
        nxi_pg_put_cast(&column, "x", false, &sql);
        cr_expect_str_eq(nxi_buf_str(&sql), e->cast);
        nxi_buf_clear(&sql);
        nxi_pg_put_reference_type(&column, &sql);
        cr_expect_str_eq(nxi_buf_str(&sql), e->reference);
    }
}

/* Goal: texts that are no type at all end the scan as well. */
Test(pg_variants, odd_type_texts)
{
    static const char *const texts[] = { "", " ", "(", ")", "((", "\"", "'", "a(", "a('", "a(\")", "a)b", "\"a", "a \t", "\xff" };

    for (size_t i = 0; i < NXI_COUNT(texts); i++) {
        char *exact = strdup(texts[i]);
        nx_field field = { .name = "x", .type = NX_TYPE_text, .sql_type = exact };
        nxi_column column = { .name = "x", .field = &field, .type = NX_TYPE_text };
        (void)nxi_pg_travel_of(&column);
        nxi_buf_clear(&sql);
        nxi_pg_put_reference_type(&column, &sql);
        cr_expect_leq(sql.size, strlen(exact));
        free(exact);
    }
}

Test(pg_variants, every_type_has_a_text)
{
    cr_expect_str_eq(nxi_pg_type_text(NXI_PG_INFER), "text");
    cr_expect_str_eq(nxi_pg_type_text(nxi_pg_array_of(NXI_PG_FLOAT4)), "real[]");
    for (int type = NX_TYPE_boolean; type < NX_TYPE_key; type++) {
        nxi_pg_oid oid = nxi_pg_parameter_type((nx_type)type);
        bool is_text = oid == NXI_PG_INFER || oid == NXI_PG_TEXT;
        cr_expect_eq(strcmp(nxi_pg_type_text(oid), "text") == 0, is_text, "%s", nx_type_name((nx_type)type));
    }
}
