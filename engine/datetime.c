/*
 * datetime - text forms of date, time, timestamp and timestamptz.
 *
 * Written: YYYY-MM-DD for the years 0000 to 9999, a sign and four to seven digits outside of them; fractions of a second as six
 * digits or not at all, so that texts of the years 0000 to 9999 sort as the instants do. Read: also 'T' between date and time,
 * a time without seconds, one to six digits of fraction (more when they are zeros), 24:00:00 as the end of a day, a date alone as
 * its midnight. A timestamptz without an offset is taken as UTC; a timestamp with one is refused. A leap second exists but
 * cannot be held: NX_ERANGE.
 */
#include "engine/datetime.h"
#include "engine/types.h"

#define MICROSECONDS_PER_SECOND INT64_C(1000000)
#define MICROSECONDS_PER_DAY    (INT64_C(86400) * MICROSECONDS_PER_SECOND)

/* ----------------------------------------------------------------------------- writing */

static char *put2(char *p, unsigned number)
{
    *p++ = (char)('0' + number / 10);
    *p++ = (char)('0' + number % 10);
    return p;
}

static char *put_padded(char *p, uint64_t number, size_t width)
{
    char digits[20];
    size_t size = nxi_u64_format(number, digits);

    while (width > size) {
        *p++ = '0';
        width--;
    }
    memcpy(p, digits, size);
    return p + size;
}

static size_t put_word(char *ret_text, const char *word)
{
    size_t size = strlen(word);

    memcpy(ret_text, word, size + 1);
    return size;
}

static char *put_date(char *p, int64_t days)
{
    nxi_civil civil = nxi_civil_of_days(days);
    uint64_t year = civil.year < 0 ? 0 - (uint64_t)civil.year : (uint64_t)civil.year;

    if (civil.year < 0 || civil.year > 9999) {
        *p++ = civil.year < 0 ? '-' : '+';
        p = put_padded(p, year, 4);
    } else {
        p = put2(p, (unsigned)year / 100);
        p = put2(p, (unsigned)year % 100);
    }
    *p++ = '-';
    p = put2(p, civil.month);
    *p++ = '-';
    return put2(p, civil.day);
}

/* `microseconds` of a day, or any number of hours when a time holds what is no time of day. */
static char *put_clock(char *p, uint64_t microseconds)
{
    uint64_t seconds = microseconds / (uint64_t)MICROSECONDS_PER_SECOND;
    uint32_t fraction = (uint32_t)(microseconds % (uint64_t)MICROSECONDS_PER_SECOND);
    uint64_t hours = seconds / 3600;
    uint32_t rest = (uint32_t)(seconds % 3600);

    p = hours < 100 ? put2(p, (unsigned)hours) : put_padded(p, hours, 2);
    *p++ = ':';
    p = put2(p, rest / 60);
    *p++ = ':';
    p = put2(p, rest % 60);
    if (fraction != 0) {
        *p++ = '.';
        p = put2(p, fraction / 10000);
        p = put2(p, fraction / 100 % 100);
        p = put2(p, fraction % 100);
    }
    return p;
}

size_t nx_date_format(nx_date value, char *ret_text)
{
    char *end;

    if (value.days == NX_DAYS_INFINITY)
        return put_word(ret_text, "infinity");
    if (value.days == NX_DAYS_MINUS_INFINITY)
        return put_word(ret_text, "-infinity");
    end = put_date(ret_text, value.days);
    *end = '\0';
    return (size_t)(end - ret_text);
}

size_t nx_time_format(nx_time value, char *ret_text)
{
    char *end = ret_text;
    uint64_t microseconds = (uint64_t)value.microseconds;

    if (value.microseconds < 0) {
        *end++ = '-';
        microseconds = 0 - microseconds;
    }
    end = put_clock(end, microseconds);
    *end = '\0';
    return (size_t)(end - ret_text);
}

static size_t put_instant(char *ret_text, int64_t microseconds, const char *zone)
{
    int64_t days = microseconds / MICROSECONDS_PER_DAY;
    int64_t rest = microseconds % MICROSECONDS_PER_DAY;
    char *end;

    if (microseconds == NX_MICROSECONDS_INFINITY)
        return put_word(ret_text, "infinity");
    if (microseconds == NX_MICROSECONDS_MINUS_INFINITY)
        return put_word(ret_text, "-infinity");
    if (rest < 0) {
        rest += MICROSECONDS_PER_DAY;
        days--;
    }
    end = put_date(ret_text, days);
    *end++ = ' ';
    end = put_clock(end, (uint64_t)rest);
    return (size_t)(end - ret_text) + put_word(end, zone);
}

