/*
 * pg_faults - a PostgreSQL server whose backends are killed, whose operations are cancelled, whose tables change, and that
 * refuses.
 *
 * NX_TEST_LONG=1: the full numbers.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "nextorm.h"
#include "tests/support/pg_kit.h"
#include "tests/support/test_kit.h"

#define ITEM(FIELD, E) FIELD(E, PK, i64, id)
NX_ENTITY(Item, ITEM) /* numbers from 1 on */
NX_ENTITY(Nap, ITEM)  /* views that take a while */
NX_ENTITY(Sleep, ITEM)
#define THING(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, number)
NX_ENTITY(Thing, THING)

enum { ITEMS = 1000 };

static pg_kit kit;
static nx_loop *loop;
static nx_db *db;

static void open_db(uint16_t connections)
{
    nx_bind_options options;

    pgk_open(&kit);
    options = pgk_options(&kit, PGK_SOCKET);
    options.pool_max = connections;
    db = pgk_bind(&options, NX_ENTITIES(Item, Nap, Sleep, Thing), &loop);
    pgk_map(loop, db, 0);
}

static void make_items(void)
{
    pgk_do(&kit, "CREATE TABLE item (id int8 PRIMARY KEY); INSERT INTO item SELECT generate_series(1, 1000); "
                 "CREATE VIEW nap AS SELECT 1::int8 AS id FROM pg_sleep(0.003); "
                 "CREATE VIEW sleep AS SELECT 1::int8 AS id FROM pg_sleep(50)");
}

static void end_db(void)
{
    nx_loop_close(loop);
    pgk_close(&kit);
}

static nx_completion execute(const char *sql)
{
    return nx_await(loop, nx_execute(db, sql, NULL, 0, NULL));
}

static int64_t number(const char *sql)
{
    nx_completion c = nx_await(loop, nx_select_raw(db, sql, NULL, 0, NULL));
    int64_t found;

    cr_assert_eq(c.status, NX_OK, "%s: %s", sql, c.error->message);
    found = nx_rows_at(c.raw, 0, 0).i64;
    nx_seen(loop, &c);
    return found;
}

/* Of the connection, which may have been killed while it was idle. */
static int64_t backend(void)
{
    for (int i = 0; i < 100; i++) {
        nx_completion c = nx_await(loop, nx_select_raw(db, "SELECT pg_backend_pid()::int8", NULL, 0, NULL));
        if (c.status == NX_OK) {
            int64_t pid = nx_rows_at(c.raw, 0, 0).i64;
            nx_seen(loop, &c);
            return pid;
        }
        cr_assert_eq(c.status, NX_ELOST, "%s", c.error->message);
    }
    cr_assert_fail("no connection comes");
    return 0;
}

/* ------------------------------------------------------------------------------ killed */

typedef struct victim {
    int64_t run;
    nx_status status;
    nx_outcome outcome;
} victim;

/*
 * A session of two rows, and at some moment of it its backend is killed; `moment` counts turns of the loop from its first
 * operation on.
 */
static victim session_with_a_kill(int64_t run, int64_t pid, unsigned moment)
{
    victim v = { .run = run };
    nx_value values[] = { nx_value_i64(run) };
    nx_session *s = nx_session_begin(loop, NULL);
    nx_op ops[3];

    for (int i = 0; i < 2; i++)
        ops[i] = nx_session_execute(s, db, "INSERT INTO t VALUES (?::int8)", values, 1, NULL);
    for (unsigned i = 0; i < moment % 4; i++)
        cr_assert_eq(nx_submit(loop), NX_OK);
    if (moment % 8 < 4)
        (void)pgk_kill(&kit, pid, 0);
    for (int i = 0; i < 2 && v.status == NX_OK; i++)
        v.status = nx_await(loop, ops[i]).status;
    if (v.status != NX_OK) { /* nobody would go on */
        nx_session_free(s);
        return v;
    }
    ops[2] = nx_session_end(s, NULL);
    for (unsigned i = 0; i < moment % 3; i++)
        cr_assert_eq(nx_submit(loop), NX_OK);
    if (moment % 8 >= 4)
        (void)pgk_kill(&kit, pid, 0);
    v.status = nx_await(loop, ops[2]).status;
    v.outcome = nx_session_outcome(s);
    nx_session_free(s);
    return v;
}

