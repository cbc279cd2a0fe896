/*
 * planner - what the parts of the unit of work share while they plan a flush.
 *
 * 1. Rows are checked and put by kind: verb, table, columns (uow.c, uow_insert.c).
 * 2. Pairs of rows are found of which one takes a unique value that the other gives up (planner_unique.c).
 * 3. Rows whose kind does not say where they stand are ordered one by one (planner_order.c, planner_graph.c,
 *    planner_circles.c, planner_levels.c).
 */
#ifndef NXI_PLANNER_H
#define NXI_PLANNER_H

#include "engine/planner_graph.h"
#include "engine/uow.h"

/* Rows of a kind while they are collected. */
typedef struct nxi_kind_chunk {
    struct nxi_kind_chunk *before;
    size_t count, capacity;
    void *rows[];
} nxi_kind_chunk;

/* Rows that one statement can write. */
typedef struct nxi_kind {
    struct nxi_kind *next;
    nxi_batch_verb verb;
    bool parked; /* its rows are in a PARK, which has checked them */
    bool late;   /* an UPDATE that stands behind all others */
    bool made_unknown; /* what the database made in its rows is not known: it is not compared */
    uint32_t serial;
    const nxi_table *table;
    uint64_t *columns;
    uint64_t hash;
    const nxi_statement *statement; /* NULL: not found yet */
    nxi_kind_chunk *chunk;          /* the last one; rows that are not ordered one by one */
    size_t row_count;
} nxi_kind;

/* One row of that kind; kind NULL: nothing is left to write here. */
typedef struct nxi_plan_op {
    void *row;
    nxi_kind *kind;
} nxi_plan_op;

/* What an edge of the planner says besides: its column is the one by which the edge can be cut. */
enum {
    NXI_EDGE_COLUMN = 0xffff,  /* index in the table of the row that refers, gives up or takes */
    NXI_EDGE_EARLY = 0x10000,  /* cut: the row that goes first gets NULL there before; else the other row gets its value later */
    NXI_EDGE_UNIQUE = 0x20000, /* of a value that one row gives up and the other takes */
    NXI_EDGE_STORED = 0x40000  /* of a reference that the database has: the row that goes first refers */
};

/* `taker` takes a unique value that `giver` gives up; label of the edge between them. */
typedef struct nxi_unique_pair {
    void *taker, *giver;
    uint32_t label;
} nxi_unique_pair;

