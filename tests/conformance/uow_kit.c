/*
 * uow_kit - see the header.
 */
#include "uow_kit.h"

#include <stdio.h>

NX_ENTITY_DEFINE(Item, UOW_ITEM)
NX_ENTITY_DEFINE(Stamped, UOW_STAMPED)
NX_ENTITY_DEFINE(Named, UOW_NAMED)
NX_ENTITY_DEFINE(Word, UOW_WORD)
NX_ENTITY_DEFINE(Cell, UOW_CELL)
NX_ENTITY_DEFINE(Root, UOW_ROOT)
NX_ENTITY_DEFINE(Leaf, UOW_LEAF)
NX_ENTITY_DEFINE(Friend, UOW_FRIEND)
NX_ENTITY_DEFINE(Anchor, UOW_ANCHOR)
NX_ENTITY_DEFINE(Sheet, UOW_SHEET)
NX_ENTITY_DEFINE(Made, UOW_MADE)

enum { TURN_MS = 5 };

nx_db *uow_map(nxt_fixture *f, const nx_entity *const *entities)
{
    f->db = nxt_database(f, 0, entities);
    return f->db;
}

nx_db *uow_beside(nxt_fixture *f, const nx_entity *const *entities)
{
    nx_db *db = nx_db_new(f->loop, entities);

    cr_assert_not_null(db);
    OK(f, nx_bind(db, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL));
    OK(f, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    return db;
}

void uow_do(nxt_fixture *f, nx_db *db, const char *sql)
{
    nx_completion c = nx_await(f->loop, nx_execute(db, sql, nx_no_args, NULL));

    cr_assert_eq(c.status, NX_OK, "%s: %s", sql, c.error == NULL ? "" : c.error->message);
}

int64_t uow_number(nxt_fixture *f, nx_db *db, const char *sql, const char *file, int line)
{
    nx_completion c = nxt_await(f, nx_select_raw(db, sql, nx_no_args, NULL), NX_OK, file, line);

    cr_assert_eq(c.raw->row_count, 1U, "%s:%d: %s", file, line, sql);
    nx_value value = nx_rows_at(c.raw, 0, 0);
    cr_assert(value.type == NX_TYPE_i64 || value.type == NX_TYPE_i32, "%s:%d: %s gives no number", file, line, sql);
    nxt_seen(f, &c);
    return value.i64;
}

void *uow_new(nx_session *s, const nx_entity *entity)
{
    void *row = nx_new_row(s, entity);

    cr_assert_not_null(row, "%s", nx_session_error(s)->message);
    return row;
}

void uow_turns(nxt_fixture *f, int turns)
{
    for (int i = 0; i < turns; i++)
        CHECK(nx_run_once(f->loop, TURN_MS));
}

nx_status uow_status(nxt_fixture *f, nx_op op)
{
    nx_completion c = nx_await(f->loop, op);

    nxt_seen(f, &c);
    return c.status;
}

void uow_take_the_rest(nxt_fixture *f)
{
    nx_for_each_completion(f->loop, c)
    {
        cr_expect_neq(c->status, NX_ESTALE);
    }
}

void uow_is_free(nxt_fixture *f, nx_db *db, const char *table)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "UPDATE %s SET n = n", table);
    uow_do(f, db, sql);
}

void uow_settled(nxt_fixture *f, nx_db *db, const char *table)
{
    char sql[128];

    if (strcmp(f->provider->name, "postgres") != 0) {
        uow_is_free(f, db, table);
        return;
    }
    snprintf(sql, sizeof(sql), "LOCK TABLE %s", table);
    nx_session *s = nxt_session(f, NULL);
    OK(f, nx_session_execute(s, db, sql, nx_no_args, NULL));
    nxt_end(f, s);
}
