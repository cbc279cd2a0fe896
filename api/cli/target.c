/*
 * target - the database that is loaded into, and what its table looks like.
 */
#include "api/cli/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct known_type {
    const char *declared;
    nx_type type;
} known_type;

/* Types that nextorm declares, and the classic ones whose meaning is plain. */
static const known_type sqlite_types[] = {
    { "BOOLEAN", NX_TYPE_boolean },
    { "SMALLINT", NX_TYPE_i16 },
    { "REAL", NX_TYPE_f64 },
    { "TEXT", NX_TYPE_text },
    { "LONGTEXT", NX_TYPE_text },
    { "BLOB", NX_TYPE_bytes },
    { "DECIMAL_TEXT", NX_TYPE_decimal },
    { "JSON_TEXT", NX_TYPE_json },
    { "DATE_TEXT", NX_TYPE_date },
    { "TIME_TEXT", NX_TYPE_time },
    { "TIMESTAMP_TEXT", NX_TYPE_timestamp },
    { "TIMESTAMPTZ_TEXT", NX_TYPE_timestamptz },
    { "INTERVAL", NX_TYPE_interval },
    { "UUID_TEXT", NX_TYPE_uuid },
    { "ULID_TEXT", NX_TYPE_ulid },
    { NULL, NX_TYPE_null },
};

/* The names that format_type gives, without what stands in parentheses. */
static const known_type postgres_types[] = {
    { "boolean", NX_TYPE_boolean },
    { "smallint", NX_TYPE_i16 },
    { "integer", NX_TYPE_i32 },
    { "bigint", NX_TYPE_i64 },
    { "real", NX_TYPE_f64 },
    { "double precision", NX_TYPE_f64 },
    { "numeric", NX_TYPE_decimal },
    { "text", NX_TYPE_text },
    { "character varying", NX_TYPE_text },
    { "character", NX_TYPE_text },
    { "bytea", NX_TYPE_bytes },
    { "json", NX_TYPE_json },
    { "jsonb", NX_TYPE_json },
    { "date", NX_TYPE_date },
    { "time without time zone", NX_TYPE_time },
    { "timestamp without time zone", NX_TYPE_timestamp },
    { "timestamp with time zone", NX_TYPE_timestamptz },
    { "interval", NX_TYPE_interval },
    { "uuid", NX_TYPE_uuid },
    { NULL, NX_TYPE_null },
};

static nx_type find_type(const known_type *types, nx_text word)
{
    while (types->declared != NULL && !same_name(word, nx_str(types->declared)))
        types++;
    return types->type;
}

static bool contains(nx_text text, const char *word)
{
    nx_text part = nx_str(word);

    for (size_t i = 0; i + part.size <= text.size; i++) {
        if (same_name(nx_strn(text.data + i, part.size), part))
            return true;
    }
    return false;
}

nx_type target_sqlite_type(nx_text declared)
{
    const char *parenthesis = declared.size == 0 ? NULL : memchr(declared.data, '(', declared.size);
    nx_text word = declared;

    if (parenthesis != NULL)
        word.size = (size_t)(parenthesis - declared.data);
    nx_type known = find_type(sqlite_types, word);
    if (known != NX_TYPE_null || word.size == 0)
        return known;
    /* SQLite's own rules of affinity; what is left is NUMERIC, which converts texts itself. */
    if (contains(word, "INT"))
        return NX_TYPE_i64;
    if (contains(word, "CHAR") || contains(word, "CLOB") || contains(word, "TEXT"))
        return NX_TYPE_text;
    if (contains(word, "FLOA") || contains(word, "DOUB"))
        return NX_TYPE_f64;
    return NX_TYPE_text;
}

/* "timestamp(3) with time zone" is the name of the type with a modifier inside. */
nx_type target_postgres_type(nx_text declared)
{
    char word[48];
    size_t size = 0;
    bool inside = false;

    for (size_t i = 0; i < declared.size; i++) {
        inside = inside || declared.data[i] == '(';
        if (!inside && size == sizeof(word))
            return NX_TYPE_null;
        if (!inside)
            word[size++] = declared.data[i];
        inside = inside && declared.data[i] != ')';
    }
    return find_type(postgres_types, nx_strn(word, size));
}

static bool report(const char *doing, const nx_error *error, nx_status status)
{
    const char *message = error != NULL && error->message[0] != '\0' ? error->message : nx_status_text(status);

    complain("%s: %s", doing, message);
    return false;
}

bool target_wait(target *self, nx_op op, const char *doing)
{
    nx_completion done = nx_await(self->loop, op);

    return done.status == NX_OK || report(doing, done.error, done.status);
}

static bool take_columns(target *self, const nx_rows *rows)
{
    if (rows == NULL || rows->row_count == 0)
        return true;
    self->columns = take(rows->row_count, sizeof(*self->columns));
    for (size_t i = 0; i < rows->row_count; i++) {
        nx_value name = nx_rows_at(rows, i, 0);
        nx_value type = nx_rows_at(rows, i, 1);
        nx_value key = nx_rows_at(rows, i, 3), numbered = nx_rows_at(rows, i, 4);
        nx_text declared = type.type == NX_TYPE_text ? type.text : nx_str("");

        if (name.type != NX_TYPE_text || key.type != NX_TYPE_i64 || numbered.type != NX_TYPE_i64) {
            complain("%s: cannot read the columns of the table", self->name);
            return false;
        }
        self->columns[i] =
            (target_column){ .name = copy_text(name.text),
                             .type = self->is_server ? target_postgres_type(declared) : target_sqlite_type(declared),
                             .sql_type = self->is_server ? copy_text(declared) : NULL,
                             .key_part = (unsigned)key.i64,
                             .is_numbered = numbered.i64 != 0 };
        self->column_count++;
    }
    return true;
}

