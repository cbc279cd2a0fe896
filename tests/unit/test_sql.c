/*
 * sql: SQLite runs what is rendered and finds the rows that a naive reading of the query finds.
 */
#include "query_fixture.h"

enum { ROWS = 24, AUTHORS = 3 };

/* ------------------------------------------------------------------- queries, by a naive model */

typedef enum truth { FALSE_, TRUE_, UNKNOWN } truth;

typedef struct model_row {
    int64_t id;
    bool has_score;
    int score;
    int author, editor; /* 0: none */
} model_row;

static const char *const author_names[AUTHORS + 1] = { NULL, "Ada", "Bob", "Cy" };
static const char *const author_countries[AUTHORS + 1] = { NULL, "de", NULL, "fr" };

static uint64_t random_state;

static unsigned dice(unsigned sides)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % sides;
}

static void fill(fixture *f, model_row *rows)
{
    for (int i = 0; i < ROWS; i++) {
        char sql[256], score[16], author[16];
        rows[i] = (model_row){ .id = i + 1,
                               .has_score = dice(3) != 0,
                               .score = (int)dice(4),
                               .author = (int)dice(AUTHORS + 1),
                               .editor = 1 + (int)dice(AUTHORS) };
        snprintf(score, sizeof(score), "%d", rows[i].score);
        snprintf(author, sizeof(author), "%d", rows[i].author);
        snprintf(sql, sizeof(sql), "INSERT INTO post (id, title, score, author_id, editor_id) VALUES (%d, 't%02d', %s, %s, %d)",
                 i + 1, i, rows[i].has_score ? score : "NULL", rows[i].author != 0 ? author : "NULL", rows[i].editor);
        run_script(f, sql);
    }
}

/* An expression and how to know whether a row meets it. */
typedef enum test_kind { SCORE, AUTHOR_NAME, EDITOR_NAME, AUTHOR_COUNTRY, AUTHOR_KEY, KINDS } test_kind;
typedef struct node {
    nx_expr expr;
    test_kind kind;
    nx_value values[3];
    const nx_expr *parts[4];
    struct node *children[4];
    size_t child_count;
} node;

static node pool[512];
static size_t pool_used;

static nx_value random_value(test_kind kind)
{
    if (kind == SCORE || kind == AUTHOR_KEY)
        return nx_value_i64(1 + (int64_t)dice(3));
    if (kind == AUTHOR_COUNTRY)
        return nx_value_str(dice(2) == 0 ? "de" : "fr");
    return nx_value_str(author_names[1 + dice(AUTHORS)]);
}

static node *random_node(int depth)
{
    static const nx_verb verbs[] = { NX_VERB_EQ,          NX_VERB_NE,      NX_VERB_LT, NX_VERB_GE,    NX_VERB_IS_NULL,
                                     NX_VERB_IS_NOT_NULL, NX_VERB_BETWEEN, NX_VERB_IN, NX_VERB_NOT_IN };
    node *n = &pool[pool_used++];
    memset(n, 0, sizeof(*n));
    unsigned shape = depth == 0 ? 3 : dice(6);
    if (shape < 3) {
        n->expr.verb = shape == 0 ? NX_VERB_AND : shape == 1 ? NX_VERB_OR : NX_VERB_NOT;
        n->child_count = shape == 2 ? 1 : 1 + dice(3);
        for (size_t i = 0; i < n->child_count; i++) {
            n->children[i] = random_node(depth - 1);
            n->parts[i] = &n->children[i]->expr;
        }
        n->expr.parts = n->parts;
        return n;
    }
    n->kind = (test_kind)dice(KINDS);
    n->expr.verb = verbs[dice(NXI_COUNT(verbs))];
    nx_path paths[KINDS] = {
        [SCORE] = NX_PATH(Post_.score),
        [AUTHOR_NAME] = nx_via(Post_.author, Author_.name),
        [EDITOR_NAME] = nx_via(Post_.editor, Author_.name),
        [AUTHOR_COUNTRY] = nx_via(Post_.author, Author_.country, Country_.code),
        [AUTHOR_KEY] = nx_via(Post_.author, Author_.id),
    };
    n->expr.path = paths[n->kind];
    for (int i = 0; i < 3; i++)
        n->values[i] = random_value(n->kind);
    n->expr.value = n->values[0];
    if (n->expr.verb == NX_VERB_BETWEEN || n->expr.verb == NX_VERB_IN || n->expr.verb == NX_VERB_NOT_IN) {
        n->expr.values = n->values;
        n->expr.value_count = n->expr.verb == NX_VERB_BETWEEN ? 2 : dice(4);
        if (n->expr.verb != NX_VERB_BETWEEN && n->expr.value_count == 3)
            n->values[1] = nx_null();
    }
    return n;
}

