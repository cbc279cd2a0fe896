/*
 * bulk - rows in, by the best means the provider has.
 *
 * A bulk load takes rows one after another, writes them in batches and tells of every batch by a
 * completion. Rows that do not fit, or that the database refuses, end the load or are set aside
 * with their number and the reason. Memory is bounded by two batches.
 */
#ifndef NEXTORM_BULK_H
#define NEXTORM_BULK_H

#include "nextorm/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nx_bulk nx_bulk;

typedef enum nx_conflict {
    NX_CONFLICT_ERROR,  /* a row whose key is there already is a bad row */
    NX_CONFLICT_IGNORE, /* it is left out; counted as ignored */
    NX_CONFLICT_UPDATE  /* the columns of `update` are written into the row that is there */
} nx_conflict;

typedef enum nx_bad_rows {
    NX_BAD_ROWS_FAIL,     /* the first bad row ends the load; batches that completed before it stay */
    NX_BAD_ROWS_SET_ASIDE /* they are reported by nx_bulk_rejects, the rest is loaded */
} nx_bad_rows;

typedef struct nx_bulk_options {
    nx_conflict conflict;
    const nx_column *conflict_key; /* columns that identify a row; default: the primary key */
    size_t conflict_key_count;
    const nx_column *update;       /* NX_CONFLICT_UPDATE: default: all columns outside the key */
    size_t update_count;
    nx_bad_rows bad_rows;
    uint32_t batch_rows;           /* rows per transaction; default 50000, or what fills 8 MiB; less with memory_bytes_max */
    uint32_t batches_in_flight;    /* default 1: one is written while the next is filled */
    bool assign_keys;              /* write automatic keys back into the structs given to nx_bulk_rows */
    void *tag;                     /* of all completions of this load */
} nx_bulk_options;

/* A load into an entity of a mapped database. options may be NULL. NULL: out of memory, or not mapped (nx_db_error says). */
NX_API nx_bulk *nx_bulk_begin(nx_db *db, const nx_entity *entity, const nx_bulk_options *options);

/*
 * Add rows from an array of the entity's structs (plain structs, no library-made rows). Rows and their texts
 * are copied, so the array may be used again after the call, unless assign_keys is set: then each struct must stay until its
 * batch has completed. A full batch is handed over at once; its completion is queued like any other. *ret_taken rows
 * were taken; fewer than count (NX_EBUSY): a full batch is in
 * flight, let the loop run (nx_wait or nx_await for an op of nx_bulk_op) and go on after the rows that were taken.
 */
NX_API NX_MUST_CHECK nx_status nx_bulk_rows(nx_bulk *bulk, const void *rows, size_t count, size_t *ret_taken);

/*
 * Add one row as values, one per column in `columns` (set once before the first row; others get their initial
 * value). Results as nx_bulk_rows with count 1.
 */
NX_API NX_MUST_CHECK nx_status nx_bulk_columns(nx_bulk *bulk, const nx_column *columns, size_t count);
NX_API NX_MUST_CHECK nx_status nx_bulk_values(nx_bulk *bulk, const nx_value *values, size_t count);

/* Count one row that never reached the load (the caller could not read it) so that row numbers stay in step with the source. */
NX_API void nx_bulk_skip(nx_bulk *bulk);

/* The batch in flight, to wait for; none if nothing is. */
NX_API nx_op nx_bulk_op(nx_bulk *bulk);

/* Write what is left; completes after the last batch. count: rows loaded. The load cannot take rows any more. */
NX_API nx_op nx_bulk_end(nx_bulk *bulk, void *tag);
NX_API void nx_bulk_free(nx_bulk *bulk);

/* given = loaded + updated + ignored + rejected, once the load has ended without an error. */
typedef struct nx_bulk_counts { uint64_t given, loaded, updated, ignored, rejected; } nx_bulk_counts;
NX_API nx_bulk_counts nx_bulk_count(const nx_bulk *bulk);
/* Why the last call on this load, or the load itself, failed. */
NX_API const nx_error *nx_bulk_error(const nx_bulk *bulk);

/* A row that was set aside: its 0-based number among the rows given, and why. */
typedef struct nx_reject { uint64_t row; nx_error error; } nx_reject;
/* Rejects found since the last call, in row order within a batch; valid until the next call of any nx_bulk function. */
NX_API const nx_reject *nx_bulk_rejects(nx_bulk *bulk, size_t *ret_count);

#ifdef __cplusplus
}
#endif
#endif
