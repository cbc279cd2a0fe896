/*
 * pool_care - what keeps connections fit: asking idle ones whether they live, getting interrupted ones back, replacing old ones.
 *
 * An interrupt names a connection, not a request, and its return only says that the server has taken it: it may hit whatever
 * the server does next. So it is sent only when nobody waits for anything on that connection, or when the driver spares the
 * others: what it hits is sent again. Nothing is put on the connection until all answers have come, the interrupt is over, and a
 * barrier that it may hit has been answered. One that was given up is never over: its connection ends with the last answer.
 */
#include "engine/pool_lane.h"

enum { ANSWER_MS = 5000 /* a ping, or all from an interrupt to its barrier */ };

/* ------------------------------------------------------------------------------ age */

static int64_t jittered(int64_t span_ns, uint64_t seed)
{
    int64_t tenth = span_ns / 10;

    return span_ns - tenth + (int64_t)(nxi_hash_u64(seed) % (uint64_t)(2 * tenth + 1));
}

/* One that listens is asked even though nobody wants to use it: who listens would wait for ever. */
static void plan_listener(nxi_lane *l)
{
    int64_t check = nxi_wires_of(l->pool)->idle_check_ns;

    if (l->listening && check != INT64_MAX && l->pool->driver->wire->ping != NULL)
        (void)nxi_wires_wake_at(l->pool, l->used_ns + check);
}

void nxi_care_init(nxi_lane *l)
{
    const nxi_wires *all = nxi_wires_of(l->pool);
    int64_t now = nxi_core_now(l->pool->core);

    l->used_ns = now;
    l->expires_ns = INT64_MAX;
    if (!l->listening && all->lifetime_ns != INT64_MAX)
        l->expires_ns = now + jittered(all->lifetime_ns, (uint64_t)now ^ (uintptr_t)l);
    /* Without memory for the timer it is done when something else sets one. */
    if (l->expires_ns != INT64_MAX)
        (void)nxi_wires_wake_at(l->pool, l->expires_ns);
    plan_listener(l);
}

/* ------------------------------------------------------------------------------ asking */

bool nxi_care_is_stale(const nxi_lane *l, int64_t now)
{
    const nxi_wires *all = nxi_wires_of(l->pool);

    return l->pool->driver->wire->ping != NULL && all->idle_check_ns != INT64_MAX && nxi_conn_load(l->conn) == 0 &&
           now - l->used_ns >= all->idle_check_ns;
}

static void ping(nxi_lane *l, int64_t now)
{
    nxi_wires *all = nxi_wires_of(l->pool);
    int64_t limit = INT64_C(1000000) * ANSWER_MS;

    /* Who waits behind it shall still have time for another one. */
    limit = limit < all->timeout_ns / 2 ? limit : all->timeout_ns / 2;
    l->care = NXI_CARE_PING;
    l->care_until_ns = now + limit;
    all->pinging += l->listening ? 0 : 1;
    if (nxi_wires_wake_at(l->pool, l->care_until_ns))
        nxi_conn_ping(l->conn);
    else
        nxi_lane_close(l, NX_ENOMEM, "no memory to ask whether the connection lives");
}

void nxi_care_ping(nxi_pool *pool, size_t wanted)
{
    nxi_wires *all = nxi_wires_of(pool);
    int64_t now;

    if (pool->driver->wire->ping == NULL || all->idle_check_ns == INT64_MAX || all->pinging >= wanted)
        return;
    now = nxi_core_now(pool->core);
    for (nxi_lane *l = all->lanes, *next; l != NULL && all->pinging < wanted; l = next) {
        next = l->next;
        if (l->is_open && !l->pinned && !l->listening && !l->expired && l->care == NXI_CARE_NONE && nxi_care_is_stale(l, now))
            ping(l, now);
    }
}

/* ------------------------------------------------------------------------------ interrupting */

static void run_interrupt(nxi_job *job)
{
    nxi_lane *l = NXI_CONTAINER(job, nxi_lane, interrupt);

    if (!atomic_load_explicit(&l->interrupt_off, memory_order_relaxed))
        l->loose = !l->pool->driver->wire->interrupt(nxi_conn_state(l->conn));
}

static void done_interrupt(nxi_job *job)
{
    nxi_lane *l = NXI_CONTAINER(job, nxi_lane, interrupt);

    l->interrupting = false;
    if (l->ended)
        nxi_lane_start_close(l); /* it has waited for us */
    else if (l->retired)
        nxi_lane_close(l, NX_ELOST, "the connection was closed because an operation on it was stopped");
}

static bool can_come_back(const nxi_lane *l)
{
    const nxi_wire *wire = l->pool->driver->wire;

    return wire->settle != NULL && (l->bound == NULL || wire->is_quiet != NULL);
}

static bool limit_care(nxi_lane *l)
{
    l->care_until_ns = nxi_core_now(l->pool->core) + INT64_C(1000000) * ANSWER_MS;
    return nxi_wires_wake_at(l->pool, l->care_until_ns);
}

/* others: are in flight, and have all the time that they need. */
static void interrupt(nxi_lane *l, bool others)
{
    nxi_wires *all = nxi_wires_of(l->pool);

    if (can_come_back(l)) {
        l->care = NXI_CARE_DRAIN;
        l->care_until_ns = INT64_MAX;
        l->interrupted = true;
    }
    if (!l->interrupted || (!others && !limit_care(l)))
        nxi_lane_retire(l);
    l->interrupting = true;
    atomic_store_explicit(&l->interrupt_off, false, memory_order_relaxed); /* starting a job takes a lock */
    l->interrupt = (nxi_job){ .run = run_interrupt, .done = done_interrupt };
    if (nxi_openers_start(all->interrupters, &l->interrupt))
        return;
    l->interrupting = false;
    if (!others)
        nxi_lane_close(l, NX_ELOST, "the connection was closed because an operation on it was stopped");
    /* else it is as if the interrupt had come too late */
}

