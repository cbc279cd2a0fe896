/*
 * What the mapping knows of tables that others made, on SQLite and PostgreSQL: values that the database makes or changes, rows
 * that a statement touches besides its own, what is unique.
 */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/db.h"
#include "fixture.h"
#include "tests/support/catalog_kit.h"
#include "tests/support/pg_kit.h"

#define MADE(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, OPT, text, plain)                                                                                                   \
    FIELD(E, OPT, i32, given, .sql_default = "7")                                                                                \
    FIELD(E, OPT, i64, twice, .sql_default = "0", .is_volatile = true)                                                           \
    FIELD(E, OPT, decimal, price)                                                                                                \
    FIELD(E, OPT, decimal, exact, .precision = 6, .scale = 2)                                                                    \
    FIELD(E, OPT, decimal, amount)                                                                                               \
    FIELD(E, OPT, timestamp, at)                                                                                                 \
    FIELD(E, OPT, timestamp, full)                                                                                               \
    FIELD(E, OPT, text, code)                                                                                                    \
    FIELD(E, OPT, text, word)                                                                                                    \
    FIELD(E, OPT, f64, ratio)                                                                                                    \
    FIELD(E, OPT, i32, number)
#define ITEM(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, OPT, text, name, .unique = true)                                                                                    \
    FIELD(E, OPT, i32, rank)                                                                                                     \
    FIELD(E, OPT, i32, place)
#define VIEWED(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, OPT, text, name)
#define FIRST(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, OPT, i32, code)
#define THIRD(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, OPT, i32, code)
#define FOURTH(FIELD, E) FIELD(E, PK, i64, id)
#define FIFTH(FIELD, E)  FIELD(E, PK, i64, id)
NX_ENTITY(Made, MADE)
NX_ENTITY(Item, ITEM)
NX_ENTITY_DECLARE(Viewed, VIEWED)
NX_ENTITY_DEFINE(Viewed, VIEWED, .table = "vi\"ew's")
NX_ENTITY(First, FIRST)
NX_ENTITY(Third, THIRD)
NX_ENTITY(Fourth, FOURTH)
NX_ENTITY(Fifth, FIFTH)

#define OWNER(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, name, .unique = true)
#define PIECE(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Owner2, owner)
#define NOTE(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Piece, piece, .optional = true)
#define SEAL(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Note, note)
NX_ENTITY_DECLARE(Owner2, OWNER)
NX_ENTITY_DECLARE(Piece, PIECE)
NX_ENTITY_DECLARE(Note, NOTE)
NX_ENTITY_DECLARE(Seal, SEAL)
NX_ENTITY_DEFINE(Owner2, OWNER)
NX_ENTITY_DEFINE(Piece, PIECE)
NX_ENTITY_DEFINE(Note, NOTE)
NX_ENTITY_DEFINE(Seal, SEAL)

/* ------------------------------------------------------------------------------ databases */

static bool is_postgres;
static pg_kit kit;
static char path[64];
static sqlite3 *other;
static nx_loop *loop;
static nx_db *db;

