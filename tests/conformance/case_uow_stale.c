/*
 * uow_stale - what a session says about rows that changed or went away behind its back, or by its own hand.
 */
#include <stdio.h>

#include "uow_kit.h"

/* ------------------------------------------------------------------------- rows taking newer values */

static Sheet *stored_sheet(nxt_fixture *f, nx_session **ret_s)
{
    uow_map(f, NX_ENTITIES(Sheet));
    uow_do(f, f->db, "INSERT INTO sheet (id, n, title, body) VALUES (1, 1, 'old', 'body')");
    *ret_s = nxt_session(f, NULL);
    Sheet *sheet = ONE(f, Sheet, nx_select(*ret_s, Sheet));
    cr_assert_not_null(sheet);
    return sheet;
}

static void takes_the_newer_row(nxt_fixture *f, nx_session *s, Sheet *sheet)
{
    uow_do(f, f->db, "UPDATE sheet SET n = 2, title = 'new'");
    cr_expect_eq(ONE(f, Sheet, nx_select(s, Sheet)), sheet);
    cr_expect_eq(sheet->n, 2);
    TEXT_IS(sheet->title, "new");
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM sheet WHERE n = 2 AND title = 'new' AND views IS NULL", 1);
}

CASE(uow_stale, row_with_a_local_member_set_takes_the_newer_values)
{
    nx_session *s;
    Sheet *sheet = stored_sheet(f, &s);
    sheet->mark = 7;
    uow_do(f, f->db, "UPDATE sheet SET n = 2");
    cr_expect_eq(ONE(f, Sheet, nx_select(s, Sheet)), sheet);
    cr_expect_eq(sheet->n, 2);
    cr_expect_eq(sheet->mark, 7, "reading leaves the program's own member");
    takes_the_newer_row(f, s, sheet);
}

CASE(uow_stale, row_with_a_volatile_member_set_takes_the_newer_values)
{
    nx_session *s;
    Sheet *sheet = stored_sheet(f, &s);
    sheet->views = nx_some(i32, 1);
    takes_the_newer_row(f, s, sheet);
    nx_session *other = nxt_session(f, NULL);
    nxt_end(f, other);
}

CASE(uow_stale, row_with_the_same_text_set_takes_the_newer_values)
{
    nx_session *s;
    Sheet *sheet = stored_sheet(f, &s);
    char same[] = "old";
    sheet->title = nx_str(same);
    takes_the_newer_row(f, s, sheet);
}

CASE(uow_stale, row_with_a_change_taken_back_takes_the_newer_values)
{
    nx_session *s;
    Sheet *sheet = stored_sheet(f, &s);
    sheet->n = 9;
    sheet->title = nx_str("other");
    sheet->n = 1;
    sheet->title = nx_str("old");
    takes_the_newer_row(f, s, sheet);
}

/* The same reference by its key, in another form, is no change. */
CASE(uow_stale, row_with_the_same_reference_by_key_takes_the_newer_values)
{
    uow_map(f, NX_ENTITIES(Cell));
    uow_do(f, f->db, "INSERT INTO cell (page, code, n) VALUES (1, 'a', 0)");
    uow_do(f, f->db, "INSERT INTO cell (page, code, n, above_page, above_code) VALUES (1, 'b', 1, 1, 'a')");
    nx_session *s = nxt_session(f, NULL);
    Cell *cell = ONE(f, Cell, nx_filter(nx_select(s, Cell), nx_eq(Cell_.code, "b")));
    char code[] = "a";
    nx_value parts[] = { nx_value_i64(1), nx_value_str(code) };
    cell->above.row = NULL;
    cell->above.key = (nx_key){ .parts = parts, .part_count = 2 };
    uow_do(f, f->db, "UPDATE cell SET n = 5");
    cr_expect_eq(ONE(f, Cell, nx_filter(nx_select(s, Cell), nx_eq(Cell_.code, "b"))), cell);
    cr_expect_eq(cell->n, 5);
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0);
    nxt_end(f, s);
}

