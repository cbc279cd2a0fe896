/*
 * session - life of sessions: made, nested, freed in any order, left by their database.
 */
#include "engine/session.h"

/* ------------------------------------------------------------------------------ made */

/* A session is made and freed for every unit of work: the struct, its parts and a small map are kept. */
static nx_session *session_alloc(nx_loop *loop)
{
    nx_session *s = loop->free_sessions;

    if (s == NULL)
        return nxi_zalloc(loop->memory, sizeof(*s));
    loop->free_sessions = s->next;
    nxi_part *parts = s->parts;
    size_t capacity = s->part_capacity;
    nxi_map map = s->rows.identity.map;
    memset(s, 0, sizeof(*s));
    s->parts = parts;
    s->part_capacity = capacity;
    s->rows.identity.map = map;
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
    s->fate = outer != NULL && s->options.join ? outer->fate : s;
    nxi_arena_init(&s->arena, loop->memory);
    nxi_workset_init(&s->rows, loop->memory);
    nxi_error_reset(&s->error);
    if (outer != NULL) {
        s->level = s->fate == s ? outer->level + 1 : outer->level;
        outer->inner = s;
    }
    nxi_frame_begin(&s->frame, &s->root->rows);
    s->next = loop->sessions;
    loop->sessions = s;
    return s;
}

nx_session *nxi_session_nested(nx_session *outer, const nx_session_options *options)
{
    if (nxi_session_check(outer, &outer->error) != NX_OK)
        return NULL;
    /* What is in flight belongs to the outer session; a savepoint in its middle would belong to neither. */
    if (outer->root->running > 0 || outer->root->waiting_first != NULL) {
        nxi_fail(&outer->error, NX_ESTATE, "operations of the outer session are queued or in flight: wait for them first");
        return NULL;
    }
    nx_session *s = nxi_session_new(outer->loop, outer, options);
    if (s == NULL || (s->fate == s && !nxi_frame_capture(&s->frame, &s->root->rows, &s->root->arena))) {
        nxi_fail(&outer->error, NX_ENOMEM, "no memory for a nested session");
        if (s != NULL)
            s->frame.images = NULL; /* not all are there: nothing has happened that they could undo */
        nxi_session_free(s);
        return NULL;
    }
    return s;
}

nx_status nxi_session_check(const nx_session *s, nx_error *error)
{
    if (s->ended || s->root->ended)
        return nxi_fail(error, NX_ESTATE, "the session is ended");
    if (s->inner != NULL)
        return nxi_fail(error, NX_ESTATE, "a nested session is in use: end it first");
    return NX_OK;
}

/* ------------------------------------------------------------------------------ freed */

void nxi_sessions_fini(nx_loop *loop)
{
    while (loop->free_sessions != NULL) {
        nx_session *s = loop->free_sessions;
        loop->free_sessions = s->next;
        nxi_parts_fini(s->parts, s->part_capacity, loop->memory);
        nxi_map_fini(&s->rows.identity.map);
        nxi_release(loop->memory, s);
    }
}

static void session_destroy(nx_session *s)
{
    nx_loop *loop = s->loop;

    NX_ASSERT(s->running == 0);
    for (size_t i = 0; i < s->part_count; i++)
        nxi_part_roll_back_deferred(&s->parts[i]);
    nxi_queries_free(&s->queries, false);
    nxi_frame_fini(&s->frame);
    nxi_workset_fini(&s->rows);
    nxi_arena_fini(&s->arena);
    for (nx_session **link = &loop->sessions; *link != NULL; link = &(*link)->next)
        if (*link == s) {
            *link = s->next;
            break;
        }
    s->next = loop->free_sessions;
    loop->free_sessions = s;
}

/* Nested sessions that were ended and not freed, or whose operations were in flight, share the rows of their root. */
static void destroy_tree(nx_session *root)
{
    for (nx_session *s = root->loop->sessions, *next; s != NULL; s = next) {
        next = s->next;
        if (s->root == root && s != root)
            session_destroy(s);
    }
    session_destroy(root);
}

void nxi_session_free(nx_session *s)
{
    if (s == NULL || s->doomed)
        return;
    nx_session *root = s->root;
    if (s->inner != NULL)
        nxi_session_free(s->inner);
    if (s->outer != NULL && s->outer->inner == s)
        s->outer->inner = NULL;
    s->doomed = true;
    if (s->running > 0) {
        s->frame.end = nxi_workset_tick(&root->rows);
        root->leaving += s != root;
    }
    nxi_session_refuse_waiting(root, s == root ? NULL : s, NULL);
    if (s->running == 0)
        nxi_session_left(s);
}

void nxi_session_left(nx_session *s)
{
    nx_session *root = s->root;

    NX_ASSERT(s->doomed && s->running == 0);
    if (s == root) {
        destroy_tree(root);
        return;
    }
    if (s->frame.end != UINT32_MAX)
        root->leaving--;
    if (!s->ended)
        nxi_session_give_up(s);
    if (!root->doomed)
        session_destroy(s);
}

/* ------------------------------------------------------------------------------ left by a database */

static void forget_part(nx_session *s, nx_db *db)
{
    nxi_part *part = s->root == s ? nxi_session_part_of(s, db) : NULL;

    if (part == NULL)
        return;
    s->failed = s->failed || part->transaction != 0;
    if (db->state == NXI_DB_BOUND)
        nxi_part_roll_back_deferred(part);
    nxi_part_close(part, part->transaction != 0 ? NX_OUTCOME_ROLLED_BACK : part->outcome);
    part->db = NULL;
}

static void forget_queries(nx_session *s, const nx_db *db)
{
    nx_error error;

    nxi_fail(&error, NX_ECLOSED, "the database of the query was freed");
    for (nx_query *q = s->queries; q != NULL; q = q->next)
        if (q->db == db) {
            nxi_query_mistake(q, &error);
            q->db = NULL;
        }
}

void nxi_sessions_forget_db(nx_loop *loop, nx_db *db)
{
    for (nx_session *s = loop->sessions; s != NULL; s = s->next) {
        forget_part(s, db);
        s->last_table = NULL;
        if (!db->freeing)
            continue;
        forget_queries(s, db);
        nxi_frame_forget_db(&s->frame, db);
        if (s->root == s) {
            nxi_session_refuse_waiting(s, NULL, db);
            nxi_workset_forget_db(&s->rows, db);
        }
    }
}
