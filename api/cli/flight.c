/*
 * flight - rows that were given to the load and are not answered yet.
 */
#include "api/cli/flight.h"

#include <stdlib.h>

void flight_free(flight *self)
{
    free(self->rows);
    free(self->bytes);
    *self = (flight){ .rows = NULL };
}

void flight_restart(flight *self)
{
    self->row_begin = 0;
    self->row_end = 0;
    self->first = 0;
    self->byte_begin = 0;
    self->byte_end = 0;
}

/* Move what is left to the front once the gap is a quarter as large: each byte is then moved four times at most on average. */
static void close_gaps(flight *self, size_t bytes_wanted)
{
    size_t rows = flight_rows(self);
    size_t bytes = flight_bytes(self);

    if (self->row_end == self->row_capacity && self->row_begin >= rows / 4) {
        if (rows > 0)
            memmove(self->rows, self->rows + self->row_begin, rows * sizeof(*self->rows));
        self->row_begin = 0;
        self->row_end = rows;
    }
    if (self->byte_end + bytes_wanted > self->byte_capacity && self->byte_begin >= bytes / 4) {
        if (bytes > 0)
            memmove(self->bytes, self->bytes + self->byte_begin, bytes);
        self->bytes_at += self->byte_begin;
        self->byte_begin = 0;
        self->byte_end = bytes;
    }
}

void flight_push(flight *self, uint64_t line, nx_text raw)
{
    close_gaps(self, raw.size);
    self->rows = grow(self->rows, &self->row_capacity, self->row_end + 1, sizeof(*self->rows));
    self->bytes = grow(self->bytes, &self->byte_capacity, self->byte_end + raw.size, 1);
    self->rows[self->row_end++] = (flight_row){ .line = line, .at = self->bytes_at + self->byte_end, .size = raw.size };
    if (raw.size > 0)
        memcpy(self->bytes + self->byte_end, raw.data, raw.size);
    self->byte_end += raw.size;
}

flight_row *flight_find(flight *self, uint64_t number)
{
    if (number < self->first || number - self->first >= flight_rows(self))
        return NULL;
    return &self->rows[self->row_begin + (size_t)(number - self->first)];
}

nx_text flight_raw(const flight *self, const flight_row *row)
{
    return nx_strn(self->bytes + (size_t)(row->at - self->bytes_at), row->size);
}

void flight_settle(flight *self, uint64_t answered)
{
    while (self->row_begin < self->row_end) {
        const flight_row *row = &self->rows[self->row_begin];

        if (!row->rejected && answered == 0)
            return;
        answered -= row->rejected ? 0 : 1;
        self->byte_begin += row->size;
        self->row_begin++;
        self->first++;
    }
}