static nx_value model_value(const model_row *row, test_kind kind)
{
    if (kind == SCORE)
        return row->has_score ? nx_value_i64(row->score) : nx_null();
    if (kind == AUTHOR_KEY)
        return row->author != 0 ? nx_value_i64(row->author) : nx_null();
    if (kind == EDITOR_NAME)
        return nx_value_str(author_names[row->editor]);
    return nx_value_str(kind == AUTHOR_NAME ? author_names[row->author] : author_countries[row->author]);
}

static int compare(const nx_value *a, const nx_value *b)
{
    return a->type == NX_TYPE_i64 ? (a->i64 > b->i64) - (a->i64 < b->i64) : strcmp(a->text.data, b->text.data);
}

static truth opposite(truth t)
{
    return t == UNKNOWN ? UNKNOWN : t == TRUE_ ? FALSE_ : TRUE_;
}

static truth model_list(const node *n, const nx_value *value)
{
    bool has_null = false, found = false, has_values = false;
    for (size_t i = 0; i < n->expr.value_count; i++) {
        bool is_null = n->values[i].type == NX_TYPE_null;
        has_null = has_null || is_null;
        has_values = has_values || !is_null;
        found = found || (!is_null && value->type != NX_TYPE_null && compare(value, &n->values[i]) == 0);
    }
    if (value->type == NX_TYPE_null)
        return has_null ? TRUE_ : has_values ? UNKNOWN : FALSE_;
    return found ? TRUE_ : FALSE_;
}

static truth model_leaf(const node *n, const model_row *row)
{
    nx_value value = model_value(row, n->kind);
    bool is_null = value.type == NX_TYPE_null;
    nx_verb verb = n->expr.verb;
    if (verb == NX_VERB_IS_NULL || verb == NX_VERB_IS_NOT_NULL)
        return (verb == NX_VERB_IS_NULL) == is_null ? TRUE_ : FALSE_;
    if (verb == NX_VERB_IN || verb == NX_VERB_NOT_IN)
        return verb == NX_VERB_IN ? model_list(n, &value) : opposite(model_list(n, &value));
    if (is_null)
        return UNKNOWN;
    int order = compare(&value, &n->values[0]);
    bool met = verb == NX_VERB_EQ ? order == 0 : verb == NX_VERB_NE ? order != 0 : verb == NX_VERB_LT ? order < 0 : order >= 0;
    if (verb == NX_VERB_BETWEEN)
        met = order >= 0 && compare(&value, &n->values[1]) <= 0;
    return met ? TRUE_ : FALSE_;
}

static truth model(const node *n, const model_row *row)
{
    if (n->child_count == 0)
        return model_leaf(n, row);
    if (n->expr.verb == NX_VERB_NOT)
        return opposite(model(n->children[0], row));
    truth deciding = n->expr.verb == NX_VERB_AND ? FALSE_ : TRUE_, result = opposite(deciding);
    for (size_t i = 0; i < n->child_count; i++) {
        truth part = model(n->children[i], row);
        if (part == deciding)
            return deciding;
        result = part == UNKNOWN ? UNKNOWN : result;
    }
    return result;
}

