/*
 * session - a unit of work: the rows it knows, what changed in them, and one transaction per database.
 *
 * Rows of a session are plain structs; nx_new rows are inserted and loaded rows that were changed
 * are updated by the next flush. A session knows each row once (by root table and primary key). It
 * holds a connection of a database from its first write there to its end; reads before that run
 * outside a transaction unless the options ask for one. It may span any number of databases of its loop.
 *
 * Rows live until nx_session_free. While a flush, commit or end is in flight its rows must not change.
 * Operations of one session behave as if each had been awaited before the next one was queued, also several on one row;
 * reads may overlap, and nx_save, nx_insert, nx_delete of one kind and table leave together.
 *
 * The texts and bytes that a program assigns are its own memory, which the library never writes into: the row has copies when the
 * operation that wrote it has completed (but for nx_session_end).
 *
 * What is undone leaves values, pending work and baseline (what changes are found by) as if it had not been tried:
 *   a flush that fails, is cancelled or late: all values stay, all is pending, keys made on the way are taken back;
 *   a commit whose writes fail, or that is stopped before its COMMIT is sent: the same, the transaction is as it was before;
 *   a commit whose COMMIT fails or is stopped (outcome ROLLED_BACK): values stay, and what was written since the transaction
 *     began is pending again; SQL text and set-based writes are not, so where there were some, see NX_EABORTED below;
 *   a rollback, a nested one: see there.
 * NX_EABORTED: the transaction was lost (the connection, a server that ended it, writes that no flush repeats). Nothing of it
 *   stands, and all operations are refused but nx_rollback and nx_session_end (which then fails, and ends the session). It is
 *   the outermost session that has to be rolled back; nested ones end before.
 * Outcome UNKNOWN: the answer of a COMMIT was lost. Rows written in that transaction refuse writes (NX_ESTATE, the error's object
 *   says which) until they are read again: by nx_refresh, or, if they are not changed, by a query. NX_ENOTFOUND of nx_refresh:
 *   that write was not committed, or the row is gone; a new row is to be inserted again. A new row whose key the database makes
 *   has none, and cannot be read: look for it, and forget it by nx_session_delete.
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
    /* each known row is compared with its baseline: all at a flush, those of the tables that it reads before a query */
    NX_CHANGES_COMPARED,
    NX_CHANGES_TOUCHED /* those given to nx_touch or nx_row_set, and no others: rows that did not change cost nothing */
} nx_changes;

typedef struct nx_session_options {
    int retry;              /* nx_run_in_session: further attempts after a retryable failure */
    bool serializable;      /* reads too run in one transaction from the first statement on */
    bool immediate;         /* take the write lock with the first statement */
    bool read_only;         /* one snapshot for all reads; a write is NX_EREADONLY */
    bool deferrable;        /* with serializable and read_only: waits for a snapshot that cannot fail (PostgreSQL) */
    nx_isolation isolation; /* reads too run in one transaction when it is set */
    bool no_auto_flush;     /* do not flush before queries of this session, which else do if they could see what is pending */
    bool join;              /* nx_session_nested: no savepoint: its rollback is the outer one's */
    nx_optimistic optimistic;
    nx_changes changes;     /* the outermost session's */
    uint32_t deadline_ms;   /* default deadline of its operations; 0: the database's */
} nx_session_options;

/* options may be NULL. NULL: out of memory. */
NX_API nx_session *nx_session_begin(nx_loop *loop, const nx_session_options *options);

/*
 * A session inside a session: a savepoint of the outer one. It shares rows and identity map. Its end releases the savepoint.
 * Its rollback, an end that fails, or freeing it without an end undoes what was done since it began: values, baselines and
 * pending work are as they were then; rows that were made in it are forgotten, and must not be used any more. To begin one takes
 * a look at all rows that the session knows, and keeps what is pending.
 * With `join` there is no savepoint: its rollback is that of the session around it (the innermost that is not joined), and one
 * that has written and is freed without an end leaves that one NX_EABORTED until it is rolled back.
 * The outer session is not usable (NX_ESTATE) until it is freed or ended. Levels and numbers of nested sessions have no limit.
 * Isolation (serializable, immediate, read_only) and `changes` are the outermost session's.
 * NULL: out of memory, or `outer` is ended, has a nested session in use, or operations queued or in flight;
 * nx_session_error(outer) says which.
 * Sessions may be freed in any order, with operations in flight too: those that wait end with NX_ECLOSED. Freeing a session
 * frees the nested sessions in use within it; freeing the outermost one frees all, ended ones too, and their handles are void. A
 * nested session that is freed under its operations is undone when the last of them has ended: the outer session's operations
 * wait for that, and its rows must not change before.
 */
NX_API nx_session *nx_session_nested(nx_session *outer, const nx_session_options *options);

/*
 * Flush and commit, then the session is ended: its rows stay readable (texts that the application set last are still its
 * own memory), nothing more can be queued. An end that fails rolls everything back, and the session is ended too; one that was
 * cancelled or late before its turn came has not ended it. Of a nested session: flush, and keep what was done for the outer one.
 * Several databases: all are flushed first (one failure undoes all), then the primary, the first one used, is committed, then
 * the others. The primary's failure is NX_ECOMMIT (or, by its own name, NX_EFOREIGNKEY, NX_ECANCELED, NX_EDEADLINE, NX_ELOST)
 * and rolls back the rest; where its answer was lost the outcome is UNKNOWN, of the primary alone. A later one's is NX_EPARTIAL:
 * the others are committed as far as they can be. It is never retryable, the outcome is NX_OUTCOME_PARTIAL, the message and
 * nx_session_outcome_of say which database has what. Work of a database that was rolled back is pending again (nx_commit: mend,
 * and commit once more); where the outcome is unknown see above.
 */
