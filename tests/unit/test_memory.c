/*
 * memory: counting, bounds, reuse of chunks, injected failures; arena and buffer on top of it.
 */
#include <criterion/criterion.h>

#include "engine/arena.h"
#include "engine/buf.h"

static nxi_memory *memory;

static void open_memory(void)
{
    memory = nxi_memory_new(0);
    cr_assert_not_null(memory);
}

static void close_memory(void)
{
    nxi_memory_fail(0, false);
    nxi_memory_free(memory);
}

TestSuite(memory, .init = open_memory, .fini = close_memory);

Test(memory, chunks_are_reused)
{
    size_t size, again;
    void *first = nxi_chunk_get(memory, 100, &size);
    cr_assert_eq(size, NXI_CHUNK_SMALL);
    nxi_chunk_put(memory, first, size);
    uint64_t before = nxi_memory_count(memory).host_allocs;
    void *second = nxi_chunk_get(memory, NXI_CHUNK_SMALL, &again);
    cr_assert_eq(second, first);
    cr_assert_eq(nxi_memory_count(memory).host_allocs, before);
    nxi_chunk_put(memory, second, again);
}

Test(memory, large_blocks_go_to_the_host)
{
    size_t size;
    void *block = nxi_chunk_get(memory, NXI_CHUNK_LARGE + 1, &size);
    cr_assert_eq(size, NXI_CHUNK_LARGE + 1);
    uint64_t held = nxi_memory_count(memory).bytes_held;
    nxi_chunk_put(memory, block, size);
    cr_assert_eq(nxi_memory_count(memory).bytes_held, held - size);
}

Test(memory, resize_keeps_contents_and_old_block_on_failure)
{
    char *block = nxi_zalloc(memory, 16);
    memcpy(block, "0123456789", 11);
    block = nxi_resize(memory, block, 4000);
    cr_assert_str_eq(block, "0123456789");
    nxi_memory_fail(1, true);
    cr_assert_null(nxi_resize(memory, block, 100000));
    nxi_memory_fail(0, false);
    cr_assert_str_eq(block, "0123456789");
    nxi_release(memory, block);
}

Test(memory, absurd_sizes_are_refused)
{
    size_t size;
    cr_assert_null(nxi_chunk_get(memory, SIZE_MAX, &size));
    cr_assert_null(nxi_resize(memory, NULL, SIZE_MAX - 3));
    cr_assert_null(nxi_zalloc(memory, SIZE_MAX / 2 + 1));
}

Test(memory, injected_failure_hits_once_or_for_ever)
{
    nxi_memory_fail(2, false);
    void *a = nxi_zalloc(memory, 8), *b = nxi_zalloc(memory, 8), *c = nxi_zalloc(memory, 8);
    cr_assert_not_null(a);
    cr_assert_null(b);
    cr_assert_not_null(c);
    cr_assert_eq(nxi_memory_requests(), 3);
    nxi_memory_fail(1, true);
    cr_assert_null(nxi_zalloc(memory, 8));
    cr_assert_null(nxi_zalloc(memory, 8));
    nxi_memory_fail(0, false);
    nxi_release(memory, a);
    nxi_release(memory, c);
}

Test(memory, bound_is_kept_after_giving_free_chunks_back)
{
    nxi_memory *bounded = nxi_memory_new(3 * NXI_CHUNK_MEDIUM);
    size_t a_size, b_size, c_size;
    void *a = nxi_chunk_get(bounded, NXI_CHUNK_MEDIUM, &a_size), *b = nxi_chunk_get(bounded, NXI_CHUNK_MEDIUM, &b_size);
    cr_assert(a != NULL && b != NULL);
    cr_assert_null(nxi_chunk_get(bounded, 2 * NXI_CHUNK_MEDIUM, &c_size));
    nxi_chunk_put(bounded, a, a_size);
    void *c = nxi_chunk_get(bounded, 2 * NXI_CHUNK_MEDIUM, &c_size);
    cr_assert_null(c, "a chunk of the large class does not fit");
    void *d = nxi_zalloc(bounded, NXI_CHUNK_MEDIUM + 1000);
    cr_assert_not_null(d, "free chunks are given back before refusing");
    nxi_release(bounded, d);
    nxi_chunk_put(bounded, b, b_size);
    nxi_memory_free(bounded);
}

Test(memory, arena_aligns_and_grows)
{
    nxi_arena arena;
    nxi_arena_init(&arena, memory);
    cr_assert_eq(arena.bytes, 0);
    for (size_t i = 1; i < 5000; i++) {
        size_t align = (size_t)1 << (i % 5);
        char *block = nxi_arena_get(&arena, i, align);
        cr_assert_not_null(block);
        cr_assert_eq((uintptr_t)block % align, 0);
        memset(block, (int)i, i);
    }
    cr_assert_gt(arena.bytes, 12 * 1000 * 1000);
    nxi_arena_reset(&arena);
    cr_assert_eq(arena.bytes, 0);
    cr_assert_not_null(nxi_arena_get(&arena, 0, 1));
    nxi_arena_fini(&arena);
}

