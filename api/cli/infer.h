/*
 * infer - the type of a column, guessed from a sample of its fields.
 *
 * Only what loses nothing counts as a number: 007, +1 and numbers with more digits than a double holds stay text.
 */
#ifndef NEXTORM_CLI_INFER_H
#define NEXTORM_CLI_INFER_H

#include "api/cli/source.h"

/* Zero-initialised. */
typedef struct guess {
    unsigned excluded; /* bit for each candidate that a field did not fit */
    bool seen;         /* a field that was not empty */
    bool nested;       /* a JSON object or array */
} guess;

void guess_add(guess *about, const field *example);
/* NX_TYPE_text when nothing better fits, or when all fields were empty. */
nx_type guess_type(const guess *about);

#endif
