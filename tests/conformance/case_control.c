/*
 * control - completions, tags, waiting, cancel, deadlines, closing with work in flight, foreign event loops.
 */
#include <poll.h>

#include "cases.h"

CASE(control, nothing_moves_before_a_wait)
{
    CHECK(nx_submit(f->loop));
    nx_op op = nx_count(nx_select(f->db, Post), NULL);
    cr_expect_eq(nx_in_flight(f->loop), 1U);
    cr_expect_null(nx_peek(f->loop));
    cr_expect_eq(OK(f, op).count, 0);
    cr_expect_eq(nx_in_flight(f->loop), 0U);
}

CASE(control, many_in_flight_keep_their_tags)
{
    enum { MANY = 500 };
    static int answered[MANY];
    nxt_posts(f, 10);
    for (int i = 0; i < MANY; i++)
        (void)nx_count(nx_filter(nx_select(f->db, Post), nx_lt(Post_.score, i % 11)), &answered[i]);
    cr_expect_eq(nx_in_flight(f->loop), (size_t)MANY);
    const nx_completion *c;
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(nx_wait(f->loop, &c), NX_OK);
        cr_assert_eq(c->status, NX_OK);
        ptrdiff_t number = (int *)c->tag - answered;
        cr_assert(number >= 0 && number < MANY);
        answered[number]++;
        cr_expect_eq(c->count, number % 11, "completion %d carries another one's result", (int)number);
        nx_seen(f->loop, c);
    }
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(answered[i], 1, "operation %d ended %d times", i, answered[i]);
    cr_expect_eq(nx_wait(f->loop, &c), NX_ESTATE, "nothing is in flight");
}

CASE(control, completion_stays_at_the_head_until_seen)
{
    const nx_completion *c, *d;
    int tag;
    (void)nx_count(nx_select(f->db, Post), &tag);
    CHECK(nx_wait(f->loop, &c));
    CHECK(nx_wait(f->loop, &d));
    cr_expect_eq(c, d);
    cr_expect_eq(nx_peek(f->loop), c);
    cr_expect_eq(c->tag, &tag);
    nx_seen(f->loop, c);
    cr_expect_null(nx_peek(f->loop));
}

CASE(control, await_leaves_others_queued)
{
    int tag;
    nx_op first = nx_count(nx_select(f->db, Post), &tag), second = nx_exists(nx_select(f->db, Post), NULL);
    cr_expect_eq(OK(f, second).count, 0);
    const nx_completion *c;
    CHECK(nx_wait(f->loop, &c));
    cr_expect_eq(c->tag, &tag);
    cr_expect_eq(c->op.slot, first.slot);
    cr_expect_eq(c->op.generation, first.generation);
    nx_seen(f->loop, c);
    FAILS(f, second, NX_ESTALE);
    FAILS(f, first, NX_ESTALE);
}

CASE(control, completions_are_given_back_in_any_order)
{
    nx_completion c[3];
    nxt_posts(f, 3);
    for (int i = 0; i < 3; i++)
        c[i] = OK(f, nx_fetch_all(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, i)), NULL));
    nxt_seen(f, &c[1]);
    TEXT_IS(((Post *)c[0].rows[0])->title, "post 0");
    TEXT_IS(((Post *)c[2].rows[0])->title, "post 2");
    nxt_seen(f, &c[0]);
    TEXT_IS(((Post *)c[2].rows[0])->title, "post 2");
    nxt_seen(f, &c[2]);
}

CASE(control, wait_many_minds_its_time)
{
    size_t ready = 7;
    CHECK(nx_wait_many(f->loop, 1, 5, &ready));
    cr_expect_eq(ready, 0U);
    CHECK(nx_wait_many(f->loop, 0, 0, &ready));
    cr_expect_eq(ready, 0U);
    (void)nx_count(nx_select(f->db, Post), NULL);
    CHECK(nx_wait_many(f->loop, 100, -1, &ready));
    cr_expect_eq(ready, 1U, "nothing more is in flight");
    nx_for_each_completion(f->loop, c)
        cr_expect_eq(c->status, NX_OK);
}

