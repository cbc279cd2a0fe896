/*
 * memory - host memory behind a count, a bound and free lists.
 *
 * Design notes: blocks come from a jemalloc arena of the loop, so that loops do not meet in one arena and
 * everything of a loop can be accounted for. Chunks of the three usual sizes are kept for reuse: after warm-up a steady
 * load takes nothing from the host. Under AddressSanitizer plain malloc is used, because it does not see what mallocx hands out.
 */
#include "engine/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifdef NXI_ASAN
#include <sanitizer/asan_interface.h>
#else
#include <jemalloc/jemalloc.h>
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

enum { CLASS_COUNT = 3, HUGE_PAGE = 2097152 };
static const size_t class_size[CLASS_COUNT] = { NXI_CHUNK_SMALL, NXI_CHUNK_MEDIUM, NXI_CHUNK_LARGE };

typedef struct free_chunk {
    struct free_chunk *next;
} free_chunk;

struct nxi_memory {
    pthread_mutex_t lock; /* guards the free lists */
    free_chunk *free_list[CLASS_COUNT];
    uint64_t bytes_max;
    _Atomic uint64_t bytes_held;  /* Sync: atomic */
    _Atomic uint64_t bytes_free;  /* in the free lists; Sync: atomic */
    _Atomic uint64_t host_allocs; /* Sync: atomic */
    unsigned arena;
    bool has_arena;
};

/* What nxi_zalloc puts in front of a block; keeps 16-byte alignment. */
typedef union block_head {
    size_t size;
    max_align_t align;
    char pad[16];
} block_head;

/* Fault injection, for all loops of the process. Sync: atomic. */
static _Atomic uint64_t fail_first;
static _Atomic bool fail_persistent;
static _Atomic uint64_t fail_seen;

void nxi_memory_fail(uint64_t first, bool persistent)
{
    atomic_store(&fail_seen, 0);
    atomic_store(&fail_persistent, persistent);
    atomic_store(&fail_first, first);
}

uint64_t nxi_memory_requests(void)
{
    return atomic_load(&fail_seen);
}

static bool is_failing(void)
{
    uint64_t first = atomic_load_explicit(&fail_first, memory_order_relaxed);

    if (NXI_LIKELY(first == 0))
        return false;
    uint64_t seen = atomic_fetch_add(&fail_seen, 1) + 1;
    return atomic_load(&fail_persistent) ? seen >= first : seen == first;
}

#ifdef NXI_ASAN
static void *host_get(nxi_memory *memory, size_t size)
{
    (void)memory;
    return malloc(size);
}

static void host_put(nxi_memory *memory, void *block, size_t size)
{
    (void)memory;
    (void)size;
    free(block);
}

static void host_arena_open(nxi_memory *memory)
{
    (void)memory;
}

static void host_arena_close(nxi_memory *memory)
{
    (void)memory;
}
#else
/* The same for getting and giving back. No thread cache: blocks are given back by other threads than those that got them. */
static int host_flags(const nxi_memory *memory, size_t size)
{
    int flags = memory->has_arena ? (int)(MALLOCX_ARENA(memory->arena) | MALLOCX_TCACHE_NONE) : 0;

    return size < HUGE_PAGE ? flags : flags | (int)MALLOCX_ALIGN(HUGE_PAGE);
}

/*
 * Memory of a large result is written once from end to end, so most of what it costs is the kernel's making of pages: huge ones
 * where they fit. The kernel may refuse.
 */
static void *host_get(nxi_memory *memory, size_t size)
{
    void *block = mallocx(size, host_flags(memory, size));

    if (block != NULL && size >= HUGE_PAGE)
        (void)madvise(block, size & ~(size_t)(HUGE_PAGE - 1), MADV_HUGEPAGE);
    return block;
}

static void host_put(nxi_memory *memory, void *block, size_t size)
{
    sdallocx(block, size, host_flags(memory, size));
}

static void host_arena_set(const nxi_memory *memory, const char *what, void *value, size_t size)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "arena.%u.%s", memory->arena, what);
    (void)mallctl(name, NULL, NULL, value, size);
}

/* Large blocks, too, stay for a while when they are free: by default their pages go back to the kernel at once. */
static void host_arena_open(nxi_memory *memory)
{
    size_t size = sizeof(memory->arena), never = SIZE_MAX / 2;

    memory->has_arena = mallctl("arenas.create", &memory->arena, &size, NULL, 0) == 0;
    if (memory->has_arena)
        host_arena_set(memory, "oversize_threshold", &never, sizeof(never));
}

static void host_arena_close(nxi_memory *memory)
{
    if (memory->has_arena)
        host_arena_set(memory, "destroy", NULL, 0);
}
#endif

nxi_memory *nxi_memory_new(uint64_t bytes_max)
{
    if (is_failing())
        return NULL;
    nxi_memory *memory = calloc(1, sizeof(*memory));
    if (memory == NULL)
        return NULL;
    if (pthread_mutex_init(&memory->lock, NULL) != 0) {
        free(memory);
        return NULL;
    }
    memory->bytes_max = bytes_max;
    host_arena_open(memory);
    return memory;
}

uint64_t nxi_memory_bytes_max(const nxi_memory *memory)
{
    return memory->bytes_max;
}

