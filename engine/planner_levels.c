/*
 * planner_levels - ordered rows become batches.
 *
 * What goes first has the lower level. Rows of one kind share a level, and so a statement, where that is allowed: their order in
 * it is the right one, and the key of a new row that another one of the same statement refers to must be known beforehand.
 */
#include "engine/planner_order.h"

/* ------------------------------------------------------------------------------ levels */

static bool may_share(const nxi_kind *kind)
{
    return kind->verb == NXI_BATCH_DELETE || (kind->verb == NXI_BATCH_INSERT && nxi_kind_knows_keys(kind));
}

static bool share_statement(const nxi_kind *kind, const nxi_kind *before, const nxi_edge *edge)
{
    return kind == before && kind != NULL && (edge->label & NXI_EDGE_UNIQUE) == 0 && may_share(kind);
}

/* A row on its way into a batch. */
typedef struct item {
    void *row;
    uint32_t kind; /* its serial */
    uint32_t level;
} item;

/* Rows in an order, and room to sort them: what is looked at again and again lies side by side. */
typedef struct sorter {
    item *items, *spare;
    uint32_t *counts;
    nxi_kind **kinds; /* by serial */
    uint32_t *ranks;  /* by serial */
    uint32_t count, highest, most_rank;
} sorter;

static uint32_t level_of(const nxi_weaver *w, uint32_t op, const nxi_kind *kind, bool shares)
{
    const nxi_graph *g = &w->graph;
    uint32_t level = 0;

    for (uint32_t e = g->first[op], end = g->first[op + 1]; e < end; e++) {
        const nxi_edge *edge = &g->edges[e];
        if ((edge->label & NXI_EDGE_CUT) != 0)
            continue;
        uint32_t before = w->level[edge->to];
        if (!shares || !share_statement(kind, w->ops[edge->to].kind, edge))
            before++;
        level = before > level ? before : level;
    }
    return level;
}

static void find_levels(nxi_weaver *w, sorter *s)
{
    bool shares = false;

    for (const nxi_kind *kind = w->p->list; kind != NULL; kind = kind->next)
        shares = shares || may_share(kind);
    for (uint32_t i = 0; i < w->count; i++) {
        uint32_t op = w->graph.order[i];
        nxi_kind *kind = w->ops[op].kind;
        uint32_t level = w->level[op] = level_of(w, op, kind, shares);
        if (kind == NULL)
            continue;
        s->items[s->count++] = (item){ w->ops[op].row, kind->serial, level };
        s->highest = level > s->highest ? level : s->highest;
    }
}

/* ------------------------------------------------------------------------------ batches */

typedef uint32_t (*item_key)(const sorter *s, const item *of);

static uint32_t key_kind(const sorter *s, const item *of)
{
    (void)s;
    return of->kind;
}

static uint32_t key_level(const sorter *s, const item *of)
{
    (void)s;
    return of->level;
}

static uint32_t key_rank(const sorter *s, const item *of)
{
    return s->ranks[of->kind];
}

/* By a key from 0 to `most`; what is equal keeps its order. */
static inline void sort_by(sorter *s, item_key key, uint32_t most)
{
    if (most == 0)
        return;
    memset(s->counts, 0, ((size_t)most + 2) * sizeof(*s->counts));
    for (uint32_t i = 0; i < s->count; i++)
        s->counts[key(s, &s->items[i]) + 1]++;
    for (uint32_t k = 0; k <= most; k++)
        s->counts[k + 1] += s->counts[k];
    for (uint32_t i = 0; i < s->count; i++)
        s->spare[s->counts[key(s, &s->items[i])]++] = s->items[i];
    item *sorted = s->spare;
    s->spare = s->items;
    s->items = sorted;
}

/* In an order of all verbs the level alone counts. False: out of memory. */
static bool list_kinds(const nxi_weaver *w, sorter *s)
{
    nxi_planner *p = w->p;

    s->kinds = NXI_ARENA_ARRAY(p->arena, nxi_kind *, p->kind_count);
    s->ranks = NXI_ARENA_ARRAY(p->arena, uint32_t, p->kind_count);
    if (s->kinds == NULL || s->ranks == NULL)
        return false;
    for (nxi_kind *kind = p->list; kind != NULL; kind = kind->next) {
        s->kinds[kind->serial] = kind;
        s->ranks[kind->serial] = w->all ? 0 : nxi_planner_rank(p, kind);
        s->most_rank = s->ranks[kind->serial] > s->most_rank ? s->ranks[kind->serial] : s->most_rank;
    }
    return true;
}

static bool are_of_one_rank(const sorter *s)
{
    for (uint32_t i = 1; i < s->count; i++)
        if (s->ranks[s->items[i].kind] != s->ranks[s->items[0].kind])
            return false;
    return true;
}

/* By rank, level, kind. False: out of memory. */
static bool sort_items(const nxi_weaver *w, sorter *s)
{
    nxi_planner *p = w->p;
    size_t most = nxi_max_size(s->highest, nxi_max_size(p->kind_count, s->most_rank));

    s->spare = nxi_arena_get(p->arena, ((size_t)s->count + 1) * sizeof(*s->spare), 16);
    s->counts = nxi_arena_get(p->arena, (most + 2) * sizeof(*s->counts), 16);
    if (s->spare == NULL || s->counts == NULL)
        return false;
    sort_by(s, key_kind, p->kind_count - 1);
    sort_by(s, key_level, s->highest);
    if (!are_of_one_rank(s))
        sort_by(s, key_rank, s->most_rank);
    return true;
}

static bool begins_batch(const sorter *s, uint32_t i)
{
    return i == 0 || s->items[i].kind != s->items[i - 1].kind || s->items[i].level != s->items[i - 1].level;
}

/* Runs of one rank, level and kind. */
static nx_status make_batches(const nxi_weaver *w, const sorter *s, size_t run)
{
    nxi_planner *p = w->p;
    size_t count = 0;

    for (uint32_t i = 0; i < s->count; i++)
        count += begins_batch(s, i);
    nxi_batch *list = nxi_arena_get(p->arena, (count + 1) * sizeof(*list), 16);
    void **rows = nxi_arena_get(p->arena, ((size_t)s->count + 1) * sizeof(*rows), 16);
    if (list == NULL || rows == NULL)
        return nxi_planner_no_memory(p);
    nxi_batch *batch = list - 1;
    for (uint32_t i = 0; i < s->count; i++) {
        const item *at = &s->items[i];
        rows[i] = at->row;
        if (begins_batch(s, i)) {
            nxi_kind *kind = s->kinds[at->kind];
            nx_status status = nxi_planner_statement(p, kind);
            if (status != NX_OK)
                return status;
            nxi_batch_verb phase = w->all ? NXI_BATCH_INSERT : kind->verb;
            *++batch = nxi_planner_batch(kind, nxi_planner_place(phase, s->ranks[at->kind], at->level));
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
    s.items = nxi_arena_get(p->arena, ((size_t)w->count + 1) * sizeof(*s.items), 16);
    if (w->level == NULL || s.items == NULL || !list_kinds(w, &s))
        return nxi_planner_no_memory(p);
    find_levels(w, &s);
    return sort_items(w, &s) ? make_batches(w, &s, run) : nxi_planner_no_memory(p);
}