Test(memory, arena_blocks_do_not_overlap)
{
    nxi_arena arena;
    unsigned char *blocks[3000];
    nxi_arena_init(&arena, memory);
    for (size_t i = 0; i < 3000; i++) {
        blocks[i] = nxi_arena_get(&arena, 1 + i * 7 % 600, 1);
        memset(blocks[i], (int)(i & 0xff), 1 + i * 7 % 600);
    }
    for (size_t i = 0; i < 3000; i++)
        for (size_t b = 0; b < 1 + i * 7 % 600; b++)
            cr_assert_eq(blocks[i][b], i & 0xff);
    nxi_arena_fini(&arena);
}

Test(memory, arena_adopts_all_chunks)
{
    nxi_arena into, from;
    nxi_arena_init(&into, memory);
    nxi_arena_init(&from, memory);
    char *kept = nxi_arena_str(&from, "kept");
    for (size_t i = 0; i < 100; i++)
        cr_assert_not_null(nxi_arena_get(&from, 4000, 16));
    cr_assert_not_null(nxi_arena_get(&into, 10, 1));
    size_t bytes = into.bytes + from.bytes;
    nxi_arena_adopt(&into, &from);
    cr_assert_eq(from.bytes, 0);
    cr_assert_null(from.chunks);
    cr_assert_eq(into.bytes, bytes);
    cr_assert_str_eq(kept, "kept");
    nxi_arena_adopt(&into, &from);
    nxi_arena_fini(&into);
    nxi_arena_fini(&from);
}

Test(memory, arena_survives_lack_of_memory)
{
    nxi_arena arena;
    nxi_arena_init(&arena, memory);
    char *before = nxi_arena_str(&arena, "before");
    nxi_memory_fail(1, true);
    cr_assert_null(nxi_arena_get(&arena, 100000, 16));
    cr_assert_null(nxi_arena_array(&arena, SIZE_MAX / 2, 16));
    nxi_memory_fail(0, false);
    cr_assert_str_eq(before, "before");
    cr_assert_not_null(nxi_arena_get(&arena, 100000, 16));
    nxi_arena_fini(&arena);
}

Test(memory, buffer_grows_prints_and_consumes)
{
    nxi_buf buf;
    nxi_buf_init(&buf, memory);
    cr_assert_str_eq(nxi_buf_str(&buf), "");
    for (int i = 0; i < 1000; i++)
        nxi_buf_printf(&buf, "%d,", i);
    cr_assert_eq(buf.size, 3890);
    cr_assert_eq(strlen(nxi_buf_str(&buf)), 3890);
    nxi_buf_consume(&buf, 3886);
    cr_assert_str_eq(nxi_buf_str(&buf), "999,");
    nxi_buf_fini(&buf);
}

Test(memory, buffer_failure_is_sticky_until_cleared)
{
    nxi_buf buf;
    nxi_buf_init(&buf, memory);
    nxi_memory_fail(1, false);
    nxi_buf_puts(&buf, "lost");
    nxi_buf_puts(&buf, "lost too");
    cr_assert(buf.failed);
    cr_assert_null(nxi_buf_str(&buf));
    nxi_memory_fail(0, false);
    nxi_buf_clear(&buf);
    nxi_buf_puts(&buf, "back");
    cr_assert_str_eq(nxi_buf_str(&buf), "back");
    nxi_buf_fini(&buf);
}

Test(memory, buffer_refuses_absurd_growth)
{
    nxi_buf buf;
    nxi_buf_init(&buf, memory);
    cr_assert_null(nxi_buf_grow(&buf, SIZE_MAX - 1));
    cr_assert(buf.failed);
    nxi_buf_fini(&buf);
}

Test(memory, error_messages_are_cut_at_a_character)
{
    nx_error error;
    char name[NX_ERROR_NAME_SIZE * 2];
    memset(name, 'a', sizeof(name));
    memcpy(name + NX_ERROR_NAME_SIZE - 2, "\xc3\xa9", 2);
    name[sizeof(name) - 1] = '\0';
    nxi_error_name(error.column, name);
    cr_assert_eq(strlen(error.column), NX_ERROR_NAME_SIZE - 2);
    cr_assert_eq(nxi_fail(&error, NX_EINVAL, "%s%s%s%s", name, name, name, name), NX_EINVAL);
    cr_assert_lt(strlen(error.message), NX_ERROR_MESSAGE_SIZE);
    cr_assert_eq(error.row, -1);
}
