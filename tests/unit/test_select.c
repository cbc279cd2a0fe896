/*
 * select: conditions, joins, order and positions become the SQL and values they mean; wrong input is refused.
 */
#include "query_fixture.h"

#define IS(f, expression, expected) cr_expect_str_eq(where_of((f), (expression)), (expected))

static nx_status refused(fixture *f, const nx_expr *condition)
{
    start(f, &Post_entity);
    memset(&f->error, 0, sizeof(f->error));
    nx_status status = nxi_select_filter(&f->select, &f->arena, condition, &f->error);
    cr_expect_neq(status, NX_OK);
    cr_expect_eq(f->error.status, status);
    cr_expect_null(f->select.where);
    cr_expect_eq(f->select.join_count, 0, "a failed step changes nothing");
    return status;
}

Test(select, comparisons)
{
    fixture f;
    setup(&f, &seal);
    IS(&f, nx_eq(Post_.id, 7), "`id` = ?");
    IS(&f, nx_ne(Post_.title, "x"), "`title` <> ?");
    IS(&f, nx_lt(Post_.score, 7), "`score` < ?");
    IS(&f, nx_le(Post_.score, 7), "`score` <= ?");
    IS(&f, nx_gt(Post_.score, 7), "`score` > ?");
    IS(&f, nx_ge(Post_.score, 7), "`score` >= ?");
    IS(&f, nx_eq(Post_.score, nx_null()), "`score` IS NULL");
    IS(&f, nx_ne(Post_.score, nx_null()), "`score` IS NOT NULL");
    IS(&f, nx_eq(Post_.title, (const char *)NULL), "`title` IS NULL");
    IS(&f, nx_is_null(Post_.score), "`score` IS NULL");
    IS(&f, nx_is_not_null(Post_.score), "`score` IS NOT NULL");
    IS(&f, nx_between(Post_.score, 1, 2), "`score` BETWEEN ? AND ?");
    IS(&f, nx_columns(NX_VERB_LT, Post_.score, Post_.touched), "`score` < `touched`");
    IS(&f, nx_eq(Post_.like, 1), "`odd\"name` = ?");
    teardown(&f);
}

Test(select, names_are_quoted)
{
    fixture f;
    setup(&f, &elephant);
    IS(&f, nx_eq(Post_.like, 1), "\"odd\"\"name\" = $1");
    teardown(&f);
}

Test(select, connectives)
{
    fixture f;
    setup(&f, &elephant);
    IS(&f, nx_and(nx_eq(Post_.id, 1), nx_or(nx_eq(Post_.score, 2), nx_not(nx_eq(Post_.draft, true)))),
       "\"id\" = $1 AND (\"score\" = $2 OR NOT (\"draft\" = $3))");
    IS(&f, nx_or(nx_and(nx_eq(Post_.id, 1), nx_eq(Post_.id, 2)), nx_eq(Post_.id, 3)),
       "(\"id\" = $1 AND \"id\" = $2) OR \"id\" = $3");
    const nx_expr *const none[] = { NULL };
    IS(&f, (&(nx_expr){ .verb = NX_VERB_AND, .parts = none }), "1 = 1");
    IS(&f, (&(nx_expr){ .verb = NX_VERB_OR, .parts = none }), "1 = 0");
    start(&f, &Post_entity);
    filter(&f, nx_or(nx_eq(Post_.id, 1), nx_eq(Post_.id, 2)));
    filter(&f, nx_eq(Post_.id, 3));
    filter(&f, nx_eq(Post_.id, 4));
    cr_expect_str_eq(where(&f), "(\"id\" = $1 OR \"id\" = $2) AND \"id\" = $3 AND \"id\" = $4");
    teardown(&f);
}

