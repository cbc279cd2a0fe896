/*
 * block - what stands around the steps of a job: the beginning and the end of its transaction, a savepoint that it has for
 * itself, and the way back when it has failed or was given up.
 */
#include "drivers/postgres/postgres.h"

#include <stdio.h>

/* ------------------------------------------------------------------------------ texts */

static bool send_prepared_text(nxi_pg *pg, nxi_pg_job *job, nxi_pg_use use, nxi_pg_prepared *p, nxi_buf *out)
{
    nxi_pg_unit *unit;
    nx_error error;

    if (p == NULL || nxi_pg_bind_values(out, "", p, NULL, 0, false, &error) != NX_OK)
        return false;
    nxi_pg_put_execute(out, "", 0);
    unit = nxi_pg_expect(pg, NXI_PG_UNIT_EXECUTE, job, p);
    if (unit == NULL)
        return false;
    unit->use = use;
    unit->step = (uint32_t)job->step;
    return !out->failed;
}

bool nxi_pg_send_text(nxi_pg *pg, nxi_pg_job *job, const char *sql, nxi_buf *out)
{
    return send_prepared_text(pg, job, NXI_PG_FOR_NOTHING, nxi_pg_prepare_text(pg, job, 0, sql, NULL, 0, out), out);
}

/* Texts that come again and again stay prepared. */
static bool send_fixed(nxi_pg *pg, nxi_pg_job *job, nxi_pg_fixed which, nxi_buf *out)
{
    static const char *const texts[] = {
        [NXI_PG_FIXED_BEGIN] = "BEGIN", [NXI_PG_FIXED_COMMIT] = "COMMIT", [NXI_PG_FIXED_ROLLBACK] = "ROLLBACK"
    };
    nxi_pg_prepared *p = nxi_pg_prepare_text(pg, job, (uint64_t)which + 1, texts[which], NULL, 0, out);

    return send_prepared_text(pg, job, which == NXI_PG_FIXED_COMMIT ? NXI_PG_FOR_COMMIT : NXI_PG_FOR_NOTHING, p, out);
}

static bool send_begin(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    static const char *const levels[] = { [NX_ISOLATION_DEFAULT] = "",
                                          [NX_ISOLATION_READ_COMMITTED] = " ISOLATION LEVEL READ COMMITTED",
                                          [NX_ISOLATION_REPEATABLE_READ] = " ISOLATION LEVEL REPEATABLE READ",
                                          [NX_ISOLATION_SERIALIZABLE] = " ISOLATION LEVEL SERIALIZABLE" };
    const nxi_request *request = job->request;
    nx_isolation isolation = request->isolation;
    char sql[128];

    if (isolation == NX_ISOLATION_DEFAULT && request->begin == NXI_BEGIN_SNAPSHOT)
        isolation = NX_ISOLATION_REPEATABLE_READ;
    if (isolation == NX_ISOLATION_DEFAULT && request->begin == NXI_BEGIN_READ)
        isolation = NX_ISOLATION_SERIALIZABLE;
    job->is_explicit = true;
    if (isolation == NX_ISOLATION_DEFAULT && !request->deferrable)
        return send_fixed(pg, job, NXI_PG_FIXED_BEGIN, out);
    (void)snprintf(sql, sizeof(sql), "BEGIN%s%s%s", levels[isolation], request->begin == NXI_BEGIN_SNAPSHOT ? " READ ONLY" : "",
                   request->deferrable ? " DEFERRABLE" : "");
    return nxi_pg_send_text(pg, job, sql, out);
}

/* ------------------------------------------------------------------------------ in front */

static bool writes_rows(const nxi_request *request)
{
    for (size_t i = 0; i < request->step_count; i++) {
        const nxi_step *step = &request->steps[i];
        if (step->kind == NXI_STEP_WRITE)
            return true;
    }
    return false;
}

/* SQL of the application, and a read that is asked to fail rather than wait, may do so without costing the transaction. */
static bool may_fail(const nxi_request *request)
{
    for (size_t i = 0; i < request->step_count; i++) {
        const nxi_step *step = &request->steps[i];
        if (step->kind == NXI_STEP_EXECUTE || step->kind == NXI_STEP_SCRIPT || step->read_any ||
            (step->kind == NXI_STEP_FETCH && step->statement->nowait))
            return true;
    }
    return false;
}

/*
 * The savepoint that a job has for itself. Two in a row have different numbers, and the one before them is gone: nobody goes back
 * to another one's. More texts than that would fill the server's statistics of statements.
 */
static bool send_own(nxi_pg *pg, nxi_pg_job *job, const char *verb, uint32_t number, nxi_buf *out)
{
    char sql[64];

    (void)snprintf(sql, sizeof(sql), "%sSAVEPOINT nxi_own_%u", verb, (unsigned)number);
    return nxi_pg_send_text(pg, job, sql, out);
}

/* Back to where the transaction was before this job, and into it again. */
static bool send_again(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    const nxi_request *request = job->request;
    char sql[64];

    if (nxi_pg_is_begun_by(job)) {
        if (job->was_open && !send_fixed(pg, job, NXI_PG_FIXED_ROLLBACK, out))
            return false;
        if (job->mode != NXI_PG_CAREFUL && job->is_implicit)
            return true;
        return send_begin(pg, job, out);
    }
    if (!job->has_own_savepoint && nxi_pg_has_guard(request)) {
        (void)snprintf(sql, sizeof(sql), "ROLLBACK TO SAVEPOINT nxi_%u", (unsigned)request->steps[0].level);
        job->step = 1;
        return nxi_pg_send_text(pg, job, sql, out);
    }
    return send_own(pg, job, "ROLLBACK TO ", job->own, out);
}

