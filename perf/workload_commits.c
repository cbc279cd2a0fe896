/*
 * workload_commits - commits: sessions of one insert each, 64 of them committing at any time.
 *
 * When a session has ended, its row's key is read, it is freed, and the next one begins in its place. The floor
 * commits one insert after the other at the same durability; `speedup` is how many times slower it is.
 */
#include <stdio.h>

#include "engine.h"

enum { SESSIONS = 64 };

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

static bool start(perf_job *job, session_slot *slot, const perf_item *item)
{
    slot->session = nx_session_begin(job->loop, NULL);
    slot->event = slot->session != NULL ? nx_new(slot->session, Event) : NULL;
    if (slot->event == NULL) {
        fprintf(stderr, "nextorm-perf: a session could not be made\n");
        return false;
    }
    perf_event_set(slot->event, item);
    return perf_engine_queued(job, nx_session_end(slot->session, slot), "nx_session_end");
}

/* Take a completion, and begin a session in its place. */
static bool collect(perf_job *job, const nx_completion *completion, uint64_t *begun, perf_sum *sum)
{
    session_slot *slot = completion->tag;
    bool ok = perf_engine_good(completion, "nx_session_end");
    nx_seen(job->loop, completion);
    if (ok)
        perf_sum_event(sum, slot->event);
    nx_session_free(slot->session);
    slot->session = NULL;
    if (!ok || (*begun < job->rows && !start(job, slot, &job->task.items[(*begun)++])))
        return false;
    return true;
}

static bool commit_all(perf_job *job, session_slot *slots, perf_sum *sum)
{
    uint64_t begun = 0;
    const nx_completion *first;

    while (begun < SESSIONS && begun < job->rows) {
        if (!start(job, &slots[begun], &job->task.items[begun]))
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
    session_slot slots[SESSIONS] = { 0 };

    if (!job->provider->create(&job->place, false, 0) || !perf_engine_open(job) || !perf_engine_warm(job))
        return false;
    perf_engine_count_begin(job);
    perf_clock begin = perf_clock_now();
    bool ok = commit_all(job, slots, &ret_sample->sum);
    ret_sample->time = perf_clock_since(begin);
    perf_engine_count_end(job, ret_sample);
    for (size_t i = 0; i < SESSIONS; i++)
        nx_session_free(slots[i].session);
    perf_engine_close(job);
    return ok && perf_job_read_back(job, &ret_sample->stored);
}

static bool commits_floor(perf_job *job, perf_sample *ret_sample)
{
    return perf_job_floor_fresh(job, 0, ret_sample);
}

const perf_workload perf_workloads_commits[] = {
    { .name = "commits", .in_flight = SESSIONS, .synchronous = "full", .rows = 20000, .ops = 20000, .floor = PERF_FLOOR_COMMITS,
      .prepare = prepare, .engine_run = commits_engine, .floor_run = commits_floor },
    { .name = "commits", .in_flight = SESSIONS, .synchronous = "normal", .rows = 200000, .ops = 200000,
      .floor = PERF_FLOOR_COMMITS, .prepare = prepare, .engine_run = commits_engine, .floor_run = commits_floor },
    { .name = NULL },
};
