/*
 * flight - rows that were given to the load and are not answered yet, with the records they came from.
 *
 * Rows are numbered from 0 in the order in which they are pushed and leave in that order.
 */
#ifndef NEXTORM_CLI_FLIGHT_H
#define NEXTORM_CLI_FLIGHT_H

#include "api/cli/common.h"

typedef struct flight_row {
    uint64_t line;
    uint64_t at; /* of its bytes, counted over the whole flight */
    size_t size;
    bool rejected;
} flight_row;

/* Zero-initialised. */
typedef struct flight {
    flight_row *rows;
    size_t row_begin, row_end, row_capacity;
    uint64_t first;    /* number of the row at row_begin */
    char *bytes;
    size_t byte_begin, byte_end, byte_capacity;
    uint64_t bytes_at; /* what `at` of a row at bytes[0] would be */
} flight;

void flight_free(flight *self);
void flight_push(flight *self, uint64_t line, nx_text raw);
/* The row of that number, or NULL when it is not in flight. */
flight_row *flight_find(flight *self, uint64_t number);
nx_text flight_raw(const flight *self, const flight_row *row);
/* So many rows that were not rejected are answered: the oldest leave, rejected ones among them too. */
void flight_settle(flight *self, uint64_t answered);
/* No row is in flight; the next one is number 0 again. */
void flight_restart(flight *self);

static inline size_t flight_rows(const flight *self)
{
    return self->row_end - self->row_begin;
}
static inline size_t flight_bytes(const flight *self)
{
    return self->byte_end - self->byte_begin;
}

#endif
