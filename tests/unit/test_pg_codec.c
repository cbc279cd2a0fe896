/*
 * test_pg_codec - values in PostgreSQL's binary and text formats: bytes as the server's send functions write them, limits, and
 * bytes that are no value of their type.
 */
#include "drivers/postgres/codec_parts.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static nxi_memory *memory;
static nxi_arena arena;
static nxi_buf out;
static nx_error error;

static void open_all(void)
{
    memory = nxi_memory_new(0);
    cr_assert_not_null(memory);
    nxi_arena_init(&arena, memory);
    nxi_buf_init(&out, memory);
}

static void close_all(void)
{
    nxi_memory_fail(0, false);
    nxi_buf_fini(&out);
    nxi_arena_fini(&arena);
    nxi_memory_free(memory);
}

TestSuite(pg_codec, .init = open_all, .fini = close_all);

/* "0001 ff" as bytes in a block of exactly their size, so that a read beyond it is seen; the caller frees it. */
static uint8_t *bytes_of(const char *hex, size_t *ret_size)
{
    uint8_t *bytes = malloc(strlen(hex) / 2 + 1);
    unsigned byte;
    size_t size = 0;

    cr_assert_not_null(bytes);
    for (const char *p = hex; *p != '\0'; p += 2) {
        while (*p == ' ')
            p++;
        cr_assert_eq(sscanf(p, "%2x", &byte), 1, "%s", hex);
        bytes[size++] = (uint8_t)byte;
    }
    *ret_size = size;
    return realloc(bytes, size == 0 ? 1 : size);
}

static void expect_bytes(const void *data, size_t size, const char *hex, const char *what)
{
    size_t expected_size;
    uint8_t *expected = bytes_of(hex, &expected_size);

    cr_expect_eq(size, expected_size, "%s: %zu bytes, not %zu", what, size, expected_size);
    if (size == expected_size)
        cr_expect_eq(memcmp(data, expected, size), 0, "%s", what);
    free(expected);
}

static nx_status get_hex(nxi_pg_oid type, const char *hex, nx_value *ret_value)
{
    size_t size;
    uint8_t *bytes = bytes_of(hex, &size);
    nx_status status = nxi_pg_get_value(&arena, type, NXI_PG_AS_BINARY, bytes, size, ret_value, &error);

    free(bytes);
    return status;
}

static nx_status get_text(nxi_pg_oid type, const char *text, nx_value *ret_value)
{
    return nxi_pg_get_value(&arena, type, NXI_PG_AS_TEXT, (const uint8_t *)text, strlen(text), ret_value, &error);
}

static nx_value typed(nx_type type, nx_value value)
{
    value.type = type;
    return value;
}

/* ------------------------------------------------------------------------------- types */

Test(pg_codec, types_and_their_arrays)
{
    static const nxi_pg_oid oids[] = { NXI_PG_BOOL,    NXI_PG_BYTEA,  NXI_PG_NAME,      NXI_PG_INT8,        NXI_PG_INT2,
                                       NXI_PG_INT4,    NXI_PG_TEXT,   NXI_PG_OID,       NXI_PG_JSON,        NXI_PG_FLOAT4,
                                       NXI_PG_FLOAT8,  NXI_PG_BPCHAR, NXI_PG_VARCHAR,   NXI_PG_DATE,        NXI_PG_TIME,
                                       NXI_PG_NUMERIC, NXI_PG_UUID,   NXI_PG_TIMESTAMP, NXI_PG_TIMESTAMPTZ, NXI_PG_INTERVAL,
                                       NXI_PG_JSONB };
    for (size_t i = 0; i < NXI_COUNT(oids); i++) {
        nxi_pg_oid array = nxi_pg_array_of(oids[i]);
        cr_expect_neq(array, 0U);
        cr_expect_eq(nxi_pg_element_of(array), oids[i]);
        cr_expect_eq(nxi_pg_array_of(array), 0U);
        cr_expect(nxi_pg_is_known(oids[i]) && nxi_pg_is_known(array));
        cr_expect_eq(nxi_pg_parameter_format(oids[i]), NXI_PG_AS_BINARY);
    }
    cr_expect_eq(nxi_pg_array_of(NXI_PG_INT4), 1007U);
    cr_expect_eq(nxi_pg_array_of(NXI_PG_UNKNOWN), 0U);
    cr_expect_eq(nxi_pg_element_of(0), 0U);
    cr_expect_not(nxi_pg_is_known(NXI_PG_TIMETZ));
    cr_expect_not(nxi_pg_is_known(70000));
    cr_expect_eq(nxi_pg_parameter_format(NXI_PG_INFER), NXI_PG_AS_TEXT);
    cr_expect_eq(nxi_pg_parameter_format(70000), NXI_PG_AS_TEXT);
}