size_t nx_timestamp_format(nx_timestamp value, char *ret_text)
{
    return put_instant(ret_text, value.microseconds, "");
}

size_t nx_timestamptz_format(nx_timestamptz value, char *ret_text)
{
    return put_instant(ret_text, value.microseconds, "+00:00");
}

/* ----------------------------------------------------------------------------- reading */

typedef struct cursor {
    const char *p, *end;
} cursor;

static cursor cursor_of(nx_text text)
{
    return (cursor){text.data, text.data == NULL ? NULL : text.data + text.size};
}

static bool take(cursor *c, char expected)
{
    if (c->p == c->end || *c->p != expected)
        return false;
    c->p++;
    return true;
}

static bool is_digit(const cursor *c)
{
    return c->p != c->end && *c->p >= '0' && *c->p <= '9';
}

/* Exactly two digits. */
static bool take2(cursor *c, unsigned *ret_number)
{
    unsigned tens, ones;

    if (c->end - c->p < 2)
        return false;
    tens = (unsigned char)c->p[0] - (unsigned)'0';
    ones = (unsigned char)c->p[1] - (unsigned)'0';
    if (tens > 9 || ones > 9)
        return false;
    c->p += 2;
    *ret_number = tens * 10 + ones;
    return true;
}

/* Four digits or more, with a sign or without. */
static nx_status take_year(cursor *c, int64_t *ret_year)
{
    bool negative = c->p != c->end && *c->p == '-';
    const char *start;
    int64_t year = 0;

    if (c->p != c->end && (*c->p == '-' || *c->p == '+'))
        c->p++;
    for (start = c->p; is_digit(c); c->p++) {
        if (year < 100000000)
            year = year * 10 + (*c->p - '0');
    }
    if (c->p - start < 4)
        return NX_ETYPE;
    *ret_year = negative ? -year : year;
    return year < 10000000 ? NX_OK : NX_ERANGE;
}

static nx_status take_date(cursor *c, int64_t *ret_days)
{
    nxi_civil civil;
    nx_status status = take_year(c, &civil.year);

    if (status == NX_ETYPE || !take(c, '-') || !take2(c, &civil.month) || !take(c, '-') || !take2(c, &civil.day))
        return NX_ETYPE;
    if (civil.month < 1 || civil.month > 12 || civil.day < 1 || civil.day > nxi_days_of_month(civil.year, civil.month))
        return NX_ETYPE;
    if (status == NX_OK)
        *ret_days = nxi_days_of_civil(civil);
    return status;
}

/* Digits behind the point; those behind the sixth must be zeros. */
static nx_status take_fraction(cursor *c, int64_t *ret_microseconds)
{
    int64_t unit = MICROSECONDS_PER_SECOND, microseconds = 0;
    bool lost = false;

    if (!is_digit(c))
        return NX_ETYPE;
    for (; is_digit(c); c->p++) {
        unit /= 10;
        microseconds += (*c->p - '0') * unit;
        lost |= unit == 0 && *c->p != '0';
    }
    *ret_microseconds = microseconds;
    return lost ? NX_ERANGE : NX_OK;
}

static nx_status take_clock(cursor *c, int64_t *ret_microseconds)
{
    unsigned hour, minute, second = 0;
    int64_t fraction = 0;
    nx_status status = NX_OK;

    if (!take2(c, &hour) || !take(c, ':') || !take2(c, &minute))
        return NX_ETYPE;
    if (take(c, ':')) {
        if (!take2(c, &second))
            return NX_ETYPE;
        if (take(c, '.') || take(c, ','))
            status = take_fraction(c, &fraction);
    }
    if (status == NX_ETYPE || hour > 24 || minute > 59 || second > 60)
        return NX_ETYPE;
    if (hour == 24 && (minute != 0 || second != 0 || fraction != 0 || status != NX_OK))
        return NX_ETYPE;
    if (second == 60)
        return NX_ERANGE;
    if (status == NX_OK)
        *ret_microseconds = ((int64_t)hour * 3600 + minute * 60 + second) * MICROSECONDS_PER_SECOND + fraction;
    return status;
}

