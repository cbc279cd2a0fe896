/*
 * prepare - make a row ready to be written, or say what is wrong with it; and take back what was made of it.
 *
 * This runs once for every row that is inserted, so what a column needs is known beforehand (nxi_column.checks), columns that
 * need nothing are not visited, and no nx_value is made unless a bound has to be compared.
 */
#include "engine/table_build.h"
#include "engine/types.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    CHECK_STRIP = 1,
    CHECK_MAKE_KEY = 2,
    CHECK_REQUIRED = 4, /* a NULL pointer is an error */
    CHECK_ENCODING = 8,
    CHECK_LENGTH = 16,
    CHECK_DECIMAL = 32,
    CHECK_VECTOR = 64,
    CHECK_LABEL = 128, /* then nxi_column.max holds the last label's index */
    CHECK_TIME = 256,
    CHECK_BOUNDS = 512,
    CHECK_REFERENCE = 1024,
    CHECK_CALL = 2048
};

/* ---------------------------------------------------------------------------- planning */

static unsigned checks_of(const nxi_column *column)
{
    nx_type type = column->type;
    unsigned checks = column->field->check != NULL ? CHECK_CALL : 0;

    if (column->form == NXI_FORM_REFERENCE)
        return checks | CHECK_REFERENCE;
    if (column->field->generate != NX_GENERATE_NONE)
        checks |= CHECK_MAKE_KEY;
    if (column->autostrip)
        checks |= CHECK_STRIP;
    if (nxi_type_is_pointer(type) && !column->nullable)
        checks |= CHECK_REQUIRED;
    if (type == NX_TYPE_text || type == NX_TYPE_longtext || type == NX_TYPE_json)
        checks |= CHECK_ENCODING;
    if (column->max_len != 0)
        checks |= CHECK_LENGTH;
    if (type == NX_TYPE_decimal)
        checks |= CHECK_DECIMAL;
    if (type == NX_TYPE_vector)
        checks |= CHECK_VECTOR;
    if (type == NX_TYPE_enumeration)
        checks |= CHECK_LABEL;
    if (type == NX_TYPE_time)
        checks |= CHECK_TIME;
    if (column->has_min || column->has_max)
        checks |= CHECK_BOUNDS;
    return checks;
}

bool nxi_prepare_build(nxi_arena *arena, nxi_table *table)
{
    uint16_t *checked = NXI_ARENA_ARRAY(arena, uint16_t, table->column_count);
    size_t count = 0;

    if (checked == NULL)
        return false;
    for (size_t i = 0; i < table->column_count; i++) {
        nxi_column *column = &table->columns[i];

        column->checks = (uint16_t)checks_of(column);
        if ((column->checks & CHECK_LABEL) != 0) {
            column->max = (nx_value){.type = NX_TYPE_enumeration, .enumeration = -1};
            while (column->field->labels[column->max.enumeration + 1] != NULL)
                column->max.enumeration++;
        }
        /* One part's check looks at the whole reference. */
        if (column->checks != 0 && (column->form != NXI_FORM_REFERENCE || column->key_part == 0))
            checked[count++] = (uint16_t)i;
    }
    table->checked = checked;
    table->checked_count = count;
    return true;
}

/* ------------------------------------------------------------------------------ errors */

