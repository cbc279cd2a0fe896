/*
 * write - the rows of a WRITE step: by which means they go out, and what comes back for them.
 *
 * A few rows: one prepared statement for each, all in one wave. More: one statement for any number, its parameters arrays of a
 * column's values. Many new ones: COPY (copy.c). Where the means change was measured, see docs/performance.md.
 */
#include "drivers/postgres/postgres.h"

#include "engine/types.h"

enum {
    ONE_MAX = 2,              /* rows that go one by one */
    INSERT_ROWS_MAX = 16384,  /* of one INSERT: the server keeps more of them on disk while it works */
    CHANGE_ROWS_MAX = 131072, /* of one UPDATE or DELETE: each looks through the table when it is for many rows */
    MANY_BYTES_MAX = 8388608  /* of texts and bytes in a statement, about */
};

static bool is_insert(const nxi_statement *statement)
{
    return statement->write->verb == NXI_WRITE_VERB_INSERT;
}

/* Something else of the same transaction is committed with these rows, before the client has seen what they affected. */
static bool must_check_on_server(const nxi_pg_job *job, const nxi_step *step)
{
    const nxi_request *request = job->request;

    if (!step->must_affect || is_insert(step->statement))
        return false;
    if (job->mode == NXI_PG_CAREFUL)
        return true;
    if (job->is_implicit)
        return request->step_count > 1 || step->row_count > 1;
    return request->end == NXI_END_COMMIT;
}

static nxi_pg_unit *expect_rows(nxi_pg *pg, nxi_pg_job *job, nxi_pg_prepared *p, size_t first, size_t count, bool checked)
{
    nxi_pg_unit *unit = nxi_pg_expect(pg, NXI_PG_UNIT_EXECUTE, job, p);

    if (unit == NULL)
        return NULL;
    unit->use = NXI_PG_FOR_ROWS;
    unit->step = (uint32_t)job->step;
    unit->first = first;
    unit->count = count;
    unit->checked = checked;
    unit->brings_keys = nxi_pg_step_at_hand(job)->statement->key_column != NULL;
    job->keys_pending += unit->brings_keys;
    return unit;
}

static void spoil_row(nxi_pg *pg, nxi_pg_job *job, size_t row, nx_error *error, nxi_buf *out)
{
    if (row != SIZE_MAX && !job->has_error) {
        job->row_is_known = true;
        job->failed_first = row;
        job->failed_count = 1;
    }
    nxi_pg_job_spoil(pg, job, job->step, error, out);
}

/* ------------------------------------------------------------------------------ one by one */

static const nxi_pg_oid *row_types(nxi_pg *pg, nxi_pg_job *job, const nxi_statement *statement, bool arrays, size_t *ret_count)
{
    static const nxi_pg_oid none;
    size_t count = statement->param_count + (arrays ? 1 : 0);
    nxi_pg_oid *types;

    (void)pg;
    *ret_count = statement->param_count;
    if (count == 0)
        return &none;
    types = NXI_ARENA_ARRAY(job->request->arena, nxi_pg_oid, count);
    for (size_t i = 0; types != NULL && i < statement->param_count; i++)
        types[i] =
            arrays ? nxi_pg_array_of(nxi_pg_variant_element(&statement->params[i])) : nxi_pg_variant_type(&statement->params[i]);
    if (types != NULL && arrays)
        types[statement->param_count] = NXI_PG_INT8;
    return types;
}

static nxi_pg_sent send_singly(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out, size_t enough, size_t end)
{
    const nxi_step *step = nxi_pg_step_at_hand(job);
    bool checked = must_check_on_server(job, step);
    nxi_pg_variant variant = checked ? NXI_PG_ONE_CHECKED : NXI_PG_ONE;
    nx_error error;
    size_t count;
    const nxi_pg_oid *types = row_types(pg, job, step->statement, false, &count);

    while (job->row < end && types != NULL) {
        nxi_pg_prepared *p;
        nx_status status;

        if (out->size >= enough)
            return NXI_PG_SENT_SOME;
        if (job->is_failed || job->dead)
            return NXI_PG_SENT_ALL;
        p = nxi_pg_prepare(pg, job, step->statement, variant, types, count, out);
        if (p == NULL)
            break;
        status = nxi_pg_bind_row(out, p, step->rows[job->row], &error);
        if (status != NX_OK) {
            nxi_pg_prepared_done(pg, p);
            spoil_row(pg, job, job->row, &error, out);
            return NXI_PG_SENT_ALL;
        }
        nxi_pg_put_execute(out, "", 0);
        if (expect_rows(pg, job, p, job->row, 1, checked) == NULL)
            break;
        job->row++;
    }
    if (job->row < end)
        out->failed = true;
    return NXI_PG_SENT_ALL;
}

