/*
 * bad_input - whatever is wrong with what users, files and callers give: a typed error that names the culprit, nothing lost,
 * and a loop that goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

static void make_file(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    snprintf(f->path[number], NXT_PATH_SIZE, "%.100s/%d.db", f->directory, number);
    *ret_options = (nx_bind_options){ .path = f->path[number] };
}

static void remove_files(nxt_fixture *f)
{
    char command[NXT_PATH_SIZE + 16];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->directory);
    if (system(command) != 0)
        cr_log_warn("%s stays", f->directory);
}

static const nxt_provider sqlite = { .name = "sqlite", .make = make_file, .remove = remove_files };

#define BAD(name) \
    static void name(nxt_fixture *f); \
    Test(bad_input, name, .timeout = 60) { nxt_run(&sqlite, name); } \
    static void name(nxt_fixture *f)

/* Bind a path that cannot work; returns the error. The database is freed, the loop goes on. */
static nx_error refuse(nxt_fixture *f, const nx_bind_options *options)
{
    nx_db *db = nx_db_new(f->loop, nxt_entities);
    nx_completion c = nx_await(f->loop, nx_bind(db, "sqlite", options, NULL));
    if (c.status == NX_OK)
        c = nx_await(f->loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    cr_assert_neq(c.status, NX_OK, "%s", options->path == NULL ? "no path" : options->path);
    cr_assert_not_null(c.error);
    nx_error error = *c.error;
    cr_expect_neq(error.message[0], '\0');
    nx_db_free(db);
    return error;
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

/* ----------------------------------------------------------------------------- names and states */

BAD(unknown_field_in_a_text)
{
    const nx_error *error =
        FAILS(f, nx_count(nx_where(nx_select(f->db, Post), "title = 'a' and colour = 1", nx_no_args), NULL), NX_ENOFIELD);
    MENTIONS(error, "colour");
    cr_expect_eq(error->position, 17, "position %d", error->position);
    MENTIONS(FAILS(f, nx_count(nx_where(nx_select(f->db, Post), "author.colour = 1", nx_no_args), NULL), NX_ENOFIELD), "colour");
    MENTIONS(FAILS(f, nx_count(nx_where(nx_select(f->db, Post), "title.name = 1", nx_no_args), NULL), NX_ENOFIELD), "title");
}

BAD(unknown_field_in_an_expression)
{
    FAILS(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(nx_column_of(&Post_entity, "colour"), 1)), NULL), NX_ENOFIELD);
    FAILS(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Tag_.name, "x")), NULL), NX_ENOFIELD);
    FAILS(f, nx_count(nx_filter(nx_select(f->db, Post), NULL), NULL), NX_EINVAL);
    FAILS(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(nx_via(Post_.title, Author_.name), 1)), NULL), NX_ENOFIELD);
    FAILS(f, nx_fetch_all(nx_order_by(nx_select(f->db, Post), nx_asc(Tag_.name)), NULL), NX_ENOFIELD);
    FAILS(f, nx_sum(nx_select(f->db, Post), Tag_.weight, NULL), NX_ENOFIELD);
    cr_expect_neq(nx_await(f->loop, nx_sum(nx_select(f->db, Post), Post_.title, NULL)).status, NX_OK, "no sum of texts");
}

BAD(value_of_a_wrong_type)
{
    MENTIONS(FAILS(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, "many")), NULL), NX_ETYPE), "score");
    nx_completion c = nx_await(f->loop, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 1.5)), NULL));
    cr_expect(c.status == NX_ETYPE || c.status == NX_ERANGE, "%s", nx_status_name(c.status));
    MENTIONS(c.error, "score");
    MENTIONS(FAILS(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, INT64_MAX)), NULL), NX_ERANGE), "score");
    MENTIONS(FAILS(f, nx_count(nx_where(nx_select(f->db, Post), "score = 'many'", nx_no_args), NULL), NX_ETYPE), "score");
}

