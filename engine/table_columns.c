/*
 * table_columns - the columns of a table: key columns first, then one per field, or one per part of the key that a
 * reference refers to.
 */
#include "engine/table_build.h"
#include "engine/types.h"

#include <stdlib.h>

enum { LAZY_MAX = 32, COLUMNS_MAX = 32767 };

/* Not to be called before the keys of all tables are built. */
static size_t columns_of_field(const nxi_builder *builder, const nx_field *field)
{
    if (nxi_kind_is_scalar(field->kind))
        return 1;
    return field->kind == NX_KIND_SINGLE ? nxi_tables_find(builder->tables, field->target)->key_count : 0;
}

static bool is_lazy(const nx_field *field)
{
    return field->lazy == NX_ON || (field->lazy == NX_DEFAULT && field->type == NX_TYPE_longtext);
}

static bool is_stripped(const nx_field *field)
{
    if (field->type == NX_TYPE_text)
        return field->autostrip != NX_OFF;
    return field->type == NX_TYPE_longtext && field->autostrip == NX_ON;
}

static nxi_column scalar_column(const nxi_table *table, const nx_field *field)
{
    bool is_optional = field->kind == NX_KIND_OPT;

    return (nxi_column){.name = field->column != NULL ? field->column : field->name,
                        .field = field,
                        .table = table,
                        .type = field->type,
                        .form = is_optional ? NXI_FORM_OPTIONAL : NXI_FORM_PLAIN,
                        .offset = (uint32_t)field->offset,
                        .present_offset = is_optional ? (uint32_t)field->offset + nxi_types[field->type].present : 0,
                        .max_len = (uint32_t)field->max_len,
                        .field_index = (uint16_t)(field - table->entity->fields),
                        .nullable = is_optional,
                        .is_key = field->kind == NX_KIND_PK,
                        .lazy = is_lazy(field),
                        .is_volatile = field->is_volatile,
                        .is_version = field->version,
                        .autostrip = is_stripped(field)};
}

/* Unknown names, and those of columns that are there already, are errors of the entity's author. */
static nx_status add_column(const nxi_builder *builder, nxi_table *table, const nxi_column *column)
{
    if (!nxi_identifier_is_valid(builder->dialect, column->name))
        return nxi_mapping_fail(builder->error, table->entity, column->field,
                                "the column name '%s' is empty, no valid UTF-8, or longer than the %zu bytes of %s", column->name,
                                builder->dialect->identifier_bytes_max, builder->dialect->name);
    for (size_t i = 0; i < table->column_count; i++) {
        if (nxi_name_equal(table->columns[i].name, column->name))
            return nxi_mapping_fail(builder->error, table->entity, column->field, "the column '%s' is that of field '%s' too",
                                    column->name, table->columns[i].field->name);
    }
    table->columns[table->column_count] = *column;
    table->columns[table->column_count].index = (uint16_t)table->column_count;
    table->column_count++;
    return NX_OK;
}

/* Makes room for all columns at once: references point to key columns, so the array must not move. */
nx_status nxi_columns_build_keys(const nxi_builder *builder, nxi_table *table)
{
    const nx_entity *entity = table->entity;
    nx_status status = NX_OK;
    size_t keys = 0, columns = 0;

    for (size_t i = 0; i < entity->field_count; i++)
        keys += entity->fields[i].kind == NX_KIND_PK;
    for (size_t i = 0; i < entity->field_count; i++) {
        const nx_field *field = &entity->fields[i];
        const nxi_table *target;
        size_t parts = 0;

        if (nxi_kind_is_scalar(field->kind))
            columns++;
        if (field->target == NULL)
            continue;
        target = nxi_tables_find(builder->tables, field->target);
        if (target == NULL)
            return nxi_mapping_fail(builder->error, entity, field, "the entity %s is not in the database's list",
                                    field->target->name == NULL ? "?" : field->target->name);
        for (size_t f = 0; f < target->entity->field_count; f++)
            parts += target->entity->fields[f].kind == NX_KIND_PK;
        columns += field->kind == NX_KIND_SINGLE ? parts : 0;
    }
    if (columns > COLUMNS_MAX)
        return nxi_mapping_fail(builder->error, entity, NULL, "more than %d columns", COLUMNS_MAX);
    table->columns = NXI_ARENA_ARRAY(builder->arena, nxi_column, columns);
    if (table->columns == NULL)
        return nxi_mapping_out_of_memory(builder->error);
    table->key_count = keys;
    for (size_t i = 0; i < entity->field_count && status == NX_OK; i++) {
        if (entity->fields[i].kind == NX_KIND_PK) {
            nxi_column column = scalar_column(table, &entity->fields[i]);

            column.key_part = (uint16_t)table->column_count;
            status = add_column(builder, table, &column);
        }
    }
    if (status == NX_OK && keys == 1 && nxi_type_is_integer(table->columns[0].type) && !table->columns[0].field->caller_assigned)
        table->auto_key = &table->columns[0];
    return status;
}

/* "<field>_<key column>", or what the option `column` says: one name for each part. NULL: out of memory. */
static const char *reference_name(const nxi_builder *builder, const nx_field *field, const nxi_column *part, const char **names)
{
    size_t size = strlen(field->name), part_size = strlen(part->name);
    nx_text name = {0};
    char *text;

    if (*names != NULL) {
        if (!nxi_list_next(names, &name))
            name = nx_str("");
        return nxi_arena_text(builder->arena, name.data, name.size);
    }
    text = nxi_arena_get(builder->arena, size + part_size + 2, 1);
    if (text == NULL)
        return NULL;
    memcpy(text, field->name, size);
    text[size] = '_';
    memcpy(text + size + 1, part->name, part_size + 1);
    return text;
}

