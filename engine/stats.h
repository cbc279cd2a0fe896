/*
 * stats - what each statement cost, and counters of a database.
 *
 * One record per interned statement, made with it; statements that are not interned share one, "(other)".
 * Threads: the loop's thread only.
 */
#ifndef NXI_STATS_H
#define NXI_STATS_H

#include "engine/buf.h"
#include "engine/statement.h"
#include "nextorm/stats.h"

typedef struct nxi_stats_entry {
    struct nxi_stats_entry *next;
    const char *sql;
    uint32_t id;                /* of the statement; 0: others */
    uint64_t count, rows, errors;
    nx_histogram queue, server, decode;
} nxi_stats_entry;

typedef struct nxi_stats {
    nxi_arena arena;            /* of the entries */
    nxi_stats_entry *entries;
    nxi_stats_entry other;
    uint64_t ops, errors, flushes, rows_written, rows_read, identity_hits, group_commits, grouped_sessions;
    uint64_t outcomes_found;
} nxi_stats;

void nxi_stats_init(nxi_stats *stats, nxi_memory *memory);
void nxi_stats_fini(nxi_stats *stats);
/* From now on every new statement of `statements` gets an entry. `stats` outlives its last new statement. */
void nxi_stats_watch(nxi_stats *stats, nxi_statements *statements);

/* The bucket that holds a value, and the greatest value of a bucket. */
static inline size_t nxi_histogram_bucket(uint64_t us)
{
    if (us < 16)
        return (size_t)us;
    unsigned power = 63u - (unsigned)__builtin_clzll(us);
    size_t bucket = 16 + (size_t)(power - 4) * 8 + (size_t)(us >> (power - 3) & 7);
    return nxi_min_size(bucket, NX_HISTOGRAM_BUCKETS - 1);
}
uint64_t nxi_histogram_bound(size_t bucket);
static inline void nxi_histogram_add(nx_histogram *histogram, uint64_t us)
{
    if (us < histogram->min_us || histogram->count == 0)
        histogram->min_us = us;
    if (us > histogram->max_us)
        histogram->max_us = us;
    histogram->count++;
    histogram->sum_us += us;
    uint32_t *bucket = &histogram->bucket[nxi_histogram_bucket(us)];
    *bucket += *bucket != UINT32_MAX;
}
/* As nx_histogram_percentile: the bound of the bucket that holds that share of the values; for the last bucket the maximum. */
uint64_t nxi_histogram_percentile(const nx_histogram *histogram, double share);

/* One execution. `entry`: statement->stats; NULL: others. */
static inline void nxi_stats_record(nxi_stats *stats, void *entry, uint64_t rows, bool failed, uint64_t queue_us,
                                    uint64_t server_us, uint64_t decode_us)
{
    nxi_stats_entry *e = entry == NULL ? &stats->other : (nxi_stats_entry *)entry;
    e->count++;
    e->rows += rows;
    e->errors += failed;
    nxi_histogram_add(&e->queue, queue_us);
    nxi_histogram_add(&e->server, server_us);
    nxi_histogram_add(&e->decode, decode_us);
}

/* A copy, statements that ran by total time; in `arena`. NULL: out of memory. */
const nx_stats *nxi_stats_snapshot(const nxi_stats *stats, nxi_arena *arena);
/* All zero; entries stay. */
void nxi_stats_clear(nxi_stats *stats);
/* Appended to `text`, which is marked failed when there is no memory. */
void nxi_stats_text(const nxi_stats *stats, nxi_buf *text);
void nxi_stats_prometheus(const nxi_stats *stats, nxi_buf *text);

#endif
