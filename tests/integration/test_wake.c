/*
 * wake - the one call that another thread may make; and loops of several threads that share nothing.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "fixture.h"
#include "tests/support/test_kit.h"

static void *wake_later(void *loop)
{
    tk_pause_ms(30);
    nx_wake(loop);
    return NULL;
}

static nx_loop *open_loop(void)
{
    nx_loop *loop = NULL;
    nx_error error = { 0 };
    cr_assert_eq(nx_loop_open(NULL, &loop, &error), NX_OK, "%s", error.message);
    return loop;
}

/* Without the wake-up this would wait for ever: the test's timeout tells. */
Test(wake, ends_run_once, .timeout = 20)
{
    nx_loop *loop = open_loop();
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, wake_later, loop), 0);
    CHECK(nx_run_once(loop, -1));
    pthread_join(thread, NULL);
    nx_loop_close(loop);
}

Test(wake, ends_wait_many, .timeout = 20)
{
    nx_loop *loop = open_loop();
    nx_db *db = nx_db_new(loop, nxt_entities);
    cr_assert_eq(nx_await(loop, nx_bind(db, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL)).status, NX_OK);
    nx_op op = nx_select_raw(
        db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT COUNT(*) FROM n",
        nx_no_args, NULL);
    pthread_t thread;
    size_t ready = 9;
    cr_assert_eq(pthread_create(&thread, NULL, wake_later, loop), 0);
    CHECK(nx_wait_many(loop, 1, -1, &ready));
    cr_expect_eq(ready, 0U);
    pthread_join(thread, NULL);
    CHECK(nx_op_cancel(loop, op));
    cr_expect_eq(nx_await(loop, op).status, NX_ECANCELED);
    nx_loop_close(loop);
}

/* A wake-up that came while nobody waited is not lost. */
Test(wake, before_the_wait, .timeout = 20)
{
    nx_loop *loop = open_loop();
    nx_wake(loop);
    CHECK(nx_run_once(loop, -1));
    nx_wake(loop);
    nx_wake(loop);
    CHECK(nx_run_once(loop, -1));
    nx_loop_close(loop);
}

typedef struct hammer { nx_loop *loop; _Atomic int left, stop; } hammer;

static void *wake_always(void *context)
{
    hammer *h = context;
    while (atomic_load(&h->stop) == 0)
        nx_wake(h->loop);
    return NULL;
}

Test(wake, many_while_work_is_done, .timeout = 60)
{
    hammer h = { .loop = open_loop() };
    nx_db *db = nx_db_new(h.loop, nxt_entities);
    cr_assert_eq(nx_await(h.loop, nx_bind(db, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL)).status, NX_OK);
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, wake_always, &h), 0);
    for (int i = 0; i < 300; i++) {
        nx_completion c = nx_await(h.loop, nx_select_raw(db, "SELECT ?", nx_args(i), NULL));
        cr_assert_eq(c.status, NX_OK);
        cr_assert_eq(nx_rows_at(c.raw, 0, 0).i64, i);
        nx_seen(h.loop, &c);
    }
    atomic_store(&h.stop, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    nx_loop_close(h.loop);
}

/* A loop and all that was made with it belong to one thread: four of them, one file each. */
static void *whole_program(void *context)
{
    nx_loop *loop = NULL;
    int64_t *ret_sum = context;
    if (nx_loop_open(NULL, &loop, NULL) != NX_OK)
        return NULL;
    nx_db *db = nx_db_new(loop, nxt_entities);
    bool good = nx_await(loop, nx_bind(db, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL)).status == NX_OK
                && nx_await(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL)).status == NX_OK;
    for (int i = 0; good && i < 50; i++) {
        nx_session *s = nx_session_begin(loop, NULL);
        Slot *slot = nx_new(s, Slot);
        slot->number = i;
        slot->label = nx_str("thread");
        good = nx_await(loop, nx_session_end(s, NULL)).status == NX_OK;
        nx_session_free(s);
    }
    if (good)
        *ret_sum = nx_await(loop, nx_sum(nx_select(db, Slot), Slot_.number, NULL)).value.i64;
    nx_loop_close(loop);
    return NULL;
}

Test(wake, loops_of_several_threads, .timeout = 60)
{
    pthread_t thread[4];
    int64_t sum[4] = { 0 };
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, whole_program, &sum[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
        cr_expect_eq(sum[i], 49 * 50 / 2);
    }
}

/* More than one loop in one thread. */
Test(wake, two_loops_of_one_thread, .timeout = 20)
{
    nx_loop *a = open_loop(), *b = open_loop();
    nx_db *on_a = nx_db_new(a, nxt_entities), *on_b = nx_db_new(b, nxt_entities);
    cr_assert_eq(nx_await(a, nx_bind(on_a, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL)).status, NX_OK);
    cr_assert_eq(nx_await(b, nx_bind(on_b, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL)).status, NX_OK);
    nx_loop_close(a);
    nx_completion c = nx_await(b, nx_select_raw(on_b, "SELECT 1", nx_no_args, NULL));
    cr_expect_eq(c.status, NX_OK);
    nx_loop_close(b);
}