Test(select, lists)
{
    fixture f;
    nx_value values[] = { nx_value_i64(1), nx_null(), nx_value_i64(2) };
    setup(&f, &elephant);
    IS(&f, nx_in(Post_.id, 1, 2, 3), "\"id\" IN ($1, $2, $3, $4)");
    nxi_bound bound = bind_verb(&f, NXI_VERB_FETCH);
    cr_expect_eq(bound.values[2].i64, 3);
    cr_expect_eq(bound.values[3].i64, 3, "padded by the last");
    IS(&f, nx_not_in_values(Post_.id, values, 1), "\"id\" NOT IN ($1)");
    IS(&f, nx_in_values(Post_.id, values, 0), "1 = 0");
    IS(&f, nx_not_in_values(Post_.id, NULL, 0), "1 = 1");
    IS(&f, nx_in_values(Post_.score, values, 3), "\"score\" IS NULL OR \"score\" IN ($1, $2)");
    IS(&f, nx_not_in_values(Post_.score, values, 3), "\"score\" IS NOT NULL AND \"score\" NOT IN ($1, $2)");
    IS(&f, nx_in_values(Post_.score, values + 1, 1), "\"score\" IS NULL OR 1 = 0");
    teardown(&f);
}

Test(select, patterns_escape_plain_text)
{
    fixture f;
    setup(&f, &seal);
    IS(&f, nx_starts_with(Post_.title, "50%_\\"), "`title` LIKE ?");
    cr_expect_str_eq(bind_verb(&f, NXI_VERB_FETCH).values[0].text.data, "50\\%\\_\\\\%");
    IS(&f, nx_contains(Post_.title, "a"), "`title` LIKE ?");
    cr_expect_str_eq(bind_verb(&f, NXI_VERB_FETCH).values[0].text.data, "%a%");
    IS(&f, nx_like(Post_.title, "a_%"), "`title` LIKE ?");
    cr_expect_str_eq(bind_verb(&f, NXI_VERB_FETCH).values[0].text.data, "a_%");
    IS(&f, nx_ilike(Post_.body, "a_%"), "`body` ILIKE ?");
    cr_expect_eq(refused(&f, nx_like(Post_.score, "1%")), NX_ETYPE);
    cr_expect_eq(refused(&f, nx_contains(Post_.title, 5)), NX_ETYPE);
    cr_expect_eq(refused(&f, nx_starts_with(Post_.title, nx_null())), NX_EINVAL);
    teardown(&f);
}

Test(select, values_are_converted_and_copied)
{
    fixture f;
    char title[] = "first";
    setup(&f, &seal);
    start(&f, &Post_entity);
    filter(&f, nx_and(nx_eq(Post_.title, title), nx_eq(Post_.draft, 1), nx_eq(Post_.state, "done"), nx_eq(Post_.price, "1.50"),
                      nx_eq(Post_.state, 0)));
    memset(title, 'x', sizeof(title) - 1);
    nxi_bound bound = bind_verb(&f, NXI_VERB_FETCH);
    cr_assert_eq(bound.count, 5);
    cr_expect_str_eq(bound.values[0].text.data, "first");
    cr_expect_eq(bound.values[1].type, NX_TYPE_boolean);
    cr_expect(bound.values[1].boolean);
    cr_expect_eq(bound.values[2].type, NX_TYPE_text, "databases hold labels");
    cr_expect_str_eq(bound.values[2].text.data, "done");
    cr_expect_eq(bound.values[3].type, NX_TYPE_decimal);
    cr_expect_str_eq(bound.values[4].text.data, "new");
    teardown(&f);
}

