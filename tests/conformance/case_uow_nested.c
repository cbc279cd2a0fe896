/*
 * uow_nested - nested sessions: savepoints set at different times, what an undone one leaves, joined ones.
 */
#include <stdio.h>

#include "uow_kit.h"

static nx_session *nested(nx_session *outer)
{
    nx_session *inner = nx_session_nested(outer, NULL);

    cr_assert_not_null(inner, "%s", nx_session_error(outer)->message);
    return inner;
}

static void add(nx_session *s, int32_t n)
{
    NEW(s, Item)->n = n;
}

static void items_are(nxt_fixture *f, int64_t count, int64_t sum)
{
    STORES(f, "SELECT count(*) FROM item", count);
    STORES(f, "SELECT CAST(coalesce(sum(n), 0) AS bigint) FROM item", sum);
}

/* ------------------------------------------------------ the middle one has set no savepoint yet */

/* An open transaction, a middle session that has done nothing, and an inner one that writes. */
static void idle_middle(nxt_fixture *f, nx_session **ret_s, nx_session **ret_middle, nx_session **ret_inner)
{
    uow_map(f, NX_ENTITIES(Item));
    *ret_s = nxt_session(f, NULL);
    add(*ret_s, 1);
    OK(f, nx_flush(*ret_s, NULL));
    *ret_middle = nested(*ret_s);
    *ret_inner = nested(*ret_middle);
    add(*ret_inner, 2);
}

CASE(uow_nested, idle_middle_one_ends)
{
    nx_session *s, *middle, *inner;
    idle_middle(f, &s, &middle, &inner);
    nxt_end(f, inner);
    nxt_end(f, middle);
    nxt_end(f, s);
    items_are(f, 2, 3);
}

CASE(uow_nested, idle_middle_one_is_rolled_back)
{
    nx_session *s, *middle, *inner;
    idle_middle(f, &s, &middle, &inner);
    nxt_end(f, inner);
    OK(f, nx_rollback(middle, NULL));
    nx_session_free(middle);
    nxt_end(f, s);
    items_are(f, 1, 1);
}

CASE(uow_nested, idle_middle_one_is_freed)
{
    nx_session *s, *middle, *inner;
    idle_middle(f, &s, &middle, &inner);
    nxt_end(f, inner);
    nx_session_free(middle);
    nxt_end(f, s);
    items_are(f, 1, 1);
}

CASE(uow_nested, idle_middle_one_ends_behind_an_undone_inner_one)
{
    nx_session *s, *middle, *inner;
    idle_middle(f, &s, &middle, &inner);
    OK(f, nx_flush(inner, NULL));
    nx_session_free(inner);
    nxt_end(f, middle);
    nxt_end(f, s);
    items_are(f, 1, 1);
}

CASE(uow_nested, idle_middle_one_is_freed_behind_an_undone_inner_one)
{
    nx_session *s, *middle, *inner;
    idle_middle(f, &s, &middle, &inner);
    OK(f, nx_flush(inner, NULL));
    nx_session_free(inner);
    nx_session_free(middle);
    nxt_end(f, s);
    items_are(f, 1, 1);
}

CASE(uow_nested, idle_middle_one_goes_on_behind_an_undone_inner_one)
{
    nx_session *s, *middle, *inner;
    idle_middle(f, &s, &middle, &inner);
    OK(f, nx_flush(inner, NULL));
    OK(f, nx_rollback(inner, NULL));
    add(inner, 4);
    nxt_end(f, inner);
    add(middle, 8);
    OK(f, nx_flush(middle, NULL));
    inner = nested(middle);
    add(inner, 16);
    OK(f, nx_flush(inner, NULL));
    nx_session_free(inner);
    nxt_end(f, middle);
    nxt_end(f, s);
    items_are(f, 3, 13);
}

