/*
 * db - life of a database: register, bind, map, create, drop, close; and the calls that carry requests.
 */
#include "engine/db.h"

#include "engine/bulk.h"
#include "engine/catalog.h"
#include "engine/query.h"
#include "engine/session.h"

/* ------------------------------------------------------------------------------ calls */

static void call_stop(nxi_op *op, nx_status why)
{
    nxi_call *call = op->context;

    if (call != NULL)
        nxi_pool_stop(call->db->pool, &call->request, why);
}

/* What each statement cost: the time until a worker took the request, its own, and until now. */
static void record(nxi_call *call, int64_t now)
{
    nxi_request *request = &call->request;
    nx_db *db = call->db;
    int64_t queue_ns = request->taken_ns > request->queued_ns ? request->taken_ns - request->queued_ns : 0;
    int64_t decode_ns = now > request->done_ns && request->done_ns != 0 ? now - request->done_ns : 0;

    for (size_t i = 0; i < request->step_count; i++) {
        const nxi_step *step = &request->steps[i];
        if (step->statement == NULL)
            continue;
        bool failed = request->status != NX_OK && i == request->failed_step;
        nxi_stats_record(&db->stats, step->statement->stats, (uint64_t)(step->affected > 0 ? step->affected : 0), failed,
                         (uint64_t)queue_ns / 1000, (uint64_t)step->elapsed_ns / 1000, (uint64_t)decode_ns / 1000);
        nxi_trace_done(&db->trace, step->statement, (uint64_t)step->elapsed_ns / 1000);
        if (step->kind == NXI_STEP_WRITE)
            db->stats.rows_written += (uint64_t)(step->affected > 0 ? step->affected : 0);
        else if (step->fetched != NULL || step->raw.row_count != 0)
            db->stats.rows_read += (uint64_t)(step->affected > 0 ? step->affected : 0);
        if (failed)
            break;
    }
    db->stats.ops++;
    if (request->shared_with > 1) {
        db->stats.grouped_sessions++;
        db->stats.group_commits += request->first_of_group;
    }
    if (request->status != NX_OK)
        db->stats.errors++;
    db->stats.outcomes_found += request->outcome_found;
}

static void call_done(nxi_request *request)
{
    nxi_call *call = NXI_CONTAINER(request, nxi_call, request);
    nxi_op *op = call->op;

    op->stop = NULL;
    op->context = NULL;
    call->db->calls--;
    if (!call->is_internal)
        record(call, nxi_core_now(op->loop->core));
    if (NXI_UNLIKELY(request->token != NULL))
        nxi_token_detach(call);
    call->then(call);
}

nxi_call *nxi_call_new(nxi_op *op, nx_db *db, size_t step_count, void (*then)(nxi_call *call))
{
    nxi_call *call = NXI_ARENA_NEW(&op->arena, nxi_call);
    bool spare = db->token_texts.insert != NULL;
    nxi_step *steps = NXI_ARENA_ARRAY(&op->arena, nxi_step, nxi_max_size(step_count + spare, 1));

    if (call == NULL || steps == NULL)
        return NULL;
    call->op = op;
    call->db = db;
    call->then = then;
    call->has_spare_step = spare;
    call->request.steps = steps;
    call->request.step_count = step_count;
    call->request.arena = &op->arena;
    call->request.done = call_done;
    return call;
}

static void submit(nxi_call *call, bool to_end)
{
    nxi_op *op = call->op;
    nxi_request *request = &call->request;

    /* What ends while the database is freed may want to go on: it is told at once that it cannot. */
    if (NXI_UNLIKELY(call->db->freeing)) {
        nxi_request_fail(request, 0, NX_ECLOSED, "the database was freed");
        call->then(call);
        return;
    }
    if (NXI_UNLIKELY(call->db->token_texts.insert != NULL))
        nxi_token_attach(call);
    for (size_t i = 0; i < request->step_count && !call->is_internal; i++)
        if (request->steps[i].statement != NULL)
            nxi_trace_sql(&call->db->trace, request->steps[i].statement, request->steps[i].values, request->steps[i].value_count);
    request->queued_ns = nxi_core_now(op->loop->core);
    request->deadline_ns = op->deadline.place != 0 && !to_end ? op->deadline.when_ns : 0;
    op->context = call;
    op->stop = to_end ? NULL : call_stop;
    call->db->calls++;
    nxi_pool_submit(call->db->pool, request);
    if (op->stopped != NX_OK && !to_end)
        nxi_pool_stop(call->db->pool, request, op->stopped);
}

