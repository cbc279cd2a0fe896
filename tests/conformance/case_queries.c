/*
 * queries - every verb of conditions, orders, limits, aggregates, set-based writes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cases.h"

/* Ten posts: titles "post 0".."post 9", scores 0..9, even ones drafts; and one "Extra" without a score. */
static void ten(nxt_fixture *f)
{
    nxt_posts(f, 10);
    Post *p = nx_make(f->db, Post);
    p->title = nx_str("Extra 100%_\\x");
    p->draft = false;
    OK(f, nx_save(f->db, p, NULL));
}

#define MATCHES(f, condition, expected)                                                                                          \
    cr_expect_eq(COUNT((f), nx_count(nx_filter(nx_select((f)->db, Post), (condition)), NULL)), (expected), "%s", #condition)
#define TEXT_MATCHES(f, expected, text, ...)                                                                                     \
    cr_expect_eq(COUNT((f), nx_count(nx_where(nx_select((f)->db, Post), (text), __VA_ARGS__), NULL)), (expected), "%s", (text))

CASE(queries, comparisons)
{
    ten(f);
    MATCHES(f, nx_eq(Post_.score, 5), 1);
    MATCHES(f, nx_ne(Post_.score, 5), 9);
    MATCHES(f, nx_lt(Post_.score, 5), 5);
    MATCHES(f, nx_le(Post_.score, 5), 6);
    MATCHES(f, nx_gt(Post_.score, 5), 4);
    MATCHES(f, nx_ge(Post_.score, 5), 5);
    MATCHES(f, nx_between(Post_.score, 3, 5), 3);
    MATCHES(f, nx_is_null(Post_.score), 1);
    MATCHES(f, nx_is_not_null(Post_.score), 10);
    MATCHES(f, nx_eq(Post_.score, nx_null()), 1);
    MATCHES(f, nx_ne(Post_.score, nx_null()), 10);
    MATCHES(f, nx_eq(Post_.draft, true), 5);
    MATCHES(f, nx_eq(Post_.draft, false), 6);
    MATCHES(f, nx_eq(Post_.title, "post 3"), 1);
    MATCHES(f, nx_eq(Post_.title, nx_strn("post 33", 6)), 1);
}

CASE(queries, patterns)
{
    ten(f);
    MATCHES(f, nx_like(Post_.title, "post _"), 10);
    MATCHES(f, nx_like(Post_.title, "POST%"), 0);
    MATCHES(f, nx_ilike(Post_.title, "POST%"), 10);
    MATCHES(f, nx_like(Post_.title, "%100\\%\\_%"), 1);
    MATCHES(f, nx_starts_with(Post_.title, "post "), 10);
    MATCHES(f, nx_starts_with(Post_.title, "p%"), 0);
    MATCHES(f, nx_contains(Post_.title, "0%_\\"), 1);
    MATCHES(f, nx_contains(Post_.title, "_"), 1);
    MATCHES(f, nx_contains(Post_.title, ""), 11);
}

CASE(queries, connectives)
{
    ten(f);
    MATCHES(f, nx_and(nx_gt(Post_.score, 2), nx_lt(Post_.score, 6), nx_eq(Post_.draft, true)), 1);
    MATCHES(f, nx_or(nx_eq(Post_.score, 1), nx_eq(Post_.score, 2), nx_is_null(Post_.score)), 3);
    MATCHES(f, nx_not(nx_eq(Post_.draft, true)), 6);
    MATCHES(f, nx_not(nx_or(nx_lt(Post_.score, 5), nx_gt(Post_.score, 7))), 3);
    MATCHES(f, nx_and(nx_or(nx_eq(Post_.score, 1), nx_eq(Post_.score, 2)), nx_eq(Post_.draft, true)), 1);
    cr_expect_eq(
        COUNT(f, nx_count(nx_filter(nx_filter(nx_select(f->db, Post), nx_gt(Post_.score, 2)), nx_lt(Post_.score, 4)), NULL)), 1,
        "filters are ANDed");
}

CASE(queries, lists)
{
    ten(f);
    nx_value many[3] = { nx_value_i64(1), nx_value_i64(1), nx_value_i64(2) };
    MATCHES(f, nx_in(Post_.score, 1, 2, 3, 99), 3);
    MATCHES(f, nx_in(Post_.title, "post 1", "nothing"), 1);
    MATCHES(f, nx_in_values(Post_.score, many, 3), 2);
    MATCHES(f, nx_not_in_values(Post_.score, many, 3), 8);
    MATCHES(f, nx_in_values(Post_.score, many, 0), 0);
    MATCHES(f, nx_not_in_values(Post_.score, many, 0), 11);
    MATCHES(f, nx_and(nx_in(Post_.score, 1, 2), nx_in(Post_.title, "post 2")), 1);
}

CASE(queries, list_of_a_hundred_thousand)
{
    enum { MANY = 100000 };
    nxt_posts(f, 1000);
    nx_value *values = calloc(MANY, sizeof(*values));
    cr_assert_not_null(values);
    for (int i = 0; i < MANY; i++)
        values[i] = nx_value_i64(i * 2);
    MATCHES(f, nx_in_values(Post_.score, values, MANY), 500);
    MATCHES(f, nx_not_in_values(Post_.score, values, MANY), 500);
    char(*titles)[16] = calloc(MANY, sizeof(*titles));
    cr_assert_not_null(titles);
    for (int i = 0; i < MANY; i++) {
        snprintf(titles[i], sizeof(titles[i]), "post %d", i);
        values[i] = nx_value_str(titles[i]);
    }
    MATCHES(f, nx_in_values(Post_.title, values, MANY), 1000);
    free(titles);
    free(values);
}

CASE(queries, columns_of_one_entity)
{
    Checked *a = nx_make(f->db, Checked), *b = nx_make(f->db, Checked);
    a->left_side = nx_some(i32, 1);
    a->right_side = nx_some(i32, 2);
    b->left_side = nx_some(i32, 3);
    b->right_side = nx_some(i32, 3);
    OK(f, nx_save(f->db, a, NULL));
    OK(f, nx_save(f->db, b, NULL));
    nx_query *q = nx_filter(nx_select(f->db, Checked), nx_columns(NX_VERB_LT, Checked_.left_side, Checked_.right_side));
    cr_expect_eq(COUNT(f, nx_count(q, NULL)), 1);
    q = nx_filter(nx_select(f->db, Checked), nx_columns(NX_VERB_EQ, Checked_.left_side, Checked_.right_side));
    cr_expect_eq(COUNT(f, nx_count(q, NULL)), 1);
}

CASE(queries, conditions_as_text)
{
    Author *a = nxt_author(f, "Ada");
    ten(f);
    nxt_post(f, "by Ada", 42, a);
    TEXT_MATCHES(f, 1, "title = ?", nx_args("post 3"));
    TEXT_MATCHES(f, 1, "title = ? and author.name like ?", nx_args("by Ada", "A%"));
    TEXT_MATCHES(f, 3, "score in (?, ?, 42)", nx_args(1, 2));
    TEXT_MATCHES(f, 3, "score between ? and ?", nx_args(3, 5));
    TEXT_MATCHES(f, 1, "score is null", nx_no_args);
    TEXT_MATCHES(f, 11, "score is not null", nx_no_args);
    TEXT_MATCHES(f, 6, "not draft = ? and title != 'by Ada'", nx_args(true));
    TEXT_MATCHES(f, 2, "(title = 'post 1' or title = 'by Ada') and score <> 7", nx_no_args);
    TEXT_MATCHES(f, 6, "draft = true or score = -1 or title = 'by Ada'", nx_no_args);
    TEXT_MATCHES(f, 10, "title ilike 'POST%'", nx_no_args);
    TEXT_MATCHES(f, 5, "score<5 AND score>=0", nx_no_args);
    TEXT_MATCHES(f, 0, "title = 'it''s'", nx_no_args);
    TEXT_MATCHES(f, 1, "author.id = ?", nx_args(a->id));
    TEXT_MATCHES(f, 1, "author = ?", nx_args(a->id));
    TEXT_MATCHES(f, 10, "score not in (42)", nx_no_args);
}

CASE(queries, order_and_limits)
{
    ten(f);
    nx_completion c =
        OK(f, nx_fetch_all(
                  nx_limit(nx_order_by(nx_filter(nx_select(f->db, Post), nx_is_not_null(Post_.score)), nx_desc(Post_.score)), 3),
                  NULL));
    cr_assert_eq(c.count, 3);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(((Post *)c.rows[i])->score.value, 9 - i);
    nxt_seen(f, &c);
    c = OK(f, nx_fetch_all(nx_offset(nx_limit(nx_order_by(nx_select(f->db, Post), nx_asc(Post_.id)), 2), 3), NULL));
    cr_assert_eq(c.count, 2);
    TEXT_IS(((Post *)c.rows[0])->title, "post 3");
    nxt_seen(f, &c);
    c = OK(f, nx_fetch_all(nx_offset(nx_order_by(nx_select(f->db, Post), nx_asc(Post_.id)), 9), NULL));
    cr_expect_eq(c.count, 2, "an offset needs no limit");
    nxt_seen(f, &c);
    c = OK(f, nx_fetch_all(
                  nx_order_by(nx_order_by(nx_select(f->db, Post), nx_asc(Post_.title)), nx_asc(Post_.draft), nx_desc(Post_.id)),
                  NULL));
    cr_assert_eq(c.count, 11);
    TEXT_IS(((Post *)c.rows[0])->title, "Extra 100%_\\x");
    TEXT_IS(((Post *)c.rows[1])->title, "post 9");
    TEXT_IS(((Post *)c.rows[10])->title, "post 0");
    nxt_seen(f, &c);
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_limit(nx_select(f->db, Post), 0), NULL)), 0);
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_limit(nx_select(f->db, Post), UINT64_MAX), NULL)), 11);
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_offset(nx_select(f->db, Post), UINT64_MAX), NULL)), 0);
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_order_random(nx_select(f->db, Post)), NULL)), 11);
}

