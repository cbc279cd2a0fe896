/*
 * test_pg_arrays - arrays in PostgreSQL's binary format: written, read as array_out's text and as vectors, cut and forged.
 */
#include "drivers/postgres/codec_parts.h"

#include <criterion/criterion.h>
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

TestSuite(pg_arrays, .init = open_all, .fini = close_all);

static void put32(uint32_t word)
{
    void *at = nxi_buf_grow(&out, 4);

    cr_assert_not_null(at);
    nxi_pg_store32(at, word);
}

/* The head of an array of one dimension into an empty `out`. */
static void begin_array(nxi_pg_oid element, uint32_t count)
{
    nxi_buf_clear(&out);
    put32(1);
    put32(0);
    put32(element);
    put32(count);
    put32(1);
}

static void put_element(const char *text)
{
    put32((uint32_t)strlen(text));
    nxi_buf_puts(&out, text);
}

/* `out` in a block of exactly `size` bytes. */
static nx_status get_cut(nxi_pg_oid type, size_t size, nx_value *ret_value)
{
    uint8_t *bytes = malloc(size == 0 ? 1 : size);
    nx_status status;

    cr_assert_not_null(bytes);
    memcpy(bytes, out.data, size);
    status = nxi_pg_get_value(&arena, type, NXI_PG_AS_BINARY, bytes, size, ret_value, &error);
    free(bytes);
    return status;
}

/* Also: no part of it is an array, and none with a byte behind it. */
static void expect_text(nxi_pg_oid type, const char *text)
{
    nx_value value;

    cr_assert_eq(get_cut(type, out.size, &value), NX_OK, "%s: %s", text, error.message);
    cr_expect_eq(value.type, NX_TYPE_text);
    cr_expect_str_eq(value.text.data, text);
    cr_expect_eq(value.text.size, strlen(text));
    for (size_t cut = 0; cut < out.size; cut++)
        cr_expect_eq(get_cut(type, cut, &value), NX_EPROTOCOL, "%s cut at %zu", text, cut);
    nxi_buf_putc(&out, 'x');
    cr_expect_eq(get_cut(type, out.size, &value), NX_EPROTOCOL, "%s and a byte", text);
}

static void expect_array(const nx_value *values, size_t count, nxi_pg_oid element, const char *text)
{
    nxi_buf_clear(&out);
    cr_assert_eq(nxi_pg_put_array(&out, values, count, element, &error), NX_OK, "%s: %s", text, error.message);
    cr_assert_eq(nxi_pg_load32((const uint8_t *)out.data), out.size - 4);
    nxi_buf_consume(&out, 4);
    expect_text(nxi_pg_array_of(element), text);
}

Test(pg_arrays, bytes_of_an_array)
{
    static const uint8_t expected[] = { 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0,   1,   0,   0,   0, 23, 0, 0, 0,   3,   0,   0,
                                        0, 1, 0, 0,  0, 4, 0, 0, 0, 7, 255, 255, 255, 255, 0, 0,  0, 4, 255, 255, 255, 254 };
    nx_value values[] = { nx_value_i64(7), nx_null(), nx_value_i64(-2) };

    cr_assert_eq(nxi_pg_put_array(&out, values, 3, NXI_PG_INT4, &error), NX_OK);
    cr_expect_eq(out.size, sizeof(expected));
    cr_expect_eq(memcmp(out.data, expected, sizeof(expected)), 0);
}

