/*
 * errors - SQLite's result codes and messages as errors of ours.
 */
#include "drivers/sqlite/sqlite.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct kind {
    int code;
    nx_status status;
    bool retryable;
    char sqlstate[6];
} kind;

/* Extended codes before the primary ones that they belong to. */
static const kind kinds[] = {
    { SQLITE_CONSTRAINT_UNIQUE, NX_EUNIQUE, false, "23505" },
    { SQLITE_CONSTRAINT_PRIMARYKEY, NX_EUNIQUE, false, "23505" },
    { SQLITE_CONSTRAINT_ROWID, NX_EUNIQUE, false, "23505" },
    { SQLITE_CONSTRAINT_FOREIGNKEY, NX_EFOREIGNKEY, false, "23503" },
    { SQLITE_CONSTRAINT_NOTNULL, NX_ENOTNULL, false, "23502" },
    { SQLITE_CONSTRAINT_CHECK, NX_ECHECK, false, "23514" },
    { SQLITE_CONSTRAINT_DATATYPE, NX_ETYPE, false, "42804" },
    { SQLITE_CONSTRAINT, NX_ECONSTRAINT, false, "23000" },
    { SQLITE_BUSY_SNAPSHOT, NX_ESERIALIZATION, true, "40001" },
    { SQLITE_BUSY, NX_EBUSY, true, "55P03" },
    { SQLITE_LOCKED, NX_ELOCKED, true, "55P03" },
    { SQLITE_FULL, NX_EFULL, false, "53100" },
    { SQLITE_IOERR_NOMEM, NX_ENOMEM, false, "53200" },
    { SQLITE_IOERR, NX_EIO, false, "58030" },
    { SQLITE_READONLY, NX_EREADONLY, false, "25006" },
    { SQLITE_CORRUPT, NX_ECORRUPT, false, "XX001" },
    { SQLITE_NOTADB, NX_ECORRUPT, false, "XX001" },
    { SQLITE_CANTOPEN, NX_EOPEN, false, "58030" },
    { SQLITE_TOOBIG, NX_ELIMIT, false, "54000" },
    { SQLITE_MISMATCH, NX_ETYPE, false, "42804" },
    { SQLITE_AUTH, NX_EPERMISSION, false, "42501" },
    { SQLITE_PERM, NX_EPERMISSION, false, "42501" },
    { SQLITE_NOMEM, NX_ENOMEM, false, "53200" },
    { SQLITE_RANGE, NX_EINVAL, false, "" },
    { SQLITE_ABORT, NX_EABORTED, false, "25P02" },
    { SQLITE_INTERRUPT, NX_ECANCELED, false, "57014" },
};

/* What SQLITE_ERROR means is only in its words; the name of the culprit stands behind them. */
typedef struct phrase {
    const char *text;
    nx_status status;
    char sqlstate[6];
    bool names_table, names_column;
} phrase;
static const phrase phrases[] = {
    { "no such table: ", NX_EUNDEFINED, "42P01", true, false },
    { "no such column: ", NX_EUNDEFINED, "42703", false, true },
    { " has no column named ", NX_EUNDEFINED, "42703", false, true },
    { "no such function: ", NX_EUNDEFINED, "42883", false, false },
    { "no such index: ", NX_EUNDEFINED, "42704", false, false },
    { "no such savepoint: ", NX_ESTATE, "3B001", false, false },
    { "no such ", NX_EUNDEFINED, "42704", false, false },
    { ": syntax error", NX_ESYNTAX, "42601", false, false },
    { "unrecognized token: ", NX_ESYNTAX, "42601", false, false },
    { "incomplete input", NX_ESYNTAX, "42601", false, false },
    { "too many SQL variables", NX_ELIMIT, "54023", false, false },
    { "variable number must be between", NX_ELIMIT, "54023", false, false },
    { "too many ", NX_ELIMIT, "54000", false, false },
    { "integer overflow", NX_ERANGE, "22003", false, false },
    { "malformed JSON", NX_EVALUE, "22032", false, false },
    { "within a transaction", NX_ESTATE, "25001", false, false },
    { "inside a transaction", NX_ESTATE, "25001", false, false },
};

/* ------------------------------------------------------------------------------ names in messages */

