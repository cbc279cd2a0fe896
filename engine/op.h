/*
 * op - operations, from the call that queues them to the completion that ends them.
 *
 * An operation has a slot in its loop's table; handles are slot + generation, so a stale one is recognised. It
 * ends exactly once: nxi_op_finish (or nxi_op_fail) queues its last completion, nxi_op_emit earlier ones.
 * Memory: what an operation needs and what it returns lies in its arena, which lives until the
 * completion is seen.
 * Threads: the loop's own.
 */
#ifndef NXI_OP_H
#define NXI_OP_H

#include "engine/arena.h"
#include "engine/loop.h"
#include "engine/map.h"

typedef struct nxi_op nxi_op;
typedef struct nxi_completion nxi_completion;

typedef enum nxi_completion_state { NXI_COMPLETION_IDLE, NXI_COMPLETION_QUEUED, NXI_COMPLETION_HELD } nxi_completion_state;

/* A completion on its way to the user. One is part of each operation; streams use further ones. */
struct nxi_completion {
    nx_completion public;
    nxi_op *op;
    nxi_completion *next, *previous; /* completion queue, or the list of held ones */
    nx_db *db;
    nxi_arena arena;                 /* of a stream's batch; an operation's last one uses the operation's */
    nxi_completion_state state;
    bool awaited;                    /* given out by nx_await */
};

struct nxi_op {
    nxi_completion last;
    nx_loop *loop;
    nx_db *db;             /* NULL: none, or several */
    nxi_op *next;          /* free list; list of a session's waiting operations */
    nxi_arena arena;
    nxi_timer deadline;
    uint32_t slot, generation;
    bool used, finished;
    nx_status stopped;     /* why it was asked to stop */
    uint32_t emitted;      /* completions that are queued or held, the last not counted */
    /* Ask it to end early; the completion must still come. NULL: cannot be stopped. */
    void (*stop)(nxi_op *op, nx_status why);
    /* Something that lives as long as the operation, released with it. */
    void (*release)(nxi_op *op);
    /* A batch of it was seen. */
    void (*seen)(nxi_op *op, nxi_completion *completion);
    void *context;
    const void *held[2];   /* references that release gives back */
};

/* The loop as the engine sees it. */
struct nx_loop {
    nxi_memory *memory;
    nxi_core *core;
    nx_loop_options options;
    nxi_op **ops;            /* by slot - 1 */
    uint32_t op_count;       /* slots made */
    uint32_t op_capacity;
    nxi_op *free_ops;
    nxi_completion *first, *last; /* completion queue */
    nxi_completion *held;         /* given out and not given back */
    nxi_completion *free_completions;
    size_t ready;            /* completions in the queue */
    size_t in_flight;        /* operations without their last completion */
    uint64_t completed;
    uint64_t made, made_at_turn;  /* operations, and how many of them there were at the last turn */
    struct nx_db *databases; /* in the order in which they were made */
    struct nx_session *sessions;
    struct nx_query *queries; /* that belong to nobody else */
    struct nx_query *free_queries;
    struct nx_session *free_sessions;
    struct nx_bulk *bulks;
    struct nx_loop *next_of_thread;
    uint64_t last_transaction, last_cursor;
    nx_error queue_error;    /* why the last operation could not be queued */
    nx_error await_error;    /* of the completion that nx_await gave last */
    bool closing;
};

/* Loops of this thread, for queries that name no database. */
nx_loop *nxi_loops_of_thread(void);

/* io NULL: io_uring; tests pass a double. */
NX_MUST_CHECK nx_status nxi_loop_new(const nx_loop_options *options, nxi_io *io, nx_loop **ret_loop, nx_error *error);
/* Every completion is given back, whoever holds it. */
void nxi_ops_release_all(nx_loop *loop);
/* Ops, completions and memory; everything else must be gone. */
void nxi_loop_free(nx_loop *loop);

/*
 * A new operation; NULL: out of memory or too many (loop->queue_error says). deadline_ms 0: none.
 */
nxi_op *nxi_op_new(nx_loop *loop, nx_db *db, void *tag, uint32_t deadline_ms);
static inline nx_op nxi_op_handle(const nxi_op *op) { return op == NULL ? (nx_op){ 0, 0 } : (nx_op){ op->slot, op->generation }; }
nxi_op *nxi_op_find(nx_loop *loop, nx_op handle);

/* End it with what last.public holds. */
void nxi_op_finish(nxi_op *op);
/* End it with an error; `error` is copied into the operation (NULL: a general one of that status). */
void nxi_op_fail(nxi_op *op, nx_status status, const nx_error *error);
void nxi_op_failf(nxi_op *op, nx_status status, const char *format, ...) NX_PRINTF(3, 4);
/* Queue a completion that is not the last; takes the contents of `arena`. false: out of memory. */
NX_MUST_CHECK bool nxi_op_emit(nxi_op *op, const nx_completion *values, nxi_arena *arena);

/* An operation that failed before it began; the handle completes with that error. */
nx_op nxi_op_refuse(nx_loop *loop, nx_db *db, void *tag, nx_status status, const nx_error *error);

/* Give a completion back (nx_seen). */
void nxi_completion_seen(nx_loop *loop, nxi_completion *completion);
/* Operations of a database that wait for nothing that still comes end with NX_ECLOSED; NULL: of all. */
void nxi_ops_abort(nx_loop *loop, nx_db *db);
/* Give back what nx_await handed out for a database and nobody marked seen. */
void nxi_ops_release_awaited(nx_loop *loop, nx_db *db);

/* The queue for nx_await: the first completion of that operation, or NULL. */
nxi_completion *nxi_completion_of(nx_loop *loop, nxi_op *op);
void nxi_completion_take(nx_loop *loop, nxi_completion *completion); /* out of the queue, held by the user */

#endif
