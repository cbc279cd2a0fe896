/*
 * session - a unit of work: the rows it knows, what changed in them, and one transaction per database.
 *
 * Rows of a session are plain structs; nx_new rows are inserted and loaded rows that were changed
 * are updated by the next flush. A session knows each row once (by root table and primary key). It
 * holds a connection of a database from its first write there to its end; reads before that run
 * outside a transaction unless the options ask for one. It may span any number of databases of its loop.
 *
 * Rows live until nx_session_free. While a flush, commit or end is in flight its rows must not change.
 * Operations of one session run in the order in which they were queued.
 */
#ifndef NEXTORM_SESSION_H
#define NEXTORM_SESSION_H

#include "nextorm/database.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an UPDATE or DELETE of a loaded row compares besides the key. */
typedef enum nx_optimistic {
    NX_OPTIMISTIC_DEFAULT, /* the version field if the entity has one, else nothing */
    NX_OPTIMISTIC_ALL,     /* every loaded column, and the version */
    NX_OPTIMISTIC_NONE
} nx_optimistic;

/* Of a session's transaction. SQLite has one: serializable. */
typedef enum nx_isolation {
    NX_ISOLATION_DEFAULT, /* the server's; with `serializable`: serializable; with `read_only`: one snapshot (repeatable read) */
    NX_ISOLATION_READ_COMMITTED,
    NX_ISOLATION_REPEATABLE_READ,
    NX_ISOLATION_SERIALIZABLE
} nx_isolation;

/* How a session finds the rows that the program has changed. */
typedef enum nx_changes {
    NX_CHANGES_COMPARED, /* each known row is compared with its baseline, at a flush and before a query that could see it */
    NX_CHANGES_TOUCHED   /* those given to nx_touch or nx_row_set, and no others: rows that did not change cost nothing */
} nx_changes;

typedef struct nx_session_options {
    int retry;              /* nx_run_in_session: further attempts after a retryable failure */
    bool serializable;      /* reads too run in one transaction from the first statement on */
    bool immediate;         /* take the write lock with the first statement */
    bool read_only;         /* one snapshot for all reads; a write is NX_EREADONLY */
    bool deferrable;        /* with serializable and read_only: waits for a snapshot that cannot fail (PostgreSQL) */
    nx_isolation isolation; /* reads too run in one transaction when it is set */
    bool no_auto_flush;     /* do not flush before queries of this session */
    bool join;              /* nx_session_nested: no savepoint: its rollback is the outer one's */
    nx_optimistic optimistic;
    nx_changes changes;     /* the outermost session's */
    uint32_t deadline_ms;   /* default deadline of its operations; 0: the database's */
} nx_session_options;

/* options may be NULL. NULL: out of memory. */
NX_API nx_session *nx_session_begin(nx_loop *loop, const nx_session_options *options);

/*
 * A session inside a session: a savepoint of the outer one. It shares rows and identity map; its end
 * releases the savepoint, its rollback, or freeing it without an end, undoes what was done since: rows that it made are
 * forgotten, what was pending before is pending again as it was. The outer one is not usable until it is freed or ended.
 * Isolation (serializable, immediate, read_only) is the outermost session's.
 * NULL: out of memory, `outer` is ended or has operations queued or in flight, or 65 000 nested sessions were made in
 * one transaction; nx_session_error(outer) says which. Freeing the outermost session frees its nested ones.
 */
NX_API nx_session *nx_session_nested(nx_session *outer, const nx_session_options *options);

/*
 * Flush and commit, then the session is ended: its rows stay readable (texts that the application set last are still its
 * own memory), nothing more can be queued. An end that fails rolls everything back, and the session is ended too.
 * Several databases: all are flushed first (one failure rolls back all), then the primary, the
 * first one used, is committed, then the others: its failure is NX_ECOMMIT and rolls back the rest,
 * a later one's is NX_EPARTIAL. The error's outcome says what happened.
 */
NX_API nx_op nx_session_end(nx_session *s, void *tag);

/*
 * Free the session and its rows; one that has not ended is rolled back, and the ROLLBACK of an open transaction leaves with
 * this call (the loop turns once, without waiting). NULL is allowed.
 */
NX_API void nx_session_free(nx_session *s);