/* What was behind that savepoint has been answered, and stands. The end of the transaction takes it along. */
static bool release_last(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    uint32_t number = pg->own_open;

    if (number == 0 || job->request->end != NXI_END_NONE)
        return true;
    pg->own_open = 0;
    return send_own(pg, job, "RELEASE ", number, out);
}

/* Savepoints that it names itself would end one around them. */
static bool may_leave_something(const nxi_pg_job *job)
{
    const nxi_request *request = job->request;

    for (size_t i = 0; i < request->step_count && !job->is_guarded; i++) {
        if (nxi_step_is_savepoint(&request->steps[i]))
            return false;
    }
    return job->is_guarded || writes_rows(request) || may_fail(request);
}

/*
 * A job inside a transaction that may fail without costing it gets a savepoint. That one is released by the job behind it, not by
 * its own wave: who gives the job up while its answer is on the way finds it undone all the same.
 */
static bool send_first(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    const nxi_request *request = job->request;

    if (request->begin != NXI_BEGIN_NONE && !job->is_implicit)
        return send_begin(pg, job, out);
    if (!release_last(pg, job, out))
        return false;
    if (request->transaction == 0 || job->is_implicit || request->end != NXI_END_NONE || !may_leave_something(job))
        return true;
    job->has_own_savepoint = true;
    job->own = pg->own_last = pg->own_last == 1 ? 2 : 1;
    return send_own(pg, job, "", job->own, out);
}

static bool send_back(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    job->is_back = true;
    return send_own(pg, job, "ROLLBACK TO ", job->own, out) && send_own(pg, job, "RELEASE ", job->own, out);
}

/* A job that was given up: what is left of it is undone. A transaction that it began goes on as if it had not. */
static bool send_way_back(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    if (job->ends_there && !job->is_implicit)
        return pg->status == 'I' || send_fixed(pg, job, NXI_PG_FIXED_ROLLBACK, out);
    if (!job->begins && !job->is_explicit)
        return !nxi_pg_is_wrecked(pg, job) || send_back(pg, job, out);
    job->is_back = true;
    return (pg->status == 'I' || send_fixed(pg, job, NXI_PG_FIXED_ROLLBACK, out)) && (!job->begins || send_begin(pg, job, out));
}

static bool send_undo(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    bool whole = job->is_implicit || job->request->begin != NXI_BEGIN_NONE || job->request->end != NXI_END_NONE;
    return whole || !job->has_own_savepoint ? send_fixed(pg, job, NXI_PG_FIXED_ROLLBACK, out) : send_back(pg, job, out);
}

/*
 * A request of a transaction that is not there: it was given up before it had begun, or SQL text has ended it. The status is that
 * after all that may have begun it, because others are not sent before that is answered.
 */
static bool is_orphan(const nxi_pg *pg, const nxi_pg_job *job)
{
    const nxi_request *request = job->request;

    return pg->status == 'I' && request->transaction != 0 && request->begin == NXI_BEGIN_NONE && request->end != NXI_END_ROLLBACK;
}

bool nxi_pg_send_start(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    nx_error error;

    if (job->request == NULL || job->is_read)
        return true;
    if (job->dead)
        return send_way_back(pg, job, out);
    if (job->mode == NXI_PG_UNDO)
        return send_undo(pg, job, out);
    if (job->retries == 0 && job->mode == NXI_PG_NORMAL && is_orphan(pg, job)) {
        (void)nxi_fail(&error, NX_EABORTED, "the transaction has ended before this operation");
        nxi_pg_job_spoil(pg, job, 0, &error, out);
        return !out->failed;
    }
    if (job->retries == 0 && job->mode == NXI_PG_NORMAL)
        return send_first(pg, job, out);
    if (job->careful_piece)
        return nxi_pg_send_piece_start(pg, job, out);
    return send_again(pg, job, out);
}

/* ------------------------------------------------------------------------------ behind */

/* What the transaction ends with, if it ends here. */
static bool send_commit(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    nxi_request *request = job->request;

    if (request->end == NXI_END_ROLLBACK)
        return send_fixed(pg, job, NXI_PG_FIXED_ROLLBACK, out);
    if (request->end != NXI_END_COMMIT && !(job->is_implicit && job->is_explicit))
        return true;
    if (job->is_implicit && !job->is_explicit)
        return true;
    if (!send_fixed(pg, job, NXI_PG_FIXED_COMMIT, out))
        return false;
    request->commit_position = nxi_pg_position(pg, out);
    return true;
}

bool nxi_pg_send_end(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    bool spoilt = job->is_spoilt || job->is_failed || job->dead;

    if (job->request == NULL || job->is_read || job->mode == NXI_PG_UNDO || spoilt)
        return true;
    if (job->mode == NXI_PG_NORMAL)
        return send_commit(pg, job, out);
    if (!job->careful_piece)
        return true;
    return job->careful_step < job->request->step_count ? nxi_pg_send_piece_end(pg, job, out) : send_commit(pg, job, out);
}
