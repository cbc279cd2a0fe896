/*
 * postgres_libpq - the second floor: the workloads through libpq, as its users write them.
 *
 * Prepared statements, binary values both ways, pipeline mode with a Sync each where statements can be in flight together, COPY
 * by PQputCopyData, single-row mode for large results. "Pipeline Mode" and "Retrieving Query Results Row-by-Row" in PostgreSQL's
 * documentation are the models.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "postgres_place.h"

enum { BINARY = 1, EVENTS = 64, PIPELINE_ROWS = 1000, COPY_SEND = 64 * 1024 };

#define STATEMENT "s"

static const char select_sql[] = "SELECT id, a, b, c FROM event";
static const char get_sql[] = "SELECT id, a, b, c FROM event WHERE id = $1";
static const char insert_sql[] = "INSERT INTO event (a, b, c) VALUES ($1, $2, $3) RETURNING id";
static const char update_sql[] = "UPDATE event SET b = $2 WHERE id = $1";

/* A workload has one statement: prepare it, unless it is there already, for connections are used again. */
static bool prepare(PGconn *connection, const char *sql)
{
    PGresult *result = PQdescribePrepared(connection, STATEMENT);
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (ok)
        return true;
    result = PQprepare(connection, STATEMENT, sql, 0, NULL);
    ok = PQresultStatus(result) == PGRES_COMMAND_OK || perf_postgres_failed(connection, sql);
    PQclear(result);
    return ok;
}

/* --------------------------------------------------------------------------------- parameters */

/* Three values in binary format at most, where libpq wants them. */
typedef struct values {
    int64_t wide[2];
    int32_t narrow;
    const char *data[3];
    int sizes[3], formats[3];
} values;

static void set_values(values *all, int count, const void *const *data, const int *sizes)
{
    for (int i = 0; i < count; i++) {
        all->data[i] = data[i];
        all->sizes[i] = sizes[i];
        all->formats[i] = BINARY;
    }
}

static void set_key(values *all, int64_t key)
{
    (void)perf_put_64((char *)&all->wide[0], key);
    set_values(all, 1, (const void *[]){ &all->wide[0] }, (const int[]){ 8 });
}

static void set_insert(values *all, const perf_item *item)
{
    (void)perf_put_32((char *)&all->narrow, item->a);
    (void)perf_put_double((char *)&all->wide[0], item->b);
    set_values(all, 3, (const void *[]){ &all->narrow, &all->wide[0], item->c }, (const int[]){ 4, 8, PERF_TEXT_SIZE });
}

static void set_update(values *all, const perf_item *item)
{
    (void)perf_put_64((char *)&all->wide[0], item->id);
    (void)perf_put_double((char *)&all->wide[1], item->b);
    set_values(all, 2, (const void *[]){ &all->wide[0], &all->wide[1] }, (const int[]){ 8, 8 });
}

static bool send_prepared(PGconn *connection, int count, const values *all)
{
    return PQsendQueryPrepared(connection, STATEMENT, count, all->data, all->sizes, all->formats, BINARY) == 1;
}

/* Row `row` of a result (id, a, b, c); false: it has another shape. */
static bool take_row(const PGresult *result, int row, perf_wire_row *ret_row)
{
    if (PQnfields(result) != 4 || PQgetlength(result, row, 0) != 8 || PQgetlength(result, row, 1) != 4 ||
        PQgetlength(result, row, 2) != 8)
        return false;
    *ret_row = (perf_wire_row){ .id = perf_take_64(PQgetvalue(result, row, 0)),
                                .a = perf_take_32(PQgetvalue(result, row, 1)),
                                .b = perf_take_double(PQgetvalue(result, row, 2)),
                                .text = PQgetvalue(result, row, 3),
                                .text_size = (size_t)PQgetlength(result, row, 3) };
    return true;
}

/* --------------------------------------------------------------------------------------- read */

/* Where rows go: into structs, or with items NULL only into the sum. */
typedef struct rows_out {
    const perf_task *task;
    bool keep;
    uint64_t count;
    char *end;
    perf_sum sum;
} rows_out;

