/*
 * model_query - reads, set-based writes and raw SQL of a session, and what others do beside it.
 */
#include "model_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SQL_SIZE = 256 };

static int number_column(int entity)
{
    for (int c = 0; c < entities[entity].column_count; c++)
        if ((entities[entity].columns[c].kind == COL_NUMBER || entities[entity].columns[c].kind == COL_REQUIRED) &&
            !entities[entity].columns[c].unique)
            return c;
    return -1;
}

/* ------------------------------------------------------------------------------------------ queueing */

static void queue_get(world *w, work *k, const char *session)
{
    const model_entity *e = &entities[k->step->entity];
    char sql[SQL_SIZE];

    model_key_code(&w->m, k->uid, true, sql, sizeof(sql));
    model_say(w, "%s(nx_get(%s, %s, %s, NULL));", k->step->queued ? "QUEUE" : "SAY", session, e->name, sql);
    k->handle = nx_get_query(nx_select_session(k->session, e->entity), model_key_condition(&w->m, k->uid), NULL);
}

static bool begin_get(world *w, work *k)
{
    root *r = k->root;
    const step *s = k->step;
    const tables *t = model_view(&w->m, r, entities[s->entity].database);

    k->uid = -1;
    for (int i = r->now.count - 1; i >= 0 && k->uid < 0; i--) {
        const object *o = &r->now.objects[i];
        if (w->m.entity_of[o->uid] != s->entity || w->m.slot_of[o->uid] != s->slot || o->state == OBJ_DEAD)
            continue;
        if (o->state != OBJ_STORED || (o->mute && w->m.key_of[o->uid] == 0 && entities[s->entity].key == KEY_AUTO))
            return false;
        k->uid = o->uid;
        k->object = i;
        k->was_expired = o->expired || o->gone || o->mute;
    }
    if (k->uid < 0)
        k->uid = model_find(&w->m, t, s->entity, s->slot);
    return k->uid >= 0 && !model_key_is_anothers(&w->m, t, k->uid);
}

static bool queue_object(world *w, work *k, const char *session)
{
    object *o = model_object(&w->m, k->root, k->step->entity, k->step->slot);
    const model_entity *e = &entities[k->step->entity];
    char row[32];

    if (o == NULL || o->state != OBJ_STORED ||
        model_key_is_anothers(&w->m, model_view(&w->m, k->root, e->database), o->uid))
        return false;
    k->uid = o->uid;
    k->object = (int)(o - k->root->now.objects);
    model_row_name(w, k->root, o->uid, row);
    if (k->op == OP_REFRESH) {
        model_say(w, "%s(nx_refresh(%s, %s, NULL));", k->step->queued ? "QUEUE" : "SAY", session, row);
        k->handle = nx_refresh(k->session, o->row, NULL);
        return true;
    }
    for (int c = 0; c < e->column_count; c++) {
        if (e->columns[c].kind != COL_LAZY || o->lazy)
            continue;
        model_say(w, "%s(nx_load_lazy(%s, %s_.%s, NULL));", k->step->queued ? "QUEUE" : "SAY", row, e->name, e->columns[c].name);
        k->handle = nx_load_lazy(o->row, e->columns[c].column, NULL);
        return true;
    }
    return false;
}

static bool queue_set_based(world *w, work *k, const char *session)
{
    const step *s = k->step;
    const model_entity *e = &entities[s->entity];
    int c = number_column(s->entity);
    int least = s->value < 0 ? -1 : s->value;

    if (c < 0)
        return false;
    nx_query *q = nx_filter(nx_select_session(k->session, e->entity), nx_ge(e->columns[c].column, least));
    if (k->op == OP_DELETE_ALL) {
        model_say(w, "%s(nx_delete_all(nx_filter(nx_select(%s, %s), nx_ge(%s_.%s, %d)), NULL));", s->queued ? "QUEUE" : "SAY",
                  session, e->name, e->name, e->columns[c].name, least);
        k->handle = nx_delete_all(q, NULL);
        return true;
    }
    model_say(w, "%s(nx_update_all(nx_filter(nx_select(%s, %s), nx_ge(%s_.%s, %d)), NULL, nx_assign(%s_.%s, %d)));",
              s->queued ? "QUEUE" : "SAY", session, e->name, e->name, e->columns[c].name, least, e->name, e->columns[c].name,
              s->other + s->value);
    k->handle = nx_update_all(q, NULL, nx_assign(e->columns[c].column, s->other + s->value));
    return true;
}

