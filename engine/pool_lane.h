/*
 * pool_lane - the connections of a pool, each from its opening to its closing, and the transactions that are bound to them.
 *
 * A lane counts against the bound of the pool until it is retired: broken, interrupted or not clean any more. A retired lane is
 * never used again, so that waiting for its end holds up nobody.
 */
#ifndef NXI_POOL_LANE_H
#define NXI_POOL_LANE_H

#include "engine/conn.h"
#include "engine/opener.h"
#include "engine/pool_kind.h"

typedef struct nxi_binding nxi_binding;
typedef struct nxi_lane {
    struct nxi_lane *next, *previous, *next_dirty;
    nxi_pool *pool;
    nxi_conn *conn;
    nxi_binding *bound;
    bool is_open, is_dirty, pinned, retired;
    bool check;                   /* look whether it is clean */
    bool ended;                   /* the kernel has let go */
    bool interrupting;
    nxi_job job, interrupt;
    int fd;                       /* result and error: written by the opener */
    nx_status result;
    nx_error error;
} nxi_lane;

struct nxi_binding {
    nxi_binding *next;            /* in the list of spare ones */
    uint64_t transaction;
    nxi_lane *lane;               /* NULL: its first request waits for one */
    nxi_queue backlog;            /* no room yet */
    size_t under_way;
};

typedef struct nxi_wires {
    nxi_openers *openers;
    nxi_lane *lanes, *dirty;
    size_t min, max, window;
    size_t lane_count, permits, open, connecting; /* permits: lanes that are not retired */
    nxi_queue waiting;
    nxi_timer timer;              /* the first of those that wait has waited enough, or it is time to connect again */
    nxi_pool *pool;
    unsigned failures;            /* of opening, in a row */
    int64_t retry_ns;
    nxi_binding *spare;
    bool closing;
} nxi_wires;

static inline nxi_wires *nxi_wires_of(const nxi_pool *pool)
{
    return pool->lanes;
}

/* NULL: no such transaction. */
nxi_binding *nxi_binding_find(const nxi_pool *pool, uint64_t transaction);
nxi_binding *nxi_binding_new(nxi_pool *pool, uint64_t transaction); /* NULL: out of memory */
/* A request is over: of its transaction, too, unless it says in_transaction. */
void nxi_binding_settle(nxi_pool *pool, const nxi_request *request);
void nxi_binding_free_all(nxi_pool *pool);

/* Over without a connection having had it. */
void nxi_lane_refuse(nxi_pool *pool, nxi_request *request, const nx_error *error, bool in_transaction);
void nxi_lane_refuse_waiting(nxi_pool *pool, const nx_error *error);
/* As many more as are wanted and allowed. After a failure one alone tries, and not before its time. */
void nxi_lane_grow(nxi_pool *pool, size_t wanted);
/* Have the server stop what nobody waits for any more; the lane is retired. No effect when somebody still waits. */
void nxi_lane_interrupt(nxi_lane *lane);
void nxi_lane_close_all(nxi_pool *pool, const nx_error *error);

#endif
