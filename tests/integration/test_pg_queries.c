/*
 * Queries on PostgreSQL that a list of cases for all providers cannot hold: rows that somebody else has locked, levels of
 * isolation, types of the user's own, lists longer than a statement has parameters, indexes that serve an order, and two programs
 * that create the same tables at once.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base.h"
#include "nextorm.h"
#include "tests/support/pg_kit.h"

#define PATRON(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, name)
#define THING(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, name, .max_len = 40)                                                                                     \
    FIELD(E, OPT, i32, rank, .index = true)                                                                                      \
    FIELD(E, OPT, enumeration, mood, .labels = NX_LABELS("sad", "happy"), .sql_type = "mood")                                    \
    FIELD(E, OPT, uuid, token)                                                                                                   \
    FIELD(E, SINGLE, Patron, owner, .optional = true)
/* A circle, with names that want their quotes. */
#define LEFT(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Right, other, .optional = true, .column = "o'ther\"id", .fk_name = "k$nextorm$'\"")
#define RIGHT(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Left, other, .optional = true)
#define STAY(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, interval, length)                                                                                              \
    FIELD(E, OPT, interval, rough, .sql_type = "interval(0)")                                                                    \
    FIELD(E, OPT, interval, span, .sql_type = "span")
NX_ENTITY(Stay, STAY)
NX_ENTITY(Patron, PATRON)
NX_ENTITY(Thing, THING)
NX_ENTITY_DECLARE(Left, LEFT)
NX_ENTITY_DECLARE(Right, RIGHT)
NX_ENTITY_DEFINE(Left, LEFT, .table = "le'ft\"$nextorm$")
NX_ENTITY_DEFINE(Right, RIGHT, .table = "right")

static pg_kit kit;
static nx_loop *loop;
static nx_db *db;

static nx_completion await(nx_op op, nx_status status, int line)
{
    nx_completion done = nx_await(loop, op);
    cr_assert_eq(done.status, status, "line %d: %s", line,
                 done.error == NULL ? nx_status_name(done.status) : done.error->message);
    return done;
}
#define OK(op)            await((op), NX_OK, __LINE__)
#define FAILS(op, status) ((void)await((op), (status), __LINE__))
#define SEEN(done)        nx_seen(loop, &(done))

