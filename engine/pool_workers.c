/*
 * pool_workers - the pool of a driver that executes: which worker a request goes to, and its way there and back.
 *
 * Lane 0 is the writer, or the only worker. A snapshot transaction is bound to the reader that its first request went to, from
 * then until a request of it comes back with the transaction closed and no other of its requests is under way.
 */
#include "engine/pool_kind.h"
#include "engine/worker.h"

enum { WINDOW = 1024, LANES_MAX = 4096 };

typedef struct lane {
    nxi_worker *worker;
    nxi_queue waiting; /* for the next turn, or for room */
    size_t held;       /* by the worker */
    uint64_t collected; /* requests that came back, in all */
} lane;

typedef struct binding {
    struct binding *next; /* in the list of spare ones */
    uint64_t transaction;
    size_t lane, under_way;
    bool is_over; /* one of its requests has said so; others are still under way */
} binding;

typedef struct workers {
    size_t count, held, window;
    bool stopped;
    binding *spare;
    lane lanes[];
} workers;

static workers *of(const nxi_pool *pool)
{
    return pool->lanes;
}

/* ------------------------------------------------------------------------------ bindings of snapshots */

static bool is_binding_of(const void *item, const void *key)
{
    return ((const binding *)item)->transaction == *(const uint64_t *)key;
}

static binding *find_binding(const nxi_pool *pool, uint64_t transaction)
{
    if (pool->transactions.count == 0)
        return NULL;
    return nxi_map_find(&pool->transactions, nxi_hash_u64(transaction), is_binding_of, &transaction);
}

static binding *bind_snapshot(nxi_pool *pool, uint64_t transaction, size_t to)
{
    workers *all = of(pool);
    binding *fresh = all->spare;

    if (fresh != NULL)
        all->spare = fresh->next;
    else
        fresh = nxi_zalloc(pool->memory, sizeof(*fresh));
    if (fresh == NULL)
        return NULL;
    *fresh = (binding){ .transaction = transaction, .lane = to };
    if (nxi_map_add(&pool->transactions, nxi_hash_u64(transaction), fresh))
        return fresh;
    fresh->next = all->spare;
    all->spare = fresh;
    return NULL;
}

/* One of its requests is over. */
static void settle_binding(nxi_pool *pool, const nxi_request *request)
{
    binding *bound = request->transaction == 0 ? NULL : find_binding(pool, request->transaction);

    if (bound == NULL)
        return;
    bound->under_way--;
    bound->is_over = bound->is_over || !request->in_transaction;
    if (!bound->is_over || bound->under_way != 0)
        return;
    nxi_map_remove(&pool->transactions, nxi_hash_u64(bound->transaction), bound);
    bound->next = of(pool)->spare;
    of(pool)->spare = bound;
}

static void free_bindings(nxi_pool *pool)
{
    for (size_t i = 0; i < pool->transactions.capacity; i++)
        nxi_release(pool->memory, pool->transactions.entries[i].item);
    nxi_map_clear(&pool->transactions);
    for (binding *spare = of(pool)->spare; spare != NULL;) {
        binding *next = spare->next;

        nxi_release(pool->memory, spare);
        spare = next;
    }
}

/* ------------------------------------------------------------------------------ which lane */

static bool may_write(const nxi_request *request)
{
    if (request->writes)
        return true;
    for (size_t i = 0; i < request->step_count; i++) {
        nxi_step_kind kind = request->steps[i].kind;

        if (request->steps[i].read_any || kind == NXI_STEP_WRITE || kind == NXI_STEP_SCRIPT || kind == NXI_STEP_EXECUTE)
            return true;
    }
    return false;
}

static size_t least_reader(const workers *all)
{
    size_t best = 1;

    for (size_t i = 2; i < all->count; i++) {
        if (all->lanes[i].held + all->lanes[i].waiting.count < all->lanes[best].held + all->lanes[best].waiting.count)
            best = i;
    }
    return best;
}

/* A cursor outside of a transaction lives on the worker that opened it: its number says which. */
static bool cursor_lane(const workers *all, const nxi_request *request, size_t *ret_lane)
{
    for (size_t i = 0; i < request->step_count; i++) {
        nxi_step_kind kind = request->steps[i].kind;

        if (kind == NXI_STEP_CURSOR_OPEN || kind == NXI_STEP_CURSOR_FETCH || kind == NXI_STEP_CURSOR_CLOSE) {
            *ret_lane = 1 + (size_t)(request->steps[i].cursor % (all->count - 1));
            return true;
        }
    }
    return false;
}

