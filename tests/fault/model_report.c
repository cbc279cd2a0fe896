/*
 * model_report - see the header.
 */
#include "model_report.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define LEAKS() __lsan_do_recoverable_leak_check()
#else
#define LEAKS() 0
#endif

enum { SECONDS_OF_PROGRAM = 20, SECONDS_OF_PART = 8, SECONDS_OF_SHRINKING = 60, TRIES = 3 };

report *model_report_new(void)
{
    report *to = mmap(NULL, sizeof(*to), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return to == MAP_FAILED ? NULL : to;
}

/* ------------------------------------------------------------------------------------------ one program */

/* SQLite gives the key of a row that is gone out again; whether it is the old row or a new one then, no key could tell. */
static void never_give_keys_again(world *w, int database)
{
    for (int e = 0; e < ENTITIES; e++) {
        char sql[256];

        if (entities[e].database != database || entities[e].key != KEY_AUTO)
            continue;
        snprintf(sql, sizeof(sql),
                 "SELECT replace(sql, 'INTEGER PRIMARY KEY', 'INTEGER PRIMARY KEY AUTOINCREMENT') FROM sqlite_master "
                 "WHERE name = '%s' AND sql NOT LIKE '%%AUTOINCREMENT%%'", entities[e].table);
        nx_completion c = nx_await(w->loop, nx_select_raw(w->db[database], sql, nx_no_args, NULL));
        if (c.status != NX_OK || c.raw->row_count != 1)
            model_fail(w, "open", "%s: %s", entities[e].table, c.status != NX_OK ? c.error->message : "no table");
        char *create = strdup(nx_rows_at(c.raw, 0, 0).text.data);
        nx_seen(w->loop, &c);
        snprintf(sql, sizeof(sql), "DROP TABLE %s", entities[e].table);
        if (nx_await(w->loop, nx_execute(w->db[database], sql, nx_no_args, NULL)).status != NX_OK ||
            nx_await(w->loop, nx_execute(w->db[database], create, nx_no_args, NULL)).status != NX_OK)
            model_fail(w, "open", "%s", create);
        free(create);
    }
}

static void open_databases(world *w)
{
    static const char *const statements[] = { "CREATE TABLE IF NOT EXISTS anchor (id INTEGER PRIMARY KEY)",
                                          "CREATE TABLE IF NOT EXISTS trap (id INTEGER REFERENCES anchor (id) "
                                          "DEFERRABLE INITIALLY DEFERRED)" };
    nx_error error;

    if (nx_loop_open(NULL, &w->loop, &error) != NX_OK)
        model_fail(w, "open", "%s", error.message);
    for (int d = 0; d < DATABASES; d++) {
        w->db[d] = nx_db_new(w->loop, model_mapping(d));
        nx_completion c = nx_await(w->loop, nx_bind(w->db[d], w->place->provider[d], &w->place->options[d], NULL));
        if (c.status == NX_OK)
            c = nx_await(w->loop, nx_generate_mapping(w->db[d], NX_CREATE_TABLES, NULL));
        for (int i = 0; i < 2 && c.status == NX_OK; i++)
            c = nx_await(w->loop, nx_execute(w->db[d], statements[i], nx_no_args, NULL));
        if (c.status != NX_OK)
            model_fail(w, "open", "%s", c.error->message);
        if (strcmp(w->place->provider[d], "sqlite") == 0)
            never_give_keys_again(w, d);
    }
}

static void empty_tables(world *w)
{
    static const char *const sql[] = {
        "UPDATE place SET up_region = NULL, up_num = NULL", "UPDATE word SET next_word = NULL", "UPDATE team SET lead_id = NULL",
        "DELETE FROM item", "DELETE FROM place", "DELETE FROM code", "DELETE FROM word", "DELETE FROM person", "DELETE FROM team",
        "DELETE FROM twig", "DELETE FROM trap"
    };

    if (w->place->kit != NULL)
        model_judge_do(w, 0, "TRUNCATE twig, team, person, place, item, word, code, trap, anchor RESTART IDENTITY");
    else
        for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++)
            model_judge_do(w, 0, sql[i]);
    for (int e = 0; e < ENTITIES; e++) {
        char start[128];

        if (entities[e].key != KEY_AUTO || (entities[e].database == 0 && w->place->kit != NULL))
            continue;
        snprintf(start, sizeof(start), "DELETE FROM sqlite_sequence WHERE name = '%s'", entities[e].table);
        model_judge_do(w, entities[e].database, start);
        snprintf(start, sizeof(start), "INSERT INTO sqlite_sequence VALUES ('%s', %d)", entities[e].table, 2 * OTHERS_KEY);
        model_judge_do(w, entities[e].database, start);
    }
    model_judge_do(w, 1, "DELETE FROM note");
    model_judge_do(w, 1, "DELETE FROM trap");
}

