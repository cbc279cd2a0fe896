/*
 * answer - the server's messages, met with the units that expect them.
 *
 * Messages that may come at any time (notices, parameter changes, notifications: 55.2.7) are taken out first. Every other one
 * must fit the first unit. After an error the units up to the Sync are dropped, as the server drops their messages; the end of
 * the wave (ReadyForQuery) decides what becomes of its job.
 */
#include "drivers/postgres/postgres.h"

#define ENDED_BY_TEXT "the transaction was ended by SQL text: sessions do that"

/* ------------------------------------------------------------------------------ the ends of jobs */

static void set_elapsed(nxi_request *request)
{
    request->done_ns = nxi_clock_ns();
    for (size_t i = 0; i < request->step_count; i++)
        request->steps[i].elapsed_ns = (request->done_ns - request->taken_ns) / (int64_t)request->step_count;
}

static bool ends(const nxi_pg_job *job)
{
    return job->is_implicit || job->request->end == NXI_END_COMMIT;
}

static void finish_well(nxi_pg *pg, nxi_pg_job *job, const nxi_sink *sink)
{
    nxi_request *request = job->request;

    if (request->end == NXI_END_ROLLBACK)
        request->outcome = NX_OUTCOME_ROLLED_BACK;
    else if (ends(job) && (request->writes || request->begin != NXI_BEGIN_NONE || request->end == NXI_END_COMMIT))
        request->outcome = NX_OUTCOME_COMMITTED;
    request->in_transaction = request->transaction != 0 && request->end == NXI_END_NONE && pg->status != 'I';
    request->steps_done = request->outcome == NX_OUTCOME_ROLLED_BACK ? 0 : request->step_count;
    set_elapsed(request);
    nxi_pg_job_finish(pg, job, sink);
}

/* Of a job that has failed. The server has done all of one that only the client objects to. */
static size_t steps_that_stand(const nxi_pg *pg, const nxi_pg_job *job)
{
    const nxi_request *request = job->request;

    if (request->outcome == NX_OUTCOME_COMMITTED)
        return request->step_count;
    if (!request->in_transaction || job->mode == NXI_PG_UNDO)
        return 0;
    if (nxi_request_is_unstoppable(request))
        return job->failed_step;
    if (pg->status == 'E') /* nothing but a savepoint is of any use there */
        return nxi_pg_has_guard(request) && job->failed_step > 0 ? 1 : 0;
    return job->missed && request->step_count == 1 ? 0 : request->step_count;
}

static void finish_badly(nxi_pg *pg, nxi_pg_job *job, const nxi_sink *sink)
{
    nxi_request *request = job->request;
    nx_error *error = &job->error;

    if (job->row_is_known && job->failed_count <= 1)
        error->row = (int64_t)job->failed_first;
    if (ends(job) || request->end == NXI_END_ROLLBACK)
        request->outcome = job->stands ? NX_OUTCOME_COMMITTED : NX_OUTCOME_ROLLED_BACK;
    else if (request->transaction != 0 && pg->status == 'I') {
        /* Else SQL text has ended it, whatever its words were. */
        bool by_us = job->mode == NXI_PG_UNDO || request->begin != NXI_BEGIN_NONE || error->status == NX_EABORTED;
        request->outcome = by_us ? NX_OUTCOME_ROLLED_BACK : NX_OUTCOME_UNKNOWN;
    }
    error->outcome = request->outcome;
    request->in_transaction = request->transaction != 0 && request->end == NXI_END_NONE && pg->status != 'I';
    request->steps_done = steps_that_stand(pg, job);
    if (request->status == NX_OK) {
        (void)nxi_request_fail(request, job->failed_step, error->status, "%s", error->message);
        if (nxi_request_error_is_own(request))
            *request->error = *error;
    } else if (nxi_request_error_is_own(request)) {
        request->error->outcome = request->outcome;
    }
    set_elapsed(request);
    nxi_pg_job_finish(pg, job, sink);
}