/* Acknowledged: both rows, once. Rolled back, or failed before its end: none. Unknown: both or none. */
static void check_victim(const victim *v)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM t WHERE run = %" PRId64, v->run);
    int64_t rows = pgk_number(&kit, sql);
    if (v->status == NX_OK)
        cr_assert_eq(rows, 2, "run %d: acknowledged, and %d rows are there", (int)v->run, (int)rows);
    else if (v->outcome == NX_OUTCOME_UNKNOWN)
        cr_assert(rows == 0 || rows == 2, "run %d: half of it is there", (int)v->run);
    else
        cr_assert_eq(rows, 0, "run %d: %s, outcome %d, and %d rows are there", (int)v->run, nx_status_name(v->status),
                     (int)v->outcome, (int)rows);
}

Test(pg_faults, backends_killed_in_sessions, .timeout = 20000)
{
    int kills = tk_is_long() ? 1000 : 25, counts[3] = { 0 };

    open_db(1);
    pgk_do(&kit, "CREATE TABLE t (run int8)");
    for (int run = 1; run <= kills; run++) {
        int64_t pid = backend();
        victim v = session_with_a_kill(run, pid, tk_random_below(24));
        char sql[128];
        /* Until the old backend is gone, an unknown transaction may still be under way. */
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM pg_stat_activity WHERE pid = %" PRId64, pid);
        for (int i = 0; i < 5000 && pgk_number(&kit, sql) > 0; i++)
            tk_pause_ms(1);
        check_victim(&v);
        counts[v.status == NX_OK ? 0 : v.outcome == NX_OUTCOME_UNKNOWN ? 2 : 1]++;
    }
    cr_log_info("%d kills: %d acknowledged, %d rolled back, %d unknown", kills, counts[0], counts[1], counts[2]);
    cr_assert_gt(counts[1] + counts[2], kills / 4);
    end_db();
}

/* A constraint that is checked by COMMIT, slowly: the backend is killed between COMMIT and its answer. */
Test(pg_faults, killed_between_commit_and_its_answer, .timeout = 3000)
{
    int rounds = tk_is_long() ? 50 : 5;

    open_db(1);
    pgk_do(&kit, "CREATE TABLE t (run int8); "
                 "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END'; "
                 "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE "
                 "FUNCTION slow()");
    for (int run = 1; run <= rounds; run++) {
        int64_t pid = backend();
        nx_value value = nx_value_i64(run);
        nx_session *s = nx_session_begin(loop, NULL);
        cr_assert_eq(nx_await(loop, nx_session_execute(s, db, "INSERT INTO t VALUES (?::int8)", &value, 1, NULL)).status, NX_OK);
        nx_op op = nx_session_end(s, NULL);
        pgk_wait_for_sleepers(&kit, loop, "COMMIT", 1);
        (void)pgk_kill(&kit, pid, 0);
        nx_completion c = nx_await(loop, op);
        cr_assert_neq(c.status, NX_OK);
        cr_assert_eq(nx_session_outcome(s), NX_OUTCOME_UNKNOWN);
        cr_assert_eq(c.error->outcome, NX_OUTCOME_UNKNOWN);
        cr_assert_not(c.error->retryable, "it might have happened");
        nx_session_free(s);
    }
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM t"), 0);
    end_db();
}

Test(pg_faults, killed_while_idle_and_in_a_read, .timeout = 60)
{
    open_db(1);
    make_items();
    int64_t pid = backend();
    (void)pgk_kill(&kit, pid, 0);
    tk_pause_ms(100);
    cr_assert_neq(backend(), pid, "another connection took its place");
    pid = backend();
    nx_op op = nx_count(nx_select(db, Sleep), NULL);
    pgk_wait_for_sleepers(&kit, loop, "sleep", 1);
    (void)pgk_kill(&kit, pid, 0);
    nx_completion c = nx_await(loop, op);
    cr_assert_eq(c.status, NX_ELOST);
    cr_assert_str_eq(c.error->sqlstate, "57P01");
    cr_assert(c.error->retryable, "it was a read");
    pid = backend();
    op = nx_execute(db, "SELECT pg_sleep(50)", NULL, 0, NULL);
    pgk_wait_for_sleepers(&kit, loop, "pg_sleep", 1);
    (void)pgk_kill(&kit, pid, 0);
    c = nx_await(loop, op);
    cr_assert_eq(c.status, NX_ELOST);
    cr_assert_not(c.error->retryable, "what that text does is not known");
    cr_assert_eq(number("SELECT 5::int8"), 5);
    end_db();
}

/* ------------------------------------------------------------------------------ cancelled */

