/*
 * row - read, write, compare and copy the columns of a struct.
 *
 * Members that are structs of {pointer, size} are moved with memcpy: one nx_text stands for all of them, and the compiler must
 * not assume that an nx_decimal is something else.
 */
#include "engine/row.h"

#include "engine/map.h"
#include "engine/types.h"

#define AT(row, offset)         ((const void *)((const char *)(row) + (offset)))
#define AT_MUTABLE(row, offset) ((void *)((char *)(row) + (offset)))

/* ----------------------------------------------------------------------------- reading */

#define READ_CASE(name, field)                                                                                                   \
    case NX_TYPE_##name: ret_value->field = *(const nx_##name *)member; break;
static inline void read_member(nx_type type, const void *member, nx_value *ret_value)
{
    ret_value->type = type;
    switch (type) {
        READ_CASE(boolean, boolean)
        READ_CASE(i16, i64)
        READ_CASE(i32, i64)
        READ_CASE(i64, i64)
        READ_CASE(u32, i64)
        READ_CASE(f64, f64)
        READ_CASE(date, date)
        READ_CASE(time, time)
        READ_CASE(timestamp, timestamp)
        READ_CASE(timestamptz, timestamptz)
        READ_CASE(interval, interval)
        READ_CASE(uuid, uuid)
        READ_CASE(ulid, ulid)
        READ_CASE(enumeration, enumeration)
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_bytes:
    case NX_TYPE_decimal:
    case NX_TYPE_json:
    case NX_TYPE_vector:
        memcpy(&ret_value->text, member, sizeof(ret_value->text));
        if (ret_value->text.data == NULL)
            ret_value->type = NX_TYPE_null;
        break;
    case NX_TYPE_null:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: ret_value->type = NX_TYPE_null;
    }
}
#undef READ_CASE

static inline bool is_present(const nxi_column *column, const void *row)
{
    return *(const bool *)AT(row, column->present_offset);
}

static inline nx_reference read_reference(const nxi_column *column, const void *row)
{
    nx_reference reference;

    memcpy(&reference, AT(row, column->offset), sizeof(reference));
    return reference;
}

/* The part of a key that a column stores; integers of any size become the column's. */
static void read_key_part(const nxi_column *column, const nx_key *key, nx_value *ret_value)
{
    if (key->part_count == 1 && column->key_part == 0)
        *ret_value = key->value;
    else if (key->part_count > column->key_part && key->parts != NULL)
        *ret_value = key->parts[column->key_part];
    else
        ret_value->type = NX_TYPE_null;
    if (nxi_type_is_integer(ret_value->type) && nxi_type_is_integer(column->type))
        ret_value->type = column->type;
    else if (nxi_type_is_pointer(ret_value->type) && ret_value->text.data == NULL)
        ret_value->type = NX_TYPE_null;
}

static void get_reference(const nxi_column *column, const void *row, nx_value *ret_value)
{
    nx_reference reference = read_reference(column, row);
    const nxi_table *table;

    if (reference.row == NULL) {
        read_key_part(column, &reference.key, ret_value);
        return;
    }
    /* The row may be of an entity derived from the target: its own table says where the key lies. */
    table = nxi_row_of(reference.row)->table;
    if (column->key_part >= table->key_count || !nxi_row_has_key(table, reference.row)) {
        ret_value->type = NX_TYPE_null;
        return;
    }
    nxi_column_get(&table->columns[column->key_part], reference.row, ret_value);
}

void nxi_column_get(const nxi_column *column, const void *row, nx_value *ret_value)
{
    if (NXI_LIKELY(column->form == NXI_FORM_PLAIN)) {
        read_member(column->type, AT(row, column->offset), ret_value);
    } else if (column->form == NXI_FORM_OPTIONAL) {
        if (is_present(column, row))
            read_member(column->type, AT(row, column->offset), ret_value);
        else
            ret_value->type = NX_TYPE_null;
    } else {
        get_reference(column, row, ret_value);
    }
}

static inline bool is_null_pointer(const void *member)
{
    const char *data;

    memcpy(&data, member, sizeof(data));
    return data == NULL;
}

bool nxi_column_is_null(const nxi_column *column, const void *row)
{
    nx_value value;

    if (column->form == NXI_FORM_REFERENCE) {
        get_reference(column, row, &value);
        return value.type == NX_TYPE_null;
    }
    if (column->form == NXI_FORM_OPTIONAL && !is_present(column, row))
        return true;
    return nxi_type_is_pointer(column->type) && is_null_pointer(AT(row, column->offset));
}

/* ----------------------------------------------------------------------------- writing */

