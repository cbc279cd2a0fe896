/*
 * nextorm-perf-session - what an operation in a session costs, by the number of rows that the session knows.
 *
 *     nextorm-perf-session [--rounds N] [--ops N]
 *
 * SQLite in memory. A session reads so many rows; then it gets a row that it knows, gets one that it does not know, queries
 * another table and that of the rows, saves one changed row, saves many that are queued, and makes and deletes rows one by one.
 * With `compared` the session finds out by comparing what has changed, with `touched` the program says it (nx_touch). Wall time
 * for an operation, in us: medians over the rounds. A number that grows along its line is a cost that grows with the session.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "nextorm.h"

#define PERF_KNOWN(FIELD, E) FIELD(E, PK, i64, id) FIELD(E, REQ, i32, n) FIELD(E, REQ, text, words)
NX_ENTITY(Known, PERF_KNOWN)
#define PERF_BESIDE(FIELD, E) FIELD(E, PK, i64, id) FIELD(E, REQ, i32, n)
NX_ENTITY(Beside, PERF_BESIDE)

typedef enum kind { GET_KNOWN, GET_UNKNOWN, QUERY_BESIDE, QUERY_SAME, SAVE, SAVES_QUEUED, DELETE, KIND_count } kind;
static const char *const kind_names[] = { "get, known", "get, unknown",  "query beside", "query same",
                                          "save",       "saves, queued", "delete" };
static const int64_t sizes[] = { 10, 100, 1000, 10000, 100000 };

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), ROUNDS_MAX = 101, QUEUED = 256, MORE = 100000 };

static nx_loop *loop;
static nx_db *db;

static void fail(const char *what)
{
    fprintf(stderr, "nextorm-perf-session: %s\n", what);
    exit(1);
}

static void done(nx_op op, const char *what)
{
    nx_completion c = nx_await(loop, op);

    if (c.status != NX_OK) {
        fprintf(stderr, "nextorm-perf-session: %s: %s\n", what, c.error->message);
        exit(1);
    }
    if (c.rows != NULL || c.raw != NULL)
        nx_seen(loop, &c);
}

/* Rows 1 .. count are known; those behind MORE are not. */
static nx_session *open_session(int64_t count, bool touched, Known **ret_rows)
{
    nx_session_options options = { .changes = touched ? NX_CHANGES_TOUCHED : NX_CHANGES_COMPARED };
    nx_session *s = nx_session_begin(loop, &options);

    if (s == NULL)
        fail("no session");
    nx_completion c = nx_await(loop, nx_fetch_all(nx_filter(nx_select(s, Known), nx_le(Known_.id, count)), NULL));
    if (c.status != NX_OK || (int64_t)c.count != count)
        fail("the rows cannot be read");
    for (int64_t i = 0; i < count; i++)
        ret_rows[i] = c.rows[i];
    nx_seen(loop, &c);
    return s;
}

static void one(nx_session *s, kind what, int64_t count, Known **rows, int64_t i)
{
    Known *row = rows[i % count];

    switch (what) {
    case GET_KNOWN: done(nx_get(s, Known, nx_eq(Known_.id, row->id), NULL), "get"); break;
    case GET_UNKNOWN: done(nx_get(s, Beside, nx_eq(Beside_.id, i + 1), NULL), "get"); break;
    case QUERY_BESIDE: done(nx_count(nx_filter(nx_select(s, Beside), nx_eq(Beside_.id, i + 1)), NULL), "query"); break;
    case QUERY_SAME: done(nx_count(nx_filter(nx_select(s, Known), nx_eq(Known_.id, i + 1)), NULL), "query"); break;
    case SAVE:
        row->n++;
        nx_touch(row);
        done(nx_save(db, row, NULL), "save");
        break;
    case DELETE: {
        Beside *beside = nx_new(s, Beside);
        done(nx_save(db, beside, NULL), "save");
        done(nx_delete(db, beside, NULL), "delete");
        break;
    }
    case SAVES_QUEUED:
    case KIND_count: break;
    }
}

static void saves(int64_t count, Known **rows, int64_t ops)
{
    nx_op queued[QUEUED];
    int64_t most = count < QUEUED ? count : QUEUED;

    for (int64_t i = 0; i < ops; i += most) {
        for (int64_t k = 0; k < most; k++) {
            Known *row = rows[(i + k) % count];
            row->n++;
            nx_touch(row);
            queued[k] = nx_save(db, row, NULL);
        }
        for (int64_t k = 0; k < most; k++)
            done(queued[k], "save");
    }
}

/* Microseconds of wall time for one operation. */
static double measure(kind what, int64_t count, bool touched, int64_t ops, Known **rows)
{
    nx_session *s = open_session(count, touched, rows);

    if (what >= SAVE) { /* the transaction is open before the time begins */
        rows[0]->n++;
        nx_touch(rows[0]);
        done(nx_flush(s, NULL), "flush");
    }
    perf_clock start = perf_clock_now();
    if (what == SAVES_QUEUED)
        saves(count, rows, ops);
    else
        for (int64_t i = 0; i < ops; i++)
            one(s, what, count, rows, i);
    double us = perf_clock_since(start).wall_s * 1e6 / (double)ops;
    done(nx_rollback(s, NULL), "rollback");
    nx_session_free(s);
    return us;
}

static void fill(void)
{
#define NUMBERS "WITH RECURSIVE k (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 100000) "
    static const char *const texts[] = { "INSERT INTO known (id, n, words) " NUMBERS "SELECT i, 0, 'a few words' FROM k",
                                         "INSERT INTO beside (id, n) " NUMBERS "SELECT i, 0 FROM k" };

    for (size_t i = 0; i < 2; i++)
        done(nx_execute(db, texts[i], nx_no_args, NULL), "fill");
}

static void line(kind what, bool touched, size_t rounds, int64_t ops, Known **rows)
{
    double times[ROUNDS_MAX];

    printf("%-14s %-9s", kind_names[what], touched ? "touched" : "compared");
    for (size_t k = 0; k < SIZES; k++) {
        for (size_t r = 0; r < rounds; r++)
            times[r] = measure(what, sizes[k], touched, ops, rows);
        printf(" %9.2f", perf_median(times, rounds));
        fflush(stdout);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    size_t rounds = 5;
    int64_t ops = 2000;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--rounds") == 0)
            rounds = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--ops") == 0)
            ops = strtol(argv[i + 1], NULL, 10);
    }
    if (rounds == 0 || rounds > ROUNDS_MAX || ops < 1 || ops > MORE)
        fail("usage: nextorm-perf-session [--rounds N] [--ops N]");
    if (nx_loop_open(NULL, &loop, NULL) != NX_OK)
        fail("no loop");
    db = nx_db_new(loop, NX_ENTITIES(Known, Beside));
    done(nx_bind(db, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL), "bind");
    done(nx_generate_mapping(db, NX_CREATE_TABLES, NULL), "mapping");
    fill();
    Known **rows = calloc(MORE, sizeof(*rows));
    if (rows == NULL)
        fail("out of memory");
    printf("%-24s", "us an operation, known:");
    for (size_t k = 0; k < SIZES; k++)
        printf(" %9lld", (long long)sizes[k]);
    printf("\n");
    for (kind what = 0; what < KIND_count; what++)
        for (int touched = 0; touched < 2; touched++)
            line(what, touched == 1, rounds, ops, rows);
    free(rows);
    nx_loop_close(loop);
    return 0;
}
