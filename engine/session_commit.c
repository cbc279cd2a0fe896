/*
 * session_commit - the ends of a session's transactions: COMMIT on each database, the release of a nested session's savepoints,
 * and the way back.
 *
 * The primary database is the one that was used first: its COMMIT goes first, and while none is committed a failure takes all
 * back. Behind it a failure is partial: the others are committed as far as they can be, and the outcome of each is kept by
 * itself.
 */
#include "engine/finish.h"

#include <stdio.h>

static void commit_next(nxi_finishing *f);
static void roll_back_next(nxi_finishing *f);
static void release_next(nxi_finishing *f);

static nx_session *root_of(const nxi_finishing *f)
{
    return f->session->root;
}

static nxi_part *part_at(const nxi_finishing *f)
{
    return &root_of(f)->parts[f->at];
}

static bool was_stopped(nx_status status)
{
    return status == NX_ECANCELED || status == NX_EDEADLINE;
}

static void mark_ended(nxi_finishing *f, nx_outcome outcome)
{
    nx_session *s = f->session;

    s->outcome = outcome;
    if (f->how != NXI_FINISH_END)
        return;
    s->ended = true;
    if (s->outer != NULL && s->outer->inner == s)
        s->outer->inner = NULL;
}

/* ------------------------------------------------------------------------------ the way back */

/* The transactions of the session are undone, or its savepoints are: so are its rows, and the operation ends. */
static void rolled_back_all(nxi_finishing *f)
{
    nx_session *fate = f->session->fate;
    bool unknown = f->status != NX_OK && f->error.outcome == NX_OUTCOME_UNKNOWN;

    nxi_finishing_take_back(f);
    nxi_session_undo(fate, f->status == NX_OK ? NXI_UNDO_REVERT : NXI_UNDO_RETRY);
    for (nx_session *s = f->session; s != fate; s = s->outer)
        s->has_acted = false;
    mark_ended(f, unknown ? NX_OUTCOME_UNKNOWN : NX_OUTCOME_ROLLED_BACK);
    if (f->status == NX_OK) {
        nxi_finishing_succeed(f);
        return;
    }
    if (!unknown)
        f->error.outcome = NX_OUTCOME_ROLLED_BACK;
    nxi_finishing_fail(f);
}

static void part_rolled_back(nxi_call *call)
{
    nxi_finishing *f = call->context;
    nxi_part *part = part_at(f);

    if (call->request.end == NXI_END_ROLLBACK) {
        /* One that fails leaves nothing either: the driver ends the transaction or the connection. */
        nxi_part_close(part, NX_OUTCOME_ROLLED_BACK);
    } else {
        nxi_session_answered(f->session, call);
        if (call->request.status == NX_OK)
            nxi_part_unmarked(part, call->request.steps[0].level - 1);
        else if (part->transaction != 0)
            nxi_session_lost(root_of(f));
    }
    f->at++;
    roll_back_next(f);
}

static void roll_back_next(nxi_finishing *f)
{
    nx_session *root = root_of(f);
    uint32_t mark = 0;

    for (; f->at < root->part_count; f->at++) {
        nxi_part *part = part_at(f);
        nxi_part_way way = nxi_part_way_back(part, f->session->level, &mark);
        if (way == NXI_PART_UNTOUCHED)
            continue;
        nxi_call *call = nxi_call_new(f->op, part->db, way == NXI_PART_TO_MARK ? 2 : 0, part_rolled_back);
        if (call == NULL) {
            nxi_part_roll_back_deferred(part);
            nxi_session_lost(root);
            continue;
        }
        call->context = f;
        call->request.transaction = part->transaction;
        if (way == NXI_PART_TO_MARK) {
            call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_ROLLBACK_TO, .level = mark };
            call->request.steps[1] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = mark };
        } else {
            call->request.end = NXI_END_ROLLBACK;
        }
        nxi_call_submit_to_end(call);
        return;
    }
    rolled_back_all(f);
}

void nxi_finishing_roll_back(nxi_finishing *f)
{
    f->at = 0;
    roll_back_next(f);
}

/* ------------------------------------------------------------------------------ commit */

void nxi_finishing_committed(nxi_finishing *f)
{
    nxi_session_over(root_of(f));
    mark_ended(f, NX_OUTCOME_COMMITTED);
    nxi_finishing_succeed(f);
}

static const char *outcome_name(nx_outcome outcome)
{
    switch (outcome) {
    case NX_OUTCOME_COMMITTED: return "committed";
    case NX_OUTCOME_UNKNOWN: return "outcome unknown";
    case NX_OUTCOME_NONE:
    case NX_OUTCOME_ROLLED_BACK:
    case NX_OUTCOME_PARTIAL: break;
    }
    return "rolled back";
}

