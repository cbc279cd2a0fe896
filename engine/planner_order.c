/*
 * planner_order - the rows whose place among the others their table does not tell.
 *
 * Without rows that exchange unique values there are two separate orders, both over rows of tables that refer to each other in
 * circles: that of inserts and that of deletes. With such rows all rows of the flush are in one order.
 *
 * What goes first has the lower level. Rows of one kind share a level, and so a statement, where that is allowed: their order in it
 * is the right one, and the key of a new row that another one of the same statement refers to must be known beforehand.
 */
#include "engine/planner.h"

#include <stdlib.h>

enum { NO_OP = UINT32_MAX };

/* A row that gets NULL in a column before anything else is written. */
typedef struct parked {
    uint32_t op;
    uint32_t column;
} parked;

typedef struct weaver {
    nxi_planner *p;
    nxi_graph graph;
    nxi_plan_op *ops;
    uint32_t count;
    uint32_t *fresh;     /* op of each row of rows->fresh; NULL: there is none */
    nxi_map stored;      /* ops of rows that the database has, by address; filled when one is asked for */
    nxi_map keyed;       /* ops of new rows that have a key, by key; filled when one is asked for */
    bool stored_made, keyed_made;
    nx_value *key;       /* scratch */
    uint32_t *level;
    bool all;            /* rows of all verbs are in it */
} weaver;

static uint64_t address_hash(const void *row)
{
    return nxi_hash_u64((uint64_t)(uintptr_t)row);
}

/* ------------------------------------------------------------------------------ rows */

typedef bool (*chooser)(const nxi_kind *kind);

static bool is_circular_insert(const nxi_kind *kind)
{
    return kind->verb == NXI_BATCH_INSERT && kind->table->in_cycle;
}

static bool is_circular_delete(const nxi_kind *kind)
{
    return kind->verb == NXI_BATCH_DELETE && kind->table->in_cycle;
}

static bool is_any(const nxi_kind *kind)
{
    (void)kind;
    return true;
}

/* Which op a row of rows->fresh is. */
static nx_status number_fresh(weaver *w)
{
    nxi_planner *p = w->p;
    size_t count = p->rows->fresh_count;
    bool some = false;

    for (uint32_t i = 0; i < w->count && !some; i++)
        some = w->ops[i].kind->verb == NXI_BATCH_INSERT;
    if (!some || p->partial)
        return NX_OK;
    w->fresh = nxi_arena_get(p->arena, count * sizeof(*w->fresh), 16);
    if (w->fresh == NULL)
        return nxi_planner_no_memory(p);
    memset(w->fresh, 0xff, count * sizeof(*w->fresh));
    for (uint32_t i = 0; i < w->count; i++)
        if (w->ops[i].kind->verb == NXI_BATCH_INSERT)
            w->fresh[nxi_row_of(w->ops[i].row)->place] = i;
    return NX_OK;
}

static nx_status take_rows(weaver *w, chooser chooses)
{
    nxi_planner *p = w->p;
    size_t count = 0, at = 0;

    for (const nxi_kind *kind = p->list; kind != NULL; kind = kind->next)
        count += chooses(kind) ? kind->row_count : 0;
    if (count >= NO_OP)
        return nxi_fail(p->error, NX_ELIMIT, "too many rows in one flush");
    w->count = (uint32_t)count;
    w->ops = nxi_arena_get(p->arena, (count + 1) * sizeof(*w->ops), 16);
    if (w->ops == NULL)
        return nxi_planner_no_memory(p);
    for (nxi_kind *kind = p->list; kind != NULL; kind = kind->next) {
        if (kind->row_count == 0 || !chooses(kind))
            continue;
        nxi_planner_list(kind, w->ops + at);
        at += kind->row_count;
    }
    w->key = nxi_planner_key(p);
    return w->key == NULL ? nxi_planner_no_memory(p) : number_fresh(w);
}

/* ------------------------------------------------------------------------------ finding rows */

/* The op of a new row that is pointed to. */
static uint32_t fresh_op(const weaver *w, const void *row)
{
    const nxi_planner *p = w->p;
    uint32_t place = nxi_row_of(row)->place;

    if (p->partial)
        return w->count == 1 && row == w->ops[0].row ? 0 : NO_OP;
    if (w->fresh == NULL || place >= p->rows->fresh_count || p->rows->fresh[place] != nxi_row_of(row))
        return NO_OP;
    return w->fresh[place];
}

typedef struct wanted_key {
    const nxi_table *table;
    const nx_value *key;
} wanted_key;