CASE(queries, pages)
{
    ten(f);
    nx_completion c = OK(f, nx_fetch_all(nx_page(nx_order_by(nx_select(f->db, Post), nx_asc(Post_.id)), 3, 4), NULL));
    cr_assert_eq(c.count, 3);
    TEXT_IS(((Post *)c.rows[0])->title, "post 8");
    nxt_seen(f, &c);
    FAILS(f, nx_fetch_all(nx_page(nx_select(f->db, Post), 0, 4), NULL), NX_EINVAL);
    FAILS(f, nx_fetch_all(nx_page(nx_select(f->db, Post), 1, 0), NULL), NX_EINVAL);
    nx_completion far = nx_await(f->loop, nx_fetch_all(nx_page(nx_select(f->db, Post), UINT64_MAX, UINT64_MAX), NULL));
    cr_expect(far.status != NX_OK || far.count == 0, "a page number that overflows is no page of the beginning");
}

CASE(queries, fetch_one_only_required)
{
    ten(f);
    cr_expect_eq(COUNT(f, nx_fetch_one(nx_order_by(nx_select(f->db, Post), nx_asc(Post_.id)), NULL)), 1);
    nx_completion c = OK(f, nx_fetch_one(nx_filter(nx_select(f->db, Post), nx_eq(Post_.id, -1)), NULL));
    cr_expect_eq(c.count, 0);
    cr_expect_null(c.rows);
    c = OK(f, nx_fetch_all(nx_filter(nx_select(f->db, Post), nx_eq(Post_.id, -1)), NULL));
    cr_expect_eq(c.count, 0);
    cr_expect_eq(COUNT(f, nx_fetch_only(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 1)), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_fetch_only(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 100)), NULL)), 0);
    MENTIONS(FAILS(f, nx_fetch_only(nx_filter(nx_select(f->db, Post), nx_lt(Post_.score, 3)), NULL), NX_EMULTIPLE), "Post");
    FAILS(f, nx_fetch_required(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 100)), NULL), NX_ENOTFOUND);
    cr_expect_eq(COUNT(f, nx_get(f->db, Post, nx_eq(Post_.title, "post 1"), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_get(f->db, Post, nx_eq(Post_.title, "no post"), NULL)), 0);
    FAILS(f, nx_get(f->db, Post, nx_eq(Post_.draft, true), NULL), NX_EMULTIPLE);
}

