/*
 * sqlite transactions: a session's transaction over several requests, its savepoints, and what a failed request leaves of it.
 */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>

#include "tests/support/sqlite_kit.h"

Test(sqlite_transactions, an_open_session_holds_the_writer)
{
    kit k;

    kit_open(&k, NULL, false);
    nxi_request *begin = kit_in(kit_insert_owner(&k, "a"), 1, NXI_BEGIN_WRITE, NXI_END_NONE);
    nxi_request *other = kit_whole(kit_insert_owner(&k, "b"), 2),
                *second = kit_in(kit_insert_owner(&k, "c"), 3, NXI_BEGIN_WRITE, NXI_END_NONE);
    kit_serve(&k, KIT_WRITER, begin, other, second, NULL);
    cr_assert(kit_is_finished(&k, KIT_WRITER, other), "a whole transaction need not wait for one that is not open yet");
    cr_assert(kit_is_finished(&k, KIT_WRITER, begin));
    cr_assert(begin->in_transaction);
    cr_assert(!kit_is_finished(&k, KIT_WRITER, second));
    nxi_request *waits = kit_whole(kit_insert_owner(&k, "d"), 4);
    nxi_request *more = kit_in(kit_insert_owner(&k, "e"), 1, NXI_BEGIN_NONE, NXI_END_NONE);
    kit_serve(&k, KIT_WRITER, waits, more, NULL);
    cr_assert(!kit_is_finished(&k, KIT_WRITER, waits));
    cr_assert(kit_is_finished(&k, KIT_WRITER, more));
    cr_assert_eq(kit_owners(&k), 1, "readers see what is committed, and do not wait");
    kit_serve(&k, KIT_WRITER, kit_end(&k, 1, NXI_END_COMMIT), NULL);
    cr_assert(kit_is_finished(&k, KIT_WRITER, waits));
    cr_assert(kit_is_finished(&k, KIT_WRITER, second) && second->in_transaction);
    nxi_request *end = kit_end(&k, 3, NXI_END_ROLLBACK);
    cr_assert_eq(kit_run(&k, KIT_WRITER, end), NX_OK);
    cr_assert_eq(end->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(kit_owners(&k), 4);
    kit_close(&k);
}

Test(sqlite_transactions, waiting_behind_a_session_ends)
{
    kit k;

    kit_open(&k, &(nx_bind_options){ .pool_timeout_ms = 40 }, false);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_in(kit_insert_owner(&k, "a"), 1, NXI_BEGIN_WRITE, NXI_END_NONE)), NX_OK);
    nxi_request *by_timeout = kit_insert_owner(&k, "b"), *by_deadline = kit_insert_owner(&k, "c");
    nxi_request *by_cancel = kit_insert_owner(&k, "d");
    by_deadline->deadline_ns = nxi_clock_ns() + 5000000;
    kit_serve(&k, KIT_WRITER, by_timeout, by_deadline, by_cancel, NULL);
    atomic_store(&by_cancel->stop, NX_ECANCELED);
    kit_serve(&k, KIT_WRITER, NULL);
    cr_assert(kit_is_finished(&k, KIT_WRITER, by_cancel));
    cr_assert_eq(by_cancel->status, NX_ECANCELED);
    kit_serve_until(&k, KIT_WRITER, by_deadline);
    cr_assert_eq(by_deadline->status, NX_EBUSY);
    cr_assert(!kit_is_finished(&k, KIT_WRITER, by_timeout));
    kit_serve_until(&k, KIT_WRITER, by_timeout);
    cr_assert_eq(by_timeout->status, NX_EBUSY);
    cr_assert(by_timeout->error->retryable);
    cr_assert_not_null(strstr(by_timeout->error->message, "session"), "%s", by_timeout->error->message);
    cr_assert_eq(by_timeout->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, 1, NXI_END_COMMIT)), NX_OK);
    cr_assert_eq(kit_owners(&k), 1);
    kit_close(&k);
}

