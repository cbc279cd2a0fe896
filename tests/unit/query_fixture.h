/*
 * query_fixture - entities, dialects and a database for the tests of queries and SQL.
 *
 * SQLite runs what is rendered for it; the other two dialects are made up of what real ones differ in.
 */
#ifndef QUERY_FIXTURE_H
#define QUERY_FIXTURE_H

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "drivers/driver.h"
#include "engine/select.h"
#include "nextorm.h"

#define COUNTRY(FIELD, E)                                                                          \
    FIELD(E, PK, text, code)                                                                       \
    FIELD(E, REQ, text, name)
#define CITY(FIELD, E)                                                                             \
    FIELD(E, PK, i32, region, .caller_assigned = true)                                             \
    FIELD(E, PK, text, code)                                                                       \
    FIELD(E, REQ, text, name)
#define AUTHOR(FIELD, E)                                                                           \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, name)                                                                      \
    FIELD(E, OPT, i32, born)                                                                       \
    FIELD(E, SINGLE, Country, country, .optional = true)
#define POST(FIELD, E)                                                                             \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, title, .max_len = 20)                                                      \
    FIELD(E, OPT, i32, score, .min = "-1000", .max = "1000")                                       \
    FIELD(E, REQ, boolean, draft)                                                                  \
    FIELD(E, OPT, longtext, body)                                                                  \
    FIELD(E, SINGLE, Author, author, .optional = true)                                             \
    FIELD(E, SINGLE, Author, editor)                                                               \
    FIELD(E, SINGLE, City, city, .optional = true)                                                 \
    FIELD(E, REQ, enumeration, state, .labels = NX_LABELS("new", "done"))                          \
    FIELD(E, OPT, decimal, price)                                                                  \
    FIELD(E, OPT, i64, touched, .is_volatile = true)                                               \
    FIELD(E, REQ, i32, version, .version = true)                                                   \
    FIELD(E, LOCAL, int, scratch)                                                                  \
    FIELD(E, OPT, i32, like, .column = "odd\"name")
NX_ENTITY(Country, COUNTRY)
NX_ENTITY(City, CITY)
NX_ENTITY(Author, AUTHOR)
NX_ENTITY(Post, POST)

typedef struct fixture {
    nxi_memory *memory;
    nxi_arena mapping, arena;
    nxi_tables tables;
    nxi_statements statements;
    const nxi_dialect *dialect;
    nxi_select select;
    nx_error error;
    sqlite3 *db;
} fixture;

/* ---------------------------------------------------------------------------------- dialects */

static size_t plain_list(nx_type type, size_t count)
{
    size_t padded = 1;
    (void)type;
    while (padded < count)
        padded *= 2;
    return padded;
}

static void plain_render(const nxi_column *column, const char *lhs, bool negated, size_t parameters, nxi_buf *sql,
                         void (*placeholder)(void *context, nxi_buf *sql), void *context)
{
    (void)column;
    nxi_buf_printf(sql, "%s %sIN (", lhs, negated ? "NOT " : "");
    for (size_t i = 0; i < parameters; i++) {
        nxi_buf_puts(sql, i == 0 ? "" : ", ");
        placeholder(context, sql);
    }
    nxi_buf_puts(sql, ")");
}

static const nx_value *plain_values(nx_type type, const nx_value *values, size_t count, size_t parameters, nxi_arena *arena)
{
    nx_value *list = NXI_ARENA_ARRAY(arena, nx_value, parameters);
    (void)type;
    for (size_t i = 0; list != NULL && i < parameters; i++)
        list[i] = values[i < count ? i : count - 1];
    return list;
}

static void plain_like(const char *lhs, bool ignore_case, nxi_buf *sql, void (*placeholder)(void *context, nxi_buf *sql),
                       void *context)
{
    nxi_buf_printf(sql, "%s %s ", lhs, ignore_case ? "ILIKE" : "LIKE");
    placeholder(context, sql);
}

#define PLAIN                                                                                      \
    .identifier_bytes_max = 63, .parameters_max = 100, .in_list = plain_list, .in_render = plain_render,  \
    .in_values = plain_values, .like = plain_like, .for_update = "FOR UPDATE",   \
    .for_update_of = true, .nowait = " NOWAIT", .skip_locked = " SKIP LOCKED", .concat = "GROUP_CONCAT("