CASE(queries, count_and_exists)
{
    ten(f);
    cr_expect_eq(COUNT(f, nx_count(nx_limit(nx_offset(nx_order_by(nx_select(f->db, Post), nx_asc(Post_.id)), 5), 1), NULL)), 11,
                 "count ignores order, limit, offset");
    cr_expect_eq(COUNT(f, nx_exists(nx_filter(nx_select(f->db, Post), nx_eq(Post_.id, 99)), NULL)), 0);
    cr_expect_eq(COUNT(f, nx_exists(nx_filter(nx_select(f->db, Post), nx_lt(Post_.score, 9)), NULL)), 1);
}

CASE(queries, aggregates)
{
    ten(f);
    nx_completion c = OK(f, nx_sum(nx_select(f->db, Post), Post_.score, NULL));
    cr_expect_eq(c.value.type, NX_TYPE_i64);
    cr_expect_eq(c.value.i64, 45);
    c = OK(f, nx_avg(nx_select(f->db, Post), Post_.score, NULL));
    cr_expect_eq(c.value.type, NX_TYPE_f64);
    cr_expect_float_eq(c.value.f64, 4.5, 1e-9);
    c = OK(f, nx_min(nx_select(f->db, Post), Post_.score, NULL));
    cr_expect_eq(c.value.i64, 0);
    c = OK(f, nx_max(nx_filter(nx_select(f->db, Post), nx_lt(Post_.score, 9)), Post_.score, NULL));
    cr_expect_eq(c.value.i64, 8);
    c = OK(f, nx_max(nx_select(f->db, Post), Post_.title, NULL));
    cr_expect(nxt_text_is(c.value.text, "post 9"));
    c = OK(f, nx_sum(nx_filter(nx_select(f->db, Post), nx_eq(Post_.id, -1)), Post_.score, NULL));
    cr_expect_eq(c.value.type, NX_TYPE_null, "over no rows");
    c = OK(f, nx_max(nx_filter(nx_select(f->db, Post), nx_eq(Post_.id, -1)), Post_.score, NULL));
    cr_expect_eq(c.value.type, NX_TYPE_null);
}

