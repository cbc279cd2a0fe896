/*
 * uow_outcomes - what a failed commit says of each database, what stays pending, and what is tried again.
 */
#include <stdio.h>

#include "uow_kit.h"

/* On a second database: a reference that is only checked at COMMIT. */
#define UOW_LATE(FIELD, E)                                                                                                       \
    FIELD(E, PK, i64, id, .caller_assigned = true)                                                                               \
    FIELD(E, REQ, i32, n)
NX_ENTITY(Late, UOW_LATE)

/* f->db has Item; the other database has Late, whose COMMIT fails when n is not 1. */
static nx_db *with_late(nxt_fixture *f, bool of_another_kind)
{
    static const nx_entity *const late[] = { &Late_entity, NULL };
    nx_db *other;

    uow_map(f, NX_ENTITIES(Item));
    if (of_another_kind)
        other = uow_beside(f, late);
    else
        other = nxt_database(f, 1, late);
    uow_do(f, other, "DROP TABLE late");
    uow_do(f, other, "CREATE TABLE known (id bigint primary key)");
    uow_do(f, other,
           "CREATE TABLE late (id bigint primary key, "
           "n integer NOT NULL REFERENCES known (id) DEFERRABLE INITIALLY DEFERRED)");
    uow_do(f, other, "INSERT INTO known VALUES (1)");
    return other;
}

static int64_t late_rows(nxt_fixture *f, nx_db *other)
{
    return uow_number(f, other, "SELECT count(*) FROM late", __FILE__, __LINE__);
}

/* The one that is used first is the primary. */
static nx_session *begin_both(nxt_fixture *f, bool late_first, Item **ret_item, Late **ret_late)
{
    nx_session *s = nxt_session(f, NULL);

    for (int i = 0; i < 2; i++) {
        if ((i == 0) == late_first) {
            *ret_late = NEW(s, Late);
            (*ret_late)->id = 1;
            (*ret_late)->n = 99;
        } else {
            *ret_item = NEW(s, Item);
        }
        if (i == 0)
            OK(f, nx_flush(s, NULL));
    }
    return s;
}

/* The primary is committed, the other one is not: that is told, and what is not stored stays pending. */
static void second_fails(nxt_fixture *f, bool of_another_kind, bool end)
{
    nx_db *other = with_late(f, of_another_kind);
    Item *item;
    Late *late;
    nx_session *s = begin_both(f, false, &item, &late);
    const nx_error *error = FAILS(f, end ? nx_session_end(s, NULL) : nx_commit(s, NULL), NX_EPARTIAL);

    cr_expect_not(error->retryable, "what is committed must not be done again");
    cr_expect_neq(error->outcome, NX_OUTCOME_ROLLED_BACK, "something of it remains");
    cr_expect_neq(error->outcome, NX_OUTCOME_COMMITTED);
    cr_expect_neq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    STORES(f, "SELECT count(*) FROM item", 1);
    cr_expect_eq(late_rows(f, other), 0);
    if (!end) {
        late->n = 1;
        item->n = 5;
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 2);
        cr_expect_eq(late_rows(f, other), 1);
        STORES(f, "SELECT n FROM item", 5);
        OK(f, nx_session_end(s, NULL));
        cr_expect_eq(nx_session_outcome(s), NX_OUTCOME_COMMITTED);
    }
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM item", 1);
    uow_is_free(f, f->db, "item");
    uow_is_free(f, other, "late");
    nx_db_free(other);
}

CASE(uow_outcomes, partial_commit_is_told_and_mended)
{
    second_fails(f, false, false);
}

CASE(uow_outcomes, partial_commit_over_databases_of_two_kinds_is_told_and_mended)
{
    second_fails(f, true, false);
}

CASE(uow_outcomes, partial_end_is_told)
{
    second_fails(f, false, true);
}

CASE(uow_outcomes, partial_end_over_databases_of_two_kinds_is_told)
{
    second_fails(f, true, true);
}

/* The primary fails: nothing is stored anywhere, all is pending. */
static void first_fails(nxt_fixture *f, bool of_another_kind, bool end)
{
    nx_db *other = with_late(f, of_another_kind);
    Item *item;
    Late *late;
    nx_session *s = begin_both(f, true, &item, &late);
    nx_completion c = nx_await(f->loop, end ? nx_session_end(s, NULL) : nx_commit(s, NULL));

    cr_assert_not_null(c.error);
    cr_expect(c.status == NX_ECOMMIT || c.status == NX_EFOREIGNKEY, "%s", nx_status_name(c.status));
    cr_expect_eq(c.error->outcome, NX_OUTCOME_ROLLED_BACK);
    STORES(f, "SELECT count(*) FROM item", 0);
    cr_expect_eq(late_rows(f, other), 0);
    if (!end) {
        late->n = 1;
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 2);
        cr_expect_eq(late_rows(f, other), 1);
        STORES(f, "SELECT count(*) FROM item", 1);
        OK(f, nx_session_end(s, NULL));
    } else {
        cr_expect_eq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    }
    nx_session_free(s);
    uow_is_free(f, f->db, "item");
    uow_is_free(f, other, "late");
    nx_db_free(other);
}

