/*
 * two_sessions - several sessions on one SQLite file: who waits for whom, who is told what, and that a commit shared by many
 * fails only for those whose fault it is.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "tests/support/test_kit.h"

static uint32_t wait_ms = 5000;

static void make_file(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    snprintf(f->path[number], NXT_PATH_SIZE, "%.100s/%d.db", f->directory, number);
    *ret_options = (nx_bind_options){ .path = f->path[number], .pool_timeout_ms = wait_ms };
}

static void remove_files(nxt_fixture *f)
{
    char command[NXT_PATH_SIZE + 16];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->directory);
    if (system(command) != 0)
        cr_log_warn("%s stays", f->directory);
}

static const nxt_provider sqlite = { .name = "sqlite", .make = make_file, .remove = remove_files };

#define SESSIONS(name) \
    static void name(nxt_fixture *f); \
    Test(two_sessions, name, .timeout = 60) { nxt_run(&sqlite, name); } \
    static void name(nxt_fixture *f)

static Slot *new_slot(nx_session *s, int number)
{
    Slot *slot = nx_new(s, Slot);
    cr_assert_not_null(slot);
    slot->number = number;
    slot->label = nx_str("slot");
    return slot;
}

static int64_t slots(nxt_fixture *f)
{
    return COUNT(f, nx_count(nx_select(f->db, Slot), NULL));
}

/* A connection of somebody else. */
static sqlite3 *foreign(nxt_fixture *f)
{
    sqlite3 *handle = NULL;
    cr_assert_eq(sqlite3_open(f->path[0], &handle), SQLITE_OK);
    cr_assert_eq(sqlite3_busy_timeout(handle, 5000), SQLITE_OK);
    return handle;
}

static void sql(sqlite3 *handle, const char *text)
{
    char *message = NULL;
    cr_assert_eq(sqlite3_exec(handle, text, NULL, NULL, &message), SQLITE_OK, "%s: %s", text, message == NULL ? "" : message);
}

/* ------------------------------------------------------------------------------ group commit */

SESSIONS(many_sessions_of_one_insert_each)
{
    enum { MANY = 200 };
    nx_session *s[MANY];
    nx_op op[MANY];
    const nx_stats *stats;
    nx_stats_clear(f->db);
    for (int i = 0; i < MANY; i++) {
        s[i] = nxt_session(f, NULL);
        new_slot(s[i], i);
        op[i] = nx_session_end(s[i], NULL);
    }
    for (int i = 0; i < MANY; i++) {
        OK(f, op[i]);
        cr_expect_eq(nx_session_outcome(s[i]), NX_OUTCOME_COMMITTED);
        nx_session_free(s[i]);
    }
    cr_expect_eq(slots(f), MANY);
    stats = nx_stats_get(f->db);
    cr_assert_not_null(stats);
    cr_expect_gt(stats->group_commits, 0U, "sessions that wait together share a commit");
    cr_expect_gt(stats->grouped_sessions, stats->group_commits);
}

SESSIONS(one_failing_session_does_not_touch_its_neighbours)
{
    enum { MANY = 30 };
    nx_session *s[MANY];
    nx_op op[MANY];
    for (int i = 0; i < MANY; i++) {
        s[i] = nxt_session(f, NULL);
        new_slot(s[i], i);
        new_slot(s[i], i % 3 == 1 ? i - 1 : i + 1000);
        op[i] = nx_session_end(s[i], NULL);
    }
    int committed = 0;
    for (int i = 0; i < MANY; i++) {
        nx_completion c = nx_await(f->loop, op[i]);
        if (i % 3 == 1) {
            cr_expect_eq(c.status, NX_EUNIQUE, "session %d: %s", i, nx_status_name(c.status));
            cr_expect_eq(nx_session_outcome(s[i]), NX_OUTCOME_ROLLED_BACK);
        } else {
            cr_expect_eq(c.status, NX_OK, "session %d: %s, %s", i, nx_status_name(c.status),
                         c.error == NULL ? "" : c.error->message);
            committed++;
        }
        nx_session_free(s[i]);
    }
    cr_expect_eq(slots(f), 2 * committed);
}

