/*
 * session_load - reading single rows again, loading lazy fields, and raw SQL inside a session.
 */
#include "engine/session.h"

#include "engine/select.h"

typedef struct load {
    nx_session *session; /* NULL: a row outside sessions */
    nx_db *db;
    void *row;
    const nxi_column *only; /* NULL: all columns */
} load;

static void leave(const load *l)
{
    if (l->session != NULL)
        nxi_session_leave(l->session);
}

/* Only columns that were asked for are defined in the fetched row. */
static bool take_columns(const load *l, const nxi_statement *statement, const void *fetched, nxi_arena *arena)
{
    nxi_row *header = nxi_row_of(l->row);
    bool tracked = (header->flags & NXI_ROW_TRACKED) != 0;

    for (size_t i = 0; i < statement->result_count; i++) {
        const nxi_column *column = statement->results[i];
        nx_value value;
        nxi_column_get(column, fetched, &value);
        if (!nxi_value_copy(arena, &value, &value) || !nxi_column_set(column, l->row, value, arena))
            return false;
        if (tracked && !nxi_column_set(column, nxi_row_snapshot(l->row), value, arena))
            return false;
        if (column->lazy)
            header->lazy_missing &= ~(UINT32_C(1) << column->lazy_bit);
    }
    return true;
}

/* All of it was read: it is what the database has, whatever it was taken for. */
static bool take_as_stored(const load *l)
{
    nxi_row *header = nxi_row_of(l->row);
    nx_session *s = l->session;

    header->flags &= (uint16_t) ~(NXI_ROW_MADE_UNKNOWN | NXI_ROW_DOUBTFUL);
    if (header->state == NXI_ROW_NEW) {
        /* The write of it whose outcome was unknown was committed. */
        nxi_workset_drop(&s->root->rows, header);
        if (!nxi_workset_add_known(&s->root->rows, header, l->db->tables.count))
            return false;
    }
    header->state = NXI_ROW_STORED;
    if (s != NULL) {
        nxi_frame_stamp(&s->root->frame, header, nxi_session_now(s));
        nxi_workset_sweep_deletions(&s->root->rows);
    }
    return true;
}

static bool take(const load *l, const nxi_step *step, nxi_arena *arena)
{
    nx_session *s = l->session;
    nxi_row *header = nxi_row_of(l->row);
    const nxi_part *part = s == NULL ? NULL : nxi_session_part_of(s, l->db);
    bool undoable = s != NULL && (s->fate != s->root || (part != NULL && part->transaction != 0 && part->wrote));

    if (undoable && header->state != NXI_ROW_NEW && !nxi_frame_keep(nxi_session_frame(s), &s->root->frame, header))
        return false;
    return take_columns(l, step->statement, step->fetched[0], arena) && (l->only != NULL || take_as_stored(l));
}

/* A row whose last write is in doubt is not there: it is still to be inserted, or it is gone, as a deletion wanted it. */
static void not_there(const load *l)
{
    nxi_row *header = nxi_row_of(l->row);

    if (l->only != NULL || (header->flags & NXI_ROW_DOUBTFUL) == 0)
        return;
    header->flags &= (uint16_t)~NXI_ROW_DOUBTFUL;
    if (l->session == NULL || header->state != NXI_ROW_DELETING)
        return;
    nxi_workset_drop(&l->session->root->rows, header);
    header->state = NXI_ROW_GONE;
    nxi_workset_sweep_deletions(&l->session->root->rows);
}

static void loaded(nxi_call *call)
{
    load *l = call->context;
    nxi_op *op = call->op;
    const nxi_step *step = &call->request.steps[0];
    const nxi_table *table = nxi_row_of(l->row)->table;

    if (l->session != NULL)
        nxi_session_answered(l->session, call);
    if (!nxi_call_is_ok(call)) {
        leave(l);
        return;
    }
    nxi_arena *arena = l->session != NULL ? &l->session->root->arena : &op->arena;
    void **rows = nxi_arena_get(&op->arena, sizeof(void *), 16);
    if (step->affected == 0) {
        not_there(l);
        nxi_op_failf(op, NX_ENOTFOUND, "the row of %s is not in the database any more", table->entity->name);
    } else if (rows == NULL || !take(l, step, arena)) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
    } else {
        rows[0] = l->row;
        op->last.public.count = 1;
        op->last.public.rows = rows;
        nxi_op_finish(op);
    }
    leave(l);
}

/* A row that is not stored cannot be read, unless it may be stored after all. */
static bool can_be_read(const nxi_row *row)
{
    if (row->state == NXI_ROW_NEW)
        return (row->flags & NXI_ROW_DOUBTFUL) != 0 && nxi_row_has_key(row->table, nxi_row_data(row));
    return row->state != NXI_ROW_GONE;
}

