/*
 * train - jobs into messages: which texts a request becomes, and where the Syncs stand.
 *
 * - Reads of nobody's transaction share a Sync: the last message of what is sent together. If one fails, the server skips those
 * behind it; they are sent again (answer.c), so nobody sees a neighbour's error.
 * - Everything else has a Sync of its own. 55.2.3: what stands between two Syncs and outside of BEGIN .. COMMIT is one
 * transaction, ended by the Sync. So a request that begins and ends its transaction needs neither BEGIN nor COMMIT.
 * - After an error the server skips to the Sync (55.2.3): nothing of a wave stands unless all of it does.
 */
#include "drivers/postgres/postgres.h"
#include "engine/sqltext.h"

#include <stdio.h>

/* ------------------------------------------------------------------------------ taking requests */

static bool is_read_step(const nxi_step *step)
{
    return (step->kind == NXI_STEP_FETCH || step->kind == NXI_STEP_SCALAR || step->kind == NXI_STEP_RAW) && !step->read_any;
}

static bool is_read(const nxi_request *request)
{
    if (request->transaction != 0 || request->begin != NXI_BEGIN_NONE || request->end != NXI_END_NONE || request->writes)
        return false;
    for (size_t i = 0; i < request->step_count; i++) {
        if (!is_read_step(&request->steps[i]))
            return false;
    }
    return request->step_count > 0;
}

/* Steps that need a transaction which outlives the wave or is named by BEGIN. */
static bool needs_block(const nxi_request *request)
{
    for (size_t i = 0; i < request->step_count; i++) {
        nxi_step_kind kind = request->steps[i].kind;
        if (kind == NXI_STEP_SAVEPOINT || kind == NXI_STEP_RELEASE || kind == NXI_STEP_ROLLBACK_TO ||
            kind == NXI_STEP_CURSOR_OPEN)
            return true;
    }
    return false;
}

static bool is_implicit(const nxi_request *request)
{
    if (needs_block(request))
        return false;
    if (request->transaction == 0 && request->begin == NXI_BEGIN_NONE)
        return request->end == NXI_END_NONE;
    return request->begin == NXI_BEGIN_WRITE && request->end == NXI_END_COMMIT && request->isolation == NX_ISOLATION_DEFAULT &&
           !request->deferrable;
}

nx_status nxi_pg_put(void *state, nxi_request *request)
{
    nxi_pg *pg = state;
    nxi_pg_job *job = nxi_pg_job_new(pg, request);

    if (job == NULL)
        return nxi_request_fail(request, 0, NX_ENOMEM, "%s", "");
    job->is_read = is_read(request);
    job->is_implicit = !job->is_read && is_implicit(request);
    job->begins = request->transaction != 0 && request->begin != NXI_BEGIN_NONE && request->end == NXI_END_NONE;
    job->is_guarded = nxi_request_is_guarded(request);
    if (request->status != NX_OK) { /* a COMMIT that was stopped before it came here: it is a ROLLBACK now */
        job->mode = NXI_PG_UNDO;
        job->has_error = true;
        job->error = *request->error;
    }
    nxi_pg_enqueue(pg, job);
    return NX_OK;
}

static void forget_results(nxi_request *request)
{
    for (size_t i = 0; i < request->step_count; i++) {
        nxi_step *step = &request->steps[i];

        step->cursor_ended = false;
        step->affected = 0;
        step->fetched = NULL;
        step->raw = (nx_rows){ 0 };
        step->scalar = nx_null();
        step->rejects = NULL;
        step->reject_count = 0;
        step->ignored = step->updated = 0;
        nxi_step_take_back_keys(step);
    }
}

void nxi_pg_job_unasked(nxi_pg *pg, nxi_pg_job *job)
{
    nxi_pg_prepared *p = job->asked;

    job->asked = NULL;
    job->has_flushed = false;
    nxi_pg_prepared_done(pg, p);
}

void nxi_pg_job_restart(nxi_pg_job *job, nxi_pg_mode mode)
{
    NX_ASSERT(job->asked == NULL);
    job->has_flushed = false;
    job->mode = mode;
    job->stage = NXI_PG_STAGE_START;
    job->step = job->row = job->row_end = 0;
    job->is_failed = job->is_stale = job->has_learnt = job->row_is_known = false;
    job->careful_piece = job->careful_failed = false;
    job->copying = false;
    job->request->commit_position = 0;
    forget_results(job->request);
}

