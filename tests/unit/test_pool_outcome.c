/*
 * pool_outcome - a connection is lost behind a commit that has left a token: asking what became of it.
 *
 * On the scripted io. The fence is a request without identification; a body in its answer says "not committed".
 */
#include "engine/token.h"
#include "tests/support/wire_script.h"

static const nxi_statement fence = { .writes = true, .sql = "fence", .sql_size = 5 };
static nxi_token token;

/* Commit request 0, which has a token, on the first connection, and lose that. */
static nxi_request *lose_a_commit(const nx_bind_options *options, size_t step_count, int64_t deadline_ns)
{
    nxi_request *request;

    open_scripted(&fake_wire_driver, options);
    TURN_UNTIL(opened_calls == 1);
    token = (nxi_token){ .id = nx_value_uuid(nx_uuid4()), .fence = &fence };
    request = make_in(0, 1, NXI_BEGIN_WRITE, NXI_END_COMMIT);
    steps[1] = (nxi_step){ .kind = NXI_STEP_EXECUTE };
    request->step_count = step_count;
    request->token = &token;
    request->deadline_ns = deadline_ns;
    nxi_pool_submit(pool, request);
    turn(0);
    cr_assert_eq(sent_on(FD), 1u);
    fake_io_end(FD);
    turn(0);
    return request;
}

static const nx_bind_options one = { .pool_min = 1, .pool_max = 1 };

static void answer_fence(int fd, bool fenced)
{
    uint8_t bytes[FAKE_WIRE_HEAD + 1] = { 0 };

    fake_wire_answer(bytes, 0, fenced, false);
    fake_io_feed(fd, bytes, FAKE_WIRE_HEAD + (fenced ? 1 : 0));
    TURN_UNTIL(done_count == 1);
}

Test(pool_outcome, it_was_committed)
{
    nxi_request *request = lose_a_commit(&one, 1, 0);

    cr_assert_eq(done_count, 0u, "it is not over");
    TURN_UNTIL(sent_on(FD + 1) == 1);
    answer_fence(FD + 1, false);
    cr_assert_eq(request->status, NX_OK);
    cr_assert_null(request->error);
    cr_assert_eq(request->outcome, NX_OUTCOME_COMMITTED);
    cr_assert(request->outcome_found);
    end_scripted();
}

Test(pool_outcome, it_was_committed_and_its_answers_are_lost)
{
    nxi_request *request = lose_a_commit(&one, 2, 0);

    TURN_UNTIL(sent_on(FD + 1) == 1);
    answer_fence(FD + 1, false);
    cr_assert_eq(request->status, NX_ELOST);
    cr_assert_eq(request->error->outcome, NX_OUTCOME_COMMITTED);
    cr_assert_not(request->error->retryable);
    end_scripted();
}

Test(pool_outcome, it_was_not_committed)
{
    nxi_request *request = lose_a_commit(&one, 1, 0);

    TURN_UNTIL(sent_on(FD + 1) == 1);
    answer_fence(FD + 1, true);
    cr_assert_eq(request->status, NX_ELOST);
    cr_assert_eq(request->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(request->error->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert(request->error->retryable);
    cr_assert(request->outcome_found);
    end_scripted();
}

/* The fence is lost twice, and the server refuses connections in between. */
Test(pool_outcome, it_asks_again)
{
    nxi_request *request = lose_a_commit(&one, 1, 0);
    int fd = FD + 1;

    for (; fd < FD + 3; fd++) {
        TURN_UNTIL(sent_on(fd) == 1);
        atomic_store(&refuse_opens, 2);
        fake_io_end(fd);
        turn(0);
        cr_assert_eq(done_count, 0u);
        for (int i = 0; i < 40 && sent_on(fd + 1) == 0; i++) {
            fake_io_advance(100 * MS);
            for (int t = 0; t < 20; t++) {
                turn(0);
                nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
            }
        }
        cr_assert_eq(sent_on(fd + 1), 1u, "asked again");
    }
    answer_fence(fd, true);
    cr_assert_eq(request->outcome, NX_OUTCOME_ROLLED_BACK);
    end_scripted();
}

Test(pool_outcome, not_for_longer_than_half_a_minute)
{
    nxi_request *request = lose_a_commit(&one, 1, 0);

    TURN_UNTIL(sent_on(FD + 1) == 1);
    fake_io_advance(29000 * MS);
    turn(0);
    cr_assert_eq(done_count, 0u);
    fake_io_advance(1100 * MS);
    TURN_UNTIL(done_count == 1);
    cr_assert_eq(request->status, NX_ELOST);
    cr_assert_eq(request->error->outcome, NX_OUTCOME_UNKNOWN);
    cr_assert_not(request->error->retryable);
    cr_assert_not(request->outcome_found);
    end_scripted();
}

Test(pool_outcome, not_beyond_the_deadline)
{
    nxi_request *request = lose_a_commit(&one, 1, 1500 * MS); /* it is 1 s now */

    TURN_UNTIL(sent_on(FD + 1) == 1);
    fake_io_advance(600 * MS);
    TURN_UNTIL(done_count == 1);
    cr_assert_eq(request->error->outcome, NX_OUTCOME_UNKNOWN);
    end_scripted();
}

Test(pool_outcome, not_when_it_is_cancelled)
{
    nxi_request *request = lose_a_commit(&one, 1, 0);

    TURN_UNTIL(sent_on(FD + 1) == 1);
    nxi_pool_stop(pool, request, NX_ECANCELED);
    TURN_UNTIL(done_count == 1);
    cr_assert_eq(request->error->outcome, NX_OUTCOME_UNKNOWN);
    end_scripted();
}

Test(pool_outcome, without_a_token_nobody_asks)
{
    open_scripted(&fake_wire_driver, &one);
    TURN_UNTIL(opened_calls == 1);
    nxi_pool_submit(pool, make_in(0, 1, NXI_BEGIN_WRITE, NXI_END_COMMIT));
    turn(0);
    fake_io_end(FD);
    TURN_UNTIL(done_count == 1);
    cr_assert_eq(requests[0].outcome, NX_OUTCOME_UNKNOWN);
    end_scripted();
}

Test(pool_outcome, a_pool_that_is_closed_waits_for_it)
{
    nxi_request *request = lose_a_commit(&one, 1, 0);

    nxi_pool_close(pool, on_closed, NULL);
    TURN_UNTIL(sent_on(FD + 1) == 1);
    cr_assert_eq(closed_calls, 0);
    answer_fence(FD + 1, false);
    cr_assert_eq(request->status, NX_OK);
    TURN_UNTIL(closed_calls == 1);
    end_scripted();
}

static void free_the_pool(bool rests)
{
    nxi_request *request = lose_a_commit(&one, 1, 0);

    TURN_UNTIL(sent_on(FD + 1) == 1);
    if (rests) {
        fake_io_end(FD + 1);
        turn(0);
    }
    nxi_pool_free(pool);
    pool = NULL;
    cr_assert_eq(done_count, 1u);
    cr_assert_eq(request->error->outcome, NX_OUTCOME_UNKNOWN);
    end_scripted();
}

Test(pool_outcome, a_pool_that_is_freed_while_it_asks)
{
    free_the_pool(false);
}

Test(pool_outcome, a_pool_that_is_freed_between_two_questions)
{
    free_the_pool(true);
}