static bool queue_raw(world *w, work *k, const char *session)
{
    const step *s = k->step;
    const model_entity *e = &entities[s->entity];
    int d = k->op == OP_TRAP ? s->value & 1 : e->database, c = number_column(s->entity);
    char sql[SQL_SIZE], key[SQL_SIZE / 2];

    if (k->op == OP_TRAP) {
        snprintf(sql, sizeof(sql), s->other % 4 == 0 ? "DELETE FROM trap" : "INSERT INTO trap VALUES (1)");
    } else {
        k->uid = model_find(&w->m, model_view(&w->m, k->root, d), s->entity, s->slot);
        if (k->uid < 0 || c < 0)
            return false;
        model_key_sql(&w->m, k->uid, key, sizeof(key));
        if (s->value % 3 == 0)
            snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE %s", e->table, key);
        else
            snprintf(sql, sizeof(sql), "UPDATE %s SET %s = %d WHERE %s", e->table, e->columns[c].name, (int)s->value, key);
    }
    model_say(w, "%s(nx_session_execute(%s, db%d, \"%s\", nx_no_args, NULL));", s->queued ? "QUEUE" : "SAY", session, d, sql);
    k->handle = nx_session_execute(k->session, w->db[d], sql, nx_no_args, NULL);
    return true;
}

bool model_queue_query(world *w, work *k)
{
    const step *s = k->step;
    const model_entity *e = &entities[s->entity];
    char session[16];

    model_session_name(w, k->root, k->root->depth - 1, session);
    switch ((int)k->op) {
    case OP_FETCH:
        model_say(w, "%s(nx_fetch_all(nx_select(%s, %s), NULL));", s->queued ? "QUEUE" : "SAY", session, e->name);
        k->handle = nx_fetch_all(nx_select_session(k->session, e->entity), NULL);
        return true;
    case OP_COUNT:
        model_say(w, "%s(nx_count(nx_select(%s, %s), NULL));", s->queued ? "QUEUE" : "SAY", session, e->name);
        k->handle = nx_count(nx_select_session(k->session, e->entity), NULL);
        return true;
    case OP_GET:
        if (!begin_get(w, k))
            return false;
        queue_get(w, k, session);
        return true;
    case OP_REFRESH:
    case OP_LAZY: return queue_object(w, k, session);
    case OP_UPDATE_ALL:
    case OP_DELETE_ALL: return queue_set_based(w, k, session);
    default: return queue_raw(w, k, session);
    }
}

/* ------------------------------------------------------------------------------------------ reads */

/* A row that a query of the session gave. */
static void take_row(world *w, root *r, void *row, int entity)
{
    int uid = model_uid_of_row(w, r, row, entity);
    const tables *t = model_view(&w->m, r, entities[entity].database);
    char name[32], key[SQL_SIZE], session[16], declared[64];

    if (uid < 0 || !t->present[uid])
        model_fail(w, "query", "%s: a row is answered that is not there (%d)", entities[entity].name, uid);
    object *o = model_object_of_uid(r, uid);
    for (int i = 0; o != NULL && o->row != row && i < r->now.count; i++)
        if (r->now.objects[i].row == row && r->now.objects[i].state == OBJ_DELETING)
            return; /* it goes, and another one comes with its key: until then it is the one that is stored */
    if (o != NULL && o->row != row && o->state == OBJ_NEW && !o->inserted) {
        nx_loop_close(w->loop); /* somebody else has stored the key meanwhile: which of the two objects counts is not laid down */
        _exit(EXIT_SKIPPED);
    }
    if (o != NULL && o->row != row) {
        if (!o->mute)
            model_fail(w, "identity", "%s %d has two objects", entities[entity].name, uid);
        o->state = OBJ_DEAD;
        o = NULL;
    }
    if (o == NULL) {
        model_key_code(&w->m, uid, false, key, sizeof(key));
        model_say(w, "%s = nx_session_find(%s, &%s_entity, %s);",
                  model_declare(w, entities[entity].name, model_row_name(w, r, uid, name), declared),
                  model_session_name(w, r, r->depth - 1, session), entities[entity].name, key);
        o = model_add_object(w, r, row, uid, OBJ_STORED);
    }
    if (o->state == OBJ_STORED && !model_is_changed(&w->m, o)) {
        o->gone = false;
        model_read(&w->m, r, o, t, false);
    }
}

