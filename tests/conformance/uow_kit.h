/*
 * uow_kit - the entities of the cases about units of work, and what those cases share.
 *
 * A case about units of work maps entities of its own: it gets a loop without a database and begins with uow_map. Each entity
 * exists for the property that its comment names.
 */
#ifndef NXT_UOW_KIT_H
#define NXT_UOW_KIT_H

#include "uow_cases.h"

/* Nothing but a number and a text. */
#define UOW_ITEM(FIELD, E)                                                                                                       \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, n)                                                                                                        \
    FIELD(E, OPT, text, note)
NX_ENTITY_DECLARE(Item, UOW_ITEM)

/* A version. */
#define UOW_STAMPED(FIELD, E)                                                                                                    \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, n)                                                                                                        \
    FIELD(E, REQ, i32, version, .version = true)
NX_ENTITY_DECLARE(Stamped, UOW_STAMPED)

/* A key of the program, a unique text that is required, one that may be NULL. */
#define UOW_NAMED(FIELD, E)                                                                                                      \
    FIELD(E, PK, i64, id, .caller_assigned = true)                                                                               \
    FIELD(E, REQ, text, name, .unique = true)                                                                                    \
    FIELD(E, OPT, text, alias, .unique = true)                                                                                   \
    FIELD(E, REQ, i32, n)
NX_ENTITY_DECLARE(Named, UOW_NAMED)

/* A key of text. */
#define UOW_WORD(FIELD, E)                                                                                                       \
    FIELD(E, PK, text, code)                                                                                                     \
    FIELD(E, REQ, i32, n)                                                                                                        \
    FIELD(E, OPT, text, note)
NX_ENTITY_DECLARE(Word, UOW_WORD)

/* A key of two parts, one a text, and a tree of its rows. */
#define UOW_CELL(FIELD, E)                                                                                                       \
    FIELD(E, PK, i32, page)                                                                                                      \
    FIELD(E, PK, text, code)                                                                                                     \
    FIELD(E, REQ, i32, n)                                                                                                        \
    FIELD(E, SINGLE, Cell, above, .optional = true, .on_delete = NX_ON_DELETE_RESTRICT)
NX_ENTITY_DECLARE(Cell, UOW_CELL)

/* A row, what goes with it, what outlives it, and what keeps it. */
#define UOW_ROOT(FIELD, E)                                                                                                       \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, n)
#define UOW_LEAF(FIELD, E)                                                                                                       \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, n)                                                                                                        \
    FIELD(E, SINGLE, Root, root)
#define UOW_FRIEND(FIELD, E)                                                                                                     \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, n)                                                                                                        \
    FIELD(E, SINGLE, Root, root, .optional = true)
#define UOW_ANCHOR(FIELD, E)                                                                                                     \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Root, root, .on_delete = NX_ON_DELETE_RESTRICT)
NX_ENTITY_DECLARE(Root, UOW_ROOT)
NX_ENTITY_DECLARE(Leaf, UOW_LEAF)
NX_ENTITY_DECLARE(Friend, UOW_FRIEND)
NX_ENTITY_DECLARE(Anchor, UOW_ANCHOR)

/* A lazy text, a volatile number, a local member. */
#define UOW_SHEET(FIELD, E)                                                                                                      \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, n)                                                                                                        \
    FIELD(E, REQ, text, title)                                                                                                   \
    FIELD(E, OPT, text, body, .lazy = NX_ON)                                                                                     \
    FIELD(E, OPT, i32, views, .is_volatile = true)                                                                               \
    FIELD(E, LOCAL, int, mark)
NX_ENTITY_DECLARE(Sheet, UOW_SHEET)

/* Values that the database makes. */
#define UOW_MADE(FIELD, E)                                                                                                       \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, n)                                                                                                        \
    FIELD(E, OPT, i32, rank, .sql_default = "7")                                                                                 \
    FIELD(E, OPT, text, state, .sql_default = "'fresh'")
NX_ENTITY_DECLARE(Made, UOW_MADE)

/* f->db is an empty database with these entities; with the options of the provider. */
nx_db *uow_map(nxt_fixture *f, const nx_entity *const *entities);
/* One more database of the loop, an SQLite one in memory whatever the provider. */
nx_db *uow_beside(nxt_fixture *f, const nx_entity *const *entities);

/* Raw SQL outside sessions that must succeed; the number that it gives. */
void uow_do(nxt_fixture *f, nx_db *db, const char *sql);
int64_t uow_number(nxt_fixture *f, nx_db *db, const char *sql, const char *file, int line);
#define NUMBER(f, sql) uow_number((f), (f)->db, (sql), __FILE__, __LINE__)
/* What is stored, seen from outside of sessions; none of them may hold a transaction. */
#define STORES(f, sql, number)                                                                                                   \
    do {                                                                                                                         \
        int64_t stored_ = NUMBER((f), (sql));                                                                                    \
        cr_assert_eq(stored_, (number), "%s gives %lld", (sql), (long long)stored_);                                             \
    } while (0)

/* A new row of a session, and the row that nx_get gives: NULL when there is none. */
#define NEW(s, E) ((E *)uow_new((s), &E##_entity))
void *uow_new(nx_session *s, const nx_entity *entity);
#define GET(f, s, E, key) ((E *)nxt_one((f), nx_get((s), E, nx_eq(E##_.id, (key)), NULL), __FILE__, __LINE__))

/* So many turns of the loop: each hands over what is queued and takes what has been answered within some milliseconds. */
void uow_turns(nxt_fixture *f, int turns);
/* The status of an operation that may end in any way; its completion is given back. */
nx_status uow_status(nxt_fixture *f, nx_op op);
/* Completions of operations that a case does not await. */
void uow_take_the_rest(nxt_fixture *f);
/* Nobody holds a lock: a write from outside of sessions succeeds. */
void uow_is_free(nxt_fixture *f, nx_db *db, const char *table);
/* Waits until every transaction that has written the table has ended, those that were given up with it. */
void uow_settled(nxt_fixture *f, nx_db *db, const char *table);

#endif
