/*
 * uow_apply - a plan as steps, and what its end means for the rows.
 */
#include "engine/planner.h"

void nxi_plan_steps(const nxi_plan *plan, nxi_step *steps)
{
    for (size_t i = 0; i < plan->batch_count; i++) {
        nxi_batch *batch = plan->batches[i];
        steps[i] = (nxi_step){ .kind = NXI_STEP_WRITE,
                               .statement = batch->statement,
                               .rows = batch->rows,
                               .row_count = batch->row_count,
                               .must_affect = batch->verb != NXI_BATCH_INSERT };
    }
}

void nxi_plan_name_object(const nxi_plan *plan, size_t batch, nx_error *error)
{
    const nxi_batch *at = batch < plan->batch_count ? plan->batches[batch] : NULL;

    if (at != NULL && error->row >= 0 && (uint64_t)error->row < at->row_count)
        error->object = nxi_plan_object(at, (size_t)error->row);
    error->row = -1;
}

static void take_back_keys(const nxi_plan *plan)
{
    for (size_t i = 0; i < plan->batch_count; i++) {
        nxi_batch *batch = plan->batches[i];
        if (batch->verb != NXI_BATCH_INSERT || batch->statement->key_column == NULL)
            continue;
        for (size_t r = 0; r < batch->row_count; r++)
            nxi_row_take_back_key(batch->rows[r]);
    }
}

void nxi_plan_undo(nxi_plan *plan)
{
    take_back_keys(plan);
    nxi_prepare_undo(&plan->undo);
}

/* The planner has refused a row whose version cannot grow. */
static void count_up_version(const nxi_column *version, void *row)
{
    nx_value next = { .type = version->type };

    if (nxi_version_next(version, row, &next.i64)) {
        bool done = nxi_column_set(version, row, next, NULL);
        NX_ASSERT(done);
    }
}

/* Columns of the rows that the database has given, or may have changed, by itself: they are not known until the rows are read. */
static bool makes_values(const nxi_batch *batch)
{
    const nxi_table *table = batch->table;
    uint64_t unknown = 0;

    for (size_t w = 0; w < (table->column_count + 63) / 64; w++) {
        uint64_t written = batch->columns[w], rounded = table->rounded == NULL ? 0 : table->rounded[w];
        uint64_t defaulted = table->defaulted == NULL ? 0 : table->defaulted[w];
        if (batch->verb == NXI_BATCH_INSERT)
            unknown |= table->made == NULL ? 0 : table->made[w] & ~((defaulted & written) | (rounded & ~written));
        else
            unknown |= (rounded & written) | (table->update_made == NULL ? 0 : table->update_made[w]);
    }
    return unknown != 0;
}

/*
 * What the user's pointers lead to may change or be freed from now on: the row keeps copies. Outside sessions only rows that were
 * made one by one have memory of their own for that; others are no longer compared, so that their next save writes all columns.
 */
static void own_texts(const nxi_batch *batch, void *row, nx_session *s)
{
    nxi_row *header = nxi_row_of(row);

    if (s != NULL) {
        bool owned = batch->verb == NXI_BATCH_INSERT ? nxi_row_own(row, &s->root->arena) : nxi_row_own_all(row, &s->root->arena);
        s->root->failed |= !owned;
    } else if (!nxi_db_own_texts(batch->table->db, row)) {
        header->flags &= (uint16_t)~NXI_ROW_TRACKED;
    }
}

/* Of a row that stands in its table. */
static void take_as_stored(const nxi_batch *batch, void *row, nx_session *s, bool made)
{
    nxi_row *header = nxi_row_of(row);

    if ((header->flags & NXI_ROW_TRACKED) != 0 && batch->table->has_pointers)
        own_texts(batch, row, s);
    if ((header->flags & NXI_ROW_TRACKED) != 0)
        nxi_row_track(row);
    if (made)
        header->flags |= NXI_ROW_MADE_UNKNOWN;
}

static void apply_insert(const nxi_batch *batch, void *row, nx_session *s, bool made)
{
    nxi_row *header = nxi_row_of(row);

    header->state = NXI_ROW_STORED;
    take_as_stored(batch, row, s, made);
    if (s == NULL)
        return;
    header->flags |= NXI_ROW_WAS_NEW;
    header->flags &= (uint16_t)~NXI_ROW_IMAGED;
    header->stamp = nxi_session_now(s);
    (void)nxi_row_list_remove(&s->root->rows.fresh, header);
    if (!nxi_workset_add_known(&s->root->rows, header, ((const nx_db *)batch->table->db)->tables.count)) {
        header->state = NXI_ROW_GONE; /* no memory to know it: it is read as another object */
        s->root->failed = true;
    }
}

