/*
 * workload_write - insert, bulk, copy, update: one large transaction each, in a new database for each run.
 *
 * insert: entities made in a session; the time is that of its end (flush and commit), and the keys must stand on the
 *         objects. Making the entities is timed for itself. A server's floor is COPY of rows whose keys are known before.
 * bulk:   an array of structs through the bulk call, in transactions of the usual size. The floor is the fastest of several
 *         ways to do it by hand, found by two runs of each at the start.
 * copy:   the same beside COPY in binary format, on servers, and in one transaction like that.
 * update: loaded entities of a session, one field changed in each; the time is that of flush and commit. A server's floor is
 * chosen like bulk's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"

static bool out_of_memory(void)
{
    fprintf(stderr, "nextorm-perf: out of memory\n");
    return false;
}

static bool prepare_items(perf_job *job)
{
    job->task.count = job->rows;
    job->task.items = perf_items_new(job->rows);
    job->expected = perf_items_sum(job->rows);
    return job->task.items != NULL || out_of_memory();
}

static bool floor_fresh(perf_job *job, perf_sample *ret_sample)
{
    return perf_job_floor_fresh(job, 0, ret_sample);
}

static bool update_floor(perf_job *job, perf_sample *ret_sample)
{
    return perf_job_floor_fresh(job, job->rows, ret_sample);
}

/* The engine on an empty table of its own making. */
static bool open_fresh(perf_job *job)
{
    return job->provider->create(&job->place, false, 0) && perf_engine_open(job) && perf_engine_warm(job);
}

/* ------------------------------------------------------------------------------------ insert */

/* job->rows_made: the entities, so that their keys can be read afterwards. */
static bool prepare_insert(perf_job *job)
{
    job->rows_made = calloc(job->rows, sizeof(Event *));
    return prepare_items(job) && (job->rows_made != NULL || out_of_memory());
}

static bool make_entities(perf_job *job, nx_session *session)
{
    Event **events = job->rows_made;

    for (uint64_t n = 0; n < job->rows; n++) {
        events[n] = nx_new(session, Event);
        if (events[n] == NULL) {
            fprintf(stderr, "nextorm-perf: nx_new: %s\n", nx_session_error(session)->message);
            return false;
        }
        perf_event_set(events[n], &job->task.items[n]);
    }
    return true;
}

static bool insert_session(perf_job *job, nx_session *session, perf_sample *ret_sample)
{
    Event *const *events = job->rows_made;

    perf_engine_count_begin(job);
    perf_clock start = perf_clock_now();
    if (!make_entities(job, session))
        return false;
    ret_sample->extra[0] = perf_clock_since(start).wall_s;

    start = perf_clock_now();
    bool ok = perf_engine_await(job, nx_session_end(session, NULL), "nx_session_end");
    ret_sample->time = perf_clock_since(start);
    perf_engine_count_end(job, ret_sample);

    for (uint64_t n = 0; ok && n < job->rows; n++)
        perf_sum_event(&ret_sample->sum, events[n]);
    return ok;
}

static bool insert_engine(perf_job *job, perf_sample *ret_sample)
{
    if (!open_fresh(job))
        return false;
    nx_session *session = nx_session_begin(job->loop, NULL);
    if (session == NULL)
        return out_of_memory();
    bool ok = insert_session(job, session, ret_sample);
    nx_session_free(session);
    perf_engine_close(job);
    return ok && perf_job_read_back(job, &ret_sample->stored);
}

/* -------------------------------------------------------------------------------------- bulk */

enum { ROWS_AT_ONCE = 10000 };

/*
 * The shortest time of some runs of one method: the processor's, which unlike wall time does not depend on who else uses the
 * machine, but for a server, who does most of the work.
 */
static bool try_method(perf_job *job, size_t method, double *ret_time_s)
{
    job->task.method = method;
    for (int run = 0; run < 2; run++) {
        perf_sample sample = { 0 };
        if (!job->workload->floor_run(job, &sample) ||
            !perf_job_check(job, job->provider->methods[job->workload->floor][method], &sample))
            return false;
        double time_s = job->provider->is_server ? sample.time.wall_s : sample.time.cpu_s;
        if (run == 0 || time_s < *ret_time_s)
            *ret_time_s = time_s;
    }
    return true;
}

/* The cheapest method is the floor, if there are several. */
static bool choose_method(perf_job *job)
{
    const char *const *names = job->provider->methods[job->workload->floor];
    double best = 0;
    size_t chosen = 0;

    if (names == NULL)
        return true;
    for (size_t i = 0; names[i] != NULL; i++) {
        double time_s = 0;
        if (!try_method(job, i, &time_s))
            return false;
        if (i == 0 || time_s < best) {
            best = time_s;
            chosen = i;
        }
        if (!job->options->json)
            printf("    floor by %s: %.3f s\n", names[i], time_s);
    }
    job->task.method = chosen;
    job->method = names[chosen];
    return true;
}

/* job->rows_made: the structs. */
static bool prepare_structs(perf_job *job)
{
    Event *events = calloc(job->rows, sizeof(*events));
    job->rows_made = events;
    if (!prepare_items(job) || events == NULL)
        return out_of_memory();
    for (uint64_t n = 0; n < job->rows; n++)
        perf_event_set(&events[n], &job->task.items[n]);
    return true;
}

static bool prepare_bulk(perf_job *job)
{
    return prepare_structs(job) && choose_method(job);
}

/* COPY is the first method of every server that has it. */
static bool prepare_copy(perf_job *job)
{
    job->method = job->provider->methods[PERF_FLOOR_BULK][0];
    return prepare_structs(job);
}

