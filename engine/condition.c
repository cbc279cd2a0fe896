/*
 * condition - resolve names to columns and joins, values to their columns' types.
 *
 * Joins start as outer ones. A condition that must hold (no OR or NOT above it) and that a missing row cannot
 * meet makes the joins of its path inner: then a LEFT JOIN would only find rows to throw away.
 * NULL is dealt with here: = NULL becomes IS NULL, and a NULL in a list becomes a condition of its own, so that the
 * SQL never compares with NULL.
 */
#include "engine/condition.h"
#include "engine/types.h"

#include <stdarg.h>
#include <stdio.h>

nx_status nxi_resolver_fail(const nxi_resolver *resolver, nx_status status, const char *format, ...)
{
    if (resolver->error == NULL)
        return status;
    char text[NX_ERROR_MESSAGE_SIZE * 2]; /* longer than the field: nxi_fail cuts it at a character */
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (resolver->position > 0)
        (void)nxi_fail(resolver->error, status, "%s (at character %d)", text, (int)resolver->position);
    else
        (void)nxi_fail(resolver->error, status, "%s", text);
    resolver->error->position = resolver->position;
    return status;
}

static nx_status no_memory(const nxi_resolver *resolver)
{
    return nxi_fail(resolver->error, NX_ENOMEM, "out of memory for a condition");
}

/* About one column: names it in the error's fields too. */
#define FAIL_COLUMN(resolver, column, status, ...)                                                                     \
    (nxi_resolver_fail((resolver), (status), __VA_ARGS__), name_column((resolver), (column)), (status))

static void name_column(const nxi_resolver *resolver, const nxi_column *column)
{
    if (resolver->error == NULL)
        return;
    nxi_error_name(resolver->error->table, column->table->name);
    nxi_error_name(resolver->error->column, column->name);
}

static const char *entity_of(const nxi_column *column)
{
    return column->table->entity->name;
}

/* ------------------------------------------------------------------------------------- joins */

void nxi_resolver_begin(nxi_resolver *resolver, nxi_select *select, nxi_arena *arena, nx_error *error)
{
    *resolver = (nxi_resolver){ .select = select, .arena = arena, .error = error, .joins_before = select->join_count };
    for (size_t i = 0; i < select->join_count; i++)
        resolver->outer_before |= (uint32_t)select->joins[i].outer << i;
}

nx_status nxi_resolver_undo(nxi_resolver *resolver, nx_status status)
{
    nxi_select *select = resolver->select;
    select->join_count = resolver->joins_before;
    for (size_t i = 0; i < select->join_count; i++)
        select->joins[i].outer = (resolver->outer_before >> i & 1) != 0;
    return status;
}

static nx_status join_add(nxi_resolver *resolver, uint16_t from, const nxi_column *reference, uint16_t *ret_join)
{
    nxi_select *select = resolver->select;
    for (uint16_t i = 0; i < select->join_count; i++) {
        if (select->joins[i].from == from && select->joins[i].reference == reference) {
            *ret_join = (uint16_t)(i + 1);
            return NX_OK;
        }
    }
    if (select->join_count == NXI_JOINS_MAX)
        return nxi_resolver_fail(resolver, NX_ELIMIT, "a query follows at most %d references", (int)NXI_JOINS_MAX);
    select->joins[select->join_count] =
        (nxi_join){ .table = reference->target, .reference = reference, .from = from, .outer = true };
    *ret_join = ++select->join_count;
    return NX_OK;
}

/* A join that must find its row needs those that lead to it. */
static void joins_make_inner(nxi_select *select, uint16_t join)
{
    for (; join != 0; join = select->joins[join - 1].from)
        select->joins[join - 1].outer = false;
}

static void joins_tighten(nxi_select *select, const nxi_condition *condition)
{
    switch (condition->verb) {
    case NX_VERB_AND:
        for (size_t i = 0; i < condition->part_count; i++)
            joins_tighten(select, condition->parts[i]);
        break;
    case NX_VERB_OR:
    case NX_VERB_NOT:
    case NX_VERB_IS_NULL: /* a row that is not there has no value */
        break;
    case NX_VERB_IN:
    case NX_VERB_NOT_IN:
        if (condition->value_count != 0) /* an empty list does not look at the column */
            joins_make_inner(select, condition->join);
        break;
    case NX_VERB_EQ:
    case NX_VERB_NE:
    case NX_VERB_LT:
    case NX_VERB_LE:
    case NX_VERB_GT:
    case NX_VERB_GE:
    case NX_VERB_LIKE:
    case NX_VERB_ILIKE:
    case NX_VERB_STARTS_WITH:
    case NX_VERB_CONTAINS:
    case NX_VERB_IS_NOT_NULL:
    case NX_VERB_BETWEEN:
        joins_make_inner(select, condition->join);
        break;
    }
}

