/*
 * copy - many new rows by COPY .. FROM STDIN (FORMAT binary).
 *
 * What COPY needs to know of the table (its columns' types, whether something is in the way) is asked for once on each
 * connection, by a query in front of the first large write, which waits for the answer.
 *
 * Automatic keys are not drawn before but known afterwards: COPY takes the numbers from the sequence row by row, in order. One
 * number is drawn in front of it and the last one is looked at behind it, in the same transaction: when they are apart by exactly
 * the number of rows, nobody else has had one in between and every row's key follows. Else, or when a trigger has come that might
 * change keys, the statement behind the COPY fails on the server, everything is undone, and the rows are written again with
 * RETURNING. A job that could not be undone alone writes them so at once.
 *
 * Facts: PostgreSQL 15 documentation, SQL command COPY, "Binary Format"; 55.2.5 "COPY Operations".
 */
#include "drivers/postgres/postgres.h"

#include "drivers/postgres/dialect.h"

enum {
    KEY_TARGET = 16,    /* of texts that stay prepared: see nxi_pg_fixed for the first ones */
    KEY_CHECKS = 32,    /* one for each table that is copied into */
    PIECE_BYTES = 65536 /* of tuples in one CopyData */
};

/* Types in $1::regclass::oid order of pg_attribute; domains by their base type. Rules and row security are not minded by COPY, or
 * refuse it. */
static const char target_sql[] =
    "SELECT c.oid, c.relkind IN ('r', 'p') AND NOT c.relrowsecurity AND NOT c.relhasrules, "
    "NOT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 7 = 7), "
    "(SELECT q.seqincrement = 1 FROM pg_catalog.pg_sequence q "
    "WHERE q.seqrelid = pg_catalog.pg_get_serial_sequence($1, $2)::pg_catalog.regclass), "
    "pg_catalog.pg_get_serial_sequence($1, $2), a.attname, "
    "CASE WHEN y.typbasetype <> 0 THEN y.typbasetype ELSE a.atttypid END "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
    "JOIN pg_catalog.pg_type y ON y.oid = a.atttypid "
    "WHERE c.oid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";

/* ------------------------------------------------------------------------------ what is known of a table */

static nxi_pg_target *find_target(const nxi_pg *pg, const nxi_table *table)
{
    nxi_pg_target *target = pg->targets;

    while (target != NULL && target->table != table)
        target = target->next;
    return target;
}

void nxi_pg_targets_fini(nxi_pg *pg)
{
    for (nxi_pg_target *target = pg->targets, *next; target != NULL; target = next) {
        next = target->next;
        nxi_buf_fini(&target->sequence);
        nxi_release(pg->memory, target->types);
        nxi_release(pg->memory, target);
    }
    pg->targets = NULL;
}

static nxi_pg_target *make_target(nxi_pg *pg, const nxi_table *table)
{
    nxi_pg_target *target = nxi_zalloc(pg->memory, sizeof(*target));

    if (target == NULL)
        return NULL;
    nxi_buf_init(&target->sequence, pg->memory);
    target->table = table;
    target->types = nxi_zalloc(pg->memory, table->column_count * sizeof(*target->types));
    if (target->types == NULL) {
        nxi_release(pg->memory, target);
        return NULL;
    }
    target->number = pg->targets == NULL ? 0 : pg->targets->number + 1;
    target->next = pg->targets;
    pg->targets = target;
    return target;
}

/* Ask, and have the server answer before the Sync (55.2.3 "Flush"). False: out of memory. */
static bool ask(nxi_pg *pg, nxi_pg_job *job, nxi_pg_target *target, const nxi_table *table, nxi_buf *out)
{
    static const nxi_pg_oid types[] = { NXI_PG_TEXT, NXI_PG_TEXT };
    nxi_pg_prepared *p = nxi_pg_prepare_text(pg, job, KEY_TARGET, target_sql, types, NXI_COUNT(types), out);
    nx_value values[2];
    nxi_pg_unit *unit;
    nx_error error;
    nxi_buf name;
    bool sent;

    if (target == NULL)
        target = make_target(pg, table);
    if (target == NULL || p == NULL)
        return false;
    pg->asking = job;
    nxi_buf_init(&name, pg->memory);
    nxi_quote(&nxi_pg_dialect, table->name, &name);
    values[0] = nx_value_text(nx_strn(name.data, name.size));
    values[1] = table->auto_key == NULL ? nx_value_str(table->columns[0].name) : nx_value_str(table->auto_key->name);
    sent = !name.failed && nxi_pg_bind_values(out, "", p, values, 2, false, &error) == NX_OK;
    nxi_buf_fini(&name);
    if (!sent)
        return false;
    nxi_pg_put_execute(out, "", 0);
    unit = nxi_pg_expect(pg, NXI_PG_UNIT_EXECUTE, job, p);
    if (unit == NULL)
        return false;
    unit->use = NXI_PG_FOR_TABLE;
    unit->step = (uint32_t)job->step;
    unit->target = target;
    nxi_pg_put_flush(out);
    return !out->failed;
}

