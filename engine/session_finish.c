/*
 * session_finish - flush, commit, end and rollback: one state machine over the databases of a session.
 *
 * One database: writes and COMMIT are one request, so a session of one insert is one hand-over. Several: all are flushed
 * first, then the primary is committed, then the others one by one.
 */
#include "engine/session.h"
#include "engine/uow.h"

typedef struct finish {
    nx_session *session;
    nxi_op *op;
    nxi_finish how;
    bool in_turn; /* a flush before another operation: `then` goes on with its turn */
    void (*then)(nxi_op *op, void *context);
    void *then_context;
    void *only;      /* one row */
    bool deleting;   /* it is to be deleted */
    nxi_plan *plans; /* one for each part */
    size_t plan_count;
    size_t at;        /* the part at hand */
    size_t committed; /* parts that are committed */
    bool combined;    /* writes and COMMIT in one request */
    bool guarded;     /* the writes at hand stand behind a savepoint of their own */
    int64_t rows;
    nx_status status; /* of the first failure */
    nx_error error;
} finish;

static void flush_part(finish *f);
static void release_part(finish *f);
static void commit_part(finish *f);
static void rollback_part(finish *f);

static nx_session *root_of(const finish *f)
{
    return f->session->root;
}

/* The savepoint's level that a rollback of this session goes back to; 0: the whole transaction. A joined session shares its outer
 * one's fate. */
static uint32_t fate_level(const nx_session *s)
{
    while (s->options.join && s->outer != NULL)
        s = s->outer;
    return s->level;
}

static void keep_error(finish *f, nx_status status, const nx_error *error)
{
    if (f->status != NX_OK)
        return;
    f->status = status;
    if (error != NULL)
        f->error = *error;
    else
        nxi_fail(&f->error, status, "%s", nx_status_text(status));
}

/* ------------------------------------------------------------------------------ the ends */

static void mark_ended(finish *f, nx_outcome outcome)
{
    nx_session *s = f->session;

    s->outcome = outcome;
    if (f->how != NXI_FINISH_END)
        return;
    s->ended = true;
    if (s->outer != NULL && s->outer->inner == s)
        s->outer->inner = NULL;
}

static void succeed(finish *f)
{
    nxi_op *op = f->op;
    nx_session *s = f->session;

    if (f->in_turn) {
        f->then(op, f->then_context);
        return;
    }
    op->last.public.count = f->rows;
    nxi_op_finish(op);
    nxi_session_leave(s);
}

static void fail(finish *f)
{
    nxi_op *op = f->op;
    nx_session *s = f->session;

    s->error = f->error;
    nxi_op_fail(op, f->status, &f->error);
    nxi_session_leave(s);
}

/* A transaction is over on all databases: its rows are what the database has. */
static void transaction_over(nx_session *root)
{
    nxi_session_next_number(root);
    root->transaction_number = root->number;
    root->gone = NULL;
    root->failed = false;
}

static void after_commit(finish *f)
{
    transaction_over(root_of(f));
    mark_ended(f, NX_OUTCOME_COMMITTED);
    succeed(f);
}

/* After a failed end or commit everything is rolled back; then the first error is reported. */
static void after_rollback(finish *f)
{
    nx_session *root = root_of(f);

    nx_session *s = f->session;
    while (s->options.join && s->outer != NULL)
        s = s->outer;
    if (s == root) {
        nxi_session_undo(root);
        root->failed = false;
    } else {
        nxi_session_undo_nested(s);
    }
    bool unknown = f->status != NX_OK && f->error.outcome == NX_OUTCOME_UNKNOWN;
    mark_ended(f, unknown ? NX_OUTCOME_UNKNOWN : NX_OUTCOME_ROLLED_BACK);
    if (f->status == NX_OK) {
        succeed(f);
        return;
    }
    if (!unknown)
        f->error.outcome = NX_OUTCOME_ROLLED_BACK;
    fail(f);
}

