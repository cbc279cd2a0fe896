/*
 * postgres - one connection that speaks protocol 3: what its parts share.
 *
 * A request becomes a job. Jobs wait in a queue until fill turns them into messages; every message that is answered leaves a unit
 * in a ring, and decode meets the answers with the units in order. Nothing here does input or output.
 *
 *   put -> queue -> train.c (one job after another: block.c, messages.c, bind.c, write.c) -> out
 *   in  -> frame.c (whole messages) -> answer.c (unit by unit: result.c) -> finished, or again into the queue
 *
 * Facts: PostgreSQL 15 documentation, 55.2 "Message Flow", 55.7 "Message Formats".
 */
#ifndef NXI_PG_POSTGRES_H
#define NXI_PG_POSTGRES_H

#include "drivers/postgres/codec.h"
#include "drivers/postgres/errors.h"
#include "drivers/postgres/link.h"
#include "drivers/postgres/variants.h"

enum {
    NXI_PG_MESSAGE_MAX = 0x3fffffff, /* what is sent and taken as one message */
    NXI_PG_COPY_MIN = 2048,          /* new rows that are worth a COPY */
    NXI_PG_COLUMNS_MAX = 1664,       /* access/htup_details.h, MaxTupleAttributeNumber: of a result */
    NXI_PG_STATEMENTS_DEFAULT = 256
};

/* --------------------------------------------------------------------------- prepared statements */

/* Texts that belong to no statement of the engine. */
typedef enum nxi_pg_fixed { NXI_PG_FIXED_BEGIN, NXI_PG_FIXED_COMMIT, NXI_PG_FIXED_ROLLBACK, NXI_PG_FIXED_count } nxi_pg_fixed;

typedef enum nxi_pg_known {
    NXI_PG_UNPARSED,
    NXI_PG_PARSING, /* Parse is on its way: Bind may follow at once */
    NXI_PG_READY
} nxi_pg_known;

/* A statement as this connection has prepared it. */
typedef struct nxi_pg_prepared {
    struct nxi_pg_prepared *next, *previous; /* by use, the latest first */
    struct nxi_pg_prepared *next_alike;      /* the same statement with other parameter types */
    uint64_t key;                            /* of statement and variant */
    const nxi_statement *statement;          /* NULL: fixed text */
    nxi_pg_variant variant;
    nxi_pg_known known;
    bool is_kept;    /* in the map; false: for one use */
    bool by_lookup;  /* an upsert without xmax */
    bool has_result; /* the description is there */
    bool must_close; /* the server may have something else under its name */
    uint32_t uses;   /* units that need it */
    char name[40];
    size_t param_count;
    nxi_pg_oid *params; /* the natural types of its values: by these it is found */
    nxi_pg_oid *types;  /* given in Parse, and encoded by */
    bool is_asking;     /* raw SQL: types are the server's choice, which is not known yet */
    bool is_settled;    /* it is now */
    nxi_pg_out *outs;   /* row-bound: encoders, one per statement->params */
    size_t result_count;
    nxi_pg_oid *result_types;      /* of the RowDescription */
    nxi_pg_format *result_formats; /* that are asked for */
    const char **result_names;     /* raw queries */
    nxi_pg_in *ins;                /* entity rows: decoders */
    nx_error mismatch;             /* why rows cannot become entities; status NX_OK: they can */
    nxi_arena arena;               /* of what was learnt from the server */
} nxi_pg_prepared;

/* --------------------------------------------------------------------------- jobs */

typedef enum nxi_pg_mode {
    NXI_PG_NORMAL,  /* everything at once */
    NXI_PG_CAREFUL, /* piece by piece, to find the rows that fail */
    NXI_PG_UNDO     /* a failure: back to where the transaction was, then finish */
} nxi_pg_mode;

typedef enum nxi_pg_stage {
    NXI_PG_STAGE_START,
    NXI_PG_STAGE_STEPS,
    NXI_PG_STAGE_END,
    NXI_PG_STAGE_SYNC,
    NXI_PG_STAGE_WAIT /* for the answer to its Sync */
} nxi_pg_stage;

