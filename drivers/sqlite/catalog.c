/*
 * catalog - what SQLite's catalogue says about the mapped tables (nxi_catalog_source): the statement, affinities, and what only
 * the texts of CREATE TABLE and CREATE TRIGGER tell.
 *
 * Design notes: SQLite keeps no list of CHECKs, nor of a trigger's event: their texts are read word by word. They were accepted
 * by SQLite, so that they need not be checked; what is not understood counts as the worst.
 */
#include "drivers/sqlite/sqlite.h"

#include <strings.h>

/* ------------------------------------------------------------------------------ the statement */

/*
 * reach: which tables' rows change when a row of a mapped table is inserted, updated or deleted (verb), and how (mode): an upper
 * case letter is the statement's own doing. A foreign key goes on from deleted rows by ON DELETE, and from an updated column, if
 * it refers to that, by ON UPDATE. The key of the table itself is not updated. A key that names no columns refers to the primary
 * key.
 */
#define MAPPED                                                                                                                   \
    "WITH RECURSIVE mapped(owner, name, type, is_virtual, sql) AS MATERIALIZED (SELECT j.key, m.name, m.type, "                  \
    "m.type = 'table' AND m.rootpage = 0, m.sql FROM json_each(?) AS j JOIN main.sqlite_master AS m "                            \
    "ON m.name = j.value COLLATE NOCASE AND m.type IN ('table', 'view')), "                                                      \
    "columns(owner, name, type, not_null, key_part, hidden) AS MATERIALIZED (SELECT m.owner, c.name, c.type, c.\"notnull\", "    \
    "c.pk, "                                                                                                                     \
    "c.hidden FROM mapped AS m, pragma_table_xinfo(m.name, 'main') AS c), "                                                      \
    "fk(child, child_column, parent, parent_column, on_update, on_delete) AS MATERIALIZED (SELECT m.name, f.\"from\", "          \
    "f.\"table\", "                                                                                                              \
    "coalesce(f.\"to\", (SELECT p.name FROM pragma_table_info(f.\"table\", 'main') AS p WHERE p.pk = f.seq + 1)), f.on_update, " \
    "f.on_delete FROM main.sqlite_master AS m, pragma_foreign_key_list(m.name, 'main') AS f WHERE m.type = 'table'), "
#define REACH                                                                                                                    \
    "reach(owner, verb, name, mode, column) AS ("                                                                                \
    "SELECT m.owner, v.verb, m.name, upper(v.verb), NULL FROM mapped AS m, "                                                     \
    "(SELECT 'i' AS verb UNION ALL SELECT 'u' UNION ALL SELECT 'd') AS v "                                                       \
    "UNION ALL SELECT m.owner, 'u', m.name, 'U', c.name FROM mapped AS m JOIN columns AS c ON c.owner = m.owner "                \
    "WHERE c.key_part = 0 "                                                                                                      \
    "UNION SELECT r.owner, r.verb, f.child, iif(lower(r.mode) = 'd' AND f.on_delete = 'CASCADE', 'd', 'u'), "                    \
    "iif(lower(r.mode) = 'd' AND f.on_delete = 'CASCADE', NULL, f.child_column) "                                                \
    "FROM reach AS r JOIN fk AS f ON f.parent = r.name COLLATE NOCASE WHERE CASE lower(r.mode) "                                 \
    "WHEN 'd' THEN f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT') "                                                       \
    "WHEN 'u' THEN f.on_update IN ('CASCADE', 'SET NULL', 'SET DEFAULT') AND f.parent_column = r.column COLLATE NOCASE "         \
    "ELSE 0 END), "
#define UNIQUES                                                                                                                  \
    "uniques(owner, name, seqno, column, is_whole) AS (SELECT m.owner, i.name, c.seqno, c.name, "                                \
    "NOT i.partial AND NOT EXISTS (SELECT 1 FROM pragma_index_info(i.name, 'main') AS e WHERE e.name IS NULL) FROM mapped AS "   \
    "m, "                                                                                                                        \
    "pragma_index_list(m.name, 'main') AS i, pragma_index_info(i.name, 'main') AS c WHERE i.\"unique\") "
