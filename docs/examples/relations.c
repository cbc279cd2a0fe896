/*
 * relations - a reference by object or by key, conditions that go along it, and what a deletion does.
 */
#include "blog.h"

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);

    nx_session *s = nx_session_begin(loop, NULL);
    Author *ada = nx_new(s, Author);
    ada->name = nx_str("Ada");
    for (int i = 0; i < 3; i++) {
        Post *p = nx_new(s, Post);
        p->title = nx_str("By Ada");
        p->body = nx_str("...");
        nx_set_ref(p->author, ada); /* has no key yet: it is read when the post is written */
    }
    must(loop, nx_commit(s, NULL));

    Post *p = nx_new(s, Post);
    p->title = nx_str("By number");
    p->body = nx_str("...");
    nx_set_ref_key(p->author, ada->id);
    must(loop, nx_commit(s, NULL));

    /* A path over the reference makes the join. */
    nx_query *q = nx_filter(nx_select(s, Post), nx_like(nx_via(Post_.author, Author_.name), "A%"));
    nx_completion c = must(loop, nx_fetch_all(q, NULL));
    check(c.count == 4, "four posts");
    Post *found = c.rows[0];
    check(found->author.row == ada, "a row that the session knows is at hand");
    nx_seen(loop, &c);

    /* The reference is optional: it becomes NULL when the author goes. */
    check(nx_session_delete(s, ada) == NX_OK, "marked for deletion");
    must(loop, nx_session_end(s, NULL));
    nx_session_free(s);
    check(must(loop, nx_count(nx_filter(nx_select(db, Post), nx_is_null(Post_.author)), NULL)).count == 4,
          "four posts of nobody");

    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
