/*
 * plan - which columns the load writes.
 *
 * Design notes: names first (--columns, header, NDJSON members, the existing table, or numbers), then types
 * (--columns, the existing table, or a guess), then keys; only then the entity is made of the result.
 */
#include "api/cli/plan.h"

#include <stdio.h>
#include <stdlib.h>

size_t plan_find(const plan *self, nx_text name, size_t expected)
{
    if (expected < self->count && same_name(nx_str(self->columns[expected].name), name))
        return expected;
    for (size_t i = 0; i < self->count; i++) {
        if (same_name(nx_str(self->columns[i].name), name))
            return i;
    }
    return self->count;
}

static void add_column(plan *self, nx_text name, nx_type type)
{
    self->columns = grow(self->columns, &self->capacity, self->count + 1, sizeof(*self->columns));
    self->columns[self->count++] = (plan_column){ .name = copy_text(name), .type = type };
}

/* The part of a list up to the next comma; *at moves behind it and is NULL at the end. */
static nx_text next_part(const char **at)
{
    const char *comma = strchr(*at, ',');
    nx_text part = { *at, comma == NULL ? strlen(*at) : (size_t)(comma - *at) };

    *at = comma == NULL ? NULL : comma + 1;
    return part;
}

bool plan_parse_columns(plan *self, const char *text)
{
    const char *at = text;

    while (at != NULL) {
        nx_text part = next_part(&at);
        const char *colon = part.size == 0 ? NULL : memrchr(part.data, ':', part.size);
        nx_text name = part;
        nx_type type = NX_TYPE_null;

        if (colon != NULL) {
            nx_text type_name = { colon + 1, (size_t)(part.data + part.size - colon) - 1 };

            name.size = (size_t)(colon - part.data);
            type = convert_type_parse(type_name);
            if (type == NX_TYPE_null) {
                complain("--columns: unknown type \"%.*s\" of column \"%.*s\"; known: %s", (int)type_name.size, type_name.data,
                         (int)name.size, name.data, convert_type_names());
                self->arguments_wrong = true;
                return false;
            }
        }
        if (name.size == 0) {
            complain("--columns %s: a name is missing", text);
            self->arguments_wrong = true;
            return false;
        }
        add_column(self, name, type);
    }
    return true;
}

/* ------------------------------------------------------------------------------------- names */

/* Types of --columns go to the columns of that name. */
static bool take_types(plan *self, const char *text)
{
    plan typed = { .count = 0 };
    bool good = plan_parse_columns(&typed, text);

    for (size_t i = 0; good && i < typed.count; i++) {
        size_t place = plan_find(self, nx_str(typed.columns[i].name), i);

        good = place < self->count;
        if (good)
            self->columns[place].type = typed.columns[i].type;
        else
            complain("--columns: the header has no column \"%s\"", typed.columns[i].name);
    }
    self->arguments_wrong = self->arguments_wrong || !good;
    plan_free(&typed);
    return good;
}

static bool names_of_header(plan *self, const ingest_options *options, const sample *examples)
{
    const record *header = &examples->header;

    if (!examples->has_header) {
        complain("%s is empty: there is no header", options->input);
        return false;
    }
    if (header->error != NULL) {
        complain("%s: cannot read the header in line %llu: %s", options->input, (unsigned long long)header->line, header->error);
        return false;
    }
    for (size_t i = 0; i < header->field_count; i++) {
        char numbered[32];
        nx_text name = header->fields[i].text;

        if (name.size == 0) {
            snprintf(numbered, sizeof(numbered), "column_%zu", i + 1);
            name = nx_str(numbered);
        }
        if (memchr(name.data, '\0', name.size) != NULL) {
            complain("%s: the name of column %zu in the header holds a zero byte", options->input, i + 1);
            return false;
        }
        add_column(self, name, NX_TYPE_null);
    }
    return options->columns == NULL || take_types(self, options->columns);
}

/* Members in the order in which the sample shows them. */
static bool names_of_members(plan *self, const ingest_options *options, const sample *examples)
{
    for (size_t r = 0; r < examples->count; r++) {
        const record *example = &examples->records[r];

        for (size_t i = 0; example->error == NULL && i < example->field_count; i++) {
            nx_text name = example->fields[i].name;

            if (name.size > 0 && plan_find(self, name, i) == self->count && self->count < SOURCE_FIELDS_MAX)
                add_column(self, name, NX_TYPE_null);
        }
    }
    if (self->count == 0)
        complain("%s holds no object to take the columns from; give --columns", options->input);
    return self->count > 0;
}

