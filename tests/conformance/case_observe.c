/*
 * observe - seeing the SQL and where the time goes.
 */
#include "cases.h"

typedef struct heard { int calls, with_values; char last[512]; } heard;

static void hear(void *context, const char *sql, const nx_value *values, size_t count)
{
    heard *h = context;
    h->calls++;
    h->with_values += values != NULL && count > 0;
    strncpy(h->last, sql, sizeof(h->last) - 1);
}

static void hear_slow(void *context, const char *sql, uint64_t microseconds)
{
    heard *h = context;
    h->calls += microseconds > 0;
    strncpy(h->last, sql, sizeof(h->last) - 1);
}

CASE(observe, debug_callback)
{
    heard h = { 0 };
    nx_set_sql_debug(f->db, hear, &h, false);
    OK(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 5)), NULL));
    cr_expect_eq(h.calls, 1);
    cr_expect_eq(h.with_values, 0);
    cr_expect_not_null(strstr(h.last, "COUNT"), "%s", h.last);
    nx_set_sql_debug(f->db, hear, &h, true);
    OK(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 5)), NULL));
    cr_expect_eq(h.with_values, 1);
    nx_set_sql_debug(f->db, NULL, NULL, false);
    OK(f, nx_count(nx_select(f->db, Post), NULL));
    cr_expect_eq(h.calls, 2);
}

CASE(observe, captures_nest)
{
    size_t count = 0;
    CHECK(nx_capture_begin(f->db));
    OK(f, nx_count(nx_select(f->db, Post), NULL));
    CHECK(nx_capture_begin(f->db));
    OK(f, nx_exists(nx_select(f->db, Author), NULL));
    const char *const *inner = nx_capture_end(f->db, &count);
    cr_assert_eq(count, 1U);
    cr_expect_not_null(strstr(inner[0], "author"));
    const char *const *outer = nx_capture_end(f->db, &count);
    cr_assert_eq(count, 1U);
    cr_expect_not_null(strstr(outer[0], "post"));
    nx_capture_end(f->db, &count);
    cr_expect_eq(count, 0U, "an end without a begin");
}

CASE(observe, last_sql)
{
    nx_db *fresh = nx_db_new(f->loop, nxt_entities);
    cr_expect_str_eq(nx_last_sql(fresh), "");
    nx_db_free(fresh);
    OK(f, nx_execute(f->db, "DELETE FROM post WHERE id = ?", nx_args(1), NULL));
    /* As it was sent: the provider's placeholder. */
    cr_expect_eq(strncmp(nx_last_sql(f->db), "DELETE FROM post WHERE id = ", strlen("DELETE FROM post WHERE id = ")), 0);
}

CASE(observe, slow_queries)
{
    heard h = { 0 };
    nx_set_slow_query(f->db, 1, hear_slow, &h);
    nx_completion c =
        OK(f, nx_select_raw(
                  f->db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT COUNT(*) FROM n",
                  nx_no_args, NULL));
    nxt_seen(f, &c);
    cr_expect_eq(h.calls, 1);
    cr_expect_not_null(strstr(h.last, "RECURSIVE"));
    nx_set_slow_query(f->db, 3600000000U, hear_slow, &h);
    OK(f, nx_count(nx_select(f->db, Post), NULL));
    nx_set_slow_query(f->db, 0, NULL, NULL);
    cr_expect_eq(h.calls, 1);
}

static const nx_statement_stats *find(const nx_stats *stats, const char *part)
{
    for (size_t i = 0; i < stats->statement_count; i++)
        if (strstr(stats->statements[i].sql, part) != NULL)
            return &stats->statements[i];
    return NULL;
}

CASE(observe, statistics)
{
    nxt_posts(f, 10);
    nx_stats_clear(f->db);
    for (int i = 0; i < 5; i++)
        COUNT(f, nx_fetch_all(nx_filter(nx_select(f->db, Post), nx_lt(Post_.score, i)), NULL));
    nx_await(f->loop, nx_execute(f->db, "INSERT INTO slot (number, label) VALUES (1, NULL)", nx_no_args, NULL));
    const nx_stats *stats = nx_stats_get(f->db);
    cr_assert_not_null(stats);
    const nx_statement_stats *one = find(stats, "\"post\"");
    if (one == NULL)
        one = find(stats, "post");
    cr_assert_not_null(one);
    cr_expect_eq(one->count, 5U, "one shape, whatever the values");
    cr_expect_eq(one->rows, 0U + 1 + 2 + 3 + 4);
    cr_expect_eq(one->errors, 0U);
    cr_expect_eq(one->server.count, 5U);
    cr_expect_leq(one->server.min_us, one->server.max_us);
    cr_expect_geq(nx_histogram_percentile(&one->server, 1.0), one->server.min_us);
    const nx_statement_stats *failed = find(stats, "INSERT INTO slot");
    cr_assert_not_null(failed);
    cr_expect_eq(failed->errors, 1U, "failed statements are counted");
    cr_expect_geq(stats->ops, 6U);
    cr_expect_geq(stats->rows_read, 10U);
    cr_expect_eq(stats->errors, 1U);
    nx_stats_clear(f->db);
    cr_expect_eq(nx_stats_get(f->db)->ops, 0U);
}

CASE(observe, statistics_as_text)
{
    nxt_posts(f, 3);
    COUNT(f, nx_fetch_all(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "x")), NULL));
    OK(f, nx_execute(f->db, "DELETE FROM post WHERE title = 'quo\"te\\' -- \n", nx_no_args, NULL));
    const char *text = nx_stats_text(f->db);
    cr_assert_not_null(text);
    cr_expect_not_null(strstr(text, "SELECT"));
    const char *prometheus = nx_stats_prometheus(f->db);
    cr_assert_not_null(prometheus);
    cr_expect_not_null(strstr(prometheus, "# TYPE"));
    cr_expect_null(strstr(prometheus, "'quo\"te"), "labels are escaped");
    for (const char *line = prometheus; *line != '\0';) {
        const char *end = strchr(line, '\n');
        cr_assert_not_null(end, "every line ends");
        cr_expect(line[0] == '#' || strncmp(line, "nextorm_", 8) == 0, "%.*s", (int)(end - line), line);
        line = end + 1;
    }
}

CASE(observe, loop_counters)
{
    nx_loop_stats before = nx_loop_stats_get(f->loop);
    for (int i = 0; i < 10; i++)
        OK(f, nx_count(nx_select(f->db, Post), NULL));
    nx_loop_stats after = nx_loop_stats_get(f->loop);
    cr_expect_eq(after.ops - before.ops, 10U);
    cr_expect_gt(after.turns, before.turns);
    cr_expect_gt(after.host_bytes, 0U);
}
