/*
 * db - a database: its binding, mapping, statements, and single operations on it.
 */
#ifndef NXI_DB_H
#define NXI_DB_H

#include "drivers/driver.h"
#include "engine/op.h"
#include "engine/pool.h"
#include "engine/stats.h"
#include "engine/table.h"
#include "engine/token.h"
#include "engine/trace.h"

typedef enum nxi_db_state { NXI_DB_UNBOUND, NXI_DB_BINDING, NXI_DB_BOUND, NXI_DB_CLOSING } nxi_db_state;

struct nx_db {
    nx_loop *loop;
    struct nx_db *next;             /* of the loop */
    nxi_db_state state;
    bool freeing;                   /* nothing reaches the pool any more */
    const nx_entity **entities;     /* registered, in order */
    size_t entity_count;
    const nxi_driver *driver;       /* of the last bind */
    nxi_pool *pool;
    nxi_arena arena;                /* mapping */
    bool mapped;
    nxi_tables tables;
    nxi_buf catalog_answer;         /* the last one, see catalog.h */
    const char *const *create_list; /* CREATE statements, ends with NULL */
    const char *ddl;
    nxi_statements statements;
    nxi_token_texts token_texts;    /* of the last bind */
    nxi_stats stats;
    nxi_trace trace;
    nxi_map rows;                   /* made outside sessions, by address */
    struct nxi_row_wait *row_waits, **row_waits_end; /* operations that wait for an earlier one on their row */
    struct nx_query *queries;       /* that belong to this database */
    nxi_arena stats_arena;          /* of the last nx_stats_get */
    nxi_buf stats_text;
    size_t calls;                   /* requests in flight */
    struct nxi_channel *channels;   /* that are listened to, or were until just now */
    nx_error error;                 /* of the last call that has no completion to tell it by */
};

/* One request of an operation, in the operation's arena; at most one of an operation is in flight. */
typedef struct nxi_call nxi_call;
struct nxi_call {
    nxi_request request;
    nxi_op *op;
    nx_db *db;
    void *context;                  /* the caller's */
    void (*then)(nxi_call *call);   /* after it is done, on the loop's thread */
    bool wrote;                     /* the transaction that it commits has written, or may have */
    bool at_once;                   /* SQL text or a set-based write in a session: no row's pending work does it again */
    bool has_spare_step;            /* behind its steps */
    bool is_internal;               /* not the program's: in no statistics, shown to nobody */
    nxi_token token;
};

/* In op->arena, with that many zeroed steps; NULL: out of memory. */
nxi_call *nxi_call_new(nxi_op *op, nx_db *db, size_t step_count, void (*then)(nxi_call *call));
/* Hand it over; until `then` the operation's arena belongs to the driver. */
void nxi_call_submit(nxi_call *call);
/* The same for what must not be stopped half way, a rollback: neither a cancel nor the deadline reaches it. */
void nxi_call_submit_to_end(nxi_call *call);
/* The usual `then`: failure ends the operation with the request's error. true: it went well. */
NX_MUST_CHECK bool nxi_call_is_ok(nxi_call *call);

/* NX_ENOTBOUND, NX_ECLOSED, NX_ESTATE: not bound, or closing; NX_OK: requests can be submitted. */
nx_status nxi_db_check(const nx_db *db, bool mapped, nx_error *error);

nx_db *nxi_db_new(nx_loop *loop, const nx_entity *const *entities);
void nxi_db_free(nx_db *db);
/* The table of an entity; NULL: it has none here, and db->error says so. */
const nxi_table *nxi_db_expect_table(nx_db *db, const nx_entity *entity);
NX_MUST_CHECK nx_status nxi_db_register(nx_db *db, const nx_entity *entity);
void nxi_db_bind(nx_db *db, nxi_op *op, const char *provider, const nx_bind_options *options);
void nxi_db_close(nx_db *db, nxi_op *op);
void nxi_db_map(nx_db *db, nxi_op *op, bool create);
void nxi_db_create(nx_db *db, nxi_op *op);
void nxi_db_drop(nx_db *db, nxi_op *op, const char *const *tables, size_t count, unsigned flags);

/* The table of an entity in a database; NULL: not mapped there. */
const nxi_table *nxi_db_table(const nx_db *db, const nx_entity *entity);
/* In the first database of the loop, in the order of their making, that maps it. */
const nxi_table *nxi_loop_table(const nx_loop *loop, const nx_entity *entity);

void *nxi_db_make_row(nx_db *db, const nxi_table *table);
void nxi_db_release_row(nx_db *db, void *row);
/* Copy what such a row points to into memory of its own. False: it is another row, or out of memory. */
NX_MUST_CHECK bool nxi_db_own_texts(nx_db *db, void *row);
void nxi_db_free_row(nx_db *db, void *row);

typedef enum nxi_write { NXI_WRITE_SAVE, NXI_WRITE_INSERT, NXI_WRITE_DELETE } nxi_write;
/* A row outside sessions: one statement, one transaction. */
void nxi_db_write_row(nx_db *db, nxi_op *op, void *row, nxi_write write);

typedef struct nxi_raw { const char *sql; const nx_value *values; size_t count; } nxi_raw;
/* Prepare the step of a raw statement: values are copied into the operation. `rows`: a result is wanted. */
NX_MUST_CHECK nx_status nxi_raw_step(nx_db *db, nxi_op *op, const nxi_raw *raw, bool rows, nxi_step *step, nx_error *error);
void nxi_db_raw(nx_db *db, nxi_op *op, const nxi_raw *raw, bool rows);
/* What the database says about a table: its columns, or what is unique in it. */
void nxi_db_describe(nx_db *db, nxi_op *op, const char *table, bool uniques);
/* listen.c */
void nxi_db_listen(nx_db *db, nxi_op *op, const char *channel);
void nxi_db_notify(nx_db *db, nxi_op *op, const char *channel, const char *payload);
/* All listeners end with NX_ECLOSED; channels with a request in flight go when that is done. */
void nxi_db_end_listening(nx_db *db);
void nxi_db_fetch_sql(nx_db *db, nxi_op *op, const nx_entity *entity, const nxi_raw *raw);

#endif
