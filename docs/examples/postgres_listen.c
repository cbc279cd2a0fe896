/*
 * postgres_listen - LISTEN and NOTIFY: one operation with many completions. Who reads the state after the first one misses
 * nothing.
 */
#include <string.h>

#include "server.h"

/* The next completion of the listener. */
static void expect(nx_loop *loop, nx_op listener, const char *payload)
{
    nx_completion c = must(loop, listener);
    check((c.flags & NX_MORE) != 0 && c.value.type == NX_TYPE_text && strcmp(c.value.text.data, payload) == 0, payload);
    printf("notified: \"%s\"\n", c.value.text.data);
    nx_seen(loop, &c); /* the payload is valid until here; what is not given back counts against notifications_max */
}

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Author, Post));
    bind_server(loop, db, "example_listen", &(nx_bind_options){ .pool_max = 4, .notifications_max = 64 });
    must(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));

    nx_op listener = nx_listen(db, "posts", NULL);
    nx_completion c = must(loop, listener);
    check((c.flags & NX_MORE) != 0 && c.value.type == NX_TYPE_null, "listening has begun");

    /* At once, in a transaction of its own. */
    must(loop, nx_notify(db, "posts", "hello", NULL));
    expect(loop, listener, "hello");

    /* With the commit of a session: who is told of a row can read it. Nothing is sent by a session that is rolled back. */
    nx_session *s = nx_session_begin(loop, NULL);
    must(loop, nx_session_execute(s, db, "SELECT pg_notify(?, ?)", nx_args("posts", "never"), NULL));
    must(loop, nx_rollback(s, NULL));
    Post *p = nx_new(s, Post);
    p->title = nx_str("Fresh");
    p->body = nx_str("...");
    must(loop, nx_flush(s, NULL));
    char number[24];
    snprintf(number, sizeof(number), "%lld", (long long)p->id);
    must(loop, nx_session_execute(s, db, "SELECT pg_notify(?, ?)", nx_args("posts", number), NULL));
    must(loop, nx_session_end(s, NULL));
    expect(loop, listener, number);
    nx_session_free(s);

    /* It ends when it is cancelled. */
    check(nx_op_cancel(loop, listener) == NX_OK, "it can be cancelled");
    check(nx_await(loop, listener).status == NX_ECANCELED, "the last completion");

    drop_schema(loop, db, "example_listen");
    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