static void copy_name(char field[NX_ERROR_NAME_SIZE], const char *start, size_t size)
{
    char name[NX_ERROR_NAME_SIZE];

    size = nxi_min_size(size, sizeof(name) - 1);
    memcpy(name, start, size);
    name[size] = '\0';
    nxi_error_name(field, name);
}

/* "t.a, t.b": the table, and the columns without it. The table's name may hold a dot, so the statement's own is tried first. */
static void name_columns(const char *text, const nxi_statement *statement, nx_error *error)
{
    const char *known = statement != NULL && statement->table != NULL ? statement->table->name : NULL;
    size_t size = known == NULL ? 0 : strlen(known);
    char columns[NX_ERROR_NAME_SIZE];
    size_t used = 0;

    if (known == NULL || strncmp(text, known, size) != 0 || text[size] != '.') {
        size = strcspn(text, ".");
        if (text[size] != '.')
            return;
    }
    copy_name(error->table, text, size);
    for (const char *at = text; at != NULL && strlen(at) > size + 1;) {
        const char *name = at + size + 1, *next = strstr(name, ", ");
        size_t length = next == NULL ? strlen(name) : (size_t)(next - name);
        int written = snprintf(columns + used, sizeof(columns) - used, "%s%.*s", used == 0 ? "" : ", ", (int)length, name);
        used = written < 0 ? used : nxi_min_size(used + (size_t)written, sizeof(columns) - 1);
        at = next == NULL ? NULL : next + 2;
    }
    copy_name(error->column, columns, used);
}

static void name_constraint(const char *message, nx_status status, const nxi_statement *statement, nx_error *error)
{
    const char *failed = strstr(message, "constraint failed: ");
    const char *text = failed == NULL ? NULL : failed + strlen("constraint failed: ");

    if (text != NULL && status == NX_ECHECK)
        nxi_error_name(error->constraint, text);
    else if (text != NULL && strncmp(text, "index '", 7) == 0)
        copy_name(error->constraint, text + 7, strcspn(text + 7, "'"));
    else if (text != NULL && (status == NX_EUNIQUE || status == NX_ENOTNULL))
        name_columns(text, statement, error);
    if (error->table[0] == '\0' && statement != NULL && statement->table != NULL)
        nxi_error_name(error->table, statement->table->name);
}

/* ------------------------------------------------------------------------------ describing */

static int32_t position_of(const nxi_sq_connection *connection, const nxi_statement *statement)
{
    int found = sqlite3_error_offset(connection->db);
    size_t offset = connection->text_offset + (size_t)(found < 0 ? 0 : found);
    int32_t characters = 1;

    if (found < 0 || statement == NULL || offset > statement->sql_size)
        return 0;
    for (size_t i = 0; i < offset; i++)
        characters += ((unsigned char)statement->sql[i] & 0xc0) != 0x80;
    return characters;
}

static const phrase *find_phrase(const char *message)
{
    for (size_t i = 0; i < NXI_COUNT(phrases); i++) {
        if (strstr(message, phrases[i].text) != NULL)
            return &phrases[i];
    }
    return NULL;
}

static nx_status describe_words(const nxi_sq_connection *connection, const char *message, const nxi_statement *statement,
                                nx_error *error)
{
    const phrase *found = find_phrase(message);
    int32_t position = position_of(connection, statement);
    nx_status status = found != NULL ? found->status : position != 0 ? NX_ESYNTAX : NX_ESERVER;

    if (position != 0)
        nxi_fail(error, status, "%s (at character %d of the SQL text)", message, (int)position);
    else
        nxi_fail(error, status, "%s", message);
    error->position = position;
    memcpy(error->sqlstate, found != NULL ? found->sqlstate : status == NX_ESYNTAX ? "42601" : "HY000", sizeof(error->sqlstate));
    if (found != NULL && (found->names_table || found->names_column)) {
        const char *name = strstr(message, found->text) + strlen(found->text);
        nxi_error_name(found->names_table ? error->table : error->column, name);
    }
    return status;
}

/* An interrupted statement is what the loop or the clock asked for. */
static nx_status describe_stop(nxi_sq_connection *connection, nx_error *error)
{
    nx_status why = connection->stopped == NX_OK ? NX_ECANCELED : connection->stopped;

    connection->stopped = NX_OK;
    nxi_fail(error, why, "%s",
             why == NX_EDEADLINE ? "the deadline passed while the statement ran"
             : why == NX_ECLOSED ? "the database was closed"
                                 : "the statement was cancelled");
    memcpy(error->sqlstate, "57014", sizeof(error->sqlstate));
    return why;
}

