/*
 * sql: SQLite runs what is rendered and finds the rows that a naive reading of the query finds; statements that write rows
 * have the text and the parameters that they should.
 */
#include <stdarg.h>

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

/* ------------------------------------------------------------------------ statements of rows */

static const nxi_column *const *columns_of(const fixture *f, const nx_entity *entity, size_t *count, ...)
    __attribute__((sentinel));
static const nxi_column *const *columns_of(const fixture *f, const nx_entity *entity, size_t *count, ...)
{
    static const nxi_column *lists[4][16];
    static size_t next;
    const nxi_column **list = lists[next++ % NXI_COUNT(lists)];
    va_list names;
    *count = 0;
    va_start(names, count);
    for (const char *name = va_arg(names, const char *); name != NULL; name = va_arg(names, const char *))
        list[(*count)++] = column_of(f, entity, name);
    va_end(names);
    return list;
}

static const nxi_statement *insert(fixture *f, const nx_entity *entity, const nxi_column *const *columns, size_t count,
                                   const nxi_conflict *conflict)
{
    const nxi_statement *statement = NULL, *again = NULL;
    cr_assert_eq(nxi_statement_insert(table_of(f, entity), columns, count, conflict, f->dialect, &f->statements, &statement),
                 NX_OK);
    cr_assert_eq(nxi_statement_insert(table_of(f, entity), columns, count, conflict, f->dialect, &f->statements, &again), NX_OK);
    cr_expect_eq(statement, again, "interned");
    cr_expect(statement->writes);
    cr_expect_eq(statement->table, table_of(f, entity));
    return statement;
}

/* A list of columns of the description, as names. */
static void expect_columns(const nxi_column *const *columns, size_t count, const char *names, int line)
{
    char text[256] = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%s%s", i == 0 ? "" : " ", columns[i]->name);
    }
    cr_expect_str_eq(text, names, "line %d: %s", line, text);
}
#define EXPECT_COLUMNS(form, list, names) expect_columns((form)->list##s, (form)->list##_count, (names), __LINE__)
#define EXPECT_LIST(form, list, names)    expect_columns((form)->list, (form)->list##_count, (names), __LINE__)

/* Goal: a driver that writes many rows finds all that the text says. */
Test(rowsql, inserts_are_described)
{
    fixture f;
    size_t count, key_count, update_count;
    setup(&f, &elephant);
    const nxi_column *const *columns = columns_of(&f, &Post_entity, &count, "id", "title", "score", "touched", "version", NULL);
    const nxi_write_form *form = insert(&f, &Post_entity, columns, count, NULL)->write;
    cr_expect_eq(form->verb, NXI_WRITE_VERB_INSERT);
    cr_expect_eq(form->rule, NX_CONFLICT_ERROR);
    EXPECT_COLUMNS(form, column, "id title score touched version");
    EXPECT_LIST(form, conflict_key, "");
    nxi_conflict conflict = { .rule = NX_CONFLICT_IGNORE };
    form = insert(&f, &Post_entity, columns, count, &conflict)->write;
    cr_expect_eq(form->rule, NX_CONFLICT_IGNORE);
    EXPECT_LIST(form, conflict_key, "id");
    EXPECT_LIST(form, conflict_update, "");
    conflict.rule = NX_CONFLICT_UPDATE;
    form = insert(&f, &Post_entity, columns, count, &conflict)->write;
    cr_expect_eq(form->rule, NX_CONFLICT_UPDATE);
    EXPECT_LIST(form, conflict_key, "id");
    EXPECT_LIST(form, conflict_update, "title score");
    form = insert(&f, &Post_entity, columns, 1, &conflict)->write;
    EXPECT_LIST(form, conflict_update, "");
    cr_expect_str_eq(insert(&f, &Post_entity, columns, 1, &conflict)->sql,
                     "INSERT INTO \"post\" (\"id\") VALUES ($1) ON CONFLICT (\"id\") DO NOTHING");
    conflict.key = columns_of(&f, &Post_entity, &key_count, "title", NULL);
    conflict.key_count = key_count;
    conflict.update = columns_of(&f, &Post_entity, &update_count, "version", "score", NULL);
    conflict.update_count = update_count;
    form = insert(&f, &Post_entity, columns, count, &conflict)->write;
    EXPECT_LIST(form, conflict_key, "title");
    EXPECT_LIST(form, conflict_update, "score");
    columns = columns_of(&f, &City_entity, &count, "region", "code", "name", NULL);
    conflict = (nxi_conflict){ .rule = NX_CONFLICT_UPDATE };
    form = insert(&f, &City_entity, columns, count, &conflict)->write;
    EXPECT_LIST(form, conflict_key, "region code");
    EXPECT_LIST(form, conflict_update, "name");
    teardown(&f);
}