CASE(queries, aggregates_keep_the_type)
{
    Checked *c = nx_make(f->db, Checked), *d = nx_make(f->db, Checked);
    c->day = nx_some(date, ((nx_date){ 20000 }));
    d->day = nx_some(date, ((nx_date){ 20001 }));
    c->price = nx_some(decimal, nx_dec("9.50"));
    d->price = nx_some(decimal, nx_dec("10.25"));
    OK(f, nx_save(f->db, c, NULL));
    OK(f, nx_save(f->db, d, NULL));
    nx_completion r = OK(f, nx_max(nx_select(f->db, Checked), Checked_.day, NULL));
    cr_expect_eq(r.value.type, NX_TYPE_date);
    cr_expect_eq(r.value.date.days, 20001);
    r = OK(f, nx_max(nx_select(f->db, Checked), Checked_.price, NULL));
    cr_expect_eq(r.value.type, NX_TYPE_decimal);
    cr_expect(nxt_text_is(r.value.text, "10.25"), "decimals are compared as numbers");
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Checked), nx_gt(Checked_.price, nx_dec("9.6"))), NULL)), 1,
                 "decimals are compared as numbers");
}

CASE(queries, distinct)
{
    ten(f);
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_distinct(nx_select(f->db, Post), true), NULL)), 11);
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_distinct(nx_distinct(nx_select(f->db, Post), true), false), NULL)), 11);
}

