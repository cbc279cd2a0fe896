/*
 * uow_unique - unique values and keys that change hands within one flush.
 */
#include <stdio.h>

#include "uow_kit.h"

/* Unique by two columns; a reference is one of them. */
#define UOW_SEAT(FIELD, E)                                                                                                       \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, row)                                                                                                      \
    FIELD(E, OPT, i32, place)
NX_ENTITY(Seat, UOW_SEAT, .uniques = NX_LIST("row, place"))

/* Three stored rows: 1 "a", 2 "b", 3 "c", the alias as the name. */
static nx_session *begin(nxt_fixture *f, Named *ret_named[3])
{
    uow_map(f, NX_ENTITIES(Named));
    uow_do(f, f->db, "INSERT INTO named (id, name, alias, n) VALUES (1, 'a', 'a', 0), (2, 'b', 'b', 0), (3, 'c', 'c', 0)");
    nx_session *s = nxt_session(f, NULL);
    nx_completion c = OK(f, nx_fetch_all(nx_order_by(nx_select(s, Named), nx_asc(Named_.id)), NULL));
    cr_assert_eq(c.count, 3);
    for (int i = 0; i < 3; i++)
        ret_named[i] = c.rows[i];
    nxt_seen(f, &c);
    return s;
}

static void names_are(nxt_fixture *f, const char *first, const char *second, const char *third)
{
    const char *const names[] = { first, second, third };
    char sql[128];

    for (int i = 0; i < 3; i++) {
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM named WHERE id = %d AND name = '%s'", i + 1, names[i]);
        STORES(f, sql, 1);
    }
}

/* A required column cannot be NULL in between: no plan exists, and both rows are named. */
CASE(uow_unique, swap_of_required_values_names_both_rows)
{
    Named *named[3];
    nx_session *s = begin(f, named);
    named[0]->name = nx_str("b");
    named[1]->name = nx_str("a");
    const nx_error *error = FAILS(f, nx_commit(s, NULL), NX_EUNIQUE);
    cr_expect(error->object == named[0] || error->object == named[1]);
    cr_expect(strstr(error->message, "1") != NULL && strstr(error->message, "2") != NULL, "\"%s\" names one row", error->message);
    TEXT_IS(named[0]->name, "b");
    TEXT_IS(named[1]->name, "a");
    named[0]->name = nx_str("d"); /* another value mends it */
    nxt_end(f, s);
    names_are(f, "d", "a", "c");
}

CASE(uow_unique, swap_of_optional_values_is_written)
{
    Named *named[3];
    nx_session *s = begin(f, named);
    named[0]->alias = nx_some(text, nx_str("b"));
    named[1]->alias = nx_some(text, nx_str("a"));
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 2);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM named WHERE (id = 1 AND alias = 'b') OR (id = 2 AND alias = 'a')", 2);
}

CASE(uow_unique, circle_of_three_optional_values_is_written)
{
    static const char *const aliases[] = { "b", "c", "a" };
    Named *named[3];
    nx_session *s = begin(f, named);
    for (int i = 0; i < 3; i++)
        named[i]->alias = nx_some(text, nx_str(aliases[i]));
    OK(f, nx_commit(s, NULL));
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM named WHERE (id = 1 AND alias = 'b') OR (id = 2 AND alias = 'c') OR (id = 3 AND alias = 'a')",
           3);
}

/* The last member of the chain frees a value; whichever row was made or loaded first. */
CASE(uow_unique, shift_along_a_chain_whose_first_row_is_free)
{
    Named *named[3];
    nx_session *s = begin(f, named);
    named[0]->name = nx_str("d");
    named[1]->name = nx_str("a");
    named[2]->name = nx_str("b");
    nxt_end(f, s);
    names_are(f, "d", "a", "b");
}

CASE(uow_unique, shift_along_a_chain_whose_last_row_is_free)
{
    Named *named[3];
    nx_session *s = begin(f, named);
    named[2]->name = nx_str("d");
    named[1]->name = nx_str("c");
    named[0]->name = nx_str("b");
    nxt_end(f, s);
    names_are(f, "b", "c", "d");
}

CASE(uow_unique, new_row_takes_the_value_of_a_row_being_deleted)
{
    Named *named[3];
    nx_session *s = begin(f, named);
    CHECK(nx_session_delete(s, named[0]));
    Named *other = NEW(s, Named);
    other->id = 9;
    other->name = nx_str("a");
    nxt_end(f, s);
    STORES(f, "SELECT id FROM named WHERE name = 'a'", 9);
}

