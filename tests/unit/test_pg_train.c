/*
 * postgres: requests become trains of messages, and what the server says of them comes back to the right ones.
 */
#include <criterion/criterion.h>

#include "tests/support/pg_train_kit.h"

TestSuite(pg_train, .init = tk_begin, .fini = tk_end, .timeout = 300);

static void put_reads(const char *const *texts)
{
    for (size_t i = 0; texts[i] != NULL; i++)
        cr_assert(tk_put(tk_read(texts[i])));
}
#define READS(...) put_reads((const char *const[]){ __VA_ARGS__, NULL })

static void expect_report(const char *text)
{
    cr_assert_str_eq(tk.report, text);
    tk.report[0] = '\0';
}

/* ------------------------------------------------------------------------------ what is sent */

Test(pg_train, reads_of_a_turn_share_a_sync)
{
    READS("read 1", "read 2");
    cr_assert(tk_run());
    expect_report("a 1; b 2; ");
    (void)tk_log();
    READS("read 1", "read 2", "read 1");
    tk_fill();
    tk_serve();
    cr_assert_str_eq(tk_log(), "BEBEBES", "they are prepared");
    tk_receive();
    expect_report("c 1; d 2; e 1; ");
    cr_assert(tk.wire->is_idle(tk.pg));
}

Test(pg_train, every_write_has_a_sync_of_its_own)
{
    READS("read 1");
    cr_assert(tk_put(tk_execute("write 7")));
    cr_assert(tk_put(tk_execute("write 8")));
    READS("read 2");
    cr_assert(tk_run());
    expect_report("a 1; b 1 committed; c 1 committed; d 2; ");
    (void)tk_log();
    READS("read 1");
    cr_assert(tk_put(tk_execute("write 7")));
    READS("read 2");
    tk_fill();
    tk_serve();
    cr_assert_str_eq(tk_log(), "BESBESBES");
    tk_receive();
    cr_assert_eq(pgm_count(&tk.model, 7), 2u);
}

Test(pg_train, a_session_is_one_train_under_one_sync)
{
    nxi_request *request = tk_of(tk_insert(2, 1), 5, NXI_BEGIN_WRITE, NXI_END_COMMIT);

    cr_assert(tk_put(request));
    tk_fill();
    tk_serve();
    cr_assert_str_eq(tk_log(), "PBEBES", "the Sync is its begin and its end");
    tk_receive();
    expect_report("a 2 committed; ");
    cr_assert_eq(tk_item(request, 0)->id, 1);
    cr_assert_eq(tk_item(request, 1)->id, 2);
    cr_assert(request->commit_position > 0);
}