CASE(queries, set_based_writes)
{
    ten(f);
    cr_expect_eq(COUNT(f, nx_update_all(nx_filter(nx_select(f->db, Post), nx_eq(Post_.draft, true)), NULL,
                                        nx_assign(Post_.draft, false), nx_assign(Post_.title, "published"))),
                 5);
    MATCHES(f, nx_eq(Post_.title, "published"), 5);
    MATCHES(f, nx_eq(Post_.draft, false), 11);
    cr_expect_eq(COUNT(f, nx_update_all(nx_select(f->db, Post), NULL, nx_assign(Post_.score, nx_null()))), 11);
    MATCHES(f, nx_is_null(Post_.score), 11);
    cr_expect_eq(COUNT(f, nx_delete_all(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "published")), NULL)), 5);
    FAILS(f, nx_delete_all(nx_limit(nx_select(f->db, Post), 1), NULL), NX_EINVAL);
    FAILS(f, nx_update_all(nx_order_by(nx_select(f->db, Post), nx_asc(Post_.id)), NULL, nx_assign(Post_.score, 1)), NX_EINVAL);
    FAILS(f, nx_delete_all(nx_offset(nx_select(f->db, Post), 1), NULL), NX_EINVAL);
    cr_expect_eq(COUNT(f, nx_delete_all(nx_select(f->db, Post), NULL)), 6);
}

CASE(queries, set_based_writes_over_a_reference)
{
    Author *a = nxt_author(f, "Ada");
    nxt_post(f, "hers", 1, a);
    nxt_post(f, "nobody's", 2, NULL);
    cr_expect_eq(COUNT(f, nx_update_all(nx_filter(nx_select(f->db, Post), nx_eq(nx_via(Post_.author, Author_.name), "Ada")), NULL,
                                        nx_assign(Post_.score, 10))),
                 1);
    cr_expect_eq(COUNT(f, nx_update_all(nx_filter(nx_select(f->db, Post), nx_is_null(Post_.author)), NULL,
                                        nx_assign(Post_.author, a->id))),
                 1);
    cr_expect_eq(
        COUNT(f, nx_delete_all(nx_filter(nx_select(f->db, Post), nx_eq(nx_via(Post_.author, Author_.name), "Ada")), NULL)), 2);
}

CASE(queries, set_based_writes_check_their_values)
{
    ten(f);
    FAILS(f, nx_update_all(nx_select(f->db, Post), NULL, nx_assign(Post_.title, nx_null())), NX_EREQUIRED);
    nx_completion c = nx_await(f->loop, nx_update_all(nx_select(f->db, Post), NULL, nx_assign(Post_.score, "many")));
    cr_expect_eq(c.status, NX_ETYPE, "%s", nx_status_name(c.status));
    c = nx_await(f->loop, nx_update_all(nx_select(f->db, Post), NULL, nx_assign(Post_.score, INT64_C(1) << 40)));
    cr_expect_eq(c.status, NX_ERANGE, "%s", nx_status_name(c.status));
    FAILS(f, nx_update_all(nx_select(f->db, Post), NULL, nx_assign(Author_.name, "x")), NX_ENOFIELD);
    cr_expect_eq(COUNT(f, nx_update_all_n(nx_select(f->db, Post), NULL, 0, NULL)), 0, "nothing to assign");
}

CASE(queries, kept_query_runs_again)
{
    ten(f);
    nx_query *drafts = nx_query_keep(nx_filter(nx_select(f->db, Post), nx_eq(Post_.draft, true)));
    cr_expect_eq(COUNT(f, nx_count(drafts, NULL)), 5);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(drafts, nx_gt(Post_.score, 4)), NULL)), 2, "a step returns a new query");
    cr_expect_eq(COUNT(f, nx_count(drafts, NULL)), 5);
    nx_op first = nx_fetch_all(drafts, NULL), second = nx_fetch_all(drafts, NULL);
    cr_expect_eq(COUNT(f, first), 5);
    cr_expect_eq(COUNT(f, second), 5);
    nx_query_free(drafts);
    nx_query_free(NULL);
    nx_query_free(nx_select(f->db, Post));
}

CASE(queries, values_are_copied_by_the_step)
{
    ten(f);
    char title[8] = "post 3";
    nx_query *q = nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, title));
    memcpy(title, "post 77", 8);
    cr_expect_eq(COUNT(f, nx_count(q, NULL)), 1);
}