Test(pg_codec, parameters_have_the_type_that_loses_nothing)
{
    cr_expect_eq(nxi_pg_parameter_type(NX_TYPE_i16), (nxi_pg_oid)NXI_PG_INT2);
    cr_expect_eq(nxi_pg_parameter_type(NX_TYPE_u32), (nxi_pg_oid)NXI_PG_INT8);
    cr_expect_eq(nxi_pg_parameter_type(NX_TYPE_json), (nxi_pg_oid)NXI_PG_JSONB);
    cr_expect_eq(nxi_pg_parameter_type(NX_TYPE_text), (nxi_pg_oid)NXI_PG_INFER);
    cr_expect_eq(nxi_pg_parameter_type(NX_TYPE_enumeration), (nxi_pg_oid)NXI_PG_INFER);
    cr_expect_eq(nxi_pg_parameter_type(NX_TYPE_ulid), (nxi_pg_oid)NXI_PG_TEXT);
    cr_expect_eq(nxi_pg_element_of(nxi_pg_parameter_type(NX_TYPE_vector)), (nxi_pg_oid)NXI_PG_FLOAT4);
    for (int type = NX_TYPE_boolean; type < NX_TYPE_key; type++) {
        nxi_pg_oid oid = nxi_pg_parameter_type((nx_type)type);
        cr_expect(oid == NXI_PG_INFER || nxi_pg_is_known(oid));
    }
}

/* ----------------------------------------------------------------- known patterns, both ways */

#define INTEGER(v)                                                                                                               \
    {                                                                                                                            \
        .type = NX_TYPE_i64, .i64 = (v)                                                                                          \
    }
#define DOUBLE(v)                                                                                                                \
    {                                                                                                                            \
        .type = NX_TYPE_f64, .f64 = (v)                                                                                          \
    }
#define TEXT(t, v)                                                                                                               \
    {                                                                                                                            \
        .type = NX_TYPE_##t, .text = { v, sizeof(v) - 1 }                                                                        \
    }
#define INSTANT(t, v)                                                                                                            \
    {                                                                                                                            \
        .type = NX_TYPE_##t, .timestamp = { v }                                                                                  \
    }

