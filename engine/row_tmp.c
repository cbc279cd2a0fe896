/* temporary */
#include "engine/row.h"
bool nxi_row_changed(const void *row)
{
    const nxi_table *table = nxi_row_of(row)->table;
    if (memcmp(row, nxi_row_snapshot(row), table->row_size) == 0)
        return false;
    for (size_t i = 0; i < table->column_count; i++)
        if (!table->columns[i].is_volatile && !table->columns[i].is_version && nxi_column_changed(&table->columns[i], row, nxi_row_snapshot(row)))
            return true;
    return false;
}
bool nxi_row_own_all(void *row, nxi_arena *arena)
{
    uint64_t bits[64];
    memset(bits, 0xff, sizeof(bits));
    return nxi_row_own(nxi_row_of(row)->table, row, bits, arena);
}
void nxi_row_restore(void *row, const void *image)
{
    memcpy(row, image, nxi_row_of(row)->table->row_size);
}
