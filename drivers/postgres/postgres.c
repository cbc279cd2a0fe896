/*
 * postgres - the connection's queues, and the driver's table.
 */
#include "drivers/postgres/postgres.h"

#include "drivers/postgres/dialect.h"

/* ------------------------------------------------------------------------------ units */

static bool grow_units(nxi_pg *pg)
{
    size_t capacity = pg->unit_capacity == 0 ? 64 : pg->unit_capacity * 2;
    nxi_pg_unit *units = nxi_zalloc(pg->memory, capacity * sizeof(*units));

    if (units == NULL)
        return false;
    for (size_t i = 0; i < pg->unit_count; i++)
        units[i] = pg->units[(pg->unit_first + i) & (pg->unit_capacity - 1)];
    nxi_release(pg->memory, pg->units);
    pg->units = units;
    pg->unit_first = 0;
    pg->unit_capacity = capacity;
    return true;
}

nxi_pg_unit *nxi_pg_expect(nxi_pg *pg, nxi_pg_unit_kind kind, nxi_pg_job *job, nxi_pg_prepared *prepared)
{
    nxi_pg_unit *unit;

    if (pg->unit_count == pg->unit_capacity && !grow_units(pg))
        return NULL;
    unit = &pg->units[(pg->unit_first + pg->unit_count++) & (pg->unit_capacity - 1)];
    *unit = (nxi_pg_unit){ .kind = kind, .job = job, .prepared = prepared };
    if (job == NULL)
        return unit;
    unit->step = (uint32_t)job->step; /* whoever appends something else says so */
    job->units++;
    return unit;
}

const nxi_pg_unit *nxi_pg_last_unit(const nxi_pg *pg)
{
    NX_ASSERT(pg->unit_count > 0);
    return &pg->units[(pg->unit_first + pg->unit_count - 1) & (pg->unit_capacity - 1)];
}

void nxi_pg_drop_front(nxi_pg *pg)
{
    nxi_pg_unit *unit = &pg->units[pg->unit_first];
    nxi_pg_job *job = unit->job;

    NX_ASSERT(pg->unit_count > 0);
    pg->unit_first = (pg->unit_first + 1) & (pg->unit_capacity - 1);
    pg->unit_count--;
    pg->key_at = 0;
    nxi_pg_prepared_done(pg, unit->prepared);
    if (job == NULL)
        return;
    job->units--;
    job->keys_pending -= unit->brings_keys;
    if (job->finished && job->units == 0)
        nxi_pg_job_release(pg, job);
}

/* ------------------------------------------------------------------------------ jobs */

static bool list_live(nxi_pg *pg, nxi_pg_job *job)
{
    if (pg->live_count == pg->live_capacity) {
        size_t capacity = pg->live_capacity == 0 ? 64 : pg->live_capacity * 2;
        nxi_pg_job **live = nxi_resize(pg->memory, pg->live, capacity * sizeof(*live));
        if (live == NULL)
            return false;
        pg->live = live;
        pg->live_capacity = capacity;
    }
    job->live_at = pg->live_count;
    pg->live[pg->live_count++] = job;
    return true;
}

nxi_pg_job *nxi_pg_job_new(nxi_pg *pg, nxi_request *request)
{
    nxi_pg_job *job = pg->spare_jobs;

    if (job != NULL)
        pg->spare_jobs = job->next;
    else
        job = nxi_zalloc(pg->memory, sizeof(*job));
    if (job == NULL)
        return NULL;
    memset(job, 0, offsetof(nxi_pg_job, error));
    job->request = request;
    if (request != NULL) {
        request->wire = job;
        job->ends_there = request->end == NXI_END_COMMIT;
    }
    if (list_live(pg, job))
        return job;
    job->next = pg->spare_jobs;
    pg->spare_jobs = job;
    return NULL;
}

void nxi_pg_job_release(nxi_pg *pg, nxi_pg_job *job)
{
    nxi_pg_job *moved = pg->live[--pg->live_count];

    if (pg->asking == job)
        pg->asking = NULL;
    pg->live[job->live_at] = moved;
    moved->live_at = job->live_at;
    job->next = pg->spare_jobs;
    pg->spare_jobs = job;
}