CASE(uow_outcomes, failed_commit_of_the_primary_loses_nothing)
{
    first_fails(f, false, false);
}

CASE(uow_outcomes, failed_commit_of_the_primary_of_another_kind_loses_nothing)
{
    first_fails(f, true, false);
}

CASE(uow_outcomes, failed_end_of_the_primary_rolls_back_both)
{
    first_fails(f, false, true);
}

/* One database, a COMMIT that fails: the flush before it succeeded, and yet all is pending again. */
CASE(uow_outcomes, failed_commit_of_one_database_loses_nothing)
{
    nx_db *other = with_late(f, false);
    nx_session *s = nxt_session(f, NULL);
    Late *late = NEW(s, Late);
    late->id = 1;
    late->n = 99;
    OK(f, nx_flush(s, NULL));
    for (int i = 0; i < 2; i++) {
        nx_completion c = nx_await(f->loop, nx_commit(s, NULL));
        cr_assert_neq(c.status, NX_OK);
        cr_expect_eq(c.error->outcome, NX_OUTCOME_ROLLED_BACK);
        cr_expect_eq(late->n, 99);
        cr_expect_eq(late_rows(f, other), 0);
    }
    late->n = 1;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    late->n = 98;
    cr_expect_neq(nx_await(f->loop, nx_commit(s, NULL)).status, NX_OK);
    cr_expect_eq(late->n, 98, "the value stays and is pending");
    late->n = 1;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 0, "as it is stored");
    CHECK(nx_session_delete(s, late));
    nxt_end(f, s);
    cr_expect_eq(late_rows(f, other), 0);
    nx_db_free(other);
}

/* ----------------------------------------------------------------------------- functions in a session */

typedef struct attempt {
    nxt_fixture *f;
    int calls;
    nx_status with; /* what the function returns */
    int mode;
} attempt;

enum { COMMITS_FIRST, ENDS_ITSELF, SWALLOWS_A_FAILURE, LEAVES_A_NESTED_ONE, WRITES_BOTH, FAILS_ITSELF, LEAVES_AN_OPERATION };

static nx_status work(nx_session *s, void *context)
{
    attempt *a = context;
    Named *named = NEW(s, Named);

    named->id = 10 + a->calls++;
    named->name = nx_str("once");
    if (a->mode == COMMITS_FIRST)
        (void)nx_await(a->f->loop, nx_commit(s, NULL));
    if (a->mode == ENDS_ITSELF)
        (void)nx_await(a->f->loop, nx_session_end(s, NULL));
    if (a->mode == SWALLOWS_A_FAILURE) {
        Named *second = NEW(s, Named);
        second->id = 99;
        second->name = nx_str("once");
        (void)nx_await(a->f->loop, nx_flush(s, NULL));
    }
    if (a->mode == LEAVES_A_NESTED_ONE)
        (void)nx_session_nested(s, NULL);
    if (a->mode == LEAVES_AN_OPERATION)
        (void)nx_flush(s, NULL);
    if (a->mode == WRITES_BOTH) {
        if (nx_await(a->f->loop, nx_flush(s, NULL)).status != NX_OK)
            return NX_EVALUE;
        Late *late = NEW(s, Late);
        late->id = a->calls;
        late->n = 99;
    }
    return a->with;
}

static nx_status run(attempt *a, nx_error *ret_error)
{
    return nx_run_in_session(a->f->loop, &(nx_session_options){ .retry = 3 }, work, a, ret_error);
}

/* A function that commits a part itself may be run again: what it committed meets its own constraint, and stays. */
CASE(uow_outcomes, what_a_function_committed_stays_once)
{
    attempt a = { .f = f, .mode = COMMITS_FIRST, .with = NX_ESERIALIZATION };
    nx_error error;
    uow_map(f, NX_ENTITIES(Named));
    cr_expect_eq(run(&a, &error), NX_ESERIALIZATION);
    STORES(f, "SELECT count(*) FROM named", 1);
    uow_is_free(f, f->db, "named");
}

CASE(uow_outcomes, function_that_ended_its_session_has_done_it_once)
{
    attempt a = { .f = f, .mode = ENDS_ITSELF };
    nx_error error;
    uow_map(f, NX_ENTITIES(Named));
    cr_expect_eq(run(&a, &error), NX_OK);
    cr_expect_eq(a.calls, 1);
    STORES(f, "SELECT count(*) FROM named", 1);
}

