/*
 * types - PostgreSQL's types by number, and what of ours each of them is.
 *
 * Numbers and array types: src/include/catalog/pg_type.dat. Names are the server's own.
 */
#include "drivers/postgres/codec_parts.h"

#include <stdarg.h>
#include <stdio.h>

/*
 * The usual ones first: it is searched from the front. "char" has no text form of one byte for its zero, xml's binary form may
 * carry another encoding, timetz has no type of ours.
 */
static const nxi_pg_type types[] = {
    { NXI_PG_INT8, 1016, "int8", NX_TYPE_i64, 8, false },
    { NXI_PG_INT4, 1007, "int4", NX_TYPE_i32, 4, false },
    { NXI_PG_TEXT, 1009, "text", NX_TYPE_text, 0, false },
    { NXI_PG_FLOAT8, 1022, "float8", NX_TYPE_f64, 8, false },
    { NXI_PG_BOOL, 1000, "bool", NX_TYPE_boolean, 1, false },
    { NXI_PG_TIMESTAMPTZ, 1185, "timestamptz", NX_TYPE_timestamptz, 8, false },
    { NXI_PG_NUMERIC, 1231, "numeric", NX_TYPE_decimal, 0, false },
    { NXI_PG_VARCHAR, 1015, "varchar", NX_TYPE_text, 0, false },
    { NXI_PG_UUID, 2951, "uuid", NX_TYPE_uuid, 16, false },
    { NXI_PG_JSONB, 3807, "jsonb", NX_TYPE_json, 0, false },
    { NXI_PG_TIMESTAMP, 1115, "timestamp", NX_TYPE_timestamp, 8, false },
    { NXI_PG_DATE, 1182, "date", NX_TYPE_date, 4, false },
    { NXI_PG_BYTEA, 1001, "bytea", NX_TYPE_bytes, 0, false },
    { NXI_PG_CHAR, 1002, "\"char\"", NX_TYPE_text, 1, true },
    { NXI_PG_NAME, 1003, "name", NX_TYPE_text, 0, false },
    { NXI_PG_INT2, 1005, "int2", NX_TYPE_i16, 2, false },
    { NXI_PG_OID, 1028, "oid", NX_TYPE_u32, 4, false },
    { NXI_PG_JSON, 199, "json", NX_TYPE_json, 0, false },
    { NXI_PG_XML, 143, "xml", NX_TYPE_text, 0, true },
    { NXI_PG_FLOAT4, NXI_PG_FLOAT4_ARRAY, "float4", NX_TYPE_f64, 4, false },
    { NXI_PG_UNKNOWN, 0, "unknown", NX_TYPE_text, 0, false },
    { NXI_PG_BPCHAR, 1014, "bpchar", NX_TYPE_text, 0, false },
    { NXI_PG_TIME, 1183, "time", NX_TYPE_time, 8, false },
    { NXI_PG_INTERVAL, 1187, "interval", NX_TYPE_interval, 16, false },
    { NXI_PG_TIMETZ, 1270, "timetz", NX_TYPE_text, 12, true },
};

const nxi_pg_type *nxi_pg_type_of(nxi_pg_oid oid)
{
    for (size_t i = 0; i < NXI_COUNT(types); i++) {
        if (types[i].oid == oid)
            return &types[i];
    }
    return NULL;
}

nxi_pg_oid nxi_pg_array_of(nxi_pg_oid element)
{
    const nxi_pg_type *type = nxi_pg_type_of(element);

    return type == NULL ? 0 : type->array;
}

nxi_pg_oid nxi_pg_element_of(nxi_pg_oid array)
{
    for (size_t i = 0; array != 0 && i < NXI_COUNT(types); i++) {
        if (types[i].array == array)
            return types[i].oid;
    }
    return 0;
}

nxi_pg_oid nxi_pg_parameter_type(nx_type type)
{
    switch (type) {
    case NX_TYPE_boolean: return NXI_PG_BOOL;
    case NX_TYPE_i16: return NXI_PG_INT2;
    case NX_TYPE_i32: return NXI_PG_INT4;
    case NX_TYPE_i64:
    case NX_TYPE_u32: return NXI_PG_INT8;
    case NX_TYPE_f64: return NXI_PG_FLOAT8;
    case NX_TYPE_bytes: return NXI_PG_BYTEA;
    case NX_TYPE_decimal: return NXI_PG_NUMERIC;
    case NX_TYPE_json: return NXI_PG_JSONB;
    case NX_TYPE_date: return NXI_PG_DATE;
    case NX_TYPE_time: return NXI_PG_TIME;
    case NX_TYPE_timestamp: return NXI_PG_TIMESTAMP;
    case NX_TYPE_timestamptz: return NXI_PG_TIMESTAMPTZ;
    case NX_TYPE_interval: return NXI_PG_INTERVAL;
    case NX_TYPE_uuid: return NXI_PG_UUID;
    case NX_TYPE_ulid: return NXI_PG_TEXT;
    case NX_TYPE_vector: return NXI_PG_FLOAT4_ARRAY;
    case NX_TYPE_null:
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_enumeration:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: break;
    }
    return NXI_PG_INFER;
}

bool nxi_pg_is_known(nxi_pg_oid oid)
{
    nxi_pg_oid element = nxi_pg_element_of(oid);
    const nxi_pg_type *type = nxi_pg_type_of(element == 0 ? oid : element);

    return type != NULL && !type->as_text;
}

nxi_pg_format nxi_pg_parameter_format(nxi_pg_oid oid)
{
    return nxi_pg_is_known(oid) ? NXI_PG_AS_BINARY : NXI_PG_AS_TEXT;
}

const char *nxi_pg_type_name(nxi_pg_oid oid, char space[NXI_PG_TYPE_NAME_SIZE])
{
    const nxi_pg_type *type = nxi_pg_type_of(oid);

    if (type != NULL)
        return type->name;
    type = nxi_pg_type_of(nxi_pg_element_of(oid));
    if (type != NULL)
        (void)snprintf(space, NXI_PG_TYPE_NAME_SIZE, "%s[]", type->name);
    else
        (void)snprintf(space, NXI_PG_TYPE_NAME_SIZE, "type %u", (unsigned)oid);
    return space;
}

/* ------------------------------------------------------------------------------ columns */

static nx_status name_column(const nxi_column *column, nx_error *error, nx_status status, const char *what)
{
    nxi_fail(error, status, "%s.%s: %s", column->table->name, column->name, what);
    if (error != NULL) {
        nxi_error_name(error->table, column->table->name);
        nxi_error_name(error->column, column->name);
    }
    return status;
}

nx_status nxi_pg_column_error(const nxi_column *column, nx_error *error, nx_status status, const char *format, ...)
{
    char what[NX_ERROR_MESSAGE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    return name_column(column, error, status, what);
}

nx_status nxi_pg_column_error_of(const nxi_column *column, nx_error *error, nx_status status)
{
    char what[NX_ERROR_MESSAGE_SIZE];

    if (error == NULL || status == NX_ENOMEM)
        return status;
    memcpy(what, error->message, sizeof(what));
    return name_column(column, error, status, what);
}

const char *const *nxi_pg_labels(const nxi_column *column)
{
    while (column->form == NXI_FORM_REFERENCE && column->target_column != NULL)
        column = column->target_column;
    return column->field->labels;
}