Test(sqlite_transactions, a_failed_statement_leaves_the_transaction_open)
{
    kit k;

    kit_open(&k, NULL, false);
    nxi_request *begin = kit_in(kit_insert_owner(&k, "a"), 1, NXI_BEGIN_WRITE, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_WRITER, begin), NX_OK);
    nxi_request *bad =
        kit_in(kit_execute(&k, "INSERT INTO owner (id, name) VALUES (1, 'x')", NULL, 0), 1, NXI_BEGIN_NONE, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_WRITER, bad), NX_EUNIQUE);
    cr_assert(bad->in_transaction);
    cr_assert_eq(bad->outcome, NX_OUTCOME_NONE);
    /* A commit that comes with a failing step is none. */
    bad = kit_in(kit_execute(&k, "INSERT INTO owner (id, name) VALUES (1, 'x')", NULL, 0), 1, NXI_BEGIN_NONE, NXI_END_COMMIT);
    cr_assert_eq(kit_run(&k, KIT_WRITER, bad), NX_EUNIQUE);
    cr_assert(!bad->in_transaction);
    cr_assert_eq(bad->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(kit_owners(&k), 0);
    kit_close(&k);
}

/* SAVEPOINT 1, these texts, RELEASE 1: in that transaction. */
static nxi_request *guarded(kit *k, uint64_t transaction, const char *first, const char *second)
{
    nxi_request *request = kit_in(kit_request(k, 4), transaction, NXI_BEGIN_NONE, NXI_END_NONE);

    request->steps[0] = (nxi_step){ .kind = NXI_STEP_SAVEPOINT, .level = 1 };
    request->steps[1] = (nxi_step){ .kind = NXI_STEP_EXECUTE, .statement = kit_raw(k, first) };
    request->steps[2] = (nxi_step){ .kind = NXI_STEP_EXECUTE, .statement = kit_raw(k, second) };
    request->steps[3] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = 1 };
    return request;
}

static nxi_request *back_to(kit *k, uint64_t transaction, uint32_t level)
{
    nxi_request *request = kit_in(kit_request(k, 1), transaction, NXI_BEGIN_NONE, NXI_END_NONE);

    request->steps[0] = (nxi_step){ .kind = NXI_STEP_ROLLBACK_TO, .level = level };
    return request;
}

Test(sqlite_transactions, a_request_that_fails_inside_a_transaction_leaves_nothing)
{
    kit k;

    kit_open(&k, NULL, false);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_in(kit_insert_owner(&k, "a"), 1, NXI_BEGIN_WRITE, NXI_END_NONE)), NX_OK);
    nxi_request *good = guarded(&k, 1, "INSERT INTO owner (name) VALUES ('b')", "INSERT INTO owner (name) VALUES ('c')");
    cr_assert_eq(kit_run(&k, KIT_WRITER, good), NX_OK);
    cr_assert_eq(good->steps_done, 4u);
    nxi_request *bad = guarded(&k, 1, "INSERT INTO owner (name) VALUES ('d')", "INSERT INTO owner (id, name) VALUES (1, 'x')");
    cr_assert_eq(kit_run(&k, KIT_WRITER, bad), NX_EUNIQUE);
    cr_assert(bad->in_transaction);
    cr_assert_eq(bad->failed_step, 2u);
    cr_assert_eq(bad->steps_done, 0u);
    cr_assert_neq(kit_run(&k, KIT_WRITER, back_to(&k, 1, 1)), NX_OK, "its savepoint is gone");
    void *rows[3] = { kit_thing(&k, 1, "one"), kit_thing(&k, 2, "two"), kit_thing(&k, 3, "one") };
    bad = kit_in(kit_write(&k, kit_insert(&k, &Thing_entity, NULL), rows, 3), 1, NXI_BEGIN_NONE, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_WRITER, bad), NX_EUNIQUE);
    cr_assert(bad->in_transaction);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, 1, NXI_END_COMMIT)), NX_OK);
    cr_assert_eq(kit_owners(&k), 3);
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT count(*) FROM thing"), 0);
    kit_close(&k);
}