/* A deferred constraint fails at COMMIT, when the savepoints of the group are gone already. */
SESSIONS(deferred_constraint_of_one_session)
{
    OK(f, nx_execute(f->db, "DROP TABLE goods", nx_no_args, NULL));
    OK(f,
       nx_execute(
           f->db,
           "CREATE TABLE goods (id INTEGER PRIMARY KEY, cascading_id INTEGER REFERENCES owner (id) DEFERRABLE INITIALLY DEFERRED,"
           " clearing_id INTEGER, refusing_id INTEGER)",
           nx_no_args, NULL));
    nx_session *s[3];
    nx_op op[3];
    for (int i = 0; i < 3; i++) {
        s[i] = nxt_session(f, NULL);
        if (i == 1)
            nx_set_ref_key(((Goods *)nx_new(s[i], Goods))->cascading, 777);
        else
            new_slot(s[i], i);
        op[i] = nx_session_end(s[i], NULL);
    }
    OK(f, op[0]);
    FAILS(f, op[1], NX_EFOREIGNKEY);
    OK(f, op[2]);
    for (int i = 0; i < 3; i++)
        nx_session_free(s[i]);
    cr_expect_eq(slots(f), 2);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Goods), NULL)), 0);
}

/* The same, when it is a session that holds the writer: its end fails, and says so. */
SESSIONS(commit_that_fails_on_one_of_two_databases)
{
    for (int deferred = 0; deferred < 2; deferred++) {
        static const nx_entity *const first[] = { &Tag_entity, NULL }, *const second[] = { &Bare_entity, NULL };
        nx_db *db[2] = { nxt_database(f, 1 + deferred, first), nxt_database(f, 3, second) };
        OK(f, nx_execute(db[deferred], "CREATE TABLE IF NOT EXISTS c (p INTEGER REFERENCES d (id) DEFERRABLE INITIALLY DEFERRED)",
                         nx_no_args, NULL));
        OK(f, nx_execute(db[deferred], "CREATE TABLE IF NOT EXISTS d (id INTEGER PRIMARY KEY)", nx_no_args, NULL));
        nx_session *s = nxt_session(f, NULL);
        OK(f, nx_session_execute(s, db[0], "INSERT INTO tag (name) VALUES ('x')", nx_no_args, NULL));
        OK(f, nx_session_execute(s, db[1], "INSERT INTO bare DEFAULT VALUES", nx_no_args, NULL));
        OK(f, nx_session_execute(s, db[deferred], "INSERT INTO c VALUES (5)", nx_no_args, NULL));
        const nx_error *error = FAILS(f, nx_session_end(s, NULL), deferred == 0 ? NX_ECOMMIT : NX_EPARTIAL);
        cr_expect_neq(error->message[0], '\0');
        nx_session_free(s);
        nx_completion c = OK(f, nx_select_raw(db[0], "SELECT COUNT(*) FROM tag", nx_no_args, NULL));
        cr_expect_eq(nx_rows_at(c.raw, 0, 0).i64, deferred == 0 ? 0 : 1, "the primary is committed first");
        nxt_seen(f, &c);
        c = OK(f, nx_select_raw(db[1], "SELECT COUNT(*) FROM bare", nx_no_args, NULL));
        cr_expect_eq(nx_rows_at(c.raw, 0, 0).i64, 0);
        nxt_seen(f, &c);
        nx_db_free(db[0]);
        nx_db_free(db[1]);
    }
}

/* --------------------------------------------------------------------------- waiting for the writer */

