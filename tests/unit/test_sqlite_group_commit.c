/*
 * sqlite group commit: who shares a transaction, who waits, who is told what.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <time.h>

#include "tests/support/sqlite_kit.h"

enum { MANY = 40 };

static int other_number(sqlite3 *other, const char *sql)
{
    sqlite3_stmt *stmt;
    int number;

    cr_assert_eq(sqlite3_prepare_v2(other, sql, -1, &stmt, NULL), SQLITE_OK, "%s", sqlite3_errmsg(other));
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    number = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return number;
}

/* ------------------------------------------------------------------------------ sharing */

static int commits;

static int count_commit(void *context)
{
    (void)context;
    commits++;
    return 0;
}

/* The driver's own connection: the worker's state begins with it. */
static sqlite3 *writer_db(kit *k)
{
    return *(sqlite3 **)k->states[KIT_WRITER];
}

Test(sqlite_group_commit, what_waits_shares_one_commit)
{
    kit k;
    nxi_request *requests[MANY];

    kit_open(&k, NULL, false);
    sqlite3_commit_hook(writer_db(&k), count_commit, NULL);
    commits = 0;
    for (size_t i = 0; i < MANY; i++) {
        requests[i] = kit_whole(kit_insert_owner(&k, "a"), i + 1);
        if (i % 2 == 0)
            requests[i]->transaction = 0, requests[i]->begin = NXI_BEGIN_NONE, requests[i]->end = NXI_END_NONE;
        if (i > 0)
            requests[i - 1]->next = requests[i];
    }
    nxi_driver_sqlite.executor->serve(k.states[KIT_WRITER], requests[0]);
    cr_assert_eq(commits, 1);
    for (size_t i = 0; i < MANY; i++) {
        cr_assert(kit_is_finished(&k, KIT_WRITER, requests[i]));
        cr_assert_eq(requests[i]->status, NX_OK);
        cr_assert_eq(requests[i]->outcome, NX_OUTCOME_COMMITTED);
        cr_assert(!requests[i]->in_transaction);
    }
    cr_assert_eq(kit_owners(&k), MANY);
    kit_close(&k);
}

/* Nobody may be told before the commit. */
static void look_from_outside(nxi_port *port, nxi_request *request)
{
    kit *k = port->context;

    if (request->status == NX_OK)
        cr_assert_eq(kit_number(k, KIT_READER_2, "SELECT count(*) FROM owner"), 2, "acknowledged before it was committed");
}

Test(sqlite_group_commit, answers_come_after_the_commit)
{
    kit k;

    kit_open(&k, NULL, false);
    k.ports[KIT_WRITER].context = &k;
    k.ports[KIT_WRITER].at_finish = look_from_outside;
    kit_serve(&k, KIT_WRITER, kit_whole(kit_insert_owner(&k, "a"), 1), kit_whole(kit_insert_owner(&k, "b"), 2), NULL);
    k.ports[KIT_WRITER].at_finish = NULL;
    cr_assert_eq(kit_owners(&k), 2);
    kit_close(&k);
}

