/*
 * test_pool - pools of workers: routing, both ways of ending, and that every request is done once.
 */
#include "pool_fixture.h"

static int closed_calls;

static void on_closed(void *context, nx_status status, const nx_error *error)
{
    (void)context;
    (void)error;
    cr_assert_eq(status, NX_OK);
    closed_calls++;
}

static nxi_request *run(nxi_request *request)
{
    size_t before = done_count;

    nxi_pool_submit(pool, request);
    wait_done(before + 1);
    return request;
}

/* ------------------------------------------------------------------------------ opening */

Test(pool, opens_once_all_are_open)
{
    open_pool_of(2, 0);
    cr_assert_eq(opened_calls, 0);
    wait_opened();
    cr_assert_eq(opened_status, NX_OK);
    cr_assert_eq(atomic_load(&opened_workers), 3);
    turn(0);
    cr_assert_eq(opened_calls, 1);
    cr_assert_str_eq(nxi_pool_options(pool)->path, "a path");
    cr_assert_eq(nxi_pool_count(pool).lanes, 3u);
    end();
}

Test(pool, what_is_submitted_before_it_is_open_runs_afterwards)
{
    atomic_store(&slow_open, true);
    open_pool_of(1, 0);
    nxi_pool_submit(pool, make(0));
    turn(0);
    turn(0);
    cr_assert_eq(done_count, 0u);
    atomic_store(&slow_open, false);
    wait_done(1);
    cr_assert_eq(requests[0].status, NX_OK);
    end();
}

Test(pool, one_worker_that_fails_to_open_fails_the_pool)
{
    atomic_store(&fail_role, (int)NXI_ROLE_READER);
    open_pool_of(1, 0);
    nxi_pool_submit(pool, make(0));
    wait_opened();
    cr_assert_eq(opened_status, NX_EOPEN);
    wait_done(1);
    cr_assert_eq(requests[0].status, NX_EOPEN);
    cr_assert_str_eq(requests[0].error->message, "cannot open it");
    nxi_pool_submit(pool, make(1));
    cr_assert_eq(done_counts[1], 0, "never from within submit");
    wait_done(2);
    cr_assert_eq(requests[1].status, NX_EOPEN);
    nxi_pool_close(pool, on_closed, NULL);
    while (closed_calls == 0)
        turn(INT64_MAX);
    end();
    cr_assert_eq(opened_calls, 1);
}

Test(pool, options_that_a_driver_refuses_fail_at_once)
{
    nx_bind_options bind = { .dsn = "x" };
    nx_error error;

    memory = nxi_memory_new(0);
    cr_assert_eq(nxi_core_open(memory, NULL, NULL, &core, &error), NX_OK);
    cr_assert_eq(nxi_pool_open(core, &driver, &bind, on_opened, NULL, &pool, &error), NX_EINVAL);
    cr_assert_null(pool);
    turn(0);
    cr_assert_eq(opened_calls, 0);
    nxi_pool_free(NULL);
    end();
}

Test(pool, opening_survives_want_of_memory)
{
    nx_bind_options bind = { .path = "a path", .readers = 1 };
    nx_status status = NX_ENOMEM;
    nx_error error;
    uint64_t n;

    memory = nxi_memory_new(0);
    cr_assert_eq(nxi_core_open(memory, NULL, NULL, &core, &error), NX_OK);
    for (n = 1; status != NX_OK; n++) {
        opened_calls = 0;
        nxi_memory_fail(n, false);
        status = nxi_pool_open(core, &driver, &bind, on_opened, NULL, &pool, &error);
        if (status == NX_OK) { /* a worker's memory may have failed on its own thread */
            wait_opened();
            status = opened_status;
            nxi_memory_fail(0, false);
            nxi_pool_free(pool);
        }
        nxi_memory_fail(0, false);
        cr_assert(status == NX_OK || status == NX_ENOMEM);
    }
    cr_assert_gt(n, 5u);
    pool = NULL;
    end();
}

/* ------------------------------------------------------------------------------ routing */

