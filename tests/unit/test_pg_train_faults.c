/*
 * postgres: what a broken server, want of memory, and operations that are given up do to a train.
 */
#include <criterion/criterion.h>

#include "tests/support/pg_train_kit.h"

TestSuite(pg_train_faults, .init = tk_begin, .fini = tk_end, .timeout = 600);

static void again(void)
{
    tk_close();
    tk_open(NULL);
}

static void expect_report(const char *text)
{
    cr_assert_str_eq(tk.report, text);
    tk.report[0] = '\0';
}

/* Requests of every kind, of which some fail. */
static size_t put_session(bool large)
{
    static const char *const reads[] = { "read 1", "fail 22012", "two", "syntax", "nothing" };
    nxi_request *aside = tk_insert(6, 40);
    size_t put = 0;

    aside->steps[0].set_aside = true;
    tk.model.bad = 45;
    for (size_t i = 0; i < NXI_COUNT(reads); i++)
        put += tk_put(tk_read(reads[i]));
    put += tk_put(tk_execute("write 9"));
    put += tk_put(aside);
    put += tk_put(tk_of(tk_execute("write 5"), 5, NXI_BEGIN_WRITE, NXI_END_NONE));
    put += tk_put(tk_of(tk_insert(5, 44), 5, NXI_BEGIN_NONE, NXI_END_NONE));
    put += tk_put(tk_of(tk_insert(2, 60), 5, NXI_BEGIN_NONE, NXI_END_COMMIT));
    if (large)
        put += tk_put(tk_insert(NXI_PG_COPY_MIN, 100));
    return put;
}

/* ------------------------------------------------------------------------------ out of place */

typedef struct message {
    const char *bytes;
    size_t size;
} message;
#define MESSAGE(text)                                                                                                            \
    {                                                                                                                            \
        (text), sizeof(text) - 1                                                                                                 \
    }

static const message misplaced[] = {
    MESSAGE("1\0\0\0\4"),
    MESSAGE("2\0\0\0\4"),
    MESSAGE("3\0\0\0\4"),
    MESSAGE("n\0\0\0\4"),
    MESSAGE("s\0\0\0\4"),
    MESSAGE("I\0\0\0\4"),
    MESSAGE("c\0\0\0\4"),
    MESSAGE("Z\0\0\0\5I"),
    MESSAGE("Z\0\0\0\5T"),
    MESSAGE("Z\0\0\0\5?"),
    MESSAGE("Z\0\0\0\4"),
    MESSAGE("C\0\0\0\13SELECT\0"),
    MESSAGE("C\0\0\0\4"),
    MESSAGE("C\0\0\0\5x"),
    MESSAGE("C\0\0\0\16COM\0MIT\0\0\0"),
    MESSAGE("C\0\0\0\40INSERT 0 9223372036854775807\0"),
    MESSAGE("t\0\0\0\6\0\0"),
    MESSAGE("t\0\0\0\6\7\7"),
    MESSAGE("t\0\0\0\4"),
    MESSAGE("T\0\0\0\6\0\0"),
    MESSAGE("T\0\0\0\6\377\377"),
    MESSAGE("T\0\0\0\4"),
    MESSAGE("T\0\0\0\10\0\1a\0"),
    MESSAGE("D\0\0\0\4"),
    MESSAGE("D\0\0\0\6\0\0"),
    MESSAGE("D\0\0\0\12\0\1\377\377\377\376"),
    MESSAGE("D\0\0\0\12\0\1\177\377\377\377"),
    MESSAGE("D\0\0\0\6\377\377"),
    MESSAGE("G\0\0\0\4"),
    MESSAGE("H\0\0\0\7\0\0\0"),
    MESSAGE("W\0\0\0\4"),
    MESSAGE("K\0\0\0\14\0\0\0\1\0\0\0\2"),
    MESSAGE("R\0\0\0\10\0\0\0\0"),
    MESSAGE("V\0\0\0\10\377\377\377\377"),
    MESSAGE("\0\0\0\0\4"),
    MESSAGE("\377\0\0\0\4"),
    MESSAGE("A\0\0\0\4"),
    MESSAGE("A\0\0\0\10\0\0\0\1"),
    MESSAGE("A\0\0\0\12\0\0\0\1xx"),
    MESSAGE("S\0\0\0\4"),
    MESSAGE("S\0\0\0\6ab"),
    MESSAGE("S\0\0\0\6a\0"),
    MESSAGE("1\0\0\0\3"),
    MESSAGE("1\0\0\0\0"),
    MESSAGE("D\377\377\377\377"),
    MESSAGE("D\177\377\377\377"),
    MESSAGE("E\0\0\0\4"),
    MESSAGE("E\0\0\0\5\0"),
    MESSAGE("E\0\0\0\6xx"),
    MESSAGE("S\0\0\0\31client_encoding\0LATIN1\0"),
};