Test(pg_arrays, text_of_every_type)
{
    nx_value texts[] = {
        nx_value_str("a"),     nx_value_str(""),    nx_value_str("NULL"), nx_value_str("nuLL"),  nx_value_str("b c"),
        nx_value_str("q\"\\"), nx_value_str("{,}"), nx_value_str("\t"),   nx_value_str("null0"), nx_null()
    };
    nx_value integers[] = { nx_value_i64(1), nx_null(), nx_value_i64(-3) };
    nx_value booleans[] = { nx_value_boolean(true), nx_value_boolean(false) };
    nx_value doubles[] = { nx_value_f64(0.1), nx_value_f64(-1e20) };
    nx_value bytes[] = { nx_value_bytes(nx_bytes_of("\0\xff", 2)), nx_value_bytes(nx_bytes_of("", 0)) };
    nx_value dates[] = { nx_value_date((nx_date){ 0 }), nx_value_str("0044-03-15 BC"), nx_value_str("infinity") };
    nx_value instants[] = { nx_value_timestamptz((nx_timestamptz){ 500000 }), nx_value_str("infinity") };
    nx_value intervals[] = { nx_value_interval((nx_interval){ .days = 1 }) };
    nx_value decimals[] = { nx_value_str("1.50"), nx_value_str("NaN") };
    nx_value documents[] = { nx_value_str("{\"a\": 1}") };

    expect_array(NULL, 0, NXI_PG_INT4, "{}");
    expect_array(texts, NXI_COUNT(texts), NXI_PG_TEXT,
                 "{a,\"\",\"NULL\",\"nuLL\",\"b c\",\"q\\\"\\\\\",\"{,}\",\"\t\",null0,NULL}");
    expect_array(integers, 3, NXI_PG_INT2, "{1,NULL,-3}");
    expect_array(integers, 3, NXI_PG_INT8, "{1,NULL,-3}");
    expect_array(booleans, 2, NXI_PG_BOOL, "{t,f}");
    expect_array(doubles, 2, NXI_PG_FLOAT8, "{0.1,-1e+20}");
    expect_array(doubles, 2, NXI_PG_FLOAT4, "{0.1,-1e+20}");
    expect_array(bytes, 2, NXI_PG_BYTEA, "{\"\\\\x00ff\",\"\\\\x\"}");
    expect_array(dates, 3, NXI_PG_DATE, "{1970-01-01,\"0044-03-15 BC\",infinity}");
    expect_array(instants, 2, NXI_PG_TIMESTAMPTZ, "{\"1970-01-01 00:00:00.5+00\",infinity}");
    expect_array(intervals, 1, NXI_PG_INTERVAL, "{P1D}");
    expect_array(decimals, 2, NXI_PG_NUMERIC, "{1.50,NaN}");
    expect_array(documents, 1, NXI_PG_JSONB, "{\"{\\\"a\\\": 1}\"}");
}

Test(pg_arrays, a_bad_element_leaves_nothing)
{
    nx_value values[] = { nx_value_i64(1), nx_value_i64(40000) };

    nxi_buf_puts(&out, "before");
    cr_expect_eq(nxi_pg_put_array(&out, values, 2, NXI_PG_INT2, &error), NX_ERANGE);
    cr_expect_eq(out.size, 6U);
}

Test(pg_arrays, elements_to_infer_are_texts)
{
    nx_value value = nx_value_str("x");

    cr_assert_eq(nxi_pg_put_array(&out, &value, 1, NXI_PG_INFER, &error), NX_OK);
    cr_expect_eq(nxi_pg_load32((const uint8_t *)out.data + 12), (uint32_t)NXI_PG_TEXT);
}

/* -------------------------------------------------------------------------- dimensions */

Test(pg_arrays, dimensions_and_lower_bounds)
{
    static const uint32_t head[] = { 2, 1, NXI_PG_INT4, 2, 0xffffffff, 2, 1 };

    for (size_t i = 0; i < NXI_COUNT(head); i++)
        put32(head[i]);
    for (uint32_t i = 1; i <= 4; i++) {
        put32(i == 3 ? UINT32_MAX : 4);
        if (i != 3)
            put32(i);
    }
    expect_text(1007, "[-1:0][1:2]={{1,2},{NULL,4}}");
}

