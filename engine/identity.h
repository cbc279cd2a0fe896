/*
 * identity - the rows that a session knows, each once, by root table and primary key.
 *
 * Rows that were just inserted are entered lazily: a session that ends after its flush never pays for the map.
 */
#ifndef NXI_IDENTITY_H
#define NXI_IDENTITY_H

#include "engine/map.h"
#include "engine/row.h"

typedef struct nxi_identity {
    nxi_map map;
    nxi_row *first, *last;  /* all rows that are not new, in the order of becoming known */
    nxi_row *unsettled;     /* the first that is not in the map yet */
} nxi_identity;

static inline void nxi_identity_init(nxi_identity *identity, nxi_memory *memory)
{
    *identity = (nxi_identity){ .first = NULL };
    nxi_map_init(&identity->map, memory);
}
void nxi_identity_fini(nxi_identity *identity);

/* Append a list of rows (linked by next) that are not in the map. */
void nxi_identity_append(nxi_identity *identity, nxi_row *first, nxi_row *last);
/* Enter what was appended; false: out of memory, try again later. */
NX_MUST_CHECK bool nxi_identity_settle(nxi_identity *identity);
/* The known row of a key, or NULL. Settled before. */
void *nxi_identity_find(const nxi_identity *identity, const nxi_table *table, const nx_value *key);
void *nxi_identity_find_row(const nxi_identity *identity, const nxi_table *table, const void *row, uint64_t hash);
/* Enter one settled row. */
NX_MUST_CHECK bool nxi_identity_add(nxi_identity *identity, void *row, uint64_t hash);
/* Take rows that carry this flag out of the list (not out of the map); they are returned as a list, in their order. */
nxi_row *nxi_identity_sweep(nxi_identity *identity, uint8_t flag);
void nxi_identity_remove(nxi_identity *identity, void *row);

#endif
