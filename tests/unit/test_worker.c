/*
 * test_worker - boxes, sleeping and ringing, and the ends of workers.
 */
#include "engine/worker.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define MS INT64_C(1000000)

/* ------------------------------------------------------------------------------ an executor that tells */

typedef struct record {
    nxi_port *port;
    int64_t last;            /* identification served last */
    nxi_request *kept;       /* in keep mode: until asked to stop, or abandoned */
} record;

static atomic_bool fail_open, keep, hold; /* hold: serve waits until it is switched off */
static _Atomic int opens, closes, wakes, abandons;
static _Atomic int64_t wake_time = INT64_MAX;
static _Atomic int64_t serve_ns;
static char thread_name[16];
static sigset_t thread_mask;

static nx_status open_it(void *state, const nx_bind_options *options, nxi_role role, nxi_port *port, nx_error *error)
{
    record *r = state;

    (void)options;
    (void)role;
    atomic_fetch_add(&opens, 1);
    r->port = port;
    r->last = -1;
    pthread_getname_np(pthread_self(), thread_name, sizeof(thread_name));
    pthread_sigmask(SIG_SETMASK, NULL, &thread_mask);
    if (atomic_load(&fail_open))
        return nxi_fail(error, NX_EOPEN, "no such file");
    return NX_OK;
}

static void close_it(void *state)
{
    (void)state;
    atomic_fetch_add(&closes, 1);
}

static void finish_stopped(record *r)
{
    nxi_request *list = r->kept;

    r->kept = NULL;
    while (list != NULL) {
        nxi_request *next = list->next;
        int why = atomic_load(&list->stop);

        if (why != NX_OK) {
            nxi_request_fail(list, 0, (nx_status)why, "stopped");
            nxi_port_finish(r->port, list);
        } else {
            list->next = r->kept;
            r->kept = list;
        }
        list = next;
    }
}

static void serve_it(void *state, nxi_request *batch)
{
    record *r = state;

    if (batch == NULL) {
        atomic_fetch_add(&wakes, 1);
        atomic_store(&wake_time, INT64_MAX);
        finish_stopped(r);
    }
    while (batch != NULL) {
        nxi_request *next = batch->next;

        while (atomic_load(&hold) && !nxi_port_is_stopping(r->port))
            sched_yield();
        cr_assert_eq(batch->lane_data, r->last + 1, "in the order of submission");
        r->last = batch->lane_data;
        if (atomic_load(&serve_ns) != 0) {
            int64_t end = nxi_clock_ns() + atomic_load(&serve_ns);

            while (nxi_clock_ns() < end)
                continue;
        }
        if (atomic_load(&keep)) {
            batch->next = r->kept;
            r->kept = batch;
        } else {
            batch->status = NX_OK;
            nxi_port_finish(r->port, batch);
        }
        batch = next;
    }
}

static int64_t wake_it(const void *state)
{
    (void)state;
    return atomic_load(&wake_time);
}

static void abandon_it(void *state, nx_status status)
{
    record *r = state;

    atomic_fetch_add(&abandons, 1);
    while (r->kept != NULL) {
        nxi_request *next = r->kept->next;

        nxi_request_fail(r->kept, 0, status, "abandoned");
        nxi_port_finish(r->port, r->kept);
        r->kept = next;
    }
}

static const nxi_executor executor = {
    .state_size = sizeof(record), .open = open_it, .close = close_it, .serve = serve_it, .wake_at = wake_it, .abandon = abandon_it
};

/* ------------------------------------------------------------------------------ the loop's side */

static nxi_memory *memory;
static nxi_core *core;
static nxi_worker *worker;
static nxi_request *got;      /* newest first */
static int64_t got_count, got_next;

static void take(nxi_source *source)
{
    (void)source;
    for (nxi_request *request = nxi_worker_collect(worker), *next; request != NULL; request = next) {
        next = request->next;
        if (!atomic_load(&keep)) {
            cr_assert_eq(request->lane_data, got_next, "finished in order");
            got_next++;
        }
        request->next = got;
        got = request;
        got_count++;
    }
}

static int64_t pushed;

static void nothing(nxi_source *source) { (void)source; }
static bool has_news(const nxi_source *source)
{
    (void)source;
    return nxi_worker_has_news(worker);
}
static bool is_busy(const nxi_source *source)
{
    (void)source;
    return pushed != got_count;
}
static void rouse(nxi_source *source)
{
    (void)source;
    nxi_worker_rouse(worker);
}
static nxi_source source = { .hand_over = nothing, .has_news = has_news, .collect = take, .is_busy = is_busy, .rouse = rouse };

