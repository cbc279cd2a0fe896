/*
 * group_commit - in which order, and in which transactions, the writer runs what waits.
 *
 * Design notes. One round:
 *
 *   a transaction is open ......... its requests at once, everybody else waits for its end
 *   none is open .................. 1. single transactions that a group could not carry
 *                                   2. the group: all waiting whole transactions between one BEGIN IMMEDIATE and one COMMIT
 *                                   3. what must run outside of transactions (VACUUM, PRAGMA ...)
 *                                   4. reads
 *                                   5. the first request that opens a transaction for longer
 *
 * Each member of a group runs inside a savepoint: its failure undoes that one alone. Two things reach the whole group:
 * SQLite itself rolls back (disk full, a trigger's RAISE(ROLLBACK), an interrupted statement), or COMMIT is refused by a deferred
 * foreign key. Then the members that had not failed run again, each as a single transaction, so that everybody gets
 * the answer that he would have got alone. Nothing is acknowledged before its COMMIT.
 *
 * A foreign process that holds the lock: nothing sleeps on it with requests in hand; they wait in their queues
 * with a time to try again, and each gives up at the end of its own patience.
 */
#include "drivers/sqlite/sqlite.h"

#include <stdio.h>
#include <time.h>

enum {
    GROUP_MAX = 256,
    GROUP_ROWS_MAX = 20000, /* rows of one group: who joins a large write waits for all of it */
    COMMIT_PAUSE_NS = 1000000,
    CHECKPOINT_PAGES = 12288, /* of the log: moved into the file even while there is work */
    CHECKPOINT_IDLE_PAGES = 1000,
    CHECKPOINT_IDLE_NS = 50000000,
    CHECKPOINT_LARGE_PAGES = 12288 /* the log is cut, too */
};

/* ------------------------------------------------------------------------------ beginnings and ends */

static void end_waiting_for_lock(nxi_sq_worker *worker)
{
    worker->retry_ns = 0;
    worker->backoff_ns = 0;
}

/* COMMIT cannot meet a lock in WAL mode; in a database that somebody switched to another mode a reader may hold it up shortly. */
static int commit(nxi_sq_worker *worker, int64_t until_ns)
{
    int code = nxi_sq_do(&worker->main, NXI_SQ_COMMIT);

    while ((code & 0xff) == SQLITE_BUSY && nxi_clock_ns() < until_ns && !nxi_port_is_stopping(worker->port)) {
        nanosleep(&(struct timespec){ .tv_nsec = COMMIT_PAUSE_NS }, NULL);
        code = nxi_sq_do(&worker->main, NXI_SQ_COMMIT);
    }
    return code;
}

/* BEGIN for a request. False: it was given back, or waits for a lock (retry_ns is set). */
static bool begin(nxi_sq_worker *worker, nxi_request *request, nxi_sq_own own, nxi_sq_class class)
{
    int code;

    if (nxi_sq_is_stopped(request, 0, request->deadline_ns == 0 ? 0 : nxi_clock_ns())) {
        nxi_sq_finish(worker, request, NX_OUTCOME_ROLLED_BACK, false);
        return false;
    }
    code = nxi_sq_do(&worker->main, own);
    if (code == SQLITE_OK) {
        end_waiting_for_lock(worker);
        return true;
    }
    (void)nxi_sq_fail(&worker->main, request, 0, code);
    if (!nxi_sq_try_later(worker, request, class))
        nxi_sq_finish(worker, request, NX_OUTCOME_ROLLED_BACK, false);
    return false;
}

