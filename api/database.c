/*
 * database - the public face of databases.
 */
#include "nextorm/database.h"

#include "engine/session.h"

nx_db *nx_db_new(nx_loop *loop, const nx_entity *const *entities)
{
    return nxi_db_new(loop, entities);
}

nx_status nx_register(nx_db *db, const nx_entity *entity)
{
    return nxi_db_register(db, entity);
}

const nx_error *nx_db_error(const nx_db *db)
{
    return &db->error;
}

void nx_db_free(nx_db *db)
{
    nxi_db_free(db);
}

bool nx_is_bound(const nx_db *db)
{
    return db->state == NXI_DB_BOUND;
}

static uint32_t default_deadline(const nx_db *db)
{
    return db->pool == NULL ? 0 : nxi_pool_options(db->pool)->deadline_ms;
}

nx_op nx_bind(nx_db *db, const char *provider, const nx_bind_options *options, void *tag)
{
    nxi_op *op = nxi_op_new(db->loop, db, tag, 0);

    if (op != NULL)
        nxi_db_bind(db, op, provider, options);
    return nxi_op_handle(op);
}

nx_op nx_generate_mapping(nx_db *db, unsigned flags, void *tag)
{
    nxi_op *op = nxi_op_new(db->loop, db, tag, default_deadline(db));

    if (op != NULL)
        nxi_db_map(db, op, (flags & NX_CREATE_TABLES) != 0);
    return nxi_op_handle(op);
}

const char *nx_ddl(nx_db *db)
{
    return db->mapped ? db->ddl : NULL;
}

nx_op nx_create_tables(nx_db *db, void *tag)
{
    nxi_op *op = nxi_op_new(db->loop, db, tag, default_deadline(db));

    if (op != NULL)
        nxi_db_create(db, op);
    return nxi_op_handle(op);
}

nx_op nx_drop_table(nx_db *db, const char *table, unsigned flags, void *tag)
{
    nxi_op *op = nxi_op_new(db->loop, db, tag, default_deadline(db));

    if (op == NULL)
        return nxi_op_handle(op);
    const char **tables = NXI_ARENA_ARRAY(&op->arena, const char *, 1);
    if (tables != NULL && table != NULL)
        tables[0] = nxi_arena_str(&op->arena, table);
    if (tables == NULL || (table != NULL && tables[0] == NULL))
        nxi_op_fail(op, NX_ENOMEM, NULL);
    else
        nxi_db_drop(db, op, tables, 1, flags);
    return nxi_op_handle(op);
}

nx_op nx_drop_all_tables(nx_db *db, unsigned flags, void *tag)
{
    nxi_op *op = nxi_op_new(db->loop, db, tag, default_deadline(db));
    nx_error error;

    if (op == NULL)
        return nxi_op_handle(op);
    if (nxi_db_check(db, true, &error) != NX_OK) {
        nxi_op_fail(op, error.status, &error);
        return nxi_op_handle(op);
    }
    /* Referring tables first. Entities of one tree share a table. */
    const char **tables = NXI_ARENA_ARRAY(&op->arena, const char *, db->tables.count);
    size_t count = 0;
    for (size_t i = db->tables.count; tables != NULL && i > 0; i--)
        if (db->tables.by_order[i - 1]->root == db->tables.by_order[i - 1])
            tables[count++] = db->tables.by_order[i - 1]->name;
    if (tables == NULL)
        nxi_op_fail(op, NX_ENOMEM, NULL);
    else
        nxi_db_drop(db, op, tables, count, flags | NX_DROP_IF_EXISTS);
    return nxi_op_handle(op);
}

nx_op nx_close(nx_db *db, void *tag)
{
    nxi_op *op = nxi_op_new(db->loop, db, tag, 0);

    if (op != NULL)
        nxi_db_close(db, op);
    return nxi_op_handle(op);
}

/* ------------------------------------------------------------------------------ rows */

void *nx_make_row(nx_db *db, const nx_entity *entity)
{
    const nxi_table *table = nxi_db_expect_table(db, entity);
    void *row = table == NULL ? NULL : nxi_db_make_row(db, table);

    if (table != NULL && row == NULL)
        nxi_fail(&db->error, NX_ENOMEM, "no memory for a row of %s", entity->name);
    return row;
}

