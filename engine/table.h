/*
 * table - compile entities into tables: columns, keys, references, flush order.
 */
#ifndef NXI_TABLE_H
#define NXI_TABLE_H

#include "engine/row.h"

struct nxi_dialect;

typedef struct nxi_tables {
    size_t count;
    nxi_table *list;         /* in the order given */
    nxi_table **by_order;    /* the same, referenced tables first */
    bool has_cycle;          /* some table is in one */
} nxi_tables;

/*
 * Everything lives in `arena`. NX_EMAPPING names entity and field: no key, two fields or columns of one name, an
 * identifier that the dialect cannot hold, a reference to an entity that is not in the list, initial, min or
 * max that do not parse, labels missing, an option that does not fit the type, an index over an unknown field, more than 32 lazy
 * fields. SET fields need a SINGLE on the other side (or a SET, with or without join_table): none or an
 * ambiguous one is an error unless `reverse` names it.
 */
NX_MUST_CHECK nx_status nxi_tables_build(nxi_arena *arena, const struct nxi_dialect *dialect, const nx_entity *const *entities,
                                         size_t count, nxi_tables *ret_tables, nx_error *error);

const nxi_table *nxi_tables_find(const nxi_tables *tables, const nx_entity *entity);
/* Column of a field by name or "a.b" never; NULL: none. */
const nxi_column *nxi_table_column(const nxi_table *table, nx_text field_name);
const nxi_column *nxi_table_column_named(const nxi_table *table, nx_text column_name);

/*
 * What was made of rows to make them ready: a flush that fails takes it back by nxi_prepare_undo, before the rows or the arena
 * are given up. Zeroed but for the arena; nothing is allocated while nothing is changed.
 */
typedef struct nxi_undo nxi_undo;
typedef struct nxi_undo_list {
    nxi_arena *arena;
    nxi_undo *newest;
} nxi_undo_list;
/* The members are again as they were. The list is empty afterwards. */
void nxi_prepare_undo(nxi_undo_list *undo);

/*
 * Make a row ready to be inserted: strip texts, make keys (uuid, ulid), bring keys of references to the type of the target's;
 * then check it: required, length, encoding, numbers within the type and bounds, labels, decimal digits, vector dimensions,
 * the field's own check. The error names entity and field. A reference to a row that has no key yet passes. `undo` NULL: what
 * is changed cannot be taken back. On failure too, some may have been changed.
 */
NX_MUST_CHECK nx_status nxi_row_prepare_insert(const nxi_table *table, void *row, nxi_undo_list *undo, nx_error *error);
/* The same for an UPDATE of these columns, which also needs a version that can be counted up (NX_ERANGE). No keys are made. */
NX_MUST_CHECK nx_status nxi_row_prepare_update(void *row, const nxi_column *const *columns, size_t count, nxi_undo_list *undo,
                                               nx_error *error);

/* CREATE statements in an order that works: tables (parents first), constraints, indexes; idempotent. Ends with NULL. */
NX_MUST_CHECK nx_status nxi_schema_create(const nxi_tables *tables, const struct nxi_dialect *dialect, nxi_arena *arena,
                                          const char *const **ret_list, nx_error *error);
/* How many statements drop so many tables: one for all where the dialect can, so that circles of references can be dropped. */
size_t nxi_schema_drops(const struct nxi_dialect *dialect, size_t count);
/* "DROP TABLE [IF EXISTS] x, y"; zero-terminated, in arena; NULL: out of memory. Names are quoted. */
const char *nxi_schema_drop(const struct nxi_dialect *dialect, const char *const *tables, size_t count, bool if_exists,
                            nxi_arena *arena);

#endif
