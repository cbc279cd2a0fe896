/*
 * streams - many completions, bounded memory, credit, an early end.
 */
#include "cases.h"

/* Read to the end; returns the rows seen and the number of completions. */
static int64_t drain(nxt_fixture *f, nx_op op, int *ret_batches, nx_status expected)
{
    int64_t rows = 0;
    *ret_batches = 0;
    for (;;) {
        nx_completion c = nx_await(f->loop, op);
        bool more = (c.flags & NX_MORE) != 0;
        rows += c.rows == NULL ? 0 : c.count;
        ++*ret_batches;
        if (!more)
            cr_assert_eq(c.status, expected, "%s: %s", nx_status_name(c.status), c.error == NULL ? "" : c.error->message);
        else
            cr_assert_eq(c.status, NX_OK);
        nxt_seen(f, &c);
        if (!more)
            return rows;
    }
}

CASE(streams, all_rows_in_order)
{
    nxt_posts(f, 5000);
    nx_op op = nx_stream(nx_order_by(nx_select(f->db, Post), nx_asc(Post_.score)), &(nx_stream_options){.batch_rows = 100}, NULL);
    int64_t next = 0;
    int batches = 0;
    for (bool more = true; more; batches++) {
        nx_completion c = nx_await(f->loop, op);
        cr_assert_eq(c.status, NX_OK);
        cr_assert_leq(c.count, 100);
        for (int64_t i = 0; i < c.count; i++)
            cr_assert_eq(((Post *)c.rows[i])->score.value, next++);
        more = (c.flags & NX_MORE) != 0;
        nxt_seen(f, &c);
    }
    cr_expect_eq(next, 5000);
    cr_expect_geq(batches, 50);
}

CASE(streams, empty_one_is_one_completion)
{
    int batches;
    cr_expect_eq(drain(f, nx_stream(nx_select(f->db, Post), NULL, NULL), &batches, NX_OK), 0);
    cr_expect_eq(batches, 1);
}

CASE(streams, a_limit_holds)
{
    int batches;
    nxt_posts(f, 500);
    cr_expect_eq(
        drain(f, nx_stream(nx_limit(nx_select(f->db, Post), 123), &(nx_stream_options){.batch_rows = 50}, NULL), &batches, NX_OK),
        123);
}

CASE(streams, credit_pauses_the_source_and_nobody_else)
{
    nxt_posts(f, 20000);
    nx_op op = nx_stream(nx_select(f->db, Post), &(nx_stream_options){ .batch_rows = 64, .credit_bytes = 1 }, NULL);
    nx_completion first = nx_await(f->loop, op);
    cr_assert_eq(first.status, NX_OK);
    cr_assert(first.flags & NX_MORE);
    /* Many turns with the first batch held: nothing piles up, other operations go on, writes included. */
    for (int i = 0; i < 20; i++)
        cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 20000);
    nxt_post(f, "written while a stream is paused", 1, NULL);
    size_t ready = 0;
    CHECK(nx_wait_many(f->loop, 1, 20, &ready));
    cr_expect_leq(ready, 1U, "%d batches wait although one was given credit", (int)ready);
    nxt_seen(f, &first);
    int batches;
    cr_expect_geq(drain(f, op, &batches, NX_OK), 20000 - 64);
}

CASE(streams, memory_is_bounded)
{
    nxt_posts(f, 50000);
    nx_op op = nx_stream(nx_select(f->db, Post), &(nx_stream_options){ .batch_rows = 500, .credit_bytes = 1 << 18 }, NULL);
    uint64_t start = 0, most = 0;
    for (bool more = true; more;) {
        nx_completion c = nx_await(f->loop, op);
        cr_assert_eq(c.status, NX_OK);
        more = (c.flags & NX_MORE) != 0;
        nxt_seen(f, &c);
        uint64_t held = nx_loop_stats_get(f->loop).host_bytes;
        start = start == 0 ? held : start;
        most = held > most ? held : most;
    }
    cr_expect_lt(most - start, UINT64_C(8) << 20, "%d bytes more were held", (int)(most - start));
}

CASE(streams, cancel_ends_it)
{
    int batches;
    nxt_posts(f, 20000);
    nx_op op = nx_stream(nx_select(f->db, Post), &(nx_stream_options){ .batch_rows = 10, .credit_bytes = 1 }, NULL);
    nx_completion c = nx_await(f->loop, op);
    cr_assert(c.flags & NX_MORE);
    nxt_seen(f, &c);
    CHECK(nx_op_cancel(f->loop, op));
    cr_expect_lt(drain(f, op, &batches, NX_ECANCELED), 20000);
    cr_expect_eq(nx_op_cancel(f->loop, op), NX_ESTALE);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 20000);
}

CASE(streams, two_at_once)
{
    int batches;
    nxt_posts(f, 3000);
    nx_op a = nx_stream(nx_select(f->db, Post), &(nx_stream_options){ .batch_rows = 100 }, NULL);
    nx_op b =
        nx_stream(nx_filter(nx_select(f->db, Post), nx_lt(Post_.score, 1000)), &(nx_stream_options){.batch_rows = 70}, NULL);
    cr_expect_eq(drain(f, b, &batches, NX_OK), 1000);
    cr_expect_eq(drain(f, a, &batches, NX_OK), 3000);
}

CASE(streams, in_a_session)
{
    nxt_posts(f, 1000);
    nx_session *s = nxt_session(f, NULL);
    Post *pending = nx_new(s, Post);
    pending->title = nx_str("pending");
    int batches;
    cr_expect_eq(drain(f, nx_stream(nx_select(s, Post), &(nx_stream_options){ .batch_rows = 100 }, NULL), &batches, NX_OK), 1001);
    cr_expect_null(nx_session_find(s, &Post_entity, nx_args(1)), "rows of a stream are not kept");
    nxt_end(f, s);
}

CASE(streams, wrong_query_fails_once)
{
    int batches;
    drain(f, nx_stream(nx_where(nx_select(f->db, Post), "no_such = 1", nx_no_args), NULL, NULL), &batches, NX_ENOFIELD);
    cr_expect_eq(batches, 1);
}

CASE(streams, left_open_at_the_end)
{
    nxt_posts(f, 5000);
    nx_op op = nx_stream(nx_select(f->db, Post), &(nx_stream_options){ .batch_rows = 10, .credit_bytes = 1 }, NULL);
    nx_completion c = nx_await(f->loop, op);
    cr_expect(c.flags & NX_MORE);
    /* Neither drained nor cancelled: the next database frees it. */
    nx_db_free(f->db);
    f->db = nxt_database(f, 1, nxt_entities);
}