static void expected_rows(const model_row *rows, node *const *conditions, size_t count, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < ROWS; i++) {
        bool met = true;
        for (size_t c = 0; c < count; c++)
            met = met && model(conditions[c], &rows[i]) == TRUE_;
        if (met)
            used += (size_t)snprintf(text + used, size - used, "%s%d", used == 0 ? "" : ",", i + 1);
    }
}

/* Random conditions over references that may be missing: joins must neither lose nor repeat rows. */
Test(sql, finds_what_a_naive_reading_finds)
{
    fixture f;
    model_row rows[ROWS];
    size_t outer = 0, inner = 0, met = 0;
    random_state = 11;
    setup_sqlite(&f);
    fill(&f, rows);
    nx_order by_id = nx_asc(Post_.id);
    for (int round = 0; round < 6000; round++) {
        node *conditions[2];
        char expected[256];
        size_t count = 1 + dice(2);
        pool_used = 0;
        start(&f, &Post_entity);
        cr_assert_eq(nxi_select_order(&f.select, &f.arena, &by_id, 1, &f.error), NX_OK);
        for (size_t i = 0; i < count; i++) {
            conditions[i] = random_node(3);
            filter(&f, &conditions[i]->expr);
        }
        expected_rows(rows, conditions, count, expected, sizeof(expected));
        nxi_bound bound = bind_verb(&f, NXI_VERB_FETCH);
        cr_assert_str_eq(run_verb(&f, NXI_VERB_FETCH), expected, "%s", bound.statement->sql);
        cr_assert_str_eq(run_verb(&f, NXI_VERB_EXISTS), expected[0] == '\0' ? "" : "1");
        outer += strstr(bound.statement->sql, "LEFT JOIN") != NULL;
        inner += strstr(bound.statement->sql, "INNER JOIN") != NULL;
        met += expected[0] != '\0';
        nxi_arena_reset(&f.arena);
    }
    cr_expect(outer > 100 && inner > 100 && met > 1000, "%zu %zu %zu", outer, inner, met);
    teardown(&f);
}

/* What a row has for an order term. */
static nx_value term_value(const fixture *f, const nxi_term *term, const model_row *row)
{
    if (term->join != 0)
        return model_value(row, AUTHOR_NAME);
    if (term->column == column_of(f, &Post_entity, "score"))
        return model_value(row, SCORE);
    if (term->column == column_of(f, &Post_entity, "author"))
        return model_value(row, AUTHOR_KEY);
    return nx_value_i64(term->column == column_of(f, &Post_entity, "editor") ? row->editor : row->id);
}

static void read_pages(fixture *f, const model_row *rows, unsigned page_rows, char *all, size_t size)
{
    const nxi_select query = f->select;
    size_t used = 0;
    all[0] = '\0';
    for (int pages = 0; pages <= ROWS; pages++) {
        f->select.has_limit = true;
        f->select.limit = page_rows;
        const char *page = run_verb(f, NXI_VERB_FETCH);
        if (page[0] == '\0')
            break;
        used += (size_t)snprintf(all + used, size - used, "%s%s", used == 0 ? "" : ",", page);
        const char *last = strrchr(page, ',');
        int id = 0;
        cr_assert_eq(sscanf(last == NULL ? page : last + 1, "%d", &id), 1);
        nx_value values[NXI_TERMS_MAX];
        f->select = query;
        for (size_t i = 0; i < query.term_count; i++)
            values[i] = term_value(f, &query.terms[i], &rows[id - 1]);
        cr_assert_eq(nxi_select_after(&f->select, &f->arena, values, query.term_count, &f->error), NX_OK, "%s", f->error.message);
    }
}

