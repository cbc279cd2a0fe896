/*
 * identity - look-ups and the lazy entering of rows.
 */
#include "engine/identity.h"

/* Keys of different trees must not meet even when they hash alike: compared by root table first. */
typedef struct wanted {
    const nxi_table *table;
    const void *row;
    const nx_value *values;
} wanted;

/* The key as the database has it: a user may have written over the struct. */
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

void nxi_identity_fini(nxi_identity *identity)
{
    nxi_map_fini(&identity->map);
    identity->first = identity->last = identity->unsettled = NULL;
}

void nxi_identity_append(nxi_identity *identity, nxi_row *first, nxi_row *last)
{
    if (first == NULL)
        return;
    last->next = NULL;
    if (identity->last == NULL)
        identity->first = first;
    else
        identity->last->next = first;
    identity->last = last;
    if (identity->unsettled == NULL)
        identity->unsettled = first;
}

bool nxi_identity_settle(nxi_identity *identity)
{
    size_t count = 0;

    for (nxi_row *row = identity->unsettled; row != NULL; row = row->next)
        count++;
    if (count == 0)
        return true;
    if (!nxi_map_reserve(&identity->map, count))
        return false;
    for (nxi_row *row = identity->unsettled; row != NULL; row = row->next) {
        void *data = nxi_row_data(row);
        if (row->state == NXI_ROW_GONE || row->state == NXI_ROW_NEW || (row->flags & NXI_ROW_MAPPED) != 0)
            continue;
        bool added = nxi_identity_add(identity, data, nxi_row_key_hash(row->table, data));
        NX_ASSERT(added); /* the room was reserved */
    }
    identity->unsettled = NULL;
    return true;
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
    header->flags &= (uint8_t)~NXI_ROW_MAPPED;
}

nxi_row *nxi_identity_sweep(nxi_identity *identity, uint8_t flag)
{
    nxi_row *last = NULL, *swept = NULL, **swept_end = &swept;

    for (nxi_row **link = &identity->first; *link != NULL;) {
        nxi_row *row = *link;
        if ((row->flags & flag) == 0) {
            last = row;
            link = &row->next;
            continue;
        }
        if (identity->unsettled == row)
            identity->unsettled = row->next;
        *link = row->next;
        row->next = NULL;
        *swept_end = row;
        swept_end = &row->next;
    }
    identity->last = last;
    return swept;
}
