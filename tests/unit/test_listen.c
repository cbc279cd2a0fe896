/*
 * test_listen - notifications: from the bytes of a server to completions, on the scripted io.
 */
#include "engine/db.h"
#include "engine/pool_lane.h"
#include "nextorm/database.h"
#include "tests/support/wire_script.h"

#include <stdio.h>

static nx_loop *loop;
static nx_db *db;
static char statements[16][64]; /* what the driver was given, in order */
static size_t statement_count;

static void note(const nxi_request *request)
{
    const nxi_statement *statement = request->steps[0].statement;

    if (statement != NULL && statement_count < NXI_COUNT(statements))
        (void)snprintf(statements[statement_count++], sizeof(statements[0]), "%s", statement->sql);
}

static void open_db(const nxi_driver *driver, const nx_bind_options *options)
{
    nx_loop_options loop_options = { .spin_us = UINT32_MAX };
    nx_error error;

    script_hooks();
    fake_wire.put = note;
    cr_assert_eq(nxi_loop_new(&loop_options, fake_io_new(1000 * MS, 16), &loop, &error), NX_OK);
    core = loop->core;
    db = nxi_db_new(loop, NULL);
    db->driver = driver;
    cr_assert_eq(nxi_pool_open(core, driver, options, on_opened, NULL, &db->pool, &error), NX_OK, "%s", error.message);
    TURN_UNTIL(opened_calls == 1);
    db->state = NXI_DB_BOUND;
}

static void end_db(void)
{
    nx_loop_close(loop);
    fake_io_forget();
    cr_assert_eq(atomic_load(&fake_wire_opens), atomic_load(&fake_wire_closes));
}

/* The next completion; it must be of that operation, and is given back. A payload is compared. */
static void expect_text(nx_op op, const char *payload)
{
    const nx_completion *c = nx_peek(loop);

    cr_assert_not_null(c, "no completion");
    cr_assert_eq(c->op.slot, op.slot);
    cr_assert_eq(c->status, NX_OK, "%s", nx_status_name(c->status));
    cr_assert_eq(c->flags, (uint32_t)NX_MORE);
    cr_assert_eq(c->count, 0);
    if (payload == NULL) {
        cr_assert_eq(c->value.type, NX_TYPE_null);
    } else {
        cr_assert_eq(c->value.type, NX_TYPE_text);
        cr_assert_eq(c->value.text.size, strlen(payload));
        cr_assert_str_eq(c->value.text.data, payload);
    }
    nx_seen(loop, c);
}

static void expect_end(nx_op op, nx_status status)
{
    const nx_completion *c = nx_peek(loop);

    cr_assert_not_null(c, "no completion");
    cr_assert_eq(c->op.slot, op.slot);
    cr_assert_eq(c->status, status, "%s", nx_status_name(c->status));
    cr_assert_eq(c->flags, 0u);
    nx_seen(loop, c);
}

static void expect_nothing(void)
{
    turn(0);
    turn(0);
    cr_assert_null(nx_peek(loop));
}

/* Listen and answer; the connection that listens is `fd`. */
static nx_op listen_on(int fd, const char *channel)
{
    size_t sent = sent_on(fd);
    nx_op op = nx_listen(db, channel, NULL);

    TURN_UNTIL(sent_on(fd) == sent + 1);
    answer_on(fd, sent, false);
    turn(0);
    expect_text(op, NULL);
    return op;
}

