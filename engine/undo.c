/*
 * undo - images and frames, and the ways back.
 */
#include "engine/undo.h"

enum { LIST_FLAGS = NXI_ROW_MAPPED | NXI_ROW_DELETE_LISTED | NXI_ROW_TOUCHED | NXI_ROW_MARKED };

/* ------------------------------------------------------------------------------ frames */

void nxi_frame_begin(nxi_frame *frame, nxi_workset *ws)
{
    nxi_arena_init(&frame->arena, ws->memory);
    frame->images = NULL;
    frame->start = nxi_workset_tick(ws);
    frame->end = UINT32_MAX;
}

void nxi_frame_fini(nxi_frame *frame)
{
    nxi_arena_fini(&frame->arena);
    frame->images = NULL;
}

void nxi_frame_restart(nxi_frame *frame, nxi_workset *ws)
{
    nxi_arena_reset(&frame->arena);
    frame->images = NULL;
    if (NXI_UNLIKELY(nxi_workset_clock_is_old(ws)))
        nxi_workset_restart_clock(ws);
    frame->start = nxi_workset_tick(ws);
}

/*
 * What was pending when the nested session began need not have been when the outer one did: of that the outer frame has images of
 * its own, which are older.
 */
static void forget_pending(nxi_image *image)
{
    if (image->state == NXI_ROW_NEW)
        return;
    memcpy(image->bytes, image->bytes + image->row->table->row_size, image->row->table->row_size);
    if (image->state == NXI_ROW_DELETING)
        image->state = NXI_ROW_STORED;
}

void nxi_frame_merge(nxi_frame *outer, nxi_frame *inner)
{
    nxi_image **link = &inner->images;

    for (; *link != NULL; link = &(*link)->next)
        forget_pending(*link);
    *link = outer->images;
    outer->images = inner->images;
    inner->images = NULL;
    nxi_arena_adopt(&outer->arena, &inner->arena);
}

void nxi_frame_forget_db(nxi_frame *frame, const void *db)
{
    for (nxi_image **link = &frame->images; *link != NULL;)
        if ((*link)->row->table->db == db)
            *link = (*link)->next;
        else
            link = &(*link)->next;
}

/* ------------------------------------------------------------------------------ keeping */

/* `values`: what the struct was. */
static bool keep_image(nxi_frame *frame, nxi_row *row, const void *values)
{
    size_t size = row->table->row_size;
    nxi_image *image = NXI_ARENA_NEW(&frame->arena, nxi_image);
    char *bytes = nxi_arena_get(&frame->arena, 2 * size, 16);

    if (image == NULL || bytes == NULL)
        return false;
    memcpy(bytes, values, size);
    memcpy(bytes + size, nxi_row_snapshot(nxi_row_data(row)), size);
    *image = (nxi_image){ .next = frame->images,
                          .row = row,
                          .lazy_missing = row->lazy_missing,
                          .stamp = row->stamp,
                          .flags = row->flags,
                          .state = row->state,
                          .bytes = bytes };
    frame->images = image;
    return true;
}

/* What the flags of a row say of an earlier transaction. */
static void forget_earlier(const nxi_frame *root, nxi_row *row)
{
    if (row->stamp < root->start)
        row->flags &= (uint16_t) ~(NXI_ROW_IMAGED | NXI_ROW_WAS_NEW);
}

bool nxi_frame_keep(nxi_frame *frame, const nxi_frame *root, nxi_row *row)
{
    forget_earlier(root, row);
    if (row->stamp >= frame->start && (row->flags & NXI_ROW_IMAGED) != 0)
        return true;
    /* What was pending when the frame began was kept then: the row was as its baseline says. */
    if (!keep_image(frame, row, nxi_row_snapshot(nxi_row_data(row))))
        return false;
    row->flags |= NXI_ROW_IMAGED;
    return true;
}

void nxi_frame_stamp(const nxi_frame *root, nxi_row *row, uint32_t now)
{
    forget_earlier(root, row);
    row->stamp = now;
}