/* No transaction is open at all when the innermost one writes first. */
CASE(uow_nested, innermost_one_begins_the_transaction)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int undo = 0; undo < 3; undo++) { /* none, the inner one, the middle one */
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = nxt_session(f, NULL), *middle = nested(s), *inner = nested(middle);
        add(inner, 1);
        OK(f, nx_flush(inner, NULL));
        if (undo == 1)
            OK(f, nx_rollback(inner, NULL));
        nxt_end(f, inner);
        add(middle, 2);
        OK(f, nx_flush(middle, NULL));
        if (undo == 2)
            OK(f, nx_rollback(middle, NULL));
        nxt_end(f, middle);
        add(s, 4);
        nxt_end(f, s);
        items_are(f, undo == 0 ? 3 : undo == 1 ? 2 : 1, undo == 0 ? 7 : undo == 1 ? 6 : 4);
    }
}

/*
 * Three levels below the root; each level writes before its nested one is made, after it was ended, both, or never, and each
 * ends by an end, a rollback or a free. All 4 x 4 x 27 orders: what is stored is what no level undid.
 */
typedef struct level {
    bool before, after;
    int how;
} level; /* how: 0 ends, 1 is rolled back and ends, 2 is freed */

static int64_t run_levels(nxt_fixture *f, nx_session *s, const level *levels, int depth, int count)
{
    const level *l = &levels[depth];
    int64_t kept = 0, bit = 1 << (2 * depth);

    if (l->before) {
        add(s, (int32_t)bit);
        OK(f, nx_flush(s, NULL));
        kept += bit;
    }
    if (depth + 1 < count)
        kept += run_levels(f, nested(s), levels, depth + 1, count);
    if (l->after) {
        add(s, (int32_t)(2 * bit));
        OK(f, nx_flush(s, NULL));
        kept += 2 * bit;
    }
    if (depth > 0 && l->how == 1)
        OK(f, nx_rollback(s, NULL));
    if (depth == 0 || l->how != 2)
        OK(f, nx_session_end(s, NULL));
    nx_session_free(s);
    return depth == 0 || l->how == 0 ? kept : 0;
}

CASE(uow_nested, three_deep_with_savepoints_set_at_different_times)
{
    enum { DEPTH = 3 };
    uow_map(f, NX_ENTITIES(Item));
    for (int number = 0; number < 4 * 4 * 4 * 9; number++) {
        level levels[DEPTH] = { 0 };
        int rest = number;
        for (int i = 0; i < DEPTH; i++, rest /= 4) {
            levels[i].before = rest & 1;
            levels[i].after = (rest & 2) != 0;
        }
        levels[1].how = rest % 3;
        levels[2].how = rest / 3;
        uow_do(f, f->db, "DELETE FROM item");
        int64_t kept = run_levels(f, nxt_session(f, NULL), levels, 0, DEPTH);
        int64_t stored = NUMBER(f, "SELECT CAST(coalesce(sum(n), 0) AS bigint) FROM item");
        cr_assert_eq(stored, kept, "order %d stores %lld, not %lld", number, (long long)stored, (long long)kept);
    }
}

CASE(uow_nested, rollback_inside_and_going_on_sets_the_savepoint_again)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    add(s, 1);
    OK(f, nx_flush(s, NULL));
    nx_session *inner = nested(s);
    for (int i = 0; i < 3; i++) {
        add(inner, 100);
        OK(f, nx_flush(inner, NULL));
        OK(f, nx_rollback(inner, NULL));
        OK(f, nx_rollback(inner, NULL));
    }
    add(inner, 2);
    nxt_end(f, inner);
    nxt_end(f, s);
    items_are(f, 2, 3);
}

/* --------------------------------------------------------------------- what was pending outside */

typedef enum undo { BY_FREE, BY_ROLLBACK, BY_ROLLBACK_AND_END, BY_FAILING_END, UNDO_COUNT } undo;

/* Whether what was pending outside still is: a nested session that ends after its rollback writes it. */
static bool is_pending_behind(undo how)
{
    return how != BY_ROLLBACK_AND_END;
}

static void undo_nested(nxt_fixture *f, nx_session *inner, undo how)
{
    if (how == BY_ROLLBACK || how == BY_ROLLBACK_AND_END)
        OK(f, nx_rollback(inner, NULL));
    if (how == BY_ROLLBACK_AND_END)
        OK(f, nx_session_end(inner, NULL));
    if (how == BY_FAILING_END) {
        NEW(inner, Item)->id = 77;
        NEW(inner, Item)->id = 77;
        FAILS(f, nx_session_end(inner, NULL), NX_EUNIQUE);
        cr_expect(nx_session_is_ended(inner));
    }
    nx_session_free(inner);
}

