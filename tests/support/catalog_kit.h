/*
 * catalog_kit - what the compiled mapping says about tables, as texts to compare.
 */
#ifndef CATALOG_KIT_H
#define CATALOG_KIT_H

#include "engine/row.h"

/* "a b": the columns of a set in the order of the table; NULL is "-". Valid until the fourth next call of any of these. */
const char *ck_columns(const nxi_table *table, const uint64_t *bits);
/* "post author": names of tables in the order of the mapping, "*" in front stands for all; none is "-". */
const char *ck_touched(const nxi_touched *touched);
/* "name(a b)? ..." ordered as they are: "?" one of the columns may be NULL, "!" it is deferrable; an unknown name is empty; none:
 * "-". */
const char *ck_uniques(const nxi_table *table);

#endif
