/*
 * workset - lists of rows, their freshness, and the late filling of the identity map.
 */
#include "engine/workset.h"

enum { MAP_KEPT_MAX = 1024, PACK_MIN = 64 };

/* ------------------------------------------------------------------------------ lists */

bool nxi_row_list_reserve(nxi_arena *arena, nxi_row_list *list, size_t more)
{
    size_t wanted;

    if (NXI_LIKELY(list->capacity - list->count >= more))
        return true;
    if (!nxi_add_size(list->count, more, &wanted) || wanted > UINT32_MAX)
        return false;
    size_t capacity = nxi_max_size(wanted, list->capacity == 0 ? 16 : list->capacity * 2);
    nxi_row **rows = nxi_arena_get(arena, capacity * sizeof(*rows), 16);
    if (rows == NULL)
        return false;
    if (list->count > 0)
        memcpy(rows, list->rows, list->count * sizeof(*rows));
    list->rows = rows;
    list->capacity = capacity;
    return true;
}

bool nxi_row_list_add(nxi_arena *arena, nxi_row_list *list, nxi_row *row)
{
    if (!nxi_row_list_reserve(arena, list, 1))
        return false;
    row->place = (uint32_t)list->count;
    list->rows[list->count++] = row;
    list->held++;
    return true;
}

/* Holes at the end go at once; others when they are most of the list: a removal costs the same on average. */
bool nxi_row_list_remove(nxi_row_list *list, nxi_row *row)
{
    NX_ASSERT(row->place < list->count && list->rows[row->place] == row);
    list->rows[row->place] = NULL;
    list->held--;
    while (list->count > 0 && list->rows[list->count - 1] == NULL)
        list->count--;
    if (list->count < PACK_MIN || list->held >= list->count / 2)
        return false;
    size_t at = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->rows[i] == NULL)
            continue;
        list->rows[i]->place = (uint32_t)at;
        list->rows[at++] = list->rows[i];
    }
    list->count = at;
    return true;
}

/* ------------------------------------------------------------------------------ life */

void nxi_workset_init(nxi_workset *ws, nxi_memory *memory)
{
    nxi_map map = ws->identity.map;

    *ws = (nxi_workset){ .memory = memory, .clock = 1 };
    ws->identity.map = map;
    ws->identity.map.memory = memory;
    nxi_arena_init(&ws->arena, memory);
}

void nxi_workset_fini(nxi_workset *ws)
{
    ws->known = NULL;
    ws->fresh = ws->deleting = ws->touched = (nxi_row_list){ .rows = NULL };
    nxi_arena_fini(&ws->arena);
    if (ws->identity.map.capacity > MAP_KEPT_MAX)
        nxi_map_fini(&ws->identity.map);
    else
        nxi_map_clear(&ws->identity.map);
}

static nxi_known_tables *tables_of(const nxi_workset *ws, const void *db)
{
    for (nxi_known_tables *of = ws->known; of != NULL; of = of->next)
        if (of->db == db)
            return of;
    return NULL;
}

nxi_known *nxi_workset_known(const nxi_workset *ws, const nxi_table *table)
{
    const nxi_known_tables *of = tables_of(ws, table->db);

    return of == NULL ? NULL : &of->tables[table->index];
}

nxi_known *nxi_workset_known_made(nxi_workset *ws, const nxi_table *table, size_t table_count)
{
    nxi_known_tables *of = tables_of(ws, table->db);

    if (NXI_LIKELY(of != NULL))
        return &of->tables[table->index];
    NX_ASSERT(table->index < table_count);
    of = NXI_ARENA_NEW(&ws->arena, nxi_known_tables);
    nxi_known *tables = NXI_ARENA_ARRAY(&ws->arena, nxi_known, table_count);
    if (of == NULL || tables == NULL)
        return NULL;
    *of = (nxi_known_tables){ .db = table->db, .tables = tables, .table_count = table_count, .next = ws->known };
    ws->known = of;
    return &of->tables[table->index];
}

/* ------------------------------------------------------------------------------ rows */

bool nxi_workset_add_fresh(nxi_workset *ws, nxi_row *row)
{
    return nxi_row_list_add(&ws->arena, &ws->fresh, row);
}

