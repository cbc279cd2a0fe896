/*
 * test_pool_care - connections that are interrupted, asked whether they live, too old, or lost while idle.
 *
 * On the scripted io; the threads of openers and interrupters are real.
 */
#include "engine/pool_lane.h"
#include "tests/support/wire_script.h"

static const nx_bind_options one = { .pool_min = 1, .pool_max = 1 };

static void open_one(const nxi_driver *driver)
{
    open_scripted(driver, &one);
    TURN_UNTIL(opened_calls == 1);
}

/* Submit a request, and give it up when it was sent. */
static void give_up_one(size_t i)
{
    submit(i);
    turn(0);
    nxi_pool_stop(pool, &requests[i], NX_EDEADLINE);
    turn(0);
    cr_assert_eq(requests[i].status, NX_EDEADLINE);
}

/* ------------------------------------------------------------------------------ interrupting */

Test(pool_care, an_interrupted_connection_comes_back_behind_a_barrier)
{
    open_one(&fake_wire_driver);
    atomic_store(&interrupt_gate, 0);
    submit(0);
    submit(1);
    turn(0);
    nxi_pool_stop(pool, &requests[0], NX_EDEADLINE);
    turn(0);
    cr_assert_eq(atomic_load(&fake_wire_interrupts), 0, "somebody waits");
    nxi_pool_stop(pool, &requests[1], NX_ECANCELED);
    submit(2);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    answer_on(FD, 0, false);
    answer_on(FD, 1, false);
    for (int i = 0; i < 20; i++)
        turn(0);
    cr_assert_eq(sent_on(FD), 2u, "nothing before the interrupt is over");
    atomic_store(&interrupt_gate, 1);
    TURN_UNTIL(sent_on(FD) == 3);
    cr_assert_eq(flags_on(FD, 2), FAKE_WIRE_BARRIER);
    for (int i = 0; i < 20; i++)
        turn(0);
    cr_assert_eq(sent_on(FD), 3u, "nothing before the barrier is answered");
    answer_on(FD, 2, false);
    TURN_UNTIL(sent_on(FD) == 4);
    answer_on(FD, 3, false);
    turn(0);
    cr_assert_eq(requests[2].status, NX_OK);
    cr_assert_eq(atomic_load(&fake_wire_opens), 1, "the connection was kept");
    end_scripted();
}

/* What was given up may hit at any time: with the last answer the connection goes, and the next request has another one. */
Test(pool_care, an_interrupt_that_was_given_up_costs_the_connection)
{
    open_one(&fake_wire_driver);
    atomic_store(&interrupt_gate, 0);
    give_up_one(0);
    submit(1);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    answer_on(FD, 0, false);
    turn(0);
    atomic_store(&interrupt_gate, -1);
    TURN_UNTIL(sent_on(FD + 1) == 1);
    cr_assert_eq(sent_on(FD), 1u);
    answer_on(FD + 1, 0, false);
    turn(0);
    cr_assert_eq(requests[1].status, NX_OK);
    atomic_store(&interrupt_gate, 1);
    end_scripted();
}

/* What runs was given up, and the others can be sent again: it is stopped at once, and they have all their time. */
Test(pool_care, others_that_are_spared_do_not_prevent_an_interrupt)
{
    open_one(&fake_wire_driver);
    fake_wire.spares = true;
    submit(0);
    submit(1);
    turn(0);
    nxi_pool_stop(pool, &requests[0], NX_EDEADLINE);
    submit(2);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    answer_on(FD, 0, false);
    for (int i = 0; i < 20; i++) {
        turn(0);
        fake_io_advance(1000 * MS);
    }
    cr_assert_not(fake_io_fd(FD)->was_shut, "what was not given up may take its time");
    cr_assert_eq(sent_on(FD), 2u, "nothing new before the barrier");
    answer_on(FD, 1, false);
    TURN_UNTIL(sent_on(FD) == 3);
    cr_assert_eq(requests[1].status, NX_OK);
    cr_assert_eq(flags_on(FD, 2), FAKE_WIRE_BARRIER);
    answer_on(FD, 2, false);
    TURN_UNTIL(sent_on(FD) == 4);
    answer_on(FD, 3, false);
    turn(0);
    cr_assert_eq(requests[2].status, NX_OK);
    cr_assert_eq(atomic_load(&fake_wire_opens), 1);
    end_scripted();
}

