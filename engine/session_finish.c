/*
 * session_finish - the flush of a session: planned for each database, written, and undone in all of them when one fails.
 *
 * One database: writes and COMMIT are one request, so a session of one insert is one hand-over. Several: all are flushed
 * first, then the primary is committed, then the others one by one (session_commit.c).
 */
#include "engine/finish.h"

static void flush_next(nxi_finishing *f);
static void undo_next(nxi_finishing *f);
static void release_guard(nxi_finishing *f);
static void fail_flush(nxi_finishing *f, nx_status status, const nx_error *error);

static nx_session *root_of(const nxi_finishing *f)
{
    return f->session->root;
}

static nxi_part *part_at(const nxi_finishing *f)
{
    return &root_of(f)->parts[f->at];
}

/* ------------------------------------------------------------------------------ the end of the operation */

void nxi_finishing_keep(nxi_finishing *f, nx_status status, const nx_error *error)
{
    if (f->status != NX_OK)
        return;
    f->status = status;
    if (error != NULL)
        f->error = *error;
    else
        nxi_fail(&f->error, status, "%s", nx_status_text(status));
}

void nxi_finishing_succeed(nxi_finishing *f)
{
    nxi_op *op = f->op;
    nx_session *s = f->session;

    if (f->then != NULL) {
        f->then(op, f->then_context);
        return;
    }
    if (f->members != NULL) {
        nxi_members_succeed(f);
    } else {
        op->last.public.count = f->rows;
        nxi_op_finish(op);
    }
    nxi_session_leave(s);
}

void nxi_finishing_fail(nxi_finishing *f)
{
    nx_session *s = f->session;

    s->error = f->error;
    s->error.status = f->status;
    if (f->members != NULL)
        nxi_members_fail(f);
    else
        nxi_op_fail(f->op, f->status, &f->error);
    nxi_session_leave(s);
}

/* ------------------------------------------------------------------------------ a flush is undone */

void nxi_finishing_take_back(nxi_finishing *f)
{
    for (size_t i = 0; i < f->part_count && !f->applied; i++)
        nxi_plan_undo(&f->parts[i].plan);
}

/* Nothing of it stands in the database any more: so it is with what planning and writing put into the rows. */
static void flush_undone(nxi_finishing *f)
{
    nxi_finishing_take_back(f);
    nxi_finishing_fail(f);
}

static void part_undone(nxi_call *call)
{
    nxi_finishing *f = call->context;
    nxi_part *part = part_at(f);

    if (call->request.end == NXI_END_ROLLBACK)
        nxi_part_close(part, NX_OUTCOME_ROLLED_BACK);
    else
        nxi_session_answered(f->session, call);
    /* What could not be undone is in the transaction, and the session does not say so: only a rollback is left. */
    if (call->request.status != NX_OK && part->transaction != 0)
        nxi_session_lost(root_of(f));
    f->at++;
    undo_next(f);
}

/* What has been written of this flush is undone, database by database; what was in their transactions before stays. */
static void undo_next(nxi_finishing *f)
{
    for (; f->at < f->part_count; f->at++) {
        const nxi_flushed *flushed = &f->parts[f->at];
        nxi_part *part = part_at(f);
        uint32_t guard = part->mark_count + 1;
        if (part->transaction == 0 || part->db == NULL || !(flushed->guarded || (flushed->written && flushed->begun)))
            continue;
        nxi_call *call = nxi_call_new(f->op, part->db, flushed->guarded ? 2 : 0, part_undone);
        if (call == NULL) {
            nxi_session_lost(root_of(f));
            break;
        }
        call->context = f;
        call->request.transaction = part->transaction;
        if (flushed->guarded) {
            call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_ROLLBACK_TO, .level = guard };
            call->request.steps[1] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = guard };
        } else {
            call->request.end = NXI_END_ROLLBACK;
        }
        nxi_call_submit_to_end(call);
        return;
    }
    flush_undone(f);
}

static void flush_failed(nxi_finishing *f)
{
    /* An end that fails takes everything back; a flush or commit leaves the transactions as they were before. */
    f->at = 0;
    if (f->how == NXI_FINISH_END)
        nxi_finishing_roll_back(f);
    else
        undo_next(f);
}

