/*
 * datetime - days since 1970-01-01 and the proleptic Gregorian calendar.
 *
 * Exact for every day within +-2^40 days; no tables, no libc. Years are astronomical: 0 is 1 BC.
 */
#ifndef NXI_DATETIME_H
#define NXI_DATETIME_H

#include "engine/base.h"

typedef struct nxi_civil {
    int64_t year;
    unsigned month, day; /* from 1 */
} nxi_civil;

/* A cycle of 400 years has 146097 days; years start in March so that the leap day is the last of its year. */
static inline int64_t nxi_days_of_civil(nxi_civil civil)
{
    int64_t year = civil.year - (civil.month <= 2);
    int64_t cycle = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_cycle = year - cycle * 400;
    int64_t month = civil.month > 2 ? (int64_t)civil.month - 3 : (int64_t)civil.month + 9;
    int64_t day_of_year = (153 * month + 2) / 5 + (int64_t)civil.day - 1;

    return cycle * 146097 + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year - 719468;
}

static inline nxi_civil nxi_civil_of_days(int64_t days)
{
    int64_t shifted = days + 719468; /* since 0000-03-01 */
    int64_t cycle = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    uint32_t day_of_cycle = (uint32_t)(shifted - cycle * 146097);
    uint32_t year_of_cycle = (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36524 - day_of_cycle / 146096) / 365;
    uint32_t day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    uint32_t month = (5 * day_of_year + 2) / 153;
    nxi_civil civil = {.year = (int64_t)year_of_cycle + cycle * 400,
                       .month = month < 10 ? month + 3 : month - 9,
                       .day = day_of_year - (153 * month + 2) / 5 + 1};

    civil.year += civil.month <= 2;
    return civil;
}

static inline bool nxi_is_leap_year(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static inline unsigned nxi_days_of_month(int64_t year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (unsigned)(month == 2 && nxi_is_leap_year(year));
}

#endif
