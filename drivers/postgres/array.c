/*
 * array - arrays in binary: their elements one by one, as array_out's text, and as vectors.
 *
 * The binary form (array_send, array_recv in src/backend/utils/adt/arrayfuncs.c): int32 dimensions, int32 flags (1: has NULLs),
 * int32 element type, then int32 length and int32 lower bound of each dimension, then the elements, [int32 length][bytes] each.
 * The text form: documentation, 8.15.6 "Array Input and Output Syntax".
 */
#include "drivers/postgres/codec_parts.h"

bool nxi_pg_array_open(const uint8_t *data, size_t size, nxi_pg_array *ret_array)
{
    nxi_pg_array array = { 0 };
    size_t left;

    if (size < NXI_PG_ARRAY_HEAD_SIZE || nxi_pg_load32(data) > NXI_PG_DIMENSIONS_MAX || nxi_pg_load32(data + 4) > 1)
        return false;
    array.dimensions = nxi_pg_load32(data);
    array.element = nxi_pg_load32(data + 8);
    left = size - NXI_PG_ARRAY_HEAD_SIZE;
    if (left < array.dimensions * (size_t)NXI_PG_ARRAY_DIMENSION_SIZE)
        return false;
    left -= array.dimensions * (size_t)NXI_PG_ARRAY_DIMENSION_SIZE;
    array.count = array.dimensions == 0 ? 0 : 1;
    for (uint32_t i = 0; i < array.dimensions; i++) {
        const uint8_t *at = data + NXI_PG_ARRAY_HEAD_SIZE + i * NXI_PG_ARRAY_DIMENSION_SIZE;
        int32_t last;

        array.length[i] = nxi_pg_load32(at);
        array.first[i] = (int32_t)nxi_pg_load32(at + 4);
        /* Each element has at least its length: more than fit are refused before anything is made of them. */
        if (array.length[i] > INT32_MAX || !nxi_mul_size(array.count, array.length[i], &array.count) || array.count > left / 4 ||
            __builtin_add_overflow(array.first[i], (int32_t)array.length[i], &last))
            return false;
    }
    array.elements = data + (size - left);
    array.end = data + size;
    *ret_array = array;
    return true;
}

bool nxi_pg_array_next(nxi_pg_array *array, const uint8_t **ret_data, size_t *ret_size)
{
    size_t left = (size_t)(array->end - array->elements);
    uint32_t size;

    if (left < 4)
        return false;
    size = nxi_pg_load32(array->elements);
    array->elements += 4;
    *ret_size = 0;
    *ret_data = NULL;
    if (size == UINT32_MAX)
        return true;
    if (size > left - 4)
        return false;
    *ret_data = array->elements;
    *ret_size = size;
    array->elements += size;
    return true;
}

/* -------------------------------------------------------------------------------- text */

static bool needs_quotes(nx_text text)
{
    if (text.size == 0 || nxi_text_is_word(text.data, text.size, "null"))
        return true;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\' || c == '{' || c == '}' || c == ',' || c == ' ' || (c >= '\t' && c <= '\r'))
            return true;
    }
    return false;
}

static void put_quoted(nxi_buf *out, nx_text text)
{
    if (!needs_quotes(text)) {
        nxi_buf_put(out, text.data, text.size);
        return;
    }
    nxi_buf_putc(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            nxi_buf_putc(out, '\\');
        nxi_buf_putc(out, text.data[i]);
    }
    nxi_buf_putc(out, '"');
}

/* bytea_output hex; its backslash is quoted. */
static void put_hex(nxi_buf *out, nx_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *data = bytes.data;

    nxi_buf_puts(out, "\"\\\\x");
    for (size_t i = 0; i < bytes.size; i++)
        nxi_buf_put(out, (const char[]){ digits[data[i] >> 4], digits[data[i] & 15] }, 2);
    nxi_buf_putc(out, '"');
}

static nx_status put_element(nxi_arena *scratch, nxi_buf *out, nxi_pg_oid type, const uint8_t *data, size_t size, nx_error *error)
{
    char form[NX_TEXT_FORM_SIZE];
    nx_status status;
    nx_value value;

    if (data == NULL) {
        nxi_buf_puts(out, "NULL");
        return NX_OK;
    }
    status = nxi_pg_get_value(scratch, type, NXI_PG_AS_BINARY, data, size, &value, error);
    if (status != NX_OK)
        return status;
    if (value.type == NX_TYPE_bytes)
        put_hex(out, value.bytes);
    else if (nxi_type_is_text(value.type))
        put_quoted(out, value.text);
    else if (type == NXI_PG_FLOAT4)
        nxi_buf_put(out, form, nxi_f32_format((float)value.f64, form));
    else
        put_quoted(out, nx_strn(form, nxi_pg_text_form(&value, form)));
    return NX_OK;
}

/* "[0:2][1:1]=" when a lower bound is not 1. */
static void put_bounds(nxi_buf *out, const nxi_pg_array *array)
{
    bool usual = true;

    for (uint32_t i = 0; i < array->dimensions; i++)
        usual = usual && array->first[i] == 1;
    for (uint32_t i = 0; !usual && i < array->dimensions; i++)
        nxi_buf_printf(out, "[%d:%d]", (int)array->first[i], (int)(array->first[i] + (int32_t)(array->length[i] - 1)));
    if (!usual)
        nxi_buf_putc(out, '=');
}