/* Z, +hh, +hhmm, +hh:mm or +hh:mm:ss; nothing is UTC. Servers write seconds for local mean times. */
static nx_status take_offset(cursor *c, int64_t *ret_microseconds)
{
    unsigned hour, minute = 0, second = 0;
    bool negative = c->p != c->end && *c->p == '-', colon;
    int64_t offset;

    *ret_microseconds = 0;
    if (c->p == c->end || take(c, 'Z') || take(c, 'z'))
        return NX_OK;
    if (!take(c, '+') && !take(c, '-'))
        return NX_ETYPE;
    if (!take2(c, &hour))
        return NX_ETYPE;
    colon = take(c, ':');
    if (colon || is_digit(c)) {
        if (!take2(c, &minute) || (colon && take(c, ':') && !take2(c, &second)))
            return NX_ETYPE;
    }
    if (hour > 23 || minute > 59 || second > 59)
        return NX_ETYPE;
    offset = ((int64_t)hour * 3600 + minute * 60 + second) * MICROSECONDS_PER_SECOND;
    *ret_microseconds = negative ? -offset : offset;
    return NX_OK;
}

/* 1, -1: an infinity; 0: neither. */
static int infinity_of(nx_text text)
{
    if (text.data == NULL)
        return 0;
    if (nxi_text_is_word(text.data, text.size, "infinity"))
        return 1;
    return nxi_text_is_word(text.data, text.size, "-infinity") ? -1 : 0;
}

nx_status nx_date_parse(nx_text text, nx_date *ret_value)
{
    int infinity = infinity_of(text);
    cursor c = cursor_of(text);
    int64_t days = 0;
    nx_status status;

    if (infinity != 0) {
        ret_value->days = infinity > 0 ? NX_DAYS_INFINITY : NX_DAYS_MINUS_INFINITY;
        return NX_OK;
    }
    status = take_date(&c, &days);
    if (status == NX_ETYPE || c.p != c.end)
        return NX_ETYPE;
    if (status != NX_OK || days <= NX_DAYS_MINUS_INFINITY || days >= NX_DAYS_INFINITY)
        return NX_ERANGE;
    ret_value->days = (int32_t)days;
    return NX_OK;
}

nx_status nx_time_parse(nx_text text, nx_time *ret_value)
{
    cursor c = cursor_of(text);
    int64_t microseconds = 0;
    nx_status status = take_clock(&c, &microseconds);

    if (status == NX_ETYPE || c.p != c.end)
        return NX_ETYPE;
    if (status == NX_OK)
        ret_value->microseconds = microseconds;
    return status;
}

static nx_status parse_instant(nx_text text, bool with_zone, int64_t *ret_microseconds)
{
    int infinity = infinity_of(text);
    cursor c = cursor_of(text);
    int64_t days = 0, clock = 0, offset = 0, microseconds;
    nx_status date_status, clock_status = NX_OK;

    if (infinity != 0) {
        *ret_microseconds = infinity > 0 ? NX_MICROSECONDS_INFINITY : NX_MICROSECONDS_MINUS_INFINITY;
        return NX_OK;
    }
    date_status = take_date(&c, &days);
    if (date_status == NX_ETYPE)
        return NX_ETYPE;
    if (take(&c, ' ') || take(&c, 'T') || take(&c, 't')) {
        clock_status = take_clock(&c, &clock);
        if (clock_status == NX_ETYPE || (with_zone && take_offset(&c, &offset) != NX_OK))
            return NX_ETYPE;
    }
    if (c.p != c.end)
        return NX_ETYPE;
    if (date_status != NX_OK || clock_status != NX_OK)
        return NX_ERANGE;
    /* One sum of two parts could overflow although the instant fits: the day alone may lie below the least one. */
    if (days < 0) {
        days++;
        clock -= MICROSECONDS_PER_DAY;
    }
    if (__builtin_mul_overflow(days, MICROSECONDS_PER_DAY, &microseconds) ||
        __builtin_add_overflow(microseconds, clock - offset, &microseconds) || microseconds == NX_MICROSECONDS_INFINITY ||
        microseconds == NX_MICROSECONDS_MINUS_INFINITY)
        return NX_ERANGE;
    *ret_microseconds = microseconds;
    return NX_OK;
}

nx_status nx_timestamp_parse(nx_text text, nx_timestamp *ret_value)
{
    return parse_instant(text, false, &ret_value->microseconds);
}

nx_status nx_timestamptz_parse(nx_text text, nx_timestamptz *ret_value)
{
    return parse_instant(text, true, &ret_value->microseconds);
}
