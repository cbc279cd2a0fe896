/*
 * pool_wire - the pool of a driver that speaks over a socket: which connection a request goes to, and who waits for one.
 *
 * A transaction is bound at its first request. Its lane stays pinned until the transaction is over, every answer has come and
 * the driver says that the connection is clean; what is not clean is closed.
 *
 * Those that find no connection wait in order, and no more than waiters_max of them. While the server is down they wait for it,
 * up to the pool's timeout; one lane alone tries to connect, and when it succeeds the others follow, doubling.
 */
#include "engine/pool_lane.h"

#include <stdio.h>

enum {
    WINDOW = 1024,
    OPENERS = 4,
    INTERRUPTERS = 2,
    WAITERS_MAX = 4096,
    POOL_TIMEOUT_MS = 30000,
    IDLE_CHECK_MS = 30000,
    LIFETIME_MS = 1800000,
    LOOK_MS = 10 /* see look */
};

/* ------------------------------------------------------------------------------ who gets which lane */

static bool is_free(const nxi_lane *l)
{
    return l->is_open && !l->pinned && !l->listening && !l->expired && l->care == NXI_CARE_NONE && nxi_conn_has_room(l->conn);
}

/* Those that may be dead do not count: they are asked first. */
static nxi_lane *choose(nxi_pool *pool)
{
    nxi_lane *best = NULL;

    for (nxi_lane *l = nxi_wires_of(pool)->lanes; l != NULL; l = l->next) {
        if (!is_free(l) || (best != NULL && nxi_conn_load(l->conn) >= nxi_conn_load(best->conn)))
            continue;
        if (nxi_conn_load(l->conn) == 0 && nxi_care_is_stale(l, nxi_core_now(pool->core)))
            continue;
        best = l;
        if (nxi_conn_load(best->conn) == 0)
            break;
    }
    return best;
}

/* One that should end its transaction and cannot be sent leaves that to the end of the connection. */
static void put(nxi_lane *l, nxi_request *request)
{
    nxi_pool *pool = l->pool;
    bool ends = request->end != NXI_END_NONE && request->begin == NXI_BEGIN_NONE;

    if (nxi_conn_put(l->conn, request) == NX_OK)
        return;
    nxi_request_not_run(request, true);
    nxi_binding_settle(pool, request);
    nxi_pool_finish(pool, request);
    if (ends)
        nxi_lane_close(l, NX_ENOMEM, "no memory to end a transaction: its connection was closed");
}

/* When the transaction has ended unseen, what waits must not run outside of it. */
static void flush_backlog(nxi_lane *l)
{
    nxi_request *next;

    if (l->care != NXI_CARE_NONE || l->bound == NULL || l->bound->backlog.first == NULL)
        return;
    if (nxi_conn_is_idle(l->conn)) {
        nxi_binding_abort(l);
        return;
    }
    while (l->bound != NULL && nxi_conn_has_room(l->conn) && (next = nxi_queue_take(&l->bound->backlog)) != NULL)
        put(l, next);
}

static void put_on(nxi_lane *l, nxi_request *request)
{
    nxi_binding *bound = nxi_binding_find(l->pool, request->transaction);

    if (bound != NULL) {
        bound->lane = l;
        l->bound = bound;
        l->pinned = true;
    }
    put(l, request);
    flush_backlog(l);
}

/*
 * The application may have been away for long, and the server may have closed an idle connection meanwhile: that lies in the
 * kernel, and what is sent now would be lost. False: we have just looked.
 */
static bool look(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);
    int64_t now = nxi_core_now(pool->core);

    if (now - all->looked_ns < INT64_C(1000000) * LOOK_MS)
        return false;
    all->looked_ns = now;
    return nxi_core_pump(pool->core, 0) == NX_OK;
}

static bool place(nxi_pool *pool, nxi_request *request)
{
    nxi_lane *l = choose(pool);

    if (l != NULL && nxi_conn_load(l->conn) == 0 && look(pool))
        l = choose(pool);
    if (l == NULL)
        return false;
    if (nxi_conn_load(l->conn) > 0) { /* the next one shall not have to share */
        nxi_care_ping(pool, 1);
        nxi_lane_grow(pool, 1);
    }
    put_on(l, request);
    return true;
}

/* ------------------------------------------------------------------------------ waiting */

