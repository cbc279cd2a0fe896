/*
 * codec - values and rows in PostgreSQL's binary format; no input or output, no state of a connection.
 *
 * Facts: PostgreSQL 15 documentation, 55.2 "Message Flow", 55.7 "Message Formats" (Bind, DataRow), 55.8; the send and receive
 * functions of each type in src/backend/utils/adt. All integers are big-endian. Every length that comes from the server is
 * checked before it is used; every length that is sent is checked when it is narrowed. Threads: any; what a function is given is
 * not kept.
 */
#ifndef NXI_PG_CODEC_H
#define NXI_PG_CODEC_H

#include "drivers/driver.h"

typedef uint32_t nxi_pg_oid;

/* catalog/pg_type.dat: these numbers are fixed. 0 as a parameter's type: the server infers it, the value is sent as text. */
enum {
    NXI_PG_INFER = 0,
    NXI_PG_BOOL = 16,
    NXI_PG_BYTEA = 17,
    NXI_PG_CHAR = 18,
    NXI_PG_NAME = 19,
    NXI_PG_INT8 = 20,
    NXI_PG_INT2 = 21,
    NXI_PG_INT4 = 23,
    NXI_PG_TEXT = 25,
    NXI_PG_OID = 26,
    NXI_PG_JSON = 114,
    NXI_PG_XML = 142,
    NXI_PG_FLOAT4 = 700,
    NXI_PG_FLOAT8 = 701,
    NXI_PG_UNKNOWN = 705,
    NXI_PG_BPCHAR = 1042,
    NXI_PG_VARCHAR = 1043,
    NXI_PG_DATE = 1082,
    NXI_PG_TIME = 1083,
    NXI_PG_TIMESTAMP = 1114,
    NXI_PG_TIMESTAMPTZ = 1184,
    NXI_PG_INTERVAL = 1186,
    NXI_PG_TIMETZ = 1266,
    NXI_PG_NUMERIC = 1700,
    NXI_PG_UUID = 2950,
    NXI_PG_JSONB = 3802
};

typedef enum nxi_pg_format { NXI_PG_AS_TEXT = 0, NXI_PG_AS_BINARY = 1 } nxi_pg_format; /* the protocol's format codes */

/* The largest value that is sent or taken: below 1 GiB, PostgreSQL's own limit (MaxAllocSize). */
enum { NXI_PG_VALUE_BYTES_MAX = 0x3fffffff };

/* ------------------------------------------------------------------------------ values */

/*
 * The type under which a value of ours is sent as a parameter: i16 INT2, i32 INT4, i64 and u32 INT8, json JSONB, vector FLOAT4's
 * array, ulid TEXT ... text, longtext and enumeration (its label) are NXI_PG_INFER: their text and binary forms are the same
 * bytes, and the server may need to infer a native enum, citext, inet ...
 */
nxi_pg_oid nxi_pg_parameter_type(nx_type type);
/* The array type of an element type that has one here; 0: none. */
nxi_pg_oid nxi_pg_array_of(nxi_pg_oid element);
/* 0: no array type that is known. */
nxi_pg_oid nxi_pg_element_of(nxi_pg_oid array);
/* The format in which parameters of that type are sent: NXI_PG_INFER is text. */
nxi_pg_format nxi_pg_parameter_format(nxi_pg_oid type);
/* Results of that type are asked for in binary, because nxi_pg_get_value knows it. */
bool nxi_pg_is_known(nxi_pg_oid type);

/*
 * Append [int32 length][bytes] of a value as a parameter of type `as` (a NULL: length -1). Values are converted where that
 * loses nothing (i64 as INT4 with a range check ...). NX_ERANGE, NX_ETYPE, NX_ELIMIT, NX_EENCODING; on failure *out is as it was.
 * labels: of an enumeration, else NULL. as NXI_PG_INFER, a type of texts or one that is not known: the text form of any type (a
 * vector's is
 * "[1,2]"). A double as FLOAT4 is rounded, as the server does. Texts are checked: UTF-8 without zero bytes.
 * Memory: a failed growth shows in out->failed only.
 */
NX_MUST_CHECK nx_status nxi_pg_put_value(nxi_buf *out, const nx_value *value, nxi_pg_oid as, const char *const *labels,
                                         nx_error *error);
/* Append [int32 length][array]: one dimension, lower bound 1, of `count` values as elements of type `element` (NXI_PG_INFER:
 * TEXT). */
NX_MUST_CHECK nx_status nxi_pg_put_array(nxi_buf *out, const nx_value *values, size_t count, nxi_pg_oid element, nx_error *error);

/*
 * A value of a result by its own type, for raw queries: INT2..INT8, OID -> i64; FLOAT4, FLOAT8 -> f64; BOOL; texts; BYTEA; DATE,
 * TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, NUMERIC (decimal), UUID, JSON, JSONB; arrays of those as their text form "{1,2,NULL}"
 * (quoted as array_out does). TIMETZ and unknown types: in text format as text, in binary format as bytes. data NULL: SQL's NULL.
 * Texts and bytes are copied into `arena` (zero-terminated). NX_EPROTOCOL: the bytes are no value of that type; NX_ETYPE: no text
 * form of it; NX_ERANGE: a value that cannot be held (a numeric's infinity, the last years of timestamp); NX_ELIMIT, NX_ENOMEM.
 */
NX_MUST_CHECK nx_status nxi_pg_get_value(nxi_arena *arena, nxi_pg_oid type, nxi_pg_format format, const uint8_t *data,
                                         size_t size, nx_value *ret_value, nx_error *error);

