/*
 * test_catalog - the catalogue's facts, read into the mapping; and what the drivers say of types and texts.
 */
#include "drivers/postgres/catalog.h"
#include "drivers/sqlite/sqlite.h"
#include "engine/catalog.h"
#include "tests/support/catalog_kit.h"
#include "tests/support/mapping_kit.h"

#include <criterion/criterion.h>

#define HOUSE(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, name, .unique = true)                                                                                    \
    FIELD(E, OPT, i32, floors, .sql_default = "1")                                                                               \
    FIELD(E, OPT, boolean, sold)
#define ROOM(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, House, house)                                                                                               \
    FIELD(E, OPT, i32, number)
#define LAMP(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Room, room, .optional = true)                                                                               \
    FIELD(E, SINGLE, Lamp, twin, .optional = true, .on_delete = NX_ON_DELETE_RESTRICT)
#define BULB(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Lamp, lamp)
NX_ENTITY_DECLARE(House, HOUSE)
NX_ENTITY_DECLARE(Room, ROOM)
NX_ENTITY_DECLARE(Lamp, LAMP)
NX_ENTITY_DECLARE(Bulb, BULB)
NX_ENTITY_DEFINE(House, HOUSE)
NX_ENTITY_DEFINE(Room, ROOM, .uniques = NX_LIST("house, number"))
NX_ENTITY_DEFINE(Lamp, LAMP)
NX_ENTITY_DEFINE(Bulb, BULB)

enum { HOUSE_AT, ROOM_AT, LAMP_AT, BULB_AT };

TestSuite(catalog, .init = kit_open, .fini = kit_close);

static bool rounds(const nxi_column *column, const char *type, int64_t modifier)
{
    (void)column;
    return strcmp(type, "short") == 0 && modifier == 2;
}

static bool fires(const char *text, char verb)
{
    return text[0] == verb;
}

static const nxi_catalog_source source = { .query = "?", .rounds = rounds, .fires = fires };

typedef struct line {
    const char *kind;
    int table;
    const char *name, *detail, *extra;
    int64_t number;
} line;

static nx_value text_or_null(const char *text)
{
    return text == NULL ? (nx_value){ .type = NX_TYPE_null } : nx_value_str(text);
}

static bool read_lines(const line *lines, size_t count)
{
    nxi_dialect dialect = kit_dialect;
    nxi_arena scratch;
    nx_value values[64 * 6];

    dialect.catalog = &source;
    cr_assert_leq(count, 64);
    for (size_t i = 0; i < count; i++) {
        values[i * 6] = text_or_null(lines[i].kind);
        values[i * 6 + 1] = nx_value_i64(lines[i].table);
        values[i * 6 + 2] = text_or_null(lines[i].name);
        values[i * 6 + 3] = text_or_null(lines[i].detail);
        values[i * 6 + 4] = text_or_null(lines[i].extra);
        values[i * 6 + 5] = nx_value_i64(lines[i].number);
    }
    nxi_arena_init(&scratch, kit_memory);
    bool done = nxi_catalog_read(&kit_tables, &dialect, &(nx_rows){ .column_count = 6, .row_count = count, .values = values },
                                 &kit_arena, &scratch);
    nxi_arena_fini(&scratch);
    return done;
}
#define READ(...) cr_assert(read_lines((const line[]){ __VA_ARGS__ }, sizeof((const line[]){ __VA_ARGS__ }) / sizeof(line)))

static void map_houses(void)
{
    cr_assert_eq(kit_map(&House_entity, &Room_entity, &Lamp_entity, &Bulb_entity), NX_OK, "%s", kit_error.message);
}

#define T(E)                           kit_table(&E##_entity)
#define COLUMNS_ARE(E, set, expected)  cr_expect_str_eq(ck_columns(T(E), T(E)->set), (expected))
#define TOUCHED_ARE(E, verb, expected) cr_expect_str_eq(ck_touched(&T(E)->verb##_touch), (expected))
#define UNIQUES_ARE(E, expected)       cr_expect_str_eq(ck_uniques(T(E)), (expected))

/* ------------------------------------------------------------------------------ the mapping alone */