static bool put_rows(rows_out *out, const PGresult *result)
{
    perf_wire_row row;

    for (int i = 0; i < PQntuples(result); i++) {
        if (!take_row(result, i, &row))
            return false;
        if (!out->keep) {
            perf_sum_add(&out->sum, row.id, row.a, row.b, row.text, row.text_size);
            continue;
        }
        if (row.text_size > PERF_TEXT_SIZE || out->count == out->task->count)
            return false;
        perf_item *item = &out->task->items[out->count];
        item->id = row.id;
        item->a = row.a;
        item->b = row.b;
        out->task->views[out->count++] = (nx_text){ out->end, row.text_size };
        out->end = (char *)mempcpy(out->end, row.text, row.text_size) + 1;
        out->end[-1] = '\0';
    }
    return true;
}

static bool read_rows(PGconn *connection, bool single, rows_out *out)
{
    bool ok = PQsendQueryPrepared(connection, STATEMENT, 0, NULL, NULL, NULL, BINARY) == 1 &&
              (!single || PQsetSingleRowMode(connection) == 1);
    PGresult *result;

    while ((result = PQgetResult(connection)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        ok = ok && (status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK) && put_rows(out, result);
        PQclear(result);
    }
    return ok || perf_postgres_failed(connection, select_sql);
}

static void add_kept(const rows_out *out, perf_sum *sum)
{
    for (uint64_t n = 0; n < out->count; n++) {
        const perf_item *item = &out->task->items[n];
        perf_sum_add(sum, item->id, item->a, item->b, out->task->views[n].data, out->task->views[n].size);
    }
}

/* Row by row, and as one whole result; both end in the same structs. */
static bool fetch_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    PGconn **library = perf_postgres_library(connection, 1);
    rows_out whole = { .task = task, .keep = true, .end = task->texts }, single = whole;
    bool ok = library != NULL && prepare(library[0], select_sql);
    perf_sum whole_sum = { 0 };

    perf_clock start = perf_clock_now();
    ok = ok && read_rows(library[0], false, &whole);
    perf_clock whole_time = perf_clock_since(start);
    ret_sample->extra[0] = whole_time.wall_s;
    ret_sample->extra[1] = whole_time.cpu_s * 1e6 / (double)(task->count > 0 ? task->count : 1);
    add_kept(&whole, &whole_sum);

    start = perf_clock_now();
    ok = ok && read_rows(library[0], true, &single);
    ret_sample->time = perf_clock_since(start);
    add_kept(&single, &ret_sample->sum);
    if (ok && memcmp(&whole_sum, &ret_sample->sum, sizeof(whole_sum)) != 0) {
        fprintf(stderr, "nextorm-perf: libpq: single-row mode and the whole result differ\n");
        return false;
    }
    return ok;
}

static bool stream_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    PGconn **library = perf_postgres_library(connection, 1);
    rows_out out = { .task = task };
    bool ok = library != NULL && prepare(library[0], select_sql);
    perf_clock start = perf_clock_now();
    ok = ok && read_rows(library[0], true, &out);
    ret_sample->time = perf_clock_since(start);
    ret_sample->sum = out.sum;
    return ok;
}

/* -------------------------------------------------------------------------------------- write */

static bool copy_rows(PGconn *connection, const perf_task *task, char *buffer)
{
    char *at = mempcpy(buffer, perf_copy_head, sizeof(perf_copy_head));

    for (uint64_t n = 0; n < task->count; n++) {
        at = perf_copy_put(at, &task->items[n], false);
        if (at - buffer > COPY_SEND - PERF_COPY_ROW - (int)sizeof(perf_copy_tail)) {
            if (PQputCopyData(connection, buffer, (int)(at - buffer)) != 1)
                return false;
            at = buffer;
        }
    }
    at = mempcpy(at, perf_copy_tail, sizeof(perf_copy_tail));
    return PQputCopyData(connection, buffer, (int)(at - buffer)) == 1 && PQputCopyEnd(connection, NULL) == 1;
}

