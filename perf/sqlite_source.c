/* sqlite_source - an array of items as a virtual table of SQLite: the floor's way to insert without binding values. */
#include "sqlite_source.h"

#include <stdlib.h>

typedef struct source_table {
    sqlite3_vtab base;
    const perf_sqlite_source *source;
} source_table;

typedef struct source_cursor {
    sqlite3_vtab_cursor base;
    const perf_item *at, *end;
} source_cursor;

static int source_connect(sqlite3 *db, void *context, int count, const char *const *values, sqlite3_vtab **ret_table,
                          char **ret_error)
{
    (void)count;
    (void)values;
    (void)ret_error;
    source_table *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return SQLITE_NOMEM;
    table->source = context;
    *ret_table = &table->base;
    return sqlite3_declare_vtab(db, "CREATE TABLE source (a INTEGER, b REAL, c TEXT)");
}

static int source_disconnect(sqlite3_vtab *table)
{
    free(table);
    return SQLITE_OK;
}

static int source_plan(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table;
    info->estimatedCost = 1;
    return SQLITE_OK;
}

static int source_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor)
{
    (void)table;
    source_cursor *cursor = calloc(1, sizeof(*cursor));
    if (cursor == NULL)
        return SQLITE_NOMEM;
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

static int source_close(sqlite3_vtab_cursor *cursor)
{
    free(cursor);
    return SQLITE_OK;
}

static int source_filter(sqlite3_vtab_cursor *base, int plan, const char *name, int count, sqlite3_value **values)
{
    (void)plan;
    (void)name;
    (void)count;
    (void)values;
    source_cursor *cursor = (source_cursor *)base;
    const perf_sqlite_source *source = ((const source_table *)base->pVtab)->source;
    cursor->at = source->items;
    cursor->end = source->items + source->count;
    return SQLITE_OK;
}

static int source_next(sqlite3_vtab_cursor *base)
{
    ((source_cursor *)base)->at++;
    return SQLITE_OK;
}

static int source_is_over(sqlite3_vtab_cursor *base)
{
    const source_cursor *cursor = (const source_cursor *)base;
    return cursor->at == cursor->end;
}

static int source_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    const perf_item *item = ((const source_cursor *)base)->at;

    if (column == 0)
        sqlite3_result_int(context, item->a);
    else if (column == 1)
        sqlite3_result_double(context, item->b);
    else
        sqlite3_result_text(context, item->c, PERF_TEXT_SIZE, SQLITE_STATIC);
    return SQLITE_OK;
}

static int source_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid)
{
    const source_cursor *cursor = (const source_cursor *)base;
    *ret_rowid = cursor->end - cursor->at;
    return SQLITE_OK;
}

int perf_sqlite_source_register(sqlite3 *db, perf_sqlite_source *source)
{
    /* No xCreate: the table is there under its own name without being created. */
    static const sqlite3_module module = {
        .xConnect = source_connect,
        .xBestIndex = source_plan,
        .xDisconnect = source_disconnect,
        .xOpen = source_open,
        .xClose = source_close,
        .xFilter = source_filter,
        .xNext = source_next,
        .xEof = source_is_over,
        .xColumn = source_column,
        .xRowid = source_rowid,
    };
    return sqlite3_create_module_v2(db, "source", &module, source, NULL);
}
