/*
 * bind - values and rows as parameters of SQLite.
 *
 * Rows are bound straight from the struct: no value is boxed except for references and for what has to be rendered (dates,
 * uuids), which SQLite copies. Other texts and bytes are not copied.
 */
#include "drivers/sqlite/sqlite.h"

#include <math.h>

#define MICROSECONDS_PER_DAY INT64_C(86400000000)

nx_status nxi_sq_interval(nx_interval interval, int64_t *ret_microseconds, nx_error *error)
{
    int64_t microseconds;

    if (interval.months != 0)
        return nxi_fail(error, NX_ERANGE, "SQLite stores intervals as microseconds: months have no fixed length");
    if (__builtin_mul_overflow((int64_t)interval.days, MICROSECONDS_PER_DAY, &microseconds) ||
        __builtin_add_overflow(microseconds, interval.microseconds, &microseconds))
        return nxi_fail(error, NX_ERANGE, "interval too long for 64-bit microseconds");
    *ret_microseconds = microseconds;
    return NX_OK;
}

bool nxi_sq_text_form(const nx_value *value, char *space, nxi_arena *arena, nx_text *ret_text)
{
    size_t size;

    switch (value->type) {
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_decimal:
    case NX_TYPE_json: *ret_text = value->text; return value->text.data != NULL;
    case NX_TYPE_date: size = nx_date_format(value->date, space); break;
    case NX_TYPE_time: size = nx_time_format(value->time, space); break;
    case NX_TYPE_timestamp: size = nx_timestamp_format(value->timestamp, space); break;
    case NX_TYPE_timestamptz: size = nx_timestamptz_format(value->timestamptz, space); break;
    case NX_TYPE_uuid: size = nx_uuid_format(value->uuid, space); break;
    case NX_TYPE_ulid: size = nx_ulid_format(value->ulid, space); break;
    case NX_TYPE_vector: *ret_text = nxi_vector_format(arena, value->vector); return ret_text->data != NULL;
    case NX_TYPE_null:
    case NX_TYPE_boolean:
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
    case NX_TYPE_u32:
    case NX_TYPE_f64:
    case NX_TYPE_bytes:
    case NX_TYPE_interval:
    case NX_TYPE_enumeration:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: return false;
    default: return false;
    }
    *ret_text = nx_strn(space, size);
    return true;
}

/* ------------------------------------------------------------------------------ values */

static int bind_text(sqlite3_stmt *stmt, int at, nx_text text, sqlite3_destructor_type keep)
{
    if (text.data == NULL)
        return sqlite3_bind_null(stmt, at);
    return sqlite3_bind_text64(stmt, at, text.data, text.size, keep, SQLITE_UTF8);
}

static int bind_bytes(sqlite3_stmt *stmt, int at, nx_bytes bytes, sqlite3_destructor_type keep)
{
    if (bytes.data == NULL)
        return sqlite3_bind_null(stmt, at);
    return sqlite3_bind_blob64(stmt, at, bytes.data, bytes.size, keep);
}

/* SQLite stores a NaN as NULL: refused, it would not come back. */
static nx_status bind_f64(sqlite3_stmt *stmt, int at, double number, nx_error *error, int *ret_code)
{
    if (isnan(number))
        return nxi_fail(error, NX_ERANGE, "SQLite cannot store NaN");
    *ret_code = sqlite3_bind_double(stmt, at, number);
    return NX_OK;
}