typedef struct nxi_pg_job {
    struct nxi_pg_job *next; /* queue, or spare */
    nxi_request *request;    /* NULL: the connection's own (a barrier) */
    bool dead;               /* given up: the request is a tombstone, its steps must not be looked at */
    bool is_read;            /* shares its Sync with others */
    bool is_implicit;        /* the Sync is its transaction's begin and end */
    bool is_explicit;        /* BEGIN was sent by this job */
    bool has_own_savepoint; /* see block.c */
    bool begins;            /* a transaction that goes on behind it */
    bool is_back;           /* the wave under way, or the last one, has undone all of it */
    bool is_failed;    /* by an error of the server, in the wave under way */
    bool is_spoilt;    /* by an error of ours: the server was made to fail */
    bool was_open;     /* a restart has to leave a transaction that it had begun */
    bool is_stale;     /* a statement has to be prepared again */
    bool was_stale;    /* it was done again because of that */
    bool has_learnt;   /* the failure told what the next attempt goes by: it counts as none */
    bool keys_unknown; /* others have drawn from the sequence while a COPY did */
    bool avoids_copy;  /* because of that */
    bool finished;
    bool stands;     /* it failed, but what it wrote is committed */
    bool ends_there; /* commits: to be known when the request is gone */
    bool is_guarded; /* nxi_request_is_guarded: its own savepoint takes the place of the one that it names */
    bool missed;     /* it failed because its row was not there: nothing was written */
    uint32_t retries;   /* how often it was begun again */
    uint8_t tries_back; /* how often it was undone, or its transaction ended */
    uint32_t own;       /* number of its savepoint */
    nxi_pg_mode mode;
    nxi_pg_stage stage;
    uint32_t units;         /* in the ring */
    uint32_t keys_pending;  /* units of it that bring automatic keys */
    bool has_flushed;       /* it waits for answers, and has asked the server not to hold them back */
    nxi_pg_prepared *asked; /* raw SQL: whose description it waits for */
    size_t step;            /* next to be sent */
    size_t row;             /* of that step's rows: next to be sent */
    size_t row_end;         /* careful: end of the attempt at hand */
    /* WRITE under way */
    bool copying;                /* CopyData is being sent */
    size_t copy_first, copy_end; /* rows of the COPY at hand */
    nxi_pg_out *outs;            /* its encoders */
    struct nxi_pg_target *target;
    /* careful */
    size_t careful_step, careful_row, careful_size;
    bool careful_piece;  /* the transaction is open again: one step or attempt after another */
    bool careful_failed; /* the last attempt */
    int64_t affected_before; /* counts of the step in front of the attempt: one that fails leaves them so */
    size_t ignored_before, updated_before;
    /* the failure */
    nxi_pg_trouble trouble;
    bool row_is_known;
    size_t failed_step;
    size_t failed_first, failed_count; /* rows of the unit that failed */
    bool has_error;
    size_t reject_capacity;
    size_t live_at; /* in nxi_pg.live */
    nx_error error; /* the last member: what is before it is zeroed for each request */
} nxi_pg_job;

typedef struct nxi_pg_target nxi_pg_target;

typedef enum nxi_pg_unit_kind {
    NXI_PG_UNIT_PARSE,
    NXI_PG_UNIT_DESCRIBE,
    NXI_PG_UNIT_BIND,    /* alone: of a cursor */
    NXI_PG_UNIT_EXECUTE, /* with its Bind, unless is_bound */
    NXI_PG_UNIT_CLOSE,
    NXI_PG_UNIT_SYNC
} nxi_pg_unit_kind;

/* What the rows and the tag of an execution are for. */
typedef enum nxi_pg_use {
    NXI_PG_FOR_NOTHING,
    NXI_PG_FOR_STEP,   /* by the step's kind */
    NXI_PG_FOR_ROWS,   /* a WRITE: rows first .. first + count of the step */
    NXI_PG_FOR_COMMIT, /* the tag tells whether it was one */
    NXI_PG_FOR_KEYS,   /* the last key of a COPY */
    NXI_PG_FOR_TABLE   /* what has to be known of a table before a COPY */
} nxi_pg_use;

