/*
 * planner_order - the rows whose place among the others their table does not tell.
 *
 * Without rows that exchange unique values there are two separate orders, both over rows of tables that refer to each other in
 * circles: that of inserts and that of deletes. With such rows all rows of the flush are in one order.
 */
#include "engine/planner_order.h"

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
static nx_status number_fresh(nxi_weaver *w)
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

static nx_status take_rows(nxi_weaver *w, chooser chooses)
{
    nxi_planner *p = w->p;
    size_t count = 0, at = 0;

    for (const nxi_kind *kind = p->list; kind != NULL; kind = kind->next)
        count += chooses(kind) ? kind->row_count : 0;
    if (count >= NXI_NO_OP)
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
static uint32_t fresh_op(const nxi_weaver *w, const void *row)
{
    const nxi_planner *p = w->p;
    uint32_t place = nxi_row_of(row)->place;

    if (p->partial)
        return w->count == 1 && row == w->ops[0].row ? 0 : NXI_NO_OP;
    if (w->fresh == NULL || place >= p->rows->fresh_count || p->rows->fresh[place] != nxi_row_of(row))
        return NXI_NO_OP;
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
static bool fill(nxi_weaver *w, nxi_map *map, bool fresh, bool *made)
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
static bool read_key(nxi_weaver *w, const nxi_column *column, const void *row)
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
static nx_status find_fresh(nxi_weaver *w, const nxi_column *column, const void *row, uint32_t *ret_op)
{
    const nx_reference *reference = nxi_reference_of(column, row);

    *ret_op = NXI_NO_OP;
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
    const nxi_plan_op *op =
        nxi_map_find(&w->keyed, nxi_key_hash(column->target, w->key), has_key, &(wanted_key){ column->target, w->key });
    if (op != NULL)
        *ret_op = (uint32_t)(op - w->ops);
    return NX_OK;
}

/* The row to be deleted that a reference names in the database. */
static nx_status find_deleted(nxi_weaver *w, const nxi_column *column, const void *row, uint32_t *ret_op)
{
    *ret_op = NXI_NO_OP;
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

static nx_status add_edge(nxi_weaver *w, uint32_t from, uint32_t to, uint32_t label)
{
    return nxi_graph_add(&w->graph, from, to, label) ? NX_OK : nxi_planner_no_memory(w->p);
}

/* `op` is written after the new row that its reference names. */
static nx_status add_new_reference(nxi_weaver *w, uint32_t op, const nxi_column *column, bool can_wait)
{
    uint32_t target;
    nx_status status = find_fresh(w, column, w->ops[op].row, &target);

    if (status != NX_OK || target == NXI_NO_OP || (target == op && nxi_kind_knows_keys(w->ops[op].kind)))
        return status;
    return add_edge(w, op, target, column->index | (can_wait ? (uint32_t)NXI_EDGE_SOFT : 0));
}

/* A row that the database knows to refer to a deleted one goes before it. */
static nx_status add_old_reference(nxi_weaver *w, uint32_t op, const nxi_column *column, bool *ret_some)
{
    uint32_t target;
    nx_status status = find_deleted(w, column, w->ops[op].row, &target);

    *ret_some = status == NX_OK && target != NXI_NO_OP && target != op;
    if (!*ret_some)
        return status;
    uint32_t soft = column->nullable ? (uint32_t)(NXI_EDGE_SOFT | NXI_EDGE_EARLY) : 0;
    return add_edge(w, target, op, column->index | soft | NXI_EDGE_STORED);
}

static nx_status add_edges_of_column(nxi_weaver *w, uint32_t op, const nxi_column *column)
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

static nx_status add_edges_of_row(nxi_weaver *w, uint32_t op)
{
    const nxi_kind *kind = w->ops[op].kind;
    const nxi_table *table = kind->table;
    nx_status status = NX_OK;

    if (kind->verb == NXI_BATCH_INSERT && table->in_cycle) {
        w->p->at = w->ops[op].row;
        status = nxi_planner_check_references(w->p, w->ops[op].row, NULL);
    }
    for (size_t i = 0; i < table->column_count && status == NX_OK; i++)
        if (nxi_is_reference(&table->columns[i]))
            status = add_edges_of_column(w, op, &table->columns[i]);
    return status;
}

/* Rows that are far apart in memory are asked for before they are needed. */
static void fetch_ahead(const nxi_plan_op *op)
{
    const nxi_table *table = op->kind->table;

    for (size_t i = 0; i < table->column_count; i++) {
        if (!nxi_is_reference(&table->columns[i]))
            continue;
        const void *target = nxi_reference_of(&table->columns[i], op->row)->row;
        if (target != NULL)
            __builtin_prefetch(nxi_row_of(target));
    }
}

enum { AHEAD = 16 };

static nx_status add_references(nxi_weaver *w)
{
    nx_status status = NX_OK;

    for (uint32_t op = 0; op < w->count && status == NX_OK; op++) {
        if (w->count - op > AHEAD && w->ops[op + AHEAD].kind->table->has_references)
            fetch_ahead(&w->ops[op + AHEAD]);
        if (w->ops[op].kind->table->has_references)
            status = add_edges_of_row(w, op);
    }
    return status;
}

static uint32_t op_of(nxi_weaver *w, const void *row)
{
    if (nxi_row_of(row)->state == NXI_ROW_NEW)
        return fresh_op(w, row);
    const nxi_plan_op *op = nxi_map_find(&w->stored, address_hash(row), is_op_of, row);
    return op == NULL ? NXI_NO_OP : (uint32_t)(op - w->ops);
}

static nx_status add_pairs(nxi_weaver *w)
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

/* ------------------------------------------------------------------------------ all of it */

static void forget_kinds(const nxi_planner *p, chooser chooses)
{
    for (nxi_kind *kind = p->list; kind != NULL; kind = kind->next)
        if (chooses(kind)) {
            kind->chunk = NULL;
            kind->row_count = 0;
        }
}

static nx_status weave_ops(nxi_weaver *w, chooser chooses, size_t run)
{
    nxi_planner *p = w->p;
    nx_status status = add_references(w);

    if (status == NX_OK && w->all)
        status = add_pairs(w);
    if (status != NX_OK || w->graph.edge_count == 0)
        return status; /* their kinds tell all */
    forget_kinds(p, chooses);
    status = nxi_graph_order(&w->graph);
    if (status != NX_OK)
        return status == NX_EVALUE ? nxi_weaver_refuse_circle(w) : nxi_planner_no_memory(p);
    status = nxi_weaver_split(w);
    return status == NX_OK ? nxi_weaver_make_batches(w, run) : status;
}

static nx_status weave(nxi_planner *p, chooser chooses, size_t run)
{
    nxi_memory *memory = p->db->loop->memory;
    nxi_weaver w = { .p = p, .all = chooses == is_any };
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