/* A whole transaction on its own. */
static void run_single(nxi_sq_worker *worker, nxi_request *request)
{
    nxi_sq_connection *connection = &worker->main;
    nx_outcome outcome = NX_OUTCOME_ROLLED_BACK;
    int code;

    if (!begin(worker, request, NXI_SQ_BEGIN_IMMEDIATE, NXI_SQ_CLASS_SINGLE))
        return;
    if (nxi_sq_run(worker, connection, request) == NX_OK) {
        code = commit(worker, nxi_sq_patience_ns(worker, request));
        if (code == SQLITE_OK)
            outcome = NX_OUTCOME_COMMITTED;
        else
            (void)nxi_sq_fail(connection, request, request->step_count, code);
    }
    nxi_sq_rollback(connection);
    nxi_sq_cursors_end(worker, request->transaction);
    nxi_sq_finish(worker, request, outcome, false);
}

static bool run_singles(nxi_sq_worker *worker)
{
    nxi_sq_queue *queue = &worker->waiting[NXI_SQ_CLASS_SINGLE];
    bool some = false;

    while (worker->retry_ns == 0 && queue->first != NULL) {
        run_single(worker, nxi_sq_queue_take(queue));
        some |= worker->retry_ns == 0;
    }
    return some;
}

/* ------------------------------------------------------------------------------ the group */

/* Everyone gets another try, alone. */
static void scatter(nxi_sq_worker *worker, nxi_sq_queue *members)
{
    for (nxi_request *request; (request = nxi_sq_queue_take(members)) != NULL;) {
        nxi_sq_forget(request, 0);
        nxi_sq_queue_put(&worker->waiting[NXI_SQ_CLASS_SINGLE], request);
    }
}

static size_t rows_of(const nxi_request *request)
{
    size_t rows = 0;

    for (size_t i = 0; i < request->step_count; i++)
        rows += request->steps[i].kind == NXI_STEP_WRITE ? request->steps[i].row_count : 1;
    return rows;
}

/* One statement run once is undone by SQLite itself when it fails: a savepoint around it would be a third of its cost. */
static bool is_atomic(const nxi_request *request)
{
    const nxi_step *step = request->steps;

    if (request->step_count != 1)
        return false;
    if (step->kind != NXI_STEP_WRITE)
        return false; /* the user's own text may say OR FAIL, which leaves what was done so far */
    const nxi_column *key = step->statement->key_column;
    /* A key that does not fit its member is found only when the row is there. */
    return step->row_count == 1 && (key == NULL || key->type == NX_TYPE_i64);
}

/* Run one member so that it can be undone alone. False: it failed and was given back. */
static bool run_member(nxi_sq_worker *worker, nxi_request *request, bool alone)
{
    nxi_sq_connection *connection = &worker->main;
    bool atomic = !alone && is_atomic(request);
    bool guarded = !alone && !atomic;
    sqlite3_int64 changes = sqlite3_total_changes64(connection->db);
    int code = guarded ? nxi_sq_do(connection, NXI_SQ_GROUP_SAVE) : SQLITE_OK;

    if (code != SQLITE_OK)
        (void)nxi_sq_fail(connection, request, 0, code);
    else if (nxi_sq_run(worker, connection, request) == NX_OK && guarded) {
        code = nxi_sq_do(connection, NXI_SQ_GROUP_RELEASE);
        if (code != SQLITE_OK)
            (void)nxi_sq_fail(connection, request, request->step_count, code);
    }
    nxi_sq_cursors_end(worker, request->transaction);
    if (request->status == NX_OK)
        return true;
    /* A savepoint that cannot be undone must not be committed with the rest. */
    bool undone = atomic && sqlite3_total_changes64(connection->db) == changes; /* not so after a trigger's RAISE(FAIL) */
    if (!undone &&
        (alone || atomic || !nxi_sq_in_transaction(connection) || nxi_sq_do(connection, NXI_SQ_GROUP_UNDO) != SQLITE_OK ||
         nxi_sq_do(connection, NXI_SQ_GROUP_RELEASE) != SQLITE_OK))
        nxi_sq_rollback(connection);
    nxi_sq_finish(worker, request, NX_OUTCOME_ROLLED_BACK, false);
    return false;
}

