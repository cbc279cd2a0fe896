/*
 * stats: histograms, snapshots and their two text forms. trace: what callbacks and captures get to see.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "engine/stats.h"
#include "engine/trace.h"

Test(stats, buckets_cover_all_numbers)
{
    uint64_t previous = 0;
    for (size_t i = 0; i < NX_HISTOGRAM_BUCKETS; i++) {
        uint64_t bound = nxi_histogram_bound(i);
        cr_assert_eq(nxi_histogram_bucket(bound), i, "the bound lies in its bucket");
        if (i + 1 < NX_HISTOGRAM_BUCKETS)
            cr_assert_eq(nxi_histogram_bucket(bound + 1), i + 1, "the next number in the next");
        if (i >= 16)
            cr_expect_leq(bound - previous, (bound + 1) / 8, "buckets are within an eighth");
        else
            cr_expect_eq(bound, i);
        previous = bound;
    }
    cr_expect_eq(nxi_histogram_bucket(UINT64_MAX), NX_HISTOGRAM_BUCKETS - 1);
}

Test(stats, percentiles)
{
    nx_histogram h = { .count = 0 };
    cr_expect_eq(nxi_histogram_percentile(&h, 0.5), 0);
    cr_expect_eq(nxi_histogram_percentile(NULL, 0.5), 0);
    for (uint64_t i = 1; i <= 1000; i++)
        nxi_histogram_add(&h, i);
    cr_expect_eq(h.count, 1000);
    cr_expect_eq(h.sum_us, 500500);
    cr_expect_eq(h.min_us, 1);
    cr_expect_eq(h.max_us, 1000);
    cr_expect_eq(nxi_histogram_percentile(&h, 0.5), 511);
    cr_expect_eq(nxi_histogram_percentile(&h, 0.0), 1);
    cr_expect_eq(nxi_histogram_percentile(&h, -3), 1);
    cr_expect_eq(nxi_histogram_percentile(&h, 0.01), 10);
    cr_expect_geq(nxi_histogram_percentile(&h, 1.0), 1000);
    cr_expect_eq(nxi_histogram_percentile(&h, 7), nxi_histogram_percentile(&h, 1.0));
    cr_expect_eq(nxi_histogram_percentile(&h, (double)NAN), 1);
    nx_histogram far = { .count = 0 };
    nxi_histogram_add(&far, UINT64_MAX);
    cr_expect_eq(nxi_histogram_percentile(&far, 0.5), UINT64_MAX, "beyond the buckets: the maximum");
}

typedef struct fixture {
    nxi_memory *memory;
    nxi_statements statements;
    nxi_stats stats;
    nxi_arena arena;
    nxi_buf text;
} fixture;

static void setup(fixture *f)
{
    f->memory = nxi_memory_new(0);
    nxi_stats_init(&f->stats, f->memory);
    nxi_statements_init(&f->statements, f->memory);
    nxi_stats_watch(&f->stats, &f->statements);
    nxi_arena_init(&f->arena, f->memory);
    nxi_buf_init(&f->text, f->memory);
}

static void teardown(fixture *f)
{
    nxi_buf_fini(&f->text);
    nxi_arena_fini(&f->arena);
    nxi_stats_fini(&f->stats);
    nxi_statements_fini(&f->statements);
    nxi_memory_free(f->memory);
}

static const nxi_statement *add(fixture *f, const char *sql)
{
    nxi_statement prototype = { .sql = sql, .sql_size = strlen(sql) };
    const nxi_statement *made = nxi_statements_add(&f->statements, sql, strlen(sql), &prototype);
    cr_assert_not_null(made);
    cr_assert_not_null(made->stats);
    return made;
}

Test(stats, snapshot)
{
    fixture f;
    setup(&f);
    const nxi_statement *slow = add(&f, "SELECT slow"), *fast = add(&f, "SELECT fast");
    add(&f, "SELECT never");
    for (int i = 0; i < 100; i++)
        nxi_stats_record(&f.stats, fast->stats, 2, i == 0, 1, 2, 3);
    nxi_stats_record(&f.stats, slow->stats, 5, false, 10, 100000, 0);
    nxi_stats_record(&f.stats, NULL, 1, true, 0, 1, 0);
    f.stats.ops = 102;
    f.stats.identity_hits = 7;
    const nx_stats *copy = nxi_stats_snapshot(&f.stats, &f.arena);
    cr_assert_not_null(copy);
    cr_assert_eq(copy->statement_count, 3, "what never ran is left out");
    cr_expect_str_eq(copy->statements[0].sql, "SELECT slow");
    cr_expect_str_eq(copy->statements[1].sql, "SELECT fast");
    cr_expect_str_eq(copy->statements[2].sql, "(other)");
    cr_expect_eq(copy->statements[1].count, 100);
    cr_expect_eq(copy->statements[1].rows, 200);
    cr_expect_eq(copy->statements[1].errors, 1);
    cr_expect_eq(copy->statements[1].queue.sum_us, 100);
    cr_expect_eq(copy->statements[1].server.sum_us, 200);
    cr_expect_eq(copy->statements[1].decode.sum_us, 300);
    cr_expect_eq(copy->ops, 102);
    cr_expect_eq(copy->identity_hits, 7);
    nxi_stats_clear(&f.stats);
    cr_expect_eq(copy->statements[1].count, 100, "a copy");
    copy = nxi_stats_snapshot(&f.stats, &f.arena);
    cr_expect_eq(copy->statement_count, 0);
    cr_expect_eq(copy->ops, 0);
    nxi_stats_record(&f.stats, fast->stats, 2, false, 1, 2, 3);
    cr_expect_eq(nxi_stats_snapshot(&f.stats, &f.arena)->statements[0].server.min_us, 2, "the entry is used again");
    nxi_memory *none = nxi_memory_new(0); /* with nothing kept for reuse */
    nxi_arena_reset(&f.arena);
    nxi_arena_init(&f.arena, none);
    nxi_memory_fail(1, true);
    cr_expect_null(nxi_stats_snapshot(&f.stats, &f.arena));
    nxi_memory_fail(0, false);
    teardown(&f);
    nxi_memory_free(none);
}

