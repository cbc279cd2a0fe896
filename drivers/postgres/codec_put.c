/*
 * codec_put - a value as a parameter, and many values as an array.
 */
#include "drivers/postgres/codec_parts.h"

#include <math.h>

enum { LENGTH_SIZE = 4 };

/* ------------------------------------------------------------------------------- bytes */

static void put_length(char *at, size_t size)
{
    nxi_pg_store32(at, (uint32_t)size);
}

static nx_status put_null(nxi_buf *out)
{
    char *at = nxi_buf_grow(out, LENGTH_SIZE);

    if (at != NULL)
        nxi_pg_store32(at, UINT32_MAX);
    return NX_OK;
}

static nx_status check_size(size_t size, nx_error *error)
{
    if (NXI_LIKELY(size <= NXI_PG_VALUE_BYTES_MAX))
        return NX_OK;
    return nxi_fail(error, NX_ELIMIT, "a value of %zu bytes; PostgreSQL takes at most %d", size, (int)NXI_PG_VALUE_BYTES_MAX);
}

static nx_status put_bytes(nxi_buf *out, const void *data, size_t size, nx_error *error)
{
    nx_status status = check_size(size, error);
    char *at = status == NX_OK ? nxi_buf_grow(out, LENGTH_SIZE + size) : NULL;

    if (at != NULL) {
        put_length(at, size);
        if (size > 0)
            memcpy(at + LENGTH_SIZE, data, size);
    }
    return status;
}

static nx_status put_word16(nxi_buf *out, uint16_t word)
{
    uint8_t bytes[2];

    nxi_pg_store16(bytes, word);
    return put_bytes(out, bytes, sizeof(bytes), NULL);
}

static nx_status put_word32(nxi_buf *out, uint32_t word)
{
    uint8_t bytes[4];

    nxi_pg_store32(bytes, word);
    return put_bytes(out, bytes, sizeof(bytes), NULL);
}

static nx_status put_word64(nxi_buf *out, uint64_t word)
{
    uint8_t bytes[8];

    nxi_pg_store64(bytes, word);
    return put_bytes(out, bytes, sizeof(bytes), NULL);
}

/* -------------------------------------------------------------------------------- text */

/* The server refuses zero bytes and what is no UTF-8; so early it is the one value that is named, not the statement. */
static nx_status check_text(nx_text text, nx_error *error)
{
    size_t bad;

    if (NXI_LIKELY(nxi_text_is_valid(text.data, text.size, &bad)))
        return NX_OK;
    return nxi_fail(error, NX_EENCODING, "no UTF-8 text without zero bytes at byte %zu", bad);
}

static nx_status put_text(nxi_buf *out, nx_text text, nx_error *error)
{
    nx_status status = check_text(text, error);

    return status == NX_OK ? put_bytes(out, text.data, text.size, error) : status;
}

static nx_status put_hex(nxi_buf *out, nx_bytes bytes, nx_error *error)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *data = bytes.data;
    nx_status status = check_size(bytes.size, error);
    size_t size = 2 + bytes.size * 2;
    char *at;

    if (status == NX_OK)
        status = check_size(size, error);
    at = status == NX_OK ? nxi_buf_grow(out, LENGTH_SIZE + size) : NULL;
    if (at == NULL)
        return status;
    put_length(at, size);
    at += LENGTH_SIZE;
    *at++ = '\\';
    *at++ = 'x';
    for (size_t i = 0; i < bytes.size; i++) {
        *at++ = digits[data[i] >> 4];
        *at++ = digits[data[i] & 15];
    }
    return NX_OK;
}

/* "[1,2.5]": the form of pgvector's input. */
static nx_status put_vector_text(nxi_buf *out, nx_vector vector, nx_error *error)
{
    char number[32];
    size_t mark = out->size;

    (void)nxi_buf_grow(out, LENGTH_SIZE);
    for (size_t i = 0; i < vector.size && !out->failed; i++) {
        nxi_buf_putc(out, i == 0 ? '[' : ',');
        nxi_buf_put(out, number, nxi_f32_format(vector.data[i], number));
    }
    nxi_buf_puts(out, vector.size == 0 ? "[]" : "]");
    if (out->failed)
        return NX_OK;
    put_length(out->data + mark, out->size - mark - LENGTH_SIZE);
    return check_size(out->size - mark - LENGTH_SIZE, error);
}