/* ------------------------------------------------------------------------------ many at once */

static size_t long_bytes(const nxi_statement *statement, const void *row)
{
    size_t bytes = 0;

    for (size_t i = 0; i < statement->param_count; i++) {
        const nxi_column *column = statement->params[i].column;
        nx_text text;

        if (column->form == NXI_FORM_REFERENCE || !nxi_type_is_pointer(column->type))
            continue;
        memcpy(&text, (const char *)row + column->offset, sizeof(text)); /* all of them are {pointer, size} */
        if (text.data != NULL)
            bytes += text.size;
    }
    return bytes;
}

/* How many rows from job->row on make one statement. */
static size_t chunk_end(const nxi_pg_job *job, const nxi_step *step, size_t end)
{
    size_t rows_max = is_insert(step->statement) ? INSERT_ROWS_MAX : CHANGE_ROWS_MAX;
    size_t bytes = 0, at = job->row;

    for (; at < end && at - job->row < rows_max; at++) {
        bytes += long_bytes(step->statement, step->rows[at]);
        if (bytes > MANY_BYTES_MAX && at > job->row)
            break;
    }
    return at;
}

static nxi_pg_sent send_chunks(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out, size_t enough, size_t end)
{
    const nxi_step *step = nxi_pg_step_at_hand(job);
    bool insert = is_insert(step->statement), checked = step->must_affect && !insert;
    nxi_pg_variant variant = insert || checked ? NXI_PG_MANY : NXI_PG_MANY_UNCHECKED;
    nx_error error;
    size_t count;
    const nxi_pg_oid *types = row_types(pg, job, step->statement, true, &count);

    count += checked ? 1 : 0;
    while (job->row < end && types != NULL) {
        size_t stop, bad;
        nxi_pg_prepared *p;

        if (out->size >= enough)
            return NXI_PG_SENT_SOME;
        if (job->is_failed || job->dead)
            return NXI_PG_SENT_ALL;
        stop = chunk_end(job, step, end);
        p = nxi_pg_prepare(pg, job, step->statement, variant, types, count, out);
        if (p == NULL)
            break;
        if (nxi_pg_bind_rows(out, p, step->rows + job->row, stop - job->row, checked, &bad, &error) != NX_OK) {
            nxi_pg_prepared_done(pg, p);
            spoil_row(pg, job, bad == SIZE_MAX ? SIZE_MAX : job->row + bad, &error, out);
            return NXI_PG_SENT_ALL;
        }
        nxi_pg_put_execute(out, "", 0);
        if (expect_rows(pg, job, p, job->row, stop - job->row, checked) == NULL)
            break;
        job->row = stop;
    }
    if (job->row < end)
        out->failed = true;
    return NXI_PG_SENT_ALL;
}

/* A row of an upsert whose number is wanted back must go alone: many are not returned in order. */
static bool goes_singly(const nxi_step *step, size_t rows)
{
    return rows <= ONE_MAX || step->statement->param_count == 0 ||
           (step->keys_wanted && step->statement->key_column != NULL && step->statement->write->rule != NX_CONFLICT_ERROR);
}

static bool goes_by_copy(const nxi_step *step, size_t rows)
{
    return rows >= NXI_PG_COPY_MIN && is_insert(step->statement) && step->statement->write->rule == NX_CONFLICT_ERROR;
}

static bool lacks_key(const nxi_column *column, const void *row)
{
    const nx_reference *reference = (const void *)((const char *)row + column->offset);

    if (column->form != NXI_FORM_REFERENCE)
        return column->is_key && !nxi_row_has_key(column->table, row);
    return reference->row != NULL && !nxi_row_has_key(nxi_row_of(reference->row)->table, reference->row);
}

/* Some row needs the key of another one whose INSERT is on its way. */
static bool needs_keys(const nxi_step *step)
{
    const nxi_statement *statement = step->statement;

    for (size_t i = 0; i < statement->param_count; i++) {
        const nxi_column *column = statement->params[i].column;

        if (column->form != NXI_FORM_REFERENCE && !column->is_key)
            continue;
        for (size_t r = 0; r < step->row_count; r++) {
            if (lacks_key(column, step->rows[r]))
                return true;
        }
    }
    return false;
}

