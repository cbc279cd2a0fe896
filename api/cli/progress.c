/*
 * progress - how far the load is.
 */
#include "api/cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { TERMINAL_EVERY_MS = 100, LINE_EVERY_MS = 1000, WIDTH_DEFAULT = 80, WIDTH_MAX = 200, NUMBER_SIZE = 32 };

static uint64_t now_ms(void)
{
    struct timespec now = { 0 };

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* 1234567 as 1,234,567. */
static const char *grouped(uint64_t number, char *ret_text)
{
    char digits[NUMBER_SIZE];
    int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    size_t used = 0;

    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            ret_text[used++] = ',';
        ret_text[used++] = digits[i];
    }
    ret_text[used] = '\0';
    return ret_text;
}

static uint64_t rate(const progress_state *state)
{
    return state->elapsed_ms == 0 ? 0 : (uint64_t)((double)state->rows * 1000.0 / (double)state->elapsed_ms);
}

static double share(const progress_state *state)
{
    double part = state->bytes_total == 0 ? 0.0 : (double)state->bytes / (double)state->bytes_total;

    /* A file may grow while it is read. */
    return part > 1.0 ? 1.0 : part;
}

static void format_eta(const progress_state *state, char *ret_text, size_t size)
{
    double done = share(state);
    uint64_t seconds;

    if (done < 0.001 || state->elapsed_ms < 200) {
        snprintf(ret_text, size, "--:--");
        return;
    }
    seconds = (uint64_t)((double)state->elapsed_ms * (1.0 - done) / done / 1000.0 + 0.5);
    if (seconds >= 3600)
        snprintf(ret_text, size, "%llu:%02u:%02u", (unsigned long long)(seconds / 3600), (unsigned)(seconds / 60 % 60),
                 (unsigned)(seconds % 60));
    else
        snprintf(ret_text, size, "%u:%02u", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
}

void progress_bar(const progress_state *state, size_t width, char *ret_text, size_t size)
{
    char rows[NUMBER_SIZE], speed[NUMBER_SIZE], eta[NUMBER_SIZE], tail[128], bar[WIDTH_MAX + 1];
    size_t room, filled;
    int used;

    grouped(state->rows, rows);
    grouped(rate(state), speed);
    if (state->bytes_total == 0) {
        snprintf(ret_text, size, "%s rows  %s rows/s", rows, speed);
        return;
    }
    format_eta(state, eta, sizeof(eta));
    used = snprintf(tail, sizeof(tail), " %3u %%  %s rows  %s rows/s  ETA %s", (unsigned)(share(state) * 100.0), rows, speed,
                    eta);
    /* Two brackets, and one column free: a full last column makes some terminals wrap. */
    room = width > (size_t)used + 3 ? width - (size_t)used - 3 : 0;
    room = room > WIDTH_MAX ? WIDTH_MAX : room;
    if (room < 5) {
        snprintf(ret_text, size, "%s", tail + 1);
        return;
    }
    filled = (size_t)(share(state) * (double)room);
    memset(bar, '.', room);
    memset(bar, '#', filled);
    bar[room] = '\0';
    snprintf(ret_text, size, "[%s]%s", bar, tail);
}

void progress_line(const progress_state *state, char *ret_text, size_t size)
{
    char rows[NUMBER_SIZE], speed[NUMBER_SIZE], eta[NUMBER_SIZE];

    grouped(state->rows, rows);
    grouped(rate(state), speed);
    if (state->bytes_total == 0) {
        snprintf(ret_text, size, "%s rows, %s rows/s", rows, speed);
        return;
    }
    format_eta(state, eta, sizeof(eta));
    snprintf(ret_text, size, "%u %%, %s rows, %s rows/s, ETA %s", (unsigned)(share(state) * 100.0), rows, speed, eta);
}

void progress_last(const progress_state *state, char *ret_text, size_t size)
{
    char rows[NUMBER_SIZE], speed[NUMBER_SIZE];

    grouped(state->rows, rows);
    grouped(rate(state), speed);
    snprintf(ret_text, size, "%s rows in %.2f s (%s rows/s)", rows, (double)state->elapsed_ms / 1000.0, speed);
}

void progress_start(progress *self, bool quiet)
{
    const char *terminal = getenv("TERM");

    *self = (progress){ .quiet = quiet };
    self->is_terminal = isatty(STDERR_FILENO) == 1 && terminal != NULL && strcmp(terminal, "dumb") != 0;
    self->started_ms = now_ms();
    self->shown_ms = self->started_ms;
}

static size_t terminal_width(void)
{
    struct winsize window = { 0 };

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0)
        return WIDTH_DEFAULT;
    return window.ws_col;
}

void progress_step(progress *self, uint64_t rows, uint64_t bytes, uint64_t bytes_total)
{
    char text[WIDTH_MAX + 160];
    uint64_t now;

    if (self->quiet)
        return;
    now = now_ms();
    if (now - self->shown_ms < (self->is_terminal ? TERMINAL_EVERY_MS : LINE_EVERY_MS))
        return;
    self->shown_ms = now;
    self->shown = true;

    progress_state state = { rows, bytes, bytes_total, now - self->started_ms };
    if (self->is_terminal) {
        progress_bar(&state, terminal_width(), text, sizeof(text));
        fprintf(stderr, "\r\033[K%s", text);
    } else {
        progress_line(&state, text, sizeof(text));
        fprintf(stderr, "%s\n", text);
    }
    fflush(stderr);
}

void progress_end(progress *self, uint64_t rows)
{
    progress_state state = { .rows = rows, .elapsed_ms = now_ms() - self->started_ms };
    char text[160];

    if (self->quiet)
        return;
    progress_last(&state, text, sizeof(text));
    fprintf(stderr, "%s%s\n", self->is_terminal && self->shown ? "\r\033[K" : "", text);
}
