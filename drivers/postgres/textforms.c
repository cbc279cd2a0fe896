/*
 * textforms - values as the server's own text, where it differs from ours.
 *
 * Years: the server has no year 0 and no signs, but "0001-01-01 BC" for our 0000 and "12345-01-01" for our +12345
 * (documentation, 8.5.2 "Date/Time Output"). It writes fractions of a second without zeros at their end.
 */
#include "drivers/postgres/codec_parts.h"

/* "2026-01-01 10:00:00.500000": without the zeros. Returns the new length. */
static size_t trim_fraction(char *text, size_t size)
{
    if (memchr(text, '.', size) == NULL)
        return size;
    while (text[size - 1] == '0')
        size--;
    text[size] = '\0';
    return size;
}

/* Digits with zeros in front, at least four. */
static size_t put_year(char *ret_text, uint64_t year)
{
    char digits[20];
    size_t size = nxi_u64_format(year, digits), zeros = size < 4 ? 4 - size : 0;

    memset(ret_text, '0', zeros);
    memcpy(ret_text + zeros, digits, size);
    return zeros + size;
}

/* Our text of a date, perhaps with more behind it, as the server's. */
static size_t to_server_year(char *text, size_t size)
{
    char rest[NX_TEXT_FORM_SIZE];
    bool negative = text[0] == '-';
    size_t at = negative || text[0] == '+' ? 1 : 0, rest_size;
    uint64_t year = 0;

    if (text[at] < '0' || text[at] > '9')
        return size; /* an infinity */
    for (; text[at] != '-'; at++)
        year = year * 10 + (uint64_t)(text[at] - '0');
    rest_size = size - at;
    memcpy(rest, text + at, rest_size);
    at = put_year(text, negative || year == 0 ? year + 1 : year);
    memcpy(text + at, rest, rest_size);
    at += rest_size;
    if (negative || year == 0) {
        memcpy(text + at, " BC", 3);
        at += 3;
    }
    text[at] = '\0';
    return at;
}

static size_t instant_form(int64_t microseconds, const char *zone, char *ret_text)
{
    size_t size = nx_timestamp_format((nx_timestamp){ microseconds }, ret_text), zone_size = strlen(zone);

    if (microseconds == NX_MICROSECONDS_INFINITY || microseconds == NX_MICROSECONDS_MINUS_INFINITY)
        return size;
    size = trim_fraction(ret_text, size);
    memcpy(ret_text + size, zone, zone_size + 1);
    return to_server_year(ret_text, size + zone_size);
}

size_t nxi_pg_text_form(const nx_value *value, char *ret_text)
{
    switch (value->type) {
    case NX_TYPE_boolean: memcpy(ret_text, value->boolean ? "t" : "f", 2); return 1;
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
    case NX_TYPE_u32: {
        size_t size = nxi_integer_format(value->i64, ret_text);
        ret_text[size] = '\0';
        return size;
    }
    case NX_TYPE_f64: return nxi_f64_format(value->f64, ret_text);
    case NX_TYPE_date: return to_server_year(ret_text, nx_date_format(value->date, ret_text));
    case NX_TYPE_time: return trim_fraction(ret_text, nx_time_format(value->time, ret_text));
    case NX_TYPE_timestamp: return instant_form(value->timestamp.microseconds, "", ret_text);
    case NX_TYPE_timestamptz: return instant_form(value->timestamptz.microseconds, "+00", ret_text);
    case NX_TYPE_interval: return nx_interval_format(value->interval, ret_text);
    case NX_TYPE_uuid: return nx_uuid_format(value->uuid, ret_text);
    case NX_TYPE_ulid: return nx_ulid_format(value->ulid, ret_text);
    case NX_TYPE_null:
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_bytes:
    case NX_TYPE_decimal:
    case NX_TYPE_json:
    case NX_TYPE_enumeration:
    case NX_TYPE_vector:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: break;
    }
    return 0;
}

/* "0044-03-15 BC" as "-0043-03-15"; false: too long, or no year in front. */
static bool from_bc(nx_text text, char *space, nx_text *ret_text)
{
    size_t at = 0, out = 0, rest;
    uint64_t year = 0;

    text.size -= 3;
    if (text.size > NX_TEXT_FORM_SIZE - 8)
        return false;
    for (; at < text.size && at < 8 && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        year = year * 10 + (uint64_t)(text.data[at] - '0');
    if (year == 0)
        return false;
    if (year > 1)
        space[out++] = '-';
    out += put_year(space + out, year - 1);
    rest = text.size - at;
    memcpy(space + out, text.data + at, rest);
    *ret_text = nx_strn(space, out + rest);
    return true;
}

nx_status nxi_pg_instant_parse(nx_type type, nx_text text, nx_value *ret_value)
{
    char space[NX_TEXT_FORM_SIZE];

    if (text.size > 3 && memcmp(text.data + text.size - 3, " BC", 3) == 0 && !from_bc(text, space, &text))
        return NX_ETYPE;
    ret_value->type = type;
    if (type == NX_TYPE_date)
        return nx_date_parse(text, &ret_value->date);
    if (type == NX_TYPE_timestamp)
        return nx_timestamp_parse(text, &ret_value->timestamp);
    return nx_timestamptz_parse(text, &ret_value->timestamptz);
}
