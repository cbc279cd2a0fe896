/*
 * raw - SQL by hand, both ways, on a database and in a session.
 */
#include "cases.h"

CASE(raw, execute_counts_affected_rows)
{
    nxt_posts(f, 10);
    cr_expect_eq(COUNT(f, nx_execute(f->db, "UPDATE post SET draft = ? WHERE score < ?", nx_args(false, 4), NULL)), 4);
    cr_expect_eq(COUNT(f, nx_execute(f->db, "DELETE FROM post WHERE score >= ?", nx_args(8), NULL)), 2);
    cr_expect_eq(COUNT(f, nx_execute(f->db, "DELETE FROM post WHERE 1 = 0", nx_no_args, NULL)), 0);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 8);
}

CASE(raw, rows_are_named_and_typed)
{
    nxt_posts(f, 3);
    nx_completion c = OK(f, nx_select_raw(f->db,
                                          "SELECT id, title AS t, NULL AS empty, CAST(1.5 AS DOUBLE PRECISION) AS r FROM post "
                                          "WHERE draft = ? ORDER BY id",
                                          nx_args(true), NULL));
    cr_assert_not_null(c.raw);
    cr_assert_eq(c.raw->column_count, 4U);
    cr_assert_eq(c.raw->row_count, 2U);
    cr_expect_eq(c.count, 2);
    cr_expect_str_eq(c.raw->names[0], "id");
    cr_expect_str_eq(c.raw->names[1], "t");
    cr_expect_eq(nx_rows_at(c.raw, 0, 0).type, NX_TYPE_i64);
    cr_expect(nxt_text_is(nx_rows_at(c.raw, 1, 1).text, "post 2"));
    cr_expect_eq(nx_rows_at(c.raw, 1, 2).type, NX_TYPE_null);
    cr_expect_float_eq(nx_rows_at(c.raw, 1, 3).f64, 1.5, 0.0);
    nxt_seen(f, &c);
}

CASE(raw, no_rows)
{
    nx_completion c = OK(f, nx_select_raw(f->db, "SELECT id, title FROM post WHERE 1 = 0", nx_no_args, NULL));
    cr_expect_eq(c.count, 0);
    if (c.raw != NULL) {
        cr_expect_eq(c.raw->row_count, 0U);
        cr_expect_eq(c.raw->column_count, 2U);
    }
    nxt_seen(f, &c);
}

CASE(raw, question_marks)
{
    nx_completion c =
        OK(f, nx_select_raw(f->db, "SELECT '?', ?, '?\?' /* ? */, \"title\" FROM (SELECT 'x' AS \"title\") AS q -- ?", nx_args(7),
                            NULL));
    cr_expect(nxt_text_is(nx_rows_at(c.raw, 0, 0).text, "?"));
    cr_expect_eq(nx_rows_at(c.raw, 0, 1).i64, 7);
    cr_expect(nxt_text_is(nx_rows_at(c.raw, 0, 2).text, "?\?"), "text in quotes is left alone");
    nxt_seen(f, &c);
}

CASE(raw, wrong_number_of_values)
{
    FAILS(f, nx_select_raw(f->db, "SELECT ?", nx_no_args, NULL), NX_EINVAL);
    FAILS(f, nx_select_raw(f->db, "SELECT ?", nx_args(1, 2), NULL), NX_EINVAL);
    FAILS(f, nx_execute(f->db, "DELETE FROM post WHERE id = ?", nx_args(1, 2), NULL), NX_EINVAL);
    for (unsigned type = NX_TYPE_key; type < 100; type++) /* numbers that are no type of a value */
        FAILS(f, nx_execute(f->db, "DELETE FROM post WHERE id = ?", &(nx_value){ .type = (nx_type)type }, 1, NULL), NX_ETYPE);
}

CASE(raw, several_statements_are_refused)
{
    nxt_posts(f, 1);
    FAILS(f, nx_execute(f->db, "DELETE FROM post; DELETE FROM author", nx_no_args, NULL), NX_ESYNTAX);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 1, "nothing of it ran");
    OK(f, nx_execute(f->db, "DELETE FROM post ; -- and nothing else", nx_no_args, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 0);
}

