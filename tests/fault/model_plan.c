/*
 * model_plan - what a flush does to the tables and to the objects, worked out from the final state only.
 *
 * Rows are inserted, then changed, then deleted. Where the final state breaks no constraint the flush has to succeed, unless
 * what it does could break one on the way (hazard): then it may also fail as a whole.
 */
#include "model.h"

static bool is_stored_column(const model_column *c)
{
    return c->kind != COL_LOCAL;
}

static void plan_insert(const model *m, const object *o, plan *p)
{
    const model_entity *e = model_entity_of(m, o->uid);
    cells *row = &p->after.row[o->uid];

    if (p->after.present[o->uid])
        p->constraint = true;
    p->after.present[o->uid] = true;
    for (int c = 0; c < e->column_count; c++) {
        const model_column *column = &e->columns[c];
        row->c[c] = !is_stored_column(column) ? NONE : o->v.c[c];
        if (column->kind == COL_DEFAULT && row->c[c] == NONE)
            row->c[c] = DATABASE_DEFAULT;
    }
}

/* Somebody else changed or deleted the row. */
static bool is_lost(const model *m, const object *o, const tables *t)
{
    const model_entity *e = model_entity_of(m, o->uid);

    return !t->present[o->uid] || (e->version >= 0 && t->row[o->uid].c[e->version] != o->b.c[e->version]);
}

static void plan_update(const model *m, const object *o, plan *p)
{
    const model_entity *e = model_entity_of(m, o->uid);
    cells *row = &p->after.row[o->uid];

    if (is_lost(m, o, &p->after)) {
        p->race = true;
        return;
    }
    for (int c = 0; c < e->column_count; c++) {
        const model_column *column = &e->columns[c];
        bool is_written = column->kind != COL_VOLATILE && c != e->version && is_stored_column(column) &&
                          (column->kind != COL_LAZY || o->lazy);
        if (is_written && o->v.c[c] != o->b.c[c])
            row->c[c] = o->v.c[c];
    }
    if (e->version >= 0)
        row->c[e->version]++;
}

/* A reference that this flush writes, to a row that it deletes or that is not there. */
static bool refers_to_nothing(const model *m, const object *o, const plan *p, const bool *deleted)
{
    const model_entity *e = model_entity_of(m, o->uid);

    for (int c = 0; c < e->column_count; c++) {
        int32_t target = o->v.c[c];
        if (e->columns[c].kind != COL_REF || target == NONE || (o->state != OBJ_NEW && target == o->b.c[c]))
            continue;
        if (deleted[target] || !p->after.present[target])
            return true;
    }
    return false;
}

/*
 * Rows that restrict each other in a circle, or are reached by a cascade and deleted besides, in an order that is the
 * planner's.
 */
static bool is_circle(const model *m, const tables *t, int uid, const bool *deleted)
{
    bool seen[UIDS] = { false };
    int todo[UIDS], count = 0;

    todo[count++] = uid;
    while (count > 0) {
        int at = todo[--count];
        const model_entity *e = model_entity_of(m, at);
        for (int c = 0; c < e->column_count; c++) {
            int32_t next = e->columns[c].kind == COL_REF ? t->row[at].c[c] : NONE;
            if (next == NONE || !deleted[next] || e->columns[c].on_delete == NX_ON_DELETE_SET_NULL)
                continue;
            if (next == uid)
                return true;
            if (!seen[next])
                todo[count++] = next;
            seen[next] = true;
        }
    }
    return false;
}

/* A unique value passes from one row to another. */
static bool has_unique_hazard(const model *m, const tables *before, const tables *after)
{
    for (int u = 0; u < m->uid_count; u++) {
        const model_entity *e = model_entity_of(m, u);
        for (int c = 0; after->present[u] && c < e->column_count; c++)
            for (int other = 0; e->columns[c].unique && other < m->uid_count; other++)
                if (other != u && before->present[other] && m->entity_of[other] == m->entity_of[u] &&
                    after->row[u].c[c] != NONE && before->row[other].c[c] == after->row[u].c[c])
                    return true;
    }
    return false;
}

static void plan_deletions(const model *m, const root *r, const object *only, plan *p, const bool *deleted, const tables *before)
{
    for (int i = 0; i < r->now.count; i++) {
        const object *o = &r->now.objects[i];
        if (o->state != OBJ_DELETING || (only != NULL && o != only))
            continue;
        p->race = p->race || is_lost(m, o, before);
        p->hazard = p->hazard || is_circle(m, before, o->uid, deleted);
        model_delete(m, &p->after, o->uid);
    }
    for (int i = 0; i < r->now.count; i++) { /* deleted and made again under one key */
        const object *o = &r->now.objects[i];
        if (o->state == OBJ_NEW && deleted[o->uid] && (only == NULL || o == only))
            plan_insert(m, o, p);
    }
}

static void plan_begin(const model *m, const root *r, plan *p)
{
    *p = (plan){ .rows = 0 };
    for (int u = 0; u < m->uid_count; u++) {
        const tables *from = model_view(m, r, model_entity_of(m, u)->database);
        p->after.present[u] = from->present[u];
        p->after.row[u] = from->row[u];
    }
    for (int d = 0; d < DATABASES; d++)
        p->after.traps[d] = r->open[d] ? r->now.tables.traps[d] : 0;
}

