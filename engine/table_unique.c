/*
 * table_unique - the unique constraints of a table, as far as the mapping knows them: its key, unique fields, lists of fields.
 */
#include "engine/map.h"
#include "engine/table_build.h"

/* The columns of one constraint while they are collected; a list may name a field more than once. */
typedef struct collector {
    const nxi_builder *builder;
    nxi_table *table;
    const nxi_column **columns;
    size_t count;
} collector;

static bool add_unique(const collector *c, bool is_key)
{
    uint64_t seed = c->table->root->index;

    for (size_t i = 0; i < c->count; i++)
        seed = nxi_hash_bytes(c->columns[i]->name, strlen(c->columns[i]->name), seed);
    for (const nxi_unique *u = c->table->uniques; u != NULL; u = u->next)
        if (u->seed == seed)
            return true;
    nxi_unique *u = nxi_arena_get(c->builder->arena, sizeof(*u) + c->count * sizeof(u->columns[0]), 16);
    if (u == NULL)
        return false;
    *u = (nxi_unique){ .next = c->table->uniques, .seed = seed, .count = c->count, .is_key = is_key };
    memcpy(u->columns, c->columns, c->count * sizeof(u->columns[0]));
    c->table->uniques = u;
    return true;
}

/* The columns of a field of `from`, as the table has them. False: it lacks one, so that none of its rows has a value there. */
static bool add_columns(collector *c, const nxi_table *from, size_t first)
{
    for (size_t i = first; i < from->column_count && from->columns[i].field_index == from->columns[first].field_index; i++) {
        const nxi_column *column =
            c->table == from ? &from->columns[i] : nxi_table_column_named(c->table, nx_str(from->columns[i].name));
        if (column == NULL || c->count == c->table->column_count)
            return false;
        c->columns[c->count++] = column;
    }
    return true;
}

/* A list of fields, as in "a, b". */
static bool add_list(collector *c, const nxi_table *from, const char *list)
{
    nx_text name;

    c->count = 0;
    while (nxi_list_next(&list, &name)) {
        const nxi_column *column = nxi_table_column(from, name);
        if (column == NULL || !add_columns(c, from, column->index))
            return true;
    }
    return c->count == 0 || add_unique(c, false);
}

/* What one entity of the tree declares. */
static bool add_declared(collector *c, const nxi_table *from)
{
    for (size_t i = 0; i < from->column_count; i++) {
        if (!from->columns[i].field->unique || (i > 0 && from->columns[i].field_index == from->columns[i - 1].field_index))
            continue;
        c->count = 0;
        if (add_columns(c, from, i) && !add_unique(c, false))
            return false;
    }
    for (size_t i = 0; from->entity->uniques != NULL && from->entity->uniques[i] != NULL; i++)
        if (!add_list(c, from, from->entity->uniques[i]))
            return false;
    return true;
}

bool nxi_uniques_build(const nxi_builder *builder, nxi_table *table)
{
    const nxi_tables *tables = builder->tables;
    collector c = { .builder = builder, .table = table };

    c.columns = NXI_ARENA_ARRAY(builder->arena, const nxi_column *, table->column_count);
    if (c.columns == NULL)
        return false;
    while (c.count < table->key_count) {
        c.columns[c.count] = &table->columns[c.count];
        c.count++;
    }
    if (!add_unique(&c, true))
        return false;
    for (size_t t = 0; t < tables->count; t++)
        if (tables->list[t].root == table->root && !add_declared(&c, &tables->list[t]))
            return false;
    return true;
}
