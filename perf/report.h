/* report - results as JSON lines, or as a table for people. */
#ifndef PERF_REPORT_H
#define PERF_REPORT_H

#include "rounds.h"

/* One JSON object on a line of its own. False: out of memory or standard output is gone. */
bool perf_report_json(const perf_result *result);
void perf_report_table_head(const char *provider, const char *version, uint64_t rounds);
void perf_report_table_row(const perf_result *result);

#endif