static const record *first_good(const sample *examples)
{
    for (size_t i = 0; i < examples->count; i++) {
        if (examples->records[i].error == NULL)
            return &examples->records[i];
    }
    return NULL;
}

/* The column that the database numbers by itself, or NULL. */
static const target_column *numbered_column(const target *into)
{
    const target_column *found = NULL;

    for (size_t i = 0; i < into->column_count; i++) {
        if (into->columns[i].key_part == 0)
            continue;
        if (found != NULL || !into->columns[i].is_numbered)
            return NULL;
        found = &into->columns[i];
    }
    return found;
}

/* All columns of the table, or all but the one that it numbers. */
static bool names_of_table(plan *self, const ingest_options *options, const record *example, const target *into)
{
    const target_column *numbered = numbered_column(into);
    bool leave_out = numbered != NULL && example->field_count + 1 == into->column_count;

    if (example->field_count != into->column_count && !leave_out) {
        complain("%s: line %llu has %zu fields, table %s has %zu columns; name the fields with --columns", options->input,
                 (unsigned long long)example->line, example->field_count, options->table, into->column_count);
        return false;
    }
    for (size_t i = 0; i < into->column_count; i++) {
        if (!leave_out || &into->columns[i] != numbered)
            add_column(self, nx_str(into->columns[i].name), NX_TYPE_null);
    }
    return true;
}

static bool names_of_first_record(plan *self, const ingest_options *options, const sample *examples, const target *into)
{
    const record *example = first_good(examples);

    if (example == NULL) {
        complain("%s %s: there is nothing to take the columns from; give --columns", options->input,
                 examples->count == 0 ? "is empty" : "begins with bad records only");
        return false;
    }
    if (into->column_count > 0)
        return names_of_table(self, options, example, into);
    for (size_t i = 0; i < example->field_count; i++) {
        char numbered[32];

        snprintf(numbered, sizeof(numbered), "column_%zu", i + 1);
        add_column(self, nx_str(numbered), NX_TYPE_null);
    }
    return true;
}

static bool check_names(plan *self, const ingest_options *options, const target *into)
{
    bool given = options->columns != NULL && !options->header;

    for (size_t i = 0; i < self->count; i++) {
        nx_text name = nx_str(self->columns[i].name);
        size_t first = plan_find(self, name, SIZE_MAX);

        if (first != i) {
            complain("columns %zu and %zu have the same name: \"%s\" and \"%s\"", first + 1, i + 1, self->columns[first].name,
                     self->columns[i].name);
            self->arguments_wrong = given;
            return false;
        }
        if (into->column_count > 0 && target_find(into, name) == NULL) {
            complain("table %s has no column \"%s\"", options->table, self->columns[i].name);
            self->arguments_wrong = given;
            return false;
        }
    }
    return true;
}

/* Capitals as the table has them: a server minds them. */
static void take_names_of_table(plan *self, const target *into)
{
    for (size_t i = 0; i < self->count; i++) {
        const target_column *existing = target_find(into, nx_str(self->columns[i].name));

        if (existing != NULL) {
            free(self->columns[i].name);
            self->columns[i].name = copy_text(nx_str(existing->name));
        }
    }
}

static bool find_names(plan *self, const ingest_options *options, const sample *examples, const target *into)
{
    bool good;

    self->by_name = options->format == FORMAT_NDJSON;
    if (options->header)
        good = names_of_header(self, options, examples);
    else if (options->columns != NULL)
        good = plan_parse_columns(self, options->columns);
    else if (self->by_name)
        good = names_of_members(self, options, examples);
    else
        good = names_of_first_record(self, options, examples, into);
    good = good && check_names(self, options, into);
    if (good)
        take_names_of_table(self, into);
    return good;
}

/* ------------------------------------------------------------------------------------- types */

static void look_at_record(plan *self, const record *example)
{
    if (example->error != NULL || (!self->by_name && example->field_count != self->count))
        return;
    for (size_t i = 0; i < example->field_count; i++) {
        size_t place = self->by_name ? plan_find(self, example->fields[i].name, i) : i;

        if (place < self->count)
            guess_add(&self->columns[place].guess, &example->fields[i]);
    }
}

