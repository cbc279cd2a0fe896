/*
 * stats - the public face of statistics.
 */
#include "nextorm/stats.h"

#include "engine/db.h"

uint64_t nx_histogram_percentile(const nx_histogram *histogram, double share)
{
    return nxi_histogram_percentile(histogram, share);
}

const nx_stats *nx_stats_get(nx_db *db)
{
    nxi_arena_reset(&db->stats_arena);
    return nxi_stats_snapshot(&db->stats, &db->stats_arena);
}

void nx_stats_clear(nx_db *db)
{
    nxi_stats_clear(&db->stats);
}

const char *nx_stats_text(nx_db *db)
{
    nxi_buf_clear(&db->stats_text);
    nxi_stats_text(&db->stats, &db->stats_text);
    return nxi_buf_str(&db->stats_text);
}

const char *nx_stats_prometheus(nx_db *db)
{
    nxi_buf_clear(&db->stats_text);
    nxi_stats_prometheus(&db->stats, &db->stats_text);
    return nxi_buf_str(&db->stats_text);
}
