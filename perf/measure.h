/*
 * measure - clocks, processor time, and medians of what they showed.
 *
 * Wall time is CLOCK_MONOTONIC; processor time is user + system of all threads of the process, so that the
 * work of the library's workers, and their spinning, counts as the engine's.
 */
#ifndef PERF_MEASURE_H
#define PERF_MEASURE_H

#include <stddef.h>
#include <stdint.h>

typedef struct perf_clock {
    double wall_s;
    double cpu_s;
} perf_clock;

/* The time now. */
perf_clock perf_clock_now(void);
/* Only the wall time, in seconds: cheap enough for single operations. */
double perf_clock_now_s(void);
/* The time that passed since then. */
perf_clock perf_clock_since(perf_clock start);

/* Median, smallest and largest of count > 0 values, which are sorted in place. */
double perf_median(double *values, size_t count);
/* The value that `part` per cent of them do not exceed; sorts them too. */
double perf_percentile(double *values, size_t count, double part);
double perf_least(const double *values, size_t count);
double perf_most(const double *values, size_t count);

#endif
