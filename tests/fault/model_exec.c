/*
 * model_exec - runs a program: step after step, with operations that are queued, awaited later, cancelled or late.
 */
#include "model_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CANCEL_US = 300000 };

void model_fail(world *w, const char *rule, const char *text, ...)
{
    const char *skip = getenv("NX_MODEL_SKIP");
    const char *found = skip == NULL ? NULL : strstr(skip, rule);
    va_list list;

    if (found != NULL && strcspn(found, ",") == strlen(rule) && (found == skip || found[-1] == ','))
        _exit(EXIT_SKIPPED);
    snprintf(w->report->rule, sizeof(w->report->rule), "%s", rule);
    va_start(list, text);
    vsnprintf(w->report->text, sizeof(w->report->text), text, list);
    va_end(list);
    model_say(w, "/* not as it should be: %s: %s */", rule, w->report->text);
    if (w->place->kit != NULL) /* pgbouncer 1.18 ends when a cancel request in flight is cut off (its issue 801) */
        usleep(CANCEL_US);
    _exit(EXIT_FAILED);
}

void model_say(world *w, const char *text, ...)
{
    report *to = w->report;
    va_list list;

    if (!to->tracing || to->trace_size + 1024 > TRACE_SIZE)
        return;
    memset(to->trace + to->trace_size, ' ', 4);
    to->trace_size += 4;
    va_start(list, text);
    int size = vsnprintf(to->trace + to->trace_size, 1000, text, list);
    va_end(list);
    to->trace_size += size > 999 ? 999 : (size_t)size;
    to->trace[to->trace_size++] = '\n';
}

nx_session *model_innermost(const root *r)
{
    return r->session[r->depth - 1];
}

const char *model_session_name(const world *w, const root *r, int depth, char *buffer)
{
    int number = (int)(r - w->m.roots);

    if (depth == 0)
        snprintf(buffer, 16, "s%d", number);
    else
        snprintf(buffer, 16, "s%d_%d", number, depth);
    return buffer;
}

const char *model_row_name(const world *w, const root *r, int uid, char *buffer)
{
    snprintf(buffer, 32, "%s%d_%d", model_entity_of(&w->m, uid)->table, uid, (int)(r - w->m.roots));
    return buffer;
}

const char *model_declare(world *w, const char *type, const char *name, char *buffer)
{
    for (int i = 0; i < w->declared_count; i++)
        if (strcmp(w->declared[i], name) == 0)
            return name;
    if (w->declared_count < NAMES)
        snprintf(w->declared[w->declared_count++], sizeof(w->declared[0]), "%s", name);
    snprintf(buffer, 64, "%s *%s", type, name);
    return buffer;
}

bool model_writer_is_free(const world *w, const root *r, int database)
{
    for (int i = 0; i < ROOTS; i++)
        if (&w->m.roots[i] != r && w->m.roots[i].depth > 0 && w->m.roots[i].open[database])
            return false;
    return true;
}

/* ------------------------------------------------------------------------------------------ coverage */

static void cover(world *w, const work *k)
{
    coverage *to = &w->report->coverage;
    const root *r = k->root;
    bool open = r->open[0] || r->open[1];

    to->state[k->op][r->aborted                           ? COVER_FAILED
                     : model_has_pending(&w->m, r)        ? COVER_PENDING
                     : open                               ? COVER_OPEN
                                                          : COVER_CLEAN]++;
    if (r->depth > 1)
        to->state[k->op][COVER_NESTED]++;
    to->depth[r->depth - 1]++;
}

/* ------------------------------------------------------------------------------------------ completions */

static void apply_fault(world *w, const work *k)
{
    const step *s = k->step;

    if (s->fault == FAULT_NONE)
        return;
    for (int i = 0; i < s->turns; i++) {
        nx_status status = nx_run_once(w->loop, 0);
        if (status != NX_OK)
            model_fail(w, "loop", "nx_run_once: %s", nx_status_name(status));
        if (i % 3 == 2)
            usleep(50);
    }
    model_say(w, "TURNS(%d); (void)%s;", s->turns,
              s->fault == FAULT_CANCEL ? "nx_op_cancel(loop, op)" : "nx_op_deadline(loop, op, 1)");
    nx_status status = s->fault == FAULT_CANCEL ? nx_op_cancel(w->loop, k->handle) : nx_op_deadline(w->loop, k->handle, 1);
    if (status != NX_OK && status != NX_ESTALE)
        model_fail(w, "loop", "cancel: %s", nx_status_name(status));
}