void nxi_call_submit(nxi_call *call)
{
    submit(call, false);
}

void nxi_call_submit_to_end(nxi_call *call)
{
    submit(call, true);
}

bool nxi_call_is_ok(nxi_call *call)
{
    if (NXI_LIKELY(call->request.status == NX_OK))
        return true;
    nxi_op_fail(call->op, call->request.status, call->request.error);
    return false;
}

/* ------------------------------------------------------------------------------ life */

nx_status nxi_db_check(const nx_db *db, bool mapped, nx_error *error)
{
    if (db->state == NXI_DB_CLOSING || (db->state == NXI_DB_UNBOUND && db->driver != NULL))
        return nxi_fail(error, NX_ECLOSED, "the database is closed: bind it again first");
    if (db->state != NXI_DB_BOUND)
        return nxi_fail(error, NX_ENOTBOUND, "the database is not bound: nx_bind has not completed");
    if (mapped && !db->mapped)
        return nxi_fail(error, NX_EMAPPING, "the database has no mapping: call nx_generate_mapping first");
    return NX_OK;
}

nx_db *nxi_db_new(nx_loop *loop, const nx_entity *const *entities)
{
    nx_db *db = nxi_zalloc(loop->memory, sizeof(*db));

    if (db == NULL)
        return NULL;
    db->loop = loop;
    nxi_error_reset(&db->error);
    nxi_arena_init(&db->arena, loop->memory);
    nxi_arena_init(&db->stats_arena, loop->memory);
    nxi_buf_init(&db->stats_text, loop->memory);
    nxi_buf_init(&db->catalog_answer, loop->memory);
    nxi_statements_init(&db->statements, loop->memory);
    nxi_map_init(&db->rows, loop->memory);
    nxi_trace_init(&db->trace, loop->memory);
    nxi_stats_init(&db->stats, loop->memory);
    nxi_stats_watch(&db->stats, &db->statements);
    for (size_t i = 0; entities != NULL && entities[i] != NULL; i++)
        if (nxi_db_register(db, entities[i]) != NX_OK) {
            nxi_db_free(db);
            return NULL;
        }
    nx_db **link = &loop->databases;
    while (*link != NULL)
        link = &(*link)->next;
    *link = db;
    return db;
}

static void rows_free(nx_db *db)
{
    for (size_t i = 0; i < db->rows.capacity; i++)
        if (db->rows.entries[i].item != NULL)
            nxi_db_free_row(db, db->rows.entries[i].item);
    nxi_map_fini(&db->rows);
}

void nxi_db_free(nx_db *db)
{
    if (db == NULL)
        return;
    nx_loop *loop = db->loop;
    /* First the connections: whatever is in flight ends now, by its own done function. */
    db->state = NXI_DB_CLOSING;
    db->freeing = true;
    nxi_sessions_forget_db(loop, db);
    nxi_db_end_listening(db);
    nxi_pool_free(db->pool);
    db->pool = NULL;
    nxi_ops_abort(loop, db);
    nxi_bulks_forget_db(loop, db);
    nxi_queries_free(&db->queries, true);
    nxi_ops_release_awaited(loop, db);
    for (nx_db **link = &loop->databases; *link != NULL; link = &(*link)->next)
        if (*link == db) {
            *link = db->next;
            break;
        }
    rows_free(db);
    nxi_trace_fini(&db->trace);
    nxi_stats_fini(&db->stats);
    nxi_buf_fini(&db->stats_text);
    nxi_buf_fini(&db->catalog_answer);
    nxi_arena_fini(&db->stats_arena);
    nxi_statements_fini(&db->statements);
    nxi_release(loop->memory, db->entities);
    nxi_arena_fini(&db->arena);
    nxi_release(loop->memory, db);
}

