/*
 * postgres_queue - a table as a queue of jobs: each worker takes the first that nobody else has locked, and nobody waits.
 */
#include "server.h"

#define JOB(FIELD, E)                                                                                                            \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, what)                                                                                                    \
    FIELD(E, REQ, boolean, done, .initial = "false")
NX_ENTITY(Job, JOB)

static nx_query *open_jobs(nx_session *s)
{
    return nx_limit(nx_order_by(nx_filter(nx_select(s, Job), nx_eq(Job_.done, false)), nx_asc(Job_.id)), 1);
}

/* The job is this session's until it ends; NULL: none is left. */
static Job *take_job(nx_loop *loop, nx_session *s)
{
    nx_completion c = must(loop, nx_fetch_all(nx_for_update_with(open_jobs(s), NX_LOCK_SKIP_LOCKED), NULL));
    Job *job = c.count == 0 ? NULL : c.rows[0];
    nx_seen(loop, &c); /* the row belongs to the session */
    return job;
}

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Job));
    bind_server(loop, db, "example_queue", &(nx_bind_options){ .pool_max = 3 });
    must(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    nx_session *s;
    nx_with_session (s, loop) {
        const char *const jobs[] = { "wash", "cook", "sleep" };
        for (size_t i = 0; i < 3; i++)
            ((Job *)nx_new(s, Job))->what = nx_str(jobs[i]);
    }
    nx_session_free(s);

    /* Two workers at the same time. */
    nx_session *first = nx_session_begin(loop, NULL), *second = nx_session_begin(loop, NULL);
    Job *a = take_job(loop, first), *b = take_job(loop, second);
    check(a != NULL && b != NULL && a->id == 1 && b->id == 2, "each has a job of its own");

    /* Who wants that very row, and no other, may wait for it, or be told at once. */
    nx_session *third = nx_session_begin(loop, NULL);
    nx_completion c = nx_await(loop, nx_fetch_all(nx_for_update_with(open_jobs(third), NX_LOCK_NOWAIT), NULL));
    check(c.status == NX_ELOCKED, "it is locked");
    printf("%s: %s\n", nx_status_name(c.status), c.error->message);
    nx_session_free(third);

    a->done = true;
    must(loop, nx_session_end(first, NULL)); /* UPDATE and COMMIT */
    nx_session_free(first);
    must(loop, nx_rollback(second, NULL)); /* it gives up: the job is everybody's again */
    b = take_job(loop, second);
    check(b != NULL && b->id == 2, "the second one again");
    nx_session_free(second);

    drop_schema(loop, db, "example_queue");
    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
