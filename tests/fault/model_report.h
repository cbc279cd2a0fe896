/*
 * model_report - runs programs in processes of their own, shrinks those that fail, prints them as C programs, and keeps account.
 */
#ifndef MODEL_REPORT_H
#define MODEL_REPORT_H

#include "model_world.h"

typedef enum model_result { RESULT_GOOD, RESULT_SKIPPED, RESULT_FAILED } model_result;

/* A report that parent and child share. */
report *model_report_new(void);
/*
 * So many programs, of consecutive seeds, one after the other in one process, until one fails (the report's `done` counts those
 * before it). The report's rule and text say what went wrong, also for a crash, a sanitizer's report, a hang.
 */
model_result model_run_apart(const place *where, const program *first, int count, report *to, bool quiet);
/* The fewest, simplest steps that still fail. */
void model_shrink(const place *where, program *p, report *to);
/* The program that failed, as C, on stderr; it was run with tracing. */
void model_print(const place *where, const program *p, report *to);
void model_coverage_add(coverage *to, const coverage *more);
/* Print what was tried how often; the number of pairs that were not tried. */
int model_coverage_print(const coverage *c, const place *where);

#endif
