/*
 * sql - the text of queries.
 *
 * Names are quoted, values are placeholders: nothing that a user gives at run time gets into a text. The
 * placeholders come in the order in which select.c collects the values.
 */
#include "engine/sql.h"

enum { FLAT_LIST = 128 /* longer ANDs and ORs are halved by parentheses: SQLite limits the depth of an expression to 1000 */ };

void nxi_sql_init(nxi_sql *w, const nxi_dialect *dialect, const nxi_statements *statements)
{
    *w = (nxi_sql){ .dialect = dialect };
    nxi_buf_init(&w->text, statements->arena.memory);
    nxi_buf_init(&w->left, statements->arena.memory);
}

void nxi_sql_fini(nxi_sql *w)
{
    nxi_buf_fini(&w->text);
    nxi_buf_fini(&w->left);
}

nx_status nxi_sql_intern(nxi_sql *w, const nxi_shape *shape, nxi_statements *statements, nxi_statement *prototype,
                         const nxi_statement **ret_statement)
{
    prototype->sql = nxi_buf_str(&w->text);
    if (prototype->sql == NULL || w->left.failed)
        return NX_ENOMEM;
    prototype->sql_size = w->text.size;
    prototype->param_count = w->params;
    const nxi_statement *made = nxi_statements_add(statements, shape->data, shape->size, prototype);
    if (made == NULL)
        return NX_ENOMEM;
    *ret_statement = made;
    return NX_OK;
}

static void put_placeholder_into(void *context, nxi_buf *text)
{
    nxi_sql *w = context;
    w->params++;
    if (w->dialect->numbered_parameters)
        nxi_buf_printf(text, "$%zu", w->params);
    else
        nxi_buf_putc(text, '?');
}

void nxi_sql_placeholder(nxi_sql *w)
{
    put_placeholder_into(w, &w->text);
}

void nxi_sql_version_up(nxi_sql *w, const nxi_table *table, bool is_conflict)
{
    nxi_sql_name(w, table->version->name);
    nxi_sql_put(w, " = ");
    if (is_conflict && w->dialect->on_conflict) { /* the bare name could mean the row that was refused */
        nxi_sql_name(w, table->name);
        nxi_sql_put(w, ".");
    }
    nxi_sql_name(w, table->version->name);
    nxi_sql_put(w, " + 1");
}

/* Where an integer has no bounds of its own, one that leaves those of its field is an error of the database all the same. */
static void put_version_up_bounded(nxi_sql *w, const nxi_table *table)
{
    const nxi_column *version = table->version;

    if (w->dialect->overflow == NULL) {
        nxi_sql_version_up(w, table, false);
        return;
    }
    nxi_sql_name(w, version->name);
    nxi_sql_put(w, " = CASE WHEN ");
    nxi_sql_name(w, version->name);
    nxi_sql_put(w, version->type == NX_TYPE_i32 ? " >= 2147483647 THEN " : " >= 9223372036854775807 THEN ");
    nxi_sql_put(w, w->dialect->overflow);
    nxi_sql_put(w, " ELSE ");
    nxi_sql_name(w, version->name);
    nxi_sql_put(w, " + 1 END");
}

/* "t0" is the main table, "t1" the first join: tables may come more than once, and aliases never meet names. */
static void put_alias(const nxi_sql *w, uint16_t join, nxi_buf *text)
{
    char alias[16];
    char digits[8];
    size_t size = 0, length = 0;
    do
        digits[size++] = (char)('0' + join % 10);
    while ((join = (uint16_t)(join / 10)) != 0);
    alias[length++] = 't';
    while (size != 0)
        alias[length++] = digits[--size];
    alias[length] = '\0';
    nxi_quote(w->dialect, alias, text);
}

static void put_column_into(const nxi_sql *w, uint16_t join, const nxi_column *column, nxi_buf *text)
{
    if (w->is_qualified) {
        put_alias(w, join, text);
        nxi_buf_putc(text, '.');
    }
    nxi_quote(w->dialect, column->name, text);
}

static void put_column(nxi_sql *w, uint16_t join, const nxi_column *column)
{
    put_column_into(w, join, column, &w->text);
}

/* A column that is compared or sorted. */
static void put_operand_into(const nxi_sql *w, uint16_t join, const nxi_column *column, nxi_buf *text)
{
    put_column_into(w, join, column, text);
    if (w->dialect->collation != NULL)
        nxi_buf_puts(text, w->dialect->collation(column->type));
}

