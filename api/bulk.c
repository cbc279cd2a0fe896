/*
 * bulk - the public face of bulk loads.
 */
#include "nextorm/bulk.h"

#include "engine/bulk.h"

nx_bulk *nx_bulk_begin(nx_db *db, const nx_entity *entity, const nx_bulk_options *options)
{
    const nxi_table *table = nxi_db_expect_table(db, entity);
    nx_bulk *bulk = table == NULL ? NULL : nxi_bulk_new(db, table, options);

    if (table != NULL && bulk == NULL)
        nxi_fail(&db->error, NX_ENOMEM, "no memory for a load into %s", entity->name);
    return bulk;
}

nx_status nx_bulk_rows(nx_bulk *bulk, const void *rows, size_t count, size_t *ret_taken)
{
    const char *row = rows;
    size_t taken = 0;
    nx_status status = rows == NULL && count > 0 ? NX_EINVAL : NX_OK;

    while (taken < count && status == NX_OK) {
        status = nxi_bulk_struct(bulk, row + taken * bulk->row_size);
        taken += status == NX_OK;
    }
    if (ret_taken != NULL)
        *ret_taken = taken;
    return status;
}

nx_status nx_bulk_columns(nx_bulk *bulk, const nx_column *columns, size_t count)
{
    return nxi_bulk_columns(bulk, columns, count);
}

nx_status nx_bulk_values(nx_bulk *bulk, const nx_value *values, size_t count)
{
    if (bulk->columns != NULL && count != bulk->column_count)
        return nxi_fail(&bulk->error, NX_EINVAL, "%zu values for %zu columns", count, bulk->column_count);
    return nxi_bulk_values(bulk, values);
}

void nx_bulk_skip(nx_bulk *bulk)
{
    bulk->counts.given++;
    bulk->counts.rejected++;
}

nx_op nx_bulk_op(nx_bulk *bulk)
{
    return nxi_bulk_op(bulk);
}

nx_op nx_bulk_end(nx_bulk *bulk, void *tag)
{
    return nxi_bulk_end(bulk, tag);
}

void nx_bulk_free(nx_bulk *bulk)
{
    nxi_bulk_free(bulk);
}

nx_bulk_counts nx_bulk_count(const nx_bulk *bulk)
{
    return bulk->counts;
}

const nx_reject *nx_bulk_rejects(nx_bulk *bulk, size_t *ret_count)
{
    return nxi_bulk_rejects(bulk, ret_count);
}

const nx_error *nx_bulk_error(const nx_bulk *bulk)
{
    return &bulk->error;
}
