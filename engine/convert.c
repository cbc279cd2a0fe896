/*
 * convert - make a value one of another type, where that loses nothing.
 */
#include "engine/types.h"
#include "engine/values.h"

#include <math.h>

static nx_status set_integer(nx_type type, int64_t number, nx_value *value)
{
    if (number < nxi_integer_min(type) || number > nxi_integer_max(type))
        return NX_ERANGE;
    *value = (nx_value){.type = type, .i64 = number};
    return NX_OK;
}

/* Every integral double in [-2^63, 2^63) is an int64 exactly. */
static nx_status f64_to_integer(nx_type type, nx_value *value)
{
    double number = value->f64;

    if (!(number >= -0x1p63 && number < 0x1p63) || number != floor(number))
        return NX_ERANGE;
    return set_integer(type, (int64_t)number, value);
}

static nx_status to_integer(nx_type type, nx_value *value)
{
    int64_t number;
    nx_status status;

    if (nxi_type_is_integer(value->type))
        return set_integer(type, value->i64, value);
    if (value->type == NX_TYPE_boolean)
        return set_integer(type, value->boolean, value);
    if (value->type == NX_TYPE_f64)
        return f64_to_integer(type, value);
    if (!nxi_type_is_text(value->type))
        return NX_ETYPE;
    status = nxi_integer_parse(value->text.data, value->text.size, &number);
    return status == NX_OK ? set_integer(type, number, value) : status;
}

static nx_status to_boolean(nx_value *value)
{
    nx_text text = value->text;
    bool result;

    if (nxi_type_is_integer(value->type)) {
        if (value->i64 != 0 && value->i64 != 1)
            return NX_ERANGE;
        result = value->i64 == 1;
    } else if (!nxi_type_is_text(value->type)) {
        return NX_ETYPE;
    } else if (nxi_text_is_word(text.data, text.size, "true") || nxi_text_is_word(text.data, text.size, "t") ||
               nxi_text_is_word(text.data, text.size, "1")) {
        result = true;
    } else if (nxi_text_is_word(text.data, text.size, "false") || nxi_text_is_word(text.data, text.size, "f") ||
               nxi_text_is_word(text.data, text.size, "0")) {
        result = false;
    } else {
        return NX_ETYPE;
    }
    *value = nx_value_boolean(result);
    return NX_OK;
}

static nx_status to_f64(nxi_arena *arena, nx_value *value)
{
    double number;
    nx_status status = NX_OK;

    if (nxi_type_is_integer(value->type)) {
        number = (double)value->i64;
        if (number >= 0x1p63 || (int64_t)number != value->i64)
            return NX_ERANGE;
    } else if (nxi_type_is_text(value->type)) {
        status = nxi_f64_parse(arena, value->text.data, value->text.size, &number);
    } else {
        status = NX_ETYPE;
    }
    if (status == NX_OK)
        *value = nx_value_f64(number);
    return status;
}

static nx_status to_decimal(nxi_arena *arena, nx_value *value)
{
    char text[32];
    size_t size, whole, fraction;
    char *copy;

    if (nxi_type_is_text(value->type)) {
        if (!nxi_decimal_measure(value->text.data, value->text.size, &whole, &fraction))
            return NX_ETYPE;
        value->type = NX_TYPE_decimal;
        return NX_OK;
    }
    if (nxi_type_is_integer(value->type))
        size = nxi_integer_format(value->i64, text);
    else if (value->type == NX_TYPE_f64)
        size = nxi_f64_format(value->f64, text);
    else
        return NX_ETYPE;
    /* A double with an exponent has no digits that anybody meant. */
    if (arena == NULL || !nxi_decimal_measure(text, size, &whole, &fraction))
        return NX_ETYPE;
    copy = nxi_arena_text(arena, text, size);
    if (copy == NULL)
        return NX_ENOMEM;
    *value = (nx_value){.type = NX_TYPE_decimal, .text = {copy, size}};
    return NX_OK;
}

