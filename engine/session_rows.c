/*
 * session_rows - the rows of a session: made, added, deleted, learned from queries, expired.
 */
#include "engine/session.h"
#include "engine/uow.h"

static void *refuse(nx_session *s, nx_status status)
{
    s->error.status = status;
    return NULL;
}

static nx_db *db_of(const nxi_table *table)
{
    return table->db;
}

uint32_t nxi_session_now(const nx_session *s)
{
    const nxi_frame *frame = &s->fate->frame;

    /* What a session does that was freed with operations in flight happened before its end. */
    return frame->end != UINT32_MAX ? frame->end - 1 : s->root->rows.clock;
}

/* ------------------------------------------------------------------------------ making */

static const nxi_table *table_for(nx_session *s, const nx_entity *entity)
{
    if (s->last_table != NULL && s->last_table->entity == entity)
        return s->last_table;
    const nxi_table *table = entity == NULL ? NULL : nxi_loop_table(s->loop, entity);
    if (table == NULL) {
        nxi_fail(&s->error, NX_ENOTMAPPED, "entity %s is mapped by no database of this loop",
                 entity == NULL ? "(none)" : entity->name);
        return NULL;
    }
    s->last_table = table;
    return table;
}

void *nxi_session_new_row(nx_session *s, const nx_entity *entity)
{
    if (s->ended || s->inner != NULL)
        return refuse(s, nxi_session_check(s, &s->error));
    const nxi_table *table = table_for(s, entity);
    if (table == NULL)
        return NULL;
    void *row = nxi_row_new(&s->root->arena, table, s->root);
    if (row == NULL || !nxi_workset_add_fresh(&s->root->rows, nxi_row_of(row)))
        return refuse(s, nxi_fail(&s->error, NX_ENOMEM, "no memory for a row of %s", entity->name));
    nxi_row_of(row)->stamp = s->root->rows.clock;
    s->has_acted = true;
    return row;
}

static nx_status check_added(const nx_session *s, const nxi_row *from, nx_error *error)
{
    const char *name = from->table->entity->name;
    nx_status status = nxi_session_check(s, error);

    if (status != NX_OK)
        return status;
    if (db_of(from->table)->loop != s->loop)
        return nxi_fail(error, NX_EINVAL, "the row of %s is of another loop", name);
    if (from->owner != NULL)
        return nxi_fail(error, NX_ESTATE, "the row of %s belongs to a session already", name);
    if (from->state == NXI_ROW_GONE)
        return nxi_fail(error, NX_ESTATE, "the row of %s is deleted", name);
    return NX_OK;
}

/* The baseline of another row: columns that it has loaded. */
static bool copy_baseline(const nxi_row *from, void *copy, nxi_arena *arena)
{
    const nxi_table *table = from->table;
    nx_value value;

    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        if (column->lazy && (from->lazy_missing >> column->lazy_bit & 1) != 0)
            continue;
        nxi_column_get(column, nxi_row_snapshot(nxi_row_data(from)), &value);
        if (!nxi_value_copy(arena, &value, &value) || !nxi_column_set(column, nxi_row_snapshot(copy), value, arena))
            return false;
    }
    return true;
}

/* What was changed before stays a change: the baseline is taken over as well. */
static void *copy_row(nx_session *root, const nxi_row *from)
{
    const nxi_table *table = from->table;
    void *copy = nxi_row_new(&root->arena, table, root);

    if (copy == NULL)
        return NULL;
    nxi_row_of(copy)->lazy_missing = from->lazy_missing;
    if (!nxi_row_copy(table, copy, nxi_row_data(from), &root->arena))
        return NULL;
    nxi_row_of(copy)->lazy_missing = from->lazy_missing;
    nxi_row_track(copy);
    if (from->state != NXI_ROW_NEW && (from->flags & NXI_ROW_TRACKED) != 0 && !copy_baseline(from, copy, &root->arena))
        return NULL;
    return copy;
}

/* In a transaction that has written, what is read may be undone: the baseline of before is kept. */
static bool keep_before_reading(nx_session *s, nxi_row *row)
{
    const nxi_part *part = nxi_session_part_of(s, row->table->db);
    bool nested = s->fate != s->root && row->stamp < s->fate->frame.start;

    if (!nested && (part == NULL || part->transaction == 0 || !part->wrote))
        return true;
    return nxi_frame_keep(nxi_session_frame(s), &s->root->frame, row);
}