Test(sqlite_transactions, savepoints_are_not_stopped)
{
    kit k;

    kit_open(&k, NULL, false);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_in(kit_insert_owner(&k, "a"), 1, NXI_BEGIN_WRITE, NXI_END_NONE)), NX_OK);
    nxi_request *set = back_to(&k, 1, 1);
    set->steps[0].kind = NXI_STEP_SAVEPOINT;
    set->deadline_ns = 1;
    cr_assert_eq(kit_run(&k, KIT_WRITER, set), NX_OK);
    cr_assert_eq(set->steps_done, 1u);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, 1, NXI_END_ROLLBACK)), NX_OK);
    kit_close(&k);
}

/* Its transaction is about to be opened, and does not end with a request that was stopped behind the one that does. */
Test(sqlite_transactions, stopped_behind_a_transaction_that_is_not_open_yet)
{
    kit k;

    kit_open(&k, NULL, false);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_in(kit_insert_owner(&k, "a"), 1, NXI_BEGIN_WRITE, NXI_END_NONE)), NX_OK);
    nxi_request *opener = kit_in(kit_insert_owner(&k, "b"), 2, NXI_BEGIN_WRITE, NXI_END_NONE);
    nxi_request *second = kit_in(kit_insert_owner(&k, "c"), 2, NXI_BEGIN_NONE, NXI_END_NONE),
                *commit = kit_end(&k, 2, NXI_END_COMMIT);
    kit_serve(&k, KIT_WRITER, opener, second, commit, NULL);
    atomic_store(&second->stop, NX_ECANCELED);
    atomic_store(&commit->stop, NX_ECANCELED);
    kit_serve(&k, KIT_WRITER, NULL);
    cr_assert(kit_is_finished(&k, KIT_WRITER, second));
    cr_assert_eq(second->status, NX_ECANCELED);
    cr_assert(second->in_transaction);
    cr_assert_eq(second->outcome, NX_OUTCOME_NONE);
    cr_assert(!kit_is_finished(&k, KIT_WRITER, commit), "it has to end what will be opened");
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, 1, NXI_END_COMMIT)), NX_OK);
    cr_assert(kit_is_finished(&k, KIT_WRITER, opener));
    cr_assert(kit_is_finished(&k, KIT_WRITER, commit));
    cr_assert_eq(commit->status, NX_ECANCELED);
    cr_assert_eq(commit->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert(!commit->in_transaction);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_whole(kit_insert_owner(&k, "d"), 3)), NX_OK);
    cr_assert_eq(kit_owners(&k), 2);
    kit_close(&k);
}

/*
 * A transaction that meets a lock in the request that has begun it is not left open when that is given up, nor held up for
 * others.
 */
Test(sqlite_transactions, a_beginning_that_is_given_up_before_a_lock)
{
    kit k;

    kit_open(&k, NULL, false);
    sqlite3 *other = kit_open_other(&k);
    kit_other_do(other, "BEGIN IMMEDIATE");
    nxi_request *begin = kit_in(kit_insert_owner(&k, "ours"), 1, NXI_BEGIN_READ, NXI_END_NONE);
    nxi_request *behind = kit_in(kit_query(&k, "SELECT count(*) FROM owner", NULL, 0), 2, NXI_BEGIN_READ, NXI_END_NONE);
    kit_serve(&k, KIT_WRITER, begin, behind, NULL);
    cr_assert(!kit_is_finished(&k, KIT_WRITER, begin));
    atomic_store(&begin->stop, NX_ECANCELED);
    kit_serve(&k, KIT_WRITER, NULL);
    cr_assert(kit_is_finished(&k, KIT_WRITER, begin));
    cr_assert_eq(begin->status, NX_ECANCELED);
    cr_assert(!begin->in_transaction);
    cr_assert_eq(begin->outcome, NX_OUTCOME_ROLLED_BACK);
    kit_serve_until(&k, KIT_WRITER, behind);
    cr_assert_eq(behind->status, NX_OK);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, 2, NXI_END_ROLLBACK)), NX_OK);
    sqlite3_close(other);
    kit_close(&k);
}