/* All elements with the braces of their dimensions. `scratch` holds one element's text at a time. */
static nx_status put_elements(nxi_arena *scratch, nxi_buf *out, nxi_pg_array *array, nx_error *error)
{
    uint32_t at[NXI_PG_DIMENSIONS_MAX] = { 0 }, opened = 0;
    const uint8_t *data;
    size_t size;

    for (size_t i = 0; i < array->count; i++) {
        nx_status status;
        uint32_t d = array->dimensions;

        if (i != 0)
            nxi_buf_putc(out, ',');
        for (; opened < array->dimensions; opened++)
            nxi_buf_putc(out, '{');
        if (!nxi_pg_array_next(array, &data, &size))
            return nxi_fail(error, NX_EPROTOCOL, "an array's element reaches beyond the array");
        status = put_element(scratch, out, array->element, data, size, error);
        nxi_arena_reset(scratch);
        if (status != NX_OK)
            return status;
        if (out->failed)
            return nxi_fail(error, NX_ENOMEM, "out of memory");
        if (out->size > NXI_PG_VALUE_BYTES_MAX)
            return nxi_fail(error, NX_ELIMIT, "an array's text of more than %d bytes", (int)NXI_PG_VALUE_BYTES_MAX);
        while (d != 0 && ++at[d - 1] == array->length[d - 1]) {
            at[--d] = 0;
            opened--;
            nxi_buf_putc(out, '}');
        }
    }
    return NX_OK;
}

nx_status nxi_pg_array_text(nxi_arena *arena, nxi_pg_oid type, const uint8_t *data, size_t size, nx_text *ret_text,
                            nx_error *error)
{
    nxi_pg_array array;
    nxi_arena scratch;
    nx_status status = NX_OK;
    nxi_buf out;
    char *copy;

    if (!nxi_pg_array_open(data, size, &array) || array.element != nxi_pg_element_of(type))
        return nxi_fail(error, NX_EPROTOCOL, "an array that is none of its type, or cut off");
    nxi_buf_init(&out, arena->memory);
    nxi_arena_init(&scratch, arena->memory);
    if (array.count == 0) {
        nxi_buf_puts(&out, "{}");
    } else {
        put_bounds(&out, &array);
        status = put_elements(&scratch, &out, &array, error);
    }
    if (status == NX_OK && array.elements != array.end)
        status = nxi_fail(error, NX_EPROTOCOL, "bytes behind an array's last element");
    copy = status == NX_OK && !out.failed ? nxi_arena_text(arena, out.data, out.size) : NULL;
    if (copy != NULL)
        *ret_text = nx_strn(copy, out.size);
    else if (status == NX_OK)
        status = nxi_fail(error, NX_ENOMEM, "out of memory");
    nxi_buf_fini(&out);
    nxi_arena_fini(&scratch);
    return status;
}

/* ----------------------------------------------------------------------------- vectors */

static float *get_floats(nxi_arena *arena, size_t count)
{
    return nxi_arena_get(arena, count * sizeof(float), 16); /* at most a quarter of bytes that are there */
}

/* vector_send of the extension: int16 dimensions, int16 0, the components. */
static nx_status get_extension(nxi_arena *arena, const uint8_t *data, size_t size, nx_vector *ret_vector, nx_error *error)
{
    size_t count = size < 4 ? 0 : nxi_pg_load16(data);
    float *floats;

    if (size < 4 || size - 4 != count * 4 || nxi_pg_load16(data + 2) != 0)
        return nxi_fail(error, NX_EPROTOCOL, "%zu bytes that are no vector", size);
    floats = get_floats(arena, count);
    if (floats == NULL)
        return nxi_fail(error, NX_ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        floats[i] = nxi_pg_float_of(nxi_pg_load32(data + 4 + 4 * i));
    *ret_vector = (nx_vector){ floats, count };
    return NX_OK;
}

nx_status nxi_pg_vector_get(nxi_arena *arena, nxi_pg_oid type, const uint8_t *data, size_t size, nx_vector *ret_vector,
                            nx_error *error)
{
    const uint8_t *element;
    nxi_pg_array array;
    size_t element_size;
    float *floats;

    if (type != NXI_PG_FLOAT4_ARRAY)
        return get_extension(arena, data, size, ret_vector, error);
    if (!nxi_pg_array_open(data, size, &array) || array.element != NXI_PG_FLOAT4)
        return nxi_fail(error, NX_EPROTOCOL, "%zu bytes that are no array of float4", size);
    if (array.dimensions > 1)
        return nxi_fail(error, NX_ETYPE, "the database holds an array of %u dimensions where a vector is expected",
                        (unsigned)array.dimensions);
    floats = get_floats(arena, array.count);
    if (floats == NULL)
        return nxi_fail(error, NX_ENOMEM, "out of memory");
    for (size_t i = 0; i < array.count; i++) {
        if (!nxi_pg_array_next(&array, &element, &element_size) || (element != NULL && element_size != 4))
            return nxi_fail(error, NX_EPROTOCOL, "an array's element that is no float4");
        if (element == NULL)
            return nxi_fail(error, NX_ETYPE, "the database holds NULL in a vector");
        floats[i] = nxi_pg_float_of(nxi_pg_load32(element));
    }
    if (array.elements != array.end)
        return nxi_fail(error, NX_EPROTOCOL, "bytes behind an array's last element");
    *ret_vector = (nx_vector){ floats, array.count };
    return NX_OK;
}