void nxi_pg_job_finish(nxi_pg *pg, nxi_pg_job *job, const nxi_sink *sink)
{
    nxi_request *request = job->request;

    NX_ASSERT(!job->finished);
    job->finished = true;
    job->request = NULL;
    job->dead = true;
    request->wire = NULL;
    if (job->units == 0)
        nxi_pg_job_release(pg, job);
    sink->finished(sink->context, request);
}

void nxi_pg_enqueue(nxi_pg *pg, nxi_pg_job *job)
{
    job->next = NULL;
    if (pg->queue_last != NULL)
        pg->queue_last->next = job;
    else
        pg->queue_first = job;
    pg->queue_last = job;
}

/* Its wave or its transaction is open: what came between would become a part of it. */
static bool is_under_way(const nxi_pg_job *job)
{
    return job->stage != NXI_PG_STAGE_START || job->careful_piece;
}

void nxi_pg_enqueue_first(nxi_pg *pg, nxi_pg_job *first, nxi_pg_job *last)
{
    nxi_pg_job **link = &pg->queue_first;

    if (*link != NULL && is_under_way(*link))
        link = &(*link)->next;
    if (*link == NULL)
        pg->queue_last = last;
    last->next = *link;
    *link = first;
}

void nxi_pg_dequeue(nxi_pg *pg)
{
    pg->queue_first = pg->queue_first->next;
    if (pg->queue_first == NULL)
        pg->queue_last = NULL;
}

static void remove_queued(nxi_pg *pg, nxi_pg_job *job)
{
    nxi_pg_job *before = NULL;

    for (nxi_pg_job *at = pg->queue_first; at != job; at = at->next)
        before = at;
    if (before == NULL) {
        nxi_pg_dequeue(pg);
        return;
    }
    before->next = job->next;
    if (pg->queue_last == job)
        pg->queue_last = before;
}

static bool is_queued(const nxi_pg *pg, const nxi_pg_job *job)
{
    const nxi_pg_job *at = pg->queue_first;

    while (at != NULL && at != job)
        at = at->next;
    return at != NULL;
}

/* Nothing of it is on its way or has to be taken back. */
static bool is_untouched(const nxi_pg *pg, const nxi_pg_job *job)
{
    return job->stage == NXI_PG_STAGE_START && job->units == 0 && !job->was_open && !job->is_explicit &&
           job->mode == NXI_PG_NORMAL && (job->is_read || job->retries == 0) && is_queued(pg, job);
}

static bool give_up(void *state, nxi_request *request, nxi_request *tombstone)
{
    nxi_pg *pg = state;
    nxi_pg_job *job = request->wire;

    NX_ASSERT(job != NULL && job->request == request);
    request->wire = NULL;
    bool must_end = job->ends_there && !job->is_implicit && request->begin == NXI_BEGIN_NONE;
    if (is_untouched(pg, job) && !must_end) {
        remove_queued(pg, job);
        nxi_pg_job_release(pg, job);
        return false;
    }
    tombstone->begin = request->begin; /* it may be begun again */
    tombstone->isolation = request->isolation;
    tombstone->deferrable = request->deferrable;
    job->dead = true;
    job->request = tombstone;
    tombstone->wire = job;
    return true;
}

static bool is_idle(const void *state)
{
    const nxi_pg *pg = state;

    return pg->unit_count == 0 && pg->queue_first == NULL && pg->status == 'I' && pg->partial.size == 0 && !pg->is_broken;
}

static bool is_quiet(const void *state)
{
    const nxi_pg *pg = state;

    return pg->unit_count == 0 && pg->queue_first == NULL && pg->partial.size == 0 && !pg->is_broken;
}

/* Reads may be sent again; the front is what the server is at, or was just now. */
static bool spares(void *state)
{
    nxi_pg *pg = state;
    const nxi_pg_job *running = NULL;

    for (size_t i = 0; i < pg->unit_count && running == NULL; i++)
        running = pg->units[(pg->unit_first + i) & (pg->unit_capacity - 1)].job;
    if (running == NULL || !running->dead || running->finished)
        return false;
    for (size_t i = 0; i < pg->live_count; i++) {
        const nxi_pg_job *job = pg->live[i];
        if (job->request != NULL && !job->dead && !job->is_read)
            return false;
    }
    pg->may_be_hit = true;
    return true;
}

