/*
 * conn - one connection of a wire driver: its bytes, and the requests whose answers are expected on it.
 *
 * Sending: requests are encoded into `out`. When no send is under way, `out` becomes `sending` and one send starts; what is
 * encoded meanwhile waits in the other buffer. Receiving never waits for sending, so that neither side can block the other.
 *
 * Answers come in the order of the requests. A request that is given up stays in the order as a tombstone, so the answers
 * behind it still meet their requests.
 *
 *   NEW --start--> OPEN --close--> CLOSING --last event--> CLOSED
 *
 * close() on a descriptor does not end what waits on it in the ring, and the kernel would go on to write into its buffers: so
 * shutdown first, then the last events, and only then may the driver close the descriptor.
 */
#include "engine/conn.h"

#include <errno.h>

enum {
    WAITING_BYTES_MAX = 1048576, /* encoded and not yet given to the kernel: beyond it, requests wait outside */
    KEEP_BYTES = 1048576         /* a buffer that grew larger than this is not kept */
};

typedef enum phase { PHASE_NEW, PHASE_OPEN, PHASE_CLOSING, PHASE_CLOSED } phase;

typedef struct expected {
    nxi_request *request; /* or its tombstone */
    uint64_t end;         /* of its bytes in the stream */
    bool given_up;
} expected;

struct nxi_conn {
    nxi_target target;
    nxi_core *core;
    const nxi_wire *wire;
    nxi_conn_owner owner;
    void *state;
    int fd;
    phase phase;
    bool is_dirty, receiving, is_sending;
    nxi_buf out, sending;
    size_t sent;             /* of `sending` */
    uint64_t encoded, given; /* bytes of the stream: put into `out`; given to the kernel, which may have sent them */
    expected *ring;
    size_t window, first, count, given_up;
    nxi_request *tombstones; /* spare ones */
};

static nxi_io *io_of(const nxi_conn *conn)
{
    return nxi_core_io(conn->core);
}

static expected *at(const nxi_conn *conn, size_t index)
{
    size_t place = conn->first + index;

    return &conn->ring[place < conn->window ? place : place - conn->window];
}

static void mark_dirty(nxi_conn *conn)
{
    if (conn->is_dirty)
        return;
    conn->is_dirty = true;
    conn->owner.dirty(conn->owner.context);
}

/* ------------------------------------------------------------------------------ its life */

static void on_event(nxi_target *target, const nxi_event *event);

nxi_conn *nxi_conn_new(nxi_core *core, const nxi_wire *wire, size_t window, const nxi_conn_owner *owner)
{
    nxi_memory *memory = nxi_core_memory(core);
    nxi_conn *conn = nxi_zalloc(memory, sizeof(*conn));
    size_t bytes;

    NX_ASSERT(window > 0);
    if (conn == NULL)
        return NULL;
    conn->core = core;
    conn->wire = wire;
    conn->owner = *owner;
    conn->window = window;
    conn->fd = -1;
    conn->target.event = on_event;
    nxi_buf_init(&conn->out, memory);
    nxi_buf_init(&conn->sending, memory);
    conn->state = nxi_zalloc(memory, nxi_max_size(wire->state_size, 1));
    conn->ring = nxi_mul_size(window, sizeof(*conn->ring), &bytes) ? nxi_zalloc(memory, bytes) : NULL;
    if (conn->state == NULL || conn->ring == NULL) {
        nxi_conn_free(conn);
        return NULL;
    }
    return conn;
}

void nxi_conn_free(nxi_conn *conn)
{
    nxi_memory *memory;

    if (conn == NULL)
        return;
    NX_ASSERT(conn->phase == PHASE_NEW || conn->phase == PHASE_CLOSED);
    NX_ASSERT(conn->count == 0);
    memory = nxi_core_memory(conn->core);
    while (conn->tombstones != NULL) {
        nxi_request *next = conn->tombstones->next;

        nxi_release(memory, conn->tombstones);
        conn->tombstones = next;
    }
    nxi_buf_fini(&conn->out);
    nxi_buf_fini(&conn->sending);
    nxi_release(memory, conn->ring);
    nxi_release(memory, conn->state);
    nxi_release(memory, conn);
}

