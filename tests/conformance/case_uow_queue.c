/*
 * uow_queue - operations on one row or session that are queued without waiting behave as if each had been awaited.
 */
#include <stdio.h>

#include "uow_kit.h"

/* --------------------------------------------------------------------- one row, queued or awaited */

typedef enum step { SAVE, INSERT, DELETE, STEP_COUNT } step;

enum { STEPS = 4 };

static nx_op take_step(nxt_fixture *f, void *row, step what)
{
    if (what == SAVE)
        return nx_save(f->db, row, NULL);
    return what == INSERT ? nx_insert(f->db, row, NULL) : nx_delete(f->db, row, NULL);
}

/* The statuses and what is stored, of each sequence of steps on one new row: `number` says which; s NULL: outside sessions. */
static void run_steps(nxt_fixture *f, nx_session *s, int number, bool queued, nx_status *ret_status)
{
    nx_op ops[STEPS];
    Named *row = s == NULL ? nx_make(f->db, Named) : NEW(s, Named);

    row->id = 1;
    row->name = nx_str("row");
    for (int i = 0; i < STEPS; i++, number /= STEP_COUNT) {
        ops[i] = take_step(f, row, (step)(number % STEP_COUNT));
        if (!queued)
            ret_status[i] = uow_status(f, ops[i]);
    }
    for (int i = 0; queued && i < STEPS; i++)
        ret_status[i] = uow_status(f, ops[i]);
    if (s == NULL)
        nx_release_row(f->db, row);
}

static void compare_steps(nxt_fixture *f, bool in_session)
{
    uow_map(f, NX_ENTITIES(Named));
    for (int number = 0; number < STEP_COUNT * STEP_COUNT * STEP_COUNT * STEP_COUNT; number++) {
        nx_status status[2][STEPS];
        int64_t rows[2];
        for (int queued = 0; queued < 2; queued++) {
            uow_do(f, f->db, "DELETE FROM named");
            nx_session *s = in_session ? nxt_session(f, NULL) : NULL;
            run_steps(f, s, number, queued, status[queued]);
            if (s != NULL && nx_await(f->loop, nx_commit(s, NULL)).status == NX_EABORTED)
                OK(f, nx_rollback(s, NULL));
            nx_session_free(s);
            rows[queued] = NUMBER(f, "SELECT count(*) FROM named");
        }
        for (int i = 0; i < STEPS; i++)
            cr_assert_eq(status[0][i], status[1][i], "sequence %d, step %d: awaited %s, queued %s", number, i,
                         nx_status_name(status[0][i]), nx_status_name(status[1][i]));
        cr_assert_eq(rows[0], rows[1], "sequence %d: awaited %lld rows, queued %lld", number, (long long)rows[0],
                     (long long)rows[1]);
    }
}

CASE(uow_queue, steps_on_one_row_behave_as_if_awaited)
{
    compare_steps(f, false);
}

CASE(uow_queue, steps_on_one_row_of_a_session_behave_as_if_awaited)
{
    compare_steps(f, true);
}

CASE(uow_queue, two_saves_of_one_new_row_are_one_row)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int in_session = 0; in_session < 2; in_session++) {
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = in_session ? nxt_session(f, NULL) : NULL;
        Item *item = in_session ? NEW(s, Item) : nx_make(f->db, Item);
        item->n = 9;
        nx_op first = nx_save(f->db, item, NULL), second = nx_save(f->db, item, NULL);
        OK(f, first);
        OK(f, second);
        if (in_session)
            nxt_end(f, s);
        else
            nx_release_row(f->db, item);
        STORES(f, "SELECT count(*) FROM item WHERE n = 9", 1);
    }
}

