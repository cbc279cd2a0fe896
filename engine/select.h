/*
 * select - a query's conditions, order and limits, bound to tables, and the SQL that they mean.
 *
 * Conditions are copied, resolved to columns and converted to their types when they are added; a statement is
 * found by shape (everything that is in the SQL text, no values) and rendered only when the shape is new.
 * Ownership: all in the arena given; values of the caller are copied.
 */
#ifndef NXI_SELECT_H
#define NXI_SELECT_H

#include "drivers/dialect.h"
#include "engine/statement.h"
#include "engine/table.h"
#include "nextorm/bulk.h"
#include "nextorm/query.h"

/* One table of the FROM clause beyond the main one. */
typedef struct nxi_join {
    const nxi_table *table;
    const nxi_column *reference; /* first column of the reference that leads here */
    uint16_t from;               /* 0: the main table, else join number from + 1 */
    bool outer;                  /* the reference may be NULL and is under OR or NOT, or only ordered by */
} nxi_join;

typedef struct nxi_condition {
    nx_verb verb;
    uint16_t join;               /* 0: main table, else join number + 1 */
    const nxi_column *column;
    const nxi_column *other;     /* column to column; NULL: values */
    nx_value *values;
    size_t value_count;
    struct nxi_condition **parts;
    size_t part_count;
} nxi_condition;

typedef struct nxi_term { const nxi_column *column; uint16_t join; bool descending; } nxi_term;

enum { NXI_JOINS_MAX = 32, NXI_TERMS_MAX = 16, NXI_CONDITION_DEPTH_MAX = 64 };

/* Copyable by value: what it points to is never changed once it is added. */
typedef struct nxi_select {
    const nxi_tables *tables;
    const nxi_table *table;
    nxi_condition *where;        /* NULL: all */
    nxi_join joins[NXI_JOINS_MAX];
    uint16_t join_count;
    nxi_term terms[NXI_TERMS_MAX];
    uint16_t term_count;
    const nx_value *after;       /* keyset: one per term, key columns included; NULL: none */
    size_t after_count;
    bool random, distinct, for_update, has_limit, has_offset;
    bool nowait, skip_locked;    /* with for_update, at most one of them */
    uint64_t limit, offset;      /* bound as values: not part of the shape */
    uint32_t lazy_wanted;        /* bits of lazy columns to load */
} nxi_select;

void nxi_select_init(nxi_select *select, const nxi_tables *tables, const nxi_table *table);

/* Each step: on failure the select is unchanged and *error says why (position for texts). */
NX_MUST_CHECK nx_status nxi_select_filter(nxi_select *select, nxi_arena *arena, const nx_expr *condition, nx_error *error);
NX_MUST_CHECK nx_status nxi_select_where(nxi_select *select, nxi_arena *arena, const char *text, const nx_value *values,
                                         size_t count, nx_error *error);
NX_MUST_CHECK nx_status nxi_select_order(nxi_select *select, nxi_arena *arena, const nx_order *terms, size_t count,
                                         nx_error *error);
/* Appends the key to the order where it is missing; values: one per column of that order. The order cannot change afterwards. */
NX_MUST_CHECK nx_status nxi_select_after(nxi_select *select, nxi_arena *arena, const nx_value *values, size_t count,
                                         nx_error *error);
NX_MUST_CHECK nx_status nxi_select_after_row(nxi_select *select, nxi_arena *arena, const void *row, nx_error *error);

/* The primary key that the condition fixes by equality, and nothing else; false: none. For identity-map look-ups. */
bool nxi_select_key(const nxi_select *select, nx_value *ret_values);

/*
 * COUNT, EXISTS and the aggregates look at all rows that match: order, limit and offset mean nothing to them, but that
 * CONCAT goes by the order; a position does.
 */
typedef enum nxi_verb {
    NXI_VERB_FETCH, NXI_VERB_COUNT, NXI_VERB_EXISTS, NXI_VERB_SUM, NXI_VERB_AVG, NXI_VERB_MIN, NXI_VERB_MAX, NXI_VERB_CONCAT,
    NXI_VERB_DELETE, NXI_VERB_UPDATE
} nxi_verb;

typedef struct nxi_bound {
    const nxi_statement *statement;
    const nx_value *values;
    size_t count;
} nxi_bound;

/*
 * The statement of that verb and the values of its parameters, in `arena`. SUM..MAX need `column`; UPDATE needs
 * assignments (checked and converted here); CONCAT one: the column and the separator, a text. NX_ELIMIT: more parameters than
 * the provider takes.
 */
NX_MUST_CHECK nx_status nxi_select_bind(const nxi_select *select, nxi_verb verb, nx_column column,
                                        const nx_assignment *assignments, size_t assignment_count, const nxi_dialect *dialect,
                                        nxi_statements *statements, nxi_arena *arena, nxi_bound *ret_bound, nx_error *error);

/* ------------------------------------------------------------------ statements that write rows */

typedef struct nxi_conflict {
    nx_conflict rule;
    const nxi_column *const *key;    /* default: the primary key */
    size_t key_count;
    const nxi_column *const *update;
    size_t update_count;
} nxi_conflict;

/* INSERT of these columns; the automatic key is left out unless it is among them. conflict may be NULL. */
NX_MUST_CHECK nx_status nxi_statement_insert(const nxi_table *table, const nxi_column *const *columns, size_t count,
                                             const nxi_conflict *conflict, const nxi_dialect *dialect, nxi_statements *statements,
                                             const nxi_statement **ret_statement);
/* What an UPDATE does with the table's version column, if there is one; 0: it is counted up, in SQL. */
enum {
    NXI_VERSION_COMPARED = 1, /* with what the row has */
    NXI_VERSION_KEPT = 2      /* not counted up: the statement is one of several that write a row in one flush */
};
/* UPDATE of `columns` by key. compare: columns of the snapshot that must still hold (NULL-safe). NX_EINVAL: nothing to set. */
NX_MUST_CHECK nx_status nxi_statement_update(const nxi_table *table, const nxi_column *const *columns, size_t count,
                                             const nxi_column *const *compare, size_t compare_count, unsigned version,
                                             const nxi_dialect *dialect, nxi_statements *statements,
                                             const nxi_statement **ret_statement);
NX_MUST_CHECK nx_status nxi_statement_delete(const nxi_table *table, const nxi_column *const *compare, size_t compare_count,
                                             bool use_version, const nxi_dialect *dialect, nxi_statements *statements,
                                             const nxi_statement **ret_statement);
/* SELECT of columns (references too) by key, one row: refresh (all columns) and lazy loads. Bound by values. */
NX_MUST_CHECK nx_status nxi_statement_by_key(const nxi_table *table, const nxi_column *const *columns, size_t count,
                                             const nxi_dialect *dialect, nxi_statements *statements,
                                             const nxi_statement **ret_statement);
/*
 * A raw text, `?` turned into the dialect's placeholders ("??" into one question mark; texts, quoted names and comments are left
 * alone). NX_ESYNTAX: the text ends inside a quotation, or numbers a parameter. `writes` is set unless the text begins with
 * SELECT or VALUES. Not interned beyond NXI_RAW_TEXTS_MAX different texts: then it lives in `arena`.
 */
NX_MUST_CHECK nx_status nxi_statement_raw(const char *sql, const nxi_dialect *dialect, nxi_statements *statements,
                                          nxi_arena *arena, const nxi_statement **ret_statement, nx_error *error);

#endif
