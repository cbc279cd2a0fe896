/*
 * alloc_sweep - every allocation fails once, and from every one on all fail: a clean NX_ENOMEM or success, no leak, and a
 * loop that works (or at least closes) afterwards.
 *
 * Uses: engine/memory.h for the failing allocations.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/memory.h"
#include "fixture.h"

enum { REQUESTS_MAX = 20000, ROWS = 40 };

typedef nx_status (*scenario)(nxt_fixture *f);

static void make_file(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    snprintf(f->path[number], NXT_PATH_SIZE, "%.100s/%d.db", f->directory, number);
    *ret_options = (nx_bind_options){ .path = f->path[number] };
}

static void make_memory(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    (void)f;
    (void)number;
    *ret_options = (nx_bind_options){ .path = ":memory:" };
}

static void remove_files(nxt_fixture *f)
{
    char command[NXT_PATH_SIZE + 16];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->directory);
    if (system(command) != 0)
        cr_log_warn("%s stays", f->directory);
}

static const nxt_provider on_file = { .name = "sqlite", .make = make_file, .remove = remove_files };
static const nxt_provider in_memory = { .name = "sqlite", .make = make_memory, .remove = remove_files };

/* Fewer entities than the conformance list: mapping them is part of every sweep of "open". */
static const nx_entity *const entities[] = { &Author_entity, &Post_entity, &Slot_entity, NULL };

/* The status of an awaited operation, its rows given back. */
static nx_status done(nx_loop *loop, nx_op op)
{
    nx_completion c = nx_await(loop, op);
    nx_status status = c.status;
    cr_assert_neq(c.status == NX_OK, c.error != NULL, "a failure has an error, a success has none");
    if (c.rows != NULL || c.raw != NULL)
        nx_seen(loop, &c);
    return status;
}

static void fill(nxt_fixture *f)
{
    nx_bulk *bulk = nx_bulk_begin(f->db, &Post_entity, NULL);
    for (int i = 0; i < ROWS; i++) {
        size_t taken;
        Post post = { .title = nx_str("a title that has some length, so that texts need memory too"), .score = nx_some(i32, i) };
        CHECK(nx_bulk_rows(bulk, &post, 1, &taken));
    }
    OK(f, nx_bulk_end(bulk, NULL));
    nx_bulk_free(bulk);
}

/* The end of failing; a scenario may ask for it before it looks at what is stored. */
static uint64_t requests_of_run;

static void calm(void)
{
    if (requests_of_run == UINT64_MAX)
        requests_of_run = nxi_memory_requests();
    nxi_memory_fail(0, false);
}

/* One run per request that may fail, until a run makes fewer requests than that. */
static void sweep(const nxt_provider *provider, scenario run)
{
    for (int persistent = 0; persistent < 2; persistent++) {
        nxt_fixture f;
        int failed = 0;
        nxt_open(&f, provider);
        f.db = nxt_database(&f, 0, entities);
        fill(&f);
        for (uint64_t k = 1;; k++) {
            cr_assert_lt(k, (uint64_t)REQUESTS_MAX, "the sweep has no end");
            requests_of_run = UINT64_MAX;
            nxi_memory_fail(k, persistent == 1);
            nx_status status = run(&f);
            calm();
            cr_assert(status == NX_OK || status == NX_ENOMEM, "request %d%s: %s", (int)k, persistent == 1 ? " and later" : "",
                      nx_status_name(status));
            failed += status == NX_ENOMEM;
            nx_completion c = nx_await(f.loop, nx_count(nx_select(f.db, Post), NULL));
            cr_assert_eq(c.status, NX_OK, "after request %d: %s, %s", (int)k, nx_status_name(c.status),
                         c.error == NULL ? "" : c.error->message);
            /* A batch of a load that was freed may still be with the writer; it has to come back. */
            while (nx_in_flight(f.loop) > 0)
                cr_assert_eq(nx_run_once(f.loop, 1000), NX_OK);
            if (requests_of_run < k) {
                cr_assert_eq(status, NX_OK);
                break;
            }
        }
        cr_expect_gt(failed, 0, "nothing ever failed: the sweep tests nothing");
        nxt_close(&f);
    }
}