Test(pool_care, when_the_others_have_gone_the_rest_has_its_limit)
{
    open_one(&fake_wire_driver);
    fake_wire.spares = true;
    submit(0);
    submit(1);
    turn(0);
    nxi_pool_stop(pool, &requests[1], NX_EDEADLINE);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    fake_io_advance(20000 * MS);
    turn(0);
    cr_assert_not(fake_io_fd(FD)->was_shut);
    answer_on(FD, 0, false);
    turn(0);
    turn(0);
    fake_io_advance(5001 * MS);
    turn(0);
    cr_assert(fake_io_fd(FD)->was_shut);
    end_scripted();
}

/* The server is told when a connection is closed on which it is at something. */
Test(pool_care, work_that_is_left_behind_is_stopped)
{
    open_one(&fake_wire_driver);
    submit(0);
    turn(0);
    end_scripted();
    cr_assert_eq(atomic_load(&fake_wire_interrupts), 1);
}

Test(pool_care, an_idle_connection_is_closed_without_an_interrupt)
{
    open_one(&fake_wire_driver);
    submit(0);
    turn(0);
    answer_on(FD, 0, false);
    turn(0);
    end_scripted();
    cr_assert_eq(atomic_load(&fake_wire_interrupts), 0);
}

Test(pool_care, the_barrier_waits_for_all_answers)
{
    open_one(&fake_wire_driver);
    submit(0);
    give_up_one(1);
    nxi_pool_stop(pool, &requests[0], NX_ECANCELED);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    answer_on(FD, 0, false);
    for (int i = 0; i < 200; i++)
        turn(0);
    cr_assert_eq(sent_on(FD), 2u);
    answer_on(FD, 1, false);
    TURN_UNTIL(sent_on(FD) == 3);
    cr_assert_eq(flags_on(FD, 2), FAKE_WIRE_BARRIER);
    end_scripted();
}

static void begin_transaction(void)
{
    nxi_pool_submit(pool, make_in(0, 7, NXI_BEGIN_WRITE, NXI_END_NONE));
    turn(0);
    answer_on(FD, 0, true);
    turn(0);
    cr_assert_eq(done_count, 1u);
    nxi_pool_submit(pool, make_in(1, 7, NXI_BEGIN_NONE, NXI_END_NONE));
    turn(0);
    nxi_pool_stop(pool, &requests[1], NX_ECANCELED);
    turn(0);
    cr_assert_eq(requests[1].status, NX_ECANCELED);
    cr_assert(requests[1].in_transaction);
}

Test(pool_care, a_transaction_goes_on_after_an_interrupt)
{
    open_one(&fake_wire_driver);
    begin_transaction();
    nxi_pool_submit(pool, make_in(2, 7, NXI_BEGIN_NONE, NXI_END_ROLLBACK));
    submit(3); /* waits for the connection */
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    cr_assert_eq(sent_on(FD), 2u, "the rollback waits, too");
    answer_on(FD, 1, true);
    TURN_UNTIL(sent_on(FD) == 3);
    cr_assert_eq(flags_on(FD, 2), FAKE_WIRE_BARRIER);
    answer_on(FD, 2, true);
    TURN_UNTIL(sent_on(FD) == 4);
    cr_assert_eq(flags_on(FD, 3), FAKE_WIRE_ROLLBACK);
    answer_on(FD, 3, false);
    TURN_UNTIL(sent_on(FD) == 5);
    answer_on(FD, 4, false);
    turn(0);
    cr_assert_eq(done_count, 4u);
    cr_assert_eq(requests[3].status, NX_OK);
    cr_assert_eq(atomic_load(&fake_wire_opens), 1);
    end_scripted();
}

static void settle_rolled_back(void)
{
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    answer_on(FD, 1, false);
    TURN_UNTIL(sent_on(FD) == 3);
    answer_on(FD, 2, false);
    turn(0);
    turn(0);
}