/* A new row has no snapshot that could own what it points to. */
static bool capture_row(nxi_frame *frame, nxi_row *row, nxi_arena *texts)
{
    void *data = nxi_row_data(row);
    bool owned = row->state == NXI_ROW_NEW ? nxi_row_own(data, texts) : nxi_row_own_all(data, texts);

    return owned && keep_image(frame, row, data);
}

static bool capture_known(nxi_frame *frame, const nxi_known *known, nxi_arena *texts)
{
    for (size_t i = 0; i < known->list.count; i++) {
        nxi_row *row = known->list.rows[i];
        if (row == NULL)
            continue;
        if ((row->state == NXI_ROW_DELETING || nxi_row_changed(nxi_row_data(row))) && !capture_row(frame, row, texts))
            return false;
    }
    return true;
}

bool nxi_frame_capture(nxi_frame *frame, nxi_workset *ws, nxi_arena *texts)
{
    for (size_t i = 0; i < ws->fresh.count; i++)
        if (ws->fresh.rows[i] != NULL && !capture_row(frame, ws->fresh.rows[i], texts))
            return false;
    for (const nxi_known_tables *of = ws->known; of != NULL; of = of->next)
        for (size_t t = 0; t < of->table_count; t++)
            if (!capture_known(frame, &of->tables[t], texts))
                return false;
    return true;
}

/* ------------------------------------------------------------------------------ both ways back */

static bool is_meant(const nxi_undoing *undo, const nxi_row *row)
{
    return undo->db == NULL || row->table->db == undo->db;
}

static bool happened_in(const nxi_frame *frame, uint32_t stamp)
{
    return stamp >= frame->start && stamp < frame->end;
}

static bool is_in(const nxi_row_list *list, const nxi_row *row)
{
    return row->place < list->count && list->rows[row->place] == row;
}

static bool is_known(const nxi_workset *ws, const nxi_row *row)
{
    const nxi_known *known = nxi_workset_known(ws, row->table);

    return known != NULL && is_in(&known->list, row);
}

/* A row that is stored belongs in the list of its table. The table's lists are there: the row was in one. */
static bool make_known(nxi_workset *ws, nxi_row *row)
{
    if (is_known(ws, row))
        return true;
    if (is_in(&ws->fresh, row))
        (void)nxi_row_list_remove(&ws->fresh, row);
    return nxi_workset_add_known(ws, row, row->table->index + 1u);
}

static void forget_row(nxi_workset *ws, nxi_row *row)
{
    nxi_workset_drop(ws, row);
    row->state = NXI_ROW_GONE;
}

/* Call for each known row that is meant; rows may leave the list meanwhile. */
typedef bool (*visit_row)(const nxi_undoing *undo, nxi_row *row);
static bool visit_known(const nxi_undoing *undo, visit_row visit)
{
    bool good = true;

    for (nxi_known_tables *of = undo->ws->known; of != NULL; of = of->next) {
        if (undo->db != NULL && of->db != undo->db)
            continue;
        for (size_t t = 0; t < of->table_count; t++) {
            nxi_row_list *list = &of->tables[t].list;
            for (size_t i = 0; i < list->count; i++)
                if (list->rows[i] != NULL && !visit(undo, list->rows[i]))
                    good = false;
        }
    }
    return good;
}

/* ------------------------------------------------------------------------------ a transaction */

static void restore_version(nxi_row *row, const char *snapshot)
{
    const nxi_column *version = row->table->version;

    if (version != NULL)
        memcpy((char *)nxi_row_data(row) + version->offset, snapshot + version->offset, version->field->size);
}

static bool was_born_in(const nxi_frame *frame, const nxi_image *image)
{
    return image->state == NXI_ROW_NEW || ((image->flags & NXI_ROW_WAS_NEW) != 0 && image->stamp >= frame->start);
}

/*
 * A row that the transaction inserted will be new again, also when it was deleted since, unless that is what is to be tried
 * again.
 */
