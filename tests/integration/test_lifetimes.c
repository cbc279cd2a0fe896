/*
 * lifetimes - things that end while others still hold them: databases under sessions, sessions under operations, memory under
 * rows; and what nested sessions leave behind. Each case failed once.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

static void make_memory(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    (void)f;
    (void)number;
    *ret_options = (nx_bind_options){ .path = ":memory:", .pool_timeout_ms = 5000 };
}

static void remove_nothing(nxt_fixture *f)
{
    (void)f;
}

static const nxt_provider memory = { .name = "sqlite", .make = make_memory, .remove = remove_nothing };

#define LIFETIME(name)                                                                             \
    static void name(nxt_fixture *f);                                                              \
    Test(lifetimes, name, .timeout = 60) { nxt_run(&memory, name); }                               \
    static void name(nxt_fixture *f)

static Author *new_author(nx_session *s, const char *name)
{
    Author *a = nx_new(s, Author);
    cr_assert_not_null(a);
    a->name = nx_str(name);
    return a;
}

static int64_t authors(nxt_fixture *f)
{
    return COUNT(f, nx_count(nx_select(f->db, Author), NULL));
}

/* Let go of whatever has completed. */
static void drain(nxt_fixture *f)
{
    size_t ready;
    while (nx_in_flight(f->loop) > 0 || nx_peek(f->loop) != NULL) {
        CHECK(nx_wait_many(f->loop, 1, 5000, &ready));
        nx_for_each_completion(f->loop, c)
            (void)c;
    }
}

LIFETIME(nested_end_commits_nothing)
{
    nx_session *s = nxt_session(f, NULL);
    Author *a = new_author(s, "outer");
    OK(f, nx_flush(s, NULL));
    nx_session *n = nx_session_nested(s, NULL);
    new_author(n, "inner");
    OK(f, nx_session_end(n, NULL));
    nx_session_free(n);
    OK(f, nx_rollback(s, NULL));
    cr_expect_eq(a->id, 0, "new again");
    OK(f, nx_session_end(s, NULL));
    nx_session_free(s);
    cr_expect_eq(authors(f), 2, "both were pending again");
}

LIFETIME(nested_end_leaves_other_databases_alone)
{
    static const nx_entity *const others[] = { &Slot_entity, NULL };
    static const nx_entity *const firsts[] = { &Author_entity, NULL };
    nx_bind_options options = { 0 };
    nx_loop *loop;
    CHECK(nx_loop_open(NULL, &loop, NULL));
    nx_db *db[2] = { nx_db_new(loop, firsts), nx_db_new(loop, others) };
    for (int i = 0; i < 2; i++) {
        make_memory(f, i, &options);
        cr_assert_eq(nx_await(loop, nx_bind(db[i], "sqlite", &options, NULL)).status, NX_OK);
        cr_assert_eq(nx_await(loop, nx_generate_mapping(db[i], NX_CREATE_TABLES, NULL)).status, NX_OK);
    }
    nx_session *s = nx_session_begin(loop, NULL), *n = NULL;
    for (int level = 0; level < 2; level++) {
        nx_session *at = level == 0 ? s : (n = nx_session_nested(s, NULL));
        ((Author *)nx_new(at, Author))->name = nx_str(level == 0 ? "one" : "two");
        Slot *slot = nx_new(at, Slot);
        slot->number = level;
        slot->label = nx_str("slot");
        cr_assert_eq(nx_await(loop, level == 0 ? nx_flush(at, NULL) : nx_session_end(at, NULL)).status, NX_OK);
    }
    nx_session_free(n);
    cr_assert_eq(nx_await(loop, nx_rollback(s, NULL)).status, NX_OK);
    nx_session_free(s);
    cr_expect_eq(nx_await(loop, nx_count(nx_select(db[0], Author), NULL)).count, 0);
    cr_expect_eq(nx_await(loop, nx_count(nx_select(db[1], Slot), NULL)).count, 0);
    nx_loop_close(loop);
}

LIFETIME(nested_session_must_not_begin_in_the_middle)
{
    nx_session *s = nxt_session(f, NULL);
    new_author(s, "outer");
    nx_op flush = nx_flush(s, NULL);
    cr_expect_null(nx_session_nested(s, NULL));
    cr_expect_eq(nx_session_error(s)->status, NX_ESTATE);
    OK(f, flush);
    nx_session *n = nx_session_nested(s, NULL);
    cr_assert_not_null(n);
    OK(f, nx_rollback(n, NULL));
    nx_session_free(n);
    nxt_end(f, s);
    cr_expect_eq(authors(f), 1);
}

