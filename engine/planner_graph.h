/*
 * planner_graph - what must be done before what, and an order of it.
 *
 * Nodes are numbers; an edge says that `to` goes before `from`. A soft edge may be cut: its user then writes one column of one of
 * the two rows by a statement of its own. The order keeps all edges that are not cut. Time and memory are linear in nodes and
 * edges, whatever the graph looks like; nothing recurses.
 *
 * Ownership: the arrays belong to the graph until nxi_graph_fini. Threads: the loop's own.
 */
#ifndef NXI_PLANNER_GRAPH_H
#define NXI_PLANNER_GRAPH_H

#include "engine/memory.h"

enum {
    NXI_EDGE_DATA = 0x00ffffff, /* bits of a label that are the user's own */
    NXI_EDGE_SOFT = 0x10000000,
    NXI_EDGE_CUT = 0x20000000 /* set by nxi_graph_order */
};

typedef struct nxi_edge {
    uint32_t to, label;
} nxi_edge;

/* A node on the path of a search, and its edge that is followed next. */
typedef struct nxi_visit {
    uint32_t node, next;
} nxi_visit;

typedef struct nxi_graph {
    nxi_memory *memory;
    uint32_t count; /* nodes */
    size_t edge_count, edge_capacity;
    bool sorted;     /* edges were added in the order of their nodes */
    uint32_t *from;  /* of each edge; not after nxi_graph_order */
    nxi_edge *edges; /* after nxi_graph_order: of node n: edges[first[n] .. first[n + 1]) */
    uint32_t *first;
    uint32_t *order; /* all nodes, what goes first first */
    size_t cut_count;
    /* A circle of edges that are not soft, when there is no order: edge i leads from node i to node i + 1, the last to the first.
     */
    const uint32_t *circle_nodes, *circle_edges;
    uint32_t circle_count;
    /* the search's own */
    uint32_t *spare, *component;
    nxi_visit *stack;
    uint8_t *mark;
} nxi_graph;

/* At most UINT32_MAX - 1 nodes. */
void nxi_graph_init(nxi_graph *g, nxi_memory *memory, uint32_t count);
void nxi_graph_fini(nxi_graph *g);
/* False: out of memory, or too many edges. */
NX_MUST_CHECK bool nxi_graph_add(nxi_graph *g, uint32_t from, uint32_t to, uint32_t label);
/*
 * Find the order; once. Nodes without edges between them keep the order of their numbers. NX_EVALUE: there is a circle of edges
 * that are not soft. NX_ENOMEM.
 */
NX_MUST_CHECK nx_status nxi_graph_order(nxi_graph *g);

#endif
