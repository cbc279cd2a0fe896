/*
 * references - foreign keys: what is written first, what a reference holds, what a deletion does to those who refer.
 */
#include "cases.h"

CASE(references, child_made_before_its_parent)
{
    nx_session *s = nxt_session(f, NULL);
    Post *p = nx_new(s, Post);
    Author *a = nx_new(s, Author);
    p->title = nx_str("child first");
    nx_set_ref(p->author, a);
    a->name = nx_str("parent");
    nxt_end(f, s);

    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(nx_via(Post_.author, Author_.name), "parent")), NULL)),
                 1);
}

CASE(references, chain_within_one_table)
{
    enum { LENGTH = 20 };
    nx_session *s = nxt_session(f, NULL);
    Node *node[LENGTH];
    for (int i = 0; i < LENGTH; i++) {
        node[i] = nx_new(s, Node);
        node[i]->name = nx_str("node");
    }
    /* The first one made is the last of the chain. */
    for (int i = 0; i < LENGTH - 1; i++)
        nx_set_ref(node[i]->parent, node[i + 1]);
    nxt_end(f, s);

    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Node), nx_is_null(Node_.parent)), NULL)), 1);
    nx_completion c =
        OK(f, nx_select_raw(f->db, "SELECT COUNT(*) FROM node AS a JOIN node AS b ON a.parent_id = b.id", nx_no_args, NULL));
    cr_expect_eq(nx_rows_at(c.raw, 0, 0).i64, LENGTH - 1);
    nxt_seen(f, &c);
}

CASE(references, row_refers_to_itself)
{
    nx_session *s = nxt_session(f, NULL);
    Node *node = nx_new(s, Node);
    node->name = nx_str("own parent");
    nx_set_ref(node->parent, node);
    OK(f, nx_session_end(s, NULL));
    int64_t id = node->id;
    nx_session_free(s);

    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Node), nx_eq(Node_.parent, id)), NULL)), 1);
}

CASE(references, circle_of_rows_in_one_table)
{
    nx_session *s = nxt_session(f, NULL);
    Node *a = nx_new(s, Node), *b = nx_new(s, Node);
    a->name = nx_str("a");
    b->name = nx_str("b");
    nx_set_ref(a->parent, b);
    nx_set_ref(b->parent, a);
    OK(f, nx_session_end(s, NULL));
    int64_t of_a = a->id, of_b = b->id;
    nx_session_free(s);

    cr_expect_eq(
        COUNT(f, nx_count(nx_filter(nx_select(f->db, Node), nx_and(nx_eq(Node_.id, of_a), nx_eq(Node_.parent, of_b))), NULL)), 1);
    cr_expect_eq(
        COUNT(f, nx_count(nx_filter(nx_select(f->db, Node), nx_and(nx_eq(Node_.id, of_b), nx_eq(Node_.parent, of_a))), NULL)), 1);
}

CASE(references, circle_of_tables_is_broken_at_the_optional_side)
{
    nx_session *s = nxt_session(f, NULL);
    Hen *hen = nx_new(s, Hen);
    Egg *egg = nx_new(s, Egg);
    hen->name = nx_str("first?");
    nx_set_ref(hen->hatched_from, egg);
    nx_set_ref(egg->laid_by, hen);
    OK(f, nx_session_end(s, NULL));
    int64_t of_hen = hen->id, of_egg = egg->id;
    nx_session_free(s);

    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Hen), nx_eq(Hen_.hatched_from, of_egg)), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Egg), nx_eq(Egg_.laid_by, of_hen)), NULL)), 1);
}

CASE(references, by_key)
{
    Author *a = nxt_author(f, "known by number");
    nx_session *s = nxt_session(f, NULL);
    Post *p = nx_new(s, Post);
    p->title = nx_str("by key");
    nx_set_ref_key(p->author, a->id);
    nxt_end(f, s);

    nx_completion c = OK(f, nx_fetch_only(nx_select(f->db, Post), NULL));
    cr_assert_eq(c.count, 1);
    Post *r = c.rows[0];
    cr_expect_null(r->author.row);
    cr_assert_eq(r->author.key.part_count, 1U);
    cr_expect_eq(r->author.key.value.i64, a->id);
    nxt_seen(f, &c);
}