static bool copy_in(PGconn *connection, const perf_task *task)
{
    char *buffer = malloc(COPY_SEND);
    PGresult *result = PQexec(connection, "COPY event (a, b, c) FROM STDIN (FORMAT binary)");
    bool ok = buffer != NULL && PQresultStatus(result) == PGRES_COPY_IN && copy_rows(connection, task, buffer);

    PQclear(result);
    while ((result = PQgetResult(connection)) != NULL) {
        ok = PQresultStatus(result) == PGRES_COMMAND_OK && ok;
        PQclear(result);
    }
    free(buffer);
    return ok || perf_postgres_failed(connection, "COPY");
}

static bool bulk_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    PGconn **library = perf_postgres_library(connection, 1);
    perf_clock start = perf_clock_now();
    bool ok = library != NULL && copy_in(library[0], task);
    ret_sample->time = perf_clock_since(start);
    return ok;
}

/* The answer to statement number n, or to the Sync behind it. */
typedef bool (*take_answer)(const PGresult *result, const perf_task *task, uint64_t n);

static bool take_insert(const PGresult *result, const perf_task *task, uint64_t n)
{
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1 || PQgetlength(result, 0, 0) != 8)
        return false;
    task->items[n].id = perf_take_64(PQgetvalue(result, 0, 0));
    return true;
}

static bool take_update(const PGresult *result, const perf_task *task, uint64_t n)
{
    (void)task;
    (void)n;
    return PQresultStatus(result) == PGRES_COMMAND_OK;
}

/* The answers of statements first .. first + count - 1 and of one Sync. */
static bool take_batch(PGconn *connection, const perf_task *task, uint64_t first, uint64_t count, take_answer take)
{
    bool ok = true;

    for (uint64_t n = first; n < first + count; n++) {
        PGresult *result = PQgetResult(connection);
        ok = take(result, task, n) && ok;
        PQclear(result);
        PQclear(PQgetResult(connection)); /* NULL: the statement's end */
    }
    PGresult *sync = PQgetResult(connection);
    ok = PQresultStatus(sync) == PGRES_PIPELINE_SYNC && ok;
    PQclear(sync);
    return ok;
}

static bool write_batches(PGconn *connection, const perf_task *task, bool updates)
{
    values all = { 0 };

    for (uint64_t n = 0; n < task->count; n += PIPELINE_ROWS) {
        uint64_t left = task->count - n, count = left < PIPELINE_ROWS ? left : PIPELINE_ROWS;
        for (uint64_t i = n; i < n + count; i++) {
            if (updates)
                set_update(&all, &task->items[i]);
            else
                set_insert(&all, &task->items[i]);
            if (!send_prepared(connection, updates ? 2 : 3, &all))
                return false;
        }
        if (PQpipelineSync(connection) != 1 || !take_batch(connection, task, n, count, updates ? take_update : take_insert))
            return false;
    }
    return true;
}

/* A transaction of single statements in pipeline mode, a Sync for each PIPELINE_ROWS of them. */
static bool write_pipelined(PGconn *connection, const perf_task *task, bool updates, perf_clock *ret_time)
{
    bool ok = prepare(connection, updates ? update_sql : insert_sql);
    perf_clock start = perf_clock_now();

    ok = ok && perf_postgres_execute(connection, "BEGIN") && PQenterPipelineMode(connection) == 1 &&
         write_batches(connection, task, updates);
    ok = PQexitPipelineMode(connection) == 1 && ok && perf_postgres_execute(connection, "COMMIT");
    *ret_time = perf_clock_since(start);
    return ok || perf_postgres_failed(connection, updates ? update_sql : insert_sql);
}

static bool insert_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    PGconn **library = perf_postgres_library(connection, 1);
    return library != NULL && write_pipelined(library[0], task, false, &ret_sample->time);
}

static bool update_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    PGconn **library = perf_postgres_library(connection, 1);
    return library != NULL && write_pipelined(library[0], task, true, &ret_sample->time);
}