/* A reference that is always there finds its row always: the planner does better with an inner join. */
static void joins_settle(nxi_select *select)
{
    for (size_t i = 0; i < select->join_count; i++) {
        nxi_join *join = &select->joins[i];
        if (join->outer && !join->reference->nullable && (join->from == 0 || !select->joins[join->from - 1].outer))
            join->outer = false;
    }
}

nx_status nxi_resolver_end(nxi_resolver *resolver, nxi_condition *condition)
{
    nxi_select *select = resolver->select;
    if (condition != NULL && select->where != NULL) {
        bool is_list = select->where->verb == NX_VERB_AND;
        size_t count = is_list ? select->where->part_count : 1;
        nxi_condition **parts = NXI_ARENA_ARRAY(resolver->arena, nxi_condition *, count + 1);
        nxi_condition *both;
        if (parts == NULL)
            return nxi_resolver_undo(resolver, no_memory(resolver));
        /* The old list may belong to a copy of this select as well: it stays as it is. */
        for (size_t i = 0; i < count; i++)
            parts[i] = is_list ? select->where->parts[i] : select->where;
        parts[count] = condition;
        nx_status status = nxi_condition_node(resolver, NX_VERB_AND, parts, count + 1, &both);
        if (status != NX_OK)
            return nxi_resolver_undo(resolver, status);
        select->where = both;
    } else if (condition != NULL) {
        select->where = condition;
    }
    if (condition != NULL)
        joins_tighten(select, condition);
    joins_settle(select);
    return NX_OK;
}

/* ------------------------------------------------------------------------------------- names */

nx_status nxi_resolve_column(const nxi_resolver *resolver, const nxi_table *table, nx_column column,
                             const nxi_column **ret_column)
{
    const nx_entity *entity = table->entity;
    if (column.entity == NULL || (column.entity == entity && column.field >= entity->field_count))
        return nxi_resolver_fail(resolver, NX_ENOFIELD,
                                 "%s has no such field: the column was looked up by a name that it does not have", entity->name);
    if (column.entity != entity)
        return nxi_resolver_fail(resolver, NX_ENOFIELD, "a field of %s where one of %s is expected", column.entity->name,
                                 entity->name);
    uint16_t index = table->field_column[column.field];
    if (index == UINT16_MAX)
        return nxi_resolver_fail(resolver, NX_ENOFIELD, "%s.%s has no column", entity->name, entity->fields[column.field].name);
    *ret_column = &table->columns[index];
    return NX_OK;
}

nx_status nxi_resolve_path(nxi_resolver *resolver, const nx_path *path, nxi_path *ret_path)
{
    const nxi_table *table = resolver->select->table;
    nxi_path found = { .count = 0 };
    do {
        const nxi_column *column = NULL;
        nx_status status = nxi_resolve_column(resolver, table, path->hop[found.count], &column);
        if (status != NX_OK)
            return status;
        found.hop[found.count++] = column;
        bool more = found.count < NX_PATH_MAX && path->hop[found.count].entity != NULL;
        if (more && column->form != NXI_FORM_REFERENCE)
            return FAIL_COLUMN(resolver, column, NX_ENOFIELD, "%s.%s is no reference", entity_of(column), column->field->name);
        table = more ? column->target : NULL;
    } while (table != NULL);
    *ret_path = found;
    return NX_OK;
}

static size_t parts_of(const nxi_column *column)
{
    return column->form == NXI_FORM_REFERENCE ? column->target->key_count : 1;
}

/* The part of a reference that holds that key column of its target; NULL: none. */
static const nxi_column *part_for(const nxi_column *reference, const nxi_column *key)
{
    for (size_t i = 0; i < reference->target->key_count; i++) {
        if (reference[i].target_column == key)
            return &reference[i];
    }
    return NULL;
}

