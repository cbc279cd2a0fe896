/*
 * map - probing, growth and removal of the hash map.
 */
#include "engine/map.h"

#include <xxhash.h>

enum { MAP_FIRST = 16 };

uint64_t nxi_hash_bytes(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

void nxi_map_fini(nxi_map *map)
{
    nxi_release(map->memory, map->entries);
    *map = (nxi_map){ .memory = map->memory };
}

void nxi_map_clear(nxi_map *map)
{
    if (map->capacity != 0)
        memset(map->entries, 0, map->capacity * sizeof(*map->entries));
    map->count = 0;
}

static void place(nxi_map_entry *entries, size_t mask, uint64_t hash, void *item)
{
    size_t at = hash & mask;

    while (entries[at].item != NULL)
        at = (at + 1) & mask;
    entries[at] = (nxi_map_entry){ hash, item };
}

bool nxi_map_reserve(nxi_map *map, size_t count)
{
    size_t needed, size, capacity = nxi_max_size(map->capacity, MAP_FIRST);

    if (!nxi_add_size(map->count, count, &needed) || needed > SIZE_MAX / 8 / sizeof(*map->entries))
        return false;
    while (needed > capacity / 2 + capacity / 4) /* at most three quarters full */
        capacity *= 2;
    if (capacity == map->capacity)
        return true;
    if (!nxi_mul_size(capacity, sizeof(*map->entries), &size))
        return false;
    nxi_map_entry *entries = nxi_zalloc(map->memory, size);
    if (entries == NULL)
        return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].item != NULL)
            place(entries, capacity - 1, map->entries[i].hash, map->entries[i].item);
    nxi_release(map->memory, map->entries);
    map->entries = entries;
    map->capacity = capacity;
    return true;
}

void *nxi_map_find(const nxi_map *map, uint64_t hash, nxi_map_equal equal, const void *key)
{
    if (map->capacity == 0)
        return NULL;
    size_t mask = map->capacity - 1;
    for (size_t at = hash & mask; map->entries[at].item != NULL; at = (at + 1) & mask)
        if (map->entries[at].hash == hash && equal(map->entries[at].item, key))
            return map->entries[at].item;
    return NULL;
}

bool nxi_map_add(nxi_map *map, uint64_t hash, void *item)
{
    NX_ASSERT(item != NULL);
    if (!nxi_map_reserve(map, 1))
        return false;
    place(map->entries, map->capacity - 1, hash, item);
    map->count++;
    return true;
}

/* Entries behind a hole move up, so that no tombstone is needed (Knuth, volume 3, 6.4, algorithm R). */
void nxi_map_remove(nxi_map *map, uint64_t hash, const void *item)
{
    if (map->capacity == 0)
        return;
    size_t mask = map->capacity - 1, hole = hash & mask;
    while (map->entries[hole].item != item) {
        if (map->entries[hole].item == NULL)
            return;
        hole = (hole + 1) & mask;
    }
    map->count--;
    for (size_t at = (hole + 1) & mask; map->entries[at].item != NULL; at = (at + 1) & mask) {
        size_t home = map->entries[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->entries[hole] = map->entries[at];
            hole = at;
        }
    }
    map->entries[hole].item = NULL;
}
