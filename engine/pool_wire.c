/*
 * pool_wire - the pool of a driver that speaks over a socket: which connection a request goes to, and who waits for one.
 *
 * A transaction is bound at its first request. Its lane stays pinned until the transaction is over, every answer has come and
 * the driver says that the connection is clean; what is not clean is closed.
 */
#include "engine/pool_lane.h"

enum { WINDOW = 1024, OPENERS = 4, POOL_TIMEOUT_MS = 30000 };

/* ------------------------------------------------------------------------------ who gets which nxi_lane */

static nxi_lane *choose(const nxi_wires *all)
{
    nxi_lane *best = NULL;

    for (nxi_lane *l = all->lanes; l != NULL; l = l->next) {
        if (!l->is_open || l->pinned || !nxi_conn_has_room(l->conn))
            continue;
        if (best == NULL || nxi_conn_load(l->conn) < nxi_conn_load(best->conn))
            best = l;
        if (nxi_conn_load(best->conn) == 0)
            break;
    }
    return best;
}

static void put(nxi_lane *l, nxi_request *request)
{
    nxi_pool *pool = l->pool;

    if (nxi_conn_put(l->conn, request) == NX_OK)
        return;
    request->in_transaction = request->transaction != 0 && request->begin == NXI_BEGIN_NONE;
    nxi_binding_settle(pool, request);
    nxi_pool_finish(pool, request);
}

static void flush_backlog(nxi_lane *l)
{
    while (l->bound != NULL && l->bound->backlog.first != NULL && nxi_conn_has_room(l->conn))
        put(l, nxi_queue_take(&l->bound->backlog));
}

static bool place(nxi_pool *pool, nxi_request *request)
{
    nxi_lane *l = choose(nxi_wires_of(pool));
    nxi_binding *bound;

    if (l == NULL)
        return false;
    if (nxi_conn_load(l->conn) > 0)
        nxi_lane_grow(pool, 1); /* the next one shall not have to share */
    bound = nxi_binding_find(pool, request->transaction);
    if (bound != NULL) {
        bound->lane = l;
        l->bound = bound;
        l->pinned = true;
    }
    put(l, request);
    flush_backlog(l);
    return true;
}

static bool set_timer(nxi_pool *pool, int64_t when_ns)
{
    nxi_wires *all = nxi_wires_of(pool);

    if (all->timer.place != 0 && all->timer.when_ns <= when_ns)
        return true;
    return nxi_timer_set(pool->core, &all->timer, when_ns);
}

static void wait_in_line(nxi_pool *pool, nxi_request *request)
{
    nxi_wires *all = nxi_wires_of(pool);
    int64_t timeout_ms = pool->options.pool_timeout_ms == 0 ? POOL_TIMEOUT_MS : (int64_t)pool->options.pool_timeout_ms;
    int64_t limit = nxi_core_now(pool->core) + timeout_ms * 1000000;
    nx_error error;

    request->lane_data = limit;
    if (request->deadline_ns != 0 && request->deadline_ns < limit)
        limit = request->deadline_ns;
    if (!set_timer(pool, limit)) { /* waiting must end, so without a timer there is none */
        (void)nxi_fail(&error, NX_ENOMEM, "no memory to wait for a connection");
        nxi_lane_refuse(pool, request, &error, false);
        return;
    }
    nxi_queue_put(&all->waiting, request);
    nxi_lane_grow(pool, all->waiting.count);
}

static void submit_bound(nxi_binding *bound, nxi_request *request)
{
    bound->under_way++;
    if (bound->lane != NULL && bound->backlog.first == NULL && nxi_conn_has_room(bound->lane->conn))
        put(bound->lane, request);
    else
        nxi_queue_put(&bound->backlog, request);
}

static void submit(nxi_pool *pool, nxi_request *request)
{
    nxi_binding *bound = nxi_binding_find(pool, request->transaction);

    if (bound != NULL) {
        submit_bound(bound, request);
        return;
    }
    if (request->transaction != 0) {
        if (request->begin == NXI_BEGIN_NONE) {
            request->outcome = NX_OUTCOME_ROLLED_BACK;
            nxi_pool_refuse(pool, request, NX_ELOST, "the transaction was lost with its connection");
            return;
        }
        bound = nxi_binding_new(pool, request->transaction);
        if (bound == NULL) {
            nxi_pool_refuse(pool, request, NX_ENOMEM, "no memory for a transaction");
            return;
        }
        bound->under_way++;
    }
    /* Nobody overtakes those that wait. */
    if (nxi_wires_of(pool)->waiting.first != NULL || !place(pool, request))
        wait_in_line(pool, request);
}

