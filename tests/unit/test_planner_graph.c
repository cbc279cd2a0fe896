/*
 * planner_graph: the order keeps every edge that is not cut, only soft edges are cut, and a circle that cannot be opened is told.
 */
#include <criterion/criterion.h>

#include "engine/planner_graph.h"

static nxi_memory *memory;

static void open_memory(void)
{
    memory = nxi_memory_new(0);
    cr_assert_not_null(memory);
}

static void close_memory(void)
{
    nxi_memory_free(memory);
}

TestSuite(planner_graph, .init = open_memory, .fini = close_memory);

static uint64_t seed = 1;

static uint32_t below(uint32_t end)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % end;
}

/* The edges as they were added: the graph sorts its own. */
typedef struct plain {
    uint32_t from, to, label;
} plain;

enum { NODES_MAX = 64, EDGES_MAX = 256 };

/* Whether there is an order for the edges that are not soft: by taking away nodes that need nothing. */
static bool is_possible(const plain *edges, size_t count, uint32_t nodes)
{
    bool gone[NODES_MAX] = { false };
    uint32_t left = nodes;

    for (bool found = true; found;) {
        found = false;
        for (uint32_t n = 0; n < nodes; n++) {
            bool needs = gone[n];
            for (size_t e = 0; e < count && !needs; e++)
                needs = edges[e].from == n && (edges[e].label & NXI_EDGE_SOFT) == 0 && !gone[edges[e].to];
            if (needs)
                continue;
            gone[n] = found = true;
            left--;
        }
    }
    return left == 0;
}

static void expect_order(const nxi_graph *g, uint32_t nodes)
{
    uint32_t place[NODES_MAX];
    size_t cut = 0;

    memset(place, 0xff, sizeof(place));
    for (uint32_t i = 0; i < nodes; i++) {
        cr_assert_eq(place[g->order[i]], UINT32_MAX, "node %u is there twice", g->order[i]);
        place[g->order[i]] = i;
    }
    for (uint32_t n = 0; n < nodes; n++)
        for (uint32_t e = g->first[n]; e < g->first[n + 1]; e++) {
            const nxi_edge *edge = &g->edges[e];
            if ((edge->label & NXI_EDGE_CUT) != 0) {
                cr_assert((edge->label & NXI_EDGE_SOFT) != 0, "an edge that is not soft is cut");
                cut++;
                continue;
            }
            cr_assert_lt(place[edge->to], place[n], "%u needs %u", n, edge->to);
        }
    cr_assert_eq(cut, g->cut_count);
}

static void expect_circle(const nxi_graph *g)
{
    cr_assert_gt(g->circle_count, 0);
    for (uint32_t i = 0; i < g->circle_count; i++) {
        uint32_t e = g->circle_edges[i], node = g->circle_nodes[i], next = g->circle_nodes[(i + 1) % g->circle_count];
        cr_assert(e >= g->first[node] && e < g->first[node + 1], "the edge is not of its node");
        cr_assert_eq(g->edges[e].to, next);
        cr_assert_eq(g->edges[e].label & NXI_EDGE_SOFT, 0, "a soft edge closes no circle");
    }
}

/* Goal: whatever the graph, the answer is right. */
Test(planner_graph, random_graphs)
{
    size_t possible = 0, impossible = 0, cut = 0;

    for (int round = 0; round < 4000; round++) {
        plain edges[EDGES_MAX];
        nxi_graph g;
        uint32_t nodes = 1 + below(NODES_MAX), soft = below(101);
        size_t count = below(round % 2 == 0 ? nodes + 1 : EDGES_MAX);
        nxi_graph_init(&g, memory, nodes);
        for (size_t e = 0; e < count; e++) {
            edges[e] = (plain){ below(nodes), below(nodes), below(100) < soft ? (uint32_t)NXI_EDGE_SOFT : 0 };
            cr_assert(nxi_graph_add(&g, edges[e].from, edges[e].to, edges[e].label | (uint32_t)e));
        }
        bool expected = is_possible(edges, count, nodes);
        nx_status status = nxi_graph_order(&g);
        cr_assert_eq(status, expected ? NX_OK : NX_EVALUE, "round %d", round);
        if (status == NX_OK)
            expect_order(&g, nodes);
        else
            expect_circle(&g);
        possible += status == NX_OK;
        impossible += status != NX_OK;
        cut += g.cut_count > 0;
        nxi_graph_fini(&g);
    }
    cr_assert(possible > 100 && impossible > 100 && cut > 100, "%zu %zu %zu: the rounds are too much alike", possible, impossible,
              cut);
}