#define FACTS                                                                                                                    \
    "SELECT 'table' AS kind, m.owner AS owner, NULL AS name, iif(m.is_virtual, 'foreign', m.type) AS detail, NULL AS extra, "    \
    "0 AS number, 0 AS place FROM mapped AS m "                                                                                  \
    "UNION ALL SELECT 'create', m.owner, NULL, m.sql, NULL, 0, 0 FROM mapped AS m WHERE m.type = 'table' "                       \
    "UNION ALL SELECT 'column', c.owner, c.name, c.type, NULL, -1, 0 FROM columns AS c "                                         \
    "UNION ALL SELECT 'made', c.owner, c.name, NULL, NULL, 0, 0 FROM columns AS c WHERE c.hidden IN (2, 3) "                     \
    "UNION ALL SELECT 'check', c.owner, NULL, c.name, NULL, 0, 0 FROM columns AS c WHERE c.not_null OR c.key_part > 0 "          \
    "UNION ALL SELECT 'check', m.owner, NULL, f.parent_column, NULL, 0, 0 FROM mapped AS m JOIN fk AS f "                        \
    "ON f.parent = m.name COLLATE NOCASE WHERE f.parent_column IS NOT NULL "                                                     \
    "UNION ALL SELECT 'check', u.owner, NULL, NULL, NULL, 0, 0 FROM uniques AS u WHERE NOT u.is_whole "                          \
    "UNION ALL SELECT 'unique', u.owner, u.name, u.column, NULL, 0, u.seqno FROM uniques AS u WHERE u.is_whole "                 \
    "UNION ALL SELECT DISTINCT 'touch', r.owner, r.verb, NULL, NULL, t.owner, 0 FROM reach AS r JOIN mapped AS t "               \
    "ON t.name = r.name COLLATE NOCASE WHERE r.mode NOT IN ('I', 'U', 'D') "                                                     \
    "UNION ALL SELECT DISTINCT 'trigger', r.owner, r.verb, t.sql, lower(r.mode), 0, 0 FROM reach AS r "                          \
    "JOIN main.sqlite_master AS t ON t.type = 'trigger' AND t.tbl_name = r.name COLLATE NOCASE "

static const char query[] =
    MAPPED REACH UNIQUES "SELECT kind, owner, name, detail, extra, number FROM (" FACTS ") ORDER BY owner, kind, name, place";

/* ------------------------------------------------------------------------------ affinities */

static bool contains(const char *type, const char *word)
{
    size_t size = strlen(word);

    for (; *type != '\0'; type++) {
        if (strncasecmp(type, word, size) == 0)
            return true;
    }
    return false;
}

typedef enum affinity { AFFINITY_INTEGER, AFFINITY_TEXT, AFFINITY_BLOB, AFFINITY_REAL, AFFINITY_NUMERIC } affinity;

/* "Datatypes In SQLite", 3.1: in this order. */
static affinity affinity_of(const char *type)
{
    if (contains(type, "INT"))
        return AFFINITY_INTEGER;
    if (contains(type, "CHAR") || contains(type, "CLOB") || contains(type, "TEXT"))
        return AFFINITY_TEXT;
    if (type[0] == '\0' || contains(type, "BLOB"))
        return AFFINITY_BLOB;
    if (contains(type, "REAL") || contains(type, "FLOA") || contains(type, "DOUB"))
        return AFFINITY_REAL;
    return AFFINITY_NUMERIC;
}

/*
 * As bind.c stores the types: numbers become texts or, integers, floats; texts that look like numbers become such. Dates, times
 * and uuids never look like numbers. A float that becomes an integer is the same number.
 */
static bool rounds(const nxi_column *column, const char *type, int64_t modifier)
{
    affinity to = affinity_of(type);

    (void)modifier;
    switch (column->type) {
    case NX_TYPE_boolean:
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_u32: return to == AFFINITY_TEXT;
    case NX_TYPE_i64:
    case NX_TYPE_interval: return to == AFFINITY_TEXT || to == AFFINITY_REAL;
    case NX_TYPE_f64: return to == AFFINITY_TEXT;
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_decimal:
    case NX_TYPE_json:
    case NX_TYPE_enumeration:
    case NX_TYPE_ulid: return to != AFFINITY_TEXT && to != AFFINITY_BLOB;
    case NX_TYPE_bytes:
    case NX_TYPE_date:
    case NX_TYPE_time:
    case NX_TYPE_timestamp:
    case NX_TYPE_timestamptz:
    case NX_TYPE_uuid:
    case NX_TYPE_vector: return false;
    case NX_TYPE_null:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: break;
    }
    return true;
}