static void mapping_is_all(void)
{
    cr_expect(!T(House)->is_catalogued && !T(House)->has_triggers && !T(House)->has_checks);
    COLUMNS_ARE(House, made, "floors");
    COLUMNS_ARE(House, defaulted, "floors");
    COLUMNS_ARE(House, rounded, "-");
    COLUMNS_ARE(House, update_made, "-");
    COLUMNS_ARE(Room, made, "-");
    TOUCHED_ARE(House, deletes, "room lamp");
    TOUCHED_ARE(Room, deletes, "lamp");
    TOUCHED_ARE(Lamp, deletes, "bulb");
    TOUCHED_ARE(House, updates, "-");
    TOUCHED_ARE(House, inserts, "-");
    UNIQUES_ARE(House, "-");
    COLUMNS_ARE(House, passable, "-");
}

Test(catalog, no_answer_leaves_the_mapping)
{
    nxi_arena scratch;

    map_houses();
    nxi_arena_init(&scratch, kit_memory);
    cr_assert(nxi_catalog_read(&kit_tables, &kit_dialect, NULL, &kit_arena, &scratch));
    nxi_arena_fini(&scratch);
    mapping_is_all();
}

/* Of a server that is none, or of another version. */
Test(catalog, nonsense_is_left_out)
{
    nxi_arena scratch;
    nxi_dialect dialect = kit_dialect;
    nx_value wrong[12] = { { 0 } };

    map_houses();
    READ({ NULL, HOUSE_AT, "a", "b", "c", 1 }, { "table", 4, NULL, "table", NULL, 0 }, { "table", -1, NULL, "table", NULL, 0 },
         { "column", HOUSE_AT, NULL, NULL, NULL, 0 }, { "column", HOUSE_AT, "attic", "short", NULL, 2 },
         { "touch", HOUSE_AT, "x", NULL, NULL, -1 }, { "touch", HOUSE_AT, NULL, NULL, NULL, -1 },
         { "touch", HOUSE_AT, "insert", NULL, NULL, -1 }, { "trigger", HOUSE_AT, "", "u", "u", 0 },
         { "made", HOUSE_AT, NULL, NULL, NULL, 0 }, { "unique", HOUSE_AT, NULL, "name", NULL, 0 },
         { "unique", HOUSE_AT, "a", NULL, NULL, 0 }, { "create", HOUSE_AT, NULL, NULL, NULL, 0 }, { "", 0, "", "", "", 0 });
    mapping_is_all();
    dialect.catalog = &source;
    nxi_arena_init(&scratch, kit_memory);
    for (size_t columns = 0; columns <= 6; columns++) {
        const nx_rows rows = { .column_count = columns, .row_count = 2, .values = wrong };
        cr_assert(nxi_catalog_read(&kit_tables, &dialect, &rows, &kit_arena, &scratch));
    }
    nxi_arena_fini(&scratch);
    mapping_is_all();
}

/* ------------------------------------------------------------------------------ facts */

Test(catalog, columns)
{
    map_houses();
    READ({ "table", HOUSE_AT, NULL, "table", NULL, 0 }, { "column", HOUSE_AT, "id", "short", NULL, 2 },
         { "column", HOUSE_AT, "name", "short", NULL, 2 }, { "column", HOUSE_AT, "floors", "short", NULL, 3 },
         { "made", HOUSE_AT, "sold", NULL, NULL, 0 }, { "table", ROOM_AT, NULL, "foreign", NULL, 0 });

    cr_expect(T(House)->is_catalogued && T(Room)->is_catalogued && !T(Lamp)->is_catalogued);
    COLUMNS_ARE(House, rounded, "name");
    COLUMNS_ARE(House, defaulted, "floors");
    COLUMNS_ARE(House, update_made, "sold");
    COLUMNS_ARE(House, made, "name floors sold");
    COLUMNS_ARE(Room, rounded, "house_id number");
    TOUCHED_ARE(Room, updates, "*");
    READ({ "table", HOUSE_AT, NULL, "table", NULL, 0 });
    COLUMNS_ARE(House, made, "floors");
}

Test(catalog, triggers)
{
    map_houses();
    READ({ "trigger", HOUSE_AT, "i", "i", "i", 0 }, { "trigger", HOUSE_AT, "u", "i", "u", 0 },
         { "trigger", ROOM_AT, "d", "u", "u", 0 }, { "trigger", LAMP_AT, "u", NULL, "u", 0 });

    TOUCHED_ARE(House, inserts, "*");
    TOUCHED_ARE(House, updates, "-");
    COLUMNS_ARE(House, made, "name floors sold");
    COLUMNS_ARE(House, defaulted, "-");
    TOUCHED_ARE(Room, deletes, "* lamp");
    TOUCHED_ARE(Lamp, updates, "*");
    cr_expect(T(House)->has_triggers && T(Lamp)->has_triggers && T(Room)->has_triggers && !T(Bulb)->has_triggers);
}

