/*
 * pool - the life of a pool and the one place where requests are given back.
 *
 * What is over is queued in `finished` and delivered at the end of a collection: `done` may submit again, and must not do so
 * from within a driver's decode or a walk over lanes.
 */
#include "engine/pool_kind.h"

bool nxi_queue_remove(nxi_queue *queue, const nxi_request *request)
{
    nxi_request *previous = NULL;

    for (nxi_request *at = queue->first; at != NULL; previous = at, at = at->next) {
        if (at != request)
            continue;
        if (previous != NULL)
            previous->next = at->next;
        else
            queue->first = at->next;
        if (queue->last == at)
            queue->last = previous;
        queue->count--;
        at->next = NULL;
        return true;
    }
    return false;
}

bool nxi_queue_holds(const nxi_queue *queue, const nxi_request *request)
{
    const nxi_request *at = queue->first;

    while (at != NULL && at != request)
        at = at->next;
    return at != NULL;
}

void nxi_pool_refuse(nxi_pool *pool, nxi_request *request, nx_status status, const char *why)
{
    (void)nxi_request_fail(request, 0, status, "%s", why);
    nxi_request_not_run(request, false);
    nxi_pool_finish(pool, request);
}

void nxi_pool_refuse_with(nxi_pool *pool, nxi_request *request, const nx_error *error)
{
    bool first = request->status == NX_OK;

    (void)nxi_request_fail(request, 0, error->status, "%s", error->message);
    if (first && nxi_request_error_is_own(request))
        *request->error = *error;
    nxi_request_not_run(request, false);
    nxi_pool_finish(pool, request);
}

const char *nxi_pool_stop_text(nx_status why)
{
    return why == NX_EDEADLINE ? "the deadline passed before the operation was begun"
                               : "the operation was cancelled before it was begun";
}

/* ------------------------------------------------------------------------------ what the halves report */

void nxi_pool_is_opened(nxi_pool *pool, nx_status status, const nx_error *error)
{
    if (pool->phase != NXI_POOL_OPENING)
        return;
    pool->phase = status == NX_OK ? NXI_POOL_OPEN : NXI_POOL_FAILED;
    pool->open_status = status;
    if (status != NX_OK)
        pool->open_error = *error;
    pool->opened_due = true;
}

void nxi_pool_is_closed(nxi_pool *pool)
{
    NX_ASSERT(pool->submitted == 0);
    if (pool->phase == NXI_POOL_CLOSED)
        return;
    pool->phase = NXI_POOL_CLOSED;
    pool->closed_due = pool->closed != NULL;
}

/* ------------------------------------------------------------------------------ as a source of the loop */

static nxi_pool *of(const nxi_source *source)
{
    return (nxi_pool *)((uintptr_t)source - offsetof(nxi_pool, source));
}

static void deliver(nxi_pool *pool)
{
    nxi_queue batch = pool->finished;

    pool->finished = (nxi_queue){ 0 };
    pool->delivering = true;
    for (nxi_request *request; (request = nxi_queue_take(&batch)) != NULL;) {
        NX_ASSERT(pool->submitted > 0);
        pool->submitted--;
        request->done(request);
    }
    pool->delivering = false;
}

/* Callbacks come last and one at a time, as they may free the pool. */
static void call_back(nxi_pool *pool)
{
    if (pool->opened_due) {
        pool->opened_due = false;
        pool->opened(pool->opened_context, pool->open_status, pool->open_status == NX_OK ? NULL : &pool->open_error);
    } else if (pool->closed_due) {
        pool->closed_due = false;
        pool->closed(pool->closed_context, NX_OK, NULL);
    }
}

static void source_collect(nxi_source *source)
{
    nxi_pool *pool = of(source);

    pool->kind->collect(pool);
    if (NXI_UNLIKELY(pool->inquiries_due > 0))
        nxi_outcome_turn(pool);
    if (pool->finished.first != NULL)
        deliver(pool);
    if (pool->closing && !pool->close_begun && pool->submitted == 0 && pool->phase != NXI_POOL_OPENING) {
        pool->close_begun = true;
        pool->phase = NXI_POOL_CLOSING;
        pool->kind->close(pool);
    }
    call_back(pool);
}

static void source_hand_over(nxi_source *source)
{
    nxi_pool *pool = of(source);

    pool->kind->hand_over(pool);
}

static bool source_has_news(const nxi_source *source)
{
    const nxi_pool *pool = of(source);

    return pool->finished.first != NULL || pool->inquiries_due > 0 || pool->opened_due || pool->closed_due ||
           (pool->closing && !pool->close_begun && pool->submitted == 0 && pool->phase != NXI_POOL_OPENING) ||
           pool->kind->has_news(pool);
}

static bool source_is_busy(const nxi_source *source)
{
    const nxi_pool *pool = of(source);

    return pool->kind->is_busy(pool);
}

static void source_outlook(const nxi_source *source, size_t *ready, size_t *coming)
{
    const nxi_pool *pool = of(source);

    if (pool->kind->outlook != NULL && pool->phase == NXI_POOL_OPEN)
        pool->kind->outlook(pool, ready, coming);
}

static void source_rouse(nxi_source *source)
{
    nxi_pool *pool = of(source);

    pool->kind->rouse(pool);
}

/* ------------------------------------------------------------------------------ from above */

