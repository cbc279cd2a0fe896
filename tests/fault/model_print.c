/*
 * model_print - a program that failed as C, and the account of what was tried.
 */
#include "model_report.h"

#include <inttypes.h>
#include <stdio.h>

/* In front of every program that is printed: it stands alone but for the library. */
static const char prelude[] =
    "#include <nextorm.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n";
static const char helpers[] =
    "static nx_loop *loop;\nstatic nx_op op, queued[8];\nstatic int queued_count, text_count;\nstatic void *texts[512];\n"
    "static nx_text text(const char *s) { char *t = strdup(s); texts[text_count++] = t; return nx_str(t); }\n"
    "#define TEXT(s) text(s)\n"
    "static const nx_value *parts(const char *s, int64_t n) { nx_value *p = malloc(2 * sizeof(*p)); texts[text_count++] = p;\n"
    "    p[0] = nx_value_text(text(s)); p[1] = nx_value_i64(n); return p; }\n"
    "#define PARTS(s, n) parts(s, n)\n"
    "#define FREE_TEXTS() do { while (text_count > 0) free(texts[--text_count]); } while (0)\n"
    "static void say(nx_completion c, const char *what) {\n"
    "    printf(\"%s -> %s, count %lld%s%s\\n\", what, nx_status_name(c.status), (long long)c.count, c.error ? \": \" : \"\", c.error ? c.error->message : \"\");\n"
    "    if (c.rows != NULL || c.raw != NULL) nx_seen(loop, &c); }\n"
    "#define SAY(call) (op = (call), say(nx_await(loop, op), #call))\n#define MUST(call) SAY(call)\n"
    "#define QUEUE(call) (queued[queued_count++] = op = (call))\n"
    "#define AWAIT_QUEUED() for (int i = 0; i < queued_count || (queued_count = 0); i++) say(nx_await(loop, queued[i]), \"queued\")\n"
    "#define MUST_BE(call, status) printf(\"%s -> %s\\n\", #call, nx_status_name(call))\n"
    "#define TURNS(n) for (int i = 0; i < (n); i++) (void)nx_run_once(loop, 0)\n";

void model_print(const place *where, const program *p, report *to)
{
    fprintf(stderr, "/* %s, %d steps: %s: %s", where->name, p->count, to->rule, to->text);
    for (int i = 0; i < p->count; i++) {
        const step *s = &p->steps[i];
        fprintf(stderr, "\n   %s session %d, %s slot %d other %d column %d value %d%s%s", model_op_names[s->op], s->session,
                entities[s->entity].name, s->slot, s->other, s->column, s->value, s->queued ? " queued" : "",
                s->fault == FAULT_NONE ? "" : s->fault == FAULT_CANCEL ? " cancelled" : " late");
    }
    fprintf(stderr, " */\n%s%s%s%.*s\n", prelude, model_entities_text, helpers, (int)to->trace_size, to->trace);
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
