/*
 * stats - collect, copy and print what statements cost.
 */
#include "engine/stats.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SQL_SHOWN_BYTES = 400 };

void nxi_stats_init(nxi_stats *stats, nxi_memory *memory)
{
    *stats = (nxi_stats){ .other = { .sql = "(other)" } };
    nxi_arena_init(&stats->arena, memory);
}

void nxi_stats_fini(nxi_stats *stats)
{
    nxi_arena_fini(&stats->arena);
    stats->entries = NULL;
}

static void *entry_new(void *context, const nxi_statement *statement)
{
    nxi_stats *stats = context;
    nxi_stats_entry *made = NXI_ARENA_NEW(&stats->arena, nxi_stats_entry);
    if (made == NULL)
        return NULL;
    made->sql = statement->sql;
    made->id = statement->id;
    made->next = stats->entries;
    stats->entries = made;
    return made;
}

void nxi_stats_watch(nxi_stats *stats, nxi_statements *statements)
{
    statements->stats_new = entry_new;
    statements->stats_context = stats;
}

/* -------------------------------------------------------------------------------- histograms */

uint64_t nxi_histogram_bound(size_t bucket)
{
    if (bucket < 16)
        return bucket;
    size_t power = 4 + (bucket - 16) / 8;
    return ((uint64_t)(8 + (bucket - 16) % 8 + 1) << (power - 3)) - 1;
}

uint64_t nxi_histogram_percentile(const nx_histogram *histogram, double share)
{
    uint64_t seen = 0;
    if (histogram == NULL || histogram->count == 0)
        return 0;
    if (!(share > 0)) /* NaN too */
        share = 0;
    double wanted = share >= 1 ? (double)histogram->count : share * (double)histogram->count;
    for (size_t i = 0; i + 1 < NX_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (seen != 0 && (double)seen >= wanted)
            return nxi_histogram_bound(i);
    }
    return histogram->max_us;
}

/* ---------------------------------------------------------------------------------- snapshot */

static uint64_t total_us(const nxi_stats_entry *e)
{
    return e->queue.sum_us + e->server.sum_us + e->decode.sum_us;
}

