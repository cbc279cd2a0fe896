/*
 * pg_model - a server that speaks protocol 3 from memory: it takes what a driver sends, and answers as PostgreSQL would.
 *
 * It knows one table, item(id, number), transactions and savepoints over it, prepared statements, portals, COPY, and the few
 * texts of its own that are listed at `execute` in pg_model.c. Rows whose number is `bad` are refused (23514). Everything is kept
 * in plain memory of the host, so that nxi_memory_fail does not concern it. A message that no server would understand fails the
 * test.
 */
#ifndef PG_MODEL_H
#define PG_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PGM_ROWS_MAX = 16384, PGM_STATEMENTS_MAX = 64, PGM_SAVEPOINTS_MAX = 16 };

typedef struct pgm_statement {
    char name[48];
    char sql[1024];
    unsigned params;
} pgm_statement;

typedef struct pgm_bytes {
    uint8_t *data;
    size_t size, capacity;
} pgm_bytes;

typedef struct pg_model {
    pgm_bytes in, out; /* out: what it has answered; the test takes it and sets size to 0 */
    char log[65536];   /* types of the messages that came */
    size_t log_size;
    /* the session */
    char status;
    bool skipping, copying, in_block;
    bool aborted; /* the block */
    pgm_statement statements[PGM_STATEMENTS_MAX];
    size_t statement_count;
    pgm_statement bound; /* the unnamed portal; name "": none */
    bool is_bound, is_described;
    int32_t values[PGM_ROWS_MAX]; /* its parameters */
    size_t value_count;
    pgm_bytes copied;
    /* the table: rows from `committed` on are of the transaction */
    int32_t rows[PGM_ROWS_MAX];
    size_t row_count, committed;
    struct {
        char name[32];
        size_t rows;
    } savepoints[PGM_SAVEPOINTS_MAX];
    size_t savepoint_count;
    int64_t sequence, first; /* first: of a COPY */
    /* what the test wants of it */
    int32_t bad;         /* 0: none */
    bool names_line;     /* of a COPY: the row that is refused */
    bool noise;          /* notices, parameters and notifications before every answer */
    bool fails_commit;   /* COMMIT is answered ROLLBACK */
    unsigned steals;     /* that many times somebody else draws from the sequence during a COPY */
    unsigned interrupts; /* that many executions of "read" fail with 57014 */
    /* counted */
    unsigned syncs, parses, closes, copies;
} pg_model;

void pgm_open(pg_model *m);
void pgm_close(pg_model *m);
/* Bytes from the driver, cut anywhere. */
void pgm_take(pg_model *m, const void *data, size_t size);
/* Everything that was prepared is gone (DISCARD ALL). */
void pgm_forget(pg_model *m);
/* How many committed rows have that number. */
size_t pgm_count(const pg_model *m, int32_t number);

/* Messages by hand; also for answers that no server gives. */
void pgm_put(pgm_bytes *out, char type, const void *body, size_t size);
/* fatal: severity FATAL, else ERROR. where: NULL, or the context. */
void pgm_put_error(pgm_bytes *out, bool fatal, const char *sqlstate, const char *message, const char *where);
void pgm_put_ready(pgm_bytes *out, char status);
void pgm_put_tag(pgm_bytes *out, const char *tag);

#endif
