/*
 * uow - what a flush of one database has to write: batches of rows per verb, table and column set, in an order that
 * foreign keys and unique constraints allow.
 *
 * Order: inserts with referenced rows first, then updates, then deletes with referring rows first. Between tables that do not
 * refer to each other in a circle the order of the tables is enough; rows of other tables are ordered one by one. A circle of
 * rows is opened at an optional reference: a new row gets it by an UPDATE afterwards, a row to be deleted loses it by an UPDATE
 * before.
 *
 * When a row takes a unique value (or a key) that another row of the same flush gives up, all rows of the flush are ordered one
 * by one, whatever their verbs, so that the value is given up first. A circle of such rows goes through NULL where that is
 * possible; else the flush fails before anything is sent, and names two rows of it.
 */
#ifndef NXI_UOW_H
#define NXI_UOW_H

#include "engine/session.h"
#include "engine/table.h"

typedef enum nxi_batch_verb {
    NXI_BATCH_PARK, /* an UPDATE to NULL before all others; its rows are copies, see nxi_plan_object */
    NXI_BATCH_INSERT,
    NXI_BATCH_UPDATE,
    NXI_BATCH_LATE_UPDATE, /* columns that the row's INSERT or UPDATE left out */
    NXI_BATCH_DELETE
} nxi_batch_verb;

/* A row is in one batch of INSERT, UPDATE or DELETE, and perhaps in one PARK before it and one LATE_UPDATE after it. */
typedef struct nxi_batch {
    uint64_t order;              /* among all batches */
    uint32_t serial;             /* among those of one order */
    nxi_batch_verb verb;
    bool counts_version;         /* the statement counts the version up */
    const nxi_table *table;
    const nxi_statement *statement;
    const uint64_t *columns;     /* bit per table column: inserted or changed */
    void **rows;
    size_t row_count;
} nxi_batch;

typedef struct nxi_plan {
    nx_db *db;
    size_t batch_count;
    nxi_batch **batches;         /* in order */
    size_t row_count;            /* rows that are written, each once */
    nxi_undo_list undo;          /* what was made of the rows */
} nxi_plan;

/*
 * Rows of one flush. Entries may be NULL, and rows of other databases or states: they are passed over. A row in `fresh` has its
 * index as nxi_row.place.
 */
typedef struct nxi_plan_rows {
    nxi_row *const *fresh;    /* to be inserted: state NEW */
    size_t fresh_count;
    nxi_row *const *known;    /* stored rows that may have changed: compared here */
    size_t known_count;
    nxi_row *const *deleting; /* state DELETING */
    size_t deleting_count;
} nxi_plan_rows;

/*
 * Plan the flush of those rows; `partial`: other rows of the session are pending and are not written with them. Rows are made
 * ready (keys, checks) on the way; the first that is refused fails the plan and nothing is sent. Only the rows given and
 * those that they refer to are looked at; time is n log n in them. Everything is in `arena`.
 */
NX_MUST_CHECK nx_status nxi_plan_build(nx_session *s, nx_db *db, const nxi_plan_rows *rows, bool partial, nxi_arena *arena,
                                       nxi_plan *ret_plan, nx_error *error);

/* One row outside sessions. */
NX_MUST_CHECK nx_status nxi_plan_row(nx_db *db, void *row, nxi_write write, nxi_arena *arena, nxi_plan *ret_plan,
                                       nx_error *error);

/* Steps for the batches; `steps` has room for batch_count. */
void nxi_plan_steps(const nxi_plan *plan, nxi_step *steps);
/* The row that a batch's row stands for. */
static inline void *nxi_plan_object(const nxi_batch *batch, size_t row)
{
    return batch->verb == NXI_BATCH_PARK ? nxi_row_of(batch->rows[row])->owner : batch->rows[row];
}
/* The writes failed in that batch: the number of the row becomes the object that stands there. */
void nxi_plan_name_object(const nxi_plan *plan, size_t batch, nx_error *error);
/*
 * The writes failed, or are not sent: the rows are as they were before the plan, without the keys that the database had
 * assigned.
 */
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
/* Whether the writes stand is unknown: the rows refuse writes until they are read again. */
void nxi_plan_doubt(const nxi_plan *plan, nx_session *s);

#endif