static void put_operand(nxi_sql *w, uint16_t join, const nxi_column *column)
{
    put_operand_into(w, join, column, &w->text);
}

static const char *operand_text(nxi_sql *w, uint16_t join, const nxi_column *column)
{
    nxi_buf_clear(&w->left);
    put_operand_into(w, join, column, &w->left);
    const char *text = nxi_buf_str(&w->left);
    if (text == NULL)
        w->text.failed = true;
    return text == NULL ? "" : text;
}

static const char *left_side(nxi_sql *w, const nxi_condition *c)
{
    return operand_text(w, c->join, c->column);
}

/* -------------------------------------------------------------------------------- conditions */

static const char *operator_of(nx_verb verb)
{
    static const char *const operators[] = {
        [NX_VERB_EQ] = " = ",  [NX_VERB_NE] = " <> ", [NX_VERB_LT] = " < ",
        [NX_VERB_LE] = " <= ", [NX_VERB_GT] = " > ",  [NX_VERB_GE] = " >= ",
    };
    NX_ASSERT((unsigned)verb < NXI_COUNT(operators));
    return operators[verb];
}

static void put_condition(nxi_sql *w, const nxi_condition *c, bool is_inside);

/* is_inside: something else stands beside it. A list of one part is as bare as the part. */
static void put_list(nxi_sql *w, const nxi_condition *c, size_t first, size_t end, bool is_inside)
{
    const char *word = c->verb == NX_VERB_AND ? " AND " : " OR ";
    if (end - first > FLAT_LIST) {
        size_t middle = first + (end - first) / 2;
        nxi_sql_put(w, "(");
        put_list(w, c, first, middle, true);
        nxi_sql_put(w, ")");
        nxi_sql_put(w, word);
        nxi_sql_put(w, "(");
        put_list(w, c, middle, end, true);
        nxi_sql_put(w, ")");
        return;
    }
    for (size_t i = first; i < end; i++) {
        if (i != first)
            nxi_sql_put(w, word);
        put_condition(w, c->parts[i], is_inside || c->part_count > 1);
    }
}

static void put_leaf(nxi_sql *w, const nxi_condition *c)
{
    put_operand(w, c->join, c->column);
    if (c->verb == NX_VERB_IS_NULL || c->verb == NX_VERB_IS_NOT_NULL) {
        nxi_sql_put(w, c->verb == NX_VERB_IS_NULL ? " IS NULL" : " IS NOT NULL");
        return;
    }
    if (c->verb == NX_VERB_BETWEEN) {
        nxi_sql_put(w, " BETWEEN ");
        nxi_sql_placeholder(w);
        nxi_sql_put(w, " AND ");
        nxi_sql_placeholder(w);
        return;
    }
    nxi_sql_put(w, operator_of(c->verb));
    if (c->other != NULL)
        put_operand(w, c->join, c->other);
    else
        nxi_sql_placeholder(w);
}

static void put_in(nxi_sql *w, const nxi_condition *c)
{
    const nxi_column *column = c->column;
    bool is_negated = c->verb == NX_VERB_NOT_IN;
    if (c->value_count == 0)
        nxi_sql_put(w, is_negated ? "1 = 1" : "1 = 0");
    else
        w->dialect->in_render(column, left_side(w, c), is_negated, w->dialect->in_list(column->type, c->value_count), &w->text,
                              put_placeholder_into, w);
}

static void put_condition(nxi_sql *w, const nxi_condition *c, bool is_inside)
{
    switch (c->verb) {
    case NX_VERB_AND:
    case NX_VERB_OR:
        if (c->part_count == 0)
            nxi_sql_put(w, c->verb == NX_VERB_AND ? "1 = 1" : "1 = 0");
        if (is_inside && c->part_count > 1)
            nxi_sql_put(w, "(");
        put_list(w, c, 0, c->part_count, is_inside);
        if (is_inside && c->part_count > 1)
            nxi_sql_put(w, ")");
        break;
    case NX_VERB_NOT:
        nxi_sql_put(w, "NOT (");
        put_condition(w, c->parts[0], false);
        nxi_sql_put(w, ")");
        break;
    case NX_VERB_IN:
    case NX_VERB_NOT_IN: put_in(w, c); break;
    case NX_VERB_LIKE:
    case NX_VERB_ILIKE: w->dialect->like(left_side(w, c), c->verb == NX_VERB_ILIKE, &w->text, put_placeholder_into, w); break;
    case NX_VERB_EQ:
    case NX_VERB_NE:
    case NX_VERB_LT:
    case NX_VERB_LE:
    case NX_VERB_GT:
    case NX_VERB_GE:
    case NX_VERB_IS_NULL:
    case NX_VERB_IS_NOT_NULL:
    case NX_VERB_BETWEEN: put_leaf(w, c); break;
    case NX_VERB_STARTS_WITH: /* made LIKE when they were added */
    case NX_VERB_CONTAINS:
    default: NX_ASSERT(false);
    }
}

