/*
 * nested - savepoints, several databases in one session, functions run in a session.
 */
#include "cases.h"

static int64_t posts_titled(nxt_fixture *f, const char *title)
{
    return COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, title)), NULL));
}

static Post *new_post(nx_session *s, const char *title)
{
    Post *p = nx_new(s, Post);
    cr_assert_not_null(p);
    p->title = nx_str(title);
    return p;
}

CASE(nested, end_releases)
{
    nx_session *outer = nxt_session(f, NULL);
    new_post(outer, "outer");
    nx_session *inner = nx_session_nested(outer, NULL);
    cr_assert_not_null(inner);
    new_post(inner, "inner");
    nxt_end(f, inner);
    nxt_end(f, outer);
    cr_expect_eq(posts_titled(f, "outer"), 1);
    cr_expect_eq(posts_titled(f, "inner"), 1);
}

CASE(nested, rollback_undoes_the_inner_part_only)
{
    nx_session *outer = nxt_session(f, NULL);
    Post *p = new_post(outer, "outer");
    OK(f, nx_flush(outer, NULL));
    nx_session *inner = nx_session_nested(outer, NULL);
    new_post(inner, "inner");
    p->score = nx_some(i32, 99);
    OK(f, nx_flush(inner, NULL));
    nx_session_free(inner);
    nxt_end(f, outer);
    cr_expect_eq(posts_titled(f, "outer"), 1);
    cr_expect_eq(posts_titled(f, "inner"), 0);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 99)), NULL)), 0);
}

CASE(nested, pending_rows_of_the_outer_one_survive_an_inner_rollback)
{
    nx_session *outer = nxt_session(f, NULL);
    new_post(outer, "outer, not flushed yet");
    nx_session *inner = nx_session_nested(outer, NULL);
    new_post(inner, "inner");
    OK(f, nx_flush(inner, NULL));
    OK(f, nx_rollback(inner, NULL));
    nx_session_free(inner);
    nxt_end(f, outer);
    cr_expect_eq(posts_titled(f, "outer, not flushed yet"), 1);
    cr_expect_eq(posts_titled(f, "inner"), 0);
}

CASE(nested, outer_rollback_undoes_an_ended_inner_one)
{
    nx_session *outer = nxt_session(f, NULL);
    nx_session *inner = nx_session_nested(outer, NULL);
    new_post(inner, "inner");
    nxt_end(f, inner);
    OK(f, nx_rollback(outer, NULL));
    nx_session_free(outer);
    cr_expect_eq(posts_titled(f, "inner"), 0);
}

CASE(nested, two_levels)
{
    nx_session *first = nxt_session(f, NULL);
    new_post(first, "1");
    nx_session *second = nx_session_nested(first, NULL);
    new_post(second, "2");
    nx_session *third = nx_session_nested(second, NULL);
    new_post(third, "3");
    OK(f, nx_flush(third, NULL));
    nx_session_free(third);
    third = nx_session_nested(second, NULL);
    new_post(third, "4");
    nxt_end(f, third);
    nxt_end(f, second);
    nxt_end(f, first);
    cr_expect_eq(posts_titled(f, "1"), 1);
    cr_expect_eq(posts_titled(f, "2"), 1);
    cr_expect_eq(posts_titled(f, "3"), 0);
    cr_expect_eq(posts_titled(f, "4"), 1);
}

CASE(nested, join_shares_the_fate)
{
    nx_session *outer = nxt_session(f, NULL);
    new_post(outer, "outer");
    nx_session *inner = nx_session_nested(outer, &(nx_session_options){ .join = true });
    cr_assert_not_null(inner);
    new_post(inner, "joined");
    nxt_end(f, inner);
    nxt_end(f, outer);
    cr_expect_eq(posts_titled(f, "joined"), 1);
}

