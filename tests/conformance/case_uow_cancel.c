/*
 * uow_cancel - cancels, deadlines, frees and closes of a session's operations at each position: what is reported is what is
 * stored, and nobody waits for what is gone.
 *
 * A position is a number of turns of the loop between queueing and the cancel. Behind the last one the operation is complete.
 */
#include <stdio.h>

#include "uow_kit.h"

/* On the second database. */
#define UOW_OTHER(FIELD, E)                                                                                                      \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, n)
NX_ENTITY(Other, UOW_OTHER)

enum { POSITIONS = 8 };

static void is_stored(nxt_fixture *f, int64_t count, int64_t sum, int number)
{
    int64_t rows = NUMBER(f, "SELECT count(*) FROM item");
    int64_t total = NUMBER(f, "SELECT CAST(coalesce(sum(n), 0) AS bigint) FROM item");

    cr_assert(rows == count && total == sum, "number %d: %lld rows of sum %lld, not %lld of %lld", number, (long long)rows,
              (long long)total, (long long)count, (long long)sum);
    uow_is_free(f, f->db, "item");
}

/* ---------------------------------------------------------------------- one of many queued operations */

enum { QUEUED = 7, WRITE = 2, COMMIT = 5, END = 6 };

/* Two new rows, a set-based write of 10 each, a commit and an end, all queued at once. */
static void queue_all(nxt_fixture *f, nx_session *s, nx_op *ret_ops)
{
    NEW(s, Item)->n = 1;
    NEW(s, Item)->n = 2;
    ret_ops[0] = nx_flush(s, NULL);
    ret_ops[1] = nx_fetch_all(nx_select(s, Item), NULL);
    ret_ops[WRITE] = nx_session_execute(s, f->db, "UPDATE item SET n = n + 10", nx_no_args, NULL);
    ret_ops[3] = nx_flush(s, NULL);
    ret_ops[4] = nx_count(nx_select(s, Item), NULL);
    ret_ops[COMMIT] = nx_commit(s, NULL);
    ret_ops[END] = nx_session_end(s, NULL);
}

static void stop_one(nxt_fixture *f, int which, int turns, bool deadline)
{
    nx_op ops[QUEUED];
    nx_status status[QUEUED];

    uow_do(f, f->db, "DELETE FROM item");
    nx_session *s = nxt_session(f, NULL);
    queue_all(f, s, ops);
    uow_turns(f, turns);
    nx_status asked = deadline ? nx_op_deadline(f->loop, ops[which], 0) : nx_op_cancel(f->loop, ops[which]);
    cr_assert(asked == NX_OK || asked == NX_ESTALE, "%s", nx_status_name(asked));
    for (int i = 0; i < QUEUED; i++) {
        status[i] = uow_status(f, ops[i]);
        cr_assert_neq(status[i], NX_ESTALE, "operation %d of %d, %d turns", i, which, turns);
    }
    bool committed = status[COMMIT] == NX_OK || (status[END] == NX_OK && nx_session_outcome(s) == NX_OUTCOME_COMMITTED);
    cr_expect(nx_session_is_ended(s) || status[END] != NX_OK);
    nx_session_free(s);
    is_stored(f, committed ? 2 : 0, !committed ? 0 : status[WRITE] == NX_OK ? 23 : 3, which * 100 + turns);
}

CASE(uow_cancel, one_of_many_queued_operations_is_cancelled_at_each_position)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int which = 0; which < QUEUED; which++)
        for (int turns = 0; turns < POSITIONS; turns++)
            stop_one(f, which, turns, false);
}

CASE(uow_cancel, one_of_many_queued_operations_is_late_at_each_position)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int which = 0; which < QUEUED; which++)
        for (int turns = 0; turns < POSITIONS; turns++)
            stop_one(f, which, turns, true);
}

/* --------------------------------------------------------------------------- commits that are stopped */

typedef struct stop {
    bool two, end, deadline;
    int turns;
} stop;