/* Reads that carry a number and return it, cancelled at random moments: each is cancelled, or brings its own number. */
Test(pg_faults, cancels_at_random_moments, .timeout = 20000)
{
    enum { WINDOW = 64 };
    unsigned total = tk_is_long() ? 100000 : 10000, done = 0, queued = 0, cancelled = 0, answers = 0;
    nx_op ops[WINDOW];
    uint64_t wanted[WINDOW];
    bool busy[WINDOW] = { false };

    open_db(4);
    make_items();
    while (done < total) {
        for (size_t i = 0; i < WINDOW && queued < total; i++) {
            if (busy[i])
                continue;
            wanted[i] = queued++ % ITEMS + 1;
            ops[i] = queued % 50 == 0 ? nx_count(nx_select(db, Nap), &wanted[i])
                                      : nx_get(db, Item, nx_eq(Item_.id, (int64_t)wanted[i]), &wanted[i]);
            busy[i] = true;
        }
        if (tk_random_below(2) == 0)
            cr_assert_eq(nx_submit(loop), NX_OK);
        size_t hit = tk_random_below(WINDOW);
        if (busy[hit] && tk_random_below(3) == 0)
            cancelled += nx_op_cancel(loop, ops[hit]) == NX_OK;
        size_t ready;
        cr_assert_eq(nx_wait_many(loop, 1, 10000, &ready), NX_OK);
        nx_for_each_completion (loop, c) {
            size_t i = (size_t)((uint64_t *)c->tag - wanted);
            cr_assert(c->status == NX_OK || c->status == NX_ECANCELED, "%s", c->error->message);
            if (c->status == NX_OK && c->rows != NULL)
                cr_assert_eq((uint64_t)((const Item *)c->rows[0])->id, wanted[i], "the answer of another request");
            answers += c->rows != NULL;
            busy[i] = false;
            done++;
        }
    }
    cr_log_info("%u requests, %u cancelled, %u answers, no mismatch", total, cancelled, answers);
    cr_assert_gt(answers, total / 10);
    cr_assert_gt(cancelled, total / 100);
    end_db();
}

/* What is behind the one that was cancelled on the same connection does not wait for its end, and does not see the interrupt. */
Test(pg_faults, reads_behind_a_cancelled_one, .timeout = 60)
{
    open_db(1);
    make_items();
    cr_assert_eq(number("SELECT 1::int8"), 1);
    for (int round = 0; round < 5; round++) {
        nx_op slow = nx_count(nx_select(db, Sleep), NULL), behind[8];
        for (size_t i = 0; i < 8; i++)
            behind[i] = nx_get(db, Item, nx_eq(Item_.id, (int64_t)i + 1), NULL);
        pgk_wait_for_sleepers(&kit, loop, "sleep", 1);
        cr_assert_eq(nx_op_cancel(loop, slow), NX_OK);
        cr_assert_eq(nx_await(loop, slow).status, NX_ECANCELED);
        for (size_t i = 0; i < 8; i++) {
            nx_completion c = nx_await(loop, behind[i]);
            cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
            cr_assert_eq(((const Item *)c.rows[0])->id, (int64_t)i + 1);
            nx_seen(loop, &c);
        }
    }
    end_db();
}

Test(pg_faults, what_runs_is_stopped_when_the_loop_is_closed, .timeout = 60)
{
    open_db(1);
    (void)nx_execute(db, "SELECT pg_sleep(50) /* left behind */", NULL, 0, NULL);
    pgk_wait_for_sleepers(&kit, loop, "left behind", 1);
    nx_loop_close(loop);
    pgk_wait_for_sleepers(&kit, NULL, "left behind", 0);
    pgk_close(&kit);
}

/* ------------------------------------------------------------------------------ what the server refuses */

Test(pg_faults, statement_timeout_is_no_cancel_of_ours, .timeout = 60)
{
    open_db(1);
    cr_assert_eq(execute("SET statement_timeout = 50").status, NX_OK);
    nx_completion c = execute("SELECT pg_sleep(10)");
    cr_assert_eq(c.status, NX_EDEADLINE, "%s", nx_status_name(c.status));
    cr_assert_str_eq(c.error->sqlstate, "57014");
    cr_assert_not_null(strstr(c.error->message, "statement timeout"), "%s", c.error->message);
    cr_assert_eq(number("SELECT 5::int8"), 5);
    end_db();
}

Test(pg_faults, somebody_else_cancels, .timeout = 60)
{
    char sql[128];

    open_db(1);
    snprintf(sql, sizeof(sql), "SELECT pg_cancel_backend(%" PRId64 ")::int", backend());
    nx_op op = nx_select_raw(db, "SELECT 1 FROM pg_sleep(50) /* by hand */", NULL, 0, NULL);
    pgk_wait_for_sleepers(&kit, loop, "by hand", 1);
    cr_assert_eq(pgk_number(&kit, sql), 1);
    nx_completion c = nx_await(loop, op);
    cr_assert_eq(c.status, NX_ECANCELED);
    cr_assert_not_null(strstr(c.error->message, "canceling statement due to user request"), "%s", c.error->message);
    end_db();
}

