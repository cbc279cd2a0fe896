/*
 * pg_pool - connections to a PostgreSQL server that are cancelled, killed while idle, or listen.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "nextorm.h"
#include "tests/support/pg_kit.h"
#include "tests/support/test_kit.h"

static pg_kit kit;
static nx_loop *loop;
static nx_db *db;

static void open_db(const nx_bind_options *changes)
{
    nx_bind_options options;

    pgk_open(&kit);
    options = pgk_options(&kit, PGK_SOCKET);
    if (changes != NULL) {
        options.pool_min = changes->pool_min;
        options.pool_max = changes->pool_max;
        options.idle_check_ms = changes->idle_check_ms;
        options.notifications_max = changes->notifications_max;
    }
    db = pgk_bind(&options, NULL, &loop);
}

static void end_db(void)
{
    nx_loop_close(loop);
    pgk_close(&kit);
}

static int64_t number_of(nx_op op)
{
    nx_completion c = nx_await(loop, op);
    int64_t number;

    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    cr_assert_eq(c.raw->row_count, 1u);
    number = nx_rows_at(c.raw, 0, 0).i64;
    nx_seen(loop, &c);
    return number;
}

static int64_t backend(void)
{
    return number_of(nx_select_raw(db, "SELECT pg_backend_pid()", NULL, 0, NULL));
}

/* Until the server is at that statement. */
static void wait_until_it_runs(const char *sql)
{
    char query[256];

    snprintf(query, sizeof(query), "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%s%%'", sql);
    pgk_wait_for(&kit, loop, query);
}

/* ------------------------------------------------------------------------------ cancelled */

Test(pg_pool, a_cancelled_operation_keeps_its_connection, .timeout = 60)
{
    open_db(NULL);
    int64_t before = backend();
    nx_op op = nx_execute(db, "SELECT pg_sleep(50) /* cancelled */", NULL, 0, NULL);
    wait_until_it_runs("SELECT pg_sleep(50) /* cancelled */");
    cr_assert_eq(nx_op_cancel(loop, op), NX_OK);
    cr_assert_eq(nx_await(loop, op).status, NX_ECANCELED);
    cr_assert_eq(backend(), before, "and it has stopped, else this would wait");
    end_db();
}

Test(pg_pool, so_does_a_late_one, .timeout = 60)
{
    open_db(NULL);
    int64_t before = backend();
    for (int i = 0; i < 5; i++) {
        nx_op op = nx_execute(db, "SELECT pg_sleep(50)", NULL, 0, NULL);
        cr_assert_eq(nx_op_deadline(loop, op, 20), NX_OK);
        cr_assert_eq(nx_await(loop, op).status, NX_EDEADLINE);
    }
    cr_assert_eq(backend(), before);
    end_db();
}

