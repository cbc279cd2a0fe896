/*
 * types - every type goes into the database and comes back the same: usual values, limits, empty ones and NULL.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "cases.h"

static const float unit[3] = { 1.0F, -2.5F, 0.125F };

static void fill(Every *e)
{
    e->boolean = true;
    e->i16 = -7;
    e->i32 = 70000;
    e->i64 = INT64_C(1) << 40;
    e->u32 = 7;
    e->f64 = 0.1;
    e->text = nx_str("text");
    e->longtext = nx_str("long text");
    e->bytes = nx_bytes_of("\0\1\377", 3);
    e->decimal = nx_dec("-12.50");
    e->json = nx_json_of("{\"a\": [1, 2]}");
    e->date = (nx_date){ 20000 };
    e->time = (nx_time){ INT64_C(49506123456) };
    e->timestamp = (nx_timestamp){ INT64_C(1764000000123456) };
    e->timestamptz = (nx_timestamptz){ INT64_C(1764000000654321) };
    e->interval = (nx_interval){ .microseconds = INT64_C(90061000001) };
    e->uuid = nx_uuid4();
    e->ulid = nx_ulid_new();
    e->enumeration = 2;
    e->vector = (nx_vector){ unit, 3 };
}

static Every *store(nxt_fixture *f, Every *e)
{
    OK(f, nx_save(f->db, e, NULL));
    cr_assert_gt(e->id, 0);
    nx_query *q = nx_filter(nx_select(f->db, Every), nx_eq(Every_.id, e->id));
    q = nx_with_lazy(nx_with_lazy(q, Every_.longtext), Every_.o_longtext);
    nx_completion c = OK(f, nx_fetch_only(q, NULL));
    cr_assert_eq(c.count, 1);
    return c.rows[0];
}

static Every *make(nxt_fixture *f)
{
    Every *e = nx_make(f->db, Every);
    cr_assert_not_null(e);
    fill(e);
    return e;
}

/* Goal: the least and the greatest of every type that has an order are found by value and come as that type. */
CASE(types, least_and_greatest)
{
    static const nx_column *const columns[] = {
        &Every_.boolean, &Every_.i16,         &Every_.i32,         &Every_.i64,      &Every_.u32,  &Every_.f64,
        &Every_.text,    &Every_.longtext,    &Every_.decimal,     &Every_.date,     &Every_.time, &Every_.timestamp,
        &Every_.ulid,    &Every_.timestamptz, &Every_.enumeration, &Every_.interval, &Every_.uuid,
    };
    Every *low = make(f), *high = make(f);
    low->boolean = false;
    low->u32 = 0;
    low->uuid = (nx_uuid){ { 0x0a } };
    high->uuid = (nx_uuid){ { 0xa0 } };
    high->i16 = 9;
    high->i32 = 100000;
    high->i64++;
    high->u32 = UINT32_MAX;
    high->f64 = 10;
    high->text = nx_str("texts");
    high->longtext = nx_str("longtexts");
    low->longtext = nx_str("longtext");
    high->decimal = nx_dec("9.50");
    high->date.days++;
    high->time.microseconds++;
    high->timestamp.microseconds++;
    high->timestamptz.microseconds++;
    high->interval.microseconds++;
    high->ulid.byte[0]++;
    high->enumeration = 0; /* by their labels: "red" comes after "blue" */
    OK(f, nx_save(f->db, high, NULL));
    OK(f, nx_save(f->db, low, NULL));
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        char found[128], wanted[128];
        nx_value value;
        const char *name = Every_entity.fields[columns[i]->field].name;
        for (int greatest = 0; greatest < 2; greatest++) {
            nx_query *q = nx_select(f->db, Every);
            nx_completion c = OK(f, greatest ? nx_max(q, *columns[i], NULL) : nx_min(q, *columns[i], NULL));
            cr_assert_eq(nx_row_get(greatest ? high : low, *columns[i], &value), NX_OK);
            nx_value_format(value, wanted, sizeof(wanted));
            nx_value_format(c.value, found, sizeof(found));
            cr_expect_eq(c.value.type, value.type, "%s", name);
            cr_expect_str_eq(found, wanted, "%s: %s, not %s", name, found, wanted);
            nxt_seen(f, &c);
        }
    }
}