/* Everything is undone, by the server's error or by a ROLLBACK that the restart begins with. */
static void do_again(nxi_pg *pg, nxi_pg_job *job, nxi_pg_mode mode)
{
    job->has_error = false;
    job->was_open = pg->status != 'I';
    job->retries++;
    job->was_stale = job->was_stale || job->is_stale;
    job->is_explicit = false;
    if (mode == NXI_PG_CAREFUL) {
        size_t rows = job->request->steps[job->failed_step].row_count;

        job->careful_step = job->failed_step;
        job->careful_row = 0;
        job->careful_size = nxi_max_size(job->row_is_known ? job->failed_first : rows / 2, 1);
    }
    nxi_pg_job_restart(job, mode);
    nxi_pg_enqueue_first(pg, job, job);
}

static void undo(nxi_pg *pg, nxi_pg_job *job)
{
    job->mode = NXI_PG_UNDO;
    job->stage = NXI_PG_STAGE_START;
    job->is_failed = job->is_spoilt = false;
    nxi_pg_enqueue_first(pg, job, job);
}

static void wave_failed(nxi_pg *pg, nxi_pg_job *job, const nxi_sink *sink)
{
    bool undone = job->is_failed || job->is_spoilt;

    if (undone && job->keys_unknown && !job->avoids_copy && nxi_pg_can_go_back(job)) {
        job->avoids_copy = true;
        job->keys_unknown = false;
        do_again(pg, job, NXI_PG_NORMAL);
    } else if (undone && (job->has_learnt || (job->is_stale && !job->was_stale)) && nxi_pg_can_go_back(job)) {
        do_again(pg, job, NXI_PG_NORMAL);
    } else if (undone && nxi_pg_may_be_careful(job)) {
        do_again(pg, job, NXI_PG_CAREFUL);
    } else if (pg->status != 'I' &&
               (nxi_pg_is_begun_by(job) || job->request->end != NXI_END_NONE || job->has_own_savepoint)) {
        undo(pg, job);
    } else {
        job->stands = !undone && !(job->missed && job->request->step_count == 1);
        finish_badly(pg, job, sink);
    }
}

static void fail_state(nxi_pg_job *job, const char *what)
{
    job->has_error = true;
    job->failed_step = job->request->step_count;
    (void)nxi_fail(&job->error, NX_ESTATE, "%s", what);
}

/* "A status byte that does not fit": what the server says of its transaction against what the request has made of it. */
static void check_status(const nxi_pg *pg, nxi_pg_job *job)
{
    const nxi_request *request = job->request;

    if (job->has_error)
        return;
    if (pg->status == 'E')
        fail_state(job, "the server says that the transaction has failed, and has not said why");
    else if (pg->status == 'T' && (ends(job) || request->end == NXI_END_ROLLBACK || request->transaction == 0))
        fail_state(job, "a transaction was begun by SQL text: sessions do that");
    else if (pg->status == 'I' && request->transaction != 0 && !ends(job) && request->end == NXI_END_NONE)
        fail_state(job, ENDED_BY_TEXT);
}

enum { TRIES_MAX = 3 }; /* to go back: an interrupt may hit it, or a statement be gone (DEALLOCATE ALL) */

bool nxi_pg_is_wrecked(const nxi_pg *pg, const nxi_pg_job *job)
{
    if (job->begins)
        return !job->is_back || pg->status != 'T';
    return job->has_own_savepoint && pg->status != 'I' && (!job->is_back || pg->status == 'E');
}

/* A job that was given up has left its transaction in the middle of something. */
static bool must_go_back(const nxi_pg *pg, nxi_pg_job *job)
{
    if (job->ends_there && !job->is_implicit)
        return pg->status != 'I' && job->tries_back++ < TRIES_MAX;
    if (job->is_explicit && !job->begins)
        return pg->status != 'I' && (job->ends_there || job->mode == NXI_PG_CAREFUL);
    return nxi_pg_is_wrecked(pg, job) && job->tries_back++ < TRIES_MAX;
}

/* The way back has been answered. A ROLLBACK that came to its end by that has done what it was for. */
static void undone(nxi_pg *pg, nxi_pg_job *job, const nxi_sink *sink)
{
    bool whole = nxi_pg_is_begun_by(job) || job->request->end != NXI_END_NONE;

    if (whole ? pg->status != 'I' : pg->status == 'E') {
        if (job->tries_back++ < TRIES_MAX) {
            undo(pg, job);
            return;
        }
        pg->is_broken = pg->is_broken || whole; /* only the end of the connection ends the transaction */
    }
    if (job->request->end == NXI_END_ROLLBACK && pg->status == 'I')
        finish_well(pg, job, sink);
    else
        finish_badly(pg, job, sink);
}

