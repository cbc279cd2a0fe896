/*
 * sqlite - what the files of the SQLite driver share.
 *
 * A worker (serve.c) owns one main connection, and side connections for what must outlive a batch: cursors and
 * read-only transactions. Everything here runs on the worker's thread, so connections are opened without mutexes.
 */
#ifndef NXI_SQLITE_H
#define NXI_SQLITE_H

#include <sqlite3.h>

#include "drivers/driver.h"

enum {
    NXI_SQ_PARAMETERS_MAX = 32766, /* SQLite's own default; lower than some builds allow, so that all behave alike */
    NXI_SQ_SIDES_MAX = 64,         /* cursors and snapshots at a time, per worker */
    NXI_SQ_SIDES_IDLE_MAX = 8,     /* of them kept open when nobody uses them */
    NXI_SQ_BATCH_ROWS = 64         /* rows of one INSERT when there are many */
};

/* ------------------------------------------------------------------------------ connections */

/* A prepared statement in a connection's cache, or one of its own (id 0). */
typedef struct nxi_sq_prepared {
    struct nxi_sq_prepared *newer, *older;
    sqlite3_stmt *stmt;
    uint32_t id;
    int parameters;
    bool running;          /* not to be evicted */
    bool row_by_row;       /* batch.c: this one cannot be run for many rows at once */
    sqlite3_stmt *many;    /* the same INSERT with NXI_SQ_BATCH_ROWS rows of parameters; NULL: not prepared */
    sqlite3_stmt *last_key;/* SELECT max(key) of its table */
} nxi_sq_prepared;

/* Statements that the driver itself runs. */
typedef enum nxi_sq_own {
    NXI_SQ_BEGIN,
    NXI_SQ_BEGIN_IMMEDIATE,
    NXI_SQ_COMMIT,
    NXI_SQ_ROLLBACK,
    NXI_SQ_GROUP_SAVE, /* the savepoint of one request in a group */
    NXI_SQ_GROUP_RELEASE,
    NXI_SQ_GROUP_UNDO,
    NXI_SQ_BATCH_SAVE, /* and of one batch of rows */
    NXI_SQ_BATCH_RELEASE,
    NXI_SQ_BATCH_UNDO,
    NXI_SQ_OWN_COUNT
} nxi_sq_own;

typedef enum nxi_sq_use {
    NXI_SQ_WRITES,
    NXI_SQ_READS,
    NXI_SQ_SIDE,
    NXI_SQ_SCRATCH /* a private temporary database */
} nxi_sq_use;

typedef struct nxi_sq_connection {
    sqlite3 *db;
    nxi_memory *memory;
    nxi_port *port;
    const char *path;              /* for messages; the worker's */
    nxi_sq_prepared **by_id;       /* by statement id - 1 */
    size_t by_id_capacity;
    nxi_sq_prepared *newest, *oldest;
    size_t prepared_count, prepared_max;
    sqlite3_stmt *own[NXI_SQ_OWN_COUNT];
    nxi_request *running;          /* its stop and deadline count */
    nx_status stopped;             /* why the progress handler ended a statement */
    size_t text_offset;            /* of the part of a script that runs */
    int wal_pages;                 /* in the log after the last commit */
} nxi_sq_connection;

/* What a worker needs of the options. */
typedef struct nxi_sq_settings {
    char *path;
    bool memory;                   /* ":memory:" */
    bool read_only;
    nx_synchronous synchronous;
    size_t statements_max;
    int64_t wait_ns;               /* for the write lock, when the request has no deadline */
    int64_t gather_ns;             /* group_commit_us */
} nxi_sq_settings;

/* Takes memory and port from the zeroed connection. A failed open leaves nothing that needs a close. */
NX_MUST_CHECK nx_status nxi_sq_open(nxi_sq_connection *connection, const nxi_sq_settings *settings, nxi_sq_use use,
                                    nx_error *error);