static void open_sqlite(void)
{
    is_postgres = false;
    strcpy(path, "/tmp/nextorm-catalog-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(sqlite3_open(path, &other), SQLITE_OK);
}

static void close_sqlite(void)
{
    static const char *const tails[] = { "", "-wal", "-shm", "-journal" };
    char file[80];

    nx_loop_close(loop);
    sqlite3_close(other);
    for (size_t i = 0; i < NXI_COUNT(tails); i++) {
        snprintf(file, sizeof(file), "%s%s", path, tails[i]);
        unlink(file);
    }
}

static void open_postgres(void)
{
    is_postgres = true;
    pgk_open(&kit);
}

static void close_postgres(void)
{
    nx_loop_close(loop);
    pgk_close(&kit);
}

TestSuite(catalog_sqlite, .init = open_sqlite, .fini = close_sqlite, .timeout = 60);
TestSuite(catalog_postgres, .init = open_postgres, .fini = close_postgres, .timeout = 60);
#define BOTH(name)                                                                                                               \
    static void name(void);                                                                                                      \
    Test(catalog_sqlite, name)                                                                                                   \
    {                                                                                                                            \
        name();                                                                                                                  \
    }                                                                                                                            \
    Test(catalog_postgres, name)                                                                                                 \
    {                                                                                                                            \
        name();                                                                                                                  \
    }                                                                                                                            \
    static void name(void)

/* Somebody else's statements. */
static void make(const char *sqlite, const char *postgres)
{
    char *message = NULL;

    if (is_postgres)
        pgk_do(&kit, postgres);
    else
        cr_assert_eq(sqlite3_exec(other, sqlite, NULL, NULL, &message), SQLITE_OK, "%s", message);
}

static void await_ok(nx_op op)
{
    nx_completion done = nx_await(loop, op);
    cr_assert_eq(done.status, NX_OK, "%s", done.error == NULL ? "" : done.error->message);
}

static void bind(const nx_entity *const *entities, pgk_way way)
{
    nx_error error;
    nx_bind_options options = { .path = path };

    if (is_postgres)
        options = pgk_options(&kit, way);
    cr_assert_eq(nx_loop_open(NULL, &loop, &error), NX_OK, "%s", error.message);
    db = nx_db_new(loop, entities);
    await_ok(nx_bind(db, is_postgres ? "postgres" : "sqlite", &options, NULL));
}

static void map(const nx_entity *const *entities)
{
    bind(entities, PGK_SOCKET);
    await_ok(nx_generate_mapping(db, 0, NULL));
}

static const nxi_table *table_of(const nx_entity *entity)
{
    const nxi_table *table = nxi_db_table(db, entity);
    cr_assert_not_null(table);
    return table;
}
#define T(E)                          table_of(&E##_entity)
#define COLUMNS_ARE(E, set, expected) cr_expect_str_eq(ck_columns(T(E), T(E)->set), (expected), "%s", ck_columns(T(E), T(E)->set))
#define TOUCHED_ARE(E, verb, expected)                                                                                           \
    cr_expect_str_eq(ck_touched(&T(E)->verb##_touch), (expected), "%s", ck_touched(&T(E)->verb##_touch))
#define UNIQUES_ARE(E, expected) cr_expect_str_eq(ck_uniques(T(E)), (expected), "%s", ck_uniques(T(E)))

/* ------------------------------------------------------------------------------ values */

/* Of every type: writes need no second look. */
BOTH(tables_of_the_mapping_itself_are_plain)
{
    bind(nxt_entities, PGK_SOCKET);
    await_ok(nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    for (size_t i = 0; nxt_entities[i] != NULL; i++) {
        const nxi_table *table = table_of(nxt_entities[i]);

        cr_expect(table->is_catalogued, "%s", table->name);
        cr_expect_str_eq(ck_columns(table, table->made), ck_columns(table, table->defaulted), "%s", table->name);
        cr_expect_str_eq(ck_columns(table, table->rounded), "-", "%s", table->name);
        cr_expect_str_eq(ck_columns(table, table->update_made), "-", "%s", table->name);
        cr_expect_str_eq(ck_touched(&table->inserts_touch), "-", "%s", table->name);
        cr_expect_str_eq(ck_touched(&table->updates_touch), "-", "%s", table->name);
        cr_expect(!table->deletes_touch.all && !table->has_triggers && !table->is_view && !table->has_checks, "%s", table->name);
    }
}

static const char made_sqlite[] = "CREATE TABLE made (id INTEGER PRIMARY KEY, plain TEXT DEFAULT 'x', given INT DEFAULT 7, twice "
                                  "INT GENERATED ALWAYS AS (2 * given), "
                                  "price NUMERIC, exact DECIMAL_TEXT, amount TEXT, at DATETIME, \"full\" TEXT, code INT, word "
                                  "VARCHAR(9), ratio TEXT, number INT)";
static const char made_postgres[] =
    "CREATE DOMAIN money2 AS numeric(6,2); CREATE DOMAIN money3 AS money2; "
    "CREATE TABLE made (id bigint PRIMARY KEY, plain text DEFAULT 'x', given int DEFAULT 7, "
    "twice bigint GENERATED ALWAYS AS (2 * given) STORED, price money3, exact numeric(6,2), amount numeric, at timestamp(0), "
    "\"full\" timestamp, code char(5), word varchar(9), ratio real, number bigint GENERATED ALWAYS AS IDENTITY)";

BOTH(columns_that_the_database_makes_or_rounds)
{
    make(made_sqlite, made_postgres);
    map(NX_ENTITIES(Made));

    cr_expect(T(Made)->is_catalogued);
    COLUMNS_ARE(Made, defaulted, "given");
    COLUMNS_ARE(Made, rounded, is_postgres ? "price at code ratio" : "price code ratio");
    COLUMNS_ARE(Made, update_made, is_postgres ? "twice number" : "twice");
    COLUMNS_ARE(Made, made, is_postgres ? "given twice price at code ratio number" : "given twice price code ratio");
    cr_expect_not(T(Made)->has_triggers);
}

Test(catalog_postgres, a_narrower_scale_rounds)
{
    make(NULL,
         "CREATE TABLE made (id bigint PRIMARY KEY, plain text, given numeric(9,-2), twice numeric(9,0), price numeric(6,2), "
         "exact numeric(6,1), amount numeric(1000,900), at timestamp(6), \"full\" timestamptz, code bpchar, word name, "
         "ratio numeric, number numeric)");
    map(NX_ENTITIES(Made));

    COLUMNS_ARE(Made, rounded, "given price exact amount full word");
}

/* ------------------------------------------------------------------------------ triggers, rules, views */

static const char item_sqlite[] = "CREATE TABLE ITEM (ID INTEGER PRIMARY KEY, name TEXT, Rank INT, place INT);"
                                  "CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT);";
static const char item_postgres[] = "CREATE TABLE item (id bigint PRIMARY KEY, name text, rank int, place int);"
                                    "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';";

BOTH(trigger_before_an_insert)
{
    make(item_sqlite, item_postgres);
    make("CREATE TRIGGER \"delete\" BEFORE INSERT ON Item BEGIN UPDATE item SET rank = 1; END",
         "CREATE TRIGGER a BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION fire()");
    map(NX_ENTITIES(Item));

    COLUMNS_ARE(Item, made, "name rank place");
    COLUMNS_ARE(Item, update_made, "-");
    TOUCHED_ARE(Item, inserts, "*");
    TOUCHED_ARE(Item, updates, "-");
    TOUCHED_ARE(Item, deletes, "-");
    cr_expect(T(Item)->has_triggers);
}

BOTH(trigger_after_an_update)
{
    make(item_sqlite, item_postgres);
    make("CREATE TRIGGER insert_it AFTER /* INSERT */ UPDATE OF name ON Item BEGIN DELETE FROM item; END",
         "CREATE TRIGGER a AFTER UPDATE OF name ON item FOR EACH STATEMENT EXECUTE FUNCTION fire()");
    map(NX_ENTITIES(Item));

    COLUMNS_ARE(Item, made, "-");
    COLUMNS_ARE(Item, update_made, "name rank place");
    TOUCHED_ARE(Item, inserts, "-");
    TOUCHED_ARE(Item, updates, "*");
}

BOTH(trigger_after_a_deletion)
{
    make(item_sqlite, item_postgres);
    make("CREATE TRIGGER t AFTER DELETE ON Item BEGIN INSERT INTO log VALUES (1, 'update'); END",
         "CREATE TRIGGER a AFTER DELETE ON item FOR EACH ROW EXECUTE FUNCTION fire()");
    map(NX_ENTITIES(Item));

    COLUMNS_ARE(Item, made, "-");
    COLUMNS_ARE(Item, update_made, "-");
    TOUCHED_ARE(Item, deletes, "*");
    cr_expect(T(Item)->has_triggers);
}

Test(catalog_postgres, disabled_trigger_is_none)
{
    make(NULL, item_postgres);
    make(NULL, "CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION fire();"
               "ALTER TABLE item DISABLE TRIGGER a");
    map(NX_ENTITIES(Item));

    COLUMNS_ARE(Item, made, "-");
    TOUCHED_ARE(Item, deletes, "-");
}

Test(catalog_postgres, rule)
{
    make(NULL, item_postgres);
    make(NULL, "CREATE RULE r AS ON UPDATE TO item DO ALSO NOTIFY x");
    map(NX_ENTITIES(Item));

    COLUMNS_ARE(Item, made, "-");
    COLUMNS_ARE(Item, update_made, "name rank place");
    TOUCHED_ARE(Item, deletes, "-");
}

BOTH(view)
{
    make(item_sqlite, item_postgres);
    make("CREATE VIEW \"vi\"\"ew's\" AS SELECT id, name FROM item", "CREATE VIEW \"vi\"\"ew's\" AS SELECT id, name FROM item");
    map(NX_ENTITIES(Item, Viewed));

    cr_expect(T(Viewed)->is_view && !T(Item)->is_view);
    COLUMNS_ARE(Viewed, made, "name");
    COLUMNS_ARE(Viewed, update_made, "name");
    TOUCHED_ARE(Viewed, deletes, "* vi\"ew's");
    TOUCHED_ARE(Item, inserts, "vi\"ew's");
    TOUCHED_ARE(Item, updates, "vi\"ew's");
    TOUCHED_ARE(Item, deletes, "vi\"ew's");
    COLUMNS_ARE(Item, made, "-");
}

Test(catalog_sqlite, virtual_and_without_rowid_tables)
{
    make("CREATE VIRTUAL TABLE item USING fts5(id, name, rank_, place);"
         "CREATE TABLE first (id INTEGER, code TEXT, PRIMARY KEY (id, code)) WITHOUT ROWID",
         NULL);
    map(NX_ENTITIES(Item, First));

    COLUMNS_ARE(Item, rounded, "name rank place");
    TOUCHED_ARE(Item, inserts, "*");
    TOUCHED_ARE(First, inserts, "-");
    COLUMNS_ARE(First, rounded, "code");
    UNIQUES_ARE(First, "sqlite_autoindex_first_1(id code)");
}

Test(catalog_sqlite, replacing_constraint_touches_all)
{
    make("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE ON CONFLICT REPLACE, rank INT, place INT)", NULL);
    map(NX_ENTITIES(Item));

    TOUCHED_ARE(Item, inserts, "*");
    TOUCHED_ARE(Item, updates, "*");
    TOUCHED_ARE(Item, deletes, "-");
}

/* ------------------------------------------------------------------------------ uniques and checks */

BOTH(uniques)
{
    make(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, rank INT NOT NULL, place INT, hidden INT);"
        "CREATE UNIQUE INDEX a ON item (name); CREATE UNIQUE INDEX b ON item (rank, place); CREATE UNIQUE INDEX c ON item (rank);"
        "CREATE UNIQUE INDEX d ON item (name, hidden); CREATE INDEX e ON item (place)",
        "CREATE TABLE item (id bigint PRIMARY KEY, name text, rank int NOT NULL, place int, hidden int);"
        "CREATE UNIQUE INDEX a ON item (name); CREATE UNIQUE INDEX b ON item (rank, place); CREATE UNIQUE INDEX c ON item (rank);"
        "CREATE UNIQUE INDEX d ON item (name, hidden); CREATE INDEX e ON item (place)");
    map(NX_ENTITIES(Item));

    UNIQUES_ARE(Item, "a(name)? b(rank place)? c(rank)");
    COLUMNS_ARE(Item, passable, "name place");
    cr_expect_not(T(Item)->has_checks);
}

BOTH(unique_for_some_rows_sees_a_null)
{
    make(item_sqlite, item_postgres);
    make("CREATE UNIQUE INDEX a ON item (name); CREATE UNIQUE INDEX b ON item (rank) WHERE name IS NULL",
         "CREATE UNIQUE INDEX a ON item (name); CREATE UNIQUE INDEX b ON item (rank) WHERE name IS NULL");
    map(NX_ENTITIES(Item));

    UNIQUES_ARE(Item, "a(name)");
}

BOTH(check_sees_a_null)
{
    make("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, rank INT UNIQUE, place INT UNIQUE, "
         "CONSTRAINT x /* CHECK (name) */ CHECK (coalesce(abs(\"RANK\"), 1) > 0 OR 'place' = ''))",
         "CREATE TABLE item (id bigint PRIMARY KEY, name text UNIQUE, rank int UNIQUE, place int UNIQUE, "
         "CONSTRAINT x CHECK (coalesce(abs(rank), 1) > 0 OR 'place' = ''))");
    map(NX_ENTITIES(Item));

    cr_expect(T(Item)->has_checks);
    UNIQUES_ARE(Item, is_postgres
                          ? "item_name_key(name)? item_place_key(place)? item_rank_key(rank)"
                          : "sqlite_autoindex_item_1(name)? sqlite_autoindex_item_2(rank) sqlite_autoindex_item_3(place)?");
}

/* Whoever refers to it, by a foreign key, would see it too; and a trigger. */
BOTH(reference_and_trigger_see_a_null)
{
    make("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, rank INT UNIQUE, place INT);"
         "CREATE TABLE child (name TEXT REFERENCES item (name) ON UPDATE CASCADE)",
         "CREATE TABLE item (id bigint PRIMARY KEY, name text UNIQUE, rank int UNIQUE, place int);"
         "CREATE TABLE child (name text REFERENCES item (name) ON UPDATE CASCADE)");
    map(NX_ENTITIES(Item));
    UNIQUES_ARE(Item, is_postgres ? "item_name_key(name) item_rank_key(rank)?"
                                  : "sqlite_autoindex_item_1(name) sqlite_autoindex_item_2(rank)?");
    make("CREATE TRIGGER t AFTER UPDATE ON item BEGIN SELECT 1; END",
         "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
         "CREATE TRIGGER t AFTER UPDATE ON item FOR EACH ROW EXECUTE FUNCTION fire()");
    await_ok(nx_generate_mapping(db, 0, NULL));

    UNIQUES_ARE(Item, is_postgres ? "item_name_key(name) item_rank_key(rank)"
                                  : "sqlite_autoindex_item_1(name) sqlite_autoindex_item_2(rank)");
}

Test(catalog_postgres, deferrable_unique_has_a_name_for_set_constraints)
{
    char sql[256];

    make(NULL, "CREATE TABLE item (id bigint PRIMARY KEY, name text CONSTRAINT \"a \"\"b\" UNIQUE DEFERRABLE, rank int UNIQUE, "
               "place int)");
    map(NX_ENTITIES(Item));

    UNIQUES_ARE(Item, "a \"b(name)?! item_rank_key(rank)?");
    snprintf(sql, sizeof(sql), "BEGIN; SET CONSTRAINTS %s DEFERRED; COMMIT", T(Item)->real_uniques[0].constraint);
    pgk_do(&kit, sql);
    cr_expect_null(T(Item)->real_uniques[1].constraint);
}

Test(catalog_postgres, domain_and_policy_see_a_null)
{
    make(NULL, "CREATE DOMAIN filled AS text CHECK (value IS NOT NULL); CREATE DOMAIN must AS int NOT NULL;"
               "CREATE TABLE item (id bigint PRIMARY KEY, name filled UNIQUE, rank must UNIQUE, place int UNIQUE)");
    map(NX_ENTITIES(Item));
    UNIQUES_ARE(Item, "item_name_key(name) item_place_key(place)? item_rank_key(rank)");
    cr_expect(T(Item)->has_checks);
    make(NULL, "ALTER TABLE item ENABLE ROW LEVEL SECURITY");
    await_ok(nx_generate_mapping(db, 0, NULL));

    UNIQUES_ARE(Item, "item_name_key(name) item_place_key(place) item_rank_key(rank)");
}

/* ------------------------------------------------------------------------------ rows of other tables */

/* first <- second (not mapped) <- third <- fourth (its reference is cleared) <- fifth. */
static const char chain_sqlite[] =
    "CREATE TABLE first (id INTEGER PRIMARY KEY, code INT UNIQUE);"
    "CREATE TABLE second (id INTEGER PRIMARY KEY, first_id INT REFERENCES FIRST ON DELETE CASCADE);"
    "CREATE TABLE third (id INTEGER PRIMARY KEY, second_id INT REFERENCES second ON DELETE CASCADE,"
    " code INT REFERENCES first (CODE) ON UPDATE CASCADE);"
    "CREATE TABLE fourth (id INTEGER PRIMARY KEY, third_id INT REFERENCES third ON DELETE SET NULL);"
    "CREATE TABLE fifth (id INTEGER PRIMARY KEY, fourth_id INT REFERENCES fourth ON DELETE CASCADE ON UPDATE CASCADE,"
    " first_id INT REFERENCES first ON DELETE NO ACTION ON UPDATE CASCADE)";
static const char chain_postgres[] =
    "CREATE TABLE first (id bigint PRIMARY KEY, code int UNIQUE);"
    "CREATE TABLE second (id int PRIMARY KEY, first_id bigint REFERENCES first ON DELETE CASCADE);"
    "CREATE TABLE third (id bigint PRIMARY KEY, second_id int REFERENCES second ON DELETE CASCADE,"
    " code int REFERENCES first (code) ON UPDATE CASCADE);"
    "CREATE TABLE fourth (id bigint PRIMARY KEY, third_id bigint REFERENCES third ON DELETE SET NULL);"
    "CREATE TABLE fifth (id bigint PRIMARY KEY, fourth_id bigint REFERENCES fourth ON DELETE CASCADE ON UPDATE CASCADE,"
    " first_id bigint REFERENCES first ON DELETE NO ACTION ON UPDATE CASCADE)";

BOTH(cascades_go_through_tables_that_are_not_mapped)
{
    make(chain_sqlite, chain_postgres);
    map(NX_ENTITIES(First, Third, Fourth, Fifth));

    TOUCHED_ARE(First, deletes, "third fourth");
    TOUCHED_ARE(First, updates, "third");
    TOUCHED_ARE(First, inserts, "-");
    TOUCHED_ARE(Third, deletes, "fourth");
    TOUCHED_ARE(Third, updates, "-");
    TOUCHED_ARE(Fourth, deletes, "fifth");
    TOUCHED_ARE(Fifth, deletes, "-");
}

BOTH(trigger_at_the_end_of_a_cascade)
{
    make(chain_sqlite, chain_postgres);
    make("CREATE TRIGGER t AFTER UPDATE ON fourth BEGIN DELETE FROM fifth; END",
         "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
         "CREATE TRIGGER t AFTER UPDATE ON fourth FOR EACH ROW EXECUTE FUNCTION fire()");
    map(NX_ENTITIES(First, Third, Fourth, Fifth));

    TOUCHED_ARE(First, deletes, "* third fourth");
    TOUCHED_ARE(First, updates, "third");
    TOUCHED_ARE(Third, deletes, "* fourth");
    TOUCHED_ARE(Fourth, deletes, "fifth");
}

BOTH(cascade_within_one_table)
{
    make("CREATE TABLE first (id INTEGER PRIMARY KEY, code INTEGER REFERENCES first ON DELETE CASCADE)",
         "CREATE TABLE first (id bigint PRIMARY KEY, code bigint REFERENCES first ON DELETE CASCADE)");
    map(NX_ENTITIES(First));

    TOUCHED_ARE(First, deletes, "first");
    TOUCHED_ARE(First, updates, "-");
}

Test(catalog_postgres, partitions)
{
    make(NULL, "CREATE TABLE first (id bigint PRIMARY KEY, code int);"
               "CREATE TABLE third (id bigint PRIMARY KEY, code bigint) PARTITION BY RANGE (id);"
               "CREATE TABLE part PARTITION OF third FOR VALUES FROM (0) TO (10);"
               "ALTER TABLE part ADD FOREIGN KEY (code) REFERENCES first ON DELETE CASCADE");
    map(NX_ENTITIES(First, Third));
    TOUCHED_ARE(First, deletes, "third");
    TOUCHED_ARE(Third, inserts, "-");
    make(NULL, "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
               "CREATE TRIGGER t BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION fire()");
    await_ok(nx_generate_mapping(db, 0, NULL));

    TOUCHED_ARE(First, deletes, "third");
    COLUMNS_ARE(Third, made, "code");
    TOUCHED_ARE(Third, updates, "*"); /* a row may move to another partition */
    TOUCHED_ARE(Third, deletes, "-");
}

/* ------------------------------------------------------------------------------ when it is known */

BOTH(known_from_the_mapping_before_the_tables_are_there)
{
    bind(NX_ENTITIES(Owner2, Piece, Note, Seal), PGK_SOCKET);
    await_ok(nx_generate_mapping(db, 0, NULL));

    cr_expect_not(T(Owner2)->is_catalogued);
    TOUCHED_ARE(Owner2, deletes, "piece note");
    TOUCHED_ARE(Piece, deletes, "note");
    TOUCHED_ARE(Note, deletes, "seal");
    UNIQUES_ARE(Owner2, "-");
    await_ok(nx_create_tables(db, NULL));

    cr_expect(T(Owner2)->is_catalogued);
    TOUCHED_ARE(Owner2, deletes, "piece note");
    TOUCHED_ARE(Seal, deletes, "-");
    cr_expect_not_null(T(Owner2)->real_uniques);
}

/* What is found out again, and is the same, takes no memory. */
BOTH(asking_again)
{
    bind(NX_ENTITIES(Owner2, Piece, Note, Seal), PGK_SOCKET);
    await_ok(nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    const nxi_real_unique *uniques = T(Owner2)->real_uniques;
    size_t bytes = db->arena.bytes;
    for (int i = 0; i < 3; i++)
        await_ok(nx_create_tables(db, NULL));

    cr_expect_eq(T(Owner2)->real_uniques, uniques);
    cr_expect_eq(db->arena.bytes, bytes);
    make("DROP TABLE seal", "DROP TABLE seal");
    await_ok(nx_generate_mapping(db, 0, NULL));
    cr_expect_not(T(Seal)->is_catalogued);
    cr_expect(T(Note)->is_catalogued);
}

static void count_statement(void *context, const char *sql, const nx_value *values, size_t count)
{
    (void)sql;
    (void)values;
    (void)count;
    ++*(int *)context;
}

BOTH(the_question_is_shown_to_nobody)
{
    int shown = 0;
    size_t captured;

    make(item_sqlite, item_postgres);
    bind(NX_ENTITIES(Item), PGK_SOCKET);
    nx_set_sql_debug(db, count_statement, &shown, true);
    cr_assert_eq(nx_capture_begin(db), NX_OK);
    await_ok(nx_generate_mapping(db, 0, NULL));
    (void)nx_capture_end(db, &captured);

    cr_expect(T(Item)->is_catalogued);
    cr_expect_eq(shown, 0);
    cr_expect_eq(captured, 0);
    cr_expect_eq(db->stats.ops, 0);
    cr_expect_eq(db->stats.rows_read, 0);
}

Test(catalog_sqlite, refused_question_leaves_the_mapping)
{
    make("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, rank INT, place INT);"
         "CREATE VIEW \"vi\"\"ew's\" AS SELECT id, name FROM gone",
         NULL);
    map(NX_ENTITIES(Item, Viewed));

    cr_expect_not(T(Item)->is_catalogued);
    COLUMNS_ARE(Item, passable, "-");
    cr_expect_eq(db->stats.errors, 0);
}

/* With the rights of a role that may do nothing but read and write the table. */
Test(catalog_postgres, ordinary_role_behind_a_pooler)
{
    make(NULL, made_postgres);
    bind(NX_ENTITIES(Made), PGK_POOLER_ONE);
    await_ok(nx_generate_mapping(db, 0, NULL));

    cr_expect(T(Made)->is_catalogued);
    COLUMNS_ARE(Made, update_made, "twice number");
}

/* The setting that the question needs goes with its transaction. */
Test(catalog_postgres, no_setting_is_left)
{
    make(NULL, item_postgres);
    bind(NX_ENTITIES(Item), PGK_POOLER_ONE);
    await_ok(nx_generate_mapping(db, 0, NULL));
    nx_completion done = nx_await(
        loop, nx_select_raw(db, "SELECT current_setting('jit') = reset_val FROM pg_settings WHERE name = 'jit'", NULL, 0, NULL));
    cr_assert_eq(done.status, NX_OK);

    cr_expect(nx_rows_at(done.raw, 0, 0).boolean);
    nx_seen(loop, &done);
}
