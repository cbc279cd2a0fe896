/* sqlite_source - an array of items as a virtual table of SQLite: the floor's way to insert without binding values. */
#ifndef PERF_SQLITE_SOURCE_H
#define PERF_SQLITE_SOURCE_H

#include <sqlite3.h>

#include "item.h"

/* The rows of table `source` (a, b, c), once perf_sqlite_source_register was called with it; must outlive the connection. */
typedef struct perf_sqlite_source {
    const perf_item *items;
    uint64_t count;
} perf_sqlite_source;

/* An SQLite result code. */
int perf_sqlite_source_register(sqlite3 *db, perf_sqlite_source *source);

#endif
