/*
 * io - all contact of a loop or a worker with the kernel, behind one table, so that tests can put a script in its place.
 *
 * Ownership: memory given to send must stay put until that send's last event; memory of a received event is the caller's until
 *            nxi_io_give_back. A descriptor may be closed only after the last event of everything that was started on it.
 * Tags:      what is started carries kind | slot | generation, never a pointer, so an event that comes late is recognised.
 * Threads:   the owner's, except nxi_io_wake. now is also safe anywhere.
 */
#ifndef NXI_IO_H
#define NXI_IO_H

#include <stdatomic.h>

#include "engine/memory.h"

#ifdef NXI_ASAN
#include <sanitizer/asan_interface.h>
/* Nobody of ours may touch a buffer while the kernel has it: AddressSanitizer itself does not see the kernel's accesses. */
#define NXI_IO_POISON(start, size) __asan_poison_memory_region((start), (size))
#define NXI_IO_UNPOISON(start, size) __asan_unpoison_memory_region((start), (size))
#else
#define NXI_IO_POISON(start, size) ((void)(start), (void)(size))
#define NXI_IO_UNPOISON(start, size) ((void)(start), (void)(size))
#endif

typedef enum nxi_io_kind {
    NXI_IO_NONE,
    NXI_IO_BELL,        /* another ring rang: look into the boxes */
    NXI_IO_BELL_FAILED, /* a bell that was rung did not arrive: wake whom it was for by nxi_io_wake */
    NXI_IO_WAKE,        /* nxi_io_wake */
    NXI_IO_TIMER,
    NXI_IO_RECV,
    NXI_IO_SEND,
    NXI_IO_CANCEL       /* kept inside */
} nxi_io_kind;

enum { NXI_IO_SLOT_MAX = 0xffffff };

static inline uint64_t nxi_io_tag(nxi_io_kind kind, uint32_t slot, uint32_t generation)
{
    return (uint64_t)kind << 56 | (uint64_t)(slot & NXI_IO_SLOT_MAX) << 32 | generation;
}
static inline nxi_io_kind nxi_io_tag_kind(uint64_t tag)
{
    return (nxi_io_kind)(tag >> 56);
}
static inline uint32_t nxi_io_tag_slot(uint64_t tag)
{
    return (uint32_t)(tag >> 32) & NXI_IO_SLOT_MAX;
}
static inline uint32_t nxi_io_tag_generation(uint64_t tag)
{
    return (uint32_t)tag;
}

enum { NXI_IO_NO_BUFFER = 0xffffffff };

typedef struct nxi_event {
    uint64_t tag;
    int32_t result;      /* bytes, or a negative errno */
    bool more;           /* further events of this tag follow; false: this was its last */
    uint32_t buffer;     /* RECV: to be given back, or NXI_IO_NO_BUFFER */
    const uint8_t *data; /* RECV: `result` bytes */
} nxi_event;

typedef struct nxi_io nxi_io;

typedef struct nxi_io_ops {
    int64_t (*now)(nxi_io *io);
    nx_status (*make_buffers)(nxi_io *io, nx_error *error);
    bool (*recv)(nxi_io *io, int fd, uint64_t tag);
    bool (*send)(nxi_io *io, int fd, const void *data, size_t size, uint64_t tag);
    bool (*cancel)(nxi_io *io, uint64_t tag);
    bool (*bell)(nxi_io *io, nxi_io *target);
    bool (*timer)(nxi_io *io, int64_t when_ns);
    void (*give_back)(nxi_io *io, uint32_t buffer);
    void (*shutdown)(nxi_io *io, int fd, bool both_ways);
    nx_status (*enter)(nxi_io *io, int64_t wait_ns);
    bool (*is_ready)(nxi_io *io);
    bool (*has_unsent)(nxi_io *io);
    bool (*next)(nxi_io *io, nxi_event *ret_event);
    void (*wake)(nxi_io *io);
    int (*fd)(nxi_io *io);
    void (*close)(nxi_io *io);
} nxi_io_ops;

