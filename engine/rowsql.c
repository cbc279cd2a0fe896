/*
 * rowsql - statements that write, or read again, one row by its key.
 *
 * Their parameters come from rows (nxi_param), so one statement serves any number of rows.
 */
#include "engine/sql.h"

/* A statement in the making; its shape spills into an arena of its own, seldom. */
typedef struct maker {
    nxi_arena arena;
    nxi_shape shape;
    nxi_sql sql;
    nxi_statements *statements;
    nxi_param *params;
} maker;

static void maker_init(maker *m, unsigned kind, const nxi_table *table, nxi_statements *statements)
{
    nxi_arena_init(&m->arena, statements->arena.memory);
    nxi_shape_init(&m->shape, &m->arena);
    m->statements = statements;
    m->params = NULL;
    nxi_shape_u8(&m->shape, kind);
    nxi_shape_u32(&m->shape, table->index);
}

/* The statement of that shape if it is known. */
static bool maker_find(const maker *m, const nxi_statement **ret_statement)
{
    const nxi_statement *found = m->shape.failed ? NULL : nxi_statements_find(m->statements, m->shape.data, m->shape.size);
    if (found == NULL)
        return false;
    *ret_statement = found;
    return true;
}

/* Room for the text and for so many parameters at most. */
static nx_status maker_begin(maker *m, const nxi_dialect *dialect, size_t params)
{
    nxi_sql_init(&m->sql, dialect, m->statements);
    if (params > dialect->parameters_max)
        return NX_ELIMIT;
    m->params = NXI_ARENA_ARRAY(&m->arena, nxi_param, params);
    return m->shape.failed || m->params == NULL ? NX_ENOMEM : NX_OK;
}

static void maker_fini(maker *m)
{
    nxi_sql_fini(&m->sql);
    nxi_arena_fini(&m->arena);
}

static nx_status maker_intern(maker *m, nxi_statement *prototype, const nxi_statement **ret_statement)
{
    prototype->params = m->params;
    return nxi_sql_intern(&m->sql, &m->shape, m->statements, prototype, ret_statement);
}

static void put_param(maker *m, const nxi_column *column, bool from_snapshot)
{
    m->params[m->sql.params] = (nxi_param){ column, from_snapshot };
    nxi_sql_placeholder(&m->sql);
}

static void put_names(nxi_sql *sql, const nxi_column *const *columns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        nxi_sql_put(sql, i == 0 ? "" : ", ");
        nxi_sql_name(sql, columns[i]->name);
    }
}

