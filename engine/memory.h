/*
 * memory - the host's memory as one loop and its workers see it: counted, bounded, recyclable.
 *
 * Ownership: a block belongs to whoever got it until it is given back to the same nxi_memory.
 * Errors:    NULL when the bound or the host is exhausted. Tests make the n-th request fail.
 * Threads:   all functions may be called by the loop's thread and its workers. Sync: a mutex around
 *            the free lists (one per 4 KiB or more of data), atomics for the counters.
 */
#ifndef NXI_MEMORY_H
#define NXI_MEMORY_H

#include "engine/base.h"

typedef struct nxi_memory nxi_memory;

/* Block sizes that are kept for reuse; other sizes go to the host and back. */
enum { NXI_CHUNK_SMALL = 4096, NXI_CHUNK_MEDIUM = 65536, NXI_CHUNK_LARGE = 2097152 };

/* 0: no bound. */
uint64_t nxi_memory_bytes_max(const nxi_memory *memory);
/* bytes_max 0: no bound. NULL: out of memory. A jemalloc arena of its own, plain malloc under AddressSanitizer. */
nxi_memory *nxi_memory_new(uint64_t bytes_max);
/* Everything must have been given back (asserted). NULL is allowed. */
void nxi_memory_free(nxi_memory *memory);

/* A block of at least `size` bytes, 16-byte aligned, contents undefined; *ret_size is what it really has. */
void *nxi_chunk_get(nxi_memory *memory, size_t size, size_t *ret_size);
/* `size` as nxi_chunk_get returned it. */
void nxi_chunk_put(nxi_memory *memory, void *chunk, size_t size);

/* Single objects for long-lived things: zeroed, size is kept. nxi_resize keeps the old block on failure. NULL: out of memory. */
void *nxi_zalloc(nxi_memory *memory, size_t size);
void *nxi_resize(nxi_memory *memory, void *block, size_t size);
void nxi_release(nxi_memory *memory, void *block);
char *nxi_strdup(nxi_memory *memory, const char *text);

typedef struct nxi_memory_counters { uint64_t host_allocs, bytes_held; } nxi_memory_counters;
nxi_memory_counters nxi_memory_count(const nxi_memory *memory);

/*
 * Tests: from now on request number `first` (1: the next one) fails, and all after it when `persistent`. 0
 * switches it off. All loops of the process.
 */
void nxi_memory_fail(uint64_t first, bool persistent);
/* Requests seen since nxi_memory_fail was called. */
uint64_t nxi_memory_requests(void);

#endif
