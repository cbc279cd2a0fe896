/*
 * test_pg_params - rows as parameters of PostgreSQL, references both ways, and what happens without memory.
 */
#include "tests/support/pg_codec_kit.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(pg_params, .init = pg_open, .fini = pg_close);

/* ----------------------------------------------------------------------------- references */

Test(pg_params, references)
{
    const nx_value parts[] = { NX_VALUE("north"), NX_VALUE(5) };
    const nxi_param params[] = { { kit_column(&Note_entity, "id"), false }, { kit_column(&Note_entity, "event"), false } };
    static const nxi_pg_oid sent[] = { NXI_PG_INT8, NXI_PG_INT4 };
    Note *note, *back;
    Event *event;

    pg_use(&Note_entity);
    cr_assert_eq(pg_table->column_count, 5U);
    note = kit_row(&Note_entity);
    event = kit_row(&Event_entity);
    event->id = 7;
    note->id = 1;
    nx_set_ref(note->event, event);
    note->pair.key = (nx_key){ .parts = parts, .part_count = 2 };
    pg_put_row(note);
    back = pg_get_row();
    pg_expect_same(note, back);
    cr_expect_null(back->event.row);
    cr_expect(back->event.key.part_count == 1 && back->event.key.value.type == NX_TYPE_i64 && back->event.key.value.i64 == 7);
    cr_expect_eq(back->pair.key.part_count, 2U);
    cr_expect_str_eq(back->pair.key.parts[0].text.data, "north");
    cr_expect(back->pair.key.parts[1].type == NX_TYPE_i32 && back->pair.key.parts[1].i64 == 5);
    pg_expect_same(back, nxi_row_snapshot(back));
    /* Of other sizes, where they fit. */
    nxi_pg_outs_make(params, sent, 2, pg_outs);
    pg_types[0] = NXI_PG_INT8;
    pg_types[1] = NXI_PG_INT4;
    pg_use_format(NXI_PG_AS_BINARY);
    pg_put_row(note);
    pg_expect_same(note, pg_get_row());
    nx_set_ref_key(note->event, INT64_C(1) << 31);
    cr_expect_eq(nxi_pg_put_row(&pg_out, pg_outs, pg_table->column_count, note, &kit_error), NX_ERANGE);
    cr_expect_str_eq(kit_error.column, pg_columns[1]->name);
    pg_use(&Note_entity);
    note->pair.key = (nx_key){ .part_count = 0 };
    nx_set_ref_key(note->event, 8);
    pg_put_row(note);
    back = pg_get_row();
    pg_expect_same(note, back);
    cr_expect_eq(back->pair.key.part_count, 0U);
}

Test(pg_params, a_reference_with_a_part_that_is_null_is_none)
{
    static const uint8_t rows[][45] = {
        { 0, 5, 0, 0, 0, 4, 0, 0, 0,   1,   0,   0,   0,   8,   0,   0,   0,  0,
          0, 0, 0, 7, 0, 0, 0, 1, 'n', 255, 255, 255, 255, 255, 255, 255, 255 },
        { 0, 5, 0, 0,   0,   4,   0,   0, 0, 1, 0, 0, 0, 8, 0, 0,   0,   0,   0,
          0, 0, 7, 255, 255, 255, 255, 0, 0, 0, 4, 0, 0, 0, 5, 255, 255, 255, 255 },
    };
    static const size_t sizes[] = { 35, 38 };

    pg_use(&Note_entity);
    for (size_t i = 0; i < NXI_COUNT(sizes); i++) {
        nxi_buf_clear(&pg_out);
        nxi_buf_put(&pg_out, rows[i], sizes[i]);
        cr_expect_eq(((Note *)pg_get_row())->pair.key.part_count, 0U);
    }
    nxi_buf_clear(&pg_out); /* but the event is required */
    nxi_buf_put(&pg_out, "\0\5\0\0\0\4\0\0\0\1\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377", 26);
    cr_expect_eq(pg_get_cut(pg_out.size, &(void *){ NULL }), NX_ETYPE);
    cr_expect_str_eq(kit_error.column, pg_columns[1]->name);
}

