/*
 * op - the table of operations and the completion queue.
 */
#include "engine/op.h"

#include <stdarg.h>
#include <stdio.h>

enum { OPS_FIRST = 64 };

static _Thread_local nx_loop *thread_loops;

nx_loop *nxi_loops_of_thread(void)
{
    return thread_loops;
}

nx_status nxi_loop_new(const nx_loop_options *options, nxi_io *io, nx_loop **ret_loop, nx_error *error)
{
    nx_loop_options chosen = options == NULL ? (nx_loop_options){ 0 } : *options;
    nxi_memory *memory = nxi_memory_new(chosen.memory_bytes_max);

    if (chosen.ring_entries == 0)
        chosen.ring_entries = 256;
    if (chosen.ops_max == 0)
        chosen.ops_max = 65536;
    if (chosen.spin_us == 0)
        chosen.spin_us = 50;
    nx_loop *loop = memory == NULL ? NULL : nxi_zalloc(memory, sizeof(*loop));
    if (loop == NULL) {
        nxi_memory_free(memory);
        return nxi_fail(error, NX_ENOMEM, "no memory for a loop");
    }
    loop->memory = memory;
    loop->options = chosen;
    nx_status status = nxi_core_open(memory, &loop->options, io, &loop->core, error);
    if (status != NX_OK) {
        nxi_release(memory, loop);
        nxi_memory_free(memory);
        return status;
    }
    loop->next_of_thread = thread_loops;
    thread_loops = loop;
    *ret_loop = loop;
    return NX_OK;
}

void nxi_ops_release_all(nx_loop *loop)
{
    while (loop->first != NULL) {
        nxi_completion *completion = loop->first;
        nxi_completion_take(loop, completion);
        nxi_completion_seen(loop, completion);
    }
    while (loop->held != NULL) /* a user never gave it back */
        nxi_completion_seen(loop, loop->held);
}

void nxi_loop_free(nx_loop *loop)
{
    nxi_memory *memory = loop->memory;

    for (uint32_t i = 0; i < loop->op_count; i++) {
        NX_ASSERT(!loop->ops[i]->used);
        nxi_arena_fini(&loop->ops[i]->arena);
        nxi_release(memory, loop->ops[i]);
    }
    while (loop->free_completions != NULL) {
        nxi_completion *next = loop->free_completions->next;
        nxi_release(memory, loop->free_completions);
        loop->free_completions = next;
    }
    nxi_release(memory, loop->ops);
    nxi_core_close(loop->core);
    for (nx_loop **link = &thread_loops; *link != NULL; link = &(*link)->next_of_thread)
        if (*link == loop) {
            *link = loop->next_of_thread;
            break;
        }
    nxi_release(memory, loop);
    nxi_memory_free(memory);
}

/* ------------------------------------------------------------------------------ operations */

static nxi_op *slot_new(nx_loop *loop)
{
    if (loop->op_count == loop->options.ops_max) {
        nxi_fail(&loop->queue_error, NX_ELIMIT, "%u operations are queued, in flight or not seen: the loop's ops_max",
                 loop->options.ops_max);
        return NULL;
    }
    if (loop->op_count == loop->op_capacity) {
        uint32_t capacity = loop->op_capacity == 0 ? OPS_FIRST : loop->op_capacity * 2;
        nxi_op **ops = nxi_resize(loop->memory, loop->ops, capacity * sizeof(nxi_op *));
        if (ops == NULL)
            goto no_memory;
        loop->ops = ops;
        loop->op_capacity = capacity;
    }
    nxi_op *op = nxi_zalloc(loop->memory, sizeof(*op));
    if (op == NULL)
        goto no_memory;
    loop->ops[loop->op_count++] = op;
    op->slot = loop->op_count;
    op->loop = loop;
    nxi_arena_init(&op->arena, loop->memory);
    return op;

no_memory:
    nxi_fail(&loop->queue_error, NX_ENOMEM, "no memory for an operation");
    return NULL;
}