/* An open transaction, one more change, a commit or end that is stopped; the row is what the status says, and pending else. */
static void stop_commit(nxt_fixture *f, nx_db *other, const stop *how, int number)
{
    uow_do(f, f->db, "DELETE FROM item");
    nx_session *s = nxt_session(f, NULL);
    Item *item = NEW(s, Item);
    OK(f, nx_flush(s, NULL));
    item->n = 1;
    if (how->two)
        NEW(s, Other)->n = 1;
    nx_op op = how->end ? nx_session_end(s, NULL) : nx_commit(s, NULL);
    uow_turns(f, how->turns);
    if (how->deadline)
        (void)!nx_op_deadline(f->loop, op, 0);
    else
        (void)!nx_op_cancel(f->loop, op);
    nx_completion c = nx_await(f->loop, op);
    bool committed = c.status == NX_OK;
    nx_outcome outcome = committed ? NX_OUTCOME_COMMITTED : c.error->outcome;
    if (c.status == NX_EPARTIAL) {
        committed = true; /* the first database's part is */
    } else if (!committed) {
        cr_expect(c.status == NX_ECANCELED || c.status == NX_EDEADLINE, "number %d: %s", number, nx_status_name(c.status));
        cr_expect_neq(outcome, NX_OUTCOME_COMMITTED);
    }
    if (!committed && !how->end && outcome != NX_OUTCOME_UNKNOWN) {
        cr_expect_eq(item->n, 1, "the value stays");
        nx_status again = uow_status(f, nx_commit(s, NULL));
        if (again == NX_EABORTED) {
            OK(f, nx_rollback(s, NULL));
            again = uow_status(f, nx_commit(s, NULL));
        }
        cr_assert_eq(again, NX_OK, "number %d: then %s", number, nx_status_name(again));
        committed = true;
    }
    nx_session_free(s);
    if (!committed && outcome == NX_OUTCOME_UNKNOWN)
        uow_settled(f, f->db, "item");
    int64_t rows = NUMBER(f, "SELECT count(*) FROM item");
    cr_assert(rows == committed || (outcome == NX_OUTCOME_UNKNOWN && rows == 1), "number %d: %lld rows", number, (long long)rows);
    uow_is_free(f, f->db, "item");
    uow_is_free(f, other, "other");
}

static void stop_commits(nxt_fixture *f, bool two, bool of_another_kind)
{
    static const nx_entity *const others[] = { &Other_entity, NULL };
    uow_map(f, NX_ENTITIES(Item));
    nx_db *other = of_another_kind ? uow_beside(f, others) : nxt_database(f, 1, others);
    for (int number = 0; number < 4 * POSITIONS; number++)
        stop_commit(f, other, &(stop){ two, number % 2 == 1, number / 2 % 2 == 1, number / 4 }, number);
    nx_db_free(other);
}

CASE(uow_cancel, commit_is_stopped_at_each_position)
{
    stop_commits(f, false, false);
}

CASE(uow_cancel, commit_over_two_databases_is_stopped_at_each_position)
{
    stop_commits(f, true, false);
}

CASE(uow_cancel, commit_over_databases_of_two_kinds_is_stopped_at_each_position)
{
    stop_commits(f, true, true);
}

/* A flush that is stopped leaves values and pending work, whether its statements had run or not. */
CASE(uow_cancel, flush_is_stopped_at_each_position)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int number = 0; number < 4 * POSITIONS; number++) {
        uow_do(f, f->db, "DELETE FROM item");
        uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1000, 1), (1001, 1)");
        nx_session *s = nxt_session(f, NULL);
        Item *changed = GET(f, s, Item, 1000), *gone = GET(f, s, Item, 1001), *made = NEW(s, Item);
        if (number % 2 == 1)
            OK(f, nx_session_execute(s, f->db, "UPDATE item SET n = 1", nx_no_args, NULL));
        changed->n = made->n = 5;
        CHECK(nx_session_delete(s, gone));
        nx_op op = nx_flush(s, NULL);
        uow_turns(f, number / 4);
        if (number / 2 % 2 == 1)
            (void)!nx_op_deadline(f->loop, op, 0);
        else
            (void)!nx_op_cancel(f->loop, op);
        (void)uow_status(f, op);
        cr_expect_eq(changed->n, 5, "number %d: the value stays", number);
        cr_expect_eq(made->n, 5);
        nx_status status = uow_status(f, nx_commit(s, NULL));
        if (status == NX_EABORTED) { /* the server gave up the whole transaction */
            OK(f, nx_rollback(s, NULL));
            changed->n = 5;
            CHECK(nx_session_delete(s, gone));
            status = uow_status(f, nx_commit(s, NULL));
        }
        cr_assert_eq(status, NX_OK, "number %d: %s", number, nx_status_name(status));
        nx_session_free(s);
        is_stored(f, 2, 10, number);
    }
}

/* ---------------------------------------------------------------------------------- frees and closes */

enum { WORKS = 5 };

/* Work of a nested session that is queued when it is freed. */
static int queue_work(nxt_fixture *f, nx_session *s, int what, nx_op *ret_ops)
{
    int count = 0;

    NEW(s, Item)->n = 2;
    if (what == 1)
        ret_ops[count++] = nx_count(nx_select(s, Item), NULL);
    else if (what == 3)
        ret_ops[count++] = nx_session_end(s, NULL);
    else
        ret_ops[count++] = nx_flush(s, NULL);
    if (what == 2) {
        ret_ops[count++] = nx_session_execute(s, f->db, "UPDATE item SET n = n + 10", nx_no_args, NULL);
        ret_ops[count++] = nx_fetch_all(nx_select(s, Item), NULL);
    }
    if (what == 4)
        ret_ops[count++] = nx_rollback(s, NULL);
    return count;
}

