/*
 * postgres_wave - get and commits on the wire: waves of small statements on some connections.
 *
 * A connection has one wave in flight: `depth` times Bind and Execute, encoded once and then only patched, under one Sync or with
 * a Sync each. When it is answered, the next wave goes out. One connection waits in recv, several in epoll.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "postgres_place.h"

enum {
    GET_SIZE = PERF_WIRE_BIND + 4 + 8 + PERF_WIRE_EXECUTE,
    INSERT_SIZE = PERF_WIRE_BIND + 4 + 4 + 4 + 8 + 4 + PERF_TEXT_SIZE + PERF_WIRE_EXECUTE,
    EVENTS = 64
};

typedef struct flight flight;

/* One connection. */
typedef struct lane {
    perf_wire *wire;
    char *wave;           /* messages of `depth` operations, and a Sync */
    uint64_t first;       /* operation */
    size_t size;          /* of the wave, in operations */
    size_t rows, readies; /* that came */
    double sent_s;
} lane;

struct flight {
    const perf_task *task;
    perf_sum sum;
    size_t depth, stride; /* stride: bytes of an operation in a wave */
    bool sync_each, failed;
    uint64_t next; /* operation to send */
    /* Make the operation's messages; write its parameters into them; take the row that answers it. */
    char *(*make)(char *at);
    void (*patch)(char *at, const perf_task *task, uint64_t n);
    bool (*take)(flight *of, const perf_message *message, uint64_t n);
};

/* ------------------------------------------------------------------------------- operations */

static char *make_get(char *at)
{
    at = perf_put_32(perf_put_bind(at, 1, 4 + 8), 8);
    return perf_put_execute(perf_put_64(at, 0));
}

static void patch_get(char *at, const perf_task *task, uint64_t n)
{
    (void)perf_put_64(at + PERF_WIRE_BIND - 4 + 4, task->keys[n]);
}

static bool take_get(flight *of, const perf_message *message, uint64_t n)
{
    (void)n;
    perf_wire_row row;
    if (!perf_wire_row_take(message, &row))
        return false;
    perf_sum_add(&of->sum, row.id, row.a, row.b, row.text, row.text_size);
    return true;
}

static char *make_insert(char *at)
{
    at = perf_put_bind(at, 3, INSERT_SIZE - PERF_WIRE_BIND - PERF_WIRE_EXECUTE);
    at = perf_put_32(perf_put_32(at, 4), 0);
    at = perf_put_64(perf_put_32(at, 8), 0);
    at = perf_put_32(at, PERF_TEXT_SIZE);
    return perf_put_execute((char *)memset(at, '0', PERF_TEXT_SIZE) + PERF_TEXT_SIZE);
}

static void patch_insert(char *at, const perf_task *task, uint64_t n)
{
    const perf_item *item = &task->items[n];
    at = perf_put_32(at + PERF_WIRE_BIND - 4 + 4, item->a);
    at = perf_put_double(at + 4, item->b);
    memcpy(at + 4, item->c, PERF_TEXT_SIZE);
}

/* The row is the new key alone: number of fields, size, bytes. */
static bool take_insert(flight *of, const perf_message *message, uint64_t n)
{
    if (message->size != 2 + 4 + 8 || perf_take_32(message->body + 2) != 8)
        return false;
    of->task->items[n].id = perf_take_64(message->body + 2 + 4);
    return true;
}

/* ------------------------------------------------------------------------------------- waves */

static double now_s(const flight *of)
{
    return of->task->latencies_us != NULL ? perf_clock_now_s() : 0;
}

static void launch(flight *of, lane *on)
{
    uint64_t left = of->task->count - of->next;

    on->first = of->next;
    on->size = left < of->depth ? left : of->depth;
    on->rows = on->readies = 0;
    of->next += on->size;
    for (size_t i = 0; i < on->size; i++)
        of->patch(on->wave + i * of->stride, of->task, on->first + i);
    size_t bytes = on->size * of->stride;
    if (!of->sync_each)
        bytes = (size_t)(perf_put_sync(on->wave + bytes) - on->wave);
    on->sent_s = now_s(of);
    of->failed = !perf_wire_send_bytes(on->wire, on->wave, bytes);
}