/* Pages of any order, NULLs and references included, are the whole, each row once; by either way to order NULLs. */
Test(sql, pages_neither_miss_nor_repeat)
{
    fixture f;
    model_row rows[ROWS];
    nxi_dialect dialect = *nxi_driver_sqlite.dialect;
    random_state = 5;
    setup_sqlite(&f);
    fill(&f, rows);
    for (int round = 0; round < 400; round++) {
        nx_path paths[] = { NX_PATH(Post_.score), NX_PATH(Post_.editor), nx_via(Post_.author, Author_.name),
                            NX_PATH(Post_.author) };
        nx_order order[4];
        char whole[4096], paged[512];
        size_t count = dice(4);
        dialect.nulls_first = round % 3 == 0;
        dialect.nulls_clause = round % 3 == 1;
        f.dialect = &dialect;
        nxi_statements_fini(&f.statements);
        nxi_statements_init(&f.statements, f.memory);
        for (size_t i = 0; i < count; i++)
            order[i] = (nx_order){ .path = paths[dice(NXI_COUNT(paths))], .descending = dice(2) == 0 };
        order[count++] = (nx_order){ .path = NX_PATH(Post_.id), .descending = dice(2) == 0 };
        start(&f, &Post_entity);
        cr_assert_eq(nxi_select_order(&f.select, &f.arena, order, count, &f.error), NX_OK);
        if (dice(2) == 0)
            filter(&f, nx_gt(Post_.id, 3));
        snprintf(whole, sizeof(whole), "%s", run_verb(&f, NXI_VERB_FETCH));
        read_pages(&f, rows, 1 + dice(7), paged, sizeof(paged));
        cr_assert_str_eq(paged, whole, "round %d: %s", round, bind_verb(&f, NXI_VERB_FETCH).statement->sql);
        nxi_arena_reset(&f.arena);
    }
    teardown(&f);
}

Test(sql, nulls_come_first)
{
    fixture f;
    nxi_dialect dialect = *nxi_driver_sqlite.dialect;
    setup_sqlite(&f);
    run_script(&f, "INSERT INTO post (id, title, score) VALUES (1, 'a', 5), (2, 'b', NULL), (3, 'c', 4)");
    for (int own = 0; own < 3; own++) {
        dialect.nulls_first = own == 1;
        dialect.nulls_clause = own == 2;
        f.dialect = &dialect;
        nxi_statements_fini(&f.statements);
        nxi_statements_init(&f.statements, f.memory);
        for (int descending = 0; descending < 2; descending++) {
            nx_order order = { .path = NX_PATH(Post_.score), .descending = descending == 1 };
            start(&f, &Post_entity);
            cr_assert_eq(nxi_select_order(&f.select, &f.arena, &order, 1, &f.error), NX_OK);
            cr_expect_str_eq(run_verb(&f, NXI_VERB_FETCH), descending == 1 ? "1,3,2" : "2,3,1");
        }
    }
    teardown(&f);
}

/* Goal: values come in the query's order, also over references and by any way to order NULLs, and NULLs are left out. */
Test(sql, values_as_one_text)
{
    fixture f;
    char text[64];
    setup_sqlite(&f);
    run_script(&f, "INSERT INTO author (id, name) VALUES (91, 'b'), (92, 'a')");
    run_script(&f, "INSERT INTO post (id, title, score, author_id) VALUES (1, 'x', 5, 91), (2, 'y', NULL, 92), (3, 'z', 4, 92)");
    nx_assignment titles = { Post_.title, nx_value_str("', ?") }, scores = { Post_.score, nx_value_str("") };
    const struct {
        nx_order order;
        const nx_assignment *ask;
        const char *wanted;
    } cases[] = {
        { nx_asc(Post_.id), &titles, "x', ?y', ?z" },
        { nx_desc(Post_.title), &titles, "z', ?y', ?x" },
        { nx_asc(Post_.score), &titles, "y', ?z', ?x" },
        { nx_asc(nx_via(Post_.author, Author_.name)), &scores, "45" },
        { nx_desc(Post_.id), &scores, "45" },
    };
    for (size_t i = 0; i < NXI_COUNT(cases); i++) {
        nxi_bound bound;
        start(&f, &Post_entity);
        filter(&f, nx_gt(Post_.id, 0));
        cr_assert_eq(nxi_select_order(&f.select, &f.arena, &cases[i].order, 1, &f.error), NX_OK);
        nx_status status = nxi_select_bind(&f.select, NXI_VERB_CONCAT, cases[i].ask->column, cases[i].ask, 1, f.dialect,
                                           &f.statements, &f.arena, &bound, &f.error);
        cr_assert_eq(status, NX_OK, "%s", f.error.message);
        run_sqlite(&f, bound.statement, bound.values, bound.count, text, sizeof(text));
        cr_expect_str_eq(text, cases[i].wanted, "case %zu: %s: %s", i, bound.statement->sql, text);
    }
    teardown(&f);
}

