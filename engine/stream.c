/*
 * stream - a query's rows in batches, as fast as the application gives them back.
 *
 * A cursor at the provider is read batch by batch; the next batch is asked for while fewer bytes are held than the
 * credit allows. A paused stream holds nothing but its cursor.
 */
#include "engine/query.h"
#include "engine/session.h"

typedef struct stream {
    nx_query *query;
    nxi_op *op;
    nx_stream_options options;
    nxi_arena arena; /* of the batch that is being read */
    uint64_t cursor;
    uint64_t held_bytes;
    uint32_t held; /* batches */
    int64_t rows;
    const nxi_step *open;
    nxi_call *again;      /* of all batches but the first */
    uint64_t transaction; /* that the cursor was opened in; 0: none */
    bool apart;           /* the transaction is the stream's own */
    bool owns;            /* and it is open: it ends with the stream */
    nx_status status;     /* why it fails, kept while its transaction is ended */
    nx_error *error;
    bool in_turn; /* until the cursor is open the stream holds its session's turn */
    bool opened, ended, busy, closing;
} stream;

enum { BATCH_ROWS_DEFAULT = 1024, CREDIT_DEFAULT = 4 * 1024 * 1024 };

static void read_on(stream *st);

static void end_turn(stream *st)
{
    if (!st->in_turn)
        return;
    st->in_turn = false;
    nxi_session_leave(st->query->session);
}

static void complete_stream(stream *st)
{
    nxi_arena_fini(&st->arena);
    if (st->op->stopped != NX_OK && !st->ended)
        nxi_op_failf(st->op, st->op->stopped, "the stream was stopped: %s", nx_status_text(st->op->stopped));
    else
        nxi_op_finish(st->op);
    end_turn(st);
}

static void complete_badly(stream *st, nx_status status, const nx_error *error)
{
    nxi_op_fail(st->op, status, error);
    nxi_arena_fini(&st->arena);
    end_turn(st);
}

/* Whatever its end came to, nothing was written in it. */
static void transaction_ended(nxi_call *call)
{
    stream *st = call->context;

    if (st->status != NX_OK)
        complete_badly(st, st->status, st->error);
    else
        complete_stream(st);
}

/* End the stream's own transaction first. False: there is none, or no way to. */
static bool end_transaction(stream *st)
{
    nxi_call *call;

    if (!st->owns || st->query->db == NULL)
        return false;
    st->owns = false;
    call = nxi_call_new(st->op, st->query->db, 0, transaction_ended);
    if (call == NULL)
        return false;
    call->context = st;
    call->request.transaction = st->transaction;
    call->request.end = NXI_END_ROLLBACK;
    st->closing = true;
    /* It is not stopped by what stopped the stream. */
    nx_status stopped = st->op->stopped;
    st->op->stopped = NX_OK;
    nxi_timer_clear(st->op->loop->core, &st->op->deadline);
    nxi_call_submit(call);
    st->op->stopped = stopped;
    st->op->stop = NULL;
    return true;
}

static void finish_stream(stream *st)
{
    if (!end_transaction(st))
        complete_stream(st);
}

static void fail_stream(stream *st, nx_status status, const nx_error *error)
{
    st->status = status;
    st->error = error == NULL ? NULL : nxi_arena_copy(&st->op->arena, error, sizeof(*error));
    if (!end_transaction(st))
        complete_badly(st, status, error);
}

/* Which transaction the next request belongs to; false: the stream is over, because the one that it read in is. */
static bool attach(stream *st, nxi_call *call)
{
    nx_session *s = st->query->session;
    nx_error error;
    nx_status status = st->query->db == NULL ? nxi_fail(&error, NX_ECLOSED, "the database of the query was freed")
                                             : nxi_db_check(st->query->db, false, &error);

    if (status != NX_OK) {
        fail_stream(st, status, &error);
        return false;
    }
    if (!st->opened && s != NULL) {
        status = nxi_session_attach(s, call, false, &error);
        if (status != NX_OK) {
            fail_stream(st, status, &error);
            return false;
        }
        st->transaction = call->request.transaction;
    }
    /* A cursor of a server lives in a transaction. */
    if (!st->opened && st->transaction == 0 && st->query->db->driver->wire != NULL) {
        st->transaction = ++st->op->loop->last_transaction;
        st->apart = st->owns = true;
        call->request.begin = NXI_BEGIN_SNAPSHOT;
    }
    call->request.transaction = st->transaction;
    if (!st->opened || st->apart || st->transaction == 0 || (s != NULL && nxi_session_has_transaction(s, st->transaction)))
        return true;
    nxi_fail(&error, NX_ESTATE, "the transaction that the stream reads in is over");
    fail_stream(st, NX_ESTATE, &error);
    return false;
}

static void cursor_closed(nxi_call *call)
{
    stream *st = call->context;

    (void)call;
    finish_stream(st);
}

/* A stopped stream still has to close its cursor; its last completion comes after that. */
static void close_cursor(stream *st)
{
    if (end_transaction(st))
        return; /* the cursor ends with it */
    nxi_call *call = nxi_call_new(st->op, st->query->db, 1, cursor_closed);

    if (call == NULL) {
        finish_stream(st);
        return;
    }
    st->closing = true;
    call->context = st;
    call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_CURSOR_CLOSE, .cursor = st->cursor };
    if (!attach(st, call))
        return;
    nx_status stopped = st->op->stopped;
    st->op->stopped = NX_OK; /* closing is not stopped by what stopped the stream */
    nxi_timer_clear(st->op->loop->core, &st->op->deadline);
    nxi_call_submit(call);
    st->op->stopped = stopped;
    st->op->stop = NULL;
}

