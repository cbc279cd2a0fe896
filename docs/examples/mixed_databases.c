/*
 * mixed_databases - one session over two databases: both are flushed first, then committed, the primary before the other.
 */
#include <unistd.h>

#include "blog.h"

#define AUDIT(FIELD, E)                                                                            \
    FIELD(E, PK, uuid, id, .generate = NX_GENERATE_UUID7)                                          \
    FIELD(E, REQ, text, event)
NX_ENTITY(Audit, AUDIT)

int main(void)
{
    char directory[] = "/tmp/nextorm-example-XXXXXX", path[64];
    check(mkdtemp(directory) != NULL, "a directory");
    snprintf(path, sizeof(path), "%s/audit.db", directory);

    /* The entities decide which database a row goes to. The providers may differ; nx_await makes any of them wait. */
    nx_loop *loop = open_loop();
    nx_db *blog = open_blog(loop);
    nx_db *audit = nx_db_new(loop, NX_ENTITIES(Audit));
    must(loop, nx_bind(audit, "sqlite", &(nx_bind_options){ .path = path, .synchronous = NX_SYNCHRONOUS_FULL }, NULL));
    must(loop, nx_generate_mapping(audit, NX_CREATE_TABLES, NULL));

    nx_session *s = nx_session_begin(loop, NULL);
    Author *a = nx_new(s, Author);
    a->name = nx_str("Ada");
    Audit *entry = nx_new(s, Audit);
    entry->event = nx_str("author made");
    must(loop, nx_session_end(s, NULL));
    nx_session_free(s);

    /* A failure on one database rolls back both. */
    s = nx_session_begin(loop, NULL);
    a = nx_new(s, Author);
    a->name = nx_str("Ada"); /* is taken */
    entry = nx_new(s, Audit);
    entry->event = nx_str("author made again");
    nx_completion c = nx_await(loop, nx_session_end(s, NULL));
    check(c.status == NX_EUNIQUE, "the name is taken");
    check(nx_session_outcome(s) == NX_OUTCOME_ROLLED_BACK, "nothing of it remains");
    nx_session_free(s);

    check(must(loop, nx_count(nx_select(blog, Author), NULL)).count == 1, "one author");
    check(must(loop, nx_count(nx_select(audit, Audit), NULL)).count == 1, "one entry");

    must(loop, nx_close(audit, NULL));
    nx_loop_close(loop); /* frees both databases */
    check(unlink(path) == 0, "the file is there");
    rmdir(directory);
    return 0;
}
