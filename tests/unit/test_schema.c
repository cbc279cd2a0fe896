/*
 * test_schema - CREATE and DROP statements.
 */
#include "tests/support/mapping_kit.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(schema, .init = kit_open, .fini = kit_close);

#define AUTHOR(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, name, .max_len = 80, .unique = true)                                                                     \
    FIELD(E, SET, Post, posts)
#define POST(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, title, .max_len = 200, .index = true)                                                                    \
    FIELD(E, OPT, longtext, body)                                                                                                \
    FIELD(E, REQ, boolean, draft, .sql_default = "TRUE")                                                                         \
    FIELD(E, OPT, f64, score, .sql_type = "FLOAT4")                                                                              \
    FIELD(E, LOCAL, int, scratch)                                                                                                \
    FIELD(E, SINGLE, Author, author)                                                                                             \
    FIELD(E, SINGLE, Post, reply_to, .optional = true, .fk_name = "answers")
NX_ENTITY_DECLARE(Author, AUTHOR)
NX_ENTITY_DECLARE(Post, POST)
NX_ENTITY_DEFINE(Author, AUTHOR)
NX_ENTITY_DEFINE(Post, POST, .indexes = NX_LIST("draft, score"), .uniques = NX_LIST("author, title"))

static void check_statements(const char *const *expected, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cr_assert_not_null(kit_statement(i), "%s", expected[i]);
        cr_assert_str_eq(kit_statement(i), expected[i]);
    }
    cr_assert_null(kit_statement(count));
}

Test(schema, tables_constraints_and_indexes)
{
    static const char *const expected[] = {
        "CREATE TABLE IF NOT EXISTS \"author\" (\n"
        "    \"id\" I64 AUTO PRIMARY KEY,\n"
        "    \"name\" TEXT(80) NOT NULL,\n"
        "    CONSTRAINT \"unq_author__name\" UNIQUE (\"name\")\n"
        ") PLAIN",
        "CREATE TABLE IF NOT EXISTS \"post\" (\n"
        "    \"id\" I64 AUTO PRIMARY KEY,\n"
        "    \"title\" TEXT(200) NOT NULL,\n"
        "    \"body\" LONGTEXT,\n"
        "    \"draft\" BOOLEAN NOT NULL DEFAULT TRUE,\n"
        "    \"score\" FLOAT4,\n"
        "    \"author_id\" I64 NOT NULL,\n"
        "    \"reply_to_id\" I64,\n"
        "    CHECK (\"draft\" IN (0, 1)),\n"
        "    CONSTRAINT \"fk_post__author_id\" FOREIGN KEY (\"author_id\") REFERENCES \"author\" (\"id\") ON DELETE CASCADE,\n"
        "    CONSTRAINT \"answers\" FOREIGN KEY (\"reply_to_id\") REFERENCES \"post\" (\"id\") ON DELETE SET NULL,\n"
        "    CONSTRAINT \"unq_post__author_id__title\" UNIQUE (\"author_id\", \"title\")\n"
        ") PLAIN",
        "CREATE INDEX IF NOT EXISTS \"idx_post__title\" ON \"post\" (\"title\")",
        "CREATE INDEX IF NOT EXISTS \"idx_post__reply_to_id\" ON \"post\" (\"reply_to_id\")",
        "CREATE INDEX IF NOT EXISTS \"idx_post__draft__score\" ON \"post\" (\"draft\", \"score\")",
    };

    cr_assert_eq(kit_map(&Post_entity, &Author_entity), NX_OK, "%s", kit_error.message);
    check_statements(expected, NXI_COUNT(expected));
}

#define REGION(FIELD, E)                                                                                                         \
    FIELD(E, PK, text, country, .max_len = 2)                                                                                    \
    FIELD(E, PK, i32, number)
#define TOWN(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id, .caller_assigned = true)                                                                               \
    FIELD(E, SINGLE, Region, region, .on_delete = NX_ON_DELETE_RESTRICT, .unique = true)                                         \
    FIELD(E, SINGLE, Region, old, .optional = true, .on_delete = NX_ON_DELETE_CASCADE, .column = "oc, on")
