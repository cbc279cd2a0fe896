/*
 * planner_order - what the parts of the ordering of single rows share.
 */
#ifndef NXI_PLANNER_ORDER_H
#define NXI_PLANNER_ORDER_H

#include "engine/planner.h"

enum { NXI_NO_OP = UINT32_MAX };

typedef struct nxi_weaver {
    nxi_planner *p;
    nxi_graph graph;
    nxi_plan_op *ops;
    uint32_t count;
    uint32_t *fresh; /* op of each row of rows->fresh; NULL: there is none */
    nxi_map stored;  /* ops of rows that the database has, by address; filled when one is asked for */
    nxi_map keyed;   /* ops of new rows that have a key, by key; filled when one is asked for */
    bool stored_made, keyed_made;
    nx_value *key;   /* scratch */
    uint32_t *level; /* by op */
    bool all;        /* rows of all verbs are in it */
} nxi_weaver;

/* The graph has no order: which rows are in the way. Sets the error. */
nx_status nxi_weaver_refuse_circle(nxi_weaver *w);
/* Columns of edges that were cut get statements of their own: PARK before, LATE_UPDATE after. */
NX_MUST_CHECK nx_status nxi_weaver_split(nxi_weaver *w);
/* The batches of all ops, in order; they become that run of the planner. */
NX_MUST_CHECK nx_status nxi_weaver_make_batches(nxi_weaver *w, size_t run);

#endif
