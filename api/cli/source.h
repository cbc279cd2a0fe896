/*
 * source - records out of a file, whatever its format.
 *
 * A record that cannot be read is still a record, with the reason in `error`: it is counted and set aside.
 */
#ifndef NEXTORM_CLI_SOURCE_H
#define NEXTORM_CLI_SOURCE_H

#include "api/cli/lines.h"

/* Fields of one record; no database has as many columns. A record with more is an error. */
enum { SOURCE_FIELDS_MAX = 4096 };

/* What the format says about a value; CSV knows plain text only. */
typedef enum field_kind {
    FIELD_NULL, FIELD_PLAIN, FIELD_STRING, FIELD_INTEGER, FIELD_REAL, FIELD_BOOLEAN, FIELD_JSON
} field_kind;

typedef struct field {
    field_kind kind;
    nx_text name; /* data NULL: fields go by position */
    nx_text text; /* followed by a zero byte */
} field;

typedef struct record {
    uint64_t line;     /* where it starts, from 1 */
    nx_text raw;       /* as it stands in the file, without the last line end */
    const char *error; /* NULL: it was read */
    const field *fields;
    size_t field_count; /* 0 when there is an error */
} record;

typedef enum source_status { SOURCE_RECORD, SOURCE_END, SOURCE_STOPPED, SOURCE_FAILED } source_status;

typedef struct source source;
struct source {
    lines in;
    /* The record is valid until the next call. */
    source_status (*next)(source *self, const record **ret_record);
    void (*release)(source *self);
};

/* NULL: a message was printed. */
source *source_open_csv(const char *path, char delimiter);
source *source_open_ndjson(const char *path);
/* NULL is allowed. */
void source_close(source *self);

/* Without the line end behind it. */
nx_text source_trim_line_end(nx_text raw);
/* The end of the input as lines tell it. */
source_status source_ended(lines_status status);

#endif