/* Wait for the batch in flight; when there is none, one turn of the loop. */
static bool bulk_wait(perf_job *job, nx_bulk *bulk)
{
    nx_op op = nx_bulk_op(bulk);
    if (op.slot != 0 || op.generation != 0)
        return perf_engine_await(job, op, "bulk batch");
    return nx_run_once(job->loop, 0) == NX_OK;
}

static bool bulk_rows(perf_job *job, nx_bulk *bulk)
{
    const Event *events = job->rows_made;
    uint64_t given = 0;

    while (given < job->rows) {
        uint64_t left = job->rows - given;
        size_t taken = 0;
        nx_status status = nx_bulk_rows(bulk, &events[given], left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE, &taken);
        given += taken;
        if (status == NX_OK)
            status = nx_submit(job->loop); /* the batch is written while the next one is filled */
        else if (status == NX_EBUSY)
            status = bulk_wait(job, bulk) ? NX_OK : NX_ESTATE;
        if (status != NX_OK) {
            fprintf(stderr, "nextorm-perf: nx_bulk_rows: %s\n", nx_status_name(status));
            return false;
        }
    }
    return perf_engine_await(job, nx_bulk_end(bulk, NULL), "nx_bulk_end");
}

static bool bulk_load(perf_job *job, const nx_bulk_options *options, perf_sample *ret_sample)
{
    if (!open_fresh(job))
        return false;
    perf_engine_count_begin(job);
    perf_clock start = perf_clock_now();
    nx_bulk *bulk = nx_bulk_begin(job->db, &Event_entity, options);
    if (bulk == NULL)
        return out_of_memory();
    bool ok = bulk_rows(job, bulk);
    ret_sample->time = perf_clock_since(start);
    perf_engine_count_end(job, ret_sample);

    /* Completions of batches that nobody had to wait for. */
    const nx_completion *completion;
    while ((completion = nx_peek(job->loop)) != NULL) {
        ok = perf_engine_good(completion, "bulk batch") && ok;
        nx_seen(job->loop, completion);
    }
    nx_bulk_free(bulk);
    perf_engine_close(job);
    ok = ok && perf_job_read_back(job, &ret_sample->stored);
    ret_sample->sum = ret_sample->stored;
    return ok;
}

static bool bulk_engine(perf_job *job, perf_sample *ret_sample)
{
    return bulk_load(job, NULL, ret_sample);
}

/* All rows in one transaction, as in the floor. */
static bool copy_engine(perf_job *job, perf_sample *ret_sample)
{
    return bulk_load(job, &(nx_bulk_options){ .batch_rows = (uint32_t)job->rows }, ret_sample);
}

/* ------------------------------------------------------------------------------------ update */

static double changed(double b)
{
    return b + 0.5;
}

/* The items are the rows as they shall be; the table is filled with the rows as they were. */
static bool prepare_update(perf_job *job)
{
    if (!prepare_items(job))
        return false;
    job->expected = (perf_sum){ 0 };
    for (uint64_t n = 0; n < job->rows; n++) {
        job->task.items[n].b = changed(job->task.items[n].b);
        perf_sum_item(&job->expected, &job->task.items[n]);
    }
    return choose_method(job);
}

static bool update_session(perf_job *job, nx_session *session, perf_sample *ret_sample)
{
    nx_completion loaded = nx_await(job->loop, nx_fetch_all(nx_select(session, Event), NULL));
    if (!perf_engine_good(&loaded, "loading the rows"))
        return false;
    for (int64_t n = 0; n < loaded.count; n++) {
        Event *event = loaded.rows[n];
        event->b = changed(event->b);
    }

    perf_engine_count_begin(job);
    perf_clock start = perf_clock_now();
    bool ok = perf_engine_await(job, nx_commit(session, NULL), "nx_commit");
    ret_sample->time = perf_clock_since(start);
    perf_engine_count_end(job, ret_sample);

    for (int64_t n = 0; n < loaded.count; n++)
        perf_sum_event(&ret_sample->sum, loaded.rows[n]);
    nx_seen(job->loop, &loaded);
    return ok && perf_engine_await(job, nx_session_end(session, NULL), "nx_session_end");
}

static bool update_engine(perf_job *job, perf_sample *ret_sample)
{
    if (!job->provider->create(&job->place, true, job->rows) || !perf_engine_open(job))
        return false;
    nx_session *session = nx_session_begin(job->loop, NULL);
    if (session == NULL)
        return out_of_memory();
    bool ok = update_session(job, session, ret_sample);
    nx_session_free(session);
    perf_engine_close(job);
    return ok && perf_job_read_back(job, &ret_sample->stored);
}

const perf_workload perf_workloads_write[] = {
    { .name = "insert",
      .rows = 1000000,
      .floor = PERF_FLOOR_INSERT,
      .prepare = prepare_insert,
      .engine_run = insert_engine,
      .floor_run = floor_fresh,
      .engine_extra = { "engine_create_s" } },
    { .name = "bulk",
      .rows = 1000000,
      .floor = PERF_FLOOR_BULK,
      .prepare = prepare_bulk,
      .engine_run = bulk_engine,
      .floor_run = floor_fresh },
    { .name = "copy",
      .reach = PERF_SERVERS,
      .rows = 1000000,
      .floor = PERF_FLOOR_BULK,
      .prepare = prepare_copy,
      .engine_run = copy_engine,
      .floor_run = floor_fresh },
    { .name = "update",
      .rows = 100000,
      .keys_known = true,
      .floor = PERF_FLOOR_UPDATE,
      .prepare = prepare_update,
      .engine_run = update_engine,
      .floor_run = update_floor },
    { .name = NULL },
};
