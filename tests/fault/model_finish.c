/*
 * model_finish - writes and the ends of transactions: what their completions say, whether it may be so, and what follows.
 */
#include "model_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *message_of(const nx_completion *c)
{
    return c->error == NULL ? "" : c->error->message;
}

static nx_outcome outcome_of(const nx_completion *c)
{
    return c->error == NULL ? NX_OUTCOME_NONE : c->error->outcome;
}

static bool is_stopped(const work *k, const nx_completion *c)
{
    return k->step->fault != FAULT_NONE && (c->status == NX_ECANCELED || c->status == NX_EDEADLINE);
}

static bool any_open(const root *r)
{
    return r->open[0] || r->open[1];
}

void model_cover_fault(world *w, const work *k, const nx_completion *c)
{
    uint64_t *fault = w->report->coverage.fault[k->op];

    switch ((int)c->status) {
    case NX_ECANCELED: fault[COVER_CANCEL]++; break;
    case NX_EDEADLINE: fault[COVER_DEADLINE]++; break;
    case NX_EOPTIMISTIC: fault[COVER_RACE]++; break;
    case NX_ECOMMIT:
    case NX_EPARTIAL: fault[COVER_COMMIT]++; break;
    case NX_EUNIQUE:
    case NX_EFOREIGNKEY:
    case NX_ECHECK:
    case NX_ECONSTRAINT:
    case NX_ENOTNULL:
    case NX_EREQUIRED:
    case NX_EVALUE: fault[COVER_CONSTRAINT]++; break;
    default: break;
    }
}

/* ------------------------------------------------------------------------------------------ ends of sessions */

static void free_texts(root *r)
{
    for (int i = 0; i < r->text_count; i++)
        free(r->texts[i]);
    r->text_count = 0;
}

/* Values that were written are the library's now: what members pointed to is not needed any more. */
static void texts_are_written(world *w, root *r)
{
    if (w->program->seed % 4 != 0 && !model_has_pending(&w->m, r)) {
        if (r->text_count > 0)
            model_say(w, "FREE_TEXTS();");
        free_texts(r);
    }
}

static void forget_root(root *r)
{
    r->disturbed++;
    free_texts(r);
    r->depth = 0;
    r->ended = false;
    r->now.count = 0;
    model_close(r);
}

static void pop(world *w, root *r)
{
    char name[16];

    model_say(w, "nx_session_free(%s);", model_session_name(w, r, r->depth - 1, name));
    nx_session_free(model_innermost(r));
    r->depth--;
}

void model_free_session(world *w, root *r, bool all)
{
    char name[16];
    bool join = r->depth > 1 && r->join[r->depth - 1];

    if (all || r->depth == 1) {
        model_say(w, "nx_session_free(%s);", model_session_name(w, r, 0, name));
        nx_session_free(r->session[0]);
        forget_root(r);
        return;
    }
    if (join && r->depth > 2)
        return;
    int level = r->depth - 1;
    pop(w, r);
    /* What it has done cannot be told from the outer one's work: a rollback is due, unless it did nothing. */
    if (join && model_has_pending(&w->m, r))
        model_roll_back_now(w, r);
    else if (join)
        model_probe(w, r, 0);
    else
        model_nested_undone(&w->m, r, level);
}

/* The whole transaction was rolled back. */
static void root_rolled_back(world *w, root *r)
{
    char name[32];

    for (int i = 0; i < r->now.count; i++) { /* made and deleted: whether it is new again is not laid down */
        object *o = &r->now.objects[i];
        if (!o->inserted || !(o->state == OBJ_DELETING || (o->state == OBJ_DEAD && o->deleted)))
            continue;
        o->state = OBJ_DEAD;
        o->inserted = o->deleted = false;
        o->mute = true;
        model_say(w, "(void)nx_session_delete(%s, %s);", model_session_name(w, r, r->depth - 1, name),
                  model_row_name(w, r, o->uid, (char[32]){ 0 }));
        nx_status ignored = nx_session_delete(model_innermost(r), o->row);
        (void)ignored;
    }
    model_rolled_back(&w->m, r, false);
    (void)model_judge_tables(w, NULL);
}

