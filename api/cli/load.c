/*
 * load - rows into the table through the bulk call.
 *
 * Design notes: the bulk call knows rows by number; `flight` keeps the line and the record of each until it is
 * answered. The bulk call bounds rows, not bytes. So that wide rows need no more memory than narrow ones, the rows of a
 * batch follow from the size of the records so far; and when those in flight grow too large all the same, the bulk
 * is ended early and a new one is begun.
 */
#include "api/cli/load.h"

#include <stdio.h>

enum {
    BATCH_BYTES = 4 << 20,
    FLIGHT_BYTES_MAX = 4 * BATCH_BYTES, /* one batch is written, one is filled */
    /* Rows, or bytes, between two looks at what the bulk did: a full batch starts early, answered rows leave. */
    LOOK_EVERY_ROWS = 64,
    LOOK_EVERY_BYTES = 256 << 10,
    REASON_SIZE = NX_ERROR_MESSAGE_SIZE + NX_ERROR_NAME_SIZE + 32
};

/* As many rows as asked for, unless records of the size seen so far would fill more than a batch's bytes. */
static uint32_t batch_rows(const load *self)
{
    uint64_t fitting = self->record_bytes == 0 ? UINT32_MAX : BATCH_BYTES * self->record_count / self->record_bytes;

    if (fitting >= self->batch_rows)
        return self->batch_rows;
    return fitting == 0 ? 1 : (uint32_t)fitting;
}

static bool begin(load *self)
{
    self->options.batch_rows = batch_rows(self);
    self->seen = (nx_bulk_counts){ .given = 0 };
    self->submitted = (nx_op){ .slot = 0 };
    flight_restart(&self->flight);
    self->bulk = nx_bulk_begin(self->into->db, self->plan->entity, &self->options);
    if (self->bulk == NULL) {
        complain("cannot begin the load: %s", nx_status_text(NX_ENOMEM));
        return false;
    }
    nx_status status = nx_bulk_columns(self->bulk, self->plan->handles, self->plan->count);
    if (status != NX_OK)
        complain("cannot begin the load: %s", nx_bulk_error(self->bulk)->message);
    return status == NX_OK;
}

bool load_open(load *self, target *into, const plan *what, const ingest_options *options, rejects *aside)
{
    *self = (load){ .into = into, .plan = what, .rejects = aside, .batch_rows = options->batch_rows };
    self->options = (nx_bulk_options){ .conflict = options->on_conflict, .bad_rows = NX_BAD_ROWS_SET_ASIDE };
    self->record_count = 1;
    self->record_bytes = what->record_bytes;
    if (options->on_conflict != NX_CONFLICT_ERROR) {
        self->options.conflict_key = what->key;
        self->options.conflict_key_count = what->key_count;
    }
    if (options->on_conflict == NX_CONFLICT_UPDATE) {
        self->options.update = what->update;
        self->options.update_count = what->update_count;
        /* With nothing but the key in the file there is nothing to write over. */
        if (what->update_count == 0)
            self->options.conflict = NX_CONFLICT_IGNORE;
    }
    return begin(self);
}

static bool reject(load *self, const nx_reject *rejected)
{
    flight_row *row = flight_find(&self->flight, rejected->row);
    const nx_error *error = &rejected->error;
    const char *message = error->message[0] != '\0' ? error->message : nx_status_text(error->status);
    char reason[REASON_SIZE];

    if (row == NULL || row->rejected) {
        complain("internal error: row %llu was rejected and is not in flight: %s", (unsigned long long)rejected->row, message);
        return false;
    }
    if (error->column[0] != '\0' && strstr(message, error->column) == NULL)
        snprintf(reason, sizeof(reason), "column \"%s\": %s", error->column, message);
    else
        snprintf(reason, sizeof(reason), "%s", message);
    row->rejected = true;
    self->counts.rejected++;
    return rejects_add(self->rejects, row->line, reason, flight_raw(&self->flight, row));
}

