/*
 * planner_unique - which rows of a flush take unique values that other rows of it give up.
 *
 * Deleted rows give up all their unique values and their key, updated ones those that change; new and updated rows take. Only
 * rows of tables of which some row gives up and some row takes are looked at: a flush of nothing but new rows ends after its
 * kinds.
 *
 * Values are equal as nxi_value_equal says. A column whose collation takes more values for one (NOCASE) is ordered only as far as
 * that goes: the database refuses what is missed.
 */
#include "engine/planner.h"

#include <stdio.h>

/* A value that is given up. */
typedef struct given {
    uint64_t hash;
    void *row;
    const nxi_unique *by;
} given;

typedef struct finder {
    nxi_planner *p;
    uint8_t *roots; /* by index: GIVES, TAKES */
    nxi_map map;    /* what is given up */
} finder;

enum { GIVES = 1, TAKES = 2 };

bool nxi_can_pass_through_null(const nxi_table *table, const nxi_column *column)
{
    if (table->is_catalogued && (table->passable == NULL || !nxi_bit_is_set(table->passable, column->index)))
        return false;
    return column->nullable && !column->is_key && column->field->sql_default == NULL;
}

const char *nxi_planner_name(const void *row, char *text, size_t size)
{
    const nxi_table *table = nxi_row_of(row)->table;
    int used = snprintf(text, size, "%s", table->entity->name);
    nx_value value;
    char part[64];

    for (size_t i = 0; i < table->key_count && nxi_row_has_key(table, row) && used >= 0 && (size_t)used < size; i++) {
        nxi_column_get(&table->columns[i], row, &value);
        (void)nx_value_format(value, part, sizeof(part));
        int more = snprintf(text + used, size - (size_t)used, "%s%s", i == 0 ? " " : ", ", part);
        used = more < 0 ? more : used + more;
    }
    return text;
}

/* ------------------------------------------------------------------------------ kinds */

static bool touches(const nxi_kind *kind, const nxi_unique *u)
{
    for (size_t i = 0; i < u->count; i++)
        if (nxi_bit_is_set(kind->columns, u->columns[i]->index))
            return true;
    return false;
}

/* Whether rows of that kind give up, or take, values of that constraint. */
static unsigned role_of(const nxi_kind *kind, const nxi_unique *u)
{
    if (kind->verb == NXI_BATCH_DELETE)
        return GIVES;
    if (!touches(kind, u))
        return 0;
    return kind->verb == NXI_BATCH_INSERT ? TAKES : GIVES | TAKES;
}

/* Mark the roots. True: of some, rows both give up and take. */
static bool mark_roots(finder *f)
{
    bool both = false;

    for (const nxi_kind *kind = f->p->list; kind != NULL; kind = kind->next) {
        uint8_t *root = &f->roots[kind->table->root->index];
        for (const nxi_unique *u = kind->row_count == 0 ? NULL : kind->table->uniques; u != NULL; u = u->next)
            *root |= (uint8_t)role_of(kind, u);
        both = both || *root == (GIVES | TAKES);
    }
    return both;
}

/* ------------------------------------------------------------------------------ values */

/* False: some part is NULL, so that the row has no value there. */
static bool hash_values(const nxi_unique *u, const void *row, uint64_t *ret_hash)
{
    nx_value value;

    *ret_hash = u->seed;
    for (size_t i = 0; i < u->count; i++) {
        nxi_column_get(u->columns[i], row, &value);
        if (value.type == NX_TYPE_null)
            return false;
        *ret_hash = nxi_value_hash(&value, *ret_hash);
    }
    return true;
}

typedef struct taken {
    const void *row;
    const nxi_unique *by;
} taken;

static bool is_given(const void *item, const void *key)
{
    const given *has = item;
    const taken *want = key;
    const void *before = nxi_row_snapshot(has->row);
    nx_value a, b;

    if (has->by->seed != want->by->seed)
        return false;
    for (size_t i = 0; i < has->by->count; i++) {
        nxi_column_get(has->by->columns[i], before, &a);
        nxi_column_get(want->by->columns[i], want->row, &b);
        if (!nxi_value_equal(&a, &b))
            return false;
    }
    return true;
}