/* ------------------------------------------------------------------------------ rows out */

/* One parameter of a row-bound statement, ready to be encoded: private to codec. */
typedef struct nxi_pg_out {
    const nxi_column *column;
    nxi_pg_oid type;
    uint32_t offset, present_offset;
    uint8_t code;
    bool from_snapshot;
} nxi_pg_out;

/* types[i]: the type under which parameter i is sent (NXI_PG_INFER: text). `outs` has room for count. */
void nxi_pg_outs_make(const nxi_param *params, const nxi_pg_oid *types, size_t count, nxi_pg_out *outs);
/*
 * Append [int32 length][bytes] of each parameter of the row, straight from the struct: the body of a Bind or of a CopyData tuple.
 * On failure *out is as it was, and the error names table and column. Texts are not checked again: nxi_row_prepare has done so.
 */
NX_MUST_CHECK nx_status nxi_pg_put_row(nxi_buf *out, const nxi_pg_out *outs, size_t count, const void *row, nx_error *error);
/*
 * Append [int32 length][array] of one parameter of many rows: for unnest; one->type is the elements'. *ret_row, on failure, is
 * the row's index.
 */
NX_MUST_CHECK nx_status nxi_pg_put_column(nxi_buf *out, const nxi_pg_out *one, void *const *rows, size_t count, size_t *ret_row,
                                          nx_error *error);

/* ------------------------------------------------------------------------------ rows in */

/* How a column of a result gets into a struct: private to codec. */
typedef struct nxi_pg_in {
    const nxi_column *column;
    nxi_pg_oid type;
    uint32_t offset, present_offset;
    uint8_t code;
    uint8_t format;
    bool is_other;  /* a type that is not known, nor an array */
    uint32_t fixed; /* the only length there is; 0: any */
} nxi_pg_in;

typedef struct nxi_pg_reader {
    const nxi_statement *statement;
    const nxi_table *table;
    const nxi_pg_in *ins;
    size_t count;
    uint32_t lazy_missing; /* nxi_pg_lazy_missing, for a statement without results; not looked at for others */
    bool tracked;
    void *owner;
} nxi_pg_reader;

/*
 * types and formats are those of the RowDescription. A type that cannot become the column's is NX_ETYPE and names both.
 * Accepted: every type of the same kind where no value is lost or where a loss is found value by value (INT8 into i32 with a
 * range check, INT4 into i64, NUMERIC without fraction into integers, FLOAT4 into f64, JSON and JSONB into json and text, any
 * text-like or unknown type into any type by its text form; format text: the text forms). columns[i] NULL: that value is passed
 * over.
 */
NX_MUST_CHECK nx_status nxi_pg_ins_make(const nxi_column *const *columns, const nxi_pg_oid *types, const nxi_pg_format *formats,
                                        size_t count, nxi_pg_in *ins, nx_error *error);
/* nxi_row.lazy_missing of rows that have these columns; NULL among them: no column. */
uint32_t nxi_pg_lazy_missing(const nxi_table *table, const nxi_column *const *columns, size_t count);
/*
 * The body of a DataRow (int16 count, then [int32 length][bytes] each) as a row in `arena`: struct, texts and, when tracked, the
 * snapshot. One allocation for a row and its texts. NX_EPROTOCOL: the bytes are no DataRow of that count, or a value is none of
 * its type (the connection is of no more use); NX_ETYPE (also NULL where it cannot be), NX_ERANGE, NX_ELIMIT: the value does not
 * fit the column, which the error names; NX_ENOMEM.
 */
NX_MUST_CHECK nx_status nxi_pg_get_row(const nxi_pg_reader *reader, nxi_arena *arena, const uint8_t *data, size_t size,
                                       void **ret_row, nx_error *error);

/* ------------------------------------------------------------------------------ bytes */

static inline uint32_t nxi_pg_load32(const uint8_t *p)
{
    uint32_t x;
    memcpy(&x, p, sizeof(x));
    return __builtin_bswap32(x);
}
static inline uint16_t nxi_pg_load16(const uint8_t *p)
{
    uint16_t x;
    memcpy(&x, p, sizeof(x));
    return __builtin_bswap16(x);
}
static inline uint64_t nxi_pg_load64(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof(x));
    return __builtin_bswap64(x);
}
static inline void nxi_pg_store32(void *p, uint32_t x)
{
    x = __builtin_bswap32(x);
    memcpy(p, &x, sizeof(x));
}
static inline void nxi_pg_store16(void *p, uint16_t x)
{
    x = __builtin_bswap16(x);
    memcpy(p, &x, sizeof(x));
}
static inline void nxi_pg_store64(void *p, uint64_t x)
{
    x = __builtin_bswap64(x);
    memcpy(p, &x, sizeof(x));
}

/*
 * The next value of a DataRow (55.7), which is moved over: its length and its bytes, which stay where they are. NULL has no
 * bytes: *ret_data is NULL, and *ret_size 0. False: the row ends before; nothing is set then.
 */
static inline bool nxi_pg_next_value(const uint8_t **at, const uint8_t *end, const uint8_t **ret_data, uint32_t *ret_size)
{
    uint32_t size;

    if (end - *at < 4)
        return false;
    size = nxi_pg_load32(*at);
    if (size != UINT32_MAX && size > (size_t)(end - *at) - 4)
        return false;
    *at += 4;
    *ret_data = size == UINT32_MAX ? NULL : *at;
    *ret_size = size == UINT32_MAX ? 0 : size;
    *at += *ret_size;
    return true;
}

#endif
