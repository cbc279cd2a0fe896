/*
 * workload_get - get: one row by its primary key, again and again, with one or more operations in flight.
 *
 * Keys are random over the whole table and the same on all sides. When an operation completes, the next is queued in
 * its place. SQLite: the floor looks the keys up inside one read transaction; for 1 in flight the time without a
 * transaction around is reported too. Servers: in flight are connections x depth; the floor sends `depth` statements under one
 * Sync on each connection; what a Sync each takes is reported too.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"

static bool prepare(perf_job *job)
{
    job->keys = calloc(job->ops, sizeof(*job->keys));
    if (job->keys == NULL) {
        fprintf(stderr, "nextorm-perf: out of memory\n");
        return false;
    }
    for (uint64_t i = 0; i < job->ops; i++) {
        perf_item item;
        uint64_t n = perf_mix(~i) % job->rows;
        perf_item_make(n, &item);
        perf_sum_item(&job->expected, &item);
        job->keys[i] = item.id;
    }
    job->task.keys = job->keys;
    job->task.count = job->ops;
    job->task.with_autocommit = job->workload->in_flight == 1;
    if (!job->provider->create(&job->place, true, job->rows) || !perf_engine_open(job))
        return false;
    job->connection = job->provider->connect(&job->place);
    return job->connection != NULL;
}

static bool queue_get(perf_job *job, uint64_t index)
{
    if (job->latencies_us != NULL) /* one in flight: the time of its begin, until it is over */
        job->latencies_us[index] = perf_clock_now_s();
    nx_op op = nx_get(job->db, Event, nx_eq(Event_.id, job->keys[index]), NULL);
    return perf_engine_queued(job, op, "nx_get");
}

/* Take a completion, and queue an operation in its place. */
static bool collect(perf_job *job, const nx_completion *completion, uint64_t *queued, perf_sum *sum)
{
    bool ok = perf_engine_good(completion, "nx_get");
    if (ok && completion->count == 1)
        perf_sum_event(sum, completion->rows[0]);
    nx_seen(job->loop, completion);
    if (job->latencies_us != NULL)
        job->latencies_us[*queued - 1] = (perf_clock_now_s() - job->latencies_us[*queued - 1]) * 1e6;
    if (!ok || (*queued < job->ops && !queue_get(job, (*queued)++)))
        return false;
    return true;
}

static bool get_all(perf_job *job, perf_sum *sum)
{
    uint64_t queued = 0;
    const nx_completion *first;

    while (queued < job->workload->in_flight && queued < job->ops)
        if (!queue_get(job, queued++))
            return false;
    while (nx_in_flight(job->loop) > 0 || nx_peek(job->loop) != NULL) {
        nx_status status = nx_wait(job->loop, &first);
        if (status != NX_OK) {
            fprintf(stderr, "nextorm-perf: nx_wait: %s\n", nx_status_name(status));
            return false;
        }
        if (!collect(job, first, &queued, sum))
            return false;
    }
    return true;
}

static bool get_engine(perf_job *job, perf_sample *ret_sample)
{
    perf_engine_count_begin(job);
    perf_clock start = perf_clock_now();
    bool ok = get_all(job, &ret_sample->sum);
    ret_sample->time = perf_clock_since(start);
    perf_engine_count_end(job, ret_sample);
    perf_engine_latencies(job, ret_sample);
    return ok;
}

const perf_workload perf_workloads_get[] = {
    { .name = "get",
      .reach = PERF_EMBEDDED,
      .in_flight = 1,
      .rows = 1000000,
      .ops = 200000,
      .keys_known = true,
      .floor = PERF_FLOOR_GET,
      .prepare = prepare,
      .engine_run = get_engine,
      .floor_run = perf_job_floor,
      .floor_extra = { "floor_autocommit_s" } },
    { .name = "get",
      .reach = PERF_EMBEDDED,
      .in_flight = 64,
      .rows = 1000000,
      .ops = 400000,
      .keys_known = true,
      .floor = PERF_FLOOR_GET,
      .prepare = prepare,
      .engine_run = get_engine,
      .floor_run = perf_job_floor },
    { .name = "get",
      .reach = PERF_SERVERS,
      .in_flight = 1,
      .connections = 1,
      .with_latencies = true,
      .rows = 1000000,
      .ops = 50000,
      .keys_known = true,
      .floor = PERF_FLOOR_GET,
      .prepare = prepare,
      .engine_run = get_engine,
      .floor_run = perf_job_floor,
      .engine_extra = { "engine_p50_us", "engine_p99_us" },
      .floor_extra = { "floor_p50_us", "floor_p99_us" },
      .library_extra = { "libpq_p50_us", "libpq_p99_us" } },
    { .name = "get",
      .reach = PERF_SERVERS,
      .in_flight = 64,
      .connections = 1,
      .rows = 1000000,
      .ops = 200000,
      .keys_known = true,
      .floor = PERF_FLOOR_GET,
      .prepare = prepare,
      .engine_run = get_engine,
      .floor_run = perf_job_floor,
      .floor_extra = { "floor_sync_each_s", "floor_sync_each_cpu_us_per_op" } },
    { .name = "get",
      .reach = PERF_SERVERS,
      .in_flight = 8,
      .connections = 8,
      .rows = 1000000,
      .ops = 100000,
      .keys_known = true,
      .floor = PERF_FLOOR_GET,
      .prepare = prepare,
      .engine_run = get_engine,
      .floor_run = perf_job_floor },
    { .name = "get",
      .reach = PERF_SERVERS,
      .in_flight = 32,
      .connections = 32,
      .rows = 1000000,
      .ops = 100000,
      .keys_known = true,
      .floor = PERF_FLOOR_GET,
      .prepare = prepare,
      .engine_run = get_engine,
      .floor_run = perf_job_floor },
    { .name = "get",
      .reach = PERF_SERVERS,
      .in_flight = 128,
      .connections = 8,
      .rows = 1000000,
      .ops = 400000,
      .keys_known = true,
      .floor = PERF_FLOOR_GET,
      .prepare = prepare,
      .engine_run = get_engine,
      .floor_run = perf_job_floor,
      .floor_extra = { "floor_sync_each_s", "floor_sync_each_cpu_us_per_op" } },
    { .name = NULL },
};
