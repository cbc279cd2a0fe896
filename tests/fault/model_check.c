/*
 * model_check - objects compared with what the model says they hold.
 */
#include "model_world.h"

#include <inttypes.h>
#include <stdio.h>

/* What stands there is taken over where the model left a choice; a row that was clean stays so. */
static void compare_column(world *w, root *r, object *o, int column)
{
    const model_entity *e = model_entity_of(&w->m, o->uid);
    const model_column *c = &e->columns[column];

    if (c->kind == COL_LAZY && o->state != OBJ_NEW) {
        bool is_loaded = nx_row_is_loaded(o->row, c->column);
        if (!is_loaded && o->lazy && o->v.c[column] != o->b.c[column] && o->state != OBJ_DELETING)
            model_fail(w, "lazy", "%s %d: %s was set and is not loaded any more", e->name, o->uid, c->name);
        o->lazy = is_loaded;
        if (!is_loaded)
            return;
    }
    int32_t value = model_member(w, r, o, column);
    if (value != o->v.c[column] && value != o->also.c[column])
        model_fail(w, "object", "%s %d in session %d: %s is %d, not %d or %d (state %d)", e->name, o->uid, (int)(r - w->m.roots),
                   c->name, value, o->v.c[column], o->also.c[column], (int)o->state);
    if (o->v.c[column] == o->b.c[column])
        o->b.c[column] = value;
    o->v.c[column] = o->also.c[column] = value;
}

static void compare_key(world *w, const object *o)
{
    const model_entity *e = model_entity_of(&w->m, o->uid);

    if (e->key != KEY_AUTO)
        return;
    int64_t key = model_auto_key(o, e);
    if (o->state == OBJ_NEW && key != 0)
        model_fail(w, "key-cleared", "%s %d is new and has the key %" PRId64, e->name, o->uid, key);
    if (o->state != OBJ_NEW && key != w->m.key_of[o->uid])
        model_fail(w, "key", "%s %d has the key %" PRId64 ", not %" PRId64, e->name, o->uid, key, w->m.key_of[o->uid]);
}

void model_compare(world *w)
{
    for (int i = 0; i < ROOTS; i++) {
        root *r = &w->m.roots[i];
        for (int k = 0; r->depth > 0 && !r->aborted && k < r->now.count; k++) {
            object *o = &r->now.objects[k];
            if (o->state == OBJ_DEAD || o->mute || o->gone)
                continue;
            compare_key(w, o);
            for (int c = 0; c < model_entity_of(&w->m, o->uid)->column_count; c++)
                compare_column(w, r, o, c);
        }
    }
}