Test(listen, notifications_become_completions)
{
    nx_bind_options options = { .pool_max = 1 };
    nx_op op, other;

    open_db(&fake_wire_driver, &options);
    op = nx_listen(db, "new \"rows\"", NULL);
    TURN_UNTIL(sent_on(FD) == 1);
    cr_assert_str_eq(statements[0], "LISTEN \"new \"\"rows\"\"\"");
    expect_nothing();
    answer_on(FD, 0, false);
    turn(0);
    expect_text(op, NULL);
    notify_on(FD, "new \"rows\"", "17");
    notify_on(FD, "New \"rows\"", "of another channel");
    notify_on(FD, "new \"rows\"", "");
    turn(0);
    expect_text(op, "17");
    expect_text(op, "");
    expect_nothing();
    other = nx_listen(db, "b", NULL);
    TURN_UNTIL(sent_on(FD) == 2);
    cr_assert_eq(atomic_load(&fake_wire_opens), 1, "one connection for all");
    notify_on(FD, "new \"rows\"", "in between");
    answer_on(FD, 1, false);
    notify_on(FD, "b", "at once");
    turn(0);
    expect_text(op, "in between");
    expect_text(other, NULL);
    expect_text(other, "at once");
    end_db();
}

/* The first notification may stand in the same bytes as the answer, or even be handled before it. */
Test(listen, nothing_is_missed_right_after_the_answer)
{
    nx_bind_options options = { .pool_max = 1 };
    nx_op op;

    open_db(&fake_wire_driver, &options);
    op = nx_listen(db, "a", NULL);
    TURN_UNTIL(sent_on(FD) == 1);
    notify_on(FD, "a", "early");
    answer_on(FD, 0, false);
    notify_on(FD, "a", "late");
    turn(0);
    expect_text(op, NULL);
    expect_text(op, "early");
    expect_text(op, "late");
    end_db();
}

Test(listen, all_listeners_of_a_channel_are_told)
{
    nx_bind_options options = { .pool_max = 1 };
    nx_op first, second;

    open_db(&fake_wire_driver, &options);
    first = listen_on(FD, "a");
    second = nx_listen(db, "a", NULL);
    expect_text(second, NULL);
    notify_on(FD, "a", "x");
    turn(0);
    expect_text(first, "x");
    expect_text(second, "x");
    cr_assert_eq(nx_op_cancel(loop, first), NX_OK);
    expect_end(first, NX_ECANCELED);
    notify_on(FD, "a", "y");
    turn(0);
    expect_text(second, "y");
    cr_assert_eq(sent_on(FD), 1u, "the channel was wanted all the time");
    end_db();
}

Test(listen, the_last_listener_ends_the_channel_and_the_last_channel_the_connection)
{
    nx_bind_options options = { .pool_max = 1 };
    nx_op a, b;

    open_db(&fake_wire_driver, &options);
    a = listen_on(FD, "a");
    b = listen_on(FD, "b");
    cr_assert_eq(nx_op_cancel(loop, a), NX_OK);
    expect_end(a, NX_ECANCELED);
    TURN_UNTIL(sent_on(FD) == 3);
    cr_assert_str_eq(statements[2], "UNLISTEN \"a\"");
    notify_on(FD, "a", "too late");
    a = nx_listen(db, "a", NULL);
    expect_nothing();
    answer_on(FD, 2, false);
    TURN_UNTIL(sent_on(FD) == 4);
    cr_assert_str_eq(statements[3], "LISTEN \"a\"");
    answer_on(FD, 3, false);
    turn(0);
    expect_text(a, NULL);
    cr_assert_eq(nx_op_deadline(loop, a, 10), NX_OK);
    fake_io_advance(10 * MS);
    turn(0);
    expect_end(a, NX_EDEADLINE);
    TURN_UNTIL(sent_on(FD) == 5);
    answer_on(FD, 4, false);
    turn(0);
    cr_assert_eq(nx_op_cancel(loop, b), NX_OK);
    expect_end(b, NX_ECANCELED);
    TURN_UNTIL(atomic_load(&fake_wire_closes) == 1);
    cr_assert_eq(sent_on(FD), 5u);
    b = listen_on(FD + 1, "b");
    end_db();
}

