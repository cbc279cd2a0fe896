/*
 * batch - many rows by one INSERT.
 *
 * Design notes: entering and leaving the virtual machine costs as much as inserting a small row. INSERT ... VALUES with 64 rows
 * of parameters takes 0.48 of the time of 64 steps (1 M rows of integer, float and 16-byte text with an automatic key, 3.40.1;
 * INSERT ... SELECT from a virtual table over the rows takes 0.70, because giving keys makes SQLite look each of them up).
 *
 * Keys: while we hold the write lock, SQLite numbers the rows of one statement from the greatest key on, without gaps. That is
 * checked for each batch: as many rows as given were inserted, nothing else was changed (a trigger might have inserted into the
 * same table), and the last key is the one that was expected (AUTOINCREMENT or an exhausted key space number otherwise). If
 * anything differs, a savepoint takes the batch back and the statement is run row by row from then on. A batch that fails is
 * taken back by SQLite itself and run row by row, which finds the row that is at fault.
 */
#include "drivers/sqlite/sqlite.h"

enum { FETCH_AHEAD = 4 }; /* rows */

static int64_t greatest_key(nx_type type)
{
    switch ((int)type) {
    case NX_TYPE_i16: return INT16_MAX;
    case NX_TYPE_i32: return INT32_MAX;
    case NX_TYPE_u32: return UINT32_MAX;
    default: return INT64_MAX;
    }
}

/* Length of the text before the "(?, ?)" that ends a plain INSERT; 0: it is another kind of statement. */
static size_t find_values(const nxi_statement *statement)
{
    static const char values[] = "VALUES ";
    size_t at = statement->sql_size, marks = 0;
    const char *sql = statement->sql;

    if (at == 0 || statement->param_count == 0 || sqlite3_strnicmp(sql, "INSERT INTO ", 12) != 0 || sql[--at] != ')')
        return 0;
    while (at > 0 && (sql[at - 1] == '?' || sql[at - 1] == ',' || sql[at - 1] == ' '))
        marks += sql[--at] == '?';
    if (at < sizeof(values) || sql[--at] != '(' || marks != statement->param_count)
        return 0;
    return strncmp(sql + at - (sizeof(values) - 1), values, sizeof(values) - 1) == 0 ? at : 0;
}

