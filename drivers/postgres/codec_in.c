/*
 * codec_in - rows of a result straight into entity memory.
 *
 * How a column gets into the struct is compiled into a code once. A row is walked twice at most: first the usual types, into one
 * block of the arena that is as large as the message can make it and is cut to what was used; then what needs memory of its own
 * or a detour by a value (references, numerics, labels, text format).
 */
#include "drivers/postgres/codec_parts.h"

enum {
    IN_SKIP, /* of no column */
    IN_BOXED,
    IN_BOOL,
    IN_WORD16,
    IN_WORD32,
    IN_WORD64,
    IN_I64_OF_4,
    IN_I64_OF_2,
    IN_I32_OF_2,
    IN_I32_OF_8,
    IN_U32_OF_8,
    IN_TEXT,
    IN_JSONB,
    IN_BYTES,
    IN_DATE,
    IN_TIME,
    IN_INSTANT,
    IN_INTERVAL,
    IN_BYTES16
};

/* ------------------------------------------------------------------------------- codes */

/* Texts, and types that are not known: their text or the bytes of their binary form are those of a text. */
static bool is_text_like(const nxi_pg_type *type)
{
    return type == NULL || type->type == NX_TYPE_text;
}

static bool is_integer(const nxi_pg_type *type)
{
    return type != NULL && nxi_type_is_integer(type->type);
}

/* Whether values of that type of the server can be values of a column's type. */
static bool accepts(nx_type wanted, nxi_pg_oid oid, nxi_pg_format format)
{
    const nxi_pg_type *type = nxi_pg_type_of(oid);
    bool is_array = nxi_pg_element_of(oid) != 0;

    if (oid == NXI_PG_TIMETZ)
        return format == NXI_PG_AS_TEXT && (wanted == NX_TYPE_text || wanted == NX_TYPE_longtext);
    if (is_array)
        return wanted == NX_TYPE_text || wanted == NX_TYPE_longtext || (wanted == NX_TYPE_vector && oid == NXI_PG_FLOAT4_ARRAY);
    /* Every type of ours can be written into a column of texts, so all of them are read from there. */
    if (is_text_like(type))
        return true;
    if (type->type == NX_TYPE_json)
        return wanted == NX_TYPE_json || wanted == NX_TYPE_text || wanted == NX_TYPE_longtext;
    if (nxi_type_is_integer(wanted))
        return is_integer(type) || oid == NXI_PG_NUMERIC;
    if (wanted == NX_TYPE_f64 || wanted == NX_TYPE_decimal)
        return type->type == wanted || is_integer(type);
    return type->type == wanted || (wanted == NX_TYPE_ulid && oid == NXI_PG_UUID);
}

static uint8_t integer_code(nx_type wanted, nxi_pg_oid oid)
{
    if (wanted == NX_TYPE_i64)
        return oid == NXI_PG_INT8 ? IN_WORD64 : oid == NXI_PG_INT4 ? IN_I64_OF_4 : oid == NXI_PG_INT2 ? IN_I64_OF_2 : IN_BOXED;
    if (wanted == NX_TYPE_i32)
        return oid == NXI_PG_INT4 ? IN_WORD32 : oid == NXI_PG_INT2 ? IN_I32_OF_2 : oid == NXI_PG_INT8 ? IN_I32_OF_8 : IN_BOXED;
    if (wanted == NX_TYPE_u32)
        return oid == NXI_PG_INT8 ? IN_U32_OF_8 : oid == NXI_PG_OID ? IN_WORD32 : IN_BOXED;
    return oid == NXI_PG_INT2 ? IN_WORD16 : IN_BOXED;
}

/* In binary format, and the types fit. */
static uint8_t binary_code(nx_type wanted, nxi_pg_oid oid)
{
    if (nxi_type_is_integer(wanted))
        return integer_code(wanted, oid);
    switch (oid) {
    case NXI_PG_BOOL: return IN_BOOL;
    case NXI_PG_FLOAT8: return IN_WORD64;
    case NXI_PG_BYTEA: return IN_BYTES;
    case NXI_PG_JSON: return IN_TEXT;
    case NXI_PG_JSONB: return IN_JSONB;
    case NXI_PG_DATE: return IN_DATE;
    case NXI_PG_TIME: return IN_TIME;
    case NXI_PG_TIMESTAMP:
    case NXI_PG_TIMESTAMPTZ: return IN_INSTANT;
    case NXI_PG_INTERVAL: return IN_INTERVAL;
    case NXI_PG_UUID: return IN_BYTES16;
    default: return IN_BOXED;
    }
}

