/*
 * item - the row that every workload uses: its contents, and the checksum that proves an answer.
 *
 * Row number n (from 0) always has the same contents; its key is n + 1 when a database numbered the rows in
 * their order. Checksums are sums over rows, so the order of the rows does not matter.
 */
#ifndef PERF_ITEM_H
#define PERF_ITEM_H

#include <stdint.h>
#include <string.h>

enum { PERF_TEXT_SIZE = 16 };

typedef struct perf_item {
    int64_t id;
    int32_t a;
    double b;
    char c[PERF_TEXT_SIZE]; /* hexadecimal digits, no zero byte behind them */
} perf_item;

/* What is known of a set of rows. */
typedef struct perf_sum {
    uint64_t count;
    uint64_t content; /* over a, b, c of each row */
    uint64_t keyed;   /* over id, a, b, c of each row: right rows under wrong keys differ here */
} perf_sum;

/* A well-mixed number for n; also the source of random keys. */
static inline uint64_t perf_mix(uint64_t n)
{
    n += 0x9e3779b97f4a7c15U;
    n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9U;
    n = (n ^ (n >> 27)) * 0x94d049bb133111ebU;
    return n ^ (n >> 31);
}

/* Add one row. A text of another size than PERF_TEXT_SIZE makes the sum wrong, it is not read beyond its size. */
static inline void perf_sum_add(perf_sum *sum, int64_t id, int32_t a, double b, const void *text, size_t text_size)
{
    uint64_t bits, low = 0, high = 0;

    memcpy(&bits, &b, sizeof(bits));
    if (text_size == PERF_TEXT_SIZE) {
        memcpy(&low, text, sizeof(low));
        memcpy(&high, (const char *)text + sizeof(low), sizeof(high));
    }
    uint64_t row = (uint64_t)(uint32_t)a * 0xff51afd7ed558ccdU + bits * 0xc4ceb9fe1a85ec53U;
    row = (row ^ (row >> 32)) + low * 0x9ddfea08eb382d69U;
    row = (row ^ (row >> 32)) + high * 0x9fb21c651e98df25U;
    row ^= row >> 29;
    uint64_t keyed = (row + (uint64_t)id) * 0xd6e8feb86659fd93U;
    sum->count++;
    sum->content += row;
    sum->keyed += keyed ^ (keyed >> 32);
}

static inline void perf_sum_item(perf_sum *sum, const perf_item *item)
{
    perf_sum_add(sum, item->id, item->a, item->b, item->c, PERF_TEXT_SIZE);
}

/* Row number n, its key being n + 1. */
void perf_item_make(uint64_t n, perf_item *ret_item);
/* The first count rows; NULL: out of memory. Free with free(). */
perf_item *perf_items_new(uint64_t count);
/* The sum of the first count rows. */
perf_sum perf_items_sum(uint64_t count);

#endif
