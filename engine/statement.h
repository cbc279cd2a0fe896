/*
 * statement - SQL texts of a database, interned by shape.
 *
 * A statement is rendered once; its id is what connections key their prepared statements by.
 * Lifetime: until the database is freed. Threads: made by the loop, constant afterwards: workers read them.
 */
#ifndef NXI_STATEMENT_H
#define NXI_STATEMENT_H

#include "engine/map.h"
#include "engine/row.h"
#include "nextorm/bulk.h"

/* Where a row-bound statement takes a parameter from. */
typedef struct nxi_param { const nxi_column *column; bool from_snapshot; } nxi_param;

/* What a row-bound statement does, for drivers that write many rows by other texts than its own. */
typedef enum nxi_write_verb { NXI_WRITE_VERB_INSERT, NXI_WRITE_VERB_UPDATE, NXI_WRITE_VERB_DELETE } nxi_write_verb;
typedef struct nxi_write_form {
    nxi_write_verb verb;
    nx_conflict rule;                          /* INSERT */
    bool use_version;                          /* UPDATE, DELETE: table->version is compared, as the row has it */
    bool keep_version;                         /* UPDATE: it is not counted up */
    const nxi_column *const *columns;          /* INSERT: inserted; UPDATE: set, without the version */
    size_t column_count;
    const nxi_column *const *compare;          /* UPDATE, DELETE: compared with the snapshot, NULL-safe */
    size_t compare_count;
    const nxi_column *const *conflict_key;     /* INSERT with a rule: never empty */
    size_t conflict_key_count;
    const nxi_column *const *conflict_update;  /* NX_CONFLICT_UPDATE: set from the refused row; empty: as IGNORE */
    size_t conflict_update_count;
} nxi_write_form;

typedef struct nxi_statement {
    uint32_t id;                     /* dense from 1; 0: not interned, prepared for one execution only */
    bool writes;
    bool typed;                      /* raw: parameters are of the types of their values, nobody has to be asked */
    bool upserts;                    /* INSERT that updates a row that is there */
    bool nowait;                     /* SELECT that locks its rows, or fails at once when others have done so */
    const char *sql;                 /* zero-terminated */
    size_t sql_size;
    size_t param_count;
    const nxi_param *params;         /* row-bound (INSERT, UPDATE, DELETE of rows); NULL: bound by values */
    const nxi_table *table;          /* of result rows, or of the rows written; NULL: raw */
    const nxi_column *const *results;/* result columns of entity rows, in the SQL's order */
    size_t result_count;
    bool of_intervals;               /* an aggregate over intervals, whose text would depend on a setting of the server */
    uint32_t lazy_missing;           /* of the rows it loads */
    const nxi_column *key_column;    /* INSERT: the database numbers this column; NULL: key is given */
    const nxi_write_form *write;     /* row-bound statements; else NULL */
    void *stats;                     /* of the engine */
} nxi_statement;

enum { NXI_RAW_TEXTS_MAX = 1024, NXI_RAW_TEXT_BYTES_MAX = 65536 /* longer ones are not interned */ };

typedef struct nxi_statements {
    nxi_arena arena;
    nxi_map map;
    uint32_t last_id;
    uint32_t raw_count;              /* raw texts among them */
    nxi_statement **list;            /* by id - 1 */
    size_t list_capacity;
    /* Makes statement->stats of every new statement; NULL: none. Returns NULL when there is no memory. */
    void *(*stats_new)(void *context, const nxi_statement *statement);
    void *stats_context;
} nxi_statements;

void nxi_statements_init(nxi_statements *statements, nxi_memory *memory);
void nxi_statements_fini(nxi_statements *statements);
/* NULL: that shape is not there yet. */
nxi_statement *nxi_statements_find(const nxi_statements *statements, const void *shape, size_t shape_size);
/* Copies shape, sql and the arrays that *prototype points to; sets id and stats. NULL: out of memory, nothing changed. */
nxi_statement *nxi_statements_add(nxi_statements *statements, const void *shape, size_t shape_size,
                                  const nxi_statement *prototype);

#endif