#define SWEEP(name) \
    static nx_status name(nxt_fixture *f); \
    Test(alloc_sweep, file_##name, .timeout = 300) { sweep(&on_file, name); } \
    Test(alloc_sweep, memory_##name, .timeout = 300) { sweep(&in_memory, name); } \
    static nx_status name(nxt_fixture *f)

SWEEP(open_and_close)
{
    nx_loop *loop = NULL;
    nx_error error = { 0 };
    nx_bind_options options = { 0 };
    f->provider->make(f, 1, &options);
    nx_status status = nx_loop_open(NULL, &loop, &error);
    if (status != NX_OK)
        return status;
    nx_db *db = nx_db_new(loop, entities);
    status = db == NULL ? NX_ENOMEM : done(loop, nx_bind(db, "sqlite", &options, NULL));
    if (status == NX_OK)
        status = done(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    if (status == NX_OK)
        status = done(loop, nx_count(nx_select(db, Post), NULL));
    if (status == NX_OK)
        status = done(loop, nx_close(db, NULL));
    nx_loop_close(loop);
    return status;
}

SWEEP(flush_and_commit)
{
    nx_status status = NX_OK;
    if (done(f->loop, nx_delete_all(nx_select(f->db, Slot), NULL)) != NX_OK)
        return NX_ENOMEM;
    nx_session *s = nx_session_begin(f->loop, NULL);
    if (s == NULL)
        return NX_ENOMEM;
    for (int i = 0; i < 5 && status == NX_OK; i++) {
        Slot *slot = nx_new(s, Slot);
        status = slot != NULL ? NX_OK : nx_session_error(s)->status;
        if (slot != NULL) {
            slot->number = i;
            slot->label = nx_str("slot");
        }
    }
    if (status == NX_OK)
        status = done(f->loop, nx_session_end(s, NULL));
    nx_outcome outcome = nx_session_outcome(s);
    nx_session_free(s);
    calm();
    int64_t stored = COUNT(f, nx_count(nx_select(f->db, Slot), NULL));
    cr_assert_eq(stored, status == NX_OK ? 5 : 0, "%d rows after %s, outcome %d", (int)stored, nx_status_name(status),
                 (int)outcome);
    if (status == NX_OK)
        cr_assert_eq(outcome, NX_OUTCOME_COMMITTED);
    return status;
}

SWEEP(change_and_delete)
{
    nx_status status = NX_ENOMEM;
    nx_session *s = nx_session_begin(f->loop, NULL);
    if (s == NULL)
        return status;
    nx_completion c = nx_await(f->loop, nx_fetch_all(nx_limit(nx_select(s, Post), 6), NULL));
    status = c.status;
    for (int64_t i = 0; status == NX_OK && i < c.count; i++) {
        Post *p = c.rows[i];
        p->score = nx_some(i32, p->score.value + 1);
        if (i % 3 == 0)
            status = nx_session_delete(s, p);
    }
    nxt_seen(f, &c);
    if (status == NX_OK)
        status = done(f->loop, nx_flush(s, NULL));
    if (status == NX_OK)
        status = done(f->loop, nx_rollback(s, NULL));
    nx_session_free(s);
    return status;
}

SWEEP(fetch)
{
    nx_completion c = nx_await(f->loop, nx_fetch_all(nx_with_lazy(nx_select(f->db, Post), Post_.body), NULL));
    if (c.status == NX_OK)
        cr_assert_eq(c.count, ROWS);
    nxt_seen(f, &c);
    return c.status;
}

SWEEP(fetch_in_a_session)
{
    nx_session *s = nx_session_begin(f->loop, NULL);
    if (s == NULL)
        return NX_ENOMEM;
    nx_completion c = nx_await(f->loop, nx_fetch_all(nx_select(s, Post), NULL));
    nx_status status = c.status;
    if (status == NX_OK)
        cr_assert_eq(c.count, ROWS);
    nxt_seen(f, &c);
    if (status == NX_OK)
        status = done(f->loop, nx_fetch_all(nx_select(s, Post), NULL));
    if (status == NX_OK)
        status = done(f->loop, nx_session_end(s, NULL));
    nx_session_free(s);
    return status;
}

SWEEP(query_with_everything)
{
    nx_query *q =
        nx_where(nx_select(f->db, Post), "title like ? and (author.name = ? or score in (?, 1, 2))", nx_args("a%", "x", 3));
    q = nx_filter(q, nx_or(nx_in(Post_.score, 1, 2, 3), nx_is_null(nx_via(Post_.author, Author_.name))));
    q = nx_limit(nx_order_by(q, nx_desc(Post_.score), nx_asc(Post_.title)), 5);
    return done(f->loop, nx_fetch_all(q, NULL));
}

SWEEP(stream)
{
    int64_t rows = 0;
    nx_op op = nx_stream(nx_select(f->db, Post), &(nx_stream_options){ .batch_rows = 7, .credit_bytes = 1024 }, NULL);
    for (;;) {
        nx_completion c = nx_await(f->loop, op);
        bool more = (c.flags & NX_MORE) != 0;
        rows += c.rows == NULL ? 0 : c.count;
        nxt_seen(f, &c);
        if (!more) {
            if (c.status == NX_OK)
                cr_assert_eq(rows, ROWS);
            return c.status;
        }
    }
}

SWEEP(bulk)
{
    if (done(f->loop, nx_delete_all(nx_select(f->db, Slot), NULL)) != NX_OK)
        return NX_ENOMEM;
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, &(nx_bulk_options){ .batch_rows = 10 });
    if (bulk == NULL)
        return NX_ENOMEM;
    nx_status status = NX_OK;
    for (int i = 0; i < 35 && (status == NX_OK || status == NX_EBUSY);) {
        size_t taken = 0;
        Slot slot = { .number = i, .label = nx_str("a label") };
        status = nx_bulk_rows(bulk, &slot, 1, &taken);
        i += (int)taken;
        if (status == NX_EBUSY)
            nx_await(f->loop, nx_bulk_op(bulk));
    }
    nx_status end = done(f->loop, nx_bulk_end(bulk, NULL));
    status = status == NX_OK || status == NX_EBUSY ? end : status;
    if (status == NX_OK)
        cr_assert_eq(nx_bulk_count(bulk).loaded, 35U);
    nx_bulk_free(bulk);
    return status;
}

SWEEP(single_rows)
{
    Author *a = nx_make(f->db, Author);
    if (a == NULL)
        return NX_ENOMEM;
    a->name = nx_str("single");
    nx_status status = done(f->loop, nx_save(f->db, a, NULL));
    if (status == NX_OK) {
        a->born = nx_some(i32, 1900);
        status = done(f->loop, nx_save(f->db, a, NULL));
        nx_status gone = done(f->loop, nx_delete(f->db, a, NULL));
        if (gone == NX_ENOMEM) {
            calm();
            OK(f, nx_delete_all(nx_select(f->db, Author), NULL));
            status = gone;
        }
    }
    nx_release_row(f->db, a);
    return status;
}

SWEEP(raw)
{
    nx_status status =
        done(f->loop, nx_select_raw(f->db, "SELECT id, title, ? FROM post", nx_args("a value that is copied"), NULL));
    if (status == NX_OK)
        status = done(f->loop, nx_execute(f->db, "UPDATE post SET draft = ? WHERE id < ?", nx_args(false, 3), NULL));
    return status;
}

/* The look into the tables leaves no transaction behind, or nobody could write any more. */
SWEEP(drop)
{
    nx_status refused = done(f->loop, nx_drop_table(f->db, "post", 0, NULL));
    nx_status status = refused == NX_ESTATE ? NX_OK : refused;
    cr_assert_neq(refused, NX_OK, "the table holds rows");
    nx_status dropped = done(f->loop, nx_drop_table(f->db, "slot", NX_DROP_IF_EXISTS, NULL));
    calm();
    OK(f, nx_create_tables(f->db, NULL));
    OK(f, nx_execute(f->db, "INSERT INTO slot (number, label) VALUES (1, 'x')", nx_no_args, NULL));
    OK(f, nx_delete_all(nx_select(f->db, Slot), NULL));
    return status == NX_OK ? dropped : status;
}

SWEEP(nested_session)
{
    nx_session *outer = nx_session_begin(f->loop, NULL);
    nx_session *inner = outer == NULL ? NULL : nx_session_nested(outer, NULL);
    Slot *slot = inner == NULL ? NULL : nx_new(inner, Slot);
    nx_status status = slot == NULL ? NX_ENOMEM : NX_OK;
    if (slot != NULL) {
        slot->number = 99999;
        slot->label = nx_str("nested");
        status = done(f->loop, nx_session_end(inner, NULL));
    }
    nx_session_free(inner);
    if (status == NX_OK)
        status = done(f->loop, nx_rollback(outer, NULL));
    nx_session_free(outer);
    return status;
}

SWEEP(observation)
{
    if (nx_stats_get(f->db) == NULL || nx_stats_text(f->db) == NULL || nx_stats_prometheus(f->db) == NULL)
        return NX_ENOMEM;
    size_t count;
    nx_status status = nx_capture_begin(f->db);
    if (status != NX_OK)
        return status;
    status = done(f->loop, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.score, 1)), NULL));
    nx_capture_end(f->db, &count);
    return status;
}