static nx_status put_label(nxi_buf *out, int32_t index, const char *const *labels, nx_error *error)
{
    if (labels == NULL)
        return nxi_fail(error, NX_ETYPE, "an enumeration is sent by the text of its label");
    for (int32_t i = 0; labels[i] != NULL; i++) {
        if (i == index)
            return put_text(out, nx_str(labels[i]), error);
    }
    return nxi_fail(error, NX_ERANGE, "no label has the number %d", (int)index);
}

static nx_status put_form(nxi_buf *out, const nx_value *value, const char *const *labels, nx_error *error)
{
    char form[NX_TEXT_FORM_SIZE];
    size_t size;

    if (nxi_type_is_text(value->type))
        return put_text(out, value->text, error);
    if (value->type == NX_TYPE_bytes)
        return put_hex(out, value->bytes, error);
    if (value->type == NX_TYPE_vector)
        return put_vector_text(out, value->vector, error);
    if (value->type == NX_TYPE_enumeration)
        return put_label(out, value->enumeration, labels, error);
    size = nxi_pg_text_form(value, form);
    if (size == 0)
        return nxi_fail(error, NX_ETYPE, "a value of that type cannot be sent");
    return put_bytes(out, form, size, error);
}

static nx_status put_jsonb(nxi_buf *out, nx_text text, nx_error *error)
{
    nx_status status = check_text(text, error);
    char *at;

    if (status == NX_OK)
        status = check_size(text.size, error);
    if (status == NX_OK)
        status = check_size(text.size + 1, error);
    at = status == NX_OK ? nxi_buf_grow(out, LENGTH_SIZE + 1 + text.size) : NULL;
    if (at != NULL) {
        put_length(at, text.size + 1);
        at[LENGTH_SIZE] = NXI_PG_JSONB_VERSION;
        memcpy(at + LENGTH_SIZE + 1, text.data, text.size);
    }
    return status;
}

/* ------------------------------------------------------------------------------ binary */

static nx_status out_of_range(const nx_value *value, nxi_pg_oid as, nx_error *error)
{
    char text[NX_TEXT_FORM_SIZE], space[NXI_PG_TYPE_NAME_SIZE];

    (void)nx_value_format(*value, text, sizeof(text));
    return nxi_fail(error, NX_ERANGE, "%s is out of the range of %s", text, nxi_pg_type_name(as, space));
}

static nx_status wrong_type(const nx_value *value, nxi_pg_oid as, nx_error *error)
{
    char space[NXI_PG_TYPE_NAME_SIZE];

    return nxi_fail(error, NX_ETYPE, "a value of type %s cannot be sent as %s", nx_type_name(value->type),
                    nxi_pg_type_name(as, space));
}

static nx_status put_decimal(nxi_buf *out, nx_text text, nx_error *error)
{
    size_t mark = out->size;
    nx_status status;

    (void)nxi_buf_grow(out, LENGTH_SIZE);
    status = nxi_pg_numeric_put(out, text, error);
    if (status == NX_OK && !out->failed)
        put_length(out->data + mark, out->size - mark - LENGTH_SIZE);
    return status;
}

/* Rounded, as the server does; but a number must not become an infinity. */
static nx_status put_float(nxi_buf *out, const nx_value *value, nx_error *error)
{
    float number = (float)value->f64;

    if (isinf(number) && !isinf(value->f64))
        return out_of_range(value, NXI_PG_FLOAT4, error);
    return put_word32(out, nxi_pg_float_bits(number));
}

static nx_status put_double(nxi_buf *out, double number)
{
    uint64_t bits;

    memcpy(&bits, &number, sizeof(bits));
    return put_word64(out, bits);
}

static nx_status put_interval(nxi_buf *out, nx_interval interval)
{
    uint8_t bytes[16];

    nxi_pg_store64(bytes, (uint64_t)interval.microseconds);
    nxi_pg_store32(bytes + 8, (uint32_t)interval.days);
    nxi_pg_store32(bytes + 12, (uint32_t)interval.months);
    return put_bytes(out, bytes, sizeof(bytes), NULL);
}