void *nxi_conn_state(nxi_conn *conn)
{
    return conn->state;
}

nx_status nxi_conn_start(nxi_conn *conn, int fd)
{
    NX_ASSERT(conn->phase == PHASE_NEW);
    NX_ASSERT(fd >= 0);
    if (!nxi_core_attach(conn->core, &conn->target))
        return NX_ENOMEM;
    conn->fd = fd;
    conn->phase = PHASE_OPEN;
    mark_dirty(conn); /* to begin receiving */
    return NX_OK;
}

static void check_closed(nxi_conn *conn)
{
    if (conn->phase != PHASE_CLOSING || conn->receiving || conn->is_sending)
        return;
    conn->phase = PHASE_CLOSED;
    nxi_core_detach(conn->core, &conn->target);
    conn->owner.closed(conn->owner.context);
}

bool nxi_conn_is_open(const nxi_conn *conn)
{
    return conn->phase == PHASE_OPEN;
}

bool nxi_conn_is_closing(const nxi_conn *conn)
{
    return conn->phase == PHASE_CLOSING;
}

size_t nxi_conn_load(const nxi_conn *conn)
{
    return conn->count;
}

bool nxi_conn_has_room(const nxi_conn *conn)
{
    return conn->phase == PHASE_OPEN && conn->count < conn->window && conn->out.size < WAITING_BYTES_MAX;
}

bool nxi_conn_is_idle(const nxi_conn *conn)
{
    return conn->phase == PHASE_OPEN && conn->count == 0 && conn->wire->is_idle(conn->state);
}

bool nxi_conn_is_dead_weight(const nxi_conn *conn)
{
    return conn->count != 0 && conn->given_up == conn->count;
}

/* ------------------------------------------------------------------------------ requests */

static void close_without_memory(nxi_conn *conn)
{
    nx_error error;

    (void)nxi_fail(&error, NX_ENOMEM, "no memory to encode a request: the connection was closed");
    nxi_conn_close(conn, &error);
}

nx_status nxi_conn_put(nxi_conn *conn, nxi_request *request)
{
    size_t before = conn->out.size;
    nx_status status;

    NX_ASSERT(conn->phase == PHASE_OPEN && conn->count < conn->window);
    request->next = NULL;
    status = conn->wire->encode(conn->state, request, &conn->out);
    if (status != NX_OK) {
        NX_ASSERT(conn->out.size == before);
        conn->out.failed = false; /* nothing of it was left behind */
        return nxi_request_fail(request, 0, status, "the request could not be encoded");
    }
    conn->encoded += conn->out.size - before;
    *at(conn, conn->count++) = (expected){ .request = request, .end = conn->encoded };
    request->taken_ns = nxi_core_now(conn->core);
    mark_dirty(conn);
    /* Half a request in the buffer cannot be told from a whole one. */
    if (conn->out.failed)
        close_without_memory(conn);
    return NX_OK;
}

static void drop_first(nxi_conn *conn)
{
    expected *head = at(conn, 0);

    if (head->given_up) {
        head->request->next = conn->tombstones;
        conn->tombstones = head->request;
        conn->given_up--;
    }
    conn->first = conn->first + 1 == conn->window ? 0 : conn->first + 1;
    conn->count--;
}

static void sink_finished(void *context, nxi_request *request)
{
    nxi_conn *conn = context;
    bool given_up;

    NX_ASSERT(conn->count > 0 && at(conn, 0)->request == request); /* the driver's part of the contract */
    given_up = at(conn, 0)->given_up;
    drop_first(conn);
    if (given_up)
        return;
    if (request->done_ns == 0)
        request->done_ns = nxi_core_now(conn->core);
    conn->owner.finished(conn->owner.context, request);
}

/* Would its transaction have ended with it? */
static bool commits(const nxi_request *request)
{
    return request->end == NXI_END_COMMIT || (request->transaction == 0 && request->begin == NXI_BEGIN_NONE && request->writes);
}