static void finish_fetch(world *w, work *k, const nx_completion *c)
{
    int entity = k->step->entity, stored = 0;
    const tables *t = model_view(&w->m, k->root, entities[entity].database);

    for (int u = 0; u < w->m.uid_count; u++)
        stored += t->present[u] && w->m.entity_of[u] == entity;
    if (c->count != stored)
        model_fail(w, "query", "%s: %" PRId64 " rows, not %d", entities[entity].name, c->count, stored);
    for (int64_t i = 0; k->op == OP_FETCH && i < c->count; i++)
        take_row(w, k->root, c->rows[i], entity);
}

/* A row that is known and up to date is answered from memory, or read. */
static void finish_get(world *w, work *k, const nx_completion *c)
{
    root *r = k->root;
    const model_entity *e = &entities[k->step->entity];
    const tables *t = model_view(&w->m, r, e->database);
    object *o = k->object < 0 ? NULL : &r->now.objects[k->object];
    bool is_dirty = o != NULL && model_is_changed(&w->m, o);

    if (o == NULL || (o->expired && !is_dirty) || o->gone || o->mute) {
        if (c->count != t->present[k->uid])
            model_fail(w, "stale", "%s %d: nx_get finds %" PRId64 " rows, not %d", e->name, k->uid, c->count,
                       (int)t->present[k->uid]);
        if (c->count == 1)
            take_row(w, r, c->rows[0], k->step->entity);
        else if (o != NULL)
            o->gone = true;
        return;
    }
    if (c->count == 0 && t->present[k->uid])
        model_fail(w, "query", "%s %d: nx_get does not find it", e->name, k->uid);
    if (c->count == 0) {
        o->gone = true;
        return;
    }
    if (c->rows[0] != o->row)
        model_fail(w, "identity", "%s %d has two objects", e->name, k->uid);
    for (int i = 0; !is_dirty && t->present[k->uid] && i < e->column_count; i++)
        if (e->columns[i].kind != COL_LOCAL)
            o->also.c[i] = t->row[k->uid].c[i];
}

static void finish_object(world *w, work *k, const nx_completion *c)
{
    root *r = k->root;
    object *o = &r->now.objects[k->object];
    const model_entity *e = &entities[k->step->entity];
    const tables *t = model_view(&w->m, r, e->database);

    if (!t->present[k->uid]) {
        if (c->status != NX_ENOTFOUND)
            model_fail(w, "refresh", "%s %d is gone: %s", e->name, k->uid, nx_status_name(c->status));
        o->gone = true;
        return;
    }
    if (k->op == OP_REFRESH) {
        model_read(&w->m, r, o, t, true);
        return;
    }
    for (int i = 0; i < e->column_count; i++)
        if (e->columns[i].kind == COL_LAZY) {
            o->v.c[i] = o->b.c[i] = o->also.c[i] = t->row[k->uid].c[i];
            o->lazy = true;
        }
}

/* ------------------------------------------------------------------------------------------ set-based writes */

/* The tables after it, the rows that it names; whether one of them may be in its way. */
static int set_based(world *w, const work *k, tables *after)
{
    const step *s = k->step;
    const model_entity *e = &entities[s->entity];
    const tables *t = model_view(&w->m, k->root, e->database);
    int c = number_column(s->entity), least = s->value < 0 ? -1 : s->value, count = 0;

    *after = *t;
    for (int u = 0; u < w->m.uid_count; u++) {
        bool is_meant = t->present[u] && w->m.entity_of[u] == s->entity &&
                        (k->op == OP_RAW ? u == k->uid : t->row[u].c[c] != NONE && t->row[u].c[c] >= least);
        if (!is_meant)
            continue;
        count++;
        if (k->op == OP_DELETE_ALL || (k->op == OP_RAW && s->value % 3 == 0)) {
            model_delete(&w->m, after, u);
            continue;
        }
        after->row[u].c[c] = k->op == OP_RAW ? s->value : s->other + s->value;
        if (e->version >= 0 && k->op != OP_RAW)
            after->row[u].c[e->version]++;
    }
    return count;
}

