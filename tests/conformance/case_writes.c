/*
 * writes - single rows outside sessions, what an UPDATE writes, and the optimistic check.
 */
#include "cases.h"

static Account *account(nxt_fixture *f, int64_t balance)
{
    Account *a = nx_make(f->db, Account);
    cr_assert_not_null(a);
    a->balance = balance;
    OK(f, nx_save(f->db, a, NULL));
    return a;
}

CASE(writes, save_inserts_then_updates)
{
    Post *p = nxt_post(f, "one", 1, NULL);
    int64_t id = p->id;
    p->title = nx_str("two");
    OK(f, nx_save(f->db, p, NULL));
    cr_expect_eq(p->id, id);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "two")), NULL)), 1);
}

CASE(writes, unchanged_row_is_not_written)
{
    Post *p = nxt_post(f, "one", 1, NULL);
    size_t count = 99;
    CHECK(nx_capture_begin(f->db));
    OK(f, nx_save(f->db, p, NULL));
    nx_capture_end(f->db, &count);
    cr_expect_eq(count, 0U);
}

CASE(writes, only_changed_columns_are_written)
{
    Post *mine = nxt_post(f, "title", 1, NULL);
    nx_completion c = OK(f, nx_get(f->db, Post, nx_eq(Post_.id, mine->id), NULL));
    Post *theirs = c.rows[0];
    mine->title = nx_str("my title");
    theirs->score = nx_some(i32, 77);
    OK(f, nx_save(f->db, mine, NULL));
    OK(f, nx_save(f->db, theirs, NULL));
    nxt_seen(f, &c);
    cr_expect_eq(COUNT(f, nx_count(nx_where(nx_select(f->db, Post), "title = 'my title' and score = 77", nx_no_args), NULL)), 1);
}

CASE(writes, insert_always_inserts)
{
    Post *p = nxt_post(f, "one", 1, NULL);
    FAILS(f, nx_insert(f->db, p, NULL), NX_EUNIQUE);
    Post *q = nx_make(f->db, Post);
    q->id = p->id + 100;
    q->title = nx_str("two");
    OK(f, nx_insert(f->db, q, NULL));
    cr_expect_eq(q->id, p->id + 100);
}

CASE(writes, delete_and_insert_again)
{
    Post *p = nxt_post(f, "one", 1, NULL);
    OK(f, nx_delete(f->db, p, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 0);
    cr_expect_neq(nx_await(f->loop, nx_delete(f->db, p, NULL)).status, NX_OK, "a row is deleted once");
    Post *fresh = nx_make(f->db, Post);
    cr_expect_neq(nx_await(f->loop, nx_delete(f->db, fresh, NULL)).status, NX_OK, "a new row is nothing to delete");
    nx_release_row(f->db, fresh);
    nx_release_row(f->db, p);
}

CASE(writes, set_and_cleared_optional)
{
    Post *p = nxt_post(f, "one", 1, NULL);
    p->score = nx_none(i32);
    OK(f, nx_save(f->db, p, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_is_null(Post_.score)), NULL)), 1);
    p->score = nx_some(i32, 0);
    OK(f, nx_save(f->db, p, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 0)), NULL)), 1);
}

CASE(writes, lazy_field_that_is_not_loaded_is_left_alone)
{
    Post *p = nx_make(f->db, Post);
    p->title = nx_str("title");
    p->body = nx_some(text, nx_str("body"));
    OK(f, nx_save(f->db, p, NULL));
    nx_completion c = OK(f, nx_fetch_only(nx_select(f->db, Post), NULL));
    Post *r = c.rows[0];
    cr_expect_not(nx_row_is_loaded(r, Post_.body));
    r->title = nx_str("changed");
    OK(f, nx_save(f->db, r, NULL));
    OK(f, nx_load_lazy(r, Post_.body, NULL));
    TEXT_IS(r->body.value, "body");
    nxt_seen(f, &c);
}

CASE(writes, untracked_row_writes_all_columns)
{
    Post *p = nxt_post(f, "title", 1, NULL);
    nx_completion c = OK(f, nx_fetch_only(nx_untracked(nx_select(f->db, Post)), NULL));
    Post *r = c.rows[0];
    p->score = nx_some(i32, 50);
    OK(f, nx_save(f->db, p, NULL));
    r->title = nx_str("all of it");
    OK(f, nx_save(f->db, r, NULL));
    nxt_seen(f, &c);
    cr_expect_eq(COUNT(f, nx_count(nx_where(nx_select(f->db, Post), "title = 'all of it' and score = 1", nx_no_args), NULL)), 1);
}

