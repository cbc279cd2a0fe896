/*
 * table - compile a list of entities into tables, and find things in them.
 */
#include "engine/table_build.h"

#include <stdarg.h>
#include <stdio.h>

/* ------------------------------------------------------------------------------ errors */

nx_status nxi_mapping_fail(nx_error *error, const nx_entity *entity, const nx_field *field, const char *format, ...)
{
    char text[NX_ERROR_MESSAGE_SIZE];
    const char *entity_name = entity->name == NULL ? "?" : entity->name;
    const char *field_name = field == NULL || field->name == NULL ? "" : field->name;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    (void)nxi_fail(error, NX_EMAPPING, "%s%s%s: %s", entity_name, field_name[0] == '\0' ? "" : ".", field_name, text);
    if (error != NULL) {
        nxi_error_name(error->table, entity_name);
        nxi_error_name(error->column, field_name);
    }
    return NX_EMAPPING;
}

nx_status nxi_mapping_out_of_memory(nx_error *error)
{
    return nxi_fail(error, NX_ENOMEM, "out of memory while mapping entities");
}

/* ------------------------------------------------------------------------------- names */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool nxi_name_equal(const char *a, const char *b)
{
    for (; *a != '\0' && lower(*a) == lower(*b); a++, b++)
        ;
    return lower(*a) == lower(*b);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool nxi_list_next(const char **list, nx_text *ret_name)
{
    const char *start = *list, *end;

    while (is_space(*start))
        start++;
    if (*start == '\0')
        return false;
    for (end = start; *end != '\0' && *end != ','; end++)
        ;
    *list = *end == ',' ? end + 1 : end;
    while (end > start && is_space(end[-1]))
        end--;
    *ret_name = (nx_text){start, (size_t)(end - start)};
    return true;
}

/* The option, or the entity's name in lower case; NULL: out of memory. */
static const char *table_name(nxi_arena *arena, const nx_entity *entity)
{
    char *name;

    if (entity->table != NULL)
        return entity->table;
    name = nxi_arena_str(arena, entity->name);
    for (char *p = name; p != NULL && *p != '\0'; p++)
        *p = lower(*p);
    return name;
}

/* ------------------------------------------------------------------------------ tables */

/* The table at the end of the chain of parents; NULL: a parent is not in the list, or the chain is a ring. */
static const nxi_table *root_of(const nxi_tables *tables, const nx_entity *entity)
{
    for (size_t steps = 0; steps <= tables->count; steps++) {
        if (entity->parent == NULL)
            return nxi_tables_find(tables, entity);
        if (nxi_tables_find(tables, entity->parent) == NULL)
            return NULL;
        entity = entity->parent;
    }
    return NULL;
}

static nx_status start_table(const nxi_builder *builder, nxi_table *table)
{
    const nx_entity *entity = table->entity;

    table->row_size = (entity->row_size + 15) & ~(size_t)15;
    table->root = root_of(builder->tables, entity);
    if (table->root == NULL)
        return nxi_mapping_fail(builder->error, entity, NULL,
                                "a parent is not in the database's list of entities, or derived from this one");
    table->name = table_name(builder->arena, table->root->entity);
    if (table->name == NULL)
        return nxi_mapping_out_of_memory(builder->error);
    if (!nxi_identifier_is_valid(builder->dialect, table->name))
        return nxi_mapping_fail(builder->error, entity, NULL,
                                "the table name '%s' is empty, no valid UTF-8, or longer than the %zu bytes of %s", table->name,
                                builder->dialect->identifier_bytes_max, builder->dialect->name);
    for (const nxi_table *other = builder->tables->list; other != table; other++) {
        if (other->root != table->root && nxi_name_equal(other->name, table->name))
            return nxi_mapping_fail(builder->error, entity, NULL, "the table '%s' is that of %s too", table->name,
                                    other->entity->name);
    }
    return nxi_options_check(builder, entity);
}

/* Fills the list, so that tables can be found by entity. */
static nx_status list_tables(const nxi_builder *builder, const nx_entity *const *entities, size_t count)
{
    nxi_tables *tables = builder->tables;

    tables->list = NXI_ARENA_ARRAY(builder->arena, nxi_table, count);
    if (tables->list == NULL)
        return nxi_mapping_out_of_memory(builder->error);
    for (size_t i = 0; i < count; i++) {
        if (entities[i] == NULL || entities[i]->name == NULL || entities[i]->name[0] == '\0')
            return nxi_fail(builder->error, NX_EMAPPING, "entity %zu of the list has no name", i);
        if (entities[i]->row_size == 0 || entities[i]->row_size > UINT32_MAX - 15)
            return nxi_mapping_fail(builder->error, entities[i], NULL, "row_size is not that of a struct");
        if (nxi_tables_find(tables, entities[i]) != NULL)
            return nxi_mapping_fail(builder->error, entities[i], NULL, "is in the list twice");
        tables->list[i].entity = entities[i];
        tables->list[i].index = (uint32_t)i;
        tables->count++;
    }
    return NX_OK;
}

typedef nx_status (*table_step)(const nxi_builder *builder, nxi_table *table);

static nx_status check_relations(const nxi_builder *builder, nxi_table *table)
{
    nx_status status = nxi_relations_check(builder, table);

    return status != NX_OK ? status : nxi_tree_check(builder, table);
}

nx_status nxi_tables_build(nxi_arena *arena, const struct nxi_dialect *dialect, const nx_entity *const *entities, size_t count,
                           nxi_tables *ret_tables, nx_error *error)
{
    static const table_step steps[] = {start_table, nxi_columns_build_keys, nxi_columns_build_rest, nxi_initial_build,
                                       check_relations};
    nxi_tables tables = {0};
    nxi_builder builder = {.arena = arena, .dialect = dialect, .tables = &tables, .error = error};
    nx_status status;

    if (count == 0 || entities == NULL)
        return nxi_fail(error, NX_EMAPPING, "a database needs at least one entity");
    if (count > UINT16_MAX)
        return nxi_fail(error, NX_EMAPPING, "a database has at most %d entities", UINT16_MAX);
    status = list_tables(&builder, entities, count);
    for (size_t step = 0; step < NXI_COUNT(steps); step++) {
        for (size_t i = 0; i < count && status == NX_OK; i++)
            status = steps[step](&builder, &tables.list[i]);
    }
    if (status == NX_OK)
        status = nxi_order_build(&builder);
    for (size_t i = 0; i < count && status == NX_OK; i++) {
        if (!nxi_uniques_build(&builder, &tables.list[i]) || !nxi_prepare_build(arena, &tables.list[i]))
            status = nxi_mapping_out_of_memory(error);
    }
    if (status == NX_OK)
        *ret_tables = tables;
    return status;
}

/* ------------------------------------------------------------------------------ search */

const nxi_table *nxi_tables_find(const nxi_tables *tables, const nx_entity *entity)
{
    for (size_t i = 0; i < tables->count; i++) {
        if (tables->list[i].entity == entity)
            return &tables->list[i];
    }
    return NULL;
}

static bool is_name(const char *name, nx_text text)
{
    return strlen(name) == text.size && memcmp(name, text.data, text.size) == 0;
}

const nxi_column *nxi_table_column(const nxi_table *table, nx_text field_name)
{
    for (size_t i = 0; field_name.data != NULL && i < table->entity->field_count; i++) {
        if (is_name(table->entity->fields[i].name, field_name))
            return table->field_column[i] == UINT16_MAX ? NULL : &table->columns[table->field_column[i]];
    }
    return NULL;
}

const nxi_column *nxi_table_column_named(const nxi_table *table, nx_text column_name)
{
    for (size_t i = 0; column_name.data != NULL && i < table->column_count; i++) {
        if (is_name(table->columns[i].name, column_name))
            return &table->columns[i];
    }
    return NULL;
}