/* It refers to the object that had the key before, which is gone or goes: that is refused. */
static bool refers_to_earlier(const model *m, const root *r, const object *o)
{
    const model_entity *e = model_entity_of(m, o->uid);

    for (int c = 0; c < e->column_count; c++)
        for (int i = 0; e->columns[c].kind == COL_REF && i < r->now.count; i++) {
            const object *target = &r->now.objects[i];
            if (target->uid == o->v.c[c] && (target->state == OBJ_DEAD || target->state == OBJ_DELETING))
                return true;
        }
    return false;
}

void model_plan(const model *m, const root *r, const object *only, plan *p)
{
    bool deleted[UIDS] = { false };

    plan_begin(m, r, p);
    tables before = p->after;
    for (int i = 0; i < r->now.count; i++) {
        const object *o = &r->now.objects[i];
        if ((only != NULL && o != only) || !model_is_pending(m, o))
            continue;
        p->rows++;
        p->touches[model_entity_of(m, o->uid)->database] = true;
        if (o->state == OBJ_DELETING)
            deleted[o->uid] = true;
    }
    for (int i = 0; i < r->now.count; i++) {
        const object *o = &r->now.objects[i];
        if ((only != NULL && o != only) || !model_is_pending(m, o))
            continue;
        p->hazard = p->hazard || (o->state != OBJ_DELETING && refers_to_earlier(m, r, o));
        if (o->state == OBJ_NEW && deleted[o->uid]) {
            p->hazard = true; /* one key, deleted and made again */
            p->after.present[o->uid] = false;
        }
        if (o->state == OBJ_NEW)
            plan_insert(m, o, p);
        else if (o->state == OBJ_STORED)
            plan_update(m, o, p);
    }
    for (int i = 0; i < r->now.count; i++) {
        const object *o = &r->now.objects[i];
        if ((only == NULL || o == only) && model_is_pending(m, o) && o->state != OBJ_DELETING)
            p->constraint = p->constraint || refers_to_nothing(m, o, p, deleted);
    }
    tables written = p->after;
    plan_deletions(m, r, only, p, deleted, &before);
    for (int i = 0; i < r->now.count; i++) { /* made, and taken by the cascade of a deletion */
        const object *o = &r->now.objects[i];
        if (o->state == OBJ_NEW && (only == NULL || o == only) && !p->after.present[o->uid] && written.present[o->uid])
            p->hazard = true;
    }
    p->constraint = p->constraint || model_is_broken(m, &p->after);
    p->hazard = p->hazard || has_unique_hazard(m, &before, &p->after);
}

/* ------------------------------------------------------------------------------------------ it was done */

static void written(const model *m, object *o)
{
    const model_entity *e = model_entity_of(m, o->uid);

    if (o->state == OBJ_DELETING) {
        o->state = OBJ_DEAD;
        o->deleted = true;
        return;
    }
    if (o->state == OBJ_NEW) {
        o->inserted = true;
        o->lazy = true;
        o->state = OBJ_STORED;
        o->kept = o->read = o->v;
    } else if (e->version >= 0) {
        o->v.c[e->version] = o->also.c[e->version] = o->b.c[e->version] + 1;
    }
    for (int c = 0; c < e->column_count; c++)
        if (e->columns[c].kind != COL_VOLATILE)
            o->b.c[c] = o->v.c[c];
}

void model_open(model *m, root *r, int database)
{
    r->unsure[database] = false;
    if (r->open[database])
        return;
    r->open[database] = true;
    for (int u = 0; u < m->uid_count; u++)
        if (model_entity_of(m, u)->database == database) {
            r->now.tables.present[u] = m->committed.present[u];
            r->now.tables.row[u] = m->committed.row[u];
        }
    r->now.tables.traps[database] = 0;
}

/* What the database did to rows that the session knows: deleted by a cascade, references cleared, defaults. */
static void look_at_effects(const model *m, root *r)
{
    for (int i = 0; i < r->now.count; i++) {
        object *o = &r->now.objects[i];
        const model_entity *e = model_entity_of(m, o->uid);
        const cells *row = &r->now.tables.row[o->uid];
        if (o->state != OBJ_STORED || o->mute || o->gone || !r->open[e->database])
            continue;
        if (!r->now.tables.present[o->uid])
            continue;
        for (int c = 0; c < e->column_count; c++) {
            if (e->columns[c].kind != COL_REF && e->columns[c].kind != COL_DEFAULT)
                continue;
            if (o->v.c[c] == o->b.c[c] && row->c[c] != o->v.c[c]) {
                o->also.c[c] = row->c[c];
                o->expired = true;
            }
        }
    }
}

void model_flushed(model *m, root *r, const object *only, const plan *p)
{
    for (int d = 0; d < DATABASES; d++)
        if (p->touches[d])
            model_open(m, r, d);
    tables before = r->now.tables;
    r->now.tables = p->after;
    for (int i = 0; i < r->now.count; i++) {
        object *o = &r->now.objects[i];
        if (model_is_pending(m, o) && (only == NULL || o == only))
            written(m, o);
        if (o->state == OBJ_STORED && !o->inserted && before.present[o->uid] && !p->after.present[o->uid])
            o->gone = true;
        if (o->inserted && o->state == OBJ_STORED && !p->after.present[o->uid])
            o->gone = true;
    }
    look_at_effects(m, r);
}
