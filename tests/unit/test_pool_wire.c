/*
 * test_pool_wire - pools of connections: growth, waiting, pinned transactions, loss, stopping and closing.
 *
 * On the scripted io; opener threads are real.
 */
#include "tests/support/wire_script.h"

#include <pthread.h>

Test(pool_wire, without_a_minimum_it_opens_at_once_and_connects_on_demand)
{
    nx_bind_options options = { .pool_max = 2 };

    open_scripted(&fake_wire_driver, &options);
    turn(0);
    cr_assert_eq(opened_calls, 1);
    cr_assert_eq(atomic_load(&fake_wire_opens), 0);
    submit(0);
    TURN_UNTIL(sent_on(FD) == 1);
    answer_on(FD, 0, false);
    turn(0);
    cr_assert_eq(done_count, 1u);
    cr_assert_eq(requests[0].status, NX_OK);
    end_scripted();
}

Test(pool_wire, the_minimum_is_connected_before_it_is_open)
{
    nx_bind_options options = { .pool_min = 3, .pool_max = 5 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    cr_assert_eq(opened_status, NX_OK);
    cr_assert_eq(atomic_load(&fake_wire_opens), 3);
    cr_assert_eq(nxi_pool_count(pool).lanes, 3u);
    end_scripted();
}

Test(pool_wire, one_that_cannot_connect_fails_the_opening)
{
    nx_bind_options options = { .pool_min = 3, .pool_max = 3 };

    atomic_store(&refuse_opens, 1);
    open_scripted(&fake_wire_driver, &options);
    submit(0);
    TURN_UNTIL(opened_calls == 1 && done_count == 1);
    cr_assert_eq(opened_status, NX_ECONNECT);
    cr_assert_eq(requests[0].status, NX_ECONNECT);
    nxi_pool_close(pool, on_closed, NULL);
    TURN_UNTIL(closed_calls == 1);
    end_scripted();
}

Test(pool_wire, a_minimum_above_the_maximum_is_refused)
{
    nx_bind_options options = { .pool_min = 3, .pool_max = 2 };
    nx_error error;

    open_core(fake_io_new(0, 4));
    cr_assert_eq(nxi_pool_open(core, &fake_wire_driver, &options, on_opened, NULL, &pool, &error), NX_EINVAL);
    pool = NULL;
    end_scripted();
}

Test(pool_wire, requests_pipeline_on_one_connection_and_spread_when_there_are_more)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .in_flight_max = 4 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    for (size_t i = 0; i < 6; i++)
        submit(i);
    turn(0);
    cr_assert_eq(sent_on(FD), 4u, "the window");
    cr_assert_eq(fake_io_fd(FD)->sends, 1u);
    cr_assert_eq(nxi_pool_count(pool).waiting, 2u);
    for (size_t i = 0; i < 4; i++)
        answer_on(FD, i, false);
    turn(0);
    turn(0);
    cr_assert_eq(sent_on(FD), 6u);
    answer_on(FD, 4, false);
    answer_on(FD, 5, false);
    turn(0);
    cr_assert_eq(done_count, 6u);
    for (size_t i = 0; i < 6; i++)
        cr_assert_eq(order[i], i);
    end_scripted();
}

Test(pool_wire, a_transaction_has_its_connection_for_itself)
{
    nx_bind_options options = { .pool_min = 2, .pool_max = 2 };
    int pinned, other;

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    nxi_pool_submit(pool, make_in(0, 7, NXI_BEGIN_WRITE, NXI_END_NONE));
    turn(0);
    pinned = sent_on(FD) == 1 ? FD : FD + 1;
    other = pinned == FD ? FD + 1 : FD;
    answer_on(pinned, 0, true);
    turn(0);
    cr_assert_eq(done_count, 1u);
    for (size_t i = 1; i < 5; i++)
        submit(i);
    nxi_pool_submit(pool, make_in(5, 7, NXI_BEGIN_NONE, NXI_END_NONE));
    nxi_pool_submit(pool, make_in(6, 7, NXI_BEGIN_NONE, NXI_END_COMMIT));
    turn(0);
    cr_assert_eq(sent_on(pinned), 3u);
    cr_assert_eq(sent_on(other), 4u);
    answer_on(pinned, 1, true);
    answer_on(pinned, 2, false);
    turn(0);
    cr_assert_eq(requests[6].outcome, NX_OUTCOME_COMMITTED);
    submit(7);
    turn(0);
    cr_assert_eq(sent_on(pinned), 4u, "it is back in the pool, with nothing to do");
    end_scripted();
}