/* The row's term lies beyond the position's. False: nothing lies beyond it. */
static bool put_beyond(nxi_sql *w, const nxi_term *term, bool is_null)
{
    bool is_open = term->descending && !is_null && nxi_term_is_nullable(w->select, term);
    if (term->descending && is_null)
        return false;
    if (is_open)
        nxi_sql_put(w, "(");
    put_operand(w, term->join, term->column);
    nxi_sql_put(w, is_null ? " IS NOT NULL" : term->descending ? " < " : " > ");
    if (!is_null)
        nxi_sql_placeholder(w);
    if (is_open) {
        nxi_sql_put(w, " OR ");
        put_operand(w, term->join, term->column);
        nxi_sql_put(w, " IS NULL)");
    }
    return true;
}

/* (a > ? OR (a = ? AND (b > ? OR ...))), by the terms from `i` on. */
static void put_after_from(nxi_sql *w, size_t i)
{
    const nxi_select *select = w->select;
    const nxi_term *term = &select->terms[i];
    bool is_null = select->after[i].type == NX_TYPE_null;
    if (i + 1 == select->after_count) {
        if (!put_beyond(w, term, is_null))
            nxi_sql_put(w, "1 = 0");
        return;
    }
    nxi_sql_put(w, "(");
    if (put_beyond(w, term, is_null))
        nxi_sql_put(w, " OR ");
    nxi_sql_put(w, "(");
    put_operand(w, term->join, term->column);
    nxi_sql_put(w, is_null ? " IS NULL" : " = ");
    if (!is_null)
        nxi_sql_placeholder(w);
    nxi_sql_put(w, " AND ");
    put_after_from(w, i + 1);
    nxi_sql_put(w, "))");
}

static void put_after(nxi_sql *w)
{
    const nxi_term *first = &w->select->terms[0];
    if (nxi_after_is_bounded(w->select)) {
        put_column(w, first->join, first->column);
        nxi_sql_put(w, first->descending ? " <= " : " >= ");
        nxi_sql_placeholder(w);
        nxi_sql_put(w, " AND ");
    }
    put_after_from(w, 0);
}

/* is_more: something stands there already. */
static void put_where(nxi_sql *w, bool is_more)
{
    const nxi_select *select = w->select;
    if (select->where != NULL) {
        nxi_sql_put(w, is_more ? " AND " : " WHERE ");
        put_condition(w, select->where, is_more || select->after_count != 0);
        is_more = true;
    }
    if (select->after_count != 0) {
        nxi_sql_put(w, is_more ? " AND " : " WHERE ");
        put_after(w);
    }
}

/* ----------------------------------------------------------------------------------- queries */

static void put_join(nxi_sql *w, uint16_t number, const nxi_join *join)
{
    nxi_sql_put(w, join->outer ? " LEFT JOIN " : " INNER JOIN ");
    nxi_sql_name(w, join->table->name);
    nxi_sql_put(w, " AS ");
    put_alias(w, number, &w->text);
    for (size_t part = 0; part < join->table->key_count; part++) {
        const nxi_column *reference = join->reference + part;
        nxi_sql_put(w, part == 0 ? " ON " : " AND ");
        put_column(w, number, reference->target_column);
        nxi_sql_put(w, " = ");
        put_column(w, join->from, reference);
    }
}

static void put_from(nxi_sql *w, const nxi_sql_ask *ask)
{
    const nxi_select *select = ask->select;
    nxi_sql_put(w, " FROM ");
    nxi_sql_name(w, select->table->name);
    if (!w->is_qualified)
        return;
    nxi_sql_put(w, " AS ");
    put_alias(w, 0, &w->text);
    for (uint16_t i = 0; i < select->join_count; i++) {
        if ((ask->joins >> i & 1) != 0)
            put_join(w, (uint16_t)(i + 1), &select->joins[i]);
    }
}

static bool is_selected(const nxi_select *select, const nxi_column *column)
{
    return !column->lazy || (select->lazy_wanted >> column->lazy_bit & 1) != 0;
}

/*
 * Joins follow references to one row each, and the key is always selected: rows are distinct anyway. DISTINCT is
 * written where every provider takes it: ordering by what is not in the list, or locking, it does not go with.
 */
