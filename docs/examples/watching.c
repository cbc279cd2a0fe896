/*
 * watching - what is sent and where the time goes: debug output, captures, slow queries, statistics.
 */
#include "blog.h"

static void show(void *context, const char *sql, const nx_value *values, size_t count)
{
    int *statements = context;
    ++*statements;
    printf(">>> %s", sql);
    for (size_t i = 0; values != NULL && i < count; i++) {
        char text[64];
        nx_value_format(values[i], text, sizeof(text));
        printf(" [%s]", text);
    }
    printf("\n");
}

static void slow(void *context, const char *sql, uint64_t microseconds)
{
    ++*(int *)context;
    printf("%llu us: %s\n", (unsigned long long)microseconds, sql);
}

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);
    int statements = 0, slow_ones = 0;

    nx_set_sql_debug(db, show, &statements, true);
    must(loop, nx_count(nx_filter(nx_select(db, Post), nx_eq(Post_.title, "Hello")), NULL));
    nx_set_sql_debug(db, NULL, NULL, false);
    check(statements == 1, "one statement");
    printf("last: %s\n", nx_last_sql(db));

    /* Collect instead of printing. */
    size_t count;
    check(nx_capture_begin(db) == NX_OK, "a capture");
    write_posts(loop, 3);
    const char *const *captured = nx_capture_end(db, &count);
    check(count >= 1, "the INSERT was captured");
    for (size_t i = 0; i < count; i++)
        printf("captured: %s\n", captured[i]);

    nx_set_slow_query(db, 1, slow, &slow_ones);
    must(loop, nx_execute(db, "UPDATE post SET score = score + 1", nx_no_args, NULL));
    nx_set_slow_query(db, 0, NULL, NULL);

    /* Per shape of statement: how often, how many rows, and how long in the queue, the server and the decoder. */
    const nx_stats *stats = nx_stats_get(db);
    check(stats != NULL && stats->statement_count > 0, "statistics");
    const nx_statement_stats *first = &stats->statements[0];
    printf("%s: %llu times, 99 %% within %llu us\n", first->sql, (unsigned long long)first->count,
           (unsigned long long)nx_histogram_percentile(&first->server, 0.99));
    check(nx_stats_text(db) != NULL && nx_stats_prometheus(db) != NULL, "the same as text");
    nx_loop_stats loop_stats = nx_loop_stats_get(loop);
    printf("%llu operations, %llu turns\n", (unsigned long long)loop_stats.ops, (unsigned long long)loop_stats.turns);

    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
