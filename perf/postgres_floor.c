/*
 * postgres_floor - the workloads done by hand on the wire, those of one connection and large messages.
 *
 * Every message is encoded straight from the items, and decoded straight out of the receive buffer. Statements of a bulk write
 * follow each other without waiting under one Sync, which makes them one transaction: "Pipelining" in PostgreSQL's documentation.
 * Their answers are short, so the server can always send them while it is being written to.
 */
#include <stdio.h>

#include "postgres_place.h"

static const char select_sql[] = "SELECT id, a, b, c FROM event";
static const char unnest_insert_sql[] = "INSERT INTO event (a, b, c) SELECT * FROM unnest($1::int4[], $2::float8[], $3::text[])";
static const char unnest_update_sql[] =
    "UPDATE event SET b = new.b FROM unnest($1::int8[], $2::float8[]) AS new (id, b) WHERE event.id = new.id";

/* Object identifiers of types, for the heads of arrays: catalog pg_type. */
enum { OID_INT8 = 20, OID_INT4 = 23, OID_TEXT = 25, OID_FLOAT8 = 701 };

/* --------------------------------------------------------------------------------------- copy */

/* Several CopyData messages are sent at once; one of that size stays in the processor's caches on both sides. */
enum { COPY_MESSAGE = 32 * 1024, COPY_SEND = 128 * 1024 };

const char perf_copy_head[19] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
const char perf_copy_tail[2] = { '\377', '\377' };

char *perf_copy_put(char *at, const perf_item *item, bool with_key)
{
    at = perf_put_16(at, with_key ? 4 : 3);
    if (with_key)
        at = perf_put_64(perf_put_32(at, 8), item->id);
    at = perf_put_32(perf_put_32(at, 4), item->a);
    at = perf_put_double(perf_put_32(at, 8), item->b);
    return mempcpy(perf_put_32(at, PERF_TEXT_SIZE), item->c, PERF_TEXT_SIZE);
}

/* One CopyData message of as many rows as fit, from *n on. */
static char *put_copy_data(char *at, const perf_task *task, bool with_key, uint64_t *n)
{
    char *head = at;

    at += PERF_WIRE_HEAD;
    if (*n == 0)
        at = mempcpy(at, perf_copy_head, sizeof(perf_copy_head));
    while (*n < task->count && at - head <= COPY_MESSAGE - PERF_COPY_ROW)
        at = perf_copy_put(at, &task->items[(*n)++], with_key);
    if (*n == task->count)
        at = mempcpy(at, perf_copy_tail, sizeof(perf_copy_tail));
    *head = 'd';
    (void)perf_put_32(head + 1, (int32_t)(at - head - 1));
    return at;
}

static bool copy_rows(perf_wire *wire, const perf_task *task, bool with_key)
{
    static const char done[] = { 'c', 0, 0, 0, 4 };
    uint64_t n = 0;

    do {
        /* The tail may make the last message a little longer. */
        char *at = perf_wire_reserve(wire, COPY_SEND + sizeof(perf_copy_tail)), *end = at;
        if (at == NULL)
            return false;
        do
            end = put_copy_data(end, task, with_key, &n);
        while (n < task->count && end - at <= COPY_SEND - COPY_MESSAGE);
        wire->out_size = (size_t)(end - at);
        if (!perf_wire_send(wire))
            return false;
    } while (n < task->count);
    return perf_wire_send_bytes(wire, done, sizeof(done)) && perf_wire_finish(wire, "COPY");
}

static bool copy_in(perf_wire *wire, const perf_task *task, bool with_key)
{
    static const char with[] = "COPY event (id, a, b, c) FROM STDIN (FORMAT binary)";
    static const char without[] = "COPY event (a, b, c) FROM STDIN (FORMAT binary)";
    const char *sql = with_key ? with : without;
    size_t size = with_key ? sizeof(with) : sizeof(without);
    perf_message message = { 0 };
    char *at = perf_wire_reserve(wire, PERF_WIRE_HEAD + size);

    if (at == NULL)
        return false;
    *at = 'Q';
    memcpy(perf_put_32(at + 1, (int32_t)(4 + size)), sql, size);
    wire->out_size = PERF_WIRE_HEAD + size;
    if (!perf_wire_send(wire))
        return false;
    while (message.type != 'G') {
        if (!perf_wire_take(wire, &message))
            return false;
        if (message.type == 'E')
            return perf_wire_refused(&message, sql);
    }
    return copy_rows(wire, task, with_key);
}