CASE(control, stale_handles)
{
    nx_op none = { 0, 0 }, wild = { 0x7fffffff, 0x7fffffff }, old = nx_count(nx_select(f->db, Post), NULL);
    OK(f, old);
    FAILS(f, none, NX_ESTALE);
    FAILS(f, wild, NX_ESTALE);
    FAILS(f, old, NX_ESTALE);
    cr_expect_eq(nx_op_cancel(f->loop, none), NX_ESTALE);
    cr_expect_eq(nx_op_cancel(f->loop, wild), NX_ESTALE);
    cr_expect_eq(nx_op_cancel(f->loop, old), NX_ESTALE);
    cr_expect_eq(nx_op_deadline(f->loop, wild, 1), NX_ESTALE);
    cr_expect_eq(nx_op_deadline(f->loop, old, 1), NX_ESTALE);
    /* The slot is used again: the old handle must not reach the new operation. */
    nx_op fresh = nx_count(nx_select(f->db, Post), NULL);
    cr_expect_eq(nx_op_cancel(f->loop, old), NX_ESTALE);
    OK(f, fresh);
}

CASE(control, cancel_before_anything_moved)
{
    nx_op op = nx_count(nx_select(f->db, Post), NULL);
    CHECK(nx_op_cancel(f->loop, op));
    nx_completion c = nx_await(f->loop, op);
    cr_expect(c.status == NX_ECANCELED || c.status == NX_OK, "%s", nx_status_name(c.status));
    cr_expect_eq(nx_in_flight(f->loop), 0U);
}

/* A query that would run for minutes. */
static const char endless[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT COUNT(*) FROM n";

CASE(control, cancel_of_a_running_statement)
{
    nx_op op = nx_select_raw(f->db, endless, nx_no_args, NULL);
    CHECK(nx_submit(f->loop));
    CHECK(nx_run_once(f->loop, 20));
    CHECK(nx_op_cancel(f->loop, op));
    FAILS(f, op, NX_ECANCELED);
    nxt_post(f, "goes on", 1, NULL);
}

CASE(control, cancelled_write_leaves_nothing)
{
    nx_op op = nx_execute(f->db,
                          "INSERT INTO slot (number, label) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
                          "i < 2000000000) SELECT i, 'x' FROM n",
                          nx_no_args, NULL);
    CHECK(nx_run_once(f->loop, 20));
    CHECK(nx_op_cancel(f->loop, op));
    FAILS(f, op, NX_ECANCELED);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 0);
}

CASE(control, cancel_race_always_ends_with_one_completion)
{
    int canceled = 0;
    nxt_posts(f, 50);
    for (int i = 0; i < 200; i++) {
        nx_op op = nx_fetch_all(nx_select(f->db, Post), NULL);
        for (int turn = 0; turn < i % 4; turn++)
            CHECK(nx_run_once(f->loop, 0));
        nx_status asked = nx_op_cancel(f->loop, op);
        cr_assert(asked == NX_OK || asked == NX_ESTALE);
        nx_completion c = nx_await(f->loop, op);
        cr_assert(c.status == NX_OK || c.status == NX_ECANCELED, "%s", nx_status_name(c.status));
        cr_assert_eq(c.count, c.status == NX_OK ? 50 : 0);
        canceled += c.status == NX_ECANCELED;
        nxt_seen(f, &c);
    }
    cr_expect_eq(nx_in_flight(f->loop), 0U);
    cr_expect_geq(canceled, 0);
}

CASE(control, deadline_of_an_operation)
{
    nx_op op = nx_select_raw(f->db, endless, nx_no_args, NULL);
    CHECK(nx_op_deadline(f->loop, op, 30));
    FAILS(f, op, NX_EDEADLINE);
    op = nx_fetch_all(nx_query_deadline(nx_select(f->db, Post), 60000), NULL);
    OK(f, op);
    nxt_post(f, "goes on", 1, NULL);
}

CASE(control, deadline_of_a_session)
{
    nx_session *s = nxt_session(f, &(nx_session_options){ .deadline_ms = 30 });
    FAILS(f, nx_session_select_raw(s, f->db, endless, nx_no_args, NULL), NX_EDEADLINE);
    nx_session_free(s);
    nxt_post(f, "goes on", 1, NULL);
}

CASE(control, deadline_that_is_never_reached)
{
    nx_op op = nx_count(nx_select(f->db, Post), NULL);
    CHECK(nx_op_deadline(f->loop, op, UINT32_MAX));
    OK(f, op);
}