/* The run goes on until nothing moves; behind answer number `at` the server says something else. Answers are counted. */
static size_t run_with(size_t at, const message *extra)
{
    size_t count = 0;

    for (unsigned quiet = 0; quiet < 2 && tk.status == NX_OK && !tk.out.failed;) {
        const pgm_bytes *answers = &tk.model.out;
        size_t sent, from = 0;

        tk_fill();
        sent = tk.out.size;
        tk_serve();
        quiet = sent == 0 && answers->size == 0 ? quiet + 1 : 0;
        while (from < answers->size && tk.status == NX_OK) {
            size_t whole = 1 + (size_t)nxi_pg_load32(answers->data + from + 1);
            if (count++ == at)
                (void)tk_feed(extra->bytes, extra->size);
            if (tk.status == NX_OK)
                (void)tk_feed(answers->data + from, whole);
            from += whole;
        }
        tk.model.out.size = 0;
    }
    return count;
}

/* Everything has come to an end: all requests, or the connection. It stays at its end. */
static void expect_an_end(size_t put, const char *what, size_t at)
{
    if (tk.status == NX_OK) {
        cr_assert_eq(tk.finished, put, "%s at %zu: a request waits for ever: %s", what, at, tk.report);
        return;
    }
    cr_assert_leq(tk.finished, put);
    cr_assert_eq(tk.failures, 1u);
    size_t finished = tk.finished;
    cr_assert_neq(tk_feed("Z\0\0\0\5I", 6), NX_OK, "what follows is not believed");
    cr_assert_eq(tk.finished, finished);
    cr_assert_not(tk.wire->is_idle(tk.pg));
    cr_assert_not(tk.wire->is_quiet(tk.pg));
}

Test(pg_train_faults, answers_out_of_place)
{
    size_t put = put_session(false), count = run_with(SIZE_MAX, NULL), protocol = 0;

    cr_assert_eq(tk.finished, put, "%s", tk.report);
    cr_assert_gt(count, 100u);
    for (size_t at = 0; at < count; at += 2) {
        for (size_t i = 0; i < NXI_COUNT(misplaced); i++) {
            char what[2] = { misplaced[i].bytes[0], '\0' };
            again();
            put = put_session(false);
            (void)run_with(at, &misplaced[i]);
            expect_an_end(put, what, at);
            protocol += tk.status == NX_EPROTOCOL;
        }
    }
    cr_assert_gt(protocol, 1000u, "%zu", protocol);
}

Test(pg_train_faults, another_encoding_ends_the_connection)
{
    cr_assert(tk_put(tk_read("read 1")));
    cr_assert_eq(tk_feed("S\0\0\0\31client_encoding\0UTF8\0", 25 + 1 - 2), NX_OK);
    cr_assert_eq(tk_feed("S\0\0\0\33client_encoding\0LATIN1\0", 28), NX_ESTATE);
    cr_assert_not_null(strstr(tk.error.message, "client_encoding"));
}

/* Memory is taken for what has come, not for what is announced. */
Test(pg_train_faults, a_gigabyte_that_is_announced)
{
    static uint8_t row[65536] = "D\077\377\377\377\0\1\077\377\377\365";
    uint64_t before = nxi_memory_count(tk.memory).bytes_held;

    cr_assert(tk_put(tk_read("read 1")));
    tk_fill();
    for (int i = 0; i < 16; i++)
        cr_assert_eq(tk_feed(row, sizeof(row)), NX_OK, "it is not whole, and waited for");
    cr_assert_lt(nxi_memory_count(tk.memory).bytes_held - before, 8u << 20);
    cr_assert_not(tk.wire->is_idle(tk.pg));
}