Test(select, wrong_conditions_are_refused)
{
    fixture f;
    const nx_column unknown = { &Post_entity, UINT16_MAX }, nothing = { NULL, 0 };
    setup(&f, &seal);
    cr_expect_eq(refused(&f, NULL), NX_EINVAL);
    cr_expect_eq(refused(&f, nx_eq(unknown, 1)), NX_ENOFIELD);
    cr_expect_eq(refused(&f, nx_eq(nothing, 1)), NX_ENOFIELD);
    cr_expect_eq(refused(&f, nx_eq(Author_.id, 1)), NX_ENOFIELD);
    cr_expect_not_null(strstr(f.error.message, "Author"));
    cr_expect_eq(refused(&f, nx_eq(Post_.scratch, 1)), NX_ENOFIELD);
    cr_expect_not_null(strstr(f.error.message, "Post.scratch"));
    cr_expect_eq(refused(&f, nx_eq(nx_via(Post_.title, Author_.id), 1)), NX_ENOFIELD);
    cr_expect_eq(refused(&f, nx_eq(nx_via(Post_.author, Post_.id), 1)), NX_ENOFIELD);
    cr_expect_eq(refused(&f, nx_eq(Post_.score, "many")), NX_ETYPE);
    cr_expect_not_null(strstr(f.error.message, "Post.score"));
    cr_expect_str_eq(f.error.table, "post");
    cr_expect_str_eq(f.error.column, "score");
    cr_expect_eq(refused(&f, nx_eq(Post_.score, INT64_C(1) << 40)), NX_ERANGE);
    cr_expect_eq(refused(&f, nx_eq(Post_.title, "\xff")), NX_EENCODING);
    cr_expect_eq(refused(&f, nx_eq(Post_.title, nx_strn("a\0b", 3))), NX_EENCODING);
    cr_expect_eq(refused(&f, nx_lt(Post_.score, nx_null())), NX_EINVAL);
    cr_expect_eq(refused(&f, nx_between(Post_.score, 1, nx_null())), NX_EINVAL);
    cr_expect_eq(refused(&f, nx_in_values(Post_.score, NULL, 2)), NX_EINVAL);
    cr_expect_eq(refused(&f, (&(nx_expr){ .verb = (nx_verb)99 })), NX_EINVAL);
    cr_expect_eq(refused(&f, (&(nx_expr){ .verb = NX_VERB_AND })), NX_EINVAL);
    cr_expect_eq(refused(&f, (&(nx_expr){ .verb = NX_VERB_NOT, .parts = (const nx_expr *const[]){ NULL } })), NX_EINVAL);
    cr_expect_eq(refused(&f, (&(nx_expr){ .verb = NX_VERB_EQ, .path = NX_PATH(Post_.id), .value = { .type = (nx_type)77 } })),
                 NX_ETYPE);
    cr_expect_eq(refused(&f, nx_columns(NX_VERB_EQ, Post_.title, Post_.score)), NX_ETYPE);
    cr_expect_eq(refused(&f, nx_columns(NX_VERB_LIKE, Post_.title, Post_.body)), NX_EINVAL);
    cr_expect_eq(refused(&f, nx_eq(Post_.city, 1)), NX_EINVAL);
    cr_expect_eq(refused(&f, nx_or(nx_eq(nx_via(Post_.author, Author_.name), "x"), nx_eq(Post_.score, "many"))), NX_ETYPE);
    teardown(&f);
}

Test(select, nesting_and_width_are_bounded)
{
    enum { DEEP = NXI_CONDITION_DEPTH_MAX };
    fixture f;
    static nx_expr nest[DEEP + 1], shared[DEEP];
    static const nx_expr *parts[DEEP + 1][2], *twice[DEEP][3], *wide[5000 + 1];
    setup(&f, &seal);
    nest[0] = *nx_eq(Post_.id, 1);
    for (int i = 1; i <= DEEP; i++) {
        parts[i][0] = &nest[i - 1];
        nest[i] = (nx_expr){ .verb = NX_VERB_NOT, .parts = parts[i] };
    }
    start(&f, &Post_entity);
    filter(&f, &nest[DEEP - 1]);
    cr_expect_eq(refused(&f, &nest[DEEP]), NX_ELIMIT);
    /* An expression of 60 nodes that means 2^59 of them. */
    shared[0] = nest[0];
    for (int i = 1; i < 60; i++) {
        twice[i][0] = twice[i][1] = &shared[i - 1];
        shared[i] = (nx_expr){ .verb = NX_VERB_OR, .parts = twice[i] };
    }
    cr_expect_eq(refused(&f, &shared[59]), NX_ELIMIT);
    for (int i = 0; i < 5000; i++)
        wide[i] = &nest[0];
    cr_expect_eq(refused(&f, (&(nx_expr){ .verb = NX_VERB_AND, .parts = wide })), NX_ELIMIT);
    teardown(&f);
}