bool nxi_wires_wake_at(nxi_pool *pool, int64_t when_ns)
{
    nxi_wires *all = nxi_wires_of(pool);

    if (all->closing || (all->timer.place != 0 && all->timer.when_ns <= when_ns))
        return true;
    return nxi_timer_set(pool->core, &all->timer, when_ns);
}

bool nxi_wires_wait(nxi_pool *pool, nxi_queue *queue, nxi_request *request)
{
    int64_t limit = nxi_core_now(pool->core) + nxi_wires_of(pool)->timeout_ns;
    nx_error error;

    request->lane_data = limit;
    if (request->deadline_ns != 0 && request->deadline_ns < limit)
        limit = request->deadline_ns;
    if (nxi_wires_wake_at(pool, limit)) {
        nxi_queue_put(queue, request);
        return true;
    }
    /* Waiting must end, so without a timer there is none. */
    (void)nxi_fail(&error, NX_ENOMEM, "no memory to wait for a connection");
    nxi_lane_refuse(pool, request, &error, false);
    return false;
}

/* Idle connections first, then new ones. */
static void call_up(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);

    nxi_care_ping(pool, all->doubtful ? SIZE_MAX : all->waiting.count);
    nxi_lane_grow(pool, all->waiting.count);
}

/* Nobody is there, and trying again at once would only bring the same. */
static bool is_hopeless(nxi_pool *pool)
{
    const nxi_wires *all = nxi_wires_of(pool);

    return all->failures > 0 && !nxi_lane_can_serve(all) && nxi_lane_is_final(all->open_error.status) &&
           nxi_core_now(pool->core) < all->retry_ns;
}

static void wait_in_line(nxi_pool *pool, nxi_request *request)
{
    nxi_wires *all = nxi_wires_of(pool);
    nx_error error;

    if (is_hopeless(pool)) {
        nxi_lane_refuse(pool, request, &all->open_error, false);
        return;
    }
    if (all->waiting.count >= all->waiters_max) {
        (void)nxi_fail(&error, NX_EQUEUEFULL,
                       "%zu operations wait for a connection already (waiters_max); %zu of %zu connections (pool_max) are open",
                       all->waiting.count, all->open, all->max);
        nxi_lane_refuse(pool, request, &error, false);
        return;
    }
    if (nxi_wires_wait(pool, &all->waiting, request))
        call_up(pool);
}

static void submit_bound(nxi_binding *bound, nxi_request *request)
{
    nxi_lane *l = bound->lane;

    bound->under_way++;
    if (l != NULL && l->is_open && l->care == NXI_CARE_NONE && bound->backlog.first == NULL && nxi_conn_has_room(l->conn))
        put(l, request);
    else
        nxi_queue_put(&bound->backlog, request);
}