SESSIONS(open_session_holds_the_writer_others_wait)
{
    nx_session *a = nxt_session(f, NULL), *b = nxt_session(f, NULL);
    new_slot(a, 1);
    OK(f, nx_flush(a, NULL));
    new_slot(b, 2);
    nx_op end = nx_session_end(b, NULL);
    size_t ready = 0;
    CHECK(nx_wait_many(f->loop, 1, 50, &ready));
    cr_expect_eq(ready, 0U, "b waits");
    cr_expect_eq(slots(f), 0, "readers do not");
    OK(f, nx_session_end(a, NULL));
    OK(f, end);
    nx_session_free(a);
    nx_session_free(b);
    cr_expect_eq(slots(f), 2);
}

SESSIONS(waiting_ends_at_the_deadline)
{
    nx_session *a = nxt_session(f, NULL), *b = nxt_session(f, &(nx_session_options){ .deadline_ms = 50 });
    new_slot(a, 1);
    OK(f, nx_flush(a, NULL));
    new_slot(b, 2);
    nx_completion c = nx_await(f->loop, nx_session_end(b, NULL));
    cr_expect(c.status == NX_EDEADLINE || c.status == NX_EBUSY || c.status == NX_EPOOLTIMEOUT, "%s", nx_status_name(c.status));
    nx_session_free(b);
    nxt_end(f, a);
    cr_expect_eq(slots(f), 1);
}

SESSIONS(waiting_can_be_cancelled)
{
    nx_session *a = nxt_session(f, NULL), *b = nxt_session(f, NULL);
    new_slot(a, 1);
    OK(f, nx_flush(a, NULL));
    new_slot(b, 2);
    nx_op end = nx_session_end(b, NULL);
    CHECK(nx_run_once(f->loop, 10));
    CHECK(nx_op_cancel(f->loop, end));
    FAILS(f, end, NX_ECANCELED);
    nx_session_free(b);
    nxt_end(f, a);
    cr_expect_eq(slots(f), 1);
}

SESSIONS(freeing_the_holder_lets_the_others_go_on)
{
    nx_session *a = nxt_session(f, NULL), *b = nxt_session(f, NULL);
    new_slot(a, 1);
    OK(f, nx_flush(a, NULL));
    new_slot(b, 2);
    nx_op end = nx_session_end(b, NULL);
    CHECK(nx_run_once(f->loop, 5));
    nx_session_free(a);
    OK(f, end);
    nx_session_free(b);
    cr_expect_eq(slots(f), 1);
}

SESSIONS(turns_are_fair)
{
    enum { MANY = 20 };
    nx_session *s[MANY];
    nx_op flush[MANY];
    for (int i = 0; i < MANY; i++) {
        s[i] = nxt_session(f, NULL);
        new_slot(s[i], i);
        flush[i] = nx_flush(s[i], NULL);
    }
    for (int i = 0; i < MANY; i++) {
        OK(f, flush[i]);
        nxt_end(f, s[i]);
    }
    cr_expect_eq(slots(f), MANY);
}

SESSIONS(many_readers_while_one_writes)
{
    nxt_posts(f, 200);
    nx_session *s = nxt_session(f, NULL);
    new_slot(s, 1);
    OK(f, nx_flush(s, NULL));
    for (int round = 0; round < 20; round++) {
        nx_op op[30];
        for (int i = 0; i < 30; i++)
            op[i] = nx_count(nx_select(f->db, Post), NULL);
        new_slot(s, 100 + round);
        nx_op flush = nx_flush(s, NULL);
        for (int i = 0; i < 30; i++)
            cr_assert_eq(OK(f, op[i]).count, 200);
        OK(f, flush);
    }
    nxt_end(f, s);
    cr_expect_eq(slots(f), 21);
}

/* ------------------------------------------------------------------------------ somebody else's lock */

