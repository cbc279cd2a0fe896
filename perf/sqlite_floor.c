/*
 * sqlite_floor - the workloads done by hand with sqlite3: prepared statements, one thread, nothing in between.
 *
 * Return codes of bind, reset and column calls are not looked at in the loops: they cannot fail for these types and
 * sizes, and sqlite3_step reports what matters. All answers are checked by checksums afterwards.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sqlite_place.h"
#include "sqlite_source.h"

/* Methods of the bulk floor, by rows in one statement: 1 is the plain step loop, 0 INSERT .. SELECT from a virtual table. */
static const size_t rows_per_step[] = { 1, 10, 100, 1000, 0 };
static const char *const bulk_methods[] = { "step", "values-10", "values-100", "values-1000", "virtual-table", NULL };
_Static_assert(sizeof(rows_per_step) / sizeof(size_t) + 1 == sizeof(bulk_methods) / sizeof(char *), "a name for each method");

static const char insert_sql[] = "INSERT INTO event (a, b, c) VALUES (?1, ?2, ?3)";
static const char select_sql[] = "SELECT id, a, b, c FROM event";

static void bind_item(sqlite3_stmt *insert, int first, const perf_item *item)
{
    (void)sqlite3_bind_int(insert, first, item->a);
    (void)sqlite3_bind_double(insert, first + 1, item->b);
    (void)sqlite3_bind_text(insert, first + 2, item->c, PERF_TEXT_SIZE, SQLITE_STATIC);
}

static bool insert_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    sqlite3 *db = connection;
    sqlite3_stmt *insert = perf_sqlite_prepare(db, insert_sql);
    bool ok = insert != NULL;
    perf_clock start = perf_clock_now();

    ok = ok && perf_sqlite_execute(db, "BEGIN IMMEDIATE");
    for (uint64_t n = 0; ok && n < task->count; n++) {
        bind_item(insert, 1, &task->items[n]);
        ok = sqlite3_step(insert) == SQLITE_DONE;
        task->items[n].id = sqlite3_last_insert_rowid(db);
        (void)sqlite3_reset(insert);
    }
    ok = ok && perf_sqlite_execute(db, "COMMIT");
    ret_sample->time = perf_clock_since(start);
    if (!ok)
        (void)perf_sqlite_failed(db, "insert floor");
    (void)sqlite3_finalize(insert);
    return ok;
}

/* "INSERT ... VALUES (?,?,?),(?,?,?)": NULL after a failure, which was printed. */
static sqlite3_stmt *prepare_rows(sqlite3 *db, size_t rows)
{
    static const char head[] = "INSERT INTO event (a, b, c) VALUES ", row[] = "(?,?,?),";
    char *sql = malloc(sizeof(head) + rows * (sizeof(row) - 1));
    if (sql == NULL)
        return NULL;
    char *end = mempcpy(sql, head, sizeof(head) - 1);
    for (size_t i = 0; i < rows; i++)
        end = mempcpy(end, row, sizeof(row) - 1);
    end[-1] = '\0';
    sqlite3_stmt *insert = perf_sqlite_prepare(db, sql);
    free(sql);
    return insert;
}

static bool bulk_by_select(sqlite3 *db, const perf_task *task, perf_sample *ret_sample)
{
    perf_sqlite_source source = { task->items, task->count };
    if (perf_sqlite_source_register(db, &source) != SQLITE_OK)
        return perf_sqlite_failed(db, "virtual table");
    sqlite3_stmt *insert = perf_sqlite_prepare(db, "INSERT INTO event (a, b, c) SELECT a, b, c FROM source");
    perf_clock start = perf_clock_now();
    bool ok = insert != NULL && perf_sqlite_execute(db, "BEGIN IMMEDIATE") && sqlite3_step(insert) == SQLITE_DONE &&
              sqlite3_reset(insert) == SQLITE_OK && perf_sqlite_execute(db, "COMMIT");
    ret_sample->time = perf_clock_since(start);
    (void)sqlite3_finalize(insert);
    /* The module must not outlive the array. */
    return (sqlite3_drop_modules(db, NULL) == SQLITE_OK && ok) || perf_sqlite_failed(db, "bulk floor by select");
}

