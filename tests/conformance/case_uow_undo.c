/*
 * uow_undo - what a rollback leaves: values, baseline, version, pending work, known rows.
 */
#include "uow_kit.h"

static void map_with_one_item(nxt_fixture *f)
{
    uow_map(f, NX_ENTITIES(Item));
    uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1000, 100)");
}

CASE(uow_undo, flushed_change_is_written_again_after_rollback)
{
    map_with_one_item(f);
    nx_session *s = nxt_session(f, NULL);
    Item *item = GET(f, s, Item, 1000);
    item->n = 50;
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(item->n, 100, "the last value read");
    item->n = 50;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    nx_session_free(s);
    STORES(f, "SELECT n FROM item", 50);
}

CASE(uow_undo, pending_change_is_written_again_after_rollback)
{
    map_with_one_item(f);
    nx_session *s = nxt_session(f, NULL);
    Item *item = GET(f, s, Item, 1000);
    item->n = 70;
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(item->n, 100, "the last value read");
    item->n = 70;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    nx_session_free(s);
    STORES(f, "SELECT n FROM item", 70);
}

CASE(uow_undo, change_that_is_not_repeated_after_rollback_is_not_written)
{
    map_with_one_item(f);
    for (int flushed = 0; flushed < 2; flushed++) {
        nx_session *s = nxt_session(f, NULL);
        Item *item = GET(f, s, Item, 1000);
        item->n = 50;
        if (flushed)
            OK(f, nx_flush(s, NULL));
        OK(f, nx_rollback(s, NULL));
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 0);
        cr_expect_eq(item->n, 100);
        nx_session_free(s);
        STORES(f, "SELECT n FROM item", 100);
    }
}

/* Texts are restored as values too, and into memory of the library. */
CASE(uow_undo, texts_are_the_last_ones_read_after_rollback)
{
    uow_map(f, NX_ENTITIES(Item));
    uow_do(f, f->db, "INSERT INTO item (id, n, note) VALUES (1, 1, 'read'), (2, 2, NULL)");
    nx_session *s = nxt_session(f, NULL);
    Item *one = GET(f, s, Item, 1), *two = GET(f, s, Item, 2);
    char mine[] = "mine";
    one->note = nx_some(text, nx_str(mine));
    two->note = nx_some(text, nx_str(mine));
    OK(f, nx_flush(s, NULL));
    one->note = nx_none(text);
    OK(f, nx_rollback(s, NULL));
    memset(mine, '#', sizeof(mine) - 1);
    cr_assert(one->note.present);
    TEXT_IS(one->note.value, "read");
    cr_expect_not(two->note.present);
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0);
    nxt_end(f, s);
}

CASE(uow_undo, row_is_read_again_after_rollback)
{
    map_with_one_item(f);
    nx_session *s = nxt_session(f, NULL);
    Item *item = GET(f, s, Item, 1000);
    item->n = 50;
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    uow_do(f, f->db, "UPDATE item SET n = 200, note = 'by another'");
    cr_expect_eq(GET(f, s, Item, 1000), item, "nx_get asks the database about an expired row");
    cr_expect_eq(item->n, 200);
    cr_assert(item->note.present);
    TEXT_IS(item->note.value, "by another");
    nxt_end(f, s);
    STORES(f, "SELECT n FROM item", 200);
}

CASE(uow_undo, committed_values_stay_after_a_later_rollback)
{
    map_with_one_item(f);
    nx_session *s = nxt_session(f, NULL);
    Item *item = GET(f, s, Item, 1000);
    item->n = 1;
    OK(f, nx_commit(s, NULL));
    item->n = 2;
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(item->n, 1);
    item->n = 2;
    nxt_end(f, s);
    STORES(f, "SELECT n FROM item", 2);
}

