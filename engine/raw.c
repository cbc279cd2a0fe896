/*
 * raw - users' own SQL: `?` made into the provider's placeholders.
 *
 * Only what stands outside of texts, quoted names and comments is looked at; how those are written differs
 * between providers. Texts are interned while there are few: programs that build texts with values in
 * them must not fill the registry.
 */
#include "engine/sql.h"

typedef enum flavour { SQLITE, POSTGRES, MARIADB } flavour;

typedef struct scan {
    const char *text;
    size_t size;
    flavour flavour;
} scan;

enum { UNFINISHED = -1, NOTHING = 0 };

static flavour flavour_of(const nxi_dialect *dialect)
{
    if (dialect->numbered_parameters)
        return POSTGRES;
    return dialect->quote == '`' ? MARIADB : SQLITE;
}

static char at(const scan *s, size_t i)
{
    return i < s->size ? s->text[i] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Length of a quotation that ends with `quote`, doubled inside; UNFINISHED when it does not end. */
static int64_t skip_quoted(const scan *s, size_t start, char quote, bool has_escapes)
{
    for (size_t i = start + 1; i < s->size; i++) {
        if (has_escapes && s->text[i] == '\\') {
            i++;
        } else if (s->text[i] == quote) {
            if (at(s, i + 1) != quote || quote == ']')
                return (int64_t)(i + 1 - start);
            i++;
        }
    }
    return UNFINISHED;
}

static int64_t skip_line(const scan *s, size_t start)
{
    size_t i = start;
    while (i < s->size && s->text[i] != '\n')
        i++;
    return (int64_t)(i - start);
}

/* PostgreSQL's comments nest. */
static int64_t skip_block(const scan *s, size_t start)
{
    size_t depth = 1;
    for (size_t i = start + 2; i + 1 < s->size; i++) {
        if (s->text[i] == '*' && s->text[i + 1] == '/') {
            i++;
            if (--depth == 0)
                return (int64_t)(i + 1 - start);
        } else if (s->flavour == POSTGRES && s->text[i] == '/' && s->text[i + 1] == '*') {
            i++;
            depth++;
        }
    }
    return UNFINISHED;
}

/* $tag$ ... $tag$ */
static int64_t skip_dollars(const scan *s, size_t start)
{
    size_t end = start + 1;
    if (is_digit(at(s, end)) || (start > 0 && is_word(s->text[start - 1])))
        return NOTHING;
    while (is_word(at(s, end)))
        end++;
    if (at(s, end) != '$')
        return NOTHING;
    size_t tag = end + 1 - start;
    for (size_t i = end + 1; i + tag <= s->size; i++) {
        if (s->text[i] == '$' && memcmp(s->text + i, s->text + start, tag) == 0)
            return (int64_t)(i + tag - start);
    }
    return UNFINISHED;
}

/* E'..' is PostgreSQL's text with backslashes; MariaDB's are all so. */
static bool has_escapes(const scan *s, size_t start)
{
    if (s->flavour != POSTGRES)
        return s->flavour == MARIADB;
    bool is_marked = start > 0 && (s->text[start - 1] == 'E' || s->text[start - 1] == 'e');
    return is_marked && s->text[start] == '\'' && (start < 2 || !is_word(s->text[start - 2]));
}

/* MariaDB: "--" begins a comment only before white space, as in 5--3 it is two minus signs. */
static bool is_line_comment(const scan *s, size_t start)
{
    char c = at(s, start + 2);
    if (s->text[start] == '#')
        return s->flavour == MARIADB;
    return s->text[start] == '-' && at(s, start + 1) == '-' &&
           (s->flavour != MARIADB || (unsigned char)c <= ' ');
}

/* Length of the text, name or comment that begins here; NOTHING: none does. */
static int64_t skip(const scan *s, size_t start)
{
    char c = s->text[start];
    if (c == '\'' || c == '"')
        return skip_quoted(s, start, c, has_escapes(s, start));
    if (c == '`' && s->flavour != POSTGRES)
        return skip_quoted(s, start, '`', false);
    if (c == '[' && s->flavour == SQLITE)
        return skip_quoted(s, start, ']', false);
    if (c == '$' && s->flavour == POSTGRES)
        return skip_dollars(s, start);
    if (c == '/' && at(s, start + 1) == '*')
        return skip_block(s, start);
    return is_line_comment(s, start) ? skip_line(s, start) : NOTHING;
}

static nx_status fail_at(nx_error *error, nx_status status, const scan *s, size_t offset, const char *what)
{
    size_t position = nxi_text_length(s->text, offset) + 1;
    (void)nxi_fail(error, status, "%s (at character %zu)", what, position);
    if (error != NULL)
        error->position = position > INT32_MAX ? INT32_MAX : (int32_t)position;
    return status;
}

static nx_status convert(const scan *s, nxi_sql *sql, nx_error *error)
{
    for (size_t i = 0; i < s->size;) {
        int64_t skipped = skip(s, i);
        if (skipped == UNFINISHED)
            return fail_at(error, NX_ESYNTAX, s, i, "the text ends inside of a quotation or comment that begins here");
        if (skipped != NOTHING) {
            nxi_buf_put(&sql->text, s->text + i, (size_t)skipped);
            i += (size_t)skipped;
        } else if (s->text[i] != '?') {
            nxi_buf_putc(&sql->text, s->text[i++]);
        } else if (at(s, i + 1) == '?') {
            nxi_buf_putc(&sql->text, '?');
            i += 2;
        } else if (is_digit(at(s, i + 1))) {
            return fail_at(error, NX_ESYNTAX, s, i, "parameters have no numbers: each ? takes the next value");
        } else {
            nxi_sql_placeholder(sql);
            i++;
        }
    }
    return NX_OK;
}

/* A statement that begins so surely reads only, functions with effects aside. */
static bool is_reading(const scan *s)
{
    size_t i = 0, size = 0;
    while (i < s->size && ((unsigned char)s->text[i] <= ' ' || s->text[i] == '('))
        i++;
    while (is_word(at(s, i + size)))
        size++;
    return (size == 6 && strncasecmp(s->text + i, "SELECT", 6) == 0) || (size == 6 && strncasecmp(s->text + i, "VALUES", 6) == 0);
}

/* For one execution: as the caller's arena lives. */
static nx_status make_passing(nxi_sql *sql, nxi_statement *prototype, nxi_arena *arena, const nxi_statement **ret_statement,
                              nx_error *error)
{
    nxi_statement *made = nxi_arena_copy(arena, prototype, sizeof(*prototype));
    char *text = sql->text.failed ? NULL : nxi_arena_text(arena, sql->text.data, sql->text.size);
    if (made == NULL || text == NULL)
        return nxi_fail(error, NX_ENOMEM, "out of memory for a statement");
    made->sql = text;
    made->sql_size = sql->text.size;
    made->param_count = sql->params;
    *ret_statement = made;
    return NX_OK;
}

nx_status nxi_statement_raw(const char *sql, const nxi_dialect *dialect, nxi_statements *statements, nxi_arena *arena,
                            const nxi_statement **ret_statement, nx_error *error)
{
    nxi_shape shape;
    size_t bad;
    if (sql == NULL || sql[0] == '\0')
        return nxi_fail(error, NX_EINVAL, "no SQL text");
    scan s = { .text = sql, .size = strlen(sql), .flavour = flavour_of(dialect) };
    bool is_short = s.size <= NXI_RAW_TEXT_BYTES_MAX;
    nxi_shape_init(&shape, arena);
    if (is_short) {
        nxi_shape_u8(&shape, NXI_SHAPE_RAW);
        nxi_shape_put(&shape, sql, s.size);
        const nxi_statement *found = shape.failed ? NULL : nxi_statements_find(statements, shape.data, shape.size);
        if (found != NULL) {
            *ret_statement = found;
            return NX_OK;
        }
    }
    if (!nxi_text_is_valid(sql, s.size, &bad))
        return fail_at(error, NX_EENCODING, &s, bad, "the SQL text is not UTF-8");
    nxi_sql made;
    nxi_statement prototype = { .writes = !is_reading(&s) };
    nxi_sql_init(&made, dialect, statements);
    nx_status status = convert(&s, &made, error);
    if (status == NX_OK && made.params > dialect->parameters_max)
        status = nxi_fail(error, NX_ELIMIT, "%zu parameters: %s takes at most %zu in one statement", made.params, dialect->name,
                          dialect->parameters_max);
    if (status != NX_OK)
        goto done;
    if (is_short && statements->raw_count < NXI_RAW_TEXTS_MAX && !shape.failed &&
        nxi_sql_intern(&made, &shape, statements, &prototype, ret_statement) == NX_OK)
        statements->raw_count++;
    else /* no room in the registry is no failure yet */
        status = make_passing(&made, &prototype, arena, ret_statement, error);
done:
    nxi_sql_fini(&made);
    return status;
}