/* Nodes without edges between them stay where they are. */
Test(planner_graph, the_given_order_is_kept)
{
    nxi_graph g;

    nxi_graph_init(&g, memory, 6);
    cr_assert(nxi_graph_add(&g, 2, 4, 0));
    cr_assert_eq(nxi_graph_order(&g), NX_OK);
    static const uint32_t expected[] = { 0, 1, 4, 2, 3, 5 };
    cr_assert_arr_eq(g.order, expected, sizeof(expected));
    nxi_graph_fini(&g);
}

/* A soft edge is cut where that is enough, and not more of them than lead back. */
Test(planner_graph, a_circle_is_opened_once)
{
    nxi_graph g;

    nxi_graph_init(&g, memory, 3);
    for (uint32_t n = 0; n < 3; n++)
        cr_assert(nxi_graph_add(&g, n, (n + 1) % 3, n == 1 ? (uint32_t)NXI_EDGE_SOFT : 0));
    cr_assert_eq(nxi_graph_order(&g), NX_OK);
    cr_assert_eq(g.cut_count, 1);
    expect_order(&g, 3);
    nxi_graph_fini(&g);
}

/*
 * Goal: depth and circles of any size take neither stack nor more than linear time. A list, a ring in which only the first edge
 * is soft, and one circle of all with an edge that is not soft at each node.
 */
Test(planner_graph, deep_graphs, .timeout = 60)
{
    enum { NODES = 300000 };

    for (int form = 0; form < 3; form++) {
        nxi_graph g;
        nxi_graph_init(&g, memory, NODES);
        for (uint32_t n = 0; n < NODES; n++) {
            if (form != 0 || n + 1 < NODES)
                cr_assert(nxi_graph_add(&g, n, (n + 1) % NODES, form == 1 && n == 0 ? (uint32_t)NXI_EDGE_SOFT : 0));
            if (form == 2)
                cr_assert(nxi_graph_add(&g, n, below(NODES), NXI_EDGE_SOFT));
        }
        cr_assert_eq(nxi_graph_order(&g), form == 2 ? NX_EVALUE : NX_OK, "form %d", form);
        if (form == 2)
            cr_assert_eq(g.circle_count, NODES);
        else
            cr_assert_eq(g.order[0], form == 0 ? NODES - 1 : 0);
        nxi_graph_fini(&g);
    }
}

/* Every allocation may fail: then it is told, and nothing is lost. */
Test(planner_graph, without_memory)
{
    bool done = false;

    for (uint64_t fail = 1; !done; fail++) {
        nxi_graph g;
        bool added = true;
        nxi_memory_fail(fail, true);
        nxi_graph_init(&g, memory, 8);
        for (uint32_t n = 8; n-- > 0 && added;)
            added = nxi_graph_add(&g, n, (n + 3) % 8, 0) && nxi_graph_add(&g, n, (n + 5) % 8, NXI_EDGE_SOFT);
        nx_status status = added ? nxi_graph_order(&g) : NX_ENOMEM;
        nxi_memory_fail(0, false);
        cr_assert(status == NX_ENOMEM || status == NX_EVALUE, "%d", (int)status);
        done = status == NX_EVALUE;
        nxi_graph_fini(&g);
    }
}
