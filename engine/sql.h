/*
 * sql - a query as text.
 *
 * Between select.c, which finds statements by shape and collects values, and sql.c, which renders the text of
 * a new shape. Both walk conditions in the same order: what one writes a placeholder for, the other binds.
 * rowsql.c (statements that write rows) and raw.c use the same shapes and writer.
 */
#ifndef NXI_SQL_H
#define NXI_SQL_H

#include "engine/select.h"

/* The first byte of every shape: no two kinds of statement share one. Verbs of queries come first. */
enum {
    NXI_SHAPE_INSERT = NXI_VERB_UPDATE + 1,
    NXI_SHAPE_ROW_UPDATE,
    NXI_SHAPE_ROW_DELETE,
    NXI_SHAPE_BY_KEY,
    NXI_SHAPE_RAW,
    NXI_SHAPE_TOKEN
};

/* Bytes that tell one statement from another. */
typedef struct nxi_shape {
    nxi_arena *arena; /* for more than fits into `space` */
    uint8_t *data;
    size_t size, capacity;
    bool failed;
    uint8_t space[256];
} nxi_shape;

static inline void nxi_shape_init(nxi_shape *shape, nxi_arena *arena)
{
    shape->arena = arena;
    shape->data = shape->space;
    shape->size = 0;
    shape->capacity = sizeof(shape->space);
    shape->failed = false;
}
void nxi_shape_more(nxi_shape *shape, size_t size);
static inline void nxi_shape_put(nxi_shape *shape, const void *data, size_t size)
{
    if (NXI_UNLIKELY(size > shape->capacity - shape->size))
        nxi_shape_more(shape, size);
    if (NXI_UNLIKELY(shape->failed))
        return;
    memcpy(shape->data + shape->size, data, size);
    shape->size += size;
}
static inline void nxi_shape_u8(nxi_shape *shape, unsigned x)
{
    uint8_t byte = (uint8_t)x;
    nxi_shape_put(shape, &byte, sizeof(byte));
}
static inline void nxi_shape_u16(nxi_shape *shape, uint16_t x) { nxi_shape_put(shape, &x, sizeof(x)); }
static inline void nxi_shape_u32(nxi_shape *shape, uint32_t x) { nxi_shape_put(shape, &x, sizeof(x)); }
/* A list of columns of one table: count, then their indexes. */
void nxi_shape_columns(nxi_shape *shape, const nxi_column *const *columns, size_t count);

/* SET column = value of a set-based update. */
typedef struct nxi_set {
    const nxi_column *column;
    nx_value value;
} nxi_set;

/* A query with one verb: all that its text depends on. */
typedef struct nxi_sql_ask {
    const nxi_select *select;
    nxi_verb verb;
    const nxi_column *column; /* SUM .. CONCAT */
    const nxi_set *sets;      /* UPDATE; CONCAT: one, whose value is the separator */
    size_t set_count;
    const nxi_dialect *dialect;
    uint32_t joins;           /* bit per join that is needed, those that lead to it included */
} nxi_sql_ask;

/* NULL may stand in an order term: the text then says where it sorts. */
static inline bool nxi_term_is_nullable(const nxi_select *select, const nxi_term *term)
{
    return term->column->nullable || (term->join != 0 && select->joins[term->join - 1].outer);
}
/* `c >= ?` before the nested comparisons of a keyset: lets an index find the start. */
static inline bool nxi_after_is_bounded(const nxi_select *select)
{
    const nxi_term *first = &select->terms[0];
    return select->after_count > 1 && select->after[0].type != NX_TYPE_null &&
           (!first->descending || !nxi_term_is_nullable(select, first));
}

/* Render and intern. *ret_statement is a new one. */
NX_MUST_CHECK nx_status nxi_sql_render(const nxi_sql_ask *ask, const nxi_shape *shape, nxi_statements *statements,
                                       const nxi_statement **ret_statement);

/* A text under construction. A failure is kept in the buffers until it is interned. */
typedef struct nxi_sql {
    nxi_buf text;
    nxi_buf left;             /* the column that a dialect's function takes as text */
    const nxi_dialect *dialect;
    const nxi_select *select; /* NULL: no query */
    size_t params;
    bool is_qualified;        /* more than one table: columns have their table's alias in front */
} nxi_sql;

void nxi_sql_init(nxi_sql *sql, const nxi_dialect *dialect, const nxi_statements *statements);
void nxi_sql_fini(nxi_sql *sql);
static inline void nxi_sql_put(nxi_sql *sql, const char *text) { nxi_buf_puts(&sql->text, text); }
/* Quoted. */
static inline void nxi_sql_name(nxi_sql *sql, const char *name) { nxi_quote(sql->dialect, name, &sql->text); }
void nxi_sql_placeholder(nxi_sql *sql);
/* version = version + 1. is_conflict: in the DO UPDATE of an INSERT. */
void nxi_sql_version_up(nxi_sql *sql, const nxi_table *table, bool is_conflict);
/* Make what was written a statement: sql and param_count of the prototype are set here. */
NX_MUST_CHECK nx_status nxi_sql_intern(nxi_sql *sql, const nxi_shape *shape, nxi_statements *statements, nxi_statement *prototype,
                                       const nxi_statement **ret_statement);

#endif