/* *ret_code is SQLite's answer when the status is NX_OK. */
static nx_status bind_value(sqlite3_stmt *stmt, int at, const nx_value *value, sqlite3_destructor_type keep, nxi_arena *arena,
                            nx_error *error, int *ret_code)
{
    char space[NX_TEXT_FORM_SIZE];
    nx_text text;
    int64_t number = 0;

    switch (value->type) {
    case NX_TYPE_null: *ret_code = sqlite3_bind_null(stmt, at); return NX_OK;
    case NX_TYPE_boolean: *ret_code = sqlite3_bind_int64(stmt, at, value->boolean); return NX_OK;
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
    case NX_TYPE_u32: *ret_code = sqlite3_bind_int64(stmt, at, value->i64); return NX_OK;
    case NX_TYPE_f64: return bind_f64(stmt, at, value->f64, error, ret_code);
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_decimal:
    case NX_TYPE_json: *ret_code = bind_text(stmt, at, value->text, keep); return NX_OK;
    case NX_TYPE_bytes: *ret_code = bind_bytes(stmt, at, value->bytes, keep); return NX_OK;
    case NX_TYPE_interval:
        if (nxi_sq_interval(value->interval, &number, error) != NX_OK)
            return error->status;
        *ret_code = sqlite3_bind_int64(stmt, at, number);
        return NX_OK;
    case NX_TYPE_enumeration:
        return nxi_fail(error, NX_ETYPE, "an enumeration is bound by the text of its label");
    case NX_TYPE_date:
    case NX_TYPE_time:
    case NX_TYPE_timestamp:
    case NX_TYPE_timestamptz:
    case NX_TYPE_uuid:
    case NX_TYPE_ulid:
    case NX_TYPE_vector:
        if (!nxi_sq_text_form(value, space, arena, &text))
            return nxi_fail(error, NX_ENOMEM, "out of memory");
        *ret_code = bind_text(stmt, at, text, SQLITE_TRANSIENT);
        return NX_OK;
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: break;
    }
    return nxi_fail(error, NX_ETYPE, "a value of that type cannot be stored");
}

/* Says which parameter it was. */
static nx_status fail_value(nxi_sq_connection *connection, nxi_request *request, size_t step, size_t index, nx_error *error,
                            int code)
{
    char message[NX_ERROR_MESSAGE_SIZE];

    if (code != SQLITE_OK)
        (void)nxi_sq_describe(connection, code, request->steps[step].statement, error);
    memcpy(message, error->message, sizeof(message));
    (void)nxi_request_fail(request, step, error->status, "parameter %zu: %s", index + 1, message);
    return request->status;
}

nx_status nxi_sq_bind_values(nxi_sq_connection *connection, sqlite3_stmt *stmt, nxi_request *request, size_t step, bool keep)
{
    const nxi_step *s = &request->steps[step];
    int expected = sqlite3_bind_parameter_count(stmt);
    sqlite3_destructor_type kept = keep ? SQLITE_TRANSIENT : SQLITE_STATIC;
    nx_error error;

    if (s->value_count > NXI_SQ_PARAMETERS_MAX)
        return nxi_request_fail(request, step, NX_ELIMIT, "%zu values were given; SQLite takes at most %d", s->value_count,
                                (int)NXI_SQ_PARAMETERS_MAX);
    if ((int)s->value_count != expected)
        return nxi_request_fail(request, step, NX_EINVAL, "the SQL text has %d parameter%s, but %zu value%s given", expected,
                                expected == 1 ? "" : "s", s->value_count, s->value_count == 1 ? " was" : "s were");
    for (size_t i = 0; i < s->value_count; i++) {
        int code = SQLITE_OK;
        nx_status status = bind_value(stmt, (int)i + 1, &s->values[i], kept, request->arena, &error, &code);
        if (NXI_UNLIKELY(status != NX_OK || code != SQLITE_OK))
            return fail_value(connection, request, step, i, &error, code);
    }
    return NX_OK;
}

/* ------------------------------------------------------------------------------ rows */

static nx_status bind_label(sqlite3_stmt *stmt, int at, const nxi_column *column, int32_t index, nx_error *error, int *ret_code)
{
    const char *const *labels;

    while (column->form == NXI_FORM_REFERENCE && column->target_column != NULL)
        column = column->target_column;
    labels = column->field->labels;
    for (int32_t i = 0; labels != NULL && labels[i] != NULL; i++) {
        if (i != index)
            continue;
        *ret_code = sqlite3_bind_text(stmt, at, labels[i], -1, SQLITE_STATIC);
        return NX_OK;
    }
    return nxi_fail(error, NX_ERANGE, "no label has the number %d", (int)index);
}