Test(select, joins)
{
    fixture f;
    setup(&f, &seal);
    start(&f, &Post_entity);
    filter(&f, nx_eq(nx_via(Post_.author, Author_.name), "x"));
    filter(&f, nx_eq(nx_via(Post_.author, Author_.country, Country_.name), "y"));
    cr_expect_str_eq(
        tail(&f), "`post` AS `t0` INNER JOIN `author` AS `t1` ON `t1`.`id` = `t0`.`author_id` "
                  "INNER JOIN `country` AS `t2` ON `t2`.`code` = `t1`.`country_code` WHERE `t1`.`name` = ? AND `t2`.`name` = ?");
    start(&f, &Post_entity);
    filter(&f, nx_or(nx_eq(nx_via(Post_.author, Author_.name), "x"), nx_eq(nx_via(Post_.editor, Author_.name), "x")));
    cr_expect_str_eq(tail(&f),
                     "`post` AS `t0` LEFT JOIN `author` AS `t1` ON `t1`.`id` = `t0`.`author_id` "
                     "INNER JOIN `author` AS `t2` ON `t2`.`id` = `t0`.`editor_id` WHERE `t1`.`name` = ? OR `t2`.`name` = ?");
    filter(&f, nx_eq(nx_via(Post_.author, Author_.born), 1));
    cr_expect_not_null(strstr(tail(&f), "INNER JOIN `author` AS `t1`"), "what must hold makes the join inner");
    start(&f, &Post_entity);
    filter(&f, nx_not(nx_eq(nx_via(Post_.author, Author_.name), "x")));
    cr_expect_not_null(strstr(tail(&f), "LEFT JOIN `author`"));
    start(&f, &Post_entity);
    filter(&f, nx_is_null(nx_via(Post_.author, Author_.born)));
    cr_expect_not_null(strstr(tail(&f), "LEFT JOIN `author`"), "an author that is not there has no year of birth");
    start(&f, &Post_entity);
    filter(&f, nx_eq(nx_via(Post_.city, City_.name), "x"));
    cr_expect_str_eq(tail(&f), "`post` AS `t0` INNER JOIN `city` AS `t1` ON `t1`.`region` = `t0`.`city_region` "
                               "AND `t1`.`code` = `t0`.`city_code` WHERE `t1`.`name` = ?");
    teardown(&f);
}

Test(select, keys_behind_references_need_no_join)
{
    fixture f;
    setup(&f, &seal);
    IS(&f, nx_eq(Post_.author, 7), "`author_id` = ?");
    IS(&f, nx_eq(nx_via(Post_.author, Author_.id), 7), "`author_id` = ?");
    IS(&f, nx_eq(nx_via(Post_.city, City_.code), "x"), "`city_code` = ?");
    IS(&f, nx_eq(nx_via(Post_.author, Author_.country, Country_.code), "x"), "`t1`.`country_code` = ?");
    IS(&f, nx_eq(Post_.author, nx_null()), "`author_id` IS NULL");
    IS(&f, nx_is_null(Post_.city), "`city_region` IS NULL");
    nx_value key[] = { nx_value_i64(1), nx_value_str("b") };
    IS(&f, (&(nx_expr){ .verb = NX_VERB_EQ, .path = NX_PATH(Post_.city), .values = key, .value_count = 2 }),
       "`city_region` = ? AND `city_code` = ?");
    IS(&f, (&(nx_expr){ .verb = NX_VERB_NE, .path = NX_PATH(Post_.city), .values = key, .value_count = 2 }),
       "NOT (`city_region` = ? AND `city_code` = ?)");
    teardown(&f);
}

Test(select, joins_that_only_an_order_needs)
{
    fixture f;
    nx_order by_name = nx_asc(nx_via(Post_.author, Author_.name));
    setup(&f, &seal);
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, &by_name, 1, &f.error), NX_OK);
    cr_expect_str_eq(tail(&f), "`post` AS `t0` LEFT JOIN `author` AS `t1` ON `t1`.`id` = `t0`.`author_id` ORDER BY `t1`.`name`");
    cr_expect_str_eq(bind_verb(&f, NXI_VERB_COUNT).statement->sql, "SELECT COUNT(*) FROM `post`", "a count needs no order");
    nx_order by_id = nx_asc(Post_.id);
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, &by_id, 1, &f.error), NX_OK);
    cr_expect_str_eq(tail(&f), "`post` ORDER BY `id`", "nor does another order");
    teardown(&f);
}