Test(pg_train_faults, an_error_that_ends_the_session)
{
    pgm_bytes *out = &tk.model.out;

    cr_assert(tk_put(tk_read("read 1")));
    tk_fill();
    pgm_put_error(out, true, "57P01", "terminating connection due to administrator command", NULL);
    cr_assert_eq(tk_feed(out->data, out->size), NX_ELOST);
    cr_assert_str_eq(tk.error.sqlstate, "57P01");
    out->size = 0;
}

/* ------------------------------------------------------------------------------ bytes that are changed */

Test(pg_train_faults, no_changed_byte_makes_it_wait)
{
    static uint8_t recorded[65536];
    size_t size = 0, put = put_session(false);

    while (tk.finished < put) {
        tk_fill();
        tk_serve();
        cr_assert_lt(size + tk.model.out.size, sizeof(recorded));
        memcpy(recorded + size, tk.model.out.data, tk.model.out.size);
        size += tk.model.out.size;
        tk_receive();
    }
    for (size_t at = 0; at < size; at += 3) {
        for (unsigned flip = 0; flip < 4; flip++) {
            static const uint8_t flips[] = { 1, 0x20, 0x80, 0xff };
            again();
            (void)put_session(false);
            recorded[at] ^= flips[flip];
            /* The recorded answers fit as long as the driver does what it did. Whatever it makes of them, it survives. */
            for (size_t from = 0; from < size && tk.status == NX_OK; from += 64) {
                tk_fill();
                nxi_buf_clear(&tk.out);
                (void)tk_feed(recorded + from, nxi_min_size(64, size - from));
            }
            recorded[at] ^= flips[flip];
            cr_assert_leq(tk.failures, 1u);
        }
    }
}

/* ------------------------------------------------------------------------------ given up */

/* Give up request `which` after `moves` messages of the driver were seen and answered. True: that moment exists. */
static bool give_up_after(size_t which, size_t moves, bool *ret_was_there)
{
    nxi_request tombstone = { .status = NX_ECANCELED };
    bool waits = false, moved = true;
    size_t put = put_session(false), moment = 0;

    *ret_was_there = false;
    for (unsigned quiet = 0; quiet < 4 && tk.status == NX_OK;) {
        if (moment++ == moves && tk.requests[which]->wire != NULL) {
            *ret_was_there = true;
            waits = tk.wire->give_up(tk.pg, tk.requests[which], &tombstone);
            memset(tk.requests[which]->steps, 0xa5, tk.requests[which]->step_count * sizeof(nxi_step)); /* not to be looked at */
            put -= waits ? 0 : 1;
        }
        tk.enough = 40; /* small pieces, so that moments lie between them */
        tk_fill();
        moved = tk.out.size > 0;
        if (moment % 2 == 0) {
            tk_serve();
            moved = moved || tk.model.out.size > 0;
            tk_receive();
        }
        quiet = moved ? 0 : quiet + 1;
    }
    cr_assert_eq(tk.status, NX_OK, "%zu after %zu: %s", which, moves, tk.error.message);
    cr_assert_eq(tk.finished, put, "%zu after %zu: %s", which, moves, tk.report);
    return moment > moves;
}

Test(pg_train_faults, requests_may_be_given_up_at_any_time)
{
    size_t moments = 0;

    for (size_t which = 0; which < 10; which++) {
        bool there = true;
        for (size_t moves = 0; there; moves++) {
            again();
            bool exists = give_up_after(which, moves, &there);
            moments += exists && there;
            /* Its transaction is not ended by a request that was given up in it: sessions roll back. */
            bool in_transaction = which >= 7;
            cr_assert(in_transaction || tk.wire->is_idle(tk.pg), "%zu after %zu: %s", which, moves, tk.report);
            cr_assert(tk.wire->is_quiet(tk.pg));
        }
    }
    cr_assert_gt(moments, 200u, "%zu", moments);
}

/* ------------------------------------------------------------------------------ interrupted */

static nxi_request *given_up(nxi_request *request)
{
    static nxi_request tombstone;

    tombstone = (nxi_request){ .status = NX_ECANCELED };
    cr_assert(tk.wire->give_up(tk.pg, request, &tombstone));
    return &tombstone;
}