static bool give(finder *f, void *row, const nxi_unique *u)
{
    uint64_t hash;

    if (!hash_values(u, nxi_row_snapshot(row), &hash) ||
        nxi_map_find(&f->map, hash, is_given, &(taken){ nxi_row_snapshot(row), u }) != NULL)
        return true;
    given *item = nxi_arena_copy(f->p->arena, &(given){ hash, row, u }, sizeof(given));
    return item != NULL && nxi_map_add(&f->map, hash, item);
}

static const nxi_column *passable(const nxi_table *table, const nxi_unique *u)
{
    for (size_t i = 0; i < u->count; i++)
        if (nxi_can_pass_through_null(table, u->columns[i]))
            return u->columns[i];
    return NULL;
}

/* How a circle through this pair may be opened. */
static uint32_t label_of(const nxi_kind *kind, const nxi_unique *taking, const given *from)
{
    const nxi_column *column = passable(nxi_row_of(from->row)->table, from->by);

    if (column != NULL)
        return column->index | NXI_EDGE_UNIQUE | NXI_EDGE_EARLY | NXI_EDGE_SOFT;
    column = kind->verb == NXI_BATCH_INSERT ? passable(kind->table, taking) : NULL;
    if (column != NULL)
        return column->index | NXI_EDGE_UNIQUE | NXI_EDGE_SOFT;
    return taking->columns[0]->index | NXI_EDGE_UNIQUE;
}

static bool take(finder *f, const nxi_kind *kind, void *row, const nxi_unique *u)
{
    nxi_planner *p = f->p;
    uint64_t hash;

    if (!hash_values(u, row, &hash))
        return true;
    const given *from = nxi_map_find(&f->map, hash, is_given, &(taken){ row, u });
    if (from == NULL || from->row == row)
        return true;
    if (p->pair_count == p->pair_capacity) {
        size_t capacity = p->pair_capacity == 0 ? 16 : p->pair_capacity * 2;
        nxi_unique_pair *pairs = NXI_ARENA_ARRAY(p->arena, nxi_unique_pair, capacity);
        if (pairs == NULL)
            return false;
        if (p->pair_count > 0)
            memcpy(pairs, p->pairs, p->pair_count * sizeof(*pairs));
        p->pairs = pairs;
        p->pair_capacity = capacity;
    }
    p->pairs[p->pair_count++] = (nxi_unique_pair){ row, from->row, label_of(kind, u, from) };
    return true;
}

static bool visit_rows(finder *f, const nxi_kind *kind, const nxi_unique *u, unsigned role)
{
    for (const nxi_kind_chunk *chunk = kind->chunk; chunk != NULL; chunk = chunk->before)
        for (size_t i = 0; i < chunk->count; i++)
            if (!(role == GIVES ? give(f, chunk->rows[i], u) : take(f, kind, chunk->rows[i], u)))
                return false;
    return true;
}

static bool visit_kinds(finder *f, unsigned role)
{
    for (const nxi_kind *kind = f->p->list; kind != NULL; kind = kind->next) {
        if (kind->row_count == 0 || f->roots[kind->table->root->index] != (GIVES | TAKES))
            continue;
        for (const nxi_unique *u = kind->table->uniques; u != NULL; u = u->next)
            if ((role_of(kind, u) & role) != 0 && !visit_rows(f, kind, u, role))
                return false;
    }
    return true;
}

/* A flush of one verb but UPDATE has nothing to look for. */
static bool may_have_pairs(const nxi_planner *p)
{
    bool gives = false, takes = false;

    for (const nxi_kind *kind = p->list; kind != NULL; kind = kind->next) {
        gives = gives || kind->verb != NXI_BATCH_INSERT;
        takes = takes || kind->verb != NXI_BATCH_DELETE;
    }
    return gives && takes;
}

nx_status nxi_planner_pairs(nxi_planner *p)
{
    finder f = { .p = p };

    if (!may_have_pairs(p))
        return NX_OK;
    f.roots = NXI_ARENA_ARRAY(p->arena, uint8_t, p->db->tables.count);
    if (f.roots == NULL)
        return nxi_planner_no_memory(p);
    if (!mark_roots(&f))
        return NX_OK;
    nxi_map_init(&f.map, p->db->loop->memory);
    bool done = visit_kinds(&f, GIVES) && visit_kinds(&f, TAKES);
    nxi_map_fini(&f.map);
    return done ? NX_OK : nxi_planner_no_memory(p);
}
