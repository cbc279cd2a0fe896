/*
 * conn - one connection of a wire driver: its bytes, and the requests whose answers are expected on it.
 *
 * Ownership: a request that was put belongs to the connection and its driver until `finished` passes it back, in a turn, or
 *            from within give_up or close. The connection owns the driver's state; opening and
 *            closing that are the caller's.
 * Threads:   the loop's; the driver's open and close run elsewhere, on a state that is not in use here at that time, and its
 *            interrupt beside what happens here.
 */
#ifndef NXI_CONN_H
#define NXI_CONN_H

#include "drivers/driver.h"
#include "engine/core.h"

typedef struct nxi_conn nxi_conn;

typedef struct nxi_conn_owner {
    /* Possibly from within the driver's decode: note it, and do nothing with the connection. */
    void (*finished)(void *context, nxi_request *request);
    /* From within the driver's decode, like finished; texts are valid during the call. May be NULL. */
    void (*notified)(void *context, nx_text channel, nx_text payload);
    /* There is something to hand over. Called once until nxi_conn_hand_over. */
    void (*dirty)(void *context);
    /* No event is to come any more: the state may be closed. Called once, possibly from within nxi_conn_close. */
    void (*closed)(void *context);
    void *context;
} nxi_conn_owner;

/* window: requests in flight at most. NULL: out of memory. */
nxi_conn *nxi_conn_new(nxi_core *core, const nxi_wire *wire, size_t window, const nxi_conn_owner *owner);
/* Must never have been started, or be closed. NULL is allowed. */
void nxi_conn_free(nxi_conn *conn);
void *nxi_conn_state(nxi_conn *conn); /* the driver's */

/* The driver's open has succeeded and returned fd. NX_ENOMEM: it was not started. */
NX_MUST_CHECK nx_status nxi_conn_start(nxi_conn *conn, int fd);

/* Room for one more in the window. */
bool nxi_conn_has_room(const nxi_conn *conn);
size_t nxi_conn_load(const nxi_conn *conn); /* requests in flight, with those given up */
bool nxi_conn_is_open(const nxi_conn *conn);
bool nxi_conn_is_closing(const nxi_conn *conn);     /* the kernel has not let go yet */
bool nxi_conn_is_idle(const nxi_conn *conn);        /* nothing in flight, and the driver agrees: may be given to somebody else */
bool nxi_conn_has_given_up(const nxi_conn *conn);   /* something that is in flight was given up */
bool nxi_conn_is_dead_weight(const nxi_conn *conn); /* all that is in flight was given up */

/* Give a request to the driver; it leaves with the turn. A failure is set on the request, which stays the caller's. */
NX_MUST_CHECK nx_status nxi_conn_put(nxi_conn *conn, nxi_request *request);
/* One send and one receive at most. */
void nxi_conn_hand_over(nxi_conn *conn);

/*
 * Stop waiting for a request's answer: it is finished with `why` and `finished` is called for it. False: it is not in flight
 * here. A connection that cannot do without it is closed.
 */
bool nxi_conn_give_up(nxi_conn *conn, nxi_request *request, nx_status why);
/* The driver's settle and ping, for drivers that have them: not idle until that is answered. */
void nxi_conn_settle(nxi_conn *conn);
void nxi_conn_ping(nxi_conn *conn);
/*
 * The end: what is in flight finishes with `error` (see conn.c for what becomes of transactions), then the kernel lets go, then
 * `closed`. An idle connection is only closed for receiving, so that its driver can say good-bye. Again: no effect.
 */
void nxi_conn_close(nxi_conn *conn, const nx_error *error);
/* Free in spite of events that may still come: only when the ring is broken and will bring none. */
void nxi_conn_abandon(nxi_conn *conn);

#endif