static void objects_are_old(world *w, root *r, const tables *before, bool all)
{
    for (int i = 0; i < r->now.count; i++) {
        object *o = &r->now.objects[i];
        const model_entity *e = model_entity_of(&w->m, o->uid);
        bool is_other = r->now.tables.present[o->uid] != before->present[o->uid] ||
                        memcmp(&r->now.tables.row[o->uid], &before->row[o->uid], sizeof(cells)) != 0;
        if (o->state != OBJ_STORED || (!is_other && !all))
            continue;
        o->expired = true;
        for (int c = 0; c < e->column_count && is_other && r->now.tables.present[o->uid]; c++)
            if (e->columns[c].kind != COL_LOCAL && o->v.c[c] == o->b.c[c])
                o->also.c[c] = r->now.tables.row[o->uid].c[c];
    }
}

static void finish_set_based(world *w, work *k, const nx_completion *c)
{
    root *r = k->root;
    int d = entities[k->step->entity].database;
    tables after, before;
    int count = set_based(w, k, &after);
    bool deletes = k->op == OP_DELETE_ALL || (k->op == OP_RAW && k->step->value % 3 == 0);

    if (c->status != NX_OK) {
        bool is_restricted = deletes && count > 0; /* the order within one statement is the database's */
        if (!model_is_broken(&w->m, &after) && !is_restricted)
            model_fail(w, "query", "%s: %s: %s", model_op_names[k->op], nx_status_name(c->status), c->error->message);
        model_open(&w->m, r, d); /* it may have begun the transaction */
        model_probe(w, r, d);
        return;
    }
    if (model_is_broken(&w->m, &after))
        model_fail(w, "constraint-missed", "%s breaks a constraint and is NX_OK", model_op_names[k->op]);
    if (c->count != count)
        model_fail(w, "count", "%s of %d rows has the count %" PRId64, model_op_names[k->op], count, c->count);
    model_open(&w->m, r, d);
    before = r->now.tables;
    for (int u = 0; u < w->m.uid_count; u++)
        if (model_entity_of(&w->m, u)->database == d) {
            r->now.tables.present[u] = after.present[u];
            r->now.tables.row[u] = after.row[u];
        }
    objects_are_old(w, r, &before, k->op == OP_RAW);
}

static void finish_trap(world *w, work *k, const nx_completion *c)
{
    int d = k->step->value & 1;

    if (c->status != NX_OK)
        model_fail(w, "query", "%s: %s", nx_status_name(c->status), c->error->message);
    model_open(&w->m, k->root, d);
    k->root->now.tables.traps[d] = k->step->other % 4 == 0 ? 0 : k->root->now.tables.traps[d] + 1;
    objects_are_old(w, k->root, &k->root->now.tables, true);
}

/* ------------------------------------------------------------------------------------------ completions */

void model_finish_query(world *w, work *k, const nx_completion *c)
{
    root *r = k->root;
    int d = k->op == OP_TRAP ? k->step->value & 1 : entities[k->step->entity].database;

    model_cover_fault(w, k, c);
    if (k->op == OP_UPDATE_ALL || k->op == OP_DELETE_ALL || k->op == OP_RAW || k->op == OP_TRAP) {
        r->at_once = true;
        r->at_once_is_sure = r->at_once_is_sure || c->status == NX_OK;
    }
    if (r->aborted) {
        if (c->status == NX_OK && (k->op == OP_GET || k->op == OP_LAZY))
            return;
        if (c->status != NX_EABORTED && c->status != NX_ECANCELED && c->status != NX_EDEADLINE)
            model_fail(w, "aborted", "%s in a transaction that was lost: %s", model_op_names[k->op], nx_status_name(c->status));
        return;
    }
    if (k->step->fault != FAULT_NONE && (c->status == NX_ECANCELED || c->status == NX_EDEADLINE)) {
        if (k->op == OP_UPDATE_ALL || k->op == OP_DELETE_ALL || k->op == OP_RAW || k->op == OP_TRAP)
            model_open(&w->m, r, d); /* it may have begun the transaction */
        model_probe(w, r, d);
        return;
    }
    if (k->flushes && !model_flushed_before(w, k, c))
        return;
    switch ((int)k->op) {
    case OP_UPDATE_ALL:
    case OP_DELETE_ALL:
    case OP_RAW: finish_set_based(w, k, c); return;
    case OP_TRAP: finish_trap(w, k, c); return;
    case OP_REFRESH:
    case OP_LAZY:
        if (c->status == NX_OK || c->status == NX_ENOTFOUND) {
            finish_object(w, k, c);
            return;
        }
        break;
    default: break;
    }
    if (c->status != NX_OK)
        model_fail(w, "query", "%s: %s: %s", model_op_names[k->op], nx_status_name(c->status), c->error->message);
    if (k->op == OP_GET)
        finish_get(w, k, c);
    else
        finish_fetch(w, k, c);
}

