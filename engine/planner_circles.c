/*
 * planner_circles - circles of rows: opened where an edge was cut, refused where none could be.
 */
#include "engine/planner_order.h"

#include <stdlib.h>

/* A row that gets NULL in a column before anything else is written. */
typedef struct parked {
    uint32_t op;
    uint32_t column;
} parked;

/* ------------------------------------------------------------------------------ circles */

static nx_status refuse_exchange(nxi_weaver *w, uint32_t from, const nxi_edge *edge)
{
    nxi_planner *p = w->p;
    const void *taker = w->ops[from].row, *giver = w->ops[edge->to].row;
    const nxi_table *table = nxi_row_of(taker)->table;
    const nxi_column *column =
        &((edge->label & NXI_EDGE_EARLY) != 0 ? nxi_row_of(giver)->table : table)->columns[edge->label & NXI_EDGE_COLUMN];
    char taking[128], giving[128];

    p->at = w->ops[from].row;
    nx_status status = nxi_fail(
        p->error, NX_EUNIQUE, "%s.%s: %s takes a value that %s gives up in the same flush, and no order of statements allows it",
        table->entity->name, column->field->name, nxi_planner_name(taker, taking, sizeof(taking)),
        nxi_planner_name(giver, giving, sizeof(giving)));
    nxi_error_name(p->error->column, column->field->name);
    nxi_error_name(p->error->table, table->name);
    return status;
}

static nx_status refuse_deletes(nxi_weaver *w, uint32_t from, const nxi_edge *edge)
{
    nxi_planner *p = w->p;
    void *row = w->ops[edge->to].row;
    const nxi_table *table = nxi_row_of(row)->table;
    const nxi_column *column = &table->columns[edge->label & NXI_EDGE_COLUMN];
    char referring[128], target[128];

    p->at = row;
    nx_status status = nxi_fail(p->error, NX_EVALUE,
                                "%s.%s closes a circle of rows to be deleted in which no reference is optional: no order of "
                                "DELETEs is possible for %s and %s",
                                table->entity->name, column->field->name, nxi_planner_name(row, referring, sizeof(referring)),
                                nxi_planner_name(w->ops[from].row, target, sizeof(target)));
    nxi_error_name(p->error->column, column->field->name);
    nxi_error_name(p->error->table, table->name);
    return status;
}

static nx_status refuse_inserts(nxi_weaver *w, uint32_t from, const nxi_edge *edge)
{
    nxi_planner *p = w->p;
    const nxi_table *table = nxi_row_of(w->ops[from].row)->table;
    const nxi_column *column = &table->columns[edge->label & NXI_EDGE_COLUMN];

    p->at = w->ops[from].row;
    nx_status status =
        nxi_fail(p->error, NX_EVALUE,
                 "%s.%s closes a circle of new rows in which no reference is optional: no order of INSERTs is possible",
                 table->entity->name, column->field->name);
    nxi_error_name(p->error->column, column->field->name);
    nxi_error_name(p->error->table, table->name);
    return status;
}

/* What cannot be opened is told by the edge that says most. */
nx_status nxi_weaver_refuse_circle(nxi_weaver *w)
{
    const nxi_graph *g = &w->graph;
    uint32_t last = g->circle_count - 1;

    for (uint32_t i = 0; i <= last; i++)
        if ((g->edges[g->circle_edges[i]].label & NXI_EDGE_UNIQUE) != 0)
            return refuse_exchange(w, g->circle_nodes[i], &g->edges[g->circle_edges[i]]);
    const nxi_edge *closing = &g->edges[g->circle_edges[last]];
    return (closing->label & NXI_EDGE_STORED) != 0 ? refuse_deletes(w, g->circle_nodes[last], closing)
                                                   : refuse_inserts(w, g->circle_nodes[last], closing);
}

/* ------------------------------------------------------------------------------ opened circles */

/* The scratch bits of that column, and of all others of the same reference. */
static void mark_columns(nxi_planner *p, const nxi_table *table, uint32_t column)
{
    size_t parts = table->columns[column].form == NXI_FORM_REFERENCE ? table->columns[column].target->key_count : 1;

    for (size_t i = 0; i < parts; i++)
        nxi_bit_set(p->bits, column + i);
}

static bool has_late_columns(const nxi_weaver *w, uint32_t op)
{
    const nxi_graph *g = &w->graph;

    for (uint32_t e = g->first[op]; e < g->first[op + 1]; e++)
        if ((g->edges[e].label & (NXI_EDGE_CUT | NXI_EDGE_EARLY)) == NXI_EDGE_CUT)
            return true;
    return false;
}

static void mark_late_columns(nxi_weaver *w, uint32_t op)
{
    const nxi_graph *g = &w->graph;
    const nxi_kind *kind = w->ops[op].kind;

    for (uint32_t e = g->first[op]; e < g->first[op + 1]; e++)
        if ((g->edges[e].label & (NXI_EDGE_CUT | NXI_EDGE_EARLY)) == NXI_EDGE_CUT)
            mark_columns(w->p, kind->table, g->edges[e].label & NXI_EDGE_COLUMN);
    for (size_t i = 0; i < nxi_planner_words(kind->table); i++)
        w->p->bits[i] &= kind->columns[i];
}

