/*
 * model - random programs of sessions, checked against a naive model; see model.h. NX_TEST_SEED=n runs one program
 * (NX_TEST_COUNT=m: m of them), NX_TEST_LONG=1 runs an hour for each provider. NX_MODEL_SECONDS sets the time.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model_report.h"
#include "tests/support/pg_kit.h"
#include "tests/support/test_kit.h"

enum { SECONDS = 55, SECONDS_LONG = 3600, PROGRAMS = 1000, PATH_SIZE = 128, BATCH = 40, TRIES = 3 };

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* A program of a batch failed: it alone is run again, shrunk and printed. */
static void show_failure(const place *where, uint64_t first, int before, report *to)
{
    program *p = calloc(1, sizeof(*p));
    char rule[REPORT_RULE];

    fprintf(stderr, "%s: NX_TEST_SEED=%" PRIu64 " (the %d before it: NX_TEST_COUNT=%d): %s: %s\n", where->name,
            first + (uint64_t)before, before, before + 1, to->rule, to->text);
    memcpy(rule, to->rule, sizeof(rule));
    model_generate(p, first + (uint64_t)before);
    model_shrink(where, p, to);
    model_print(where, p, to);
    free(p);
    cr_assert_fail("%s: NX_TEST_SEED=%" PRIu64 ": %s", where->name, first + (uint64_t)before, rule);
}

/*
 * Where a cancel hits depends on the machine. In a short run a difference that does not show again, when its program runs alone,
 * is told and counts for nothing: nobody could replay it. A long run takes each one for what it is.
 */
static bool shows_again(const place *where, uint64_t seed, report *to)
{
    program *p = calloc(1, sizeof(*p));
    bool again = false;

    fprintf(stderr, "%s: NX_TEST_SEED=%" PRIu64 ": %s: %s\n", where->name, seed, to->rule, to->text);
    if (strcmp(to->rule, "crash") == 0 || strcmp(to->rule, "leak") == 0)
        again = true;
    for (int i = 0; i < TRIES && !again; i++) {
        model_generate(p, seed);
        again = model_run_apart(where, p, 1, to, true) == RESULT_FAILED;
    }
    free(p);
    return again;
}

/* Run programs until the time is over or one fails. */
static void run_all(const place *where)
{
    report *to = model_report_new();
    coverage *all = calloc(1, sizeof(*all));
    program *p = calloc(1, sizeof(*p));
    bool one = getenv("NX_TEST_SEED") != NULL;
    /* A short run tries the same programs every time, those of each provider; a long one tries what nobody has tried. */
    bool is_long = tk_is_long() || getenv("NX_MODEL_SECONDS") != NULL;
    uint64_t first = is_long ? (uint64_t)time(NULL) * 1000000 + (uint64_t)getpid() % 1000 * 1000 : strlen(where->name) * 1000000;
    uint64_t seed = number_of("NX_TEST_SEED", first);
    int count = (int)number_of("NX_TEST_COUNT", one ? 1 : BATCH);
    uint64_t seconds = number_of("NX_MODEL_SECONDS", tk_is_long() ? SECONDS_LONG : SECONDS), programs = 0, skipped = 0;
    time_t until = time(NULL) + (time_t)seconds;

    cr_assert(to != NULL && all != NULL && p != NULL);
    do {
        model_generate(p, seed);
        memset(&to->coverage, 0, sizeof(to->coverage));
        model_result result = model_run_apart(where, p, count, to, !one);
        uint64_t complete = (uint64_t)to->done;
        model_coverage_add(all, &to->coverage);
        if (result == RESULT_FAILED && (one || is_long || shows_again(where, seed + complete, to)))
            show_failure(where, seed, (int)complete, to);
        skipped += result != RESULT_GOOD;
        programs += complete;
        seed += complete + (result != RESULT_GOOD);
    } while (!one && time(NULL) < until && (is_long || programs < PROGRAMS));
    fprintf(stderr, "%s: %" PRIu64 " programs, the last NX_TEST_SEED=%" PRIu64 ", %" PRIu64 " skipped\n", where->name, programs,
            seed - 1, skipped);
    int missing = model_coverage_print(all, where);
    cr_assert(one || !tk_is_long() || missing == 0, "%d pairs were never tried", missing);
    free(p);
    free(all);
}

static void open_place(place *where, char directory[PATH_SIZE], char path[DATABASES][PATH_SIZE])
{
    const char *base = getenv("TMPDIR");

    if (base == NULL || strlen(base) > 64) /* in memory where that is possible: nothing here tests a disk */
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(directory, PATH_SIZE, "%s/nextorm-model-XXXXXX", base);
    cr_assert_not_null(mkdtemp(directory));
    for (int d = 0; d < DATABASES; d++) {
        snprintf(path[d], PATH_SIZE, "%.100s/%d.db", directory, d);
        where->provider[d] = "sqlite";
        where->options[d] = (nx_bind_options){ .path = path[d], .readers = 1, .pool_timeout_ms = 2000 };
    }
}

static void close_place(const char *directory)
{
    char command[PATH_SIZE + 16];

    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        cr_log_warn("%s stays", directory);
}

Test(model, sqlite_file, .timeout = SECONDS_LONG + 3000)
{
    char directory[PATH_SIZE], path[DATABASES][PATH_SIZE];
    place where = { .name = "sqlite_file" };

    open_place(&where, directory, path);
    run_all(&where);
    close_place(directory);
}

Test(model, sqlite_memory, .timeout = SECONDS_LONG + 3000)
{
    char directory[PATH_SIZE], path[DATABASES][PATH_SIZE];
    place where = { .name = "sqlite_memory", .in_memory = true };

    open_place(&where, directory, path);
    where.options[0].path = ":memory:";
    run_all(&where);
    close_place(directory);
}

static void run_on_server(const char *name, pgk_way way)
{
    char directory[PATH_SIZE], path[DATABASES][PATH_SIZE];
    pg_kit kit;
    place where = { .name = name, .kit = &kit };

    pgk_open(&kit);
    open_place(&where, directory, path);
    where.provider[0] = "postgres";
    where.options[0] = pgk_options(&kit, way);
    where.options[0].pool_max = 4;
    where.options[0].pool_timeout_ms = 2000;
    run_all(&where);
    close_place(directory);
    pgk_close(&kit);
}

Test(model, postgres_socket, .timeout = SECONDS_LONG + 3000)
{
    run_on_server("postgres_socket", PGK_SOCKET);
}

Test(model, postgres_pooler, .timeout = SECONDS_LONG + 3000)
{
    run_on_server("postgres_pooler", PGK_POOLER);
}