static bool insert_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    perf_wire *wire = perf_postgres_wires(connection, 1);
    perf_clock start = perf_clock_now();
    bool ok = wire != NULL && copy_in(wire, task, true);
    ret_sample->time = perf_clock_since(start);
    return ok;
}

/* ------------------------------------------------------------------------------------- unnest */

/* Rows in one statement; 0: all of them, or for bulk, COPY. */
static const size_t bulk_rows[] = { 0, 10000, 1000 };
const char *const perf_postgres_bulk_methods[] = { "copy", "unnest-10000", "unnest-1000", NULL };
_Static_assert(sizeof(bulk_rows) / sizeof(size_t) + 1 == sizeof(perf_postgres_bulk_methods) / sizeof(char *), "a name for each");
static const size_t update_rows[] = { 0, 10000, 1000 };
const char *const perf_postgres_update_methods[] = { "unnest-all", "unnest-10000", "unnest-1000", NULL };
_Static_assert(sizeof(update_rows) / sizeof(size_t) + 1 == sizeof(perf_postgres_update_methods) / sizeof(char *),
               "a name for each");

/* An array parameter: its length, then dimensions, "no NULL", type, size, first index; elements of `size` bytes follow. */
enum { ARRAY_HEAD = 4 + 5 * 4 };
static char *put_array(char *at, int32_t type, uint64_t count, size_t size)
{
    at = perf_put_32(at, (int32_t)(ARRAY_HEAD - 4 + count * (4 + size)));
    at = perf_put_32(perf_put_32(at, 1), 0);
    return perf_put_32(perf_put_32(perf_put_32(at, type), (int32_t)count), 1);
}

static bool put_insert(perf_wire *wire, const perf_item *items, uint64_t count)
{
    size_t size = 3 * (size_t)ARRAY_HEAD + count * (4 + 4 + 4 + 8 + 4 + PERF_TEXT_SIZE);
    char *begin = perf_wire_reserve(wire, PERF_WIRE_BIND + size + PERF_WIRE_EXECUTE);
    if (begin == NULL)
        return false;
    char *at = put_array(perf_put_bind(begin, 3, size), OID_INT4, count, 4);
    for (uint64_t n = 0; n < count; n++)
        at = perf_put_32(perf_put_32(at, 4), items[n].a);
    at = put_array(at, OID_FLOAT8, count, 8);
    for (uint64_t n = 0; n < count; n++)
        at = perf_put_double(perf_put_32(at, 8), items[n].b);
    at = put_array(at, OID_TEXT, count, PERF_TEXT_SIZE);
    for (uint64_t n = 0; n < count; n++)
        at = mempcpy(perf_put_32(at, PERF_TEXT_SIZE), items[n].c, PERF_TEXT_SIZE);
    wire->out_size += (size_t)(perf_put_execute(at) - begin);
    return true;
}

static bool put_update(perf_wire *wire, const perf_item *items, uint64_t count)
{
    size_t size = 2 * (size_t)ARRAY_HEAD + count * (4 + 8 + 4 + 8);
    char *begin = perf_wire_reserve(wire, PERF_WIRE_BIND + size + PERF_WIRE_EXECUTE);
    if (begin == NULL)
        return false;
    char *at = put_array(perf_put_bind(begin, 2, size), OID_INT8, count, 8);
    for (uint64_t n = 0; n < count; n++)
        at = perf_put_64(perf_put_32(at, 8), items[n].id);
    at = put_array(at, OID_FLOAT8, count, 8);
    for (uint64_t n = 0; n < count; n++)
        at = perf_put_double(perf_put_32(at, 8), items[n].b);
    wire->out_size += (size_t)(perf_put_execute(at) - begin);
    return true;
}

/* All items by statements of `rows` items each, one transaction. */
static bool write_train(perf_wire *wire, const perf_task *task, size_t rows,
                        bool (*put)(perf_wire *wire, const perf_item *items, uint64_t count))
{
    for (uint64_t n = 0; n < task->count; n += rows) {
        uint64_t left = task->count - n;
        if (!put(wire, &task->items[n], left < rows ? left : rows) || !perf_wire_send(wire))
            return false;
    }
    char *at = perf_wire_reserve(wire, PERF_WIRE_SYNC);
    if (at == NULL)
        return false;
    (void)perf_put_sync(at);
    wire->out_size += PERF_WIRE_SYNC;
    return perf_wire_send(wire) && perf_wire_finish(wire, "write");
}

static bool bulk_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    perf_wire *wire = perf_postgres_wires(connection, 1);
    size_t rows = bulk_rows[task->method];
    bool ok = wire != NULL && (rows == 0 || perf_wire_prepare(wire, unnest_insert_sql));
    perf_clock start = perf_clock_now();

    ok = ok && (rows == 0 ? copy_in(wire, task, false) : write_train(wire, task, rows, put_insert));
    ret_sample->time = perf_clock_since(start);
    return ok;
}