/* ------------------------------------------------------------------------------ rollback */

static void rolled_back(nxi_call *call)
{
    finish *f = call->context;
    nxi_part *part = &root_of(f)->parts[f->at];

    /* A rollback that fails leaves nothing either: the driver ends the transaction or the connection. */
    uint32_t level = fate_level(f->session);

    if (level == 0 || part->born >= level) {
        part->transaction = 0;
        part->level = part->undo = 0;
    } else if (!call->request.in_transaction) {
        nxi_session_answered(f->session, call);
    } else {
        part->level = level - 1;
    }
    f->at++;
    rollback_part(f);
}

static void rollback_part(finish *f)
{
    nx_session *root = root_of(f);
    uint32_t level = fate_level(f->session);

    while (f->at < root->part_count) {
        nxi_part *part = &root->parts[f->at];
        bool nested = level != 0 && part->born < level;
        if (part->transaction == 0 || part->db == NULL || (nested && part->level < level)) {
            f->at++;
            continue;
        }
        nxi_call *call = nxi_call_new(f->op, part->db, nested ? 2 : 0, rolled_back);
        if (call == NULL) {
            keep_error(f, NX_ENOMEM, NULL);
            root->failed = true;
            break;
        }
        call->context = f;
        call->request.transaction = part->transaction;
        if (nested) {
            call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_ROLLBACK_TO, .level = level };
            call->request.steps[1] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = level };
        } else {
            call->request.end = NXI_END_ROLLBACK;
        }
        /* A rollback is not stopped by the deadline that caused it. */
        f->op->stopped = NX_OK;
        nxi_timer_clear(f->op->loop->core, &f->op->deadline);
        nxi_call_submit(call);
        return;
    }
    after_rollback(f);
}

static void roll_everything_back(finish *f)
{
    f->at = 0;
    rollback_part(f);
}

/* ------------------------------------------------------------------------------ commit */

static void committed(nxi_call *call)
{
    finish *f = call->context;
    nx_session *root = root_of(f);
    nxi_part *part = &root->parts[f->at];

    part->transaction = 0;
    part->level = 0;
    if (call->request.status == NX_OK) {
        f->committed++;
        f->at++;
        commit_part(f);
        return;
    }
    /* Lost before it was committed: what can be done again is told by its own name. */
    bool is_lost = call->request.status == NX_ELOST && call->request.outcome == NX_OUTCOME_ROLLED_BACK;
    keep_error(f, f->committed > 0 ? NX_EPARTIAL : is_lost ? NX_ELOST : NX_ECOMMIT, call->request.error);
    f->error.status = f->status;
    f->error.outcome = call->request.outcome == NX_OUTCOME_UNKNOWN ? NX_OUTCOME_UNKNOWN : NX_OUTCOME_ROLLED_BACK;
    if (f->committed == 0) {
        roll_everything_back(f);
        return;
    }
    if (part->db != NULL)
        nxi_session_undo_db(root, part->db);
    /* Others are committed already: go on, so that as much as possible is, and report it. */
    f->at++;
    commit_part(f);
}

static void after_partial(finish *f)
{
    transaction_over(root_of(f));
    nxi_session_expire_all(root_of(f));
    mark_ended(f, f->error.outcome);
    fail(f);
}

/* The primary is at the front of the list of parts: it was used first. */
static void commit_part(finish *f)
{
    nx_session *root = root_of(f);

    while (f->at < root->part_count) {
        nxi_part *part = &root->parts[f->at];
        if (part->transaction == 0 || part->db == NULL) {
            f->at++;
            continue;
        }
        nxi_call *call = nxi_call_new(f->op, part->db, 0, committed);
        if (call == NULL) {
            keep_error(f, NX_ENOMEM, NULL);
            roll_everything_back(f);
            return;
        }
        call->context = f;
        call->wrote = part->wrote;
        call->request.transaction = part->transaction;
        call->request.end = NXI_END_COMMIT;
        nxi_call_submit(call);
        return;
    }
    if (f->status != NX_OK)
        after_partial(f);
    else
        after_commit(f);
}

