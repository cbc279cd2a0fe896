/*
 * entity - descriptors made at run time, and rows seen by column handle.
 */
#include "engine/row.h"
#include "engine/types.h"

#include <pthread.h>
#include <stdalign.h>

/* ------------------------------------------------------- memory of run-time descriptors */

/*
 * Descriptors belong to no loop, so they share a memory of their own, which lives as long as one of them does.
 * Sync: the mutex.
 */
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static nxi_memory *shared_memory;
static size_t shared_users;

static nxi_memory *shared_get(void)
{
    nxi_memory *memory;

    (void)pthread_mutex_lock(&shared_lock);
    if (shared_memory == NULL)
        shared_memory = nxi_memory_new(0);
    memory = shared_memory;
    if (memory != NULL)
        shared_users++;
    (void)pthread_mutex_unlock(&shared_lock);
    return memory;
}

static void shared_put(void)
{
    nxi_memory *memory = NULL;

    (void)pthread_mutex_lock(&shared_lock);
    NX_ASSERT(shared_users != 0);
    if (--shared_users == 0) {
        memory = shared_memory;
        shared_memory = NULL;
    }
    (void)pthread_mutex_unlock(&shared_lock);
    nxi_memory_free(memory);
}

/* The descriptor is the first member: users hold its address. Everything lies in the arena, this struct too. */
typedef struct made_entity {
    nx_entity entity;
    nxi_arena arena;
} made_entity;

/* ------------------------------------------------------------------------------ copies */

/* A NULL stays NULL; false: out of memory. */
static bool copy_string(nxi_arena *arena, const char **text)
{
    if (*text == NULL)
        return true;
    *text = nxi_arena_str(arena, *text);
    return *text != NULL;
}

static bool copy_list(nxi_arena *arena, const char *const **list)
{
    const char **copy;
    size_t count = 0;

    if (*list == NULL)
        return true;
    while ((*list)[count] != NULL)
        count++;
    copy = NXI_ARENA_ARRAY(arena, const char *, count + 1);
    if (copy == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        copy[i] = (*list)[i];
        if (!copy_string(arena, &copy[i]))
            return false;
    }
    *list = copy;
    return true;
}

static bool copy_field_texts(nxi_arena *arena, nx_field *field)
{
    return copy_string(arena, &field->name) && copy_string(arena, &field->column) && copy_string(arena, &field->sql_type) &&
           copy_string(arena, &field->sql_default) && copy_string(arena, &field->initial) && copy_string(arena, &field->min) &&
           copy_string(arena, &field->max) && copy_list(arena, &field->labels) && copy_string(arena, &field->reverse) &&
           copy_string(arena, &field->join_table) && copy_string(arena, &field->fk_name);
}

static bool copy_options(nxi_arena *arena, nx_entity *entity)
{
    return copy_string(arena, &entity->name) && copy_string(arena, &entity->table) && copy_list(arena, &entity->indexes) &&
           copy_list(arena, &entity->uniques) && copy_string(arena, &entity->discriminator) &&
           copy_string(arena, &entity->discriminator_value);
}

/* ------------------------------------------------------------------------------ layout */

typedef struct layout {
    size_t size, align;
} layout;

/* Size and alignment of a field's member; false: nothing of that type can be stored. */
static bool layout_of(const nx_field *field, layout *ret_layout)
{
    const nxi_type_info *info;

    switch (field->kind) {
    case NX_KIND_SINGLE:
        *ret_layout = (layout){sizeof(nx_reference), alignof(nx_reference)};
        return field->target != NULL;
    case NX_KIND_SET:
        *ret_layout = (layout){sizeof(nx_set), alignof(nx_set)};
        return field->target != NULL;
    case NX_KIND_LOCAL:
        if (!nxi_type_is_scalar(field->type)) {
            *ret_layout = (layout){field->size, alignof(max_align_t)};
            return field->size != 0 && field->size <= UINT32_MAX;
        }
        break;
    case NX_KIND_PK:
    case NX_KIND_REQ:
    case NX_KIND_OPT:
        if (!nxi_type_is_scalar(field->type))
            return false;
        break;
    default:
        return false;
    }
    info = &nxi_types[field->type];
    *ret_layout = (layout){info->size, info->align};
    if (field->kind == NX_KIND_OPT)
        *ret_layout = (layout){info->optional_size, info->optional_align};
    return true;
}

/* Types follow from the kind where the kind has only one. */
static nx_type stored_type(const nx_field *field)
{
    if (field->kind == NX_KIND_SINGLE)
        return NX_TYPE_key;
    if (field->kind == NX_KIND_SET)
        return NX_TYPE_set;
    return field->kind == NX_KIND_LOCAL ? NX_TYPE_null : field->type;
}

static bool is_named_once(const nx_field *fields, size_t index)
{
    if (fields[index].name == NULL || fields[index].name[0] == '\0')
        return false;
    for (size_t i = 0; i < index; i++) {
        if (strcmp(fields[i].name, fields[index].name) == 0)
            return false;
    }
    return true;
}

/* Places the members one after another; offsets are those a compiler would give the same struct. */
static nx_status place_fields(nx_entity *entity, nx_field *fields)
{
    size_t offset = 0, align_max = 1;

    for (size_t i = 0; i < entity->field_count; i++) {
        layout one;

        if (!is_named_once(fields, i) || !layout_of(&fields[i], &one))
            return NX_EINVAL;
        offset = (offset + one.align - 1) / one.align * one.align;
        fields[i].offset = offset;
        fields[i].size = one.size;
        fields[i].type = stored_type(&fields[i]);
        if (!nxi_add_size(offset, one.size, &offset) || offset > UINT32_MAX)
            return NX_EINVAL;
        align_max = nxi_max_size(align_max, one.align);
    }
    entity->row_size = (offset + align_max - 1) / align_max * align_max;
    return NX_OK;
}

