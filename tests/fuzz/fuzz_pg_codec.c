/*
 * fuzz_pg_codec - any bytes as a value, as a row and as a decimal of PostgreSQL: an answer, and what is read can be written and
 * read again.
 *
 * The first byte says what the rest is: a value (then a byte of its type and format), a row of the entity (then a byte that picks
 * the types and formats of its columns), or the text of a decimal.
 */
#include <stdint.h>

#include "drivers/postgres/codec_parts.h"
#include "engine/table.h"
#include "nextorm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAIR(FIELD, E)                                                                                                           \
    FIELD(E, PK, text, region)                                                                                                   \
    FIELD(E, PK, i32, number)
#define EVERY(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, text)                                                                                                    \
    FIELD(E, OPT, boolean, boolean)                                                                                              \
    FIELD(E, OPT, i16, i16)                                                                                                      \
    FIELD(E, OPT, i32, i32)                                                                                                      \
    FIELD(E, OPT, u32, u32)                                                                                                      \
    FIELD(E, OPT, f64, f64)                                                                                                      \
    FIELD(E, OPT, bytes, bytes)                                                                                                  \
    FIELD(E, OPT, decimal, decimal)                                                                                              \
    FIELD(E, OPT, json, json)                                                                                                    \
    FIELD(E, OPT, date, date)                                                                                                    \
    FIELD(E, OPT, time, time)                                                                                                    \
    FIELD(E, OPT, timestamp, timestamp)                                                                                          \
    FIELD(E, OPT, timestamptz, timestamptz)                                                                                      \
    FIELD(E, OPT, interval, interval)                                                                                            \
    FIELD(E, OPT, uuid, uuid)                                                                                                    \
    FIELD(E, OPT, ulid, ulid)                                                                                                    \
    FIELD(E, OPT, enumeration, enumeration, .labels = NX_LABELS("red", "green"))                                                 \
    FIELD(E, OPT, vector, vector)                                                                                                \
    FIELD(E, SINGLE, Pair, pair, .optional = true)
NX_ENTITY(Pair, PAIR)
NX_ENTITY(Every, EVERY)

enum { COLUMNS_MAX = 32 };

static const nxi_dialect dialect = { .name = "fuzz", .quote = '"', .identifier_bytes_max = 63 };
static nxi_memory *memory;
static nxi_arena mapping;
static nxi_tables tables;

static const nxi_pg_oid oids[] = { NXI_PG_BOOL,
                                   NXI_PG_BYTEA,
                                   NXI_PG_CHAR,
                                   NXI_PG_NAME,
                                   NXI_PG_INT8,
                                   NXI_PG_INT2,
                                   NXI_PG_INT4,
                                   NXI_PG_TEXT,
                                   NXI_PG_OID,
                                   NXI_PG_JSON,
                                   NXI_PG_FLOAT4,
                                   NXI_PG_FLOAT8,
                                   NXI_PG_DATE,
                                   NXI_PG_TIME,
                                   NXI_PG_TIMESTAMP,
                                   NXI_PG_UUID,
                                   NXI_PG_JSONB,
                                   NXI_PG_TIMETZ,
                                   NXI_PG_INTERVAL,
                                   NXI_PG_NUMERIC,
                                   NXI_PG_TIMESTAMPTZ,
                                   NXI_PG_BPCHAR,
                                   70000,
                                   1000,
                                   1001,
                                   1005,
                                   1007,
                                   1009,
                                   1016,
                                   1021,
                                   1022,
                                   1115,
                                   1182,
                                   1183,
                                   1185,
                                   1187,
                                   1231,
                                   2951,
                                   3807 };

/* Decimals by their number: one that came as text may be written with zeros in front. */
static bool is_same(const nx_value *a, const nx_value *b)
{
    if (a->type == NX_TYPE_decimal && b->type == NX_TYPE_decimal)
        return nxi_decimal_compare(a->text, b->text) == 0;
    return nxi_value_equal(a, b);
}

/* What was read is written, and read again it is the same. */
static void write_value(nxi_arena *arena, nxi_pg_oid oid, const nx_value *value)
{
    bool no_parameter = nxi_pg_element_of(oid) != 0 || !nxi_pg_is_known(oid) || value->type == NX_TYPE_bytes;
    nx_value back;
    nx_error error;
    nxi_buf out;

    nxi_buf_init(&out, memory);
    nx_status status = nxi_pg_put_value(&out, value, NXI_PG_INFER, NULL, &error);
    NX_ASSERT(status == NX_OK || status == NX_EENCODING);
    nxi_buf_clear(&out);
    status = nxi_pg_put_value(&out, value, oid, NULL, &error);
    NX_ASSERT(status == NX_OK || error.status == status);
    /* The server's least days and instants are ours, but bytes may be any; a text of it may be no UTF-8. */
    if (status == NX_OK && !no_parameter) {
        status = nxi_pg_get_value(arena, oid, NXI_PG_AS_BINARY, (const uint8_t *)out.data + 4, out.size - 4, &back, &error);
        NX_ASSERT(status == NX_OK && is_same(value, &back));
    } else if (!no_parameter) {
        NX_ASSERT(status == NX_ERANGE || status == NX_EENCODING);
    }
    nxi_buf_fini(&out);
}