/*
 * The answer will not be seen. A commit whose last byte the kernel has had may have happened; all else is undone by the server
 * when it misses us.
 */
static void finish_unanswered(nxi_conn *conn, const expected *which, const nx_error *error, bool transaction_lives)
{
    nxi_request *request = which->request;
    bool first = request->status == NX_OK;

    (void)nxi_request_fail(request, 0, error->status, "%s", error->message);
    if (first && nxi_request_error_is_own(request))
        *request->error = *error;
    if (commits(request))
        request->outcome = which->end <= conn->given ? NX_OUTCOME_UNKNOWN : NX_OUTCOME_ROLLED_BACK;
    else if ((request->transaction != 0 || request->end != NXI_END_NONE) && !transaction_lives)
        request->outcome = NX_OUTCOME_ROLLED_BACK;
    request->in_transaction = transaction_lives && request->transaction != 0 && request->end == NXI_END_NONE;
    if (nxi_request_error_is_own(request)) {
        request->error->outcome = request->outcome;
        request->error->retryable = request->error->status == NX_ELOST && request->outcome != NX_OUTCOME_UNKNOWN;
    }
    request->done_ns = nxi_core_now(conn->core);
    conn->owner.finished(conn->owner.context, request);
}

static nxi_request *take_tombstone(nxi_conn *conn)
{
    nxi_request *tombstone = conn->tombstones;

    if (tombstone != NULL)
        conn->tombstones = tombstone->next;
    else
        tombstone = nxi_zalloc(nxi_core_memory(conn->core), sizeof(*tombstone));
    /* Failed already, so that nothing that the driver finds wrong with the answer needs memory for an error. */
    if (tombstone != NULL)
        *tombstone = (nxi_request){ .status = NX_ECANCELED };
    return tombstone;
}

bool nxi_conn_give_up(nxi_conn *conn, nxi_request *request, nx_status why)
{
    nxi_request *tombstone = NULL;
    expected *which = NULL, before;
    nx_error error;

    for (size_t i = 0; i < conn->count && which == NULL; i++) {
        if (at(conn, i)->request == request)
            which = at(conn, i);
    }
    if (which == NULL)
        return false;
    if (conn->wire->give_up != NULL)
        tombstone = take_tombstone(conn);
    before = *which;
    (void)nxi_fail(&error, why, "%s",
                   why == NX_EDEADLINE ? "the deadline passed before the answer came" : "the operation was cancelled");
    if (tombstone != NULL) {
        conn->wire->give_up(conn->state, request, tombstone);
        which->request = tombstone;
        which->given_up = true;
        conn->given_up++;
        finish_unanswered(conn, &before, &error, true);
        return true;
    }
    /* The driver cannot do without it: its answer would be taken for another one's. */
    (void)nxi_request_fail(request, 0, why, "%s", error.message);
    (void)nxi_fail(&error, NX_ELOST, "the connection was closed because an operation on it was stopped");
    nxi_conn_close(conn, &error);
    return true;
}

/* ------------------------------------------------------------------------------ closing */

void nxi_conn_close(nxi_conn *conn, const nx_error *error)
{
    bool was_idle;

    if (conn->phase != PHASE_OPEN)
        return;
    was_idle = nxi_conn_is_idle(conn) && !conn->is_sending && conn->out.size == 0;
    conn->phase = PHASE_CLOSING;
    for (; conn->count > 0; drop_first(conn)) {
        if (!at(conn, 0)->given_up)
            finish_unanswered(conn, at(conn, 0), error, false);
    }
    nxi_io_shutdown(io_of(conn), conn->fd, !was_idle);
    check_closed(conn);
}

void nxi_conn_abandon(nxi_conn *conn)
{
    conn->receiving = false;
    if (conn->is_sending)
        NXI_IO_UNPOISON(conn->sending.data, conn->sending.size);
    conn->is_sending = false;
    check_closed(conn);
}