/* A row that was changed keeps values, baseline and version: its flush finds the race. */
CASE(uow_stale, changed_row_that_is_read_again_still_finds_the_race)
{
    uow_map(f, NX_ENTITIES(Stamped));
    uow_do(f, f->db, "INSERT INTO stamped (id, n, version) VALUES (1, 1, 1)");
    nx_session *s = nxt_session(f, &(nx_session_options){ .no_auto_flush = true });
    Stamped *row = GET(f, s, Stamped, 1);
    row->n = 2;
    uow_do(f, f->db, "UPDATE stamped SET n = 5, version = 2");
    cr_expect_eq(ONE(f, Stamped, nx_select(s, Stamped)), row);
    cr_expect_eq(row->n, 2);
    cr_expect_eq(row->version, 1);
    FAILS(f, nx_flush(s, NULL), NX_EOPTIMISTIC);
    cr_expect_eq(row->n, 2, "a failed flush leaves the values");
    OK(f, nx_refresh(s, row, NULL));
    cr_expect_eq(row->n, 5);
    cr_expect_eq(row->version, 2);
    row->n = 6;
    nxt_end(f, s);
    STORES(f, "SELECT version FROM stamped WHERE n = 6", 3);
}

CASE(uow_stale, changed_row_that_is_read_again_still_finds_the_race_by_all_columns)
{
    uow_map(f, NX_ENTITIES(Item));
    uow_do(f, f->db, "INSERT INTO item (id, n, note) VALUES (1, 1, 'read')");
    nx_session *s = nxt_session(f, &(nx_session_options){ .no_auto_flush = true, .optimistic = NX_OPTIMISTIC_ALL });
    Item *item = GET(f, s, Item, 1);
    item->n = 2;
    uow_do(f, f->db, "UPDATE item SET note = 'by another'");
    cr_expect_eq(ONE(f, Item, nx_select(s, Item)), item);
    FAILS(f, nx_flush(s, NULL), NX_EOPTIMISTIC);
    nx_session_free(s);
    STORES(f, "SELECT n FROM item", 1);
}

/* ---------------------------------------------------------------------------- rows that went away */

typedef enum way { PARENT_DELETED, CHILDREN_DELETED, PARENTS_DELETED, RAW_CHILDREN, RAW_PARENTS, WAY_COUNT } way;

static void make_go(nxt_fixture *f, nx_session *s, Root *root, way how)
{
    if (how == PARENT_DELETED) {
        CHECK(nx_session_delete(s, root));
        OK(f, nx_flush(s, NULL));
    } else if (how == CHILDREN_DELETED || how == PARENTS_DELETED) {
        OK(f, nx_delete_all(how == CHILDREN_DELETED ? nx_select(s, Leaf) : nx_select(s, Root), NULL));
    } else {
        const char *sql = how == RAW_CHILDREN ? "DELETE FROM leaf" : "DELETE FROM root";
        OK(f, nx_session_execute(s, f->db, sql, nx_no_args, NULL));
    }
}

static void gone(nxt_fixture *f, way how)
{
    uow_map(f, NX_ENTITIES(Root, Leaf, Friend));
    nx_session *s = nxt_session(f, NULL);
    Root *root = NEW(s, Root);
    Leaf *leaf = NEW(s, Leaf);
    Friend *friend = NEW(s, Friend);
    nx_set_ref(leaf->root, root);
    nx_set_ref(friend->root, root);
    OK(f, nx_commit(s, NULL));
    int64_t id = leaf->id;

    make_go(f, s, root, how);
    cr_expect_null(GET(f, s, Leaf, id), "nx_get answers from memory");
    if (how != CHILDREN_DELETED && how != RAW_CHILDREN) {
        cr_expect_eq(GET(f, s, Friend, friend->id), friend);
        cr_expect_null(friend->root.row, "the reference that the database cleared");
        cr_expect_eq(friend->root.key.part_count, 0U);
    }
    leaf->n = 5;
    nx_completion c = nx_await(f->loop, nx_flush(s, NULL));
    cr_expect(c.status != NX_OK || c.count == 0, "an UPDATE of a row that is gone succeeds");
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(GET(f, s, Leaf, id), leaf, "the rollback brings it back");
    cr_expect_eq(GET(f, s, Friend, friend->id), friend);
    cr_expect_eq(friend->root.row, root);
    leaf->n = 6;
    friend->n = 6;
    nxt_end(f, s);
    STORES(f, "SELECT n FROM leaf", 6);
    STORES(f, "SELECT count(*) FROM friend WHERE n = 6 AND root_id IS NOT NULL", 1);
}

CASE(uow_stale, row_that_went_with_its_deleted_parent_is_not_answered_from_memory)
{
    gone(f, PARENT_DELETED);
}

CASE(uow_stale, row_that_a_set_based_write_deleted_is_not_answered_from_memory)
{
    gone(f, CHILDREN_DELETED);
}

CASE(uow_stale, row_that_went_with_a_set_based_deletion_of_its_parent_is_not_answered_from_memory)
{
    gone(f, PARENTS_DELETED);
}

