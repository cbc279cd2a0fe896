/*
 * session - life, parts and turns of a session.
 */
#include "engine/session.h"

#include "engine/uow.h"
#include "engine/token.h"

enum { MAP_KEPT_MAX = 1024 }; /* slots of a map that are kept with a session's struct */

/* An operation that waits for its turn, or has it. */
typedef struct pending {
    nxi_turn turn;
    nxi_op *op;
    size_t part;
} pending;

static const nxi_turn *turn_of(const nxi_op *op)
{
    return &((const pending *)op->context)->turn;
}

/* ------------------------------------------------------------------------------ life */

/* A session is made and freed for every unit of work: the struct, its parts and a small map are kept. */
static nx_session *session_alloc(nx_loop *loop)
{
    nx_session *s = loop->free_sessions;

    if (s == NULL)
        return nxi_zalloc(loop->memory, sizeof(*s));
    loop->free_sessions = s->next;
    nxi_part *parts = s->parts;
    size_t capacity = s->part_capacity;
    nxi_map map = s->identity.map;
    memset(s, 0, sizeof(*s));
    s->parts = parts;
    s->part_capacity = capacity;
    s->identity.map = map;
    return s;
}

nx_session *nxi_session_new(nx_loop *loop, nx_session *outer, const nx_session_options *options)
{
    nx_session *s = session_alloc(loop);

    if (s == NULL)
        return NULL;
    s->loop = loop;
    s->root = outer == NULL ? s : outer->root;
    s->outer = outer;
    if (options != NULL)
        s->options = *options;
    nxi_arena_init(&s->arena, loop->memory);
    s->identity.map.memory = loop->memory;
    nxi_error_reset(&s->error);
    s->number = s->transaction_number = 1;
    if (outer != NULL) {
        s->level = outer->level + 1;
        outer->inner = s;
    }
    s->next = loop->sessions;
    loop->sessions = s;
    return s;
}

void nxi_sessions_fini(nx_loop *loop)
{
    while (loop->free_sessions != NULL) {
        nx_session *s = loop->free_sessions;
        loop->free_sessions = s->next;
        for (size_t i = 0; i < s->part_capacity; i++)
            nxi_release(loop->memory, s->parts[i].farewell);
        nxi_release(loop->memory, s->parts);
        nxi_map_fini(&s->identity.map);
        nxi_release(loop->memory, s);
    }
}

static void farewell_done(nxi_request *request)
{
    nxi_farewell *farewell = NXI_CONTAINER(request, nxi_farewell, request);

    farewell->db->calls--;
    nxi_arena_fini(&farewell->arena);
    nxi_release(farewell->arena.memory, farewell);
}

/* Roll back without anybody waiting for it. */
static void part_farewell(nxi_part *part)
{
    nxi_farewell *farewell = part->farewell;

    if (part->transaction == 0 || part->db == NULL)
        return;
    farewell->db = part->db;
    farewell->request.transaction = part->transaction;
    farewell->request.end = NXI_END_ROLLBACK;
    farewell->request.arena = &farewell->arena;
    farewell->request.done = farewell_done;
    farewell->request.queued_ns = nxi_core_now(part->db->loop->core);
    part->db->calls++;
    part->farewell = NULL;
    part->transaction = 0;
    nxi_pool_submit(farewell->db->pool, &farewell->request);
}

static void session_destroy(nx_session *s)
{
    nx_loop *loop = s->loop;

    for (size_t i = 0; i < s->part_count; i++)
        part_farewell(&s->parts[i]);
    nxi_queries_free(&s->queries, false);
    if (s->identity.map.capacity > MAP_KEPT_MAX)
        nxi_map_fini(&s->identity.map);
    else
        nxi_map_clear(&s->identity.map);
    nxi_arena_fini(&s->arena);
    for (nx_session **link = &loop->sessions; *link != NULL; link = &(*link)->next)
        if (*link == s) {
            *link = s->next;
            break;
        }
    s->next = loop->free_sessions;
    loop->free_sessions = s;
}

/* Operations that wait for their turn end: all of the root's, those of one session, or those of one database. */
static void refuse_waiting(nx_session *root, const nx_session *only, const nx_db *db)
{
    nxi_op **link = &root->waiting_first;

    root->waiting_last = NULL;
    while (*link != NULL) {
        nxi_op *op = *link;
        if ((only != NULL && turn_of(op)->session != only) || (db != NULL && op->db != db)) {
            root->waiting_last = op;
            link = &op->next;
            continue;
        }
        *link = op->next;
        op->next = NULL;
        op->stop = NULL;
        op->context = NULL;
        nxi_op_failf(op, NX_ECLOSED, "%s", db != NULL ? "the database was freed" : "the session was freed");
    }
}

