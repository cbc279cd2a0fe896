/*
 * pool_lane - the connections of a pool, each from its opening to its closing, and the transactions that are bound to them.
 */
#include "engine/pool_lane.h"

enum { BACKOFF_MS = 50, BACKOFF_MAX_MS = 5000 };

/* ------------------------------------------------------------------------------ bindings */

static bool is_binding_of(const void *item, const void *key)
{
    return ((const nxi_binding *)item)->transaction == *(const uint64_t *)key;
}

nxi_binding *nxi_binding_find(const nxi_pool *pool, uint64_t transaction)
{
    if (transaction == 0 || pool->transactions.count == 0)
        return NULL;
    return nxi_map_find(&pool->transactions, nxi_hash_u64(transaction), is_binding_of, &transaction);
}

nxi_binding *nxi_binding_new(nxi_pool *pool, uint64_t transaction)
{
    nxi_wires *all = nxi_wires_of(pool);
    nxi_binding *fresh = all->spare;

    if (fresh != NULL)
        all->spare = fresh->next;
    else
        fresh = nxi_zalloc(pool->memory, sizeof(*fresh));
    if (fresh == NULL)
        return NULL;
    *fresh = (nxi_binding){ .transaction = transaction };
    if (nxi_map_add(&pool->transactions, nxi_hash_u64(transaction), fresh))
        return fresh;
    fresh->next = all->spare;
    all->spare = fresh;
    return NULL;
}

static void end_binding(nxi_pool *pool, nxi_binding *bound)
{
    nxi_map_remove(&pool->transactions, nxi_hash_u64(bound->transaction), bound);
    if (bound->lane != NULL) {
        bound->lane->bound = NULL;
        bound->lane->check = true;
    }
    bound->next = nxi_wires_of(pool)->spare;
    nxi_wires_of(pool)->spare = bound;
}

/* One of its requests is over. What waits behind the end of a transaction must not run without it. */
void nxi_binding_settle(nxi_pool *pool, const nxi_request *request)
{
    nxi_binding *bound = nxi_binding_find(pool, request->transaction);
    nx_status why;

    if (bound == NULL)
        return;
    NX_ASSERT(bound->under_way > 0);
    bound->under_way--;
    bound->is_over = bound->is_over || !request->in_transaction;
    if (!bound->is_over)
        return;
    why = request->status == NX_ELOST || request->status == NX_ECLOSED ? request->status : NX_EABORTED;
    for (nxi_request *behind; (behind = nxi_queue_take(&bound->backlog)) != NULL; bound->under_way--) {
        nxi_request_too_late(behind, why, "the transaction has ended before this operation");
        nxi_pool_finish(pool, behind);
    }
    if (bound->under_way == 0)
        end_binding(pool, bound);
}

static void tell_aborted(nxi_pool *pool, nxi_request *request)
{
    nxi_request_too_late(request, NX_EABORTED, "the transaction was rolled back when an operation in it was stopped");
    if (nxi_request_error_is_own(request))
        request->error->retryable = request->status == NX_EABORTED;
    nxi_pool_finish(pool, request);
}

void nxi_binding_abort(nxi_lane *l)
{
    nxi_binding *bound = l->bound;
    bool told = bound->backlog.first != NULL;

    for (nxi_request *behind; (behind = nxi_queue_take(&bound->backlog)) != NULL; bound->under_way--)
        tell_aborted(l->pool, behind);
    NX_ASSERT(bound->under_way == 0);
    if (told) {
        end_binding(l->pool, bound);
        return;
    }
    bound->aborted = true;
    bound->lane = NULL;
    l->bound = NULL;
    l->check = true;
}

void nxi_binding_refuse(nxi_pool *pool, nxi_binding *bound, nxi_request *request)
{
    NX_ASSERT(bound->aborted);
    end_binding(pool, bound);
    tell_aborted(pool, request);
}

void nxi_binding_free_all(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);

    for (size_t i = 0; i < pool->transactions.capacity; i++)
        nxi_release(pool->memory, pool->transactions.entries[i].item);
    nxi_map_clear(&pool->transactions);
    while (all->spare != NULL) {
        nxi_binding *next = all->spare->next;

        nxi_release(pool->memory, all->spare);
        all->spare = next;
    }
}

void nxi_lane_refuse(nxi_pool *pool, nxi_request *request, const nx_error *error, bool in_transaction)
{
    nxi_pool_refuse_with(pool, request, error);
    nxi_request_not_run(request, in_transaction);
    nxi_binding_settle(pool, request);
}

/* ------------------------------------------------------------------------------ closing */

void nxi_lane_retire(nxi_lane *l)
{
    nxi_wires *all = nxi_wires_of(l->pool);

    if (l->retired)
        return;
    l->retired = true;
    if (!l->listening) {
        all->permits--;
        all->open -= l->is_open ? 1 : 0;
        all->pinging -= l->care == NXI_CARE_PING ? 1 : 0;
    }
    l->care = NXI_CARE_NONE;
    l->is_open = false;
}