/* ------------------------------------------------------------------------------ nested ends */

static void released(nxi_call *call)
{
    finish *f = call->context;
    nxi_part *part = &root_of(f)->parts[f->at];

    nxi_session_answered(f->session, call);
    if (call->request.status != NX_OK) {
        keep_error(f, call->request.status, call->request.error);
        roll_everything_back(f);
        return;
    }
    part->level = f->session->level - 1;
    f->at++;
    release_part(f);
}

static void release_part(finish *f)
{
    nx_session *s = f->session, *root = s->root;

    while (f->at < root->part_count) {
        nxi_part *part = &root->parts[f->at];
        /* A transaction that began in this session has no savepoint of it: it is the outer one's from now on. */
        if (part->born >= s->level) {
            part->born = s->level - 1;
            part->level = s->level - 1;
        }
        if (part->transaction == 0 || part->db == NULL || part->level < s->level) {
            f->at++;
            continue;
        }
        nxi_call *call = nxi_call_new(f->op, part->db, 1, released);
        if (call == NULL) {
            keep_error(f, NX_ENOMEM, NULL);
            roll_everything_back(f);
            return;
        }
        call->context = f;
        call->request.transaction = part->transaction;
        call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = s->level };
        nxi_call_submit(call);
        return;
    }
    mark_ended(f, NX_OUTCOME_NONE);
    succeed(f);
}

/* ------------------------------------------------------------------------------ flush */

static void flushed_all(finish *f)
{
    f->at = 0;
    if (f->how == NXI_FINISH_FLUSH)
        succeed(f);
    else if (f->session != root_of(f))
        release_part(f);
    else
        commit_part(f);
}

static void flush_failed(finish *f)
{
    /* An end that fails takes everything back; a flush or commit leaves the transaction as it was before. */
    if (f->how == NXI_FINISH_END)
        roll_everything_back(f);
    else
        fail(f);
}

static void guard_undone(nxi_call *call)
{
    finish *f = call->context;

    nxi_session_answered(f->session, call);
    if (call->request.status != NX_OK)
        root_of(f)->failed = true;
    flush_failed(f);
}

static void undo_guarded(finish *f)
{
    nxi_part *part = &root_of(f)->parts[f->at];
    nxi_call *call = nxi_call_new(f->op, part->db, 2, guard_undone);

    if (call == NULL) {
        root_of(f)->failed = true;
        flush_failed(f);
        return;
    }
    call->context = f;
    call->request.transaction = part->transaction;
    call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_ROLLBACK_TO, .level = f->session->level + 1 };
    call->request.steps[1] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = f->session->level + 1 };
    f->op->stopped = NX_OK;
    nxi_timer_clear(f->op->loop->core, &f->op->deadline);
    nxi_call_submit(call);
}

static void commit_combined_failed(finish *f, const nxi_request *request)
{
    nx_outcome outcome = request->outcome;

    if (outcome == NX_OUTCOME_UNKNOWN || request->failed_step >= request->step_count) {
        /* It was the COMMIT itself. */
        if (f->status != NX_EDEADLINE && f->status != NX_ECANCELED && outcome != NX_OUTCOME_UNKNOWN &&
            f->status != NX_EFOREIGNKEY)
            f->status = NX_ECOMMIT;
        f->error.status = f->status;
        f->error.outcome = outcome;
    }
    if (f->how == NXI_FINISH_END || outcome == NX_OUTCOME_UNKNOWN)
        roll_everything_back(f);
    else
        flush_failed(f);
}