Test(listen, one_that_is_cancelled_before_it_began_ends_at_once)
{
    nx_bind_options options = { .pool_max = 1 };
    nx_op op;

    open_db(&fake_wire_driver, &options);
    op = nx_listen(db, "a", NULL);
    TURN_UNTIL(sent_on(FD) == 1);
    cr_assert_eq(nx_op_cancel(loop, op), NX_OK);
    expect_end(op, NX_ECANCELED);
    answer_on(FD, 0, false);
    TURN_UNTIL(atomic_load(&fake_wire_closes) == 1);
    cr_assert_null(db->channels);
    end_db();
}

Test(listen, a_lost_connection_ends_it)
{
    nx_bind_options options = { .pool_max = 1 };
    nx_op a, b, c;
    const nx_completion *last;

    open_db(&fake_wire_driver, &options);
    a = listen_on(FD, "a");
    b = nx_listen(db, "b", NULL); /* on its way */
    TURN_UNTIL(sent_on(FD) == 2);
    fake_io_end(FD);
    turn(0);
    last = nx_peek(loop);
    cr_assert(last->error->retryable);
    cr_assert_not_null(strstr(last->error->message, "missed"));
    expect_end(a, NX_ELOST);
    expect_end(b, NX_ELOST);
    cr_assert_null(db->channels);
    c = listen_on(FD + 1, "a");
    notify_on(FD + 1, "a", "again");
    turn(0);
    expect_text(c, "again");
    end_db();
}

Test(listen, a_server_that_is_gone_is_not_hammered)
{
    nx_bind_options options = { .pool_max = 1, .pool_timeout_ms = 1000 };
    nx_op op;
    int before;

    open_db(&fake_wire_driver, &options);
    op = listen_on(FD, "a");
    atomic_store(&refuse_opens, 1000);
    fake_io_end(FD);
    turn(0);
    expect_end(op, NX_ELOST);
    op = nx_listen(db, "a", NULL);
    TURN_UNTIL(nxi_wires_of(db->pool)->failures == 1);
    before = atomic_load(&fake_wire_opens);
    for (int i = 0; i < 100; i++)
        turn(0);
    cr_assert_eq(atomic_load(&fake_wire_opens), before);
    for (int step = 0; step < 100; step++) {
        fake_io_advance(10 * MS);
        turn(0);
        TURN_UNTIL(nxi_wires_of(db->pool)->listener == NULL);
    }
    turn(0);
    expect_end(op, NX_ECONNECT);
    cr_assert_leq(atomic_load(&fake_wire_opens) - before, 8);
    end_db();
}

/* The connection may be dead without anybody having told us. */
Test(listen, a_connection_that_listens_is_asked_whether_it_lives)
{
    nx_bind_options options = { .pool_max = 1, .idle_check_ms = 1000, .lifetime_ms = 1 };
    nx_op op;

    open_db(&fake_wire_driver, &options);
    op = listen_on(FD, "a");
    fake_io_advance(500 * MS);
    notify_on(FD, "a", "alive");
    turn(0);
    expect_text(op, "alive");
    fake_io_advance(999 * MS);
    expect_nothing();
    cr_assert_eq(sent_on(FD), 1u);
    fake_io_advance(2 * MS);
    expect_nothing();
    cr_assert_eq(sent_on(FD), 2u);
    cr_assert_eq(flags_on(FD, 1), FAKE_WIRE_PING);
    answer_on(FD, 1, false);
    expect_nothing();
    fake_io_advance(1001 * MS);
    expect_nothing();
    cr_assert_eq(sent_on(FD), 3u);
    fake_io_advance(5001 * MS);
    turn(0);
    turn(0);
    expect_end(op, NX_ELOST);
    end_db();
}

