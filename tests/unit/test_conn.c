/*
 * test_conn - one connection on the scripted io: cut bytes, short sends, trouble of every kind, and the order of ends.
 */
#include "engine/conn.h"
#include "tests/support/fake_io.h"
#include "tests/support/fake_wire.h"

#include <criterion/criterion.h>
#include <errno.h>

enum { FD = 1000, REQUESTS = 64 };
#define MS INT64_C(1000000)

static nxi_memory *memory;
static nxi_core *core;
static nxi_conn *conn;
static nxi_request requests[REQUESTS];
static nxi_step steps[REQUESTS];
static nxi_arena arenas[REQUESTS];
static nxi_request *finished[REQUESTS];
static size_t finished_count;
static int dirty_count, closed_count;

static void on_finished(void *context, nxi_request *request)
{
    (void)context;
    if (request < requests || request >= requests + REQUESTS)
        return;
    cr_assert_lt(finished_count, (size_t)REQUESTS);
    finished[finished_count++] = request;
}
static void on_dirty(void *context)
{
    (void)context;
    dirty_count++;
}
static void on_closed(void *context)
{
    (void)context;
    closed_count++;
}

/* The conn's part of a source: hand over what is dirty. */
static void hand_over(nxi_source *source)
{
    (void)source;
    if (dirty_count > 0) {
        cr_assert_eq(dirty_count, 1);
        dirty_count = 0;
        nxi_conn_hand_over(conn);
    }
}
static bool no(const nxi_source *source)
{
    (void)source;
    return false;
}
static void nothing(nxi_source *source) { (void)source; }
static nxi_source source = { .hand_over = hand_over, .has_news = no, .collect = nothing, .is_busy = no, .rouse = nothing };

static void hook_close(int fd) { (void)fd; }
static nx_status hook_open(int *ret_fd)
{
    *ret_fd = FD;
    return NX_OK;
}

static void open_conn(const nxi_driver *driver, size_t window)
{
    nxi_conn_owner owner = { .finished = on_finished, .dirty = on_dirty, .closed = on_closed };
    nx_loop_options options = { .spin_us = UINT32_MAX };
    nx_error error;
    int fd;

    fake_wire = (fake_wire_hooks){ .open = hook_open, .close = hook_close };
    memory = nxi_memory_new(0);
    cr_assert_eq(nxi_core_open(memory, &options, fake_io_new(1000 * MS, 4), &core, &error), NX_OK);
    conn = nxi_conn_new(core, driver->wire, window, &owner);
    cr_assert_not_null(conn);
    cr_assert_eq(driver->wire->open(nxi_conn_state(conn), NULL, memory, &fd, &error), NX_OK);
    cr_assert_eq(nxi_conn_start(conn, fd), NX_OK);
    nxi_core_add(core, &source);
    for (size_t i = 0; i < REQUESTS; i++)
        nxi_arena_init(&arenas[i], memory);
}

static void turn(void)
{
    cr_assert_eq(nxi_core_turn(core, 0), NX_OK);
}

static void close_all(void)
{
    nx_error error;

    (void)nxi_fail(&error, NX_ECLOSED, "closed by the test");
    nxi_conn_close(conn, &error);
    turn();
    cr_assert_eq(closed_count, 1);
    nxi_conn_free(conn);
    nxi_core_remove(core, &source);
    nxi_core_close(core);
    for (size_t i = 0; i < REQUESTS; i++)
        nxi_arena_fini(&arenas[i]);
    nxi_memory_free(memory);
    fake_io_forget();
}

static nxi_request *make(size_t i, uint32_t body)
{
    steps[i] = (nxi_step){ .kind = NXI_STEP_EXECUTE, .cursor = 100 + i, .row_limit = body };
    requests[i] = (nxi_request){ .steps = &steps[i], .step_count = 1, .arena = &arenas[i] };
    return &requests[i];
}

static void put(size_t i, uint32_t body)
{
    cr_assert_eq(nxi_conn_put(conn, make(i, body)), NX_OK);
}