static uint8_t code_of(const nxi_column *column, nxi_pg_oid oid, nxi_pg_format format)
{
    const nxi_pg_type *type = nxi_pg_type_of(oid);
    bool is_text = column->type == NX_TYPE_text || column->type == NX_TYPE_longtext || column->type == NX_TYPE_json;

    if (column->form == NXI_FORM_REFERENCE || oid == NXI_PG_CHAR)
        return IN_BOXED;
    if (column->type == NX_TYPE_json && oid != NXI_PG_JSON && oid != NXI_PG_JSONB)
        return IN_BOXED; /* a text need be no JSON */
    if (is_text && (is_text_like(type) || format == NXI_PG_AS_TEXT))
        return nxi_pg_element_of(oid) != 0 && format == NXI_PG_AS_BINARY ? IN_BOXED : IN_TEXT;
    if (is_text_like(type) || format == NXI_PG_AS_TEXT)
        return IN_BOXED;
    return binary_code(column->type, oid);
}

nx_status nxi_pg_ins_make(const nxi_column *const *columns, const nxi_pg_oid *types, const nxi_pg_format *formats, size_t count,
                          nxi_pg_in *ins, nx_error *error)
{
    char space[NXI_PG_TYPE_NAME_SIZE];

    for (size_t i = 0; i < count; i++) {
        const nxi_column *column = columns[i];
        const nxi_pg_type *type = nxi_pg_type_of(types[i]);

        if (formats[i] != NXI_PG_AS_TEXT && formats[i] != NXI_PG_AS_BINARY)
            return nxi_fail(error, NX_EPROTOCOL, "a result in the unknown format %d", (int)formats[i]);
        ins[i] = (nxi_pg_in){ .column = column, .type = types[i], .format = (uint8_t)formats[i], .code = IN_SKIP };
        if (column == NULL)
            continue;
        if (!accepts(column->type, types[i], formats[i]))
            return nxi_pg_column_error(column, error, NX_ETYPE, "the database's column is of type %s where %s is expected",
                                       nxi_pg_type_name(types[i], space), nx_type_name(column->type));
        ins[i].offset = column->offset;
        ins[i].present_offset = column->form == NXI_FORM_OPTIONAL ? column->present_offset : 0;
        ins[i].is_other = type == NULL && nxi_pg_element_of(types[i]) == 0;
        ins[i].code = code_of(column, types[i], formats[i]);
        ins[i].fixed = formats[i] == NXI_PG_AS_BINARY && type != NULL ? type->size : 0;
    }
    return NX_OK;
}

uint32_t nxi_pg_lazy_missing(const nxi_table *table, const nxi_column *const *columns, size_t count)
{
    uint32_t missing = table->lazy_mask;

    for (size_t i = 0; i < count; i++) {
        if (columns[i] != NULL && columns[i]->lazy)
            missing &= ~(UINT32_C(1) << columns[i]->lazy_bit);
    }
    return missing;
}

/* ------------------------------------------------------------------------ by way of a value */

/* "12.00" as an integer: the server's numeric has as many digits behind the point as its column. */
static nx_status whole_part(nx_value *value)
{
    const char *point = memchr(value->text.data, '.', value->text.size);
    size_t whole, fraction;

    if (!nxi_decimal_measure(value->text.data, value->text.size, &whole, &fraction))
        return NX_ETYPE;
    if (fraction != 0 || nxi_text_is_word(value->text.data, value->text.size, "nan"))
        return NX_ERANGE;
    if (point != NULL)
        value->text.size = (size_t)(point - value->text.data);
    return NX_OK;
}

/* {1,2} of an array of floats as [1,2]. */
static nx_status parse_vector(nxi_arena *arena, nx_value *value)
{
    char *text = nxi_arena_text(arena, value->text.data, value->text.size);
    size_t size = value->text.size;
    nx_vector vector;
    nx_status status;

    if (text == NULL)
        return NX_ENOMEM;
    if (size >= 2 && text[0] == '{' && text[size - 1] == '}') {
        text[0] = '[';
        text[size - 1] = ']';
    }
    status = nxi_vector_parse(arena, nx_strn(text, size), &vector);
    if (status == NX_OK)
        *value = (nx_value){ .type = NX_TYPE_vector, .vector = vector };
    return status;
}