static nxi_bound bind_write(fixture *f, nxi_verb verb, const nx_assignment *assignments, size_t count)
{
    nxi_bound bound;
    nx_column none = { .field = UINT16_MAX };
    nx_status status =
        nxi_select_bind(&f->select, verb, none, assignments, count, f->dialect, &f->statements, &f->arena, &bound, &f->error);
    cr_assert_eq(status, NX_OK, "%s", f->error.message);
    return bound;
}

Test(sql, set_based_writes_over_references)
{
    fixture f;
    char text[64];
    setup_sqlite(&f);
    run_script(&f, "INSERT INTO post (id, title, author_id, city_region, city_code) VALUES (1, 'a', 1, 1, 'b'), (2, 'b', 2, 2, "
                   "'b'), (3, 'c', NULL, NULL, NULL)");
    nx_assignment set[] = { nx_assign(Post_.score, 10), nx_assign(Post_.city, nx_null()), nx_assign(Post_.like, 4) };
    filter(&f, nx_or(nx_eq(nx_via(Post_.author, Author_.country, Country_.name), "Germany"),
                     nx_eq(nx_via(Post_.city, City_.name), "Bordeaux")));
    nxi_bound bound = bind_write(&f, NXI_VERB_UPDATE, set, 3);
    cr_expect_eq(run_sqlite(&f, bound.statement, bound.values, bound.count, text, sizeof(text)), 2);
    start(&f, &Post_entity);
    filter(&f, nx_and(nx_eq(Post_.score, 10), nx_is_null(Post_.city), nx_eq(Post_.version, 2), nx_eq(Post_.like, 4)));
    cr_expect_str_eq(run_verb(&f, NXI_VERB_COUNT), "2");
    start(&f, &Post_entity);
    filter(&f, nx_eq(nx_via(Post_.author, Author_.name), "Ada"));
    bound = bind_write(&f, NXI_VERB_DELETE, NULL, 0);
    cr_expect_eq(run_sqlite(&f, bound.statement, bound.values, bound.count, text, sizeof(text)), 1);
    start(&f, &Post_entity);
    bound = bind_write(&f, NXI_VERB_DELETE, NULL, 0);
    cr_expect_str_eq(bound.statement->sql, "DELETE FROM \"post\"");
    cr_expect_eq(run_sqlite(&f, bound.statement, bound.values, bound.count, text, sizeof(text)), 2);
    teardown(&f);
}

/* Rows with a composite key are found by EXISTS. */
#define STREET(FIELD, E)                                                                                                         \
    FIELD(E, PK, i32, number, .caller_assigned = true)                                                                           \
    FIELD(E, PK, text, name)                                                                                                     \
    FIELD(E, SINGLE, City, city)
NX_ENTITY(Street, STREET)