static size_t answer(uint8_t *into, size_t i, uint32_t body)
{
    fake_wire_answer(into, 100 + i, body, false);
    memset(into + FAKE_WIRE_HEAD, (int)(100 + i), body);
    return FAKE_WIRE_HEAD + body;
}

static void feed_answer(size_t i, uint32_t body)
{
    uint8_t bytes[4096];

    fake_io_feed(FD, bytes, answer(bytes, i, body));
}

/* ------------------------------------------------------------------------------ bytes */

Test(conn, requests_of_a_turn_leave_in_one_send_and_are_answered_in_order)
{
    open_conn(&fake_wire_driver, 16);
    for (size_t i = 0; i < 10; i++)
        put(i, 3);
    turn();
    cr_assert_eq(fake_io_fd(FD)->sends, 1u);
    cr_assert_eq(fake_io_fd(FD)->written_size, 10u * FAKE_WIRE_HEAD);
    cr_assert_eq(nxi_conn_load(conn), 10u);
    for (size_t i = 0; i < 10; i++)
        feed_answer(i, 3);
    turn();
    cr_assert_eq(finished_count, 10u);
    for (size_t i = 0; i < 10; i++) {
        cr_assert_eq(finished[i], &requests[i]);
        cr_assert_eq(steps[i].affected, (int64_t)(100 + i));
        cr_assert_eq(requests[i].status, NX_OK);
        cr_assert_geq(requests[i].done_ns, requests[i].taken_ns);
    }
    cr_assert(nxi_conn_is_idle(conn));
    cr_assert_eq(fake_io_buffers_free(), 4u);
    close_all();
}

Test(conn, an_answer_may_be_cut_anywhere)
{
    uint8_t bytes[512];
    size_t size;

    open_conn(&fake_wire_driver, 16);
    size = answer(bytes, 0, 10);
    size += answer(bytes + size, 1, 0);
    for (size_t cut = 0; cut <= size; cut++) {
        finished_count = 0;
        put(0, 10);
        put(1, 0);
        turn();
        fake_io_feed(FD, bytes, cut);
        turn();
        fake_io_feed(FD, bytes + cut, size - cut);
        turn();
        cr_assert_eq(finished_count, 2u, "cut at %zu", cut);
        cr_assert_eq(finished[0], &requests[0]);
        nxi_arena_reset(&arenas[0]);
    }
    close_all();
}

Test(conn, what_is_encoded_during_a_send_waits_for_the_next)
{
    open_conn(&fake_wire_driver, 16);
    fake_io_fd(FD)->hold_sends = true;
    put(0, 0);
    turn();
    put(1, 0);
    put(2, 0);
    turn();
    turn();
    cr_assert_eq(fake_io_fd(FD)->sends, 1u);
    fake_io_fd(FD)->hold_sends = false;
    turn();
    turn();
    cr_assert_eq(fake_io_fd(FD)->sends, 2u);
    cr_assert_eq(fake_io_fd(FD)->written_size, 3u * FAKE_WIRE_HEAD);
    for (size_t i = 0; i < 3; i++)
        feed_answer(i, 0);
    turn();
    cr_assert_eq(finished_count, 3u);
    close_all();
}

Test(conn, short_sends_are_continued_where_they_stopped)
{
    uint8_t flags;
    uint32_t body;
    uint64_t id;

    open_conn(&fake_wire_driver, 16);
    fake_io_fd(FD)->send_max = 7;
    for (size_t i = 0; i < 3; i++)
        put(i, 0);
    for (int i = 0; i < 7; i++)
        turn();
    cr_assert_eq(fake_io_fd(FD)->written_size, 3u * FAKE_WIRE_HEAD);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(fake_wire_parse(fake_io_fd(FD)->written + i * FAKE_WIRE_HEAD, FAKE_WIRE_HEAD, &flags, &body, &id), 16u);
        cr_assert_eq(id, 100 + i);
        feed_answer(i, 0);
    }
    turn();
    cr_assert_eq(finished_count, 3u);
    close_all();
}

