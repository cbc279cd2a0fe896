/*
 * variants - texts that write many rows.
 *
 * Arrays become a table u(c1, c2, .., o): one column for each parameter, and the row's number. The names can meet none of a
 * user's, because everything is qualified.
 *
 * A row that affects nothing is found in the same statement: RETURNING tells the numbers of those that did, and if some are
 * missing, the first of them is cast to a number together with words that are none. The server refuses with an error, so that
 * what follows in the transaction is not done either. 4.2.14: CASE is what keeps an expression from being evaluated; nothing in
 * the cast is constant, so that it cannot be evaluated when the statement is planned.
 *
 * Of rows with one conflict key the last wins: ON CONFLICT refuses to update a row twice in one statement (21000).
 */
#include "drivers/postgres/variants.h"

#include <stdio.h>

#include "drivers/postgres/dialect.h"
#include "drivers/postgres/sqltype.h"

/* A text in the making. */
typedef struct writer {
    const nxi_statement *statement;
    const nxi_write_form *form;
    const nxi_table *table;
    nxi_buf *sql;
    bool by_lookup; /* there is no xmax */
} writer;

static void put(const writer *w, const char *text)
{
    nxi_buf_puts(w->sql, text);
}

static void put_name(const writer *w, const char *name)
{
    nxi_quote(&nxi_pg_dialect, name, w->sql);
}

static void put_names(const writer *w, const nxi_column *const *columns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put(w, i == 0 ? "" : ", ");
        put_name(w, columns[i]->name);
    }
}

/* A parameter's column of u as a value of its type. */
static void put_cell(const writer *w, size_t param)
{
    const nxi_column *column = w->statement->params[param].column;
    char cell[32];

    (void)snprintf(cell, sizeof(cell), "u.c%zu", param + 1);
    nxi_pg_put_cast(column, cell, false, w->sql);
}

/* unnest($1, $2) WITH ORDINALITY AS u(c1, c2, o) */
static void put_source(const writer *w);

/* ------------------------------------------------------------------------------------- insert */

/* The parameter of that column; all parameters of an INSERT are columns of it, in their order. */
static bool find_inserted(const writer *w, const nxi_column *column, size_t *ret_param)
{
    for (size_t i = 0; i < w->form->column_count; i++) {
        if (w->form->columns[i] == column) {
            *ret_param = i;
            return true;
        }
    }
    return false;
}

/* Rows may meet in the same row of the table. A part of the key that is not written makes them differ. */
static bool needs_last(const writer *w)
{
    size_t param;

    if (w->form->rule != NX_CONFLICT_UPDATE || w->form->conflict_update_count == 0)
        return false;
    for (size_t i = 0; i < w->form->conflict_key_count; i++) {
        if (!find_inserted(w, w->form->conflict_key[i], &param))
            return false;
    }
    return true;
}

/* NULLs are equal to DISTINCT, and conflict with nothing: rows with one stay apart by their number. */
static void put_null_guard(const writer *w)
{
    bool is_first = true;
    size_t param = 0;

    for (size_t i = 0; i < w->form->conflict_key_count; i++) {
        if (!w->form->conflict_key[i]->nullable || !find_inserted(w, w->form->conflict_key[i], &param))
            continue;
        put(w, is_first ? ", CASE WHEN " : " OR ");
        nxi_buf_printf(w->sql, "u.c%zu IS NULL", param + 1);
        is_first = false;
    }
    put(w, is_first ? "" : " THEN u.o END");
}

static void put_conflict_key(const writer *w)
{
    size_t param = 0;

    for (size_t i = 0; i < w->form->conflict_key_count; i++) {
        put(w, i == 0 ? "" : ", ");
        if (find_inserted(w, w->form->conflict_key[i], &param))
            put_cell(w, param);
    }
    put_null_guard(w);
}

static void put_rows(const writer *w)
{
    if (!needs_last(w)) {
        put_source(w);
        return;
    }
    put(w, "(SELECT DISTINCT ON (");
    put_conflict_key(w);
    put(w, ") u.* FROM ");
    put_source(w);
    put(w, " ORDER BY ");
    put_conflict_key(w);
    put(w, ", u.o DESC) AS u");
}

static void put_conflict(const writer *w)
{
    const nxi_write_form *form = w->form;

    if (form->rule == NX_CONFLICT_ERROR)
        return;
    put(w, " ON CONFLICT (");
    put_names(w, form->conflict_key, form->conflict_key_count);
    if (form->rule == NX_CONFLICT_IGNORE || form->conflict_update_count == 0) {
        put(w, ") DO NOTHING");
        return;
    }
    put(w, ") DO UPDATE SET ");
    for (size_t i = 0; i < form->conflict_update_count; i++) {
        put(w, i == 0 ? "" : ", ");
        put_name(w, form->conflict_update[i]->name);
        put(w, " = excluded.");
        put_name(w, form->conflict_update[i]->name);
    }
    if (w->table->version == NULL)
        return;
    put(w, ", ");
    put_name(w, w->table->version->name);
    put(w, " = ");
    put_name(w, w->table->name);
    put(w, ".");
    put_name(w, w->table->version->name);
    put(w, " + 1");
}