/* A value, the server's type, its bytes and its text there. */
static const struct pattern {
    nxi_pg_oid type;
    nx_value value;
    const char *hex, *text;
} patterns[] = {
    { NXI_PG_BOOL, { .type = NX_TYPE_boolean, .boolean = true }, "01", "t" },
    { NXI_PG_BOOL, { .type = NX_TYPE_boolean, .boolean = false }, "00", "f" },
    { NXI_PG_INT2, INTEGER(INT16_MIN), "8000", "-32768" },
    { NXI_PG_INT2, INTEGER(INT16_MAX), "7fff", "32767" },
    { NXI_PG_INT4, INTEGER(-2), "fffffffe", "-2" },
    { NXI_PG_INT4, INTEGER(INT32_MIN), "80000000", "-2147483648" },
    { NXI_PG_INT8, INTEGER(INT64_MAX), "7fffffffffffffff", "9223372036854775807" },
    { NXI_PG_INT8, INTEGER(INT64_MIN), "8000000000000000", "-9223372036854775808" },
    { NXI_PG_OID, INTEGER(UINT32_MAX), "ffffffff", "4294967295" },
    { NXI_PG_FLOAT4, DOUBLE(1.5), "3fc00000", "1.5" },
    { NXI_PG_FLOAT4, DOUBLE((double)0.1F), "3dcccccd", "0.1" },
    { NXI_PG_FLOAT8, DOUBLE(-0.1), "bfb999999999999a", "-0.1" },
    { NXI_PG_FLOAT8, DOUBLE((double)INFINITY), "7ff0000000000000", "Infinity" },
    { NXI_PG_FLOAT8, DOUBLE(-0.0), "8000000000000000", "-0" },
    { NXI_PG_TEXT, TEXT(text, ""), "", "" },
    { NXI_PG_TEXT, TEXT(text, "a\xc3\xa4"), "61 c3 a4", "a\xc3\xa4" },
    { NXI_PG_VARCHAR, TEXT(text, "ab"), "6162", "ab" },
    { NXI_PG_NAME, TEXT(text, "ab"), "6162", "ab" },
    { NXI_PG_BPCHAR, TEXT(text, "ab   "), "6162202020", "ab   " },
    { NXI_PG_BYTEA, { .type = NX_TYPE_bytes, .bytes = { "\0\377\\", 3 } }, "00ff5c", "\\x00ff5c" },
    { NXI_PG_BYTEA, { .type = NX_TYPE_bytes, .bytes = { "", 0 } }, "", "\\x" },
    { NXI_PG_JSON, TEXT(json, "[1]"), "5b315d", "[1]" },
    { NXI_PG_JSONB, TEXT(json, "[1]"), "01 5b315d", "[1]" },
    { NXI_PG_DATE, { .type = NX_TYPE_date, .date = { 0 } }, "ffffd533", "1970-01-01" },
    { NXI_PG_DATE, { .type = NX_TYPE_date, .date = { 10957 } }, "00000000", "2000-01-01" },
    { NXI_PG_DATE, { .type = NX_TYPE_date, .date = { NX_DAYS_INFINITY } }, "7fffffff", "infinity" },
    { NXI_PG_DATE, { .type = NX_TYPE_date, .date = { NX_DAYS_MINUS_INFINITY } }, "80000000", "-infinity" },
    { NXI_PG_DATE, { .type = NX_TYPE_date, .date = { -719528 } }, "fff4da8b", "0001-01-01 BC" },
    { NXI_PG_DATE, { .type = NX_TYPE_date, .date = { -2440588 } }, "ffda97a7", "4714-11-24 BC" },
    { NXI_PG_DATE, { .type = NX_TYPE_date, .date = { 2932897 } }, "002c95d4", "10000-01-01" },
    { NXI_PG_TIME, { .type = NX_TYPE_time, .time = { 0 } }, "0000000000000000", "00:00:00" },
    { NXI_PG_TIME, { .type = NX_TYPE_time, .time = { 86400000000 } }, "000000141dd76000", "24:00:00" },
    { NXI_PG_TIME, { .type = NX_TYPE_time, .time = { 500000 } }, "000000000007a120", "00:00:00.5" },
    { NXI_PG_TIMESTAMP, INSTANT(timestamp, 0), "fffca2fec4c82000", "1970-01-01 00:00:00" },
    { NXI_PG_TIMESTAMP, INSTANT(timestamp, 946684800000001), "0000000000000001", "2000-01-01 00:00:00.000001" },
    { NXI_PG_TIMESTAMP, INSTANT(timestamp, INT64_MAX), "7fffffffffffffff", "infinity" },
    { NXI_PG_TIMESTAMP, INSTANT(timestamp, INT64_MIN), "8000000000000000", "-infinity" },
    { NXI_PG_TIMESTAMP, INSTANT(timestamp, -210866803200000000), "fd0f7cc1411fa000", "4714-11-24 00:00:00 BC" },
    { NXI_PG_TIMESTAMPTZ, INSTANT(timestamptz, 946684800500000), "000000000007a120", "2000-01-01 00:00:00.5+00" },
    { NXI_PG_TIMESTAMPTZ, INSTANT(timestamptz, INT64_MAX), "7fffffffffffffff", "infinity" },
    { NXI_PG_INTERVAL,
      { .type = NX_TYPE_interval, .interval = { 14, -3, 4000000 } },
      "00000000003d0900 fffffffd 0000000e",
      "P1Y2M-3DT4S" },
    { NXI_PG_INTERVAL, { .type = NX_TYPE_interval }, "0000000000000000 00000000 00000000", "PT0S" },
    { NXI_PG_UUID,
      { .type = NX_TYPE_uuid,
        .uuid = { { 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff } } },
      "00112233445566778899aabbccddeeff",
      "00112233-4455-6677-8899-aabbccddeeff" },
    { NXI_PG_NUMERIC, TEXT(decimal, "0"), "0000 0000 0000 0000", "0" },
    { NXI_PG_NUMERIC, TEXT(decimal, "0.00"), "0000 0000 0000 0002", "0.00" },
    { NXI_PG_NUMERIC, TEXT(decimal, "1"), "0001 0000 0000 0000 0001", "1" },
    { NXI_PG_NUMERIC, TEXT(decimal, "-12.50"), "0002 0000 4000 0002 000c 1388", "-12.50" },
    { NXI_PG_NUMERIC, TEXT(decimal, "10000"), "0001 0001 0000 0000 0001", "10000" },
    { NXI_PG_NUMERIC, TEXT(decimal, "0.0001"), "0001 ffff 0000 0004 0001", "0.0001" },
    { NXI_PG_NUMERIC, TEXT(decimal, "-0.000000010"), "0001 fffe 4000 0009 0001", "-0.000000010" },
    { NXI_PG_NUMERIC, TEXT(decimal, "12345.6789"), "0003 0001 0000 0004 0001 0929 1a85", "12345.6789" },
    { NXI_PG_NUMERIC, TEXT(decimal, "NaN"), "0000 0000 c000 0000", "NaN" },
};

Test(pg_codec, patterns_are_read)
{
    for (size_t i = 0; i < NXI_COUNT(patterns); i++) {
        nx_value value;

        cr_assert_eq(get_hex(patterns[i].type, patterns[i].hex, &value), NX_OK, "%s: %s", patterns[i].text, error.message);
        cr_expect(nxi_value_equal(&value, &patterns[i].value), "%s (%s) in binary", patterns[i].hex, patterns[i].text);
        cr_assert_eq(get_text(patterns[i].type, patterns[i].text, &value), NX_OK, "%s: %s", patterns[i].text, error.message);
        cr_expect(nxi_value_equal(&value, &patterns[i].value), "%s as text", patterns[i].text);
    }
}

Test(pg_codec, patterns_are_written)
{
    for (size_t i = 0; i < NXI_COUNT(patterns); i++) {
        const struct pattern *p = &patterns[i];
        nx_status status;

        nxi_buf_clear(&out);
        nxi_buf_putc(&out, '>');
        status = nxi_pg_put_value(&out, &p->value, p->type, NULL, &error);
        cr_assert_eq(status, NX_OK, "%s: %s", p->text, error.message);
        cr_assert(out.size >= 5 && out.data[0] == '>');
        cr_expect_eq(nxi_pg_load32((const uint8_t *)out.data + 1), out.size - 5, "the length of %s", p->text);
        expect_bytes(out.data + 5, out.size - 5, p->hex, p->text);
    }
}