NX_ENTITY(Region, REGION)
NX_ENTITY(Town, TOWN, .table = "t")

Test(schema, composite_keys)
{
    static const char *const expected[] = {
        "CREATE TABLE IF NOT EXISTS \"region\" (\n"
        "    \"country\" TEXT(2) NOT NULL,\n"
        "    \"number\" I32 NOT NULL,\n"
        "    PRIMARY KEY (\"country\", \"number\")\n"
        ") PLAIN",
        "CREATE TABLE IF NOT EXISTS \"t\" (\n"
        "    \"id\" I64 NOT NULL,\n"
        "    \"region_country\" TEXT(2) NOT NULL,\n"
        "    \"region_number\" I32 NOT NULL,\n"
        "    \"oc\" TEXT(2),\n"
        "    \"on\" I32,\n"
        "    PRIMARY KEY (\"id\"),\n"
        "    CONSTRAINT \"unq_t__region_country__region_number\" UNIQUE (\"region_country\", \"region_number\"),\n"
        "    CONSTRAINT \"fk_t__region_country__region_number\" FOREIGN KEY (\"region_country\", \"region_number\") REFERENCES "
        "\"region\" (\"country\", \"number\") "
        "ON DELETE RESTRICT,\n"
        "    CONSTRAINT \"fk_t__oc__on\" FOREIGN KEY (\"oc\", \"on\") REFERENCES \"region\" (\"country\", \"number\") "
        "ON DELETE CASCADE\n"
        ") PLAIN",
        "CREATE INDEX IF NOT EXISTS \"idx_t__oc__on\" ON \"t\" (\"oc\", \"on\")",
    };

    cr_assert_eq(kit_map(&Region_entity, &Town_entity), NX_OK, "%s", kit_error.message);
    check_statements(expected, NXI_COUNT(expected));
}

/* ---------------------------------------------------------------------- other dialects */

#define HEN(FIELD, E)                                                                                                            \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, OPT, i32, age, .index = true)                                                                                       \
    FIELD(E, SINGLE, Egg, egg, .optional = true)                                                                                 \
    FIELD(E, SINGLE, Hen, mother, .optional = true)
#define EGG(FIELD, E)                                                                                                            \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Hen, hen)
NX_ENTITY_DECLARE(Hen, HEN)
NX_ENTITY_DECLARE(Egg, EGG)
NX_ENTITY_DEFINE(Hen, HEN)
NX_ENTITY_DEFINE(Egg, EGG)

static void add_constraint(const char *table, const char *name, const char *definition, nxi_buf *sql)
{
    nxi_buf_printf(sql, "ADD %s TO %s: %s", name, table, definition);
}

