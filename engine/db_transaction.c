/*
 * db_transaction - parts of a session: begin, savepoints, close.
 */
#include "engine/session.h"

/* ------------------------------------------------------------------------------ parts */

nxi_part *nxi_session_part_of(const nx_session *s, const nx_db *db)
{
    const nx_session *root = s->root;

    for (size_t i = 0; i < root->part_count; i++)
        if (root->parts[i].db == db)
            return &root->parts[i];
    return NULL;
}

static bool grow_parts(nx_session *root)
{
    size_t capacity = root->part_capacity == 0 ? 2 : root->part_capacity * 2;
    nxi_part *parts = nxi_resize(root->loop->memory, root->parts, capacity * sizeof(*parts));

    if (parts == NULL)
        return false;
    memset(parts + root->part_capacity, 0, (capacity - root->part_capacity) * sizeof(*parts));
    root->parts = parts;
    root->part_capacity = capacity;
    return true;
}

nxi_part *nxi_session_part(nx_session *s, nx_db *db)
{
    nx_session *root = s->root;
    nxi_part *part = nxi_session_part_of(s, db);

    if (part == NULL && root->part_count == root->part_capacity && !grow_parts(root))
        return NULL;
    bool is_new = part == NULL;
    if (is_new)
        part = &root->parts[root->part_count];
    if (part->rollback == NULL && (part->rollback = nxi_zalloc(root->loop->memory, sizeof(*part->rollback))) == NULL)
        return NULL;
    nxi_arena_init(&part->rollback->arena, root->loop->memory);
    if (is_new) {
        /* What an earlier session of this struct left is used again. */
        *part = (nxi_part){ .db = db,
                            .rollback = part->rollback,
                            .marks = part->marks,
                            .mark_capacity = part->mark_capacity,
                            .undo_to = NXI_UNDO_NONE };
        root->part_count++;
    }
    return part;
}

void nxi_parts_fini(nxi_part *parts, size_t capacity, nxi_memory *memory)
{
    for (size_t i = 0; i < capacity; i++) {
        nxi_release(memory, parts[i].rollback);
        nxi_release(memory, parts[i].marks);
    }
    nxi_release(memory, parts);
}

/* ------------------------------------------------------------------------------ begin and end */

static bool wants_transaction(const nx_session_options *options, bool writes)
{
    return writes || options->serializable || options->immediate || options->read_only ||
           options->isolation != NX_ISOLATION_DEFAULT;
}

static void begin_transaction(nx_session *s, nxi_part *part, nxi_request *request, bool writes)
{
    const nx_session_options *options = &s->root->options;

    NX_ASSERT(part->transaction == 0 && part->mark_count == 0);
    request->begin = options->read_only             ? NXI_BEGIN_SNAPSHOT
                     : writes || options->immediate ? NXI_BEGIN_WRITE
                                                    : NXI_BEGIN_READ;
    request->isolation = options->isolation == NX_ISOLATION_DEFAULT && options->serializable ? NX_ISOLATION_SERIALIZABLE
                                                                                             : options->isolation;
    request->deferrable = options->deferrable;
    part->transaction = ++s->loop->last_transaction;
    part->begin_level = s->level;
    part->wrote = false;
    part->outcome = NX_OUTCOME_NONE;
}

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
        if (!wants_transaction(options, writes))
            return NX_OK;
        begin_transaction(s, part, request, writes);
    }
    part->wrote = part->wrote || (writes && !nxi_token_is_needless(request));
    request->transaction = part->transaction;
    return NX_OK;
}

bool nxi_session_take_lost_work(nx_session *root)
{
    bool lost = false;

    for (size_t i = 0; i < root->part_count; i++) {
        lost = lost || root->parts[i].lost_work;
        root->parts[i].lost_work = false;
    }
    return lost;
}

void nxi_part_close(nxi_part *part, nx_outcome outcome)
{
    part->lost_work = part->lost_work || (part->transaction != 0 && part->unrepeatable && outcome == NX_OUTCOME_ROLLED_BACK);
    part->unrepeatable = false;
    part->transaction = 0;
    part->mark_count = 0;
    part->undo_to = NXI_UNDO_NONE;
    part->outcome = outcome;
}

static void written_at_once(nx_session *s, const nxi_call *call)
{
    nxi_part *part = nxi_session_part_of(s, call->db);

    if (part != NULL && part->transaction == call->request.transaction)
        part->unrepeatable = true;
}

void nxi_session_answered(nx_session *s, const nxi_call *call)
{
    const nxi_request *request = &call->request;
    nx_session *root = s->root;

    if (request->in_transaction && call->at_once && request->status == NX_OK)
        written_at_once(s, call);
    if (request->transaction == 0 || request->in_transaction)
        return;
    for (size_t i = 0; i < root->part_count; i++) {
        nxi_part *part = &root->parts[i];
        if (part->transaction != request->transaction)
            continue;
        nxi_part_close(part, request->outcome == NX_OUTCOME_NONE ? NX_OUTCOME_ROLLED_BACK : request->outcome);
        /* What had been written before is lost with it: going on would commit half of the work. */
        if (request->begin == NXI_BEGIN_NONE && request->end == NXI_END_NONE)
            nxi_session_lost(root);
    }
}

