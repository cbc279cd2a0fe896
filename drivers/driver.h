/*
 * driver - the one interface between the engine and a provider.
 *
 * Work crosses it as requests: a train of steps with, perhaps, the beginning and the end of a transaction.
 * A driver either executes requests on a worker thread (it blocks: SQLite), or encodes and decodes them as bytes
 * (a wire protocol; the engine moves the bytes). It never calls up into the engine, starts no thread and
 * prints nothing.
 *
 * Ownership: a request, what it points to and its arena belong to the driver from execute/encode until it is finished;
 * the engine touches only `stop` in between. Results are made in request->arena.
 */
#ifndef NXI_DRIVER_H
#define NXI_DRIVER_H

#include <stdatomic.h>

#include "drivers/dialect.h"
#include "engine/statement.h"
#include "nextorm/bulk.h"
#include "nextorm/session.h"

typedef enum nxi_step_kind {
    NXI_STEP_EXECUTE,   /* once, with values; affected */
    NXI_STEP_SCRIPT,    /* the statement's text without values: DDL */
    NXI_STEP_WRITE,     /* once for each row, parameters from the row (statement->params); keys are written into the rows */
    NXI_STEP_FETCH,     /* entity rows */
    NXI_STEP_SCALAR,    /* first column of the first row, as it comes; NULL when there is none */
    NXI_STEP_RAW,       /* rows of named values */
    NXI_STEP_SAVEPOINT, /* `level` names it: all three */
    NXI_STEP_RELEASE,
    NXI_STEP_ROLLBACK_TO,
    NXI_STEP_CURSOR_OPEN,  /* FETCH in pieces: `cursor` names it, unique in the database */
    NXI_STEP_CURSOR_FETCH, /* at most row_limit rows; cursor_ended tells whether more may come */
    NXI_STEP_CURSOR_CLOSE  /* of an unknown cursor: no effect */
} nxi_step_kind;

typedef struct nxi_step {
    nxi_step_kind kind;
    bool set_aside;    /* WRITE: a row that is refused is listed in rejects and the rest goes on */
    bool keys_wanted;  /* WRITE with a conflict rule: keys of rows that are inserted are handed on */
    /*
     * WRITE: a row that affects nothing is NX_EOPTIMISTIC. Where something else is committed with it, by the same request, the
     * server finds it: the transaction does not stand then.
     */
    bool must_affect;
    bool keys_unread;  /* WRITE: nobody wants the keys that the database makes */
    bool read_any;     /* EXECUTE, RAW: may write: runs where writes run (raw SQL) */
    bool cursor_ended; /* out */
    uint32_t level;
    uint64_t cursor;
    const nxi_statement *statement;
    const nx_value *values;
    size_t value_count;
    void *const *rows; /* WRITE */
    size_t row_count;
    uint32_t row_limit; /* FETCH, RAW, CURSOR_FETCH: 0: all. FETCH stops there */
    /* results, in request->arena */
    int64_t affected; /* WRITE, EXECUTE: rows affected; FETCH, RAW: rows */
    void **fetched;
    nx_rows raw;
    nx_value scalar;
    nx_reject *rejects; /* .row is the index in rows */
    size_t reject_count;
    size_t ignored; /* WRITE: rows that NX_CONFLICT_IGNORE left out */
    size_t updated; /* WRITE of a statement that upserts: rows that were there */
    int64_t elapsed_ns;
} nxi_step;

typedef enum nxi_begin {
    NXI_BEGIN_NONE,
    NXI_BEGIN_SNAPSHOT, /* read-only, one snapshot */
    NXI_BEGIN_READ,     /* read/write, serializable from its first read */
    NXI_BEGIN_WRITE     /* the usual one: write lock at once */
} nxi_begin;
typedef enum nxi_end { NXI_END_NONE, NXI_END_COMMIT, NXI_END_ROLLBACK } nxi_end;

