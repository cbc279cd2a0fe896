/*
 * db_transaction - the part of a session that belongs to one database: its open transaction, the savepoints that are set in it,
 * and how it ended.
 *
 *   none --attach of a write, or of a read with isolation--> open --answered: in_transaction is false--> none
 *
 * Here alone a transaction begins, is marked and closes, and here alone the session looks at what the server says about it.
 * Savepoints are recorded as they are set: their name is their place (from 1), and each belongs to the level of the session that
 * needs it. A nested session sets one before its first write, unless the transaction began in it; when it ends well, the
 * savepoint is released, or becomes that of the session around it where that one has none and will need one.
 *
 * Threads: the loop's own.
 */
#ifndef NXI_DB_TRANSACTION_H
#define NXI_DB_TRANSACTION_H

#include "engine/db.h"

/* A request that rolls a transaction back when no operation waits for it; made beforehand, so that it cannot fail. */
typedef struct nxi_deferred_rollback { nxi_request request; nxi_arena arena; nx_db *db; } nxi_deferred_rollback;

typedef struct nxi_part {
    nx_db *db;             /* NULL: the database was freed or closed under the session */
    uint64_t transaction;  /* open transaction, or 0 */
    uint32_t begin_level;  /* level of the session that began it */
    uint32_t *marks;       /* level of each savepoint that is set, ascending */
    uint32_t mark_count, mark_capacity;
    uint32_t undo_to;      /* a nested session was given up: only so many savepoints are to stay; NXI_UNDO_NONE */
    bool wrote;            /* in it, or has taken locks */
    bool unrepeatable;     /* SQL text or a set-based write was run in it: no row's pending work would do that again */
    bool lost_work;        /* such a transaction was undone, and not by the application */
    nx_outcome outcome;    /* of the last transaction */
    nxi_deferred_rollback *rollback;
} nxi_part;

enum { NXI_UNDO_NONE = UINT32_MAX };

struct nx_session;

/* The part of a database, made when it is missing; NULL: out of memory. */
nxi_part *nxi_session_part(struct nx_session *s, nx_db *db);
nxi_part *nxi_session_part_of(const struct nx_session *s, const nx_db *db); /* NULL: it has none */

/*
 * Fill in how a request of this session runs on its database: its transaction, a begin if one is needed. `writes`: what it
 * carries changes data or takes locks. After it is done nxi_session_answered keeps the part's state. Fails when the database is
 * closed, without memory, and for a write in a read-only session.
 */
NX_MUST_CHECK nx_status nxi_session_attach(struct nx_session *s, nxi_call *call, bool writes, nx_error *error);
/*
 * Look at what the answer says of the transaction. One that is over without having been asked to is lost: so is the
 * session's work.
 */
void nxi_session_answered(struct nx_session *s, const nxi_call *call);
bool nxi_session_has_transaction(const struct nx_session *s, uint64_t transaction);

/* Steps that must run before the next write (`writes`), or read, of a session of that level; at most 3. */
size_t nxi_part_mark_steps(const nxi_part *part, uint32_t level, bool writes, nxi_step steps[3]);
/* They ran. */
void nxi_part_marked(nxi_part *part, uint32_t level, bool writes);
/* Room for one more savepoint; false: out of memory. */
NX_MUST_CHECK bool nxi_part_reserve_mark(nxi_part *part, nxi_memory *memory);

/* Savepoints from place `count` + 1 on are gone. */
void nxi_part_unmarked(nxi_part *part, uint32_t count);

/* A nested session of that level is undone: how. */
typedef enum nxi_part_way { NXI_PART_UNTOUCHED, NXI_PART_TO_MARK, NXI_PART_WHOLE } nxi_part_way;
/* *ret_mark: the savepoint to go back to, and to release. */
nxi_part_way nxi_part_way_back(const nxi_part *part, uint32_t level, uint32_t *ret_mark);
/* A nested session of that level ends well, under one of `outer`: true: this savepoint is to be released. */
bool nxi_part_ends_level(nxi_part *part, uint32_t level, uint32_t outer, uint32_t *ret_mark);

/* Some work was lost that the session cannot do again; it is forgotten. */
bool nxi_session_take_lost_work(struct nx_session *root);

/* The transaction is over. */
void nxi_part_close(nxi_part *part, nx_outcome outcome);
/* Roll back without an operation that waits for it. */
void nxi_part_roll_back_deferred(nxi_part *part);
void nxi_parts_fini(nxi_part *parts, size_t capacity, nxi_memory *memory);

#endif
