/*
 * variants - the texts that write many rows, made from the description of a statement that writes one.
 *
 * A row-bound statement (statement->write) has one text for one row. PostgreSQL has better means for more rows; their
 * texts are rendered here, once for each connection that prepares them.
 */
#ifndef NXI_PG_VARIANTS_H
#define NXI_PG_VARIANTS_H

#include "drivers/postgres/codec.h"

typedef enum nxi_pg_variant {
    /* statement->sql, with RETURNING as described below. Parameters: statement->params. */
    NXI_PG_ONE,
    /*
     * UPDATE and DELETE of one row that fails when it affects no row (see NXI_PG_MISSING), for use where more follows in the
     * same transaction. Parameters: statement->params. It is a SELECT without rows: its tag does not count what is affected.
     */
    NXI_PG_ONE_CHECKED,
    /*
     * Any number of rows: parameters are one array per statement->params; arrays of type nxi_pg_variant_element. INSERT:
     * rows are inserted in the order of the arrays, and RETURNING gives them in that order; those that a rule leaves out
     * are missing. INSERT that upserts: of rows with the same conflict key only the last is written. UPDATE and DELETE:
     * one more parameter, the last, INT8: the number of rows; fails when a row affects nothing, also because it is there
     * twice; a SELECT without rows, as ONE_CHECKED. An INSERT without columns has no such text.
     */
    NXI_PG_MANY,
    /* UPDATE and DELETE of many without that check; affected rows are counted by the tag. */
    NXI_PG_MANY_UNCHECKED,
    /*
     * INSERT without a rule: COPY .. FROM STDIN (FORMAT binary) into the table, columns in the order of statement->params and
     * of the types of nxi_pg_variant_type (NXI_PG_INFER: as text). Not for columns whose sql_type may have another binary form.
     */
    NXI_PG_COPY
} nxi_pg_variant;

/*
 * RETURNING of INSERT, in this order: the key when statement->key_column is set; "(xmax = 0)" (the row was inserted, not
 * updated: its xmax is 0), or by_lookup something that means the same, when statement->upserts. Nothing else returns anything.
 */

/*
 * In the message of an invalid text representation (22P02): what the texts above raise when a row affected nothing. The number
 * behind it is the 1-based number of the first such row (of ONE_CHECKED: 1).
 */
#define NXI_PG_MISSING "nextorm:row "
/* 0: no such error. */
int64_t nxi_pg_missing_row(const char *message);

/*
 * False: the statement has no such variant, and `sql` holds nothing of use. sql->failed: out of memory. by_lookup: the table has
 * no xmax (it is partitioned, or a view), so that an upsert tells new rows from others by whether their key was there when the
 * statement began; of one that somebody else has inserted since then it says that it was inserted.
 */
NX_MUST_CHECK bool nxi_pg_variant_render(const nxi_statement *statement, nxi_pg_variant variant, bool by_lookup, nxi_buf *sql);
/* The parameter's type for one row: nxi_pg_parameter_type, or NXI_PG_INFER for a column with a sql_type of its own. */
nxi_pg_oid nxi_pg_variant_type(const nxi_param *param);
/* The elements' type of its array in MANY; TEXT for what is not known, the text then casts. */
nxi_pg_oid nxi_pg_variant_element(const nxi_param *param);

#endif
