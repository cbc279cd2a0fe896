/*
 * link - a connection to a PostgreSQL server as libpq opened it: socket, TLS session, the means to cancel.
 *
 * libpq resolves names, connects, negotiates TLS and authenticates, blocking, on an opener thread; then the engine moves the
 * bytes and libpq only closes. Facts: PostgreSQL 15 documentation, chapter 34 "libpq" (34.1, 34.7 "Canceling Queries in
 * Progress"). Errors: name host, port, database and user, never the password, also when a connection string cannot be parsed.
 */
#ifndef NXI_PG_LINK_H
#define NXI_PG_LINK_H

#include "drivers/driver.h"

typedef struct nxi_pg_link {
    void *conn;             /* PGconn; NULL: none */
    void *cancel;           /* PGcancel */
    nxi_filter *tls;        /* NULL: plain */
    int32_t server_version; /* PQserverVersion: 150020 */
    int64_t timeout_ns;     /* of a cancel request */
    /*
     * Set by the owner before it closes: everything that was given to the socket has been sent and answered. Then the server is
     * told goodbye; in the middle of a message that would be taken for a part of it.
     */
    bool is_quiet;
} nxi_pg_link;

/* Refuse options that make no sense together or here; before anything is opened. */
NX_MUST_CHECK nx_status nxi_pg_check_options(const nx_bind_options *options, nx_error *error);
/*
 * Blocking. NX_ECONNECT (refused, no such host, timed out, TLS refused), NX_EAUTH (28P01, 28000), NX_EUNDEFINED (3D000: no such
 * database), NX_ELIMIT (53300: too many connections), NX_EUNSUPPORTED (GSS encryption, a TLS library other than OpenSSL).
 * The session is set up by options: client_encoding UTF8, TimeZone UTC, DateStyle ISO, IntervalStyle iso_8601,
 * extra_float_digits 1, bytea_output hex; standard_conforming_strings is verified.
 */
NX_MUST_CHECK nx_status nxi_pg_link_open(nxi_pg_link *link, const nx_bind_options *options, nxi_memory *memory, int *ret_fd,
                                         nx_error *error);
/* Blocking; accepts what nxi_pg_link_open left after a failure. */
void nxi_pg_link_close(nxi_pg_link *link, nxi_memory *memory);
/*
 * Blocking: a cancel request by a connection of its own, closed by the server when this returns. False: given up after the
 * connect timeout, but at most five seconds; what the kernel has taken of it may still arrive, at any time.
 */
NX_MUST_CHECK bool nxi_pg_link_interrupt(nxi_pg_link *link);

#endif
