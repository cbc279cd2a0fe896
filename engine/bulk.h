/*
 * bulk - rows in by batches: one is filled while others are written.
 */
#ifndef NXI_BULK_H
#define NXI_BULK_H

#include "engine/db.h"
#include "engine/select.h"
#include "nextorm/bulk.h"

typedef struct nxi_bulk_batch nxi_bulk_batch;

struct nx_bulk {
    nx_loop *loop;
    nx_db *db;                      /* NULL: it was freed */
    struct nx_bulk *next;           /* of the loop */
    const nxi_table *table;
    size_t row_size;                /* of the structs given */
    nx_bulk_options options;
    size_t batch_bytes;             /* a batch is full with that many */
    nxi_arena arena;                /* options, columns */
    nxi_conflict conflict;
    const nxi_column **columns;     /* of nx_bulk_values, in its order */
    size_t column_count;
    bool *given;                    /* per table column: comes with the values; NULL: rows are whole structs */
    const nxi_statement *with_key, *without_key;
    nxi_bulk_batch *filling, *spare;
    nxi_bulk_batch *flying;         /* oldest first */
    size_t flying_count;
    nx_bulk_counts counts;
    nxi_arena reject_arena, reject_arena_given; /* collected, and handed out by the last call */
    nx_reject *rejects;
    size_t reject_count, reject_capacity;
    nxi_op *end;                    /* nx_bulk_end waits */
    bool ended;
    nx_status status;               /* of the load, once it failed */
    nx_error error;
};

nx_bulk *nxi_bulk_new(nx_db *db, const nxi_table *table, const nx_bulk_options *options);
void nxi_bulk_free(nx_bulk *bulk);
void nxi_bulks_forget_db(nx_loop *loop, nx_db *db);
NX_MUST_CHECK nx_status nxi_bulk_columns(nx_bulk *bulk, const nx_column *columns, size_t count);
NX_MUST_CHECK nx_status nxi_bulk_struct(nx_bulk *bulk, const void *row);
NX_MUST_CHECK nx_status nxi_bulk_values(nx_bulk *bulk, const nx_value *values);
nx_op nxi_bulk_op(const nx_bulk *bulk);
nx_op nxi_bulk_end(nx_bulk *bulk, void *tag);
const nx_reject *nxi_bulk_rejects(nx_bulk *bulk, size_t *ret_count);

#endif