static bool send_savepoint_step(nxi_pg *pg, nxi_pg_job *job, const nxi_step *step, nxi_buf *out)
{
    const char *verb = step->kind == NXI_STEP_SAVEPOINT ? "SAVEPOINT"
                       : step->kind == NXI_STEP_RELEASE ? "RELEASE SAVEPOINT"
                                                        : "ROLLBACK TO SAVEPOINT";
    char sql[64];

    (void)snprintf(sql, sizeof(sql), "%s nxi_%u", verb, (unsigned)step->level);
    return nxi_pg_send_text(pg, job, sql, out);
}

/* ------------------------------------------------------------------------------ failures of ours */

/*
 * There is no portal of that name, so the server fails (34000) and skips to the Sync: what the wave has written before is undone
 * as it would be by an error of its own.
 */
void nxi_pg_job_spoil(nxi_pg *pg, nxi_pg_job *job, size_t step, const nx_error *error, nxi_buf *out)
{
    nxi_pg_unit *unit;

    if (!job->has_error) {
        job->error = *error;
        job->has_error = true;
        job->failed_step = step;
    }
    job->is_spoilt = true;
    nxi_pg_put_execute(out, "nxi_none", 0);
    unit = nxi_pg_expect(pg, NXI_PG_UNIT_EXECUTE, job, NULL);
    if (unit == NULL)
        out->failed = true;
    else
        unit->step = (uint32_t)step;
}

/* ------------------------------------------------------------------------------ steps with values */

typedef struct bound {
    nxi_pg_oid space[32];
    nxi_pg_oid *types;
    nx_error error;
} bound;

static nx_status type_values(nxi_pg *pg, const nxi_step *step, bound *b)
{
    size_t expected = step->statement->param_count;

    b->types = b->space;
    if (step->value_count > UINT16_MAX)
        return nxi_fail(&b->error, NX_ELIMIT, "%zu values were given; PostgreSQL takes at most %d", step->value_count,
                        UINT16_MAX);
    if (step->value_count != expected)
        return nxi_fail(&b->error, NX_EINVAL, "the SQL text has %zu parameter%s, but %zu value%s given", expected,
                        expected == 1 ? "" : "s", step->value_count, step->value_count == 1 ? " was" : "s were");
    if (step->value_count > NXI_COUNT(b->space)) {
        b->types = nxi_zalloc(pg->memory, step->value_count * sizeof(*b->types));
        if (b->types == NULL)
            return nxi_fail(&b->error, NX_ENOMEM, "no memory for the parameters");
    }
    for (size_t i = 0; i < step->value_count; i++)
        b->types[i] = nxi_pg_type_of_value(&step->values[i]);
    return NX_OK;
}

static void bound_fini(nxi_pg *pg, bound *b)
{
    if (b->types != b->space)
        nxi_release(pg->memory, b->types);
}

static bool is_query(const nxi_step *step)
{
    return step->kind == NXI_STEP_FETCH || step->kind == NXI_STEP_SCALAR || step->kind == NXI_STEP_RAW;
}

static bool is_followed_by(const char *word, const char *first, const char *second)
{
    return nxi_sql_begins_with(word, first) && nxi_sql_begins_with(nxi_sql_first_word(word + strlen(first)), second);
}

/*
 * Text of the application that would end a transaction behind the back of its session, or begin one that nobody ends. What was
 * prepared before belongs to no session.
 */
static nx_status refuse_control(const nxi_step *step, nx_error *error)
{
    static const char *const words[] = { "COMMIT",    "END",     "ROLLBACK", "ABORT", "BEGIN",
                                         "START",     "RELEASE", "SAVEPOINT" };
    const char *word = nxi_sql_first_word(step->statement->sql);
    bool controls = nxi_sql_begins_with_one_of(word, words, NXI_COUNT(words)) && !is_followed_by(word, "COMMIT", "PREPARED") &&
                    !is_followed_by(word, "ROLLBACK", "PREPARED");

    if (!controls && !is_followed_by(word, "PREPARE", "TRANSACTION"))
        return NX_OK;
    return nxi_fail(error, NX_ESTATE, "%.*s: transactions are begun and ended by sessions, not by SQL texts",
                    (int)strcspn(word, " \t\r\n;/-"), word);
}

static bool is_raw(const nxi_step *step)
{
    return step->statement->table == NULL && !step->statement->typed;
}