Test(pg_params, values_of_no_column_and_missing_lazy_ones)
{
    const nxi_column *some[] = { NULL, kit_column(&Note_entity, "id"), NULL };
    const nxi_column *body = kit_column(&Note_entity, "body");
    nxi_pg_oid some_types[] = { 70000, NXI_PG_INT4, NXI_PG_TEXT };
    nxi_pg_format formats[] = { NXI_PG_AS_TEXT, NXI_PG_AS_BINARY, NXI_PG_AS_BINARY };
    Note *note;

    pg_use(&Note_entity);
    cr_assert_eq(nxi_pg_ins_make(some, some_types, formats, 3, pg_ins, &kit_error), NX_OK);
    pg_reader.count = 3;
    pg_statement.results = NULL;
    cr_assert(body->lazy && pg_table->lazy_mask != 0);
    pg_reader.lazy_missing = nxi_pg_lazy_missing(pg_table, some, 3);
    cr_expect_eq(pg_reader.lazy_missing, pg_table->lazy_mask);
    cr_expect_eq(nxi_pg_lazy_missing(pg_table, &body, 1), 0U);
    nxi_buf_put(&pg_out, "\0\3\0\0\0\2??\0\0\0\4\0\0\0\11\377\377\377\377", 20);
    note = pg_get_row();
    cr_expect_eq(note->id, 9);
    cr_expect_eq(nxi_row_of(note)->lazy_missing, pg_table->lazy_mask);
    pg_statement.results = some;
    pg_statement.lazy_missing = 0;
    note = pg_get_row();
    cr_expect_eq(nxi_row_of(note)->lazy_missing, 0U);
}

/* -------------------------------------------------------------------------------- writing */

Test(pg_params, what_cannot_be_written_is_named)
{
    Every *e = pg_fill_every();

    pg_use(&Every_entity);
    nxi_buf_puts(&pg_out, "before");
    e->time.microseconds = -1;
    cr_expect_eq(nxi_pg_put_row(&pg_out, pg_outs, pg_table->column_count, e, &kit_error), NX_ERANGE);
    cr_expect_str_eq(kit_error.table, "every");
    cr_expect_str_eq(kit_error.column, "time");
    cr_expect_not_null(strstr(kit_error.message, "every.time: "));
    e->time.microseconds = 0;
    e->enumeration = 2;
    cr_expect_eq(nxi_pg_put_row(&pg_out, pg_outs, pg_table->column_count, e, &kit_error), NX_ERANGE);
    cr_expect_str_eq(kit_error.column, "enumeration");
    e->enumeration = 0;
    e->date.days = INT32_MIN + 1;
    cr_expect_eq(nxi_pg_put_row(&pg_out, pg_outs, pg_table->column_count, e, &kit_error), NX_ERANGE);
    e->date.days = 0;
    e->timestamptz.microseconds = INT64_MIN + 1;
    cr_expect_eq(nxi_pg_put_row(&pg_out, pg_outs, pg_table->column_count, e, &kit_error), NX_ERANGE);
    e->timestamptz.microseconds = 0;
    e->bytes.size = NXI_PG_VALUE_BYTES_MAX;
    cr_expect_eq(nxi_pg_put_row(&pg_out, pg_outs, pg_table->column_count, e, &kit_error), NX_ELIMIT);
    cr_expect_str_eq(kit_error.column, "bytes");
    cr_expect_eq(pg_out.size, 6U);
    cr_expect_not(pg_out.failed);
}

Test(pg_params, from_the_snapshot)
{
    nxi_param params[] = { { kit_column(&Event_entity, "a"), false }, { kit_column(&Event_entity, "a"), true } };
    static const nxi_pg_oid sent[] = { NXI_PG_INT4, NXI_PG_INT2 };
    Event *e = kit_row(&Event_entity);

    nxi_pg_outs_make(params, sent, 2, pg_outs);
    e->a = 1;
    nxi_row_track(e);
    e->a = 2;
    cr_assert_eq(nxi_pg_put_row(&pg_out, pg_outs, 2, e, &kit_error), NX_OK);
    cr_expect_eq(pg_out.size, 14U);
    cr_expect_eq(memcmp(pg_out.data, "\0\0\0\4\0\0\0\2\0\0\0\2\0\1", 14), 0);
}

/* Rows of one column as an array, which reads back as its text. */
static void expect_column(const char *field, nxi_pg_oid element, void *const *rows, size_t count, const char *text)
{
    nxi_param param = { kit_column(&Every_entity, field), false };
    nxi_pg_oid read_as = nxi_pg_array_of(element == NXI_PG_INFER ? NXI_PG_TEXT : element);
    size_t bad = SIZE_MAX;
    nx_value value;

    nxi_pg_outs_make(&param, &element, 1, pg_outs);
    nxi_buf_clear(&pg_out);
    nxi_buf_putc(&pg_out, '>');
    cr_assert_eq(nxi_pg_put_column(&pg_out, pg_outs, rows, count, &bad, &kit_error), NX_OK, "%s", kit_error.message);
    cr_assert_eq(nxi_pg_load32((const uint8_t *)pg_out.data + 1), pg_out.size - 5);
    cr_assert_eq(nxi_pg_get_value(&kit_arena, read_as, NXI_PG_AS_BINARY, (const uint8_t *)pg_out.data + 5, pg_out.size - 5,
                                  &value, &kit_error),
                 NX_OK, "%s", kit_error.message);
    cr_expect_str_eq(value.text.data, text);
}