Test(pg_faults, idle_in_transaction_timeout, .timeout = 60)
{
    open_db(1);
    pgk_do(&kit, "CREATE TABLE t (a int)");
    cr_assert_eq(execute("SET idle_in_transaction_session_timeout = 50").status, NX_OK);
    nx_session *s = nx_session_begin(loop, NULL);
    cr_assert_eq(nx_await(loop, nx_session_execute(s, db, "INSERT INTO t VALUES (1)", NULL, 0, NULL)).status, NX_OK);
    tk_pause_ms(300);
    nx_completion c = nx_await(loop, nx_session_execute(s, db, "INSERT INTO t VALUES (2)", NULL, 0, NULL));
    cr_assert_eq(c.status, NX_ELOST, "%s", nx_status_name(c.status));
    cr_assert_neq(nx_await(loop, nx_session_end(s, NULL)).status, NX_OK);
    cr_assert_eq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    cr_assert_eq(number("SELECT count(*) FROM t"), 0);
    end_db();
}

Test(pg_faults, tables_change_under_load, .timeout = 120)
{
    static const char *const changes[] = { "ALTER TABLE t ALTER a TYPE int8, ADD c int",
                                           "ALTER TABLE t ALTER a TYPE int4, DROP c" };

    open_db(2);
    pgk_do(&kit, "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x')");
    for (int round = 0; round < 30; round++) {
        nx_op ops[32];
        for (size_t i = 0; i < 32; i++) {
            if (i == 16) { /* a read between its Parse and its Bind has the table, and goes on only with the loop */
                cr_assert_eq(PQsendQuery(kit.conn, changes[round % 2]), 1);
                pgk_finish(&kit, loop);
            }
            ops[i] = i % 4 == 3 ? nx_execute(db, "UPDATE t SET b = 'y'", NULL, 0, NULL)
                                : nx_select_raw(db, "SELECT * FROM t", NULL, 0, NULL);
            cr_assert_eq(nx_submit(loop), NX_OK);
        }
        for (size_t i = 0; i < 32; i++) {
            nx_completion c = nx_await(loop, ops[i]);
            cr_assert_eq(c.status, NX_OK, "round %d, %zu: %s", round, i, c.error->message);
            if (c.raw != NULL) {
                cr_assert_eq(nx_rows_at(c.raw, 0, 0).i64, 1);
                nx_seen(loop, &c);
            }
        }
    }
    end_db();
}

