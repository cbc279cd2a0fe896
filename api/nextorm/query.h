/*
 * query - conditions, builders and their terminals.
 *
 * A query is a value under construction. A builder step takes a query and returns the next one;
 * a terminal (nx_fetch_all ...) takes it and runs it. Each uses its argument up, so a chain needs
 * no free. nx_query_keep makes a query constant: steps on it return new queries and terminals leave
 * it as it is, any number of times, until nx_query_free. Queries that nobody ran are freed with
 * their session, database or loop.
 *
 * A mistake in a step (unknown field, wrong type, syntax) is kept in the query and becomes the
 * terminal's completion: builder calls in between need no check.
 *
 * Conditions are compound literals, copied by the step that takes them: no allocation, no free.
 */
#ifndef NEXTORM_QUERY_H
#define NEXTORM_QUERY_H

#include "nextorm/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------- conditions */

typedef enum nx_verb {
    NX_VERB_EQ, NX_VERB_NE, NX_VERB_LT, NX_VERB_LE, NX_VERB_GT, NX_VERB_GE,
    NX_VERB_LIKE, NX_VERB_ILIKE, /* % and _ are wild, \ escapes; LIKE minds the case, ILIKE does not */
    NX_VERB_STARTS_WITH, NX_VERB_CONTAINS, /* plain text, nothing is wild */
    NX_VERB_IS_NULL, NX_VERB_IS_NOT_NULL,
    NX_VERB_BETWEEN,             /* two values, inclusive */
    NX_VERB_IN, NX_VERB_NOT_IN,  /* any number of values */
    NX_VERB_AND, NX_VERB_OR, NX_VERB_NOT
} nx_verb;

/* A column, or a column behind up to 7 references: nx_via(Post_.author, Author_.name). */
enum { NX_PATH_MAX = 8 };
typedef struct nx_path { nx_column hop[NX_PATH_MAX]; } nx_path;

typedef struct nx_expr {
    nx_verb verb;
    nx_path path;
    nx_column other;             /* compared with another column of the same entity when other.entity is set */
    nx_value value;
    const nx_value *values;      /* IN, BETWEEN */
    size_t value_count;
    const struct nx_expr *const *parts; /* AND, OR, NOT; ends with NULL */
} nx_expr;

static inline nx_path nx_path_column(nx_column c) { return (nx_path){ .hop = { c } }; }
static inline nx_path nx_path_self(nx_path p) { return p; }
#define NX_PATH(c) _Generic((c), nx_column: nx_path_column, nx_path: nx_path_self)(c)
#define nx_via(...) ((nx_path){ .hop = { __VA_ARGS__ } })

#define NX_COMPARE(v, c, x) (&(const nx_expr){ .verb = (v), .path = NX_PATH(c), .value = NX_VALUE(x) })
#define nx_eq(c, x) NX_COMPARE(NX_VERB_EQ, c, x) /* nx_eq(c, nx_null()) is IS NULL */
#define nx_ne(c, x) NX_COMPARE(NX_VERB_NE, c, x)
#define nx_lt(c, x) NX_COMPARE(NX_VERB_LT, c, x)
#define nx_le(c, x) NX_COMPARE(NX_VERB_LE, c, x)
#define nx_gt(c, x) NX_COMPARE(NX_VERB_GT, c, x)
#define nx_ge(c, x) NX_COMPARE(NX_VERB_GE, c, x)
#define nx_like(c, x) NX_COMPARE(NX_VERB_LIKE, c, x)
#define nx_ilike(c, x) NX_COMPARE(NX_VERB_ILIKE, c, x)
#define nx_starts_with(c, x) NX_COMPARE(NX_VERB_STARTS_WITH, c, x)
#define nx_contains(c, x) NX_COMPARE(NX_VERB_CONTAINS, c, x)
#define nx_is_null(c) (&(const nx_expr){ .verb = NX_VERB_IS_NULL, .path = NX_PATH(c) })
#define nx_is_not_null(c) (&(const nx_expr){ .verb = NX_VERB_IS_NOT_NULL, .path = NX_PATH(c) })
#define nx_between(c, low, high)                                                                   \
    (&(const nx_expr){ .verb = NX_VERB_BETWEEN, .path = NX_PATH(c),                                \
        .values = (const nx_value[]){ NX_VALUE(low), NX_VALUE(high) }, .value_count = 2 })
/* nx_in(Post_.id, 1, 2, 3) and nx_in_values(Post_.id, array, count). */
#define nx_in(c, ...)                                                                              \
    (&(const nx_expr){ .verb = NX_VERB_IN, .path = NX_PATH(c),                                     \
        .values = (const nx_value[]){ NX_MAP(NX_VALUE, __VA_ARGS__) },                             \
        .value_count = sizeof((const nx_value[]){ NX_MAP(NX_VALUE, __VA_ARGS__) }) / sizeof(nx_value) })
