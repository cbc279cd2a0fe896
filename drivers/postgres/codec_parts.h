/*
 * codec_parts - what the files of the codec share: the table of types, text forms, numerics, arrays.
 */
#ifndef NXI_PG_CODEC_PARTS_H
#define NXI_PG_CODEC_PARTS_H

#include "drivers/postgres/codec.h"
#include "engine/types.h"

enum {
    NXI_PG_FLOAT4_ARRAY = 1021,
    NXI_PG_DAYS_TO_2000 = 10957, /* from 1970-01-01: dates and instants count from 2000-01-01 on the wire */
    NXI_PG_JSONB_VERSION = 1     /* the byte in front of the text: jsonb_send */
};
#define NXI_PG_MICROSECONDS_TO_2000 (INT64_C(86400000000) * NXI_PG_DAYS_TO_2000)
#define NXI_PG_MICROSECONDS_OF_DAY  INT64_C(86400000000)

/* A scalar type of the server that is known by its number. */
typedef struct nxi_pg_type {
    nxi_pg_oid oid, array;
    const char *name;
    nx_type type; /* ours; the server's integers are i16, i32, i64 and (OID) u32 */
    uint8_t size; /* of its binary form; 0: any */
    bool as_text; /* results and parameters go in text format */
} nxi_pg_type;

/* NULL: unknown, or an array. */
const nxi_pg_type *nxi_pg_type_of(nxi_pg_oid oid);
/* "int4", "int4[]", "type 70000"; static or in `space`. */
enum { NXI_PG_TYPE_NAME_SIZE = 32 };
const char *nxi_pg_type_name(nxi_pg_oid oid, char space[NXI_PG_TYPE_NAME_SIZE]);

/* "table.column: ...", with both named in the error; returns the status. */
nx_status nxi_pg_column_error(const nxi_column *column, nx_error *error, nx_status status, const char *format, ...)
    NX_PRINTF(4, 5);
/* Put table and column in front of what is already in *error; NX_ENOMEM and a NULL error stay as they are. */
nx_status nxi_pg_column_error_of(const nxi_column *column, nx_error *error, nx_status status);
/* Labels of the column's enumeration, or of the column it refers to. */
const char *const *nxi_pg_labels(const nxi_column *column);

/* ------------------------------------------------------------------------------ text forms */

/*
 * As the server writes it with DateStyle ISO, IntervalStyle iso_8601, TimeZone UTC: 't', "0044-03-15 BC", "+00" ...
 * Zero-terminated, at most NX_TEXT_FORM_SIZE bytes; returns the length. 0: a type whose form has no bound, or none.
 */
size_t nxi_pg_text_form(const nx_value *value, char *ret_text);
/* date, timestamp or timestamptz in the server's form; else as nx_*_parse. */
NX_MUST_CHECK nx_status nxi_pg_instant_parse(nx_type type, nx_text text, nx_value *ret_value);

/* -------------------------------------------------------------------------------- numerics */

/* The binary form of numeric_send, checked: base 10000, digits[0] counts 10000^weight. */
typedef struct nxi_pg_numeric {
    const uint8_t *digits; /* big-endian, two bytes each, below 10000 */
    size_t count;
    int32_t weight;
    uint16_t sign;  /* one of NXI_PG_NUMERIC_* */
    uint16_t scale; /* digits that are shown behind the point */
} nxi_pg_numeric;

enum {
    NXI_PG_NUMERIC_POSITIVE = 0x0000,
    NXI_PG_NUMERIC_NEGATIVE = 0x4000,
    NXI_PG_NUMERIC_NAN = 0xc000,
    NXI_PG_NUMERIC_INFINITY = 0xd000,
    NXI_PG_NUMERIC_MINUS_INFINITY = 0xf000
};

/* False: the bytes are no numeric. Zeros in front are dropped. */
NX_MUST_CHECK bool nxi_pg_numeric_open(const uint8_t *data, size_t size, nxi_pg_numeric *ret_numeric);
/* Bytes that nxi_pg_numeric_format may write, with a zero byte. */
size_t nxi_pg_numeric_room(const nxi_pg_numeric *numeric);
/* "-12.50", "NaN", "Infinity"; zero-terminated; returns the length. */
size_t nxi_pg_numeric_format(const nxi_pg_numeric *numeric, char *ret_text);
/* Append the binary form (without a length in front). NX_ETYPE: no decimal; NX_ERANGE: too many digits. */
NX_MUST_CHECK nx_status nxi_pg_numeric_put(nxi_buf *out, nx_text decimal, nx_error *error);

/* ---------------------------------------------------------------------------------- arrays */

