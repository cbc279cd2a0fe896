/*
 * rig - a core, a pool and a few hundred requests that count how often they are done; for the tests of wire pools.
 */
#include "tests/support/rig.h"

nxi_memory *memory;
nxi_core *core;
nxi_pool *pool;
nxi_request requests[REQUESTS];
nxi_step steps[REQUESTS];
nxi_arena arenas[REQUESTS];
int done_counts[REQUESTS];
size_t done_count, order[REQUESTS * 8];
int opened_calls, closed_calls;
nx_status opened_status;

void on_opened(void *context, nx_status status, const nx_error *error)
{
    (void)context;
    (void)error;
    opened_calls++;
    opened_status = status;
}
void on_closed(void *context, nx_status status, const nx_error *error)
{
    (void)context;
    (void)error;
    cr_assert_eq(status, NX_OK);
    closed_calls++;
}
static void on_done(nxi_request *request)
{
    done_counts[request - requests]++;
    if (done_count < NXI_COUNT(order))
        order[done_count] = (size_t)(request - requests);
    done_count++;
}

void turn(int64_t wait_ns)
{
    cr_assert_eq(nxi_core_turn(core, wait_ns), NX_OK);
}

void open_core(nxi_io *io)
{
    nx_loop_options options = { .spin_us = UINT32_MAX };
    nx_error error;

    memory = nxi_memory_new(0);
    cr_assert_eq(nxi_core_open(memory, &options, io, &core, &error), NX_OK, "%s", error.message);
    for (size_t i = 0; i < REQUESTS; i++)
        nxi_arena_init(&arenas[i], memory);
}

void end(void)
{
    nxi_pool_free(pool);
    nxi_core_close(core);
    for (size_t i = 0; i < REQUESTS; i++) {
        cr_assert_leq(done_counts[i], 1, "request %zu is done %d times", i, done_counts[i]);
        nxi_arena_fini(&arenas[i]);
    }
    nxi_memory_free(memory);
    cr_assert_eq(atomic_load(&fake_wire_opens), atomic_load(&fake_wire_closes));
}

nxi_request *make(size_t i, uint32_t body)
{
    steps[i] = (nxi_step){ .kind = NXI_STEP_EXECUTE, .cursor = 1000 + i, .row_limit = body };
    requests[i] = (nxi_request){ .steps = &steps[i], .step_count = 1, .arena = &arenas[i], .done = on_done };
    done_counts[i] = 0;
    return &requests[i];
}

nxi_request *make_in(size_t i, uint64_t transaction, nxi_begin begin, nxi_end ending)
{
    nxi_request *request = make(i, 0);

    request->transaction = transaction;
    request->begin = begin;
    request->end = ending;
    return request;
}

void submit(size_t i)
{
    nxi_pool_submit(pool, make(i, 0));
}