static void deadline_fired(nxi_timer *timer)
{
    nxi_op *op = NXI_CONTAINER(timer, nxi_op, deadline);

    op->stopped = NX_EDEADLINE;
    if (op->stop != NULL)
        op->stop(op, NX_EDEADLINE);
}

nxi_op *nxi_op_new(nx_loop *loop, nx_db *db, void *tag, uint32_t deadline_ms)
{
    if (loop->closing) {
        nxi_fail(&loop->queue_error, NX_ECLOSED, "the loop is being closed");
        return NULL;
    }
    nxi_op *op = loop->free_ops;
    if (op != NULL)
        loop->free_ops = op->next;
    else if ((op = slot_new(loop)) == NULL)
        return NULL;
    op->generation++;
    if (op->generation == 0)
        op->generation = 1;
    op->used = true;
    op->finished = false;
    op->next = NULL;
    op->db = db;
    op->stopped = NX_OK;
    op->stop = NULL;
    op->release = NULL;
    op->seen = NULL;
    op->context = NULL;
    op->held[0] = op->held[1] = NULL;
    op->emitted = 0;
    op->last.op = op;
    op->last.db = db;
    op->last.state = NXI_COMPLETION_IDLE;
    op->last.awaited = false;
    op->last.public = (nx_completion){ .op = { op->slot, op->generation }, .tag = tag };
    op->last.public.held = &op->last;
    op->deadline.fire = deadline_fired;
    if (deadline_ms != 0 &&
        !nxi_timer_set(loop->core, &op->deadline, nxi_core_now(loop->core) + (int64_t)deadline_ms * 1000000)) {
        op->used = false;
        op->next = loop->free_ops;
        loop->free_ops = op;
        nxi_fail(&loop->queue_error, NX_ENOMEM, "no memory for a deadline");
        return NULL;
    }
    loop->in_flight++;
    loop->made++;
    return op;
}

nxi_op *nxi_op_find(nx_loop *loop, nx_op handle)
{
    if (handle.slot == 0 || handle.slot > loop->op_count)
        return NULL;
    nxi_op *op = loop->ops[handle.slot - 1];
    return op->used && op->generation == handle.generation ? op : NULL;
}

/* ------------------------------------------------------------------------------ completions */

static void queue_completion(nx_loop *loop, nxi_completion *completion)
{
    completion->state = NXI_COMPLETION_QUEUED;
    completion->next = NULL;
    completion->previous = loop->last;
    if (loop->last == NULL)
        loop->first = completion;
    else
        loop->last->next = completion;
    loop->last = completion;
    loop->ready++;
}

void nxi_completion_take(nx_loop *loop, nxi_completion *completion)
{
    NX_ASSERT(completion->state == NXI_COMPLETION_QUEUED);
    if (completion->previous == NULL)
        loop->first = completion->next;
    else
        completion->previous->next = completion->next;
    if (completion->next == NULL)
        loop->last = completion->previous;
    else
        completion->next->previous = completion->previous;
    completion->state = NXI_COMPLETION_HELD;
    completion->previous = NULL;
    completion->next = loop->held;
    if (loop->held != NULL)
        loop->held->previous = completion;
    loop->held = completion;
    loop->ready--;
}

static void unhold(nx_loop *loop, nxi_completion *completion)
{
    if (completion->previous == NULL)
        loop->held = completion->next;
    else
        completion->previous->next = completion->next;
    if (completion->next != NULL)
        completion->next->previous = completion->previous;
    completion->next = completion->previous = NULL;
    completion->state = NXI_COMPLETION_IDLE;
}

void nxi_op_finish(nxi_op *op)
{
    if (op->finished)
        return;
    op->finished = true;
    op->loop->in_flight--;
    op->loop->completed++;
    nxi_timer_clear(op->loop->core, &op->deadline);
    queue_completion(op->loop, &op->last);
}

