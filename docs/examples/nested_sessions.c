/*
 * nested_sessions - a session inside a session is a savepoint: it can fail without taking the outer one with it.
 */
#include "blog.h"

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);
    static const char *const names[] = { "Ada", "Grace", "Ada", "Edsger" };
    int written = 0;

    nx_session *outer = nx_session_begin(loop, NULL);
    for (int i = 0; i < 4; i++) {
        nx_session *inner = nx_session_nested(outer, NULL);
        Author *a = nx_new(inner, Author);
        a->name = nx_str(names[i]);
        nx_completion c = nx_await(loop, nx_session_end(inner, NULL));
        if (c.status == NX_OK)
            written++;
        else
            printf("%s: %s\n", names[i], c.error->message); /* the second Ada violates the unique name */
        nx_session_free(inner);
    }
    must(loop, nx_session_end(outer, NULL));
    nx_session_free(outer);

    check(written == 3, "three of four");
    check(must(loop, nx_count(nx_select(db, Author), NULL)).count == 3, "three authors are stored");
    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
