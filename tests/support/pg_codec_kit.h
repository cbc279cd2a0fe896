/*
 * pg_codec_kit - entities of every type and form with a statement of all their columns, and rows as messages of PostgreSQL.
 */
#ifndef PG_CODEC_KIT_H
#define PG_CODEC_KIT_H

#include "drivers/postgres/codec.h"
#include "tests/support/mapping_kit.h"

#define EVENT(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, a)                                                                                                        \
    FIELD(E, REQ, f64, b)                                                                                                        \
    FIELD(E, REQ, text, c)
NX_ENTITY_DECLARE(Event, EVENT)

/* Every type, required and optional. */
#define EVERY(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, boolean, boolean)                                                                                              \
    FIELD(E, REQ, i16, i16)                                                                                                      \
    FIELD(E, REQ, i32, i32)                                                                                                      \
    FIELD(E, REQ, u32, u32)                                                                                                      \
    FIELD(E, REQ, f64, f64)                                                                                                      \
    FIELD(E, REQ, text, text)                                                                                                    \
    FIELD(E, REQ, longtext, longtext)                                                                                            \
    FIELD(E, REQ, bytes, bytes)                                                                                                  \
    FIELD(E, REQ, decimal, decimal)                                                                                              \
    FIELD(E, REQ, json, json)                                                                                                    \
    FIELD(E, REQ, date, date)                                                                                                    \
    FIELD(E, REQ, time, time)                                                                                                    \
    FIELD(E, REQ, timestamp, timestamp)                                                                                          \
    FIELD(E, REQ, timestamptz, timestamptz)                                                                                      \
    FIELD(E, REQ, interval, interval)                                                                                            \
    FIELD(E, REQ, uuid, uuid)                                                                                                    \
    FIELD(E, REQ, ulid, ulid)                                                                                                    \
    FIELD(E, REQ, enumeration, enumeration, .labels = NX_LABELS("red", "green"))                                                 \
    FIELD(E, REQ, vector, vector)                                                                                                \
    FIELD(E, OPT, boolean, o_boolean)                                                                                            \
    FIELD(E, OPT, i16, o_i16)                                                                                                    \
    FIELD(E, OPT, i32, o_i32)                                                                                                    \
    FIELD(E, OPT, i64, o_i64)                                                                                                    \
    FIELD(E, OPT, u32, o_u32)                                                                                                    \
    FIELD(E, OPT, f64, o_f64)                                                                                                    \
    FIELD(E, OPT, text, o_text)                                                                                                  \
    FIELD(E, OPT, bytes, o_bytes)                                                                                                \
    FIELD(E, OPT, decimal, o_decimal)                                                                                            \
    FIELD(E, OPT, json, o_json)                                                                                                  \
    FIELD(E, OPT, date, o_date)                                                                                                  \
    FIELD(E, OPT, time, o_time)                                                                                                  \
    FIELD(E, OPT, timestamptz, o_timestamptz)                                                                                    \
    FIELD(E, OPT, interval, o_interval)                                                                                          \
    FIELD(E, OPT, uuid, o_uuid)                                                                                                  \
    FIELD(E, OPT, ulid, o_ulid)                                                                                                  \
    FIELD(E, OPT, enumeration, o_enumeration, .labels = NX_LABELS("red", "green"))                                               \
    FIELD(E, OPT, vector, o_vector)
NX_ENTITY_DECLARE(Every, EVERY)

#define PAIR(FIELD, E)                                                                                                           \
    FIELD(E, PK, text, region)                                                                                                   \
    FIELD(E, PK, i32, number)
NX_ENTITY_DECLARE(Pair, PAIR)

#define NOTE(FIELD, E)                                                                                                           \
    FIELD(E, PK, i32, id)                                                                                                        \
    FIELD(E, SINGLE, Event, event)                                                                                               \
    FIELD(E, SINGLE, Pair, pair, .optional = true)                                                                               \
    FIELD(E, OPT, longtext, body)
NX_ENTITY_DECLARE(Note, NOTE)

enum { COLUMNS_MAX = 64 };

/* Of the entity in use: every column is a parameter and a result. */
extern const nxi_table *pg_table;
extern const nxi_column *pg_columns[COLUMNS_MAX];
extern nxi_pg_oid pg_types[COLUMNS_MAX]; /* of results */
extern nxi_pg_out pg_outs[COLUMNS_MAX];
extern nxi_pg_in pg_ins[COLUMNS_MAX];
extern nxi_statement pg_statement;
extern nxi_pg_reader pg_reader;
extern nxi_buf pg_out;

/* To be a suite's .init and .fini. */
void pg_open(void);
void pg_close(void);

void pg_use(const nx_entity *entity);
/* Results of pg_types come in that format. */
void pg_use_format(nxi_pg_format format);
/* The row as a DataRow in pg_out. */
void pg_put_row(const void *row);
/* The first `size` bytes of pg_out, in a block of that size, as a row; kit_error says what is wrong. */
nx_status pg_get_cut(size_t size, void **ret_row);
/* All of them; the test fails when they are no row. */
void *pg_get_row(void);
/* All columns have the same values. */
void pg_expect_same(const void *a, const void *b);

/* Limits and usual values in all required fields; in all optional ones. */
Every *pg_fill_every(void);
void pg_fill_optional(Every *e);

#endif