static void part_flushed(nxi_call *call)
{
    finish *f = call->context;
    nx_session *s = f->session;
    nxi_plan *plan = &f->plans[f->at];
    const nxi_request *request = &call->request;

    if (request->status != NX_OK && request->outcome_found && request->outcome == NX_OUTCOME_COMMITTED) {
        keep_error(f, request->status, request->error);
        nxi_session_answered(s, call);
        nxi_plan_apply_unseen(plan, s);
        after_partial(f);
        return;
    }
    if (request->status != NX_OK) {
        nxi_plan_undo(plan);
        keep_error(f, request->status, request->error);
        nxi_plan_name_object(plan, request->failed_step - (f->guarded ? 1 : 0), &f->error);
        nxi_session_answered(s, call);
        if (f->combined)
            commit_combined_failed(f, request);
        else if (f->guarded && request->in_transaction && request->steps_done > 0)
            undo_guarded(f);
        else
            flush_failed(f);
        return;
    }
    nxi_session_answered(s, call);
    f->rows += (int64_t)plan->row_count;
    plan->db->stats.flushes++;
    nxi_plan_apply(plan, s, f->combined && f->how == NXI_FINISH_END);
    if (f->combined) {
        after_commit(f);
        return;
    }
    f->at++;
    flush_part(f);
}

static bool is_only_part(const finish *f)
{
    const nx_session *root = root_of(f);
    size_t used = 0;

    for (size_t i = 0; i < root->part_count; i++)
        used += root->parts[i].transaction != 0 || (i < f->plan_count && f->plans[i].batch_count > 0);
    return used == 1;
}

static void flush_part(finish *f)
{
    nx_session *s = f->session;

    while (f->at < f->plan_count && f->plans[f->at].batch_count == 0)
        f->at++;
    if (f->at >= f->plan_count) {
        flushed_all(f);
        return;
    }
    nxi_plan *plan = &f->plans[f->at];
    bool open = root_of(f)->parts[f->at].transaction != 0;
    bool last = f->how == NXI_FINISH_COMMIT || f->how == NXI_FINISH_END;
    /* An open transaction outlives a commit whose writes fail, so they go first; at the end everything may go in one. */
    f->combined = last && s == root_of(f) && is_only_part(f) && (f->how == NXI_FINISH_END || !open);
    f->guarded = open && f->how != NXI_FINISH_END;
    size_t extra = f->guarded ? 1 : 0;
    nxi_call *call = nxi_call_new(f->op, plan->db, plan->batch_count + 2 * extra, part_flushed);
    if (call == NULL) {
        keep_error(f, NX_ENOMEM, NULL);
        flush_failed(f);
        return;
    }
    call->context = f;
    nx_status status = nxi_session_attach(s, call, true, &f->error);
    if (status != NX_OK) {
        f->status = status;
        flush_failed(f);
        return;
    }
    nxi_plan_steps(plan, call->request.steps + extra);
    if (f->guarded) {
        call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_SAVEPOINT, .level = s->level + 1 };
        call->request.steps[plan->batch_count + 1] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = s->level + 1 };
    }
    if (f->combined) {
        call->request.end = NXI_END_COMMIT;
        call->wrote = true;
    }
    nxi_call_submit(call);
}

