/*
 * select: what each verb makes of a query: aggregates, set-based writes, one statement for each shape.
 */
#include "query_fixture.h"

static nx_status bind_with(fixture *f, nxi_verb verb, nx_column column, const nx_assignment *assignments, size_t count,
                           nxi_bound *bound)
{
    return nxi_select_bind(&f->select, verb, column, assignments, count, f->dialect, &f->statements, &f->arena, bound, &f->error);
}

Test(select, aggregates)
{
    fixture f;
    nxi_bound bound;
    setup(&f, &seal);
    filter(&f, nx_eq(nx_via(Post_.author, Author_.name), "x"));
    f.select.has_limit = true;
    f.select.limit = 3;
    cr_expect_str_eq(
        bind_verb(&f, NXI_VERB_EXISTS).statement->sql,
        "SELECT 1 FROM `post` AS `t0` INNER JOIN `author` AS `t1` ON `t1`.`id` = `t0`.`author_id` WHERE `t1`.`name` = ? LIMIT 1");
    cr_assert_eq(bind_with(&f, NXI_VERB_SUM, Post_.score, NULL, 0, &bound), NX_OK);
    cr_expect_eq(strncmp(bound.statement->sql, "SELECT SUM(`t0`.`score`) FROM", 29), 0);
    start(&f, &Post_entity);
    cr_assert_eq(bind_with(&f, NXI_VERB_AVG, Post_.price, NULL, 0, &bound), NX_OK);
    cr_expect_str_eq(bound.statement->sql, "SELECT AVG(`price`) FROM `post`");
    cr_assert_eq(bind_with(&f, NXI_VERB_MAX, Post_.title, NULL, 0, &bound), NX_OK);
    cr_expect_str_eq(bound.statement->sql, "SELECT MAX(`title`) FROM `post`");
    cr_expect_eq(bind_with(&f, NXI_VERB_SUM, Post_.title, NULL, 0, &bound), NX_ETYPE);
    cr_expect_eq(bind_with(&f, NXI_VERB_MIN, Post_.city, NULL, 0, &bound), NX_ETYPE);
    cr_expect_eq(bind_with(&f, NXI_VERB_MIN, Author_.name, NULL, 0, &bound), NX_ENOFIELD);
    teardown(&f);
}

Test(select, values_as_one_text)
{
    fixture f;
    nxi_bound bound;
    nx_assignment ask = { Post_.title, nx_value_str(", ") };
    setup(&f, &elephant);
    filter(&f, nx_gt(Post_.score, 3));
    cr_assert_eq(bind_with(&f, NXI_VERB_CONCAT, Post_.title, &ask, 1, &bound), NX_OK, "%s", f.error.message);
    cr_expect_str_eq(
        bound.statement->sql,
        "SELECT GROUP_CONCAT(\"v\", $1) FROM (SELECT \"title\" AS \"v\" FROM \"post\" WHERE \"score\" > $2) AS \"q\"");
    cr_assert_eq(bound.count, 2);
    cr_expect_str_eq(bound.values[0].text.data, ", ");
    cr_expect_eq(bound.values[1].i64, 3);
    const nxi_statement *first = bound.statement;
    nx_order order = nx_desc(Post_.id);
    f.select.has_limit = true;
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, &order, 1, &f.error), NX_OK);
    cr_assert_eq(bind_with(&f, NXI_VERB_CONCAT, Post_.title, &ask, 1, &bound), NX_OK);
    cr_expect_neq(bound.statement, first, "the order is part of the shape");
    cr_expect_not_null(strstr(bound.statement->sql, "ORDER BY \"id\" DESC) AS"), "%s", bound.statement->sql);
    ask.column = Post_.draft;
    cr_expect_eq(bind_with(&f, NXI_VERB_CONCAT, ask.column, &ask, 1, &bound), NX_ETYPE);
    ask.column = Post_.city;
    cr_expect_eq(bind_with(&f, NXI_VERB_CONCAT, ask.column, &ask, 1, &bound), NX_ETYPE, "a composite key");
    ask.column = Author_.name;
    cr_expect_eq(bind_with(&f, NXI_VERB_CONCAT, ask.column, &ask, 1, &bound), NX_ENOFIELD);
    ask = (nx_assignment){ Post_.title, nx_value_i64(1) };
    cr_expect_eq(bind_with(&f, NXI_VERB_CONCAT, ask.column, &ask, 1, &bound), NX_EINVAL);
    ask.value = nx_value_str("\xff");
    cr_expect_eq(bind_with(&f, NXI_VERB_CONCAT, ask.column, &ask, 1, &bound), NX_EENCODING);
    teardown(&f);
}