static nx_status to_enumeration(const char *const *labels, nx_value *value)
{
    int32_t index = 0;

    if (nxi_type_is_integer(value->type)) {
        for (; labels != NULL && labels[index] != NULL && index < value->i64; index++)
            ;
        if (value->i64 < 0 || value->i64 > INT32_MAX || (labels != NULL && labels[index] == NULL))
            return NX_ERANGE;
        *value = (nx_value){.type = NX_TYPE_enumeration, .enumeration = (nx_enumeration)value->i64};
        return NX_OK;
    }
    if (!nxi_type_is_text(value->type) || labels == NULL)
        return NX_ETYPE;
    for (; labels[index] != NULL; index++) {
        if (strlen(labels[index]) == value->text.size && memcmp(labels[index], value->text.data, value->text.size) == 0) {
            *value = (nx_value){.type = NX_TYPE_enumeration, .enumeration = index};
            return NX_OK;
        }
    }
    return NX_ERANGE;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* X'hex', which nx_value_format writes, and PostgreSQL's \xhex. */
static nx_status to_bytes(nxi_arena *arena, nx_value *value)
{
    nx_text text = value->text;
    uint8_t *data;

    if (!nxi_type_is_text(value->type) || arena == NULL)
        return NX_ETYPE;
    if (text.size >= 3 && (text.data[0] | 0x20) == 'x' && text.data[1] == '\'' && text.data[text.size - 1] == '\'')
        text.size--;
    else if (text.size < 2 || text.data[0] != '\\' || text.data[1] != 'x')
        return NX_ETYPE;
    text.data += 2;
    text.size -= 2;
    if (text.size % 2 != 0)
        return NX_ETYPE;
    data = nxi_arena_get(arena, text.size / 2 + 1, 1);
    if (data == NULL)
        return NX_ENOMEM;
    for (size_t i = 0; i < text.size; i += 2) {
        int high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);

        if (high < 0 || low < 0)
            return NX_ETYPE;
        data[i / 2] = (uint8_t)(high << 4 | low);
    }
    data[text.size / 2] = 0;
    *value = (nx_value){.type = NX_TYPE_bytes, .bytes = {data, text.size / 2}};
    return NX_OK;
}

/* Dates, times and identifiers: from their text forms only. */
#define PARSE_CASE(name)                                                                                                         \
    case NX_TYPE_##name:                                                                                                         \
        status = nx_##name##_parse(text, &result.name);                                                                          \
        break;
static nx_status from_text_form(nxi_arena *arena, nx_type type, nx_value *value)
{
    nx_value result = {.type = type};
    nx_text text = value->text;
    nx_status status = NX_ETYPE;

    if (!nxi_type_is_text(value->type))
        return NX_ETYPE;
    switch ((int)type) {
        PARSE_CASE(date)
        PARSE_CASE(time)
        PARSE_CASE(timestamp)
        PARSE_CASE(timestamptz)
        PARSE_CASE(interval)
        PARSE_CASE(uuid)
        PARSE_CASE(ulid)
    case NX_TYPE_vector:
        status = arena == NULL ? NX_ETYPE : nxi_vector_parse(arena, text, &result.vector);
        break;
    default:
        break;
    }
    if (status == NX_OK)
        *value = result;
    return status;
}
#undef PARSE_CASE

nx_status nxi_value_convert(nxi_arena *arena, nx_type type, const char *const *labels, nx_value *value)
{
    if (value->type == NX_TYPE_null || value->type == type)
        return NX_OK;
    if (nxi_type_is_pointer(value->type) && value->text.data == NULL) {
        *value = nx_null();
        return NX_OK;
    }
    if (nxi_type_is_integer(type))
        return to_integer(type, value);
    switch ((int)type) {
    case NX_TYPE_boolean:
        return to_boolean(value);
    case NX_TYPE_f64:
        return to_f64(arena, value);
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_json:
        if (!nxi_type_is_text(value->type))
            return NX_ETYPE;
        value->type = type;
        return NX_OK;
    case NX_TYPE_decimal:
        return to_decimal(arena, value);
    case NX_TYPE_bytes:
        return to_bytes(arena, value);
    case NX_TYPE_enumeration:
        return to_enumeration(labels, value);
    default:
        return from_text_form(arena, type, value);
    }
}

/* --------------------------------------------------------------------- values of results */

nx_status nxi_text_check(nx_type type, const char *data, size_t size)
{
    size_t whole, fraction;

    if (type == NX_TYPE_decimal)
        return nxi_decimal_measure(data, size, &whole, &fraction) ? NX_OK : NX_ETYPE;
    if (!nxi_text_is_valid(data, size, NULL))
        return NX_EENCODING;
    return type != NX_TYPE_json || nxi_json_is_valid(data, size) ? NX_OK : NX_ETYPE;
}