static void remove_files(const place *where)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    char path[256];

    for (int d = 0; d < DATABASES; d++)
        for (int i = 0; i < 3; i++)
            if (where->options[d].path != NULL && where->options[d].path[0] == '/') {
                snprintf(path, sizeof(path), "%s%s", where->options[d].path, ends[i]);
                unlink(path);
            }
}

/* In the child: one program after the other, on the same handles and tables. */
static void run_here(const place *where, program *p, int count, report *to)
{
    world *w = calloc(1, sizeof(*w));

    w->place = where;
    w->report = to;
    w->program = p;
    alarm(SECONDS_OF_PROGRAM);
    remove_files(where);
    open_databases(w);
    model_judges_open(w);
    for (to->done = 0; to->done < count; to->done++) {
        if (to->done > 0)
            model_generate(p, p->seed + 1);
        to->at = 0;
        alarm(to->shrinking ? SECONDS_OF_PART : SECONDS_OF_PROGRAM);
        empty_tables(w);
        model_run(w, p);
    }
    nx_loop_close(w->loop);
    model_judges_close(w);
    free(w);
    if (!to->shrinking && LEAKS() != 0) {
        snprintf(to->rule, sizeof(to->rule), "leak");
        _exit(EXIT_FAILED);
    }
    _exit(0);
}

static void be_quiet(void)
{
    int null = open("/dev/null", O_WRONLY);

    if (null >= 0) {
        dup2(null, STDERR_FILENO);
        dup2(null, STDOUT_FILENO);
    }
}

model_result model_run_apart(const place *where, const program *first, int count, report *to, bool quiet)
{
    program p = *first;
    int status = 0;

    to->rule[0] = to->text[0] = '\0';
    to->trace_size = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return RESULT_SKIPPED;
    if (child == 0) {
        if (quiet)
            be_quiet();
        run_here(where, &p, count, to);
    }
    while (waitpid(child, &status, 0) < 0)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return RESULT_GOOD;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
        return RESULT_SKIPPED;
    if (to->rule[0] == '\0') {
        bool hangs = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
        snprintf(to->rule, sizeof(to->rule), "%s", hangs ? "hang" : "crash");
        snprintf(to->text, sizeof(to->text), "in step %d: %s %d", to->at,
                 WIFSIGNALED(status) ? "signal" : "exit status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    return RESULT_FAILED;
}

/* ------------------------------------------------------------------------------------------ shrinking */

/* Whether it still fails in the same way; what depends on time is tried more than once. */
static bool still_fails(const place *where, const program *p, report *to, const char *rule)
{
    bool by_chance = false;

    for (int i = 0; i < p->count; i++)
        by_chance = by_chance || p->steps[i].fault != FAULT_NONE || p->steps[i].op == OP_FREE;
    for (int i = 0; i < (by_chance ? TRIES : 1) && time(NULL) < to->until; i++)
        if (model_run_apart(where, p, 1, to, true) == RESULT_FAILED && strcmp(to->rule, rule) == 0)
            return true;
    return false;
}

static bool drop_steps(const place *where, program *p, report *to, const char *rule)
{
    bool dropped = false;

    for (int size = p->count / 2; size > 0; size /= 2)
        for (int at = p->count - size; at >= 0 && at < p->count; at -= size) {
            program fewer = *p;
            fewer.count -= size;
            memmove(&fewer.steps[at], &fewer.steps[at + size], (size_t)(fewer.count - at) * sizeof(step));
            if (!still_fails(where, &fewer, to, rule))
                continue;
            *p = fewer;
            dropped = true;
        }
    return dropped;
}

static void simplify_steps(const place *where, program *p, report *to, const char *rule)
{
    for (int i = 0; i < p->count; i++)
        for (int k = 0; k < 6; k++) {
            program simpler = *p;
            step *s = &simpler.steps[i];
            switch (k) {
            case 0: s->fault = s->turns = 0; break;
            case 1: s->queued = false; break;
            case 2: s->turns /= 2; break;
            case 3: s->value = 1; break;
            case 4: s->other = 0; break;
            default: s->column = 0; break;
            }
            if (memcmp(s, &p->steps[i], sizeof(*s)) != 0 && still_fails(where, &simpler, to, rule))
                *p = simpler;
        }
}

void model_shrink(const place *where, program *p, report *to)
{
    char rule[REPORT_RULE];

    memcpy(rule, to->rule, sizeof(rule));
    to->shrinking = true;
    to->until = time(NULL) + SECONDS_OF_SHRINKING;
    while (drop_steps(where, p, to, rule))
        continue;
    simplify_steps(where, p, to, rule);
    while (drop_steps(where, p, to, rule))
        continue;
    to->tracing = true;
    for (int i = 0; i < 4 * TRIES && model_run_apart(where, p, 1, to, true) != RESULT_FAILED; i++)
        continue;
    to->tracing = to->shrinking = false;
    if (to->rule[0] == '\0')
        snprintf(to->rule, sizeof(to->rule), "%s", rule);
}
