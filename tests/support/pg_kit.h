/*
 * pg_kit - the PostgreSQL server of a test run: an empty schema for each test, and SQL by libpq to look from outside.
 *
 * The server is the one that tests/servers made; it is found by the variables NX_TEST_POSTGRES_*, and a test without them fails.
 * A schema is empty after a millisecond, where a database takes fifty, and tests of any number of processes do not meet: names
 * are drawn at random and the schema is all of search_path. What is not part of a schema (locks, roles, channels of NOTIFY,
 * activity) is shared. Every function asserts that what it needs works.
 */
#ifndef PG_KIT_H
#define PG_KIT_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "nextorm.h"

typedef enum pgk_way {
    PGK_SOCKET,    /* Unix socket, no password, no TLS */
    PGK_PLAIN,     /* TCP, password, no TLS */
    PGK_TLS,       /* TCP, password, TLS with the name and the certificate verified */
    PGK_POOLER,    /* pgbouncer in transaction mode, by TCP, with up to 4 server sessions */
    PGK_POOLER_ONE /* the same, with one server session for everybody */
} pgk_way;

typedef struct pg_kit {
    char schema[48]; /* needs no quotes */
    char dsn[512];   /* of pgk_options */
    bool has_role;   /* named as the schema, which is the role's search_path: pgbouncer takes no options from a client */
    char port[8];
    PGconn *conn; /* on the schema, by the Unix socket; session parameters as the driver sets them */
} pg_kit;

/* A new empty schema. */
void pgk_open(pg_kit *k);
/* The schema goes with everything in it. Not open: no effect. */
void pgk_close(pg_kit *k);
/*
 * How to bind to that schema; the strings live as long as the kit, until the next call. But for a pooler, the schema is
 * application_name too: pg_stat_activity tells those connections from all others.
 */
nx_bind_options pgk_options(pg_kit *k, pgk_way way);

/* NX_TEST_POSTGRES_<name>: HOST PORT SOCKET DBNAME USER PASSWORD PLAIN_USER PLAIN_PASSWORD TLS CA DATA BIN LOG DIR SERVERS
 * POOLER_PORT POOLER_SOCKET. */
const char *pgk_env(const char *name);
uint16_t pgk_port(void);
uint16_t pgk_pooler_port(void);
/* One more connection of libpq to the schema, as k->conn; PQfinish ends it. */
PGconn *pgk_connect(const pg_kit *k);

/* Run a text of one or more statements that must succeed. */
void pgk_do(pg_kit *k, const char *sql);
/* The first value of the first row; pgk_text copies at most size - 1 bytes of it and gives `buffer`; NULL is "". */
int64_t pgk_number(pg_kit *k, const char *sql);
char *pgk_text(pg_kit *k, const char *sql, char *buffer, size_t size);

/* A loop of this thread, and a database on it that is bound so. */
nx_db *pgk_bind(const nx_bind_options *options, const nx_entity *const *entities, nx_loop **ret_loop);
void pgk_map(nx_loop *loop, nx_db *db, unsigned flags);

/* The end of a statement that was sent by PQsendQuery and must succeed; meanwhile the loop turns, which may be in its way. */
void pgk_finish(pg_kit *k, nx_loop *loop);
/* Until a query gives a number that is not 0. Meanwhile the loop, unless it is NULL, sends what is queued. */
void pgk_wait_for(pg_kit *k, nx_loop *loop, const char *sql);
/* Until so many of the connections that pgk_options made are in pg_sleep, in a statement that has those words. */
void pgk_wait_for_sleepers(pg_kit *k, nx_loop *loop, const char *words, int count);
/* End a session and wait for its end so long; whether it was seen. */
bool pgk_kill(pg_kit *k, int64_t pid, int wait_ms);

#endif