/* Which database has what, for the message: in the order of their first use. */
static void name_outcomes(nxi_finishing *f)
{
    const nx_session *root = root_of(f);
    size_t used = strlen(f->error.message);

    for (size_t i = 0; i < root->part_count; i++) {
        const nxi_part *part = &root->parts[i];
        if (part->db == NULL || part->outcome == NX_OUTCOME_NONE || used >= sizeof(f->error.message))
            continue;
        int written = snprintf(f->error.message + used, sizeof(f->error.message) - used, "; database %zu (%s): %s", i + 1,
                               part->db->driver->name, outcome_name(part->outcome));
        used += written > 0 ? (size_t)written : 0;
    }
}

/* Some are committed: that cannot be done again. */
static void committed_in_part(nxi_finishing *f)
{
    name_outcomes(f);
    f->error.outcome = NX_OUTCOME_PARTIAL;
    f->error.retryable = false;
    nxi_session_over(root_of(f));
    mark_ended(f, NX_OUTCOME_PARTIAL);
    nxi_finishing_fail(f);
}

/* What can be done again is told by its own name; and what the caller has stopped. */
static nx_status commit_status(const nxi_finishing *f, const nxi_request *request)
{
    if (f->committed > 0)
        return NX_EPARTIAL;
    if (was_stopped(request->status) || (request->status == NX_ELOST && request->outcome == NX_OUTCOME_ROLLED_BACK))
        return request->status;
    return NX_ECOMMIT;
}

/* The first COMMIT did not run, and its transaction is open as before. */
static void commit_did_not_run(nxi_finishing *f)
{
    if (f->how == NXI_FINISH_END)
        nxi_finishing_roll_back(f);
    else
        nxi_finishing_fail(f);
}

static void part_not_committed(nxi_finishing *f, const nxi_request *request)
{
    nx_session *root = root_of(f);
    nxi_part *part = part_at(f);
    bool unknown = request->outcome == NX_OUTCOME_UNKNOWN;

    nxi_finishing_keep(f, commit_status(f, request), request->error);
    f->error.status = f->status;
    if (request->in_transaction && f->committed == 0) {
        commit_did_not_run(f);
        return;
    }
    if (request->in_transaction) {
        nxi_part_roll_back_deferred(part);
    } else {
        nxi_part_close(part, unknown ? NX_OUTCOME_UNKNOWN : NX_OUTCOME_ROLLED_BACK);
    }
    if (f->committed == 0)
        f->error.outcome = part->outcome;
    if (unknown && part->db != NULL)
        nxi_session_doubt(root, part->db);
    if (f->committed == 0) {
        nxi_finishing_roll_back(f);
        return;
    }
    if (!unknown && part->db != NULL)
        nxi_session_undo_db(root, part->db);
    /* Others are committed already: go on, so that as much as possible is, and report it. */
    f->at++;
    commit_next(f);
}

static void part_committed(nxi_call *call)
{
    nxi_finishing *f = call->context;

    if (call->request.status != NX_OK) {
        part_not_committed(f, &call->request);
        return;
    }
    nxi_part_close(part_at(f), NX_OUTCOME_COMMITTED);
    f->committed++;
    f->at++;
    commit_next(f);
}

static void no_memory_to_commit(nxi_finishing *f)
{
    nxi_finishing_keep(f, f->committed > 0 ? NX_EPARTIAL : NX_ENOMEM, NULL);
    if (f->committed == 0) {
        commit_did_not_run(f);
        return;
    }
    nxi_part *part = part_at(f);
    nxi_part_roll_back_deferred(part);
    nxi_session_undo_db(root_of(f), part->db);
    f->at++;
    commit_next(f);
}

static void commit_next(nxi_finishing *f)
{
    nx_session *root = root_of(f);

    while (f->at < root->part_count && (root->parts[f->at].transaction == 0 || root->parts[f->at].db == NULL))
        f->at++;
    if (f->at == root->part_count) {
        if (f->status != NX_OK)
            committed_in_part(f);
        else
            nxi_finishing_committed(f);
        return;
    }
    if (f->committed == 0 && f->op->stopped != NX_OK) {
        nxi_fail(&f->error, f->op->stopped, "%s before the COMMIT was sent",
                 f->op->stopped == NX_EDEADLINE ? "the deadline passed" : "cancelled");
        f->status = f->op->stopped;
        commit_did_not_run(f);
        return;
    }
    nxi_part *part = part_at(f);
    nxi_call *call = nxi_call_new(f->op, part->db, 0, part_committed);
    if (call == NULL) {
        no_memory_to_commit(f);
        return;
    }
    call->context = f;
    call->wrote = part->wrote;
    call->request.transaction = part->transaction;
    call->request.end = NXI_END_COMMIT;
    if (f->committed == 0)
        nxi_call_submit(call);
    else
        nxi_call_submit_to_end(call);
}

