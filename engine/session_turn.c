/*
 * session_turn - the queue of a session's operations: whose turn it is, and what must happen before it.
 *
 *   waiting --may_start--> [savepoints] --> [flush of what it could see] --> started --nxi_session_leave--> over
 */
#include "engine/session.h"

/* An operation that waits for its turn, or has it. */
typedef struct pending {
    nxi_turn turn;
    nxi_op *op;
    size_t part;
    bool dirty; /* something that it could see is pending */
} pending;

static pending *pending_of(const nxi_op *op)
{
    return op->context;
}

/* ------------------------------------------------------------------------------ the queue */

static void link_last(nx_session *root, nxi_op *op)
{
    op->next = NULL;
    if (root->waiting_last == NULL)
        root->waiting_first = op;
    else
        root->waiting_last->next = op;
    root->waiting_last = op;
}

/* Out of the queue: `before` stands in front of it; NULL: it is the first. */
static void unlink_op(nx_session *root, nxi_op *before, nxi_op *op)
{
    if (before == NULL)
        root->waiting_first = op->next;
    else
        before->next = op->next;
    if (root->waiting_last == op)
        root->waiting_last = before;
    op->next = NULL;
    op->stop = NULL;
    op->context = NULL;
}

static void waiting_stop(nxi_op *op, nx_status why)
{
    nx_session *root = pending_of(op)->turn.session->root;
    nxi_op *before = NULL;

    for (nxi_op *at = root->waiting_first; at != op; at = at->next)
        before = at;
    unlink_op(root, before, op);
    nxi_op_failf(op, why, "%s while it waited for its turn in the session",
                 why == NX_EDEADLINE ? "the deadline passed" : "cancelled");
}

void nxi_session_refuse_waiting(nx_session *root, const nx_session *only, const nx_db *db)
{
    nxi_op *before = NULL;

    for (nxi_op *op = root->waiting_first, *next; op != NULL; op = next) {
        next = op->next;
        if ((only != NULL && pending_of(op)->turn.session != only) || (db != NULL && op->db != db)) {
            before = op;
            continue;
        }
        unlink_op(root, before, op);
        nxi_op_failf(op, NX_ECLOSED, "%s", db != NULL ? "the database was freed" : "the session was freed");
    }
}

void *nxi_session_next_waiting(const nx_session *s, void (*start)(nxi_op *op, void *context))
{
    const nxi_op *op = s->root->waiting_first;

    if (op == NULL || pending_of(op)->turn.session != s || pending_of(op)->turn.start != start)
        return NULL;
    return pending_of(op)->turn.context;
}

nxi_op *nxi_session_take_next(nx_session *s)
{
    nxi_op *op = s->root->waiting_first;

    unlink_op(s->root, NULL, op);
    return op;
}

static pending *pending_new(nxi_op *op, const nxi_turn *turn)
{
    pending *wait = NXI_ARENA_NEW(&op->arena, pending);

    if (wait == NULL)
        return NULL;
    *wait = (pending){ .turn = *turn, .op = op };
    op->context = wait;
    op->stop = waiting_stop;
    return wait;
}

bool nxi_session_put_back(nxi_op *op, const nxi_turn *turn)
{
    nx_session *root = turn->session->root;

    if (pending_new(op, turn) == NULL)
        return false;
    op->next = root->waiting_first;
    root->waiting_first = op;
    if (root->waiting_last == NULL)
        root->waiting_last = op;
    return true;
}

/* ------------------------------------------------------------------------------ before the start */

static void begin_turn(nxi_op *op, void *context)
{
    const pending *wait = context;

    wait->turn.start(op, wait->turn.context);
}

static void savepoints_done(nxi_call *call);

static bool is_writing(const pending *wait)
{
    return !wait->turn.shared || wait->dirty;
}

/* Half of a unit of work is never gone on with. */
static bool is_refused(pending *wait)
{
    const nx_session *s = wait->turn.session;
    nx_error error;

    if (wait->turn.finishes || !(s->root->failed || s->fate->failed))
        return false;
    nxi_session_fail_aborted(&error);
    nxi_op_fail(wait->op, NX_EABORTED, &error);
    return true;
}

