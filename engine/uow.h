/*
 * uow - what a flush of one database has to write: batches of rows per verb, table and column set, in an order that
 * foreign keys allow.
 *
 * Order: inserts with referenced rows first (by table, or row by row where tables refer to each other in a circle; a circle of
 * rows is opened at an optional reference, which an UPDATE sets afterwards), then updates, then deletes with referring
 * rows first.
 */
#ifndef NXI_UOW_H
#define NXI_UOW_H

#include "engine/session.h"
#include "engine/table.h"

typedef enum nxi_batch_verb {
    NXI_BATCH_INSERT,
    NXI_BATCH_UPDATE,
    NXI_BATCH_LATE_UPDATE, /* of an opened circle */
    NXI_BATCH_DELETE
} nxi_batch_verb;

/* Rows of a batch while it is planned. */
typedef struct nxi_batch_chunk {
    struct nxi_batch_chunk *before;
    size_t count, capacity;
    void *rows[];
} nxi_batch_chunk;

typedef struct nxi_batch {
    struct nxi_batch *next;
    nxi_batch_verb verb;
    uint32_t level;              /* order within the verb */
    uint32_t serial;             /* order of making */
    const nxi_table *table;
    const nxi_statement *statement;
    uint64_t hash;
    uint64_t *columns;           /* bit per table column: inserted or changed */
    nxi_batch_chunk *chunk;            /* the last one */
    void **rows;                 /* all of them, once the plan is finished */
    size_t row_count;
} nxi_batch;

typedef struct nxi_plan {
    nx_db *db;
    size_t batch_count;
    nxi_batch **batches;         /* in order */
    size_t row_count;
    nxi_undo_list undo;          /* what was made of the rows */
} nxi_plan;

/*
 * Plan the flush of all pending rows of that database, or of `only`. Rows are made ready (keys, checks) on the way; the
 * first that is refused fails the plan, nothing is sent, and all rows are as they were. Everything is in `arena`.
 */
NX_MUST_CHECK nx_status nxi_plan_build(nx_session *s, nx_db *db, void *only, nxi_arena *arena, nxi_plan *ret_plan,
                                       nx_error *error);

/* One row outside sessions. */
NX_MUST_CHECK nx_status nxi_plan_row(nx_db *db, void *row, nxi_write write, nxi_arena *arena, nxi_plan *ret_plan,
                                       nx_error *error);

/* Steps for the batches; `steps` has room for batch_count. */
void nxi_plan_steps(const nxi_plan *plan, nxi_step *steps);
/* The writes failed in that batch: the number of the row becomes the object that stands there. */
void nxi_plan_name_object(const nxi_plan *plan, size_t batch, nx_error *error);
/* The writes failed, or are not sent: the rows are as they were before the plan, without the keys that the database had assigned. */
void nxi_plan_undo(nxi_plan *plan);
/*
 * The writes stand: states, snapshots and versions of the rows follow. s NULL: outside sessions. `over`: nobody
 * will use the rows' states again.
 */
void nxi_plan_apply(const nxi_plan *plan, nx_session *s, bool over);

/*
 * The writes stand, and the keys that the database made for new rows are not known: those rows are GONE, as if they had been
 * deleted, and are not written again.
 */
void nxi_plan_apply_unseen(const nxi_plan *plan, nx_session *s);

/* Whether anything is pending on that database (db NULL: on any). */
bool nxi_session_is_dirty(const nx_session *s, const nx_db *db);

#endif