void nxi_finishing_forget_outcomes(const nxi_finishing *f)
{
    nx_session *root = root_of(f);

    for (size_t i = 0; i < root->part_count; i++)
        if (root->parts[i].transaction == 0)
            root->parts[i].outcome = NX_OUTCOME_NONE;
}

void nxi_finishing_commit(nxi_finishing *f)
{
    f->at = 0;
    nxi_finishing_forget_outcomes(f);
    commit_next(f);
}

/* The answer was lost, and found to be "committed": only what the server made for the rows is not known. */
static void committed_unseen(nxi_finishing *f)
{
    nxi_plan_apply_unseen(&f->parts[f->at].plan, f->session);
    f->error.outcome = NX_OUTCOME_COMMITTED;
    part_at(f)->outcome = NX_OUTCOME_COMMITTED;
    nxi_session_over(root_of(f));
    nxi_session_expire_db(root_of(f), part_at(f)->db);
    mark_ended(f, NX_OUTCOME_COMMITTED);
    nxi_finishing_fail(f);
}

void nxi_finishing_combined_failed(nxi_finishing *f, const nxi_request *request)
{
    bool unknown = request->outcome == NX_OUTCOME_UNKNOWN;

    if (request->outcome_found && request->outcome == NX_OUTCOME_COMMITTED) {
        committed_unseen(f);
        return;
    }
    if (unknown || request->failed_step >= request->step_count) {
        /* It was the COMMIT itself. */
        if (!was_stopped(f->status) && !unknown && f->status != NX_EFOREIGNKEY)
            f->status = NX_ECOMMIT;
        f->error.status = f->status;
        f->error.outcome = request->outcome;
    }
    if (unknown) {
        nxi_session_doubt(root_of(f), part_at(f)->db);
        nxi_plan_doubt(&f->parts[f->at].plan, f->session);
        part_at(f)->outcome = NX_OUTCOME_UNKNOWN;
        nxi_session_over(root_of(f));
        mark_ended(f, NX_OUTCOME_UNKNOWN);
        nxi_finishing_fail(f);
        return;
    }
    if (f->how == NXI_FINISH_END) {
        nxi_finishing_roll_back(f);
        return;
    }
    part_at(f)->outcome = NX_OUTCOME_ROLLED_BACK;
    nxi_finishing_take_back(f);
    f->error.outcome = NX_OUTCOME_ROLLED_BACK;
    f->session->outcome = NX_OUTCOME_ROLLED_BACK;
    nxi_finishing_fail(f);
}

/* ------------------------------------------------------------------------------ the end of a nested session */

static void mark_released(nxi_call *call)
{
    nxi_finishing *f = call->context;
    nxi_part *part = part_at(f);

    nxi_session_answered(f->session, call);
    if (call->request.status != NX_OK) {
        nxi_finishing_keep(f, call->request.status, call->request.error);
        nxi_finishing_roll_back(f);
        return;
    }
    nxi_part_unmarked(part, call->request.steps[0].level - 1);
    f->at++;
    release_next(f);
}

static void release_next(nxi_finishing *f)
{
    nx_session *s = f->session, *root = s->root;
    uint32_t mark;

    for (; f->at < root->part_count; f->at++) {
        nxi_part *part = part_at(f);
        if (!nxi_part_ends_level(part, s->level, s->outer->level, &mark))
            continue;
        nxi_call *call = nxi_call_new(f->op, part->db, 1, mark_released);
        if (call == NULL) {
            nxi_finishing_keep(f, NX_ENOMEM, NULL);
            nxi_finishing_roll_back(f);
            return;
        }
        call->context = f;
        call->request.transaction = part->transaction;
        call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = mark };
        nxi_call_submit_to_end(call);
        return;
    }
    nxi_frame_merge(&s->outer->fate->frame, &s->frame);
    mark_ended(f, NX_OUTCOME_NONE);
    nxi_finishing_succeed(f);
}

void nxi_finishing_release_marks(nxi_finishing *f)
{
    nx_session *s = f->session;

    f->at = 0;
    if (s->fate == s) {
        release_next(f);
        return;
    }
    /* Joined: what it did is the outer session's. */
    s->outer->has_acted = s->outer->has_acted || s->has_acted;
    mark_ended(f, NX_OUTCOME_NONE);
    nxi_finishing_succeed(f);
}