static const nxi_dialect elephant = {
    .name = "elephant",
    .quote = '"',
    .numbered_parameters = true,
    .null_safe_equal = "IS NOT DISTINCT FROM",
    .random = "RANDOM()",
    .on_conflict = true,
    PLAIN,
};
static const nxi_dialect seal = {
    .name = "seal", .quote = '`', .null_safe_equal = "<=>", .random = "RAND()", .limit_none = "18446744073709551615",
    .nulls_first = true, PLAIN,
};

/* ------------------------------------------------------------------------------------ set-up */

static NXI_UNUSED void setup(fixture *f, const nxi_dialect *dialect)
{
    static const nx_entity *const entities[] = { &Country_entity, &City_entity, &Author_entity, &Post_entity };
    memset(f, 0, sizeof(*f));
    f->memory = nxi_memory_new(0);
    cr_assert_not_null(f->memory);
    f->dialect = dialect;
    nxi_arena_init(&f->mapping, f->memory);
    nxi_arena_init(&f->arena, f->memory);
    nxi_statements_init(&f->statements, f->memory);
    nx_status status = nxi_tables_build(&f->mapping, dialect, entities, NXI_COUNT(entities), &f->tables, &f->error);
    cr_assert_eq(status, NX_OK, "%s", f->error.message);
    nxi_select_init(&f->select, &f->tables, nxi_tables_find(&f->tables, &Post_entity));
}

static NXI_UNUSED void teardown(fixture *f)
{
    sqlite3_close(f->db);
    nxi_statements_fini(&f->statements);
    nxi_arena_fini(&f->arena);
    nxi_arena_fini(&f->mapping);
    nxi_memory_free(f->memory);
}

static NXI_UNUSED const nxi_table *table_of(const fixture *f, const nx_entity *entity)
{
    return nxi_tables_find(&f->tables, entity);
}

static NXI_UNUSED const nxi_column *column_of(const fixture *f, const nx_entity *entity, const char *field)
{
    const nxi_column *column = nxi_table_column(table_of(f, entity), nx_str(field));
    cr_assert_not_null(column, "%s", field);
    return column;
}

/* A fresh query. */
static NXI_UNUSED void start(fixture *f, const nx_entity *entity)
{
    nxi_select_init(&f->select, &f->tables, table_of(f, entity));
}

static NXI_UNUSED void filter(fixture *f, const nx_expr *condition)
{
    cr_assert_eq(nxi_select_filter(&f->select, &f->arena, condition, &f->error), NX_OK, "%s", f->error.message);
}

static NXI_UNUSED nxi_bound bind_verb(fixture *f, nxi_verb verb)
{
    nxi_bound bound;
    nx_column none = { .field = UINT16_MAX };
    nx_status status = nxi_select_bind(&f->select, verb, none, NULL, 0, f->dialect, &f->statements, &f->arena, &bound, &f->error);
    cr_assert_eq(status, NX_OK, "%s", f->error.message);
    cr_assert_eq(bound.statement->param_count, bound.count);
    cr_assert_eq(strlen(bound.statement->sql), bound.statement->sql_size);
    return bound;
}

/* What follows FROM in the SQL of a fetch. */
static NXI_UNUSED const char *tail(fixture *f)
{
    const char *from = strstr(bind_verb(f, NXI_VERB_FETCH).statement->sql, " FROM ");
    cr_assert_not_null(from);
    return from + 6;
}

/* What follows WHERE. */
static NXI_UNUSED const char *where(fixture *f)
{
    const char *found = strstr(tail(f), " WHERE ");
    return found == NULL ? "" : found + 7;
}

static NXI_UNUSED const char *where_of(fixture *f, const nx_expr *condition)
{
    start(f, &Post_entity);
    filter(f, condition);
    return where(f);
}

/* ------------------------------------------------------------------------------------ SQLite */

static NXI_UNUSED void run_script(fixture *f, const char *sql)
{
    char *message = NULL;
    int code = sqlite3_exec(f->db, sql, NULL, NULL, &message);
    cr_assert_eq(code, SQLITE_OK, "%s: %s", sql, message);
}