/* COMMIT and give the members back. */
static void commit_group(nxi_sq_worker *worker, nxi_sq_queue *members)
{
    nxi_sq_connection *connection = &worker->main;
    nx_error error;
    int code;

    if (members->first == NULL) {
        nxi_sq_rollback(connection);
        return;
    }
    code = commit(worker, nxi_sq_patience_ns(worker, members->first));
    if (code != SQLITE_OK) {
        (void)nxi_sq_describe(connection, code, NULL, &error); /* before ROLLBACK replaces the message */
        nxi_sq_rollback(connection);
        if ((code & 0xff) == SQLITE_CONSTRAINT && members->count > 1) {
            scatter(worker, members);
            return;
        }
    }
    uint32_t count = (uint32_t)members->count;
    bool first = true;
    for (nxi_request *request; (request = nxi_sq_queue_take(members)) != NULL;) {
        request->shared_with = count;
        request->first_of_group = first;
        first = false;
        if (code != SQLITE_OK)
            (void)nxi_sq_fail_with(request, request->step_count, &error);
        request->done_ns = 0; /* it was not done when its steps were */
        nxi_sq_finish(worker, request, code == SQLITE_OK ? NX_OUTCOME_COMMITTED : NX_OUTCOME_ROLLED_BACK, false);
    }
}

/* More sessions may come and share the commit. */
static bool is_gathering(nxi_sq_worker *worker)
{
    size_t count = worker->waiting[NXI_SQ_CLASS_GROUP].count;

    if (worker->settings.gather_ns == 0 || count >= GROUP_MAX)
        return false;
    if (worker->gather_until_ns == 0)
        worker->gather_until_ns = nxi_clock_ns() + worker->settings.gather_ns;
    return nxi_clock_ns() < worker->gather_until_ns;
}

static bool run_group(nxi_sq_worker *worker)
{
    nxi_sq_queue *queue = &worker->waiting[NXI_SQ_CLASS_GROUP], members = { 0 };
    nxi_request *request;
    size_t rows = 0;
    bool alone;

    if (queue->first == NULL || is_gathering(worker))
        return false;
    worker->gather_until_ns = 0;
    request = nxi_sq_queue_take(queue);
    alone = queue->first == NULL;
    /* Who is first tries the lock for all. */
    if (!begin(worker, request, NXI_SQ_BEGIN_IMMEDIATE, NXI_SQ_CLASS_GROUP))
        return worker->retry_ns == 0;
    for (size_t count = 1; request != NULL; count++) {
        rows += rows_of(request);
        if (run_member(worker, request, alone))
            nxi_sq_queue_put(&members, request);
        if (!nxi_sq_in_transaction(&worker->main)) {
            scatter(worker, &members);
            return true;
        }
        request = count < GROUP_MAX && rows < GROUP_ROWS_MAX ? nxi_sq_queue_take(queue) : NULL;
    }
    commit_group(worker, &members);
    return true;
}

/* ------------------------------------------------------------------------------ longer transactions */

static void end_transaction(nxi_sq_worker *worker, nxi_request *request)
{
    nxi_sq_cursors_end(worker, request->transaction);
    nxi_sq_rollback(&worker->main);
    worker->transaction = 0;
    if (worker->only_reads)
        (void)sqlite3_exec(worker->main.db, "PRAGMA query_only = OFF", NULL, NULL, NULL);
    worker->only_reads = false;
}

/*
 * A request that fails, or is stopped, in a transaction that goes on shall leave nothing of its rows: one that brings no
 * savepoint of its own gets one. SQL text of the application does without: it is undone by SQLite, unless it says otherwise.
 */
static bool needs_guard(const nxi_request *request)
{
    bool writes = false;

    if (request->begin != NXI_BEGIN_NONE || request->end != NXI_END_NONE)
        return false;
    for (size_t i = 0; i < request->step_count; i++) {
        if (nxi_step_is_savepoint(&request->steps[i]))
            return false;
        writes = writes || request->steps[i].kind == NXI_STEP_WRITE;
    }
    return writes;
}

