/*
 * dialect - SQLite's SQL.
 *
 * Design notes: SQLite derives an affinity from the words in a type's name. A type that must keep its exact text
 * therefore carries TEXT in its name: DECIMAL, DATE or UUID alone would have NUMERIC affinity, which turns "0.10" into
 * the float 0.1. The names still say what the column is, so that a schema can be read back.
 *
 * Types are not checked by CHECK (typeof(...)): with three columns that made an INSERT 20 to 30 % slower (measured, 1 M
 * rows, 3.40.1), and what another program stores in a column of the wrong type is refused when it is read.
 */
#include "drivers/sqlite/sqlite.h"

enum {
    IDENTIFIER_BYTES_MAX = 255,
    LIST_MAX = 8 /* longer IN lists are one JSON array where the type allows it */
};

/* The column that a reference leads to in the end: it has the options of the type. */
static const nx_field *typed_field(const nxi_column *column)
{
    while (column->form == NXI_FORM_REFERENCE && column->target_column != NULL)
        column = column->target_column;
    return column->field;
}

static void integer_type(const nxi_column *column, nxi_buf *sql)
{
    /* Only a key that is exactly INTEGER is the table's own B-tree key; references use the same name for it. */
    if (column->is_key || column->form == NXI_FORM_REFERENCE)
        nxi_buf_puts(sql, "INTEGER");
    else if (column->type == NX_TYPE_i16)
        nxi_buf_puts(sql, "SMALLINT");
    else if (column->type == NX_TYPE_i64)
        nxi_buf_puts(sql, "BIGINT");
    else
        nxi_buf_puts(sql, column->type == NX_TYPE_u32 ? "UNSIGNED INTEGER" : "INTEGER");
}

static void sized_type(const nxi_column *column, const nx_field *field, nxi_buf *sql)
{
    if (column->type == NX_TYPE_text && column->max_len > 0)
        nxi_buf_printf(sql, "VARCHAR(%u)", (unsigned)column->max_len);
    else if (column->type == NX_TYPE_text)
        nxi_buf_puts(sql, "TEXT");
    else if (column->type == NX_TYPE_decimal && field != NULL && field->precision > 0)
        nxi_buf_printf(sql, "DECIMAL_TEXT(%u, %u)", (unsigned)field->precision, (unsigned)field->scale);
    else if (column->type == NX_TYPE_decimal)
        nxi_buf_puts(sql, "DECIMAL_TEXT");
    else if (field != NULL && field->dimensions > 0)
        nxi_buf_printf(sql, "VECTOR_TEXT(%u)", (unsigned)field->dimensions);
    else
        nxi_buf_puts(sql, "VECTOR_TEXT");
}

static void column_type(const nxi_column *column, nxi_buf *sql)
{
    const nx_field *field = typed_field(column);

    if (column->form != NXI_FORM_REFERENCE && field != NULL && field->sql_type != NULL) {
        nxi_buf_puts(sql, field->sql_type);
        return;
    }
    switch (column->type) {
    case NX_TYPE_boolean: nxi_buf_puts(sql, "BOOLEAN"); break;
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
    case NX_TYPE_u32: integer_type(column, sql); break;
    case NX_TYPE_f64: nxi_buf_puts(sql, "REAL"); break;
    case NX_TYPE_longtext: nxi_buf_puts(sql, "LONGTEXT"); break;
    case NX_TYPE_bytes: nxi_buf_puts(sql, "BLOB"); break;
    case NX_TYPE_json: nxi_buf_puts(sql, "JSON_TEXT"); break;
    case NX_TYPE_date: nxi_buf_puts(sql, "DATE_TEXT"); break;
    case NX_TYPE_time: nxi_buf_puts(sql, "TIME_TEXT"); break;
    case NX_TYPE_timestamp: nxi_buf_puts(sql, "TIMESTAMP_TEXT"); break;
    case NX_TYPE_timestamptz: nxi_buf_puts(sql, "TIMESTAMPTZ_TEXT"); break;
    case NX_TYPE_interval: nxi_buf_puts(sql, "INTERVAL"); break; /* contains INT: microseconds */
    case NX_TYPE_uuid: nxi_buf_puts(sql, "UUID_TEXT"); break;
    case NX_TYPE_ulid: nxi_buf_puts(sql, "ULID_TEXT"); break;
    case NX_TYPE_enumeration: nxi_buf_puts(sql, "ENUM_TEXT"); break;
    case NX_TYPE_text:
    case NX_TYPE_decimal:
    case NX_TYPE_vector: sized_type(column, field, sql); break;
    case NX_TYPE_null:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: nxi_buf_puts(sql, "BLOB"); break;
    }
}

