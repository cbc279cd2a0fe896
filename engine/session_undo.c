/*
 * session_undo - what the end of a transaction, or of a nested session, means for the rows in memory.
 */
#include "engine/session.h"

/* The frames of the nested sessions in use are the root's from now on: they share its fate. */
static void merge_frames(nx_session *root)
{
    nx_session *innermost = root;

    while (innermost->inner != NULL)
        innermost = innermost->inner;
    for (nx_session *s = innermost; s != root; s = s->outer)
        if (s->fate == s)
            nxi_frame_merge(&s->outer->fate->frame, &s->frame);
}

/* Without memory for the lists some rows are not known any more: what they held is read as other objects. */
static void forget_missing(nx_session *root)
{
    nxi_fail(&root->error, NX_ENOMEM, "no memory to undo: some rows are not known to the session any more");
}

static void undo_root(nx_session *root, const nx_db *db, nxi_undo_mode mode)
{
    nxi_undoing undo = { .ws = &root->rows, .frame = &root->frame, .db = db, .mode = mode };

    merge_frames(root);
    if (!nxi_undo_transaction(&undo))
        forget_missing(root);
}

void nxi_session_lost(nx_session *root)
{
    if (root->failed)
        return;
    root->failed = true;
    undo_root(root, NULL, NXI_UNDO_RETRY);
}

void nxi_session_undo(nx_session *fate, nxi_undo_mode mode)
{
    nx_session *root = fate->root;

    NX_ASSERT(fate->fate == fate);
    if (fate == root) {
        undo_root(root, NULL, mode);
        /* Going on after a failure would commit the half of the work that rows can do again. */
        root->failed = nxi_session_take_lost_work(root) && mode == NXI_UNDO_RETRY;
        nxi_frame_restart(&root->frame, &root->rows);
        return;
    }
    nxi_undoing undo = { .ws = &root->rows, .frame = &fate->frame };
    if (!nxi_undo_nested(&undo))
        forget_missing(root);
    fate->failed = false;
    (void)nxi_session_take_lost_work(root); /* it was the nested session's */
    if (fate->doomed || fate->ended)
        return;
    /* It goes on from its begin: what was pending then may have to come back once more. */
    fate->frame.start = nxi_workset_tick(&root->rows);
    if (!nxi_frame_capture(&fate->frame, &root->rows, &root->arena))
        fate->failed = true;
}

void nxi_session_undo_db(nx_session *root, const nx_db *db)
{
    undo_root(root, db, NXI_UNDO_RETRY);
}

void nxi_session_over(nx_session *root)
{
    NX_ASSERT(root->root == root);
    root->failed = nxi_session_take_lost_work(root);
    nxi_frame_restart(&root->frame, &root->rows);
}

/* ------------------------------------------------------------------------------ an unknown outcome */

void nxi_row_doubt(nx_session *root, nxi_row *row)
{
    row->flags |= NXI_ROW_DOUBTFUL;
    row->flags &= (uint16_t)~NXI_ROW_WAS_NEW; /* it is not known to be new again */
    root->has_doubts = true;
}

void nxi_session_doubt(nx_session *root, const nx_db *db)
{
    const nxi_known_tables *of = root->rows.known;

    for (const nxi_image *image = root->frame.images; image != NULL; image = image->next)
        if (image->row->table->db == db && image->row->state != NXI_ROW_GONE)
            nxi_row_doubt(root, image->row);
    while (of != NULL && of->db != db)
        of = of->next;
    for (size_t t = 0; of != NULL && t < of->table_count; t++) {
        const nxi_row_list *list = &of->tables[t].list;
        for (size_t i = 0; i < list->count; i++)
            if (list->rows[i] != NULL && (list->rows[i]->flags & NXI_ROW_WAS_NEW) != 0 &&
                list->rows[i]->stamp >= root->frame.start)
                nxi_row_doubt(root, list->rows[i]);
    }
    nxi_frame_forget_db(&root->frame, db);
    nxi_session_expire_db(root, db);
}

/* ------------------------------------------------------------------------------ given up */

static void give_up_part(nxi_part *part, uint32_t level)
{
    uint32_t mark;

    switch (nxi_part_way_back(part, level, &mark)) {
    case NXI_PART_WHOLE: nxi_part_roll_back_deferred(part); break;
    case NXI_PART_TO_MARK:
        if (part->undo_to == NXI_UNDO_NONE || part->undo_to > mark - 1)
            part->undo_to = mark - 1;
        break;
    case NXI_PART_UNTOUCHED: break;
    }
}

void nxi_session_give_up(nx_session *s)
{
    nx_session *root = s->root;

    if (s->fate != s) {
        /* Its work cannot be told from that of the session around it. */
        if (s->has_acted)
            s->fate->failed = true;
        return;
    }
    for (size_t i = 0; i < root->part_count; i++)
        give_up_part(&root->parts[i], s->level);
    nxi_session_undo(s, NXI_UNDO_REVERT);
}
