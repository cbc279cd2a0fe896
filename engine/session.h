/*
 * session - the unit of work as an object: its rows, its transactions, the order of its operations.
 *
 * Operations of a session run in the order in which they were queued. Reads may overlap with reads; whatever writes,
 * or must flush first, runs alone. Each database that the session touches is a part with, at most, one open transaction.
 * A nested session is a savepoint on the parts of its root; rows and identity map are the root's.
 */
#ifndef NXI_SESSION_H
#define NXI_SESSION_H

#include "engine/db.h"
#include "engine/identity.h"
#include "engine/query.h"
#include "nextorm/session.h"

/* A request that rolls a transaction back when nobody waits for it; made beforehand, so that it cannot fail. */
typedef struct nxi_farewell { nxi_request request; nxi_arena arena; nx_db *db; } nxi_farewell;

typedef struct nxi_part {
    nx_db *db;                /* NULL: the database was freed or closed under the session */
    uint64_t transaction;     /* open transaction, or 0 */
    uint32_t born;            /* level of the session that began it */
    uint32_t level;           /* savepoints that are set in it */
    bool wrote;               /* in it, or has taken locks */
    uint32_t undo;            /* savepoint of a nested session that was given up: to be undone before anything else; 0: none */
    nxi_farewell *farewell;
} nxi_part;

/* What a row was when a nested session began: to go back to. */
typedef struct nxi_saved { struct nxi_saved *next; void *row, *image; uint8_t state; } nxi_saved;

/* A row that was deleted in the present transaction: to bring back when it is undone. */
typedef struct nxi_gone { struct nxi_gone *next; void *row; uint16_t number; } nxi_gone;

struct nx_session {
    nx_loop *loop;
    struct nx_session *next;       /* of the loop */
    struct nx_session *outer;      /* nested: the session around it */
    struct nx_session *root;       /* itself, or the outermost */
    struct nx_session *inner;      /* the nested session that is in use */
    nx_session_options options;
    nxi_arena arena;
    nxi_identity identity;         /* root only, as all lists of rows */
    nxi_gone *gone;                /* the latest first */
    nxi_row *new_first, *new_last; /* to be inserted, in the order of their making */
    uint16_t number;               /* stamped on rows that are written; grows with every transaction and nested session */
    uint16_t transaction_number;   /* number when the present transaction began */
    nxi_part *parts;
    size_t part_count, part_capacity;
    size_t primary;                /* the first part that was used */
    nxi_op *waiting_first, *waiting_last;
    size_t running;                /* operations in flight; on the root: of all its sessions */
    bool exclusive;                /* the one in flight runs alone */
    bool ended;
    bool failed;                   /* a transaction was lost: only a rollback or the end is possible */
    bool pumping, doomed;
    uint32_t level;                /* nested: its savepoint */
    nxi_saved *saved;              /* nested */
    nx_outcome outcome;
    nx_error error;
    struct nx_query *queries;
    const nxi_table *last_table;   /* of the last nx_new_row: most calls ask for the same */
};

nx_session *nxi_session_new(nx_loop *loop, nx_session *outer, const nx_session_options *options);
void nxi_session_free(nx_session *s);
/* The structs that are kept for reuse. */
void nxi_sessions_fini(nx_loop *loop);
/* A database goes away: its part is dropped from every session; what was open there is rolled back by the driver. */
void nxi_sessions_forget_db(nx_loop *loop, nx_db *db);

/* The part of a database, made when it is missing; NULL: out of memory. */
nxi_part *nxi_session_part(nx_session *s, nx_db *db);

/* NX_OK, or NX_ESTATE with the reason: ended, or a nested session is in use. */
nx_status nxi_session_check(const nx_session *s, nx_error *error);

/*
 * An operation's turn in its session. `shared` ones overlap. start is called when the turn has come and must lead to
 * nxi_session_leave once the operation is finished.
 */
typedef struct nxi_turn {
    nx_session *session;
    bool shared;
    bool flush_first;                    /* pending changes are flushed before start */
    void (*start)(nxi_op *op, void *context);
    void *context;
} nxi_turn;
void nxi_session_enter(nxi_op *op, const nxi_turn *turn);
void nxi_session_leave(nx_session *s);

/*
 * Fill in how a request of this session runs on its database: its transaction, a begin if one is needed. `writes`: what it
 * carries changes data or takes locks. After it is done nxi_session_answered keeps the part's state. Fails when the database is
 * closed, without memory, and for a write in a read-only session.
 */
NX_MUST_CHECK nx_status nxi_session_attach(nx_session *s, nxi_call *call, bool writes, nx_error *error);
void nxi_session_answered(nx_session *s, nxi_call *call);
bool nxi_session_has_transaction(const nx_session *s, uint64_t transaction);

void *nxi_session_new_row(nx_session *s, const nx_entity *entity);
void *nxi_session_add_row(nx_session *s, void *row);
NX_MUST_CHECK nx_status nxi_session_delete_row(nx_session *s, void *row);

/* Rows of a table may have changed behind the session: they are read again when next loaded. */
void nxi_session_expire(nx_session *s, const nxi_table *table);

/* Rows that a query of the session loaded: known ones take their place, others become known. false: out of memory. */
NX_MUST_CHECK bool nxi_session_learn(nx_session *s, void **rows, size_t count, nxi_arena *arena);

/* Row states after a rollback: rows written since become new again, others are to be read again. */
void nxi_session_undo(nx_session *s);
/* Of one database only: its transaction failed while others were committed. */
void nxi_session_undo_db(nx_session *root, const nx_db *db);
/* The same for a nested session: back to what was when it began. */
void nxi_session_undo_nested(nx_session *s);
/* A flush inside an operation's turn, before it starts: then(op, context) follows, or the operation fails and leaves. */
void nxi_session_flush_first(nx_session *s, nxi_op *op, void (*then)(nxi_op *op, void *context), void *context);

/* Every stored row is read again when it is next loaded. */
void nxi_session_expire_all(nx_session *root);
void nxi_session_next_number(nx_session *root);
/* Nested: keep what is pending now, to go back to. false: out of memory. */
NX_MUST_CHECK bool nxi_session_save_images(nx_session *s);

typedef enum nxi_finish { NXI_FINISH_FLUSH, NXI_FINISH_COMMIT, NXI_FINISH_END, NXI_FINISH_ROLLBACK } nxi_finish;
nx_op nxi_session_finish_op(nx_session *s, nxi_finish how, void *tag);
/* Flush one row only (nx_save, nx_insert, nx_delete on a session's row). */
nx_op nxi_session_write_row(nx_session *s, void *row, nxi_write write, void *tag);
nx_op nxi_session_raw(nx_session *s, nx_db *db, const nxi_raw *raw, bool rows, void *tag);
nx_op nxi_session_load(nx_session *s, void *row, const nxi_column *only, void *tag);

#endif