static bool route(nxi_pool *pool, const nxi_request *request, size_t *ret_lane)
{
    const workers *all = of(pool);
    binding *bound;

    *ret_lane = 0;
    if (all->count == 1)
        return true;
    if (request->transaction == 0) {
        if (!may_write(request) && !cursor_lane(all, request, ret_lane))
            *ret_lane = least_reader(all);
        return true;
    }
    bound = find_binding(pool, request->transaction);
    if (bound == NULL && request->begin == NXI_BEGIN_SNAPSHOT) {
        bound = bind_snapshot(pool, request->transaction, least_reader(all));
        if (bound == NULL)
            return false;
    }
    if (bound != NULL) {
        bound->under_way++;
        *ret_lane = bound->lane;
    }
    return true;
}

static void submit(nxi_pool *pool, nxi_request *request)
{
    size_t to;

    if (route(pool, request, &to))
        nxi_queue_put(&of(pool)->lanes[to].waiting, request);
    else
        nxi_pool_refuse(pool, request, NX_ENOMEM, "no memory for a transaction");
}

static void stop(nxi_pool *pool, nxi_request *request, nx_status why)
{
    workers *all = of(pool);

    for (size_t i = 0; i < all->count; i++) {
        if (!nxi_queue_holds(&all->lanes[i].waiting, request))
            continue;
        if (request->end != NXI_END_NONE && request->begin == NXI_BEGIN_NONE)
            return; /* the worker sees `stop`, and rolls back */
        (void)nxi_queue_remove(&all->lanes[i].waiting, request);
        nxi_pool_refuse(pool, request, why, nxi_pool_stop_text(why));
        nxi_request_not_run(request, true);
        settle_binding(pool, request);
        return;
    }
    /* A worker has it, or it is on its way back. It looks at `stop` while it works; one that waits must be told. */
    for (size_t i = 0; i < all->count; i++) {
        if (all->lanes[i].held > 0)
            nxi_worker_nudge(all->lanes[i].worker);
    }
}

/* ------------------------------------------------------------------------------ there and back */

static void push(workers *all, lane *to)
{
    nxi_request *first = to->waiting.first, *last = to->waiting.last;
    size_t count = to->waiting.count, room = all->window - to->held;

    if (count > room) {
        last = first;
        for (size_t i = 1; i < room; i++)
            last = last->next;
        count = room;
    }
    to->waiting.first = last->next;
    if (last->next == NULL)
        to->waiting.last = NULL;
    to->waiting.count -= count;
    to->held += count;
    all->held += count;
    nxi_worker_push(to->worker, first, last);
}

static void hand_over(nxi_pool *pool)
{
    workers *all = of(pool);

    if (all->stopped || pool->phase != NXI_POOL_OPEN)
        return;
    for (size_t i = 0; i < all->count; i++) {
        lane *to = &all->lanes[i];

        if (to->waiting.first != NULL && to->held < all->window)
            push(all, to);
    }
}

static bool has_news(const nxi_pool *pool)
{
    const workers *all = of(pool);

    for (size_t i = 0; i < all->count; i++) {
        if (nxi_worker_has_news(all->lanes[i].worker))
            return true;
    }
    return false;
}

static bool is_busy(const nxi_pool *pool)
{
    return of(pool)->held != 0;
}

static void outlook(const nxi_pool *pool, size_t *ready, size_t *coming)
{
    const workers *all = of(pool);

    for (size_t i = 0; i < all->count; i++) {
        const lane *at = &all->lanes[i];
        size_t there = at->held == 0 ? 0 : (size_t)(nxi_worker_finished(at->worker) - at->collected);
        there = there < at->held ? there : at->held;
        *ready += there;
        *coming += at->held - there;
    }
}

static void collect_lane(nxi_pool *pool, lane *from)
{
    workers *all = of(pool);

    for (nxi_request *request = nxi_worker_collect(from->worker), *next; request != NULL; request = next) {
        next = request->next;
        NX_ASSERT(from->held > 0);
        from->held--;
        from->collected++;
        all->held--;
        settle_binding(pool, request);
        nxi_pool_finish(pool, request);
    }
}

static void refuse_waiting(nxi_pool *pool, const nx_error *error)
{
    workers *all = of(pool);

    for (size_t i = 0; i < all->count; i++) {
        for (nxi_request *request; (request = nxi_queue_take(&all->lanes[i].waiting)) != NULL;) {
            nxi_pool_refuse_with(pool, request, error);
            settle_binding(pool, request);
        }
    }
}

/* All but the first one. */
static void stop_others(workers *all)
{
    all->stopped = true;
    for (size_t i = 1; i < all->count; i++)
        nxi_worker_stop(all->lanes[i].worker);
}

static void stop_all(workers *all)
{
    stop_others(all);
    nxi_worker_stop(all->lanes[0].worker);
}

