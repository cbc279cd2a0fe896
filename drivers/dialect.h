/*
 * dialect - how a provider's SQL differs; constant tables and small functions, no state.
 */
#ifndef NXI_DIALECT_H
#define NXI_DIALECT_H

#include "engine/buf.h"
#include "engine/row.h"

/* Appends the next parameter's placeholder. */
typedef void nxi_placeholder(void *context, nxi_buf *sql);

typedef enum nxi_aggregate { NXI_AGGREGATE_SUM, NXI_AGGREGATE_AVG, NXI_AGGREGATE_MIN, NXI_AGGREGATE_MAX } nxi_aggregate;

/*
 * How the catalogue is asked about the mapped tables (engine/catalog.h), all at once. The parameter of `query` is a JSON array
 * of their names, where they have indexes from 0. Each row of the answer is a fact: kind, table (index), name, detail, extra
 * (texts or NULL), number. There are none of a table that is not there. Rows of one table, kind and name are next to each
 * other, a unique's in the order of its columns. Kinds:
 *   table    detail "table", "view", or "foreign" (the rows are elsewhere, and so are their triggers and types)
 *   column   name; detail: type; number: its modifier. What `rounds` is asked about
 *   made     name: a column that the database computes
 *   check    detail: a column, or NULL: all, that is not free to be NULL; number 1: by a CHECK, whose name it is
 *   unique   name; detail: a column; extra: the schema if it is DEFERRABLE
 *   touch    name: "i", "u", "d"; number: index of a table whose rows that verb touches, -1: of all
 *   trigger  the same; extra: what is done there, "i", "u", "d"; detail: CREATE TRIGGER, for `fires`: then it touches all
 *   create   detail: CREATE TABLE, for `checks` and `replaces`
 */
typedef struct nxi_catalog_source {
    const char *before;              /* a statement in the same transaction, which is one of their own; NULL: none */
    const char *query;
    bool ignores_case;               /* of names */
    /* Whether a column of that type may store something else than a valid value of the mapped column. */
    bool (*rounds)(const nxi_column *column, const char *type, int64_t modifier);
    /* Whether that trigger is for INSERT 'i', UPDATE 'u' or DELETE 'd'. From here on: NULL where there are no such facts. */
    bool (*fires)(const char *create_trigger, char verb);
    /* Whether a CHECK names the column. */
    bool (*checks)(const char *create_table, const char *column);
    /* Whether an INSERT or UPDATE of that table may delete rows by ON CONFLICT REPLACE. */
    bool (*replaces)(const char *create_table);
} nxi_catalog_source;