/* NX_ENOMEM: of the connection; NX_EBUSY: an answer is needed first; other failures are the step's. */
static nx_status send_values(nxi_pg *pg, nxi_pg_job *job, const nxi_step *step, const char *portal, bool execute, nxi_buf *out)
{
    nxi_pg_prepared *p;
    nxi_pg_unit *unit;
    bound b;
    nx_status status = type_values(pg, step, &b);

    if (status == NX_OK && is_raw(step))
        status = refuse_control(step, &b.error);
    if (status == NX_OK) {
        bool waits = false;
        p = is_raw(step)
                ? nxi_pg_prepare_raw(pg, job, step->statement, b.types, step->value_count, out, &waits)
                : nxi_pg_prepare(pg, job, step->statement, NXI_PG_ONE, b.types, step->value_count, out);
        if (p == NULL || waits) {
            bound_fini(pg, &b);
            return p == NULL ? NX_ENOMEM : NX_EBUSY;
        }
        bool as_text = !p->has_result && !step->statement->of_intervals;
        status = nxi_pg_bind_values(out, portal, p, step->values, step->value_count, as_text, &b.error);
        if (status != NX_OK) {
            nxi_pg_prepared_done(pg, p);
        } else {
            if (execute)
                nxi_pg_put_execute(out, portal, is_query(step) ? step->row_limit : 0);
            unit = nxi_pg_expect(pg, execute ? NXI_PG_UNIT_EXECUTE : NXI_PG_UNIT_BIND, job, p);
            if (unit == NULL) {
                bound_fini(pg, &b);
                return NX_ENOMEM;
            }
            unit->use = NXI_PG_FOR_STEP;
            unit->as_text = as_text;
            unit->step = (uint32_t)job->step;
        }
    }
    bound_fini(pg, &b);
    if (status != NX_OK)
        nxi_pg_job_spoil(pg, job, job->step, &b.error, out);
    return out->failed ? NX_ENOMEM : NX_OK;
}

/* ------------------------------------------------------------------------------ cursors: portals */

static void portal_name(uint64_t number, char ret_name[32])
{
    (void)snprintf(ret_name, 32, "nxi_c%llu", (unsigned long long)number);
}

static nxi_pg_cursor **find_cursor(nxi_pg *pg, uint64_t number)
{
    nxi_pg_cursor **link = &pg->cursors;

    while (*link != NULL && (*link)->number != number)
        link = &(*link)->next;
    return link;
}

static nx_status open_cursor(nxi_pg *pg, nxi_pg_job *job, const nxi_step *step, nxi_buf *out)
{
    nxi_pg_cursor *cursor = nxi_zalloc(pg->memory, sizeof(*cursor));
    char portal[32];
    nx_status status;

    if (cursor == NULL)
        return NX_ENOMEM;
    cursor->number = step->cursor;
    cursor->next = pg->cursors;
    pg->cursors = cursor;
    portal_name(step->cursor, portal);
    status = send_values(pg, job, step, portal, false, out);
    if (status == NX_OK && !job->is_spoilt) {
        const nxi_pg_unit *unit = nxi_pg_last_unit(pg);
        cursor->prepared = unit->prepared;
        cursor->as_text = unit->as_text;
        unit->prepared->uses++; /* as long as the portal is open */
    }
    return status;
}

static nx_status read_cursor(nxi_pg *pg, nxi_pg_job *job, const nxi_step *step, nxi_buf *out)
{
    nxi_pg_cursor *cursor = *find_cursor(pg, step->cursor);
    char portal[32];
    nxi_pg_unit *unit;
    nx_error error;

    if (cursor == NULL || cursor->prepared == NULL) {
        (void)nxi_fail(&error, NX_ESTATE, "the stream's cursor is not open on this connection");
        nxi_pg_job_spoil(pg, job, job->step, &error, out);
        return out->failed ? NX_ENOMEM : NX_OK;
    }
    portal_name(step->cursor, portal);
    nxi_pg_put_execute(out, portal, step->row_limit);
    unit = nxi_pg_expect(pg, NXI_PG_UNIT_EXECUTE, job, cursor->prepared);
    if (unit == NULL)
        return NX_ENOMEM;
    cursor->prepared->uses++;
    unit->use = NXI_PG_FOR_STEP;
    unit->is_bound = true;
    unit->as_text = cursor->as_text;
    unit->step = (uint32_t)job->step;
    return NX_OK;
}