/* Three reads on their way, the first of which is given up; an interrupt is wanted. */
static void prepare_interrupt(void)
{
    cr_assert(tk_put(tk_read("two")));
    cr_assert(tk_put(tk_read("read 1")));
    cr_assert(tk_put(tk_read("read 2")));
    cr_assert(tk_run());
    expect_report("a 1 2; b 1; c 2; ");
    cr_assert(tk_put(tk_read("two")));
    cr_assert(tk_put(tk_read("read 1")));
    cr_assert(tk_put(tk_read("read 2")));
    tk_fill();
    cr_assert_not(tk.wire->spares(tk.pg), "nothing was given up");
    given_up(tk.requests[3]);
    cr_assert(tk.wire->spares(tk.pg));
}

Test(pg_train_faults, a_read_that_an_interrupt_hits_is_sent_again)
{
    prepare_interrupt();
    tk.model.interrupts = 1;
    cr_assert(tk_run());
    expect_report("e 1; f 2; ");
    cr_assert(tk.wire->is_idle(tk.pg));
}

Test(pg_train_faults, one_interrupt_hits_once)
{
    prepare_interrupt();
    tk.model.interrupts = 2;
    cr_assert(tk_run());
    expect_report("e ECANCELED/57014; f 2; ");
}

Test(pg_train_faults, behind_the_barrier_a_cancelled_read_is_one)
{
    prepare_interrupt();
    cr_assert(tk_run());
    expect_report("e 1; f 2; ");
    tk.wire->settle(tk.pg);
    cr_assert_not(tk.wire->is_idle(tk.pg));
    cr_assert(tk_run());
    cr_assert(tk.wire->is_idle(tk.pg));
    tk.model.interrupts = 1;
    cr_assert(tk_put(tk_read("read 1")));
    cr_assert(tk_run());
    expect_report("g ECANCELED/57014; ");
}

Test(pg_train_faults, writes_are_not_spared)
{
    cr_assert(tk_put(tk_read("two")));
    cr_assert(tk_put(tk_execute("write 1")));
    tk_fill();
    given_up(tk.requests[0]);
    cr_assert_not(tk.wire->spares(tk.pg));
    cr_assert(tk_run());
    expect_report("b 1 committed; ");
}

/* What runs is somebody else's: it would be hit for nothing. */
Test(pg_train_faults, what_was_given_up_but_does_not_run_is_not_interrupted)
{
    cr_assert(tk_put(tk_read("read 1")));
    cr_assert(tk_put(tk_read("two")));
    cr_assert(tk_run());
    cr_assert(tk_put(tk_read("read 1")));
    cr_assert(tk_put(tk_read("two")));
    tk_fill();
    given_up(tk.requests[3]);
    cr_assert_not(tk.wire->spares(tk.pg));
    cr_assert(tk_run());
}

/* ------------------------------------------------------------------------------ transactions behind each other */