static bool distinct_is_possible(const nxi_sql *w)
{
    const nxi_select *select = w->select;
    bool is_possible = !select->random && !select->for_update;
    for (size_t i = 0; i < select->term_count; i++) {
        const nxi_term *term = &select->terms[i];
        bool is_bare = w->dialect->nulls_first || w->dialect->nulls_clause || !term->column->nullable;
        bool is_plain = term->join == 0 && is_bare;
        is_possible = is_possible && is_plain && is_selected(select, term->column);
    }
    return is_possible;
}

static void put_order(nxi_sql *w)
{
    const nxi_select *select = w->select;
    if (select->random) {
        nxi_sql_put(w, " ORDER BY ");
        nxi_sql_put(w, w->dialect->random);
        return;
    }
    for (size_t i = 0; i < select->term_count; i++) {
        const nxi_term *term = &select->terms[i];
        nxi_sql_put(w, i == 0 ? " ORDER BY " : ", ");
        bool is_told = !w->dialect->nulls_first && nxi_term_is_nullable(select, term);
        if (is_told && !w->dialect->nulls_clause) {
            put_operand(w, term->join, term->column);
            nxi_sql_put(w, term->descending ? " IS NULL, " : " IS NOT NULL, ");
        }
        put_operand(w, term->join, term->column);
        if (term->descending)
            nxi_sql_put(w, " DESC");
        if (is_told && w->dialect->nulls_clause)
            nxi_sql_put(w, term->descending ? " NULLS LAST" : " NULLS FIRST");
    }
}

static void put_limit(nxi_sql *w)
{
    const nxi_select *select = w->select;
    if (select->has_limit) {
        nxi_sql_put(w, " LIMIT ");
        nxi_sql_placeholder(w);
    } else if (select->has_offset && w->dialect->limit_none != NULL) {
        nxi_sql_put(w, " LIMIT ");
        nxi_sql_put(w, w->dialect->limit_none);
    }
    if (select->has_offset) {
        nxi_sql_put(w, " OFFSET ");
        nxi_sql_placeholder(w);
    }
}

static void put_lock(nxi_sql *w)
{
    const nxi_dialect *dialect = w->dialect;
    if (!w->select->for_update || dialect->for_update == NULL)
        return;
    nxi_sql_put(w, " ");
    nxi_sql_put(w, dialect->for_update);
    if (w->is_qualified && dialect->for_update_of) {
        nxi_sql_put(w, " OF ");
        put_alias(w, 0, &w->text);
    }
    if (w->select->nowait && dialect->nowait != NULL)
        nxi_sql_put(w, dialect->nowait);
    if (w->select->skip_locked && dialect->skip_locked != NULL)
        nxi_sql_put(w, dialect->skip_locked);
}

static void put_fetch(nxi_sql *w, const nxi_sql_ask *ask, const nxi_column **results, nxi_statement *prototype)
{
    const nxi_select *select = ask->select;
    const nxi_table *table = select->table;
    prototype->results = results;
    prototype->lazy_missing = table->lazy_mask & ~select->lazy_wanted;
    nxi_sql_put(w, select->distinct && distinct_is_possible(w) ? "SELECT DISTINCT " : "SELECT ");
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        if (!is_selected(select, column))
            continue;
        if (prototype->result_count != 0)
            nxi_sql_put(w, ", ");
        put_column(w, 0, column);
        results[prototype->result_count++] = column;
    }
    put_from(w, ask);
    put_where(w, false);
    put_order(w);
    put_limit(w);
    put_lock(w);
}

static void put_function(nxi_sql *w, const nxi_sql_ask *ask)
{
    static const char *const names[] = { "SUM(", "AVG(", "MIN(", "MAX(" };
    nxi_aggregate function = (nxi_aggregate)(ask->verb - NXI_VERB_SUM);
    nxi_sql_put(w, "SELECT ");
    if (w->dialect->aggregate != NULL) {
        w->dialect->aggregate(function, ask->column->type, operand_text(w, 0, ask->column), &w->text);
        return;
    }
    nxi_sql_put(w, names[function]);
    put_operand(w, 0, ask->column);
    nxi_sql_put(w, ")");
}