Test(listen, what_nobody_reads_is_bounded)
{
    nx_bind_options options = { .pool_max = 1, .notifications_max = 3 };
    nx_op slow, quick;
    size_t seen = 0;

    open_db(&fake_wire_driver, &options);
    slow = listen_on(FD, "a");
    quick = listen_on(FD, "b");
    for (int i = 0; i < 10; i++)
        notify_on(FD, "a", "x");
    notify_on(FD, "b", "y");
    turn(0);
    for (; seen < 3; seen++)
        expect_text(slow, "x");
    expect_end(slow, NX_ELIMIT);
    expect_text(quick, "y");
    TURN_UNTIL(sent_on(FD) == 3);
    cr_assert_str_eq(statements[2], "UNLISTEN \"a\"");
    for (int i = 0; i < 10; i++) {
        notify_on(FD, "b", "z");
        turn(0);
        expect_text(quick, "z");
    }
    end_db();
}

Test(listen, it_takes_nothing_from_those_that_work)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1 };
    nx_op op;

    open_db(&fake_wire_driver, &options);
    pool = db->pool;
    op = listen_on(FD + 1, "a");
    cr_assert_eq(nxi_pool_count(pool).lanes, 1u);
    nxi_arena_init(&arenas[0], loop->memory);
    submit(0);
    turn(0);
    cr_assert_eq(sent_on(FD), 1u);
    answer_on(FD, 0, false);
    turn(0);
    cr_assert_eq(requests[0].status, NX_OK);
    nxi_arena_fini(&arenas[0]);
    expect_nothing();
    cr_assert_eq(nx_op_cancel(loop, op), NX_OK);
    end_db();
}

Test(listen, what_cannot_be_listened_to_is_refused)
{
    nx_bind_options options = { .pool_max = 1 };
    char name[80];

    open_db(&fake_wire_driver, &options);
    cr_assert_eq(nx_await(loop, nx_listen(db, NULL, NULL)).status, NX_EINVAL);
    cr_assert_eq(nx_await(loop, nx_listen(db, "", NULL)).status, NX_EINVAL);
    cr_assert_eq(nx_await(loop, nx_listen(db, "\xff", NULL)).status, NX_EINVAL);
    memset(name, 'x', sizeof(name));
    name[64] = '\0';
    cr_assert_eq(nx_await(loop, nx_listen(db, name, NULL)).status, NX_EINVAL);
    cr_assert_eq(nx_await(loop, nx_notify(db, "", "x", NULL)).status, NX_EINVAL);
    end_db();
    script_reset();
    open_db(&fake_wire_driver_plain, &options);
    cr_assert_eq(nx_await(loop, nx_listen(db, "a", NULL)).status, NX_EUNSUPPORTED);
    cr_assert_eq(nx_await(loop, nx_notify(db, "a", "x", NULL)).status, NX_EUNSUPPORTED);
    end_db();
    script_reset();
    options.pooler = NX_POOLER_TRANSACTION;
    open_db(&fake_wire_driver, &options);
    cr_assert_eq(nx_await(loop, nx_listen(db, "a", NULL)).status, NX_EUNSUPPORTED);
    db->state = NXI_DB_UNBOUND;
    cr_assert_eq(nx_await(loop, nx_listen(db, "a", NULL)).status, NX_ECLOSED);
    end_db();
}

Test(listen, notifying_is_a_statement)
{
    nx_bind_options options = { .pool_max = 1 };
    nx_op op;

    open_db(&fake_wire_driver, &options);
    op = nx_notify(db, "a", NULL, NULL);
    TURN_UNTIL(sent_on(FD) == 1);
    cr_assert_str_eq(statements[0], "SELECT pg_notify(?, ?)");
    answer_on(FD, 0, false);
    turn(0);
    expect_end(op, NX_OK);
    end_db();
}

