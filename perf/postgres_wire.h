/*
 * postgres_wire - a small blocking client of PostgreSQL's protocol 3: the floor of everything that speaks to the server.
 *
 * libpq opens the connection and closes it; in between nothing of it is used but its socket. Messages are made in `out`, sent by
 * perf_wire_send; what the server says is read into one large buffer and looked at in place. Plain sockets only.
 * Message formats: PostgreSQL's documentation, "Frontend/Backend Protocol", "Message Formats".
 */
#ifndef PERF_POSTGRES_WIRE_H
#define PERF_POSTGRES_WIRE_H

#include <endian.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "item.h"

/* Of the one prepared statement that a connection has. */
#define PERF_WIRE_STATEMENT "s"

/* Sizes of messages: HEAD is type and length; BIND is without the parameters, each of which is a length and its bytes. */
enum {
    PERF_WIRE_IN_SIZE = 256 * 1024,
    PERF_WIRE_HEAD = 5,
    PERF_WIRE_BIND = PERF_WIRE_HEAD + 1 + sizeof(PERF_WIRE_STATEMENT) + 2 + 2 + 2 + 2 + 2,
    PERF_WIRE_EXECUTE = PERF_WIRE_HEAD + 1 + 4,
    PERF_WIRE_SYNC = PERF_WIRE_HEAD
};

typedef struct perf_wire {
    PGconn *library;
    int fd;
    char *in; /* PERF_WIRE_IN_SIZE bytes; those from begin to end are not consumed yet */
    size_t begin, end;
    char *out;
    size_t out_size, out_room;
    const char *prepared; /* text of the statement that PERF_WIRE_STATEMENT is; NULL: none */
} perf_wire;

/* One message of the server, in the buffer: valid until more is received. */
typedef struct perf_message {
    char type;
    const char *body;
    size_t size;
} perf_message;

/* A row (id, a, b, c) in a message. */
typedef struct perf_wire_row {
    int64_t id;
    int32_t a;
    double b;
    const char *text;
    size_t text_size;
} perf_wire_row;

/* False after a failure, which was printed; close in either case. */
bool perf_wire_open(perf_wire *wire, const char *url);
void perf_wire_close(perf_wire *wire);

/* Room for `size` more bytes of out: where they go. NULL: out of memory, which was printed. */
char *perf_wire_reserve(perf_wire *wire, size_t size);
/* Send all of out, and empty it. */
bool perf_wire_send(perf_wire *wire);
/* Send what is not in out. */
bool perf_wire_send_bytes(perf_wire *wire, const char *bytes, size_t size);
/* Wait for bytes, and read what there is. Messages looked at before are gone. */
bool perf_wire_receive(perf_wire *wire);
/* Print what the server said, or that it said something that does not belong there; false. */
bool perf_wire_refused(const perf_message *message, const char *what);
/* Wait for a message. */
bool perf_wire_take(perf_wire *wire, perf_message *ret_message);
/* Take messages until ReadyForQuery; false, and a message, when there is an error among them. */
bool perf_wire_finish(perf_wire *wire, const char *what);

/* Run a statement without parameters by the simple protocol, its rows unseen. */
bool perf_wire_command(perf_wire *wire, const char *sql);
/* Make it the connection's prepared statement, unless it is already: a literal is known by its address. */
bool perf_wire_prepare(perf_wire *wire, const char *sql);
/* Append Bind without parameters, Execute and Sync, and send. */
bool perf_wire_execute(perf_wire *wire);

static inline char *perf_put_16(char *at, int16_t value)
{
    uint16_t bytes = htobe16((uint16_t)value);
    return (char *)mempcpy(at, &bytes, sizeof(bytes));
}
static inline char *perf_put_32(char *at, int32_t value)
{
    uint32_t bytes = htobe32((uint32_t)value);
    return (char *)mempcpy(at, &bytes, sizeof(bytes));
}
static inline char *perf_put_64(char *at, int64_t value)
{
    uint64_t bytes = htobe64((uint64_t)value);
    return (char *)mempcpy(at, &bytes, sizeof(bytes));
}
static inline char *perf_put_double(char *at, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return perf_put_64(at, bits);
}

/* Bind of the prepared statement up to its parameters, of which `size` bytes with their lengths follow; all in binary format. */
static inline char *perf_put_bind(char *at, int16_t parameters, size_t size)
{
    *at++ = 'B';
    at = perf_put_32(at, (int32_t)(PERF_WIRE_BIND - 1 + size));
    *at++ = '\0';
    at = (char *)mempcpy(at, PERF_WIRE_STATEMENT, sizeof(PERF_WIRE_STATEMENT));
    at = perf_put_16(at, 1);
    at = perf_put_16(at, 1);
    return perf_put_16(at, parameters);
}
/* The rest of Bind, its result in binary format, and Execute without a limit. */
static inline char *perf_put_execute(char *at)
{
    at = perf_put_16(at, 1);
    at = perf_put_16(at, 1);
    *at++ = 'E';
    at = perf_put_32(at, PERF_WIRE_EXECUTE - 1);
    *at++ = '\0';
    return perf_put_32(at, 0);
}
static inline char *perf_put_sync(char *at)
{
    *at++ = 'S';
    return perf_put_32(at, PERF_WIRE_SYNC - 1);
}

static inline int32_t perf_take_32(const char *at)
{
    uint32_t bytes;
    memcpy(&bytes, at, sizeof(bytes));
    return (int32_t)be32toh(bytes);
}
static inline int64_t perf_take_64(const char *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof(bytes));
    return (int64_t)be64toh(bytes);
}
static inline double perf_take_double(const char *at)
{
    double value;
    int64_t bits = perf_take_64(at);
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* A whole message that lies in the buffer, consumed; false: none. A length that cannot be is none either, and receive says so. */
static inline bool perf_wire_next(perf_wire *wire, perf_message *ret_message)
{
    size_t there = wire->end - wire->begin;
    if (there < PERF_WIRE_HEAD)
        return false;
    const char *at = wire->in + wire->begin;
    int32_t length = perf_take_32(at + 1);
    if (length < 4 || (size_t)length + 1 > there)
        return false;
    *ret_message = (perf_message){ at[0], at + PERF_WIRE_HEAD, (size_t)length - 4 };
    wire->begin += (size_t)length + 1;
    return true;
}

/* False when the message is no DataRow of exactly (int8, int4, float8, text), none of them NULL. */
static inline bool perf_wire_row_take(const perf_message *message, perf_wire_row *ret_row)
{
    /* Number of fields, then each field's size and bytes. */
    enum { ID = 2, A = ID + 4 + 8, B = A + 4 + 4, C = B + 4 + 8, FIXED = C + 4 };
    const char *body = message->body;

    if (message->type != 'D' || message->size < FIXED || perf_take_32(body + ID) != 8 || perf_take_32(body + A) != 4 ||
        perf_take_32(body + B) != 8)
        return false;
    int32_t text_size = perf_take_32(body + C);
    if (text_size < 0 || (size_t)text_size != message->size - FIXED)
        return false;
    *ret_row = (perf_wire_row){ .id = perf_take_64(body + ID + 4),
                                .a = perf_take_32(body + A + 4),
                                .b = perf_take_double(body + B + 4),
                                .text = body + FIXED,
                                .text_size = (size_t)text_size };
    return true;
}

#endif
