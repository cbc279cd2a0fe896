/*
 * table_build - the steps of nxi_tables_build, in the order in which they run.
 *
 * Each step may rely on what the ones before it have checked and filled in.
 * Uses: table.h, drivers/dialect.h
 */
#ifndef NXI_TABLE_BUILD_H
#define NXI_TABLE_BUILD_H

#include "drivers/dialect.h"
#include "engine/table.h"

typedef struct nxi_builder {
    nxi_arena *arena;
    const nxi_dialect *dialect;
    nxi_tables *tables;
    nx_error *error;
} nxi_builder;

/* NX_EMAPPING with "Entity.field: ..."; field may be NULL. */
nx_status nxi_mapping_fail(nx_error *error, const nx_entity *entity, const nx_field *field, const char *format, ...)
    NX_PRINTF(4, 5);
nx_status nxi_mapping_out_of_memory(nx_error *error);

/* 1. Fields by themselves: kind, type, place in the struct, names, options that fit. */
NX_MUST_CHECK nx_status nxi_options_check(const nxi_builder *builder, const nx_entity *entity);
/* 2. Columns: the keys of all tables first, because references copy the keys that they refer to. */
NX_MUST_CHECK nx_status nxi_columns_build_keys(const nxi_builder *builder, nxi_table *table);
NX_MUST_CHECK nx_status nxi_columns_build_rest(const nxi_builder *builder, nxi_table *table);
/* 3. Initial values, min and max. */
NX_MUST_CHECK nx_status nxi_initial_build(const nxi_builder *builder, nxi_table *table);
/* 4. What entities say about each other: SET and reverse; children of one tree. */
NX_MUST_CHECK nx_status nxi_relations_check(const nxi_builder *builder, const nxi_table *table);
NX_MUST_CHECK nx_status nxi_tree_check(const nxi_builder *builder, const nxi_table *table);
/* 5. Flush order. */
NX_MUST_CHECK nx_status nxi_order_build(const nxi_builder *builder);
/* 6. Unique constraints; false: out of memory. */
NX_MUST_CHECK bool nxi_uniques_build(const nxi_builder *builder, nxi_table *table);
/* 7. What nxi_row_prepare has to look at; false: out of memory. */
NX_MUST_CHECK bool nxi_prepare_build(nxi_arena *arena, nxi_table *table);

/* The names in "a, b": takes the next one off *list without its spaces; false at the end. An empty name has size 0. */
bool nxi_list_next(const char **list, nx_text *ret_name);

/* Equal but for ASCII letter case: SQLite and MariaDB do not tell such names apart. */
bool nxi_name_equal(const char *a, const char *b);

/* What the offset of its member is a multiple of; 1 for a member of a type that is not known. */
size_t nxi_field_align(const nx_field *field);

static inline bool nxi_kind_is_scalar(nx_kind kind)
{
    return kind == NX_KIND_PK || kind == NX_KIND_REQ || kind == NX_KIND_OPT;
}

#endif