nxi_pg_sent nxi_pg_send_write(nxi_pg *pg, nxi_pg_job *job, nxi_buf *out, size_t enough)
{
    const nxi_step *step = nxi_pg_step_at_hand(job);
    size_t end = job->row_end == 0 ? step->row_count : job->row_end;

    if (job->keys_pending > 0 && job->row == 0 && !job->copying && (job->has_flushed || needs_keys(step))) {
        if (!job->has_flushed)
            nxi_pg_put_flush(out);
        job->has_flushed = true;
        return NXI_PG_SENT_WAITS;
    }
    job->has_flushed = false;

    if (job->copying)
        return nxi_pg_send_copy(pg, job, NULL, end, out, enough);
    if (goes_singly(step, end))
        return send_singly(pg, job, out, enough, end);
    if (goes_by_copy(step, end - job->row)) {
        bool waits;
        nxi_pg_target *target = nxi_pg_copy_target(pg, job, step->statement, out, &waits);

        if (waits && !out->failed)
            return NXI_PG_SENT_WAITS;
        if (target != NULL)
            return nxi_pg_send_copy(pg, job, target, end, out, enough);
    }
    return send_chunks(pg, job, out, enough, end);
}

/* ------------------------------------------------------------------------------ what comes back */

static bool load_key(const uint8_t *data, uint32_t size, int64_t *ret_key)
{
    if (size == 8)
        *ret_key = (int64_t)nxi_pg_load64(data);
    else if (size == 4)
        *ret_key = (int32_t)nxi_pg_load32(data);
    else if (size == 2)
        *ret_key = (int16_t)nxi_pg_load16(data);
    else
        return false;
    return true;
}

nx_status nxi_pg_write_row(nxi_pg *pg, const nxi_pg_unit *unit, const uint8_t *body, size_t size, nx_error *error)
{
    nxi_step *step = nxi_pg_step(unit->job, unit->step);
    const uint8_t *at = body + 2, *end = body + size, *data;
    uint32_t bytes;
    int64_t key;

    if (step == NULL || unit->checked)
        return NX_OK;
    if (size < 2 || pg->key_at >= unit->count)
        return NX_EPROTOCOL;
    /* Of many that meet rows which are there already, it is not known which came back. */
    bool in_order = unit->count == 1 || step->statement->write->rule == NX_CONFLICT_ERROR;
    if (step->statement->key_column != NULL) {
        if (!nxi_pg_next_value(&at, end, &data, &bytes) || !load_key(data, bytes, &key))
            return NX_EPROTOCOL;
        nx_status status =
            in_order ? nxi_set_made_key(step->statement->key_column, step->rows[unit->first + pg->key_at], key, error) : NX_OK;
        if (status != NX_OK)
            return status;
    }
    if (step->statement->upserts) {
        if (!nxi_pg_next_value(&at, end, &data, &bytes) || bytes != 1)
            return NX_EPROTOCOL;
        step->updated += data[0] == 0;
    }
    pg->key_at++;
    return NX_OK;
}

/* Of rows of the same key in one statement the last one has won: the others count as what they would have been one by one. */
void nxi_pg_write_done(const nxi_pg_unit *unit, int64_t affected)
{
    nxi_step *step = nxi_pg_step(unit->job, unit->step);
    const nxi_write_form *form;

    if (step == NULL)
        return;
    form = step->statement->write;
    if (unit->checked)
        affected = (int64_t)unit->count;
    if (form->verb == NXI_WRITE_VERB_INSERT && (size_t)affected < unit->count) {
        size_t left = unit->count - (size_t)affected;
        if (step->statement->upserts && form->conflict_update_count > 0)
            step->updated += left;
        else
            step->ignored += left;
    }
    step->affected += affected;
}

bool nxi_pg_write_missed(const nxi_pg_unit *unit, int64_t affected, nx_error *ret_error)
{
    const nxi_step *step = nxi_pg_step(unit->job, unit->step);
    const nxi_table *table;

    if (step == NULL || !step->must_affect || unit->checked || (size_t)affected >= unit->count)
        return false;
    table = step->statement->table;
    (void)nxi_fail(ret_error, NX_EOPTIMISTIC, "%s: the row was changed or deleted by somebody else",
                   table == NULL ? "?" : table->name);
    nxi_error_name(ret_error->table, table == NULL ? "" : table->name);
    ret_error->retryable = true;
    return true;
}
