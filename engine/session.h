/*
 * session - the unit of work as an object: its rows, its transactions, the order of its operations.
 *
 * Operations of a session run in the order in which they were queued. Reads may overlap with reads; whatever writes,
 * or must flush first, runs alone; writes of single rows that were queued one behind the other leave together (session_write.c).
 * Each database that the session touches is a part with, at most, one open transaction (db_transaction.h).
 * A nested session is a frame of images (undo.h) and a savepoint on the parts of its root; rows and identity map are the root's.
 */
#ifndef NXI_SESSION_H
#define NXI_SESSION_H

#include "engine/db.h"
#include "engine/db_transaction.h"
#include "engine/query.h"
#include "engine/undo.h"
#include "nextorm/session.h"

struct nxi_plan_rows;

struct nx_session {
    nx_loop *loop;
    struct nx_session *next;       /* of the loop */
    struct nx_session *outer;      /* nested: the session around it */
    struct nx_session *root;       /* itself, or the outermost */
    struct nx_session *inner;      /* the nested session that is in use */
    struct nx_session *fate;       /* whose rollback is its own: itself, or, joined, that of the session around it */
    nx_session_options options;
    nxi_arena arena;
    nxi_workset rows;              /* root only */
    nxi_frame frame;               /* of a session that is its own fate */
    nxi_part *parts;               /* root only */
    size_t part_count, part_capacity;
    nxi_op *waiting_first, *waiting_last;
    size_t running;                /* operations in flight; on the root: of all its sessions */
    size_t leaving;                /* root: nested sessions that were freed with operations in flight */
    bool exclusive;                /* the one in flight runs alone */
    bool ended;
    bool failed;                   /* of a fate: its work was lost: only a rollback or the end is possible */
    bool has_acted;                /* joined: something was done in it that its outer session has not undone */
    bool pumping, doomed;
    bool has_doubts;               /* root: some row may be NXI_ROW_DOUBTFUL */
    uint32_t level;                /* of its savepoint: 0: the root; joined: that of its fate */
    nx_outcome outcome;
    nx_error error;
    struct nx_query *queries;
    const nxi_table *last_table;   /* of the last nx_new_row: most calls ask for the same */
};

nx_session *nxi_session_new(nx_loop *loop, nx_session *outer, const nx_session_options *options);
/* A nested session; NULL: `outer` cannot have one now, or out of memory: outer->error says. */
nx_session *nxi_session_nested(nx_session *outer, const nx_session_options *options);
void nxi_session_free(nx_session *s);
/* The structs that are kept for reuse. */
void nxi_sessions_fini(nx_loop *loop);
/* A database goes away: its part is dropped from every session; what was open there is rolled back by the driver. */
void nxi_sessions_forget_db(nx_loop *loop, nx_db *db);
/* The last operation in flight of a session that was freed has ended. */
void nxi_session_left(nx_session *s);

/* NX_OK, or NX_ESTATE with the reason: ended, or a nested session is in use. */
nx_status nxi_session_check(const nx_session *s, nx_error *error);

/* ---- turns: session_turn.c */

/* What an operation could see of what is pending. */
typedef struct nxi_sight {
    nx_db *db;                           /* NULL: nothing */
    const nxi_select *select;            /* NULL: all of the database (SQL text) */
    bool by_key;                         /* it asks for one row by its key: a known one is answered from memory */
} nxi_sight;

/*
 * An operation's turn in its session. `shared` ones overlap. start is called when the turn has come and must lead to
 * nxi_session_leave once the operation is finished.
 */
typedef struct nxi_turn {
    nx_session *session;
    bool shared;
    bool unmarked;                       /* needs no savepoint of its session: a rollback */
    bool finishes;                       /* runs also when the transaction was lost, and says so itself */
    nxi_sight sees;                      /* pending changes that it could see are flushed first */
    void (*start)(nxi_op *op, void *context);
    void *context;
} nxi_turn;
void nxi_session_enter(nxi_op *op, const nxi_turn *turn);
void nxi_session_leave(nx_session *s);
/* Operations that wait for their turn end with NX_ECLOSED: all of the root's, those of one session, or those of one database. */
void nxi_session_refuse_waiting(nx_session *root, const nx_session *only, const nx_db *db);
/* The context of the next operation that waits, if it starts with that function in that session; NULL: it does not. */
void *nxi_session_next_waiting(const nx_session *s, void (*start)(nxi_op *op, void *context));
/* That operation leaves the queue: it shares the turn of another one, and its end is that one's affair. */
nxi_op *nxi_session_take_next(nx_session *s);
/* It waits again, before all others. False: out of memory. */
NX_MUST_CHECK bool nxi_session_put_back(nxi_op *op, const nxi_turn *turn);