static void read_value(nxi_arena *arena, const uint8_t *data, size_t size)
{
    nxi_pg_oid oid = oids[data[0] % NXI_COUNT(oids)];
    nx_value value;
    nx_error error;
    nx_status status =
        nxi_pg_get_value(arena, oid, data[0] & 128 ? NXI_PG_AS_TEXT : NXI_PG_AS_BINARY, data + 1, size - 1, &value, &error);

    if (status != NX_OK) {
        NX_ASSERT(error.status == status);
        NX_ASSERT(status == NX_EPROTOCOL || status == NX_ERANGE || status == NX_ETYPE || status == NX_ELIMIT);
        return;
    }
    write_value(arena, oid, &value);
}

/* The types of the columns: their own, or what `seed` picks and the column accepts. */
static void make_ins(const nxi_table *table, uint8_t seed, nxi_pg_in *ins)
{
    nx_error error;

    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        nxi_pg_format format = (seed >> (i % 7)) & 1 ? NXI_PG_AS_TEXT : NXI_PG_AS_BINARY;
        nxi_pg_oid oid = oids[(seed + i * 7) % NXI_COUNT(oids)];

        if (seed >= 16 && nxi_pg_ins_make(&column, &oid, &format, 1, &ins[i], &error) == NX_OK)
            continue;
        oid = nxi_pg_parameter_type(column->type);
        if (oid == NXI_PG_INFER)
            oid = NXI_PG_TEXT;
        nx_status status = nxi_pg_ins_make(&column, &oid, &format, 1, &ins[i], &error);
        NX_ASSERT(status == NX_OK);
    }
}

/* A row that was read is written, or what cannot be is named. */
static void write_row(const nxi_table *table, const void *row)
{
    nxi_pg_out outs[COLUMNS_MAX];
    nx_error error;
    nxi_buf out;

    nxi_buf_init(&out, memory);
    for (size_t i = 0; i < table->column_count; i++) {
        nxi_param param = { &table->columns[i], false };
        nxi_pg_oid oid = nxi_pg_parameter_type(table->columns[i].type);
        nxi_pg_outs_make(&param, &oid, 1, &outs[i]);
    }
    nx_status status = nxi_pg_put_row(&out, outs, table->column_count, row, &error);
    NX_ASSERT(status == NX_OK || (error.status == status && error.column[0] != '\0' && out.size == 0));
    nxi_buf_fini(&out);
}

static void read_row(nxi_arena *arena, const uint8_t *data, size_t size)
{
    const nxi_table *table = nxi_tables_find(&tables, &Every_entity);
    nxi_pg_in ins[COLUMNS_MAX];
    const nxi_column *none = NULL;
    nxi_statement statement = { .table = table, .results = &none };
    nxi_pg_reader reader = { .statement = &statement, .table = table, .ins = ins, .count = table->column_count, .tracked = true };
    nx_error error;
    void *row;

    make_ins(table, data[0], ins);
    nx_status status = nxi_pg_get_row(&reader, arena, data + 1, size - 1, &row, &error);
    if (status == NX_OK)
        write_row(table, row);
    else
        NX_ASSERT(error.status == status && status != NX_ENOMEM);
}

static void read_decimal(nxi_arena *arena, const uint8_t *data, size_t size)
{
    nx_text text = nx_strn((const char *)data, size);
    nx_value value;
    nx_error error;
    nxi_buf out;

    nxi_buf_init(&out, memory);
    nx_status status = nxi_pg_numeric_put(&out, text, &error);
    if (status == NX_OK) {
        status = nxi_pg_get_value(arena, NXI_PG_NUMERIC, NXI_PG_AS_BINARY, (const uint8_t *)out.data, out.size, &value, &error);
        NX_ASSERT(status == NX_OK && nxi_decimal_compare(text, value.text) == 0);
    }
    nxi_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const nx_entity *const entities[] = { &Pair_entity, &Every_entity };
    nxi_arena arena;

    if (memory == NULL) {
        nx_error error;
        memory = nxi_memory_new(0);
        nxi_arena_init(&mapping, memory);
        nx_status status = nxi_tables_build(&mapping, &dialect, entities, NXI_COUNT(entities), &tables, &error);
        NX_ASSERT(status == NX_OK);
    }
    if (size < 2)
        return 0;
    nxi_arena_init(&arena, memory);
    if (data[0] % 4 == 0)
        read_row(&arena, data + 1, size - 1);
    else if (data[0] % 4 == 1)
        read_decimal(&arena, data + 1, size - 1);
    else
        read_value(&arena, data + 1, size - 1);
    nxi_arena_fini(&arena);
    return 0;
}
