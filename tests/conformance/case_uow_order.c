/*
 * uow_order - the order in which a flush inserts and deletes, for every form of reference.
 */
#include <stdio.h>

#include "uow_kit.h"

/* Two references to the same table. */
#define UOW_LINK(FIELD, E)                                                                                                       \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Link, prev, .optional = true)                                                                               \
    FIELD(E, SINGLE, Link, next, .optional = true)
NX_ENTITY(Link, UOW_LINK)

/* The same with a version, and with deletions that are refused. */
#define UOW_RING(FIELD, E)                                                                                                       \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, n)                                                                                                        \
    FIELD(E, REQ, i32, version, .version = true)                                                                                 \
    FIELD(E, SINGLE, Ring, other, .optional = true, .on_delete = NX_ON_DELETE_RESTRICT)
NX_ENTITY(Ring, UOW_RING)

/* A tree whose key has two numbers, deleted by cascade. */
#define UOW_TWIG(FIELD, E)                                                                                                       \
    FIELD(E, PK, i32, tenant)                                                                                                    \
    FIELD(E, PK, i32, number)                                                                                                    \
    FIELD(E, SINGLE, Twig, above, .optional = true, .on_delete = NX_ON_DELETE_CASCADE)
NX_ENTITY(Twig, UOW_TWIG)

/* Keys of the program, so that a reference by key can mean a row that is not stored yet. */
#define UOW_HOLDER(FIELD, E) FIELD(E, PK, i64, id, .caller_assigned = true)
#define UOW_HELD(FIELD, E)                                                                                                       \
    FIELD(E, PK, i64, id, .caller_assigned = true)                                                                               \
    FIELD(E, SINGLE, Holder, holder, .on_delete = NX_ON_DELETE_RESTRICT)                                                         \
    FIELD(E, SINGLE, Held, above, .optional = true, .on_delete = NX_ON_DELETE_RESTRICT)
NX_ENTITY(Holder, UOW_HOLDER)
NX_ENTITY(Held, UOW_HELD)

/* A reference to a composite key. */
#define UOW_POINTER(FIELD, E)                                                                                                    \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Cell, cell, .on_delete = NX_ON_DELETE_RESTRICT)
NX_ENTITY(Pointer, UOW_POINTER)

/* A circle of two tables with one optional side; both refuse deletions. */
#define UOW_TEAM(FIELD, E)                                                                                                       \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Player, captain, .optional = true, .on_delete = NX_ON_DELETE_RESTRICT)
#define UOW_PLAYER(FIELD, E)                                                                                                     \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Team, team, .on_delete = NX_ON_DELETE_RESTRICT)
NX_ENTITY_DECLARE(Player, UOW_PLAYER)
NX_ENTITY_DECLARE(Team, UOW_TEAM)
NX_ENTITY_DEFINE(Player, UOW_PLAYER)
NX_ENTITY_DEFINE(Team, UOW_TEAM)

static void delete_all(nx_session *s, void *const *rows, int count)
{
    for (int i = 0; i < count; i++)
        CHECK(nx_session_delete(s, rows[i]));
}

/* `count` stored rows, each of which refers to the one before it twice, or to both of its neighbours. */
static void make_links(nxt_fixture *f, nx_session *s, Link **links, int count, bool doubly)
{
    for (int i = 0; i < count; i++)
        links[i] = NEW(s, Link);
    OK(f, nx_flush(s, NULL));
    for (int i = 0; i < count; i++) {
        if (i > 0)
            nx_set_ref(links[i]->prev, links[i - 1]);
        if (doubly && i + 1 < count)
            nx_set_ref(links[i]->next, links[i + 1]);
        else if (!doubly && i > 0)
            nx_set_ref(links[i]->next, links[i - 1]);
    }
    OK(f, nx_commit(s, NULL));
}

CASE(uow_order, doubly_linked_list_is_deleted_in_one_flush)
{
    enum { ROWS = 40 };
    Link *links[ROWS];
    uow_map(f, NX_ENTITIES(Link));
    for (int count = 2; count <= ROWS; count = count < 4 ? count + 1 : ROWS + (count == ROWS)) {
        nx_session *s = nxt_session(f, NULL);
        make_links(f, s, links, count, true);
        delete_all(s, (void *const *)links, count);
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), count);
        STORES(f, "SELECT count(*) FROM link", 0);
        nx_session_free(s);
    }
}

CASE(uow_order, rows_with_two_paths_to_each_ancestor_are_deleted_in_one_flush)
{
    enum { ROWS = 64 };
    Link *links[ROWS];
    uow_map(f, NX_ENTITIES(Link));
    nx_session *s = nxt_session(f, NULL);
    make_links(f, s, links, ROWS, false);
    delete_all(s, (void *const *)links, ROWS);
    cr_expect_eq(COUNT(f, nx_session_end(s, NULL)), ROWS);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM link", 0);
}

