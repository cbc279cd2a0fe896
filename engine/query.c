/*
 * query - counting and copying queries, and running their terminals.
 */
#include "engine/query.h"

#include "engine/session.h"

/* ------------------------------------------------------------------------------ life */

static void link_query(nx_query *q, nx_query **list)
{
    q->next = *list;
    q->link = list;
    if (*list != NULL)
        (*list)->link = &q->next;
    *list = q;
}

static void unlink_query(nx_query *q)
{
    if (q->link == NULL)
        return;
    *q->link = q->next;
    if (q->next != NULL)
        q->next->link = q->link;
    q->link = NULL;
    q->next = NULL;
}

static nx_query *query_alloc(nx_loop *loop)
{
    nx_query *q = loop->free_queries;

    if (q != NULL) {
        loop->free_queries = q->next;
    } else if ((q = nxi_zalloc(loop->memory, sizeof(*q))) == NULL) {
        nxi_fail(&loop->queue_error, NX_ENOMEM, "no memory for a query");
        return NULL;
    }
    q->loop = loop;
    q->next = NULL;
    q->link = NULL;
    q->base = NULL;
    q->references = 1;
    q->kept = q->used_up = q->untracked = false;
    q->deadline_ms = 0;
    q->error = NULL;
    nxi_arena_init(&q->arena, loop->memory);
    nxi_buf_init(&q->sql, loop->memory);
    return q;
}

static void own_query(nx_query *q, nx_db *db, nx_session *session)
{
    q->db = db;
    q->session = session;
    link_query(q, session != NULL ? &session->queries : db != NULL ? &db->queries : &q->loop->queries);
}

nx_query *nxi_query_new(nx_loop *loop, nx_db *db, nx_session *session, const nxi_table *table, const nx_error *error)
{
    nx_query *q = query_alloc(loop);

    if (q == NULL)
        return NULL;
    own_query(q, db, session);
    if (table != NULL)
        nxi_select_init(&q->select, &db->tables, table);
    if (error != NULL)
        nxi_query_mistake(q, error);
    return q;
}

void nxi_query_unref(nx_query *q)
{
    if (q == NULL || --q->references != 0)
        return;
    nx_query *base = q->base;
    unlink_query(q);
    nxi_buf_fini(&q->sql);
    nxi_arena_fini(&q->arena);
    q->used_up = true;
    q->next = q->loop->free_queries;
    q->loop->free_queries = q;
    nxi_query_unref(base);
}

void nxi_queries_free(nx_query **list, bool forget_db)
{
    nx_query *q = *list;

    *list = NULL;
    while (q != NULL) {
        nx_query *next = q->next;
        q->link = NULL;
        q->next = NULL;
        if (forget_db)
            q->db = NULL;
        q->session = NULL;
        q->kept = false;
        /* Operations that hold it give it back when they are released. */
        if (!q->used_up) {
            q->used_up = true;
            nxi_query_unref(q);
        }
        q = next;
    }
}

void nxi_queries_fini(nx_loop *loop)
{
    while (loop->free_queries != NULL) {
        nx_query *next = loop->free_queries->next;
        nxi_release(loop->memory, loop->free_queries);
        loop->free_queries = next;
    }
}

void nxi_query_mistake(nx_query *q, const nx_error *error)
{
    static const nx_error no_memory = { .status = NX_ENOMEM, .row = -1, .message = "no memory for a query" };

    if (q->error != NULL)
        return;
    q->error = nxi_arena_copy(&q->arena, error, sizeof(*error));
    if (q->error == NULL) {
        union {
            const nx_error *constant;
            nx_error *error;
        } shared = { .constant = &no_memory };
        q->error = shared.error; /* only read */
    }
}

static nx_query *copy_of(nx_query *kept)
{
    nx_query *q = query_alloc(kept->loop);

    if (q == NULL)
        return NULL;
    own_query(q, kept->db, kept->session);
    q->base = kept;
    kept->references++;
    q->untracked = kept->untracked;
    q->deadline_ms = kept->deadline_ms;
    q->select = kept->select;
    if (kept->error != NULL)
        nxi_query_mistake(q, kept->error);
    return q;
}

