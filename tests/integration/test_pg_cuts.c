/*
 * pg_cuts - the connection to a PostgreSQL server is cut, changed or split at every byte, in both directions: what was
 * acknowledged is there once, what is said to be rolled back is not there, and nothing waits for ever. NX_TEST_LONG=1: every
 * byte; else a sample.
 *
 * Each test is there SLICES times, in processes side by side with a proxy and a schema each, as most of a run is waiting.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

#include "nextorm.h"
#include "tests/support/pg_kit.h"
#include "tests/support/pg_proxy.h"
#include "tests/support/test_kit.h"

#define MARK(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, number)
NX_ENTITY(Mark, MARK)

enum {
    SLICES = 8,
    JOBS = 16,
    BYTES_MIN = 1000, /* a session that says less is not the one below */
    TAIL = 128,       /* so much of it may not come: what a late cancel request takes to be waited for */
    /* A change of a length makes one side wait for the other: so long, and not in every step that is left. */
    SHORT_MS = 500,
    LONG_MS = 20000,
    LATE_MAX = 2
};

static pg_kit kit;
static pg_proxy proxy;
static nx_loop *loop;
static nx_db *db;
static int64_t run = 1000; /* as many digits in all runs: as many bytes */
static unsigned late;      /* operations of this run */

/*
 * A role of our own tells our connections from those of the other processes. Its password is "cuts", hashed once instead of 4096
 * times (RFC 5802, 3: Hi; in the server's form, 53.8), which is all that a connection would spend its time on.
 */
static void set_up(void)
{
    char sql[256];

    pgk_open(&kit);
    pgk_do(&kit, "CREATE TABLE mark (id int8 PRIMARY KEY, number int4 NOT NULL CHECK (number >= 0))");
    snprintf(sql, sizeof(sql),
             "CREATE ROLE %s SUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$1:bmV4dG9ybSB0ZXN0IGN1dA==$"
             "gEf8cSRdRJlpb27DWH7unQ6l6Q0o3ZIFdIrHwLsnPr0=:4/By9/ku0CkY0t2ZWTYeAmP0WIRRIklC2F2sdFC85uw='",
             kit.schema);
    pgk_do(&kit, sql);
    kit.has_role = true;
    pgp_start(&proxy);
}

static void tear_down(void)
{
    pgp_stop(&proxy);
    pgk_close(&kit);
}

TestSuite(pg_cuts, .init = set_up, .fini = tear_down, .timeout = 20000);

/* ------------------------------------------------------------------------------ the session */

/* The rows of a run, by the last digits of their keys. */
enum { ALONE, ENTITY, IN_SESSION, BULK_1, BULK_2, BULK_3, REFUSED, STOPPED, LAST, STEPS, SPAN = 10 };
typedef enum verdict { ABSENT, PRESENT, EITHER } verdict;

static verdict verdict_of(nx_status status, nx_outcome outcome)
{
    if (status == NX_OK)
        return PRESENT;
    return outcome == NX_OUTCOME_UNKNOWN ? EITHER : outcome == NX_OUTCOME_COMMITTED ? PRESENT : ABSENT;
}

static nx_completion await(nx_op op)
{
    nx_completion c = nx_await(loop, op);

    late += c.status == NX_EDEADLINE || c.status == NX_EPOOLTIMEOUT ? 1 : 0;
    return c;
}

static verdict verdict_on(nx_op op)
{
    nx_completion c = await(op);

    return verdict_of(c.status, c.error == NULL ? NX_OUTCOME_NONE : c.error->outcome);
}

static nx_value key_of(int step)
{
    return nx_value_i64(run * SPAN + step);
}

static verdict insert_alone(int step, int number)
{
    nx_value values[] = { key_of(step), nx_value_i64(number) };

    return verdict_on(nx_execute(db, "INSERT INTO mark VALUES (?, ?)", values, 2, NULL));
}

static void step_alone(verdict *found)
{
    found[ALONE] = insert_alone(ALONE, 1);
}

static void step_session(verdict *found)
{
    nx_session *s = nx_session_begin(loop, NULL);
    Mark *mark = nx_new(s, Mark);
    nx_value key = key_of(IN_SESSION);

    if (mark != NULL) { /* else there is no mapping */
        mark->id = run * SPAN + ENTITY;
        mark->number = 1;
        if (await(nx_session_execute(s, db, "INSERT INTO mark VALUES (?, 0)", &key, 1, NULL)).status == NX_OK) {
            nx_status status = await(nx_session_end(s, NULL)).status;
            found[ENTITY] = found[IN_SESSION] = verdict_of(status, nx_session_outcome(s));
        }
    }
    nx_session_free(s);
}