static void wave_over(nxi_pg *pg, nxi_pg_job *job, const nxi_sink *sink)
{
    if (job->request == NULL) {
        pg->may_be_hit = false; /* the barrier behind an interrupt */
        nxi_pg_job_release(pg, job);
        return;
    }
    if (job->mode == NXI_PG_CAREFUL && !job->dead && nxi_pg_piece_over(pg, job))
        return;
    if (pg->queue_first == job)
        nxi_pg_dequeue(pg);
    if (job->dead) {
        if (must_go_back(pg, job)) {
            job->stage = NXI_PG_STAGE_START;
            nxi_pg_enqueue_first(pg, job, job);
            return;
        }
        nxi_pg_job_finish(pg, job, sink);
        return;
    }
    if (job->mode == NXI_PG_UNDO) {
        undone(pg, job, sink);
        return;
    }
    if (!job->is_failed && !job->is_spoilt)
        check_status(pg, job);
    if (job->has_error) {
        wave_failed(pg, job, sink);
        return;
    }
    if (job->has_own_savepoint && pg->status == 'T')
        pg->own_open = job->own;
    finish_well(pg, job, sink);
}

/* A read is over with its last answer; its Sync is others' too. */
static void read_over(nxi_pg *pg, nxi_pg_job *job, const nxi_sink *sink)
{
    if (!job->is_read || job->units > 0 || job->stage != NXI_PG_STAGE_WAIT || job->finished)
        return;
    if (job->dead)
        nxi_pg_job_finish(pg, job, sink);
    else if (job->has_error)
        finish_badly(pg, job, sink);
    else
        finish_well(pg, job, sink);
}

/* ------------------------------------------------------------------------------ errors */

/* The first error of a job is what it failed of. */
static void note(nxi_pg *pg, nxi_pg_job *job, const nxi_pg_unit *unit, const nx_error *error, const nxi_pg_trouble *trouble)
{
    const nxi_step *step = nxi_pg_step(job, unit->step);

    job->is_failed = true;
    if (job->has_error)
        return;
    job->has_error = true;
    job->error = *error;
    job->is_stale = trouble->plan_is_stale;
    job->failed_step = unit->kind == NXI_PG_UNIT_SYNC ? (job->dead ? 0 : job->request->step_count) : unit->step;
    /* 22P03: a column has another type by now than the one that its values were made for. */
    if (unit->is_copy && strcmp(trouble->sqlstate, "22P03") == 0)
        job->keys_unknown = true;
    /* Sent before that was known, by this job or by one in front of it. */
    if (trouble->lacks_xmax && step != NULL && step->statement->upserts && unit->prepared != NULL &&
        !unit->prepared->by_lookup)
        job->has_learnt = nxi_pg_learn_without_xmax(pg, step->statement->table);
    if (unit->use == NXI_PG_FOR_KEYS)
        job->keys_unknown = strstr(error->message, NXI_PG_KEYS_UNKNOWN) != NULL;
    if (unit->use != NXI_PG_FOR_ROWS)
        return;
    int64_t missing = nxi_pg_missing_row(error->message);
    int64_t named = missing > 0 ? missing : trouble->copy_line;
    job->row_is_known = unit->count == 1 || (named > 0 && (uint64_t)named <= unit->count);
    job->failed_first = unit->first + (unit->count > 1 && job->row_is_known ? (size_t)named - 1 : 0);
    job->failed_count = job->row_is_known ? 1 : unit->count;
    if (missing > 0 && !job->dead) {
        const nxi_table *table = step == NULL ? NULL : step->statement->table;
        (void)nxi_fail(&job->error, NX_EOPTIMISTIC, "%s: the row was changed or deleted by somebody else",
                       table == NULL ? "?" : table->name);
        nxi_error_name(job->error.table, table == NULL ? "" : table->name);
        job->error.retryable = true;
    }
}

