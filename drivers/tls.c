/*
 * tls - see the header.
 *
 * Design notes: OpenSSL's own memory BIOs would copy everything once more, into memory that nobody bounds. The BIO here reads
 * where the received bytes lie and writes where the sent ones go. Between two calls it has neither: then it reads nothing, and
 * keeps what the session says by itself (alerts, an answer to KeyUpdate) for the next seal.
 *
 * Facts: OpenSSL 3.0 manual pages BIO_meth_new(3), SSL_set_bio(3), SSL_get_error(3), SSL_read(3), SSL_key_update(3); RFC
 * 8446, 4.6.3 (KeyUpdate), 5.1 (a record holds at most 2^14 bytes), 6.1 (close_notify).
 */
#include "drivers/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

enum { RECORD_BYTES = 16384 };

typedef struct tls {
    nxi_filter filter;
    nxi_memory *memory;
    SSL *ssl;
    BIO *bio;             /* the session's, both ways */
    const uint8_t *input; /* what was received and not read yet */
    size_t input_size;
    nxi_buf *output;  /* of the seal under way; NULL: none */
    nxi_buf own;      /* what the session said by itself */
    nx_error failure; /* status NX_OK: it works */
} tls;

/* ------------------------------------------------------------------------------ the BIO */

static BIO_METHOD *method; /* Sync: written under pthread_once, before any reader; NULL: out of memory */

