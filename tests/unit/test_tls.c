/*
 * tls - two sessions of OpenSSL over memory: one is the server's, the other is adopted.
 */
#include "drivers/tls.h"

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>

typedef struct pair {
    nxi_memory *memory;
    SSL_CTX *server_context, *client_context;
    SSL *server, *client;
    BIO *to_server, *from_server; /* the server's; it is not adopted */
    nxi_filter *filter;           /* the client's */
    nxi_buf sealed, plain;
    nx_error error;
} pair;

/* ------------------------------------------------------------------------------ two ends */

static void use_new_certificate(SSL_CTX *context)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();

    cr_assert(key != NULL && certificate != NULL);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    cr_assert(X509_sign(certificate, key, EVP_sha256()) > 0);
    cr_assert_eq(SSL_CTX_use_certificate(context, certificate), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static SSL *new_session(SSL_CTX *context)
{
    SSL *ssl = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    cr_assert(ssl != NULL && in != NULL && out != NULL);
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    return ssl;
}

static void move(SSL *from, SSL *to)
{
    char *data = NULL;
    long size = BIO_get_mem_data(SSL_get_wbio(from), &data);

    if (size > 0)
        cr_assert_eq(BIO_write(SSL_get_rbio(to), data, (int)size), size);
    (void)BIO_reset(SSL_get_wbio(from));
}

/* Both ends with their contexts, established; tickets that the server sends after the handshake are on their way. */
static void shake_hands(pair *p, int version)
{
    int server_done = 0, client_done = 0;

    p->server_context = SSL_CTX_new(TLS_server_method());
    p->client_context = SSL_CTX_new(TLS_client_method());
    cr_assert(p->server_context != NULL && p->client_context != NULL);
    use_new_certificate(p->server_context);
    SSL_CTX_set_max_proto_version(p->client_context, version);
    p->server = new_session(p->server_context);
    p->client = new_session(p->client_context);
    SSL_set_accept_state(p->server);
    SSL_set_connect_state(p->client);
    for (int turn = 0; turn < 10 && !(server_done == 1 && client_done == 1); turn++) {
        client_done = SSL_do_handshake(p->client);
        move(p->client, p->server);
        server_done = SSL_do_handshake(p->server);
        if (client_done != 1)
            move(p->server, p->client);
    }
    cr_assert(server_done == 1 && client_done == 1);
    p->to_server = SSL_get_rbio(p->server);
    p->from_server = SSL_get_wbio(p->server);
}

static void adopt(pair *p)
{
    cr_assert_eq(nxi_tls_adopt(p->memory, p->client, &p->filter, &p->error), NX_OK, "%s", p->error.message);
}

static void open_pair(pair *p, int version)
{
    *p = (pair){ .memory = nxi_memory_new(0) };
    nxi_buf_init(&p->sealed, p->memory);
    nxi_buf_init(&p->plain, p->memory);
    shake_hands(p, version);
}

static void close_pair(pair *p)
{
    nxi_buf_fini(&p->sealed);
    nxi_buf_fini(&p->plain);
    nxi_tls_free(p->filter);
    /* As libpq closes. */
    (void)SSL_shutdown(p->client);
    SSL_free(p->client);
    SSL_free(p->server);
    SSL_CTX_free(p->client_context);
    SSL_CTX_free(p->server_context);
    nxi_memory_free(p->memory);
    ERR_clear_error();
}

/* ------------------------------------------------------------------------------ talking */

/* What the server has to send, appended to p->sealed. */
static void take_from_server(pair *p)
{
    char *data = NULL;
    long size = BIO_get_mem_data(p->from_server, &data);

    nxi_buf_put(&p->sealed, data, (size_t)size);
    (void)BIO_reset(p->from_server);
}

static void server_says(pair *p, const void *data, size_t size)
{
    cr_assert_eq(SSL_write(p->server, data, (int)size), (int)size);
    take_from_server(p);
}

/* Hand everything of p->sealed to the client in pieces of that size. */
static nx_status client_gets(pair *p, size_t piece)
{
    nx_status status = NX_OK;

    nxi_error_reset(&p->error);
    for (size_t at = 0; at < p->sealed.size && status == NX_OK; at += piece)
        status =
            p->filter->unseal(p->filter, p->sealed.data + at, nxi_min_size(piece, p->sealed.size - at), &p->plain, &p->error);
    nxi_buf_clear(&p->sealed);
    return status;
}

static void plain_is(pair *p, const void *data, size_t size)
{
    cr_assert_eq(p->plain.size, size, "%zu, not %zu", p->plain.size, size);
    cr_assert(size == 0 || memcmp(p->plain.data, data, size) == 0);
    nxi_buf_clear(&p->plain);
}

static void client_says(pair *p, const void *data, size_t size)
{
    nx_status status = p->filter->seal(p->filter, data, size, &p->sealed, &p->error);

    cr_assert_eq(status, NX_OK, "%s", p->error.message);
    if (p->sealed.size > 0)
        cr_assert_eq(BIO_write(p->to_server, p->sealed.data, (int)p->sealed.size), (int)p->sealed.size);
    nxi_buf_clear(&p->sealed);
}

static void server_gets(pair *p, const char *data, size_t size)
{
    char buffer[4096];

    for (size_t at = 0; at < size;) {
        int got = SSL_read(p->server, buffer, sizeof(buffer));
        cr_assert_gt(got, 0, "%s", ERR_reason_error_string(ERR_peek_error()));
        cr_assert((size_t)got <= size - at && memcmp(buffer, data + at, (size_t)got) == 0);
        at += (size_t)got;
    }
}

static void both_talk(pair *p)
{
    server_says(p, "from the server", 15);
    cr_assert_eq(client_gets(p, 1000), NX_OK, "%s", p->error.message);
    plain_is(p, "from the server", 15);
    client_says(p, "from the client", 15);
    server_gets(p, "from the client", 15);
}

static char *pattern(size_t size)
{
    char *data = malloc(size);
    cr_assert_not_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 7 + i / 251);
    return data;
}

