/*
 * buf - bytes that grow at the end.
 *
 * Errors:    a failed growth sets `failed`, which stays: later puts do nothing, so a builder checks
 *            once at its end.
 * Ownership: the buffer owns its bytes (from nxi_memory).
 */
#ifndef NXI_BUF_H
#define NXI_BUF_H

#include "engine/memory.h"

typedef struct nxi_buf {
    nxi_memory *memory;
    char *data;
    size_t size, capacity;
    bool failed;
} nxi_buf;

static inline void nxi_buf_init(nxi_buf *buf, nxi_memory *memory) { *buf = (nxi_buf){ .memory = memory }; }
void nxi_buf_fini(nxi_buf *buf);
static inline void nxi_buf_clear(nxi_buf *buf) { buf->size = 0; buf->failed = false; }

/* `size` more bytes at the end, contents undefined; NULL (and failed) when there is no memory. Moves the data. */
void *nxi_buf_grow(nxi_buf *buf, size_t size);
void nxi_buf_put(nxi_buf *buf, const void *data, size_t size);
void nxi_buf_puts(nxi_buf *buf, const char *text);
void nxi_buf_putc(nxi_buf *buf, char c);
void nxi_buf_printf(nxi_buf *buf, const char *format, ...) NX_PRINTF(2, 3);
/* Drop `size` bytes at the front. */
void nxi_buf_consume(nxi_buf *buf, size_t size);
/* The bytes followed by a zero byte that is not counted; NULL when failed. */
const char *nxi_buf_str(nxi_buf *buf);

#endif