/*
 * What a finished request says of its transaction. Driver and pool keep this whatever has happened: success, a failed step, a
 * stop (cancel, deadline) in a queue, on the way, while it ran or before it was submitted, a lost connection, want of memory, a
 * closed database.
 *
 * in_transaction
 *   true: the transaction is open, or (the request was stopped before it ran) as it was before; a request with an end must
 *   follow. Requests of the same number go on, unless the database lets a transaction that met an error only go back: then they
 *   fail with NX_EABORTED until ROLLBACK_TO to a savepoint that is set, or the end.
 *   false: the transaction is over, or was never begun: nothing of it is open and nobody waits for it. Later requests of its
 *   number fail with NX_EABORTED or NX_ELOST; one with NXI_END_ROLLBACK is NX_OK.
 *   A request with an end always says false. A COMMIT that is stopped before it was sent, or fails, rolls back. A ROLLBACK is
 *   not stopped; one that the server refuses or does not get ends the connection, and the transaction with it.
 *   A request that begins a transaction and fails leaves none open. One that is stopped may: a wire driver goes on with the
 *   transaction as it was begun when others may have been sent behind it.
 *
 * outcome, of the transaction that is over with this request (that of the request itself where `transaction` is 0)
 *   NONE: none is over (in_transaction), or it could not have changed anything. COMMITTED, ROLLED_BACK: so it is. UNKNOWN: the
 *   COMMIT may have reached the server and its answer is not known. status and outcome are independent: COMMITTED with an error
 *   means that the client refused an answer to something that is stored.
 *
 * steps_done
 *   step_count after success, 0 when the transaction was rolled back. After a failure inside a transaction that stays open: the
 *   steps before the one that failed, or 0 when the driver took them back. It does so for a request that is guarded (SAVEPOINT
 *   first, RELEASE last: nothing of it stands, the savepoint is gone) and for one that was stopped. A step that failed does
 *   not count; what it had done of itself is undone, except by SQL text that says otherwise (OR FAIL).
 *
 * Requests of savepoint steps only are not stopped once they are submitted: they wait for nobody, and what they leave must be
 * known. (A lost connection ends them as all others.)
 */

typedef struct nxi_request {
    struct nxi_request *next; /* of whoever holds it */
    /* set by the engine */
    uint64_t transaction; /* not 0: all requests of that number share a connection; begin opens, end closes it */
    nxi_begin begin;
    nxi_end end;
    nx_isolation isolation; /* of a transaction that begins */
    bool deferrable;
    bool writes;     /* outside a transaction: a transaction of its own is needed */
    bool tracked;    /* fetched rows get room for a snapshot, and it is taken */
    bool listens;    /* of no transaction: goes to the connection that listens for notifications */
    void *row_owner; /* of fetched rows */
    nxi_step *steps; /* savepoint steps: alone, or SAVEPOINT as the first and RELEASE of the same level as the last one */
    size_t step_count;
    int64_t deadline_ns; /* on nxi_clock_ns; 0: none */
    /* Not NULL: it commits, and its last step has put a row by which that can be found out later; not for drivers to look at. */
    const struct nxi_token *token;
    bool outcome_found; /* by it */
    int64_t queued_ns;
    nxi_arena *arena;
    void (*done)(struct nxi_request *request); /* called by the engine on the loop's thread, once */
    void *context;
    /* Sync: atomic. NX_OK, or why it shall stop; set by the loop at any time. */
    _Atomic int stop;
    /* set by the driver before it finishes the request */
    nx_status status;
    nx_error *error; /* in the arena when status is not NX_OK (static for NX_ENOMEM) */
    size_t failed_step;   /* step_count: the end itself, or something that is not about a step */
    size_t steps_done;    /* see above: steps that took effect and still stand, from the first on */
    nx_outcome outcome;   /* see above: of the transaction that ended with it */
    bool in_transaction;  /* see above: its transaction is still to be ended */
    uint32_t shared_with; /* how many requests one commit served together, itself included; 0: none */
    bool first_of_group;  /* counts that commit once */
    int64_t taken_ns, done_ns;
    size_t answered;          /* wire: steps from the first on that were answered; of one with a token whose outcome is unknown */
    uint64_t commit_position; /* wire: end of the bytes that commit it, in the stream; 0: not appended yet */
    /* of the connection or worker that has it */
    void *lane;
    int64_t lane_data;
    struct nxi_request *conn_next, *conn_previous; /* of the connection it is in flight on */
    void *wire;                                    /* of the wire driver that has it */
} nxi_request;

