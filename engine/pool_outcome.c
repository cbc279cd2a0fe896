/*
 * pool_outcome - a connection was lost behind a commit: ask on another one what became of it.
 *
 *   RESTS --its time comes--> ASKS --answered--> the request is over, its outcome known
 *     ^                         |
 *     +------ no answer --------+      limit, deadline, cancel, close: over, its outcome unknown
 *
 * Asking is putting a fence (engine/token.h). Where the transaction is still under way the server makes the fence wait for its
 * end. An answer that is lost, a connection that cannot be made, a timeout of the server: ask again, later each time; putting
 * the same fence twice gives the same answer. The request stays submitted all the while, so that the pool does not close under
 * it.
 */
#include "engine/pool_kind.h"

#include "engine/token.h"

#include <stdio.h>

enum {
    LIMIT_MS = 30000, /* an operation without a deadline waits no longer for its outcome */
    REST_MS = 10,     /* doubled each time */
    REST_MAX_MS = 1000
};

struct nxi_inquiry {
    nxi_inquiry *next;
    nxi_pool *pool;
    nxi_request *subject; /* not over yet */
    nxi_request request;  /* puts the fence */
    nxi_step step;
    nx_value id;
    nxi_arena arena; /* of the request */
    nxi_timer timer; /* the end of the rest, or the limit */
    int64_t limit_ns;
    int64_t rest_ns; /* the next one */
    bool asks, is_due;
};

typedef enum verdict { NOT_KNOWN, COMMITTED, NOT_COMMITTED } verdict;

/* ------------------------------------------------------------------------------ what the request comes to */

/* What the answer would have said is known without it. */
static bool says_nothing_new(const nxi_step *step)
{
    const nxi_write_form *write = step->statement == NULL ? NULL : step->statement->write;
    bool changes_some = write != NULL && write->verb != NXI_WRITE_VERB_INSERT;

    switch (step->kind) {
    case NXI_STEP_WRITE:
        if (write == NULL || (changes_some && !step->must_affect))
            return false;
        return changes_some || (write->rule == NX_CONFLICT_ERROR && (step->statement->key_column == NULL || step->keys_unread));
    case NXI_STEP_SCRIPT:
    case NXI_STEP_SAVEPOINT:
    case NXI_STEP_RELEASE:
    case NXI_STEP_ROLLBACK_TO:
    case NXI_STEP_CURSOR_CLOSE: return true;
    case NXI_STEP_EXECUTE:
    case NXI_STEP_FETCH:
    case NXI_STEP_SCALAR:
    case NXI_STEP_RAW:
    case NXI_STEP_CURSOR_OPEN:
    case NXI_STEP_CURSOR_FETCH: break;
    }
    return false;
}

/* All but the last step, which put the token. */
static bool is_whole(const nxi_request *request)
{
    for (size_t i = request->answered; i + 1 < request->step_count; i++) {
        if (!says_nothing_new(&request->steps[i]))
            return false;
    }
    return true;
}

static void set_error(nxi_request *request, nx_outcome outcome, bool retryable, const char *what)
{
    nx_error *error = request->error;
    char message[sizeof(error->message)];

    request->outcome = outcome;
    if (!nxi_request_error_is_own(request))
        return;
    memcpy(message, error->message, sizeof(message));
    (void)snprintf(error->message, sizeof(error->message), "%.300s; %s", message, what);
    error->outcome = outcome;
    error->retryable = retryable;
}

static void set_committed(nxi_request *request)
{
    if (!is_whole(request)) {
        set_error(request, NX_OUTCOME_COMMITTED, false,
                  "its transaction is committed, but what it returned (keys, counts, rows) was lost");
        return;
    }
    for (size_t i = request->answered; i + 1 < request->step_count; i++) {
        if (request->steps[i].kind == NXI_STEP_WRITE)
            request->steps[i].affected = (int64_t)request->steps[i].row_count;
    }
    request->status = NX_OK;
    request->error = NULL;
    request->failed_step = 0;
    request->outcome = NX_OUTCOME_COMMITTED;
}

/* ------------------------------------------------------------------------------ the life of an inquiry */

static void be_due(nxi_inquiry *q)
{
    q->is_due = true;
    q->pool->inquiries_due++;
}

static void conclude(nxi_inquiry *q, verdict found)
{
    nxi_pool *pool = q->pool;
    nxi_request *subject = q->subject;

    NX_ASSERT(!q->asks);
    for (nxi_inquiry **link = &pool->inquiries; *link != NULL; link = &(*link)->next) {
        if (*link == q) {
            *link = q->next;
            break;
        }
    }
    pool->inquiries_due -= q->is_due ? 1 : 0;
    subject->outcome_found = found != NOT_KNOWN;
    nxi_timer_clear(pool->core, &q->timer);
    nxi_arena_fini(&q->arena);
    nxi_release(pool->memory, q);
    if (found == COMMITTED)
        set_committed(subject);
    else if (found == NOT_COMMITTED)
        set_error(subject, NX_OUTCOME_ROLLED_BACK, true, "its transaction was not committed");
    else
        set_error(subject, NX_OUTCOME_UNKNOWN, false, "whether its transaction was committed could not be found out");
    nxi_pool_finish(pool, subject);
}