NX_API nx_op nx_session_end(nx_session *s, void *tag);

/*
 * Free the session and its rows; one that has not ended is rolled back, and the ROLLBACK of an open transaction leaves with
 * this call (the loop turns once, without waiting). NULL is allowed.
 */
NX_API void nx_session_free(nx_session *s);

NX_API nx_op nx_flush(nx_session *s, void *tag);    /* write, do not commit; count: rows written */
/* Flush + commit; the session goes on, its rows stay known. Failures: as nx_session_end. A nested session: NX_ESTATE. */
NX_API nx_op nx_commit(nx_session *s, void *tag);
/*
 * Undo. Of the outermost session: loaded rows have the last committed or read values, changes and deletions that were pending
 * are dropped, and they are expired: the next query that meets them reads them, nx_get asks the database. (What is changed before
 * that is written by the next flush.) Rows that were inserted since the transaction began, and those that were not inserted yet,
 * are new and pending with the values that they have; keys made by the database or the library are cleared.
 * Of a nested session: all is as at its begin, see nx_session_nested; it goes on.
 * Once its turn has come it is not stopped by a cancel or deadline.
 */
NX_API nx_op nx_rollback(nx_session *s, void *tag);

NX_API bool nx_session_is_ended(const nx_session *s);
/*
 * What the last commit, end or rollback of this session came to, all databases together: also PARTIAL, and UNKNOWN. NONE: there
 * was none, or it was the end of a nested session. A failure that left the transaction open does not count.
 */
NX_API nx_outcome nx_session_outcome(const nx_session *s);
/*
 * What became of the session's last transaction on one database: COMMITTED, ROLLED_BACK or UNKNOWN. Ask after the commit or end
 * that it is about. NX_OUTCOME_NONE: the session had no transaction there, or it is open. `s` may be a nested session.
 */
NX_API nx_outcome nx_session_outcome_of(const nx_session *s, const nx_db *db);

/*
 * A row queued for INSERT, initial values set. NULL: out of memory, ended, or the entity is mapped by no database
 * of the loop (nx_session_error says).
 */
NX_API void *nx_new_row(nx_session *s, const nx_entity *entity);
#define nx_new(s, E) ((E *)nx_new_row((s), &E##_entity))

/* Why the last call on this session that returned NULL did so, or its last flush, commit, end or write of a row failed. */
NX_API const nx_error *nx_session_error(const nx_session *s);

/*
 * Say that a row of a session was changed, or will be before the next flush; it counts until a flush or rollback finds the row
 * unchanged. Needed with NX_CHANGES_TOUCHED only, for loaded rows: changes of others are not written, and not seen by
 * queries either. New rows and deletions are known without it. Else, and for rows of no session, no effect.
 */
NX_API void nx_touch(void *row);

/*
 * Queue a row of this session for DELETE by the next flush. A new row is just forgotten. A deletion that the database refuses
 * fails each flush until it is possible, or is taken back by nx_refresh or a rollback. (A refused nx_delete leaves nothing.)
 * NX_ESTATE: the session is ended, a nested one is in use, or was freed and has operations in flight; NX_EINVAL: not its row.
 */
NX_API NX_MUST_CHECK nx_status nx_session_delete(nx_session *s, void *row);

/*
 * Make a row of the database (nx_make, a query outside sessions) one of this session: it is copied; the copy is
 * returned. NULL as nx_new_row, or when the key is already known.
 */
NX_API void *nx_session_add(nx_session *s, void *row);

/* The row of that key if the session knows it; never touches the database. `values`: one per key column. */
NX_API void *nx_session_find(nx_session *s, const nx_entity *entity, const nx_value *values, size_t count);

/*
 * Read all columns of a row again; changes and a deletion that were not flushed are lost. NX_ENOTFOUND: it is gone; NX_ESTATE: it
 * is not stored.
 */
NX_API nx_op nx_refresh(nx_session *s, void *row, void *tag);

/* Load a lazy field of a row. Outside sessions its memory is that of this completion: valid until it is seen. */
NX_API nx_op nx_load_lazy(void *row, nx_column column, void *tag);

/*
 * Raw SQL inside the session's transaction on that database, which begins with it: what the text does is not known. Pending
 * changes are flushed first (unless no_auto_flush); all known rows of the database are read again when next asked for.
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
 * After a retryable failure (serialization, deadlock, busy, locked, a lost optimistic check, a connection lost before anything
 * was committed) all of it runs again up to options->retry times, after a pause with jitter (10 ms doubling, at most 2 s); never
 * after NX_EPARTIAL or an unknown outcome. What the function itself has committed stays. The function may wait on the loop.
 * Returns the last status; ret_error may be NULL.
 */
typedef nx_status (*nx_session_function)(nx_session *s, void *context);
NX_API NX_MUST_CHECK nx_status nx_run_in_session(nx_loop *loop, const nx_session_options *options,
                                                 nx_session_function function, void *context, nx_error *ret_error);

#ifdef __cplusplus
}
#endif
#endif