/* For a column that was declared without a type: numbers are stored as numbers, all else as it stands in the file. */
static nx_type guess_storage(const guess *about)
{
    nx_type type = guess_type(about);

    return type == NX_TYPE_i64 || type == NX_TYPE_f64 ? type : NX_TYPE_text;
}

/* An enumeration, an address ...: the server makes it of a text, and no text of ours is empty in it. */
static void take_sql_type(plan_column *column, const target_column *existing)
{
    column->sql_type = existing->sql_type;
    column->empty_is_null = existing->type != NX_TYPE_text;
    if (column->type == NX_TYPE_null)
        column->type = NX_TYPE_text;
}

static void find_types(plan *self, const sample *examples, const target *into)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < examples->count; i++) {
        look_at_record(self, &examples->records[i]);
        bytes += examples->records[i].raw.size;
    }
    self->record_bytes = examples->count == 0 ? 0 : bytes / examples->count;
    for (size_t i = 0; i < self->count; i++) {
        plan_column *column = &self->columns[i];
        const target_column *existing = target_find(into, nx_str(column->name));

        if (column->type == NX_TYPE_null)
            column->type = existing != NULL ? existing->type : guess_type(&column->guess);
        if (existing != NULL && existing->sql_type != NULL)
            take_sql_type(column, existing);
        if (column->type == NX_TYPE_null)
            column->type = guess_storage(&column->guess);
        /* A long text is loaded as any other. */
        if (column->type == NX_TYPE_longtext)
            column->type = NX_TYPE_text;
    }
}

/* -------------------------------------------------------------------------------------- keys */

static bool take_key_option(plan *self, const char *text)
{
    const char *at = text;

    while (at != NULL) {
        nx_text name = next_part(&at);
        size_t place = plan_find(self, name, SIZE_MAX);

        if (place == self->count) {
            complain("--key: there is no column \"%.*s\"", (int)name.size, name.data);
            self->arguments_wrong = true;
            return false;
        }
        self->columns[place].in_key = true;
    }
    return true;
}

/* The first of id, row_id, row_id_2 ... that is not a column of the input. */
static char *free_key_name(const plan *self)
{
    char name[32] = "id";

    for (unsigned i = 1; plan_find(self, nx_str(name), SIZE_MAX) < self->count; i++) {
        if (i == 1)
            snprintf(name, sizeof(name), "row_id");
        else
            snprintf(name, sizeof(name), "row_id_%u", i);
    }
    return copy_text(nx_str(name));
}

/*
 * What a row without a key has all the same, as a key for the entity that is never given: the names under which SQLite knows the
 * number of a row (a column of the same name hides one); in PostgreSQL, whose rows have no number, the table's, which comes
 * back for every row and is used for nothing. No column of a user's can be called that (5.5).
 */