static int bio_read(BIO *bio, char *data, size_t size, size_t *ret_size)
{
    tls *self = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    *ret_size = 0;
    if (self == NULL)
        return 0;
    if (self->input_size == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *ret_size = nxi_min_size(size, self->input_size);
    memcpy(data, self->input, *ret_size);
    self->input += *ret_size;
    self->input_size -= *ret_size;
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *ret_size)
{
    tls *self = BIO_get_data(bio);
    nxi_buf *out;

    BIO_clear_retry_flags(bio);
    *ret_size = 0;
    if (self == NULL)
        return 0;
    out = self->output != NULL ? self->output : &self->own;
    nxi_buf_put(out, data, size);
    if (out->failed)
        return 0;
    *ret_size = size;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static void make_method(void)
{
    int index = BIO_get_new_index();

    if (index == -1)
        return;
    method = BIO_meth_new(index | BIO_TYPE_SOURCE_SINK, "nextorm");
    if (method == NULL)
        return;
    if (BIO_meth_set_read_ex(method, bio_read) != 1 || BIO_meth_set_write_ex(method, bio_write) != 1 ||
        BIO_meth_set_ctrl(method, bio_control) != 1) {
        BIO_meth_free(method);
        method = NULL;
    }
}

static BIO *new_bio(tls *self)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* Sync: pthread_once */
    BIO *bio;

    pthread_once(&once, make_method);
    bio = method == NULL ? NULL : BIO_new(method);
    if (bio != NULL) {
        BIO_set_data(bio, self);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/* ------------------------------------------------------------------------------ failures */

static nx_status report(const tls *self, nx_error *error)
{
    if (self->failure.status != NX_OK && error != NULL)
        *error = self->failure;
    return self->failure.status;
}

static nx_status fail_without_memory(tls *self, nx_error *error)
{
    (void)nxi_fail(&self->failure, NX_ENOMEM, "no memory for the TLS session");
    return report(self, error);
}

/* Keep and report why the last call did not succeed. What OpenSSL says holds no secrets: reasons are constant texts. */
static nx_status fail(tls *self, int result, nx_error *error)
{
    int kind = SSL_get_error(self->ssl, result);
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    bool no_memory = self->own.failed || (self->output != NULL && self->output->failed) ||
                     (code != 0 && ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE);

    ERR_clear_error();
    if (no_memory)
        return fail_without_memory(self, error);
    if (kind == SSL_ERROR_ZERO_RETURN)
        (void)nxi_fail(&self->failure, NX_ELOST, "the server ended the TLS session");
    else
        (void)nxi_fail(&self->failure, NX_ELOST, "the TLS session failed: %s", reason == NULL ? "no reason given" : reason);
    return report(self, error);
}

/* ------------------------------------------------------------------------------ the filter */

static nx_status seal(nxi_filter *filter, const void *data, size_t size, nxi_buf *out, nx_error *error)
{
    tls *self = NXI_CONTAINER(filter, tls, filter);
    const char *at = data;
    nx_status status = report(self, error);

    if (status != NX_OK)
        return status;
    nxi_buf_put(out, self->own.data, self->own.size);
    nxi_buf_clear(&self->own);
    self->output = out;
    ERR_clear_error(); /* SSL_get_error looks at this thread's errors, whosever they are */
    while (status == NX_OK && size > 0) {
        size_t written = 0;
        int result = SSL_write_ex(self->ssl, at, size, &written);
        if (result != 1) {
            status = fail(self, result, error);
        } else {
            at += written;
            size -= written;
        }
    }
    if (status == NX_OK && out->failed)
        status = fail_without_memory(self, error);
    self->output = NULL;
    return status;
}

/* Read until the session has used up its input and asks for more. */
static nx_status read_all(tls *self, nxi_buf *plain, nx_error *error)
{
    for (;;) {
        size_t got = 0, before = self->input_size;
        void *space = nxi_buf_grow(plain, RECORD_BYTES);
        if (space == NULL)
            return fail_without_memory(self, error);
        int result = SSL_read_ex(self->ssl, space, RECORD_BYTES, &got);
        plain->size -= RECORD_BYTES - got;
        if (result == 1 || (self->input_size > 0 && self->input_size < before && SSL_want_read(self->ssl)))
            continue;
        if (SSL_get_error(self->ssl, result) != SSL_ERROR_WANT_READ || self->input_size > 0 || self->own.failed)
            return fail(self, result, error);
        return NX_OK;
    }
}

static nx_status unseal(nxi_filter *filter, const void *data, size_t size, nxi_buf *plain, nx_error *error)
{
    tls *self = NXI_CONTAINER(filter, tls, filter);
    nx_status status = report(self, error);

    if (status != NX_OK)
        return status;
    self->input = data;
    self->input_size = size;
    ERR_clear_error();
    status = read_all(self, plain, error);
    self->input = NULL;
    self->input_size = 0;
    return status;
}

/* ------------------------------------------------------------------------------ life */

static nx_status check_session(SSL *ssl, nx_error *error)
{
    if (!SSL_is_init_finished(ssl) || SSL_get_rbio(ssl) == NULL || SSL_get_wbio(ssl) == NULL)
        return nxi_fail(error, NX_ESTATE, "the TLS session is not established");
    if (SSL_get_shutdown(ssl) != 0)
        return nxi_fail(error, NX_ESTATE, "the TLS session has ended");
    if (BIO_get_ktls_send(SSL_get_wbio(ssl)) || BIO_get_ktls_recv(SSL_get_rbio(ssl)))
        return nxi_fail(error, NX_EUNSUPPORTED, "TLS by the kernel (OpenSSL's option KTLS) is not supported");
    return NX_OK;
}

nx_status nxi_tls_adopt(nxi_memory *memory, void *ssl, nxi_filter **ret_filter, nx_error *error)
{
    nx_status status = check_session(ssl, error);
    tls *self;

    if (status != NX_OK)
        return status;
    self = nxi_zalloc(memory, sizeof(*self));
    if (self == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for the TLS session");
    self->memory = memory;
    self->ssl = ssl;
    self->filter.seal = seal;
    self->filter.unseal = unseal;
    nxi_buf_init(&self->own, memory);
    self->bio = new_bio(self);
    if (self->bio == NULL) {
        nxi_release(memory, self);
        return nxi_fail(error, NX_ENOMEM, "no memory for the TLS session");
    }
    /* A server that starts over would leave us unable to write until it has answered; TLS 1.3 has no such thing. */
    SSL_set_options(self->ssl, SSL_OP_NO_RENEGOTIATION);
    SSL_set_mode(self->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    SSL_set_bio(self->ssl, self->bio, self->bio);
    *ret_filter = &self->filter;
    return NX_OK;
}

void nxi_tls_end(nxi_filter *filter, nxi_buf *out)
{
    tls *self = NXI_CONTAINER(filter, tls, filter);

    if (self->failure.status != NX_OK)
        return;
    self->output = out;
    ERR_clear_error();
    (void)SSL_shutdown(self->ssl);
    ERR_clear_error();
    self->output = NULL;
}

void nxi_tls_free(nxi_filter *filter)
{
    tls *self;

    if (filter == NULL)
        return;
    self = NXI_CONTAINER(filter, tls, filter);
    BIO_set_data(self->bio, NULL);
    nxi_buf_fini(&self->own);
    nxi_release(self->memory, self);
}