CASE(uow_order, rows_with_two_paths_to_each_ancestor_are_inserted_in_one_flush)
{
    enum { ROWS = 64 };
    Link *links[ROWS];
    uow_map(f, NX_ENTITIES(Link));
    nx_session *s = nxt_session(f, NULL);
    for (int i = 0; i < ROWS; i++)
        links[i] = NEW(s, Link);
    for (int i = 1; i < ROWS; i++) { /* the last row made is the root */
        nx_set_ref(links[i - 1]->prev, links[i]);
        nx_set_ref(links[i - 1]->next, links[i]);
    }
    cr_expect_eq(COUNT(f, nx_session_end(s, NULL)), ROWS);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM link WHERE prev_id IS NOT NULL AND next_id = prev_id", ROWS - 1);
}

CASE(uow_order, circle_that_refuses_deletions_is_deleted_in_one_flush)
{
    enum { ROWS = 3 };
    Ring *rings[ROWS];
    uow_map(f, NX_ENTITIES(Ring));
    nx_session *s = nxt_session(f, NULL);
    for (int i = 0; i < ROWS; i++)
        rings[i] = NEW(s, Ring);
    for (int i = 0; i < ROWS; i++)
        nx_set_ref(rings[i]->other, rings[(i + 1) % ROWS]);
    OK(f, nx_commit(s, NULL));
    delete_all(s, (void *const *)rings, ROWS);
    OK(f, nx_commit(s, NULL));
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM ring", 0);
}

CASE(uow_order, row_that_refers_to_itself_and_refuses_deletion_is_deleted)
{
    uow_map(f, NX_ENTITIES(Ring));
    nx_session *s = nxt_session(f, NULL);
    Ring *ring = NEW(s, Ring);
    nx_set_ref(ring->other, ring);
    OK(f, nx_commit(s, NULL));
    CHECK(nx_session_delete(s, ring));
    OK(f, nx_commit(s, NULL));
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM ring", 0);
}

/* A reference that closes a circle is written behind the INSERTs; the version counts what was written and is compared. */
static void circle_with_a_version(nxt_fixture *f, nx_optimistic optimistic)
{
    nx_session *s = nxt_session(f, &(nx_session_options){ .optimistic = optimistic });
    Ring *a = NEW(s, Ring), *b = NEW(s, Ring);
    char sql[128];

    nx_set_ref(a->other, b);
    nx_set_ref(b->other, a);
    OK(f, nx_flush(s, NULL));
    a->n = 5;
    b->n = 6;
    OK(f, nx_flush(s, NULL));
    nx_set_ref(a->other, NULL);
    b->n = 7;
    OK(f, nx_commit(s, NULL));
    snprintf(sql, sizeof(sql), "SELECT version FROM ring WHERE id = %lld", (long long)a->id);
    STORES(f, sql, a->version);
    snprintf(sql, sizeof(sql), "SELECT version FROM ring WHERE id = %lld", (long long)b->id);
    STORES(f, sql, b->version);
    CHECK(nx_session_delete(s, a));
    CHECK(nx_session_delete(s, b));
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM ring", 0);
}

CASE(uow_order, circle_of_new_rows_keeps_its_version)
{
    uow_map(f, NX_ENTITIES(Ring));
    circle_with_a_version(f, NX_OPTIMISTIC_DEFAULT);
}

CASE(uow_order, circle_of_new_rows_with_all_columns_compared)
{
    uow_map(f, NX_ENTITIES(Ring));
    circle_with_a_version(f, NX_OPTIMISTIC_ALL);
}

CASE(uow_order, circle_of_new_rows_with_nothing_compared)
{
    uow_map(f, NX_ENTITIES(Ring));
    circle_with_a_version(f, NX_OPTIMISTIC_NONE);
}

/* The parent is made first and deleted first: the flush has to turn the order round. */
static void make_cells(nxt_fixture *f, nx_session *s, Cell **cells, int count)
{
    static const char *const codes[] = { "a", "b", "c", "d", "e" };

    for (int i = 0; i < count; i++) {
        cells[i] = NEW(s, Cell);
        cells[i]->page = 1;
        cells[i]->code = nx_str(codes[i]);
        if (i > 0)
            nx_set_ref(cells[i]->above, cells[i - 1]);
    }
    OK(f, nx_commit(s, NULL));
}

CASE(uow_order, tree_with_a_composite_key_is_deleted_children_first)
{
    Cell *cells[5];
    uow_map(f, NX_ENTITIES(Cell));
    for (int count = 2; count <= 5; count++) {
        nx_session *s = nxt_session(f, NULL);
        make_cells(f, s, cells, count);
        delete_all(s, (void *const *)cells, count);
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), count);
        nx_session_free(s);
        STORES(f, "SELECT count(*) FROM cell", 0);
    }
}