Test(pool_care, what_waits_behind_a_transaction_that_is_gone_does_not_run)
{
    open_one(&fake_wire_driver);
    begin_transaction();
    nxi_pool_submit(pool, make_in(2, 7, NXI_BEGIN_NONE, NXI_END_NONE));
    nxi_pool_submit(pool, make_in(3, 7, NXI_BEGIN_NONE, NXI_END_ROLLBACK));
    settle_rolled_back();
    cr_assert_eq(done_count, 4u);
    cr_assert_eq(requests[2].status, NX_EABORTED);
    cr_assert_eq(requests[2].outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert(requests[2].error->retryable);
    cr_assert_not(requests[2].in_transaction);
    cr_assert_eq(requests[3].status, NX_OK, "that is what it wanted");
    cr_assert_eq(sent_on(FD), 3u);
    submit(4);
    turn(0);
    cr_assert_eq(sent_on(FD), 4u, "the connection is everybody's again");
    cr_assert_eq(nxi_wires_of(pool)->pool->transactions.count, 0u);
    end_scripted();
}

Test(pool_care, the_next_request_is_told_that_its_transaction_is_gone)
{
    for (int ending = 0; ending < 2; ending++) {
        script_reset();
        open_one(&fake_wire_driver);
        begin_transaction();
        settle_rolled_back();
        cr_assert_eq(done_count, 2u);
        submit(2);
        turn(0);
        cr_assert_eq(sent_on(FD), 4u, "the connection is everybody's again");
        nxi_pool_submit(pool, make_in(3, 7, NXI_BEGIN_NONE, ending == 0 ? NXI_END_COMMIT : NXI_END_ROLLBACK));
        turn(0);
        cr_assert_eq(requests[3].status, ending == 0 ? NX_EABORTED : NX_OK);
        cr_assert_eq(requests[3].outcome, NX_OUTCOME_ROLLED_BACK);
        cr_assert_eq(pool->transactions.count, 0u);
        nxi_pool_submit(pool, make_in(4, 7, NXI_BEGIN_NONE, NXI_END_NONE));
        turn(0);
        cr_assert_eq(requests[4].status, NX_ELOST, "it has been told");
        end_scripted();
    }
}

/* Its BEGIN was never sent: what follows must not run as if it were. */
Test(pool_care, a_beginning_that_was_not_sent_has_not_begun)
{
    open_one(&fake_wire_driver);
    nxi_pool_submit(pool, make_in(0, 7, NXI_BEGIN_WRITE, NXI_END_NONE));
    nxi_pool_stop(pool, &requests[0], NX_ECANCELED);
    turn(0);
    cr_assert_eq(requests[0].status, NX_ECANCELED);
    cr_assert_not(requests[0].in_transaction);
    cr_assert_eq(requests[0].outcome, NX_OUTCOME_ROLLED_BACK);
    nxi_pool_submit(pool, make_in(1, 7, NXI_BEGIN_NONE, NXI_END_NONE));
    turn(0);
    cr_assert_eq(requests[1].status, NX_ELOST);
    cr_assert_eq(sent_on(FD), 0u);
    submit(2);
    turn(0);
    cr_assert_eq(sent_on(FD), 1u);
    end_scripted();
}

/* Without an interrupt a transaction still waits until the answer to what was given up tells of it. */
Test(pool_care, a_driver_that_cannot_interrupt_waits_for_the_answer)
{
    open_one(&fake_wire_driver_patient);
    begin_transaction();
    nxi_pool_submit(pool, make_in(2, 7, NXI_BEGIN_NONE, NXI_END_NONE));
    turn(0);
    cr_assert_eq(sent_on(FD), 2u);
    answer_on(FD, 1, false);
    turn(0);
    turn(0);
    cr_assert_eq(requests[2].status, NX_EABORTED);
    submit(3);
    turn(0);
    cr_assert_eq(sent_on(FD), 3u);
    cr_assert_eq(atomic_load(&fake_wire_opens), 1);
    end_scripted();
}

Test(pool_care, a_commit_that_was_given_up_leaves_a_connection_to_get_back)
{
    open_one(&fake_wire_driver);
    nxi_pool_submit(pool, make_in(0, 7, NXI_BEGIN_WRITE, NXI_END_COMMIT));
    turn(0);
    nxi_pool_stop(pool, &requests[0], NX_EDEADLINE);
    turn(0);
    cr_assert_eq(requests[0].outcome, NX_OUTCOME_UNKNOWN);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    answer_on(FD, 0, false);
    TURN_UNTIL(sent_on(FD) == 2);
    answer_on(FD, 1, false);
    turn(0);
    submit(1);
    turn(0);
    cr_assert_eq(sent_on(FD), 3u);
    end_scripted();
}

Test(pool_care, a_transaction_that_nobody_has_is_ended_with_its_connection)
{
    open_one(&fake_wire_driver);
    nxi_pool_submit(pool, make_in(0, 7, NXI_BEGIN_WRITE, NXI_END_COMMIT));
    turn(0);
    nxi_pool_stop(pool, &requests[0], NX_EDEADLINE);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    answer_on(FD, 0, true);
    TURN_UNTIL(fake_io_fd(FD)->was_shut);
    TURN_UNTIL(atomic_load(&fake_wire_opens) == 2 && nxi_pool_count(pool).lanes == 1);
    end_scripted();
}

/* The server never answers: neither the answer nor the barrier. */
static void lost_in_time(bool answered)
{
    open_one(&fake_wire_driver);
    give_up_one(0);
    submit(1);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    if (answered) {
        answer_on(FD, 0, false);
        TURN_UNTIL(sent_on(FD) == 2);
    }
    fake_io_advance(4999 * MS);
    turn(0);
    cr_assert_not(fake_io_fd(FD)->was_shut);
    fake_io_advance(2 * MS);
    turn(0);
    cr_assert(fake_io_fd(FD)->was_shut);
    TURN_UNTIL(sent_on(FD + 1) == 1);
    answer_on(FD + 1, 0, false);
    turn(0);
    cr_assert_eq(requests[1].status, NX_OK, "who waited has another one");
    cr_assert_eq(nxi_wires_of(pool)->permits, 1u);
    end_scripted();
}
Test(pool_care, what_is_not_answered_in_time_is_closed)
{
    lost_in_time(false);
}
Test(pool_care, a_barrier_that_is_not_answered_in_time_is_closed)
{
    lost_in_time(true);
}

Test(pool_care, an_interrupt_that_hangs_holds_up_nobody)
{
    open_one(&fake_wire_driver);
    atomic_store(&interrupt_gate, 0);
    give_up_one(0);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    fake_io_advance(5001 * MS);
    submit(1);
    TURN_UNTIL(sent_on(FD + 1) == 1);
    cr_assert_eq(atomic_load(&fake_wire_closes), 0, "the driver's state is in use");
    atomic_store(&interrupt_gate, 1);
    TURN_UNTIL(atomic_load(&fake_wire_closes) == 1);
    end_scripted();
}

Test(pool_care, an_interrupt_that_comes_too_late_is_not_sent)
{
    nx_bind_options options = { .pool_min = 3, .pool_max = 3 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    atomic_store(&interrupt_gate, 0);
    for (size_t i = 0; i < 3; i++)
        submit(i);
    turn(0);
    for (size_t i = 0; i < 3; i++)
        nxi_pool_stop(pool, &requests[i], NX_ECANCELED);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 2); /* the third waits for a thread */
    for (int fd = FD; fd < FD + 3; fd++)
        answer_on(fd, 0, false);
    turn(0);
    atomic_store(&interrupt_gate, 1);
    TURN_UNTIL(sent_on(FD) == 2 && sent_on(FD + 1) == 2 && sent_on(FD + 2) == 2);
    cr_assert_eq(atomic_load(&fake_wire_interrupts), 2);
    end_scripted();
}

Test(pool_care, a_connection_lost_during_an_interrupt_is_closed_after_it)
{
    open_one(&fake_wire_driver);
    atomic_store(&interrupt_gate, 0);
    give_up_one(0);
    TURN_UNTIL(atomic_load(&fake_wire_interrupts) == 1);
    fake_io_end(FD);
    TURN_UNTIL(nxi_pool_count(pool).lanes == 1);
    cr_assert_eq(atomic_load(&fake_wire_closes), 0);
    atomic_store(&interrupt_gate, 1);
    TURN_UNTIL(atomic_load(&fake_wire_closes) == 1);
    end_scripted();
}

/* ------------------------------------------------------------------------------ asking */

Test(pool_care, a_connection_that_was_idle_for_long_is_asked_first)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .idle_check_ms = 1000 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    fake_io_advance(999 * MS);
    submit(0);
    turn(0);
    cr_assert_eq(flags_on(FD, 0), 0, "not yet");
    answer_on(FD, 0, false);
    turn(0);
    fake_io_advance(1000 * MS);
    submit(1);
    submit(2);
    turn(0);
    cr_assert_eq(sent_on(FD), 2u);
    cr_assert_eq(flags_on(FD, 1), FAKE_WIRE_PING);
    answer_on(FD, 1, false);
    turn(0);
    turn(0);
    cr_assert_eq(sent_on(FD), 4u);
    answer_on(FD, 2, false);
    answer_on(FD, 3, false);
    turn(0);
    cr_assert(order[1] == 1 && order[2] == 2);
    cr_assert_eq(atomic_load(&fake_wire_opens), 1);
    end_scripted();
}