static void stream_stop(nxi_op *op, nx_status why)
{
    stream *st = op->context;

    op->stopped = why;
    if (!st->busy && !st->closing)
        close_cursor(st);
}

/* Between requests the stream itself can be stopped. */
static void pause_stream(stream *st)
{
    st->op->context = st;
    st->op->stop = stream_stop;
}

static void batch_read(nxi_call *call)
{
    stream *st = call->context;
    const nxi_request *request = &call->request;
    const nxi_step *step = &request->steps[request->step_count - 1];

    st->busy = false;
    if (st->query->session != NULL && st->transaction != 0 && !st->apart)
        nxi_session_answered(st->query->session, call);
    if (st->owns && !request->in_transaction)
        st->owns = false; /* it failed before it began, or was lost */
    if (request->status != NX_OK) {
        fail_stream(st, request->status, request->error);
        return;
    }
    st->opened = true;
    end_turn(st);
    st->ended = step->cursor_ended;
    st->rows += step->affected;
    if (st->op->stopped != NX_OK) {
        if (st->ended)
            finish_stream(st);
        else
            close_cursor(st);
        return;
    }
    if (step->affected > 0) {
        nx_completion values = { .count = step->affected, .rows = step->fetched };
        st->held_bytes += st->arena.bytes;
        st->held++;
        if (!nxi_op_emit(st->op, &values, &st->arena)) {
            st->op->stopped = NX_ENOMEM;
            close_cursor(st);
            return;
        }
    }
    if (st->ended)
        finish_stream(st);
    else
        read_on(st);
}

/* The request for the next batch: one call serves all but the first, so that a long stream needs no more memory. */
static nxi_call *next_call(stream *st)
{
    nxi_call *call = st->again;

    if (!st->opened)
        return nxi_call_new(st->op, st->query->db, 2, batch_read);
    if (call == NULL) {
        st->again = nxi_call_new(st->op, st->query->db, 1, batch_read);
        return st->again;
    }
    nxi_step *steps = call->request.steps;
    void (*done)(nxi_request * request) = call->request.done;
    memset(steps, 0, sizeof(*steps));
    memset(&call->request, 0, sizeof(call->request));
    call->request.steps = steps;
    call->request.step_count = 1;
    call->request.done = done;
    return call;
}

static void read_on(stream *st)
{
    pause_stream(st);
    if (st->held > 0 && st->held_bytes >= st->options.credit_bytes)
        return;
    nxi_call *call = next_call(st);
    if (call == NULL) {
        st->op->stopped = NX_ENOMEM;
        if (!st->opened)
            fail_stream(st, NX_ENOMEM, NULL);
        else
            close_cursor(st);
        return;
    }
    nxi_step *step = call->request.steps;
    if (!st->opened)
        *step++ = *st->open;
    *step = (nxi_step){
        .kind = NXI_STEP_CURSOR_FETCH, .cursor = st->cursor, .statement = st->open->statement, .row_limit = st->options.batch_rows
    };
    call->context = st;
    call->request.arena = &st->arena;
    if (!attach(st, call))
        return;
    st->busy = true;
    nxi_call_submit(call);
}

static void batch_seen(nxi_op *op, nxi_completion *completion)
{
    union {
        const void *constant;
        stream *st;
    } held = { .constant = op->held[1] };
    stream *st = held.st;

    st->held_bytes -= completion->arena.bytes;
    st->held--;
    if (!st->busy && !st->closing && !st->ended)
        read_on(st);
}

static void start_stream(nxi_op *op, void *context)
{
    stream *st = context;
    nx_query *q = st->query;
    nxi_bound bound;
    nx_error error;

    if (q->db == NULL) {
        nxi_fail(&error, NX_ECLOSED, "the database of the query was freed");
        fail_stream(st, NX_ECLOSED, &error);
        return;
    }
    nx_status status = nxi_select_bind(&q->select, NXI_VERB_FETCH, (nx_column){ .field = UINT16_MAX }, NULL, 0,
                                       q->db->driver->dialect, &q->db->statements, &op->arena, &bound, &error);
    nxi_step *open = NXI_ARENA_NEW(&op->arena, nxi_step);
    if (status != NX_OK || open == NULL) {
        fail_stream(st, status != NX_OK ? status : NX_ENOMEM, status != NX_OK ? &error : NULL);
        return;
    }
    st->cursor = ++op->loop->last_cursor;
    *open = (nxi_step){ .kind = NXI_STEP_CURSOR_OPEN,
                        .cursor = st->cursor,
                        .statement = bound.statement,
                        .values = bound.values,
                        .value_count = bound.count };
    st->open = open;
    read_on(st);
}

nx_op nxi_query_stream(nx_query *q, const nx_stream_options *options, void *tag)
{
    nx_op handle;
    nxi_op *op = nxi_query_take(q, tag, &handle);
    stream *st = op == NULL ? NULL : NXI_ARENA_NEW(&op->arena, stream);

    if (op == NULL)
        return handle;
    if (st == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return handle;
    }
    st->query = q;
    st->op = op;
    if (options != NULL)
        st->options = *options;
    if (st->options.batch_rows == 0)
        st->options.batch_rows = BATCH_ROWS_DEFAULT;
    if (st->options.credit_bytes == 0)
        st->options.credit_bytes = CREDIT_DEFAULT;
    st->in_turn = q->session != NULL;
    nxi_arena_init(&st->arena, op->loop->memory);
    op->held[1] = st;
    op->seen = batch_seen;
    if (q->session == NULL)
        start_stream(op, st);
    else
        nxi_session_enter(op, &(nxi_turn){ .session = q->session,
                                           .shared = true,
                                           .sees = { .db = q->session->options.no_auto_flush ? NULL : q->db,
                                                     .select = &q->select },
                                           .start = start_stream,
                                           .context = st });
    return handle;
}