/* Give the free lists back to the host. */
static void trim(nxi_memory *memory)
{
    for (size_t c = 0; c < CLASS_COUNT; c++) {
        pthread_mutex_lock(&memory->lock);
        free_chunk *chunk = memory->free_list[c];
        memory->free_list[c] = NULL;
        pthread_mutex_unlock(&memory->lock);
        while (chunk != NULL) {
            free_chunk *next = chunk->next;
            ASAN_UNPOISON_MEMORY_REGION(chunk, class_size[c]);
            host_put(memory, chunk, class_size[c]);
            atomic_fetch_sub(&memory->bytes_held, class_size[c]);
            atomic_fetch_sub(&memory->bytes_free, class_size[c]);
            chunk = next;
        }
    }
}

void nxi_memory_free(nxi_memory *memory)
{
    if (memory == NULL)
        return;
    trim(memory);
    NX_ASSERT(atomic_load(&memory->bytes_held) == 0);
    host_arena_close(memory);
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}

static void *host_take(nxi_memory *memory, size_t size)
{
    if (is_failing())
        return NULL;
    uint64_t held = atomic_fetch_add(&memory->bytes_held, size) + size;
    if (memory->bytes_max != 0 && held > memory->bytes_max) {
        /* Chunks that rest in the free lists count too: give them back before refusing. */
        trim(memory);
        if (atomic_load(&memory->bytes_held) > memory->bytes_max)
            goto refuse;
    }
    void *block = host_get(memory, size);
    if (block == NULL)
        goto refuse;
    atomic_fetch_add_explicit(&memory->host_allocs, 1, memory_order_relaxed);
    return block;

refuse:
    atomic_fetch_sub(&memory->bytes_held, size);
    return NULL;
}

static void host_give(nxi_memory *memory, void *block, size_t size)
{
    host_put(memory, block, size);
    atomic_fetch_sub(&memory->bytes_held, size);
}

static size_t class_of(size_t size)
{
    size_t c = 0;

    while (c < CLASS_COUNT && size > class_size[c])
        c++;
    return c;
}

void *nxi_chunk_get(nxi_memory *memory, size_t size, size_t *ret_size)
{
    size_t c = class_of(size);
    void *chunk = NULL;

    if (c == CLASS_COUNT) {
        if (size > SIZE_MAX / 2)
            return NULL;
        chunk = host_take(memory, size);
        if (chunk != NULL)
            *ret_size = size;
        return chunk;
    }
    pthread_mutex_lock(&memory->lock);
    if (memory->free_list[c] != NULL) {
        chunk = memory->free_list[c];
        memory->free_list[c] = memory->free_list[c]->next;
    }
    pthread_mutex_unlock(&memory->lock);
    if (chunk != NULL) {
        ASAN_UNPOISON_MEMORY_REGION(chunk, class_size[c]);
        atomic_fetch_sub_explicit(&memory->bytes_free, class_size[c], memory_order_relaxed);
    } else {
        chunk = host_take(memory, class_size[c]);
    }
    if (chunk != NULL)
        *ret_size = class_size[c];
    return chunk;
}

/* Chunks kept for reuse are bounded, so that one large result does not stay with the loop for ever. */
enum { FREE_BYTES_MAX = 256 * 1024 * 1024 };

void nxi_chunk_put(nxi_memory *memory, void *chunk, size_t size)
{
    size_t c = class_of(size);

    if (chunk == NULL)
        return;
    if (c == CLASS_COUNT || class_size[c] != size ||
        atomic_load_explicit(&memory->bytes_free, memory_order_relaxed) > FREE_BYTES_MAX) {
        host_give(memory, chunk, size);
        return;
    }
    atomic_fetch_add_explicit(&memory->bytes_free, size, memory_order_relaxed);
    pthread_mutex_lock(&memory->lock);
    ((free_chunk *)chunk)->next = memory->free_list[c];
    memory->free_list[c] = chunk;
    /* Whoever still reads a chunk that was given back is found by AddressSanitizer; the link stays readable. */
    ASAN_POISON_MEMORY_REGION((char *)chunk + sizeof(free_chunk), size - sizeof(free_chunk));
    pthread_mutex_unlock(&memory->lock);
}

void *nxi_zalloc(nxi_memory *memory, size_t size)
{
    void *block = nxi_resize(memory, NULL, size);

    if (block != NULL)
        memset(block, 0, size);
    return block;
}

void *nxi_resize(nxi_memory *memory, void *block, size_t size)
{
    block_head *old = block == NULL ? NULL : (block_head *)block - 1;

    if (old != NULL && size <= old->size && size >= old->size / 2)
        return block;
    if (size > SIZE_MAX / 2)
        return NULL;
    block_head *head = host_take(memory, size + sizeof(block_head));
    if (head == NULL)
        return NULL;
    head->size = size;
    if (old != NULL) {
        memcpy(head + 1, block, nxi_min_size(size, old->size));
        nxi_release(memory, block);
    }
    return head + 1;
}

void nxi_release(nxi_memory *memory, void *block)
{
    if (block == NULL)
        return;
    block_head *head = (block_head *)block - 1;
    host_give(memory, head, head->size + sizeof(block_head));
}

char *nxi_strdup(nxi_memory *memory, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = nxi_resize(memory, NULL, size);

    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

nxi_memory_counters nxi_memory_count(const nxi_memory *memory)
{
    return (nxi_memory_counters){ .host_allocs = atomic_load_explicit(&memory->host_allocs, memory_order_relaxed),
                                  .bytes_held = atomic_load_explicit(&memory->bytes_held, memory_order_relaxed) };
}
