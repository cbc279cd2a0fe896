/*
 * model_print - a program that failed as C, and the account of what was tried.
 */
#include "model_report.h"

#include <inttypes.h>
#include <stdio.h>

/* Around every program that is printed: it stands alone but for the library. */
static const char prelude[] =
    "#include <nextorm.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n";
static const char helpers[] =
    "static nx_loop *loop;\n"
    "static nx_db *db0, *db1;\n"
    "static nx_op op, queued[8];\n"
    "static int queued_count, text_count;\n"
    "static void *texts[512];\n"
    "static inline nx_text text(const char *s)\n"
    "{\n"
    "    return nx_str(texts[text_count++] = strdup(s));\n"
    "}\n"
    "#define TEXT(s) text(s)\n"
    "static inline const nx_value *parts(const char *s, int64_t n)\n"
    "{\n"
    "    nx_value *p = texts[text_count++] = malloc(2 * sizeof(*p));\n"
    "    p[0] = nx_value_text(text(s));\n"
    "    p[1] = nx_value_i64(n);\n"
    "    return p;\n"
    "}\n"
    "#define PARTS(s, n) parts(s, n)\n"
    "#define FREE_TEXTS() while (text_count > 0) free(texts[--text_count])\n"
    "static void say(nx_completion c, const char *what)\n"
    "{\n"
    "    printf(\"%s -> %s, count %lld%s%s\\n\", what, nx_status_name(c.status), (long long)c.count,\n"
    "           c.error ? \": \" : \"\", c.error ? c.error->message : \"\");\n"
    "    for (size_t i = 0; c.raw != NULL && i < c.raw->row_count * c.raw->column_count; i++) {\n"
    "        char value[64];\n"
    "        nx_value_format(c.raw->values[i], value, sizeof(value));\n"
    "        printf(\"    %s=%s\", c.raw->names[i % c.raw->column_count], value);\n"
    "        if (i % c.raw->column_count == c.raw->column_count - 1)\n"
    "            printf(\"\\n\");\n"
    "    }\n"
    "    if (c.rows != NULL || c.raw != NULL)\n"
    "        nx_seen(loop, &c);\n"
    "}\n"
    "#define SAY(call) (op = (call), say(nx_await(loop, op), #call))\n"
    "#define QUEUE(call) (queued[queued_count++] = op = (call))\n"
    "#define AWAIT_QUEUED() \\\n"
    "    for (int i = 0; i < queued_count || (queued_count = 0); i++) \\\n"
    "        say(nx_await(loop, queued[i]), \"queued\")\n"
    "#define MUST_BE(call, status) printf(\"%s -> %s\\n\", #call, nx_status_name(call))\n"
    "#define TURNS(n) for (int i = 0; i < (n); i++) (void)nx_run_once(loop, 0)\n"
    "#define OTHERS(d, sql) SAY(nx_execute((d) == 0 ? db0 : db1, sql, nx_no_args, NULL))\n"
    "static nx_db *open_db(const char *provider, nx_bind_options options, const nx_entity *const *entities)\n"
    "{\n"
    "    nx_db *db = nx_db_new(loop, entities);\n"
    "    SAY(nx_bind(db, provider, &options, NULL));\n"
    "    SAY(nx_generate_mapping(db, NX_CREATE_TABLES, NULL));\n"
    "    SAY(nx_execute(db, \"CREATE TABLE anchor (id INTEGER PRIMARY KEY)\", nx_no_args, NULL));\n"
    "    SAY(nx_execute(db, \"CREATE TABLE trap (id INTEGER REFERENCES anchor (id) DEFERRABLE INITIALLY DEFERRED)\",\n"
    "                   nx_no_args, NULL));\n"
    "    return db;\n"
    "}\n"
    "static void show(nx_db *db, const char *table)\n"
    "{\n"
    "    char sql[64];\n"
    "    snprintf(sql, sizeof(sql), \"SELECT * FROM %s\", table);\n"
    "    say(nx_await(loop, nx_select_raw(db, sql, nx_no_args, NULL)), sql);\n"
    "}\n"
    "int main(void)\n"
    "{\n"
    "    unlink(\"model0.db\");\n"
    "    unlink(\"model1.db\");\n"
    "    if (nx_loop_open(NULL, &loop, NULL) != NX_OK)\n"
    "        return 1;\n";

static void print_steps(const program *p)
{
    for (int i = 0; i < p->count; i++) {
        const step *s = &p->steps[i];
        fprintf(stderr, "\n   %s session %d, %s slot %d other %d column %d value %d%s%s", model_op_names[s->op], s->session,
                entities[s->entity].name, s->slot, s->other, s->column, s->value, s->queued ? " queued" : "",
                s->fault == FAULT_NONE ? "" : s->fault == FAULT_CANCEL ? " cancelled" : " late");
    }
}