static nx_status convert(const nxi_pg_in *in, nxi_arena *arena, nx_value *value)
{
    nx_type wanted = in->column->type;
    nx_status status = NX_OK;

    if (value->type == NX_TYPE_uuid && wanted == NX_TYPE_ulid) {
        nx_uuid uuid = value->uuid;
        value->type = NX_TYPE_ulid;
        memcpy(&value->ulid, &uuid, sizeof(uuid));
        return NX_OK;
    }
    if (nxi_type_is_text(value->type)) {
        if (wanted == NX_TYPE_date || wanted == NX_TYPE_timestamp || wanted == NX_TYPE_timestamptz)
            return nxi_pg_instant_parse(wanted, value->text, value);
        if (wanted == NX_TYPE_vector)
            return parse_vector(arena, value);
        if (nxi_type_is_integer(wanted))
            status = whole_part(value);
    }
    if (status == NX_OK)
        status = nxi_value_convert(arena, wanted, wanted == NX_TYPE_enumeration ? nxi_pg_labels(in->column) : NULL, value);
    if (status == NX_OK && nxi_type_is_text(wanted))
        status = nxi_text_check(wanted, value->text.data, value->text.size);
    return status == NX_ERANGE && wanted == NX_TYPE_enumeration ? NX_ETYPE : status;
}

static nx_status refuse(const nxi_pg_in *in, const nx_value *value, nx_status status, nx_error *error)
{
    char text[NX_TEXT_FORM_SIZE + 1];

    if (status == NX_ENOMEM)
        return nxi_fail(error, NX_ENOMEM, "out of memory");
    (void)nx_value_format(*value, text, sizeof(text));
    if (status == NX_ERANGE)
        return nxi_pg_column_error(in->column, error, status, "the database holds %s, out of the range of %s", text,
                                   nx_type_name(in->column->type));
    return nxi_pg_column_error(in->column, error, status, "the database holds \"%s\", which is no %s", text,
                               nx_type_name(in->column->type));
}

static nx_status get_boxed(const nxi_pg_in *in, nxi_arena *arena, const uint8_t *data, size_t size, nx_value *ret_value,
                           nx_error *error)
{
    bool binary = in->format == NXI_PG_AS_BINARY;
    nx_status status;
    nx_value value;

    if (in->column->type == NX_TYPE_vector && binary && (in->is_other || in->type == NXI_PG_FLOAT4_ARRAY)) {
        value.type = NX_TYPE_vector;
        status = nxi_pg_vector_get(arena, in->type, data, size, &value.vector, error);
    } else {
        /* What is not known is taken for a text in either format: citext, and enumerations by their labels. */
        status =
            nxi_pg_get_value(arena, in->is_other ? NXI_PG_TEXT : in->type, (nxi_pg_format)in->format, data, size, &value, error);
    }
    if (status != NX_OK)
        return nxi_pg_column_error_of(in->column, error, status);
    *ret_value = value;
    status = convert(in, arena, ret_value);
    return status == NX_OK ? NX_OK : refuse(in, &value, status, error);
}

/* References to integer keys are as usual as integers. */
static inline bool get_integer_key(const nxi_pg_in *in, const uint8_t *data, size_t size, nx_value *ret_value)
{
    nx_type wanted = in->column->type;

    if (in->format != NXI_PG_AS_BINARY)
        return false;
    ret_value->type = wanted;
    if (in->type == NXI_PG_INT8 && wanted == NX_TYPE_i64 && size == 8) {
        ret_value->i64 = (int64_t)nxi_pg_load64(data);
        return true;
    }
    if (in->type == NXI_PG_INT4 && (wanted == NX_TYPE_i32 || wanted == NX_TYPE_i64) && size == 4) {
        ret_value->i64 = (int32_t)nxi_pg_load32(data);
        return true;
    }
    return false;
}

static nx_status set_boxed(const nxi_pg_in *in, nxi_arena *arena, const uint8_t *data, size_t size, void *row, nx_error *error)
{
    nx_value value;
    nx_status status = NX_OK;

    if (!get_integer_key(in, data, size, &value))
        status = get_boxed(in, arena, data, size, &value, error);
    if (status != NX_OK)
        return status;
    return nxi_column_fill(in->column, row, value, arena) ? NX_OK : nxi_fail(error, NX_ENOMEM, "out of memory");
}

static bool holds_null(const nxi_column *column)
{
    return column->form == NXI_FORM_OPTIONAL || (column->form == NXI_FORM_REFERENCE && column->nullable);
}