static char *row_number_name(const target *into)
{
    static const char *const names[] = { "rowid", "_rowid_", "oid" };

    if (into->is_server)
        return copy_text(nx_str("tableoid"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (target_find(into, nx_str(names[i])) == NULL)
            return copy_text(nx_str(names[i]));
    }
    return NULL;
}

static bool keys_of_table(plan *self, const ingest_options *options, const target *into)
{
    const target_column *numbered = numbered_column(into);
    bool has_key = false;

    for (size_t i = 0; i < into->column_count; i++) {
        const target_column *existing = &into->columns[i];
        size_t place = plan_find(self, nx_str(existing->name), i);

        if (existing->key_part == 0)
            continue;
        has_key = true;
        if (place < self->count) {
            self->columns[place].in_entity_key = true;
        } else if (existing == numbered) {
            self->automatic_key = copy_text(nx_str(existing->name));
        } else {
            complain("column \"%s\" of the key of table %s is not in the input", existing->name, options->table);
            return false;
        }
    }
    if (!has_key) {
        self->automatic_key = row_number_name(into);
        if (self->automatic_key == NULL)
            complain("table %s has no key, and columns hide its row numbers", options->table);
        return self->automatic_key != NULL;
    }
    return true;
}

/* By columns that several rows may share no row is found again: neither a duplicate nor the one to update. */
static bool check_key_of_table(plan *self, const ingest_options *options, const target *into)
{
    const char **names = take(self->count, sizeof(*names));
    size_t count = 0;
    bool good, unique = false;

    for (size_t i = 0; i < self->count; i++) {
        if (self->columns[i].in_key)
            names[count++] = self->columns[i].name;
    }
    good = target_is_unique(into, options->table, names, count, &unique);
    free(names);
    if (good && !unique) {
        complain("--key %s: table %s has neither a primary key nor a UNIQUE constraint of %s", options->key, options->table,
                 count == 1 ? "this column" : "these columns");
        self->arguments_wrong = true;
    }
    return good && unique;
}

static bool find_keys(plan *self, const ingest_options *options, const target *into)
{
    if (options->key != NULL && !take_key_option(self, options->key))
        return false;
    if (options->key != NULL && into->column_count > 0 && !check_key_of_table(self, options, into))
        return false;
    if (into->column_count > 0 && !keys_of_table(self, options, into))
        return false;
    if (into->column_count == 0) {
        for (size_t i = 0; i < self->count; i++)
            self->columns[i].in_entity_key = self->columns[i].in_key;
        if (options->key == NULL)
            self->automatic_key = free_key_name(self);
    }
    if (options->on_conflict != NX_CONFLICT_ERROR && options->key == NULL && self->automatic_key != NULL) {
        complain("--on-conflict needs a key in the input: name it with --key");
        self->arguments_wrong = true;
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------ entity */

static void take_handles(plan *self, const ingest_options *options)
{
    self->handles = take(self->count, sizeof(*self->handles));
    self->key = take(self->count, sizeof(*self->key));
    self->update = take(self->count, sizeof(*self->update));
    for (size_t i = 0; i < self->count; i++) {
        const plan_column *column = &self->columns[i];
        bool identifies = options->key != NULL ? column->in_key : column->in_entity_key;

        self->handles[i] = nx_column_of(self->entity, column->name);
        if (identifies)
            self->key[self->key_count++] = self->handles[i];
        else if (!column->in_entity_key)
            self->update[self->update_count++] = self->handles[i];
    }
}

static bool make_entity(plan *self, const ingest_options *options)
{
    nx_entity naming = { .name = options->table, .table = options->table };
    size_t count = self->count + (self->automatic_key == NULL ? 0 : 1);
    nx_field *fields = take(count, sizeof(*fields));
    size_t used = 0;
    nx_status status;

    if (self->automatic_key != NULL)
        fields[used++] = (nx_field){ .name = self->automatic_key, .kind = NX_KIND_PK, .type = NX_TYPE_i64 };
    for (size_t i = 0; i < self->count; i++) {
        const plan_column *column = &self->columns[i];
        bool is_integer = column->type == NX_TYPE_i16 || column->type == NX_TYPE_i32 || column->type == NX_TYPE_i64 ||
                          column->type == NX_TYPE_u32;

        /* What the file says is loaded as it is: no white space is cut. */
        fields[used++] = (nx_field){ .name = column->name,
                                     .kind = column->in_entity_key ? NX_KIND_PK : NX_KIND_OPT,
                                     .type = column->type,
                                     .sql_type = column->sql_type,
                                     .autostrip = NX_OFF,
                                     .caller_assigned = column->in_entity_key && is_integer };
    }
    status = nx_entity_new(options->table, fields, count, &naming, &self->entity);
    free(fields);
    if (status != NX_OK)
        complain("cannot load into table %s: %s", options->table, nx_status_text(status));
    else
        take_handles(self, options);
    return status == NX_OK;
}

bool plan_make(plan *self, const ingest_options *options, const sample *examples, const target *into)
{
    *self = (plan){ .count = 0 };
    if (!find_names(self, options, examples, into))
        return false;
    find_types(self, examples, into);
    return find_keys(self, options, into) && make_entity(self, options);
}

void plan_free(plan *self)
{
    for (size_t i = 0; i < self->count; i++) {
        free(self->columns[i].name);
        free(self->columns[i].scratch.data);
    }
    free(self->columns);
    free(self->automatic_key);
    free(self->handles);
    free(self->key);
    free(self->update);
    nx_entity_free(self->entity);
    *self = (plan){ .count = 0 };
}
