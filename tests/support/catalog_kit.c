/*
 * catalog_kit - see the header.
 */
#include "tests/support/catalog_kit.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXTS = 4, TEXT_SIZE = 2048 };

typedef struct text {
    char data[TEXT_SIZE];
    size_t size;
} text;

static text *new_text(void)
{
    static text texts[TEXTS];
    static size_t next;
    text *t = &texts[next++ % TEXTS];

    *t = (text){ .size = 0 };
    return t;
}

static void put(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(text *t, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(t->data + t->size, TEXT_SIZE - t->size, format, arguments);
    va_end(arguments);
    NX_ASSERT(size >= 0 && (size_t)size < TEXT_SIZE - t->size);
    t->size += (size_t)size;
}

static const char *finish(text *t)
{
    if (t->size == 0)
        put(t, "-");
    return t->data;
}

const char *ck_columns(const nxi_table *table, const uint64_t *bits)
{
    text *t = new_text();

    for (size_t i = 0; bits != NULL && i < table->column_count; i++) {
        if ((bits[i / 64] >> (i % 64) & 1) != 0)
            put(t, "%s%s", t->size == 0 ? "" : " ", table->columns[i].name);
    }
    return finish(t);
}

const char *ck_touched(const nxi_touched *touched)
{
    text *t = new_text();

    if (touched->all)
        put(t, "*");
    for (size_t i = 0; i < touched->count; i++)
        put(t, "%s%s", t->size == 0 ? "" : " ", touched->tables[i]->name);
    return finish(t);
}

const char *ck_uniques(const nxi_table *table)
{
    text *t = new_text();

    for (size_t u = 0; u < table->real_unique_count; u++) {
        const nxi_real_unique *unique = &table->real_uniques[u];
        bool passes = false;

        put(t, "%s%s(", u == 0 ? "" : " ", unique->name);
        for (size_t i = 0; i < unique->count; i++) {
            size_t c = unique->columns[i];
            put(t, "%s%s", i == 0 ? "" : " ", table->columns[c].name);
            passes = passes || (table->passable != NULL && (table->passable[c / 64] >> (c % 64) & 1) != 0);
        }
        put(t, ")%s%s", passes ? "?" : "", unique->deferrable ? "!" : "");
    }
    return finish(t);
}