/* An answer that is expected. */
typedef struct nxi_pg_unit {
    nxi_pg_unit_kind kind;
    nxi_pg_use use;
    bool is_bound;    /* BindComplete has come, or is not expected */
    bool is_begun;    /* its first row has come; DESCRIBE: the types of its parameters */
    bool is_copy;     /* the server asks for CopyData */
    bool as_text;     /* EXECUTE: bound before the result was known, all of it as text */
    bool checked;     /* a row that affects nothing fails it */
    bool brings_keys; /* counted in job->keys_pending */
    bool last;        /* EXECUTE: of its step */
    nxi_pg_job *job;  /* NULL: nobody's */
    nxi_pg_prepared *prepared;
    nxi_pg_target *target;
    uint32_t step;
    size_t first, count;
} nxi_pg_unit;

/* Portals of streams: cursor numbers that are open on this connection. */
typedef struct nxi_pg_cursor {
    struct nxi_pg_cursor *next;
    uint64_t number;
    nxi_pg_prepared *prepared;
    bool as_text;
} nxi_pg_cursor;

/* What a COPY into a table has to know; see copy.c. */
struct nxi_pg_target {
    nxi_pg_target *next;
    const nxi_table *table;
    uint32_t number;
    bool is_known;     /* the answer is there */
    bool is_possible;  /* COPY does what INSERT would */
    bool keys_follow;  /* automatic keys of a COPY can be told from the last one */
    nxi_pg_oid *types; /* of table->columns; 0: no such column */
    uint32_t oid;
    nxi_buf sequence; /* quoted, with its schema; empty: none */
};

typedef struct nxi_pg {
    nxi_pg_link link;
    nxi_memory *memory;
    bool unnamed; /* a pooler in transaction mode is between */
    size_t statements_max;
    char status;    /* of the last ReadyForQuery: I, T or E */
    bool is_broken; /* a protocol error: sticky */
    bool unsynced;  /* reads were sent, and their Sync was not */
    bool may_be_hit; /* an interrupt is under way, and has hit nothing yet */
    bool skipping;  /* the server skips up to the next Sync */
    uint32_t own_last; /* number of the last savepoint that a job had for itself */
    uint32_t own_open; /* of the one that the server has still; 0: none */
    /* framing */
    nxi_buf partial;
    /* expected answers */
    nxi_pg_unit *units;
    size_t unit_first, unit_count, unit_capacity;
    /* jobs */
    nxi_pg_job *queue_first, *queue_last;
    nxi_pg_job *spare_jobs;
    nxi_pg_job **live; /* all, for give_up */
    size_t live_count, live_capacity;
    /* statements */
    nxi_map prepared; /* by key */
    nxi_pg_prepared *latest, *oldest, *unkept;
    size_t prepared_count;
    bool has_strays;             /* a Close was skipped: the server may have more statements than we know of */
    nxi_pg_cursor *cursors;
    nxi_pg_target *targets;
    const nxi_table **without_xmax; /* upserts there count by looking */
    size_t without_xmax_count;
    const nxi_pg_job *asking; /* for one of them; compared only */
    /* what is being received */
    nxi_pg_reader reader;
    size_t fetched_capacity;
    size_t key_at;     /* WRITE: rows of RETURNING that have come */
    uint64_t position; /* fill: stream position of the start of `out` */
    size_t position_base;
} nxi_pg;

/* ------------------------------------------------------------------------------ messages.c */

/* Begin a message; the place of its length. */
size_t nxi_pg_begin(nxi_buf *out, char type);
/* False: it is too long (it was taken back), or there was no memory (out->failed). */
NX_MUST_CHECK bool nxi_pg_end(nxi_buf *out, size_t start);
void nxi_pg_put16(nxi_buf *out, uint16_t x);
void nxi_pg_put32(nxi_buf *out, uint32_t x);
void nxi_pg_put_text(nxi_buf *out, const char *text); /* zero-terminated */
void nxi_pg_put_sync(nxi_buf *out);
void nxi_pg_put_flush(nxi_buf *out);
void nxi_pg_put_execute(nxi_buf *out, const char *portal, uint32_t rows);
void nxi_pg_put_close(nxi_buf *out, char what, const char *name);

/* ------------------------------------------------------------------------------ prepare.c */

void nxi_pg_prepared_init(nxi_pg *pg);
void nxi_pg_prepared_fini(nxi_pg *pg);
/*
 * The prepared form of a statement's variant for these parameter types (0 for a NULL: fits any), with Parse, and Describe where
 * its result must be known, appended where needed. Counts a use for the unit that the caller is about to add. NULL: out of
 * memory.
 */
