/*
 * common - messages, memory and signals of the command.
 */
#include "api/cli/common.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

volatile sig_atomic_t stop_signal;

void complain(const char *format, ...)
{
    va_list arguments;

    /* The progress bar stands on this line without a line end. */
    if (isatty(STDERR_FILENO) == 1)
        fputs("\r\033[K", stderr);
    fputs("nextorm ingest: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static void *or_end(void *block)
{
    if (block == NULL) {
        complain("out of memory");
        exit(STATUS_FAILED);
    }
    return block;
}

void *take(size_t count, size_t size)
{
    return or_end(calloc(count == 0 ? 1 : count, size));
}

void *resize(void *block, size_t count, size_t size)
{
    return or_end(reallocarray(block, count == 0 ? 1 : count, size));
}

char *copy_text(nx_text text)
{
    char *copy = take(text.size + 1, 1);

    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return copy;
}

void *grow(void *block, size_t *capacity, size_t need, size_t size)
{
    size_t wanted = *capacity == 0 ? 16 : *capacity;

    if (need <= *capacity)
        return block;
    while (wanted < need)
        wanted = wanted > SIZE_MAX / 2 ? need : wanted * 2;
    block = resize(block, wanted, size);
    *capacity = wanted;
    return block;
}

bool same_name(nx_text a, nx_text b)
{
    return a.size == b.size && strncasecmp(a.data, b.data, a.size) == 0;
}

static void on_signal(int number)
{
    stop_signal = number;
}

void catch_signals(void)
{
    /* Without SA_RESTART: a read that waits for a pipe has to come back. */
    struct sigaction stop = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    sigemptyset(&stop.sa_mask);
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}