/* Goal: what refers to a table that is made later is added when all are there; a table refers to itself at once. */
Test(schema, circles_where_the_target_must_be_there)
{
    nxi_dialect dialect = kit_dialect;
    const char *const *list = NULL;

    dialect.add_constraint = add_constraint;
    dialect.nulls_clause = true;
    cr_assert_eq(kit_map(&Egg_entity, &Hen_entity), NX_OK, "%s", kit_error.message);
    cr_assert_eq(nxi_schema_create(&kit_tables, &dialect, &kit_arena, &list, &kit_error), NX_OK);
    cr_expect_str_eq(list[0], "CREATE TABLE IF NOT EXISTS \"hen\" (\n"
                              "    \"id\" I64 AUTO PRIMARY KEY,\n"
                              "    \"age\" I32,\n"
                              "    \"egg_id\" I64,\n"
                              "    \"mother_id\" I64,\n"
                              "    CONSTRAINT \"fk_hen__mother_id\" FOREIGN KEY (\"mother_id\") REFERENCES \"hen\" (\"id\") "
                              "ON DELETE SET NULL\n"
                              ") PLAIN");
    cr_expect_not_null(strstr(list[1], "FOREIGN KEY (\"hen_id\") REFERENCES \"hen\" (\"id\")"), "%s", list[1]);
    cr_expect_str_eq(list[2], "ADD fk_hen__egg_id TO hen: CONSTRAINT \"fk_hen__egg_id\" FOREIGN KEY (\"egg_id\") REFERENCES "
                              "\"egg\" (\"id\") ON DELETE SET NULL");
    cr_expect_str_eq(list[3], "CREATE INDEX IF NOT EXISTS \"idx_hen__age\" ON \"hen\" (\"age\" NULLS FIRST)");
    cr_expect_str_eq(list[4], "CREATE INDEX IF NOT EXISTS \"idx_hen__egg_id\" ON \"hen\" (\"egg_id\" NULLS FIRST)");
    cr_expect_str_eq(list[5], "CREATE INDEX IF NOT EXISTS \"idx_hen__mother_id\" ON \"hen\" (\"mother_id\" NULLS FIRST)");
    cr_expect_str_eq(list[6], "CREATE INDEX IF NOT EXISTS \"idx_egg__hen_id\" ON \"egg\" (\"hen_id\")");
    cr_expect_null(list[7]);
    const char *const names[] = { "hen", "egg" };
    dialect.drops_together = true;
    cr_expect_eq(nxi_schema_drops(&dialect, 2), 1);
    cr_expect_eq(nxi_schema_drops(&kit_dialect, 2), 2);
    cr_expect_eq(nxi_schema_drops(&dialect, 0), 0);
    cr_expect_str_eq(nxi_schema_drop(&dialect, names, 2, true, &kit_arena), "DROP TABLE IF EXISTS \"hen\", \"egg\"");
}

/* -------------------------------------------------------------------------------- names */

static nx_status create_error(void)
{
    const char *const *list = NULL;

    nxi_error_reset(&kit_error);
    return nxi_schema_create(&kit_tables, &kit_dialect, &kit_arena, &list, &kit_error);
}

#define COLLIDING_A(FIELD, E)                                                                                                    \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, b__c, .index = true)
#define COLLIDING_B(FIELD, E)                                                                                                    \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, c, .index = true)
NX_ENTITY(CollidingA, COLLIDING_A, .table = "a")
NX_ENTITY(CollidingB, COLLIDING_B, .table = "a__b")

Test(schema, names_of_constraints_are_checked)
{
    static const nx_field fields[] = {{.name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i64},
                                      {.name = "region", .kind = NX_KIND_SINGLE, .target = &Author_entity, .fk_name = ""}};
    nx_entity *made = NULL;

    cr_assert_eq(kit_map(&CollidingA_entity, &CollidingB_entity), NX_OK);
    cr_assert_eq(create_error(), NX_EMAPPING);
    cr_assert_str_eq(kit_error.message, "CollidingB.c: two indexes or constraints have the name 'idx_a__b__c'");
    cr_assert_eq(nx_entity_new("Made", fields, 2, NULL, &made), NX_OK);
    cr_assert_eq(kit_map(made, &Author_entity, &Post_entity), NX_OK, "%s", kit_error.message);
    cr_assert_eq(create_error(), NX_EMAPPING);
    cr_assert_str_eq(kit_error.message, "Made.region: Plain cannot hold the name fk_name");
    nx_entity_free(made);
}

#define LONG_TWINS(FIELD, E)                                                                                                     \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, a_name_rather_long_for_a_column_1, .index = true)                                                        \
    FIELD(E, REQ, text, a_name_rather_long_for_a_column_2, .unique = true)                                                       \
    FIELD(E, REQ, text, xxxxxxxxxxxxxxxxx\u00e9\u00e9\u00e9\u00e9\u00e9, .index = true)
NX_ENTITY(Twins, LONG_TWINS)

/* The name that stands behind `words`; its size. */
static size_t name_behind(const char *sql, const char *words, char *name, size_t size)
{
    const char *at = strstr(sql, words);

    cr_assert_not_null(at, "%s in %s", words, sql);
    at += strlen(words);
    size_t length = strcspn(at, "\"");
    cr_assert_lt(length, size);
    memcpy(name, at, length);
    name[length] = '\0';
    return length;
}