/* Back to where the transaction was before the request. A savepoint that cannot be undone costs all of it. */
static void take_back(nxi_sq_worker *worker, nxi_request *request, bool guarded)
{
    nxi_sq_connection *connection = &worker->main;
    char sql[64];
    bool done = true;

    if (!nxi_sq_in_transaction(connection))
        return;
    if (guarded) {
        done = nxi_sq_do(connection, NXI_SQ_GROUP_UNDO) == SQLITE_OK && nxi_sq_do(connection, NXI_SQ_GROUP_RELEASE) == SQLITE_OK;
        request->steps_done = 0;
    } else if (nxi_request_is_guarded(request) && request->steps_done > 0) {
        unsigned level = (unsigned)request->steps[0].level;
        (void)snprintf(sql, sizeof(sql), "ROLLBACK TO nxi_%u; RELEASE nxi_%u", level, level);
        done = sqlite3_exec(connection->db, sql, NULL, NULL, NULL) == SQLITE_OK;
        request->steps_done = 0;
    }
    if (!done)
        nxi_sq_rollback(connection);
}

/* Its steps, in the transaction that is open. False: it met a foreign lock, and goes on later. */
static bool run_steps(nxi_sq_worker *worker, nxi_request *request)
{
    nxi_sq_connection *connection = &worker->main;
    bool guarded = needs_guard(request);
    int code = guarded ? nxi_sq_do(connection, NXI_SQ_GROUP_SAVE) : SQLITE_OK;

    if (code != SQLITE_OK) {
        (void)nxi_sq_fail(connection, request, 0, code);
        return true;
    }
    if (nxi_sq_run(worker, connection, request) == NX_OK && guarded) {
        code = nxi_sq_do(connection, NXI_SQ_GROUP_RELEASE);
        if (code != SQLITE_OK)
            (void)nxi_sq_fail(connection, request, request->step_count, code);
    }
    /* A transaction that only read so far met a foreign lock at its first write: nothing was written. */
    if (request->status == NX_EBUSY && request->begin != NXI_BEGIN_WRITE && nxi_sq_in_transaction(connection)) {
        size_t done = request->steps_done;
        if (guarded)
            take_back(worker, request, true);
        request->steps_done = done;
        if (nxi_sq_in_transaction(connection) && nxi_sq_try_later(worker, request, NXI_SQ_CLASS_CONTINUED))
            return false;
        guarded = false;
    }
    if (request->status != NX_OK)
        take_back(worker, request, guarded);
    return true;
}

/* The connection is in the transaction of this request. */
static void run_in_transaction(nxi_sq_worker *worker, nxi_request *request)
{
    nxi_sq_connection *connection = &worker->main;
    nx_outcome outcome = NX_OUTCOME_NONE;
    bool open;
    int code;

    if (!run_steps(worker, request))
        return;
    open = nxi_sq_in_transaction(connection);
    if (!open && request->status == NX_OK)
        (void)nxi_request_fail(request, request->step_count, NX_EABORTED, "the transaction was rolled back by the database");
    if (open && request->end == NXI_END_COMMIT && request->status == NX_OK) {
        nxi_sq_cursors_end(worker, request->transaction);
        code = commit(worker, nxi_sq_patience_ns(worker, request));
        if (code == SQLITE_OK)
            outcome = NX_OUTCOME_COMMITTED;
        else
            (void)nxi_sq_fail(connection, request, request->step_count, code);
        open = false;
        request->done_ns = 0;
    }
    /* Its snapshot is out of date: it can never write; and what a request begins, it does not leave open when it fails. */
    if (request->status != NX_OK && request->begin != NXI_BEGIN_NONE)
        open = false;
    if (request->end != NXI_END_NONE || request->status == NX_ESERIALIZATION)
        open = false;
    if (!open) {
        end_transaction(worker, request);
        outcome = outcome == NX_OUTCOME_COMMITTED ? outcome : NX_OUTCOME_ROLLED_BACK;
    }
    nxi_sq_finish(worker, request, outcome, open);
}

