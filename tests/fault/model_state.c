/*
 * model_state - the naive state: what tables and objects hold after each step. See model.h.
 */
#include "model.h"

void model_init(model *m)
{
    *m = (model){ .uid_count = 0 };
    for (int e = 0; e < ENTITIES; e++)
        for (int s = 0; s < SLOTS && entities[e].key != KEY_AUTO; s++)
            (void)model_uid(m, e, s);
}

int model_uid(model *m, int entity, int slot)
{
    if (entities[entity].key != KEY_AUTO)
        for (int u = 0; u < m->uid_count; u++)
            if (m->entity_of[u] == entity && m->slot_of[u] == slot)
                return u;
    if (m->uid_count == UIDS)
        return -1;
    m->entity_of[m->uid_count] = entity;
    m->slot_of[m->uid_count] = slot;
    return m->uid_count++;
}

const model_entity *model_entity_of(const model *m, int uid)
{
    return &entities[m->entity_of[uid]];
}

object *model_object(model *m, root *r, int entity, int slot)
{
    for (int i = r->now.count - 1; i >= 0; i--) {
        object *o = &r->now.objects[i];
        if (m->entity_of[o->uid] == entity && m->slot_of[o->uid] == slot && o->state != OBJ_DEAD)
            return o->gone || o->mute ? NULL : o;
    }
    return NULL;
}

object *model_object_of_row(root *r, const void *row)
{
    for (int i = r->now.count - 1; i >= 0; i--)
        if (r->now.objects[i].row == row)
            return &r->now.objects[i];
    return NULL;
}

object *model_object_of_uid(root *r, int uid)
{
    for (int i = r->now.count - 1; i >= 0; i--)
        if (r->now.objects[i].uid == uid && r->now.objects[i].state != OBJ_DEAD)
            return &r->now.objects[i];
    return NULL;
}

int model_find(const model *m, const tables *t, int entity, int slot)
{
    for (int u = m->uid_count - 1; u >= 0; u--)
        if (t->present[u] && m->entity_of[u] == entity && m->slot_of[u] == slot)
            return u;
    return -1;
}

/* A key of the database may be given out again when its row is gone: the row that is there comes first. */
int model_uid_of_key(const model *m, const tables *t, int entity, int64_t key)
{
    int found = -1;

    for (int u = m->uid_count - 1; u >= 0; u--) {
        if (m->entity_of[u] != entity || m->key_of[u] != key)
            continue;
        if (t->present[u])
            return u;
        found = found < 0 ? u : found;
    }
    return found;
}

bool model_key_is_anothers(const model *m, const tables *t, int uid)
{
    if (entities[m->entity_of[uid]].key != KEY_AUTO || m->key_of[uid] <= 0)
        return false;
    int owner = model_uid_of_key(m, t, m->entity_of[uid], m->key_of[uid]);
    return owner >= 0 && owner != uid;
}

const tables *model_view(const model *m, const root *r, int database)
{
    return r->open[database] ? &r->now.tables : &m->committed;
}

/* ------------------------------------------------------------------------------------------ what is pending */

static bool is_compared(const model_column *c, const object *o)
{
    switch ((int)c->kind) {
    case COL_VOLATILE:
    case COL_LOCAL:
    case COL_VERSION32:
    case COL_VERSION64: return false;
    case COL_LAZY: return o->lazy;
    default: return true;
    }
}

bool model_is_changed(const model *m, const object *o)
{
    const model_entity *e = model_entity_of(m, o->uid);

    if (o->state != OBJ_STORED || o->mute || o->gone)
        return false;
    for (int c = 0; c < e->column_count; c++)
        if (is_compared(&e->columns[c], o) && o->v.c[c] != o->b.c[c])
            return true;
    return false;
}

bool model_is_pending(const model *m, const object *o)
{
    return o->state == OBJ_NEW || o->state == OBJ_DELETING || model_is_changed(m, o);
}

bool model_has_pending(const model *m, const root *r)
{
    for (int i = 0; i < r->now.count; i++)
        if (model_is_pending(m, &r->now.objects[i]))
            return true;
    return false;
}

/* ------------------------------------------------------------------------------------------ tables */

void model_delete(const model *m, tables *t, int uid)
{
    if (!t->present[uid])
        return;
    t->present[uid] = false;
    for (int u = 0; u < m->uid_count; u++) {
        const model_entity *e = model_entity_of(m, u);
        for (int c = 0; t->present[u] && c < e->column_count; c++) {
            const model_column *column = &e->columns[c];
            if (column->kind != COL_REF || t->row[u].c[c] != uid)
                continue;
            if (column->on_delete == NX_ON_DELETE_SET_NULL)
                t->row[u].c[c] = NONE;
            else if (column->on_delete == NX_ON_DELETE_CASCADE)
                model_delete(m, t, u);
        }
    }
}

static bool is_twice(const model *m, const tables *t, int uid, int column)
{
    int32_t value = t->row[uid].c[column];

    for (int u = 0; value != NONE && u < uid; u++)
        if (t->present[u] && m->entity_of[u] == m->entity_of[uid] && t->row[u].c[column] == value)
            return true;
    return false;
}

