/* csv - the workloads' rows as a file, for comparisons of whole commands. */
#ifndef PERF_CSV_H
#define PERF_CSV_H

#include <stdbool.h>
#include <stdint.h>

/* Write the first `rows` rows as "id,a,b,c" lines without a header. False after a failure, which was printed. */
bool perf_csv_make(const char *path, uint64_t rows);

#endif