BAD(syntax_error_gives_its_position)
{
    static const struct { const char *text; int position;
    } wrong[] = {
        {"title = ", 9},
        {"title == 'x'", 8},
        {"title = 'x", 9},
        {"(title = 'x'", 13},
        {"title = 'x')", 12},
        {"and title = 'x'", 1},
        {"title 'x'", 7},
        {"title = ? ?", 11},
        {"title in ()", 11},
        {"title = 'x' or", 15},
        {"title between 1", 16},
        {"title = 'x'; DROP TABLE post", 12},
        {"", 1},
        {"not", 4},
        {"title = 1e", 9},
        {"@", 1},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        nx_completion c = nx_await(f->loop, nx_count(nx_where(nx_select(f->db, Post), wrong[i].text, nx_args("x")), NULL));
        cr_expect_neq(c.status, NX_OK, "\"%s\"", wrong[i].text);
        if (c.status != NX_ESYNTAX)
            continue;
        cr_expect(c.error->position >= wrong[i].position - 1 && c.error->position <= wrong[i].position + 1,
                  "\"%s\": position %d, not %d", wrong[i].text, c.error->position, wrong[i].position);
    }
    const nx_error *error = FAILS(f, nx_count(nx_where(nx_select(f->db, Post), "title = (", nx_no_args), NULL), NX_ESYNTAX);
    cr_expect_gt(error->position, 0);
    error = FAILS(f, nx_select_raw(f->db, "SELECT id FRM post", nx_no_args, NULL), NX_ESYNTAX);
    MENTIONS(error, "post");
    cr_expect_gt(error->position, 0, "the position of a raw statement's mistake");
    MENTIONS(FAILS(f, nx_select_raw(f->db, "SELECT colour FROM post", nx_no_args, NULL), NX_EUNDEFINED), "colour");
    MENTIONS(FAILS(f, nx_execute(f->db, "DELETE FROM nowhere", nx_no_args, NULL), NX_EUNDEFINED), "nowhere");
    FAILS(f, nx_execute(f->db, "UPDATE post SET title = 'x", nx_no_args, NULL), NX_ESYNTAX);
}

BAD(hostile_texts_of_conditions)
{
    enum { DEEP = 100000 };
    char *text = malloc(DEEP * 2 + 32);
    cr_assert_not_null(text);
    memset(text, '(', DEEP);
    strcpy(text + DEEP, "title = 'x'");
    cr_expect_neq(nx_await(f->loop, nx_count(nx_where(nx_select(f->db, Post), text, nx_no_args), NULL)).status, NX_OK);
    for (int i = 0; i < DEEP / 4; i++)
        memcpy(text + 4 * i, "not ", 4);
    strcpy(text + DEEP, "title = 'x'");
    nx_await(f->loop, nx_count(nx_where(nx_select(f->db, Post), text, nx_no_args), NULL));
    free(text);
    cr_expect_neq(nx_await(f->loop, nx_count(nx_where(nx_select(f->db, Post), "title = '\xff\xfe'", nx_no_args), NULL)).status,
                  NX_OK);
    cr_expect_neq(nx_await(f->loop, nx_count(nx_where(nx_select(f->db, Post), NULL, nx_no_args), NULL)).status, NX_OK);
    cr_expect_neq(
        nx_await(f->loop, nx_count(nx_where(nx_select(f->db, Post), "score = 99999999999999999999999", nx_no_args), NULL)).status,
        NX_OK);
    cr_expect_neq(nx_await(f->loop, nx_count(nx_where(nx_select(f->db, Post), "score = ?", nx_no_args), NULL)).status, NX_OK);
    cr_expect_neq(nx_await(f->loop, nx_count(nx_where(nx_select(f->db, Post), "score = ?", nx_args(1, 2)), NULL)).status, NX_OK);
}

