/*
 * pool_lane - the connections of a pool, each from its opening to its closing, and the transactions that are bound to them.
 *
 * A lane counts against the bound of the pool until it is retired: broken, closed, or interrupted for good. A retired lane is
 * never used again, so that waiting for its end holds up nobody. The one lane that listens does not count at all.
 *
 * What a lane may be busy with besides requests, one at a time (pool_care.c):
 *
 *   NONE --asked whether it lives--> PING --answered--> NONE
 *   NONE --a request is given up--> DRAIN --all answers have come, the interrupt is over--> SETTLE --answered--> NONE
 *                                   DRAIN --all answers have come, the interrupt was given up--> closed
 *
 * Meanwhile it takes no requests, and an answer that does not come in time closes it.
 */
#ifndef NXI_POOL_LANE_H
#define NXI_POOL_LANE_H

#include "engine/conn.h"
#include "engine/opener.h"
#include "engine/pool_kind.h"

typedef enum nxi_care { NXI_CARE_NONE, NXI_CARE_PING, NXI_CARE_DRAIN, NXI_CARE_SETTLE } nxi_care;

typedef struct nxi_binding nxi_binding;
typedef struct nxi_lane {
    struct nxi_lane *next, *previous, *next_dirty;
    nxi_pool *pool;
    nxi_conn *conn;
    nxi_binding *bound;
    bool is_open, is_dirty, pinned, retired;
    bool listening;    /* the one for notifications */
    bool check;        /* look whether it is clean */
    bool dismissed;    /* closed by us, not lost */
    bool ended;        /* the kernel has let go */
    bool expired;      /* of age: no new requests, closed when it is idle */
    bool interrupting; /* the job is under way */
    bool interrupted;  /* DRAIN: SETTLE has to follow */
    bool loose;        /* the interrupt was given up, and may hit whatever comes: written by its job */
    bool leaves_work;  /* closed by us while the server was at something: it is asked to stop */
    _Atomic bool interrupt_off;   /* Sync: atomic, relaxed: set by the loop: it is of no use any more */
    nxi_care care;
    int64_t care_until_ns; /* closed when it is busy with that for longer; INT64_MAX: no limit */
    int64_t used_ns;       /* when the last answer came */
    int64_t expires_ns;    /* INT64_MAX: never */
    nxi_job job, interrupt;
    int fd; /* result and error: written by the opener */
    nx_status result;
    nx_error error;
} nxi_lane;

struct nxi_binding {
    nxi_binding *next; /* in the list of spare ones */
    uint64_t transaction;
    nxi_lane *lane;    /* NULL: its first request waits for one */
    bool aborted;      /* over, and its owner does not know yet; no lane */
    bool is_over;      /* a request has said so; others are still under way */
    nxi_queue backlog; /* no room yet */
    size_t under_way;
};

typedef struct nxi_wires {
    nxi_openers *openers;
    nxi_openers *interrupters; /* of their own: what hangs there must not keep anybody from connecting, nor the reverse */
    nxi_lane *lanes, *dirty;
    size_t min, max, window, waiters_max;
    int64_t timeout_ns, idle_check_ns, lifetime_ns;        /* INT64_MAX: never */
    size_t lane_count, permits, open, connecting, pinging; /* permits: lanes that are not retired */
    nxi_queue waiting;
    nxi_timer timer; /* the earliest of all that has to happen at some time */
    nxi_pool *pool;
    int64_t looked_ns;            /* when we last took what has come */
    /* the server's health */
    bool proven;       /* there has been a connection */
    bool doubtful;     /* one that was idle turned out to be dead */
    unsigned failures; /* of opening, in a row */
    size_t allowance;             /* opened at the same time at most: 1 after trouble, one more with each success: it doubles */
    int64_t retry_ns;
    nx_error open_error; /* of the last failure */
    nxi_binding *spare;
    /* the connection that listens (pool_listen.c) */
    nxi_lane *listener; /* NULL: none; may still be connecting */
    nxi_queue listen_queue;
    nxi_pool_listener listen;
    bool listen_lost, unlisten; /* lost: to be told; unlisten: nobody listens any more */
    bool closing;
} nxi_wires;