static void step_read_raw(verdict *found)
{
    nx_completion c = await(nx_select_raw(db, "SELECT 7::int8 AS a, 'text' AS b", NULL, 0, NULL));

    (void)found;
    nx_seen(loop, &c);
}

static void step_read(verdict *found)
{
    nx_completion c = await(nx_fetch_all(nx_filter(nx_select(db, Mark), nx_ge(Mark_.id, run * SPAN)), NULL));

    (void)found;
    nx_seen(loop, &c);
}

static void step_bulk(verdict *found)
{
    nx_bulk *bulk = nx_bulk_begin(db, &Mark_entity, NULL);
    Mark rows[3];
    size_t taken;

    if (bulk == NULL)
        return;
    for (int i = 0; i < 3; i++)
        rows[i] = (Mark){ .id = run * SPAN + BULK_1 + i, .number = i };
    if (nx_bulk_rows(bulk, rows, 3, &taken) == NX_OK)
        found[BULK_1] = found[BULK_2] = found[BULK_3] = verdict_on(nx_bulk_end(bulk, NULL));
    nx_bulk_free(bulk);
}

static void step_refused(verdict *found)
{
    found[REFUSED] = insert_alone(REFUSED, -1);
}

/* The server sees only at its end that nobody is there any more: it must be short. */
static void step_stopped(verdict *found)
{
    nx_value key = key_of(STOPPED);
    nx_op op = nx_execute(db, "INSERT INTO mark SELECT ?, 0 FROM pg_sleep(0.3)", &key, 1, NULL);

    cr_assert_eq(nx_op_deadline(loop, op, 20), NX_OK);
    found[STOPPED] = verdict_on(op);
}

static void step_last(verdict *found)
{
    found[LAST] = insert_alone(LAST, 1);
}

/* The session on a connection of its own, and what is to be found of it. That not even binding works is all right. */
static void run_steps(uint32_t deadline_ms, verdict *found)
{
    static void (*const steps[])(verdict * found) = { step_alone, step_session, step_read_raw, step_read,
                                                      step_bulk,  step_refused, step_stopped,  step_last };
    nx_bind_options options = pgk_options(&kit, PGK_PLAIN);

    run++;
    late = 0;
    for (int i = 0; i < STEPS; i++)
        found[i] = ABSENT;
    options.port = proxy.port;
    options.user = kit.schema;
    options.password = "cuts";
    options.pool_timeout_ms = deadline_ms;
    options.deadline_ms = deadline_ms;
    cr_assert_eq(nx_loop_open(NULL, &loop, NULL), NX_OK);
    db = nx_db_new(loop, NX_ENTITIES(Mark));
    if (await(nx_bind(db, "postgres", &options, NULL)).status == NX_OK) {
        (void)await(nx_generate_mapping(db, 0, NULL));
        for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && late < LATE_MAX; i++)
            steps[i](found);
    }
    nx_loop_close(loop);
}

/* ------------------------------------------------------------------------------ what became of it */

/* Nothing of that session may still be under way when we look. */
static void wait_until_gone(void)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM pg_stat_activity WHERE usename = '%s'", kit.schema);
    while (pgk_number(&kit, sql) > 0)
        cr_assert_eq(pgk_number(&kit, "SELECT 1 FROM pg_sleep(0.002)"), 1);
}

static void check_steps(const verdict *found, const char *what, uint64_t at)
{
    static const int together[][2] = { { ENTITY, IN_SESSION }, { BULK_1, BULK_2 }, { BULK_2, BULK_3 } };
    static const char *const words[] = { "rolled back", "acknowledged", "unknown" };
    char sql[160];
    int64_t rows;

    wait_until_gone();
    snprintf(sql, sizeof(sql), "SELECT coalesce(sum(1 << (id %% %d)::int), 0) FROM mark WHERE id / %d = %d", SPAN, SPAN,
             (int)run);
    rows = pgk_number(&kit, sql);
    for (int i = 0; i < STEPS; i++) {
        bool there = (rows >> i & 1) != 0;
        cr_assert(found[i] == EITHER || there == (found[i] == PRESENT), "%s at %d: step %d is %s, and %s", what, (int)at, i,
                  words[found[i]], there ? "it is there" : "there is nothing");
    }
    for (size_t i = 0; i < sizeof(together) / sizeof(*together); i++)
        cr_assert_eq(rows >> together[i][0] & 1, rows >> together[i][1] & 1, "%s at %d: half of a transaction", what, (int)at);
    cr_assert_eq(rows >> REFUSED & 1, 0);
}