Test(stats, text)
{
    fixture f;
    char wide[1000];
    setup(&f);
    memset(wide, 'x', sizeof(wide));
    memcpy(wide, "SELECT ", 7);
    for (size_t i = 399; i + 2 < sizeof(wide); i += 2)
        memcpy(wide + i, "\xc3\xa4", 2); /* the cut falls into a character */
    wide[sizeof(wide) - 2] = '\0';
    nxi_stats_record(&f.stats, add(&f, "SELECT\n1")->stats, 2, false, 1500, 2500, 0);
    nxi_stats_record(&f.stats, add(&f, wide)->stats, 0, true, 0, 0, 0);
    f.stats.rows_read = 4711;
    nxi_stats_text(&f.stats, &f.text);
    const char *text = nxi_buf_str(&f.text);
    cr_assert_not_null(text);
    cr_expect_not_null(strstr(text, "4711"));
    cr_expect_not_null(strstr(text, "SELECT 1\n"), "on one line");
    cr_expect_not_null(strstr(text, "4.000"), "milliseconds in all:\n%s", text);
    cr_expect_not_null(strstr(text, "x..."), "cut at a character");
    teardown(&f);
}

/* Every line is a comment, or a name with labels and a number; every family is announced. */
Test(stats, prometheus)
{
    fixture f;
    setup(&f);
    nxi_stats_record(&f.stats, add(&f, "SELECT \"a\\b\"\n")->stats, 2, false, 1, 1500000, 0);
    nxi_stats_record(&f.stats, NULL, 0, false, 0, 0, 0);
    f.stats.flushes = 12;
    nxi_stats_prometheus(&f.stats, &f.text);
    const char *text = nxi_buf_str(&f.text);
    cr_assert_not_null(text);
    cr_expect_not_null(strstr(text, "nextorm_flushes_total 12\n"));
    cr_expect_not_null(strstr(text, "nextorm_statement_executions_total{id=\"1\",sql=\"SELECT \\\"a\\\\b\\\" \"} 1\n"), "%s",
                       text);
    cr_expect_not_null(strstr(text, "nextorm_statement_seconds_sum{id=\"1\",phase=\"server\"} 1.500000\n"));
    cr_expect_not_null(strstr(text, "{id=\"0\",sql=\"(other)\"} 1\n"));
    for (const char *line = text, *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        cr_assert_not_null(end);
        if (line[0] == '#')
            continue;
        cr_expect_eq(strncmp(line, "nextorm_", 8), 0);
        const char *space = memrchr(line, ' ', (size_t)(end - line));
        cr_assert_not_null(space);
        cr_expect(space[1] >= '0' && space[1] <= '9');
        char family[128];
        size_t size = strcspn(line, "{ ");
        if (size > 4 && memcmp(line + size - 4, "_sum", 4) == 0)
            size -= 4;
        if (size > 6 && memcmp(line + size - 6, "_count", 6) == 0)
            size -= 6;
        snprintf(family, sizeof(family), "# TYPE %.*s ", (int)size, line);
        cr_expect_not_null(strstr(text, family), "%s", family);
    }
    teardown(&f);
}

/* ------------------------------------------------------------------------------------- trace */

typedef struct heard { size_t calls, values; char sql[64]; uint64_t us; } heard;