BAD(null_arguments)
{
    nx_op op = nx_save(f->db, NULL, NULL);
    cr_expect_neq(nx_await(f->loop, op).status, NX_OK);
    cr_expect_neq(nx_await(f->loop, nx_select_raw(f->db, "SELECT ?", NULL, 1, NULL)).status, NX_OK);
    cr_expect_neq(nx_await(f->loop, nx_count(nx_filter(nx_select(f->db, Post), nx_in_values(Post_.id, NULL, 3)), NULL)).status,
                  NX_OK);
    cr_expect_neq(nx_await(f->loop, nx_drop_table(f->db, NULL, 0, NULL)).status, NX_OK);
    cr_expect_eq(nx_register(f->db, NULL) == NX_OK, false);
    cr_expect_null(nx_make_row(f->db, NULL));
    cr_expect_null(nx_bulk_begin(f->db, NULL, NULL));
}

BAD(options_of_another_kind)
{
    nx_error error = refuse(f, &(nx_bind_options){ .path = "x.db", .host = "localhost" });
    cr_expect_eq(error.status, NX_EINVAL);
    MENTIONS(&error, "host");
    error = refuse(f, &(nx_bind_options){ .path = "x.db", .pool_max = 10 });
    cr_expect_eq(error.status, NX_EINVAL);
    MENTIONS(&error, "pool_max");
    cr_expect_eq(refuse(f, &(nx_bind_options){ 0 }).status, NX_EINVAL);
    cr_expect_eq(refuse(f, &(nx_bind_options){ .path = "" }).status, NX_EINVAL);
    cr_expect_neq(access("x.db", F_OK), 0, "nothing was created");
}

/* Whoever else writes between the look into a table and its DROP would lose a row: both are one transaction. */
typedef struct intruder {
    sqlite3 *other;
    int tried, stored;
} intruder;

static void intrude(void *context, const char *sql, const nx_value *values, size_t count)
{
    intruder *i = context;

    (void)values;
    (void)count;
    if (strstr(sql, "DROP TABLE") == NULL)
        return;
    i->tried++;
    i->stored += sqlite3_exec(i->other, "INSERT INTO post (title, draft) VALUES ('late', 1)", NULL, NULL, NULL) == SQLITE_OK;
}

BAD(nothing_comes_between_a_look_and_its_drop)
{
    intruder i = { .other = NULL };
    cr_assert_eq(sqlite3_open(f->path[0], &i.other), SQLITE_OK);
    nx_set_sql_debug(f->db, intrude, &i, false);
    OK(f, nx_drop_table(f->db, "post", 0, NULL));
    OK(f, nx_drop_all_tables(f->db, 0, NULL));
    nx_set_sql_debug(f->db, NULL, NULL, false);
    cr_expect_gt(i.tried, 1);
    cr_expect_eq(i.stored, 0, "a row was stored in a table that was dropped at once");
    cr_assert_eq(sqlite3_close(i.other), SQLITE_OK);
    OK(f, nx_create_tables(f->db, NULL));
}

BAD(drop_that_is_stopped)
{
    for (int turns = 0; turns < 6; turns++) {
        nx_op op = nx_drop_table(f->db, "slot", 0, NULL);
        for (int t = 0; t < turns; t++)
            CHECK(nx_run_once(f->loop, t == 0 ? 0 : 10));
        nx_status asked = nx_op_cancel(f->loop, op);
        nx_completion c = nx_await(f->loop, op);
        cr_expect(c.status == NX_OK || (c.status == NX_ECANCELED && asked == NX_OK), "%s", nx_status_name(c.status));
        /* Nothing is held: the next one can write, and the table is there or is not. */
        nxt_post(f, "goes on", 1, NULL);
        OK(f, nx_create_tables(f->db, NULL));
        cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 0);
    }
}

/* ------------------------------------------------------------------------------ commits that fail */

/* A reference that is looked at only by COMMIT. */
static void make_owed(nxt_fixture *f, nx_db *db)
{
    OK(f, nx_execute(db,
                     "CREATE TABLE owed (id INTEGER PRIMARY KEY, "
                     "to_id INTEGER REFERENCES author (id) DEFERRABLE INITIALLY DEFERRED)",
                     nx_no_args, NULL));
}

static void owe(nxt_fixture *f, nx_session *s, nx_db *db)
{
    OK(f, nx_session_execute(s, db, "INSERT INTO owed (to_id) VALUES (777)", nx_no_args, NULL));
}

