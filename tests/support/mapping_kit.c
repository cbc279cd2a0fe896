/*
 * mapping_kit - tables mapped for a small dialect of its own, without any database.
 */
#include "tests/support/mapping_kit.h"

#include <criterion/criterion.h>

nxi_memory *kit_memory;
nxi_arena kit_arena;
nxi_tables kit_tables;
nx_error kit_error;

static void column_type(const nxi_column *column, nxi_buf *sql)
{
    for (const char *p = nx_type_name(column->type); *p != '\0'; p++)
        nxi_buf_putc(sql, *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p);
    if (column->max_len != 0)
        nxi_buf_printf(sql, "(%u)", (unsigned)column->max_len);
}

static void auto_key(const nxi_column *column, nxi_buf *sql)
{
    column_type(column, sql);
    nxi_buf_puts(sql, " AUTO PRIMARY KEY");
}

static void column_check(const nxi_column *column, const char *quoted, nxi_buf *sql)
{
    if (column->type == NX_TYPE_boolean)
        nxi_buf_printf(sql, "CHECK (%s IN (0, 1))", quoted);
}

const nxi_dialect kit_dialect = {.name = "Plain",
                                 .quote = '"',
                                 .identifier_bytes_max = KIT_IDENTIFIER_BYTES,
                                 .column_type = column_type,
                                 .auto_key = auto_key,
                                 .column_check = column_check,
                                 .table_suffix = " PLAIN"};

void kit_open(void)
{
    kit_memory = nxi_memory_new(0);
    cr_assert_not_null(kit_memory);
    nxi_arena_init(&kit_arena, kit_memory);
}

void kit_close(void)
{
    nxi_arena_fini(&kit_arena);
    nxi_memory_free(kit_memory);
}

nx_status kit_map_list(const nx_entity *const *entities, size_t count)
{
    nxi_error_reset(&kit_error);
    return nxi_tables_build(&kit_arena, &kit_dialect, entities, count, &kit_tables, &kit_error);
}

const nxi_table *kit_table(const nx_entity *entity)
{
    const nxi_table *table = nxi_tables_find(&kit_tables, entity);

    cr_assert_not_null(table);
    return table;
}

void *kit_row(const nx_entity *entity)
{
    void *row = nxi_row_new(&kit_arena, kit_table(entity), NULL);

    cr_assert_not_null(row);
    return row;
}

const nxi_column *kit_column(const nx_entity *entity, const char *field_name)
{
    const nxi_column *column = nxi_table_column(kit_table(entity), nx_str(field_name));

    cr_assert_not_null(column, "%s", field_name);
    return column;
}

const char *kit_statement(size_t index)
{
    const char *const *list = NULL;
    nx_status status = nxi_schema_create(&kit_tables, &kit_dialect, &kit_arena, &list, &kit_error);

    cr_assert_eq(status, NX_OK, "%s", kit_error.message);
    for (size_t i = 0; i < index; i++) {
        if (list[i] == NULL)
            return NULL;
    }
    return list[index];
}