/* What the server infers gets the text, which it would write itself. */
Test(pg_codec, patterns_are_written_as_text)
{
    for (size_t i = 0; i < NXI_COUNT(patterns); i++) {
        const struct pattern *p = &patterns[i];

        if (p->type == NXI_PG_FLOAT4)
            continue; /* a double of its own: 0.10000000149011612 */
        for (nxi_pg_oid as = NXI_PG_INFER; as <= 70000; as += 70000) {
            nxi_buf_clear(&out);
            cr_assert_eq(nxi_pg_put_value(&out, &p->value, as, NULL, &error), NX_OK, "%s: %s", p->text, error.message);
            cr_expect_eq(out.size - 4, strlen(p->text), "%s", p->text);
            cr_expect_eq(memcmp(out.data + 4, p->text, out.size - 4), 0, "%s: %.*s", p->text, (int)out.size - 4, out.data + 4);
        }
    }
}

Test(pg_codec, texts_end_with_a_zero)
{
    nx_value value;

    cr_assert_eq(get_hex(NXI_PG_TEXT, "6162", &value), NX_OK);
    cr_expect_str_eq(value.text.data, "ab");
    cr_assert_eq(get_hex(NXI_PG_NUMERIC, "0001 0000 0000 0000 0007", &value), NX_OK);
    cr_expect_str_eq(value.text.data, "7");
    cr_assert_eq(get_hex(NXI_PG_BYTEA, "", &value), NX_OK);
    cr_expect_not_null(value.bytes.data);
    cr_expect_eq(value.type, NX_TYPE_bytes);
}

Test(pg_codec, null_both_ways)
{
    nx_value nulls[] = { nx_null(), { .type = NX_TYPE_text }, { .type = NX_TYPE_bytes }, { .type = NX_TYPE_vector } };
    nx_value value;

    for (size_t i = 0; i < NXI_COUNT(nulls); i++) {
        nxi_buf_clear(&out);
        cr_assert_eq(nxi_pg_put_value(&out, &nulls[i], NXI_PG_INT4, NULL, &error), NX_OK);
        expect_bytes(out.data, out.size, "ffffffff", "NULL");
    }
    for (int format = 0; format < 2; format++) {
        cr_assert_eq(nxi_pg_get_value(&arena, NXI_PG_INT4, (nxi_pg_format)format, NULL, 0, &value, &error), NX_OK);
        cr_expect_eq(value.type, NX_TYPE_null);
    }
}

/* -------------------------------------------------------------------------- conversions out */

static void expect_put(nx_value value, nxi_pg_oid as, const char *hex)
{
    nxi_buf_clear(&out);
    cr_assert_eq(nxi_pg_put_value(&out, &value, as, NULL, &error), NX_OK, "%s", error.message);
    expect_bytes(out.data + 4, out.size - 4, hex, hex);
}

static void expect_refusal(nx_value value, nxi_pg_oid as, nx_status status)
{
    nxi_buf_clear(&out);
    nxi_buf_puts(&out, "before");
    nxi_error_reset(&error);
    cr_expect_eq(nxi_pg_put_value(&out, &value, as, NULL, &error), status, "type %d as %u: %s", (int)value.type, (unsigned)as,
                 error.message);
    cr_expect_eq(error.status, status);
    cr_expect_neq(error.message[0], '\0');
    cr_expect_eq(out.size, 6U, "nothing is left behind");
    cr_expect_not(out.failed);
}

Test(pg_codec, what_loses_nothing_is_converted)
{
    nx_ulid ulid = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };

    expect_put(nx_value_i64(32767), NXI_PG_INT2, "7fff");
    expect_put(nx_value_i64(-1), NXI_PG_INT4, "ffffffff");
    expect_put(typed(NX_TYPE_i16, nx_value_i64(5)), NXI_PG_INT8, "0000000000000005");
    expect_put(nx_value_i64(3), NXI_PG_FLOAT8, "4008000000000000");
    expect_put(nx_value_f64(0.1), NXI_PG_FLOAT4, "3dcccccd");
    expect_put(nx_value_f64(7), NXI_PG_INT4, "00000007");
    expect_put(nx_value_i64(-70000), NXI_PG_NUMERIC, "0001 0001 4000 0000 0007");
    expect_put(nx_value_i64(1), NXI_PG_BOOL, "01");
    expect_put(nx_value_str("2000-01-02"), NXI_PG_DATE, "00000001");
    expect_put(nx_value_str("0001-01-01 BC"), NXI_PG_DATE, "fff4da8b");
    expect_put(nx_value_str("12"), NXI_PG_INT4, "0000000c");
    expect_put(nx_value_str("1.5"), NXI_PG_NUMERIC, "0002 0000 0000 0001 0001 1388");
    expect_put(nx_value_str("\\x0a"), NXI_PG_BYTEA, "0a");
    expect_put(nx_value_str("[1]"), NXI_PG_JSONB, "015b315d");
    expect_put(nx_value_str("[1.5]"), 1021, "00000001 00000000 000002bc 00000001 00000001 00000004 3fc00000");
    expect_put(nx_value_ulid(ulid), NXI_PG_UUID, "0102030405060708090a0b0c0d0e0f10");
    expect_put(nx_value_ulid(ulid), NXI_PG_TEXT, "30313038314738313836305734304a3247423147364757335247");
}