Test(sqlite_group_commit, one_failure_leaves_its_neighbours)
{
    kit k;

    kit_open(&k, NULL, false);
    kit_do(&k, "CREATE UNIQUE INDEX one ON owner (name)");
    nxi_request *a = kit_whole(kit_insert_owner(&k, "a"), 1), *b = kit_whole(kit_insert_owner(&k, "b"), 2);
    nxi_request *same = kit_whole(kit_request(&k, 2), 3);
    nxi_request *c = kit_whole(kit_insert_owner(&k, "c"), 4);
    same->writes = true;
    same->steps[0] =
        (nxi_step){.kind = NXI_STEP_EXECUTE, .statement = kit_raw(&k, "INSERT INTO owner (name) VALUES ('first of two')")};
    same->steps[1] = (nxi_step){ .kind = NXI_STEP_EXECUTE, .statement = kit_raw(&k, "INSERT INTO owner (name) VALUES ('a')") };
    kit_serve(&k, KIT_WRITER, a, b, same, c, NULL);
    cr_assert_eq(a->status, NX_OK);
    cr_assert_eq(b->status, NX_OK);
    cr_assert_eq(c->status, NX_OK);
    cr_assert_eq(same->status, NX_EUNIQUE);
    cr_assert_eq(same->failed_step, 1);
    cr_assert_eq(same->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(kit_owners(&k), 3);
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT count(*) FROM owner WHERE name LIKE 'first%'"), 0);
    kit_close(&k);
}

/* A trigger that rolls the whole transaction back: everybody else runs again and is not affected. */
Test(sqlite_group_commit, a_lost_group_runs_again_one_by_one)
{
    kit k;

    kit_open(&k, NULL, false);
    kit_do(&k, "CREATE TRIGGER t BEFORE INSERT ON owner WHEN new.name = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'no bad ones'); END");
    nxi_request *a = kit_whole(kit_insert_owner(&k, "a"), 1), *bad = kit_whole(kit_insert_owner(&k, "bad"), 2),
                *c = kit_whole(kit_insert_owner(&k, "c"), 3);
    kit_serve(&k, KIT_WRITER, a, bad, c, NULL);
    cr_assert_eq(a->status, NX_OK);
    cr_assert_eq(a->steps[0].affected, 1);
    cr_assert_eq(bad->status, NX_ECONSTRAINT);
    cr_assert_str_eq(bad->error->message, "no bad ones");
    cr_assert_eq(bad->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(c->outcome, NX_OUTCOME_COMMITTED);
    cr_assert_eq(kit_owners(&k), 2);
    kit_close(&k);
}

Test(sqlite_group_commit, a_deferred_foreign_key_fails_alone)
{
    kit k;

    kit_open(&k, NULL, false);
    kit_do(&k, "CREATE TABLE later (o REFERENCES owner (id) DEFERRABLE INITIALLY DEFERRED)");
    nxi_request *a = kit_whole(kit_insert_owner(&k, "a"), 1);
    nxi_request *bad = kit_whole(kit_execute(&k, "INSERT INTO later VALUES (99)", NULL, 0), 2);
    nxi_request *c = kit_whole(kit_insert_owner(&k, "c"), 3);
    kit_serve(&k, KIT_WRITER, a, bad, c, NULL);
    cr_assert_eq(a->status, NX_OK);
    cr_assert_eq(c->status, NX_OK);
    cr_assert_eq(bad->status, NX_EFOREIGNKEY);
    cr_assert_eq(bad->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(kit_owners(&k), 2);
    /* And in a session's own transaction. */
    nxi_request *begin = kit_in(kit_execute(&k, "INSERT INTO later VALUES (98)", NULL, 0), 4, NXI_BEGIN_WRITE, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_WRITER, begin), NX_OK);
    nxi_request *end = kit_end(&k, 4, NXI_END_COMMIT);
    cr_assert_eq(kit_run(&k, KIT_WRITER, end), NX_EFOREIGNKEY);
    cr_assert_eq(end->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert(!end->in_transaction);
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT count(*) FROM later"), 0);
    kit_close(&k);
}

Test(sqlite_group_commit, keys_are_assigned_once_more_when_a_group_runs_again)
{
    kit k;

    kit_open(&k, NULL, false);
    kit_do(&k, "CREATE TRIGGER t BEFORE INSERT ON owner WHEN new.name = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'no'); END");
    Thing *thing = kit_thing(&k, 1, "x");
    nxi_request *write = kit_whole(kit_write(&k, kit_insert(&k, &Thing_entity, NULL), (void *[]){thing}, 1), 1),
                *bad = kit_whole(kit_insert_owner(&k, "bad"), 2);
    kit_serve(&k, KIT_WRITER, write, bad, NULL);
    cr_assert_eq(write->status, NX_OK);
    cr_assert_eq(write->steps[0].affected, 1);
    cr_assert_eq(thing->id, kit_number(&k, KIT_READER, "SELECT id FROM thing"));
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ gathering */

Test(sqlite_group_commit, it_may_wait_for_more)
{
    kit k;

    kit_prepare(&k);
    k.options.group_commit_us = 20000;
    nx_error error;
    cr_assert_eq(kit_open_worker(&k, KIT_WRITER, NXI_ROLE_WRITER, &error), NX_OK);
    nxi_request *create = kit_execute(&k, "CREATE TABLE owner (id INTEGER PRIMARY KEY, name)", NULL, 0);
    kit_serve(&k, KIT_WRITER, create, NULL);
    cr_assert(!kit_is_finished(&k, KIT_WRITER, create), "it did not wait");
    kit_serve_until(&k, KIT_WRITER, create);
    sqlite3_commit_hook(writer_db(&k), count_commit, NULL);
    commits = 0;
    nxi_request *a = kit_insert_owner(&k, "a"), *b = kit_insert_owner(&k, "b");
    kit_serve(&k, KIT_WRITER, a, NULL);
    kit_serve(&k, KIT_WRITER, b, NULL);
    cr_assert(!kit_is_finished(&k, KIT_WRITER, a));
    kit_serve_until(&k, KIT_WRITER, a);
    cr_assert(kit_is_finished(&k, KIT_WRITER, b));
    cr_assert_eq(commits, 1);
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ cancelling */

static void *stop_soon(void *context)
{
    nxi_request *request = context;

    nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
    atomic_store(&request->stop, NX_ECANCELED);
    return NULL;
}

/* SQLite rolls the transaction back when a write is interrupted: the neighbours must not notice. */
Test(sqlite_group_commit, cancelling_a_write_leaves_its_neighbours)
{
    static const char endless[] =
        "INSERT INTO owner (name) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    kit k;
    pthread_t thread;

    kit_open(&k, NULL, false);
    nxi_request *a = kit_whole(kit_insert_owner(&k, "a"), 1), *slow = kit_whole(kit_execute(&k, endless, NULL, 0), 2),
                *c = kit_whole(kit_insert_owner(&k, "c"), 3);
    cr_assert_eq(pthread_create(&thread, NULL, stop_soon, slow), 0);
    kit_serve(&k, KIT_WRITER, a, slow, c, NULL);
    pthread_join(thread, NULL);
    cr_assert_eq(slow->status, NX_ECANCELED);
    cr_assert_eq(slow->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(a->outcome, NX_OUTCOME_COMMITTED);
    cr_assert_eq(c->outcome, NX_OUTCOME_COMMITTED);
    cr_assert_eq(kit_owners(&k), 2);
    /* In an open transaction it is the end of it. */
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_in(kit_insert_owner(&k, "x"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)), NX_OK);
    slow = kit_in(kit_execute(&k, endless, NULL, 0), 5, NXI_BEGIN_NONE, NXI_END_NONE);
    slow->deadline_ns = nxi_clock_ns() + 20000000;
    cr_assert_eq(kit_run(&k, KIT_WRITER, slow), NX_EDEADLINE);
    cr_assert(!slow->in_transaction);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, 5, NXI_END_COMMIT)), NX_EABORTED);
    cr_assert_eq(kit_owners(&k), 2);
    kit_close(&k);
}

Test(sqlite_group_commit, a_cancelled_commit_is_a_rollback_and_a_rollback_cannot_be_cancelled)
{
    kit k;

    kit_open(&k, NULL, false);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_in(kit_insert_owner(&k, "a"), 1, NXI_BEGIN_WRITE, NXI_END_NONE)), NX_OK);
    nxi_request *end = kit_end(&k, 1, NXI_END_COMMIT);
    atomic_store(&end->stop, NX_ECANCELED);
    cr_assert_eq(kit_run(&k, KIT_WRITER, end), NX_ECANCELED);
    cr_assert_eq(end->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert(!end->in_transaction);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_in(kit_insert_owner(&k, "a"), 2, NXI_BEGIN_WRITE, NXI_END_NONE)), NX_OK);
    end = kit_end(&k, 2, NXI_END_ROLLBACK);
    atomic_store(&end->stop, NX_ECANCELED);
    cr_assert_eq(kit_run(&k, KIT_WRITER, end), NX_OK);
    cr_assert_eq(kit_owners(&k), 0);
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ foreign locks */