Test(conn, eagain_and_a_full_submission_queue_are_tried_again)
{
    open_conn(&fake_wire_driver, 16);
    fake_io_refuse(2); /* the first receive and the first send */
    put(0, 0);
    turn();
    cr_assert_eq(fake_io_fd(FD)->sends + fake_io_fd(FD)->recvs, 0u);
    fake_io_fd(FD)->fail_send = EAGAIN;
    fake_io_fd(FD)->fail_recv = EAGAIN;
    turn();
    turn();
    cr_assert_eq(fake_io_fd(FD)->sends, 2u);
    cr_assert_eq(fake_io_fd(FD)->recvs, 2u);
    feed_answer(0, 0);
    turn();
    cr_assert_eq(finished_count, 1u);
    cr_assert_eq(requests[0].status, NX_OK);
    close_all();
}

Test(conn, receiving_goes_on_when_buffers_ran_out)
{
    open_conn(&fake_wire_driver, 16);
    put(0, 1000); /* 16 pieces, and there are 4 buffers */
    put(1, 5);
    turn();
    feed_answer(0, 1000);
    feed_answer(1, 5);
    for (int i = 0; i < 10 && finished_count < 2; i++)
        turn();
    cr_assert_eq(finished_count, 2u);
    cr_assert_gt(fake_io_fd(FD)->recvs, 2u);
    cr_assert_eq(fake_io_buffers_free(), 4u);
    close_all();
}

Test(conn, the_window_bounds_what_is_in_flight)
{
    open_conn(&fake_wire_driver, 2);
    put(0, 0);
    cr_assert(nxi_conn_has_room(conn));
    put(1, 0);
    cr_assert_not(nxi_conn_has_room(conn));
    turn();
    for (size_t i = 0; i < 40; i++) { /* round the ring many times */
        feed_answer(i % 2, 0);
        turn();
        cr_assert_eq(finished_count, i + 1);
        put(i % 2, 0);
        turn();
    }
    close_all();
}

Test(conn, what_cannot_be_encoded_concerns_nobody_else)
{
    open_conn(&fake_wire_driver, 16);
    put(0, 0);
    cr_assert_eq(nxi_conn_put(conn, make(1, FAKE_WIRE_BAD)), NX_ETOOLONG);
    cr_assert_eq(requests[1].status, NX_ETOOLONG);
    put(2, 0);
    turn();
    feed_answer(0, 0);
    feed_answer(2, 0);
    turn();
    cr_assert_eq(finished_count, 2u);
    cr_assert_eq(finished[1], &requests[2]);
    close_all();
}

/* ------------------------------------------------------------------------------ ends */

static nxi_request *make_commit(size_t i)
{
    make(i, 0);
    requests[i].transaction = 7;
    requests[i].begin = NXI_BEGIN_WRITE;
    requests[i].end = NXI_END_COMMIT;
    return &requests[i];
}