typedef struct nxi_dialect {
    const char *name;
    char quote;                      /* around identifiers, doubled inside */
    bool numbered_parameters;        /* $1 instead of ? */
    size_t identifier_bytes_max;
    size_t parameters_max;           /* of one statement */
    const char *null_safe_equal;     /* operator: "IS", "IS NOT DISTINCT FROM", "<=>" */
    const char *random;              /* ORDER BY this */
    const char *overflow;            /* an expression that fails, where integers have no bounds of their own; NULL: they have */
    const char *for_update;          /* clause, or NULL: nothing is appended */
    bool for_update_of;              /* with joins: OF the main table; the optional side of a join cannot be locked */
    const char *nowait, *skip_locked;/* what follows the clause */
    const char *limit_none;          /* text after LIMIT when there is an offset but no limit; NULL: OFFSET may stand alone */
    bool on_conflict;                /* ON CONFLICT (...) DO ...; false: ON DUPLICATE KEY UPDATE / INSERT IGNORE */
    bool nulls_first;                /* ascending order puts NULLs first by itself; false: ORDER BY says it */
    bool nulls_clause;               /* and says it by NULLS FIRST and NULLS LAST, in indexes too */
    bool texts_of_any_type;          /* a text of a result may be a value of any type, whose text form it then is */
    bool drops_together;             /* DROP TABLE takes a list, whose tables may refer to each other */

    /* Type of a column in CREATE TABLE, e.g. "VARCHAR(200)". */
    void (*column_type)(const nxi_column *column, nxi_buf *sql);
    /* The whole definition after the name of an automatic key, e.g. "INTEGER PRIMARY KEY". */
    void (*auto_key)(const nxi_column *column, nxi_buf *sql);
    /* Table-level CHECKs that stand in for a type ("CHECK (json_valid(x))"), or nothing. `quoted` is the quoted column name. */
    void (*column_check)(const nxi_column *column, const char *quoted, nxi_buf *sql);
    /*
     * A statement that adds a constraint to a table unless it is there; `definition` is "CONSTRAINT .. FOREIGN KEY ..".
     * NULL: constraints can only be made in CREATE TABLE, where a foreign key may name a table that comes later.
     */
    void (*add_constraint)(const char *table, const char *name, const char *definition, nxi_buf *sql);
    /*
     * A statement after which nobody else writes into the (quoted) table until the transaction ends. NULL: a transaction that
     * writes keeps all others from it anyway.
     */
    void (*lock_table)(const char *quoted, nxi_buf *sql);
    /* Run before CREATE statements, in their transaction: others wait for its end. NULL: not needed. */
    const char *schema_lock;
    /*
     * A raw query (`?` is the name of a table) for its columns in their order: name, declared type, 1 if it can be NULL, number
     * in the primary key from 1 or 0, 1 if the database numbers it. No rows: there is no such table.
     */
    const char *table_columns;
    /*
     * The same for what is unique in it: name and column, one row for each column, ordered by name. A column that is an
     * expression is NULL; what holds for some rows only is left out, and may be SQLite's INTEGER PRIMARY KEY.
     */
    const char *table_uniques;
    /* NULL: the catalogue is not asked; what the mapping says is all that is known. */
    const nxi_catalog_source *catalog;
    /* What follows the closing parenthesis of CREATE TABLE, e.g. " ENGINE=InnoDB"; may be NULL. */
    const char *table_suffix;
    /* What follows a column that is compared or sorted, so that it goes by value: " COLLATE x", or "". */
    const char *(*collation)(nx_type type);
    /*
     * `lhs IN (...)` for any number of values: in_list tells the number of parameters for `count` values (padded, so
     * that few shapes arise, or 1 for an array), in_render writes the text with that many placeholders by calling
     * `placeholder`, and in_values makes the parameters in the arena (NULL: out of memory or not possible for the type).
     */
    size_t (*in_list)(nx_type type, size_t count);
    void (*in_render)(const nxi_column *column, const char *lhs, bool negated, size_t parameters, nxi_buf *sql,
                      nxi_placeholder *placeholder, void *context);
    const nx_value *(*in_values)(nx_type type, const nx_value *values, size_t count, size_t parameters, nxi_arena *arena);
    /* "lhs LIKE ?" in the four forms; pattern is already escaped with backslash where needed. */
    void (*like)(const char *lhs, bool ignore_case, nxi_buf *sql, nxi_placeholder *placeholder, void *context);
    /*
     * "SUM(operand)", with a result of one type on all providers: integers sum up to an integer, their average is a double.
     * NULL: that is how it is.
     */
    void (*aggregate)(nxi_aggregate function, nx_type type, const char *operand, nxi_buf *sql);
    /* The beginning of "GROUP_CONCAT(x, ?)". */
    const char *concat;
    /* What follows an operand that is to be text there, "::text"; NULL: nothing. */
    const char *as_text;
    /*
     * Rows that tell whether a transaction was committed (engine/token.h). NULL: not needed, no answer to a COMMIT is ever lost.
     * token_create: unless it is there. token_insert: a row of the id that is the parameter, the transaction's own.
     * token_fence: one scalar: true, a row of that id that says "not committed" is there, and was put there now or by this same
     * statement before; false, the transaction's own is there. It waits for a transaction that has put one and has not ended.
     * In both "%s" stands for what token_place, a query, gives as its one text: the table's schema with a dot. No row: no table.
     */
    const char *token_create, *token_place, *token_insert, *token_fence;
} nxi_dialect;

/* "name" with quotes, doubled inside. */
void nxi_quote(const nxi_dialect *dialect, const char *name, nxi_buf *sql);
/* The text as JSON, with quotes. */
void nxi_put_json(nx_text text, nxi_buf *json);
/* Not empty, no zero byte, valid UTF-8, within the length. */
bool nxi_identifier_is_valid(const nxi_dialect *dialect, const char *name);
/*
 * A name that was made, as it stands in the database: one that is too long is cut at a character and ends in "_" and eight
 * hexadecimal digits, always the same ones, of the whole. The new size; there is no zero byte at the end.
 */
size_t nxi_shorten_name(const nxi_dialect *dialect, char *name, size_t size);

#endif
