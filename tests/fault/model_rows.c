/*
 * model_rows - steps on rows in memory (new, set, refer, delete), members as integers, and the comparison of objects.
 */
#include "model_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { CODE_BASE = 100, TEXT_SIZE = 16 };

/* ------------------------------------------------------------------------------------------ members and keys */

/* A text in memory of its own: the library may look at it until the flush that writes it has completed. */
static nx_text text_of(world *w, root *r, const char *prefix, int number)
{
    if (r->text_count == (int)(sizeof(r->texts) / sizeof(r->texts[0])))
        model_fail(w, "model", "too many texts");
    char *text = malloc(TEXT_SIZE);
    snprintf(text, TEXT_SIZE, "%s%d", prefix, number);
    r->texts[r->text_count++] = text;
    return nx_str(text);
}

static int32_t number_of_text(nx_text text)
{
    return text.data == NULL || text.size < 2 ? NONE : atoi(text.data + 1);
}

int64_t model_auto_key(const object *o, const model_entity *e)
{
    (void)e;
    return *(const int64_t *)o->row; /* the key is the first member */
}

/* expected: the row that should stand there, if any: it is taken where its key fits. */
static int uid_of_key(world *w, const root *r, int entity, const nx_key *key, int expected)
{
    const nx_value *first = key->part_count > 1 ? &key->parts[0] : &key->value;

    if (key->part_count == 0)
        return NONE;
    switch ((int)entities[entity].key) {
    case KEY_AUTO:
        if (expected >= 0 && w->m.key_of[expected] == first->i64)
            return expected;
        return model_uid_of_key(&w->m, model_view(&w->m, r, entities[entity].database), entity, first->i64);
    case KEY_NUMBER: return model_uid(&w->m, entity, (int)first->i64 - CODE_BASE);
    case KEY_TEXT: return model_uid(&w->m, entity, number_of_text(first->text));
    default: return model_uid(&w->m, entity, 2 * number_of_text(first->text) + (int)key->parts[1].i64);
    }
}

int model_uid_of_row(world *w, const root *r, const void *row, int entity)
{
    const nx_text *text = row;

    switch ((int)entities[entity].key) {
    case KEY_AUTO:
        return model_uid_of_key(&w->m, model_view(&w->m, r, entities[entity].database), entity, *(const int64_t *)row);
    case KEY_NUMBER: return model_uid(&w->m, entity, (int)*(const int64_t *)row - CODE_BASE);
    case KEY_TEXT: return model_uid(&w->m, entity, number_of_text(*text));
    default: return model_uid(&w->m, entity, 2 * number_of_text(*text) + *(const int32_t *)(text + 1));
    }
}

int32_t model_member(world *w, root *r, const object *o, int column)
{
    const model_column *c = &model_entity_of(&w->m, o->uid)->columns[column];
    const void *member = (const char *)o->row + c->offset;
    const nx_opt_i32 *number = member;
    const nx_opt_text *text = member;
    const nx_reference *reference = member;

    switch ((int)c->kind) {
    case COL_NUMBER:
    case COL_VOLATILE:
    case COL_DEFAULT: return number->present ? number->value : NONE;
    case COL_NAME: return number_of_text(*(const nx_text *)member);
    case COL_LAZY: return text->present ? number_of_text(text->value) : NONE;
    case COL_VERSION64: return (int32_t)*(const int64_t *)member;
    case COL_REF:
        if (reference->row != NULL) {
            const object *target = model_object_of_row(r, reference->row);
            return target == NULL ? -2 : target->uid;
        }
        return uid_of_key(w, r, c->target, &reference->key, o->v.c[column]);
    default: return *(const int32_t *)member;
    }
}

const nx_expr *model_key_condition(const model *m, int uid)
{
    static char text[TEXT_SIZE];
    static nx_expr parts[3];
    static const nx_expr *list[3] = { &parts[1], &parts[2], NULL };
    const model_entity *e = model_entity_of(m, uid);
    int slot = m->slot_of[uid];

    for (int i = 0; i < 3; i++)
        parts[i] = (nx_expr){ .verb = NX_VERB_EQ, .path = nx_path_column(nx_column_of(e->entity, e->key_sql[i == 2])) };
    snprintf(text, sizeof(text), "%s%d", e->key == KEY_PAIR ? "r" : "w", e->key == KEY_PAIR ? slot / 2 : slot);
    parts[0].value = e->key == KEY_AUTO     ? nx_value_i64(m->key_of[uid])
                     : e->key == KEY_NUMBER ? nx_value_i64(CODE_BASE + slot)
                                            : nx_value_str(text);
    if (e->key != KEY_PAIR)
        return &parts[0];
    parts[1].value = nx_value_str(text);
    parts[2].value = nx_value_i64(slot % 2);
    parts[0] = (nx_expr){ .verb = NX_VERB_AND, .parts = list };
    return &parts[0];
}

