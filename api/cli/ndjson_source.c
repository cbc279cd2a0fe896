/*
 * ndjson_source - records of newline-delimited JSON, one object per line, read by jansson.
 */
#include "api/cli/source.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* The longest form of a number: a double with 17 digits, sign, point and exponent. */
enum { NUMBER_SIZE = 32 };

typedef struct ndjson_source {
    source base;
    json_t *object; /* strings of the record point into it */
    field *fields;
    size_t fields_capacity;
    char (*numbers)[NUMBER_SIZE]; /* one for each field */
    size_t numbers_capacity;
    char **dumps; /* texts of nested values */
    size_t dump_count, dumps_capacity;
    bool skipping;
    char reason[JSON_ERROR_TEXT_LENGTH + 80];
    record record;
} ndjson_source;

static void forget_record(ndjson_source *self)
{
    json_decref(self->object);
    self->object = NULL;
    while (self->dump_count > 0)
        free(self->dumps[--self->dump_count]);
    self->record.field_count = 0;
}

/* Shortest of 15 to 17 digits that reads back as the same number. */
static size_t format_real(double number, char *ret_text)
{
    int size = 0;

    for (int digits = 15; digits <= 17; digits++) {
        size = snprintf(ret_text, NUMBER_SIZE, "%.*g", digits, number);
        /* Exact comparison is the point here. */
        if (!(strtod(ret_text, NULL) < number) && !(strtod(ret_text, NULL) > number))
            break;
    }
    return (size_t)size;
}

static nx_text dump(ndjson_source *self, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    if (text == NULL) {
        complain("out of memory");
        exit(STATUS_FAILED);
    }
    self->dumps = grow(self->dumps, &self->dumps_capacity, self->dump_count + 1, sizeof(*self->dumps));
    self->dumps[self->dump_count++] = text;
    return nx_str(text);
}

static field read_value(ndjson_source *self, const json_t *value, char *number)
{
    size_t size;

    switch (json_typeof(value)) {
    case JSON_STRING:
        return (field){ .kind = FIELD_STRING, .text = { json_string_value(value), json_string_length(value) } };
    case JSON_INTEGER:
        size = (size_t)snprintf(number, NUMBER_SIZE, "%lld", (long long)json_integer_value(value));
        return (field){ .kind = FIELD_INTEGER, .text = { number, size } };
    case JSON_REAL:
        size = format_real(json_real_value(value), number);
        return (field){ .kind = FIELD_REAL, .text = { number, size } };
    case JSON_TRUE:
        return (field){ .kind = FIELD_BOOLEAN, .text = nx_str("true") };
    case JSON_FALSE:
        return (field){ .kind = FIELD_BOOLEAN, .text = nx_str("false") };
    case JSON_NULL:
        return (field){ .kind = FIELD_NULL, .text = nx_str("") };
    case JSON_OBJECT:
    case JSON_ARRAY:
    default:
        return (field){ .kind = FIELD_JSON, .text = dump(self, value) };
    }
}

/* NULL, or the reason why the line is no record. */
static const char *read_object(ndjson_source *self, nx_text raw)
{
    json_error_t error;
    const char *name;
    json_t *value;
    size_t count;
    size_t i = 0;

    self->object = json_loadb(raw.data, raw.size, JSON_REJECT_DUPLICATES, &error);
    if (self->object == NULL) {
        snprintf(self->reason, sizeof(self->reason), "JSON: %s (character %d)", error.text, error.column);
        return self->reason;
    }
    if (!json_is_object(self->object))
        return "JSON: the line is not an object";
    count = json_object_size(self->object);
    if (count > SOURCE_FIELDS_MAX) {
        snprintf(self->reason, sizeof(self->reason), "JSON: object with %zu members, at most %d", count, SOURCE_FIELDS_MAX);
        return self->reason;
    }
    self->fields = grow(self->fields, &self->fields_capacity, count, sizeof(*self->fields));
    self->numbers = grow(self->numbers, &self->numbers_capacity, count, sizeof(*self->numbers));
    json_object_foreach(self->object, name, value) {
        self->fields[i] = read_value(self, value, self->numbers[i]);
        self->fields[i].name = nx_str(name);
        i++;
    }
    self->record.field_count = count;
    return NULL;
}

static source_status give_record(ndjson_source *self, const char *error, const record **ret_record)
{
    self->record.error = error;
    self->record.fields = self->fields;
    *ret_record = &self->record;
    return SOURCE_RECORD;
}

static bool is_blank(nx_text text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (strchr(" \t\r\n", text.data[i]) == NULL || text.data[i] == '\0')
            return false;
    }
    return true;
}

static source_status ndjson_next(source *base, const record **ret_record)
{
    ndjson_source *self = (ndjson_source *)base;
    lines_status status = LINES_LINE;
    nx_text line = { "", 0 };

    forget_record(self);
    if (self->skipping) {
        status = lines_skip(&base->in);
        self->skipping = false;
    }
    while (status == LINES_LINE) {
        lines_begin(&base->in);
        self->record.line = base->in.line;
        status = lines_next(&base->in, &line);
        if (status == LINES_TOO_LONG) {
            self->skipping = true;
            self->record.raw = lines_record(&base->in);
            snprintf(self->reason, sizeof(self->reason), "line is larger than %d MiB", LINES_RECORD_MAX >> 20);
            return give_record(self, self->reason, ret_record);
        }
        if (status == LINES_LINE && !is_blank(line)) {
            self->record.raw = source_trim_line_end(line);
            return give_record(self, read_object(self, self->record.raw), ret_record);
        }
    }
    return source_ended(status);
}

static void ndjson_release(source *base)
{
    ndjson_source *self = (ndjson_source *)base;

    forget_record(self);
    free(self->dumps);
    free(self->fields);
    free(self->numbers);
    free(self);
}

source *source_open_ndjson(const char *path)
{
    ndjson_source *self = take(1, sizeof(*self));

    self->base.next = ndjson_next;
    self->base.release = ndjson_release;
    /* A CR is white space inside JSON. */
    if (!lines_open(&self->base.in, path, false)) {
        source_close(&self->base);
        return NULL;
    }
    return &self->base;
}
