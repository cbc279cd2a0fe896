/*
 * statement: shapes find what was added for them; failures change nothing. raw: users' SQL keeps its meaning.
 */
#include "query_fixture.h"

Test(statement, found_by_shape)
{
    nxi_memory *memory = nxi_memory_new(0);
    nxi_statements statements;
    nxi_statements_init(&statements, memory);
    for (uint32_t i = 0; i < 1000; i++) {
        char sql[32];
        nxi_param params[2] = { { .from_snapshot = true } };
        int size = snprintf(sql, sizeof(sql), "SELECT %u", i);
        nxi_statement prototype = { .sql = sql, .sql_size = (size_t)size, .params = params, .param_count = 2 };
        cr_assert_null(nxi_statements_find(&statements, &i, sizeof(i)));
        nxi_statement *made = nxi_statements_add(&statements, &i, sizeof(i), &prototype);
        cr_assert_not_null(made);
        cr_expect_eq(made->id, i + 1, "dense");
        cr_expect_neq(made->sql, sql, "copied");
        cr_expect_neq(made->params, params, "copied");
        cr_expect(made->params[0].from_snapshot);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        const nxi_statement *found = nxi_statements_find(&statements, &i, sizeof(i));
        cr_assert_not_null(found);
        cr_expect_eq(found->id, i + 1);
        cr_expect_eq(statements.list[i], found);
        cr_expect_null(nxi_statements_find(&statements, &i, sizeof(i) - 1), "a part of a shape is another shape");
    }
    nxi_statements_fini(&statements);
    nxi_memory_free(memory);
}

/* Goal: what the prototype's description points to may be gone, or used for something else, once the statement is made. */
Test(statement, the_description_of_a_write_is_copied)
{
    nxi_column columns[4] = { { .name = "a" } };
    const nxi_column *lists[4] = { &columns[0], &columns[1], &columns[2], &columns[3] };
    nxi_write_form form = { .verb = NXI_WRITE_VERB_UPDATE,
                            .rule = NX_CONFLICT_UPDATE,
                            .use_version = true,
                            .columns = lists,
                            .column_count = 1,
                            .compare = lists + 1,
                            .compare_count = 1,
                            .conflict_key = lists + 2,
                            .conflict_key_count = 1,
                            .conflict_update = lists + 3,
                            .conflict_update_count = 1 };
    nxi_statement prototype = { .sql = "UPDATE", .sql_size = 6, .write = &form };
    for (uint64_t n = 1; n < 50; n++) {
        nxi_memory *memory = nxi_memory_new(0);
        nxi_statements statements;
        nxi_statements_init(&statements, memory);
        nxi_memory_fail(n, true);
        const nxi_statement *made = nxi_statements_add(&statements, "shape", 5, &prototype);
        nxi_memory_fail(0, false);
        if (made == NULL)
            made = nxi_statements_add(&statements, "shape", 5, &prototype);
        cr_assert_not_null(made);
        nxi_write_form before = form;
        memset(lists, 0, sizeof(lists));
        memset(&form, 0, sizeof(form));
        const nxi_write_form *write = made->write;
        cr_expect_eq(write->verb, NXI_WRITE_VERB_UPDATE);
        cr_expect_eq(write->rule, NX_CONFLICT_UPDATE);
        cr_expect(write->use_version);
        cr_expect(write->column_count == 1 && write->columns[0] == &columns[0]);
        cr_expect(write->compare_count == 1 && write->compare[0] == &columns[1]);
        cr_expect(write->conflict_key_count == 1 && write->conflict_key[0] == &columns[2]);
        cr_expect(write->conflict_update_count == 1 && write->conflict_update[0] == &columns[3]);
        for (size_t i = 0; i < NXI_COUNT(lists); i++)
            lists[i] = &columns[i];
        form = before;
        nxi_statements_fini(&statements);
        nxi_memory_free(memory);
    }
}

static void *refuse(void *context, const nxi_statement *statement)
{
    (void)context;
    (void)statement;
    return NULL;
}

