/*
 * decode - rows of SQLite straight into entity memory, or as named values.
 *
 * A value is taken only when it is one of the column's type: SQLite lets any value stand in any column, and what
 * another program stored there must not turn into something else silently.
 */
#include "drivers/sqlite/sqlite.h"

enum { LIST_FIRST = 16 };

/* ------------------------------------------------------------------------------ one value */

static const char *storage_name(int storage)
{
    return storage == SQLITE_INTEGER ? "an integer" : storage == SQLITE_FLOAT ? "a float" : storage == SQLITE_TEXT ? "a text"
         : storage == SQLITE_BLOB    ? "bytes"                                                                    : "NULL";
}

static nx_status wrong_type(const nxi_column *column, int storage, nx_error *error)
{
    return nxi_sq_column_error(column, error, NX_ETYPE, "the database holds %s where %s is expected", storage_name(storage),
                               nx_type_name(column->type));
}

static nx_status no_memory(nx_error *error)
{
    return nxi_fail(error, NX_ENOMEM, "out of memory");
}

static nx_status get_integer(const nxi_column *column, sqlite3_value *from, nx_value *ret_value, nx_error *error)
{
    int storage = sqlite3_value_type(from);
    int64_t number;

    if (NXI_LIKELY(storage == SQLITE_INTEGER)) {
        number = sqlite3_value_int64(from);
    } else if (storage == SQLITE_FLOAT) {
        double whole = sqlite3_value_double(from);
        if (!(whole >= -9007199254740992.0 && whole <= 9007199254740992.0) || (double)(int64_t)whole != whole)
            return wrong_type(column, storage, error);
        number = (int64_t)whole;
    } else {
        return wrong_type(column, storage, error);
    }
    if ((column->type == NX_TYPE_i16 && (number < INT16_MIN || number > INT16_MAX)) ||
        (column->type == NX_TYPE_i32 && (number < INT32_MIN || number > INT32_MAX)) ||
        (column->type == NX_TYPE_u32 && (number < 0 || number > UINT32_MAX)))
        return nxi_sq_column_error(column, error, NX_ERANGE, "the database holds %lld, out of the range of %s", (long long)number,
                                   nx_type_name(column->type));
    if (column->type == NX_TYPE_boolean) {
        if (number != 0 && number != 1)
            return nxi_sq_column_error(column, error, NX_ERANGE, "the database holds %lld where 0 or 1 is expected",
                                       (long long)number);
        ret_value->boolean = number == 1;
    } else if (column->type == NX_TYPE_interval) {
        ret_value->interval = (nx_interval){ .microseconds = number };
    } else {
        ret_value->i64 = number;
    }
    return NX_OK;
}

static nx_status get_f64(const nxi_column *column, sqlite3_value *from, nx_value *ret_value, nx_error *error)
{
    int storage = sqlite3_value_type(from);

    if (storage == SQLITE_FLOAT) {
        ret_value->f64 = sqlite3_value_double(from);
        return NX_OK;
    }
    if (storage != SQLITE_INTEGER)
        return wrong_type(column, storage, error);
    int64_t number = sqlite3_value_int64(from);
    if (number > INT64_C(9007199254740992) || number < -INT64_C(9007199254740992))
        return nxi_sq_column_error(column, error, NX_ERANGE, "the database holds %lld, which no f64 equals", (long long)number);
    ret_value->f64 = (double)number;
    return NX_OK;
}

/* A copy of the text of a value. False: out of memory. */
static inline bool copy_text(sqlite3_value *from, nxi_arena *arena, nx_text *ret_text)
{
    const char *text = (const char *)sqlite3_value_text(from);
    size_t size = (size_t)sqlite3_value_bytes(from);
    char *copy;

    if (NXI_UNLIKELY(text == NULL) || NXI_UNLIKELY((copy = nxi_arena_get(arena, size + 1, 1)) == NULL))
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    *ret_text = nx_strn(copy, size);
    return true;
}