/* The row is zeroed, that is NULL; but a part of a composite key must say that it is. */
static nx_status set_null(const nxi_pg_in *in, nxi_arena *arena, void *row, nx_error *error)
{
    if (in->code == IN_SKIP)
        return NX_OK;
    if (!holds_null(in->column))
        return nxi_pg_column_error(in->column, error, NX_ETYPE, "the database holds NULL in a required field");
    if (in->column->form != NXI_FORM_REFERENCE || nxi_column_fill(in->column, row, nx_null(), arena))
        return NX_OK;
    return nxi_fail(error, NX_ENOMEM, "out of memory");
}

/* ------------------------------------------------------------------------------- rows */

/* The values of a DataRow that are still to come. */
typedef struct walk {
    const uint8_t *p, *end;
} walk;

/* Most texts are short: a call costs more than their bytes. Two moves that overlap where they must. */
static inline void copy_bytes(char *to, const uint8_t *data, size_t size)
{
    uint64_t first[2], last[2];

    if (size > 32 || size < 8) {
        memcpy(to, data, size);
    } else if (size >= 16) {
        memcpy(first, data, 16);
        memcpy(last, data + size - 16, 16);
        memcpy(to, first, 16);
        memcpy(to + size - 16, last, 16);
    } else {
        memcpy(first, data, 8);
        memcpy(last, data + size - 8, 8);
        memcpy(to, first, 8);
        memcpy(to + size - 8, last, 8);
    }
}

static inline char *copy_text(char *to, const uint8_t *data, size_t size, void *member)
{
    nx_text text = { to, size };

    copy_bytes(to, data, size);
    to[size] = '\0';
    memcpy(member, &text, sizeof(text));
    return to + size + 1;
}

static inline void set_word32(void *member, uint32_t word)
{
    memcpy(member, &word, sizeof(word));
}

static inline void set_word64(void *member, uint64_t word)
{
    memcpy(member, &word, sizeof(word));
}

static inline bool get_i32_of_8(const uint8_t *data, void *member)
{
    int64_t number = (int64_t)nxi_pg_load64(data);

    set_word32(member, (uint32_t)number);
    return number == (int32_t)number;
}

static inline bool get_instant(const uint8_t *data, void *member)
{
    int64_t microseconds;

    if (!nxi_pg_instant_in((int64_t)nxi_pg_load64(data), &microseconds))
        return false;
    set_word64(member, (uint64_t)microseconds);
    return true;
}

static inline void get_interval(const uint8_t *data, void *member)
{
    nx_interval interval = { .microseconds = (int64_t)nxi_pg_load64(data),
                             .days = (int32_t)nxi_pg_load32(data + 8),
                             .months = (int32_t)nxi_pg_load32(data + 12) };

    memcpy(member, &interval, sizeof(interval));
}

/* The usual types. False: the value is not as usual; the detour by a value says what is wrong. `*text`: the free end of the row's
 * block. */
static inline bool get_usual(const nxi_pg_in *in, const uint8_t *data, uint32_t size, void *member, char **text)
{
    int32_t days;

    if (NXI_UNLIKELY(size != in->fixed && in->fixed != 0))
        return false;
    switch (in->code) {
    case IN_BOOL: *(bool *)member = data[0] == 1; return data[0] <= 1;
    case IN_WORD16: *(uint16_t *)member = nxi_pg_load16(data); return true;
    case IN_WORD32: set_word32(member, nxi_pg_load32(data)); return true;
    case IN_WORD64: set_word64(member, nxi_pg_load64(data)); return true;
    case IN_I64_OF_4: set_word64(member, (uint64_t)(int64_t)(int32_t)nxi_pg_load32(data)); return true;
    case IN_I64_OF_2: set_word64(member, (uint64_t)(int64_t)(int16_t)nxi_pg_load16(data)); return true;
    case IN_I32_OF_2: set_word32(member, (uint32_t)(int32_t)(int16_t)nxi_pg_load16(data)); return true;
    case IN_I32_OF_8: return get_i32_of_8(data, member);
    case IN_U32_OF_8: set_word32(member, nxi_pg_load32(data + 4)); return nxi_pg_load32(data) == 0;
    case IN_TEXT:
    case IN_BYTES: *text = copy_text(*text, data, size, member); return true;
    case IN_JSONB:
        if (size == 0 || data[0] != NXI_PG_JSONB_VERSION)
            return false;
        *text = copy_text(*text, data + 1, size - 1, member);
        return true;
    case IN_DATE:
        if (!nxi_pg_days_in((int32_t)nxi_pg_load32(data), &days))
            return false;
        set_word32(member, (uint32_t)days);
        return true;
    case IN_TIME: set_word64(member, nxi_pg_load64(data)); return nxi_pg_is_time((int64_t)nxi_pg_load64(data));
    case IN_INSTANT: return get_instant(data, member);
    case IN_INTERVAL: get_interval(data, member); return true;
    case IN_BYTES16: memcpy(member, data, 16); return true;
    default: return false;
    }
}

