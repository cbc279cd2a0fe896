/*
 * lines - a file or pipe, line by line, in bounded memory.
 */
#include "api/cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool lines_open(lines *in, const char *path, bool return_ends)
{
    bool standard = strcmp(path, "-") == 0;
    struct stat about;

    *in = (lines){ .name = standard ? "standard input" : path, .fd = -1, .return_ends = return_ends, .line = 1 };
    in->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0 || fstat(in->fd, &about) != 0) {
        complain("cannot open %s: %s", in->name, strerrordesc_np(errno));
        return false;
    }
    if (S_ISDIR(about.st_mode)) {
        complain("cannot read %s: it is a directory", in->name);
        return false;
    }
    if (S_ISREG(about.st_mode) && about.st_size > 0) {
        in->file_size = (uint64_t)about.st_size;
        /* Only a hint: reading works without it. */
        (void)posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    in->capacity = LINES_BUFFER;
    in->data = take(in->capacity, 1);
    return true;
}

void lines_close(lines *in)
{
    if (in->fd > STDIN_FILENO)
        close(in->fd);
    free(in->data);
    *in = (lines){ .fd = -1 };
}

void lines_begin(lines *in)
{
    in->begin = in->next;
}

/* Move the record to the front of the buffer. */
static void move_down(lines *in)
{
    memmove(in->data, in->data + in->begin, in->end - in->begin);
    in->end -= in->begin;
    in->next -= in->begin;
    in->no_feed = in->no_feed > in->begin ? in->no_feed - in->begin : 0;
    in->begin = 0;
}

/* LINES_LINE: more bytes are there, or at_end is set. */
static lines_status fill(lines *in)
{
    if (in->end == in->capacity && in->begin > 0)
        move_down(in);
    if (in->end == in->capacity) {
        if (in->capacity >= LINES_RECORD_MAX)
            return LINES_TOO_LONG;
        in->capacity *= 2;
        in->data = resize(in->data, in->capacity, 1);
    }
    for (;;) {
        size_t room = in->capacity - in->end;
        ssize_t got = read(in->fd, in->data + in->end, room < LINES_BUFFER ? room : LINES_BUFFER);

        if (stop_signal != 0)
            return LINES_STOPPED;
        if (got >= 0) {
            in->at_end = got == 0;
            in->end += (size_t)got;
            in->bytes_read += (uint64_t)got;
            return LINES_LINE;
        }
        if (errno != EINTR) {
            complain("cannot read %s: %s", in->name, strerrordesc_np(errno));
            return LINES_FAILED;
        }
    }
}

/* Drop a UTF-8 byte order mark; UTF-16 is told apart here, where the reason can still be named. */
static lines_status start(lines *in)
{
    while (in->end < 3 && !in->at_end) {
        lines_status status = fill(in);

        if (status != LINES_LINE)
            return status;
    }
    in->started = true;
    if (in->end >= 3 && memcmp(in->data, "\xEF\xBB\xBF", 3) == 0) {
        in->next = 3;
        in->begin = 3;
        in->no_feed = 3;
    }
    if (in->end >= 2 && (memcmp(in->data, "\xFF\xFE", 2) == 0 || memcmp(in->data, "\xFE\xFF", 2) == 0)) {
        complain("%s is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8", in->name);
        return LINES_FAILED;
    }
    return LINES_LINE;
}

/* Offset behind the end of the line at `next`, seen from `from` on; 0: it is not in the buffer. */
static size_t find_line_end(lines *in, size_t from)
{
    size_t search = from > in->no_feed ? from : in->no_feed;
    const char *feed = search < in->end ? memchr(in->data + search, '\n', in->end - search) : NULL;
    size_t limit = feed == NULL ? in->end : (size_t)(feed - in->data);

    in->no_feed = limit;
    if (in->return_ends && from < limit) {
        const char *found = memchr(in->data + from, '\r', limit - from);

        if (found != NULL) {
            size_t behind = (size_t)(found - in->data) + 1;

            /* CR at the end of the buffer: the next byte decides whether this is CRLF. */
            if (behind < limit || (behind == in->end && in->at_end))
                return behind;
        }
    }
    return feed == NULL ? 0 : limit + 1;
}

lines_status lines_next(lines *in, nx_text *ret_line)
{
    size_t seen = 0; /* bytes behind `next` that hold no line end */

    if (!in->started) {
        lines_status status = start(in);

        if (status != LINES_LINE)
            return status;
    }
    for (;;) {
        size_t behind = find_line_end(in, in->next + seen);

        if (behind == 0 && in->at_end) {
            if (in->next == in->end)
                return LINES_END;
            behind = in->end;
        }
        if (behind != 0) {
            *ret_line = nx_strn(in->data + in->next, behind - in->next);
            in->next = behind;
            in->line++;
            return LINES_LINE;
        }
        seen = in->end - in->next;
        if (seen > 0 && in->data[in->end - 1] == '\r')
            seen--;

        lines_status status = fill(in);
        if (status == LINES_TOO_LONG)
            in->next = in->end;
        if (status != LINES_LINE)
            return status;
    }
}

lines_status lines_skip(lines *in)
{
    for (;;) {
        size_t behind = find_line_end(in, in->next);

        if (behind != 0 || in->at_end) {
            in->next = behind != 0 ? behind : in->end;
            in->begin = in->next;
            in->line++;
            return LINES_LINE;
        }
        in->next = in->end;
        in->begin = in->end;

        lines_status status = fill(in);
        if (status != LINES_LINE)
            return status;
    }
}