/* One unit that the server has dropped; true: its job is a read that has to be sent again. */
static bool drop_skipped(nxi_pg *pg, const nxi_pg_job *failed)
{
    nxi_pg_unit *unit = nxi_pg_front(pg);
    nxi_pg_prepared *p = unit->prepared;
    nxi_pg_job *job = unit->job;
    bool again = job != NULL && job->is_read && job != failed && !job->finished;

    if (p != NULL && (unit->kind == NXI_PG_UNIT_PARSE || (unit->kind == NXI_PG_UNIT_DESCRIBE && !p->has_result)))
        nxi_pg_prepared_forget(p);
    if (p != NULL && job != NULL && job == failed && job->is_stale)
        nxi_pg_prepared_forget(p);
    if (job != NULL)
        nxi_pg_job_unasked(pg, job);
    else if (unit->kind == NXI_PG_UNIT_CLOSE)
        pg->has_strays = true;
    if (unit->use == NXI_PG_FOR_TABLE)
        pg->asking = NULL; /* it will not be answered */
    nxi_pg_drop_front(pg);
    return again;
}

typedef struct again {
    nxi_pg_job *first, *last;
} again;

/* Reads that were dropped with a neighbour's error: in their order, at the front. */
static void send_again(nxi_pg *pg, again *list)
{
    if (list->first != NULL)
        nxi_pg_enqueue_first(pg, list->first, list->last);
}

static void collect_again(nxi_pg *pg, again *list, nxi_pg_job *job)
{
    if (job->stage == NXI_PG_STAGE_START || job == list->last)
        return; /* it is in the list */
    nxi_pg_job_restart(job, NXI_PG_NORMAL);
    if (job == pg->queue_first)
        return; /* it was only sent in part, and is where it belongs */
    job->next = NULL;
    if (list->last != NULL)
        list->last->next = job;
    else
        list->first = job;
    list->last = job;
}

static void skip_to_sync(nxi_pg *pg, nxi_pg_job *failed)
{
    again list = { 0 };

    pg->skipping = true;
    for (nxi_pg_unit *unit; (unit = nxi_pg_front(pg)) != NULL && unit->kind != NXI_PG_UNIT_SYNC;) {
        nxi_pg_job *job = unit->job;
        if (drop_skipped(pg, failed))
            collect_again(pg, &list, job);
    }
    send_again(pg, &list);
}

static void read_failed(nxi_pg *pg, nxi_pg_job *job, bool was_hit, const nxi_sink *sink)
{
    if (nxi_pg_front(pg) == NULL)
        pg->unsynced = true; /* its Sync is still to be sent */
    if (job == pg->queue_first)
        nxi_pg_dequeue(pg); /* it was sent in part only */
    job->stage = NXI_PG_STAGE_WAIT;
    if (job->dead || !(was_hit || (job->is_stale && job->retries == 0))) {
        read_over(pg, job, sink);
        return;
    }
    job->retries += !was_hit;
    job->has_error = false;
    nxi_pg_job_restart(job, NXI_PG_NORMAL);
    nxi_pg_enqueue_first(pg, job, job);
}

static nx_status on_error(nxi_pg *pg, const uint8_t *body, size_t size, const nxi_sink *sink, nx_error *error)
{
    nxi_pg_unit *unit = nxi_pg_front(pg);
    const nxi_step *step = unit == NULL || unit->job == NULL ? NULL : nxi_pg_step(unit->job, unit->step);
    nxi_pg_trouble trouble;
    nx_error found;
    nxi_pg_job *job;

    nxi_pg_describe(body, size, step == NULL ? NULL : step->statement, &found, &trouble);
    if (trouble.is_fatal || unit == NULL) {
        *error = found;
        error->status = NX_ELOST;
        pg->is_broken = true;
        return NX_ELOST;
    }
    job = unit->job;
    if (job != NULL && job->request != NULL)
        note(pg, job, unit, &found, &trouble);
    if (unit->prepared != NULL && trouble.plan_is_stale)
        nxi_pg_prepared_forget(unit->prepared);
    skip_to_sync(pg, job);
    bool was_hit = pg->may_be_hit && trouble.may_be_interrupt;
    pg->may_be_hit = pg->may_be_hit && !was_hit;
    if (job != NULL && job->is_read)
        read_failed(pg, job, was_hit, sink);
    return NX_OK;
}

/* ------------------------------------------------------------------------------ answers */

