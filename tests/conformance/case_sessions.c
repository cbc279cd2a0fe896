/*
 * sessions - flush, commit, rollback, end, and what a row is after each.
 */
#include <stdio.h>

#include "cases.h"

static int64_t count_posts(nxt_fixture *f)
{
    return COUNT(f, nx_count(nx_select(f->db, Post), NULL));
}

static Post *new_post(nx_session *s, const char *title)
{
    Post *p = nx_new(s, Post);
    cr_assert_not_null(p, "%s", nx_session_error(s)->message);
    p->title = nx_str(title);
    return p;
}

CASE(sessions, end_flushes_and_commits)
{
    nx_session *s = nxt_session(f, NULL);
    Post *p = new_post(s, "Hello");
    cr_expect(p->draft, "the initial value is set");
    OK(f, nx_session_end(s, NULL));
    cr_expect_gt(p->id, 0);
    cr_expect_eq(nx_session_outcome(s), NX_OUTCOME_COMMITTED);
    nx_session_free(s);
    cr_expect_eq(count_posts(f), 1);
}

CASE(sessions, free_without_end_rolls_back)
{
    nx_session *s = nxt_session(f, NULL);
    new_post(s, "never flushed");
    nx_session_free(s);
    s = nxt_session(f, NULL);
    new_post(s, "flushed");
    OK(f, nx_flush(s, NULL));
    nx_session_free(s);
    cr_expect_eq(count_posts(f), 0);
}

CASE(sessions, empty_session_ends_well)
{
    nx_session *s = nxt_session(f, NULL);
    OK(f, nx_flush(s, NULL));
    OK(f, nx_commit(s, NULL));
    OK(f, nx_rollback(s, NULL));
    nxt_end(f, s);
}

/* In runs and one by one: with a key, without one, and of another table. */
CASE(sessions, many_new_rows_of_several_kinds)
{
    enum { MANY = 70000, RUN = 40000 };
    nx_session *s = nxt_session(f, NULL);
    Post **posts = calloc(MANY, sizeof(Post *));
    char names[MANY / 1000][24];
    int authors = 0;

    cr_assert_not_null(posts);
    for (int i = 0; i < MANY; i++) {
        posts[i] = new_post(s, "one of many");
        if (i > RUN && i % 3 == 0)
            posts[i]->id = -i;
        if (i > RUN && i % 1000 == 0) {
            Author *author = nx_new(s, Author);
            snprintf(names[authors], sizeof(names[0]), "author %d", authors);
            author->name = nx_str(names[authors++]);
        }
    }
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), MANY + authors);
    for (int i = 0; i < MANY; i++)
        cr_assert(i > RUN && i % 3 == 0 ? posts[i]->id == -i : posts[i]->id > 0, "row %d has the key %lld", i,
                  (long long)posts[i]->id);
    OK(f, nx_rollback(s, NULL));
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(posts[i]->id, i > RUN && i % 3 == 0 ? -i : 0, "row %d has the key %lld", i, (long long)posts[i]->id);
    nxt_end(f, s);
    cr_expect_eq(count_posts(f), MANY);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_lt(Post_.id, 0)), NULL)), (MANY - RUN) / 3);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Author), NULL)), authors);
    free(posts);
}

CASE(sessions, flush_counts_the_rows_written)
{
    nx_session *s = nxt_session(f, NULL);
    Post *p = new_post(s, "a");
    new_post(s, "b");
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 2);
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0, "nothing changed, nothing is written");
    p->score = nx_some(i32, 5);
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 1);
    nxt_end(f, s);
    cr_expect_eq(count_posts(f), 2);
}

CASE(sessions, one_insert_is_one_request)
{
    uint64_t before = nx_stats_get(f->db)->ops;
    nx_session *s = nxt_session(f, NULL);
    new_post(s, "written and committed in one go");
    nxt_end(f, s);
    cr_expect_eq(nx_stats_get(f->db)->ops, before + 1);
    s = nxt_session(f, NULL);
    nxt_end(f, s);
    cr_expect_eq(nx_stats_get(f->db)->ops, before + 1, "a session that did nothing asks for nothing");
    cr_expect_eq(count_posts(f), 1);
}

CASE(sessions, commit_goes_on)
{
    nx_session *s = nxt_session(f, NULL);
    Post *p = new_post(s, "kept");
    OK(f, nx_commit(s, NULL));
    int64_t id = p->id;
    cr_expect_gt(id, 0);
    p->title = nx_str("changed");
    OK(f, nx_commit(s, NULL));
    new_post(s, "lost");
    nx_session_free(s);
    cr_expect_eq(count_posts(f), 1);
    cr_expect_eq(
        COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_and(nx_eq(Post_.id, id), nx_eq(Post_.title, "changed"))), NULL)),
        1);
}

