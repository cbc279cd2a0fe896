/*
 * rounds - a workload's runs, engine and floor in turns, and what they come to.
 *
 * The order is A B B A A B B A: whatever drifts, the machine's mood or the file system's, meets both sides alike. The first
 * round only warms up. The ratio is that of the medians; its range is that of the rounds' own ratios.
 */
#include "rounds.h"

#include <stdio.h>
#include <stdlib.h>

typedef enum side { ENGINE, FLOOR, SIDE_count } side;

typedef struct round_series {
    uint64_t rounds;
    perf_sample *samples[SIDE_count];
    double *values; /* room for one figure of each round */
} round_series;

static bool run_side(perf_job *job, side which, perf_sample *ret_sample)
{
    perf_sample sample = { 0 };
    bool ok = which == ENGINE ? job->workload->engine_run(job, &sample) : job->workload->floor_run(job, &sample);

    if (!ok || !perf_job_check(job, which == ENGINE ? "engine" : "floor", &sample))
        return false;
    *ret_sample = sample;
    return true;
}

static bool run_rounds(perf_job *job, round_series *series)
{
    for (uint64_t round = 0; round <= series->rounds; round++) {
        side first = round % 2 == 0 ? ENGINE : FLOOR;
        /* Round 0 warms up; round 1 overwrites it. */
        uint64_t at = round == 0 ? 0 : round - 1;
        if (!run_side(job, first, &series->samples[first][at]) ||
            !run_side(job, SIDE_count - 1 - first, &series->samples[SIDE_count - 1 - first][at]))
            return false;
    }
    return true;
}

/* Median over the rounds of the double that lies `offset` bytes into a side's samples. */
static double median_at(round_series *series, side which, size_t offset)
{
    for (uint64_t i = 0; i < series->rounds; i++)
        memcpy(&series->values[i], (const char *)&series->samples[which][i] + offset, sizeof(double));
    return perf_median(series->values, series->rounds);
}

static double median_count(round_series *series, size_t offset)
{
    for (uint64_t i = 0; i < series->rounds; i++) {
        uint64_t count;
        memcpy(&count, (const char *)&series->samples[ENGINE][i] + offset, sizeof(count));
        series->values[i] = (double)count;
    }
    return perf_median(series->values, series->rounds);
}

static void add_extras(round_series *series, side which, const char *const *names, perf_result *result)
{
    for (size_t i = 0; names[i] != NULL; i++)
        result->extra[result->extra_count++] =
            (perf_extra){ names[i], median_at(series, which, offsetof(perf_sample, extra) + i * sizeof(double)) };
}

static void summarise(const perf_job *job, round_series *series, perf_result *ret_result)
{
    double ops = (double)job->ops;
    perf_result result = { .workload = job->workload, .provider = job->provider->name, .rounds = series->rounds,
                           .provider_version = job->provider->version(), .method = job->method, .rows = job->rows,
                           .ops = job->ops };

    result.engine_s = median_at(series, ENGINE, offsetof(perf_sample, time.wall_s));
    result.floor_s = median_at(series, FLOOR, offsetof(perf_sample, time.wall_s));
    result.ratio = result.engine_s / result.floor_s;
    for (uint64_t i = 0; i < series->rounds; i++)
        series->values[i] = series->samples[ENGINE][i].time.wall_s / series->samples[FLOOR][i].time.wall_s;
    result.ratio_min = perf_least(series->values, series->rounds);
    result.ratio_max = perf_most(series->values, series->rounds);
    result.engine_cpu_us_per_op = median_at(series, ENGINE, offsetof(perf_sample, time.cpu_s)) * 1e6 / ops;
    result.floor_cpu_us_per_op = median_at(series, FLOOR, offsetof(perf_sample, time.cpu_s)) * 1e6 / ops;
    result.host_allocs_per_op = median_count(series, offsetof(perf_sample, host_allocs)) / ops;
    result.enters_per_op = median_count(series, offsetof(perf_sample, enters)) / ops;
    if (job->workload->floor == PERF_FLOOR_COMMITS)
        result.extra[result.extra_count++] = (perf_extra){ "speedup", 1 / result.ratio };
    add_extras(series, ENGINE, job->workload->engine_extra, &result);
    add_extras(series, FLOOR, job->workload->floor_extra, &result);
    *ret_result = result;
}

bool perf_rounds_run(const perf_workload *workload, const perf_options *options, perf_result *ret_result)
{
    perf_job job;
    round_series series = { .rounds = options->rounds };

    series.samples[ENGINE] = calloc(options->rounds, sizeof(perf_sample));
    series.samples[FLOOR] = calloc(options->rounds, sizeof(perf_sample));
    series.values = calloc(options->rounds, sizeof(double));
    bool ok = series.samples[ENGINE] != NULL && series.samples[FLOOR] != NULL && series.values != NULL;
    if (!ok)
        fprintf(stderr, "nextorm-perf: out of memory\n");
    if (ok) {
        ok = perf_job_init(&job, workload, options) && run_rounds(&job, &series);
        if (ok)
            summarise(&job, &series, ret_result);
        perf_job_free(&job);
    }
    free(series.samples[ENGINE]);
    free(series.samples[FLOOR]);
    free(series.values);
    return ok;
}