/* Cut at a character, and told apart by digits that are always the same. */
Test(schema, names_that_are_too_long_are_shortened)
{
    char names[3][64], again[64];
    const char *const *list = NULL, *const *second = NULL;

    cr_assert_eq(kit_map(&Twins_entity), NX_OK, "%s", kit_error.message);
    cr_assert_eq(nxi_schema_create(&kit_tables, &kit_dialect, &kit_arena, &list, &kit_error), NX_OK, "%s", kit_error.message);
    cr_expect_eq(name_behind(list[1], "CREATE INDEX IF NOT EXISTS \"", names[0], 64), (size_t)KIT_IDENTIFIER_BYTES);
    cr_expect_eq(strncmp(names[0], "idx_twins__a_name_rather_long_f_", 32), 0, "%s", names[0]);
    cr_expect_eq(strspn(names[0] + 32, "0123456789abcdef"), 8u);
    cr_expect_eq(name_behind(list[0], "CONSTRAINT \"", names[1], 64), (size_t)KIT_IDENTIFIER_BYTES);
    cr_expect_str_neq(names[0] + 32, names[1] + 32);
    (void)name_behind(list[2], "CREATE INDEX IF NOT EXISTS \"", names[2], 64);
    cr_expect(nxi_identifier_is_valid(&kit_dialect, names[2]), "%s", names[2]);
    cr_assert_eq(nxi_schema_create(&kit_tables, &kit_dialect, &kit_arena, &second, &kit_error), NX_OK);
    (void)name_behind(second[1], "CREATE INDEX IF NOT EXISTS \"", again, 64);
    cr_expect_str_eq(again, names[0]);
}

/* Reads a quoted identifier as a server does; NULL: the quotes do not close. */
static const char *unquote(const char *sql, char *name, size_t size)
{
    size_t length = 0;

    if (*sql++ != '"')
        return NULL;
    for (;; sql++) {
        if (*sql == '\0' || length + 1 >= size)
            return NULL;
        if (*sql == '"' && *++sql != '"')
            break;
        name[length++] = *sql;
    }
    name[length] = '\0';
    return sql;
}

/* Method: whatever bytes a name has, it is refused, or comes back whole out of the quotes of the statement. */
Test(schema, random_identifiers_cannot_escape)
{
    static const char *const pieces[] = {"\"", "\"\"",     "'",    ";", "--", "/*",           "*/", "\\",   "\n", " ", "a",
                                         "x",  "\xc3\xa9", "\xff", "`", "]",  "drop table t", ")",  "\x01", "%s", "%n"};
    static const char start[] = "CREATE TABLE IF NOT EXISTS ";
    uint64_t state = 7;
    size_t accepted = 0;

    for (int round = 0; round < 20000; round++) {
        char table[128] = "", column[128] = "", back[128];
        nx_field fields[] = {{.name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i64},
                             {.name = "f", .kind = NX_KIND_OPT, .type = NX_TYPE_text, .column = column}};
        nx_entity *made = NULL;
        const char *const *list = NULL;
        const char *rest;

        for (int piece = 0; piece < 3; piece++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            strncat(table, pieces[(state >> 33) % NXI_COUNT(pieces)], sizeof(table) - strlen(table) - 1);
            strncat(column, pieces[(state >> 43) % NXI_COUNT(pieces)], sizeof(column) - strlen(column) - 1);
        }
        cr_assert_eq(nx_entity_new("Made", fields, 2, &(nx_entity){.table = table}, &made), NX_OK);
        if (kit_map(made) == NX_OK) {
            cr_assert_eq(nxi_schema_create(&kit_tables, &kit_dialect, &kit_arena, &list, &kit_error), NX_OK);
            cr_assert_eq(strncmp(list[0], start, strlen(start)), 0);
            rest = unquote(list[0] + strlen(start), back, sizeof(back));
            cr_assert_not_null(rest);
            cr_assert_str_eq(back, table);
            rest = strstr(rest, "PRIMARY KEY,\n    ");
            cr_assert_not_null(rest);
            rest = unquote(rest + strlen("PRIMARY KEY,\n    "), back, sizeof(back));
            cr_assert_not_null(rest);
            cr_assert_str_eq(back, column);
            cr_assert_str_eq(rest, " TEXT\n) PLAIN");
            accepted++;
        } else {
            cr_assert_eq(kit_error.status, NX_EMAPPING);
            cr_assert(strstr(table, "\xff") != NULL || strstr(column, "\xff") != NULL || strlen(table) > KIT_IDENTIFIER_BYTES ||
                          strlen(column) > KIT_IDENTIFIER_BYTES,
                      "%s", kit_error.message);
        }
        nx_entity_free(made);
        nxi_arena_reset(&kit_arena);
    }
    cr_assert_gt(accepted, 10000);
}