/* Either the server says that it is gone, or nothing at all. */
static void dead(bool silent)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 2, .idle_check_ms = 1000 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    fake_io_advance(1000 * MS);
    submit(0);
    turn(0);
    cr_assert_eq(flags_on(FD, 0), FAKE_WIRE_PING);
    cr_assert_eq(atomic_load(&fake_wire_opens), 1, "the answer is waited for");
    if (silent)
        fake_io_advance(5000 * MS);
    else
        fake_io_end(FD);
    TURN_UNTIL(sent_on(FD + 1) == 1);
    cr_assert_eq(sent_on(FD), 1u, "nothing but the ping");
    cr_assert_eq(flags_on(FD + 1, 0), 0);
    answer_on(FD + 1, 0, false);
    turn(0);
    cr_assert_eq(requests[0].status, NX_OK);
    TURN_UNTIL(atomic_load(&fake_wire_closes) == 1);
    end_scripted();
}
Test(pool_care, a_dead_one_is_replaced_and_nobody_notices)
{
    dead(false);
}
Test(pool_care, a_silent_one_is_replaced_and_nobody_notices)
{
    dead(true);
}

Test(pool_care, after_one_dead_connection_all_idle_ones_are_asked)
{
    nx_bind_options options = { .pool_min = 4, .pool_max = 4, .idle_check_ms = 1000 };
    size_t asked = 0;

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    fake_io_advance(1000 * MS);
    submit(0);
    turn(0);
    for (int fd = FD; fd < FD + 4; fd++)
        asked += sent_on(fd);
    cr_assert_eq(asked, 1u);
    atomic_store(&open_gate, 0); /* its replacement takes time */
    fake_io_advance(5000 * MS);
    turn(0);
    turn(0);
    asked = 0;
    for (int fd = FD; fd < FD + 4; fd++)
        asked += sent_on(fd);
    cr_assert_eq(asked, 4u);
    for (int fd = FD; fd < FD + 4; fd++) {
        if (fake_io_fd(fd)->was_shut)
            continue;
        answer_on(fd, 0, false);
        turn(0);
        turn(0);
        cr_assert_eq(sent_on(fd), 2u, "the first that answers serves");
        break;
    }
    atomic_store(&open_gate, 1);
    end_scripted();
}