Test(pg_arrays, six_dimensions_and_no_more)
{
    nx_value value;

    for (uint32_t dimensions = 6; dimensions <= 7; dimensions++) {
        nxi_buf_clear(&out);
        put32(dimensions);
        put32(0);
        put32(NXI_PG_INT4);
        for (uint32_t i = 0; i < dimensions; i++) {
            put32(1);
            put32(1);
        }
        put32(4);
        put32(9);
        cr_expect_eq(get_cut(1007, out.size, &value), dimensions == 6 ? NX_OK : NX_EPROTOCOL);
        if (dimensions == 6)
            cr_expect_str_eq(value.text.data, "{{{{{{9}}}}}}");
    }
}

Test(pg_arrays, a_dimension_of_nothing)
{
    begin_array(NXI_PG_INT4, 0);
    expect_text(1007, "{}");
}

/* Numbers of elements that the bytes cannot hold cost nothing. */
Test(pg_arrays, forged_heads)
{
    static const uint32_t lengths[] = { 2, 0x7fffffff, 0x80000000, 0xffffffff };
    nx_vector vector;
    nx_value value;

    begin_array(NXI_PG_FLOAT4, 3);
    put32(4);
    put32(1);
    cr_expect_eq(nxi_pg_vector_get(&arena, NXI_PG_FLOAT4_ARRAY, (const uint8_t *)out.data, out.size, &vector, &error),
                 NX_EPROTOCOL);
    cr_expect_eq(arena.bytes, 0U);
    for (size_t i = 0; i < NXI_COUNT(lengths); i++) {
        begin_array(NXI_PG_INT4, lengths[i]);
        put32(4);
        put32(1);
        cr_expect_eq(get_cut(1007, out.size, &value), NX_EPROTOCOL);
        cr_expect_eq(get_cut(1021, out.size, &value), NX_EPROTOCOL);
    }
    begin_array(NXI_PG_INT4, 1);
    put_element("1234");
    nxi_pg_store32(out.data + 16, 0x7fffffff); /* lower bound: the upper one is no int32 */
    cr_expect_eq(get_cut(1007, out.size, &value), NX_EPROTOCOL);
    nxi_pg_store32(out.data + 16, 1);
    nxi_pg_store32(out.data + 4, 2); /* flags */
    cr_expect_eq(get_cut(1007, out.size, &value), NX_EPROTOCOL);
    nxi_pg_store32(out.data + 4, 0);
    nxi_pg_store32(out.data + 8, NXI_PG_TEXT); /* not the element of that array */
    cr_expect_eq(get_cut(1007, out.size, &value), NX_EPROTOCOL);
    nxi_pg_store32(out.data + 8, NXI_PG_INT4);
    nxi_pg_store32(out.data + 20, 0xfffffffe); /* a length of -2 */
    cr_expect_eq(get_cut(1007, out.size, &value), NX_EPROTOCOL);
    nxi_pg_store32(out.data + 20, 3); /* int4 has 4 bytes */
    cr_expect_eq(get_cut(1007, out.size, &value), NX_EPROTOCOL);
    nxi_pg_store32(out.data + 20, 4);
    cr_expect_eq(get_cut(1007, out.size, &value), NX_OK);
}

Test(pg_arrays, in_text_format_as_it_is)
{
    nx_value value;

    cr_assert_eq(nxi_pg_get_value(&arena, 1007, NXI_PG_AS_TEXT, (const uint8_t *)"{1,2}", 5, &value, &error), NX_OK);
    cr_expect_str_eq(value.text.data, "{1,2}");
}

/* ----------------------------------------------------------------------------- vectors */

Test(pg_arrays, vectors_come_back)
{
    static const float components[] = { 1.5F, -2, 0 };
    nx_value value = nx_value_vector((nx_vector){ components, 3 });
    nx_vector vector;

    cr_assert_eq(nxi_pg_put_value(&out, &value, NXI_PG_FLOAT4_ARRAY, NULL, &error), NX_OK);
    cr_assert_eq(nxi_pg_vector_get(&arena, NXI_PG_FLOAT4_ARRAY, (const uint8_t *)out.data + 4, out.size - 4, &vector, &error),
                 NX_OK);
    cr_expect_eq(vector.size, 3U);
    cr_expect_eq(memcmp(vector.data, components, sizeof(components)), 0);
    for (size_t cut = 0; cut < out.size - 4; cut++) {
        uint8_t *bytes = malloc(cut == 0 ? 1 : cut);
        cr_assert_not_null(bytes);
        memcpy(bytes, out.data + 4, cut);
        cr_expect_eq(nxi_pg_vector_get(&arena, NXI_PG_FLOAT4_ARRAY, bytes, cut, &vector, &error), NX_EPROTOCOL, "cut at %zu",
                     cut);
        free(bytes);
    }
}

