/*
 * buf - growth and the puts of a byte buffer.
 */
#include "engine/buf.h"

#include <stdarg.h>
#include <stdio.h>

enum { BUF_FIRST = 256 };

void nxi_buf_fini(nxi_buf *buf)
{
    nxi_release(buf->memory, buf->data);
    *buf = (nxi_buf){ .memory = buf->memory };
}

/* Room for `size` more bytes and a zero byte. */
static bool reserve(nxi_buf *buf, size_t size)
{
    size_t wanted;

    if (buf->failed)
        return false;
    if (size < buf->capacity - buf->size)
        return true;
    if (!nxi_add_size(buf->size, size, &wanted) || wanted > SIZE_MAX / 4) {
        buf->failed = true;
        return false;
    }
    size_t capacity = nxi_max_size(nxi_max_size(wanted + 1, buf->capacity * 2), BUF_FIRST);
    char *data = nxi_resize(buf->memory, buf->data, capacity);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void *nxi_buf_grow(nxi_buf *buf, size_t size)
{
    if (!reserve(buf, size))
        return NULL;
    void *start = buf->data + buf->size;
    buf->size += size;
    return start;
}

void nxi_buf_put(nxi_buf *buf, const void *data, size_t size)
{
    void *place = nxi_buf_grow(buf, size);

    if (place != NULL && size > 0)
        memcpy(place, data, size);
}

void nxi_buf_puts(nxi_buf *buf, const char *text)
{
    nxi_buf_put(buf, text, strlen(text));
}

void nxi_buf_putc(nxi_buf *buf, char c)
{
    nxi_buf_put(buf, &c, 1);
}

void nxi_buf_printf(nxi_buf *buf, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0 || !reserve(buf, (size_t)size)) {
        buf->failed = true;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(buf->data + buf->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    buf->size += (size_t)size;
}

void nxi_buf_consume(nxi_buf *buf, size_t size)
{
    NX_ASSERT(size <= buf->size);
    buf->size -= size;
    if (buf->size > 0 && size > 0)
        memmove(buf->data, buf->data + size, buf->size);
}

const char *nxi_buf_str(nxi_buf *buf)
{
    if (!reserve(buf, 0))
        return NULL;
    buf->data[buf->size] = '\0';
    return buf->data;
}
