/*
 * test_values - equality, order, hashes, copies and conversions of values; UTF-8; decimals; vectors.
 */
#include "engine/map.h"
#include "engine/types.h"
#include "engine/values.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static nxi_memory *memory;
static nxi_arena arena;

static void open_arena(void)
{
    memory = nxi_memory_new(0);
    cr_assert_not_null(memory);
    nxi_arena_init(&arena, memory);
}

static void close_arena(void)
{
    nxi_arena_fini(&arena);
    nxi_memory_free(memory);
}

TestSuite(values, .init = open_arena, .fini = close_arena);

static uint64_t random_state = 0x7e57;

static uint64_t random_u64(void)
{
    return nxi_hash_u64(random_state += UINT64_C(0x9e3779b97f4a7c15));
}

static nx_value typed(nx_type type, nx_value value)
{
    value.type = type;
    return value;
}

/* ------------------------------------------------------------------------------- UTF-8 */

/* The rules written plainly: decode, then look at the number. */
static bool naive_is_valid(const char *data, size_t size, size_t *ret_bad)
{
    const unsigned char *p = (const unsigned char *)data;

    for (size_t i = 0; i < size;) {
        size_t length = p[i] < 0x80 ? 1 : p[i] >> 5 == 6 ? 2 : p[i] >> 4 == 14 ? 3 : p[i] >> 3 == 30 ? 4 : 0;
        static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
        uint32_t code = length == 1 ? p[i] : length == 0 ? 0 : p[i] & (0x7fu >> length);

        *ret_bad = i;
        if (length == 0 || size - i < length)
            return false;
        for (size_t k = 1; k < length; k++) {
            if (p[i + k] >> 6 != 2)
                return false;
            code = code << 6 | (p[i + k] & 63);
        }
        if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        i += length;
    }
    return true;
}

static void check_utf8(const char *data, size_t size)
{
    char *exact = malloc(size == 0 ? 1 : size); /* AddressSanitizer watches its ends */
    size_t bad = SIZE_MAX, naive_bad = 0;
    bool valid;

    memcpy(exact, data, size);
    valid = nxi_text_is_valid(exact, size, &bad);
    cr_assert_eq(valid, naive_is_valid(exact, size, &naive_bad));
    cr_assert_eq(valid, nxi_text_is_valid(exact, size, NULL));
    if (!valid)
        cr_assert_eq(bad, naive_bad);
    free(exact);
}

Test(values, every_short_utf8_sequence)
{
    /* All sequences of 1 and 2 bytes, all of 3 and 4 with interesting trailing bytes, alone and at every place near a block's
     * end. */
    static const unsigned char trail[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xf4, 0xff};
    char text[40];

    for (unsigned lead = 0; lead < 256; lead++) {
        for (unsigned second = 0; second < 256; second++) {
            for (size_t place = 0; place < 4; place++) {
                size_t start = place == 0 ? 0 : 12 + place;

                memset(text, 'a', sizeof(text));
                text[start] = (char)lead;
                text[start + 1] = (char)second;
                check_utf8(text, start + 1);
                check_utf8(text, start + 2);
                check_utf8(text, sizeof(text));
            }
            for (size_t t = 0; t < NXI_COUNT(trail); t++) {
                for (size_t u = 0; u < NXI_COUNT(trail); u++) {
                    memset(text, 'a', sizeof(text));
                    memcpy(text + 14, (const unsigned char[]){(unsigned char)lead, (unsigned char)second, trail[t], trail[u]}, 4);
                    check_utf8(text + 14, 3);
                    check_utf8(text, 18);
                    check_utf8(text, 32);
                }
            }
        }
    }
}