Test(pg_arrays, the_extensions_vector)
{
    static const uint8_t bytes[] = { 0, 2, 0, 0, 0x3f, 0xc0, 0, 0, 0xc0, 0, 0, 0 };
    uint8_t forged[sizeof(bytes)];
    nx_vector vector;

    cr_assert_eq(nxi_pg_vector_get(&arena, 70000, bytes, sizeof(bytes), &vector, &error), NX_OK);
    cr_expect(vector.size == 2 && vector.data[0] == 1.5F && vector.data[1] == -2.0F);
    for (size_t cut = 0; cut < sizeof(bytes); cut++)
        cr_expect_eq(nxi_pg_vector_get(&arena, 70000, bytes, cut, &vector, &error), NX_EPROTOCOL);
    memcpy(forged, bytes, sizeof(bytes));
    forged[3] = 1;
    cr_expect_eq(nxi_pg_vector_get(&arena, 70000, forged, sizeof(forged), &vector, &error), NX_EPROTOCOL);
}

Test(pg_arrays, arrays_that_are_no_vector)
{
    nx_value values[] = { nx_value_f64(1), nx_null() };
    static const uint32_t square[] = { 2, 0, NXI_PG_FLOAT4, 1, 1, 1, 1, 4, 0 };
    nx_vector vector;

    cr_assert_eq(nxi_pg_put_array(&out, values, 2, NXI_PG_FLOAT4, &error), NX_OK);
    cr_expect_eq(nxi_pg_vector_get(&arena, NXI_PG_FLOAT4_ARRAY, (const uint8_t *)out.data + 4, out.size - 4, &vector, &error),
                 NX_ETYPE);
    nxi_buf_clear(&out);
    for (size_t i = 0; i < NXI_COUNT(square); i++)
        put32(square[i]);
    cr_expect_eq(nxi_pg_vector_get(&arena, NXI_PG_FLOAT4_ARRAY, (const uint8_t *)out.data, out.size, &vector, &error), NX_ETYPE);
}

/* ------------------------------------------------------------------------------ memory */

/* Each allocation fails once: an error or a buffer that says so, and nothing is lost (the suite's end asserts it). */
Test(pg_arrays, without_memory)
{
    static char text[9000];
    nx_value values[] = { { .type = NX_TYPE_text, .text = { text, sizeof(text) } },
                          { .type = NX_TYPE_decimal, .text = { "1.5", 3 } } };
    bool done = false;

    memset(text, '"', sizeof(text));
    for (uint64_t nth = 1; !done; nth++) {
        nx_value value = { .type = NX_TYPE_null };
        nx_status status;

        nxi_buf_fini(&out);
        nxi_arena_reset(&arena);
        nxi_memory_fail(nth, false);
        status = nxi_pg_put_array(&out, values, 2, NXI_PG_TEXT, &error);
        cr_assert_eq(status, NX_OK);
        if (!out.failed) {
            status =
                nxi_pg_get_value(&arena, 1009, NXI_PG_AS_BINARY, (const uint8_t *)out.data + 4, out.size - 4, &value, &error);
            cr_assert(status == NX_OK || (status == NX_ENOMEM && error.status == NX_ENOMEM));
            done = status == NX_OK;
        }
        nxi_memory_fail(0, false);
        cr_assert_lt(nth, 1000U);
        if (done)
            cr_expect_eq(value.text.size, sizeof(text) * 2 + strlen("{\"\",1.5}"));
    }
}
