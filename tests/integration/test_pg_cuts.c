/*
 * pg_cuts - the connection to a PostgreSQL server is cut, changed or split at every byte, in both directions: what was
 * acknowledged is there once, what is said to be rolled back is not there, and nothing waits for ever. NX_TEST_LONG=1: every
 * byte; else a sample.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "nextorm.h"
#include "tests/support/pg_kit.h"
#include "tests/support/pg_proxy.h"

static pg_kit kit;
static pg_proxy proxy;
static nx_loop *loop;
static nx_db *db;

static bool is_long(void)
{
    const char *text = getenv("NX_TEST_LONG");
    return text != NULL && text[0] == '1';
}

static void set_up(void)
{
    pgk_open(&kit);
    pgk_do(&kit, "CREATE TABLE t (run int, step int, PRIMARY KEY (run, step))");
    pgp_start(&proxy);
}

static void tear_down(void)
{
    pgp_stop(&proxy);
    pgk_close(&kit);
}

TestSuite(pg_cuts, .init = set_up, .fini = tear_down, .timeout = 3000);

/* False: not even that worked, which is all right when the connection is disturbed. */
static bool bind_to_proxy(void)
{
    nx_bind_options options = pgk_options(&kit, PGK_PLAIN);

    options.port = proxy.port;
    options.pool_timeout_ms = 2000;
    options.deadline_ms = 1500;
    cr_assert_eq(nx_loop_open(NULL, &loop, NULL), NX_OK);
    db = nx_db_new(loop, NULL);
    return nx_await(loop, nx_bind(db, "postgres", &options, NULL)).status == NX_OK;
}

enum { STEPS = 5 };
typedef enum verdict { ABSENT, PRESENT, EITHER } verdict;

static verdict verdict_of(nx_status status, nx_outcome outcome)
{
    if (status == NX_OK)
        return PRESENT;
    return outcome == NX_OUTCOME_UNKNOWN ? EITHER : outcome == NX_OUTCOME_COMMITTED ? PRESENT : ABSENT;
}

static verdict insert_alone(int run, int step)
{
    nx_value values[] = { nx_value_i64(run), nx_value_i64(step) };
    nx_completion c = nx_await(loop, nx_execute(db, "INSERT INTO t VALUES (?::int, ?::int)", values, 2, NULL));

    return verdict_of(c.status, c.error == NULL ? NX_OUTCOME_NONE : c.error->outcome);
}

static verdict insert_in_session(int run, int first)
{
    nx_session *s = nx_session_begin(loop, NULL);
    nx_status status = NX_OK;
    verdict made;

    for (int step = first; step < first + 2; step++) {
        nx_value values[] = { nx_value_i64(run), nx_value_i64(step) };
        nx_completion c = nx_await(loop, nx_session_execute(s, db, "INSERT INTO t VALUES (?::int, ?::int)", values, 2, NULL));
        status = status == NX_OK ? c.status : status;
    }
    if (status == NX_OK) {
        status = nx_await(loop, nx_session_end(s, NULL)).status;
        made = verdict_of(status, nx_session_outcome(s));
    } else {
        made = ABSENT;
    }
    nx_session_free(s);
    return made;
}

/* The rows of a run on a connection of its own, and what is to be found of them. */
static void run_steps(int run, verdict *found)
{
    for (int i = 0; i < STEPS; i++)
        found[i] = ABSENT;
    if (bind_to_proxy()) {
        found[0] = insert_alone(run, 0);
        found[1] = insert_in_session(run, 1);
        found[2] = found[1];
        nx_completion c = nx_await(loop, nx_select_raw(db, "SELECT 7::int8 AS a, 'text' AS b", NULL, 0, NULL));
        if (c.status == NX_OK)
            nx_seen(loop, &c);
        found[3] = insert_alone(run, 3);
        found[4] = insert_alone(run, 4);
    }
    nx_loop_close(loop);
}

static void check_steps(int run, const verdict *found, const char *what, uint64_t at)
{
    for (int i = 0; i < STEPS; i++) {
        char sql[96];
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM t WHERE run = %d AND step = %d", run, i);
        int64_t there = pgk_number(&kit, sql);
        cr_assert(found[i] == EITHER || there == (found[i] == PRESENT), "%s at %d: step %d is %s, and there %s", what, (int)at, i,
                  found[i] == PRESENT ? "acknowledged" : "rolled back", there == 0 ? "is nothing" : "it is");
    }
}

/* Nothing of that session may still be under way when we look. */
static void wait_for_silence(void)
{
    char sql[256];

    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid() AND query LIKE "
             "'%%INSERT INTO t VALUES%%' AND datname = current_database()");
    for (int i = 0; i < 1000 && pgk_number(&kit, sql) > 0; i++)
        cr_assert_eq(pgk_number(&kit, "SELECT 1 FROM pg_sleep(0.002)"), 1);
}

static void at_every_byte(pgp_plan plan, uint64_t step, const char *what)
{
    static int run;
    verdict found[STEPS];
    uint64_t size;

    pgp_set(&proxy, (pgp_plan){ .action = PGP_PASS });
    run_steps(++run, found);
    check_steps(run, found, "undisturbed", 0);
    pgp_set(&proxy, (pgp_plan){ .action = PGP_PASS });
    run_steps(++run, found);
    while ((size = pgp_most(&proxy, plan.to_client)) == 0) /* until the proxy has seen the end */
        cr_assert_eq(pgk_number(&kit, "SELECT 1 FROM pg_sleep(0.002)"), 1);
    cr_assert_gt(size, 300u);
    for (plan.at = 0; plan.at < size; plan.at += is_long() ? 1 : step) {
        pgp_set(&proxy, plan);
        run_steps(++run, found);
        wait_for_silence();
        check_steps(run, found, what, plan.at);
    }
}

Test(pg_cuts, what_the_server_says_is_cut)
{
    at_every_byte((pgp_plan){ .action = PGP_CUT, .to_client = true }, 29, "cut of answers");
}

Test(pg_cuts, what_the_driver_says_is_cut)
{
    at_every_byte((pgp_plan){ .action = PGP_CUT }, 31, "cut of requests");
}

Test(pg_cuts, answers_arrive_byte_by_byte)
{
    verdict found[STEPS];

    pgp_set(&proxy, (pgp_plan){ .bytewise = true });
    run_steps(100000, found);
    check_steps(100000, found, "byte by byte", 0);
    for (int i = 0; i < STEPS; i++)
        cr_assert_eq(found[i], PRESENT);
}

/* What is changed may be anything, also what is asked for: nothing crashes, and nothing waits for ever. */
static void change_every_byte(bool to_client, uint64_t step)
{
    pgp_plan plan = { .action = PGP_FLIP, .to_client = to_client };
    verdict found[STEPS];
    uint64_t size;

    pgp_set(&proxy, (pgp_plan){ .action = PGP_PASS });
    run_steps(1, found);
    while ((size = pgp_most(&proxy, to_client)) == 0)
        cr_assert_eq(pgk_number(&kit, "SELECT 1 FROM pg_sleep(0.002)"), 1);
    for (plan.at = 0; plan.at < size; plan.at += is_long() ? 1 : step) {
        static const uint8_t masks[] = { 0x01, 0x20, 0xff };
        plan.mask = masks[plan.at % 3];
        pgp_set(&proxy, plan);
        run_steps(2 + (int)plan.at, found);
    }
}

Test(pg_cuts, what_the_server_says_is_changed)
{
    change_every_byte(true, 61);
}

Test(pg_cuts, what_the_driver_says_is_changed)
{
    change_every_byte(false, 67);
}