/* Take over what the bulk has answered. */
static bool collect(load *self)
{
    nx_bulk_counts now = nx_bulk_count(self->bulk);
    size_t count = 0;
    const nx_reject *rejected = nx_bulk_rejects(self->bulk, &count);
    uint64_t loaded = now.loaded - self->seen.loaded;
    uint64_t updated = now.updated - self->seen.updated;
    uint64_t ignored = now.ignored - self->seen.ignored;
    bool good = true;

    for (size_t i = 0; i < count; i++)
        good = reject(self, &rejected[i]) && good;
    self->counts.loaded += loaded;
    self->counts.updated += updated;
    self->counts.ignored += ignored;
    self->seen = now;
    flight_settle(&self->flight, loaded + updated + ignored);
    return good;
}

/* Only the first failure is told: those that follow are its consequences. */
static bool report(load *self, nx_status status, const nx_error *error)
{
    if (status == NX_OK)
        return true;
    bool is_unknown = error != NULL && error->outcome == NX_OUTCOME_UNKNOWN;

    if (!self->failed)
        complain("the load failed: %s%s", error != NULL && error->message[0] != '\0' ? error->message : nx_status_text(status),
                 is_unknown ? "; the rows of the last batch may have been written or not" : "");
    self->failed = true;
    return false;
}

/* Give back the completions of batches that nobody waited for. */
static bool drain(load *self)
{
    bool good = true;

    nx_for_each_completion (self->into->loop, done) {
        good = report(self, done->status, done->error) && good;
    }
    return good;
}

/* Wait for the batch in flight. */
static bool wait_for_batch(load *self)
{
    nx_completion done = nx_await(self->into->loop, nx_bulk_op(self->bulk));

    return report(self, done.status, done.error) && drain(self) && collect(self);
}

/* Let the worker begin with a full batch while the next one is read. */
static bool look(load *self)
{
    nx_op op = nx_bulk_op(self->bulk);

    self->unlooked_bytes = 0;
    if (op.slot != self->submitted.slot || op.generation != self->submitted.generation) {
        self->submitted = op;
        if (!report(self, nx_submit(self->into->loop), NULL) || !drain(self))
            return false;
    }
    return collect(self);
}

/* Also after a failure: what is in flight is waited for and counted. */
static bool end(load *self)
{
    nx_completion done = nx_await(self->into->loop, nx_bulk_end(self->bulk, NULL));
    bool good = drain(self);

    good = report(self, done.status, done.error) && good;
    good = collect(self) && good;
    if (good && !self->failed && flight_rows(&self->flight) > 0) {
        complain("internal error: %zu rows were neither loaded nor rejected", flight_rows(&self->flight));
        good = false;
    }
    nx_bulk_free(self->bulk);
    self->bulk = NULL;
    return good && !self->failed;
}

bool load_row(load *self, const nx_value *values, const record *from)
{
    uint64_t given;
    nx_status status;

    if (flight_bytes(&self->flight) >= FLIGHT_BYTES_MAX && !(end(self) && begin(self)))
        return false;
    given = nx_bulk_count(self->bulk).given;
    for (;;) {
        status = nx_bulk_values(self->bulk, values, self->plan->count);
        if (status != NX_EBUSY)
            break;
        if (!wait_for_batch(self))
            return false;
    }
    /* A row that was set aside at once was given too. */
    if (nx_bulk_count(self->bulk).given == given)
        return report(self, status, nx_bulk_error(self->bulk));
    flight_push(&self->flight, from->line, from->raw);
    self->record_count++;
    self->record_bytes += from->raw.size;
    self->unlooked_bytes += from->raw.size;
    return ((given + 1) % LOOK_EVERY_ROWS != 0 && self->unlooked_bytes < LOOK_EVERY_BYTES) || look(self);
}

bool load_finish(load *self)
{
    return self->bulk != NULL && end(self);
}

void load_close(load *self)
{
    nx_bulk_free(self->bulk);
    flight_free(&self->flight);
    self->bulk = NULL;
}