CASE(queries, keyset_pages)
{
    ten(f);
    nx_query *all = nx_query_keep(nx_order_by(nx_select(f->db, Post), nx_desc(Post_.draft), nx_asc(Post_.title)));
    int seen = 0;
    Post *last = NULL;
    nx_completion page = { 0 };
    for (int pages = 0; pages < 10; pages++) {
        nx_query *q = last == NULL ? nx_limit(all, 3) : nx_limit(nx_after_row(all, last), 3);
        nx_completion c = OK(f, nx_fetch_all(q, NULL));
        if (last != NULL)
            nxt_seen(f, &page);
        if (c.count == 0)
            break;
        seen += (int)c.count;
        page = c;
        last = c.rows[c.count - 1];
    }
    cr_expect_eq(seen, 11);
    nx_completion c = OK(f, nx_fetch_all(nx_after(nx_order_by(nx_filter(nx_select(f->db, Post), nx_is_not_null(Post_.score)),
                                                              nx_desc(Post_.score)),
                                                  nx_args(2, INT64_MAX)),
                                         NULL));
    cr_expect_eq(c.count, 2);
    nxt_seen(f, &c);
    nx_query_free(all);
}

/* NULLs have a place in the order; pages must not lose or repeat their rows. */
CASE(queries, keyset_pages_over_nulls)
{
    for (int i = 0; i < 9; i++) {
        Post *p = nx_make(f->db, Post);
        p->title = nx_str("post");
        if (i % 3 != 0)
            p->score = nx_some(i32, i / 2);
        OK(f, nx_save(f->db, p, NULL));
    }
    for (int descending = 0; descending < 2; descending++) {
        nx_order term = { .path = NX_PATH(Post_.score), .descending = descending == 1 };
        nx_query *all = nx_query_keep(nx_order_by_terms(nx_select(f->db, Post), &term, 1));
        int64_t ids[9];
        int seen = 0;
        nx_completion c = OK(f, nx_fetch_all(nx_limit(all, 2), NULL));
        while (c.count > 0 && seen + c.count <= 9) {
            for (int64_t i = 0; i < c.count; i++) {
                ids[seen] = ((Post *)c.rows[i])->id;
                for (int j = 0; j < seen; j++)
                    cr_assert_neq(ids[j], ids[seen], "a row came twice");
                seen++;
            }
            nx_completion next = OK(f, nx_fetch_all(nx_limit(nx_after_row(all, c.rows[c.count - 1]), 2), NULL));
            nxt_seen(f, &c);
            c = next;
        }
        nxt_seen(f, &c);
        cr_expect_eq(seen, 9, "pages in %s order", descending == 1 ? "descending" : "ascending");
        nx_query_free(all);
    }
}

CASE(queries, sql_is_shown_without_running)
{
    nx_query *q = nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "x"));
    const char *sql = nx_sql(q);
    cr_assert_not_null(sql);
    cr_expect_not_null(strstr(sql, "SELECT"));
    cr_expect_not_null(strstr(sql, "title"));
    cr_expect_null(strstr(sql, "'x'"), "values are bound, never in the text");
    nx_query_free(q);
    q = nx_where(nx_select(f->db, Post), "no_such = 1", nx_no_args);
    cr_expect_null(nx_sql(q));
    cr_assert_not_null(nx_query_error(q));
    cr_expect_eq(nx_query_error(q)->status, NX_ENOFIELD);
    nx_query_free(q);
}

CASE(queries, for_update_needs_a_session)
{
    ten(f);
    cr_expect_neq(nx_await(f->loop, nx_fetch_all(nx_for_update(nx_select(f->db, Post)), NULL)).status, NX_OK);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_for_update(nx_filter(nx_select(s, Post), nx_eq(Post_.score, 1))));
    p->score = nx_some(i32, 100);
    nxt_end(f, s);
    MATCHES(f, nx_eq(Post_.score, 100), 1);
}

CASE(queries, locked_rows_need_not_be_waited_for)
{
    unsigned flags[] = { 0, NX_LOCK_NOWAIT, NX_LOCK_SKIP_LOCKED };
    ten(f);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        nx_session *s = nxt_session(f, NULL);
        nx_query *q = nx_for_update_with(nx_filter(nx_select(s, Post), nx_ge(Post_.score, 5)), flags[i]);
        nx_completion c = OK(f, nx_fetch_all(nx_order_by(q, nx_asc(Post_.id)), NULL));
        cr_expect_eq(c.count, 5, "nobody else holds them");
        nxt_seen(f, &c);
        nxt_end(f, s);
    }
    nx_session *s = nxt_session(f, NULL);
    FAILS(f, nx_fetch_all(nx_for_update_with(nx_select(s, Post), NX_LOCK_NOWAIT | NX_LOCK_SKIP_LOCKED), NULL), NX_EINVAL);
    FAILS(f, nx_fetch_all(nx_for_update_with(nx_select(s, Post), 4), NULL), NX_EINVAL);
    nx_session_free(s);
}

