/*
 * value - the types of fields, and one value of any of them.
 *
 * Texts and bytes are {pointer, size}. The library never changes what they point to, and whoever
 * set a pointer keeps the memory alive: until the flush that writes it has completed for a field,
 * until the call returns for a value given to a query (it is copied). A text read from a database
 * is followed by a zero byte that its size does not count. data == NULL is "no value"; a text of
 * size 0 with data != NULL is the empty string, which is not NULL on any provider.
 */
#ifndef NEXTORM_VALUE_H
#define NEXTORM_VALUE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nextorm/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef bool nx_boolean;
typedef int16_t nx_i16;
typedef int32_t nx_i32;
typedef int64_t nx_i64;
typedef uint32_t nx_u32;
typedef double nx_f64;
typedef struct nx_text { const char *data; size_t size; } nx_text;   /* UTF-8, no zero byte inside */
typedef nx_text nx_longtext;                                         /* lazy unless told otherwise */
typedef struct nx_bytes { const void *data; size_t size; } nx_bytes;
typedef struct nx_decimal { const char *data; size_t size; } nx_decimal; /* "-12.50": digits, exact */
typedef struct nx_json { const char *data; size_t size; } nx_json;       /* JSON text */
typedef struct nx_date { int32_t days; } nx_date;                    /* since 1970-01-01 */
typedef struct nx_time { int64_t microseconds; } nx_time;            /* since midnight */
typedef struct nx_timestamp { int64_t microseconds; } nx_timestamp;  /* since 1970-01-01T00:00, no zone */
typedef struct nx_timestamptz { int64_t microseconds; } nx_timestamptz; /* since 1970-01-01T00:00Z */
typedef struct nx_interval { int32_t months; int32_t days; int64_t microseconds; } nx_interval;
typedef struct nx_uuid { uint8_t byte[16]; } nx_uuid;
typedef struct nx_ulid { uint8_t byte[16]; } nx_ulid;
typedef int32_t nx_enumeration;                                      /* index into the field's labels */
typedef struct nx_vector { const float *data; size_t size; } nx_vector; /* size: dimensions */

/* Every scalar type: name (nx_<name>, NX_TYPE_<name>, member of nx_value). */
#define NX_TYPE_LIST(X)                                                                            \
    X(boolean) X(i16) X(i32) X(i64) X(u32) X(f64) X(text) X(longtext) X(bytes) X(decimal) X(json)  \
    X(date) X(time) X(timestamp) X(timestamptz) X(interval) X(uuid) X(ulid) X(enumeration)         \
    X(vector)

#define NX_TYPE_ENUM(name) NX_TYPE_##name,
typedef enum nx_type {
    NX_TYPE_null, /* no value; in a descriptor: not stored */
    NX_TYPE_LIST(NX_TYPE_ENUM)
    NX_TYPE_key,  /* SINGLE: the key of another entity's row */
    NX_TYPE_set,  /* SET: a collection, no column */
    NX_TYPE_count
} nx_type;
#undef NX_TYPE_ENUM

/* The optional form of each type: present == false is NULL. */
#define NX_OPTIONAL(name) typedef struct nx_opt_##name { nx_##name value; bool present; } nx_opt_##name;
NX_TYPE_LIST(NX_OPTIONAL)
#undef NX_OPTIONAL

/* nx_some(i32, 5) and nx_none(i32): values for optional fields. */
#define nx_some(type, v) ((nx_opt_##type){ .value = (v), .present = true })
#define nx_none(type) ((nx_opt_##type){ .present = false })

/*
 * One value of any type. type NX_TYPE_null is SQL's NULL. i16, i32, i64 and u32 all use .i64.
 * A composite key is not a value: it is an array of them.
 */
typedef struct nx_value {
    nx_type type;
    union {
        bool boolean;
        int64_t i64;
        double f64;
        nx_text text; /* text, longtext, decimal, json */
        nx_bytes bytes;
        nx_date date;
        nx_time time;
        nx_timestamp timestamp;
        nx_timestamptz timestamptz;
        nx_interval interval;
        nx_uuid uuid;
        nx_ulid ulid;
        nx_enumeration enumeration;
        nx_vector vector;
    };
} nx_value;

