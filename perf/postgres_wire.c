/* postgres_wire - a small blocking client of PostgreSQL's protocol 3: the floor of everything that speaks to the server. */
#include "postgres_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static bool broken(const char *what)
{
    fprintf(stderr, "nextorm-perf: postgres: %s: %s\n", what, strerrordesc_np(errno));
    return false;
}

bool perf_wire_open(perf_wire *wire, const char *url)
{
    *wire = (perf_wire){ .fd = -1, .library = PQconnectdb(url) };
    if (wire->library == NULL || PQstatus(wire->library) != CONNECTION_OK) {
        fprintf(stderr, "nextorm-perf: postgres: %s", PQerrorMessage(wire->library));
        return false;
    }
    if (PQsslInUse(wire->library) != 0 || PQgssEncInUse(wire->library) != 0) {
        fprintf(stderr, "nextorm-perf: postgres: the floors speak to plain sockets only\n");
        return false;
    }
    wire->fd = PQsocket(wire->library);
    wire->in = malloc(PERF_WIRE_IN_SIZE);
    int flags = fcntl(wire->fd, F_GETFL);
    return wire->in != NULL && flags >= 0 && fcntl(wire->fd, F_SETFL, flags & ~O_NONBLOCK) == 0 ? true : broken("connection");
}

void perf_wire_close(perf_wire *wire)
{
    PQfinish(wire->library);
    free(wire->in);
    free(wire->out);
    *wire = (perf_wire){ .fd = -1 };
}

char *perf_wire_reserve(perf_wire *wire, size_t size)
{
    if (wire->out_room - wire->out_size < size) {
        size_t room = 2 * (wire->out_size + size);
        char *out = realloc(wire->out, room);
        if (out == NULL) {
            fprintf(stderr, "nextorm-perf: out of memory\n");
            return NULL;
        }
        wire->out = out;
        wire->out_room = room;
    }
    return wire->out + wire->out_size;
}

bool perf_wire_send_bytes(perf_wire *wire, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(wire->fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return broken("send");
        bytes += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

bool perf_wire_send(perf_wire *wire)
{
    size_t size = wire->out_size;
    wire->out_size = 0;
    return perf_wire_send_bytes(wire, wire->out, size);
}

bool perf_wire_receive(perf_wire *wire)
{
    if (wire->begin > 0) {
        memmove(wire->in, wire->in + wire->begin, wire->end - wire->begin);
        wire->end -= wire->begin;
        wire->begin = 0;
    }
    if (wire->end >= PERF_WIRE_HEAD) {
        int32_t length = perf_take_32(wire->in + 1);
        if (length < 4 || (size_t)length + 1 > PERF_WIRE_IN_SIZE) {
            fprintf(stderr, "nextorm-perf: postgres: a message of %d bytes is not expected here\n", length);
            return false;
        }
    }
    ssize_t got = recv(wire->fd, wire->in + wire->end, PERF_WIRE_IN_SIZE - wire->end, 0);
    if (got < 0 && errno == EINTR)
        return true;
    if (got <= 0) {
        errno = got == 0 ? ECONNRESET : errno;
        return broken("recv");
    }
    wire->end += (size_t)got;
    return true;
}

bool perf_wire_take(perf_wire *wire, perf_message *ret_message)
{
    while (!perf_wire_next(wire, ret_message))
        if (!perf_wire_receive(wire))
            return false;
    return true;
}

bool perf_wire_refused(const perf_message *message, const char *what)
{
    if (message->type != 'E') {
        fprintf(stderr, "nextorm-perf: postgres: %s: message '%c' is not expected here\n", what, message->type);
        return false;
    }
    /* Fields of a type byte and a text with a zero byte; a zero type ends them. */
    const char *at = message->body, *end = at + message->size;
    while (at < end && *at != '\0') {
        size_t size = strnlen(at + 1, (size_t)(end - at - 1));
        if (*at == 'M')
            fprintf(stderr, "nextorm-perf: postgres: %s: %.*s\n", what, (int)size, at + 1);
        at += 1 + size + 1;
    }
    return false;
}

bool perf_wire_finish(perf_wire *wire, const char *what)
{
    perf_message message = { 0 };
    bool ok = true;

    while (message.type != 'Z') {
        if (!perf_wire_take(wire, &message))
            return false;
        if (message.type == 'E')
            ok = perf_wire_refused(&message, what);
    }
    return ok;
}

bool perf_wire_command(perf_wire *wire, const char *sql)
{
    size_t size = strlen(sql) + 1;
    char *at = perf_wire_reserve(wire, PERF_WIRE_HEAD + size);
    if (at == NULL)
        return false;
    *at++ = 'Q';
    at = perf_put_32(at, (int32_t)(4 + size));
    memcpy(at, sql, size);
    wire->out_size += PERF_WIRE_HEAD + size;
    return perf_wire_send(wire) && perf_wire_finish(wire, sql);
}

bool perf_wire_prepare(perf_wire *wire, const char *sql)
{
    if (wire->prepared == sql)
        return true;
    size_t sql_size = strlen(sql) + 1, size = PERF_WIRE_HEAD + sizeof(PERF_WIRE_STATEMENT) + sql_size + 2;
    char *at = perf_wire_reserve(wire, size + PERF_WIRE_SYNC);
    if (at == NULL)
        return false;
    *at++ = 'P';
    at = perf_put_32(at, (int32_t)(size - 1));
    at = mempcpy(at, PERF_WIRE_STATEMENT, sizeof(PERF_WIRE_STATEMENT));
    at = mempcpy(at, sql, sql_size);
    at = perf_put_16(at, 0); /* types of parameters: as the server sees them */
    (void)perf_put_sync(at);
    wire->out_size += size + PERF_WIRE_SYNC;
    bool ok = perf_wire_send(wire) && perf_wire_finish(wire, sql);
    wire->prepared = ok ? sql : NULL;
    return ok;
}

bool perf_wire_execute(perf_wire *wire)
{
    enum { SIZE = PERF_WIRE_BIND + PERF_WIRE_EXECUTE + PERF_WIRE_SYNC };
    char *at = perf_wire_reserve(wire, SIZE);
    if (at == NULL)
        return false;
    (void)perf_put_sync(perf_put_execute(perf_put_bind(at, 0, 0)));
    wire->out_size += SIZE;
    return perf_wire_send(wire);
}