bool nxi_session_has_transaction(const nx_session *s, uint64_t transaction)
{
    for (size_t i = 0; i < s->root->part_count; i++)
        if (s->root->parts[i].transaction == transaction)
            return true;
    return false;
}

static void deferred_done(nxi_request *request)
{
    nxi_deferred_rollback *rollback = NXI_CONTAINER(request, nxi_deferred_rollback, request);

    rollback->db->calls--;
    nxi_arena_fini(&rollback->arena);
    nxi_release(rollback->arena.memory, rollback);
}

void nxi_part_roll_back_deferred(nxi_part *part)
{
    nxi_deferred_rollback *rollback = part->rollback;

    if (part->transaction == 0 || part->db == NULL)
        return;
    rollback->db = part->db;
    rollback->request.transaction = part->transaction;
    rollback->request.end = NXI_END_ROLLBACK;
    rollback->request.arena = &rollback->arena;
    rollback->request.done = deferred_done;
    rollback->request.queued_ns = nxi_core_now(part->db->loop->core);
    part->db->calls++;
    part->rollback = NULL;
    nxi_part_close(part, NX_OUTCOME_ROLLED_BACK);
    nxi_pool_submit(rollback->db->pool, &rollback->request);
}

/* ------------------------------------------------------------------------------ savepoints */

bool nxi_part_reserve_mark(nxi_part *part, nxi_memory *memory)
{
    if (part->mark_count < part->mark_capacity)
        return true;
    uint32_t capacity = part->mark_capacity == 0 ? 4 : part->mark_capacity * 2;
    uint32_t *marks = nxi_resize(memory, part->marks, capacity * sizeof(*marks));
    if (marks == NULL)
        return false;
    part->marks = marks;
    part->mark_capacity = capacity;
    return true;
}

static bool needs_mark(const nxi_part *part, uint32_t level, uint32_t mark_count)
{
    return level > part->begin_level && (mark_count == 0 || part->marks[mark_count - 1] < level);
}

size_t nxi_part_mark_steps(const nxi_part *part, uint32_t level, bool writes, nxi_step steps[3])
{
    uint32_t marks = part->mark_count;
    size_t count = 0;

    if (part->transaction == 0 || part->db == NULL)
        return 0;
    if (part->undo_to != NXI_UNDO_NONE) {
        marks = part->undo_to;
        steps[count++] = (nxi_step){ .kind = NXI_STEP_ROLLBACK_TO, .level = marks + 1 };
        steps[count++] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = marks + 1 };
    }
    if (writes && needs_mark(part, level, marks))
        steps[count++] = (nxi_step){ .kind = NXI_STEP_SAVEPOINT, .level = marks + 1 };
    return count;
}

void nxi_part_marked(nxi_part *part, uint32_t level, bool writes)
{
    if (part->undo_to != NXI_UNDO_NONE)
        part->mark_count = part->undo_to;
    part->undo_to = NXI_UNDO_NONE;
    if (!writes || !needs_mark(part, level, part->mark_count))
        return;
    NX_ASSERT(part->mark_count < part->mark_capacity);
    part->marks[part->mark_count++] = level;
}

void nxi_part_unmarked(nxi_part *part, uint32_t count)
{
    NX_ASSERT(count <= part->mark_count);
    part->mark_count = count;
    if (part->undo_to != NXI_UNDO_NONE && part->undo_to >= count)
        part->undo_to = NXI_UNDO_NONE;
}

nxi_part_way nxi_part_way_back(const nxi_part *part, uint32_t level, uint32_t *ret_mark)
{
    if (part->transaction == 0 || part->db == NULL)
        return NXI_PART_UNTOUCHED;
    if (level == 0 || part->begin_level >= level)
        return NXI_PART_WHOLE;
    for (uint32_t i = 0; i < part->mark_count; i++)
        if (part->marks[i] >= level) {
            *ret_mark = i + 1;
            return NXI_PART_TO_MARK;
        }
    return NXI_PART_UNTOUCHED;
}

bool nxi_part_ends_level(nxi_part *part, uint32_t level, uint32_t outer, uint32_t *ret_mark)
{
    if (part->transaction == 0 || part->db == NULL)
        return false;
    if (part->begin_level >= level) {
        part->begin_level = outer;
        return false;
    }
    uint32_t count = part->mark_count;
    if (count == 0 || part->marks[count - 1] < level)
        return false;
    NX_ASSERT(part->marks[count - 1] == level);
    if (outer > part->begin_level && (count == 1 || part->marks[count - 2] < outer)) {
        part->marks[count - 1] = outer;
        return false;
    }
    *ret_mark = count;
    return true;
}