static bool copy_text(nxi_pool *pool, const char **text)
{
    if (*text == NULL)
        return true;
    *text = nxi_arena_str(&pool->texts, *text);
    return *text != NULL;
}

static bool copy_options(nxi_pool *pool, const nx_bind_options *options)
{
    static const nx_bind_options none;

    pool->options = options == NULL ? none : *options;
    return copy_text(pool, &pool->options.path) && copy_text(pool, &pool->options.dsn) &&
           copy_text(pool, &pool->options.host) && copy_text(pool, &pool->options.user) &&
           copy_text(pool, &pool->options.password) && copy_text(pool, &pool->options.dbname);
}

static void free_struct(nxi_pool *pool)
{
    nxi_memory *memory = pool->memory;

    if (pool->is_attached)
        nxi_core_remove(pool->core, &pool->source);
    nxi_map_fini(&pool->transactions);
    nxi_arena_fini(&pool->texts);
    nxi_release(memory, pool);
}

nx_status nxi_pool_open(nxi_core *core, const nxi_driver *driver, const nx_bind_options *options,
                        nxi_pool_done opened, void *context, nxi_pool **ret_pool, nx_error *error)
{
    nxi_memory *memory = nxi_core_memory(core);
    nxi_pool *pool = nxi_zalloc(memory, sizeof(*pool));
    nx_status status;

    NX_ASSERT((driver->executor != NULL) != (driver->wire != NULL));
    if (pool == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for a pool");
    pool->core = core;
    pool->memory = memory;
    pool->driver = driver;
    pool->kind = driver->executor != NULL ? &nxi_pool_of_workers : &nxi_pool_of_connections;
    pool->opened = opened;
    pool->opened_context = context;
    pool->source = (nxi_source){ .hand_over = source_hand_over, .has_news = source_has_news, .collect = source_collect,
                                 .is_busy = source_is_busy, .outlook = source_outlook, .rouse = source_rouse };
    nxi_arena_init(&pool->texts, memory);
    nxi_map_init(&pool->transactions, memory);
    if (!copy_options(pool, options))
        status = nxi_fail(error, NX_ENOMEM, "no memory for a pool");
    else
        status = driver->check_options == NULL ? NX_OK : driver->check_options(&pool->options, error);
    if (status == NX_OK)
        status = pool->kind->open(pool, error);
    if (status != NX_OK) {
        free_struct(pool);
        return status;
    }
    nxi_core_add(core, &pool->source);
    pool->is_attached = true;
    *ret_pool = pool;
    return NX_OK;
}

const nx_bind_options *nxi_pool_options(const nxi_pool *pool)
{
    return &pool->options;
}

/* Stopped before it was submitted. Where it has to end something it goes its way all the same. */
static void submit_stopped(nxi_pool *pool, nxi_request *request, nx_status why)
{
    if (nxi_request_is_unstoppable(request) || (request->end != NXI_END_NONE && request->begin == NXI_BEGIN_NONE)) {
        pool->kind->submit(pool, request);
        if (!nxi_request_is_unstoppable(request))
            pool->kind->stop(pool, request, why);
        return;
    }
    nxi_pool_refuse(pool, request, why, nxi_pool_stop_text(why));
    nxi_request_not_run(request, true);
}

void nxi_pool_submit(nxi_pool *pool, nxi_request *request)
{
    int why = atomic_load_explicit(&request->stop, memory_order_relaxed);

    pool->submitted++;
    request->next = NULL;
    if (pool->closing || pool->phase == NXI_POOL_CLOSED)
        nxi_pool_refuse(pool, request, NX_ECLOSED, "the database is closed");
    else if (pool->phase == NXI_POOL_FAILED)
        nxi_pool_refuse_with(pool, request, &pool->open_error);
    else if (why != NX_OK)
        submit_stopped(pool, request, (nx_status)why);
    else
        pool->kind->submit(pool, request);
}

void nxi_pool_stop(nxi_pool *pool, nxi_request *request, nx_status why)
{
    int running = NX_OK;

    NX_ASSERT(why != NX_OK);
    /* What it ends or goes back to is what the one who stops it waits for. */
    if (nxi_request_is_unstoppable(request))
        return;
    /* The first reason stays. */
    if (!atomic_compare_exchange_strong(&request->stop, &running, (int)why))
        return;
    if (pool->inquiries == NULL || !nxi_outcome_stop(pool, request, why))
        pool->kind->stop(pool, request, why);
}

void nxi_pool_close(nxi_pool *pool, nxi_pool_done closed, void *context)
{
    NX_ASSERT(!pool->closing);
    pool->closing = true;
    pool->closed = closed;
    pool->closed_context = context;
}

void nxi_pool_free(nxi_pool *pool)
{
    if (pool == NULL)
        return;
    NX_ASSERT(!pool->delivering); /* `done` runs in the middle of what would be freed */
    pool->closing = true;         /* what `done` submits is refused */
    pool->freeing = true;
    nxi_outcome_abandon(pool);
    pool->kind->free(pool);
    while (pool->finished.first != NULL)
        deliver(pool);
    NX_ASSERT(pool->submitted == 0);
    free_struct(pool);
}

nxi_pool_counters nxi_pool_count(const nxi_pool *pool)
{
    nxi_pool_counters counters = { .submitted = pool->submitted };

    if (pool->lanes != NULL)
        counters.lanes = pool->kind->count(pool, &counters.waiting);
    return counters;
}