nxi_pg_prepared *nxi_pg_prepare(nxi_pg *pg, nxi_pg_job *job, const nxi_statement *statement, nxi_pg_variant variant,
                                const nxi_pg_oid *types, size_t type_count, nxi_buf *out);
/*
 * The same for raw SQL, whose parameters may be meant as any type: first the server is asked what it takes them for, and the job
 * has to wait
 * (*ret_waits) until it is called again with what it got, in job->asked.
 */
nxi_pg_prepared *nxi_pg_prepare_raw(nxi_pg *pg, nxi_pg_job *job, const nxi_statement *statement, const nxi_pg_oid *types,
                                    size_t type_count, nxi_buf *out, bool *ret_waits);
/* The body of a ParameterDescription; NX_EPROTOCOL. */
NX_MUST_CHECK nx_status nxi_pg_prepared_types(nxi_pg_prepared *prepared, const uint8_t *body, size_t size);
/* A text of ours, kept when fixed. */
nxi_pg_prepared *nxi_pg_prepare_text(nxi_pg *pg, nxi_pg_job *job, uint64_t key, const char *sql, const nxi_pg_oid *types,
                                     size_t type_count, nxi_buf *out);
void nxi_pg_prepared_done(nxi_pg *pg, nxi_pg_prepared *prepared);
/* All that is prepared may be gone: Parse again before the next use. */
void nxi_pg_prepared_forget(nxi_pg_prepared *prepared);
/* The body of a RowDescription; NX_EPROTOCOL. */
NX_MUST_CHECK nx_status nxi_pg_prepared_describe(nxi_pg *pg, nxi_pg_prepared *prepared, const uint8_t *body, size_t size);

/* An upsert into that table has failed because there is no xmax: from now on its texts do without. False: there is no
 * memory. */
bool nxi_pg_learn_without_xmax(nxi_pg *pg, const nxi_table *table);
bool nxi_pg_lacks_xmax(const nxi_pg *pg, const nxi_table *table);

/* ------------------------------------------------------------------------------ bind.c */

/* The type under which a value is sent. */
nxi_pg_oid nxi_pg_type_of_value(const nx_value *value);
/* The format in which a column of an entity is asked for. */
nxi_pg_format nxi_pg_column_format(const nxi_column *column);
/* Bind of values to the unnamed portal, or to a portal of that name. NX_ELIMIT, NX_EINVAL, NX_ERANGE ...: nothing was appended.
 */
NX_MUST_CHECK nx_status nxi_pg_bind_values(nxi_buf *out, const char *portal, const nxi_pg_prepared *prepared,
                                           const nx_value *values, size_t count, bool as_text, nx_error *error);
/* Bind of one row. */
NX_MUST_CHECK nx_status nxi_pg_bind_row(nxi_buf *out, const nxi_pg_prepared *prepared, const void *row, nx_error *error);
/* Bind of the rows as arrays; `checked`: their number is the last parameter. *ret_row: of the failure, or SIZE_MAX. */
NX_MUST_CHECK nx_status nxi_pg_bind_rows(nxi_buf *out, const nxi_pg_prepared *prepared, void *const *rows, size_t count,
                                         bool checked, size_t *ret_row, nx_error *error);

/* ------------------------------------------------------------------------------ units and jobs: postgres.c */

/* A zeroed state that has no socket yet; the wire's close frees it. */
void nxi_pg_init(nxi_pg *pg, const nx_bind_options *options, nxi_memory *memory);
/* NULL: out of memory. */
nxi_pg_unit *nxi_pg_expect(nxi_pg *pg, nxi_pg_unit_kind kind, nxi_pg_job *job, nxi_pg_prepared *prepared);
/* A message's type and length: 55.7 "Message Formats". */
enum { NXI_PG_HEAD = 5 };
/* The size of the message at data, with its head; 0: not all of the head is there; SIZE_MAX: no message has such a size. */
static inline size_t nxi_pg_message_size(const uint8_t *data, size_t size)
{
    uint32_t length;

    if (size < NXI_PG_HEAD)
        return 0;
    length = nxi_pg_load32(data + 1);
    return length < 4 || length > NXI_PG_MESSAGE_MAX ? SIZE_MAX : (size_t)length + 1;
}

