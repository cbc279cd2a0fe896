/*
 * map: against a naive model, with colliding hashes, growth, removal, lack of memory.
 */
#include <criterion/criterion.h>

#include "engine/map.h"

typedef struct item { uint64_t key; bool there; } item;

static bool is_key(const void *candidate, const void *key)
{
    return ((const item *)candidate)->key == *(const uint64_t *)key;
}

Test(map, behaves_as_a_naive_model)
{
    enum { ITEMS = 500 };
    nxi_memory *memory = nxi_memory_new(0);
    nxi_map map;
    static item items[ITEMS];
    uint64_t state = 42;
    size_t count = 0;

    nxi_map_init(&map, memory);
    for (size_t i = 0; i < ITEMS; i++)
        items[i].key = i;
    for (int step = 0; step < 200000; step++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
        size_t at = (state >> 33) % ITEMS;
        uint64_t hash = nxi_hash_u64(at % 37); /* many keys share a hash */
        cr_assert_eq(nxi_map_find(&map, hash, is_key, &items[at].key), items[at].there ? &items[at] : NULL);
        if (items[at].there) {
            nxi_map_remove(&map, hash, &items[at]);
            count--;
        } else {
            cr_assert(nxi_map_add(&map, hash, &items[at]));
            count++;
        }
        items[at].there = !items[at].there;
        cr_assert_eq(map.count, count);
    }
    nxi_map_fini(&map);
    nxi_memory_free(memory);
}

Test(map, lookups_in_an_empty_map_and_removal_of_what_is_absent)
{
    nxi_memory *memory = nxi_memory_new(0);
    nxi_map map;
    uint64_t key = 1;
    item one = { .key = 1 };

    nxi_map_init(&map, memory);
    cr_assert_null(nxi_map_find(&map, 1, is_key, &key));
    nxi_map_remove(&map, 1, &one);
    cr_assert(nxi_map_add(&map, 7, &one));
    nxi_map_remove(&map, 8, &one);
    cr_assert_eq(map.count, 1);
    nxi_map_clear(&map);
    cr_assert_null(nxi_map_find(&map, 7, is_key, &key));
    nxi_map_fini(&map);
    nxi_memory_free(memory);
}

Test(map, lack_of_memory_changes_nothing)
{
    nxi_memory *memory = nxi_memory_new(0);
    nxi_map map;
    static item items[100];

    nxi_map_init(&map, memory);
    for (size_t i = 0; i < 12; i++) {
        items[i].key = i;
        cr_assert(nxi_map_add(&map, nxi_hash_u64(i), &items[i]));
    }
    nxi_memory_fail(1, true);
    cr_assert_not(nxi_map_reserve(&map, 1000));
    cr_assert_not(nxi_map_reserve(&map, SIZE_MAX - 20));
    for (uint64_t i = 0; i < 12; i++)
        cr_assert_eq(nxi_map_find(&map, nxi_hash_u64(i), is_key, &i), &items[i]);
    nxi_memory_fail(0, false);
    nxi_map_fini(&map);
    nxi_memory_free(memory);
}