#define WRITE_CASE(name, field)                                                                                                  \
    case NX_TYPE_##name: *(nx_##name *)member = (nx_##name)value->field; break;
static void write_member(nx_type type, void *member, const nx_value *value)
{
    switch (type) {
        WRITE_CASE(boolean, boolean)
        WRITE_CASE(i16, i64)
        WRITE_CASE(i32, i64)
        WRITE_CASE(i64, i64)
        WRITE_CASE(u32, i64)
        WRITE_CASE(f64, f64)
        WRITE_CASE(date, date)
        WRITE_CASE(time, time)
        WRITE_CASE(timestamp, timestamp)
        WRITE_CASE(timestamptz, timestamptz)
        WRITE_CASE(interval, interval)
        WRITE_CASE(uuid, uuid)
        WRITE_CASE(ulid, ulid)
        WRITE_CASE(enumeration, enumeration)
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_bytes:
    case NX_TYPE_decimal:
    case NX_TYPE_json:
    case NX_TYPE_vector: memcpy(member, &value->text, sizeof(value->text)); break;
    case NX_TYPE_null:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: NX_ASSERT(nxi_type_is_scalar(type));
    }
}
#undef WRITE_CASE

/*
 * Parts arrive in the order of the key. The first one starts a new array, because the struct's key and its snapshot's share one;
 * the last one turns a key with a NULL in it into none, since such a reference refers to nothing.
 */
static bool set_key_part(const nxi_column *column, nx_reference *reference, nx_value value, nxi_arena *arena)
{
    size_t count = column->target->key_count;
    nx_value *parts;

    if (column->key_part == 0) {
        parts = NXI_ARENA_ARRAY(arena, nx_value, count);
        if (parts == NULL)
            return false;
        reference->row = NULL;
        reference->key = (nx_key){ .parts = parts, .part_count = count };
    }
    if (reference->key.part_count != count)
        return true; /* an earlier part was NULL and the last one has been seen */
    parts = (nx_value *)(uintptr_t)reference->key.parts;
    parts[column->key_part] = value;
    if (column->key_part + 1u < count)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].type == NX_TYPE_null)
            reference->key = (nx_key){ .part_count = 0 };
    }
    return true;
}

static bool set_reference(const nxi_column *column, void *row, nx_value value, nxi_arena *arena)
{
    nx_reference reference = { 0 };
    bool done = true;

    if (column->target->key_count > 1) {
        /* What the first part finds is undefined in a row that is being read. */
        if (column->key_part != 0)
            reference = read_reference(column, row);
        done = set_key_part(column, &reference, value, arena);
    } else if (value.type != NX_TYPE_null) {
        reference.key = (nx_key){ .value = value, .part_count = 1 };
    }
    if (done)
        memcpy(AT_MUTABLE(row, column->offset), &reference, sizeof(reference));
    return done;
}

bool nxi_column_set(const nxi_column *column, void *row, nx_value value, nxi_arena *arena)
{
    void *member = AT_MUTABLE(row, column->offset);
    bool present = value.type != NX_TYPE_null;

    NX_ASSERT(!present || value.type == column->type);
    if (column->form == NXI_FORM_REFERENCE)
        return set_reference(column, row, value, arena);
    NX_ASSERT(present || column->form == NXI_FORM_OPTIONAL || nxi_type_is_pointer(column->type));
    if (column->form == NXI_FORM_OPTIONAL)
        *(bool *)AT_MUTABLE(row, column->present_offset) = present;
    if (present)
        write_member(column->type, member, &value);
    else
        memset(member, 0, nxi_types[column->type].size);
    return true;
}

void *nxi_row_new(nxi_arena *arena, const nxi_table *table, void *owner)
{
    void *row = nxi_row_get(arena, table, owner, true);

    if (NXI_UNLIKELY(row == NULL))
        return NULL;
    memcpy(row, table->initial, table->row_size);
    nxi_row_of(row)->state = NXI_ROW_NEW;
    if (NXI_UNLIKELY(table->has_calls)) {
        for (size_t i = 0; i < table->entity->field_count; i++) {
            const nx_field *field = &table->entity->fields[i];

            if (field->initial_call != NULL)
                field->initial_call(AT_MUTABLE(row, field->offset));
        }
    }
    return row;
}

/* -------------------------------------------------------------------------------- keys */

static inline int64_t read_integer(nx_type type, const void *member)
{
    if (NXI_LIKELY(type == NX_TYPE_i64))
        return *(const nx_i64 *)member;
    if (type == NX_TYPE_i32)
        return *(const nx_i32 *)member;
    return type == NX_TYPE_u32 ? (int64_t) * (const nx_u32 *)member : *(const nx_i16 *)member;
}

