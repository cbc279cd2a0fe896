/*
 * map - from a 64-bit hash to pointers.
 *
 * Open addressing, linear probing. Keys that hash alike are told apart by the caller's equality, so one
 * map serves identity maps (row by primary key), statements (by shape) and names.
 * Ownership: entries are the caller's. Errors: false when there is no memory; the map is unchanged.
 */
#ifndef NXI_MAP_H
#define NXI_MAP_H

#include "engine/memory.h"

typedef struct nxi_map_entry { uint64_t hash; void *item; /* NULL: free slot */ } nxi_map_entry;
typedef struct nxi_map {
    nxi_memory *memory;
    nxi_map_entry *entries;
    size_t count, capacity; /* capacity: a power of two, or 0 */
} nxi_map;

typedef bool (*nxi_map_equal)(const void *item, const void *key);

static inline void nxi_map_init(nxi_map *map, nxi_memory *memory) { *map = (nxi_map){ .memory = memory }; }
void nxi_map_fini(nxi_map *map);
void nxi_map_clear(nxi_map *map);
/* Room for `count` more without growing. */
NX_MUST_CHECK bool nxi_map_reserve(nxi_map *map, size_t count);
void *nxi_map_find(const nxi_map *map, uint64_t hash, nxi_map_equal equal, const void *key);
/* The item must not be in the map. */
NX_MUST_CHECK bool nxi_map_add(nxi_map *map, uint64_t hash, void *item);
/* Take out that very item; no effect when absent. */
void nxi_map_remove(nxi_map *map, uint64_t hash, const void *item);
/* Ask the processor to load the slot of a hash that is looked up soon. */
static inline void nxi_map_prefetch(const nxi_map *map, uint64_t hash)
{
    if (map->capacity != 0)
        __builtin_prefetch(&map->entries[hash & (map->capacity - 1)]);
}

uint64_t nxi_hash_bytes(const void *data, size_t size, uint64_t seed); /* xxh3 */
static inline uint64_t nxi_hash_u64(uint64_t x) /* splitmix64's finaliser */
{
    x ^= x >> 30; x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27; x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

#endif