Test(conn, a_lost_connection_finishes_all_and_says_what_became_of_commits)
{
    open_conn(&fake_wire_driver, 16);
    put(0, 0);
    cr_assert_eq(nxi_conn_put(conn, make_commit(1)), NX_OK);
    turn();
    cr_assert_eq(nxi_conn_put(conn, make_commit(2)), NX_OK); /* never given to the kernel */
    make(3, 0)->writes = true;
    cr_assert_eq(nxi_conn_put(conn, &requests[3]), NX_OK);
    dirty_count = 0;
    fake_io_end(FD);
    turn();
    cr_assert_eq(finished_count, 4u);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(finished[i], &requests[i]);
        cr_assert_eq(requests[i].status, NX_ELOST);
        cr_assert_not(requests[i].in_transaction);
    }
    cr_assert_eq(requests[0].outcome, NX_OUTCOME_NONE);
    cr_assert(requests[0].error->retryable);
    cr_assert_eq(requests[1].outcome, NX_OUTCOME_UNKNOWN);
    cr_assert_eq(requests[1].error->outcome, NX_OUTCOME_UNKNOWN);
    cr_assert_not(requests[1].error->retryable);
    cr_assert_eq(requests[2].outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(requests[3].outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_not(nxi_conn_is_open(conn));
    close_all();
}

Test(conn, a_commit_sent_in_part_cannot_have_happened_only_when_nothing_was_given)
{
    open_conn(&fake_wire_driver, 16);
    fake_io_fd(FD)->send_max = 3;
    cr_assert_eq(nxi_conn_put(conn, make_commit(0)), NX_OK);
    turn();
    fake_io_break(FD, ECONNRESET);
    turn();
    cr_assert_eq(requests[0].status, NX_ELOST);
    cr_assert_eq(requests[0].outcome, NX_OUTCOME_UNKNOWN, "the kernel has had all of it: what it did is not known");
    close_all();
}

static void resets(bool sending)
{
    open_conn(&fake_wire_driver, 16);
    put(0, 0);
    turn();
    if (sending) {
        put(1, 0);
        fake_io_fd(FD)->fail_send = EPIPE;
    } else {
        fake_io_fd(FD)->fail_recv = ECONNRESET;
    }
    turn();
    turn();
    cr_assert_eq(finished_count, sending ? 2u : 1u);
    cr_assert_eq(requests[0].status, NX_ELOST);
    cr_assert_eq(closed_count, 1);
    close_all();
}

Test(conn, a_reset_while_receiving_loses_it) { resets(false); }
Test(conn, a_failed_send_loses_it) { resets(true); }

Test(conn, a_protocol_error_is_final)
{
    open_conn(&fake_wire_driver, 16);
    put(0, 0);
    put(1, 0);
    turn();
    fake_io_feed(FD, "this is not an answer at all, is it?", 36);
    feed_answer(0, 0);
    turn();
    cr_assert_eq(finished_count, 2u);
    cr_assert_eq(requests[0].status, NX_EPROTOCOL);
    cr_assert_eq(requests[1].status, NX_EPROTOCOL);
    cr_assert(fake_io_fd(FD)->was_shut && fake_io_fd(FD)->shut_both);
    close_all();
}

Test(conn, bytes_that_nobody_asked_for_are_a_protocol_error)
{
    open_conn(&fake_wire_driver, 16);
    turn();
    feed_answer(0, 0);
    turn();
    cr_assert_not(nxi_conn_is_open(conn));
    close_all();
}

Test(conn, its_end_waits_for_the_last_events)
{
    nx_error error;

    open_conn(&fake_wire_driver, 16);
    fake_io_fd(FD)->hold_sends = true;
    fake_io_fd(FD)->hold_end = true;
    put(0, 0);
    turn();
    (void)nxi_fail(&error, NX_ECLOSED, "closed");
    nxi_conn_close(conn, &error);
    cr_assert_eq(finished_count, 1u);
    cr_assert_eq(requests[0].status, NX_ECLOSED);
    cr_assert_eq(closed_count, 0, "the kernel has its buffer still");
    cr_assert(nxi_conn_is_closing(conn));
    feed_answer(0, 0); /* what still comes is dropped */
    turn();
    turn();
    cr_assert_eq(closed_count, 0);
    fake_io_fd(FD)->hold_end = false;
    turn();
    cr_assert_eq(closed_count, 1);
    cr_assert_eq(finished_count, 1u);
    cr_assert_eq(fake_io_buffers_free(), 4u);
    close_all();
}

Test(conn, an_idle_connection_may_still_say_good_bye)
{
    nx_error error;

    open_conn(&fake_wire_driver, 16);
    turn();
    (void)nxi_fail(&error, NX_ECLOSED, "closed");
    nxi_conn_close(conn, &error);
    cr_assert(fake_io_fd(FD)->was_shut && !fake_io_fd(FD)->shut_both);
    turn();
    close_all();
}

/* ------------------------------------------------------------------------------ giving up */

Test(conn, an_answer_to_what_was_given_up_reaches_nobody)
{
    open_conn(&fake_wire_driver, 16);
    for (size_t i = 0; i < 3; i++)
        put(i, 4);
    turn();
    cr_assert(nxi_conn_give_up(conn, &requests[1], NX_EDEADLINE));
    cr_assert_eq(finished_count, 1u);
    cr_assert_eq(requests[1].status, NX_EDEADLINE);
    cr_assert_eq(nxi_conn_load(conn), 3u, "its answer is still expected");
    cr_assert_not(nxi_conn_give_up(conn, &requests[1], NX_EDEADLINE));
    memset(&requests[1], 0xee, sizeof(requests[1])); /* nobody may touch it any more */
    memset(&steps[1], 0xee, sizeof(steps[1]));
    for (size_t i = 0; i < 3; i++)
        feed_answer(i, 4);
    turn();
    cr_assert_eq(finished_count, 3u);
    cr_assert_eq(finished[1], &requests[0]);
    cr_assert_eq(finished[2], &requests[2]);
    cr_assert_eq(steps[2].affected, 102);
    cr_assert(nxi_conn_is_idle(conn));
    close_all();
}

/* At every point of the answer's arrival. */
Test(conn, giving_up_is_possible_at_any_byte)
{
    uint8_t bytes[256];
    size_t size;

    open_conn(&fake_wire_driver, 16);
    size = answer(bytes, 0, 8);
    size += answer(bytes + size, 1, 8);
    for (size_t cut = 0; cut < FAKE_WIRE_HEAD + 8; cut++) {
        finished_count = 0;
        put(0, 8);
        put(1, 8);
        turn();
        fake_io_feed(FD, bytes, cut);
        turn();
        cr_assert(nxi_conn_give_up(conn, &requests[0], NX_ECANCELED));
        fake_io_feed(FD, bytes + cut, size - cut);
        turn();
        cr_assert_eq(finished_count, 2u, "given up at %zu", cut);
        cr_assert_eq(finished[1], &requests[1]);
        cr_assert_eq(requests[1].status, NX_OK);
        nxi_arena_reset(&arenas[0]);
    }
    close_all();
}

Test(conn, a_commit_given_up_is_unknown)
{
    open_conn(&fake_wire_driver, 16);
    cr_assert_eq(nxi_conn_put(conn, make_commit(0)), NX_OK);
    turn();
    cr_assert(nxi_conn_give_up(conn, &requests[0], NX_EDEADLINE));
    cr_assert_eq(requests[0].outcome, NX_OUTCOME_UNKNOWN);
    cr_assert(nxi_conn_is_dead_weight(conn));
    feed_answer(0, 0);
    turn();
    close_all();
}

/* The kernel has not had it yet, but nothing takes it back any more. */
Test(conn, a_commit_given_up_behind_a_long_send_is_unknown)
{
    enum { FULL = 262144 / FAKE_WIRE_HEAD };
    static nxi_request fillers[FULL];
    static nxi_step filler_steps[FULL];

    open_conn(&fake_wire_driver, FULL + 2);
    fake_io_fd(FD)->hold_sends = true;
    for (size_t i = 0; i < FULL; i++) {
        filler_steps[i] = (nxi_step){ .kind = NXI_STEP_FETCH, .cursor = i + 1 };
        fillers[i] = (nxi_request){ .steps = &filler_steps[i], .step_count = 1, .arena = &arenas[1] };
        cr_assert_eq(nxi_conn_put(conn, &fillers[i]), NX_OK);
    }
    cr_assert_eq(nxi_conn_put(conn, make_commit(0)), NX_OK);
    turn();
    turn();
    cr_assert_neq(requests[0].commit_position, 0u);
    cr_assert(nxi_conn_give_up(conn, &requests[0], NX_EDEADLINE));
    cr_assert_eq(requests[0].outcome, NX_OUTCOME_UNKNOWN);
    cr_assert_not(requests[0].in_transaction);
    fake_io_fd(FD)->hold_sends = false;
    close_all();
}

Test(conn, a_driver_that_cannot_give_up_loses_its_connection)
{
    open_conn(&fake_wire_driver_plain, 16);
    put(0, 0);
    put(1, 0);
    turn();
    cr_assert(nxi_conn_give_up(conn, &requests[0], NX_EDEADLINE));
    cr_assert_eq(finished_count, 2u);
    cr_assert_eq(requests[0].status, NX_EDEADLINE);
    cr_assert_eq(requests[1].status, NX_ELOST);
    cr_assert_not(nxi_conn_is_open(conn));
    close_all();
}

Test(conn, a_lost_connection_forgets_what_was_given_up)
{
    open_conn(&fake_wire_driver, 16);
    put(0, 0);
    put(1, 0);
    turn();
    cr_assert(nxi_conn_give_up(conn, &requests[0], NX_ECANCELED));
    fake_io_end(FD);
    turn();
    cr_assert_eq(finished_count, 2u);
    cr_assert_eq(requests[0].status, NX_ECANCELED);
    cr_assert_eq(requests[1].status, NX_ELOST);
    close_all();
}

/* ------------------------------------------------------------------------------ memory */

Test(conn, making_one_survives_want_of_memory)
{
    nxi_conn_owner owner = { .finished = on_finished, .dirty = on_dirty, .closed = on_closed };
    nxi_conn *other;
    uint64_t n;

    open_conn(&fake_wire_driver, 16);
    for (n = 1;; n++) {
        nxi_memory_fail(n, false);
        other = nxi_conn_new(core, fake_wire_driver.wire, 16, &owner);
        nxi_memory_fail(0, false);
        if (other != NULL)
            break;
    }
    cr_assert_gt(n, 2u);
    nxi_conn_free(other);
    nxi_conn_free(NULL);
    close_all();
}

/* Half a message cannot be told from a whole one: the connection goes, and everybody on it hears why. */
Test(conn, without_memory_for_messages_the_connection_ends)
{
    open_conn(&fake_wire_driver, 16);
    put(0, 0);
    put(1, 0);
    nxi_memory_fail(1, true);
    turn();
    nxi_memory_fail(0, false);
    cr_assert_eq(finished_count, 2u);
    cr_assert_eq(requests[0].status, NX_ENOMEM);
    cr_assert_eq(requests[1].status, NX_ENOMEM);
    cr_assert_not(nxi_conn_is_open(conn));
    close_all();
}

Test(conn, what_is_given_up_before_it_was_sent_is_forgotten)
{
    open_conn(&fake_wire_driver, 16);
    put(0, 0);
    put(1, 0);
    cr_assert(nxi_conn_give_up(conn, &requests[0], NX_ECANCELED));
    cr_assert_eq(finished_count, 1u);
    cr_assert_eq(requests[0].status, NX_ECANCELED);
    cr_assert_eq(nxi_conn_load(conn), 1u);
    turn();
    feed_answer(1, 0);
    turn();
    cr_assert_eq(finished_count, 2u);
    cr_assert_eq(requests[1].status, NX_OK);
    close_all();
}

Test(conn, a_steady_exchange_asks_for_no_memory)
{
    uint64_t before = 0;

    open_conn(&fake_wire_driver, 16);
    for (int round = 0; round < 200; round++) {
        if (round == 20) {
            nxi_memory_fail(UINT64_MAX, false);
            before = nxi_memory_requests();
        }
        finished_count = 0;
        for (size_t i = 0; i < 8; i++)
            put(i, 2);
        turn();
        for (size_t i = 0; i < 8; i++)
            feed_answer(i, 2);
        turn();
        cr_assert_eq(finished_count, 8u);
    }
    cr_assert_eq(nxi_memory_requests(), before);
    close_all();
}