static void hear(void *context, const char *sql, const nx_value *values, size_t count)
{
    heard *h = context;
    h->calls++;
    h->values += values == NULL ? 0 : count;
    snprintf(h->sql, sizeof(h->sql), "%s", sql);
}

static void hear_slow(void *context, const char *sql, uint64_t us)
{
    heard *h = context;
    h->calls++;
    h->us = us;
    snprintf(h->sql, sizeof(h->sql), "%s", sql);
}

Test(trace, callbacks)
{
    nxi_memory *memory = nxi_memory_new(0);
    nxi_trace trace;
    heard h = { 0 }, slow = { 0 };
    nxi_statement statement = { .id = 1, .sql = "SELECT 1", .sql_size = 8 };
    nx_value value = nx_value_i64(5);
    nxi_trace_init(&trace, memory);
    cr_expect_str_eq(nxi_trace_last(&trace), "");
    nxi_trace_sql(&trace, &statement, &value, 1);
    cr_expect_str_eq(nxi_trace_last(&trace), "SELECT 1");
    trace.debug = hear;
    trace.debug_context = &h;
    nxi_trace_sql(&trace, &statement, &value, 1);
    cr_expect_eq(h.calls, 1);
    cr_expect_eq(h.values, 0, "values are shown only when asked for");
    trace.show_values = true;
    nxi_trace_sql(&trace, &statement, &value, 1);
    cr_expect_eq(h.values, 1);
    nxi_trace_done(&trace, &statement, 1000);
    trace.slow = hear_slow;
    trace.slow_context = &slow;
    trace.slow_threshold_us = 100;
    nxi_trace_done(&trace, &statement, 100);
    cr_expect_eq(slow.calls, 0, "not slower than the threshold");
    nxi_trace_done(&trace, &statement, 101);
    cr_expect_eq(slow.calls, 1);
    cr_expect_eq(slow.us, 101);
    nxi_trace_fini(&trace);
    nxi_memory_free(memory);
}

/* A statement that is not interned lives only as long as its operation. */
Test(trace, last_sql_of_a_passing_statement)
{
    nxi_memory *memory = nxi_memory_new(0);
    nxi_trace trace;
    char sql[] = "SELECT passing";
    nxi_statement statement = { .id = 0, .sql = sql, .sql_size = strlen(sql) };
    nxi_trace_init(&trace, memory);
    nxi_trace_sql(&trace, &statement, NULL, 0);
    memset(sql, 'x', sizeof(sql) - 1);
    cr_expect_str_eq(nxi_trace_last(&trace), "SELECT passing");
    nxi_trace_fini(&trace);
    nxi_memory_free(memory);
}

Test(trace, captures)
{
    nxi_memory *memory = nxi_memory_new(0);
    nxi_trace trace;
    size_t count = 99;
    nxi_trace_init(&trace, memory);
    cr_expect_null(nxi_trace_capture_end(&trace, &count));
    cr_expect_eq(count, 0);
    cr_assert_eq(nxi_trace_capture_begin(&trace), NX_OK);
    nxi_trace_sql(&trace, &(nxi_statement){ .id = 1, .sql = "outer", .sql_size = 5 }, NULL, 0);
    cr_assert_eq(nxi_trace_capture_begin(&trace), NX_OK);
    for (int i = 0; i < 1000; i++) {
        char sql[16];
        nxi_statement statement = { .id = 2, .sql = sql };
        statement.sql_size = (size_t)snprintf(sql, sizeof(sql), "inner %d", i);
        nxi_trace_sql(&trace, &statement, NULL, 0);
    }
    const char *const *list = nxi_trace_capture_end(&trace, &count);
    cr_assert_eq(count, 1000);
    cr_expect_str_eq(list[999], "inner 999");
    nxi_trace_sql(&trace, &(nxi_statement){ .id = 1, .sql = "more", .sql_size = 4 }, NULL, 0);
    list = nxi_trace_capture_end(&trace, &count);
    cr_assert_eq(count, 2);
    cr_expect_str_eq(list[0], "outer");
    cr_expect_str_eq(list[1], "more");
    cr_assert_eq(nxi_trace_capture_begin(&trace), NX_OK);
    list = nxi_trace_capture_end(&trace, &count);
    cr_expect_eq(count, 0);
    cr_expect_not_null(list, "an empty list is one");
    cr_assert_eq(nxi_trace_capture_begin(&trace), NX_OK);
    nxi_memory_fail(1, true);
    nxi_trace_sql(&trace, &(nxi_statement){ .id = 1, .sql = "lost", .sql_size = 4 }, NULL, 0);
    nxi_memory_fail(0, false);
    cr_expect_null(nxi_trace_capture_end(&trace, &count), "a list that is not whole is none");
    cr_assert_eq(nxi_trace_capture_begin(&trace), NX_OK);
    nxi_trace_fini(&trace);
    nxi_memory_free(memory);
}