static void roll_back(world *w, root *r)
{
    char name[16];

    model_say(w, "SAY(nx_rollback(%s, NULL));", model_session_name(w, r, r->depth - 1, name));
    nx_completion c = nx_await(w->loop, nx_rollback(model_innermost(r), NULL));
    if (c.status != NX_OK)
        model_fail(w, "rollback", "a rollback failed: %s: %s", nx_status_name(c.status), message_of(&c));
}

/* Roll the whole transaction back, whatever is nested in it; what was made in nested sessions is not looked at any more. */
void model_roll_back_now(world *w, root *r)
{
    r->disturbed++;
    while (r->depth > 1) {
        int from = r->begin[r->depth - 1].count;
        for (int i = from; i < r->now.count && !r->join[r->depth - 1]; i++) {
            object *o = &r->now.objects[i];
            o->state = o->state == OBJ_NEW || o->inserted || (o->state == OBJ_DEAD && !o->deleted) ? OBJ_DEAD : OBJ_STORED;
            o->inserted = o->deleted = false;
            o->mute = true;
        }
        pop(w, r);
    }
    roll_back(w, r);
    root_rolled_back(w, r);
}

void model_finish_rollback(world *w, work *k, const nx_completion *c)
{
    root *r = k->root;
    int level = r->depth - 1;

    while (level > 0 && r->join[level])
        level--;
    model_cover_fault(w, k, c);
    if (is_stopped(k, c))
        roll_back(w, r);
    else if (c->status != NX_OK)
        model_fail(w, "rollback", "a rollback failed: %s: %s", nx_status_name(c->status), message_of(c));
    if (level == 0) {
        root_rolled_back(w, r);
        return;
    }
    model_nested_undone(&w->m, r, level);
    (void)model_judge_tables(w, NULL);
}

/* ------------------------------------------------------------------------------------------ writes */

static bool has_traps(const plan *p, const root *r)
{
    return (p->after.traps[0] > 0 && (r->open[0] || p->touches[0])) || (p->after.traps[1] > 0 && (r->open[1] || p->touches[1]));
}

/* Rows that the flush inserted have their keys; but: those of that database, which was rolled back, or NONE. */
static void learn_keys(world *w, root *r, const object *only, int but)
{
    for (int i = 0; i < r->now.count; i++) {
        object *o = &r->now.objects[i];
        const model_entity *e = model_entity_of(&w->m, o->uid);
        if (o->state != OBJ_NEW || e->key != KEY_AUTO || (only != NULL && o != only) || e->database == but)
            continue;
        w->m.key_of[o->uid] = model_auto_key(o, e);
        if (w->m.key_of[o->uid] <= 0 && w->behind == 0) /* what ran behind it may have undone it already */
            model_fail(w, "flush-lied", "%s %d was flushed and has no key", e->name, o->uid);
    }
}

static bool is_refusal(nx_status status)
{
    switch ((int)status) {
    case NX_EUNIQUE:
    case NX_EFOREIGNKEY:
    case NX_ECHECK:
    case NX_ECONSTRAINT:
    case NX_ENOTNULL:
    case NX_EREQUIRED:
    case NX_EVALUE:
    case NX_ESTATE:
    case NX_EOPTIMISTIC: return true;
    default: return false;
    }
}

/* The operation said that its flush was done. */
static void flush_done(world *w, root *r, const object *only, const plan *p)
{
    if (plan_fails(p))
        model_fail(w, p->race ? "race-missed" : "constraint-missed", "a flush that cannot be done is NX_OK");
    learn_keys(w, r, only, NONE);
    model_flushed(&w->m, r, only, p);
}

