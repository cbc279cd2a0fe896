/*
 * statement - the registry of SQL texts: shape in, statement out.
 */
#include "engine/statement.h"

/* A statement with the bytes that it is found by. */
typedef struct entry {
    nxi_statement statement; /* first: callers hold its address */
    size_t shape_size;
    const void *shape;
} entry;

typedef struct key {
    const void *shape;
    size_t size;
} key;

static uint64_t shape_hash(const void *shape, size_t size)
{
    return nxi_hash_bytes(shape, size, 0);
}

static bool shape_equal(const void *item, const void *wanted)
{
    const entry *e = item;
    const key *k = wanted;
    return e->shape_size == k->size && memcmp(e->shape, k->shape, k->size) == 0;
}

void nxi_statements_init(nxi_statements *statements, nxi_memory *memory)
{
    *statements = (nxi_statements){ .last_id = 0 };
    nxi_arena_init(&statements->arena, memory);
    nxi_map_init(&statements->map, memory);
}

void nxi_statements_fini(nxi_statements *statements)
{
    if (statements->list != NULL)
        nxi_release(statements->arena.memory, statements->list);
    nxi_map_fini(&statements->map);
    nxi_arena_fini(&statements->arena);
    statements->list = NULL;
    statements->list_capacity = 0;
    statements->last_id = 0;
    statements->raw_count = 0;
}

nxi_statement *nxi_statements_find(const nxi_statements *statements, const void *shape, size_t shape_size)
{
    entry *found = nxi_map_find(&statements->map, shape_hash(shape, shape_size), shape_equal, &(key){ shape, shape_size });
    return found == NULL ? NULL : &found->statement;
}

/* Room for one more in the list by id. */
static bool list_reserve(nxi_statements *statements)
{
    if (statements->last_id < statements->list_capacity)
        return true;
    size_t capacity = nxi_max_size(64, statements->list_capacity * 2);
    nxi_statement **list = nxi_resize(statements->arena.memory, statements->list, capacity * sizeof(*list));
    if (list == NULL)
        return false;
    statements->list = list;
    statements->list_capacity = capacity;
    return true;
}

/* NULL stays NULL; false: out of memory. */
static bool columns_copy(nxi_arena *arena, const nxi_column *const **columns, size_t count)
{
    if (*columns == NULL)
        return true;
    *columns = nxi_arena_copy(arena, *columns, count * sizeof(**columns));
    return *columns != NULL;
}

static const nxi_write_form *write_copy(nxi_arena *arena, const nxi_write_form *form)
{
    nxi_write_form *made = nxi_arena_copy(arena, form, sizeof(*form));
    if (made == NULL || !columns_copy(arena, &made->columns, made->column_count) ||
        !columns_copy(arena, &made->compare, made->compare_count) ||
        !columns_copy(arena, &made->conflict_key, made->conflict_key_count) ||
        !columns_copy(arena, &made->conflict_update, made->conflict_update_count))
        return NULL;
    return made;
}

static entry *entry_copy(nxi_arena *arena, const void *shape, size_t shape_size, const nxi_statement *prototype)
{
    entry *made = NXI_ARENA_NEW(arena, entry);
    if (made == NULL)
        return NULL;
    nxi_statement *s = &made->statement;
    *s = *prototype;
    made->shape_size = shape_size;
    made->shape = nxi_arena_copy(arena, shape, shape_size);
    s->sql = nxi_arena_text(arena, prototype->sql, prototype->sql_size);
    if (prototype->params != NULL)
        s->params = nxi_arena_copy(arena, prototype->params, prototype->param_count * sizeof(*s->params));
    bool copied = columns_copy(arena, &s->results, prototype->result_count);
    if (prototype->write != NULL)
        s->write = write_copy(arena, prototype->write);
    bool lost = made->shape == NULL || s->sql == NULL || (prototype->params != NULL && s->params == NULL) || !copied ||
                (prototype->write != NULL && s->write == NULL);
    return lost ? NULL : made;
}

nxi_statement *nxi_statements_add(nxi_statements *statements, const void *shape, size_t shape_size,
                                  const nxi_statement *prototype)
{
    NX_ASSERT(prototype->sql != NULL);
    NX_DIAG(nxi_statements_find(statements, shape, shape_size) == NULL);
    if (statements->last_id == UINT32_MAX || !list_reserve(statements))
        return NULL;
    entry *made = entry_copy(&statements->arena, shape, shape_size, prototype);
    if (made == NULL)
        return NULL;
    made->statement.id = statements->last_id + 1;
    made->statement.stats = NULL;
    /* Reserve first: nothing may fail once the record of statistics exists. */
    if (!nxi_map_reserve(&statements->map, 1))
        return NULL;
    if (statements->stats_new != NULL) {
        made->statement.stats = statements->stats_new(statements->stats_context, &made->statement);
        if (made->statement.stats == NULL)
            return NULL;
    }
    bool added = nxi_map_add(&statements->map, shape_hash(shape, shape_size), made);
    NX_ASSERT(added);
    statements->list[statements->last_id++] = &made->statement;
    return &made->statement;
}