static int64_t rows_of(nxt_fixture *f, nx_db *db, const char *sql)
{
    nx_completion c = OK(f, nx_select_raw(db, sql, nx_no_args, NULL));
    int64_t count = nx_rows_at(c.raw, 0, 0).i64;
    nxt_seen(f, &c);
    return count;
}

BAD(commit_that_fails)
{
    make_owed(f, f->db);
    nx_session *s = nxt_session(f, NULL);
    Post *p = nx_new(s, Post);
    p->title = nx_str("goes down with it");
    owe(f, s, f->db);
    const nx_error *error = FAILS(f, nx_session_end(s, NULL), NX_ECOMMIT);
    MENTIONS(error, "FOREIGN KEY");
    cr_expect_eq(error->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_expect_eq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    cr_expect_eq(rows_of(f, f->db, "SELECT (SELECT count(*) FROM owed) + (SELECT count(*) FROM post)"), 0);

    /* A commit in between: the session goes on after a rollback, and what was pending is pending again. */
    s = nxt_session(f, NULL);
    p = nx_new(s, Post);
    p->title = nx_str("second try");
    owe(f, s, f->db);
    cr_expect_eq(FAILS(f, nx_commit(s, NULL), NX_ECOMMIT)->outcome, NX_OUTCOME_ROLLED_BACK);
    OK(f, nx_rollback(s, NULL));
    nxt_post(f, "somebody else writes", 1, NULL);
    nxt_end(f, s);
    cr_expect_eq(rows_of(f, f->db, "SELECT count(*) FROM owed"), 0);
}

BAD(commit_that_fails_on_one_of_two_databases)
{
    nx_db *other = nxt_database(f, 1, nxt_entities);
    make_owed(f, f->db);
    make_owed(f, other);

    /* The first one fails: nothing is committed anywhere. */
    nx_session *s = nxt_session(f, NULL);
    owe(f, s, f->db);
    OK(f, nx_session_execute(s, other, "INSERT INTO author (name) VALUES ('second')", nx_no_args, NULL));
    cr_expect_eq(FAILS(f, nx_session_end(s, NULL), NX_ECOMMIT)->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_expect_eq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    cr_expect_eq(rows_of(f, f->db, "SELECT count(*) FROM owed"), 0);
    cr_expect_eq(rows_of(f, other, "SELECT count(*) FROM author"), 0);

    /* The second one fails: the first is committed already, and that is said. */
    s = nxt_session(f, NULL);
    OK(f, nx_session_execute(s, f->db, "INSERT INTO author (name) VALUES ('first')", nx_no_args, NULL));
    owe(f, s, other);
    MENTIONS(FAILS(f, nx_session_end(s, NULL), NX_EPARTIAL), "FOREIGN KEY");
    nx_session_free(s);
    cr_expect_eq(rows_of(f, f->db, "SELECT count(*) FROM author"), 1);
    cr_expect_eq(rows_of(f, other, "SELECT count(*) FROM owed"), 0);
    OK(f, nx_execute(other, "INSERT INTO author (name) VALUES ('the writer is free')", nx_no_args, NULL));
    nx_db_free(other);
}

/* ------------------------------------------------------------------------------------ files */

BAD(corrupt_and_foreign_files)
{
    char path[NXT_PATH_SIZE + 16], junk[8192];
    snprintf(path, sizeof(path), "%s/junk.db", f->directory);
    memset(junk, 'j', sizeof(junk));
    write_file(path, junk, sizeof(junk));
    nx_error error = refuse(f, &(nx_bind_options){ .path = path });
    cr_expect_eq(error.status, NX_ECORRUPT, "%s", nx_status_name(error.status));
    MENTIONS(&error, "junk.db");
}

BAD(file_damaged_behind_our_back)
{
    nxt_posts(f, 2000);
    OK(f, nx_close(f->db, NULL));
    FILE *file = fopen(f->path[0], "r+");
    cr_assert_not_null(file);
    char junk[4096];
    memset(junk, 0xA5, sizeof(junk));
    for (long page = 1; page < 200; page++) {
        if (fseek(file, page * 4096, SEEK_SET) != 0 || fwrite(junk, 1, sizeof(junk), file) != sizeof(junk))
            break;
    }
    fclose(file);
    nx_db *db = nx_db_new(f->loop, nxt_entities);
    nx_completion c = nx_await(f->loop, nx_bind(db, "sqlite", &f->options, NULL));
    if (c.status == NX_OK)
        c = nx_await(f->loop, nx_generate_mapping(db, 0, NULL));
    if (c.status == NX_OK)
        c = nx_await(f->loop, nx_fetch_all(nx_select(db, Post), NULL));
    cr_expect_eq(c.status, NX_ECORRUPT, "%s", nx_status_name(c.status));
    nx_db_free(db);
    nx_db_free(f->db);
    f->db = nxt_database(f, 1, nxt_entities);
}

BAD(directory_and_missing_directory)
{
    char path[NXT_PATH_SIZE + 32];
    nx_error error = refuse(f, &(nx_bind_options){ .path = f->directory });
    cr_expect_eq(error.status, NX_EOPEN, "%s", nx_status_name(error.status));
    snprintf(path, sizeof(path), "%s/no/such/place.db", f->directory);
    error = refuse(f, &(nx_bind_options){ .path = path });
    cr_expect_eq(error.status, NX_EOPEN, "%s", nx_status_name(error.status));
    MENTIONS(&error, "place.db");
    snprintf(path, sizeof(path), "%s/absent.db", f->directory);
    error = refuse(f, &(nx_bind_options){ .path = path, .read_only = true });
    cr_expect_eq(error.status, NX_EOPEN, "%s", nx_status_name(error.status));
    cr_expect_neq(access(path, F_OK), 0, "reading only creates nothing");
}

/* In a child that is nobody, since root may read everything. */
static void as_nobody(nxt_fixture *f, const char *path, nx_status a, nx_status b)
{
    (void)f;
    fflush(NULL);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        nx_loop *loop;
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(10);
        if (nx_loop_open(NULL, &loop, NULL) != NX_OK)
            _exit(11);
        nx_db *db = nx_db_new(loop, nxt_entities);
        nx_completion c = nx_await(loop, nx_bind(db, "sqlite", &(nx_bind_options){ .path = path }, NULL));
        if (c.status == NX_OK)
            c = nx_await(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
        if (c.status != a && c.status != b)
            fprintf(stderr, "%s: %s\n", nx_status_name(c.status), c.error == NULL ? "" : c.error->message);
        int code = c.status == a || c.status == b ? 0 : 12;
        code = c.error != NULL && strstr(c.error->message, strrchr(path, '/') + 1) == NULL ? 13 : code;
        nx_loop_close(loop);
        _exit(code);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status), "the child was ended by signal %d", WTERMSIG(status));
    cr_expect_eq(WEXITSTATUS(status), 0, "code %d", WEXITSTATUS(status));
}

BAD(unreadable_file)
{
    char path[NXT_PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s/secret.db", f->directory);
    cr_assert_eq(chmod(f->directory, 0755), 0);
    write_file(path, "", 0);
    cr_assert_eq(chmod(path, 0), 0);
    as_nobody(f, path, NX_EOPEN, NX_EPERMISSION);
}

BAD(read_only_directory)
{
    char path[NXT_PATH_SIZE + 16];
    cr_assert_eq(chmod(f->directory, 0555), 0);
    snprintf(path, sizeof(path), "%s/new.db", f->directory);
    as_nobody(f, path, NX_EOPEN, NX_EREADONLY);
    cr_assert_eq(chmod(f->directory, 0755), 0);
}

BAD(disk_full)
{
    Slot *first = nx_make(f->db, Slot);
    first->number = 1;
    first->label = nx_str("before");
    OK(f, nx_save(f->db, first, NULL));
    struct rlimit limit, old;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 1 << 20;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    size_t size = 4U << 20;
    char *large = malloc(size);
    cr_assert_not_null(large);
    memset(large, 'x', size);
    Slot *slot = nx_make(f->db, Slot);
    slot->number = 2;
    slot->label = nx_strn(large, size);
    nx_completion c = nx_await(f->loop, nx_save(f->db, slot, NULL));
    cr_expect(c.status == NX_EFULL || c.status == NX_EIO, "%s", nx_status_name(c.status));
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 1, "what was there stays, what failed is not there");
    OK(f, nx_save(f->db, slot, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 2);
    free(large);
}

BAD(disk_full_in_the_middle_of_a_bulk_load)
{
    struct rlimit limit, old;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 2 << 20;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, &(nx_bulk_options){ .batch_rows = 1000 });
    nx_status status = NX_OK;
    for (int i = 0; i < 100000 && (status == NX_OK || status == NX_EBUSY);) {
        size_t taken = 0;
        Slot slot = { .number = i, .label = nx_str("a label of some length, so that the file grows quickly enough for a test") };
        status = nx_bulk_rows(bulk, &slot, 1, &taken);
        i += (int)taken;
        if (status == NX_EBUSY)
            nx_await(f->loop, nx_bulk_op(bulk));
    }
    nx_completion c = nx_await(f->loop, nx_bulk_end(bulk, NULL));
    cr_expect(c.status == NX_EFULL || c.status == NX_EIO, "%s", nx_status_name(c.status));
    int64_t loaded = (int64_t)nx_bulk_count(bulk).loaded;
    nx_bulk_free(bulk);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), loaded,
                 "what was said to be loaded is there, and nothing else");
}