static void finish(world *w, work *k)
{
    nx_completion c = nx_await(w->loop, k->handle);
    bool is_held = c.rows != NULL || c.raw != NULL;

    model_say(w, "/* %s: %s, count %lld%s%s */", model_op_names[k->op], nx_status_name(c.status), (long long)c.count,
              c.error == NULL ? "" : ": ", c.error == NULL ? "" : c.error->message);
    switch ((int)k->op) {
    case OP_FLUSH:
    case OP_COMMIT:
    case OP_END:
    case OP_SAVE:
    case OP_INSERT:
    case OP_ERASE: model_finish_write(w, k, &c); break;
    case OP_ROLLBACK: model_finish_rollback(w, k, &c); break;
    default: model_finish_query(w, k, &c); break;
    }
    if (is_held)
        nx_seen(w->loop, &c);
}

static void drain(world *w)
{
    for (int i = 0; i < w->queued; i++)
        apply_fault(w, &w->queue[i]);
    if (w->queued > 1 || (w->queued == 1 && w->queue[0].step->queued))
        model_say(w, "AWAIT_QUEUED();");
    int disturbed = w->queued > 0 ? w->queue[0].root->disturbed : 0;
    for (int i = 0; i < w->queued; i++) {
        work *k = &w->queue[i];
        w->behind = w->queued - 1 - i;
        if (k->root->disturbed == disturbed) {
            finish(w, k);
            continue;
        }
        nx_completion c = nx_await(w->loop, k->handle); /* what it did is undone already */
        if (c.rows != NULL || c.raw != NULL)
            nx_seen(w->loop, &c);
    }
    w->queued = 0;
    model_compare(w);
}

/* ------------------------------------------------------------------------------------------ operations */

/* Whether all that the operation may write is not another session's at the moment. */
static bool is_possible(const world *w, const root *r, const step *s)
{
    bool touches[DATABASES] = { false };

    for (int i = 0; i < r->now.count; i++)
        if (model_is_pending(&w->m, &r->now.objects[i]))
            touches[model_entity_of(&w->m, r->now.objects[i].uid)->database] = true;
    if (s->op == OP_TRAP)
        touches[s->value & 1] = true;
    bool writes_at_once = s->op == OP_SAVE || s->op == OP_INSERT || s->op == OP_ERASE || s->op == OP_RAW ||
                          s->op == OP_UPDATE_ALL || s->op == OP_DELETE_ALL;
    if (writes_at_once || (w->place->in_memory && s->op != OP_ROLLBACK))
        touches[entities[s->entity].database] = true;
    if (w->place->in_memory && s->op != OP_ROLLBACK)
        touches[0] = true;
    for (int d = 0; d < DATABASES; d++)
        if (touches[d] && !model_writer_is_free(w, r, d))
            return false;
    return true;
}

/* Everything that is pending is of that entity, and refers to nothing new of another: a query of it has to flush all. */
static bool is_all_of(world *w, root *r, int entity)
{
    for (int i = 0; i < r->now.count; i++) {
        const object *o = &r->now.objects[i];
        if (!model_is_pending(&w->m, o))
            continue;
        if (w->m.entity_of[o->uid] != entity)
            return false;
        for (int c = 0; c < entities[entity].column_count; c++) {
            const model_column *column = &entities[entity].columns[c];
            if (column->kind == COL_REF && column->target != entity && o->v.c[c] != NONE) {
                const object *target = model_object_of_uid(r, o->v.c[c]);
                if (target != NULL && target->state == OBJ_NEW)
                    return false;
            }
        }
    }
    return true;
}

