/*
 * catalog - what PostgreSQL's catalogue says about the mapped tables (nxi_catalog_source).
 *
 * Facts: PostgreSQL 15 documentation, chapter 53 "System Catalogs", chapter 8 "Data Types", 41 "The Rule System".
 */
#ifndef NXI_PG_CATALOG_H
#define NXI_PG_CATALOG_H

#include "drivers/dialect.h"

extern const nxi_catalog_source nxi_pg_catalog;

#endif