static bool look_at_table(target *self, const char *table)
{
    nx_completion done = nx_await(self->loop, nx_table_columns(self->db, table, NULL));
    bool good;

    if (done.status != NX_OK)
        return report(self->name, done.error, done.status);
    good = take_columns(self, done.raw);
    nx_seen(self->loop, &done);
    return good;
}

static bool bind_server(target *self)
{
    nx_bind_options bind = { .dsn = self->path };
    char *uri = NULL;

    if (strncmp(self->path, "//", 2) == 0) {
        if (asprintf(&uri, "postgres:%s", self->path) < 0) {
            complain("out of memory");
            return false;
        }
        bind.dsn = uri;
    }
    nx_completion done = nx_await(self->loop, nx_bind(self->db, self->provider, &bind, NULL));
    free(uri);
    self->arguments_wrong = done.status == NX_EINVAL;
    return done.status == NX_OK || report(self->arguments_wrong ? "--to" : self->name, done.error, done.status);
}

static bool bind_file(target *self, nx_db *db, const char *path)
{
    nx_bind_options bind = { .path = path };

    return target_wait(self, nx_bind(db, self->provider, &bind, NULL), self->name);
}

bool target_open(target *self, const ingest_options *options)
{
    nx_error error = { .status = NX_OK };
    nx_status status;

    *self = (target){ .path = options->path, .provider = options->provider };
    self->is_server = strcmp(self->provider, "sqlite") != 0;
    self->name = self->is_server ? self->provider : self->path;
    status = nx_loop_open(NULL, &self->loop, &error);
    if (status != NX_OK)
        return report("cannot start", &error, status);
    self->db = nx_db_new(self->loop, NULL);
    if (self->db == NULL) {
        complain("out of memory");
        return false;
    }
    if (!self->is_server && access(self->path, F_OK) != 0 && errno == ENOENT)
        return true;
    self->is_open = self->is_server ? bind_server(self) : bind_file(self, self->db, self->path);
    return self->is_open && look_at_table(self, options->table);
}

static bool map_entity(target *self, nx_db *db, const nx_entity *entity)
{
    nx_status status = nx_register(db, entity);

    if (status != NX_OK)
        return report(self->name, NULL, status);
    return target_wait(self, nx_generate_mapping(db, self->column_count == 0 ? NX_CREATE_TABLES : 0, NULL), self->path);
}

/* Whether the table can be made at all, tried where nothing is left of it. */
static bool rehearse(target *self, const nx_entity *entity)
{
    nx_db *db = nx_db_new(self->loop, NULL);
    bool good = db != NULL && bind_file(self, db, ":memory:") && map_entity(self, db, entity);

    if (db == NULL)
        complain("out of memory");
    nx_db_free(db);
    return good;
}

bool target_map(target *self, const nx_entity *entity)
{
    if (!self->is_open) {
        self->is_open = rehearse(self, entity) && bind_file(self, self->db, self->path);
        if (!self->is_open)
            return false;
    }
    return map_entity(self, self->db, entity);
}

void target_close(target *self)
{
    nx_db_free(self->db);
    nx_loop_close(self->loop);
    for (size_t i = 0; i < self->column_count; i++) {
        free(self->columns[i].name);
        free(self->columns[i].sql_type);
    }
    free(self->columns);
    *self = (target){ .loop = NULL };
}

const target_column *target_find(const target *self, nx_text name)
{
    const target_column *similar = NULL;

    for (size_t i = 0; i < self->column_count; i++) {
        const target_column *column = &self->columns[i];

        if (strlen(column->name) == name.size && memcmp(column->name, name.data, name.size) == 0)
            return column;
        if (similar == NULL && same_name(nx_str(column->name), name))
            similar = column;
    }
    return similar;
}

/* ------------------------------------------------------------------------------------ unique columns */

static bool is_named(const char *const *names, size_t count, nx_text name)
{
    for (size_t i = 0; i < count; i++) {
        if (same_name(nx_str(names[i]), name))
            return true;
    }
    return false;
}

static bool is_primary_key(const target *self, const char *const *names, size_t count)
{
    size_t parts = 0;

    for (size_t i = 0; i < self->column_count; i++) {
        if (self->columns[i].key_part == 0)
            continue;
        if (!is_named(names, count, nx_str(self->columns[i].name)))
            return false;
        parts++;
    }
    return parts == count;
}

/* The rows are index and column, index after index: one of them has to consist of these columns. A column that is an expression
 * has no name. */
static bool has_index(const nx_rows *rows, const char *const *names, size_t count)
{
    size_t found = 0;
    bool others = false;

    for (size_t i = 0; rows != NULL && i < rows->row_count; i++) {
        nx_value column = nx_rows_at(rows, i, 1);
        bool is_last = i + 1 == rows->row_count || !same_name(nx_rows_at(rows, i, 0).text, nx_rows_at(rows, i + 1, 0).text);

        if (column.type == NX_TYPE_text && is_named(names, count, column.text))
            found++;
        else
            others = true;
        if (is_last && found == count && !others)
            return true;
        if (is_last) {
            found = 0;
            others = false;
        }
    }
    return false;
}

bool target_is_unique(const target *self, const char *table, const char *const *names, size_t count, bool *ret_unique)
{
    nx_completion done;

    *ret_unique = is_primary_key(self, names, count);
    if (*ret_unique)
        return true;
    done = nx_await(self->loop, nx_table_uniques(self->db, table, NULL));
    if (done.status != NX_OK)
        return report(self->name, done.error, done.status);
    *ret_unique = has_index(done.raw, names, count);
    nx_seen(self->loop, &done);
    return true;
}