bool nxi_workset_add_known(nxi_workset *ws, nxi_row *row, size_t table_count)
{
    nxi_known *known = nxi_workset_known_made(ws, row->table, table_count);

    if (known == NULL || !nxi_row_list_add(&ws->arena, &known->list, row))
        return false;
    ws->unsettled = true;
    return true;
}

void nxi_workset_drop(nxi_workset *ws, nxi_row *row)
{
    nxi_known *known = nxi_workset_known(ws, row->table);

    nxi_identity_remove(&ws->identity, nxi_row_data(row));
    if (row->place < ws->fresh.count && ws->fresh.rows[row->place] == row) {
        (void)nxi_row_list_remove(&ws->fresh, row);
    } else if (known != NULL && row->place < known->list.count && known->list.rows[row->place] == row) {
        /* Where places have moved, rows that are in the map are passed over again. */
        if (nxi_row_list_remove(&known->list, row) && ws->unsettled)
            known->unsettled = 0;
        known->unsettled = nxi_min_size(known->unsettled, known->list.count);
    }
}

static void forget_in_list(nxi_row_list *list, const void *db)
{
    size_t at = 0;

    for (size_t i = 0; i < list->count; i++) {
        nxi_row *row = list->rows[i];
        if (row == NULL || row->table->db == db)
            continue;
        list->rows[at++] = row;
    }
    list->count = list->held = at;
}

void nxi_workset_forget_db(nxi_workset *ws, const void *db)
{
    forget_in_list(&ws->fresh, db);
    for (size_t i = 0; i < ws->fresh.count; i++)
        ws->fresh.rows[i]->place = (uint32_t)i;
    forget_in_list(&ws->deleting, db);
    forget_in_list(&ws->touched, db);
    forget_in_list(&ws->displaced, db);
    for (nxi_known_tables **link = &ws->known; *link != NULL; link = &(*link)->next) {
        nxi_known_tables *of = *link;
        if (of->db != db)
            continue;
        for (size_t t = 0; t < of->table_count; t++)
            for (size_t i = 0; i < of->tables[t].list.count; i++)
                if (of->tables[t].list.rows[i] != NULL)
                    nxi_identity_remove(&ws->identity, nxi_row_data(of->tables[t].list.rows[i]));
        *link = of->next;
        return;
    }
}

/* ------------------------------------------------------------------------------ the identity map */

static bool settle_row(nxi_workset *ws, nxi_row *row)
{
    const void *data = (row->flags & NXI_ROW_TRACKED) != 0 ? nxi_row_snapshot(nxi_row_data(row)) : nxi_row_data(row);
    uint64_t hash = nxi_row_key_hash(row->table, data);
    void *other = nxi_identity_find_row(&ws->identity, row->table, data, hash);

    if (other != NULL) {
        bool is_later = nxi_row_of(other)->stamp > row->stamp;
        if (!nxi_row_list_reserve(&ws->arena, &ws->displaced, 1))
            return false;
        ws->displaced.rows[ws->displaced.count++] = is_later ? row : nxi_row_of(other); /* its place is in another list */
        if (is_later)
            return true;
        nxi_identity_remove(&ws->identity, other);
    }
    bool added = nxi_identity_add(&ws->identity, nxi_row_data(row), hash);
    NX_ASSERT(added); /* the room was reserved */
    return true;
}

static bool settle(nxi_workset *ws, nxi_known *known)
{
    const nxi_row_list *list = &known->list;

    if (!nxi_map_reserve(&ws->identity.map, list->count - known->unsettled))
        return false;
    for (size_t i = known->unsettled; i < list->count; i++) {
        nxi_row *row = list->rows[i];
        if (row != NULL && (row->flags & NXI_ROW_MAPPED) == 0 && !settle_row(ws, row))
            return false;
    }
    known->unsettled = list->count;
    return true;
}

bool nxi_workset_settle(nxi_workset *ws)
{
    if (!ws->unsettled)
        return true;
    for (nxi_known_tables *of = ws->known; of != NULL; of = of->next)
        for (size_t t = 0; t < of->table_count; t++)
            if (of->tables[t].unsettled < of->tables[t].list.count && !settle(ws, &of->tables[t]))
                return false;
    ws->unsettled = false;
    return true;
}