Test(listen, closing_ends_it_at_every_moment)
{
    for (int moment = 0; moment < 6; moment++) {
        nx_bind_options options = { .pool_max = 1 };
        nx_op op, close_op;

        script_reset();
        open_db(&fake_wire_driver, &options);
        op = nx_listen(db, "a", NULL);
        if (moment >= 1)
            TURN_UNTIL(sent_on(FD) == 1);
        if (moment >= 2) {
            answer_on(FD, 0, false);
            turn(0);
            expect_text(op, NULL);
        }
        if (moment == 3) { /* while a second channel ends */
            nx_op other = listen_on(FD, "b");
            cr_assert_eq(nx_op_cancel(loop, other), NX_OK);
            expect_end(other, NX_ECANCELED);
            TURN_UNTIL(sent_on(FD) == 3);
        }
        if (moment == 4) {
            close_op = nx_close(db, NULL);
            expect_end(op, NX_ECLOSED);
            TURN_UNTIL(nx_peek(loop) != NULL);
            expect_end(close_op, NX_OK);
        } else if (moment == 5) { /* with unread ones */
            notify_on(FD, "a", "x");
            turn(0);
            nx_db_free(db);
            expect_text(op, "x");
            expect_end(op, NX_ECLOSED);
        } else {
            nx_db_free(db);
            expect_end(op, NX_ECLOSED);
        }
        end_db();
    }
}

Test(listen, closing_does_not_wait_for_a_server_that_is_gone)
{
    nx_bind_options options = { .pool_max = 1 };
    nx_op op;

    open_db(&fake_wire_driver, &options);
    op = listen_on(FD, "a");
    atomic_store(&refuse_opens, 1000);
    fake_io_end(FD);
    turn(0);
    expect_end(op, NX_ELOST);
    op = nx_listen(db, "a", NULL);
    TURN_UNTIL(nxi_wires_of(db->pool)->failures == 1);
    cr_assert_null(nx_peek(loop));
    nx_op close_op = nx_close(db, NULL);
    expect_end(op, NX_ECLOSED);
    TURN_UNTIL(nx_peek(loop) != NULL);
    expect_end(close_op, NX_OK);
    end_db();
}

/* Ends in one way or the other, and leaves nothing behind. */
Test(listen, want_of_memory_ends_it)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1 };
    bool done = false;

    for (uint64_t n = 1; !done; n++) {
        nx_op op;

        script_reset();
        open_db(&fake_wire_driver, &options);
        nxi_memory_fail(n, false);
        op = nx_listen(db, "a", NULL);
        for (int i = 0; i < 100 && op.slot != 0 && nx_peek(loop) == NULL; i++) {
            turn(0);
            nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
            if (sent_on(FD + 1) == 1 && fake_io_fd(FD + 1)->fed_size == 0) {
                answer_on(FD + 1, 0, false);
                notify_on(FD + 1, "a", "x");
            }
        }
        done = op.slot != 0 && nx_peek(loop) != NULL && nx_peek(loop)->status == NX_OK && n > 3;
        nxi_memory_fail(0, false);
        end_db();
        cr_assert_lt(n, UINT64_C(200));
    }
}

Test(listen, sqlite_has_no_notifications_and_no_connections)
{
    static const nx_bind_options wrong[] = { { .path = ":memory:", .waiters_max = 1 },
                                             { .path = ":memory:", .idle_check_ms = 1 },
                                             { .path = ":memory:", .lifetime_ms = 1 },
                                             { .path = ":memory:", .notifications_max = 1 } };
    nx_bind_options options = { .path = ":memory:" };

    cr_assert_eq(nx_loop_open(NULL, &loop, NULL), NX_OK);
    db = nx_db_new(loop, NULL);
    for (size_t i = 0; i < NXI_COUNT(wrong); i++)
        cr_assert_eq(nx_await(loop, nx_bind(db, "sqlite", &wrong[i], NULL)).status, NX_EINVAL);
    cr_assert_eq(nx_await(loop, nx_bind(db, "sqlite", &options, NULL)).status, NX_OK);
    cr_assert_eq(nx_await(loop, nx_listen(db, "a", NULL)).status, NX_EUNSUPPORTED);
    cr_assert_eq(nx_await(loop, nx_notify(db, "a", NULL, NULL)).status, NX_EUNSUPPORTED);
    nx_loop_close(loop);
}
