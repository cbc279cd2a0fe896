/*
 * providers - where the data lies: in memory, in a file, on a server. Only nx_bind knows the difference.
 */
#include <unistd.h>

#include "blog.h"

static void bind_and_use(nx_loop *loop, const char *path)
{
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Author, Post));
    check(!nx_is_bound(db), "not bound yet");
    must(loop, nx_bind(db, "sqlite", &(nx_bind_options){ .path = path }, NULL));
    check(nx_is_bound(db), "bound");
    must(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    check(must(loop, nx_count(nx_select(db, Post), NULL)).count == 0, "an empty table");
    must(loop, nx_close(db, NULL));
    nx_db_free(db);
}

/* A server may not be reachable, or its driver not built in: both are answers, not accidents. */
static void try_server(nx_loop *loop, const char *provider, const nx_bind_options *options)
{
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Author, Post));
    nx_completion c = nx_await(loop, nx_bind(db, provider, options, NULL));
    if (c.status == NX_OK)
        printf("%s: bound\n", provider);
    else
        printf("%s: %s: %s\n", provider, nx_status_name(c.status), c.error->message);
    check(c.status == NX_OK || c.status == NX_EPROVIDER || c.status == NX_ECONNECT || c.status == NX_EAUTH, "a clear answer");
    nx_db_free(db);
}

int main(void)
{
    char directory[] = "/tmp/nextorm-example-XXXXXX", path[64];
    check(mkdtemp(directory) != NULL, "a directory");
    snprintf(path, sizeof(path), "%s/app.db", directory);
    nx_loop *loop = open_loop();

    bind_and_use(loop, ":memory:");
    bind_and_use(loop, path);

    try_server(loop, "postgres",
        &(nx_bind_options){ .host = "localhost", .port = 5432, .dbname = "myapp", .user = "app", .password = "secret",
                            .pool_min = 2, .pool_max = 10, .pool_timeout_ms = 30000 });
    try_server(loop, "mariadb", &(nx_bind_options){ .host = "localhost", .user = "app", .password = "secret", .dbname = "db" });

    nx_loop_close(loop);
    unlink(path);
    rmdir(directory);
    return 0;
}