static inline nxi_wires *nxi_wires_of(const nxi_pool *pool)
{
    return pool->lanes;
}

/* The timer fires at that time or earlier. False: out of memory. */
bool nxi_wires_wake_at(nxi_pool *pool, int64_t when_ns);

/* NULL: no such transaction. */
nxi_binding *nxi_binding_find(const nxi_pool *pool, uint64_t transaction);
nxi_binding *nxi_binding_new(nxi_pool *pool, uint64_t transaction); /* NULL: out of memory */
/* A request is over: of its transaction, too, unless it says in_transaction. */
void nxi_binding_settle(nxi_pool *pool, const nxi_request *request);
/* The lane's transaction is over without any of its requests having said so: the next one is told. */
void nxi_binding_abort(nxi_lane *lane);
/* A request of an aborted transaction. */
void nxi_binding_refuse(nxi_pool *pool, nxi_binding *bound, nxi_request *request);
void nxi_binding_free_all(nxi_pool *pool);

/* Over without a connection having had it. in_transaction: as for nxi_request_not_run. */
void nxi_lane_refuse(nxi_pool *pool, nxi_request *request, const nx_error *error, bool in_transaction);
void nxi_lane_refuse_waiting(nxi_pool *pool, const nx_error *error);
/* As many more as are wanted and allowed. After a failure one alone tries, and not before its time. */
void nxi_lane_grow(nxi_pool *pool, size_t wanted);
/* One that listens. False: not now. */
bool nxi_lane_connect_listener(nxi_pool *pool);
/* Trying again is of no use before something is changed. */
bool nxi_lane_is_final(nx_status status);
/* There is a connection that serves, or will serve, those who wait. */
bool nxi_lane_can_serve(const nxi_wires *all);
/* On our own account. */
void nxi_lane_close(nxi_lane *lane, nx_status status, const char *why);
void nxi_lane_close_all(nxi_pool *pool, const nx_error *error);
/* The driver may close its state: nothing of the kernel's and no interrupt uses it any more. */
void nxi_lane_start_close(nxi_lane *lane);
/* Not used again; its permit is free. */
void nxi_lane_retire(nxi_lane *lane);

/* pool_care.c */
void nxi_care_init(nxi_lane *lane); /* it is open */
/* Ask that many of the idle lanes that may be dead; those that are being asked count. */
void nxi_care_ping(nxi_pool *pool, size_t wanted);
bool nxi_care_is_stale(const nxi_lane *lane, int64_t now);
/* A request on it was given up: its transaction waits for the answer; when nobody waits for anything, the server is stopped. */
void nxi_care_given_up(nxi_lane *lane);
/* With each turn, of an open lane: what it was busy with may be over. */
void nxi_care_attend(nxi_lane *lane);
/* Nothing in flight and nobody's: back to the pool, or out of the world. */
void nxi_care_tidy(nxi_lane *lane);
/* What is due is done; when to look again, or INT64_MAX. */
int64_t nxi_care_due(nxi_lane *lane, int64_t now);

/* pool_listen.c */
void nxi_listen_submit(nxi_pool *pool, nxi_request *request);
void nxi_listen_turn(nxi_pool *pool);
void nxi_listen_refuse(nxi_pool *pool, const nx_error *error);
void nxi_listen_notified(nxi_lane *lane, nx_text channel, nx_text payload);
void nxi_listen_is_over(nxi_lane *lane);

/* pool_wire.c: those that wait too long are refused; when the next one does. */
int64_t nxi_wires_expire(nxi_pool *pool, nxi_queue *queue, int64_t now);
/* Wait in that queue, for the pool's timeout at most. False: refused for want of memory. */
bool nxi_wires_wait(nxi_pool *pool, nxi_queue *queue, nxi_request *request);

#endif