/* Over an ordered list of values: an aggregate takes them as they come, on every provider. */
static void put_concat(nxi_sql *w, const nxi_sql_ask *ask)
{
    nxi_sql_put(w, "SELECT ");
    nxi_sql_put(w, w->dialect->concat);
    nxi_sql_name(w, "v");
    nxi_sql_put(w, ", ");
    nxi_sql_placeholder(w);
    nxi_sql_put(w, ") FROM (SELECT ");
    put_column(w, 0, ask->column);
    nxi_sql_put(w, w->dialect->as_text == NULL ? "" : w->dialect->as_text);
    nxi_sql_put(w, " AS ");
    nxi_sql_name(w, "v");
    put_from(w, ask);
    put_where(w, false);
    put_order(w);
    nxi_sql_put(w, ") AS ");
    nxi_sql_name(w, "q");
}

static void put_aggregate(nxi_sql *w, const nxi_sql_ask *ask, nxi_statement *prototype)
{
    if (ask->verb == NXI_VERB_COUNT || ask->verb == NXI_VERB_EXISTS) {
        nxi_sql_put(w, ask->verb == NXI_VERB_COUNT ? "SELECT COUNT(*)" : "SELECT 1");
    } else {
        put_function(w, ask);
        prototype->of_intervals = ask->column != NULL && ask->column->type == NX_TYPE_interval;
    }
    put_from(w, ask);
    put_where(w, false);
    if (ask->verb == NXI_VERB_EXISTS)
        nxi_sql_put(w, " LIMIT 1");
}

/* Rows are named by their key where the conditions need other tables: neither UPDATE nor DELETE has portable joins. */
static void put_where_of_write(nxi_sql *w, const nxi_sql_ask *ask)
{
    const nxi_table *table = ask->select->table;
    bool is_composite = table->key_count > 1;
    if (ask->joins == 0) {
        put_where(w, false);
        return;
    }
    nxi_sql_put(w, " WHERE ");
    if (!is_composite) {
        put_column(w, 0, &table->columns[0]);
        nxi_sql_put(w, " IN ");
    }
    w->is_qualified = true;
    nxi_sql_put(w, is_composite ? "EXISTS (SELECT 1" : "(SELECT ");
    if (!is_composite)
        put_column(w, 0, &table->columns[0]);
    put_from(w, ask);
    for (size_t i = 0; is_composite && i < table->key_count; i++) {
        nxi_sql_put(w, i == 0 ? " WHERE " : " AND ");
        put_column(w, 0, &table->columns[i]);
        nxi_sql_put(w, " = ");
        nxi_sql_name(w, table->name);
        nxi_sql_put(w, ".");
        nxi_sql_name(w, table->columns[i].name);
    }
    put_where(w, is_composite);
    nxi_sql_put(w, ")");
}

static void put_write(nxi_sql *w, const nxi_sql_ask *ask)
{
    const nxi_table *table = ask->select->table;
    nxi_sql_put(w, ask->verb == NXI_VERB_DELETE ? "DELETE FROM " : "UPDATE ");
    nxi_sql_name(w, table->name);
    for (size_t i = 0; i < ask->set_count; i++) {
        nxi_sql_put(w, i == 0 ? " SET " : ", ");
        nxi_sql_name(w, ask->sets[i].column->name);
        nxi_sql_put(w, " = ");
        nxi_sql_placeholder(w);
    }
    if (ask->verb == NXI_VERB_UPDATE && table->version != NULL) {
        nxi_sql_put(w, ", ");
        put_version_up_bounded(w, table);
    }
    put_where_of_write(w, ask);
}

nx_status nxi_sql_render(const nxi_sql_ask *ask, const nxi_shape *shape, nxi_statements *statements,
                         const nxi_statement **ret_statement)
{
    const nxi_table *table = ask->select->table;
    bool writes = ask->verb == NXI_VERB_DELETE || ask->verb == NXI_VERB_UPDATE;
    nxi_statement prototype = { .writes = writes, .table = table, .nowait = ask->select->nowait };
    const nxi_column **results = NXI_ARENA_ARRAY(shape->arena, const nxi_column *, table->column_count);
    if (results == NULL)
        return NX_ENOMEM;
    nxi_sql w;
    nxi_sql_init(&w, ask->dialect, statements);
    w.select = ask->select;
    w.is_qualified = ask->joins != 0 && !writes;
    if (ask->verb == NXI_VERB_FETCH)
        put_fetch(&w, ask, results, &prototype);
    else if (writes)
        put_write(&w, ask);
    else if (ask->verb == NXI_VERB_CONCAT)
        put_concat(&w, ask);
    else
        put_aggregate(&w, ask, &prototype);
    nx_status status = nxi_sql_intern(&w, shape, statements, &prototype, ret_statement);
    nxi_sql_fini(&w);
    return status;
}
