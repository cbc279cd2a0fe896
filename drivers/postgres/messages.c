/*
 * messages - the frames of what is sent: type, length, body (55.7 "Message Formats").
 */
#include "drivers/postgres/postgres.h"

size_t nxi_pg_begin(nxi_buf *out, char type)
{
    uint8_t *head = nxi_buf_grow(out, 5);

    if (head == NULL)
        return 0;
    head[0] = (uint8_t)type;
    return out->size - 4;
}

bool nxi_pg_end(nxi_buf *out, size_t start)
{
    size_t size = out->size - start;

    if (out->failed)
        return false;
    if (size > NXI_PG_MESSAGE_MAX) {
        out->size = start - 1;
        return false;
    }
    nxi_pg_store32(out->data + start, (uint32_t)size);
    return true;
}

void nxi_pg_put16(nxi_buf *out, uint16_t x)
{
    void *place = nxi_buf_grow(out, 2);

    if (place != NULL)
        nxi_pg_store16(place, x);
}

void nxi_pg_put32(nxi_buf *out, uint32_t x)
{
    void *place = nxi_buf_grow(out, 4);

    if (place != NULL)
        nxi_pg_store32(place, x);
}

void nxi_pg_put_text(nxi_buf *out, const char *text)
{
    nxi_buf_put(out, text, strlen(text) + 1);
}

void nxi_pg_put_sync(nxi_buf *out)
{
    nxi_buf_put(out, "S\0\0\0\4", 5);
}

/* 55.2.3: the server need not answer before a Sync or this. */
void nxi_pg_put_flush(nxi_buf *out)
{
    nxi_buf_put(out, "H\0\0\0\4", 5);
}

void nxi_pg_put_execute(nxi_buf *out, const char *portal, uint32_t rows)
{
    size_t size = strlen(portal) + 1;
    char *message = nxi_buf_grow(out, 9 + size);

    if (message == NULL)
        return;
    message[0] = 'E';
    nxi_pg_store32(message + 1, (uint32_t)(8 + size));
    memcpy(message + 5, portal, size);
    nxi_pg_store32(message + 5 + size, rows);
}

void nxi_pg_put_close(nxi_buf *out, char what, const char *name)
{
    size_t start = nxi_pg_begin(out, 'C');

    nxi_buf_putc(out, what);
    nxi_pg_put_text(out, name);
    if (!out->failed)
        nxi_pg_store32(out->data + start, (uint32_t)(out->size - start));
}