Test(sqlite_group_commit, a_foreign_lock_is_waited_for)
{
    kit k;

    kit_open(&k, NULL, false);
    sqlite3 *other = kit_open_other(&k);
    kit_other_do(other, "BEGIN IMMEDIATE");
    nxi_request *a = kit_whole(kit_insert_owner(&k, "a"), 1);
    nxi_request *opener = kit_in(kit_insert_owner(&k, "b"), 2, NXI_BEGIN_WRITE, NXI_END_NONE);
    nxi_request *alone = kit_execute(&k, "PRAGMA user_version = 7", NULL, 0);
    kit_serve(&k, KIT_WRITER, a, opener, alone, NULL);
    cr_assert(!kit_is_finished(&k, KIT_WRITER, a));
    cr_assert(!kit_is_finished(&k, KIT_WRITER, opener));
    nxi_request *read = kit_execute(&k, "SELECT 1", NULL, 0);
    cr_assert_eq(kit_run(&k, KIT_WRITER, read), NX_OK, "a read needs no lock");
    kit_other_do(other, "COMMIT");
    kit_serve_until(&k, KIT_WRITER, a);
    kit_serve_until(&k, KIT_WRITER, opener);
    cr_assert_eq(a->status, NX_OK);
    cr_assert_eq(opener->status, NX_OK);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, 2, NXI_END_COMMIT)), NX_OK);
    kit_serve_until(&k, KIT_WRITER, alone);
    cr_assert_eq(alone->status, NX_OK);
    cr_assert_eq(kit_owners(&k), 2);
    sqlite3_close(other);
    kit_close(&k);
}