static void submit(nxi_pool *pool, nxi_request *request)
{
    nxi_binding *bound = nxi_binding_find(pool, request->transaction);

    if (request->listens) {
        nxi_listen_submit(pool, request);
        return;
    }
    if (bound != NULL && bound->aborted) {
        nxi_binding_refuse(pool, bound, request);
        return;
    }
    if (bound != NULL) {
        submit_bound(bound, request);
        return;
    }
    if (request->transaction != 0) {
        if (request->begin == NXI_BEGIN_NONE) {
            nxi_request_too_late(request, NX_ELOST, "the transaction was lost with its connection");
            nxi_pool_finish(pool, request);
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

    for (nxi_lane *l; all->waiting.first != NULL && (l = choose(pool)) != NULL;) {
        nxi_request *first = nxi_queue_take(&all->waiting);

        NX_ASSERT(first != NULL);
        put_on(l, first);
    }
    if (all->waiting.first != NULL)
        call_up(pool);
    if (pool->phase == NXI_POOL_OPEN && all->permits < all->min)
        nxi_lane_grow(pool, all->connecting + all->pinging + (all->min - all->permits));
    if (all->failures > 0 && all->connecting == 0 && all->retry_ns > nxi_core_now(pool->core) &&
        (all->waiting.first != NULL || all->permits < all->min))
        (void)nxi_wires_wake_at(pool, all->retry_ns); /* without it, the next submit tries */
}

static void give_up_waiting(nxi_pool *pool, nxi_request *request, bool late)
{
    const nxi_wires *all = nxi_wires_of(pool);
    unsigned timeout_ms = (unsigned)(all->timeout_ns / 1000000);
    nx_error error;

    if (late) {
        (void)nxi_fail(&error, NX_EDEADLINE,
                       "the deadline passed while the operation waited for a connection: %zu of %zu (pool_max) are open",
                       all->open, all->max);
    } else if (all->failures > 0 && all->open == 0) {
        error = all->open_error;
        (void)snprintf(error.message, sizeof(error.message), "%.320s (for %u ms: pool_timeout_ms)", all->open_error.message,
                       timeout_ms);
    } else {
        (void)nxi_fail(&error, NX_EPOOLTIMEOUT,
                       "no connection became free within %u ms (pool_timeout_ms): %zu of %zu (pool_max) are open", timeout_ms,
                       all->open, all->max);
    }
    nxi_lane_refuse(pool, request, &error, false);
}

int64_t nxi_wires_expire(nxi_pool *pool, nxi_queue *queue, int64_t now)
{
    int64_t next = INT64_MAX;
    nxi_queue waiting = *queue;

    *queue = (nxi_queue){ 0 };
    for (nxi_request *request; (request = nxi_queue_take(&waiting)) != NULL;) {
        bool late = request->deadline_ns != 0 && request->deadline_ns <= now;
        int64_t limit = request->lane_data;

        if (late || limit <= now) {
            give_up_waiting(pool, request, late);
            continue;
        }
        limit = request->deadline_ns != 0 && request->deadline_ns < limit ? request->deadline_ns : limit;
        next = limit < next ? limit : next;
        nxi_queue_put(queue, request);
    }
    return next;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void timer_fired(nxi_timer *timer)
{
    nxi_wires *all = NXI_CONTAINER(timer, nxi_wires, timer);
    nxi_pool *pool = all->pool;
    int64_t now = nxi_core_now(pool->core), next;

    next = sooner(nxi_wires_expire(pool, &all->waiting, now), nxi_wires_expire(pool, &all->listen_queue, now));
    for (nxi_lane *l = all->lanes, *following; l != NULL; l = following) {
        following = l->next;
        next = sooner(next, nxi_care_due(l, now));
    }
    if (next != INT64_MAX)
        (void)nxi_wires_wake_at(pool, next); /* the heap has had room for it just now */
    serve_waiting(pool);
    nxi_listen_turn(pool);
}

/* ------------------------------------------------------------------------------ stopping */

/* Not sent yet. One that should commit keeps its place, and rolls back. */
static void stop_behind(nxi_pool *pool, nxi_binding *bound, nxi_request *request, const nx_error *error)
{
    if (request->end != NXI_END_COMMIT || request->begin != NXI_BEGIN_NONE) {
        (void)nxi_queue_remove(&bound->backlog, request);
        nxi_lane_refuse(pool, request, error, true);
        return;
    }
    (void)nxi_request_fail(request, 0, error->status, "%s", error->message);
}

static void stop(nxi_pool *pool, nxi_request *request, nx_status why)
{
    nxi_wires *all = nxi_wires_of(pool);
    nxi_binding *bound = nxi_binding_find(pool, request->transaction);
    nx_error error;

    (void)nxi_fail(&error, why, "%s", nxi_pool_stop_text(why));
    if (nxi_queue_remove(&all->waiting, request) || nxi_queue_remove(&all->listen_queue, request)) {
        nxi_lane_refuse(pool, request, &error, false);
        return;
    }
    if (bound != NULL && nxi_queue_holds(&bound->backlog, request)) {
        stop_behind(pool, bound, request, &error);
        return;
    }
    for (nxi_lane *l = all->lanes, *next; l != NULL; l = next) {
        next = l->next;
        if (!l->is_open || !nxi_conn_give_up(l->conn, request, why))
            continue;
        if (l->is_open)
            nxi_care_given_up(l);
        return;
    }
}

/* ------------------------------------------------------------------------------ turns */

static void hand_over(nxi_pool *pool)
{
    nxi_lane *dirty;

    nxi_listen_turn(pool);
    dirty = nxi_wires_of(pool)->dirty;
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

    return nxi_openers_has_news(all->openers) || nxi_openers_has_news(all->interrupters) ||
           (pool->phase == NXI_POOL_OPENING && all->open >= all->min) ||
           (pool->phase == NXI_POOL_CLOSING && all->lane_count == 0);
}

static void collect(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);

    all->looked_ns = nxi_core_now(pool->core);
    nxi_openers_collect(all->openers);
    nxi_openers_collect(all->interrupters);
    for (nxi_lane *l = all->lanes, *next; l != NULL; l = next) {
        next = l->next;
        if (l->is_open && l->care != NXI_CARE_NONE)
            nxi_care_attend(l);
        if (l->is_open)
            flush_backlog(l);
        if (l->is_open && l->check)
            nxi_care_tidy(l);
    }
    if (!all->closing)
        serve_waiting(pool);
    nxi_listen_turn(pool);
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
    nxi_openers_free(all->interrupters);
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

/* Until one of those that work elsewhere is done. */
static void wait_for_threads(nxi_wires *all)
{
    bool interrupting = false;

    for (nxi_lane *l = all->lanes; l != NULL; l = l->next)
        interrupting = interrupting || l->interrupting;
    nxi_openers_wait(interrupting ? all->interrupters : all->openers);
}

static void free_now(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);
    nx_error error;

    (void)nxi_fail(&error, NX_ECLOSED, "the database was closed");
    nxi_lane_refuse_waiting(pool, &error);
    nxi_listen_refuse(pool, &error);
    close_lanes(pool);
    while (all->lane_count > 0) {
        bool in_kernel = false;

        nxi_openers_collect(all->openers);
        nxi_openers_collect(all->interrupters);
        for (nxi_lane *l = all->lanes; l != NULL; l = l->next)
            in_kernel = in_kernel || nxi_conn_is_closing(l->conn);
        if (all->lane_count == 0)
            break;
        if (!in_kernel)
            wait_for_threads(all);
        else if (nxi_core_pump(pool->core, 1000000) != NX_OK)
            abandon_lanes(all);
    }
    free_struct(pool);
}

/* 0: the default; UINT32_MAX: never. */
static int64_t span_ns(uint32_t option_ms, uint32_t default_ms)
{
    if (option_ms == UINT32_MAX)
        return INT64_MAX;
    return (int64_t)(option_ms == 0 ? default_ms : option_ms) * 1000000;
}

static void set_options(nxi_wires *all, const nx_bind_options *options)
{
    all->max = options->pool_max == 0 ? 1 : options->pool_max;
    all->min = options->pool_min;
    all->window = options->in_flight_max == 0 ? WINDOW : options->in_flight_max;
    all->waiters_max = options->waiters_max == 0 ? WAITERS_MAX : options->waiters_max;
    all->timeout_ns = (int64_t)(options->pool_timeout_ms == 0 ? POOL_TIMEOUT_MS : options->pool_timeout_ms) * 1000000;
    all->idle_check_ns = span_ns(options->idle_check_ms, IDLE_CHECK_MS);
    all->lifetime_ns = span_ns(options->lifetime_ms, LIFETIME_MS);
    all->allowance = all->max;
}

static nx_status open_pool(nxi_pool *pool, nx_error *error)
{
    nxi_wires *all = nxi_zalloc(pool->memory, sizeof(*all));
    nx_status status = NX_OK;

    if (all == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for a pool");
    pool->lanes = all;
    all->pool = pool;
    all->timer.fire = timer_fired;
    set_options(all, &pool->options);
    if (all->min > all->max)
        status = nxi_fail(error, NX_EINVAL, "pool_min (%zu) is larger than pool_max (%zu)", all->min, all->max);
    if (status == NX_OK)
        status = nxi_io_make_buffers(nxi_core_io(pool->core), error);
    if (status == NX_OK) {
        all->openers = nxi_openers_new(pool->core, nxi_min_size(all->max + 2, OPENERS));
        all->interrupters = nxi_openers_new(pool->core, nxi_min_size(all->max, INTERRUPTERS));
    }
    if (status == NX_OK && (all->openers == NULL || all->interrupters == NULL))
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

const nxi_pool_kind nxi_pool_of_connections = { .open = open_pool,
                                                .submit = submit,
                                                .stop = stop,
                                                .hand_over = hand_over,
                                                .has_news = has_news,
                                                .collect = collect,
                                                .is_busy = is_busy,
                                                .rouse = rouse,
                                                .close = close_lanes,
                                                .free = free_now,
                                                .count = count_lanes };