CASE(uow_queue, save_and_deletion_of_one_new_row_leave_none)
{
    uow_map(f, NX_ENTITIES(Item));
    for (int in_session = 0; in_session < 2; in_session++) {
        nx_session *s = in_session ? nxt_session(f, NULL) : NULL;
        Item *item = in_session ? NEW(s, Item) : nx_make(f->db, Item);
        nx_op first = nx_save(f->db, item, NULL), second = nx_delete(f->db, item, NULL);
        OK(f, first);
        OK(f, second);
        if (in_session)
            nxt_end(f, s);
        else
            nx_release_row(f->db, item);
        STORES(f, "SELECT count(*) FROM item", 0);
    }
}

/* A version is counted by each, as if the second had seen the first one's. */
CASE(uow_queue, saves_of_one_row_with_a_version_count_it_up)
{
    uow_map(f, NX_ENTITIES(Stamped));
    uow_do(f, f->db, "INSERT INTO stamped (id, n, version) VALUES (1, 1, 1)");
    nx_session *s = nxt_session(f, NULL);
    Stamped *row = GET(f, s, Stamped, 1);
    row->n = 2;
    nx_op first = nx_save(f->db, row, NULL), second = nx_save(f->db, row, NULL), last = nx_delete(f->db, row, NULL);
    OK(f, first);
    cr_expect_eq(COUNT(f, second), 0, "nothing is left to write");
    OK(f, last);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM stamped", 0);
}

/* Many rows, one operation each: all leave together, and each has its own answer. */
CASE(uow_queue, saves_of_many_rows_have_their_own_answers)
{
    enum { ROWS = 200 };
    Named *rows[ROWS];
    nx_op ops[ROWS];
    uow_map(f, NX_ENTITIES(Named));
    uow_do(f, f->db, "INSERT INTO named (id, name, n) VALUES (1000, 'taken', 0)");
    nx_session *s = nxt_session(f, NULL);
    char names[ROWS][16];
    for (int i = 0; i < ROWS; i++) {
        snprintf(names[i], sizeof(names[i]), i == 50 ? "taken" : "row %d", i);
        rows[i] = NEW(s, Named);
        rows[i]->id = i + 1;
        rows[i]->name = nx_str(names[i]);
        ops[i] = nx_save(f->db, rows[i], NULL);
    }
    for (int i = 0; i < ROWS; i++)
        cr_expect_eq(uow_status(f, ops[i]), i == 50 ? NX_EUNIQUE : NX_OK, "row %d", i);
    rows[50]->name = nx_str("mended");
    for (int i = 0; i < ROWS; i += 2) {
        rows[i]->n = 1;
        ops[i] = nx_save(f->db, rows[i], NULL);
        ops[i + 1] = nx_delete(f->db, rows[i + 1], NULL);
    }
    for (int i = 0; i < ROWS; i++)
        cr_expect_eq(uow_status(f, ops[i]), NX_OK, "row %d", i);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM named WHERE n = 1", ROWS / 2);
    STORES(f, "SELECT count(*) FROM named", ROWS / 2 + 1);
}

/* ---------------------------------------------------------------------------- refused deletions */

static Root *anchored_root(nxt_fixture *f, nx_session *s)
{
    Root *root = NEW(s, Root);
    Anchor *anchor = NEW(s, Anchor);
    nx_set_ref(anchor->root, root);
    OK(f, nx_commit(s, NULL));
    return root;
}

CASE(uow_queue, refused_deletion_of_one_row_does_not_poison_later_flushes)
{
    uow_map(f, NX_ENTITIES(Root, Anchor));
    nx_session *s = nxt_session(f, NULL);
    Root *root = anchored_root(f, s);
    FAILS(f, nx_delete(f->db, root, NULL), NX_EFOREIGNKEY);
    root->n = 3;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    STORES(f, "SELECT n FROM root", 3);
    cr_expect_eq(nx_session_find(s, &Root_entity, nx_args(root->id)), root);
    nxt_end(f, s);
}