/* The baseline moves: while a transaction is open, what it was is kept. */
static void keep_image(nxi_row *row, nx_session *s)
{
    const nxi_part *part = s == NULL ? NULL : nxi_session_part_of(s, row->table->db);

    if (part != NULL && part->transaction != 0 && !nxi_frame_keep(nxi_session_frame(s), &s->root->frame, row))
        s->root->failed = true;
    if (s != NULL)
        nxi_frame_stamp(&s->root->frame, row, nxi_session_now(s));
}

static void apply_update(const nxi_batch *batch, void *row, nx_session *s, bool made)
{
    nxi_row *header = nxi_row_of(row);

    /* The write tells its own columns only: the others are as stale as before. */
    if (s != NULL && header->state == NXI_ROW_STORED && nxi_workset_is_stale(&s->root->rows, header))
        header->state = NXI_ROW_EXPIRED;
    keep_image(header, s);
    if (batch->counts_version && batch->table->version != NULL)
        count_up_version(batch->table->version, row);
    if (header->state != NXI_ROW_EXPIRED)
        header->state = NXI_ROW_STORED;
    take_as_stored(batch, row, s, made);
}

static void apply_delete(void *row, nx_session *s)
{
    nxi_row *header = nxi_row_of(row);

    keep_image(header, s);
    if (s != NULL)
        nxi_workset_drop(&s->root->rows, header);
    header->state = NXI_ROW_GONE;
}

static void apply_batch(const nxi_batch *batch, nx_session *s)
{
    if (batch->verb == NXI_BATCH_PARK)
        return; /* what the row's own batch writes counts */
    bool made = makes_values(batch);
    for (size_t r = 0; r < batch->row_count; r++) {
        if (batch->verb == NXI_BATCH_INSERT)
            apply_insert(batch, batch->rows[r], s, made);
        else if (batch->verb == NXI_BATCH_DELETE)
            apply_delete(batch->rows[r], s);
        else
            apply_update(batch, batch->rows[r], s, made);
    }
    if (s != NULL)
        nxi_session_touched(s, batch->table, batch->verb == NXI_BATCH_INSERT   ? &batch->table->inserts_touch
                                             : batch->verb == NXI_BATCH_DELETE ? &batch->table->deletes_touch
                                                                               : &batch->table->updates_touch);
}

static void sweep(nx_session *s)
{
    if (s == NULL)
        return;
    nxi_workset_sweep_deletions(&s->root->rows);
    nxi_workset_sweep_touched(&s->root->rows);
}

void nxi_plan_apply(const nxi_plan *plan, nx_session *s, bool over)
{
    if (NXI_UNLIKELY(plan->db->freeing))
        return; /* its rows are not the session's any more */
    for (size_t i = 0; i < plan->batch_count; i++)
        if (!over || plan->batches[i]->verb != NXI_BATCH_INSERT)
            apply_batch(plan->batches[i], s);
    sweep(s);
}

void nxi_plan_apply_unseen(const nxi_plan *plan, nx_session *s)
{
    take_back_keys(plan);
    for (size_t i = 0; i < plan->batch_count; i++) {
        const nxi_batch *batch = plan->batches[i];
        if (batch->verb != NXI_BATCH_INSERT || batch->statement->key_column == NULL) {
            apply_batch(batch, s);
            continue;
        }
        for (size_t r = 0; r < batch->row_count; r++) {
            nxi_row *row = nxi_row_of(batch->rows[r]);
            if (s != NULL)
                nxi_workset_drop(&s->root->rows, row);
            row->state = NXI_ROW_GONE;
        }
    }
    sweep(s);
}

void nxi_plan_doubt(const nxi_plan *plan, nx_session *s)
{
    for (size_t i = 0; i < plan->batch_count; i++)
        for (size_t r = 0; r < plan->batches[i]->row_count; r++)
            nxi_row_doubt(s->root, nxi_row_of(nxi_plan_object(plan->batches[i], r)));
}
