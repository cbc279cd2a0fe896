/*
 * ingest - a file into a table: source, sample, plan, load.
 */
#include "api/cli/ingest.h"

#include "api/cli/load.h"
#include "api/cli/progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PROGRESS_EVERY = 256, /* records between two looks at the clock */
    REASON_SIZE = 400,
    EXCERPT_SIZE = 40
};

typedef struct run {
    const ingest_options *options;
    source *source;
    sample sample;
    target target;
    plan plan;
    rejects rejects;
    load load;
    progress progress;
    nx_value *values;
    uint64_t read;
    uint64_t misfits; /* rejected before they reached the load */
    bool planned;     /* the load began: there is a sum to print */
} run;

/* ------------------------------------------------------------------------- record to values */

/* The beginning of a value, for a reason; cut between two characters. */
static void excerpt(nx_text text, char *ret_text)
{
    size_t size = text.size < EXCERPT_SIZE ? text.size : EXCERPT_SIZE;

    while (size < text.size && size > 0 && ((unsigned char)text.data[size] & 0xC0) == 0x80)
        size--;
    memcpy(ret_text, text.data, size);
    memcpy(ret_text + size, size < text.size ? "..." : "", size < text.size ? 4 : 1);
}

static bool set_value(run *self, size_t place, const field *from, char *ret_reason)
{
    plan_column *column = &self->plan.columns[place];
    const char *problem;
    char beginning[EXCERPT_SIZE + 4];

    if (column->empty_is_null && from->kind == FIELD_PLAIN && from->text.size == 0) {
        self->values[place] = nx_null();
        return true;
    }
    problem = convert(column->type, from, &column->scratch, &self->values[place]);
    if (problem != NULL) {
        excerpt(from->text, beginning);
        snprintf(ret_reason, REASON_SIZE, "column \"%.128s\": \"%s\" %s (%s)", column->name, beginning, problem,
                 nx_type_name(column->type));
    }
    return problem == NULL;
}

static bool set_by_position(run *self, const record *from, char *ret_reason)
{
    if (from->field_count != self->plan.count) {
        snprintf(ret_reason, REASON_SIZE, "%zu fields, expected %zu", from->field_count, self->plan.count);
        return false;
    }
    for (size_t i = 0; i < from->field_count; i++) {
        if (!set_value(self, i, &from->fields[i], ret_reason))
            return false;
    }
    return true;
}

static bool set_by_name(run *self, const record *from, char *ret_reason)
{
    for (size_t i = 0; i < self->plan.count; i++)
        self->values[i] = nx_null();
    for (size_t i = 0; i < from->field_count; i++) {
        size_t place = plan_find(&self->plan, from->fields[i].name, i);

        if (place == self->plan.count) {
            snprintf(ret_reason, REASON_SIZE, "there is no column for the member \"%.128s\"", from->fields[i].name.data);
            return false;
        }
        if (!set_value(self, place, &from->fields[i], ret_reason))
            return false;
    }
    return true;
}

static bool set_values(run *self, const record *from, char *ret_reason)
{
    bool good = self->plan.by_name ? set_by_name(self, from, ret_reason) : set_by_position(self, from, ret_reason);

    for (size_t i = 0; good && i < self->plan.count; i++) {
        if (self->plan.columns[i].in_entity_key && self->values[i].type == NX_TYPE_null) {
            snprintf(ret_reason, REASON_SIZE, "column \"%.128s\": the key is empty", self->plan.columns[i].name);
            good = false;
        }
    }
    return good;
}

static bool take_record(run *self, const record *from)
{
    char reason[REASON_SIZE];
    const char *error = from->error;

    self->read++;
    if (error == NULL && !set_values(self, from, reason))
        error = reason;
    if (error == NULL)
        return load_row(&self->load, self->values, from);
    self->misfits++;
    return rejects_add(&self->rejects, from->line, error, from->raw);
}

/* ------------------------------------------------------------------------------------ phases */

