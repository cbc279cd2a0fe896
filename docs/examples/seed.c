/*
 * seed - the whole tour: declare, bind, map, write in a session and without one, query, delete, close.
 */
#include <nextorm.h>
#include <stdio.h>

#define POST(FIELD, E)                                                                             \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, title)                                                                     \
    FIELD(E, REQ, text, body)
NX_ENTITY(Post, POST)

int main(void)
{
    nx_loop *loop;
    nx_error error;
    if (nx_loop_open(NULL, &loop, &error) != NX_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }

    /* nx_await runs the loop until that operation is done: one line, one answer. */
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Post));
    nx_completion c = nx_await(loop, nx_bind(db, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL));
    if (c.status == NX_OK)
        c = nx_await(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    if (c.status != NX_OK) {
        fprintf(stderr, "%s\n", c.error->message);
        nx_loop_close(loop);
        return 1;
    }

    /* In a session: the INSERT leaves at its end, together with the COMMIT. */
    nx_session *s = nx_session_begin(loop, NULL);
    Post *p = nx_new(s, Post);
    p->title = nx_str("Hello");
    p->body = nx_str("World");
    c = nx_await(loop, nx_session_end(s, NULL));
    printf("%s, the new post has number %lld\n", nx_status_name(c.status), (long long)p->id);
    bool good = c.status == NX_OK && p->id == 1;
    nx_session_free(s);

    /* Or save explicitly, outside a session. */
    Post *p2 = nx_make(db, Post);
    p2->title = nx_str("World");
    p2->body = nx_str("Hello");
    good = good && nx_await(loop, nx_save(db, p2, NULL)).status == NX_OK && p2->id == 2;

    /* Select. */
    c = nx_await(loop, nx_fetch_all(nx_filter(nx_select(db, Post), nx_eq(Post_.title, "Hello")), NULL));
    good = good && c.status == NX_OK && c.count == 1;
    for (int64_t i = 0; i < c.count; i++) {
        Post *post = c.rows[i];
        printf("%lld: %.*s, %.*s\n", (long long)post->id, (int)post->title.size, post->title.data, (int)post->body.size,
               post->body.data);
    }

    /* Delete what was found, then give the rows back. */
    if (c.count > 0) {
        good = good && nx_await(loop, nx_delete(db, c.rows[0], NULL)).status == NX_OK;
        nx_seen(loop, &c);
    }

    good = good && nx_await(loop, nx_count(nx_select(db, Post), NULL)).count == 1;
    good = good && nx_await(loop, nx_close(db, NULL)).status == NX_OK;
    nx_db_free(db);
    nx_loop_close(loop);
    return good ? 0 : 1;
}