Test(select, more_joins_than_allowed)
{
    fixture f;
    nx_path path = { .hop = { Post_.author, Author_.country, Country_.name } };
    setup(&f, &seal);
    f.select.join_count = NXI_JOINS_MAX - 1;
    for (uint16_t i = 0; i < NXI_JOINS_MAX - 1; i++)
        f.select.joins[i] = (nxi_join){ .table = f.select.table, .reference = column_of(&f, &Post_entity, "editor"), .from = 31 };
    nx_expr condition = { .verb = NX_VERB_EQ, .path = path, .value = nx_value_str("x") };
    cr_expect_eq(nxi_select_filter(&f.select, &f.arena, &condition, &f.error), NX_ELIMIT);
    cr_expect_eq(f.select.join_count, NXI_JOINS_MAX - 1);
    teardown(&f);
}

Test(select, order)
{
    fixture f;
    nx_order terms[NXI_TERMS_MAX + 1] = { nx_desc(Post_.score), nx_asc(Post_.score), nx_desc(Post_.title), nx_asc(Post_.city) };
    setup(&f, &elephant);
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, terms, 4, &f.error), NX_OK);
    cr_expect_str_eq(tail(&f),
                     "\"post\" ORDER BY \"score\" IS NULL, \"score\" DESC, \"score\" IS NOT NULL, \"score\", \"title\" DESC, "
                     "\"city_region\" IS NOT NULL, \"city_region\", \"city_code\" IS NOT NULL, \"city_code\"");
    f.dialect = &seal;
    nxi_statements_fini(&f.statements);
    nxi_statements_init(&f.statements, f.memory);
    cr_expect_str_eq(tail(&f), "`post` ORDER BY `score` DESC, `score`, `title` DESC, `city_region`, `city_code`");
    for (int i = 0; i <= NXI_TERMS_MAX; i++)
        terms[i] = nx_asc(Post_.id);
    cr_expect_eq(nxi_select_order(&f.select, &f.arena, terms, NXI_TERMS_MAX + 1, &f.error), NX_ELIMIT);
    cr_expect_eq(nxi_select_order(&f.select, &f.arena, NULL, 1, &f.error), NX_EINVAL);
    terms[0] = nx_asc(Author_.id);
    cr_expect_eq(nxi_select_order(&f.select, &f.arena, terms, 1, &f.error), NX_ENOFIELD);
    cr_expect_eq(f.select.term_count, 5, "failed steps change nothing");
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, NULL, 0, &f.error), NX_OK);
    f.select.random = true;
    cr_expect_str_eq(tail(&f), "`post` ORDER BY RAND()");
    teardown(&f);
}

Test(select, limits_are_bound)
{
    fixture f;
    setup(&f, &elephant);
    f.select.has_limit = f.select.has_offset = true;
    f.select.limit = UINT64_MAX;
    f.select.offset = 5;
    filter(&f, nx_eq(Post_.id, 3));
    cr_expect_str_eq(tail(&f), "\"post\" WHERE \"id\" = $1 LIMIT $2 OFFSET $3");
    nxi_bound bound = bind_verb(&f, NXI_VERB_FETCH);
    cr_expect_eq(bound.values[1].i64, INT64_MAX);
    cr_expect_eq(bound.values[2].i64, 5);
    f.select.has_limit = false;
    cr_expect_str_eq(tail(&f), "\"post\" WHERE \"id\" = $1 OFFSET $2");
    f.select.for_update = true;
    cr_expect_str_eq(tail(&f), "\"post\" WHERE \"id\" = $1 OFFSET $2 FOR UPDATE");
    teardown(&f);
    setup(&f, &seal);
    f.select.has_offset = true;
    cr_expect_str_eq(tail(&f), "`post` LIMIT 18446744073709551615 OFFSET ?");
    teardown(&f);
}