/* --------------------------------------------------------------------------- get and commits */

typedef struct flight flight;

/* A connection with up to `depth` statements in flight. */
typedef struct lane {
    PGconn *connection;
    uint64_t first;
    size_t size, answered, synced;
} lane;

struct flight {
    const perf_task *task;
    const char *sql;
    bool inserts, failed;
    uint64_t next;
    perf_sum sum;
};

static bool take(flight *of, const PGresult *result, uint64_t n)
{
    perf_wire_row row;

    if (of->inserts)
        return take_insert(result, of->task, n);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1 || !take_row(result, 0, &row))
        return false;
    perf_sum_add(&of->sum, row.id, row.a, row.b, row.text, row.text_size);
    return true;
}

static int set_parameters(const flight *of, values *all, uint64_t n)
{
    if (of->inserts)
        set_insert(all, &of->task->items[n]);
    else
        set_key(all, of->task->keys[n]);
    return of->inserts ? 3 : 1;
}

/* One connection, one in flight: PQexecPrepared. */
static bool execute_each(flight *of, PGconn *connection)
{
    values all = { 0 };

    for (uint64_t n = 0; n < of->task->count; n++) {
        double start = of->task->latencies_us != NULL ? perf_clock_now_s() : 0;
        int count = set_parameters(of, &all, n);
        PGresult *result = PQexecPrepared(connection, STATEMENT, count, all.data, all.sizes, all.formats, BINARY);
        bool ok = take(of, result, n);
        PQclear(result);
        if (of->task->latencies_us != NULL)
            of->task->latencies_us[n] = (perf_clock_now_s() - start) * 1e6;
        if (!ok)
            return perf_postgres_failed(connection, of->sql);
    }
    return true;
}

/* libpq does not block here; what the socket does not take at once waits for room. */
static bool flush(PGconn *connection)
{
    int left;

    while ((left = PQflush(connection)) == 1) {
        struct pollfd room = { .fd = PQsocket(connection), .events = POLLOUT | POLLIN };
        if (poll(&room, 1, -1) < 0 || PQconsumeInput(connection) == 0)
            return false;
    }
    return left == 0;
}

static bool launch(flight *of, lane *on)
{
    uint64_t left = of->task->count - of->next;
    size_t depth = of->task->depth;
    values all = { 0 };

    *on = (lane){ .connection = on->connection, .first = of->next, .size = left < depth ? left : depth };
    of->next += on->size;
    for (size_t i = 0; i < on->size; i++) {
        int count = set_parameters(of, &all, on->first + i);
        if (!send_prepared(on->connection, count, &all) || PQpipelineSync(on->connection) != 1)
            return false;
    }
    return flush(on->connection);
}

/* Take the results that are there; true: the wave is answered. */
static bool collect(flight *of, lane *on)
{
    while (on->synced < on->size && PQisBusy(on->connection) == 0) {
        PGresult *result = PQgetResult(on->connection);
        if (result == NULL) /* a statement's end */
            continue;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            on->synced++;
        } else if (on->answered == on->size || !take(of, result, on->first + on->answered++)) {
            of->failed = !perf_postgres_failed(on->connection, of->sql);
            PQclear(result);
            return false;
        }
        PQclear(result);
    }
    return on->synced == on->size;
}

/* A connection that has something to read: true while it has a wave in flight. */
static bool turn(flight *of, lane *on)
{
    if (PQconsumeInput(on->connection) == 0) {
        of->failed = !perf_postgres_failed(on->connection, "receive");
        return false;
    }
    if (!collect(of, on))
        return true;
    if (of->next == of->task->count)
        return false;
    of->failed = !launch(of, on);
    return true;
}

static bool fly(flight *of, lane *lanes, size_t count, int watch)
{
    struct epoll_event events[EVENTS];
    size_t flying = 0;

    for (size_t i = 0; i < count && of->next < of->task->count; i++) {
        if (!launch(of, &lanes[i]))
            return false;
        flying++;
    }
    while (flying > 0 && !of->failed) {
        int ready = epoll_wait(watch, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR)
            return false;
        for (int i = 0; i < ready && !of->failed; i++)
            flying -= !turn(of, events[i].data.ptr);
    }
    return !of->failed;
}