bool model_is_broken(const model *m, const tables *t)
{
    for (int u = 0; u < m->uid_count; u++) {
        const model_entity *e = model_entity_of(m, u);
        for (int c = 0; t->present[u] && c < e->column_count; c++) {
            const model_column *column = &e->columns[c];
            int32_t value = t->row[u].c[c];
            if (column->kind == COL_REF && (value == NONE ? !column->optional : !t->present[value]))
                return true;
            if ((column->unique && is_twice(m, t, u, c)) || (column->checked && value < 0))
                return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------------------------ objects */

void model_read(const model *m, root *r, object *o, const tables *t, bool all)
{
    const model_entity *e = model_entity_of(m, o->uid);
    bool was_lazy = o->lazy;

    for (int c = 0; c < e->column_count; c++) {
        if (e->columns[c].kind == COL_LOCAL)
            continue;
        o->read.c[c] = t->row[o->uid].c[c];
        if (e->columns[c].kind == COL_LAZY && !all) {
            /* A lazy value that was loaded before may stay, go, or become the newer one. */
            o->also.c[c] = was_lazy ? t->row[o->uid].c[c] : o->v.c[c];
            continue;
        }
        o->v.c[c] = o->b.c[c] = o->also.c[c] = t->row[o->uid].c[c];
        if (e->columns[c].kind == COL_LAZY)
            o->lazy = true;
    }
    if (!r->open[e->database] || o->mute)
        o->kept = o->read;
    o->expired = o->mute = false;
}

void model_close(root *r)
{
    for (int d = 0; d < DATABASES; d++)
        r->open[d] = r->unsure[d] = false;
    r->aborted = r->at_once = r->at_once_is_sure = false;
}

void model_committed(model *m, root *r)
{
    for (int u = 0; u < m->uid_count; u++) {
        if (!r->open[model_entity_of(m, u)->database])
            continue;
        m->committed.present[u] = r->now.tables.present[u];
        m->committed.row[u] = r->now.tables.row[u];
    }
    for (int i = 0; i < r->now.count; i++) {
        object *o = &r->now.objects[i];
        if (!r->open[model_entity_of(m, o->uid)->database])
            continue;
        o->inserted = o->deleted = false;
        o->kept = o->read = o->b;
    }
    model_close(r);
}

/* A new row again: its key of the database is cleared; what the database made of it may stand there. */
static void new_again(const model *m, object *o)
{
    const model_entity *e = model_entity_of(m, o->uid);

    o->state = OBJ_NEW;
    o->inserted = o->deleted = o->gone = false;
    for (int c = 0; c < e->column_count; c++)
        if (e->columns[c].kind == COL_DEFAULT || c == e->version)
            o->also.c[c] = e->columns[c].kind == COL_DEFAULT ? NONE : 0;
}

static void stored_again(const model *m, object *o, bool keep_pending)
{
    const model_entity *e = model_entity_of(m, o->uid);

    for (int c = 0; c < e->column_count; c++) {
        if (e->columns[c].kind == COL_LOCAL || e->columns[c].kind == COL_VOLATILE) {
            o->also.c[c] = o->kept.c[c];
        } else if (keep_pending && c != e->version) {
            o->also.c[c] = o->kept.c[c];
            o->b.c[c] = o->kept.c[c];
        } else {
            o->also.c[c] = o->read.c[c];
            o->v.c[c] = o->b.c[c] = o->kept.c[c];
        }
    }
    o->state = OBJ_STORED;
    o->deleted = o->gone = false;
    o->expired = true;
}

void model_rolled_back(model *m, root *r, bool keep_pending)
{
    for (int i = 0; i < r->now.count; i++) {
        object *o = &r->now.objects[i];
        if (o->state == OBJ_DEAD && !o->deleted && !o->inserted)
            continue;
        if (o->inserted || o->state == OBJ_NEW)
            new_again(m, o);
        else
            stored_again(m, o, keep_pending);
    }
    r->now.tables = m->committed;
    model_close(r);
}

void model_nested_undone(model *m, root *r, int level)
{
    picture *before = &r->begin[level];

    for (int i = before->count; i < r->now.count; i++) {
        object *o = &r->now.objects[i];
        if (o->state == OBJ_NEW || o->inserted)
            o->state = OBJ_DEAD; /* made here: forgotten */
        else if (o->state != OBJ_DEAD || o->deleted)
            o->state = OBJ_STORED;
        o->inserted = o->deleted = o->gone = false;
        o->mute = o->expired = true;
    }
    for (int i = 0; i < before->count; i++) {
        object *o = &r->now.objects[i];
        int32_t local[COLUMNS];
        memcpy(local, o->v.c, sizeof(local));
        *o = before->objects[i];
        o->expired = o->expired || o->state == OBJ_STORED;
        const model_entity *e = model_entity_of(m, o->uid);
        o->also = o->v;
        for (int c = 0; c < e->column_count; c++)
            if (e->columns[c].kind == COL_LOCAL || e->columns[c].kind == COL_VOLATILE)
                o->also.c[c] = local[c];
    }
    for (int u = 0; u < m->uid_count; u++) {
        const tables *from = before->open[model_entity_of(m, u)->database] ? &before->tables : &m->committed;
        r->now.tables.present[u] = from->present[u];
        r->now.tables.row[u] = from->row[u];
    }
    for (int d = 0; d < DATABASES; d++)
        r->now.tables.traps[d] = before->open[d] ? before->tables.traps[d] : 0;
    for (int d = 0; d < DATABASES; d++)
        r->unsure[d] = r->unsure[d] || (r->open[d] && !before->open[d]);
}