Test(pg_train_faults, nobody_runs_outside_of_a_transaction_that_is_begun_again)
{
    cr_assert(tk_put(tk_of(tk_execute("write 1"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_new(0), 5, NXI_BEGIN_NONE, NXI_END_COMMIT)));
    cr_assert(tk_run());
    expect_report("a 1 open; b committed; ");
    pgm_forget(&tk.model); /* also BEGIN */
    cr_assert(tk_put(tk_of(tk_execute("write 2"), 6, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_insert(1, 3), 6, NXI_BEGIN_NONE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_new(0), 6, NXI_BEGIN_NONE, NXI_END_ROLLBACK)));
    cr_assert(tk_run());
    expect_report("c 1 open; d 1 open; e rolled back; ");
    cr_assert_eq(pgm_count(&tk.model, 3), 0u, "it was part of the transaction");
}

Test(pg_train_faults, nobody_runs_without_the_transaction_that_was_given_up)
{
    nxi_request tombstone = { .status = NX_ECANCELED };

    cr_assert(tk_put(tk_read("read 1")));
    tk_fill(); /* so that BEGIN has to wait */
    cr_assert(tk_put(tk_of(tk_execute("write 2"), 6, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_insert(1, 3), 6, NXI_BEGIN_NONE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_insert(1, 4), 6, NXI_BEGIN_NONE, NXI_END_COMMIT)));
    tk_fill();
    cr_assert_not(tk.wire->give_up(tk.pg, tk.requests[1], &tombstone));
    cr_assert(tk_run());
    cr_assert_str_eq(tk.report, "a 1; c EABORTED rolled back; d EABORTED rolled back; ");
    cr_assert_eq(tk.model.committed, 0u);
    cr_assert(tk.wire->is_idle(tk.pg));
}

Test(pg_train_faults, bad_rows_of_a_transaction_that_others_wait_behind)
{
    nxi_request *aside = tk_of(tk_insert(20, 1), 5, NXI_BEGIN_WRITE, NXI_END_NONE);

    aside->steps[0].set_aside = true;
    tk.model.bad = 7;
    cr_assert(tk_put(aside));
    cr_assert(tk_put(tk_of(tk_insert(1, 50), 5, NXI_BEGIN_NONE, NXI_END_COMMIT)));
    cr_assert(tk_run());
    expect_report("a 19 !6 open; b 1 committed; ");
    cr_assert_eq(tk.model.committed, 20u);
}

Test(pg_train_faults, two_writes_that_fail_at_a_row)
{
    nxi_request *aside;

    tk.model.bad = 45;
    cr_assert(tk_put(tk_insert(10, 40)));
    cr_assert(tk_put(tk_insert(10, 41)));
    aside = tk_insert(10, 42);
    aside->steps[0].set_aside = true;
    cr_assert(tk_put(aside));
    cr_assert(tk_put(tk_insert(10, 50)));
    cr_assert(tk_put(tk_execute("write 1"))); /* has to wait for its description while the others come back */
    cr_assert(tk_run());
    cr_assert_eq(tk.finished, 5u, "%s", tk.report);
    cr_assert_not_null(strstr(tk.report, "a ECHECK/23514@5 rolled back"), "%s", tk.report);
    cr_assert_not_null(strstr(tk.report, "b ECHECK/23514@4 rolled back"), "%s", tk.report);
    cr_assert_not_null(strstr(tk.report, "c 9 !3 committed"), "%s", tk.report);
    cr_assert_eq(tk.model.committed, 20u);
    cr_assert(tk.wire->is_idle(tk.pg));
}

/* Two steps of which the second one has to wait for a description: what is sent again meanwhile is not sent in between. */
Test(pg_train_faults, a_wave_is_not_cut_by_what_is_sent_again)
{
    nxi_request *two;

    cr_assert(tk_put(tk_execute("write 1")));
    cr_assert(tk_run());
    cr_assert(tk_put(tk_execute("write 2")));
    cr_assert(tk_run());
    expect_report("a 1 committed; b 1 committed; ");
    tk.model.statements[0].name[0] = '?'; /* of "write 1" */
    cr_assert(tk_put(tk_execute("write 1")));
    two = tk_new(2);
    two->steps[0] = (nxi_step){ .kind = NXI_STEP_EXECUTE, .statement = tk_text("write 2") };
    two->steps[1] = (nxi_step){ .kind = NXI_STEP_EXECUTE, .statement = tk_text("write 45") };
    two->writes = true;
    tk.model.bad = 45;
    cr_assert(tk_put(two));
    cr_assert(tk_run());
    cr_assert_eq(tk.finished, 4u, "%s", tk.report);
    cr_assert_eq(pgm_count(&tk.model, 1), 2u, "%s", tk.report);
    cr_assert_eq(pgm_count(&tk.model, 2), 1u, "half of it was committed: %s", tk.report);
}

/* ------------------------------------------------------------------------------ out of memory */

/*
 * The n-th allocation fails: in put, only that request; else the connection is of no more use, or only one request has failed.
 * Nothing is leaked, and no request is reported twice.
 */
Test(pg_train_faults, out_of_memory_anywhere)
{
    uint64_t requests;

    nxi_memory_fail(UINT64_MAX, false);
    (void)put_session(true);
    cr_assert(tk_run());
    requests = nxi_memory_requests();
    nxi_memory_fail(0, false);
    cr_assert_gt(requests, 50u);
    for (uint64_t first = 1; first <= requests; first++) {
        size_t put;
        again();
        tk.out.memory = tk.memory;
        put = put_session(true);
        nxi_memory_fail(first, false);
        bool good = tk_run();
        nxi_memory_fail(0, false);
        cr_assert_leq(tk.finished, put);
        if (good)
            cr_assert_eq(tk.finished, put, "number %d: %s", (int)first, tk.report);
    }
}
