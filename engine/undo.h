/*
 * undo - what rows were before a transaction, or a nested session, changed what is known of them.
 *
 * A frame belongs to a root session (its transaction) or to a nested session. Before a write or a read replaces the baseline of a
 * row, the frame keeps an image of it: struct, snapshot, state. One mechanism then serves every way back: a rollback, a nested
 * rollback, a transaction that is lost, a COMMIT that fails on one of several databases. A failed flush needs none: the baseline
 * follows only writes that were answered.
 *
 * Images are raw copies: what their pointers lead to is owned by the root session before an image is taken.
 * Threads: the loop's own.
 */
#ifndef NXI_UNDO_H
#define NXI_UNDO_H

#include "engine/workset.h"

typedef struct nxi_image {
    struct nxi_image *next;
    nxi_row *row;
    uint32_t lazy_missing, stamp;
    uint16_t flags;
    uint8_t state;
    char *bytes;               /* struct and snapshot */
} nxi_image;

typedef struct nxi_frame {
    nxi_arena arena;
    nxi_image *images;         /* the latest first */
    uint32_t start;            /* what has this stamp or a later one happened in it */
    uint32_t end;              /* its session was freed then, with operations in flight; UINT32_MAX: it goes on */
} nxi_frame;

/* How a transaction is undone. */
typedef enum nxi_undo_mode {
    NXI_UNDO_REVERT, /* by the application: values are the last committed or read ones, pending changes are dropped */
    NXI_UNDO_RETRY   /* by a failure: as if it had not been tried: values stay, and all is pending again */
} nxi_undo_mode;

/* Where the rows are, and which of them are meant. */
typedef struct nxi_undoing {
    nxi_workset *ws;
    nxi_frame *frame;
    const void *db;      /* NULL: of all databases */
    nxi_undo_mode mode;
} nxi_undoing;

void nxi_frame_begin(nxi_frame *frame, nxi_workset *ws);
void nxi_frame_fini(nxi_frame *frame);
/* The transaction of a root session is over: images are given up, and what follows is later. */
void nxi_frame_restart(nxi_frame *frame, nxi_workset *ws);
/* A nested session has ended well: its images are the outer frame's. */
void nxi_frame_merge(nxi_frame *outer, nxi_frame *inner);
/* Images of one database's rows are given up: its transaction is over, others' are not. */
void nxi_frame_forget_db(nxi_frame *frame, const void *db);

/* Before the baseline of a row is replaced: keep its image unless the frame has one. False: out of memory. */
NX_MUST_CHECK bool nxi_frame_keep(nxi_frame *frame, const nxi_frame *root, nxi_row *row);
/* The row is written or read now. */
void nxi_frame_stamp(const nxi_frame *root, nxi_row *row, uint32_t now);
/* A nested session begins: keep what is pending now, with texts of the session's own. False: out of memory. */
NX_MUST_CHECK bool nxi_frame_capture(nxi_frame *frame, nxi_workset *ws, nxi_arena *texts);

/*
 * Undo the transaction of a root session. Rows that it inserted are new and pending again, automatic keys cleared; others
 * have the baseline of before and are to be read again. False: out of memory; some rows are not known any more.
 */
NX_MUST_CHECK bool nxi_undo_transaction(const nxi_undoing *undo);
/* Undo a nested session: values, baseline and pending work are as at its begin; rows that it made are GONE. Errors as above. */
NX_MUST_CHECK bool nxi_undo_nested(const nxi_undoing *undo);

#endif