static bool bulk_by_values(sqlite3 *db, const perf_task *task, perf_sample *ret_sample)
{
    size_t step = rows_per_step[task->method];
    sqlite3_stmt *many = prepare_rows(db, step), *one = prepare_rows(db, 1);
    bool ok = many != NULL && one != NULL;
    perf_clock start = perf_clock_now();
    uint64_t n = 0;

    ok = ok && perf_sqlite_execute(db, "BEGIN IMMEDIATE");
    while (ok && n < task->count) {
        bool full = task->count - n >= step;
        sqlite3_stmt *insert = full ? many : one;
        for (size_t i = 0; i < (full ? step : 1); i++)
            bind_item(insert, (int)(3 * i + 1), &task->items[n++]);
        ok = sqlite3_step(insert) == SQLITE_DONE;
        (void)sqlite3_reset(insert);
    }
    ok = ok && perf_sqlite_execute(db, "COMMIT");
    ret_sample->time = perf_clock_since(start);
    if (!ok)
        (void)perf_sqlite_failed(db, "bulk floor");
    (void)sqlite3_finalize(many);
    (void)sqlite3_finalize(one);
    return ok;
}

static bool bulk_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    return rows_per_step[task->method] == 0 ? bulk_by_select(connection, task, ret_sample)
                                            : bulk_by_values(connection, task, ret_sample);
}

/* What a row's checksum is made of, straight from the columns. */
static void touch(sqlite3_stmt *select, perf_sum *sum)
{
    int64_t id = sqlite3_column_int64(select, 0);
    int32_t a = sqlite3_column_int(select, 1);
    double b = sqlite3_column_double(select, 2);
    const unsigned char *text = sqlite3_column_text(select, 3);
    perf_sum_add(sum, id, a, b, text, (size_t)sqlite3_column_bytes(select, 3));
}

/* Touch every field, store nothing. */
static bool walk(sqlite3 *db, sqlite3_stmt *select, perf_sum *ret_sum)
{
    int code;

    while ((code = sqlite3_step(select)) == SQLITE_ROW)
        touch(select, ret_sum);
    (void)sqlite3_reset(select);
    return code == SQLITE_DONE || perf_sqlite_failed(db, "walk floor");
}

/* Every row into a struct, its text copied behind the one before. */
static bool store(sqlite3 *db, sqlite3_stmt *select, const perf_task *task, uint64_t *ret_count)
{
    char *end = task->texts;
    uint64_t n = 0;
    int code;

    while ((code = sqlite3_step(select)) == SQLITE_ROW && n < task->count) {
        perf_item *item = &task->items[n];
        item->id = sqlite3_column_int64(select, 0);
        item->a = sqlite3_column_int(select, 1);
        item->b = sqlite3_column_double(select, 2);
        const unsigned char *text = sqlite3_column_text(select, 3);
        size_t size = (size_t)sqlite3_column_bytes(select, 3);
        if (size > PERF_TEXT_SIZE)
            break;
        task->views[n++] = (nx_text){ end, size };
        end = (char *)mempcpy(end, text, size) + 1;
        end[-1] = '\0';
    }
    (void)sqlite3_reset(select);
    *ret_count = n;
    return code == SQLITE_DONE || perf_sqlite_failed(db, "fetch floor");
}

static bool fetch_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    sqlite3 *db = connection;
    sqlite3_stmt *select = perf_sqlite_prepare(db, select_sql);
    perf_sum walked = { 0 };
    uint64_t count = 0;

    perf_clock start = perf_clock_now();
    bool ok = select != NULL && store(db, select, task, &count);
    ret_sample->time = perf_clock_since(start);

    start = perf_clock_now();
    ok = ok && walk(db, select, &walked);
    perf_clock walk_time = perf_clock_since(start);
    ret_sample->extra[0] = walk_time.wall_s;
    ret_sample->extra[1] = walk_time.cpu_s * 1e6 / (double)(task->count > 0 ? task->count : 1);

    for (uint64_t n = 0; n < count; n++) {
        const perf_item *item = &task->items[n];
        perf_sum_add(&ret_sample->sum, item->id, item->a, item->b, task->views[n].data, task->views[n].size);
    }
    (void)sqlite3_finalize(select);
    if (ok && memcmp(&walked, &ret_sample->sum, sizeof(walked)) != 0) {
        fprintf(stderr, "nextorm-perf: sqlite: walk and fetch floors read different rows\n");
        return false;
    }
    return ok;
}

static bool stream_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    (void)task;
    sqlite3_stmt *select = perf_sqlite_prepare(connection, select_sql);
    perf_clock start = perf_clock_now();
    bool ok = select != NULL && walk(connection, select, &ret_sample->sum);
    ret_sample->time = perf_clock_since(start);
    (void)sqlite3_finalize(select);
    return ok;
}