/* One integer: the key of most tables. */
static inline bool has_integer_key(const nxi_table *table)
{
    return table->key_count == 1 && nxi_type_is_integer(table->columns[0].type);
}

bool nxi_row_set_made_key(const nxi_column *column, void *row, int64_t key)
{
    void *member = AT_MUTABLE(row, column->offset);

    if (NXI_LIKELY(column->type == NX_TYPE_i64))
        *(nx_i64 *)member = key;
    else if (key < nxi_integer_min(column->type) || key > nxi_integer_max(column->type))
        return false;
    else if (column->type == NX_TYPE_i16)
        *(nx_i16 *)member = (nx_i16)key;
    else if (column->type == NX_TYPE_i32)
        *(nx_i32 *)member = (nx_i32)key;
    else
        *(nx_u32 *)member = (nx_u32)key;
    nxi_row_of(row)->flags |= NXI_ROW_KEY_MADE;
    return true;
}

void nxi_row_clear_key(const nxi_table *table, void *row)
{
    for (size_t i = 0; i < table->key_count; i++)
        memset(AT_MUTABLE(row, table->columns[i].offset), 0, nxi_types[table->columns[i].type].size);
}

static bool is_zero16(const void *member)
{
    uint64_t words[2];

    memcpy(words, member, sizeof(words));
    return (words[0] | words[1]) == 0;
}

bool nxi_row_has_key(const nxi_table *table, const void *row)
{
    if (NXI_LIKELY(table->auto_key != NULL))
        return read_integer(table->auto_key->type, AT(row, table->auto_key->offset)) != 0;
    for (size_t i = 0; i < table->key_count; i++) {
        const nxi_column *column = &table->columns[i];
        const void *member = AT(row, column->offset);

        if (column->field->generate != NX_GENERATE_NONE ? is_zero16(member) : nxi_column_is_null(column, row))
            return false;
    }
    return true;
}

uint64_t nxi_row_key_hash(const nxi_table *table, const void *row)
{
    uint64_t hash = 0;
    nx_value value;

    if (NXI_LIKELY(has_integer_key(table)))
        return nxi_hash_u64((uint64_t)read_integer(table->columns[0].type, AT(row, table->columns[0].offset)));
    for (size_t i = 0; i < table->key_count; i++) {
        nxi_column_get(&table->columns[i], row, &value);
        hash = nxi_value_hash(&value, hash);
    }
    return hash;
}

uint64_t nxi_key_hash(const nxi_table *table, const nx_value *values)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < table->key_count; i++)
        hash = nxi_value_hash(&values[i], hash);
    return hash;
}

/* Derived entities have the key columns of their root in the same order, though perhaps at other places in the struct. */
bool nxi_row_key_equal(const nxi_table *table, const void *a, const void *b)
{
    nx_value x, y;

    if (NXI_LIKELY(has_integer_key(table))) {
        const nxi_column *key = &table->columns[0];

        return read_integer(key->type, AT(a, key->offset)) == read_integer(key->type, AT(b, key->offset));
    }
    for (size_t i = 0; i < table->key_count; i++) {
        nxi_column_get(&table->columns[i], a, &x);
        nxi_column_get(&table->columns[i], b, &y);
        if (!nxi_value_equal(&x, &y))
            return false;
    }
    return true;
}