nx_status nxi_resolve_target(nxi_resolver *resolver, const nxi_path *path, bool collapse, nxi_target *ret_target)
{
    NX_ASSERT(path->count > 0 && path->count <= NX_PATH_MAX);
    size_t last = path->count - 1;
    nxi_target target = { .column = path->hop[last], .parts = parts_of(path->hop[last]) };
    while (collapse && last > 0 && target.parts == 1 && target.column->is_key) {
        const nxi_column *part = part_for(path->hop[last - 1], target.column);
        if (part == NULL)
            break;
        target.column = part;
        last--;
    }
    for (size_t i = 0; i < last; i++) {
        nx_status status = join_add(resolver, target.join, path->hop[i], &target.join);
        if (status != NX_OK)
            return status;
    }
    *ret_target = target;
    return NX_OK;
}

/* ------------------------------------------------------------------------------------ values */

bool nxi_value_is_none(const nx_value *value)
{
    return value->type == NX_TYPE_null || (nxi_type_is_text(value->type) && value->text.data == NULL) ||
           (value->type == NX_TYPE_bytes && value->bytes.data == NULL) ||
           (value->type == NX_TYPE_vector && value->vector.data == NULL);
}

/* Labels of an enumeration, also of one that is a key somewhere behind references. */
static const char *const *labels_of(const nxi_column *column)
{
    while (column->form == NXI_FORM_REFERENCE && column->target_column != NULL)
        column = column->target_column;
    return column->field->labels;
}

nx_status nxi_resolve_value(const nxi_resolver *resolver, const nxi_column *column, const nx_value *value, nx_value *ret_value)
{
    const char *entity = entity_of(column), *field = column->field->name;
    if (nxi_value_is_none(value)) {
        *ret_value = nx_null();
        return NX_OK;
    }
    if ((unsigned)value->type >= NX_TYPE_key)
        return FAIL_COLUMN(resolver, column, NX_ETYPE, "%s.%s: not a value", entity, field);
    if (nxi_type_is_text(value->type)) {
        size_t bad;
        if (!nxi_text_is_valid(value->text.data, value->text.size, &bad))
            return FAIL_COLUMN(resolver, column, NX_EENCODING, "%s.%s: text is not UTF-8 at byte %zu", entity, field, bad);
    }
    nx_value made = *value;
    nx_status status = nxi_value_convert(resolver->arena, column->type, labels_of(column), &made);
    if (status == NX_ENOMEM)
        return no_memory(resolver);
    if (status == NX_ERANGE)
        return FAIL_COLUMN(resolver, column, status, "%s.%s: value out of the range of %s", entity, field,
                           nx_type_name(column->type));
    if (status != NX_OK)
        return FAIL_COLUMN(resolver, column, status, "%s.%s: %s given where %s is expected", entity, field,
                           nx_type_name(value->type), nx_type_name(column->type));
    nxi_value_label(column, &made);
    if (!nxi_value_copy(resolver->arena, &made, ret_value))
        return no_memory(resolver);
    return NX_OK;
}

void nxi_value_label(const nxi_column *column, nx_value *value)
{
    const char *const *labels = value->type == NX_TYPE_enumeration ? labels_of(column) : NULL;
    for (nx_enumeration i = 0; labels != NULL && labels[i] != NULL; i++) {
        if (i == value->enumeration) {
            *value = nx_value_str(labels[i]);
            return;
        }
    }
}

/* --------------------------------------------------------------------------------- conditions */

static nx_status condition_new(nxi_resolver *resolver, nx_verb verb, size_t values, nxi_condition **ret_condition)
{
    size_t bytes;
    if (++resolver->nodes > NXI_NODES_MAX)
        return nxi_resolver_fail(resolver, NX_ELIMIT, "more than %d conditions", (int)NXI_NODES_MAX);
    if (!nxi_mul_size(values, sizeof(nx_value), &bytes) || !nxi_add_size(bytes, sizeof(nxi_condition), &bytes))
        return no_memory(resolver);
    _Static_assert(sizeof(nxi_condition) % _Alignof(nx_value) == 0, "values follow the condition");
    nxi_condition *made = nxi_arena_get(resolver->arena, bytes, 16);
    if (made == NULL)
        return no_memory(resolver);
    *made = (nxi_condition){ .verb = verb };
    if (values != 0)
        made->values = (nx_value *)(void *)(made + 1);
    *ret_condition = made;
    return NX_OK;
}

