/*
 * conn - one connection of a wire driver: its bytes, and the requests whose answers are expected on it.
 *
 * Sending: the driver fills `out` when a turn ends. When no send is under way, `out` (through the filter, if there is one)
 * becomes `sending` and one send starts; a driver that has more than fits fills `out` again meanwhile. Receiving never waits for
 * sending, so that neither side can block the other.
 *
 * A request that is given up leaves a tombstone with the driver, so that the answers behind it still meet their requests.
 *
 *   NEW --start--> OPEN --close--> CLOSING --last event--> CLOSED
 *
 * close() on a descriptor does not end what waits on it in the ring, and the kernel would go on to write into its buffers: so
 * shutdown first, then the last events, and only then may the driver close the descriptor.
 */
#include "engine/conn.h"

#include <errno.h>

enum {
    FILL_BYTES = 262144, /* messages that are made before they are sent; more wait as requests */
    KEEP_BYTES = 1048576 /* a buffer that grew larger than this is not kept */
};

typedef enum phase { PHASE_NEW, PHASE_OPEN, PHASE_CLOSING, PHASE_CLOSED } phase;

struct nxi_conn {
    nxi_target target;
    nxi_core *core;
    const nxi_wire *wire;
    nxi_conn_owner owner;
    void *state;
    nxi_filter *filter; /* NULL: none */
    int fd;
    phase phase;
    bool is_dirty, receiving, is_sending;
    bool has_more; /* the driver was stopped by FILL_BYTES */
    nxi_buf out, sending;
    nxi_buf plain;             /* filter: what was received */
    size_t sent;               /* of `sending` */
    uint64_t filled, given;    /* bytes of the driver's stream: put into `out`; given to the kernel, which may have sent them */
    nxi_request *first, *last; /* in flight, and tombstones */
    size_t window, count, given_up;
    nxi_request *tombstones; /* spare ones */
};

static nxi_io *io_of(const nxi_conn *conn)
{
    return nxi_core_io(conn->core);
}

/* Tombstones are marked by the lane, which no request in flight here uses. */
static bool is_tombstone(const nxi_conn *conn, const nxi_request *request)
{
    return request->lane == conn;
}

static void list_append(nxi_conn *conn, nxi_request *request)
{
    request->conn_next = NULL;
    request->conn_previous = conn->last;
    if (conn->last != NULL)
        conn->last->conn_next = request;
    else
        conn->first = request;
    conn->last = request;
    conn->count++;
}

static void list_remove(nxi_conn *conn, nxi_request *request)
{
    if (request->conn_previous != NULL)
        request->conn_previous->conn_next = request->conn_next;
    else
        conn->first = request->conn_next;
    if (request->conn_next != NULL)
        request->conn_next->conn_previous = request->conn_previous;
    else
        conn->last = request->conn_previous;
    request->conn_next = request->conn_previous = NULL;
    conn->count--;
}

