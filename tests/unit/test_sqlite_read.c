/*
 * sqlite read: raw values, read transactions and snapshots, stop and deadline, cursors.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "tests/support/sqlite_kit.h"

/* ------------------------------------------------------------------------------ reading */

Test(sqlite_read, raw_values_by_storage_class)
{
    kit k;

    kit_open(&k, NULL, true);
    kit_do(&k, "INSERT INTO thing (number, ratio, title, flag) VALUES (1, 0.5, 'x', 1)");
    nxi_request *request = kit_query(&k, "SELECT 7 AS seven, 1.5, 'text', x'0001', NULL, flag, x'', '' FROM thing", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    nx_rows rows = request->steps[0].raw;
    cr_assert_eq(rows.column_count, 8);
    cr_assert_eq(rows.row_count, 1);
    cr_assert_str_eq(rows.names[0], "seven");
    cr_assert(rows.values[0].type == NX_TYPE_i64 && rows.values[0].i64 == 7);
    cr_assert(rows.values[1].type == NX_TYPE_f64 && rows.values[1].f64 == 1.5);
    cr_assert(rows.values[2].type == NX_TYPE_text && strcmp(rows.values[2].text.data, "text") == 0);
    cr_assert(rows.values[3].type == NX_TYPE_bytes && rows.values[3].bytes.size == 2);
    cr_assert_eq(rows.values[4].type, NX_TYPE_null);
    cr_assert(rows.values[5].type == NX_TYPE_boolean && rows.values[5].boolean);
    cr_assert(rows.values[6].type == NX_TYPE_bytes && rows.values[6].bytes.size == 0);
    cr_assert(rows.values[7].type == NX_TYPE_text && rows.values[7].text.size == 0);
    request = kit_query(&k, "SELECT id FROM thing WHERE id = 99", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].raw.row_count, 0);
    cr_assert_str_eq(request->steps[0].raw.names[0], "id");
    request = kit_query(
        &k, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i, 'x' || i FROM n", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].raw.row_count, 1000);
    cr_assert_str_eq(nx_rows_at(&request->steps[0].raw, 999, 1).text.data, "x1000");
    request = kit_query(&k, "VALUES (1), (2), (3)", NULL, 0);
    request->steps[0].row_limit = 2;
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].raw.row_count, 2);
    kit_close(&k);
}

Test(sqlite_read, scalars_and_limits)
{
    kit k;
    nxi_request *request;

    kit_open(&k, NULL, true);
    kit_do(&k, "INSERT INTO thing (number, ratio, title) VALUES (1, 0, 'a'), (2, 0, 'b'), (3, 0, 'c')");
    request = kit_query(&k, "SELECT sum(number) FROM thing", NULL, 0);
    request->steps[0].kind = NXI_STEP_SCALAR;
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].scalar.i64, 6);
    request = kit_query(&k, "SELECT number FROM thing WHERE id = 99", NULL, 0);
    request->steps[0].kind = NXI_STEP_SCALAR;
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].scalar.type, NX_TYPE_null);
    request = kit_fetch(&k, kit_select(&k, &Thing_entity, "ORDER BY id", 0), NULL, 0);
    request->steps[0].row_limit = 2;
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].affected, 2);
    kit_close(&k);
}