CASE(raw, empty_text)
{
    cr_expect_neq(nx_await(f->loop, nx_execute(f->db, "", nx_no_args, NULL)).status, NX_OK);
    cr_expect_neq(nx_await(f->loop, nx_execute(f->db, "  -- nothing", nx_no_args, NULL)).status, NX_OK);
    cr_expect_neq(nx_await(f->loop, nx_execute(f->db, NULL, nx_no_args, NULL)).status, NX_OK);
}

CASE(raw, entities_from_sql)
{
    nxt_posts(f, 10);
    nx_completion c =
        OK(f, nx_fetch_sql(f->db, &Post_entity, "SELECT title, id, 42 AS no_field FROM post WHERE score > ? ORDER BY id",
                           nx_args(6), NULL));
    cr_assert_eq(c.count, 3);
    TEXT_IS(((Post *)c.rows[0])->title, "post 7");
    cr_expect_gt(((Post *)c.rows[0])->id, 0);
    cr_expect_not(((Post *)c.rows[0])->score.present, "a field without a column stays at zero");
    cr_expect_not(nx_row_is_loaded(c.rows[0], Post_.body));
    nxt_seen(f, &c);
}

CASE(raw, ddl_and_writes_by_select_raw)
{
    OK(f, nx_execute(f->db, "CREATE TABLE by_hand (a INTEGER)", nx_no_args, NULL));
    cr_expect_eq(COUNT(f, nx_execute(f->db, "INSERT INTO by_hand VALUES (1), (2)", nx_no_args, NULL)), 2);
    nx_completion c = OK(f, nx_select_raw(f->db, "SELECT SUM(a) FROM by_hand", nx_no_args, NULL));
    cr_expect_eq(nx_rows_at(c.raw, 0, 0).i64, 3);
    nxt_seen(f, &c);
    OK(f, nx_execute(f->db, "DROP TABLE by_hand", nx_no_args, NULL));
}

CASE(raw, transaction_statements_do_not_break_the_engine)
{
    static const char *const statements[] = { "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT x", "RELEASE x", "BEGIN IMMEDIATE" };
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        nx_await(f->loop, nx_execute(f->db, statements[i], nx_no_args, NULL));
    nxt_post(f, "still works", 1, NULL);
    nx_session *s = nxt_session(f, NULL);
    ((Post *)nx_new(s, Post))->title = nx_str("in a session");
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 2);
}

CASE(raw, sequence_in_a_session)
{
    nx_session *s = nxt_session(f, NULL);
    for (int i = 0; i < 5; i++)
        cr_expect_eq(
            COUNT(f, nx_session_execute(s, f->db, "INSERT INTO slot (number, label) VALUES (?, ?)", nx_args(i, "raw"), NULL)), 1);
    nx_completion c = OK(f, nx_session_select_raw(s, f->db, "SELECT COUNT(*) FROM slot", nx_no_args, NULL));
    cr_expect_eq(nx_rows_at(c.raw, 0, 0).i64, 5);
    nxt_seen(f, &c);
    FAILS(f, nx_session_execute(s, f->db, "INSERT INTO slot (number, label) VALUES (0, 'twice')", nx_no_args, NULL), NX_EUNIQUE);
    OK(f, nx_session_execute(s, f->db, "INSERT INTO slot (number, label) VALUES (99, 'after the failure')", nx_no_args, NULL));
    nxt_end(f, s);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 6);
}

CASE(raw, values_of_every_type_are_bound)
{
    nx_completion c = OK(f, nx_select_raw(f->db, "SELECT ?, ?, ?, ?, ?, ?",
                                          nx_args(true, INT64_MAX, 0.25, "text", nx_bytes_of("\0b", 2), nx_null()), NULL));
    cr_expect_eq(nx_rows_at(c.raw, 0, 0).i64, 1);
    cr_expect_eq(nx_rows_at(c.raw, 0, 1).i64, INT64_MAX);
    cr_expect_float_eq(nx_rows_at(c.raw, 0, 2).f64, 0.25, 0.0);
    cr_expect(nxt_text_is(nx_rows_at(c.raw, 0, 3).text, "text"));
    cr_expect_eq(nx_rows_at(c.raw, 0, 4).bytes.size, 2U);
    cr_expect_eq(nx_rows_at(c.raw, 0, 5).type, NX_TYPE_null);
    nxt_seen(f, &c);
}
