/*
 * planner_graph - an order by depth-first search, and by strongly connected components where that is not enough.
 *
 * A search that leaves a node after all that it needs gives an order of everything but the edges that lead back into the path of
 * the search. When all of those are soft they are cut, and nothing more has to be known: most flushes end here. Else the
 * components are found (Tarjan), and searched one by one. Within those that have such an edge the order follows the edges that
 * are not soft alone; soft ones that disagree with it are cut afterwards. The others are searched as before, from the same node,
 * so that the same edges lead back.
 */
#include "engine/planner_graph.h"

enum { EDGE_BACK = 0x40000000 /* not soft, and led back into the path */ };
enum { MARK_NEW, MARK_OPEN, MARK_DONE };

void nxi_graph_init(nxi_graph *g, nxi_memory *memory, uint32_t count)
{
    *g = (nxi_graph){ .memory = memory, .count = count, .sorted = true };
}

void nxi_graph_fini(nxi_graph *g)
{
    nxi_release(g->memory, g->from);
    nxi_release(g->memory, g->edges);
    nxi_release(g->memory, g->first);
    nxi_release(g->memory, g->stack);
    nxi_release(g->memory, g->mark);
    *g = (nxi_graph){ .memory = g->memory };
}

static bool grow(nxi_graph *g)
{
    size_t capacity = g->edge_capacity == 0 ? nxi_max_size(g->count, 64) : g->edge_capacity * 2;

    if (capacity > UINT32_MAX / 2)
        return false;
    uint32_t *from = nxi_resize(g->memory, g->from, capacity * sizeof(*from));
    if (from == NULL)
        return false;
    g->from = from;
    nxi_edge *edges = nxi_resize(g->memory, g->edges, capacity * sizeof(*edges));
    if (edges == NULL)
        return false;
    g->edges = edges;
    g->edge_capacity = capacity;
    return true;
}

bool nxi_graph_add(nxi_graph *g, uint32_t from, uint32_t to, uint32_t label)
{
    NX_ASSERT(from < g->count && to < g->count);
    if (NXI_UNLIKELY(g->edge_count == g->edge_capacity) && !grow(g))
        return false;
    if (g->edge_count > 0 && g->from[g->edge_count - 1] > from)
        g->sorted = false;
    g->from[g->edge_count] = from;
    g->edges[g->edge_count++] = (nxi_edge){ to, label };
    return true;
}

/* ------------------------------------------------------------------------------ by node */

/* first[n]: where the edges of n begin, once they are sorted. */
static void count_edges(nxi_graph *g)
{
    for (size_t e = 0; e < g->edge_count; e++)
        g->first[g->from[e] + 1]++;
    for (uint32_t n = 0; n < g->count; n++)
        g->first[n + 1] += g->first[n];
}

static bool sort_edges(nxi_graph *g)
{
    nxi_edge *sorted = nxi_zalloc(g->memory, nxi_max_size(g->edge_count, 1) * sizeof(*sorted));

    if (sorted == NULL)
        return false;
    memcpy(g->spare, g->first, g->count * sizeof(*g->spare));
    for (size_t e = 0; e < g->edge_count; e++)
        sorted[g->spare[g->from[e]]++] = g->edges[e];
    nxi_release(g->memory, g->edges);
    g->edges = sorted;
    return true;
}

/* Arrays of the search, and the edges by node. */
static bool prepare(nxi_graph *g)
{
    size_t n = g->count;

    g->first = nxi_zalloc(g->memory, (n * 4 + 1) * sizeof(uint32_t));
    g->stack = nxi_resize(g->memory, NULL, (n + 1) * sizeof(*g->stack));
    g->mark = nxi_zalloc(g->memory, n + 1);
    if (g->first == NULL || g->stack == NULL || g->mark == NULL)
        return false;
    g->order = g->first + n + 1;
    g->spare = g->order + n;
    g->component = g->spare + n;
    count_edges(g);
    if (!g->sorted && !sort_edges(g))
        return false;
    nxi_release(g->memory, g->from);
    g->from = NULL;
    return true;
}

