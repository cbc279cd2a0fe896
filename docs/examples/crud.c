/*
 * crud - one row at a time, without a session: each call is a transaction of its own.
 */
#include "blog.h"

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);

    /* nx_make gives a row with its initial values; nx_save inserts it, its key is there afterwards. */
    Post *p = nx_make(db, Post);
    p->title = nx_str("First");
    p->body = nx_str("...");
    must(loop, nx_save(db, p, NULL));
    check(p->id > 0 && p->draft, "the key is assigned, the initial value is set");

    /* The second save is an UPDATE of the columns that changed, here one. */
    p->draft = false;
    must(loop, nx_save(db, p, NULL));

    /* nx_insert inserts in any case, with the key that the caller chose. */
    Post *q = nx_make(db, Post);
    q->id = 1000;
    q->title = nx_str("Chosen number");
    q->body = nx_str("...");
    must(loop, nx_insert(db, q, NULL));

    /* By its key; nothing found would be a count of 0, two rows an error. */
    nx_completion c = must(loop, nx_get(db, Post, nx_eq(Post_.id, 1000), NULL));
    check(c.count == 1, "one row has that key");

    /* A lazy field stays away until it is asked for. */
    Post *found = c.rows[0];
    check(!nx_row_is_loaded(found, Post_.body), "the body is not loaded");
    must(loop, nx_load_lazy(found, Post_.body, NULL));
    printf("%.*s: %.*s\n", (int)found->title.size, found->title.data, (int)found->body.size, found->body.data);
    nx_seen(loop, &c);

    /* Or a query takes it along. */
    c = must(loop, nx_fetch_all(nx_with_lazy(nx_select(db, Post), Post_.body), NULL));
    check(c.count == 2 && nx_row_is_loaded(c.rows[0], Post_.body), "the bodies came with the rows");
    nx_seen(loop, &c);

    must(loop, nx_delete(db, q, NULL));
    check(must(loop, nx_count(nx_select(db, Post), NULL)).count == 1, "one post is left");

    /* A mistake is found before anything is sent, and its message names the field. */
    Post *bad = nx_make(db, Post);
    bad->body = nx_str("a post without a title");
    c = nx_await(loop, nx_save(db, bad, NULL));
    check(c.status == NX_EREQUIRED, "the title is required");
    printf("%s\n", c.error->message);

    must(loop, nx_close(db, NULL));
    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