static inline nxi_pg_unit *nxi_pg_front(const nxi_pg *pg)
{
    return pg->unit_count == 0 ? NULL : &pg->units[pg->unit_first];
}
void nxi_pg_drop_front(nxi_pg *pg);
const nxi_pg_unit *nxi_pg_last_unit(const nxi_pg *pg);
nxi_pg_job *nxi_pg_job_new(nxi_pg *pg, nxi_request *request); /* NULL: out of memory */
void nxi_pg_dequeue(nxi_pg *pg);                              /* the first */
void nxi_pg_enqueue(nxi_pg *pg, nxi_pg_job *job);
/* A list, to be sent next: at the front, or behind a job there that is under way. */
void nxi_pg_enqueue_first(nxi_pg *pg, nxi_pg_job *first, nxi_pg_job *last);
/* Its request is over: told to the sink, once. The job is spare as soon as no unit needs it. */
void nxi_pg_job_finish(nxi_pg *pg, nxi_pg_job *job, const nxi_sink *sink);
void nxi_pg_job_release(nxi_pg *pg, nxi_pg_job *job);
static inline nxi_step *nxi_pg_step(const nxi_pg_job *job, size_t step)
{
    return job->dead || job->request == NULL || step >= job->request->step_count ? NULL : &job->request->steps[step];
}

/* The step that is being sent. */
static inline nxi_step *nxi_pg_step_at_hand(const nxi_pg_job *job)
{
    NX_ASSERT(!job->dead && job->step < job->request->step_count);
    return &job->request->steps[job->step];
}

/* ------------------------------------------------------------------------------ train.c */

/* What appending came to. */
typedef enum nxi_pg_sent {
    NXI_PG_SENT_ALL,
    NXI_PG_SENT_SOME, /* `out` is full: more later */
    NXI_PG_SENT_WAITS /* an answer is needed first */
} nxi_pg_sent;

nx_status nxi_pg_put(void *state, nxi_request *request);
bool nxi_pg_fill(void *state, nxi_buf *out, size_t enough, uint64_t position);
/* From the beginning, in that mode. */
void nxi_pg_job_restart(nxi_pg_job *job, nxi_pg_mode mode);
/* It does not wait for a description any more. */
void nxi_pg_job_unasked(nxi_pg *pg, nxi_pg_job *job);
/* Something that the client found wrong: the server is made to fail too, so that nothing of the wave stands. */
void nxi_pg_job_spoil(nxi_pg *pg, nxi_pg_job *job, size_t step, const nx_error *error, nxi_buf *out);
/* The steps from job->step up to `end`. */
nxi_pg_sent nxi_pg_send_steps(nxi_pg *pg, nxi_pg_job *job, size_t end, nxi_buf *out, size_t enough);
/* Stream position of the end of `out`. */
static inline uint64_t nxi_pg_position(const nxi_pg *pg, const nxi_buf *out)
{
    return pg->position + (out->size - pg->position_base);
}
void nxi_pg_cursor_drop(nxi_pg *pg, uint64_t number);

/* ------------------------------------------------------------------------------ block.c */

/* Text without parameters and with no result of interest. False: out of memory. */
NX_MUST_CHECK bool nxi_pg_send_text(nxi_pg *pg, nxi_pg_job *job, const char *sql, nxi_buf *out);
/* What stands in front of the steps of a job's next wave, and behind them; of a dead one, the way back. False: out of memory. */
NX_MUST_CHECK bool nxi_pg_send_start(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out);
NX_MUST_CHECK bool nxi_pg_send_end(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out);
/* Its first step is a savepoint, and what it writes stands behind that. */
static inline bool nxi_pg_has_guard(const nxi_request *request)
{
    return request->step_count > 0 && request->steps[0].kind == NXI_STEP_SAVEPOINT;
}

/* ------------------------------------------------------------------------------ careful.c */