static void serve_waiting(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);

    while (all->waiting.first != NULL && choose(all) != NULL)
        (void)place(pool, nxi_queue_take(&all->waiting));
    if (all->waiting.first != NULL)
        nxi_lane_grow(pool, all->waiting.count);
    if (pool->phase == NXI_POOL_OPEN && all->permits < all->min)
        nxi_lane_grow(pool, all->min - all->permits);
    if (all->failures > 0 && all->connecting == 0 && all->retry_ns > nxi_core_now(pool->core) &&
        (all->waiting.first != NULL || all->permits < all->min))
        (void)set_timer(pool, all->retry_ns); /* without it, the next submit tries */
}

static void timer_fired(nxi_timer *timer)
{
    nxi_wires *all = NXI_CONTAINER(timer, nxi_wires, timer);
    nxi_pool *pool = all->pool;
    int64_t now = nxi_core_now(pool->core), next = INT64_MAX;
    nxi_queue waiting = all->waiting;
    nx_error error;

    all->waiting = (nxi_queue){ 0 };
    for (nxi_request *request; (request = nxi_queue_take(&waiting)) != NULL;) {
        bool late = request->deadline_ns != 0 && request->deadline_ns <= now;
        int64_t limit = request->lane_data;

        if (late || limit <= now) {
            (void)nxi_fail(&error, late ? NX_EDEADLINE : NX_EPOOLTIMEOUT, "no connection became free in time");
            nxi_lane_refuse(pool, request, &error, false);
            continue;
        }
        limit = request->deadline_ns != 0 && request->deadline_ns < limit ? request->deadline_ns : limit;
        next = limit < next ? limit : next;
        nxi_queue_put(&all->waiting, request);
    }
    if (next != INT64_MAX)
        (void)set_timer(pool, next); /* the heap has had room for it just now */
    serve_waiting(pool);
}

/* ------------------------------------------------------------------------------ stopping */

static void stop(nxi_pool *pool, nxi_request *request, nx_status why)
{
    nxi_wires *all = nxi_wires_of(pool);
    nxi_binding *bound = nxi_binding_find(pool, request->transaction);
    nx_error error;

    (void)nxi_fail(&error, why, "%s", nxi_pool_stop_text(why));
    if (nxi_queue_remove(&all->waiting, request)) {
        nxi_lane_refuse(pool, request, &error, false);
        return;
    }
    if (bound != NULL && nxi_queue_remove(&bound->backlog, request)) {
        nxi_lane_refuse(pool, request, &error, true);
        return;
    }
    for (nxi_lane *l = all->lanes, *next; l != NULL; l = next) {
        next = l->next;
        if (!l->is_open || !nxi_conn_give_up(l->conn, request, why))
            continue;
        if (l->is_open)
            nxi_lane_interrupt(l);
        return;
    }
}

/* ------------------------------------------------------------------------------ turns */

static void hand_over(nxi_pool *pool)
{
    nxi_lane *dirty = nxi_wires_of(pool)->dirty;

    nxi_wires_of(pool)->dirty = NULL;
    while (dirty != NULL) {
        nxi_lane *next = dirty->next_dirty;

        dirty->is_dirty = false;
        nxi_conn_hand_over(dirty->conn);
        dirty = next;
    }
}

static bool has_news(const nxi_pool *pool)
{
    const nxi_wires *all = nxi_wires_of(pool);

    return nxi_openers_has_news(all->openers) || (pool->phase == NXI_POOL_OPENING && all->open >= all->min) ||
           (pool->phase == NXI_POOL_CLOSING && all->lane_count == 0);
}

/* Back to the pool, or out of the world. */
static void tidy(nxi_lane *l)
{
    nx_error error;

    if (l->bound != NULL || nxi_conn_load(l->conn) != 0)
        return;
    l->check = false;
    if (nxi_conn_is_idle(l->conn)) {
        l->pinned = false;
        return;
    }
    (void)nxi_fail(&error, NX_ELOST, "the connection was not clean");
    nxi_conn_close(l->conn, &error);
}