static bool restore_born(const nxi_undoing *undo, const nxi_image *image)
{
    nxi_row *row = image->row;
    const char *baseline = image->bytes + (image->state == NXI_ROW_NEW ? 0 : row->table->row_size);

    if (row->state == NXI_ROW_NEW || (row->state == NXI_ROW_GONE && undo->mode == NXI_UNDO_RETRY))
        return true;
    restore_version(row, baseline);
    if (row->state != NXI_ROW_GONE)
        return true;
    row->state = NXI_ROW_STORED;
    row->flags |= NXI_ROW_WAS_NEW;
    row->stamp = undo->frame->start;
    if (make_known(undo->ws, row))
        return true;
    row->state = NXI_ROW_GONE;
    return false;
}

/* The baseline of before; the latest image comes first, so the oldest one stays. */
static bool restore_baseline(const nxi_undoing *undo, const nxi_image *image)
{
    nxi_row *row = image->row;
    void *data = nxi_row_data(row);
    size_t size = row->table->row_size;
    bool deleted = row->state == NXI_ROW_GONE || row->state == NXI_ROW_DELETING;

    if (was_born_in(undo->frame, image))
        return restore_born(undo, image);
    memcpy(nxi_row_snapshot(data), image->bytes + size, size);
    row->lazy_missing = image->lazy_missing;
    row->stamp = image->stamp;
    row->flags = (uint16_t)((row->flags & LIST_FLAGS) | (image->flags & ~(LIST_FLAGS | NXI_ROW_IMAGED)) | NXI_ROW_MARKED);
    if (undo->mode == NXI_UNDO_REVERT)
        nxi_row_restore(data, nxi_row_snapshot(data));
    else
        restore_version(row, nxi_row_snapshot(data));
    row->state = undo->mode == NXI_UNDO_RETRY && deleted ? NXI_ROW_DELETING : NXI_ROW_EXPIRED;
    bool good = make_known(undo->ws, row);
    if (row->state == NXI_ROW_DELETING)
        good = good && nxi_workset_list_deletion(undo->ws, row);
    else if (undo->mode == NXI_UNDO_RETRY && nxi_row_changed(data))
        good = good && nxi_workset_list_touched(undo->ws, row);
    if (!good)
        row->state = NXI_ROW_GONE;
    return good;
}

static bool is_born(const nxi_undoing *undo, const nxi_row *row)
{
    return (row->flags & NXI_ROW_WAS_NEW) != 0 && (row->flags & NXI_ROW_MARKED) == 0 && row->stamp >= undo->frame->start;
}

static void make_new(nxi_row *row)
{
    if ((row->flags & NXI_ROW_KEY_MADE) != 0)
        nxi_row_clear_key(row->table, nxi_row_data(row));
    row->state = NXI_ROW_NEW;
    row->flags &= (uint16_t) ~(NXI_ROW_WAS_NEW | NXI_ROW_KEY_MADE | NXI_ROW_MADE_UNKNOWN | NXI_ROW_IMAGED);
}

/* Rows that are new again come before those that were never written: in the order of their making, as before. */
static bool gather_born(const nxi_undoing *undo, nxi_row_list *again, nxi_arena *scratch)
{
    nxi_workset *ws = undo->ws;
    bool good = true;

    for (nxi_known_tables *of = ws->known; of != NULL; of = of->next) {
        if (undo->db != NULL && of->db != undo->db)
            continue;
        for (size_t t = 0; t < of->table_count; t++) {
            nxi_known *known = &of->tables[t];
            for (size_t i = 0, end = known->list.count; i < end && i < known->list.count; i++) {
                nxi_row *row = known->list.rows[i];
                if (row == NULL || !is_born(undo, row))
                    continue;
                bool deleted = row->state == NXI_ROW_DELETING && undo->mode == NXI_UNDO_RETRY;
                bool listed = !deleted && nxi_row_list_reserve(scratch, again, 1);
                nxi_identity_remove(&ws->identity, nxi_row_data(row));
                known->list.rows[i] = NULL;
                known->list.held--;
                make_new(row);
                if (listed)
                    again->rows[again->count++] = row;
                else
                    row->state = NXI_ROW_GONE;
                good = good && (listed || deleted);
            }
        }
    }
    return good;
}