Test(pool_care, who_would_have_to_share_has_an_idle_one_asked_for_the_next)
{
    nx_bind_options options = { .pool_min = 2, .pool_max = 2, .idle_check_ms = 1000 };
    int used, other;

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    fake_io_advance(900 * MS);
    submit(0);
    turn(0);
    used = sent_on(FD) == 1 ? FD : FD + 1;
    other = used == FD ? FD + 1 : FD;
    fake_io_advance(200 * MS);
    submit(1);
    turn(0);
    cr_assert_eq(sent_on(used), 2u, "it does not wait");
    cr_assert_eq(sent_on(other), 1u);
    cr_assert_eq(flags_on(other, 0), FAKE_WIRE_PING);
    answer_on(other, 0, false);
    turn(0);
    submit(2);
    turn(0);
    cr_assert_eq(sent_on(other), 2u);
    end_scripted();
}

Test(pool_care, nobody_is_asked_when_that_is_switched_off_or_unknown)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .idle_check_ms = UINT32_MAX, .lifetime_ms = UINT32_MAX };

    for (int plain = 0; plain < 2; plain++) {
        script_reset();
        options.idle_check_ms = plain ? 1 : UINT32_MAX;
        open_scripted(plain ? &fake_wire_driver_plain : &fake_wire_driver, &options);
        TURN_UNTIL(opened_calls == 1);
        fake_io_advance(INT64_C(100000000) * MS);
        submit(0);
        turn(0);
        cr_assert_eq(sent_on(FD), 1u);
        cr_assert_eq(flags_on(FD, 0), 0);
        end_scripted();
    }
}

/* ------------------------------------------------------------------------------ idle */

static void idle_trouble(bool bytes)
{
    open_one(&fake_wire_driver);
    if (bytes)
        fake_io_feed(FD, "HTTP/1.1 400 Bad", 16);
    else
        fake_io_end(FD);
    turn(0);
    cr_assert(fake_io_fd(FD)->was_shut, "at once");
    TURN_UNTIL(atomic_load(&fake_wire_opens) == 2 && nxi_pool_count(pool).lanes == 1); /* pool_min asks for it */
    end_scripted();
}
Test(pool_care, an_idle_connection_that_ends_is_replaced)
{
    idle_trouble(false);
}
Test(pool_care, an_idle_connection_that_talks_is_replaced)
{
    idle_trouble(true);
}

