/*
 * planner_levels - ordered rows become batches.
 *
 * What goes first has the lower level. Rows of one kind share a level, and so a statement, where that is allowed: their order in
 * it is the right one, and the key of a new row that another one of the same statement refers to must be known beforehand.
 */
#include "engine/planner_order.h"

/* ------------------------------------------------------------------------------ levels */

static bool share_statement(const nxi_kind *kind, const nxi_kind *before, const nxi_edge *edge)
{
    if (kind != before || kind == NULL || (edge->label & NXI_EDGE_UNIQUE) != 0)
        return false;
    return kind->verb == NXI_BATCH_DELETE || (kind->verb == NXI_BATCH_INSERT && nxi_kind_knows_keys(kind));
}

static uint32_t find_levels(nxi_weaver *w)
{
    const nxi_graph *g = &w->graph;
    uint32_t highest = 0;

    for (uint32_t i = 0; i < w->count; i++) {
        uint32_t op = g->order[i], level = 0;
        for (uint32_t e = g->first[op]; e < g->first[op + 1]; e++) {
            const nxi_edge *edge = &g->edges[e];
            if ((edge->label & NXI_EDGE_CUT) != 0)
                continue;
            uint32_t before = w->level[edge->to];
            if (!share_statement(w->ops[op].kind, w->ops[edge->to].kind, edge))
                before++;
            level = before > level ? before : level;
        }
        w->level[op] = level;
        highest = level > highest ? level : highest;
    }
    return highest;
}

/* ------------------------------------------------------------------------------ batches */

/* Ops in an order, and room to sort them. */
typedef struct sorter {
    uint32_t *ops, *spare, *counts;
    uint32_t count;
} sorter;

/* By a key from 0 to `most`; what is equal keeps its order. */
static void sort_by(sorter *s, const uint32_t *key, uint32_t most)
{
    if (most == 0)
        return;
    memset(s->counts, 0, ((size_t)most + 2) * sizeof(*s->counts));
    for (uint32_t i = 0; i < s->count; i++)
        s->counts[key[s->ops[i]] + 1]++;
    for (uint32_t k = 0; k <= most; k++)
        s->counts[k + 1] += s->counts[k];
    for (uint32_t i = 0; i < s->count; i++)
        s->spare[s->counts[key[s->ops[i]]]++] = s->ops[i];
    uint32_t *sorted = s->spare;
    s->spare = s->ops;
    s->ops = sorted;
}

static uint32_t rank_of(const nxi_weaver *w, uint32_t op)
{
    return w->all ? 0 : nxi_planner_rank(w->p, w->ops[op].kind);
}

/* Ops that are left, by rank, level, kind. False: out of memory. */
static bool sort_ops(nxi_weaver *w, uint32_t highest, sorter *s)
{
    nxi_planner *p = w->p;
    size_t most = nxi_max_size(highest, nxi_max_size(p->kind_count, p->db->tables.count));
    uint32_t ranks = 0;

    uint32_t *key = nxi_arena_get(p->arena, (size_t)w->count * sizeof(*key), 16);
    s->spare = nxi_arena_get(p->arena, (size_t)w->count * sizeof(*s->spare), 16);
    s->counts = nxi_arena_get(p->arena, (most + 2) * sizeof(*s->counts), 16);
    if (key == NULL || s->spare == NULL || s->counts == NULL)
        return false;
    for (uint32_t i = 0; i < w->count; i++)
        if (w->ops[w->graph.order[i]].kind != NULL)
            s->ops[s->count++] = w->graph.order[i];
    if (p->kind_count > 1) {
        for (uint32_t i = 0; i < s->count; i++)
            key[s->ops[i]] = w->ops[s->ops[i]].kind->serial;
        sort_by(s, key, p->kind_count - 1);
    }
    sort_by(s, w->level, highest);
    for (uint32_t i = 0; i < s->count; i++) {
        key[s->ops[i]] = rank_of(w, s->ops[i]);
        ranks |= key[s->ops[i]] ^ key[s->ops[0]];
    }
    if (ranks != 0)
        sort_by(s, key, (uint32_t)p->db->tables.count);
    return true;
}

static bool begins_batch(const nxi_weaver *w, const sorter *s, uint32_t i)
{
    uint32_t op = s->ops[i], before = i == 0 ? op : s->ops[i - 1];

    return i == 0 || w->ops[op].kind != w->ops[before].kind || w->level[op] != w->level[before];
}

/* Runs of one rank, level and kind. */
static nx_status make_batches(nxi_weaver *w, const sorter *s, size_t run)
{
    nxi_planner *p = w->p;
    size_t count = 0;

    for (uint32_t i = 0; i < s->count; i++)
        count += begins_batch(w, s, i);
    nxi_batch *list = nxi_arena_get(p->arena, (count + 1) * sizeof(*list), 16);
    void **rows = nxi_arena_get(p->arena, ((size_t)s->count + 1) * sizeof(*rows), 16);
    if (list == NULL || rows == NULL)
        return nxi_planner_no_memory(p);
    nxi_batch *batch = list - 1;
    for (uint32_t i = 0; i < s->count; i++) {
        const nxi_plan_op *op = &w->ops[s->ops[i]];
        rows[i] = op->row;
        if (begins_batch(w, s, i)) {
            nx_status status = nxi_planner_statement(p, op->kind);
            if (status != NX_OK)
                return status;
            nxi_batch_verb phase = w->all ? NXI_BATCH_INSERT : op->kind->verb;
            *++batch = nxi_planner_batch(op->kind, nxi_planner_place(phase, rank_of(w, s->ops[i]), w->level[s->ops[i]]));
            batch->rows = &rows[i];
        }
        batch->row_count++;
    }
    p->ordered_runs[run] = list;
    p->ordered_count[run] = count;
    return NX_OK;
}

nx_status nxi_weaver_make_batches(nxi_weaver *w, size_t run)
{
    nxi_planner *p = w->p;
    sorter s = { .count = 0 };

    w->level = nxi_arena_get(p->arena, (size_t)w->count * sizeof(*w->level), 16);
    s.ops = nxi_arena_get(p->arena, (size_t)w->count * sizeof(*s.ops), 16);
    if (w->level == NULL || s.ops == NULL || !sort_ops(w, find_levels(w), &s))
        return nxi_planner_no_memory(p);
    return make_batches(w, &s, run);
}
