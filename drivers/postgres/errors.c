/*
 * errors - ErrorResponse and NoticeResponse, and what SQLSTATEs mean.
 *
 * Texts come from a server that may be broken or hostile, in the language of its lc_messages: statuses follow from SQLSTATEs, and
 * names from the fields that carry them. Where the server has no field for a fact, its English words are read; in another
 * language that fact is missing, and nothing else changes.
 */
#include "drivers/postgres/errors.h"

#include <stdio.h>

#include "drivers/postgres/dialect.h"

/* ------------------------------------------------------------------------------ SQLSTATEs */

typedef struct code {
    char sqlstate[6]; /* two characters: a class */
    bool retryable;
    nx_status status;
} code;

/* Appendix A. Exact codes stand before their class; a class that is not here is NX_ESERVER. */
static const code codes[] = {
    { "02", false, NX_ENOTFOUND },
    { "08001", true, NX_ECONNECT },  /* the client could not connect */
    { "08004", false, NX_ECONNECT }, /* the server refused to */
    { "08007", false, NX_ECOMMIT },  /* what became of the transaction is not known */
    { "08P01", false, NX_EPROTOCOL },
    { "08", true, NX_ELOST },
    { "0A", false, NX_EUNSUPPORTED },
    { "0B", false, NX_ESTATE },
    { "21", false, NX_EMULTIPLE },
    { "22001", false, NX_ETOOLONG },
    { "22003", false, NX_ERANGE },
    { "22008", false, NX_ERANGE },
    { "22015", false, NX_ERANGE },
    { "22004", false, NX_ENOTNULL },
    { "22007", false, NX_ETYPE },
    { "22018", false, NX_ETYPE },
    { "22P02", false, NX_ETYPE },
    { "22P03", false, NX_ETYPE },
    { "22021", false, NX_EENCODING },
    { "22P05", false, NX_EENCODING },
    { "22P04", false, NX_ESERVER }, /* bad COPY data: columns that were added meanwhile */
    { "22", false, NX_EVALUE },
    { "23001", false, NX_EFOREIGNKEY },
    { "23502", false, NX_ENOTNULL },
    { "23503", false, NX_EFOREIGNKEY },
    { "23505", false, NX_EUNIQUE },
    { "23514", false, NX_ECHECK },
    { "23", false, NX_ECONSTRAINT },
    { "24", false, NX_ESTATE },
    { "25006", false, NX_EREADONLY },
    { "25P02", false, NX_EABORTED },
    { "25P03", true, NX_EABORTED }, /* idle_in_transaction_session_timeout */
    { "25", false, NX_ESTATE },
    { "26", true, NX_ESTATE }, /* no such prepared statement: it is prepared again */
    { "28", false, NX_EAUTH },
    { "2B", false, NX_ESTATE },
    { "2D", false, NX_ESTATE },
    { "34", false, NX_ESTATE },
    { "3B", false, NX_ESTATE },
    { "3D", false, NX_EUNDEFINED },
    { "3F", false, NX_EUNDEFINED },
    { "40001", true, NX_ESERIALIZATION },
    { "40002", false, NX_ECONSTRAINT },
    { "40003", false, NX_ECOMMIT }, /* what became of the statement is not known */
    { "40P01", true, NX_EDEADLOCK },
    { "40", true, NX_EABORTED },
    { "42501", false, NX_EPERMISSION },
    { "42622", false, NX_ELIMIT },
    { "42703", false, NX_EUNDEFINED },
    { "42704", false, NX_EUNDEFINED },
    { "42883", false, NX_EUNDEFINED },
    { "42P01", false, NX_EUNDEFINED },
    { "42P02", false, NX_EUNDEFINED },
    { "42701", false, NX_ESTATE }, /* things that are there already */
    { "42710", false, NX_ESTATE },
    { "42723", false, NX_ESTATE },
    { "42P03", false, NX_ESTATE },
    { "42P04", false, NX_ESTATE },
    { "42P05", true, NX_ESTATE }, /* a prepared statement: it gets another name */
    { "42P06", false, NX_ESTATE },
    { "42P07", false, NX_ESTATE },
    { "42804", false, NX_ETYPE },
    { "42846", false, NX_ETYPE },
    { "42P08", false, NX_ETYPE },
    { "42P18", false, NX_ETYPE },
    { "42", false, NX_ESYNTAX },
    { "44", false, NX_ECHECK },
    { "53100", false, NX_EFULL },
    { "53300", true, NX_ELIMIT }, /* too many connections */
    { "53", false, NX_ELIMIT },
    { "54", false, NX_ELIMIT },
    { "55006", true, NX_EBUSY },
    { "55P03", true, NX_ELOCKED },
    { "55", false, NX_ESTATE },
    { "57014", false, NX_ECANCELED },
    { "57P03", true, NX_ECONNECT }, /* starting up or shutting down */
    { "57P04", false, NX_ELOST },   /* the database was dropped */
    { "57", true, NX_ELOST },       /* shut down by its operator */
    { "58", false, NX_EIO },
    { "72", true, NX_ESERIALIZATION }, /* snapshot too old */
    { "P0001", false, NX_ECONSTRAINT }, /* RAISE of a trigger, which says what its table takes; SQLite has the same kind for it */
    { "P0002", false, NX_ENOTFOUND },
    { "P0003", false, NX_EMULTIPLE },
    { "XX001", false, NX_ECORRUPT },
    { "XX002", false, NX_ECORRUPT },
};