static void lose(nxi_conn *conn, int number)
{
    nx_error error;

    if (number == 0)
        (void)nxi_fail(&error, NX_ELOST, "the server closed the connection");
    else
        (void)nxi_fail(&error, NX_ELOST, "the connection was lost (errno %d)", number);
    error.server_code = 0;
    nxi_conn_close(conn, &error);
}

/* ------------------------------------------------------------------------------ bytes */

static void begin_send(nxi_conn *conn)
{
    nxi_buf *sending = &conn->sending;

    if (conn->is_sending)
        return;
    if (conn->sent == sending->size) {
        nxi_buf spare = *sending;

        if (conn->out.size == 0)
            return;
        nxi_buf_clear(&spare);
        *sending = conn->out;
        conn->out = spare;
        conn->sent = 0;
        conn->given += sending->size;
    }
    if (!nxi_io_send(io_of(conn), conn->fd, sending->data + conn->sent, sending->size - conn->sent,
                     nxi_target_tag(&conn->target, NXI_IO_SEND))) {
        mark_dirty(conn);
        return;
    }
    conn->is_sending = true;
    NXI_IO_POISON(sending->data, sending->size);
}

void nxi_conn_hand_over(nxi_conn *conn)
{
    conn->is_dirty = false;
    if (conn->phase != PHASE_OPEN)
        return;
    if (!conn->receiving) {
        conn->receiving = nxi_io_recv(io_of(conn), conn->fd, nxi_target_tag(&conn->target, NXI_IO_RECV));
        if (!conn->receiving)
            mark_dirty(conn);
    }
    begin_send(conn);
}

static void on_sent(nxi_conn *conn, int32_t result)
{
    nxi_buf *sending = &conn->sending;

    conn->is_sending = false;
    NXI_IO_UNPOISON(sending->data, sending->size);
    if (conn->phase != PHASE_OPEN)
        return;
    if (result <= 0 && result != -EAGAIN && result != -EINTR) {
        lose(conn, -result);
        return;
    }
    if (result > 0) {
        NX_ASSERT((size_t)result <= sending->size - conn->sent);
        conn->sent += (size_t)result;
    }
    if (conn->sent == sending->size) {
        if (sending->capacity > KEEP_BYTES)
            nxi_buf_fini(sending);
        nxi_buf_clear(sending);
        conn->sent = 0;
    }
    if (sending->size != 0 || conn->out.size != 0)
        mark_dirty(conn);
}

static void on_bytes(nxi_conn *conn, const uint8_t *data, size_t size)
{
    nxi_sink sink = { .finished = sink_finished, .context = conn };
    nx_error error;

    nxi_error_reset(&error);
    if (conn->wire->decode(conn->state, data, size, &sink, &error) == NX_OK)
        return;
    if (error.status == NX_OK)
        (void)nxi_fail(&error, NX_EPROTOCOL, "the server sent something that is not its protocol");
    nxi_conn_close(conn, &error);
}

static void on_received(nxi_conn *conn, const nxi_event *event)
{
    conn->receiving = event->more;
    if (conn->phase == PHASE_OPEN && event->result > 0)
        on_bytes(conn, event->data, (size_t)event->result);
    if (event->buffer != NXI_IO_NO_BUFFER)
        nxi_io_give_back(io_of(conn), event->buffer);
    if (conn->phase != PHASE_OPEN)
        return;
    /* Out of buffers, or out of luck: the turn gives buffers back, so it begins again with the next one. */
    if (event->result <= 0 && event->result != -ENOBUFS && event->result != -EAGAIN && event->result != -EINTR)
        lose(conn, -event->result);
    else if (!conn->receiving)
        mark_dirty(conn);
}

static void on_event(nxi_target *target, const nxi_event *event)
{
    nxi_conn *conn = NXI_CONTAINER(target, nxi_conn, target);

    if (nxi_io_tag_kind(event->tag) == NXI_IO_RECV)
        on_received(conn, event);
    else
        on_sent(conn, event->result);
    check_closed(conn);
}
