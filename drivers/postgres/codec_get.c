/*
 * codec_get - a value of a result as what the server says it is.
 */
#include "drivers/postgres/codec_parts.h"

static nx_status no_memory(nx_error *error)
{
    return nxi_fail(error, NX_ENOMEM, "out of memory");
}

static nx_status get_text(nxi_arena *arena, nx_type type, const uint8_t *data, size_t size, nx_value *ret_value, nx_error *error)
{
    char *copy = nxi_arena_text(arena, (const char *)data, size);

    if (copy == NULL)
        return no_memory(error);
    *ret_value = (nx_value){ .type = type, .text = { copy, size } };
    return NX_OK;
}

static nx_status get_bytes(nxi_arena *arena, const uint8_t *data, size_t size, nx_value *ret_value, nx_error *error)
{
    nx_status status = get_text(arena, NX_TYPE_bytes, data, size, ret_value, error);

    if (status == NX_OK)
        ret_value->bytes = nx_bytes_of(ret_value->text.data, size);
    return status;
}

static nx_status out_of_range(nxi_pg_oid type, nx_error *error)
{
    char space[NXI_PG_TYPE_NAME_SIZE];

    return nxi_fail(error, NX_ERANGE, "the database holds a %s that cannot be held here; read it as text",
                    nxi_pg_type_name(type, space));
}

/* ------------------------------------------------------------------------------ binary */

static nx_status get_numeric(nxi_arena *arena, const uint8_t *data, size_t size, nx_value *ret_value, nx_error *error)
{
    nxi_pg_numeric numeric;
    char *text;

    if (!nxi_pg_numeric_open(data, size, &numeric))
        return nxi_fail(error, NX_EPROTOCOL, "%zu bytes that are no numeric", size);
    if (numeric.sign == NXI_PG_NUMERIC_INFINITY || numeric.sign == NXI_PG_NUMERIC_MINUS_INFINITY)
        return out_of_range(NXI_PG_NUMERIC, error);
    text = nxi_arena_get(arena, nxi_pg_numeric_room(&numeric), 1);
    if (text == NULL)
        return no_memory(error);
    *ret_value = (nx_value){ .type = NX_TYPE_decimal, .text = { text, nxi_pg_numeric_format(&numeric, text) } };
    return NX_OK;
}

static nx_status get_integer(int64_t number, nx_value *ret_value)
{
    *ret_value = nx_value_i64(number);
    return NX_OK;
}

static nx_status get_f64(uint64_t bits, nx_value *ret_value)
{
    double number;

    memcpy(&number, &bits, sizeof(number));
    *ret_value = nx_value_f64(number);
    return NX_OK;
}

static nx_status get_date(const uint8_t *data, nx_value *ret_value, nx_error *error)
{
    ret_value->type = NX_TYPE_date;
    return nxi_pg_days_in((int32_t)nxi_pg_load32(data), &ret_value->date.days) ? NX_OK : out_of_range(NXI_PG_DATE, error);
}

static nx_status get_instant(nxi_pg_oid oid, const uint8_t *data, nx_value *ret_value, nx_error *error)
{
    int64_t microseconds;

    if (!nxi_pg_instant_in((int64_t)nxi_pg_load64(data), &microseconds))
        return out_of_range(oid, error);
    *ret_value = oid == NXI_PG_TIMESTAMP ? nx_value_timestamp((nx_timestamp){ microseconds })
                                         : nx_value_timestamptz((nx_timestamptz){ microseconds });
    return NX_OK;
}

static nx_status get_time(const uint8_t *data, nx_value *ret_value, nx_error *error)
{
    *ret_value = nx_value_time((nx_time){ (int64_t)nxi_pg_load64(data) });
    return nxi_pg_is_time(ret_value->time.microseconds) ? NX_OK : out_of_range(NXI_PG_TIME, error);
}

/* interval_send: int64 microseconds, int32 days, int32 months. */
static nx_status get_interval(const uint8_t *data, nx_value *ret_value)
{
    *ret_value = nx_value_interval((nx_interval){ .microseconds = (int64_t)nxi_pg_load64(data),
                                                  .days = (int32_t)nxi_pg_load32(data + 8),
                                                  .months = (int32_t)nxi_pg_load32(data + 12) });
    return NX_OK;
}

static nx_status get_uuid(const uint8_t *data, nx_value *ret_value)
{
    ret_value->type = NX_TYPE_uuid;
    memcpy(&ret_value->uuid, data, sizeof(ret_value->uuid));
    return NX_OK;
}

