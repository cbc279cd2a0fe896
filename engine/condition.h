/*
 * condition - from what users name and give to conditions over columns.
 *
 * Shared by the two ways in: nx_expr (condition.c) and text (where.c).
 * A resolver adds joins to its select as paths need them; they are taken back when it fails.
 * Ownership: all in the resolver's arena; values are copied.
 */
#ifndef NXI_CONDITION_H
#define NXI_CONDITION_H

#include "engine/select.h"

enum {
    NXI_PARTS_MAX = 4096,  /* of one AND or OR */
    NXI_NODES_MAX = 65536  /* of what one call adds: an expression may share parts, and so mean more than it holds */
};

typedef struct nxi_resolver {
    nxi_select *select;
    nxi_arena *arena;
    nx_error *error;
    int32_t position;      /* of what is being looked at, for errors; 0: there is no text */
    size_t nodes;
    uint16_t joins_before; /* to undo */
    uint32_t outer_before; /* bit per join */
} nxi_resolver;

/* Fields that lead to a column, by the first column of each. */
typedef struct nxi_path {
    const nxi_column *hop[NX_PATH_MAX];
    size_t count;
} nxi_path;

/* What a path ends at. parts > 1: a reference to a composite key, column + 0 .. parts - 1. */
typedef struct nxi_target {
    const nxi_column *column;
    size_t parts;
    uint16_t join;
} nxi_target;

void nxi_resolver_begin(nxi_resolver *resolver, nxi_select *select, nxi_arena *arena, nx_error *error);
/* AND `condition` to the select and settle the joins; on failure all is undone. NULL: only the joins (an order). */
NX_MUST_CHECK nx_status nxi_resolver_end(nxi_resolver *resolver, nxi_condition *condition);
/* Take back the joins that were added; returns status. */
nx_status nxi_resolver_undo(nxi_resolver *resolver, nx_status status);
/* Fill the error, position included; returns status. */
nx_status nxi_resolver_fail(const nxi_resolver *resolver, nx_status status, const char *format, ...) NX_PRINTF(3, 4);

/* The first column of a field of `table`. NX_ENOFIELD: of another entity, or a field without a column. */
NX_MUST_CHECK nx_status nxi_resolve_column(const nxi_resolver *resolver, const nxi_table *table, nx_column column,
                                           const nxi_column **ret_column);
NX_MUST_CHECK nx_status nxi_resolve_path(nxi_resolver *resolver, const nx_path *path, nxi_path *ret_path);
/* Add the joins. `collapse`: the key of a referenced row is read from the reference, without a join. */
NX_MUST_CHECK nx_status nxi_resolve_target(nxi_resolver *resolver, const nxi_path *path, bool collapse, nxi_target *ret_target);

/* A copy of the value, of the column's type, but labels of enumerations as texts. NULL stays NULL. */
NX_MUST_CHECK nx_status nxi_resolve_value(const nxi_resolver *resolver, const nxi_column *column, const nx_value *value,
                                          nx_value *ret_value);
/* Databases hold labels, and a parameter does not know the field that it is for: make an enumeration's value its label. */
void nxi_value_label(const nxi_column *column, nx_value *value);
/* NX_TYPE_null, or a text, bytes or vector without data. */
bool nxi_value_is_none(const nx_value *value);

/* Any verb but AND, OR, NOT, with as many values as it takes. */
NX_MUST_CHECK nx_status nxi_condition_leaf(nxi_resolver *resolver, nx_verb verb, const nxi_target *target, const nx_value *values,
                                           size_t count, nxi_condition **ret_condition);
/* Column to column: EQ .. GE. */
NX_MUST_CHECK nx_status nxi_condition_columns(nxi_resolver *resolver, nx_verb verb, const nxi_target *target,
                                              const nxi_column *other, nxi_condition **ret_condition);
/* AND, OR, NOT; `parts` is copied. No part: AND is true, OR is false. */
NX_MUST_CHECK nx_status nxi_condition_node(nxi_resolver *resolver, nx_verb verb, nxi_condition *const *parts, size_t count,
                                           nxi_condition **ret_condition);

#endif
