/*
 * test_textform - text forms of every type: round trips, edges, refusals; fresh identifiers.
 */
#include "engine/datetime.h"
#include "engine/types.h"
#include "engine/values.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 100000 };

static uint64_t random_state = 0x5eed;

static uint64_t random_u64(void)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = random_state;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Of any magnitude, and often at an edge. */
static int64_t random_i64(void)
{
    static const int64_t edges[] = {0, 1, -1, INT64_MAX - 1, INT64_MIN + 1, 86399999999, 86400000000, -86400000000};
    uint64_t x = random_u64();

    if (x % 16 == 0)
        return edges[x / 16 % NXI_COUNT(edges)];
    return (int64_t)random_u64() >> (x % 63);
}

#define ROUND_TRIP(type, value, same)                                                                                            \
    do {                                                                                                                         \
        char text_[NX_TEXT_FORM_SIZE];                                                                                           \
        nx_##type in_ = (value), out_;                                                                                           \
        size_t size_ = nx_##type##_format(in_, text_);                                                                           \
        cr_assert_lt(size_, sizeof(text_));                                                                                      \
        cr_assert_eq(strlen(text_), size_);                                                                                      \
        cr_assert_eq(nx_##type##_parse(nx_strn(text_, size_), &out_), NX_OK, "%s", text_);                                       \
        cr_assert(same, "%s", text_);                                                                                            \
    } while (0)

Test(textform, random_dates_and_times_round_trip)
{
    for (int i = 0; i < ROUNDS; i++) {
        ROUND_TRIP(date, ((nx_date){(int32_t)random_i64()}), in_.days == out_.days);
        ROUND_TRIP(time, ((nx_time){(int64_t)(random_u64() % 86400000001)}), in_.microseconds == out_.microseconds);
        ROUND_TRIP(timestamp, ((nx_timestamp){random_i64()}), in_.microseconds == out_.microseconds);
        ROUND_TRIP(timestamptz, ((nx_timestamptz){random_i64()}), in_.microseconds == out_.microseconds);
    }
}

Test(textform, random_intervals_and_identifiers_round_trip)
{
    for (int i = 0; i < ROUNDS; i++) {
        nx_interval interval = {(int32_t)random_i64(), (int32_t)random_i64(), random_i64()};
        nx_uuid uuid;
        nx_ulid ulid;
        uint64_t bits[2] = {random_u64(), random_u64()};

        memcpy(&uuid, bits, sizeof(uuid));
        memcpy(&ulid, bits, sizeof(ulid));
        ROUND_TRIP(interval, interval, memcmp(&in_, &out_, sizeof(in_)) == 0);
        ROUND_TRIP(uuid, uuid, memcmp(&in_, &out_, sizeof(in_)) == 0);
        ROUND_TRIP(ulid, ulid, memcmp(&in_, &out_, sizeof(in_)) == 0);
    }
}

Test(textform, the_ends_of_every_range_round_trip)
{
    static const int32_t days[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX};
    static const int64_t instants[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};

    for (size_t i = 0; i < NXI_COUNT(days); i++)
        ROUND_TRIP(date, ((nx_date){days[i]}), in_.days == out_.days);
    for (size_t i = 0; i < NXI_COUNT(instants); i++) {
        ROUND_TRIP(timestamp, ((nx_timestamp){instants[i]}), in_.microseconds == out_.microseconds);
        ROUND_TRIP(timestamptz, ((nx_timestamptz){instants[i]}), in_.microseconds == out_.microseconds);
        for (size_t d = 0; d < NXI_COUNT(days); d++)
            ROUND_TRIP(interval, ((nx_interval){days[d], days[NXI_COUNT(days) - 1 - d], instants[i]}),
                       memcmp(&in_, &out_, sizeof(in_)) == 0);
    }
}

/* Method: count days one by one with the rule of leap years alone, over four centuries on both sides of year 0. */
Test(textform, the_calendar_agrees_with_counting)
{
    int64_t days = nxi_days_of_civil((nxi_civil){-800, 1, 1});

    for (int64_t year = -800; year <= 2400; year++) {
        for (unsigned month = 1; month <= 12; month++) {
            static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
            bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

            for (unsigned day = 1; day <= lengths[month - 1] + (month == 2 && leap); day++, days++) {
                nxi_civil civil = nxi_civil_of_days(days);

                cr_assert_eq(nxi_days_of_civil((nxi_civil){year, month, day}), days);
                cr_assert(civil.year == year && civil.month == month && civil.day == day);
            }
        }
    }
    cr_assert_eq(nxi_days_of_civil((nxi_civil){1970, 1, 1}), 0);
    cr_assert_eq(nxi_days_of_civil((nxi_civil){2000, 3, 1}), 11017);
}

/* --------------------------------------------------------------------------- exact texts */

#define WRITES(type, value, expected)                                                                                            \
    do {                                                                                                                         \
        char text_[NX_TEXT_FORM_SIZE];                                                                                           \
        (void)nx_##type##_format((value), text_);                                                                                \
        cr_assert_str_eq(text_, expected);                                                                                       \
    } while (0)
#define READS(type, text, member, expected)                                                                                      \
    do {                                                                                                                         \
        nx_##type out_;                                                                                                          \
        cr_assert_eq(nx_##type##_parse(nx_str(text), &out_), NX_OK, "%s", text);                                                 \
        cr_assert_eq(out_ member, expected, "%s", text);                                                                         \
    } while (0)
#define REFUSES(type, text, status)                                                                                              \
    do {                                                                                                                         \
        nx_##type out_, untouched_;                                                                                              \
        memset(&out_, 0x5a, sizeof(out_));                                                                                       \
        memset(&untouched_, 0x5a, sizeof(out_));                                                                                 \
        cr_assert_eq(nx_##type##_parse(nx_str(text), &out_), status, "%s", (const char *)(text));                                \
        cr_assert_eq(memcmp(&out_, &untouched_, sizeof(out_)), 0, "%s", (const char *)(text));                                   \
    } while (0)

Test(textform, dates)
{
    WRITES(date, ((nx_date){0}), "1970-01-01");
    WRITES(date, ((nx_date){20780}), "2026-11-23");
    WRITES(date, ((nx_date){-719162}), "0001-01-01");
    WRITES(date, ((nx_date){-719163}), "0000-12-31");
    WRITES(date, ((nx_date){-719529}), "-0001-12-31");
    WRITES(date, ((nx_date){2932896}), "9999-12-31");
    WRITES(date, ((nx_date){2932897}), "+10000-01-01");
    WRITES(date, ((nx_date){NX_DAYS_INFINITY}), "infinity");
    WRITES(date, ((nx_date){NX_DAYS_MINUS_INFINITY}), "-infinity");
    READS(date, "2000-02-29", .days, 11016);
    READS(date, "10000-01-01", .days, 2932897);
    READS(date, "+1970-01-01", .days, 0);
    READS(date, "Infinity", .days, NX_DAYS_INFINITY);
    REFUSES(date, "1900-02-29", NX_ETYPE);
    REFUSES(date, "2026-02-30", NX_ETYPE);
    REFUSES(date, "2026-00-10", NX_ETYPE);
    REFUSES(date, "2026-13-10", NX_ETYPE);
    REFUSES(date, "2026-01-00", NX_ETYPE);
    REFUSES(date, "2026-01-32", NX_ETYPE);
    REFUSES(date, "0000-00-00", NX_ETYPE);
    REFUSES(date, "999-01-01", NX_ETYPE);
    REFUSES(date, "2026-1-1", NX_ETYPE);
    REFUSES(date, "2026-01-01 ", NX_ETYPE);
    REFUSES(date, " 2026-01-01", NX_ETYPE);
    REFUSES(date, "20260101", NX_ETYPE);
    REFUSES(date, "", NX_ETYPE);
    REFUSES(date, NULL, NX_ETYPE);
    REFUSES(date, "-", NX_ETYPE);
    REFUSES(date, "5881580-07-12", NX_ERANGE);
    REFUSES(date, "-5877641-06-23", NX_ERANGE);
    REFUSES(date, "99999999999999999999999-01-01", NX_ERANGE);
}

Test(textform, times)
{
    WRITES(time, ((nx_time){0}), "00:00:00");
    WRITES(time, ((nx_time){49506123456}), "13:45:06.123456");
    WRITES(time, ((nx_time){49506500000}), "13:45:06.500000");
    WRITES(time, ((nx_time){86400000000}), "24:00:00");
    WRITES(time, ((nx_time){-3020399000000}), "-838:59:59");
    WRITES(time, ((nx_time){INT64_MIN}), "-2562047788:00:54.775808");
    READS(time, "13:45", .microseconds, 49500000000);
    READS(time, "13:45:06.5", .microseconds, 49506500000);
    READS(time, "13:45:06,123456000", .microseconds, 49506123456);
    READS(time, "24:00:00.000000", .microseconds, 86400000000);
    REFUSES(time, "24:00:00.000001", NX_ETYPE);
    REFUSES(time, "24:00:01", NX_ETYPE);
    REFUSES(time, "24:01:00", NX_ETYPE);
    REFUSES(time, "25:00:00", NX_ETYPE);
    REFUSES(time, "13:60:00", NX_ETYPE);
    REFUSES(time, "13:45:61", NX_ETYPE);
    REFUSES(time, "23:59:60", NX_ERANGE);
    REFUSES(time, "13:45:06.1234567", NX_ERANGE);
    REFUSES(time, "13:45:06.", NX_ETYPE);
    REFUSES(time, "13:45:6", NX_ETYPE);
    REFUSES(time, "13", NX_ETYPE);
    REFUSES(time, "1:45:06", NX_ETYPE);
    REFUSES(time, "13:45:06Z", NX_ETYPE);
    REFUSES(time, "", NX_ETYPE);
}

Test(textform, timestamps)
{
    WRITES(timestamp, ((nx_timestamp){-1}), "1969-12-31 23:59:59.999999");
    WRITES(timestamptz, ((nx_timestamptz){1795441506123456}), "2026-11-23 13:45:06.123456+00:00");
    READS(timestamp, "2026-11-23T13:45:06.123456", .microseconds, 1795441506123456);
    READS(timestamp, "2026-11-23t13:45:06", .microseconds, 1795441506000000);
    READS(timestamp, "1970-01-02", .microseconds, 86400000000);
    READS(timestamp, "1969-12-31 24:00:00", .microseconds, 0);
    READS(timestamptz, "1970-01-01 00:00:00", .microseconds, 0);
    READS(timestamptz, "1970-01-01T00:00:00Z", .microseconds, 0);
    READS(timestamptz, "1970-01-01T05:45:00+05:45", .microseconds, 0);
    READS(timestamptz, "1970-01-01T05:45:00+0545", .microseconds, 0);
    READS(timestamptz, "1969-12-31T19:00:00-05", .microseconds, 0);
    READS(timestamptz, "1970-01-01T00:19:32+00:19:32", .microseconds, 0);
    READS(timestamptz, "-infinity", .microseconds, NX_MICROSECONDS_MINUS_INFINITY);
    REFUSES(timestamp, "2026-11-23T13:45:06Z", NX_ETYPE);
    REFUSES(timestamp, "2026-11-23T13:45:06+00:00", NX_ETYPE);
    REFUSES(timestamp, "2026-11-23T", NX_ETYPE);
    REFUSES(timestamp, "2026-11-23  13:45:06", NX_ETYPE);
    REFUSES(timestamptz, "1970-01-01T00:00:00+24:00", NX_ETYPE);
    REFUSES(timestamptz, "1970-01-01T00:00:00+5", NX_ETYPE);
    REFUSES(timestamptz, "1970-01-01T00:00:00+05:4", NX_ETYPE);
    REFUSES(timestamptz, "1970-01-01T00:00:00+05:60", NX_ETYPE);
    REFUSES(timestamptz, "1970-01-01T00:00:00 Z", NX_ETYPE);
    REFUSES(timestamptz, "1970-01-01T00:00:00ZZ", NX_ETYPE);
    REFUSES(timestamptz, "1970-01-01T00:00:60Z", NX_ERANGE);
    REFUSES(timestamp, "294247-01-10 04:00:54.775807", NX_ERANGE); /* the number that means infinity */
    REFUSES(timestamp, "294248-01-01", NX_ERANGE);
    REFUSES(timestamp, "-290308-12-21 19:59:05.224192", NX_ERANGE);
    REFUSES(timestamptz, "-290308-12-21 19:59:05.224193+00:01", NX_ERANGE);
}

Test(textform, intervals)
{
    nx_interval out;

    WRITES(interval, ((nx_interval){14, 3, 14706500000}), "P1Y2M3DT4H5M6.5S");
    WRITES(interval, ((nx_interval){0, 0, 0}), "PT0S");
    WRITES(interval, ((nx_interval){-14, 0, -1}), "P-1Y-2MT-0.000001S");
    WRITES(interval, ((nx_interval){0, -1, 3600000000}), "P-1DT1H");
    WRITES(interval, ((nx_interval){INT32_MIN, INT32_MIN, INT64_MIN}), "P-178956970Y-8M-2147483648DT-2562047788H-54.775808S");
    READS(interval, "P2W", .days, 14);
    READS(interval, "-P1Y", .months, -12);
    READS(interval, "-PT-1S", .microseconds, 1000000);
    READS(interval, "PT1.5H", .microseconds, 5400000000);
    READS(interval, "PT0,5M", .microseconds, 30000000);
    READS(interval, "+PT+1S", .microseconds, 1000000);
    cr_assert_eq(nx_interval_parse(nx_str("P1Y-2M1W-1DT-1H30M"), &out), NX_OK);
    cr_assert(out.months == 10 && out.days == 6 && out.microseconds == -1800000000);
    REFUSES(interval, "P", NX_ETYPE);
    REFUSES(interval, "PT", NX_ETYPE);
    REFUSES(interval, "P1YT", NX_ETYPE);
    REFUSES(interval, "1Y", NX_ETYPE);
    REFUSES(interval, "P1", NX_ETYPE);
    REFUSES(interval, "P1H", NX_ETYPE);
    REFUSES(interval, "PT1Y", NX_ETYPE);
    REFUSES(interval, "P1D1Y", NX_ETYPE);
    REFUSES(interval, "P1Y1Y", NX_ETYPE);
    REFUSES(interval, "PT1HT1M", NX_ETYPE);
    REFUSES(interval, "PTS", NX_ETYPE);
    REFUSES(interval, "PT1.S", NX_ETYPE);
    REFUSES(interval, "", NX_ETYPE);
    REFUSES(interval, "P1.5D", NX_ERANGE);
    REFUSES(interval, "PT0.0000001S", NX_ERANGE);
    REFUSES(interval, "P2147483648D", NX_ERANGE);
    REFUSES(interval, "P178956971Y", NX_ERANGE);
    REFUSES(interval, "PT9223372036855S", NX_ERANGE);
    REFUSES(interval, "PT99999999999999999999999999999999999999999999999999H", NX_ERANGE);
}

Test(textform, uuids)
{
    static const char *const forms[] = {"00112233-4455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-AABBCCDDEEFF",
                                        "{00112233-4455-6677-8899-aabbccddeeff}", "00112233445566778899aabbccddeeff",
                                        "{00112233445566778899AABBCCDDEEFF}"};
    nx_uuid out;

    for (size_t i = 0; i < NXI_COUNT(forms); i++) {
        cr_assert_eq(nx_uuid_parse(nx_str(forms[i]), &out), NX_OK, "%s", forms[i]);
        for (int b = 0; b < 16; b++)
            cr_assert_eq(out.byte[b], b * 0x11);
    }
    WRITES(uuid, out, forms[0]);
    REFUSES(uuid, "", NX_ETYPE);
    REFUSES(uuid, "{}", NX_ETYPE);
    REFUSES(uuid, "{00112233-4455-6677-8899-aabbccddeeff", NX_ETYPE);
    REFUSES(uuid, "00112233-4455-6677-8899-aabbccddeef", NX_ETYPE);
    REFUSES(uuid, "00112233-4455-6677-8899-aabbccddeeffa", NX_ETYPE);
    REFUSES(uuid, "00112233-4455-6677-8899-aabbccddeefg", NX_ETYPE);
    REFUSES(uuid, "001122334-455-6677-8899-aabbccddeeff", NX_ETYPE);
    REFUSES(uuid, "0011223344556677-8899-aabbccddeeff--", NX_ETYPE);
    REFUSES(uuid, "0011223344556677_8899aabbccddeeff", NX_ETYPE);
}

Test(textform, ulids)
{
    nx_ulid a, b;

    cr_assert_eq(nx_ulid_parse(nx_str("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), &a), NX_OK);
    for (int i = 0; i < 16; i++)
        cr_assert_eq(a.byte[i], 0xff);
    cr_assert_eq(nx_ulid_parse(nx_str("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &a), NX_OK);
    WRITES(ulid, a, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    cr_assert_eq(nx_ulid_parse(nx_str("oiarz3ndektsv4rrffq69g5fav"), &b), NX_OK);
    cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0);
    cr_assert_eq(nx_ulid_parse(nx_str("OLARZ3NDEKTSV4RRFFQ69G5FAV"), &b), NX_OK);
    cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0);
    REFUSES(ulid, "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", NX_ERANGE);
    REFUSES(ulid, "01ARZ3NDEKTSV4RRFFQ69G5FAU", NX_ETYPE);
    REFUSES(ulid, "01ARZ3NDEKTSV4RRFFQ69G5FA", NX_ETYPE);
    REFUSES(ulid, "01ARZ3NDEKTSV4RRFFQ69G5FAVV", NX_ETYPE);
    REFUSES(ulid, "01ARZ3NDEKTSV4RRFFQ69G5FA-", NX_ETYPE);
    REFUSES(ulid, "", NX_ETYPE);
}

/* No parser may read past the text's end or accept rubbish: every cut of a good text and every byte changed. */
Test(textform, cut_and_damaged_texts_are_safe)
{
    static const char *const good[] = {"2026-11-23T13:45:06.123456+05:45",       "P1Y2M3W4DT4H5M6.5S",         "-infinity",
                                       "{00112233-4455-6677-8899-aabbccddeeff}", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "24:00:00"};

    for (size_t g = 0; g < NXI_COUNT(good); g++) {
        size_t size = strlen(good[g]);

        for (size_t cut = 0; cut <= size; cut++) {
            for (int change = 0; change < 256; change++) {
                char *text = malloc(cut == 0 ? 1 : cut); /* exactly as long, so that AddressSanitizer watches its end */
                nx_text t = {text, cut};
                union {
                    nx_date d;
                    nx_time t;
                    nx_timestamp s;
                    nx_timestamptz z;
                    nx_interval i;
                    nx_uuid u;
                    nx_ulid l;
                } out;

                memcpy(text, good[g], cut);
                if (cut != 0)
                    text[(unsigned)change % cut] = (char)change;
                (void)!nx_date_parse(t, &out.d);
                (void)!nx_time_parse(t, &out.t);
                (void)!nx_timestamp_parse(t, &out.s);
                (void)!nx_timestamptz_parse(t, &out.z);
                (void)!nx_interval_parse(t, &out.i);
                (void)!nx_uuid_parse(t, &out.u);
                (void)!nx_ulid_parse(t, &out.l);
                free(text);
            }
        }
    }
}

/* --------------------------------------------------------------------------- identifiers */

Test(textform, fresh_identifiers_have_their_marks)
{
    nx_timestamptz now = nx_now();
    nx_uuid four = nx_uuid4(), seven = nx_uuid7();
    nx_ulid ulid = nx_ulid_new();
    uint64_t milliseconds = 0, ulid_milliseconds = 0;

    for (int i = 0; i < 6; i++) {
        milliseconds = milliseconds << 8 | seven.byte[i];
        ulid_milliseconds = ulid_milliseconds << 8 | ulid.byte[i];
    }
    cr_assert_eq(four.byte[6] >> 4, 4);
    cr_assert_eq(four.byte[8] >> 6, 2);
    cr_assert_eq(seven.byte[6] >> 4, 7);
    cr_assert_eq(seven.byte[8] >> 6, 2);
    cr_assert_gt(now.microseconds, INT64_C(1700000000000000));
    cr_assert_lt((uint64_t)now.microseconds / 1000 - 1000, milliseconds);
    cr_assert_lt(milliseconds, (uint64_t)now.microseconds / 1000 + 10000);
    cr_assert_lt(ulid_milliseconds, (uint64_t)now.microseconds / 1000 + 10000);
    cr_assert_geq(ulid_milliseconds, milliseconds);
}

Test(textform, identifiers_of_a_thread_ascend)
{
    nx_uuid last = nx_uuid7();
    nx_ulid last_ulid = nx_ulid_new();

    for (int i = 0; i < ROUNDS; i++) {
        nx_uuid next = nx_uuid7();
        nx_ulid ulid = nx_ulid_new();

        cr_assert_lt(memcmp(&last, &next, sizeof(next)), 0);
        cr_assert_lt(memcmp(&last_ulid, &ulid, sizeof(ulid)), 0);
        last = next;
        last_ulid = ulid;
    }
}

enum { THREADS = 4, PER_THREAD = 20000 };
static nx_uuid made[THREADS * PER_THREAD];

static void *make_many(void *start)
{
    nx_uuid *ids = start;

    for (int i = 0; i < PER_THREAD; i++)
        ids[i] = nx_uuid7();
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(nx_uuid));
}

/* Method: the first 66 bits alone must differ, which only the shared word can bring about. */
Test(textform, identifiers_of_threads_never_meet)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, make_many, &made[i * PER_THREAD]), 0);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    for (int i = 1; i < PER_THREAD; i++)
        cr_assert_lt(memcmp(&made[i - 1], &made[i], sizeof(nx_uuid)), 0);
    qsort(made, NXI_COUNT(made), sizeof(nx_uuid), compare_ids);
    for (size_t i = 1; i < NXI_COUNT(made); i++)
        cr_assert_neq(memcmp(made[i - 1].byte, made[i].byte, 9), 0);
}

/* A child starts with a copy of the parent's random bytes and must not use them. */
Test(textform, identifiers_differ_after_fork)
{
    nx_uuid parent = nx_uuid4(), child;
    int pipes[2], status;
    pid_t pid;

    cr_assert_eq(pipe(pipes), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        child = nx_uuid4();
        _exit(write(pipes[1], &child, sizeof(child)) == (ssize_t)sizeof(child) ? 0 : 1);
    }
    parent = nx_uuid4();
    cr_assert_eq(read(pipes[0], &child, sizeof(child)), (ssize_t)sizeof(child));
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_neq(memcmp(&parent, &child, sizeof(child)), 0);
}

/* ------------------------------------------------------------------------ names and values */

Test(textform, type_names)
{
    cr_assert_str_eq(nx_type_name(NX_TYPE_i64), "i64");
    cr_assert_str_eq(nx_type_name(NX_TYPE_null), "null");
    cr_assert_str_eq(nx_type_name((nx_type)99), "unknown");
    cr_assert_str_eq(nx_type_name((nx_type)-1), "unknown");
    for (int type = NX_TYPE_null + 1; type < NX_TYPE_key; type++)
        cr_assert_eq((int)nx_type_parse(nx_str(nx_type_name((nx_type)type))), type);
    cr_assert_eq(nx_type_parse(nx_str("set")), NX_TYPE_null);
    cr_assert_eq(nx_type_parse(nx_str("I64")), NX_TYPE_null);
    cr_assert_eq(nx_type_parse(nx_str(NULL)), NX_TYPE_null);
    cr_assert_eq(nx_type_parse(nx_strn("i64x", 3)), NX_TYPE_i64);
}

static void check_format(nx_value value, const char *expected)
{
    char text[256];

    cr_assert_eq(nx_value_format(value, text, sizeof(text)), strlen(expected), "%s", text);
    cr_assert_str_eq(text, expected);
}

Test(textform, any_value)
{
    check_format(nx_null(), "NULL");
    check_format(NX_VALUE(true), "1"); /* in C11 true is an int */
    check_format(nx_value_boolean(true), "true");
    check_format(NX_VALUE(-5), "-5");
    check_format(nx_value_i64(INT64_MIN), "-9223372036854775808");
    check_format(NX_VALUE(1.5), "1.5");
    check_format(NX_VALUE("caf\xc3\xa9"), "caf\xc3\xa9");
    check_format(nx_value_bytes(nx_bytes_of("\0\xff", 2)), "X'00FF'");
    check_format(nx_value_bytes(nx_bytes_of("", 0)), "X''");
    check_format(nx_value_decimal(nx_dec("-12.50")), "-12.50");
    check_format(nx_value_date((nx_date){0}), "1970-01-01");
    check_format(nx_value_vector((nx_vector){(const float[]){1, 2.5f, 0.1f}, 3}), "[1,2.5,0.1]");
    check_format((nx_value){.type = NX_TYPE_text}, "NULL");
    check_format((nx_value){.type = NX_TYPE_enumeration, .enumeration = 2}, "2");
    check_format((nx_value){.type = NX_TYPE_set}, "NULL");
}

Test(textform, arrays_of_values_show_their_values)
{
    char text[32];
    const nx_value three[] = { nx_value_i64(1), nx_value_str("a, b"), nx_null() };
    const nxi_value_array list = { .element = NX_TYPE_text, .values = three, .count = 3 };

    cr_assert_eq(nx_value_format(nxi_value_of_array(&list), text, sizeof(text)), 15);
    cr_assert_str_eq(text, "{1, a, b, NULL}");
}

Test(textform, values_are_cut_at_the_buffer)
{
    static uint8_t large[100000];
    char text[8];

    memset(text, 'x', sizeof(text));
    cr_assert_eq(nx_value_format(NX_VALUE("1234567890"), text, 5), 10);
    cr_assert_str_eq(text, "1234");
    cr_assert_eq(text[5], 'x');
    cr_assert_eq(nx_value_format(nx_value_bytes(nx_bytes_of(large, sizeof(large))), text, sizeof(text)), 2 * sizeof(large) + 3);
    cr_assert_str_eq(text, "X'00000");
    cr_assert_eq(nx_value_format(NX_VALUE("abc"), NULL, 0), 3);
    cr_assert_eq(nx_value_format(NX_VALUE("abc"), text, 1), 3);
    cr_assert_str_eq(text, "");
}

/* ------------------------------------------------------------------------------- doubles */

static void check_double(double value, const char *expected)
{
    char text[32];

    cr_assert_eq(nxi_f64_format(value, text), strlen(expected), "%s", text);
    cr_assert_str_eq(text, expected);
}

Test(textform, doubles)
{
    check_double(0.1, "0.1");
    check_double(0.1 + 0.2, "0.30000000000000004");
    check_double(5e-324, "5e-324");
    check_double(1.7976931348623157e308, "1.7976931348623157e+308");
    check_double(0.0, "0");
    check_double(-0.0, "-0");
    check_double(123456789012345.0, "123456789012345");
    check_double(1e15, "1e+15");
    check_double((double)NAN, "NaN");
    check_double((double)INFINITY, "Infinity");
    check_double(-(double)INFINITY, "-Infinity");
}

Test(textform, random_doubles_round_trip)
{
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t bits = random_u64();
        char text[32];
        double value, back;
        size_t size;

        memcpy(&value, &bits, sizeof(value));
        size = nxi_f64_format(value, text);
        cr_assert_lt(size, sizeof(text));
        cr_assert_eq(nxi_f64_parse(NULL, text, size, &back), NX_OK, "%s", text);
        cr_assert(memcmp(&value, &back, sizeof(value)) == 0 || (isnan(value) && isnan(back)), "%s", text);
    }
}

/* German writes a comma; texts for a database must not. */
Test(textform, doubles_do_not_depend_on_the_locale)
{
    double value;

    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL && setlocale(LC_ALL, "fr_FR.UTF-8") == NULL)
        (void)setlocale(LC_ALL, "");
    check_double(1.5, "1.5");
    cr_assert_eq(nxi_f64_parse(NULL, "1.5", 3, &value), NX_OK);
    cr_assert_eq(value, 1.5);
    cr_assert_eq(nxi_f64_parse(NULL, "1,5", 3, &value), NX_ETYPE);
}