static bool has_key(const void *item, const void *key)
{
    const void *row = ((const nxi_plan_op *)item)->row;
    const wanted_key *want = key;

    return nxi_row_of(row)->table->root == want->table->root && nxi_row_key_is(want->table, row, want->key);
}

static bool is_op_of(const void *item, const void *key)
{
    return ((const nxi_plan_op *)item)->row == key;
}

/* Enter all ops that are new and have a key, or all others. False: out of memory. */
static bool fill(weaver *w, nxi_map *map, bool fresh, bool *made)
{
    *made = true;
    for (uint32_t i = 0; i < w->count; i++) {
        nxi_plan_op *op = &w->ops[i];
        const nxi_table *table = nxi_row_of(op->row)->table;
        if ((op->kind->verb == NXI_BATCH_INSERT) != fresh || (fresh && !nxi_row_has_key(table, op->row)))
            continue;
        uint64_t hash = fresh ? nxi_row_key_hash(table, op->row) : address_hash(op->row);
        if (!nxi_map_add(map, hash, op))
            return false;
    }
    return true;
}

/* The key in w->key; false: some part is NULL. */
static bool read_key(weaver *w, const nxi_column *column, const void *row)
{
    const nxi_table *table = column->table;

    for (size_t part = 0; part < column->target->key_count; part++) {
        nxi_column_get(&table->columns[column->index + part], row, &w->key[part]);
        if (w->key[part].type == NX_TYPE_null)
            return false;
    }
    return true;
}

/* The new row that a reference of a row names, by object or by key. */
static nx_status find_fresh(weaver *w, const nxi_column *column, const void *row, uint32_t *ret_op)
{
    const nx_reference *reference = nxi_reference_of(column, row);

    *ret_op = NO_OP;
    if (reference->row != NULL) {
        if (nxi_row_of(reference->row)->state == NXI_ROW_NEW)
            *ret_op = fresh_op(w, reference->row);
        return NX_OK;
    }
    if (reference->key.part_count == 0 || w->p->partial || w->fresh == NULL ||
        (!w->all && column->target->component != column->table->component) || !read_key(w, column, row))
        return NX_OK;
    if (!w->keyed_made && !fill(w, &w->keyed, true, &w->keyed_made))
        return nxi_planner_no_memory(w->p);
    const nxi_plan_op *op = nxi_map_find(&w->keyed, nxi_key_hash(column->target, w->key), has_key,
                                         &(wanted_key){ column->target, w->key });
    if (op != NULL)
        *ret_op = (uint32_t)(op - w->ops);
    return NX_OK;
}

/* The row to be deleted that a reference names in the database. */
static nx_status find_deleted(weaver *w, const nxi_column *column, const void *row, uint32_t *ret_op)
{
    *ret_op = NO_OP;
    if (!read_key(w, column, nxi_row_snapshot(row)))
        return NX_OK;
    const void *target = nxi_identity_find(&w->p->session->rows.identity, column->target, w->key);
    if (target == NULL || nxi_row_of(target)->state != NXI_ROW_DELETING)
        return NX_OK;
    if (!w->stored_made && !fill(w, &w->stored, false, &w->stored_made))
        return nxi_planner_no_memory(w->p);
    const nxi_plan_op *op = nxi_map_find(&w->stored, address_hash(target), is_op_of, target);
    if (op != NULL)
        *ret_op = (uint32_t)(op - w->ops);
    return NX_OK;
}

/* ------------------------------------------------------------------------------ edges */

static nx_status add_edge(weaver *w, uint32_t from, uint32_t to, uint32_t label)
{
    return nxi_graph_add(&w->graph, from, to, label) ? NX_OK : nxi_planner_no_memory(w->p);
}

static bool key_is_known(const nxi_kind *kind)
{
    const nxi_column *key = kind->table->auto_key;

    return key == NULL || nxi_bit_is_set(kind->columns, key->index);
}

/* `op` is written after the new row that its reference names. */
static nx_status add_new_reference(weaver *w, uint32_t op, const nxi_column *column, bool can_wait)
{
    uint32_t target;
    nx_status status = find_fresh(w, column, w->ops[op].row, &target);

    if (status != NX_OK || target == NO_OP || (target == op && key_is_known(w->ops[op].kind)))
        return status;
    return add_edge(w, op, target, column->index | (can_wait ? (uint32_t)NXI_EDGE_SOFT : 0));
}