CASE(uow_cancel, nested_session_is_freed_under_its_operations)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int number = 0; number < 2 * WORKS * POSITIONS; number++) {
        nx_op ops[3];
        int what = number / 2 % WORKS;
        bool ended = false;
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = nxt_session(f, NULL);
        NEW(s, Item)->n = 1;
        if (number % 2 == 1)
            OK(f, nx_flush(s, NULL));
        nx_session *inner = nx_session_nested(s, NULL);
        int count = queue_work(f, inner, what, ops);
        uow_turns(f, number / (2 * WORKS));
        nx_session_free(inner);
        for (int i = 0; i < count; i++)
            ended = uow_status(f, ops[i]) == NX_OK && what == 3;
        cr_assert_eq(COUNT(f, nx_count(nx_select(s, Item), NULL)), ended ? 2 : 1, "number %d", number);
        nxt_end(f, s);
        is_stored(f, ended ? 2 : 1, ended ? 3 : 1, number);
    }
}

/* The root goes, and with it the nested sessions, whatever they are about. */
CASE(uow_cancel, root_session_is_freed_under_the_operations_of_its_nested_one)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int number = 0; number < 4 * WORKS * POSITIONS; number++) {
        nx_op ops[3];
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = nxt_session(f, NULL);
        NEW(s, Item)->n = 1;
        if (number % 2 == 1)
            OK(f, nx_flush(s, NULL));
        nx_session *inner = nx_session_nested(s, &(nx_session_options){ .join = number / 2 % 2 == 1 });
        nx_session *deeper = nx_session_nested(inner, NULL);
        int count = queue_work(f, deeper, number / 4 % WORKS, ops);
        uow_turns(f, number / (4 * WORKS));
        nx_session_free(s);
        for (int i = 0; i < count; i++)
            cr_assert_neq(uow_status(f, ops[i]), NX_ESTALE, "number %d: operation %d", number, i);
        is_stored(f, 0, 0, number);
    }
}

CASE(uow_cancel, session_is_freed_under_its_queued_operations)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int turns = 0; turns < 2 * POSITIONS; turns++) {
        nx_op ops[QUEUED];
        nx_status status[QUEUED];
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = nxt_session(f, NULL);
        queue_all(f, s, ops);
        uow_turns(f, turns);
        nx_session_free(s);
        for (int i = 0; i < QUEUED; i++)
            status[i] = uow_status(f, ops[i]);
        bool committed = status[COMMIT] == NX_OK || status[END] == NX_OK;
        is_stored(f, committed ? 2 : 0, committed ? 23 : 0, turns);
    }
}

/* Streams that are open in a session end with it. */
CASE(uow_cancel, session_is_freed_under_a_stream)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int i = 0; i < 300; i++)
        uow_do(f, f->db, "INSERT INTO item (n) VALUES (0)");
    for (int turns = 0; turns < POSITIONS; turns++) {
        nx_session *s = nxt_session(f, NULL);
        NEW(s, Item)->n = 1;
        nx_op op = nx_stream(nx_select(s, Item), &(nx_stream_options){ .batch_rows = 10, .credit_bytes = 1 }, NULL);
        nx_op flush = nx_flush(s, NULL);
        uow_turns(f, turns);
        nx_session_free(s);
        bool more = true;
        for (int i = 0; more && i < 1000; i++) {
            nx_completion c = nx_await(f->loop, op);
            more = (c.flags & NX_MORE) != 0;
            nxt_seen(f, &c);
        }
        cr_assert_not(more, "the stream of a session that is gone never ends");
        (void)uow_status(f, flush);
        is_stored(f, 300, 0, turns);
    }
}

/* The states of a session when its database is closed or freed; afterwards every call answers, and nothing is written. */
enum { STATES = 6 };

static int bring_to(nxt_fixture *f, nx_session *s, int state, nx_session **ret_inner, nx_op *ret_ops)
{
    int count = 0;

    *ret_inner = NULL;
    NEW(s, Item)->n = 1;
    if (state >= 1 && state <= 3)
        OK(f, nx_flush(s, NULL));
    if (state == 2 || state == 5) {
        *ret_inner = nx_session_nested(s, NULL);
        NEW(*ret_inner, Item)->n = 2;
    }
    if (state == 2)
        OK(f, nx_flush(*ret_inner, NULL));
    if (state == 3 || state == 4)
        NEW(s, Item)->n = 3;
    if (state >= 3)
        ret_ops[count++] = nx_flush(*ret_inner != NULL ? *ret_inner : s, NULL);
    if (state == 4) {
        ret_ops[count++] = nx_fetch_all(nx_select(s, Item), NULL);
        ret_ops[count++] = nx_rollback(s, NULL);
    }
    return count;
}

