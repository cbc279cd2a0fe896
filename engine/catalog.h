/*
 * catalog - what the mapping and the database's catalogue say about the mapped tables.
 *
 * Job: find out which values the database makes or changes by itself, which other rows a statement touches, and what is unique,
 * and put that into the compiled mapping (the fields of nxi_table that row.h says are of this file).
 *
 * The mapping alone gives what it declares: defaults of the database, actions of references. The catalogue is asked
 * after the mapping is made, after tables are made, and at each further nx_generate_mapping and nx_create_tables: one statement,
 * one round trip. It then says what others made: generated columns, types that round, triggers, rules, views, foreign keys, also
 * those of tables that are not mapped. A table that is not there yet is known from the mapping alone until the next time.
 *
 * A server that refuses the question (a proxy, no right to read the catalogue) leaves it at what was known before: the mapping
 * succeeds. A lost connection, a deadline and a cancel are told, as those of any other operation.
 *
 * The statement is the library's own: it is in no statistics, no capture, and is not shown to the callbacks of SQL.
 * Threads: the loop's.
 * Uses: db.h, drivers/dialect.h
 */
#ifndef NXI_CATALOG_H
#define NXI_CATALOG_H

#include "engine/db.h"

/*
 * Put into the tables what the mapping says, and what `answer`, the result of the dialect's catalog query, adds; NULL, or one
 * that has not the columns of such a result: nothing. Facts that make no sense are left out. What the tables point to lies in
 * `arena`; `scratch` may be reset afterwards. False: out of memory, the tables are as before.
 */
NX_MUST_CHECK bool nxi_catalog_read(const nxi_tables *tables, const nxi_dialect *dialect, const nx_rows *answer, nxi_arena *arena,
                                    nxi_arena *scratch);

/* What is known before the catalogue is asked: what the mapping says. False: out of memory. */
NX_MUST_CHECK bool nxi_catalog_begin(nx_db *db);
/* Ask the catalogue of a mapped database; then `then` goes on with the operation, unless that has failed. */
void nxi_catalog_ask(nx_db *db, nxi_op *op, void (*then)(nx_db *db, nxi_op *op));

#endif
