/*
 * fake_wire - a wire driver with a small protocol of its own, and what a server needs to answer it.
 */
#include "tests/support/fake_wire.h"

#include <stdlib.h>
#include <unistd.h>

fake_wire_hooks fake_wire;
_Atomic int fake_wire_opens, fake_wire_closes, fake_wire_interrupts;

typedef struct state {
    int fd;
    nxi_request *first, *last; /* expected; identification in lane_data */
    nxi_request *unsent;
    uint8_t own_unsent; /* flags of a ping or barrier */
    unsigned own;       /* pings and barriers that are not answered */
    bool in_transaction;
    uint8_t head[FAKE_WIRE_HEAD];
    size_t head_size;
    uint32_t body_left;
    char notification[FAKE_WIRE_NOTIFICATION_MAX];
} state;

static nx_status wire_open(void *opaque, const nx_bind_options *options, nxi_memory *memory, int *ret_fd, nx_error *error)
{
    state *s = opaque;
    nx_status status;

    (void)options;
    (void)memory;
    s->fd = -1;
    atomic_fetch_add(&fake_wire_opens, 1);
    status = fake_wire.open(&s->fd);
    if (status != NX_OK)
        return nxi_fail(error, status, "the fake server refuses");
    *ret_fd = s->fd;
    return NX_OK;
}

static void wire_close(void *opaque)
{
    atomic_fetch_add(&fake_wire_closes, 1);
    fake_wire.close(((state *)opaque)->fd);
}

static nx_status wire_put(void *opaque, nxi_request *request)
{
    state *s = opaque;
    const nxi_step *step = &request->steps[0];

    if (fake_wire.put != NULL)
        fake_wire.put(request);
    if (step->row_limit == FAKE_WIRE_BAD)
        return nxi_request_fail(request, 0, NX_ETOOLONG, "this one cannot be encoded");
    request->lane_data = (int64_t)step->cursor;
    request->next = NULL;
    if (s->last != NULL)
        s->last->next = request;
    else
        s->first = request;
    s->last = request;
    if (s->unsent == NULL)
        s->unsent = request;
    return NX_OK;
}

static void put_head(nxi_buf *out, uint8_t flags, uint32_t body, uint64_t id)
{
    uint8_t head[FAKE_WIRE_HEAD] = { 'Q', flags };

    memcpy(head + 4, &body, 4);
    memcpy(head + 8, &id, 8);
    nxi_buf_put(out, head, sizeof(head));
}

static uint8_t flags_of(const nxi_request *request)
{
    return (uint8_t)((request->begin != NXI_BEGIN_NONE ? FAKE_WIRE_BEGIN : 0) |
                     (request->end == NXI_END_COMMIT && request->status == NX_OK ? FAKE_WIRE_COMMIT : 0) |
                     (request->end == NXI_END_ROLLBACK || request->status != NX_OK ? FAKE_WIRE_ROLLBACK : 0));
}

static bool wire_fill(void *opaque, nxi_buf *out, size_t enough, uint64_t position)
{
    state *s = opaque;
    size_t before = out->size;

    for (; s->unsent != NULL && out->size < enough; s->unsent = s->unsent->next) {
        nxi_request *request = s->unsent;

        put_head(out, flags_of(request), request->steps[0].row_limit, request->steps[0].cursor);
        request->commit_position = request->status == NX_OK ? position + (out->size - before) : 0;
    }
    if (s->unsent == NULL && s->own_unsent != 0) {
        put_head(out, s->own_unsent, 0, 0);
        s->own_unsent = 0;
    }
    return s->unsent != NULL;
}

static void finish_notification(state *s, const nxi_sink *sink)
{
    uint32_t size;

    memcpy(&size, s->head + 4, 4);
    s->head_size = 0;
    sink->notified(sink->context, nx_strn(s->notification, s->head[1]), nx_strn(s->notification + s->head[1], size - s->head[1]));
}

static void finish(state *s, const nxi_sink *sink)
{
    nxi_request *request = s->first;

    if (s->head[0] == 'N') {
        finish_notification(s, sink);
        return;
    }
    s->head_size = 0;
    if (request == NULL) {
        s->own--;
        return;
    }
    s->first = request->next;
    if (s->first == NULL)
        s->last = NULL;
    request->next = NULL;
    request->in_transaction = s->in_transaction;
    if (request->steps != NULL) {
        memcpy(&request->steps[0].affected, s->head + 8, 8);
        if (request->steps[0].kind == NXI_STEP_SCALAR) {
            uint32_t body;
            memcpy(&body, s->head + 4, 4);
            request->steps[0].scalar = nx_value_boolean(body != 0);
        }
        if (request->end != NXI_END_NONE)
            request->outcome =
                request->end == NXI_END_COMMIT && request->status == NX_OK ? NX_OUTCOME_COMMITTED : NX_OUTCOME_ROLLED_BACK;
    }
    sink->finished(sink->context, request);
}