nx_status nxi_pg_status_of(const char *sqlstate, bool *ret_retryable)
{
    for (size_t i = 0; i < NXI_COUNT(codes); i++) {
        if (strncmp(sqlstate, codes[i].sqlstate, strlen(codes[i].sqlstate)) == 0) {
            *ret_retryable = codes[i].retryable;
            return codes[i].status;
        }
    }
    *ret_retryable = false;
    return NX_ESERVER;
}

/* -------------------------------------------------------------------------------- fields */

/* What is used of the body; texts point into it and have no terminator of their own. */
typedef struct fields {
    nx_text severity, sqlstate, message, detail, hint, position, where, table, column, constraint, routine;
    bool is_whole; /* well-formed to its end */
} fields;

/* 55.8. NULL: not of interest. */
static nx_text *field_of(fields *f, uint8_t type)
{
    switch (type) {
    case 'V': return &f->severity; /* never translated */
    case 'C': return &f->sqlstate;
    case 'M': return &f->message;
    case 'D': return &f->detail;
    case 'H': return &f->hint;
    case 'P': return &f->position;
    case 'W': return &f->where;
    case 't': return &f->table;
    case 'c': return &f->column;
    case 'n': return &f->constraint;
    case 'R': return &f->routine;
    default: return NULL;
    }
}

/* The first of two fields of one type counts. What is cut off counts as far as it goes. */
static void read_fields(const uint8_t *body, size_t size, fields *f)
{
    *f = (fields){ .is_whole = false };
    for (size_t at = 0; at < size;) {
        uint8_t type = body[at++];
        if (type == 0) {
            f->is_whole = at == size;
            return;
        }
        const char *text = (const char *)body + at;
        const char *end = memchr(text, 0, size - at);
        size_t length = end == NULL ? size - at : (size_t)(end - text);
        nx_text *field = field_of(f, type);
        if (field != NULL && field->data == NULL)
            *field = nx_strn(text, length);
        at += length + 1;
    }
}

