/*
 * number - integers, doubles and decimals as text.
 */
#include "engine/types.h"
#include "engine/values.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---------------------------------------------------------------------------- integers */

int64_t nxi_integer_min(nx_type type)
{
    if (type == NX_TYPE_i16)
        return INT16_MIN;
    if (type == NX_TYPE_i32)
        return INT32_MIN;
    return type == NX_TYPE_u32 ? 0 : INT64_MIN;
}

int64_t nxi_integer_max(nx_type type)
{
    if (type == NX_TYPE_i16)
        return INT16_MAX;
    if (type == NX_TYPE_i32)
        return INT32_MAX;
    return type == NX_TYPE_u32 ? (int64_t)UINT32_MAX : INT64_MAX;
}

size_t nxi_u64_format(uint64_t value, char *ret_text)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[sizeof(digits) - ++count] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    memcpy(ret_text, digits + sizeof(digits) - count, count);
    return count;
}

size_t nxi_integer_format(int64_t value, char *ret_text)
{
    if (value >= 0)
        return nxi_u64_format((uint64_t)value, ret_text);
    *ret_text = '-';
    return 1 + nxi_u64_format(0 - (uint64_t)value, ret_text + 1);
}

nx_status nxi_integer_parse(const char *data, size_t size, int64_t *ret_value)
{
    bool negative = size != 0 && data[0] == '-';
    size_t at = size != 0 && (data[0] == '-' || data[0] == '+') ? 1 : 0;
    bool overflow = false;
    int64_t value = 0;

    if (at == size)
        return NX_ETYPE;
    for (; at < size; at++) {
        unsigned digit = (unsigned char)data[at] - (unsigned)'0';

        if (digit > 9)
            return NX_ETYPE;
        /* Counting downwards reaches INT64_MIN without a wider type. */
        overflow |= __builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, (int64_t)digit, &value);
    }
    if (overflow || (!negative && value == INT64_MIN))
        return NX_ERANGE;
    *ret_value = negative ? value : -value;
    return NX_OK;
}

/* ----------------------------------------------------------------------------- doubles */

