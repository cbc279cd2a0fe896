/*
 * provider - what the workloads need of a provider: a place for databases, and the floors.
 *
 * A floor is the same work done by hand, as well as it can be done: with SQLite's library, or on a server's wire. A server has a
 * second floor, its own client library as people use it. Floors time themselves, so that only the work counts. Another
 * provider is one more perf_provider in provider.c.
 */
#ifndef PERF_PROVIDER_H
#define PERF_PROVIDER_H

#include <stdbool.h>

#include "item.h"
#include "measure.h"
#include "nextorm.h"

enum { PERF_EXTRAS_MAX = 6, PERF_PATH_MAX = 4096 };

/* What one run of one side showed. */
typedef struct perf_sample {
    perf_clock time;
    uint64_t host_allocs, enters;  /* engine only */
    perf_sum sum;                  /* of the rows that the side had in its hands */
    perf_sum stored;               /* of the rows in the database afterwards; count 0: not read */
    double extra[PERF_EXTRAS_MAX]; /* further figures; the workload names them */
} perf_sample;

/* A database. */
typedef struct perf_place {
    char path[PERF_PATH_MAX]; /* of the file; servers: a URI */
    uint16_t connections;     /* servers: of the engine, and of each floor */
    nx_synchronous synchronous;
} perf_place;

/* What a floor works on; which members it reads is up to the kind of floor. */
typedef struct perf_task {
    perf_item *items;     /* rows to write; room for rows to read */
    uint64_t count;       /* of items, or of operations */
    const int64_t *keys;  /* count keys to look up */
    char *texts;          /* room for count texts of PERF_TEXT_SIZE and a zero byte */
    nx_text *views;       /* room for count of them */
    size_t method;        /* which of the floor's methods; 0 when it has but one */
    bool with_autocommit; /* get: also without a transaction around; SQLite */
    size_t depth;         /* get: statements in flight on each connection; servers */
    double *latencies_us; /* get, commits: room for count of them; NULL: times of single operations are not wanted */
} perf_task;

/*
 * What a floor does, and its extra figures. Where operations run in flight on a server's connections (get, commits): with
 * latencies_us extra is p50 and p99 in us.
 */
typedef enum perf_floor_kind {
    PERF_FLOOR_INSERT, /* write items, their keys known afterwards (or given, where that is faster), one transaction */
    PERF_FLOOR_BULK,   /* write items; several methods, keys do not matter */
    PERF_FLOOR_FETCH,  /* read all rows into items, texts, views; extra: s, cpu_us_per_op of the walk; of the whole result */
    PERF_FLOOR_GET, /* read one row for each of keys; SQLite: one transaction; extra: autocommit seconds; server: one Sync for all
                       that is in flight on a connection; extra without latencies_us: s, cpu_us_per_op with a Sync each */
    PERF_FLOOR_COMMITS, /* one transaction for each item */
    PERF_FLOOR_UPDATE,  /* write b of each item, one transaction */
    PERF_FLOOR_STREAM,  /* read all rows, keep none */
    PERF_FLOOR_count
} perf_floor_kind;

/* Failures are printed by the function that meets them; false is enough for its callers. */
typedef bool (*perf_floor_run)(void *connection, const perf_task *task, perf_sample *ret_sample);

typedef struct perf_provider {
    const char *name;
    bool is_server;
    /* Once, before anything else in the process. */
    bool (*begin)(void);
    /*
     * Servers, in the process that the user started: reach the server at url, or with NULL start one of our own with its files in
     * `directory`, and make a database; undo all that. stop also follows a start that failed.
     */
    bool (*start)(const char *url, const char *directory);
    void (*stop)(void);
    /* Set place->path. */
    bool (*locate)(perf_place *place, const char *directory);
    const char *(*version)(void);
    /* The options with which the engine binds to a place. */
    nx_bind_options (*bind_options)(const perf_place *place);
    /* Make the place empty; with_table: with the table and its first `rows` rows. */
    bool (*create)(const perf_place *place, bool with_table, uint64_t rows);
    void (*remove)(const perf_place *place);
    void *(*connect)(const perf_place *place);
    void (*disconnect)(void *connection);
    /* Read the whole table. */
    bool (*read_sum)(void *connection, perf_sum *ret_sum);
    /* Of each kind. */
    const perf_floor_run *floors;
    /* Through the client library; NULL: that is what floors do. */
    const perf_floor_run *library_floors;
    /* Names of the methods of a kind of floor, up to NULL; NULL: it has but one. */
    const char *const *methods[PERF_FLOOR_count];
} perf_provider;

/* NULL: unknown, or not built in. */
const perf_provider *perf_provider_find(const char *name);
/* "sqlite, ..." for messages. */
const char *perf_provider_names(void);

extern const perf_provider perf_sqlite;
extern const perf_provider perf_postgres_provider; /* built where libpq is found */

#endif
