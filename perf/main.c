/*
 * nextorm-perf - how near the engine is to what the provider can do at all.
 *
 *     nextorm-perf --provider sqlite|postgres --workload NAME|all --rounds N [--json] [--rows N] [--dir PATH] [--url URL]
 *     nextorm-perf --make-csv FILE [--rows N]
 *     nextorm-perf --provider postgres [--url URL] --run COMMAND
 *
 * Each workload runs through the library and by hand ("the floor": SQLite's library, or a server's wire), in turns, in one
 * process; the ratio of both is the figure to look at, times alone say more about the machine. On PostgreSQL libpq, as its users
 * write it, is a second floor. --json prints one object for each workload (several for get and commits); without it a table is
 * printed. A wrong answer of any side, found by row counts and checksums, ends the program with status 1; wrong arguments with 2.
 *
 * Measure a release build, with --dir on the storage that matters: commits wait for it. PostgreSQL: without --url a server with
 * its files in --dir runs for as long as the program; with it, a database is made on that server, and dropped at the end.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "csv.h"
#include "report.h"

enum {
    EXIT_USAGE = 2,
    KEY_ROWS = 256,
    KEY_ROUNDS,
    KEY_DIR,
    KEY_JSON,
    KEY_URL,
    KEY_FLOOR_ONLY,
    KEY_RUN,
    KEY_MAKE_CSV,
    KEY_STREAM_CHILD
};

typedef struct command_line {
    perf_options options;
    const char *csv;
    const char *command;
    const char *stream_child;
} command_line;

static const struct argp_option argument_list[] = {
    { "provider", 'p', "NAME", 0, "Database to measure: sqlite (default) or postgres", 0 },
    { "url", KEY_URL, "URL", 0, "Server to measure: a URI or a connection string (default: one that is started for this)", 0 },
    { "workload", 'w', "NAME", 0,
      "insert, bulk, copy (servers), update, fetch, fetch-map, get, commits, stream, or all (default)", 0 },
    { "rounds", KEY_ROUNDS, "N", 0, "Measured rounds, after one that warms up (default: 5)", 0 },
    { "rows", KEY_ROWS, "N", 0, "Rows instead of each workload's own number", 0 },
    { "dir", KEY_DIR, "PATH", 0, "Where databases are made (default: TMPDIR, or /tmp)", 0 },
    { "json", KEY_JSON, NULL, 0, "One JSON object for each workload instead of a table", 0 },
    { "floor-only", KEY_FLOOR_ONLY, NULL, 0, "Only the floors, without the engine: what the machine and the database can do", 0 },
    { "run", KEY_RUN, "COMMAND", 0, "Only run a shell command, with the URL of a new database in PERF_URL", 0 },
    { "make-csv", KEY_MAKE_CSV, "FILE", 0, "Only write the rows to a CSV file (default: 1000000 rows)", 0 },
    { "stream-child", KEY_STREAM_CHILD, "PATH", OPTION_HIDDEN, "", 0 },
    { 0 },
};

static const perf_workload *const workload_lists[] = {
    perf_workloads_write, perf_workloads_read, perf_workloads_get, perf_workloads_commits, perf_workloads_stream,
};

/* A positive decimal number; anything else ends the program with a message. */
static uint64_t parse_count(struct argp_state *state, const char *text, uint64_t most)
{
    uint64_t value = 0;
    const char *digit = text;

    for (; *digit >= '0' && *digit <= '9' && value <= most; digit++)
        value = value * 10 + (uint64_t)(*digit - '0');
    if (digit == text || *digit != '\0' || value == 0 || value > most)
        argp_error(state, "'%s' is not a number from 1 to %llu", text, (unsigned long long)most);
    return value;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    command_line *arguments = state->input;

    switch (key) {
    case 'p': arguments->options.provider = value; return 0;
    case 'w': arguments->options.workload = value; return 0;
    case KEY_ROUNDS: arguments->options.rounds = parse_count(state, value, 10000); return 0;
    case KEY_ROWS: arguments->options.rows = parse_count(state, value, 1000000000); return 0;
    case KEY_DIR: arguments->options.directory = value; return 0;
    case KEY_JSON: arguments->options.json = true; return 0;
    case KEY_URL: arguments->options.url = value; return 0;
    case KEY_FLOOR_ONLY: arguments->options.floor_only = true; return 0;
    case KEY_RUN: arguments->command = value; return 0;
    case KEY_MAKE_CSV: arguments->csv = value; return 0;
    case KEY_STREAM_CHILD: arguments->stream_child = value; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static bool is_wanted(const perf_workload *workload, const perf_options *options)
{
    perf_reach here = perf_provider_find(options->provider)->is_server ? PERF_SERVERS : PERF_EMBEDDED;

    return (workload->reach == PERF_EVERYWHERE || workload->reach == here) &&
           (strcmp(options->workload, "all") == 0 || strcmp(options->workload, workload->name) == 0);
}

static size_t count_wanted(const perf_options *options)
{
    size_t wanted = 0;
    for (size_t i = 0; i < sizeof(workload_lists) / sizeof(workload_lists[0]); i++)
        for (const perf_workload *workload = workload_lists[i]; workload->name != NULL; workload++)
            wanted += is_wanted(workload, options);
    return wanted;
}

static bool run(const perf_workload *workload, const perf_options *options)
{
    perf_result result;

    if (!perf_rounds_run(workload, options, &result))
        return false;
    if (options->json)
        return perf_report_json(&result);
    perf_report_table_row(&result);
    return true;
}

/* All are run, also after one has failed. */
static bool run_wanted(const perf_options *options)
{
    bool ok = true;
    for (size_t i = 0; i < sizeof(workload_lists) / sizeof(workload_lists[0]); i++)
        for (const perf_workload *workload = workload_lists[i]; workload->name != NULL; workload++)
            if (is_wanted(workload, options))
                ok = run(workload, options) && ok;
    return ok;
}

/* With a place's URL in the environment. */
static bool run_command(const perf_provider *provider, const perf_options *options, const char *command)
{
    perf_place place = { .connections = 1 };

    if (!provider->locate(&place, options->directory) || !provider->create(&place, false, 0) ||
        setenv("PERF_URL", place.path, 1) != 0)
        return false;
    int status = system(command);
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

/* What was asked for, between start and stop of the server, if there is one. */
static bool run_on(const perf_provider *provider, const command_line *arguments)
{
    const perf_options *options = &arguments->options;
    bool ok = provider->start == NULL || provider->start(options->url, options->directory);

    if (ok && arguments->command != NULL) {
        ok = run_command(provider, options, arguments->command);
    } else if (ok) {
        if (!options->json)
            perf_report_table_head(provider->name, provider->version(), options->rounds);
        ok = run_wanted(options);
    }
    if (provider->stop != NULL)
        provider->stop();
    return ok;
}

/* EXIT_SUCCESS: the arguments fit each other and the provider. */
static int check_arguments(const command_line *arguments, const perf_provider *provider)
{
    const perf_options *options = &arguments->options;

    if (provider == NULL) {
        fprintf(stderr, "nextorm-perf: unknown provider '%s'; known: %s\n", options->provider, perf_provider_names());
        return EXIT_USAGE;
    }
    if (!provider->is_server && (options->url != NULL || arguments->command != NULL)) {
        fprintf(stderr, "nextorm-perf: --url and --run are for servers\n");
        return EXIT_USAGE;
    }
    if (count_wanted(options) == 0) {
        fprintf(stderr, "nextorm-perf: unknown workload '%s'; see --help\n", options->workload);
        return EXIT_USAGE;
    }
    return EXIT_SUCCESS;
}

int main(int count, char **values)
{
    const char *temporary = getenv("TMPDIR");
    command_line arguments = { .options = { .provider = "sqlite",
                                            .workload = "all",
                                            .rounds = 5,
                                            .directory = temporary != NULL && *temporary != '\0' ? temporary : "/tmp" } };
    static const struct argp parser = { argument_list, parse, NULL, "Measure the engine against the same work done by hand.",
                                        NULL,          NULL,  NULL };

    argp_err_exit_status = EXIT_USAGE;
    (void)argp_parse(&parser, count, values, 0, NULL, &arguments);
    const perf_options *options = &arguments.options;
    if (arguments.csv != NULL)
        return perf_csv_make(arguments.csv, options->rows != 0 ? options->rows : 1000000) ? EXIT_SUCCESS : EXIT_FAILURE;

    const perf_provider *provider = perf_provider_find(options->provider);
    int status = check_arguments(&arguments, provider);
    if (status != EXIT_SUCCESS)
        return status;
    if (!provider->begin()) {
        fprintf(stderr, "nextorm-perf: %s cannot be set up\n", provider->name);
        return EXIT_FAILURE;
    }
    if (arguments.stream_child != NULL)
        return perf_stream_child(options, arguments.stream_child);
    return run_on(provider, &arguments) ? EXIT_SUCCESS : EXIT_FAILURE;
}
