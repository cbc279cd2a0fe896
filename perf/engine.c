/* engine - the measured side's entity, and the calls that every workload makes on the library. */
#include "engine.h"

#include <stdio.h>

NX_ENTITY_DEFINE(Event, PERF_EVENT, .table = "event")

bool perf_engine_good(const nx_completion *completion, const char *what)
{
    if (completion->status == NX_OK)
        return true;
    fprintf(stderr, "nextorm-perf: %s: %s: %s\n", what, nx_status_name(completion->status),
            completion->error != NULL ? completion->error->message : nx_status_text(completion->status));
    return false;
}

bool perf_engine_await(perf_job *job, nx_op op, const char *what)
{
    nx_completion completion = nx_await(job->loop, op);
    return perf_engine_good(&completion, what);
}

bool perf_engine_queued(perf_job *job, nx_op op, const char *what)
{
    if (op.slot != 0 || op.generation != 0)
        return true;
    (void)perf_engine_await(job, op, what);
    return false;
}

bool perf_engine_open(perf_job *job)
{
    if (job->options->floor_only)
        return true;
    nx_bind_options options = job->provider->bind_options(&job->place);
    job->db = nx_db_new(job->loop, NX_ENTITIES(Event));
    if (job->db == NULL) {
        fprintf(stderr, "nextorm-perf: nx_db_new: out of memory\n");
        return false;
    }
    return perf_engine_await(job, nx_bind(job->db, job->provider->name, &options, NULL), "nx_bind") &&
           perf_engine_await(job, nx_generate_mapping(job->db, NX_CREATE_TABLES, NULL), "nx_generate_mapping");
}

void perf_engine_close(perf_job *job)
{
    nx_db_free(job->db);
    job->db = NULL;
}

bool perf_engine_warm(perf_job *job)
{
    nx_session *session = nx_session_begin(job->loop, NULL);
    Event *event = session != NULL ? nx_new(session, Event) : NULL;
    bool ok = event != NULL;

    if (ok) {
        perf_event_set(event, &job->task.items[0]);
        ok = perf_engine_await(job, nx_session_end(session, NULL), "nx_session_end");
    }
    nx_session_free(session);
    return ok && perf_engine_await(job, nx_delete_all(nx_select(job->db, Event), NULL), "nx_delete_all");
}

void perf_engine_count_begin(perf_job *job)
{
    job->before = nx_loop_stats_get(job->loop);
}

void perf_engine_count_end(perf_job *job, perf_sample *sample)
{
    nx_loop_stats now = nx_loop_stats_get(job->loop);
    sample->host_allocs += now.host_allocs - job->before.host_allocs;
    sample->enters += now.enters - job->before.enters;
}

void perf_engine_latencies(perf_job *job, perf_sample *sample)
{
    if (job->latencies_us == NULL)
        return;
    sample->extra[0] = perf_percentile(job->latencies_us, job->ops, 50);
    sample->extra[1] = perf_percentile(job->latencies_us, job->ops, 99);
}