/* Without texts that stand for any type: what a value of that type is stored as. */
static bool is_stored_as(nx_type type, nx_type given)
{
    switch ((int)type) {
    case NX_TYPE_boolean:
        return given == NX_TYPE_boolean || nxi_type_is_integer(given);
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
    case NX_TYPE_u32:
        return given == NX_TYPE_boolean || given == NX_TYPE_f64 || nxi_type_is_integer(given);
    case NX_TYPE_f64:
        return given == NX_TYPE_f64 || nxi_type_is_integer(given);
    case NX_TYPE_decimal:
        return nxi_type_is_text(given) || nxi_type_is_integer(given);
    case NX_TYPE_bytes:
        return given == NX_TYPE_bytes;
    case NX_TYPE_interval:
        return nxi_type_is_integer(given);
    default:
        return nxi_type_is_text(given);
    }
}

nx_status nxi_value_take(nxi_arena *arena, nx_type type, const char *const *labels, bool by_text, nx_value *value)
{
    nx_value taken = *value;
    nx_status status = NX_OK;

    if (taken.type == NX_TYPE_null)
        return NX_OK;
    if (!by_text && !is_stored_as(type, taken.type))
        return NX_ETYPE;
    if (!by_text && type == NX_TYPE_interval)
        taken = nx_value_interval((nx_interval){.microseconds = taken.i64});
    else
        status = nxi_value_convert(arena, type, labels, &taken);
    if (type == NX_TYPE_enumeration && status == NX_ERANGE)
        status = NX_ETYPE;
    if (status == NX_OK && nxi_type_is_text(type))
        status = nxi_text_check(type, taken.text.data, taken.text.size);
    if (status == NX_OK)
        *value = taken;
    return status;
}

/* ----------------------------------------------------------------------------- vectors */

static size_t skip_space(nx_text text, size_t at)
{
    while (at < text.size && (text.data[at] == ' ' || text.data[at] == '\t' || text.data[at] == '\n' || text.data[at] == '\r'))
        at++;
    return at;
}

/* One number of a vector, as a float that is finite. */
static nx_status parse_component(nxi_arena *arena, const char *data, size_t size, float *ret_component)
{
    double number;
    nx_status status;

    while (size != 0 && (data[size - 1] == ' ' || data[size - 1] == '\t' || data[size - 1] == '\n' || data[size - 1] == '\r'))
        size--;
    status = nxi_f64_parse(arena, data, size, &number);
    if (status != NX_OK)
        return status;
    if (!isfinite((float)number))
        return NX_ERANGE;
    *ret_component = (float)number;
    return NX_OK;
}

nx_status nxi_vector_parse(nxi_arena *arena, nx_text text, nx_vector *ret_vector)
{
    size_t at, end, count = 1, size = 0;
    float *data;

    if (text.data == NULL)
        return NX_ETYPE;
    at = skip_space(text, 0);
    end = text.size;
    while (end > at && skip_space(text, end - 1) == text.size)
        end--;
    if (end - at < 2 || text.data[at] != '[' || text.data[end - 1] != ']')
        return NX_ETYPE;
    at = skip_space(text, at + 1);
    end--;
    for (size_t i = at; i < end; i++)
        count += text.data[i] == ',';
    data = nxi_arena_get(arena, count * sizeof(*data), 16);
    if (data == NULL)
        return NX_ENOMEM;
    while (at < end) {
        const char *comma = memchr(text.data + at, ',', end - at);
        size_t stop = comma == NULL ? end : (size_t)(comma - text.data);
        nx_status status = parse_component(arena, text.data + at, stop - at, &data[size]);

        if (status != NX_OK)
            return status;
        size++;
        at = comma == NULL ? end : skip_space(text, stop + 1);
        if (comma != NULL && at >= end)
            return NX_ETYPE; /* nothing behind the last comma */
    }
    *ret_vector = (nx_vector){data, size};
    return NX_OK;
}

nx_text nxi_vector_format(nxi_arena *arena, nx_vector vector)
{
    enum { COMPONENT = 33 }; /* a number and its comma */
    size_t bytes, at = 0;
    char *text;

    if (vector.data == NULL || !nxi_mul_size(vector.size, COMPONENT, &bytes) || !nxi_add_size(bytes, 3, &bytes))
        return (nx_text){0};
    text = nxi_arena_get(arena, bytes, 1);
    if (text == NULL)
        return (nx_text){0};
    text[at++] = '[';
    for (size_t i = 0; i < vector.size; i++) {
        if (i != 0)
            text[at++] = ',';
        at += nxi_f32_format(vector.data[i], text + at);
    }
    text[at++] = ']';
    text[at] = '\0';
    return (nx_text){text, at};
}
