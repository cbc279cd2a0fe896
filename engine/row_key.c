/*
 * row_key - the key of a row, and its version: what the database counts.
 */
#include "engine/map.h"
#include "engine/row.h"
#include "engine/types.h"

#define AT(row, offset)         ((const void *)((const char *)(row) + (offset)))
#define AT_MUTABLE(row, offset) ((void *)((char *)(row) + (offset)))

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

void nxi_row_take_back_key(void *row)
{
    nxi_row *header = nxi_row_of(row);

    nxi_row_clear_key(header->table, row);
    header->flags &= (uint16_t)~NXI_ROW_KEY_MADE;
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

bool nxi_version_next(const nxi_column *column, const void *row, int64_t *ret_version)
{
    int64_t version = read_integer(column->type, AT(row, column->offset));

    if (NXI_UNLIKELY(version >= nxi_integer_max(column->type)))
        return false;
    *ret_version = version + 1;
    return true;
}
