/*
 * pg_codec_kit - see the header.
 */
#include "tests/support/pg_codec_kit.h"

#include <criterion/criterion.h>
#include <stdlib.h>

NX_ENTITY_DEFINE(Event, EVENT)
NX_ENTITY_DEFINE(Every, EVERY)
NX_ENTITY_DEFINE(Pair, PAIR)
NX_ENTITY_DEFINE(Note, NOTE)

const nxi_table *pg_table;
const nxi_column *pg_columns[COLUMNS_MAX];
nxi_pg_oid pg_types[COLUMNS_MAX];
nxi_pg_out pg_outs[COLUMNS_MAX];
nxi_pg_in pg_ins[COLUMNS_MAX];
nxi_statement pg_statement;
nxi_pg_reader pg_reader;
nxi_buf pg_out;

void pg_open(void)
{
    kit_open();
    nxi_buf_init(&pg_out, kit_memory);
    cr_assert_eq(kit_map(&Event_entity, &Every_entity, &Pair_entity, &Note_entity), NX_OK, "%s", kit_error.message);
}

void pg_close(void)
{
    nxi_memory_fail(0, false);
    nxi_buf_fini(&pg_out);
    kit_close();
}

void pg_use_format(nxi_pg_format format)
{
    nxi_pg_format formats[COLUMNS_MAX];

    for (size_t i = 0; i < pg_table->column_count; i++)
        formats[i] = format;
    cr_assert_eq(nxi_pg_ins_make(pg_columns, pg_types, formats, pg_table->column_count, pg_ins, &kit_error), NX_OK, "%s",
                 kit_error.message);
}

void pg_use(const nx_entity *entity)
{
    nxi_param params[COLUMNS_MAX];
    nxi_pg_oid sent[COLUMNS_MAX];

    pg_table = kit_table(entity);
    cr_assert_leq(pg_table->column_count, (size_t)COLUMNS_MAX);
    for (size_t i = 0; i < pg_table->column_count; i++) {
        pg_columns[i] = &pg_table->columns[i];
        params[i] = (nxi_param){ pg_columns[i], false };
        sent[i] = nxi_pg_parameter_type(pg_columns[i]->type);
        pg_types[i] = sent[i] == NXI_PG_INFER ? NXI_PG_TEXT : sent[i];
    }
    nxi_pg_outs_make(params, sent, pg_table->column_count, pg_outs);
    pg_use_format(NXI_PG_AS_BINARY);
    pg_statement = (nxi_statement){ .table = pg_table, .results = pg_columns, .result_count = pg_table->column_count };
    pg_reader = (nxi_pg_reader){
        .statement = &pg_statement, .table = pg_table, .ins = pg_ins, .count = pg_table->column_count, .tracked = true
    };
}

void pg_put_row(const void *row)
{
    void *count;

    nxi_buf_clear(&pg_out);
    count = nxi_buf_grow(&pg_out, 2);
    cr_assert_not_null(count);
    nxi_pg_store16(count, (uint16_t)pg_table->column_count);
    cr_assert_eq(nxi_pg_put_row(&pg_out, pg_outs, pg_table->column_count, row, &kit_error), NX_OK, "%s", kit_error.message);
    cr_assert_not(pg_out.failed);
}

nx_status pg_get_cut(size_t size, void **ret_row)
{
    uint8_t *bytes = malloc(size == 0 ? 1 : size);
    nx_status status;

    cr_assert_not_null(bytes);
    memcpy(bytes, pg_out.data, size);
    nxi_error_reset(&kit_error);
    status = nxi_pg_get_row(&pg_reader, &kit_arena, bytes, size, ret_row, &kit_error);
    free(bytes); /* the row depends on nothing of the message */
    if (status != NX_OK)
        cr_expect_eq(kit_error.status, status);
    return status;
}

void *pg_get_row(void)
{
    void *row = NULL;

    cr_assert_eq(pg_get_cut(pg_out.size, &row), NX_OK, "%s", kit_error.message);
    return row;
}

void pg_expect_same(const void *a, const void *b)
{
    for (size_t i = 0; i < pg_table->column_count; i++)
        cr_expect_not(nxi_column_changed(pg_columns[i], a, b), "%s", pg_columns[i]->name);
}

Every *pg_fill_every(void)
{
    static const float components[] = { 1, -2.5F };
    Every *e = kit_row(&Every_entity);

    e->id = INT64_MIN;
    e->boolean = true;
    e->i16 = INT16_MIN;
    e->i32 = INT32_MAX;
    e->u32 = UINT32_MAX;
    e->f64 = -0.1;
    e->text = nx_str("short");
    e->longtext = nx_str("a longer text of more than sixteen bytes");
    e->bytes = nx_bytes_of("\0\1\377", 3);
    e->decimal = nx_dec("-12345678901234567890.50");
    e->json = nx_json_of("{\"a\": 1}");
    e->date = (nx_date){ NX_DAYS_INFINITY };
    e->time = (nx_time){ 86400000000 };
    e->timestamp = (nx_timestamp){ -210866803200000000 };
    e->timestamptz = (nx_timestamptz){ 1764000000654321 };
    e->interval = (nx_interval){ -1, 2, -3 };
    e->uuid = (nx_uuid){ { 1, 2, 3 } };
    e->ulid = (nx_ulid){ { 4, 5, 6 } };
    e->enumeration = 1;
    e->vector = (nx_vector){ components, 2 };
    return e;
}

void pg_fill_optional(Every *e)
{
    e->o_boolean = nx_some(boolean, false);
    e->o_i16 = nx_some(i16, -1);
    e->o_i32 = nx_some(i32, 0);
    e->o_i64 = nx_some(i64, INT64_MAX);
    e->o_u32 = nx_some(u32, 0);
    e->o_f64 = nx_some(f64, 1e300);
    e->o_text = nx_some(text, nx_str(""));
    e->o_bytes = nx_some(bytes, nx_bytes_of("", 0));
    e->o_decimal = nx_some(decimal, nx_dec("0.00"));
    e->o_json = nx_some(json, nx_json_of("[]"));
    e->o_date = nx_some(date, (nx_date){ -719528 });
    e->o_time = nx_some(time, (nx_time){ 1 });
    e->o_timestamptz = nx_some(timestamptz, (nx_timestamptz){ NX_MICROSECONDS_MINUS_INFINITY });
    e->o_interval = nx_some(interval, ((nx_interval){ 1, 1, 1 }));
    e->o_uuid = nx_some(uuid, (nx_uuid){ { 0 } });
    e->o_ulid = nx_some(ulid, (nx_ulid){ { 0 } });
    e->o_enumeration = nx_some(enumeration, 0);
    e->o_vector = nx_some(vector, ((nx_vector){ &(float){ 0 }, 0 }));
}