/* A deletion that was asked for by nx_session_delete is pending work: it fails each flush until it is possible or taken back. */
CASE(uow_queue, refused_pending_deletion_is_taken_back_by_refresh)
{
    uow_map(f, NX_ENTITIES(Root, Anchor));
    nx_session *s = nxt_session(f, NULL);
    Root *root = anchored_root(f, s);
    CHECK(nx_session_delete(s, root));
    const nx_error *error = FAILS(f, nx_flush(s, NULL), NX_EFOREIGNKEY);
    cr_expect_eq(error->object, root);
    FAILS(f, nx_flush(s, NULL), NX_EFOREIGNKEY);
    OK(f, nx_refresh(s, root, NULL));
    root->n = 4;
    nxt_end(f, s);
    STORES(f, "SELECT n FROM root", 4);
}

CASE(uow_queue, refused_pending_deletion_succeeds_when_it_is_possible)
{
    uow_map(f, NX_ENTITIES(Root, Anchor));
    nx_session *s = nxt_session(f, NULL);
    Root *root = anchored_root(f, s);
    Anchor *anchor = ONE(f, Anchor, nx_select(s, Anchor));
    CHECK(nx_session_delete(s, root));
    FAILS(f, nx_flush(s, NULL), NX_EFOREIGNKEY);
    CHECK(nx_session_delete(s, anchor));
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM root", 0);
}

/* -------------------------------------------------------------------------- a session's own queue */

CASE(uow_queue, flushes_and_queries_queued_at_once_see_each_other)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    NEW(s, Item)->n = 1;
    nx_op ops[] = {
        nx_flush(s, NULL),
        nx_count(nx_select(s, Item), NULL),
        nx_update_all(nx_select(s, Item), NULL, nx_assign(Item_.n, 5)),
        nx_count(nx_filter(nx_select(s, Item), nx_eq(Item_.n, 5)), NULL),
        nx_delete_all(nx_select(s, Item), NULL),
        nx_count(nx_select(s, Item), NULL),
        nx_rollback(s, NULL),
        nx_count(nx_select(s, Item), NULL),
        nx_commit(s, NULL),
    };
    static const int64_t counts[] = { 1, 1, 1, 1, 1, 0, 0, 1, 0 };
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        nx_completion c = OK(f, ops[i]);
        cr_expect(i == 6 || c.count == counts[i], "operation %zu: %lld", i, (long long)c.count);
    }
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM item WHERE n = 1", 1);
}

/* A failed operation in the middle of a queue: those behind it run, and say what they met. */
CASE(uow_queue, failure_in_the_middle_of_a_queue_is_told_where_it_is)
{
    uow_map(f, NX_ENTITIES(Named));
    uow_do(f, f->db, "INSERT INTO named (id, name, n) VALUES (1, 'taken', 0)");
    nx_session *s = nxt_session(f, NULL);
    Named *bad = NEW(s, Named);
    bad->id = 2;
    bad->name = nx_str("taken");
    nx_op flush = nx_flush(s, NULL), count = nx_count(nx_select(s, Named), NULL), commit = nx_commit(s, NULL),
          end = nx_session_end(s, NULL);
    cr_expect_eq(uow_status(f, flush), NX_EUNIQUE);
    cr_expect_eq(uow_status(f, count), NX_EUNIQUE, "its flush");
    cr_expect_eq(uow_status(f, commit), NX_EUNIQUE);
    cr_expect_eq(uow_status(f, end), NX_EUNIQUE);
    cr_expect(nx_session_is_ended(s));
    cr_expect_eq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM named", 1);
    uow_is_free(f, f->db, "named");
}

