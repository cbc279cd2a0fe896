/*
 * deadlines - how an operation ends that must not take for ever: by a deadline, or because it is cancelled. It always ends.
 */
#include "blog.h"

/* Counts to two thousand million. */
static const char endless[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT COUNT(*) FROM n";

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);

    nx_op op = nx_select_raw(db, endless, nx_no_args, NULL);
    check(nx_op_deadline(loop, op, 50) == NX_OK, "a deadline of 50 ms");
    nx_completion c = nx_await(loop, op);
    check(c.status == NX_EDEADLINE, "its time is up");
    printf("%s\n", c.error->message);

    op = nx_select_raw(db, endless, nx_no_args, NULL);
    check(nx_run_once(loop, 10) == NX_OK, "let it begin");
    check(nx_op_cancel(loop, op) == NX_OK, "ask it to stop");
    c = nx_await(loop, op);
    check(c.status == NX_ECANCELED, "it was stopped");

    /* A query can carry its own, a session or a database a default for all of theirs. */
    must(loop, nx_count(nx_query_deadline(nx_select(db, Post), 1000), NULL));
    check(nx_op_cancel(loop, op) == NX_ESTALE, "an old handle does no harm");

    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
