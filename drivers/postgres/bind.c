/*
 * bind - Bind messages: parameters from values, from a row, from the rows of a batch (55.7 "Bind").
 */
#include "drivers/postgres/postgres.h"

#include "engine/values.h"

/* ------------------------------------------------------------------------------ the parts of a Bind */

static size_t begin_bind(nxi_buf *out, const char *portal, const nxi_pg_prepared *p)
{
    size_t start = nxi_pg_begin(out, 'B');

    nxi_pg_put_text(out, portal);
    nxi_pg_put_text(out, p->name);
    return start;
}

/* One code for all where they agree. */
static void put_param_formats(nxi_buf *out, const nxi_pg_prepared *p, size_t count)
{
    size_t binary = 0;

    for (size_t i = 0; i < count; i++)
        binary += nxi_pg_parameter_format(p->types[i]) == NXI_PG_AS_BINARY;
    if (binary == count || binary == 0) {
        nxi_pg_put16(out, 1);
        nxi_pg_put16(out, binary == 0 ? NXI_PG_AS_TEXT : NXI_PG_AS_BINARY);
        return;
    }
    nxi_pg_put16(out, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        nxi_pg_put16(out, (uint16_t)nxi_pg_parameter_format(p->types[i]));
}

/*
 * A type of the application's own is asked for as text, whatever it is on the server. But not an interval, which is one by any
 * name: its text depends on IntervalStyle (8.5.5), and that is another client's behind a pooler.
 */
nxi_pg_format nxi_pg_column_format(const nxi_column *column)
{
    while (column->form == NXI_FORM_REFERENCE && column->target_column != NULL)
        column = column->target_column;
    if (column->type == NX_TYPE_interval)
        return NXI_PG_AS_BINARY;
    return column->field != NULL && column->field->sql_type != NULL ? NXI_PG_AS_TEXT : NXI_PG_AS_BINARY;
}

static void put_entity_formats(nxi_buf *out, const nxi_statement *s)
{
    size_t texts = 0;

    for (size_t i = 0; i < s->result_count; i++)
        texts += nxi_pg_column_format(s->results[i]) == NXI_PG_AS_TEXT;
    if (texts == 0) {
        nxi_pg_put32(out, 1u << 16 | NXI_PG_AS_BINARY);
        return;
    }
    nxi_pg_put16(out, (uint16_t)s->result_count);
    for (size_t i = 0; i < s->result_count; i++)
        nxi_pg_put16(out, (uint16_t)nxi_pg_column_format(s->results[i]));
}

static void put_result_formats(nxi_buf *out, const nxi_pg_prepared *p, bool as_text)
{
    if (p->statement == NULL || p->statement->params != NULL || p->statement->of_intervals ||
        (p->statement->results == NULL && as_text && p->variant == NXI_PG_ONE)) {
        /* Texts of ours and what writes return are known, so binary; what is not known yet is text. */
        nxi_pg_put32(out, 1u << 16 | (as_text ? NXI_PG_AS_TEXT : NXI_PG_AS_BINARY));
        return;
    }
    if (p->statement->results != NULL) {
        put_entity_formats(out, p->statement);
        return;
    }
    nxi_pg_put16(out, (uint16_t)p->result_count);
    for (size_t i = 0; i < p->result_count; i++)
        nxi_pg_put16(out, (uint16_t)p->result_formats[i]);
}

static nx_status end_bind(nxi_buf *out, size_t start, nx_error *error)
{
    if (nxi_pg_end(out, start) || out->failed)
        return NX_OK;
    return nxi_fail(error, NX_ELIMIT, "the parameters are larger than the %d bytes that PostgreSQL takes in a message",
                    (int)NXI_PG_MESSAGE_MAX);
}

/* ------------------------------------------------------------------------------ values */

nxi_pg_oid nxi_pg_type_of_value(const nx_value *value)
{
    const nxi_value_array *array = nxi_value_array_of(value);
    nxi_pg_oid element;

    if (array == NULL)
        return nxi_pg_parameter_type(value->type);
    element = nxi_pg_parameter_type(array->element);
    return nxi_pg_array_of(element == NXI_PG_INFER ? NXI_PG_TEXT : element);
}

static nx_status put_value(nxi_buf *out, const nx_value *value, nxi_pg_oid type, nx_error *error)
{
    const nxi_value_array *array = nxi_value_array_of(value);

    if (array == NULL)
        return nxi_pg_put_value(out, value, type, NULL, error);
    return nxi_pg_put_array(out, array->values, array->count, nxi_pg_element_of(type), error);
}

static nx_status put_values(nxi_buf *out, const nxi_pg_prepared *p, const nx_value *values, size_t count, nx_error *error)
{
    for (size_t i = 0; i < count; i++) {
        nx_status status = put_value(out, &values[i], p->types[i], error);
        if (NXI_UNLIKELY(status != NX_OK)) {
            char message[NX_ERROR_MESSAGE_SIZE];
            memcpy(message, error->message, sizeof(message));
            return nxi_fail(error, status, "parameter %zu: %s", i + 1, message);
        }
    }
    return NX_OK;
}

nx_status nxi_pg_bind_values(nxi_buf *out, const char *portal, const nxi_pg_prepared *p, const nx_value *values, size_t count,
                             bool as_text, nx_error *error)
{
    size_t before = out->size, start = begin_bind(out, portal, p);
    nx_status status;

    NX_ASSERT(count == p->param_count);
    put_param_formats(out, p, count);
    nxi_pg_put16(out, (uint16_t)count);
    status = put_values(out, p, values, count, error);
    if (status == NX_OK) {
        put_result_formats(out, p, as_text);
        status = end_bind(out, start, error);
    }
    if (status != NX_OK && !out->failed)
        out->size = before;
    return status;
}

/* ------------------------------------------------------------------------------ rows */

nx_status nxi_pg_bind_row(nxi_buf *out, const nxi_pg_prepared *p, const void *row, nx_error *error)
{
    size_t before = out->size, start = begin_bind(out, "", p);
    size_t count = p->statement->param_count;
    nx_status status;

    put_param_formats(out, p, count);
    nxi_pg_put16(out, (uint16_t)count);
    status = nxi_pg_put_row(out, p->outs, count, row, error);
    if (status == NX_OK) {
        put_result_formats(out, p, false);
        status = end_bind(out, start, error);
    }
    if (status != NX_OK && !out->failed)
        out->size = before;
    return status;
}

nx_status nxi_pg_bind_rows(nxi_buf *out, const nxi_pg_prepared *p, void *const *rows, size_t count, bool checked, size_t *ret_row,
                           nx_error *error)
{
    size_t before = out->size, start = begin_bind(out, "", p);
    size_t columns = p->statement->param_count, total = columns + (checked ? 1 : 0);
    nx_status status = NX_OK;

    *ret_row = SIZE_MAX;
    nxi_pg_put32(out, 1u << 16 | NXI_PG_AS_BINARY);
    nxi_pg_put16(out, (uint16_t)total);
    for (size_t i = 0; i < columns && status == NX_OK; i++)
        status = nxi_pg_put_column(out, &p->outs[i], rows, count, ret_row, error);
    if (status == NX_OK && checked) {
        char number[8];
        nxi_pg_store64(number, (uint64_t)count);
        nxi_pg_put32(out, sizeof(number));
        nxi_buf_put(out, number, sizeof(number));
    }
    if (status == NX_OK) {
        put_result_formats(out, p, false);
        status = end_bind(out, start, error);
    }
    if (status != NX_OK && !out->failed)
        out->size = before;
    return status;
}