CASE(uow_stale, row_that_raw_sql_deleted_is_not_answered_from_memory)
{
    gone(f, RAW_CHILDREN);
}

CASE(uow_stale, row_that_went_with_a_raw_deletion_of_its_parent_is_not_answered_from_memory)
{
    gone(f, RAW_PARENTS);
}

/* The same inside a nested session that is undone: afterwards they are there again. */
CASE(uow_stale, rows_that_went_away_inside_a_nested_session_are_there_again)
{
    uow_map(f, NX_ENTITIES(Root, Leaf));
    for (int how = 0; how < WAY_COUNT; how++) {
        uow_do(f, f->db, "DELETE FROM root");
        nx_session *s = nxt_session(f, NULL);
        Root *root = NEW(s, Root);
        Leaf *leaf = NEW(s, Leaf);
        nx_set_ref(leaf->root, root);
        OK(f, nx_commit(s, NULL));
        nx_session *inner = nx_session_nested(s, NULL);
        make_go(f, inner, root, (way)how);
        cr_expect_null(GET(f, inner, Leaf, leaf->id), "way %d", how);
        nx_session_free(inner);
        cr_expect_eq(GET(f, s, Leaf, leaf->id), leaf, "way %d", how);
        cr_expect_eq(leaf->root.row, root);
        leaf->n = root->n = 3;
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 2);
        nx_session_free(s);
        STORES(f, "SELECT count(*) FROM leaf, root WHERE leaf.n = 3 AND root.n = 3", 1);
    }
}

/* One that somebody else deletes while it is known: the next query that would meet it says so. */
CASE(uow_stale, refresh_of_a_row_that_is_gone_says_so)
{
    uow_map(f, NX_ENTITIES(Item));
    uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1, 1)");
    nx_session *s = nxt_session(f, NULL);
    Item *item = GET(f, s, Item, 1);
    uow_do(f, f->db, "DELETE FROM item");
    FAILS(f, nx_refresh(s, item, NULL), NX_ENOTFOUND);
    item->n = 2;
    FAILS(f, nx_flush(s, NULL), NX_EOPTIMISTIC);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM item", 0);
}

/* ----------------------------------------------------------------------- values by raw and set-based writes */

CASE(uow_stale, value_that_the_session_wrote_by_sql_is_not_answered_from_memory)
{
    uow_map(f, NX_ENTITIES(Item, Word, Cell));
    uow_do(f, f->db, "INSERT INTO word (code, n) VALUES ('w', 1)");
    uow_do(f, f->db, "INSERT INTO cell (page, code, n) VALUES (1, 'c', 1)");
    nx_session *s = nxt_session(f, NULL);
    Word *word = ONE(f, Word, nx_select(s, Word));
    Cell *cell = ONE(f, Cell, nx_select(s, Cell));
    OK(f, nx_session_execute(s, f->db, "UPDATE word SET n = 2", nx_no_args, NULL));
    OK(f, nx_update_all(nx_select(s, Cell), NULL, nx_assign(Cell_.n, 2)));
    cr_expect_eq((Word *)nxt_one(f, nx_get(s, Word, nx_eq(Word_.code, "w"), NULL), __FILE__, __LINE__), word);
    cr_expect_eq(word->n, 2);
    nx_completion c = OK(f, nx_get(s, Cell, nx_and(nx_eq(Cell_.page, 1), nx_eq(Cell_.code, "c")), NULL));
    cr_assert_eq(c.count, 1);
    cr_expect_eq(c.rows[0], cell);
    nxt_seen(f, &c);
    cr_expect_eq(cell->n, 2);
    word->note = nx_some(text, nx_str("mine"));
    cell->n = 3;
    nxt_end(f, s);
    STORES(f, "SELECT n FROM word WHERE note = 'mine'", 2);
    STORES(f, "SELECT n FROM cell", 3);
}

/* update_all counts the version up; the object must not write against the old one. */
CASE(uow_stale, version_that_a_set_based_write_counted_up_is_read)
{
    uow_map(f, NX_ENTITIES(Stamped));
    uow_do(f, f->db, "INSERT INTO stamped (id, n, version) VALUES (1, 1, 1)");
    nx_session *s = nxt_session(f, NULL);
    Stamped *row = GET(f, s, Stamped, 1);
    OK(f, nx_update_all(nx_select(s, Stamped), NULL, nx_assign(Stamped_.n, 5)));
    cr_expect_eq(GET(f, s, Stamped, 1), row);
    cr_expect_eq(row->n, 5);
    row->n = 6;
    OK(f, nx_commit(s, NULL));
    STORES(f, "SELECT version FROM stamped WHERE n = 6", row->version);
    nx_session_free(s);
}