/* ----------------------------------------------------------------------------------- values */

BAD(required_field_missing)
{
    Post *p = nx_make(f->db, Post);
    const nx_error *error = FAILS(f, nx_save(f->db, p, NULL), NX_EREQUIRED);
    MENTIONS(error, "Post");
    MENTIONS(error, "title");
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 0);
    p->title = nx_str("");
    OK(f, nx_save(f->db, p, NULL));
}

BAD(text_too_long)
{
    char long_title[203];
    Post *p = nx_make(f->db, Post);
    memset(long_title, 'a', sizeof(long_title));
    p->title = nx_strn(long_title, 201);
    MENTIONS(FAILS(f, nx_save(f->db, p, NULL), NX_ETOOLONG), "title");
    p->title = nx_strn(long_title, 200);
    OK(f, nx_save(f->db, p, NULL));
    p->title = nx_strn(long_title, 202);
    MENTIONS(FAILS(f, nx_save(f->db, p, NULL), NX_ETOOLONG), "title");
}

BAD(texts_that_are_not_utf8)
{
    static const struct { const char *data; size_t size;
    } wrong[] = {
        {"\xff", 1}, {"a\xc3", 2}, {"\xc0\xaf", 2}, {"\xed\xa0\x80", 3}, {"\xf4\x90\x80\x80", 4},
        {"\x80", 1}, {"a\0b", 3},  {"\0", 1},       {"ab\0", 3},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        Post *p = nx_make(f->db, Post);
        p->title = nx_strn(wrong[i].data, wrong[i].size);
        MENTIONS(FAILS(f, nx_save(f->db, p, NULL), NX_EENCODING), "title");
        FAILS(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.title, p->title)), NULL), NX_EENCODING);
        FAILS(f, nx_select_raw(f->db, "SELECT ?", nx_args(p->title), NULL), NX_EENCODING);
        nx_release_row(f->db, p);
    }
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 0);
}