/* What another program stored need be no UTF-8, no number, and no JSON. */
static nx_status wrong_text(const nxi_column *column, nx_text text, nx_status status, nx_error *error)
{
    size_t bad = 0;

    if (!nxi_text_is_valid(text.data, text.size, &bad))
        return nxi_sq_column_error(column, error, status, "the database holds a text whose byte %zu is %s", bad,
                                   text.data[bad] == '\0' ? "zero" : "no valid UTF-8");
    return nxi_sq_column_error(column, error, status, "the database holds \"%.*s\", which is no %s",
                               (int)nxi_min_size(text.size, 64), text.data, nx_type_name(column->type));
}

static nx_status get_text(const nxi_column *column, sqlite3_value *from, nxi_arena *arena, nx_value *ret_value, nx_error *error)
{
    int storage = sqlite3_value_type(from);
    nx_status status;

    if (NXI_UNLIKELY(storage != SQLITE_TEXT && !(storage == SQLITE_INTEGER && column->type == NX_TYPE_decimal)))
        return wrong_type(column, storage, error);
    if (!copy_text(from, arena, &ret_value->text))
        return no_memory(error);
    status = nxi_text_check(column->type, ret_value->text.data, ret_value->text.size);
    return NXI_LIKELY(status == NX_OK) ? NX_OK : wrong_text(column, ret_value->text, status, error);
}

static nx_status get_bytes(const nxi_column *column, sqlite3_value *from, nxi_arena *arena, nx_value *ret_value, nx_error *error)
{
    int storage = sqlite3_value_type(from);
    const void *bytes;
    size_t size;

    if (storage != SQLITE_BLOB)
        return wrong_type(column, storage, error);
    bytes = sqlite3_value_blob(from); /* NULL when there are none: the copy is not */
    size = (size_t)sqlite3_value_bytes(from);
    if (bytes == NULL && size > 0)
        return no_memory(error);
    void *copy = size == 0 ? nxi_arena_get(arena, 0, 1) : nxi_arena_copy(arena, bytes, size);
    if (copy == NULL)
        return no_memory(error);
    ret_value->bytes = nx_bytes_of(copy, size);
    return NX_OK;
}

static nx_status find_label(const nxi_column *column, nx_text text, nx_value *ret_value)
{
    const char *const *labels = nxi_column_labels(column);

    for (int32_t i = 0; labels != NULL && labels[i] != NULL; i++) {
        if (strlen(labels[i]) == text.size && memcmp(labels[i], text.data, text.size) == 0) {
            ret_value->enumeration = i;
            return NX_OK;
        }
    }
    return NX_ETYPE;
}

/* Types that are kept in their text form. */
static nx_status get_parsed(const nxi_column *column, sqlite3_value *from, nxi_arena *arena, nx_value *ret_value, nx_error *error)
{
    int storage = sqlite3_value_type(from);
    nx_status status = NX_ETYPE;
    nx_text text;

    if (storage != SQLITE_TEXT)
        return wrong_type(column, storage, error);
    text = nx_strn((const char *)sqlite3_value_text(from), (size_t)sqlite3_value_bytes(from));
    if (text.data == NULL)
        return no_memory(error);
    if (column->type == NX_TYPE_date)
        status = nx_date_parse(text, &ret_value->date);
    else if (column->type == NX_TYPE_time)
        status = nx_time_parse(text, &ret_value->time);
    else if (column->type == NX_TYPE_timestamp)
        status = nx_timestamp_parse(text, &ret_value->timestamp);
    else if (column->type == NX_TYPE_timestamptz)
        status = nx_timestamptz_parse(text, &ret_value->timestamptz);
    else if (column->type == NX_TYPE_uuid)
        status = nx_uuid_parse(text, &ret_value->uuid);
    else if (column->type == NX_TYPE_ulid)
        status = nx_ulid_parse(text, &ret_value->ulid);
    else if (column->type == NX_TYPE_vector)
        status = nxi_vector_parse(arena, text, &ret_value->vector);
    else if (column->type == NX_TYPE_enumeration)
        status = find_label(column, text, ret_value);
    if (status == NX_ENOMEM)
        return no_memory(error);
    return status == NX_OK ? NX_OK : wrong_text(column, text, status, error);
}

