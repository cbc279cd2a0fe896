/*
 * plan - which columns the load writes: their names, types and keys, and the entity made of them.
 */
#ifndef NEXTORM_CLI_PLAN_H
#define NEXTORM_CLI_PLAN_H

#include "api/cli/convert.h"
#include "api/cli/infer.h"
#include "api/cli/sample.h"
#include "api/cli/target.h"

typedef struct plan_column {
    char *name;
    nx_type type;   /* NX_TYPE_null: not decided yet */
    const char *sql_type;  /* of the existing table's column on a server, which lives as long as the target; else NULL */
    bool empty_is_null;    /* a text for us, but not for the server */
    bool in_key;    /* named by --key */
    bool in_entity_key;
    guess guess;
    scratch scratch;
} plan_column;

typedef struct plan {
    plan_column *columns; /* of the input, in its order */
    size_t count, capacity;
    bool by_name;         /* fields have names (NDJSON) */
    bool arguments_wrong; /* why plan_make failed: the arguments do not fit the input */
    uint64_t record_bytes; /* of a record of the sample, on average */
    char *automatic_key;  /* column that the database numbers, or NULL */
    nx_entity *entity;
    nx_column *handles;   /* of the columns */
    nx_column *key;       /* columns by which a row is found again; none: the primary key */
    size_t key_count;
    nx_column *update;    /* the others */
    size_t update_count;
} plan;

/* False: a message was printed. plan_free is due in any case, after the database of the entity is freed. */
bool plan_make(plan *self, const ingest_options *options, const sample *examples, const target *into);
void plan_free(plan *self);

/* The place of a name among the columns, plan.count when there is none. `expected` is tried first. */
size_t plan_find(const plan *self, nx_text name, size_t expected);

/* The names of --columns with their types, which stay NX_TYPE_null where not given. False: a message was printed. */
bool plan_parse_columns(plan *self, const char *text);

#endif
