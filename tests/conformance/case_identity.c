/*
 * identity - a session knows each row once; what loading does to a row that is known, clean or changed.
 */
#include "cases.h"

CASE(identity, the_same_row_is_the_same_object)
{
    Post *stored = nxt_post(f, "post", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    Post *a = ONE(f, Post, nx_filter(nx_select(s, Post), nx_eq(Post_.title, "post")));
    Post *b = ONE(f, Post, nx_filter(nx_select(s, Post), nx_eq(Post_.score, 1)));
    nx_completion c = OK(f, nx_get(s, Post, nx_eq(Post_.id, stored->id), NULL));
    cr_expect_eq(a, b);
    cr_assert_eq(c.count, 1);
    cr_expect_eq(c.rows[0], a);
    nxt_seen(f, &c);
    cr_expect_eq(nx_session_find(s, &Post_entity, nx_args(stored->id)), a);
    nxt_end(f, s);
}

CASE(identity, new_row_is_known_after_its_flush)
{
    nx_session *s = nxt_session(f, NULL);
    Post *p = nx_new(s, Post);
    p->title = nx_str("new");
    OK(f, nx_flush(s, NULL));
    cr_expect_eq(nx_session_find(s, &Post_entity, nx_args(p->id)), p);
    cr_expect_eq(ONE(f, Post, nx_select(s, Post)), p);
    nxt_end(f, s);
}

CASE(identity, clean_object_takes_the_newer_row)
{
    Post *stored = nxt_post(f, "old", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_select(s, Post));
    stored->title = nx_str("new");
    OK(f, nx_save(f->db, stored, NULL));
    cr_expect_eq(ONE(f, Post, nx_select(s, Post)), p);
    TEXT_IS(p->title, "new");
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0);
    nxt_end(f, s);
}

CASE(identity, dirty_object_keeps_its_changes)
{
    Post *stored = nxt_post(f, "old", 1, NULL);
    nx_session *s = nxt_session(f, &(nx_session_options){ .no_auto_flush = true });
    Post *p = ONE(f, Post, nx_select(s, Post));
    p->title = nx_str("mine");
    stored->title = nx_str("theirs");
    OK(f, nx_save(f->db, stored, NULL));
    cr_expect_eq(ONE(f, Post, nx_select(s, Post)), p);
    TEXT_IS(p->title, "mine");
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "mine")), NULL)), 1);
}

CASE(identity, get_of_a_known_key_runs_no_statement)
{
    Post *stored = nxt_post(f, "post", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_select(s, Post));
    size_t count = 99;
    CHECK(nx_capture_begin(f->db));
    nx_completion c = OK(f, nx_get(s, Post, nx_eq(Post_.id, stored->id), NULL));
    nx_capture_end(f->db, &count);
    cr_expect_eq(count, 0U);
    cr_assert_eq(c.count, 1);
    cr_expect_eq(c.rows[0], p);
    nxt_seen(f, &c);
    nxt_end(f, s);
}

CASE(identity, find_never_asks_the_database)
{
    Post *stored = nxt_post(f, "post", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    cr_expect_null(nx_session_find(s, &Post_entity, nx_args(stored->id)));
    cr_expect_null(nx_session_find(s, &Post_entity, nx_args("no number")));
    cr_expect_null(nx_session_find(s, &Post_entity, nx_args(1, 2)));
    cr_expect_null(nx_session_find(s, &Post_entity, nx_no_args));
    nxt_end(f, s);
}

CASE(identity, deleted_row_is_forgotten)
{
    Post *stored = nxt_post(f, "post", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_select(s, Post));
    CHECK(nx_session_delete(s, p));
    OK(f, nx_flush(s, NULL));
    cr_expect_null(nx_session_find(s, &Post_entity, nx_args(stored->id)));
    cr_expect_null(ONE(f, Post, nx_select(s, Post)));
    nx_completion c = OK(f, nx_get(s, Post, nx_eq(Post_.id, stored->id), NULL));
    cr_expect_eq(c.count, 0);
    nxt_end(f, s);
}

CASE(identity, composite_keys)
{
    nx_session *s = nxt_session(f, NULL);
    City *city[4];
    for (int i = 0; i < 4; i++) {
        city[i] = nx_new(s, City);
        city[i]->country = i / 2;
        city[i]->code = nx_str(i % 2 == 0 ? "A" : "B");
        city[i]->name = nx_str("city");
    }
    OK(f, nx_commit(s, NULL));
    for (int i = 0; i < 4; i++)
        cr_expect_eq(nx_session_find(s, &City_entity, nx_args(i / 2, i % 2 == 0 ? "A" : "B")), city[i]);
    cr_expect_null(nx_session_find(s, &City_entity, nx_args(9, "A")));
    nx_completion c = OK(f, nx_fetch_all(nx_order_by(nx_select(s, City), nx_asc(City_.country), nx_asc(City_.code)), NULL));
    cr_assert_eq(c.count, 4);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(c.rows[i], city[i]);
    nxt_seen(f, &c);
    nxt_end(f, s);
}

CASE(identity, rows_outlive_the_completion)
{
    nxt_posts(f, 100);
    nx_session *s = nxt_session(f, NULL);
    nx_completion c = OK(f, nx_fetch_all(nx_order_by(nx_select(s, Post), nx_asc(Post_.id)), NULL));
    Post *first = c.rows[0], *last = c.rows[99];
    nxt_seen(f, &c);
    OK(f, nx_session_end(s, NULL));
    TEXT_IS(first->title, "post 0");
    TEXT_IS(last->title, "post 99");
    nx_session_free(s);
}

CASE(identity, duplicates_within_a_result)
{
    nxt_post(f, "post", 1, nxt_author(f, "a"));
    nx_session *s = nxt_session(f, NULL);
    nx_completion c = OK(f, nx_fetch_all(nx_select(s, Post), NULL));
    nx_completion d = OK(f, nx_fetch_all(nx_select(s, Post), NULL));
    cr_expect_eq(c.rows[0], d.rows[0]);
    nxt_seen(f, &c);
    nxt_seen(f, &d);
    nxt_end(f, s);
}

CASE(identity, lazy_field_of_a_known_row)
{
    Post *stored = nx_make(f->db, Post);
    stored->title = nx_str("title");
    stored->body = nx_some(text, nx_str("body"));
    OK(f, nx_save(f->db, stored, NULL));
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_select(s, Post));
    cr_expect_not(nx_row_is_loaded(p, Post_.body));
    p->title = nx_str("changed");
    OK(f, nx_load_lazy(p, Post_.body, NULL));
    cr_expect(nx_row_is_loaded(p, Post_.body));
    cr_expect(p->body.present);
    TEXT_IS(p->body.value, "body");
    TEXT_IS(p->title, "changed");
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 1);
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_where(nx_select(f->db, Post), "title = 'changed' and body = 'body'", nx_no_args), NULL)),
                 1);
}

CASE(identity, hits_are_counted)
{
    nxt_posts(f, 10);
    nx_session *s = nxt_session(f, NULL);
    COUNT(f, nx_fetch_all(nx_select(s, Post), NULL));
    const nx_stats *stats = nx_stats_get(f->db);
    cr_assert_not_null(stats);
    uint64_t before = stats->identity_hits;
    COUNT(f, nx_fetch_all(nx_select(s, Post), NULL));
    stats = nx_stats_get(f->db);
    cr_expect_eq(stats->identity_hits - before, 10U);
    nxt_end(f, s);
}
