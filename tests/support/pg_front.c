/*
 * pg_front - see the header.
 */
#include "tests/support/pg_front.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/pg_kit.h"

enum { BACKLOG = 64 };

static void listen_somewhere(pg_front *f)
{
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(here);

    *f = (pg_front){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    cr_assert(f->fd >= 0);
    cr_assert_eq(bind(f->fd, (struct sockaddr *)&here, size), 0);
    cr_assert_eq(listen(f->fd, BACKLOG), 0);
    cr_assert_eq(getsockname(f->fd, (struct sockaddr *)&here, &size), 0);
    f->port = ntohs(here.sin_port);
}

/* True in the child. It does not outlive a test that crashes. */
static bool split(pg_front *f)
{
    f->child = fork();
    cr_assert(f->child >= 0);
    if (f->child != 0)
        return false;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    return true;
}

void pgf_stop(pg_front *f)
{
    if (f->child > 0) {
        (void)kill(f->child, SIGKILL);
        (void)waitpid(f->child, NULL, 0);
    }
    close(f->fd);
    *f = (pg_front){ .fd = -1 };
}

void pgf_start_silent(pg_front *f)
{
    listen_somewhere(f);
}

/* ------------------------------------------------------------------------------ words */

void pgf_start_script(pg_front *f, const void *words, size_t size)
{
    char buffer[4096];

    listen_somewhere(f);
    if (!split(f))
        return;
    for (;;) {
        int fd = accept(f->fd, NULL, NULL);
        if (fd < 0)
            _exit(1);
        if (read(fd, buffer, sizeof(buffer)) > 0 && send(fd, words, size, MSG_NOSIGNAL) == (ssize_t)size) {
            while (read(fd, buffer, sizeof(buffer)) > 0)
                ;
        }
        close(fd);
    }
}

/* ------------------------------------------------------------------------------ TLS */

static int connect_to_server(void)
{
    struct sockaddr_in there = { .sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                 .sin_port = htons(pgk_port()) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&there, sizeof(there)) != 0)
        _exit(1);
    return fd;
}

static void forward(SSL *ssl, int client)
{
    struct pollfd both[2] = { { .fd = client, .events = POLLIN }, { .fd = connect_to_server(), .events = POLLIN } };
    char buffer[16384];

    for (;;) {
        int size;
        if (SSL_pending(ssl) == 0 && poll(both, 2, -1) < 0)
            break;
        if (SSL_pending(ssl) > 0 || both[0].revents != 0) {
            size = SSL_read(ssl, buffer, sizeof(buffer));
            if (size <= 0 || write(both[1].fd, buffer, (size_t)size) != size)
                break;
        }
        if (both[1].revents != 0) {
            ssize_t got = read(both[1].fd, buffer, sizeof(buffer));
            if (got <= 0 || SSL_write(ssl, buffer, (int)got) != got)
                break;
        }
    }
    close(both[1].fd);
}

static void serve_tls(SSL_CTX *context, int fd)
{
    char request[8];
    SSL *ssl = SSL_new(context);

    /* SSLRequest, answered by S (55.2.10 "SSL Session Encryption"). */
    if (ssl != NULL && recv(fd, request, sizeof(request), MSG_WAITALL) == (ssize_t)sizeof(request) && write(fd, "S", 1) == 1 &&
        SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1)
        forward(ssl, fd);
    SSL_free(ssl);
    close(fd);
}

void pgf_start_tls(pg_front *f, const char *name)
{
    char certificate[256], key[256];
    SSL_CTX *context;

    listen_somewhere(f);
    snprintf(certificate, sizeof(certificate), "%s/%s.crt", pgk_env("TLS"), name);
    snprintf(key, sizeof(key), "%s/%s.key", pgk_env("TLS"), name);
    cr_assert_eq(access(key, R_OK), 0, "%s", key);
    if (!split(f))
        return;
    context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_file(context, certificate, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        _exit(1);
    for (;;) {
        int fd = accept(f->fd, NULL, NULL);
        if (fd < 0)
            _exit(1);
        serve_tls(context, fd);
    }
}