/* Values behind the count. *ret_boxed: some are left for set_all_boxed. */
static inline nx_status set_all_usual(const nxi_pg_reader *reader, nxi_arena *arena, walk w, void *row, char **text,
                                      bool *ret_boxed, nx_error *error)
{
    for (size_t i = 0; i < reader->count; i++) {
        const nxi_pg_in *in = &reader->ins[i];
        size_t left = (size_t)(w.end - w.p);
        uint32_t size;

        if (NXI_UNLIKELY(left < 4))
            return nxi_fail(error, NX_EPROTOCOL, "a row that ends before its value %zu", i + 1);
        size = nxi_pg_load32(w.p);
        w.p += 4;
        if (NXI_UNLIKELY(size > left - 4)) {
            if (size != UINT32_MAX)
                return nxi_fail(error, NX_EPROTOCOL, "value %zu of a row reaches beyond the row", i + 1);
            if (in->code > IN_BOXED && in->present_offset != 0)
                continue;
            *ret_boxed = true;
            continue;
        }
        if (in->code <= IN_BOXED) {
            *ret_boxed = true;
        } else if (NXI_UNLIKELY(!get_usual(in, w.p, size, (char *)row + in->offset, text))) {
            nx_status status = set_boxed(in, arena, w.p, size, row, error);
            if (status != NX_OK)
                return status;
        } else if (in->present_offset != 0) {
            *((bool *)row + in->present_offset) = true;
        }
        w.p += size;
    }
    return NXI_LIKELY(w.p == w.end) ? NX_OK : nxi_fail(error, NX_EPROTOCOL, "%zu bytes behind a row", (size_t)(w.end - w.p));
}

/* Lengths have been checked. */
static nx_status set_all_boxed(const nxi_pg_reader *reader, nxi_arena *arena, walk w, void *row, nx_error *error)
{
    for (size_t i = 0; i < reader->count; i++) {
        const nxi_pg_in *in = &reader->ins[i];
        uint32_t size = nxi_pg_load32(w.p);
        nx_status status = NX_OK;

        w.p += 4;
        if (size == UINT32_MAX) {
            status = set_null(in, arena, row, error);
        } else {
            if (in->code == IN_BOXED)
                status = set_boxed(in, arena, w.p, size, row, error);
            w.p += size;
        }
        if (status != NX_OK)
            return status;
    }
    return NX_OK;
}

nx_status nxi_pg_get_row(const nxi_pg_reader *reader, nxi_arena *arena, const uint8_t *data, size_t size, void **ret_row,
                         nx_error *error)
{
    const nxi_table *table = reader->table;
    size_t fixed = sizeof(nxi_row) + table->row_size * (reader->tracked ? 2 : 1);
    nx_status status;
    bool boxed = false;
    char *block, *text;
    void *row;

    if (NXI_UNLIKELY(size < 2 || nxi_pg_load16(data) != reader->count))
        return nxi_fail(error, NX_EPROTOCOL, "a row that is not of %zu values", reader->count);
    /* A text needs a byte more than it has, for its zero; its length in the message has four. */
    block = nxi_arena_get(arena, fixed + size, 16);
    if (NXI_UNLIKELY(block == NULL))
        return nxi_fail(error, NX_ENOMEM, "out of memory");
    *(nxi_row *)(void *)block =
        (nxi_row){ .table = table,
                   .owner = reader->owner,
                   .state = NXI_ROW_STORED,
                   .lazy_missing = reader->statement->results != NULL ? reader->statement->lazy_missing : reader->lazy_missing,
                   .flags = reader->tracked ? NXI_ROW_TRACKED : 0 };
    row = nxi_row_data((nxi_row *)(void *)block);
    memset(row, 0, table->row_size); /* local fields, columns that are not read, and NULL */
    text = block + fixed;
    status = set_all_usual(reader, arena, (walk){ data + 2, data + size }, row, &text, &boxed, error);
    nxi_arena_trim(arena, block + fixed + size, status == NX_OK ? text : block);
    if (NXI_UNLIKELY(boxed) && status == NX_OK)
        status = set_all_boxed(reader, arena, (walk){ data + 2, data + size }, row, error);
    if (NXI_UNLIKELY(status != NX_OK))
        return status;
    if (reader->tracked)
        nxi_row_track(row);
    *ret_row = row;
    return NX_OK;
}
