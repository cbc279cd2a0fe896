/*
 * query - a query under construction, and how its terminals run.
 *
 * A query is counted: its maker holds it until a step or terminal uses it up, a kept one until it is freed,
 * an operation until it is released. What a step adds lies in the arena of the query that the step returned; a query
 * made from a kept one refers to what that one holds.
 */
#ifndef NXI_QUERY_H
#define NXI_QUERY_H

#include "engine/db.h"
#include "engine/select.h"

struct nx_query {
    nx_loop *loop;
    nx_db *db;
    nx_session *session;           /* NULL: outside sessions */
    struct nx_query *base;         /* kept query that this one was made from */
    struct nx_query *next, **link; /* list of the owner */
    uint32_t references;
    bool kept, used_up, untracked;
    uint32_t deadline_ms;
    nxi_arena arena;
    nxi_select select;
    nx_error *error;               /* the first mistake; NULL: none */
    nxi_buf sql;                   /* for nx_sql */
};

/* Of a database, or of a session on that database. `table` NULL with `error`: a query that only fails. NULL: out of memory. */
nx_query *nxi_query_new(nx_loop *loop, nx_db *db, nx_session *session, const nxi_table *table, const nx_error *error);
/*
 * The query that a step works on: itself, or a copy of a kept one. NULL stays NULL; one with an error or used up
 * is to be left alone (*ret_ready false).
 */
nx_query *nxi_query_step(nx_query *q, bool *ret_ready);
void nxi_query_mistake(nx_query *q, const nx_error *error);
void nxi_query_unref(nx_query *q);
/* Their session or database (forget_db) goes away: drop what the maker holds, for all of a list. */
void nxi_queries_free(nx_query **list, bool forget_db);

/* The structs that are kept for reuse; when no operation holds one any more. */
void nxi_queries_fini(nx_loop *loop);

/* What a terminal asks for. */
typedef struct nxi_ask {
    nxi_verb verb;
    nx_column column;                /* aggregates */
    const nx_assignment *assignments;/* UPDATE; CONCAT: one, with the separator */
    size_t assignment_count;
    uint32_t row_limit;              /* FETCH: 0 all, 1 first, 2 at most one */
    bool required;                   /* none is NX_ENOTFOUND */
    bool by_key;                     /* look into the identity map first */
} nxi_ask;

/* Use the query up and run it. */
nx_op nxi_query_run(nx_query *q, const nxi_ask *ask, void *tag);
/* Take the query for an operation (stream): NULL when it cannot run; then *ret_op is the refusal. */
nxi_op *nxi_query_take(nx_query *q, void *tag, nx_op *ret_op);
nx_op nxi_query_stream(nx_query *q, const nx_stream_options *options, void *tag);

/* The part that a session calls when it is an operation's turn: build and submit. */
void nxi_query_start(nxi_op *op, nx_query *q, const nxi_ask *ask);

#endif
