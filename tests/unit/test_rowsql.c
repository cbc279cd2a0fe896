/*
 * rowsql: statements that write rows have the text, the parameters and the description that they should; SQLite runs them.
 */
#include <stdarg.h>

#include "query_fixture.h"

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