CASE(uow_undo, changed_rows_of_every_kind_of_key_are_written_again_after_rollback)
{
    uow_map(f, NX_ENTITIES(Word, Cell));
    nx_session *s = nxt_session(f, NULL);
    Word *word = NEW(s, Word);
    word->code = nx_str("word");
    Cell *cell = NEW(s, Cell), *below = NEW(s, Cell);
    cell->page = below->page = 3;
    cell->code = nx_str("a");
    below->code = nx_str("b");
    nx_set_ref(below->above, cell);
    OK(f, nx_commit(s, NULL));
    for (int i = 0; i < 2; i++) {
        word->n = cell->n = 5;
        nx_set_ref(below->above, NULL);
        cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 3);
        OK(f, i == 0 ? nx_rollback(s, NULL) : nx_commit(s, NULL));
        cr_expect_eq(nx_session_find(s, &Word_entity, nx_args("word")), word);
        cr_expect_eq(nx_session_find(s, &Cell_entity, nx_args(3, "a")), cell);
    }
    nx_session_free(s);
    STORES(f, "SELECT n FROM word WHERE code = 'word'", 5);
    STORES(f, "SELECT count(*) FROM cell WHERE n = 5 OR above_page IS NULL", 2);
}

/* The reference is the row again, not only its key. */
CASE(uow_undo, references_are_the_last_ones_read_after_rollback)
{
    uow_map(f, NX_ENTITIES(Root, Friend));
    nx_session *s = nxt_session(f, NULL);
    Root *first = NEW(s, Root), *second = NEW(s, Root);
    Friend *friend = NEW(s, Friend);
    nx_set_ref(friend->root, first);
    OK(f, nx_commit(s, NULL));
    nx_set_ref(friend->root, second);
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(friend->root.row, first);
    nx_set_ref(friend->root, NULL);
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(friend->root.row, first);
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0);
    nx_set_ref(friend->root, second);
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM friend, root WHERE friend.root_id = root.id AND root.id = (SELECT max(id) FROM root)", 1);
}

/* --------------------------------------------------------------------------------- versions */

CASE(uow_undo, version_is_the_stored_one_after_rollback)
{
    uow_map(f, NX_ENTITIES(Stamped));
    uow_do(f, f->db, "INSERT INTO stamped (id, n, version) VALUES (1000, 1, 7)");
    nx_session *s = nxt_session(f, NULL);
    Stamped *row = GET(f, s, Stamped, 1000);
    for (int i = 0; i < 3; i++) {
        row->n = 10 + i;
        OK(f, nx_flush(s, NULL));
        row->n = 20 + i;
        OK(f, nx_flush(s, NULL));
        OK(f, nx_rollback(s, NULL));
        cr_expect_eq(row->version, 7);
    }
    row->n = 3;
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(row->version, 8);
    nx_session_free(s);
    STORES(f, "SELECT version FROM stamped WHERE n = 3", 8);
}

CASE(uow_undo, version_is_the_stored_one_after_a_nested_rollback)
{
    uow_map(f, NX_ENTITIES(Stamped));
    uow_do(f, f->db, "INSERT INTO stamped (id, n, version) VALUES (1000, 1, 7)");
    nx_session *s = nxt_session(f, NULL);
    Stamped *row = GET(f, s, Stamped, 1000);
    row->n = 2;
    OK(f, nx_flush(s, NULL));
    nx_session *inner = nx_session_nested(s, NULL);
    row->n = 3;
    OK(f, nx_flush(inner, NULL));
    nx_session *deeper = nx_session_nested(inner, NULL);
    row->n = 4;
    OK(f, nx_flush(deeper, NULL));
    nx_session_free(deeper);
    cr_expect_eq(row->version, 9);
    cr_expect_eq(row->n, 3);
    OK(f, nx_rollback(inner, NULL));
    cr_expect_eq(row->version, 8);
    cr_expect_eq(row->n, 2);
    nx_session_free(inner);
    row->n = 5;
    OK(f, nx_commit(s, NULL));
    nx_session_free(s);
    STORES(f, "SELECT version FROM stamped WHERE n = 5", 9);
}

