/*
 * postgres_server - a PostgreSQL server for the time of this program.
 *
 * A process of its own makes it (initdb), runs it and, when this program is gone for whatever reason, stops it and removes its
 * files: nothing is left behind by an interrupt either. Under root the server runs as user "postgres".
 */
#ifndef PERF_POSTGRES_SERVER_H
#define PERF_POSTGRES_SERVER_H

#include <stdbool.h>
#include <stddef.h>

/* Start it with its files under `directory`, and wait until it answers; where it is reached. False after a failure, which was
 * printed. */
bool perf_postgres_server_start(const char *directory, char *ret_url, size_t room);
/* Stop it, and wait until its files are gone; nothing happens without one. */
void perf_postgres_server_stop(void);

#endif