static void learn_column(nxi_pg_target *target, const uint8_t *name, uint32_t size, nxi_pg_oid type)
{
    const nxi_table *table = target->table;

    for (size_t i = 0; i < table->column_count; i++) {
        if (strlen(table->columns[i].name) == size && memcmp(table->columns[i].name, name, size) == 0)
            target->types[i] = type;
    }
}

nx_status nxi_pg_target_row(nxi_pg_target *target, const uint8_t *body, size_t size)
{
    const uint8_t *at = body + 2, *end = body + size, *data[7];
    uint32_t sizes[7];

    if (size < 2 || nxi_pg_load16(body) != NXI_COUNT(data))
        return NX_EPROTOCOL;
    for (size_t i = 0; i < NXI_COUNT(data); i++) {
        if (!nxi_pg_next_value(&at, end, &data[i], &sizes[i]))
            return NX_EPROTOCOL;
    }
    if (sizes[0] != 4 || sizes[1] != 1 || sizes[2] != 1 || sizes[3] > 1 || data[5] == NULL || sizes[6] != 4)
        return NX_EPROTOCOL;
    target->oid = nxi_pg_load32(data[0]);
    target->is_possible = data[1][0] != 0;
    target->keys_follow = data[2][0] != 0 && data[3] != NULL && data[3][0] != 0 && data[4] != NULL;
    if (data[4] != NULL && target->sequence.size == 0)
        nxi_buf_put(&target->sequence, data[4], sizes[4]);
    learn_column(target, data[5], sizes[5], nxi_pg_load32(data[6]));
    return NX_OK;
}

void nxi_pg_target_done(nxi_pg_target *target)
{
    target->is_known = true;
}

/* ------------------------------------------------------------------------------ may these rows be copied */

static bool is_one_of(nxi_pg_oid type, nxi_pg_oid a, nxi_pg_oid b, nxi_pg_oid c)
{
    return type == a || type == b || type == c;
}

/* A value of that column has a binary form of that type. */
static bool has_form(const nxi_column *column, nxi_pg_oid type)
{
    switch (column->type) {
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
    case NX_TYPE_u32: return is_one_of(type, NXI_PG_INT2, NXI_PG_INT4, NXI_PG_INT8);
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_enumeration:
    case NX_TYPE_ulid: return is_one_of(type, NXI_PG_TEXT, NXI_PG_VARCHAR, NXI_PG_BPCHAR);
    case NX_TYPE_json: return type == NXI_PG_JSON || type == NXI_PG_JSONB;
    case NX_TYPE_boolean:
    case NX_TYPE_f64:
    case NX_TYPE_bytes:
    case NX_TYPE_decimal:
    case NX_TYPE_date:
    case NX_TYPE_time:
    case NX_TYPE_timestamp:
    case NX_TYPE_timestamptz:
    case NX_TYPE_interval:
    case NX_TYPE_uuid:
    case NX_TYPE_vector: return type != NXI_PG_INFER && type == nxi_pg_parameter_type(column->type);
    case NX_TYPE_null:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count:
    default: return false;
    }
}

static bool has_forms(const nxi_pg_target *target, const nxi_statement *statement)
{
    for (size_t i = 0; i < statement->param_count; i++) {
        const nxi_column *column = statement->params[i].column;
        if (!has_form(column, target->types[column->index]))
            return false;
    }
    return true;
}

nxi_pg_target *nxi_pg_copy_target(nxi_pg *pg, nxi_pg_job *job, const nxi_statement *statement, nxi_buf *out, bool *ret_waits)
{
    nxi_pg_target *target = find_target(pg, statement->table);

    *ret_waits = false;
    if (job->avoids_copy || pg->unnamed)
        return NULL;
    if (target == NULL || !target->is_known) {
        /* Asked by a job that failed: its answer did not come. */
        if ((target == NULL || pg->asking != job) && !ask(pg, job, target, statement->table, out))
            out->failed = true;
        *ret_waits = true;
        return NULL;
    }
    if (!target->is_possible || (statement->key_column != NULL && !(target->keys_follow && nxi_pg_can_go_back(job))))
        return NULL;
    return has_forms(target, statement) ? target : NULL;
}