static void set_savepoints(pending *wait)
{
    nx_session *s = wait->turn.session, *root = s->root;
    nxi_step steps[3];

    for (; !wait->turn.unmarked && wait->part < root->part_count; wait->part++) {
        nxi_part *part = &root->parts[wait->part];
        size_t count = nxi_part_mark_steps(part, s->level, is_writing(wait), steps);
        if (count == 0)
            continue;
        nxi_call *call = nxi_call_new(wait->op, part->db, count, savepoints_done);
        if (call == NULL || !nxi_part_reserve_mark(part, s->loop->memory)) {
            nxi_op_fail(wait->op, NX_ENOMEM, NULL);
            nxi_session_leave(s);
            return;
        }
        memcpy(call->request.steps, steps, count * sizeof(*steps));
        call->request.transaction = part->transaction;
        call->context = wait;
        /* Half of it done could not be told from none. */
        nxi_call_submit_to_end(call);
        return;
    }
    if (wait->dirty)
        nxi_session_flush_first(s, wait->op, wait->turn.sees.db, begin_turn, wait);
    else
        begin_turn(wait->op, wait);
}

static void savepoints_done(nxi_call *call)
{
    pending *wait = call->context;
    nx_session *s = wait->turn.session;

    nxi_session_answered(s, call);
    if (call->request.status == NX_OK)
        nxi_part_marked(&s->root->parts[wait->part], s->level, is_writing(wait));
    else if (call->request.in_transaction)
        /* A savepoint that cannot be set or undone: what is in the transaction is not what the session says. */
        s->root->failed = true;
    if (!nxi_call_is_ok(call)) {
        nxi_session_leave(s);
        return;
    }
    if (wait->op->stopped != NX_OK) {
        nxi_op_failf(wait->op, wait->op->stopped, "stopped before it had begun: %s", nx_status_text(wait->op->stopped));
        nxi_session_leave(s);
        return;
    }
    wait->part++;
    set_savepoints(wait);
}

/* ------------------------------------------------------------------------------ turns */

static bool needs_savepoints(const pending *wait)
{
    const nx_session *s = wait->turn.session;
    nxi_step steps[3];

    for (size_t i = 0; i < s->root->part_count; i++)
        if (nxi_part_mark_steps(&s->root->parts[i], s->level, false, steps) > 0)
            return true;
    return false;
}

/* Whether the operation's turn has come; then it is counted as running. */
static bool may_start(nx_session *root, pending *wait)
{
    nx_session *s = wait->turn.session;

    if (root->exclusive || root->leaving > 0)
        return false;
    if (!wait->turn.shared && root->running > 0)
        return false;
    wait->dirty = wait->turn.sees.db != NULL && nxi_session_is_dirty(s, &wait->turn.sees);
    bool shared = wait->turn.shared && !wait->dirty && !needs_savepoints(wait);
    if (!shared && root->running > 0)
        return false;
    s->has_acted = s->has_acted || (is_writing(wait) && !wait->turn.finishes);
    for (nx_session *at = s; at != NULL; at = at->outer)
        at->running++;
    root->exclusive = !shared;
    return true;
}

/* The turn of an operation that was refused: nothing else waits for its end but the loop around this. */
static void leave_quietly(nx_session *s)
{
    s->root->exclusive = false;
    for (nx_session *at = s; at != NULL; at = at->outer)
        at->running--;
}

static void pump(nx_session *root)
{
    if (root->pumping)
        return;
    root->pumping = true;
    while (root->waiting_first != NULL) {
        nxi_op *op = root->waiting_first;
        pending *wait = pending_of(op);
        if (!may_start(root, wait))
            break;
        unlink_op(root, NULL, op);
        if (is_refused(wait))
            leave_quietly(wait->turn.session);
        else if (root->exclusive)
            set_savepoints(wait);
        else
            begin_turn(op, wait);
    }
    root->pumping = false;
}

void nxi_session_enter(nxi_op *op, const nxi_turn *turn)
{
    nx_session *s = turn->session;
    nx_error error;

    nx_status status = nxi_session_check(s, &error);
    if (status != NX_OK) {
        nxi_op_fail(op, status, &error);
        return;
    }
    if (pending_new(op, turn) == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return;
    }
    link_last(s->root, op);
    pump(s->root);
}

void nxi_session_leave(nx_session *s)
{
    nx_session *root = s->root;

    NX_ASSERT(root->running > 0);
    root->exclusive = false;
    for (nx_session *at = s, *outer; at != NULL; at = outer) {
        outer = at->outer;
        at->running--;
        if (at->running == 0 && at->doomed) {
            NX_ASSERT(at != root || !root->pumping);
            nxi_session_left(at);
        } else if (at == root) {
            pump(root);
        }
    }
}