nx_query *nxi_query_step(nx_query *q, bool *ret_ready)
{
    nx_query *next = q != NULL && q->kept ? copy_of(q) : q;

    *ret_ready = next != NULL && !next->used_up && next->error == NULL;
    return next;
}

/* ------------------------------------------------------------------------------ running */

enum { KEY_PARTS_MAX = 16 };

/* A terminal on its way: what it was asked and with which query. */
typedef struct run {
    nx_query *query;
    nxi_ask ask;
    nxi_verb verb;
} run;

static void release_query(nxi_op *op)
{
    union {
        const void *constant;
        nx_query *query;
    } held = { .constant = op->held[0] };

    nxi_query_unref(held.query);
    op->held[0] = NULL;
}

static uint32_t deadline_of(const nx_query *q)
{
    if (q->deadline_ms != 0)
        return q->deadline_ms;
    if (q->session != NULL && q->session->options.deadline_ms != 0)
        return q->session->options.deadline_ms;
    const nx_bind_options *options = q->db != NULL && q->db->pool != NULL ? nxi_pool_options(q->db->pool) : NULL;
    return options == NULL ? 0 : options->deadline_ms;
}

nxi_op *nxi_query_take(nx_query *q, void *tag, nx_op *ret_op)
{
    nx_error error;

    *ret_op = (nx_op){ 0, 0 };
    if (q == NULL)
        return NULL;
    nx_loop *loop = q->loop;
    if (q->used_up) {
        nxi_fail(&error, NX_EINVAL,
                 "the query was used up by an earlier step or terminal, or its owner is gone; keep it with nx_query_keep to use "
                 "it again");
        *ret_op = nxi_op_refuse(loop, NULL, tag, NX_EINVAL, &error);
        return NULL;
    }
    nxi_op *op = nxi_op_new(loop, q->db, tag, deadline_of(q));
    *ret_op = nxi_op_handle(op);
    if (op != NULL) {
        op->held[0] = q;
        op->release = release_query;
        if (q->kept)
            q->references++;
    }
    if (!q->kept) {
        q->used_up = true;
        if (op == NULL)
            nxi_query_unref(q);
    }
    if (op == NULL)
        return NULL;
    if (q->error != NULL)
        nxi_op_fail(op, q->error->status, q->error);
    else if (q->db == NULL)
        nxi_op_failf(op, NX_ECLOSED, "the database of the query was freed");
    else if (nxi_db_check(q->db, true, &error) != NX_OK)
        nxi_op_fail(op, error.status, &error);
    else
        return op;
    return NULL;
}

static void leave(const nx_query *q)
{
    if (q->session != NULL)
        nxi_session_leave(q->session);
}

static void finish_fetch(run *r, nxi_op *op, const nxi_step *step)
{
    nx_completion *public = &op->last.public;
    size_t count = (size_t)step->affected;
    nx_query *q = r->query;

    if (r->ask.row_limit == 2 && count > 1) {
        nxi_op_failf(op, NX_EMULTIPLE, "more than one row of %s matches", q->select.table->entity->name);
        return;
    }
    if (r->ask.required && count == 0) {
        nxi_op_failf(op, NX_ENOTFOUND, "no row of %s matches", q->select.table->entity->name);
        return;
    }
    if (count > 0 && q->session != NULL && !nxi_session_learn(q->session, step->fetched, count, &op->arena)) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return;
    }
    public->count = step->affected;
    public->rows = count == 0 ? NULL : step->fetched;
    nxi_op_finish(op);
}

static void fail_scalar(nxi_op *op, const nxi_column *column, nx_status status)
{
    const nxi_table *table = column->table;
    nx_error error;

    if (status != NX_ENOMEM) {
        (void)nxi_fail(&error, status, "%s.%s: the database holds %s", table->name, column->name,
                       status == NX_EENCODING ? "a text that is no valid UTF-8" : "a value that is none of the column's type");
        nxi_error_name(error.table, table->name);
        nxi_error_name(error.column, column->name);
    }
    nxi_op_fail(op, status, status == NX_ENOMEM ? NULL : &error);
}

