/*
 * model_world - a program on its way: the library's handles, our own connections, the model, what is queued, the report.
 *
 * A program runs in a process of its own. What goes wrong is written into the report, which is shared with the process that
 * watches, and ends the process.
 */
#ifndef MODEL_WORLD_H
#define MODEL_WORLD_H

#include <time.h>

#include "model.h"

enum { REPORT_RULE = 32, REPORT_TEXT = 1024, TRACE_SIZE = 1 << 18, NAMES = 256, EXIT_FAILED = 3, EXIT_SKIPPED = 4 };

/* States of a session in which an operation is queued, and what may befall it: for the account of what was tried. */
typedef enum cover_state { COVER_CLEAN, COVER_PENDING, COVER_OPEN, COVER_NESTED, COVER_FAILED, COVER_STATES } cover_state;
typedef enum cover_fault { COVER_CANCEL, COVER_DEADLINE, COVER_CONSTRAINT, COVER_RACE, COVER_COMMIT, COVER_FAULTS } cover_fault;

typedef struct coverage {
    uint64_t state[OP_COUNT_][COVER_STATES];
    uint64_t fault[OP_COUNT_][COVER_FAULTS];
    uint64_t depth[DEPTH];
} coverage;

typedef struct report {
    int done;                  /* programs that are complete */
    int at;                    /* the step that ran last */
    char rule[REPORT_RULE];    /* the promise that was not kept; "" if none */
    char text[REPORT_TEXT];
    coverage coverage;
    bool tracing, shrinking;
    time_t until;              /* shrinking ends */
    size_t trace_size;
    char trace[TRACE_SIZE];
} report;

/* Where a program runs. */
typedef struct place {
    const char *name;
    const char *provider[DATABASES];
    nx_bind_options options[DATABASES];
    bool in_memory;           /* the first database: it has no second connection */
    void *kit;                /* PostgreSQL: its pg_kit */
} place;

typedef struct judge judge;

/* An operation that was queued. */
typedef struct work {
    const step *step;
    model_op op;      /* a flush before a query is work of its own */
    root *root;
    nx_session *session;
    nx_op handle;
    int uid;
    int object;       /* index, or -1 */
    bool was_open, was_expired;
    bool flushes;     /* a query that has to flush first */
} work;

typedef struct world {
    model m;
    const place *place;
    nx_loop *loop;
    nx_db *db[DATABASES];
    judge *judge[DATABASES];
    report *report;
    const program *program;
    work queue[QUEUE];
    int queued;
    int behind; /* of the queue: they have run when the one before them is looked at */
    char declared[NAMES][32]; /* variables of the printed program */
    int declared_count;
} world;

/* The promise `rule` was not kept: the process ends. */
__attribute__((noreturn, format(printf, 3, 4))) void model_fail(world *w, const char *rule, const char *text, ...);
/* A line of the C program that does the same. */
__attribute__((format(printf, 2, 3))) void model_say(world *w, const char *text, ...);

/* model_exec.c */
void model_run(world *w, const program *p);
bool model_writer_is_free(const world *w, const root *r, int database);
nx_session *model_innermost(const root *r);
const char *model_session_name(const world *w, const root *r, int depth, char *buffer);
const char *model_row_name(const world *w, const root *r, int uid, char *buffer);

/* "Type *name" when the variable is new in the printed program, else "name". */
const char *model_declare(world *w, const char *type, const char *name, char *buffer);

/* model_rows.c: steps that need no database; values of members. */
void model_step_rows(world *w, root *r, const step *s);
int32_t model_member(world *w, root *r, const object *o, int column);
int64_t model_auto_key(const object *o, const model_entity *e);
/* The condition for a key; texts and values live until the next call. */
const nx_expr *model_key_condition(const model *m, int uid);
/* As SQL: "id" = 7. */
void model_key_sql(const model *m, int uid, char *buffer, size_t size);
/* As C: a condition, or the values of nx_session_find. */
void model_key_code(const model *m, int uid, bool condition, char *buffer, size_t size);
int model_uid_of_row(world *w, const root *r, const void *row, int entity);
object *model_add_object(world *w, root *r, void *row, int uid, object_state state);
void model_compare(world *w);

/* model_finish.c: writes, and the ends of transactions. */
void model_finish_write(world *w, work *k, const nx_completion *c);
/* The flush in front of a query; false: it failed, and the query with it. */
bool model_flushed_before(world *w, work *k, const nx_completion *c);
void model_finish_rollback(world *w, work *k, const nx_completion *c);
void model_free_session(world *w, root *r, bool all);
void model_roll_back_now(world *w, root *r);
/* An operation that is no flush failed in an open transaction: whether that goes on. */
void model_probe(world *w, root *r, int database);
void model_cover_fault(world *w, const work *k, const nx_completion *c);

/* model_query.c */
bool model_queue_query(world *w, work *k);
void model_finish_query(world *w, work *k, const nx_completion *c);
void model_step_others(world *w, const step *s);

/* model_judge.c: the tables by a connection of our own. */
void model_judges_open(world *w);
void model_judges_close(world *w);
void model_judge_do(world *w, int database, const char *sql);
/* Compare all tables with what is committed; either: the other state that they may have, or NULL. Returns whether it was that. */
bool model_judge_tables(world *w, const tables *either);
/* The same after a COMMIT that nobody waited for: a server may be about it still. */
bool model_judge_late(world *w, const tables *either);

#endif
