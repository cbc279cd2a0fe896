/*
 * test_pg_rows - results of PostgreSQL as rows: every type and form, types that differ, and messages that are cut or forged.
 */
#include "tests/support/pg_codec_kit.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(pg_rows, .init = pg_open, .fini = pg_close);

/* ------------------------------------------------------------------------------ both ways */

Test(pg_rows, bytes_of_a_row)
{
    static const uint8_t expected[] = { 0,   4, 0, 0, 0, 8,    0,    0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 4,   255, 255, 255,
                                        254, 0, 0, 0, 8, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 'a', 'b', 'c' };
    Event *e;

    pg_use(&Event_entity);
    e = kit_row(&Event_entity);
    *e = (Event){ .id = 5, .a = -2, .b = 1.5, .c = { "abc", 3 } };
    pg_put_row(e);
    cr_expect_eq(pg_out.size, sizeof(expected));
    cr_expect_eq(memcmp(pg_out.data, expected, sizeof(expected)), 0);
    e = pg_get_row();
    cr_expect(e->id == 5 && e->a == -2 && e->b == 1.5 && e->c.size == 3);
    cr_expect_str_eq(e->c.data, "abc");
    pg_expect_same(e, nxi_row_snapshot(e));
    cr_expect_eq(nxi_row_of(e)->table, pg_table);
    cr_expect_eq(nxi_row_of(e)->state, (uint8_t)NXI_ROW_STORED);
    cr_expect_eq(nxi_row_of(e)->flags, (uint8_t)NXI_ROW_TRACKED);
}

Test(pg_rows, every_type_comes_back)
{
    Every *e = pg_fill_every(), *back;

    pg_use(&Every_entity);
    pg_put_row(e);
    back = pg_get_row();
    pg_expect_same(e, back);
    cr_expect_not(back->o_text.present);
    pg_fill_optional(e);
    pg_put_row(e);
    back = pg_get_row();
    pg_expect_same(e, back);
    pg_expect_same(back, nxi_row_snapshot(back));
    cr_expect_str_eq(back->longtext.data, e->longtext.data);
    cr_expect_str_eq(back->json.data, "{\"a\": 1}");
    cr_expect(back->o_text.present && back->o_text.value.data != NULL && back->o_text.value.data[0] == '\0');
    cr_expect(back->o_vector.present && back->o_vector.value.data != NULL);
    pg_reader.tracked = false;
    back = pg_get_row();
    pg_expect_same(e, back);
    cr_expect_eq(nxi_row_of(back)->flags, 0U);
}

/* No part of the message is a row, and it is none with a byte behind it. */
static void expect_no_part(void)
{
    void *row;

    for (size_t cut = 0; cut < pg_out.size; cut++)
        cr_expect_eq(pg_get_cut(cut, &row), NX_EPROTOCOL, "cut at %zu: %s", cut, kit_error.message);
    nxi_buf_putc(&pg_out, '\0');
    cr_expect_eq(pg_get_cut(pg_out.size, &row), NX_EPROTOCOL, "a byte behind");
    pg_out.size--;
}

/* The text form of each parameter, which is what the server would send in text format. */
Test(pg_rows, every_type_in_text_format)
{
    Every *e = pg_fill_every();

    pg_use(&Every_entity);
    pg_fill_optional(e);
    for (size_t i = 0; i < pg_table->column_count; i++) {
        nxi_param param = { pg_columns[i], false };
        nxi_pg_oid infer = NXI_PG_INFER;
        nxi_pg_outs_make(&param, &infer, 1, &pg_outs[i]);
    }
    pg_use_format(NXI_PG_AS_TEXT);
    pg_put_row(e);
    pg_expect_same(e, pg_get_row());
    expect_no_part();
    /* From a column of texts, in either format, comes the same. */
    for (int format = 0; format < 2; format++) {
        for (size_t i = 0; i < pg_table->column_count; i++)
            pg_types[i] = i % 2 == 0 ? NXI_PG_TEXT : 70000;
        for (size_t i = 0; format == 1 && i < pg_table->column_count; i++)
            pg_types[i] = NXI_PG_VARCHAR;
        pg_use_format((nxi_pg_format)format);
        pg_expect_same(e, pg_get_row());
    }
}

