/*
 * select - queries: order, position and limits; from a query to its statement and values.
 *
 * NULLs come first in ascending and last in descending order on every provider. A keyset position (nx_after)
 * follows the same rule, so pages neither miss nor repeat rows whose order columns are NULL.
 */
#include "engine/condition.h"
#include "engine/sql.h"
#include "engine/types.h"

static nx_status no_memory(nx_error *error)
{
    return nxi_fail(error, NX_ENOMEM, "out of memory for a query");
}

void nxi_select_init(nxi_select *select, const nxi_tables *tables, const nxi_table *table)
{
    *select = (nxi_select){ .tables = tables, .table = table };
}

/* ------------------------------------------------------------------------------------- order */

static nx_status terms_resolve(nxi_resolver *resolver, const nx_order *order, size_t count, nxi_term *terms, size_t *ret_count)
{
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        nxi_path path;
        nxi_target target;
        nx_status status = nxi_resolve_path(resolver, &order[i].path, &path);
        if (status == NX_OK)
            status = nxi_resolve_target(resolver, &path, true, &target);
        if (status != NX_OK)
            return status;
        if (target.parts > NXI_TERMS_MAX - made)
            return nxi_resolver_fail(resolver, NX_ELIMIT, "an order has at most %d columns", (int)NXI_TERMS_MAX);
        for (size_t part = 0; part < target.parts; part++)
            terms[made++] = (nxi_term){ target.column + part, target.join, order[i].descending };
    }
    *ret_count = made;
    return NX_OK;
}

nx_status nxi_select_order(nxi_select *select, nxi_arena *arena, const nx_order *terms, size_t count, nx_error *error)
{
    nxi_resolver resolver;
    nxi_term made[NXI_TERMS_MAX];
    size_t made_count = 0;
    if (terms == NULL && count != 0)
        return nxi_fail(error, NX_EINVAL, "a count of order terms without terms");
    if (select->after_count != 0)
        return nxi_fail(error, NX_EINVAL, "the order cannot change after nx_after, whose position depends on it");
    nxi_resolver_begin(&resolver, select, arena, error);
    nx_status status = terms_resolve(&resolver, terms, count, made, &made_count);
    if (status == NX_OK)
        status = nxi_resolver_end(&resolver, NULL);
    if (status != NX_OK)
        return nxi_resolver_undo(&resolver, status);
    memcpy(select->terms, made, made_count * sizeof(*made));
    select->term_count = (uint16_t)made_count;
    select->random = false;
    return NX_OK;
}

/* ---------------------------------------------------------------------------------- position */

/* The order's terms with the key columns that are missing behind them: the order of no two rows is open then. */
static nx_status terms_complete(const nxi_select *select, nxi_term *terms, size_t *ret_count, nx_error *error)
{
    size_t count = select->term_count;
    if (select->random)
        return nxi_fail(error, NX_EINVAL, "a random order has no position to go on from");
    memcpy(terms, select->terms, count * sizeof(*terms));
    for (size_t key = 0; key < select->table->key_count; key++) {
        const nxi_column *column = &select->table->columns[key];
        bool is_there = false;
        for (size_t i = 0; i < count && !is_there; i++)
            is_there = terms[i].column == column && terms[i].join == 0;
        if (is_there)
            continue;
        if (count == NXI_TERMS_MAX)
            return nxi_fail(error, NX_ELIMIT, "an order has at most %d columns", (int)NXI_TERMS_MAX);
        terms[count++] = (nxi_term){ .column = column };
    }
    *ret_count = count;
    return NX_OK;
}

static void after_set(nxi_select *select, const nxi_term *terms, const nx_value *values, size_t count)
{
    memcpy(select->terms, terms, count * sizeof(*terms));
    select->term_count = (uint16_t)count;
    select->after = values;
    select->after_count = count;
}

