/*
 * values - operations on nx_value beyond the public text forms.
 */
#ifndef NXI_VALUES_H
#define NXI_VALUES_H

#include "engine/arena.h"

/*
 * Many values in the place of one: the parameter of a text like `x = ANY ($1)`. Made by a dialect's in_values, met by its driver;
 * never a user's, in no row and no result. The nx_value has the type NXI_TYPE_ARRAY, which no list of types knows.
 */
typedef struct nxi_value_array {
    nx_type element; /* of the values that are not NULL; an enumeration's are its labels, as text */
    const nx_value *values;
    size_t count;
} nxi_value_array;
enum { NXI_TYPE_ARRAY = 64 };
_Static_assert((int)NXI_TYPE_ARRAY > (int)NX_TYPE_count, "no public type has the number of arrays");
/* The array stays the caller's and must outlive the value. */
static inline nx_value nxi_value_of_array(const nxi_value_array *array)
{
    return (nx_value){ .type = (nx_type)NXI_TYPE_ARRAY, .bytes = { array, sizeof(*array) } };
}
/* NULL: it is a single value. */
static inline const nxi_value_array *nxi_value_array_of(const nx_value *value)
{
    return (unsigned)value->type == NXI_TYPE_ARRAY ? value->bytes.data : NULL;
}

/* Equal type group and content. Texts by bytes; f64 by bits except that NaN equals NaN. */
bool nxi_value_equal(const nx_value *a, const nx_value *b);
/* -1, 0, 1; only for values of the same ordered type (numbers, decimal, text, date and time types). */
int nxi_value_compare(const nx_value *a, const nx_value *b);
uint64_t nxi_value_hash(const nx_value *value, uint64_t seed);
/* Deep copy; false: out of memory. */
NX_MUST_CHECK bool nxi_value_copy(nxi_arena *arena, const nx_value *value, nx_value *ret_copy);

/*
 * Make `value` a value of `type` where that loses nothing: integers of all sizes (range checked), integer ->
 * f64, decimal, boolean (0/1); text -> any type by its text form; text <-> longtext, json; text -> enumeration by label
 * (labels may be NULL). New texts come from `arena`. NX_ETYPE, NX_ERANGE or NX_ENOMEM; then *value is unchanged.
 */
NX_MUST_CHECK nx_status nxi_value_convert(nxi_arena *arena, nx_type type, const char *const *labels, nx_value *value);

/*
 * Make a value of a result one of a column's type, as strictly as rows are read. `by_text`: the provider gives types that the
 * library does not know as their text, which may therefore stand for any type; else only for those that are stored as text, and
 * an interval is its microseconds. Texts must be valid, JSON must be JSON. NX_ETYPE, NX_ERANGE, NX_EENCODING or NX_ENOMEM;
 * then *value is unchanged.
 */
NX_MUST_CHECK nx_status nxi_value_take(nxi_arena *arena, nx_type type, const char *const *labels, bool by_text, nx_value *value);
/* Whether the bytes of a text are what its type (text, longtext, decimal, json) says: NX_OK, NX_EENCODING or NX_ETYPE. */
NX_MUST_CHECK nx_status nxi_text_check(nx_type type, const char *data, size_t size);

/*
 * True for UTF-8 (no surrogates, no overlong forms, at most U+10FFFF) without a zero byte; else *ret_bad, unless NULL, is the
 * offset of the first wrong character.
 */
bool nxi_text_is_valid(const char *data, size_t size, size_t *ret_bad);
/*
 * True for one JSON value (RFC 8259) in any white space; names may come twice. At most so many arrays and objects in each
 * other.
 */
enum { NXI_JSON_DEPTH_MAX = 4096 };
bool nxi_json_is_valid(const char *data, size_t size);
/* Characters of a valid text. */
size_t nxi_text_length(const char *data, size_t size);

/*
 * Digits, at most one point and one leading sign, or NaN: counts the digits before and after the point, without zeros that
 * lead or trail. False: no decimal.
 */
bool nxi_decimal_measure(const char *data, size_t size, size_t *ret_whole_digits, size_t *ret_fraction_digits);
int nxi_decimal_compare(nx_text a, nx_text b);

/* Vectors as "[1,2.5,3]". */
NX_MUST_CHECK nx_status nxi_vector_parse(nxi_arena *arena, nx_text text, nx_vector *ret_vector);
/* Into `arena`, zero-terminated; data NULL: out of memory. */
nx_text nxi_vector_format(nxi_arena *arena, nx_vector vector);
/* Shortest decimal text that reads back as the same double; 32 bytes are enough. Returns the length. */
size_t nxi_f64_format(double value, char *ret_text);

#endif
