/*
 * dialect - identifiers and JSON texts, the part of the dialects that is the same for all.
 */
#include "drivers/dialect.h"

#include "engine/map.h"
#include "engine/values.h"

void nxi_quote(const nxi_dialect *dialect, const char *name, nxi_buf *sql)
{
    nxi_buf_putc(sql, dialect->quote);
    for (const char *start = name;;) {
        const char *found = strchr(start, dialect->quote);
        if (found == NULL) {
            nxi_buf_puts(sql, start);
            break;
        }
        nxi_buf_put(sql, start, (size_t)(found - start) + 1);
        nxi_buf_putc(sql, dialect->quote);
        start = found + 1;
    }
    nxi_buf_putc(sql, dialect->quote);
}

void nxi_put_json(nx_text text, nxi_buf *json)
{
    size_t start = 0;

    nxi_buf_putc(json, '"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        nxi_buf_put(json, text.data + start, i - start);
        if (c == '"' || c == '\\')
            nxi_buf_printf(json, "\\%c", c);
        else
            nxi_buf_printf(json, "\\u%04x", c);
        start = i + 1;
    }
    if (start < text.size)
        nxi_buf_put(json, text.data + start, text.size - start);
    nxi_buf_putc(json, '"');
}

bool nxi_identifier_is_valid(const nxi_dialect *dialect, const char *name)
{
    size_t size = name == NULL ? 0 : strnlen(name, dialect->identifier_bytes_max + 1);

    return size > 0 && size <= dialect->identifier_bytes_max && nxi_text_is_valid(name, size, NULL);
}

/* Of two long names that begin alike, the digits differ. */
size_t nxi_shorten_name(const nxi_dialect *dialect, char *name, size_t size)
{
    enum { DIGITS = 8 };
    uint32_t hash;

    NX_ASSERT(dialect->identifier_bytes_max > 1 + DIGITS);
    if (size <= dialect->identifier_bytes_max)
        return size;
    hash = (uint32_t)nxi_hash_bytes(name, size, 0);
    size = dialect->identifier_bytes_max - 1 - DIGITS;
    while (size > 0 && ((unsigned char)name[size] & 0xc0) == 0x80)
        size--;
    name[size++] = '_';
    for (int i = DIGITS - 1; i >= 0; i--)
        name[size++] = "0123456789abcdef"[hash >> 4 * i & 15];
    return size;
}
