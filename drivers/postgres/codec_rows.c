/*
 * codec_rows - rows as parameters, straight from the struct.
 *
 * What a parameter needs is compiled into a code once. Values of a fixed size are written without a look at the buffer: before
 * each value there is room for the fixed part of all that are left, and only texts ask for more.
 */
#include "drivers/postgres/codec_parts.h"

enum { LENGTH_SIZE = 4, FIXED_MAX = LENGTH_SIZE + 16 };

enum {
    OUT_BOXED, /* by way of a value: references, labels, numerics, what is converted */
    OUT_BOOL,
    OUT_WORD16,
    OUT_WORD32,
    OUT_WORD64,
    OUT_U32, /* as INT8 */
    OUT_POINTER,
    OUT_JSONB,
    OUT_DATE,
    OUT_TIME,
    OUT_INSTANT,
    OUT_INTERVAL,
    OUT_BYTES16
};

/* ------------------------------------------------------------------------------- codes */

/* The bytes of a text are what the server reads, in either format. */
static bool is_text_type(nxi_pg_oid oid)
{
    const nxi_pg_type *type = nxi_pg_type_of(oid);

    if (type == NULL)
        return nxi_pg_element_of(oid) == 0;
    return type->type == NX_TYPE_text;
}

static uint8_t code_of(const nxi_column *column, nxi_pg_oid type)
{
    if (column->form == NXI_FORM_REFERENCE)
        return OUT_BOXED;
    switch (column->type) {
    case NX_TYPE_boolean: return type == NXI_PG_BOOL ? OUT_BOOL : OUT_BOXED;
    case NX_TYPE_i16: return type == NXI_PG_INT2 ? OUT_WORD16 : OUT_BOXED;
    case NX_TYPE_i32: return type == NXI_PG_INT4 ? OUT_WORD32 : OUT_BOXED;
    case NX_TYPE_i64: return type == NXI_PG_INT8 ? OUT_WORD64 : OUT_BOXED;
    case NX_TYPE_u32: return type == NXI_PG_INT8 ? OUT_U32 : OUT_BOXED;
    case NX_TYPE_f64: return type == NXI_PG_FLOAT8 ? OUT_WORD64 : OUT_BOXED;
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_decimal: return is_text_type(type) ? OUT_POINTER : OUT_BOXED;
    case NX_TYPE_json:
        return type == NXI_PG_JSONB ? OUT_JSONB : type == NXI_PG_JSON || is_text_type(type) ? OUT_POINTER : OUT_BOXED;
    case NX_TYPE_bytes: return type == NXI_PG_BYTEA ? OUT_POINTER : OUT_BOXED;
    case NX_TYPE_date: return type == NXI_PG_DATE ? OUT_DATE : OUT_BOXED;
    case NX_TYPE_time: return type == NXI_PG_TIME ? OUT_TIME : OUT_BOXED;
    case NX_TYPE_timestamp: return type == NXI_PG_TIMESTAMP ? OUT_INSTANT : OUT_BOXED;
    case NX_TYPE_timestamptz: return type == NXI_PG_TIMESTAMPTZ ? OUT_INSTANT : OUT_BOXED;
    case NX_TYPE_interval: return type == NXI_PG_INTERVAL ? OUT_INTERVAL : OUT_BOXED;
    case NX_TYPE_uuid:
    case NX_TYPE_ulid: return type == NXI_PG_UUID ? OUT_BYTES16 : OUT_BOXED;
    case NX_TYPE_null:
    case NX_TYPE_enumeration:
    case NX_TYPE_vector:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: break;
    }
    return OUT_BOXED;
}

void nxi_pg_outs_make(const nxi_param *params, const nxi_pg_oid *types, size_t count, nxi_pg_out *outs)
{
    for (size_t i = 0; i < count; i++) {
        const nxi_column *column = params[i].column;

        outs[i] = (nxi_pg_out){ .column = column,
                                .type = types[i],
                                .offset = column->offset,
                                .present_offset = column->form == NXI_FORM_OPTIONAL ? column->present_offset : 0,
                                .code = code_of(column, types[i]),
                                .from_snapshot = params[i].from_snapshot };
    }
}

/* ----------------------------------------------------------------------------- writing */

/* What goes along; the place of the next byte is passed and returned, so that it stays in a register. */
typedef struct writer {
    nxi_buf *out;
    size_t left; /* bytes that the fixed parts of the values behind this one may need */
    nx_error *error;
    nx_status status;
} writer;

static inline char *put_null(char *at)
{
    nxi_pg_store32(at, UINT32_MAX);
    return at + LENGTH_SIZE;
}