/* False: a message was printed. A stop is no failure: it shows in stop_signal. */
static bool prepare(run *self)
{
    const ingest_options *options = self->options;

    self->source = options->format == FORMAT_NDJSON ? source_open_ndjson(options->input)
                                                    : source_open_csv(options->input, options->delimiter);
    if (self->source == NULL || !sample_take(&self->sample, self->source, options->header))
        return false;
    if (stop_signal != 0) {
        complain("stopped before the load began; nothing was written");
        return true;
    }
    if (!target_open(&self->target, options) || !plan_make(&self->plan, options, &self->sample, &self->target))
        return false;
    if (!rejects_open(&self->rejects, options->rejects, options->input) || !target_map(&self->target, self->plan.entity))
        return false;
    self->values = take(self->plan.count, sizeof(*self->values));
    self->planned = true;
    return load_open(&self->load, &self->target, &self->plan, options, &self->rejects);
}

static bool transfer(run *self)
{
    const lines *in = &self->source->in;
    source_status status = SOURCE_RECORD;
    bool good = true;

    while (good && stop_signal == 0) {
        const record *next = NULL;

        status = sample_next(&self->sample, self->source, &next);
        if (status != SOURCE_RECORD)
            break;
        good = take_record(self, next);
        if (self->read % PROGRESS_EVERY == 0)
            progress_step(&self->progress, self->read, lines_position(in), in->file_size);
    }
    /* Also after a read error: what was read is loaded. */
    good = load_finish(&self->load) && good;
    return good && status != SOURCE_FAILED;
}

/* The sum that has to hold; false when it does not, which was told. */
static bool print_sum(const run *self, bool good)
{
    const load_counts *counts = &self->load.counts;
    uint64_t rejected = counts->rejected + self->misfits;
    uint64_t sum = counts->loaded + counts->ignored + counts->updated + rejected;

    printf("read %llu = loaded %llu + ignored %llu + updated %llu + rejected %llu", (unsigned long long)self->read,
           (unsigned long long)counts->loaded, (unsigned long long)counts->ignored, (unsigned long long)counts->updated,
           (unsigned long long)rejected);
    if (!good && sum < self->read)
        printf(" + not loaded %llu", (unsigned long long)(self->read - sum));
    putchar('\n');
    if (good && sum != self->read) {
        complain("internal error: the sum does not hold: %llu read, %llu accounted for", (unsigned long long)self->read,
                 (unsigned long long)sum);
        return false;
    }
    return true;
}

static int finish(run *self, bool good)
{
    uint64_t rejected = self->load.counts.rejected + self->misfits;
    bool arguments_wrong = self->plan.arguments_wrong || self->target.arguments_wrong;

    if (self->planned) {
        progress_end(&self->progress, self->read);
        good = print_sum(self, good) && good;
    }
    if (self->planned && rejected > 0)
        fprintf(stderr, "%llu rejected, see %s\n", (unsigned long long)rejected, self->rejects.path);
    load_close(&self->load);
    good = rejects_close(&self->rejects) && good;
    sample_free(&self->sample);
    source_close(self->source);
    target_close(&self->target);
    plan_free(&self->plan);
    free(self->values);
    if (fflush(stdout) != 0) {
        complain("cannot write to standard output: %s", strerrordesc_np(errno));
        good = false;
    }
    if (!good)
        return arguments_wrong ? STATUS_USAGE : STATUS_FAILED;
    if (stop_signal != 0)
        return STATUS_SIGNAL_BASE + stop_signal;
    return rejected > 0 ? STATUS_REJECTS : STATUS_OK;
}

int ingest_run(const ingest_options *options)
{
    run *self = take(1, sizeof(*self));
    bool good;
    int status;

    self->options = options;
    progress_start(&self->progress, options->quiet);
    good = prepare(self);
    if (good && stop_signal == 0)
        good = transfer(self);
    status = finish(self, good);
    free(self);
    return status;
}
