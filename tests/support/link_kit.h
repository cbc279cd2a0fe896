/*
 * link_kit - one connection to PostgreSQL that only nxi_pg_link_open made, and as much of the protocol as it takes to ask
 * something.
 *
 * Every function asserts that what it needs works.
 */
#ifndef LINK_KIT_H
#define LINK_KIT_H

#include "drivers/postgres/link.h"

typedef struct link_kit {
    nxi_memory *memory;
    nxi_pg_link link;
    int fd;
    nx_error error;
    nx_bind_options options;
    char dsn[1024];
    nxi_buf answer;
} link_kit;
/* Options for the run's server by TCP, as the superuser. */
void lk_begin(link_kit *p);
/* Closes. */
void lk_leave(link_kit *p);
void lk_set_dsn(link_kit *p, const char *format, ...) NX_PRINTF(2, 3);

/* nxi_pg_check_options and nxi_pg_link_open. */
nx_status lk_open_now(link_kit *p);
void lk_opens(link_kit *p);
/* The message holds the words and no password, the SQLSTATE is that one ("": none), and everything is closed again. */
void lk_refuses(link_kit *p, nx_status expected, const char *sqlstate, const char *words);

/* Bytes, through TLS if there is one. */
void lk_tell(link_kit *p, const void *data, size_t size);
void lk_tell_query(link_kit *p, const char *sql);
/* Up to ReadyForQuery: the body of the first message of that type, valid until the next call; NULL: there is none. */
const uint8_t *lk_hear_all(link_kit *p, char type, size_t *ret_size);
/* A query that gives one text: it is that. */
void lk_answers(link_kit *p, const char *sql, const char *expected);

#endif