/* What the message was longer than the row needs is given back: rows lie close. */
Test(pg_rows, rows_lie_close)
{
    size_t expected, close = 0;
    char *before = NULL;
    Event *e;

    pg_use(&Event_entity);
    e = kit_row(&Event_entity);
    *e = (Event){ .id = 1, .c = { "0123456789abcdef", 16 } };
    pg_put_row(e);
    expected = (sizeof(nxi_row) + 2 * pg_table->row_size + 17 + 15) / 16 * 16;
    for (int i = 0; i < 10000; i++) {
        char *row = pg_get_row();
        pg_expect_same(e, row);
        close += before != NULL && row == before + expected;
        before = row;
    }
    cr_expect_gt(close, 9900U);
}

/* -------------------------------------------------------------------------- cut and forged */

Test(pg_rows, cut_anywhere)
{
    Every *e = pg_fill_every();

    pg_use(&Every_entity);
    pg_fill_optional(e);
    pg_put_row(e);
    expect_no_part();
}

Test(pg_rows, another_count)
{
    static const uint16_t counts[] = { 0, 3, 5, 0x0400, 0x7fff, 0x8000, 0x8004, 0xffff };
    void *row;

    pg_use(&Event_entity);
    pg_put_row(kit_row(&Event_entity));
    for (size_t i = 0; i < NXI_COUNT(counts); i++) {
        nxi_pg_store16(pg_out.data, counts[i]);
        cr_expect_eq(pg_get_cut(pg_out.size, &row), NX_EPROTOCOL, "%u", (unsigned)counts[i]);
    }
}

/* Where each value's length stands in a message; the last entry is its end. */
static void find_lengths(size_t at[COLUMNS_MAX + 1])
{
    at[0] = 2;
    for (size_t i = 0; i < pg_table->column_count; i++) {
        uint32_t size = nxi_pg_load32((const uint8_t *)pg_out.data + at[i]);
        at[i + 1] = at[i] + 4 + (size == UINT32_MAX ? 0 : size);
    }
    cr_assert_eq(at[pg_table->column_count], pg_out.size);
}

Test(pg_rows, forged_lengths)
{
    static const uint32_t forged[] = { 0xfffffffe, 0x7fffffff, 0x80000000, 0x40000000, 0 };
    size_t at[COLUMNS_MAX + 1];
    Every *e = pg_fill_every();
    void *row;

    pg_use(&Every_entity);
    pg_fill_optional(e);
    pg_put_row(e);
    find_lengths(at);
    for (size_t i = 0; i < pg_table->column_count; i++) {
        uint32_t size = nxi_pg_load32((const uint8_t *)pg_out.data + at[i]);
        for (size_t k = 0; k < NXI_COUNT(forged); k++) {
            nxi_pg_store32(pg_out.data + at[i], forged[k]);
            if (forged[k] != size)
                cr_expect_eq(pg_get_cut(pg_out.size, &row), NX_EPROTOCOL, "%s: %u", pg_columns[i]->name, (unsigned)forged[k]);
        }
        nxi_pg_store32(pg_out.data + at[i], size);
    }
    pg_expect_same(e, pg_get_row());
}

/* A value of no bytes at all is a text or bytes, and nothing else; it is named. */
Test(pg_rows, values_of_no_bytes)
{
    pg_use(&Every_entity);
    for (size_t i = 0; i < pg_table->column_count; i++) {
        size_t at[COLUMNS_MAX + 1];
        Every *e = pg_fill_every();
        bool empty_is_value;
        nx_status status;
        void *row;

        pg_fill_optional(e);
        pg_put_row(e);
        find_lengths(at);
        memmove(pg_out.data + at[i] + 4, pg_out.data + at[i + 1], pg_out.size - at[i + 1]);
        pg_out.size -= at[i + 1] - at[i] - 4;
        nxi_pg_store32(pg_out.data + at[i], 0);
        empty_is_value = pg_columns[i]->type == NX_TYPE_text || pg_columns[i]->type == NX_TYPE_longtext ||
                         pg_columns[i]->type == NX_TYPE_bytes;
        status = pg_get_cut(pg_out.size, &row);
        if (pg_columns[i]->type == NX_TYPE_ulid || pg_columns[i]->type == NX_TYPE_enumeration)
            cr_expect_eq(status, NX_ETYPE, "%s", pg_columns[i]->name);
        else
            cr_expect_eq(status, empty_is_value ? NX_OK : NX_EPROTOCOL, "%s: %s", pg_columns[i]->name, kit_error.message);
        if (status != NX_OK)
            cr_expect_str_eq(kit_error.column, pg_columns[i]->name);
    }
}