/* It goes on behind the lock where it was: nothing is done twice. */
Test(sqlite_transactions, a_savepoint_before_a_lock_is_set_once)
{
    kit k;

    kit_open(&k, NULL, false);
    sqlite3 *other = kit_open_other(&k);
    cr_assert_eq(kit_run(&k, KIT_WRITER,
                         kit_in(kit_query(&k, "SELECT count(*) FROM owner", NULL, 0), 1, NXI_BEGIN_READ, NXI_END_NONE)),
                 NX_OK);
    kit_other_do(other, "BEGIN IMMEDIATE");
    nxi_request *write = guarded(&k, 1, "INSERT INTO owner (name) VALUES ('a')", "INSERT INTO owner (name) VALUES ('b')");
    kit_serve(&k, KIT_WRITER, write, NULL);
    cr_assert(!kit_is_finished(&k, KIT_WRITER, write));
    kit_other_do(other, "ROLLBACK");
    kit_serve_until(&k, KIT_WRITER, write);
    cr_assert_eq(write->status, NX_OK);
    cr_assert_eq(write->steps_done, 4u);
    cr_assert_neq(kit_run(&k, KIT_WRITER, back_to(&k, 1, 1)), NX_OK, "it was released");
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, 1, NXI_END_COMMIT)), NX_OK);
    cr_assert_eq(kit_owners(&k), 2);
    sqlite3_close(other);
    kit_close(&k);
}

Test(sqlite_transactions, a_lost_transaction_is_never_committed)
{
    kit k;

    kit_open(&k, NULL, false);
    kit_do(&k, "CREATE TRIGGER t BEFORE INSERT ON owner WHEN new.name = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'no'); END");
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_in(kit_insert_owner(&k, "a"), 1, NXI_BEGIN_WRITE, NXI_END_NONE)), NX_OK);
    nxi_request *bad = kit_in(kit_insert_owner(&k, "bad"), 1, NXI_BEGIN_NONE, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_WRITER, bad), NX_ECONSTRAINT);
    cr_assert(!bad->in_transaction);
    cr_assert_eq(bad->outcome, NX_OUTCOME_ROLLED_BACK);
    nxi_request *more = kit_in(kit_insert_owner(&k, "b"), 1, NXI_BEGIN_NONE, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_WRITER, more), NX_EABORTED);
    nxi_request *end = kit_end(&k, 1, NXI_END_COMMIT);
    cr_assert_eq(kit_run(&k, KIT_WRITER, end), NX_EABORTED);
    cr_assert_eq(end->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, 1, NXI_END_ROLLBACK)), NX_OK);
    cr_assert_eq(kit_owners(&k), 0);
    kit_close(&k);
}

Test(sqlite_transactions, savepoints_nest)
{
    kit k;

    kit_open(&k, NULL, false);
    nxi_request *request = kit_request(&k, 7);
    static const nxi_step_kind kinds[] = {NXI_STEP_EXECUTE, NXI_STEP_SAVEPOINT, NXI_STEP_EXECUTE, NXI_STEP_ROLLBACK_TO,
                                          NXI_STEP_EXECUTE, NXI_STEP_RELEASE,   NXI_STEP_EXECUTE};
    for (size_t i = 0; i < 7; i++)
        request->steps[i] = (nxi_step){.kind = kinds[i],
                                       .level = 1,
                                       .statement = kit_raw(&k, i == 2 ? "INSERT INTO owner (name) VALUES ('undone')"
                                                                       : "INSERT INTO owner (name) VALUES ('kept')")};
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_whole(request, 1)), NX_OK);
    cr_assert_eq(kit_owners(&k), 3);
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT count(*) FROM owner WHERE name = 'undone'"), 0);
    request = kit_request(&k, 1);
    request->steps[0] = (nxi_step){ .kind = NXI_STEP_SAVEPOINT, .level = 1 };
    cr_assert_eq(kit_run(&k, KIT_WRITER, request), NX_ESTATE);
    kit_close(&k);
}