Test(sqlite_read, entities_from_texts_are_matched_by_name)
{
    kit k;
    nxi_statement statement = { .sql = "SELECT title, 5 AS other, id FROM thing" };

    kit_open(&k, NULL, true);
    kit_do(&k, "INSERT INTO thing (number, ratio, title) VALUES (1, 0, 'a')");
    statement.sql_size = strlen(statement.sql);
    statement.table = kit_table(&k, &Thing_entity);
    nxi_request *request = kit_fetch(&k, &statement, NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    const Thing *thing = request->steps[0].fetched[0];
    cr_assert_eq(thing->id, 1);
    cr_assert_str_eq(thing->title.data, "a");
    cr_assert_eq(thing->number, 0);
    kit_close(&k);
}

Test(sqlite_read, references_are_read_and_written)
{
    kit k;

    kit_open(&k, NULL, true);
    Owner *owner = nxi_row_new(&k.arena, kit_table(&k, &Owner_entity), NULL);
    owner->name = nx_str("Ada");
    Thing *by_row = kit_thing(&k, 1, "by row"), *by_key = kit_thing(&k, 2, "by key");
    nx_set_ref(by_row->owner, owner);
    nx_set_ref_key(by_key->owner, 1);
    nxi_request *request = kit_request(&k, 2);
    request->writes = true;
    request->steps[0] = (nxi_step){
        .kind = NXI_STEP_WRITE, .statement = kit_insert(&k, &Owner_entity, NULL), .rows = (void *[]){owner}, .row_count = 1};
    request->steps[1] = (nxi_step){.kind = NXI_STEP_WRITE,
                                   .statement = kit_insert(&k, &Thing_entity, NULL),
                                   .rows = (void *[]){by_row, by_key},
                                   .row_count = 2};
    cr_assert_eq(kit_run(&k, 0, request), NX_OK, "%s", request->error == NULL ? "" : request->error->message);
    request = kit_fetch(&k, kit_select(&k, &Thing_entity, "ORDER BY id", 0), NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    for (size_t i = 0; i < 2; i++) {
        const Thing *got = request->steps[0].fetched[i];
        cr_assert_null(got->owner.row);
        cr_assert_eq(got->owner.key.part_count, 1);
        cr_assert_eq(got->owner.key.value.i64, 1);
    }
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ read transactions */

/* A read that is queued after a commit was acknowledged must see it, even when the reader is in the middle of a batch. */
static nxi_request *late;

static void commit_in_between(nxi_port *port, nxi_request *finished)
{
    kit *k = port->context;

    (void)finished;
    port->at_finish = NULL;
    kit_do(k, "INSERT INTO owner (name) VALUES ('new')");
    late = kit_query(k, "SELECT count(*) FROM owner", NULL, 0);
    fake_port_put(port, late);
}

/* Returns whether the two reads before it shared a snapshot. */
static bool read_around_a_commit(void)
{
    kit k;

    kit_open(&k, NULL, false);
    nxi_request *first = kit_query(&k, "SELECT count(*) FROM owner", NULL, 0),
                *second = kit_query(&k, "SELECT count(*) FROM owner", NULL, 0);
    k.ports[KIT_READER].context = &k;
    k.ports[KIT_READER].at_finish = commit_in_between;
    kit_serve(&k, KIT_READER, first, second, NULL);
    cr_assert_eq(first->steps[0].raw.values[0].i64, 0);
    bool shared = second->steps[0].raw.values[0].i64 == 0;
    cr_assert(kit_is_finished(&k, KIT_READER, late));
    cr_assert_eq(late->steps[0].raw.values[0].i64, 1, "an acknowledged commit was not seen");
    kit_close(&k);
    return shared;
}

Test(sqlite_read, readers_see_what_was_acknowledged_before)
{
    bool shared = false;

    for (int i = 0; i < 100 && !shared; i++) /* a batch also ends when its time is over, which a busy machine brings about */
        shared = read_around_a_commit();
    cr_assert(shared, "one batch, one snapshot");
}

Test(sqlite_read, one_bad_read_leaves_the_others)
{
    kit k;

    kit_open(&k, NULL, false);
    nxi_request *a = kit_query(&k, "SELECT 1", NULL, 0), *b = kit_query(&k, "SELECT oops", NULL, 0),
                *c = kit_query(&k, "SELECT 3", NULL, 0);
    kit_serve(&k, KIT_READER, a, b, c, NULL);
    cr_assert_eq(a->status, NX_OK);
    cr_assert_eq(b->status, NX_EUNDEFINED);
    cr_assert_eq(c->status, NX_OK);
    cr_assert_eq(c->outcome, NX_OUTCOME_NONE);
    cr_assert_geq(c->done_ns, c->taken_ns);
    cr_assert_geq(c->taken_ns, c->queued_ns);
    kit_close(&k);
}

Test(sqlite_read, snapshots_stay_as_they_began)
{
    kit k;
    static const char count[] = "SELECT count(*) FROM owner";

    kit_open(&k, NULL, false);
    nxi_request *first = kit_in(kit_query(&k, count, NULL, 0), 7, NXI_BEGIN_SNAPSHOT, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_READER, first), NX_OK);
    cr_assert(first->in_transaction);
    kit_do(&k, "INSERT INTO owner (name) VALUES ('new')");
    nxi_request *second = kit_in(kit_query(&k, count, NULL, 0), 7, NXI_BEGIN_NONE, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_READER, second), NX_OK);
    cr_assert_eq(second->steps[0].raw.values[0].i64, 0);
    cr_assert_eq(kit_number(&k, KIT_READER, count), 1, "a snapshot held others back");
    nxi_request *write = kit_in(kit_execute(&k, "DELETE FROM owner", NULL, 0), 7, NXI_BEGIN_NONE, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_READER, write), NX_EREADONLY);
    nxi_request *end = kit_end(&k, 7, NXI_END_COMMIT);
    cr_assert_eq(kit_run(&k, KIT_READER, end), NX_OK);
    cr_assert_eq(end->outcome, NX_OUTCOME_COMMITTED);
    cr_assert(!end->in_transaction);
    cr_assert_eq(kit_run(&k, KIT_READER, kit_in(kit_query(&k, count, NULL, 0), 7, NXI_BEGIN_NONE, NXI_END_NONE)), NX_EABORTED);
    cr_assert_eq(kit_run(&k, KIT_READER, kit_end(&k, 7, NXI_END_ROLLBACK)), NX_OK);
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ stop and deadline */

static const char endless[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

static void *stop_soon(void *context)
{
    nxi_request *request = context;

    nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
    atomic_store(&request->stop, NX_ECANCELED);
    return NULL;
}

Test(sqlite_read, a_long_query_is_cancelled)
{
    kit k;
    pthread_t thread;

    kit_open(&k, NULL, false);
    nxi_request *request = kit_query(&k, endless, NULL, 0);
    cr_assert_eq(pthread_create(&thread, NULL, stop_soon, request), 0);
    cr_assert_eq(kit_run(&k, KIT_READER, request), NX_ECANCELED);
    pthread_join(thread, NULL);
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT 1"), 1);
    kit_close(&k);
}

Test(sqlite_read, a_deadline_ends_a_query)
{
    kit k;

    kit_open(&k, NULL, false);
    nxi_request *request = kit_query(&k, endless, NULL, 0);
    request->deadline_ns = nxi_clock_ns() + 20000000;
    cr_assert_eq(kit_run(&k, KIT_READER, request), NX_EDEADLINE);
    request = kit_query(&k, "SELECT 1", NULL, 0);
    request->deadline_ns = nxi_clock_ns() - 1;
    cr_assert_eq(kit_run(&k, KIT_READER, request), NX_EDEADLINE);
    request = kit_query(&k, "SELECT 1", NULL, 0);
    atomic_store(&request->stop, NX_ECANCELED);
    cr_assert_eq(kit_run(&k, KIT_READER, request), NX_ECANCELED);
    kit_close(&k);
}

static void *close_soon(void *context)
{
    nxi_port *port = context;

    nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
    __atomic_store_n(&port->stopping, true, __ATOMIC_RELEASE);
    return NULL;
}

Test(sqlite_read, closing_ends_a_query)
{
    kit k;
    pthread_t thread;

    kit_open(&k, NULL, false);
    nxi_request *request = kit_query(&k, endless, NULL, 0);
    cr_assert_eq(pthread_create(&thread, NULL, close_soon, &k.ports[KIT_READER]), 0);
    cr_assert_eq(kit_run(&k, KIT_READER, request), NX_ECLOSED);
    pthread_join(thread, NULL);
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ cursors */

static void fill(kit *k, int count)
{
    nxi_request *request = kit_execute(k,
                                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO "
                                       "thing (number, ratio, title) SELECT i, 0, 't' || i FROM n",
                                       nx_args(count));

    cr_assert_eq(kit_run(k, KIT_WRITER, request), NX_OK, "%s", request->error == NULL ? "" : request->error->message);
}

static nxi_request *cursor_step(kit *k, nxi_step_kind kind, uint64_t cursor, uint32_t limit, uint64_t transaction)
{
    nxi_request *request = kit_request(k, 1);

    request->transaction = transaction;
    request->steps[0] = (nxi_step){ .kind = kind, .cursor = cursor, .row_limit = limit };
    if (kind == NXI_STEP_CURSOR_OPEN) {
        request->steps[0].statement = kit_select(k, &Thing_entity, "WHERE number > ? ORDER BY number", 0);
        request->steps[0].values = nxi_arena_copy(&k->arena, &(nx_value){ .type = NX_TYPE_i64 }, sizeof(nx_value));
        request->steps[0].value_count = 1;
    }
    return request;
}

static int64_t fetch_number(kit *k, size_t worker, uint64_t cursor, uint32_t limit, uint64_t transaction)
{
    nxi_request *request = cursor_step(k, NXI_STEP_CURSOR_FETCH, cursor, limit, transaction);

    cr_assert_eq(kit_run(k, worker, request), NX_OK, "%s", request->error == NULL ? "" : request->error->message);
    return request->steps[0].affected == 0 ? -1 : ((Thing *)request->steps[0].fetched[0])->number;
}

static void walk(kit *k, size_t worker)
{
    cr_assert_eq(kit_run(k, worker, cursor_step(k, NXI_STEP_CURSOR_OPEN, 9, 0, 0)), NX_OK);
    cr_assert_eq(fetch_number(k, worker, 9, 10, 0), 1);
    kit_do(k, "DELETE FROM thing WHERE number > 15"); /* a paused cursor neither sees it nor is in its way */
    cr_assert_eq(fetch_number(k, worker, 9, 10, 0), 11);
    nxi_request *rest = cursor_step(k, NXI_STEP_CURSOR_FETCH, 9, 10, 0);
    cr_assert_eq(kit_run(k, worker, rest), NX_OK);
    cr_assert_eq(rest->steps[0].affected, 5);
    cr_assert(rest->steps[0].cursor_ended);
    rest = cursor_step(k, NXI_STEP_CURSOR_FETCH, 9, 10, 0);
    cr_assert_eq(kit_run(k, worker, rest), NX_OK);
    cr_assert(rest->steps[0].cursor_ended && rest->steps[0].affected == 0);
    cr_assert_eq(kit_run(k, worker, cursor_step(k, NXI_STEP_CURSOR_CLOSE, 9, 0, 0)), NX_OK);
    cr_assert_eq(kit_run(k, worker, cursor_step(k, NXI_STEP_CURSOR_CLOSE, 9, 0, 0)), NX_OK);
    cr_assert_eq(kit_run(k, worker, cursor_step(k, NXI_STEP_CURSOR_FETCH, 9, 0, 0)), NX_ESTATE);
    cr_assert_eq(kit_number(k, worker, "SELECT count(*) FROM thing"), 15);
}

Test(sqlite_read, cursors_fetch_in_pieces)
{
    kit k;

    kit_open(&k, NULL, false);
    fill(&k, 25);
    walk(&k, KIT_READER);
    kit_close(&k);
    kit_open(&k, NULL, true);
    fill(&k, 25);
    walk(&k, KIT_WRITER);
    kit_close(&k);
}

Test(sqlite_read, cursors_are_bounded_and_reused)
{
    kit k;
    nx_status status = NX_OK;

    kit_open(&k, NULL, false);
    fill(&k, 5);
    for (uint64_t i = 1; i <= 64; i++) {
        cr_assert_eq(kit_run(&k, KIT_READER, cursor_step(&k, NXI_STEP_CURSOR_OPEN, i, 0, 0)), NX_OK);
        cr_assert_eq(fetch_number(&k, KIT_READER, i, 1, 0), 1);
    }
    status = kit_run(&k, KIT_READER, cursor_step(&k, NXI_STEP_CURSOR_OPEN, 65, 0, 0));
    cr_assert_eq(status, NX_ELIMIT);
    cr_assert_eq(kit_run(&k, KIT_READER, cursor_step(&k, NXI_STEP_CURSOR_CLOSE, 3, 0, 0)), NX_OK);
    cr_assert_eq(kit_run(&k, KIT_READER, cursor_step(&k, NXI_STEP_CURSOR_OPEN, 65, 0, 0)), NX_OK);
    cr_assert_eq(kit_run(&k, KIT_READER, cursor_step(&k, NXI_STEP_CURSOR_OPEN, 65, 0, 0)), NX_EINVAL);
    kit_close(&k); /* open ones are freed */
}

Test(sqlite_read, cursors_of_a_transaction_see_it_and_end_with_it)
{
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        kit k;

        kit_open(&k, NULL, in_memory);
        nxi_request *begin =
            kit_in(kit_execute(&k, "INSERT INTO thing (number, ratio, title) VALUES (1, 0, 'a'), (2, 0, 'b')", NULL, 0), 3,
                   NXI_BEGIN_WRITE, NXI_END_NONE);
        cr_assert_eq(kit_run(&k, KIT_WRITER, begin), NX_OK);
        cr_assert_eq(kit_run(&k, KIT_WRITER, cursor_step(&k, NXI_STEP_CURSOR_OPEN, 9, 0, 3)), NX_OK);
        cr_assert_eq(fetch_number(&k, KIT_WRITER, 9, 1, 3), 1);
        cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, 3, NXI_END_COMMIT)), NX_OK);
        cr_assert_eq(kit_run(&k, KIT_WRITER, cursor_step(&k, NXI_STEP_CURSOR_FETCH, 9, 1, 0)), NX_ESTATE);
        kit_close(&k);
    }
}

/* ------------------------------------------------------------------------------ memory */

Test(sqlite_read, lack_of_memory_is_an_error_everywhere)
{
    kit k;

    kit_open(&k, NULL, false);
    fill(&k, 20);
    for (uint64_t nth = 1; nth < 40; nth++) {
        nxi_arena arena;
        nxi_request *read = kit_fetch(&k, kit_select(&k, &Thing_entity, "", 0), NULL, 0);
        nxi_arena_init(&arena, k.memory);
        read->arena = &arena;
        nxi_memory_fail(nth, true);
        kit_serve(&k, KIT_READER, read, NULL);
        nxi_memory_fail(0, false);
        cr_assert(kit_is_finished(&k, KIT_READER, read));
        cr_assert(read->status == NX_OK || read->status == NX_ENOMEM, "%s", nx_status_name(read->status));
        if (read->status == NX_ENOMEM)
            cr_assert(!nxi_request_error_is_own(read));
        nxi_arena_fini(&arena);
        if (read->status == NX_OK)
            break;
    }
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT count(*) FROM thing"), 20);
    kit_close(&k);
}