/* Aggregates come as the provider computes them; the smallest and the largest are of the column's own type. */
static void finish_scalar(run *r, nxi_op *op, const nxi_step *step)
{
    nx_completion *public = &op->last.public;
    const nxi_table *table = r->query->select.table;
    nx_status status = NX_OK;

    public->value = step->scalar;
    if (r->verb == NXI_VERB_COUNT)
        public->count = step->scalar.type == NX_TYPE_null ? 0 : step->scalar.i64;
    else
        public->count = step->scalar.type == NX_TYPE_null ? 0 : 1;
    if (r->verb != NXI_VERB_COUNT && r->verb != NXI_VERB_EXISTS) {
        const nxi_column *column = &table->columns[table->field_column[r->ask.column.field]];
        if (r->verb == NXI_VERB_MIN || r->verb == NXI_VERB_MAX)
            status = nxi_value_take(&op->arena, column->type, nxi_column_labels(column),
                                    r->query->db->driver->dialect->texts_of_any_type, &public->value);
        else if (public->value.type == NX_TYPE_text)
            status = nxi_text_check(NX_TYPE_text, public->value.text.data, public->value.text.size);
        if (status != NX_OK) {
            fail_scalar(op, column, status);
            return;
        }
    }
    nxi_op_finish(op);
}

static void query_done(nxi_call *call)
{
    run *r = call->context;
    nxi_op *op = call->op;
    const nxi_step *step = &call->request.steps[0];
    nx_query *q = r->query;

    if (q->session != NULL)
        nxi_session_answered(q->session, call);
    if (nxi_call_is_ok(call)) {
        if (step->kind == NXI_STEP_FETCH) {
            finish_fetch(r, op, step);
        } else if (step->kind == NXI_STEP_SCALAR) {
            finish_scalar(r, op, step);
        } else {
            if (q->session != NULL)
                nxi_session_expire(q->session, q->select.table, r->verb == NXI_VERB_DELETE);
            op->last.public.count = step->affected;
            nxi_op_finish(op);
        }
    }
    leave(q);
}

/* At most so many rows are asked for, unless the key makes them one anyway. */
static const nxi_select *limited(nxi_op *op, const nx_query *q, const nxi_ask *ask, bool keyed)
{
    if (ask->verb != NXI_VERB_FETCH || ask->row_limit == 0 || keyed)
        return &q->select;
    nxi_select *select = nxi_arena_copy(&op->arena, &q->select, sizeof(q->select));
    if (select != NULL && (!select->has_limit || select->limit > ask->row_limit)) {
        select->has_limit = true;
        select->limit = ask->row_limit;
    }
    return select;
}

static void fail_query(nxi_op *op, nx_query *q, nx_status status, const nx_error *error)
{
    nxi_op_fail(op, status, error);
    leave(q);
}

/* The row of the key if the session knows it. true: the operation is over. */
static bool answer_from_memory(nxi_op *op, nx_query *q, const nx_value *key)
{
    const nxi_table *table = q->select.table;

    void *row = q->session == NULL || q->select.for_update ? NULL : nxi_session_known(q->session, table, key);
    if (row == NULL)
        return false;
    void **rows = nxi_arena_get(&op->arena, sizeof(void *), 16);
    if (rows == NULL)
        return false;
    rows[0] = row;
    q->db->stats.identity_hits++;
    op->last.public.count = 1;
    op->last.public.rows = rows;
    nxi_op_finish(op);
    leave(q);
    return true;
}