static void start(uint32_t spin_us, nxi_role role)
{
    nx_loop_options options = { .spin_us = spin_us };
    static const nx_bind_options none;
    nxi_worker_setup setup = { .executor = &executor, .options = &none, .role = role, .number = 3 };
    nx_error error;

    memory = nxi_memory_new(0);
    cr_assert_eq(nxi_core_open(memory, &options, NULL, &core, &error), NX_OK, "%s", error.message);
    setup.core = core;
    cr_assert_eq(nxi_worker_start(&setup, &worker, &error), NX_OK);
    nxi_core_add(core, &source);
}

static void turn(int64_t wait_ns)
{
    cr_assert_eq(nxi_core_turn(core, wait_ns), NX_OK);
}

static void wait_open(void)
{
    while (nxi_worker_state_of(worker) == NXI_WORKER_OPENING)
        turn(INT64_MAX);
    cr_assert_eq(nxi_worker_state_of(worker), NXI_WORKER_OPEN);
}

static void end(void)
{
    nxi_core_remove(core, &source);
    nxi_worker_stop(worker);
    nxi_worker_stop(worker);
    nxi_worker_join(worker);
    take(NULL);
    nxi_worker_free(worker);
    nxi_core_close(core);
}

static void push_one(nxi_request *request, nxi_arena *arena)
{
    *request = (nxi_request){ .lane_data = pushed++, .arena = arena };
    nxi_worker_push(worker, request, request);
}

/* 100 000 requests, in batches of changing sizes, with changing pauses: each comes back once and in order. */
static void stress(uint32_t spin_us, int64_t each_ns, int64_t total)
{
    enum { COUNT = 256 };
    static nxi_request requests[COUNT];
    uint64_t seed = 1;

    start(spin_us, NXI_ROLE_WRITER);
    wait_open();
    atomic_store(&serve_ns, each_ns);
    for (int i = 0; i < COUNT; i++) {
        requests[i].next = got;
        got = &requests[i];
    }
    got_next = got_count = pushed = 0;
    while (got_count < total) {
        nxi_request *first = NULL, *last = NULL;
        size_t want;

        seed = seed * 6364136223846793005u + 1;
        want = (seed >> 60) + 1;
        for (size_t i = 0; i < want && got != NULL && pushed < total; i++) {
            nxi_request *request = got;

            got = request->next;
            *request = (nxi_request){ .lane_data = pushed++ };
            if (last != NULL)
                last->next = request;
            else
                first = request;
            last = request;
        }
        if (first != NULL)
            nxi_worker_push(worker, first, last);
        if ((seed >> 40 & 1023) == 0) /* now and then everybody falls asleep */
            nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
        turn(got == NULL || pushed == total ? INT64_MAX : 0);
    }
    cr_assert_eq(got_count, total);
    cr_assert_eq(got_next, total);
    end();
    nxi_memory_free(memory);
}

Test(worker, many_requests_while_spinning)
{
    stress(50, 0, 100000);
}

Test(worker, many_requests_while_sleeping)
{
    stress(UINT32_MAX, 0, 100000);
}

Test(worker, requests_that_take_longer_than_the_spin)
{
    stress(20, 60000, 2000);
}

/* One at a time, waiting for each in the kernel: every doorbell of both sides is needed. */
Test(worker, one_at_a_time_needs_every_bell)
{
    static nxi_request request;

    start(UINT32_MAX, NXI_ROLE_WRITER);
    wait_open();
    for (int64_t i = 0; i < 3000; i++) {
        push_one(&request, NULL);
        while (got_count <= i)
            turn(INT64_MAX);
        got = NULL;
        if (i % 64 == 0)
            nanosleep(&(struct timespec){ .tv_nsec = 300000 }, NULL); /* the worker sleeps, too */
    }
    end();
    nxi_memory_free(memory);
}

Test(worker, a_batch_in_flight_needs_few_system_calls)
{
    enum { COUNT = 64, ROUNDS = 500 };
    static nxi_request requests[COUNT];
    uint64_t before;

    start(0, NXI_ROLE_WRITER);
    wait_open();
    before = nxi_core_enters(core);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < COUNT; i++)
            push_one(&requests[i], NULL);
        while (got_count < pushed)
            turn(INT64_MAX);
    }
    /* At worst a bell each way, a wait each way and a bell that came too late, for each batch of 64. */
    cr_assert_leq(nxi_core_enters(core) - before, (uint64_t)ROUNDS * 6);
    end();
    nxi_memory_free(memory);
}

