/*
 * session_write - operations that write one row of a session: nx_save, nx_insert, nx_delete.
 *
 * Those that were queued one behind the other leave together, as one flush of their rows, where the result is the one that each
 * would have alone: of the same kind and table, none of them referring to a row that is still new. When that flush fails it is
 * undone, and each runs by itself, so that every operation gets its own answer.
 */
#include "engine/finish.h"

enum { SHARED_MAX = 4096 };

static const nxi_table *table_of(const nxi_member *member)
{
    return nxi_row_of(member->row)->table;
}

/* ------------------------------------------------------------------------------ sharing */

static bool refers_to_new(const void *row)
{
    const nxi_table *table = nxi_row_of(row)->table;

    for (size_t i = 0; table->has_references && i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        if (column->form != NXI_FORM_REFERENCE)
            continue;
        const nx_reference *reference = (const void *)((const char *)row + column->offset);
        if (reference->row != NULL && nxi_row_of(reference->row)->state == NXI_ROW_NEW)
            return true;
    }
    return false;
}

/* Deletions in a circle of tables depend on each other; a row that the session does not know is refused by itself. */
static bool may_share(const nxi_member *member)
{
    const nxi_row *row = nxi_row_of(member->row);
    bool stored = row->state == NXI_ROW_STORED || row->state == NXI_ROW_EXPIRED;

    if (member->op->stopped != NX_OK || (row->flags & NXI_ROW_DOUBTFUL) != 0)
        return false;
    switch (member->write) {
    case NXI_WRITE_DELETE: return stored && !row->table->in_cycle;
    case NXI_WRITE_INSERT: return row->state == NXI_ROW_NEW && !refers_to_new(member->row);
    case NXI_WRITE_SAVE: return (stored || row->state == NXI_ROW_NEW) && !refers_to_new(member->row);
    }
    return false;
}

/* The operation is in the hands of the one that has the turn. */
static void member_stop(nxi_op *op, nx_status why)
{
    const nxi_member *member = op->context;
    nxi_op *leader = member->finish->op;

    if (leader->stop != NULL && leader != op)
        leader->stop(leader, why);
}

static nxi_member *next_member(const nxi_finishing *f, const nxi_member *first)
{
    nxi_finishing *next = nxi_session_next_waiting(f->session, nxi_finishing_start);

    if (next == NULL || next->own.row == NULL || next->alone || next->own.write != first->write ||
        table_of(&next->own) != table_of(first) || (nxi_row_of(next->own.row)->flags & NXI_ROW_MARKED) != 0 ||
        !may_share(&next->own))
        return NULL;
    return &next->own;
}

static void gather(nxi_finishing *f)
{
    nxi_member *last = f->members;
    size_t count = 1;

    if (f->alone || !may_share(last))
        return;
    nxi_row_of(last->row)->flags |= NXI_ROW_MARKED;
    for (nxi_member *next; count < SHARED_MAX && (next = next_member(f, f->members)) != NULL; count++) {
        nxi_op *op = nxi_session_take_next(f->session);
        NX_ASSERT(op == next->op);
        op->context = next;
        op->stop = member_stop;
        next->finish = f;
        last->next = next;
        last = next;
        nxi_row_of(last->row)->flags |= NXI_ROW_MARKED;
    }
    for (nxi_member *member = f->members; member != NULL; member = member->next)
        nxi_row_of(member->row)->flags &= (uint16_t)~NXI_ROW_MARKED;
}

/* ------------------------------------------------------------------------------ the flush */

static nx_status mark_deletion(nxi_finishing *f, nxi_member *member)
{
    nxi_row *row = nxi_row_of(member->row);

    member->state = row->state;
    if (member->write != NXI_WRITE_DELETE)
        return NX_OK;
    nx_status status = nxi_session_delete_row(f->session, member->row);
    if (status != NX_OK)
        f->error = f->session->error;
    member->marked = status == NX_OK && row->state == NXI_ROW_DELETING && member->state != NXI_ROW_DELETING;
    return status;
}

nx_status nxi_members_begin(nxi_finishing *f)
{
    const nxi_row *row = nxi_row_of(f->own.row);
    nx_status status = NX_OK;

    f->own.next = NULL;
    f->own.finish = f;
    f->members = &f->own;
    if (f->own.write == NXI_WRITE_INSERT && row->state != NXI_ROW_NEW)
        return nxi_fail(&f->error, NX_ESTATE, "the row of %s is stored already", row->table->entity->name);
    gather(f);
    for (nxi_member *member = f->members; member != NULL && status == NX_OK; member = member->next)
        status = mark_deletion(f, member);
    return status;
}

