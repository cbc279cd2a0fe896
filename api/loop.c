/*
 * loop - the public face of loops, operations and completions.
 */
#include "nextorm/loop.h"

#include "engine/bulk.h"
#include "engine/query.h"
#include "engine/session.h"

nx_status nx_loop_open(const nx_loop_options *options, nx_loop **ret_loop, nx_error *ret_error)
{
    if (ret_loop == NULL)
        return nxi_fail(ret_error, NX_EINVAL, "no place for the loop is given");
    return nxi_loop_new(options, NULL, ret_loop, ret_error);
}

void nx_loop_close(nx_loop *loop)
{
    if (loop == NULL)
        return;
    loop->closing = true;
    /* Databases first: their workers finish or give back whatever is in flight. */
    while (loop->databases != NULL)
        nxi_db_free(loop->databases);
    while (loop->bulks != NULL)
        nxi_bulk_free(loop->bulks);
    while (loop->sessions != NULL)
        nxi_session_free(loop->sessions->root);
    nxi_ops_abort(loop, NULL);
    nxi_queries_free(&loop->queries, true);
    nxi_ops_release_all(loop);
    nxi_queries_fini(loop);
    nxi_sessions_fini(loop);
    nxi_loop_free(loop);
}

static nx_status turn(nx_loop *loop, int64_t wait_ns)
{
    loop->made_at_turn = loop->made;
    return nxi_core_turn(loop->core, wait_ns);
}

/*
 * An application that answers each completion with new work would leave workers idle until it has seen the last one: what has
 * gathered is handed over on the way.
 */
enum { HAND_OVER_EVERY = 32 };

nx_status nx_submit(nx_loop *loop)
{
    return turn(loop, 0);
}

nx_status nx_run_once(nx_loop *loop, int64_t timeout_ms)
{
    int64_t wait_ns = timeout_ms < 0 || timeout_ms > INT64_MAX / 1000000 ? INT64_MAX : timeout_ms * 1000000;

    if (loop->ready > 0)
        wait_ns = 0;
    return turn(loop, wait_ns);
}

nx_status nx_wait(nx_loop *loop, const nx_completion **ret_completion)
{
    if (loop->first != NULL && loop->made - loop->made_at_turn >= HAND_OVER_EVERY) {
        nx_status status = turn(loop, 0);
        if (status != NX_OK)
            return status;
    }
    while (loop->first == NULL) {
        if (loop->in_flight == 0)
            return NX_ESTATE;
        nx_status status = turn(loop, INT64_MAX);
        if (status != NX_OK)
            return status;
    }
    *ret_completion = &loop->first->public;
    return NX_OK;
}

nx_status nx_wait_many(nx_loop *loop, size_t least, int64_t timeout_ms, size_t *ret_ready)
{
    int64_t until =
        timeout_ms < 0 || timeout_ms > INT64_MAX / 2000000 ? INT64_MAX : nxi_core_now(loop->core) + timeout_ms * 1000000;
    uint64_t wakes = nxi_core_wakes(loop->core);
    nx_status status = turn(loop, 0);

    while (status == NX_OK && loop->ready < least && loop->in_flight > 0 && nxi_core_wakes(loop->core) == wakes) {
        int64_t now = until == INT64_MAX ? 0 : nxi_core_now(loop->core);
        if (until != INT64_MAX && now >= until)
            break;
        status = turn(loop, until == INT64_MAX ? INT64_MAX : until - now);
    }
    *ret_ready = loop->ready;
    return status;
}

const nx_completion *nx_peek(nx_loop *loop)
{
    return loop->first == NULL ? NULL : &loop->first->public;
}

/* The library's part of a completion, unless the copy at hand is of one that was given back. */
static nxi_completion *held_of(const nx_completion *completion)
{
    nxi_completion *held = completion == NULL ? NULL : completion->held;

    if (held == NULL || held->state == NXI_COMPLETION_IDLE || held->public.op.generation != completion->op.generation ||
        held->public.op.slot != completion->op.slot)
        return NULL;
    return held;
}

