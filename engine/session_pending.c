/*
 * session_pending - what of a session is pending: which rows a flush looks at, and what a query could see of them.
 *
 * New rows and deletions are listed. Changes of known rows are found by comparing each with its baseline: of those tables
 * only that a query could see, and not at all where the program names the rows that it changes (NX_CHANGES_TOUCHED).
 */
#include "engine/session.h"
#include "engine/uow.h"

static bool list_has_db(const nxi_row_list *list, const nx_db *db)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->rows[i] != NULL && list->rows[i]->table->db == db)
            return true;
    return false;
}

/* Its changes count: also those that were made since it expired, or they would be lost silently. */
static bool is_written(const nxi_row *row)
{
    return row->state == NXI_ROW_STORED || row->state == NXI_ROW_EXPIRED;
}

static bool is_changed(const nxi_row *row)
{
    return is_written(row) && nxi_row_changed(nxi_row_data(row));
}

static bool table_is_changed(const nx_session *root, const nxi_table *table)
{
    const nxi_known *known = nxi_workset_known(&root->rows, table);

    for (size_t i = 0; known != NULL && i < known->list.count; i++)
        if (known->list.rows[i] != NULL && is_changed(known->list.rows[i]))
            return true;
    return false;
}

static bool touched_is_changed(const nx_session *root, const nx_db *db)
{
    for (size_t i = 0; i < root->rows.touched.count; i++)
        if (root->rows.touched.rows[i]->table->db == db && is_changed(root->rows.touched.rows[i]))
            return true;
    return false;
}

/* What is written to one table can be seen in another one: by a trigger, or because it is a view. */
static bool shows_other_tables(const nx_db *db)
{
    for (size_t i = 0; i < db->tables.count; i++)
        if (db->tables.list[i].has_triggers || db->tables.list[i].is_view)
            return true;
    return false;
}

static bool is_seen(const nxi_select *select, const nxi_table *table)
{
    if (select->table->root == table->root)
        return true;
    for (size_t i = 0; i < select->join_count; i++)
        if (select->joins[i].table->root == table->root)
            return true;
    return false;
}

static bool known_is_changed(const nx_session *root, const nxi_sight *sight)
{
    const nx_db *db = sight->db;
    bool all = sight->select == NULL || shows_other_tables(db);

    if (root->options.changes == NX_CHANGES_TOUCHED)
        return touched_is_changed(root, db);
    for (size_t i = 0; i < db->tables.count; i++)
        if ((all || is_seen(sight->select, &db->tables.list[i])) && table_is_changed(root, &db->tables.list[i]))
            return true;
    return false;
}

enum { KEY_PARTS_MAX = 16 };

/* A row that is known and up to date is answered from memory; one that is not could only be met by its own changes. */
static bool key_is_dirty(nx_session *s, const nxi_sight *sight, bool listed)
{
    nx_session *root = s->root;
    const nxi_table *table = sight->select->table;
    nx_value key[KEY_PARTS_MAX];

    if (table->key_count > KEY_PARTS_MAX || !nxi_select_key(sight->select, key))
        return listed || known_is_changed(root, sight);
    if (nxi_session_known(s, table, key) != NULL)
        return false;
    void *row = nxi_identity_find(&root->rows.identity, table, key);
    return listed || (row != NULL && is_changed(nxi_row_of(row)));
}

bool nxi_session_is_dirty(nx_session *s, const nxi_sight *sight)
{
    const nx_session *root = s->root;

    if (sight->db == NULL || !sight->db->mapped)
        return false;
    bool listed = list_has_db(&root->rows.fresh, sight->db) || list_has_db(&root->rows.deleting, sight->db);
    if (sight->by_key && !sight->select->for_update)
        return key_is_dirty(s, sight, listed);
    return listed || known_is_changed(root, sight);
}

