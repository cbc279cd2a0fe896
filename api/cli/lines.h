/*
 * lines - a file or pipe, line by line, in bounded memory.
 *
 * Several lines may be collected into one record (a quoted field that goes over lines); its bytes stay
 * together until the next lines_begin. A line ends with LF, CRLF or, where asked for, a lone CR.
 */
#ifndef NEXTORM_CLI_LINES_H
#define NEXTORM_CLI_LINES_H

#include "api/cli/common.h"

/* Bytes read at once, and the largest record. */
enum { LINES_BUFFER = 1 << 20, LINES_RECORD_MAX = 16 << 20 };

typedef enum lines_status {
    LINES_LINE,
    LINES_END,
    LINES_TOO_LONG, /* the record does not fit; what there is of it can be read, lines_skip goes on behind it */
    LINES_STOPPED,  /* stop_signal */
    LINES_FAILED    /* a message was printed */
} lines_status;

typedef struct lines {
    const char *name; /* for messages */
    int fd;
    bool return_ends; /* a lone CR ends a line */
    bool started, at_end;
    char *data;
    size_t capacity;
    size_t begin;     /* of the record */
    size_t next;      /* first byte that was not given out */
    size_t end;       /* of what was read */
    size_t no_feed;   /* no LF stands between next and here: files without any are scanned once */
    uint64_t line;    /* number of the line at `next`, from 1 */
    uint64_t bytes_read;
    uint64_t file_size; /* 0: not known */
} lines;

/* Open a file, or standard input for "-". False: a message was printed. */
bool lines_open(lines *in, const char *path, bool return_ends);
void lines_close(lines *in);

/* Forget the record so far; the next line starts a new one. */
void lines_begin(lines *in);
/* The next line of the record with its line end, if it has one. Valid until the next call. */
lines_status lines_next(lines *in, nx_text *ret_line);
/* Drop the rest of a line that did not fit. */
lines_status lines_skip(lines *in);

/* The bytes of the record; valid until the next call. */
static inline nx_text lines_record(const lines *in)
{
    return nx_strn(in->data + in->begin, in->next - in->begin);
}

/* Bytes of the input that were given out. */
static inline uint64_t lines_position(const lines *in)
{
    return in->bytes_read - (in->end - in->next);
}

#endif
