/*
 * dialect - PostgreSQL's SQL.
 *
 * Facts: PostgreSQL 15 documentation, chapter 4 "SQL Syntax", chapter 8 "Data Types", part VI "SQL Commands". Texts are written
 * for standard_conforming_strings = on, which the connection verifies.
 */
#ifndef NXI_PG_DIALECT_H
#define NXI_PG_DIALECT_H

#include "drivers/dialect.h"

/* 4.1.1: NAMEDATALEN is 64, and longer names are cut silently, so they are refused here. */
enum { NXI_PG_IDENTIFIER_BYTES_MAX = 63, NXI_PG_PARAMETERS_MAX = 65535 /* 55.7: Bind counts them in an int16 */ };

extern const nxi_dialect nxi_pg_dialect;

/* 'text' with quotes doubled. */
void nxi_pg_literal(const char *text, nxi_buf *sql);

#endif