NX_API nx_op nx_flush(nx_session *s, void *tag);    /* write, do not commit; count: rows written */
NX_API nx_op nx_commit(nx_session *s, void *tag);   /* flush + commit; the session goes on, its rows stay known */
/*
 * Undo. Rows written since the transaction began are new again and pending (their automatic keys are cleared),
 * loaded ones are read again when next loaded.
 */
NX_API nx_op nx_rollback(nx_session *s, void *tag);

NX_API bool nx_session_is_ended(const nx_session *s);
/* Of the last transaction that was ended: of all databases together. */
NX_API nx_outcome nx_session_outcome(const nx_session *s);
/* Of one database. NX_OUTCOME_NONE: the session had no transaction there, or it is open. `s` may be a nested session. */
NX_API nx_outcome nx_session_outcome_of(const nx_session *s, const nx_db *db);

/*
 * A row queued for INSERT, initial values set. NULL: out of memory, ended, or the entity is mapped by no database
 * of the loop (nx_session_error says).
 */
NX_API void *nx_new_row(nx_session *s, const nx_entity *entity);
#define nx_new(s, E) ((E *)nx_new_row((s), &E##_entity))

/* Why the last call on this session that returned NULL did so. */
NX_API const nx_error *nx_session_error(const nx_session *s);

/*
 * Say that a row of a session was changed, or will be before the next flush. Needed with NX_CHANGES_TOUCHED only, where changes
 * of other rows are not written; else, and for other rows, no effect.
 */
NX_API void nx_touch(void *row);

/* Queue a row of this session for DELETE by the next flush. A new row is just forgotten. */
NX_API NX_MUST_CHECK nx_status nx_session_delete(nx_session *s, void *row);

/*
 * Make a row of the database (nx_make, a query outside sessions) one of this session: it is copied; the copy is
 * returned. NULL as nx_new_row, or when the key is already known.
 */
NX_API void *nx_session_add(nx_session *s, void *row);

/* The row of that key if the session knows it; never touches the database. `values`: one per key column. */
NX_API void *nx_session_find(nx_session *s, const nx_entity *entity, const nx_value *values, size_t count);

/* Read all columns of a row again; changes not flushed are lost. NX_ENOTFOUND: it is gone. */
NX_API nx_op nx_refresh(nx_session *s, void *row, void *tag);

/* Load a lazy field of a row. Outside sessions its memory is that of this completion: valid until it is seen. */
NX_API nx_op nx_load_lazy(void *row, nx_column column, void *tag);

/*
 * Raw SQL inside the session's transaction on that database, which begins with it: what the text does is not known. Pending
 * changes are flushed first (unless no_auto_flush).
 */
NX_API nx_op nx_session_execute(nx_session *s, nx_db *db, const char *sql, const nx_value *values, size_t count, void *tag);
NX_API nx_op nx_session_select_raw(nx_session *s, nx_db *db, const char *sql, const nx_value *values, size_t count, void *tag);

/*
 * nx_with_session(s, loop) { ... }: begins a session in s, and flushes and commits it, waiting, when the
 * block is left at its end. `break` leaves without: what was done is rolled back by
 * nx_session_free(s), which is always the caller's, after the block. nx_session_error(s) tells how it ended.
 */
#define nx_with_session(s, loop)                                                                   \
    for (int nx_once_##s = ((s) = nx_session_begin((loop), NULL)) != NULL; nx_once_##s;            \
         nx_once_##s = 0, (void)nx_session_finish(s))
/* nx_session_end and nx_await in one; the error stays readable by nx_session_error. */
NX_API nx_status nx_session_finish(nx_session *s);

/*
 * Run a function inside a session: begin, function, end (or rollback when it does not return NX_OK), free.
 * After a retryable failure (serialization, deadlock, busy, locked, a lost optimistic check) all of it runs again up to
 * options->retry
 * times, after a pause with jitter (10 ms doubling, at most 2 s). The function may wait on the loop.
 * Returns the last status; ret_error may be NULL.
 */
typedef nx_status (*nx_session_function)(nx_session *s, void *context);
NX_API NX_MUST_CHECK nx_status nx_run_in_session(nx_loop *loop, const nx_session_options *options,
                                                 nx_session_function function, void *context, nx_error *ret_error);

#ifdef __cplusplus
}
#endif
#endif