void nxi_pg_cursor_drop(nxi_pg *pg, uint64_t number)
{
    nxi_pg_cursor **link = find_cursor(pg, number), *cursor = *link;

    if (cursor == NULL)
        return;
    *link = cursor->next;
    nxi_pg_prepared_done(pg, cursor->prepared);
    nxi_release(pg->memory, cursor);
}

static nx_status close_cursor(nxi_pg *pg, nxi_pg_job *job, const nxi_step *step, nxi_buf *out)
{
    char portal[32];

    portal_name(step->cursor, portal);
    nxi_pg_cursor_drop(pg, step->cursor);
    if (nxi_pg_expect(pg, NXI_PG_UNIT_CLOSE, job, NULL) == NULL)
        return NX_ENOMEM;
    nxi_pg_put_close(out, 'P', portal); /* of an unknown portal: no error */
    return NX_OK;
}

/* ------------------------------------------------------------------------------ one step */

static nxi_pg_sent send_step(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out, size_t enough)
{
    const nxi_step *step = nxi_pg_step_at_hand(job);
    nx_status status = NX_OK;

    switch (step->kind) {
    case NXI_STEP_WRITE: return nxi_pg_send_write(pg, job, out, enough);
    case NXI_STEP_EXECUTE:
    case NXI_STEP_FETCH:
    case NXI_STEP_SCALAR:
    case NXI_STEP_RAW: status = send_values(pg, job, step, "", true, out); break;
    case NXI_STEP_SCRIPT: status = nxi_pg_send_text(pg, job, step->statement->sql, out) ? NX_OK : NX_ENOMEM; break;
    case NXI_STEP_SAVEPOINT:
    case NXI_STEP_RELEASE:
    case NXI_STEP_ROLLBACK_TO:
        if (!job->is_guarded)
            status = send_savepoint_step(pg, job, step, out) ? NX_OK : NX_ENOMEM;
        break;
    case NXI_STEP_CURSOR_OPEN: status = open_cursor(pg, job, step, out); break;
    case NXI_STEP_CURSOR_FETCH: status = read_cursor(pg, job, step, out); break;
    case NXI_STEP_CURSOR_CLOSE: status = close_cursor(pg, job, step, out); break;
    }
    if (status == NX_EBUSY)
        return NXI_PG_SENT_WAITS;
    if (status != NX_OK)
        out->failed = true;
    return NXI_PG_SENT_ALL;
}

nxi_pg_sent nxi_pg_send_steps(nxi_pg *pg, nxi_pg_job *job, size_t end, nxi_buf *out, size_t enough)
{
    while (job->step < end && !job->is_spoilt && !job->is_failed && !job->dead && !out->failed) {
        nxi_pg_sent sent;

        if (out->size >= enough)
            return NXI_PG_SENT_SOME;
        sent = send_step(pg, job, out, enough);
        if (sent != NXI_PG_SENT_ALL)
            return sent;
        job->step++;
        job->row = job->row_end = 0;
    }
    return NXI_PG_SENT_ALL;
}

/* ------------------------------------------------------------------------------ the stages of a wave */

static nxi_pg_sent send_body(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out, size_t enough)
{
    if (job->request == NULL || job->mode == NXI_PG_UNDO)
        return NXI_PG_SENT_ALL;
    if (job->mode == NXI_PG_NORMAL)
        return nxi_pg_send_steps(pg, job, job->dead ? 0 : job->request->step_count, out, enough);
    if (!job->careful_piece)
        return nxi_pg_send_steps(pg, job, job->careful_step, out, enough);
    return nxi_pg_send_piece(pg, job, out, enough);
}

static bool send_sync(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    nxi_pg_put_sync(out);
    if (nxi_pg_expect(pg, NXI_PG_UNIT_SYNC, job, NULL) == NULL)
        return false;
    if (job != NULL && job->request != NULL && job->is_implicit && !job->is_explicit && !job->dead && !job->is_spoilt)
        job->request->commit_position = nxi_pg_position(pg, out);
    return !out->failed;
}

/* The rest of a dead COPY: it must not be completed. */
static void leave_copy(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    size_t start;

    (void)pg;
    if (!job->copying)
        return;
    job->copying = false;
    start = nxi_pg_begin(out, 'f'); /* CopyFail */
    nxi_pg_put_text(out, "given up");
    if (!nxi_pg_end(out, start))
        out->failed = true;
}