void nxi_sq_close(nxi_sq_connection *connection);
/* Step one of our own statements; an extended result code, SQLITE_OK for success. */
int nxi_sq_do(nxi_sq_connection *connection, nxi_sq_own own);
static inline bool nxi_sq_in_transaction(const nxi_sq_connection *connection)
{
    return sqlite3_get_autocommit(connection->db) == 0;
}
/* Roll back if a transaction is open. It cannot fail in a way that leaves it open. */
void nxi_sq_rollback(nxi_sq_connection *connection);

/* ------------------------------------------------------------------------------ prepare.c */

/* The prepared form of a step's statement, ready to be bound; give it back with nxi_sq_done. On failure the request has failed.
 */
NX_MUST_CHECK nx_status nxi_sq_prepare(nxi_sq_connection *connection, nxi_request *request, size_t step,
                                       nxi_sq_prepared **ret_prepared);
/* A statement that outlives the request and is not cached: the caller finalizes it. */
NX_MUST_CHECK nx_status nxi_sq_prepare_own(nxi_sq_connection *connection, nxi_request *request, size_t step,
                                           sqlite3_stmt **ret_stmt);
void nxi_sq_done(nxi_sq_connection *connection, nxi_sq_prepared *prepared);
void nxi_sq_cache_clear(nxi_sq_connection *connection);

/* What users' SQL may be by its first word. */
typedef enum nxi_sq_word {
    NXI_SQ_WORD_OTHER,
    NXI_SQ_WORD_READS,  /* SELECT, VALUES, EXPLAIN */
    NXI_SQ_WORD_ALONE,  /* cannot run in a transaction, or means something else there: VACUUM, PRAGMA, ATTACH, DETACH */
    NXI_SQ_WORD_CONTROL /* BEGIN, COMMIT, ...: ours alone */
} nxi_sq_word;
nxi_sq_word nxi_sq_first_word(const char *sql);
/* Each part of a script. */
NX_MUST_CHECK nx_status nxi_sq_script(nxi_sq_connection *connection, nxi_request *request, size_t step);

/* ------------------------------------------------------------------------------ errors.c */

/* Describe a result code; statement may be NULL. Uses the connection's last message. */
nx_status nxi_sq_describe(nxi_sq_connection *connection, int code, const nxi_statement *statement, nx_error *error);
/* The same as the failure of a request's step. */
nx_status nxi_sq_fail(nxi_sq_connection *connection, nxi_request *request, size_t step, int code);
/* Fail a request with an error made elsewhere. */
nx_status nxi_sq_fail_with(nxi_request *request, size_t step, const nx_error *error);
/* An error about a column: names its table and itself. */
nx_status nxi_sq_column_error(const nxi_column *column, nx_error *error, nx_status status, const char *format, ...)
    NX_PRINTF(4, 5);
/* True when the request must not go on: it has then failed. `now`: nxi_clock_ns. */
bool nxi_sq_is_stopped(nxi_request *request, size_t step, int64_t now);

/* ------------------------------------------------------------------------------ bind.c */

/* Days count 86400 s; months are refused (NX_ERANGE). */
NX_MUST_CHECK nx_status nxi_sq_interval(nx_interval interval, int64_t *ret_microseconds, nx_error *error);
/* The text that stands for a value of a type stored as TEXT; `space` has NX_TEXT_FORM_SIZE bytes. False: no such type, or out of
 * memory. */
bool nxi_sq_text_form(const nx_value *value, char *space, nxi_arena *arena, nx_text *ret_text);
/* All values as parameters; keep: SQLite copies texts, so that they need not outlive the call. */
NX_MUST_CHECK nx_status nxi_sq_bind_values(nxi_sq_connection *connection, sqlite3_stmt *stmt, nxi_request *request, size_t step,
                                           bool keep);
/* Where rows are bound. */
typedef struct nxi_sq_binder {
    nxi_sq_connection *connection;
    const nxi_statement *statement;
    nxi_arena *arena;
} nxi_sq_binder;
/* The parameters from `first` on from a row. Texts are not copied: valid until the row changes. */
NX_MUST_CHECK nx_status nxi_sq_bind_row(const nxi_sq_binder *binder, sqlite3_stmt *stmt, int first, const void *row,
                                        nx_error *error);