static void auto_key(const nxi_column *column, nxi_buf *sql)
{
    (void)column;
    nxi_buf_puts(sql, "INTEGER PRIMARY KEY");
}

/* 'text' with quotes doubled. */
static void literal(const char *text, nxi_buf *sql)
{
    nxi_buf_putc(sql, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            nxi_buf_putc(sql, '\'');
        nxi_buf_putc(sql, *text);
    }
    nxi_buf_putc(sql, '\'');
}

static void column_check(const nxi_column *column, const char *quoted, nxi_buf *sql)
{
    const nx_field *field = typed_field(column);

    if (column->form == NXI_FORM_REFERENCE) /* the column that it refers to has the check */
        return;
    if (column->type == NX_TYPE_boolean) {
        nxi_buf_printf(sql, "CHECK (%s IN (0, 1))", quoted);
    } else if (column->type == NX_TYPE_json) {
        nxi_buf_printf(sql, "CHECK (%s IS NULL OR json_valid(%s))", quoted, quoted); /* json_valid(NULL) is 0 */
    } else if (column->type == NX_TYPE_enumeration && field != NULL && field->labels != NULL && field->labels[0] != NULL) {
        nxi_buf_printf(sql, "CHECK (%s IN (", quoted);
        for (size_t i = 0; field->labels[i] != NULL; i++) {
            if (i > 0)
                nxi_buf_puts(sql, ", ");
            literal(field->labels[i], sql);
        }
        nxi_buf_puts(sql, "))");
    }
}

/* ---------------------------------------------------------------------------------- IN (...) */

/* JSON holds integers and texts exactly, but floats and bytes not. The values of an enumeration come as their labels. */
static bool fits_json(nx_type type)
{
    return type != NX_TYPE_f64 && type != NX_TYPE_bytes && type > NX_TYPE_null && type < NX_TYPE_key;
}

static size_t in_list(nx_type type, size_t count)
{
    size_t padded = fits_json(type) ? 2 : 1; /* where arrays are possible, one parameter is always an array */

    if (count == 0)
        return 0;
    if (fits_json(type) && count > LIST_MAX)
        return 1;
    while (padded < count && padded < SIZE_MAX / 2)
        padded *= 2;
    /* Padding must not be what breaks the limit. */
    return padded > NXI_SQ_PARAMETERS_MAX && count <= NXI_SQ_PARAMETERS_MAX ? count : padded;
}

static void in_render(const nxi_column *column, const char *lhs, bool negated, size_t parameters, nxi_buf *sql,
                      nxi_placeholder *placeholder, void *context)
{
    bool array = parameters == 1 && fits_json(column->type);

    nxi_buf_puts(sql, lhs);
    nxi_buf_puts(sql, negated ? " NOT IN (" : " IN (");
    if (array)
        nxi_buf_puts(sql, "SELECT value FROM json_each(");
    for (size_t i = 0; i < parameters; i++) {
        if (i > 0)
            nxi_buf_puts(sql, ", ");
        placeholder(context, sql);
    }
    nxi_buf_puts(sql, array ? "))" : ")");
}