Test(worker, opening_that_fails_is_told)
{
    const nx_error *error;

    atomic_store(&fail_open, true);
    start(0, NXI_ROLE_WRITER);
    while (nxi_worker_state_of(worker) != NXI_WORKER_FAILED)
        turn(INT64_MAX);
    cr_assert_eq(nxi_worker_result(worker, &error), NX_EOPEN);
    cr_assert_str_eq(error->message, "no such file");
    end();
    nxi_memory_free(memory);
    cr_assert_eq(atomic_load(&closes), 1, "close accepts a state whose open failed");
}

Test(worker, a_stop_while_opening_ends_it)
{
    start(0, NXI_ROLE_WRITER);
    nxi_worker_stop(worker);
    end();
    nxi_memory_free(memory);
    cr_assert_eq(atomic_load(&opens), atomic_load(&closes));
}

Test(worker, a_stop_gives_back_what_is_held_and_what_is_on_its_way)
{
    nxi_request requests[3];
    nxi_arena arenas[3];

    start(0, NXI_ROLE_WRITER);
    wait_open();
    atomic_store(&keep, true);
    for (int i = 0; i < 3; i++) {
        nxi_arena_init(&arenas[i], memory);
        if (i == 2) { /* the last one meets a worker that is busy, and is still in the box when the stop comes */
            nanosleep(&(struct timespec){ .tv_nsec = 5 * MS }, NULL);
            atomic_store(&hold, true);
        }
        push_one(&requests[i], &arenas[i]);
        turn(0);
    }
    end();
    cr_assert_eq(got_count, 3);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(requests[i].status, NX_ECLOSED);
        nxi_arena_fini(&arenas[i]);
    }
    cr_assert_eq(atomic_load(&abandons), 1);
    nxi_memory_free(memory);
}

Test(worker, a_nudge_makes_it_look_at_what_it_holds)
{
    nxi_request requests[2];
    nxi_arena arenas[2];

    start(0, NXI_ROLE_WRITER);
    wait_open();
    atomic_store(&keep, true);
    for (int i = 0; i < 2; i++) {
        nxi_arena_init(&arenas[i], memory);
        push_one(&requests[i], &arenas[i]);
    }
    turn(0);
    nanosleep(&(struct timespec){ .tv_nsec = 5 * MS }, NULL); /* it sleeps by now, most likely; if not, the test holds as well */
    atomic_store(&requests[0].stop, NX_ECANCELED);
    nxi_worker_nudge(worker);
    while (got_count < 1)
        turn(INT64_MAX);
    cr_assert_eq(requests[0].status, NX_ECANCELED);
    cr_assert_geq(atomic_load(&wakes), 1);
    end();
    cr_assert_eq(requests[1].status, NX_ECLOSED);
    nxi_arena_fini(&arenas[0]);
    nxi_arena_fini(&arenas[1]);
    nxi_memory_free(memory);
}

Test(worker, wake_at_is_kept)
{
    int64_t at;

    at = nxi_clock_ns() + 20 * MS;
    atomic_store(&wake_time, at); /* before it can look for the first time */
    start(0, NXI_ROLE_WRITER);
    wait_open();
    while (atomic_load(&wakes) == 0)
        turn(5 * MS);
    cr_assert_geq(nxi_clock_ns(), at);
    end();
    nxi_memory_free(memory);
}

Test(worker, its_thread_has_a_name_and_leaves_signals_alone)
{
    start(0, NXI_ROLE_READER);
    wait_open();
    cr_assert_str_eq(thread_name, "nx-reader-3");
    cr_assert(sigismember(&thread_mask, SIGINT) && sigismember(&thread_mask, SIGTERM) && sigismember(&thread_mask, SIGALRM));
    cr_assert_not(sigismember(&thread_mask, SIGSEGV));
    end();
    nxi_memory_free(memory);
}

Test(worker, no_memory_for_a_worker_is_an_error)
{
    static const nx_bind_options none;
    nxi_worker_setup setup = { .executor = &executor, .options = &none };
    nx_error error;

    memory = nxi_memory_new(0);
    cr_assert_eq(nxi_core_open(memory, NULL, NULL, &core, &error), NX_OK);
    setup.core = core;
    for (uint64_t n = 1; n <= 2; n++) {
        nxi_memory_fail(n, false);
        cr_assert_eq(nxi_worker_start(&setup, &worker, &error), NX_ENOMEM);
        nxi_memory_fail(0, false);
    }
    nxi_core_close(core);
    nxi_memory_free(memory);
}