Test(pg_faults, many_columns, .timeout = 120)
{
    char *sql = malloc(65536);
    size_t size = (size_t)snprintf(sql, 65536, "SELECT 0 AS c0");

    open_db(1);
    for (int i = 1; i < 1600; i++)
        size += (size_t)snprintf(sql + size, 65536 - size, ", %d AS c%d", i, i);
    nx_completion c = nx_await(loop, nx_select_raw(db, sql, NULL, 0, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    cr_assert_eq(c.raw->column_count, 1600u);
    cr_assert_eq(nx_rows_at(c.raw, 0, 1599).i64, 1599);
    nx_seen(loop, &c);
    for (int i = 1600; i < 1700; i++)
        size += (size_t)snprintf(sql + size, 65536 - size, ", %d AS c%d", i, i);
    c = nx_await(loop, nx_select_raw(db, sql, NULL, 0, NULL));
    cr_assert_eq(c.status, NX_ELIMIT, "%s", nx_status_name(c.status));
    cr_assert_str_eq(c.error->sqlstate, "54011");
    cr_assert_eq(number("SELECT 5::int8"), 5);
    free(sql);
    end_db();
}

/* New rows; so many go by COPY. */
static nx_completion flush_things(nx_session *s, int count)
{
    for (int i = 0; i < count; i++) {
        Thing *thing = nx_new(s, Thing);
        cr_assert_not_null(thing);
        thing->number = i;
    }
    return nx_await(loop, nx_session_end(s, NULL));
}

/* The server says what it says when a disk is full, in the middle of a COPY. */
Test(pg_faults, disk_full_in_a_copy, .timeout = 60)
{
    open_db(1);
    pgk_do(&kit, "CREATE TABLE thing (id int8 GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, number int4 NOT NULL); "
                 "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS "
                 "$$BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END$$; "
                 "CREATE TRIGGER no_room AFTER INSERT ON thing FOR EACH ROW WHEN (new.number = 3000) EXECUTE FUNCTION no_room()");
    nx_session *s = nx_session_begin(loop, NULL);
    cr_assert_eq(flush_things(s, 2500).status, NX_OK);
    nx_session_free(s);
    s = nx_session_begin(loop, NULL);
    nx_completion c = flush_things(s, 5000);
    cr_assert_neq(c.status, NX_OK);
    cr_assert_str_eq(c.error->sqlstate, "53100", "%s", c.error->message);
    cr_assert_eq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    cr_assert_eq(number("SELECT count(*) FROM thing"), 2500);
    end_db();
}

/* ------------------------------------------------------------------------------ others are in the way */

typedef struct meeting {
    unsigned attempts;
    bool other_waits;
} meeting;

static void let_other_end(void)
{
    pgk_finish(&kit, loop); /* when our rollback is with the server */
    pgk_do(&kit, "COMMIT");
}

static nx_status touch(nx_session *s, int which)
{
    nx_value value = nx_value_i64(which);
    return nx_await(loop, nx_session_execute(s, db, "UPDATE t SET b = b + 1 WHERE a = ?::int", &value, 1, NULL)).status;
}

/* The other session holds the second row and wants the first one: the server ends the one that looks for a deadlock first, ours.
 */
static nx_status meet(nx_session *s, void *context)
{
    meeting *m = context;
    nx_status status;

    if (m->attempts++ > 0)
        let_other_end();
    status = touch(s, 1);
    if (m->attempts == 1) {
        cr_assert_eq(status, NX_OK);
        cr_assert_eq(PQsendQuery(kit.conn, "UPDATE t SET b = b + 10 WHERE a = 1"), 1);
        cr_assert_eq(PQflush(kit.conn), 0);
        tk_pause_ms(100);
    }
    return status == NX_OK ? touch(s, 2) : status;
}

Test(pg_faults, the_loser_of_a_deadlock_is_repeated, .timeout = 60)
{
    meeting m = { 0 };
    nx_error error;

    open_db(1);
    pgk_do(&kit, "CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t VALUES (1, 0), (2, 0)");
    cr_assert_eq(execute("SET deadlock_timeout = '20ms'").status, NX_OK);
    pgk_do(&kit, "SET deadlock_timeout = '30s'");
    pgk_do(&kit, "BEGIN");
    pgk_do(&kit, "UPDATE t SET b = b + 10 WHERE a = 2");
    nx_session_options options = { .retry = 0 };
    cr_assert_eq(nx_run_in_session(loop, &options, meet, &m, &error), NX_EDEADLOCK);
    cr_assert(error.retryable);
    cr_assert_str_eq(error.sqlstate, "40P01");
    let_other_end();
    pgk_do(&kit, "BEGIN");
    pgk_do(&kit, "UPDATE t SET b = b + 10 WHERE a = 2");
    m = (meeting){ 0 };
    options.retry = 3;
    cr_assert_eq(nx_run_in_session(loop, &options, meet, &m, &error), NX_OK);
    cr_assert_eq(m.attempts, 2u);
    cr_assert_eq(pgk_number(&kit, "SELECT sum(b) FROM t"), 42);
    end_db();
}

static nx_status read_and_write(nx_session *s, void *context)
{
    meeting *m = context;
    nx_completion c = nx_await(loop, nx_session_select_raw(s, db, "SELECT b FROM t WHERE a = 1", NULL, 0, NULL));

    cr_assert_eq(c.status, NX_OK);
    nx_seen(loop, &c);
    if (m->attempts++ == 0)
        pgk_do(&kit, "UPDATE t SET b = 10 WHERE a = 1");
    return touch(s, 1);
}

Test(pg_faults, a_serialization_failure_is_repeated, .timeout = 60)
{
    meeting m = { 0 };
    nx_session_options options = { .isolation = NX_ISOLATION_REPEATABLE_READ };
    nx_error error;

    open_db(1);
    pgk_do(&kit, "CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t VALUES (1, 0)");
    cr_assert_eq(nx_run_in_session(loop, &options, read_and_write, &m, &error), NX_ESERIALIZATION);
    cr_assert(error.retryable);
    m = (meeting){ 0 };
    options.retry = 2;
    cr_assert_eq(nx_run_in_session(loop, &options, read_and_write, &m, &error), NX_OK);
    cr_assert_eq(m.attempts, 2u);
    cr_assert_eq(pgk_number(&kit, "SELECT b FROM t"), 11);
    end_db();
}
