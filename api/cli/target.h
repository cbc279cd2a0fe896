/*
 * target - the database that is loaded into, and what its table looks like.
 */
#ifndef NEXTORM_CLI_TARGET_H
#define NEXTORM_CLI_TARGET_H

#include "api/cli/options.h"

typedef struct target_column {
    char *name;
    nx_type type;
    char *sql_type;    /* on a server: as it calls the type; else NULL */
    unsigned key_part; /* 1-based place in the primary key; 0: not in it */
    bool is_numbered;  /* the database gives it a value */
} target_column;

typedef struct target {
    nx_loop *loop;
    nx_db *db;
    const char *provider;
    const char *path;
    const char *name; /* for messages: no word of a server's URL, which may hold a password */
    bool is_server;
    bool is_open;
    bool arguments_wrong; /* why target_open failed: --to cannot be read */
    target_column *columns; /* of the existing table */
    size_t column_count;    /* 0: there is no such table */
} target;

/*
 * Look at the table, if there is a database. One that is not there is not made yet: what turns out to be wrong before the load
 * leaves no empty file behind. False: a message was printed; target_close is due in any case.
 */
bool target_open(target *self, const ingest_options *options);
/* Map the entity; database and table are created when they do not exist. False: a message was printed. */
bool target_map(target *self, const nx_entity *entity);
/* Whether the existing table has at most one row for each value of these columns together. False: a message was printed. */
bool target_is_unique(const target *self, const char *table, const char *const *names, size_t count, bool *ret_unique);
void target_close(target *self);

/* NULL: none of that name. A name with other capitals counts only when there is none as it is written. */
const target_column *target_find(const target *self, nx_text name);
/*
 * The type that a declared column type stands for: in SQLite, NX_TYPE_null when there is none, and anything goes; in PostgreSQL
 * (format_type), NX_TYPE_null when it is none of ours, and its values are texts in a form of their own.
 */
nx_type target_sqlite_type(nx_text declared);
nx_type target_postgres_type(nx_text declared);

/* Wait for an operation. False: a message was printed that begins with `doing`. */
bool target_wait(target *self, nx_op op, const char *doing);

#endif