void model_key_sql(const model *m, int uid, char *buffer, size_t size)
{
    int slot = m->slot_of[uid];

    switch ((int)model_entity_of(m, uid)->key) {
    case KEY_AUTO: snprintf(buffer, size, "id = %" PRId64, m->key_of[uid]); break;
    case KEY_NUMBER: snprintf(buffer, size, "id = %d", CODE_BASE + slot); break;
    case KEY_TEXT: snprintf(buffer, size, "word = 'w%d'", slot); break;
    default: snprintf(buffer, size, "region = 'r%d' AND num = %d", slot / 2, slot % 2); break;
    }
}

void model_key_code(const model *m, int uid, bool condition, char *buffer, size_t size)
{
    const model_entity *e = model_entity_of(m, uid);
    int slot = m->slot_of[uid];
    char key[2][32];

    snprintf(key[1], sizeof(key[1]), "%d", slot % 2);
    switch ((int)e->key) {
    case KEY_AUTO: snprintf(key[0], sizeof(key[0]), "%" PRId64, m->key_of[uid]); break;
    case KEY_NUMBER: snprintf(key[0], sizeof(key[0]), "%d", CODE_BASE + slot); break;
    case KEY_TEXT: snprintf(key[0], sizeof(key[0]), "\"w%d\"", slot); break;
    default: snprintf(key[0], sizeof(key[0]), "\"r%d\"", slot / 2); break;
    }
    if (!condition)
        snprintf(buffer, size, "nx_args(%s%s%s)", key[0], e->key == KEY_PAIR ? ", " : "", e->key == KEY_PAIR ? key[1] : "");
    else if (e->key == KEY_PAIR)
        snprintf(buffer, size, "nx_and(nx_eq(%s_.region, %s), nx_eq(%s_.num, %s))", e->name, key[0], e->name, key[1]);
    else
        snprintf(buffer, size, "nx_eq(%s_.%s, %s)", e->name, e->key_sql[0], key[0]);
}

/* ------------------------------------------------------------------------------------------ setting members */

static void set_key(world *w, root *r, object *o)
{
    const model_entity *e = model_entity_of(&w->m, o->uid);
    int slot = w->m.slot_of[o->uid];
    nx_text *text = o->row;
    char name[32];

    model_row_name(w, r, o->uid, name);
    if (e->key == KEY_NUMBER) {
        *(int64_t *)o->row = CODE_BASE + slot;
        model_say(w, "%s->id = %d;", name, CODE_BASE + slot);
    } else if (e->key == KEY_TEXT) {
        *text = text_of(w, r, "w", slot);
        model_say(w, "%s->word = TEXT(\"w%d\");", name, slot);
    } else if (e->key == KEY_PAIR) {
        *text = text_of(w, r, "r", slot / 2);
        *(int32_t *)(text + 1) = slot % 2;
        model_say(w, "%s->region = TEXT(\"r%d\"); %s->num = %d;", name, slot / 2, name, slot % 2);
    }
}

static void set_value(world *w, root *r, object *o, int column, int value)
{
    const model_column *c = &model_entity_of(&w->m, o->uid)->columns[column];
    void *member = (char *)o->row + c->offset;
    char name[32];

    model_row_name(w, r, o->uid, name);
    o->v.c[column] = o->also.c[column] = value;
    switch ((int)c->kind) {
    case COL_NUMBER:
    case COL_VOLATILE:
    case COL_DEFAULT:
        *(nx_opt_i32 *)member = value == NONE ? nx_none(i32) : nx_some(i32, value);
        if (value == NONE)
            model_say(w, "%s->%s = nx_none(i32);", name, c->name);
        else
            model_say(w, "%s->%s = nx_some(i32, %d);", name, c->name, value);
        break;
    case COL_NAME:
        *(nx_text *)member = text_of(w, r, "t", value);
        model_say(w, "%s->%s = TEXT(\"t%d\");", name, c->name, value);
        break;
    case COL_LAZY:
        *(nx_opt_text *)member = value == NONE ? nx_none(text) : nx_some(text, text_of(w, r, "t", value));
        if (value == NONE)
            model_say(w, "%s->%s = nx_none(text);", name, c->name);
        else
            model_say(w, "%s->%s = nx_some(text, TEXT(\"t%d\"));", name, c->name, value);
        break;
    default:
        *(int32_t *)member = value;
        model_say(w, "%s->%s = %d;", name, c->name, value);
    }
}

