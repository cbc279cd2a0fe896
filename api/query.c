/*
 * query - the public face of queries: builder steps and terminals.
 */
#include "nextorm/query.h"

#include "engine/query.h"
#include "engine/session.h"

/* ------------------------------------------------------------------------------ begin and end */

static nx_query *not_mapped(nx_loop *loop, nx_db *db, nx_session *s, const nx_entity *entity)
{
    nx_error error;

    if (entity == NULL)
        nxi_fail(&error, NX_EINVAL, "no entity is given");
    else if (db != NULL && !db->mapped)
        (void)(nxi_db_check(db, true, &error) == NX_OK ? nxi_fail(&error, NX_EMAPPING, "the database has no mapping") : NX_OK);
    else
        nxi_fail(&error, NX_ENOTMAPPED, "entity %s is not mapped by %s", entity->name,
                 db != NULL ? "this database" : "any database of this loop");
    return nxi_query_new(loop, db, s, NULL, &error);
}

nx_query *nx_select_db(nx_db *db, const nx_entity *entity)
{
    if (db == NULL)
        return nx_select_any(NULL, entity);
    const nxi_table *table = entity == NULL ? NULL : nxi_db_table(db, entity);
    return table == NULL ? not_mapped(db->loop, db, NULL, entity) : nxi_query_new(db->loop, db, NULL, table, NULL);
}

nx_query *nx_select_session(nx_session *s, const nx_entity *entity)
{
    if (s == NULL)
        return nx_select_any(NULL, entity);
    const nxi_table *table = entity == NULL ? NULL : nxi_loop_table(s->loop, entity);
    nx_error error;
    if (table == NULL)
        return not_mapped(s->loop, NULL, s, entity);
    bool usable = nxi_session_check(s, &error) == NX_OK;
    return nxi_query_new(s->loop, table->db, s, table, usable ? NULL : &error);
}

nx_query *nx_select_any(void *null, const nx_entity *entity)
{
    nx_loop *first = nxi_loops_of_thread();

    (void)null;
    for (nx_loop *loop = first; loop != NULL && entity != NULL; loop = loop->next_of_thread) {
        const nxi_table *table = nxi_loop_table(loop, entity);
        if (table != NULL)
            return nxi_query_new(loop, table->db, NULL, table, NULL);
    }
    return first == NULL ? NULL : not_mapped(first, NULL, NULL, entity);
}

nx_query *nx_query_keep(nx_query *q)
{
    if (q != NULL && !q->used_up)
        q->kept = true;
    return q;
}

void nx_query_free(nx_query *q)
{
    if (q == NULL || q->used_up)
        return;
    q->kept = false;
    q->used_up = true;
    nxi_query_unref(q);
}

/* ------------------------------------------------------------------------------ steps */

nx_query *nx_filter(nx_query *q, const nx_expr *condition)
{
    bool ready;
    nx_error error;

    q = nxi_query_step(q, &ready);
    if (ready && nxi_select_filter(&q->select, &q->arena, condition, &error) != NX_OK)
        nxi_query_mistake(q, &error);
    return q;
}

nx_query *nx_where(nx_query *q, const char *text, const nx_value *values, size_t count)
{
    bool ready;
    nx_error error;

    q = nxi_query_step(q, &ready);
    if (ready && nxi_select_where(&q->select, &q->arena, text, values, count, &error) != NX_OK)
        nxi_query_mistake(q, &error);
    return q;
}

nx_query *nx_order_by_terms(nx_query *q, const nx_order *terms, size_t count)
{
    bool ready;
    nx_error error;

    q = nxi_query_step(q, &ready);
    if (ready && nxi_select_order(&q->select, &q->arena, terms, count, &error) != NX_OK)
        nxi_query_mistake(q, &error);
    return q;
}

nx_query *nx_order_random(nx_query *q)
{
    bool ready;

    q = nxi_query_step(q, &ready);
    if (ready) {
        q->select.term_count = 0;
        q->select.random = true;
    }
    return q;
}

nx_query *nx_limit(nx_query *q, uint64_t rows)
{
    bool ready;

    q = nxi_query_step(q, &ready);
    if (ready) {
        q->select.limit = rows > INT64_MAX ? INT64_MAX : rows;
        q->select.has_limit = true;
    }
    return q;
}

nx_query *nx_offset(nx_query *q, uint64_t rows)
{
    bool ready;

    q = nxi_query_step(q, &ready);
    if (ready) {
        q->select.offset = rows > INT64_MAX ? INT64_MAX : rows;
        q->select.has_offset = true;
    }
    return q;
}