/* ------------------------------------------------------------------------------ the statements around it */

/* set_config with is_local: until the end of the transaction. */
static const char *first_text(nxi_pg *pg, const nxi_pg_target *target, nxi_buf *sql)
{
    (void)pg;
    nxi_buf_puts(sql, "SELECT pg_catalog.set_config('nextorm.first', pg_catalog.nextval(");
    nxi_pg_literal(nxi_buf_str((nxi_buf *)(uintptr_t)&target->sequence), sql);
    nxi_buf_puts(sql, ")::text, true)");
    return nxi_buf_str(sql);
}

/* NXI_PG_KEYS_UNKNOWN is no number: the cast fails, with 22P02 and that text in its message. */
static const char *last_text(nxi_pg *pg, const nxi_pg_target *target, nxi_buf *sql)
{
    (void)pg;
    nxi_buf_puts(sql, "SELECT CASE WHEN k.last - pg_catalog.current_setting('nextorm.first')::int8 = $1 AND NOT EXISTS "
                      "(SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgrelid = ");
    nxi_buf_printf(sql, "%u", (unsigned)target->oid);
    nxi_buf_puts(sql, " AND NOT t.tgisinternal AND t.tgtype & 7 = 7) THEN k.last ELSE ('" NXI_PG_KEYS_UNKNOWN
                      "' || k.last)::int8 END FROM (SELECT pg_catalog.currval(");
    nxi_pg_literal(nxi_buf_str((nxi_buf *)(uintptr_t)&target->sequence), sql);
    nxi_buf_puts(sql, ") AS last) k");
    return nxi_buf_str(sql);
}

static bool send_around(nxi_pg *pg, nxi_pg_job *job, const nxi_pg_target *target, bool behind, nxi_buf *out)
{
    static const nxi_pg_oid types[] = { NXI_PG_INT8 };
    size_t rows = job->copy_end - job->copy_first;
    uint64_t key = KEY_CHECKS + 2 * (uint64_t)target->number + (behind ? 1 : 0);
    nx_value value = nx_value_i64((int64_t)rows);
    nxi_pg_prepared *p = NULL;
    nxi_pg_unit *unit;
    nx_error error;
    nxi_buf sql;

    nxi_buf_init(&sql, pg->memory);
    const char *text = behind ? last_text(pg, target, &sql) : first_text(pg, target, &sql);
    if (text != NULL)
        p = nxi_pg_prepare_text(pg, job, key, text, types, behind ? 1 : 0, out);
    nxi_buf_fini(&sql);
    if (p == NULL || nxi_pg_bind_values(out, "", p, &value, behind ? 1 : 0, false, &error) != NX_OK)
        return false;
    nxi_pg_put_execute(out, "", 0);
    unit = nxi_pg_expect(pg, NXI_PG_UNIT_EXECUTE, job, p);
    if (unit == NULL)
        return false;
    unit->use = behind ? NXI_PG_FOR_KEYS : NXI_PG_FOR_NOTHING;
    unit->brings_keys = behind;
    job->keys_pending += behind;
    unit->step = (uint32_t)job->step;
    unit->first = job->copy_first;
    unit->count = rows;
    return !out->failed;
}

/* ------------------------------------------------------------------------------ COPY itself */

static bool begin_copy(nxi_pg *pg, nxi_pg_job *job, const nxi_statement *statement, nxi_pg_target *target, nxi_buf *out)
{
    static const uint8_t head[19] = "PGCOPY\n\377\r\n\0";
    nxi_pg_prepared *p = nxi_pg_prepare(pg, job, statement, NXI_PG_COPY, NULL, 0, out);
    nxi_pg_unit *unit;
    nx_error error;
    nxi_pg_oid *types;
    size_t start;

    if (p == NULL || nxi_pg_bind_values(out, "", p, NULL, 0, false, &error) != NX_OK)
        return false;
    types = NXI_ARENA_ARRAY(job->request->arena, nxi_pg_oid, nxi_max_size(statement->param_count, 1));
    job->outs = NXI_ARENA_ARRAY(job->request->arena, nxi_pg_out, nxi_max_size(statement->param_count, 1));
    unit = nxi_pg_expect(pg, NXI_PG_UNIT_EXECUTE, job, p);
    if (types == NULL || job->outs == NULL || unit == NULL)
        return false;
    for (size_t i = 0; i < statement->param_count; i++)
        types[i] = target->types[statement->params[i].column->index];
    nxi_pg_outs_make(statement->params, types, statement->param_count, job->outs);
    unit->use = NXI_PG_FOR_ROWS;
    unit->is_copy = true;
    unit->step = (uint32_t)job->step;
    unit->first = job->copy_first;
    unit->count = job->copy_end - job->copy_first;
    nxi_pg_put_execute(out, "", 0);
    start = nxi_pg_begin(out, 'd');
    nxi_buf_put(out, head, sizeof(head));
    return nxi_pg_end(out, start);
}

