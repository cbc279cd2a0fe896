/*
 * table_initial - values that a field's options give as text: the image of a new row, bounds.
 */
#include "engine/table_build.h"

static nx_status parse_option(const nxi_builder *builder, const nxi_column *column, const char *text, nx_value *ret_value)
{
    nx_value value = nx_value_str(text);
    nx_status status = nxi_value_convert(builder->arena, column->type, column->field->labels, &value);

    if (status == NX_ENOMEM)
        return nxi_mapping_out_of_memory(builder->error);
    if (status == NX_OK && (column->type == NX_TYPE_text || column->type == NX_TYPE_longtext || column->type == NX_TYPE_json) &&
        !nxi_text_is_valid(value.text.data, value.text.size, NULL))
        status = NX_EENCODING;
    if (status != NX_OK)
        return nxi_mapping_fail(builder->error, column->table->entity, column->field, "'%.100s' is no value of type %s", text,
                                nx_type_name(column->type));
    *ret_value = value;
    return NX_OK;
}

static nx_status set_bounds(const nxi_builder *builder, nxi_column *column)
{
    nx_status status = NX_OK;

    column->has_min = column->field->min != NULL;
    column->has_max = column->field->max != NULL;
    if (column->has_min)
        status = parse_option(builder, column, column->field->min, &column->min);
    if (column->has_max && status == NX_OK)
        status = parse_option(builder, column, column->field->max, &column->max);
    if (status == NX_OK && column->has_min && column->has_max && nxi_value_compare(&column->min, &column->max) > 0)
        return nxi_mapping_fail(builder->error, column->table->entity, column->field, "min %s is greater than max %s",
                                column->field->min, column->field->max);
    return status;
}

nx_status nxi_initial_build(const nxi_builder *builder, nxi_table *table)
{
    void *image = nxi_arena_zero(builder->arena, table->row_size);
    nx_status status = NX_OK;

    if (image == NULL)
        return nxi_mapping_out_of_memory(builder->error);
    for (size_t i = 0; i < table->column_count && status == NX_OK; i++) {
        nxi_column *column = &table->columns[i];
        nx_value value;

        if (column->form == NXI_FORM_REFERENCE)
            continue; /* has neither */
        status = set_bounds(builder, column);
        if (status != NX_OK || column->field->initial == NULL)
            continue;
        status = parse_option(builder, column, column->field->initial, &value);
        if (status == NX_OK && !nxi_column_set(column, image, value, builder->arena))
            return nxi_mapping_out_of_memory(builder->error);
    }
    table->initial = image;
    return status;
}