static const char *by_value(nx_type type)
{
    return type == NX_TYPE_decimal ? " COLLATE number" : "";
}

Test(select, columns_that_go_by_value)
{
    fixture f;
    nxi_dialect dialect = seal;
    nxi_bound bound;
    nx_order order = nx_desc(Post_.price);
    dialect.collation = by_value;
    setup(&f, &dialect);
    filter(&f, nx_and(nx_gt(Post_.price, "9.5"), nx_eq(Post_.title, "x")));
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, &order, 1, &f.error), NX_OK);
    cr_expect_str_eq(where(&f), "`price` COLLATE number > ? AND `title` = ? ORDER BY `price` COLLATE number DESC");
    cr_assert_eq(bind_with(&f, NXI_VERB_MAX, Post_.price, NULL, 0, &bound), NX_OK);
    cr_expect_eq(strncmp(bound.statement->sql, "SELECT MAX(`price` COLLATE number) FROM", 39), 0);
    teardown(&f);
}

Test(select, set_based_writes)
{
    fixture f;
    nxi_bound bound;
    nx_column none = { .field = UINT16_MAX };
    nx_assignment two[] = { nx_assign(Post_.title, "t"), nx_assign(Post_.author, 3) };
    setup(&f, &elephant);
    filter(&f, nx_eq(Post_.score, 1));
    cr_assert_eq(bind_with(&f, NXI_VERB_UPDATE, none, two, 2, &bound), NX_OK, "%s", f.error.message);
    cr_expect_str_eq(
        bound.statement->sql,
        "UPDATE \"post\" SET \"title\" = $1, \"author_id\" = $2, \"version\" = \"version\" + 1 WHERE \"score\" = $3");
    cr_expect(bound.statement->writes);
    cr_expect_eq(bound.values[1].i64, 3);
    cr_expect_eq(bound.values[2].i64, 1);
    nx_assignment away[] = { nx_assign(Post_.city, nx_null()), nx_assign(Post_.body, "b") };
    cr_assert_eq(bind_with(&f, NXI_VERB_UPDATE, none, away, 2, &bound), NX_OK, "%s", f.error.message);
    cr_expect_not_null(
        strstr(bound.statement->sql, " SET \"city_region\" = $1, \"city_code\" = $2, \"body\" = $3, \"version\" = "));
    filter(&f, nx_eq(nx_via(Post_.author, Author_.name), "x"));
    cr_assert_eq(bind_with(&f, NXI_VERB_DELETE, none, NULL, 0, &bound), NX_OK);
    cr_expect_str_eq(
        bound.statement->sql,
        "DELETE FROM \"post\" WHERE \"id\" IN (SELECT \"t0\".\"id\" FROM \"post\" AS \"t0\" INNER JOIN \"author\" AS "
        "\"t1\" ON \"t1\".\"id\" = \"t0\".\"author_id\" WHERE \"t0\".\"score\" = $1 AND \"t1\".\"name\" = $2)");
    teardown(&f);
}

