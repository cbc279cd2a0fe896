/*
 * identity - the map from keys to rows.
 */
#include "engine/identity.h"

/* Keys of different trees must not meet even when they hash alike: compared by root table first. */
typedef struct wanted {
    const nxi_table *table;
    const void *row;
    const nx_value *values;
} wanted;

static const void *stored_image(const void *row)
{
    return (nxi_row_of(row)->flags & NXI_ROW_TRACKED) != 0 ? nxi_row_snapshot(row) : row;
}

static bool is_wanted(const void *item, const void *key)
{
    const wanted *want = key;

    if (nxi_row_of(item)->table->root != want->table->root)
        return false;
    return want->row != NULL ? nxi_row_key_equal(want->table, stored_image(item), want->row)
                             : nxi_row_key_is(want->table, stored_image(item), want->values);
}

void *nxi_identity_find(const nxi_identity *identity, const nxi_table *table, const nx_value *key)
{
    return nxi_map_find(&identity->map, nxi_key_hash(table, key), is_wanted, &(wanted){ table, NULL, key });
}

void *nxi_identity_find_row(const nxi_identity *identity, const nxi_table *table, const void *row, uint64_t hash)
{
    return nxi_map_find(&identity->map, hash, is_wanted, &(wanted){ table, row, NULL });
}

bool nxi_identity_add(nxi_identity *identity, void *row, uint64_t hash)
{
    if (!nxi_map_add(&identity->map, hash, row))
        return false;
    nxi_row_of(row)->flags |= NXI_ROW_MAPPED;
    return true;
}

void nxi_identity_remove(nxi_identity *identity, void *row)
{
    nxi_row *header = nxi_row_of(row);

    if ((header->flags & NXI_ROW_MAPPED) == 0)
        return;
    nxi_map_remove(&identity->map, nxi_row_key_hash(header->table, stored_image(row)), row);
    header->flags &= (uint16_t)~NXI_ROW_MAPPED;
}