static bool open_next(nxi_sq_worker *worker)
{
    nxi_request *request = nxi_sq_queue_take(&worker->waiting[NXI_SQ_CLASS_OPENER]);

    if (request == NULL)
        return false;
    if (!begin(worker, request, request->begin == NXI_BEGIN_WRITE ? NXI_SQ_BEGIN_IMMEDIATE : NXI_SQ_BEGIN, NXI_SQ_CLASS_OPENER))
        return worker->retry_ns == 0;
    worker->transaction = request->transaction;
    /* Where one worker does all, the read-only transaction shares the connection with those that write. */
    if (request->begin == NXI_BEGIN_SNAPSHOT)
        worker->only_reads = sqlite3_exec(worker->main.db, "PRAGMA query_only = ON", NULL, NULL, NULL) == SQLITE_OK;
    run_in_transaction(worker, request);
    return true;
}

static bool is_about_to_open(const nxi_sq_worker *worker, uint64_t transaction)
{
    for (const nxi_request *at = worker->waiting[NXI_SQ_CLASS_OPENER].first; at != NULL; at = at->next) {
        if (at->transaction == transaction)
            return true;
    }
    return false;
}

/* Requests of the open transaction run; those of one that is no more fail, whatever it was that ended it. */
static bool run_continued(nxi_sq_worker *worker)
{
    nxi_sq_queue waiting = worker->waiting[NXI_SQ_CLASS_CONTINUED];
    bool some = false;

    worker->waiting[NXI_SQ_CLASS_CONTINUED] = (nxi_sq_queue){ 0 };
    for (nxi_request *request; (request = nxi_sq_queue_take(&waiting)) != NULL;) {
        bool ours = request->transaction == worker->transaction;
        if ((ours && worker->retry_ns != 0 && !nxi_request_is_unstoppable(request)) ||
            (!ours && is_about_to_open(worker, request->transaction))) {
            nxi_sq_queue_put(&worker->waiting[NXI_SQ_CLASS_CONTINUED], request);
            continue;
        }
        some = true;
        if (ours) {
            run_in_transaction(worker, request);
            continue;
        }
        nxi_request_too_late(request, NX_EABORTED, "the transaction was rolled back before: nothing of it remains");
        nxi_sq_finish(worker, request, NX_OUTCOME_ROLLED_BACK, false);
    }
    return some;
}

/* ------------------------------------------------------------------------------ the rest */

/* VACUUM and the like. */
static bool run_alone(nxi_sq_worker *worker)
{
    nxi_sq_queue *queue = &worker->waiting[NXI_SQ_CLASS_ALONE];
    bool some = false;

    while (worker->retry_ns == 0 && queue->first != NULL) {
        nxi_request *request = nxi_sq_queue_take(queue);
        (void)nxi_sq_run(worker, &worker->main, request);
        nxi_sq_rollback(&worker->main);
        if (request->status == NX_EBUSY && nxi_sq_try_later(worker, request, NXI_SQ_CLASS_ALONE))
            break;
        nxi_sq_finish(worker, request, request->status == NX_OK ? NX_OUTCOME_COMMITTED : NX_OUTCOME_ROLLED_BACK, false);
        some = true;
    }
    return some;
}

static bool run_cursors(nxi_sq_worker *worker)
{
    nxi_sq_queue *queue = &worker->waiting[NXI_SQ_CLASS_CURSOR];
    bool some = queue->first != NULL;

    while (queue->first != NULL) {
        nxi_request *request = nxi_sq_queue_take(queue);
        (void)nxi_sq_run(worker, &worker->main, request);
        nxi_sq_finish(worker, request, NX_OUTCOME_NONE, false);
    }
    return some;
}

