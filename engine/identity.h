/*
 * identity - find a row of a session by root table and primary key.
 *
 * Ownership: rows are the session's. Keys are those that the database has (the snapshot's): a program may have written over the
 * struct. Threads: the loop's own.
 */
#ifndef NXI_IDENTITY_H
#define NXI_IDENTITY_H

#include "engine/map.h"
#include "engine/row.h"

typedef struct nxi_identity { nxi_map map; } nxi_identity;

/* The row of a key, or NULL. */
void *nxi_identity_find(const nxi_identity *identity, const nxi_table *table, const nx_value *key);
/* The row with the same key as `row`, which may be any row of that table; `hash`: nxi_row_key_hash of it. */
void *nxi_identity_find_row(const nxi_identity *identity, const nxi_table *table, const void *row, uint64_t hash);
/* Enter a row; false: out of memory. */
NX_MUST_CHECK bool nxi_identity_add(nxi_identity *identity, void *row, uint64_t hash);
/* No effect on a row that is not entered. */
void nxi_identity_remove(nxi_identity *identity, void *row);

#endif