bool nxi_session_has_pending(nx_session *s, const nx_db *db)
{
    return nxi_session_is_dirty(s, &(nxi_sight){ .db = (nx_db *)(uintptr_t)db });
}

/* ------------------------------------------------------------------------------ for a flush */

typedef struct collected { nxi_row **rows; size_t count, capacity; } collected;

static bool collect_row(nxi_arena *arena, collected *list, nxi_row *row)
{
    if (list->count == list->capacity) {
        size_t capacity = nxi_max_size(list->capacity * 2, 64);
        nxi_row **rows = nxi_arena_get(arena, capacity * sizeof(*rows), 16);
        if (rows == NULL)
            return false;
        if (list->count > 0)
            memcpy(rows, list->rows, list->count * sizeof(*rows));
        list->rows = rows;
        list->capacity = capacity;
    }
    list->rows[list->count++] = row;
    return true;
}

/* What was set again to an equal value in other memory is the program's memory: the row goes back to its own. */
static bool look_at(nx_session *root, nxi_arena *arena, collected *list, nxi_row *row)
{
    void *data = nxi_row_data(row);

    if (!is_written(row) || nxi_row_is_same_bytes(data))
        return true;
    if (nxi_row_changed(data))
        return collect_row(arena, list, row);
    return !row->table->has_pointers || nxi_row_own_all(data, &root->arena);
}

static bool collect_changed(nx_session *root, const nx_db *db, nxi_arena *arena, collected *list)
{
    const nxi_known_tables *of = root->rows.known;

    if (root->options.changes == NX_CHANGES_TOUCHED) {
        for (size_t i = 0; i < root->rows.touched.count; i++)
            if (root->rows.touched.rows[i]->table->db == db && !look_at(root, arena, list, root->rows.touched.rows[i]))
                return false;
        return true;
    }
    while (of != NULL && of->db != db)
        of = of->next;
    for (size_t t = 0; of != NULL && t < of->table_count; t++)
        for (size_t i = 0; i < of->tables[t].list.count; i++)
            if (of->tables[t].list.rows[i] != NULL && !look_at(root, arena, list, of->tables[t].list.rows[i]))
                return false;
    return true;
}

nx_status nxi_row_refuse_doubtful(const nxi_row *row, nx_error *error)
{
    nx_status status = nxi_fail(error, NX_ESTATE,
                                "whether the last write of this row of %s was committed is not known: read it again (nx_refresh)",
                                row->table->entity->name);
    error->object = nxi_row_data(row);
    return status;
}

static nx_status check_doubts(const nx_db *db, nxi_row *const *rows, size_t count, nx_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i] != NULL && rows[i]->table->db == db && (rows[i]->flags & NXI_ROW_DOUBTFUL) != 0)
            return nxi_row_refuse_doubtful(rows[i], error);
    return NX_OK;
}

nx_status nxi_session_collect(nx_session *s, const nx_db *db, nxi_arena *arena, nxi_plan_rows *ret_rows, nx_error *error)
{
    nx_session *root = s->root;
    collected changed = { .rows = NULL };

    if (!collect_changed(root, db, arena, &changed))
        return nxi_fail(error, NX_ENOMEM, "no memory for the flush");
    *ret_rows = (nxi_plan_rows){ .fresh = root->rows.fresh.rows,
                                 .fresh_count = root->rows.fresh.count,
                                 .known = changed.rows,
                                 .known_count = changed.count,
                                 .deleting = root->rows.deleting.rows,
                                 .deleting_count = root->rows.deleting.count };
    if (NXI_LIKELY(!root->has_doubts))
        return NX_OK;
    nx_status status = check_doubts(db, ret_rows->fresh, ret_rows->fresh_count, error);
    if (status == NX_OK)
        status = check_doubts(db, ret_rows->known, ret_rows->known_count, error);
    if (status == NX_OK)
        status = check_doubts(db, ret_rows->deleting, ret_rows->deleting_count, error);
    return status;
}