Test(pg_codec, what_does_not_fit_is_refused)
{
    nx_value nan = nx_value_f64((double)NAN);

    expect_refusal(nx_value_i64(32768), NXI_PG_INT2, NX_ERANGE);
    expect_refusal(typed(NX_TYPE_i16, nx_value_i64(32768)), NXI_PG_INT2, NX_ERANGE);
    expect_refusal(nx_value_i64(INT64_C(1) << 31), NXI_PG_INT4, NX_ERANGE);
    expect_refusal(nx_value_i64(-1), NXI_PG_OID, NX_ERANGE);
    expect_refusal(nx_value_i64((INT64_C(1) << 53) + 1), NXI_PG_FLOAT8, NX_ERANGE);
    expect_refusal(nx_value_i64(2), NXI_PG_BOOL, NX_ERANGE);
    expect_refusal(nx_value_f64(0.5), NXI_PG_INT4, NX_ERANGE);
    expect_refusal(nan, NXI_PG_INT8, NX_ERANGE);
    expect_refusal(nx_value_f64(1e300), NXI_PG_FLOAT4, NX_ERANGE);
    expect_refusal(nx_value_str("x"), NXI_PG_INT4, NX_ETYPE);
    expect_refusal(nx_value_str("Infinity"), NXI_PG_NUMERIC, NX_ETYPE);
    expect_refusal(nx_value_str(""), NXI_PG_NUMERIC, NX_ETYPE);
    expect_refusal(nx_value_str("2000-13-01"), NXI_PG_DATE, NX_ETYPE);
    expect_refusal(nx_value_str("{1}"), 1007, NX_ETYPE);
    expect_refusal(nx_value_boolean(true), NXI_PG_DATE, NX_ETYPE);
    expect_refusal(nx_value_boolean(true), NXI_PG_JSONB, NX_ETYPE);
    expect_refusal(nx_value_date((nx_date){ INT32_MIN + 1 }), NXI_PG_DATE, NX_ERANGE);
    expect_refusal(nx_value_date((nx_date){ -2440589 }), NXI_PG_DATE, NX_ERANGE);
    expect_refusal(nx_value_date((nx_date){ INT32_MAX - 1 }), NXI_PG_DATE, NX_ERANGE);
    expect_refusal(nx_value_time((nx_time){ -1 }), NXI_PG_TIME, NX_ERANGE);
    expect_refusal(nx_value_time((nx_time){ 86400000001 }), NXI_PG_TIME, NX_ERANGE);
    expect_refusal(nx_value_timestamp((nx_timestamp){ INT64_MIN + 1 }), NXI_PG_TIMESTAMP, NX_ERANGE);
    expect_refusal(nx_value_timestamptz((nx_timestamptz){ -210866803200000001 }), NXI_PG_TIMESTAMPTZ, NX_ERANGE);
    expect_refusal(typed(NX_TYPE_enumeration, nx_value_i64(0)), NXI_PG_INFER, NX_ETYPE);
    expect_refusal(typed(NX_TYPE_set, nx_value_i64(0)), NXI_PG_INFER, NX_ETYPE);
    expect_refusal(nx_value_text(nx_strn("a\0b", 3)), NXI_PG_INFER, NX_EENCODING);
    expect_refusal(nx_value_str("\xc0\x80"), NXI_PG_TEXT, NX_EENCODING);
    expect_refusal(nx_value_str("\xff"), NXI_PG_JSONB, NX_EENCODING);
}

/* The sizes are refused before anything is read. */
Test(pg_codec, values_that_are_too_long_are_refused)
{
    nx_value bytes = nx_value_bytes(nx_bytes_of("x", (size_t)NXI_PG_VALUE_BYTES_MAX + 1));
    nx_value vector = nx_value_vector((nx_vector){ &(float){ 0 }, 0x8000000 });

    expect_refusal(bytes, NXI_PG_BYTEA, NX_ELIMIT);
    expect_refusal(nx_value_bytes(nx_bytes_of("x", NXI_PG_VALUE_BYTES_MAX)), NXI_PG_INFER, NX_ELIMIT);
    expect_refusal(nx_value_bytes(nx_bytes_of("x", SIZE_MAX)), NXI_PG_INFER, NX_ELIMIT);
    expect_refusal(vector, 1021, NX_ELIMIT);
    cr_expect_eq(nxi_pg_put_array(&out, &bytes, 0x8000000, NXI_PG_INT4, &error), NX_ELIMIT);
}