Test(schema, drop)
{
    cr_assert_str_eq(nxi_schema_drop(&kit_dialect, &(const char *){ "post" }, 1, false, &kit_arena), "DROP TABLE \"post\"");
    cr_assert_str_eq(nxi_schema_drop(&kit_dialect, &(const char *){ "a\"; drop" }, 1, true, &kit_arena),
                     "DROP TABLE IF EXISTS \"a\"\"; drop\"");
}

/* --------------------------------------------------------------------------- inheritance */

#define ANIMAL(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, name)
#define DOG(FIELD, E)                                                                                                            \
    ANIMAL(FIELD, E)                                                                                                             \
    FIELD(E, REQ, i32, tricks, .index = true)
#define HOUND(FIELD, E)                                                                                                          \
    DOG(FIELD, E)                                                                                                                \
    FIELD(E, REQ, i32, speed)
NX_ENTITY(Animal, ANIMAL, .discriminator = "kind")
NX_ENTITY(Dog, DOG, .parent = &Animal_entity, .discriminator_value = "dog")
NX_ENTITY(Hound, HOUND, .parent = &Dog_entity, .discriminator_value = "hound")

Test(schema, a_tree_is_one_table_with_the_columns_of_all)
{
    static const char *const expected[] = {
        "CREATE TABLE IF NOT EXISTS \"animal\" (\n"
        "    \"id\" I64 AUTO PRIMARY KEY,\n"
        "    \"name\" TEXT NOT NULL,\n"
        "    \"kind\" TEXT,\n"
        "    \"tricks\" I32,\n"
        "    \"speed\" I32\n"
        ") PLAIN",
        "CREATE INDEX IF NOT EXISTS \"idx_animal__tricks\" ON \"animal\" (\"tricks\")",
    };
    static const char *const alone[] = {
        "CREATE TABLE IF NOT EXISTS \"animal\" (\n"
        "    \"id\" I64 AUTO PRIMARY KEY,\n"
        "    \"name\" TEXT NOT NULL\n"
        ") PLAIN",
    };

    cr_assert_eq(kit_map(&Dog_entity, &Animal_entity, &Hound_entity), NX_OK, "%s", kit_error.message);
    check_statements(expected, NXI_COUNT(expected));
    cr_assert_eq(kit_map(&Animal_entity), NX_OK);
    check_statements(alone, NXI_COUNT(alone));
}

Test(schema, every_failing_allocation_is_an_answer)
{
    const char *const *list = NULL;
    nx_status status = NX_ENOMEM;
    size_t failures = 0;

    cr_assert_eq(kit_map(&Post_entity, &Author_entity), NX_OK);
    for (uint64_t n = 1; status != NX_OK && n < 200; n++) {
        nxi_memory_fail(n, true);
        kit_error.status = NX_OK;
        status = nxi_schema_create(&kit_tables, &kit_dialect, &kit_arena, &list, &kit_error);
        nxi_memory_fail(0, false);
        cr_assert_eq(status, kit_error.status);
        cr_assert(status == NX_OK || status == NX_ENOMEM);
        failures += status != NX_OK;
    }
    cr_assert_eq(status, NX_OK);
    cr_assert_gt(failures, 0);
}