/*
 * A nested session that was not ended takes its part of the work with it. Nobody waits for that: the savepoint is undone before
 * the next operation of the outer one, and a transaction that it began itself is rolled back at once.
 */
static void give_up_nested(nx_session *s)
{
    nx_session *root = s->root;

    if (s->ended)
        return;
    if (s->options.join) {
        root->failed = true; /* its work cannot be told from the outer one's */
        return;
    }
    for (size_t i = 0; i < root->part_count; i++) {
        nxi_part *part = &root->parts[i];
        if (part->transaction == 0)
            continue;
        if (part->born >= s->level)
            part_farewell(part);
        else if (part->level >= s->level)
            part->undo = s->level;
    }
    nxi_session_undo_nested(s);
}

void nxi_session_free(nx_session *s)
{
    if (s == NULL)
        return;
    if (s->inner != NULL)
        nxi_session_free(s->inner);
    if (s->outer != NULL && s->outer->inner == s)
        s->outer->inner = NULL;
    refuse_waiting(s->root, s->root == s ? NULL : s, NULL);
    if (s->root == s) {
        /* Nested ones that were ended and not freed share its rows. */
        for (nx_session *nested = s->loop->sessions, *next; nested != NULL; nested = next) {
            next = nested->next;
            if (nested->root == s && nested != s)
                session_destroy(nested);
        }
    } else if (s->running == 0) {
        give_up_nested(s);
    }
    s->doomed = true;
    if (s->running == 0)
        session_destroy(s);
}

/* The rows of a database that is freed are gone with it; nobody may look at them again. */
static void forget_rows(nx_session *root, const nx_db *db)
{
    nxi_row *last = NULL;

    for (nxi_row **link = &root->new_first; *link != NULL;) {
        if ((*link)->table->db == db) {
            *link = (*link)->next;
            continue;
        }
        last = *link;
        link = &last->next;
    }
    root->new_last = last;
    for (nxi_row *row = root->identity.first; row != NULL; row = row->next) {
        if (row->table->db != db)
            continue;
        nxi_identity_remove(&root->identity, nxi_row_data(row));
        row->flags |= NXI_ROW_LISTED;
    }
    (void)nxi_identity_sweep(&root->identity, NXI_ROW_LISTED);
    for (nxi_gone **link = &root->gone; *link != NULL;)
        if (nxi_row_of((*link)->row)->table->db == db)
            *link = (*link)->next;
        else
            link = &(*link)->next;
}

static void forget_saved(nx_session *s, const nx_db *db)
{
    for (nxi_saved **link = &s->saved; *link != NULL;)
        if (nxi_row_of((*link)->row)->table->db == db)
            *link = (*link)->next;
        else
            link = &(*link)->next;
}

static void forget_part(nx_session *s, nx_db *db)
{
    for (size_t i = 0; i < s->part_count; i++) {
        nxi_part *part = &s->parts[i];
        if (part->db != db)
            continue;
        s->failed = s->failed || part->transaction != 0;
        if (db->state == NXI_DB_BOUND)
            part_farewell(part);
        part->transaction = 0;
        part->db = NULL;
    }
}

void nxi_sessions_forget_db(nx_loop *loop, nx_db *db)
{
    nx_error error;

    nxi_fail(&error, NX_ECLOSED, "the database of the query was freed");
    for (nx_session *s = loop->sessions; s != NULL; s = s->next) {
        forget_part(s, db);
        s->last_table = NULL;
        if (!db->freeing)
            continue;
        for (nx_query *q = s->queries; q != NULL; q = q->next)
            if (q->db == db) {
                nxi_query_mistake(q, &error);
                q->db = NULL;
            }
        forget_saved(s, db);
        if (s->root != s)
            continue;
        refuse_waiting(s, NULL, db);
        forget_rows(s, db);
    }
}

nxi_part *nxi_session_part(nx_session *s, nx_db *db)
{
    nx_session *root = s->root;

    size_t at = 0;
    while (at < root->part_count && root->parts[at].db != db)
        at++;
    if (at == root->part_capacity) {
        size_t capacity = at == 0 ? 2 : at * 2;
        nxi_part *parts = nxi_resize(root->loop->memory, root->parts, capacity * sizeof(*parts));
        if (parts == NULL)
            return NULL;
        memset(parts + at, 0, (capacity - at) * sizeof(*parts));
        root->parts = parts;
        root->part_capacity = capacity;
    }
    nxi_part *part = &root->parts[at];
    if (part->farewell == NULL && (part->farewell = nxi_zalloc(root->loop->memory, sizeof(nxi_farewell))) == NULL)
        return NULL;
    nxi_arena_init(&part->farewell->arena, root->loop->memory);
    if (at == root->part_count) {
        *part = (nxi_part){ .db = db, .farewell = part->farewell };
        root->part_count++;
    }
    return part;
}

