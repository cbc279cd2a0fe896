/*
 * rig - a core, a pool and a few hundred requests that count how often they are done; for the tests of wire pools.
 */
#ifndef RIG_H
#define RIG_H

#include <criterion/criterion.h>
#include <time.h>

#include "engine/core.h"
#include "engine/pool.h"
#include "tests/support/fake_wire.h"

enum { REQUESTS = 256 };
#define MS INT64_C(1000000)

extern nxi_memory *memory;
extern nxi_core *core;
extern nxi_pool *pool;
extern nxi_request requests[REQUESTS];
extern nxi_step steps[REQUESTS];
extern nxi_arena arenas[REQUESTS];
extern int done_counts[REQUESTS];
extern size_t done_count, order[REQUESTS * 8]; /* order: indexes, as they were done */
extern int opened_calls, closed_calls;
extern nx_status opened_status;

void on_opened(void *context, nx_status status, const nx_error *error);
void on_closed(void *context, nx_status status, const nx_error *error);
void turn(int64_t wait_ns);
void open_core(nxi_io *io);
/* Frees the pool and everything; each request must have been done once at most, and what was opened be closed. */
void end(void);

/* A request that asks for a body of that size; of a transaction. */
nxi_request *make(size_t i, uint32_t body);
nxi_request *make_in(size_t i, uint64_t transaction, nxi_begin begin, nxi_end ending);
void submit(size_t i);

/* Openers are real threads: give them time without moving the scripted clock. */
#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        for (int tries_ = 0; !(condition); tries_++) {                                             \
            cr_assert_lt(tries_, 20000, "it never comes: " #condition);                            \
            turn(0);                                                                               \
            if (tries_ > 100)                                                                      \
                nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);                          \
        }                                                                                          \
    } while (0)

#endif