/* What somebody else stored may be anything; it must not break the reader. */
BAD(stored_values_that_do_not_fit)
{
    static const char *const statements[] = {
        "INSERT INTO post (title, draft) VALUES (CAST(x'ff' AS TEXT), 1)",
        "INSERT INTO post (title, draft) VALUES (x'0001ff', 1)",
        "INSERT INTO post (title, score, draft) VALUES ('a', 99999999999, 1)",
        "INSERT INTO post (title, score, draft) VALUES ('a', 'many', 1)",
        "INSERT INTO post (title, draft) VALUES ('a', 17)",
        "INSERT INTO post (title, score, draft) VALUES ('a', 1.5, 1)",
    };
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        nx_completion c = nx_await(f->loop, nx_execute(f->db, statements[i], nx_no_args, NULL));
        if (c.status != NX_OK)
            continue; /* A CHECK of ours may refuse it already. */
        c = nx_await(f->loop, nx_fetch_all(nx_select(f->db, Post), NULL));
        cr_expect(c.status == NX_OK || c.error != NULL);
        if (c.status != NX_OK)
            cr_expect(c.status == NX_ERANGE || c.status == NX_ETYPE || c.status == NX_EENCODING, "%s: %s", statements[i],
                      nx_status_name(c.status));
        nxt_seen(f, &c);
        OK(f, nx_execute(f->db, "DELETE FROM post", nx_no_args, NULL));
    }
}