CASE(sessions, rolled_back_new_row_is_new_again)
{
    nx_session *s = nxt_session(f, NULL);
    Post *p = new_post(s, "twice");
    OK(f, nx_flush(s, NULL));
    cr_expect_gt(p->id, 0);
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(p->id, 0, "its automatic key is cleared");
    TEXT_IS(p->title, "twice");
    OK(f, nx_commit(s, NULL));
    cr_expect_gt(p->id, 0);
    nxt_end(f, s);
    cr_expect_eq(count_posts(f), 1);
}

CASE(sessions, rolled_back_change_is_read_again)
{
    Post *stored = nxt_post(f, "as stored", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_filter(nx_select(s, Post), nx_eq(Post_.id, stored->id)));
    p->title = nx_str("changed");
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    Post *again = ONE(f, Post, nx_filter(nx_select(s, Post), nx_eq(Post_.id, stored->id)));
    cr_expect_eq(again, p, "the identity stays");
    TEXT_IS(p->title, "as stored");
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0, "nothing of the undone change is written again");
    nxt_end(f, s);
}

CASE(sessions, rolled_back_row_is_refreshed_on_request)
{
    Post *stored = nxt_post(f, "as stored", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_filter(nx_select(s, Post), nx_eq(Post_.id, stored->id)));
    p->title = nx_str("changed, not flushed");
    OK(f, nx_rollback(s, NULL));
    OK(f, nx_refresh(s, p, NULL));
    TEXT_IS(p->title, "as stored");
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "as stored")), NULL)), 1);
}

CASE(sessions, rolled_back_deletion_brings_the_row_back)
{
    Post *stored = nxt_post(f, "stays", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_filter(nx_select(s, Post), nx_eq(Post_.id, stored->id)));
    CHECK(nx_session_delete(s, p));
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(ONE(f, Post, nx_filter(nx_select(s, Post), nx_eq(Post_.id, stored->id)))->id, stored->id);
    nxt_end(f, s);
    cr_expect_eq(count_posts(f), 1);
}

/* The row was made and committed by this very session: it is stored, not new, when its deletion is undone. */
CASE(sessions, rolled_back_deletion_of_a_row_committed_before)
{
    nx_session *s = nxt_session(f, NULL);
    Post *p = new_post(s, "committed");
    OK(f, nx_commit(s, NULL));
    int64_t id = p->id;
    CHECK(nx_session_delete(s, p));
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(s, Post), NULL)), 1, "it is not inserted again");
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.id, id)), NULL)), 1);
    cr_expect_eq(count_posts(f), 1);
}

CASE(sessions, deletion)
{
    Post *stored = nxt_post(f, "goes", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_filter(nx_select(s, Post), nx_eq(Post_.id, stored->id)));
    CHECK(nx_session_delete(s, p));
    Post *never = new_post(s, "forgotten");
    CHECK(nx_session_delete(s, never));
    nxt_end(f, s);
    cr_expect_eq(count_posts(f), 0);
}

CASE(sessions, failed_flush_names_the_row_and_loses_nothing)
{
    nx_session *s = nxt_session(f, NULL);
    Post *good = new_post(s, "good");
    Post *bad = nx_new(s, Post);
    MENTIONS(FAILS(f, nx_flush(s, NULL), NX_EREQUIRED), "title");
    cr_expect_eq(count_posts(f), 0);
    bad->title = nx_str("mended");
    OK(f, nx_session_end(s, NULL));
    cr_expect_gt(good->id, 0);
    nx_session_free(s);
    cr_expect_eq(count_posts(f), 2);
}