static sqlite3_stmt *prepare_text(nxi_sq_connection *connection, nxi_buf *sql)
{
    const char *text = nxi_buf_str(sql);
    sqlite3_stmt *stmt = NULL;

    if (text != NULL)
        (void)sqlite3_prepare_v3(connection->db, text, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    return stmt;
}

/* The statement for many rows, and the one for the greatest key. False: row by row. */
static bool prepare_many(nxi_sq_writer *w)
{
    nxi_sq_connection *connection = w->binder.connection;
    const nxi_statement *statement = w->s->statement;
    size_t before = find_values(statement);
    nxi_buf sql;

    if (before == 0 || statement->id == 0 || statement->param_count > NXI_SQ_PARAMETERS_MAX / NXI_SQ_BATCH_ROWS)
        return false;
    nxi_buf_init(&sql, connection->memory);
    nxi_buf_put(&sql, statement->sql, before);
    for (int i = 0; i < NXI_SQ_BATCH_ROWS; i++) {
        nxi_buf_puts(&sql, i == 0 ? "" : ", ");
        nxi_buf_put(&sql, statement->sql + before, statement->sql_size - before);
    }
    w->prepared->many = prepare_text(connection, &sql);
    if (w->prepared->many != NULL && statement->key_column != NULL) {
        nxi_buf_clear(&sql);
        nxi_buf_puts(&sql, "SELECT max(");
        nxi_quote(&nxi_sq_dialect, statement->key_column->name, &sql);
        nxi_buf_puts(&sql, ") FROM ");
        nxi_quote(&nxi_sq_dialect, statement->table->name, &sql);
        w->prepared->last_key = prepare_text(connection, &sql);
    }
    nxi_buf_fini(&sql);
    return w->prepared->many != NULL && (statement->key_column == NULL || w->prepared->last_key != NULL);
}

/* False: the keys of a batch cannot be told in advance. */
static bool find_last_key(nxi_sq_writer *w)
{
    const nxi_column *column = w->s->statement->key_column;
    sqlite3_stmt *stmt = w->prepared->last_key;

    if (column == NULL)
        return true;
    if (!w->last_key_known) {
        int code = sqlite3_step(stmt);
        if (code == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_TEXT) {
            w->last_key = sqlite3_column_int64(stmt, 0); /* an empty table: NULL, that is 0 */
            w->last_key_known = true;
        }
        (void)sqlite3_reset(stmt);
    }
    return w->last_key_known && w->last_key <= greatest_key(column->type) - NXI_SQ_BATCH_ROWS;
}

static bool bind_rows(nxi_sq_writer *w, size_t first, nx_error *error)
{
    int params = (int)w->s->statement->param_count;

    for (int i = 0; i < NXI_SQ_BATCH_ROWS; i++) {
        void *const *row = &w->s->rows[first + (size_t)i];
        /* Rows were filled by another processor: ask for them before they are needed. */
        if (i < NXI_SQ_BATCH_ROWS - FETCH_AHEAD) {
            __builtin_prefetch(row[FETCH_AHEAD]);
            __builtin_prefetch((const char *)row[FETCH_AHEAD] + NXI_CACHE_LINE);
        }
        if (nxi_sq_bind_row(&w->binder, w->prepared->many, i * params + 1, *row, error) != NX_OK)
            return false;
    }
    return true;
}

static void take_back(nxi_sq_connection *connection)
{
    /* When even that fails, the transaction must not be committed. */
    if (nxi_sq_in_transaction(connection) &&
        (nxi_sq_do(connection, NXI_SQ_BATCH_UNDO) != SQLITE_OK || nxi_sq_do(connection, NXI_SQ_BATCH_RELEASE) != SQLITE_OK))
        nxi_sq_rollback(connection);
}

/* The rows are in: whether exactly that happened, and nothing else. */
static bool is_as_expected(const nxi_sq_writer *w, sqlite3_int64 changes_before)
{
    sqlite3 *db = w->binder.connection->db;

    return sqlite3_changes64(db) == NXI_SQ_BATCH_ROWS && sqlite3_total_changes64(db) - changes_before == NXI_SQ_BATCH_ROWS &&
           (w->s->statement->key_column == NULL || sqlite3_last_insert_rowid(db) == w->last_key + NXI_SQ_BATCH_ROWS);
}

static void assign_keys(nxi_sq_writer *w, size_t first)
{
    const nxi_column *column = w->s->statement->key_column;
    nx_error error;

    if (column == NULL)
        return;
    for (size_t i = 0; i < NXI_SQ_BATCH_ROWS; i++) {
        nx_status status = nxi_set_made_key(column, w->s->rows[first + i], ++w->last_key, &error);
        NX_ASSERT(status == NX_OK); /* find_last_key has looked at the range */
    }
}

nxi_sq_batch nxi_sq_write_batch(nxi_sq_writer *w, size_t first, nx_error *error)
{
    nxi_sq_connection *connection = w->binder.connection;
    sqlite3_int64 changes_before;
    int code;

    if (w->prepared->many == NULL && !prepare_many(w)) {
        w->prepared->row_by_row = true;
        return NXI_SQ_BATCH_REFUSED;
    }
    if (!nxi_sq_in_transaction(connection) || !find_last_key(w) || !bind_rows(w, first, error))
        return NXI_SQ_BATCH_REFUSED;
    if (nxi_sq_do(connection, NXI_SQ_BATCH_SAVE) != SQLITE_OK)
        return NXI_SQ_BATCH_REFUSED;
    changes_before = sqlite3_total_changes64(connection->db);
    code = sqlite3_step(w->prepared->many);
    if (code != SQLITE_DONE)
        (void)nxi_sq_describe(connection, code, w->s->statement, error);
    (void)sqlite3_reset(w->prepared->many);
    if (code == SQLITE_DONE && is_as_expected(w, changes_before) && nxi_sq_do(connection, NXI_SQ_BATCH_RELEASE) == SQLITE_OK) {
        w->s->affected += NXI_SQ_BATCH_ROWS;
        assign_keys(w, first);
        return NXI_SQ_BATCH_WRITTEN;
    }
    if (code == SQLITE_DONE)
        w->prepared->row_by_row = true;
    take_back(connection);
    if (nxi_sq_in_transaction(connection))
        return NXI_SQ_BATCH_REFUSED;
    if (code == SQLITE_DONE)
        (void)nxi_fail(error, NX_EABORTED, "the transaction was rolled back by the database");
    return NXI_SQ_BATCH_FATAL;
}