/* ------------------------------------------------------------------------------ depth first */

/* Which edges the search leaves alone, and what it found. */
typedef struct search {
    nxi_graph *g;
    const uint8_t
        *strict; /* by component: soft edges within it are not followed. NULL: components are not known, all edges are */
    uint32_t depth, ordered;
    bool found_back;
} search;

static bool is_soft_in_strict(const search *s, uint32_t node, const nxi_edge *edge)
{
    const uint32_t *component = s->g->component;

    return (edge->label & NXI_EDGE_SOFT) != 0 && component[edge->to] == component[node] && s->strict[component[node]] != 0;
}

/* Other components are in order already. */
static bool is_left_alone(const search *s, uint32_t node, const nxi_edge *edge)
{
    return s->strict != NULL && (s->g->component[edge->to] != s->g->component[node] || is_soft_in_strict(s, node, edge));
}

static void open_node(search *s, uint32_t node)
{
    nxi_graph *g = s->g;

    g->mark[node] = MARK_OPEN;
    g->stack[s->depth++] = (nxi_visit){ node, g->first[node] };
}

/* The path from the edge's end to its beginning is a circle. */
static void keep_circle(search *s, uint32_t to)
{
    nxi_graph *g = s->g;
    uint32_t start = s->depth;

    while (g->stack[start - 1].node != to)
        start--;
    start--;
    g->circle_count = s->depth - start;
    /* The edges that were followed are those before the next ones. These arrays are not needed any more. */
    for (uint32_t i = 0; i < g->circle_count; i++) {
        g->spare[i] = g->stack[start + i].node;
        g->order[i] = g->stack[start + i].next - 1;
    }
    g->circle_nodes = g->spare;
    g->circle_edges = g->order;
}

/* False: the edge closes a circle that cannot be opened. */
static bool meet_open(search *s, nxi_edge *edge)
{
    if ((edge->label & NXI_EDGE_SOFT) != 0) {
        edge->label |= NXI_EDGE_CUT;
        s->g->cut_count++;
        return true;
    }
    s->found_back = true;
    edge->label |= EDGE_BACK;
    if (s->strict == NULL)
        return true;
    keep_circle(s, edge->to);
    return false;
}

