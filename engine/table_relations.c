/*
 * table_relations - what entities say about each other: both sides of a relation, and parents.
 */
#include "engine/table_build.h"

/* Whether `entity` is `other` or derived from it. Parents were checked for cycles. */
static bool is_kind_of(const nx_entity *entity, const nx_entity *other)
{
    for (; entity != NULL; entity = entity->parent) {
        if (entity == other)
            return true;
    }
    return false;
}

static bool is_relation(const nx_field *field)
{
    return field->kind == NX_KIND_SINGLE || field->kind == NX_KIND_SET;
}

/* Whether `other`, a field of the target, can be the other side of `field` of `entity`. */
static bool can_be_reverse(const nx_entity *entity, const nx_field *field, const nx_field *other)
{
    if (!is_relation(other) || !is_kind_of(entity, other->target))
        return false;
    return other->reverse == NULL || strcmp(other->reverse, field->name) == 0;
}

static nx_status check_named_reverse(const nxi_builder *builder, const nx_entity *entity, const nx_field *field)
{
    nx_column column = nx_column_of(field->target, field->reverse);

    if (column.field == UINT16_MAX)
        return nxi_mapping_fail(builder->error, entity, field, "reverse: %s has no field '%s'", field->target->name,
                                field->reverse);
    if (!can_be_reverse(entity, field, &field->target->fields[column.field]))
        return nxi_mapping_fail(builder->error, entity, field, "reverse: %s.%s does not refer back to it", field->target->name,
                                field->reverse);
    return NX_OK;
}

static nx_status check_set(const nxi_builder *builder, const nx_entity *entity, const nx_field *field)
{
    size_t candidates = 0, named = 0;

    for (size_t i = 0; i < field->target->field_count; i++) {
        const nx_field *other = &field->target->fields[i];

        if (other == field || !can_be_reverse(entity, field, other))
            continue;
        candidates++;
        named += other->reverse != NULL;
    }
    if (candidates == 0)
        return nxi_mapping_fail(builder->error, entity, field, "%s has no field that refers back to %s", field->target->name,
                                entity->name);
    if (named > 1 || (named == 0 && candidates > 1))
        return nxi_mapping_fail(builder->error, entity, field,
                                "%zu fields of %s refer back to %s; name one with the option reverse", candidates,
                                field->target->name, entity->name);
    return NX_OK;
}

nx_status nxi_relations_check(const nxi_builder *builder, const nxi_table *table)
{
    const nx_entity *entity = table->entity;
    nx_status status = NX_OK;

    for (size_t i = 0; i < entity->field_count && status == NX_OK; i++) {
        const nx_field *field = &entity->fields[i];

        if (!is_relation(field))
            continue;
        if (field->join_table != NULL && !nxi_identifier_is_valid(builder->dialect, field->join_table))
            return nxi_mapping_fail(builder->error, entity, field, "%s cannot hold the name join_table", builder->dialect->name);
        if (field->reverse != NULL)
            status = check_named_reverse(builder, entity, field);
        else if (field->kind == NX_KIND_SET)
            status = check_set(builder, entity, field);
    }
    return status;
}

/* ------------------------------------------------------------------------- inheritance */

/* All entities of a tree have one key, or rows of the tree could not be told apart. */
static bool has_key_of(const nxi_table *table, const nxi_table *root)
{
    if (table->key_count != root->key_count)
        return false;
    for (size_t i = 0; i < root->key_count; i++) {
        if (table->columns[i].type != root->columns[i].type || strcmp(table->columns[i].name, root->columns[i].name) != 0)
            return false;
    }
    return (table->auto_key == NULL) == (root->auto_key == NULL);
}

/* A column that two entities of a tree both have is one column of their table. */
static nx_status check_shared_columns(const nxi_builder *builder, const nxi_table *table, const nxi_table *other)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];

        for (size_t j = 0; j < other->column_count; j++) {
            if (nxi_name_equal(column->name, other->columns[j].name) && column->type != other->columns[j].type)
                return nxi_mapping_fail(builder->error, table->entity, column->field,
                                        "the column '%s' has another type in %s, which shares the table", column->name,
                                        other->entity->name);
        }
    }
    return NX_OK;
}

static bool is_same_text(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

nx_status nxi_tree_check(const nxi_builder *builder, const nxi_table *table)
{
    const nx_entity *entity = table->entity;
    const nxi_table *root = table->root;
    nx_status status = NX_OK;

    if (table == root)
        return NX_OK;
    if (!nxi_identifier_is_valid(builder->dialect, root->entity->discriminator))
        return nxi_mapping_fail(builder->error, root->entity, NULL,
                                "has derived entities and needs the option discriminator, a column name");
    if (entity->discriminator_value == NULL ||
        !nxi_text_is_valid(entity->discriminator_value, strlen(entity->discriminator_value), NULL))
        return nxi_mapping_fail(builder->error, entity, NULL, "a derived entity needs the option discriminator_value");
    if (entity->table != NULL && !nxi_name_equal(entity->table, root->name))
        return nxi_mapping_fail(builder->error, entity, NULL, "a derived entity lives in the table '%s' of its root", root->name);
    if (!has_key_of(table, root))
        return nxi_mapping_fail(builder->error, entity, NULL, "the primary key is not that of %s", root->entity->name);
    for (size_t i = 0; i < builder->tables->count && status == NX_OK; i++) {
        const nxi_table *other = &builder->tables->list[i];

        if (other == table || other->root != root)
            continue;
        if (is_same_text(other->entity->discriminator_value, entity->discriminator_value))
            return nxi_mapping_fail(builder->error, entity, NULL, "the discriminator_value '%s' is that of %s too",
                                    entity->discriminator_value, other->entity->name);
        status = check_shared_columns(builder, table, other);
    }
    return status;
}