Test(sqlite_group_commit, a_foreign_lock_that_stays_is_a_busy_error)
{
    kit k;

    kit_open(&k, &(nx_bind_options){ .pool_timeout_ms = 60 }, false);
    sqlite3 *other = kit_open_other(&k);
    kit_other_do(other, "BEGIN IMMEDIATE");
    nxi_request *by_timeout = kit_whole(kit_insert_owner(&k, "a"), 1), *by_deadline = kit_whole(kit_insert_owner(&k, "b"), 2),
                *by_cancel = kit_whole(kit_insert_owner(&k, "c"), 3);
    by_deadline->deadline_ns = nxi_clock_ns() + 10000000;
    kit_serve(&k, KIT_WRITER, by_timeout, by_deadline, by_cancel, NULL);
    atomic_store(&by_cancel->stop, NX_ECANCELED);
    kit_serve(&k, KIT_WRITER, NULL);
    cr_assert_eq(by_cancel->status, NX_ECANCELED);
    kit_serve_until(&k, KIT_WRITER, by_timeout);
    cr_assert(kit_is_finished(&k, KIT_WRITER, by_deadline));
    cr_assert_eq(by_deadline->status, NX_EBUSY);
    cr_assert_eq(by_timeout->status, NX_EBUSY);
    cr_assert_not_null(strstr(by_timeout->error->message, "lock"), "%s", by_timeout->error->message);
    cr_assert_not_null(strstr(by_timeout->error->message, k.path));
    cr_assert_str_eq(by_timeout->error->sqlstate, "55P03");
    cr_assert_lt(by_deadline->done_ns, by_timeout->done_ns);
    kit_other_do(other, "COMMIT");
    kit_do(&k, "INSERT INTO owner (name) VALUES ('z')");
    cr_assert_eq(kit_owners(&k), 1);
    sqlite3_close(other);
    kit_close(&k);
}

Test(sqlite_group_commit, a_stale_read_transaction_may_be_run_again)
{
    kit k;

    kit_open(&k, NULL, false);
    sqlite3 *other = kit_open_other(&k);
    nxi_request *begin = kit_in(kit_query(&k, "SELECT count(*) FROM owner", NULL, 0), 1, NXI_BEGIN_READ, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_WRITER, begin), NX_OK);
    cr_assert(begin->in_transaction);
    kit_other_do(other, "INSERT INTO owner (name) VALUES ('theirs')");
    nxi_request *write = kit_in(kit_insert_owner(&k, "ours"), 1, NXI_BEGIN_NONE, NXI_END_COMMIT);
    cr_assert_eq(kit_run(&k, KIT_WRITER, write), NX_ESERIALIZATION);
    cr_assert(write->error->retryable);
    cr_assert_str_eq(write->error->sqlstate, "40001");
    cr_assert(!write->in_transaction);
    /* A lock that is only held for a while is waited for, also in the middle. */
    begin = kit_in(kit_query(&k, "SELECT count(*) FROM owner", NULL, 0), 2, NXI_BEGIN_READ, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_WRITER, begin), NX_OK);
    kit_other_do(other, "BEGIN IMMEDIATE");
    write = kit_in(kit_insert_owner(&k, "ours"), 2, NXI_BEGIN_NONE, NXI_END_COMMIT);
    kit_serve(&k, KIT_WRITER, write, NULL);
    cr_assert(!kit_is_finished(&k, KIT_WRITER, write));
    kit_other_do(other, "ROLLBACK");
    kit_serve_until(&k, KIT_WRITER, write);
    cr_assert_eq(write->status, NX_OK, "%s", write->error == NULL ? "" : write->error->message);
    cr_assert_eq(kit_owners(&k), 2);
    sqlite3_close(other);
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ outside of transactions */