/* ------------------------------------------------------------------------------ decode.c */

/* Rows of a statement into a request. Zeroed except for the first three. */
typedef struct nxi_sq_rows {
    nxi_sq_connection *connection;
    sqlite3_stmt *stmt;
    const nxi_statement *statement;
    const nxi_column *const *columns; /* per result column; NULL entries are ignored */
    int column_count;
    uint32_t lazy_missing;
    void **list;
    size_t count, capacity;
} nxi_sq_rows;

/* Step and decode until `limit` rows (0: all) or the end; *ret_ended: there are no more. The step's results are set. */
NX_MUST_CHECK nx_status nxi_sq_fetch(nxi_sq_rows *rows, nxi_request *request, size_t step, size_t limit, bool *ret_ended);
/* The same as named values. */
NX_MUST_CHECK nx_status nxi_sq_fetch_raw(nxi_sq_connection *connection, sqlite3_stmt *stmt, nxi_request *request, size_t step);
/* The first column of the first row. */
NX_MUST_CHECK nx_status nxi_sq_fetch_scalar(nxi_sq_connection *connection, sqlite3_stmt *stmt, nxi_request *request, size_t step);

/* ------------------------------------------------------------------------------ write.c, batch.c */

/* A WRITE step under way. */
typedef struct nxi_sq_writer {
    nxi_sq_binder binder;
    nxi_request *request;
    nxi_step *s;
    size_t step;
    nxi_sq_prepared *prepared;
    size_t reject_capacity;
    bool is_written;      /* the row that failed is in the database all the same */
    bool last_key_known;
    int64_t last_key;     /* the greatest key in the table, while only batches are written */
} nxi_sq_writer;

NX_MUST_CHECK nx_status nxi_sq_write(nxi_sq_connection *connection, nxi_request *request, size_t step);

typedef enum nxi_sq_batch {
    NXI_SQ_BATCH_WRITTEN,
    NXI_SQ_BATCH_REFUSED, /* nothing of it is in the database: row by row will tell which one it is */
    NXI_SQ_BATCH_FATAL    /* the transaction is gone, or must not go on */
} nxi_sq_batch;
/* NXI_SQ_BATCH_ROWS rows from `first` on by one statement; FATAL: the error is filled. */
nxi_sq_batch nxi_sq_write_batch(nxi_sq_writer *writer, size_t first, nx_error *error);

/* ------------------------------------------------------------------------------ execute.c, cursor.c */

typedef struct nxi_sq_worker nxi_sq_worker;

/*
 * Run the steps of a request on a connection up to its first failure. Transactions are the caller's affair; a failure may have
 * ended the one that was open (nxi_sq_in_transaction). Sets taken_ns unless the caller has, who knows the time.
 */
nx_status nxi_sq_run(nxi_sq_worker *worker, nxi_sq_connection *connection, nxi_request *request);
/* Forget the failure and the results from that step on, so that it can run again from there. */
void nxi_sq_forget(nxi_request *request, size_t first);

/* A connection beside the main one, in use by a transaction or a cursor. */
typedef struct nxi_sq_side {
    nxi_sq_connection connection;
    bool is_open, in_use, scratch;
    uint64_t transaction;          /* of a snapshot; 0: a cursor's */
} nxi_sq_side;

typedef struct nxi_sq_cursor {
    uint64_t id;                   /* 0: free */
    uint64_t transaction;          /* it ends with that one; 0: on its own */
    nxi_sq_connection *connection; /* where stmt is */
    nxi_sq_side *side;             /* to give back; NULL: connection is a transaction's */
    sqlite3_stmt *stmt;            /* NULL: at its end */
    const nxi_statement *statement;
} nxi_sq_cursor;

NX_MUST_CHECK nx_status nxi_sq_cursor_open(nxi_sq_worker *worker, nxi_sq_connection *connection, nxi_request *request,
                                           size_t step);