/* The operation said that its flush was not done; the transaction, if there was one, goes on. */
static void flush_refused(world *w, const work *k, const plan *p, const nx_completion *c)
{
    root *r = k->root;

    if (is_stopped(k, c)) {
        if (outcome_of(c) == NX_OUTCOME_ROLLED_BACK && any_open(r))
            r->aborted = true;
        return;
    }
    if (!plan_fails(p) && !p->hazard)
        model_fail(w, "flush-refused", "%s should work: %s: %s", model_op_names[k->op], nx_status_name(c->status), message_of(c));
    if (!is_refusal(c->status))
        model_fail(w, "flush-status", "%s: %s: %s", model_op_names[k->op], nx_status_name(c->status), message_of(c));
    bool is_begun = true; /* everywhere: what began with this operation is rolled back, and that may be said */
    for (int d = 0; d < DATABASES; d++)
        is_begun = is_begun && !r->unsure[d] && (r->open[d] || !p->touches[d]);
    if (k->op != OP_END && any_open(r) && is_begun && outcome_of(c) != NX_OUTCOME_NONE)
        model_fail(w, "outcome", "a refused %s in an open transaction has the outcome %d", model_op_names[k->op],
                   (int)outcome_of(c));
}

static void finish_flush(world *w, work *k, const nx_completion *c, object *only)
{
    root *r = k->root;
    plan p;

    if (k->op == OP_ERASE)
        only->state = OBJ_DELETING;
    model_plan(&w->m, r, only, &p);
    if (c->status == NX_OK) {
        flush_done(w, r, only, &p);
        if (k->op == OP_FLUSH && c->count != p.rows)
            model_fail(w, "count", "a flush of %d rows has the count %" PRId64, p.rows, c->count);
        texts_are_written(w, r);
        return;
    }
    if (k->op == OP_ERASE)
        only->state = OBJ_STORED;
    flush_refused(w, k, &p, c);
    if (r->aborted)
        model_roll_back_now(w, r);
}

/* What rows cannot do again was undone: going on would commit half of the work. */
static void must_be_aborted(world *w, root *r)
{
    char name[16];

    model_say(w, "SAY(nx_flush(%s, NULL));", model_session_name(w, r, r->depth - 1, name));
    nx_completion c = nx_await(w->loop, nx_flush(model_innermost(r), NULL));
    if (c.status != NX_EABORTED)
        model_fail(w, "half-committed", "SQL text was undone with its transaction, and a flush after that is %s",
                   nx_status_name(c.status));
}

/* The transaction was rolled back by its COMMIT, or by what stopped it. */
static void commit_undone(world *w, root *r, const plan *p, bool stopped)
{
    /* Stopped in the flush: one database's part is undone, the other one's may be open as before. */
    bool deletes = stopped && (r->open[0] || p->touches[0]) && (r->open[1] || p->touches[1]);

    if (!plan_fails(p)) {
        for (int i = 0; i < r->now.count; i++) { /* as far as it came: written, and undone */
            object *o = &r->now.objects[i];
            deletes = deletes || o->state == OBJ_DELETING || o->deleted;
        }
    }
    if (r->at_once_is_sure && !stopped && w->behind == 0)
        must_be_aborted(w, r);
    if (deletes || r->aborted || r->at_once) {
        model_roll_back_now(w, r);
        return;
    }
    model_rolled_back(&w->m, r, true);
    (void)model_judge_tables(w, NULL);
}

/* Committed on one database, rolled back on the one with a trap. */
static void commit_partial(world *w, root *r, const plan *p)
{
    bool trapped = p->after.traps[1] > 0;

    learn_keys(w, r, NULL, (int)trapped);
    model_flushed(&w->m, r, NULL, p);
    for (int u = 0; u < w->m.uid_count; u++) {
        if (model_entity_of(&w->m, u)->database == (int)trapped)
            continue;
        w->m.committed.present[u] = r->now.tables.present[u];
        w->m.committed.row[u] = r->now.tables.row[u];
    }
    (void)model_judge_tables(w, NULL);
    model_free_session(w, r, true);
}

