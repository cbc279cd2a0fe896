/*
 * base - assertions, the clock, and filling an error.
 */
#include "engine/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "nextorm.h"

_Noreturn void nxi_assert_failed(const char *condition, const char *file, int line)
{
    char text[512];
    int size = snprintf(text, sizeof(text), "nextorm: invariant broken: %s (%s:%d)\n", condition, file, line);

    if (size > 0) {
        ssize_t written = write(STDERR_FILENO, text, nxi_min_size((size_t)size, sizeof(text) - 1));
        (void)written;
    }
    abort();
}

int64_t nxi_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void nxi_error_reset(nx_error *error)
{
    error->status = NX_OK;
    error->outcome = NX_OUTCOME_NONE;
    error->server_code = 0;
    error->position = 0;
    error->row = -1;
    error->object = NULL;
    error->retryable = false;
    error->sqlstate[0] = error->message[0] = error->detail[0] = '\0';
    error->table[0] = error->column[0] = error->constraint[0] = '\0';
}

/* Take back the part of a cut character at the end of a text that filled its field. */
static void cut_at_character(char *text, size_t capacity)
{
    size_t size = strnlen(text, capacity);
    size_t start = size;

    if (size + 1 < capacity)
        return;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (size - (start - 1) < wanted)
        text[start - 1] = '\0';
}

nx_status nxi_fail(nx_error *error, nx_status status, const char *format, ...)
{
    va_list arguments;

    if (error == NULL)
        return status;
    nxi_error_reset(error);
    error->status = status;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    cut_at_character(error->message, sizeof(error->message));
    return status;
}

void nxi_error_name(char field[NX_ERROR_NAME_SIZE], const char *name)
{
    size_t size = name == NULL ? 0 : strnlen(name, NX_ERROR_NAME_SIZE - 1);

    if (size > 0)
        memcpy(field, name, size);
    field[size] = '\0';
    cut_at_character(field, NX_ERROR_NAME_SIZE);
}

const char *nx_status_name(nx_status status)
{
#define STATUS_NAME(name, number, text) case NX_##name: return "NX_" #name;
    switch (status) { NX_STATUS_LIST(STATUS_NAME) }
#undef STATUS_NAME
    return "NX_?";
}

const char *nx_status_text(nx_status status)
{
#define STATUS_TEXT(name, number, text) case NX_##name: return text;
    switch (status) { NX_STATUS_LIST(STATUS_TEXT) }
#undef STATUS_TEXT
    return "unknown status";
}

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)
const char *nx_version(void)
{
    return TEXT_OF(NX_VERSION_MAJOR) "." TEXT_OF(NX_VERSION_MINOR) "." TEXT_OF(NX_VERSION_PATCH);
}