nx_status nxi_members_collect(nxi_finishing *f, nxi_plan_rows *ret_rows)
{
    size_t count = 0;

    for (const nxi_member *member = f->members; member != NULL; member = member->next) {
        if ((nxi_row_of(member->row)->flags & NXI_ROW_DOUBTFUL) != 0)
            return nxi_row_refuse_doubtful(nxi_row_of(member->row), &f->error);
        count++;
    }
    nxi_row **rows = NXI_ARENA_ARRAY(&f->op->arena, nxi_row *, count);
    if (rows == NULL)
        return nxi_fail(&f->error, NX_ENOMEM, "no memory for the flush");
    count = 0;
    for (const nxi_member *member = f->members; member != NULL; member = member->next)
        rows[count++] = nxi_row_of(member->row);
    /* The planner takes of each what is in its state. */
    *ret_rows = (nxi_plan_rows){ rows, count, rows, count, rows, count };
    return NX_OK;
}

/* ------------------------------------------------------------------------------ the ends */

static void mark_written(const nxi_finishing *f, bool on)
{
    for (size_t i = 0; i < f->part_count; i++) {
        const nxi_plan *plan = &f->parts[i].plan;
        for (size_t b = 0; b < plan->batch_count; b++)
            for (size_t r = 0; r < plan->batches[b]->row_count; r++) {
                nxi_row *row = nxi_row_of(nxi_plan_object(plan->batches[b], r));
                row->flags = (uint16_t)(on ? row->flags | NXI_ROW_MARKED : row->flags & ~NXI_ROW_MARKED);
            }
    }
}

void nxi_members_succeed(nxi_finishing *f)
{
    mark_written(f, true);
    for (nxi_member *member = f->members; member != NULL; member = member->next)
        member->op->last.public.count = (nxi_row_of(member->row)->flags & NXI_ROW_MARKED) != 0;
    mark_written(f, false);
    for (nxi_member *member = f->members, *next; member != NULL; member = next) {
        next = member->next;
        nxi_op_finish(member->op);
    }
}

/* A refused deletion is no work that is left to do. */
static void take_marks_back(nxi_finishing *f)
{
    bool some = false;

    for (nxi_member *member = f->members; member != NULL; member = member->next) {
        nxi_row *row = nxi_row_of(member->row);
        if (!member->marked || row->state != NXI_ROW_DELETING)
            continue;
        row->state = member->state;
        member->marked = false;
        some = true;
    }
    if (some)
        nxi_workset_sweep_deletions(&f->session->root->rows);
}

static void fail_member(const nxi_member *member, nx_status status, const nx_error *error)
{
    if (member->op->stopped != NX_OK && member->op->stopped != status)
        nxi_op_failf(member->op, member->op->stopped, "the operation was stopped: %s", nx_status_text(member->op->stopped));
    else
        nxi_op_fail(member->op, status, error);
}

/* It waits for its turn as if it had not had one. False: it cannot. */
static bool run_alone(nx_session *s, nxi_member *member)
{
    nxi_finishing *f = NXI_CONTAINER(member, nxi_finishing, own);
    nxi_finishing fresh = { .session = s, .op = member->op, .how = NXI_FINISH_FLUSH, .own = f->own, .alone = true };

    fresh.own.next = NULL;
    *f = fresh;
    nxi_error_reset(&f->error);
    return nxi_session_put_back(member->op,
                                &(nxi_turn){ .session = s, .finishes = true, .start = nxi_finishing_start, .context = f });
}

void nxi_members_fail(nxi_finishing *f)
{
    nx_session *s = f->session;
    nxi_member *list = f->members, *reversed = NULL;
    nx_status status = f->status;
    nx_error error = f->error;
    bool lost = s->root->failed || s->fate->failed || s->doomed || s->root->doomed;

    take_marks_back(f);
    if (list->next == NULL || lost) {
        for (nxi_member *member = list, *next; member != NULL; member = next) {
            next = member->next;
            fail_member(member, status, &error);
        }
        return;
    }
    for (nxi_member *member = list, *next; member != NULL; member = next) {
        next = member->next;
        member->next = reversed;
        reversed = member;
    }
    for (nxi_member *member = reversed, *next; member != NULL; member = next) {
        next = member->next;
        if (member->op->stopped != NX_OK)
            fail_member(member, status, &error);
        else if (!run_alone(s, member))
            nxi_op_fail(member->op, NX_ENOMEM, NULL);
    }
}

/* ------------------------------------------------------------------------------ queueing */

nx_op nxi_session_write_row(nx_session *s, void *row, nxi_write write, void *tag)
{
    nxi_op *op = nxi_op_new(s->loop, NULL, tag, nxi_session_deadline(s));
    nxi_finishing *f = op == NULL ? NULL : nxi_finishing_new(s, op, NXI_FINISH_FLUSH);
    nx_op handle = nxi_op_handle(op);

    if (op == NULL)
        return handle;
    if (f == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return handle;
    }
    f->own = (nxi_member){ .finish = f, .op = op, .row = row, .write = write };
    nxi_session_enter(op, &(nxi_turn){ .session = s, .finishes = true, .start = nxi_finishing_start, .context = f });
    return handle;
}