static void refer_by_key(world *w, root *r, nx_reference *reference, const char *member, int uid)
{
    const model *m = &w->m;
    const model_entity *e = model_entity_of(m, uid);
    int slot = m->slot_of[uid];

    reference->row = NULL;
    if (e->key == KEY_PAIR) {
        nx_value *parts = malloc(2 * sizeof(*parts));
        r->texts[r->text_count++] = (char *)parts;
        parts[0] = nx_value_text(text_of(w, r, "r", slot / 2));
        parts[1] = nx_value_i64(slot % 2);
        reference->key = (nx_key){ .parts = parts, .part_count = 2 };
        model_say(w, "%s.row = NULL; %s.key = (nx_key){.parts = PARTS(\"r%d\", %d), .part_count = 2};", member, member, slot / 2,
                  slot % 2);
        return;
    }
    nx_value key = e->key == KEY_AUTO     ? nx_value_i64(m->key_of[uid])
                   : e->key == KEY_NUMBER ? nx_value_i64(CODE_BASE + slot)
                                          : nx_value_text(text_of(w, r, "w", slot));
    reference->key = (nx_key){ .value = key, .part_count = 1 };
    if (e->key == KEY_TEXT)
        model_say(w, "nx_set_ref_key(%s, TEXT(\"w%d\"));", member, slot);
    else
        model_say(w, "nx_set_ref_key(%s, %" PRId64 ");", member, key.i64);
}

/* Let the row refer to that slot; false: there is no such row, or none that can be referred to so. */
static bool refer(world *w, root *r, object *o, int column, int slot, bool by_key)
{
    const model_column *c = &model_entity_of(&w->m, o->uid)->columns[column];
    nx_reference *reference = (nx_reference *)(void *)((char *)o->row + c->offset);
    const object *target = slot < 0 ? NULL : model_object(&w->m, r, c->target, slot);
    char name[32], member[64], other[32];
    int uid = target != NULL ? target->uid : NONE;

    snprintf(member, sizeof(member), "%s->%s", model_row_name(w, r, o->uid, name), c->name);
    if (slot < 0) {
        if (!c->optional)
            return false;
        nx_set_ref(*reference, NULL);
        model_say(w, "nx_set_ref(%s, NULL);", member);
    } else if (target != NULL && (!by_key || target->state == OBJ_NEW || target->inserted)) { /* its key may be undone */
        nx_set_ref(*reference, target->row);
        model_say(w, "nx_set_ref(%s, %s);", member, model_row_name(w, r, uid, other));
    } else {
        if (target == NULL)
            uid = model_find(&w->m, model_view(&w->m, r, entities[c->target].database), c->target, slot);
        if (uid < 0 || r->text_count > 250)
            return false;
        refer_by_key(w, r, reference, member, uid);
    }
    o->v.c[column] = o->also.c[column] = uid;
    return true;
}

/* ------------------------------------------------------------------------------------------ steps */

object *model_add_object(world *w, root *r, void *row, int uid, object_state state)
{
    if (r->now.count == OBJECTS)
        model_fail(w, "model", "too many objects");
    object *o = &r->now.objects[r->now.count++];
    *o = (object){ .row = row, .uid = uid, .state = state };
    for (int c = 0; c < COLUMNS; c++)
        o->v.c[c] = o->b.c[c] = o->read.c[c] = o->kept.c[c] = o->also.c[c] = NONE;
    for (int c = 0; c < model_entity_of(&w->m, uid)->column_count; c++)
        if (model_entity_of(&w->m, uid)->columns[c].kind == COL_LOCAL)
            o->v.c[c] = o->also.c[c] = 0;
    return o;
}

/* Whether a row of that slot can be made: the slot of a row with a key of the database is free everywhere. */
static bool is_free(world *w, const root *r, int entity, int slot)
{
    bool any_key = entities[entity].key == KEY_AUTO;

    for (int i = 0; i < ROOTS; i++) {
        const root *other = &w->m.roots[i];
        for (int k = 0; other->depth > 0 && k < other->now.count; k++) {
            const object *o = &other->now.objects[k];
            if (w->m.entity_of[o->uid] != entity || w->m.slot_of[o->uid] != slot)
                continue;
            if (o->state != OBJ_DEAD && (any_key || (other == r && o->state != OBJ_DELETING)))
                return false;
        }
        if (any_key && other->depth > 0 && model_find(&w->m, &other->now.tables, entity, slot) >= 0)
            return false;
    }
    return !any_key || model_find(&w->m, &w->m.committed, entity, slot) < 0;
}

