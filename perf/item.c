/* item - the row that every workload uses: its contents, and the checksum that proves an answer. */
#include "item.h"

#include <stdlib.h>

void perf_item_make(uint64_t n, perf_item *ret_item)
{
    static const char digit[] = "0123456789abcdef";
    uint64_t first = perf_mix(2 * n), second = perf_mix(2 * n + 1);

    ret_item->id = (int64_t)(n + 1);
    ret_item->a = (int32_t)(first & 0x7fffffff);
    ret_item->b = (double)(first >> 32) / 1024.0;
    for (size_t i = 0; i < PERF_TEXT_SIZE; i++)
        ret_item->c[i] = digit[(second >> (4 * i)) & 15];
}

perf_item *perf_items_new(uint64_t count)
{
    perf_item *items = calloc(count == 0 ? 1 : count, sizeof(*items));
    if (items == NULL)
        return NULL;
    for (uint64_t n = 0; n < count; n++)
        perf_item_make(n, &items[n]);
    return items;
}

perf_sum perf_items_sum(uint64_t count)
{
    perf_sum sum = { 0 };
    for (uint64_t n = 0; n < count; n++) {
        perf_item item;
        perf_item_make(n, &item);
        perf_sum_item(&sum, &item);
    }
    return sum;
}