NX_MUST_CHECK nx_status nxi_sq_cursor_fetch(nxi_sq_worker *worker, nxi_request *request, size_t step);
void nxi_sq_cursor_close(nxi_sq_worker *worker, uint64_t id);
/* All cursors of a transaction that is about to end; 0: none. */
void nxi_sq_cursors_end(nxi_sq_worker *worker, uint64_t transaction);

/* A free side connection, opened if need be; the error names the limit. */
NX_MUST_CHECK nx_status nxi_sq_side_get(nxi_sq_worker *worker, bool scratch, nxi_sq_side **ret_side, nx_error *error);
nxi_sq_side *nxi_sq_side_find(nxi_sq_worker *worker, uint64_t transaction);
void nxi_sq_side_put(nxi_sq_worker *worker, nxi_sq_side *side);

/* ------------------------------------------------------------------------------ group_commit.c, serve.c */

typedef struct nxi_sq_queue { nxi_request *first, *last; size_t count; } nxi_sq_queue;
void nxi_sq_queue_put(nxi_sq_queue *queue, nxi_request *request);
void nxi_sq_queue_put_back(nxi_sq_queue *queue, nxi_request *request); /* at the front */
nxi_request *nxi_sq_queue_take(nxi_sq_queue *queue);

/* What a request waits for. */
typedef enum nxi_sq_class {
    NXI_SQ_CLASS_CURSOR,    /* goes on with a cursor that has a connection of its own */
    NXI_SQ_CLASS_CONTINUED, /* belongs to a transaction that is open, or about to be */
    NXI_SQ_CLASS_SINGLE,    /* a whole transaction that cannot share one */
    NXI_SQ_CLASS_GROUP,     /* a whole transaction that may share one */
    NXI_SQ_CLASS_ALONE,     /* runs outside of transactions */
    NXI_SQ_CLASS_READ,
    NXI_SQ_CLASS_OPENER,    /* begins a transaction that stays open */
    NXI_SQ_CLASS_COUNT
} nxi_sq_class;

struct nxi_sq_worker {
    nxi_sq_connection main;
    nxi_sq_settings settings;
    nxi_port *port;
    nxi_memory *memory;
    nxi_role role;
    nxi_sq_queue waiting[NXI_SQ_CLASS_COUNT];
    uint64_t transaction;          /* open on main; 0: none */
    int64_t retry_ns, backoff_ns;  /* the lock was held by somebody else: when to try again; 0: it was not */
    bool only_reads;               /* the open transaction is read-only */
    int64_t gather_until_ns;       /* the group is not run before; 0: none is waiting */
    int64_t checkpoint_ns;         /* when to move the log into the file if nothing else happens; 0: no need */
    int checkpoint_pages;          /* the size of the log at which it is moved at once */
    nxi_sq_cursor cursors[NXI_SQ_SIDES_MAX];
    nxi_sq_side *sides[NXI_SQ_SIDES_MAX];
};

/* By what it does. */
nxi_sq_class nxi_sq_classify(const nxi_request *request);
/* Give a request back. */
void nxi_sq_finish(nxi_sq_worker *worker, nxi_request *request, nx_outcome outcome, bool in_transaction);
/* Requests that only read, in one read transaction. Bounded; true: some were run. */
bool nxi_sq_serve_reads(nxi_sq_worker *worker);
/* When a waiting request becomes a busy error. */
int64_t nxi_sq_patience_ns(const nxi_sq_worker *worker, const nxi_request *request);
/*
 * A request that met a foreign lock and has time left: put it back and look again later. One inside a transaction goes on
 * where it was, all others run again from their first step. False: its failure is final.
 */
bool nxi_sq_try_later(nxi_sq_worker *worker, nxi_request *request, nxi_sq_class class);

void nxi_sq_writer_serve(nxi_sq_worker *worker, nxi_request *batch);
int64_t nxi_sq_writer_wake_at(const nxi_sq_worker *worker);

extern const nxi_dialect nxi_sq_dialect;
extern const nxi_catalog_source nxi_sq_catalog; /* catalog.c */

#endif
