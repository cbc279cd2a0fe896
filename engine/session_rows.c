/*
 * session_rows - the rows of a session: made, added, learned from queries, expired, undone.
 */
#include "engine/planner.h"
#include "engine/session.h"

static void *refuse(nx_session *s, nx_status status)
{
    s->error.status = status;
    return NULL;
}

static void append_new(nx_session *root, nxi_row *header)
{
    header->next = NULL;
    if (root->new_last == NULL)
        root->new_first = header;
    else
        root->new_last->next = header;
    root->new_last = header;
}

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
    if (row == NULL)
        return refuse(s, nxi_fail(&s->error, NX_ENOMEM, "no memory for a row of %s", entity->name));
    nxi_row_of(row)->spare = s->root->number;
    append_new(s->root, nxi_row_of(row));
    return row;
}

void *nxi_session_add_row(nx_session *s, void *row)
{
    nx_session *root = s->root;
    const nxi_row *from = nxi_row_of(row);
    const nxi_table *table = from->table;
    bool is_new = from->state == NXI_ROW_NEW;

    if (s->ended || s->inner != NULL)
        return refuse(s, nxi_session_check(s, &s->error));
    if (((nx_db *)table->db)->loop != s->loop)
        return refuse(s, nxi_fail(&s->error, NX_EINVAL, "the row of %s is of another loop", table->entity->name));
    if (from->owner != NULL)
        return refuse(s, nxi_fail(&s->error, NX_ESTATE, "the row of %s belongs to a session already", table->entity->name));
    if (from->state == NXI_ROW_GONE)
        return refuse(s, nxi_fail(&s->error, NX_ESTATE, "the row of %s is deleted", table->entity->name));
    void *copy = nxi_row_new(&root->arena, table, root);
    if (copy == NULL || !nxi_identity_settle(&root->identity))
        return refuse(s, nxi_fail(&s->error, NX_ENOMEM, "no memory for a row of %s", table->entity->name));
    nxi_row *header = nxi_row_of(copy);
    header->lazy_missing = from->lazy_missing;
    header->spare = root->number;
    if (!nxi_row_copy(table, copy, row, &root->arena))
        return refuse(s, nxi_fail(&s->error, NX_ENOMEM, "no memory for a row of %s", table->entity->name));
    if (is_new) {
        append_new(root, header);
        return copy;
    }
    /* What was changed before stays a change: the snapshot is taken over as well. */
    nxi_row_track(copy);
    if ((from->flags & NXI_ROW_TRACKED) != 0 && !nxi_row_copy(table, nxi_row_snapshot(copy), nxi_row_snapshot(row), &root->arena))
        return refuse(s, nxi_fail(&s->error, NX_ENOMEM, "no memory for a row of %s", table->entity->name));
    uint64_t hash = nxi_row_key_hash(table, copy);
    if (nxi_identity_find_row(&root->identity, table, copy, hash) != NULL)
        return refuse(s,
                      nxi_fail(&s->error, NX_EUNIQUE, "the session knows another row of %s with this key", table->entity->name));
    header->state = NXI_ROW_STORED;
    if (!nxi_identity_add(&root->identity, copy, hash))
        return refuse(s, nxi_fail(&s->error, NX_ENOMEM, "no memory for a row of %s", table->entity->name));
    nxi_identity_append(&root->identity, header, header);
    return copy;
}

static void unlink_new(nx_session *root, const nxi_row *header)
{
    nxi_row *before = NULL;

    for (nxi_row **link = &root->new_first; *link != NULL; before = *link, link = &(*link)->next)
        if (*link == header) {
            *link = header->next;
            if (root->new_last == header)
                root->new_last = before;
            return;
        }
}

nx_status nxi_session_delete_row(nx_session *s, void *row)
{
    nxi_row *header = nxi_row_of(row);
    nx_status status = nxi_session_check(s, &s->error);

    if (status != NX_OK)
        return status;
    if (header->owner != s->root)
        return nxi_fail(&s->error, NX_EINVAL, "the row of %s does not belong to this session", header->table->entity->name);
    if (header->state == NXI_ROW_NEW) {
        unlink_new(s->root, header);
        header->state = NXI_ROW_GONE;
    } else if (header->state != NXI_ROW_GONE) {
        header->state = NXI_ROW_DELETING;
    }
    return NX_OK;
}

/* ------------------------------------------------------------------------------ learning */

static bool differs(const nxi_table *table, const void *row, const void *fetched)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (nxi_column_changed(&table->columns[i], row, fetched))
            return true;
    return false;
}

