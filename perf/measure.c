/* measure - clocks, processor time, and medians of what they showed. */
#include "measure.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

perf_clock perf_clock_now(void)
{
    struct timespec now;
    struct rusage usage;

    /* Neither can fail with these arguments. */
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (perf_clock){
        .wall_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9,
        .cpu_s = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime),
    };
}

double perf_clock_now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

perf_clock perf_clock_since(perf_clock start)
{
    perf_clock now = perf_clock_now();
    return (perf_clock){ .wall_s = now.wall_s - start.wall_s, .cpu_s = now.cpu_s - start.cpu_s };
}

static int compare(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

double perf_median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    size_t middle = count / 2;
    return count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double perf_percentile(double *values, size_t count, double part)
{
    qsort(values, count, sizeof(*values), compare);
    size_t at = (size_t)((double)count * part / 100);
    return values[at < count ? at : count - 1];
}

double perf_least(const double *values, size_t count)
{
    double least = values[0];
    for (size_t i = 1; i < count; i++)
        least = values[i] < least ? values[i] : least;
    return least;
}

double perf_most(const double *values, size_t count)
{
    double most = values[0];
    for (size_t i = 1; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}