static nx_status get_value(const nxi_column *column, sqlite3_value *from, nxi_arena *arena, nx_value *ret_value, nx_error *error)
{
    ret_value->type = column->type;
    switch (column->type) {
    case NX_TYPE_boolean:
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
    case NX_TYPE_u32:
    case NX_TYPE_interval: return get_integer(column, from, ret_value, error);
    case NX_TYPE_f64: return get_f64(column, from, ret_value, error);
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_decimal:
    case NX_TYPE_json: return get_text(column, from, arena, ret_value, error);
    case NX_TYPE_bytes: return get_bytes(column, from, arena, ret_value, error);
    case NX_TYPE_date:
    case NX_TYPE_time:
    case NX_TYPE_timestamp:
    case NX_TYPE_timestamptz:
    case NX_TYPE_uuid:
    case NX_TYPE_ulid:
    case NX_TYPE_vector:
    case NX_TYPE_enumeration: return get_parsed(column, from, arena, ret_value, error);
    case NX_TYPE_null:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: break;
    }
    return wrong_type(column, sqlite3_value_type(from), error);
}

/* ------------------------------------------------------------------------------ one row */

/* The usual types in the usual form, without a detour; false: decode_column goes the long way, which also finds what is wrong. */
static inline bool decode_fast(const nxi_column *column, sqlite3_value *from, char *member, nxi_arena *arena)
{
    if (column->type == NX_TYPE_i64 && sqlite3_value_type(from) == SQLITE_INTEGER) {
        *(int64_t *)(void *)member = sqlite3_value_int64(from);
        return true;
    }
    if (column->type == NX_TYPE_i32 && sqlite3_value_type(from) == SQLITE_INTEGER) {
        int64_t number = sqlite3_value_int64(from);
        *(int32_t *)(void *)member = (int32_t)number;
        return number == (int32_t)number;
    }
    if (column->type == NX_TYPE_f64 && sqlite3_value_type(from) == SQLITE_FLOAT) {
        *(double *)(void *)member = sqlite3_value_double(from);
        return true;
    }
    if (column->type == NX_TYPE_text && sqlite3_value_type(from) == SQLITE_TEXT) {
        nx_text *text = (void *)member;
        return copy_text(from, arena, text) && nxi_text_is_valid(text->data, text->size, NULL);
    }
    return false;
}

static nx_status decode_column(const nxi_column *column, sqlite3_value *from, void *row, nxi_arena *arena, nx_error *error)
{
    nx_value value;
    nx_status status;

    if (column->form == NXI_FORM_PLAIN && decode_fast(column, from, (char *)row + column->offset, arena))
        return NX_OK;
    if (sqlite3_value_type(from) == SQLITE_NULL) {
        if (column->form == NXI_FORM_OPTIONAL || (column->form == NXI_FORM_REFERENCE && column->nullable))
            return NX_OK; /* the row is zeroed: that is NULL */
        return nxi_sq_column_error(column, error, NX_ETYPE, "the database holds NULL in a required field");
    }
    status = get_value(column, from, arena, &value, error);
    if (NXI_UNLIKELY(status != NX_OK))
        return status;
    return nxi_column_fill(column, row, value, arena) ? NX_OK : no_memory(error);
}

static nx_status decode_row(const nxi_sq_rows *rows, nxi_request *request, size_t step, void **ret_row)
{
    const nxi_table *table = rows->statement->table;
    void *row = nxi_row_get(request->arena, table, request->row_owner, request->tracked);
    nx_error error;

    if (row == NULL)
        return nxi_request_fail(request, step, NX_ENOMEM, "%s", "");
    memset(row, 0, table->row_size); /* local fields, columns that are not read, and NULL */
    nxi_row_of(row)->lazy_missing = rows->lazy_missing;
    for (int i = 0; i < rows->column_count; i++) {
        if (rows->columns[i] == NULL)
            continue;
        if (NXI_UNLIKELY(decode_column(rows->columns[i], sqlite3_column_value(rows->stmt, i), row, request->arena, &error) !=
                         NX_OK))
            return nxi_sq_fail_with(request, step, &error);
    }
    if (request->tracked)
        nxi_row_track(row);
    *ret_row = row;
    return NX_OK;
}

/* ------------------------------------------------------------------------------ entity rows */

