/*
 * prepare - prepared statements: the cache of a connection, and what users' SQL may be.
 *
 * The cache is indexed by statement id, which is dense, and bounded by last use.
 */
#include "drivers/sqlite/sqlite.h"

/* ------------------------------------------------------------------------------ words */

static const char *skip_blanks_and_comments(const char *sql)
{
    for (;;) {
        while (*sql == ' ' || (*sql >= '\t' && *sql <= '\r') || *sql == ';')
            sql++;
        if (sql[0] == '-' && sql[1] == '-') {
            sql += strcspn(sql, "\n");
        } else if (sql[0] == '/' && sql[1] == '*') {
            const char *end = strstr(sql + 2, "*/");
            sql = end == NULL ? sql + strlen(sql) : end + 2;
        } else {
            return sql;
        }
    }
}

nxi_sq_word nxi_sq_first_word(const char *sql)
{
    static const struct { const char *text; nxi_sq_word word; } words[] = {
        { "select", NXI_SQ_WORD_READS },      { "values", NXI_SQ_WORD_READS },    { "explain", NXI_SQ_WORD_READS },
        { "vacuum", NXI_SQ_WORD_ALONE },      { "pragma", NXI_SQ_WORD_ALONE },    { "attach", NXI_SQ_WORD_ALONE },
        { "detach", NXI_SQ_WORD_ALONE },      { "begin", NXI_SQ_WORD_CONTROL },   { "commit", NXI_SQ_WORD_CONTROL },
        { "end", NXI_SQ_WORD_CONTROL },       { "rollback", NXI_SQ_WORD_CONTROL }, { "savepoint", NXI_SQ_WORD_CONTROL },
        { "release", NXI_SQ_WORD_CONTROL },
    };
    const char *start = skip_blanks_and_comments(sql);
    size_t size = 0;

    while ((start[size] | 0x20) >= 'a' && (start[size] | 0x20) <= 'z')
        size++;
    for (size_t i = 0; i < NXI_COUNT(words); i++) {
        if (strlen(words[i].text) == size && sqlite3_strnicmp(words[i].text, start, (int)size) == 0)
            return words[i].word;
    }
    return NXI_SQ_WORD_OTHER;
}

static nx_status refuse_control(nxi_request *request, size_t step, const char *sql)
{
    const char *word = skip_blanks_and_comments(sql);

    (void)nxi_request_fail(request, step, NX_ESTATE, "%.*s: transactions are begun and ended by sessions, not by SQL texts",
                           (int)strcspn(word, " \t\r\n;/-"), word);
    return request->status;
}

/* ------------------------------------------------------------------------------ preparing */

/* Compile the first statement of `sql`; *ret_tail is what follows it. */
static nx_status compile(nxi_sq_connection *connection, nxi_request *request, size_t step, const char *sql,
                         sqlite3_stmt **ret_stmt, const char **ret_tail)
{
    const nxi_statement *statement = request->steps[step].statement;
    unsigned flags = statement->id != 0 ? SQLITE_PREPARE_PERSISTENT : 0;
    int code = sqlite3_prepare_v3(connection->db, sql, -1, flags, ret_stmt, ret_tail);

    if (code != SQLITE_OK)
        return nxi_sq_fail(connection, request, step, code);
    return NX_OK;
}

/* One statement, and nothing but blanks and comments behind it. */
static nx_status compile_one(nxi_sq_connection *connection, nxi_request *request, size_t step, sqlite3_stmt **ret_stmt)
{
    const char *sql = request->steps[step].statement->sql;
    sqlite3_stmt *stmt = NULL, *second = NULL;
    const char *tail = "";
    nx_status status;
    int code;

    if (nxi_sq_first_word(sql) == NXI_SQ_WORD_CONTROL)
        return refuse_control(request, step, sql);
    status = compile(connection, request, step, sql, &stmt, &tail);
    if (status != NX_OK)
        return status;
    if (stmt == NULL)
        return nxi_request_fail(request, step, NX_ESYNTAX, "the SQL text holds no statement");
    if (*tail != '\0') {
        code = sqlite3_prepare_v3(connection->db, tail, -1, 0, &second, NULL);
        (void)sqlite3_finalize(second);
        if (code != SQLITE_OK || second != NULL) {
            (void)sqlite3_finalize(stmt);
            return nxi_request_fail(request, step, NX_ESYNTAX, "the SQL text holds more than one statement (after byte %zu)",
                                    (size_t)(tail - sql));
        }
    }
    *ret_stmt = stmt;
    return NX_OK;
}

nx_status nxi_sq_prepare_own(nxi_sq_connection *connection, nxi_request *request, size_t step, sqlite3_stmt **ret_stmt)
{
    return compile_one(connection, request, step, ret_stmt);
}

/* ------------------------------------------------------------------------------ the cache */

static void unlink_prepared(nxi_sq_connection *connection, nxi_sq_prepared *prepared)
{
    if (prepared->newer != NULL)
        prepared->newer->older = prepared->older;
    else
        connection->newest = prepared->older;
    if (prepared->older != NULL)
        prepared->older->newer = prepared->newer;
    else
        connection->oldest = prepared->newer;
}