void nx_release_row(nx_db *db, void *row)
{
    nxi_db_release_row(db, row);
}

static nx_op write_row(nx_db *db, void *row, nxi_write write, void *tag)
{
    nx_session *s = row == NULL ? NULL : nxi_row_of(row)->owner;
    nx_error error;

    if (row == NULL) {
        nxi_fail(&error, NX_EINVAL, "no row is given");
        return nxi_op_refuse(db->loop, db, tag, NX_EINVAL, &error);
    }
    while (s != NULL && s->inner != NULL)
        s = s->inner;
    if (s != NULL)
        return nxi_session_write_row(s, row, write, tag);
    nxi_op *op = nxi_op_new(db->loop, db, tag, default_deadline(db));
    if (op != NULL)
        nxi_db_write_row(db, op, row, write);
    return nxi_op_handle(op);
}

nx_op nx_save(nx_db *db, void *row, void *tag)
{
    return write_row(db, row, NXI_WRITE_SAVE, tag);
}

nx_op nx_insert(nx_db *db, void *row, void *tag)
{
    return write_row(db, row, NXI_WRITE_INSERT, tag);
}

nx_op nx_delete(nx_db *db, void *row, void *tag)
{
    return write_row(db, row, NXI_WRITE_DELETE, tag);
}

/* ------------------------------------------------------------------------------ raw SQL */

static nx_op raw(nx_db *db, const nxi_raw *what, bool rows, void *tag)
{
    nxi_op *op = nxi_op_new(db->loop, db, tag, default_deadline(db));

    if (op != NULL)
        nxi_db_raw(db, op, what, rows);
    return nxi_op_handle(op);
}

nx_op nx_execute(nx_db *db, const char *sql, const nx_value *values, size_t count, void *tag)
{
    return raw(db, &(nxi_raw){ sql, values, count }, false, tag);
}

nx_op nx_select_raw(nx_db *db, const char *sql, const nx_value *values, size_t count, void *tag)
{
    return raw(db, &(nxi_raw){ sql, values, count }, true, tag);
}

static nx_op describe(nx_db *db, const char *table, bool uniques, void *tag)
{
    nxi_op *op = nxi_op_new(db->loop, db, tag, default_deadline(db));

    if (op != NULL)
        nxi_db_describe(db, op, table, uniques);
    return nxi_op_handle(op);
}

nx_op nx_table_columns(nx_db *db, const char *table, void *tag)
{
    return describe(db, table, false, tag);
}

nx_op nx_table_uniques(nx_db *db, const char *table, void *tag)
{
    return describe(db, table, true, tag);
}

/* ------------------------------------------------------------------------------ notifications */

nx_op nx_listen(nx_db *db, const char *channel, void *tag)
{
    nxi_op *op = nxi_op_new(db->loop, db, tag, 0); /* it is meant to last: no default deadline */

    if (op != NULL)
        nxi_db_listen(db, op, channel);
    return nxi_op_handle(op);
}

nx_op nx_notify(nx_db *db, const char *channel, const char *payload, void *tag)
{
    nxi_op *op = nxi_op_new(db->loop, db, tag, default_deadline(db));

    if (op != NULL)
        nxi_db_notify(db, op, channel, payload);
    return nxi_op_handle(op);
}

/* ------------------------------------------------------------------------------ seeing the SQL */

void nx_set_sql_debug(nx_db *db, nx_sql_callback callback, void *context, bool show_values)
{
    db->trace.debug = callback;
    db->trace.debug_context = context;
    db->trace.show_values = show_values;
}

void nx_set_slow_query(nx_db *db, uint32_t threshold_us, nx_slow_callback callback, void *context)
{
    db->trace.slow = callback;
    db->trace.slow_context = context;
    db->trace.slow_threshold_us = threshold_us;
}

nx_status nx_capture_begin(nx_db *db)
{
    return nxi_trace_capture_begin(&db->trace);
}

const char *const *nx_capture_end(nx_db *db, size_t *ret_count)
{
    return nxi_trace_capture_end(&db->trace, ret_count);
}

const char *nx_last_sql(const nx_db *db)
{
    return nxi_trace_last(&db->trace);
}