static bool update_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    perf_wire *wire = perf_postgres_wires(connection, 1);
    size_t rows = update_rows[task->method] == 0 ? task->count : update_rows[task->method];
    bool ok = wire != NULL && perf_wire_prepare(wire, unnest_update_sql);
    perf_clock start = perf_clock_now();

    ok = ok && write_train(wire, task, rows, put_update);
    ret_sample->time = perf_clock_since(start);
    return ok;
}

/* --------------------------------------------------------------------------------------- read */

bool perf_postgres_walk(perf_wire *wire, perf_sum *ret_sum)
{
    perf_message message;
    perf_wire_row row;
    bool ok = true;

    if (!perf_wire_execute(wire))
        return false;
    for (;;) {
        while (perf_wire_next(wire, &message)) {
            if (perf_wire_row_take(&message, &row))
                perf_sum_add(ret_sum, row.id, row.a, row.b, row.text, row.text_size);
            else if (message.type == 'E' || message.type == 'D')
                ok = perf_wire_refused(&message, "walk");
            else if (message.type == 'Z')
                return ok;
        }
        if (!perf_wire_receive(wire))
            return false;
    }
}

/* Every row into a struct, its text copied behind the one before. */
static bool store(perf_wire *wire, const perf_task *task, uint64_t *ret_count)
{
    perf_message message;
    perf_wire_row row;
    char *end = task->texts;
    uint64_t n = 0;
    bool ok = true;

    if (!perf_wire_execute(wire))
        return false;
    for (;;) {
        while (perf_wire_next(wire, &message)) {
            if (perf_wire_row_take(&message, &row) && row.text_size <= PERF_TEXT_SIZE && n < task->count) {
                perf_item *item = &task->items[n];
                item->id = row.id;
                item->a = row.a;
                item->b = row.b;
                task->views[n++] = (nx_text){ end, row.text_size };
                end = (char *)mempcpy(end, row.text, row.text_size) + 1;
                end[-1] = '\0';
            } else if (message.type == 'E' || message.type == 'D') {
                ok = perf_wire_refused(&message, "fetch");
            } else if (message.type == 'Z') {
                *ret_count = n;
                return ok;
            }
        }
        if (!perf_wire_receive(wire))
            return false;
    }
}

static bool fetch_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    perf_wire *wire = perf_postgres_wires(connection, 1);
    perf_sum walked = { 0 };
    uint64_t count = 0;
    bool ok = wire != NULL && perf_wire_prepare(wire, select_sql);

    perf_clock start = perf_clock_now();
    ok = ok && store(wire, task, &count);
    ret_sample->time = perf_clock_since(start);

    start = perf_clock_now();
    ok = ok && perf_postgres_walk(wire, &walked);
    perf_clock walk_time = perf_clock_since(start);
    ret_sample->extra[0] = walk_time.wall_s;
    ret_sample->extra[1] = walk_time.cpu_s * 1e6 / (double)(task->count > 0 ? task->count : 1);

    for (uint64_t n = 0; n < count; n++) {
        const perf_item *item = &task->items[n];
        perf_sum_add(&ret_sample->sum, item->id, item->a, item->b, task->views[n].data, task->views[n].size);
    }
    if (ok && memcmp(&walked, &ret_sample->sum, sizeof(walked)) != 0) {
        fprintf(stderr, "nextorm-perf: postgres: walk and fetch floors read different rows\n");
        return false;
    }
    return ok;
}

static bool stream_floor(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    (void)task;
    perf_wire *wire = perf_postgres_wires(connection, 1);
    bool ok = wire != NULL && perf_wire_prepare(wire, select_sql);
    perf_clock start = perf_clock_now();
    ok = ok && perf_postgres_walk(wire, &ret_sample->sum);
    ret_sample->time = perf_clock_since(start);
    return ok;
}

const perf_floor_run perf_postgres_wire_floors[PERF_FLOOR_count] = {
    [PERF_FLOOR_INSERT] = insert_floor,
    [PERF_FLOOR_BULK] = bulk_floor,
    [PERF_FLOOR_FETCH] = fetch_floor,
    [PERF_FLOOR_GET] = perf_postgres_get,
    [PERF_FLOOR_COMMITS] = perf_postgres_commits,
    [PERF_FLOOR_UPDATE] = update_floor,
    [PERF_FLOOR_STREAM] = stream_floor,
};