CASE(writes, update_of_a_row_that_is_gone)
{
    Post *p = nxt_post(f, "title", 1, NULL);
    COUNT(f, nx_delete_all(nx_select(f->db, Post), NULL));
    p->title = nx_str("into nothing");
    cr_expect_eq(FAILS(f, nx_save(f->db, p, NULL), NX_EOPTIMISTIC)->outcome, NX_OUTCOME_ROLLED_BACK);
    nx_session *s = nxt_session(f, NULL);
    Author *a = nx_new(s, Author);
    a->name = nx_str("gone");
    OK(f, nx_commit(s, NULL));
    COUNT(f, nx_delete_all(nx_select(f->db, Author), NULL));
    a->name = nx_str("into nothing");
    FAILS(f, nx_commit(s, NULL), NX_EOPTIMISTIC);
    nx_session_free(s);
}

CASE(writes, volatile_field_is_never_updated)
{
    Account *a = account(f, 10);
    a->touched = nx_some(i64, 5);
    a->balance = 11;
    OK(f, nx_save(f->db, a, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Account), nx_is_not_null(Account_.touched)), NULL)), 0);
}

CASE(writes, initial_values)
{
    Checked *a = nx_make(f->db, Checked), *b = nx_make(f->db, Checked);
    cr_expect_eq(a->percent, 50);
    TEXT_IS(a->code, "none");
    cr_expect_gt(a->made, 0);
    cr_expect_gt(b->made, a->made, "the function is called for each row");
}

CASE(writes, checks_run_before_anything_is_sent)
{
    Checked *c = nx_make(f->db, Checked);
    size_t sent = 99;
    CHECK(nx_capture_begin(f->db));
    c->percent = 101;
    MENTIONS(FAILS(f, nx_save(f->db, c, NULL), NX_ERANGE), "percent");
    c->percent = -1;
    MENTIONS(FAILS(f, nx_save(f->db, c, NULL), NX_ERANGE), "percent");
    c->percent = 100;
    c->code = nx_str("12345");
    MENTIONS(FAILS(f, nx_save(f->db, c, NULL), NX_ETOOLONG), "code");
    c->code = nx_str("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f");
    c->even = nx_some(i32, 3);
    MENTIONS(FAILS(f, nx_save(f->db, c, NULL), NX_EVALUE), "even");
    c->even = nx_some(i32, 4);
    c->price = nx_some(decimal, nx_dec("12.345"));
    cr_expect_neq(nx_await(f->loop, nx_save(f->db, c, NULL)).status, NX_OK,
                  "three digits after the point do not fit a scale of 2");
    c->price = nx_some(decimal, nx_dec("12345.67"));
    cr_expect_neq(nx_await(f->loop, nx_save(f->db, c, NULL)).status, NX_OK, "seven digits do not fit a precision of 6");
    c->price = nx_some(decimal, nx_dec("0.00"));
    MENTIONS(FAILS(f, nx_save(f->db, c, NULL), NX_ERANGE), "price");
    c->price = nx_some(decimal, nx_dec("9999.99"));
    c->day = nx_some(date, ((nx_date){ 10956 }));
    MENTIONS(FAILS(f, nx_save(f->db, c, NULL), NX_ERANGE), "day");
    nx_capture_end(f->db, &sent);
    cr_expect_eq(sent, 0U);
    c->day = nx_some(date, ((nx_date){ 10957 }));
    OK(f, nx_save(f->db, c, NULL));
}

CASE(writes, loading_runs_no_checks)
{
    OK(f, nx_execute(f->db, "INSERT INTO checked (percent, code, made) VALUES (1000, 'abcd', 1)", nx_no_args, NULL));
    nx_completion c = OK(f, nx_fetch_only(nx_select(f->db, Checked), NULL));
    cr_expect_eq(((Checked *)c.rows[0])->percent, 1000);
    nxt_seen(f, &c);
}

CASE(writes, texts_are_stripped)
{
    Author *a = nxt_author(f, " \t name \n");
    TEXT_IS(a->name, "name");
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Author), nx_eq(Author_.name, "name")), NULL)), 1);
}

CASE(writes, constraints_are_told_apart)
{
    nxt_author(f, "taken");
    Author *a = nx_make(f->db, Author);
    a->name = nx_str("taken");
    const nx_error *error = FAILS(f, nx_save(f->db, a, NULL), NX_EUNIQUE);
    cr_expect(strstr(error->message, "name") != NULL || strcmp(error->column, "name") == 0 ||
                  strstr(error->constraint, "name") != NULL,
              "%s", error->message);
    cr_expect_eq(a->id, 0, "a row that was refused has no key");
    a->name = nx_str("free");
    OK(f, nx_save(f->db, a, NULL));

    Checked *c = nx_make(f->db, Checked), *d = nx_make(f->db, Checked);
    c->left_side = d->left_side = nx_some(i32, 1);
    c->right_side = d->right_side = nx_some(i32, 2);
    OK(f, nx_save(f->db, c, NULL));
    FAILS(f, nx_save(f->db, d, NULL), NX_EUNIQUE);
    FAILS(f, nx_execute(f->db, "INSERT INTO author (name) VALUES (NULL)", nx_no_args, NULL), NX_ENOTNULL);
}