nx_query *nx_page(nx_query *q, uint64_t page, uint64_t rows_per_page)
{
    bool ready;
    nx_error error;
    uint64_t offset;

    q = nxi_query_step(q, &ready);
    if (!ready)
        return q;
    if (page == 0 || rows_per_page == 0 || __builtin_mul_overflow(page - 1, rows_per_page, &offset) || offset > INT64_MAX) {
        nxi_fail(&error, NX_EINVAL, "page %llu of %llu rows: pages count from 1, and a page has at least one row",
                 (unsigned long long)page, (unsigned long long)rows_per_page);
        nxi_query_mistake(q, &error);
        return q;
    }
    q->select.has_limit = q->select.has_offset = true;
    q->select.limit = rows_per_page > INT64_MAX ? INT64_MAX : rows_per_page;
    q->select.offset = offset;
    return q;
}

nx_query *nx_distinct(nx_query *q, bool distinct)
{
    bool ready;

    q = nxi_query_step(q, &ready);
    if (ready)
        q->select.distinct = distinct;
    return q;
}

nx_query *nx_after(nx_query *q, const nx_value *values, size_t count)
{
    bool ready;
    nx_error error;

    q = nxi_query_step(q, &ready);
    if (ready && nxi_select_after(&q->select, &q->arena, values, count, &error) != NX_OK)
        nxi_query_mistake(q, &error);
    return q;
}

nx_query *nx_after_row(nx_query *q, const void *row)
{
    bool ready;
    nx_error error;

    q = nxi_query_step(q, &ready);
    if (ready && row == NULL) {
        nxi_fail(&error, NX_EINVAL, "no row is given");
        nxi_query_mistake(q, &error);
    } else if (ready && nxi_select_after_row(&q->select, &q->arena, row, &error) != NX_OK) {
        nxi_query_mistake(q, &error);
    }
    return q;
}

nx_query *nx_for_update(nx_query *q)
{
    bool ready;

    q = nxi_query_step(q, &ready);
    if (ready) {
        q->select.for_update = true;
        q->select.nowait = q->select.skip_locked = false;
    }
    return q;
}

nx_query *nx_for_update_with(nx_query *q, unsigned flags)
{
    bool ready;
    nx_error error;

    q = nxi_query_step(q, &ready);
    if (!ready)
        return q;
    if ((flags & ~(unsigned)(NX_LOCK_NOWAIT | NX_LOCK_SKIP_LOCKED)) != 0 || flags == (NX_LOCK_NOWAIT | NX_LOCK_SKIP_LOCKED)) {
        nxi_fail(&error, NX_EINVAL, "rows that are locked are an error, or left out, or waited for: flags 0x%x say none of these",
                 flags);
        nxi_query_mistake(q, &error);
        return q;
    }
    q->select.for_update = true;
    q->select.nowait = (flags & NX_LOCK_NOWAIT) != 0;
    q->select.skip_locked = (flags & NX_LOCK_SKIP_LOCKED) != 0;
    return q;
}

nx_query *nx_with_lazy(nx_query *q, nx_column column)
{
    bool ready;
    nx_error error;

    q = nxi_query_step(q, &ready);
    if (!ready)
        return q;
    const nxi_table *table = q->select.table;
    bool known = column.entity == table->entity && column.field < table->entity->field_count &&
                 table->field_column[column.field] != UINT16_MAX;
    if (!known) {
        nxi_fail(&error, NX_ENOFIELD, "no such stored field of %s", table->entity->name);
        nxi_query_mistake(q, &error);
        return q;
    }
    const nxi_column *wanted = &table->columns[table->field_column[column.field]];
    if (wanted->lazy)
        q->select.lazy_wanted |= UINT32_C(1) << wanted->lazy_bit;
    return q;
}

nx_query *nx_untracked(nx_query *q)
{
    bool ready;

    q = nxi_query_step(q, &ready);
    if (ready)
        q->untracked = true;
    return q;
}

nx_query *nx_query_deadline(nx_query *q, uint32_t deadline_ms)
{
    bool ready;

    q = nxi_query_step(q, &ready);
    if (ready)
        q->deadline_ms = deadline_ms;
    return q;
}