CASE(types, usual_values)
{
    Every *e = make(f), *r = store(f, e);

    cr_expect_eq(r->boolean, true);
    cr_expect_eq(r->i16, -7);
    cr_expect_eq(r->i32, 70000);
    cr_expect_eq(r->i64, INT64_C(1) << 40);
    cr_expect_eq(r->u32, 7U);
    cr_expect_eq(memcmp(&r->f64, &e->f64, sizeof(double)), 0);
    TEXT_IS(r->text, "text");
    TEXT_IS(r->longtext, "long text");
    cr_expect_eq(r->bytes.size, 3U);
    cr_expect_eq(memcmp(r->bytes.data, "\0\1\377", 3), 0);
    cr_expect(nxt_text_is((nx_text){ r->decimal.data, r->decimal.size }, "-12.50"));
    cr_expect(nxt_text_is((nx_text){ r->json.data, r->json.size }, "{\"a\": [1, 2]}"));
    cr_expect_eq(r->date.days, 20000);
    cr_expect_eq(r->time.microseconds, INT64_C(49506123456));
    cr_expect_eq(r->timestamp.microseconds, INT64_C(1764000000123456));
    cr_expect_eq(r->timestamptz.microseconds, INT64_C(1764000000654321));
    cr_expect_eq(r->interval.microseconds + r->interval.days * INT64_C(86400000000), INT64_C(90061000001));
    cr_expect_eq(memcmp(&r->uuid, &e->uuid, sizeof(nx_uuid)), 0);
    cr_expect_eq(memcmp(&r->ulid, &e->ulid, sizeof(nx_ulid)), 0);
    cr_expect_eq(r->enumeration, 2);
    cr_expect_eq(r->vector.size, 3U);
    cr_expect_eq(memcmp(r->vector.data, unit, sizeof(unit)), 0);
}

CASE(types, optional_absent_is_null)
{
    Every *e = make(f), *r = store(f, e);

    cr_expect_not(r->o_boolean.present);
    cr_expect_not(r->o_i16.present);
    cr_expect_not(r->o_i32.present);
    cr_expect_not(r->o_i64.present);
    cr_expect_not(r->o_u32.present);
    cr_expect_not(r->o_f64.present);
    cr_expect_not(r->o_text.present);
    cr_expect_not(r->o_longtext.present);
    cr_expect_not(r->o_bytes.present);
    cr_expect_not(r->o_decimal.present);
    cr_expect_not(r->o_json.present);
    cr_expect_not(r->o_date.present);
    cr_expect_not(r->o_time.present);
    cr_expect_not(r->o_timestamp.present);
    cr_expect_not(r->o_timestamptz.present);
    cr_expect_not(r->o_interval.present);
    cr_expect_not(r->o_uuid.present);
    cr_expect_not(r->o_ulid.present);
    cr_expect_not(r->o_enumeration.present);
    cr_expect_not(r->o_vector.present);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Every), nx_is_null(Every_.o_uuid)), NULL)), 1);
}

CASE(types, optional_present)
{
    Every *e = make(f);
    e->o_boolean = nx_some(boolean, false);
    e->o_i16 = nx_some(i16, 0);
    e->o_i32 = nx_some(i32, -1);
    e->o_i64 = nx_some(i64, 0);
    e->o_u32 = nx_some(u32, 0);
    e->o_f64 = nx_some(f64, -0.5);
    e->o_text = nx_some(text, nx_str("some"));
    e->o_longtext = nx_some(longtext, nx_str("longer"));
    e->o_bytes = nx_some(bytes, nx_bytes_of("ab", 2));
    e->o_decimal = nx_some(decimal, nx_dec("0"));
    e->o_json = nx_some(json, nx_json_of("null"));
    e->o_date = nx_some(date, ((nx_date){ 0 }));
    e->o_time = nx_some(time, ((nx_time){ 0 }));
    e->o_timestamp = nx_some(timestamp, ((nx_timestamp){ 0 }));
    e->o_timestamptz = nx_some(timestamptz, ((nx_timestamptz){ 0 }));
    e->o_interval = nx_some(interval, ((nx_interval){ 0 }));
    e->o_uuid = nx_some(uuid, nx_uuid7());
    e->o_ulid = nx_some(ulid, nx_ulid_new());
    e->o_enumeration = nx_some(enumeration, 0);
    e->o_vector = nx_some(vector, ((nx_vector){ unit, 2 }));
    Every *r = store(f, e);

    cr_expect(r->o_boolean.present && !r->o_boolean.value);
    cr_expect(r->o_i16.present && r->o_i16.value == 0);
    cr_expect(r->o_i32.present && r->o_i32.value == -1);
    cr_expect(r->o_i64.present && r->o_i64.value == 0);
    cr_expect(r->o_u32.present && r->o_u32.value == 0);
    cr_expect(r->o_f64.present && r->o_f64.value < -0.4);
    cr_expect(r->o_text.present && nxt_text_is(r->o_text.value, "some"));
    cr_expect(r->o_longtext.present && nxt_text_is(r->o_longtext.value, "longer"));
    cr_expect(r->o_bytes.present && r->o_bytes.value.size == 2);
    cr_expect(r->o_decimal.present && r->o_decimal.value.size == 1);
    cr_expect(r->o_json.present && r->o_json.value.size == 4);
    cr_expect(r->o_date.present && r->o_date.value.days == 0);
    cr_expect(r->o_time.present && r->o_time.value.microseconds == 0);
    cr_expect(r->o_timestamp.present && r->o_timestamp.value.microseconds == 0);
    cr_expect(r->o_timestamptz.present && r->o_timestamptz.value.microseconds == 0);
    cr_expect(r->o_interval.present && r->o_interval.value.microseconds == 0);
    cr_expect(r->o_uuid.present && memcmp(&r->o_uuid.value, &e->o_uuid.value, 16) == 0);
    cr_expect(r->o_ulid.present && memcmp(&r->o_ulid.value, &e->o_ulid.value, 16) == 0);
    cr_expect(r->o_enumeration.present && r->o_enumeration.value == 0);
    cr_expect(r->o_vector.present && r->o_vector.value.size == 2);
}