Test(rowsql, updates_and_deletes_are_described)
{
    fixture f;
    size_t count, compare_count;
    const nxi_statement *s = NULL;
    setup(&f, &elephant);
    const nxi_table *post = table_of(&f, &Post_entity), *author = table_of(&f, &Author_entity);
    const nxi_column *const *columns = columns_of(&f, &Post_entity, &count, "title", "version", "score", NULL);
    const nxi_column *const *compare = columns_of(&f, &Post_entity, &compare_count, "title", "score", NULL);
    cr_assert_eq(nxi_statement_update(post, columns, count, compare, compare_count, true, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_eq(s->write->verb, NXI_WRITE_VERB_UPDATE);
    cr_expect(s->write->use_version);
    EXPECT_COLUMNS(s->write, column, "title score");
    EXPECT_LIST(s->write, compare, "title score");
    columns = columns_of(&f, &Author_entity, &count, "name", NULL);
    cr_assert_eq(nxi_statement_update(author, columns, count, NULL, 0, true, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_not(s->write->use_version, "there is none");
    EXPECT_LIST(s->write, compare, "");
    cr_assert_eq(nxi_statement_delete(post, compare, compare_count, false, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_eq(s->write->verb, NXI_WRITE_VERB_DELETE);
    cr_expect_not(s->write->use_version);
    EXPECT_COLUMNS(s->write, column, "");
    EXPECT_LIST(s->write, compare, "title score");
    cr_assert_eq(nxi_statement_by_key(post, compare, 1, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_null(s->write, "it reads");
    teardown(&f);
}

Test(rowsql, insert)
{
    fixture f;
    size_t count;
    setup(&f, &elephant);
    const nxi_column *const *columns = columns_of(&f, &Author_entity, &count, "name", "born", NULL);
    const nxi_statement *s = insert(&f, &Author_entity, columns, count, NULL);
    cr_expect_str_eq(s->sql, "INSERT INTO \"author\" (\"name\", \"born\") VALUES ($1, $2)");
    cr_expect_eq(s->key_column, column_of(&f, &Author_entity, "id"));
    cr_expect_eq(s->param_count, 2);
    cr_expect_eq(s->params[1].column, columns[1]);
    cr_expect_not(s->params[1].from_snapshot);
    columns = columns_of(&f, &Author_entity, &count, "id", "name", NULL);
    cr_expect_null(insert(&f, &Author_entity, columns, count, NULL)->key_column, "the key is given");
    cr_expect_str_eq(insert(&f, &Author_entity, NULL, 0, NULL)->sql, "INSERT INTO \"author\" DEFAULT VALUES");
    teardown(&f);
    setup(&f, &seal);
    cr_expect_str_eq(insert(&f, &Author_entity, NULL, 0, NULL)->sql, "INSERT INTO `author` () VALUES ()");
    teardown(&f);
}

Test(rowsql, insert_with_conflicts)
{
    fixture f;
    size_t count, key_count, update_count;
    setup(&f, &elephant);
    const nxi_column *const *columns = columns_of(&f, &Post_entity, &count, "id", "title", "score", "version", NULL);
    nxi_conflict conflict = { .rule = NX_CONFLICT_IGNORE };
    const char *start_of =
        "INSERT INTO \"post\" (\"id\", \"title\", \"score\", \"version\") VALUES ($1, $2, $3, $4) ON CONFLICT ";
    char expected[512];
    snprintf(expected, sizeof(expected), "%s(\"id\") DO NOTHING", start_of);
    cr_expect_str_eq(insert(&f, &Post_entity, columns, count, &conflict)->sql, expected);
    conflict.rule = NX_CONFLICT_UPDATE;
    snprintf(expected, sizeof(expected),
             "%s(\"id\") DO UPDATE SET \"title\" = excluded.\"title\", \"score\" = excluded.\"score\", \"version\" = "
             "\"post\".\"version\" + 1",
             start_of);
    cr_expect_str_eq(insert(&f, &Post_entity, columns, count, &conflict)->sql, expected);
    conflict.key = columns_of(&f, &Post_entity, &key_count, "title", NULL);
    conflict.key_count = key_count;
    conflict.update = columns_of(&f, &Post_entity, &update_count, "score", NULL);
    conflict.update_count = update_count;
    snprintf(expected, sizeof(expected),
             "%s(\"title\") DO UPDATE SET \"score\" = excluded.\"score\", \"version\" = \"post\".\"version\" + 1", start_of);
    cr_expect_str_eq(insert(&f, &Post_entity, columns, count, &conflict)->sql, expected);
    teardown(&f);
    setup(&f, &seal);
    columns = columns_of(&f, &Author_entity, &count, "id", "name", NULL);
    conflict = (nxi_conflict){ .rule = NX_CONFLICT_IGNORE };
    cr_expect_str_eq(insert(&f, &Author_entity, columns, count, &conflict)->sql,
                     "INSERT IGNORE INTO `author` (`id`, `name`) VALUES (?, ?)");
    conflict.rule = NX_CONFLICT_UPDATE;
    cr_expect_str_eq(insert(&f, &Author_entity, columns, count, &conflict)->sql,
                     "INSERT INTO `author` (`id`, `name`) VALUES (?, ?) ON DUPLICATE KEY UPDATE `name` = VALUES(`name`)");
    teardown(&f);
}

Test(rowsql, update_and_delete)
{
    fixture f;
    size_t count, compare_count;
    const nxi_statement *s = NULL;
    setup(&f, &elephant);
    const nxi_table *post = table_of(&f, &Post_entity);
    const nxi_column *const *columns = columns_of(&f, &Post_entity, &count, "title", "version", NULL);
    const nxi_column *const *compare = columns_of(&f, &Post_entity, &compare_count, "title", "score", NULL);
    cr_assert_eq(nxi_statement_update(post, columns, count, compare, compare_count, true, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_str_eq(s->sql,
                     "UPDATE \"post\" SET \"title\" = $1, \"version\" = \"version\" + 1 WHERE \"id\" = $2 AND \"version\" = $3 "
                     "AND \"title\" = $4 AND \"score\" IS NOT DISTINCT FROM $5");
    cr_assert_eq(s->param_count, 5);
    bool from_snapshot[] = { false, false, false, true, true };
    const char *fields[] = { "title", "id", "version", "title", "score" };
    for (size_t i = 0; i < 5; i++) {
        cr_expect_eq(s->params[i].from_snapshot, from_snapshot[i]);
        cr_expect_eq(s->params[i].column, column_of(&f, &Post_entity, fields[i]));
    }
    cr_assert_eq(nxi_statement_update(post, columns, 1, NULL, 0, false, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_str_eq(s->sql, "UPDATE \"post\" SET \"title\" = $1, \"version\" = \"version\" + 1 WHERE \"id\" = $2");
    cr_assert_eq(nxi_statement_update(post, columns + 1, 1, NULL, 0, true, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_str_eq(s->sql, "UPDATE \"post\" SET \"version\" = \"version\" + 1 WHERE \"id\" = $1 AND \"version\" = $2");
    cr_expect_eq(nxi_statement_update(table_of(&f, &Author_entity), NULL, 0, NULL, 0, false, f.dialect, &f.statements, &s),
                 NX_EINVAL);
    cr_assert_eq(nxi_statement_delete(post, compare, compare_count, true, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_str_eq(
        s->sql,
        "DELETE FROM \"post\" WHERE \"id\" = $1 AND \"version\" = $2 AND \"title\" = $3 AND \"score\" IS NOT DISTINCT FROM $4");
    cr_assert_eq(nxi_statement_delete(table_of(&f, &City_entity), NULL, 0, false, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_str_eq(s->sql, "DELETE FROM \"city\" WHERE \"region\" = $1 AND \"code\" = $2");
    teardown(&f);
}

Test(rowsql, by_key)
{
    fixture f;
    size_t count;
    const nxi_statement *s = NULL;
    setup(&f, &seal);
    const nxi_table *post = table_of(&f, &Post_entity);
    const nxi_column *const *columns = columns_of(&f, &Post_entity, &count, "body", "author", NULL);
    cr_assert_eq(nxi_statement_by_key(post, columns, count, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_str_eq(s->sql, "SELECT `body`, `author_id` FROM `post` WHERE `id` = ?");
    cr_expect_eq(s->result_count, 2);
    cr_expect_eq(s->results[1], columns[1]);
    cr_expect_eq(s->lazy_missing, 0);
    cr_expect_eq(s->param_count, 1);
    cr_expect_not(s->writes);
    cr_assert_eq(nxi_statement_by_key(post, columns + 1, 1, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_eq(s->lazy_missing, post->lazy_mask);
    cr_expect_eq(nxi_statement_by_key(post, columns, 0, f.dialect, &f.statements, &s), NX_EINVAL);
    teardown(&f);
}

/* Statements of one table never stand for another's, nor those of one kind for another kind. */
Test(rowsql, shapes_differ)
{
    fixture f;
    size_t count;
    const nxi_statement *made[8] = { NULL };
    setup(&f, &seal);
    const nxi_column *const *author = columns_of(&f, &Author_entity, &count, "id", "name", NULL);
    const nxi_column *const *country = columns_of(&f, &Country_entity, &count, "code", "name", NULL);
    nxi_statements *list = &f.statements;
    nx_status status = nxi_statement_insert(table_of(&f, &Author_entity), author, 2, NULL, f.dialect, list, &made[0]);
    status = status == NX_OK ? nxi_statement_insert(table_of(&f, &Country_entity), country, 2, NULL, f.dialect, list, &made[1])
                             : status;
    status = status == NX_OK
                 ? nxi_statement_update(table_of(&f, &Author_entity), author, 2, NULL, 0, false, f.dialect, list, &made[2])
                 : status;
    status = status == NX_OK
                 ? nxi_statement_update(table_of(&f, &Author_entity), author, 1, author + 1, 1, false, f.dialect, list, &made[3])
                 : status;
    status = status == NX_OK ? nxi_statement_delete(table_of(&f, &Author_entity), author, 2, false, f.dialect, list, &made[4])
                             : status;
    status = status == NX_OK ? nxi_statement_by_key(table_of(&f, &Author_entity), author, 2, f.dialect, list, &made[5]) : status;
    status =
        status == NX_OK ? nxi_statement_by_key(table_of(&f, &Country_entity), country, 2, f.dialect, list, &made[6]) : status;
    status =
        status == NX_OK ? nxi_statement_delete(table_of(&f, &Author_entity), NULL, 0, false, f.dialect, list, &made[7]) : status;
    cr_assert_eq(status, NX_OK);
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = i + 1; j < 8; j++)
            cr_expect_str_neq(made[i]->sql, made[j]->sql);
    }
    cr_expect_eq(f.statements.last_id, 8U);
    teardown(&f);
}

/* SQLite takes all of them, with their conflicts. */
Test(rowsql, sqlite_runs_them)
{
    fixture f;
    size_t count, key_count;
    char text[64];
    setup_sqlite(&f);
    const nxi_column *const *columns = columns_of(&f, &Post_entity, &count, "title", "score", "version", NULL);
    const nxi_column *const *key = columns_of(&f, &Post_entity, &key_count, "title", NULL);
    nx_value values[] = { nx_value_str("a"), nx_value_i64(1), nx_value_i64(1), nx_value_i64(1), nx_null() };
    const nxi_statement *s = insert(&f, &Post_entity, columns, count, NULL);
    cr_expect_eq(run_sqlite(&f, s, values, 3, text, sizeof(text)), 1);
    nxi_conflict conflict = { .rule = NX_CONFLICT_UPDATE, .key = key, .key_count = 1 };
    s = insert(&f, &Post_entity, columns, count, &conflict);
    values[1] = nx_null();
    cr_expect_eq(run_sqlite(&f, s, values, 3, text, sizeof(text)), 1);
    start(&f, &Post_entity);
    filter(&f, nx_and(nx_is_null(Post_.score), nx_eq(Post_.version, 2)));
    cr_expect_str_eq(run_verb(&f, NXI_VERB_FETCH), "1");
    conflict.rule = NX_CONFLICT_IGNORE;
    s = insert(&f, &Post_entity, columns, count, &conflict);
    run_script(&f, "CREATE TABLE quiet (x)"); /* sqlite3_changes keeps the last count: have one that is not 1 */
    run_script(&f, "INSERT INTO quiet VALUES (1), (2)");
    run_sqlite(&f, s, values, 3, text, sizeof(text));
    cr_expect_str_eq(run_verb(&f, NXI_VERB_COUNT), "1");
    cr_assert_eq(nxi_statement_update(table_of(&f, &Post_entity), key, 1, columns + 1, 1, true, f.dialect, &f.statements, &s),
                 NX_OK);
    nx_value update[] = { nx_value_str("new"), nx_value_i64(1), nx_value_i64(2), nx_null() };
    cr_expect_eq(run_sqlite(&f, s, update, 4, text, sizeof(text)), 1, "IS compares with NULL");
    cr_expect_eq(run_sqlite(&f, s, update, 4, text, sizeof(text)), 0, "the version has moved on");
    cr_assert_eq(nxi_statement_by_key(table_of(&f, &Post_entity), key, 1, f.dialect, &f.statements, &s), NX_OK);
    run_sqlite(&f, s, update + 1, 1, text, sizeof(text));
    cr_expect_str_eq(text, "new");
    cr_assert_eq(nxi_statement_delete(table_of(&f, &Post_entity), NULL, 0, false, f.dialect, &f.statements, &s), NX_OK);
    cr_expect_eq(run_sqlite(&f, s, update + 1, 1, text, sizeof(text)), 1);
    s = insert(&f, &Author_entity, NULL, 0, NULL);
    cr_expect_str_eq(s->sql, "INSERT INTO \"author\" DEFAULT VALUES");
    teardown(&f);
}

Test(rowsql, lack_of_memory)
{
    for (uint64_t n = 1; n < 40; n++) {
        fixture f;
        size_t count;
        const nxi_statement *s = NULL;
        setup(&f, &elephant);
        const nxi_column *const *columns = columns_of(&f, &Post_entity, &count, "title", "score", NULL);
        nxi_memory_fail(n, true);
        nxi_conflict conflict = { .rule = NX_CONFLICT_UPDATE };
        nx_status insert_status =
            nxi_statement_insert(table_of(&f, &Post_entity), columns, count, &conflict, f.dialect, &f.statements, &s);
        nx_status update_status =
            nxi_statement_update(table_of(&f, &Post_entity), columns, count, columns, count, true, f.dialect, &f.statements, &s);
        nxi_memory_fail(0, false);
        cr_expect(insert_status == NX_OK || insert_status == NX_ENOMEM);
        cr_expect(update_status == NX_OK || update_status == NX_ENOMEM);
        cr_expect_eq(f.statements.last_id, (uint32_t)((insert_status == NX_OK) + (update_status == NX_OK)));
        teardown(&f);
    }
}