CASE(control, close_waits_for_what_is_in_flight)
{
    enum { MANY = 100 };
    nx_op op[MANY];
    nxt_posts(f, 10);
    for (int i = 0; i < MANY; i++)
        op[i] = nx_count(nx_select(f->db, Post), NULL);
    OK(f, nx_close(f->db, NULL));
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(OK(f, op[i]).count, 10);
    cr_expect_not(nx_is_bound(f->db));
    FAILS(f, nx_count(nx_select(f->db, Post), NULL), NX_ECLOSED);
    f->db = nxt_database(f, 1, nxt_entities);
}

CASE(control, operations_on_a_closed_database)
{
    nx_session *s = nxt_session(f, NULL);
    Post *p = nx_make(f->db, Post);
    p->title = nx_str("post");
    OK(f, nx_close(f->db, NULL));
    FAILS(f, nx_save(f->db, p, NULL), NX_ECLOSED);
    FAILS(f, nx_insert(f->db, p, NULL), NX_ECLOSED);
    FAILS(f, nx_execute(f->db, "DELETE FROM post", nx_no_args, NULL), NX_ECLOSED);
    FAILS(f, nx_select_raw(f->db, "SELECT 1", nx_no_args, NULL), NX_ECLOSED);
    FAILS(f, nx_fetch_all(nx_select(s, Post), NULL), NX_ECLOSED);
    FAILS(f, nx_create_tables(f->db, NULL), NX_ECLOSED);
    nx_session_free(s);
    nx_db_free(f->db);
    f->db = nxt_database(f, 1, nxt_entities);
}

CASE(control, freeing_with_work_in_flight)
{
    nxt_posts(f, 100);
    nx_op op[20];
    for (int i = 0; i < 20; i++)
        op[i] = i % 2 == 0 ? nx_fetch_all(nx_select(f->db, Post), NULL) : nx_select_raw(f->db, endless, nx_no_args, NULL);
    CHECK(nx_submit(f->loop));
    nx_db_free(f->db);
    for (int i = 0; i < 20; i++) {
        nx_completion c = nx_await(f->loop, op[i]);
        cr_assert(c.status == NX_ECLOSED || (c.status == NX_OK && i % 2 == 0), "%d: %s", i, nx_status_name(c.status));
        nxt_seen(f, &c);
    }
    f->db = nxt_database(f, 1, nxt_entities);
}

CASE(control, session_freed_with_work_in_flight)
{
    for (int turns = 0; turns < 4; turns++) {
        nx_session *s = nxt_session(f, NULL);
        for (int i = 0; i < 50; i++) {
            Slot *slot = nx_new(s, Slot);
            slot->number = i;
            slot->label = nx_str("never");
        }
        nx_op flush = nx_flush(s, NULL), fetch = nx_fetch_all(nx_select(s, Post), NULL);
        for (int i = 0; i < turns; i++)
            CHECK(nx_run_once(f->loop, 0));
        nx_session_free(s);
        nx_completion c = nx_await(f->loop, flush);
        cr_expect(c.status == NX_OK || c.error != NULL);
        c = nx_await(f->loop, fetch);
        cr_expect(c.status == NX_OK || c.error != NULL);
        nxt_seen(f, &c);
        cr_expect_eq(nx_in_flight(f->loop), 0U);
        cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 0);
    }
}

CASE(control, query_freed_with_work_in_flight)
{
    nxt_posts(f, 10);
    nx_query *kept = nx_query_keep(nx_filter(nx_select(f->db, Post), nx_eq(Post_.draft, true)));
    nx_op op = nx_fetch_all(kept, NULL);
    CHECK(nx_submit(f->loop));
    nx_query_free(kept);
    cr_expect_eq(COUNT(f, op), 5);
}

CASE(control, loop_closed_with_everything_open)
{
    nxt_fixture g;
    nxt_open(&g, f->provider);
    g.db = nxt_database(&g, 0, nxt_entities);
    nx_session *s = nxt_session(&g, NULL);
    ((Post *)nx_new(s, Post))->title = nx_str("pending");
    (void)nx_flush(s, NULL);
    (void)nx_select(g.db, Post);
    (void)nx_query_keep(nx_select(g.db, Post));
    (void)nx_fetch_all(nx_select(g.db, Post), NULL);
    (void)nx_select_raw(g.db, endless, nx_no_args, NULL);
    (void)nx_stream(nx_select(g.db, Post), NULL, NULL);
    (void)nx_bulk_begin(g.db, &Slot_entity, NULL);
    CHECK(nx_submit(g.loop));
    nxt_close(&g);
}