Test(sqlite_group_commit, what_cannot_run_in_a_transaction_runs_alone)
{
    kit k;

    kit_open(&k, NULL, false);
    nxi_request *a = kit_insert_owner(&k, "a"), *vacuum = kit_execute(&k, "VACUUM", NULL, 0), *b = kit_insert_owner(&k, "b");
    kit_serve(&k, KIT_WRITER, a, vacuum, b, NULL);
    cr_assert_eq(a->status, NX_OK);
    cr_assert_eq(vacuum->status, NX_OK, "%s", vacuum->error == NULL ? "" : vacuum->error->message);
    cr_assert_eq(b->status, NX_OK);
    vacuum = kit_whole(kit_execute(&k, "VACUUM", NULL, 0), 1);
    cr_assert_eq(kit_run(&k, KIT_WRITER, vacuum), NX_ESTATE);
    cr_assert_eq(kit_owners(&k), 2);
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ memory, closing */

Test(sqlite_group_commit, in_memory_everybody_waits_for_an_open_session)
{
    kit k;

    kit_open(&k, NULL, true);
    cr_assert_eq(kit_run(&k, 0, kit_in(kit_insert_owner(&k, "a"), 1, NXI_BEGIN_WRITE, NXI_END_NONE)), NX_OK);
    nxi_request *read = kit_query(&k, "SELECT count(*) FROM owner", NULL, 0);
    kit_serve(&k, 0, read, NULL);
    cr_assert(!kit_is_finished(&k, 0, read), "it would have seen what is not committed");
    nxi_request *own = kit_in(kit_query(&k, "SELECT count(*) FROM owner", NULL, 0), 1, NXI_BEGIN_NONE, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, 0, own), NX_OK);
    cr_assert_eq(own->steps[0].raw.values[0].i64, 1);
    cr_assert_eq(kit_run(&k, 0, kit_end(&k, 1, NXI_END_ROLLBACK)), NX_OK);
    cr_assert(kit_is_finished(&k, 0, read));
    cr_assert_eq(read->steps[0].raw.values[0].i64, 0);
    kit_close(&k);
}

