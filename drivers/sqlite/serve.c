/*
 * serve - a worker: its queues, the reads of all roles, and the driver's table of functions.
 *
 * Design notes, reads: entering and leaving a read transaction costs more than a point select, so the reads that wait run in one.
 * It begins after the last of them was taken from the port. What was acknowledged before a read was queued is therefore
 * in its snapshot. A read that is taken later may have been queued after an acknowledgement that this snapshot lacks, so it never
 * joins: it gets a transaction of its own round.
 */
#include "drivers/sqlite/sqlite.h"

#include <sched.h>

enum {
    READS_MAX = 256,         /* per read transaction; a snapshot that is held keeps the log from being reused */
    READS_NS = 2000000,
    BACK_OFF_FIRST_NS = 1000000,
    BACK_OFF_LAST_NS = 50000000,
    READERS_DEFAULT_MAX = 4,
    READERS_MAX = 64,
    STATEMENTS_DEFAULT = 256,
    WAIT_DEFAULT_MS = 30000
};

/* ------------------------------------------------------------------------------ queues */

void nxi_sq_queue_put(nxi_sq_queue *queue, nxi_request *request)
{
    request->next = NULL;
    if (queue->last != NULL)
        queue->last->next = request;
    else
        queue->first = request;
    queue->last = request;
    queue->count++;
}

void nxi_sq_queue_put_back(nxi_sq_queue *queue, nxi_request *request)
{
    request->next = queue->first;
    queue->first = request;
    if (queue->last == NULL)
        queue->last = request;
    queue->count++;
}

nxi_request *nxi_sq_queue_take(nxi_sq_queue *queue)
{
    nxi_request *request = queue->first;

    if (request == NULL)
        return NULL;
    queue->first = request->next;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->count--;
    request->next = NULL;
    return request;
}

/* ------------------------------------------------------------------------------ what a request is */

/* A step outside of transactions: whether it needs one. */
static nxi_sq_class classify_step(const nxi_request *request, const nxi_step *step)
{
    switch (step->kind) {
    case NXI_STEP_WRITE: return NXI_SQ_CLASS_GROUP;
    case NXI_STEP_FETCH:
    case NXI_STEP_SCALAR:
    case NXI_STEP_RAW:
        if (!request->writes && !step->read_any)
            return NXI_SQ_CLASS_READ;
        break;
    case NXI_STEP_EXECUTE:
    case NXI_STEP_SCRIPT: break;
    case NXI_STEP_CURSOR_FETCH:
    case NXI_STEP_CURSOR_CLOSE: return NXI_SQ_CLASS_CURSOR;
    case NXI_STEP_SAVEPOINT:
    case NXI_STEP_RELEASE:
    case NXI_STEP_ROLLBACK_TO:
    case NXI_STEP_CURSOR_OPEN: return NXI_SQ_CLASS_READ;
    }
    switch (nxi_sq_first_word(step->statement->sql)) {
    case NXI_SQ_WORD_READS:
    case NXI_SQ_WORD_CONTROL: return NXI_SQ_CLASS_READ; /* the latter is refused when it is prepared */
    case NXI_SQ_WORD_ALONE: return NXI_SQ_CLASS_ALONE;
    case NXI_SQ_WORD_OTHER: break;
    }
    return NXI_SQ_CLASS_GROUP;
}

nxi_sq_class nxi_sq_classify(const nxi_request *request)
{
    nxi_sq_class found = NXI_SQ_CLASS_CURSOR;

    if (request->begin != NXI_BEGIN_NONE)
        return request->end == NXI_END_COMMIT && request->begin != NXI_BEGIN_SNAPSHOT ? NXI_SQ_CLASS_GROUP : NXI_SQ_CLASS_OPENER;
    if (request->transaction != 0)
        return NXI_SQ_CLASS_CONTINUED;
    for (size_t i = 0; i < request->step_count; i++) {
        nxi_sq_class class = classify_step(request, &request->steps[i]);
        if (class == NXI_SQ_CLASS_ALONE)
            return class;
        /* Among the others: a write outweighs a read, and a read going on with a cursor. */
        if (found == NXI_SQ_CLASS_CURSOR || class == NXI_SQ_CLASS_GROUP)
            found = class;
    }
    return request->step_count == 0 ? NXI_SQ_CLASS_READ : found;
}

/* ------------------------------------------------------------------------------ giving back */