/* The result of opening is known when all have opened, or as soon as one has failed. */
static void check_opened(nxi_pool *pool)
{
    workers *all = of(pool);
    bool complete = true;

    for (size_t i = 0; i < all->count; i++) {
        nxi_worker_state state = nxi_worker_state_of(all->lanes[i].worker);
        const nx_error *error;
        nx_status status;

        if (state == NXI_WORKER_FAILED) {
            status = nxi_worker_result(all->lanes[i].worker, &error);
            stop_all(all);
            refuse_waiting(pool, error);
            nxi_pool_is_opened(pool, status, error);
            return;
        }
        complete = complete && state != NXI_WORKER_OPENING;
    }
    if (complete)
        nxi_pool_is_opened(pool, NX_OK, NULL);
}

/*
 * The first one, who writes, ends last: what the last connection to a database does when it closes, such as taking the log into
 * the file, none does when two close at the same time.
 */
static void check_closed(nxi_pool *pool)
{
    workers *all = of(pool);

    for (size_t i = all->count; i-- > 0;) {
        nxi_worker_state state = nxi_worker_state_of(all->lanes[i].worker);

        if (i == 0)
            nxi_worker_stop(all->lanes[i].worker);
        if (state != NXI_WORKER_ENDED && state != NXI_WORKER_FAILED)
            return;
    }
    for (size_t i = 0; i < all->count; i++)
        nxi_worker_join(all->lanes[i].worker); /* nothing is left to do there but to return */
    nxi_pool_is_closed(pool);
}

static void collect(nxi_pool *pool)
{
    workers *all = of(pool);

    for (size_t i = 0; i < all->count; i++)
        collect_lane(pool, &all->lanes[i]);
    if (pool->phase == NXI_POOL_OPENING)
        check_opened(pool);
    else if (pool->phase == NXI_POOL_CLOSING)
        check_closed(pool);
}

static void rouse(nxi_pool *pool)
{
    workers *all = of(pool);

    for (size_t i = 0; i < all->count; i++)
        nxi_worker_rouse(all->lanes[i].worker);
}

/* ------------------------------------------------------------------------------ opening and closing */

static void free_lanes(nxi_pool *pool)
{
    workers *all = of(pool);

    stop_others(all);
    for (size_t i = all->count; i-- > 0;) {
        nxi_worker_stop(all->lanes[i].worker);
        nxi_worker_join(all->lanes[i].worker);
    }
    for (size_t i = 0; i < all->count; i++) {
        collect_lane(pool, &all->lanes[i]);
        NX_ASSERT(all->lanes[i].held == 0);
        nxi_worker_free(all->lanes[i].worker);
    }
    free_bindings(pool);
    nxi_release(pool->memory, all);
    pool->lanes = NULL;
}

static nx_status open_lanes(nxi_pool *pool, nx_error *error)
{
    const nxi_driver *driver = pool->driver;
    size_t count = driver->worker_count == NULL ? 1 : driver->worker_count(&pool->options);
    workers *all;

    if (count == 0 || count > LANES_MAX)
        return nxi_fail(error, NX_EINVAL, "%zu workers are not possible", count);
    all = nxi_zalloc(pool->memory, sizeof(*all) + count * sizeof(lane));
    if (all == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for workers");
    all->window = pool->options.in_flight_max == 0 ? WINDOW : pool->options.in_flight_max;
    pool->lanes = all;
    for (size_t i = 0; i < count; i++) {
        nxi_worker_setup setup = { .core = pool->core, .executor = driver->executor, .options = &pool->options,
                                   .number = (unsigned)i,
                                   .role = count == 1 ? NXI_ROLE_ONLY : i == 0 ? NXI_ROLE_WRITER : NXI_ROLE_READER };
        nx_status status = nxi_worker_start(&setup, &all->lanes[i].worker, error);

        if (status != NX_OK) {
            free_lanes(pool); /* those that have been started */
            return status;
        }
        all->count++;
    }
    return NX_OK;
}

static void close_lanes(nxi_pool *pool)
{
    stop_others(of(pool));
    check_closed(pool);
}

static void free_now(nxi_pool *pool)
{
    nx_error error;

    (void)nxi_fail(&error, NX_ECLOSED, "the database was closed");
    refuse_waiting(pool, &error);
    free_lanes(pool);
}

static size_t count_lanes(const nxi_pool *pool, size_t *ret_waiting)
{
    const workers *all = of(pool);

    for (size_t i = 0; i < all->count; i++)
        *ret_waiting += all->lanes[i].waiting.count;
    return all->count;
}

const nxi_pool_kind nxi_pool_of_workers = {
    .open = open_lanes, .submit = submit, .stop = stop, .hand_over = hand_over, .has_news = has_news, .collect = collect,
    .is_busy = is_busy, .outlook = outlook, .rouse = rouse, .close = close_lanes, .free = free_now, .count = count_lanes
};