/* A checked array header of array_send; the elements lie behind it, [int32 length][bytes] each, not checked yet. */
enum {
    NXI_PG_DIMENSIONS_MAX = 6, /* MAXDIM */
    NXI_PG_ARRAY_HEAD_SIZE = 12,
    NXI_PG_ARRAY_DIMENSION_SIZE = 8,
    NXI_PG_ARRAY_ELEMENTS_MAX = 0x7ffffff /* MaxArraySize */
};
typedef struct nxi_pg_array {
    nxi_pg_oid element;
    uint32_t dimensions;
    uint32_t length[NXI_PG_DIMENSIONS_MAX];
    int32_t first[NXI_PG_DIMENSIONS_MAX]; /* lower bounds */
    size_t count;                         /* of all elements; at most a quarter of the bytes */
    const uint8_t *elements, *end;
} nxi_pg_array;

NX_MUST_CHECK bool nxi_pg_array_open(const uint8_t *data, size_t size, nxi_pg_array *ret_array);
/* The next element; *ret_data NULL: SQL's NULL. False: the bytes end before it does. */
NX_MUST_CHECK bool nxi_pg_array_next(nxi_pg_array *array, const uint8_t **ret_data, size_t *ret_size);
/* An array in binary as array_out writes it, into `arena`. NX_EPROTOCOL, NX_ERANGE, NX_ELIMIT, NX_ENOMEM. */
NX_MUST_CHECK nx_status nxi_pg_array_text(nxi_arena *arena, nxi_pg_oid type, const uint8_t *data, size_t size, nx_text *ret_text,
                                          nx_error *error);
/* FLOAT4's array in binary, or pgvector's vector: int16 dimensions, int16 0, a float each. NX_EPROTOCOL, NX_ETYPE, NX_ENOMEM. */
NX_MUST_CHECK nx_status nxi_pg_vector_get(nxi_arena *arena, nxi_pg_oid type, const uint8_t *data, size_t size,
                                          nx_vector *ret_vector, nx_error *error);

/* The head of one dimension with lower bound 1; of none when count is 0. */
static inline void nxi_pg_array_head(char *at, bool has_null, nxi_pg_oid element, size_t count)
{
    nxi_pg_store32(at, count == 0 ? 0 : 1);
    nxi_pg_store32(at + 4, has_null);
    nxi_pg_store32(at + 8, element);
    if (count != 0) {
        nxi_pg_store32(at + NXI_PG_ARRAY_HEAD_SIZE, (uint32_t)count);
        nxi_pg_store32(at + NXI_PG_ARRAY_HEAD_SIZE + 4, 1);
    }
}

static inline float nxi_pg_float_of(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}
static inline uint32_t nxi_pg_float_bits(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

/* False: no such day or instant can be held. Infinities have the same numbers on both sides. */
static inline bool nxi_pg_days_in(int32_t wire, int32_t *ret_days)
{
    if (wire == INT32_MAX || wire == INT32_MIN) {
        *ret_days = wire;
        return true;
    }
    return !__builtin_add_overflow(wire, NXI_PG_DAYS_TO_2000, ret_days) && *ret_days != INT32_MAX;
}
static inline bool nxi_pg_instant_in(int64_t wire, int64_t *ret_microseconds)
{
    if (wire == INT64_MAX || wire == INT64_MIN) {
        *ret_microseconds = wire;
        return true;
    }
    return !__builtin_add_overflow(wire, NXI_PG_MICROSECONDS_TO_2000, ret_microseconds) && *ret_microseconds != INT64_MAX;
}
/*
 * The least day and instant are those of Julian day 0; the greatest day ends at Julian day 2147483494, and every instant that we
 * hold lies before the greatest one: src/include/datatype/timestamp.h.
 */
static inline bool nxi_pg_days_out(int32_t days, int32_t *ret_wire)
{
    const int32_t least = -2451545, end = 2147483494 - 2451545;
    *ret_wire = days;
    if (days == INT32_MAX || days == INT32_MIN)
        return true;
    return !__builtin_sub_overflow(days, NXI_PG_DAYS_TO_2000, ret_wire) && *ret_wire >= least && *ret_wire < end;
}
static inline bool nxi_pg_instant_out(int64_t microseconds, int64_t *ret_wire)
{
    const int64_t least = INT64_C(-211813488000000000);
    *ret_wire = microseconds;
    if (microseconds == INT64_MAX || microseconds == INT64_MIN)
        return true;
    return !__builtin_sub_overflow(microseconds, NXI_PG_MICROSECONDS_TO_2000, ret_wire) && *ret_wire >= least;
}
static inline bool nxi_pg_is_time(int64_t microseconds)
{
    return microseconds >= 0 && microseconds <= NXI_PG_MICROSECONDS_OF_DAY; /* 24:00:00 is one */
}

#endif
