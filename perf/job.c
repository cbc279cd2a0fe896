/* job - one workload on one provider: what all its runs share. */
#include "job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t scaled_ops(const perf_workload *workload, uint64_t rows)
{
    if (workload->ops == 0)
        return rows;
    double ops = (double)workload->ops * (double)rows / (double)workload->rows;
    return ops < 1 ? 1 : (uint64_t)ops;
}

bool perf_job_init(perf_job *job, const perf_workload *workload, const perf_options *options)
{
    *job = (perf_job){ .workload = workload, .options = options, .provider = perf_provider_find(options->provider) };
    job->floors = job->provider->floors;
    job->rows = options->rows != 0 ? options->rows : workload->rows;
    job->ops = scaled_ops(workload, job->rows);
    job->place.connections = workload->connections > 0 ? workload->connections : 1;
    job->task.depth = workload->in_flight > 0 ? workload->in_flight / job->place.connections : 1;
    if (workload->synchronous != NULL && (strcmp(workload->synchronous, "full") == 0 || strcmp(workload->synchronous, "on") == 0))
        job->place.synchronous = NX_SYNCHRONOUS_FULL;
    if (workload->with_latencies) {
        job->latencies_us = calloc(job->ops, sizeof(*job->latencies_us));
        job->task.latencies_us = job->latencies_us;
        if (job->latencies_us == NULL) {
            fprintf(stderr, "nextorm-perf: out of memory\n");
            return false;
        }
    }
    if (!job->provider->locate(&job->place, options->directory))
        return false;
    nx_error error;
    if (nx_loop_open(NULL, &job->loop, &error) != NX_OK) {
        fprintf(stderr, "nextorm-perf: nx_loop_open: %s\n", error.message);
        return false;
    }
    return workload->prepare(job);
}

void perf_job_free(perf_job *job)
{
    nx_db_free(job->db);
    nx_loop_close(job->loop);
    if (job->connection != NULL)
        job->provider->disconnect(job->connection);
    if (job->place.path[0] != '\0')
        job->provider->remove(&job->place);
    free(job->task.items);
    free(job->task.texts);
    free(job->task.views);
    free(job->keys);
    free(job->latencies_us);
    free(job->rows_made);
}

bool perf_job_floor(perf_job *job, perf_sample *ret_sample)
{
    return job->floors[job->workload->floor](job->connection, &job->task, ret_sample);
}

bool perf_job_floor_fresh(perf_job *job, uint64_t rows, perf_sample *ret_sample)
{
    if (!job->provider->create(&job->place, true, rows))
        return false;
    job->connection = job->provider->connect(&job->place);
    bool ok = job->connection != NULL && perf_job_floor(job, ret_sample) &&
              job->provider->read_sum(job->connection, &ret_sample->stored);
    job->provider->disconnect(job->connection);
    job->connection = NULL;
    for (uint64_t n = 0; ok && n < job->task.count; n++)
        perf_sum_item(&ret_sample->sum, &job->task.items[n]);
    return ok;
}

bool perf_job_read_back(perf_job *job, perf_sum *ret_sum)
{
    void *connection = job->provider->connect(&job->place);
    if (connection == NULL)
        return false;
    bool ok = job->provider->read_sum(connection, ret_sum);
    job->provider->disconnect(connection);
    return ok;
}

static bool wrong(const perf_job *job, const char *side, const char *what, uint64_t is, uint64_t should)
{
    fprintf(stderr, "nextorm-perf: %s, %s side: wrong answer: %s is %" PRIu64 ", should be %" PRIu64 "\n", job->workload->name,
            side, what, is, should);
    return false;
}

bool perf_job_check(const perf_job *job, const char *side, const perf_sample *sample)
{
    const perf_sum *sum = &sample->sum, *stored = &sample->stored, *expected = &job->expected;

    if (sum->count != expected->count)
        return wrong(job, side, "number of rows", sum->count, expected->count);
    if (sum->content != expected->content)
        return wrong(job, side, "checksum of the rows", sum->content, expected->content);
    if (job->workload->keys_known && sum->keyed != expected->keyed)
        return wrong(job, side, "checksum of the rows and keys", sum->keyed, expected->keyed);
    if (stored->count == 0)
        return true;
    if (stored->count != expected->count)
        return wrong(job, side, "number of rows stored", stored->count, expected->count);
    if (stored->content != expected->content)
        return wrong(job, side, "checksum of the rows stored", stored->content, expected->content);
    if (stored->keyed != sum->keyed)
        return wrong(job, side, "checksum of the rows and keys stored", stored->keyed, sum->keyed);
    return true;
}