static void database_goes(nxt_fixture *f, bool close)
{
    static const nx_entity *const items[] = { &Item_entity, NULL };
    uow_map(f, NX_ENTITIES(Other));
    nx_db *main_db = f->db;
    for (int number = 0; number < STATES * POSITIONS; number++) {
        nx_op ops[3], closing = { 0 };
        nx_session *inner;
        f->db = nxt_database(f, 1, items);
        nx_session *s = nxt_session(f, NULL);
        int count = bring_to(f, s, number % STATES, &inner, ops);
        uow_turns(f, number / STATES);
        if (close)
            closing = nx_close(f->db, NULL);
        else
            nx_db_free(f->db);
        for (int i = 0; i < count; i++)
            cr_assert_neq(uow_status(f, ops[i]), NX_ESTALE, "number %d: operation %d", number, i);
        nx_session *used = inner != NULL ? inner : s;
        (void)uow_status(f, nx_flush(used, NULL));
        (void)uow_status(f, nx_count(nx_select(used, Item), NULL));
        (void)uow_status(f, nx_rollback(used, NULL));
        if (inner != NULL)
            (void)uow_status(f, nx_session_end(inner, NULL));
        nx_session_free(inner);
        (void)uow_status(f, nx_session_end(s, NULL));
        nx_session_free(s);
        if (close) {
            cr_expect_eq(uow_status(f, closing), NX_OK);
            nx_db_free(f->db);
        }
    }
    f->db = main_db;
}

CASE(uow_cancel, database_is_freed_under_sessions_in_every_state)
{
    database_goes(f, false);
}

CASE(uow_cancel, database_is_closed_under_sessions_in_every_state)
{
    database_goes(f, true);
}

CASE(uow_cancel, loop_is_closed_under_sessions_in_every_state)
{
    static const nx_entity *const items[] = { &Item_entity, NULL };
    for (int number = 0; number < STATES * POSITIONS / 2; number++) {
        nxt_fixture other;
        nx_op ops[3];
        nx_session *inner;
        nxt_open(&other, f->provider);
        other.db = nxt_database(&other, 0, items);
        (void)bring_to(&other, nxt_session(&other, NULL), number % STATES, &inner, ops);
        uow_turns(&other, number / STATES * 2);
        nxt_close(&other);
    }
    uow_map(f, NX_ENTITIES(Item));
}

/* --------------------------------------------------------------------------------- one connection */

/* Sessions that wait for the only connection wait in vain while one holds it, stay pending, and end behind it. */
CASE(uow_cancel, sessions_wait_for_the_only_connection)
{
    enum { WAITERS = 20 };
    nx_session *waiters[WAITERS];
    nx_op ops[WAITERS];
    nx_bind_options options;
    static const nx_entity *const items[] = { &Item_entity, NULL };

    f->provider->make(f, 0, &options);
    options.pool_timeout_ms = 500;
    if (strcmp(f->provider->name, "postgres") == 0)
        options.pool_max = 1;
    f->db = nx_db_new(f->loop, items);
    OK(f, nx_bind(f->db, f->provider->name, &options, NULL));
    OK(f, nx_generate_mapping(f->db, NX_CREATE_TABLES, NULL));
    nx_session *holder = nxt_session(f, NULL);
    NEW(holder, Item)->n = 0;
    OK(f, nx_flush(holder, NULL));
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = nxt_session(f, NULL);
        NEW(waiters[i], Item)->n = 1;
        ops[i] = nx_flush(waiters[i], NULL);
    }
    uow_turns(f, 1);
    for (int i = 0; i < WAITERS; i += 4)
        CHECK(nx_op_cancel(f->loop, ops[i]));
    for (int i = 1; i < WAITERS; i += 4)
        nx_session_free(waiters[i]);
    for (int i = 0; i < WAITERS; i++) {
        nx_status status = uow_status(f, ops[i]);
        cr_expect_neq(status, NX_OK);
        cr_expect_neq(status, NX_ESTALE);
    }
    nxt_end(f, holder);
    for (int i = 0; i < WAITERS; i++) {
        if (i % 4 == 1)
            continue;
        cr_expect_eq(uow_status(f, nx_session_end(waiters[i], NULL)), NX_OK, "still pending");
        nx_session_free(waiters[i]);
    }
    is_stored(f, 1 + WAITERS * 3 / 4, WAITERS * 3 / 4, 0);
}
