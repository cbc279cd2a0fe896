/*
 * queries - every way to end a query: all rows, one row, counts, aggregates, and writes over many rows.
 */
#include "blog.h"

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);
    write_posts(loop, 10);

    /* A builder step takes a query and returns the next one; the last call runs it. */
    nx_query *q = nx_select(db, Post);
    q = nx_filter(q, nx_gt(Post_.score, 3));
    q = nx_order_by(q, nx_desc(Post_.score));
    q = nx_limit(q, 3);
    nx_completion c = must(loop, nx_fetch_all(q, NULL));
    check(c.count == 3, "three rows");
    for (int64_t i = 0; i < c.count; i++) {
        Post *p = c.rows[i];
        printf("%.*s\n", (int)p->title.size, p->title.data);
    }
    nx_seen(loop, &c); /* the rows are not valid any more */

    c = must(loop, nx_fetch_one(nx_filter(nx_select(db, Post), nx_eq(Post_.id, 1)), NULL));
    check(c.count == 1, "the first row");
    nx_seen(loop, &c);

    c = must(loop, nx_get(db, Post, nx_eq(Post_.title, "Post 7"), NULL));
    check(c.count == 1 && ((Post *)c.rows[0])->id == 7, "the only row of that title");
    nx_seen(loop, &c);

    /* NULL instead of a database: the first one of this thread that maps the entity. */
    check(must(loop, nx_count(nx_select(NULL, Post), NULL)).count == 10, "ten posts");
    check(must(loop, nx_exists(nx_filter(nx_select(db, Post), nx_eq(Post_.id, 99)), NULL)).count == 0, "no post 99");
    check(must(loop, nx_sum(nx_select(db, Post), Post_.score, NULL)).value.i64 == 55, "the sum of 1 to 10");

    /* One statement for many rows; count is the number of affected ones. */
    c = must(loop, nx_update_all(nx_filter(nx_select(db, Post), nx_eq(Post_.draft, true)), NULL, nx_assign(Post_.draft, false)));
    check(c.count == 10, "ten rows updated");
    c = must(loop, nx_delete_all(nx_filter(nx_select(db, Post), nx_le(Post_.score, 5)), NULL));
    check(c.count == 5, "five rows deleted");

    /* A kept query is a constant: it runs any number of times, and steps on it make new ones. */
    nx_query *all = nx_query_keep(nx_select(db, Post));
    check(must(loop, nx_count(all, NULL)).count == 5, "five are left");
    check(must(loop, nx_count(nx_filter(all, nx_gt(Post_.score, 8)), NULL)).count == 2, "two of them");
    printf("%s\n", nx_sql(all));
    nx_query_free(all);

    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