CASE(types, integers_at_their_limits)
{
    Every *e = make(f);
    e->i16 = INT16_MIN;
    e->i32 = INT32_MIN;
    e->i64 = INT64_MIN;
    e->u32 = 0;
    e->o_i16 = nx_some(i16, INT16_MAX);
    e->o_i32 = nx_some(i32, INT32_MAX);
    e->o_i64 = nx_some(i64, INT64_MAX);
    e->o_u32 = nx_some(u32, UINT32_MAX);
    Every *r = store(f, e);

    cr_expect_eq(r->i16, INT16_MIN);
    cr_expect_eq(r->i32, INT32_MIN);
    cr_expect_eq(r->i64, INT64_MIN);
    cr_expect_eq(r->u32, 0U);
    cr_expect_eq(r->o_i16.value, INT16_MAX);
    cr_expect_eq(r->o_i32.value, INT32_MAX);
    cr_expect_eq(r->o_i64.value, INT64_MAX);
    cr_expect_eq(r->o_u32.value, UINT32_MAX);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Every), nx_eq(Every_.i64, INT64_MIN)), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Every), nx_eq(Every_.o_u32, UINT32_MAX)), NULL)), 1);
}

CASE(types, doubles_bit_for_bit)
{
    const double values[] = { 0.0,
                              -0.0,
                              DBL_MIN,
                              DBL_MAX,
                              -DBL_MAX,
                              DBL_EPSILON,
                              4.9406564584124654e-324,
                              1e15,
                              9007199254740993.0,
                              (double)INFINITY,
                              -(double)INFINITY };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        Every *e = make(f);
        e->f64 = values[i];
        Every *r = store(f, e);
        /* SQLite keeps no sign of zero. */
        bool same = memcmp(&r->f64, &values[i], sizeof(double)) == 0 ||
                    (fpclassify(values[i]) == FP_ZERO && fpclassify(r->f64) == FP_ZERO);
        cr_expect(same, "%g came back as %g", values[i], r->f64);
    }
}

/* SQLite turns NaN into NULL: a required field must not swallow that silently. */
CASE(types, nan_is_kept_or_refused)
{
    Every *e = make(f);
    e->f64 = (double)NAN;
    nx_completion c = nx_await(f->loop, nx_save(f->db, e, NULL));
    if (c.status == NX_OK) {
        nx_completion back = OK(f, nx_fetch_all(nx_select(f->db, Every), NULL));
        cr_assert_eq(back.count, 1);
        cr_expect(isnan(((Every *)back.rows[0])->f64));
        nxt_seen(f, &back);
    } else {
        cr_expect_not_null(c.error);
        cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Every), NULL)), 0);
    }
}

CASE(types, empty_is_not_null)
{
    Every *e = make(f);
    e->text = nx_str("");
    e->longtext = nx_str("");
    e->bytes = nx_bytes_of("", 0);
    e->o_text = nx_some(text, nx_str(""));
    e->o_bytes = nx_some(bytes, nx_bytes_of("", 0));
    Every *r = store(f, e);

    TEXT_IS(r->text, "");
    TEXT_IS(r->longtext, "");
    cr_expect_not_null(r->bytes.data);
    cr_expect_eq(r->bytes.size, 0U);
    cr_expect(r->o_text.present && r->o_text.value.data != NULL && r->o_text.value.size == 0);
    cr_expect(r->o_bytes.present && r->o_bytes.value.data != NULL && r->o_bytes.value.size == 0);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Every), nx_is_null(Every_.o_text)), NULL)), 0);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Every), nx_eq(Every_.o_text, "")), NULL)), 1);
}

CASE(types, texts_of_all_planes)
{
    static const char all[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\xa9 '\"`\\%_;--/**/\t\r\n\x7f";
    Every *e = make(f);
    e->text = nx_str(all);
    Every *r = store(f, e);

    TEXT_IS(r->text, all);
    cr_expect_eq(r->text.data[r->text.size], '\0', "a text from a database ends with a zero byte");
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Every), nx_eq(Every_.text, all)), NULL)), 1);
}