Test(catalog, touches_add_to_the_mapping)
{
    map_houses();
    READ({ "touch", HOUSE_AT, "d", NULL, NULL, BULB_AT }, { "touch", BULB_AT, "u", NULL, NULL, HOUSE_AT },
         { "touch", BULB_AT, "d", NULL, NULL, 4 });

    TOUCHED_ARE(House, deletes, "room lamp bulb");
    TOUCHED_ARE(Bulb, updates, "house");
    TOUCHED_ARE(Bulb, deletes, "*");
}

Test(catalog, view_is_touched_by_all)
{
    map_houses();
    READ({ "table", BULB_AT, NULL, "view", NULL, 0 });

    cr_expect(T(Bulb)->is_view);
    TOUCHED_ARE(House, inserts, "bulb");
    TOUCHED_ARE(House, deletes, "room lamp bulb");
    TOUCHED_ARE(Bulb, inserts, "* bulb");
    COLUMNS_ARE(Bulb, update_made, "lamp_id");
}

Test(catalog, uniques_are_those_of_the_catalogue)
{
    map_houses();
    READ({ "table", HOUSE_AT, NULL, "table", NULL, 0 }, { "table", ROOM_AT, NULL, "table", NULL, 0 },
         { "check", HOUSE_AT, NULL, "name", NULL, 0 }, { "unique", HOUSE_AT, "key", "id", NULL, 0 },
         { "unique", HOUSE_AT, "n\"", "name", "s", 0 }, { "unique", HOUSE_AT, "o", "name", NULL, 0 },
         { "unique", HOUSE_AT, "o", "sold", NULL, 0 }, { "unique", HOUSE_AT, "p", "attic", NULL, 0 },
         { "unique", HOUSE_AT, "p", "name", NULL, 0 }, { "unique", ROOM_AT, "p", "number", NULL, 0 });

    UNIQUES_ARE(House, "n\"(name)! o(name sold)?");
    cr_expect_str_eq(T(House)->real_uniques[0].constraint, "\"s\".\"n\"\"\"");
    UNIQUES_ARE(Room, "p(number)?");
    UNIQUES_ARE(Lamp, "-");
}

/* A server that repeats itself must not write behind the list. */
Test(catalog, unique_of_more_columns_than_there_are)
{
    map_houses();
    READ({ "unique", LAMP_AT, "a", "twin_id", NULL, 0 }, { "unique", LAMP_AT, "a", "twin_id", NULL, 0 },
         { "unique", LAMP_AT, "a", "twin_id", NULL, 0 }, { "unique", LAMP_AT, "a", "twin_id", NULL, 0 },
         { "unique", LAMP_AT, "b", "twin_id", NULL, 0 });

    UNIQUES_ARE(Lamp, "b(twin_id)");
}

Test(catalog, what_watches_a_column)
{
    map_houses();
    READ({ "table", HOUSE_AT, NULL, "table", NULL, 0 }, { "table", ROOM_AT, NULL, "table", NULL, 0 },
         { "table", LAMP_AT, NULL, "table", NULL, 0 }, { "check", HOUSE_AT, "c", "sold", NULL, 1 },
         { "unique", HOUSE_AT, "u", "sold", NULL, 0 }, { "unique", HOUSE_AT, "v", "floors", NULL, 0 },
         { "check", ROOM_AT, "c", "number", NULL, 1 }, { "unique", ROOM_AT, "u", "number", NULL, 0 },
         { "check", LAMP_AT, NULL, NULL, NULL, 0 }, { "unique", LAMP_AT, "u", "twin_id", NULL, 0 });

    UNIQUES_ARE(House, "u(sold) v(floors)?");
    cr_expect_not(T(House)->has_checks, "the mapping's own");
    UNIQUES_ARE(Room, "u(number)");
    cr_expect(T(Room)->has_checks);
    UNIQUES_ARE(Lamp, "u(twin_id)");
    cr_expect_not(T(Lamp)->has_checks);
}

