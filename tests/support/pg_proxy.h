/*
 * pg_proxy - between the driver and the test server, on a port of its own: bytes pass, are changed, split, or the connection is
 * cut.
 *
 * One thread serves all connections. Every function asserts that what it needs works.
 */
#ifndef PG_PROXY_H
#define PG_PROXY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { PGP_PAIRS_MAX = 16 };

typedef enum pgp_action { PGP_PASS, PGP_CUT, PGP_FLIP } pgp_action;

/* What happens to the next connection that is made; those behind it pass. */
typedef struct pgp_plan {
    pgp_action action;
    bool to_client; /* the direction that is counted */
    uint64_t at;    /* CUT: after that many bytes; FLIP: byte number `at` (0: the first) is changed */
    uint8_t mask;   /* FLIP: its bits are */
    bool bytewise;  /* what the server says arrives byte by byte */
} pgp_plan;

typedef struct pgp_pair {
    int client, server; /* -1: free */
    uint64_t bytes[2];  /* to the server, to the client */
    pgp_plan plan;
} pgp_pair;

typedef struct pg_proxy {
    int fd;
    uint16_t port;
    pthread_t thread;
    int wake[2];
    pgp_pair pairs[PGP_PAIRS_MAX]; /* of the thread */
    pthread_mutex_t lock;          /* Sync: what follows */
    pgp_plan plan;
    uint64_t most[2]; /* bytes of the longest connection since the plan was made */
    bool is_deaf;
} pg_proxy;

void pgp_start(pg_proxy *p);
void pgp_stop(pg_proxy *p);
void pgp_set(pg_proxy *p, pgp_plan plan);
uint64_t pgp_most(pg_proxy *p, bool to_client);
/* From now on nobody takes new connections: the kernel makes them, and they are not answered. Those that are there go on. */
void pgp_deafen(pg_proxy *p);

#endif
