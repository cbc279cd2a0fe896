/*
 * shared - two databases of one loop bound to the same data: what one sees of the other.
 */
#include "cases.h"

static nx_db *again(nxt_fixture *f)
{
    nx_db *db = nx_db_new(f->loop, nxt_entities);
    OK(f, nx_bind(db, f->provider->name, &f->options, NULL));
    OK(f, nx_generate_mapping(db, 0, NULL));
    return db;
}

SHARED_CASE(shared, commits_are_seen)
{
    nx_db *other = again(f);
    nxt_post(f, "seen", 1, NULL);
    cr_expect_eq(COUNT(f, nx_count(nx_select(other, Post), NULL)), 1);
    nx_db_free(other);
}

SHARED_CASE(shared, open_transactions_are_not_seen)
{
    nx_db *other = again(f);
    nx_session *s = nxt_session(f, NULL);
    ((Post *)nx_new(s, Post))->title = nx_str("not yet");
    OK(f, nx_flush(s, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 0, "not outside the session");
    cr_expect_eq(COUNT(f, nx_count(nx_select(other, Post), NULL)), 0, "not on another connection");
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(other, Post), NULL)), 1);
    nx_db_free(other);
}

SHARED_CASE(shared, read_only_session_keeps_its_snapshot)
{
    nx_session *s = nxt_session(f, &(nx_session_options){ .read_only = true });
    cr_expect_eq(COUNT(f, nx_count(nx_select(s, Post), NULL)), 0);
    nxt_post(f, "later", 1, NULL);
    cr_expect_eq(COUNT(f, nx_count(nx_select(s, Post), NULL)), 0, "one snapshot for all reads");
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 1);
}

SHARED_CASE(shared, read_only_binding)
{
    nx_bind_options options = f->options;
    nx_db *db = nx_db_new(f->loop, nxt_entities);
    options.read_only = true;
    nxt_post(f, "there", 1, NULL);
    OK(f, nx_bind(db, f->provider->name, &options, NULL));
    OK(f, nx_generate_mapping(db, 0, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(db, Post), NULL)), 1);
    Post *p = nx_make(db, Post);
    p->title = nx_str("refused");
    FAILS(f, nx_save(db, p, NULL), NX_EREADONLY);
    FAILS(f, nx_execute(db, "DELETE FROM post", nx_no_args, NULL), NX_EREADONLY);
    nx_db_free(db);
}

SHARED_CASE(shared, data_outlives_the_binding)
{
    nxt_post(f, "kept", 1, NULL);
    OK(f, nx_close(f->db, NULL));
    nx_db_free(f->db);
    f->db = again(f);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "kept")), NULL)), 1);
}

SHARED_CASE(shared, bind_again_after_close)
{
    nxt_post(f, "kept", 1, NULL);
    OK(f, nx_close(f->db, NULL));
    OK(f, nx_bind(f->db, f->provider->name, &f->options, NULL));
    OK(f, nx_generate_mapping(f->db, NX_CREATE_TABLES, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 1);
}

SHARED_CASE(shared, schema_change_by_another_connection)
{
    nx_db *other = again(f);
    nxt_post(f, "before", 1, NULL);
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_select(f->db, Post), NULL)), 1);
    OK(f, nx_execute(other, "ALTER TABLE post ADD COLUMN extra INTEGER DEFAULT 7", nx_no_args, NULL));
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_select(f->db, Post), NULL)), 1, "prepared statements survive");
    nxt_post(f, "after", 2, NULL);
    cr_expect_eq(COUNT(f, nx_count(nx_select(other, Post), NULL)), 2);
    nx_db_free(other);
}

SHARED_CASE(shared, two_writers_take_turns)
{
    nx_db *other = again(f);
    for (int i = 0; i < 20; i++) {
        Slot *a = nx_make(f->db, Slot), *b = nx_make(other, Slot);
        a->number = 2 * i;
        b->number = 2 * i + 1;
        a->label = b->label = nx_str("turn");
        nx_op first = nx_save(f->db, a, NULL), second = nx_save(other, b, NULL);
        OK(f, first);
        OK(f, second);
    }
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 40);
    nx_db_free(other);
}
