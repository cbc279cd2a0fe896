/*
 * pg_proxy - see the header.
 */
#include "tests/support/pg_proxy.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/pg_kit.h"

static struct sockaddr_in local(uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port) };
}

static void end_pair(pg_proxy *p, pgp_pair *pair)
{
    (void)pthread_mutex_lock(&p->lock);
    for (int i = 0; i < 2; i++)
        p->most[i] = pair->bytes[i] > p->most[i] ? pair->bytes[i] : p->most[i];
    (void)pthread_mutex_unlock(&p->lock);
    close(pair->client);
    if (pair->server >= 0)
        close(pair->server);
    *pair = (pgp_pair){ .client = -1, .server = -1 };
}

static void accept_one(pg_proxy *p)
{
    struct sockaddr_in there = local(pgk_port());
    pgp_pair *pair = p->pairs;
    int one = 1;

    while (pair->client >= 0 && pair < p->pairs + PGP_PAIRS_MAX - 1)
        pair++;
    if (pair->client >= 0)
        end_pair(p, pair);
    *pair = (pgp_pair){ .client = accept(p->fd, NULL, NULL), .server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    (void)setsockopt(pair->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(pair->server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)pthread_mutex_lock(&p->lock);
    pair->plan = p->plan;
    p->plan = (pgp_plan){ .action = PGP_PASS };
    (void)pthread_mutex_unlock(&p->lock);
    if (pair->client < 0 || pair->server < 0 || connect(pair->server, (struct sockaddr *)&there, sizeof(there)) != 0)
        end_pair(p, pair);
}

static bool send_all(int fd, const uint8_t *data, size_t size, size_t piece)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size < piece ? size : piece, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* The bytes are not to arrive. *ret_ends: nor anything else. */
static bool is_seized(pg_proxy *p, pgp_pair *pair, bool to_client, const uint8_t *data, size_t size, bool *ret_ends)
{
    (void)pthread_mutex_lock(&p->lock);
    bool seized = p->seizure != PGP_NONE && to_client == (p->seizure == PGP_ANSWER);
    *ret_ends = p->seizure != PGP_HELD;
    if (seized && (p->seizure == PGP_LATE || p->seizure == PGP_HELD) && size <= sizeof(p->late)) {
        memcpy(p->late, data, size);
        p->late_size = size;
        p->late_fd = pair->server;
        pair->server = -1;
    }
    p->seizure = seized ? PGP_NONE : p->seizure;
    (void)pthread_mutex_unlock(&p->lock);
    return seized;
}

static void note_action(pg_proxy *p)
{
    (void)pthread_mutex_lock(&p->lock);
    p->has_acted = true;
    (void)pthread_mutex_unlock(&p->lock);
}

/* False: the connection ends. */
static bool forward(pg_proxy *p, pgp_pair *pair, bool to_client)
{
    uint8_t buffer[16384];
    ssize_t got = read(to_client ? pair->server : pair->client, buffer, sizeof(buffer));
    const pgp_plan *plan = &pair->plan;
    uint64_t *passed = &pair->bytes[to_client];
    size_t size = (size_t)got;
    bool cut = false, ends;

    if (got <= 0)
        return false;
    if (is_seized(p, pair, to_client, buffer, size, &ends))
        return !ends;
    if (plan->action == PGP_CUT && plan->to_client == to_client && *passed + size >= plan->at) {
        size = (size_t)(plan->at - *passed);
        cut = true;
    }
    if (plan->action == PGP_FLIP && plan->to_client == to_client && plan->at >= *passed && plan->at - *passed < size) {
        buffer[plan->at - *passed] ^= plan->mask;
        note_action(p);
    }
    if (cut)
        note_action(p);
    *passed += size;
    return send_all(to_client ? pair->client : pair->server, buffer, size, to_client && plan->bytewise ? 1 : sizeof(buffer)) &&
           !cut;
}

enum { STOP = 's', LOOK = 'l', CUT = 'c' }; /* what wakes the thread */

static bool is_deaf(pg_proxy *p)
{
    (void)pthread_mutex_lock(&p->lock);
    bool deaf = p->is_deaf;
    (void)pthread_mutex_unlock(&p->lock);
    return deaf;
}

static void *serve(void *context)
{
    pg_proxy *p = context;

    for (;;) {
        struct pollfd fds[2 + 2 * PGP_PAIRS_MAX] = { { .fd = p->wake[0], .events = POLLIN },
                                                     { .fd = is_deaf(p) ? -1 : p->fd, .events = POLLIN } };

        for (int i = 0; i < PGP_PAIRS_MAX; i++) {
            fds[2 + 2 * i] = (struct pollfd){ .fd = p->pairs[i].client, .events = POLLIN };
            fds[3 + 2 * i] = (struct pollfd){ .fd = p->pairs[i].server, .events = POLLIN };
        }
        (void)poll(fds, 2 + 2 * PGP_PAIRS_MAX, -1);
        char word = '\0';
        if (fds[0].revents != 0 && (read(p->wake[0], &word, 1) != 1 || word == STOP))
            return NULL;
        for (int i = 0; i < PGP_PAIRS_MAX && word == CUT; i++) {
            if (p->pairs[i].client >= 0)
                end_pair(p, &p->pairs[i]);
        }
        if (word == CUT)
            continue;
        for (int i = 0; i < PGP_PAIRS_MAX; i++) {
            pgp_pair *pair = &p->pairs[i];
            if (pair->client < 0)
                continue;
            if ((fds[2 + 2 * i].revents != 0 && !forward(p, pair, false)) ||
                (fds[3 + 2 * i].revents != 0 && !forward(p, pair, true)))
                end_pair(p, pair);
        }
        if (fds[1].revents != 0)
            accept_one(p);
    }
}

void pgp_start(pg_proxy *p)
{
    struct sockaddr_in here = local(0);
    socklen_t size = sizeof(here);

    *p = (pg_proxy){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .late_fd = -1 };
    for (int i = 0; i < PGP_PAIRS_MAX; i++)
        p->pairs[i] = (pgp_pair){ .client = -1, .server = -1 };
    cr_assert(p->fd >= 0);
    cr_assert_eq(bind(p->fd, (struct sockaddr *)&here, size), 0);
    cr_assert_eq(listen(p->fd, 64), 0);
    cr_assert_eq(getsockname(p->fd, (struct sockaddr *)&here, &size), 0);
    p->port = ntohs(here.sin_port);
    cr_assert_eq(pipe(p->wake), 0);
    cr_assert_eq(pthread_mutex_init(&p->lock, NULL), 0);
    cr_assert_eq(pthread_create(&p->thread, NULL, serve, p), 0);
}

void pgp_stop(pg_proxy *p)
{
    cr_assert_eq(write(p->wake[1], &(char){ STOP }, 1), 1);
    cr_assert_eq(pthread_join(p->thread, NULL), 0);
    for (int i = 0; i < PGP_PAIRS_MAX; i++) {
        if (p->pairs[i].client >= 0)
            end_pair(p, &p->pairs[i]);
    }
    close(p->wake[0]);
    close(p->wake[1]);
    close(p->fd);
    (void)pthread_mutex_destroy(&p->lock);
}

void pgp_set(pg_proxy *p, pgp_plan plan)
{
    (void)pthread_mutex_lock(&p->lock);
    p->plan = plan;
    p->most[0] = p->most[1] = 0;
    p->has_acted = false;
    (void)pthread_mutex_unlock(&p->lock);
}

void pgp_deafen(pg_proxy *p)
{
    (void)pthread_mutex_lock(&p->lock);
    p->is_deaf = true;
    (void)pthread_mutex_unlock(&p->lock);
    cr_assert_eq(write(p->wake[1], &(char){ LOOK }, 1), 1);
}

void pgp_seize(pg_proxy *p, pgp_seizure seizure)
{
    (void)pthread_mutex_lock(&p->lock);
    p->seizure = seizure;
    (void)pthread_mutex_unlock(&p->lock);
}

void pgp_cut_all(pg_proxy *p)
{
    cr_assert_eq(write(p->wake[1], &(char){ CUT }, 1), 1);
}

void pgp_deliver(pg_proxy *p, char *ret_answer, size_t size)
{
    struct pollfd ready;
    ssize_t got = 0;

    (void)pthread_mutex_lock(&p->lock);
    ready = (struct pollfd){ .fd = p->late_fd, .events = POLLIN };
    (void)pthread_mutex_unlock(&p->lock);
    cr_assert(ready.fd >= 0, "nothing was kept");
    cr_assert(send_all(ready.fd, p->late, p->late_size, SIZE_MAX));
    cr_assert_eq(poll(&ready, 1, 10000), 1, "the server does nothing");
    if (ret_answer != NULL) {
        got = read(ready.fd, ret_answer, size - 1);
        cr_assert_gt(got, 0, "the server says nothing");
        for (ssize_t i = 0; i < got; i++)
            ret_answer[i] = ret_answer[i] == '\0' ? ' ' : ret_answer[i];
        ret_answer[got] = '\0';
    }
    close(ready.fd);
    (void)pthread_mutex_lock(&p->lock);
    p->late_fd = -1;
    (void)pthread_mutex_unlock(&p->lock);
}

uint64_t pgp_most(pg_proxy *p, bool to_client)
{
    uint64_t most;

    (void)pthread_mutex_lock(&p->lock);
    most = p->most[to_client];
    (void)pthread_mutex_unlock(&p->lock);
    return most;
}

void pgp_wait_seized(pg_proxy *p)
{
    for (bool waits = true; waits;) {
        (void)pthread_mutex_lock(&p->lock);
        waits = p->seizure != PGP_NONE;
        (void)pthread_mutex_unlock(&p->lock);
        if (waits)
            usleep(1000);
    }
}

bool pgp_has_acted(pg_proxy *p)
{
    bool acted;

    (void)pthread_mutex_lock(&p->lock);
    acted = p->has_acted;
    (void)pthread_mutex_unlock(&p->lock);
    return acted;
}
