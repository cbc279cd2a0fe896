/*
 * uow_joined - joined sessions, which share the fate of the outer one; and sessions that live long.
 */
#include "uow_kit.h"

static const nx_session_options joined = { .join = true };

static nx_session *join(nx_session *outer)
{
    nx_session *inner = nx_session_nested(outer, &joined);

    cr_assert_not_null(inner, "%s", nx_session_error(outer)->message);
    return inner;
}

/* The rollback of the joined one is the outer one's; freeing it then undoes nothing more. */
CASE(uow_joined, outer_one_goes_on_after_a_joined_rollback)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int end = 0; end < 2; end++) {
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = nxt_session(f, NULL);
        NEW(s, Item)->n = 1;
        OK(f, nx_flush(s, NULL));
        nx_session *inner = join(s);
        NEW(inner, Item)->n = 2;
        OK(f, nx_flush(inner, NULL));
        OK(f, nx_rollback(inner, NULL));
        if (end)
            OK(f, nx_session_end(inner, NULL));
        nx_session_free(inner);
        NEW(s, Item)->n = 4;
        OK(f, nx_commit(s, NULL));
        nx_session_free(s);
        STORES(f, "SELECT count(*) FROM item WHERE n = 1", 1);
        STORES(f, "SELECT count(*) FROM item WHERE n = 4", 1);
    }
}

CASE(uow_joined, freed_without_an_end_the_outer_one_must_be_rolled_back)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    NEW(s, Item)->n = 1;
    OK(f, nx_flush(s, NULL));
    nx_session *inner = join(s);
    NEW(inner, Item)->n = 2;
    OK(f, nx_flush(inner, NULL));
    nx_session_free(inner);
    FAILS(f, nx_flush(s, NULL), NX_EABORTED);
    FAILS(f, nx_count(nx_select(s, Item), NULL), NX_EABORTED);
    OK(f, nx_rollback(s, NULL));
    OK(f, nx_session_end(s, NULL));
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM item WHERE n = 1", 1);
}

CASE(uow_joined, ended_one_is_undone_with_the_outer_one)
{
    uow_map(f, NX_ENTITIES(Item));
    uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1, 10)");
    nx_session *s = nxt_session(f, NULL);
    Item *item = GET(f, s, Item, 1);
    nx_session *inner = join(s);
    item->n = 20;
    OK(f, nx_session_end(inner, NULL));
    nx_session_free(inner);
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(item->n, 10);
    item->n = 20;
    nxt_end(f, s);
    STORES(f, "SELECT n FROM item", 20);
}

/* A savepoint inside a joined session is one inside the outer one. */
CASE(uow_joined, nested_session_inside_a_joined_one_is_undone_alone)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    NEW(s, Item)->n = 1;
    OK(f, nx_flush(s, NULL));
    nx_session *middle = join(s), *inner = nx_session_nested(middle, NULL);
    NEW(inner, Item)->n = 2;
    OK(f, nx_flush(inner, NULL));
    OK(f, nx_rollback(inner, NULL));
    nx_session_free(inner);
    NEW(middle, Item)->n = 4;
    nxt_end(f, middle);
    nxt_end(f, s);
    STORES(f, "SELECT CAST(sum(n) AS bigint) FROM item", 5);
}

/* A joined session inside a savepoint: its rollback is the savepoint's, and the root keeps what it had. */
CASE(uow_joined, joined_session_inside_a_nested_one_undoes_that_one)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    NEW(s, Item)->n = 1;
    OK(f, nx_flush(s, NULL));
    nx_session *middle = nx_session_nested(s, NULL);
    NEW(middle, Item)->n = 2;
    OK(f, nx_flush(middle, NULL));
    nx_session *inner = join(middle);
    NEW(inner, Item)->n = 4;
    OK(f, nx_flush(inner, NULL));
    OK(f, nx_rollback(inner, NULL));
    nx_session_free(inner);
    nx_session_free(middle);
    nxt_end(f, s);
    STORES(f, "SELECT CAST(sum(n) AS bigint) FROM item", 1);
}

CASE(uow_joined, joined_rollback_before_any_write)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    nx_session *inner = join(s);
    OK(f, nx_rollback(inner, NULL));
    nx_session_free(inner);
    NEW(s, Item)->n = 1;
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM item", 1);
}

/* -------------------------------------------------------------------------- sessions that live long */

/* Whatever numbers the transactions of a session: a nested session is undone in each one behind 65 536. */
CASE(uow_joined, transactions_of_a_session_never_run_out)
{
    enum { MANY = 65600, LAST = 90 };
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    for (int i = 0; i < MANY; i++)
        OK(f, nx_rollback(s, NULL));
    for (int i = 0; i < LAST; i++) {
        Item *item = NEW(s, Item);
        OK(f, nx_flush(s, NULL));
        nx_session *inner = nx_session_nested(s, NULL);
        cr_assert_not_null(inner, "%s", nx_session_error(s)->message);
        NEW(inner, Item)->n = 1;
        OK(f, nx_flush(inner, NULL));
        OK(f, nx_rollback(inner, NULL));
        nx_session_free(inner);
        OK(f, nx_rollback(s, NULL));
        cr_assert_eq(item->id, 0, "transaction %d", i);
        cr_assert_eq(COUNT(f, nx_flush(s, NULL)), 1, "transaction %d", i);
        OK(f, nx_rollback(s, NULL));
        CHECK(nx_session_delete(s, item));
    }
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM item", 0);
}

/* The same where each number is taken just before the end of 16 bits. */
CASE(uow_joined, nested_sessions_of_a_session_never_run_out)
{
    enum { MANY = 65600 };
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    for (int i = 0; i < MANY; i++) {
        nx_session *inner = nx_session_nested(s, NULL);
        cr_assert_not_null(inner, "nested session %d: %s", i, nx_session_error(s)->message);
        nx_session_free(inner);
    }
    Item *item = NEW(s, Item);
    nx_session *inner = nx_session_nested(s, NULL);
    cr_assert_not_null(inner);
    item->n = 5;
    OK(f, nx_flush(inner, NULL));
    nx_session_free(inner);
    cr_expect_eq(item->id, 0);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM item", 1);
}

/* One that has read, or flushed nothing, leaves nothing behind: the outer one goes on. */
CASE(uow_joined, one_that_did_nothing_is_freed_and_the_outer_one_goes_on)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    NEW(s, Item)->n = 1;
    OK(f, nx_flush(s, NULL));
    nx_session *inner = nx_session_nested(s, &(nx_session_options){ .join = true });
    cr_expect_eq(COUNT(f, nx_count(nx_select(inner, Item), NULL)), 1);
    OK(f, nx_flush(inner, NULL));
    nx_session_free(inner);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM item", 1);
}