static nx_status begin_answer(state *s, nx_error *error)
{
    uint64_t id;

    memcpy(&id, s->head + 8, 8);
    memcpy(&s->body_left, s->head + 4, 4);
    if (s->head[0] == 'N')
        return s->head[1] <= s->body_left && s->body_left <= sizeof(s->notification)
                   ? NX_OK
                   : nxi_fail(error, NX_EPROTOCOL, "not a notification");
    if (s->head[0] != 'A' || (s->head[1] != 'I' && s->head[1] != 'T'))
        return nxi_fail(error, NX_EPROTOCOL, "not an answer");
    if (s->first == NULL ? id != 0 || s->own == 0 || s->own_unsent != 0 : (uint64_t)s->first->lane_data != id)
        return nxi_fail(error, NX_EPROTOCOL, "an answer nobody asked for");
    s->in_transaction = s->head[1] == 'T';
    return NX_OK;
}

static nx_status wire_decode(void *opaque, const uint8_t *data, size_t size, const nxi_sink *sink, nx_error *error)
{
    state *s = opaque;

    while (size > 0) {
        size_t take;

        if (s->head_size < FAKE_WIRE_HEAD) {
            take = nxi_min_size(size, FAKE_WIRE_HEAD - s->head_size);
            memcpy(s->head + s->head_size, data, take);
            s->head_size += take;
            if (s->head_size == FAKE_WIRE_HEAD && begin_answer(s, error) != NX_OK)
                return NX_EPROTOCOL;
        } else {
            take = nxi_min_size(size, s->body_left);
            if (s->head[0] == 'N') {
                uint32_t whole;
                memcpy(&whole, s->head + 4, 4);
                memcpy(s->notification + (whole - s->body_left), data, take);
            }
            for (size_t i = 0; s->head[0] != 'N' && i < take; i++) {
                if (data[i] != s->head[8])
                    return nxi_fail(error, NX_EPROTOCOL, "another answer's body");
            }
            s->body_left -= (uint32_t)take;
        }
        if (s->head_size == FAKE_WIRE_HEAD && s->body_left == 0)
            finish(s, sink);
        data += take;
        size -= take;
    }
    return NX_OK;
}

static bool wire_is_quiet(const void *opaque)
{
    const state *s = opaque;

    return s->first == NULL && s->own == 0 && s->head_size == 0;
}

static bool wire_is_idle(const void *opaque)
{
    return wire_is_quiet(opaque) && !((const state *)opaque)->in_transaction;
}

static void begin_own(state *s, uint8_t flags)
{
    NX_ASSERT(s->first == NULL && s->own_unsent == 0);
    s->own_unsent = flags;
    s->own++;
}

static void wire_settle(void *opaque)
{
    begin_own(opaque, FAKE_WIRE_BARRIER);
}

static void wire_ping(void *opaque)
{
    begin_own(opaque, FAKE_WIRE_PING);
}

static bool is_unsent(const state *s, const nxi_request *request)
{
    const nxi_request *at = s->unsent;

    while (at != NULL && at != request)
        at = at->next;
    return at != NULL;
}

static bool wire_give_up(void *opaque, nxi_request *request, nxi_request *tombstone)
{
    state *s = opaque;
    bool unsent = is_unsent(s, request);
    nxi_request **link = &s->first, *before = NULL;

    for (; *link != request; link = &(*link)->next)
        before = *link;
    tombstone->lane_data = request->lane_data;
    tombstone->next = request->next;
    *link = unsent ? request->next : tombstone;
    if (s->last == request)
        s->last = unsent ? before : tombstone;
    if (s->unsent == request)
        s->unsent = request->next;
    request->next = NULL;
    return !unsent;
}

static bool wire_interrupt(void *opaque)
{
    atomic_fetch_add(&fake_wire_interrupts, 1);
    return fake_wire.interrupt == NULL || fake_wire.interrupt(((state *)opaque)->fd);
}

static bool wire_spares(void *opaque)
{
    return fake_wire.spares && ((state *)opaque)->first != NULL;
}