/* A reference, or a type that is rendered: by way of a value. */
static nx_status bind_boxed(sqlite3_stmt *stmt, int at, const nxi_column *column, const void *row, nxi_arena *arena,
                            nx_error *error, int *ret_code)
{
    nx_value value;

    nxi_column_get(column, row, &value);
    if (value.type == NX_TYPE_enumeration)
        return bind_label(stmt, at, column, value.enumeration, error, ret_code);
    return bind_value(stmt, at, &value, SQLITE_STATIC, arena, error, ret_code);
}

static nx_status bind_member(sqlite3_stmt *stmt, int at, const nxi_column *column, const void *row, nxi_arena *arena,
                             nx_error *error, int *ret_code)
{
    const void *member = (const char *)row + column->offset;

    if (column->form == NXI_FORM_OPTIONAL && !*((const bool *)row + column->present_offset)) {
        *ret_code = sqlite3_bind_null(stmt, at);
        return NX_OK;
    }
    if (column->form == NXI_FORM_REFERENCE)
        return bind_boxed(stmt, at, column, row, arena, error, ret_code);
    switch (column->type) {
    case NX_TYPE_boolean: *ret_code = sqlite3_bind_int64(stmt, at, *(const bool *)member); return NX_OK;
    case NX_TYPE_i16: *ret_code = sqlite3_bind_int64(stmt, at, *(const int16_t *)member); return NX_OK;
    case NX_TYPE_i32: *ret_code = sqlite3_bind_int64(stmt, at, *(const int32_t *)member); return NX_OK;
    case NX_TYPE_i64: *ret_code = sqlite3_bind_int64(stmt, at, *(const int64_t *)member); return NX_OK;
    case NX_TYPE_u32: *ret_code = sqlite3_bind_int64(stmt, at, *(const uint32_t *)member); return NX_OK;
    case NX_TYPE_f64: return bind_f64(stmt, at, *(const double *)member, error, ret_code);
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_decimal:
    case NX_TYPE_json: *ret_code = bind_text(stmt, at, *(const nx_text *)member, SQLITE_STATIC); return NX_OK;
    case NX_TYPE_bytes: *ret_code = bind_bytes(stmt, at, *(const nx_bytes *)member, SQLITE_STATIC); return NX_OK;
    case NX_TYPE_null:
    case NX_TYPE_date:
    case NX_TYPE_time:
    case NX_TYPE_timestamp:
    case NX_TYPE_timestamptz:
    case NX_TYPE_interval:
    case NX_TYPE_uuid:
    case NX_TYPE_ulid:
    case NX_TYPE_enumeration:
    case NX_TYPE_vector:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count:
    default: return bind_boxed(stmt, at, column, row, arena, error, ret_code);
    }
}

nx_status nxi_sq_bind_row(const nxi_sq_binder *binder, sqlite3_stmt *stmt, int first, const void *row, nx_error *error)
{
    const nxi_statement *statement = binder->statement;

    for (size_t i = 0; i < statement->param_count; i++) {
        const nxi_param *param = &statement->params[i];
        const void *image = param->from_snapshot ? nxi_row_snapshot(row) : row;
        int code = SQLITE_OK;
        nx_status status = bind_member(stmt, first + (int)i, param->column, image, binder->arena, error, &code);

        if (NXI_LIKELY(status == NX_OK && code == SQLITE_OK))
            continue;
        if (code != SQLITE_OK)
            status = nxi_sq_describe(binder->connection, code, statement, error);
        if (status != NX_ENOMEM) {
            char message[NX_ERROR_MESSAGE_SIZE];
            memcpy(message, error->message, sizeof(message));
            (void)nxi_sq_column_error(param->column, error, status, "%s", message);
        }
        return status;
    }
    return NX_OK;
}
