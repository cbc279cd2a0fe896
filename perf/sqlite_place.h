/* sqlite_place - a SQLite database by hand: the connection that the floors share. */
#ifndef PERF_SQLITE_PLACE_H
#define PERF_SQLITE_PLACE_H

#include <sqlite3.h>

#include "provider.h"

/* Say on standard error what sqlite reported about `what`; false, so that callers can return it. */
bool perf_sqlite_failed(sqlite3 *db, const char *what);
bool perf_sqlite_execute(sqlite3 *db, const char *sql);
/* NULL after a failure, which was printed. */
sqlite3_stmt *perf_sqlite_prepare(sqlite3 *db, const char *sql);

bool perf_sqlite_begin(void);
bool perf_sqlite_locate(perf_place *place, const char *directory);
const char *perf_sqlite_version(void);
nx_bind_options perf_sqlite_bind_options(const perf_place *place);
bool perf_sqlite_create(const perf_place *place, bool with_table, uint64_t rows);
void perf_sqlite_remove(const perf_place *place);
void *perf_sqlite_connect(const perf_place *place);
void perf_sqlite_disconnect(void *connection);
bool perf_sqlite_read_sum(void *connection, perf_sum *ret_sum);

#endif