CASE(uow_undo, version_of_a_new_row_is_the_stored_one_whatever_was_undone)
{
    uow_map(f, NX_ENTITIES(Stamped));
    nx_session *s = nxt_session(f, NULL);
    Stamped *row = NEW(s, Stamped);
    row->n = 1;
    OK(f, nx_flush(s, NULL));
    row->n = 2;
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(row->id, 0, "new again");
    OK(f, nx_commit(s, NULL));
    STORES(f, "SELECT version FROM stamped", row->version);
    STORES(f, "SELECT n FROM stamped", row->n);
    row->n = 9;
    OK(f, nx_commit(s, NULL));
    nx_session_free(s);
    STORES(f, "SELECT n FROM stamped", 9);
}

CASE(uow_undo, deletion_with_a_version_is_repeated_after_rollback)
{
    uow_map(f, NX_ENTITIES(Stamped));
    uow_do(f, f->db, "INSERT INTO stamped (id, n, version) VALUES (1000, 1, 7)");
    nx_session *s = nxt_session(f, NULL);
    Stamped *row = GET(f, s, Stamped, 1000);
    row->n = 2;
    OK(f, nx_flush(s, NULL));
    CHECK(nx_session_delete(s, row));
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(row->version, 7);
    CHECK(nx_session_delete(s, row));
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM stamped", 0);
}

CASE(uow_undo, all_columns_compared_after_rollback)
{
    map_with_one_item(f);
    nx_session *s = nxt_session(f, &(nx_session_options){ .optimistic = NX_OPTIMISTIC_ALL });
    Item *item = GET(f, s, Item, 1000);
    item->n = 50;
    item->note = nx_some(text, nx_str("note"));
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    item->n = 60;
    OK(f, nx_commit(s, NULL));
    nx_session *inner = nx_session_nested(s, NULL);
    item->n = 70;
    OK(f, nx_flush(inner, NULL));
    nx_session_free(inner);
    item->note = nx_some(text, nx_str("other"));
    nxt_end(f, s);
    STORES(f, "SELECT n FROM item WHERE note = 'other'", 60);
}

/* What another one changed is still found: undoing does not refresh silently what the check compares. */
CASE(uow_undo, lost_race_is_found_after_rollback)
{
    uow_map(f, NX_ENTITIES(Stamped));
    uow_do(f, f->db, "INSERT INTO stamped (id, n, version) VALUES (1000, 1, 7)");
    nx_session *s = nxt_session(f, NULL);
    Stamped *row = GET(f, s, Stamped, 1000);
    row->n = 2;
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    uow_do(f, f->db, "UPDATE stamped SET n = 50, version = 8");
    row->n = 3;
    FAILS(f, nx_commit(s, NULL), NX_EOPTIMISTIC);
    nx_session_free(s);
    STORES(f, "SELECT n FROM stamped", 50);
}

/* -------------------------------------------------------------------------- inserts and deletes */

CASE(uow_undo, row_inserted_alone_is_pending_after_rollback)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int save = 0; save < 2; save++) {
        nx_session *s = nxt_session(f, NULL);
        Item *item = NEW(s, Item);
        item->n = 4;
        OK(f, save ? nx_save(f->db, item, NULL) : nx_insert(f->db, item, NULL));
        cr_expect_gt(item->id, 0);
        OK(f, nx_rollback(s, NULL));
        cr_expect_eq(item->id, 0);
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
        nx_session_free(s);
    }
    STORES(f, "SELECT count(*) FROM item WHERE n = 4", 2);
}

CASE(uow_undo, row_deleted_alone_is_stored_after_rollback)
{
    map_with_one_item(f);
    nx_session *s = nxt_session(f, NULL);
    Item *item = GET(f, s, Item, 1000);
    OK(f, nx_delete(f->db, item, NULL));
    cr_expect_null(nx_session_find(s, &Item_entity, nx_args(1000)));
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(nx_session_find(s, &Item_entity, nx_args(1000)), item);
    cr_expect_eq(GET(f, s, Item, 1000), item);
    item->n = 5;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    nx_session_free(s);
    STORES(f, "SELECT n FROM item", 5);
}