static void give_up(nxi_sq_worker *worker, nxi_request *request, int64_t now)
{
    int stop = atomic_load_explicit(&request->stop, memory_order_relaxed);
    long long waited_ms = (long long)(now - request->queued_ns) / 1000000;

    if (stop != NX_OK && stop != NX_EDEADLINE)
        (void)nxi_request_fail(request, 0, (nx_status)stop, "the operation was cancelled while it waited for the writer");
    else if (worker->retry_ns != 0)
        (void)nxi_request_fail(request, 0, NX_EBUSY,
                               "database \"%s\" is busy: another process or connection holds its lock (waited %lld ms)",
                               worker->settings.path, waited_ms);
    else
        (void)nxi_request_fail(
            request, 0, NX_EBUSY,
            "database \"%s\" is busy: a session that has written and is still open holds the writer (waited %lld ms)",
            worker->settings.path, waited_ms);
    if (request->status == NX_EBUSY && nxi_request_error_is_own(request)) {
        request->error->retryable = true;
        memcpy(request->error->sqlstate, "55P03", sizeof(request->error->sqlstate));
    }
}

/* It waits on, whatever happens: it has to end or to undo something, and what it waits for is over by itself. */
static bool stays(const nxi_sq_worker *worker, const nxi_request *request)
{
    return nxi_request_is_unstoppable(request) ||
           (request->end == NXI_END_COMMIT && request->begin == NXI_BEGIN_NONE && request->transaction != worker->transaction &&
            is_about_to_open(worker, request->transaction));
}

/* Its own transaction, or that of the request in front of it, goes on without it. */
static bool leaves_open(nxi_sq_worker *worker, nxi_request *request)
{
    bool ours = request->transaction != 0 && request->transaction == worker->transaction;

    if (ours && (request->begin != NXI_BEGIN_NONE || request->end != NXI_END_NONE)) {
        end_transaction(worker, request);
        return false;
    }
    if (ours)
        take_back(worker, request, false); /* it may have set its savepoint before it met the lock */
    return ours || (request->begin == NXI_BEGIN_NONE && is_about_to_open(worker, request->transaction));
}

/* Requests that wait for a lock or a session, and whose time is over. True: there were some, which others may have waited for. */
static bool drop_late(nxi_sq_worker *worker)
{
    int64_t now = nxi_clock_ns();
    bool some = false;

    for (size_t i = 0; i < NXI_SQ_CLASS_COUNT; i++) {
        nxi_sq_queue waiting = worker->waiting[i];
        worker->waiting[i] = (nxi_sq_queue){ 0 };
        for (nxi_request *request; (request = nxi_sq_queue_take(&waiting)) != NULL;) {
            if (stays(worker, request) || (atomic_load_explicit(&request->stop, memory_order_relaxed) == NX_OK &&
                                           now < nxi_sq_patience_ns(worker, request))) {
                nxi_sq_queue_put(&worker->waiting[i], request);
                continue;
            }
            give_up(worker, request, now);
            some = true;
            bool open = i == NXI_SQ_CLASS_CONTINUED && leaves_open(worker, request);
            nxi_sq_finish(worker, request, open || i == NXI_SQ_CLASS_READ ? NX_OUTCOME_NONE : NX_OUTCOME_ROLLED_BACK, open);
        }
    }
    return some;
}

/* True: something moved, so that another round may find more to do. */
static bool run_round(nxi_sq_worker *worker)
{
    bool some = run_cursors(worker);

    if (worker->retry_ns != 0 && nxi_clock_ns() >= worker->retry_ns)
        worker->retry_ns = 0;
    some |= run_continued(worker);
    if (worker->transaction != 0)
        return some;
    some |= run_singles(worker);
    if (worker->retry_ns == 0)
        some |= run_group(worker);
    some |= run_alone(worker);
    some |= nxi_sq_serve_reads(worker);
    if (worker->retry_ns == 0)
        some |= open_next(worker);
    return some;
}