static bool expire_row(const nxi_undoing *undo, nxi_row *row)
{
    void *data = nxi_row_data(row);

    if ((row->flags & NXI_ROW_MARKED) != 0) {
        row->flags &= (uint16_t)~NXI_ROW_MARKED;
        return true;
    }
    if (undo->mode == NXI_UNDO_REVERT)
        nxi_row_restore(data, nxi_row_snapshot(data));
    if (row->state == NXI_ROW_STORED || undo->mode == NXI_UNDO_REVERT)
        row->state = NXI_ROW_EXPIRED;
    return true;
}

static void forget_images(const nxi_undoing *undo)
{
    if (undo->db == NULL) {
        undo->frame->images = NULL;
        nxi_arena_reset(&undo->frame->arena);
    } else {
        nxi_frame_forget_db(undo->frame, undo->db);
    }
}

/* The list of rows to be inserted becomes this one. False: out of memory; some rows are GONE. */
static bool set_fresh(nxi_workset *ws, const nxi_row_list *list)
{
    size_t room = list->count;
    bool good = ws->fresh.capacity >= room;

    ws->fresh.count = ws->fresh.held = 0;
    if (!good)
        good = nxi_row_list_reserve(&ws->arena, &ws->fresh, room);
    room = good ? room : ws->fresh.capacity;
    for (size_t i = 0; i < list->count; i++)
        if (i >= room || !nxi_row_list_add(&ws->arena, &ws->fresh, list->rows[i]))
            list->rows[i]->state = NXI_ROW_GONE;
    return good;
}

/* `first` before what is in the list already; it is in `scratch`. */
static bool put_before(nxi_workset *ws, nxi_row_list *first, nxi_arena *scratch)
{
    bool good = true;

    for (size_t i = 0; i < ws->fresh.count; i++) {
        nxi_row *row = ws->fresh.rows[i];
        if (row == NULL)
            continue;
        if (nxi_row_list_reserve(scratch, first, 1)) {
            first->rows[first->count++] = row;
        } else {
            row->state = NXI_ROW_GONE;
            good = false;
        }
    }
    return set_fresh(ws, first) && good;
}

bool nxi_undo_transaction(const nxi_undoing *undo)
{
    nxi_row_list again = { .rows = NULL };
    nxi_arena scratch;
    bool good = true;

    nxi_arena_init(&scratch, undo->ws->memory);
    for (const nxi_image *image = undo->frame->images; image != NULL; image = image->next)
        if (is_meant(undo, image->row) && !restore_baseline(undo, image))
            good = false;
    good = gather_born(undo, &again, &scratch) && good;
    (void)visit_known(undo, expire_row);
    if (again.count > 0)
        good = put_before(undo->ws, &again, &scratch) && good;
    nxi_arena_fini(&scratch);
    forget_images(undo);
    nxi_workset_sweep_deletions(undo->ws);
    nxi_workset_sweep_touched(undo->ws);
    return good;
}

/* ------------------------------------------------------------------------------ a nested session */

/* The row came into the session after the begin: take_back forgets what was made since, and what was read since is expired. */
static bool restore_later(const nxi_undoing *undo, const nxi_image *image)
{
    nxi_row *row = image->row;
    void *data = nxi_row_data(row);

    if (image->state == NXI_ROW_NEW || (image->flags & NXI_ROW_WAS_NEW) != 0)
        return true;
    memcpy(nxi_row_snapshot(data), image->bytes + row->table->row_size, row->table->row_size);
    nxi_row_restore(data, nxi_row_snapshot(data));
    row->lazy_missing = image->lazy_missing;
    row->state = NXI_ROW_EXPIRED;
    row->flags = (uint16_t)((row->flags & LIST_FLAGS) | (image->flags & ~LIST_FLAGS) | NXI_ROW_MARKED);
    return make_known(undo->ws, row);
}

