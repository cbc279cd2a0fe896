/*
 * sqltype - what a column is called in SQL, and as what its values travel.
 *
 * The option sql_type of a field replaces its type in CREATE TABLE by any text. Types that PostgreSQL itself has are recognised
 * in it; all others (enumerations, domains, types of extensions) get their values as text, and a cast where the server cannot
 * infer the type.
 */
#ifndef NXI_PG_SQLTYPE_H
#define NXI_PG_SQLTYPE_H

#include "drivers/postgres/codec.h"

/* The column that a reference leads to in the end: it has the options of the type. */
const nxi_column *nxi_pg_typed_column(const nxi_column *column);
/* The field option, or NULL. */
const char *nxi_pg_sql_type(const nxi_column *column);

/* How values of a column are sent. */
typedef struct nxi_pg_travel {
    nxi_pg_oid one;     /* as a parameter, in a column of COPY: NXI_PG_INFER is text */
    nxi_pg_oid element; /* as elements of an array */
    bool needs_cast;    /* `element` is TEXT and the column's type takes no text by assignment */
    bool copies;        /* binary COPY into the column takes the bytes of `one` */
} nxi_pg_travel;
nxi_pg_travel nxi_pg_travel_of(const nxi_column *column);

/* The type in CREATE TABLE of a column without one of its own; and of a reference to a column. */
void nxi_pg_put_type(const nxi_column *column, nxi_buf *sql);
/* The type of another column that shall refer to it: sql_type without what stands behind the type; serial: the integer. */
void nxi_pg_put_reference_type(const nxi_column *column, nxi_buf *sql);
/* `expression` as a value of the column's type: with a cast if it needs one. is_array: the expression is an array of such. */
void nxi_pg_put_cast(const nxi_column *column, const char *expression, bool is_array, nxi_buf *sql);
/* "bigint": of the parameter types above; NXI_PG_INFER is "text". */
const char *nxi_pg_type_text(nxi_pg_oid type);

#endif