Test(pg_rows, null_where_it_cannot_be)
{
    pg_use(&Every_entity);
    for (size_t i = 0; i < pg_table->column_count; i++) {
        size_t at[COLUMNS_MAX + 1];
        Every *e = pg_fill_every();
        nx_status status;
        void *row;

        pg_fill_optional(e);
        pg_put_row(e);
        find_lengths(at);
        memmove(pg_out.data + at[i] + 4, pg_out.data + at[i + 1], pg_out.size - at[i + 1]);
        pg_out.size -= at[i + 1] - at[i] - 4;
        nxi_pg_store32(pg_out.data + at[i], UINT32_MAX);
        status = pg_get_cut(pg_out.size, &row);
        cr_expect_eq(status, pg_columns[i]->form == NXI_FORM_OPTIONAL ? NX_OK : NX_ETYPE, "%s", pg_columns[i]->name);
        if (status == NX_OK) {
            cr_expect(nxi_column_is_null(pg_columns[i], row) && nxi_column_is_null(pg_columns[i], nxi_row_snapshot(row)));
        } else {
            cr_expect_str_eq(kit_error.table, "every");
            cr_expect_str_eq(kit_error.column, pg_columns[i]->name);
        }
    }
}

/* ---------------------------------------------------------------------- types that differ */

/* One value of that type into a column of Every. */
static nx_status get_one(const char *field, nxi_pg_oid type, nxi_pg_format format, const void *data, size_t size, Every **ret_row)
{
    const nxi_column *column = kit_column(&Every_entity, field);
    nx_status status;
    void *row = NULL;

    pg_use(&Every_entity);
    pg_reader.count = 1;
    nxi_error_reset(&kit_error);
    status = nxi_pg_ins_make(&column, &type, &format, 1, pg_ins, &kit_error);
    if (status != NX_OK)
        return status;
    nxi_buf_clear(&pg_out);
    nxi_buf_put(&pg_out, "\0\1\0\0\0", 6);
    pg_out.data[5] = (char)size;
    nxi_buf_put(&pg_out, data, size);
    status = pg_get_cut(pg_out.size, &row);
    *ret_row = row;
    if (status != NX_OK && status != NX_EPROTOCOL)
        cr_expect_str_eq(kit_error.column, column->name);
    return status;
}

#define GET(field, type, bytes)      get_one(#field, NXI_PG_##type, NXI_PG_AS_BINARY, bytes, sizeof(bytes) - 1, &e)
#define GET_TEXT(field, type, bytes) get_one(#field, NXI_PG_##type, NXI_PG_AS_TEXT, bytes, sizeof(bytes) - 1, &e)

Test(pg_rows, integers_of_other_sizes)
{
    Every *e;

    cr_expect(GET(id, INT4, "\xff\xff\xff\xfe") == NX_OK && e->id == -2);
    cr_expect(GET(id, INT2, "\xff\xfe") == NX_OK && e->id == -2);
    cr_expect(GET(id, OID, "\xff\xff\xff\xfe") == NX_OK && e->id == INT64_C(0xfffffffe));
    cr_expect(GET(i32, INT2, "\x80\0") == NX_OK && e->i32 == INT16_MIN);
    cr_expect(GET(i32, INT8, "\xff\xff\xff\xff\x80\0\0\0") == NX_OK && e->i32 == INT32_MIN);
    cr_expect(GET(i32, INT8, "\xff\xff\xff\xff\x7f\xff\xff\xff") == NX_ERANGE);
    cr_expect(GET(i32, INT8, "\0\0\0\0\x80\0\0\0") == NX_ERANGE);
    cr_expect(GET(i16, INT4, "\0\0\x7f\xff") == NX_OK && e->i16 == INT16_MAX);
    cr_expect(GET(i16, INT4, "\0\0\x80\0") == NX_ERANGE);
    cr_expect(GET(u32, INT8, "\0\0\0\0\xff\xff\xff\xff") == NX_OK && e->u32 == UINT32_MAX);
    cr_expect(GET(u32, INT8, "\0\0\0\1\0\0\0\0") == NX_ERANGE);
    cr_expect(GET(u32, INT8, "\xff\xff\xff\xff\xff\xff\xff\xff") == NX_ERANGE);
    cr_expect(GET(u32, OID, "\xff\xff\xff\xff") == NX_OK && e->u32 == UINT32_MAX);
    cr_expect(GET(o_u32, INT4, "\xff\xff\xff\xff") == NX_ERANGE);
    cr_expect(GET(o_i16, INT2, "\0\5") == NX_OK && e->o_i16.present && e->o_i16.value == 5);
    cr_expect(GET(o_i64, INT4, "\0\0\0\5") == NX_OK && e->o_i64.present && e->o_i64.value == 5);
}