/* ------------------------------------------------------------------------- values that the database makes */

CASE(uow_stale, defaults_of_the_database_are_on_the_object_at_its_next_use)
{
    uow_map(f, NX_ENTITIES(Made));
    nx_session *s = nxt_session(f, NULL);
    Made *made = NEW(s, Made);
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(GET(f, s, Made, made->id), made);
    cr_assert(made->rank.present && made->state.present);
    cr_expect_eq(made->rank.value, 7);
    TEXT_IS(made->state.value, "fresh");
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 0);
    made->rank = nx_none(i32);
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM made WHERE rank IS NULL AND state = 'fresh'", 1);
}

CASE(uow_stale, row_with_defaults_of_the_database_is_updated_with_all_columns_compared)
{
    uow_map(f, NX_ENTITIES(Made));
    nx_session *s = nxt_session(f, &(nx_session_options){ .optimistic = NX_OPTIMISTIC_ALL });
    Made *made = NEW(s, Made);
    OK(f, nx_commit(s, NULL));
    made->n = 1;
    OK(f, nx_commit(s, NULL));
    made->n = 2;
    CHECK(nx_session_delete(s, made));
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM made", 0);
}

/* A change that was made before the default was read stays, and nothing else is written. */
CASE(uow_stale, change_beside_an_unread_default_leaves_the_default)
{
    uow_map(f, NX_ENTITIES(Made));
    nx_session *s = nxt_session(f, NULL);
    Made *made = NEW(s, Made);
    OK(f, nx_flush(s, NULL));
    made->n = 3;
    made->state = nx_some(text, nx_str("mine"));
    cr_expect_eq(GET(f, s, Made, made->id), made);
    cr_expect_eq(made->n, 3);
    TEXT_IS(made->state.value, "mine");
    nxt_end(f, s);
    STORES(f, "SELECT rank FROM made WHERE n = 3 AND state = 'mine'", 7);
}

/* A value that was given wins over the default, and is known without a read. */
CASE(uow_stale, value_given_for_a_default_is_kept)
{
    uow_map(f, NX_ENTITIES(Made));
    nx_session *s = nxt_session(f, NULL);
    Made *made = NEW(s, Made);
    made->rank = nx_some(i32, 1);
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(made->rank.value, 1);
    cr_expect_eq(GET(f, s, Made, made->id), made);
    cr_expect_eq(made->rank.value, 1);
    TEXT_IS(made->state.value, "fresh");
    nxt_end(f, s);
}

/* A trigger that the catalogue shows may change anything: what it made is read at the next use. */
CASE(uow_stale, value_that_a_trigger_made_is_on_the_object_at_its_next_use)
{
    uow_map(f, NX_ENTITIES(Item));
    if (strcmp(f->provider->name, "postgres") == 0) {
        uow_do(f, f->db,
               "CREATE FUNCTION twice() RETURNS trigger LANGUAGE plpgsql AS "
               "$$ BEGIN new.n := new.n * 2; RETURN new; END $$");
        uow_do(f, f->db, "CREATE TRIGGER twice BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION twice()");
    } else {
        uow_do(f, f->db, "CREATE TRIGGER twice AFTER INSERT ON item BEGIN UPDATE item SET n = n * 2 WHERE id = new.id; END");
        uow_do(f, f->db,
               "CREATE TRIGGER twice_more AFTER UPDATE OF note ON item "
               "BEGIN UPDATE item SET n = n * 2 WHERE id = new.id; END");
    }
    OK(f, nx_generate_mapping(f->db, 0, NULL));
    nx_session *s = nxt_session(f, NULL);
    Item *item = NEW(s, Item);
    item->n = 5;
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(GET(f, s, Item, item->id), item);
    cr_expect_eq(item->n, 10);
    item->note = nx_some(text, nx_str("changed"));
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(GET(f, s, Item, item->id), item);
    cr_expect_eq(item->n, 20);
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 0);
    nx_session_free(s);
    STORES(f, "SELECT n FROM item", 20);
}

/* --------------------------------------------------------------------------------- identity */