static void collect(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);

    nxi_openers_collect(all->openers);
    for (nxi_lane *l = all->lanes, *next; l != NULL; l = next) {
        next = l->next;
        if (!l->is_open)
            continue;
        flush_backlog(l);
        if (l->is_open && l->check)
            tidy(l);
    }
    if (!all->closing)
        serve_waiting(pool);
    if (pool->phase == NXI_POOL_OPENING && all->open >= all->min)
        nxi_pool_is_opened(pool, NX_OK, NULL);
    else if (pool->phase == NXI_POOL_CLOSING && all->lane_count == 0)
        nxi_pool_is_closed(pool);
}

static bool is_busy(const nxi_pool *pool)
{
    (void)pool;
    return false; /* the servers' answers come through the ring */
}

static void rouse(nxi_pool *pool)
{
    (void)pool;
}

/* ------------------------------------------------------------------------------ opening and closing the pool */

static void free_struct(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);

    nxi_openers_free(all->openers);
    nxi_binding_free_all(pool);
    nxi_release(pool->memory, all);
    pool->lanes = NULL;
}

static void close_lanes(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);
    nx_error error;

    all->closing = true;
    nxi_timer_clear(pool->core, &all->timer);
    (void)nxi_fail(&error, NX_ECLOSED, "the database was closed");
    nxi_lane_close_all(pool, &error);
}

/* The ring is broken: no event will come that could tell of an end. */
static void abandon_lanes(nxi_wires *all)
{
    for (nxi_lane *l = all->lanes, *next; l != NULL; l = next) {
        next = l->next;
        if (!l->ended)
            nxi_conn_abandon(l->conn);
    }
}

static void free_now(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);
    nx_error error;

    (void)nxi_fail(&error, NX_ECLOSED, "the database was closed");
    nxi_lane_refuse_waiting(pool, &error);
    close_lanes(pool);
    while (all->lane_count > 0) {
        bool in_kernel = false;

        nxi_openers_collect(all->openers);
        for (nxi_lane *l = all->lanes; l != NULL; l = l->next)
            in_kernel = in_kernel || nxi_conn_is_closing(l->conn);
        if (!in_kernel)
            nxi_openers_wait(all->openers);
        else if (nxi_core_pump(pool->core, 1000000) != NX_OK)
            abandon_lanes(all);
    }
    free_struct(pool);
}

static nx_status open_pool(nxi_pool *pool, nx_error *error)
{
    nxi_wires *all = nxi_zalloc(pool->memory, sizeof(*all));
    nx_status status = NX_OK;

    if (all == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for a pool");
    pool->lanes = all;
    all->pool = pool;
    all->max = pool->options.pool_max == 0 ? 1 : pool->options.pool_max;
    all->min = pool->options.pool_min;
    all->window = pool->options.in_flight_max == 0 ? WINDOW : pool->options.in_flight_max;
    all->timer.fire = timer_fired;
    if (all->min > all->max)
        status = nxi_fail(error, NX_EINVAL, "pool_min (%zu) is larger than pool_max (%zu)", all->min, all->max);
    if (status == NX_OK)
        status = nxi_io_make_buffers(nxi_core_io(pool->core), error);
    if (status == NX_OK)
        all->openers = nxi_openers_new(pool->core, nxi_min_size(all->max + 1, OPENERS));
    if (status == NX_OK && all->openers == NULL)
        status = nxi_fail(error, NX_ENOMEM, "no memory for a pool");
    if (status == NX_OK) {
        nxi_lane_grow(pool, all->min);
        if (all->permits < all->min)
            status = nxi_fail(error, NX_ELIMIT, "no memory or no threads for %zu connections", all->min);
    }
    if (status == NX_OK)
        return NX_OK;
    free_now(pool);
    return status;
}

static size_t count_lanes(const nxi_pool *pool, size_t *ret_waiting)
{
    *ret_waiting = nxi_wires_of(pool)->waiting.count;
    return nxi_wires_of(pool)->open;
}

const nxi_pool_kind nxi_pool_of_connections = {
    .open = open_pool, .submit = submit, .stop = stop, .hand_over = hand_over, .has_news = has_news, .collect = collect,
    .is_busy = is_busy, .rouse = rouse, .close = close_lanes, .free = free_now, .count = count_lanes
};