Test(pool_wire, who_waits_is_served_in_order)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    nxi_pool_submit(pool, make_in(0, 1, NXI_BEGIN_WRITE, NXI_END_NONE));
    nxi_pool_submit(pool, make_in(1, 2, NXI_BEGIN_WRITE, NXI_END_COMMIT));
    submit(2);
    nxi_pool_submit(pool, make_in(3, 3, NXI_BEGIN_WRITE, NXI_END_COMMIT));
    turn(0);
    cr_assert_eq(sent_on(FD), 1u);
    cr_assert_eq(nxi_pool_count(pool).waiting, 3u);
    answer_on(FD, 0, true);
    turn(0);
    nxi_pool_submit(pool, make_in(4, 1, NXI_BEGIN_NONE, NXI_END_ROLLBACK)); /* overtakes those that wait for its end */
    turn(0);
    answer_on(FD, 1, false);
    for (size_t at = 2; at < 5; at++) {
        turn(0);
        turn(0);
        cr_assert_gt(sent_on(FD), at);
        answer_on(FD, at, false);
    }
    turn(0);
    cr_assert_eq(done_count, 5u);
    cr_assert(order[2] == 1 && order[3] == 2 && order[4] == 3);
    end_scripted();
}

Test(pool_wire, waiting_ends_after_the_pool_timeout_or_the_deadline)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .pool_timeout_ms = 100 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    nxi_pool_submit(pool, make_in(0, 1, NXI_BEGIN_WRITE, NXI_END_NONE));
    nxi_pool_submit(pool, make_in(1, 2, NXI_BEGIN_WRITE, NXI_END_NONE));
    nxi_pool_submit(pool, make_in(2, 2, NXI_BEGIN_NONE, NXI_END_COMMIT)); /* behind a beginning that never happens */
    make(3, 0)->deadline_ns = 1050 * MS;
    nxi_pool_submit(pool, &requests[3]);
    turn(0);
    fake_io_advance(30 * MS);
    submit(4);
    turn(INT64_MAX);
    cr_assert_eq(requests[3].status, NX_EDEADLINE);
    cr_assert_eq(done_count, 1u);
    turn(INT64_MAX);
    cr_assert_eq(requests[1].status, NX_EPOOLTIMEOUT);
    cr_assert_eq(requests[2].status, NX_EABORTED);
    cr_assert_eq(done_count, 3u);
    turn(INT64_MAX);
    cr_assert_eq(requests[4].status, NX_EPOOLTIMEOUT);
    cr_assert_eq(fake_io_last_wait(), 30 * MS);
    end_scripted();
}

Test(pool_wire, a_lost_connection_ends_its_transaction_and_is_replaced)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    nxi_pool_submit(pool, make_in(0, 1, NXI_BEGIN_WRITE, NXI_END_NONE));
    turn(0);
    answer_on(FD, 0, true);
    turn(0);
    nxi_pool_submit(pool, make_in(1, 1, NXI_BEGIN_NONE, NXI_END_COMMIT));
    submit(2); /* waits */
    turn(0);
    fake_io_end(FD);
    turn(0);
    cr_assert_eq(requests[1].status, NX_ELOST);
    cr_assert_eq(requests[1].outcome, NX_OUTCOME_UNKNOWN);
    nxi_pool_submit(pool, make_in(3, 1, NXI_BEGIN_NONE, NXI_END_ROLLBACK));
    turn(0);
    cr_assert_eq(requests[3].status, NX_OK, "what it was to do has happened");
    cr_assert_eq(requests[3].outcome, NX_OUTCOME_ROLLED_BACK);
    TURN_UNTIL(sent_on(FD + 1) == 1);
    answer_on(FD + 1, 0, false);
    turn(0);
    cr_assert_eq(requests[2].status, NX_OK);
    end_scripted();
}

Test(pool_wire, a_commit_that_is_stopped_behind_others_rolls_back)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .in_flight_max = 1 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    nxi_pool_submit(pool, make_in(0, 1, NXI_BEGIN_WRITE, NXI_END_NONE));
    nxi_pool_submit(pool, make_in(1, 1, NXI_BEGIN_NONE, NXI_END_COMMIT)); /* in the backlog */
    submit(2);                                                            /* waits for the connection */
    turn(0);
    nxi_pool_stop(pool, &requests[1], NX_ECANCELED);
    turn(0);
    cr_assert_eq(done_count, 0u);
    answer_on(FD, 0, true);
    turn(0);
    turn(0);
    cr_assert_eq(sent_on(FD), 2u);
    cr_assert_eq(flags_on(FD, 1), FAKE_WIRE_ROLLBACK);
    answer_on(FD, 1, false);
    turn(0);
    cr_assert_eq(requests[1].status, NX_ECANCELED);
    cr_assert_eq(requests[1].outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_not(requests[1].in_transaction);
    TURN_UNTIL(sent_on(FD) == 3);
    answer_on(FD, 2, false);
    turn(0);
    cr_assert_eq(requests[2].status, NX_OK, "on the same connection");
    end_scripted();
}

