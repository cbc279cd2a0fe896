/*
 * keys - automatic, caller-assigned, made by the client, of several columns.
 */
#include "cases.h"

CASE(keys, automatic_key_is_assigned)
{
    Author *a = nxt_author(f, "a"), *b = nxt_author(f, "b");

    cr_expect_gt(b->id, a->id);
}

CASE(keys, automatic_key_given_by_the_caller)
{
    Author *a = nx_make(f->db, Author);
    a->id = 4711;
    a->name = nx_str("given");
    OK(f, nx_insert(f->db, a, NULL));

    cr_expect_eq(a->id, 4711);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Author), nx_eq(Author_.id, 4711)), NULL)), 1);
    cr_expect_gt(nxt_author(f, "next")->id, 0);
}

CASE(keys, entity_of_nothing_but_a_key)
{
    nx_session *s = nxt_session(f, NULL);
    Bare *first = nx_new(s, Bare), *second = nx_new(s, Bare);
    OK(f, nx_session_end(s, NULL));

    cr_expect_gt(first->id, 0);
    cr_expect_gt(second->id, 0);
    cr_expect_neq(first->id, second->id);
    nx_session_free(s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Bare), NULL)), 2);
}

CASE(keys, uuid4_is_made_and_kept)
{
    Token4 *made = nx_make(f->db, Token4), *given = nx_make(f->db, Token4);
    nx_uuid own = nx_uuid4(), zero = { { 0 } };
    made->number = 1;
    given->number = 2;
    given->id = own;
    OK(f, nx_save(f->db, made, NULL));
    OK(f, nx_insert(f->db, given, NULL));

    cr_expect_neq(memcmp(&made->id, &zero, sizeof(zero)), 0);
    cr_expect_eq(made->id.byte[6] >> 4, 4);
    cr_expect_eq(memcmp(&given->id, &own, sizeof(own)), 0);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Token4), nx_eq(Token4_.id, made->id)), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Token4), nx_eq(Token4_.id, own)), NULL)), 1);
}

CASE(keys, uuid7_is_made_and_ordered)
{
    nx_session *s = nxt_session(f, NULL);
    Token7 *row[50];
    for (int i = 0; i < 50; i++) {
        row[i] = nx_new(s, Token7);
        row[i]->number = i;
    }
    OK(f, nx_session_end(s, NULL));
    for (int i = 0; i < 50; i++) {
        cr_assert_eq(row[i]->id.byte[6] >> 4, 7);
        for (int j = 0; j < i; j++)
            cr_assert_neq(memcmp(&row[i]->id, &row[j]->id, sizeof(nx_uuid)), 0, "a key was made twice");
    }
    nx_session_free(s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Token7), NULL)), 50);
}

CASE(keys, ulid_is_made)
{
    Ticket *t = nx_make(f->db, Ticket);
    nx_ulid zero = { { 0 } };
    t->number = 1;
    OK(f, nx_save(f->db, t, NULL));

    cr_expect_neq(memcmp(&t->id, &zero, sizeof(zero)), 0);
    nx_completion c = OK(f, nx_get(f->db, Ticket, nx_eq(Ticket_.id, t->id), NULL));
    cr_assert_eq(c.count, 1);
    cr_expect_eq(memcmp(&((Ticket *)c.rows[0])->id, &t->id, sizeof(zero)), 0);
    nxt_seen(f, &c);
}

CASE(keys, caller_assigned_zero_is_a_key)
{
    Slot *slot = nx_make(f->db, Slot);
    slot->number = 0;
    slot->label = nx_str("zero");
    OK(f, nx_insert(f->db, slot, NULL));

    cr_expect_eq(slot->number, 0);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Slot), nx_eq(Slot_.number, 0)), NULL)), 1);
    slot->label = nx_str("nought");
    OK(f, nx_save(f->db, slot, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Slot), nx_eq(Slot_.label, "nought")), NULL)), 1);
}

CASE(keys, text_key)
{
    nx_session *s = nxt_session(f, NULL);
    Tag *tag = nx_new(s, Tag);
    tag->name = nx_str("urgent");
    tag->weight = nx_some(i32, 3);
    OK(f, nx_commit(s, NULL));
    tag->weight = nx_some(i32, 4);
    OK(f, nx_commit(s, NULL));
    nxt_end(f, s);

    nx_completion c = OK(f, nx_get(f->db, Tag, nx_eq(Tag_.name, "urgent"), NULL));
    cr_assert_eq(c.count, 1);
    cr_expect_eq(((Tag *)c.rows[0])->weight.value, 4);
    nxt_seen(f, &c);
}

CASE(keys, text_key_must_be_set)
{
    Tag *tag = nx_make(f->db, Tag);
    MENTIONS(FAILS(f, nx_save(f->db, tag, NULL), NX_EREQUIRED), "name");
}

CASE(keys, composite_key)
{
    nx_session *s = nxt_session(f, NULL);
    for (int country = 1; country <= 3; country++) {
        City *city = nx_new(s, City);
        city->country = country;
        city->code = nx_str("B");
        city->name = nx_str("city");
    }
    nxt_end(f, s);
    nx_completion c = OK(f, nx_get(f->db, City, nx_and(nx_eq(City_.country, 2), nx_eq(City_.code, "B")), NULL));
    cr_assert_eq(c.count, 1);
    City *city = c.rows[0];
    cr_expect_eq(city->country, 2);
    city->name = nx_str("renamed");
    OK(f, nx_save(f->db, city, NULL));
    nxt_seen(f, &c);

    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, City), nx_eq(City_.name, "renamed")), NULL)), 1);
    City *again = nx_make(f->db, City);
    again->country = 2;
    again->code = nx_str("B");
    again->name = nx_str("twice");
    FAILS(f, nx_insert(f->db, again, NULL), NX_EUNIQUE);
}

CASE(keys, reference_to_a_composite_key)
{
    nx_session *s = nxt_session(f, NULL);
    Street *street = nx_new(s, Street);
    City *city = nx_new(s, City);
    street->name = nx_str("High Street");
    nx_set_ref(street->city, city);
    city->country = 44;
    city->code = nx_str("LON");
    city->name = nx_str("London");
    nxt_end(f, s);

    nx_completion c =
        OK(f, nx_fetch_all(nx_filter(nx_select(f->db, Street), nx_eq(nx_via(Street_.city, City_.name), "London")), NULL));
    cr_assert_eq(c.count, 1);
    Street *r = c.rows[0];
    cr_assert_eq(r->city.key.part_count, 2U);
    cr_expect_eq(r->city.key.parts[0].i64, 44);
    TEXT_IS(r->city.key.parts[1].text, "LON");
    nxt_seen(f, &c);
}

CASE(keys, keys_are_assigned_before_the_session_is_freed)
{
    nx_session *s = nxt_session(f, NULL);
    Author *a = nx_new(s, Author);
    a->name = nx_str("valid until free");
    OK(f, nx_session_end(s, NULL));
    cr_expect_gt(a->id, 0);
    TEXT_IS(a->name, "valid until free");
    cr_expect(nx_session_is_ended(s));
    cr_expect_eq(nx_session_outcome(s), NX_OUTCOME_COMMITTED);
    nx_session_free(s);
}
