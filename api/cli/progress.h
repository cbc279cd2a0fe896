/*
 * progress - how far the load is: a bar on a terminal, a line a second elsewhere.
 */
#ifndef NEXTORM_CLI_PROGRESS_H
#define NEXTORM_CLI_PROGRESS_H

#include "api/cli/common.h"

typedef struct progress {
    bool quiet, is_terminal;
    uint64_t started_ms, shown_ms;
    bool shown;
} progress;

/* One moment of the load. bytes_total 0: not known (a pipe). */
typedef struct progress_state {
    uint64_t rows, bytes, bytes_total, elapsed_ms;
} progress_state;

void progress_start(progress *self, bool quiet);
/* Shows the state when it is time for it. */
void progress_step(progress *self, uint64_t rows, uint64_t bytes, uint64_t bytes_total);
/* The last line: rows, seconds, rate. */
void progress_end(progress *self, uint64_t rows);

/* The texts, without line ends; at most size bytes with the zero byte. */
void progress_bar(const progress_state *state, size_t width, char *ret_text, size_t size);
void progress_line(const progress_state *state, char *ret_text, size_t size);
void progress_last(const progress_state *state, char *ret_text, size_t size);

#endif