Test(statement, lack_of_memory_changes_nothing)
{
    nxi_statement prototype = { .sql = "SELECT 1", .sql_size = 8 };
    for (uint64_t n = 1; n < 50; n++) {
        nxi_memory *memory = nxi_memory_new(0);
        nxi_statements statements;
        nxi_statements_init(&statements, memory);
        nxi_memory_fail(n, true);
        const nxi_statement *made = nxi_statements_add(&statements, "shape", 5, &prototype);
        nxi_memory_fail(0, false);
        cr_expect_eq(nxi_statements_find(&statements, "shape", 5), made);
        cr_expect_eq(statements.last_id, made == NULL ? 0 : 1);
        if (made == NULL)
            cr_expect_not_null(nxi_statements_add(&statements, "shape", 5, &prototype));
        nxi_statements_fini(&statements);
        nxi_memory_free(memory);
    }
    nxi_memory *memory = nxi_memory_new(0);
    nxi_statements statements;
    nxi_statements_init(&statements, memory);
    statements.stats_new = refuse;
    cr_expect_null(nxi_statements_add(&statements, "shape", 5, &prototype));
    cr_expect_null(nxi_statements_find(&statements, "shape", 5));
    nxi_statements_fini(&statements);
    nxi_memory_free(memory);
}

/* --------------------------------------------------------------------------------------- raw */

static const nxi_statement *raw(fixture *f, const nxi_dialect *dialect, const char *sql)
{
    const nxi_statement *statement = NULL;
    nxi_statements_fini(&f->statements);
    nxi_statements_init(&f->statements, f->memory);
    nx_status status = nxi_statement_raw(sql, dialect, &f->statements, &f->arena, &statement, &f->error);
    cr_assert_eq(status, NX_OK, "%s: %s", sql, f->error.message);
    return statement;
}

static void raw_is(fixture *f, const nxi_dialect *dialect, const char *sql, const char *expected, size_t params)
{
    const nxi_statement *statement = raw(f, dialect, sql);
    cr_expect_str_eq(statement->sql, expected);
    cr_expect_eq(statement->param_count, params, "%s", sql);
}

Test(raw, placeholders)
{
    fixture f;
    setup(&f, &seal);
    const nxi_dialect *lite = nxi_driver_sqlite.dialect;
    raw_is(&f, &elephant, "SELECT ?, ?", "SELECT $1, $2", 2);
    raw_is(&f, lite, "SELECT ?, ?", "SELECT ?, ?", 2);
    raw_is(&f, &elephant, "a ?? b", "a ? b", 0);
    raw_is(&f, &elephant, "a ???", "a ?$1", 1);
    raw_is(&f, &elephant, "'?' || '''?' || ? -- ?\n + ?", "'?' || '''?' || $1 -- ?\n + $2", 2);
    raw_is(&f, &elephant, "\"?\" /* ? /* ? */ ? */ ?", "\"?\" /* ? /* ? */ ? */ $1", 1);
    raw_is(&f, lite, "/* /* ? */ ? -- ?", "/* /* ? */ ? -- ?", 1);
    raw_is(&f, lite, "[?] `?` ?", "[?] `?` ?", 1);
    raw_is(&f, &elephant, "$$ ? $$ $a$ ? $$ ? $a$ ?", "$$ ? $$ $a$ ? $$ ? $a$ $1", 1);
    raw_is(&f, &elephant, "a$b ? $1$ ?", "a$b $1 $1$ $2", 2);
    raw_is(&f, &elephant, "E'\\'?' '\\' ?", "E'\\'?' '\\' $1", 1);
    raw_is(&f, &seal, "'\\'?' ?", "'\\'?' ?", 1);
    raw_is(&f, &seal, "# ?\n ? 5--? -- ?", "# ?\n ? 5--? -- ?", 2);
    raw_is(&f, &elephant, "a[?] # ?", "a[$1] # $2", 2);
    teardown(&f);
}

Test(raw, reading_and_writing)
{
    fixture f;
    setup(&f, &seal);
    cr_expect_not(raw(&f, &seal, "  (select 1)")->writes);
    cr_expect_not(raw(&f, &seal, "VALUES (1)")->writes);
    cr_expect(raw(&f, &seal, "WITH a AS (SELECT 1) DELETE FROM post")->writes);
    cr_expect(raw(&f, &seal, "SELECTED")->writes);
    cr_expect(raw(&f, &seal, "UPDATE post SET id = 1")->writes);
    teardown(&f);
}