void nxi_sq_finish(nxi_sq_worker *worker, nxi_request *request, nx_outcome outcome, bool in_transaction)
{
    if (request->taken_ns < request->queued_ns)
        request->taken_ns = nxi_clock_ns();
    if (request->done_ns < request->taken_ns)
        request->done_ns = nxi_clock_ns();
    request->outcome = outcome;
    request->in_transaction = in_transaction;
    if (outcome == NX_OUTCOME_ROLLED_BACK)
        request->steps_done = 0;
    if (nxi_request_error_is_own(request))
        request->error->outcome = outcome;
    nxi_port_finish(worker->port, request);
}

int64_t nxi_sq_patience_ns(const nxi_sq_worker *worker, const nxi_request *request)
{
    return request->deadline_ns != 0 ? request->deadline_ns : request->queued_ns + worker->settings.wait_ns;
}

bool nxi_sq_try_later(nxi_sq_worker *worker, nxi_request *request, nxi_sq_class class)
{
    int64_t now = nxi_clock_ns();

    if (request->status != NX_EBUSY || now >= nxi_sq_patience_ns(worker, request))
        return false;
    nxi_sq_forget(request, class == NXI_SQ_CLASS_CONTINUED ? request->steps_done : 0);
    nxi_sq_queue_put_back(&worker->waiting[class], request);
    worker->backoff_ns = worker->backoff_ns == 0                     ? BACK_OFF_FIRST_NS
                         : worker->backoff_ns * 2 < BACK_OFF_LAST_NS ? worker->backoff_ns * 2
                                                                     : BACK_OFF_LAST_NS;
    worker->retry_ns = now + worker->backoff_ns;
    return true;
}

/* ------------------------------------------------------------------------------ reads */

/* A request comes from another processor's cache: ask for what it will touch while the one before it runs. */
static void fetch_ahead(const nxi_request *request)
{
    const char *room = request->arena->next;

    if (request->step_count == 0)
        return;
    __builtin_prefetch(request->steps[0].values);
    __builtin_prefetch(room, 1);
    __builtin_prefetch(room + NXI_CACHE_LINE, 1);
    __builtin_prefetch(room + 2 * NXI_CACHE_LINE, 1);
}

bool nxi_sq_serve_reads(nxi_sq_worker *worker)
{
    nxi_sq_queue *queue = &worker->waiting[NXI_SQ_CLASS_READ];
    nxi_sq_connection *connection = &worker->main;
    int64_t now, until;
    size_t count = 0;
    bool shared;

    if (queue->first == NULL)
        return false;
    now = nxi_clock_ns();
    until = now + READS_NS;
    shared = (queue->count > 1 || queue->first->step_count > 1) && nxi_sq_do(connection, NXI_SQ_BEGIN) == SQLITE_OK;
    for (nxi_request *request; count < READS_MAX && (request = nxi_sq_queue_take(queue)) != NULL; count++) {
        if (queue->first != NULL)
            fetch_ahead(queue->first);
        request->taken_ns = now; /* one look at the clock per request: it begins where the last one ended */
        (void)nxi_sq_run(worker, connection, request);
        if (request->status == NX_EBUSY && nxi_sq_try_later(worker, request, NXI_SQ_CLASS_READ))
            break;
        now = request->done_ns;
        nxi_sq_finish(worker, request, NX_OUTCOME_NONE, false);
        if (now >= until) {
            count++;
            break;
        }
    }
    if (shared && nxi_sq_do(connection, NXI_SQ_COMMIT) != SQLITE_OK)
        nxi_sq_rollback(connection);
    return count > 0;
}

/* ------------------------------------------------------------------------------ snapshots on a reader */

static void end_snapshot(nxi_sq_worker *worker, nxi_sq_side *side)
{
    nxi_sq_cursors_end(worker, side->transaction);
    nxi_sq_side_put(worker, side);
}