Test(sql, set_based_writes_with_composite_keys)
{
    static const nx_entity *const entities[] = { &City_entity, &Street_entity };
    fixture f;
    char text[64];
    setup_sqlite(&f);
    cr_assert_eq(nxi_tables_build(&f.mapping, f.dialect, entities, 2, &f.tables, &f.error), NX_OK, "%s", f.error.message);
    run_script(&f, "CREATE TABLE street (number INTEGER, name TEXT, city_region INTEGER, city_code TEXT);"
                   "INSERT INTO street VALUES (1, 'x', 1, 'b'), (1, 'y', 2, 'b'), (2, 'x', 1, 'h')");
    start(&f, &Street_entity);
    filter(&f, nx_or(nx_eq(nx_via(Street_.city, City_.name), "Berlin"), nx_eq(nx_via(Street_.city, City_.name), "Hamburg")));
    nxi_bound bound = bind_write(&f, NXI_VERB_DELETE, NULL, 0);
    cr_expect_str_eq(bound.statement->sql,
                     "DELETE FROM \"street\" WHERE EXISTS (SELECT 1 FROM \"street\" AS \"t0\" INNER JOIN \"city\" AS \"t1\" ON "
                     "\"t1\".\"region\" = \"t0\".\"city_region\" AND \"t1\".\"code\" = \"t0\".\"city_code\" WHERE "
                     "\"t0\".\"number\" = \"street\".\"number\" "
                     "AND \"t0\".\"name\" = \"street\".\"name\" AND (\"t1\".\"name\" = ? OR \"t1\".\"name\" = ?))");
    cr_expect_eq(run_sqlite(&f, bound.statement, bound.values, bound.count, text, sizeof(text)), 2);
    cr_assert_eq(nxi_select_where(&f.select, &f.arena, "number = 1", nx_no_args, &f.error), NX_OK);
    teardown(&f);
}

/* Long lists are one parameter on SQLite; all kinds of text survive. */
Test(sql, long_lists)
{
    enum { LONG = 5000 };
    fixture f;
    static nx_value ids[LONG], titles[LONG];
    static char texts[LONG][24];
    setup_sqlite(&f);
    run_script(&f, "INSERT INTO post (id, title) VALUES (1, 'a\"b\\c'), (2, 'tab\there'), (4999, '\xc3\xa4'), (6000, 'z')");
    for (int i = 0; i < LONG; i++) {
        ids[i] = nx_value_i64(i);
        snprintf(texts[i], sizeof(texts[i]), "text %d", i);
        titles[i] = nx_value_str(texts[i]);
    }
    titles[7] = nx_value_str("a\"b\\c");
    titles[8] = nx_value_str("tab\there");
    titles[9] = nx_value_str("\xc3\xa4");
    filter(&f, nx_in_values(Post_.id, ids, LONG));
    cr_expect_str_eq(run_verb(&f, NXI_VERB_FETCH), "1,2,4999");
    filter(&f, nx_in_values(Post_.title, titles, LONG));
    cr_expect_str_eq(run_verb(&f, NXI_VERB_FETCH), "1,2,4999");
    start(&f, &Post_entity);
    filter(&f, nx_not_in_values(Post_.title, titles, LONG));
    cr_expect_str_eq(run_verb(&f, NXI_VERB_FETCH), "6000");
    teardown(&f);
}

Test(sql, patterns_mean_what_they_say)
{
    fixture f;
    setup_sqlite(&f);
    run_script(&f, "INSERT INTO post (id, title) VALUES (1, '100%'), (2, '100 percent'), (3, 'a_b'), (4, 'axb'), (5, "
                   "'back\\slash'), (6, 'ABC')");
    start(&f, &Post_entity);
    filter(&f, nx_starts_with(Post_.title, "100%"));
    cr_expect_str_eq(run_verb(&f, NXI_VERB_FETCH), "1");
    start(&f, &Post_entity);
    filter(&f, nx_contains(Post_.title, "_"));
    cr_expect_str_eq(run_verb(&f, NXI_VERB_FETCH), "3");
    start(&f, &Post_entity);
    filter(&f, nx_contains(Post_.title, "\\"));
    cr_expect_str_eq(run_verb(&f, NXI_VERB_FETCH), "5");
    start(&f, &Post_entity);
    filter(&f, nx_like(Post_.title, "a%"));
    cr_expect_str_eq(run_verb(&f, NXI_VERB_FETCH), "3,4");
    start(&f, &Post_entity);
    filter(&f, nx_ilike(Post_.title, "abc"));
    cr_expect_str_eq(run_verb(&f, NXI_VERB_FETCH), "6");
    teardown(&f);
}