LIFETIME(nested_session_freed_with_operations_under_way)
{
    nx_session *s = nxt_session(f, NULL);
    new_author(s, "outer");
    OK(f, nx_flush(s, NULL));
    nx_session *n = nx_session_nested(s, NULL);
    new_author(n, "inner");
    (void)nx_flush(n, NULL);
    (void)nx_fetch_all(nx_select(n, Author), NULL);
    (void)nx_stream(nx_select(n, Author), NULL, NULL);
    CHECK(nx_submit(f->loop));
    nx_session_free(n);
    drain(f);
    nxt_end(f, s);
    cr_expect_eq(authors(f), 1);
}

LIFETIME(ended_nested_session_outlives_its_outer_one)
{
    nx_session *s = nxt_session(f, NULL);
    nx_session *n = nx_session_nested(s, NULL);
    new_author(n, "inner");
    OK(f, nx_session_end(n, NULL));
    OK(f, nx_session_end(s, NULL));
    nx_session_free(s); /* frees n too */
    cr_expect_eq(authors(f), 1);
}

LIFETIME(transaction_lost_inside_a_nested_session)
{
    const char *trigger = "CREATE TRIGGER lose BEFORE INSERT ON slot BEGIN SELECT RAISE(ROLLBACK, 'lost'); END";
    OK(f, nx_execute(f->db, trigger, nx_no_args, NULL));
    nx_session *s = nxt_session(f, NULL);
    new_author(s, "outer");
    OK(f, nx_flush(s, NULL));
    nx_session *n = nx_session_nested(s, NULL);
    Slot *slot = nx_new(n, Slot);
    slot->number = 1;
    slot->label = nx_str("slot");
    cr_expect_neq(nx_await(f->loop, nx_flush(n, NULL)).status, NX_OK);
    OK(f, nx_rollback(n, NULL));
    FAILS(f, nx_session_end(n, NULL), NX_EABORTED);
    nx_session_free(n);
    OK(f, nx_rollback(s, NULL));
    nxt_end(f, s);
    cr_expect_eq(authors(f), 1, "what the outer session had made is pending again, and written");
}

LIFETIME(texts_belong_to_the_row_after_a_flush)
{
    nx_session *s = nxt_session(f, NULL);
    char *buffer = malloc(16);
    cr_assert_not_null(buffer);
    snprintf(buffer, 16, "first");
    Author *a = new_author(s, buffer);
    OK(f, nx_flush(s, NULL));
    snprintf(buffer, 16, "other");
    a->name = nx_str(buffer);
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 1, "the same buffer with another content is a change");
    free(buffer);
    nx_completion c = OK(f, nx_fetch_all(nx_select(s, Author), NULL));
    cr_assert_eq(c.rows[0], a);
    TEXT_IS(a->name, "other");
    nxt_seen(f, &c);
    nxt_end(f, s);
}

LIFETIME(texts_belong_to_a_row_outside_sessions_after_a_save)
{
    Author *a = nx_make(f->db, Author);
    for (int i = 0; i < 50; i++) {
        char buffer[32];
        snprintf(buffer, sizeof(buffer), "name %d", i);
        a->name = nx_str(buffer);
        cr_expect_eq(COUNT(f, nx_save(f->db, a, NULL)), 1);
        memset(buffer, 'x', sizeof(buffer));
        cr_expect_eq(COUNT(f, nx_save(f->db, a, NULL)), 0, "nothing has changed");
    }
    TEXT_IS(a->name, "name 49");
    nx_release_row(f->db, a);
    cr_expect_eq(authors(f), 1);
}

LIFETIME(database_freed_under_a_session)
{
    static const nx_entity *const others[] = { &Slot_entity, NULL };
    nx_bind_options options = { 0 };
    nx_loop *loop;
    CHECK(nx_loop_open(NULL, &loop, NULL));
    nx_db *db = nx_db_new(loop, others);
    make_memory(f, 1, &options);
    cr_assert_eq(nx_await(loop, nx_bind(db, "sqlite", &options, NULL)).status, NX_OK);
    cr_assert_eq(nx_await(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL)).status, NX_OK);
    nx_session *s = nx_session_begin(loop, NULL);
    Slot *slot = nx_new(s, Slot);
    slot->number = 1;
    slot->label = nx_str("slot");
    nx_query *kept = nx_query_keep(nx_select(s, Slot));
    nx_op waiting[4] = { nx_flush(s, NULL), nx_fetch_all(nx_select(s, Slot), NULL), nx_stream(nx_select(s, Slot), NULL, NULL),
                         nx_commit(s, NULL) };
    nx_bulk *bulk = nx_bulk_begin(db, &Slot_entity, NULL);
    nx_db_free(db);
    for (int i = 0; i < 4; i++)
        cr_expect_neq(nx_await(loop, waiting[i]).status, NX_OK);
    cr_expect_null(nx_sql(kept));
    cr_expect_neq(nx_await(loop, nx_fetch_all(nx_filter(kept, nx_eq(Slot_.number, 1)), NULL)).status, NX_OK);
    nx_query_free(kept);
    size_t taken;
    cr_expect_neq(nx_bulk_rows(bulk, &(Slot){ .number = 2 }, 1, &taken), NX_OK);
    nx_bulk_free(bulk);
    cr_expect_null(nx_session_find(s, &Slot_entity, &(nx_value){ .type = NX_TYPE_i64, .i64 = 1 }, 1));
    nx_session_free(s);
    nx_loop_close(loop);
}