#define WIRE                                                                                                                     \
    .state_size = sizeof(state), .open = wire_open, .close = wire_close, .put = wire_put, .fill = wire_fill,                     \
    .decode = wire_decode, .is_idle = wire_is_idle
static const nxi_wire wire = { WIRE,
                               .is_quiet = wire_is_quiet,
                               .give_up = wire_give_up,
                               .interrupt = wire_interrupt,
                               .spares = wire_spares,
                               .settle = wire_settle,
                               .ping = wire_ping,
                               .notifies = true };
static const nxi_wire wire_hasty = { WIRE, .give_up = wire_give_up, .interrupt = wire_interrupt };
static const nxi_wire wire_patient = { WIRE, .give_up = wire_give_up };
static const nxi_wire wire_plain = { WIRE };

static const nxi_dialect dialect = { .name = "fake", .quote = '"', .identifier_bytes_max = 63, .parameters_max = 1000 };
const nxi_driver fake_wire_driver = { .name = "fake", .dialect = &dialect, .wire = &wire };
const nxi_driver fake_wire_driver_hasty = { .name = "hasty", .dialect = &dialect, .wire = &wire_hasty };
const nxi_driver fake_wire_driver_patient = { .name = "patient", .dialect = &dialect, .wire = &wire_patient };
const nxi_driver fake_wire_driver_plain = { .name = "plain", .dialect = &dialect, .wire = &wire_plain };

/* ------------------------------------------------------------------------------ the other side */

size_t fake_wire_parse(const void *data, size_t size, uint8_t *ret_flags, uint32_t *ret_body, uint64_t *ret_id)
{
    const uint8_t *bytes = data;

    if (size < FAKE_WIRE_HEAD)
        return 0;
    NX_ASSERT(bytes[0] == 'Q');
    *ret_flags = bytes[1];
    memcpy(ret_body, bytes + 4, 4);
    memcpy(ret_id, bytes + 8, 8);
    return FAKE_WIRE_HEAD;
}

void fake_wire_answer(uint8_t head[FAKE_WIRE_HEAD], uint64_t id, uint32_t body, bool in_transaction)
{
    memset(head, 0, FAKE_WIRE_HEAD);
    head[0] = 'A';
    head[1] = in_transaction ? 'T' : 'I';
    memcpy(head + 4, &body, 4);
    memcpy(head + 8, &id, 8);
}

size_t fake_wire_notification(uint8_t *into, const char *channel, const char *payload)
{
    size_t name = strlen(channel), text = strlen(payload);
    uint32_t size = (uint32_t)(name + text);

    memset(into, 0, FAKE_WIRE_HEAD);
    into[0] = 'N';
    into[1] = (uint8_t)name;
    memcpy(into + 4, &size, 4);
    memcpy(into + FAKE_WIRE_HEAD, channel, name);
    memcpy(into + FAKE_WIRE_HEAD + name, payload, text);
    return FAKE_WIRE_HEAD + size;
}

static bool write_all(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t put = write(fd, at, size);

        if (put <= 0)
            return false;
        at += put;
        size -= (size_t)put;
    }
    return true;
}

static bool answer_one(int fd, const uint8_t *request, bool *in_transaction)
{
    uint8_t head[FAKE_WIRE_HEAD], flags;
    char body[4096];
    uint32_t size;
    uint64_t id;

    fake_wire_parse(request, FAKE_WIRE_HEAD, &flags, &size, &id);
    *in_transaction = (*in_transaction || (flags & 1) != 0) && (flags & 6) == 0;
    fake_wire_answer(head, id, size, *in_transaction);
    if (!write_all(fd, head, sizeof(head)))
        return false;
    memset(body, (int)(id & 0xff), sizeof(body));
    for (uint32_t left = size; left > 0; left -= (uint32_t)nxi_min_size(left, sizeof(body))) {
        if (!write_all(fd, body, nxi_min_size(left, sizeof(body))))
            return false;
    }
    return true;
}

void fake_wire_serve(int fd)
{
    uint8_t input[FAKE_WIRE_HEAD * 256];
    size_t filled = 0;
    bool in_transaction = false;

    for (;;) {
        ssize_t got = read(fd, input + filled, sizeof(input) - filled);
        size_t used = 0;

        if (got <= 0)
            return;
        filled += (size_t)got;
        for (; filled - used >= FAKE_WIRE_HEAD; used += FAKE_WIRE_HEAD) {
            if (!answer_one(fd, input + used, &in_transaction))
                return;
        }
        memmove(input, input + used, filled - used);
        filled -= used;
    }
}