/* All known rows are in the map; an object whose key was given to another row since stands for a row that is gone. */
static bool settle(nx_session *s)
{
    nxi_workset *ws = &s->root->rows;

    if (!nxi_workset_settle(ws))
        return false;
    for (; ws->displaced.count > 0; ws->displaced.count--) {
        nxi_row *row = ws->displaced.rows[ws->displaced.count - 1];
        if (row->state == NXI_ROW_GONE || row->state == NXI_ROW_NEW)
            continue;
        if (!keep_before_reading(s, row))
            return false;
        nxi_workset_drop(ws, row);
        row->state = NXI_ROW_GONE;
    }
    return true;
}

static bool is_stored(const nxi_row *row)
{
    return row != NULL && (row->state == NXI_ROW_STORED || row->state == NXI_ROW_EXPIRED || row->state == NXI_ROW_DELETING);
}

static bool has_stored(nxi_row *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_stored(rows[i]))
            return true;
    return false;
}

static nx_status refuse_gone(nxi_row *const *rows, size_t count, nx_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i] == NULL || rows[i]->state != NXI_ROW_GONE)
            continue;
        nx_status status = nxi_fail(error, NX_EOPTIMISTIC, "%s: the row was deleted, and its key given to another one",
                                    rows[i]->table->name);
        nxi_error_name(error->table, rows[i]->table->name);
        error->object = nxi_row_data(rows[i]);
        return status;
    }
    return NX_OK;
}

nx_status nxi_session_check_keys(nx_session *s, const nxi_plan_rows *rows, nx_error *error)
{
    nxi_workset *ws = &s->root->rows;

    if ((!ws->unsettled && ws->displaced.count == 0) ||
        !(has_stored(rows->known, rows->known_count) || has_stored(rows->deleting, rows->deleting_count)))
        return NX_OK;
    if (!settle(s))
        return nxi_fail(error, NX_ENOMEM, "no memory for the flush");
    nx_status status = refuse_gone(rows->known, rows->known_count, error);
    if (status == NX_OK)
        status = refuse_gone(rows->deleting, rows->deleting_count, error);
    nxi_workset_sweep_deletions(ws);
    return status;
}

void *nxi_session_add_row(nx_session *s, void *row)
{
    nx_session *root = s->root;
    const nxi_table *table = nxi_row_of(row)->table;

    if (check_added(s, nxi_row_of(row), &s->error) != NX_OK)
        return NULL;
    void *copy = settle(s) ? copy_row(root, nxi_row_of(row)) : NULL;
    if (copy == NULL)
        return refuse(s, nxi_fail(&s->error, NX_ENOMEM, "no memory for a row of %s", table->entity->name));
    nxi_row *header = nxi_row_of(copy);
    header->stamp = root->rows.clock;
    bool is_new = nxi_row_of(row)->state == NXI_ROW_NEW;
    const void *image = is_new ? copy : nxi_row_snapshot(copy);
    if (!is_new &&
        nxi_identity_find_row(&root->rows.identity, table, image, nxi_row_key_hash(table, image)) != NULL)
        return refuse(s,
                      nxi_fail(&s->error, NX_EUNIQUE, "the session knows another row of %s with this key", table->entity->name));
    header->state = is_new ? NXI_ROW_NEW : NXI_ROW_STORED;
    bool added = is_new ? nxi_workset_add_fresh(&root->rows, header)
                        : nxi_workset_add_known(&root->rows, header, db_of(table)->tables.count);
    if (!added)
        return refuse(s, nxi_fail(&s->error, NX_ENOMEM, "no memory for a row of %s", table->entity->name));
    s->has_acted = true;
    return copy;
}

/* ------------------------------------------------------------------------------ deleting, touching */

static nx_status no_memory_for_deletion(nx_session *s, const nxi_row *row)
{
    return nxi_fail(&s->error, NX_ENOMEM, "no memory to delete a row of %s", row->table->entity->name);
}

