/*
 * pg_front - servers that are not quite PostgreSQL: with another certificate, with words of the test's, or silent.
 *
 * Each listens on a port of its own of 127.0.0.1, in a child process (but for the silent one) that ends with pgf_stop. Every
 * function asserts that what it needs works.
 */
#ifndef PG_FRONT_H
#define PG_FRONT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct pg_front {
    int fd; /* listens */
    pid_t child;
    uint16_t port;
} pg_front;

/* TLS with <TLS>/<name>.crt and .key, and behind it the real server; as many connections as come, one after the other. */
void pgf_start_tls(pg_front *f, const char *name);
/* Takes a connection, reads a message, says the words, reads until the other end closes; again. */
void pgf_start_script(pg_front *f, const void *words, size_t size);
/* Connections are made by the kernel, and nobody ever answers. */
void pgf_start_silent(pg_front *f);
void pgf_stop(pg_front *f);

#endif