static bool contains(const nxi_column *const *columns, size_t count, const nxi_column *column)
{
    for (size_t i = 0; i < count; i++) {
        if (columns[i] == column)
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------------------------ insert */

/* c = the value that the refused row has for it. */
static void put_excluded(nxi_sql *sql, const nxi_column *column, bool is_first)
{
    bool on_conflict = sql->dialect->on_conflict;
    nxi_sql_put(sql, is_first ? "" : ", ");
    nxi_sql_name(sql, column->name);
    nxi_sql_put(sql, on_conflict ? " = excluded." : " = VALUES(");
    nxi_sql_name(sql, column->name);
    nxi_sql_put(sql, on_conflict ? "" : ")");
}

/* Default columns to update: those inserted that identify nothing and that updates may write. */
static bool is_updated(const nxi_table *table, const nxi_conflict *conflict, const nxi_column *column)
{
    if (column == table->version)
        return false;
    if (conflict->update_count != 0)
        return true;
    return !column->is_key && !column->is_volatile && !contains(conflict->key, conflict->key_count, column);
}

/* What the rule of an INSERT means for this table; the lists are made here. False: out of memory. */
static bool resolve_conflict(maker *m, const nxi_table *table, const nxi_conflict *conflict, nxi_write_form *form)
{
    const nxi_column *const *update = conflict->update_count != 0 ? conflict->update : form->columns;
    size_t count = conflict->update_count != 0 ? conflict->update_count : form->column_count;
    const nxi_column **key = NXI_ARENA_ARRAY(&m->arena, const nxi_column *, table->key_count);
    const nxi_column **updated = NXI_ARENA_ARRAY(&m->arena, const nxi_column *, count);

    form->rule = conflict->rule;
    if (form->rule == NX_CONFLICT_ERROR)
        return true;
    if (key == NULL || updated == NULL)
        return false;
    for (size_t i = 0; i < table->key_count; i++)
        key[i] = &table->columns[i];
    form->conflict_key = conflict->key_count != 0 ? conflict->key : key;
    form->conflict_key_count = conflict->key_count != 0 ? conflict->key_count : table->key_count;
    for (size_t i = 0; form->rule == NX_CONFLICT_UPDATE && i < count; i++) {
        if (is_updated(table, conflict, update[i]))
            updated[form->conflict_update_count++] = update[i];
    }
    form->conflict_update = updated;
    return true;
}

static void put_conflict(maker *m, const nxi_table *table, const nxi_write_form *form)
{
    nxi_sql *sql = &m->sql;
    bool is_update = form->conflict_update_count != 0;
    if (sql->dialect->on_conflict) {
        nxi_sql_put(sql, " ON CONFLICT (");
        put_names(sql, form->conflict_key, form->conflict_key_count);
        nxi_sql_put(sql, is_update ? ") DO UPDATE SET " : ") DO NOTHING");
    } else if (is_update) {
        nxi_sql_put(sql, " ON DUPLICATE KEY UPDATE ");
    }
    for (size_t i = 0; i < form->conflict_update_count; i++)
        put_excluded(sql, form->conflict_update[i], i == 0);
    if (is_update && table->version != NULL) {
        nxi_sql_put(sql, ", ");
        nxi_sql_version_up(sql, table, true);
    }
}

/* INSERT IGNORE also lets pass what is no duplicate, so it is used only where there is nothing to update either. */
static bool is_insert_ignore(const nxi_dialect *dialect, const nxi_write_form *form)
{
    return !dialect->on_conflict && form->rule == NX_CONFLICT_IGNORE;
}

static void put_insert(maker *m, const nxi_table *table, const nxi_write_form *form)
{
    nxi_sql *sql = &m->sql;
    nxi_sql_put(sql, is_insert_ignore(sql->dialect, form) ? "INSERT IGNORE INTO " : "INSERT INTO ");
    nxi_sql_name(sql, table->name);
    if (form->column_count == 0) { /* the key is the database's own: nothing can be there already */
        nxi_sql_put(sql, sql->dialect->on_conflict ? " DEFAULT VALUES" : " () VALUES ()");
        return;
    }
    nxi_sql_put(sql, " (");
    put_names(sql, form->columns, form->column_count);
    nxi_sql_put(sql, ") VALUES (");
    for (size_t i = 0; i < form->column_count; i++) {
        nxi_sql_put(sql, i == 0 ? "" : ", ");
        put_param(m, form->columns[i], false);
    }
    nxi_sql_put(sql, ")");
    if (form->rule != NX_CONFLICT_ERROR)
        put_conflict(m, table, form);
}

nx_status nxi_statement_insert(const nxi_table *table, const nxi_column *const *columns, size_t count,
                               const nxi_conflict *conflict, const nxi_dialect *dialect, nxi_statements *statements,
                               const nxi_statement **ret_statement)
{
    maker m;
    maker_init(&m, NXI_SHAPE_INSERT, table, statements);
    nxi_shape_columns(&m.shape, columns, count);
    nxi_shape_u8(&m.shape, conflict == NULL ? (unsigned)NX_CONFLICT_ERROR : (unsigned)conflict->rule);
    if (conflict != NULL && conflict->rule != NX_CONFLICT_ERROR) {
        nxi_shape_columns(&m.shape, conflict->key, conflict->key_count);
        nxi_shape_columns(&m.shape, conflict->update, conflict->update_count);
    }
    if (maker_find(&m, ret_statement)) {
        nxi_arena_fini(&m.arena);
        return NX_OK;
    }
    bool is_numbered = table->auto_key != NULL && !contains(columns, count, table->auto_key);
    nxi_write_form form = { .verb = NXI_WRITE_VERB_INSERT, .columns = columns, .column_count = count };
    nxi_statement prototype = { .writes = true,
                                .table = table,
                                .write = &form,
                                .upserts = conflict != NULL && conflict->rule == NX_CONFLICT_UPDATE,
                                .key_column = is_numbered ? table->auto_key : NULL };
    nx_status status = maker_begin(&m, dialect, count);
    if (status == NX_OK && conflict != NULL && !resolve_conflict(&m, table, conflict, &form))
        status = NX_ENOMEM;
    if (status == NX_OK) {
        put_insert(&m, table, &form);
        status = maker_intern(&m, &prototype, ret_statement);
    }
    maker_fini(&m);
    return status;
}

/* ------------------------------------------------------------------------- update and delete */

/* WHERE key = ? AND version = ? AND column IS ? ... */
static void put_row(maker *m, const nxi_table *table, const nxi_write_form *form)
{
    nxi_sql *sql = &m->sql;
    for (size_t i = 0; i < table->key_count; i++) {
        nxi_sql_put(sql, i == 0 ? " WHERE " : " AND ");
        nxi_sql_name(sql, table->columns[i].name);
        nxi_sql_put(sql, " = ");
        put_param(m, &table->columns[i], false);
    }
    if (form->use_version) { /* from the row: untracked ones have no snapshot */
        nxi_sql_put(sql, " AND ");
        nxi_sql_name(sql, table->version->name);
        nxi_sql_put(sql, " = ");
        put_param(m, table->version, false);
    }
    for (size_t i = 0; i < form->compare_count; i++) {
        const nxi_column *column = form->compare[i];
        nxi_sql_put(sql, " AND ");
        nxi_sql_name(sql, column->name);
        nxi_sql_put(sql, " ");
        nxi_sql_put(sql, column->nullable ? sql->dialect->null_safe_equal : "=");
        nxi_sql_put(sql, " ");
        put_param(m, column, true);
    }
}

static void put_update(maker *m, const nxi_table *table, const nxi_write_form *form)
{
    nxi_sql *sql = &m->sql;
    nxi_sql_put(sql, "UPDATE ");
    nxi_sql_name(sql, table->name);
    nxi_sql_put(sql, " SET ");
    for (size_t i = 0; i < form->column_count; i++) {
        nxi_sql_put(sql, i == 0 ? "" : ", ");
        nxi_sql_name(sql, form->columns[i]->name);
        nxi_sql_put(sql, " = ");
        put_param(m, form->columns[i], false);
    }
    if (table->version != NULL && !form->keep_version) {
        nxi_sql_put(sql, form->column_count == 0 ? "" : ", ");
        nxi_sql_version_up(sql, table, false);
    }
}

/* Without the version, which counts itself up. False: out of memory. */
static bool settable(maker *m, const nxi_table *table, const nxi_column *const *columns, size_t count, nxi_write_form *form)
{
    const nxi_column **set = NXI_ARENA_ARRAY(&m->arena, const nxi_column *, count);
    if (set == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (columns[i] != table->version)
            set[form->column_count++] = columns[i];
    }
    form->columns = set;
    return true;
}

nx_status nxi_statement_update(const nxi_table *table, const nxi_column *const *columns, size_t count,
                               const nxi_column *const *compare, size_t compare_count, unsigned version,
                               const nxi_dialect *dialect, nxi_statements *statements, const nxi_statement **ret_statement)
{
    maker m;
    if ((table->version == NULL || (version & NXI_VERSION_KEPT) != 0) && count == 0)
        return NX_EINVAL; /* nothing to set */
    maker_init(&m, NXI_SHAPE_ROW_UPDATE, table, statements);
    nxi_shape_columns(&m.shape, columns, count);
    nxi_shape_columns(&m.shape, compare, compare_count);
    nxi_shape_u8(&m.shape, version);
    if (maker_find(&m, ret_statement)) {
        nxi_arena_fini(&m.arena);
        return NX_OK;
    }
    nxi_write_form form = { .verb = NXI_WRITE_VERB_UPDATE,
                            .use_version = (version & NXI_VERSION_COMPARED) != 0 && table->version != NULL,
                            .keep_version = (version & NXI_VERSION_KEPT) != 0,
                            .compare = compare,
                            .compare_count = compare_count };
    nxi_statement prototype = { .writes = true, .table = table, .write = &form };
    nx_status status = maker_begin(&m, dialect, count + compare_count + table->key_count + 1);
    if (status == NX_OK && !settable(&m, table, columns, count, &form))
        status = NX_ENOMEM;
    if (status == NX_OK) {
        put_update(&m, table, &form);
        put_row(&m, table, &form);
        status = maker_intern(&m, &prototype, ret_statement);
    }
    maker_fini(&m);
    return status;
}

nx_status nxi_statement_delete(const nxi_table *table, const nxi_column *const *compare, size_t compare_count, bool use_version,
                               const nxi_dialect *dialect, nxi_statements *statements, const nxi_statement **ret_statement)
{
    maker m;
    maker_init(&m, NXI_SHAPE_ROW_DELETE, table, statements);
    nxi_shape_columns(&m.shape, compare, compare_count);
    nxi_shape_u8(&m.shape, use_version);
    if (maker_find(&m, ret_statement)) {
        nxi_arena_fini(&m.arena);
        return NX_OK;
    }
    nxi_write_form form = { .verb = NXI_WRITE_VERB_DELETE,
                            .use_version = use_version && table->version != NULL,
                            .compare = compare,
                            .compare_count = compare_count };
    nxi_statement prototype = { .writes = true, .table = table, .write = &form };
    nx_status status = maker_begin(&m, dialect, compare_count + table->key_count + 1);
    if (status == NX_OK) {
        nxi_sql_put(&m.sql, "DELETE FROM ");
        nxi_sql_name(&m.sql, table->name);
        put_row(&m, table, &form);
        status = maker_intern(&m, &prototype, ret_statement);
    }
    maker_fini(&m);
    return status;
}

/* ------------------------------------------------------------------------------------ by key */

static void put_by_key(maker *m, const nxi_table *table, const nxi_column *const *columns, size_t count)
{
    nxi_sql *sql = &m->sql;
    nxi_sql_put(sql, "SELECT ");
    put_names(sql, columns, count);
    nxi_sql_put(sql, " FROM ");
    nxi_sql_name(sql, table->name);
    for (size_t i = 0; i < table->key_count; i++) {
        nxi_sql_put(sql, i == 0 ? " WHERE " : " AND ");
        nxi_sql_name(sql, table->columns[i].name);
        nxi_sql_put(sql, " = ");
        nxi_sql_placeholder(sql);
    }
}

nx_status nxi_statement_by_key(const nxi_table *table, const nxi_column *const *columns, size_t count, const nxi_dialect *dialect,
                               nxi_statements *statements, const nxi_statement **ret_statement)
{
    maker m;
    if (count == 0)
        return NX_EINVAL;
    maker_init(&m, NXI_SHAPE_BY_KEY, table, statements);
    nxi_shape_columns(&m.shape, columns, count);
    if (maker_find(&m, ret_statement)) {
        nxi_arena_fini(&m.arena);
        return NX_OK;
    }
    nxi_statement prototype = { .table = table, .results = columns, .result_count = count, .lazy_missing = table->lazy_mask };
    for (size_t i = 0; i < count; i++) {
        if (columns[i]->lazy)
            prototype.lazy_missing &= ~(UINT32_C(1) << columns[i]->lazy_bit);
    }
    nx_status status = maker_begin(&m, dialect, 0);
    if (status == NX_OK) {
        put_by_key(&m, table, columns, count);
        status = nxi_sql_intern(&m.sql, &m.shape, statements, &prototype, ret_statement);
    }
    maker_fini(&m);
    return status;
}