/* The flush before that operation has to write all that is pending, and whether it failed can be told from the operation. */
static bool flushes_all(world *w, root *r, const step *s)
{
    plan *p = malloc(sizeof(*p));
    model_plan(&w->m, r, NULL, p);
    bool hazard = p->hazard;
    free(p);
    for (int i = 0; (s->op == OP_RAW || s->op == OP_TRAP) && i < r->now.count; i++) {
        int database = model_entity_of(&w->m, r->now.objects[i].uid)->database;
        if (model_is_pending(&w->m, &r->now.objects[i]) &&
            database != (s->op == OP_TRAP ? s->value & 1 : entities[s->entity].database))
            return false;
    }
    if (s->op == OP_RAW || s->op == OP_TRAP)
        return !hazard;
    return is_all_of(w, r, s->entity);
}

static bool has_new_targets(world *w, root *r, const object *o)
{
    const model_entity *e = model_entity_of(&w->m, o->uid);

    for (int c = 0; c < e->column_count; c++) {
        if (e->columns[c].kind != COL_REF || o->v.c[c] == NONE)
            continue;
        const object *target = model_object_of_uid(r, o->v.c[c]);
        if (target != NULL && target != o && target->state == OBJ_NEW)
            return true;
    }
    return false;
}

static bool queue_row_write(world *w, work *k)
{
    object *o = model_object(&w->m, k->root, k->step->entity, k->step->slot);
    const char *how = k->step->queued ? "QUEUE" : "SAY";
    int d = entities[k->step->entity].database;
    char row[32];

    if (o == NULL || o->state == OBJ_DELETING || model_key_is_anothers(&w->m, model_view(&w->m, k->root, d), o->uid) ||
        has_new_targets(w, k->root, o) ||
        (k->op != OP_SAVE && k->op != OP_ERASE && o->state != OBJ_NEW))
        return false;
    if (k->op == OP_ERASE) {
        if (o->state != OBJ_STORED)
            return false;
        for (int i = 0; i < k->root->now.count; i++)
            if (&k->root->now.objects[i] != o && model_is_pending(&w->m, &k->root->now.objects[i]) &&
                k->root->now.objects[i].state != OBJ_NEW)
                return false;
    }
    k->object = (int)(o - k->root->now.objects);
    model_row_name(w, k->root, o->uid, row);
    model_say(w, "%s(nx_%s(db%d, %s, NULL));", how, k->op == OP_SAVE ? "save" : k->op == OP_INSERT ? "insert" : "delete", d, row);
    k->handle = k->op == OP_SAVE     ? nx_save(w->db[d], o->row, NULL)
                : k->op == OP_INSERT ? nx_insert(w->db[d], o->row, NULL)
                                     : nx_delete(w->db[d], o->row, NULL);
    return true;
}

static bool queue_finish(world *w, work *k)
{
    const char *how = k->step->queued ? "QUEUE" : "SAY";
    char session[16];

    model_session_name(w, k->root, k->root->depth - 1, session);
    switch ((int)k->op) {
    case OP_FLUSH:
        model_say(w, "%s(nx_flush(%s, NULL));", how, session);
        k->handle = nx_flush(k->session, NULL);
        break;
    case OP_COMMIT:
        if (k->root->depth > 1)
            return false;
        model_say(w, "%s(nx_commit(%s, NULL));", how, session);
        k->handle = nx_commit(k->session, NULL);
        break;
    case OP_END:
        model_say(w, "%s(nx_session_end(%s, NULL));", how, session);
        k->handle = nx_session_end(k->session, NULL);
        break;
    default:
        model_say(w, "%s(nx_rollback(%s, NULL));", how, session);
        k->handle = nx_rollback(k->session, NULL);
        break;
    }
    return true;
}

static bool queue_operation(world *w, work *k)
{
    switch ((int)k->op) {
    case OP_FLUSH:
    case OP_COMMIT:
    case OP_END:
    case OP_ROLLBACK: return queue_finish(w, k);
    case OP_SAVE:
    case OP_INSERT:
    case OP_ERASE: return queue_row_write(w, k);
    default: return model_queue_query(w, k);
    }
}

