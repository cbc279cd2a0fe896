/*
 * sample - the first records of the input, kept to guess types from and then given out again.
 */
#ifndef NEXTORM_CLI_SAMPLE_H
#define NEXTORM_CLI_SAMPLE_H

#include "api/cli/source.h"

/* Whichever comes first ends the sample. */
enum { SAMPLE_RECORDS_MAX = 1000, SAMPLE_BYTES_MAX = 2 << 20 };

typedef struct sample {
    record *records;
    size_t count, capacity;
    size_t given;        /* by sample_next */
    source_status ended; /* SOURCE_RECORD: there is more behind the sample */
    record header;       /* with take_header: the first record, not in `records` */
    bool has_header;
} sample;

/* False: a message was printed. sample_free is due in any case. */
bool sample_take(sample *self, source *from, bool take_header);
void sample_free(sample *self);

/* The records of the sample, then those behind it; as source.next. */
source_status sample_next(sample *self, source *from, const record **ret_record);

#endif