#define ON_EACH_VERSION(version) for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)

/* ------------------------------------------------------------------------------ what works */

Test(tls, any_size_both_ways)
{
    static const size_t sizes[] = { 1, 5, 4095, 16383, 16384, 16385, 32768, 100000, 1000000 };
    char *data = pattern(1000000);

    ON_EACH_VERSION(version)
    {
        pair p;
        open_pair(&p, version);
        adopt(&p);
        both_talk(&p);
        for (size_t i = 0; i < NXI_COUNT(sizes); i++) {
            server_says(&p, data, sizes[i]);
            cr_assert_eq(client_gets(&p, 65536), NX_OK, "%s", p.error.message);
            plain_is(&p, data, sizes[i]);
            client_says(&p, data, sizes[i]);
            server_gets(&p, data, sizes[i]);
        }
        close_pair(&p);
    }
    free(data);
}

Test(tls, nothing_to_say)
{
    pair p;

    open_pair(&p, TLS1_3_VERSION);
    adopt(&p);
    cr_assert_eq(p.filter->seal(p.filter, NULL, 0, &p.sealed, &p.error), NX_OK);
    cr_assert_eq(p.sealed.size, 0);
    cr_assert_eq(p.filter->unseal(p.filter, NULL, 0, &p.plain, &p.error), NX_OK);
    cr_assert_eq(p.plain.size, 0);
    both_talk(&p);
    close_pair(&p);
}

Test(tls, cut_at_every_byte)
{
    char *data = pattern(300);

    ON_EACH_VERSION(version)
    {
        pair p;
        open_pair(&p, version);
        adopt(&p);
        both_talk(&p);
        for (size_t cut = 0, size = 1; cut <= size; cut++) {
            server_says(&p, data, 100);
            server_says(&p, data + 100, 200);
            size = p.sealed.size;
            cr_assert_eq(p.filter->unseal(p.filter, p.sealed.data, cut, &p.plain, &p.error), NX_OK);
            cr_assert_eq(p.filter->unseal(p.filter, p.sealed.data + cut, size - cut, &p.plain, &p.error), NX_OK);
            nxi_buf_clear(&p.sealed);
            plain_is(&p, data, 300);
        }
        server_says(&p, data, 300);
        cr_assert_eq(client_gets(&p, 1), NX_OK);
        plain_is(&p, data, 300);
        close_pair(&p);
    }
    free(data);
}