/* Of several sessions whose ends are queued together, also where they share a COMMIT, one that fails fails alone. */
CASE(uow_queue, one_failing_end_among_many_fails_alone)
{
    enum { SESSIONS = 6 };
    uow_map(f, NX_ENTITIES(Item));
    uow_do(f, f->db, "CREATE TABLE known (id bigint primary key)");
    uow_do(f, f->db, "CREATE TABLE odd (n bigint REFERENCES known (id) DEFERRABLE INITIALLY DEFERRED)");
    for (int bad = 0; bad < SESSIONS; bad++) {
        nx_session *s[SESSIONS];
        nx_op ops[SESSIONS];
        uow_do(f, f->db, "DELETE FROM item");
        for (int i = 0; i < SESSIONS; i++) {
            s[i] = nxt_session(f, NULL);
            NEW(s[i], Item)->n = i;
            if (i == bad)
                (void)nx_session_execute(s[i], f->db, "INSERT INTO odd VALUES (99)", nx_no_args, NULL);
            ops[i] = nx_session_end(s[i], NULL);
        }
        for (int i = 0; i < SESSIONS; i++) {
            nx_status status = uow_status(f, ops[i]);
            cr_expect(i == bad ? status != NX_OK : status == NX_OK, "session %d of %d: %s", i, bad, nx_status_name(status));
            nx_session_free(s[i]);
        }
        uow_take_the_rest(f);
        STORES(f, "SELECT count(*) FROM item", SESSIONS - 1);
        STORES(f, "SELECT count(*) FROM odd", 0);
    }
}

/* SQLite: a statement that rolls the whole transaction back by itself. */
CASE(uow_queue, transaction_that_the_database_rolled_back_is_whole_or_told)
{
    uow_map(f, NX_ENTITIES(Item));
    if (strcmp(f->provider->name, "sqlite") != 0)
        return;
    uow_do(f, f->db, "CREATE TABLE odd (n integer UNIQUE ON CONFLICT ROLLBACK)");
    uow_do(f, f->db, "INSERT INTO odd VALUES (99)");
    for (int nested = 0; nested < 2; nested++) {
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = nxt_session(f, NULL);
        NEW(s, Item)->n = 1;
        OK(f, nx_flush(s, NULL));
        nx_session *inner = nested ? nx_session_nested(s, NULL) : NULL, *used = nested ? inner : s;
        NEW(used, Item)->n = 2;
        OK(f, nx_flush(used, NULL));
        cr_expect_neq(uow_status(f, nx_session_execute(used, f->db, "INSERT INTO odd VALUES (99)", nx_no_args, NULL)), NX_OK);
        NEW(used, Item)->n = 4;
        FAILS(f, nx_flush(used, NULL), NX_EABORTED);
        nx_session_free(inner);
        FAILS(f, nx_commit(s, NULL), NX_EABORTED);
        STORES(f, "SELECT count(*) FROM item", 0);
        OK(f, nx_rollback(s, NULL));
        nxt_end(f, s);
        STORES(f, "SELECT count(*) FROM item WHERE n = 1", 1);
        STORES(f, "SELECT count(*) FROM item", nested ? 1 : 3);
    }
}

/* Text that ends the transaction behind the session's back. */
CASE(uow_queue, transaction_statements_of_the_program_are_refused_or_told)
{
    static const char *const texts[] = { "COMMIT", "ROLLBACK", "END", "  /* x */ commit", "ROLLBACK TO nxi_1", "RELEASE nxi_1" };
    uow_map(f, NX_ENTITIES(Item));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uow_do(f, f->db, "DELETE FROM item");
        nx_session *s = nxt_session(f, NULL);
        NEW(s, Item)->n = 1;
        OK(f, nx_flush(s, NULL));
        nx_session *inner = nx_session_nested(s, NULL);
        NEW(inner, Item)->n = 2;
        OK(f, nx_flush(inner, NULL));
        nx_status status = uow_status(f, nx_session_execute(inner, f->db, texts[i], nx_no_args, NULL));
        cr_expect_neq(status, NX_OK, "%s is let through", texts[i]);
        nx_session_free(inner);
        nx_status committed = uow_status(f, nx_commit(s, NULL));
        nx_session_free(s);
        STORES(f, "SELECT count(*) FROM item", committed == NX_OK ? 1 : 0);
    }
}

/* ---------------------------------------------------------------------------- objects from elsewhere */