/* The application was away, and the end lies in the kernel when it comes back. */
Test(pool_care, a_connection_that_ended_while_nobody_looked_is_not_used)
{
    nx_bind_options options = { .pool_max = 1 };

    open_scripted(&fake_wire_driver, &options);
    submit(0);
    TURN_UNTIL(sent_on(FD) == 1);
    answer_on(FD, 0, false);
    turn(0);
    fake_io_advance(20 * MS);
    fake_io_end(FD);
    submit(1);
    cr_assert_eq(done_count, 1u, "never from within submit");
    TURN_UNTIL(sent_on(FD + 1) == 1);
    cr_assert_eq(sent_on(FD), 1u);
    answer_on(FD + 1, 0, false);
    turn(0);
    cr_assert_eq(requests[1].status, NX_OK);
    end_scripted();
}

/* ------------------------------------------------------------------------------ age */

Test(pool_care, old_connections_are_replaced_not_all_at_once)
{
    nx_bind_options options = { .pool_min = 8, .pool_max = 8, .lifetime_ms = 10000, .idle_check_ms = UINT32_MAX };
    int steps_with_an_end = 0;

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    fake_io_advance(8999 * MS);
    turn(0);
    for (int fd = FD; fd < FD + 8; fd++)
        cr_assert_not(fake_io_fd(fd)->was_shut, "90 %% at least");
    for (int step = 0; step < 20; step++) {
        size_t closed = 0, before = 0;

        for (int fd = FD; fd < FD + 8; fd++)
            before += fake_io_fd(fd)->was_shut;
        fake_io_advance(101 * MS);
        turn(0);
        for (int fd = FD; fd < FD + 8; fd++)
            closed += fake_io_fd(fd)->was_shut;
        steps_with_an_end += closed > before;
        TURN_UNTIL(nxi_pool_count(pool).lanes == 8);
    }
    for (int fd = FD; fd < FD + 8; fd++)
        cr_assert(fake_io_fd(fd)->was_shut, "110 %% at most");
    cr_assert_geq(steps_with_an_end, 3);
    end_scripted();
}

Test(pool_care, a_transaction_is_not_ended_by_age)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .lifetime_ms = 1000 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    nxi_pool_submit(pool, make_in(0, 7, NXI_BEGIN_WRITE, NXI_END_NONE));
    turn(0);
    answer_on(FD, 0, true);
    turn(0);
    fake_io_advance(5000 * MS);
    turn(0);
    cr_assert_not(fake_io_fd(FD)->was_shut);
    nxi_pool_submit(pool, make_in(1, 7, NXI_BEGIN_NONE, NXI_END_COMMIT));
    submit(2);
    turn(0);
    cr_assert_eq(sent_on(FD), 2u);
    answer_on(FD, 1, false);
    turn(0);
    cr_assert_eq(requests[1].outcome, NX_OUTCOME_COMMITTED);
    cr_assert(fake_io_fd(FD)->was_shut);
    cr_assert_not(fake_io_fd(FD)->shut_both, "it may say good-bye");
    TURN_UNTIL(sent_on(FD + 1) == 1);
    end_scripted();
}

Test(pool_care, one_that_is_never_idle_drains_when_it_is_of_age)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .lifetime_ms = 1000 };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    submit(0);
    turn(0);
    fake_io_advance(1101 * MS);
    turn(0);
    submit(1);
    turn(0);
    cr_assert_eq(sent_on(FD), 1u, "no new ones");
    cr_assert_not(fake_io_fd(FD)->was_shut);
    answer_on(FD, 0, false);
    turn(0);
    cr_assert_eq(requests[0].status, NX_OK);
    cr_assert(fake_io_fd(FD)->was_shut);
    TURN_UNTIL(sent_on(FD + 1) == 1);
    end_scripted();
}

Test(pool_care, age_can_be_switched_off)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1, .lifetime_ms = UINT32_MAX };

    open_scripted(&fake_wire_driver, &options);
    TURN_UNTIL(opened_calls == 1);
    fake_io_advance(INT64_C(100000000) * MS);
    turn(0);
    cr_assert_not(fake_io_fd(FD)->was_shut);
    end_scripted();
}