/* ------------------------------------------------------------------------------ a flush stands */

static void go_on(nxi_finishing *f)
{
    f->at = 0;
    if (f->how == NXI_FINISH_FLUSH)
        nxi_finishing_succeed(f);
    else if (f->session != root_of(f))
        nxi_finishing_release_marks(f);
    else
        nxi_finishing_commit(f);
}

static void guard_released(nxi_call *call)
{
    nxi_finishing *f = call->context;

    nxi_session_answered(f->session, call);
    if (call->request.status != NX_OK) {
        nxi_finishing_keep(f, call->request.status, call->request.error);
        nxi_session_lost(root_of(f));
        nxi_finishing_fail(f);
        return;
    }
    f->at++;
    release_guard(f);
}

static void release_guard(nxi_finishing *f)
{
    for (; f->at < f->part_count; f->at++) {
        nxi_part *part = part_at(f);
        if (!f->parts[f->at].guarded || part->transaction == 0 || part->db == NULL)
            continue;
        nxi_call *call = nxi_call_new(f->op, part->db, 1, guard_released);
        if (call == NULL) {
            nxi_finishing_keep(f, NX_ENOMEM, NULL);
            nxi_session_lost(root_of(f));
            nxi_finishing_fail(f);
            return;
        }
        call->context = f;
        call->request.transaction = part->transaction;
        call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = part->mark_count + 1 };
        nxi_call_submit_to_end(call);
        return;
    }
    go_on(f);
}

static void flushed_all(nxi_finishing *f)
{
    bool over = f->combined && f->how == NXI_FINISH_END;
    f->applied = true;
    for (size_t i = 0; i < f->part_count; i++) {
        nxi_flushed *flushed = &f->parts[i];
        if (flushed->plan.batch_count == 0)
            continue;
        f->rows += (int64_t)flushed->plan.row_count;
        flushed->plan.db->stats.flushes++;
        nxi_plan_apply(&flushed->plan, f->session, over);
    }
    f->at = 0;
    if (f->combined)
        nxi_finishing_committed(f);
    else if (f->several > 1)
        release_guard(f);
    else
        go_on(f);
}

/* ------------------------------------------------------------------------------ writing */

/* The steps of the plan stand behind the guard's, when there is one. */
static bool has_guard(const nxi_request *request)
{
    return request->step_count > 0 && request->steps[0].kind == NXI_STEP_SAVEPOINT;
}

static void part_failed(nxi_finishing *f, const nxi_call *call)
{
    const nxi_request *request = &call->request;
    nxi_flushed *flushed = &f->parts[f->at];

    nxi_finishing_keep(f, request->status, request->error);
    nxi_plan_name_object(&flushed->plan, request->failed_step - (has_guard(request) ? 1 : 0), &f->error);
    /* A guarded request has been undone; so has one that began its transaction. What else stands could not be told apart. */
    if (request->in_transaction && request->steps_done > 0 && !flushed->guarded)
        nxi_session_lost(root_of(f));
    if (f->combined)
        nxi_finishing_combined_failed(f, request);
    else
        flush_failed(f);
}

static void part_flushed(nxi_call *call)
{
    nxi_finishing *f = call->context;
    nxi_flushed *flushed = &f->parts[f->at];
    const nxi_request *request = &call->request;

    nxi_session_answered(f->session, call);
    if (request->status != NX_OK) {
        part_failed(f, call);
        return;
    }
    flushed->written = true;
    f->at++;
    flush_next(f);
}

static bool is_only_part(const nxi_finishing *f)
{
    const nx_session *root = root_of(f);
    size_t used = 0;

    for (size_t i = 0; i < root->part_count; i++)
        used += root->parts[i].transaction != 0 || f->parts[i].plan.batch_count > 0;
    return used == 1;
}

static void guard_set(nxi_call *call)
{
    nxi_finishing *f = call->context;

    nxi_session_answered(f->session, call);
    if (call->request.status != NX_OK) {
        fail_flush(f, call->request.status, call->request.error);
        return;
    }
    f->parts[f->at].guarded = true;
    flush_next(f);
}

