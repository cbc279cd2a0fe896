/*
 * pool_listen - the connection that listens for notifications.
 *
 * It is one of its own, beside the bound of the pool: a pool of one connection can listen, and who listens takes nothing from
 * those that work. Requests for it wait here until a turn, so that they may be submitted from within the driver's decode.
 */
#include "engine/pool_lane.h"

void nxi_pool_listen(nxi_pool *pool, const nxi_pool_listener *listener)
{
    NX_ASSERT(pool->kind == &nxi_pool_of_connections);
    nxi_wires_of(pool)->listen = *listener;
}

void nxi_pool_unlisten(nxi_pool *pool)
{
    NX_ASSERT(pool->kind == &nxi_pool_of_connections);
    nxi_wires_of(pool)->unlisten = true;
}

void nxi_listen_submit(nxi_pool *pool, nxi_request *request)
{
    nxi_wires_of(pool)->unlisten = false;
    (void)nxi_wires_wait(pool, &nxi_wires_of(pool)->listen_queue, request);
}

static void put_all(nxi_lane *l)
{
    nxi_wires *all = nxi_wires_of(l->pool);

    while (l->is_open && l->care == NXI_CARE_NONE && all->listen_queue.first != NULL && nxi_conn_has_room(l->conn)) {
        nxi_request *request = nxi_queue_take(&all->listen_queue);

        if (nxi_conn_put(l->conn, request) != NX_OK)
            nxi_pool_finish(l->pool, request);
    }
}

static void tell_lost(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);
    nx_error error;

    all->listen_lost = false;
    (void)nxi_fail(&error, NX_ELOST, "the connection that listened was lost: notifications may have been missed");
    error.retryable = true;
    if (all->listen.lost != NULL)
        all->listen.lost(all->listen.context, &error);
}

void nxi_listen_turn(nxi_pool *pool)
{
    nxi_wires *all = nxi_wires_of(pool);
    nxi_lane *l;

    if (all->listen_lost)
        tell_lost(pool);
    if (all->closing)
        return;
    l = all->listener;
    if (all->listen_queue.first != NULL) {
        if (l != NULL)
            put_all(l);
        else if (!nxi_lane_connect_listener(pool) && all->failures > 0)
            (void)nxi_wires_wake_at(pool, all->retry_ns);
    } else if (all->unlisten && l != NULL && l->is_open && nxi_conn_load(l->conn) == 0) {
        all->unlisten = false;
        nxi_lane_close(l, NX_ECLOSED, "nobody listens any more");
    }
}

void nxi_listen_refuse(nxi_pool *pool, const nx_error *error)
{
    for (nxi_request *request; (request = nxi_queue_take(&nxi_wires_of(pool)->listen_queue)) != NULL;)
        nxi_pool_refuse_with(pool, request, error);
}

void nxi_listen_notified(nxi_lane *l, nx_text channel, nx_text payload)
{
    const nxi_pool_listener *listen = &nxi_wires_of(l->pool)->listen;

    l->used_ns = nxi_core_now(l->pool->core);
    if (listen->notified != NULL)
        listen->notified(listen->context, channel, payload);
}

void nxi_listen_is_over(nxi_lane *l)
{
    nxi_wires *all = nxi_wires_of(l->pool);

    all->listener = NULL;
    all->listen_lost = true;
}
