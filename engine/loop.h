/*
 * loop - the ring, its turns, timers and wake-ups; what runs on it registers here.
 *
 * A turn: hand over what is dirty (workers' inboxes, one send per connection), one enter that submits and waits,
 * then collect completions into lists. Nothing of the user runs inside a turn.
 * Threads: the loop's own, except nxi_loop_wake.
 */
#ifndef NXI_LOOP_H
#define NXI_LOOP_H

#include "engine/memory.h"
#include "nextorm/loop.h"

typedef struct nxi_core nxi_core; /* ring, timers, sources */
typedef struct nxi_io nxi_io;     /* io.h: the kernel, or a test's double */

/* io NULL: io_uring. The core owns io from here on, also on failure. */
NX_MUST_CHECK nx_status nxi_core_open(nxi_memory *memory, const nx_loop_options *options, nxi_io *io, nxi_core **ret_core,
                                      nx_error *error);
void nxi_core_close(nxi_core *core); /* all sources and timers must be gone (asserted) */
nxi_memory *nxi_core_memory(const nxi_core *core);
nxi_io *nxi_core_io(const nxi_core *core);

/*
 * One turn. wait_ns 0: no waiting, INT64_MAX: until something happens. Returns early when a timer fired, a request was finished,
 * bytes moved or a wake came. `busy`: workers hold requests, so spinning pays.
 */
NX_MUST_CHECK nx_status nxi_core_turn(nxi_core *core, int64_t wait_ns);
int64_t nxi_core_now(nxi_core *core); /* nanoseconds; the io's clock, read at most once per turn unless spinning */
void nxi_core_wake(nxi_core *core);   /* any thread */
uint64_t nxi_core_wakes(const nxi_core *core); /* calls of it so far */
int nxi_core_fd(nxi_core *core);
uint64_t nxi_core_turns(const nxi_core *core);
uint64_t nxi_core_enters(const nxi_core *core); /* workers' included */

/* Timers: a heap; the earliest bounds the wait. The struct is the caller's, zeroed before its first use. */
typedef struct nxi_timer {
    int64_t when_ns;
    size_t place;   /* in the heap + 1; 0: not set */
    void (*fire)(struct nxi_timer *timer);
} nxi_timer;
NX_MUST_CHECK bool nxi_timer_set(nxi_core *core, nxi_timer *timer, int64_t when_ns); /* again: moves it. false: out of memory */
void nxi_timer_clear(nxi_core *core, nxi_timer *timer); /* not set: no effect */

#endif
