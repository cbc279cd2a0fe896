/*
 * where: conditions as text mean the same as expressions; mistakes are found with their position; hostile text is refused.
 */
#include "query_fixture.h"

static nx_status parse(fixture *f, const char *text, const nx_value *values, size_t count)
{
    memset(&f->error, 0, sizeof(f->error));
    start(f, &Post_entity);
    return nxi_select_where(&f->select, &f->arena, text, values, count, &f->error);
}

/* The SQL behind WHERE. */
static const char *sql_of(fixture *f, const char *text, const nx_value *values, size_t count)
{
    nx_status status = parse(f, text, values, count);
    cr_assert_eq(status, NX_OK, "%s: %s", text, f->error.message);
    return where(f);
}

#define IS(f, expected, text, ...) cr_expect_str_eq(sql_of((f), (text), __VA_ARGS__), (expected), "%s", (text))

Test(where, operators)
{
    fixture f;
    setup(&f, &elephant);
    IS(&f, "\"title\" = $1", "title = ?", nx_args("x"));
    IS(&f, "\"title\" <> $1", "title != ?", nx_args("x"));
    IS(&f, "\"title\" <> $1", "title <> ?", nx_args("x"));
    IS(&f, "\"score\" < $1", "score<?", nx_args(1));
    IS(&f, "\"score\" <= $1", "score<=?", nx_args(1));
    IS(&f, "\"score\" > $1", "score>?", nx_args(1));
    IS(&f, "\"score\" >= $1", "\tscore\n>=\r?  ", nx_args(1));
    IS(&f, "\"title\" LIKE $1", "title LIKE 'a%'", nx_no_args);
    IS(&f, "\"title\" ILIKE $1", "title iLike ?", nx_args("x"));
    IS(&f, "NOT (\"title\" LIKE $1)", "title not like ?", nx_args("x"));
    IS(&f, "\"score\" BETWEEN $1 AND $2", "score between ? and ?", nx_args(1, 2));
    IS(&f, "NOT (\"score\" BETWEEN $1 AND $2) AND \"id\" = $3", "score NOT BETWEEN 1 AND 2 AND id = 3", nx_no_args);
    IS(&f, "\"score\" IN ($1, $2)", "score in (?, 2)", nx_args(1));
    IS(&f, "\"score\" NOT IN ($1)", "score not in (?)", nx_args(1));
    IS(&f, "1 = 0", "score in ()", nx_no_args);
    IS(&f, "1 = 1", "score not in ( )", nx_no_args);
    IS(&f, "\"score\" IS NULL", "score is null", nx_no_args);
    IS(&f, "\"score\" IS NOT NULL", "score IS NOT NULL", nx_no_args);
    IS(&f, "\"score\" IS NULL", "score = null", nx_no_args);
    IS(&f, "\"score\" IS NOT NULL", "score <> ?", nx_args(nx_null()));
    IS(&f, "\"score\" < \"touched\"", "score < touched", nx_no_args);
    teardown(&f);
}

Test(where, precedence)
{
    fixture f;
    setup(&f, &seal);
    IS(&f, "`id` = ? OR (`id` = ? AND `id` = ?)", "id = 1 or id = 2 and id = 3", nx_no_args);
    IS(&f, "(`id` = ? OR `id` = ?) AND `id` = ?", "(id = 1 or id = 2) and id = 3", nx_no_args);
    IS(&f, "NOT (`id` = ?) AND `id` = ?", "not id = 1 and id = 2", nx_no_args);
    IS(&f, "NOT (`id` = ? AND `id` = ?)", "not (id = 1 and id = 2)", nx_no_args);
    IS(&f, "NOT (NOT (`id` = ?))", "not not id = 1", nx_no_args);
    IS(&f, "`id` = ?", "((((id = 1))))", nx_no_args);
    IS(&f, "`id` = ? OR `id` = ? OR `id` = ?", "id=1 OR id=2 Or id=3", nx_no_args);
    teardown(&f);
}

