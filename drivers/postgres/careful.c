/*
 * careful - finding the rows that the server refuses, without losing the others.
 *
 * When a write of many rows fails, everything of its request has been undone. The request is done again, piece by piece, each
 * with a Sync and an answer of its own, in an explicit transaction:
 *
 *   BEGIN, or ROLLBACK TO the savepoint in front of the request; the steps before the one that failed
 *   SAVEPOINT nxi_row
 *   an attempt: some rows. It stands: RELEASE and SAVEPOINT again, and twice as many next. It fails: ROLLBACK TO, and half as
 *   many next, or just those before the row that the server named. A single row that fails is a bad one. An attempt whose
 *   failure has told something of the table (there is no xmax) is made once more instead.
 *   COMMIT
 *
 * One bad row among n costs about 2 log2 n waves, or two when the server names it. If nothing fails this time, the
 * request has succeeded.
 */
#include "drivers/postgres/postgres.h"

#define ROW_SAVEPOINT "nxi_row"

static bool is_rows(const nxi_step *step)
{
    return step != NULL && step->kind == NXI_STEP_WRITE && step->row_count > 0;
}

bool nxi_pg_may_be_careful(const nxi_pg_job *job)
{
    const nxi_step *step = nxi_pg_step(job, job->failed_step);

    if (job->mode != NXI_PG_NORMAL || !is_rows(step) || !job->has_error || !nxi_is_about_row(job->error.status))
        return false;
    return nxi_pg_can_go_back(job) && (step->set_aside || !job->row_is_known);
}

/* ------------------------------------------------------------------------------ the piece at hand */

bool nxi_pg_send_piece_start(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    const nxi_step *step = nxi_pg_step(job, job->careful_step);

    if (job->careful_failed) {
        job->careful_failed = false;
        return nxi_pg_send_text(pg, job, "ROLLBACK TO SAVEPOINT " ROW_SAVEPOINT, out);
    }
    if (is_rows(step) && job->careful_row == 0)
        return nxi_pg_send_text(pg, job, "SAVEPOINT " ROW_SAVEPOINT, out);
    return true;
}

nxi_pg_sent nxi_pg_send_piece(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out, size_t enough)
{
    const nxi_step *step = nxi_pg_step(job, job->careful_step);

    if (step == NULL)
        return NXI_PG_SENT_ALL; /* the end: see send_commit */
    if (job->step != job->careful_step || job->row_end == 0) {
        job->step = job->careful_step;
        job->row = job->careful_row;
        job->affected_before = step->affected;
        job->ignored_before = step->ignored;
        job->updated_before = step->updated;
        job->row_end = is_rows(step) ? nxi_min_size(step->row_count, job->careful_row + job->careful_size) : 0;
    }
    if (is_rows(step))
        return nxi_pg_send_write(pg, job, out, enough);
    return nxi_pg_send_steps(pg, job, job->careful_step + 1, out, enough);
}

bool nxi_pg_send_piece_end(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out)
{
    const nxi_step *step = nxi_pg_step(job, job->careful_step);

    if (step == NULL || !is_rows(step))
        return true;
    return nxi_pg_send_text(pg, job, "RELEASE SAVEPOINT " ROW_SAVEPOINT, out) &&
           (job->row_end >= step->row_count || nxi_pg_send_text(pg, job, "SAVEPOINT " ROW_SAVEPOINT, out));
}

/* ------------------------------------------------------------------------------ what it came to */

static bool set_aside(nxi_pg_job *job, nxi_step *step)
{
    nxi_request *request = job->request;

    if (step->reject_count == job->reject_capacity) {
        size_t capacity = job->reject_capacity == 0 ? 4 : job->reject_capacity * 2;
        nx_reject *list = NXI_ARENA_ARRAY(request->arena, nx_reject, capacity);
        if (list == NULL)
            return false;
        if (step->reject_count > 0)
            memcpy(list, step->rejects, step->reject_count * sizeof(*list));
        step->rejects = list;
        job->reject_capacity = capacity;
    }
    step->rejects[step->reject_count] = (nx_reject){ .row = job->careful_row, .error = job->error };
    step->rejects[step->reject_count++].error.row = (int64_t)job->careful_row;
    return true;
}

static void next_step(nxi_pg_job *job)
{
    job->careful_step++;
    job->careful_row = 0;
    job->careful_size = SIZE_MAX / 4; /* the next one may be all right as a whole */
    job->reject_capacity = 0;
    job->careful_failed = false;
}

static bool attempt_stood(nxi_pg_job *job, const nxi_step *step)
{
    if (!is_rows(step)) {
        next_step(job);
        return true;
    }
    job->careful_row = job->row_end;
    if (job->careful_size < SIZE_MAX / 4)
        job->careful_size *= 2;
    if (job->careful_row >= step->row_count)
        next_step(job);
    return true;
}

/* False: the request fails with job->error. */
static bool attempt_failed(nxi_pg_job *job, nxi_step *step)
{
    size_t tried = job->row_end - job->careful_row;

    step->affected = job->affected_before;
    step->ignored = job->ignored_before;
    step->updated = job->updated_before;

    if (!is_rows(step) || (!job->has_learnt && !nxi_is_about_row(job->error.status)))
        return false;
    if (job->has_learnt) {
        job->careful_size = tried; /* the same once more, in another form */
    } else if (tried > 1) {
        size_t named = job->row_is_known ? job->failed_first : SIZE_MAX;
        bool within = named > job->careful_row && named < job->row_end;
        job->careful_size = within ? named - job->careful_row : named == job->careful_row ? 1 : tried / 2;
    } else {
        if (!step->set_aside) {
            job->row_is_known = true;
            job->failed_first = job->careful_row;
            return false;
        }
        if (!set_aside(job, step)) {
            (void)nxi_fail(&job->error, NX_ENOMEM, "no memory for a refused row");
            return false;
        }
        job->careful_row++;
        job->careful_size = 1;
    }
    job->careful_failed = true;
    job->has_error = false;
    return true;
}

bool nxi_pg_piece_over(nxi_pg *pg, nxi_pg_job *job)
{
    nxi_request *request = job->request;
    bool failed = job->is_failed || job->is_spoilt, go_on;

    (void)pg;
    if (!job->careful_piece) {
        job->careful_piece = true; /* the transaction stands again, up to the step that failed */
        go_on = !failed;
    } else if (job->careful_step >= request->step_count) {
        return false; /* it was the end */
    } else {
        nxi_step *step = &request->steps[job->careful_step];
        go_on = failed ? attempt_failed(job, step) : attempt_stood(job, step);
        /* The last row of a step was set aside: what follows needs no savepoint. */
        if (go_on && failed && job->careful_row >= step->row_count && is_rows(step)) {
            next_step(job);
            job->careful_failed = true;
        }
    }
    if (!go_on)
        return false;
    job->is_failed = job->is_spoilt = job->has_learnt = job->row_is_known = false;
    job->stage = NXI_PG_STAGE_START;
    job->step = 0;
    job->row_end = 0;
    return true;
}