static nx_status put_instant(nxi_buf *out, const nx_value *value, nxi_pg_oid as, nx_error *error)
{
    int64_t wire;

    if (!nxi_pg_instant_out(as == NXI_PG_TIMESTAMP ? value->timestamp.microseconds : value->timestamptz.microseconds, &wire))
        return out_of_range(value, as, error);
    return put_word64(out, (uint64_t)wire);
}

/* `value` is of the type that belongs to `as`. */
static nx_status put_binary(nxi_buf *out, const nx_value *value, nxi_pg_oid as, nx_error *error)
{
    int32_t days;

    switch (as) {
    case NXI_PG_BOOL: return put_bytes(out, value->boolean ? "\1" : "\0", 1, error);
    case NXI_PG_INT2: return put_word16(out, (uint16_t)value->i64);
    case NXI_PG_INT4:
    case NXI_PG_OID: return put_word32(out, (uint32_t)value->i64);
    case NXI_PG_INT8: return put_word64(out, (uint64_t)value->i64);
    case NXI_PG_FLOAT4: return put_float(out, value, error);
    case NXI_PG_FLOAT8: return put_double(out, value->f64);
    case NXI_PG_BYTEA: return put_bytes(out, value->bytes.data, value->bytes.size, error);
    case NXI_PG_NUMERIC: return put_decimal(out, value->text, error);
    case NXI_PG_DATE:
        if (!nxi_pg_days_out(value->date.days, &days))
            return out_of_range(value, as, error);
        return put_word32(out, (uint32_t)days);
    case NXI_PG_TIME:
        if (!nxi_pg_is_time(value->time.microseconds))
            return out_of_range(value, as, error);
        return put_word64(out, (uint64_t)value->time.microseconds);
    case NXI_PG_TIMESTAMP:
    case NXI_PG_TIMESTAMPTZ: return put_instant(out, value, as, error);
    case NXI_PG_INTERVAL: return put_interval(out, value->interval);
    case NXI_PG_UUID: return put_bytes(out, value->uuid.byte, sizeof(value->uuid.byte), error);
    default: return wrong_type(value, as, error);
    }
}

static nx_status put_vector(nxi_buf *out, nx_vector vector, nx_error *error)
{
    size_t size = NXI_PG_ARRAY_HEAD_SIZE + (vector.size == 0 ? 0 : NXI_PG_ARRAY_DIMENSION_SIZE);
    char *at;

    if (vector.size > (NXI_PG_VALUE_BYTES_MAX - NXI_PG_ARRAY_HEAD_SIZE - NXI_PG_ARRAY_DIMENSION_SIZE) / 8)
        return nxi_fail(error, NX_ELIMIT, "a vector of %zu components; its array would be too large", vector.size);
    at = nxi_buf_grow(out, LENGTH_SIZE + size + vector.size * 8);
    if (at == NULL)
        return NX_OK;
    put_length(at, size + vector.size * 8);
    nxi_pg_array_head(at + LENGTH_SIZE, false, NXI_PG_FLOAT4, vector.size);
    at += LENGTH_SIZE + size;
    for (size_t i = 0; i < vector.size; i++, at += 8) {
        nxi_pg_store32(at, 4);
        nxi_pg_store32(at + 4, nxi_pg_float_bits(vector.data[i]));
    }
    return NX_OK;
}

/* ------------------------------------------------------------------------------ values */

/* Makes *value one of `type`. New texts come from the arena. */
static nx_status convert(nxi_arena *arena, nx_type type, nx_value *value)
{
    if (nxi_type_is_text(value->type) && (type == NX_TYPE_date || type == NX_TYPE_timestamp || type == NX_TYPE_timestamptz))
        return nxi_pg_instant_parse(type, value->text, value);
    if (value->type == NX_TYPE_ulid && type == NX_TYPE_uuid) {
        nx_ulid ulid = value->ulid;
        value->type = NX_TYPE_uuid;
        memcpy(&value->uuid, &ulid, sizeof(ulid));
        return NX_OK;
    }
    /* An integer is converted to find out whether it fits, even when it calls itself one of that type. */
    if (nxi_type_is_integer(value->type))
        value->type = type == NX_TYPE_i64 ? NX_TYPE_i32 : NX_TYPE_i64;
    return nxi_value_convert(arena, type, NULL, value);
}

