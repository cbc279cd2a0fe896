/*
 * pool_fixture - a pool of workers whose driver executes nothing, and requests for it.
 */
#ifndef POOL_FIXTURE_H
#define POOL_FIXTURE_H

#include "engine/core.h"
#include "engine/map.h"
#include "engine/pool.h"

#include <criterion/criterion.h>
#include <sched.h>
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
static int opened_calls;
static nx_status opened_status;

static void on_opened(void *context, nx_status status, const nx_error *error)
{
    (void)context;
    cr_assert((status == NX_OK) == (error == NULL));
    opened_calls++;
    opened_status = status;
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

#endif
