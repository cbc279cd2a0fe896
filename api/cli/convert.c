/*
 * convert - a field of a record as a value of a type.
 */
#include "api/cli/convert.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* A double in text form that is longer than this is cut by nobody but refused: no number needs it. */
enum { NUMBER_TEXT_MAX = 1024 };

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static const char *convert_integer(nx_text text, int64_t least, int64_t most, nx_value *ret_value)
{
    bool negative = text.data[0] == '-';
    size_t i = negative || text.data[0] == '+' ? 1 : 0;
    int64_t number = 0;
    bool overflow = false;

    if (i == text.size)
        return "is not an integer";
    for (; i < text.size; i++) {
        if (!is_digit(text.data[i]))
            return "is not an integer";
        /* Counted downwards: the least number has no positive twin. */
        overflow = overflow || __builtin_mul_overflow(number, 10, &number) ||
                   __builtin_sub_overflow(number, text.data[i] - '0', &number);
    }
    overflow = overflow || (!negative && __builtin_sub_overflow((int64_t)0, number, &number));
    if (overflow || number < least || number > most)
        return "is out of range";
    *ret_value = nx_value_i64(number);
    return NULL;
}

static const char *convert_f64(nx_text text, nx_value *ret_value)
{
    char *end = NULL;
    double number;

    /* strtod knows more forms (hexadecimal, names, leading space) than a data file should get through. */
    if (text.size > NUMBER_TEXT_MAX || strspn(text.data, "0123456789+-.eE") != text.size)
        return "is not a number";
    errno = 0;
    number = strtod(text.data, &end);
    if (end != text.data + text.size)
        return "is not a number";
    /* ERANGE is also set for numbers too small to be normal; those are near enough. */
    if (!isfinite(number))
        return "is out of range";
    *ret_value = nx_value_f64(number);
    return NULL;
}

static const char *convert_decimal(nx_text text, nx_value *ret_value)
{
    size_t sign = text.data[0] == '-' || text.data[0] == '+' ? 1 : 0;
    size_t digits = 0;
    size_t points = 0;

    for (size_t i = sign; i < text.size; i++) {
        digits += is_digit(text.data[i]) ? 1 : 0;
        points += text.data[i] == '.' ? 1 : 0;
    }
    if (digits == 0 || points > 1 || sign + digits + points != text.size)
        return "is not a decimal number";
    *ret_value = nx_value_decimal((nx_decimal){ text.data, text.size });
    return NULL;
}

static bool is_word(nx_text text, const char *word)
{
    return same_name(text, nx_str(word));
}

static const char *convert_boolean(nx_text text, nx_value *ret_value)
{
    bool yes = is_word(text, "true") || is_word(text, "1");

    if (!yes && !is_word(text, "false") && !is_word(text, "0"))
        return "is not true or false";
    *ret_value = nx_value_boolean(yes);
    return NULL;
}

static int hex_digit(char byte)
{
    if (is_digit(byte))
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

static const char *convert_bytes(nx_text text, scratch *space, nx_value *ret_value)
{
    if (text.size % 2 != 0)
        return "is not an even number of hexadecimal digits";
    space->data = grow(space->data, &space->capacity, text.size / 2 + 1, 1);
    for (size_t i = 0; i < text.size; i += 2) {
        int high = hex_digit(text.data[i]);
        int low = hex_digit(text.data[i + 1]);

        if (high < 0 || low < 0)
            return "is not an even number of hexadecimal digits";
        space->data[i / 2] = (char)(high * 16 + low);
    }
    *ret_value = nx_value_bytes(nx_bytes_of(space->data, text.size / 2));
    return NULL;
}

/* A JSON string becomes JSON again; a plain field has to be JSON already. */
static const char *convert_json(const field *from, scratch *space, nx_value *ret_value)
{
    json_t *value = NULL;
    nx_text text = from->text;

    if (from->kind == FIELD_STRING) {
        value = json_stringn(text.data, text.size);
        char *encoded = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY);
        json_decref(value);
        if (encoded == NULL)
            return "cannot be written as JSON";
        free(space->data);
        space->data = encoded;
        text = nx_str(encoded);
        space->capacity = text.size + 1;
    } else if (from->kind == FIELD_PLAIN) {
        value = json_loadb(text.data, text.size, JSON_DECODE_ANY, NULL);
        if (value == NULL)
            return "is not JSON";
        json_decref(value);
    }
    *ret_value = nx_value_json((nx_json){ text.data, text.size });
    return NULL;
}