nx_status nxi_db_register(nx_db *db, const nx_entity *entity)
{
    if (entity == NULL)
        return nxi_fail(&db->error, NX_EINVAL, "no entity is given");
    if (db->mapped)
        return nxi_fail(&db->error, NX_ESTATE, "entity %s comes too late: the database is mapped", entity->name);
    for (size_t i = 0; i < db->entity_count; i++)
        if (db->entities[i] == entity)
            return NX_OK;
    const nx_entity **entities = nxi_resize(db->loop->memory, db->entities, (db->entity_count + 1) * sizeof(*entities));
    if (entities == NULL)
        return nxi_fail(&db->error, NX_ENOMEM, "no memory for entity %s", entity->name);
    entities[db->entity_count++] = entity;
    db->entities = entities;
    return NX_OK;
}

static void opened(void *context, nx_status status, const nx_error *error)
{
    nxi_op *op = context;
    nx_db *db = op->db;

    if (status == NX_OK) {
        db->state = NXI_DB_BOUND;
        nxi_op_finish(op);
        return;
    }
    /* The pool is freed by the next bind, or with the database: it is the caller of this function. */
    if (db->state == NXI_DB_BINDING)
        db->state = NXI_DB_UNBOUND;
    db->driver = db->mapped ? db->driver : NULL;
    nxi_op_fail(op, status, error);
}

void nxi_db_bind(nx_db *db, nxi_op *op, const char *provider, const nx_bind_options *options)
{
    static const nx_bind_options none;
    const char *known;
    nx_error error;

    const nxi_driver *driver = provider == NULL ? NULL : nxi_driver_find(provider, &known);
    if (provider == NULL) {
        nxi_op_failf(op, NX_EINVAL, "no provider is named");
        return;
    }
    if (driver == NULL) {
        nxi_op_failf(op, NX_EPROVIDER, "unknown provider \"%.64s\"; known: %s", provider, known);
        return;
    }
    if (db->state != NXI_DB_UNBOUND) {
        nxi_op_failf(op, NX_ESTATE, "the database is bound already: close it first");
        return;
    }
    if (db->mapped && db->driver != driver) {
        nxi_op_failf(op, NX_ESTATE, "the database is mapped for %s: use another nx_db for %s", db->driver->name, driver->name);
        return;
    }
    nxi_pool_free(db->pool);
    db->pool = NULL;
    db->token_texts = (nxi_token_texts){ .insert = NULL };
    if (options != NULL && options->commit_tokens &&
        nxi_token_texts_make(driver->dialect, &db->statements, "", &db->token_texts, &error) != NX_OK) {
        nxi_op_fail(op, error.status, &error);
        return;
    }
    db->state = NXI_DB_BINDING;
    nx_status status = nxi_pool_open(db->loop->core, driver, options == NULL ? &none : options, opened, op, &db->pool, &error);
    if (status != NX_OK) {
        db->state = NXI_DB_UNBOUND;
        nxi_op_fail(op, status, &error);
        return;
    }
    db->driver = driver;
}

static void closed(void *context, nx_status status, const nx_error *error)
{
    nxi_op *op = context;
    nx_db *db = op->db;

    (void)error;
    db->state = NXI_DB_UNBOUND;
    if (status == NX_OK)
        nxi_op_finish(op);
    else
        nxi_op_fail(op, status, error);
}

void nxi_db_close(nx_db *db, nxi_op *op)
{
    if (db->state != NXI_DB_BOUND) {
        /* Closing what is not open is no error: a clean-up path must not need to know. */
        if (db->state == NXI_DB_UNBOUND)
            nxi_op_finish(op);
        else
            nxi_op_failf(op, NX_ESTATE, "the database is being %s", db->state == NXI_DB_BINDING ? "bound" : "closed");
        return;
    }
    nxi_sessions_forget_db(db->loop, db);
    db->state = NXI_DB_CLOSING;
    nxi_db_end_listening(db);
    nxi_pool_close(db->pool, closed, op);
}

/* ------------------------------------------------------------------------------ mapping */

static const char *join_ddl(nx_db *db)
{
    nxi_buf text;
    const char *ddl = NULL;

    nxi_buf_init(&text, db->loop->memory);
    for (size_t i = 0; db->create_list[i] != NULL; i++) {
        nxi_buf_puts(&text, db->create_list[i]);
        nxi_buf_puts(&text, ";\n");
    }
    const char *joined = nxi_buf_str(&text);
    if (joined != NULL)
        ddl = nxi_arena_text(&db->arena, joined, text.size);
    nxi_buf_fini(&text);
    return ddl;
}

