/*
 * order - what one flush writes in which order: references within it, values that one row gives up and another takes.
 */
#include <stdio.h>

#include "cases.h"

static int64_t number(nxt_fixture *f, const char *sql)
{
    nx_completion c = OK(f, nx_select_raw(f->db, sql, NULL, 0, NULL));
    int64_t found = nx_rows_at(c.raw, 0, 0).i64;

    nxt_seen(f, &c);
    return found;
}

static Slot *new_slot(nx_session *s, int32_t key, const char *label)
{
    Slot *slot = nx_new(s, Slot);

    cr_assert_not_null(slot);
    slot->number = key;
    slot->label = nx_str(label);
    return slot;
}

static Author *new_author(nx_session *s, const char *name)
{
    Author *author = nx_new(s, Author);

    cr_assert_not_null(author);
    author->name = nx_str(name);
    return author;
}

/* Doubly linked lists are circles of two all along. */
CASE(order, deletes_of_a_long_list)
{
    enum { COUNT_OF = 2000 };
    Node *nodes[COUNT_OF];
    nx_session *s = nxt_session(f, NULL);

    for (int i = 0; i < COUNT_OF; i++) {
        nodes[i] = nx_new(s, Node);
        nodes[i]->name = nx_str("n");
        nx_set_ref(nodes[i]->parent, i == 0 ? NULL : nodes[i - 1]);
    }
    OK(f, nx_flush(s, NULL));
    nx_set_ref(nodes[0]->parent, nodes[COUNT_OF - 1]);
    OK(f, nx_commit(s, NULL));
    for (int i = 0; i < COUNT_OF; i++)
        CHECK(nx_session_delete(s, nodes[i]));
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), COUNT_OF, "a row counts once, however many statements write it");
    nxt_end(f, s);
    cr_expect_eq(number(f, "SELECT count(*) FROM node"), 0);
}

CASE(order, circles_of_new_rows_count_once)
{
    nx_session *s = nxt_session(f, NULL);
    Node *a = nx_new(s, Node), *b = nx_new(s, Node), *self = nx_new(s, Node);

    a->name = b->name = self->name = nx_str("n");
    nx_set_ref(a->parent, b);
    nx_set_ref(b->parent, a);
    nx_set_ref(self->parent, self);
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 3);
    nx_session_free(s);
    cr_expect_eq(number(f, "SELECT count(*) FROM node a JOIN node b ON b.id = a.parent_id"), 3);
}

/* The value moves on from row to row: the free end first. */
CASE(order, unique_values_along_a_chain)
{
    nx_session *s = nxt_session(f, NULL);
    Author *authors[5];
    static const char *const names[] = { "a", "b", "c", "d", "e", "f" };

    for (int i = 0; i < 5; i++)
        authors[i] = new_author(s, names[i]);
    OK(f, nx_commit(s, NULL));
    for (int i = 0; i < 5; i++)
        authors[i]->name = nx_str(names[i + 1]);
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 5);
    for (int i = 0; i < 5; i++)
        authors[i]->name = nx_str(names[i]);
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 5);
    nx_session_free(s);
}

/* There is no value for one of them in between: nothing is sent, and both are named. */
CASE(order, exchange_of_required_unique_values)
{
    nx_session *s = nxt_session(f, NULL);
    Author *a = new_author(s, "a"), *b = new_author(s, "b");

    OK(f, nx_commit(s, NULL));
    a->name = nx_str("b");
    b->name = nx_str("a");
    const nx_error *error = FAILS(f, nx_commit(s, NULL), NX_EUNIQUE);
    char first[32], second[32];
    snprintf(first, sizeof(first), "Author %d", (int)a->id);
    snprintf(second, sizeof(second), "Author %d", (int)b->id);
    MENTIONS(error, first);
    MENTIONS(error, second);
    cr_expect(error->object == a || error->object == b);
    a->name = nx_str("c");
    OK(f, nx_commit(s, NULL));
    nx_session_free(s);
    cr_expect_eq(number(f, "SELECT count(*) FROM author WHERE name IN ('a', 'c')"), 2);
}

/* Goal: keys and unique values of deleted rows can be used at once, by new rows and by changed ones. */
CASE(order, what_a_deleted_row_gives_up)
{
    nx_session *s = nxt_session(f, NULL);
    Author *a = new_author(s, "a"), *b = new_author(s, "b");
    Slot *slot = new_slot(s, 7, "old");

    OK(f, nx_commit(s, NULL));
    CHECK(nx_session_delete(s, a));
    CHECK(nx_session_delete(s, slot));
    b->name = nx_str("a");
    Author *c = new_author(s, "b");
    Slot *again = new_slot(s, 7, "new");
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 5);
    nx_value key = nx_value_i64(7);
    cr_expect_eq(nx_session_find(s, &Slot_entity, &key, 1), (void *)again, "the session knows the new object");
    again->label = nx_str("newer");
    c->born = nx_some(i32, 1);
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 2);
    nx_session_free(s);
    cr_expect_eq(number(f, "SELECT count(*) FROM author"), 2);
    cr_expect_eq(number(f, "SELECT count(*) FROM slot WHERE label = 'newer'"), 1);
}

/*
 * The new parent needs the name of the old one, the child has to move before the old one goes: the child lets go first.
 */
CASE(order, replaced_parent_with_the_same_unique_name)
{
    nx_session *s = nxt_session(f, NULL);
    Author *old = new_author(s, "same");
    Post *post = nx_new(s, Post);

    post->title = nx_str("post");
    nx_set_ref(post->author, old);
    OK(f, nx_commit(s, NULL));
    CHECK(nx_session_delete(s, old));
    Author *fresh = new_author(s, "same");
    nx_set_ref(post->author, fresh);
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 3);
    cr_expect_eq(post->author.row, fresh);
    nx_session_free(s);
    cr_expect_eq(number(f, "SELECT count(*) FROM post JOIN author ON author.id = post.author_id"), 1);
}

/* By object and by key; a new row with that key takes the place of the deleted one. */
CASE(order, reference_to_a_row_that_the_flush_deletes)
{
    nx_session *s = nxt_session(f, NULL);
    Author *a = new_author(s, "a");

    OK(f, nx_commit(s, NULL));
    int64_t id = a->id;
    Post *post = nx_new(s, Post);
    post->title = nx_str("post");
    CHECK(nx_session_delete(s, a));
    nx_set_ref(post->author, a);
    const nx_error *error = FAILS(f, nx_flush(s, NULL), NX_EVALUE);
    MENTIONS(error, "author");
    cr_expect_eq(error->object, (void *)post);
    nx_set_ref_key(post->author, id);
    error = FAILS(f, nx_flush(s, NULL), NX_EVALUE);
    MENTIONS(error, "author");
    cr_expect_eq(error->object, (void *)post);
    Author *again = new_author(s, "again");
    again->id = id;
    OK(f, nx_commit(s, NULL));
    nx_session_free(s);
    cr_expect_eq(number(f, "SELECT count(*) FROM post JOIN author ON author.id = post.author_id"), 1);
}
