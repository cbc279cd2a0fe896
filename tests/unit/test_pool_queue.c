/*
 * test_pool_queue - those that wait for a connection, and how one is had again when the server was gone.
 *
 * On the scripted io; opener threads are real, so a test waits for what they did before it moves the clock.
 */
#include "engine/pool_lane.h"
#include "tests/support/wire_script.h"

#include <sched.h>

static nxi_wires *all(void)
{
    return nxi_wires_of(pool);
}

static void open_with(const nx_bind_options *options)
{
    open_scripted(&fake_wire_driver, options);
    TURN_UNTIL(opened_calls == 1);
}

static void turns(int count)
{
    while (count-- > 0)
        turn(0);
}

static bool mentions(const nxi_request *request, const char *word)
{
    return strstr(request->error->message, word) != NULL;
}

/* ------------------------------------------------------------------------------ bounds and kinds of errors */

Test(pool_queue, more_than_may_wait_are_refused_at_once)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .in_flight_max = 1, .waiters_max = 3 };

    open_with(&options);
    for (size_t i = 0; i < 6; i++)
        submit(i);
    nxi_pool_submit(pool, make_in(6, 7, NXI_BEGIN_WRITE, NXI_END_NONE));
    nxi_pool_submit(pool, make_in(7, 7, NXI_BEGIN_NONE, NXI_END_COMMIT)); /* of a transaction that is refused */
    turn(0);
    cr_assert_eq(done_count, 4u);
    for (size_t i = 4; i < 7; i++) {
        cr_assert_eq(requests[i].status, NX_EQUEUEFULL);
        cr_assert(mentions(&requests[i], "waiters_max"), "%s", requests[i].error->message);
    }
    cr_assert_eq(requests[7].status, NX_ELOST);
    cr_assert_eq(pool->transactions.count, 0u);
    for (size_t at = 0; at < 4; at++) {
        answer_on(FD, at, false);
        turns(2);
        cr_assert_eq(order[4 + at], at, "in order");
    }
    end_scripted();
}

Test(pool_queue, each_kind_of_refusal_says_what_to_change)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .pool_timeout_ms = 100 };

    open_with(&options);
    nxi_pool_submit(pool, make_in(0, 7, NXI_BEGIN_WRITE, NXI_END_NONE));
    submit(1);
    make(2, 0)->deadline_ns = 1050 * MS;
    nxi_pool_submit(pool, &requests[2]);
    turn(0);
    fake_io_advance(50 * MS);
    turn(0);
    cr_assert_eq(requests[2].status, NX_EDEADLINE);
    cr_assert(mentions(&requests[2], "deadline") && mentions(&requests[2], "pool_max"), "%s", requests[2].error->message);
    fake_io_advance(50 * MS);
    turn(0);
    cr_assert_eq(requests[1].status, NX_EPOOLTIMEOUT);
    cr_assert(mentions(&requests[1], "100 ms (pool_timeout_ms)") && mentions(&requests[1], "1 of 1 (pool_max)"), "%s",
              requests[1].error->message);
    end_scripted();
}

Test(pool_queue, nobody_starves)
{
    enum { CLIENTS = 100, LANES = 4 };
    nx_bind_options options = { .pool_min = LANES, .pool_max = LANES };
    size_t answered[LANES] = { 0 };

    open_with(&options);
    for (size_t i = 0; i < CLIENTS; i++)
        nxi_pool_submit(pool, make_in(i, i + 1, NXI_BEGIN_WRITE, NXI_END_COMMIT));
    while (done_count < CLIENTS) {
        turn(0);
        for (int lane = 0; lane < LANES; lane++)
            while (answered[lane] < sent_on(FD + lane))
                answer_on(FD + lane, answered[lane]++, false);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        cr_assert_eq(requests[i].status, NX_OK);
        cr_assert(order[i] < i + LANES && i < order[i] + LANES, "request %zu came as number %zu", order[i], i);
    }
    end_scripted();
}

/* ------------------------------------------------------------------------------ a server that is gone */

static void lose_all(int count)
{
    for (int fd = FD; fd < FD + count; fd++)
        fake_io_end(fd);
    turn(0);
}