Test(pool, what_may_write_goes_to_the_writer_and_reads_to_readers)
{
    open_pool_of(2, 0);
    wait_opened();
    cr_assert_eq(run(make(0))->lane_data, NXI_ROLE_READER);
    make(1)->writes = true;
    cr_assert_eq(run(&requests[1])->lane_data, NXI_ROLE_WRITER);
    make(2);
    steps[2].read_any = true;
    cr_assert_eq(run(&requests[2])->lane_data, NXI_ROLE_WRITER);
    make(3);
    steps[3].kind = NXI_STEP_SCRIPT;
    cr_assert_eq(run(&requests[3])->lane_data, NXI_ROLE_WRITER);
    make(4)->transaction = 9;
    requests[4].begin = NXI_BEGIN_WRITE;
    cr_assert_eq(run(&requests[4])->lane_data, NXI_ROLE_WRITER);
    make(5)->transaction = 9;
    cr_assert_eq(run(&requests[5])->lane_data, NXI_ROLE_WRITER);
    end();
}

Test(pool, one_worker_does_both)
{
    open_pool_of(0, 0);
    wait_opened();
    cr_assert_eq(run(make(0))->lane_data, NXI_ROLE_ONLY);
    make(1)->writes = true;
    cr_assert_eq(run(&requests[1])->lane_data, NXI_ROLE_ONLY);
    make(2)->transaction = 1;
    requests[2].begin = NXI_BEGIN_SNAPSHOT;
    cr_assert_eq(run(&requests[2])->lane_data, NXI_ROLE_ONLY);
    end();
}

Test(pool, a_snapshot_stays_on_its_reader)
{
    void *lane;

    open_pool_of(3, 0);
    wait_opened();
    make(0)->transaction = 5;
    requests[0].begin = NXI_BEGIN_SNAPSHOT;
    lane = run(&requests[0])->lane;
    cr_assert_eq(requests[0].lane_data, NXI_ROLE_READER);
    atomic_store(&block, true);
    for (size_t i = 1; i < 20; i++) { /* load on all readers, so that balance would choose others */
        nxi_pool_submit(pool, make(i));
        turn(0);
    }
    for (size_t i = 20; i < 24; i++) {
        make(i)->transaction = 5;
        requests[i].end = i == 23 ? NXI_END_ROLLBACK : NXI_END_NONE;
        nxi_pool_submit(pool, &requests[i]);
    }
    atomic_store(&block, false);
    wait_done(24);
    for (size_t i = 20; i < 24; i++)
        cr_assert_eq(requests[i].lane, lane);
    make(24)->transaction = 5; /* is over: no snapshot any more */
    cr_assert_eq(run(&requests[24])->lane_data, NXI_ROLE_WRITER);
    end();
}

Test(pool, reads_are_spread_by_load)
{
    size_t counts[8] = { 0 };

    open_pool_of(4, 0);
    wait_opened();
    for (size_t i = 0; i < 100; i++)
        nxi_pool_submit(pool, make(i));
    wait_done(100);
    for (size_t i = 0; i < 100; i++)
        counts[((state *)requests[i].lane)->number]++;
    for (int i = 0; i < 8; i++)
        cr_assert(counts[i] == 0 || counts[i] == 25);
    end();
}

Test(pool, a_cursor_finds_its_reader_again)
{
    void *lane;

    open_pool_of(3, 0);
    wait_opened();
    make(0);
    steps[0] = (nxi_step){ .kind = NXI_STEP_CURSOR_OPEN, .cursor = 77 };
    lane = run(&requests[0])->lane;
    for (size_t i = 1; i < 9; i++) {
        nxi_pool_submit(pool, make(i + 100));
        make(i);
        steps[i] = (nxi_step){ .kind = NXI_STEP_CURSOR_FETCH, .cursor = 77 };
        nxi_pool_submit(pool, &requests[i]);
    }
    wait_done(17);
    for (size_t i = 1; i < 9; i++)
        cr_assert_eq(requests[i].lane, lane);
    end();
}

/* ------------------------------------------------------------------------------ stopping */

