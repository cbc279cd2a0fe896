/*
 * target - the database that is loaded into, and what its table looks like.
 */
#include "api/cli/target.h"

#include <stdlib.h>

/* Types that nextorm declares, and the classic ones whose meaning is plain. */
static const struct {
    const char *declared;
    nx_type type;
} known_types[] = {
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
};

static bool contains(nx_text text, const char *word)
{
    nx_text part = nx_str(word);

    for (size_t i = 0; i + part.size <= text.size; i++) {
        if (same_name(nx_strn(text.data + i, part.size), part))
            return true;
    }
    return false;
}

nx_type target_type(nx_text declared)
{
    const char *parenthesis = declared.size == 0 ? NULL : memchr(declared.data, '(', declared.size);
    nx_text word = declared;

    if (parenthesis != NULL)
        word.size = (size_t)(parenthesis - declared.data);
    for (size_t i = 0; i < sizeof(known_types) / sizeof(known_types[0]); i++) {
        if (same_name(word, nx_str(known_types[i].declared)))
            return known_types[i].type;
    }
    if (word.size == 0)
        return NX_TYPE_null;
    /* SQLite's own rules of affinity; what is left is NUMERIC, which converts texts itself. */
    if (contains(word, "INT"))
        return NX_TYPE_i64;
    if (contains(word, "CHAR") || contains(word, "CLOB") || contains(word, "TEXT"))
        return NX_TYPE_text;
    if (contains(word, "FLOA") || contains(word, "DOUB"))
        return NX_TYPE_f64;
    return NX_TYPE_text;
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
        nx_value key = nx_rows_at(rows, i, 2);
        nx_text declared = type.type == NX_TYPE_text ? type.text : nx_str("");

        if (name.type != NX_TYPE_text || key.type != NX_TYPE_i64) {
            complain("%s: cannot read the columns of the table", self->path);
            return false;
        }
        self->columns[i] = (target_column){ .name = copy_text(name.text),
                                            .type = target_type(declared),
                                            .key_part = (unsigned)key.i64,
                                            .is_integer_key_type = same_name(declared, nx_str("INTEGER")) };
        self->column_count++;
    }
    return true;
}

static bool look_at_table(target *self, const char *table)
{
    nx_op op = nx_select_raw(self->db, "SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid", nx_args(table), NULL);
    nx_completion done = nx_await(self->loop, op);
    bool good;

    if (done.status != NX_OK)
        return report(self->path, done.error, done.status);
    good = take_columns(self, done.raw);
    nx_seen(self->loop, &done);
    return good;
}

bool target_open(target *self, const ingest_options *options)
{
    nx_bind_options bind = { .path = options->path };
    nx_error error = { .status = NX_OK };
    nx_status status;

    *self = (target){ .path = options->path };
    status = nx_loop_open(NULL, &self->loop, &error);
    if (status != NX_OK)
        return report("cannot start", &error, status);
    self->db = nx_db_new(self->loop, NULL);
    if (self->db == NULL) {
        complain("out of memory");
        return false;
    }
    return target_wait(self, nx_bind(self->db, options->provider, &bind, NULL), options->url) &&
           look_at_table(self, options->table);
}

bool target_map(target *self, const nx_entity *entity)
{
    nx_status status = nx_register(self->db, entity);

    if (status != NX_OK)
        return report(self->path, NULL, status);
    return target_wait(self, nx_generate_mapping(self->db, self->column_count == 0 ? NX_CREATE_TABLES : 0, NULL), self->path);
}

void target_close(target *self)
{
    nx_db_free(self->db);
    nx_loop_close(self->loop);
    for (size_t i = 0; i < self->column_count; i++)
        free(self->columns[i].name);
    free(self->columns);
    *self = (target){ .loop = NULL };
}

const target_column *target_find(const target *self, nx_text name)
{
    for (size_t i = 0; i < self->column_count; i++) {
        if (same_name(nx_str(self->columns[i].name), name))
            return &self->columns[i];
    }
    return NULL;
}
