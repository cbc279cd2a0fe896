/*
 * interval - text form of interval: ISO 8601 durations.
 *
 * Every part may have a sign of its own, and one in front of the P turns all of them. Weeks are read as seven days. Hours,
 * minutes and seconds may have a fraction; one of a year, month, week or day has no fixed length and is NX_ERANGE.
 */
#include "engine/types.h"

#define MICROSECONDS_PER_SECOND INT64_C(1000000)

/* A part that is not zero: number and designator. */
static char *put_part(char *p, int64_t number, char designator)
{
    if (number != 0) {
        p += nxi_integer_format(number, p);
        *p++ = designator;
    }
    return p;
}

static char *put_seconds(char *p, bool negative, uint64_t microseconds)
{
    uint64_t fraction = microseconds % (uint64_t)MICROSECONDS_PER_SECOND;

    if (microseconds == 0)
        return p;
    if (negative)
        *p++ = '-';
    p += nxi_u64_format(microseconds / (uint64_t)MICROSECONDS_PER_SECOND, p);
    if (fraction != 0) {
        *p++ = '.';
        for (uint64_t unit = 100000; fraction != 0; fraction %= unit, unit /= 10)
            *p++ = (char)('0' + fraction / unit);
    }
    *p++ = 'S';
    return p;
}

size_t nx_interval_format(nx_interval value, char *ret_text)
{
    bool negative = value.microseconds < 0;
    uint64_t microseconds = negative ? 0 - (uint64_t)value.microseconds : (uint64_t)value.microseconds;
    const uint64_t hour = UINT64_C(3600000000), minute = UINT64_C(60000000);
    int64_t sign = negative ? -1 : 1;
    char *p = ret_text;

    *p++ = 'P';
    p = put_part(p, value.months / 12, 'Y');
    p = put_part(p, value.months % 12, 'M');
    p = put_part(p, value.days, 'D');
    if (microseconds != 0 || p == ret_text + 1) {
        *p++ = 'T';
        p = put_part(p, (int64_t)(microseconds / hour) * sign, 'H');
        p = put_part(p, (int64_t)(microseconds % hour / minute) * sign, 'M');
        p = put_seconds(p, negative, microseconds % minute);
    }
    if (p == ret_text + 2 && p[-1] == 'T') {
        *p++ = '0';
        *p++ = 'S';
    }
    *p = '\0';
    return (size_t)(p - ret_text);
}

/* One "number designator": the number as millionths, so that fractions are exact. */
typedef struct part {
    __int128 millionths;
    bool fraction; /* has digits behind a point that are not all zero */
    char designator;
} part;

static nx_status take_part(const char **p, const char *end, part *ret_part)
{
    const __int128 limit = (__int128)1 << 100;
    bool negative = *p != end && **p == '-', lost = false;
    __int128 unit = MICROSECONDS_PER_SECOND;
    const char *start;

    *ret_part = (part){0};
    if (*p != end && (**p == '-' || **p == '+'))
        ++*p;
    for (start = *p; *p != end && **p >= '0' && **p <= '9'; ++*p) {
        if (ret_part->millionths < limit)
            ret_part->millionths = ret_part->millionths * 10 + (__int128)(**p - '0') * MICROSECONDS_PER_SECOND;
    }
    if (*p == start)
        return NX_ETYPE;
    if (*p != end && (**p == '.' || **p == ',')) {
        for (start = ++*p; *p != end && **p >= '0' && **p <= '9'; ++*p) {
            unit /= 10;
            ret_part->millionths += (**p - '0') * unit;
            ret_part->fraction |= **p != '0';
            lost |= unit == 0 && **p != '0';
        }
        if (*p == start)
            return NX_ETYPE;
    }
    if (*p == end)
        return NX_ETYPE;
    ret_part->designator = *(*p)++;
    if (negative)
        ret_part->millionths = -ret_part->millionths;
    return lost || ret_part->millionths >= limit || ret_part->millionths <= -limit ? NX_ERANGE : NX_OK;
}

/* What is summed up; wide enough for any number of parts that are each below their limit. */
typedef struct sums {
    __int128 months, days, microseconds;
} sums;

/* Adds one part; NX_ETYPE when the designator is unknown or not behind the last one. */
static nx_status add_part(sums *total, const part *one, bool in_time, const char **rest)
{
    const char *found = one->designator == '\0' ? NULL : strchr(*rest, one->designator);
    __int128 whole = one->millionths / MICROSECONDS_PER_SECOND;

    if (found == NULL)
        return NX_ETYPE;
    *rest = found + 1;
    if (in_time) {
        int64_t seconds = one->designator == 'H' ? 3600 : one->designator == 'M' ? 60 : 1;

        total->microseconds += one->millionths * seconds;
        return NX_OK;
    }
    if (one->fraction)
        return NX_ERANGE;
    if (one->designator == 'Y' || one->designator == 'M')
        total->months += whole * (one->designator == 'Y' ? 12 : 1);
    else
        total->days += whole * (one->designator == 'W' ? 7 : 1);
    return NX_OK;
}

/* P[nY][nM][nW][nD][T[nH][nM][nS]] with at least one part, and one behind a T. */
static nx_status parse_parts(const char *p, const char *end, sums *ret_total)
{
    const char *rest = "YMWD";
    bool in_time = false;
    size_t count = 0;
    nx_status result = NX_OK;

    while (p != end) {
        part one;
        nx_status status;

        if (*p == 'T' && !in_time) {
            in_time = true;
            rest = "HMS";
            count = 0;
            p++;
            continue;
        }
        status = take_part(&p, end, &one);
        if (status == NX_ETYPE)
            return NX_ETYPE;
        if (status == NX_ERANGE)
            result = status;
        status = add_part(ret_total, &one, in_time, &rest);
        if (status == NX_ETYPE)
            return NX_ETYPE;
        if (status == NX_ERANGE)
            result = status;
        count++;
    }
    return count == 0 ? NX_ETYPE : result;
}

nx_status nx_interval_parse(nx_text text, nx_interval *ret_value)
{
    const char *p = text.data, *end = text.data == NULL ? NULL : text.data + text.size;
    bool negative = p != end && *p == '-';
    sums total = {0};
    nx_status status;

    if (p != end && (*p == '-' || *p == '+'))
        p++;
    if (p == end || *p != 'P')
        return NX_ETYPE;
    status = parse_parts(p + 1, end, &total);
    if (status != NX_OK)
        return status;
    if (negative)
        total = (sums){-total.months, -total.days, -total.microseconds};
    if (total.months < INT32_MIN || total.months > INT32_MAX || total.days < INT32_MIN || total.days > INT32_MAX ||
        total.microseconds < INT64_MIN || total.microseconds > INT64_MAX)
        return NX_ERANGE;
    *ret_value = (nx_interval){(int32_t)total.months, (int32_t)total.days, (int64_t)total.microseconds};
    return NX_OK;
}