/* Look at what has been received; true when the wave is answered. */
static bool is_answered(flight *of, lane *on)
{
    perf_message message;
    size_t expected = of->sync_each ? on->size : 1;

    while (on->readies < expected && perf_wire_next(on->wire, &message)) {
        if (message.type == 'Z')
            on->readies++;
        else if (message.type == 'D' && on->rows < on->size && of->take(of, &message, on->first + on->rows))
            on->rows++;
        else if (message.type == 'D' || message.type == 'E')
            of->failed = !perf_wire_refused(&message, "wave");
    }
    if (on->readies < expected)
        return false;
    if (on->rows != on->size) {
        fprintf(stderr, "nextorm-perf: postgres: %zu rows for %zu statements\n", on->rows, on->size);
        of->failed = true;
    }
    if (of->task->latencies_us != NULL)
        of->task->latencies_us[on->first] = (now_s(of) - on->sent_s) * 1e6;
    return true;
}

static bool fly_one(flight *of, lane *on)
{
    while (!of->failed && of->next < of->task->count) {
        launch(of, on);
        while (!of->failed && !is_answered(of, on))
            of->failed = of->failed || !perf_wire_receive(on->wire);
    }
    return !of->failed;
}

/* One that has bytes to read: true while it has a wave in flight. */
static bool turn(flight *of, lane *on)
{
    if (!perf_wire_receive(on->wire)) {
        of->failed = true;
        return false;
    }
    if (!is_answered(of, on))
        return true;
    if (of->next == of->task->count)
        return false;
    launch(of, on);
    return true;
}

static bool fly_many(flight *of, lane *lanes, size_t count, int watch)
{
    struct epoll_event events[EVENTS];
    size_t flying = 0;

    for (size_t i = 0; i < count && !of->failed && of->next < of->task->count; i++) {
        launch(of, &lanes[i]);
        flying++;
    }
    while (flying > 0 && !of->failed) {
        int ready = epoll_wait(watch, events, EVENTS, -1);
        for (int i = 0; i < ready && !of->failed; i++)
            flying -= !turn(of, events[i].data.ptr);
        of->failed = of->failed || (ready < 0 && errno != EINTR);
    }
    return !of->failed;
}

static bool watch_lanes(lane *lanes, size_t count, int watch)
{
    for (size_t i = 0; i < count; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &lanes[i] };
        if (epoll_ctl(watch, EPOLL_CTL_ADD, lanes[i].wire->fd, &event) != 0)
            return false;
    }
    return true;
}

/* Give each lane its wave, encoded but for the parameters. */
static bool make_lanes(flight *of, lane *lanes, perf_wire *wires, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *at = malloc(of->depth * of->stride + PERF_WIRE_SYNC);
        if (at == NULL)
            return false;
        lanes[i] = (lane){ .wire = &wires[i], .wave = at };
        for (size_t k = 0; k < of->depth; k++) {
            at = of->make(at);
            if (of->sync_each)
                at = perf_put_sync(at);
        }
    }
    return true;
}

/* Send all of the task's operations, and time that. */
static bool fly(flight *of, perf_postgres *postgres, perf_clock *ret_time)
{
    size_t count = postgres->count;
    lane *lanes = calloc(count, sizeof(*lanes));
    perf_wire *wires = perf_postgres_wires(postgres, count);
    int watch = epoll_create1(EPOLL_CLOEXEC);
    bool ok = lanes != NULL && wires != NULL && watch >= 0 && make_lanes(of, lanes, wires, count) &&
              (count == 1 || watch_lanes(lanes, count, watch));

    if (ok) {
        perf_clock start = perf_clock_now();
        ok = count == 1 ? fly_one(of, lanes) : fly_many(of, lanes, count, watch);
        *ret_time = perf_clock_since(start);
    }
    if (!ok)
        fprintf(stderr, "nextorm-perf: postgres: the statements in flight failed\n");
    for (size_t i = 0; lanes != NULL && i < count; i++)
        free(lanes[i].wave);
    free(lanes);
    if (watch >= 0)
        (void)close(watch);
    return ok;
}

