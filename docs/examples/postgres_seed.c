/*
 * postgres_seed - the whole tour on PostgreSQL: a pool, the tables, a session, rows without one, queries, raw SQL, and a session
 * over a server and a file together.
 */
#include "server.h"

#define NOTE(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, words)
NX_ENTITY(Note, NOTE)

static void write_rows(nx_loop *loop, nx_db *db)
{
    /* BEGIN, INSERT and COMMIT are one round trip. */
    nx_session *s = nx_session_begin(loop, NULL);
    Post *p = nx_new(s, Post);
    p->title = nx_str("Hello");
    p->body = nx_str("World");
    must(loop, nx_session_end(s, NULL));
    check(p->id == 1, "the server has numbered it");
    nx_session_free(s);

    Post *p2 = nx_make(db, Post);
    p2->title = nx_str("World");
    p2->body = nx_str("Hello");
    must(loop, nx_save(db, p2, NULL));
    p2->score = nx_some(i32, 7);
    must(loop, nx_save(db, p2, NULL)); /* UPDATE of one column */
    nx_release_row(db, p2);
}

static void ask(nx_loop *loop, nx_db *db)
{
    nx_completion c = must(loop, nx_fetch_all(nx_filter(nx_select(db, Post), nx_eq(Post_.title, "Hello")), NULL));
    check(c.count == 1, "one post");
    nx_seen(loop, &c);
    check(must(loop, nx_count(nx_select(db, Post), NULL)).count == 2, "two posts");
    check(must(loop, nx_exists(nx_filter(nx_select(db, Post), nx_ilike(Post_.title, "hell%")), NULL)).count == 1, "it is there");
    nx_query *all = nx_select(db, Post);
    check(must(loop, nx_update_all(all, NULL, nx_assign(Post_.draft, false))).count == 2, "both are published");

    /* `?` is a parameter on every provider; the server says which type it is. */
    check(must(loop, nx_execute(db, "UPDATE post SET score = score + ? WHERE score IS NOT NULL", nx_args(1), NULL)).count == 1,
          "one");
    c = must(loop, nx_select_raw(db, "SELECT title, score FROM post WHERE draft = ? ORDER BY id", nx_args(false), NULL));
    check(c.raw->row_count == 2 && nx_rows_at(c.raw, 0, 1).type == NX_TYPE_null && nx_rows_at(c.raw, 1, 1).i64 == 8,
          "as written");
    nx_seen(loop, &c);
    check(must(loop, nx_delete_all(nx_filter(nx_select(db, Post), nx_eq(Post_.title, "World")), NULL)).count == 1,
          "one is deleted");
}

/* One unit of work on a server and in a file. All is flushed before the first commit. */
static void write_both(nx_loop *loop, nx_db *db)
{
    nx_db *file = nx_db_new(loop, NX_ENTITIES(Note));
    must(loop, nx_bind(file, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL));
    must(loop, nx_generate_mapping(file, NX_CREATE_TABLES, NULL));
    nx_session *s = nx_session_begin(loop, NULL);
    Post *p = nx_new(s, Post);
    p->title = nx_str("On the server");
    p->body = nx_str("...");
    Note *n = nx_new(s, Note);
    n->words = nx_str("In the file");
    must(loop, nx_session_end(s, NULL));
    nx_session_free(s);
    check(must(loop, nx_count(nx_select(db, Post), NULL)).count == 2, "a post here");
    check(must(loop, nx_count(nx_select(file, Note), NULL)).count == 1, "a note there");
    nx_db_free(file);
}

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Author, Post));
    bind_server(loop, db, "example_seed", &(nx_bind_options){ .pool_min = 2, .pool_max = 10, .pool_timeout_ms = 30000 });
    must(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    write_rows(loop, db);
    ask(loop, db);
    write_both(loop, db);
    drop_schema(loop, db, "example_seed");
    must(loop, nx_close(db, NULL));
    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
