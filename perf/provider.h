/*
 * provider - what the workloads need of a provider: a place for databases, and the floors.
 *
 * A floor is the same work done by hand with the provider's own library, as well as it can be done; it times
 * itself, so that only the work counts. Another provider is one more perf_provider in provider.c.
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
    char path[PERF_PATH_MAX];
    nx_synchronous synchronous;
} perf_place;

/* What a floor works on; which members it reads is up to the kind of floor. */
typedef struct perf_task {
    perf_item *items;      /* rows to write; room for rows to read */
    uint64_t count;        /* of items, or of operations */
    const int64_t *keys;   /* count keys to look up */
    char *texts;           /* room for count texts of PERF_TEXT_SIZE and a zero byte */
    nx_text *views;        /* room for count of them */
    size_t method;         /* which of the floor's methods; 0 when it has but one */
    bool with_autocommit;  /* get: also without a transaction around */
} perf_task;

typedef enum perf_floor_kind {
    PERF_FLOOR_INSERT,  /* write items, learn their keys, one transaction */
    PERF_FLOOR_BULK,    /* write items; several methods, keys do not matter */
    PERF_FLOOR_FETCH,   /* read all rows into items, texts, views; extra: walk_s, walk_cpu_us_per_op */
    PERF_FLOOR_GET,     /* read one row for each of keys, one transaction; extra: autocommit seconds */
    PERF_FLOOR_COMMITS, /* one transaction for each item */
    PERF_FLOOR_UPDATE,  /* write b of each item, one transaction */
    PERF_FLOOR_STREAM,  /* read all rows, keep none */
    PERF_FLOOR_count
} perf_floor_kind;

/* Failures are printed by the function that meets them; false is enough for its callers. */
typedef bool (*perf_floor_run)(void *connection, const perf_task *task, perf_sample *ret_sample);

typedef struct perf_provider {
    const char *name;
    /* Once, before anything else in the process. */
    bool (*begin)(void);
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
    perf_floor_run floors[PERF_FLOOR_count];
    /* Names of the methods of the bulk floor, up to NULL. */
    const char *const *bulk_methods;
} perf_provider;

/* NULL: unknown. */
const perf_provider *perf_provider_find(const char *name);
/* "sqlite, ..." for messages. */
const char *perf_provider_names(void);

extern const perf_provider perf_sqlite;

#endif