static void free_lane(nxi_lane *l)
{
    nxi_wires *all = nxi_wires_of(l->pool);

    for (nxi_lane **link = &all->dirty; l->is_dirty && *link != NULL;) {
        if (*link == l)
            *link = l->next_dirty;
        else
            link = &(*link)->next_dirty;
    }
    if (l->next != NULL)
        l->next->previous = l->previous;
    if (l->previous != NULL)
        l->previous->next = l->next;
    else
        all->lanes = l->next;
    all->lane_count--;
    nxi_conn_free(l->conn);
    nxi_release(l->pool->memory, l);
}

static void run_close(nxi_job *job)
{
    nxi_lane *l = NXI_CONTAINER(job, nxi_lane, job);

    /* A server that is at a statement does not see that nobody is there any more. */
    if (l->leaves_work)
        (void)l->pool->driver->wire->interrupt(nxi_conn_state(l->conn)); /* nobody comes behind it */
    l->pool->driver->wire->close(nxi_conn_state(l->conn));
}

static void done_close(nxi_job *job)
{
    free_lane(NXI_CONTAINER(job, nxi_lane, job));
}

void nxi_lane_start_close(nxi_lane *l)
{
    bool started;

    l->job.run = run_close;
    l->job.done = done_close;
    started = nxi_openers_start(nxi_wires_of(l->pool)->openers, &l->job);
    NX_ASSERT(started); /* a thread has opened it, and threads stay */
}

static void conn_closed(void *context)
{
    nxi_lane *l = context;
    nxi_wires *all = nxi_wires_of(l->pool);
    nxi_binding *bound = l->bound;

    if (!l->dismissed) {
        all->allowance = 1; /* perhaps all are lost: one tries whether the server is there */
        all->doubtful = all->doubtful || l->care == NXI_CARE_PING;
    }
    nxi_lane_retire(l);
    l->ended = true;
    atomic_store_explicit(&l->interrupt_off, true, memory_order_relaxed);
    if (bound != NULL) {
        for (nxi_request *request; (request = nxi_queue_take(&bound->backlog)) != NULL; bound->under_way--) {
            nxi_request_too_late(request, NX_ELOST, "the transaction was lost with its connection");
            nxi_pool_finish(l->pool, request);
        }
        NX_ASSERT(bound->under_way == 0); /* what was in flight has been finished before */
        end_binding(l->pool, bound);
    }
    if (l->listening)
        nxi_listen_is_over(l);
    if (!l->interrupting)
        nxi_lane_start_close(l);
}

/* By us: it is not lost. One that was asked to stop before, and has not, is not asked again. */
static void dismiss(nxi_lane *l)
{
    l->dismissed = true;
    if (nxi_conn_is_open(l->conn))
        l->leaves_work = nxi_conn_load(l->conn) > 0 && !l->interrupted && !l->interrupting && !l->retired &&
                         l->pool->driver->wire->interrupt != NULL;
}

void nxi_lane_close(nxi_lane *l, nx_status status, const char *why)
{
    nx_error error;

    dismiss(l);
    nxi_lane_retire(l); /* now, not when the kernel lets go: another one may take its place */
    (void)nxi_fail(&error, status, "%s", why);
    nxi_conn_close(l->conn, &error);
}

void nxi_lane_close_all(nxi_pool *pool, const nx_error *error)
{
    for (nxi_lane *l = nxi_wires_of(pool)->lanes, *next; l != NULL; l = next) {
        next = l->next;
        dismiss(l);
        if (l->is_open || l->interrupting)
            nxi_conn_close(l->conn, error);
    }
}

void nxi_lane_refuse_waiting(nxi_pool *pool, const nx_error *error)
{
    for (nxi_request *request; (request = nxi_queue_take(&nxi_wires_of(pool)->waiting)) != NULL;)
        nxi_lane_refuse(pool, request, error, false);
}

/* ------------------------------------------------------------------------------ what connections report */

static void conn_finished(void *context, nxi_request *request)
{
    nxi_lane *l = context;

    l->check = true;
    l->used_ns = nxi_core_now(l->pool->core);
    nxi_binding_settle(l->pool, request);
    if (NXI_LIKELY(request->outcome != NX_OUTCOME_UNKNOWN) || !nxi_outcome_seek(l->pool, request))
        nxi_pool_finish(l->pool, request);
}

static void conn_notified(void *context, nx_text channel, nx_text payload)
{
    nxi_lane *l = context;

    if (l->listening)
        nxi_listen_notified(l, channel, payload);
}

static void conn_dirty(void *context)
{
    nxi_lane *l = context;

    NX_ASSERT(!l->is_dirty);
    l->is_dirty = true;
    l->next_dirty = nxi_wires_of(l->pool)->dirty;
    nxi_wires_of(l->pool)->dirty = l;
}

/* ------------------------------------------------------------------------------ connecting */

bool nxi_lane_is_final(nx_status status)
{
    return status == NX_EAUTH || status == NX_EUNDEFINED || status == NX_EPERMISSION || status == NX_EINVAL ||
           status == NX_EUNSUPPORTED;
}

