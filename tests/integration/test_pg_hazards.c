/*
 * pg_hazards - what others do at the wrong moment, and tables that are not quite ordinary: writers beside a DROP, statements that
 * are stopped inside a transaction, cancel requests that nobody takes, a deadlock, partitioned tables, long names.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>

#include "nextorm.h"
#include "tests/support/link_kit.h"
#include "tests/support/pg_kit.h"
#include "tests/support/pg_proxy.h"
#include "tests/support/test_kit.h"

#define PLOT(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, number)
NX_ENTITY(Plot, PLOT)
#define LENGTHY(FIELD, E)                                                                                                        \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, a_column_whose_name_is_so_long_that_an_index_cannot_have_1, .unique = true)                               \
    FIELD(E, REQ, i32, a_column_whose_name_is_so_long_that_an_index_cannot_have_2, .index = true)
NX_ENTITY(Lengthy, LENGTHY)
#define CROSSED(FIELD, E)                                                                                                        \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, by_one)                                                                                                   \
    FIELD(E, REQ, i32, by_other)
NX_ENTITY(Crossed, CROSSED)

static pg_kit kit;
static nx_loop *loop;
static nx_db *db;

static uint16_t connections = 2;

static void open_db(const nx_entity *const *entities)
{
    nx_bind_options options;

    pgk_open(&kit);
    options = pgk_options(&kit, PGK_SOCKET);
    options.pool_max = connections;
    db = pgk_bind(&options, entities, &loop);
}

static void end_db(void)
{
    nx_loop_close(loop);
    pgk_close(&kit);
}

static nx_status status_of(nx_op op)
{
    return nx_await(loop, op).status;
}

/* ------------------------------------------------------------------------------ a writer beside a DROP */

/* A row that is written, and not yet committed, when the table is looked into: the DROP waits for it, and finds it. */
Test(pg_hazards, a_row_that_comes_before_a_drop_is_not_lost, .timeout = 60)
{
    static const char waits[] = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'plot'::regclass";

    open_db(NULL);
    pgk_do(&kit, "CREATE TABLE plot (a int)");
    PGconn *writer = pgk_connect(&kit);
    PQclear(PQexec(writer, "BEGIN"));
    PQclear(PQexec(writer, "INSERT INTO plot VALUES (1)"));
    nx_op op = nx_drop_table(db, "plot", 0, NULL);
    pgk_wait_for(&kit, loop, waits);
    PQclear(PQexec(writer, "COMMIT"));
    nx_completion c = nx_await(loop, op);
    cr_assert_eq(c.status, NX_ESTATE, "%s", nx_status_name(c.status));
    cr_assert_str_eq(c.error->table, "plot");
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM plot"), 1);
    PQclear(PQexec(writer, "DELETE FROM plot"));
    PQfinish(writer);
    cr_assert_eq(status_of(nx_drop_table(db, "nowhere", NX_DROP_IF_EXISTS, NULL)), NX_OK);
    cr_assert_eq(status_of(nx_drop_table(db, "nowhere", 0, NULL)), NX_EUNDEFINED);
    cr_assert_eq(status_of(nx_drop_table(db, "plot", 0, NULL)), NX_OK);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"), 0);
    end_db();
}

/* ------------------------------------------------------------------------------ stopped inside a transaction */

static nx_op start_insert(nx_session *s, int number)
{
    nx_value value = nx_value_i64(number);

    return nx_session_execute(s, db, "INSERT INTO t VALUES (?::int)", &value, 1, NULL);
}

static nx_status insert_in(nx_session *s, int number)
{
    return status_of(start_insert(s, number));
}