/* With several databases the savepoint stays until all of them are flushed. */
static void set_guard(nxi_finishing *f)
{
    nxi_part *part = part_at(f);
    nxi_call *call = nxi_call_new(f->op, part->db, 1, guard_set);

    if (call == NULL) {
        fail_flush(f, NX_ENOMEM, NULL);
        return;
    }
    call->context = f;
    call->request.transaction = part->transaction;
    call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_SAVEPOINT, .level = part->mark_count + 1 };
    nxi_call_submit_to_end(call);
}

static void fail_flush(nxi_finishing *f, nx_status status, const nx_error *error)
{
    nxi_finishing_keep(f, status, error);
    flush_failed(f);
}

static void flush_next(nxi_finishing *f)
{
    nx_session *s = f->session;

    while (f->at < f->part_count && f->parts[f->at].plan.batch_count == 0)
        f->at++;
    if (f->at >= f->part_count) {
        flushed_all(f);
        return;
    }
    nxi_flushed *flushed = &f->parts[f->at];
    const nxi_plan *plan = &flushed->plan;
    bool open = part_at(f)->transaction != 0;
    bool last = (f->how == NXI_FINISH_COMMIT || f->how == NXI_FINISH_END) && f->members == NULL;
    /* An open transaction outlives a commit whose writes fail, so they go first; at the end everything may go in one. */
    f->combined = last && s == root_of(f) && is_only_part(f) && (f->how == NXI_FINISH_END || !open);
    bool guarded = open && f->how != NXI_FINISH_END;
    if (guarded && f->several > 1 && !flushed->guarded) {
        set_guard(f);
        return;
    }
    size_t guard = guarded && f->several == 1 ? 1 : 0;
    f->session->has_acted = true;
    nxi_call *call = nxi_call_new(f->op, plan->db, plan->batch_count + 2 * guard, part_flushed);
    if (call == NULL) {
        fail_flush(f, NX_ENOMEM, NULL);
        return;
    }
    nx_error error;
    call->context = f;
    nx_status status = nxi_session_attach(s, call, true, &error);
    if (status != NX_OK) {
        fail_flush(f, status, &error);
        return;
    }
    uint32_t level = part_at(f)->mark_count + 1;
    flushed->begun = call->request.begin != NXI_BEGIN_NONE;
    nxi_plan_steps(plan, call->request.steps + guard);
    if (guard == 1) {
        call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_SAVEPOINT, .level = level };
        call->request.steps[plan->batch_count + 1] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = level };
    }
    if (f->combined) {
        nxi_finishing_forget_outcomes(f);
        call->request.end = NXI_END_COMMIT;
        call->wrote = true;
    }
    nxi_call_submit(call);
}

/* ------------------------------------------------------------------------------ planning */

static bool is_concerned(const nxi_finishing *f, const nx_db *db)
{
    if (!db->mapped || (f->only_db != NULL && f->only_db != db))
        return false;
    return f->members == NULL || nxi_row_of(f->members->row)->table->db == db;
}

/* A part for each database that has something pending; they come in the order of first use. */
static nx_status make_parts(nxi_finishing *f)
{
    nx_session *s = f->session, *root = s->root;
    nx_error *error = &f->error;

    for (nx_db *db = s->loop->databases; db != NULL; db = db->next) {
        if (!is_concerned(f, db) || (f->members == NULL && !nxi_session_has_pending(s, db)))
            continue;
        nx_status status = nxi_db_check(db, true, error);
        if (status != NX_OK)
            return status;
        if (nxi_session_part(s, db) == NULL)
            return nxi_fail(error, NX_ENOMEM, "no memory for the flush");
    }
    f->part_count = root->part_count;
    f->parts = NXI_ARENA_ARRAY(&f->op->arena, nxi_flushed, nxi_max_size(root->part_count, 1));
    return f->parts == NULL ? nxi_fail(error, NX_ENOMEM, "no memory for the flush") : NX_OK;
}