Test(catalog, no_memory_changes_nothing)
{
    const line lines[] = { { "table", HOUSE_AT, NULL, "table", NULL, 0 },
                           { "made", HOUSE_AT, "name", NULL, NULL, 0 },
                           { "touch", HOUSE_AT, "u", NULL, NULL, -1 },
                           { "unique", HOUSE_AT, "n", "name", "s", 0 } };
    nxi_dialect dialect = kit_dialect;
    nxi_arena scratch;
    size_t refused = 0;

    map_houses();
    READ({ "touch", BULB_AT, "u", NULL, NULL, HOUSE_AT });
    dialect.catalog = &source;
    for (size_t room = 64; !T(House)->is_catalogued; room += 64) {
        nxi_memory *memory = nxi_memory_new(room);
        cr_assert_not_null(memory);
        nxi_arena_init(&scratch, memory);
        nxi_arena arena = scratch;
        nx_value values[4 * 6];
        for (size_t i = 0; i < 4; i++) {
            const nx_value row[] = { text_or_null(lines[i].kind),   nx_value_i64(lines[i].table), text_or_null(lines[i].name),
                                     text_or_null(lines[i].detail), text_or_null(lines[i].extra), nx_value_i64(lines[i].number) };
            memcpy(&values[i * 6], row, sizeof(row));
        }
        bool done = nxi_catalog_read(&kit_tables, &dialect, &(nx_rows){ .column_count = 6, .row_count = 4, .values = values },
                                     &arena, &scratch);
        cr_assert_eq(done, T(House)->is_catalogued);
        if (done)
            TOUCHED_ARE(House, updates, "*");
        else
            TOUCHED_ARE(Bulb, updates, "house");
        refused += !done;
        nxi_arena_fini(&arena);
        nxi_arena_fini(&scratch);
        nxi_memory_free(memory);
    }
    cr_expect_gt(refused, 0);
}

/* ------------------------------------------------------------------------------ SQLite's texts */

Test(catalog_sqlite_texts, events_of_triggers)
{
    static const struct {
        const char *sql;
        char verb;
    } cases[] = {
        { "CREATE TRIGGER a BEFORE INSERT ON t BEGIN UPDATE x SET y = 1; END", 'i' },
        { "CREATE TRIGGER \"insert\"\n-- delete\n after\tupdate of a, b ON t", 'u' },
        { "CREATE TRIGGER 'update'DELETE ON t", 'd' },
        { "create trigger [insert] /* update */ delete on t", 'd' },
        { "CREATE TRIGGER IF NOT EXISTS main.`in``sert` INSTEAD OF INSERT ON t", 'i' },
        { "CREATE TRIGGER inserted UPDATE ON t", 'u' },
    };

    for (size_t i = 0; i < NXI_COUNT(cases); i++) {
        for (const char *verb = "iud"; *verb != '\0'; verb++)
            cr_expect_eq(nxi_sq_catalog.fires(cases[i].sql, *verb), *verb == cases[i].verb, "%s %c", cases[i].sql, *verb);
    }
    cr_expect(nxi_sq_catalog.fires("CREATE TRIGGER \"never ended", 'd'));
    cr_expect(nxi_sq_catalog.fires("", 'i'));
}

Test(catalog_sqlite_texts, columns_of_checks)
{
    static const char sql[] = "CREATE TABLE t (a INT check(A > 0), \"b c\" TEXT CHECK (length([b c]) > ('d' || 1)), d INT, "
                              "\"check\" INT, e INT DEFAULT (f), f INT, \"g\"\"h\" INT, CHECK ((`g\"h`) > 0 OR \"G\"\"H\" < 0))";
    static const struct {
        const char *column;
        bool is_checked;
    } cases[] = { { "a", true },  { "b c", true },  { "d", false },     { "check", false }, { "e", false },
                  { "f", false }, { "g\"h", true }, { "length", true }, { "g", false },     { "", false } };

    for (size_t i = 0; i < NXI_COUNT(cases); i++)
        cr_expect_eq(nxi_sq_catalog.checks(sql, cases[i].column), cases[i].is_checked, "%s", cases[i].column);
    cr_expect_not(nxi_sq_catalog.checks("CREATE TABLE t (a, CHECK", "a"));
    cr_expect(nxi_sq_catalog.checks("CREATE TABLE t (a, CHECK (a", "a"));
    cr_expect_not(nxi_sq_catalog.checks("CREATE TABLE t (a, CHECK ('a", "a"));
}