static void link_newest(nxi_sq_connection *connection, nxi_sq_prepared *prepared)
{
    prepared->newer = NULL;
    prepared->older = connection->newest;
    if (connection->newest != NULL)
        connection->newest->newer = prepared;
    else
        connection->oldest = prepared;
    connection->newest = prepared;
}

static void free_prepared(nxi_sq_connection *connection, nxi_sq_prepared *prepared)
{
    (void)sqlite3_finalize(prepared->stmt);
    (void)sqlite3_finalize(prepared->many);
    (void)sqlite3_finalize(prepared->last_key);
    nxi_release(connection->memory, prepared);
}

static void evict(nxi_sq_connection *connection, nxi_sq_prepared *prepared)
{
    unlink_prepared(connection, prepared);
    connection->by_id[prepared->id - 1] = NULL;
    connection->prepared_count--;
    free_prepared(connection, prepared);
}

void nxi_sq_cache_clear(nxi_sq_connection *connection)
{
    while (connection->oldest != NULL)
        evict(connection, connection->oldest);
    nxi_release(connection->memory, connection->by_id);
    connection->by_id = NULL;
    connection->by_id_capacity = 0;
}

static bool make_room(nxi_sq_connection *connection, uint32_t id)
{
    size_t capacity = connection->by_id_capacity == 0 ? 64 : connection->by_id_capacity;
    nxi_sq_prepared **grown;

    while (capacity < id)
        capacity *= 2;
    if (capacity != connection->by_id_capacity) {
        grown = nxi_resize(connection->memory, connection->by_id, capacity * sizeof(nxi_sq_prepared *));
        if (grown == NULL)
            return false;
        memset(grown + connection->by_id_capacity, 0, (capacity - connection->by_id_capacity) * sizeof(nxi_sq_prepared *));
        connection->by_id = grown;
        connection->by_id_capacity = capacity;
    }
    for (nxi_sq_prepared *old = connection->oldest, *newer; old != NULL && connection->prepared_count >= connection->prepared_max;
         old = newer) {
        newer = old->newer;
        if (!old->running)
            evict(connection, old);
    }
    return true;
}

static nx_status prepare_new(nxi_sq_connection *connection, nxi_request *request, size_t step, nxi_sq_prepared **ret_prepared)
{
    const nxi_statement *statement = request->steps[step].statement;
    nxi_sq_prepared *prepared;
    nx_status status;

    if (statement->id != 0 && !make_room(connection, statement->id))
        return nxi_request_fail(request, step, NX_ENOMEM, "%s", "");
    prepared = nxi_zalloc(connection->memory, sizeof(*prepared));
    if (prepared == NULL)
        return nxi_request_fail(request, step, NX_ENOMEM, "%s", "");
    status = compile_one(connection, request, step, &prepared->stmt);
    if (status != NX_OK) {
        nxi_release(connection->memory, prepared);
        return status;
    }
    prepared->id = statement->id;
    prepared->parameters = sqlite3_bind_parameter_count(prepared->stmt);
    if (statement->id != 0) {
        connection->by_id[statement->id - 1] = prepared;
        connection->prepared_count++;
        link_newest(connection, prepared);
    }
    *ret_prepared = prepared;
    return NX_OK;
}

nx_status nxi_sq_prepare(nxi_sq_connection *connection, nxi_request *request, size_t step, nxi_sq_prepared **ret_prepared)
{
    uint32_t id = request->steps[step].statement->id;
    nxi_sq_prepared *prepared = id != 0 && id <= connection->by_id_capacity ? connection->by_id[id - 1] : NULL;
    nx_status status;

    if (prepared == NULL) {
        status = prepare_new(connection, request, step, &prepared);
        if (status != NX_OK)
            return status;
        NX_ASSERT(prepared != NULL);
    } else if (connection->newest != prepared) {
        unlink_prepared(connection, prepared);
        link_newest(connection, prepared);
    }
    NX_ASSERT(!prepared->running);
    prepared->running = true;
    *ret_prepared = prepared;
    return NX_OK;
}

void nxi_sq_done(nxi_sq_connection *connection, nxi_sq_prepared *prepared)
{
    NX_ASSERT(prepared->running);
    prepared->running = false;
    (void)sqlite3_reset(prepared->stmt);
    if (prepared->id == 0)
        free_prepared(connection, prepared);
}

/* ------------------------------------------------------------------------------ scripts */

nx_status nxi_sq_script(nxi_sq_connection *connection, nxi_request *request, size_t step)
{
    const char *text = request->steps[step].statement->sql, *sql = text;

    while (request->status == NX_OK && *(sql = skip_blanks_and_comments(sql)) != '\0') {
        sqlite3_stmt *stmt = NULL;
        const char *tail = sql + strlen(sql);
        nx_status status;
        int code;

        if (nxi_sq_first_word(sql) == NXI_SQ_WORD_CONTROL)
            return refuse_control(request, step, sql);
        connection->text_offset = (size_t)(sql - text);
        status = compile(connection, request, step, sql, &stmt, &tail);
        for (code = SQLITE_ROW; status == NX_OK && code == SQLITE_ROW;)
            code = sqlite3_step(stmt);
        if (status == NX_OK && code != SQLITE_DONE)
            (void)nxi_sq_fail(connection, request, step, code);
        connection->text_offset = 0;
        (void)sqlite3_finalize(stmt);
        sql = tail;
    }
    return request->status;
}
