/*
 * sqltype - the names of types: those that we give, and those that users give by the option sql_type.
 */
#include "drivers/postgres/sqltype.h"

#include <strings.h>

enum {
    VARCHAR_MAX = 10485760, /* 8.3: the largest n of VARCHAR(n) */
    PRECISION_MAX = 1000,   /* 8.1.2 */
    NAME_SIZE = 48          /* longer than any name in the table */
};

const nxi_column *nxi_pg_typed_column(const nxi_column *column)
{
    while (column->form == NXI_FORM_REFERENCE && column->target_column != NULL)
        column = column->target_column;
    return column;
}

const char *nxi_pg_sql_type(const nxi_column *column)
{
    column = nxi_pg_typed_column(column);
    return column->field == NULL ? NULL : column->field->sql_type;
}

/* ----------------------------------------------------------------------------- our own names */

static void sized_type(const nxi_column *column, nxi_buf *sql)
{
    const nx_field *field = column->field;

    if (column->type == NX_TYPE_text && column->max_len > 0 && column->max_len <= VARCHAR_MAX)
        nxi_buf_printf(sql, "VARCHAR(%u)", (unsigned)column->max_len);
    else if (column->type == NX_TYPE_text)
        nxi_buf_puts(sql, "TEXT");
    else if (field != NULL && field->precision > 0 && field->precision <= PRECISION_MAX)
        nxi_buf_printf(sql, "NUMERIC(%u,%u)", (unsigned)field->precision, (unsigned)field->scale);
    else
        nxi_buf_puts(sql, "NUMERIC");
}

void nxi_pg_put_type(const nxi_column *reference, nxi_buf *sql)
{
    const nxi_column *column = nxi_pg_typed_column(reference);

    switch (column->type) {
    case NX_TYPE_boolean: nxi_buf_puts(sql, "BOOLEAN"); break;
    case NX_TYPE_i16: nxi_buf_puts(sql, "SMALLINT"); break;
    case NX_TYPE_i32: nxi_buf_puts(sql, "INTEGER"); break;
    case NX_TYPE_i64:
    case NX_TYPE_u32: nxi_buf_puts(sql, "BIGINT"); break;
    case NX_TYPE_f64: nxi_buf_puts(sql, "DOUBLE PRECISION"); break;
    case NX_TYPE_bytes: nxi_buf_puts(sql, "BYTEA"); break;
    case NX_TYPE_json: nxi_buf_puts(sql, "JSONB"); break;
    case NX_TYPE_date: nxi_buf_puts(sql, "DATE"); break;
    case NX_TYPE_time: nxi_buf_puts(sql, "TIME"); break;
    case NX_TYPE_timestamp: nxi_buf_puts(sql, "TIMESTAMP"); break;
    case NX_TYPE_timestamptz: nxi_buf_puts(sql, "TIMESTAMPTZ"); break;
    case NX_TYPE_interval: nxi_buf_puts(sql, "INTERVAL"); break;
    case NX_TYPE_uuid: nxi_buf_puts(sql, "UUID"); break;
    case NX_TYPE_ulid: nxi_buf_puts(sql, "VARCHAR(26) COLLATE \"C\""); break;
    case NX_TYPE_vector: nxi_buf_puts(sql, "REAL[]"); break;
    case NX_TYPE_text:
    case NX_TYPE_decimal: sized_type(column, sql); break;
    case NX_TYPE_longtext:
    case NX_TYPE_enumeration:
    case NX_TYPE_null:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: nxi_buf_puts(sql, "TEXT"); break;
    }
}

const char *nxi_pg_type_text(nxi_pg_oid type)
{
    static const struct {
        nxi_pg_oid type;
        const char *text;
    } texts[] = {
        { NXI_PG_BOOL, "boolean" },        { NXI_PG_BYTEA, "bytea" },
        { NXI_PG_INT8, "bigint" },         { NXI_PG_INT2, "smallint" },
        { NXI_PG_INT4, "integer" },        { NXI_PG_FLOAT8, "double precision" },
        { NXI_PG_DATE, "date" },           { NXI_PG_TIME, "time" },
        { NXI_PG_TIMESTAMP, "timestamp" }, { NXI_PG_TIMESTAMPTZ, "timestamptz" },
        { NXI_PG_INTERVAL, "interval" },   { NXI_PG_NUMERIC, "numeric" },
        { NXI_PG_UUID, "uuid" },           { NXI_PG_JSONB, "jsonb" },
    };

    for (size_t i = 0; i < NXI_COUNT(texts); i++) {
        if (texts[i].type == type)
            return texts[i].text;
    }
    return type != NXI_PG_INFER && type == nxi_pg_array_of(NXI_PG_FLOAT4) ? "real[]" : "text";
}

/* ------------------------------------------------------------------------------ users' names */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

