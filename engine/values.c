/*
 * values - equality, order, hash and copies of nx_value.
 */
#include "engine/values.h"

#include "engine/map.h"
#include "engine/types.h"

#include <math.h>

/* Types whose contents may be compared with each other. */
typedef enum value_group {
    GROUP_NULL,
    GROUP_BOOLEAN,
    GROUP_INTEGER,
    GROUP_F64,
    GROUP_TEXT,
    GROUP_BYTES,
    GROUP_DATE,
    GROUP_MICROSECONDS,
    GROUP_INTERVAL,
    GROUP_IDENTIFIER,
    GROUP_ENUMERATION,
    GROUP_VECTOR
} value_group;

static value_group group_of(nx_type type)
{
    static const uint8_t groups[NX_TYPE_count] = {
        [NX_TYPE_boolean] = GROUP_BOOLEAN,
        [NX_TYPE_i16] = GROUP_INTEGER,
        [NX_TYPE_i32] = GROUP_INTEGER,
        [NX_TYPE_i64] = GROUP_INTEGER,
        [NX_TYPE_u32] = GROUP_INTEGER,
        [NX_TYPE_f64] = GROUP_F64,
        [NX_TYPE_text] = GROUP_TEXT,
        [NX_TYPE_longtext] = GROUP_TEXT,
        [NX_TYPE_decimal] = GROUP_TEXT,
        [NX_TYPE_json] = GROUP_TEXT,
        [NX_TYPE_bytes] = GROUP_BYTES,
        [NX_TYPE_date] = GROUP_DATE,
        [NX_TYPE_time] = GROUP_MICROSECONDS,
        [NX_TYPE_timestamp] = GROUP_MICROSECONDS,
        [NX_TYPE_timestamptz] = GROUP_MICROSECONDS,
        [NX_TYPE_interval] = GROUP_INTERVAL,
        [NX_TYPE_uuid] = GROUP_IDENTIFIER,
        [NX_TYPE_ulid] = GROUP_IDENTIFIER,
        [NX_TYPE_enumeration] = GROUP_ENUMERATION,
        [NX_TYPE_vector] = GROUP_VECTOR,
    };

    return (unsigned)type < NX_TYPE_count ? (value_group)groups[type] : GROUP_NULL;
}

/* The bytes that a pointer type refers to; a NULL pointer refers to none. */
static nx_text content_of(const nx_value *value)
{
    nx_text content = value->text;

    if (value->type == NX_TYPE_bytes)
        content = (nx_text){value->bytes.data, value->bytes.size};
    else if (value->type == NX_TYPE_vector)
        content = (nx_text){(const char *)value->vector.data, value->vector.size * sizeof(float)};
    if (content.data == NULL)
        content.size = 0;
    return content;
}

/* time, timestamp and timestamptz have one layout, and so have uuid and ulid. */
static int64_t microseconds_of(const nx_value *value)
{
    if (value->type == NX_TYPE_time)
        return value->time.microseconds;
    return value->type == NX_TYPE_timestamp ? value->timestamp.microseconds : value->timestamptz.microseconds;
}

static const uint8_t *identifier_of(const nx_value *value)
{
    return value->type == NX_TYPE_uuid ? value->uuid.byte : value->ulid.byte;
}

static bool is_same_content(nx_text a, nx_text b)
{
    if ((a.data == NULL) != (b.data == NULL) || a.size != b.size)
        return false;
    return a.size == 0 || a.data == b.data || memcmp(a.data, b.data, a.size) == 0;
}

/* All NaNs are one value; 0.0 and -0.0 are two, because they are stored differently. */
static uint64_t f64_bits(double value)
{
    uint64_t bits = UINT64_C(0x7ff8000000000000);

    if (!isnan(value))
        memcpy(&bits, &value, sizeof(bits));
    return bits;
}

bool nxi_value_equal(const nx_value *a, const nx_value *b)
{
    value_group group = group_of(a->type);

    if (group != group_of(b->type))
        return false;
    switch (group) {
    case GROUP_NULL:
        return true;
    case GROUP_BOOLEAN:
        return a->boolean == b->boolean;
    case GROUP_INTEGER:
        return a->i64 == b->i64;
    case GROUP_F64:
        return f64_bits(a->f64) == f64_bits(b->f64);
    case GROUP_TEXT:
    case GROUP_BYTES:
    case GROUP_VECTOR:
        return is_same_content(content_of(a), content_of(b));
    case GROUP_DATE:
        return a->date.days == b->date.days;
    case GROUP_MICROSECONDS:
        return a->type == b->type && microseconds_of(a) == microseconds_of(b);
    case GROUP_INTERVAL:
        return a->interval.months == b->interval.months && a->interval.days == b->interval.days &&
               a->interval.microseconds == b->interval.microseconds;
    case GROUP_IDENTIFIER:
        return a->type == b->type && memcmp(identifier_of(a), identifier_of(b), 16) == 0;
    case GROUP_ENUMERATION:
        return a->enumeration == b->enumeration;
    }
    return false;
}