/* A row that was inserted has no transaction in xmax that locked or replaced it (5.5). A look sees what was there before. */
static void put_is_new(const writer *w)
{
    if (!w->by_lookup) {
        put(w, "(xmax = 0)");
        return;
    }
    put(w, "NOT EXISTS (SELECT FROM ");
    put_name(w, w->table->name);
    for (size_t i = 0; i < w->form->conflict_key_count; i++) {
        put(w, i == 0 ? " AS nextorm_there WHERE nextorm_there." : " AND nextorm_there.");
        put_name(w, w->form->conflict_key[i]->name);
        put(w, " = ");
        put_name(w, w->table->name);
        put(w, ".");
        put_name(w, w->form->conflict_key[i]->name);
    }
    put(w, ")");
}

static void put_returning(const writer *w)
{
    const nxi_statement *s = w->statement;

    if (w->form->verb != NXI_WRITE_VERB_INSERT || (s->key_column == NULL && !s->upserts))
        return;
    put(w, " RETURNING ");
    if (s->key_column != NULL)
        put_name(w, s->key_column->name);
    if (!s->upserts)
        return;
    put(w, s->key_column != NULL ? ", " : "");
    put_is_new(w);
}

static void put_insert(const writer *w)
{
    put(w, "INSERT INTO ");
    put_name(w, w->table->name);
    put(w, " (");
    put_names(w, w->form->columns, w->form->column_count);
    put(w, ") SELECT ");
    for (size_t i = 0; i < w->statement->param_count; i++) {
        put(w, i == 0 ? "" : ", ");
        put_cell(w, i);
    }
    put(w, " FROM ");
    put_rows(w);
    put(w, " ORDER BY u.o"); /* keys are given out, and returned, in this order */
    put_conflict(w);
    put_returning(w);
}

/* -------------------------------------------------------------------------- update and delete */

/* r."name" */
static void put_stored(const writer *w, const nxi_column *column)
{
    put(w, "r.");
    put_name(w, column->name);
}

/* WHERE over the parameters from `param` on, in the order of rowsql.c: key, version, compared columns. */
static void put_match(const writer *w, size_t param)
{
    for (size_t i = 0; i < w->table->key_count; i++) {
        put(w, i == 0 ? " WHERE " : " AND ");
        put_stored(w, &w->table->columns[i]);
        put(w, " = ");
        put_cell(w, param++);
    }
    if (w->form->use_version) {
        put(w, " AND ");
        put_stored(w, w->table->version);
        put(w, " = ");
        put_cell(w, param++);
    }
    for (size_t i = 0; i < w->form->compare_count; i++) {
        put(w, " AND ");
        put_stored(w, w->form->compare[i]);
        put(w, w->form->compare[i]->nullable ? " IS NOT DISTINCT FROM " : " = ");
        put_cell(w, param++);
    }
    NX_ASSERT(param == w->statement->param_count);
}

static void put_update(const writer *w)
{
    const nxi_write_form *form = w->form;

    put(w, "UPDATE ");
    put_name(w, w->table->name);
    put(w, " AS r SET ");
    for (size_t i = 0; i < form->column_count; i++) {
        put(w, i == 0 ? "" : ", ");
        put_name(w, form->columns[i]->name);
        put(w, " = ");
        put_cell(w, i);
    }
    if (w->table->version != NULL && !form->keep_version) {
        put(w, form->column_count == 0 ? "" : ", ");
        put_name(w, w->table->version->name);
        put(w, " = ");
        put_stored(w, w->table->version);
        put(w, " + 1");
    }
    put(w, " FROM ");
    put_source(w);
    put_match(w, form->column_count);
}

static void put_delete(const writer *w)
{
    put(w, "DELETE FROM ");
    put_name(w, w->table->name);
    put(w, " AS r USING ");
    put_source(w);
    put_match(w, 0);
}

/* WHERE "id" = ANY ($1): what an index answers best. */
static void put_delete_any(const writer *w)
{
    put(w, "DELETE FROM ");
    put_name(w, w->table->name);
    put(w, " WHERE ");
    put_name(w, w->table->columns[0].name);
    put(w, " = ANY (");
    nxi_pg_put_cast(&w->table->columns[0], "$1", true, w->sql);
    put(w, ")");
}