/* What stands before, in and behind the next attempt or step of a careful job; see careful.c. */
NX_MUST_CHECK bool nxi_pg_send_piece_start(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out);
nxi_pg_sent nxi_pg_send_piece(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out, size_t enough);
NX_MUST_CHECK bool nxi_pg_send_piece_end(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out);
/* A wave of a careful job is over. True: there is more to do; false: the job is done or has failed. */
bool nxi_pg_piece_over(nxi_pg *pg, nxi_pg_job *job);
/* The job failed at a write of many rows, and it can be done again piece by piece. */
bool nxi_pg_may_be_careful(const nxi_pg_job *job);

/* ------------------------------------------------------------------------------ write.c, copy.c */

/* The WRITE step at job->step, from job->row on; see nxi_pg_sent. */
nxi_pg_sent nxi_pg_send_write(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out, size_t enough);
/* The tag or rows of a write; body of a DataRow. */
NX_MUST_CHECK nx_status nxi_pg_write_row(nxi_pg *pg, const nxi_pg_unit *unit, const uint8_t *body, size_t size, nx_error *error);
void nxi_pg_write_done(const nxi_pg_unit *unit, int64_t affected);
/* True: a row that must affect something did not, and the client is the one to find it. */
bool nxi_pg_write_missed(const nxi_pg_unit *unit, int64_t affected, nx_error *ret_error);

#define NXI_PG_KEYS_UNKNOWN "nextorm:keys "
/* The way for a COPY of these rows, or NULL: there is none, or (*ret_waits) it was asked for and the job has to wait. */
nxi_pg_target *nxi_pg_copy_target(nxi_pg *pg, nxi_pg_job *job, const nxi_statement *statement, nxi_buf *out, bool *ret_waits);
/* Rows job->row up to `end` of the step. */
nxi_pg_sent nxi_pg_send_copy(nxi_pg *pg, nxi_pg_job *job, nxi_pg_target *target, size_t end, nxi_buf *out, size_t enough);
NX_MUST_CHECK nx_status nxi_pg_copy_keys(const nxi_pg_unit *unit, const uint8_t *body, size_t size, nx_error *error);
NX_MUST_CHECK nx_status nxi_pg_target_row(nxi_pg_target *target, const uint8_t *body, size_t size);
void nxi_pg_target_done(nxi_pg_target *target);
void nxi_pg_targets_fini(nxi_pg *pg);

/* ------------------------------------------------------------------------------ frames.c */

nx_status nxi_pg_decode(void *state, const uint8_t *data, size_t size, const nxi_sink *sink, nx_error *error);
/* What was sent is no protocol: the connection answers nothing any more. NX_EPROTOCOL. */
nx_status nxi_pg_broken(nxi_pg *pg, nx_error *error, const char *what);

/* ------------------------------------------------------------------------------ answer.c */

/* One message of the server. */
NX_MUST_CHECK nx_status nxi_pg_answer(nxi_pg *pg, char type, const uint8_t *body, size_t size, const nxi_sink *sink,
                                      nx_error *error);
/* The transaction begins with this job, or is its own. */
static inline bool nxi_pg_is_begun_by(const nxi_pg_job *job)
{
    return job->is_implicit || job->request->begin != NXI_BEGIN_NONE;
}
/* There is a place to go back to when a wave has failed: it can be sent again. */
static inline bool nxi_pg_can_go_back(const nxi_pg_job *job)
{
    return nxi_pg_is_begun_by(job) || job->has_own_savepoint || nxi_pg_has_guard(job->request);
}

/* Of a job that was given up inside a transaction: what it has done is there, in whole or in part, and can be undone. */
bool nxi_pg_is_wrecked(const nxi_pg *pg, const nxi_pg_job *job);

/* ------------------------------------------------------------------------------ result.c */

NX_MUST_CHECK nx_status nxi_pg_result_row(nxi_pg *pg, nxi_pg_unit *unit, const uint8_t *body, size_t size, nx_error *error);
/*
 * Rows that follow one of the same unit: takes whole DataRow messages as long as they become entities, and returns their bytes.
 * What it leaves is for nxi_pg_result_row, which says what is wrong with it. 0: the unit's rows are no entities.
 */
size_t nxi_pg_result_rows(nxi_pg *pg, const uint8_t *data, size_t size);
/* count: of the tag; suspended: the row limit was reached. */
void nxi_pg_result_done(nxi_pg *pg, nxi_pg_unit *unit, int64_t count, bool suspended);

#endif
