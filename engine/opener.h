/*
 * opener - threads for what blocks and is rare: opening, closing and interrupting connections.
 *
 * Ownership: a job is the caller's struct; it must stay until its `done`.
 * Threads:   start, collect, has_news and free are the loop's; `run` is called on another thread, `done` from collect or free.
 */
#ifndef NXI_OPENER_H
#define NXI_OPENER_H

#include "engine/core.h"

typedef struct nxi_openers nxi_openers;
typedef struct nxi_job {
    struct nxi_job *next;
    void (*run)(struct nxi_job *job);
    void (*done)(struct nxi_job *job);
} nxi_job;

/* Threads are made when they are needed, at most threads_max. NULL: out of memory. */
nxi_openers *nxi_openers_new(nxi_core *core, size_t threads_max);
/* False: not a single thread could be made; the job was not taken. */
NX_MUST_CHECK bool nxi_openers_start(nxi_openers *openers, nxi_job *job);
bool nxi_openers_has_news(const nxi_openers *openers);
/* Call `done` of all jobs that were run. */
void nxi_openers_collect(nxi_openers *openers);
/* Wait until one has been run, unless there are none. */
void nxi_openers_wait(nxi_openers *openers);
/* All jobs must be done. NULL is allowed. */
void nxi_openers_free(nxi_openers *openers);

#endif