CASE(references, none_is_null)
{
    Post *p = nxt_post(f, "orphan", 1, NULL);
    nx_completion c = OK(f, nx_get(f->db, Post, nx_eq(Post_.id, p->id), NULL));
    Post *r = c.rows[0];
    cr_expect_null(r->author.row);
    cr_expect_eq(r->author.key.part_count, 0U);
    nxt_seen(f, &c);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_is_null(Post_.author)), NULL)), 1);
}

CASE(references, loaded_row_points_to_a_known_row)
{
    Author *a = nxt_author(f, "known");
    nxt_post(f, "post", 1, a);
    nx_session *s = nxt_session(f, NULL);
    Author *known = ONE(f, Author, nx_select(s, Author));
    Post *p = ONE(f, Post, nx_select(s, Post));
    cr_expect_eq(p->author.row, known);
    nxt_end(f, s);
}

CASE(references, changed_reference_is_written)
{
    Author *a = nxt_author(f, "old"), *b = nxt_author(f, "new");
    nxt_post(f, "post", 1, a);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_select(s, Post));
    nx_set_ref_key(p->author, b->id);
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(s, Post), nx_eq(Post_.author, b->id)), NULL)), 1);
    nx_set_ref(p->author, NULL);
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(s, Post), nx_is_null(Post_.author)), NULL)), 1);
    nxt_end(f, s);
}

CASE(references, to_nobody_is_refused)
{
    Post *p = nx_make(f->db, Post);
    p->title = nx_str("of nobody");
    nx_set_ref_key(p->author, 999);
    const nx_error *error = FAILS(f, nx_save(f->db, p, NULL), NX_EFOREIGNKEY);
    cr_expect_not(error->retryable);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 0);
    nx_set_ref(p->author, NULL);
    OK(f, nx_save(f->db, p, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 1);
}

CASE(references, required_one_must_be_set)
{
    Egg *egg = nx_make(f->db, Egg);
    MENTIONS(FAILS(f, nx_save(f->db, egg, NULL), NX_EREQUIRED), "laid_by");
}

CASE(references, deletion_cascades_clears_and_refuses)
{
    nx_session *s = nxt_session(f, NULL);
    Owner *owner[3];
    Goods *goods[3];
    for (int i = 0; i < 3; i++) {
        owner[i] = nx_new(s, Owner);
        owner[i]->name = nx_str("owner");
        goods[i] = nx_new(s, Goods);
    }
    nx_set_ref(goods[0]->cascading, owner[0]);
    nx_set_ref(goods[1]->clearing, owner[1]);
    nx_set_ref(goods[2]->refusing, owner[2]);
    OK(f, nx_session_end(s, NULL));
    int64_t id[3] = { owner[0]->id, owner[1]->id, owner[2]->id };
    nx_session_free(s);

    cr_expect_eq(COUNT(f, nx_delete_all(nx_filter(nx_select(f->db, Owner), nx_eq(Owner_.id, id[0])), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Goods), NULL)), 2, "CASCADE deletes those who refer");
    cr_expect_eq(COUNT(f, nx_delete_all(nx_filter(nx_select(f->db, Owner), nx_eq(Owner_.id, id[1])), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Goods), nx_is_not_null(Goods_.clearing)), NULL)), 0);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Goods), NULL)), 2, "SET NULL keeps those who refer");
    FAILS(f, nx_delete_all(nx_filter(nx_select(f->db, Owner), nx_eq(Owner_.id, id[2])), NULL), NX_EFOREIGNKEY);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Owner), NULL)), 1);
}

CASE(references, deletions_go_children_first)
{
    nx_session *s = nxt_session(f, NULL);
    Owner *owner = nx_new(s, Owner);
    Goods *goods = nx_new(s, Goods);
    owner->name = nx_str("owner");
    nx_set_ref(goods->refusing, owner);
    OK(f, nx_commit(s, NULL));
    CHECK(nx_session_delete(s, owner));
    CHECK(nx_session_delete(s, goods));
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Owner), NULL)), 0);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Goods), NULL)), 0);
}