static inline char *put_word32(char *at, uint32_t word)
{
    nxi_pg_store32(at, 4);
    nxi_pg_store32(at + LENGTH_SIZE, word);
    return at + LENGTH_SIZE + 4;
}

static inline char *put_word64(char *at, uint64_t word)
{
    nxi_pg_store32(at, 8);
    nxi_pg_store64(at + LENGTH_SIZE, word);
    return at + LENGTH_SIZE + 8;
}

/* Room for `size` bytes and for what is left; NULL: out of memory, which out->failed says. */
static inline char *make_room(writer *w, char *at, size_t size)
{
    size_t used = (size_t)(at - w->out->data);

    if (NXI_LIKELY(size + w->left < w->out->capacity - used))
        return at;
    w->out->size = used;
    return nxi_buf_grow(w->out, size + w->left);
}

/* Texts, bytes; a jsonb has its version in front. */
static inline char *put_pointer(writer *w, char *at, const void *member, bool is_jsonb)
{
    nx_text text;

    memcpy(&text, member, sizeof(text));
    if (text.data == NULL)
        return put_null(at);
    if (NXI_UNLIKELY(text.size > NXI_PG_VALUE_BYTES_MAX - 1)) {
        w->status = nxi_fail(w->error, NX_ELIMIT, "a value of %zu bytes; PostgreSQL takes at most %d", text.size,
                             (int)NXI_PG_VALUE_BYTES_MAX - 1);
        return NULL;
    }
    at = make_room(w, at, LENGTH_SIZE + 1 + text.size);
    if (NXI_UNLIKELY(at == NULL))
        return NULL;
    nxi_pg_store32(at, (uint32_t)(text.size + is_jsonb));
    at += LENGTH_SIZE;
    if (is_jsonb)
        *at++ = NXI_PG_JSONB_VERSION;
    memcpy(at, text.data, text.size);
    return at + text.size;
}

static char *put_boxed(writer *w, char *at, const nxi_pg_out *one, const void *image)
{
    const char *const *labels;
    nx_value value;

    nxi_column_get(one->column, image, &value);
    /* References to integer keys are as usual as integers. */
    if (one->type == NXI_PG_INT8 && nxi_type_is_integer(value.type))
        return put_word64(at, (uint64_t)value.i64);
    if (one->type == NXI_PG_INT4 && value.type == NX_TYPE_i32 && value.i64 == (int32_t)value.i64)
        return put_word32(at, (uint32_t)value.i64);
    labels = value.type == NX_TYPE_enumeration ? nxi_pg_labels(one->column) : NULL;
    w->out->size = (size_t)(at - w->out->data);
    w->status = nxi_pg_put_value(w->out, &value, one->type, labels, w->error);
    if (w->status != NX_OK || w->out->failed)
        return NULL;
    return make_room(w, w->out->data + w->out->size, 0);
}

static char *put_interval(char *at, const char *member)
{
    nx_interval interval;

    memcpy(&interval, member, sizeof(interval));
    nxi_pg_store32(at, 16);
    nxi_pg_store64(at + LENGTH_SIZE, (uint64_t)interval.microseconds);
    nxi_pg_store32(at + LENGTH_SIZE + 8, (uint32_t)interval.days);
    nxi_pg_store32(at + LENGTH_SIZE + 12, (uint32_t)interval.months);
    return at + LENGTH_SIZE + 16;
}

/*
 * One value to `at`, where FIXED_MAX bytes are free. NULL: w->status, or out of memory. What is out of range goes by way of a
 * value, which says so.
 */
static inline char *put_member(writer *w, char *at, const nxi_pg_out *one, const void *image)
{
    const char *member = (const char *)image + one->offset;
    int64_t instant;
    uint64_t word64;
    uint32_t word;
    int32_t days;

    if (one->present_offset != 0 && !*((const bool *)image + one->present_offset))
        return put_null(at);
    switch (one->code) {
    case OUT_BOOL:
        nxi_pg_store32(at, 1);
        at[LENGTH_SIZE] = *(const bool *)member;
        return at + LENGTH_SIZE + 1;
    case OUT_WORD16:
        nxi_pg_store32(at, 2);
        nxi_pg_store16(at + LENGTH_SIZE, *(const uint16_t *)(const void *)member);
        return at + LENGTH_SIZE + 2;
    case OUT_WORD32: memcpy(&word, member, sizeof(word)); return put_word32(at, word);
    case OUT_WORD64: memcpy(&word64, member, sizeof(word64)); return put_word64(at, word64);
    case OUT_U32: memcpy(&word, member, sizeof(word)); return put_word64(at, word);
    case OUT_POINTER: return put_pointer(w, at, member, false);
    case OUT_JSONB: return put_pointer(w, at, member, true);
    case OUT_DATE:
        if (!nxi_pg_days_out(((const nx_date *)(const void *)member)->days, &days))
            break;
        return put_word32(at, (uint32_t)days);
    case OUT_TIME:
        memcpy(&instant, member, sizeof(instant));
        if (!nxi_pg_is_time(instant))
            break;
        return put_word64(at, (uint64_t)instant);
    case OUT_INSTANT:
        memcpy(&instant, member, sizeof(instant));
        if (!nxi_pg_instant_out(instant, &instant))
            break;
        return put_word64(at, (uint64_t)instant);
    case OUT_INTERVAL: return put_interval(at, member);
    case OUT_BYTES16:
        nxi_pg_store32(at, 16);
        memcpy(at + LENGTH_SIZE, member, 16);
        return at + LENGTH_SIZE + 16;
    default: break;
    }
    return put_boxed(w, at, one, image);
}

