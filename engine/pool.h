/*
 * pool - the connections or workers of one database, and which of them a request goes to.
 *
 * Executors: requests of a transaction, and those that write, go to the writer; a transaction that began as a SNAPSHOT stays on
 * one reader; other reads go to the reader with the least to do. Wire drivers: a transaction is pinned to one connection from its
 * begin to its end; others go to the least loaded open connection; waiters are served in order, and they are bounded.
 *
 * Every submitted request gets its `done` exactly once, from a turn of the loop, never from within submit.
 */
#ifndef NXI_POOL_H
#define NXI_POOL_H

#include "drivers/driver.h"
#include "engine/loop.h"

typedef struct nxi_pool nxi_pool;

/* Called on the loop's thread from a turn. error is NULL when status is NX_OK, and valid during the call. */
typedef void (*nxi_pool_done)(void *context, nx_status status, const nx_error *error);

/*
 * Options and their strings are copied. opened is called once unless this fails at once (NX_ENOMEM, or the driver refuses the
 * options). A failed open still needs nxi_pool_free.
 */
NX_MUST_CHECK nx_status nxi_pool_open(nxi_core *core, const nxi_driver *driver, const nx_bind_options *options,
                                      nxi_pool_done opened, void *context, nxi_pool **ret_pool, nx_error *error);
const nx_bind_options *nxi_pool_options(const nxi_pool *pool);

/* Queue a request; it moves with the next turn. */
void nxi_pool_submit(nxi_pool *pool, nxi_request *request);
/* Ask a submitted request to end with `why` (NX_ECANCELED, NX_EDEADLINE); done still comes. */
void nxi_pool_stop(nxi_pool *pool, nxi_request *request, nx_status why);

/* Finish what is submitted, refuse what comes later (NX_ECLOSED), then close; closed is called once. */
void nxi_pool_close(nxi_pool *pool, nxi_pool_done closed, void *context);
/* At once, waiting for threads: whatever is left is finished with NX_ECLOSED (done is called from here). NULL is allowed. */
void nxi_pool_free(nxi_pool *pool);

/*
 * Wire drivers that notify: requests with `listens` go to a connection of their own, which is made for the first of them and kept
 * until nxi_pool_unlisten.
 */
typedef struct nxi_pool_listener {
    /* From within the driver's decode: submitting is allowed. Texts are valid during the call. */
    void (*notified)(void *context, nx_text channel, nx_text payload);
    /* That connection is gone, and with it all that was listened to; requests in flight on it end by themselves. */
    void (*lost)(void *context, const nx_error *error);
    void *context;
} nxi_pool_listener;
void nxi_pool_listen(nxi_pool *pool, const nxi_pool_listener *listener);
/* Nobody listens to anything: the connection is closed, unless a request for it is submitted first. */
void nxi_pool_unlisten(nxi_pool *pool);

typedef struct nxi_pool_counters {
    size_t lanes, submitted, waiting;
    uint64_t group_commits, grouped_sessions;
} nxi_pool_counters;
nxi_pool_counters nxi_pool_count(const nxi_pool *pool);

#endif
