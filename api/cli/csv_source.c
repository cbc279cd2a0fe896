/*
 * csv_source - records of delimiter-separated files, read by libcsv.
 *
 * libcsv is fed line by line, so that the bytes and the first line of every record are known. Its rules,
 * RFC 4180 with two allowances: a lone CR ends a record too, and a quote inside an unquoted field is a plain character.
 * White space belongs to the field. Blank lines are no records.
 */
#include "api/cli/source.h"

#include <csv.h>
#include <stdio.h>
#include <stdlib.h>

/* libcsv enlarges its field buffer by this much; its own 128 bytes would copy a large field thousands of times. */
enum { FIELD_BLOCK = 1 << 16 };

typedef struct csv_source {
    source base;
    struct csv_parser parser;
    char *bytes; /* texts of the record, a zero byte behind each */
    size_t bytes_used, bytes_capacity;
    size_t *ends; /* of the texts in `bytes` */
    size_t ends_capacity;
    field *fields;
    size_t fields_capacity;
    size_t field_count;
    bool ended;    /* libcsv has seen the end of the record */
    bool skipping; /* the last record was too long: the rest of its line comes first */
    char reason[160];
    record record;
} csv_source;

static void on_field(void *text, size_t size, void *context)
{
    csv_source *self = context;

    self->field_count++;
    if (self->field_count > SOURCE_FIELDS_MAX)
        return;
    self->bytes = grow(self->bytes, &self->bytes_capacity, self->bytes_used + size + 1, 1);
    self->ends = grow(self->ends, &self->ends_capacity, self->field_count, sizeof(*self->ends));
    if (size > 0)
        memcpy(self->bytes + self->bytes_used, text, size);
    self->bytes_used += size;
    self->ends[self->field_count - 1] = self->bytes_used;
    self->bytes[self->bytes_used++] = '\0';
}

static void on_row(int terminator, void *context)
{
    csv_source *self = context;

    (void)terminator;
    self->ended = true;
}

static int is_no_space(unsigned char byte)
{
    (void)byte;
    return 0;
}

/* False: text behind a closing quote. */
static bool feed(csv_source *self, const char *data, size_t size)
{
    while (size > 0) {
        size_t used = csv_parse(&self->parser, data, size, on_field, on_row, self);

        if (used == size)
            return true;
        if (csv_error(&self->parser) != CSV_EPARSE) {
            complain("out of memory");
            exit(STATUS_FAILED);
        }
        if (self->parser.quoted)
            return false;
        /* Strict mode stops at a quote in an unquoted field, its state kept: let this one byte pass. */
        csv_set_opts(&self->parser, 0);
        (void)csv_parse(&self->parser, data + used, 1, on_field, on_row, self);
        csv_set_opts(&self->parser, CSV_STRICT);
        data += used + 1;
        size -= used + 1;
    }
    return true;
}

/* Back to the state between two records. */
static void restart_parser(csv_source *self)
{
    csv_set_opts(&self->parser, 0);
    (void)csv_fini(&self->parser, NULL, NULL, NULL);
    csv_set_opts(&self->parser, CSV_STRICT);
}

static void take_fields(csv_source *self)
{
    size_t begin = 0;

    self->fields = grow(self->fields, &self->fields_capacity, self->field_count, sizeof(*self->fields));
    for (size_t i = 0; i < self->field_count; i++) {
        self->fields[i] = (field){ .kind = FIELD_PLAIN, .text = { self->bytes + begin, self->ends[i] - begin } };
        begin = self->ends[i] + 1;
    }
}

static void finish_record(csv_source *self, const char *error)
{
    self->record.raw = source_trim_line_end(lines_record(&self->base.in));
    if (error != NULL) {
        restart_parser(self);
    } else if (self->field_count > SOURCE_FIELDS_MAX) {
        snprintf(self->reason, sizeof(self->reason), "%zu fields, at most %d", self->field_count, SOURCE_FIELDS_MAX);
        error = self->reason;
    } else {
        take_fields(self);
    }
    self->record.error = error;
    self->record.fields = self->fields;
    self->record.field_count = error == NULL ? self->field_count : 0;
}

static const char *too_long(csv_source *self)
{
    self->skipping = true;
    snprintf(self->reason, sizeof(self->reason), "record is larger than %d MiB: cut at line %llu%s", LINES_RECORD_MAX >> 20,
             (unsigned long long)self->base.in.line, self->parser.quoted ? ", inside a quoted field" : "");
    return self->reason;
}

static const char *not_closed(csv_source *self)
{
    snprintf(self->reason, sizeof(self->reason), "field %zu: quote not closed before the end of the input",
             self->field_count + 1);
    return self->reason;
}

static const char *behind_quote(csv_source *self)
{
    snprintf(self->reason, sizeof(self->reason), "field %zu: text behind the closing quote", self->field_count + 1);
    return self->reason;
}

static bool has_line_end(nx_text line)
{
    return line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r';
}

static void begin_record(csv_source *self)
{
    lines_begin(&self->base.in);
    self->bytes_used = 0;
    self->field_count = 0;
    self->ended = false;
    self->record.line = self->base.in.line;
}

static source_status csv_next(source *base, const record **ret_record)
{
    csv_source *self = (csv_source *)base;
    const char *error = NULL;
    bool begun = false;

    if (self->skipping) {
        lines_status status = lines_skip(&base->in);

        if (status != LINES_LINE)
            return source_ended(status);
        self->skipping = false;
    }
    begin_record(self);
    while (!self->ended && error == NULL) {
        nx_text line;
        lines_status status = lines_next(&base->in, &line);

        if (status == LINES_TOO_LONG) {
            error = too_long(self);
        } else if (status == LINES_END && begun) {
            error = not_closed(self);
        } else if (status != LINES_LINE) {
            return source_ended(status);
        } else if (!begun && source_trim_line_end(line).size == 0) {
            begin_record(self);
        } else {
            begun = true;
            if (!feed(self, line.data, line.size) || (!has_line_end(line) && !feed(self, "\n", 1)))
                error = behind_quote(self);
        }
    }
    finish_record(self, error);
    *ret_record = &self->record;
    return SOURCE_RECORD;
}

static void csv_release(source *base)
{
    csv_source *self = (csv_source *)base;

    csv_free(&self->parser);
    free(self->bytes);
    free(self->ends);
    free(self->fields);
    free(self);
}

source *source_open_csv(const char *path, char delimiter)
{
    csv_source *self = take(1, sizeof(*self));

    self->base.next = csv_next;
    self->base.release = csv_release;
    (void)csv_init(&self->parser, CSV_STRICT);
    csv_set_delim(&self->parser, (unsigned char)delimiter);
    csv_set_space_func(&self->parser, is_no_space);
    csv_set_blk_size(&self->parser, FIELD_BLOCK);
    if (!lines_open(&self->base.in, path, true)) {
        source_close(&self->base);
        return NULL;
    }
    return &self->base;
}
