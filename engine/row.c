/*
 * row - read, write, compare and copy the columns of a struct.
 *
 * Members that are structs of {pointer, size} are moved with memcpy: one nx_text stands for all of them, and the compiler must
 * not assume that an nx_decimal is something else.
 */
#include "engine/row.h"

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

static inline void write_reference(const nxi_column *column, void *row, const nx_reference *reference)
{
    memcpy(AT_MUTABLE(row, column->offset), reference, sizeof(*reference));
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
 * Parts arrive in the order of the key. Each one makes a new array, because the one that is there may be the user's, or shared
 * with the snapshot; only in a row that is being filled (`fresh`) it is known to be the row's own. The last part turns a key
 * with a NULL in it into none, since such a reference refers to nothing.
 */
static bool set_key_part(const nxi_column *column, nx_reference *reference, const nx_value *value, nxi_arena *arena, bool fresh)
{
    size_t count = column->target->key_count;
    nx_value *parts = (nx_value *)(uintptr_t)reference->key.parts;
    bool complete = column->key_part != 0 && reference->key.part_count == count && parts != NULL;

    if (!complete || !fresh) {
        parts = NXI_ARENA_ARRAY(arena, nx_value, count);
        if (parts == NULL)
            return false;
        for (size_t i = 0; complete && i < count; i++)
            parts[i] = reference->key.parts[i];
    }
    parts[column->key_part] = *value;
    reference->row = NULL;
    reference->key = (nx_key){ .parts = parts, .part_count = count };
    if (column->key_part + 1u < count)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].type == NX_TYPE_null)
            reference->key = (nx_key){ .part_count = 0 };
    }
    return true;
}

static bool set_reference(const nxi_column *column, void *row, const nx_value *value, nxi_arena *arena, bool fresh)
{
    nx_reference reference = { 0 };

    if (column->target->key_count > 1) {
        reference = read_reference(column, row);
        if (!set_key_part(column, &reference, value, arena, fresh))
            return false;
    } else if (value->type != NX_TYPE_null) {
        reference.key = (nx_key){ .value = *value, .part_count = 1 };
    }
    write_reference(column, row, &reference);
    return true;
}

static inline bool set_column(const nxi_column *column, void *row, const nx_value *value, nxi_arena *arena, bool fresh)
{
    void *member = AT_MUTABLE(row, column->offset);
    bool present = value->type != NX_TYPE_null;

    NX_ASSERT(!present || value->type == column->type);
    if (column->form == NXI_FORM_REFERENCE)
        return set_reference(column, row, value, arena, fresh);
    NX_ASSERT(present || column->form == NXI_FORM_OPTIONAL || nxi_type_is_pointer(column->type));
    if (column->form == NXI_FORM_OPTIONAL)
        *(bool *)AT_MUTABLE(row, column->present_offset) = present;
    if (present)
        write_member(column->type, member, value);
    else
        memset(member, 0, nxi_types[column->type].size);
    return true;
}

bool nxi_column_set(const nxi_column *column, void *row, nx_value value, nxi_arena *arena)
{
    return set_column(column, row, &value, arena, false);
}