CASE(uow_nested, pending_row_deleted_inside_is_pending_again)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int number = 0; number < 2 * UNDO_COUNT; number++) {
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = nxt_session(f, NULL);
        Item *item = NEW(s, Item);
        item->n = 1;
        nx_session *inner = nested(s);
        if (number % 2 == 1)
            OK(f, nx_flush(inner, NULL));
        CHECK(nx_session_delete(inner, item));
        if (number % 2 == 1)
            OK(f, nx_flush(inner, NULL));
        undo_nested(f, inner, (undo)(number / 2));
        cr_expect_eq(item->id == 0, is_pending_behind((undo)(number / 2)));
        nxt_end(f, s);
        STORES(f, "SELECT count(*) FROM item WHERE n = 1", 1);
    }
}

CASE(uow_nested, pending_row_changed_inside_has_its_values_again)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int number = 0; number < 2 * UNDO_COUNT; number++) {
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = nxt_session(f, NULL);
        Item *item = NEW(s, Item);
        item->n = 1;
        item->note = nx_some(text, nx_str("outside"));
        nx_session *inner = nested(s);
        item->n = 2;
        item->note = nx_some(text, nx_str("inside"));
        if (number % 2 == 1)
            OK(f, nx_flush(inner, NULL));
        undo_nested(f, inner, (undo)(number / 2));
        cr_expect_eq(item->n, 1, "number %d: %d", number, item->n);
        nxt_end(f, s);
        STORES(f, "SELECT count(*) FROM item WHERE n = 1 AND note = 'outside'", 1);
    }
}

CASE(uow_nested, pending_change_changed_again_inside_is_pending_as_it_was)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int number = 0; number < 2 * UNDO_COUNT; number++) {
        uow_do(f, f->db, "DELETE FROM item");
        uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1, 10)");
        nx_session *s = nxt_session(f, NULL);
        Item *item = GET(f, s, Item, 1);
        item->n = 20;
        nx_session *inner = nested(s);
        item->n = 30;
        if (number % 2 == 1)
            OK(f, nx_flush(inner, NULL));
        undo_nested(f, inner, (undo)(number / 2));
        cr_expect_eq(item->n, 20, "number %d: %d", number, item->n);
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), is_pending_behind((undo)(number / 2)));
        nx_session_free(s);
        STORES(f, "SELECT n FROM item", 20);
    }
}

/* The change was pending outside, the nested session only flushed it. */
CASE(uow_nested, pending_change_flushed_inside_is_pending_again)
{
    uow_map(f, NX_ENTITIES(Item, Stamped));
    for (int number = 0; number < UNDO_COUNT; number++) {
        uow_do(f, f->db, "DELETE FROM item");
        uow_do(f, f->db, "DELETE FROM stamped");
        uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1, 10)");
        uow_do(f, f->db, "INSERT INTO stamped (id, n, version) VALUES (1, 10, 5)");
        nx_session *s = nxt_session(f, NULL);
        Item *item = GET(f, s, Item, 1);
        Stamped *stamped = GET(f, s, Stamped, 1);
        item->n = stamped->n = 20;
        nx_session *inner = nested(s);
        OK(f, nx_flush(inner, NULL));
        cr_expect_eq(stamped->version, 6);
        undo_nested(f, inner, (undo)number);
        cr_expect_eq(stamped->version, is_pending_behind((undo)number) ? 5 : 6);
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), is_pending_behind((undo)number) ? 2 : 0);
        nx_session_free(s);
        STORES(f, "SELECT n FROM item", 20);
        STORES(f, "SELECT version FROM stamped WHERE n = 20", 6);
    }
}