Test(pg_rows, numbers_of_other_kinds)
{
    Every *e;

    cr_expect(GET(i32, NUMERIC, "\0\1\0\0\0\0\0\2\0\7") == NX_OK && e->i32 == 7); /* 7.00 */
    cr_expect(GET(i32, NUMERIC, "\0\2\0\0\0\0\0\1\0\7\x13\x88") == NX_ERANGE);    /* 7.5 */
    cr_expect(GET(i32, NUMERIC, "\0\1\0\5\0\0\0\0\0\7") == NX_ERANGE);            /* 7e20 */
    cr_expect(GET(i32, NUMERIC, "\0\0\0\0\xc0\0\0\0") == NX_ERANGE);              /* NaN */
    cr_expect(GET_TEXT(i32, NUMERIC, "-12.000") == NX_OK && e->i32 == -12);
    cr_expect(GET(f64, FLOAT4, "\x3f\xc0\0\0") == NX_OK && e->f64 == 1.5);
    cr_expect(GET(f64, INT4, "\0\0\0\3") == NX_OK && e->f64 == 3.0);
    cr_expect(GET(f64, INT8, "\0\x20\0\0\0\0\0\1") == NX_ERANGE); /* 2^53 + 1 */
    cr_expect(GET_TEXT(f64, INT8, "9007199254740993") == NX_ERANGE);
    cr_expect(GET(decimal, INT8, "\0\0\0\0\0\0\0\3") == NX_OK && strcmp(e->decimal.data, "3") == 0);
    cr_expect(GET(decimal, TEXT, "1.50") == NX_OK && strcmp(e->decimal.data, "1.50") == 0);
    cr_expect(GET(decimal, TEXT, "1.5e3") == NX_ETYPE);
    cr_expect(GET(decimal, NUMERIC, "\0\0\0\0\xd0\0\0\0") == NX_ERANGE); /* Infinity */
}