static inline bool nxi_step_is_savepoint(const nxi_step *step)
{
    return step->kind == NXI_STEP_SAVEPOINT || step->kind == NXI_STEP_RELEASE || step->kind == NXI_STEP_ROLLBACK_TO;
}
/* It goes on whatever is cancelled or late: a rollback, or savepoints only. */
static inline bool nxi_request_is_unstoppable(const nxi_request *request)
{
    size_t i = 0;

    if (request->end != NXI_END_NONE)
        return request->end == NXI_END_ROLLBACK;
    while (i < request->step_count && nxi_step_is_savepoint(&request->steps[i]))
        i++;
    return i > 0 && i == request->step_count;
}
/* SAVEPOINT first, RELEASE of the same last, inside a transaction that goes on. */
static inline bool nxi_request_is_guarded(const nxi_request *request)
{
    const nxi_step *last = request->step_count < 2 ? NULL : &request->steps[request->step_count - 1];

    return last != NULL && request->steps[0].kind == NXI_STEP_SAVEPOINT && last->kind == NXI_STEP_RELEASE &&
           last->level == request->steps[0].level && request->begin == NXI_BEGIN_NONE && request->end == NXI_END_NONE;
}
/* It ends what it belongs to, or is a transaction of its own. */
static inline bool nxi_request_commits(const nxi_request *request)
{
    return request->end == NXI_END_COMMIT || (request->transaction == 0 && request->begin == NXI_BEGIN_NONE && request->writes);
}
/* It was not run. open: its transaction, if it is in one that was begun before, is as it was. */
void nxi_request_not_run(nxi_request *request, bool open);
/* It was not run, because its transaction is over: a ROLLBACK has what it wants, all else fails. */
void nxi_request_too_late(nxi_request *request, nx_status status, const char *message);

/* A number that the database has given to a new row, in its key. NX_ERANGE: the key cannot hold it. */
NX_MUST_CHECK nx_status nxi_set_made_key(const nxi_column *column, void *row, int64_t key, nx_error *error);
/* The write is undone, and the keys that it was given with it: what refers to such a row has to wait for another one. */
void nxi_step_take_back_keys(const nxi_step *step);
/* Failures of a row of a write itself: another row may do better. */
bool nxi_is_about_row(nx_status status);

/* Set status and error of a request, once (the first failure stays); returns the status. */
nx_status nxi_request_fail(nxi_request *request, size_t step, nx_status status, const char *format, ...) NX_PRINTF(4, 5);
/*
 * The error to fill further; never NULL after a failure, but possibly a shared one that must not be written: see
 * nxi_request_error_is_own.
 */
bool nxi_request_error_is_own(const nxi_request *request);

/* ------------------------------------------------------------------------------ executors */

/* What the engine gives a worker: where requests come from and go to. */
typedef struct nxi_port nxi_port;
/* Requests that have arrived since the last call, oldest first; NULL: none. Never waits. */
nxi_request *nxi_port_take(nxi_port *port);
/* Give a request back; visible to the loop at once, in batches as far as wake-ups go. */
void nxi_port_finish(nxi_port *port, nxi_request *request);
nxi_memory *nxi_port_memory(nxi_port *port);
/* The worker is asked to stop: finish what is held with NX_ECLOSED and return. */
bool nxi_port_is_stopping(nxi_port *port);
/* Sleep until something arrives, the worker shall stop, or until that time (nxi_clock_ns). */
void nxi_port_wait(nxi_port *port, int64_t until_ns);

typedef enum nxi_role { NXI_ROLE_WRITER, NXI_ROLE_READER, NXI_ROLE_ONLY /* does both */ } nxi_role;

typedef struct nxi_executor {
    size_t state_size; /* zeroed by the engine */
    /* On the worker's thread; may block. close accepts a state whose open failed. */
    nx_status (*open)(void *state, const nx_bind_options *options, nxi_role role, nxi_port *port, nx_error *error);
    void (*close)(void *state);
    /* Run a batch, oldest first; NULL: the time of wake_at has come. May keep requests for later. */
    void (*serve)(void *state, nxi_request *batch);
    /* When serve(NULL) is wanted; INT64_MAX: when something arrives. */
    int64_t (*wake_at)(const void *state);
    /* Finish all that is kept with this status. */
    void (*abandon)(void *state, nx_status status);
} nxi_executor;

/* ----------------------------------------------------------------------------- wire drivers */

/* From decode to the engine. */
typedef struct nxi_sink {
    /* A request is done. */
    void (*finished)(void *context, nxi_request *request);
    /* Nobody asked: a notification for whoever listens on this connection. Texts are valid during the call. */
    void (*notified)(void *context, nx_text channel, nx_text payload);
    void *context;
} nxi_sink;

/* What lies between a driver's bytes and the socket: TLS. Its owner is the driver; the struct is part of something larger. */
typedef struct nxi_filter {
    /* Append what is to be sent for these bytes (size 0: what the filter itself has to say). NX_ELOST, NX_ENOMEM: only close
     * remains. */
    nx_status (*seal)(struct nxi_filter *filter, const void *data, size_t size, nxi_buf *out, nx_error *error);
    /* Append what these received bytes hold; all are consumed. Afterwards seal may have something to say. The same errors. */
    nx_status (*unseal)(struct nxi_filter *filter, const void *data, size_t size, nxi_buf *plain, nx_error *error);
} nxi_filter;

