/*
 * numeric - decimals as text and as PostgreSQL's numeric, without loss.
 *
 * The binary form (numeric_send, numeric_recv in src/backend/utils/adt/numeric.c): int16 count, int16 weight, uint16 sign, uint16
 * scale, then count digits of base 10000, int16 each. At most 131072 decimal digits before the point and 16383 behind it
 * (documentation, 8.1.2).
 */
#include "drivers/postgres/codec_parts.h"

enum { HEAD_SIZE = 8, BASE = 10000, GROUP = 4, WHOLE_MAX = 131072, SCALE_MAX = 16383 };

static inline unsigned digit_at(const nxi_pg_numeric *numeric, size_t index)
{
    return index < numeric->count ? nxi_pg_load16(numeric->digits + 2 * index) : 0;
}

/* ----------------------------------------------------------------------------- reading */

bool nxi_pg_numeric_open(const uint8_t *data, size_t size, nxi_pg_numeric *ret_numeric)
{
    nxi_pg_numeric numeric;

    if (size < HEAD_SIZE)
        return false;
    numeric = (nxi_pg_numeric){ .digits = data + HEAD_SIZE,
                                .count = nxi_pg_load16(data),
                                .weight = (int16_t)nxi_pg_load16(data + 2),
                                .sign = nxi_pg_load16(data + 4),
                                .scale = nxi_pg_load16(data + 6) };
    if (size - HEAD_SIZE != 2 * numeric.count)
        return false;
    switch (numeric.sign) {
    case NXI_PG_NUMERIC_POSITIVE:
    case NXI_PG_NUMERIC_NEGATIVE: break;
    case NXI_PG_NUMERIC_NAN:
    case NXI_PG_NUMERIC_INFINITY:
    case NXI_PG_NUMERIC_MINUS_INFINITY:
        numeric.count = 0;
        *ret_numeric = numeric;
        return true;
    default: return false;
    }
    if (numeric.scale > SCALE_MAX)
        return false;
    for (size_t i = 0; i < numeric.count; i++) {
        if (digit_at(&numeric, i) >= BASE)
            return false;
    }
    while (numeric.count != 0 && digit_at(&numeric, 0) == 0) {
        numeric.digits += 2;
        numeric.count--;
        numeric.weight--;
    }
    if (numeric.count == 0)
        numeric.weight = 0;
    *ret_numeric = numeric;
    return true;
}

size_t nxi_pg_numeric_room(const nxi_pg_numeric *numeric)
{
    size_t whole = numeric->weight < 0 ? 1 : ((size_t)numeric->weight + 1) * GROUP;

    return whole + numeric->scale + GROUP + sizeof("-Infinity");
}

static char *put_group(char *p, unsigned group)
{
    p[0] = (char)('0' + group / 1000);
    p[1] = (char)('0' + group / 100 % 10);
    p[2] = (char)('0' + group / 10 % 10);
    p[3] = (char)('0' + group % 10);
    return p + GROUP;
}

static char *put_whole(const nxi_pg_numeric *numeric, char *p)
{
    if (numeric->weight < 0) {
        *p++ = '0';
        return p;
    }
    p += nxi_u64_format(digit_at(numeric, 0), p);
    for (size_t i = 1; i <= (size_t)numeric->weight; i++)
        p = put_group(p, digit_at(numeric, i));
    return p;
}

/* Digits behind the scale are not shown; the server sends none. */
static char *put_fraction(const nxi_pg_numeric *numeric, char *p)
{
    char *end = p + 1 + numeric->scale;

    *p++ = '.';
    /* The group of 10000^e is digit weight - e; before the first digit there are zeros. */
    for (int32_t index = numeric->weight + 1; p < end; index++)
        p = put_group(p, index < 0 ? 0 : digit_at(numeric, (size_t)index));
    return end;
}

size_t nxi_pg_numeric_format(const nxi_pg_numeric *numeric, char *ret_text)
{
    const char *word = numeric->sign == NXI_PG_NUMERIC_NAN              ? "NaN"
                       : numeric->sign == NXI_PG_NUMERIC_INFINITY       ? "Infinity"
                       : numeric->sign == NXI_PG_NUMERIC_MINUS_INFINITY ? "-Infinity"
                                                                        : NULL;
    char *p = ret_text;

    if (word != NULL) {
        memcpy(ret_text, word, strlen(word) + 1);
        return strlen(word);
    }
    if (numeric->sign == NXI_PG_NUMERIC_NEGATIVE && numeric->count != 0)
        *p++ = '-';
    p = put_whole(numeric, p);
    if (numeric->scale != 0)
        p = put_fraction(numeric, p);
    *p = '\0';
    return (size_t)(p - ret_text);
}

/* ----------------------------------------------------------------------------- writing */

