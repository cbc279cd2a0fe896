/*
 * workload_read - fetch, fetch-map: the whole table into entities, outside a session and through a session's map.
 *
 * The same database and connections serve all rounds, so pages are cached on both sides. The floor stores every row
 * into a struct; walk_s is what touching every field and storing nothing takes. Giving the rows back is timed for itself.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"

static bool prepare(perf_job *job)
{
    perf_task *task = &job->task;

    task->count = job->rows;
    task->items = calloc(job->rows, sizeof(*task->items));
    task->texts = calloc(job->rows, PERF_TEXT_SIZE + 1);
    task->views = calloc(job->rows, sizeof(*task->views));
    if (task->items == NULL || task->texts == NULL || task->views == NULL) {
        fprintf(stderr, "nextorm-perf: out of memory\n");
        return false;
    }
    job->expected = perf_items_sum(job->rows);
    if (!job->provider->create(&job->place, true, job->rows) || !perf_engine_open(job))
        return false;
    job->connection = job->provider->connect(&job->place);
    return job->connection != NULL;
}

/* Time a fetch of all rows by that query, check its rows, and give them back. */
static bool fetch(perf_job *job, nx_query *query, perf_sample *ret_sample)
{
    perf_engine_count_begin(job);
    perf_clock start = perf_clock_now();
    nx_completion result = nx_await(job->loop, nx_fetch_all(query, NULL));
    ret_sample->time = perf_clock_since(start);
    perf_engine_count_end(job, ret_sample);
    if (!perf_engine_good(&result, "nx_fetch_all"))
        return false;
    for (int64_t n = 0; n < result.count; n++)
        perf_sum_event(&ret_sample->sum, result.rows[n]);
    start = perf_clock_now();
    nx_seen(job->loop, &result);
    ret_sample->extra[0] = perf_clock_since(start).wall_s;
    return true;
}

static bool fetch_engine(perf_job *job, perf_sample *ret_sample)
{
    perf_sample untracked = { 0 };

    if (!fetch(job, nx_select(job->db, Event), ret_sample) || !fetch(job, nx_untracked(nx_select(job->db, Event)), &untracked))
        return false;
    ret_sample->extra[1] = untracked.time.wall_s;
    ret_sample->extra[2] = untracked.time.cpu_s * 1e6 / (double)job->rows;
    return perf_job_check(job, "untracked", &untracked);
}

static bool fetch_map_engine(perf_job *job, perf_sample *ret_sample)
{
    nx_session *session = nx_session_begin(job->loop, NULL);
    if (session == NULL) {
        fprintf(stderr, "nextorm-perf: nx_session_begin: out of memory\n");
        return false;
    }
    bool ok = fetch(job, nx_select(session, Event), ret_sample) &&
              perf_engine_await(job, nx_session_end(session, NULL), "nx_session_end");
    perf_clock start = perf_clock_now();
    nx_session_free(session);
    ret_sample->extra[0] += perf_clock_since(start).wall_s;
    return ok;
}

const perf_workload perf_workloads_read[] = {
    { .name = "fetch",
      .rows = 1000000,
      .keys_known = true,
      .floor = PERF_FLOOR_FETCH,
      .prepare = prepare,
      .engine_run = fetch_engine,
      .floor_run = perf_job_floor,
      .engine_extra = { "engine_release_s", "untracked_s", "untracked_cpu_us_per_op" },
      .floor_extra = { "walk_s", "walk_cpu_us_per_op" },
      .library_extra = { "libpq_whole_s", "libpq_whole_cpu_us_per_op" } },
    { .name = "fetch-map",
      .rows = 1000000,
      .keys_known = true,
      .floor = PERF_FLOOR_FETCH,
      .prepare = prepare,
      .engine_run = fetch_map_engine,
      .floor_run = perf_job_floor,
      .engine_extra = { "engine_release_s" },
      .floor_extra = { "walk_s", "walk_cpu_us_per_op" },
      .library_extra = { "libpq_whole_s", "libpq_whole_cpu_us_per_op" } },
    { .name = NULL },
};