static bool make_lane(lane *on, PGconn *connection, int watch)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = on };
    on->connection = connection;
    return epoll_ctl(watch, EPOLL_CTL_ADD, PQsocket(connection), &event) == 0 && PQsetnonblocking(connection, 1) == 0 &&
           PQenterPipelineMode(connection) == 1;
}

/* Pipeline mode on all connections. */
static bool fly_all(flight *of, PGconn **library, size_t count, perf_clock *ret_time)
{
    lane *lanes = calloc(count, sizeof(*lanes));
    int watch = epoll_create1(EPOLL_CLOEXEC);
    bool ok = lanes != NULL && watch >= 0;

    for (size_t i = 0; ok && i < count; i++)
        ok = make_lane(&lanes[i], library[i], watch);
    perf_clock start = perf_clock_now();
    ok = ok && fly(of, lanes, count, watch);
    *ret_time = perf_clock_since(start);
    for (size_t i = 0; i < count; i++) {
        ok = PQexitPipelineMode(library[i]) == 1 && ok;
        (void)PQsetnonblocking(library[i], 0);
    }
    free(lanes);
    if (watch >= 0)
        (void)close(watch);
    if (!ok)
        fprintf(stderr, "nextorm-perf: libpq: the statements in flight failed\n");
    return ok;
}

static bool run_flight(perf_postgres *postgres, flight *of, perf_sample *ret_sample)
{
    size_t count = postgres->count;
    PGconn **library = perf_postgres_library(postgres, count);
    bool ok = library != NULL;

    for (size_t i = 0; ok && i < count; i++)
        ok = prepare(library[i], of->sql);
    if (!ok)
        return false;
    if (count == 1 && of->task->depth == 1) {
        perf_clock start = perf_clock_now();
        ok = execute_each(of, library[0]);
        ret_sample->time = perf_clock_since(start);
    } else {
        ok = fly_all(of, library, count, &ret_sample->time);
    }
    ret_sample->sum = of->sum;
    if (ok && of->task->latencies_us != NULL) {
        ret_sample->extra[0] = perf_percentile(of->task->latencies_us, of->task->count, 50);
        ret_sample->extra[1] = perf_percentile(of->task->latencies_us, of->task->count, 99);
    }
    return ok;
}

static bool get_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    flight of = { .task = task, .sql = get_sql };
    return run_flight(connection, &of, ret_sample);
}

/* What a connection does once is over before the time begins: an insert on each of them, undone. */
static bool warm_inserts(perf_postgres *postgres, const perf_task *task)
{
    perf_item item = task->items[0];
    perf_task one = { .items = &item, .count = 1 };
    PGconn **library = perf_postgres_library(postgres, postgres->count);

    for (size_t i = 0; library != NULL && i < postgres->count; i++) {
        flight of = { .task = &one, .sql = insert_sql, .inserts = true };
        if (!prepare(library[i], insert_sql) || !perf_postgres_execute(library[i], "BEGIN") || !execute_each(&of, library[i]) ||
            !perf_postgres_execute(library[i], "ROLLBACK"))
            return false;
    }
    return library != NULL;
}

static bool commits_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    flight of = { .task = task, .sql = insert_sql, .inserts = true };
    return warm_inserts(connection, task) && run_flight(connection, &of, ret_sample);
}

const perf_floor_run perf_postgres_library_floors[PERF_FLOOR_count] = {
    [PERF_FLOOR_INSERT] = insert_floor, [PERF_FLOOR_BULK] = bulk_floor,       [PERF_FLOOR_FETCH] = fetch_floor,
    [PERF_FLOOR_GET] = get_floor,       [PERF_FLOOR_COMMITS] = commits_floor, [PERF_FLOOR_UPDATE] = update_floor,
    [PERF_FLOOR_STREAM] = stream_floor,
};