CASE(uow_order, loaded_tree_with_a_composite_key_is_deleted_children_first)
{
    Cell *cells[3];
    uow_map(f, NX_ENTITIES(Cell));
    nx_session *s = nxt_session(f, NULL);
    make_cells(f, s, cells, 3);
    nx_session_free(s);
    s = nxt_session(f, NULL);
    nx_completion c = OK(f, nx_fetch_all(nx_order_by(nx_select(s, Cell), nx_asc(Cell_.code)), NULL));
    cr_assert_eq(c.count, 3);
    delete_all(s, c.rows, 3);
    nxt_seen(f, &c);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM cell", 0);
}

/* The database deletes the children; that they are gone when their own DELETE comes is no lost race. */
CASE(uow_order, loaded_tree_that_cascades_is_deleted_in_one_flush)
{
    uow_map(f, NX_ENTITIES(Twig));
    for (int count = 2; count <= 4; count++) {
        nx_session *s = nxt_session(f, NULL);
        Twig *twigs[4];
        for (int i = 0; i < count; i++) {
            twigs[i] = NEW(s, Twig);
            twigs[i]->tenant = 1;
            twigs[i]->number = i + 1;
            if (i > 0)
                nx_set_ref(twigs[i]->above, twigs[i - 1]);
        }
        nxt_end(f, s);
        s = nxt_session(f, NULL);
        nx_completion c = OK(f, nx_fetch_all(nx_order_by(nx_select(s, Twig), nx_asc(Twig_.number)), NULL));
        delete_all(s, c.rows, count);
        nxt_seen(f, &c);
        nxt_end(f, s);
        STORES(f, "SELECT count(*) FROM twig", 0);
    }
}

CASE(uow_order, parent_named_by_its_key_is_inserted_first)
{
    uow_map(f, NX_ENTITIES(Holder, Held));
    nx_session *s = nxt_session(f, NULL);
    Held *held = NEW(s, Held);
    held->id = 10;
    nx_set_ref_key(held->holder, 20);
    NEW(s, Holder)->id = 20;
    nxt_end(f, s);
    STORES(f, "SELECT holder_id FROM held WHERE id = 10", 20);
}

/* A row of another table with a circle makes the flush plan by rows and not by tables; the order by keys stays. */
CASE(uow_order, parent_named_by_its_key_is_inserted_first_beside_a_circle)
{
    uow_map(f, NX_ENTITIES(Holder, Held, Link));
    nx_session *s = nxt_session(f, NULL);
    Held *held = NEW(s, Held);
    held->id = 10;
    nx_set_ref_key(held->holder, 20);
    NEW(s, Holder)->id = 20;
    (void)NEW(s, Link);
    nxt_end(f, s);
    STORES(f, "SELECT holder_id FROM held WHERE id = 10", 20);
}

/* Within one table: the chain stands by keys only, the last row made is its root. */
CASE(uow_order, chain_named_by_keys_within_a_table_is_inserted_and_deleted)
{
    enum { ROWS = 9 };
    Held *held[ROWS];
    uow_map(f, NX_ENTITIES(Holder, Held));
    nx_session *s = nxt_session(f, NULL);
    for (int i = 0; i < ROWS; i++) {
        held[i] = NEW(s, Held);
        held[i]->id = 100 + i;
        nx_set_ref_key(held[i]->holder, 1);
        if (i + 1 < ROWS)
            nx_set_ref_key(held[i]->above, 100 + i + 1);
    }
    NEW(s, Holder)->id = 1;
    OK(f, nx_commit(s, NULL));
    STORES(f, "SELECT count(*) FROM held", ROWS);
    for (int i = ROWS; i-- > 0;)
        CHECK(nx_session_delete(s, held[i]));
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM held", 0);
}

CASE(uow_order, parent_with_a_composite_key_is_inserted_first_whatever_names_it)
{
    uow_map(f, NX_ENTITIES(Pointer, Cell));
    for (int by_key = 0; by_key < 2; by_key++) {
        nx_session *s = nxt_session(f, NULL);
        Pointer *pointer = NEW(s, Pointer);
        Cell *cell = NEW(s, Cell);
        nx_value parts[] = { nx_value_i64(by_key), nx_value_str("c") };
        cell->page = by_key;
        cell->code = nx_str("c");
        if (by_key)
            pointer->cell.key = (nx_key){ .parts = parts, .part_count = 2 };
        else
            nx_set_ref(pointer->cell, cell);
        OK(f, nx_commit(s, NULL));
        STORES(f, "SELECT count(*) FROM pointer", 1);
        CHECK(nx_session_delete(s, cell));
        CHECK(nx_session_delete(s, pointer));
        nxt_end(f, s);
        STORES(f, "SELECT count(*) FROM cell", 0);
    }
}