CASE(uow_queue, references_to_objects_from_elsewhere_are_refused_by_name)
{
    static const nx_entity *const roots[] = { &Root_entity, NULL };
    uow_map(f, NX_ENTITIES(Root, Friend));
    nx_db *other = uow_beside(f, roots);
    nx_session *s = nxt_session(f, NULL), *second = nxt_session(f, NULL);
    Friend *friend = NEW(s, Friend);
    Root *of_second = NEW(second, Root);
    nx_set_ref(friend->root, of_second);
    cr_expect_eq(FAILS(f, nx_flush(s, NULL), NX_EVALUE)->object, friend);
    OK(f, nx_session_end(second, NULL));
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(friend->root.row, of_second, "stored by now");

    Root *of_other = nx_make(other, Root), *loose = nx_make(f->db, Root);
    nx_set_ref(friend->root, of_other);
    FAILS(f, nx_flush(s, NULL), NX_EVALUE);
    OK(f, nx_save(other, of_other, NULL));
    cr_expect_eq(of_other->id, of_second->id, "the same key");
    cr_expect_eq(FAILS(f, nx_flush(s, NULL), NX_EVALUE)->object, friend, "a row of another database with a stored key");
    nx_set_ref(friend->root, loose);
    FAILS(f, nx_flush(s, NULL), NX_EVALUE);
    OK(f, nx_save(f->db, loose, NULL));
    OK(f, nx_commit(s, NULL));
    Root *pending = NEW(s, Root);
    nx_set_ref(friend->root, pending);
    FAILS(f, nx_save(f->db, friend, NULL), NX_EVALUE);
    OK(f, nx_commit(s, NULL));
    cr_expect_gt(pending->id, 0);
    nx_session_free(s);
    nx_session_free(second);
    nx_release_row(f->db, loose);
    nx_db_free(other);
    STORES(f, "SELECT count(*) FROM friend, root WHERE friend.root_id = root.id", 1);
}

/* A read-only database beside one that is written. */
CASE(uow_queue, read_only_session_refuses_every_write_and_goes_on)
{
    uow_map(f, NX_ENTITIES(Item));
    uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1, 1)");
    nx_session *s = nxt_session(f, &(nx_session_options){ .read_only = true });
    Item *item = GET(f, s, Item, 1);
    item->n = 2;
    FAILS(f, nx_flush(s, NULL), NX_EREADONLY);
    FAILS(f, nx_commit(s, NULL), NX_EREADONLY);
    FAILS(f, nx_delete_all(nx_select(s, Item), NULL), NX_EREADONLY);
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(item->n, 1);
    cr_expect_eq(GET(f, s, Item, 1), item);
    OK(f, nx_session_end(s, NULL));
    nx_session_free(s);
    STORES(f, "SELECT n FROM item", 1);
}

/* A text that was stopped before it ran has done nothing that could be lost. */
CASE(uow_queue, text_that_was_cancelled_before_it_ran_costs_nothing)
{
    uow_map(f, NX_ENTITIES(Item));
    nx_session *s = nxt_session(f, NULL);
    nx_op op = nx_update_all(nx_select(s, Item), NULL, nx_assign(Item_.n, 5));
    (void)!nx_op_cancel(f->loop, op);
    (void)uow_status(f, op);
    NEW(s, Item)->n = 1;
    OK(f, nx_commit(s, NULL));
    NEW(s, Item)->n = 2;
    OK(f, nx_commit(s, NULL));
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM item", 2);
}

CASE(uow_queue, row_that_refers_to_itself_is_saved_alone)
{
    uow_map(f, NX_ENTITIES(Cell));
    nx_session *s = nxt_session(f, NULL);
    Cell *cell = NEW(s, Cell);
    cell->page = 1;
    cell->code = nx_str("a");
    nx_set_ref(cell->above, cell);
    OK(f, nx_save(f->db, cell, NULL));
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM cell WHERE above_code = code AND above_page = page", 1);
}