nx_status nxi_session_delete_row(nx_session *s, void *data)
{
    nxi_row *row = nxi_row_of(data);
    nx_session *root = s->root;
    nx_status status = nxi_session_check(s, &s->error);

    if (status != NX_OK)
        return status;
    if (row->owner != root)
        return nxi_fail(&s->error, NX_EINVAL, "the row of %s does not belong to this session", row->table->entity->name);
    if (root->leaving > 0)
        return nxi_fail(&s->error, NX_ESTATE, "operations of a nested session that was freed are in flight: wait for them first");
    s->has_acted = true;
    switch ((nxi_row_state)row->state) {
    case NXI_ROW_NEW:
        nxi_workset_drop(&root->rows, row);
        row->state = NXI_ROW_GONE;
        break;
    case NXI_ROW_STORED:
    case NXI_ROW_EXPIRED:
        if ((s->fate != root && !nxi_frame_keep(nxi_session_frame(s), &root->frame, row)) ||
            !nxi_workset_list_deletion(&root->rows, row))
            return no_memory_for_deletion(s, row);
        row->state = NXI_ROW_DELETING;
        break;
    case NXI_ROW_DELETING:
    case NXI_ROW_GONE: break;
    }
    return NX_OK;
}

void nxi_session_touch(void *data)
{
    nxi_row *row = nxi_row_of(data);
    nx_session *root = row->owner;

    if (root != NULL && root->options.changes == NX_CHANGES_TOUCHED && row->state != NXI_ROW_GONE &&
        !nxi_workset_list_touched(&root->rows, row))
        root->options.changes = NX_CHANGES_COMPARED; /* without memory for the list all rows are looked at */
}

/* ------------------------------------------------------------------------------ learning */

/* Columns that were not fetched say nothing. */
static bool differs(const void *row, const void *fetched)
{
    const nxi_table *table = nxi_row_of(row)->table;
    uint32_t missing = nxi_row_of(fetched)->lazy_missing;

    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        if ((!column->lazy || (missing >> column->lazy_bit & 1) == 0) && nxi_column_changed(column, row, fetched))
            return true;
    }
    return false;
}

/*
 * A row that is known: its object stays. Unchanged, it takes what the database has now; changed, it keeps values, baseline and
 * version, so that its flush finds what somebody else has done.
 */
static bool refresh(nx_session *s, nxi_row *row, const void *fetched)
{
    nx_session *root = s->root;
    const nxi_table *table = row->table;
    void *known = nxi_row_data(row);

    if ((row->state != NXI_ROW_STORED && row->state != NXI_ROW_EXPIRED) || nxi_row_changed(known))
        return true;
    bool lazy = (row->lazy_missing & ~nxi_row_of(fetched)->lazy_missing) != 0;
    if (lazy || differs(known, fetched)) {
        if (!keep_before_reading(s, row) || !nxi_row_copy(table, known, fetched, &root->arena))
            return false;
        nxi_row_track(known);
    } else if (s->fate != root && !keep_before_reading(s, row)) {
        return false;
    }
    nxi_frame_stamp(&root->frame, row, nxi_session_now(s));
    row->state = NXI_ROW_STORED;
    row->flags &= (uint16_t) ~(NXI_ROW_MADE_UNKNOWN | NXI_ROW_DOUBTFUL);
    return true;
}

/* References to rows that are known get their pointer. */
static void resolve_references(nx_session *root, void *row)
{
    const nxi_table *table = nxi_row_of(row)->table;
    nx_value key[16];

    if (nxi_row_changed(row))
        return; /* what the user has set stays */
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        if (column->form != NXI_FORM_REFERENCE || column->key_part != 0 || column->target->key_count > NXI_COUNT(key))
            continue;
        for (size_t part = 0; part < column->target->key_count; part++)
            nxi_column_get(&table->columns[i + part], row, &key[part]);
        nx_reference *reference = (void *)((char *)row + column->offset);
        if (key[0].type == NX_TYPE_null)
            continue;
        void *found = nxi_identity_find(&root->rows.identity, column->target, key);
        /* The row that it pointed to is gone: what is left of it is its key. */
        if (found == NULL && reference->row != NULL && column->target->key_count == 1)
            reference->key = (nx_key){ .value = key[0], .part_count = 1 };
        reference->row = found;
        *(nx_reference *)(void *)((char *)nxi_row_snapshot(row) + column->offset) = *reference;
    }
}