BAD(number_out_of_range)
{
    Checked *c = nx_make(f->db, Checked);
    c->percent = 101;
    MENTIONS(FAILS(f, nx_save(f->db, c, NULL), NX_ERANGE), "percent");
    Every *e = nx_make(f->db, Every);
    cr_expect_eq(nx_row_set(e, Every_.i16, nx_value_i64(40000)), NX_ERANGE);
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, NULL);
    CHECK(nx_bulk_columns(bulk, (nx_column[]){ Slot_.number, Slot_.label }, 2));
    nx_status status = nx_bulk_values(bulk, nx_args(INT64_MAX, "x"));
    nx_completion end = nx_await(f->loop, nx_bulk_end(bulk, NULL));
    cr_expect(status == NX_ERANGE || end.status == NX_ERANGE, "%s, %s", nx_status_name(status), nx_status_name(end.status));
    nx_bulk_free(bulk);
}

BAD(duplicate_key_names_the_constraint)
{
    nxt_author(f, "taken");
    Author *a = nx_make(f->db, Author);
    a->name = nx_str("taken");
    const nx_error *error = FAILS(f, nx_save(f->db, a, NULL), NX_EUNIQUE);
    cr_expect_str_eq(error->table, "author");
    cr_expect_str_eq(error->column, "name");
    cr_expect_neq(error->server_code, 0);
    cr_expect_not(error->retryable);
}

BAD(check_of_the_database)
{
    OK(f, nx_execute(f->db, "CREATE TABLE even (n INTEGER CHECK (n % 2 = 0))", nx_no_args, NULL));
    FAILS(f, nx_execute(f->db, "INSERT INTO even VALUES (1)", nx_no_args, NULL), NX_ECHECK);
}

BAD(too_many_parameters)
{
    enum { MANY = 65536 };
    char *sql = malloc(MANY * 2 + 64);
    nx_value *values = calloc(MANY * 5, sizeof(*values));
    cr_assert(sql != NULL && values != NULL);
    char *at = stpcpy(sql, "SELECT 1 WHERE 1 IN (");
    for (int i = 0; i < MANY; i++) {
        *at++ = i == 0 ? ' ' : ',';
        *at++ = '?';
        values[i] = nx_value_i64(i);
    }
    strcpy(at, ")");
    nx_completion c = nx_await(f->loop, nx_select_raw(f->db, sql, values, MANY, NULL));
    cr_expect(c.status == NX_OK || c.status == NX_ELIMIT, "%s", nx_status_name(c.status));
    nxt_seen(f, &c);
    free(sql);
    sql = malloc((size_t)MANY * 10 + 64);
    at = stpcpy(sql, "SELECT 1 WHERE 1 IN (");
    for (int i = 0; i < MANY * 5; i++) {
        *at++ = i == 0 ? ' ' : ',';
        *at++ = '?';
        values[i] = nx_value_i64(i);
    }
    strcpy(at, ")");
    FAILS(f, nx_select_raw(f->db, sql, values, MANY * 5, NULL), NX_ELIMIT);
    nxt_posts(f, 10);
    nx_query *q = nx_filter(nx_select(f->db, Post), nx_in_values(Post_.score, values, MANY));
    cr_expect_eq(COUNT(f, nx_count(q, NULL)), 10, "a list has no limit");
    free(sql);
    free(values);
}