typedef struct nxi_planner {
    nx_session *session; /* the root; NULL: one row outside sessions */
    nx_db *db;
    nxi_arena *arena;
    nx_error *error;
    const nxi_plan_rows *rows; /* NULL: outside sessions */
    bool partial;              /* the session may have other pending rows that are not written with these */
    void *at;                  /* the row at hand: what goes wrong is about it */
    nxi_map kinds;             /* filled when there are many */
    nxi_kind *list, *latest;
    uint32_t kind_count;
    size_t row_count;
    nxi_batch *ordered_runs[2]; /* batches of rows that were ordered one by one, in order */
    size_t ordered_count[2];
    nxi_unique_pair *pairs;
    size_t pair_count, pair_capacity;
    uint64_t *bits; /* scratch: columns of the row at hand */
    size_t bits_capacity;
    const nxi_column **columns; /* scratch: the same as a list */
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
    return header != NULL && header->table->db == p->db;
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
static inline const nx_reference *nxi_reference_of(const nxi_column *column, const void *row)
{
    return (const void *)((const char *)row + column->offset);
}
/* The first column of a reference: it stands for all of them. */
static inline bool nxi_is_reference(const nxi_column *column)
{
    return column->form == NXI_FORM_REFERENCE && column->key_part == 0;
}

/* Whether some part of that reference is written. */
static inline bool nxi_kind_writes(const nxi_kind *kind, const nxi_column *reference)
{
    for (size_t part = 0; part < reference->target->key_count; part++)
        if (nxi_bit_is_set(kind->columns, reference->index + part))
            return true;
    return false;
}

/* New rows of that kind have their keys before they are written. */
static inline bool nxi_kind_knows_keys(const nxi_kind *kind)
{
    const nxi_column *key = kind->table->auto_key;

    return key == NULL || nxi_bit_is_set(kind->columns, key->index);
}

/* The row in this session that a reference column's row member points to, if it still has to be inserted. */
static inline void *nxi_planner_new_target(const nxi_column *column, const void *row, const nx_db *db)
{
    if (column->form != NXI_FORM_REFERENCE)
        return NULL;
    const nx_reference *reference = nxi_reference_of(column, row);
    if (reference->row == NULL || nxi_row_of(reference->row)->state != NXI_ROW_NEW || nxi_row_of(reference->row)->table->db != db)
        return NULL;
    return reference->row;
}

/* ------------------------------------------------------------------------------ uow.c */

/* Scratch bits and list for the columns of a table, cleared; false: out of memory. */
NX_MUST_CHECK bool nxi_planner_scratch(nxi_planner *p, const nxi_table *table);
/* Room for a key of any table of the database; NULL: out of memory. */
nx_value *nxi_planner_key(const nxi_planner *p);
/* The kind of that verb, table, marks, and the scratch bits; NULL: out of memory. */
nxi_kind *nxi_planner_kind(nxi_planner *p, const nxi_kind *want);
/* The row joins that kind. */
NX_MUST_CHECK nx_status nxi_planner_join(nxi_planner *p, nxi_kind *kind, void *row);
/* The row joins the kind of that verb, its table and the scratch bits. */
NX_MUST_CHECK nx_status nxi_planner_put(nxi_planner *p, nxi_batch_verb verb, void *row);
/* The rows of a kind, in their order; `ret_ops` has room for row_count. */
void nxi_planner_list(nxi_kind *kind, nxi_plan_op *ret_ops);
/* kind->statement is set. */
NX_MUST_CHECK nx_status nxi_planner_statement(nxi_planner *p, nxi_kind *kind);
/* A batch of a kind, without rows. */
nxi_batch nxi_planner_batch(const nxi_kind *kind, uint64_t order);
/* Where batches stand: the phase first, then the rank, then the level. */
static inline uint64_t nxi_planner_place(nxi_batch_verb phase, uint32_t rank, uint32_t level)
{
    return (uint64_t)phase << 48 | (uint64_t)rank << 32 | level;
}
/* How the rank of a table's kinds is counted: deletes lead with referring tables. */
uint32_t nxi_planner_rank(const nxi_planner *p, const nxi_kind *kind);

/* ------------------------------------------------------------------------------ uow_insert.c */

/*
 * A reference to a row that this flush does not insert would be written as NULL, silently: an error; so is one to a row that it
 * deletes. `bits`: columns that are written; NULL: all.
 */
NX_MUST_CHECK nx_status nxi_planner_check_references(const nxi_planner *p, const void *row, const uint64_t *bits);
NX_MUST_CHECK nx_status nxi_planner_insert(nxi_planner *p, void *row);

/* ------------------------------------------------------------------------------ planner_deleted.c */

/* References by key to rows that this flush deletes are refused, unless it inserts a row with that key. */
NX_MUST_CHECK nx_status nxi_planner_check_deleted(nxi_planner *p);
nx_status nxi_planner_refuse_reference(const nxi_planner *p, const nxi_column *column, const nxi_table *target, const char *why);

/* ------------------------------------------------------------------------------ planner_unique.c */

/* p->pairs of all rows of the flush. */
NX_MUST_CHECK nx_status nxi_planner_pairs(nxi_planner *p);
/* Whether a row may have NULL in that column for a moment, unseen by anything but the transaction itself. */
bool nxi_can_pass_through_null(const nxi_table *table, const nxi_column *column);
/* The name of a row for messages: entity and key; at most `size` bytes. Returns text. */
const char *nxi_planner_name(const void *row, char *text, size_t size);

/* ------------------------------------------------------------------------------ planner_order.c */

/* Order rows one by one where that is necessary: p->ordered_runs. */
NX_MUST_CHECK nx_status nxi_planner_order(nxi_planner *p);

#endif