/* Copy a text as valid UTF-8: bytes that are none become question marks. It is cut at a character's border. */
static void clean(nx_text text, char *out, size_t capacity)
{
    size_t used = 0;

    while (text.size != 0 && used + 1 < capacity) {
        size_t valid = text.size;
        bool is_valid = nxi_text_is_valid(text.data, text.size, &valid);
        size_t room = capacity - 1 - used, taken = is_valid ? text.size : valid;
        if (taken > room) {
            for (taken = room; taken > 0 && ((unsigned char)text.data[taken] & 0xc0) == 0x80;)
                taken--;
            room = 0;
        }
        memcpy(out + used, text.data, taken);
        used += taken;
        if (room == 0 || is_valid)
            break;
        if (taken < room)
            out[used++] = '?';
        text = nx_strn(text.data + taken + 1, text.size - taken - 1);
    }
    out[used] = '\0';
}

static bool is_text(nx_text text, const char *wanted)
{
    return text.size == strlen(wanted) && memcmp(text.data, wanted, text.size) == 0;
}

static bool is_sqlstate(nx_text text)
{
    if (text.size != 5)
        return false;
    for (size_t i = 0; i < 5; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')))
            return false;
    }
    return true;
}

/* The decimal number that a text begins with; 0: none, or none that an int32 holds. */
static int32_t number_at(const char *text, const char *end)
{
    int32_t number = 0;

    for (; text < end && *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *text - '0', &number))
            return 0;
    }
    return number;
}

/* -------------------------------------------------------------------------------- names */

/* Where a text begins with these words; NULL: it does not. */
static const char *skip(const char *text, const char *end, const char *words)
{
    size_t size = strlen(words);
    return (size_t)(end - text) >= size && memcmp(text, words, size) == 0 ? text + size : NULL;
}

static const char *find(const char *text, const char *end, const char *words)
{
    size_t size = strlen(words);
    return size > (size_t)(end - text) ? NULL : memmem(text, (size_t)(end - text), words, size);
}

/* `constraint` is <before><table><between><column><after>. */
static bool is_made_name(const char *constraint, const char *before, const char *table, const char *between, const char *column,
                         const char *after)
{
    const char *const parts[] = { before, table, between, column, after };
    for (size_t i = 0; i < NXI_COUNT(parts); i++) {
        size_t size = strlen(parts[i]);
        if (strncmp(constraint, parts[i], size) != 0)
            return false;
        constraint += size;
    }
    return *constraint == '\0';
}

/* As schema.c names what is made for one column: <prefix>_<table>__<column>. */
static bool is_our_name(const char *constraint, const char *prefix, const char *table, const char *column)
{
    char name[3 * NXI_PG_IDENTIFIER_BYTES_MAX];
    int size = snprintf(name, sizeof(name), "%s_%s__%s", prefix, table, column);

    if (size < 0 || (size_t)size >= sizeof(name))
        return false;
    name[nxi_shorten_name(&nxi_pg_dialect, name, (size_t)size)] = '\0';
    return strcmp(name, constraint) == 0;
}

/* Of one column: by the names that schema.c gives, and those that the server gives to a constraint without a name. */
static bool is_constraint_of(const nxi_column *column, const char *constraint)
{
    static const char *const ours[] = { "unq", "fk", "idx" };
    static const char *const servers[] = { "_check", "_key", "_fkey", "_not_null" };
    const char *table = column->table->name;
    const nx_field *field = column->field;

    for (size_t i = 0; i < NXI_COUNT(ours); i++) {
        if (is_our_name(constraint, ours[i], table, column->name))
            return true;
    }
    for (size_t i = 0; i < NXI_COUNT(servers); i++) {
        if (is_made_name(constraint, "", table, "_", column->name, servers[i]))
            return true;
    }
    if (column->is_key && column->table->key_count == 1 && is_made_name(constraint, "", table, "", "", "_pkey"))
        return true;
    return column->form == NXI_FORM_REFERENCE && column->target->key_count == 1 && field->fk_name != NULL &&
           strcmp(constraint, field->fk_name) == 0;
}