static nx_status map_entities(nx_db *db, nx_error *error)
{
    const nxi_dialect *dialect = db->driver->dialect;
    nx_status status;

    status = nxi_tables_build(&db->arena, dialect, db->entities, db->entity_count, &db->tables, error);
    if (status != NX_OK)
        goto fail;
    for (size_t i = 0; i < db->tables.count; i++)
        db->tables.list[i].db = db;
    status = nxi_schema_create(&db->tables, dialect, &db->arena, &db->create_list, error);
    if (status != NX_OK)
        goto fail;
    db->ddl = join_ddl(db);
    if (db->ddl == NULL || !nxi_catalog_begin(db)) {
        status = nxi_fail(error, NX_ENOMEM, "no memory for the mapping");
        goto fail;
    }
    db->mapped = true;
    return NX_OK;

fail:
    db->tables = (nxi_tables){ .count = 0 };
    nxi_arena_reset(&db->arena);
    return status;
}

/* Texts without parameters, as one transaction; first and last, unless NULL, around them. NULL: out of memory. */
static nxi_call *script_call(nx_db *db, nxi_op *op, const char *first, const char *const *list, size_t list_count,
                             const char *last, void (*then)(nxi_call *call))
{
    size_t ahead = first != NULL, behind = ahead + list_count, count = behind + (last != NULL);
    nxi_call *call = nxi_call_new(op, db, count, then);
    nxi_statement *statements = NXI_ARENA_ARRAY(&op->arena, nxi_statement, count == 0 ? 1 : count);

    if (call == NULL || statements == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const char *sql = i < ahead ? first : i < behind ? list[i - ahead] : last;
        statements[i] = (nxi_statement){ .writes = true, .sql = sql, .sql_size = strlen(sql) };
        call->request.steps[i] = (nxi_step){ .kind = NXI_STEP_SCRIPT, .statement = &statements[i] };
    }
    call->request.writes = true;
    return call;
}

static void catalog_asked(nx_db *db, nxi_op *op)
{
    if (db->token_texts.insert != NULL)
        nxi_token_find(db, op);
    else
        nxi_op_finish(op);
}

static void tables_created(nxi_call *call)
{
    if (nxi_call_is_ok(call))
        nxi_catalog_ask(call->db, call->op, catalog_asked);
}

void nxi_db_create(nx_db *db, nxi_op *op)
{
    nx_error error;
    size_t count = 0;

    if (nxi_db_check(db, true, &error) != NX_OK) {
        nxi_op_fail(op, error.status, &error);
        return;
    }
    const nxi_dialect *dialect = db->driver->dialect;
    const char *token = db->token_texts.insert == NULL ? NULL : dialect->token_create;
    while (db->create_list[count] != NULL)
        count++;
    if (count == 0 && token == NULL) {
        nxi_op_finish(op);
        return;
    }
    nxi_call *call = script_call(db, op, dialect->schema_lock, db->create_list, count, token, tables_created);
    if (call == NULL)
        nxi_op_fail(op, NX_ENOMEM, NULL);
    else
        nxi_call_submit(call);
}

void nxi_db_map(nx_db *db, nxi_op *op, bool create)
{
    nx_error error;

    if (nxi_db_check(db, false, &error) != NX_OK || (!db->mapped && map_entities(db, &error) != NX_OK)) {
        nxi_op_fail(op, error.status, &error);
        return;
    }
    if (create)
        nxi_db_create(db, op);
    else
        nxi_catalog_ask(db, op, catalog_asked);
}

const nxi_table *nxi_db_table(const nx_db *db, const nx_entity *entity)
{
    return db->mapped ? nxi_tables_find(&db->tables, entity) : NULL;
}

const nxi_table *nxi_db_expect_table(nx_db *db, const nx_entity *entity)
{
    const nxi_table *table = entity == NULL ? NULL : nxi_db_table(db, entity);

    if (entity == NULL)
        nxi_fail(&db->error, NX_EINVAL, "no entity is given");
    else if (!db->mapped)
        nxi_fail(&db->error, NX_EMAPPING, "the database has no mapping, so none of %s: call nx_generate_mapping first",
                 entity->name);
    else if (table == NULL)
        nxi_fail(&db->error, NX_ENOTMAPPED, "entity %s is not mapped by this database", entity->name);
    return table;
}