SESSIONS(foreign_lock_is_waited_for)
{
    fflush(NULL);
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        sqlite3 *handle = NULL;
        if (sqlite3_open(f->path[0], &handle) != SQLITE_OK ||
            sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
            _exit(1);
        if (write(ready[1], "x", 1) != 1)
            _exit(2);
        tk_pause_ms(200);
        int result = sqlite3_exec(handle, "INSERT INTO slot (number, label) VALUES (500, 'foreign'); COMMIT", NULL, NULL, NULL);
        sqlite3_close(handle);
        _exit(result == SQLITE_OK ? 0 : 3);
    }
    char byte;
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    nx_session *s = nxt_session(f, NULL);
    new_slot(s, 1);
    OK(f, nx_session_end(s, NULL));
    nx_session_free(s);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the other process failed: %d", WEXITSTATUS(status));
    cr_expect_eq(slots(f), 2);
}

SESSIONS(foreign_lock_that_never_ends)
{
    sqlite3 *other = foreign(f);
    sql(other, "BEGIN IMMEDIATE");
    nx_session *s = nxt_session(f, &(nx_session_options){ .deadline_ms = 100 });
    new_slot(s, 1);
    nx_completion c = nx_await(f->loop, nx_session_end(s, NULL));
    cr_expect(c.status == NX_EBUSY || c.status == NX_EDEADLINE, "%s", nx_status_name(c.status));
    cr_assert_not_null(c.error);
    cr_expect(c.error->retryable || c.status == NX_EDEADLINE, "busy may succeed when it is tried again");
    cr_expect_eq(slots(f), 0, "readers go on");
    nx_session_free(s);
    sql(other, "COMMIT");
    sqlite3_close(other);
    Slot *slot = nx_make(f->db, Slot);
    slot->number = 2;
    slot->label = nx_str("afterwards");
    OK(f, nx_save(f->db, slot, NULL));
    cr_expect_eq(slots(f), 1);
}

SESSIONS(foreign_lock_beyond_the_pool_timeout)
{
    wait_ms = 100;
    nx_db *db = nxt_database(f, 1, nxt_entities);
    sqlite3 *other = NULL;
    cr_assert_eq(sqlite3_open(f->path[1], &other), SQLITE_OK);
    sql(other, "BEGIN IMMEDIATE");
    Slot *slot = nx_make(db, Slot);
    slot->number = 1;
    slot->label = nx_str("busy");
    const nx_error *error = FAILS(f, nx_save(db, slot, NULL), NX_EBUSY);
    cr_expect(error->retryable);
    sql(other, "COMMIT");
    OK(f, nx_save(db, slot, NULL));
    sqlite3_close(other);
    nx_db_free(db);
}

static nx_status insert_one(nx_session *s, void *context)
{
    int *calls = context;
    ++*calls;
    Slot *slot = nx_new(s, Slot);
    slot->number = 1;
    slot->label = nx_str("retried");
    return NX_OK;
}

SESSIONS(run_in_session_retries_a_busy_database)
{
    fflush(NULL);
    int ready[2], calls = 0;
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        sqlite3 *handle = NULL;
        if (sqlite3_open(f->path[0], &handle) != SQLITE_OK ||
            sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK || write(ready[1], "x", 1) != 1)
            _exit(1);
        tk_pause_ms(300);
        _exit(sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ? 0 : 2);
    }
    char byte;
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    nx_error error = { 0 };
    nx_status done =
        nx_run_in_session(f->loop, &(nx_session_options){.retry = 50, .deadline_ms = 60000}, insert_one, &calls, &error);
    cr_expect_eq(done, NX_OK, "%s: %s", nx_status_name(done), error.message);
    cr_expect_geq(calls, 1);
    waitpid(child, NULL, 0);
    cr_expect_eq(slots(f), 1);
}

SESSIONS(changes_of_others_are_read)
{
    sqlite3 *other = foreign(f);
    nxt_posts(f, 3);
    sql(other, "UPDATE post SET title = 'changed by others'");
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, "changed by others")), NULL)), 3);
    nx_session *s = nxt_session(f, NULL);
    Post *p = ONE(f, Post, nx_order_by(nx_select(s, Post), nx_asc(Post_.id)));
    sql(other, "DELETE FROM post");
    p->title = nx_str("too late");
    FAILS(f, nx_session_end(s, NULL), NX_EOPTIMISTIC);
    nx_session_free(s);
    sqlite3_close(other);
}