void nxi_op_fail(nxi_op *op, nx_status status, const nx_error *error)
{
    static const nx_error no_memory = { .status = NX_ENOMEM, .row = -1, .message = "out of memory" };
    nx_completion *public = &op->last.public;

    if (op->finished)
        return;
    public->status = status;
    public->count = 0;
    public->rows = NULL;
    public->raw = NULL;
    public->value = nx_null();
    nx_error *copy = nxi_arena_get(&op->arena, sizeof(*copy), 16);
    if (copy == NULL) {
        public->status = NX_ENOMEM;
        public->error = &no_memory;
    } else if (error != NULL) {
        *copy = *error;
        copy->status = status;
        public->error = copy;
    } else {
        nxi_fail(copy, status, "%s", nx_status_text(status));
        public->error = copy;
    }
    nxi_op_finish(op);
}

void nxi_op_failf(nxi_op *op, nx_status status, const char *format, ...)
{
    va_list arguments;
    nx_error error;

    nxi_error_reset(&error);
    va_start(arguments, format);
    (void)vsnprintf(error.message, sizeof(error.message), format, arguments);
    va_end(arguments);
    nxi_op_fail(op, status, &error);
}

bool nxi_op_emit(nxi_op *op, const nx_completion *values, nxi_arena *arena)
{
    nx_loop *loop = op->loop;
    nxi_completion *completion = loop->free_completions;

    if (completion != NULL)
        loop->free_completions = completion->next;
    else if ((completion = nxi_zalloc(loop->memory, sizeof(*completion))) == NULL)
        return false;
    completion->op = op;
    completion->db = op->db;
    completion->public = *values;
    completion->public.op = nxi_op_handle(op);
    completion->public.tag = op->last.public.tag;
    completion->public.flags = NX_MORE;
    completion->public.held = completion;
    completion->arena = *arena;
    completion->awaited = false;
    nxi_arena_init(arena, loop->memory);
    op->emitted++;
    queue_completion(loop, completion);
    return true;
}

nx_op nxi_op_refuse(nx_loop *loop, nx_db *db, void *tag, nx_status status, const nx_error *error)
{
    nxi_op *op = nxi_op_new(loop, db, tag, 0);

    if (op != NULL)
        nxi_op_fail(op, status, error);
    return nxi_op_handle(op);
}

static void op_free(nxi_op *op)
{
    if (op->release != NULL)
        op->release(op);
    nxi_arena_reset(&op->arena);
    op->used = false;
    op->next = op->loop->free_ops;
    op->loop->free_ops = op;
}

void nxi_completion_seen(nx_loop *loop, nxi_completion *completion)
{
    nxi_op *op = completion->op;

    if (completion->state == NXI_COMPLETION_QUEUED)
        nxi_completion_take(loop, completion);
    if (completion->state != NXI_COMPLETION_HELD)
        return;
    unhold(loop, completion);
    if (completion == &op->last) {
        op_free(op);
        return;
    }
    /* The operation may be over and its slot in use again: its batches outlive it. */
    if (op->used && op->generation == completion->public.op.generation) {
        op->emitted--;
        if (op->seen != NULL && !op->finished)
            op->seen(op, completion);
    }
    nxi_arena_fini(&completion->arena);
    completion->next = loop->free_completions;
    loop->free_completions = completion;
}

void nxi_ops_abort(nx_loop *loop, nx_db *db)
{
    for (uint32_t i = 0; i < loop->op_count; i++) {
        nxi_op *op = loop->ops[i];
        if (op->used && !op->finished && (db == NULL || op->db == db)) {
            op->stop = NULL;
            nxi_op_failf(op, NX_ECLOSED, "the database was closed");
        }
    }
}

void nxi_ops_release_awaited(nx_loop *loop, nx_db *db)
{
    for (nxi_completion *completion = loop->held, *next; completion != NULL; completion = next) {
        next = completion->next;
        if (completion->awaited && completion->db == db)
            nxi_completion_seen(loop, completion);
    }
}

nxi_completion *nxi_completion_of(nx_loop *loop, nxi_op *op)
{
    if (op->emitted == 0)
        return op->last.state == NXI_COMPLETION_QUEUED ? &op->last : NULL;
    for (nxi_completion *completion = loop->first; completion != NULL; completion = completion->next)
        if (completion->op == op)
            return completion;
    return NULL;
}
