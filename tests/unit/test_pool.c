/*
 * test_pool - pools of workers: routing, both ways of ending, and that every request is done once.
 */
#include "engine/core.h"
#include "engine/map.h"
#include "engine/pool.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <time.h>

#define MS INT64_C(1000000)
enum { REQUESTS = 512 };

/* ------------------------------------------------------------------------------ a driver that executes nothing */

typedef struct state {
    nxi_port *port;
    nxi_role role;
    int number;
    nxi_request *kept;
} state;

static _Atomic int opened_workers, closed_workers;
static atomic_bool keep_all, slow_open, block;
static _Atomic int fail_role = -1, last_role = -1;

static nx_status open_it(void *opaque, const nx_bind_options *options, nxi_role role, nxi_port *port, nx_error *error)
{
    state *s = opaque;

    s->port = port;
    s->role = role;
    s->number = atomic_fetch_add(&opened_workers, 1);
    cr_assert_str_eq(options->path, "a path");
    while (atomic_load(&slow_open) && !nxi_port_is_stopping(port))
        sched_yield();
    if ((int)role == atomic_load(&fail_role))
        return nxi_fail(error, NX_EOPEN, "cannot open it");
    return NX_OK;
}

static void close_it(void *opaque)
{
    state *s = opaque;

    if (s->role == NXI_ROLE_READER)
        nanosleep(&(struct timespec){ .tv_nsec = 2 * MS }, NULL);
    atomic_store(&last_role, (int)s->role);
    atomic_fetch_add(&closed_workers, 1);
}

static void serve_it(void *opaque, nxi_request *batch)
{
    state *s = opaque;
    nxi_request *kept = NULL;

    if (batch == NULL) {
        kept = s->kept;
        s->kept = NULL;
    }
    while (batch != NULL || kept != NULL) {
        nxi_request **from = batch != NULL ? &batch : &kept, *request = *from;
        int why = atomic_load(&request->stop);

        *from = request->next;
        while (atomic_load(&block) && !nxi_port_is_stopping(s->port))
            sched_yield();
        request->lane_data = (int64_t)s->role;
        request->lane = s;
        if (why == NX_OK && atomic_load(&keep_all)) {
            request->next = s->kept;
            s->kept = request;
            continue;
        }
        if (why != NX_OK)
            nxi_request_fail(request, 0, (nx_status)why, "stopped");
        else
            request->status = NX_OK;
        request->in_transaction = request->transaction != 0 && request->end == NXI_END_NONE;
        nxi_port_finish(s->port, request);
    }
}

static int64_t wake_it(const void *opaque)
{
    (void)opaque;
    return INT64_MAX;
}

static void abandon_it(void *opaque, nx_status status)
{
    state *s = opaque;

    while (s->kept != NULL) {
        nxi_request *next = s->kept->next;

        nxi_request_fail(s->kept, 0, status, "abandoned");
        nxi_port_finish(s->port, s->kept);
        s->kept = next;
    }
}

static size_t count_workers(const nx_bind_options *options)
{
    return (size_t)options->readers + 1;
}

static nx_status check_options(const nx_bind_options *options, nx_error *error)
{
    return options->dsn == NULL ? NX_OK : nxi_fail(error, NX_EINVAL, "no dsn here");
}

static const nxi_executor executor = {
    .state_size = sizeof(state), .open = open_it, .close = close_it, .serve = serve_it, .wake_at = wake_it, .abandon = abandon_it
};
static const nxi_driver driver = {
    .name = "fake", .executor = &executor, .worker_count = count_workers, .check_options = check_options
};

/* ------------------------------------------------------------------------------ the loop's side */

static nxi_memory *memory;
static nxi_core *core;
static nxi_pool *pool;
static nxi_request requests[REQUESTS];
static nxi_step steps[REQUESTS];
static nxi_arena arenas[REQUESTS];
static int done_counts[REQUESTS];
static size_t done_count;
static int opened_calls, closed_calls;
static nx_status opened_status;

static void on_opened(void *context, nx_status status, const nx_error *error)
{
    (void)context;
    cr_assert((status == NX_OK) == (error == NULL));
    opened_calls++;
    opened_status = status;
}

static void on_closed(void *context, nx_status status, const nx_error *error)
{
    (void)context;
    (void)error;
    cr_assert_eq(status, NX_OK);
    closed_calls++;
}

static void on_done(nxi_request *request)
{
    done_counts[request - requests]++;
    done_count++;
}

static void turn(int64_t wait_ns)
{
    cr_assert_eq(nxi_core_turn(core, wait_ns), NX_OK);
}

static void open_pool_of(uint16_t readers, uint32_t in_flight_max)
{
    nx_loop_options options = { 0 };
    char path[] = "a path";
    nx_bind_options bind = { .path = path, .readers = readers, .in_flight_max = in_flight_max };
    nx_error error;

    memory = nxi_memory_new(0);
    cr_assert_eq(nxi_core_open(memory, &options, NULL, &core, &error), NX_OK, "%s", error.message);
    cr_assert_eq(nxi_pool_open(core, &driver, &bind, on_opened, NULL, &pool, &error), NX_OK);
    path[0] = '?'; /* was copied */
    for (size_t i = 0; i < REQUESTS; i++)
        nxi_arena_init(&arenas[i], memory);
}