CASE(uow_outcomes, failure_that_a_function_swallowed_comes_again_at_its_end)
{
    attempt a = { .f = f, .mode = SWALLOWS_A_FAILURE };
    nx_error error;
    uow_map(f, NX_ENTITIES(Named));
    cr_expect_eq(run(&a, &error), NX_EUNIQUE);
    cr_expect_eq(a.calls, 1);
    STORES(f, "SELECT count(*) FROM named", 0);
    uow_is_free(f, f->db, "named");
}

CASE(uow_outcomes, function_that_leaves_a_nested_session_open_fails_and_stores_nothing)
{
    attempt a = { .f = f, .mode = LEAVES_A_NESTED_ONE };
    nx_error error;
    uow_map(f, NX_ENTITIES(Named));
    cr_expect_neq(run(&a, &error), NX_OK);
    STORES(f, "SELECT count(*) FROM named", 0);
    uow_is_free(f, f->db, "named");
}

CASE(uow_outcomes, operation_that_a_function_left_in_flight_is_part_of_it)
{
    uow_map(f, NX_ENTITIES(Named));
    for (int fails = 0; fails < 2; fails++) {
        attempt a = { .f = f, .mode = LEAVES_AN_OPERATION, .with = fails ? NX_EVALUE : NX_OK };
        nx_error error;
        cr_expect_eq(run(&a, &error), a.with);
        STORES(f, "SELECT count(*) FROM named", fails ? 0 : 1);
        uow_take_the_rest(f);
        uow_do(f, f->db, "DELETE FROM named");
    }
}

CASE(uow_outcomes, function_that_returns_a_failure_stores_nothing)
{
    attempt a = { .f = f, .mode = FAILS_ITSELF, .with = NX_ENOTFOUND };
    nx_error error;
    uow_map(f, NX_ENTITIES(Named));
    cr_expect_eq(run(&a, &error), NX_ENOTFOUND);
    cr_expect_eq(error.status, NX_ENOTFOUND);
    cr_expect_eq(a.calls, 1);
    STORES(f, "SELECT count(*) FROM named", 0);
}

/* What is committed on one database is not done again, whatever kind of failure the other one's COMMIT had. */
CASE(uow_outcomes, partial_commit_of_a_function_is_not_run_again)
{
    static const nx_entity *const late[] = { &Late_entity, NULL };
    uow_map(f, NX_ENTITIES(Named));
    nx_db *other = nxt_database(f, 1, late);
    if (strcmp(f->provider->name, "postgres") == 0) { /* a failure that would be repeated */
        uow_do(f, other,
               "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS "
               "$$ BEGIN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END $$");
        uow_do(f, other,
               "CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED "
               "FOR EACH ROW EXECUTE FUNCTION lose()");
    } else {
        uow_do(f, other, "DROP TABLE late");
        uow_do(f, other, "CREATE TABLE known (id bigint primary key)");
        uow_do(f, other,
               "CREATE TABLE late (id bigint primary key, "
               "n integer NOT NULL REFERENCES known (id) DEFERRABLE INITIALLY DEFERRED)");
    }
    attempt a = { .f = f, .mode = WRITES_BOTH };
    nx_error error;
    cr_expect_eq(run(&a, &error), NX_EPARTIAL);
    cr_expect_eq(a.calls, 1);
    cr_expect_not(error.retryable);
    cr_expect_neq(error.outcome, NX_OUTCOME_ROLLED_BACK);
    STORES(f, "SELECT count(*) FROM named", 1);
    cr_expect_eq(late_rows(f, other), 0);
    nx_db_free(other);
}

/* -------------------------------------------------------------------------------------- lost races */

typedef enum writer { BY_COMMIT, BY_END, BY_SAVE, BY_DELETE } writer;

/* Nothing of a flush that lost a race is stored, also where its COMMIT went with it; and the outcome says so. */
static void lose(nxt_fixture *f, int rows, writer by)
{
    char sql[128];
    nx_op op;

    uow_do(f, f->db, "DELETE FROM stamped");
    for (int i = 1; i <= rows; i++) {
        snprintf(sql, sizeof(sql), "INSERT INTO stamped (id, n, version) VALUES (%d, 1, 1)", i);
        uow_do(f, f->db, sql);
    }
    nx_session *s = by == BY_COMMIT || by == BY_END ? nxt_session(f, NULL) : NULL;
    nx_query *q = s == NULL ? nx_select(f->db, Stamped) : nx_select(s, Stamped);
    nx_completion c = OK(f, nx_fetch_all(nx_order_by(q, nx_asc(Stamped_.id)), NULL));
    uow_do(f, f->db, "UPDATE stamped SET version = 2 WHERE id = 1");
    for (int i = 0; i < rows; i++)
        ((Stamped *)c.rows[i])->n = 7;
    if (s != NULL) {
        NEW(s, Item)->n = 1;
        op = by == BY_COMMIT ? nx_commit(s, NULL) : nx_session_end(s, NULL);
    } else {
        op = by == BY_SAVE ? nx_save(f->db, c.rows[0], NULL) : nx_delete(f->db, c.rows[0], NULL);
    }
    const nx_error *error = FAILS(f, op, NX_EOPTIMISTIC);
    cr_expect_eq(error->object, c.rows[0]);
    cr_expect_eq(error->outcome, by == BY_COMMIT ? error->outcome : NX_OUTCOME_ROLLED_BACK, "outcome %d", (int)error->outcome);
    cr_expect_neq(error->outcome, NX_OUTCOME_COMMITTED);
    if (s != NULL)
        cr_expect_neq(nx_session_outcome(s), NX_OUTCOME_COMMITTED);
    nxt_seen(f, &c);
    nx_session_free(s);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM stamped WHERE n = 1");
    STORES(f, sql, rows);
    STORES(f, "SELECT count(*) FROM item", 0);
}

