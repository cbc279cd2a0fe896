/*
 * workload_commits - commits: sessions of one insert each, one or 64 of them committing at any time.
 *
 * When a session has ended, its row's key is read, it is freed, and the next one begins in its place. SQLite's floor
 * commits one insert after the other at the same durability, a server's one on each connection; `speedup` is how many times
 * slower it is. With one session at a time the times of single sessions are what counts, from its begin to the completion of its
 * end.
 */
#include <stdio.h>

#include "engine.h"

enum { SESSIONS_MAX = 64 };

typedef struct session_slot {
    nx_session *session;
    Event *event;
} session_slot;

static bool prepare(perf_job *job)
{
    job->task.count = job->rows;
    job->task.items = perf_items_new(job->rows);
    job->expected = perf_items_sum(job->rows);
    if (job->task.items == NULL)
        fprintf(stderr, "nextorm-perf: out of memory\n");
    return job->task.items != NULL;
}

static bool start(perf_job *job, session_slot *slot, uint64_t n)
{
    if (job->latencies_us != NULL) /* one at a time: when it began, until it is over */
        job->latencies_us[n] = perf_clock_now_s();
    slot->session = nx_session_begin(job->loop, NULL);
    slot->event = slot->session != NULL ? nx_new(slot->session, Event) : NULL;
    if (slot->event == NULL) {
        fprintf(stderr, "nextorm-perf: a session could not be made\n");
        return false;
    }
    perf_event_set(slot->event, &job->task.items[n]);
    return perf_engine_queued(job, nx_session_end(slot->session, slot), "nx_session_end");
}

/* Take a completion, and begin a session in its place. */
static bool collect(perf_job *job, const nx_completion *completion, uint64_t *begun, perf_sum *sum)
{
    session_slot *slot = completion->tag;
    bool ok = perf_engine_good(completion, "nx_session_end");
    nx_seen(job->loop, completion);
    if (job->latencies_us != NULL)
        job->latencies_us[*begun - 1] = (perf_clock_now_s() - job->latencies_us[*begun - 1]) * 1e6;
    if (ok)
        perf_sum_event(sum, slot->event);
    nx_session_free(slot->session);
    slot->session = NULL;
    if (!ok || (*begun < job->rows && !start(job, slot, (*begun)++)))
        return false;
    return true;
}

static bool commit_all(perf_job *job, session_slot *slots, perf_sum *sum)
{
    uint64_t begun = 0;
    const nx_completion *first;

    while (begun < job->workload->in_flight && begun < job->rows) {
        if (!start(job, &slots[begun], begun))
            return false;
        begun++;
    }
    while (nx_in_flight(job->loop) > 0 || nx_peek(job->loop) != NULL) {
        nx_status status = nx_wait(job->loop, &first);
        if (status != NX_OK) {
            fprintf(stderr, "nextorm-perf: nx_wait: %s\n", nx_status_name(status));
            return false;
        }
        if (!collect(job, first, &begun, sum))
            return false;
    }
    return true;
}

static bool commits_engine(perf_job *job, perf_sample *ret_sample)
{
    session_slot slots[SESSIONS_MAX] = { 0 };

    if (!job->provider->create(&job->place, false, 0) || !perf_engine_open(job) || !perf_engine_warm(job))
        return false;
    perf_engine_count_begin(job);
    perf_clock begin = perf_clock_now();
    bool ok = commit_all(job, slots, &ret_sample->sum);
    ret_sample->time = perf_clock_since(begin);
    perf_engine_count_end(job, ret_sample);
    perf_engine_latencies(job, ret_sample);
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        nx_session_free(slots[i].session);
    perf_engine_close(job);
    return ok && perf_job_read_back(job, &ret_sample->stored);
}

static bool commits_floor(perf_job *job, perf_sample *ret_sample)
{
    return perf_job_floor_fresh(job, 0, ret_sample);
}

const perf_workload perf_workloads_commits[] = {
    { .name = "commits",
      .reach = PERF_EMBEDDED,
      .in_flight = SESSIONS_MAX,
      .synchronous = "full",
      .rows = 20000,
      .ops = 20000,
      .floor = PERF_FLOOR_COMMITS,
      .prepare = prepare,
      .engine_run = commits_engine,
      .floor_run = commits_floor },
    { .name = "commits",
      .reach = PERF_EMBEDDED,
      .in_flight = SESSIONS_MAX,
      .synchronous = "normal",
      .rows = 200000,
      .ops = 200000,
      .floor = PERF_FLOOR_COMMITS,
      .prepare = prepare,
      .engine_run = commits_engine,
      .floor_run = commits_floor },
    { .name = "commits",
      .reach = PERF_SERVERS,
      .in_flight = SESSIONS_MAX,
      .connections = SESSIONS_MAX,
      .synchronous = "on",
      .rows = 20000,
      .ops = 20000,
      .floor = PERF_FLOOR_COMMITS,
      .prepare = prepare,
      .engine_run = commits_engine,
      .floor_run = commits_floor },
    { .name = "commits",
      .reach = PERF_SERVERS,
      .in_flight = 1,
      .connections = 1,
      .synchronous = "off",
      .with_latencies = true,
      .rows = 20000,
      .ops = 20000,
      .floor = PERF_FLOOR_COMMITS,
      .prepare = prepare,
      .engine_run = commits_engine,
      .floor_run = commits_floor,
      .engine_extra = { "engine_p50_us", "engine_p99_us" },
      .floor_extra = { "floor_p50_us", "floor_p99_us" },
      .library_extra = { "libpq_p50_us", "libpq_p99_us" } },
    { .name = "commits",
      .reach = PERF_SERVERS,
      .in_flight = 1,
      .connections = 1,
      .synchronous = "on",
      .with_latencies = true,
      .rows = 5000,
      .ops = 5000,
      .floor = PERF_FLOOR_COMMITS,
      .prepare = prepare,
      .engine_run = commits_engine,
      .floor_run = commits_floor,
      .engine_extra = { "engine_p50_us", "engine_p99_us" },
      .floor_extra = { "floor_p50_us", "floor_p99_us" },
      .library_extra = { "libpq_p50_us", "libpq_p99_us" } },
    { .name = NULL },
};
