/*
 * pg_train_kit - the PostgreSQL driver without a socket, before a server from memory (pg_model): requests in, what became of them
 * out.
 *
 * One connection at a time. Requests are named by a letter; what was reported of them is kept as text, so that two runs can be
 * compared.
 */
#ifndef PG_TRAIN_KIT_H
#define PG_TRAIN_KIT_H

#include "drivers/postgres/postgres.h"
#include "engine/table.h"
#include "tests/support/pg_model.h"

#define ITEM(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, number)
NX_ENTITY_DECLARE(Item, ITEM)

enum { TK_REQUESTS_MAX = 64, TK_WHOLE = 0, TK_BYTES = -1 };

typedef struct train_kit {
    nxi_memory *memory;
    nxi_arena arena;
    nxi_tables tables;
    nxi_statements statements;
    const nxi_wire *wire;
    nxi_pg *pg;
    pg_model model;
    nxi_buf out;
    uint64_t position; /* of the end of `out` in the stream */
    size_t enough;     /* fill's; 0: a lot */
    long cut;          /* TK_WHOLE, TK_BYTES, or the answers come in two pieces, cut behind that byte of all of them */
    long received;
    nx_error error; /* of decode */
    nx_status status;
    unsigned failures; /* calls of decode that failed */
    nxi_request *requests[TK_REQUESTS_MAX];
    size_t request_count, finished;
    char report[8192];
    unsigned notified;
} train_kit;

extern train_kit tk;

/* With those options, or NULL; to be a suite's .init and .fini: tk_begin, tk_end. */
void tk_open(const nx_bind_options *options);
void tk_close(void);
void tk_begin(void);
void tk_end(void);

/* A statement of a text of one's own, always the same for one text. */
const nxi_statement *tk_text(const char *sql);
nxi_request *tk_new(size_t steps);
/* Reads, each of its own. */
nxi_request *tk_read(const char *sql);
/* One that executes the text. */
nxi_request *tk_execute(const char *sql);
/* `count` new items numbered first, first + 1 .., in a transaction of their own. */
nxi_request *tk_insert(size_t count, int32_t first);
/* Make it one of transaction `number`. */
nxi_request *tk_of(nxi_request *request, uint64_t number, nxi_begin begin, nxi_end end);
/* Hand it to the driver; false: it was refused for want of memory, and is over. */
bool tk_put(nxi_request *request);

/* Let the driver append what it has; the model does not see it yet. */
void tk_fill(void);
/* The model takes what is there, and answers; nothing is received yet. */
void tk_serve(void);
/* The driver receives what the model has answered. */
void tk_receive(void);
/* Until nothing moves any more. False: the connection is of no more use. */
bool tk_run(void);
/* Bytes as if from the server, cut by tk.cut. */
nx_status tk_feed(const void *data, size_t size);
/* Types of the messages that the model has got since the last call. */
const char *tk_log(void);
Item *tk_item(const nxi_request *request, size_t row);

#endif