Test(pg_train, a_long_transaction_is_begun_and_committed)
{
    cr_assert(tk_put(tk_of(tk_execute("write 1"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_run());
    expect_report("a 1 open; ");
    cr_assert_not(tk.wire->is_idle(tk.pg));
    cr_assert(tk.wire->is_quiet(tk.pg));
    cr_assert(tk_put(tk_of(tk_read("read 4"), 5, NXI_BEGIN_NONE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_insert(1, 2), 5, NXI_BEGIN_NONE, NXI_END_COMMIT)));
    cr_assert(tk_run());
    expect_report("b 4 open; c 1 committed; ");
    cr_assert_eq(tk.model.committed, 2u);
    cr_assert(tk.wire->is_idle(tk.pg));
}

/* ------------------------------------------------------------------------------ neighbours */

Test(pg_train, a_neighbours_error_is_not_seen)
{
    READS("read 1", "fail 22012", "read 2", "syntax", "read 3");
    cr_assert(tk_put(tk_execute("write 9")));
    READS("read 4");
    cr_assert(tk_run());
    cr_assert_str_eq(tk.report, "a 1; b EVALUE/22012; c 2; d ESYNTAX/42601; e 3; f 1 committed; g 4; ");
    cr_assert_eq(pgm_count(&tk.model, 9), 1u);
    cr_assert(tk.wire->is_idle(tk.pg));
}

Test(pg_train, commit_that_was_a_rollback)
{
    tk.model.fails_commit = true;
    cr_assert(tk_put(tk_of(tk_execute("write 1"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_new(0), 5, NXI_BEGIN_NONE, NXI_END_COMMIT)));
    cr_assert(tk_run());
    expect_report("a 1 open; b EABORTED rolled back; ");
    cr_assert_eq(tk.model.committed, 0u);
    cr_assert(tk.wire->is_idle(tk.pg));
}

Test(pg_train, a_status_that_does_not_fit)
{
    cr_assert(tk_put(tk_execute("do BEGIN")));
    cr_assert(tk_run());
    cr_assert_str_eq(tk.report, "a ESTATE rolled back; ");
    cr_assert(tk.wire->is_idle(tk.pg), "it was left again");
    tk.report[0] = '\0';
    cr_assert(tk_put(tk_of(tk_execute("write 3"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_execute("do COMMIT"), 5, NXI_BEGIN_NONE, NXI_END_NONE)));
    cr_assert(tk_run());
    expect_report("b 1 open; c ESTATE unknown; ");
}

Test(pg_train, texts_that_end_a_transaction_are_not_sent)
{
    static const char *const texts[] = { "COMMIT", "end", " /* x */ -- y\n Rollback", "ABORT", "(release x", "SAVEPOINT x",
                                         "PREPARE  TRANSACTION 'x'", "BEGIN", "start transaction" };

    cr_assert(tk_put(tk_of(tk_execute("write 3"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_run());
    for (size_t i = 0; i < NXI_COUNT(texts); i++) {
        nxi_request *request = tk_of(tk_execute(texts[i]), 5, NXI_BEGIN_NONE, NXI_END_NONE);
        cr_assert(tk_put(request));
        cr_assert(tk_run());
        cr_assert_eq(request->status, NX_ESTATE, "%s", texts[i]);
        cr_assert(request->in_transaction, "%s", texts[i]);
    }
    cr_assert(tk_put(tk_of(tk_execute("write 1"), 5, NXI_BEGIN_NONE, NXI_END_COMMIT)));
    cr_assert(tk_run());
    cr_assert_eq(tk.model.committed, 2u, "%u", (unsigned)tk.model.committed);
    nxi_request *prepared = tk_execute("COMMIT PREPARED 'x'");
    cr_assert(tk_put(prepared));
    cr_assert(tk_run());
    cr_assert_eq(prepared->status, NX_OK, "what was prepared before is no session's");
}

/* ------------------------------------------------------------------------------ bad rows */

Test(pg_train, the_bad_row_of_a_thousand_is_named)
{
    nxi_request *request = tk_insert(1000, 1);

    tk.model.bad = 700;
    cr_assert(tk_put(request));
    cr_assert(tk_run());
    expect_report("a ECHECK/23514@699 rolled back; ");
    cr_assert_eq(tk.model.committed, 0u);
    cr_assert_leq(tk.model.syncs, 2u * 10u + 6u, "%u waves", tk.model.syncs);
    cr_assert(tk.wire->is_idle(tk.pg));
}

Test(pg_train, bad_rows_are_set_aside)
{
    nxi_request *request = tk_insert(1000, 1);

    tk.model.bad = 1;
    tk_item(request, 500)->number = 1;
    tk_item(request, 999)->number = 1;
    request->steps[0].set_aside = true;
    cr_assert(tk_put(request));
    cr_assert(tk_run());
    expect_report("a 997 !0 !500 !999 committed; ");
    cr_assert_eq(tk.model.committed, 997u);
    for (size_t i = 0; i < 1000; i++)
        cr_assert(i == 0 || i == 500 || i == 999 || tk_item(request, i)->id > 0, "%zu", i);
    cr_assert_leq(tk.model.syncs, 3u * 2u * 10u + 6u, "%u waves", tk.model.syncs);
}

/* So that the table is known, and the next ones go by COPY. */
static void learn_table(void)
{
    cr_assert(tk_put(tk_insert(2100, 5000)));
    cr_assert(tk_run());
    expect_report("a 2100 committed; ");
    (void)tk_log();
    tk.model.syncs = 0;
}

Test(pg_train, many_rows_go_by_copy_and_their_keys_follow)
{
    nxi_request *request;

    learn_table();
    tk.model.copies = 0;
    request = tk_insert(3000, 1);
    cr_assert(tk_put(request));
    cr_assert(tk_run());
    expect_report("b 3000 committed; ");
    cr_assert_eq(tk.model.copies, 1u);
    cr_assert_eq(tk_item(request, 0)->id, 2103);
    cr_assert_eq(tk_item(request, 2999)->id, 5102);
}

Test(pg_train, a_copy_whose_keys_are_not_known_is_done_again)
{
    nxi_request *request;

    learn_table();
    tk.model.steals = 1;
    request = tk_insert(3000, 1);
    cr_assert(tk_put(request));
    cr_assert(tk_run());
    expect_report("b 3000 committed; ");
    cr_assert_eq(tk.model.committed, 5100u);
    for (size_t i = 1; i < 3000; i++)
        cr_assert_eq(tk_item(request, i)->id, tk_item(request, i - 1)->id + 1);
}

Test(pg_train, the_bad_row_of_a_copy)
{
    learn_table();
    tk.model.bad = 700;
    cr_assert(tk_put(tk_insert(3000, 1)));
    cr_assert(tk_run());
    expect_report("b ECHECK/23514@699 rolled back; ");
    tk.model.names_line = true;
    tk.model.syncs = 0;
    cr_assert(tk_put(tk_insert(3000, 1)));
    cr_assert(tk_run());
    expect_report("c ECHECK/23514@699 rolled back; ");
    cr_assert_eq(tk.model.syncs, 1u, "the server has named it");
    cr_assert_eq(tk.model.committed, 2100u);
    nxi_request *request = tk_insert(3000, 1);
    request->steps[0].set_aside = true;
    cr_assert(tk_put(request));
    cr_assert(tk_run());
    expect_report("d 2999 !699 committed; ");
}

/* ------------------------------------------------------------------------------ prepared statements */

Test(pg_train, statements_that_were_used_least_are_closed)
{
    tk_close();
    tk_open(&(nx_bind_options){ .statements_max = 2 });
    for (int round = 0; round < 3; round++) {
        READS("read 1", "read 2", "read 3");
        cr_assert(tk_run());
    }
    cr_assert_str_eq(tk.report, "a 1; b 2; c 3; d 1; e 2; f 3; g 1; h 2; i 3; ");
    cr_assert_geq(tk.model.closes, 6u);
    cr_assert_leq(tk.model.statement_count, 3u);
}

Test(pg_train, a_close_that_was_skipped_does_no_harm)
{
    tk_close();
    tk_open(&(nx_bind_options){ .statements_max = 2 });
    READS("read 1");
    cr_assert(tk_run());
    READS("read 2");
    cr_assert(tk_run());
    READS("fail 22012", "read 4", "read 5"); /* the Close of one of the first two is behind the error */
    cr_assert(tk_run());
    READS("read 1", "read 2");
    cr_assert(tk_put(tk_of(tk_execute("write 1"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_read("read 1"), 5, NXI_BEGIN_NONE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_read("read 2"), 5, NXI_BEGIN_NONE, NXI_END_COMMIT)));
    cr_assert(tk_run());
    cr_assert_str_eq(tk.report, "a 1; b 2; c EVALUE/22012; d 4; e 5; f 1; g 2; h 1 open; i 1 open; j 2 committed; ");
}

Test(pg_train, statements_that_are_gone_are_prepared_again)
{
    READS("read 1");
    cr_assert(tk_put(tk_execute("write 1")));
    cr_assert(tk_run());
    expect_report("a 1; b 1 committed; ");
    pgm_forget(&tk.model);
    READS("read 1");
    cr_assert(tk_put(tk_execute("write 1")));
    cr_assert(tk_run());
    expect_report("d 1 committed; c 1; ");
    cr_assert_eq(pgm_count(&tk.model, 1), 2u);
    cr_assert(tk_put(tk_of(tk_execute("write 2"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_run());
    expect_report("e 1 open; ");
    pgm_forget(&tk.model);
    cr_assert(tk_put(tk_of(tk_read("read 1"), 5, NXI_BEGIN_NONE, NXI_END_NONE)));
    cr_assert(tk_run());
    cr_assert_not_null(strstr(tk.report, "/26000"), "in a transaction it is an error: %s", tk.report);
}

Test(pg_train, a_rollback_whose_statement_is_gone_is_prepared_again)
{
    cr_assert(tk_put(tk_of(tk_execute("write 1"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_new(0), 5, NXI_BEGIN_NONE, NXI_END_ROLLBACK)));
    cr_assert(tk_put(tk_of(tk_execute("write 1"), 6, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_run());
    expect_report("a 1 open; b rolled back; c 1 open; ");
    pgm_forget(&tk.model);
    cr_assert(tk_put(tk_of(tk_new(0), 6, NXI_BEGIN_NONE, NXI_END_ROLLBACK)));
    cr_assert(tk_run());
    expect_report("d rolled back; ");
    cr_assert_eq(tk.requests[3]->status, NX_OK);
    cr_assert(tk.wire->is_idle(tk.pg));
}

/* ------------------------------------------------------------------------------ what stands of a request */

/* SAVEPOINT, these texts, RELEASE: in transaction 5. */
static nxi_request *guarded(const char *const texts[2])
{
    nxi_request *request = tk_of(tk_new(4), 5, NXI_BEGIN_NONE, NXI_END_NONE);

    request->steps[0] = (nxi_step){ .kind = NXI_STEP_SAVEPOINT, .level = 1 };
    for (size_t i = 0; i < 2; i++)
        request->steps[1 + i] = (nxi_step){ .kind = NXI_STEP_EXECUTE, .statement = tk_text(texts[i]) };
    request->steps[3] = (nxi_step){ .kind = NXI_STEP_RELEASE, .level = 1 };
    return request;
}
#define GUARDED(...) guarded((const char *const[]){ __VA_ARGS__ })

Test(pg_train, a_guarded_request_that_fails_leaves_nothing)
{
    cr_assert(tk_put(tk_of(tk_execute("write 1"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_put(GUARDED("write 2", "write 3")));
    cr_assert(tk_put(GUARDED("write 4", "fail 22012")));
    cr_assert(tk_put(tk_of(tk_read("read 1"), 5, NXI_BEGIN_NONE, NXI_END_NONE)));
    cr_assert(tk_run());
    expect_report("a 1 open; b 1 1 open; c EVALUE/22012 open; d 1 open; ");
    cr_assert_eq(tk.requests[1]->steps_done, 4u);
    cr_assert_eq(tk.requests[2]->failed_step, 2u);
    cr_assert_eq(tk.requests[2]->steps_done, 0u);
    cr_assert(tk_put(tk_of(tk_new(0), 5, NXI_BEGIN_NONE, NXI_END_COMMIT)));
    cr_assert(tk_run());
    expect_report("e committed; ");
    cr_assert_eq(tk.model.committed, 3u);
}

Test(pg_train, a_guarded_request_that_is_given_up_leaves_nothing)
{
    nxi_request tombstone = { .status = NX_ECANCELED };

    cr_assert(tk_put(tk_of(tk_execute("write 1"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_run());
    cr_assert(tk_put(GUARDED("write 2", "write 3")));
    tk_fill();
    tk_serve(); /* all of it has happened */
    cr_assert(tk.wire->give_up(tk.pg, tk.requests[1], &tombstone));
    tk_receive();
    cr_assert(tk_run());
    cr_assert(tk.wire->is_quiet(tk.pg));
    cr_assert(tk_put(tk_of(tk_new(0), 5, NXI_BEGIN_NONE, NXI_END_COMMIT)));
    cr_assert(tk_run());
    cr_assert_eq(tk.model.committed, 1u);
    cr_assert(tk.wire->is_idle(tk.pg));
}

Test(pg_train, a_commit_that_was_stopped_is_a_rollback)
{
    nxi_request *commit = tk_of(tk_new(0), 5, NXI_BEGIN_NONE, NXI_END_COMMIT), tombstone = { .status = NX_ECANCELED };

    cr_assert(tk_put(tk_of(tk_execute("write 1"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_run());
    (void)nxi_request_fail(commit, 0, NX_ECANCELED, "stopped");
    cr_assert(tk_put(commit));
    cr_assert(tk_run());
    expect_report("b 1 open; a ECANCELED rolled back; ");
    cr_assert(tk.wire->is_idle(tk.pg));
    /* And one that is here already, and was not sent. */
    cr_assert(tk_put(tk_of(tk_execute("write 1"), 6, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_run());
    cr_assert(tk_put(commit = tk_of(tk_new(0), 6, NXI_BEGIN_NONE, NXI_END_COMMIT)));
    cr_assert(tk.wire->give_up(tk.pg, commit, &tombstone));
    cr_assert(tk_run());
    cr_assert(tk.wire->is_idle(tk.pg));
    cr_assert_eq(tk.model.committed, 0u);
}

/* ------------------------------------------------------------------------------ cut anywhere */

/* A session of everything; what became of it. */
static void session(void)
{
    nxi_request *aside = tk_insert(12, 40);

    aside->steps[0].set_aside = true;
    tk.model.bad = 45;
    READS("read 1", "fail 22012", "two", "syntax");
    cr_assert(tk_put(tk_execute("write 9")));
    cr_assert(tk_put(tk_insert(3, 1)));
    cr_assert(tk_put(aside));
    cr_assert(tk_put(tk_of(tk_execute("write 5"), 5, NXI_BEGIN_WRITE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_insert(7, 60), 5, NXI_BEGIN_NONE, NXI_END_NONE)));
    cr_assert(tk_put(tk_of(tk_insert(2, 44), 5, NXI_BEGIN_NONE, NXI_END_COMMIT)));
    READS("read 3");
    cr_assert(tk_run());
}

Test(pg_train, answers_may_be_cut_anywhere)
{
    char whole[sizeof(tk.report)];
    long bytes;

    session();
    memcpy(whole, tk.report, sizeof(whole));
    bytes = tk.received;
    cr_assert_gt(bytes, 500);
    cr_assert_eq(tk.finished, 11u, "%s", whole);
    for (long cut = TK_BYTES; cut < bytes; cut++) {
        tk_close();
        tk_open(NULL);
        tk.cut = cut;
        session();
        cr_assert_str_eq(tk.report, whole, "cut at %ld", cut);
        cr_assert(tk.wire->is_idle(tk.pg));
    }
}

Test(pg_train, small_buffers_change_nothing)
{
    char whole[sizeof(tk.report)];

    session();
    memcpy(whole, tk.report, sizeof(whole));
    for (size_t enough = 1; enough < 200; enough += 7) {
        tk_close();
        tk_open(NULL);
        tk.enough = enough;
        session();
        cr_assert_eq(tk.finished, 11u, "%zu: %s", enough, tk.report);
        cr_assert(tk.wire->is_idle(tk.pg));
    }
}

Test(pg_train, what_the_server_says_between_changes_nothing)
{
    char whole[sizeof(tk.report)];

    session();
    memcpy(whole, tk.report, sizeof(whole));
    tk_close();
    tk_open(NULL);
    tk.model.noise = true;
    session();
    cr_assert_str_eq(tk.report, whole);
    cr_assert_gt(tk.notified, 50u);
}