LIFETIME(bulk_freed_before_its_end_has_come)
{
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, &(nx_bulk_options){ .assign_keys = true });
    CHECK(nx_bulk_columns(bulk, (const nx_column[]){ Slot_.number, Slot_.label }, 2));
    CHECK(nx_bulk_values(bulk, nx_args(1, "one")));
    nx_op end = nx_bulk_end(bulk, NULL);
    nx_bulk_free(bulk);
    FAILS(f, end, NX_ECANCELED);
    drain(f);
}

LIFETIME(read_only_session_with_a_new_row_ends)
{
    nx_session *s = nxt_session(f, &(nx_session_options){ .read_only = true });
    (void)COUNT(f, nx_count(nx_select(s, Author), NULL));
    nx_session *w = nxt_session(f, NULL);
    nx_session_free(w);
    new_author(s, "never");
    FAILS(f, nx_session_end(s, NULL), NX_EREADONLY);
    cr_expect(nx_session_is_ended(s));
    cr_expect_eq(nx_session_outcome(s), NX_OUTCOME_ROLLED_BACK);
    nx_session_free(s);
    cr_expect_eq(authors(f), 0);
}

LIFETIME(cancelled_delete_leaves_the_row)
{
    nx_session *s = nxt_session(f, NULL);
    Author *a = new_author(s, "stays");
    OK(f, nx_commit(s, NULL));
    nx_op flush = nx_session_execute(s, f->db, "UPDATE author SET born = 1", nx_no_args, NULL);
    nx_op del = nx_delete(f->db, a, NULL);
    CHECK(nx_op_cancel(f->loop, del));
    FAILS(f, del, NX_ECANCELED);
    OK(f, flush);
    nxt_end(f, s);
    cr_expect_eq(authors(f), 1);
}

LIFETIME(drop_looks_at_every_table)
{
    (void)nxt_author(f, "kept");
    OK(f, nx_drop_table(f->db, "slot", 0, NULL));
    FAILS(f, nx_drop_all_tables(f->db, 0, NULL), NX_ESTATE);
    cr_expect_eq(authors(f), 1);
    OK(f, nx_create_tables(f->db, NULL));
}

LIFETIME(failing_statement_of_a_group_leaves_nothing)
{
    OK(f, nx_execute(f->db, "CREATE TABLE u (x UNIQUE)", nx_no_args, NULL));
    nx_op op[3] = { nx_execute(f->db, "INSERT INTO u VALUES (10)", nx_no_args, NULL),
                    nx_execute(f->db, "INSERT OR FAIL INTO u VALUES (1), (2), (1)", nx_no_args, NULL),
                    nx_execute(f->db, "INSERT INTO u VALUES (20)", nx_no_args, NULL) };
    OK(f, op[0]);
    FAILS(f, op[1], NX_EUNIQUE);
    OK(f, op[2]);
    nx_completion c = OK(f, nx_select_raw(f->db, "SELECT x FROM u", nx_no_args, NULL));
    cr_expect_eq(c.raw->row_count, 2);
    nxt_seen(f, &c);
}

LIFETIME(pending_reference_survives_a_query)
{
    nx_session *s = nxt_session(f, &(nx_session_options){ .no_auto_flush = true });
    Post *p = nx_new(s, Post);
    p->title = nx_str("post");
    OK(f, nx_commit(s, NULL));
    nx_set_ref(p->author, new_author(s, "new"));
    nx_completion c = OK(f, nx_fetch_all(nx_select(s, Post), NULL));
    nxt_seen(f, &c);
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_is_not_null(Post_.author)), NULL)), 1);
}

LIFETIME(deleted_target_does_not_block_other_changes)
{
    nx_session *s = nxt_session(f, NULL);
    Author *a = new_author(s, "goes");
    Post *p = nx_new(s, Post);
    p->title = nx_str("stays");
    nx_set_ref(p->author, a);
    OK(f, nx_commit(s, NULL));
    OK(f, nx_delete(f->db, a, NULL));
    p->title = nx_str("changed");
    nxt_end(f, s);
    nx_query *changed = nx_where(nx_select(f->db, Post), "title = 'changed' and author is null", nx_no_args);
    cr_expect_eq(COUNT(f, nx_count(changed, NULL)), 1);
}