/* ------------------------------------------------------------------------------ texts */

typedef struct token {
    const char *start; /* a quoted name: behind the quote */
    size_t size;       /* 0: the end */
    char quote;        /* '"', '`', '[', '\''; 0: none */
} token;

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

static const char *skip_space(const char *text)
{
    for (;;) {
        if (text[0] == '-' && text[1] == '-') {
            text += strcspn(text, "\n");
        } else if (text[0] == '/' && text[1] == '*') {
            const char *end = strstr(text + 2, "*/");
            text = end == NULL ? text + strlen(text) : end + 2;
        } else if (text[0] != '\0' && (unsigned char)text[0] <= ' ') {
            text++;
        } else {
            return text;
        }
    }
}

/* A word, a quoted name or text, or one other character. */
static token next_token(const char **text)
{
    const char *at = skip_space(*text);
    token t = { .start = at };

    if (*at == '"' || *at == '`' || *at == '\'' || *at == '[') {
        char close = *at == '[' ? ']' : *at;
        t.quote = *at;
        t.start = ++at;
        while (*at != '\0' && (*at != close || (close != ']' && at[1] == close)))
            at += *at == close ? 2 : 1;
        t.size = (size_t)(at - t.start);
        *text = *at == '\0' ? at : at + 1;
        return t;
    }
    while (is_word(*at))
        at++;
    if (at == t.start && *at != '\0')
        at++;
    t.size = (size_t)(at - t.start);
    *text = at;
    return t;
}

static bool is_end(const token *t)
{
    return t->size == 0 && t->quote == 0;
}

static bool is_keyword(const token *t, const char *word)
{
    return t->quote == 0 && t->size == strlen(word) && strncasecmp(t->start, word, t->size) == 0;
}

/* A name of that column; a text in double quotes may be one. A quote inside is doubled. */
static bool is_name(const token *t, const char *name)
{
    if (t->quote == '\'')
        return false;
    for (size_t i = 0; i < t->size; i++, name++) {
        if (strncasecmp(&t->start[i], name, 1) != 0)
            return false;
        if (t->start[i] == t->quote)
            i++;
    }
    return *name == '\0';
}

/* Whether a group that has been opened names the column; *text is behind it. */
static bool group_names(const char **text, const char *column)
{
    bool found = false;

    for (size_t depth = 1; depth > 0;) {
        token t = next_token(text);
        if (is_end(&t))
            break;
        depth += is_keyword(&t, "(");
        depth -= is_keyword(&t, ")");
        found |= is_name(&t, column);
    }
    return found;
}

static bool checks(const char *create_table, const char *column)
{
    bool found = false, is_check = false;

    for (;;) {
        token t = next_token(&create_table);
        if (is_end(&t))
            return found;
        if (is_check && is_keyword(&t, "("))
            found |= group_names(&create_table, column);
        is_check = is_keyword(&t, "CHECK");
    }
}

static bool replaces(const char *create_table)
{
    static const char *const words[] = { "ON", "CONFLICT", "REPLACE" };
    size_t matched = 0;

    while (matched < NXI_COUNT(words)) {
        token t = next_token(&create_table);
        if (is_end(&t))
            return false;
        matched = is_keyword(&t, words[matched]) ? matched + 1 : is_keyword(&t, words[0]);
    }
    return true;
}

/* CREATE [TEMP] TRIGGER [IF NOT EXISTS] [schema.]name [BEFORE | AFTER | INSTEAD OF] event. The name may be any word in quotes. */
static bool fires(const char *create_trigger, char verb)
{
    static const struct {
        const char *word;
        char verb;
    } events[] = { { "INSERT", 'i' }, { "UPDATE", 'u' }, { "DELETE", 'd' } };

    for (;;) {
        token t = next_token(&create_trigger);
        if (is_end(&t))
            return true;
        for (size_t i = 0; i < NXI_COUNT(events); i++) {
            if (is_keyword(&t, events[i].word))
                return events[i].verb == verb;
        }
    }
}

const nxi_catalog_source nxi_sq_catalog = {
    .query = query, .ignores_case = true, .rounds = rounds, .fires = fires, .checks = checks, .replaces = replaces
};