/* The captain's reference is cleared before the player goes, as it was set behind the player's INSERT. */
CASE(uow_order, circle_of_tables_is_inserted_and_deleted_in_one_flush_each)
{
    uow_map(f, NX_ENTITIES(Team, Player));
    nx_session *s = nxt_session(f, NULL);
    Team *team = NEW(s, Team);
    Player *player = NEW(s, Player);
    nx_set_ref(team->captain, player);
    nx_set_ref(player->team, team);
    OK(f, nx_commit(s, NULL));
    STORES(f, "SELECT count(*) FROM team WHERE captain_id IS NOT NULL", 1);
    CHECK(nx_session_delete(s, player));
    CHECK(nx_session_delete(s, team));
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM team", 0);
    STORES(f, "SELECT count(*) FROM player", 0);
}

/* An UPDATE takes the reference away before the row that it named is deleted. */
CASE(uow_order, reference_moved_off_a_row_that_the_flush_deletes)
{
    uow_map(f, NX_ENTITIES(Root, Anchor));
    nx_session *s = nxt_session(f, NULL);
    Root *old = NEW(s, Root), *other = NEW(s, Root);
    Anchor *anchor = NEW(s, Anchor);
    nx_set_ref(anchor->root, old);
    OK(f, nx_commit(s, NULL));
    CHECK(nx_session_delete(s, old));
    nx_set_ref(anchor->root, other);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM root", 1);
    STORES(f, "SELECT count(*) FROM anchor", 1);
}

/* --------------------------------------------------------------- references to rows that go */

/* The stored state did not move, and the row can be mended. */
static void refused_and_mended(nxt_fixture *f, nx_session *s, Leaf *leaf, Root *other)
{
    const nx_error *error = FAILS(f, nx_commit(s, NULL), NX_EVALUE);

    cr_expect_eq(error->object, leaf);
    MENTIONS(error, "root");
    nx_set_ref(leaf->root, other);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM leaf", 1);
    STORES(f, "SELECT count(*) FROM root", 1);
}

CASE(uow_order, new_row_that_refers_to_a_row_being_deleted_is_refused)
{
    uow_map(f, NX_ENTITIES(Root, Leaf));
    nx_session *s = nxt_session(f, NULL);
    Root *gone = NEW(s, Root), *other = NEW(s, Root);
    OK(f, nx_commit(s, NULL));
    CHECK(nx_session_delete(s, gone));
    Leaf *leaf = NEW(s, Leaf);
    nx_set_ref(leaf->root, gone);
    refused_and_mended(f, s, leaf, other);
}

CASE(uow_order, new_row_that_names_a_row_being_deleted_by_key_is_refused)
{
    uow_map(f, NX_ENTITIES(Root, Leaf));
    nx_session *s = nxt_session(f, NULL);
    Root *gone = NEW(s, Root), *other = NEW(s, Root);
    OK(f, nx_commit(s, NULL));
    CHECK(nx_session_delete(s, gone));
    Leaf *leaf = NEW(s, Leaf);
    nx_set_ref_key(leaf->root, gone->id);
    refused_and_mended(f, s, leaf, other);
}

CASE(uow_order, changed_row_that_refers_to_a_row_being_deleted_is_refused)
{
    uow_map(f, NX_ENTITIES(Root, Leaf));
    nx_session *s = nxt_session(f, NULL);
    Root *gone = NEW(s, Root), *other = NEW(s, Root);
    Leaf *leaf = NEW(s, Leaf);
    nx_set_ref(leaf->root, other);
    OK(f, nx_commit(s, NULL));
    CHECK(nx_session_delete(s, gone));
    nx_set_ref(leaf->root, gone);
    refused_and_mended(f, s, leaf, other);
}

CASE(uow_order, row_that_refers_to_a_deleted_row_is_refused)
{
    uow_map(f, NX_ENTITIES(Root, Leaf));
    nx_session *s = nxt_session(f, NULL);
    Root *gone = NEW(s, Root), *other = NEW(s, Root);
    OK(f, nx_commit(s, NULL));
    CHECK(nx_session_delete(s, gone));
    OK(f, nx_flush(s, NULL));
    Leaf *leaf = NEW(s, Leaf);
    nx_set_ref(leaf->root, gone);
    refused_and_mended(f, s, leaf, other);
}

CASE(uow_order, row_that_refers_to_a_forgotten_new_row_is_refused)
{
    uow_map(f, NX_ENTITIES(Root, Leaf));
    nx_session *s = nxt_session(f, NULL);
    Root *gone = NEW(s, Root), *other = NEW(s, Root);
    Leaf *leaf = NEW(s, Leaf);
    nx_set_ref(leaf->root, gone);
    CHECK(nx_session_delete(s, gone));
    refused_and_mended(f, s, leaf, other);
}