Test(pg_rows, texts_of_other_kinds)
{
    Every *e;

    cr_expect(GET(text, JSONB, "\1[1]") == NX_OK && strcmp(e->text.data, "[1]") == 0);
    cr_expect(GET(json, JSON, "[1]") == NX_OK && strcmp(e->json.data, "[1]") == 0);
    cr_expect(GET(json, TEXT, "[1]") == NX_OK && strcmp(e->json.data, "[1]") == 0);
    cr_expect(GET(json, JSONB, "\2[1]") == NX_EPROTOCOL);
    cr_expect(GET_TEXT(json, JSONB, "[1]") == NX_OK && strcmp(e->json.data, "[1]") == 0);
    cr_expect(GET_TEXT(text, TIMETZ, "12:00:00+02") == NX_OK && strcmp(e->text.data, "12:00:00+02") == 0);
    cr_expect(GET(text, CHAR, "x") == NX_OK && strcmp(e->text.data, "x") == 0);
    cr_expect(GET(text, CHAR, "\0") == NX_OK && e->text.size == 0);
    cr_expect(get_one("text", 1007, NXI_PG_AS_BINARY, "\0\0\0\0\0\0\0\0\0\0\0\x17", 12, &e) == NX_OK && e->text.size == 2);
    cr_expect(get_one("text", 70000, NXI_PG_AS_BINARY, "abc", 3, &e) == NX_OK && strcmp(e->text.data, "abc") == 0);
    cr_expect(get_one("enumeration", 70000, NXI_PG_AS_BINARY, "green", 5, &e) == NX_OK && e->enumeration == 1);
    cr_expect(GET(enumeration, TEXT, "blue") == NX_ETYPE);
    cr_expect_not_null(strstr(kit_error.message, "every.enumeration: the database holds \"blue\""));
    cr_expect(GET(ulid, UUID, "0123456789abcdef") == NX_OK && memcmp(&e->ulid, "0123456789abcdef", 16) == 0);
    cr_expect(GET(uuid, TEXT, "no uuid") == NX_ETYPE);
    cr_expect(GET_TEXT(boolean, BOOL, "t") == NX_OK && e->boolean);
    cr_expect(GET_TEXT(boolean, BOOL, "f") == NX_OK && !e->boolean);
    cr_expect(GET(boolean, BOOL, "\2") == NX_EPROTOCOL);
    cr_expect(GET_TEXT(date, DATE, "0001-01-01 BC") == NX_OK && e->date.days == -719528);
    cr_expect(GET(date, DATE, "\x7f\xff\xff\xfe") == NX_ERANGE);
    cr_expect(GET(timestamp, TIMESTAMP, "\x7f\xff\xff\xff\xff\xff\xff\xfe") == NX_ERANGE);
    cr_expect(GET(time, TIME, "\xff\xff\xff\xff\xff\xff\xff\xff") == NX_ERANGE);
    cr_expect(get_one("vector", 1021, NXI_PG_AS_TEXT, "{1,2.5}", 7, &e) == NX_OK && e->vector.size == 2);
    cr_expect(get_one("vector", 1021, NXI_PG_AS_TEXT, "{1,NULL}", 8, &e) == NX_ETYPE);
    cr_expect(get_one("vector", 70000, NXI_PG_AS_TEXT, "[1,2.5]", 7, &e) == NX_OK && e->vector.size == 2);
    cr_expect(get_one("vector", 70000, NXI_PG_AS_BINARY, "\0\1\0\0\x3f\xc0\0\0", 8, &e) == NX_OK && e->vector.data[0] == 1.5F);
}

Test(pg_rows, types_that_cannot_become_the_columns)
{
    static const struct {
        const char *field;
        nxi_pg_oid type;
        nxi_pg_format format;
        const char *names;
    } refused[] = {
        { "id", NXI_PG_BOOL, NXI_PG_AS_BINARY, "bool" },
        { "boolean", NXI_PG_INT4, NXI_PG_AS_TEXT, "int4" },
        { "f64", NXI_PG_NUMERIC, NXI_PG_AS_TEXT, "numeric" },
        { "date", NXI_PG_TIMESTAMP, NXI_PG_AS_BINARY, "timestamp" },
        { "timestamp", NXI_PG_TIMESTAMPTZ, NXI_PG_AS_BINARY, "timestamptz" },
        { "text", NXI_PG_INT4, NXI_PG_AS_TEXT, "int4" },
        { "text", NXI_PG_TIMETZ, NXI_PG_AS_BINARY, "timetz" },
        { "time", NXI_PG_TIMETZ, NXI_PG_AS_TEXT, "timetz" },
        { "json", NXI_PG_BYTEA, NXI_PG_AS_BINARY, "bytea" },
        { "vector", 1007, NXI_PG_AS_BINARY, "int4[]" },
        { "vector", NXI_PG_FLOAT4, NXI_PG_AS_BINARY, "float4" },
        { "i32", 1007, NXI_PG_AS_BINARY, "int4[]" },
        { "uuid", NXI_PG_BYTEA, NXI_PG_AS_BINARY, "bytea" },
        { "decimal", NXI_PG_FLOAT8, NXI_PG_AS_BINARY, "float8" },
    };
    for (size_t i = 0; i < NXI_COUNT(refused); i++) {
        Every *e;
        cr_expect_eq(get_one(refused[i].field, refused[i].type, refused[i].format, "", 0, &e), NX_ETYPE, "%s", refused[i].field);
        cr_expect_not_null(strstr(kit_error.message, refused[i].names), "%s", kit_error.message);
        cr_expect_not_null(strstr(kit_error.message, kit_column(&Every_entity, refused[i].field)->name), "%s", kit_error.message);
        cr_expect_str_eq(kit_error.table, "every");
    }
    cr_expect_eq(get_one("id", NXI_PG_INT8, (nxi_pg_format)2, "", 0, &(Every *){ NULL }), NX_EPROTOCOL);
}