/* A row that the database knows to refer to a deleted one goes before it. */
static nx_status add_old_reference(weaver *w, uint32_t op, const nxi_column *column, bool *ret_some)
{
    uint32_t target;
    nx_status status = find_deleted(w, column, w->ops[op].row, &target);

    *ret_some = status == NX_OK && target != NO_OP && target != op;
    if (!*ret_some)
        return status;
    uint32_t soft = column->nullable ? (uint32_t)(NXI_EDGE_SOFT | NXI_EDGE_EARLY) : 0;
    return add_edge(w, target, op, column->index | soft | NXI_EDGE_STORED);
}

static nx_status add_edges_of_column(weaver *w, uint32_t op, const nxi_column *column)
{
    const nxi_kind *kind = w->ops[op].kind;
    bool moves_away = false;
    nx_status status;

    if (kind->verb == NXI_BATCH_INSERT)
        return add_new_reference(w, op, column, column->nullable);
    if (kind->verb == NXI_BATCH_DELETE)
        return add_old_reference(w, op, column, &moves_away);
    if (!nxi_kind_writes(kind, column))
        return NX_OK;
    status = add_old_reference(w, op, column, &moves_away);
    /* A reference that is still needed elsewhere cannot be changed later, unless it can be empty until then. */
    return status == NX_OK ? add_new_reference(w, op, column, !moves_away || column->nullable) : status;
}

static nx_status add_references(weaver *w)
{
    nx_status status = NX_OK;

    for (uint32_t op = 0; op < w->count && status == NX_OK; op++) {
        const nxi_table *table = w->ops[op].kind->table;
        if (!table->has_references)
            continue;
        for (size_t i = 0; i < table->column_count && status == NX_OK; i++)
            if (nxi_is_reference(&table->columns[i]))
                status = add_edges_of_column(w, op, &table->columns[i]);
    }
    return status;
}

static uint32_t op_of(weaver *w, const void *row)
{
    if (nxi_row_of(row)->state == NXI_ROW_NEW)
        return fresh_op(w, row);
    const nxi_plan_op *op = nxi_map_find(&w->stored, address_hash(row), is_op_of, row);
    return op == NULL ? NO_OP : (uint32_t)(op - w->ops);
}

static nx_status add_pairs(weaver *w)
{
    const nxi_planner *p = w->p;
    nx_status status = NX_OK;

    if (p->pair_count > 0 && !w->stored_made && !fill(w, &w->stored, false, &w->stored_made))
        return nxi_planner_no_memory(p);
    for (size_t i = 0; i < p->pair_count && status == NX_OK; i++) {
        const nxi_unique_pair *pair = &p->pairs[i];
        status = add_edge(w, op_of(w, pair->taker), op_of(w, pair->giver), pair->label);
    }
    return status;
}

/* ------------------------------------------------------------------------------ circles */

static nx_status refuse_exchange(weaver *w, uint32_t from, const nxi_edge *edge)
{
    nxi_planner *p = w->p;
    const void *taker = w->ops[from].row, *giver = w->ops[edge->to].row;
    const nxi_table *table = nxi_row_of(taker)->table;
    const nxi_column *column =
        &((edge->label & NXI_EDGE_EARLY) != 0 ? nxi_row_of(giver)->table : table)->columns[edge->label & NXI_EDGE_COLUMN];
    char taking[128], giving[128];

    p->at = w->ops[from].row;
    nx_status status =
        nxi_fail(p->error, NX_EUNIQUE,
                 "%s.%s: %s takes a value that %s gives up in the same flush, and no order of statements allows it",
                 table->entity->name, column->field->name, nxi_planner_name(taker, taking, sizeof(taking)),
                 nxi_planner_name(giver, giving, sizeof(giving)));
    nxi_error_name(p->error->column, column->field->name);
    nxi_error_name(p->error->table, table->name);
    return status;
}

static nx_status refuse_deletes(weaver *w, uint32_t from, const nxi_edge *edge)
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

static nx_status refuse_inserts(weaver *w, uint32_t from, const nxi_edge *edge)
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
static nx_status refuse_circle(weaver *w)
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

static bool has_late_columns(const weaver *w, uint32_t op)
{
    const nxi_graph *g = &w->graph;

    for (uint32_t e = g->first[op]; e < g->first[op + 1]; e++)
        if ((g->edges[e].label & (NXI_EDGE_CUT | NXI_EDGE_EARLY)) == NXI_EDGE_CUT)
            return true;
    return false;
}