/* Whether by hand or by its deadline: the statement is undone, and nothing else. */
static void stop_in_a_session(bool late)
{
    open_db(NULL);
    pgk_do(&kit, "CREATE TABLE t (a int)");
    for (int round = 0; round < 5; round++) {
        nx_session *s = nx_session_begin(loop, NULL);
        cr_assert_eq(insert_in(s, 1), NX_OK);
        nx_op op = nx_session_execute(s, db, "INSERT INTO t SELECT 2 FROM pg_sleep(50) /* stopped */", NULL, 0, NULL);
        if (late)
            cr_assert_eq(nx_op_deadline(loop, op, 50), NX_OK);
        else
            pgk_wait_for_sleepers(&kit, loop, "stopped", 1);
        if (!late)
            cr_assert_eq(nx_op_cancel(loop, op), NX_OK);
        cr_assert_eq(status_of(op), late ? NX_EDEADLINE : NX_ECANCELED);
        cr_assert_eq(insert_in(s, 3), NX_OK, "round %d: the transaction goes on", round);
        cr_assert_eq(status_of(nx_session_end(s, NULL)), NX_OK);
        cr_assert_eq(nx_session_outcome(s), NX_OUTCOME_COMMITTED);
        nx_session_free(s);
    }
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM t WHERE a IN (1, 3)"), 10);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM t"), 10);
    end_db();
}

Test(pg_hazards, a_session_goes_on_after_a_statement_was_cancelled, .timeout = 60)
{
    stop_in_a_session(false);
}

Test(pg_hazards, a_session_goes_on_after_a_statement_was_late, .timeout = 60)
{
    stop_in_a_session(true);
}

/* The server has done it, and its answer is here, but nobody has looked yet: cancelled is cancelled. */
static void cancel_what_is_over(nx_session *s, int number)
{
    nx_op op = start_insert(s, number);

    cr_assert_eq(nx_submit(loop), NX_OK);
    tk_pause_ms(30);
    cr_assert_eq(nx_op_cancel(loop, op), NX_OK);
    cr_assert_eq(status_of(op), NX_ECANCELED);
}

/* Also the statement that begins the transaction, and the one before its end. */
Test(pg_hazards, a_statement_that_is_cancelled_when_it_is_over_is_undone, .timeout = 60)
{
    static const nx_session_options levels[] = { { .retry = 0 }, { .isolation = NX_ISOLATION_SERIALIZABLE } };

    open_db(NULL);
    pgk_do(&kit, "CREATE TABLE t (a int)");
    for (size_t i = 0; i < NXI_COUNT(levels); i++) {
        nx_session *s = nx_session_begin(loop, &levels[i]);
        cancel_what_is_over(s, 1);
        cr_assert_eq(insert_in(s, 2), NX_OK);
        cancel_what_is_over(s, 3);
        cr_assert_eq(insert_in(s, 4), NX_OK);
        nx_completion c = nx_await(loop, nx_session_select_raw(s, db, "SHOW transaction_isolation", NULL, 0, NULL));
        cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
        cr_assert_str_eq(c.raw->values[0].text.data, i == 0 ? "read committed" : "serializable");
        nx_seen(loop, &c);
        cancel_what_is_over(s, 5);
        cr_assert_eq(status_of(nx_session_end(s, NULL)), NX_OK);
        cr_assert_eq(nx_session_outcome(s), NX_OUTCOME_COMMITTED);
        nx_session_free(s);
    }
    cr_assert_eq(pgk_number(&kit, "SELECT sum(a) FROM t"), 12);
    end_db();
}