CASE(uow_undo, deleted_pending_row_is_forgotten_after_rollback_too)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    Item *item = NEW(s, Item);
    CHECK(nx_session_delete(s, item));
    (void)NEW(s, Item);
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM item", 1);
}

/* A deletion that was pending and not flushed belongs to what is undone. */
CASE(uow_undo, pending_deletion_is_taken_back_by_rollback)
{
    map_with_one_item(f);
    nx_session *s = nxt_session(f, NULL);
    Item *item = GET(f, s, Item, 1000);
    CHECK(nx_session_delete(s, item));
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 0);
    cr_expect_eq(GET(f, s, Item, 1000), item);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM item", 1);
}

/* The stored row is the object that it was; the one that had its key for a while is new again. */
CASE(uow_undo, key_goes_back_to_its_first_object_after_rollback)
{
    uow_map(f, NX_ENTITIES(Named));
    uow_do(f, f->db, "INSERT INTO named (id, name, n) VALUES (1, 'first', 10)");
    nx_session *s = nxt_session(f, NULL);
    Named *first = GET(f, s, Named, 1);
    CHECK(nx_session_delete(s, first));
    OK(f, nx_flush(s, NULL));
    Named *second = NEW(s, Named);
    second->id = 1;
    second->name = nx_str("second");
    OK(f, nx_flush(s, NULL));
    cr_expect_eq(nx_session_find(s, &Named_entity, nx_args(1)), second);
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(nx_session_find(s, &Named_entity, nx_args(1)), first);
    FAILS(f, nx_commit(s, NULL), NX_EUNIQUE);
    CHECK(nx_session_delete(s, second));
    cr_expect_eq(GET(f, s, Named, 1), first);
    first->n = 11;
    nxt_end(f, s);
    STORES(f, "SELECT n FROM named WHERE name = 'first'", 11);
}

CASE(uow_undo, key_goes_back_to_its_first_object_after_a_nested_rollback)
{
    uow_map(f, NX_ENTITIES(Named));
    uow_do(f, f->db, "INSERT INTO named (id, name, n) VALUES (1, 'first', 10)");
    nx_session *s = nxt_session(f, NULL);
    Named *first = GET(f, s, Named, 1);
    nx_session *inner = nx_session_nested(s, NULL);
    CHECK(nx_session_delete(inner, first));
    OK(f, nx_flush(inner, NULL));
    Named *second = NEW(inner, Named);
    second->id = 1;
    second->name = nx_str("second");
    OK(f, nx_flush(inner, NULL));
    cr_expect_eq(nx_session_find(inner, &Named_entity, nx_args(1)), second);
    OK(f, nx_rollback(inner, NULL));
    nx_session_free(inner);
    cr_expect_eq(nx_session_find(s, &Named_entity, nx_args(1)), first);
    cr_expect_eq(GET(f, s, Named, 1), first);
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 0);
    nx_session_free(s);
    STORES(f, "SELECT n FROM named WHERE name = 'first'", 10);
}

/* Made in the outer session, deleted in a nested one that was kept: the outer rollback undoes both, and the row is pending. */
CASE(uow_undo, row_made_outside_and_deleted_inside_is_pending_after_the_outer_rollback)
{
    uow_map(f, NX_ENTITIES(Named));
    nx_session *s = nxt_session(f, NULL);
    Named *row = NEW(s, Named);
    row->id = 2;
    row->name = nx_str("two");
    OK(f, nx_flush(s, NULL));
    nx_session *inner = nx_session_nested(s, NULL);
    CHECK(nx_session_delete(inner, row));
    nxt_end(f, inner);
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM named WHERE id = 2", 1);
}

