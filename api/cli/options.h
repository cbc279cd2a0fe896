/*
 * options - the arguments of `nextorm ingest`.
 */
#ifndef NEXTORM_CLI_OPTIONS_H
#define NEXTORM_CLI_OPTIONS_H

#include "api/cli/common.h"

typedef enum ingest_format { FORMAT_BY_NAME, FORMAT_CSV, FORMAT_NDJSON } ingest_format;

typedef struct ingest_options {
    const char *input;     /* a path, or "-" */
    const char *provider;  /* a constant */
    const char *path;      /* what stands behind the provider's colon: a path, or a server's URI or connection string */
    const char *table;
    const char *columns;   /* NULL: not given */
    const char *key;       /* NULL: not given */
    const char *rejects;   /* NULL: not given */
    ingest_format format;  /* not FORMAT_BY_NAME after parsing */
    nx_conflict on_conflict;
    uint32_t batch_rows;
    char delimiter;
    bool header, quiet;
} ingest_options;

/* Ends the process on --help, and with STATUS_USAGE and a message when the arguments are wrong. */
void options_parse(int argc, char **argv, ingest_options *ret_options);

/* The parts, without messages: false when the text is no such thing. */
bool options_delimiter(const char *text, char *ret_delimiter);
bool options_batch(const char *text, uint32_t *ret_rows);
/* NULL and the parts, or the problem, which quotes nothing: there may be a password in it. */
const char *options_url(const char *url, const char **ret_provider, const char **ret_path);

#endif
