/*
 * pg_outcome - commit_tokens: the answer to a commit is lost, and what became of the transaction is found out.
 *
 * NX_TEST_LONG=1: the full number of kills.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "nextorm.h"
#include "tests/support/pg_kit.h"
#include "tests/support/pg_proxy.h"
#include "tests/support/test_kit.h"

#define THING(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, number)
NX_ENTITY(Thing, THING)

enum { ROWS = 2000 };

static pg_kit kit;
static pg_proxy proxy;
static nx_loop *loop;
static nx_db *db;

static void set_up(void)
{
    pgk_open(&kit);
    pgp_start(&proxy);
}

static void tear_down(void)
{
    nx_loop_close(loop);
    pgp_stop(&proxy);
    pgk_close(&kit);
}

TestSuite(pg_outcome, .init = set_up, .fini = tear_down, .timeout = 300);

static void bind_with(nx_bind_options options, unsigned map_flags)
{
    options.pool_timeout_ms = 60000;
    db = pgk_bind(&options, NX_ENTITIES(Thing), &loop);
    pgk_map(loop, db, map_flags);
}

/* Through the proxy, one connection, which is there afterwards and knows the statement. */
static void open_db(void)
{
    nx_bind_options options = pgk_options(&kit, PGK_PLAIN);

    options.port = proxy.port;
    options.commit_tokens = true;
    bind_with(options, NX_CREATE_TABLES);
    nx_completion c = nx_await(loop, nx_execute(db, "DELETE FROM thing WHERE id = 0", NULL, 0, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    pgk_do(&kit, "TRUNCATE nextorm_token");
}

static uint64_t found(void)
{
    return nx_stats_get(db)->outcomes_found;
}

static int64_t things(void)
{
    return pgk_number(&kit, "SELECT count(*) FROM thing");
}

static void check_lost(const nx_completion *c, nx_outcome outcome, bool retryable)
{
    cr_assert_eq(c->status, NX_ELOST, "%s", nx_status_name(c->status));
    cr_assert_eq(c->error->outcome, outcome, "outcome %d: %s", (int)c->error->outcome, c->error->message);
    cr_assert_eq(c->error->retryable, retryable);
}

static nx_session *session_with_a_raw_row(int64_t id)
{
    nx_session *s = nx_session_begin(loop, NULL);
    nx_value value = nx_value_i64(id);
    nx_completion c = nx_await(loop, nx_session_execute(s, db, "INSERT INTO thing VALUES (?, 1)", &value, 1, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    return s;
}

/* ------------------------------------------------------------------------------ each form of a commit */

Test(pg_outcome, a_transaction_that_was_committed)
{
    open_db();
    nx_session *s = session_with_a_raw_row(1);
    pgp_seize(&proxy, PGP_ANSWER);
    nx_completion c = nx_await(loop, nx_session_end(s, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    cr_assert_eq(nx_session_outcome(s), NX_OUTCOME_COMMITTED);
    nx_session_free(s);
    cr_assert_eq(things(), 1);
    cr_assert_eq(found(), 1u);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM nextorm_token WHERE NOT is_fence"), 1);
}

Test(pg_outcome, a_transaction_that_never_arrived)
{
    open_db();
    nx_session *s = session_with_a_raw_row(1);
    pgp_seize(&proxy, PGP_REQUEST);
    nx_completion c = nx_await(loop, nx_session_end(s, NULL));
    check_lost(&c, NX_OUTCOME_ROLLED_BACK, true);
    cr_assert_eq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    cr_assert_eq(things(), 0);
    cr_assert_eq(found(), 1u);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM nextorm_token WHERE is_fence"), 1);
}

/* It is on its way still when the fence is put. */
Test(pg_outcome, a_commit_that_arrives_late_fails_at_the_fence)
{
    char answer[4096];

    open_db();
    Thing *thing = nx_make(db, Thing);
    thing->id = 7;
    pgp_seize(&proxy, PGP_LATE);
    nx_completion c = nx_await(loop, nx_save(db, thing, NULL));
    check_lost(&c, NX_OUTCOME_ROLLED_BACK, true);
    pgp_deliver(&proxy, answer, sizeof(answer));
    cr_assert_not_null(strstr(answer, "23505"), "%s", answer);
    cr_assert_eq(things(), 0);
    c = nx_await(loop, nx_save(db, thing, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    cr_assert_eq(things(), 1);
}

static nx_status add_thing(nx_session *s, void *context)
{
    int *runs = context;
    Thing *thing = nx_new(s, Thing);

    thing->number = 5;
    pgp_seize(&proxy, ++*runs == 1 ? PGP_REQUEST : *runs == 2 ? PGP_ANSWER : PGP_NONE);
    return NX_OK;
}

/* The first attempt was not committed, the second was: there is no third. The keys go with the session. */
Test(pg_outcome, nx_run_in_session_repeats_what_was_not_committed)
{
    nx_session_options options = { .retry = 5 };
    nx_error error;
    int runs = 0;

    open_db();
    cr_assert_eq(nx_run_in_session(loop, &options, add_thing, &runs, &error), NX_OK, "%s", error.message);
    cr_assert_eq(runs, 2);
    cr_assert_eq(things(), 1);
    cr_assert_eq(found(), 2u);
}

Test(pg_outcome, rows_whose_keys_are_known)
{
    open_db();
    nx_session *s = nx_session_begin(loop, NULL);
    for (int64_t i = 1; i <= 10; i++)
        ((Thing *)nx_new(s, Thing))->id = i;
    pgp_seize(&proxy, PGP_ANSWER);
    nx_completion c = nx_await(loop, nx_commit(s, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    cr_assert_eq(c.count, 10);
    cr_assert_eq(found(), 1u);
    cr_assert_eq(things(), 10);
    nx_value key = nx_value_i64(3);
    Thing *third = nx_session_find(s, &Thing_entity, &key, 1);
    cr_assert_not_null(third, "the session goes on");
    third->number = 33;
    pgp_seize(&proxy, PGP_ANSWER);
    c = nx_await(loop, nx_session_end(s, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    cr_assert_eq(found(), 2u);
    nx_session_free(s);
    cr_assert_eq(pgk_number(&kit, "SELECT number FROM thing WHERE id = 3"), 33);
}

Test(pg_outcome, rows_whose_keys_are_lost)
{
    open_db();
    nx_session *s = nx_session_begin(loop, NULL);
    Thing *thing = nx_new(s, Thing);
    pgp_seize(&proxy, PGP_ANSWER);
    nx_completion c = nx_await(loop, nx_commit(s, NULL));
    check_lost(&c, NX_OUTCOME_COMMITTED, false);
    cr_assert_not_null(strstr(c.error->message, "committed"), "%s", c.error->message);
    cr_assert_eq(nx_session_outcome(s), NX_OUTCOME_COMMITTED);
    cr_assert_eq(thing->id, 0);
    cr_assert_eq(things(), 1);
    ((Thing *)nx_new(s, Thing))->number = 2;
    c = nx_await(loop, nx_session_end(s, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    cr_assert_eq(c.count, 1, "the first one is not written again");
    nx_session_free(s);
    cr_assert_eq(things(), 2);
}

Test(pg_outcome, single_operations)
{
    open_db();
    Thing *thing = nx_make(db, Thing);
    thing->id = 1;
    pgp_seize(&proxy, PGP_ANSWER);
    nx_completion c = nx_await(loop, nx_save(db, thing, NULL));
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    cr_assert_eq(c.count, 1);
    thing->number = 2;
    pgp_seize(&proxy, PGP_ANSWER);
    cr_assert_eq(nx_await(loop, nx_save(db, thing, NULL)).status, NX_OK);
    pgp_seize(&proxy, PGP_ANSWER);
    c = nx_await(loop, nx_update_all(nx_select(db, Thing), NULL, nx_assign(Thing_.number, 3)));
    check_lost(&c, NX_OUTCOME_COMMITTED, false);
    cr_assert_eq(pgk_number(&kit, "SELECT number FROM thing"), 3);
    pgp_seize(&proxy, PGP_REQUEST);
    c = nx_await(loop, nx_delete_all(nx_select(db, Thing), NULL));
    check_lost(&c, NX_OUTCOME_ROLLED_BACK, true);
    pgp_seize(&proxy, PGP_ANSWER);
    c = nx_await(loop, nx_execute(db, "DELETE FROM thing WHERE id = 0", NULL, 0, NULL));
    cr_assert_eq(c.status, NX_ELOST, "%s", nx_status_name(c.status));
    cr_assert_neq(c.error->outcome, NX_OUTCOME_UNKNOWN);
    cr_assert_eq(nx_await(loop, nx_execute(db, "SELECT 1", NULL, 0, NULL)).status, NX_OK); /* a connection is there */
    pgp_seize(&proxy, PGP_ANSWER);
    cr_assert_eq(nx_await(loop, nx_delete(db, thing, NULL)).status, NX_OK);
    cr_assert_eq(things(), 0);
    cr_assert_geq(found(), 5u);
}

/* ------------------------------------------------------------------------------ the server is still at it */

static void make_commits_slow(const char *seconds)
{
    char sql[512];

    snprintf(sql, sizeof(sql),
             "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(%s); RETURN NULL; END'; "
             "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON thing DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
             "WHEN (NEW.id = 1 OR NEW.number = 77) EXECUTE FUNCTION slow()",
             seconds);
    pgk_do(&kit, sql);
}

/* Somebody sleeps who has written to that table. */
static void wait_until_it_sleeps(const char *table)
{
    char sql[512];

    snprintf(
        sql, sizeof(sql),
        "SELECT count(*) FROM pg_stat_activity AS a WHERE wait_event = 'PgSleep' AND EXISTS (SELECT FROM pg_locks AS l WHERE "
        "l.pid = a.pid AND l.relation = '%s.%s'::regclass AND l.mode = 'RowExclusiveLock')",
        kit.schema, table);
    pgk_wait_for(&kit, loop, sql);
}

static void wait_until_it_commits(void)
{
    wait_until_it_sleeps("thing");
}

Test(pg_outcome, it_waits_for_a_transaction_that_is_under_way)
{
    open_db();
    make_commits_slow("1");
    nx_session *s = session_with_a_raw_row(1);
    nx_op op = nx_session_end(s, NULL);
    wait_until_it_commits();
    pgp_cut_all(&proxy);
    nx_completion c = nx_await(loop, op);
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    cr_assert_eq(nx_session_outcome(s), NX_OUTCOME_COMMITTED);
    nx_session_free(s);
    cr_assert_eq(things(), 1);
    cr_assert_eq(found(), 1u);
}

Test(pg_outcome, a_load_by_copy)
{
    nx_bulk_options options = { .batch_rows = ROWS };
    static Thing rows[ROWS];
    size_t taken;

    open_db();
    make_commits_slow("1");
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = (Thing){ .number = (int32_t)i };
    nx_bulk *bulk = nx_bulk_begin(db, &Thing_entity, &options);
    cr_assert_eq(nx_bulk_rows(bulk, rows, ROWS, &taken), NX_OK);
    nx_op op = nx_bulk_end(bulk, NULL);
    wait_until_it_commits();
    pgp_cut_all(&proxy);
    nx_completion c = nx_await(loop, op);
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    cr_assert_eq(c.count, ROWS);
    nx_bulk_free(bulk);
    cr_assert_eq(things(), ROWS);
    cr_assert_eq(found(), 1u);
}

/* The fence is cut off, too, and put again. */
Test(pg_outcome, the_question_is_lost_and_asked_again)
{
    open_db();
    make_commits_slow("2");
    nx_session *s = session_with_a_raw_row(1);
    nx_op op = nx_session_end(s, NULL);
    wait_until_it_commits();
    pgp_cut_all(&proxy);
    pgk_wait_for(&kit, loop,
                 "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%.nextorm_token AS t%' AND wait_event_type = 'Lock'");
    pgp_seize(&proxy, PGP_ANSWER);
    nx_completion c = nx_await(loop, op);
    cr_assert_eq(c.status, NX_OK, "%s", c.error->message);
    nx_session_free(s);
    cr_assert_eq(things(), 1);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM nextorm_token WHERE NOT is_fence"), 1);
}

/* It has said "not committed" to nobody; put once more, it does not take its own row for the transaction's. */
Test(pg_outcome, the_answer_to_the_fence_is_lost)
{
    open_db();
    pgk_do(&kit,
           "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END'; "
           "CREATE TRIGGER at_fence BEFORE INSERT ON nextorm_token FOR EACH ROW WHEN (NEW.is_fence) EXECUTE FUNCTION slow()");
    nx_session *s = session_with_a_raw_row(1);
    pgp_seize(&proxy, PGP_REQUEST);
    nx_op op = nx_session_end(s, NULL);
    wait_until_it_sleeps("nextorm_token");
    pgp_seize(&proxy, PGP_ANSWER);
    pgk_wait_for(&kit, NULL, "SELECT count(*) FROM nextorm_token WHERE is_fence");
    nx_completion c = nx_await(loop, op);
    check_lost(&c, NX_OUTCOME_ROLLED_BACK, true);
    nx_session_free(s);
    cr_assert_eq(things(), 0);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM nextorm_token"), 1);
}

Test(pg_outcome, beyond_the_deadline_it_stays_unknown)
{
    nx_session_options options = { .deadline_ms = 700 };

    open_db();
    make_commits_slow("5");
    nx_session *s = nx_session_begin(loop, &options);
    ((Thing *)nx_new(s, Thing))->id = 1;
    nx_op op = nx_session_end(s, NULL);
    wait_until_it_commits();
    pgp_cut_all(&proxy);
    nx_completion c = nx_await(loop, op);
    check_lost(&c, NX_OUTCOME_UNKNOWN, false);
    cr_assert_eq(nx_session_outcome(s), NX_OUTCOME_UNKNOWN);
    nx_session_free(s);
    cr_assert_eq(found(), 0u);
}

/* ------------------------------------------------------------------------------ what it costs, and what it needs */

static size_t captured(const char *part)
{
    size_t count, hits = 0;
    const char *const *list = nx_capture_end(db, &count);

    for (size_t i = 0; i < count; i++)
        hits += strstr(list[i], part) != NULL;
    return hits;
}

static void run_some_of_everything(void)
{
    cr_assert_eq(nx_capture_begin(db), NX_OK);
    nx_session *s = nx_session_begin(loop, NULL); /* one */
    ((Thing *)nx_new(s, Thing))->id = 1;
    cr_assert_eq(nx_await(loop, nx_flush(s, NULL)).status, NX_OK);
    ((Thing *)nx_new(s, Thing))->id = 2;
    cr_assert_eq(nx_await(loop, nx_session_end(s, NULL)).status, NX_OK);
    nx_session_free(s);
    s = session_with_a_raw_row(3); /* none: rolled back */
    cr_assert_eq(nx_await(loop, nx_rollback(s, NULL)).status, NX_OK);
    nx_session_free(s);
    nx_session_options read_only = { .read_only = true }, serializable = { .serializable = true };
    s = nx_session_begin(loop, &read_only); /* none */
    cr_assert_eq(nx_await(loop, nx_count(nx_select(s, Thing), NULL)).count, 2);
    cr_assert_eq(nx_await(loop, nx_session_end(s, NULL)).status, NX_OK);
    nx_session_free(s);
    s = nx_session_begin(loop, &serializable); /* none: it has only read */
    cr_assert_eq(nx_await(loop, nx_count(nx_select(s, Thing), NULL)).count, 2);
    cr_assert_eq(nx_await(loop, nx_session_end(s, NULL)).status, NX_OK);
    nx_session_free(s);
    static const char *const texts[] = { /* one each */
                                         "/* a /* b */ */ -- c\n UPDATE thing SET number = 1", "SELECT pg_notify('x', '')",
                                         "WITH gone AS (DELETE FROM thing RETURNING id) SELECT id FROM gone",
                                         /* none: they have to be alone, or may have to */
                                         "VACUUM thing", "DO 'BEGIN COMMIT; END'", "CREATE INDEX CONCURRENTLY ON thing (number)"
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        nx_completion c = nx_await(loop, nx_execute(db, texts[i], NULL, 0, NULL));
        cr_assert_eq(c.status, NX_OK, "%s: %s", texts[i], c.error->message);
    }
    nx_completion c = nx_await(loop, nx_select_raw(db, "SELECT 1", NULL, 0, NULL)); /* none: a read */
    cr_assert_eq(c.status, NX_OK);
    nx_seen(loop, &c);
}

Test(pg_outcome, without_the_option_nothing_is_added)
{
    nx_bind_options options = pgk_options(&kit, PGK_SOCKET);

    bind_with(options, NX_CREATE_TABLES);
    run_some_of_everything();
    cr_assert_eq(captured("token"), 0u);
    cr_assert_eq(pgk_number(&kit, "SELECT (to_regclass('nextorm_token') IS NULL)::int"), 1);
}

Test(pg_outcome, one_row_for_each_transaction_that_writes)
{
    open_db();
    run_some_of_everything();
    cr_assert_eq(captured(".nextorm_token (id) VALUES"), 4u);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM nextorm_token"), 4);
}

Test(pg_outcome, through_a_pooler)
{
    nx_bind_options options = pgk_options(&kit, PGK_POOLER);

    options.commit_tokens = true;
    bind_with(options, NX_CREATE_TABLES);
    run_some_of_everything();
    cr_assert_eq(captured(".nextorm_token (id) VALUES"), 4u);
    cr_assert_eq(pgk_number(&kit, "SELECT count(*) FROM nextorm_token"), 4);
}

Test(pg_outcome, the_table_is_not_there)
{
    nx_bind_options options = pgk_options(&kit, PGK_SOCKET);

    options.commit_tokens = true;
    bind_with(options, NX_CREATE_TABLES);
    pgk_do(&kit, "DROP TABLE nextorm_token");
    nx_completion c = nx_await(loop, nx_execute(db, "INSERT INTO thing VALUES (1, 1)", NULL, 0, NULL));
    cr_assert_eq(c.status, NX_EUNDEFINED, "%s", nx_status_name(c.status));
    cr_assert_eq(c.error->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_not_null(strstr(c.error->message, "nx_create_tables"), "%s", c.error->message);
    cr_assert_eq(things(), 0);
    c = nx_await(loop, nx_generate_mapping(db, 0, NULL));
    cr_assert_eq(c.status, NX_EUNDEFINED, "%s", nx_status_name(c.status));
    cr_assert_not_null(strstr(c.error->message, "nx_create_tables"), "%s", c.error->message);
    cr_assert_eq(nx_await(loop, nx_create_tables(db, NULL)).status, NX_OK);
    cr_assert_eq(nx_await(loop, nx_execute(db, "INSERT INTO thing VALUES (1, 1)", NULL, 0, NULL)).status, NX_OK);
}

/* ------------------------------------------------------------------------------ killed, again and again */

enum { LANES = 4, WAYS = 3 };

typedef struct attempt {
    nx_session *s; /* NULL: a single operation */
    nx_op op;
    int64_t id; /* of its row, or rows: id and id + 1 */
    int way;
} attempt;

typedef struct tally {
    int acknowledged, rolled_back, committed, unknown;
} tally;

/* A transaction of two requests, a flush and its commit in one, and a single row whose key the database makes. */
static attempt begin_attempt(int64_t id)
{
    attempt a = { .id = id, .way = (int)(id / 2 % WAYS) };
    nx_value values[] = { nx_value_i64(id), nx_value_i64(id + 1) };

    if (a.way < 2)
        a.s = nx_session_begin(loop, NULL);
    if (a.way == 0) {
        nx_completion c = nx_await(loop, nx_session_execute(a.s, db, "INSERT INTO thing VALUES (?, 0), (?, 0)", values, 2, NULL));
        if (c.status != NX_OK) {
            nx_session_free(a.s);
            a.s = NULL;
            a.way = -1; /* killed before it ended */
            return a;
        }
    } else if (a.way == 1) {
        ((Thing *)nx_new(a.s, Thing))->id = id;
        ((Thing *)nx_new(a.s, Thing))->id = id + 1;
    } else {
        a.op = nx_execute(db, "INSERT INTO thing VALUES (?, 0), (?, 0)", values, 2, NULL);
        return a;
    }
    a.op = nx_session_end(a.s, NULL);
    return a;
}

static void end_attempt(attempt *a, tally *sum)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM thing WHERE id IN (%" PRId64 ", %" PRId64 ")", a->id, a->id + 1);
    if (a->way < 0) {
        cr_assert_eq(pgk_number(&kit, sql), 0);
        return;
    }
    nx_completion c = nx_await(loop, a->op);
    nx_outcome outcome = c.error == NULL ? NX_OUTCOME_COMMITTED : c.error->outcome;
    int64_t rows = pgk_number(&kit, sql);
    if (outcome == NX_OUTCOME_UNKNOWN)
        sum->unknown++;
    else
        cr_assert_eq(rows, outcome == NX_OUTCOME_COMMITTED ? 2 : 0, "way %d, %s, outcome %d, %d rows: %s", a->way,
                     nx_status_name(c.status), (int)outcome, (int)rows, c.error == NULL ? "" : c.error->message);
    sum->acknowledged += c.status == NX_OK;
    sum->committed += c.status != NX_OK && outcome == NX_OUTCOME_COMMITTED;
    sum->rolled_back += outcome == NX_OUTCOME_ROLLED_BACK;
    nx_session_free(a->s);
}

/* Some backend of this test's role that works for the pool. */
static int kill_one(void)
{
    return (int)pgk_number(&kit,
                           "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE "
                           "application_name = current_schema() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) AS v");
}

static void open_for_kills(void)
{
    nx_bind_options options = pgk_options(&kit, PGK_PLAIN);

    options.port = proxy.port;
    options.commit_tokens = true;
    options.pool_max = LANES;
    bind_with(options, NX_CREATE_TABLES);
}

/* By turns: a backend is killed at some moment, or an answer is swallowed. What is said of each transaction is true. */
Test(pg_outcome, backends_killed_while_sessions_commit, .timeout = 20000)
{
    int kills = tk_is_long() ? 1000 : 25, killed = 0, rounds = 0;
    tally sum = { 0 };
    int64_t id = 2;

    open_for_kills();
    for (; killed < kills; rounds++) {
        attempt attempts[LANES];
        bool swallows = rounds % 4 == 3;

        cr_assert_lt(rounds, kills * 40);
        if (swallows)
            pgp_seize(&proxy, PGP_ANSWER);
        for (int i = 0; i < LANES; i++, id += 2)
            attempts[i] = begin_attempt(id);
        for (unsigned i = tk_random_below(6); i > 0; i--)
            cr_assert_eq(nx_submit(loop), NX_OK);
        if (!swallows)
            killed += kill_one();
        for (int i = 0; i < LANES; i++)
            end_attempt(&attempts[i], &sum);
        pgp_seize(&proxy, PGP_NONE);
    }
    cr_log_info("%d kills in %d rounds: %d acknowledged, %d rolled back, %d committed without their answers; %" PRIu64
                " outcomes found, %d unknown",
                killed, rounds, sum.acknowledged, sum.rolled_back, sum.committed, found(), sum.unknown);
    cr_assert_eq(sum.unknown, 0);
    cr_assert_gt(found(), 0u);
    cr_assert_gt(sum.acknowledged, 0);
    cr_assert_gt(sum.rolled_back, 0);
}
