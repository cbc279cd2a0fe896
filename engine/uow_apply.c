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
        error->object = at->rows[error->row];
    error->row = -1;
}

static void take_back_keys(const nxi_plan *plan)
{
    for (size_t i = 0; i < plan->batch_count; i++) {
        nxi_batch *batch = plan->batches[i];
        if (batch->verb != NXI_BATCH_INSERT || batch->statement->key_column == NULL)
            continue;
        for (size_t r = 0; r < batch->row_count; r++) {
            nxi_row_clear_key(batch->table, batch->rows[r]);
            nxi_row_of(batch->rows[r])->flags &= (uint8_t)~NXI_ROW_KEY_MADE;
        }
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
        header->flags &= (uint8_t)~NXI_ROW_TRACKED;
    }
}

static void apply_row(const nxi_batch *batch, void *row, nx_session *s)
{
    nxi_row *header = nxi_row_of(row);
    bool tracked = (header->flags & NXI_ROW_TRACKED) != 0;

    if (batch->verb == NXI_BATCH_DELETE) {
        if (s != NULL)
            nxi_identity_remove(&s->root->identity, row);
        header->state = NXI_ROW_GONE;
        return;
    }
    if (batch->verb != NXI_BATCH_INSERT && batch->table->version != NULL)
        count_up_version(batch->table->version, row);
    if (batch->verb == NXI_BATCH_INSERT) {
        header->flags |= NXI_ROW_WAS_NEW;
        header->spare = s != NULL ? s->root->number : 0;
    }
    if (header->state != NXI_ROW_EXPIRED)
        header->state = NXI_ROW_STORED;
    if (tracked && batch->verb != NXI_BATCH_DELETE && batch->table->has_pointers)
        own_texts(batch, row, s);
    if ((header->flags & NXI_ROW_TRACKED) != 0)
        nxi_row_track(row);
}

/* New rows that are stored now leave the list of new ones, in one go where all do. */
static void move_new_rows(nx_session *root)
{
    nxi_row *kept_first = NULL, *kept_last = NULL, *done_first = NULL, *done_last = NULL;

    for (nxi_row *row = root->new_first, *next; row != NULL; row = next) {
        next = row->next;
        row->next = NULL;
        nxi_row **first = row->state == NXI_ROW_NEW ? &kept_first : &done_first;
        nxi_row **last = row->state == NXI_ROW_NEW ? &kept_last : &done_last;
        if (*first == NULL)
            *first = row;
        else
            (*last)->next = row;
        *last = row;
    }
    root->new_first = kept_first;
    root->new_last = kept_last;
    nxi_identity_append(&root->identity, done_first, done_last);
}

/* Deleted rows are kept in mind until the transaction is over. Without memory for that an undo makes them read as new objects. */
static void remember_gone(nx_session *root, const nxi_batch *batch)
{
    nxi_gone *list = NXI_ARENA_ARRAY(&root->arena, nxi_gone, batch->row_count);

    for (size_t r = 0; list != NULL && r < batch->row_count; r++) {
        list[r] = (nxi_gone){ root->gone, batch->rows[r], root->number };
        root->gone = &list[r];
    }
}

void nxi_plan_apply(const nxi_plan *plan, nx_session *s, bool over)
{
    bool inserted = false;

    for (size_t i = 0; i < plan->batch_count; i++) {
        nxi_batch *batch = plan->batches[i];
        if (over && batch->verb == NXI_BATCH_INSERT)
            continue;
        inserted = inserted || batch->verb == NXI_BATCH_INSERT;
        if (batch->verb == NXI_BATCH_DELETE && s != NULL && !over)
            remember_gone(s->root, batch);
        for (size_t r = 0; r < batch->row_count; r++)
            apply_row(batch, batch->rows[r], s);
    }
    if (inserted && s != NULL)
        move_new_rows(s->root);
}

void nxi_plan_apply_unseen(const nxi_plan *plan, nx_session *s)
{
    take_back_keys(plan);
    for (size_t i = 0; i < plan->batch_count; i++) {
        nxi_batch *batch = plan->batches[i];
        bool lost = batch->verb == NXI_BATCH_INSERT && batch->statement->key_column != NULL;
        for (size_t r = 0; r < batch->row_count; r++) {
            if (lost)
                nxi_row_of(batch->rows[r])->state = NXI_ROW_GONE;
            else
                apply_row(batch, batch->rows[r], s);
        }
    }
    if (s != NULL)
        move_new_rows(s->root);
}

bool nxi_session_is_dirty(const nx_session *s, const nx_db *db)
{
    const nx_session *root = s->root;

    for (const nxi_row *row = root->new_first; row != NULL; row = row->next)
        if (db == NULL || row->table->db == db)
            return true;
    for (const nxi_row *row = root->identity.first; row != NULL; row = row->next) {
        if (db != NULL && row->table->db != db)
            continue;
        if (row->state == NXI_ROW_DELETING || (nxi_row_is_written(row) && !nxi_row_is_same(row)))
            return true;
    }
    return false;
}