static bool json_value(const nx_value *value, nxi_arena *arena, nxi_buf *json)
{
    char text[NX_TEXT_FORM_SIZE];
    nx_text form;
    int64_t number;
    nx_error error;

    if (value->type == NX_TYPE_null) {
        nxi_buf_puts(json, "null");
        return true;
    }
    if (value->type == NX_TYPE_boolean || value->type == NX_TYPE_interval ||
        (value->type >= NX_TYPE_i16 && value->type <= NX_TYPE_u32)) {
        if (value->type != NX_TYPE_interval)
            number = value->type == NX_TYPE_boolean ? value->boolean : value->i64;
        else if (nxi_sq_interval(value->interval, &number, &error) != NX_OK)
            return false;
        nxi_buf_printf(json, "%lld", (long long)number);
        return true;
    }
    if (!nxi_sq_text_form(value, text, arena, &form))
        return false;
    nxi_put_json(form, json);
    return true;
}

static const nx_value *array_value(const nx_value *values, size_t count, nxi_arena *arena)
{
    nx_value *array = NXI_ARENA_NEW(arena, nx_value);
    bool possible = array != NULL;
    const char *text = NULL;
    nxi_buf json;

    nxi_buf_init(&json, arena->memory);
    nxi_buf_putc(&json, '[');
    for (size_t i = 0; possible && i < count; i++) {
        if (i > 0)
            nxi_buf_putc(&json, ',');
        possible = json_value(&values[i], arena, &json);
    }
    nxi_buf_putc(&json, ']');
    if (possible && !json.failed)
        text = nxi_arena_text(arena, json.data, json.size);
    if (text != NULL)
        *array = nx_value_text(nx_strn(text, json.size));
    nxi_buf_fini(&json);
    return text == NULL ? NULL : array;
}

static const nx_value *in_values(nx_type type, const nx_value *values, size_t count, size_t parameters, nxi_arena *arena)
{
    nx_value *list;

    if (count == 0)
        return NXI_ARENA_NEW(arena, nx_value);
    if (parameters == 1 && fits_json(type))
        return array_value(values, count, arena);
    if (parameters < count)
        return NULL;
    list = NXI_ARENA_ARRAY(arena, nx_value, parameters);
    for (size_t i = 0; list != NULL && i < parameters; i++)
        list[i] = values[i < count ? i : count - 1];
    return list;
}

/* Connections run with case_sensitive_like, so LIKE minds the case and can use an index. */
static void like(const char *lhs, bool ignore_case, nxi_buf *sql, void (*placeholder)(void *context, nxi_buf *sql), void *context)
{
    nxi_buf_printf(sql, ignore_case ? "lower(%s) LIKE lower(" : "%s LIKE ", lhs);
    placeholder(context, sql);
    nxi_buf_puts(sql, ignore_case ? ") ESCAPE '\\'" : " ESCAPE '\\'");
}

/* Decimals are kept as text, which is exact; their order is that of the numbers. The collation is made by open.c. */
static const char *collation(nx_type type)
{
    return type == NX_TYPE_decimal ? " COLLATE nx_decimal" : "";
}

const nxi_dialect nxi_sq_dialect = {
    .collation = collation,
    .name = "sqlite",
    .quote = '"',
    .identifier_bytes_max = IDENTIFIER_BYTES_MAX,
    .parameters_max = NXI_SQ_PARAMETERS_MAX,
    .null_safe_equal = "IS",
    .random = "RANDOM()",
    .limit_none = "-1",
    .overflow = "abs(-9223372036854775807 - 1)",
    .on_conflict = true,
    .nulls_first = true,
    .column_type = column_type,
    .auto_key = auto_key,
    .column_check = column_check,
    .in_list = in_list,
    .in_render = in_render,
    .in_values = in_values,
    .like = like,
    .concat = "GROUP_CONCAT(",
    .table_columns =
        "WITH c AS (SELECT * FROM pragma_table_info(?)), "
        "d AS (SELECT *, pk = 1 AND upper(type) = 'INTEGER' AND (SELECT max(pk) FROM c) = 1 AS numbered FROM c) "
        "SELECT name, type, \"notnull\" = 0 AND NOT numbered AS nullable, pk AS key_part, numbered FROM d ORDER BY cid",
    .table_uniques = "SELECT i.name AS name, c.name AS column_name "
                     "FROM pragma_index_list(?) AS i, pragma_index_info(i.name) AS c WHERE i.\"unique\" AND NOT i.partial ORDER "
                     "BY i.name, c.seqno",
    .catalog = &nxi_sq_catalog,
};
