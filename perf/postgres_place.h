/* postgres_place - a database on a PostgreSQL server by hand: where it is, its table, and the connections that the floors share.
 */
#ifndef PERF_POSTGRES_PLACE_H
#define PERF_POSTGRES_PLACE_H

#include "postgres_wire.h"
#include "provider.h"

/* What connect gives: as many connections as the place says, opened when a floor first wants them. */
typedef struct perf_postgres {
    char url[PERF_PATH_MAX];
    size_t count;
    perf_wire *wires;
    size_t wires_open;
    PGconn **library; /* the same number again, for the floors through libpq */
    size_t library_open;
} perf_postgres;

/* The first `count` of the connections; NULL after a failure, which was printed. */
perf_wire *perf_postgres_wires(perf_postgres *postgres, size_t count);
PGconn **perf_postgres_library(perf_postgres *postgres, size_t count);

/* Say what libpq reported about `what`; false, so that callers can return it. */
bool perf_postgres_failed(PGconn *connection, const char *what);
/* Run a statement through libpq. */
bool perf_postgres_execute(PGconn *connection, const char *sql);

extern const perf_floor_run perf_postgres_wire_floors[PERF_FLOOR_count];
extern const perf_floor_run perf_postgres_library_floors[PERF_FLOOR_count];
extern const char *const perf_postgres_bulk_methods[];
extern const char *const perf_postgres_update_methods[];

/* Read the whole table (id, a, b, c) on a wire. */
bool perf_postgres_walk(perf_wire *wire, perf_sum *ret_sum);

/* postgres_wave.c: small statements, some of them in flight on each of some connections. */
bool perf_postgres_get(void *connection, const perf_task *task, perf_sample *ret_sample);
bool perf_postgres_commits(void *connection, const perf_task *task, perf_sample *ret_sample);

/* Binary COPY: what stands before the rows, behind them, and one row, with or without its key. */
extern const char perf_copy_head[19], perf_copy_tail[2];
enum { PERF_COPY_ROW = 2 + 4 + 8 + 4 + 4 + 4 + 8 + 4 + PERF_TEXT_SIZE };
char *perf_copy_put(char *at, const perf_item *item, bool with_key);

#endif
