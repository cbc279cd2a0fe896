/*
 * sample - the first records of the input.
 */
#include "api/cli/sample.h"

#include <stdlib.h>

static size_t bytes_of(const record *from)
{
    size_t size = from->raw.size;

    if (from->error != NULL)
        size += strlen(from->error) + 1;
    for (size_t i = 0; i < from->field_count; i++)
        size += from->fields[i].name.size + from->fields[i].text.size + 2;
    return size + 1;
}

/* Append a text and a zero byte at *at. */
static nx_text keep(nx_text text, char **at)
{
    nx_text kept = { *at, text.size };

    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    (*at)[text.size] = '\0';
    *at += text.size + 1;
    return kept;
}

/* One block holds the fields and all texts; `fields` is where it begins. */
static record copy(const record *from)
{
    size_t count = from->field_count;
    char *block = take(count * sizeof(field) + bytes_of(from), 1);
    field *fields = (field *)(void *)block;
    char *at = block + count * sizeof(field);
    record kept = { .line = from->line, .fields = fields, .field_count = count };

    kept.raw = keep(from->raw, &at);
    if (from->error != NULL)
        kept.error = keep(nx_str(from->error), &at).data;
    for (size_t i = 0; i < count; i++) {
        fields[i] = (field){ .kind = from->fields[i].kind };
        fields[i].text = keep(from->fields[i].text, &at);
        if (from->fields[i].name.data != NULL)
            fields[i].name = keep(from->fields[i].name, &at);
    }
    return kept;
}

bool sample_take(sample *self, source *from, bool take_header)
{
    size_t bytes = 0;

    *self = (sample){ .ended = SOURCE_RECORD };
    while (self->count < SAMPLE_RECORDS_MAX && bytes < SAMPLE_BYTES_MAX) {
        const record *next = NULL;

        self->ended = from->next(from, &next);
        if (self->ended != SOURCE_RECORD)
            break;
        if (take_header && !self->has_header) {
            self->header = copy(next);
            self->has_header = true;
            continue;
        }
        self->records = grow(self->records, &self->capacity, self->count + 1, sizeof(*self->records));
        self->records[self->count++] = copy(next);
        bytes += bytes_of(next);
    }
    return self->ended != SOURCE_FAILED;
}

/* The block of copy() was made by take(). */
static void release(const record *kept)
{
    union {
        const field *constant;
        field *block;
    } fields = { .constant = kept->fields };

    free(fields.block);
}

void sample_free(sample *self)
{
    for (size_t i = self->given; i < self->count; i++)
        release(&self->records[i]);
    if (self->given > 0 && self->given <= self->count)
        release(&self->records[self->given - 1]);
    if (self->has_header)
        release(&self->header);
    free(self->records);
    *self = (sample){ .ended = SOURCE_END };
}

source_status sample_next(sample *self, source *from, const record **ret_record)
{
    /* The record before is no longer used. */
    if (self->given > 0 && self->given <= self->count)
        release(&self->records[self->given - 1]);
    if (self->given < self->count) {
        *ret_record = &self->records[self->given++];
        return SOURCE_RECORD;
    }
    self->given = self->count + 1;
    return self->ended == SOURCE_RECORD ? from->next(from, ret_record) : self->ended;
}
