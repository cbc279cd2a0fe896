/*
 * sqlite_place - a SQLite database by hand: the connection that the floors share.
 *
 * Settings are the fastest that keep the promises which the engine keeps too: WAL, secure_delete off, no mutexes,
 * no memory statistics, a page cache that holds the whole table, mapped reads. Checkpoints during a transaction's own commit are
 * off, because an engine may run them while it is idle; the floor must not lose time on them.
 */
#include "sqlite_place.h"

#include <stdio.h>
#include <unistd.h>

static const char table_sql[] =
    "CREATE TABLE event (id INTEGER PRIMARY KEY, a INTEGER NOT NULL, b REAL NOT NULL, c TEXT NOT NULL)";

bool perf_sqlite_failed(sqlite3 *db, const char *what)
{
    fprintf(stderr, "nextorm-perf: sqlite: %s: %s\n", what, sqlite3_errmsg(db));
    return false;
}

bool perf_sqlite_execute(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK || perf_sqlite_failed(db, sql);
}

sqlite3_stmt *perf_sqlite_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
        (void)perf_sqlite_failed(db, "prepare");
    return statement;
}

bool perf_sqlite_begin(void)
{
    /* Misuse is the answer when the library of the engine came first; it sets the same. */
    int code = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    return (code == SQLITE_OK || code == SQLITE_MISUSE) && sqlite3_initialize() == SQLITE_OK;
}

bool perf_sqlite_locate(perf_place *place, const char *directory)
{
    int length = snprintf(place->path, sizeof(place->path), "%s/nextorm-perf-%ld.db", directory, (long)getpid());
    if (length >= 0 && (size_t)length < sizeof(place->path))
        return true;
    fprintf(stderr, "nextorm-perf: the path of the directory is too long\n");
    return false;
}

const char *perf_sqlite_version(void)
{
    return sqlite3_libversion();
}

nx_bind_options perf_sqlite_bind_options(const perf_place *place)
{
    return (nx_bind_options){ .path = place->path, .synchronous = place->synchronous };
}

void *perf_sqlite_connect(const perf_place *place)
{
    static const char settings[] = "PRAGMA journal_mode=WAL; PRAGMA secure_delete=OFF; PRAGMA temp_store=MEMORY;"
                                   "PRAGMA cache_size=-262144; PRAGMA mmap_size=1073741824;"
                                   "PRAGMA wal_autocheckpoint=0; PRAGMA foreign_keys=ON;";
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

    if (sqlite3_open_v2(place->path, &db, flags, NULL) != SQLITE_OK) {
        (void)perf_sqlite_failed(db, place->path);
    } else if (perf_sqlite_execute(db, settings) &&
               perf_sqlite_execute(db, place->synchronous == NX_SYNCHRONOUS_FULL ? "PRAGMA synchronous=FULL"
                                                                                 : "PRAGMA synchronous=NORMAL")) {
        return db;
    }
    (void)sqlite3_close(db);
    return NULL;
}

void perf_sqlite_disconnect(void *connection)
{
    (void)sqlite3_close(connection);
}

void perf_sqlite_remove(const perf_place *place)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
    char path[PERF_PATH_MAX + 16];

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", place->path, suffixes[i]);
        (void)unlink(path);
    }
}

static bool fill(sqlite3 *db, uint64_t rows)
{
    sqlite3_stmt *insert = perf_sqlite_prepare(db, "INSERT INTO event (a, b, c) VALUES (?1, ?2, ?3)");
    bool ok = insert != NULL && perf_sqlite_execute(db, "BEGIN IMMEDIATE");

    for (uint64_t n = 0; ok && n < rows; n++) {
        perf_item item;
        perf_item_make(n, &item);
        (void)sqlite3_bind_int(insert, 1, item.a);
        (void)sqlite3_bind_double(insert, 2, item.b);
        (void)sqlite3_bind_text(insert, 3, item.c, PERF_TEXT_SIZE, SQLITE_STATIC);
        ok = sqlite3_step(insert) == SQLITE_DONE || perf_sqlite_failed(db, "fill");
        (void)sqlite3_reset(insert);
    }
    (void)sqlite3_finalize(insert);
    return ok && perf_sqlite_execute(db, "COMMIT") && perf_sqlite_execute(db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

bool perf_sqlite_create(const perf_place *place, bool with_table, uint64_t rows)
{
    perf_sqlite_remove(place);
    if (!with_table)
        return true;
    sqlite3 *db = perf_sqlite_connect(place);
    bool ok = db != NULL && perf_sqlite_execute(db, table_sql) && fill(db, rows);
    perf_sqlite_disconnect(db);
    return ok;
}

bool perf_sqlite_read_sum(void *connection, perf_sum *ret_sum)
{
    sqlite3_stmt *select = perf_sqlite_prepare(connection, "SELECT id, a, b, c FROM event");
    perf_sum sum = { 0 };
    int code = SQLITE_ERROR;

    while (select != NULL && (code = sqlite3_step(select)) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(select, 3);
        perf_sum_add(&sum, sqlite3_column_int64(select, 0), sqlite3_column_int(select, 1), sqlite3_column_double(select, 2), text,
                     (size_t)sqlite3_column_bytes(select, 3));
    }
    (void)sqlite3_finalize(select);
    if (code != SQLITE_DONE)
        return perf_sqlite_failed(connection, "reading the table back");
    *ret_sum = sum;
    return true;
}