static void set_up(void)
{
    nx_error error;

    pgk_open(&kit);
    pgk_do(&kit, "CREATE TYPE mood AS ENUM ('sad', 'happy')");
    nx_bind_options options = pgk_options(&kit, PGK_SOCKET);
    options.pool_max = 2;
    cr_assert_eq(nx_loop_open(NULL, &loop, &error), NX_OK, "%s", error.message);
    db = nx_db_new(loop, NX_ENTITIES(Patron, Thing, Left, Right));
    OK(nx_bind(db, "postgres", &options, NULL));
    OK(nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
}

static void tear_down(void)
{
    nx_db_free(db);
    nx_loop_close(loop);
    pgk_close(&kit);
}

TestSuite(pg_queries, .init = set_up, .fini = tear_down, .timeout = 120);

/* Things 1 .. count: odd ones have a rank, each third an owner. */
static void fill(int count)
{
    char sql[400];

    pgk_do(&kit, "INSERT INTO patron (id, name) VALUES (1, 'b'), (2, 'a')");
    snprintf(sql, sizeof(sql),
             "INSERT INTO thing (id, name, rank, mood, owner_id) SELECT i, 'thing ' || i, CASE WHEN i %% 2 = 1 THEN i END, "
             "(ARRAY['sad', 'happy'])[i %% 2 + 1]::mood, CASE WHEN i %% 3 = 0 THEN 1 + i %% 2 END FROM generate_series(1, %d) AS "
             "s(i)",
             count);
    pgk_do(&kit, sql);
}

static nx_session *begin(const nx_session_options *options)
{
    nx_session *s = nx_session_begin(loop, options);
    cr_assert_not_null(s);
    return s;
}

static void expect_ids(nx_query *q, const char *expected, int line)
{
    char text[256] = "";
    nx_completion done = await(nx_fetch_all(q, NULL), NX_OK, line);

    for (int64_t i = 0; i < done.count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%s%lld", i == 0 ? "" : " ", (long long)((Thing *)done.rows[i])->id);
    }
    cr_expect_str_eq(text, expected, "line %d: %s", line, text);
    SEEN(done);
}
#define EXPECT_IDS(query, expected) expect_ids((query), (expected), __LINE__)

/* --------------------------------------------------------------------------------------- locks */

Test(pg_queries, rows_that_somebody_else_has_locked)
{
    fill(5);
    pgk_do(&kit, "BEGIN; SELECT FROM thing WHERE id IN (2, 4) FOR UPDATE");
    nx_session *s = begin(NULL);
    EXPECT_IDS(nx_order_by(nx_for_update_with(nx_select(s, Thing), NX_LOCK_SKIP_LOCKED), nx_asc(Thing_.id)), "1 3 5");
    nx_completion done = nx_await(loop, nx_fetch_all(nx_for_update_with(nx_select(s, Thing), NX_LOCK_NOWAIT), NULL));
    cr_expect_eq(done.status, NX_ELOCKED);
    cr_assert_not_null(done.error);
    cr_expect_str_eq(done.error->sqlstate, "55P03");
    cr_expect(done.error->retryable);
    /* That is an answer, too: the transaction goes on. */
    EXPECT_IDS(nx_for_update_with(nx_filter(nx_select(s, Thing), nx_eq(Thing_.id, 5)), NX_LOCK_NOWAIT), "5");
    cr_expect_eq(nx_await(loop, nx_session_end(s, NULL)).status, NX_OK);
    nx_session_free(s);
    s = begin(NULL);
    EXPECT_IDS(nx_for_update_with(nx_filter(nx_select(s, Thing), nx_eq(Thing_.id, 1)), NX_LOCK_NOWAIT), "1");
    nx_session_free(s);
    pgk_do(&kit, "COMMIT");
}

/* Goal: the optional side of a join cannot be locked, and rows of the joined table are nobody's business. */
Test(pg_queries, locks_over_references)
{
    fill(6);
    nx_session *s = begin(NULL);
    nx_query *q = nx_for_update(nx_select(s, Thing));
    EXPECT_IDS(nx_order_by(q, nx_asc(nx_via(Thing_.owner, Patron_.name)), nx_asc(Thing_.id)), "1 2 4 5 3 6");
    q = nx_for_update(nx_filter(nx_select(s, Thing), nx_eq(nx_via(Thing_.owner, Patron_.name), "b")));
    EXPECT_IDS(q, "6");
    pgk_do(&kit, "SELECT FROM patron FOR UPDATE NOWAIT"); /* would fail if they were locked */
    nx_session_free(s);
}

/* ----------------------------------------------------------------------------------- isolation */

static void expect_isolation(const nx_session_options *options, const char *level, const char *read_only, const char *deferrable)
{
    nx_session *s = begin(options);
    nx_completion done =
        OK(nx_session_select_raw(s, db,
                                 "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only'), "
                                 "current_setting('transaction_deferrable')",
                                 nx_no_args, NULL));
    cr_expect_str_eq(nx_rows_at(done.raw, 0, 0).text.data, level);
    cr_expect_str_eq(nx_rows_at(done.raw, 0, 1).text.data, read_only);
    cr_expect_str_eq(nx_rows_at(done.raw, 0, 2).text.data, deferrable);
    SEEN(done);
    nx_session_free(s);
}

Test(pg_queries, levels_of_isolation)
{
    expect_isolation(NULL, "read committed", "off", "off");
    expect_isolation(&(nx_session_options){ .isolation = NX_ISOLATION_READ_COMMITTED }, "read committed", "off", "off");
    expect_isolation(&(nx_session_options){ .isolation = NX_ISOLATION_REPEATABLE_READ }, "repeatable read", "off", "off");
    expect_isolation(&(nx_session_options){ .isolation = NX_ISOLATION_SERIALIZABLE }, "serializable", "off", "off");
    expect_isolation(&(nx_session_options){ .serializable = true }, "serializable", "off", "off");
}

/* Goal: a snapshot does not see what is committed after its first read, and the default does. */
Test(pg_queries, snapshots)
{
    fill(3);
    nx_session *fixed = begin(&(nx_session_options){ .isolation = NX_ISOLATION_REPEATABLE_READ });
    nx_session *plain = begin(&(nx_session_options){ .isolation = NX_ISOLATION_READ_COMMITTED });
    cr_expect_eq(OK(nx_count(nx_select(fixed, Thing), NULL)).count, 3);
    cr_expect_eq(OK(nx_count(nx_select(plain, Thing), NULL)).count, 3);
    pgk_do(&kit, "DELETE FROM thing WHERE id = 1");
    cr_expect_eq(OK(nx_count(nx_select(fixed, Thing), NULL)).count, 3);
    cr_expect_eq(OK(nx_count(nx_select(plain, Thing), NULL)).count, 2);
    nx_session_free(fixed);
    nx_session_free(plain);
}

/* --------------------------------------------------------------------------------------- lists */

Test(pg_queries, lists_longer_than_a_statement_has_parameters)
{
    enum { COUNT = 100000 };
    static nx_value values[COUNT];

    fill(10);
    for (size_t i = 0; i < COUNT; i++)
        values[i] = nx_value_i64((int64_t)i + 4);
    cr_expect_eq(OK(nx_count(nx_filter(nx_select(db, Thing), nx_in_values(Thing_.id, values, COUNT)), NULL)).count, 7);
    cr_expect_eq(OK(nx_count(nx_filter(nx_select(db, Thing), nx_not_in_values(Thing_.id, values, COUNT)), NULL)).count, 3);
    for (size_t i = 0; i < COUNT; i++)
        values[i] = nx_value_str(i % 2 == 0 ? "thing 7" : "\"{}', NULL\\");
    cr_expect_eq(OK(nx_count(nx_filter(nx_select(db, Thing), nx_in_values(Thing_.name, values, COUNT)), NULL)).count, 1);
    values[3] = nx_null();
    cr_expect_eq(OK(nx_count(nx_filter(nx_select(db, Thing), nx_in_values(Thing_.rank, values + 3, 1)), NULL)).count, 5);
}

Test(pg_queries, types_of_the_users_own)
{
    fill(4);
    EXPECT_IDS(nx_order_by(nx_filter(nx_select(db, Thing), nx_in(Thing_.mood, "happy", "sad")), nx_desc(Thing_.id)), "4 3 2 1");
    EXPECT_IDS(nx_order_by(nx_filter(nx_select(db, Thing), nx_in(Thing_.mood, "happy")), nx_asc(Thing_.id)), "1 3");
    EXPECT_IDS(nx_order_by(nx_filter(nx_select(db, Thing), nx_eq(Thing_.mood, "sad")), nx_asc(Thing_.id)), "2 4");
    EXPECT_IDS(nx_order_by(nx_select(db, Thing), nx_desc(Thing_.mood), nx_asc(Thing_.id)), "1 3 2 4");
    nx_completion done = OK(nx_group_concat(nx_order_by(nx_select(db, Thing), nx_asc(Thing_.id)), Thing_.mood, "+", NULL));
    cr_expect_str_eq(done.value.text.data, "happy+sad+happy+sad");
    SEEN(done);
    cr_expect_eq(
        OK(nx_update_all(nx_filter(nx_select(db, Thing), nx_eq(Thing_.id, 1)), NULL, nx_assign(Thing_.mood, "sad"))).count, 1);
    nx_session *s = begin(NULL);
    for (int i = 0; i < 50; i++) { /* enough for arrays */
        Thing *made = nx_new(s, Thing);
        made->name = nx_str("new");
        made->mood = nx_some(enumeration, (nx_enumeration)(i % 2));
    }
    Thing *old = OK(nx_get(s, Thing, nx_eq(Thing_.id, 1), NULL)).rows[0];
    cr_expect_eq(old->mood.value, 0);
    old->mood = nx_some(enumeration, 1);
    OK(nx_session_end(s, NULL));
    nx_session_free(s);
    cr_expect_eq(pgk_number(&kit, "SELECT count(*) FROM thing WHERE mood = 'happy'"), 27);
}

/* --------------------------------------------------------------------------------------- intervals */

static void expect_interval(nx_value value, nx_interval expected, int line)
{
    cr_assert_eq(value.type, NX_TYPE_interval, "line %d: type %d", line, (int)value.type);
    cr_expect(value.interval.months == expected.months && value.interval.days == expected.days &&
                  value.interval.microseconds == expected.microseconds,
              "line %d: %d months, %d days, %lld us", line, (int)value.interval.months, (int)value.interval.days,
              (long long)value.interval.microseconds);
}
#define EXPECT_INTERVAL(value, expected) expect_interval((value), (expected), __LINE__)

/* Twice, because a statement is known the second time. */
static void read_intervals(nx_interval low, nx_interval high)
{
    for (int round = 0; round < 2; round++) {
        nx_completion done = OK(nx_min(nx_select(db, Stay), Stay_.length, NULL));
        EXPECT_INTERVAL(done.value, low);
        done = OK(nx_max(nx_select(db, Stay), Stay_.length, NULL));
        EXPECT_INTERVAL(done.value, high);
        done = OK(nx_max(nx_select(db, Stay), Stay_.rough, NULL));
        EXPECT_INTERVAL(done.value, low);
        done = OK(nx_min(nx_select(db, Stay), Stay_.span, NULL));
        EXPECT_INTERVAL(done.value, high);
        done = OK(nx_fetch_all(nx_order_by(nx_select(db, Stay), nx_asc(Stay_.id)), NULL));
        cr_assert_eq(done.count, 2);
        const Stay *first = done.rows[0], *second = done.rows[1];
        EXPECT_INTERVAL(nx_value_interval(first->length), low);
        EXPECT_INTERVAL(nx_value_interval(second->length), high);
        EXPECT_INTERVAL(nx_value_interval(second->rough.value), low);
        EXPECT_INTERVAL(nx_value_interval(second->span.value), high);
        SEEN(done);
        nx_value value = nx_value_interval(low);
        done = OK(nx_select_raw(db, "SELECT ?, ARRAY[?::interval], length FROM stay WHERE id = 2", (nx_value[]){ value, value },
                                2, NULL));
        EXPECT_INTERVAL(done.raw->values[0], low);
        cr_expect_str_eq(done.raw->values[1].text.data, "{P-1Y-2M3DT-4H-5M-6S}");
        EXPECT_INTERVAL(done.raw->values[2], high);
        SEEN(done);
    }
}

/* The server writes intervals in one of four styles, and a pooler leaves that to somebody else: whichever it is, they are read.
 */
static void intervals_in_style(const char *style, pgk_way way)
{
    nx_interval low = { .months = -14, .days = 3, .microseconds = -INT64_C(14706000000) };
    nx_interval high = { .months = 14, .days = -3, .microseconds = INT64_C(14706500000) };
    nx_error error;
    char sql[400], dsn[640];

    pgk_open(&kit);
    pgk_do(&kit, "CREATE DOMAIN span AS interval; CREATE TABLE stay (id int8 PRIMARY KEY, length interval NOT NULL, rough "
                 "interval(0), span span)");
    nx_bind_options options = pgk_options(&kit, way);
    if (way == PGK_POOLER) {
        snprintf(sql, sizeof(sql), "ALTER ROLE %s SET IntervalStyle = '%s'", kit.schema, style);
        pgk_do(&kit, sql);
    } else {
        snprintf(dsn, sizeof(dsn), "%s options='-c search_path=%s -c IntervalStyle=%s'", options.dsn, kit.schema, style);
        options.dsn = dsn;
    }
    cr_assert_eq(nx_loop_open(NULL, &loop, &error), NX_OK, "%s", error.message);
    db = nx_db_new(loop, NX_ENTITIES(Stay));
    OK(nx_bind(db, "postgres", &options, NULL));
    OK(nx_generate_mapping(db, 0, NULL));
    nx_completion done = OK(nx_select_raw(db, "SHOW IntervalStyle", NULL, 0, NULL));
    cr_assert_str_eq(done.raw->values[0].text.data, style);
    SEEN(done);
    nx_session *s = begin(NULL);
    for (int i = 0; i < 2; i++) {
        Stay *made = nx_new(s, Stay);
        made->id = i + 1;
        made->length = i == 0 ? low : high;
        if (i == 0)
            continue;
        made->rough = nx_some(interval, low);
        made->span = nx_some(interval, high);
    }
    OK(nx_session_end(s, NULL));
    nx_session_free(s);
    read_intervals(low, high);
    tear_down();
}

static void intervals_in_all_styles(pgk_way way)
{
    static const char *const styles[] = { "postgres", "postgres_verbose", "sql_standard", "iso_8601" };

    for (size_t i = 0; i < NXI_COUNT(styles); i++)
        intervals_in_style(styles[i], way);
}

Test(pg_intervals, in_all_styles, .timeout = 120)
{
    intervals_in_all_styles(PGK_SOCKET);
}

Test(pg_intervals, in_all_styles_of_a_pooler, .timeout = 120)
{
    intervals_in_all_styles(PGK_POOLER);
}

/* --------------------------------------------------------------------------------------- plans */

/* Goal: the index that the mapping makes serves the order in which queries put NULLs, both ways. */
Test(pg_queries, indexes_serve_an_order_with_nulls)
{
    char plan[4096], explain[1024];

    fill(2000);
    pgk_do(&kit, "ANALYZE thing");
    for (int descending = 0; descending < 2; descending++) {
        nx_query *q = nx_order_by(nx_select(db, Thing), (nx_order){ NX_PATH(Thing_.rank), descending == 1 });
        snprintf(explain, sizeof(explain), "EXPLAIN (FORMAT JSON) %s LIMIT 5", nx_sql(q));
        pgk_text(&kit, explain, plan, sizeof(plan));
        cr_expect_not_null(strstr(plan, "\"idx_thing__rank\""), "%s", plan);
        cr_expect_not_null(strstr(plan, descending ? "\"Backward\"" : "\"Forward\""), "%s", plan);
        cr_expect_null(strstr(plan, "\"Sort\""), "%s", plan);
        EXPECT_IDS(nx_limit(nx_order_by(nx_filter(q, nx_gt(Thing_.id, 1990)), nx_asc(Thing_.rank), nx_asc(Thing_.id)), 6),
                   "1992 1994 1996 1998 2000 1991");
    }
}

/* -------------------------------------------------------------------------------------- schema */

Test(pg_queries, circles_are_made_once_and_dropped)
{
    static const char constraints[] =
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace";

    cr_expect_eq(pgk_number(&kit, constraints), 3);
    OK(nx_create_tables(db, NULL));
    cr_expect_eq(pgk_number(&kit, constraints), 3);
    pgk_do(&kit, "ALTER TABLE \"le'ft\"\"$nextorm$\" DROP CONSTRAINT \"k$nextorm$'\"\"\"");
    OK(nx_create_tables(db, NULL));
    cr_expect_eq(pgk_number(&kit, constraints), 3);
    nx_completion done = OK(nx_table_columns(db, "le'ft\"$nextorm$", NULL));
    cr_assert_eq(done.raw->row_count, 2);
    cr_expect_str_eq(nx_rows_at(done.raw, 1, 0).text.data, "o'ther\"id");
    cr_expect_str_eq(nx_rows_at(done.raw, 1, 1).text.data, "bigint");
    SEEN(done);
    FAILS(nx_drop_table(db, "patron", 0, NULL), NX_ESTATE); /* things refer to it */
    OK(nx_drop_all_tables(db, 0, NULL));
    cr_expect_eq(pgk_number(&kit, "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace"), 0);
}

/* Goal: rows of a table with nearly as many columns as there can be (1,600) are written, one and many at a time, and come back.
 */
Test(pg_queries, wide_tables)
{
    enum { COLUMNS = 1500, ROWS = 40 };
    static nx_field fields[COLUMNS];
    static char names[COLUMNS][8];
    nx_entity *entity = NULL;
    nx_value value;

    fields[0] = (nx_field){ .name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i64 };
    for (size_t i = 1; i < COLUMNS; i++) {
        snprintf(names[i], sizeof(names[i]), "f%zu", i);
        fields[i] = (nx_field){ .name = names[i], .kind = NX_KIND_OPT, .type = NX_TYPE_i32 };
    }
    cr_assert_eq(nx_entity_new("Wide", fields, COLUMNS, NULL, &entity), NX_OK);
    nx_db *wide = nx_db_new(loop, (const nx_entity *const[]){ entity, NULL });
    nx_bind_options options = pgk_options(&kit, PGK_SOCKET);
    OK(nx_bind(wide, "postgres", &options, NULL));
    OK(nx_generate_mapping(wide, NX_CREATE_TABLES, NULL));
    for (int count = 1; count <= ROWS; count += ROWS - 1) {
        nx_session *s = begin(NULL);
        for (int row = 0; row < count; row++) {
            void *made = nx_new_row(s, entity);
            cr_assert_not_null(made);
            for (uint16_t i = 1; i < COLUMNS; i++)
                cr_assert_eq(nx_row_set(made, (nx_column){ entity, i }, nx_value_i64(i + row)), NX_OK);
        }
        OK(nx_session_end(s, NULL));
        nx_session_free(s);
    }
    nx_completion done = OK(nx_fetch_all(nx_order_by(nx_select_db(wide, entity), nx_asc(nx_column_of(entity, "id"))), NULL));
    cr_assert_eq(done.count, 1 + ROWS);
    for (int64_t row = 0; row < done.count; row++) {
        for (uint16_t i = 1; i < COLUMNS; i++) {
            cr_assert_eq(nx_row_get(done.rows[row], (nx_column){ entity, i }, &value), NX_OK);
            cr_assert_eq(value.i64, i + (row == 0 ? 0 : row - 1));
        }
    }
    SEEN(done);
    nx_db_free(wide);
    nx_entity_free(entity);
}

Test(pg_queries, uniques)
{
    pgk_do(
        &kit,
        "CREATE TABLE u (a int, b int, c int, PRIMARY KEY (b, a), UNIQUE (c)); CREATE UNIQUE INDEX x1 ON u (a, lower(c::text)); "
        "CREATE UNIQUE INDEX x2 ON u (a) WHERE b > 1; CREATE UNIQUE INDEX x3 ON u (b) INCLUDE (c); CREATE INDEX x4 ON u (a)");
    nx_completion done = OK(nx_table_uniques(db, "u", NULL));
    char text[256] = "";
    for (size_t i = 0; i < done.raw->row_count; i++) {
        size_t used = strlen(text);
        nx_value column = nx_rows_at(done.raw, i, 1);
        snprintf(text + used, sizeof(text) - used, "%s.%s ", nx_rows_at(done.raw, i, 0).text.data,
                 column.type == NX_TYPE_null ? "?" : column.text.data);
    }
    cr_expect_str_eq(text, "u_c_key.c u_pkey.b u_pkey.a x1.a x1.? x3.b ");
    SEEN(done);
}

/* ----------------------------------------------------------------------------- programs at once */

static void *create_tables(void *context)
{
    nx_bind_options *options = context;
    nx_loop *own = NULL;
    nx_error error;

    if (nx_loop_open(NULL, &own, &error) != NX_OK)
        return (void *)(uintptr_t) "no loop";
    nx_db *other = nx_db_new(own, NX_ENTITIES(Patron, Thing, Left, Right));
    nx_completion done = nx_await(own, nx_bind(other, "postgres", options, NULL));
    if (done.status == NX_OK)
        done = nx_await(own, nx_generate_mapping(other, NX_CREATE_TABLES, NULL));
    const char *problem = done.status == NX_OK ? NULL : nx_status_name(done.status);
    nx_db_free(other);
    nx_loop_close(own);
    return (void *)(uintptr_t)problem;
}

Test(pg_queries, programs_that_create_the_same_tables_at_once)
{
    enum { PROGRAMS = 6, ROUNDS = 5 };
    nx_bind_options options = pgk_options(&kit, PGK_SOCKET);

    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[PROGRAMS];
        OK(nx_drop_all_tables(db, NX_DROP_IF_EXISTS, NULL));
        for (size_t i = 0; i < PROGRAMS; i++)
            cr_assert_eq(pthread_create(&threads[i], NULL, create_tables, &options), 0);
        for (size_t i = 0; i < PROGRAMS; i++) {
            void *problem = NULL;
            cr_assert_eq(pthread_join(threads[i], &problem), 0);
            cr_expect_null(problem, "%s", (const char *)problem);
        }
    }
}