typedef struct nxi_wire {
    size_t state_size; /* zeroed by the engine */
    /*
     * Blocking, on an opener thread: connect and authenticate by the vendor's library; *ret_fd stays owned by
     * state. close accepts a state whose open failed.
     */
    nx_status (*open)(void *state, const nx_bind_options *options, nxi_memory *memory, int *ret_fd, nx_error *error);
    void (*close)(void *state);
    /* Of an open state; NULL, or gives NULL: bytes go as they are. */
    nxi_filter *(*filter)(void *state);
    /*
     * Take a request: it joins those whose answers are expected, its messages are made by fill. A failure concerns this request
     * only and leaves the state as it was.
     */
    nx_status (*put)(void *state, nxi_request *request);
    /*
     * Append messages while `out` holds less than `enough` bytes. True: there is more, call again when these are sent.
     * `position`: of the end of `out` in the stream of all bytes; a request whose commit has been appended says so in
     * commit_position. out->failed: the connection is of no more use.
     */
    bool (*fill)(void *state, nxi_buf *out, size_t enough, uint64_t position);
    /*
     * Bytes from the server, cut anywhere; all are consumed (what is incomplete is kept inside). Finished requests are passed on,
     * each once, in any order. fill may have something afterwards. NX_EPROTOCOL and others are final: only close remains.
     */
    nx_status (*decode)(void *state, const uint8_t *data, size_t size, const nxi_sink *sink, nx_error *error);
    /* Nothing expected, no transaction open, nothing half read: may be given to somebody else. */
    bool (*is_idle)(const void *state);
    /*
     * Give up a request. True: its answer is still expected: `tombstone` (failed already, no steps, no arena) takes its place,
     * what is left of the answer is consumed and dropped, and then the tombstone is passed on as finished. False: nothing of it
     * was sent, it is forgotten. Either way the request is the engine's again. May be NULL: then the connection is closed
     * instead.
     */
    bool (*give_up)(void *state, nxi_request *request, nxi_request *tombstone);
    /*
     * Ask the server, by a connection of its own, to stop what runs; blocking, on a thread of the pool, while decode may run on
     * the loop's: what it reads of the state must not change after open. It should give up after some seconds. False: it has, and
     * what it had begun may reach the server at any time: the connection must not be used again. May be NULL.
     */
    bool (*interrupt)(void *state);
    /*
     * An interrupt is wanted while others are in flight than those that were given up. True: what runs now was given up, as
     * far as is known, and one of the others, if it is hit, is sent again as if nothing had happened; that holds until settle's
     * barrier is answered. NULL: never.
     */
    bool (*spares)(void *state);
    /*
     * interrupt has returned, and it may still hit what is sent next: begin something harmless that absorbs it; the state is not
     * idle until that is answered. May be called inside a transaction, also in one that the server has given up. NULL: an
     * interrupted connection is not used again.
     */
    void (*settle)(void *state);
    /* Nothing expected, nothing half read, as is_idle, but a transaction may be open. NULL: one that is interrupted is lost. */
    bool (*is_quiet)(const void *state);
    /* An idle connection that was not used for long is asked whether it lives: begin something that is answered. May be NULL. */
    void (*ping)(void *state);
    /*
     * The connection is lost: how many steps of a request, from the first on, are answered completely and well. Asked of requests
     * whose commit was appended. NULL: none.
     */
    size_t (*answered)(const void *state, const nxi_request *request);
    bool notifies; /* there are LISTEN, UNLISTEN and pg_notify; sink->notified is called */
} nxi_wire;

typedef struct nxi_driver {
    const char *name;
    const nxi_dialect *dialect;
    /* Refuse options that make no sense here; before anything is opened. */
    nx_status (*check_options)(const nx_bind_options *options, nx_error *error);
    const nxi_executor *executor; /* exactly one of the two */
    const nxi_wire *wire;
    /* executor: number of workers; the first is the writer (or the only one) */
    size_t (*worker_count)(const nx_bind_options *options);
} nxi_driver;

/* NULL: unknown. ret_known, unless NULL: "sqlite, ..." for the message; static. */
const nxi_driver *nxi_driver_find(const char *name, const char **ret_known);

extern const nxi_driver nxi_driver_postgres, nxi_driver_sqlite;

#endif