static void session_ended(world *w, root *r, bool committed, const plan *p)
{
    char name[16];

    if (!nx_session_is_ended(r->session[0]))
        model_fail(w, "ended", "an end is complete and the session goes on");
    if (committed) {
        learn_keys(w, r, NULL, NONE);
        model_flushed(&w->m, r, NULL, p);
        for (int d = 0; d < DATABASES; d++)
            if (p->touches[d])
                model_open(&w->m, r, d);
        model_committed(&w->m, r);
        model_compare(w);
    } else {
        model_close(r);
    }
    (void)model_judge_tables(w, NULL);
    model_say(w, "nx_session_free(%s);", model_session_name(w, r, 0, name));
    nx_session_free(r->session[0]);
    forget_root(r);
}

/* Nobody knows: the tables tell, and the session goes. */
static void commit_unknown(world *w, root *r, const plan *p)
{
    tables before = w->m.committed, after = p->after;

    for (int i = 0; w->place->kit != NULL && i < r->now.count; i++) {
        const object *o = &r->now.objects[i];
        if (o->state == OBJ_NEW && model_entity_of(&w->m, o->uid)->key == KEY_AUTO) {
            nx_loop_close(w->loop); /* the key of a row that is perhaps stored was never told: nothing finds it */
            _exit(EXIT_SKIPPED);
        }
    }
    model_free_session(w, r, true);
    if (model_judge_late(w, plan_fails(p) ? NULL : &after))
        w->m.committed = after;
    else
        w->m.committed = before;
}

/* An end that did not: a session whose end was refused its turn is as it was. */
static void end_failed(world *w, work *k, const plan *p, const nx_completion *c)
{
    root *r = k->root;

    if (!nx_session_is_ended(r->session[0])) {
        if (!is_stopped(k, c))
            model_fail(w, "ended", "an end failed (%s) and the session goes on", nx_status_name(c->status));
        return;
    }
    (void)p;
    session_ended(w, r, false, p);
}

static void commit_failed(world *w, work *k, const plan *p, const nx_completion *c)
{
    root *r = k->root;
    bool trapped = has_traps(p, r) && !plan_fails(p);

    if (k->step->fault != FAULT_NONE && c->status == NX_ECOMMIT && !trapped)
        model_fail(w, "cancel-status", "a commit that was stopped is NX_ECOMMIT: %s", message_of(c));

    if (outcome_of(c) == NX_OUTCOME_UNKNOWN) {
        commit_unknown(w, r, p);
    } else if (c->status == NX_EPARTIAL) {
        if (!trapped || (p->after.traps[0] > 0) == (p->after.traps[1] > 0))
            model_fail(w, "partial", "NX_EPARTIAL where no COMMIT or both have to fail");
        commit_partial(w, r, p);
    } else if (is_stopped(k, c) || (trapped && !p->hazard)) {
        if (!is_stopped(k, c) && outcome_of(c) != NX_OUTCOME_ROLLED_BACK)
            model_fail(w, "outcome", "a COMMIT failed (%s) and the outcome is %d", nx_status_name(c->status), (int)outcome_of(c));
        if (k->op == OP_END)
            end_failed(w, k, p, c);
        else if (outcome_of(c) == NX_OUTCOME_ROLLED_BACK)
            commit_undone(w, r, p, is_stopped(k, c));
        else if (outcome_of(c) == NX_OUTCOME_COMMITTED)
            commit_unknown(w, r, p);
        else if (p->rows > 0) /* stopped between flush and COMMIT: whether the flush was done is not told */
            model_roll_back_now(w, r);
        w->report->coverage.fault[k->op][COVER_COMMIT] += trapped && !is_stopped(k, c);
    } else if (trapped) {
        commit_unknown(w, r, p);
    } else {
        flush_refused(w, k, p, c);
        if (k->op == OP_END)
            end_failed(w, k, p, c);
    }
}

static void finish_commit(world *w, work *k, const nx_completion *c)
{
    root *r = k->root;
    plan p;

    model_plan(&w->m, r, NULL, &p);
    if (c->status != NX_OK) {
        commit_failed(w, k, &p, c);
        return;
    }
    if (plan_fails(&p))
        model_fail(w, p.race ? "race-missed" : "constraint-missed", "a commit that cannot be done is NX_OK");
    if (has_traps(&p, r))
        model_fail(w, "commit-lied", "NX_OK of a COMMIT that has to fail");
    if (k->op == OP_END) {
        session_ended(w, r, true, &p);
        return;
    }
    flush_done(w, r, NULL, &p);
    model_committed(&w->m, r);
    (void)model_judge_tables(w, NULL);
    texts_are_written(w, r);
}