/* ------------------------------------------------------------------------------------ floors */

static bool prepare_all(perf_postgres *postgres, const char *sql)
{
    perf_wire *wires = perf_postgres_wires(postgres, postgres->count);
    for (size_t i = 0; wires != NULL && i < postgres->count; i++)
        if (!perf_wire_prepare(&wires[i], sql))
            return false;
    return wires != NULL;
}

static bool get_waves(perf_postgres *postgres, const perf_task *task, bool sync_each, perf_sum *ret_sum, perf_clock *ret_time)
{
    flight of = { .task = task,
                  .depth = task->depth,
                  .stride = GET_SIZE + (sync_each ? (size_t)PERF_WIRE_SYNC : 0),
                  .sync_each = sync_each,
                  .make = make_get,
                  .patch = patch_get,
                  .take = take_get };
    bool ok = fly(&of, postgres, ret_time);
    *ret_sum = of.sum;
    return ok;
}

bool perf_postgres_get(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    perf_postgres *postgres = connection;
    perf_clock each_time = { 0 };
    perf_sum each = { 0 };

    if (!prepare_all(postgres, "SELECT id, a, b, c FROM event WHERE id = $1") ||
        !get_waves(postgres, task, false, &ret_sample->sum, &ret_sample->time))
        return false;
    if (task->latencies_us != NULL) {
        ret_sample->extra[0] = perf_percentile(task->latencies_us, task->count, 50);
        ret_sample->extra[1] = perf_percentile(task->latencies_us, task->count, 99);
        return true;
    }
    if (!get_waves(postgres, task, true, &each, &each_time))
        return false;
    ret_sample->extra[0] = each_time.wall_s;
    ret_sample->extra[1] = each_time.cpu_s * 1e6 / (double)task->count;
    if (memcmp(&each, &ret_sample->sum, sizeof(each)) == 0)
        return true;
    fprintf(stderr, "nextorm-perf: postgres: one Sync and a Sync each read different rows\n");
    return false;
}

/* What a connection does once is over before the time begins: an insert on each of them, undone. */
static bool warm_inserts(perf_postgres *postgres, const perf_task *task)
{
    perf_item item = task->items[0];
    perf_task one = { .items = &item, .count = 1 };
    perf_wire *wires = perf_postgres_wires(postgres, postgres->count);

    for (size_t i = 0; i < postgres->count; i++) {
        flight of = {
            .task = &one, .depth = 1, .stride = INSERT_SIZE, .make = make_insert, .patch = patch_insert, .take = take_insert
        };
        lane on = { 0 };
        bool ok = perf_wire_command(&wires[i], "BEGIN") && make_lanes(&of, &on, &wires[i], 1) && fly_one(&of, &on) &&
                  perf_wire_command(&wires[i], "ROLLBACK");
        free(on.wave);
        if (!ok)
            return false;
    }
    return true;
}

bool perf_postgres_commits(void *connection, const perf_task *task, perf_sample *ret_sample)
{
    perf_postgres *postgres = connection;
    flight of = {
        .task = task, .depth = 1, .stride = INSERT_SIZE, .make = make_insert, .patch = patch_insert, .take = take_insert
    };

    if (!prepare_all(postgres, "INSERT INTO event (a, b, c) VALUES ($1, $2, $3) RETURNING id") || !warm_inserts(postgres, task) ||
        !fly(&of, postgres, &ret_sample->time))
        return false;
    if (task->latencies_us != NULL) {
        ret_sample->extra[0] = perf_percentile(task->latencies_us, task->count, 50);
        ret_sample->extra[1] = perf_percentile(task->latencies_us, task->count, 99);
    }
    return true;
}