bool nxi_column_fill(const nxi_column *column, void *row, nx_value value, nxi_arena *arena)
{
    return set_column(column, row, &value, arena, true);
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

/*
 * What is referred to is still to be inserted, or of another database: whatever its key is, it is not the one that the database
 * has.
 */
static bool refers_elsewhere(const nxi_column *column, const void *row)
{
    nx_reference reference = read_reference(column, row);
    const nxi_row *target = reference.row == NULL ? NULL : nxi_row_of(reference.row);

    return target != NULL && (target->state == NXI_ROW_NEW || target->table->db != column->table->db);
}

bool nxi_row_changed(const void *row)
{
    const nxi_table *table = nxi_row_of(row)->table;
    const void *snapshot = nxi_row_snapshot(row);

    if (NXI_LIKELY(nxi_row_is_same_bytes(row)))
        return false;
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];

        if (column->is_volatile || column->is_version)
            continue;
        if (nxi_column_changed(column, row, snapshot) || (column->form == NXI_FORM_REFERENCE && refers_elsewhere(column, row)))
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------------------ copies */

/* The key as the columns of the reference give it, in memory of the arena; one with a NULL in it is none. */
static bool copy_key(const nxi_column *column, const void *from, nxi_arena *arena, nx_key *ret_key)
{
    size_t count = column->target->key_count;
    nx_key copy = { .part_count = count };
    nx_value *parts = count == 1 ? &copy.value : NXI_ARENA_ARRAY(arena, nx_value, count);
    bool none = false;

    if (parts == NULL)
        return false;
    for (size_t i = 0; i < count && !none; i++) {
        get_reference(column + i, from, &parts[i]);
        none = parts[i].type == NX_TYPE_null;
        if (!nxi_value_copy(arena, &parts[i], &parts[i]))
            return false;
    }
    if (count > 1)
        copy.parts = parts;
    *ret_key = none ? (nx_key){ .part_count = 0 } : copy;
    return true;
}

static bool is_same_reference(const nxi_column *column, const void *a, const void *b)
{
    for (size_t part = 0; part < column->target->key_count; part++) {
        if (references_differ(column + part, a, b))
            return false;
    }
    return true;
}

/*
 * A row that the target already refers to stays when it has the same key: the user may hold on to it. The key is copied in any
 * case: the one that is there may be the user's.
 */
static bool copy_reference(const nxi_column *column, void *row, const void *from, nxi_arena *arena)
{
    nx_reference reference = read_reference(column, from);

    if (reference.row == NULL && is_same_reference(column, row, from))
        reference.row = read_reference(column, row).row;
    if (!copy_key(column, from, arena, &reference.key))
        return false;
    write_reference(column, row, &reference);
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

void nxi_row_restore(void *row, const void *image)
{
    const nxi_table *table = nxi_row_of(row)->table;

    for (size_t i = 0; i < table->stored_count; i++)
        memcpy(AT_MUTABLE(row, table->stored[i].offset), AT(image, table->stored[i].offset), table->stored[i].size);
}

/* --------------------------------------------------------------------------- ownership */

bool nxi_column_holds_pointer(const nxi_column *column)
{
    return nxi_type_is_pointer(column->type) || (column->form == NXI_FORM_REFERENCE && column->target->key_count > 1);
}

/* The same memory, though not necessarily the same bytes in what pads it. */
static bool is_same_memory(const nx_key *a, const nx_key *b)
{
    if (a->part_count != b->part_count)
        return false;
    if (a->part_count != 1)
        return a->parts == b->parts;
    return a->value.type == b->value.type && a->value.text.data == b->value.text.data && a->value.text.size == b->value.text.size;
}

/* The key of a row that is pointed to is that row's: one beside it may have been left there, and its memory be gone. */
static bool own_reference(const nxi_column *column, void *row, const void *snapshot, nxi_arena *arena)
{
    nx_reference now = read_reference(column, row), before = { 0 };

    if (now.key.part_count == 0 && now.key.parts == NULL)
        return true;
    if (snapshot != NULL) {
        before = read_reference(column, snapshot);
        if (is_same_memory(&now.key, &before.key))
            return true;
    }
    if (now.row != NULL) {
        now.key = (nx_key){ .part_count = 0 };
    } else if (snapshot != NULL && before.row == NULL && is_same_reference(column, row, snapshot)) {
        now.key = before.key;
    } else if (!copy_key(column, row, arena, &now.key)) {
        return false;
    }
    write_reference(column, row, &now);
    return true;
}

static bool own_member(const nxi_column *column, void *row, const void *snapshot, nxi_arena *arena)
{
    size_t size = nxi_types[column->type].size;
    nx_value value;

    if (snapshot != NULL && memcmp(AT(row, column->offset), AT(snapshot, column->offset), size) == 0)
        return true;
    nxi_column_get(column, row, &value);
    if (value.type == NX_TYPE_null) {
        memset(AT_MUTABLE(row, column->offset), 0, size); /* also what an optional member that is absent points to */
        return true;
    }
    if (snapshot != NULL && !nxi_column_changed(column, row, snapshot)) {
        memcpy(AT_MUTABLE(row, column->offset), AT(snapshot, column->offset), size);
        return true;
    }
    return nxi_value_copy(arena, &value, &value) && nxi_column_set(column, row, value, arena);
}

static bool own_column(const nxi_column *column, void *row, void *snapshot, nxi_arena *arena)
{
    bool done = column->form == NXI_FORM_REFERENCE ? own_reference(column, row, snapshot, arena)
                                                   : own_member(column, row, snapshot, arena);

    /* It is not compared with its snapshot, which serves to show the next time that it is owned. */
    if (done && snapshot != NULL && column->is_volatile)
        memcpy(AT_MUTABLE(snapshot, column->offset), AT(row, column->offset), column->field->size);
    return done;
}

static bool own_columns(void *row, void *snapshot, nxi_arena *arena)
{
    const nxi_table *table = nxi_row_of(row)->table;

    for (size_t i = 0; table->has_pointers && i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];

        /* The first column of a reference stands for all of them. */
        if (!nxi_column_holds_pointer(column) || (column->form == NXI_FORM_REFERENCE && column->key_part != 0))
            continue;
        if (!own_column(column, row, snapshot, arena))
            return false;
    }
    return true;
}

bool nxi_row_own(void *row, nxi_arena *arena)
{
    return own_columns(row, NULL, arena);
}

bool nxi_row_own_all(void *row, nxi_arena *arena)
{
    return nxi_row_is_same_bytes(row) || own_columns(row, nxi_row_snapshot(row), arena);
}