/* Made by the outer one, deleted by the inner one: after the inner rollback it is stored, neither gone nor new. */
CASE(nested, deletion_inside_of_a_row_made_outside)
{
    nx_session *outer = nxt_session(f, NULL);
    Post *p = new_post(outer, "made outside");
    OK(f, nx_flush(outer, NULL));
    int64_t id = p->id;
    nx_session *inner = nx_session_nested(outer, NULL);
    CHECK(nx_session_delete(inner, p));
    OK(f, nx_flush(inner, NULL));
    nx_session_free(inner);
    nxt_end(f, outer);
    cr_expect_eq(posts_titled(f, "made outside"), 1);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.id, id)), NULL)), 1);
}

CASE(nested, outer_is_not_usable_meanwhile)
{
    nx_session *outer = nxt_session(f, NULL);
    nx_session *inner = nx_session_nested(outer, NULL);
    FAILS(f, nx_flush(outer, NULL), NX_ESTATE);
    FAILS(f, nx_session_end(outer, NULL), NX_ESTATE);
    cr_expect_null(nx_new_row(outer, &Post_entity));
    nxt_end(f, inner);
    new_post(outer, "usable again");
    nxt_end(f, outer);
    cr_expect_eq(posts_titled(f, "usable again"), 1);
}

CASE(nested, shares_the_identity_map)
{
    nxt_post(f, "post", 1, NULL);
    nx_session *outer = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_select(outer, Post));
    nx_session *inner = nx_session_nested(outer, NULL);
    cr_expect_eq(ONE(f, Post, nx_select(inner, Post)), p);
    p->title = nx_str("changed in the inner one");
    nxt_end(f, inner);
    nxt_end(f, outer);
    cr_expect_eq(posts_titled(f, "changed in the inner one"), 1);
}

/* --------------------------------------------------------------------------- several databases */

static const nx_entity *const tags[] = { &Tag_entity, NULL };
static const nx_entity *const posts[] = { &Author_entity, &Post_entity, NULL };

static int64_t count_tags(nxt_fixture *f, nx_db *db)
{
    return COUNT(f, nx_count(nx_select(db, Tag), NULL));
}

CASE(databases, one_session_commits_on_both)
{
    nx_db *a = nxt_database(f, 1, posts), *b = nxt_database(f, 2, tags);
    nx_db_free(f->db);
    f->db = a;
    nx_session *s = nxt_session(f, NULL);
    new_post(s, "on a");
    Tag *tag = nx_new(s, Tag);
    tag->name = nx_str("on b");
    nxt_end(f, s);
    cr_expect_eq(posts_titled(f, "on a"), 1);
    cr_expect_eq(count_tags(f, b), 1);
    f->db = nxt_database(f, 3, nxt_entities);
}

CASE(databases, one_failing_flush_rolls_back_both)
{
    nx_db *a = nxt_database(f, 1, posts), *b = nxt_database(f, 2, tags);
    nx_db_free(f->db);
    f->db = a;
    Tag *taken = nx_make(b, Tag);
    taken->name = nx_str("taken");
    OK(f, nx_save(b, taken, NULL));
    nx_session *s = nxt_session(f, NULL);
    new_post(s, "on a");
    Tag *tag = nx_new(s, Tag);
    tag->name = nx_str("taken");
    FAILS(f, nx_session_end(s, NULL), NX_EUNIQUE);
    cr_expect_eq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    cr_expect_eq(posts_titled(f, "on a"), 0);
    cr_expect_eq(count_tags(f, b), 1);
    f->db = nxt_database(f, 3, nxt_entities);
}

CASE(databases, rollback_reaches_both)
{
    nx_db *a = nxt_database(f, 1, posts), *b = nxt_database(f, 2, tags);
    nx_db_free(f->db);
    f->db = a;
    nx_session *s = nxt_session(f, NULL);
    new_post(s, "on a");
    ((Tag *)nx_new(s, Tag))->name = nx_str("on b");
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    nx_session_free(s);
    cr_expect_eq(posts_titled(f, "on a"), 0);
    cr_expect_eq(count_tags(f, b), 0);
    f->db = nxt_database(f, 3, nxt_entities);
}

