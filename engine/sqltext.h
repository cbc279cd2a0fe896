/*
 * sqltext - what a text of SQL that the application wrote begins with.
 */
#ifndef NXI_SQLTEXT_H
#define NXI_SQLTEXT_H

#include "engine/base.h"

/* Behind white space, parentheses and comments, which nest at most (PostgreSQL, 4.1.5). */
const char *nxi_sql_first_word(const char *sql);
/* Whether `text` begins with that word, in any case, and not with a longer one. */
bool nxi_sql_begins_with(const char *text, const char *word);
bool nxi_sql_begins_with_one_of(const char *text, const char *const *words, size_t count);

#endif