/* The columns that a cut edge stands for are written afterwards; an UPDATE of nothing else waits as a whole. */
static nx_status split_late(nxi_weaver *w, uint32_t op)
{
    nxi_planner *p = w->p;
    nxi_plan_op *at = &w->ops[op];
    nxi_kind *kind = at->kind;
    size_t words = nxi_planner_words(kind->table);
    bool rest = kind->verb == NXI_BATCH_INSERT;

    if (!nxi_planner_scratch(p, kind->table))
        return nxi_planner_no_memory(p);
    mark_late_columns(w, op);
    for (size_t i = 0; i < words; i++)
        rest = rest || p->bits[i] != kind->columns[i];
    nxi_kind want = { .verb = rest ? NXI_BATCH_LATE_UPDATE : NXI_BATCH_UPDATE,
                      .table = kind->table,
                      .late = !rest,
                      .parked = !rest && kind->parked };
    nxi_kind *late = nxi_planner_kind(p, &want);
    nx_status status = late == NULL ? nxi_planner_no_memory(p) : nxi_planner_join(p, late, at->row);
    if (status != NX_OK || !rest) {
        at->kind = NULL;
        return status;
    }
    for (size_t i = 0; i < words; i++)
        p->bits[i] = kind->columns[i] & ~late->columns[i];
    at->kind = nxi_planner_kind(p, &(nxi_kind){ .verb = kind->verb, .table = kind->table, .parked = kind->parked });
    return at->kind == NULL ? nxi_planner_no_memory(p) : NX_OK;
}

/* The row as the database has it, but for NULL in the scratch columns. */
static void *parked_copy(nxi_planner *p, void *row)
{
    const nxi_row *header = nxi_row_of(row);
    const nxi_table *table = header->table;
    nxi_row *copy = nxi_arena_get(p->arena, sizeof(nxi_row) + 2 * table->row_size, 16);

    if (copy == NULL)
        return NULL;
    *copy = *header;
    copy->owner = row;
    void *data = nxi_row_data(copy);
    memcpy(nxi_row_snapshot(data), nxi_row_snapshot(row), table->row_size);
    memcpy(data, nxi_row_snapshot(row), table->row_size);
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        if (!nxi_bit_is_set(p->bits, i))
            continue;
        if (column->form == NXI_FORM_REFERENCE)
            memset((char *)data + column->offset, 0, sizeof(nx_reference));
        else if (!nxi_column_set(column, data, (nx_value){ .type = NX_TYPE_null }, p->arena))
            return NULL;
    }
    return data;
}

static nx_status park(nxi_weaver *w, const parked *list, size_t count)
{
    nxi_planner *p = w->p;
    nxi_plan_op *at = &w->ops[list[0].op];
    nxi_kind *kind = at->kind;

    if (!nxi_planner_scratch(p, kind->table))
        return nxi_planner_no_memory(p);
    for (size_t i = 0; i < count; i++)
        mark_columns(p, kind->table, list[i].column);
    void *copy = parked_copy(p, at->row);
    if (copy == NULL)
        return nxi_planner_no_memory(p);
    nx_status status = nxi_planner_put(p, NXI_BATCH_PARK, copy);
    if (status != NX_OK)
        return status;
    memcpy(p->bits, kind->columns, nxi_planner_words(kind->table) * sizeof(uint64_t));
    at->kind = nxi_planner_kind(p, &(nxi_kind){ .verb = kind->verb, .table = kind->table, .parked = true });
    return at->kind == NULL ? nxi_planner_no_memory(p) : NX_OK;
}

static int compare_parked(const void *left, const void *right)
{
    const parked *a = left, *b = right;

    if (a->op != b->op)
        return a->op < b->op ? -1 : 1;
    return a->column < b->column ? -1 : a->column > b->column;
}

static nx_status split_early(nxi_weaver *w)
{
    const nxi_graph *g = &w->graph;
    nx_status status = NX_OK;
    size_t count = 0;

    parked *list = nxi_arena_get(w->p->arena, g->cut_count * sizeof(*list), 16);
    if (list == NULL)
        return nxi_planner_no_memory(w->p);
    for (size_t e = 0; e < g->edge_count; e++)
        if ((g->edges[e].label & NXI_EDGE_CUT) != 0 && (g->edges[e].label & NXI_EDGE_EARLY) != 0)
            list[count++] = (parked){ g->edges[e].to, g->edges[e].label & NXI_EDGE_COLUMN };
    qsort(list, count, sizeof(*list), compare_parked);
    for (size_t i = 0, end; i < count && status == NX_OK; i = end) {
        for (end = i; end < count && list[end].op == list[i].op; end++)
            ;
        status = park(w, list + i, end - i);
    }
    return status;
}

nx_status nxi_weaver_split(nxi_weaver *w)
{
    nx_status status;

    if (w->graph.cut_count == 0)
        return NX_OK;
    status = split_early(w);
    for (uint32_t op = 0; op < w->count && status == NX_OK; op++)
        if (has_late_columns(w, op))
            status = split_late(w, op);
    return status;
}