/* All as it was; the latest image comes first, so the oldest one stays. */
static bool restore_all(const nxi_undoing *undo, const nxi_image *image)
{
    nxi_row *row = image->row;
    nxi_workset *ws = undo->ws;
    bool was_new = image->state == NXI_ROW_NEW, good = true;

    if (happened_in(undo->frame, image->stamp))
        return restore_later(undo, image);
    if (was_new)
        nxi_identity_remove(&ws->identity, nxi_row_data(row));
    nxi_row_restore(nxi_row_data(row), image->bytes);
    memcpy(nxi_row_snapshot(nxi_row_data(row)), image->bytes + row->table->row_size, row->table->row_size);
    row->lazy_missing = image->lazy_missing;
    row->stamp = image->stamp;
    row->state = image->state;
    row->flags = (uint16_t)((row->flags & LIST_FLAGS) | (image->flags & ~LIST_FLAGS) | NXI_ROW_MARKED);
    if (was_new && is_known(ws, row))
        nxi_workset_drop(ws, row);
    if (!was_new)
        good = make_known(ws, row);
    if (row->state == NXI_ROW_DELETING)
        good = nxi_workset_list_deletion(ws, row) && good;
    else if (!was_new && nxi_row_changed(nxi_row_data(row)))
        good = nxi_workset_list_touched(ws, row) && good;
    return good;
}

static bool take_back(const nxi_undoing *undo, nxi_row *row)
{
    void *data = nxi_row_data(row);

    if ((row->flags & NXI_ROW_MARKED) != 0) {
        row->flags &= (uint16_t)~NXI_ROW_MARKED;
        return true;
    }
    bool inside = happened_in(undo->frame, row->stamp);
    if (inside && (row->flags & NXI_ROW_WAS_NEW) != 0) {
        forget_row(undo->ws, row);
        return true;
    }
    nxi_row_restore(data, nxi_row_snapshot(data));
    if (inside)
        row->state = NXI_ROW_EXPIRED;
    return true;
}

static void reverse(nxi_row_list *list)
{
    for (size_t low = 0, high = list->count; low + 1 < high; low++) {
        nxi_row *row = list->rows[low];
        list->rows[low] = list->rows[--high];
        list->rows[high] = row;
    }
}

/* The rows that were pending at the begin, in their order, then those that were made after the end of the nested session. */
static bool gather_fresh(const nxi_undoing *undo, nxi_row_list *list, nxi_arena *scratch)
{
    nxi_workset *ws = undo->ws;
    bool good = true;

    for (const nxi_image *image = undo->frame->images; image != NULL; image = image->next) {
        nxi_row *row = image->row;
        if (row->state != NXI_ROW_NEW || (row->flags & NXI_ROW_MARKED) == 0)
            continue;
        row->flags &= (uint16_t)~NXI_ROW_MARKED; /* once */
        good = nxi_row_list_add(scratch, list, row) && good;
    }
    reverse(list);
    for (size_t i = 0; i < list->count; i++)
        list->rows[i]->flags |= NXI_ROW_MARKED;
    for (size_t i = 0; i < ws->fresh.count; i++) {
        nxi_row *row = ws->fresh.rows[i];
        if (row == NULL || (row->flags & NXI_ROW_MARKED) != 0)
            continue;
        if (happened_in(undo->frame, row->stamp))
            row->state = NXI_ROW_GONE;
        else
            good = nxi_row_list_add(scratch, list, row) && good;
    }
    for (size_t i = 0; i < list->count; i++)
        list->rows[i]->flags &= (uint16_t)~NXI_ROW_MARKED;
    return good;
}

static bool rebuild_fresh(const nxi_undoing *undo)
{
    nxi_row_list list = { .rows = NULL };
    nxi_arena scratch;

    nxi_arena_init(&scratch, undo->ws->memory);
    bool good = gather_fresh(undo, &list, &scratch);
    good = set_fresh(undo->ws, &list) && good;
    nxi_arena_fini(&scratch);
    return good;
}

bool nxi_undo_nested(const nxi_undoing *undo)
{
    bool good = true;

    for (const nxi_image *image = undo->frame->images; image != NULL; image = image->next)
        good = restore_all(undo, image) && good;
    good = rebuild_fresh(undo) && good;
    (void)visit_known(undo, take_back);
    forget_images(undo);
    nxi_workset_sweep_deletions(undo->ws);
    nxi_workset_sweep_touched(undo->ws);
    return good;
}