/* A request of a read-only transaction: it has a side connection to itself, so that its snapshot is nobody else's. */
static void serve_snapshot(nxi_sq_worker *worker, nxi_request *request)
{
    nxi_sq_side *side = nxi_sq_side_find(worker, request->transaction);
    nx_outcome outcome = NX_OUTCOME_NONE;
    nx_error error;
    int code;

    if (request->begin != NXI_BEGIN_NONE && side == NULL) {
        if (nxi_sq_side_get(worker, false, &side, &error) != NX_OK) {
            (void)nxi_sq_fail_with(request, 0, &error);
        } else {
            side->transaction = request->transaction;
            code = nxi_sq_do(&side->connection, NXI_SQ_BEGIN);
            if (code != SQLITE_OK)
                (void)nxi_sq_fail(&side->connection, request, 0, code);
        }
    } else if (side == NULL && request->end != NXI_END_ROLLBACK) {
        (void)nxi_request_fail(request, 0, NX_EABORTED, "the transaction has ended before");
    }
    if (side != NULL && request->status == NX_OK)
        (void)nxi_sq_run(worker, &side->connection, request);
    bool failed_begin = request->status != NX_OK && request->begin != NXI_BEGIN_NONE;
    if (side != NULL && (request->end != NXI_END_NONE || failed_begin || !nxi_sq_in_transaction(&side->connection))) {
        end_snapshot(worker, side);
        side = NULL;
    }
    if (side == NULL)
        outcome = request->end == NXI_END_COMMIT && request->status == NX_OK ? NX_OUTCOME_COMMITTED : NX_OUTCOME_ROLLED_BACK;
    nxi_sq_finish(worker, request, outcome, side != NULL);
}

static void reader_serve(nxi_sq_worker *worker, nxi_request *batch)
{
    bool again = true;

    if (nxi_clock_ns() >= worker->retry_ns)
        worker->retry_ns = 0;
    while (again && !nxi_port_is_stopping(worker->port)) {
        for (nxi_request *next; batch != NULL; batch = next) {
            next = batch->next;
            __builtin_prefetch(batch->arena);
            __builtin_prefetch(batch->steps);
            batch->taken_ns = 0;
            if (batch->transaction != 0 || batch->begin != NXI_BEGIN_NONE)
                serve_snapshot(worker, batch);
            else
                nxi_sq_queue_put(&worker->waiting[NXI_SQ_CLASS_READ], batch);
        }
        again = worker->retry_ns == 0 && nxi_sq_serve_reads(worker);
        if (again && worker->retry_ns == 0)
            worker->backoff_ns = 0;
        batch = nxi_port_take(worker->port);
        again |= batch != NULL;
    }
    while (batch != NULL) { /* asked to stop: left to nxi_sq_abandon */
        nxi_request *next = batch->next;
        nxi_sq_queue_put(&worker->waiting[NXI_SQ_CLASS_READ], batch);
        batch = next;
    }
}

/* ------------------------------------------------------------------------------ the driver's functions */

static nx_status check_options(const nx_bind_options *options, nx_error *error)
{
    bool memory = options->path != NULL && strcmp(options->path, ":memory:") == 0;

    if (options->path == NULL || options->path[0] == '\0')
        return nxi_fail(error, NX_EINVAL, "sqlite needs a path: a file, or \":memory:\"");
    if (options->dsn != NULL || options->host != NULL || options->user != NULL || options->password != NULL ||
        options->dbname != NULL || options->port != 0 || options->pooler != NX_POOLER_NONE)
        return nxi_fail(error, NX_EINVAL, "sqlite takes no dsn, host, port, user, password, dbname or pooler");
    if (options->pool_min != 0 || options->pool_max != 0)
        return nxi_fail(error, NX_EINVAL,
                        "sqlite has no pool: pool_min and pool_max must be 0 (readers is the number of reader threads)");
    if (options->waiters_max != 0 || options->idle_check_ms != 0 || options->lifetime_ms != 0 || options->notifications_max != 0)
        return nxi_fail(error, NX_EINVAL,
                        "sqlite has no connections: waiters_max, idle_check_ms, lifetime_ms and notifications_max must be 0");
    if (options->synchronous != NX_SYNCHRONOUS_NORMAL && options->synchronous != NX_SYNCHRONOUS_FULL)
        return nxi_fail(error, NX_EINVAL, "synchronous is neither NX_SYNCHRONOUS_NORMAL nor NX_SYNCHRONOUS_FULL");
    if (options->readers > READERS_MAX)
        return nxi_fail(error, NX_EINVAL, "readers is %u; the most is %d", (unsigned)options->readers, (int)READERS_MAX);
    if (memory && options->read_only)
        return nxi_fail(error, NX_EINVAL, "a database in memory cannot be read-only: it would stay empty");
    return NX_OK;
}

/* One for each processor beside the loop's: more only take turns, and share a transaction among fewer requests. */
static size_t readers_default(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 2;

    return count <= 2 ? 1 : count > READERS_DEFAULT_MAX ? (size_t)READERS_DEFAULT_MAX : (size_t)count - 1;
}