static bool walk(search *s, uint32_t start)
{
    nxi_graph *g = s->g;

    open_node(s, start);
    while (s->depth > 0) {
        nxi_visit *top = &g->stack[s->depth - 1];
        uint32_t node = top->node;
        if (top->next == g->first[node + 1]) {
            g->mark[node] = MARK_DONE;
            g->order[s->ordered++] = node;
            s->depth--;
            continue;
        }
        nxi_edge *edge = &g->edges[top->next++];
        uint8_t mark = g->mark[edge->to];
        if (mark == MARK_DONE || is_left_alone(s, node, edge))
            continue;
        if (mark == MARK_NEW)
            open_node(s, edge->to);
        else if (!meet_open(s, edge))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------ components */

typedef struct tarjan {
    nxi_graph *g;
    uint32_t *number, *low; /* 0: not met */
    uint32_t *pending;      /* met, and of no component yet */
    uint32_t *members;      /* all nodes, component by component; the one that was met first is the last of its component */
    uint32_t depth, pending_count, member_count, last_number, last_component;
} tarjan;

static void meet(tarjan *t, uint32_t node)
{
    t->number[node] = t->low[node] = ++t->last_number;
    t->g->stack[t->depth++] = (nxi_visit){ node, t->g->first[node] };
    t->pending[t->pending_count++] = node;
}

static void leave(tarjan *t, uint32_t node)
{
    nxi_graph *g = t->g;

    t->depth--;
    if (t->depth > 0 && t->low[node] < t->low[g->stack[t->depth - 1].node])
        t->low[g->stack[t->depth - 1].node] = t->low[node];
    if (t->low[node] != t->number[node])
        return;
    uint32_t member;
    do {
        member = t->pending[--t->pending_count];
        g->component[member] = t->last_component;
        t->members[t->member_count++] = member;
        g->mark[member] = MARK_DONE;
    } while (member != node);
    t->last_component++;
}

static void find_component(tarjan *t, uint32_t start)
{
    nxi_graph *g = t->g;

    meet(t, start);
    while (t->depth > 0) {
        nxi_visit *top = &g->stack[t->depth - 1];
        uint32_t node = top->node;
        if (top->next == g->first[node + 1]) {
            leave(t, node);
            continue;
        }
        uint32_t to = g->edges[top->next++].to;
        if (t->number[to] == 0)
            meet(t, to);
        else if (g->mark[to] != MARK_DONE && t->number[to] < t->low[node])
            t->low[node] = t->number[to];
    }
}

/* Number the components; `strict`: by component, whether an edge in it that is not soft led back. */
static void find_components(tarjan *t, uint8_t *strict)
{
    nxi_graph *g = t->g;

    memset(g->mark, MARK_NEW, g->count);
    for (uint32_t n = 0; n < g->count; n++)
        if (t->number[n] == 0)
            find_component(t, n);
    for (uint32_t n = 0; n < g->count; n++)
        for (uint32_t e = g->first[n]; e < g->first[n + 1]; e++) {
            if ((g->edges[e].label & EDGE_BACK) != 0)
                strict[g->component[n]] = 1;
            g->edges[e].label &= ~(uint32_t)(NXI_EDGE_CUT | EDGE_BACK);
        }
}

/* Each component from the node on that was met first. */
static bool walk_components(search *s, const tarjan *t)
{
    nxi_graph *g = s->g;

    g->cut_count = 0;
    memset(g->mark, MARK_NEW, g->count);
    for (uint32_t start = 0, end; start < g->count; start = end) {
        for (end = start; end < g->count && g->component[t->members[end]] == g->component[t->members[start]]; end++)
            ;
        for (uint32_t i = end; i-- > start;)
            if (g->mark[t->members[i]] == MARK_NEW && !walk(s, t->members[i]))
                return false;
    }
    return true;
}

/* Edges that the second search left alone, and that disagree with its order. */
static void cut_backward(nxi_graph *g, const search *s)
{
    uint32_t *place = g->spare;

    for (uint32_t i = 0; i < g->count; i++)
        place[g->order[i]] = i;
    for (uint32_t n = 0; n < g->count; n++)
        for (uint32_t e = g->first[n]; e < g->first[n + 1]; e++) {
            nxi_edge *edge = &g->edges[e];
            if (is_soft_in_strict(s, n, edge) && place[edge->to] >= place[n]) {
                edge->label |= NXI_EDGE_CUT;
                g->cut_count++;
            }
        }
}

static nx_status order_by_components(nxi_graph *g)
{
    size_t count = g->count;
    uint32_t *numbers = nxi_zalloc(g->memory, count * 4 * sizeof(uint32_t));
    uint8_t *strict = nxi_zalloc(g->memory, count);
    nx_status status = NX_ENOMEM;

    if (numbers != NULL && strict != NULL) {
        tarjan t = {
            .g = g, .number = numbers, .low = numbers + count, .pending = numbers + 2 * count, .members = numbers + 3 * count
        };
        search s = { .g = g, .strict = strict };
        find_components(&t, strict);
        status = walk_components(&s, &t) ? NX_OK : NX_EVALUE;
        if (status == NX_OK)
            cut_backward(g, &s);
    }
    nxi_release(g->memory, numbers);
    nxi_release(g->memory, strict);
    return status;
}

/* All nodes; edges that lead back are marked. */
static void walk_all(search *s)
{
    nxi_graph *g = s->g;

    for (uint32_t n = 0; n < g->count; n++)
        if (g->mark[n] == MARK_NEW)
            (void)walk(s, n); /* without components no edge ends it */
}

nx_status nxi_graph_order(nxi_graph *g)
{
    search s = { .g = g };

    if (!prepare(g))
        return NX_ENOMEM;
    walk_all(&s);
    return s.found_back ? order_by_components(g) : NX_OK;
}