Test(select, locks)
{
    fixture f;
    setup(&f, &elephant);
    f.select.for_update = true;
    const nxi_statement *plain = bind_verb(&f, NXI_VERB_FETCH).statement;
    cr_expect_str_eq(tail(&f), "\"post\" FOR UPDATE");
    f.select.nowait = true;
    cr_expect_str_eq(tail(&f), "\"post\" FOR UPDATE NOWAIT");
    cr_expect_neq(bind_verb(&f, NXI_VERB_FETCH).statement, plain, "part of the shape");
    f.select.nowait = false;
    f.select.skip_locked = true;
    cr_expect_str_eq(tail(&f), "\"post\" FOR UPDATE SKIP LOCKED");
    f.select.skip_locked = false;
    cr_expect_eq(bind_verb(&f, NXI_VERB_FETCH).statement, plain);
    nx_order by_name = nx_asc(nx_via(Post_.author, Author_.name));
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, &by_name, 1, &f.error), NX_OK);
    cr_expect_str_eq(tail(&f), "\"post\" AS \"t0\" LEFT JOIN \"author\" AS \"t1\" ON \"t1\".\"id\" = \"t0\".\"author_id\" "
                               "ORDER BY \"t1\".\"name\" IS NOT NULL, \"t1\".\"name\" FOR UPDATE OF \"t0\"");
    teardown(&f);
}

Test(select, nulls_by_a_clause)
{
    fixture f;
    nxi_dialect dialect = elephant;
    dialect.nulls_clause = true;
    setup(&f, &dialect);
    nx_order order[] = { nx_asc(Post_.score), nx_desc(Post_.author), nx_desc(Post_.id) };
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, order, 3, &f.error), NX_OK);
    cr_expect_str_eq(tail(&f), "\"post\" ORDER BY \"score\" NULLS FIRST, \"author_id\" DESC NULLS LAST, \"id\" DESC");
    f.select.distinct = true;
    cr_expect_eq(strncmp(bind_verb(&f, NXI_VERB_FETCH).statement->sql, "SELECT DISTINCT ", 16), 0, "the columns are in the list");
    teardown(&f);
}

Test(select, columns_are_listed_and_lazy_ones_left_out)
{
    fixture f;
    setup(&f, &seal);
    nxi_bound bound = bind_verb(&f, NXI_VERB_FETCH);
    cr_expect_str_eq(bound.statement->sql,
                     "SELECT `id`, `title`, `score`, `draft`, `author_id`, `editor_id`, `city_region`, `city_code`, "
                     "`state`, `price`, `touched`, `version`, `odd\"name` FROM `post`");
    cr_expect_eq(bound.statement->result_count, 13);
    cr_expect_eq(bound.statement->results[1], column_of(&f, &Post_entity, "title"));
    cr_expect_eq(bound.statement->lazy_missing, table_of(&f, &Post_entity)->lazy_mask);
    cr_expect_eq(bound.statement->table, table_of(&f, &Post_entity));
    cr_expect_not(bound.statement->writes);
    f.select.lazy_wanted = UINT32_C(1) << column_of(&f, &Post_entity, "body")->lazy_bit;
    f.select.distinct = true;
    bound = bind_verb(&f, NXI_VERB_FETCH);
    cr_expect_eq(strncmp(bound.statement->sql, "SELECT DISTINCT `id`", 20), 0);
    cr_expect_not_null(strstr(bound.statement->sql, "`body`"));
    cr_expect_eq(bound.statement->lazy_missing, 0);
    teardown(&f);
}

