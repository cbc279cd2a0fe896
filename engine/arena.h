/*
 * arena - memory that dies together.
 *
 * Job:       hand out aligned bytes in O(1); free them all at once.
 * Ownership: the arena owns its chunks. A pointer is valid until the arena is reset or finished;
 *            nobody frees it singly. Chunks come from and return to the loop's nxi_memory.
 * Errors:    NULL when memory is exhausted; the arena stays usable, nothing handed out moves.
 * Threads:   one owner at a time; ownership passes with the request that carries it.
 */
#ifndef NXI_ARENA_H
#define NXI_ARENA_H

#include "engine/memory.h"

typedef struct nxi_arena_chunk {
    struct nxi_arena_chunk *next;
    size_t size; /* of the whole chunk */
} nxi_arena_chunk;

typedef struct nxi_arena {
    nxi_memory *memory;
    nxi_arena_chunk *chunks; /* the newest first */
    char *next, *end;        /* free bytes of the newest chunk */
    size_t bytes;            /* of all chunks */
} nxi_arena;

/* No allocation happens before the first use. */
static inline void nxi_arena_init(nxi_arena *arena, nxi_memory *memory) { *arena = (nxi_arena){ .memory = memory }; }
/* Give all chunks back; the arena can be used again. */
void nxi_arena_reset(nxi_arena *arena);
static inline void nxi_arena_fini(nxi_arena *arena) { nxi_arena_reset(arena); }

void *nxi_arena_more(nxi_arena *arena, size_t size, size_t align); /* the slow path of nxi_arena_get */

/* `size` bytes, contents undefined; align is a power of two up to 16. Size 0 gives a valid pointer. */
static inline void *nxi_arena_get(nxi_arena *arena, size_t size, size_t align)
{
    uintptr_t start = ((uintptr_t)arena->next + (align - 1)) & ~(uintptr_t)(align - 1);
    if (NXI_UNLIKELY(arena->next == NULL || start > (uintptr_t)arena->end || size > (uintptr_t)arena->end - start))
        return nxi_arena_more(arena, size, align);
    arena->next = (char *)(start + size);
    return (void *)start;
}
/* Give back what a block that ended at `end` does not use, from `used` on; no effect unless it is the newest of its chunk. */
static inline void nxi_arena_trim(nxi_arena *arena, const void *end, void *used)
{
    if (NXI_LIKELY(arena->next == end))
        arena->next = used;
}
static inline void *nxi_arena_zero(nxi_arena *arena, size_t size)
{
    void *block = nxi_arena_get(arena, size, 16);
    if (NXI_LIKELY(block != NULL))
        memset(block, 0, size);
    return block;
}
#define NXI_ARENA_NEW(arena, type) ((type *)nxi_arena_zero((arena), sizeof(type)))
/* count objects, zeroed; NULL also when count * size overflows. */
void *nxi_arena_array(nxi_arena *arena, size_t count, size_t size);
#define NXI_ARENA_ARRAY(arena, type, count) ((type *)nxi_arena_array((arena), (count), sizeof(type)))
void *nxi_arena_copy(nxi_arena *arena, const void *data, size_t size);
/* A copy followed by a zero byte. */
char *nxi_arena_text(nxi_arena *arena, const char *data, size_t size);
char *nxi_arena_str(nxi_arena *arena, const char *text);

/* All chunks of `from` become chunks of `into` (same nxi_memory); `from` is empty afterwards. */
void nxi_arena_adopt(nxi_arena *into, nxi_arena *from);

#endif
