/*
 * stats - where the time of each statement went.
 */
#ifndef NEXTORM_STATS_H
#define NEXTORM_STATS_H

#include "nextorm/database.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Log-linear histogram of microseconds: 0..15 exactly, then 8 buckets for each power of two. */
enum { NX_HISTOGRAM_BUCKETS = 256 };
typedef struct nx_histogram { uint64_t count, sum_us, min_us, max_us; uint32_t bucket[NX_HISTOGRAM_BUCKETS]; } nx_histogram;
/* Upper bound in microseconds of the bucket that holds that share (0..1) of the values; 0 when empty. */
NX_API uint64_t nx_histogram_percentile(const nx_histogram *histogram, double share);

typedef struct nx_statement_stats {
    const char *sql;
    uint64_t count, rows, errors;
    nx_histogram queue;  /* from the call until the statement was taken up by a connection or worker */
    nx_histogram server; /* wire and server; SQLite: execution */
    nx_histogram decode; /* from the answer until the completion was queued */
} nx_statement_stats;

typedef struct nx_stats {
    size_t statement_count;
    const nx_statement_stats *statements; /* by total time, the largest first */
    uint64_t ops, errors, flushes, rows_written, rows_read, identity_hits, group_commits, grouped_sessions;
    uint64_t outcomes_found; /* of transactions whose answer was lost: committed or not, by commit_tokens */
} nx_stats;

/* A copy, taken now; valid until the next call or until the database is freed. NULL: out of memory. */
NX_API const nx_stats *nx_stats_get(nx_db *db);
NX_API void nx_stats_clear(nx_db *db);

/* As text for people, or in the Prometheus exposition format. Zero-terminated; valid as above. NULL: out of memory. */
NX_API const char *nx_stats_text(nx_db *db);
NX_API const char *nx_stats_prometheus(nx_db *db);

#ifdef __cplusplus
}
#endif
#endif