CASE(uow_unique, new_row_takes_the_key_of_a_row_being_deleted)
{
    Named *named[3];
    nx_session *s = begin(f, named);
    CHECK(nx_session_delete(s, named[0]));
    Named *other = NEW(s, Named);
    other->id = 1;
    other->name = nx_str("z");
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(nx_session_find(s, &Named_entity, nx_args(1)), other);
    other->n = 5;
    nxt_end(f, s);
    STORES(f, "SELECT n FROM named WHERE id = 1 AND name = 'z'", 5);
}

CASE(uow_unique, new_row_takes_the_value_that_a_changed_row_gives_up)
{
    Named *named[3];
    nx_session *s = begin(f, named);
    named[0]->name = nx_str("elsewhere");
    Named *other = NEW(s, Named);
    other->id = 9;
    other->name = nx_str("a");
    nxt_end(f, s);
    STORES(f, "SELECT id FROM named WHERE name = 'a'", 9);
}

CASE(uow_unique, changed_row_takes_the_value_of_a_row_being_deleted)
{
    Named *named[3];
    nx_session *s = begin(f, named);
    CHECK(nx_session_delete(s, named[0]));
    named[1]->name = nx_str("a");
    nxt_end(f, s);
    STORES(f, "SELECT id FROM named WHERE name = 'a'", 2);
    STORES(f, "SELECT count(*) FROM named", 2);
}

CASE(uow_unique, two_flushes_pass_a_key_on)
{
    Named *named[3];
    nx_session *s = begin(f, named);
    CHECK(nx_session_delete(s, named[0]));
    OK(f, nx_flush(s, NULL));
    Named *other = NEW(s, Named);
    other->id = 1;
    other->name = nx_str("a");
    nx_value key = nx_value_i64(1);
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(nx_session_find(s, &Named_entity, &key, 1), other);
    nx_session_free(s);
}

/* The row that goes is still referred to, so it has to go last: no plan frees its value first. */
CASE(uow_unique, value_that_cannot_be_freed_first_is_an_error_that_loses_nothing)
{
    Named *named[3];
    nx_session *s = begin(f, named);
    named[1]->name = nx_str("c");
    named[0]->n = 7;
    const nx_error *error = FAILS(f, nx_commit(s, NULL), NX_EUNIQUE);
    cr_expect_eq(error->object, named[1]);
    named[1]->name = nx_str("b");
    nxt_end(f, s);
    names_are(f, "a", "b", "c");
    STORES(f, "SELECT n FROM named WHERE id = 1", 7);
}

CASE(uow_unique, swap_of_one_of_two_columns_is_written)
{
    uow_map(f, NX_ENTITIES(Seat));
    nx_session *s = nxt_session(f, NULL);
    Seat *a = NEW(s, Seat), *b = NEW(s, Seat);
    a->row = b->row = 1;
    a->place = nx_some(i32, 1);
    b->place = nx_some(i32, 2);
    OK(f, nx_commit(s, NULL));
    a->place = nx_some(i32, 2);
    b->place = nx_some(i32, 1);
    OK(f, nx_commit(s, NULL));
    CHECK(nx_session_delete(s, a));
    Seat *other = NEW(s, Seat);
    other->row = 1;
    other->place = nx_some(i32, 2);
    nxt_end(f, s);
    STORES(f, "SELECT sum(place * place) - 4 FROM seat", 1);
    STORES(f, "SELECT count(*) FROM seat", 2);
}

/* An undone swap: what was tried is not there, and can be tried again. */
CASE(uow_unique, values_passed_on_in_a_nested_session_that_is_undone)
{
    Named *named[3];
    nx_session *s = begin(f, named);
    nx_session *inner = nx_session_nested(s, NULL);
    CHECK(nx_session_delete(inner, named[0]));
    named[1]->name = nx_str("a");
    OK(f, nx_flush(inner, NULL));
    OK(f, nx_rollback(inner, NULL));
    nx_session_free(inner);
    TEXT_IS(named[1]->name, "b");
    cr_expect_eq(nx_session_find(s, &Named_entity, nx_args(1)), named[0]);
    CHECK(nx_session_delete(s, named[0]));
    named[2]->name = nx_str("a");
    nxt_end(f, s);
    STORES(f, "SELECT id FROM named WHERE name = 'a'", 3);
    STORES(f, "SELECT count(*) FROM named WHERE name IN ('a', 'b')", 2);
}