/* glibc answers newlocale for "C" with a static object: no allocation, no failure, nothing to free. */
static locale_t c_locale(void)
{
    return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool nxi_text_is_word(const char *data, size_t size, const char *lower_case)
{
    for (size_t i = 0; i < size; i++) {
        char c = data[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != lower_case[i] || c == '\0')
            return false;
    }
    return lower_case[size] == '\0';
}

static size_t skip_digits(const char *data, size_t size, size_t at)
{
    while (at < size && data[at] >= '0' && data[at] <= '9')
        at++;
    return at;
}

/* strtod alone would also take hexadecimal and leading white space. */
static bool is_f64_text(const char *data, size_t size)
{
    size_t at = size != 0 && (data[0] == '-' || data[0] == '+') ? 1 : 0;
    size_t start = at, digits;

    if (nxi_text_is_word(data + at, size - at, "inf") || nxi_text_is_word(data + at, size - at, "infinity") ||
        nxi_text_is_word(data + at, size - at, "nan"))
        return true;
    at = skip_digits(data, size, at);
    digits = at - start;
    if (at < size && data[at] == '.') {
        start = at + 1;
        at = skip_digits(data, size, start);
        digits += at - start;
    }
    if (digits == 0)
        return false;
    if (at < size && (data[at] == 'e' || data[at] == 'E')) {
        at++;
        if (at < size && (data[at] == '-' || data[at] == '+'))
            at++;
        start = at;
        at = skip_digits(data, size, at);
        if (at == start)
            return false;
    }
    return at == size;
}

nx_status nxi_f64_parse(nxi_arena *arena, const char *data, size_t size, double *ret_value)
{
    char local[128];
    const char *text = local;
    double value;

    if (!is_f64_text(data, size))
        return NX_ETYPE;
    if (size < sizeof(local)) {
        memcpy(local, data, size);
        local[size] = '\0';
    } else {
        if (arena == NULL)
            return NX_ETYPE;
        text = nxi_arena_text(arena, data, size);
        if (text == NULL)
            return NX_ENOMEM;
    }
    value = strtod_l(text, NULL, c_locale());
    if (isinf(value) && memchr(data, 'n', size) == NULL && memchr(data, 'N', size) == NULL)
        return NX_ERANGE;
    *ret_value = value;
    return NX_OK;
}

/* Infinities, NaN and integers that are exact and short: the forms that need no search. 0: none of them. */
static size_t format_plain(double value, char *ret_text)
{
    static const double exact_below = 1e15;
    const char *text = isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
    size_t length = 0;

    if (!isfinite(value)) {
        length = strlen(text);
        memcpy(ret_text, text, length + 1);
    } else if (value > -exact_below && value < exact_below && value == (double)(int64_t)value &&
               !(value == 0 && signbit(value))) {
        length = nxi_integer_format((int64_t)value, ret_text);
        ret_text[length] = '\0';
    }
    return length;
}

enum { NUMBER_ROOM = 32 };

size_t nxi_f64_format(double value, char *ret_text)
{
    size_t length = format_plain(value, ret_text);
    locale_t c = c_locale(), before;
    int digits, size;

    if (length != 0)
        return length;
    /* 15 digits always survive a normal double, so fewer need no try of their own; subnormal ones have less precision. */
    digits = fpclassify(value) == FP_NORMAL ? 15 : 1;
    before = uselocale(c);
    do {
        size = snprintf(ret_text, NUMBER_ROOM, "%.*g", digits, value);
    } while (++digits <= 17 && strtod_l(ret_text, NULL, c) != value);
    uselocale(before);
    return (size_t)size;
}

size_t nxi_f32_format(float value, char *ret_text)
{
    size_t length = fabsf(value) < 1e6f || !isfinite(value) ? format_plain((double)value, ret_text) : 0;
    locale_t c = c_locale(), before;
    int digits, size;

    if (length != 0)
        return length;
    digits = fpclassify(value) == FP_NORMAL ? 6 : 1;
    before = uselocale(c);
    do {
        size = snprintf(ret_text, NUMBER_ROOM, "%.*g", digits, (double)value);
    } while (++digits <= 9 && strtof_l(ret_text, NULL, c) != value);
    uselocale(before);
    return (size_t)size;
}

/* ---------------------------------------------------------------------------- decimals */

/* A decimal without sign, zeros in front and zeros at the end. */
typedef struct decimal_parts {
    const char *whole, *fraction;
    size_t whole_size, fraction_size;
    bool negative, nan;
} decimal_parts;

static bool split_decimal(const char *data, size_t size, decimal_parts *ret_parts)
{
    decimal_parts parts = {0};
    size_t at = 0, start;

    if (data == NULL || size == 0)
        return false;
    if (nxi_text_is_word(data, size, "nan")) {
        *ret_parts = (decimal_parts){.nan = true};
        return true;
    }
    if (data[0] == '-' || data[0] == '+') {
        parts.negative = data[0] == '-';
        at = 1;
    }
    start = at;
    at = skip_digits(data, size, at);
    parts.whole = data + start;
    parts.whole_size = at - start;
    if (at < size && data[at] == '.') {
        start = at + 1;
        at = skip_digits(data, size, start);
        parts.fraction = data + start;
        parts.fraction_size = at - start;
    }
    if (at != size || parts.whole_size + parts.fraction_size == 0)
        return false;
    while (parts.whole_size != 0 && parts.whole[0] == '0') {
        parts.whole++;
        parts.whole_size--;
    }
    while (parts.fraction_size != 0 && parts.fraction[parts.fraction_size - 1] == '0')
        parts.fraction_size--;
    if (parts.whole_size + parts.fraction_size == 0)
        parts.negative = false; /* there is one zero */
    *ret_parts = parts;
    return true;
}

bool nxi_decimal_measure(const char *data, size_t size, size_t *ret_whole_digits, size_t *ret_fraction_digits)
{
    decimal_parts parts;

    if (!split_decimal(data, size, &parts))
        return false;
    *ret_whole_digits = parts.whole_size;
    *ret_fraction_digits = parts.fraction_size;
    return true;
}

static int compare_bytes(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t common = nxi_min_size(a_size, b_size);
    int order = common == 0 ? 0 : memcmp(a, b, common);

    if (order == 0)
        order = (a_size > b_size) - (a_size < b_size);
    return (order > 0) - (order < 0);
}

int nxi_decimal_compare(nx_text a, nx_text b)
{
    decimal_parts x, y;
    int order;

    /* Texts that are no decimals cannot come this way checked; they still get an order of their own. */
    if (!split_decimal(a.data, a.size, &x) || !split_decimal(b.data, b.size, &y))
        return compare_bytes(a.data, a.data == NULL ? 0 : a.size, b.data, b.data == NULL ? 0 : b.size);
    if (x.nan || y.nan)
        return x.nan - y.nan; /* NaN is the greatest, as in PostgreSQL */
    if (x.negative != y.negative)
        return x.negative ? -1 : 1;
    if (x.whole_size != y.whole_size)
        order = x.whole_size > y.whole_size ? 1 : -1;
    else
        order = compare_bytes(x.whole, x.whole_size, y.whole, y.whole_size);
    if (order == 0)
        order = compare_bytes(x.fraction, x.fraction_size, y.fraction, y.fraction_size);
    return x.negative ? -order : order;
}