Test(sqlite_group_commit, closing_finishes_what_is_held)
{
    kit k;

    kit_open(&k, NULL, false);
    cr_assert_eq(kit_run(&k, KIT_WRITER, kit_in(kit_insert_owner(&k, "a"), 1, NXI_BEGIN_WRITE, NXI_END_NONE)), NX_OK);
    nxi_request *waits = kit_insert_owner(&k, "b"), *late = kit_in(kit_insert_owner(&k, "c"), 1, NXI_BEGIN_NONE, NXI_END_COMMIT);
    kit_serve(&k, KIT_WRITER, waits, NULL);
    k.ports[KIT_WRITER].stopping = true;
    kit_serve(&k, KIT_WRITER, late, NULL);
    nxi_driver_sqlite.executor->abandon(k.states[KIT_WRITER], NX_ECLOSED);
    cr_assert(kit_is_finished(&k, KIT_WRITER, waits));
    cr_assert(kit_is_finished(&k, KIT_WRITER, late));
    cr_assert_eq(waits->status, NX_ECLOSED);
    cr_assert_eq(late->status, NX_ECLOSED);
    cr_assert_eq(late->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(kit_owners(&k), 0);
    kit_close(&k);
}

/* The log does not grow without end, and checkpoints lose nothing. */
Test(sqlite_group_commit, the_log_is_moved_into_the_file)
{
    kit k;
    char sql[200];

    kit_open(&k, NULL, false);
    kit_do(&k, "CREATE TABLE blob (b)");
    for (int i = 0; i < 20; i++) {
        (void)snprintf(sql, sizeof(sql),
                       "INSERT INTO blob WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT "
                       "zeroblob(4000) FROM n");
        kit_do(&k, sql);
    }
    sqlite3 *other = kit_open_other(&k);
    cr_assert_eq(other_number(other, "SELECT count(*) FROM blob"), 20000);
    cr_assert_eq(other_number(other, "PRAGMA wal_checkpoint"), 0);
    sqlite3_close(other);
    char path[160];
    (void)snprintf(path, sizeof(path), "%s-wal", k.path);
    FILE *log = fopen(path, "rb");
    cr_assert_not_null(log);
    cr_assert_eq(fseek(log, 0, SEEK_END), 0);
    cr_assert_lt(ftell(log), 64L << 20);
    fclose(log);
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ two sessions, at random */

typedef struct model { int64_t committed, mine[2]; bool open[2]; } model;

/* Two sessions that begin, write, fail, commit and roll back in any order, beside whole transactions; counted along. */
Test(sqlite_group_commit, two_sessions_at_random)
{
    kit k;
    model m = { 0 };
    uint64_t state = 7, next_transaction = 0, transaction[2] = { 0 };
    enum { STEPS = 1500 };

    kit_open(&k, NULL, false);
    kit_do(&k, "CREATE TRIGGER t BEFORE INSERT ON owner WHEN new.name = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'no'); END");
    for (int step = 0; step < STEPS; step++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
        unsigned dice = (unsigned)(state >> 40) % 12, who = (unsigned)(state >> 33) & 1;
        bool blocked = m.open[!who];

        if (dice < 3 && !blocked) {
            nxi_request *write = kit_in(kit_insert_owner(&k, "s"), transaction[who], NXI_BEGIN_NONE, NXI_END_NONE);
            if (!m.open[who]) {
                transaction[who] = write->transaction = ++next_transaction;
                write->begin = NXI_BEGIN_WRITE;
            }
            cr_assert_eq(kit_run(&k, KIT_WRITER, write), NX_OK);
            cr_assert(write->in_transaction);
            m.open[who] = true;
            m.mine[who]++;
        } else if (dice < 5 && m.open[who]) {
            nxi_request *end = kit_end(&k, transaction[who], dice == 3 ? NXI_END_COMMIT : NXI_END_ROLLBACK);
            cr_assert_eq(kit_run(&k, KIT_WRITER, end), NX_OK);
            m.committed += dice == 3 ? m.mine[who] : 0;
            m.open[who] = false;
            m.mine[who] = 0;
        } else if (dice == 5 && m.open[who]) {
            nxi_request *bad = kit_in(kit_insert_owner(&k, "bad"), transaction[who], NXI_BEGIN_NONE, NXI_END_NONE);
            cr_assert_eq(kit_run(&k, KIT_WRITER, bad), NX_ECONSTRAINT);
            cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, transaction[who], NXI_END_COMMIT)), NX_EABORTED);
            m.open[who] = false;
            m.mine[who] = 0;
        } else if (dice < 10 && !m.open[0] && !m.open[1]) {
            nxi_request *a = kit_whole(kit_insert_owner(&k, "w"), ++next_transaction),
                        *bad = kit_whole(kit_insert_owner(&k, "bad"), ++next_transaction);
            nxi_request *c = kit_insert_owner(&k, "w"),
                        *d = kit_whole(kit_execute(&k, "INSERT INTO owner (id, name) VALUES (NULL, NULL)", NULL, 0),
                                   ++next_transaction);
            if (dice == 9)
                kit_serve(&k, KIT_WRITER, a, bad, c, d, NULL);
            else
                kit_serve(&k, KIT_WRITER, a, d, c, NULL);
            cr_assert_eq(a->outcome, NX_OUTCOME_COMMITTED);
            cr_assert_eq(c->outcome, NX_OUTCOME_COMMITTED);
            cr_assert_eq(d->status, NX_ENOTNULL);
            m.committed += 2;
        }
        k.ports[KIT_WRITER].finished_count = k.ports[KIT_READER].finished_count = 0;
        cr_assert_eq(kit_owners(&k), m.committed, "step %d", step);
    }
    kit_close(&k);
}
