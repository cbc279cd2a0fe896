/* report - results as JSON lines, or as a table for people. */
#include "report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef PERF_COMMIT
#define PERF_COMMIT "unknown"
#endif

static int set_count(json_t *object, const char *key, uint64_t value)
{
    return json_object_set_new(object, key, json_integer((json_int_t)value));
}

static int set_real(json_t *object, const char *key, double value)
{
    return json_object_set_new(object, key, isnan(value) ? json_null() : json_real(value));
}

static int set_text(json_t *object, const char *key, const char *value)
{
    return json_object_set_new(object, key, json_string(value));
}

/* What is measured: which workload, how much of it. */
static int set_subject(json_t *object, const perf_result *result)
{
    const perf_workload *workload = result->workload;
    int failed = set_text(object, "workload", workload->name);

    failed |= set_text(object, "provider", result->provider);
    if (workload->in_flight != 0)
        failed |= set_count(object, "in_flight", workload->in_flight);
    if (workload->connections != 0) {
        failed |= set_count(object, "connections", workload->connections);
        failed |= set_count(object, "depth", workload->in_flight / workload->connections);
    }
    if (workload->synchronous != NULL)
        failed |= set_text(object, "synchronous", workload->synchronous);
    failed |= set_count(object, workload->ops != 0 ? "ops" : "rows", result->ops);
    return failed;
}

static int set_figures(json_t *object, const perf_result *result)
{
    int failed = set_real(object, "engine_s", result->engine_s);

    failed |= set_real(object, "floor_s", result->floor_s);
    failed |= set_real(object, "ratio", result->ratio);
    failed |= set_real(object, "ratio_min", result->ratio_min);
    failed |= set_real(object, "ratio_max", result->ratio_max);
    failed |= set_real(object, "engine_cpu_us_per_op", result->engine_cpu_us_per_op);
    failed |= set_real(object, "floor_cpu_us_per_op", result->floor_cpu_us_per_op);
    failed |= set_real(object, "libpq_s", result->libpq_s);
    failed |= set_real(object, "ratio_libpq", result->ratio_libpq);
    failed |= set_real(object, "libpq_cpu_us_per_op", result->libpq_cpu_us_per_op);
    failed |= set_real(object, "host_allocs_per_op", result->host_allocs_per_op);
    failed |= set_real(object, "enters_per_op", result->enters_per_op);
    for (size_t i = 0; i < result->extra_count; i++)
        failed |= set_real(object, result->extra[i].name, result->extra[i].value);
    if (result->method != NULL)
        failed |= set_text(object, "floor_method", result->method);
    return failed;
}

static int set_context(json_t *object, const perf_result *result)
{
    struct utsname system;
    int failed = set_count(object, "rounds", result->rounds);

    if (result->workload->ops != 0 && result->rows != result->ops)
        failed |= set_count(object, "table_rows", result->rows);
    failed |= set_text(object, "provider_version", result->provider_version);
    failed |= set_text(object, "nextorm_version", nx_version());
    failed |= set_text(object, "commit", PERF_COMMIT);
    failed |= set_text(object, "kernel", uname(&system) == 0 ? system.release : "unknown");
    failed |= set_count(object, "cpus", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    return failed;
}

bool perf_report_json(const perf_result *result)
{
    json_t *object = json_object();
    if (object == NULL)
        return false;
    bool ok = (set_subject(object, result) | set_figures(object, result) | set_context(object, result)) == 0 &&
              json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6)) == 0 && putchar('\n') != EOF &&
              fflush(stdout) == 0;
    json_decref(object);
    return ok;
}

void perf_report_table_head(const char *provider, const char *version, uint64_t rounds)
{
    printf("provider %s %s, nextorm %s (%s), %" PRIu64 " rounds; times are medians, us are processor time\n\n", provider, version,
           nx_version(), PERF_COMMIT, rounds);
    printf("%-18s %9s %10s %10s %7s %15s %10s %7s %10s %10s %10s %10s %10s\n", "workload", "ops", "engine_s", "floor_s", "ratio",
           "(min..max)", "libpq_s", "ratio", "engine us", "floor us", "libpq us", "allocs/op", "enters/op");
}

static void print_name(const perf_workload *workload)
{
    char name[64];

    if (workload->connections > 0 && workload->synchronous != NULL)
        (void)snprintf(name, sizeof(name), "%s %s %" PRIu32, workload->name, workload->synchronous, workload->in_flight);
    else if (workload->connections > 0)
        (void)snprintf(name, sizeof(name), "%s %" PRIu16 " x %" PRIu32, workload->name, workload->connections,
                       workload->in_flight / workload->connections);
    else if (workload->synchronous != NULL)
        (void)snprintf(name, sizeof(name), "%s %s", workload->name, workload->synchronous);
    else if (workload->in_flight != 0)
        (void)snprintf(name, sizeof(name), "%s %" PRIu32, workload->name, workload->in_flight);
    else
        (void)snprintf(name, sizeof(name), "%s", workload->name);
    printf("%-18s", name);
}

/* "-" for what was not run. */
static void print_figure(int width, int digits, double value)
{
    if (isnan(value))
        printf(" %*s", width, "-");
    else
        printf(" %*.*f", width, digits, value);
}

void perf_report_table_row(const perf_result *result)
{
    char range[32] = "";

    print_name(result->workload);
    printf(" %9" PRIu64, result->ops);
    print_figure(10, 4, result->engine_s);
    print_figure(10, 4, result->floor_s);
    print_figure(7, 3, result->ratio);
    if (!isnan(result->ratio))
        (void)snprintf(range, sizeof(range), "(%.2f..%.2f)", result->ratio_min, result->ratio_max);
    printf(" %15s", range);
    print_figure(10, 4, result->libpq_s);
    print_figure(7, 3, result->ratio_libpq);
    print_figure(10, 3, result->engine_cpu_us_per_op);
    print_figure(10, 3, result->floor_cpu_us_per_op);
    print_figure(10, 3, result->libpq_cpu_us_per_op);
    print_figure(10, 6, result->host_allocs_per_op);
    print_figure(10, 6, result->enters_per_op);
    (void)putchar('\n');
    for (size_t i = 0; i < result->extra_count; i++)
        printf("    %s %.4f\n", result->extra[i].name, result->extra[i].value);
    if (result->method != NULL)
        printf("    floor_method %s\n", result->method);
    (void)fflush(stdout);
}