/* A joined session has no end of its own that may fail; a nested one that is lost is not tried further. */
static bool is_allowed(const world *w, const root *r, const step *s)
{
    bool join = r->depth > 1 && r->join[r->depth - 1];
    plan *p = malloc(sizeof(*p));
    bool fails = false;

    if (join && s->op == OP_END) {
        model_plan(&w->m, r, NULL, p);
        fails = plan_fails(p) || p->hazard || s->fault != FAULT_NONE;
    }
    free(p);
    if (r->aborted && (s->op == OP_SAVE || s->op == OP_INSERT || s->op == OP_ERASE || s->op == OP_LAZY || s->op == OP_GET))
        return false;
    return !fails;
}

static void step_operation(world *w, root *r, const step *s)
{
    static const step flush = { .op = OP_FLUSH };
    bool is_query = s->op == OP_FETCH || s->op == OP_GET || s->op == OP_COUNT || s->op == OP_UPDATE_ALL ||
                    s->op == OP_DELETE_ALL || s->op == OP_RAW || s->op == OP_TRAP;
    work k = { .step = s, .op = (model_op)s->op, .root = r, .uid = -1, .object = -1, .session = model_innermost(r) };

    if (w->queued > 0 && (w->queue[0].root != r || w->queued == QUEUE || s->op == OP_INSERT))
        drain(w);
    if (r->depth == 0 || !is_possible(w, r, s) || !is_allowed(w, r, s))
        return;
    k.session = model_innermost(r);
    if (is_query && !r->aborted && model_has_pending(&w->m, r)) {
        if (w->queued > 0) {
            drain(w);
            step_operation(w, r, s);
            return;
        }
        if (r->no_auto_flush && (s->op == OP_UPDATE_ALL || s->op == OP_DELETE_ALL || s->op == OP_RAW))
            return;
        k.flushes = !r->no_auto_flush;
        bool is_simple = s->fault == FAULT_NONE && s->op != OP_GET && flushes_all(w, r, s);
        if (k.flushes && !is_simple) {
            step_operation(w, r, &flush);
            k.flushes = false;
            if (r->depth == 0 || r->aborted || model_has_pending(&w->m, r))
                return;
        }
    }
    k.was_open = r->open[0] || r->open[1];
    if (!queue_operation(w, &k))
        return;
    cover(w, &k);
    w->queue[w->queued++] = k;
    bool last = s->op == OP_END || s->op == OP_ROLLBACK || s->fault != FAULT_NONE || !s->queued;
    if (last || (s->op == OP_COMMIT && (r->now.tables.traps[0] > 0 || r->now.tables.traps[1] > 0)))
        drain(w);
}

/* ------------------------------------------------------------------------------------------ steps */

static void step_begin(world *w, root *r, const step *s)
{
    nx_session_options options = { .no_auto_flush = s->value % 4 == 0 };
    char name[16], declared[64];

    if (r->depth > 0)
        return;
    *r = (root){ .no_auto_flush = options.no_auto_flush };
    model_session_name(w, r, 0, name);
    model_say(w, "%s = nx_session_begin(loop, &(nx_session_options){.no_auto_flush = %d});",
              model_declare(w, "nx_session", name, declared), (int)options.no_auto_flush);
    r->session[0] = nx_session_begin(w->loop, &options);
    if (r->session[0] == NULL)
        model_fail(w, "session", "nx_session_begin");
    r->depth = 1;
}

static void step_nest(world *w, root *r, const step *s)
{
    bool join = s->value % 4 == 0;
    nx_session_options options = { .join = join, .no_auto_flush = r->no_auto_flush };
    char name[16], outer[16], declared[64];

    if (r->depth == 0 || r->depth == DEPTH || r->aborted)
        return;
    model_say(w, "%s = nx_session_nested(%s, &(nx_session_options){.join = %d, .no_auto_flush = %d});",
              model_declare(w, "nx_session", model_session_name(w, r, r->depth, name), declared),
              model_session_name(w, r, r->depth - 1, outer), (int)join,
              (int)r->no_auto_flush);
    nx_session *inner = nx_session_nested(model_innermost(r), &options);
    if (inner == NULL)
        model_fail(w, "session", "nx_session_nested: %s", nx_session_error(model_innermost(r))->message);
    r->begin[r->depth] = r->now;
    for (int d = 0; d < DATABASES; d++)
        r->begin[r->depth].open[d] = r->open[d];
    r->join[r->depth] = join;
    r->session[r->depth++] = inner;
}