static void print_open(const place *where, int d)
{
    const nx_bind_options *o = &where->options[d];

    fprintf(stderr, "    db%d = open_db(\"%s\", (nx_bind_options){ ", d, where->provider[d]);
    if (o->path != NULL)
        fprintf(stderr, ".path = \"%s\"", o->path[0] == ':' ? o->path : d == 0 ? "model0.db" : "model1.db");
    else
        fprintf(stderr, ".host = \"%s\", .port = %d, .user = \"%s\", .dbname = \"%s\", .pool_max = 4%s", o->host, o->port,
                o->user, o->dbname, o->pooler == NX_POOLER_TRANSACTION ? ", .pooler = NX_POOLER_TRANSACTION" : "");
    fprintf(stderr, " }, NX_ENTITIES(");
    for (int e = 0, first = 1; e < ENTITIES; e++)
        if (entities[e].database == d) {
            fprintf(stderr, "%s%s", first ? "" : ", ", entities[e].name);
            first = 0;
        }
    fprintf(stderr, "));\n");
}

void model_print(const place *where, const program *p, report *to)
{
    fprintf(stderr, "/* %s, %d steps: %s: %s", where->name, p->count, to->rule, to->text);
    print_steps(p);
    fprintf(stderr, " */\n%s%s%s", prelude, model_entities_text, helpers);
    for (int d = 0; d < DATABASES; d++)
        print_open(where, d);
    fwrite(to->trace, 1, to->trace_size, stderr);
    for (int e = 0; e < ENTITIES; e++)
        fprintf(stderr, "    show(db%d, \"%s\");\n", entities[e].database, entities[e].table);
    fprintf(stderr, "    nx_loop_close(loop);\n    FREE_TEXTS();\n    return 0;\n}\n");
}

/* ------------------------------------------------------------------------------------------ coverage */

void model_coverage_add(coverage *to, const coverage *more)
{
    for (int op = 0; op < OP_COUNT_; op++) {
        for (int i = 0; i < COVER_STATES; i++)
            to->state[op][i] += more->state[op][i];
        for (int i = 0; i < COVER_FAULTS; i++)
            to->fault[op][i] += more->fault[op][i];
    }
    for (int i = 0; i < DEPTH; i++)
        to->depth[i] += more->depth[i];
}

/* Operations that cannot meet that fault or that state. */
static bool is_possible_fault(int op, int fault)
{
    bool writes = op == OP_FLUSH || op == OP_COMMIT || op == OP_END || op == OP_SAVE || op == OP_ERASE;

    switch (fault) {
    case COVER_CONSTRAINT: return writes || op == OP_INSERT || op == OP_UPDATE_ALL || op == OP_DELETE_ALL || op == OP_RAW;
    case COVER_RACE: return writes;
    case COVER_COMMIT: return op == OP_COMMIT || op == OP_END;
    default: return op != OP_LAZY && op != OP_ROLLBACK;
    }
}

static bool is_possible_state(int op, int state)
{
    bool needs_row = op == OP_SAVE || op == OP_INSERT || op == OP_ERASE || op == OP_LAZY || op == OP_GET || op == OP_REFRESH;
    bool needs_write = op == OP_SAVE || op == OP_INSERT;
    bool set_based = op == OP_UPDATE_ALL || op == OP_DELETE_ALL || op == OP_RAW || op == OP_TRAP;

    if (op == OP_COMMIT && state == COVER_NESTED)
        return false;
    if (state == COVER_FAILED)
        return !needs_row && !set_based && op != OP_COUNT;
    if (needs_write && (state == COVER_CLEAN || state == COVER_OPEN))
        return op == OP_SAVE;
    return true;
}

int model_coverage_print(const coverage *c, const place *where)
{
    static const char *const states[] = { "clean", "pending", "open", "nested", "failed" };
    static const char *const faults[] = { "cancel", "deadline", "constraint", "race", "commit" };
    int missing = 0;

    fprintf(stderr, "%s: operation      ", where->name);
    for (int i = 0; i < COVER_STATES; i++)
        fprintf(stderr, " %10s", states[i]);
    for (int i = 0; i < COVER_FAULTS; i++)
        fprintf(stderr, " %10s", faults[i]);
    for (int op = 0; op < OP_COUNT_; op++) {
        if (!model_is_operation((model_op)op))
            continue;
        fprintf(stderr, "\n%s: %-15s", where->name, model_op_names[op]);
        for (int i = 0; i < COVER_STATES; i++) {
            missing += c->state[op][i] == 0 && is_possible_state(op, i);
            fprintf(stderr, " %10" PRIu64, c->state[op][i]);
        }
        for (int i = 0; i < COVER_FAULTS; i++) {
            missing += c->fault[op][i] == 0 && is_possible_fault(op, i);
            fprintf(stderr, " %10" PRIu64, c->fault[op][i]);
        }
    }
    fprintf(stderr, "\n%s: operations by depth: ", where->name);
    for (int i = 0; i < DEPTH; i++) {
        missing += c->depth[i] == 0;
        fprintf(stderr, " %" PRIu64, c->depth[i]);
    }
    fprintf(stderr, "\n");
    return missing;
}