CASE(uow_outcomes, lost_race_of_a_commit_stores_nothing)
{
    uow_map(f, NX_ENTITIES(Stamped, Item));
    for (int rows = 1; rows <= 5; rows += 2)
        lose(f, rows, BY_COMMIT);
}

CASE(uow_outcomes, lost_race_of_an_end_stores_nothing)
{
    uow_map(f, NX_ENTITIES(Stamped, Item));
    for (int rows = 1; rows <= 5; rows += 2)
        lose(f, rows, BY_END);
}

CASE(uow_outcomes, lost_race_of_a_save_outside_sessions_is_rolled_back)
{
    uow_map(f, NX_ENTITIES(Stamped, Item));
    lose(f, 1, BY_SAVE);
}

CASE(uow_outcomes, lost_race_of_a_deletion_outside_sessions_is_rolled_back)
{
    uow_map(f, NX_ENTITIES(Stamped, Item));
    lose(f, 1, BY_DELETE);
}

/* A failed flush is as if it had not been tried; the next one writes all of it. */
CASE(uow_outcomes, rows_of_a_failed_flush_are_all_pending_still)
{
    uow_map(f, NX_ENTITIES(Named, Item));
    uow_do(f, f->db, "INSERT INTO named (id, name, n) VALUES (1, 'taken', 0), (2, 'gone', 0), (3, 'changed', 0)");
    nx_session *s = nxt_session(f, NULL);
    Named *gone = GET(f, s, Named, 2), *changed = GET(f, s, Named, 3);
    Item *item = NEW(s, Item);
    Named *bad = NEW(s, Named);
    bad->id = 9;
    for (int i = 0; i < 3; i++) {
        bad->name = nx_str(i < 2 ? "taken" : "free");
        if (i == 0)
            CHECK(nx_session_delete(s, gone));
        changed->n = 5;
        if (i < 2) {
            const nx_error *error = FAILS(f, i == 0 ? nx_flush(s, NULL) : nx_commit(s, NULL), NX_EUNIQUE);
            cr_expect_eq(error->object, bad);
            cr_expect_eq(item->id, 0, "not inserted");
        }
    }
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 4);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM named", 3);
    STORES(f, "SELECT n FROM named WHERE id = 3", 5);
    STORES(f, "SELECT count(*) FROM item", 1);
}

/* With changes told by nx_touch: what a failed COMMIT leaves pending is written by the next one. */
CASE(uow_outcomes, touched_row_is_written_after_a_failed_commit)
{
    nx_db *other = with_late(f, false);
    uow_do(f, f->db, "INSERT INTO item (id, n) VALUES (1, 10)");
    nx_session *s = nx_session_begin(f->loop, &(nx_session_options){ .changes = NX_CHANGES_TOUCHED });
    Late *late = NEW(s, Late);
    late->id = 1;
    late->n = 99;
    OK(f, nx_flush(s, NULL));
    Item *item = GET(f, s, Item, 1);
    item->n = 11;
    nx_touch(item);
    OK(f, nx_flush(s, NULL));
    FAILS(f, nx_commit(s, NULL), NX_ECOMMIT);
    cr_expect_eq(nx_session_outcome_of(s, f->db), NX_OUTCOME_ROLLED_BACK);
    cr_expect_eq(item->n, 11);
    late->n = 1;
    OK(f, nx_commit(s, NULL));
    STORES(f, "SELECT n FROM item", 11);
    item->n = 12;
    nx_touch(item);
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(nx_session_outcome_of(s, f->db), NX_OUTCOME_COMMITTED);
    cr_expect_eq(nx_session_outcome_of(s, other), NX_OUTCOME_NONE, "it had no part in the last transaction");
    nxt_end(f, s);
    STORES(f, "SELECT n FROM item", 12);
    cr_expect_eq(late_rows(f, other), 1);
    nx_db_free(other);
}