/* A text of a zero-terminated string; NULL gives no value. */
static inline nx_text nx_str(const char *s) { return (nx_text){ s, s == NULL ? 0 : strlen(s) }; }
static inline nx_text nx_strn(const char *data, size_t size) { return (nx_text){ data, size }; }
static inline nx_bytes nx_bytes_of(const void *data, size_t size) { return (nx_bytes){ data, size }; }
static inline nx_decimal nx_dec(const char *s) { return (nx_decimal){ s, s == NULL ? 0 : strlen(s) }; }
static inline nx_json nx_json_of(const char *s) { return (nx_json){ s, s == NULL ? 0 : strlen(s) }; }

static inline nx_value nx_null(void) { return (nx_value){ .type = NX_TYPE_null }; }
/* NX_TYPE_<name> with that member; a pointer that is NULL makes it SQL's NULL. */
#define NX_VALUE_MAKER_(name, c_type, member)                                                      \
    static inline nx_value nx_value_##name(c_type v) { return (nx_value){ .type = NX_TYPE_##name, .member = v }; }
#define NX_VALUE_POINTER_MAKER_(name, c_type, ...)                                                 \
    static inline nx_value nx_value_##name(c_type v)                                               \
    {                                                                                              \
        return (nx_value){ .type = v.data == NULL ? NX_TYPE_null : NX_TYPE_##name, __VA_ARGS__ };  \
    }
NX_VALUE_MAKER_(boolean, bool, boolean)
NX_VALUE_MAKER_(i64, int64_t, i64)
NX_VALUE_MAKER_(f64, double, f64)
NX_VALUE_MAKER_(date, nx_date, date)
NX_VALUE_MAKER_(time, nx_time, time)
NX_VALUE_MAKER_(timestamp, nx_timestamp, timestamp)
NX_VALUE_MAKER_(timestamptz, nx_timestamptz, timestamptz)
NX_VALUE_MAKER_(interval, nx_interval, interval)
NX_VALUE_MAKER_(uuid, nx_uuid, uuid)
NX_VALUE_MAKER_(ulid, nx_ulid, ulid)
NX_VALUE_POINTER_MAKER_(text, nx_text, .text = v)
NX_VALUE_POINTER_MAKER_(bytes, nx_bytes, .bytes = v)
NX_VALUE_POINTER_MAKER_(decimal, nx_decimal, .text = { v.data, v.size })
NX_VALUE_POINTER_MAKER_(json, nx_json, .text = { v.data, v.size })
NX_VALUE_POINTER_MAKER_(vector, nx_vector, .vector = v)
#undef NX_VALUE_MAKER_
#undef NX_VALUE_POINTER_MAKER_
static inline nx_value nx_value_str(const char *v) { return nx_value_text(nx_str(v)); }
static inline nx_value nx_value_self(nx_value v) { return v; }

/*
 * Any C value as an nx_value. A char pointer is a zero-terminated text, NULL is SQL's NULL. Unsigned 64-bit types
 * are left out on purpose: they may not fit, so the caller converts them.
 */
#define NX_VALUE(v)                                                                                \
    _Generic((v), bool: nx_value_boolean, signed char: nx_value_i64, unsigned char: nx_value_i64,  \
        short: nx_value_i64, unsigned short: nx_value_i64, int: nx_value_i64,                      \
        unsigned int: nx_value_i64, long: nx_value_i64, long long: nx_value_i64,                   \
        float: nx_value_f64, double: nx_value_f64, char *: nx_value_str,                           \
        const char *: nx_value_str, nx_text: nx_value_text, nx_bytes: nx_value_bytes,              \
        nx_decimal: nx_value_decimal, nx_json: nx_value_json, nx_date: nx_value_date,              \
        nx_time: nx_value_time, nx_timestamp: nx_value_timestamp,                                  \
        nx_timestamptz: nx_value_timestamptz, nx_interval: nx_value_interval,                      \
        nx_uuid: nx_value_uuid, nx_ulid: nx_value_ulid, nx_vector: nx_value_vector,                \
        nx_value: nx_value_self)(v)

/* NX_MAP(M, a, b, c) is M(a) M(b) M(c), each followed by a comma; up to 32 arguments. */
#define NX_MAP_COUNT_(                                                                             \
    a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20,     \
    a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, n, ...) n