/* Behind a quoted name, or a closing parenthesis with all that is inside. */
static const char *skip_group(const char *text)
{
    size_t depth = 0;

    do {
        if (*text == '"' || *text == '\'') {
            const char *close = strchr(text + 1, *text);
            if (close == NULL)
                return text + strlen(text);
            text = close;
        } else if (*text == '(') {
            depth++;
        } else if (*text == ')') {
            depth--;
        }
        text++;
    } while (depth != 0 && *text != '\0');
    return text;
}

/* Words that begin what stands behind the type in the definition of a column: CREATE TABLE, "column_constraint". */
static bool ends_type(const char *word, size_t size)
{
    static const char *const words[] = { "collate",    "compression", "constraint", "not",    "null",
                                         "check",      "default",     "generated",  "unique", "primary",
                                         "references", "deferrable",  "initially" };

    for (size_t i = 0; i < NXI_COUNT(words); i++) {
        if (strlen(words[i]) == size && strncasecmp(word, words[i], size) == 0)
            return true;
    }
    return false;
}

/* Bytes of the type at the front of "varchar(20) COLLATE x DEFAULT y". */
static size_t type_size(const char *sql_type)
{
    const char *text = sql_type;
    size_t size = 0;

    while (*text != '\0') {
        const char *start = text;
        if (*text == '"' || *text == '\'' || *text == '(') {
            text = skip_group(text);
        } else if (is_letter(*text)) {
            while (is_letter(*text) || (*text >= '0' && *text <= '9') || *text == '$')
                text++;
            if (start != sql_type && ends_type(start, (size_t)(text - start)))
                break;
        } else if (*text++ == ' ' || (text[-1] >= '\t' && text[-1] <= '\r')) {
            continue; /* counts only when something follows */
        }
        size = (size_t)(text - sql_type);
    }
    return size;
}