/* ------------------------------------------------------------------------------------------ others */

/* A new row of an entity that refers to nothing else, made by somebody else. */
static void others_insert(world *w, const step *s)
{
    const model_entity *e = &entities[s->entity];
    char sql[SQL_SIZE];

    for (int i = 0; i < ROOTS; i++)
        for (int k = 0; w->m.roots[i].depth > 0 && k < w->m.roots[i].now.count; k++) {
            const object *o = &w->m.roots[i].now.objects[k];
            if (w->m.entity_of[o->uid] == s->entity && w->m.slot_of[o->uid] == s->slot)
                return;
        }
    if (s->entity != WORD && s->entity != PLACE && s->entity != TEAM)
        return;
    int uid = model_uid(&w->m, s->entity, s->slot);
    if (uid < 0)
        return;
    for (int c = 0; c < COLUMNS; c++)
        w->m.committed.row[uid].c[c] = NONE;
    int value = s->value < 0 ? 0 : s->value;
    w->m.committed.present[uid] = true;
    w->m.committed.row[uid].c[0] = value;
    if (s->entity == WORD) {
        snprintf(sql, sizeof(sql), "INSERT INTO word (word, n, ver) VALUES ('w%d', %d, 3)", s->slot, value);
        w->m.committed.row[uid].c[e->version] = 3;
    } else if (s->entity == PLACE) {
        snprintf(sql, sizeof(sql), "INSERT INTO place (region, num, n) VALUES ('r%d', %d, %d)", s->slot / 2, s->slot % 2, value);
    } else {
        w->m.key_of[uid] = OTHERS_KEY + uid;
        snprintf(sql, sizeof(sql), "INSERT INTO team (id, n) VALUES (%d, %d)", OTHERS_KEY + uid, value);
    }
    model_say(w, "OTHERS(%d, \"%s\");", e->database, sql);
    model_judge_do(w, e->database, sql);
}

void model_step_others(world *w, const step *s)
{
    const model_entity *e = &entities[s->entity];
    int uid = model_find(&w->m, &w->m.committed, s->entity, s->slot), c = number_column(s->entity);
    tables after = w->m.committed;
    char sql[SQL_SIZE], key[SQL_SIZE / 2];

    if (!model_writer_is_free(w, NULL, e->database))
        return;
    if (uid < 0) {
        others_insert(w, s);
        return;
    }
    model_key_sql(&w->m, uid, key, sizeof(key));
    if (s->value % 3 == 0 || c < 0) {
        model_delete(&w->m, &after, uid);
        snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE %s", e->table, key);
    } else {
        after.row[uid].c[c] = s->value;
        if (e->version >= 0)
            after.row[uid].c[e->version]++;
        snprintf(sql, sizeof(sql), "UPDATE %s SET %s = %d%s WHERE %s", e->table, e->columns[c].name, (int)s->value,
                 e->version >= 0 ? ", ver = ver + 1" : "", key);
    }
    if (model_is_broken(&w->m, &after))
        return;
    w->m.committed = after;
    model_say(w, "OTHERS(%d, \"%s\");", e->database, sql);
    model_judge_do(w, e->database, sql);
}
