/*
 * arena - chunks, and the slow paths of handing out bytes.
 */
#include "engine/arena.h"

enum { HEAD_SIZE = 16 };
_Static_assert(sizeof(nxi_arena_chunk) <= HEAD_SIZE, "chunk head keeps alignment");

/*
 * Chunks grow with the arena: small ones for point operations, 64 KiB and 2 MiB ones for results, so that a
 * large result costs few requests and a small one wastes little.
 */
static size_t chunk_size_wanted(const nxi_arena *arena, size_t size)
{
    size_t wanted = arena->bytes < NXI_CHUNK_SMALL ? NXI_CHUNK_SMALL
                    : arena->bytes < 16 * NXI_CHUNK_MEDIUM ? NXI_CHUNK_MEDIUM : NXI_CHUNK_LARGE;
    return nxi_max_size(wanted, size);
}

void *nxi_arena_more(nxi_arena *arena, size_t size, size_t align)
{
    size_t total, got;

    if (!nxi_add_size(size, HEAD_SIZE + align, &total))
        return NULL;
    nxi_arena_chunk *chunk = nxi_chunk_get(arena->memory, chunk_size_wanted(arena, total), &got);
    if (chunk == NULL)
        return NULL;
    chunk->size = got;
    arena->bytes += got;
    char *start = (char *)chunk + HEAD_SIZE; /* 16-byte aligned, as chunks are */
    char *end = (char *)chunk + got;
    /* A block that fills its own chunk must not cost the free rest of the current one. */
    if (arena->chunks != NULL && (size_t)(arena->end - arena->next) > (size_t)(end - start) - size) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
        return start;
    }
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->next = start + size;
    arena->end = end;
    return start;
}

void nxi_arena_reset(nxi_arena *arena)
{
    nxi_arena_chunk *chunk = arena->chunks;

    while (chunk != NULL) {
        nxi_arena_chunk *next = chunk->next;
        nxi_chunk_put(arena->memory, chunk, chunk->size);
        chunk = next;
    }
    *arena = (nxi_arena){ .memory = arena->memory };
}

void *nxi_arena_array(nxi_arena *arena, size_t count, size_t size)
{
    size_t total;

    return nxi_mul_size(count, size, &total) ? nxi_arena_zero(arena, total) : NULL;
}

void *nxi_arena_copy(nxi_arena *arena, const void *data, size_t size)
{
    void *copy = nxi_arena_get(arena, size, 16);

    if (copy != NULL && size > 0)
        memcpy(copy, data, size);
    return copy;
}

char *nxi_arena_text(nxi_arena *arena, const char *data, size_t size)
{
    if (size == SIZE_MAX)
        return NULL;
    char *copy = nxi_arena_get(arena, size + 1, 1);
    if (copy == NULL)
        return NULL;
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

char *nxi_arena_str(nxi_arena *arena, const char *text)
{
    return nxi_arena_text(arena, text, strlen(text));
}

void nxi_arena_adopt(nxi_arena *into, nxi_arena *from)
{
    nxi_arena_chunk *last = from->chunks;

    NX_ASSERT(into->memory == from->memory);
    if (last == NULL)
        return;
    if (into->chunks == NULL) {
        *into = *from;
    } else {
        /* Behind the current chunk: its free rest stays in use. */
        while (last->next != NULL)
            last = last->next;
        last->next = into->chunks->next;
        into->chunks->next = from->chunks;
        into->bytes += from->bytes;
    }
    *from = (nxi_arena){ .memory = from->memory };
}