/* A descriptor that nobody makes readable shows as a timeout of the test. */
CASE(control, inside_a_foreign_event_loop)
{
    nxt_posts(f, 10);
    int fd = nx_loop_fd(f->loop);
    cr_assert_geq(fd, 0);
    for (int i = 0; i < 50; i++) {
        int answered = 0;
        (void)nx_count(nx_select(f->db, Post), &answered);
        (void)nx_fetch_all(nx_select(f->db, Post), &answered);
        CHECK(nx_run_once(f->loop, 0));
        while (answered < 2) {
            nx_for_each_completion(f->loop, c)
            {
                cr_assert_eq(c->status, NX_OK);
                cr_assert_eq(c->count, 10);
                ++*(int *)c->tag;
            }
            if (answered == 2)
                break;
            struct pollfd readable = { .fd = fd, .events = POLLIN };
            cr_assert_eq(poll(&readable, 1, -1), 1);
            CHECK(nx_run_once(f->loop, 0));
        }
    }
}

CASE(control, run_once)
{
    CHECK(nx_run_once(f->loop, 0));
    CHECK(nx_run_once(f->loop, 1));
    (void)nx_count(nx_select(f->db, Post), NULL);
    for (int i = 0; i < 1000 && nx_peek(f->loop) == NULL; i++)
        CHECK(nx_run_once(f->loop, -1));
    cr_assert_not_null(nx_peek(f->loop));
    nx_seen(f->loop, nx_peek(f->loop));
}

CASE(control, limit_of_operations)
{
    nx_loop *loop;
    nx_bind_options options = { 0 };
    CHECK(nx_loop_open(&(nx_loop_options){ .ops_max = 8 }, &loop, NULL));
    nx_db *db = nx_db_new(loop, nxt_entities);
    f->provider->make(f, 1, &options);
    cr_assert_eq(nx_await(loop, nx_bind(db, f->provider->name, &options, NULL)).status, NX_OK);
    cr_assert_eq(nx_await(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL)).status, NX_OK);
    nx_op op[20];
    for (int i = 0; i < 20; i++)
        op[i] = nx_count(nx_select(db, Post), NULL);
    cr_expect_eq(nx_in_flight(loop), 8U);
    cr_expect_eq(nx_await(loop, op[19]).status, NX_ELIMIT, "the reason why it could not be queued");
    for (int i = 0; i < 8; i++)
        cr_assert_eq(nx_await(loop, op[i]).status, NX_OK);
    cr_expect_eq(nx_await(loop, nx_count(nx_select(db, Post), NULL)).status, NX_OK);
    nx_loop_close(loop);
}

CASE(control, bound_on_memory)
{
    nx_loop *loop;
    nx_bind_options options = { 0 };
    CHECK(nx_loop_open(&(nx_loop_options){ .memory_bytes_max = 64U << 20 }, &loop, NULL));
    nx_db *db = nx_db_new(loop, nxt_entities);
    f->provider->make(f, 1, &options);
    cr_assert_eq(nx_await(loop, nx_bind(db, f->provider->name, &options, NULL)).status, NX_OK);
    cr_assert_eq(nx_await(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL)).status, NX_OK);
    nx_completion c = nx_await(loop, nx_select_raw(db,
                                                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                                                   "3000000) SELECT i, 'some text that takes room' FROM n",
                                                   nx_no_args, NULL));
    cr_expect_eq(c.status, NX_ENOMEM, "%s", nx_status_name(c.status));
    c = nx_await(loop, nx_select_raw(db, "SELECT 1", nx_no_args, NULL));
    cr_expect_eq(c.status, NX_OK);
    nx_loop_close(loop);
}

CASE(control, steady_state_allocates_nothing_from_the_host)
{
    nxt_posts(f, 100);
    uint64_t before = 0;
    for (int i = 0; i < 400; i++) {
        if (i == 200)
            before = nx_loop_stats_get(f->loop).host_allocs;
        COUNT(f, nx_fetch_all(nx_filter(nx_select(f->db, Post), nx_gt(Post_.score, i % 100)), NULL));
        nx_session *s = nxt_session(f, NULL);
        Slot *slot = nx_new(s, Slot);
        slot->number = i;
        slot->label = nx_str("steady");
        nxt_end(f, s);
    }
    cr_expect_eq(nx_loop_stats_get(f->loop).host_allocs - before, 0U);
}
