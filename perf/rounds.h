/* rounds - a workload's runs, engine and floors in turns, and what they come to. */
#ifndef PERF_ROUNDS_H
#define PERF_ROUNDS_H

#include <math.h>

#include "job.h"

/* A figure of what was not run. */
#define PERF_UNKNOWN ((double)NAN)

typedef struct perf_extra {
    const char *name;
    double value;
} perf_extra;

/* One line of the report: medians over the rounds; or PERF_UNKNOWN. */
typedef struct perf_result {
    const perf_workload *workload;
    const char *provider, *provider_version;
    const char *method; /* of the floor; NULL: it has but one */
    uint64_t rounds, rows, ops;
    double engine_s, floor_s, ratio, ratio_min, ratio_max;
    double engine_cpu_us_per_op, floor_cpu_us_per_op;
    double libpq_s, ratio_libpq, libpq_cpu_us_per_op; /* the floor through the client library */
    double host_allocs_per_op, enters_per_op;
    size_t extra_count;
    perf_extra extra[3 * PERF_EXTRAS_MAX + 2];
} perf_result;

/* Run a workload. False after a failure or a wrong answer, which was printed. */
bool perf_rounds_run(const perf_workload *workload, const perf_options *options, perf_result *ret_result);

#endif