void nx_seen(nx_loop *loop, const nx_completion *completion)
{
    nxi_completion *held = held_of(completion);

    if (held != NULL)
        nxi_completion_seen(loop, held);
}

static bool points_into_arena(const nx_completion *completion)
{
    switch (completion->value.type) {
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_bytes:
    case NX_TYPE_decimal:
    case NX_TYPE_json:
    case NX_TYPE_vector: return true;
    case NX_TYPE_null:
    case NX_TYPE_boolean:
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
    case NX_TYPE_u32:
    case NX_TYPE_f64:
    case NX_TYPE_date:
    case NX_TYPE_time:
    case NX_TYPE_timestamp:
    case NX_TYPE_timestamptz:
    case NX_TYPE_interval:
    case NX_TYPE_uuid:
    case NX_TYPE_ulid:
    case NX_TYPE_enumeration:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: break;
    }
    return completion->rows != NULL || completion->raw != NULL;
}

static nx_completion hand_out(nx_loop *loop, nxi_completion *completion)
{
    nx_completion copy = completion->public;

    nxi_completion_take(loop, completion);
    completion->awaited = true;
    if (copy.error != NULL) {
        loop->await_error = *copy.error;
        copy.error = &loop->await_error;
    }
    if (!points_into_arena(&copy)) {
        nxi_completion_seen(loop, completion);
        copy.held = NULL;
    }
    return copy;
}

nx_completion nx_await(nx_loop *loop, nx_op op)
{
    nxi_op *wanted = nxi_op_find(loop, op);
    nxi_completion *completion;
    nx_status status = NX_OK;

    if (wanted == NULL || wanted->last.state == NXI_COMPLETION_HELD) {
        if (op.slot == 0 && loop->queue_error.status != NX_OK) {
            loop->await_error = loop->queue_error;
            loop->queue_error.status = NX_OK;
        } else {
            nxi_fail(&loop->await_error, NX_ESTALE, "the operation was never queued, or its completion was seen already");
        }
        return (nx_completion){ .op = op, .status = loop->await_error.status, .error = &loop->await_error };
    }
    while ((completion = nxi_completion_of(loop, wanted)) == NULL && status == NX_OK)
        status = turn(loop, INT64_MAX);
    if (completion != NULL)
        return hand_out(loop, completion);
    nxi_fail(&loop->await_error, status, "the loop cannot go on: %s", nx_status_text(status));
    return (nx_completion){ .op = op, .status = status, .error = &loop->await_error };
}

nx_status nx_op_cancel(nx_loop *loop, nx_op op)
{
    nxi_op *wanted = nxi_op_find(loop, op);

    if (wanted == NULL || wanted->finished)
        return NX_ESTALE;
    wanted->stopped = NX_ECANCELED;
    if (wanted->stop != NULL)
        wanted->stop(wanted, NX_ECANCELED);
    return NX_OK;
}

nx_status nx_op_deadline(nx_loop *loop, nx_op op, uint32_t deadline_ms)
{
    nxi_op *wanted = nxi_op_find(loop, op);

    if (wanted == NULL || wanted->finished)
        return NX_ESTALE;
    return nxi_timer_set(loop->core, &wanted->deadline, nxi_core_now(loop->core) + (int64_t)deadline_ms * 1000000) ? NX_OK
                                                                                                                   : NX_ENOMEM;
}

size_t nx_in_flight(const nx_loop *loop)
{
    return loop->in_flight;
}

int nx_loop_fd(nx_loop *loop)
{
    return nxi_core_fd(loop->core);
}

void nx_wake(nx_loop *loop)
{
    nxi_core_wake(loop->core);
}

nx_loop_stats nx_loop_stats_get(const nx_loop *loop)
{
    nxi_memory_counters memory = nxi_memory_count(loop->memory);

    return (nx_loop_stats){ .turns = nxi_core_turns(loop->core),
                            .enters = nxi_core_enters(loop->core),
                            .host_allocs = memory.host_allocs,
                            .host_bytes = memory.bytes_held,
                            .ops = loop->completed };
}