Test(pg_codec, labels)
{
    static const char *const labels[] = { "red", "green", NULL };
    nx_value value = { .type = NX_TYPE_enumeration, .enumeration = 1 };

    cr_assert_eq(nxi_pg_put_value(&out, &value, NXI_PG_INFER, labels, &error), NX_OK);
    expect_bytes(out.data, out.size, "00000005 677265656e", "green");
    for (value.enumeration = -1; value.enumeration <= 2; value.enumeration += 3) {
        cr_expect_eq(nxi_pg_put_value(&out, &value, NXI_PG_TEXT, labels, &error), NX_ERANGE);
        cr_expect_eq(out.size, 9U);
    }
}

Test(pg_codec, vectors_as_text)
{
    static const float components[] = { 1, -0.5F, 1e20F };

    nx_value value = nx_value_vector((nx_vector){ components, 3 });
    cr_assert_eq(nxi_pg_put_value(&out, &value, NXI_PG_INFER, NULL, &error), NX_OK);
    cr_expect_eq(out.size, 4 + strlen("[1,-0.5,1e+20]"));
    cr_expect_eq(memcmp(out.data + 4, "[1,-0.5,1e+20]", out.size - 4), 0);
    nxi_buf_clear(&out);
    value.vector.size = 0;
    cr_assert_eq(nxi_pg_put_value(&out, &value, NXI_PG_INFER, NULL, &error), NX_OK);
    expect_bytes(out.data, out.size, "00000002 5b5d", "[]");
    expect_put(value, 1021, "00000000 00000000 000002bc");
}

/* ------------------------------------------------------------------------------ bad bytes */

static void expect_bad(nxi_pg_oid type, const char *hex, nx_status status)
{
    nx_value value;

    nxi_error_reset(&error);
    cr_expect_eq(get_hex(type, hex, &value), status, "%u: %s: %s", (unsigned)type, hex, error.message);
    cr_expect_eq(error.status, status);
}

Test(pg_codec, a_type_of_one_size_has_no_other)
{
    static const struct {
        nxi_pg_oid type;
        size_t size;
    } sizes[] = { { NXI_PG_BOOL, 1 },        { NXI_PG_CHAR, 1 },     { NXI_PG_INT2, 2 },   { NXI_PG_INT4, 4 },
                  { NXI_PG_OID, 4 },         { NXI_PG_INT8, 8 },     { NXI_PG_FLOAT4, 4 }, { NXI_PG_FLOAT8, 8 },
                  { NXI_PG_DATE, 4 },        { NXI_PG_TIME, 8 },     { NXI_PG_UUID, 16 },  { NXI_PG_TIMESTAMP, 8 },
                  { NXI_PG_TIMESTAMPTZ, 8 }, { NXI_PG_INTERVAL, 16 } };

    for (size_t i = 0; i < NXI_COUNT(sizes); i++) {
        for (size_t size = 0; size <= 24; size++) {
            uint8_t *bytes = calloc(1, size == 0 ? 1 : size);
            nx_value value;

            cr_assert_not_null(bytes);
            cr_expect_eq(nxi_pg_get_value(&arena, sizes[i].type, NXI_PG_AS_BINARY, bytes, size, &value, &error),
                         size == sizes[i].size ? NX_OK : NX_EPROTOCOL, "%zu bytes of %u", size, (unsigned)sizes[i].type);
            free(bytes);
        }
    }
}

Test(pg_codec, bytes_that_are_no_value)
{
    expect_bad(NXI_PG_BOOL, "02", NX_EPROTOCOL);
    expect_bad(NXI_PG_JSONB, "", NX_EPROTOCOL);
    expect_bad(NXI_PG_JSONB, "02 5b5d", NX_EPROTOCOL);
    expect_bad(NXI_PG_TIME, "ffffffffffffffff", NX_ERANGE);
    expect_bad(NXI_PG_TIME, "000000141dd76001", NX_ERANGE);
    expect_bad(NXI_PG_DATE, "7ffffffe", NX_ERANGE);
    expect_bad(NXI_PG_DATE, "7fffd532", NX_ERANGE); /* would be our infinity */
    expect_bad(NXI_PG_TIMESTAMP, "7ffffffffffffffe", NX_ERANGE);
    expect_bad(NXI_PG_TIMESTAMPTZ, "7ffca2fec4c81fff", NX_ERANGE);
    expect_bad(NXI_PG_NUMERIC, "0000 0000 d000 0000", NX_ERANGE);
    expect_bad(NXI_PG_NUMERIC, "0000 0000 f000 0000", NX_ERANGE);
    expect_bad(NXI_PG_NUMERIC, "0000 0000 8000 0000", NX_EPROTOCOL);      /* no such sign */
    expect_bad(NXI_PG_NUMERIC, "0000 0000 0000 4000", NX_EPROTOCOL);      /* scale */
    expect_bad(NXI_PG_NUMERIC, "0001 0000 0000 0000 2710", NX_EPROTOCOL); /* digit */
    expect_bad(NXI_PG_NUMERIC, "0002 0000 0000 0000 0001", NX_EPROTOCOL);
    expect_bad(NXI_PG_NUMERIC, "0000 0000 0000 0000 0001", NX_EPROTOCOL);
    expect_bad(NXI_PG_NUMERIC, "ffff 0000 0000 0000 0001", NX_EPROTOCOL);
}