static nx_status add_reference(const nxi_builder *builder, nxi_table *table, const nx_field *field)
{
    const nxi_table *target = nxi_tables_find(builder->tables, field->target);
    const char *names = field->column;
    nx_status status = NX_OK;
    nx_text more;

    for (size_t part = 0; part < target->key_count && status == NX_OK; part++) {
        const nxi_column *key = &target->columns[part];
        nxi_column column = {
            .name = target->key_count == 1 && field->column != NULL ? field->column : reference_name(builder, field, key, &names),
            .field = field,
            .table = table,
            .target = target,
            .target_column = key,
            .type = key->type,
            .form = NXI_FORM_REFERENCE,
            .offset = (uint32_t)field->offset,
            .max_len = key->max_len,
            .field_index = (uint16_t)(field - table->entity->fields),
            .key_part = (uint16_t)part,
            .nullable = field->optional};

        if (column.name == NULL)
            return nxi_mapping_out_of_memory(builder->error);
        status = add_column(builder, table, &column);
    }
    if (status == NX_OK && target->key_count > 1 && names != NULL && nxi_list_next(&names, &more))
        return nxi_mapping_fail(builder->error, table->entity, field,
                                "the key of %s has %zu columns, the option column names more", target->entity->name,
                                target->key_count);
    return status;
}

static nx_status number_lazy_columns(const nxi_builder *builder, nxi_table *table)
{
    for (size_t i = 0; i < table->column_count; i++) {
        nxi_column *column = &table->columns[i];

        if (!column->lazy)
            continue;
        if (table->lazy_count == LAZY_MAX)
            return nxi_mapping_fail(builder->error, table->entity, column->field, "more than %d lazy fields", LAZY_MAX);
        column->lazy_bit = (uint8_t)table->lazy_count++;
        table->lazy_mask |= UINT32_C(1) << column->lazy_bit;
    }
    return NX_OK;
}

static int compare_offsets(const void *left, const void *right)
{
    const nx_field *a = *(const nx_field *const *)left, *b = *(const nx_field *const *)right;

    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* Members one behind the other are one span: what is between them is padding. */
static bool join_span(nxi_span *span, const nx_field *field)
{
    size_t end = (size_t)span->offset + span->size, align = nxi_field_align(field);

    if (field->offset > (end + align - 1) / align * align)
        return false;
    if (field->offset + field->size > end)
        span->size = (uint32_t)(field->offset + field->size - span->offset);
    return true;
}

static nx_status find_stored(const nxi_builder *builder, nxi_table *table)
{
    const nx_entity *entity = table->entity;
    const nx_field **fields = NXI_ARENA_ARRAY(builder->arena, const nx_field *, entity->field_count);
    nxi_span *spans = NXI_ARENA_ARRAY(builder->arena, nxi_span, entity->field_count);
    bool joins = false;

    if (fields == NULL || spans == NULL)
        return nxi_mapping_out_of_memory(builder->error);
    for (size_t i = 0; i < entity->field_count; i++)
        fields[i] = &entity->fields[i];
    qsort(fields, entity->field_count, sizeof(*fields), compare_offsets);
    table->stored = spans;
    for (size_t i = 0; i < entity->field_count; i++) {
        const nx_field *field = fields[i];

        if (!nxi_kind_is_scalar(field->kind) && field->kind != NX_KIND_SINGLE)
            joins = false;
        else if (!joins || !join_span(&spans[table->stored_count - 1], field)) {
            spans[table->stored_count++] = (nxi_span){(uint32_t)field->offset, (uint32_t)field->size};
            joins = true;
        }
    }
    return NX_OK;
}

nx_status nxi_columns_build_rest(const nxi_builder *builder, nxi_table *table)
{
    const nx_entity *entity = table->entity;
    uint16_t *first = NXI_ARENA_ARRAY(builder->arena, uint16_t, entity->field_count);
    nx_status status = NX_OK;

    if (first == NULL)
        return nxi_mapping_out_of_memory(builder->error);
    for (size_t i = 0, key = 0; i < entity->field_count && status == NX_OK; i++) {
        const nx_field *field = &entity->fields[i];

        table->has_calls |= field->initial_call != NULL;
        first[i] = (uint16_t)(field->kind == NX_KIND_PK ? key++ : table->column_count);
        if (columns_of_field(builder, field) == 0)
            first[i] = UINT16_MAX;
        else if (field->kind == NX_KIND_SINGLE)
            status = add_reference(builder, table, field);
        else if (field->kind != NX_KIND_PK) {
            nxi_column column = scalar_column(table, field);

            status = add_column(builder, table, &column);
        }
    }
    if (status != NX_OK)
        return status;
    table->field_column = first;
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];

        if (column->is_version)
            table->version = column;
        table->has_references |= column->form == NXI_FORM_REFERENCE;
        table->has_defaults |= column->field->sql_default != NULL;
        table->has_pointers |= nxi_column_holds_pointer(column);
    }
    status = number_lazy_columns(builder, table);
    return status == NX_OK ? find_stored(builder, table) : status;
}