Test(pg_params, columns_of_many_rows)
{
    void *rows[] = { pg_fill_every(), pg_fill_every(), pg_fill_every() };
    Every *last = rows[2];

    last->i32 = -5;
    last->o_text = nx_some(text, nx_str("x y"));
    last->o_decimal = nx_some(decimal, nx_dec("2.50"));
    expect_column("i32", NXI_PG_INT4, rows, 3, "{2147483647,2147483647,-5}");
    cr_expect_eq(nxi_pg_load32((const uint8_t *)pg_out.data + 9), 0U, "no NULL in it");
    expect_column("o_text", NXI_PG_TEXT, rows, 3, "{NULL,NULL,\"x y\"}");
    cr_expect_eq(nxi_pg_load32((const uint8_t *)pg_out.data + 9), 1U, "NULLs in it");
    expect_column("o_text", NXI_PG_INFER, rows, 3, "{NULL,NULL,\"x y\"}");
    expect_column("o_decimal", NXI_PG_NUMERIC, rows, 3, "{NULL,NULL,2.50}");
    expect_column("enumeration", NXI_PG_TEXT, rows, 3, "{green,green,green}");
    expect_column("vector", NXI_PG_TEXT, rows, 1, "{\"[1,-2.5]\"}");
    expect_column("i32", NXI_PG_INT4, rows, 0, "{}");
}

Test(pg_params, the_bad_row_of_a_column_is_named)
{
    void *rows[] = { pg_fill_every(), pg_fill_every(), pg_fill_every() };
    nxi_param param = { kit_column(&Every_entity, "time"), false };
    static const nxi_pg_oid element = NXI_PG_TIME;
    size_t bad = 0;

    ((Every *)rows[1])->time.microseconds = -1;
    nxi_pg_outs_make(&param, &element, 1, pg_outs);
    nxi_buf_puts(&pg_out, "before");
    cr_expect_eq(nxi_pg_put_column(&pg_out, pg_outs, rows, 3, &bad, &kit_error), NX_ERANGE);
    cr_expect_eq(bad, 1U);
    cr_expect_eq(pg_out.size, 6U);
    cr_expect_str_eq(kit_error.column, "time");
    cr_expect_eq(nxi_pg_put_column(&pg_out, pg_outs, rows, 0x8000000, &bad, &kit_error), NX_ELIMIT);
}

/* ------------------------------------------------------------------------------ memory */

Test(pg_params, without_memory)
{
    Every *e = pg_fill_every();
    void *rows[2] = { e, e }, *row = NULL;
    char *long_text = malloc(100000);
    bool done = false;

    cr_assert_not_null(long_text);
    memset(long_text, 'x', 100000);
    e->text = nx_strn(long_text, 100000);
    pg_use(&Every_entity);
    pg_fill_optional(e);
    for (uint64_t nth = 1; !done; nth++) {
        nx_status status = NX_ENOMEM;
        size_t bad;

        nxi_buf_fini(&pg_out);
        cr_assert_lt(nth, 200U);
        nxi_memory_fail(nth, false);
        nxi_buf_put(&pg_out, "\0\46", 2); /* 38 columns */
        if (!pg_out.failed)
            cr_expect_eq(nxi_pg_put_row(&pg_out, pg_outs, pg_table->column_count, e, &kit_error), NX_OK);
        if (!pg_out.failed)
            status = nxi_pg_get_row(&pg_reader, &kit_arena, (const uint8_t *)pg_out.data, pg_out.size, &row, &kit_error);
        cr_expect(status == NX_OK || status == NX_ENOMEM, "%s", kit_error.message);
        nxi_buf_fini(&pg_out);
        cr_expect_eq(nxi_pg_put_column(&pg_out, &pg_outs[6], rows, 2, &bad, &kit_error), NX_OK);
        done = status == NX_OK && !pg_out.failed;
        nxi_memory_fail(0, false);
    }
    pg_expect_same(e, row);
    free(long_text);
}