/* A job that was given up half way: nothing of it shall stand. */
static void cut_short(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    nx_error error;

    nxi_pg_job_unasked(pg, job);
    if (job->copying)
        leave_copy(pg, job, out);
    else if (job->stage != NXI_PG_STAGE_START && !job->is_spoilt && !job->is_failed && !job->is_read) {
        (void)nxi_fail(&error, NX_ECANCELED, "given up");
        nxi_pg_job_spoil(pg, job, 0, &error, out);
    }
}

/* Who is in flight before it may have to be sent again, and not into the transaction that it opens. */
static bool waits_for_others(const nxi_pg *pg, const nxi_pg_job *job)
{
    return job->stage == NXI_PG_STAGE_START && pg->unit_count > 0 && job->request != NULL && !job->dead && !job->is_read &&
           !job->is_implicit && job->request->begin != NXI_BEGIN_NONE;
}

static nxi_pg_sent send_job(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out, size_t enough)
{
    if (job->stage == NXI_PG_STAGE_WAIT || waits_for_others(pg, job))
        return NXI_PG_SENT_WAITS;
    if (job->dead && job->stage < NXI_PG_STAGE_END) {
        cut_short(pg, job, out);
        job->stage = job->stage == NXI_PG_STAGE_START ? NXI_PG_STAGE_START : NXI_PG_STAGE_END;
    }
    if (job->stage == NXI_PG_STAGE_START) {
        if (!job->is_read && pg->unsynced) {
            pg->unsynced = false;
            if (!send_sync(pg, NULL, out))
                out->failed = true;
        }
        if (!nxi_pg_send_start(pg, job, out))
            out->failed = true;
        job->stage = NXI_PG_STAGE_STEPS;
    }
    if (job->stage == NXI_PG_STAGE_STEPS) {
        nxi_pg_sent sent = send_body(pg, job, out, enough);
        if (sent != NXI_PG_SENT_ALL && !out->failed)
            return sent;
        job->stage = NXI_PG_STAGE_END;
    }
    if (job->stage == NXI_PG_STAGE_END) {
        if (job->is_failed)
            job->copying = false; /* the server has left it */
        if (!nxi_pg_send_end(pg, job, out))
            out->failed = true;
        job->stage = NXI_PG_STAGE_SYNC;
    }
    job->stage = NXI_PG_STAGE_WAIT;
    if (job->is_read && (!job->dead || job->units > 0)) {
        pg->unsynced = true;
        return NXI_PG_SENT_ALL;
    }
    pg->unsynced = false; /* of a read that was given up nothing but this Sync may be answered */
    if (!send_sync(pg, job, out))
        out->failed = true;
    return NXI_PG_SENT_ALL;
}

/*
 * It may fail and be sent again, or be taken back, while its transaction stays open: who came behind it before that is known
 * would run outside of the transaction, or be undone with it.
 */
static bool holds_others(const nxi_pg_job *job)
{
    if (job->mode == NXI_PG_CAREFUL)
        return true;
    if (job->request == NULL || job->is_read || job->mode == NXI_PG_UNDO)
        return false;
    return job->is_explicit || job->has_own_savepoint ||
           (!job->is_implicit && (job->ends_there || nxi_pg_has_guard(job->request)));
}

bool nxi_pg_fill(void *state, nxi_buf *out, size_t enough, uint64_t position)
{
    nxi_pg *pg = state;
    nxi_pg_job *job;
    bool more = false;

    pg->position = position;
    pg->position_base = out->size;
    /* The server skips: what joined the wave now would be dropped with it. */
    if (pg->skipping && pg->unsynced) {
        pg->unsynced = false;
        if (!send_sync(pg, NULL, out))
            out->failed = true;
    }
    while ((job = pg->queue_first) != NULL && !out->failed) {
        nxi_pg_sent sent;

        if (out->size >= enough) {
            more = true;
            break;
        }
        sent = send_job(pg, job, out, enough);
        if (sent == NXI_PG_SENT_SOME) {
            more = true;
            break;
        }
        if (sent == NXI_PG_SENT_WAITS || holds_others(job))
            break;
        nxi_pg_dequeue(pg);
    }
    if (pg->unsynced && !more && !out->failed) {
        pg->unsynced = false;
        if (!send_sync(pg, NULL, out))
            out->failed = true;
    }
    return more;
}