/* The writer's file is whole for others at every moment, and closes without a rest. */
SESSIONS(file_is_sound_afterwards)
{
    nxt_posts(f, 1000);
    OK(f, nx_close(f->db, NULL));
    nx_db_free(f->db);
    sqlite3 *other = foreign(f);
    sqlite3_stmt *check = NULL;
    cr_assert_eq(sqlite3_prepare_v2(other, "PRAGMA integrity_check", -1, &check, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(check), SQLITE_ROW);
    cr_expect_str_eq((const char *)sqlite3_column_text(check, 0), "ok");
    sqlite3_finalize(check);
    sqlite3_close(other);
    f->db = nxt_database(f, 1, nxt_entities);
}

/* ------------------------------------------------------------------------------ options of a binding */

SESSIONS(any_sensible_options)
{
    static const nx_bind_options options[] = {
        { .readers = 1 },
        { .readers = 8, .statements_max = 1 },
        { .synchronous = NX_SYNCHRONOUS_FULL, .group_commit_us = 2000 },
        { .in_flight_max = 1, .statements_max = 2, .readers = 1 },
        { .deadline_ms = 60000, .pool_timeout_ms = 60000 },
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        nx_bind_options o = options[i];
        nx_db *db = nx_db_new(f->loop, nxt_entities);
        snprintf(f->path[1], NXT_PATH_SIZE, "%.100s/options-%zu.db", f->directory, i);
        o.path = f->path[1];
        OK(f, nx_bind(db, "sqlite", &o, NULL));
        OK(f, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
        nx_op op[60];
        Slot *slot[20];
        for (int k = 0; k < 20; k++) {
            slot[k] = nx_make(db, Slot);
            slot[k]->number = k;
            slot[k]->label = nx_str("options");
            op[k] = nx_save(db, slot[k], NULL);
        }
        for (int k = 20; k < 60; k++)
            op[k] = k % 3 == 0 ? nx_count(nx_select(db, Post), NULL)
                               : nx_exists(nx_filter(nx_select(db, Slot), nx_eq(Slot_.number, k)), NULL);
        for (int k = 0; k < 60; k++)
            OK(f, op[k]);
        cr_expect_eq(COUNT(f, nx_count(nx_select(db, Slot), NULL)), 20);
        OK(f, nx_close(db, NULL));
        nx_db_free(db);
    }
}

SESSIONS(default_deadline_of_the_binding)
{
    nx_db *db = nx_db_new(f->loop, nxt_entities);
    OK(f, nx_bind(db, "sqlite", &(nx_bind_options){ .path = f->path[0], .deadline_ms = 30 }, NULL));
    FAILS(f,
          nx_select_raw(
              db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT COUNT(*) FROM n",
              nx_no_args, NULL),
          NX_EDEADLINE);
    nx_db_free(db);
}

SESSIONS(options_beyond_reason)
{
    nx_db *db = nx_db_new(f->loop, nxt_entities);
    nx_completion c = nx_await(f->loop, nx_bind(db, "sqlite", &(nx_bind_options){ .path = f->path[0], .readers = UINT16_MAX,
                                                    .statements_max = UINT32_MAX, .in_flight_max = UINT32_MAX }, NULL));
    cr_expect(c.status == NX_OK || c.status == NX_EINVAL || c.status == NX_ELIMIT, "%s", nx_status_name(c.status));
    nx_db_free(db);
}

/* The application does not look at its loop again: its ROLLBACK has left all the same. */
SESSIONS(freed_session_holds_nobody_up)
{
    nx_session *s = nxt_session(f, NULL);
    new_slot(s, 1);
    OK(f, nx_flush(s, NULL));
    sqlite3 *other = foreign(f);
    nx_session_free(s);
    sql(other, "INSERT INTO slot (number, label) VALUES (2, 'other')");
    sqlite3_close(other);
    cr_assert_eq(slots(f), 1);
}