Test(pg_codec, texts_that_are_no_value)
{
    static const struct {
        nxi_pg_oid type;
        const char *text;
        nx_status status;
    } bad[] = {
        { NXI_PG_BOOL, "maybe", NX_ETYPE },
        { NXI_PG_BOOL, "", NX_ETYPE },
        { NXI_PG_INT4, "", NX_ETYPE },
        { NXI_PG_INT4, "1x", NX_ETYPE },
        { NXI_PG_INT2, "32768", NX_ERANGE },
        { NXI_PG_INT8, "9223372036854775808", NX_ERANGE },
        { NXI_PG_FLOAT8, "1e999", NX_ERANGE },
        { NXI_PG_FLOAT8, "", NX_ETYPE },
        { NXI_PG_BYTEA, "\\x0", NX_ETYPE },
        { NXI_PG_BYTEA, "abc", NX_ETYPE },
        { NXI_PG_DATE, "01/02/2000", NX_ETYPE },
        { NXI_PG_DATE, "0000-01-01 BC", NX_ETYPE },
        { NXI_PG_DATE, " BC", NX_ETYPE },
        { NXI_PG_DATE, "99999999999-01-01 BC", NX_ERANGE },
        { NXI_PG_TIMESTAMP, "2000-01-01 00:00:00+00", NX_ETYPE },
        { NXI_PG_TIMESTAMP, "294276-12-31 00:00:00", NX_ERANGE },
        { NXI_PG_INTERVAL, "1 day", NX_ETYPE },
        { NXI_PG_UUID, "0011", NX_ETYPE },
        { NXI_PG_NUMERIC, "Infinity", NX_ERANGE },
        { NXI_PG_NUMERIC, "-infinity", NX_ERANGE },
        { NXI_PG_NUMERIC, "1e5", NX_ETYPE },
    };
    for (size_t i = 0; i < NXI_COUNT(bad); i++) {
        nx_value value;
        cr_expect_eq(get_text(bad[i].type, bad[i].text, &value), bad[i].status, "\"%s\": %s", bad[i].text, error.message);
    }
}

Test(pg_codec, what_is_not_known_comes_as_text_or_bytes)
{
    nx_value value;

    cr_assert_eq(get_text(70000, "[1,2]", &value), NX_OK);
    cr_expect(value.type == NX_TYPE_text && strcmp(value.text.data, "[1,2]") == 0);
    cr_assert_eq(get_text(NXI_PG_TIMETZ, "12:00:00+02", &value), NX_OK);
    cr_expect(value.type == NX_TYPE_text && strcmp(value.text.data, "12:00:00+02") == 0);
    cr_assert_eq(get_hex(70000, "0001", &value), NX_OK);
    cr_expect(value.type == NX_TYPE_bytes && value.bytes.size == 2);
    cr_assert_eq(get_hex(NXI_PG_CHAR, "00", &value), NX_OK);
    cr_expect(value.type == NX_TYPE_text && value.text.size == 0);
}

/* ------------------------------------------------------------------------------- numerics */

static void expect_decimal(const char *text, size_t size)
{
    nx_value value = nx_value_text(nx_strn(text, size)), back;
    uint8_t *bytes;
    size_t length;

    nxi_buf_clear(&out);
    cr_assert_eq(nxi_pg_put_value(&out, &value, NXI_PG_NUMERIC, NULL, &error), NX_OK, "%s", error.message);
    length = out.size - 4;
    bytes = malloc(length);
    cr_assert_not_null(bytes);
    memcpy(bytes, out.data + 4, length);
    cr_assert_eq(nxi_pg_get_value(&arena, NXI_PG_NUMERIC, NXI_PG_AS_BINARY, bytes, length, &back, &error), NX_OK);
    cr_expect_eq(back.text.size, size, "%.*s became %.*s", (int)nxi_min_size(size, 99), text, 99, back.text.data);
    cr_expect_eq(memcmp(back.text.data, text, size), 0);
    for (size_t cut = 0; cut < nxi_min_size(length, 64); cut++) {
        uint8_t *part = malloc(cut == 0 ? 1 : cut);
        cr_assert_not_null(part);
        memcpy(part, bytes, cut);
        cr_expect_eq(nxi_pg_get_value(&arena, NXI_PG_NUMERIC, NXI_PG_AS_BINARY, part, cut, &back, &error), NX_EPROTOCOL);
        free(part);
    }
    free(bytes);
    nxi_arena_reset(&arena);
}

/* Half of the digits are zeros. */
static char next_digit(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return (char)('0' + *seed / 65536 % 10 * (*seed / 4194304 % 2));
}

