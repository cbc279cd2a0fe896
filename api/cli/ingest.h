/*
 * ingest - a file into a table: source, sample, plan, load.
 */
#ifndef NEXTORM_CLI_INGEST_H
#define NEXTORM_CLI_INGEST_H

#include "api/cli/options.h"

/* The exit status. */
int ingest_run(const ingest_options *options);

#endif
