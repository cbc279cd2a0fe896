/*
 * finish - the state machine that flushes, commits, ends and rolls back: shared by its files.
 *
 *   start --> PLAN --> FLUSH (each database) --> APPLY --+--> RELEASE_GUARDS --> by `how`:
 *                        |                              |      FLUSH: done
 *                        v a write failed               |      a nested END: RELEASE_MARKS --> done
 *                      UNDO_FLUSH --> failed            |      COMMIT, END of a root: COMMIT (each database) --> done
 *                                                       |                                  |
 *   ROLLBACK: ROLL_BACK --> done                        |                                  v the first one failed
 *   a failed END: ROLL_BACK --> failed                  |                                ROLL_BACK --> failed
 *                                                       +-- writes and COMMIT in one request, where one database is concerned
 *
 * Objects follow in APPLY only, when the writes of all databases were answered: a failed flush has changed nothing in memory.
 * ROLL_BACK, UNDO_FLUSH and the COMMITs behind the first one are never stopped.
 */
#ifndef NXI_FINISH_H
#define NXI_FINISH_H

#include "engine/session.h"
#include "engine/uow.h"

/* What a flush has done to one part of the session. */
typedef struct nxi_flushed {
    nxi_plan plan;
    bool begun;   /* the transaction began with it */
    bool guarded; /* it stands behind a savepoint of its own, which is set */
    bool written; /* and the writes were answered */
} nxi_flushed;

/* A row that is written by an operation of its own (nx_save, nx_insert, nx_delete). */
typedef struct nxi_member {
    struct nxi_member *next;
    struct nxi_finishing *finish; /* of its operation */
    nxi_op *op;
    void *row;
    nxi_write write;
    uint8_t state;                /* of the row before */
    bool marked;                  /* the row is to be deleted because of it */
} nxi_member;

typedef struct nxi_finishing {
    nx_session *session;
    nxi_op *op;
    nxi_finish how;
    void (*then)(nxi_op *op, void *context); /* of a flush before another operation: goes on with that; NULL: none */
    void *then_context;
    nx_db *only_db;          /* of one database only; NULL: of all */
    nxi_member own;          /* own.row: of these rows only */
    nxi_member *members;     /* operations that share this flush, `own` first; NULL: it is of all rows */
    bool alone;              /* its rows did not stand together with others: no more sharing */
    nxi_flushed *parts;      /* one for each part of the session */
    size_t part_count;
    size_t several;          /* databases with something to write */
    size_t at;               /* the part at hand */
    size_t committed;        /* parts that are committed */
    bool combined;           /* writes and COMMIT in one request */
    bool applied;            /* objects have followed */
    int64_t rows;
    nx_status status;        /* of the first failure */
    nx_error error;
} nxi_finishing;

nxi_finishing *nxi_finishing_new(nx_session *s, nxi_op *op, nxi_finish how);
/* The turn has come. */
void nxi_finishing_start(nxi_op *op, void *context);

/* Planning and writing have put something into the rows: it is taken back, unless the objects have followed. */
void nxi_finishing_take_back(nxi_finishing *f);
/* The first failure is kept; error NULL: a general one. */
void nxi_finishing_keep(nxi_finishing *f, nx_status status, const nx_error *error);
/* The operation ends and leaves its session. */
void nxi_finishing_succeed(nxi_finishing *f);
void nxi_finishing_fail(nxi_finishing *f);

/* session_commit.c: from `at` 0 on */
void nxi_finishing_commit(nxi_finishing *f);
void nxi_finishing_forget_outcomes(const nxi_finishing *f); /* of earlier transactions */
void nxi_finishing_committed(nxi_finishing *f); /* all of it */
void nxi_finishing_release_marks(nxi_finishing *f);
/* Roll the session back; then the operation ends, with the failure that was kept or well. */
void nxi_finishing_roll_back(nxi_finishing *f);
/* Writes and COMMIT failed in one request. */
void nxi_finishing_combined_failed(nxi_finishing *f, const nxi_request *request);

/* session_write.c: the members' operations end, or run again one by one. */
void nxi_members_succeed(nxi_finishing *f);
void nxi_members_fail(nxi_finishing *f);
NX_MUST_CHECK nx_status nxi_members_begin(nxi_finishing *f);
/* Their rows. */
NX_MUST_CHECK nx_status nxi_members_collect(nxi_finishing *f, nxi_plan_rows *ret_rows);

#endif
