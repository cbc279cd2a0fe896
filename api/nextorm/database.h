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
/*
 * What stands between us and PostgreSQL. TRANSACTION: a pooler such as pgbouncer with pool_mode=transaction, where each
 * transaction may meet another server session: nothing is prepared by name, and nothing else is kept from one transaction to
 * the next.
 */
typedef enum nx_pooler { NX_POOLER_NONE, NX_POOLER_TRANSACTION } nx_pooler;

/*
 * Strings are copied. Options that a provider does not have must be zero, else NX_EINVAL.
 *
 * Connections to a server. Operations outside of sessions share them; a session's transaction has one for itself. What finds none
 * waits in order, and ends in one of these ways when none becomes free:
 *   NX_EQUEUEFULL    at once: waiters_max wait already
 *   NX_EPOOLTIMEOUT  after pool_timeout_ms, all connections being in use
 *   NX_EDEADLINE     its own deadline (deadline_ms, nx_op_deadline), waiting or running
 *   NX_ECONNECT ...  the server is not to be had: what the last attempt to connect ended with. While the server is down one
 *                    attempt after another is made (50 ms apart, doubling up to 5 s), and what waits fails after pool_timeout_ms;
 *                    it fails at once when trying again is of no use (NX_EAUTH, NX_EUNDEFINED: no such database, ...), and
 *                    when no connection has ever been made.
 * An operation that is cancelled or late does not cost its connection: the server is asked to stop, and the connection goes on
 * when it has answered (or is closed after 5 s). In a session it counts as one that failed: when that ends the transaction, all
 * that follows is NX_EABORTED until the session is rolled back.
 */