/* ------------------------------------------------------------------------------ the log */

/*
 * Move the log into the file. Here and not inside COMMIT, so that answers do not wait for it; a reader that is in the way leaves
 * the rest for the next time.
 */
static void checkpoint(nxi_sq_worker *worker, bool idle)
{
    nxi_sq_connection *connection = &worker->main;
    int pages = connection->wal_pages;

    worker->checkpoint_ns = 0;
    if (worker->checkpoint_pages == 0 || pages < worker->checkpoint_pages - CHECKPOINT_PAGES)
        worker->checkpoint_pages = CHECKPOINT_PAGES;
    if (worker->transaction != 0 || pages < CHECKPOINT_IDLE_PAGES)
        return;
    if (!idle && pages < worker->checkpoint_pages) {
        worker->checkpoint_ns = nxi_clock_ns() + CHECKPOINT_IDLE_NS;
        return;
    }
    (void)sqlite3_wal_checkpoint_v2(
        connection->db, "main", idle && pages >= CHECKPOINT_LARGE_PAGES ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
        NULL, NULL);
    worker->checkpoint_pages = pages + CHECKPOINT_PAGES;
    connection->wal_pages = 0; /* until the next commit tells */
}

/* ------------------------------------------------------------------------------ serving */

static void accept_batch(nxi_sq_worker *worker, nxi_request *batch)
{
    for (nxi_request *next; batch != NULL; batch = next) {
        next = batch->next;
        batch->taken_ns = 0;
        nxi_sq_queue_put(&worker->waiting[nxi_sq_classify(batch)], batch);
    }
}

static bool is_waiting(const nxi_sq_worker *worker)
{
    for (size_t i = 0; i < NXI_SQ_CLASS_COUNT; i++) {
        if (worker->waiting[i].first != NULL)
            return true;
    }
    return false;
}

void nxi_sq_writer_serve(nxi_sq_worker *worker, nxi_request *batch)
{
    bool idle = batch == NULL && worker->checkpoint_ns != 0 && nxi_clock_ns() >= worker->checkpoint_ns;

    do {
        bool again = true;
        while (again && !nxi_port_is_stopping(worker->port)) {
            accept_batch(worker, batch);
            again = run_round(worker);
            batch = nxi_port_take(worker->port);
            again |= batch != NULL;
        }
        accept_batch(worker, batch);
        batch = NULL;
    } while ((worker->transaction != 0 || worker->retry_ns != 0) && drop_late(worker));
    if (!is_waiting(worker))
        end_waiting_for_lock(worker); /* who comes next tries at once */
    if (!worker->settings.memory)
        checkpoint(worker, idle);
}

int64_t nxi_sq_writer_wake_at(const nxi_sq_worker *worker)
{
    int64_t wake_ns = worker->checkpoint_ns != 0 ? worker->checkpoint_ns : INT64_MAX;

    for (size_t i = 0; i < NXI_SQ_CLASS_COUNT; i++) {
        if (worker->waiting[i].first == NULL)
            continue;
        if (worker->retry_ns != 0 && worker->retry_ns < wake_ns)
            wake_ns = worker->retry_ns;
        if (i == NXI_SQ_CLASS_GROUP && worker->gather_until_ns != 0 && worker->gather_until_ns < wake_ns)
            wake_ns = worker->gather_until_ns;
        for (const nxi_request *at = worker->waiting[i].first; at != NULL && (worker->retry_ns != 0 || worker->transaction != 0);
             at = at->next) {
            int64_t patience_ns = stays(worker, at) ? INT64_MAX : nxi_sq_patience_ns(worker, at);
            wake_ns = patience_ns < wake_ns ? patience_ns : wake_ns;
        }
    }
    return wake_ns;
}