/* ------------------------------------------------------------------------------ public */

/* A field that refers to `options` refers to the descriptor being made: how an entity points to itself. */
static nx_status fill_entity(made_entity *made, const nx_field *fields, const nx_entity *options)
{
    nx_entity *entity = &made->entity;
    nx_field *copy = NXI_ARENA_ARRAY(&made->arena, nx_field, entity->field_count);
    nx_status status;

    if (copy == NULL)
        return NX_ENOMEM;
    memcpy(copy, fields, entity->field_count * sizeof(*copy));
    entity->fields = copy;
    status = place_fields(entity, copy);
    if (status != NX_OK)
        return status;
    for (size_t i = 0; i < entity->field_count; i++) {
        if (copy[i].target != NULL && copy[i].target == options)
            copy[i].target = entity;
        if (!copy_field_texts(&made->arena, &copy[i]))
            return NX_ENOMEM;
    }
    return copy_options(&made->arena, entity) ? NX_OK : NX_ENOMEM;
}

nx_status nx_entity_new(const char *name, const nx_field *fields, size_t field_count, const nx_entity *options,
                        nx_entity **ret_entity)
{
    made_entity *made;
    nxi_memory *memory;
    nxi_arena arena;
    nx_status status;

    if (name == NULL || name[0] == '\0' || fields == NULL || field_count == 0 || field_count >= UINT16_MAX || ret_entity == NULL)
        return NX_EINVAL;
    memory = shared_get();
    if (memory == NULL)
        return NX_ENOMEM;
    nxi_arena_init(&arena, memory);
    made = NXI_ARENA_NEW(&arena, made_entity);
    if (made == NULL) {
        nxi_arena_fini(&arena);
        shared_put();
        return NX_ENOMEM;
    }
    made->arena = arena; /* from here on the only one; the local copy is stale */
    if (options != NULL)
        made->entity = *options;
    made->entity.name = name;
    made->entity.field_count = field_count;
    status = fill_entity(made, fields, options);
    if (status != NX_OK) {
        nx_entity_free(&made->entity);
        return status;
    }
    *ret_entity = &made->entity;
    return NX_OK;
}

void nx_entity_free(nx_entity *entity)
{
    nxi_arena arena;

    if (entity == NULL)
        return;
    arena = NXI_CONTAINER(entity, made_entity, entity)->arena;
    nxi_arena_fini(&arena);
    shared_put();
}

nx_column nx_column_of(const nx_entity *entity, const char *field_name)
{
    if (entity != NULL && field_name != NULL) {
        for (size_t i = 0; i < entity->field_count; i++) {
            if (strcmp(entity->fields[i].name, field_name) == 0)
                return (nx_column){entity, (uint16_t)i};
        }
    }
    return (nx_column){entity, UINT16_MAX};
}

/* NX_ENOFIELD: a column of another entity; NX_ETYPE: a field that holds no single value. */
static nx_status find_column(const void *row, nx_column column, const nxi_column **ret_column)
{
    const nxi_table *table;
    const nxi_column *found;

    if (row == NULL)
        return NX_EINVAL;
    table = nxi_row_of(row)->table;
    if (column.entity != table->entity || column.field >= table->entity->field_count)
        return NX_ENOFIELD;
    if (table->field_column[column.field] == UINT16_MAX)
        return NX_ETYPE;
    found = &table->columns[table->field_column[column.field]];
    if (found->form == NXI_FORM_REFERENCE && found->target->key_count != 1)
        return NX_ETYPE;
    *ret_column = found;
    return NX_OK;
}

nx_status nx_row_get(const void *row, nx_column column, nx_value *ret_value)
{
    const nxi_column *found;
    nx_status status = find_column(row, column, &found);

    if (status != NX_OK)
        return status;
    if (!nx_row_is_loaded(row, column))
        return NX_ESTATE;
    *ret_value = nx_null();
    nxi_column_get(found, row, ret_value);
    return NX_OK;
}

nx_status nxi_row_set(void *row, nx_column column, nx_value value)
{
    const nxi_column *found, *typed;
    nx_status status = find_column(row, column, &found);
    bool done;

    if (status != NX_OK)
        return status;
    for (typed = found; typed->target_column != NULL;)
        typed = typed->target_column; /* the labels stand with the key itself */
    /* Without an arena only conversions that need no new text are possible; there is none that the row would own. */
    status = nxi_value_convert(NULL, found->type, typed->field->labels, &value);
    if (status != NX_OK)
        return status;
    if (value.type == NX_TYPE_null && !found->nullable)
        return NX_EREQUIRED;
    done = nxi_column_set(found, row, value, NULL);
    NX_ASSERT(done); /* only composite references need memory */
    if (found->lazy)
        nxi_row_of(row)->lazy_missing &= ~(UINT32_C(1) << found->lazy_bit);
    return NX_OK;
}

const nx_entity *nx_row_entity(const void *row)
{
    return row == NULL ? NULL : nxi_row_of(row)->table->entity;
}

bool nx_row_is_loaded(const void *row, nx_column column)
{
    const nxi_table *table;
    const nxi_column *found;

    if (row == NULL)
        return false;
    table = nxi_row_of(row)->table;
    if (column.entity != table->entity || column.field >= table->entity->field_count)
        return false;
    if (table->field_column[column.field] == UINT16_MAX)
        return true; /* not stored, so there is nothing to load */
    found = &table->columns[table->field_column[column.field]];
    return !found->lazy || (nxi_row_of(row)->lazy_missing >> found->lazy_bit & 1) == 0;
}