CASE(types, dates_and_times_at_their_limits)
{
    static const int32_t days[] = { 0, -1, 1, 59, 60, -25509, -719162, 2932896, 11016, 11017 };
    static const int64_t instants[] = {
        0, -1, 1, INT64_C(-62135596800000000), INT64_C(253402300799999999), INT64_C(951782400000000)
    };

    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        Every *e = make(f);
        e->date = (nx_date){ days[i] };
        Every *r = store(f, e);
        cr_expect_eq(r->date.days, days[i], "day %d came back as %d", days[i], r->date.days);
        cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Every), nx_eq(Every_.date, e->date)), NULL)), 1);
    }
    for (size_t i = 0; i < sizeof(instants) / sizeof(instants[0]); i++) {
        Every *e = make(f);
        e->timestamp = (nx_timestamp){ instants[i] };
        e->timestamptz = (nx_timestamptz){ instants[i] };
        e->time = (nx_time){ i % 2 == 0 ? 0 : INT64_C(86399999999) };
        Every *r = store(f, e);
        cr_expect_eq(r->timestamp.microseconds, instants[i], "%zu", i);
        cr_expect_eq(r->timestamptz.microseconds, instants[i], "%zu", i);
        cr_expect_eq(r->time.microseconds, e->time.microseconds);
        cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Every), nx_eq(Every_.timestamptz, e->timestamptz)), NULL)), 1);
    }
}

CASE(types, infinities_of_time)
{
    Every *e = make(f);
    e->date = (nx_date){ NX_DAYS_INFINITY };
    e->timestamp = (nx_timestamp){ NX_MICROSECONDS_MINUS_INFINITY };
    e->timestamptz = (nx_timestamptz){ NX_MICROSECONDS_INFINITY };
    Every *r = store(f, e);

    cr_expect_eq(r->date.days, NX_DAYS_INFINITY);
    cr_expect_eq(r->timestamp.microseconds, NX_MICROSECONDS_MINUS_INFINITY);
    cr_expect_eq(r->timestamptz.microseconds, NX_MICROSECONDS_INFINITY);
}

CASE(types, decimals_keep_their_digits)
{
    static const char *const values[] = { "0", "-0.01", "123456789012345678901234567890.123456789", "1.10",
                                          "99999999999999999999" };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        Every *e = make(f);
        e->decimal = nx_dec(values[i]);
        Every *r = store(f, e);
        cr_expect(nxt_text_is((nx_text){ r->decimal.data, r->decimal.size }, values[i]), "%s came back as %s", values[i],
                  r->decimal.data);
    }
}

CASE(types, intervals)
{
    Every *e = make(f);
    e->interval = (nx_interval){ .days = -3, .microseconds = 5 };
    Every *r = store(f, e);
    int64_t all = r->interval.microseconds + r->interval.days * INT64_C(86400000000);

    cr_expect_eq(r->interval.months, 0);
    cr_expect_eq(all, 5 - 3 * INT64_C(86400000000));
}

CASE(types, values_of_a_wrong_kind_are_refused)
{
    Every *e = make(f);
    e->enumeration = 3;
    MENTIONS(FAILS(f, nx_save(f->db, e, NULL), NX_ERANGE), "enumeration");
    e->enumeration = 0;
    e->vector = (nx_vector){ unit, 2 };
    nx_completion c = nx_await(f->loop, nx_save(f->db, e, NULL));
    cr_expect(c.status == NX_ERANGE || c.status == NX_EVALUE || c.status == NX_ETYPE, "%s", nx_status_name(c.status));
    cr_assert_not_null(c.error);
    MENTIONS(c.error, "vector");
    e->vector = (nx_vector){ unit, 3 };
    e->decimal = nx_dec("12,5");
    c = nx_await(f->loop, nx_save(f->db, e, NULL));
    cr_expect_neq(c.status, NX_OK);
    cr_assert_not_null(c.error);
    MENTIONS(c.error, "decimal");
    e->decimal = nx_dec("12.5");
    OK(f, nx_save(f->db, e, NULL));
}

CASE(types, large_values)
{
    size_t size = 3U << 20;
    char *large = malloc(size);
    cr_assert_not_null(large);
    memset(large, 'x', size);
    Every *e = make(f);
    e->longtext = nx_strn(large, size);
    e->bytes = nx_bytes_of(large, size);
    Every *r = store(f, e);

    cr_expect_eq(r->longtext.size, size);
    cr_expect_eq(memcmp(r->longtext.data, large, size), 0);
    cr_expect_eq(r->bytes.size, size);
    cr_expect_eq(memcmp(r->bytes.data, large, size), 0);
    free(large);
}
