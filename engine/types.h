/*
 * types - layout of the value types in structs, and the elementary text forms of numbers.
 *
 * Uses: arena.h
 */
#ifndef NXI_TYPES_H
#define NXI_TYPES_H

#include "engine/arena.h"

typedef struct nxi_type_info {
    const char *name;
    uint8_t size, align;                            /* of nx_<name> */
    uint8_t optional_size, optional_align, present; /* of nx_opt_<name>; offset of its `present` */
} nxi_type_info;

/* Indexed by nx_type; all zero except the name for null, key and set. */
extern const nxi_type_info nxi_types[NX_TYPE_count];

static inline bool nxi_type_is_scalar(nx_type type)
{
    return type > NX_TYPE_null && type < NX_TYPE_key;
}

/* i16, i32, i64, u32: all held in nx_value.i64. */
static inline bool nxi_type_is_integer(nx_type type)
{
    return type >= NX_TYPE_i16 && type <= NX_TYPE_u32;
}

/* text, longtext, decimal, json: all held in nx_value.text. */
static inline bool nxi_type_is_text(nx_type type)
{
    return type == NX_TYPE_text || type == NX_TYPE_longtext || type == NX_TYPE_decimal || type == NX_TYPE_json;
}

/* {pointer, size}: a NULL pointer is no value. */
static inline bool nxi_type_is_pointer(nx_type type)
{
    return (type >= NX_TYPE_text && type <= NX_TYPE_json) || type == NX_TYPE_vector;
}

/* The least and greatest value of an integer type. */
int64_t nxi_integer_min(nx_type type);
int64_t nxi_integer_max(nx_type type);

/* Writes the decimal digits, not zero-terminated; 20 bytes are enough. Returns the length. */
size_t nxi_integer_format(int64_t value, char *ret_text);
size_t nxi_u64_format(uint64_t value, char *ret_text);

/* [+-]digits. NX_ETYPE: no integer; NX_ERANGE: not within 64 bits. */
NX_MUST_CHECK nx_status nxi_integer_parse(const char *data, size_t size, int64_t *ret_value);

/*
 * Decimal or exponent notation, "inf", "infinity", "nan" in any case; independent of the locale. Texts longer than 127
 * bytes need `arena`. NX_ETYPE, NX_ERANGE (too large for a double) or NX_ENOMEM.
 */
NX_MUST_CHECK nx_status nxi_f64_parse(nxi_arena *arena, const char *data, size_t size, double *ret_value);

/* nxi_f64_format for a float: as few digits as read back as the same float. */
size_t nxi_f32_format(float value, char *ret_text);

/* ASCII only; the second text is lower case. */
bool nxi_text_is_word(const char *data, size_t size, const char *lower_case);

#endif
