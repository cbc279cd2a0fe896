/*
 * sessions - a unit of work: new rows, changed rows and deleted rows leave together, in an order that works, in one transaction.
 */
#include "blog.h"

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);

    /* The post comes before its author here; the flush knows better. */
    nx_session *s = nx_session_begin(loop, NULL);
    Post *p = nx_new(s, Post);
    Author *a = nx_new(s, Author);
    p->title = nx_str("Notes on the Analytical Engine");
    p->body = nx_str("...");
    nx_set_ref(p->author, a);
    a->name = nx_str("Ada");
    must(loop, nx_flush(s, NULL)); /* written, not yet committed */
    check(a->id > 0 && p->id > 0, "keys are known after the flush");

    /* A session knows each row once. Reading it again gives the same object. */
    nx_completion c = must(loop, nx_fetch_one(nx_select(s, Post), NULL));
    check(c.rows[0] == p, "the same row is the same object");
    nx_seen(loop, &c); /* rows of a session stay valid until nx_session_free */

    p->score = nx_some(i32, 10);     /* an assignment is all that a change needs */
    must(loop, nx_commit(s, NULL)); /* UPDATE and COMMIT; the session goes on */

    p->score = nx_some(i32, -1);
    must(loop, nx_rollback(s, NULL));  /* undo what was not committed ... */
    must(loop, nx_refresh(s, p, NULL)); /* ... and read what is stored */
    check(p->score.value == 10, "the committed score");

    check(nx_session_delete(s, p) == NX_OK, "marked for deletion");
    must(loop, nx_session_end(s, NULL)); /* DELETE, COMMIT, end */
    check(nx_session_outcome(s) == NX_OUTCOME_COMMITTED, "committed");
    nx_session_free(s);

    /* As a block: flushed and committed when it is left at its end. */
    Author *b = NULL;
    nx_with_session(s, loop)
    {
        b = nx_new(s, Author);
        b->name = nx_str("Grace");
    }
    check(nx_session_is_ended(s) && b->id > 0, "written at the end of the block");
    nx_session_free(s);

    check(must(loop, nx_count(nx_select(db, Author), NULL)).count == 2, "two authors");
    check(must(loop, nx_count(nx_select(db, Post), NULL)).count == 0, "no post");
    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