/* RFC 8446, 4.6.3: each side has to answer a request with a KeyUpdate of its own before what it says next. */
Test(tls, key_updates)
{
    pair p;

    open_pair(&p, TLS1_3_VERSION);
    adopt(&p);
    for (int round = 0; round < 20; round++) {
        cr_assert_eq(SSL_key_update(p.server, round % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        both_talk(&p);
        /* And without words: the answer waits for what the client says next. */
        cr_assert_eq(SSL_key_update(p.server, SSL_KEY_UPDATE_REQUESTED), 1);
        cr_assert_eq(SSL_do_handshake(p.server), 1);
        take_from_server(&p);
        cr_assert_eq(client_gets(&p, 1), NX_OK, "%s", p.error.message);
        plain_is(&p, "", 0);
        client_says(&p, "", 0);
        both_talk(&p);
        cr_assert_eq(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
        client_says(&p, "new keys", 8);
        server_gets(&p, "new keys", 8);
        both_talk(&p);
    }
    close_pair(&p);
}

Test(tls, tickets_at_any_time)
{
    pair p;

    open_pair(&p, TLS1_3_VERSION);
    adopt(&p);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(SSL_new_session_ticket(p.server), 1);
        both_talk(&p);
    }
    close_pair(&p);
}

Test(tls, what_was_read_before_the_adoption_is_not_lost)
{
    char first[4];
    pair p;

    open_pair(&p, TLS1_3_VERSION);
    server_says(&p, "read before and after", 21);
    cr_assert_eq(BIO_write(SSL_get_rbio(p.client), p.sealed.data, (int)p.sealed.size), (int)p.sealed.size);
    nxi_buf_clear(&p.sealed);
    cr_assert_eq(SSL_read(p.client, first, 4), 4);
    adopt(&p);
    cr_assert_eq(p.filter->unseal(p.filter, NULL, 0, &p.plain, &p.error), NX_OK);
    plain_is(&p, " before and after", 17);
    both_talk(&p);
    close_pair(&p);
}

/* A record of which only the beginning had arrived goes on in the other source. */
Test(tls, adoption_in_the_middle_of_a_record)
{
    for (int had = 1; had < 30; had++) {
        char first;
        pair p;
        open_pair(&p, TLS1_2_VERSION);
        adopt(&p);
        both_talk(&p); /* the records of the handshake's end have been read */
        nxi_tls_free(p.filter);
        p.filter = NULL;
        BIO *in = BIO_new(BIO_s_mem());
        BIO_set_mem_eof_return(in, -1);
        SSL_set_bio(p.client, in, BIO_new(BIO_s_mem()));
        server_says(&p, "in two places", 13);
        cr_assert_eq(BIO_write(in, p.sealed.data, had), had);
        cr_assert_eq(SSL_read(p.client, &first, 1), -1);
        adopt(&p);
        cr_assert_eq(p.filter->unseal(p.filter, p.sealed.data + had, p.sealed.size - (size_t)had, &p.plain, &p.error), NX_OK);
        nxi_buf_clear(&p.sealed);
        plain_is(&p, "in two places", 13);
        close_pair(&p);
    }
}

/* ------------------------------------------------------------------------------ what ends it */

static void is_lost(pair *p, nx_status status, const char *words)
{
    cr_assert_eq(status, NX_ELOST, "%s", nx_status_name(status));
    cr_assert_eq(p->error.status, NX_ELOST);
    cr_assert_not_null(strstr(p->error.message, words), "%s", p->error.message);
    /* And it stays so. */
    nxi_error_reset(&p->error);
    cr_assert_eq(p->filter->unseal(p->filter, "x", 1, &p->plain, &p->error), NX_ELOST);
    cr_assert_not_null(strstr(p->error.message, words), "%s", p->error.message);
    nxi_error_reset(&p->error);
    cr_assert_eq(p->filter->seal(p->filter, "x", 1, &p->sealed, &p->error), NX_ELOST);
    cr_assert_not_null(strstr(p->error.message, words), "%s", p->error.message);
}

Test(tls, close_notify_after_the_last_words)
{
    ON_EACH_VERSION(version)
    {
        pair p;
        open_pair(&p, version);
        adopt(&p);
        server_says(&p, "goodbye", 7);
        cr_assert_eq(SSL_shutdown(p.server), 0);
        take_from_server(&p);
        is_lost(&p, client_gets(&p, 100000), "ended the TLS session");
        plain_is(&p, "goodbye", 7);
        close_pair(&p);
    }
}

Test(tls, the_client_says_goodbye)
{
    char byte;
    pair p;

    open_pair(&p, TLS1_3_VERSION);
    adopt(&p);
    both_talk(&p);
    nxi_tls_end(p.filter, &p.sealed);
    cr_assert_gt(p.sealed.size, 0);
    cr_assert_eq(BIO_write(p.to_server, p.sealed.data, (int)p.sealed.size), (int)p.sealed.size);
    cr_assert_eq(SSL_read(p.server, &byte, 1), 0);
    cr_assert_eq(SSL_get_error(p.server, 0), SSL_ERROR_ZERO_RETURN);
    close_pair(&p);
}

Test(tls, alert_of_the_server)
{
    ON_EACH_VERSION(version)
    {
        char byte;
        pair p;
        open_pair(&p, version);
        adopt(&p);
        both_talk(&p);
        /* The server gets a damaged record, and says so. */
        cr_assert_eq(p.filter->seal(p.filter, "damaged", 7, &p.sealed, &p.error), NX_OK);
        p.sealed.data[p.sealed.size - 1] ^= 1;
        cr_assert_eq(BIO_write(p.to_server, p.sealed.data, (int)p.sealed.size), (int)p.sealed.size);
        nxi_buf_clear(&p.sealed);
        cr_assert_eq(SSL_read(p.server, &byte, 1), -1);
        take_from_server(&p);
        is_lost(&p, client_gets(&p, 1), "bad record mac");
        close_pair(&p);
    }
}

Test(tls, renegotiation_is_refused)
{
    pair p;

    open_pair(&p, TLS1_2_VERSION);
    adopt(&p);
    both_talk(&p);
    cr_assert_eq(SSL_renegotiate(p.server), 1);
    cr_assert_eq(SSL_do_handshake(p.server), 1); /* HelloRequest */
    take_from_server(&p);
    cr_assert_eq(client_gets(&p, 1), NX_OK, "%s", p.error.message);
    /* What the client answers is the warning, which an OpenSSL server takes for the end. */
    cr_assert_eq(p.filter->seal(p.filter, NULL, 0, &p.sealed, &p.error), NX_OK);
    cr_assert_gt(p.sealed.size, 0);
    close_pair(&p);
}

/* No byte can be changed without its being noticed, or a wait for bytes that do not come: never another text. */
Test(tls, garbage_at_every_byte, .timeout = 120)
{
    ON_EACH_VERSION(version)
    {
        for (size_t at = 0, size = 1; at < size; at++) {
            nx_status status;
            pair p;
            open_pair(&p, version);
            adopt(&p);
            both_talk(&p);
            server_says(&p, "some words", 10);
            size = p.sealed.size;
            p.sealed.data[at] = (char)(p.sealed.data[at] ^ 0x55);
            status = client_gets(&p, size);
            cr_assert_eq(p.plain.size, 0);
            /* Only a length that became larger makes it wait: bytes 3 and 4 of a record's head. */
            cr_assert(status == NX_ELOST || (status == NX_OK && (at == 3 || at == 4)), "byte %zu: %s", at,
                      nx_status_name(status));
            close_pair(&p);
        }
    }
}

Test(tls, plain_text_of_a_server)
{
    static const char text[] = "E\0\0\0\x20SFATAL\0C57P01\0Mno TLS here\0\0";
    pair p;

    open_pair(&p, TLS1_3_VERSION);
    adopt(&p);
    nxi_buf_put(&p.sealed, text, sizeof(text));
    is_lost(&p, client_gets(&p, 1000), "TLS session failed");
    plain_is(&p, "", 0);
    close_pair(&p);
}

/* ------------------------------------------------------------------------------ what is refused */

Test(tls, only_an_established_session_is_adopted)
{
    pair p;
    SSL *young;

    open_pair(&p, TLS1_3_VERSION);
    young = new_session(p.client_context);
    SSL_set_connect_state(young);
    cr_assert_eq(nxi_tls_adopt(p.memory, young, &p.filter, &p.error), NX_ESTATE);
    SSL_free(young);
    (void)SSL_shutdown(p.client);
    cr_assert_eq(nxi_tls_adopt(p.memory, p.client, &p.filter, &p.error), NX_ESTATE);
    cr_assert_null(p.filter);
    close_pair(&p);
}

Test(tls, freeing_nothing)
{
    nxi_tls_free(NULL);
}

/* Each request for memory of ours fails once; the session is then of no more use, and everything can be freed. */
Test(tls, no_memory)
{
    char *data = pattern(40000);
    bool failed = true;

    for (uint64_t n = 1; failed; n++) {
        nx_status status;
        pair p;
        open_pair(&p, TLS1_3_VERSION);
        take_from_server(&p); /* tickets */
        server_says(&p, data, 40000);
        nxi_memory_fail(n, true);
        status = nxi_tls_adopt(p.memory, p.client, &p.filter, &p.error);
        if (status == NX_OK)
            status = client_gets(&p, 10000);
        if (status == NX_OK)
            status = p.filter->seal(p.filter, data, 40000, &p.sealed, &p.error);
        nxi_memory_fail(0, false);
        failed = status != NX_OK;
        if (failed) {
            cr_assert_eq(status, NX_ENOMEM, "%s", nx_status_name(status));
            cr_assert_eq(p.error.status, NX_ENOMEM);
        }
        if (p.filter != NULL && failed) {
            cr_assert_eq(p.filter->seal(p.filter, "x", 1, &p.sealed, &p.error), NX_ENOMEM);
        }
        cr_assert_lt(n, 100);
        close_pair(&p);
    }
    free(data);
}