Test(where, literals)
{
    fixture f;
    setup(&f, &seal);
    sql_of(&f, "title = 'it''s' and score = -12 and draft = TRUE and price = 1.50 and price = +3 and state = 'done' and like = 2",
           nx_no_args);
    nxi_bound bound = bind_verb(&f, NXI_VERB_FETCH);
    cr_assert_eq(bound.count, 7);
    cr_expect_str_eq(bound.values[0].text.data, "it's");
    cr_expect_eq(bound.values[1].i64, -12);
    cr_expect_eq(bound.values[2].type, NX_TYPE_boolean);
    cr_expect_eq(bound.values[3].type, NX_TYPE_decimal);
    cr_expect_str_eq(bound.values[3].text.data, "1.50", "digits are kept");
    cr_expect_str_eq(bound.values[5].text.data, "done");
    cr_expect_eq(bound.values[6].i64, 2, "a field may be called by a keyword");
    sql_of(&f, "title = '' or title = ''''", nx_no_args);
    bound = bind_verb(&f, NXI_VERB_FETCH);
    cr_expect_eq(bound.values[0].text.size, 0);
    cr_expect_not_null(bound.values[0].text.data, "an empty text is not NULL");
    cr_expect_str_eq(bound.values[1].text.data, "'");
    teardown(&f);
}

Test(where, values_in_order)
{
    fixture f;
    setup(&f, &seal);
    sql_of(&f, "score in (?, 7, ?) and title = ? or score between ? and 9", nx_args(1, 2, "t", 3));
    nxi_bound bound = bind_verb(&f, NXI_VERB_FETCH);
    int64_t wanted[] = { 1, 7, 2, 2, 0, 3, 9 };
    cr_assert_eq(bound.count, 7);
    for (size_t i = 0; i < 7; i++) {
        if (i != 4)
            cr_expect_eq(bound.values[i].i64, wanted[i], "value %zu", i);
    }
    teardown(&f);
}

Test(where, paths)
{
    fixture f;
    setup(&f, &seal);
    IS(&f, "`t1`.`name` = ?", "author.name = ?", nx_args("x"));
    IS(&f, "`t2`.`name` = ?", "author . country.name = ?", nx_args("x"));
    IS(&f, "`author_id` = ?", "author.id = ?", nx_args(1));
    IS(&f, "`author_id` = ?", "author = ?", nx_args(1));
    IS(&f, "`city_code` = ?", "city.code = 'b'", nx_no_args);
    IS(&f, "`t1`.`name` = ? OR `t0`.`score` = ?", "author.name = ? or score = 1", nx_args("x"));
    cr_expect_not_null(strstr(tail(&f), "LEFT JOIN"), "found only after the first test was read");
    sql_of(&f, "(author.name = 'x') and score = 1", nx_no_args);
    cr_expect_not_null(strstr(tail(&f), "INNER JOIN"));
    IS(&f, "`t1`.`id` = `t1`.`born`", "author.id = author.born", nx_no_args);
    teardown(&f);
}

Test(where, added_to_what_is_there)
{
    fixture f;
    setup(&f, &seal);
    start(&f, &Post_entity);
    filter(&f, nx_eq(Post_.id, 1));
    cr_assert_eq(nxi_select_where(&f.select, &f.arena, "id = 2 or id = 3", nx_no_args, &f.error), NX_OK);
    cr_expect_str_eq(where(&f), "`id` = ? AND (`id` = ? OR `id` = ?)");
    teardown(&f);
}