struct nxi_io {
    const nxi_io_ops *ops;
    _Atomic uint64_t *enters; /* Sync: atomic. Counts enters; the core's, shared by its workers. NULL: not counted */
};

/*
 * An io_uring of the calling thread. NX_EUNSUPPORTED: the error names what is in the way and what to change; NX_ELIMIT,
 * NX_ENOMEM.
 */
NX_MUST_CHECK nx_status nxi_io_uring_open(nxi_memory *memory, uint32_t entries, nxi_io **ret_io, nx_error *error);

/* Nanoseconds, monotonic. */
static inline int64_t nxi_io_now(nxi_io *io) { return io->ops->now(io); }

/*
 * Starting something puts it into the submission queue; nxi_io_enter sends it. False: the queue is full and the kernel takes
 * nothing just now; try again with the next turn. Nothing was started.
 */

/* Buffers for receiving; must have succeeded once before the first recv. Again: no effect. */
static inline NX_MUST_CHECK nx_status nxi_io_make_buffers(nxi_io *io, nx_error *error)
{
    return io->ops->make_buffers(io, error);
}
/*
 * Receive until it ends: each event brings bytes; result 0 is the end of the stream. -ENOBUFS, and `more` unset: start it
 * again.
 */
static inline NX_MUST_CHECK bool nxi_io_recv(nxi_io *io, int fd, uint64_t tag) { return io->ops->recv(io, fd, tag); }
/* May send less than asked. */
static inline NX_MUST_CHECK bool nxi_io_send(nxi_io *io, int fd, const void *data, size_t size, uint64_t tag)
{
    return io->ops->send(io, fd, data, size, tag);
}
/* Ask what carries this tag to end; its own last event still comes, with -ECANCELED or with what it had achieved. */
static inline NX_MUST_CHECK bool nxi_io_cancel(nxi_io *io, uint64_t tag) { return io->ops->cancel(io, tag); }
/* Doorbell: target's owner gets NXI_IO_BELL. It falls back to a wake, which needs no nxi_io_enter. */
static inline NX_MUST_CHECK bool nxi_io_bell(nxi_io *io, nxi_io *target) { return io->ops->bell(io, target); }
/* Make the descriptor readable at that time at the latest. One at a time: again moves it to an earlier time. */
static inline NX_MUST_CHECK bool nxi_io_timer(nxi_io *io, int64_t when_ns) { return io->ops->timer(io, when_ns); }

static inline void nxi_io_give_back(nxi_io *io, uint32_t buffer) { io->ops->give_back(io, buffer); }
/* At once: what waits on the descriptor ends. both_ways false: only receiving. */
static inline void nxi_io_shutdown(nxi_io *io, int fd, bool both_ways) { io->ops->shutdown(io, fd, both_ways); }

/*
 * Send what was started and wait for one event, at most wait_ns (0: not at all, INT64_MAX: without end). Signals end the wait.
 * Enters the kernel only when there is something to send, to wait for or to fetch. NX_EIO: the ring is broken.
 */
static inline NX_MUST_CHECK nx_status nxi_io_enter(nxi_io *io, int64_t wait_ns) { return io->ops->enter(io, wait_ns); }
/* Are there events, or would an enter without waiting bring some? Costs two loads. */
static inline bool nxi_io_is_ready(nxi_io *io) { return io->ops->is_ready(io); }
static inline bool nxi_io_has_unsent(nxi_io *io) { return io->ops->has_unsent(io); }
static inline bool nxi_io_next(nxi_io *io, nxi_event *ret_event) { return io->ops->next(io, ret_event); }
/* Any thread: the owner gets NXI_IO_WAKE, at least once for all wakes since the last one. */
static inline void nxi_io_wake(nxi_io *io) { io->ops->wake(io); }
/* Readable when there may be events, until the next enter; the io's own. -1: there is none, or no descriptor is left. */
static inline int nxi_io_fd(nxi_io *io) { return io->ops->fd(io); }
/* Everything started must have had its last event. NULL is allowed. */
static inline void nxi_io_close(nxi_io *io)
{
    if (io != NULL)
        io->ops->close(io);
}

#endif