static bool has_references(const nxi_table *table)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].form == NXI_FORM_REFERENCE)
            return true;
    return false;
}

enum { LEARN_AHEAD = 16 };

/* One row of a result: it becomes known, or gives way to the object that is. */
static bool learn_row(nx_session *s, nxi_known *known, void **row, uint64_t hash, uint32_t now)
{
    nxi_workset *ws = &s->root->rows;
    const nxi_table *table = nxi_row_of(*row)->table;
    void *object = nxi_identity_find_row(&ws->identity, table, *row, hash);

    if (object != NULL) {
        bool good = refresh(s, nxi_row_of(object), *row);
        *row = object;
        db_of(table)->stats.identity_hits++;
        return good;
    }
    if (!nxi_identity_add(&ws->identity, *row, hash))
        return false;
    nxi_row *header = nxi_row_of(*row);
    header->stamp = now;
    header->place = (uint32_t)known->list.count;
    known->list.rows[known->list.count++] = header; /* the room is reserved */
    known->list.held++;
    return true;
}

bool nxi_session_learn(nx_session *s, void **rows, size_t count, nxi_arena *arena)
{
    nxi_workset *ws = &s->root->rows;
    const nxi_table *table = nxi_row_of(rows[0])->table;
    if (NXI_UNLIKELY(db_of(table)->freeing))
        return true; /* they are the operation's, and go with it */
    nxi_known *known = nxi_workset_known_made(ws, table, db_of(table)->tables.count);
    uint64_t hashes[LEARN_AHEAD];
    uint32_t now = nxi_session_now(s);

    bool learned = known != NULL && settle(s) && nxi_map_reserve(&ws->identity.map, count) &&
                   nxi_row_list_reserve(&ws->arena, &known->list, count);
    size_t before = known == NULL ? 0 : known->list.count;
    for (size_t start = 0; learned && start < count; start += LEARN_AHEAD) {
        size_t end = nxi_min_size(count, start + LEARN_AHEAD);
        /* A big map misses the cache at every look-up: ask for a run of slots first. */
        for (size_t i = start; i < end; i++) {
            hashes[i - start] = nxi_row_key_hash(table, rows[i]);
            nxi_map_prefetch(&ws->identity.map, hashes[i - start]);
        }
        for (size_t i = start; learned && i < end; i++)
            learned = learn_row(s, known, &rows[i], hashes[i - start], now);
    }
    if (known != NULL && known->unsettled == before)
        known->unsettled = known->list.count; /* all of them are in the map */
    /* New rows stay where they were decoded: the session takes the memory over, also when not all could be learned. */
    if (known != NULL && known->list.count > before)
        nxi_arena_adopt(&s->root->arena, arena);
    if (!learned)
        return false;
    if (has_references(table))
        for (size_t i = 0; i < count; i++)
            resolve_references(s->root, rows[i]);
    return true;
}

void *nxi_session_known(nx_session *s, const nxi_table *table, const nx_value *key)
{
    nxi_workset *ws = &s->root->rows;

    if (!settle(s))
        return NULL;
    void *row = nxi_identity_find(&ws->identity, table, key);
    return row != NULL && nxi_row_of(row)->table == table && nxi_workset_is_fresh(ws, nxi_row_of(row)) ? row : NULL;
}

/* ------------------------------------------------------------------------------ expiring */

static void expire_tree(nx_session *s, const nxi_table *table)
{
    const nx_db *db = table->db;

    for (size_t i = 0; i < db->tables.count; i++)
        if (db->tables.list[i].root == table->root)
            nxi_workset_expire(&s->root->rows, &db->tables.list[i]);
}

void nxi_session_touched(nx_session *s, const nxi_table *table, const nxi_touched *touched)
{
    if (touched->all)
        nxi_session_expire_db(s, table->db);
    for (size_t i = 0; i < touched->count && !touched->all; i++)
        expire_tree(s, touched->tables[i]);
}

void nxi_session_expire(nx_session *s, const nxi_table *table, bool deleted)
{
    expire_tree(s, table);
    nxi_session_touched(s, table, deleted ? &table->deletes_touch : &table->updates_touch);
}

void nxi_session_expire_db(nx_session *s, const nx_db *db)
{
    nxi_workset_expire_db(&s->root->rows, db);
}