CASE(optimistic, version_is_counted_and_compared)
{
    Account *mine = account(f, 10);
    int32_t first = mine->version;
    nx_completion c = OK(f, nx_get(f->db, Account, nx_eq(Account_.id, mine->id), NULL));
    Account *theirs = c.rows[0];
    cr_expect_eq(theirs->version, first);
    theirs->balance = 20;
    OK(f, nx_save(f->db, theirs, NULL));
    cr_expect_eq(theirs->version, first + 1);
    mine->balance = 30;
    FAILS(f, nx_save(f->db, mine, NULL), NX_EOPTIMISTIC);
    theirs->balance = 40;
    OK(f, nx_save(f->db, theirs, NULL));
    cr_expect_eq(theirs->version, first + 2);
    nxt_seen(f, &c);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Account), nx_eq(Account_.balance, 40)), NULL)), 1);
}

CASE(optimistic, session_that_lost_the_race)
{
    Account *stored = account(f, 10);
    nx_session *s = nxt_session(f, NULL);
    Account *a = ONE(f, Account, nx_select(s, Account));
    stored->balance = 11;
    OK(f, nx_save(f->db, stored, NULL));
    a->balance = 12;
    const nx_error *error = FAILS(f, nx_session_end(s, NULL), NX_EOPTIMISTIC);
    cr_expect_eq(error->outcome, NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Account), nx_eq(Account_.balance, 11)), NULL)), 1);
}

CASE(optimistic, all_compares_every_loaded_column)
{
    Post *stored = nxt_post(f, "title", 1, NULL);
    nx_session *s = nxt_session(f, &(nx_session_options){ .optimistic = NX_OPTIMISTIC_ALL });
    Post *p = ONE(f, Post, nx_select(s, Post));
    p->title = nx_str("mine");
    OK(f, nx_commit(s, NULL));
    p->title = nx_str("mine again");
    OK(f, nx_commit(s, NULL));
    COUNT(f, nx_update_all(nx_select(f->db, Post), NULL, nx_assign(Post_.score, 5)));
    p->title = nx_str("too late");
    FAILS(f, nx_commit(s, NULL), NX_EOPTIMISTIC);
    nx_session_free(s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "mine again")), NULL)), 1);
    cr_expect_gt(stored->id, 0);
}

CASE(optimistic, all_compares_null_safely)
{
    Post *stored = nxt_post(f, "title", 1, NULL);
    stored->score = nx_none(i32);
    OK(f, nx_save(f->db, stored, NULL));
    nx_session *s = nxt_session(f, &(nx_session_options){ .optimistic = NX_OPTIMISTIC_ALL });
    Post *p = ONE(f, Post, nx_select(s, Post));
    p->title = nx_str("changed");
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "changed")), NULL)), 1);
}

CASE(optimistic, none_lets_the_last_writer_win)
{
    Account *stored = account(f, 10);
    nx_session *s = nxt_session(f, &(nx_session_options){ .optimistic = NX_OPTIMISTIC_NONE });
    Account *a = ONE(f, Account, nx_select(s, Account));
    stored->balance = 11;
    OK(f, nx_save(f->db, stored, NULL));
    a->balance = 12;
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Account), nx_eq(Account_.balance, 12)), NULL)), 1);
}

CASE(optimistic, deletion_of_a_changed_row)
{
    Account *stored = account(f, 10);
    nx_session *s = nxt_session(f, NULL);
    Account *a = ONE(f, Account, nx_select(s, Account));
    stored->balance = 11;
    OK(f, nx_save(f->db, stored, NULL));
    CHECK(nx_session_delete(s, a));
    FAILS(f, nx_session_end(s, NULL), NX_EOPTIMISTIC);
    nx_session_free(s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Account), NULL)), 1);
}

/* A second change of one object compares with what the first one wrote, not with what was loaded. */
CASE(optimistic, baseline_moves_with_each_write)
{
    Account *a = account(f, 0);
    for (int i = 1; i <= 5; i++) {
        a->balance = i;
        OK(f, nx_save(f->db, a, NULL));
    }
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Account), nx_eq(Account_.balance, 5)), NULL)), 1);
}
