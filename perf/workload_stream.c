/*
 * workload_stream - stream: a large table read in bounded memory.
 *
 * The engine's side runs in a process of its own, this program started again with --stream-child, so that the memory
 * of other workloads does not count; max_rss_mib is its high-water mark at the end, all of the process included.
 * Both sides touch every field of every row inside the time that counts.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"

extern char **environ;

static bool prepare(perf_job *job)
{
    job->task.count = job->rows;
    job->expected = perf_items_sum(job->rows);
    return job->provider->create(&job->place, true, job->rows);
}

/* ---------------------------------------------------------------------------- in the child */

/* High-water mark of resident memory in KiB, from /proc/self/status; 0: unknown. */
static uint64_t resident_peak_kib(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    uint64_t kib = 0;

    if (file == NULL)
        return 0;
    while (kib == 0 && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "VmHWM: %" SCNu64, &kib) != 1)
            kib = 0;
    (void)fclose(file);
    return kib;
}

static bool stream(perf_job *job, perf_sample *ret_sample)
{
    perf_clock start = perf_clock_now();
    nx_op op = nx_stream(nx_select(job->db, Event), NULL, NULL);
    if (!perf_engine_queued(job, op, "nx_stream"))
        return false;
    for (bool more = true, first = true; more; first = false) {
        const nx_completion *batch;
        if (nx_wait(job->loop, &batch) != NX_OK || !perf_engine_good(batch, "nx_stream"))
            return false;
        for (int64_t n = 0; n < batch->count; n++)
            perf_sum_event(&ret_sample->sum, batch->rows[n]);
        more = (batch->flags & NX_MORE) != 0;
        nx_seen(job->loop, batch);
        if (first)
            perf_engine_count_begin(job);
    }
    ret_sample->time = perf_clock_since(start);
    perf_engine_count_end(job, ret_sample);
    return true;
}

int perf_stream_child(const perf_options *options, const char *path)
{
    perf_job job = { .options = options, .provider = perf_provider_find(options->provider) };
    perf_sample sample = { 0 };
    nx_error error;

    (void)snprintf(job.place.path, sizeof(job.place.path), "%s", path);
    job.place.connections = 1;
    if (nx_loop_open(NULL, &job.loop, &error) != NX_OK) {
        fprintf(stderr, "nextorm-perf: nx_loop_open: %s\n", error.message);
        return EXIT_FAILURE;
    }
    bool ok = perf_engine_open(&job) && stream(&job, &sample);
    if (ok)
        printf("%.9f %.9f %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", sample.time.wall_s,
               sample.time.cpu_s, sample.host_allocs, sample.enters, sample.sum.count, sample.sum.content, sample.sum.keyed,
               resident_peak_kib());
    perf_engine_close(&job);
    nx_loop_close(job.loop);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --------------------------------------------------------------------------- in the parent */

/* Start the child with its standard output in a pipe. */
static bool spawn_child(perf_job *job, int output, pid_t *ret_pid)
{
    char name[] = "nextorm-perf", provider[] = "--provider", child[] = "--stream-child", program[] = "/proc/self/exe";
    char *provider_name = strdup(job->provider->name);
    char *arguments[] = { name, provider, provider_name, child, job->place.path, NULL };
    posix_spawn_file_actions_t actions;

    if (provider_name == NULL || posix_spawn_file_actions_init(&actions) != 0) {
        free(provider_name);
        return false;
    }
    bool ok = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) == 0 &&
              posix_spawn(ret_pid, program, &actions, NULL, arguments, environ) == 0;
    (void)posix_spawn_file_actions_destroy(&actions);
    free(provider_name);
    return ok;
}

static bool parse_child(FILE *file, perf_sample *sample)
{
    char line[512];
    uint64_t kib = 0;

    if (fgets(line, sizeof(line), file) == NULL)
        return false;
    int fields = sscanf(line, "%lf %lf %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                        &sample->time.wall_s, &sample->time.cpu_s, &sample->host_allocs, &sample->enters, &sample->sum.count,
                        &sample->sum.content, &sample->sum.keyed, &kib);
    sample->extra[0] = (double)kib / 1024;
    return fields == 8;
}

static bool stream_engine(perf_job *job, perf_sample *ret_sample)
{
    int ends[2], status = 0;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    bool ok = spawn_child(job, ends[1], &pid);
    (void)close(ends[1]);
    FILE *file = fdopen(ends[0], "r");
    if (ok) {
        ok = file != NULL && parse_child(file, ret_sample);
        ok = waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS && ok;
    }
    if (file != NULL)
        (void)fclose(file);
    else
        (void)close(ends[0]);
    if (!ok)
        fprintf(stderr, "nextorm-perf: stream: the process that streams failed\n");
    return ok;
}

/* A connection of its own for each run: the engine's process starts cold too. */
static bool stream_floor(perf_job *job, perf_sample *ret_sample)
{
    job->connection = job->provider->connect(&job->place);
    bool ok = job->connection != NULL && perf_job_floor(job, ret_sample);
    job->provider->disconnect(job->connection);
    job->connection = NULL;
    return ok;
}

const perf_workload perf_workloads_stream[] = {
    { .name = "stream",
      .rows = 2000000,
      .keys_known = true,
      .floor = PERF_FLOOR_STREAM,
      .prepare = prepare,
      .engine_run = stream_engine,
      .floor_run = stream_floor,
      .engine_extra = { "max_rss_mib" } },
    { .name = NULL },
};