static size_t worker_count(const nx_bind_options *options)
{
    if (strcmp(options->path, ":memory:") == 0)
        return 1;
    return 1 + (options->readers == 0 ? readers_default() : options->readers);
}

static nx_status worker_open(void *state, const nx_bind_options *options, nxi_role role, nxi_port *port, nx_error *error)
{
    nxi_sq_worker *worker = state;
    nxi_sq_settings *settings = &worker->settings;

    worker->port = port;
    worker->memory = nxi_port_memory(port);
    worker->role = role;
    settings->path = nxi_strdup(worker->memory, options->path);
    if (settings->path == NULL)
        return nxi_fail(error, NX_ENOMEM, "out of memory");
    settings->memory = strcmp(settings->path, ":memory:") == 0;
    settings->read_only = options->read_only;
    settings->synchronous = options->synchronous;
    settings->statements_max = options->statements_max == 0 ? (size_t)STATEMENTS_DEFAULT : options->statements_max;
    settings->wait_ns = (int64_t)(options->pool_timeout_ms == 0 ? (uint32_t)WAIT_DEFAULT_MS : options->pool_timeout_ms) * 1000000;
    settings->gather_ns = (int64_t)options->group_commit_us * 1000;
    worker->main.memory = worker->memory;
    worker->main.port = port;
    return nxi_sq_open(&worker->main, settings, role == NXI_ROLE_READER ? NXI_SQ_READS : NXI_SQ_WRITES, error);
}

static void worker_close(void *state)
{
    nxi_sq_worker *worker = state;

    for (size_t i = 0; i < NXI_SQ_SIDES_MAX; i++) {
        if (worker->cursors[i].id != 0)
            nxi_sq_cursor_close(worker, worker->cursors[i].id);
    }
    for (size_t i = 0; i < NXI_SQ_SIDES_MAX; i++) {
        if (worker->sides[i] == NULL)
            continue;
        nxi_sq_close(&worker->sides[i]->connection);
        nxi_release(worker->memory, worker->sides[i]);
        worker->sides[i] = NULL;
    }
    nxi_sq_close(&worker->main);
    if (worker->memory != NULL)
        nxi_release(worker->memory, worker->settings.path);
    worker->settings.path = NULL;
}

static void worker_serve(void *state, nxi_request *batch)
{
    nxi_sq_worker *worker = state;

    if (worker->role == NXI_ROLE_READER)
        reader_serve(worker, batch);
    else
        nxi_sq_writer_serve(worker, batch);
}

static int64_t worker_wake_at(const void *state)
{
    const nxi_sq_worker *worker = state;

    if (worker->role != NXI_ROLE_READER)
        return nxi_sq_writer_wake_at(worker);
    return worker->waiting[NXI_SQ_CLASS_READ].first != NULL ? worker->retry_ns : INT64_MAX;
}

static void worker_abandon(void *state, nx_status status)
{
    nxi_sq_worker *worker = state;

    for (size_t i = 0; i < NXI_SQ_CLASS_COUNT; i++) {
        for (nxi_request *request; (request = nxi_sq_queue_take(&worker->waiting[i])) != NULL;) {
            bool reads = request->transaction == 0 && (i == NXI_SQ_CLASS_READ || i == NXI_SQ_CLASS_CURSOR);
            if (request->end != NXI_END_ROLLBACK)
                (void)nxi_request_fail(request, 0, status, "database \"%s\" was closed before the operation was done",
                                       worker->settings.path);
            nxi_sq_finish(worker, request, reads ? NX_OUTCOME_NONE : NX_OUTCOME_ROLLED_BACK, false);
        }
    }
    /* What a session has open ends with its requests. */
    if (worker->transaction != 0)
        nxi_sq_cursors_end(worker, worker->transaction);
    nxi_sq_rollback(&worker->main);
    worker->transaction = 0;
}

static const nxi_executor executor = {
    .state_size = sizeof(nxi_sq_worker),
    .open = worker_open,
    .close = worker_close,
    .serve = worker_serve,
    .wake_at = worker_wake_at,
    .abandon = worker_abandon,
};

const nxi_driver nxi_driver_sqlite = {
    .name = "sqlite",
    .dialect = &nxi_sq_dialect,
    .check_options = check_options,
    .executor = &executor,
    .worker_count = worker_count,
};