const nxi_table *nxi_loop_table(const nx_loop *loop, const nx_entity *entity)
{
    for (const nx_db *db = loop->databases; db != NULL; db = db->next) {
        const nxi_table *table = nxi_db_table(db, entity);
        if (table != NULL)
            return table;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------ dropping */

/*
 * One transaction looks into the tables and drops them, so that no row can come in between. A table that is not there ends
 * it: it holds nothing, and whether that is an error the DROP decides, so it begins again without looking at that one.
 */
typedef struct drop {
    const char *const *tables;
    const char **texts;
    bool *absent;   /* by table */
    size_t *probed; /* the tables that the steps look at */
    size_t count, text_count;
    uint64_t transaction; /* 0: none is open */
    nxi_call *farewell;   /* rolls it back; made before it begins, as no memory may be left when it is needed */
    nx_error error;
} drop;

static void probe(nx_db *db, nxi_op *op, drop *plan);

static void drop_given_up(nxi_call *call)
{
    const drop *plan = call->context;

    nxi_op_fail(call->op, plan->error.status, &plan->error);
}

/* Fail with plan->error when the transaction is rolled back. */
static void drop_give_up(nxi_op *op, drop *plan)
{
    nxi_call *call = plan->farewell;

    if (plan->transaction == 0) {
        nxi_op_fail(op, plan->error.status, &plan->error);
        return;
    }
    call->context = plan;
    call->request.transaction = plan->transaction;
    call->request.end = NXI_END_ROLLBACK;
    /* A rollback is not stopped by the deadline that caused it. */
    op->stopped = NX_OK;
    nxi_timer_clear(op->loop->core, &op->deadline);
    nxi_call_submit(call);
}

static void drop_failed(nxi_call *call)
{
    drop *plan = call->context;

    if (call->request.error != NULL)
        plan->error = *call->request.error;
    else
        nxi_fail(&plan->error, call->request.status, "%s", nx_status_text(call->request.status));
    plan->transaction = call->request.in_transaction ? plan->transaction : 0;
    drop_give_up(call->op, plan);
}

static void dropped(nxi_call *call)
{
    if (call->request.status == NX_OK)
        nxi_op_finish(call->op);
    else
        drop_failed(call);
}

static void drop_tables(nx_db *db, nxi_op *op, drop *plan)
{
    nxi_call *call = script_call(db, op, NULL, plan->texts, plan->text_count, NULL, dropped);

    if (call == NULL) {
        nxi_fail(&plan->error, NX_ENOMEM, "no memory to drop tables");
        drop_give_up(op, plan);
        return;
    }
    call->context = plan;
    call->request.transaction = plan->transaction;
    call->request.end = plan->transaction == 0 ? NXI_END_NONE : NXI_END_COMMIT;
    nxi_call_submit(call);
}

/* For each table: a lock where there is one, and a look. */
static size_t steps_of(const nx_db *db)
{
    return db->driver->dialect->lock_table == NULL ? 1 : 2;
}

static void drop_probed(nxi_call *call)
{
    drop *plan = call->context;
    const nxi_request *request = &call->request;

    if (request->status == NX_EUNDEFINED && !request->in_transaction && request->failed_step < request->step_count) {
        plan->absent[plan->probed[request->failed_step / steps_of(call->db)]] = true;
        probe(call->db, call->op, plan);
        return;
    }
    if (request->status != NX_OK) {
        drop_failed(call);
        return;
    }
    for (size_t i = 0; i < request->step_count; i++) {
        const char *table = plan->tables[plan->probed[i / steps_of(call->db)]];

        if (request->steps[i].raw.row_count == 0)
            continue;
        nxi_fail(&plan->error, NX_ESTATE, "table \"%.100s\" holds data; drop it with NX_DROP_WITH_ALL_DATA", table);
        nxi_error_name(plan->error.table, table);
        drop_give_up(call->op, plan);
        return;
    }
    drop_tables(call->db, call->op, plan);
}

/* False: out of memory. */
static bool put_step(nxi_op *op, nxi_step_kind kind, const nxi_buf *sql, nxi_step *step)
{
    nxi_statement *statement = NXI_ARENA_NEW(&op->arena, nxi_statement);
    const char *text = sql->failed ? NULL : nxi_arena_text(&op->arena, sql->data, sql->size);

    if (statement == NULL || text == NULL)
        return false;
    *statement = (nxi_statement){ .sql = text, .sql_size = sql->size };
    *step = (nxi_step){ .kind = kind, .statement = statement, .row_limit = kind == NXI_STEP_RAW ? 1 : 0 };
    return true;
}

static bool probe_steps(nx_db *db, nxi_op *op, const char *table, nxi_step *steps)
{
    const nxi_dialect *dialect = db->driver->dialect;
    const char *quoted;
    nxi_buf name, sql;
    bool done;

    nxi_buf_init(&name, op->loop->memory);
    nxi_buf_init(&sql, op->loop->memory);
    nxi_quote(dialect, table, &name);
    quoted = nxi_buf_str(&name);
    done = quoted != NULL;
    if (done && dialect->lock_table != NULL) {
        dialect->lock_table(quoted, &sql);
        done = put_step(op, NXI_STEP_SCRIPT, &sql, steps++);
        nxi_buf_clear(&sql);
    }
    if (done)
        nxi_buf_printf(&sql, "SELECT 1 FROM %s LIMIT 1", quoted);
    done = done && put_step(op, NXI_STEP_RAW, &sql, steps);
    nxi_buf_fini(&name);
    nxi_buf_fini(&sql);
    return done;
}

static void probe(nx_db *db, nxi_op *op, drop *plan)
{
    nxi_call *call;
    size_t count = 0;

    for (size_t i = 0; i < plan->count; i++)
        if (!plan->absent[i])
            plan->probed[count++] = i;
    plan->transaction = 0;
    if (count == 0) {
        drop_tables(db, op, plan);
        return;
    }
    call = nxi_call_new(op, db, count * steps_of(db), drop_probed);
    for (size_t i = 0; call != NULL && i < count; i++)
        if (!probe_steps(db, op, plan->tables[plan->probed[i]], &call->request.steps[i * steps_of(db)]))
            call = NULL;
    plan->farewell = nxi_call_new(op, db, 0, drop_given_up);
    if (call == NULL || plan->farewell == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return;
    }
    plan->transaction = ++op->loop->last_transaction;
    call->context = plan;
    call->request.transaction = plan->transaction;
    call->request.begin = NXI_BEGIN_WRITE;
    call->request.writes = true;
    nxi_call_submit(call);
}

static drop *drop_new(nxi_op *op, const char *const *tables, size_t count)
{
    drop *plan = NXI_ARENA_NEW(&op->arena, drop);

    if (plan == NULL)
        return NULL;
    plan->tables = tables;
    plan->count = count;
    plan->texts = NXI_ARENA_ARRAY(&op->arena, const char *, count);
    plan->absent = NXI_ARENA_ARRAY(&op->arena, bool, count);
    plan->probed = NXI_ARENA_ARRAY(&op->arena, size_t, count);
    return plan->texts == NULL || plan->absent == NULL || plan->probed == NULL ? NULL : plan;
}

void nxi_db_drop(nx_db *db, nxi_op *op, const char *const *tables, size_t count, unsigned flags)
{
    nx_error error;

    if (nxi_db_check(db, false, &error) != NX_OK) {
        nxi_op_fail(op, error.status, &error);
        return;
    }
    if (count == 0) {
        nxi_op_finish(op);
        return;
    }
    drop *plan = drop_new(op, tables, count);
    if (plan == NULL)
        goto no_memory;
    for (size_t i = 0; i < count; i++) {
        if (tables[i] == NULL || !nxi_identifier_is_valid(db->driver->dialect, tables[i])) {
            nxi_op_failf(op, NX_EINVAL, "\"%.100s\" is no table name", tables[i] == NULL ? "" : tables[i]);
            return;
        }
    }
    plan->text_count = nxi_schema_drops(db->driver->dialect, count);
    for (size_t i = 0; i < plan->text_count; i++) {
        plan->texts[i] = nxi_schema_drop(db->driver->dialect, &tables[i], count / plan->text_count,
                                         (flags & NX_DROP_IF_EXISTS) != 0, &op->arena);
        if (plan->texts[i] == NULL)
            goto no_memory;
    }
    if ((flags & NX_DROP_WITH_ALL_DATA) != 0)
        drop_tables(db, op, plan);
    else
        probe(db, op, plan);
    return;

no_memory:
    nxi_op_fail(op, NX_ENOMEM, NULL);
}