CASE(uow_nested, pending_deletion_flushed_inside_is_pending_again)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int number = 0; number < UNDO_COUNT; number++) {
        uow_do(f, f->db, "DELETE FROM item");
        uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1, 10)");
        nx_session *s = nxt_session(f, NULL);
        Item *item = GET(f, s, Item, 1);
        CHECK(nx_session_delete(s, item));
        nx_session *inner = nested(s);
        OK(f, nx_flush(inner, NULL));
        undo_nested(f, inner, (undo)number);
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), is_pending_behind((undo)number));
        nx_session_free(s);
        STORES(f, "SELECT count(*) FROM item", 0);
    }
}

/* Flushed outside, then changed inside without a flush: after the undoing nothing is pending. */
CASE(uow_nested, change_that_was_only_made_inside_is_not_written)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int number = 0; number < 2 * UNDO_COUNT; number++) {
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = nxt_session(f, NULL);
        Item *item = NEW(s, Item);
        item->n = 1;
        OK(f, nx_flush(s, NULL));
        nx_session *inner = nested(s);
        item->n = 2;
        if (number % 2 == 1)
            OK(f, nx_flush(inner, NULL));
        undo_nested(f, inner, (undo)(number / 2));
        cr_expect_eq(item->n, 1);
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 0);
        item->n = 2;
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
        nx_session_free(s);
        items_are(f, 1, 2);
    }
}

CASE(uow_nested, row_saved_alone_inside_is_pending_again)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int number = 0; number < UNDO_COUNT; number++) {
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = nxt_session(f, NULL);
        Item *item = NEW(s, Item);
        item->n = 1;
        nx_session *inner = nested(s);
        OK(f, nx_save(f->db, item, NULL));
        OK(f, nx_delete(f->db, item, NULL));
        undo_nested(f, inner, (undo)number);
        nxt_end(f, s);
        items_are(f, 1, 1);
    }
}

CASE(uow_nested, what_a_nested_session_kept_is_pending_after_the_root_is_rolled_back)
{
    uow_map(f, NX_ENTITIES(Item));
    uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1000, 10)");
    nx_session *s = nxt_session(f, NULL);
    Item *item = GET(f, s, Item, 1000);
    nx_session *middle = nested(s), *inner = nested(middle);
    add(inner, 1);
    item->n = 20;
    nxt_end(f, inner);
    add(middle, 2);
    nxt_end(f, middle);
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(item->n, 10);
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 2);
    nx_session_free(s);
    items_are(f, 3, 13);
}

/* ------------------------------------------------------------------------------ failing ends */

CASE(uow_nested, failing_end_undoes_the_nested_one_and_the_outer_one_goes_on)
{
    uow_map(f, NX_ENTITIES(Named));
    nx_session *s = nxt_session(f, NULL);
    Named *a = NEW(s, Named);
    a->id = 1;
    a->name = nx_str("a");
    OK(f, nx_flush(s, NULL));
    for (int i = 0; i < 3; i++) {
        nx_session *inner = nested(s);
        Named *good = NEW(inner, Named);
        good->id = 2;
        good->name = nx_str("b");
        OK(f, nx_flush(inner, NULL));
        Named *bad = NEW(inner, Named);
        bad->id = 3;
        bad->name = nx_str("a");
        a->n = 5;
        FAILS(f, nx_session_end(inner, NULL), NX_EUNIQUE);
        cr_expect(nx_session_is_ended(inner));
        nx_session_free(inner);
        cr_expect_eq(a->n, 0);
        cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0, "the rows of the nested one are forgotten");
        cr_expect_null(nx_session_find(s, &Named_entity, nx_args(2)));
    }
    a->n = 6;
    nxt_end(f, s);
    STORES(f, "SELECT n FROM named", 6);
}

CASE(uow_nested, failing_flush_inside_is_mended_inside)
{
    uow_map(f, NX_ENTITIES(Named));
    nx_session *s = nxt_session(f, NULL);
    Named *a = NEW(s, Named);
    a->id = 1;
    a->name = nx_str("a");
    OK(f, nx_flush(s, NULL));
    nx_session *inner = nested(s), *deeper = nested(inner);
    Named *b = NEW(deeper, Named);
    b->id = 2;
    b->name = nx_str("a");
    a->n = 5;
    FAILS(f, nx_flush(deeper, NULL), NX_EUNIQUE);
    cr_expect_eq(a->n, 5, "a failed flush leaves the values");
    b->name = nx_str("b");
    nxt_end(f, deeper);
    nxt_end(f, inner);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM named", 2);
    STORES(f, "SELECT n FROM named WHERE id = 1", 5);
}