/* ---- rows: session_rows.c */

void *nxi_session_new_row(nx_session *s, const nx_entity *entity);
void *nxi_session_add_row(nx_session *s, void *row);
NX_MUST_CHECK nx_status nxi_session_delete_row(nx_session *s, void *row);
/* The program says that it has changed the row. */
void nxi_session_touch(void *row);
/* Rows that a query of the session loaded: known ones take their place, others become known. false: out of memory. */
NX_MUST_CHECK bool nxi_session_learn(nx_session *s, void **rows, size_t count, nxi_arena *arena);
/* The row that the session knows by that key, if what it says is up to date. */
void *nxi_session_known(nx_session *s, const nxi_table *table, const nx_value *key);
/* Set-based writes on a table, or SQL text, may have changed rows behind the session: they are read again when next loaded. */
void nxi_session_expire(nx_session *s, const nxi_table *table, bool deleted);
void nxi_session_expire_db(nx_session *s, const nx_db *db);
/* A write to rows of that table may have changed these tables' rows. */
void nxi_session_touched(nx_session *s, const nxi_table *table, const nxi_touched *touched);
/* NX_EABORTED: nothing but a rollback or the end is possible. */
nx_status nxi_session_fail_aborted(nx_error *error);
/* The frame that a write or a read of this session belongs to. */
static inline nxi_frame *nxi_session_frame(nx_session *s) { return &s->fate->frame; }
/* The time of what happens now in this session. */
uint32_t nxi_session_now(const nx_session *s);

/* ---- pending work: session_pending.c */

/* Something that could be seen is pending. */
bool nxi_session_is_dirty(nx_session *s, const nxi_sight *sight);
/* Anything is pending on that database. */
bool nxi_session_has_pending(nx_session *s, const nx_db *db);
/* NX_ESTATE: whether its last write was committed is unknown. */
nx_status nxi_row_refuse_doubtful(const nxi_row *row, nx_error *error);
/*
 * An UPDATE or DELETE by a key that was given to another row since would write that one: NX_EOPTIMISTIC, and the object is GONE.
 */
NX_MUST_CHECK nx_status nxi_session_check_keys(nx_session *s, const struct nxi_plan_rows *rows, nx_error *error);
/* The rows of that database that a flush looks at, in `arena`; `only`: of these rows. */
NX_MUST_CHECK nx_status nxi_session_collect(nx_session *s, const nx_db *db, nxi_arena *arena, struct nxi_plan_rows *ret_rows,
                                            nx_error *error);

/* ---- undo: session_undo.c */

/* A transaction was lost: nothing of the session's work stands, and all of it is pending again. Only a rollback can follow. */
void nxi_session_lost(nx_session *root);
/* The work of this session, a fate, is undone in the database: so it is in memory. */
void nxi_session_undo(nx_session *fate, nxi_undo_mode mode);
/* Of a root session, on one database only. */
void nxi_session_undo_db(nx_session *root, const nx_db *db);
/* The outcome of that transaction is unknown: what was written in it refuses writes until it is read again. */
void nxi_session_doubt(nx_session *root, const nx_db *db);
void nxi_row_doubt(nx_session *root, nxi_row *row);
/* All transactions of a root session are over. */
void nxi_session_over(nx_session *root);
/* A nested session, freed without an end, is undone: in memory at once, in the database before the next operation. */
void nxi_session_give_up(nx_session *s);

/* ---- flush, commit, end, rollback: session_finish.c */

typedef enum nxi_finish { NXI_FINISH_FLUSH, NXI_FINISH_COMMIT, NXI_FINISH_END, NXI_FINISH_ROLLBACK } nxi_finish;
nx_op nxi_session_finish_op(nx_session *s, nxi_finish how, void *tag);
/* A flush inside an operation's turn, before it starts: then(op, context) follows, or the operation fails and leaves. */
void nxi_session_flush_first(nx_session *s, nxi_op *op, nx_db *db, void (*then)(nxi_op *op, void *context), void *context);
/* The default deadline of the session's operations. */
uint32_t nxi_session_deadline(const nx_session *s);

/* ---- single rows: session_write.c, session_load.c */

nx_op nxi_session_write_row(nx_session *s, void *row, nxi_write write, void *tag);
nx_op nxi_session_raw(nx_session *s, nx_db *db, const nxi_raw *raw, bool rows, void *tag);
nx_op nxi_session_load(nx_session *s, void *row, const nxi_column *only, void *tag);

#endif