nx_status nxi_condition_node(nxi_resolver *resolver, nx_verb verb, nxi_condition *const *parts, size_t count,
                             nxi_condition **ret_condition)
{
    NX_ASSERT(verb == NX_VERB_AND || verb == NX_VERB_OR || (verb == NX_VERB_NOT && count == 1));
    nxi_condition *node = NULL;
    if (count > NXI_PARTS_MAX)
        return nxi_resolver_fail(resolver, NX_ELIMIT, "more than %d conditions side by side", (int)NXI_PARTS_MAX);
    nx_status status = condition_new(resolver, verb, 0, &node);
    if (status != NX_OK || node == NULL)
        return status;
    node->parts = nxi_arena_copy(resolver->arena, parts, count * sizeof(nxi_condition *));
    if (count != 0 && node->parts == NULL)
        return no_memory(resolver);
    node->part_count = count;
    *ret_condition = node;
    return NX_OK;
}

/* A condition over one column, values converted; `values` hold no NULL. */
static nx_status plain(nxi_resolver *resolver, nx_verb verb, const nxi_target *target, const nx_value *values, size_t count,
                       nxi_condition **ret_condition)
{
    nxi_condition *made = NULL;
    nx_status status = condition_new(resolver, verb, count, &made);
    for (size_t i = 0; i < count && status == NX_OK; i++)
        status = nxi_resolve_value(resolver, target->column, &values[i], &made->values[i]);
    if (status != NX_OK)
        return status;
    made->column = target->column;
    made->join = target->join;
    made->value_count = count;
    *ret_condition = made;
    return NX_OK;
}

static nx_status composite(nxi_resolver *resolver, nx_verb verb, const nxi_target *target, const nx_value *values, size_t count,
                           nxi_condition **ret_condition)
{
    const nxi_column *column = target->column;
    bool is_equal = verb == NX_VERB_EQ, is_unequal = verb == NX_VERB_NE;
    if (verb == NX_VERB_IS_NULL || verb == NX_VERB_IS_NOT_NULL) /* all parts are NULL together */
        return plain(resolver, verb, target, NULL, 0, ret_condition);
    if ((is_equal || is_unequal) && count == 1 && nxi_value_is_none(&values[0]))
        return plain(resolver, is_equal ? NX_VERB_IS_NULL : NX_VERB_IS_NOT_NULL, target, NULL, 0, ret_condition);
    if ((!is_equal && !is_unequal) || count != target->parts)
        return FAIL_COLUMN(resolver, column, NX_EINVAL, "%s.%s refers to a key of %zu columns: only = and != with all of them",
                           entity_of(column), column->field->name, target->parts);
    nxi_condition **parts = NXI_ARENA_ARRAY(resolver->arena, nxi_condition *, count);
    if (parts == NULL)
        return no_memory(resolver);
    for (size_t i = 0; i < count; i++) {
        nxi_target part = { .column = column + i, .parts = 1, .join = target->join };
        NX_ASSERT(part.column->field_index == column->field_index);
        nx_status status = nxi_condition_leaf(resolver, NX_VERB_EQ, &part, &values[i], 1, &parts[i]);
        if (status != NX_OK)
            return status;
    }
    nxi_condition *all;
    nx_status status = nxi_condition_node(resolver, NX_VERB_AND, parts, count, &all);
    if (status != NX_OK || is_equal) {
        if (status == NX_OK)
            *ret_condition = all;
        return status;
    }
    return nxi_condition_node(resolver, NX_VERB_NOT, &all, 1, ret_condition);
}

/* "50%_" -> "50\%\_", with % before or after it. */
static nx_status make_pattern(const nxi_resolver *resolver, nx_text text, bool anywhere, nx_value *ret_pattern)
{
    size_t size;
    if (!nxi_mul_size(text.size, 2, &size) || !nxi_add_size(size, 3, &size))
        return no_memory(resolver);
    char *pattern = nxi_arena_get(resolver->arena, size, 1), *out = pattern;
    if (pattern == NULL)
        return no_memory(resolver);
    if (anywhere)
        *out++ = '%';
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%' || c == '_' || c == '\\')
            *out++ = '\\';
        *out++ = c;
    }
    *out++ = '%';
    *out = '\0';
    *ret_pattern = nx_value_text(nx_strn(pattern, (size_t)(out - pattern)));
    return NX_OK;
}