#define NX_MAP_COUNT(...)                                                                          \
    NX_MAP_COUNT_(__VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, \
        15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define NX_MAP_1(M, a) M(a),
#define NX_MAP_2(M, a, ...) M(a), NX_MAP_1(M, __VA_ARGS__)
#define NX_MAP_3(M, a, ...) M(a), NX_MAP_2(M, __VA_ARGS__)
#define NX_MAP_4(M, a, ...) M(a), NX_MAP_3(M, __VA_ARGS__)
#define NX_MAP_5(M, a, ...) M(a), NX_MAP_4(M, __VA_ARGS__)
#define NX_MAP_6(M, a, ...) M(a), NX_MAP_5(M, __VA_ARGS__)
#define NX_MAP_7(M, a, ...) M(a), NX_MAP_6(M, __VA_ARGS__)
#define NX_MAP_8(M, a, ...) M(a), NX_MAP_7(M, __VA_ARGS__)
#define NX_MAP_9(M, a, ...) M(a), NX_MAP_8(M, __VA_ARGS__)
#define NX_MAP_10(M, a, ...) M(a), NX_MAP_9(M, __VA_ARGS__)
#define NX_MAP_11(M, a, ...) M(a), NX_MAP_10(M, __VA_ARGS__)
#define NX_MAP_12(M, a, ...) M(a), NX_MAP_11(M, __VA_ARGS__)
#define NX_MAP_13(M, a, ...) M(a), NX_MAP_12(M, __VA_ARGS__)
#define NX_MAP_14(M, a, ...) M(a), NX_MAP_13(M, __VA_ARGS__)
#define NX_MAP_15(M, a, ...) M(a), NX_MAP_14(M, __VA_ARGS__)
#define NX_MAP_16(M, a, ...) M(a), NX_MAP_15(M, __VA_ARGS__)
#define NX_MAP_17(M, a, ...) M(a), NX_MAP_16(M, __VA_ARGS__)
#define NX_MAP_18(M, a, ...) M(a), NX_MAP_17(M, __VA_ARGS__)
#define NX_MAP_19(M, a, ...) M(a), NX_MAP_18(M, __VA_ARGS__)
#define NX_MAP_20(M, a, ...) M(a), NX_MAP_19(M, __VA_ARGS__)
#define NX_MAP_21(M, a, ...) M(a), NX_MAP_20(M, __VA_ARGS__)
#define NX_MAP_22(M, a, ...) M(a), NX_MAP_21(M, __VA_ARGS__)
#define NX_MAP_23(M, a, ...) M(a), NX_MAP_22(M, __VA_ARGS__)
#define NX_MAP_24(M, a, ...) M(a), NX_MAP_23(M, __VA_ARGS__)
#define NX_MAP_25(M, a, ...) M(a), NX_MAP_24(M, __VA_ARGS__)
#define NX_MAP_26(M, a, ...) M(a), NX_MAP_25(M, __VA_ARGS__)
#define NX_MAP_27(M, a, ...) M(a), NX_MAP_26(M, __VA_ARGS__)
#define NX_MAP_28(M, a, ...) M(a), NX_MAP_27(M, __VA_ARGS__)
#define NX_MAP_29(M, a, ...) M(a), NX_MAP_28(M, __VA_ARGS__)
#define NX_MAP_30(M, a, ...) M(a), NX_MAP_29(M, __VA_ARGS__)
#define NX_MAP_31(M, a, ...) M(a), NX_MAP_30(M, __VA_ARGS__)
#define NX_MAP_32(M, a, ...) M(a), NX_MAP_31(M, __VA_ARGS__)
#define NX_MAP_PASTE_(n) NX_MAP_##n
#define NX_MAP_PASTE(n) NX_MAP_PASTE_(n)
#define NX_MAP(M, ...) NX_MAP_PASTE(NX_MAP_COUNT(__VA_ARGS__))(M, __VA_ARGS__)

/* nx_args(cutoff, "x", 3.5): two arguments, an array of values and its length. */
#define nx_args(...)                                                                               \
    ((const nx_value[]){ NX_MAP(NX_VALUE, __VA_ARGS__) }),                                         \
        (sizeof((const nx_value[]){ NX_MAP(NX_VALUE, __VA_ARGS__) }) / sizeof(nx_value))
#define nx_no_args ((const nx_value *)NULL), ((size_t)0)

/* ------------------------------------------------------------------------------ text forms */

/* Bytes that hold any value's text form except text, bytes, json, decimal and vector. */
enum { NX_TEXT_FORM_SIZE = 64 };

/*
 * ISO 8601 forms: 2026-11-23, 13:45:06.123456, 2026-11-23 13:45:06.123456, with +00:00 for
 * timestamptz, P1Y2M3DT4H5M6.5S, 8-4-4-4-12 hexadecimal, 26 characters of Crockford's base 32.
 * format writes a zero-terminated text of at most NX_TEXT_FORM_SIZE bytes and returns its length;
 * parse returns NX_ETYPE when the text is no such value, NX_ERANGE when it is one that cannot be held.
 */
NX_API size_t nx_date_format(nx_date value, char *ret_text);
NX_API size_t nx_time_format(nx_time value, char *ret_text);
NX_API size_t nx_timestamp_format(nx_timestamp value, char *ret_text);
NX_API size_t nx_timestamptz_format(nx_timestamptz value, char *ret_text);
NX_API size_t nx_interval_format(nx_interval value, char *ret_text);
NX_API size_t nx_uuid_format(nx_uuid value, char *ret_text);
NX_API size_t nx_ulid_format(nx_ulid value, char *ret_text);
NX_API NX_MUST_CHECK nx_status nx_date_parse(nx_text text, nx_date *ret_value);
NX_API NX_MUST_CHECK nx_status nx_time_parse(nx_text text, nx_time *ret_value);
NX_API NX_MUST_CHECK nx_status nx_timestamp_parse(nx_text text, nx_timestamp *ret_value);
NX_API NX_MUST_CHECK nx_status nx_timestamptz_parse(nx_text text, nx_timestamptz *ret_value);
NX_API NX_MUST_CHECK nx_status nx_interval_parse(nx_text text, nx_interval *ret_value);
NX_API NX_MUST_CHECK nx_status nx_uuid_parse(nx_text text, nx_uuid *ret_value);
NX_API NX_MUST_CHECK nx_status nx_ulid_parse(nx_text text, nx_ulid *ret_value);

/* Positive and negative infinity of date, timestamp and timestamptz. */
#define NX_DAYS_INFINITY INT32_MAX
#define NX_DAYS_MINUS_INFINITY INT32_MIN
#define NX_MICROSECONDS_INFINITY INT64_MAX
#define NX_MICROSECONDS_MINUS_INFINITY INT64_MIN

/* Fresh identifiers (RFC 9562; ulid specification); randomness from getrandom. Any thread. */
NX_API nx_uuid nx_uuid4(void);
NX_API nx_uuid nx_uuid7(void);
NX_API nx_ulid nx_ulid_new(void);

/* The time now, UTC. Any thread. */
NX_API nx_timestamptz nx_now(void);

/* "i64", "text" ...; static storage. nx_type_parse: NX_TYPE_null when the name is unknown. */
NX_API const char *nx_type_name(nx_type type);
NX_API nx_type nx_type_parse(nx_text name);

/*
 * The value as text, zero-terminated, cut at size bytes; returns the length that the whole text
 * has (as snprintf does). NULL gives "NULL"; bytes give X'hex'.
 */
NX_API size_t nx_value_format(nx_value value, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