/* A plan for each database that has something pending; the parts come in the order of first use. */
static nx_status make_plans(finish *f)
{
    nx_session *s = f->session, *root = s->root;
    nx_error *error = &f->error;

    for (nx_db *db = s->loop->databases; db != NULL; db = db->next) {
        if (!db->mapped || (f->only != NULL && nxi_row_of(f->only)->table->db != db) || !nxi_session_is_dirty(s, db))
            continue;
        nx_status status = nxi_db_check(db, true, error);
        if (status != NX_OK)
            return status;
        if (nxi_session_part(s, db) == NULL)
            return nxi_fail(error, NX_ENOMEM, "no memory for the flush");
    }
    f->plans = NXI_ARENA_ARRAY(&f->op->arena, nxi_plan, root->part_count == 0 ? 1 : root->part_count);
    if (f->plans == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for the flush");
    f->plan_count = root->part_count;
    for (size_t i = 0; i < root->part_count; i++) {
        nx_db *db = root->parts[i].db;
        if (db == NULL || !db->mapped)
            continue;
        nx_status status = nxi_plan_build(s, db, f->only, &f->op->arena, &f->plans[i], error);
        if (status != NX_OK)
            return status;
    }
    return NX_OK;
}

static void start(nxi_op *op, void *context)
{
    finish *f = context;
    nx_session *root = f->session->root;
    nx_status status;

    (void)op;
    if (f->deleting) {
        status = nxi_session_delete_row(f->session, f->only);
        if (status != NX_OK) {
            f->error = f->session->error;
            f->status = status;
            flush_failed(f);
            return;
        }
    }
    if (f->how == NXI_FINISH_ROLLBACK) {
        roll_everything_back(f);
        return;
    }
    if (root->failed) {
        nxi_fail(&f->error, NX_EABORTED,
                 "the session's transaction was lost or rolled back: nothing of it was written; roll the session back first");
        f->error.outcome = NX_OUTCOME_ROLLED_BACK;
        f->status = NX_EABORTED;
        flush_failed(f);
        return;
    }
    status = make_plans(f);
    if (status != NX_OK) {
        f->status = status;
        flush_failed(f);
        return;
    }
    flush_part(f);
}

static finish *finish_new(nx_session *s, nxi_op *op, nxi_finish how)
{
    finish *f = NXI_ARENA_NEW(&op->arena, finish);

    if (f != NULL) {
        f->session = s;
        f->op = op;
        f->how = how;
        nxi_error_reset(&f->error);
    }
    return f;
}

void nxi_session_flush_first(nx_session *s, nxi_op *op, void (*then)(nxi_op *op, void *context), void *context)
{
    finish *f = finish_new(s, op, NXI_FINISH_FLUSH);

    if (f == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        nxi_session_leave(s);
        return;
    }
    f->in_turn = true;
    f->then = then;
    f->then_context = context;
    start(op, f);
}

/* The session's own, or that of the first database that has one. */
static uint32_t deadline_of(const nx_session *s)
{
    uint32_t deadline = s->options.deadline_ms != 0 ? s->options.deadline_ms : s->root->options.deadline_ms;

    for (const nx_db *db = s->loop->databases; db != NULL && deadline == 0; db = db->next)
        deadline = db->pool == NULL ? 0 : nxi_pool_options(db->pool)->deadline_ms;
    return deadline;
}

static nx_op finish_queue(nx_session *s, nxi_finish how, void *only, bool deleting, void *tag)
{
    nxi_op *op = nxi_op_new(s->loop, NULL, tag, deadline_of(s));
    finish *f = op == NULL ? NULL : finish_new(s, op, how);
    nx_op handle = nxi_op_handle(op);

    if (op == NULL)
        return handle;
    if (f == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return handle;
    }
    f->only = only;
    f->deleting = deleting;
    if (how == NXI_FINISH_COMMIT && s->outer != NULL)
        nxi_op_failf(op, NX_ESTATE, "a nested session cannot commit: end it, and commit the outer one");
    else
        nxi_session_enter(op, &(nxi_turn){ .session = s, .start = start, .context = f });
    return handle;
}

nx_op nxi_session_finish_op(nx_session *s, nxi_finish how, void *tag)
{
    return finish_queue(s, how, NULL, false, tag);
}

nx_op nxi_session_write_row(nx_session *s, void *row, nxi_write write, void *tag)
{
    nx_error error;

    if (write == NXI_WRITE_INSERT && nxi_row_of(row)->state != NXI_ROW_NEW) {
        nxi_fail(&error, NX_ESTATE, "the row of %s is stored already", nxi_row_of(row)->table->entity->name);
        return nxi_op_refuse(s->loop, NULL, tag, NX_ESTATE, &error);
    }
    return finish_queue(s, NXI_FINISH_FLUSH, row, write == NXI_WRITE_DELETE, tag);
}