static bool is_given_up(const nxi_inquiry *q)
{
    return q->pool->freeing || atomic_load_explicit(&q->subject->stop, memory_order_relaxed) != NX_OK ||
           nxi_core_now(q->pool->core) >= q->limit_ns;
}

static void rest(nxi_inquiry *q)
{
    int64_t until = nxi_core_now(q->pool->core) + q->rest_ns;

    q->rest_ns = q->rest_ns * 2 < INT64_C(1000000) * REST_MAX_MS ? q->rest_ns * 2 : INT64_C(1000000) * REST_MAX_MS;
    if (!nxi_timer_set(q->pool->core, &q->timer, until < q->limit_ns ? until : q->limit_ns))
        conclude(q, NOT_KNOWN);
}

/* The value is a boolean, or what a database has in its place. */
static bool read_answer(const nx_value *value, verdict *ret_found)
{
    if (value->type != NX_TYPE_boolean && value->type != NX_TYPE_i64)
        return false;
    *ret_found = (value->type == NX_TYPE_boolean ? value->boolean : value->i64 != 0) ? NOT_COMMITTED : COMMITTED;
    return true;
}

/* Nothing that time will mend: the table or the right to write is gone, or it is not the table that we made. */
static bool is_final(nx_status status)
{
    return status == NX_EUNDEFINED || status == NX_EPERMISSION || status == NX_EAUTH || status == NX_EINVAL ||
           status == NX_EUNSUPPORTED || status == NX_ETYPE || status == NX_ECLOSED;
}

static void answered(nxi_request *request)
{
    nxi_inquiry *q = request->context;
    verdict found = NOT_KNOWN;

    q->asks = false;
    if (request->status == NX_OK && read_answer(&q->step.scalar, &found))
        conclude(q, found);
    else if (request->status == NX_OK || is_final(request->status) || is_given_up(q))
        conclude(q, NOT_KNOWN);
    else
        rest(q);
}

static void ask(nxi_inquiry *q)
{
    nxi_pool *pool = q->pool;

    pool->inquiries_due--;
    q->is_due = false;
    if (is_given_up(q) || !nxi_timer_set(pool->core, &q->timer, q->limit_ns)) {
        conclude(q, NOT_KNOWN);
        return;
    }
    nxi_arena_reset(&q->arena);
    q->asks = true;
    q->step = (nxi_step){ .kind = NXI_STEP_SCALAR, .statement = q->subject->token->fence, .values = &q->id, .value_count = 1 };
    q->request = (nxi_request){ .steps = &q->step,
                                .step_count = 1,
                                .writes = true,
                                .deadline_ns = q->limit_ns,
                                .queued_ns = nxi_core_now(pool->core),
                                .arena = &q->arena,
                                .done = answered,
                                .context = q };
    /* Not by nxi_pool_submit: a pool that is to be closed waits for this one. */
    pool->submitted++;
    pool->kind->submit(pool, &q->request);
}

static void timer_fired(nxi_timer *timer)
{
    nxi_inquiry *q = NXI_CONTAINER(timer, nxi_inquiry, timer);

    if (q->asks)
        nxi_pool_stop(q->pool, &q->request, NX_EDEADLINE);
    else
        be_due(q);
}

/* ------------------------------------------------------------------------------ for the pool */

bool nxi_outcome_seek(nxi_pool *pool, nxi_request *request)
{
    int64_t now = nxi_core_now(pool->core);
    nxi_inquiry *q;

    if (request->outcome != NX_OUTCOME_UNKNOWN || request->token == NULL || pool->freeing ||
        atomic_load_explicit(&request->stop, memory_order_relaxed) != NX_OK)
        return false;
    q = nxi_zalloc(pool->memory, sizeof(*q));
    if (q == NULL)
        return false;
    q->pool = pool;
    q->subject = request;
    q->id = request->token->id;
    q->timer.fire = timer_fired;
    q->rest_ns = INT64_C(1000000) * REST_MS;
    q->limit_ns = request->deadline_ns != 0 ? request->deadline_ns : now + INT64_C(1000000) * LIMIT_MS;
    nxi_arena_init(&q->arena, pool->memory);
    q->next = pool->inquiries;
    pool->inquiries = q;
    be_due(q);
    return true;
}

void nxi_outcome_turn(nxi_pool *pool)
{
    for (nxi_inquiry *q = pool->inquiries, *next; q != NULL; q = next) {
        next = q->next;
        if (q->is_due)
            ask(q);
    }
}

bool nxi_outcome_stop(nxi_pool *pool, const nxi_request *request, nx_status why)
{
    nxi_inquiry *q = pool->inquiries;

    while (q != NULL && q->subject != request)
        q = q->next;
    if (q == NULL)
        return false;
    if (q->asks)
        nxi_pool_stop(pool, &q->request, why);
    else
        conclude(q, NOT_KNOWN);
    return true;
}

void nxi_outcome_abandon(nxi_pool *pool)
{
    for (nxi_inquiry *q = pool->inquiries, *next; q != NULL; q = next) {
        next = q->next;
        if (!q->asks)
            conclude(q, NOT_KNOWN); /* the others when their request is refused */
    }
}