Test(pool, the_window_keeps_the_rest_where_it_can_be_stopped)
{
    open_pool_of(0, 2);
    wait_opened();
    atomic_store(&block, true);
    for (size_t i = 0; i < 10; i++)
        nxi_pool_submit(pool, make(i));
    turn(0);
    cr_assert_eq(nxi_pool_count(pool).waiting, 8u);
    cr_assert_eq(nxi_pool_count(pool).submitted, 10u);
    nxi_pool_stop(pool, &requests[5], NX_ECANCELED);
    nxi_pool_stop(pool, &requests[9], NX_EDEADLINE);
    nxi_pool_stop(pool, &requests[9], NX_ECANCELED);
    cr_assert_eq(done_count, 0u, "never from within stop");
    turn(0);
    cr_assert_eq(done_count, 2u);
    cr_assert_eq(requests[5].status, NX_ECANCELED);
    cr_assert_eq(requests[9].status, NX_EDEADLINE);
    atomic_store(&block, false);
    wait_done(10);
    cr_assert_eq(requests[8].status, NX_OK);
    end();
}

Test(pool, what_a_worker_keeps_can_be_stopped)
{
    open_pool_of(1, 0);
    wait_opened();
    atomic_store(&keep_all, true);
    nxi_pool_submit(pool, make(0));
    nxi_pool_submit(pool, make(1));
    turn(0);
    nanosleep(&(struct timespec){ .tv_nsec = 3 * MS }, NULL);
    nxi_pool_stop(pool, &requests[0], NX_ECANCELED);
    wait_done(1);
    cr_assert_eq(requests[0].status, NX_ECANCELED);
    end();
    cr_assert_eq(requests[1].status, NX_ECLOSED);
    cr_assert_eq(done_count, 2u);
}

Test(pool, what_was_stopped_before_it_is_submitted_does_not_run)
{
    open_pool_of(0, 0);
    wait_opened();
    atomic_store(&make(0)->stop, NX_ECANCELED);
    nxi_pool_submit(pool, &requests[0]);
    cr_assert_eq(done_count, 0u);
    wait_done(1);
    cr_assert_eq(requests[0].status, NX_ECANCELED);
    end();
}

static nxi_request *make_of(size_t i, uint64_t transaction, nxi_begin begin, nxi_end end)
{
    make(i)->transaction = transaction;
    requests[i].begin = begin;
    requests[i].end = end;
    requests[i].writes = true;
    return &requests[i];
}

Test(pool, what_ends_a_transaction_reaches_its_worker_although_it_is_stopped)
{
    open_pool_of(0, 0);
    wait_opened();
    for (size_t i = 0; i < 8; i += 4) {
        uint64_t transaction = 5 + i;
        run(make_of(i, transaction, NXI_BEGIN_WRITE, NXI_END_NONE));
        cr_assert(requests[i].in_transaction);
        /* Before it is submitted, and before it is handed over. */
        if (i == 0)
            atomic_store(&make_of(1, transaction, NXI_BEGIN_NONE, NXI_END_NONE)->stop, NX_ECANCELED);
        else
            make_of(i + 1, transaction, NXI_BEGIN_NONE, NXI_END_NONE);
        nxi_pool_submit(pool, &requests[i + 1]);
        if (i != 0)
            nxi_pool_stop(pool, &requests[i + 1], NX_ECANCELED);
        wait_done(done_count + 1);
        cr_assert_eq(requests[i + 1].status, NX_ECANCELED);
        cr_assert(requests[i + 1].in_transaction, "nothing has ended it");
        cr_assert_eq(requests[i + 1].outcome, NX_OUTCOME_NONE);
        cr_assert_null(requests[i + 1].lane);
        make_of(i + 2, transaction, NXI_BEGIN_NONE, i == 0 ? NXI_END_COMMIT : NXI_END_ROLLBACK);
        nxi_pool_submit(pool, &requests[i + 2]);
        nxi_pool_stop(pool, &requests[i + 2], NX_EDEADLINE);
        wait_done(done_count + 1);
        cr_assert_not_null(requests[i + 2].lane, "the worker had it");
        cr_assert_eq(requests[i + 2].status, i == 0 ? NX_EDEADLINE : NX_OK, "a rollback is not stopped");
        cr_assert_not(requests[i + 2].in_transaction);
    }
    atomic_store(&make_of(10, 99, NXI_BEGIN_NONE, NXI_END_COMMIT)->stop, NX_ECANCELED);
    run(&requests[10]);
    cr_assert_not_null(requests[10].lane);
    cr_assert_eq(requests[10].status, NX_ECANCELED);
    end();
}