Test(pool_wire, an_idle_transaction_on_a_lost_connection_is_told_at_its_next_request)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    nxi_pool_submit(pool, make_in(0, 1, NXI_BEGIN_WRITE, NXI_END_NONE));
    turn(0);
    answer_on(FD, 0, true);
    turn(0);
    fake_io_end(FD);
    turn(0);
    turn(0);
    nxi_pool_submit(pool, make_in(1, 1, NXI_BEGIN_NONE, NXI_END_COMMIT));
    turn(0);
    cr_assert_eq(requests[1].status, NX_ELOST);
    cr_assert_eq(requests[1].outcome, NX_OUTCOME_ROLLED_BACK);
    end_scripted();
}

Test(pool_wire, a_connection_that_is_not_clean_is_closed)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    submit(0);
    turn(0);
    answer_on(FD, 0, true); /* a transaction that nobody began */
    turn(0);
    cr_assert_eq(requests[0].status, NX_OK);
    turn(0);
    cr_assert(fake_io_fd(FD)->was_shut);
    TURN_UNTIL(nxi_pool_count(pool).lanes == 1 && atomic_load(&fake_wire_opens) == 2);
    end_scripted();
}

Test(pool_wire, a_server_that_is_gone_is_not_hammered)
{
    nx_bind_options options = { .pool_max = 4 };
    int before;

    open_scripted(&fake_wire_driver, &options);
    turn(0);
    atomic_store(&refuse_opens, 1000);
    submit(0);
    TURN_UNTIL(done_count == 1);
    cr_assert_eq(requests[0].status, NX_ECONNECT);
    before = atomic_load(&fake_wire_opens);
    for (size_t i = 1; i < 10; i++)
        submit(i);
    for (int i = 0; i < 100; i++)
        turn(0);
    cr_assert_eq(atomic_load(&fake_wire_opens), before, "nobody tries before the time has come");
    fake_io_advance(60 * MS);
    TURN_UNTIL(done_count == 10);
    cr_assert_eq(atomic_load(&fake_wire_opens), before + 1, "one alone tries");
    atomic_store(&refuse_opens, 0);
    for (size_t i = 1; i < 10; i++)
        submit(i);
    turn(0);
    fake_io_advance(120 * MS); /* twice the time */
    TURN_UNTIL(sent_on(FD) == 9);
    for (size_t i = 0; i < 9; i++)
        answer_on(FD, i, false);
    TURN_UNTIL(done_count == 19);
    cr_assert_eq(requests[9].status, NX_OK);
    end_scripted();
}

/* ------------------------------------------------------------------------------ stopping */

Test(pool_wire, stopping_works_wherever_a_request_is)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .in_flight_max = 2 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    nxi_pool_submit(pool, make_in(0, 1, NXI_BEGIN_WRITE, NXI_END_NONE));
    for (size_t i = 1; i < 5; i++)
        nxi_pool_submit(pool, make_in(i, 1, NXI_BEGIN_NONE, NXI_END_NONE)); /* 2 in flight, 3 in the backlog */
    submit(5);                                                              /* waits */
    turn(0);
    nxi_pool_stop(pool, &requests[3], NX_ECANCELED);
    nxi_pool_stop(pool, &requests[5], NX_EDEADLINE);
    nxi_pool_stop(pool, &requests[1], NX_EDEADLINE);
    cr_assert_eq(done_count, 0u);
    turn(0);
    cr_assert_eq(done_count, 3u);
    cr_assert_eq(requests[3].status, NX_ECANCELED);
    cr_assert(requests[3].in_transaction);
    cr_assert_eq(requests[5].status, NX_EDEADLINE);
    cr_assert_eq(requests[1].status, NX_EDEADLINE);
    answer_on(FD, 0, true);
    answer_on(FD, 1, true);
    turn(0);
    turn(0);
    cr_assert_eq(sent_on(FD), 4u);
    answer_on(FD, 2, true);
    answer_on(FD, 3, true);
    turn(0);
    cr_assert_eq(done_count, 6u);
    cr_assert_eq(atomic_load(&fake_wire_interrupts), 0, "somebody was waiting all the time");
    nxi_pool_submit(pool, make_in(6, 1, NXI_BEGIN_NONE, NXI_END_COMMIT));
    turn(0);
    answer_on(FD, 4, false);
    turn(0);
    cr_assert_eq(requests[6].status, NX_OK);
    end_scripted();
}