static nx_status like(nxi_resolver *resolver, nx_verb verb, const nxi_target *target, const nx_value *value,
                      nxi_condition **ret_condition)
{
    const nxi_column *column = target->column;
    const char *entity = entity_of(column), *field = column->field->name;
    if (column->type != NX_TYPE_text && column->type != NX_TYPE_longtext)
        return FAIL_COLUMN(resolver, column, NX_ETYPE, "%s.%s is %s: only texts have patterns", entity, field,
                           nx_type_name(column->type));
    if (value->type != NX_TYPE_text && value->type != NX_TYPE_longtext)
        return FAIL_COLUMN(resolver, column, NX_ETYPE, "%s.%s: a pattern is a text", entity, field);
    if (verb == NX_VERB_LIKE || verb == NX_VERB_ILIKE)
        return plain(resolver, verb, target, value, 1, ret_condition);
    nx_value pattern;
    nx_status status = make_pattern(resolver, value->text, verb == NX_VERB_CONTAINS, &pattern);
    if (status != NX_OK)
        return status;
    return plain(resolver, NX_VERB_LIKE, target, &pattern, 1, ret_condition);
}

/* A NULL in the list: IN means IS NULL too, NOT IN also IS NOT NULL. */
static nx_status in_list(nxi_resolver *resolver, nx_verb verb, const nxi_target *target, const nx_value *values, size_t count,
                         nxi_condition **ret_condition)
{
    size_t nones = 0;
    for (size_t i = 0; i < count; i++)
        nones += nxi_value_is_none(&values[i]);
    if (nones == 0)
        return plain(resolver, verb, target, values, count, ret_condition);
    nxi_condition *parts[2];
    nx_value *some = NXI_ARENA_ARRAY(resolver->arena, nx_value, count);
    if (some == NULL)
        return no_memory(resolver);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!nxi_value_is_none(&values[i]))
            some[kept++] = values[i];
    }
    bool is_in = verb == NX_VERB_IN;
    nx_status status = plain(resolver, is_in ? NX_VERB_IS_NULL : NX_VERB_IS_NOT_NULL, target, NULL, 0, &parts[0]);
    if (status == NX_OK)
        status = plain(resolver, verb, target, some, kept, &parts[1]);
    if (status != NX_OK)
        return status;
    return nxi_condition_node(resolver, is_in ? NX_VERB_OR : NX_VERB_AND, parts, 2, ret_condition);
}

/* How many values a verb takes; SIZE_MAX: any number. */
static size_t values_wanted(nx_verb verb)
{
    if (verb == NX_VERB_IS_NULL || verb == NX_VERB_IS_NOT_NULL)
        return 0;
    if (verb == NX_VERB_IN || verb == NX_VERB_NOT_IN)
        return SIZE_MAX;
    return verb == NX_VERB_BETWEEN ? 2 : 1;
}

nx_status nxi_condition_leaf(nxi_resolver *resolver, nx_verb verb, const nxi_target *target, const nx_value *values, size_t count,
                             nxi_condition **ret_condition)
{
    const nxi_column *column = target->column;
    NX_ASSERT((unsigned)verb < NX_VERB_AND);
    if (target->parts > 1)
        return composite(resolver, verb, target, values, count, ret_condition);
    size_t wanted = values_wanted(verb);
    if (wanted != SIZE_MAX && count != wanted)
        return FAIL_COLUMN(resolver, column, NX_EINVAL, "%s.%s: %zu values given where %zu are expected", entity_of(column),
                           column->field->name, count, wanted);
    if (wanted == SIZE_MAX)
        return in_list(resolver, verb, target, values, count, ret_condition);
    if (count == 1 && (verb == NX_VERB_EQ || verb == NX_VERB_NE) && nxi_value_is_none(values))
        return plain(resolver, verb == NX_VERB_EQ ? NX_VERB_IS_NULL : NX_VERB_IS_NOT_NULL, target, NULL, 0, ret_condition);
    for (size_t i = 0; i < count; i++) {
        if (nxi_value_is_none(&values[i]))
            return FAIL_COLUMN(resolver, column, NX_EINVAL, "%s.%s: NULL can only be compared by = and !=", entity_of(column),
                               column->field->name);
    }
    if (verb >= NX_VERB_LIKE && verb <= NX_VERB_CONTAINS)
        return like(resolver, verb, target, values, ret_condition);
    return plain(resolver, verb, target, values, count, ret_condition);
}

static bool is_number(nx_type type)
{
    return nxi_type_is_integer(type) || type == NX_TYPE_f64;
}

static bool are_comparable(const nxi_column *a, const nxi_column *b)
{
    bool are_texts =
        (a->type == NX_TYPE_text || a->type == NX_TYPE_longtext) && (b->type == NX_TYPE_text || b->type == NX_TYPE_longtext);
    return a->type == b->type || are_texts || (is_number(a->type) && is_number(b->type));
}

