/* engine - the measured side's entity, and the calls that every workload makes on the library. */
#ifndef PERF_ENGINE_H
#define PERF_ENGINE_H

#include "job.h"

#define PERF_EVENT(FIELD, E)                                                                                                     \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, a)                                                                                                        \
    FIELD(E, REQ, f64, b)                                                                                                        \
    FIELD(E, REQ, text, c)
NX_ENTITY_DECLARE(Event, PERF_EVENT)

/* Bind job->db to the job's place and map Event, creating its table if need be; nothing with --floor-only. False after a failure,
 * which was printed. */
bool perf_engine_open(perf_job *job);
/* Close and free job->db. */
void perf_engine_close(perf_job *job);

/* True when the completion is good; else its error is printed with `what` went wrong. */
bool perf_engine_good(const nx_completion *completion, const char *what);
/* Await one operation of which only success matters. */
bool perf_engine_await(perf_job *job, nx_op op, const char *what);
/* True when an operation was queued; else the reason is printed. */
bool perf_engine_queued(perf_job *job, nx_op op, const char *what);

static inline void perf_sum_event(perf_sum *sum, const Event *event)
{
    perf_sum_add(sum, event->id, event->a, event->b, event->c.data, event->c.size);
}
/* The item's contents into a row that keeps pointing at the item's text. */
static inline void perf_event_set(Event *event, const perf_item *item)
{
    event->a = item->a;
    event->b = item->b;
    event->c = nx_strn(item->c, PERF_TEXT_SIZE);
}

/*
 * Write one row in a session and delete it again: what happens once for each database, such as preparing the statement,
 * is over then, as it is for the floor when its time begins.
 */
bool perf_engine_warm(perf_job *job);

/* p50 and p99 of the job's latencies, if it has them, into the sample's extras. */
void perf_engine_latencies(perf_job *job, perf_sample *sample);

/* Between begin and end, what the loop and its workers asked of the host is counted into the sample. */
void perf_engine_count_begin(perf_job *job);
void perf_engine_count_end(perf_job *job, perf_sample *sample);

#endif