Test(where, mistakes_and_their_positions)
{
    static const struct { const char *text; nx_status status; int position; const char *mention; } cases[] = {
        { "", NX_ESYNTAX, 1, "ends" },
        { "   ", NX_ESYNTAX, 4, "ends" },
        { "title", NX_ESYNTAX, 6, "operator" },
        { "title =", NX_ESYNTAX, 8, "value" },
        { "title = = 1", NX_ESYNTAX, 9, "value" },
        { "title = 'x", NX_ESYNTAX, 9, "does not end" },
        { "title = \"x\"", NX_ESYNTAX, 9, "character" },
        { "title = 'x' and", NX_ESYNTAX, 16, "field" },
        { "title = 'x' and and id = 1", NX_ESYNTAX, 17, "\"and\"" },
        { "title = 'x' or or", NX_ESYNTAX, 16, "field" },
        { "title = 'x' id = 1", NX_ESYNTAX, 13, "\"id\"" },
        { "(id = 1", NX_ESYNTAX, 8, ")" },
        { "id = 1)", NX_ESYNTAX, 7, "end" },
        { "id in 1", NX_ESYNTAX, 7, "(" },
        { "id in (1", NX_ESYNTAX, 9, "," },
        { "id in (1,", NX_ESYNTAX, 10, "value" },
        { "id in (1,)", NX_ESYNTAX, 10, "value" },
        { "id in (1 2)", NX_ESYNTAX, 10, "\"2\"" },
        { "id between 1 or 2", NX_ESYNTAX, 14, "AND" },
        { "id is 5", NX_ESYNTAX, 7, "NULL" },
        { "id is not 5", NX_ESYNTAX, 11, "NULL" },
        { "id not 5", NX_ESYNTAX, 8, "IN" },
        { "id = 12abc", NX_ESYNTAX, 6, "letters" },
        { "id = 1; drop table post", NX_ESYNTAX, 7, "character" },
        { "id = 1 -- x", NX_ESYNTAX, 8, "character" },
        { "1 = id", NX_ESYNTAX, 1, "field" },
        { "author. = 1", NX_ESYNTAX, 9, "field" },
        { "\xc3\xa4\xc3\xb6 = 1", NX_ENOFIELD, 1, "\xc3\xa4\xc3\xb6" },
        { "title = '\xc3\xa4\xc3\xb6\xc3\xbc' and nothing = 1", NX_ENOFIELD, 19, "nothing" },
        { "author_id = 1", NX_ENOFIELD, 1, "author_id" },
        { "scratch = 1", NX_ENOFIELD, 1, "scratch" },
        { "author.nothing = 1", NX_ENOFIELD, 8, "Author" },
        { "title.name = 1", NX_ENOFIELD, 1, "no reference" },
        { "id = 1 and score = 'many'", NX_ETYPE, 12, "Post.score" },
        { "title = 5", NX_ETYPE, 1, "Post.title" },
        { "score = 1.5", NX_ETYPE, 9, "1.5" },
        { "score = 99999999999", NX_ERANGE, 1, "Post.score" },
        { "score = 99999999999999999999", NX_ETYPE, 9, "Post.score" },
        { "score < null", NX_EINVAL, 1, "NULL" },
        { "score = author.born", NX_EINVAL, 9, "same row" },
        { "title = score", NX_ETYPE, 1, "compared" },
        { "city = 1", NX_EINVAL, 1, "2 columns" },
    };
    fixture f;
    setup(&f, &seal);
    for (size_t i = 0; i < NXI_COUNT(cases); i++) {
        nx_status status = parse(&f, cases[i].text, nx_no_args);
        cr_expect_eq(status, cases[i].status, "<%s>: %s", cases[i].text, f.error.message);
        cr_expect_eq(f.error.position, cases[i].position, "<%s>: %d: %s", cases[i].text, (int)f.error.position, f.error.message);
        cr_expect_not_null(strstr(f.error.message, cases[i].mention), "<%s>: %s", cases[i].text, f.error.message);
        cr_expect_null(f.select.where);
        cr_expect_eq(f.select.join_count, 0);
    }
    teardown(&f);
}