CASE(sessions, error_points_at_the_object)
{
    enum { MANY = 200, BAD = 137 };
    Author *authors[MANY];
    char names[MANY][16];

    nxt_author(f, "taken");
    nx_session *s = nxt_session(f, NULL);
    for (int i = 0; i < MANY; i++) {
        new_post(s, "between the authors");
        snprintf(names[i], sizeof(names[i]), "author %d", i);
        authors[i] = nx_new(s, Author);
        authors[i]->name = nx_str(names[i]);
    }
    Author *bad = authors[BAD];
    bad->name = (nx_text){ NULL, 0 };
    const nx_error *error = FAILS(f, nx_flush(s, NULL), NX_EREQUIRED);
    cr_expect_eq(error->object, bad, "found before anything was sent");
    cr_expect_eq(error->row, -1);
    bad->name = nx_str("taken");
    error = FAILS(f, nx_flush(s, NULL), NX_EUNIQUE);
    cr_expect_eq(error->object, bad, "found by the database");
    cr_expect_eq(error->row, -1);
    cr_expect_eq(nx_session_error(s)->object, bad);
    bad->name = nx_str("mended");
    OK(f, nx_flush(s, NULL));
    /* The transaction is open: writes stand behind a savepoint now. */
    Author *late = nx_new(s, Author);
    late->name = nx_str("taken");
    error = FAILS(f, nx_flush(s, NULL), NX_EUNIQUE);
    cr_expect_eq(error->object, late);
    cr_expect_eq(FAILS(f, nx_session_end(s, NULL), NX_EUNIQUE)->object, late, "an end tells it as well");
    nx_session_free(s);
    /* Outside sessions. */
    Author *alone = nx_make(f->db, Author);
    cr_expect_eq(FAILS(f, nx_save(f->db, alone, NULL), NX_EREQUIRED)->object, alone);
    alone->name = nx_str("taken");
    cr_expect_eq(FAILS(f, nx_save(f->db, alone, NULL), NX_EUNIQUE)->object, alone);
    cr_expect_null(FAILS(f, nx_execute(f->db, "SELECT 1 FROM nowhere", nx_no_args, NULL), NX_EUNDEFINED)->object);
}

CASE(sessions, error_of_a_change_points_at_the_object)
{
    char long_title[202];
    nxt_posts(f, 3);
    Author *a = nxt_author(f, "first");
    nxt_author(f, "second");
    memset(long_title, 'x', sizeof(long_title));
    nx_session *s = nxt_session(f, NULL);
    Author *first = ONE(f, Author, nx_filter(nx_select(s, Author), nx_eq(Author_.name, "first")));
    Author *second = ONE(f, Author, nx_filter(nx_select(s, Author), nx_eq(Author_.name, "second")));
    Post *post = ONE(f, Post, nx_order_by(nx_select(s, Post), nx_desc(Post_.id)));
    cr_assert(first != NULL && second != NULL && post != NULL);
    post->title = nx_strn(long_title, 201);
    cr_expect_eq(FAILS(f, nx_flush(s, NULL), NX_ETOOLONG)->object, post);
    post->title = nx_str("short");
    second->name = nx_str("first");
    cr_expect_eq(FAILS(f, nx_flush(s, NULL), NX_EUNIQUE)->object, second);
    second->name = nx_str("second");
    first->id = 77;
    cr_expect_eq(FAILS(f, nx_flush(s, NULL), NX_EVALUE)->object, first, "a key that was changed");
    first->id = a->id;
    OK(f, nx_delete(f->db, a, NULL));
    first->name = nx_str("of a row that is gone");
    cr_expect_eq(FAILS(f, nx_flush(s, NULL), NX_EOPTIMISTIC)->object, first);
    OK(f, nx_rollback(s, NULL));
    nx_session_free(s);
}

CASE(sessions, failed_end_says_rolled_back)
{
    nxt_author(f, "taken");
    nx_session *s = nxt_session(f, NULL);
    new_post(s, "goes down with it");
    Author *a = nx_new(s, Author);
    a->name = nx_str("taken");
    const nx_error *error = FAILS(f, nx_session_end(s, NULL), NX_EUNIQUE);
    cr_expect_eq(error->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_expect_eq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    cr_expect_eq(count_posts(f), 0);
}

CASE(sessions, flushed_rows_are_seen_inside_and_committed_outside)
{
    nx_session *s = nxt_session(f, NULL);
    new_post(s, "pending");
    cr_expect_eq(COUNT(f, nx_count(nx_select(s, Post), NULL)), 1, "a query flushes first");
    nxt_end(f, s);
    cr_expect_eq(count_posts(f), 1);
}

CASE(sessions, auto_flush_before_raw_queries)
{
    nx_session *s = nxt_session(f, NULL);
    new_post(s, "pending");
    nx_completion c = OK(f, nx_session_select_raw(s, f->db, "SELECT COUNT(*) FROM post", nx_no_args, NULL));
    cr_expect_eq(nx_rows_at(c.raw, 0, 0).i64, 1);
    nxt_seen(f, &c);
    new_post(s, "pending too");
    cr_expect_eq(COUNT(f, nx_session_execute(s, f->db, "UPDATE post SET score = ?", nx_args(7), NULL)), 2);
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 7)), NULL)), 2);
}

CASE(sessions, no_auto_flush)
{
    nx_session *s = nxt_session(f, &(nx_session_options){ .no_auto_flush = true });
    new_post(s, "pending");
    cr_expect_eq(COUNT(f, nx_count(nx_select(s, Post), NULL)), 0);
    nxt_end(f, s);
    cr_expect_eq(count_posts(f), 1);
}