static bool is_full(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

/* A limit on the size of files shows as an I/O error; which it was, the file that was written knows. */
static bool disk_is_full(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    int number = 0;

    if (is_full(sqlite3_system_errno(db)))
        return true;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &number) == SQLITE_OK && is_full(number))
        return true;
    return sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK && log != NULL &&
           log->pMethods != NULL && log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &number) == SQLITE_OK &&
           is_full(number);
}

nx_status nxi_sq_describe(nxi_sq_connection *connection, int code, const nxi_statement *statement, nx_error *error)
{
    const char *message = sqlite3_errmsg(connection->db);
    const kind *found = NULL;
    /* ON DELETE RESTRICT is done by a trigger of SQLite's own, and shows as one. */
    bool restricted = code == SQLITE_CONSTRAINT_TRIGGER && strcmp(message, "FOREIGN KEY constraint failed") == 0;
    nx_status status;

    if (restricted)
        code = SQLITE_CONSTRAINT_FOREIGNKEY;
    if ((code & 0xff) == SQLITE_INTERRUPT)
        return describe_stop(connection, error);
    for (size_t i = 0; i < NXI_COUNT(kinds) && found == NULL; i++) {
        if (kinds[i].code == code || kinds[i].code == (code & 0xff))
            found = &kinds[i];
    }
    if (found == NULL) {
        status = describe_words(connection, message, statement, error);
    } else {
        status = found->status;
        if (status == NX_EIO && disk_is_full(connection->db))
            status = NX_EFULL;
        if (status == NX_EBUSY)
            nxi_fail(error, status, "database \"%s\" is busy: another process or connection holds its lock", connection->path);
        else if (status == NX_EFULL || status == NX_EIO || status == NX_ECORRUPT || status == NX_EREADONLY || status == NX_EOPEN)
            nxi_fail(error, status, "database \"%s\": %s", connection->path, status == NX_EFULL ? "the disk is full" : message);
        else if (status == NX_EFOREIGNKEY && statement != NULL && statement->table != NULL)
            nxi_fail(error, status, "%s: a row of \"%s\" refers to one that is not there, or is itself still referred to",
                     message, statement->table->name);
        else
            nxi_fail(error, status, "%s", message);
        memcpy(error->sqlstate, status == NX_EFULL ? "53100" : found->sqlstate, sizeof(error->sqlstate));
        error->retryable = found->retryable;
        if ((code & 0xff) == SQLITE_CONSTRAINT)
            name_constraint(message, status, statement, error);
    }
    error->server_code = code;
    return status;
}

nx_status nxi_sq_fail_with(nxi_request *request, size_t step, const nx_error *error)
{
    if (request->status != NX_OK)
        return request->status;
    (void)nxi_request_fail(request, step, error->status, "%s", error->message);
    if (nxi_request_error_is_own(request))
        *request->error = *error;
    return request->status;
}

nx_status nxi_sq_fail(nxi_sq_connection *connection, nxi_request *request, size_t step, int code)
{
    const nxi_statement *statement = step < request->step_count ? request->steps[step].statement : NULL;
    nx_error error;

    (void)nxi_sq_describe(connection, code, statement, &error);
    return nxi_sq_fail_with(request, step, &error);
}

nx_status nxi_sq_column_error(const nxi_column *column, nx_error *error, nx_status status, const char *format, ...)
{
    char what[NX_ERROR_MESSAGE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    nxi_fail(error, status, "%s.%s: %s", column->table->name, column->name, what);
    nxi_error_name(error->table, column->table->name);
    nxi_error_name(error->column, column->name);
    return status;
}

bool nxi_sq_is_stopped(nxi_request *request, size_t step, int64_t now)
{
    int stop = atomic_load_explicit(&request->stop, memory_order_relaxed);

    if (request->status != NX_OK)
        return true;
    if (NXI_LIKELY(stop == NX_OK && (request->deadline_ns == 0 || now < request->deadline_ns)))
        return false;
    if (stop == NX_OK)
        stop = NX_EDEADLINE;
    (void)nxi_request_fail(request, step, (nx_status)stop, "%s",
                           stop == NX_EDEADLINE ? "the deadline passed before the operation was done"
                                                : "the operation was cancelled");
    return true;
}