static void start_load(nxi_op *op, void *context)
{
    load *l = context;
    const nxi_table *table = nxi_row_of(l->row)->table;
    const nxi_statement *statement;
    size_t count = l->only != NULL ? 1 : table->column_count;
    const nxi_column **columns = NXI_ARENA_ARRAY(&op->arena, const nxi_column *, count);
    nx_value *key = NXI_ARENA_ARRAY(&op->arena, nx_value, table->key_count);
    nxi_call *call = nxi_call_new(op, l->db, 1, loaded);
    const nxi_row *header = nxi_row_of(l->row);
    const void *image =
        (header->flags & NXI_ROW_TRACKED) != 0 && header->state != NXI_ROW_NEW ? nxi_row_snapshot(l->row) : l->row;

    if (!can_be_read(header)) {
        nxi_op_failf(op, NX_ESTATE, "the row of %s is not stored", table->entity->name);
        leave(l);
        return;
    }
    if (columns == NULL || key == NULL || call == NULL)
        goto no_memory;
    for (size_t i = 0; i < count; i++)
        columns[i] = l->only != NULL ? l->only : &table->columns[i];
    for (size_t i = 0; i < table->key_count; i++)
        nxi_column_get(&table->columns[i], image, &key[i]);
    if (nxi_statement_by_key(table, columns, count, l->db->driver->dialect, &l->db->statements, &statement) != NX_OK)
        goto no_memory;
    call->context = l;
    call->request.steps[0] = (nxi_step){
        .kind = NXI_STEP_FETCH, .statement = statement, .values = key, .value_count = table->key_count, .row_limit = 1
    };
    if (l->session != NULL) {
        nx_error error;
        nx_status status = nxi_session_attach(l->session, call, false, &error);
        if (status != NX_OK) {
            nxi_op_fail(op, status, &error);
            leave(l);
            return;
        }
    }
    nxi_call_submit(call);
    return;

no_memory:
    nxi_op_fail(op, NX_ENOMEM, NULL);
    leave(l);
}

nx_op nxi_session_load(nx_session *s, void *row, const nxi_column *only, void *tag)
{
    const nxi_row *header = nxi_row_of(row);
    nx_db *db = header->table->db;
    nx_error error;
    uint32_t deadline = s != NULL && s->options.deadline_ms != 0 ? s->options.deadline_ms
                        : db->pool != NULL                       ? nxi_pool_options(db->pool)->deadline_ms
                                                                 : 0;

    nxi_op *op = nxi_op_new(db->loop, db, tag, deadline);
    nx_op handle = nxi_op_handle(op);
    if (op == NULL)
        return handle;
    load *l = NXI_ARENA_NEW(&op->arena, load);
    if (l == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
    } else if (nxi_db_check(db, true, &error) != NX_OK) {
        nxi_op_fail(op, error.status, &error);
    } else {
        *l = (load){ s, db, row, only };
        if (s == NULL)
            start_load(op, l);
        else
            nxi_session_enter(op, &(nxi_turn){ .session = s, .shared = true, .start = start_load, .context = l });
    }
    return handle;
}

/* ------------------------------------------------------------------------------ raw SQL */

typedef struct raw_run {
    nx_session *session;
    nxi_call *call;
} raw_run;

static void raw_done(nxi_call *call)
{
    raw_run *r = call->context;
    nxi_op *op = call->op;
    const nxi_step *step = &call->request.steps[0];

    nxi_session_answered(r->session, call);
    /* What the text has done is not known, also when it failed behind something that it did. */
    nxi_session_expire_db(r->session, call->db);
    if (nxi_call_is_ok(call)) {
        op->last.public.count = step->affected;
        op->last.public.raw = step->kind == NXI_STEP_RAW ? &step->raw : NULL;
        nxi_op_finish(op);
    }
    nxi_session_leave(r->session);
}

static void start_raw(nxi_op *op, void *context)
{
    raw_run *r = context;
    nx_error error;
    nx_status status;

    /* What the text does is not known: it runs where writes run, unless the session only reads. */
    status = nxi_session_attach(r->session, r->call, !r->session->root->options.read_only, &error);
    if (status != NX_OK) {
        nxi_op_fail(op, status, &error);
        nxi_session_leave(r->session);
        return;
    }
    r->call->at_once = r->call->request.writes;
    nxi_call_submit(r->call);
}

nx_op nxi_session_raw(nx_session *s, nx_db *db, const nxi_raw *raw, bool rows, void *tag)
{
    nx_error error;
    uint32_t deadline =
        s->options.deadline_ms != 0 || db->pool == NULL ? s->options.deadline_ms : nxi_pool_options(db->pool)->deadline_ms;
    nxi_op *op = nxi_op_new(s->loop, db, tag, deadline);
    nx_op handle = nxi_op_handle(op);

    if (op == NULL)
        return handle;
    raw_run *r = NXI_ARENA_NEW(&op->arena, raw_run);
    nxi_call *call = nxi_call_new(op, db, 1, raw_done);
    if (r == NULL || call == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
    } else if (nxi_db_check(db, false, &error) != NX_OK ||
               nxi_raw_step(db, op, raw, rows, &call->request.steps[0], &error) != NX_OK) {
        nxi_op_fail(op, error.status, &error);
    } else {
        *r = (raw_run){ s, call };
        call->context = r;
        nxi_session_enter(op, &(nxi_turn){ .session = s,
                                           .sees.db = s->root->options.no_auto_flush ? NULL : db,
                                           .start = start_raw,
                                           .context = r });
    }
    return handle;
}
