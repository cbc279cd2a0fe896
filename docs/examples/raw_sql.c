/*
 * raw_sql - statements by hand: `?` is a parameter on every provider, values are never put into the text.
 */
#include "blog.h"

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);
    write_posts(loop, 10);

    /* count: the rows that were affected. */
    nx_completion c = must(loop, nx_execute(db, "UPDATE post SET draft = ? WHERE id <= ?", nx_args(false, 4), NULL));
    check(c.count == 4, "four rows");

    /* Rows of named, typed values. */
    c = must(loop, nx_select_raw(db, "SELECT id, title FROM post WHERE draft = ? ORDER BY id", nx_args(false), NULL));
    check(c.raw->row_count == 4 && c.raw->column_count == 2, "four rows of two columns");
    for (size_t row = 0; row < c.raw->row_count; row++) {
        nx_value id = nx_rows_at(c.raw, row, 0), title = nx_rows_at(c.raw, row, 1);
        printf("%s %lld, %s %.*s\n", c.raw->names[0], (long long)id.i64, c.raw->names[1], (int)title.text.size, title.text.data);
    }
    nx_seen(loop, &c);

    /* Entities from a statement by hand: columns are matched by their names. */
    c = must(loop, nx_fetch_sql(db, &Post_entity, "SELECT * FROM post WHERE score % 5 = ?", nx_args(0), NULL));
    check(c.count == 2, "5 and 10");
    nx_seen(loop, &c);

    /* In a session: part of its transaction, and what is pending is flushed before it. */
    nx_session *s = nx_session_begin(loop, NULL);
    Author *a = nx_new(s, Author);
    a->name = nx_str("Ada");
    c = must(loop, nx_session_execute(s, db, "UPDATE post SET author_id = (SELECT id FROM author WHERE name = ?)", nx_args("Ada"),
                                      NULL));
    check(c.count == 10, "all posts are hers");
    c = must(loop, nx_session_select_raw(s, db, "SELECT COUNT(*) FROM post WHERE author_id = ?", nx_args(a->id), NULL));
    check(nx_rows_at(c.raw, 0, 0).i64 == 10, "the session sees its own writes");
    nx_seen(loop, &c);
    must(loop, nx_rollback(s, NULL));
    nx_session_free(s);
    check(must(loop, nx_count(nx_filter(nx_select(db, Post), nx_is_not_null(Post_.author)), NULL)).count == 0, "none, after all");

    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