static NXI_UNUSED void setup_sqlite(fixture *f)
{
    setup(f, nxi_driver_sqlite.dialect);
    cr_assert_eq(sqlite3_open(":memory:", &f->db), SQLITE_OK);
    run_script(f, "PRAGMA case_sensitive_like = ON;"
                  "CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT NOT NULL);"
                  "CREATE TABLE city (region INTEGER, code TEXT, name TEXT NOT NULL, PRIMARY KEY (region, code));"
                  "CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born INTEGER, country_code TEXT);"
                  "CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, score INTEGER, draft BOOLEAN DEFAULT 0,"
                  " body TEXT, author_id INTEGER, editor_id INTEGER DEFAULT 1, city_region INTEGER, city_code TEXT,"
                  " state TEXT DEFAULT 'new', price TEXT, touched INTEGER, version INTEGER DEFAULT 1, \"odd\"\"name\" INTEGER);"
                  "INSERT INTO country VALUES ('de', 'Germany'), ('fr', 'France');"
                  "INSERT INTO city VALUES (1, 'b', 'Berlin'), (1, 'h', 'Hamburg'), (2, 'b', 'Bordeaux');"
                  "INSERT INTO author VALUES (1, 'Ada', 1815, 'de'), (2, 'Bob', NULL, NULL), (3, 'Cy', 1900, 'fr');");
}

static NXI_UNUSED void bind_sqlite(sqlite3_stmt *stmt, const nx_value *values, size_t count)
{
    cr_assert_eq((size_t)sqlite3_bind_parameter_count(stmt), count, "%s", sqlite3_sql(stmt));
    for (size_t i = 0; i < count; i++) {
        const nx_value *v = &values[i];
        int at = (int)i + 1, code = SQLITE_ERROR;
        if (v->type == NX_TYPE_null)
            code = sqlite3_bind_null(stmt, at);
        else if (v->type == NX_TYPE_boolean)
            code = sqlite3_bind_int(stmt, at, v->boolean);
        else if (v->type == NX_TYPE_f64)
            code = sqlite3_bind_double(stmt, at, v->f64);
        else if (v->type >= NX_TYPE_i16 && v->type <= NX_TYPE_u32)
            code = sqlite3_bind_int64(stmt, at, v->i64);
        else if (v->type == NX_TYPE_text || v->type == NX_TYPE_longtext || v->type == NX_TYPE_decimal)
            code = sqlite3_bind_text(stmt, at, v->text.data, (int)v->text.size, SQLITE_TRANSIENT);
        cr_assert_eq(code, SQLITE_OK, "type %s", nx_type_name(v->type));
    }
}

/* Run a statement; the first column of its rows as "1,2,3" in `text`. Returns the changes. */
static NXI_UNUSED int run_sqlite(fixture *f, const nxi_statement *statement, const nx_value *values, size_t count, char *text,
                                 size_t size)
{
    sqlite3_stmt *stmt = NULL;
    size_t used = 0;
    int code = sqlite3_prepare_v2(f->db, statement->sql, -1, &stmt, NULL);
    cr_assert_eq(code, SQLITE_OK, "%s: %s", statement->sql, sqlite3_errmsg(f->db));
    bind_sqlite(stmt, values, count);
    text[0] = '\0';
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        const unsigned char *column = sqlite3_column_text(stmt, 0);
        int written =
            snprintf(text + used, size - used, "%s%s", used == 0 ? "" : ",", column == NULL ? "NULL" : (const char *)column);
        cr_assert_lt((size_t)written, size - used);
        used += (size_t)written;
    }
    cr_assert_eq(code, SQLITE_DONE, "%s: %s", statement->sql, sqlite3_errmsg(f->db));
    sqlite3_finalize(stmt);
    return sqlite3_changes(f->db);
}

/* The query in f->select. */
static NXI_UNUSED const char *run_verb(fixture *f, nxi_verb verb)
{
    static char text[4096];
    nxi_bound bound = bind_verb(f, verb);
    run_sqlite(f, bound.statement, bound.values, bound.count, text, sizeof(text));
    return text;
}

#endif