static void name_constraint_column(const nxi_table *table, nx_error *error)
{
    if (table == NULL || error->constraint[0] == '\0' || strcmp(error->table, table->name) != 0)
        return;
    for (size_t i = 0; i < table->column_count; i++) {
        if (is_constraint_of(&table->columns[i], error->constraint)) {
            nxi_error_name(error->column, table->columns[i].name);
            return;
        }
    }
}

/* `relation "x" does not exist`, `column "x" of relation "t" does not exist`: no field has these names. */
static void name_undefined(nx_text message, const char *sqlstate, nx_error *error)
{
    const char *end = message.data == NULL ? NULL : message.data + message.size;
    bool is_table = strcmp(sqlstate, "42P01") == 0;
    const char *name = message.data == NULL ? NULL : find(message.data, end, is_table ? "relation \"" : "column \"");

    if (name == NULL || (!is_table && strcmp(sqlstate, "42703") != 0))
        return;
    name += strlen(is_table ? "relation \"" : "column \"");
    const char *close = memchr(name, '"', (size_t)(end - name));
    if (close == NULL)
        return;
    clean(nx_strn(name, (size_t)(close - name)), is_table ? error->table : error->column, NX_ERROR_NAME_SIZE);
    const char *relation = is_table ? NULL : skip(close, end, "\" of relation \"");
    close = relation == NULL ? NULL : memchr(relation, '"', (size_t)(end - relation));
    if (close != NULL)
        clean(nx_strn(relation, (size_t)(close - relation)), error->table, NX_ERROR_NAME_SIZE);
}

/* The longest name of a column with which the text begins. */
static const nxi_column *column_at(const nxi_table *table, const char *text, const char *end)
{
    const nxi_column *found = NULL;
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        if (skip(text, end, column->name) != NULL && (found == NULL || strlen(found->name) < strlen(column->name)))
            found = column;
    }
    return found;
}

/*
 * "COPY post, line 5, column score": the row in the data, and what it was about. The name of the table, and what stands in the
 * line, may be anything; so the table's own name is looked for first.
 */
static int64_t read_copy_line(nx_text where, const nxi_table *table, nx_error *error)
{
    const char *end = where.data == NULL ? NULL : where.data + where.size;
    const char *at = where.data == NULL ? NULL : skip(where.data, end, "COPY ");
    const char *line = NULL;

    if (at == NULL)
        return 0;
    if (table != NULL && skip(at, end, table->name) != NULL)
        line = skip(at + strlen(table->name), end, ", line ");
    if (line == NULL) {
        line = find(at, end, ", line ");
        line = line == NULL ? NULL : line + strlen(", line ");
    }
    if (line == NULL)
        return 0;
    int32_t number = number_at(line, end);
    while (line < end && *line >= '0' && *line <= '9')
        line++;
    line = skip(line, end, ", column ");
    const nxi_column *column = line == NULL || table == NULL ? NULL : column_at(table, line, end);
    if (column != NULL && error->column[0] == '\0')
        nxi_error_name(error->column, column->name);
    return number;
}

/* ------------------------------------------------------------------------------- the whole */

/* A position beyond the text is one in some other text. */
static int32_t position_in(const nxi_statement *statement, nx_text position)
{
    int32_t number = position.data == NULL ? 0 : number_at(position.data, position.data + position.size);
    if (number != 0 && statement != NULL && (size_t)number > nxi_text_length(statement->sql, statement->sql_size) + 1)
        return 0;
    return number;
}

/*
 * A timeout and a cancel request have one code, and only words, which may be of any language, tell them apart. Cancel requests of
 * ours are known by the connection; those of others are rare, and are told only when the server speaks English.
 */
static bool is_timeout(const fields *f)
{
    return f->message.data == NULL || find(f->message.data, f->message.data + f->message.size, "user request") == NULL;
}

/* The same words: what certainly was no cancel request. */
static bool is_certain_timeout(const fields *f)
{
    return f->message.data != NULL && find(f->message.data, f->message.data + f->message.size, "statement timeout") != NULL;
}