Test(pool_wire, a_driver_that_does_not_settle_loses_what_is_interrupted)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1 };

    open_scripted(&fake_wire_driver_hasty, &options);
    TURN_UNTIL(opened_calls == 1);
    atomic_store(&interrupt_gate, 0);
    submit(0);
    submit(1);
    turn(0);
    nxi_pool_stop(pool, &requests[0], NX_EDEADLINE);
    turn(0);
    cr_assert_eq(atomic_load(&fake_wire_interrupts), 0);
    nxi_pool_stop(pool, &requests[1], NX_EDEADLINE);
    submit(2);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    answer_on(FD, 0, false); /* answers that come during the interrupt reach nobody */
    answer_on(FD, 1, false);
    TURN_UNTIL(sent_on(FD + 1) == 1);
    cr_assert_eq(sent_on(FD), 2u);
    atomic_store(&interrupt_gate, 1);
    answer_on(FD + 1, 0, false);
    TURN_UNTIL(done_count == 3 && atomic_load(&fake_wire_closes) == 1);
    cr_assert_eq(requests[2].status, NX_OK);
    end_scripted();
}

static void *let_go(void *context)
{
    nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    atomic_store(&interrupt_gate, 1);
    return context;
}

Test(pool_wire, freeing_during_an_interrupt_waits_for_it)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1 };
    pthread_t thread;

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    submit(0);
    turn(0);
    atomic_store(&interrupt_gate, 0);
    nxi_pool_stop(pool, &requests[0], NX_ECANCELED);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    cr_assert_eq(pthread_create(&thread, NULL, let_go, NULL), 0);
    end_scripted();
    cr_assert_eq(atomic_load(&interrupt_gate), 1);
    pthread_join(thread, NULL);
    cr_assert_eq(done_count, 1u);
}

/* ------------------------------------------------------------------------------ closing */

Test(pool_wire, closing_finishes_what_is_submitted)
{
    nx_bind_options options = { .pool_min = 2, .pool_max = 2 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    submit(0);
    turn(0);
    nxi_pool_close(pool, on_closed, NULL);
    submit(1);
    turn(0);
    turn(0);
    cr_assert_eq(requests[1].status, NX_ECLOSED);
    cr_assert_eq(closed_calls, 0);
    answer_on(sent_on(FD) == 1 ? FD : FD + 1, 0, false);
    TURN_UNTIL(closed_calls == 1);
    cr_assert_eq(requests[0].status, NX_OK);
    cr_assert_eq(atomic_load(&fake_wire_closes), 2);
    end_scripted();
}

/* Free at every awkward moment. */
Test(pool_wire, freeing_finishes_everything_at_once)
{
    for (int moment = 0; moment < 6; moment++) {
        nx_bind_options options = { .pool_min = 1, .pool_max = 2, .in_flight_max = 2 };

        atomic_store(&next_fd, FD);
        opened_calls = 0;
        done_count = 0;
        atomic_store(&open_gate, moment != 0);
        open_scripted(&fake_wire_driver, &options);
        if (moment == 0)
            atomic_store(&open_gate, 1);
        else
            TURN_UNTIL(opened_calls == 1);
        for (size_t i = 0; i < 8; i++)
            nxi_pool_submit(pool, i % 2 == 0 ? make(i, 0) : make_in(i, 10 + i, NXI_BEGIN_WRITE, NXI_END_NONE));
        if (moment >= 2)
            turn(0);
        if (moment == 3) {
            fake_io_fd(FD)->hold_sends = true;
            turn(0);
        }
        if (moment == 4)
            nxi_pool_stop(pool, &requests[0], NX_ECANCELED);
        if (moment == 5) {
            fake_io_end(FD);
            turn(0);
        }
        end_scripted();
        cr_assert_eq(done_count, 8u, "at moment %d", moment);
        for (size_t i = 0; i < 8; i++)
            cr_assert_neq(requests[i].status, NX_OK);
    }
}

Test(pool_wire, opening_survives_want_of_memory)
{
    nx_bind_options options = { .pool_min = 2, .pool_max = 2 };
    nx_status status = NX_ENOMEM;
    nx_error error;
    uint64_t n;

    script_hooks();
    open_core(fake_io_new(1000 * MS, 16));
    for (n = 1; status != NX_OK; n++) {
        opened_calls = 0;
        atomic_store(&next_fd, FD);
        nxi_memory_fail(n, false);
        status = nxi_pool_open(core, &fake_wire_driver, &options, on_opened, NULL, &pool, &error);
        if (status == NX_OK) {
            TURN_UNTIL(opened_calls == 1);
            status = opened_status;
            nxi_memory_fail(0, false);
            nxi_pool_free(pool);
            for (int fd = FD; fd < FD + 8; fd++)
                *fake_io_fd(fd) = (fake_fd){ 0 };
        }
        nxi_memory_fail(0, false);
        cr_assert(status == NX_OK || status == NX_ENOMEM || status == NX_ELIMIT, "%s", nx_status_name(status));
    }
    cr_assert_gt(n, 5u);
    pool = NULL;
    end_scripted();
}
