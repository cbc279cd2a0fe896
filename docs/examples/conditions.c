/*
 * conditions - as expressions of C, which allocate nothing, and as text, whose values are always bound.
 */
#include "blog.h"

static int64_t count(nx_loop *loop, nx_query *q)
{
    return must(loop, nx_count(q, NULL)).count;
}

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);
    write_posts(loop, 20);

    /* Conditions nest; every value may be a number, a text, a date ... */
    nx_query *q = nx_filter(nx_select(db, Post), nx_or(nx_between(Post_.score, 5, 7), nx_in(Post_.title, "Post 1", "Post 20")));
    check(count(loop, q) == 5, "5, 6, 7, 1 and 20");
    q = nx_filter(nx_select(db, Post), nx_and(nx_like(Post_.title, "Post 1%"), nx_not(nx_is_null(Post_.score))));
    check(count(loop, q) == 11, "1 and 10 to 19");
    check(count(loop, nx_filter(nx_select(db, Post), nx_starts_with(Post_.title, "Post 2"))) == 2, "2 and 20");

    /* A list of any length, from an array. */
    nx_value ids[1000];
    for (int i = 0; i < 1000; i++)
        ids[i] = nx_value_i64(i + 11);
    check(count(loop, nx_filter(nx_select(db, Post), nx_in_values(Post_.id, ids, 1000))) == 10, "11 to 20");

    /* The same as text: names are fields, a dot follows a reference. */
    q = nx_where(nx_select(db, Post), "score >= ? and (title like ? or author.name = ?)", nx_args(10, "Post 1%", "Ada"));
    check(count(loop, q) == 10, "10 to 19");

    /* A mistake in the text is the terminal's completion; it knows where. */
    nx_completion c = nx_await(loop, nx_count(nx_where(nx_select(db, Post), "score >= ? and colour = 1", nx_args(10)), NULL));
    check(c.status == NX_ENOFIELD, "there is no colour");
    printf("%s, at character %d\n", c.error->message, c.error->position);

    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