Test(where, number_of_values)
{
    fixture f;
    setup(&f, &seal);
    cr_expect_eq(parse(&f, "id = ? or id = ?", nx_args(1)), NX_EINVAL);
    cr_expect_not_null(strstr(f.error.message, "2 `?` in the condition and 1 values"), "%s", f.error.message);
    cr_expect_eq(parse(&f, "id = 1", nx_args(1)), NX_EINVAL);
    cr_expect_eq(parse(&f, "title = '?'", nx_args(1)), NX_EINVAL, "a ? in a text is none");
    cr_expect_eq(parse(&f, "id = ?", NULL, 1), NX_EINVAL);
    cr_expect_eq(parse(&f, NULL, NULL, 0), NX_EINVAL);
    cr_expect_eq(parse(&f, "title = '\xff'", nx_no_args), NX_EENCODING);
    cr_expect_eq(f.error.position, 10);
    teardown(&f);
}

Test(where, depth_and_size_are_bounded)
{
    enum { LONG = 200000 };
    fixture f;
    static char text[LONG + 1];
    setup(&f, &seal);
    memset(text, '(', LONG);
    cr_expect_eq(parse(&f, text, nx_no_args), NX_ELIMIT);
    cr_expect_eq(f.error.position, NXI_CONDITION_DEPTH_MAX + 1);
    for (size_t i = 0; i + 4 <= LONG; i += 4)
        memcpy(text + i, "not ", 4);
    cr_expect_eq(parse(&f, text, nx_no_args), NX_ELIMIT);
    memset(text, 'a', LONG);
    cr_expect_eq(parse(&f, text, nx_no_args), NX_ENOFIELD);
    for (size_t i = 0; i + 2 <= LONG; i += 2)
        memcpy(text + i, i % 4 == 0 ? "a." : "b.", 2);
    cr_expect_eq(parse(&f, text, nx_no_args), NX_ENOFIELD);
    for (size_t i = 0; i + 8 <= LONG; i += 8)
        memcpy(text + i, i + 8 == LONG ? "id=1    " : "id=1 or ", 8);
    cr_expect_eq(parse(&f, text, nx_no_args), NX_ELIMIT);
    const char *deep = "author.author.author.author.author.author.author.author.author = 1";
    cr_expect_eq(parse(&f, deep, nx_no_args), NX_ENOFIELD);
    /* As deep as allowed. */
    size_t depth = NXI_CONDITION_DEPTH_MAX;
    memset(text, '(', depth);
    memcpy(text + depth, "id=1", 4);
    memset(text + depth + 4, ')', depth);
    text[2 * depth + 4] = '\0';
    IS(&f, "`id` = ?", text, nx_no_args);
    teardown(&f);
}

/* Any bytes: an answer, and a query that is unchanged after a failure. */
Test(where, random_texts)
{
    static const char *const pieces[] = { "id",     "title",  "author",   ".",    "name",  " ",    "=",         "<",
                                          ">",      "!",      "(",        ")",    ",",     "?",    "'",         "''",
                                          "1",      "-1.5e3", " and ",    " or ", " not ", " in ", " between ", " is ",
                                          " null ", " like ", "\xc3\xa4", "\xff", "\"",    ";",    "--" };
    fixture f;
    uint64_t state = 7;
    size_t accepted = 0;
    nx_value values[4] = { nx_value_i64(1), nx_value_str("x"), nx_null(), nx_value_boolean(true) };
    setup_sqlite(&f);
    for (int round = 0; round < 20000; round++) {
        char text[256] = "";
        size_t used = 0;
        for (int i = 0; i < 12; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const char *piece = pieces[(state >> 33) % NXI_COUNT(pieces)];
            memcpy(text + used, piece, strlen(piece));
            used += strlen(piece);
            nx_status status = parse(&f, text, values, (state >> 20) % 3);
            cr_assert(status == NX_OK || f.error.status == status);
            if (status == NX_OK) { /* then SQLite understands it too */
                run_verb(&f, NXI_VERB_COUNT);
                accepted++;
            }
        }
        nxi_arena_reset(&f.arena);
    }
    cr_expect_gt(accepted, 0U);
    teardown(&f);
}