nx_status nxi_select_after(nxi_select *select, nxi_arena *arena, const nx_value *values, size_t count, nx_error *error)
{
    nxi_term terms[NXI_TERMS_MAX];
    size_t wanted;
    const nxi_resolver resolver = { .arena = arena, .error = error };
    nx_status status = terms_complete(select, terms, &wanted, error);
    if (status != NX_OK)
        return status;
    if (count != wanted || values == NULL)
        return nxi_fail(error, NX_EINVAL, "%zu values given where the order of %s has %zu columns, the key included", count,
                        select->table->entity->name, wanted);
    nx_value *made = NXI_ARENA_ARRAY(arena, nx_value, count);
    if (made == NULL)
        return no_memory(error);
    for (size_t i = 0; i < count; i++) {
        const nxi_column *column = terms[i].column;
        status = nxi_resolve_value(&resolver, column, &values[i], &made[i]);
        if (status != NX_OK)
            return status;
        if (made[i].type == NX_TYPE_null && !nxi_term_is_nullable(select, &terms[i]))
            return nxi_fail(error, NX_EINVAL, "%s.%s is never NULL", column->table->entity->name, column->field->name);
    }
    after_set(select, terms, made, count);
    return NX_OK;
}

nx_status nxi_select_after_row(nxi_select *select, nxi_arena *arena, const void *row, nx_error *error)
{
    nxi_term terms[NXI_TERMS_MAX];
    size_t count;
    const nx_entity *entity = select->table->entity;
    if (row == NULL)
        return nxi_fail(error, NX_EINVAL, "no row of %s to go on from", entity->name);
    const nxi_row *header = nxi_row_of(row);
    if (header->table != select->table)
        return nxi_fail(error, NX_EINVAL, "the row is no %s of this database", entity->name);
    nx_status status = terms_complete(select, terms, &count, error);
    if (status != NX_OK)
        return status;
    if (!nxi_row_has_key(select->table, row))
        return nxi_fail(error, NX_EINVAL, "the row of %s has no key yet", entity->name);
    nx_value *made = NXI_ARENA_ARRAY(arena, nx_value, count);
    if (made == NULL)
        return no_memory(error);
    for (size_t i = 0; i < count; i++) {
        const nxi_column *column = terms[i].column;
        nx_value value;
        if (terms[i].join != 0)
            return nxi_fail(error, NX_EINVAL, "%s.%s, an order column, is not in the row: give values",
                            column->table->entity->name, column->field->name);
        if (column->lazy && (header->lazy_missing >> column->lazy_bit & 1) != 0)
            return nxi_fail(error, NX_EINVAL, "%s.%s, an order column, was not loaded", entity->name, column->field->name);
        nxi_column_get(column, row, &value);
        nxi_value_label(column, &value);
        if (!nxi_value_copy(arena, &value, &made[i]))
            return no_memory(error);
    }
    after_set(select, terms, made, count);
    return NX_OK;
}

/* --------------------------------------------------------------------------------------- key */

/* The value by which `condition` fixes that key column; NULL: not. */
static const nx_value *key_value(const nxi_condition *condition, const nxi_column *column)
{
    bool is_it = condition->verb == NX_VERB_EQ && condition->column == column && condition->join == 0 && condition->other == NULL;
    return is_it && column->type != NX_TYPE_enumeration /* rows hold no label */ ? condition->values : NULL;
}

bool nxi_select_key(const nxi_select *select, nx_value *ret_values)
{
    const nxi_condition *where = select->where;
    size_t count = select->table->key_count;
    const nx_value *found[NXI_TERMS_MAX];
    if (where == NULL || select->after_count != 0 || select->has_offset || select->for_update || select->lazy_wanted != 0 ||
        (select->has_limit && select->limit == 0) || count > NXI_COUNT(found))
        return false;
    nxi_condition *const self[1] = { select->where };
    bool is_list = where->verb == NX_VERB_AND;
    nxi_condition *const *parts = is_list ? where->parts : self;
    if ((is_list ? where->part_count : 1) != count)
        return false;
    for (size_t key = 0; key < count; key++) {
        found[key] = NULL;
        for (size_t i = 0; i < count && found[key] == NULL; i++)
            found[key] = key_value(parts[i], &select->table->columns[key]);
        if (found[key] == NULL)
            return false;
    }
    for (size_t key = 0; key < count; key++)
        ret_values[key] = *found[key];
    return true;
}

/* ------------------------------------------------------------------------------------- shape */

void nxi_shape_more(nxi_shape *shape, size_t size)
{
    size_t capacity;
    uint8_t *data = NULL;
    if (nxi_add_size(shape->capacity, size, &capacity) && nxi_mul_size(capacity, 2, &capacity))
        data = nxi_arena_get(shape->arena, capacity, 1);
    if (data == NULL) {
        shape->failed = true;
        return;
    }
    memcpy(data, shape->data, shape->size);
    shape->data = data;
    shape->capacity = capacity;
}