/* Whenever the cancel comes: what completed as cancelled is not there, and what completed well is. */
Test(pg_hazards, statements_that_are_cancelled_at_any_moment, .timeout = 120)
{
    enum { SESSIONS = 60, STATEMENTS = 8 };
    unsigned seed = 1, cancelled = 0, lost = 0;
    char sql[128];

    open_db(NULL);
    pgk_do(&kit, "CREATE TABLE t (a int)");
    for (int i = 0; i < SESSIONS; i++) {
        nx_session *s = nx_session_begin(loop, NULL);
        bool done[STATEMENTS];
        for (int k = 0; k < STATEMENTS; k++) {
            nx_op op = start_insert(s, i * STATEMENTS + k);
            cr_assert_eq(nx_submit(loop), NX_OK);
            seed = seed * 1103515245 + 12345;
            nanosleep(&(struct timespec){ .tv_nsec = (long)(seed >> 16 & 1023) * 500 }, NULL);
            if (k % 2 == i % 2)
                cr_assert_eq(nx_op_cancel(loop, op), NX_OK);
            nx_status status = status_of(op);
            done[k] = status == NX_OK;
            cr_assert(done[k] || status == NX_ECANCELED || status == NX_EABORTED, "%s", nx_status_name(status));
            cancelled += status == NX_ECANCELED;
        }
        /* A cancel may hit what is around a statement, and cost the transaction. */
        bool committed = status_of(nx_session_end(s, NULL)) == NX_OK;
        lost += !committed;
        nx_session_free(s);
        for (int k = 0; k < STATEMENTS; k++) {
            snprintf(sql, sizeof(sql), "SELECT count(*) FROM t WHERE a = %d", i * STATEMENTS + k);
            cr_assert_eq(pgk_number(&kit, sql), committed && done[k], "statement %d of session %d", k, i);
        }
    }
    cr_expect_gt(cancelled, 0u);
    cr_expect_lt(lost, (unsigned)SESSIONS / 4, "%u", lost);
    end_db();
}