static void check_undisturbed(const verdict *found, const char *what)
{
    check_steps(found, what, 0);
    for (int i = 0; i < STEPS; i++)
        cr_assert(found[i] == (i == REFUSED ? ABSENT : PRESENT) || i == STOPPED, "%s: step %d", what, i);
}

/* ------------------------------------------------------------------------------ the tests */

/* How many bytes the session takes. */
static uint64_t measure(bool to_client)
{
    verdict found[STEPS];
    uint64_t size;

    for (int i = 0; i < 2; i++) { /* the first one fills the server's caches */
        pgp_set(&proxy, (pgp_plan){ .action = PGP_PASS });
        run_steps(LONG_MS, found);
        check_undisturbed(found, "undisturbed");
    }
    while ((size = pgp_most(&proxy, to_client)) == 0) /* until the proxy has seen the end */
        cr_assert_eq(pgk_number(&kit, "SELECT 1 FROM pg_sleep(0.002)"), 1);
    cr_assert_gt(size, BYTES_MIN);
    return size;
}

/*
 * Every byte of this slice. What is changed may be anything, also what is asked for: then there is nothing to be checked but that
 * nothing crashes or waits for ever.
 */
static void at_every_byte(pgp_plan plan, int slice, uint64_t step, const char *what)
{
    static const uint8_t masks[] = { 0x01, 0x20, 0xff };
    uint64_t size = measure(plan.to_client);
    uint32_t deadline_ms = plan.action == PGP_FLIP ? SHORT_MS : LONG_MS;
    unsigned runs = 0, disturbed = 0;
    verdict found[STEPS];

    step = tk_is_long() ? 1 : step;
    for (plan.at = (uint64_t)slice * step; plan.at < size; plan.at += SLICES * step) {
        plan.mask = masks[plan.at % 3];
        bool acted = false;
        for (int i = 0; i < 5 && !acted; i++) {
            pgp_set(&proxy, plan);
            run_steps(deadline_ms, found);
            if (plan.action != PGP_FLIP)
                check_steps(found, what, plan.at);
            acted = pgp_has_acted(&proxy);
            /* On a machine that is busy the deadline may come before the byte. */
            if (!acted && plan.at + TAIL < size)
                deadline_ms *= 2;
        }
        runs++;
        disturbed += acted ? 1 : 0;
    }
    cr_log_info("%s: %u runs of %d bytes", what, runs, (int)size);
    cr_assert_gt(runs, 0u);
    cr_assert_leq(runs - disturbed, 1 + runs / 10, "%s: of %u runs only %u came to their byte", what, runs, disturbed);
}

static struct criterion_test_params all_slices(void)
{
    static int slices[SLICES];

    for (int i = 0; i < SLICES; i++)
        slices[i] = i;
    return cr_make_param_array(int, slices, SLICES);
}

ParameterizedTestParameters(pg_cuts, what_the_server_says_is_cut)
{
    return all_slices();
}

ParameterizedTest(int *slice, pg_cuts, what_the_server_says_is_cut)
{
    at_every_byte((pgp_plan){ .action = PGP_CUT, .to_client = true }, *slice, 29, "cut of answers");
}

ParameterizedTestParameters(pg_cuts, what_the_driver_says_is_cut)
{
    return all_slices();
}

ParameterizedTest(int *slice, pg_cuts, what_the_driver_says_is_cut)
{
    at_every_byte((pgp_plan){ .action = PGP_CUT }, *slice, 31, "cut of requests");
}

ParameterizedTestParameters(pg_cuts, what_the_server_says_is_changed)
{
    return all_slices();
}

ParameterizedTest(int *slice, pg_cuts, what_the_server_says_is_changed)
{
    at_every_byte((pgp_plan){ .action = PGP_FLIP, .to_client = true }, *slice, 61, "change of answers");
}

ParameterizedTestParameters(pg_cuts, what_the_driver_says_is_changed)
{
    return all_slices();
}

ParameterizedTest(int *slice, pg_cuts, what_the_driver_says_is_changed)
{
    at_every_byte((pgp_plan){ .action = PGP_FLIP }, *slice, 67, "change of requests");
}

Test(pg_cuts, answers_arrive_byte_by_byte)
{
    verdict found[STEPS];

    pgp_set(&proxy, (pgp_plan){ .bytewise = true });
    run_steps(LONG_MS, found);
    check_undisturbed(found, "byte by byte");
}

/* Criterion's default is one process per processor, and these wait more than they compute; its option -j goes before. */
__attribute__((constructor)) static void choose_jobs(void)
{
    criterion_options.jobs = JOBS;
}
