/*
 * pool_kind - what pools of workers and pools of connections have in common, for the three files that make up the pool.
 */
#ifndef NXI_POOL_KIND_H
#define NXI_POOL_KIND_H

#include "engine/core.h"
#include "engine/map.h"
#include "engine/pool.h"

typedef struct nxi_queue {
    nxi_request *first, *last;
    size_t count;
} nxi_queue;

static inline void nxi_queue_put(nxi_queue *queue, nxi_request *request)
{
    request->next = NULL;
    if (queue->last != NULL)
        queue->last->next = request;
    else
        queue->first = request;
    queue->last = request;
    queue->count++;
}
static inline nxi_request *nxi_queue_take(nxi_queue *queue)
{
    nxi_request *request = queue->first;

    if (request == NULL)
        return NULL;
    queue->first = request->next;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->count--;
    request->next = NULL;
    return request;
}
/* False: it is not in there. Both walk the queue. */
bool nxi_queue_remove(nxi_queue *queue, const nxi_request *request);
bool nxi_queue_holds(const nxi_queue *queue, const nxi_request *request);

/* The half that differs; `lanes` of the pool is its own. */
typedef struct nxi_pool_kind {
    nx_status (*open)(nxi_pool *pool, nx_error *error);
    void (*submit)(nxi_pool *pool, nxi_request *request);
    /* request->stop is set; it is none that nxi_request_is_unstoppable */
    void (*stop)(nxi_pool *pool, nxi_request *request, nx_status why);
    void (*hand_over)(nxi_pool *pool);
    bool (*has_news)(const nxi_pool *pool);
    void (*collect)(nxi_pool *pool);
    bool (*is_busy)(const nxi_pool *pool);
    void (*outlook)(const nxi_pool *pool, size_t *ready, size_t *coming); /* adds; NULL: nothing to say */
    void (*rouse)(nxi_pool *pool);
    void (*close)(nxi_pool *pool); /* nothing is submitted any more; ends in nxi_pool_is_closed */
    void (*free)(nxi_pool *pool); /* at once; whatever is left goes through nxi_pool_finish */
    size_t (*count)(const nxi_pool *pool, size_t *ret_waiting);        /* lanes */
} nxi_pool_kind;

extern const nxi_pool_kind nxi_pool_of_workers;
extern const nxi_pool_kind nxi_pool_of_connections;

typedef enum nxi_pool_phase {
    NXI_POOL_OPENING,
    NXI_POOL_OPEN,
    NXI_POOL_FAILED,
    NXI_POOL_CLOSING,
    NXI_POOL_CLOSED
} nxi_pool_phase;

typedef struct nxi_inquiry nxi_inquiry;

struct nxi_pool {
    nxi_core *core;
    nxi_memory *memory;
    const nxi_driver *driver;
    const nxi_pool_kind *kind;
    void *lanes;
    nx_bind_options options;
    nxi_arena texts;              /* of the options */
    nxi_source source;
    nxi_pool_phase phase;
    bool delivering, closing, close_begun, is_attached;
    bool opened_due, closed_due;  /* the callback is still to be called */
    nxi_pool_done opened, closed;
    void *opened_context, *closed_context;
    nx_status open_status;
    nx_error open_error;
    nxi_queue finished;           /* done is still to be called */
    size_t submitted;             /* done not called yet */
    nxi_map transactions;         /* open ones that are bound to a lane; the kind's */
    nxi_inquiry *inquiries;       /* what became of transactions whose answer was lost */
    size_t inquiries_due;         /* that are to ask with the next turn */
    bool freeing;
};

/* The request is over: its done comes with this turn, or the next. */
static inline void nxi_pool_finish(nxi_pool *pool, nxi_request *request)
{
    nxi_queue_put(&pool->finished, request);
}
/* Over before a driver had it, and with it its transaction: who knows that it goes on calls nxi_request_not_run behind. */
void nxi_pool_refuse(nxi_pool *pool, nxi_request *request, nx_status status, const char *why);
void nxi_pool_refuse_with(nxi_pool *pool, nxi_request *request, const nx_error *error);
/* What the opening came to; error is copied. */
void nxi_pool_is_opened(nxi_pool *pool, nx_status status, const nx_error *error);
void nxi_pool_is_closed(nxi_pool *pool);

/*
 * pool_outcome.c. A request is over, but for its outcome, which its token (request->token) can tell: it is finished when that is
 * known, or cannot be. False: there is nothing to find out, or no memory for it; then it is over as it is.
 */
bool nxi_outcome_seek(nxi_pool *pool, nxi_request *request);
void nxi_outcome_turn(nxi_pool *pool);
/* The request is one of those: its outcome is not waited for any longer. */
bool nxi_outcome_stop(nxi_pool *pool, const nxi_request *request, nx_status why);
/* Of all; those that are being asked for end with the connections. */
void nxi_outcome_abandon(nxi_pool *pool);

/* Why a request that was asked to stop did not run. */
const char *nxi_pool_stop_text(nx_status why);

#endif