Test(select, positions)
{
    fixture f;
    nx_order order[] = { nx_asc(Post_.title), nx_desc(Post_.draft) };
    setup(&f, &elephant);
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, order, 2, &f.error), NX_OK);
    filter(&f, nx_or(nx_eq(Post_.score, 1), nx_eq(Post_.score, 2)));
    nx_value values[] = { nx_value_str("m"), nx_value_boolean(true), nx_value_i64(7) };
    cr_expect_eq(nxi_select_after(&f.select, &f.arena, values, 2, &f.error), NX_EINVAL);
    cr_expect_not_null(strstr(f.error.message, "3 columns"), "%s", f.error.message);
    cr_assert_eq(nxi_select_after(&f.select, &f.arena, values, 3, &f.error), NX_OK);
    cr_expect_str_eq(where(&f),
                     "(\"score\" = $1 OR \"score\" = $2) AND \"title\" >= $3 AND (\"title\" > $4 OR (\"title\" = $5 AND "
                     "(\"draft\" < $6 OR (\"draft\" = $7 AND \"id\" > $8)))) ORDER BY \"title\", \"draft\" DESC, \"id\"");
    nxi_bound bound = bind_verb(&f, NXI_VERB_FETCH);
    cr_expect_eq(bound.values[7].i64, 7);
    cr_expect_eq(bound.values[5].type, NX_TYPE_boolean);
    cr_expect_str_eq(bound.values[4].text.data, "m");
    cr_expect_eq(nxi_select_order(&f.select, &f.arena, order, 1, &f.error), NX_EINVAL, "the position depends on the order");
    cr_assert_eq(nxi_select_after(&f.select, &f.arena, values, 3, &f.error), NX_OK, "but the position may move");
    values[0] = nx_null();
    cr_expect_eq(nxi_select_after(&f.select, &f.arena, values, 3, &f.error), NX_EINVAL, "a title is never NULL");
    start(&f, &Post_entity);
    f.select.random = true;
    cr_expect_eq(nxi_select_after(&f.select, &f.arena, values, 1, &f.error), NX_EINVAL);
    teardown(&f);
}

Test(select, positions_at_null)
{
    fixture f;
    setup(&f, &seal);
    nx_order ascending = nx_asc(Post_.score), descending = nx_desc(Post_.score);
    nx_value null[] = { nx_null(), nx_value_i64(7) }, five[] = { nx_value_i64(5), nx_value_i64(7) };
    struct {
        nx_order *order;
        nx_value *values;
        const char *sql;
    } cases[] = {
        { &ascending, five, "`score` >= ? AND (`score` > ? OR (`score` = ? AND `id` > ?)) ORDER BY `score`, `id`" },
        { &ascending, null, "(`score` IS NOT NULL OR (`score` IS NULL AND `id` > ?)) ORDER BY `score`, `id`" },
        { &descending, five, "((`score` < ? OR `score` IS NULL) OR (`score` = ? AND `id` > ?)) ORDER BY `score` DESC, `id`" },
        { &descending, null, "((`score` IS NULL AND `id` > ?)) ORDER BY `score` DESC, `id`" },
    };
    for (size_t i = 0; i < NXI_COUNT(cases); i++) {
        start(&f, &Post_entity);
        cr_assert_eq(nxi_select_order(&f.select, &f.arena, cases[i].order, 1, &f.error), NX_OK);
        cr_assert_eq(nxi_select_after(&f.select, &f.arena, cases[i].values, 2, &f.error), NX_OK, "%s", f.error.message);
        cr_expect_str_eq(where(&f), cases[i].sql);
    }
    teardown(&f);
}