/* A row whose parent was undone with it: both are new again, and the order is found again. */
CASE(uow_undo, new_rows_that_refer_to_each_other_are_pending_after_rollback)
{
    uow_map(f, NX_ENTITIES(Root, Leaf));
    nx_session *s = nxt_session(f, NULL);
    Leaf *leaf = NEW(s, Leaf);
    Root *root = NEW(s, Root);
    nx_set_ref(leaf->root, root);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 2);
        OK(f, nx_rollback(s, NULL));
        cr_expect_eq(root->id, 0);
        cr_expect_eq(leaf->root.row, root);
    }
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM leaf", 1);
}

/* The key that the database had made in a transaction that was undone belongs to another row by now. */
CASE(uow_undo, stored_row_refers_to_a_row_that_was_undone_and_written_again)
{
    uow_map(f, NX_ENTITIES(Root, Friend));
    nx_session *s = nxt_session(f, NULL);
    Friend *friend = NEW(s, Friend);
    OK(f, nx_commit(s, NULL));
    Root *root = NEW(s, Root);
    nx_set_ref(friend->root, root);
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    cr_expect_null(friend->root.row);
    cr_expect_eq(friend->root.key.part_count, 0U);
    uow_do(f, f->db, "INSERT INTO root (n) VALUES (77)");
    nx_set_ref(friend->root, root);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM friend, root WHERE root.id = friend.root_id AND root.n = 0", 1);
}

/* --------------------------------------------------------------------- lazy, volatile, defaults */

CASE(uow_undo, lazy_text_is_unloaded_or_as_read_after_rollback)
{
    uow_map(f, NX_ENTITIES(Sheet));
    uow_do(f, f->db, "INSERT INTO sheet (id, n, title, body) VALUES (1, 1, 't', 'stored')");
    nx_session *s = nxt_session(f, NULL);
    Sheet *sheet = GET(f, s, Sheet, 1);
    sheet->body = nx_some(text, nx_str("set without loading"));
    sheet->n = 2;
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    OK(f, nx_load_lazy(sheet, Sheet_.body, NULL));
    cr_assert(sheet->body.present);
    TEXT_IS(sheet->body.value, "stored");
    cr_expect_eq(sheet->n, 1);
    sheet->n = 3;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    nx_session_free(s);
    STORES(f, "SELECT n FROM sheet WHERE body = 'stored'", 3);
}

CASE(uow_undo, lazy_text_loaded_in_the_transaction_is_stored_one_after_rollback)
{
    uow_map(f, NX_ENTITIES(Sheet));
    uow_do(f, f->db, "INSERT INTO sheet (id, n, title, body) VALUES (1, 1, 't', 'stored')");
    nx_session *s = nxt_session(f, NULL);
    Sheet *sheet = GET(f, s, Sheet, 1);
    OK(f, nx_session_execute(s, f->db, "UPDATE sheet SET body = 'in the transaction'", nx_no_args, NULL));
    OK(f, nx_load_lazy(sheet, Sheet_.body, NULL));
    TEXT_IS(sheet->body.value, "in the transaction");
    OK(f, nx_rollback(s, NULL));
    OK(f, nx_refresh(s, sheet, NULL));
    OK(f, nx_load_lazy(sheet, Sheet_.body, NULL));
    TEXT_IS(sheet->body.value, "stored");
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 0);
    nx_session_free(s);
}

CASE(uow_undo, volatile_and_local_members_do_not_keep_a_row_from_being_read_after_rollback)
{
    uow_map(f, NX_ENTITIES(Sheet));
    uow_do(f, f->db, "INSERT INTO sheet (id, n, title) VALUES (1, 1, 't')");
    nx_session *s = nxt_session(f, NULL);
    Sheet *sheet = GET(f, s, Sheet, 1);
    sheet->n = 2;
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    sheet->mark = 9;
    sheet->views = nx_some(i32, 5);
    uow_do(f, f->db, "UPDATE sheet SET n = 3");
    cr_expect_eq(ONE(f, Sheet, nx_select(s, Sheet)), sheet);
    cr_expect_eq(sheet->n, 3);
    cr_expect_eq(sheet->mark, 9, "the program's own");
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM sheet WHERE views IS NOT NULL", 0);
}