CASE(references, deletions_within_one_table_go_children_first)
{
    nx_session *s = nxt_session(f, NULL);
    Node *top = nx_new(s, Node), *leaf = nx_new(s, Node);
    top->name = nx_str("top");
    leaf->name = nx_str("leaf");
    nx_set_ref(leaf->parent, top);
    OK(f, nx_commit(s, NULL));
    CHECK(nx_session_delete(s, top));
    CHECK(nx_session_delete(s, leaf));
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Node), NULL)), 0);
}

CASE(references, inserts_updates_and_deletes_in_one_flush)
{
    Author *a = nxt_author(f, "stays"), *b = nxt_author(f, "goes");
    nxt_post(f, "of the one who goes", 1, b);
    nx_session *s = nxt_session(f, NULL);
    Author *stays = ONE(f, Author, nx_filter(nx_select(s, Author), nx_eq(Author_.id, a->id)));
    Author *goes = ONE(f, Author, nx_filter(nx_select(s, Author), nx_eq(Author_.id, b->id)));
    Post *p = ONE(f, Post, nx_select(s, Post));
    Post *q = nx_new(s, Post);
    q->title = nx_str("new");
    nx_set_ref(q->author, stays);
    nx_set_ref(p->author, stays);
    stays->name = nx_str("stayed");
    CHECK(nx_session_delete(s, goes));
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(nx_via(Post_.author, Author_.name), "stayed")), NULL)),
                 2);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Author), NULL)), 1);
}

CASE(references, paths_join_as_needed)
{
    Author *a = nxt_author(f, "Ada"), *b = nxt_author(f, "Bob");
    nxt_post(f, "one", 1, a);
    nxt_post(f, "two", 2, b);
    nxt_post(f, "three", 3, NULL);
    nx_query *q =
        nx_filter(nx_select(f->db, Post), nx_or(nx_eq(nx_via(Post_.author, Author_.name), "Ada"), nx_gt(Post_.score, 2)));
    cr_expect_eq(COUNT(f, nx_count(q, NULL)), 2, "a row without the reference is not lost under OR");
    q = nx_order_by(nx_select(f->db, Post), nx_desc(nx_via(Post_.author, Author_.name)));
    cr_expect_eq(COUNT(f, nx_fetch_all(q, NULL)), 3, "an order by a reference loses no row");
    q = nx_filter(nx_select(f->db, Post), nx_not(nx_eq(nx_via(Post_.author, Author_.name), "Ada")));
    int64_t count = COUNT(f, nx_count(q, NULL));
    cr_expect(count == 1 || count == 2, "%d", (int)count);
}

CASE(references, path_over_two_hops)
{
    nx_session *s = nxt_session(f, NULL);
    Node *a = nx_new(s, Node), *b = nx_new(s, Node), *c = nx_new(s, Node);
    a->name = nx_str("a");
    b->name = nx_str("b");
    c->name = nx_str("c");
    nx_set_ref(c->parent, b);
    nx_set_ref(b->parent, a);
    nxt_end(f, s);
    cr_expect_eq(
        COUNT(f, nx_count(nx_filter(nx_select(f->db, Node), nx_eq(nx_via(Node_.parent, Node_.parent, Node_.name), "a")), NULL)),
        1);
    cr_expect_eq(COUNT(f, nx_count(nx_where(nx_select(f->db, Node), "parent.parent.name = ?", nx_args("a")), NULL)), 1);
}

/* The new row has no key yet when changes are looked for. */
CASE(references, stored_row_gets_a_new_parent)
{
    nxt_post(f, "orphan", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_select(s, Post));
    Author *a = nx_new(s, Author);
    a->name = nx_str("new");
    nx_set_ref(p->author, a);
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(nx_via(Post_.author, Author_.name), "new")), NULL)),
                 1);
}

CASE(references, stored_row_changes_to_a_new_parent)
{
    nxt_post(f, "post", 1, nxt_author(f, "old"));
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_select(s, Post));
    Author *a = nx_new(s, Author);
    a->name = nx_str("new");
    nx_set_ref(p->author, a);
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(nx_via(Post_.author, Author_.name), "new")), NULL)),
                 1);
}
