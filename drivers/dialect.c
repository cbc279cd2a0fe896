/*
 * dialect - identifiers, the part of the dialects that is the same for all.
 */
#include "drivers/dialect.h"

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

bool nxi_identifier_is_valid(const nxi_dialect *dialect, const char *name)
{
    size_t size = name == NULL ? 0 : strnlen(name, dialect->identifier_bytes_max + 1);

    return size > 0 && size <= dialect->identifier_bytes_max && nxi_text_is_valid(name, size, NULL);
}