/* The size of a type that has only one has been checked. */
static nx_status get_binary(nxi_arena *arena, nxi_pg_oid oid, const uint8_t *data, size_t size, nx_value *ret_value,
                            nx_error *error)
{
    switch (oid) {
    case NXI_PG_BOOL:
        *ret_value = nx_value_boolean(data[0] == 1);
        return data[0] <= 1 ? NX_OK : nxi_fail(error, NX_EPROTOCOL, "a bool of %u", (unsigned)data[0]);
    case NXI_PG_INT2: return get_integer((int16_t)nxi_pg_load16(data), ret_value);
    case NXI_PG_INT4: return get_integer((int32_t)nxi_pg_load32(data), ret_value);
    case NXI_PG_INT8: return get_integer((int64_t)nxi_pg_load64(data), ret_value);
    case NXI_PG_OID: return get_integer(nxi_pg_load32(data), ret_value);
    case NXI_PG_FLOAT4: *ret_value = nx_value_f64((double)nxi_pg_float_of(nxi_pg_load32(data))); return NX_OK;
    case NXI_PG_FLOAT8: return get_f64(nxi_pg_load64(data), ret_value);
    case NXI_PG_BYTEA: return get_bytes(arena, data, size, ret_value, error);
    case NXI_PG_NUMERIC: return get_numeric(arena, data, size, ret_value, error);
    case NXI_PG_DATE: return get_date(data, ret_value, error);
    case NXI_PG_TIME: return get_time(data, ret_value, error);
    case NXI_PG_TIMESTAMP:
    case NXI_PG_TIMESTAMPTZ: return get_instant(oid, data, ret_value, error);
    case NXI_PG_INTERVAL: return get_interval(data, ret_value);
    case NXI_PG_UUID: return get_uuid(data, ret_value);
    case NXI_PG_JSON: return get_text(arena, NX_TYPE_json, data, size, ret_value, error);
    case NXI_PG_JSONB:
        if (size == 0 || data[0] != NXI_PG_JSONB_VERSION)
            return nxi_fail(error, NX_EPROTOCOL, "a jsonb of an unknown version");
        return get_text(arena, NX_TYPE_json, data + 1, size - 1, ret_value, error);
    case NXI_PG_CHAR: return get_text(arena, NX_TYPE_text, data, data[0] == 0 ? 0 : 1, ret_value, error);
    case NXI_PG_TIMETZ: return get_bytes(arena, data, size, ret_value, error);
    default: return get_text(arena, NX_TYPE_text, data, size, ret_value, error);
    }
}

/* -------------------------------------------------------------------------------- text */

static nx_status get_formatted(nxi_arena *arena, const nxi_pg_type *type, nx_text text, nx_value *ret_value, nx_error *error)
{
    nx_value value = nx_value_text(text);
    nx_status status;

    if (type->type == NX_TYPE_date || type->type == NX_TYPE_timestamp || type->type == NX_TYPE_timestamptz)
        status = nxi_pg_instant_parse(type->type, text, &value);
    else
        status = nxi_value_convert(arena, type->type, NULL, &value);
    if (status == NX_ENOMEM)
        return no_memory(error);
    if (type->oid == NXI_PG_NUMERIC && status != NX_OK &&
        (nxi_text_is_word(text.data, text.size, "infinity") || nxi_text_is_word(text.data, text.size, "-infinity")))
        status = NX_ERANGE;
    if (status == NX_ERANGE)
        return out_of_range(type->oid, error);
    if (status != NX_OK)
        return nxi_fail(error, status, "the database sent \"%.*s\", which is no %s", (int)nxi_min_size(text.size, 64), text.data,
                        type->name);
    if (nxi_type_is_integer(value.type))
        value.type = NX_TYPE_i64;
    if (type->oid == NXI_PG_FLOAT4)
        value.f64 = (double)(float)value.f64;
    if (type->type == NX_TYPE_decimal)
        return get_text(arena, NX_TYPE_decimal, (const uint8_t *)text.data, text.size, ret_value, error);
    *ret_value = value;
    return NX_OK;
}

nx_status nxi_pg_get_value(nxi_arena *arena, nxi_pg_oid type, nxi_pg_format format, const uint8_t *data, size_t size,
                           nx_value *ret_value, nx_error *error)
{
    const nxi_pg_type *known = nxi_pg_type_of(type);
    char space[NXI_PG_TYPE_NAME_SIZE];
    nx_status status;
    nx_text text;

    if (data == NULL) {
        *ret_value = nx_null();
        return NX_OK;
    }
    if (format == NXI_PG_AS_TEXT) {
        if (known == NULL || known->type == NX_TYPE_text || known->type == NX_TYPE_json)
            return get_text(arena, known == NULL ? NX_TYPE_text : known->type, data, size, ret_value, error);
        return get_formatted(arena, known, nx_strn((const char *)data, size), ret_value, error);
    }
    if (known != NULL) {
        if (known->size != 0 && known->size != size)
            return nxi_fail(error, NX_EPROTOCOL, "%zu bytes where a %s has %u", size, nxi_pg_type_name(type, space),
                            (unsigned)known->size);
        return get_binary(arena, type, data, size, ret_value, error);
    }
    if (nxi_pg_element_of(type) == 0)
        return get_bytes(arena, data, size, ret_value, error);
    status = nxi_pg_array_text(arena, type, data, size, &text, error);
    if (status == NX_OK)
        *ret_value = nx_value_text(text);
    return status;
}