CASE(uow_stale, pending_row_is_found_by_the_key_that_the_flush_stores)
{
    uow_map(f, NX_ENTITIES(Word));
    nx_session *s = nxt_session(f, NULL);
    Word *word = NEW(s, Word);
    word->code = nx_str(" k1 "); /* white space around a text is cut */
    cr_expect_eq((Word *)nxt_one(f, nx_get(s, Word, nx_eq(Word_.code, "k1"), NULL), __FILE__, __LINE__), word);
    cr_expect_eq(nx_session_find(s, &Word_entity, nx_args("k1")), word);
    OK(f, nx_commit(s, NULL));
    Word *second = NEW(s, Word);
    second->code = nx_str("k1");
    FAILS(f, nx_flush(s, NULL), NX_EUNIQUE);
    CHECK(nx_session_delete(s, second));
    cr_expect_eq(nx_session_find(s, &Word_entity, nx_args("k1")), word);
    word->n = 4;
    nxt_end(f, s);
    STORES(f, "SELECT n FROM word WHERE code = 'k1'", 4);
}

CASE(uow_stale, changed_key_is_refused_by_name_and_can_be_set_back)
{
    uow_map(f, NX_ENTITIES(Word));
    nx_session *s = nxt_session(f, NULL);
    Word *word = NEW(s, Word);
    word->code = nx_str("k1");
    OK(f, nx_commit(s, NULL));
    word->code = nx_str("k2");
    const nx_error *error = FAILS(f, nx_flush(s, NULL), NX_EVALUE);
    cr_expect_eq(error->object, word);
    MENTIONS(error, "code");
    word->code = nx_str("k1");
    word->n = 1;
    nxt_end(f, s);
    STORES(f, "SELECT n FROM word WHERE code = 'k1'", 1);
}

CASE(uow_stale, query_that_meets_an_invalid_pending_row_says_which)
{
    uow_map(f, NX_ENTITIES(Word, Named));
    nx_session *s = nxt_session(f, NULL);
    Named *named = NEW(s, Named);
    named->id = 1;
    const nx_error *error = FAILS(f, nx_count(nx_select(s, Word), NULL), NX_EREQUIRED);
    cr_expect_eq(error->object, named);
    named->name = nx_str("set");
    cr_expect_eq(COUNT(f, nx_count(nx_select(s, Word), NULL)), 0);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM named", 1);
}

/* A write tells the columns that it writes, and no others. */
CASE(uow_stale, row_written_behind_a_set_based_write_is_read_again)
{
    nx_session *s;
    Sheet *sheet = stored_sheet(f, &s);
    OK(f, nx_update_all(nx_select(s, Sheet), NULL, nx_assign(Sheet_.n, 5)));
    sheet->title = nx_str("new");
    OK(f, nx_flush(s, NULL));
    cr_expect_eq(GET(f, s, Sheet, 1), sheet);
    cr_expect_eq(sheet->n, 5);
    TEXT_IS(sheet->title, "new");
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM sheet WHERE n = 5 AND title = 'new'", 1);
}

/* SQLite gives the key of a row that is gone to the next one. */
CASE(uow_stale, key_that_is_given_out_again_belongs_to_the_new_row)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    Item *gone = NEW(s, Item);
    gone->n = 1;
    OK(f, nx_flush(s, NULL));
    OK(f, nx_delete_all(nx_select(s, Item), NULL));
    Item *made = NEW(s, Item);
    made->n = 2;
    OK(f, nx_flush(s, NULL));
    cr_expect_eq(ONE(f, Item, nx_select(s, Item)), made);
    cr_expect_eq(GET(f, s, Item, made->id), made);
    nxt_end(f, s);
    STORES(f, "SELECT n FROM item", 2);
}

/* An object whose row is gone must not write the row that has its key now. */
CASE(uow_stale, object_whose_key_was_given_out_again_writes_nothing)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int how = 0; how < 4; how++) {
        nx_session *s = nxt_session(f, &(nx_session_options){ .no_auto_flush = true });
        Item *gone = NEW(s, Item);
        gone->n = 1;
        OK(f, nx_flush(s, NULL));
        OK(f, nx_delete_all(nx_select(s, Item), NULL));
        Item *made = NEW(s, Item);
        made->n = 2;
        OK(f, nx_flush(s, NULL));
        gone->n = 5;
        if (how == 1)
            CHECK(nx_session_delete(s, gone));
        nx_op op = how < 2 ? nx_flush(s, NULL) : how == 2 ? nx_save(f->db, gone, NULL) : nx_delete(f->db, gone, NULL);
        FAILS(f, op, NX_EOPTIMISTIC);
        Item *left = ONE(f, Item, nx_select(s, Item));
        cr_expect_eq(left, made);
        cr_expect_eq(made->n, 2);
        OK(f, nx_rollback(s, NULL));
        nx_session_free(s);
    }
}