#define nx_in_values(c, array, count)                                                              \
    (&(const nx_expr){ .verb = NX_VERB_IN, .path = NX_PATH(c), .values = (array), .value_count = (count) })
#define nx_not_in_values(c, array, count)                                                          \
    (&(const nx_expr){ .verb = NX_VERB_NOT_IN, .path = NX_PATH(c), .values = (array), .value_count = (count) })
/* Compare two columns of the queried entity: nx_columns(NX_VERB_LT, Post_.created, Post_.changed). */
#define nx_columns(v, c, o) (&(const nx_expr){ .verb = (v), .path = NX_PATH(c), .other = (o) })
#define nx_and(...) (&(const nx_expr){ .verb = NX_VERB_AND, .parts = (const nx_expr *const[]){ __VA_ARGS__, NULL } })
#define nx_or(...) (&(const nx_expr){ .verb = NX_VERB_OR, .parts = (const nx_expr *const[]){ __VA_ARGS__, NULL } })
#define nx_not(e) (&(const nx_expr){ .verb = NX_VERB_NOT, .parts = (const nx_expr *const[]){ (e), NULL } })

/* ------------------------------------------------------------------------------- builders */

/*
 * nx_select(where, Post): `where` is a database, a session, or NULL: the first database of this thread, in
 * the order of mapping, that maps the entity. In a session, rows become known to it and pending changes
 * are flushed first.
 */
NX_API nx_query *nx_select_db(nx_db *db, const nx_entity *entity);
NX_API nx_query *nx_select_session(nx_session *s, const nx_entity *entity);
NX_API nx_query *nx_select_any(void *null, const nx_entity *entity);
#define nx_select_entity(where, entity)                                                            \
    _Generic((where), nx_db *: nx_select_db, nx_session *: nx_select_session, default: nx_select_any)((where), (entity))
#define nx_select(where, E) nx_select_entity(where, &E##_entity)

/* Constant from now on; returns its argument. */
NX_API nx_query *nx_query_keep(nx_query *q);
/* Free a kept query, or one that no terminal took. NULL is allowed. */
NX_API void nx_query_free(nx_query *q);

/* AND a condition to what is there. */
NX_API nx_query *nx_filter(nx_query *q, const nx_expr *condition);
/*
 * The same as text: "title = ? and (author.name like ? or score in (?, ?)) and not draft = ?".
 * Operators = != <> < <= > >= like ilike, in (...), between ? and ?, is [not] null, and, or, not, parentheses;
 * names are fields, references are followed by dots; values are bound by `?`, or literal numbers,
 * 'texts', true, false, null (bound too). A mistake is NX_ESYNTAX or NX_ENOFIELD with its position.
 */
NX_API nx_query *nx_where(nx_query *q, const char *text, const nx_value *values, size_t count);

typedef struct nx_order { nx_path path; bool descending; } nx_order;
#define nx_asc(c) ((nx_order){ .path = NX_PATH(c) })
#define nx_desc(c) ((nx_order){ .path = NX_PATH(c), .descending = true })
/* nx_order_by(q, nx_asc(Post_.title), nx_desc(Post_.id)): replaces an earlier order. */
#define nx_order_by(q, ...)                                                                        \
    nx_order_by_terms((q), (const nx_order[]){ __VA_ARGS__ }, sizeof((const nx_order[]){ __VA_ARGS__ }) / sizeof(nx_order))
NX_API nx_query *nx_order_by_terms(nx_query *q, const nx_order *terms, size_t count);
NX_API nx_query *nx_order_random(nx_query *q);

NX_API nx_query *nx_limit(nx_query *q, uint64_t rows);
NX_API nx_query *nx_offset(nx_query *q, uint64_t rows);
/* 1-based; 0 for either is NX_EINVAL. */
NX_API nx_query *nx_page(nx_query *q, uint64_t page, uint64_t rows_per_page);
NX_API nx_query *nx_distinct(nx_query *q, bool distinct);
/*
 * Keyset pagination: the rows after that one in the query's order (the primary key is appended to the
 * order as a tie-break). `values`: one per order term, then one per key column; or take them from a row.
 */