static void interrupt_running(nxi_lane *l)
{
    const nxi_wire *wire = l->pool->driver->wire;
    bool others;

    if (l->listening || l->interrupting || l->interrupted || wire->interrupt == NULL || !nxi_conn_has_given_up(l->conn))
        return;
    others = !nxi_conn_is_dead_weight(l->conn);
    if (!others || (l->bound == NULL && l->care == NXI_CARE_NONE && can_come_back(l) && wire->spares != NULL &&
                    wire->spares(nxi_conn_state(l->conn))))
        interrupt(l, others);
}

void nxi_care_given_up(nxi_lane *l)
{
    l->check = true;
    if (l->listening || nxi_conn_load(l->conn) == 0)
        return;
    if (l->bound != NULL && l->care == NXI_CARE_NONE) {
        l->care = NXI_CARE_DRAIN;
        l->care_until_ns = INT64_MAX;
    }
    interrupt_running(l);
}

void nxi_care_tidy(nxi_lane *l)
{
    bool idle;

    interrupt_running(l); /* what was given up may have come to be what runs */
    if (nxi_conn_load(l->conn) != 0 || l->care != NXI_CARE_NONE)
        return;
    l->check = false;
    idle = nxi_conn_is_idle(l->conn);
    if (l->bound != NULL) {
        if (!idle)
            return; /* between two requests of its transaction */
        nxi_binding_abort(l);
        l->check = false;
    }
    if (!idle) {
        nxi_lane_close(l, NX_ELOST, "the connection was not clean");
        return;
    }
    l->pinned = false;
    if (l->expired)
        nxi_lane_close(l, NX_ELOST, "the connection was of age");
}

/* ------------------------------------------------------------------------------ in time */

static void recover(nxi_lane *l)
{
    l->care = NXI_CARE_NONE;
    l->interrupted = false;
    l->check = true;
    l->used_ns = nxi_core_now(l->pool->core);
    plan_listener(l);
}

static void attend_drain(nxi_lane *l)
{
    if (nxi_conn_load(l->conn) > 0) {
        if (l->interrupted && l->care_until_ns == INT64_MAX && nxi_conn_is_dead_weight(l->conn) && !limit_care(l))
            nxi_lane_close(l, NX_ENOMEM, "no memory to wait for the end of an operation that was stopped");
        return;
    }
    if (l->interrupting) {
        atomic_store_explicit(&l->interrupt_off, true, memory_order_relaxed); /* unless it is on its way */
        return;
    }
    if (!l->interrupted) {
        recover(l);
    } else if (l->loose) {
        nxi_lane_close(l, NX_ELOST, "the server took no notice of a request to stop an operation, and might do so later");
    } else if (l->bound == NULL && !nxi_conn_is_idle(l->conn)) {
        nxi_lane_close(l, NX_ELOST, "the connection was not clean");
    } else {
        l->care = NXI_CARE_SETTLE;
        if (l->care_until_ns != INT64_MAX || limit_care(l))
            nxi_conn_settle(l->conn);
        else
            nxi_lane_close(l, NX_ENOMEM, "no memory to wait for the server");
    }
}

static void attend_settle(nxi_lane *l)
{
    const nxi_wire *wire = l->pool->driver->wire;

    if (nxi_conn_is_idle(l->conn) || (l->bound != NULL && wire->is_quiet(nxi_conn_state(l->conn))))
        recover(l);
}

void nxi_care_attend(nxi_lane *l)
{
    switch (l->care) {
    case NXI_CARE_NONE: break;
    case NXI_CARE_PING:
        if (!nxi_conn_is_idle(l->conn))
            break;
        nxi_wires_of(l->pool)->pinging -= l->listening ? 0 : 1;
        nxi_wires_of(l->pool)->doubtful = false;
        recover(l);
        break;
    case NXI_CARE_DRAIN: attend_drain(l); break;
    case NXI_CARE_SETTLE: attend_settle(l); break;
    }
}

static int64_t give_out(nxi_lane *l)
{
    if (l->care == NXI_CARE_PING) {
        nxi_wires_of(l->pool)->doubtful = true;
        nxi_wires_of(l->pool)->allowance = 1;
        nxi_lane_close(l, NX_ELOST, "the connection was dead: the server did not answer on it");
    } else {
        nxi_lane_close(l, NX_ELOST, "the server did not end in time what it was asked to stop");
    }
    return INT64_MAX;
}

static int64_t listener_due(nxi_lane *l, int64_t now)
{
    int64_t check = nxi_wires_of(l->pool)->idle_check_ns;

    if (l->pool->driver->wire->ping == NULL || check == INT64_MAX)
        return INT64_MAX;
    if (!nxi_care_is_stale(l, now))
        return nxi_conn_load(l->conn) == 0 ? l->used_ns + check : now + check;
    ping(l, now);
    return l->care == NXI_CARE_PING ? l->care_until_ns : INT64_MAX;
}

int64_t nxi_care_due(nxi_lane *l, int64_t now)
{
    int64_t next = INT64_MAX;

    if (!l->is_open)
        return INT64_MAX;
    if (l->care != NXI_CARE_NONE && l->care_until_ns <= now)
        return give_out(l);
    if (l->care != NXI_CARE_NONE)
        next = l->care_until_ns;
    else if (l->listening)
        next = listener_due(l, now);
    if (l->expired || l->expires_ns == INT64_MAX)
        return next;
    if (l->expires_ns > now)
        return next < l->expires_ns ? next : l->expires_ns;
    l->expired = true;
    nxi_care_tidy(l);
    return next;
}