nx_status nxi_session_check(const nx_session *s, nx_error *error)
{
    if (s->ended || s->root->ended)
        return nxi_fail(error, NX_ESTATE, "the session is ended");
    if (s->inner != NULL)
        return nxi_fail(error, NX_ESTATE, "a nested session is in use: end it first");
    return NX_OK;
}

/* ------------------------------------------------------------------------------ transactions */

nx_status nxi_session_attach(nx_session *s, nxi_call *call, bool writes, nx_error *error)
{
    const nx_session_options *options = &s->root->options;
    nxi_request *request = &call->request;
    nx_status status = nxi_db_check(call->db, false, error);

    if (status != NX_OK)
        return status;
    nxi_part *part = nxi_session_part(s, call->db);
    if (part == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for a transaction");
    if (writes && options->read_only)
        return nxi_fail(error, NX_EREADONLY, "the session is read-only");
    if ((unsigned)options->isolation > NX_ISOLATION_SERIALIZABLE)
        return nxi_fail(error, NX_EINVAL, "isolation %d is no level", (int)options->isolation);
    request->writes = writes;
    if (part->transaction == 0) {
        if (!writes && !options->serializable && !options->immediate && !options->read_only &&
            options->isolation == NX_ISOLATION_DEFAULT)
            return NX_OK;
        request->begin = options->read_only             ? NXI_BEGIN_SNAPSHOT
                         : writes || options->immediate ? NXI_BEGIN_WRITE
                                                        : NXI_BEGIN_READ;
        request->isolation = options->isolation == NX_ISOLATION_DEFAULT && options->serializable ? NX_ISOLATION_SERIALIZABLE
                                                                                                 : options->isolation;
        request->deferrable = options->deferrable;
        part->transaction = ++s->loop->last_transaction;
        part->born = s->level;
        part->level = s->level;
        part->wrote = false;
    }
    part->wrote = part->wrote || (writes && !nxi_token_is_needless(request));
    request->transaction = part->transaction;
    return NX_OK;
}

void nxi_session_answered(nx_session *s, nxi_call *call)
{
    nxi_request *request = &call->request;
    nx_session *root = s->root;

    if (request->transaction == 0 || request->in_transaction)
        return;
    for (size_t i = 0; i < root->part_count; i++) {
        nxi_part *part = &root->parts[i];
        if (part->transaction != request->transaction)
            continue;
        part->transaction = 0;
        part->level = 0;
        /* It was lost, and with it what had been written before: going on would commit half of the work. */
        if (request->begin == NXI_BEGIN_NONE && request->end == NXI_END_NONE) {
            root->failed = true;
            nxi_session_undo(root);
        }
    }
}

bool nxi_session_has_transaction(const nx_session *s, uint64_t transaction)
{
    for (size_t i = 0; i < s->root->part_count; i++)
        if (s->root->parts[i].transaction == transaction)
            return true;
    return false;
}

/* ------------------------------------------------------------------------------ turns */

static void pump(nx_session *root);

static void waiting_stop(nxi_op *op, nx_status why)
{
    const pending *wait = op->context;
    nx_session *root = wait->turn.session->root;

    for (nxi_op **link = &root->waiting_first, *before = NULL; *link != NULL; before = *link, link = &(*link)->next)
        if (*link == op) {
            *link = op->next;
            if (root->waiting_last == op)
                root->waiting_last = before;
            break;
        }
    op->next = NULL;
    op->stop = NULL;
    op->context = NULL;
    nxi_op_failf(op, why, "%s while it waited for its turn in the session",
                 why == NX_EDEADLINE ? "the deadline passed" : "cancelled");
}

static void begin_turn(nxi_op *op, void *context)
{
    const pending *wait = context;

    wait->turn.start(op, wait->turn.context);
}

static void savepoints_done(nxi_call *call);

/* What a part needs before the operation: undo what a given-up nested session left, set the savepoint of a nested one. */
static size_t savepoint_steps(const nx_session *s, const nxi_part *part, nxi_step steps[3])
{
    uint32_t level = part->level;
    size_t count = 0;

    if (part->transaction == 0 || part->db == NULL)
        return 0;
    if (part->undo != 0) {
        steps[count++] = (nxi_step){ .kind = NXI_STEP_ROLLBACK_TO, .level = part->undo };
        steps[count++] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = part->undo };
        level = part->undo - 1;
    }
    if (level < s->level && !s->options.join)
        steps[count++] = (nxi_step){ .kind = NXI_STEP_SAVEPOINT, .level = s->level };
    return count;
}