Test(select, set_based_writes_are_checked)
{
    fixture f;
    nxi_bound bound;
    nx_column none = { .field = UINT16_MAX };
    struct {
        nx_assignment assignment;
        nx_status status;
    } cases[] = {
        { nx_assign(Post_.id, 1), NX_EINVAL },
        { nx_assign(Post_.version, 1), NX_EINVAL },
        { nx_assign(Post_.touched, 1), NX_EINVAL },
        { nx_assign(Post_.scratch, 1), NX_ENOFIELD },
        { nx_assign(Author_.name, "x"), NX_ENOFIELD },
        { nx_assign(none, 1), NX_ENOFIELD },
        { nx_assign(Post_.title, nx_null()), NX_EREQUIRED },
        { nx_assign(Post_.editor, nx_null()), NX_EREQUIRED },
        { nx_assign(Post_.title, "twenty-one characters"), NX_ETOOLONG },
        { nx_assign(Post_.score, 1001), NX_ERANGE },
        { nx_assign(Post_.score, -1001), NX_ERANGE },
        { nx_assign(Post_.score, "x"), NX_ETYPE },
        { nx_assign(Post_.city, 1), NX_EINVAL },
    };
    setup(&f, &seal);
    for (size_t i = 0; i < NXI_COUNT(cases); i++) {
        memset(&f.error, 0, sizeof(f.error));
        cr_expect_eq(bind_with(&f, NXI_VERB_UPDATE, none, &cases[i].assignment, 1, &bound), cases[i].status, "case %zu: %s", i,
                     f.error.message);
        cr_expect_eq(f.error.status, cases[i].status);
    }
    nx_assignment twice[] = { nx_assign(Post_.title, "a"), nx_assign(Post_.title, "b") };
    cr_expect_eq(bind_with(&f, NXI_VERB_UPDATE, none, twice, 2, &bound), NX_EINVAL);
    cr_expect_eq(bind_with(&f, NXI_VERB_UPDATE, none, NULL, 0, &bound), NX_EINVAL);
    f.select.has_limit = true;
    cr_expect_eq(bind_with(&f, NXI_VERB_DELETE, none, NULL, 0, &bound), NX_EINVAL);
    cr_expect_eq(bind_with(&f, NXI_VERB_UPDATE, none, twice, 1, &bound), NX_EINVAL);
    teardown(&f);
}

Test(select, too_many_parameters)
{
    fixture f;
    nxi_bound bound;
    nx_column none = { .field = UINT16_MAX };
    nx_value values[101];
    for (int i = 0; i < 101; i++)
        values[i] = nx_value_i64(i);
    setup(&f, &seal);
    filter(&f, nx_in_values(Post_.id, values, 64));
    cr_expect_eq(bind_with(&f, NXI_VERB_FETCH, none, NULL, 0, &bound), NX_OK);
    filter(&f, nx_in_values(Post_.id, values, 64));
    cr_expect_eq(bind_with(&f, NXI_VERB_FETCH, none, NULL, 0, &bound), NX_ELIMIT);
    cr_expect_not_null(strstr(f.error.message, "128"), "%s", f.error.message);
    cr_expect_not_null(strstr(f.error.message, "100"), "%s", f.error.message);
    teardown(&f);
}

Test(select, one_statement_per_shape)
{
    fixture f;
    setup(&f, &seal);
    const nxi_statement *first = NULL;
    for (int i = 0; i < 100; i++) {
        start(&f, &Post_entity);
        filter(&f, nx_and(nx_eq(Post_.id, i), nx_in(Post_.score, i, 2)));
        f.select.has_limit = true;
        f.select.limit = (uint64_t)i;
        nxi_bound bound = bind_verb(&f, NXI_VERB_FETCH);
        first = first == NULL ? bound.statement : first;
        cr_assert_eq(bound.statement, first);
        cr_expect_eq(bound.values[0].i64, i);
    }
    cr_expect_eq(f.statements.last_id, 1);
    f.select.has_offset = true;
    cr_expect_neq(bind_verb(&f, NXI_VERB_FETCH).statement, first);
    cr_expect_neq(bind_verb(&f, NXI_VERB_COUNT).statement, first);
    f.select.has_limit = f.select.has_offset = f.select.distinct = false;
    uint32_t last = f.statements.last_id;
    bind_verb(&f, NXI_VERB_COUNT);
    cr_expect_eq(f.statements.last_id, last, "what a count ignores is not in its shape");
    teardown(&f);
}

/* Long shapes leave the buffer on the stack. */
Test(select, wide_conditions_are_balanced)
{
    enum { WIDE = 3000 };
    fixture f;
    static nx_expr leaves[WIDE];
    static const nx_expr *parts[WIDE + 1];
    setup_sqlite(&f);
    run_script(&f, "INSERT INTO post (id, title) VALUES (5, 'a'), (2999, 'b'), (3001, 'c')");
    for (int i = 0; i < WIDE; i++) {
        leaves[i] = *nx_eq(Post_.id, i);
        parts[i] = &leaves[i];
    }
    filter(&f, &(nx_expr){ .verb = NX_VERB_OR, .parts = parts });
    cr_expect_str_eq(run_verb(&f, NXI_VERB_FETCH), "5,2999", "deeper than SQLite allows, were it a chain");
    cr_expect_str_eq(run_verb(&f, NXI_VERB_COUNT), "2");
    teardown(&f);
}
