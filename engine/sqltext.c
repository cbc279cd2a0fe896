/*
 * sqltext - the first word of a text of SQL.
 */
#include "engine/sqltext.h"

#include <string.h>
#include <strings.h>

const char *nxi_sql_first_word(const char *sql)
{
    unsigned depth = 0;

    for (;; sql++) {
        if (sql[0] == '/' && sql[1] == '*') {
            depth++;
            sql++;
        } else if (depth > 0 && sql[0] == '*' && sql[1] == '/') {
            depth--;
            sql++;
        } else if (depth == 0 && sql[0] == '-' && sql[1] == '-') {
            sql += strcspn(sql, "\n");
        } else if (depth == 0 && sql[0] != '(' && !((unsigned char)sql[0] <= ' ' && sql[0] != '\0')) {
            return sql;
        }
        if (sql[0] == '\0')
            return sql;
    }
}

bool nxi_sql_begins_with(const char *text, const char *word)
{
    size_t size = strlen(word);
    unsigned char next;

    if (strncasecmp(text, word, size) != 0)
        return false;
    next = (unsigned char)text[size];
    return !(next == '_' || next >= 0x80 || (next >= '0' && next <= '9') || ((next | 0x20) >= 'a' && (next | 0x20) <= 'z'));
}

bool nxi_sql_begins_with_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (nxi_sql_begins_with(text, words[i]))
            return true;
    }
    return false;
}