/* A decimal's digits: those before the point without zeros in front, those behind it all. */
typedef struct parts {
    const char *whole, *fraction;
    size_t whole_size, fraction_size;
    bool negative;
} parts;

/* `text` is a decimal. */
static parts split(nx_text text)
{
    const char *end = text.data + text.size, *p = text.data, *point;
    parts result = { .negative = *p == '-' };

    if (*p == '-' || *p == '+')
        p++;
    point = memchr(p, '.', (size_t)(end - p));
    while (p != end && *p == '0')
        p++;
    result.whole = p;
    result.whole_size = (size_t)((point == NULL ? end : point) - p);
    if (point != NULL) {
        result.fraction = point + 1;
        result.fraction_size = (size_t)(end - point - 1);
    }
    return result;
}

/* Up to four digits; fewer behind the point stand for a whole group with zeros at its end. */
static unsigned group_of(const char *digits, size_t size)
{
    unsigned group = 0;

    for (size_t i = 0; i < size; i++)
        group = group * 10 + (unsigned)(digits[i] - '0');
    return group;
}

static unsigned fraction_group(const parts *from, size_t index)
{
    static const unsigned scale[GROUP + 1] = { 10000, 1000, 100, 10, 1 };
    size_t at = index * GROUP, size = nxi_min_size(GROUP, from->fraction_size - at);

    return group_of(from->fraction + at, size) * scale[size];
}

static unsigned whole_group(const parts *from, size_t index, size_t groups)
{
    size_t first = from->whole_size - (groups - 1) * GROUP;

    return index == 0 ? group_of(from->whole, first) : group_of(from->whole + first + (index - 1) * GROUP, GROUP);
}

/* Writes all groups from the first that is not zero; returns how many, without zeros at their end. */
static size_t put_groups(const parts *from, uint8_t *ret_digits, int32_t *ret_weight)
{
    size_t whole = (from->whole_size + GROUP - 1) / GROUP, fraction = (from->fraction_size + GROUP - 1) / GROUP;
    size_t count = 0, used = 0;

    *ret_weight = 0;
    for (size_t i = 0; i < whole + fraction; i++) {
        unsigned group = i < whole ? whole_group(from, i, whole) : fraction_group(from, i - whole);
        if (group == 0 && count == 0)
            continue;
        if (count == 0)
            *ret_weight = (int32_t)whole - 1 - (int32_t)i;
        nxi_pg_store16(ret_digits + 2 * count, (uint16_t)group);
        count++;
        if (group != 0)
            used = count;
    }
    return used;
}

static void put_head(uint8_t *head, size_t count, int32_t weight, unsigned sign, size_t scale)
{
    nxi_pg_store16(head, (uint16_t)count);
    nxi_pg_store16(head + 2, (uint16_t)weight);
    nxi_pg_store16(head + 4, (uint16_t)sign);
    nxi_pg_store16(head + 6, (uint16_t)scale);
}

nx_status nxi_pg_numeric_put(nxi_buf *out, nx_text decimal, nx_error *error)
{
    size_t whole, fraction, groups, count, mark = out->size;
    int32_t weight = 0;
    uint8_t *bytes;
    parts from;

    if (!nxi_decimal_measure(decimal.data, decimal.size, &whole, &fraction))
        return nxi_fail(error, NX_ETYPE, "\"%.*s\" is no decimal number", (int)nxi_min_size(decimal.size, 64), decimal.data);
    if (whole > WHOLE_MAX || fraction > SCALE_MAX)
        return nxi_fail(error, NX_ERANGE, "%zu digits before and %zu behind the point; a numeric has at most %d and %d", whole,
                        fraction, (int)WHOLE_MAX, (int)SCALE_MAX);
    if (nxi_text_is_word(decimal.data, decimal.size, "nan")) {
        bytes = nxi_buf_grow(out, HEAD_SIZE);
        if (bytes != NULL)
            put_head(bytes, 0, 0, NXI_PG_NUMERIC_NAN, 0);
        return NX_OK;
    }
    from = split(decimal);
    from.fraction_size = nxi_min_size(from.fraction_size, SCALE_MAX); /* what is cut are zeros */
    groups = (from.whole_size + GROUP - 1) / GROUP + (from.fraction_size + GROUP - 1) / GROUP;
    bytes = nxi_buf_grow(out, HEAD_SIZE + 2 * groups);
    if (bytes == NULL)
        return NX_OK;
    count = put_groups(&from, bytes + HEAD_SIZE, &weight);
    put_head(bytes, count, weight, from.negative && count != 0 ? NXI_PG_NUMERIC_NEGATIVE : NXI_PG_NUMERIC_POSITIVE,
             from.fraction_size);
    out->size = mark + HEAD_SIZE + 2 * count;
    return NX_OK;
}
