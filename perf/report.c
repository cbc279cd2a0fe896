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
    return json_object_set_new(object, key, json_real(value));
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
    printf("%-18s %9s %10s %10s %7s %15s %10s %10s %10s %10s\n", "workload", "ops", "engine_s", "floor_s", "ratio", "(min..max)",
           "engine us", "floor us", "allocs/op", "enters/op");
}

void perf_report_table_row(const perf_result *result)
{
    const perf_workload *workload = result->workload;
    char name[64], range[32];

    if (workload->synchronous != NULL)
        (void)snprintf(name, sizeof(name), "%s %s", workload->name, workload->synchronous);
    else if (workload->in_flight != 0)
        (void)snprintf(name, sizeof(name), "%s %" PRIu32, workload->name, workload->in_flight);
    else
        (void)snprintf(name, sizeof(name), "%s", workload->name);
    (void)snprintf(range, sizeof(range), "(%.2f..%.2f)", result->ratio_min, result->ratio_max);
    printf("%-18s %9" PRIu64 " %10.4f %10.4f %7.3f %15s %10.3f %10.3f %10.6f %10.6f\n", name, result->ops, result->engine_s,
           result->floor_s, result->ratio, range, result->engine_cpu_us_per_op, result->floor_cpu_us_per_op,
           result->host_allocs_per_op, result->enters_per_op);
    for (size_t i = 0; i < result->extra_count; i++)
        printf("    %s %.4f\n", result->extra[i].name, result->extra[i].value);
    if (result->method != NULL)
        printf("    floor_method %s\n", result->method);
    (void)fflush(stdout);
}