static bool get_all(sqlite3 *db, sqlite3_stmt *select, const perf_task *task, perf_sum *ret_sum)
{
    for (uint64_t n = 0; n < task->count; n++) {
        (void)sqlite3_bind_int64(select, 1, task->keys[n]);
        if (sqlite3_step(select) != SQLITE_ROW)
            return perf_sqlite_failed(db, "get floor");
        touch(select, ret_sum);
        (void)sqlite3_reset(select);
    }
    return true;
}

static bool get_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    sqlite3 *db = connection;
    sqlite3_stmt *select = perf_sqlite_prepare(db, "SELECT id, a, b, c FROM event WHERE id = ?1");
    bool ok = select != NULL;

    perf_clock start = perf_clock_now();
    ok = ok && perf_sqlite_execute(db, "BEGIN") && get_all(db, select, task, &ret_sample->sum) &&
         perf_sqlite_execute(db, "COMMIT");
    ret_sample->time = perf_clock_since(start);

    if (ok && task->with_autocommit) {
        perf_sum again = { 0 };
        start = perf_clock_now();
        ok = get_all(db, select, task, &again);
        ret_sample->extra[0] = perf_clock_since(start).wall_s;
    }
    (void)sqlite3_finalize(select);
    return ok;
}

static bool commits_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    sqlite3 *db = connection;
    sqlite3_stmt *insert = perf_sqlite_prepare(db, insert_sql);
    /* Many transactions: a log that is used again is faster to write and to sync than one that grows. */
    bool ok = insert != NULL && perf_sqlite_execute(db, "PRAGMA wal_autocheckpoint=1000");
    perf_clock start = perf_clock_now();

    for (uint64_t n = 0; ok && n < task->count; n++) {
        bind_item(insert, 1, &task->items[n]);
        ok = sqlite3_step(insert) == SQLITE_DONE;
        task->items[n].id = sqlite3_last_insert_rowid(db);
        ok = sqlite3_reset(insert) == SQLITE_OK && ok;
    }
    ret_sample->time = perf_clock_since(start);
    if (!ok)
        (void)perf_sqlite_failed(db, "commits floor");
    (void)sqlite3_finalize(insert);
    return ok;
}

static bool update_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    sqlite3 *db = connection;
    sqlite3_stmt *update = perf_sqlite_prepare(db, "UPDATE event SET b = ?1 WHERE id = ?2");
    bool ok = update != NULL;
    perf_clock start = perf_clock_now();

    ok = ok && perf_sqlite_execute(db, "BEGIN IMMEDIATE");
    for (uint64_t n = 0; ok && n < task->count; n++) {
        (void)sqlite3_bind_double(update, 1, task->items[n].b);
        (void)sqlite3_bind_int64(update, 2, task->items[n].id);
        ok = sqlite3_step(update) == SQLITE_DONE && sqlite3_changes(db) == 1;
        (void)sqlite3_reset(update);
    }
    ok = ok && perf_sqlite_execute(db, "COMMIT");
    ret_sample->time = perf_clock_since(start);
    if (!ok)
        (void)perf_sqlite_failed(db, "update floor");
    (void)sqlite3_finalize(update);
    return ok;
}

static const perf_floor_run floors[PERF_FLOOR_count] = {
    [PERF_FLOOR_INSERT] = insert_floor, [PERF_FLOOR_BULK] = bulk_floor,       [PERF_FLOOR_FETCH] = fetch_floor,
    [PERF_FLOOR_GET] = get_floor,       [PERF_FLOOR_COMMITS] = commits_floor, [PERF_FLOOR_UPDATE] = update_floor,
    [PERF_FLOOR_STREAM] = stream_floor,
};

const perf_provider perf_sqlite = {
    .name = "sqlite",
    .begin = perf_sqlite_begin,
    .locate = perf_sqlite_locate,
    .version = perf_sqlite_version,
    .bind_options = perf_sqlite_bind_options,
    .create = perf_sqlite_create,
    .remove = perf_sqlite_remove,
    .connect = perf_sqlite_connect,
    .disconnect = perf_sqlite_disconnect,
    .read_sum = perf_sqlite_read_sum,
    .floors = floors,
    .methods = { [PERF_FLOOR_BULK] = bulk_methods },
};
