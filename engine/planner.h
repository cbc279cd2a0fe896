/*
 * planner - what the parts of the unit of work share while they plan a flush.
 */
#ifndef NXI_PLANNER_H
#define NXI_PLANNER_H

#include "engine/uow.h"

typedef struct nxi_planner {
    nx_session *session;       /* NULL: one row outside sessions */
    nx_db *db;
    nxi_arena *arena;
    nx_error *error;
    const void *only;          /* one row of the session */
    void *at;                  /* the row at hand: what goes wrong is about it */
    nxi_map batches;           /* by verb, level, table, columns; filled when there are many */
    nxi_batch *list, *latest;
    size_t batch_count;
    size_t row_count;
    uint64_t *bits;            /* scratch: columns of the row at hand */
    size_t bits_capacity;
    const nxi_column **columns;/* scratch: the same as a list */
    size_t columns_capacity;
    nx_optimistic optimistic;
    nxi_undo_list undo;        /* what was made of the rows */
} nxi_planner;


static inline nx_status nxi_planner_no_memory(const nxi_planner *p)
{
    return nxi_fail(p->error, NX_ENOMEM, "no memory for the flush");
}
static inline size_t nxi_planner_words(const nxi_table *table)
{
    return (table->column_count + 63) / 64;
}
static inline bool nxi_bit_is_set(const uint64_t *bits, size_t i)
{
    return (bits[i / 64] >> (i % 64) & 1) != 0;
}
static inline void nxi_bit_set(uint64_t *bits, size_t i)
{
    bits[i / 64] |= UINT64_C(1) << (i % 64);
}
/* A listed row belongs to this flush. */
static inline bool nxi_planner_wants(const nxi_planner *p, const nxi_row *header)
{
    return header->table->db == p->db && (p->only == NULL || nxi_row_data(header) == p->only);
}
/* An expired row's changes are those made since it expired: they count, or they would be lost silently. */
static inline bool nxi_row_is_written(const nxi_row *header)
{
    return header->state == NXI_ROW_STORED || header->state == NXI_ROW_EXPIRED;
}
static inline bool nxi_row_is_same(const nxi_row *header)
{
    return nxi_row_is_same_bytes(nxi_row_data(header));
}

/* The row in this session that a reference column's row member points to, if it still has to be inserted. */
static inline void *nxi_planner_new_target(const nxi_column *column, const void *row, const nx_db *db)
{
    if (column->form != NXI_FORM_REFERENCE)
        return NULL;
    const nx_reference *reference = (const void *)((const char *)row + column->offset);
    if (reference->row == NULL || nxi_row_of(reference->row)->state != NXI_ROW_NEW || nxi_row_of(reference->row)->table->db != db)
        return NULL;
    return reference->row;
}

/* Scratch bits and list for the columns of a table, cleared; false: out of memory. */
NX_MUST_CHECK bool nxi_planner_scratch(nxi_planner *p, const nxi_table *table);
/* The row joins the batch of that verb, level, its table and the scratch bits. */
NX_MUST_CHECK nx_status nxi_planner_put(nxi_planner *p, nxi_batch_verb verb, uint32_t level, void *row);
/* The row joins that batch. */
NX_MUST_CHECK nx_status nxi_planner_join(nxi_planner *p, nxi_batch *batch, void *row);
/*
 * A reference to a row that this flush does not insert would be written as NULL, silently: an error. `bits`: columns that are
 * written; NULL: all.
 */
NX_MUST_CHECK nx_status nxi_planner_check_references(const nxi_planner *p, const void *row, const uint64_t *bits);
NX_MUST_CHECK nx_status nxi_planner_insert(nxi_planner *p, void *row, uint32_t level);
/* All new rows of the session, referenced ones first. */
NX_MUST_CHECK nx_status nxi_planner_inserts(nxi_planner *p);

#endif
