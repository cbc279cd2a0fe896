/*
 * tls - an OpenSSL session, opened by a vendor's library on its socket, as a filter of ours.
 *
 * The session is given a source and a sink in memory in place of the socket: what comes from the network is handed to unseal,
 * what is to go there comes out of seal. Ownership: the session stays the vendor's, which frees it when it closes. Free the
 * filter first: then the session reads and writes nothing any more, so that the vendor's library may shut it down and free it as
 * it likes. Errors:    sticky. The end of the session and everything that is not TLS or not from the other end is NX_ELOST; no
 * memory is NX_ENOMEM. What unseal appended before a failure is genuine and counts. Threads:   one at a time.
 */
#ifndef NXI_TLS_H
#define NXI_TLS_H

#include "drivers/driver.h"

/*
 * ssl: an SSL of OpenSSL, established. What it has read from its socket already is not lost: the first unseal delivers it.
 * NX_ESTATE: the handshake is not over, or the session has ended; NX_EUNSUPPORTED: the kernel does its cryptography. After a
 * failure the session is as it was.
 */
NX_MUST_CHECK nx_status nxi_tls_adopt(nxi_memory *memory, void *ssl, nxi_filter **ret_filter, nx_error *error);
/* NULL is allowed. */
void nxi_tls_free(nxi_filter *filter);
/*
 * Append what tells the other end that nothing more comes (close_notify), as far as the session can still say so; for a
 * connection on which everything sealed before has been sent.
 */
void nxi_tls_end(nxi_filter *filter, nxi_buf *out);

#endif