Test(catalog_sqlite_texts, replacing)
{
    cr_expect(nxi_sq_catalog.replaces("CREATE TABLE t (a UNIQUE on  conflict /* */ replace)"));
    cr_expect_not(nxi_sq_catalog.replaces("CREATE TABLE t (a UNIQUE ON CONFLICT IGNORE, replace INT)"));
    cr_expect_not(nxi_sq_catalog.replaces("CREATE TABLE t (a DEFAULT 'ON CONFLICT REPLACE')"));
}

/* ------------------------------------------------------------------------------ types */

static bool changes(const nxi_catalog_source *by, nx_type type, const char *name, int64_t modifier)
{
    const nx_field field = { .name = "x", .type = type };

    return by->rounds(&(nxi_column){ .type = type, .field = &field }, name, modifier);
}

Test(catalog_types, affinities)
{
    static const struct {
        nx_type type;
        const char *name;
        bool rounds;
    } cases[] = {
        { NX_TYPE_text, "INT", true },       { NX_TYPE_text, "CHARINT", true },        { NX_TYPE_text, "nvarchar(5)", false },
        { NX_TYPE_text, "", false },         { NX_TYPE_text, "STRING", true },         { NX_TYPE_decimal, "DECIMAL(6,2)", true },
        { NX_TYPE_decimal, "clob", false },  { NX_TYPE_i64, "DOUBLE", true },          { NX_TYPE_i64, "NUMERIC", false },
        { NX_TYPE_i32, "TEXT", true },       { NX_TYPE_i32, "real", false },           { NX_TYPE_f64, "INTEGER", false },
        { NX_TYPE_f64, "VARCHAR", true },    { NX_TYPE_timestamp, "DATETIME", false }, { NX_TYPE_uuid, "UUID", false },
        { NX_TYPE_bytes, "INTEGER", false }, { NX_TYPE_json, "JSON", true },           { NX_TYPE_boolean, "BOOLEAN", false },
    };

    for (size_t i = 0; i < NXI_COUNT(cases); i++)
        cr_expect_eq(changes(&nxi_sq_catalog, cases[i].type, cases[i].name, -1), cases[i].rounds, "%s as %s",
                     nx_type_name(cases[i].type), cases[i].name);
}

Test(catalog_types, of_postgres)
{
    static const struct {
        nx_type type;
        const char *name;
        int64_t modifier;
        bool rounds;
    } cases[] = {
        { NX_TYPE_text, "text", -1, false },
        { NX_TYPE_text, "bpchar", 9, true },
        { NX_TYPE_text, "name", -1, true },
        { NX_TYPE_text, "other", -1, true },
        { NX_TYPE_enumeration, "enum", -1, false },
        { NX_TYPE_f64, "float4", -1, true },
        { NX_TYPE_f64, "numeric", -1, false },
        { NX_TYPE_f64, "numeric", 6 << 16 | 6, true },
        { NX_TYPE_i64, "float8", -1, true },
        { NX_TYPE_i64, "numeric", 6 << 16 | 6, false },
        { NX_TYPE_i64, "numeric", 6 << 16 | (4 + 0x7fe), true },
        { NX_TYPE_text, "numeric", -1, true },
        { NX_TYPE_time, "time", 3, true },
        { NX_TYPE_time, "time", 6, false },
        { NX_TYPE_timestamptz, "timestamptz", 5, true },
        { NX_TYPE_timestamp, "date", -1, true },
        { NX_TYPE_interval, "interval", -1, false },
        { NX_TYPE_interval, "interval", 0x7fff << 16 | 0xffff, false },
        { NX_TYPE_interval, "interval", 0x7fff << 16 | 2, true },
        { NX_TYPE_interval, "interval", 4 << 16 | 0xffff, true },
        { NX_TYPE_vector, "_float4", -1, false },
        { NX_TYPE_vector, "halfvec", -1, true },
        { NX_TYPE_uuid, "uuid", -1, false },
        { NX_TYPE_json, "jsonb", -1, false },
        { NX_TYPE_bytes, "text", -1, true },
        { NX_TYPE_boolean, "int4", -1, true },
    };

    for (size_t i = 0; i < NXI_COUNT(cases); i++)
        cr_expect_eq(changes(&nxi_pg_catalog, cases[i].type, cases[i].name, cases[i].modifier), cases[i].rounds, "%s as %s %d",
                     nx_type_name(cases[i].type), cases[i].name, (int)cases[i].modifier);
}