/* A row that is known: its object stays; what it holds follows the database unless the user changed it. */
static bool refresh(nx_session *root, void *known, const void *fetched)
{
    nxi_row *header = nxi_row_of(known);
    const nxi_table *table = header->table;
    bool clean = memcmp(known, nxi_row_snapshot(known), table->row_size) == 0;

    if (header->state != NXI_ROW_STORED && header->state != NXI_ROW_EXPIRED)
        return true;
    if (!clean)
        return true;
    if ((header->lazy_missing & ~nxi_row_of(fetched)->lazy_missing) != 0 || differs(table, known, fetched)) {
        if (!nxi_row_copy(table, known, fetched, &root->arena))
            return false;
        nxi_row_track(known);
    }
    header->state = NXI_ROW_STORED;
    return true;
}

/* References to rows that are known get their pointer. */
static void resolve_references(nx_session *root, void *row)
{
    const nxi_table *table = nxi_row_of(row)->table;
    nx_value key[16];

    if (!nxi_row_is_same(nxi_row_of(row)))
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
        void *found = nxi_identity_find(&root->identity, column->target, key);
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

bool nxi_session_learn(nx_session *s, void **rows, size_t count, nxi_arena *arena)
{
    nx_session *root = s->root;
    nxi_identity *identity = &root->identity;
    const nxi_table *table = nxi_row_of(rows[0])->table;
    nxi_row *first = NULL, *last = NULL;
    uint64_t hashes[LEARN_AHEAD];

    bool learned = nxi_identity_settle(identity) && nxi_map_reserve(&identity->map, count);
    for (size_t start = 0; learned && start < count; start += LEARN_AHEAD) {
        size_t end = nxi_min_size(count, start + LEARN_AHEAD);
        /* A big map misses the cache at every look-up: ask for a run of slots first. */
        for (size_t i = start; i < end; i++) {
            hashes[i - start] = nxi_row_key_hash(table, rows[i]);
            nxi_map_prefetch(&identity->map, hashes[i - start]);
        }
        for (size_t i = start; learned && i < end; i++) {
            void *known = nxi_identity_find_row(identity, table, rows[i], hashes[i - start]);
            if (known != NULL) {
                learned = refresh(root, known, rows[i]);
                rows[i] = known;
                ((nx_db *)table->db)->stats.identity_hits++;
                continue;
            }
            nxi_row *header = nxi_row_of(rows[i]);
            learned = nxi_identity_add(identity, rows[i], hashes[i - start]);
            if (!learned)
                break;
            header->next = NULL;
            if (last == NULL)
                first = header;
            else
                last->next = header;
            last = header;
        }
    }
    bool settled = identity->unsettled == NULL;
    nxi_identity_append(identity, first, last);
    if (settled)
        identity->unsettled = NULL; /* all of them are in the map */
    /* New rows stay where they were decoded: the session takes the memory over, also when not all could be learned. */
    if (first != NULL)
        nxi_arena_adopt(&root->arena, arena);
    if (!learned)
        return false;
    if (has_references(table))
        for (size_t i = 0; i < count; i++)
            resolve_references(root, rows[i]);
    return true;
}

/* ------------------------------------------------------------------------------ undoing */

static void expire(nxi_row *header)
{
    if (header->state == NXI_ROW_STORED || header->state == NXI_ROW_DELETING) {
        header->state = NXI_ROW_EXPIRED;
        nxi_row_track(nxi_row_data(header));
    }
}

void nxi_session_expire(nx_session *s, const nxi_table *table)
{
    for (nxi_row *header = s->root->identity.first; header != NULL; header = header->next)
        if (header->table->root == table->root && header->state == NXI_ROW_STORED)
            expire(header);
}

void nxi_session_expire_all(nx_session *root)
{
    for (nxi_row *header = root->identity.first; header != NULL; header = header->next)
        expire(header);
}

static bool was_made_since(const nxi_row *header, uint16_t since)
{
    return (header->flags & NXI_ROW_WAS_NEW) != 0 && header->spare >= since;
}

static void make_new_again(nx_session *root, nxi_row *header)
{
    void *row = nxi_row_data(header);

    nxi_identity_remove(&root->identity, row);
    if ((header->flags & NXI_ROW_KEY_MADE) != 0)
        nxi_row_clear_key(header->table, row);
    header->state = NXI_ROW_NEW;
    header->flags &= (uint8_t) ~(NXI_ROW_WAS_NEW | NXI_ROW_KEY_MADE);
}

/* `since`: what was written under that number or a later one is undone. Rows that were made and deleted since stay gone. */
static void bring_back(nx_session *root, uint16_t since)
{
    for (; root->gone != NULL && root->gone->number >= since; root->gone = root->gone->next) {
        void *row = root->gone->row;
        nxi_row *header = nxi_row_of(row);
        if (header->state != NXI_ROW_GONE || was_made_since(header, since))
            continue;
        if (!nxi_identity_add(&root->identity, row, nxi_row_key_hash(header->table, nxi_row_snapshot(row))))
            continue; /* no memory: it will be loaded as another object */
        header->state = NXI_ROW_STORED;
        expire(header);
    }
}

/* When numbers begin again no row may still carry an old one. */
void nxi_session_next_number(nx_session *root)
{
    if (++root->number != 0)
        return;
    root->number = 1;
    for (nxi_row *header = root->identity.first; header != NULL; header = header->next) {
        header->spare = 0;
        header->flags &= (uint8_t)~NXI_ROW_WAS_NEW;
    }
}

/* Rows that are new again come before those that were never written: in the order of their making, as before. */
static void undo_since(nx_session *root, uint16_t since, const nx_db *only)
{
    nxi_row *again;

    if (!nxi_identity_settle(&root->identity))
        root->failed = true;
    bring_back(root, since);
    for (nxi_row *header = root->identity.first; header != NULL; header = header->next) {
        if (only != NULL && header->table->db != only)
            continue;
        if (header->state != NXI_ROW_NEW && header->state != NXI_ROW_GONE && was_made_since(header, since))
            make_new_again(root, header);
        else
            expire(header);
        if (header->state == NXI_ROW_NEW)
            header->flags |= NXI_ROW_LISTED;
    }
    again = nxi_identity_sweep(&root->identity, NXI_ROW_LISTED);
    if (again != NULL) {
        nxi_row *last = again;
        for (nxi_row *header = again; header != NULL; header = header->next) {
            header->flags &= (uint8_t)~NXI_ROW_LISTED;
            last = header;
        }
        last->next = root->new_first;
        root->new_first = again;
        if (root->new_last == NULL)
            root->new_last = last;
    }
    nxi_session_next_number(root);
}

void nxi_session_undo(nx_session *root)
{
    undo_since(root, root->transaction_number, NULL);
    root->transaction_number = root->number;
}

void nxi_session_undo_db(nx_session *root, const nx_db *db)
{
    undo_since(root, root->transaction_number, db);
}

bool nxi_session_save_images(nx_session *s)
{
    nx_session *root = s->root;
    nxi_row *lists[2] = { root->new_first, root->identity.first };

    for (size_t l = 0; l < NXI_COUNT(lists); l++)
        for (nxi_row *header = lists[l]; header != NULL; header = header->next) {
            void *row = nxi_row_data(header);
            size_t size = header->table->row_size;
            bool dirty = l == 0 || header->state == NXI_ROW_DELETING ||
                         (header->state == NXI_ROW_STORED && memcmp(row, nxi_row_snapshot(row), size) != 0);
            if (!dirty)
                continue;
            nxi_saved *saved = NXI_ARENA_NEW(&s->arena, nxi_saved);
            void *image = nxi_arena_get(&s->arena, 2 * size, 16);
            if (saved == NULL || image == NULL)
                return false;
            memcpy(image, row, 2 * size);
            *saved = (nxi_saved){ s->saved, row, image, header->state };
            s->saved = saved;
        }
    nxi_session_next_number(root);
    s->number = root->number;
    return true;
}

void nxi_session_undo_nested(nx_session *s)
{
    nx_session *root = s->root;
    nxi_row *last = NULL;

    undo_since(root, s->number, NULL);
    /* What was pending when it began is pending again, as it was. */
    for (nxi_saved *saved = s->saved; saved != NULL; saved = saved->next) {
        nxi_row *header = nxi_row_of(saved->row);
        memcpy(saved->row, saved->image, 2 * header->table->row_size);
        header->state = saved->state;
        if (saved->state == NXI_ROW_NEW)
            header->flags |= NXI_ROW_LISTED;
    }
    /* What it made itself is forgotten. */
    for (nxi_row **link = &root->new_first; *link != NULL;) {
        nxi_row *header = *link;
        if (header->spare >= s->number && (header->flags & NXI_ROW_LISTED) == 0) {
            *link = header->next;
            header->next = NULL;
            continue;
        }
        header->flags &= (uint8_t)~NXI_ROW_LISTED;
        last = header;
        link = &header->next;
    }
    root->new_last = last;
}