/* Columns by the names of the result: raw SQL into entities. */
static nx_status match_names(nxi_sq_rows *rows, nxi_request *request, size_t step)
{
    const nxi_table *table = rows->statement->table;
    const nxi_column **columns = NXI_ARENA_ARRAY(request->arena, const nxi_column *, (size_t)rows->column_count + 1);

    if (columns == NULL)
        return nxi_request_fail(request, step, NX_ENOMEM, "%s", "");
    rows->lazy_missing = table->lazy_mask;
    for (int i = 0; i < rows->column_count; i++) {
        const char *name = sqlite3_column_name(rows->stmt, i);
        if (name == NULL)
            return nxi_request_fail(request, step, NX_ENOMEM, "%s", "");
        for (size_t c = 0; c < table->column_count && columns[i] == NULL; c++) {
            if (strcmp(table->columns[c].name, name) == 0)
                columns[i] = &table->columns[c];
        }
        if (columns[i] != NULL && columns[i]->lazy)
            rows->lazy_missing &= ~(UINT32_C(1) << columns[i]->lazy_bit);
    }
    rows->columns = columns;
    return NX_OK;
}

/* After the first step: only then is it certain that the statement was compiled for the schema as it is. */
static nx_status begin_rows(nxi_sq_rows *rows, nxi_request *request, size_t step)
{
    const nxi_statement *statement = rows->statement;

    rows->column_count = sqlite3_column_count(rows->stmt);
    rows->lazy_missing = statement->lazy_missing;
    if (statement->table == NULL)
        return nxi_request_fail(request, step, NX_EINVAL, "the statement's rows belong to no entity");
    if (statement->results == NULL)
        return match_names(rows, request, step);
    if ((size_t)rows->column_count != statement->result_count)
        return nxi_request_fail(request, step, NX_EINVAL, "the statement gives %d columns, but %zu are expected",
                                rows->column_count, statement->result_count);
    rows->columns = statement->results;
    return NX_OK;
}

static bool grow_list(nxi_sq_rows *rows, nxi_arena *arena)
{
    size_t capacity = rows->capacity == 0 ? LIST_FIRST : rows->capacity * 2, bytes;
    void **list = nxi_mul_size(capacity, sizeof(void *), &bytes) ? nxi_arena_get(arena, bytes, 16) : NULL;

    if (list == NULL)
        return false;
    if (rows->count > 0)
        memcpy(list, rows->list, rows->count * sizeof(void *));
    rows->list = list;
    rows->capacity = capacity;
    return true;
}

nx_status nxi_sq_fetch(nxi_sq_rows *rows, nxi_request *request, size_t step, size_t limit, bool *ret_ended)
{
    int code = SQLITE_ROW;
    bool ended = false;

    while (limit == 0 || rows->count < limit) {
        code = sqlite3_step(rows->stmt);
        if (code != SQLITE_ROW)
            break;
        if (rows->columns == NULL && begin_rows(rows, request, step) != NX_OK)
            return request->status;
        if (rows->count == rows->capacity && !grow_list(rows, request->arena))
            return nxi_request_fail(request, step, NX_ENOMEM, "%s", "");
        if (decode_row(rows, request, step, &rows->list[rows->count]) != NX_OK)
            return request->status;
        rows->count++;
    }
    if (code == SQLITE_DONE)
        ended = true;
    else if (code != SQLITE_ROW)
        return nxi_sq_fail(rows->connection, request, step, code);
    request->steps[step].fetched = rows->list;
    request->steps[step].affected = (int64_t)rows->count;
    *ret_ended = ended;
    return NX_OK;
}

/* ------------------------------------------------------------------------------ named values */

