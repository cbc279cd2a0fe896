/*
 * database - binding a set of entities to a server or a file.
 *
 * Functions that return nx_op queue an operation, see loop.h; `tag` comes back in the completion.
 */
#ifndef NEXTORM_DATABASE_H
#define NEXTORM_DATABASE_H

#include "nextorm/entity.h"
#include "nextorm/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nx_synchronous { NX_SYNCHRONOUS_NORMAL, NX_SYNCHRONOUS_FULL } nx_synchronous;

/* Strings are copied. Options that a provider does not have must be zero, else NX_EINVAL. */
typedef struct nx_bind_options {
    const char *path;          /* SQLite: a file, or ":memory:" */
    const char *dsn;           /* servers: URI or connection string */
    const char *host, *user, *password, *dbname;
    uint16_t port;
    uint16_t pool_min, pool_max;  /* servers: connections; default 0 and 1 */
    uint32_t pool_timeout_ms;     /* wait for a connection, or for SQLite's writer; default 30000 */
    uint32_t deadline_ms;         /* default deadline of every operation; 0: none */
    /* SQLite */
    /* reader workers; default one per processor but one, 1 to 4; ignored for ":memory:", where one worker does all */
    uint16_t readers;
    nx_synchronous synchronous;   /* default NORMAL: safe against a crash of the program, not against power loss */
    uint32_t group_commit_us;     /* how long the writer may wait for more sessions to share a commit; default 0 */
    bool read_only;               /* open the file for reading only */
    /* engine */
    uint32_t statements_max;      /* prepared statements kept per connection; default 256 */
    uint32_t in_flight_max;       /* requests in flight per connection; default 1024 */
} nx_bind_options;

enum { NX_CREATE_TABLES = 1 };

#define NX_ENTITY_POINTER_(E) &E##_entity
/* NX_ENTITIES(Post, Author): the entities of a database. */
#define NX_ENTITIES(...) ((const nx_entity *const[]){ NX_MAP(NX_ENTITY_POINTER_, __VA_ARGS__) NULL })

/*
 * A database of this loop, unbound. `entities` ends with NULL and may itself be NULL (none yet; see
 * nx_register). NULL: out of memory.
 */
NX_API nx_db *nx_db_new(nx_loop *loop, const nx_entity *const *entities);

/* Add an entity before nx_generate_mapping; again: no effect. NX_ESTATE after the mapping. */
NX_API NX_MUST_CHECK nx_status nx_register(nx_db *db, const nx_entity *entity);

/*
 * Close if needed and free: operations still in flight complete with NX_ECLOSED, sessions lose
 * their part in this database, rows that belong to it are invalid. NULL is allowed. It waits
 * for the workers to stop.
 */
NX_API void nx_db_free(nx_db *db);

/* Providers: "sqlite". An unknown one completes with NX_EPROVIDER and names the known ones. */
NX_API nx_op nx_bind(nx_db *db, const char *provider, const nx_bind_options *options, void *tag);
NX_API bool nx_is_bound(const nx_db *db);

/*
 * Compile the entities (NX_EMAPPING names the entity and field at fault); with NX_CREATE_TABLES
 * also create what does not exist yet: tables in foreign-key order, indexes, constraints.
 */
NX_API nx_op nx_generate_mapping(nx_db *db, unsigned flags, void *tag);

/* The CREATE statements of the mapping, zero-terminated; valid until the database is freed; NULL before the mapping. */
NX_API const char *nx_ddl(nx_db *db);

/* Create all tables (again), as NX_CREATE_TABLES. */
NX_API nx_op nx_create_tables(nx_db *db, void *tag);

enum {
    NX_DROP_IF_EXISTS = 1,
    NX_DROP_WITH_ALL_DATA = 2 /* without it a table that holds a row is refused with NX_ESTATE */
};
NX_API nx_op nx_drop_table(nx_db *db, const char *table, unsigned flags, void *tag);
NX_API nx_op nx_drop_all_tables(nx_db *db, unsigned flags, void *tag);

/* Close all connections. What is in flight completes first; later operations get NX_ECLOSED; nx_bind opens again. */
NX_API nx_op nx_close(nx_db *db, void *tag);

/*
 * A new row outside any session, initial values set; freed by nx_release_row or with the database. NULL: out of
 * memory, or not mapped.
 */
NX_API void *nx_make_row(nx_db *db, const nx_entity *entity);
#define nx_make(db, E) ((E *)nx_make_row((db), &E##_entity))
NX_API void nx_release_row(nx_db *db, void *row);

/*
 * Write one row: nx_save inserts a new one and updates the changed columns of a stored one, nx_insert always
 * inserts, nx_delete deletes. Keys are assigned on the row. In a session's row: on its transaction,
 * without commit; else each is a transaction of its own. The row must not change until the completion.
 */
NX_API nx_op nx_save(nx_db *db, void *row, void *tag);
NX_API nx_op nx_insert(nx_db *db, void *row, void *tag);
NX_API nx_op nx_delete(nx_db *db, void *row, void *tag);

/*
 * Raw SQL with `?` for parameters on every provider ("??" is a question mark). count: affected rows.
 * One statement; several are refused with NX_ESYNTAX. What the text does is not known, so both run where writes run. To
 * run inside a session: nx_session_execute. Waiting for the writer longer than pool_timeout_ms or the deadline is NX_EBUSY.
 */
NX_API nx_op nx_execute(nx_db *db, const char *sql, const nx_value *values, size_t count, void *tag);
NX_API nx_op nx_select_raw(nx_db *db, const char *sql, const nx_value *values, size_t count, void *tag);

/* Rows of a raw query: named, typed values. */
typedef struct nx_rows {
    size_t column_count;
    const char *const *names;
    size_t row_count;
    const nx_value *values; /* row_count x column_count, row after row */
} nx_rows;
static inline nx_value nx_rows_at(const nx_rows *rows, size_t row, size_t column)
{
    return rows->values[row * rows->column_count + column];
}

/* ------------------------------------------------------------------------------ seeing the SQL */

/* Every statement of this database, before it runs. text is valid during the call. No operation may be queued in it. */
typedef void (*nx_sql_callback)(void *context, const char *sql, const nx_value *values, size_t count);
/* Log to a callback; NULL switches off. Values are passed only when show_values is set. */
NX_API void nx_set_sql_debug(nx_db *db, nx_sql_callback callback, void *context, bool show_values);

/* Statements slower than that, after they ran, with the time in microseconds. */
typedef void (*nx_slow_callback)(void *context, const char *sql, uint64_t microseconds);
NX_API void nx_set_slow_query(nx_db *db, uint32_t threshold_us, nx_slow_callback callback, void *context);

/*
 * Collect SQL from now on (captures nest: the innermost gets it); end returns the list, valid until the next begin
 * or the database is freed.
 */
NX_API NX_MUST_CHECK nx_status nx_capture_begin(nx_db *db);
NX_API const char *const *nx_capture_end(nx_db *db, size_t *ret_count);

/* The SQL that was sent last; "" at first. Valid until the next operation is queued. */
NX_API const char *nx_last_sql(const nx_db *db);

#ifdef __cplusplus
}
#endif
#endif
