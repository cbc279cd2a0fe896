/*
 * textform - any value as text, for messages and debugging.
 */
#include "engine/types.h"
#include "engine/values.h"

/* A buffer that takes what fits and counts everything. */
typedef struct sink {
    char *data;
    size_t size, length;
} sink;

static void put(sink *out, const char *data, size_t size)
{
    if (out->length < out->size)
        memcpy(out->data + out->length, data, nxi_min_size(size, out->size - out->length));
    out->length += size;
}

static void put_string(sink *out, const char *text)
{
    put(out, text, strlen(text));
}

static void put_bytes(sink *out, nx_bytes bytes)
{
    static const char digits[] = "0123456789ABCDEF";
    const uint8_t *data = bytes.data;

    put_string(out, "X'");
    for (size_t i = 0; i < bytes.size; i++) {
        if (out->length >= out->size) {
            /* The rest is only counted; a large value must not cost a loop. */
            out->length += 2 * (bytes.size - i);
            break;
        }
        put(out, (const char[]){digits[data[i] >> 4], digits[data[i] & 15]}, 2);
    }
    put_string(out, "'");
}

static void put_vector(sink *out, nx_vector vector)
{
    char text[32];

    put_string(out, "[");
    for (size_t i = 0; i < vector.size; i++) {
        if (i != 0)
            put_string(out, ",");
        put(out, text, nxi_f32_format(vector.data[i], text));
    }
    put_string(out, "]");
}

static void put_value(sink *out, const nx_value *value);

static void put_array(sink *out, const nxi_value_array *array)
{
    put_string(out, "{");
    for (size_t i = 0; i < array->count; i++) {
        put_string(out, i == 0 ? "" : ", ");
        put_value(out, &array->values[i]);
    }
    put_string(out, "}");
}

#define FORMAT_CASE(name)                                                                                                        \
    case NX_TYPE_##name:                                                                                                         \
        put(out, text, nx_##name##_format(value->name, text));                                                                   \
        break;
static void put_value(sink *out, const nx_value *value)
{
    char text[NX_TEXT_FORM_SIZE];

    switch ((int)value->type) {
        FORMAT_CASE(date)
        FORMAT_CASE(time)
        FORMAT_CASE(timestamp)
        FORMAT_CASE(timestamptz)
        FORMAT_CASE(interval)
        FORMAT_CASE(uuid)
        FORMAT_CASE(ulid)
    case NX_TYPE_boolean:
        put_string(out, value->boolean ? "true" : "false");
        break;
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
    case NX_TYPE_u32:
        put(out, text, nxi_integer_format(value->i64, text));
        break;
    case NX_TYPE_enumeration:
        put(out, text, nxi_integer_format(value->enumeration, text));
        break;
    case NX_TYPE_f64:
        put(out, text, nxi_f64_format(value->f64, text));
        break;
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_decimal:
    case NX_TYPE_json:
        put(out, value->text.data, value->text.size);
        break;
    case NX_TYPE_bytes:
        put_bytes(out, value->bytes);
        break;
    case NX_TYPE_vector:
        put_vector(out, value->vector);
        break;
    case NXI_TYPE_ARRAY:
        put_array(out, value->bytes.data);
        break;
    default:
        put_string(out, "NULL");
    }
}
#undef FORMAT_CASE

size_t nx_value_format(nx_value value, char *buffer, size_t size)
{
    sink out = {buffer, size == 0 ? 0 : size - 1, 0};

    if (nxi_type_is_pointer(value.type) && value.text.data == NULL)
        value = nx_null();
    put_value(&out, &value);
    if (size != 0)
        buffer[nxi_min_size(out.length, out.size)] = '\0';
    return out.length;
}
