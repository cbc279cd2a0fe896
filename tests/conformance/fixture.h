/*
 * fixture - a bound and mapped database for one test, on any provider.
 *
 * A driver plugs into the conformance list by an nxt_provider: how to make an empty database, how to remove it.
 * The checking macros await an operation and end the test, with the error's message, when it did not end as it should.
 */
#ifndef NXT_FIXTURE_H
#define NXT_FIXTURE_H

#include <criterion/criterion.h>

#include "entities.h"

typedef struct nxt_fixture nxt_fixture;

typedef struct nxt_provider {
    const char *name; /* for nx_bind */
    /* Fill the options of an empty database; `number` tells the databases of one test apart. */
    void (*make)(nxt_fixture *f, int number, nx_bind_options *ret_options);
    void (*remove)(nxt_fixture *f);
} nxt_provider;

enum { NXT_PATH_SIZE = 128, NXT_DATABASES_MAX = 4 };

struct nxt_fixture {
    const nxt_provider *provider;
    nx_loop *loop;
    nx_db *db; /* mapped with the case's entities, tables created */
    nx_bind_options options;
    char directory[NXT_PATH_SIZE];
    char path[NXT_DATABASES_MAX][NXT_PATH_SIZE];
};

typedef void (*nxt_case)(nxt_fixture *f);

/* Run one case on an empty database with all entities mapped. */
void nxt_run(const nxt_provider *provider, nxt_case run);

/* The same for a case that maps entities of its own: it gets a loop and sets f->db. */
void nxt_run_unmapped(const nxt_provider *provider, nxt_case run);

/* A loop and the place for databases, nothing bound. */
void nxt_open(nxt_fixture *f, const nxt_provider *provider);
void nxt_close(nxt_fixture *f);
/* One more database of the same loop with these entities; `number` 0 is f->db's own. */
nx_db *nxt_database(nxt_fixture *f, int number, const nx_entity *const *entities);

/* All conformance entities but Every, ended by NULL. */
extern const nx_entity *const nxt_entities[];

/* Await and insist on a status; the message names the place. */
nx_completion nxt_await(nxt_fixture *f, nx_op op, nx_status status, const char *file, int line);
#define OK(f, op) nxt_await((f), (op), NX_OK, __FILE__, __LINE__)
#define FAILS(f, op, status) nxt_failed((f), (op), (status), __FILE__, __LINE__)
/* The error of an operation that has to fail so; valid until the next one is awaited. */
const nx_error *nxt_failed(nxt_fixture *f, nx_op op, nx_status status, const char *file, int line);
/* nx_seen for a completion that nx_await returned; those without rows are already given back. */
void nxt_seen(nxt_fixture *f, const nx_completion *c);
/* Await, insist on NX_OK, give back, return the count. */
int64_t nxt_count(nxt_fixture *f, nx_op op, const char *file, int line);
#define COUNT(f, op) nxt_count((f), (op), __FILE__, __LINE__)

#define CHECK(call) cr_assert_eq((call), NX_OK, "%s", #call)
#define MENTIONS(error, name) nxt_mentions((error), (name), __FILE__, __LINE__)
void nxt_mentions(const nx_error *error, const char *name, const char *file, int line);
#define TEXT_IS(value, literal)                                                                    \
    cr_assert(nxt_text_is((value), (literal)), "\"%.*s\" is not \"%s\"", (int)(value).size, (value).data, (literal))
bool nxt_text_is(nx_text text, const char *expected);

/* A saved row, made outside any session. */
Author *nxt_author(nxt_fixture *f, const char *name);
Post *nxt_post(nxt_fixture *f, const char *title, int32_t score, Author *author);
/* `count` posts "post 0".. with scores 0.., by the bulk call. */
void nxt_posts(nxt_fixture *f, int count);
/* A session of f->loop; the test ends when there is none. */
nx_session *nxt_session(nxt_fixture *f, const nx_session_options *options);
/* nx_session_end and nx_session_free. */
void nxt_end(nxt_fixture *f, nx_session *s);
/* The first row of a fetch in a session, NULL when there is none. */
#define ONE(f, E, query) ((E *)nxt_one((f), nx_fetch_one((query), NULL), __FILE__, __LINE__))
void *nxt_one(nxt_fixture *f, nx_op op, const char *file, int line);

#endif
