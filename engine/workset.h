/*
 * workset - the rows of a session: those that are to be inserted, those that are known, those that are to be deleted, and how
 * fresh they are.
 *
 * A row is in one list at a time: `fresh` (state NEW) or the list of its table (STORED, EXPIRED, DELETING); a row that is GONE is
 * in none. `deleting` and `touched` name rows that are in a list besides. Lists are vectors: a row knows its place, and a row
 * that leaves puts a hole there, so that a single row costs the same however many there are.
 *
 * The clock orders what happens to rows: a row's stamp is the time at which it was made, read or written last; a table has
 * the time at which all its rows became stale. What is read or written later is fresh.
 *
 * Rows that were inserted are entered in the identity map at the first look-up: a session that ends with its flush never pays for
 * it.
 */
#ifndef NXI_WORKSET_H
#define NXI_WORKSET_H

#include "engine/identity.h"

typedef struct nxi_row_list {
    nxi_row **rows;          /* NULL: a hole */
    size_t count, capacity;  /* places */
    size_t held;             /* rows */
} nxi_row_list;

/* Rows of one table that are not new. */
typedef struct nxi_known {
    nxi_row_list list;
    size_t unsettled;        /* the first place whose row is not in the identity map yet */
    uint32_t stale_before;   /* rows with an older stamp are to be read again */
} nxi_known;

/* Of one database. */
typedef struct nxi_known_tables {
    const void *db;
    nxi_known *tables;       /* by nxi_table.index */
    size_t table_count;
    struct nxi_known_tables *next;
} nxi_known_tables;

typedef struct nxi_workset {
    nxi_memory *memory;
    nxi_arena arena;         /* of the lists: they grow by doubling, what they leave goes with the session */
    nxi_identity identity;
    nxi_row_list fresh, deleting, touched;
    nxi_known_tables *known;
    nxi_row_list displaced;  /* rows whose keys were given out again: others have their places in the map */
    bool unsettled;          /* some row is not in the identity map yet */
    uint32_t clock;          /* begins with 1: a row that was never in a session has 0 */
} nxi_workset;

void nxi_workset_init(nxi_workset *ws, nxi_memory *memory);
/* Frees the lists; what the map has is kept when it is small, for the next session of this struct. */
void nxi_workset_fini(nxi_workset *ws);

/* The next tick: later than all stamps so far. */
static inline uint32_t nxi_workset_tick(nxi_workset *ws) { return ++ws->clock; }
/* It has 2^32 ticks: between transactions a session that has used half of them begins again. */
static inline bool nxi_workset_clock_is_old(const nxi_workset *ws) { return ws->clock > UINT32_MAX / 2; }
void nxi_workset_restart_clock(nxi_workset *ws);

/* The known rows of a table; NULL: none yet, or out of memory where one is to be made. */
nxi_known *nxi_workset_known(const nxi_workset *ws, const nxi_table *table);
NX_MUST_CHECK nxi_known *nxi_workset_known_made(nxi_workset *ws, const nxi_table *table, size_t table_count);

/* Append; false: out of memory, and nothing has changed. */
NX_MUST_CHECK bool nxi_row_list_add(nxi_arena *arena, nxi_row_list *list, nxi_row *row);
NX_MUST_CHECK bool nxi_row_list_reserve(nxi_arena *arena, nxi_row_list *list, size_t more);
/* A hole at its place; true: the list was packed, because most of it was holes: places have moved. */
bool nxi_row_list_remove(nxi_row_list *list, nxi_row *row);

/* A row becomes one to be inserted. False: out of memory. */
NX_MUST_CHECK bool nxi_workset_add_fresh(nxi_workset *ws, nxi_row *row);
/* A row that is in no list becomes known; entered in the map later. False: out of memory. */
NX_MUST_CHECK bool nxi_workset_add_known(nxi_workset *ws, nxi_row *row, size_t table_count);
/* Out of its list and of the map. */
void nxi_workset_drop(nxi_workset *ws, nxi_row *row);
/* All rows of a database. */
void nxi_workset_forget_db(nxi_workset *ws, const void *db);

/*
 * Enter what is not in the map yet; false: out of memory, try again later. Of two rows with one key the later one is the row that
 * is stored: the other one is displaced, and its session has to forget it.
 */
NX_MUST_CHECK bool nxi_workset_settle(nxi_workset *ws);

/* Something has changed its table since the row was read or written. */
bool nxi_workset_is_stale(const nxi_workset *ws, const nxi_row *row);
/* It is in the database as far as is known, and what it says is not known to be out of date. */
bool nxi_workset_is_fresh(const nxi_workset *ws, const nxi_row *row);
/* All rows of the table become stale. */
void nxi_workset_expire(nxi_workset *ws, const nxi_table *table);
/* All rows of a database. */
void nxi_workset_expire_db(nxi_workset *ws, const void *db);

/* Add to the list of deletions, or of touched rows, once; false: out of memory. */
NX_MUST_CHECK bool nxi_workset_list_deletion(nxi_workset *ws, nxi_row *row);
NX_MUST_CHECK bool nxi_workset_list_touched(nxi_workset *ws, nxi_row *row);
/* Take out of these lists what is not DELETING (not changed) any more. */
void nxi_workset_sweep_deletions(nxi_workset *ws);
void nxi_workset_sweep_touched(nxi_workset *ws);

#endif
