/*
 * table_order - flush order: referenced tables before the ones that refer to them.
 *
 * Nodes are the roots of inheritance trees, since a tree is one table. Strongly connected components (Tarjan's algorithm, which
 * emits referenced components first) are the cycles; within one, required references come first where that is possible,
 * so that the reference that has to wait for an UPDATE is a nullable one.
 */
#include "engine/table_build.h"

/* References of all tables, by the index of the root that refers. */
typedef struct edge {
    uint32_t to;
    bool required;
} edge;

typedef struct graph {
    size_t count;
    uint32_t *first; /* count + 1 indexes into edges */
    edge *edges;
    /* Tarjan's marks; 0: not visited */
    uint32_t *number, *low;
    bool *on_stack;
    uint32_t *stack, *path, *next_edge;
    uint32_t *order; /* roots in flush order */
    uint32_t *component;
    size_t stack_size, path_size, order_size;
    uint32_t last_number, last_component;
} graph;

static bool is_first_part(const nxi_column *column)
{
    return column->form == NXI_FORM_REFERENCE && column->key_part == 0;
}

static bool graph_reserve(nxi_arena *arena, graph *g, size_t edges)
{
    uint32_t *numbers = NXI_ARENA_ARRAY(arena, uint32_t, g->count * 8 + 1);

    g->edges = NXI_ARENA_ARRAY(arena, edge, edges);
    g->on_stack = NXI_ARENA_ARRAY(arena, bool, g->count);
    if (numbers == NULL || g->edges == NULL || g->on_stack == NULL)
        return false;
    g->number = numbers;
    g->low = numbers + g->count;
    g->stack = numbers + g->count * 2;
    g->path = numbers + g->count * 3;
    g->next_edge = numbers + g->count * 4;
    g->order = numbers + g->count * 5;
    g->component = numbers + g->count * 6;
    g->first = numbers + g->count * 7;
    return true;
}

static bool graph_build(nxi_arena *arena, const nxi_tables *tables, graph *g)
{
    size_t edges = 0, at = 0;

    *g = (graph){ .count = tables->count };
    for (size_t t = 0; t < tables->count; t++) {
        for (size_t i = 0; i < tables->list[t].column_count; i++)
            edges += is_first_part(&tables->list[t].columns[i]);
    }
    if (!graph_reserve(arena, g, edges))
        return false;
    for (size_t root = 0; root < tables->count; root++) {
        g->first[root] = (uint32_t)at;
        for (size_t t = 0; t < tables->count; t++) {
            const nxi_table *table = &tables->list[t];

            if (table->root != &tables->list[root])
                continue;
            for (size_t i = 0; i < table->column_count; i++) {
                if (is_first_part(&table->columns[i]))
                    g->edges[at++] = (edge){ table->columns[i].target->root->index, !table->columns[i].nullable };
            }
        }
    }
    g->first[tables->count] = (uint32_t)at;
    return true;
}

static void visit(graph *g, uint32_t node)
{
    g->number[node] = g->low[node] = ++g->last_number;
    g->next_edge[node] = g->first[node];
    g->stack[g->stack_size++] = node;
    g->on_stack[node] = true;
    g->path[g->path_size++] = node;
}

/* Whether all required references of a node within its component lead to nodes that are placed. */
static bool is_ready(const graph *g, uint32_t node, const uint32_t *placed, size_t placed_count)
{
    for (uint32_t e = g->first[node]; e < g->first[node + 1]; e++) {
        uint32_t to = g->edges[e].to;
        bool found = !g->edges[e].required || to == node || g->component[to] != g->component[node];

        for (size_t i = 0; !found && i < placed_count; i++)
            found = placed[i] == to;
        if (!found)
            return false;
    }
    return true;
}

/* Takes a component off the stack and gives its members their places. */
static void emit_component(graph *g, uint32_t node)
{
    size_t start = g->stack_size, placed = 0, count;
    uint32_t *members, *order = g->order + g->order_size;

    do {
        start--;
        g->on_stack[g->stack[start]] = false;
        g->component[g->stack[start]] = g->last_component;
    } while (g->stack[start] != node);
    g->last_component++;
    members = g->stack + start;
    count = g->stack_size - start;
    for (size_t left = count; left != 0; left--) {
        size_t best = 0;
        bool best_ready = false;

        for (size_t i = 0; i < left; i++) {
            bool ready = is_ready(g, members[i], order, placed);

            if ((ready && !best_ready) || (ready == best_ready && members[i] < members[best])) {
                best = i;
                best_ready = ready;
            }
        }
        order[placed++] = members[best];
        members[best] = members[left - 1];
    }
    g->order_size += count;
    g->stack_size = start;
}

/* Recursion would be as deep as the longest chain of references, which the user decides; so there is a path instead. */
static void walk(graph *g, uint32_t start)
{
    visit(g, start);
    while (g->path_size != 0) {
        uint32_t node = g->path[g->path_size - 1];

        if (g->next_edge[node] < g->first[node + 1]) {
            uint32_t to = g->edges[g->next_edge[node]++].to;

            if (g->number[to] == 0)
                visit(g, to);
            else if (g->on_stack[to] && g->number[to] < g->low[node])
                g->low[node] = g->number[to];
            continue;
        }
        g->path_size--;
        if (g->path_size != 0 && g->low[node] < g->low[g->path[g->path_size - 1]])
            g->low[g->path[g->path_size - 1]] = g->low[node];
        if (g->low[node] == g->number[node])
            emit_component(g, node);
    }
}

/* A reference within its own component closes a cycle, one to the own table too. */
static bool is_in_cycle(const graph *g, uint32_t node)
{
    for (size_t other = 0; other < g->count; other++) {
        if (g->component[other] == g->component[node] && other != node && g->number[other] != 0)
            return true;
    }
    for (uint32_t e = g->first[node]; e < g->first[node + 1]; e++) {
        if (g->edges[e].to == node)
            return true;
    }
    return false;
}

nx_status nxi_order_build(const nxi_builder *builder)
{
    nxi_tables *tables = builder->tables;
    uint32_t rank = 0, component_rank = 0;
    graph g;

    tables->by_order = NXI_ARENA_ARRAY(builder->arena, nxi_table *, tables->count);
    if (tables->by_order == NULL || !graph_build(builder->arena, tables, &g))
        return nxi_mapping_out_of_memory(builder->error);
    for (uint32_t i = 0; i < tables->count; i++) {
        if (tables->list[i].root == &tables->list[i] && g.number[i] == 0)
            walk(&g, i);
    }
    for (size_t i = 0; i < g.order_size; i++) {
        const nxi_table *root = &tables->list[g.order[i]];
        bool in_cycle = is_in_cycle(&g, g.order[i]);

        if (i == 0 || g.component[g.order[i]] != g.component[g.order[i - 1]])
            component_rank = rank;
        for (size_t t = 0; t < tables->count; t++) {
            nxi_table *table = &tables->list[t];

            if (table->root != root)
                continue;
            table->in_cycle = in_cycle;
            tables->has_cycle |= in_cycle;
            table->order = rank;
            table->component = component_rank;
            tables->by_order[rank++] = table;
        }
    }
    NX_ASSERT(rank == tables->count);
    return NX_OK;
}