Test(raw, mistakes)
{
    static const struct {
        const char *sql;
        nx_status status;
        int position;
    } cases[] = {
        { "", NX_EINVAL, 0 },
        { "SELECT 'a", NX_ESYNTAX, 8 },
        { "SELECT '\xc3\xa4' \"a", NX_ESYNTAX, 12 },
        { "SELECT 'a''", NX_ESYNTAX, 8 },
        { "SELECT /* a", NX_ESYNTAX, 8 },
        { "SELECT /*/", NX_ESYNTAX, 8 },
        { "SELECT $$ a $ ", NX_ESYNTAX, 8 },
        { "SELECT ?1", NX_ESYNTAX, 8 },
        { "SELECT \xff", NX_EENCODING, 8 },
    };
    fixture f;
    const nxi_statement *statement = NULL;
    setup(&f, &elephant);
    for (size_t i = 0; i < NXI_COUNT(cases); i++) {
        memset(&f.error, 0, sizeof(f.error));
        cr_expect_eq(nxi_statement_raw(cases[i].sql, &elephant, &f.statements, &f.arena, &statement, &f.error), cases[i].status,
                     "%s", cases[i].sql);
        cr_expect_eq(f.error.position, cases[i].position, "%s: %s", cases[i].sql, f.error.message);
    }
    cr_expect_eq(nxi_statement_raw(NULL, &elephant, &f.statements, &f.arena, &statement, &f.error), NX_EINVAL);
    char many[2 * 101 + 1];
    for (int i = 0; i < 101; i++)
        memcpy(many + 2 * i, "?,", 2);
    many[202] = '\0';
    cr_expect_eq(nxi_statement_raw(many, &elephant, &f.statements, &f.arena, &statement, &f.error), NX_ELIMIT);
    cr_expect_null(statement);
    cr_expect_eq(f.statements.last_id, 0);
    teardown(&f);
}

Test(raw, interning_is_bounded)
{
    fixture f;
    const nxi_statement *statement, *again;
    char sql[64];
    setup(&f, &elephant);
    for (int i = 0; i < NXI_RAW_TEXTS_MAX + 10; i++) {
        snprintf(sql, sizeof(sql), "SELECT %d, ?", i);
        cr_assert_eq(nxi_statement_raw(sql, &elephant, &f.statements, &f.arena, &statement, &f.error), NX_OK);
        cr_assert_eq(nxi_statement_raw(sql, &elephant, &f.statements, &f.arena, &again, &f.error), NX_OK);
        cr_expect_eq(statement->id != 0, i < NXI_RAW_TEXTS_MAX);
        cr_expect_eq(statement == again, i < NXI_RAW_TEXTS_MAX);
        snprintf(sql, sizeof(sql), "SELECT %d, $1", i);
        cr_expect_str_eq(again->sql, sql);
        cr_expect_eq(again->param_count, 1);
    }
    cr_expect_eq(f.statements.last_id, (uint32_t)NXI_RAW_TEXTS_MAX);
    teardown(&f);
    setup(&f, &elephant);
    char *big = nxi_arena_get(&f.arena, NXI_RAW_TEXT_BYTES_MAX + 10, 1);
    memset(big, ' ', NXI_RAW_TEXT_BYTES_MAX + 9);
    memcpy(big, "SELECT 1", 8);
    big[NXI_RAW_TEXT_BYTES_MAX + 9] = '\0';
    cr_assert_eq(nxi_statement_raw(big, &elephant, &f.statements, &f.arena, &statement, &f.error), NX_OK);
    cr_expect_eq(statement->id, 0, "too long to keep");
    teardown(&f);
}

/* What SQLite counts is what we count. */
Test(raw, agrees_with_sqlite)
{
    static const char *const pieces[] = { "?", "'", "\"", "`", "[", "]", "--", "/*", "*/", "\n", " ", "a", ",", "''", "-", "/" };
    fixture f;
    uint64_t state = 3;
    size_t compared = 0;
    setup_sqlite(&f);
    for (int round = 0; round < 20000; round++) {
        char sql[128] = "SELECT 1 ";
        for (int i = 0; i < 10; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const char *piece = pieces[(state >> 33) % NXI_COUNT(pieces)];
            memcpy(sql + strlen(sql), piece, strlen(piece) + 1);
        }
        const nxi_statement *statement = NULL;
        nx_status status = nxi_statement_raw(sql, f.dialect, &f.statements, &f.arena, &statement, &f.error);
        sqlite3_stmt *stmt = NULL;
        if (status == NX_OK && strstr(sql, "??") == NULL && sqlite3_prepare_v2(f.db, sql, -1, &stmt, NULL) == SQLITE_OK &&
            stmt != NULL) {
            cr_expect_str_eq(statement->sql, sql);
            cr_expect_eq((size_t)sqlite3_bind_parameter_count(stmt), statement->param_count, "%s", sql);
            compared++;
        }
        sqlite3_finalize(stmt);
        nxi_arena_reset(&f.arena);
    }
    cr_expect_gt(compared, 100U);
    teardown(&f);
}
