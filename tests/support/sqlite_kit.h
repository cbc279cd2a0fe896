/*
 * sqlite_kit - SQLite workers on fake ports, a few entities, and requests for them.
 *
 * Every function asserts that what it needs works: a test calls and looks at results.
 */
#ifndef SQLITE_KIT_H
#define SQLITE_KIT_H

#include "engine/select.h"
#include "nextorm/entity.h"
#include "tests/support/fake_port.h"

#define KIT_OWNER(FIELD, E)            \
    FIELD(E, PK, i64, id)              \
    FIELD(E, REQ, text, name)
NX_ENTITY_DECLARE(Owner, KIT_OWNER)

#define KIT_THING(FIELD, E)                                             \
    FIELD(E, PK, i64, id)                                               \
    FIELD(E, REQ, i32, number, .sql_default = "0")                      \
    FIELD(E, REQ, f64, ratio)                                           \
    FIELD(E, REQ, text, title, .unique = true, .max_len = 100)          \
    FIELD(E, OPT, text, note)                                           \
    FIELD(E, OPT, boolean, flag)                                        \
    FIELD(E, SINGLE, Owner, owner, .optional = true)
NX_ENTITY_DECLARE(Thing, KIT_THING)

#define KIT_KINDS(FIELD, E)                                             \
    FIELD(E, PK, i32, id)                                               \
    FIELD(E, OPT, boolean, a_boolean)                                   \
    FIELD(E, OPT, i16, a_i16)                                           \
    FIELD(E, OPT, i32, a_i32)                                           \
    FIELD(E, OPT, i64, a_i64)                                           \
    FIELD(E, OPT, u32, a_u32)                                           \
    FIELD(E, OPT, f64, a_f64)                                           \
    FIELD(E, OPT, text, a_text)                                         \
    FIELD(E, OPT, longtext, a_longtext, .lazy = NX_OFF)                 \
    FIELD(E, OPT, bytes, a_bytes)                                       \
    FIELD(E, OPT, decimal, a_decimal)                                   \
    FIELD(E, OPT, json, a_json)                                         \
    FIELD(E, OPT, date, a_date)                                         \
    FIELD(E, OPT, time, a_time)                                         \
    FIELD(E, OPT, timestamp, a_timestamp)                               \
    FIELD(E, OPT, timestamptz, a_timestamptz)                           \
    FIELD(E, OPT, interval, a_interval)                                 \
    FIELD(E, OPT, uuid, a_uuid)                                         \
    FIELD(E, OPT, ulid, a_ulid)                                         \
    FIELD(E, OPT, enumeration, an_enumeration, .labels = NX_LABELS("red", "it's", "blue")) \
    FIELD(E, OPT, vector, a_vector, .dimensions = 3)                    \
    FIELD(E, REQ, u32, must)
NX_ENTITY_DECLARE(Kinds, KIT_KINDS)

enum { KIT_WORKERS_MAX = 3 };

typedef struct kit {
    nxi_memory *memory;
    nxi_arena arena;
    nxi_statements statements;
    nxi_tables tables;
    char directory[64], path[128];
    nx_bind_options options;
    size_t worker_count;
    nxi_port ports[KIT_WORKERS_MAX];
    void *states[KIT_WORKERS_MAX];
} kit;

enum { KIT_WRITER, KIT_READER, KIT_READER_2 };

/* A database in a new directory, or in memory; tables are created. options may be NULL; its path is ignored. */
void kit_open(kit *k, const nx_bind_options *options, bool in_memory);
void kit_close(kit *k);
/* The directory and an arena only: the test opens a worker itself. */
void kit_prepare(kit *k);
void kit_discard(kit *k);
/* One worker on k->path into place `at`. */
nx_status kit_open_worker(kit *k, size_t at, nxi_role role, nx_error *error);

const nxi_table *kit_table(const kit *k, const nx_entity *entity);
const nxi_column *kit_column(const nxi_table *table, const char *name);

/* Statements; interned. */
const nxi_statement *kit_insert(kit *k, const nx_entity *entity, const nxi_conflict *conflict);
const nxi_statement *kit_update(kit *k, const nx_entity *entity, const char *column);
const nxi_statement *kit_delete(kit *k, const nx_entity *entity);
const nxi_statement *kit_by_key(kit *k, const nx_entity *entity);
/* All columns of rows that the text after WHERE selects; `id` 0: not interned. */
const nxi_statement *kit_select(kit *k, const nx_entity *entity, const char *tail, uint32_t id);
const nxi_statement *kit_raw(kit *k, const char *sql);

/* A tracked row with the initial values. */
Thing *kit_thing(kit *k, int number, const char *title);

nxi_request *kit_request(kit *k, size_t steps);
/* Requests of one step, outside of transactions unless changed. */
nxi_request *kit_write(kit *k, const nxi_statement *statement, void *const *rows, size_t count);
nxi_request *kit_execute(kit *k, const char *sql, const nx_value *values, size_t count);
nxi_request *kit_query(kit *k, const char *sql, const nx_value *values, size_t count);
nxi_request *kit_fetch(kit *k, const nxi_statement *statement, const nx_value *values, size_t count);
/* A request without steps that ends a transaction. */
nxi_request *kit_end(kit *k, uint64_t transaction, nxi_end end);
/* Makes it the first or a later one of a transaction. */
nxi_request *kit_in(nxi_request *request, uint64_t transaction, nxi_begin begin, nxi_end end);

/* Serve a list of requests, ended by NULL, as one batch; they need not be finished afterwards. */
void kit_serve(kit *k, size_t worker, ...);
/* Serve until the request is finished; for things that wait for time to pass. */
void kit_serve_until(kit *k, size_t worker, const nxi_request *request);
/* Serve one request that must be finished by that; returns its status. */
nx_status kit_run(kit *k, size_t worker, nxi_request *request);
bool kit_is_finished(const kit *k, size_t worker, const nxi_request *request);
/* The first value of the first row of a text. */
int64_t kit_number(kit *k, size_t worker, const char *sql);
/* Runs a text that must succeed. */
void kit_do(kit *k, const char *sql);

/* Somebody else's connection to the same file; the caller closes it. */
struct sqlite3 *kit_open_other(kit *k);
void kit_other_do(struct sqlite3 *other, const char *sql);

/* Inserts one Owner. */
nxi_request *kit_insert_owner(kit *k, const char *name);
/* Makes it a transaction of its own. */
nxi_request *kit_whole(nxi_request *request, uint64_t transaction);
/* How many Owners the reader sees. */
int64_t kit_owners(kit *k);

#endif
