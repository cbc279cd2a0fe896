/* csv - the workloads' rows as a file, for comparisons of whole commands. */
#include "csv.h"

#include <inttypes.h>
#include <stdio.h>

#include "item.h"

bool perf_csv_make(const char *path, uint64_t rows)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        perror(path);
        return false;
    }
    bool ok = true;
    for (uint64_t n = 0; ok && n < rows; n++) {
        perf_item item;
        perf_item_make(n, &item);
        ok = fprintf(file, "%" PRId64 ",%" PRId32 ",%.10f,%.*s\n", item.id, item.a, item.b, PERF_TEXT_SIZE, item.c) > 0;
    }
    ok = fclose(file) == 0 && ok;
    if (!ok)
        perror(path);
    return ok;
}