const char *nx_sql(nx_query *q)
{
    nx_error error;
    nxi_bound bound;

    if (q == NULL || q->used_up || q->error != NULL || q->db == NULL)
        return NULL;
    nx_status status = nxi_db_check(q->db, true, &error);
    if (status == NX_OK)
        status = nxi_select_bind(&q->select, NXI_VERB_FETCH, (nx_column){ .field = UINT16_MAX }, NULL, 0, q->db->driver->dialect,
                                 &q->db->statements, &q->arena, &bound, &error);
    if (status == NX_OK)
        return bound.statement->sql;
    nxi_query_mistake(q, &error);
    return NULL;
}

const nx_error *nx_query_error(const nx_query *q)
{
    return q == NULL ? NULL : q->error;
}

/* ------------------------------------------------------------------------------ terminals */

static const nx_column no_column = { NULL, UINT16_MAX };

nx_op nx_fetch_all(nx_query *q, void *tag)
{
    return nxi_query_run(q, &(nxi_ask){ .verb = NXI_VERB_FETCH, .column = no_column }, tag);
}

nx_op nx_fetch_one(nx_query *q, void *tag)
{
    return nxi_query_run(q, &(nxi_ask){ .verb = NXI_VERB_FETCH, .column = no_column, .row_limit = 1 }, tag);
}

nx_op nx_fetch_only(nx_query *q, void *tag)
{
    return nxi_query_run(q, &(nxi_ask){ .verb = NXI_VERB_FETCH, .column = no_column, .row_limit = 2, .by_key = true }, tag);
}

nx_op nx_fetch_required(nx_query *q, void *tag)
{
    return nxi_query_run(
        q, &(nxi_ask){ .verb = NXI_VERB_FETCH, .column = no_column, .row_limit = 2, .by_key = true, .required = true }, tag);
}

nx_op nx_get_query(nx_query *q, const nx_expr *condition, void *tag)
{
    return nx_fetch_only(nx_filter(q, condition), tag);
}

nx_op nx_count(nx_query *q, void *tag)
{
    return nxi_query_run(q, &(nxi_ask){ .verb = NXI_VERB_COUNT, .column = no_column }, tag);
}

nx_op nx_exists(nx_query *q, void *tag)
{
    return nxi_query_run(q, &(nxi_ask){ .verb = NXI_VERB_EXISTS, .column = no_column }, tag);
}

nx_op nx_sum(nx_query *q, nx_column column, void *tag)
{
    return nxi_query_run(q, &(nxi_ask){ .verb = NXI_VERB_SUM, .column = column }, tag);
}

nx_op nx_avg(nx_query *q, nx_column column, void *tag)
{
    return nxi_query_run(q, &(nxi_ask){ .verb = NXI_VERB_AVG, .column = column }, tag);
}

nx_op nx_min(nx_query *q, nx_column column, void *tag)
{
    return nxi_query_run(q, &(nxi_ask){ .verb = NXI_VERB_MIN, .column = column }, tag);
}

nx_op nx_max(nx_query *q, nx_column column, void *tag)
{
    return nxi_query_run(q, &(nxi_ask){ .verb = NXI_VERB_MAX, .column = column }, tag);
}

nx_op nx_group_concat(nx_query *q, nx_column column, const char *separator, void *tag)
{
    nx_assignment ask = { column, nx_value_text(nx_str(separator == NULL ? "," : separator)) };

    return nxi_query_run(q, &(nxi_ask){ .verb = NXI_VERB_CONCAT, .column = column, .assignments = &ask, .assignment_count = 1 },
                         tag);
}

nx_op nx_delete_all(nx_query *q, void *tag)
{
    return nxi_query_run(q, &(nxi_ask){ .verb = NXI_VERB_DELETE, .column = no_column }, tag);
}

nx_op nx_update_all_n(nx_query *q, const nx_assignment *assignments, size_t count, void *tag)
{
    return nxi_query_run(
        q, &(nxi_ask){ .verb = NXI_VERB_UPDATE, .column = no_column, .assignments = assignments, .assignment_count = count },
        tag);
}

nx_op nx_stream(nx_query *q, const nx_stream_options *options, void *tag)
{
    return nxi_query_stream(q, options, tag);
}

nx_op nx_fetch_sql(nx_db *db, const nx_entity *entity, const char *sql, const nx_value *values, size_t count, void *tag)
{
    nxi_op *op = nxi_op_new(db->loop, db, tag, db->pool == NULL ? 0 : nxi_pool_options(db->pool)->deadline_ms);

    if (op != NULL)
        nxi_db_fetch_sql(db, op, entity, &(nxi_raw){ sql, values, count });
    return nxi_op_handle(op);
}