CASE(sessions, execute_alone_is_committed_and_rolled_back)
{
    nxt_post(f, "post", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    OK(f, nx_session_execute(s, f->db, "UPDATE post SET score = 2", nx_no_args, NULL));
    nx_session_free(s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 2)), NULL)), 0);
    s = nxt_session(f, NULL);
    OK(f, nx_session_execute(s, f->db, "UPDATE post SET score = 3", nx_no_args, NULL));
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 3)), NULL)), 1);
}

CASE(sessions, set_based_writes_belong_to_the_session)
{
    nxt_post(f, "a", 1, NULL);
    nxt_post(f, "b", 2, NULL);
    nx_session *s = nxt_session(f, NULL);
    cr_expect_eq(COUNT(f, nx_delete_all(nx_filter(nx_select(s, Post), nx_eq(Post_.title, "a")), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_update_all(nx_select(s, Post), NULL, nx_assign(Post_.score, 9))), 1);
    OK(f, nx_rollback(s, NULL));
    nxt_end(f, s);
    cr_expect_eq(count_posts(f), 2);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 9)), NULL)), 0);
}

CASE(sessions, save_inside_is_part_of_the_transaction)
{
    nx_session *s = nxt_session(f, NULL);
    Post *p = new_post(s, "saved, then rolled back");
    OK(f, nx_save(f->db, p, NULL));
    cr_expect_gt(p->id, 0);
    nx_session_free(s);
    cr_expect_eq(count_posts(f), 0);
}

CASE(sessions, ended_session_refuses_everything)
{
    nx_session *s = nxt_session(f, NULL);
    Post *p = new_post(s, "post");
    OK(f, nx_session_end(s, NULL));
    cr_expect_null(nx_new_row(s, &Post_entity));
    cr_assert_not_null(nx_session_error(s));
    cr_expect_neq(nx_session_error(s)->message[0], '\0');
    cr_expect_neq(nx_session_delete(s, p), NX_OK);
    FAILS(f, nx_flush(s, NULL), NX_ESTATE);
    FAILS(f, nx_commit(s, NULL), NX_ESTATE);
    FAILS(f, nx_rollback(s, NULL), NX_ESTATE);
    FAILS(f, nx_session_end(s, NULL), NX_ESTATE);
    FAILS(f, nx_fetch_all(nx_select(s, Post), NULL), NX_ESTATE);
    FAILS(f, nx_session_execute(s, f->db, "DELETE FROM post", nx_no_args, NULL), NX_ESTATE);
    FAILS(f, nx_refresh(s, p, NULL), NX_ESTATE);
    cr_expect_null(nx_session_nested(s, NULL));
    nx_session_free(s);
    cr_expect_eq(count_posts(f), 1);
}

CASE(sessions, entity_that_no_database_maps)
{
    static const nx_field fields[] = { { .name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i64 } };
    nx_entity *stranger = NULL;
    CHECK(nx_entity_new("Stranger", fields, 1, NULL, &stranger));
    nx_session *s = nxt_session(f, NULL);
    cr_expect_null(nx_new_row(s, stranger));
    cr_assert_not_null(nx_session_error(s));
    cr_expect_eq(nx_session_error(s)->status, NX_ENOTMAPPED);
    MENTIONS(nx_session_error(s), "Stranger");
    MENTIONS(FAILS(f, nx_fetch_all(nx_select_entity(s, stranger), NULL), NX_ENOTMAPPED), "Stranger");
    nxt_end(f, s);
    nx_db_free(f->db);
    nx_entity_free(stranger);
    f->db = nxt_database(f, 1, nxt_entities);
}

CASE(sessions, read_only_refuses_writes)
{
    nxt_post(f, "post", 1, NULL);
    nx_session *s = nxt_session(f, &(nx_session_options){ .read_only = true });
    Post *p = ONE(f, Post, nx_select(s, Post));
    p->title = nx_str("changed");
    FAILS(f, nx_flush(s, NULL), NX_EREADONLY);
    OK(f, nx_refresh(s, p, NULL));
    FAILS(f, nx_session_execute(s, f->db, "DELETE FROM post", nx_no_args, NULL), NX_EREADONLY);
    nx_session_free(s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "post")), NULL)), 1);
}

CASE(sessions, isolation_options_work)
{
    nx_session_options options[] = {{.serializable = true}, {.immediate = true}, {.serializable = true, .immediate = true}};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        nx_session *s = nxt_session(f, &options[i]);
        int64_t before = COUNT(f, nx_count(nx_select(s, Post), NULL));
        new_post(s, "post");
        cr_expect_eq(COUNT(f, nx_count(nx_select(s, Post), NULL)), before + 1);
        nxt_end(f, s);
        cr_expect_eq(count_posts(f), before + 1);
    }
}