/* That many digits before and behind the point; negative when `seed` is odd. */
static char *make_decimal(size_t whole, size_t fraction, unsigned seed, size_t *ret_size)
{
    char *text = malloc(whole + fraction + 3), *p = text;

    cr_assert_not_null(text);
    if (seed % 2 == 1)
        *p++ = '-';
    if (whole == 0)
        *p++ = '0';
    for (size_t i = 0; i < whole; i++)
        *p++ = i == 0 ? '7' : next_digit(&seed);
    if (fraction != 0)
        *p++ = '.';
    for (size_t i = 0; i < fraction; i++)
        *p++ = i + 1 == fraction ? '3' : next_digit(&seed);
    *ret_size = (size_t)(p - text);
    return text;
}

Test(pg_codec, numerics_of_all_sizes_come_back)
{
    for (size_t whole = 0; whole < 24; whole++) {
        for (size_t fraction = 0; fraction < 24; fraction++) {
            for (unsigned seed = 1; seed < 5; seed++) {
                size_t size;
                char *text = make_decimal(whole, fraction, seed + (unsigned)(whole * 31 + fraction), &size);
                if (whole + fraction != 0)
                    expect_decimal(text, size);
                free(text);
            }
        }
    }
}

Test(pg_codec, numerics_at_the_limit)
{
    static const struct {
        size_t whole, fraction;
    } sizes[] = { { 131072, 0 }, { 131072, 16383 }, { 0, 16383 }, { 131071, 16382 } };

    for (size_t i = 0; i < NXI_COUNT(sizes); i++) {
        size_t size;
        char *text = make_decimal(sizes[i].whole, sizes[i].fraction, (unsigned)i, &size);
        expect_decimal(text, size);
        free(text);
    }
}

Test(pg_codec, numerics_beyond_the_limit)
{
    static const struct {
        size_t whole, fraction;
    } sizes[] = { { 131073, 0 }, { 1, 16384 } };

    for (size_t i = 0; i < NXI_COUNT(sizes); i++) {
        size_t size;
        char *text = make_decimal(sizes[i].whole, sizes[i].fraction, (unsigned)i, &size);
        expect_refusal(nx_value_text(nx_strn(text, size)), NXI_PG_NUMERIC, NX_ERANGE);
        free(text);
    }
}

/* Zeros that lead or trail do not count; the sign of zero and a plus are not kept. */
Test(pg_codec, numerics_written_unusually)
{
    static const struct {
        const char *given, *back;
    } cases[] = { { "+1", "1" },       { "007", "7" },   { ".5", "0.5" },     { "5.", "5" },        { "-0", "0" },
                  { "-0.00", "0.00" }, { "nan", "NaN" }, { "00.10", "0.10" }, { "-000012.", "-12" } };
    char *zeros = malloc(20000);
    nx_value value, back;

    for (size_t i = 0; i < NXI_COUNT(cases); i++) {
        nxi_buf_clear(&out);
        value = nx_value_str(cases[i].given);
        cr_assert_eq(nxi_pg_put_value(&out, &value, NXI_PG_NUMERIC, NULL, &error), NX_OK);
        cr_assert_eq(nxi_pg_get_value(&arena, NXI_PG_NUMERIC, NXI_PG_AS_BINARY, (const uint8_t *)out.data + 4, out.size - 4,
                                      &back, &error),
                     NX_OK);
        cr_expect_str_eq(back.text.data, cases[i].back);
    }
    cr_assert_not_null(zeros);
    memset(zeros, '0', 20000);
    zeros[1] = '.';
    zeros[5] = '1';
    value = nx_value_text(nx_strn(zeros, 20000));
    nxi_buf_clear(&out);
    cr_assert_eq(nxi_pg_put_value(&out, &value, NXI_PG_NUMERIC, NULL, &error), NX_OK);
    expect_bytes(out.data + 4, out.size - 4, "0001 ffff 0000 3fff 0001", "zeros behind the limit");
    free(zeros);
}

/* What the server never sends, but is a number: zeros in front, digits behind the scale, a large weight of nothing. */
Test(pg_codec, numerics_that_are_not_normal)
{
    nx_value value;

    cr_assert_eq(get_hex(NXI_PG_NUMERIC, "0003 0002 0000 0000 0000 0000 0005", &value), NX_OK);
    cr_expect_str_eq(value.text.data, "5");
    cr_assert_eq(get_hex(NXI_PG_NUMERIC, "0002 0000 0000 0001 0005 1234", &value), NX_OK);
    cr_expect_str_eq(value.text.data, "5.4");
    cr_assert_eq(get_hex(NXI_PG_NUMERIC, "0001 7fff 4000 0000 0000", &value), NX_OK);
    cr_expect_str_eq(value.text.data, "0");
    cr_assert_eq(get_hex(NXI_PG_NUMERIC, "0001 8000 0000 3fff 270f", &value), NX_OK);
    cr_expect_eq(value.text.size, 2 + 16383U);
    cr_assert_eq(get_hex(NXI_PG_NUMERIC, "0001 7fff 0000 3fff 270f", &value), NX_OK);
    cr_expect_eq(value.text.size, 131072 + 1 + 16383U);
}
