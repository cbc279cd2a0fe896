/*
 * fake_wire - a wire driver with a small protocol of its own, and what a server needs to answer it.
 *
 * A request is 16 bytes: 'Q', flags (FAKE_WIRE_BEGIN ...), two zero bytes, size of the answer's body, and an identification.
 * An answer is 16 bytes: 'A', 'T' (in a transaction) or 'I', two zero bytes, size of the body, identification;
 * then the body, each byte of it the lowest byte of the identification. The identification of a request is cursor of its first
 * step, the size row_limit; the answer's goes into `affected`, and a SCALAR is whether there was a body.
 * A COMMIT that has failed before it is put is sent as a ROLLBACK. row_limit FAKE_WIRE_BAD cannot be encoded. A ping or a
 * barrier is a request without identification. Nobody asks for a notification: 'N', length of the channel, two zero bytes,
 * size of channel and payload, eight zero bytes; then channel and payload.
 */
#ifndef FAKE_WIRE_H
#define FAKE_WIRE_H

#include "drivers/driver.h"

#define FAKE_WIRE_BAD UINT32_MAX
enum { FAKE_WIRE_HEAD = 16, FAKE_WIRE_NOTIFICATION_MAX = 256 };
enum { FAKE_WIRE_BEGIN = 1, FAKE_WIRE_COMMIT = 2, FAKE_WIRE_ROLLBACK = 4, FAKE_WIRE_PING = 8, FAKE_WIRE_BARRIER = 16 };

typedef struct fake_wire_hooks {
    nx_status (*open)(int *ret_fd);  /* on an opener thread: a descriptor, real or of fake_io */
    void (*close)(int fd);           /* -1: its open had failed */
    bool (*interrupt)(int fd);
    bool spares;                     /* what its spares says, while something is in flight */
    void (*put)(const nxi_request *request); /* on the loop's thread; may be NULL */
} fake_wire_hooks;
extern fake_wire_hooks fake_wire;

extern const nxi_driver fake_wire_driver;           /* can do everything */
extern const nxi_driver fake_wire_driver_hasty;     /* can give requests up and interrupt, but does not settle */
extern const nxi_driver fake_wire_driver_patient;   /* can give requests up, and cannot interrupt */
extern const nxi_driver fake_wire_driver_plain;     /* can do nothing of that */
extern _Atomic int fake_wire_opens, fake_wire_closes, fake_wire_interrupts;

/* Reads a request at data; returns its bytes or 0 when it is not whole. */
size_t fake_wire_parse(const void *data, size_t size, uint8_t *ret_flags, uint32_t *ret_body, uint64_t *ret_id);
/* An answer's head; the body follows. */
void fake_wire_answer(uint8_t head[FAKE_WIRE_HEAD], uint64_t id, uint32_t body, bool in_transaction);

/* Returns the size of the whole notification, at most FAKE_WIRE_HEAD + FAKE_WIRE_NOTIFICATION_MAX. */
size_t fake_wire_notification(uint8_t *into, const char *channel, const char *payload);

/* A server: answers everything on a blocking descriptor until the end of the stream. */
void fake_wire_serve(int fd);

#endif