/* "cannot retrieve a system column in this context", "column "xmax" does not exist", in any language. */
static bool is_about_xmax(const fields *f)
{
    return (is_text(f->sqlstate, "0A000") && is_text(f->routine, "tts_virtual_getsysattr")) ||
           (is_text(f->sqlstate, "42703") && f->message.data != NULL &&
            find(f->message.data, f->message.data + f->message.size, "xmax") != NULL);
}

static void put_detail(const fields *f, nx_error *error)
{
    size_t used;

    clean(f->detail, error->detail, sizeof(error->detail));
    used = strlen(error->detail);
    if (f->hint.size == 0 || used + sizeof(" Hint: ") >= sizeof(error->detail))
        return;
    if (used != 0)
        error->detail[used++] = ' ';
    memcpy(error->detail + used, "Hint: ", sizeof("Hint: "));
    used += sizeof("Hint: ") - 1;
    clean(f->hint, error->detail + used, sizeof(error->detail) - used);
}

static void put_names(const fields *f, const nxi_statement *statement, nx_error *error)
{
    const nxi_table *table = statement == NULL ? NULL : statement->table;

    clean(f->table, error->table, sizeof(error->table));
    clean(f->column, error->column, sizeof(error->column));
    clean(f->constraint, error->constraint, sizeof(error->constraint));
    if (f->table.size == 0 && f->column.size == 0)
        name_undefined(f->message, error->sqlstate, error);
    bool is_about_rows = strncmp(error->sqlstate, "22", 2) == 0 || strncmp(error->sqlstate, "23", 2) == 0;
    if (error->table[0] == '\0' && table != NULL && is_about_rows)
        nxi_error_name(error->table, table->name);
    if (error->column[0] == '\0')
        name_constraint_column(table, error);
}

void nxi_pg_describe(const uint8_t *body, size_t size, const nxi_statement *statement, nx_error *ret_error,
                     nxi_pg_trouble *ret_trouble)
{
    char message[NX_ERROR_MESSAGE_SIZE];
    bool retryable = false;
    fields f;

    read_fields(body, size, &f);
    bool is_known = is_sqlstate(f.sqlstate);
    *ret_trouble = (nxi_pg_trouble){ .is_fatal = is_text(f.severity, "FATAL") || is_text(f.severity, "PANIC") };
    if (is_known)
        memcpy(ret_trouble->sqlstate, f.sqlstate.data, 5);
    nx_status status = is_known && f.is_whole ? nxi_pg_status_of(ret_trouble->sqlstate, &retryable) : NX_ESERVER;
    ret_trouble->may_be_interrupt = status == NX_ECANCELED && !is_certain_timeout(&f);
    if (status == NX_ECANCELED && is_timeout(&f))
        status = NX_EDEADLINE;
    bool is_replanned = is_text(f.sqlstate, "0A000") && is_text(f.routine, "RevalidateCachedQuery");
    ret_trouble->plan_is_stale = is_replanned || is_text(f.sqlstate, "26000") || is_text(f.sqlstate, "42P05");
    ret_trouble->lacks_xmax = is_about_xmax(&f);
    int32_t position = position_in(statement, f.position);
    clean(f.message, message, sizeof(message) - (position == 0 ? 0 : sizeof(" (at character 2147483647 of the SQL text)")));
    if (f.message.size == 0)
        nxi_fail(ret_error, status, "the server reported an error without a message");
    else if (position != 0)
        nxi_fail(ret_error, status, "%s (at character %d of the SQL text)", message, (int)position);
    else
        nxi_fail(ret_error, status, "%s", message);
    ret_error->position = position;
    ret_error->retryable = retryable || is_replanned;
    memcpy(ret_error->sqlstate, ret_trouble->sqlstate, sizeof(ret_error->sqlstate));
    put_detail(&f, ret_error);
    put_names(&f, statement, ret_error);
    ret_trouble->copy_line = read_copy_line(f.where, statement == NULL ? NULL : statement->table, ret_error);
}