static void set_savepoints(pending *wait)
{
    nx_session *s = wait->turn.session, *root = s->root;
    nxi_step steps[3];

    for (; wait->part < root->part_count; wait->part++) {
        nxi_part *part = &root->parts[wait->part];
        size_t count = savepoint_steps(s, part, steps);
        if (count == 0)
            continue;
        nxi_call *call = nxi_call_new(wait->op, part->db, count, savepoints_done);
        if (call == NULL) {
            nxi_op_fail(wait->op, NX_ENOMEM, NULL);
            nxi_session_leave(s);
            return;
        }
        memcpy(call->request.steps, steps, count * sizeof(*steps));
        call->request.transaction = part->transaction;
        call->context = wait;
        nxi_call_submit(call);
        return;
    }
    if (wait->turn.flush_first && nxi_session_is_dirty(s, NULL))
        nxi_session_flush_first(s, wait->op, begin_turn, wait);
    else
        begin_turn(wait->op, wait);
}

static void savepoints_done(nxi_call *call)
{
    pending *wait = call->context;
    nx_session *s = wait->turn.session;
    nxi_part *part = &s->root->parts[wait->part];

    nxi_session_answered(s, call);
    if (!nxi_call_is_ok(call)) {
        s->root->failed = s->root->failed || part->undo != 0;
        nxi_session_leave(s);
        return;
    }
    if (part->undo != 0)
        part->level = part->undo - 1;
    part->undo = 0;
    if (!s->options.join)
        part->level = s->level;
    wait->part++;
    set_savepoints(wait);
}

static bool needs_savepoints(const nx_session *s, bool shared)
{
    nxi_step steps[3];

    for (size_t i = 0; i < s->root->part_count; i++)
        if (savepoint_steps(s, &s->root->parts[i], steps) > 0 && (!shared || s->root->parts[i].undo != 0))
            return true;
    return false;
}

/* Whether the operation's turn has come; then it is counted as running. */
static bool may_start(nx_session *root, const pending *wait)
{
    const nx_session *s = wait->turn.session;

    if (root->exclusive)
        return false;
    bool shared = wait->turn.shared && !needs_savepoints(s, true) && !(wait->turn.flush_first && nxi_session_is_dirty(s, NULL));
    if (!shared && root->running > 0)
        return false;
    root->running++;
    if (wait->turn.session != root)
        wait->turn.session->running++;
    root->exclusive = !shared;
    return true;
}

static void pump(nx_session *root)
{
    if (root->pumping)
        return;
    root->pumping = true;
    while (root->waiting_first != NULL) {
        nxi_op *op = root->waiting_first;
        pending *wait = op->context;
        if (!may_start(root, wait))
            break;
        root->waiting_first = op->next;
        if (root->waiting_first == NULL)
            root->waiting_last = NULL;
        op->next = NULL;
        op->stop = NULL;
        op->context = NULL;
        if (root->exclusive)
            set_savepoints(wait);
        else
            begin_turn(op, wait);
    }
    root->pumping = false;
    if (root->doomed && root->running == 0 && root->waiting_first == NULL)
        session_destroy(root);
}

void nxi_session_enter(nxi_op *op, const nxi_turn *turn)
{
    nx_session *root = turn->session->root;
    nx_error error;
    pending *wait;

    nx_status status = nxi_session_check(turn->session, &error);
    if (status != NX_OK) {
        nxi_op_fail(op, status, &error);
        return;
    }
    wait = NXI_ARENA_NEW(&op->arena, pending);
    if (wait == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return;
    }
    *wait = (pending){ .turn = *turn, .op = op };
    op->context = wait;
    op->stop = waiting_stop;
    op->next = NULL;
    if (root->waiting_last == NULL)
        root->waiting_first = op;
    else
        root->waiting_last->next = op;
    root->waiting_last = op;
    pump(root);
}

void nxi_session_leave(nx_session *s)
{
    nx_session *root = s->root;

    NX_ASSERT(root->running > 0);
    root->running--;
    root->exclusive = false;
    if (s != root && --s->running == 0 && s->doomed) {
        give_up_nested(s);
        session_destroy(s);
    }
    pump(root);
}