static nx_status on_ready(nxi_pg *pg, const uint8_t *body, size_t size, const nxi_sink *sink, nx_error *error)
{
    nxi_pg_unit *unit = nxi_pg_front(pg);
    nxi_pg_job *job;

    if (unit == NULL || unit->kind != NXI_PG_UNIT_SYNC || size != 1 || (body[0] != 'I' && body[0] != 'T' && body[0] != 'E'))
        return nxi_pg_broken(pg, error, "ReadyForQuery out of place");
    job = unit->job;
    pg->status = (char)body[0];
    pg->skipping = false;
    pg->own_open = pg->status == 'I' ? 0 : pg->own_open;
    nxi_pg_drop_front(pg);
    while (pg->status == 'I' && pg->cursors != NULL)
        nxi_pg_cursor_drop(pg, pg->cursors->number); /* portals end with their transaction */
    if (job != NULL)
        wave_over(pg, job, sink);
    return NX_OK;
}

/* "INSERT 0 5", "UPDATE 3", "SELECT 7": the last number; 0 when there is none. */
static bool tag_count(const uint8_t *body, size_t size, int64_t *ret_count)
{
    size_t at = size;
    int64_t count = 0, unit = 1;

    if (size == 0 || body[size - 1] != 0 || memchr(body, 0, size) != body + size - 1)
        return false;
    for (at = size - 1; at > 0 && body[at - 1] >= '0' && body[at - 1] <= '9' && unit <= INT64_C(100000000000000000); at--) {
        count += (body[at - 1] - '0') * unit;
        unit *= 10;
    }
    *ret_count = at > 0 && body[at - 1] == ' ' ? count : 0;
    return true;
}

static void fail_client(nxi_pg_job *job, size_t step, const nx_error *error)
{
    if (job == NULL || job->has_error)
        return;
    job->has_error = true;
    job->error = *error;
    job->failed_step = step;
}

/*
 * SQL text in a session that does what the session does. The status does not show COMMIT AND CHAIN, nor RELEASE of a savepoint
 * within which ours lie: the statement behind it would fail. ROLLBACK TO has the tag ROLLBACK.
 */
static void on_controlled(const nxi_pg_unit *unit, const uint8_t *body)
{
    const char *tag = (const char *)body;
    bool ends = strcmp(tag, "COMMIT") == 0 || strcmp(tag, "ROLLBACK") == 0;
    bool saves = strcmp(tag, "SAVEPOINT") == 0 || strcmp(tag, "RELEASE") == 0;
    nx_error error;

    if ((!ends && !saves) || unit->job == NULL || unit->job->dead || unit->job->request == NULL ||
        unit->job->request->transaction == 0)
        return;
    (void)nxi_fail(&error, NX_ESTATE, "%s", ends ? ENDED_BY_TEXT : "a savepoint by SQL text: nested sessions do that");
    fail_client(unit->job, unit->step, &error);
}

/* COMMIT of a failed transaction is answered by the tag ROLLBACK, and no error (SQL command COMMIT). */
static void on_committed(nxi_pg_job *job, const uint8_t *body)
{
    nx_error error;

    if (strcmp((const char *)body, "COMMIT") == 0)
        return;
    (void)nxi_fail(&error, NX_EABORTED, "the transaction had failed before, and the server has rolled it back");
    job->is_failed = true;
    fail_client(job, job->dead ? 0 : job->request->step_count, &error);
}

