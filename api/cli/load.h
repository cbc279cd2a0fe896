/*
 * load - rows into the table through the bulk call; what it refuses into the rejects file.
 */
#ifndef NEXTORM_CLI_LOAD_H
#define NEXTORM_CLI_LOAD_H

#include "api/cli/flight.h"
#include "api/cli/plan.h"
#include "api/cli/rejects.h"

typedef struct load_counts {
    uint64_t loaded, ignored, updated, rejected;
} load_counts;

typedef struct load {
    target *into;
    const plan *plan;
    rejects *rejects;
    nx_bulk_options options;
    nx_bulk *bulk;
    size_t unlooked_bytes; /* given since the last look at what the bulk did */
    nx_op submitted;     /* the last batch that the loop was told to start */
    flight flight;
    load_counts counts;  /* over all bulks of the load */
    nx_bulk_counts seen; /* of the bulk, already in `counts` */
    uint32_t batch_rows; /* as asked for */
    uint64_t record_count, record_bytes; /* seen so far; at first the plan's */
    bool failed;         /* a message was printed */
} load;

/* False, here and below: the load cannot go on, a message was printed. load_close is due in any case. */
bool load_open(load *self, target *into, const plan *what, const ingest_options *options, rejects *aside);
/* One value for each column of the plan; the record is kept until the row is answered. */
bool load_row(load *self, const nx_value *values, const record *from);
/* Write what is left and wait for it; also after a failure, so that what was written is counted. */
bool load_finish(load *self);
void load_close(load *self);

#endif