/* An empty wave: a Sync, and its answer. */
static void begin_barrier(void *state)
{
    nxi_pg *pg = state;
    nxi_pg_job *job = nxi_pg_job_new(pg, NULL);

    if (job == NULL) {
        pg->is_broken = true; /* not idle any more: the connection will be closed */
        return;
    }
    nxi_pg_enqueue(pg, job);
}

/* ------------------------------------------------------------------------------ life */

void nxi_pg_init(nxi_pg *pg, const nx_bind_options *options, nxi_memory *memory)
{
    pg->memory = memory;
    pg->status = 'I';
    pg->statements_max = options->statements_max == 0 ? NXI_PG_STATEMENTS_DEFAULT : options->statements_max;
    pg->unnamed = options->pooler == NX_POOLER_TRANSACTION;
    nxi_buf_init(&pg->partial, memory);
    nxi_pg_prepared_init(pg);
}

static nx_status open_state(void *state, const nx_bind_options *options, nxi_memory *memory, int *ret_fd, nx_error *error)
{
    nxi_pg *pg = state;

    nxi_pg_init(pg, options, memory);
    return nxi_pg_link_open(&pg->link, options, memory, ret_fd, error);
}

static void close_state(void *state)
{
    nxi_pg *pg = state;

    if (pg->memory == NULL)
        return;
    pg->link.is_quiet = is_quiet(pg);
    nxi_pg_link_close(&pg->link, pg->memory);
    while (pg->cursors != NULL) {
        nxi_pg_cursor *next = pg->cursors->next;
        nxi_release(pg->memory, pg->cursors);
        pg->cursors = next;
    }
    while (pg->spare_jobs != NULL) {
        nxi_pg_job *next = pg->spare_jobs->next;
        nxi_release(pg->memory, pg->spare_jobs);
        pg->spare_jobs = next;
    }
    for (size_t i = 0; i < pg->live_count; i++)
        nxi_release(pg->memory, pg->live[i]);
    nxi_release(pg->memory, pg->live);
    nxi_release(pg->memory, pg->units);
    nxi_pg_prepared_fini(pg);
    nxi_pg_targets_fini(pg);
    nxi_release(pg->memory, pg->without_xmax);
    nxi_buf_fini(&pg->partial);
}

static nxi_filter *filter_of(void *state)
{
    return ((nxi_pg *)state)->link.tls;
}

static bool interrupt(void *state)
{
    return nxi_pg_link_interrupt(&((nxi_pg *)state)->link);
}

static size_t answered(const void *state, const nxi_request *request)
{
    const nxi_pg *pg = state;
    const nxi_pg_job *job = NULL;
    size_t steps;

    for (size_t i = 0; i < pg->live_count && job == NULL; i++)
        job = pg->live[i]->request == request ? pg->live[i] : NULL;
    if (job == NULL || job->has_error)
        return 0;
    if (job->mode == NXI_PG_CAREFUL)
        return job->careful_step; /* the commit has a wave of its own */
    steps = job->step;
    for (size_t i = 0; i < pg->unit_count; i++) {
        const nxi_pg_unit *unit = &pg->units[(pg->unit_first + i) & (pg->unit_capacity - 1)];
        bool matters = unit->kind != NXI_PG_UNIT_SYNC && unit->use != NXI_PG_FOR_NOTHING && unit->use != NXI_PG_FOR_COMMIT;
        if (unit->job == job && matters && unit->step < steps)
            steps = unit->step;
    }
    return steps;
}

static const nxi_wire wire = { .state_size = sizeof(nxi_pg),
                               .open = open_state,
                               .close = close_state,
                               .filter = filter_of,
                               .put = nxi_pg_put,
                               .fill = nxi_pg_fill,
                               .decode = nxi_pg_decode,
                               .is_idle = is_idle,
                               .give_up = give_up,
                               .interrupt = interrupt,
                               .spares = spares,
                               .settle = begin_barrier,
                               .is_quiet = is_quiet,
                               .ping = begin_barrier,
                               .answered = answered,
                               .notifies = true };

const nxi_driver nxi_driver_postgres = {
    .name = "postgres", .dialect = &nxi_pg_dialect, .check_options = nxi_pg_check_options, .wire = &wire
};