Test(pool, savepoints_are_not_stopped)
{
    open_pool_of(0, 0);
    wait_opened();
    make_of(0, 5, NXI_BEGIN_NONE, NXI_END_NONE);
    steps[0].kind = NXI_STEP_ROLLBACK_TO;
    nxi_pool_submit(pool, &requests[0]);
    nxi_pool_stop(pool, &requests[0], NX_ECANCELED);
    wait_done(1);
    cr_assert_eq(requests[0].status, NX_OK);
    cr_assert_not_null(requests[0].lane);
    end();
}

/* ------------------------------------------------------------------------------ closing */

Test(pool, closing_finishes_what_is_submitted_and_refuses_what_comes_later)
{
    open_pool_of(2, 0);
    wait_opened();
    for (size_t i = 0; i < 50; i++) {
        make(i)->writes = i % 3 == 0;
        nxi_pool_submit(pool, &requests[i]);
    }
    nxi_pool_close(pool, on_closed, NULL);
    nxi_pool_submit(pool, make(50));
    while (closed_calls == 0)
        turn(INT64_MAX);
    cr_assert_eq(done_count, 51u);
    for (size_t i = 0; i < 50; i++)
        cr_assert_eq(requests[i].status, NX_OK);
    cr_assert_eq(requests[50].status, NX_ECLOSED);
    cr_assert_eq(atomic_load(&closed_workers), 3);
    nxi_pool_submit(pool, make(51));
    wait_done(52);
    cr_assert_eq(requests[51].status, NX_ECLOSED);
    cr_assert_eq(closed_calls, 1);
    end();
}

static void free_it(void *context, nx_status status, const nx_error *error)
{
    (void)context;
    (void)status;
    (void)error;
    closed_calls++;
    nxi_pool_free(pool);
    pool = NULL;
}

Test(pool, it_may_be_freed_from_its_last_callback)
{
    open_pool_of(1, 0);
    wait_opened();
    nxi_pool_close(pool, free_it, NULL);
    while (closed_calls == 0)
        turn(INT64_MAX);
    end();
}

Test(pool, closing_while_it_opens_waits_for_that)
{
    atomic_store(&slow_open, true);
    open_pool_of(1, 0);
    nxi_pool_close(pool, on_closed, NULL);
    turn(0);
    turn(0);
    cr_assert_eq(closed_calls, 0);
    atomic_store(&slow_open, false);
    while (closed_calls == 0)
        turn(INT64_MAX);
    cr_assert_eq(opened_calls, 1);
    end();
}

/* Free at every awkward moment: while opening, with requests queued, handed over, kept, blocked, finished and not collected. */
Test(pool, freeing_finishes_everything_at_once)
{
    for (int moment = 0; moment < 6; moment++) {
        atomic_store(&slow_open, moment == 0);
        atomic_store(&keep_all, moment == 3);
        atomic_store(&block, moment == 4);
        done_count = 0;
        opened_calls = 0;
        memset(done_counts, 0, sizeof(done_counts));
        open_pool_of(2, moment == 5 ? 4 : 0);
        if (moment != 0)
            wait_opened();
        for (size_t i = 0; i < 20; i++) {
            make(i)->writes = i % 2 == 0;
            nxi_pool_submit(pool, &requests[i]);
        }
        if (moment >= 2)
            turn(0);
        if (moment == 5)
            nanosleep(&(struct timespec){ .tv_nsec = MS }, NULL);
        end();
        cr_assert_eq(done_count, 20u, "at moment %d", moment);
        for (size_t i = 0; i < 20; i++)
            cr_assert(requests[i].status == NX_ECLOSED || requests[i].status == NX_OK);
    }
}

static int again;

static void submit_again(nxi_request *request)
{
    on_done(request);
    if (again-- > 0) {
        done_counts[request - requests] = 0;
        request->status = NX_OK;
        nxi_pool_submit(pool, request);
    }
}

Test(pool, done_may_submit)
{
    open_pool_of(1, 0);
    wait_opened();
    again = 1000;
    make(0)->done = submit_again;
    nxi_pool_submit(pool, &requests[0]);
    wait_done(1001);
    again = 5;
    nxi_pool_submit(pool, (done_counts[0] = 0, make(0)->done = submit_again, &requests[0]));
    end(); /* also while it is being freed: refused, each time */
    cr_assert_eq(done_count, 1007u);
}