CASE(sessions, isolation_levels)
{
    nx_isolation levels[] = { NX_ISOLATION_READ_COMMITTED, NX_ISOLATION_REPEATABLE_READ, NX_ISOLATION_SERIALIZABLE };
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        nx_session *s = nxt_session(f, &(nx_session_options){ .isolation = levels[i] });
        int64_t before = COUNT(f, nx_count(nx_select(s, Post), NULL));
        new_post(s, "post");
        nxt_end(f, s);
        cr_expect_eq(count_posts(f), before + 1);
    }
    nx_session *s = nxt_session(
        f, &(nx_session_options){ .isolation = NX_ISOLATION_SERIALIZABLE, .read_only = true, .deferrable = true });
    cr_expect_eq(COUNT(f, nx_count(nx_select(s, Post), NULL)), 3);
    nxt_end(f, s);
    s = nxt_session(f, &(nx_session_options){ .isolation = (nx_isolation)99 });
    FAILS(f, nx_count(nx_select(s, Post), NULL), NX_EINVAL);
    nx_session_free(s);
}

CASE(sessions, add_takes_a_row_of_the_database)
{
    Post *outside = nxt_post(f, "outside", 1, NULL);
    Post *fresh = nx_make(f->db, Post);
    fresh->title = nx_str("fresh");
    nx_session *s = nxt_session(f, NULL);
    Post *known = nx_session_add(s, outside), *added = nx_session_add(s, fresh);
    cr_assert_not_null(known);
    cr_assert_not_null(added);
    cr_expect_neq(known, outside, "it is copied");
    cr_expect_null(nx_session_add(s, outside), "the key is known already");
    known->title = nx_str("changed inside");
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 2);
    nxt_end(f, s);
    cr_expect_eq(count_posts(f), 2);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "changed inside")), NULL)), 1);
}

CASE(sessions, refresh)
{
    Post *stored = nxt_post(f, "stored", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_select(s, Post));
    p->title = nx_str("thrown away");
    OK(f, nx_refresh(s, p, NULL));
    TEXT_IS(p->title, "stored");
    OK(f, nx_delete(f->db, stored, NULL));
    FAILS(f, nx_refresh(s, p, NULL), NX_ENOTFOUND);
    nx_session_free(s);
}

CASE(sessions, with_session_block)
{
    nx_session *s;
    Post *p = NULL;
    nx_with_session(s, f->loop)
    {
        p = new_post(s, "in a block");
    }
    cr_assert(nx_session_is_ended(s));
    cr_expect_gt(p->id, 0);
    nx_session_free(s);
    nx_with_session(s, f->loop)
    {
        new_post(s, "left early");
        break;
    }
    cr_expect_not(nx_session_is_ended(s));
    nx_session_free(s);
    cr_expect_eq(count_posts(f), 1);
    nx_with_session(s, f->loop)
    {
        nx_new(s, Post);
    }
    cr_assert_not_null(nx_session_error(s));
    cr_expect_eq(nx_session_error(s)->status, NX_EREQUIRED);
    nx_session_free(s);
}

CASE(sessions, rows_of_one_session_stay_apart_from_another)
{
    nxt_post(f, "post", 1, NULL);
    nx_session *a = nxt_session(f, NULL), *b = nxt_session(f, NULL);
    Post *of_a = ONE(f, Post, nx_select(a, Post)), *of_b = ONE(f, Post, nx_select(b, Post));
    cr_expect_neq(of_a, of_b);
    of_a->title = nx_str("changed by a");
    OK(f, nx_session_end(a, NULL));
    TEXT_IS(of_b->title, "post");
    OK(f, nx_refresh(b, of_b, NULL));
    TEXT_IS(of_b->title, "changed by a");
    nx_session_free(a);
    nxt_end(f, b);
}

CASE(sessions, operations_run_in_the_order_of_queueing)
{
    nx_session *s = nxt_session(f, NULL);
    new_post(s, "queued");
    nx_op flush = nx_flush(s, NULL);
    nx_op count = nx_count(nx_select(s, Post), NULL);
    nx_op end = nx_session_end(s, NULL);
    cr_expect_eq(OK(f, end).status, NX_OK);
    cr_expect_eq(OK(f, count).count, 1);
    cr_expect_eq(OK(f, flush).count, 1);
    nx_session_free(s);
    cr_expect_eq(count_posts(f), 1);
}