BAD(value_of_64_mebibytes)
{
    size_t size = 64U << 20;
    char *large = malloc(size);
    cr_assert_not_null(large);
    memset(large, 'v', size);
    Slot *slot = nx_make(f->db, Slot);
    slot->number = 1;
    slot->label = nx_strn(large, size);
    OK(f, nx_save(f->db, slot, NULL));
    nx_completion c = OK(f, nx_fetch_only(nx_select(f->db, Slot), NULL));
    cr_assert_eq(c.count, 1);
    cr_expect_eq(((Slot *)c.rows[0])->label.size, size);
    cr_expect_eq(memcmp(((Slot *)c.rows[0])->label.data, large, size), 0);
    nxt_seen(f, &c);
    free(large);
}

BAD(value_beyond_what_the_database_takes)
{
    /* SQLite takes 1e9 bytes; the size alone has to be refused, whatever stands there. */
    static const char nothing[1] = "";
    Slot *slot = nx_make(f->db, Slot);
    slot->number = 1;
    slot->label = nx_strn(nothing, 0);
    OK(f, nx_save(f->db, slot, NULL));
    nx_completion c = nx_await(f->loop, nx_select_raw(f->db, "SELECT zeroblob(1100000000)", nx_no_args, NULL));
    cr_expect(c.status == NX_ELIMIT || c.status == NX_ETOOLONG || c.status == NX_ENOMEM, "%s", nx_status_name(c.status));
    nxt_seen(f, &c);
}

/* ----------------------------------------------------------------------------------- results */

BAD(two_rows_for_get)
{
    nxt_posts(f, 4);
    MENTIONS(FAILS(f, nx_get(f->db, Post, nx_eq(Post_.draft, true), NULL), NX_EMULTIPLE), "Post");
    nx_session *s = nxt_session(f, NULL);
    FAILS(f, nx_get(s, Post, nx_eq(Post_.draft, true), NULL), NX_EMULTIPLE);
    nxt_end(f, s);
}

BAD(misuse_of_rows)
{
    nx_session *a = nxt_session(f, NULL), *b = nxt_session(f, NULL);
    Post *p = nx_new(a, Post);
    p->title = nx_str("of a");
    cr_expect_neq(nx_session_delete(b, p), NX_OK, "a row of another session");
    FAILS(f, nx_refresh(b, p, NULL), NX_EINVAL);
    cr_expect_null(nx_session_add(b, p));
    cr_expect_neq(nx_session_delete(a, NULL), NX_OK);
    cr_expect_neq(nx_await(f->loop, nx_load_lazy(p, Post_.title, NULL)).status, NX_OK, "not a lazy field");
    cr_expect_neq(nx_await(f->loop, nx_load_lazy(p, Author_.name, NULL)).status, NX_OK, "not a field of it");
    nxt_end(f, a);
    nxt_end(f, b);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 1);
}

BAD(mistakes_of_bulk_loads)
{
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, NULL);
    cr_expect_neq(nx_bulk_columns(bulk, &Post_.title, 1), NX_OK, "a column of another entity");
    cr_expect_neq(nx_bulk_values(bulk, nx_args(1, "x")), NX_OK, "values before the columns");
    CHECK(nx_bulk_columns(bulk, &Slot_.number, 1));
    cr_expect_neq(nx_bulk_values(bulk, nx_args(1, "x")), NX_OK, "more values than columns");
    nx_bulk_free(bulk);
    bulk = nx_bulk_begin(f->db, &Slot_entity,
                         &(nx_bulk_options){.conflict = NX_CONFLICT_UPDATE, .update = &Post_.title, .update_count = 1});
    if (bulk != NULL) {
        Slot slot = { .number = 1, .label = nx_str("x") };
        size_t taken = 0;
        nx_status status = nx_bulk_rows(bulk, &slot, 1, &taken);
        cr_expect(status != NX_OK || nx_await(f->loop, nx_bulk_end(bulk, NULL)).status != NX_OK);
        nx_bulk_free(bulk);
    }
}
