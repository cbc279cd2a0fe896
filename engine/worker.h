/*
 * worker - a thread that executes requests, and the boxes through which they come and go.
 *
 * Ownership: a request belongs to the worker from push until collect returns it.
 * Threads:   functions here are the loop's; the nxi_port_* functions of driver.h are the worker's.
 */
#ifndef NXI_WORKER_H
#define NXI_WORKER_H

#include "drivers/driver.h"
#include "engine/core.h"

typedef struct nxi_worker nxi_worker;

typedef struct nxi_worker_setup {
    nxi_core *core;
    const nxi_executor *executor;
    const nx_bind_options *options; /* stays where it is while the worker lives */
    nxi_role role;
    unsigned number;                /* of readers, for the thread's name */
} nxi_worker_setup;

typedef enum nxi_worker_state { NXI_WORKER_OPENING, NXI_WORKER_OPEN, NXI_WORKER_FAILED, NXI_WORKER_ENDED } nxi_worker_state;

/* Start the thread; opening goes on there. */
NX_MUST_CHECK nx_status nxi_worker_start(const nxi_worker_setup *setup, nxi_worker **ret_worker, nx_error *error);
nxi_worker_state nxi_worker_state_of(const nxi_worker *worker);
/* What a failed opening ended with; NX_OK else. Valid once the state is not OPENING any more. */
nx_status nxi_worker_result(const nxi_worker *worker, const nx_error **ret_error);

/* Give it a list, oldest first. Its doorbell leaves with the loop's next enter. Only while it is OPEN and not asked to stop. */
void nxi_worker_push(nxi_worker *worker, nxi_request *first, nxi_request *last);
/* What is finished, oldest first; NULL: nothing. */
nxi_request *nxi_worker_collect(nxi_worker *worker);
uint64_t nxi_worker_finished(const nxi_worker *worker); /* requests that it has given back so far, collected or not */
bool nxi_worker_has_news(const nxi_worker *worker); /* a finished request, or another state since the last collect */
/* Make it look at its requests: one of them was asked to stop. */
void nxi_worker_nudge(nxi_worker *worker);
/* A doorbell got lost. */
void nxi_worker_rouse(nxi_worker *worker);

/* Ask it to end: what it holds comes back with NX_ECLOSED. Again: no effect. */
void nxi_worker_stop(nxi_worker *worker);
/* Wait for its end and free it; it must have been asked to stop, or have failed, and everything finished been collected. */
void nxi_worker_join(nxi_worker *worker);
void nxi_worker_free(nxi_worker *worker); /* joined */

#endif
