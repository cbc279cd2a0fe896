/*
 * trace - show the SQL that is sent: to a callback, into captures, the last one.
 *
 * The database sets the callbacks' fields directly. Costs a pointer store per statement while nothing is asked for.
 * Threads: the loop's thread only.
 */
#ifndef NXI_TRACE_H
#define NXI_TRACE_H

#include "engine/buf.h"
#include "engine/statement.h"
#include "nextorm/database.h"

/* SQL texts collected between a begin and its end. */
typedef struct nxi_capture nxi_capture;

typedef struct nxi_trace {
    nxi_memory *memory;
    nx_sql_callback debug;        /* NULL: off */
    void *debug_context;
    bool show_values;
    nx_slow_callback slow;        /* NULL: off */
    void *slow_context;
    uint64_t slow_threshold_us;
    nxi_capture *captures;        /* open ones, the innermost first */
    nxi_capture *ended;           /* the one that ended last: its list is still valid */
    const char *last;             /* SQL sent last */
    nxi_buf last_text;            /* of a statement that does not live as long as the database */
} nxi_trace;

void nxi_trace_init(nxi_trace *trace, nxi_memory *memory);
void nxi_trace_fini(nxi_trace *trace);

void nxi_trace_show(nxi_trace *trace, const nxi_statement *statement, const nx_value *values, size_t count);
void nxi_trace_show_slow(const nxi_trace *trace, const nxi_statement *statement, uint64_t elapsed_us);

/* A statement is about to be sent. */
static inline void nxi_trace_sql(nxi_trace *trace, const nxi_statement *statement, const nx_value *values, size_t count)
{
    if (NXI_LIKELY(statement->id != 0 && trace->debug == NULL && trace->captures == NULL))
        trace->last = statement->sql;
    else
        nxi_trace_show(trace, statement, values, count);
}
/* It ran that long. */
static inline void nxi_trace_done(const nxi_trace *trace, const nxi_statement *statement, uint64_t elapsed_us)
{
    if (NXI_UNLIKELY(trace->slow != NULL && elapsed_us > trace->slow_threshold_us))
        nxi_trace_show_slow(trace, statement, elapsed_us);
}

/* Never NULL. */
static inline const char *nxi_trace_last(const nxi_trace *trace) { return trace->last; }

NX_MUST_CHECK nx_status nxi_trace_capture_begin(nxi_trace *trace);
/* The innermost capture's texts, in order; valid until the next begin. NULL, 0: none is open, or memory did not hold them all. */
const char *const *nxi_trace_capture_end(nxi_trace *trace, size_t *ret_count);

#endif