static void finish_nested_end(world *w, work *k, const nx_completion *c)
{
    root *r = k->root;
    int level = r->depth - 1;
    plan p;

    model_plan(&w->m, r, NULL, &p);
    if (c->status == NX_OK) {
        flush_done(w, r, NULL, &p);
        texts_are_written(w, r);
        pop(w, r);
        return;
    }
    flush_refused(w, k, &p, c);
    if (!nx_session_is_ended(r->session[level])) {
        if (!is_stopped(k, c))
            model_fail(w, "ended", "an end failed (%s) and the nested session goes on", nx_status_name(c->status));
        if (r->aborted)
            model_roll_back_now(w, r);
        return;
    }
    if (r->aborted || r->join[level]) {
        model_roll_back_now(w, r);
        return;
    }
    pop(w, r);
    model_nested_undone(&w->m, r, level);
}

void model_finish_write(world *w, work *k, const nx_completion *c)
{
    root *r = k->root;

    model_cover_fault(w, k, c);
    if (r->aborted) {
        if (c->status != NX_EABORTED && !is_stopped(k, c))
            model_fail(w, "aborted", "%s in a transaction that was lost: %s", model_op_names[k->op], nx_status_name(c->status));
        if (k->op == OP_END && nx_session_is_ended(model_innermost(r)))
            model_free_session(w, r, true);
        return;
    }
    switch ((int)k->op) {
    case OP_COMMIT: finish_commit(w, k, c); break;
    case OP_END:
        if (r->depth > 1)
            finish_nested_end(w, k, c);
        else
            finish_commit(w, k, c);
        break;
    case OP_FLUSH: finish_flush(w, k, c, NULL); break;
    default: finish_flush(w, k, c, &r->now.objects[k->object]); break;
    }
}

bool model_flushed_before(world *w, work *k, const nx_completion *c)
{
    plan p;

    model_plan(&w->m, k->root, NULL, &p);
    if (plan_fails(&p) || (p.hazard && c->status != NX_OK)) {
        if (c->status == NX_OK)
            model_fail(w, p.race ? "race-missed" : "constraint-missed", "%s after a flush that cannot be done is NX_OK",
                       model_op_names[k->op]);
        flush_refused(w, k, &p, c);
        if (k->root->aborted)
            model_roll_back_now(w, k->root);
        return false;
    }
    bool may_fail_itself = k->op == OP_RAW || k->op == OP_TRAP || (k->op == OP_DELETE_ALL && c->status == NX_EFOREIGNKEY);
    if (c->status == NX_OK || may_fail_itself) {
        flush_done(w, k->root, NULL, &p);
        return true;
    }
    model_fail(w, "flush-refused", "%s should work: %s: %s", model_op_names[k->op], nx_status_name(c->status), message_of(c));
}

void model_probe(world *w, root *r, int database)
{
    char name[16];

    if (!any_open(r) || r->aborted)
        return;
    if (model_has_pending(&w->m, r) && !r->no_auto_flush) { /* it would flush */
        model_roll_back_now(w, r);
        return;
    }
    database = r->open[database] ? database : !database;
    model_say(w, "SAY(nx_session_select_raw(%s, db%d, \"SELECT 1\", nx_no_args, NULL));",
              model_session_name(w, r, r->depth - 1, name), database);
    nx_completion c =
        nx_await(w->loop, nx_session_select_raw(model_innermost(r), w->db[database], "SELECT 1", nx_no_args, NULL));
    if (c.status == NX_OK) {
        nx_seen(w->loop, &c);
        return;
    }
    r->aborted = true;
    if (c.status != NX_EABORTED)
        model_fail(w, "probe", "after a failed operation: %s: %s", nx_status_name(c.status), message_of(&c));
    model_roll_back_now(w, r);
}