Test(pool_queue, who_waits_for_a_server_that_comes_back_does_not_notice)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .pool_timeout_ms = 1000 };

    open_with(&options);
    atomic_store(&refuse_opens, 3);
    lose_all(1);
    submit(0);
    for (int step = 0; step < 100 && sent_on(FD + 1) == 0; step++) {
        turns(2);
        TURN_UNTIL(all()->connecting == 0);
        fake_io_advance(10 * MS);
    }
    TURN_UNTIL(sent_on(FD + 1) == 1);
    answer_on(FD + 1, 0, false);
    turn(0);
    cr_assert_eq(requests[0].status, NX_OK);
    cr_assert_eq(atomic_load(&refuse_opens), 0);
    end_scripted();
}

Test(pool_queue, who_waits_for_one_that_does_not_is_told_why)
{
    nx_bind_options options = { .pool_max = 1, .pool_timeout_ms = 1000 };

    open_with(&options);
    submit(0);
    TURN_UNTIL(sent_on(FD) == 1);
    answer_on(FD, 0, false);
    turn(0);
    atomic_store(&refuse_opens, 1000);
    lose_all(1);
    submit(1);
    for (int step = 0; step < 99; step++) {
        turns(2);
        TURN_UNTIL(all()->connecting == 0);
        cr_assert_eq(done_count, 1u, "after %d ms", step * 10);
        fake_io_advance(10 * MS);
    }
    fake_io_advance(10 * MS);
    TURN_UNTIL(done_count == 2);
    cr_assert_eq(requests[1].status, NX_ECONNECT);
    cr_assert(mentions(&requests[1], "the fake server refuses") && mentions(&requests[1], "1000 ms: pool_timeout_ms"), "%s",
              requests[1].error->message);
    end_scripted();
}

Test(pool_queue, what_trying_again_cannot_mend_fails_at_once)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1 };
    int before;

    open_with(&options);
    atomic_store(&refuse_with, NX_EAUTH);
    atomic_store(&refuse_opens, 1);
    lose_all(1);
    submit(0);
    TURN_UNTIL(done_count == 1);
    cr_assert_eq(requests[0].status, NX_EAUTH);
    before = atomic_load(&fake_wire_opens);
    submit(1);
    turn(0);
    cr_assert_eq(requests[1].status, NX_EAUTH, "it does not wait for the next attempt");
    cr_assert_eq(atomic_load(&fake_wire_opens), before);
    fake_io_advance(50 * MS);
    submit(2);
    TURN_UNTIL(sent_on(FD + 1) == 1);
    answer_on(FD + 1, 0, false);
    turn(0);
    cr_assert_eq(requests[2].status, NX_OK);
    end_scripted();
}

/* 30 s of a server that refuses, in steps of 5 ms. */
Test(pool_queue, one_tries_alone_and_less_and_less_often)
{
    enum { ATTEMPTS_MAX = 20, STEP_MS = 5 };
    nx_bind_options options = { .pool_min = 4, .pool_max = 8, .pool_timeout_ms = 60000 };
    int64_t gap = 50, last = 0;
    int attempts = 0, seen;

    open_with(&options);
    seen = atomic_load(&fake_wire_opens);
    atomic_store(&refuse_opens, 1000000);
    lose_all(4);
    for (size_t i = 0; i < 100; i++)
        submit(i);
    for (int64_t ms = 0; ms < 30000; ms += STEP_MS) {
        turns(2);
        TURN_UNTIL(all()->connecting == 0);
        int opens = atomic_load(&fake_wire_opens);
        if (opens > seen) {
            cr_assert_eq(opens, seen + 1, "one alone");
            if (attempts > 0) {
                cr_assert(ms - last >= gap / 2 && ms - last <= gap + 2 * STEP_MS, "%d: %d ms instead of %d", attempts,
                          (int)(ms - last), (int)gap);
                gap = gap * 2 < 5000 ? gap * 2 : 5000;
            }
            last = ms;
            seen = opens;
            attempts++;
        }
        fake_io_advance(STEP_MS * MS);
    }
    cr_assert(attempts >= 9 && attempts <= ATTEMPTS_MAX, "%d attempts", attempts);
    cr_assert_eq(done_count, 0u, "they wait");
    end_scripted();
}