/* By storage class; a column declared BOOLEAN that holds 0 or 1 is a boolean. False: out of memory. */
static bool raw_value(sqlite3_stmt *stmt, int at, nxi_arena *arena, nx_value *ret_value)
{
    sqlite3_value *from = sqlite3_column_value(stmt, at);
    const char *declared;
    void *copy;
    size_t size;

    switch (sqlite3_value_type(from)) {
    case SQLITE_INTEGER:
        *ret_value = nx_value_i64(sqlite3_value_int64(from));
        declared = ret_value->i64 == 0 || ret_value->i64 == 1 ? sqlite3_column_decltype(stmt, at) : NULL;
        if (declared != NULL && sqlite3_stricmp(declared, "BOOLEAN") == 0)
            *ret_value = nx_value_boolean(ret_value->i64 == 1);
        return true;
    case SQLITE_FLOAT: *ret_value = nx_value_f64(sqlite3_value_double(from)); return true;
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_value_text(from);
        size = (size_t)sqlite3_value_bytes(from);
        copy = text == NULL ? NULL : nxi_arena_text(arena, text, size);
        *ret_value = nx_value_text(nx_strn(copy, size));
        return copy != NULL;
    }
    case SQLITE_BLOB: {
        const void *bytes = sqlite3_value_blob(from);
        size = (size_t)sqlite3_value_bytes(from);
        copy = bytes == NULL ? nxi_arena_get(arena, 0, 1) : nxi_arena_copy(arena, bytes, size);
        *ret_value = nx_value_bytes(nx_bytes_of(copy, size));
        return copy != NULL && (bytes != NULL || size == 0);
    }
    default: *ret_value = nx_null(); return true;
    }
}

static bool raw_names(sqlite3_stmt *stmt, nxi_arena *arena, nx_rows *raw)
{
    int count = sqlite3_column_count(stmt);
    const char **names = NXI_ARENA_ARRAY(arena, const char *, (size_t)count + 1);

    for (int i = 0; names != NULL && i < count; i++) {
        const char *name = sqlite3_column_name(stmt, i);
        names[i] = name == NULL ? NULL : nxi_arena_str(arena, name);
        if (names[i] == NULL)
            return false;
    }
    raw->names = names;
    raw->column_count = (size_t)count;
    return names != NULL;
}

static bool raw_row(sqlite3_stmt *stmt, nxi_arena *arena, nx_rows *raw, nx_value **values, size_t *capacity)
{
    if (raw->row_count == *capacity) {
        size_t grown = *capacity == 0 ? LIST_FIRST : *capacity * 2, cells;
        nx_value *list = nxi_mul_size(grown, raw->column_count, &cells) ? NXI_ARENA_ARRAY(arena, nx_value, cells) : NULL;
        if (list == NULL)
            return false;
        if (raw->row_count > 0)
            memcpy(list, *values, raw->row_count * raw->column_count * sizeof(nx_value));
        *values = list;
        *capacity = grown;
    }
    for (size_t i = 0; i < raw->column_count; i++) {
        if (!raw_value(stmt, (int)i, arena, &(*values)[raw->row_count * raw->column_count + i]))
            return false;
    }
    raw->row_count++;
    return true;
}

nx_status nxi_sq_fetch_raw(nxi_sq_connection *connection, sqlite3_stmt *stmt, nxi_request *request, size_t step)
{
    nxi_step *s = &request->steps[step];
    nx_rows raw = { 0 };
    nx_value *values = NULL;
    size_t capacity = 0;
    int code = SQLITE_ROW;

    while (s->row_limit == 0 || raw.row_count < s->row_limit) {
        code = sqlite3_step(stmt);
        if (code != SQLITE_ROW)
            break;
        if ((raw.names == NULL && !raw_names(stmt, request->arena, &raw)) ||
            !raw_row(stmt, request->arena, &raw, &values, &capacity))
            return nxi_request_fail(request, step, NX_ENOMEM, "%s", "");
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return nxi_sq_fail(connection, request, step, code);
    if (raw.names == NULL && !raw_names(stmt, request->arena, &raw))
        return nxi_request_fail(request, step, NX_ENOMEM, "%s", "");
    raw.values = values;
    s->raw = raw;
    s->affected = (int64_t)raw.row_count;
    return NX_OK;
}

nx_status nxi_sq_fetch_scalar(nxi_sq_connection *connection, sqlite3_stmt *stmt, nxi_request *request, size_t step)
{
    nxi_step *s = &request->steps[step];
    int code = sqlite3_step(stmt);

    s->scalar = nx_null();
    if (code == SQLITE_ROW && !raw_value(stmt, 0, request->arena, &s->scalar))
        return nxi_request_fail(request, step, NX_ENOMEM, "%s", "");
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return nxi_sq_fail(connection, request, step, code);
    s->affected = code == SQLITE_ROW;
    return NX_OK;
}