/* A flush that begins the transaction, too: its rows are new still, and are written once. */
Test(pg_hazards, a_flush_that_is_cancelled_when_it_is_over_is_undone, .timeout = 60)
{
    open_db(NX_ENTITIES(Plot));
    pgk_do(&kit, "CREATE TABLE plot (id int8 PRIMARY KEY, number int4 NOT NULL)");
    pgk_map(loop, db, 0);
    nx_session *s = nx_session_begin(loop, NULL);
    for (int i = 0; i < 5; i++)
        ((Plot *)nx_new(s, Plot))->id = i + 1;
    nx_op op = nx_flush(s, NULL);
    pgk_wait_for(&kit, loop, "SELECT count(*) FROM pg_locks WHERE relation = 'plot'::regclass AND mode = 'RowExclusiveLock'");
    tk_pause_ms(30);
    cr_assert_eq(nx_op_cancel(loop, op), NX_OK);
    cr_assert_eq(status_of(op), NX_ECANCELED);
    nx_completion c = nx_await(loop, nx_session_end(s, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    nx_session_free(s);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM plot"), 5);
    end_db();
}

/* ------------------------------------------------------------------------------ cancel requests that nobody takes */

static size_t open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    cr_assert_not_null(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

Test(pg_hazards, a_cancel_request_gives_up, .timeout = 60)
{
    pg_proxy proxy;
    link_kit p;

    lk_begin(&p);
    pgp_start(&proxy);
    p.options.port = proxy.port;
    lk_set_dsn(&p, "sslmode=disable");
    lk_opens(&p);
    p.link.timeout_ns = 200000000;
    pgp_deafen(&proxy);
    size_t before = open_files();
    for (int i = 0; i < 3; i++)
        cr_assert_not(nxi_pg_link_interrupt(&p.link));
    cr_assert_eq(open_files(), before);
    lk_answers(&p, "SELECT 'untouched'", "untouched");
    lk_leave(&p);
    pgp_stop(&proxy);
}

/* Neither those that wait for their own stop, nor the end of everything. */
Test(pg_hazards, cancels_that_nobody_takes_hold_nobody_up, .timeout = 60)
{
    enum { COUNT = 6 };
    pg_proxy proxy;
    nx_op ops[COUNT];
    nx_session *sessions[COUNT]; /* a connection each */

    pgk_open(&kit);
    pgp_start(&proxy);
    nx_bind_options options = pgk_options(&kit, PGK_PLAIN);
    options.port = proxy.port;
    options.pool_max = COUNT;
    char dsn[640];
    snprintf(dsn, sizeof(dsn), "%s connect_timeout=4", options.dsn);
    options.dsn = dsn;
    db = pgk_bind(&options, NULL, &loop);
    for (int i = 0; i < COUNT; i++) {
        sessions[i] = nx_session_begin(loop, NULL);
        ops[i] = nx_session_execute(sessions[i], db, "SELECT pg_sleep(50) /* deaf */", NULL, 0, NULL);
    }
    pgk_wait_for_sleepers(&kit, loop, "deaf", COUNT);
    pgp_deafen(&proxy);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(nx_op_cancel(loop, ops[i]), NX_OK);
        cr_assert_eq(status_of(ops[i]), NX_ECANCELED);
    }
    nx_loop_close(loop);
    pgp_stop(&proxy);
    pgk_do(&kit, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%deaf%' AND pid <> pg_backend_pid()");
    pgk_close(&kit);
}

/* A database of one connection, by the proxy, whose cancel requests have a second. */
static void open_behind(pg_proxy *proxy)
{
    char dsn[640];

    pgk_open(&kit);
    pgp_start(proxy);
    nx_bind_options options = pgk_options(&kit, PGK_PLAIN);
    snprintf(dsn, sizeof(dsn), "%s connect_timeout=1", options.dsn);
    options.dsn = dsn;
    options.port = proxy->port;
    options.pool_max = 1;
    cr_assert_eq(nx_loop_open(NULL, &loop, NULL), NX_OK);
    db = nx_db_new(loop, NULL);
    cr_assert_eq(status_of(nx_bind(db, "postgres", &options, NULL)), NX_OK);
    pgk_do(&kit, "CREATE TABLE t (a int)");
}

#define GATE "SELECT pg_advisory_xact_lock(hashtext(current_schema()))"
#define WAITS_AT_GATE                                                                                                            \
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND objid = "                                     \
    "(hashtext(current_schema())::int8 & 4294967295)::oid"

/* Cancel what waits at the gate; the request for it is held back. Then the gate opens, and the statement ends by itself. */
static void cancel_at_gate(pg_proxy *proxy, nx_op op)
{
    pgk_wait_for(&kit, loop, WAITS_AT_GATE);
    pgp_seize(proxy, PGP_HELD);
    cr_assert_eq(nx_op_cancel(loop, op), NX_OK);
    cr_assert_eq(status_of(op), NX_ECANCELED);
    pgp_wait_seized(proxy);
    pgk_do(&kit, "COMMIT");
}

/* The next statement waits until the request is given up, and it must not be the one that the request hits at last. */
Test(pg_hazards, a_cancel_that_was_given_up_hits_nobody_later, .timeout = 60)
{
    pg_proxy proxy;

    open_behind(&proxy);
    pgk_do(&kit, "BEGIN; " GATE);
    cancel_at_gate(&proxy, nx_execute(db, GATE, NULL, 0, NULL));
    nx_op op = nx_execute(db, "INSERT INTO t SELECT 1 FROM pg_sleep(1) /* later */", NULL, 0, NULL);
    pgk_wait_for_sleepers(&kit, loop, "later", 1);
    pgp_deliver(&proxy, NULL, 0);
    nx_completion c = nx_await(loop, op);
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM t"), 1);
    nx_loop_close(loop);
    pgp_stop(&proxy);
    pgk_close(&kit);
}

/* A session's connection is its transaction: better lost than cancelled by chance. */
Test(pg_hazards, a_cancel_that_was_given_up_ends_its_transaction, .timeout = 60)
{
    pg_proxy proxy;

    open_behind(&proxy);
    nx_session *s = nx_session_begin(loop, NULL);
    cr_assert_eq(insert_in(s, 1), NX_OK);
    pgk_do(&kit, "BEGIN; " GATE);
    cancel_at_gate(&proxy, nx_session_execute(s, db, GATE, NULL, 0, NULL));
    cr_assert_eq(insert_in(s, 2), NX_ELOST);
    cr_assert_eq(status_of(nx_session_end(s, NULL)), NX_EABORTED);
    cr_assert_eq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    s = nx_session_begin(loop, NULL);
    nx_op op = nx_session_execute(s, db, "INSERT INTO t SELECT 3 FROM pg_sleep(1) /* later */", NULL, 0, NULL);
    pgk_wait_for_sleepers(&kit, loop, "later", 1);
    pgp_deliver(&proxy, NULL, 0);
    cr_assert_eq(status_of(op), NX_OK);
    cr_assert_eq(status_of(nx_session_end(s, NULL)), NX_OK);
    nx_session_free(s);
    cr_assert_eq(pgk_number(&kit, "SELECT sum(a) FROM t"), 3);
    nx_loop_close(loop);
    pgp_stop(&proxy);
    pgk_close(&kit);
}

/* ------------------------------------------------------------------------------ a deadlock */

/* One of two threads, with a loop of its own. What it asserts is for the test's own thread to look at. */
typedef struct crossing {
    nx_bind_options options;
    pthread_barrier_t *met;
    bool is_other;
    nx_loop *loop;
    nx_db *db;
    unsigned attempts;
    nx_status set_up, status;
    nx_error error;
} crossing;

static nx_status change(nx_session *s, const crossing *c, int64_t id)
{
    nx_completion found = nx_await(c->loop, nx_get(s, Crossed, nx_eq(Crossed_.id, id), NULL));

    if (found.status != NX_OK || found.count != 1)
        return found.status == NX_OK ? NX_ENOTFOUND : found.status;
    Crossed *row = found.rows[0];
    if (c->is_other)
        row->by_other = 1;
    else
        row->by_one = 1;
    return nx_await(c->loop, nx_flush(s, NULL)).status;
}

/* The rows in opposite orders; the first time only when both have the lock of their first one. */
static nx_status cross(nx_session *s, void *context)
{
    crossing *c = context;
    nx_status status = change(s, c, c->is_other ? 2 : 1);

    if (c->attempts++ == 0)
        (void)pthread_barrier_wait(c->met);
    return status == NX_OK ? change(s, c, c->is_other ? 1 : 2) : status;
}

static nx_status set_up_crossing(crossing *c)
{
    nx_status status = nx_loop_open(NULL, &c->loop, NULL);

    if (status != NX_OK)
        return status;
    c->db = nx_db_new(c->loop, NX_ENTITIES(Crossed));
    status = nx_await(c->loop, nx_bind(c->db, "postgres", &c->options, NULL)).status;
    if (status == NX_OK)
        status = nx_await(c->loop, nx_generate_mapping(c->db, 0, NULL)).status;
    return status == NX_OK ? nx_await(c->loop, nx_execute(c->db, "SET deadlock_timeout = '20ms'", NULL, 0, NULL)).status : status;
}

static void *run_crossing(void *context)
{
    crossing *c = context;

    c->set_up = set_up_crossing(c);
    if (c->set_up != NX_OK)
        (void)pthread_barrier_wait(c->met); /* the other one shall not wait for ever */
    else
        c->status = nx_run_in_session(c->loop, &(nx_session_options){ .retry = 3 }, cross, c, &c->error);
    nx_loop_close(c->loop);
    return NULL;
}

/* Two of our sessions lock two rows crosswise: the server ends one of them, which is repeated. */
Test(pg_hazards, the_loser_of_two_sessions_is_repeated, .timeout = 60)
{
    crossing both[2] = { { .is_other = false }, { .is_other = true } };
    pthread_barrier_t met;
    pthread_t threads[2];

    pgk_open(&kit);
    pgk_do(&kit, "CREATE TABLE crossed (id int8 PRIMARY KEY, by_one int4 NOT NULL, by_other int4 NOT NULL); "
                 "INSERT INTO crossed VALUES (1, 0, 0), (2, 0, 0)");
    cr_assert_eq(pthread_barrier_init(&met, NULL, 2), 0);
    for (int i = 0; i < 2; i++) {
        both[i].options = pgk_options(&kit, PGK_SOCKET);
        both[i].met = &met;
        cr_assert_eq(pthread_create(&threads[i], NULL, run_crossing, &both[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_assert_eq(pthread_barrier_destroy(&met), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(both[i].set_up, NX_OK, "%s", nx_status_name(both[i].set_up));
        cr_assert_eq(both[i].status, NX_OK, "%s: %s", nx_status_name(both[i].status), both[i].error.message);
    }
    cr_assert_eq(both[0].attempts + both[1].attempts, 3u, "%u and %u attempts", both[0].attempts, both[1].attempts);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM crossed WHERE by_one = 1 AND by_other = 1"), 2);
    pgk_close(&kit);
}

Test(pg_hazards, transactions_are_the_sessions, .timeout = 60)
{
    static const char *const texts[] = { "SAVEPOINT a", "COMMIT", "COMMIT AND CHAIN", "ROLLBACK" };

    open_db(NULL);
    for (size_t i = 0; i < NXI_COUNT(texts); i++) {
        nx_session *s = nx_session_begin(loop, NULL);
        cr_assert_eq(status_of(nx_session_execute(s, db, "SELECT 1", NULL, 0, NULL)), NX_OK);
        cr_assert_eq(status_of(nx_session_execute(s, db, texts[i], NULL, 0, NULL)), NX_ESTATE, "%s", texts[i]);
        nx_session_free(s);
    }
    end_db();
}

/* ------------------------------------------------------------------------------ tables that are not quite ordinary */

/* Rows of numbers from `first` on, but for one that has a number of its own (bad: -1: none). */
static nx_bulk *give(nx_bad_rows bad_rows, int64_t first, int64_t count, int64_t bad)
{
    nx_bulk_options options = { .conflict = NX_CONFLICT_UPDATE, .bad_rows = bad_rows };
    nx_bulk *bulk = nx_bulk_begin(db, &Plot_entity, &options);

    cr_assert_not_null(bulk);
    for (int64_t i = 0; i < count; i++) {
        size_t taken = 0;
        Plot plot = { .id = first + i, .number = i == bad ? -1 : (int32_t)(first + i) };
        while (taken == 0) {
            nx_status status = nx_bulk_rows(bulk, &plot, 1, &taken);
            cr_assert(status == NX_OK || status == NX_EBUSY, "%s", nx_status_name(status));
            if (taken == 0)
                (void)nx_await(loop, nx_bulk_op(bulk));
        }
    }
    return bulk;
}

static nx_bulk_counts upsert(int64_t first, int64_t count)
{
    nx_bulk *bulk = give(NX_BAD_ROWS_FAIL, first, count, -1);
    nx_completion c = nx_await(loop, nx_bulk_end(bulk, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    nx_bulk_counts counts = nx_bulk_count(bulk);
    nx_bulk_free(bulk);
    return counts;
}

static void expect_counts(nx_bulk_counts counts, uint64_t loaded, uint64_t updated)
{
    cr_expect_eq(counts.loaded, loaded, "%d loaded", (int)counts.loaded);
    cr_expect_eq(counts.updated, updated, "%d updated", (int)counts.updated);
}

/* One row, few, and many. */
static void upsert_all_ways(void)
{
    expect_counts(upsert(1, 1), 1, 0);
    expect_counts(upsert(1, 1), 0, 1);
    expect_counts(upsert(1, 50), 49, 1);
    expect_counts(upsert(41, 30), 20, 10);
    expect_counts(upsert(51, 4000), 3980, 20);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM plot WHERE id = number"), 4050);
}

Test(pg_hazards, upserts_into_a_partitioned_table, .timeout = 60)
{
    open_db(NX_ENTITIES(Plot));
    pgk_do(&kit, "CREATE TABLE plot (id int8 PRIMARY KEY, number int4 NOT NULL) PARTITION BY RANGE (id); "
                 "CREATE TABLE plot_1 PARTITION OF plot FOR VALUES FROM (0) TO (60); "
                 "CREATE TABLE plot_2 (gone text, number int4 NOT NULL, id int8 NOT NULL); ALTER TABLE plot_2 DROP COLUMN gone; "
                 "ALTER TABLE plot ATTACH PARTITION plot_2 FOR VALUES FROM (60) TO (1000000)");
    pgk_map(loop, db, 0);
    upsert_all_ways();
    end_db();
}

/* Two batches are on their way when the first one's answer says what both have gone by. */
Test(pg_hazards, two_first_upserts_into_a_partitioned_table, .timeout = 60)
{
    nx_bulk *bulks[2];

    connections = 1;
    open_db(NX_ENTITIES(Plot));
    pgk_do(&kit, "CREATE TABLE plot (id int8 PRIMARY KEY, number int4 NOT NULL) PARTITION BY RANGE (id); "
                 "CREATE TABLE plot_1 PARTITION OF plot DEFAULT");
    pgk_map(loop, db, 0);
    for (int i = 0; i < 2; i++)
        bulks[i] = give(NX_BAD_ROWS_FAIL, 1 + 100 * i, 100, -1);
    nx_op ends[2] = { nx_bulk_end(bulks[0], NULL), nx_bulk_end(bulks[1], NULL) };
    for (int i = 0; i < 2; i++) {
        nx_completion c = nx_await(loop, ends[i]);
        cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
        nx_bulk_free(bulks[i]);
    }
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM plot"), 200);
    end_db();
}

/*
 * Somebody draws from the sequence during each COPY. At the end of a transaction that is open already there is nothing to go back
 * to, and nothing is lost.
 */
Test(pg_hazards, keys_of_many_rows_at_the_end_of_an_open_transaction, .timeout = 60)
{
    enum { ROWS = 3000 };
    Plot *plots[ROWS];
    int64_t sum = 0;

    open_db(NX_ENTITIES(Plot));
    pgk_map(loop, db, NX_CREATE_TABLES);
    pgk_do(&kit, "CREATE FUNCTION draw() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('plot_id_seq'); "
                 "RETURN NULL; END $$; CREATE TRIGGER draw BEFORE INSERT ON plot FOR EACH STATEMENT EXECUTE FUNCTION draw()");
    nx_session *s = nx_session_begin(loop, NULL);
    cr_assert_eq(status_of(nx_session_execute(s, db, "SELECT 1", NULL, 0, NULL)), NX_OK);
    for (int i = 0; i < ROWS; i++) {
        plots[i] = nx_new(s, Plot);
        plots[i]->number = i;
    }
    nx_completion c = nx_await(loop, nx_session_end(s, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    for (int i = 0; i < ROWS; i++)
        sum += plots[i]->id * i;
    nx_session_free(s);
    cr_assert_eq(pgk_number(&kit, "SELECT sum(id * number) FROM plot"), sum);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM plot"), ROWS);
    end_db();
}

/*
 * What the server cannot tell of such a table is learnt from its first good row, and that is met where rows are tried piece by
 * piece: the bad row fails everything before. Each load is the first one of its connection.
 */
static void upsert_with_a_bad_row(const char *tables, int64_t count, int64_t bad, nx_bad_rows policy)
{
    size_t rejects = 0;

    open_db(NX_ENTITIES(Plot));
    pgk_do(&kit, tables);
    pgk_map(loop, db, 0);
    nx_bulk *bulk = give(policy, 1, count, bad);
    nx_completion c = nx_await(loop, nx_bulk_end(bulk, NULL));
    if (policy == NX_BAD_ROWS_SET_ASIDE) {
        cr_assert_eq(c.status, NX_OK, "row %d of %d: %s", (int)bad, (int)count, c.error->message);
        nx_bulk_counts counts = nx_bulk_count(bulk);
        expect_counts(counts, (uint64_t)count - 2, 1);
        cr_assert_eq(counts.rejected, 1u);
        const nx_reject *reject = nx_bulk_rejects(bulk, &rejects);
        cr_assert_eq(rejects, 1u);
        cr_assert_eq(reject->row, (uint64_t)bad);
        cr_assert_eq(reject->error.status, NX_ECHECK, "%s", reject->error.message);
        cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM plot WHERE id = number"), count - 1);
    } else {
        cr_assert_eq(c.status, NX_ECHECK, "row %d of %d: %s", (int)bad, (int)count, c.error->message);
        cr_assert_eq(c.error->row, bad);
        cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM plot"), 1);
    }
    nx_bulk_free(bulk);
    end_db();
}

#define PLOTS_IN_PARTS                                                                                                           \
    "CREATE TABLE plot (id int8 PRIMARY KEY, number int4 NOT NULL CHECK (number > -1)) PARTITION BY RANGE (id); "                \
    "CREATE TABLE plot_1 PARTITION OF plot FOR VALUES FROM (0) TO (60); "                                                        \
    "CREATE TABLE plot_2 PARTITION OF plot FOR VALUES FROM (60) TO (1000000); INSERT INTO plot VALUES (2, 0)"
#define PLOTS_IN_VIEW                                                                                                            \
    "CREATE TABLE land (id int8 PRIMARY KEY, number int4 NOT NULL CHECK (number > -1)); "                                        \
    "CREATE VIEW plot AS SELECT id, number FROM land; INSERT INTO plot VALUES (2, 0)"

static void upsert_bad_rows(const char *tables)
{
    static const int64_t cases[][2] = { { 4, 0 }, { 4, 3 }, { 100, 0 }, { 100, 2 }, { 100, 70 }, { 100, 99 }, { 20000, 0 } };

    for (size_t i = 0; i < NXI_COUNT(cases); i++) {
        upsert_with_a_bad_row(tables, cases[i][0], cases[i][1], NX_BAD_ROWS_SET_ASIDE);
        upsert_with_a_bad_row(tables, cases[i][0], cases[i][1], NX_BAD_ROWS_FAIL);
    }
}

Test(pg_hazards, a_bad_row_of_the_first_upsert_into_a_partitioned_table, .timeout = 60)
{
    upsert_bad_rows(PLOTS_IN_PARTS);
}

Test(pg_hazards, a_bad_row_of_the_first_upsert_into_a_view, .timeout = 60)
{
    upsert_bad_rows(PLOTS_IN_VIEW);
}

Test(pg_hazards, upserts_into_a_view, .timeout = 60)
{
    open_db(NX_ENTITIES(Plot));
    pgk_do(&kit,
           "CREATE TABLE land (id int8 PRIMARY KEY, number int4 NOT NULL); CREATE VIEW plot AS SELECT id, number FROM land");
    pgk_map(loop, db, 0);
    upsert_all_ways();
    end_db();
}

Test(pg_hazards, upserts_into_an_ordinary_table, .timeout = 60)
{
    open_db(NX_ENTITIES(Plot));
    pgk_do(&kit, "CREATE TABLE plot (id int8 PRIMARY KEY, number int4 NOT NULL)");
    pgk_map(loop, db, 0);
    upsert_all_ways();
    end_db();
}

/* The names of its index and its constraint do not fit: they are shortened, found again, and name their column in errors. */
Test(pg_hazards, long_names_are_shortened, .timeout = 60)
{
    open_db(NX_ENTITIES(Lengthy));
    nx_completion c;

    pgk_map(loop, db, NX_CREATE_TABLES);
    cr_assert_eq(status_of(nx_create_tables(db, NULL)), NX_OK);
    cr_assert_eq(
        pgk_number(&kit, "SELECT count(*) FROM pg_indexes WHERE schemaname = current_schema() AND length(indexname) = 63"), 2);
    for (int i = 0; i < 2; i++) {
        Lengthy *row = nx_make(db, Lengthy);
        cr_assert_not_null(row);
        row->a_column_whose_name_is_so_long_that_an_index_cannot_have_1 = 1;
        c = nx_await(loop, nx_save(db, row, NULL));
        cr_assert_eq(c.status, i == 0 ? NX_OK : NX_EUNIQUE);
    }
    cr_assert_str_eq(c.error->column, "a_column_whose_name_is_so_long_that_an_index_cannot_have_1");
    end_db();
}