static void step_new(world *w, root *r, const step *s)
{
    const model_entity *e = &entities[s->entity];
    char session[16], name[32], declared[64];

    if (!is_free(w, r, s->entity, s->slot) || r->now.count >= OBJECTS - 8 || r->text_count > 200)
        return;
    for (int c = 0; c < e->column_count; c++) { /* a required reference needs a row */
        const model_column *column = &e->columns[c];
        if (column->kind == COL_REF && !column->optional && model_object(&w->m, r, column->target, s->other) == NULL &&
            model_find(&w->m, model_view(&w->m, r, entities[column->target].database), column->target, s->other) < 0)
            return;
    }
    int uid = model_uid(&w->m, s->entity, s->slot);
    if (uid < 0)
        return;
    if (w->m.committed.present[uid] && model_object_of_uid(r, uid) == NULL)
        return; /* a read would bring a second object with that key: whose changes count is not laid down */
    model_say(w, "%s = nx_new(%s, %s);", model_declare(w, e->name, model_row_name(w, r, uid, name), declared),
              model_session_name(w, r, r->depth - 1, session), e->name);
    void *row = nx_new_row(model_innermost(r), e->entity);
    if (row == NULL)
        model_fail(w, "new", "nx_new_row: %s", nx_session_error(model_innermost(r))->message);
    object *o = model_add_object(w, r, row, uid, OBJ_NEW);
    o->lazy = true;
    set_key(w, r, o);
    for (int c = 0; c < e->column_count; c++) {
        switch ((int)e->columns[c].kind) {
        case COL_VERSION32:
        case COL_VERSION64:
        case COL_LOCAL: o->v.c[c] = o->also.c[c] = 0; break;
        case COL_REQUIRED: set_value(w, r, o, c, s->value); break;
        case COL_NAME: set_value(w, r, o, c, s->value >= 0 ? s->value : 50 + uid); break;
        case COL_NUMBER:
            if (s->value % 2 == 0)
                set_value(w, r, o, c, s->value);
            break;
        case COL_REF:
            if (!e->columns[c].optional)
                (void)refer(w, r, o, c, s->other, s->value % 3 == 0);
            break;
        default: break;
        }
    }
}

/* A row that was not read since others may have changed it: whether a write finds the race is not laid down. */
static bool is_stale(const world *w, const root *r, const object *o)
{
    const model_entity *e = model_entity_of(&w->m, o->uid);
    const tables *t = model_view(&w->m, r, e->database);

    return o->expired && e->version >= 0 && t->present[o->uid] && t->row[o->uid].c[e->version] != o->b.c[e->version];
}

static void step_set(world *w, root *r, const step *s)
{
    object *o = model_object(&w->m, r, s->entity, s->slot);
    const model_entity *e = &entities[s->entity];
    const model_column *c = &e->columns[s->column % e->column_count];
    int column = s->column % e->column_count, value = s->value == -9 ? NONE : s->value;

    if (o == NULL || o->state == OBJ_DELETING || is_stale(w, r, o) || r->text_count > 200)
        return;
    switch ((int)c->kind) {
    case COL_REF:
    case COL_VERSION32:
    case COL_VERSION64: return;
    case COL_REQUIRED:
    case COL_NAME:
    case COL_LOCAL: value = value == NONE ? 1 : value; break;
    case COL_LAZY:
        if (!o->lazy)
            return;
        break;
    case COL_DEFAULT: /* NULL in a new row is the default; a value that is not known cannot be seen to change */
        if (o->expired || o->also.c[column] != o->v.c[column])
            return;
        break;
    default: break;
    }
    set_value(w, r, o, column, value);
}

static void step_ref(world *w, root *r, const step *s)
{
    object *o = model_object(&w->m, r, s->entity, s->slot);
    const model_entity *e = &entities[s->entity];

    if (o == NULL || o->state == OBJ_DELETING || is_stale(w, r, o) || r->text_count > 200)
        return;
    for (int k = 0; k < e->column_count; k++) {
        int column = (s->column + k) % e->column_count;
        if (e->columns[column].kind == COL_REF) {
            (void)refer(w, r, o, column, s->value == -9 ? -1 : s->other, s->value % 2 == 0);
            return;
        }
    }
}

static void step_delete(world *w, root *r, const step *s)
{
    object *o = model_object(&w->m, r, s->entity, s->slot);
    char session[16], name[32];

    if (o == NULL || o->state == OBJ_DELETING || is_stale(w, r, o))
        return;
    model_say(w, "MUST_BE(nx_session_delete(%s, %s), NX_OK);", model_session_name(w, r, r->depth - 1, session),
              model_row_name(w, r, o->uid, name));
    nx_status status = nx_session_delete(model_innermost(r), o->row);
    if (status != NX_OK)
        model_fail(w, "delete", "nx_session_delete: %s", nx_status_name(status));
    o->state = o->state == OBJ_NEW ? OBJ_DEAD : OBJ_DELETING;
}

void model_step_rows(world *w, root *r, const step *s)
{
    switch (s->op) {
    case OP_NEW: step_new(w, r, s); break;
    case OP_SET: step_set(w, r, s); break;
    case OP_REF: step_ref(w, r, s); break;
    default: step_delete(w, r, s); break;
    }
}
