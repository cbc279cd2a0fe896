/*
 * rounds - a workload's runs, engine and floors in turns, and what they come to.
 *
 * The order is A B B A A B B A, with a second floor A B C C B A: whatever drifts, the machine's mood or the file system's, meets
 * all sides alike. The first round only warms up. The ratio is that of the medians; its range is that of the rounds' own ratios.
 */
#include "rounds.h"

#include <stdio.h>
#include <stdlib.h>

typedef enum side { ENGINE, FLOOR, LIBRARY, SIDE_count } side;
static const char *const side_names[] = { "engine", "floor", "client library" };

typedef struct round_series {
    uint64_t rounds;
    side sides[SIDE_count]; /* those that run */
    size_t side_count;
    perf_sample *samples[SIDE_count];
    double *values; /* room for one figure of each round */
} round_series;

static void choose_sides(const perf_job *job, round_series *series)
{
    if (!job->options->floor_only)
        series->sides[series->side_count++] = ENGINE;
    series->sides[series->side_count++] = FLOOR;
    if (job->provider->library_floors != NULL)
        series->sides[series->side_count++] = LIBRARY;
}

static bool runs(const round_series *series, side which)
{
    for (size_t i = 0; i < series->side_count; i++)
        if (series->sides[i] == which)
            return true;
    return false;
}

static bool run_side(perf_job *job, side which, perf_sample *ret_sample)
{
    perf_sample sample = { 0 };

    job->floors = which == LIBRARY ? job->provider->library_floors : job->provider->floors;
    bool ok = which == ENGINE ? job->workload->engine_run(job, &sample) : job->workload->floor_run(job, &sample);
    if (!ok || !perf_job_check(job, side_names[which], &sample))
        return false;
    *ret_sample = sample;
    return true;
}

static bool run_rounds(perf_job *job, round_series *series)
{
    for (uint64_t round = 0; round <= series->rounds; round++) {
        /* Round 0 warms up; round 1 overwrites it. */
        uint64_t at = round == 0 ? 0 : round - 1;
        for (size_t i = 0; i < series->side_count; i++) {
            side which = series->sides[round % 2 == 0 ? i : series->side_count - 1 - i];
            if (!run_side(job, which, &series->samples[which][at]))
                return false;
        }
    }
    return true;
}

/* Median over the rounds of the double that lies `offset` bytes into a side's samples. */
static double median_at(round_series *series, side which, size_t offset)
{
    if (!runs(series, which))
        return PERF_UNKNOWN;
    for (uint64_t i = 0; i < series->rounds; i++)
        memcpy(&series->values[i], (const char *)&series->samples[which][i] + offset, sizeof(double));
    return perf_median(series->values, series->rounds);
}

static double median_count(round_series *series, size_t offset)
{
    if (!runs(series, ENGINE))
        return PERF_UNKNOWN;
    for (uint64_t i = 0; i < series->rounds; i++) {
        uint64_t count;
        memcpy(&count, (const char *)&series->samples[ENGINE][i] + offset, sizeof(count));
        series->values[i] = (double)count;
    }
    return perf_median(series->values, series->rounds);
}

static void add_extras(round_series *series, side which, const char *const *names, perf_result *result)
{
    for (size_t i = 0; runs(series, which) && names[i] != NULL; i++)
        result->extra[result->extra_count++] =
            (perf_extra){ names[i], median_at(series, which, offsetof(perf_sample, extra) + i * sizeof(double)) };
}

/* PERF_UNKNOWN: there is none of that name. */
static double extra_named(const perf_result *result, const char *name)
{
    for (size_t i = 0; i < result->extra_count; i++)
        if (strcmp(result->extra[i].name, name) == 0)
            return result->extra[i].value;
    return PERF_UNKNOWN;
}

static void add_quotient(perf_result *result, const char *name, double value, double of)
{
    if (!isnan(value) && !isnan(of) && of > 0)
        result->extra[result->extra_count++] = (perf_extra){ name, value / of };
}

static void compare_sides(const perf_job *job, round_series *series, perf_result *result)
{
    if (!runs(series, ENGINE)) {
        result->ratio = result->ratio_min = result->ratio_max = result->ratio_libpq = PERF_UNKNOWN;
        return;
    }
    for (uint64_t i = 0; i < series->rounds; i++)
        series->values[i] = series->samples[ENGINE][i].time.wall_s / series->samples[FLOOR][i].time.wall_s;
    result->ratio_min = perf_least(series->values, series->rounds);
    result->ratio_max = perf_most(series->values, series->rounds);
    result->ratio = result->engine_s / result->floor_s;
    result->ratio_libpq = result->engine_s / result->libpq_s;
    if (job->workload->floor == PERF_FLOOR_COMMITS)
        result->extra[result->extra_count++] = (perf_extra){ "speedup", 1 / result->ratio };
}

static void summarise(const perf_job *job, round_series *series, perf_result *ret_result)
{
    double ops = (double)job->ops;
    perf_result result = { .workload = job->workload,
                           .provider = job->provider->name,
                           .rounds = series->rounds,
                           .provider_version = job->provider->version(),
                           .method = job->method,
                           .rows = job->rows,
                           .ops = job->ops };

    result.engine_s = median_at(series, ENGINE, offsetof(perf_sample, time.wall_s));
    result.floor_s = median_at(series, FLOOR, offsetof(perf_sample, time.wall_s));
    result.libpq_s = median_at(series, LIBRARY, offsetof(perf_sample, time.wall_s));
    compare_sides(job, series, &result);
    result.engine_cpu_us_per_op = median_at(series, ENGINE, offsetof(perf_sample, time.cpu_s)) * 1e6 / ops;
    result.floor_cpu_us_per_op = median_at(series, FLOOR, offsetof(perf_sample, time.cpu_s)) * 1e6 / ops;
    result.libpq_cpu_us_per_op = median_at(series, LIBRARY, offsetof(perf_sample, time.cpu_s)) * 1e6 / ops;
    result.host_allocs_per_op = median_count(series, offsetof(perf_sample, host_allocs)) / ops;
    result.enters_per_op = median_count(series, offsetof(perf_sample, enters)) / ops;
    add_extras(series, ENGINE, job->workload->engine_extra, &result);
    add_extras(series, FLOOR, job->workload->floor_extra, &result);
    add_extras(series, LIBRARY, job->workload->library_extra, &result);
    add_quotient(&result, "ratio_walk", result.engine_s, extra_named(&result, "walk_s"));
    add_quotient(&result, "ratio_p50", extra_named(&result, "engine_p50_us"), extra_named(&result, "floor_p50_us"));
    *ret_result = result;
}

bool perf_rounds_run(const perf_workload *workload, const perf_options *options, perf_result *ret_result)
{
    perf_job job;
    round_series series = { .rounds = options->rounds };

    series.values = calloc(options->rounds, sizeof(double));
    bool ok = series.values != NULL;
    for (side which = 0; which < SIDE_count; which++) {
        series.samples[which] = calloc(options->rounds, sizeof(perf_sample));
        ok = ok && series.samples[which] != NULL;
    }
    if (!ok)
        fprintf(stderr, "nextorm-perf: out of memory\n");
    if (ok) {
        ok = perf_job_init(&job, workload, options);
        choose_sides(&job, &series);
        ok = ok && run_rounds(&job, &series);
        if (ok)
            summarise(&job, &series, ret_result);
        perf_job_free(&job);
    }
    for (side which = 0; which < SIDE_count; which++)
        free(series.samples[which]);
    free(series.values);
    return ok;
}
