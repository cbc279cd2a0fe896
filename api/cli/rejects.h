/*
 * rejects - the file of the records that were not loaded.
 *
 * One line for each: line number, tab, reason, tab, the record. In reason and record a backslash, LF, CR and NUL
 * are written as \\ \n \r \0 (in the reason a tab as \t), so that a record cannot look like two.
 */
#ifndef NEXTORM_CLI_REJECTS_H
#define NEXTORM_CLI_REJECTS_H

#include "api/cli/common.h"

#include <stdio.h>

typedef struct rejects {
    char *path;
    FILE *file;
    bool removable; /* an ordinary file: it is removed when nothing was rejected */
    bool failed;    /* a message was printed */
    uint64_t count;
} rejects;

/*
 * Create the file: `path`, or when it is NULL the name of the input with ".rejects" behind it, beside the input
 * or, where nothing may be written there, in the working directory. False: a message was printed.
 */
bool rejects_open(rejects *self, const char *path, const char *input);
/* False: it could not be written; a message was printed. */
bool rejects_add(rejects *self, uint64_t line, const char *reason, nx_text raw);
/* Close it, or remove it when it is empty. False: a message was printed. */
bool rejects_close(rejects *self);

#endif