/* Tuples up to the end, or until a CopyData is full. NX_OK, or the failure of row job->row. */
static nx_status put_piece(nxi_pg_job *job, const nxi_step *step, nxi_buf *out, nx_error *error)
{
    size_t start = nxi_pg_begin(out, 'd'), count = step->statement->param_count;
    nx_status status = NX_OK;

    while (job->row < job->copy_end && out->size - start < PIECE_BYTES && !out->failed) {
        size_t before = out->size;

        nxi_pg_put16(out, (uint16_t)count);
        status = nxi_pg_put_row(out, job->outs, count, step->rows[job->row], error);
        if (status != NX_OK) {
            out->size = before;
            break;
        }
        job->row++;
    }
    if (!nxi_pg_end(out, start) && !out->failed)
        status = nxi_fail(error, NX_ELIMIT, "a row is larger than the %d bytes that PostgreSQL takes", (int)NXI_PG_MESSAGE_MAX);
    return status;
}

static void end_copy(nxi_buf *out)
{
    size_t start = nxi_pg_begin(out, 'd');

    nxi_pg_put16(out, UINT16_MAX);
    if (nxi_pg_end(out, start))
        nxi_buf_put(out, "c\0\0\0\4", 5);
}

static void fail_copy(nxi_pg_job *job, const nx_error *error, nxi_buf *out)
{
    size_t start = nxi_pg_begin(out, 'f');

    nxi_pg_put_text(out, "a row could not be sent");
    if (!nxi_pg_end(out, start))
        out->failed = true;
    job->copying = false;
    job->is_spoilt = true;
    if (job->has_error)
        return;
    job->has_error = true;
    job->error = *error;
    job->failed_step = job->step;
    job->row_is_known = true;
    job->failed_first = job->row;
    job->failed_count = 1;
}

nxi_pg_sent nxi_pg_send_copy(nxi_pg *pg, nxi_pg_job *job, nxi_pg_target *target, size_t end, nxi_buf *out, size_t enough)
{
    const nxi_step *step = nxi_pg_step_at_hand(job);
    bool numbered = step->statement->key_column != NULL;
    nx_error error;

    if (!job->copying) {
        job->copy_first = job->row;
        job->copy_end = end;
        job->target = target;
        if ((numbered && !send_around(pg, job, target, false, out)) || !begin_copy(pg, job, step->statement, target, out)) {
            out->failed = true;
            return NXI_PG_SENT_ALL;
        }
        job->copying = true;
    }
    while (job->row < job->copy_end && !out->failed) {
        if (out->size >= enough)
            return NXI_PG_SENT_SOME;
        if (job->is_failed || job->dead)
            return NXI_PG_SENT_ALL;
        if (put_piece(job, step, out, &error) != NX_OK) {
            fail_copy(job, &error, out);
            return NXI_PG_SENT_ALL;
        }
    }
    job->copying = false;
    end_copy(out);
    if (numbered && !send_around(pg, job, job->target, true, out))
        out->failed = true;
    return NXI_PG_SENT_ALL;
}

/* The last key of the rows of a COPY. */
nx_status nxi_pg_copy_keys(const nxi_pg_unit *unit, const uint8_t *body, size_t size, nx_error *error)
{
    nxi_step *step = nxi_pg_step(unit->job, unit->step);
    int64_t key;

    if (size != 14 || nxi_pg_load16(body) != 1 || nxi_pg_load32(body + 2) != 8)
        return NX_EPROTOCOL;
    if (step == NULL)
        return NX_OK;
    key = (int64_t)nxi_pg_load64(body + 6) - (int64_t)unit->count;
    for (size_t i = 0; i < unit->count; i++) {
        nx_status status = nxi_set_made_key(step->statement->key_column, step->rows[unit->first + i], ++key, error);
        if (status != NX_OK)
            return status;
    }
    return NX_OK;
}