Test(values, random_texts_agree_with_the_plain_rules)
{
    static const char *const pieces[] = {
        "a", "abcdefghijklmnop", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf", "\x7f"};
    char text[256];

    for (int round = 0; round < 20000; round++) {
        size_t size = 0, characters = 0;

        while (size < 200 && random_u64() % 12 != 0) {
            const char *piece = pieces[random_u64() % NXI_COUNT(pieces)];

            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
            characters += (unsigned char)piece[0] < 0x80 ? strlen(piece) : 1;
        }
        cr_assert(nxi_text_is_valid(text, size, NULL));
        cr_assert_eq(nxi_text_length(text, size), characters);
        check_utf8(text, size);
        if (size != 0) {
            text[random_u64() % size] = (char)random_u64();
            check_utf8(text, size);
        }
    }
}

Test(values, zero_bytes_are_refused_wherever_they_are)
{
    char text[100];
    size_t bad;

    for (size_t size = 1; size <= sizeof(text); size++) {
        for (size_t at = 0; at < size; at++) {
            memset(text, 'x', sizeof(text));
            text[at] = '\0';
            cr_assert_not(nxi_text_is_valid(text, size, &bad));
            cr_assert_eq(bad, at);
        }
    }
    cr_assert(nxi_text_is_valid("", 0, NULL));
}

/* ---------------------------------------------------------------------- equality, order */

Test(values, equality)
{
    nx_value text = NX_VALUE("abc"), other = NX_VALUE("abd"), empty = NX_VALUE("");
    nx_value nan = nx_value_f64((double)NAN), minus_nan = nx_value_f64(-(double)NAN);
    nx_value null = nx_null(), one = nx_value_i64(1), small = typed(NX_TYPE_i16, nx_value_i64(1));
    nx_value zero = nx_value_f64(0.0), minus_zero = nx_value_f64(-0.0);
    nx_value longtext = typed(NX_TYPE_longtext, text), real = nx_value_f64(1), no_text = {.type = NX_TYPE_text};

    cr_assert(nxi_value_equal(&text, &longtext));
    cr_assert_not(nxi_value_equal(&text, &other));
    cr_assert_not(nxi_value_equal(&text, &empty));
    cr_assert_not(nxi_value_equal(&empty, &no_text));
    cr_assert_not(nxi_value_equal(&empty, &null));
    cr_assert(nxi_value_equal(&null, &null));
    cr_assert(nxi_value_equal(&nan, &minus_nan));
    cr_assert_not(nxi_value_equal(&zero, &minus_zero));
    cr_assert(nxi_value_equal(&one, &small));
    cr_assert_not(nxi_value_equal(&one, &real));
    cr_assert_eq(nxi_value_hash(&one, 0), nxi_value_hash(&small, 0));
    cr_assert_eq(nxi_value_hash(&one, 0), nxi_hash_u64(1));
    cr_assert_eq(nxi_value_hash(&text, 7), nxi_value_hash(&longtext, 7));
    cr_assert_neq(nxi_value_hash(&text, 7), nxi_value_hash(&text, 8));
    cr_assert_neq(nxi_value_hash(&text, 7), nxi_value_hash(&other, 7));
    cr_assert_eq(nxi_value_hash(&nan, 0), nxi_value_hash(&minus_nan, 0));
}

static void check_less(nx_value less, nx_value greater)
{
    cr_assert_eq(nxi_value_compare(&less, &greater), -1);
    cr_assert_eq(nxi_value_compare(&greater, &less), 1);
    cr_assert_eq(nxi_value_compare(&less, &less), 0);
    cr_assert_eq(nxi_value_compare(&greater, &greater), 0);
}

Test(values, order)
{
    check_less(nx_value_i64(INT64_MIN), nx_value_i64(INT64_MAX));
    check_less(nx_value_f64(1.0), nx_value_f64((double)INFINITY));
    check_less(nx_value_f64((double)INFINITY), nx_value_f64((double)NAN));
    check_less(NX_VALUE("ab"), NX_VALUE("abc"));
    check_less(NX_VALUE("abc"), NX_VALUE("abd"));
    check_less(NX_VALUE("z"), NX_VALUE("\xc3\xa9"));
    check_less(nx_value_decimal(nx_dec("9.99")), nx_value_decimal(nx_dec("10")));
    check_less(nx_value_date((nx_date){-1}), nx_value_date((nx_date){1}));
    check_less(nx_value_time((nx_time){1}), nx_value_time((nx_time){2}));
    check_less(nx_value_timestamp((nx_timestamp){INT64_MIN}), nx_value_timestamp((nx_timestamp){INT64_MAX}));
    check_less(nx_value_interval((nx_interval){0, 29, 0}), nx_value_interval((nx_interval){1, 0, 0}));
    check_less(nx_value_interval((nx_interval){0, 0, INT64_MIN}), nx_value_interval((nx_interval){INT32_MAX, INT32_MAX, 0}));
    check_less(nx_value_uuid((nx_uuid){{1}}), nx_value_uuid((nx_uuid){{2}}));
    check_less(nx_value_boolean(false), nx_value_boolean(true));
    check_less(nx_value_bytes(nx_bytes_of("\x7f", 1)), nx_value_bytes(nx_bytes_of("\x80", 1)));
}

Test(values, copies_are_deep)
{
    static const char large[2 << 20]; /* more than any chunk that is kept for reuse */
    char text[] = "hello";
    float numbers[] = {1, 2};
    nx_value copy;

    cr_assert(nxi_value_copy(&arena, &(nx_value){.type = NX_TYPE_text, .text = {text, 5}}, &copy));
    text[0] = 'j';
    cr_assert_str_eq(copy.text.data, "hello");
    cr_assert(nxi_value_copy(&arena, &(nx_value){.type = NX_TYPE_vector, .vector = {numbers, 2}}, &copy));
    numbers[1] = 9;
    cr_assert(copy.vector.size == 2 && copy.vector.data[1] == 2);
    cr_assert(nxi_value_copy(&arena, &(nx_value){.type = NX_TYPE_bytes, .bytes = {"", 0}}, &copy));
    cr_assert_not_null(copy.bytes.data);
    cr_assert(nxi_value_copy(&arena, &(nx_value){.type = NX_TYPE_text}, &copy));
    cr_assert_null(copy.text.data);
    nxi_memory_fail(1, true);
    cr_assert_not(nxi_value_copy(&arena, &(nx_value){.type = NX_TYPE_text, .text = {large, sizeof(large)}}, &copy));
    nxi_memory_fail(0, false);
}

/* ---------------------------------------------------------------------------- decimals */

Test(values, decimals_are_measured)
{
    static const struct {
        const char *text;
        bool valid;
        size_t whole, fraction;
    } cases[] = {
        {"0", true, 0, 0},     {"-12.50", true, 2, 1}, {"007.100", true, 1, 1}, {".5", true, 0, 1},     {"5.", true, 1, 0},
        {"+1.05", true, 1, 2}, {"NaN", true, 0, 0},    {"-0.000", true, 0, 0},  {"", false, 0, 0},      {".", false, 0, 0},
        {"-", false, 0, 0},    {"+.", false, 0, 0},    {"1e5", false, 0, 0},    {"1.2.3", false, 0, 0}, {" 1", false, 0, 0},
        {"1 ", false, 0, 0},   {"--1", false, 0, 0},   {"-NaN", false, 0, 0},   {"0x10", false, 0, 0},  {"1,5", false, 0, 0},
    };

    for (size_t i = 0; i < NXI_COUNT(cases); i++) {
        size_t whole = 99, fraction = 99;

        cr_assert_eq(nxi_decimal_measure(cases[i].text, strlen(cases[i].text), &whole, &fraction), cases[i].valid, "%s",
                     cases[i].text);
        if (cases[i].valid)
            cr_assert(whole == cases[i].whole && fraction == cases[i].fraction, "%s", cases[i].text);
    }
    cr_assert_not(nxi_decimal_measure(NULL, 0, &(size_t){0}, &(size_t){0}));
}

static int compare_decimals(const char *a, const char *b)
{
    return nxi_decimal_compare(nx_str(a), nx_str(b));
}

Test(values, decimals_are_compared_exactly)
{
    char long_a[2001], long_b[2001];

    cr_assert_eq(compare_decimals("1", "1.000"), 0);
    cr_assert_eq(compare_decimals("-0", "+0.0"), 0);
    cr_assert_eq(compare_decimals("010", "10."), 0);
    cr_assert_eq(compare_decimals("9", "10"), -1);
    cr_assert_eq(compare_decimals("-9", "-10"), 1);
    cr_assert_eq(compare_decimals("-1", "0"), -1);
    cr_assert_eq(compare_decimals("0.1", "0.09"), 1);
    cr_assert_eq(compare_decimals("0.1", "0.10000000000000000000000000001"), -1);
    cr_assert_eq(compare_decimals("NaN", "99999999999999999999"), 1);
    cr_assert_eq(compare_decimals("NaN", "nan"), 0);
    memset(long_a, '7', sizeof(long_a) - 1);
    memset(long_b, '7', sizeof(long_b) - 1);
    long_a[2000] = long_b[2000] = '\0';
    cr_assert_eq(compare_decimals(long_a, long_b), 0);
    long_b[1999] = '8';
    cr_assert_eq(compare_decimals(long_a, long_b), -1);
    long_a[1000] = '.';
    cr_assert_eq(compare_decimals(long_a, long_b), -1);
}

/* Method: decimals of integers with the point moved compare as the integers do. */
Test(values, random_decimals_compare_as_numbers)
{
    for (int i = 0; i < 100000; i++) {
        int a = (int)(random_u64() % 20001) - 10000, b = (int)(random_u64() % 20001) - 10000;
        char x[32], y[32];

        (void)snprintf(x, sizeof(x), "%s%d.%02d", a < 0 ? "-" : "", abs(a) / 100, abs(a) % 100);
        (void)snprintf(y, sizeof(y), "%s%03d.%02d0", b < 0 ? "-" : "+", abs(b) / 100, abs(b) % 100);
        cr_assert_eq(compare_decimals(x, y), (a > b) - (a < b), "%s %s", x, y);
    }
}

/* ------------------------------------------------------------------------- conversions */

static void check_convert(nx_value value, nx_type type, nx_status status, nx_value expected)
{
    static const char *const labels[] = {"draft", "published", NULL};
    nx_value before = value;

    cr_assert_eq(nxi_value_convert(&arena, type, labels, &value), status, "type %s", nx_type_name(type));
    if (status != NX_OK)
        expected = before;
    cr_assert_eq(value.type, expected.type, "type %s", nx_type_name(type));
    cr_assert(nxi_value_equal(&value, &expected), "type %s", nx_type_name(type));
}
#define CONVERTS(value, type, expected) check_convert((value), NX_TYPE_##type, NX_OK, typed(NX_TYPE_##type, (expected)))
#define REFUSES(value, type, status)    check_convert((value), NX_TYPE_##type, (status), nx_null())

Test(values, conversions_of_numbers)
{
    CONVERTS(nx_value_i64(-32768), i16, nx_value_i64(-32768));
    REFUSES(nx_value_i64(32768), i16, NX_ERANGE);
    REFUSES(nx_value_i64(-32769), i16, NX_ERANGE);
    REFUSES(nx_value_i64(INT64_C(2147483648)), i32, NX_ERANGE);
    CONVERTS(nx_value_i64(UINT32_MAX), u32, nx_value_i64(UINT32_MAX));
    REFUSES(nx_value_i64(-1), u32, NX_ERANGE);
    REFUSES(nx_value_i64(INT64_C(4294967296)), u32, NX_ERANGE);
    CONVERTS(nx_value_i64(1), boolean, nx_value_boolean(true));
    REFUSES(nx_value_i64(2), boolean, NX_ERANGE);
    CONVERTS(nx_value_boolean(true), i64, nx_value_i64(1));
    CONVERTS(nx_value_i64(INT64_C(1) << 53), f64, nx_value_f64(9007199254740992.0));
    REFUSES(nx_value_i64((INT64_C(1) << 53) + 1), f64, NX_ERANGE);
    REFUSES(nx_value_i64(INT64_MAX), f64, NX_ERANGE);
    CONVERTS(nx_value_i64(INT64_MIN), f64, nx_value_f64(-0x1p63));
    CONVERTS(nx_value_f64(-0x1p63), i64, nx_value_i64(INT64_MIN));
    REFUSES(nx_value_f64(0x1p63), i64, NX_ERANGE);
    REFUSES(nx_value_f64(1.5), i64, NX_ERANGE);
    REFUSES(nx_value_f64((double)NAN), i64, NX_ERANGE);
    CONVERTS(nx_value_i64(INT64_MIN), decimal, NX_VALUE("-9223372036854775808"));
    CONVERTS(nx_value_f64(9.99), decimal, NX_VALUE("9.99"));
    REFUSES(nx_value_f64(1e300), decimal, NX_ETYPE);
    CONVERTS(nx_value_i64(1), enumeration, ((nx_value){.enumeration = 1}));
    REFUSES(nx_value_i64(2), enumeration, NX_ERANGE);
    REFUSES(nx_value_i64(-1), enumeration, NX_ERANGE);
    REFUSES(nx_value_i64(INT64_C(1) << 40), enumeration, NX_ERANGE);
    REFUSES(nx_value_i64(5), text, NX_ETYPE);
    REFUSES(nx_value_i64(5), date, NX_ETYPE);
    REFUSES(nx_value_i64(5), bytes, NX_ETYPE);
    REFUSES(nx_value_i64(5), key, NX_ETYPE);
}

Test(values, conversions_of_texts)
{
    CONVERTS(NX_VALUE("-42"), i16, nx_value_i64(-42));
    CONVERTS(NX_VALUE("+42"), u32, nx_value_i64(42));
    CONVERTS(NX_VALUE("-9223372036854775808"), i64, nx_value_i64(INT64_MIN));
    REFUSES(NX_VALUE("9223372036854775808"), i64, NX_ERANGE);
    REFUSES(NX_VALUE("-9223372036854775809"), i64, NX_ERANGE);
    REFUSES(NX_VALUE("99999999999999999999999999999"), i64, NX_ERANGE);
    REFUSES(NX_VALUE("40000"), i16, NX_ERANGE);
    REFUSES(NX_VALUE(""), i64, NX_ETYPE);
    REFUSES(NX_VALUE("-"), i64, NX_ETYPE);
    REFUSES(NX_VALUE("1.0"), i64, NX_ETYPE);
    REFUSES(NX_VALUE(" 1"), i64, NX_ETYPE);
    REFUSES(NX_VALUE("0x1"), i64, NX_ETYPE);
    CONVERTS(NX_VALUE("1e3"), f64, nx_value_f64(1000));
    CONVERTS(NX_VALUE("-.5"), f64, nx_value_f64(-0.5));
    CONVERTS(NX_VALUE("-Infinity"), f64, nx_value_f64(-(double)INFINITY));
    CONVERTS(NX_VALUE("nan"), f64, nx_value_f64((double)NAN));
    REFUSES(NX_VALUE("1e999"), f64, NX_ERANGE);
    REFUSES(NX_VALUE("1e"), f64, NX_ETYPE);
    REFUSES(NX_VALUE("."), f64, NX_ETYPE);
    REFUSES(NX_VALUE("0x1p3"), f64, NX_ETYPE);
    REFUSES(NX_VALUE(" 1"), f64, NX_ETYPE);
    REFUSES(NX_VALUE("1 "), f64, NX_ETYPE);
    CONVERTS(NX_VALUE("TRUE"), boolean, nx_value_boolean(true));
    CONVERTS(NX_VALUE("0"), boolean, nx_value_boolean(false));
    REFUSES(NX_VALUE("yes"), boolean, NX_ETYPE);
    REFUSES(NX_VALUE(""), boolean, NX_ETYPE);
    CONVERTS(NX_VALUE("12.50"), decimal, NX_VALUE("12.50"));
    REFUSES(NX_VALUE("12.50x"), decimal, NX_ETYPE);
    CONVERTS(NX_VALUE("{}"), json, NX_VALUE("{}"));
    CONVERTS(NX_VALUE("abc"), longtext, NX_VALUE("abc"));
    CONVERTS(NX_VALUE("published"), enumeration, ((nx_value){.enumeration = 1}));
    REFUSES(NX_VALUE("publishe"), enumeration, NX_ERANGE);
    CONVERTS(NX_VALUE("1970-01-02"), date, nx_value_date((nx_date){1}));
    CONVERTS(NX_VALUE("00:00:01"), time, nx_value_time((nx_time){1000000}));
    CONVERTS(NX_VALUE("1970-01-01 00:00:01"), timestamp, nx_value_timestamp((nx_timestamp){1000000}));
    CONVERTS(NX_VALUE("1970-01-01 00:00:01Z"), timestamptz, nx_value_timestamptz((nx_timestamptz){1000000}));
    CONVERTS(NX_VALUE("P1D"), interval, nx_value_interval((nx_interval){0, 1, 0}));
    CONVERTS(NX_VALUE("X'00fF'"), bytes, nx_value_bytes(nx_bytes_of("\0\xff", 2)));
    CONVERTS(NX_VALUE("\\x00ff"), bytes, nx_value_bytes(nx_bytes_of("\0\xff", 2)));
    CONVERTS(NX_VALUE("X''"), bytes, nx_value_bytes(nx_bytes_of("", 0)));
    REFUSES(NX_VALUE("X'0'"), bytes, NX_ETYPE);
    REFUSES(NX_VALUE("X'0g'"), bytes, NX_ETYPE);
    REFUSES(NX_VALUE("X'"), bytes, NX_ETYPE);
    REFUSES(NX_VALUE("00"), bytes, NX_ETYPE);
    REFUSES(NX_VALUE("not a uuid"), uuid, NX_ETYPE);
    REFUSES(NX_VALUE("not a ulid"), ulid, NX_ETYPE);
    CONVERTS(NX_VALUE("[1,2.5]"), vector, nx_value_vector((nx_vector){(const float[]){1, 2.5f}, 2}));
}

Test(values, conversions_without_an_arena_make_no_texts)
{
    nx_value number = nx_value_i64(5), vector = NX_VALUE("[1]"), bytes = NX_VALUE("X'00'"), labels = NX_VALUE("draft");

    cr_assert_eq(nxi_value_convert(NULL, NX_TYPE_decimal, NULL, &number), NX_ETYPE);
    cr_assert_eq(nxi_value_convert(NULL, NX_TYPE_vector, NULL, &vector), NX_ETYPE);
    cr_assert_eq(nxi_value_convert(NULL, NX_TYPE_bytes, NULL, &bytes), NX_ETYPE);
    cr_assert_eq(nxi_value_convert(NULL, NX_TYPE_enumeration, NULL, &labels), NX_ETYPE);
    nxi_memory_fail(1, true);
    cr_assert_eq(nxi_value_convert(&arena, NX_TYPE_decimal, NULL, &number), NX_ENOMEM);
    cr_assert_eq(nxi_value_convert(&arena, NX_TYPE_vector, NULL, &vector), NX_ENOMEM);
    cr_assert_eq(nxi_value_convert(&arena, NX_TYPE_bytes, NULL, &bytes), NX_ENOMEM);
    nxi_memory_fail(0, false);
    cr_assert_eq(number.i64, 5);
}

/* ----------------------------------------------------------------------------- vectors */

Test(values, vectors)
{
    static const char *const bad[] = {"",       "[",   "]",     "1,2",  "[1,2",  "[1,]", "[,1]",
                                      "[1,,2]", "[a]", "[1 2]", "[1]]", "[nan]", "[inf]"};
    nx_vector vector;

    cr_assert_eq(nxi_vector_parse(&arena, nx_str(" [ 1 , -2.5,\t3e2 ] "), &vector), NX_OK);
    cr_assert(vector.size == 3 && vector.data[0] == 1 && vector.data[1] == -2.5f && vector.data[2] == 300);
    cr_assert_eq(nxi_vector_parse(&arena, nx_str("[]"), &vector), NX_OK);
    cr_assert(vector.size == 0 && vector.data != NULL);
    for (size_t i = 0; i < NXI_COUNT(bad); i++) {
        nx_status status = nxi_vector_parse(&arena, nx_str(bad[i]), &vector);

        cr_assert(status == NX_ETYPE || status == NX_ERANGE, "%s", bad[i]);
    }
    cr_assert_eq(nxi_vector_parse(&arena, nx_str("[1e39]"), &vector), NX_ERANGE);
    cr_assert_eq(nxi_vector_parse(&arena, nx_str(NULL), &vector), NX_ETYPE);
}

Test(values, random_vectors_round_trip)
{
    for (int round = 0; round < 5000; round++) {
        float in[16];
        nx_vector out;
        nx_text text;

        for (size_t i = 0; i < NXI_COUNT(in); i++) {
            uint32_t bits = (uint32_t)random_u64();

            memcpy(&in[i], &bits, sizeof(bits));
            if (!isfinite(in[i]))
                in[i] = (float)i;
        }
        text = nxi_vector_format(&arena, (nx_vector){in, round % 17 == 0 ? 0 : NXI_COUNT(in)});
        cr_assert_not_null(text.data);
        cr_assert_eq(text.data[text.size], '\0');
        cr_assert_eq(nxi_vector_parse(&arena, text, &out), NX_OK, "%s", text.data);
        cr_assert_eq(memcmp(out.data, in, out.size * sizeof(float)), 0, "%s", text.data);
        nxi_arena_reset(&arena);
    }
}

Test(values, json_is_one_value_of_rfc_8259)
{
    static const char *const good[] = { "1",
                                        " null ",
                                        "true",
                                        "-0.5e+10",
                                        "\"a\\u00e9\\n\"",
                                        "[]",
                                        "{}",
                                        "[1, [2, {\"a\": [] }], \"x\"]",
                                        "{\"a\":1,\"a\":{\"b\":[{}]}}",
                                        "\t[\n0\r]" };
    static const char *const bad[] = { "",           " ",       "{bad",    "[1,]",        "[,1]",     "{\"a\"}", "{\"a\":}",
                                       "{\"a\":1,}", "{1:2}",   "01",      "+1",          "1.",       ".5",      "1e",
                                       "nul",        "nullx",   "[1}",     "{\"a\":1]",   "[",        "]",       "1 2",
                                       "\"a",        "\"a\\\"", "\"\\x\"", "\"\\u12g4\"", "\"a\nb\"", "[1 2]",   "NaN",
                                       "'a'",        "-" };
    static char deep[2 * NXI_JSON_DEPTH_MAX + 4];

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        cr_expect(nxi_json_is_valid(good[i], strlen(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        cr_expect_not(nxi_json_is_valid(bad[i], strlen(bad[i])), "%s", bad[i]);
    cr_expect_not(nxi_json_is_valid("1\0", 2), "a zero byte ends nothing");
    memset(deep, '[', NXI_JSON_DEPTH_MAX + 2);
    memset(deep + NXI_JSON_DEPTH_MAX + 2, ']', NXI_JSON_DEPTH_MAX + 2);
    cr_expect(nxi_json_is_valid(deep + 1, 2 * NXI_JSON_DEPTH_MAX + 2), "the innermost array is empty and needs no level");
    cr_expect_not(nxi_json_is_valid(deep, sizeof(deep)), "one more");
}