Test(select, position_of_a_row)
{
    fixture f;
    setup(&f, &seal);
    nx_order order[] = { nx_asc(Post_.title), nx_asc(Post_.state) };
    Post *post = nxi_row_new(&f.arena, table_of(&f, &Post_entity), NULL);
    cr_assert_not_null(post);
    post->title = nx_str("here");
    post->state = 1;
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, order, 2, &f.error), NX_OK);
    cr_expect_eq(nxi_select_after_row(&f.select, &f.arena, NULL, &f.error), NX_EINVAL);
    cr_expect_eq(nxi_select_after_row(&f.select, &f.arena, post, &f.error), NX_EINVAL, "it has no key");
    post->id = 9;
    cr_assert_eq(nxi_select_after_row(&f.select, &f.arena, post, &f.error), NX_OK, "%s", f.error.message);
    cr_expect_eq(f.select.after_count, 3);
    cr_expect_str_eq(f.select.after[0].text.data, "here");
    cr_expect_str_eq(f.select.after[1].text.data, "done");
    cr_expect_eq(f.select.after[2].i64, 9);
    void *author = nxi_row_new(&f.arena, table_of(&f, &Author_entity), NULL);
    cr_expect_eq(nxi_select_after_row(&f.select, &f.arena, author, &f.error), NX_EINVAL);
    start(&f, &Post_entity);
    nx_order by_name = nx_asc(nx_via(Post_.author, Author_.name)), by_body = nx_asc(Post_.body);
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, &by_name, 1, &f.error), NX_OK);
    cr_expect_eq(nxi_select_after_row(&f.select, &f.arena, post, &f.error), NX_EINVAL, "the row does not hold the name");
    start(&f, &Post_entity);
    cr_assert_eq(nxi_select_order(&f.select, &f.arena, &by_body, 1, &f.error), NX_OK);
    nxi_row_of(post)->lazy_missing = table_of(&f, &Post_entity)->lazy_mask;
    cr_expect_eq(nxi_select_after_row(&f.select, &f.arena, post, &f.error), NX_EINVAL, "the body was not loaded");
    teardown(&f);
}

Test(select, key_of_a_condition)
{
    fixture f;
    nx_value key[2];
    setup(&f, &seal);
    cr_expect_not(nxi_select_key(&f.select, key));
    filter(&f, nx_eq(Post_.id, 7));
    cr_assert(nxi_select_key(&f.select, key));
    cr_expect_eq(key[0].i64, 7);
    nxi_select copy = f.select;
    copy.for_update = true;
    cr_expect_not(nxi_select_key(&copy, key));
    filter(&f, nx_eq(Post_.score, 1));
    cr_expect_not(nxi_select_key(&f.select, key));
    start(&f, &City_entity);
    filter(&f, nx_and(nx_eq(City_.code, "b"), nx_eq(City_.region, 1)));
    cr_assert(nxi_select_key(&f.select, key));
    cr_expect_eq(key[0].i64, 1);
    cr_expect_str_eq(key[1].text.data, "b");
    start(&f, &City_entity);
    filter(&f, nx_and(nx_eq(City_.code, "b"), nx_eq(City_.code, "c")));
    cr_expect_not(nxi_select_key(&f.select, key));
    start(&f, &Post_entity);
    filter(&f, nx_gt(Post_.id, 7));
    cr_expect_not(nxi_select_key(&f.select, key));
    teardown(&f);
}

Test(select, steps_survive_lack_of_memory)
{
    for (uint64_t n = 1;; n++) {
        fixture f;
        nx_order order = nx_asc(nx_via(Post_.author, Author_.name));
        nx_value after[] = { nx_value_str("m"), nx_value_i64(1) };
        nxi_bound bound;
        nx_column none = { .field = UINT16_MAX };
        setup(&f, &seal);
        nxi_memory_fail(n, true);
        nx_status status = nxi_select_filter(
            &f.select, &f.arena, nx_or(nx_contains(nx_via(Post_.author, Author_.name), "x"), nx_in(Post_.id, 1, 2)), &f.error);
        if (status == NX_OK)
            status = nxi_select_where(&f.select, &f.arena, "score in (1, 2, ?) and title = 'it''s'", nx_args(3), &f.error);
        if (status == NX_OK)
            status = nxi_select_order(&f.select, &f.arena, &order, 1, &f.error);
        if (status == NX_OK)
            status = nxi_select_after(&f.select, &f.arena, after, 2, &f.error);
        if (status == NX_OK)
            status =
                nxi_select_bind(&f.select, NXI_VERB_FETCH, none, NULL, 0, f.dialect, &f.statements, &f.arena, &bound, &f.error);
        nxi_memory_fail(0, false);
        cr_assert(status == NX_OK || status == NX_ENOMEM, "%d: %s", (int)status, f.error.message);
        teardown(&f);
        if (status == NX_OK) {
            cr_expect_gt(n, 3U, "some request must have failed");
            break;
        }
    }
}