static nx_status on_complete(nxi_pg *pg, char type, const uint8_t *body, size_t size, const nxi_sink *sink, nx_error *error)
{
    nxi_pg_unit *unit = nxi_pg_front(pg);
    nxi_pg_job *job;
    int64_t count = 0;
    nx_error missed;

    if (unit == NULL || unit->kind != NXI_PG_UNIT_EXECUTE || !unit->is_bound)
        return nxi_pg_broken(pg, error, "the end of an execution out of place");
    if (type == 'C' ? !tag_count(body, size, &count) : size != 0)
        return nxi_pg_broken(pg, error, "a malformed end of an execution");
    if (type != 'C' && unit->use != NXI_PG_FOR_STEP && unit->use != NXI_PG_FOR_NOTHING)
        return nxi_pg_broken(pg, error, "an execution ends as it cannot");
    job = unit->job;
    if (unit->use == NXI_PG_FOR_TABLE) {
        if (unit->target->sequence.failed)
            return nxi_fail(error, NX_ENOMEM, "no memory for what COPY has to know of a table");
        nxi_pg_target_done(unit->target);
    } else if (unit->use == NXI_PG_FOR_COMMIT && job != NULL && job->request != NULL)
        on_committed(job, body);
    else if (type == 'I' && unit->use == NXI_PG_FOR_STEP) {
        (void)nxi_fail(&missed, NX_ESYNTAX, "the SQL text holds no statement");
        fail_client(job, unit->step, &missed);
    } else if (unit->use == NXI_PG_FOR_STEP) {
        nxi_pg_result_done(pg, unit, count, type == 's');
        if (type == 'C')
            on_controlled(unit, body);
    } else if (unit->use == NXI_PG_FOR_ROWS && nxi_pg_write_missed(unit, count, &missed)) {
        fail_client(job, unit->step, &missed);
        job->missed = true;
        job->row_is_known = unit->count == 1;
        job->failed_first = unit->first;
        job->failed_count = unit->count;
    } else if (unit->use == NXI_PG_FOR_ROWS)
        nxi_pg_write_done(unit, count);
    nxi_pg_drop_front(pg);
    if (job != NULL)
        read_over(pg, job, sink);
    return NX_OK;
}

static nx_status on_bound(nxi_pg *pg, nx_error *error)
{
    nxi_pg_unit *unit = nxi_pg_front(pg);

    if (unit != NULL && unit->kind == NXI_PG_UNIT_BIND) {
        nxi_pg_drop_front(pg);
        return NX_OK;
    }
    if (unit == NULL || unit->kind != NXI_PG_UNIT_EXECUTE || unit->is_bound)
        return nxi_pg_broken(pg, error, "BindComplete out of place");
    unit->is_bound = true;
    return NX_OK;
}

static nx_status on_row(nxi_pg *pg, const uint8_t *body, size_t size, nx_error *error)
{
    nxi_pg_unit *unit = nxi_pg_front(pg);
    nx_error bad;
    nx_status status = NX_OK;

    if (unit == NULL || unit->kind != NXI_PG_UNIT_EXECUTE || !unit->is_bound)
        return nxi_pg_broken(pg, error, "a row out of place");
    if (unit->use == NXI_PG_FOR_TABLE)
        return nxi_pg_target_row(unit->target, body, size) == NX_OK ? NX_OK : nxi_pg_broken(pg, error, "a malformed row");
    if (unit->job == NULL || unit->job->request == NULL || unit->job->dead || unit->job->has_error)
        return NX_OK;
    bad.status = NX_OK;
    if (unit->use == NXI_PG_FOR_STEP)
        status = nxi_pg_result_row(pg, unit, body, size, &bad);
    else if (unit->use == NXI_PG_FOR_ROWS)
        status = nxi_pg_write_row(pg, unit, body, size, &bad);
    else if (unit->use == NXI_PG_FOR_KEYS)
        status = nxi_pg_copy_keys(unit, body, size, &bad);
    if (status == NX_EPROTOCOL)
        return nxi_pg_broken(pg, error, "a malformed row");
    if (status != NX_OK) {
        if (bad.status == NX_OK)
            (void)nxi_fail(&bad, status, "%s", nx_status_text(status));
        fail_client(unit->job, unit->step, &bad);
    }
    return NX_OK;
}

/* The front is answered. A read that was given up before its Bind ends with that. */
static void acknowledged(nxi_pg *pg, const nxi_sink *sink)
{
    const nxi_pg_unit *unit = nxi_pg_front(pg);
    nxi_pg_job *job;

    NX_ASSERT(unit != NULL);
    job = unit->job;
    nxi_pg_drop_front(pg);
    if (job != NULL)
        read_over(pg, job, sink);
}

static nx_status on_described(nxi_pg *pg, char type, const uint8_t *body, size_t size, const nxi_sink *sink, nx_error *error)
{
    nxi_pg_unit *unit = nxi_pg_front(pg);
    nx_status status = NX_OK;

    if (unit == NULL || unit->kind != NXI_PG_UNIT_DESCRIBE)
        return nxi_pg_broken(pg, error, "a description out of place");
    if (unit->is_begun != (type != 't'))
        return nxi_pg_broken(pg, error, "a description of half a statement");
    unit->is_begun = true;
    if (type == 't')
        return nxi_pg_prepared_types(unit->prepared, body, size) == NX_OK
                   ? NX_OK
                   : nxi_pg_broken(pg, error, "a malformed description of parameters");
    if (type == 'T')
        status = nxi_pg_prepared_describe(pg, unit->prepared, body, size);
    else
        unit->prepared->has_result = true;
    if (status == NX_EPROTOCOL)
        return nxi_pg_broken(pg, error, "a malformed description of a result");
    if (status != NX_OK)
        return nxi_fail(error, status, "no memory for the description of a result");
    acknowledged(pg, sink);
    return NX_OK;
}