/* Freed while operations are in flight: whatever they say, the tables are as before or as they would have been. */
static void free_in_flight(world *w, root *r)
{
    bool ends = false;
    plan *p = malloc(sizeof(*p));
    tables before = w->m.committed;

    for (int i = 0; i < w->queued; i++) {
        ends = ends || w->queue[i].op == OP_COMMIT || w->queue[i].op == OP_END;
        apply_fault(w, &w->queue[i]);
    }
    model_plan(&w->m, r, NULL, p);
    char *texts[sizeof(r->texts) / sizeof(r->texts[0])]; /* a flush in flight may read them */
    int text_count = r->text_count;
    memcpy(texts, r->texts, sizeof(texts));
    r->text_count = 0;
    model_free_session(w, r, true);
    model_say(w, "AWAIT_QUEUED();");
    for (int i = 0; i < w->queued; i++) {
        nx_completion c = nx_await(w->loop, w->queue[i].handle);
        model_say(w, "/* %s: %s */", model_op_names[w->queue[i].op], nx_status_name(c.status));
        if (c.rows != NULL || c.raw != NULL)
            nx_seen(w->loop, &c);
    }
    while (text_count > 0)
        free(texts[--text_count]);
    w->queued = 0;
    if (model_judge_late(w, ends && !plan_fails(p) ? &p->after : NULL))
        before = p->after;
    w->m.committed = before;
    free(p);
}

static void step_free(world *w, root *r, const step *s)
{
    if (r->depth == 0)
        return;
    if (w->queued > 0 && w->queue[0].root == r && s->value % 2 == 0) {
        bool simple = true;
        for (int i = 0; i < w->queued; i++) /* what comes of them is not more than one flush */
            simple = simple && (w->queue[i].op == OP_FLUSH || w->queue[i].op == OP_COMMIT || w->queue[i].op == OP_FETCH ||
                                w->queue[i].op == OP_COUNT);
        for (int i = 0; i < r->now.count; i++) /* nobody would know the key of what is stored all the same */
            simple = simple && (r->now.objects[i].state != OBJ_NEW ||
                                model_entity_of(&w->m, r->now.objects[i].uid)->key != KEY_AUTO);
        if (simple) {
            free_in_flight(w, r);
            return;
        }
    }
    if (w->queued > 0)
        drain(w);
    if (r->depth > 0)
        model_free_session(w, r, s->value % 3 == 0 || r->depth == 1);
    (void)model_judge_tables(w, NULL);
}

static void run_step(world *w, const step *s)
{
    root *r = &w->m.roots[s->session];

    if (model_is_operation((model_op)s->op)) {
        if (r->depth > 0)
            step_operation(w, r, s);
        return;
    }
    if (s->op == OP_FREE) {
        step_free(w, r, s);
        model_compare(w);
        return;
    }
    if (w->queued > 0)
        drain(w);
    if (s->op == OP_BEGIN)
        step_begin(w, r, s);
    else if (s->op == OP_NEST)
        step_nest(w, r, s);
    else if (s->op == OP_OTHERS)
        model_step_others(w, s);
    else if (r->depth > 0 && !r->aborted)
        model_step_rows(w, r, s);
    model_compare(w);
}

void model_run(world *w, const program *p)
{
    w->program = p;
    w->declared_count = 0;
    model_init(&w->m);
    for (int i = 0; i < p->count; i++) {
        w->report->at = i;
        run_step(w, &p->steps[i]);
    }
    if (w->queued > 0)
        drain(w);
    for (int i = 0; i < ROOTS; i++)
        if (w->m.roots[i].depth > 0)
            model_free_session(w, &w->m.roots[i], true);
    (void)model_judge_tables(w, NULL);
    for (int d = 0; d < DATABASES; d++) { /* nobody holds the writer */
        nx_completion c = nx_await(w->loop, nx_execute(w->db[d], "DELETE FROM trap", nx_no_args, NULL));
        model_say(w, "SAY(nx_execute(db%d, \"DELETE FROM trap\", nx_no_args, NULL));", d);
        if (c.status != NX_OK)
            model_fail(w, "writer-held", "when all sessions are gone: %s: %s", nx_status_name(c.status), c.error->message);
    }
}