nx_status nxi_condition_columns(nxi_resolver *resolver, nx_verb verb, const nxi_target *target, const nxi_column *other,
                                nxi_condition **ret_condition)
{
    const nxi_column *column = target->column;
    const char *entity = entity_of(column), *field = column->field->name;
    NX_ASSERT(other->table == column->table);
    if ((unsigned)verb > NX_VERB_GE || target->parts > 1 || parts_of(other) > 1)
        return FAIL_COLUMN(resolver, column, NX_EINVAL, "%s.%s and %s: columns are compared by = != < <= > >= only", entity,
                           field, other->field->name);
    if (!are_comparable(column, other))
        return FAIL_COLUMN(resolver, column, NX_ETYPE, "%s.%s is %s and %s is %s: they cannot be compared", entity, field,
                           nx_type_name(column->type), other->field->name, nx_type_name(other->type));
    nx_status status = plain(resolver, verb, target, NULL, 0, ret_condition);
    if (status == NX_OK)
        (*ret_condition)->other = other;
    return status;
}

/* ------------------------------------------------------------------------------ expressions */

static nx_status resolve_leaf(nxi_resolver *resolver, const nx_expr *expr, nxi_condition **ret_condition)
{
    nxi_path path;
    nxi_target target;
    bool is_columns = expr->other.entity != NULL;
    nx_status status = nxi_resolve_path(resolver, &expr->path, &path);
    if (status == NX_OK)
        status = nxi_resolve_target(resolver, &path, !is_columns, &target);
    if (status != NX_OK)
        return status;
    if (is_columns) {
        const nxi_column *other;
        status = nxi_resolve_column(resolver, target.column->table, expr->other, &other);
        return status != NX_OK ? status : nxi_condition_columns(resolver, expr->verb, &target, other, ret_condition);
    }
    if (expr->values == NULL && expr->value_count != 0)
        return nxi_resolver_fail(resolver, NX_EINVAL, "%s.%s: a count of values without values", entity_of(target.column),
                                 target.column->field->name);
    bool is_single = expr->values == NULL && values_wanted(expr->verb) == 1;
    return nxi_condition_leaf(resolver, expr->verb, &target, is_single ? &expr->value : expr->values,
                              is_single ? 1 : expr->value_count, ret_condition);
}

static nx_status resolve_expr(nxi_resolver *resolver, const nx_expr *expr, size_t depth, nxi_condition **ret_condition)
{
    if (expr == NULL)
        return nxi_resolver_fail(resolver, NX_EINVAL, "a condition is NULL");
    if ((unsigned)expr->verb > NX_VERB_NOT)
        return nxi_resolver_fail(resolver, NX_EINVAL, "unknown verb %d in a condition", (int)expr->verb);
    if (depth > NXI_CONDITION_DEPTH_MAX)
        return nxi_resolver_fail(resolver, NX_ELIMIT, "a condition is nested deeper than %d", (int)NXI_CONDITION_DEPTH_MAX);
    if (expr->verb < NX_VERB_AND)
        return resolve_leaf(resolver, expr, ret_condition);
    if (expr->parts == NULL)
        return nxi_resolver_fail(resolver, NX_EINVAL, "AND, OR or NOT without parts");
    size_t count = 0;
    while (count <= NXI_PARTS_MAX && expr->parts[count] != NULL)
        count++;
    if (count > NXI_PARTS_MAX)
        return nxi_resolver_fail(resolver, NX_ELIMIT, "more than %d conditions side by side", (int)NXI_PARTS_MAX);
    if (expr->verb == NX_VERB_NOT && count != 1)
        return nxi_resolver_fail(resolver, NX_EINVAL, "NOT takes one condition, not %zu", count);
    nxi_condition **parts = NXI_ARENA_ARRAY(resolver->arena, nxi_condition *, count);
    if (parts == NULL)
        return no_memory(resolver);
    for (size_t i = 0; i < count; i++) {
        nx_status status = resolve_expr(resolver, expr->parts[i], depth + 1, &parts[i]);
        if (status != NX_OK)
            return status;
    }
    return nxi_condition_node(resolver, expr->verb, parts, count, ret_condition);
}

nx_status nxi_select_filter(nxi_select *select, nxi_arena *arena, const nx_expr *condition, nx_error *error)
{
    nxi_resolver resolver;
    nxi_condition *resolved;
    nxi_resolver_begin(&resolver, select, arena, error);
    nx_status status = resolve_expr(&resolver, condition, 1, &resolved);
    return status == NX_OK ? nxi_resolver_end(&resolver, resolved) : nxi_resolver_undo(&resolver, status);
}
