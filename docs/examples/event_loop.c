/*
 * event_loop - inside the application's own loop: poll one descriptor, and run a turn when it is readable.
 */
#include <poll.h>

#include "blog.h"

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);
    write_posts(loop, 5);

    int left = 20;
    for (int i = 0; i < left; i++)
        (void)nx_count(nx_select(db, Post), NULL);

    /* New operations were queued: a first turn hands them over. */
    check(nx_run_once(loop, 0) == NX_OK, "a turn");
    while (left > 0) {
        nx_for_each_completion(loop, c)
        {
            check(c->status == NX_OK && c->count == 5, "five posts");
            left--;
        }
        if (left == 0)
            break;
        /* Here stand the application's own descriptors too. */
        struct pollfd descriptors[] = { { .fd = nx_loop_fd(loop), .events = POLLIN } };
        check(poll(descriptors, 1, 5000) == 1, "something happens in time");
        check(nx_run_once(loop, 0) == NX_OK, "a turn");
    }

    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