Test(pg_pool, a_session_whose_statement_was_cancelled_says_what_it_has_done, .timeout = 60)
{
    open_db(NULL);
    pgk_do(&kit, "CREATE TABLE t (a int)");
    nx_session *s = nx_session_begin(loop, NULL);
    cr_assert_eq(nx_await(loop, nx_session_execute(s, db, "INSERT INTO t VALUES (1)", NULL, 0, NULL)).status, NX_OK);
    nx_completion c = nx_await(loop, nx_session_select_raw(s, db, "SELECT pg_backend_pid()", NULL, 0, NULL));
    int64_t before = nx_rows_at(c.raw, 0, 0).i64;
    nx_seen(loop, &c);
    nx_op op = nx_session_execute(s, db, "SELECT pg_sleep(50) /* in a session */", NULL, 0, NULL);
    wait_until_it_runs("SELECT pg_sleep(50) /* in a session */");
    cr_assert_eq(nx_op_cancel(loop, op), NX_OK);
    cr_assert_eq(nx_await(loop, op).status, NX_ECANCELED);
    bool goes_on = nx_await(loop, nx_session_execute(s, db, "INSERT INTO t VALUES (2)", NULL, 0, NULL)).status == NX_OK;
    bool commits = nx_await(loop, nx_session_end(s, NULL)).status == NX_OK;
    cr_assert_eq(nx_session_outcome(s), commits ? NX_OUTCOME_COMMITTED : NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    cr_assert_eq(backend(), before);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM t"), commits ? 1 + goes_on : 0);
    end_db();
}

Test(pg_pool, a_session_goes_on_after_it_rolled_back, .timeout = 60)
{
    open_db(NULL);
    pgk_do(&kit, "CREATE TABLE t (a int)");
    nx_session *s = nx_session_begin(loop, NULL);
    nx_op op = nx_session_execute(s, db, "INSERT INTO t SELECT 1 FROM pg_sleep(50)", NULL, 0, NULL);
    wait_until_it_runs("INSERT INTO t SELECT 1 FROM pg_sleep(50)");
    cr_assert_eq(nx_op_cancel(loop, op), NX_OK);
    cr_assert_eq(nx_await(loop, op).status, NX_ECANCELED);
    cr_assert_eq(nx_await(loop, nx_rollback(s, NULL)).status, NX_OK);
    cr_assert_eq(nx_await(loop, nx_session_execute(s, db, "INSERT INTO t VALUES (2)", NULL, 0, NULL)).status, NX_OK);
    cr_assert_eq(nx_await(loop, nx_session_end(s, NULL)).status, NX_OK);
    nx_session_free(s);
    cr_assert_eq(pgk_number(&kit, "SELECT sum(a) FROM t"), 2);
    end_db();
}

/* Every operation carries a number and returns it; a part is cancelled at some moment or other. */
Test(pg_pool, an_interrupt_hits_nobody_else, .timeout = 300)
{
    enum { TOTAL = 3000, FLIGHT = 24 };
    nx_bind_options changes = { .pool_max = 4 };
    nx_op ops[FLIGHT] = { 0 };
    int64_t numbers[FLIGHT] = { 0 };
    int64_t made = 0, ended = 0, cancelled = 0;
    uint64_t seed = 42;

    open_db(&changes);
    while (ended < TOTAL) {
        for (size_t i = 0; i < FLIGHT && made < TOTAL; i++) {
            if (ops[i].slot != 0)
                continue;
            nx_value value = nx_value_i64(made);
            numbers[i] = made;
            ops[i] = nx_select_raw(db, "SELECT ?::bigint FROM pg_sleep(0.002)", &value, 1, &ops[i]);
            made++;
        }
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t at = seed >> 33 & 31;
        if (at < FLIGHT && ops[at].slot != 0)
            cr_assert(nx_op_cancel(loop, ops[at]) != NX_EINVAL); /* it may be complete by now */
        size_t ready;
        cr_assert_eq(nx_wait_many(loop, 1, (int64_t)(seed >> 40 & 3), &ready), NX_OK);
        for (const nx_completion *c; (c = nx_peek(loop)) != NULL; nx_seen(loop, c)) {
            nx_op *op = c->tag;
            if (c->status == NX_OK)
                cr_assert_eq(nx_rows_at(c->raw, 0, 0).i64, numbers[op - ops]);
            else
                cr_assert_eq(c->status, NX_ECANCELED, "%s", c->error->message);
            cancelled += c->status != NX_OK;
            *op = (nx_op){ 0, 0 };
            ended++;
        }
    }
    cr_log_info("%d of %d were cancelled", (int)cancelled, (int)TOTAL);
    cr_assert_gt(cancelled, TOTAL / 20);
    end_db();
}

/* ------------------------------------------------------------------------------ killed */

Test(pg_pool, one_that_is_killed_while_it_is_idle_is_replaced_unseen, .timeout = 60)
{
    open_db(NULL);
    for (int i = 0; i < 5; i++) {
        int64_t before = backend();
        cr_assert(pgk_kill(&kit, before, 5000));
        tk_pause_ms(20);
        cr_assert_neq(backend(), before);
    }
    end_db();
}

Test(pg_pool, an_idle_one_is_asked_first, .timeout = 60)
{
    nx_bind_options changes = { .pool_max = 1, .idle_check_ms = 1 };

    open_db(&changes);
    int64_t before = backend();
    for (int i = 0; i < 50; i++) {
        tk_pause_ms(2);
        cr_assert_eq(backend(), before);
    }
    end_db();
}

/* ------------------------------------------------------------------------------ notifications */

static nx_completion next_of(nx_op op)
{
    nx_completion c = nx_await(loop, op);
    cr_assert_eq(c.status, NX_OK, "%s", c.error == NULL ? "" : c.error->message);
    cr_assert_eq(c.flags, (uint32_t)NX_MORE);
    return c;
}

static void expect_text(nx_op op, const char *payload)
{
    nx_completion c = next_of(op);
    cr_assert_eq(c.value.type, NX_TYPE_text);
    cr_assert_str_eq(c.value.text.data, payload);
    nx_seen(loop, &c);
}

Test(pg_pool, notifications_arrive, .timeout = 60)
{
    char channel[64], sql[160];

    open_db(NULL);
    snprintf(channel, sizeof(channel), "%.40s Ä\"'\\", kit.schema); /* channels are the whole server's */
    nx_op op = nx_listen(db, channel, NULL);
    cr_assert_eq(next_of(op).value.type, NX_TYPE_null);
    cr_assert_eq(nx_await(loop, nx_notify(db, channel, "from ourselves", NULL)).status, NX_OK);
    expect_text(op, "from ourselves");
    cr_assert_eq(nx_await(loop, nx_notify(db, channel, NULL, NULL)).status, NX_OK);
    expect_text(op, "");
    PGconn *other = pgk_connect(&kit);
    char *name = PQescapeIdentifier(other, channel, strlen(channel));
    snprintf(sql, sizeof(sql), "NOTIFY %s, 'from others'", name);
    PQfreemem(name);
    PQclear(PQexec(other, sql));
    PQfinish(other);
    expect_text(op, "from others");
    cr_assert_eq(nx_op_cancel(loop, op), NX_OK);
    cr_assert_eq(nx_await(loop, op).status, NX_ECANCELED);
    end_db();
}

Test(pg_pool, a_listener_is_told_of_its_loss_and_listens_again, .timeout = 60)
{
    char query[256];

    open_db(NULL);
    nx_op op = nx_listen(db, kit.schema, NULL);
    (void)next_of(op);
    snprintf(query, sizeof(query), "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN \"%s\"'", kit.schema);
    cr_assert(pgk_kill(&kit, pgk_number(&kit, query), 5000));
    nx_completion c = nx_await(loop, op);
    cr_assert_eq(c.status, NX_ELOST, "%s", nx_status_name(c.status));
    cr_assert_eq(c.flags, 0u);
    op = nx_listen(db, kit.schema, NULL);
    (void)next_of(op);
    cr_assert_eq(nx_await(loop, nx_notify(db, kit.schema, "again", NULL)).status, NX_OK);
    expect_text(op, "again");
    end_db();
}

Test(pg_pool, many_notifications_come_in_order, .timeout = 60)
{
    enum { COUNT = 20000 };
    nx_bind_options changes = { .pool_max = 1, .notifications_max = COUNT + 1 };
    char query[256];

    open_db(&changes);
    nx_op op = nx_listen(db, kit.schema, NULL);
    (void)next_of(op);
    snprintf(query, sizeof(query), "SELECT count(pg_notify('%s', i::text)) FROM generate_series(1, %d) i", kit.schema, COUNT);
    cr_assert_eq(pgk_number(&kit, query), COUNT);
    for (int i = 1; i <= COUNT; i++) {
        char expected[16];
        snprintf(expected, sizeof(expected), "%d", i);
        expect_text(op, expected);
    }
    end_db();
}

Test(pg_pool, who_does_not_read_ends_with_a_limit, .timeout = 60)
{
    nx_bind_options changes = { .pool_max = 1, .notifications_max = 10 };
    char query[256];

    open_db(&changes);
    nx_op op = nx_listen(db, kit.schema, NULL);
    (void)next_of(op);
    snprintf(query, sizeof(query), "SELECT count(pg_notify('%s', i::text)) FROM generate_series(1, 100) i", kit.schema);
    cr_assert_eq(pgk_number(&kit, query), 100);
    for (int i = 0; i < 10; i++) {
        nx_completion c = next_of(op);
        nx_seen(loop, &c);
        if (i == 0) /* by now all have come */
            (void)backend();
    }
    /* Those that were read made room, so a few more may have been taken before the limit was met. */
    nx_completion c = nx_await(loop, op);
    while (c.status == NX_OK) {
        nx_seen(loop, &c);
        c = nx_await(loop, op);
    }
    cr_assert_eq(c.status, NX_ELIMIT, "%s", nx_status_name(c.status));
    end_db();
}