static int compare_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* NaN is greater than every number, as in PostgreSQL. */
static int compare_f64(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (int)!!isnan(a) - (int)!!isnan(b);
    return (a > b) - (a < b);
}

static int compare_content(nx_text a, nx_text b)
{
    size_t common = nxi_min_size(a.size, b.size);
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

    if (order == 0)
        return (a.size > b.size) - (a.size < b.size);
    return order > 0 ? 1 : -1;
}

/* A month counts 30 days here, as in PostgreSQL: intervals have no order of their own. */
static int compare_interval(nx_interval a, nx_interval b)
{
    static const int64_t day = INT64_C(86400000000);
    __int128 x = ((__int128)a.months * 30 + a.days) * day + a.microseconds;
    __int128 y = ((__int128)b.months * 30 + b.days) * day + b.microseconds;

    return (x > y) - (x < y);
}

int nxi_value_compare(const nx_value *a, const nx_value *b)
{
    value_group group = group_of(a->type);

    if (group != group_of(b->type))
        return compare_i64(group, group_of(b->type));
    switch (group) {
    case GROUP_NULL:
        return 0;
    case GROUP_BOOLEAN:
        return a->boolean - b->boolean;
    case GROUP_INTEGER:
        return compare_i64(a->i64, b->i64);
    case GROUP_F64:
        return compare_f64(a->f64, b->f64);
    case GROUP_TEXT:
        if (a->type == NX_TYPE_decimal && b->type == NX_TYPE_decimal)
            return nxi_decimal_compare(a->text, b->text);
        return compare_content(content_of(a), content_of(b));
    case GROUP_BYTES:
    case GROUP_VECTOR:
        return compare_content(content_of(a), content_of(b));
    case GROUP_DATE:
        return compare_i64(a->date.days, b->date.days);
    case GROUP_MICROSECONDS:
        return compare_i64(microseconds_of(a), microseconds_of(b));
    case GROUP_INTERVAL:
        return compare_interval(a->interval, b->interval);
    case GROUP_IDENTIFIER:
        return compare_i64(memcmp(identifier_of(a), identifier_of(b), 16), 0);
    case GROUP_ENUMERATION:
        return compare_i64(a->enumeration, b->enumeration);
    }
    return 0;
}

static uint64_t hash_u64(uint64_t x, uint64_t seed)
{
    return nxi_hash_u64(x + seed * UINT64_C(0x9e3779b97f4a7c15));
}

/* With seed 0 an integer hashes to nxi_hash_u64 of itself: the fast paths of row keys rely on it. */
uint64_t nxi_value_hash(const nx_value *value, uint64_t seed)
{
    nx_text content;

    switch (group_of(value->type)) {
    case GROUP_NULL:
        return hash_u64(UINT64_C(0x6e756c6c), seed);
    case GROUP_BOOLEAN:
        return hash_u64(value->boolean, seed);
    case GROUP_INTEGER:
        return hash_u64((uint64_t)value->i64, seed);
    case GROUP_F64:
        return hash_u64(f64_bits(value->f64), seed);
    case GROUP_TEXT:
    case GROUP_BYTES:
    case GROUP_VECTOR:
        content = content_of(value);
        return nxi_hash_bytes(content.data == NULL ? "" : content.data, content.size, seed);
    case GROUP_DATE:
        return hash_u64((uint64_t)value->date.days, seed);
    case GROUP_MICROSECONDS:
        return hash_u64((uint64_t)microseconds_of(value), seed);
    case GROUP_INTERVAL:
        return nxi_hash_bytes(&value->interval, sizeof(value->interval), seed);
    case GROUP_IDENTIFIER:
        return nxi_hash_bytes(identifier_of(value), 16, seed);
    case GROUP_ENUMERATION:
        return hash_u64((uint64_t)value->enumeration, seed);
    }
    return 0;
}

bool nxi_value_copy(nxi_arena *arena, const nx_value *value, nx_value *ret_copy)
{
    nx_value copy = *value;
    nx_text content;
    void *data;

    if (nxi_type_is_pointer(value->type)) {
        content = content_of(value);
        if (content.data != NULL && value->type == NX_TYPE_vector) {
            /* Floats need their alignment, which nxi_arena_text does not promise. */
            data = nxi_arena_get(arena, content.size, 16);
            if (data == NULL)
                return false;
            memcpy(data, content.data, content.size);
            copy.vector.data = data;
        } else if (content.data != NULL) {
            data = nxi_arena_text(arena, content.data, content.size);
            if (data == NULL)
                return false;
            if (value->type == NX_TYPE_bytes)
                copy.bytes.data = data;
            else
                copy.text.data = data;
        }
    }
    *ret_copy = copy;
    return true;
}