static nx_status make_plans(nxi_finishing *f)
{
    nx_session *s = f->session, *root = s->root;
    nx_status status = make_parts(f);

    for (size_t i = 0; status == NX_OK && i < f->part_count; i++) {
        nx_db *db = root->parts[i].db;
        nxi_plan_rows rows = { .fresh = NULL };
        if (db == NULL || !is_concerned(f, db))
            continue;
        if (f->members == NULL)
            status = nxi_session_collect(s, db, &f->op->arena, &rows, &f->error);
        else
            status = nxi_members_collect(f, &rows);
        if (status == NX_OK)
            status = nxi_session_check_keys(s, &rows, &f->error);
        if (status == NX_OK)
            status = nxi_plan_build(s, db, &rows, f->members != NULL, &f->op->arena, &f->parts[i].plan, &f->error);
        f->several += status == NX_OK && f->parts[i].plan.batch_count > 0;
    }
    return status;
}

/* Nothing has been sent. */
static void refuse(nxi_finishing *f, nx_status status)
{
    f->status = status;
    flush_failed(f);
}

nx_status nxi_session_fail_aborted(nx_error *error)
{
    nxi_fail(error, NX_EABORTED,
             "the session's transaction was lost or rolled back: nothing of it was written; roll the session back first");
    error->outcome = NX_OUTCOME_ROLLED_BACK;
    return NX_EABORTED;
}

void nxi_finishing_start(nxi_op *op, void *context)
{
    nxi_finishing *f = context;
    nx_status status;

    NX_ASSERT(op == f->op && f->status == NX_OK);
    if (f->how == NXI_FINISH_ROLLBACK) {
        nxi_finishing_roll_back(f);
        return;
    }
    if (root_of(f)->failed || f->session->fate->failed) {
        refuse(f, nxi_session_fail_aborted(&f->error));
        return;
    }
    status = f->own.row != NULL ? nxi_members_begin(f) : NX_OK;
    if (status == NX_OK)
        status = make_plans(f);
    if (status != NX_OK) {
        refuse(f, status);
        return;
    }
    flush_next(f);
}

/* ------------------------------------------------------------------------------ operations */

nxi_finishing *nxi_finishing_new(nx_session *s, nxi_op *op, nxi_finish how)
{
    nxi_finishing *f = NXI_ARENA_NEW(&op->arena, nxi_finishing);

    if (f != NULL) {
        f->session = s;
        f->op = op;
        f->how = how;
        nxi_error_reset(&f->error);
    }
    return f;
}

void nxi_session_flush_first(nx_session *s, nxi_op *op, nx_db *db, void (*then)(nxi_op *op, void *context), void *context)
{
    nxi_finishing *f = nxi_finishing_new(s, op, NXI_FINISH_FLUSH);

    if (f == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        nxi_session_leave(s);
        return;
    }
    f->then = then;
    f->then_context = context;
    f->only_db = db;
    nxi_finishing_start(op, f);
}

/* The session's own, or that of the first database that has one. */
uint32_t nxi_session_deadline(const nx_session *s)
{
    uint32_t deadline = s->options.deadline_ms != 0 ? s->options.deadline_ms : s->root->options.deadline_ms;

    for (const nx_db *db = s->loop->databases; db != NULL && deadline == 0; db = db->next)
        deadline = db->pool == NULL ? 0 : nxi_pool_options(db->pool)->deadline_ms;
    return deadline;
}

nx_op nxi_session_finish_op(nx_session *s, nxi_finish how, void *tag)
{
    nxi_op *op = nxi_op_new(s->loop, NULL, tag, nxi_session_deadline(s));
    nxi_finishing *f = op == NULL ? NULL : nxi_finishing_new(s, op, how);
    nx_op handle = nxi_op_handle(op);

    if (op == NULL)
        return handle;
    if (f == NULL)
        nxi_op_fail(op, NX_ENOMEM, NULL);
    else if (how == NXI_FINISH_COMMIT && s->outer != NULL)
        nxi_op_failf(op, NX_ESTATE, "a nested session cannot commit: end it, and commit the outer one");
    else
        nxi_session_enter(op, &(nxi_turn){ .session = s,
                                           .unmarked = how == NXI_FINISH_ROLLBACK,
                                           .finishes = true,
                                           .start = nxi_finishing_start,
                                           .context = f });
    return handle;
}