/* A vector's array is text that has to be taken apart first. */
static bool is_delete_by_key(const writer *w)
{
    return w->form->verb == NXI_WRITE_VERB_DELETE && w->statement->param_count == 1 &&
           w->table->columns[0].type != NX_TYPE_vector;
}

static void put_many_checked(const writer *w)
{
    size_t count = w->statement->param_count + 1;

    put(w, "WITH w AS (");
    if (w->form->verb == NXI_WRITE_VERB_UPDATE)
        put_update(w);
    else
        put_delete(w);
    nxi_buf_printf(w->sql,
                   " RETURNING u.o) SELECT 0 FROM (SELECT count(*) AS n FROM w) AS c WHERE CASE WHEN c.n = $%zu THEN false"
                   " ELSE ('" NXI_PG_MISSING "' || (SELECT min(i) FROM generate_series(1, $%zu) AS s(i)"
                   " WHERE NOT EXISTS (SELECT FROM w WHERE w.o = s.i)))::int8 = 0 END",
                   count, count);
}

static void put_one_checked(const writer *w)
{
    put(w, "WITH w AS (");
    nxi_buf_put(w->sql, w->statement->sql, w->statement->sql_size);
    put(w, " RETURNING 1) SELECT 0 FROM (SELECT count(*) AS n FROM w) AS c WHERE CASE WHEN c.n <> 0 THEN false"
           " ELSE ('" NXI_PG_MISSING "' || (1 + c.n))::int8 = 0 END");
}

static void put_source(const writer *w)
{
    size_t count = w->statement->param_count;

    for (size_t i = 0; i < count; i++)
        nxi_buf_printf(w->sql, "%s$%zu", i == 0 ? "unnest(" : ", ", i + 1);
    put(w, ") WITH ORDINALITY AS u(");
    for (size_t i = 0; i < count; i++)
        nxi_buf_printf(w->sql, "c%zu, ", i + 1);
    put(w, "o)");
}

/* ---------------------------------------------------------------------------------- variants */

static bool put_copy(const writer *w)
{
    for (size_t i = 0; i < w->statement->param_count; i++) {
        if (!nxi_pg_travel_of(w->statement->params[i].column).copies)
            return false;
    }
    put(w, "COPY ");
    put_name(w, w->table->name);
    put(w, " (");
    put_names(w, w->form->columns, w->form->column_count);
    put(w, ") FROM STDIN (FORMAT binary)");
    return true;
}

static bool put_many(const writer *w, bool is_checked)
{
    if (w->statement->param_count == 0)
        return false;
    if (w->form->verb == NXI_WRITE_VERB_INSERT) {
        put_insert(w);
        return is_checked; /* there is nothing to check: one text */
    }
    if (is_checked)
        put_many_checked(w);
    else if (is_delete_by_key(w))
        put_delete_any(w);
    else if (w->form->verb == NXI_WRITE_VERB_UPDATE)
        put_update(w);
    else
        put_delete(w);
    return true;
}

bool nxi_pg_variant_render(const nxi_statement *statement, nxi_pg_variant variant, bool by_lookup, nxi_buf *sql)
{
    writer w = {
        .statement = statement, .form = statement->write, .table = statement->table, .sql = sql, .by_lookup = by_lookup
    };

    if (w.form == NULL)
        return false;
    bool is_insert = w.form->verb == NXI_WRITE_VERB_INSERT;
    switch (variant) {
    case NXI_PG_ONE:
        nxi_buf_put(sql, statement->sql, statement->sql_size);
        put_returning(&w);
        return true;
    case NXI_PG_ONE_CHECKED:
        if (!is_insert)
            put_one_checked(&w);
        return !is_insert;
    case NXI_PG_MANY: return put_many(&w, true);
    case NXI_PG_MANY_UNCHECKED: return !is_insert && put_many(&w, false);
    case NXI_PG_COPY: return is_insert && w.form->rule == NX_CONFLICT_ERROR && statement->param_count != 0 && put_copy(&w);
    }
    return false;
}

nxi_pg_oid nxi_pg_variant_type(const nxi_param *param)
{
    return nxi_pg_travel_of(param->column).one;
}

nxi_pg_oid nxi_pg_variant_element(const nxi_param *param)
{
    return nxi_pg_travel_of(param->column).element;
}

int64_t nxi_pg_missing_row(const char *message)
{
    const char *found = strstr(message, NXI_PG_MISSING);
    int64_t row = 0;

    if (found == NULL)
        return 0;
    for (found += strlen(NXI_PG_MISSING); *found >= '0' && *found <= '9'; found++) {
        if (__builtin_mul_overflow(row, 10, &row) || __builtin_add_overflow(row, *found - '0', &row))
            return 0;
    }
    return row;
}