NX_API nx_query *nx_after(nx_query *q, const nx_value *values, size_t count);
NX_API nx_query *nx_after_row(nx_query *q, const void *row);
/* Lock the rows until the session ends (a no-op lock on SQLite: it takes the write lock). Sessions only. */
NX_API nx_query *nx_for_update(nx_query *q);
/* The same; rows that somebody else has locked are not waited for. Both flags: NX_EINVAL. No effect on SQLite. */
enum {
    NX_LOCK_NOWAIT = 1,     /* they are an error: NX_ELOCKED */
    NX_LOCK_SKIP_LOCKED = 2 /* they are left out */
};
NX_API nx_query *nx_for_update_with(nx_query *q, unsigned flags);
/* Load this lazy field too. */
NX_API nx_query *nx_with_lazy(nx_query *q, nx_column column);
/* Rows outside a session keep no copy for change tracking: nx_save on them writes all columns. */
NX_API nx_query *nx_untracked(nx_query *q);
NX_API nx_query *nx_query_deadline(nx_query *q, uint32_t deadline_ms);

/*
 * The SQL of a fetch, zero-terminated, valid until the query is used up or freed; NULL when the query is wrong
 * (nx_query_error).
 */
NX_API const char *nx_sql(nx_query *q);
NX_API const nx_error *nx_query_error(const nx_query *q);

/* ------------------------------------------------------------------------------ terminals */

NX_API nx_op nx_fetch_all(nx_query *q, void *tag);
/* The first row, or none: count 0 and rows NULL. */
NX_API nx_op nx_fetch_one(nx_query *q, void *tag);
/* At most one row may match: more is NX_EMULTIPLE; none is count 0 (nx_fetch_required: NX_ENOTFOUND). */
NX_API nx_op nx_fetch_only(nx_query *q, void *tag);
NX_API nx_op nx_fetch_required(nx_query *q, void *tag);
NX_API nx_op nx_count(nx_query *q, void *tag);  /* ignores order, limit, offset */
NX_API nx_op nx_exists(nx_query *q, void *tag); /* count is 0 or 1 */
/* Over a column; the completion's value, NULL over no rows. */
NX_API nx_op nx_sum(nx_query *q, nx_column column, void *tag);
NX_API nx_op nx_avg(nx_query *q, nx_column column, void *tag);
NX_API nx_op nx_min(nx_query *q, nx_column column, void *tag);
NX_API nx_op nx_max(nx_query *q, nx_column column, void *tag);
/*
 * The values as one text, in the query's order, NULLs left out; limit and offset are ignored. Of texts, integers, decimals,
 * enumerations (labels), uuid and ulid; others are NX_ETYPE. separator NULL: ",". The completion's value, NULL over no values.
 */
NX_API nx_op nx_group_concat(nx_query *q, nx_column column, const char *separator, void *tag);

/* Set-based writes; count: affected rows. No checks or hooks run for each row; an order, limit or offset is NX_EINVAL. */
typedef struct nx_assignment { nx_column column; nx_value value; } nx_assignment;
#define nx_assign(c, x) ((nx_assignment){ (c), NX_VALUE(x) })
NX_API nx_op nx_delete_all(nx_query *q, void *tag);
NX_API nx_op nx_update_all_n(nx_query *q, const nx_assignment *assignments, size_t count, void *tag);
#define nx_update_all(q, tag, ...)                                                                 \
    nx_update_all_n((q), (const nx_assignment[]){ __VA_ARGS__ },                                   \
        sizeof((const nx_assignment[]){ __VA_ARGS__ }) / sizeof(nx_assignment), (tag))

/*
 * nx_get(where, Post, nx_eq(Post_.id, 7), tag): as nx_fetch_only. In a session a row whose primary key the
 * condition gives and that is known is returned without a statement. `where` as for nx_select.
 */
NX_API nx_op nx_get_query(nx_query *q, const nx_expr *condition, void *tag);
#define nx_get_entity(where, entity, condition, tag) nx_get_query(nx_select_entity(where, entity), (condition), (tag))
#define nx_get(where, E, condition, tag) nx_get_entity(where, &E##_entity, condition, tag)

/*
 * Stream: completions of up to batch_rows rows each, NX_MORE set on all but the last, which has no rows.
 * At most credit_bytes of rows that were not marked seen are held; then the source pauses and
 * nobody else waits for it. nx_op_cancel ends it early. In a session, too, rows are not kept by it.
 */
typedef struct nx_stream_options {
    uint32_t batch_rows;    /* default 1024 */
    uint64_t credit_bytes;  /* default 4 MiB; at least one batch is always let through */
} nx_stream_options;
NX_API nx_op nx_stream(nx_query *q, const nx_stream_options *options, void *tag);

/*
 * Entities from raw SQL: columns are matched by name, others ignored; fields without a column stay at zero, lazy
 * ones unloaded.
 */
NX_API nx_op nx_fetch_sql(nx_db *db, const nx_entity *entity, const char *sql, const nx_value *values, size_t count, void *tag);

#ifdef __cplusplus
}
#endif
#endif