static int compare_entries(const void *left, const void *right)
{
    const nxi_stats_entry *a = *(const nxi_stats_entry *const *)left, *b = *(const nxi_stats_entry *const *)right;
    if (total_us(a) != total_us(b))
        return total_us(a) > total_us(b) ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Entries that were used, sorted; NULL: out of memory. */
static const nxi_stats_entry **sorted(const nxi_stats *stats, nxi_arena *arena, size_t *ret_count)
{
    size_t count = 1;
    for (const nxi_stats_entry *e = stats->entries; e != NULL; e = e->next)
        count++;
    const nxi_stats_entry **list = NXI_ARENA_ARRAY(arena, const nxi_stats_entry *, count);
    if (list == NULL)
        return NULL;
    count = 0;
    for (const nxi_stats_entry *e = stats->entries; e != NULL; e = e->next) {
        if (e->count != 0)
            list[count++] = e;
    }
    if (stats->other.count != 0)
        list[count++] = &stats->other;
    qsort(list, count, sizeof(*list), compare_entries);
    *ret_count = count;
    return list;
}

const nx_stats *nxi_stats_snapshot(const nxi_stats *stats, nxi_arena *arena)
{
    size_t count;
    nx_stats *copy = NXI_ARENA_NEW(arena, nx_stats);
    const nxi_stats_entry **list = copy == NULL ? NULL : sorted(stats, arena, &count);
    nx_statement_stats *statements = list == NULL ? NULL : NXI_ARENA_ARRAY(arena, nx_statement_stats, count);
    if (statements == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const nxi_stats_entry *e = list[i];
        statements[i] = (nx_statement_stats){ .sql = nxi_arena_str(arena, e->sql), .count = e->count, .rows = e->rows,
                                              .errors = e->errors, .queue = e->queue, .server = e->server, .decode = e->decode };
        if (statements[i].sql == NULL)
            return NULL;
    }
    *copy = (nx_stats){ .statement_count = count, .statements = statements, .ops = stats->ops, .errors = stats->errors,
                        .flushes = stats->flushes, .rows_written = stats->rows_written, .rows_read = stats->rows_read,
                        .identity_hits = stats->identity_hits, .group_commits = stats->group_commits,
                        .grouped_sessions = stats->grouped_sessions, .outcomes_found = stats->outcomes_found };
    return copy;
}

static void entry_clear(nxi_stats_entry *e)
{
    *e = (nxi_stats_entry){ .next = e->next, .sql = e->sql, .id = e->id };
}

void nxi_stats_clear(nxi_stats *stats)
{
    for (nxi_stats_entry *e = stats->entries; e != NULL; e = e->next)
        entry_clear(e);
    entry_clear(&stats->other);
    stats->ops = stats->errors = stats->flushes = stats->rows_written = stats->rows_read = 0;
    stats->identity_hits = stats->group_commits = stats->grouped_sessions = stats->outcomes_found = 0;
}

/* ----------------------------------------------------------------------------------- as text */

/* Counters by name, for both forms. */
typedef struct counter { const char *name, *text; uint64_t value; } counter;
enum { COUNTERS = 9 };

static void counters_of(const nxi_stats *s, counter list[COUNTERS])
{
    const counter all[COUNTERS] = {
        { "operations", "Requests sent to the database.", s->ops },
        { "errors", "Requests that failed.", s->errors },
        { "flushes", "Flushes of sessions.", s->flushes },
        { "rows_written", "Rows written.", s->rows_written },
        { "rows_read", "Rows read.", s->rows_read },
        { "identity_hits", "Rows that a session knew already.", s->identity_hits },
        { "group_commits", "Commits shared by several sessions.", s->group_commits },
        { "grouped_sessions", "Sessions that shared a commit.", s->grouped_sessions },
        { "outcomes_found", "Transactions whose answer was lost, and whose outcome was found.", s->outcomes_found },
    };
    memcpy(list, all, sizeof(all));
}

/* SQL on one line, cut at a character's border. `quote`: with what a label in quotes must escape. */
static void put_sql(nxi_buf *text, const char *sql, bool quote)
{
    size_t size = strlen(sql), shown = size;
    if (size > SQL_SHOWN_BYTES) {
        shown = SQL_SHOWN_BYTES;
        while (shown > 0 && ((unsigned char)sql[shown] & 0xc0) == 0x80)
            shown--;
    }
    for (size_t i = 0; i < shown; i++) {
        if (quote && (sql[i] == '"' || sql[i] == '\\'))
            nxi_buf_putc(text, '\\');
        nxi_buf_putc(text, (unsigned char)sql[i] < ' ' ? ' ' : sql[i]);
    }
    if (shown < size)
        nxi_buf_puts(text, "...");
}

void nxi_stats_text(const nxi_stats *stats, nxi_buf *text)
{
    counter counters[COUNTERS];
    nxi_arena arena;
    size_t count = 0;
    counters_of(stats, counters);
    nxi_arena_init(&arena, text->memory);
    const nxi_stats_entry **list = sorted(stats, &arena, &count);
    text->failed = text->failed || list == NULL;
    for (size_t i = 0; i < COUNTERS; i++)
        nxi_buf_printf(text, "%-18s %" PRIu64 "\n", counters[i].name, counters[i].value);
    nxi_buf_printf(text, "\n%10s %12s %8s %12s  %29s  %29s\n", "", "", "", "", "queue us", "server us");
    nxi_buf_printf(text, "%10s %12s %8s %12s  %9s %9s %9s  %9s %9s %9s  %s\n", "count", "rows", "errors", "total ms", "p50",
                   "p99", "max", "p50", "p99", "max", "sql");
    for (size_t i = 0; i < count; i++) {
        const nxi_stats_entry *e = list[i];
        nxi_buf_printf(text, "%10" PRIu64 " %12" PRIu64 " %8" PRIu64 " %8" PRIu64 ".%03" PRIu64, e->count, e->rows, e->errors,
                       total_us(e) / 1000, total_us(e) % 1000);
        const nx_histogram *both[2] = { &e->queue, &e->server };
        for (size_t h = 0; h < 2; h++)
            nxi_buf_printf(text, "  %9" PRIu64 " %9" PRIu64 " %9" PRIu64, nxi_histogram_percentile(both[h], 0.5),
                           nxi_histogram_percentile(both[h], 0.99), both[h]->max_us);
        nxi_buf_puts(text, "  ");
        put_sql(text, e->sql, false);
        nxi_buf_putc(text, '\n');
    }
    nxi_arena_fini(&arena);
}

/* -------------------------------------------------------------------------------- Prometheus */

/* Seconds; without printf's %f, which follows the locale. */
static void put_seconds(nxi_buf *text, uint64_t us)
{
    nxi_buf_printf(text, " %" PRIu64 ".%06" PRIu64 "\n", us / 1000000, us % 1000000);
}

static void put_summary(nxi_buf *text, const nxi_stats_entry *e, const char *phase, const nx_histogram *histogram)
{
    static const struct { const char *label; double share; } quantiles[] = { { "0.5", 0.5 }, { "0.9", 0.9 }, { "0.99", 0.99 } };
    for (size_t i = 0; i < NXI_COUNT(quantiles); i++) {
        nxi_buf_printf(text, "nextorm_statement_seconds{id=\"%" PRIu32 "\",phase=\"%s\",quantile=\"%s\"}", e->id, phase,
                       quantiles[i].label);
        put_seconds(text, nxi_histogram_percentile(histogram, quantiles[i].share));
    }
    nxi_buf_printf(text, "nextorm_statement_seconds_sum{id=\"%" PRIu32 "\",phase=\"%s\"}", e->id, phase);
    put_seconds(text, histogram->sum_us);
    nxi_buf_printf(text, "nextorm_statement_seconds_count{id=\"%" PRIu32 "\",phase=\"%s\"} %" PRIu64 "\n", e->id, phase,
                   histogram->count);
}

static void put_family(nxi_buf *text, const char *name, const char *type, const char *help)
{
    nxi_buf_printf(text, "# HELP nextorm_%s %s\n# TYPE nextorm_%s %s\n", name, help, name, type);
}

/* The format wants all samples of a family together. */
static void put_statements(nxi_buf *text, const nxi_stats_entry *const *list, size_t count)
{
    put_family(text, "statement_executions_total", "counter", "Executions of a statement.");
    for (size_t i = 0; i < count; i++) {
        nxi_buf_printf(text, "nextorm_statement_executions_total{id=\"%" PRIu32 "\",sql=\"", list[i]->id);
        put_sql(text, list[i]->sql, true);
        nxi_buf_printf(text, "\"} %" PRIu64 "\n", list[i]->count);
    }
    put_family(text, "statement_rows_total", "counter", "Rows that a statement returned or changed.");
    for (size_t i = 0; i < count; i++)
        nxi_buf_printf(text, "nextorm_statement_rows_total{id=\"%" PRIu32 "\"} %" PRIu64 "\n", list[i]->id, list[i]->rows);
    put_family(text, "statement_errors_total", "counter", "Executions of a statement that failed.");
    for (size_t i = 0; i < count; i++)
        nxi_buf_printf(text, "nextorm_statement_errors_total{id=\"%" PRIu32 "\"} %" PRIu64 "\n", list[i]->id, list[i]->errors);
    put_family(text, "statement_seconds", "summary", "Time of a statement: waiting, on the server, decoding.");
    for (size_t i = 0; i < count; i++) {
        put_summary(text, list[i], "queue", &list[i]->queue);
        put_summary(text, list[i], "server", &list[i]->server);
        put_summary(text, list[i], "decode", &list[i]->decode);
    }
}

void nxi_stats_prometheus(const nxi_stats *stats, nxi_buf *text)
{
    counter counters[COUNTERS];
    nxi_arena arena;
    size_t count = 0;
    counters_of(stats, counters);
    nxi_arena_init(&arena, text->memory);
    const nxi_stats_entry **list = sorted(stats, &arena, &count);
    text->failed = text->failed || list == NULL;
    for (size_t i = 0; i < COUNTERS; i++) {
        nxi_buf_printf(text, "# HELP nextorm_%s_total %s\n# TYPE nextorm_%s_total counter\nnextorm_%s_total %" PRIu64 "\n",
                       counters[i].name, counters[i].text, counters[i].name, counters[i].name, counters[i].value);
    }
    put_statements(text, list, count);
    nxi_arena_fini(&arena);
}