CASE(queries, values_as_one_text)
{
    ten(f);
    nx_completion c =
        OK(f, nx_group_concat(nx_order_by(nx_filter(nx_select(f->db, Post), nx_lt(Post_.score, 4)), nx_desc(Post_.score)),
                              Post_.title, "'; ", NULL));
    cr_expect_eq(c.value.type, NX_TYPE_text);
    cr_expect(nxt_text_is(c.value.text, "post 3'; post 2'; post 1'; post 0"));
    c = OK(f, nx_group_concat(nx_order_by(nx_limit(nx_select(f->db, Post), 2), nx_asc(Post_.id)), Post_.score, NULL, NULL));
    cr_expect(nxt_text_is(c.value.text, "0,1,2,3,4,5,6,7,8,9"), "limits are ignored, NULLs left out");
    c = OK(f, nx_group_concat(nx_filter(nx_select(f->db, Post), nx_eq(Post_.id, -1)), Post_.title, "", NULL));
    cr_expect_eq(c.value.type, NX_TYPE_null, "over no rows");
    FAILS(f, nx_group_concat(nx_select(f->db, Post), Post_.draft, ",", NULL), NX_ETYPE);
    FAILS(f, nx_group_concat(nx_select(f->db, Post), Post_.title, "\xff", NULL), NX_EENCODING);
    nx_session *s = nxt_session(f, NULL);
    nxt_seen(f, &c);
    c = OK(f, nx_group_concat(nx_filter(nx_select(s, Post), nx_eq(Post_.score, 1)), Post_.title, "", NULL));
    cr_expect(nxt_text_is(c.value.text, "post 1"));
    nxt_seen(f, &c);
    nxt_end(f, s);
}

CASE(queries, lazy_fields)
{
    Post *p = nx_make(f->db, Post);
    p->title = nx_str("title");
    p->body = nx_some(text, nx_str("body"));
    OK(f, nx_save(f->db, p, NULL));
    nx_completion c = OK(f, nx_fetch_only(nx_select(f->db, Post), NULL));
    cr_expect_not(nx_row_is_loaded(c.rows[0], Post_.body));
    cr_expect(nx_row_is_loaded(c.rows[0], Post_.title));
    nxt_seen(f, &c);
    c = OK(f, nx_fetch_only(nx_with_lazy(nx_select(f->db, Post), Post_.body), NULL));
    cr_expect(nx_row_is_loaded(c.rows[0], Post_.body));
    TEXT_IS(((Post *)c.rows[0])->body.value, "body");
    nxt_seen(f, &c);
}

CASE(queries, deep_and_wide_conditions)
{
    ten(f);
    const nx_expr *condition = nx_eq(Post_.score, 3);
    nx_expr nest[200];
    const nx_expr *parts[200][2];
    for (int i = 0; i < 200; i++) {
        parts[i][0] = i == 0 ? condition : &nest[i - 1];
        parts[i][1] = NULL;
        nest[i] = (nx_expr){ .verb = NX_VERB_NOT, .parts = parts[i] };
    }
    MATCHES(f, &nest[9], 1);
    nx_completion c = nx_await(f->loop, nx_count(nx_filter(nx_select(f->db, Post), &nest[199]), NULL));
    cr_expect(c.status == NX_ELIMIT || (c.status == NX_OK && c.count == 1), "%s", nx_status_name(c.status));
    nx_query *q = nx_select(f->db, Post);
    for (int i = 0; i < 500; i++)
        q = nx_filter(q, nx_ne(Post_.score, i + 100));
    c = nx_await(f->loop, nx_count(q, NULL));
    cr_expect(c.status == NX_ELIMIT || (c.status == NX_OK && c.count == 10), "%s", nx_status_name(c.status));
}