/* The type's name in lower case, without modifiers, with single spaces; false: longer than any that is known. */
static bool plain_name(const char *sql_type, char name[NAME_SIZE])
{
    const char *end = sql_type + type_size(sql_type);
    size_t size = 0;

    for (const char *text = sql_type; text < end;) {
        char c = *text;
        if (c == '(') {
            text = skip_group(text);
            continue;
        }
        text++;
        bool is_space = c == ' ' || (c >= '\t' && c <= '\r');
        if (is_space && (size == 0 || name[size - 1] == ' '))
            continue;
        if (size + 1 >= NAME_SIZE)
            return false;
        name[size++] = is_space ? ' ' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    while (size != 0 && name[size - 1] == ' ')
        size--;
    name[size] = '\0';
    return true;
}

typedef struct known_type {
    const char *name;
    nxi_pg_oid type;
    const char *cast; /* where it is not the name with its modifiers */
} known_type;

/* Chapter 8, table 8.1, and the notations for numbered columns (8.1.4). float(n) may be either size: it is not here. */
static const known_type known_types[] = {
    { "bool", NXI_PG_BOOL, NULL },
    { "boolean", NXI_PG_BOOL, NULL },
    { "smallint", NXI_PG_INT2, NULL },
    { "int2", NXI_PG_INT2, NULL },
    { "smallserial", NXI_PG_INT2, "smallint" },
    { "serial2", NXI_PG_INT2, "smallint" },
    { "integer", NXI_PG_INT4, NULL },
    { "int", NXI_PG_INT4, NULL },
    { "int4", NXI_PG_INT4, NULL },
    { "serial", NXI_PG_INT4, "integer" },
    { "serial4", NXI_PG_INT4, "integer" },
    { "bigint", NXI_PG_INT8, NULL },
    { "int8", NXI_PG_INT8, NULL },
    { "bigserial", NXI_PG_INT8, "bigint" },
    { "serial8", NXI_PG_INT8, "bigint" },
    { "real", NXI_PG_FLOAT4, NULL },
    { "float4", NXI_PG_FLOAT4, NULL },
    { "double precision", NXI_PG_FLOAT8, NULL },
    { "float8", NXI_PG_FLOAT8, NULL },
    { "numeric", NXI_PG_NUMERIC, NULL },
    { "decimal", NXI_PG_NUMERIC, NULL },
    { "dec", NXI_PG_NUMERIC, NULL },
    { "text", NXI_PG_TEXT, NULL },
    { "varchar", NXI_PG_TEXT, NULL },
    { "character varying", NXI_PG_TEXT, NULL },
    { "char", NXI_PG_TEXT, NULL },
    { "character", NXI_PG_TEXT, NULL },
    { "bpchar", NXI_PG_TEXT, NULL },
    { "bytea", NXI_PG_BYTEA, NULL },
    { "json", NXI_PG_JSON, NULL },
    { "jsonb", NXI_PG_JSONB, NULL },
    { "xml", NXI_PG_XML, NULL },
    { "date", NXI_PG_DATE, NULL },
    { "time", NXI_PG_TIME, NULL },
    { "time without time zone", NXI_PG_TIME, NULL },
    { "timestamp", NXI_PG_TIMESTAMP, NULL },
    { "timestamp without time zone", NXI_PG_TIMESTAMP, NULL },
    { "timestamptz", NXI_PG_TIMESTAMPTZ, NULL },
    { "timestamp with time zone", NXI_PG_TIMESTAMPTZ, NULL },
    { "interval", NXI_PG_INTERVAL, NULL },
    { "uuid", NXI_PG_UUID, NULL },
    /* An explicit cast to bit(n) cuts silently (8.10); varbit is assigned to it with a check. */
    { "bit", NXI_PG_INFER, "varbit" },
    { "bit varying", NXI_PG_INFER, "varbit" },
    { "varbit", NXI_PG_INFER, "varbit" },
};

/* NULL: none that is known. */
static const known_type *find_type(const char *sql_type)
{
    char name[NAME_SIZE];

    if (!plain_name(sql_type, name))
        return NULL;
    for (size_t i = 0; i < NXI_COUNT(known_types); i++) {
        if (strcmp(known_types[i].name, name) == 0)
            return &known_types[i];
    }
    return NULL;
}

static bool is_named(const char *sql_type, const char *wanted)
{
    char name[NAME_SIZE];
    return plain_name(sql_type, name) && strcmp(name, wanted) == 0;
}

void nxi_pg_put_reference_type(const nxi_column *column, nxi_buf *sql)
{
    const char *sql_type = nxi_pg_sql_type(column);
    const known_type *known = sql_type == NULL ? NULL : find_type(sql_type);

    if (sql_type == NULL)
        nxi_pg_put_type(column, sql);
    else if (known != NULL && known->type != NXI_PG_INFER && known->cast != NULL)
        nxi_buf_puts(sql, known->cast);
    else
        nxi_buf_put(sql, sql_type, type_size(sql_type));
}

/* ------------------------------------------------------------------------------------ travel */

static bool is_integer(nxi_pg_oid type)
{
    return type == NXI_PG_INT2 || type == NXI_PG_INT4 || type == NXI_PG_INT8;
}

/* What a type of the user's own means for values of ours. */
static nxi_pg_travel travel_as(const nxi_column *column, const char *sql_type, nxi_pg_oid ours)
{
    const known_type *known = find_type(sql_type);
    nxi_pg_oid type = known == NULL ? NXI_PG_INFER : known->type;

    if (ours == nxi_pg_array_of(NXI_PG_FLOAT4) && (is_named(sql_type, "real[]") || is_named(sql_type, "float4[]")))
        return (nxi_pg_travel){ .one = ours, .element = NXI_PG_TEXT, .needs_cast = true, .copies = true };
    if (type == NXI_PG_TEXT)
        return (nxi_pg_travel){ .one = NXI_PG_INFER, .element = NXI_PG_TEXT, .copies = true };
    if (type != NXI_PG_INFER && (type == ours || (is_integer(type) && is_integer(ours))))
        return (nxi_pg_travel){ .one = type, .element = type, .copies = true };
    if (type == NXI_PG_FLOAT4 && ours == NXI_PG_FLOAT8)
        return (nxi_pg_travel){ .one = ours, .element = ours };
    /* Text where the type's binary form is its text as well: the input functions of these take it. */
    bool is_text =
        type == NXI_PG_JSON || type == NXI_PG_XML || is_named(sql_type, "citext") || column->type == NX_TYPE_enumeration;
    return (nxi_pg_travel){ .one = NXI_PG_INFER, .element = NXI_PG_TEXT, .needs_cast = true, .copies = is_text };
}

nxi_pg_travel nxi_pg_travel_of(const nxi_column *column)
{
    const nxi_column *typed = nxi_pg_typed_column(column);
    const char *sql_type = nxi_pg_sql_type(typed);
    nxi_pg_oid ours = nxi_pg_parameter_type(typed->type);

    if (sql_type != NULL)
        return travel_as(typed, sql_type, ours);
    /* An array of arrays is one array of more dimensions, which unnest takes apart to the last element: vectors go as text. */
    bool is_vector = typed->type == NX_TYPE_vector;
    return (nxi_pg_travel){
        .one = ours, .element = is_vector || ours == NXI_PG_INFER ? NXI_PG_TEXT : ours, .needs_cast = is_vector, .copies = true
    };
}

void nxi_pg_put_cast(const nxi_column *column, const char *expression, bool is_array, nxi_buf *sql)
{
    nxi_pg_travel travel = nxi_pg_travel_of(column);
    const char *sql_type = nxi_pg_sql_type(column);
    const known_type *known = sql_type == NULL ? NULL : find_type(sql_type);

    if (!travel.needs_cast) {
        nxi_buf_puts(sql, expression);
        return;
    }
    if (travel.one != NXI_PG_INFER) { /* our vectors are [1,2], the server's arrays {1,2} */
        nxi_buf_printf(sql, "translate(%s, '[]', '{}')::real[]", expression);
        return;
    }
    nxi_buf_puts(sql, expression);
    nxi_buf_puts(sql, "::");
    if (known != NULL && known->cast != NULL)
        nxi_buf_puts(sql, known->cast);
    else if (sql_type != NULL)
        nxi_buf_put(sql, sql_type, type_size(sql_type));
    nxi_buf_puts(sql, is_array ? "[]" : "");
}