CASE(databases, freeing_one_leaves_the_other)
{
    nx_db *b = nxt_database(f, 2, tags);
    Tag *tag = nx_make(b, Tag);
    tag->name = nx_str("tag");
    nx_op lost = nx_save(b, tag, NULL);
    nx_db_free(b);
    nx_completion c = nx_await(f->loop, lost);
    cr_expect(c.status == NX_ECLOSED || c.status == NX_OK, "%s", nx_status_name(c.status));
    nxt_post(f, "goes on", 1, NULL);
    cr_expect_eq(posts_titled(f, "goes on"), 1);
}

CASE(databases, select_without_database_takes_the_first_that_maps)
{
    nx_db *b = nxt_database(f, 2, tags);
    Tag *tag = nx_make(f->db, Tag);
    tag->name = nx_str("in the first");
    OK(f, nx_save(f->db, tag, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(NULL, Tag), NULL)), 1);
    cr_expect_eq(count_tags(f, b), 0);
}

/* --------------------------------------------------------------------- functions in a session */

typedef struct attempt { int calls, failures; nx_status with; nxt_fixture *f; } attempt;

static nx_status work(nx_session *s, void *context)
{
    attempt *a = context;
    a->calls++;
    new_post(s, "by a function");
    cr_assert_eq(nx_await(a->f->loop, nx_flush(s, NULL)).status, NX_OK);
    return a->calls <= a->failures ? a->with : NX_OK;
}

CASE(run_in_session, commits)
{
    attempt a = { .f = f };
    cr_expect_eq(nx_run_in_session(f->loop, NULL, work, &a, NULL), NX_OK);
    cr_expect_eq(a.calls, 1);
    cr_expect_eq(posts_titled(f, "by a function"), 1);
}

CASE(run_in_session, rolls_back_on_failure)
{
    attempt a = { .failures = 1, .with = NX_EVALUE, .f = f };
    nx_error error;
    cr_expect_eq(nx_run_in_session(f->loop, &(nx_session_options){ .retry = 3 }, work, &a, &error), NX_EVALUE);
    cr_expect_eq(a.calls, 1, "only retryable failures are tried again");
    cr_expect_eq(posts_titled(f, "by a function"), 0);
}

CASE(run_in_session, retries_what_may_succeed)
{
    attempt a = { .failures = 2, .with = NX_ESERIALIZATION, .f = f };
    cr_expect_eq(nx_run_in_session(f->loop, &(nx_session_options){ .retry = 3 }, work, &a, NULL), NX_OK);
    cr_expect_eq(a.calls, 3);
    cr_expect_eq(posts_titled(f, "by a function"), 1, "what failed attempts wrote is gone");
}

CASE(run_in_session, gives_up_after_retry_attempts)
{
    attempt a = { .failures = 100, .with = NX_EBUSY, .f = f };
    cr_expect_eq(nx_run_in_session(f->loop, &(nx_session_options){ .retry = 2 }, work, &a, NULL), NX_EBUSY);
    cr_expect_eq(a.calls, 3);
    cr_expect_eq(posts_titled(f, "by a function"), 0);
}

static nx_status make_nothing_required(nx_session *s, void *context)
{
    *(int *)context += 1;
    nx_new(s, Post);
    return NX_OK;
}

CASE(run_in_session, failure_of_the_end_is_reported)
{
    nx_error error;
    int calls = 0;
    cr_expect_eq(nx_run_in_session(f->loop, &(nx_session_options){.retry = 2}, make_nothing_required, &calls, &error),
                 NX_EREQUIRED);
    cr_expect_eq(error.status, NX_EREQUIRED);
    MENTIONS(&error, "title");
    cr_expect_eq(calls, 1);
}