CASE(uow_nested, queries_inside_see_what_is_undone_only_until_then)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    Item *item = NEW(s, Item);
    OK(f, nx_flush(s, NULL));
    int64_t id = item->id;
    nx_session *inner = nested(s);
    CHECK(nx_session_delete(inner, item));
    cr_expect_eq(COUNT(f, nx_count(nx_select(inner, Item), NULL)), 0);
    cr_expect_null(GET(f, inner, Item, id));
    OK(f, nx_rollback(inner, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(inner, Item), NULL)), 1);
    cr_expect_eq(GET(f, inner, Item, id), item);
    nxt_end(f, inner);
    item->n = 8;
    nxt_end(f, s);
    items_are(f, 1, 8);
}

CASE(uow_nested, set_based_write_inside_is_read_and_undone)
{
    uow_map(f, NX_ENTITIES(Item));
    uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1, 10), (2, 20)");
    nx_session *s = nxt_session(f, NULL);
    Item *one = GET(f, s, Item, 1), *two = GET(f, s, Item, 2);
    one->n = 11;
    OK(f, nx_flush(s, NULL));
    nx_session *inner = nested(s);
    OK(f, nx_update_all(nx_select(inner, Item), NULL, nx_assign(Item_.n, 5)));
    cr_expect_eq(GET(f, inner, Item, 1), one);
    cr_expect_eq(GET(f, inner, Item, 2), two);
    cr_expect_eq(one->n, 5);
    cr_expect_eq(two->n, 5);
    OK(f, nx_rollback(inner, NULL));
    nx_session_free(inner);
    cr_expect_eq(one->n, 11);
    cr_expect_eq(two->n, 20);
    OK(f, nx_delete_all(nx_filter(nx_select(s, Item), nx_eq(Item_.n, 11)), NULL));
    cr_expect_null(GET(f, s, Item, 1));
    nxt_end(f, s);
    items_are(f, 1, 20);
}

/* ---------------------------------------------------------------------------- nested in nested */

/* What an inner session kept of pending work is not what was pending when the one around it began. */
CASE(uow_nested, rollback_behind_an_ended_inner_one_goes_back_to_the_own_begin)
{
    uow_map(f, NX_ENTITIES(Item));
    uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1000, 10)");
    nx_session *s = nxt_session(f, NULL);
    Item *old = GET(f, s, Item, 1000);
    nx_session *middle = nested(s);
    Item *made = NEW(middle, Item), *written = NEW(middle, Item);
    old->n = 11;
    made->n = written->n = 2;
    OK(f, nx_flush(middle, NULL));
    written->n = 3;
    NEW(middle, Item)->n = 4;
    old->n = 12;
    nxt_end(f, nested(middle));
    OK(f, nx_rollback(middle, NULL));
    cr_expect_eq(old->n, 10);
    cr_expect_eq(COUNT(f, nx_flush(middle, NULL)), 0, "nothing was pending at its begin");
    nxt_end(f, middle);
    nxt_end(f, s);
    items_are(f, 1, 10);
}

/* Memory that an earlier session has used is no snapshot of a row that is new. */
CASE(uow_nested, new_row_with_a_text_key_keeps_its_key_inside)
{
    uow_map(f, NX_ENTITIES(Word, Item));
    for (int round = 0; round < 3; round++) {
        char code[] = "aa";
        nx_session *s = nxt_session(f, NULL);
        Word *word = NEW(s, Word);
        word->code = nx_str(code);
        word->n = round;
        nx_session *inner = nested(s);
        NEW(inner, Item)->n = 1;
        OK(f, nx_flush(inner, NULL));
        memset(code, 'x', 2);
        cr_expect_eq(ONE(f, Word, nx_select(inner, Word)), word);
        TEXT_IS(word->code, "aa");
        nxt_end(f, inner);
        CHECK(nx_session_delete(s, word));
        nxt_end(f, s);
    }
}