static inline const void *image_of(const nxi_pg_out *one, const void *row)
{
    return one->from_snapshot ? nxi_row_snapshot(row) : row;
}

nx_status nxi_pg_put_row(nxi_buf *out, const nxi_pg_out *outs, size_t count, const void *row, nx_error *error)
{
    size_t mark = out->size;
    writer w = { .out = out, .left = count * FIXED_MAX, .error = error };
    char *at = nxi_buf_grow(out, w.left);

    if (NXI_UNLIKELY(at == NULL))
        return NX_OK;
    for (size_t i = 0; i < count; i++) {
        w.left -= FIXED_MAX;
        at = put_member(&w, at, &outs[i], image_of(&outs[i], row));
        if (NXI_LIKELY(at != NULL))
            continue;
        out->size = mark;
        return w.status == NX_OK ? NX_OK : nxi_pg_column_error_of(outs[i].column, error, w.status);
    }
    out->size = (size_t)(at - out->data);
    return NX_OK;
}

/* ----------------------------------------------------------------------------- columns */

/* The rows' values; the array began at `mark`. *ret_row: where it ended. */
static char *put_elements(writer *w, char *at, const nxi_pg_out *one, void *const *rows, size_t count, size_t mark,
                          bool *ret_has_null, size_t *ret_row)
{
    for (size_t i = 0; i < count; i++) {
        size_t start = (size_t)(at - w->out->data);

        *ret_row = i;
        w->left -= FIXED_MAX;
        at = put_member(w, at, one, image_of(one, rows[i]));
        if (NXI_UNLIKELY(at == NULL))
            return NULL;
        if (nxi_pg_load32((const uint8_t *)w->out->data + start) == UINT32_MAX)
            *ret_has_null = true;
        if (NXI_UNLIKELY((size_t)(at - w->out->data) - mark > NXI_PG_VALUE_BYTES_MAX)) {
            w->status = nxi_fail(w->error, NX_ELIMIT, "an array of more than %d bytes", (int)NXI_PG_VALUE_BYTES_MAX);
            return NULL;
        }
    }
    return at;
}

nx_status nxi_pg_put_column(nxi_buf *out, const nxi_pg_out *one, void *const *rows, size_t count, size_t *ret_row,
                            nx_error *error)
{
    size_t head = LENGTH_SIZE + NXI_PG_ARRAY_HEAD_SIZE + (count == 0 ? 0 : NXI_PG_ARRAY_DIMENSION_SIZE);
    size_t mark = out->size, row = 0;
    nxi_pg_oid element = one->type == NXI_PG_INFER ? NXI_PG_TEXT : one->type;
    writer w = { .out = out, .error = error };
    bool has_null = false;
    char *at;

    if (count > NXI_PG_ARRAY_ELEMENTS_MAX) {
        *ret_row = NXI_PG_ARRAY_ELEMENTS_MAX;
        return nxi_fail(error, NX_ELIMIT, "an array of %zu elements; at most %d can be sent", count,
                        (int)NXI_PG_ARRAY_ELEMENTS_MAX);
    }
    w.left = count * FIXED_MAX;
    at = nxi_buf_grow(out, head + w.left);
    if (at == NULL)
        return NX_OK;
    at = put_elements(&w, at + head, one, rows, count, mark, &has_null, &row);
    if (at == NULL) {
        out->size = mark;
        *ret_row = row;
        return w.status == NX_OK ? NX_OK : nxi_pg_column_error_of(one->column, error, w.status);
    }
    out->size = (size_t)(at - out->data);
    nxi_pg_store32(out->data + mark, (uint32_t)(out->size - mark - LENGTH_SIZE));
    nxi_pg_array_head(out->data + mark + LENGTH_SIZE, has_null, element, count);
    return NX_OK;
}
