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

/* What becomes of the next bytes of any connection. That connection is cut then, but for HELD. */
typedef enum pgp_seizure {
    PGP_NONE,
    PGP_ANSWER,  /* what the server says is lost */
    PGP_REQUEST, /* what the client says is lost */
    PGP_LATE,    /* what the client says is kept until pgp_deliver; the server does not learn of the cut */
    PGP_HELD     /* as LATE, but for the client the server is only silent */
} pgp_seizure;

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
    pgp_seizure seizure;
    int late_fd; /* LATE, HELD: the server's side; -1: none */
    uint8_t late[16384];
    size_t late_size;
    uint64_t most[2]; /* bytes of the longest connection since the plan was made */
    bool is_deaf, has_acted;
} pg_proxy;

void pgp_start(pg_proxy *p);
void pgp_stop(pg_proxy *p);
void pgp_set(pg_proxy *p, pgp_plan plan);
void pgp_seize(pg_proxy *p, pgp_seizure seizure);
/* Until there were such bytes. */
void pgp_wait_seized(pg_proxy *p);
/* All connections that there are, now. */
void pgp_cut_all(pg_proxy *p);
/* What was kept arrives; at most size - 1 bytes of what the server says to it, and zero bytes become spaces. NULL: it says
 * nothing, and ends the connection. */
void pgp_deliver(pg_proxy *p, char *ret_answer, size_t size);
uint64_t pgp_most(pg_proxy *p, bool to_client);
/* The last plan came to its byte. */
bool pgp_has_acted(pg_proxy *p);
/* From now on nobody takes new connections: the kernel makes them, and they are not answered. Those that are there go on. */
void pgp_deafen(pg_proxy *p);

#endif
