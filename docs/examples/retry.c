/*
 * retry - a function that runs in a session, and runs again when the database was busy or a transaction lost a race.
 */
#include "blog.h"

static nx_status write_post(nx_session *s, void *context)
{
    const char *title = context;
    Post *p = nx_new(s, Post);
    if (p == NULL)
        return nx_session_error(s)->status;
    p->title = nx_str(title);
    p->body = nx_str("...");
    return NX_OK; /* flush and commit follow; anything else rolls back */
}

/* Fails twice as a busy database would. */
static nx_status busy_at_first(nx_session *s, void *context)
{
    int *calls = context;
    (void)s;
    return ++*calls <= 2 ? NX_EBUSY : NX_OK;
}

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);
    nx_error error;
    char title[] = "Written by a function";
    int calls = 0;

    nx_status status = nx_run_in_session(loop, NULL, write_post, title, &error);
    check(status == NX_OK, "the function's work is committed");
    check(must(loop, nx_count(nx_select(db, Post), NULL)).count == 1, "one post");

    status = nx_run_in_session(loop, &(nx_session_options){ .retry = 5 }, busy_at_first, &calls, &error);
    check(status == NX_OK && calls == 3, "it succeeded at the third attempt");

    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
