/*
 * defects - what the reference implementation got wrong stays right here, in the order of its list.
 */
#include <stdlib.h>

#include "cases.h"

CASE(defects, keys_are_known_after_save)
{
    cr_expect_gt(nxt_author(f, "saved")->id, 0);
}

CASE(defects, session_over_a_pool_is_one_transaction)
{
    nx_session *s = nxt_session(f, NULL);
    for (int i = 0; i < 10; i++) {
        Slot *slot = nx_new(s, Slot);
        slot->number = i;
        slot->label = nx_str("one transaction");
        OK(f, nx_flush(s, NULL));
        cr_expect_eq(COUNT(f, nx_count(nx_select(s, Slot), NULL)), i + 1, "reads after the first write see it");
    }
    OK(f, nx_rollback(s, NULL));
    nx_session_free(s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 0);
}

CASE(defects, session_of_raw_writes_only_is_committed)
{
    nx_session *s = nxt_session(f, NULL);
    OK(f, nx_session_execute(s, f->db, "INSERT INTO slot (number, label) VALUES (1, 'x')", nx_no_args, NULL));
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 1);
    s = nxt_session(f, NULL);
    cr_expect_eq(COUNT(f, nx_update_all(nx_select(s, Slot), NULL, nx_assign(Slot_.label, "y"))), 1);
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Slot), nx_eq(Slot_.label, "y")), NULL)), 1);
    s = nxt_session(f, NULL);
    cr_expect_eq(COUNT(f, nx_delete_all(nx_select(s, Slot), NULL)), 1);
    nx_session_free(s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 1, "freed without an end: rolled back");
}

CASE(defects, deleted_row_is_not_inserted_again)
{
    nx_session *s = nxt_session(f, NULL);
    Post *p = nx_new(s, Post);
    p->title = nx_str("deleted");
    OK(f, nx_flush(s, NULL));
    OK(f, nx_delete(f->db, p, NULL));
    p->title = nx_str("changed after its deletion");
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 0);
}

CASE(defects, changed_object_with_an_unloaded_lazy_field)
{
    Post *p = nx_make(f->db, Post);
    p->title = nx_str("title");
    p->body = nx_some(text, nx_str("body"));
    OK(f, nx_save(f->db, p, NULL));
    nx_session *s = nxt_session(f, &(nx_session_options){ .optimistic = NX_OPTIMISTIC_ALL });
    Post *r = ONE(f, Post, nx_select(s, Post));
    r->title = nx_str("changed");
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_where(nx_select(f->db, Post), "body = 'body' and title = 'changed'", nx_no_args), NULL)),
                 1);
}

CASE(defects, update_to_the_same_value_is_no_conflict)
{
    Post *p = nxt_post(f, "title", 1, NULL);
    nx_session *s = nxt_session(f, &(nx_session_options){ .optimistic = NX_OPTIMISTIC_ALL });
    Post *r = ONE(f, Post, nx_select(s, Post));
    char same[] = "title";
    r->title = nx_str(same);
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0, "equal content is no change");
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_update_all(nx_select(f->db, Post), NULL, nx_assign(Post_.title, "title"))), 1,
                 "matched rows are counted");
    cr_expect_gt(p->id, 0);
}

CASE(defects, tables_and_indexes_whatever_the_order_of_the_entities)
{
    static const nx_entity *const children_first[] = {&Egg_entity, &Goods_entity, &Street_entity, &Post_entity,   &Node_entity,
                                                      &Hen_entity, &Owner_entity, &City_entity,   &Author_entity, &Checked_entity,
                                                      NULL};
    nx_db *db = nxt_database(f, 1, children_first);
    cr_expect_not_null(strstr(nx_ddl(db), "INDEX"));
    cr_expect_eq(COUNT(f, nx_count(nx_select(db, Street), NULL)), 0);
    nx_db_free(db);
}

CASE(defects, foreign_keys_are_enforced)
{
    FAILS(f, nx_execute(f->db, "INSERT INTO egg (laid_by_id) VALUES (77)", nx_no_args, NULL), NX_EFOREIGNKEY);
}

CASE(defects, long_lists_are_not_cut)
{
    enum { MANY = 70000 };
    nx_value *values = calloc(MANY, sizeof(*values));
    cr_assert_not_null(values);
    nxt_posts(f, 10);
    for (int i = 0; i < MANY; i++)
        values[i] = nx_value_i64(i - MANY + 10);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_in_values(Post_.score, values, MANY)), NULL)), 10);
    free(values);
}

CASE(defects, null_in_a_condition_is_null)
{
    nxt_post(f, "without author", 1, NULL);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.author, nx_null())), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_count(nx_where(nx_select(f->db, Post), "author = ?", nx_args(nx_null())), NULL)), 1);
}

CASE(defects, column_name_of_a_field)
{
    Checked *c = nx_make(f->db, Checked);
    c->left_side = nx_some(i32, 7);
    OK(f, nx_save(f->db, c, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Checked), nx_eq(Checked_.left_side, 7)), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_count(nx_where(nx_select(f->db, Checked), "left_side = 7", nx_no_args), NULL)), 1);
    FAILS(f, nx_count(nx_where(nx_select(f->db, Checked), "\"left\" = 7", nx_no_args), NULL), NX_ESYNTAX);
    nx_completion s = OK(f, nx_select_raw(f->db, "SELECT \"left\" FROM checked", nx_no_args, NULL));
    cr_expect_eq(nx_rows_at(s.raw, 0, 0).i64, 7);
    nxt_seen(f, &s);
}

/* After a failure in a batch the same session can be mended and flushed: the failed row is neither lost nor written twice. */
CASE(defects, failed_row_can_be_mended)
{
    nxt_author(f, "taken");
    nx_session *s = nxt_session(f, NULL);
    Author *first = nx_new(s, Author), *second = nx_new(s, Author), *third = nx_new(s, Author);
    first->name = nx_str("first");
    second->name = nx_str("taken");
    third->name = nx_str("third");
    const nx_error *error = FAILS(f, nx_flush(s, NULL), NX_EUNIQUE);
    cr_expect_neq(error->message[0], '\0');
    second->name = nx_str("free");
    OK(f, nx_session_end(s, NULL));
    cr_expect_gt(first->id, 0);
    cr_expect_gt(second->id, 0);
    cr_expect_gt(third->id, 0);
    nx_session_free(s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Author), NULL)), 4);
}