static nx_status put_converted(nxi_buf *out, const nx_value *value, nx_type type, nxi_pg_oid as, nx_error *error)
{
    nx_value converted = *value;
    nxi_arena arena;
    nx_status status;

    nxi_arena_init(&arena, out->memory);
    status = convert(&arena, type, &converted);
    if (status == NX_ENOMEM) {
        out->failed = true;
        status = NX_OK;
    } else if (status == NX_ERANGE) {
        (void)out_of_range(value, as, error);
    } else if (status != NX_OK) {
        (void)wrong_type(value, as, error);
    } else {
        status = as == NXI_PG_FLOAT4_ARRAY ? put_vector(out, converted.vector, error) : put_binary(out, &converted, as, error);
    }
    nxi_arena_fini(&arena);
    return status;
}

static nx_status put_typed(nxi_buf *out, const nx_value *value, nxi_pg_oid as, const char *const *labels, nx_error *error)
{
    const nxi_pg_type *type = nxi_pg_type_of(as);

    if (as == NXI_PG_FLOAT4_ARRAY)
        return put_converted(out, value, NX_TYPE_vector, as, error);
    if (type == NULL && nxi_pg_element_of(as) != 0)
        return wrong_type(value, as, error);
    if (type == NULL || type->type == NX_TYPE_text)
        return put_form(out, value, labels, error);
    if (type->type != NX_TYPE_json)
        return put_converted(out, value, type->type, as, error);
    if (!nxi_type_is_text(value->type))
        return wrong_type(value, as, error);
    return as == NXI_PG_JSONB ? put_jsonb(out, value->text, error) : put_text(out, value->text, error);
}

nx_status nxi_pg_put_value(nxi_buf *out, const nx_value *value, nxi_pg_oid as, const char *const *labels, nx_error *error)
{
    size_t mark = out->size;
    nx_status status;

    if (value->type == NX_TYPE_null || (nxi_type_is_pointer(value->type) && value->text.data == NULL))
        return put_null(out);
    status = put_typed(out, value, as, labels, error);
    if (status != NX_OK)
        out->size = mark;
    return status;
}

/* ------------------------------------------------------------------------------ arrays */

static nx_status put_elements(nxi_buf *out, const nx_value *values, size_t count, nxi_pg_oid element, bool *ret_has_null,
                              nx_error *error)
{
    for (size_t i = 0; i < count && !out->failed; i++) {
        size_t mark = out->size;
        nx_status status = nxi_pg_put_value(out, &values[i], element, NULL, error);

        if (status != NX_OK)
            return status;
        if (!out->failed && nxi_pg_load32((const uint8_t *)out->data + mark) == UINT32_MAX)
            *ret_has_null = true;
    }
    return NX_OK;
}

nx_status nxi_pg_put_array(nxi_buf *out, const nx_value *values, size_t count, nxi_pg_oid element, nx_error *error)
{
    size_t mark = out->size, head = NXI_PG_ARRAY_HEAD_SIZE + (count == 0 ? 0 : NXI_PG_ARRAY_DIMENSION_SIZE);
    bool has_null = false;
    nx_status status;

    if (element == NXI_PG_INFER)
        element = NXI_PG_TEXT;
    if (count > NXI_PG_ARRAY_ELEMENTS_MAX)
        return nxi_fail(error, NX_ELIMIT, "an array of %zu elements; at most %d can be sent", count,
                        (int)NXI_PG_ARRAY_ELEMENTS_MAX);
    (void)nxi_buf_grow(out, LENGTH_SIZE + head);
    status = put_elements(out, values, count, element, &has_null, error);
    if (status == NX_OK && !out->failed) {
        status = check_size(out->size - mark - LENGTH_SIZE, error);
        put_length(out->data + mark, out->size - mark - LENGTH_SIZE);
        nxi_pg_array_head(out->data + mark + LENGTH_SIZE, has_null, element, count);
    }
    if (status != NX_OK)
        out->size = mark;
    return status;
}