/* Let those go that are at the gate, and no others. */
static void let_through(void)
{
    atomic_store(&open_gate, 1);
    while (atomic_load(&opening) > 0)
        sched_yield();
    atomic_store(&open_gate, 0);
}

Test(pool_queue, after_an_outage_they_come_back_doubling)
{
    nx_bind_options options = { .pool_min = 8, .pool_max = 8, .in_flight_max = 1 };

    open_with(&options);
    atomic_store(&open_gate, 0);
    lose_all(8);
    for (size_t i = 0; i < 20; i++)
        submit(i);
    for (int expected = 1; expected <= 4; expected *= 2) {
        TURN_UNTIL(atomic_load(&opening) == expected);
        turns(50);
        cr_assert_eq(atomic_load(&opening), expected);
        cr_assert_eq(all()->connecting, (size_t)expected);
        let_through();
    }
    atomic_store(&open_gate, 1);
    TURN_UNTIL(nxi_pool_count(pool).lanes == 8);
    end_scripted();
}

/* ------------------------------------------------------------------------------ nothing is used up */

static void check_nothing_is_used(size_t lanes)
{
    cr_assert_eq(all()->permits, lanes);
    cr_assert_eq(all()->open, lanes);
    cr_assert_eq(all()->connecting, 0u);
    cr_assert_eq(all()->pinging, 0u);
    cr_assert_eq(all()->lane_count, lanes);
    cr_assert_eq(all()->waiting.count, 0u);
    cr_assert_eq(pool->transactions.count, 0u);
}

/* It lets us in and then says nothing: each connection is lost to the request that is given up on it. */
Test(pool_queue, a_silent_server_uses_up_no_permits, .timeout = 300)
{
    enum { CYCLES = 10000 };
    nx_bind_options options = { .pool_max = 2 };

    open_with(&options);
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        nxi_arena_reset(&arenas[0]);
        if (cycle % 2 == 0)
            make(0, 0);
        else
            make_in(0, (uint64_t)cycle, NXI_BEGIN_WRITE, NXI_END_NONE);
        nxi_pool_submit(pool, &requests[0]);
        TURN_UNTIL(sent_on(FD) == 1);
        nxi_pool_stop(pool, &requests[0], NX_EDEADLINE);
        turn(0);
        cr_assert_eq(done_counts[0], 1);
        if (cycle % 2 == 1) { /* the transaction's end waits for the connection, and is lost with it */
            nxi_arena_reset(&arenas[1]);
            nxi_pool_submit(pool, make_in(1, (uint64_t)cycle, NXI_BEGIN_NONE, NXI_END_ROLLBACK));
        }
        fake_io_advance(5001 * MS);
        TURN_UNTIL(all()->lane_count == 0);
        cr_assert_eq(atomic_load(&fake_wire_closes), atomic_load(&fake_wire_opens));
        check_nothing_is_used(0);
        cr_assert(cycle % 2 == 0 || requests[1].outcome == NX_OUTCOME_ROLLED_BACK);
        forget_fds();
    }
    end_scripted();
}

/* It does not even let us in. */
Test(pool_queue, an_opener_that_hangs_uses_up_no_permits)
{
    enum { CYCLES = 10000 };
    nx_bind_options options = { .pool_max = 2 };

    open_with(&options);
    atomic_store(&open_gate, 0);
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        nxi_arena_reset(&arenas[0]);
        if (cycle % 2 == 0)
            make(0, 0);
        else
            make_in(0, (uint64_t)cycle, NXI_BEGIN_WRITE, NXI_END_NONE);
        nxi_pool_submit(pool, &requests[0]);
        turn(0);
        nxi_pool_stop(pool, &requests[0], NX_ECANCELED);
        turn(0);
        cr_assert_eq(done_counts[0], 1);
        cr_assert_leq(all()->permits, 2u);
        cr_assert_eq(all()->permits, all()->connecting);
        cr_assert_eq(all()->waiting.count, 0u);
        cr_assert_eq(pool->transactions.count, 0u);
    }
    cr_assert_leq(atomic_load(&fake_wire_opens), 2);
    atomic_store(&open_gate, 1);
    submit(1);
    TURN_UNTIL(sent_on(FD) + sent_on(FD + 1) == 1 && all()->connecting == 0);
    check_nothing_is_used(all()->permits);
    end_scripted();
}
