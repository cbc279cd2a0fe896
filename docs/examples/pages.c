/*
 * pages - by number, and by the last row of the page before, which costs the same on every page.
 */
#include "blog.h"

enum { SIZE = 7 };

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);
    write_posts(loop, 30);
    nx_query *all = nx_query_keep(nx_order_by(nx_select(db, Post), nx_desc(Post_.draft), nx_asc(Post_.title)));

    nx_completion c = must(loop, nx_fetch_all(nx_page(all, 5, SIZE), NULL));
    check(c.count == 2, "two rows on the fifth page");
    nx_seen(loop, &c);

    /* Keyset: the primary key is added to the order, so that rows that are alike have a place too. */
    int rows = 0;
    c = must(loop, nx_fetch_all(nx_limit(all, SIZE), NULL));
    while (c.count > 0) {
        rows += (int)c.count;
        nx_completion next = must(loop, nx_fetch_all(nx_limit(nx_after_row(all, c.rows[c.count - 1]), SIZE), NULL));
        nx_seen(loop, &c);
        c = next;
    }
    check(rows == 30, "each row once");

    /* From a place that a client sent back: a value for each term of the order, then the key. */
    nx_value place[] = { nx_value_boolean(true), nx_value_str("Post 7"), nx_value_i64(7) };
    c = must(loop, nx_fetch_all(nx_limit(nx_after(all, place, 3), SIZE), NULL));
    check(c.count == 2 && ((Post *)c.rows[0])->id == 8, "8 and 9 come behind 7 in the order of texts");
    nx_seen(loop, &c);

    nx_query_free(all);
    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