bool nxi_lane_can_serve(const nxi_wires *all)
{
    return all->open > 0 || all->connecting > 0;
}

/*
 * 50 ms, doubled each time up to 5 s, of which the second half is left to chance: not everybody comes back at once, and still
 * nobody tries more often than every 25 ms.
 */
static void back_off(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);
    int64_t now = nxi_core_now(pool->core), wait = BACKOFF_MS;

    for (unsigned i = 1; i < all->failures && wait < BACKOFF_MAX_MS; i++)
        wait *= 2;
    wait = (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS) * 1000000;
    all->retry_ns = now + wait / 2 + (int64_t)(nxi_hash_u64((uint64_t)now ^ (uintptr_t)all) % (uint64_t)(wait / 2));
}

static void open_failed(nxi_pool *pool, const nx_error *error)
{
    nxi_wires *all = nxi_wires_of(pool);

    all->failures++;
    all->allowance = 1;
    all->open_error = *error;
    back_off(pool);
    if (pool->phase == NXI_POOL_OPENING) {
        all->closing = true;
        nxi_pool_is_opened(pool, error->status, error);
        nxi_lane_refuse_waiting(pool, error);
        nxi_listen_refuse(pool, error);
        nxi_lane_close_all(pool, error);
        return;
    }
    /* A server that was there may come back: then those that wait go on waiting, and one of us tries. */
    if (all->proven && !nxi_lane_is_final(error->status))
        return;
    nxi_listen_refuse(pool, error);
    if (!nxi_lane_can_serve(all))
        nxi_lane_refuse_waiting(pool, error);
}

static void run_open(nxi_job *job)
{
    nxi_lane *l = NXI_CONTAINER(job, nxi_lane, job);

    l->result = l->pool->driver->wire->open(nxi_conn_state(l->conn), &l->pool->options, l->pool->memory, &l->fd, &l->error);
}

static void opened(nxi_lane *l)
{
    nxi_wires *all = nxi_wires_of(l->pool);

    all->failures = 0;
    all->proven = true;
    all->allowance = nxi_min_size(all->allowance + 1, all->max);
    l->is_open = true;
    if (!l->listening)
        all->open++;
    nxi_care_init(l);
}

static void done_open(nxi_job *job)
{
    nxi_lane *l = NXI_CONTAINER(job, nxi_lane, job);
    nxi_wires *all = nxi_wires_of(l->pool);

    if (!l->listening)
        all->connecting--;
    if (l->result == NX_OK && !all->closing) {
        l->result = nxi_conn_start(l->conn, l->fd);
        if (l->result != NX_OK)
            (void)nxi_fail(&l->error, l->result, "no memory for a connection");
    }
    if (l->result == NX_OK && !all->closing) {
        opened(l);
        return;
    }
    nxi_lane_retire(l);
    if (all->listener == l)
        all->listener = NULL;
    if (l->result != NX_OK && !all->closing)
        open_failed(l->pool, &l->error);
    nxi_lane_start_close(l);
}

static nxi_lane *connect_one(nxi_pool *pool, bool listening)
{
    nxi_wires *all = nxi_wires_of(pool);
    nxi_lane *l = nxi_zalloc(pool->memory, sizeof(*l));
    nxi_conn_owner owner = {
        .finished = conn_finished, .notified = conn_notified, .dirty = conn_dirty, .closed = conn_closed, .context = l
    };

    if (l == NULL)
        return NULL;
    l->pool = pool;
    l->listening = listening;
    l->job = (nxi_job){ .run = run_open, .done = done_open };
    nxi_error_reset(&l->error);
    l->conn = nxi_conn_new(pool->core, pool->driver->wire, all->window, &owner);
    if (l->conn == NULL || !nxi_openers_start(all->openers, &l->job)) {
        nxi_conn_free(l->conn);
        nxi_release(pool->memory, l);
        return NULL;
    }
    l->next = all->lanes;
    if (all->lanes != NULL)
        all->lanes->previous = l;
    all->lanes = l;
    all->lane_count++;
    if (!listening) {
        all->permits++;
        all->connecting++;
    }
    return l;
}

/* After a failure one tries alone, when its time has come. */
static bool may_connect(nxi_pool *pool)
{
    const nxi_wires *all = nxi_wires_of(pool);
    bool someone_tries = all->connecting > 0 || (all->listener != NULL && !all->listener->is_open);

    if (all->closing)
        return false;
    return all->failures == 0 || (!someone_tries && nxi_core_now(pool->core) >= all->retry_ns);
}

void nxi_lane_grow(nxi_pool *pool, size_t wanted)
{
    nxi_wires *all = nxi_wires_of(pool);

    if (!may_connect(pool))
        return;
    while (all->connecting + all->pinging < wanted && all->connecting < all->allowance && all->permits < all->max &&
           connect_one(pool, false) != NULL)
        continue;
}

bool nxi_lane_connect_listener(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);

    if (all->listener == NULL && may_connect(pool))
        all->listener = connect_one(pool, true);
    return all->listener != NULL;
}