/* ------------------------------------------------------------------------------ freshness */

/*
 * Only between transactions, where no stamp is compared with the beginning of one. A stale row becomes EXPIRED, all others
 * are older than whatever comes.
 */
void nxi_workset_restart_clock(nxi_workset *ws)
{
    for (nxi_known_tables *of = ws->known; of != NULL; of = of->next)
        for (size_t t = 0; t < of->table_count; t++) {
            nxi_known *known = &of->tables[t];
            for (size_t i = 0; i < known->list.count; i++) {
                nxi_row *row = known->list.rows[i];
                if (row != NULL && row->state == NXI_ROW_STORED && row->stamp < known->stale_before)
                    row->state = NXI_ROW_EXPIRED;
                if (row != NULL)
                    row->stamp = 0;
            }
            known->stale_before = 0;
        }
    for (size_t i = 0; i < ws->fresh.count; i++)
        if (ws->fresh.rows[i] != NULL)
            ws->fresh.rows[i]->stamp = 0;
    ws->clock = 1;
}

bool nxi_workset_is_stale(const nxi_workset *ws, const nxi_row *row)
{
    const nxi_known *known = nxi_workset_known(ws, row->table);

    return known != NULL && row->stamp < known->stale_before;
}

bool nxi_workset_is_fresh(const nxi_workset *ws, const nxi_row *row)
{
    return row->state == NXI_ROW_STORED && (row->flags & (NXI_ROW_MADE_UNKNOWN | NXI_ROW_DOUBTFUL)) == 0 &&
           !nxi_workset_is_stale(ws, row);
}

void nxi_workset_expire(nxi_workset *ws, const nxi_table *table)
{
    nxi_known_tables *of = tables_of(ws, table->db);

    if (of != NULL)
        of->tables[table->index].stale_before = nxi_workset_tick(ws);
}

void nxi_workset_expire_db(nxi_workset *ws, const void *db)
{
    nxi_known_tables *of = tables_of(ws, db);

    if (of == NULL)
        return;
    uint32_t now = nxi_workset_tick(ws);
    for (size_t t = 0; t < of->table_count; t++)
        of->tables[t].stale_before = now;
}

/* ------------------------------------------------------------------------------ deletions, touched rows */

static bool list_once(nxi_workset *ws, nxi_row_list *list, nxi_row *row, uint16_t flag)
{
    if ((row->flags & flag) != 0)
        return true;
    if (!nxi_row_list_reserve(&ws->arena, list, 1))
        return false;
    list->rows[list->count++] = row; /* its place is that of its other list */
    list->held++;
    row->flags |= flag;
    return true;
}

bool nxi_workset_list_deletion(nxi_workset *ws, nxi_row *row)
{
    return list_once(ws, &ws->deleting, row, NXI_ROW_DELETE_LISTED);
}

bool nxi_workset_list_touched(nxi_workset *ws, nxi_row *row)
{
    return list_once(ws, &ws->touched, row, NXI_ROW_TOUCHED);
}

static bool still_touched(const nxi_row *row)
{
    return (row->state == NXI_ROW_STORED || row->state == NXI_ROW_EXPIRED) && nxi_row_changed(nxi_row_data(row));
}

static bool still_deleting(const nxi_row *row)
{
    return row->state == NXI_ROW_DELETING;
}

static void sweep(nxi_row_list *list, uint16_t flag, bool (*stays)(const nxi_row *row))
{
    size_t at = 0;

    for (size_t i = 0; i < list->count; i++) {
        nxi_row *row = list->rows[i];
        if (stays(row))
            list->rows[at++] = row;
        else
            row->flags &= (uint16_t)~flag;
    }
    list->count = list->held = at;
}

void nxi_workset_sweep_deletions(nxi_workset *ws)
{
    sweep(&ws->deleting, NXI_ROW_DELETE_LISTED, still_deleting);
}

void nxi_workset_sweep_touched(nxi_workset *ws)
{
    sweep(&ws->touched, NXI_ROW_TOUCHED, still_touched);
}