void nxi_shape_columns(nxi_shape *shape, const nxi_column *const *columns, size_t count)
{
    nxi_shape_u16(shape, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        nxi_shape_u16(shape, columns[i]->index);
}

/* What a walk over the conditions finds out besides the shape. */
typedef struct need {
    nxi_shape shape;
    const nxi_dialect *dialect;
    uint32_t joins;
    size_t params;
} need;

static void need_join(need *n, uint16_t join)
{
    if (join != 0)
        n->joins |= UINT32_C(1) << (join - 1);
}

static void need_condition(need *n, const nxi_condition *c)
{
    bool is_list = c->verb == NX_VERB_IN || c->verb == NX_VERB_NOT_IN;
    nxi_shape_u8(&n->shape, (unsigned)c->verb | (c->other != NULL ? 0x80u : 0u));
    if (c->verb >= NX_VERB_AND) {
        nxi_shape_u16(&n->shape, (uint16_t)c->part_count);
        for (size_t i = 0; i < c->part_count; i++)
            need_condition(n, c->parts[i]);
        return;
    }
    size_t params = is_list && c->value_count != 0 ? n->dialect->in_list(c->column->type, c->value_count) : c->value_count;
    nxi_shape_u8(&n->shape, c->join);
    nxi_shape_u16(&n->shape, c->column->index);
    if (c->other != NULL)
        nxi_shape_u16(&n->shape, c->other->index);
    if (is_list)
        nxi_shape_u32(&n->shape, (uint32_t)nxi_min_size(params, UINT32_MAX));
    n->params += params;
    if (!is_list || params != 0)
        need_join(n, c->join);
}

static void need_terms(need *n, const nxi_select *select)
{
    nxi_shape_u8(&n->shape, select->term_count);
    for (size_t i = 0; i < select->term_count; i++) {
        const nxi_term *term = &select->terms[i];
        nxi_shape_u8(&n->shape, term->join | (term->descending ? 0x80u : 0u));
        nxi_shape_u16(&n->shape, term->column->index);
        need_join(n, term->join);
    }
}

/* Per term: compared if it is beyond, and but for the last if it is equal; not where NULL says it all. */
static void need_after(need *n, const nxi_select *select)
{
    nxi_shape_u8(&n->shape, (unsigned)select->after_count);
    for (size_t i = 0; i < select->after_count; i++) {
        bool is_null = select->after[i].type == NX_TYPE_null;
        nxi_shape_u8(&n->shape, is_null);
        n->params += is_null ? 0 : i + 1 < select->after_count ? 2 : 1;
    }
    n->params += nxi_after_is_bounded(select);
}

/* Joins lead from earlier ones to later ones: backwards, each finds those that it needs. */
static void need_joins(need *n, const nxi_select *select)
{
    for (size_t i = select->join_count; i-- > 0;) {
        if ((n->joins >> i & 1) != 0)
            need_join(n, select->joins[i].from);
    }
    nxi_shape_u32(&n->shape, n->joins);
    for (size_t i = 0; i < select->join_count; i++) {
        const nxi_join *join = &select->joins[i];
        if ((n->joins >> i & 1) == 0)
            continue;
        nxi_shape_u8(&n->shape, join->from | (join->outer ? 0x80u : 0u));
        nxi_shape_u16(&n->shape, join->reference->index);
    }
}

static void need_all(need *n, const nxi_sql_ask *ask)
{
    const nxi_select *select = ask->select;
    bool is_fetch = ask->verb == NXI_VERB_FETCH, is_concat = ask->verb == NXI_VERB_CONCAT;
    nxi_shape_u8(&n->shape, (unsigned)ask->verb);
    nxi_shape_u32(&n->shape, select->table->index);
    if (is_fetch) {
        nxi_shape_u8(&n->shape, (unsigned)select->distinct | (unsigned)select->random << 1 | (unsigned)select->for_update << 2 |
                                    (unsigned)select->has_limit << 3 | (unsigned)select->has_offset << 4 |
                                    (unsigned)select->nowait << 5 | (unsigned)select->skip_locked << 6);
        nxi_shape_u32(&n->shape, select->lazy_wanted & select->table->lazy_mask);
        n->params += (size_t)select->has_limit + (size_t)select->has_offset;
    }
    if (ask->column != NULL)
        nxi_shape_u16(&n->shape, ask->column->index);
    if (ask->verb == NXI_VERB_UPDATE) {
        nxi_shape_u16(&n->shape, (uint16_t)ask->set_count);
        for (size_t i = 0; i < ask->set_count; i++)
            nxi_shape_u16(&n->shape, ask->sets[i].column->index);
        n->params += ask->set_count;
    }
    if (is_concat) {
        nxi_shape_u8(&n->shape, select->random);
        n->params += ask->set_count;
    }
    if (select->where != NULL)
        need_condition(n, select->where);
    else
        nxi_shape_u8(&n->shape, 0xff);
    if (is_fetch || is_concat || select->after_count != 0) {
        need_terms(n, select);
        need_after(n, select);
    } else {
        nxi_shape_u8(&n->shape, 0xff);
    }
    need_joins(n, select);
}

/* ------------------------------------------------------------------------------------ values */

/* Places for parameters, filled in the order of the text. */
typedef struct bag {
    nx_value *next;
    const nx_value *end;
    const nxi_dialect *dialect;
    nxi_arena *arena;
} bag;

static void bag_put(bag *b, const nx_value *values, size_t count)
{
    NX_ASSERT(count <= (size_t)(b->end - b->next));
    memcpy(b->next, values, count * sizeof(*values));
    b->next += count;
}

static bool bag_condition(bag *b, const nxi_condition *c)
{
    if (c->verb >= NX_VERB_AND) {
        for (size_t i = 0; i < c->part_count; i++) {
            if (!bag_condition(b, c->parts[i]))
                return false;
        }
        return true;
    }
    if ((c->verb != NX_VERB_IN && c->verb != NX_VERB_NOT_IN) || c->value_count == 0) {
        if (c->value_count != 0)
            bag_put(b, c->values, c->value_count);
        return true;
    }
    size_t count = b->dialect->in_list(c->column->type, c->value_count);
    const nx_value *values = b->dialect->in_values(c->column->type, c->values, c->value_count, count, b->arena);
    if (values == NULL)
        return false;
    bag_put(b, values, count);
    return true;
}

static void bag_after(bag *b, const nxi_select *select)
{
    if (nxi_after_is_bounded(select))
        bag_put(b, &select->after[0], 1);
    for (size_t i = 0; i < select->after_count; i++) {
        const nx_value *value = &select->after[i];
        if (value->type == NX_TYPE_null)
            continue;
        bag_put(b, value, 1);
        if (i + 1 < select->after_count)
            bag_put(b, value, 1);
    }
}

static void bag_number(bag *b, uint64_t number)
{
    nx_value value = nx_value_i64(number > INT64_MAX ? INT64_MAX : (int64_t)number);
    bag_put(b, &value, 1);
}

static bool bag_all(bag *b, const nxi_sql_ask *ask)
{
    const nxi_select *select = ask->select;
    for (size_t i = 0; i < ask->set_count; i++)
        bag_put(b, &ask->sets[i].value, 1);
    if (select->where != NULL && !bag_condition(b, select->where))
        return false;
    bag_after(b, select);
    if (ask->verb == NXI_VERB_FETCH && select->has_limit)
        bag_number(b, select->limit);
    if (ask->verb == NXI_VERB_FETCH && select->has_offset)
        bag_number(b, select->offset);
    NX_ASSERT(b->next == b->end);
    return true;
}

/* -------------------------------------------------------------------------------------- bind */

static nx_status check_aggregate(nxi_verb verb, const nxi_column *column, nx_error *error)
{
    bool is_number = nxi_type_is_integer(column->type) || column->type == NX_TYPE_f64 || column->type == NX_TYPE_decimal;
    bool is_ordered = column->type != NX_TYPE_json && column->type != NX_TYPE_vector && column->type != NX_TYPE_bytes;
    bool is_single = column->form != NXI_FORM_REFERENCE || column->target->key_count == 1;
    bool is_sum = verb == NXI_VERB_SUM || verb == NXI_VERB_AVG;
    if (is_single && (is_sum ? is_number && column->form != NXI_FORM_REFERENCE : is_ordered))
        return NX_OK;
    return nxi_fail(error, NX_ETYPE, "%s.%s: %s has no %s", column->table->entity->name, column->field->name,
                    is_single ? nx_type_name(column->type) : "a composite key",
                    is_sum ? "sum or average" : "least or greatest value");
}

/* A value is checked once, as the rows that get it are not. */
static nx_status check_assigned(const nxi_column *column, const nx_value *value, nx_error *error)
{
    const char *entity = column->table->entity->name, *field = column->field->name;
    if (value->type == NX_TYPE_null)
        return column->nullable ? NX_OK : nxi_fail(error, NX_EREQUIRED, "%s.%s is required", entity, field);
    size_t length = 0;
    if (column->max_len != 0 && nxi_type_is_text(value->type))
        length = nxi_text_length(value->text.data, value->text.size);
    else if (column->max_len != 0 && value->type == NX_TYPE_bytes)
        length = value->bytes.size;
    if (length > column->max_len && column->max_len != 0)
        return nxi_fail(error, NX_ETOOLONG, "%s.%s: %zu long, at most %u are allowed", entity, field, length, column->max_len);
    bool is_small = column->has_min && nxi_value_compare(value, &column->min) < 0;
    bool is_large = column->has_max && nxi_value_compare(value, &column->max) > 0;
    if (is_small || is_large)
        return nxi_fail(error, NX_ERANGE, "%s.%s: value %s than allowed", entity, field, is_small ? "less" : "greater");
    return NX_OK;
}

/* Types whose texts are the same on every provider. */
static nx_status check_concat(const nxi_column *column, nx_error *error)
{
    bool is_plain = nxi_type_is_integer(column->type) || column->type == NX_TYPE_text || column->type == NX_TYPE_longtext ||
                    column->type == NX_TYPE_decimal || column->type == NX_TYPE_enumeration || column->type == NX_TYPE_uuid ||
                    column->type == NX_TYPE_ulid;
    bool is_single = column->form != NXI_FORM_REFERENCE || column->target->key_count == 1;
    if (is_plain && is_single)
        return NX_OK;
    return nxi_fail(error, NX_ETYPE, "%s.%s: %s cannot be put together as a text", column->table->entity->name,
                    column->field->name, is_single ? nx_type_name(column->type) : "a composite key");
}

static nx_status bind_concat(const nxi_resolver *resolver, const nx_assignment *assignments, size_t count, nxi_sql_ask *ask)
{
    nxi_set *set = NXI_ARENA_NEW(resolver->arena, nxi_set);
    if (set == NULL)
        return no_memory(resolver->error);
    if (count != 1 || assignments[0].value.type != NX_TYPE_text || assignments[0].value.text.data == NULL)
        return nxi_fail(resolver->error, NX_EINVAL, "a separator is a text");
    nx_text separator = assignments[0].value.text;
    nx_status status = nxi_resolve_column(resolver, ask->select->table, assignments[0].column, &ask->column);
    if (status == NX_OK)
        status = check_concat(ask->column, resolver->error);
    if (status == NX_OK && !nxi_text_is_valid(separator.data, separator.size, NULL))
        status = nxi_fail(resolver->error, NX_EENCODING, "the separator is not UTF-8");
    if (status != NX_OK)
        return status;
    set->column = ask->column;
    if (!nxi_value_copy(resolver->arena, &assignments[0].value, &set->value))
        return no_memory(resolver->error);
    ask->sets = set;
    ask->set_count = 1;
    return NX_OK;
}

static nx_status check_settable(const nxi_column *column, const nxi_set *sets, size_t count, nx_error *error)
{
    const char *entity = column->table->entity->name, *field = column->field->name;
    if (column->is_key)
        return nxi_fail(error, NX_EINVAL, "%s.%s is part of the primary key: it cannot be updated", entity, field);
    if (column->is_version)
        return nxi_fail(error, NX_EINVAL, "%s.%s is the version: it is counted up by itself", entity, field);
    if (column->is_volatile)
        return nxi_fail(error, NX_EINVAL, "%s.%s is volatile: it is never written by an update", entity, field);
    for (size_t i = 0; i < count; i++) {
        if (sets[i].column == column)
            return nxi_fail(error, NX_EINVAL, "%s.%s is assigned twice", entity, field);
    }
    return NX_OK;
}

/* One assignment: several columns for NULL into a reference to a composite key. */
static nx_status set_add(const nxi_resolver *resolver, const nxi_table *table, const nx_assignment *assignment, nxi_set *sets,
                         size_t *count)
{
    const nxi_column *column;
    nx_status status = nxi_resolve_column(resolver, table, assignment->column, &column);
    if (status != NX_OK)
        return status;
    size_t parts = column->form == NXI_FORM_REFERENCE ? column->target->key_count : 1;
    if (parts > 1 && !nxi_value_is_none(&assignment->value))
        return nxi_fail(resolver->error, NX_EINVAL, "%s.%s refers to a key of %zu columns: only NULL can be assigned",
                        column->table->entity->name, column->field->name, parts);
    for (size_t i = 0; i < parts && status == NX_OK; i++) {
        nxi_set *set = &sets[*count];
        status = check_settable(column + i, sets, *count, resolver->error);
        if (status == NX_OK)
            status = nxi_resolve_value(resolver, column + i, &assignment->value, &set->value);
        if (status == NX_OK)
            status = check_assigned(column + i, &set->value, resolver->error);
        set->column = column + i;
        *count += 1;
    }
    return status;
}

static nx_status bind_sets(const nxi_resolver *resolver, const nx_assignment *assignments, size_t count, nxi_sql_ask *ask)
{
    const nxi_table *table = ask->select->table;
    if (count == 0 || assignments == NULL)
        return nxi_fail(resolver->error, NX_EINVAL, "an update of %s that assigns nothing", table->entity->name);
    /* No column is assigned twice, so there is room for all; one more for the assignment that is refused. */
    nxi_set *sets = NXI_ARENA_ARRAY(resolver->arena, nxi_set, table->column_count + 1);
    if (sets == NULL)
        return no_memory(resolver->error);
    ask->sets = sets;
    for (size_t i = 0; i < count; i++) {
        nx_status status = set_add(resolver, table, &assignments[i], sets, &ask->set_count);
        if (status != NX_OK)
            return status;
    }
    return NX_OK;
}

/* Check what only some verbs need and resolve it. */
static nx_status bind_verb(const nxi_resolver *resolver, nx_column column, const nx_assignment *assignments, size_t count,
                           nxi_sql_ask *ask)
{
    const nxi_select *select = ask->select;
    if (ask->verb >= NXI_VERB_SUM && ask->verb <= NXI_VERB_MAX) {
        nx_status status = nxi_resolve_column(resolver, select->table, column, &ask->column);
        return status != NX_OK ? status : check_aggregate(ask->verb, ask->column, resolver->error);
    }
    if (ask->verb == NXI_VERB_CONCAT)
        return bind_concat(resolver, assignments, count, ask);
    if (ask->verb != NXI_VERB_DELETE && ask->verb != NXI_VERB_UPDATE)
        return NX_OK;
    if (select->has_limit || select->has_offset || select->random || select->term_count != 0)
        return nxi_fail(resolver->error, NX_EINVAL, "an update or delete of all rows that match has no order, limit or offset");
    return ask->verb == NXI_VERB_UPDATE ? bind_sets(resolver, assignments, count, ask) : NX_OK;
}

nx_status nxi_select_bind(const nxi_select *select, nxi_verb verb, nx_column column, const nx_assignment *assignments,
                          size_t assignment_count, const nxi_dialect *dialect, nxi_statements *statements, nxi_arena *arena,
                          nxi_bound *ret_bound, nx_error *error)
{
    nxi_sql_ask ask = { .select = select, .verb = verb, .dialect = dialect };
    if (verb > NXI_VERB_EXISTS) {
        const nxi_resolver resolver = { .arena = arena, .error = error };
        nx_status status = bind_verb(&resolver, column, assignments, assignment_count, &ask);
        if (status != NX_OK)
            return status;
    }
    need n;
    n.dialect = dialect;
    n.joins = 0;
    n.params = 0;
    nxi_shape_init(&n.shape, arena);
    need_all(&n, &ask);
    if (n.shape.failed)
        return no_memory(error);
    if (n.params > dialect->parameters_max)
        return nxi_fail(error, NX_ELIMIT, "%zu parameters: %s takes at most %zu in one statement", n.params, dialect->name,
                        dialect->parameters_max);
    ask.joins = n.joins;
    const nxi_statement *statement = nxi_statements_find(statements, n.shape.data, n.shape.size);
    if (statement == NULL && nxi_sql_render(&ask, &n.shape, statements, &statement) != NX_OK)
        return no_memory(error);
    NX_ASSERT(statement->param_count == n.params);
    nx_value *values = nxi_arena_get(arena, n.params * sizeof(nx_value), _Alignof(nx_value));
    bag b = { .next = values, .end = values + n.params, .dialect = dialect, .arena = arena };
    if (values == NULL || !bag_all(&b, &ask))
        return no_memory(error);
    *ret_bound = (nxi_bound){ .statement = statement, .values = values, .count = n.params };
    return NX_OK;
}
