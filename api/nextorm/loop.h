/*
 * loop - one thread, one io_uring, and everything that belongs to it.
 *
 * Completion-queue style: a call that touches a database queues an operation and returns an nx_op
 * at once. Nothing moves before nx_submit, a wait or nx_await. Every operation ends with exactly
 * one completion (a stream: several, all but the last with NX_MORE); cancelled, timed out and
 * refused ones too.
 *
 * Threads: a loop and all that was made with it belong to the thread that opened it. nx_wake is
 * the only call that another thread may make. More cores: more loops.
 * Fork: a loop does not survive it; the child must not touch it.
 */
#ifndef NEXTORM_LOOP_H
#define NEXTORM_LOOP_H

#include "nextorm/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nx_loop nx_loop;
typedef struct nx_db nx_db;
typedef struct nx_session nx_session;
typedef struct nx_query nx_query;

/* An operation: by value. {0, 0} is none: it could not be queued (see nx_await). */
typedef struct nx_op { uint32_t slot, generation; } nx_op;

enum {
    NX_MORE = 1 /* further completions of this operation follow */
};

typedef struct nx_completion {
    nx_op op;
    void *tag;             /* the caller's own pointer */
    nx_status status;
    uint32_t flags;        /* NX_MORE */
    int64_t count;         /* rows fetched or affected; the count; 0 or 1 for exists */
    void *const *rows;     /* fetched entities: cast each to its struct; NULL for other results */
    const struct nx_rows *raw; /* rows of a raw query, see query.h; else NULL */
    nx_value value;        /* sum, avg, min, max */
    const nx_error *error; /* NULL when status is NX_OK */
    void *held;            /* the library's */
} nx_completion;

typedef struct nx_loop_options {
    uint32_t ring_entries;     /* submission queue; default 256 */
    uint32_t ops_max;          /* operations queued or in flight; default 65536; more: NX_ELIMIT */
    uint32_t spin_us;          /* busy wait for workers before sleeping, at most; default 50; UINT32_MAX: none */
    uint64_t memory_bytes_max; /* memory of this loop; 0: no limit; beyond it: NX_ENOMEM */
} nx_loop_options;

/*
 * Open a loop for this thread; options may be NULL. NX_EUNSUPPORTED when io_uring is blocked or
 * too old: ret_error, unless NULL, then says which (sysctl, seccomp, kernel) and what to change.
 */
NX_API NX_MUST_CHECK nx_status nx_loop_open(const nx_loop_options *options, nx_loop **ret_loop, nx_error *ret_error);

/*
 * End everything: outstanding operations complete with NX_ECLOSED and are dropped, sessions,
 * queries and databases of the loop are freed. NULL is allowed.
 */
NX_API void nx_loop_close(nx_loop *loop);

/* Hand over what is queued and collect what is done, without waiting. */
NX_API NX_MUST_CHECK nx_status nx_submit(nx_loop *loop);

/*
 * The next completion; when none is there, submits and waits for one (new work may be submitted earlier). It stays at the head
 * until nx_seen.
 * NX_ESTATE: nothing is in flight, so nothing could ever come.
 */
NX_API NX_MUST_CHECK nx_status nx_wait(nx_loop *loop, const nx_completion **ret_completion);

/*
 * Wait until at least `least` completions are queued (or nothing is in flight, or timeout_ms has passed;
 * negative: no timeout), then return how many are there; read them with nx_peek and nx_seen.
 */
NX_API NX_MUST_CHECK nx_status nx_wait_many(nx_loop *loop, size_t least, int64_t timeout_ms, size_t *ret_ready);

/* The next completion, or NULL; never waits and never enters the kernel. */
NX_API const nx_completion *nx_peek(nx_loop *loop);

/*
 * Give a completion back. Its rows, texts and error are invalid from then on, except rows that
 * belong to a session. Completions may be given back in any order; each exactly once.
 */
NX_API void nx_seen(nx_loop *loop, const nx_completion *completion);

/* for (const nx_completion *c ...) over all that are ready; each is marked seen after its turn. */
#define nx_for_each_completion(loop, c)                                                            \
    for (const nx_completion *c; ((c) = nx_peek(loop)) != NULL; nx_seen((loop), (c)))

/*
 * Run the loop until that operation's (next) completion is there and return it; completions of
 * others stay queued. With rows, raw or a text as its value it is valid until nx_seen, or until the database is freed;
 * without them it is given back at once and only its error stays valid, until the next
 * nx_await. An op that is none, stale or already seen gives NX_ESTALE, or the reason why it
 * could not be queued.
 */
NX_API nx_completion nx_await(nx_loop *loop, nx_op op);

/*
 * Ask an operation to stop. Its completion still arrives: with NX_ECANCELED, or with its result
 * when that was faster. NX_ESTALE: it is complete.
 */
NX_API NX_MUST_CHECK nx_status nx_op_cancel(nx_loop *loop, nx_op op);

/* Give an operation a deadline, milliseconds from now; then it ends with NX_EDEADLINE. NX_ESTALE: it is complete. */
NX_API NX_MUST_CHECK nx_status nx_op_deadline(nx_loop *loop, nx_op op, uint32_t deadline_ms);

/* Operations that are queued or in flight. */
NX_API size_t nx_in_flight(const nx_loop *loop);

/*
 * Inside another event loop: poll the descriptor for reading, and call nx_run_once(loop, 0) when it
 * is readable or after new operations were queued. The descriptor belongs to the loop.
 */
NX_API int nx_loop_fd(nx_loop *loop);

/* One turn: submit, wait at most timeout_ms (0: not at all, negative: until something happens), collect. */
NX_API NX_MUST_CHECK nx_status nx_run_once(nx_loop *loop, int64_t timeout_ms);

/* Make a waiting loop return from nx_run_once or nx_wait_many. Any thread. */
NX_API void nx_wake(nx_loop *loop);

/* Counters of the loop since it was opened. */
typedef struct nx_loop_stats {
    uint64_t turns;       /* turns of the loop */
    uint64_t enters;      /* io_uring_enter calls, workers' included */
    uint64_t host_allocs; /* allocations from the host, workers' included */
    uint64_t host_bytes;  /* bytes held from the host now */
    uint64_t ops;         /* operations completed */
} nx_loop_stats;
NX_API nx_loop_stats nx_loop_stats_get(const nx_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