static const char *convert_time_type(nx_type type, nx_text text, nx_value *ret_value)
{
    nx_value value = { .type = type };
    const char *problem;
    nx_status status;

    if (type == NX_TYPE_date) {
        status = nx_date_parse(text, &value.date);
        problem = "is not a date (YYYY-MM-DD)";
    } else if (type == NX_TYPE_time) {
        status = nx_time_parse(text, &value.time);
        problem = "is not a time (HH:MM:SS)";
    } else if (type == NX_TYPE_timestamp) {
        status = nx_timestamp_parse(text, &value.timestamp);
        problem = "is not a timestamp (YYYY-MM-DD HH:MM:SS)";
    } else if (type == NX_TYPE_timestamptz) {
        status = nx_timestamptz_parse(text, &value.timestamptz);
        problem = "is not a timestamp with a zone (YYYY-MM-DD HH:MM:SS+00:00)";
    } else {
        status = nx_interval_parse(text, &value.interval);
        problem = "is not an interval (P1DT2H)";
    }
    if (status != NX_OK)
        return status == NX_ERANGE ? "is out of range" : problem;
    *ret_value = value;
    return NULL;
}

static const char *convert_identifier(nx_type type, nx_text text, nx_value *ret_value)
{
    nx_value value = { .type = type };

    if (type == NX_TYPE_uuid && nx_uuid_parse(text, &value.uuid) != NX_OK)
        return "is not a uuid";
    if (type == NX_TYPE_ulid && nx_ulid_parse(text, &value.ulid) != NX_OK)
        return "is not a ulid";
    *ret_value = value;
    return NULL;
}

const char *convert(nx_type type, const field *from, scratch *space, nx_value *ret_value)
{
    nx_text text = from->text;
    bool is_text = type == NX_TYPE_text || type == NX_TYPE_longtext;

    if (from->kind == FIELD_NULL || (from->kind == FIELD_PLAIN && text.size == 0 && !is_text)) {
        *ret_value = nx_null();
        return NULL;
    }
    if (is_text) {
        *ret_value = nx_value_text(text);
        return NULL;
    }
    if (type == NX_TYPE_json)
        return convert_json(from, space, ret_value);
    if (text.size == 0)
        return "is empty";
    if (type == NX_TYPE_boolean)
        return convert_boolean(text, ret_value);
    if (type == NX_TYPE_i16)
        return convert_integer(text, INT16_MIN, INT16_MAX, ret_value);
    if (type == NX_TYPE_i32)
        return convert_integer(text, INT32_MIN, INT32_MAX, ret_value);
    if (type == NX_TYPE_u32)
        return convert_integer(text, 0, UINT32_MAX, ret_value);
    if (type == NX_TYPE_i64)
        return convert_integer(text, INT64_MIN, INT64_MAX, ret_value);
    if (type == NX_TYPE_f64)
        return convert_f64(text, ret_value);
    if (type == NX_TYPE_decimal)
        return convert_decimal(text, ret_value);
    if (type == NX_TYPE_bytes)
        return convert_bytes(text, space, ret_value);
    if (type == NX_TYPE_uuid || type == NX_TYPE_ulid)
        return convert_identifier(type, text, ret_value);
    return convert_time_type(type, text, ret_value);
}

const char *convert_type_names(void)
{
    return "boolean, i16, i32, i64, u32, f64, decimal, text, bytes, json, date, time, timestamp, timestamptz, interval, "
           "uuid, ulid";
}

nx_type convert_type_parse(nx_text name)
{
    nx_type type = nx_type_parse(name);

    /* These need labels or dimensions, which the command line has no place for; key and set are no columns. */
    if (type == NX_TYPE_enumeration || type == NX_TYPE_vector || type == NX_TYPE_key || type == NX_TYPE_set)
        return NX_TYPE_null;
    return type;
}