typedef struct nx_bind_options {
    const char *path;          /* SQLite: a file, or ":memory:" */
    /*
     * Servers. dsn is a URI or a connection string of the vendor's; a field beside it wins over what it says, and what neither
     * says is taken from the vendor's environment variables and files. PostgreSQL: anything that libpq takes, several hosts
     * too. Where the server is neither on this machine nor named with an sslmode, its certificate and name are verified
     * (sslmode=verify-full) against the system's authorities, or sslrootcert. connect_timeout is for each address; default
     * 10 s, or deadline_ms if that is less. Session parameters are set for the engine; `options` in the dsn come after them.
     */
    const char *dsn;
    const char *host, *user, *password, *dbname;
    uint16_t port;
    nx_pooler pooler;             /* PostgreSQL */
    uint16_t pool_min, pool_max;  /* servers: connections; default 0 and 1 */
    uint32_t pool_timeout_ms;     /* wait for a connection, or for SQLite's writer; default 30000 */
    uint32_t waiters_max;         /* servers: operations that wait for a connection; more: NX_EQUEUEFULL; default 4096 */
    /* servers: a connection that was not used for longer is asked whether it lives; default 30000; UINT32_MAX: never */
    uint32_t idle_check_ms;
    /* servers: a connection older than that (+-10 %) is replaced when it is idle; default 1800000; UINT32_MAX: never */
    uint32_t lifetime_ms;
    /*
     * Servers: each transaction that writes leaves a row in the table nextorm_token, in the same round trip; when the connection
     * is lost behind COMMIT, the row tells whether it was committed. The outcome is then COMMITTED or ROLLED_BACK, and UNKNOWN
     * only when nobody can be asked within the deadline, or 30 s. The table is made with the others (NX_CREATE_TABLES), its old
     * rows are the application's to delete. No effect on SQLite, where no outcome is unknown. See docs/guide/errors.md.
     */
    bool commit_tokens;
    uint32_t notifications_max;   /* servers: of one nx_listen, not seen yet; more end it with NX_ELIMIT; default 1024 */
    uint32_t deadline_ms;         /* default deadline of every operation; 0: none */
    /* SQLite */
    /* reader workers; default one per processor but one, 1 to 4; ignored for ":memory:", where one worker does all */
    uint16_t readers;
    nx_synchronous synchronous;   /* default NORMAL: safe against a crash of the program, not against power loss */
    uint32_t group_commit_us;     /* how long the writer may wait for more sessions to share a commit; default 0 */
    bool read_only;               /* open the file for reading only; PostgreSQL: transactions are read-only by default */
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

/* Why the last nx_register, nx_make or nx_bulk_begin on this database that failed did so; valid until the next one. */
NX_API const nx_error *nx_db_error(const nx_db *db);

/*
 * Close if needed and free: operations still in flight complete with NX_ECLOSED, sessions lose
 * their part in this database (one with a transaction there is NX_EABORTED until it is rolled back),
 * rows that belong to it are invalid. NULL is allowed. It waits for the workers to stop.
 */
NX_API void nx_db_free(nx_db *db);

/* Providers: "postgres", "sqlite". An unknown one completes with NX_EPROVIDER and names the known ones. */
NX_API nx_op nx_bind(nx_db *db, const char *provider, const nx_bind_options *options, void *tag);
NX_API bool nx_is_bound(const nx_db *db);

/*
 * Compile the entities (NX_EMAPPING names the entity and field at fault); with NX_CREATE_TABLES
 * also create what does not exist yet: tables in foreign-key order, indexes, constraints.
 * Then the catalogue is asked, in one round trip, what the database itself does with the tables:
 * values that it computes or rounds, triggers, cascades, what is unique. Where it refuses to
 * answer, what the entities say has to do. A lost connection, a deadline and a cancel are
 * reported; the database is mapped all the same. Called again, it asks again: do so after
 * others have changed the tables.
 */
NX_API nx_op nx_generate_mapping(nx_db *db, unsigned flags, void *tag);

/* The CREATE statements of the mapping, zero-terminated; valid until the database is freed; NULL before the mapping. */
NX_API const char *nx_ddl(nx_db *db);

/* Create all tables (again), as NX_CREATE_TABLES; the catalogue is asked again. */
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
 * memory, or not mapped (nx_db_error says).
 */
NX_API void *nx_make_row(nx_db *db, const nx_entity *entity);
#define nx_make(db, E) ((E *)nx_make_row((db), &E##_entity))
NX_API void nx_release_row(nx_db *db, void *row);

/*
 * Write one row: nx_save inserts a new one and updates the changed columns of a stored one, nx_insert always inserts,
 * nx_delete deletes. count: 1, or 0 when nothing had changed. Keys are assigned on the row. In a session's row: on its
 * transaction, without commit, and nx_insert of a stored row is NX_ESTATE; else each is a transaction of its own. Several on
 * one row that are queued without waiting behave as if each had been awaited. A failure leaves the row as it was; a refused
 * nx_delete is no pending work. The row must not change, and not be released, until the completion.
 * Afterwards a session's row, and one of nx_make, has copies of its texts. A row of a query outside sessions has not: it points
 * to what the program assigned, and its next nx_save writes all loaded columns.
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

/*
 * What the database says about a table, mapped or not, as the rows of a raw query; none when there is no such table.
 * Columns in their order: name, type as the database calls it (text), 1 if it can be NULL, its number in the primary key
 * from 1 (0: not in it), 1 if the database numbers it (i64). Uniques: name and column (text; NULL: an expression) of each
 * unique index or constraint that holds for all rows, one row for each column, ordered by name.
 */
NX_API nx_op nx_table_columns(nx_db *db, const char *table, void *tag);
NX_API nx_op nx_table_uniques(nx_db *db, const char *table, void *tag);

/*
 * Listen for notifications (PostgreSQL's LISTEN): one operation with many completions, all but the last with NX_MORE. The first
 * says that listening has begun (value: SQL's NULL); each further one is a notification (value: its payload, a text, maybe
 * empty). A program that wants to miss nothing reads the state after the first. The operation ends only
 *   by nx_op_cancel, nx_op_deadline (default deadlines do not apply), or closing the database,
 *   with NX_ELOST when the connection is lost: listen again, and look what has changed, as notifications may have been missed,
 *   with NX_ELIMIT when more than notifications_max completions of it have not been given back by nx_seen.
 * The channel is a name, case matters. All listeners of a database share one connection beside pool_max, open while there is one.
 */
NX_API nx_op nx_listen(nx_db *db, const char *channel, void *tag);
/*
 * Notify whoever listens, in a transaction of its own; in a session, "SELECT pg_notify(?, ?)" by nx_session_execute takes effect
 * with its commit. payload NULL: the empty one. Both are NX_EUNSUPPORTED on a provider without notifications.
 */
NX_API nx_op nx_notify(nx_db *db, const char *channel, const char *payload, void *tag);

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