static nx_status on_simple(nxi_pg *pg, nxi_pg_unit_kind kind, const nxi_sink *sink, nx_error *error)
{
    nxi_pg_unit *unit = nxi_pg_front(pg);

    if (unit == NULL || unit->kind != kind)
        return nxi_pg_broken(pg, error, "an acknowledgement out of place");
    if (kind == NXI_PG_UNIT_PARSE)
        unit->prepared->known = NXI_PG_READY;
    acknowledged(pg, sink);
    return NX_OK;
}

/* Int32 process, two zero-terminated texts. */
static nx_status on_notified(nxi_pg *pg, const uint8_t *body, size_t size, const nxi_sink *sink, nx_error *error)
{
    const uint8_t *channel = body + 4, *payload, *end = body + size, *zero;

    if (size < 6 || (zero = memchr(channel, 0, size - 4)) == NULL)
        return nxi_pg_broken(pg, error, "a malformed notification");
    payload = zero + 1;
    if (payload == end || memchr(payload, 0, (size_t)(end - payload)) != end - 1)
        return nxi_pg_broken(pg, error, "a malformed notification");
    if (sink->notified != NULL)
        sink->notified(sink->context, nx_strn((const char *)channel, (size_t)(zero - channel)),
                       nx_strn((const char *)payload, (size_t)(end - payload) - 1));
    return NX_OK;
}

/* Texts of another encoding would be taken for UTF-8. */
static nx_status on_parameter(nxi_pg *pg, const uint8_t *body, size_t size, nx_error *error)
{
    const uint8_t *zero = memchr(body, 0, size);
    const char *value;

    if (zero == NULL || zero + 1 >= body + size || body[size - 1] != 0)
        return nxi_pg_broken(pg, error, "a malformed ParameterStatus");
    value = (const char *)zero + 1;
    if (strcmp((const char *)body, "client_encoding") != 0 || strcmp(value, "UTF8") == 0)
        return NX_OK;
    pg->is_broken = true;
    return nxi_fail(error, NX_ESTATE, "client_encoding was changed: the connection speaks UTF-8 only, and was closed");
}

static nx_status on_copy(nxi_pg *pg, nx_error *error)
{
    const nxi_pg_unit *unit = nxi_pg_front(pg);

    if (unit != NULL && unit->kind == NXI_PG_UNIT_EXECUTE && unit->is_copy)
        return NX_OK;
    pg->is_broken = true;
    return nxi_fail(error, NX_EUNSUPPORTED,
                    "COPY FROM STDIN and TO STDOUT are not for raw SQL: nx_bulk_begin and nx_stream do that");
}

nx_status nxi_pg_answer(nxi_pg *pg, char type, const uint8_t *body, size_t size, const nxi_sink *sink, nx_error *error)
{
    switch (type) {
    case 'D': return on_row(pg, body, size, error);
    case '2': return on_bound(pg, error);
    case 'C':
    case 'I':
    case 's': return on_complete(pg, type, body, size, sink, error);
    case 'Z': return on_ready(pg, body, size, sink, error);
    case 'E': return on_error(pg, body, size, sink, error);
    case '1': return on_simple(pg, NXI_PG_UNIT_PARSE, sink, error);
    case '3': return on_simple(pg, NXI_PG_UNIT_CLOSE, sink, error);
    case 't':
    case 'T':
    case 'n': return on_described(pg, type, body, size, sink, error);
    case 'N': return NX_OK;
    case 'S': return on_parameter(pg, body, size, error);
    case 'A': return on_notified(pg, body, size, sink, error);
    case 'G':
    case 'H': return on_copy(pg, error);
    default: return nxi_pg_broken(pg, error, "a message of an unknown type");
    }
}