static bool list_holds(const nxi_conn *conn, const nxi_request *request)
{
    const nxi_request *at = conn->first;

    while (at != NULL && at != request)
        at = at->conn_next;
    return at != NULL;
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
    nxi_buf_init(&conn->plain, memory);
    conn->state = nxi_zalloc(memory, nxi_max_size(wire->state_size, 1));
    if (conn->state == NULL) {
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
    nxi_buf_fini(&conn->plain);
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
    conn->filter = conn->wire->filter == NULL ? NULL : conn->wire->filter(conn->state);
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
    return conn->phase == PHASE_OPEN && conn->count < conn->window;
}

bool nxi_conn_is_idle(const nxi_conn *conn)
{
    return conn->phase == PHASE_OPEN && conn->count == 0 && conn->wire->is_idle(conn->state);
}

bool nxi_conn_has_given_up(const nxi_conn *conn)
{
    return conn->given_up > 0;
}

bool nxi_conn_is_dead_weight(const nxi_conn *conn)
{
    return conn->count != 0 && conn->given_up == conn->count;
}

/* ------------------------------------------------------------------------------ requests */

nx_status nxi_conn_put(nxi_conn *conn, nxi_request *request)
{
    nx_status status;

    NX_ASSERT(conn->phase == PHASE_OPEN && conn->count < conn->window);
    request->next = NULL;
    request->lane = NULL;
    request->commit_position = 0;
    request->taken_ns = nxi_core_now(conn->core);
    status = conn->wire->put(conn->state, request);
    if (status != NX_OK) {
        (void)nxi_request_fail(request, 0, status, "the request could not be taken");
        return status;
    }
    list_append(conn, request);
    mark_dirty(conn);
    return NX_OK;
}

static void sink_finished(void *context, nxi_request *request)
{
    nxi_conn *conn = context;

    NX_DIAG(list_holds(conn, request)); /* the driver's part of the contract */
    list_remove(conn, request);
    if (is_tombstone(conn, request)) {
        request->next = conn->tombstones;
        conn->tombstones = request;
        conn->given_up--;
        return;
    }
    if (request->done_ns == 0)
        request->done_ns = nxi_core_now(conn->core);
    conn->owner.finished(conn->owner.context, request);
}

static void sink_notified(void *context, nx_text channel, nx_text payload)
{
    nxi_conn *conn = context;

    if (conn->owner.notified != NULL)
        conn->owner.notified(conn->owner.context, channel, payload);
}

/*
 * The answer will not be seen. A commit that is on its way may happen: on a connection that goes on, as soon as it is in
 * `out`; on one that ends, when the kernel has had it. All else is undone by the driver, or by the server when it misses us.
 */
static void finish_unanswered(nxi_conn *conn, nxi_request *request, const nx_error *error, bool transaction_lives)
{
    bool first = request->status == NX_OK;
    bool was_given = request->commit_position != 0 && (conn->phase == PHASE_OPEN || request->commit_position <= conn->given);

    request->answered = request->token == NULL || conn->wire->answered == NULL || conn->phase != PHASE_CLOSING
                            ? 0
                            : conn->wire->answered(conn->state, request);
    if (request->end != NXI_END_ROLLBACK) /* that one has what it wants */
        (void)nxi_request_fail(request, 0, error->status, "%s", error->message);
    if (first && nxi_request_error_is_own(request))
        *request->error = *error;
    request->steps_done = 0;
    if (nxi_request_commits(request))
        request->outcome = was_given ? NX_OUTCOME_UNKNOWN : NX_OUTCOME_ROLLED_BACK;
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
        *tombstone = (nxi_request){ .status = NX_ECANCELED, .lane = conn };
    return tombstone;
}

bool nxi_conn_give_up(nxi_conn *conn, nxi_request *request, nx_status why)
{
    nxi_request *tombstone = NULL;
    nx_error error;

    if (!list_holds(conn, request))
        return false;
    if (conn->wire->give_up != NULL)
        tombstone = take_tombstone(conn);
    (void)nxi_fail(&error, why, "%s",
                   why == NX_EDEADLINE ? "the deadline passed before the answer came" : "the operation was cancelled");
    if (tombstone != NULL) {
        bool lives = true;

        list_remove(conn, request);
        if (conn->wire->give_up(conn->state, request, tombstone)) {
            list_append(conn, tombstone);
            conn->given_up++;
        } else {
            tombstone->next = conn->tombstones;
            conn->tombstones = tombstone;
            lives = request->begin == NXI_BEGIN_NONE; /* else it has not begun */
        }
        finish_unanswered(conn, request, &error, lives);
        mark_dirty(conn);
        return true;
    }
    /* The driver cannot do without it: its answer would be taken for another one's. */
    (void)nxi_request_fail(request, 0, why, "%s", error.message);
    (void)nxi_fail(&error, NX_ELOST, "the connection was closed because an operation on it was stopped");
    nxi_conn_close(conn, &error);
    return true;
}

void nxi_conn_settle(nxi_conn *conn)
{
    if (conn->phase != PHASE_OPEN)
        return;
    conn->wire->settle(conn->state);
    mark_dirty(conn);
}

void nxi_conn_ping(nxi_conn *conn)
{
    if (conn->phase != PHASE_OPEN)
        return;
    conn->wire->ping(conn->state);
    mark_dirty(conn);
}

/* ------------------------------------------------------------------------------ closing */

void nxi_conn_close(nxi_conn *conn, const nx_error *error)
{
    bool was_idle;

    if (conn->phase != PHASE_OPEN)
        return;
    was_idle = nxi_conn_is_idle(conn) && !conn->is_sending && conn->out.size == 0;
    conn->phase = PHASE_CLOSING;
    for (nxi_request *request; (request = conn->first) != NULL;) {
        list_remove(conn, request);
        if (is_tombstone(conn, request)) {
            request->next = conn->tombstones;
            conn->tombstones = request;
        } else {
            finish_unanswered(conn, request, error, false);
        }
    }
    conn->given_up = 0;
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

static void close_without_memory(nxi_conn *conn)
{
    nx_error error;

    (void)nxi_fail(&error, NX_ENOMEM, "no memory for the messages of a connection: it was closed");
    nxi_conn_close(conn, &error);
}

/* False: the connection was closed. */
static bool fill(nxi_conn *conn)
{
    size_t before = conn->out.size;

    if (before >= FILL_BYTES)
        return true;
    conn->has_more = conn->wire->fill(conn->state, &conn->out, FILL_BYTES, conn->filled);
    if (conn->out.failed) {
        close_without_memory(conn);
        return false;
    }
    NX_ASSERT(conn->out.size >= before);
    conn->filled += conn->out.size - before;
    return true;
}

/* What was filled becomes what is sent. False: the connection was closed. */
static bool turn_over(nxi_conn *conn)
{
    nxi_buf *sending = &conn->sending;
    nx_error error;

    nxi_buf_clear(sending);
    conn->sent = 0;
    if (conn->filter == NULL) {
        nxi_buf spare = *sending;

        *sending = conn->out;
        conn->out = spare;
    } else {
        nxi_error_reset(&error);
        if (conn->filter->seal(conn->filter, conn->out.data, conn->out.size, sending, &error) != NX_OK) {
            nxi_conn_close(conn, &error);
            return false;
        }
        if (conn->out.capacity > KEEP_BYTES)
            nxi_buf_fini(&conn->out);
        nxi_buf_clear(&conn->out);
    }
    conn->given = conn->filled;
    return true;
}

static void begin_send(nxi_conn *conn)
{
    nxi_buf *sending = &conn->sending;

    if ((conn->has_more || !conn->is_sending) && !fill(conn))
        return;
    if (conn->is_sending)
        return;
    if (conn->sent == sending->size && !turn_over(conn))
        return;
    if (conn->sent == sending->size)
        return;
    if (!nxi_io_send(io_of(conn), conn->fd, sending->data + conn->sent, sending->size - conn->sent,
                     nxi_target_tag(&conn->target, NXI_IO_SEND))) {
        mark_dirty(conn);
        return;
    }
    conn->is_sending = true;
    NXI_IO_POISON(sending->data, sending->size);
    if (conn->has_more)
        mark_dirty(conn); /* the next piece is made while this one is sent */
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
    mark_dirty(conn); /* the rest of it, or what became due meanwhile */
}

static nx_status take_bytes(nxi_conn *conn, const uint8_t *data, size_t size, nx_error *error)
{
    nxi_sink sink = { .finished = sink_finished, .notified = sink_notified, .context = conn };
    nx_error dropped;
    nx_status status;

    if (conn->filter == NULL)
        return conn->wire->decode(conn->state, data, size, &sink, error);
    nxi_buf_clear(&conn->plain);
    status = conn->filter->unseal(conn->filter, data, size, &conn->plain, error);
    if (status == NX_OK && conn->plain.failed)
        status = nxi_fail(error, NX_ENOMEM, "no memory for what was received");
    /* What came before the end of the secured stream counts. */
    if (conn->plain.size > 0 && !conn->plain.failed) {
        nx_status decoded = conn->wire->decode(conn->state, (const uint8_t *)conn->plain.data, conn->plain.size, &sink,
                                               status == NX_OK ? error : &dropped);
        status = status == NX_OK ? decoded : status;
    }
    return status;
}

static void on_bytes(nxi_conn *conn, const uint8_t *data, size_t size)
{
    nx_error error;

    nxi_error_reset(&error);
    if (take_bytes(conn, data, size, &error) == NX_OK) {
        if (conn->phase == PHASE_OPEN)
            mark_dirty(conn); /* the driver may have something to say to it */
        return;
    }
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