void nxi_query_start(nxi_op *op, nx_query *q, const nxi_ask *ask)
{
    nx_error error;
    nxi_bound bound;
    nx_value key[KEY_PARTS_MAX];
    bool keyed = ask->by_key && q->select.table->key_count <= KEY_PARTS_MAX && nxi_select_key(&q->select, key);
    bool writes = ask->verb == NXI_VERB_UPDATE || ask->verb == NXI_VERB_DELETE;

    if (keyed && answer_from_memory(op, q, key))
        return;
    run *r = NXI_ARENA_NEW(&op->arena, run);
    nxi_call *call = nxi_call_new(op, q->db, 1, query_done);
    const nxi_select *select = limited(op, q, ask, keyed);
    if (r == NULL || call == NULL || select == NULL) {
        fail_query(op, q, NX_ENOMEM, NULL);
        return;
    }
    if (writes && (select->has_limit || select->has_offset || select->term_count > 0 || select->random)) {
        nxi_fail(&error, NX_EINVAL, "an order, limit or offset means nothing to a set-based %s",
                 ask->verb == NXI_VERB_UPDATE ? "update" : "delete");
        fail_query(op, q, NX_EINVAL, &error);
        return;
    }
    nx_status status = nxi_select_bind(select, ask->verb, ask->column, ask->assignments, ask->assignment_count,
                                       q->db->driver->dialect, &q->db->statements, &op->arena, &bound, &error);
    if (status != NX_OK) {
        fail_query(op, q, status, &error);
        return;
    }
    *r = (run){ q, *ask, ask->verb };
    call->context = r;
    call->request.steps[0] = (nxi_step){
        .kind = ask->verb == NXI_VERB_FETCH ? NXI_STEP_FETCH
                : writes                    ? NXI_STEP_EXECUTE
                                            : NXI_STEP_SCALAR,
        .statement = bound.statement,
        .values = bound.values,
        .value_count = bound.count,
        .row_limit = ask->row_limit,
    };
    call->request.tracked = !q->untracked || q->session != NULL;
    call->request.row_owner = q->session == NULL ? NULL : q->session->root;
    call->request.writes = writes;
    if (q->session != NULL) {
        status = nxi_session_attach(q->session, call, writes || select->for_update, &error);
        if (status != NX_OK) {
            fail_query(op, q, status, &error);
            return;
        }
        call->at_once = writes;
    }
    nxi_call_submit(call);
}

static void start_in_session(nxi_op *op, void *context)
{
    const run *r = context;
    nx_error error;

    if (r->query->db == NULL) {
        nxi_fail(&error, NX_ECLOSED, "the database of the query was freed");
        fail_query(op, r->query, NX_ECLOSED, &error);
        return;
    }
    nxi_query_start(op, r->query, &r->ask);
}

nx_op nxi_query_run(nx_query *q, const nxi_ask *ask, void *tag)
{
    nx_op handle;
    nxi_op *op = nxi_query_take(q, tag, &handle);

    if (op == NULL)
        return handle;
    if (ask->verb == NXI_VERB_UPDATE && ask->assignment_count != 0 && ask->assignments == NULL) {
        nxi_op_failf(op, NX_EINVAL, "no assignments are given");
        return handle;
    }
    if (ask->verb == NXI_VERB_UPDATE && ask->assignment_count == 0) {
        nxi_op_finish(op); /* nothing to set: nothing to send */
        return handle;
    }
    if (q->session == NULL) {
        if (q->select.for_update)
            nxi_op_failf(op, NX_ESTATE, "rows can be locked only inside a session");
        else
            nxi_query_start(op, q, ask);
        return handle;
    }
    run *r = NXI_ARENA_NEW(&op->arena, run);
    nx_assignment *assignments = nxi_arena_copy(&op->arena, ask->assignments, ask->assignment_count * sizeof(*assignments));
    if (r == NULL || assignments == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return handle;
    }
    for (size_t i = 0; i < ask->assignment_count; i++)
        if (!nxi_value_copy(&op->arena, &ask->assignments[i].value, &assignments[i].value)) {
            nxi_op_fail(op, NX_ENOMEM, NULL);
            return handle;
        }
    *r = (run){ .query = q, .ask = *ask };
    r->ask.assignments = assignments;
    bool writes = ask->verb == NXI_VERB_UPDATE || ask->verb == NXI_VERB_DELETE;
    nxi_session_enter(op, &(nxi_turn){ .session = q->session,
                                       .shared = !writes && !q->select.for_update,
                                       .sees = { .db = q->session->options.no_auto_flush ? NULL : q->db,
                                                 .select = writes ? NULL : &q->select,
                                                 .by_key = ask->by_key },
                                       .start = start_in_session,
                                       .context = r });
    return handle;
}