bool nxi_row_key_is(const nxi_table *table, const void *row, const nx_value *values)
{
    nx_value value;

    if (NXI_LIKELY(has_integer_key(table)) && nxi_type_is_integer(values[0].type))
        return read_integer(table->columns[0].type, AT(row, table->columns[0].offset)) == values[0].i64;
    for (size_t i = 0; i < table->key_count; i++) {
        nxi_column_get(&table->columns[i], row, &value);
        if (!nxi_value_equal(&value, &values[i]))
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------------------- changes */

static bool pointers_differ(nx_type type, const void *a, const void *b)
{
    nx_text x, y;
    size_t unit = type == NX_TYPE_vector ? sizeof(float) : 1;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    if (x.data == NULL || y.data == NULL)
        return x.data != y.data;
    if (x.size != y.size)
        return true;
    /* The same pointer is the same text: what a pointer of a row refers to is never written to. */
    return x.data != y.data && x.size != 0 && memcmp(x.data, y.data, x.size * unit) != 0;
}

static bool doubles_differ(const void *a, const void *b)
{
    double x, y;

    if (memcmp(a, b, sizeof(double)) == 0)
        return false;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x == x || y == y; /* two NaNs are one value */
}

static bool members_differ(nx_type type, const void *a, const void *b)
{
    switch (nxi_types[type].size) {
    case 1: return *(const char *)a != *(const char *)b;
    case 2: return memcmp(a, b, 2) != 0;
    case 4: return memcmp(a, b, 4) != 0;
    case 8: return type == NX_TYPE_f64 ? doubles_differ(a, b) : memcmp(a, b, 8) != 0;
    default: return nxi_type_is_pointer(type) ? pointers_differ(type, a, b) : memcmp(a, b, 16) != 0;
    }
}

static bool references_differ(const nxi_column *column, const void *row, const void *snapshot)
{
    nx_value now, before;

    get_reference(column, row, &now);
    get_reference(column, snapshot, &before);
    return !nxi_value_equal(&now, &before);
}

bool nxi_column_changed(const nxi_column *column, const void *row, const void *snapshot)
{
    if (NXI_LIKELY(column->form == NXI_FORM_PLAIN))
        return members_differ(column->type, AT(row, column->offset), AT(snapshot, column->offset));
    if (column->form == NXI_FORM_REFERENCE) {
        if (memcmp(AT(row, column->offset), AT(snapshot, column->offset), sizeof(nx_reference)) == 0)
            return false;
        return references_differ(column, row, snapshot);
    }
    if (nxi_column_is_null(column, row) || nxi_column_is_null(column, snapshot))
        return nxi_column_is_null(column, row) != nxi_column_is_null(column, snapshot);
    return members_differ(column->type, AT(row, column->offset), AT(snapshot, column->offset));
}

/* ------------------------------------------------------------------------------ copies */

static bool copy_key(nxi_arena *arena, const nx_key *key, nx_key *ret_key)
{
    nx_key copy = { .part_count = key->part_count };
    nx_value *parts = NULL;

    if (key->part_count == 1) {
        if (!nxi_value_copy(arena, &key->value, &copy.value))
            return false;
    } else if (key->part_count > 1) {
        parts = NXI_ARENA_ARRAY(arena, nx_value, key->part_count);
        if (parts == NULL)
            return false;
        for (size_t i = 0; i < key->part_count; i++) {
            if (!nxi_value_copy(arena, &key->parts[i], &parts[i]))
                return false;
        }
        copy.parts = parts;
    }
    *ret_key = copy;
    return true;
}

/* A row that the target already refers to stays when it has the same key: the user may hold on to it. */
static bool copy_reference(const nxi_column *column, void *row, const void *from, nxi_arena *arena)
{
    nx_reference reference = read_reference(column, from);
    bool same = true;

    for (size_t part = 0; same && part < column->target->key_count; part++)
        same = !references_differ(column + part, row, from);
    if (same && reference.row == NULL)
        return true;
    if (!copy_key(arena, &reference.key, &reference.key))
        return false;
    memcpy(AT_MUTABLE(row, column->offset), &reference, sizeof(reference));
    return true;
}

static bool copy_column(const nxi_column *column, void *row, const void *from, nxi_arena *arena)
{
    nx_value value;

    if (column->form == NXI_FORM_REFERENCE) /* the first column of a reference stands for all of them */
        return column->key_part != 0 || copy_reference(column, row, from, arena);
    nxi_column_get(column, from, &value);
    return nxi_value_copy(arena, &value, &value) && nxi_column_set(column, row, value, arena);
}

bool nxi_row_copy(const nxi_table *table, void *row, const void *from, nxi_arena *arena)
{
    uint32_t missing = nxi_row_of(from)->lazy_missing;

    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];

        if (column->lazy && (missing >> column->lazy_bit & 1) != 0)
            continue;
        if (!copy_column(column, row, from, arena))
            return false;
    }
    nxi_row_of(row)->lazy_missing &= missing;
    return true;
}

bool nxi_column_holds_pointer(const nxi_column *column)
{
    switch ((int)column->type) {
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_bytes:
    case NX_TYPE_decimal:
    case NX_TYPE_json:
    case NX_TYPE_vector: return true;
    default: return false;
    }
}

bool nxi_row_own(const nxi_table *table, void *row, const uint64_t *bits, nxi_arena *arena)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        nx_value value;
        if ((bits[i / 64] >> (i % 64) & 1) == 0 || !nxi_column_holds_pointer(column))
            continue;
        /* The key of a row that is pointed to is that row's. */
        if (column->form == NXI_FORM_REFERENCE &&
            ((const nx_reference *)(const void *)((const char *)row + column->offset))->row != NULL)
            continue;
        nxi_column_get(column, row, &value);
        if (value.type == NX_TYPE_null)
            continue;
        if (!nxi_value_copy(arena, &value, &value) || !nxi_column_set(column, row, value, arena))
            return false;
    }
    return true;
}
