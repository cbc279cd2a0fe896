/*
 * job - one workload on one provider: what all its runs share, and the table of workloads.
 *
 * A workload is prepared once, then its engine side and its floor side run in turns. Each run leaves a sample;
 * rows that are read or written are proved by the sums in it, outside of the time that counts.
 */
#ifndef PERF_JOB_H
#define PERF_JOB_H

#include "provider.h"

typedef struct perf_options {
    const char *provider;
    const char *workload;  /* a name, or "all" */
    const char *directory; /* where databases are made */
    const char *url;       /* of a server; NULL: one of our own */
    uint64_t rounds;
    uint64_t rows; /* 0: each workload's own number */
    bool json;
    bool floor_only; /* the engine is not run */
} perf_options;

typedef struct perf_workload perf_workload;

/* Where a workload makes sense. */
typedef enum perf_reach { PERF_EVERYWHERE, PERF_EMBEDDED, PERF_SERVERS } perf_reach;

typedef struct perf_job {
    const perf_workload *workload;
    const perf_provider *provider;
    const perf_options *options;
    perf_place place;
    uint64_t rows;                /* in the table, or written */
    uint64_t ops;                 /* what times are divided by */
    nx_loop *loop;                /* one for all rounds: a program has its loop for long */
    nx_db *db;                    /* open only for as long as the workload wants */
    void *connection;             /* the floor's, as long as the workload wants */
    const perf_floor_run *floors; /* those that run: by hand, or through the client library */
    perf_task task;
    int64_t *keys;        /* behind task.keys */
    double *latencies_us; /* behind task.latencies_us; room for ops of them, where the workload wants them */
    void *rows_made;      /* the workload's own array; freed with the job */
    perf_sum expected;    /* set by prepare */
    const char *method;   /* of the floor; NULL: it has but one */
    nx_loop_stats before;
} perf_job;

typedef bool (*perf_job_run)(perf_job *job, perf_sample *ret_sample);

struct perf_workload {
    const char *name;
    perf_reach reach;
    /* A second object of the same name differs in one of these; 0 and NULL: not reported. */
    uint32_t in_flight;
    uint16_t connections;    /* of a server; 0: 1 */
    const char *synchronous; /* "full" and "on" wait for the disk, others do not */
    bool with_latencies;     /* times of single operations are measured, p50 and p99 are among the extras */
    uint64_t rows;           /* default */
    uint64_t ops;            /* default for `rows` rows, scaled with --rows; 0: as many as rows, which is then what is reported */
    bool keys_known;         /* the keys of the rows in hand are checked, not only that they are those of the rows stored */
    perf_floor_kind floor;
    bool (*prepare)(perf_job *job);
    perf_job_run engine_run;
    perf_job_run floor_run;
    const char *engine_extra[PERF_EXTRAS_MAX + 1]; /* names of sample.extra, up to NULL */
    const char *floor_extra[PERF_EXTRAS_MAX + 1];
    const char *library_extra[PERF_EXTRAS_MAX + 1];
};

/* All workloads, up to one without a name. Each file has its own list. */
extern const perf_workload perf_workloads_write[];
extern const perf_workload perf_workloads_read[];
extern const perf_workload perf_workloads_get[];
extern const perf_workload perf_workloads_commits[];
extern const perf_workload perf_workloads_stream[];

/* False after a failure, which was printed. Free in either case. */
bool perf_job_init(perf_job *job, const perf_workload *workload, const perf_options *options);
void perf_job_free(perf_job *job);

/* Run the floor of the workload on an open connection. */
bool perf_job_floor(perf_job *job, perf_sample *ret_sample);
/* The same in a new database that has the table and `rows` rows, from task.items; they and what is stored go into the sums. */
bool perf_job_floor_fresh(perf_job *job, uint64_t rows, perf_sample *ret_sample);
/* Read the table of the job's place by hand. */
bool perf_job_read_back(perf_job *job, perf_sum *ret_sum);
/* False, and a message, when the samples do not show the expected rows. */
bool perf_job_check(const perf_job *job, const char *side, const perf_sample *sample);

/* The child process behind the stream workload, see workload_stream.c; returns an exit status. */
int perf_stream_child(const perf_options *options, const char *path);

#endif