static void wait_opened(void)
{
    while (opened_calls == 0)
        turn(INT64_MAX);
}

static void end(void)
{
    nxi_pool_free(pool);
    nxi_core_close(core);
    for (size_t i = 0; i < REQUESTS; i++) {
        cr_assert_leq(done_counts[i], 1, "request %zu is done %d times", i, done_counts[i]);
        nxi_arena_fini(&arenas[i]);
    }
    nxi_memory_free(memory);
    cr_assert_eq(atomic_load(&opened_workers), atomic_load(&closed_workers));
    cr_assert_neq(atomic_load(&last_role), NXI_ROLE_READER, "the writer closes last");
}

static nxi_request *make(size_t i)
{
    steps[i] = (nxi_step){ .kind = NXI_STEP_FETCH };
    requests[i] = (nxi_request){ .steps = &steps[i], .step_count = 1, .arena = &arenas[i], .done = on_done };
    return &requests[i];
}

static void wait_done(size_t count)
{
    while (done_count < count)
        turn(INT64_MAX);
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

/* ------------------------------------------------------------------------------ load, and another event loop */

static void recycle(nxi_request *request)
{
    done_count++;
    request->lane = NULL;
    request->context = request;
}

/* epoll hears only of what wakes pollers, and does not look again by itself: the strictest watcher there is. */
static bool becomes_readable(int fd)
{
    static int watcher = -1;
    struct epoll_event event = { .events = EPOLLIN };

    if (watcher < 0) {
        watcher = epoll_create1(EPOLL_CLOEXEC);
        cr_assert_eq(epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &event), 0);
    }
    return epoll_wait(watcher, &event, 1, 10000) == 1;
}

/* 100 000 requests over all routes, with stops in between. */
static void stress(bool by_descriptor)
{
    enum { TOTAL = 100000 };
    uint64_t seed = 42;
    size_t submitted = 0;

    open_pool_of(2, 16);
    wait_opened();
    int fd = by_descriptor ? nxi_core_fd(core) : -1;
    for (size_t i = 0; i < REQUESTS; i++)
        requests[i].context = &requests[i]; /* free */
    while (done_count < TOTAL) {
        for (size_t tries = 0; tries < 64 && submitted < TOTAL; tries++) {
            size_t i;

            seed = nxi_hash_u64(seed + 1);
            i = seed % REQUESTS;
            if (requests[i].context == NULL) {
                if (seed >> 60 == 0)
                    nxi_pool_stop(pool, &requests[i], NX_ECANCELED);
                continue;
            }
            nxi_arena_reset(&arenas[i]);
            make(i)->done = recycle;
            requests[i].writes = seed >> 40 & 1;
            nxi_pool_submit(pool, &requests[i]);
            submitted++;
        }
        if (by_descriptor) {
            turn(0);
            if (done_count < TOTAL && nxi_pool_count(pool).submitted > 0 && (submitted == TOTAL || (seed & 7) == 0))
                cr_assert(becomes_readable(fd), "it must tell of every end");
        } else {
            turn(seed & 1 ? INT64_MAX : 0);
        }
    }
    cr_assert_eq(done_count, (size_t)TOTAL);
    end();
}

Test(pool, many_requests_by_all_routes)
{
    stress(false);
}

Test(pool, many_requests_inside_another_event_loop)
{
    stress(true);
}

Test(pool, the_descriptor_tells_of_each_finished_request)
{
    open_pool_of(1, 0);
    wait_opened();
    int fd = nxi_core_fd(core);
    turn(0);
    for (size_t i = 0; i < 300; i++) {
        nxi_pool_submit(pool, make(i));
        turn(0);
        while (done_count <= i) {
            cr_assert(becomes_readable(fd));
            turn(0);
        }
        if (i % 50 == 0)
            nanosleep(&(struct timespec){ .tv_nsec = MS }, NULL);
    }
    end();
}

Test(pool, a_steady_load_asks_for_no_memory)
{
    uint64_t before = 0;

    open_pool_of(2, 0);
    wait_opened();
    for (size_t round = 0; round < 300; round++) {
        if (round == 50) {
            nxi_memory_fail(UINT64_MAX, false);
            before = nxi_memory_requests();
        }
        done_count = 0;
        for (size_t i = 0; i < 64; i++) {
            done_counts[i] = 0;
            make(i)->transaction = i % 4 == 0 ? round * 64 + i + 1 : 0;
            requests[i].begin = i % 4 == 0 ? NXI_BEGIN_SNAPSHOT : NXI_BEGIN_NONE;
            requests[i].end = i % 4 == 0 ? NXI_END_COMMIT : NXI_END_NONE;
            nxi_pool_submit(pool, &requests[i]);
        }
        wait_done(64);
    }
    cr_assert_eq(nxi_memory_requests(), before);
    end();
}