static NX_PRINTF(4, 5) nx_status fail(nx_error *error, const nxi_column *column, nx_status status, const char *format, ...)
{
    char text[NX_ERROR_MESSAGE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    (void)nxi_fail(error, status, "%s.%s: %s", column->table->entity->name, column->field->name, text);
    if (error != NULL) {
        nxi_error_name(error->table, column->table->name);
        nxi_error_name(error->column, column->field->name);
    }
    return status;
}

static nx_status fail_required(nx_error *error, const nxi_column *column)
{
    return fail(error, column, NX_EREQUIRED, "required, but not set");
}

static nx_status fail_memory(nx_error *error)
{
    return nxi_fail(error, NX_ENOMEM, "no memory for the flush");
}

/* ----------------------------------------------------------------------------- undoing */

struct nxi_undo {
    nxi_undo *older;
    void *made_key_of; /* row whose flag says that its key was made; NULL: no key was */
    void *member;
    size_t size;
    unsigned char before[sizeof(nx_reference)];
};

/* To be called before the member is changed. False: out of memory. */
static bool keep_for_undo(nxi_undo_list *undo, void *member, size_t size, void *made_key_of)
{
    nxi_undo *item;

    if (undo == NULL)
        return true;
    NX_ASSERT(size <= sizeof(item->before));
    item = nxi_arena_get(undo->arena, sizeof(*item), 16);
    if (item == NULL)
        return false;
    *item = (nxi_undo){.older = undo->newest, .made_key_of = made_key_of, .member = member, .size = size};
    memcpy(item->before, member, size);
    undo->newest = item;
    return true;
}

void nxi_prepare_undo(nxi_undo_list *undo)
{
    for (const nxi_undo *item = undo->newest; item != NULL; item = item->older) {
        memcpy(item->member, item->before, item->size);
        if (item->made_key_of != NULL)
            nxi_row_of(item->made_key_of)->flags &= (uint16_t)~NXI_ROW_KEY_MADE;
    }
    undo->newest = NULL;
}

/* ------------------------------------------------------------------------------- texts */

static inline bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Only pointer and size change: the text is the user's. */
static inline void strip(nx_text *text)
{
    if (NXI_LIKELY(text->size == 0 || (!is_space(text->data[0]) && !is_space(text->data[text->size - 1]))))
        return;
    while (text->size != 0 && is_space(text->data[text->size - 1]))
        text->size--;
    while (text->size != 0 && is_space(text->data[0])) {
        text->data++;
        text->size--;
    }
}

static nx_status fail_encoding(nx_error *error, const nxi_column *column, nx_text text)
{
    size_t bad = 0;

    (void)nxi_text_is_valid(text.data, text.size, &bad);
    return fail(error, column, NX_EENCODING, text.data[bad] == '\0' ? "byte %zu is zero" : "byte %zu is no valid UTF-8", bad);
}

/* Characters of a text, bytes of anything else; no text has more characters than bytes. */
static nx_status check_length(const nxi_column *column, nx_text content, nx_error *error)
{
    bool bytes = column->type == NX_TYPE_bytes;
    size_t length;

    if (NXI_LIKELY(content.size <= column->max_len))
        return NX_OK;
    length = bytes ? content.size : nxi_text_length(content.data, content.size);
    if (length <= column->max_len)
        return NX_OK;
    return fail(error, column, NX_ETOOLONG, "%zu %s, at most %u allowed", length, bytes ? "bytes" : "characters",
                (unsigned)column->max_len);
}

static nx_status check_decimal(const nxi_column *column, const nx_field *field, nx_text text, nx_error *error)
{
    size_t whole, fraction;

    if (!nxi_decimal_measure(text.data, text.size, &whole, &fraction))
        return fail(error, column, NX_ETYPE, "'%.*s' is no decimal number", (int)nxi_min_size(text.size, 40), text.data);
    if (field->precision == 0)
        return NX_OK;
    if (fraction > field->scale)
        return fail(error, column, NX_ERANGE, "%zu digits after the point, at most %u allowed", fraction, (unsigned)field->scale);
    if (whole > (size_t)(field->precision - field->scale))
        return fail(error, column, NX_ERANGE, "%zu digits before the point, at most %u allowed", whole,
                    (unsigned)(field->precision - field->scale));
    return NX_OK;
}

static nx_status check_vector(const nxi_column *column, const void *member, nx_error *error)
{
    nx_vector vector;

    memcpy(&vector, member, sizeof(vector));
    if (column->field->dimensions != 0 && vector.size != column->field->dimensions)
        return fail(error, column, NX_ERANGE, "%zu dimensions, %u expected", vector.size, (unsigned)column->field->dimensions);
    for (size_t i = 0; i < vector.size; i++) {
        if (!isfinite(vector.data[i]))
            return fail(error, column, NX_ERANGE, "component %zu is not finite", i);
    }
    return NX_OK;
}

/* text, longtext, bytes, decimal, json and vector, present or required. */
static inline nx_status check_pointer(const nxi_column *column, void *member, nxi_undo_list *undo, nx_error *error)
{
    unsigned checks = column->checks;
    nx_text content;

    memcpy(&content, member, sizeof(content));
    if (NXI_UNLIKELY(content.data == NULL))
        return (checks & CHECK_REQUIRED) != 0 ? fail_required(error, column) : NX_OK;
    if ((checks & CHECK_STRIP) != 0) {
        size_t size = content.size;

        strip(&content);
        if (NXI_UNLIKELY(content.size != size)) {
            if (!keep_for_undo(undo, member, sizeof(content), NULL))
                return fail_memory(error);
            memcpy(member, &content, sizeof(content));
        }
    }
    if ((checks & CHECK_ENCODING) != 0 && NXI_UNLIKELY(!nxi_text_is_valid(content.data, content.size, NULL)))
        return fail_encoding(error, column, content);
    if ((checks & CHECK_LENGTH) != 0 && NXI_UNLIKELY(content.size > column->max_len)) {
        nx_status status = check_length(column, content, error);

        if (status != NX_OK)
            return status;
    }
    if ((checks & CHECK_DECIMAL) != 0)
        return check_decimal(column, column->field, content, error);
    if ((checks & CHECK_VECTOR) != 0)
        return check_vector(column, member, error);
    return NX_OK;
}

/* --------------------------------------------------------------------- numbers and times */

static nx_status check_bounds(const nxi_column *column, const void *row, nx_error *error)
{
    char text[NX_TEXT_FORM_SIZE], bound[NX_TEXT_FORM_SIZE];
    bool low, high, unordered;
    nx_value value;

    nxi_column_get(column, row, &value);
    if (value.type == NX_TYPE_null)
        return NX_OK;
    unordered = value.type == NX_TYPE_f64 && isnan(value.f64);
    low = column->has_min && (unordered || nxi_value_compare(&value, &column->min) < 0);
    high = column->has_max && (unordered || nxi_value_compare(&value, &column->max) > 0);
    if (NXI_LIKELY(!low && !high))
        return NX_OK;
    (void)nx_value_format(value, text, sizeof(text));
    (void)nx_value_format(low ? column->min : column->max, bound, sizeof(bound));
    return fail(error, column, NX_ERANGE, "%s, %s %s allowed", text, low ? "at least" : "at most", bound);
}

static nx_status check_label(const nxi_column *column, const void *member, nx_error *error)
{
    nx_enumeration index = *(const nx_enumeration *)member;

    if (NXI_LIKELY(index >= 0 && index <= column->max.enumeration))
        return NX_OK;
    return fail(error, column, NX_ERANGE, "%d is no label's index, the last one is %d", index, column->max.enumeration);
}

static nx_status check_time(const nxi_column *column, const void *member, nx_error *error)
{
    int64_t microseconds = ((const nx_time *)member)->microseconds;

    if (NXI_LIKELY(microseconds >= 0 && microseconds <= INT64_C(86400000000)))
        return NX_OK;
    return fail(error, column, NX_ERANGE, "%lld microseconds are no time of a day", (long long)microseconds);
}

/* -------------------------------------------------------------------------- references */

/* A key text was not written by a field of the target that has checked it. */
static nx_status check_key_text(const nxi_column *column, const nxi_column *key, nx_text text, nx_error *error)
{
    if (key->type == NX_TYPE_decimal)
        return check_decimal(column, key->field, text, error);
    if (!nxi_text_is_valid(text.data, text.size, NULL))
        return fail_encoding(error, column, text);
    return key->max_len == 0 ? NX_OK : check_length(column, text, error);
}

/* Makes a part of a key a value of the key's type. */
static nx_status check_key_value(const nxi_column *column, const nxi_column *key, nx_value *value, nx_error *error)
{
    nx_type given = value->type;
    nx_status status = nxi_value_convert(NULL, key->type, key->field->labels, value);

    if (status != NX_OK)
        return fail(error, column, status, "a key of type %s, %s expected%s", nx_type_name(given), nx_type_name(key->type),
                    status == NX_ERANGE ? ": out of range" : "");
    if (nxi_type_is_text(value->type))
        return check_key_text(column, key, value->text, error);
    return NX_OK;
}

/* The parts belong to the user, so values are converted into a copy and must have come out as they went in. */
static nx_status check_key_parts(const nxi_column *column, const nx_key *key, bool *ret_null, nx_error *error)
{
    const nxi_table *target = column->target;

    for (size_t i = 0; i < target->key_count; i++) {
        nx_value value = key->parts[i];
        nx_status status = check_key_value(column, &target->columns[i], &value, error);

        if (status != NX_OK)
            return status;
        if (value.type == NX_TYPE_null)
            *ret_null = true;
        else if (!nxi_value_equal(&value, &key->parts[i]))
            return fail(error, column, NX_ETYPE, "part %zu of the key has type %s, %s expected", i,
                        nx_type_name(key->parts[i].type), nx_type_name(target->columns[i].type));
    }
    return NX_OK;
}

static nx_status check_key(const nxi_column *column, void *member, nxi_undo_list *undo, nx_error *error)
{
    nx_reference reference;
    bool is_null;
    nx_status status;

    memcpy(&reference, member, sizeof(reference));
    is_null = reference.key.part_count == 0;
    if (!is_null && reference.key.part_count != column->target->key_count)
        return fail(error, column, NX_ETYPE, "a key of %zu parts, %zu expected", reference.key.part_count,
                    column->target->key_count);
    if (reference.key.part_count == 1) {
        nx_type given = reference.key.value.type;

        status = check_key_value(column, &column->target->columns[0], &reference.key.value, error);
        if (status != NX_OK)
            return status;
        is_null = reference.key.value.type == NX_TYPE_null;
        if (reference.key.value.type != given) {
            if (!keep_for_undo(undo, member, sizeof(reference), NULL))
                return fail_memory(error);
            memcpy(member, &reference, sizeof(reference));
        }
    } else if (!is_null) {
        if (reference.key.parts == NULL)
            return fail(error, column, NX_ETYPE, "a key without its parts");
        status = check_key_parts(column, &reference.key, &is_null, error);
        if (status != NX_OK)
            return status;
    }
    return is_null && !column->nullable ? fail_required(error, column) : NX_OK;
}

static nx_status check_reference(const nxi_column *column, void *member, nxi_undo_list *undo, nx_error *error)
{
    const nxi_table *table;
    void *row;

    memcpy(&row, member, sizeof(row));
    if (row == NULL)
        return check_key(column, member, undo, error);
    table = nxi_row_of(row)->table;
    if (NXI_LIKELY(table == column->target) || table->root->entity == column->target->root->entity)
        return NX_OK;
    return fail(error, column, NX_ETYPE, "refers to a row of %s, %s expected", table->entity->name, column->target->entity->name);
}

/* ------------------------------------------------------------------------------- rows */

static nx_status make_key(const nxi_column *column, void *row, void *member, nxi_undo_list *undo, nx_error *error)
{
    static const uint8_t zero[16];
    bool made = (nxi_row_of(row)->flags & NXI_ROW_KEY_MADE) != 0;
    nx_uuid uuid;
    nx_ulid ulid;

    if (memcmp(member, zero, sizeof(zero)) != 0)
        return NX_OK;
    if (!keep_for_undo(undo, member, sizeof(zero), made ? NULL : row))
        return fail_memory(error);
    if (column->field->generate == NX_GENERATE_ULID) {
        ulid = nx_ulid_new();
        memcpy(member, &ulid, sizeof(ulid));
    } else {
        uuid = column->field->generate == NX_GENERATE_UUID4 ? nx_uuid4() : nx_uuid7();
        memcpy(member, &uuid, sizeof(uuid));
    }
    nxi_row_of(row)->flags |= NXI_ROW_KEY_MADE;
    return NX_OK;
}

/* Nothing of an absent optional value is looked at, nor given to the field's own check. */
static bool is_absent(const nxi_column *column, const void *row)
{
    if (column->form == NXI_FORM_PLAIN)
        return false;
    return nxi_column_is_null(column, row);
}

static nx_status check_value(const nxi_column *column, void *row, void *member, nxi_undo_list *undo, nx_error *error)
{
    unsigned checks = column->checks;
    nx_status status = NX_OK;

    if (column->form == NXI_FORM_REFERENCE)
        status = check_reference(column, member, undo, error);
    else if (nxi_type_is_pointer(column->type))
        status = check_pointer(column, member, undo, error);
    else if ((checks & CHECK_LABEL) != 0)
        status = check_label(column, member, error);
    else if ((checks & CHECK_TIME) != 0)
        status = check_time(column, member, error);
    if (status != NX_OK || NXI_LIKELY((checks & (CHECK_BOUNDS | CHECK_CALL)) == 0))
        return status;
    if ((checks & CHECK_BOUNDS) != 0)
        status = check_bounds(column, row, error);
    if (status == NX_OK && (checks & CHECK_CALL) != 0 && !is_absent(column, row) && !column->field->check(member))
        status = fail(error, column, NX_EVALUE, "refused by the field's check");
    return status;
}

static inline nx_status prepare_column(const nxi_column *column, void *row, bool inserting, nxi_undo_list *undo, nx_error *error)
{
    void *member = (char *)row + column->offset;

    if (column->form == NXI_FORM_OPTIONAL && !*((const char *)row + column->present_offset))
        return NX_OK;
    if (inserting && NXI_UNLIKELY((column->checks & CHECK_MAKE_KEY) != 0)) {
        nx_status status = make_key(column, row, member, undo, error);

        if (status != NX_OK)
            return status;
    }
    return check_value(column, row, member, undo, error);
}

nx_status nxi_row_prepare_insert(const nxi_table *table, void *row, nxi_undo_list *undo, nx_error *error)
{
    nx_status status = NX_OK;

    for (size_t i = 0; i < table->checked_count && status == NX_OK; i++)
        status = prepare_column(&table->columns[table->checked[i]], row, true, undo, error);
    return status;
}

static nx_status prepare_version(const nxi_column *version, const void *row, nx_error *error)
{
    int64_t next;

    if (NXI_LIKELY(nxi_version_next(version, row, &next)))
        return NX_OK;
    return fail(error, version, NX_ERANGE, "the version is the greatest of its type: no UPDATE can count it up");
}

nx_status nxi_row_prepare_update(void *row, const nxi_column *const *columns, size_t count, nxi_undo_list *undo, nx_error *error)
{
    const nxi_table *table = nxi_row_of(row)->table;
    nx_status status = table->version == NULL ? NX_OK : prepare_version(table->version, row, error);

    for (size_t i = 0; i < count && status == NX_OK; i++) {
        if (columns[i]->checks != 0)
            status = prepare_column(columns[i], row, false, undo, error);
    }
    return status;
}
