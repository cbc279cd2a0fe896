/*
 * common - what all parts of the command share: messages, memory, the signal that asks it to stop.
 *
 * Memory: the command has nothing to save when the host has none left, so these calls end it with a message.
 */
#ifndef NEXTORM_CLI_COMMON_H
#define NEXTORM_CLI_COMMON_H

#include <nextorm.h>

#include <signal.h>
#include <stddef.h>

/* Exit statuses, also in `nextorm ingest --help`. */
enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_REJECTS = 3, STATUS_SIGNAL_BASE = 128 };

/* "nextorm ingest: ..." and a line end on standard error, after a progress bar was cleared away. */
void complain(const char *format, ...) NX_PRINTF(1, 2);

/* Zeroed memory for count objects; memory of another size with the old content; a copy with a zero byte behind it. */
void *take(size_t count, size_t size);
void *resize(void *block, size_t count, size_t size);
char *copy_text(nx_text text);

/* At least `need` objects fit into *block afterwards; *capacity is counted in objects. */
void *grow(void *block, size_t *capacity, size_t need, size_t size);

/* ASCII letters without case, as SQLite compares names. */
bool same_name(nx_text a, nx_text b);

/* The signal that asked to stop, or 0. Sync: written by the handler only. */
extern volatile sig_atomic_t stop_signal;

/* SIGINT and SIGTERM set stop_signal once (a second one ends the process); a closed pipe is an error of write(). */
void catch_signals(void);

#endif
