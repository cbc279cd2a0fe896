/*
 * blog - the entities of the examples, and what they do about errors.
 *
 * An entity is declared once, by a list of fields. NX_ENTITY makes of it the struct (Post), the descriptor (Post_entity) and
 * the column handles (Post_.title).
 */
#ifndef BLOG_H
#define BLOG_H

#include <stdio.h>
#include <stdlib.h>

#include <nextorm.h>

#define AUTHOR(FIELD, E)                                                                           \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, name, .max_len = 64, .unique = true)
NX_ENTITY(Author, AUTHOR)

#define POST(FIELD, E)                                                                             \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, title, .max_len = 200)                                                     \
    FIELD(E, REQ, text, body, .lazy = NX_ON)                                                       \
    FIELD(E, OPT, i32, score)                                                                      \
    FIELD(E, REQ, boolean, draft, .initial = "true")                                               \
    FIELD(E, SINGLE, Author, author, .optional = true)
NX_ENTITY(Post, POST, .table = "post")

/* End the program when something is not as the example says. */
static inline void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* Wait for an operation that has to succeed. */
static inline nx_completion must(nx_loop *loop, nx_op op)
{
    nx_completion c = nx_await(loop, op);
    if (c.status != NX_OK) {
        fprintf(stderr, "%s: %s\n", nx_status_name(c.status), c.error->message);
        exit(EXIT_FAILURE);
    }
    return c;
}

static inline nx_loop *open_loop(void)
{
    nx_loop *loop = NULL;
    nx_error error;
    if (nx_loop_open(NULL, &loop, &error) != NX_OK) {
        fprintf(stderr, "%s\n", error.message); /* says what to change when io_uring is blocked */
        exit(EXIT_FAILURE);
    }
    return loop;
}

/* A database in memory with the tables of this file. */
static inline nx_db *open_blog(nx_loop *loop)
{
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Author, Post));
    check(db != NULL, "memory for a database");
    must(loop, nx_bind(db, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL));
    must(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    return db;
}

/* Save `count` posts: "Post 1", score 1, and so on. */
static inline void write_posts(nx_loop *loop, int count)
{
    nx_session *s = nx_session_begin(loop, NULL);
    char(*titles)[32] = calloc((size_t)count, sizeof(*titles));
    check(s != NULL && titles != NULL, "memory for posts");
    for (int i = 0; i < count; i++) {
        Post *p = nx_new(s, Post);
        check(p != NULL, "a new post");
        snprintf(titles[i], sizeof(titles[i]), "Post %d", i + 1);
        p->title = nx_str(titles[i]);
        p->body = nx_str("...");
        p->score = nx_some(i32, i + 1);
    }
    must(loop, nx_session_end(s, NULL));
    nx_session_free(s);
    free(titles);
}

#endif