static void mark_late_columns(weaver *w, uint32_t op)
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
static nx_status split_late(weaver *w, uint32_t op)
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
    nxi_kind want = { .verb = rest ? NXI_BATCH_LATE_UPDATE : NXI_BATCH_UPDATE, .table = kind->table, .late = !rest,
                      .made_unknown = kind->made_unknown,
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

static nx_status park(weaver *w, const parked *list, size_t count)
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

static nx_status split_early(weaver *w)
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

static nx_status split_rows(weaver *w)
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

/* ------------------------------------------------------------------------------ levels */

static bool share_statement(const nxi_kind *kind, const nxi_kind *before, const nxi_edge *edge)
{
    if (kind != before || kind == NULL || (edge->label & NXI_EDGE_UNIQUE) != 0)
        return false;
    return kind->verb == NXI_BATCH_DELETE || (kind->verb == NXI_BATCH_INSERT && key_is_known(kind));
}

static uint32_t find_levels(weaver *w)
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

static uint32_t rank_of(const weaver *w, uint32_t op)
{
    return w->all ? 0 : nxi_planner_rank(w->p, w->ops[op].kind);
}

/* Ops that are left, by rank, level, kind. False: out of memory. */
static bool sort_ops(weaver *w, uint32_t highest, sorter *s)
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

static bool begins_batch(const weaver *w, const sorter *s, uint32_t i)
{
    uint32_t op = s->ops[i], before = i == 0 ? op : s->ops[i - 1];

    return i == 0 || w->ops[op].kind != w->ops[before].kind || w->level[op] != w->level[before];
}

/* Runs of one rank, level and kind. */
static nx_status make_batches(weaver *w, const sorter *s, size_t run)
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

/* ------------------------------------------------------------------------------ all of it */

static void forget_kinds(const nxi_planner *p, chooser chooses)
{
    for (nxi_kind *kind = p->list; kind != NULL; kind = kind->next)
        if (chooses(kind)) {
            kind->chunk = NULL;
            kind->row_count = 0;
        }
}

static nx_status weave_ops(weaver *w, chooser chooses, size_t run)
{
    nxi_planner *p = w->p;
    sorter s = { .count = 0 };
    nx_status status = add_references(w);

    if (status == NX_OK && w->all)
        status = add_pairs(w);
    if (status != NX_OK || w->graph.edge_count == 0)
        return status; /* their kinds tell all */
    forget_kinds(p, chooses);
    status = nxi_graph_order(&w->graph);
    if (status != NX_OK)
        return status == NX_EVALUE ? refuse_circle(w) : nxi_planner_no_memory(p);
    status = split_rows(w);
    if (status != NX_OK)
        return status;
    w->level = nxi_arena_get(p->arena, (size_t)w->count * sizeof(*w->level), 16);
    s.ops = nxi_arena_get(p->arena, (size_t)w->count * sizeof(*s.ops), 16);
    if (w->level == NULL || s.ops == NULL || !sort_ops(w, find_levels(w), &s))
        return nxi_planner_no_memory(p);
    return make_batches(w, &s, run);
}

static nx_status weave(nxi_planner *p, chooser chooses, size_t run)
{
    nxi_memory *memory = p->db->loop->memory;
    weaver w = { .p = p, .all = chooses == is_any };
    nx_status status = take_rows(&w, chooses);

    if (status != NX_OK)
        return status;
    nxi_graph_init(&w.graph, memory, w.count);
    nxi_map_init(&w.stored, memory);
    nxi_map_init(&w.keyed, memory);
    status = weave_ops(&w, chooses, run);
    nxi_map_fini(&w.keyed);
    nxi_map_fini(&w.stored);
    nxi_graph_fini(&w.graph);
    return status;
}

nx_status nxi_planner_order(nxi_planner *p)
{
    bool inserts = false, deletes = false, circular = false;
    nx_status status = NX_OK;

    for (const nxi_kind *kind = p->list; kind != NULL; kind = kind->next) {
        inserts = inserts || is_circular_insert(kind);
        deletes = deletes || kind->verb == NXI_BATCH_DELETE;
        circular = circular || is_circular_delete(kind);
    }
    /* Keys of deleted rows are looked up. */
    if (deletes && !nxi_workset_settle(&p->session->rows))
        return nxi_planner_no_memory(p);
    if (deletes && !p->partial)
        status = nxi_planner_check_deleted(p);
    if (status == NX_OK && !p->partial)
        status = nxi_planner_pairs(p);
    if (status == NX_OK && p->pair_count > 0)
        return weave(p, is_any, 0);
    if (status == NX_OK && inserts)
        status = weave(p, is_circular_insert, 0);
    return status == NX_OK && circular ? weave(p, is_circular_delete, 1) : status;
}
