/*
 * trace - debug output and captures of SQL.
 */
#include "engine/trace.h"

struct nxi_capture {
    nxi_capture *outer;
    nxi_arena arena;
    const char **list; /* of the host: it grows */
    size_t count, capacity;
    bool is_incomplete;
};

static void capture_free(nxi_trace *trace, nxi_capture *capture)
{
    if (capture == NULL)
        return;
    nxi_arena_fini(&capture->arena);
    if (capture->list != NULL)
        nxi_release(trace->memory, capture->list);
    nxi_release(trace->memory, capture);
}

void nxi_trace_init(nxi_trace *trace, nxi_memory *memory)
{
    *trace = (nxi_trace){ .memory = memory, .last = "" };
    nxi_buf_init(&trace->last_text, memory);
}

void nxi_trace_fini(nxi_trace *trace)
{
    while (trace->captures != NULL) {
        nxi_capture *capture = trace->captures;
        trace->captures = capture->outer;
        capture_free(trace, capture);
    }
    capture_free(trace, trace->ended);
    trace->ended = NULL;
    trace->last = "";
    nxi_buf_fini(&trace->last_text);
}

static void capture_add(nxi_trace *trace, nxi_capture *capture, const nxi_statement *statement)
{
    if (capture->count == capture->capacity) {
        size_t capacity = nxi_max_size(16, capture->capacity * 2);
        const char **list = nxi_resize(trace->memory, capture->list, capacity * sizeof(*list));
        if (list == NULL) {
            capture->is_incomplete = true;
            return;
        }
        capture->list = list;
        capture->capacity = capacity;
    }
    const char *text = nxi_arena_text(&capture->arena, statement->sql, statement->sql_size);
    if (text == NULL)
        capture->is_incomplete = true;
    else
        capture->list[capture->count++] = text;
}

void nxi_trace_show(nxi_trace *trace, const nxi_statement *statement, const nx_value *values, size_t count)
{
    trace->last = statement->sql;
    if (statement->id == 0) { /* it goes with its operation */
        nxi_buf_clear(&trace->last_text);
        nxi_buf_put(&trace->last_text, statement->sql, statement->sql_size);
        const char *text = nxi_buf_str(&trace->last_text);
        trace->last = text == NULL ? "" : text;
    }
    if (trace->captures != NULL)
        capture_add(trace, trace->captures, statement);
    if (trace->debug != NULL)
        trace->debug(trace->debug_context, statement->sql, trace->show_values ? values : NULL, trace->show_values ? count : 0);
}

void nxi_trace_show_slow(const nxi_trace *trace, const nxi_statement *statement, uint64_t elapsed_us)
{
    trace->slow(trace->slow_context, statement->sql, elapsed_us);
}

nx_status nxi_trace_capture_begin(nxi_trace *trace)
{
    nxi_capture *capture = nxi_zalloc(trace->memory, sizeof(*capture));
    if (capture == NULL)
        return NX_ENOMEM;
    nxi_arena_init(&capture->arena, trace->memory);
    capture->outer = trace->captures;
    trace->captures = capture;
    capture_free(trace, trace->ended);
    trace->ended = NULL;
    return NX_OK;
}

const char *const *nxi_trace_capture_end(nxi_trace *trace, size_t *ret_count)
{
    static const char *const nothing[1] = { NULL };
    nxi_capture *capture = trace->captures;
    *ret_count = 0;
    if (capture == NULL)
        return NULL;
    trace->captures = capture->outer;
    capture_free(trace, trace->ended);
    trace->ended = capture;
    if (capture->is_incomplete)
        return NULL;
    *ret_count = capture->count;
    return capture->list == NULL ? nothing : capture->list;
}