CASE(uow_undo, default_of_the_database_is_made_again_after_rollback)
{
    uow_map(f, NX_ENTITIES(Made));
    nx_session *s = nxt_session(f, NULL);
    Made *made = NEW(s, Made);
    OK(f, nx_flush(s, NULL));
    cr_expect_eq(GET(f, s, Made, made->id), made);
    cr_expect(made->rank.present && made->rank.value == 7, "the default is read at the next use");
    OK(f, nx_rollback(s, NULL));
    OK(f, nx_commit(s, NULL));
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM made WHERE rank = 7 AND state = 'fresh'", 1);
}

/* ---------------------------------------------------------------------- add, refresh, set-based */

CASE(uow_undo, added_row_is_known_and_written_again_after_rollback)
{
    uow_map(f, NX_ENTITIES(Item));
    Item *outside = nx_make(f->db, Item);
    outside->n = 1;
    OK(f, nx_save(f->db, outside, NULL));
    nx_session *s = nxt_session(f, NULL);
    Item *item = nx_session_add(s, outside);
    cr_assert_not_null(item);
    item->n = 2;
    OK(f, nx_flush(s, NULL));
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(item->n, 1);
    cr_expect_eq(nx_session_find(s, &Item_entity, nx_args(outside->id)), item);
    cr_expect_null(nx_session_add(s, outside), "its key is known");
    item->n = 2;
    nxt_end(f, s);
    STORES(f, "SELECT n FROM item", 2);
    nx_release_row(f->db, outside);
}

CASE(uow_undo, refreshed_row_is_written_again_after_rollback)
{
    map_with_one_item(f);
    nx_session *s = nxt_session(f, NULL);
    Item *item = GET(f, s, Item, 1000);
    item->n = 2;
    OK(f, nx_flush(s, NULL));
    OK(f, nx_refresh(s, item, NULL));
    OK(f, nx_rollback(s, NULL));
    OK(f, nx_refresh(s, item, NULL));
    cr_expect_eq(item->n, 100);
    item->n = 2;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    nx_session_free(s);
    STORES(f, "SELECT n FROM item", 2);
}

/* What a query read inside the transaction was never committed: it is not a value that was read. */
CASE(uow_undo, values_read_of_a_set_based_write_are_read_again_after_rollback)
{
    map_with_one_item(f);
    for (int raw = 0; raw < 2; raw++) {
        nx_session *s = nxt_session(f, NULL);
        Item *item = GET(f, s, Item, 1000);
        if (raw)
            OK(f, nx_session_execute(s, f->db, "UPDATE item SET n = 5", nx_no_args, NULL));
        else
            OK(f, nx_update_all(nx_select(s, Item), NULL, nx_assign(Item_.n, 5)));
        cr_expect_eq(GET(f, s, Item, 1000), item);
        cr_expect_eq(item->n, 5, "nx_get after the session's own write");
        OK(f, nx_rollback(s, NULL));
        cr_expect_eq(GET(f, s, Item, 1000), item);
        cr_expect_eq(item->n, 100);
        item->n = 5;
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
        item->n = 100;
        nxt_end(f, s);
        STORES(f, "SELECT n FROM item", 100);
    }
}

/* A row that a query first met inside the transaction that is undone may never have been stored. */
CASE(uow_undo, row_met_only_in_the_transaction_is_not_there_after_rollback)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    OK(f, nx_session_execute(s, f->db, "INSERT INTO item (id, n) VALUES (5, 5)", nx_no_args, NULL));
    Item *item = GET(f, s, Item, 5);
    cr_assert_not_null(item);
    OK(f, nx_rollback(s, NULL));
    cr_expect_null(GET(f, s, Item, 5));
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM item", 0);
}
