/*
 * providers - where the data lies: in memory, in a file, on a server. Only nx_bind knows the difference.
 */
#include <unistd.h>

#include "server.h"

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

/* The same on a server, in a schema of its own (server.h). */
static void bind_and_use_server(nx_loop *loop)
{
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Author, Post));
    nx_bind_options options = server_options(); /* .host, .port, .dbname, .user, .password */
    options.dsn = "options='-c search_path=example_providers'";
    options.pool_min = 2;
    options.pool_max = 10;
    options.pool_timeout_ms = 30000;
    must(loop, nx_bind(db, "postgres", &options, NULL));
    must(loop, nx_execute(db, "CREATE SCHEMA IF NOT EXISTS example_providers", nx_no_args, NULL));
    must(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    check(must(loop, nx_count(nx_select(db, Post), NULL)).count == 0, "an empty table");
    drop_schema(loop, db, "example_providers");
    nx_db_free(db);
}

/* A provider that is not built in is an answer, not an accident. */
static void try_another(nx_loop *loop)
{
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Author, Post));
    nx_bind_options options = { .host = "localhost", .user = "app", .password = "secret", .dbname = "db" };
    nx_completion c = nx_await(loop, nx_bind(db, "mariadb", &options, NULL));
    check(c.status == NX_EPROVIDER, "not in this version");
    printf("%s: %s\n", nx_status_name(c.status), c.error->message);
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

    bind_and_use_server(loop);
    try_another(loop);

    nx_loop_close(loop);
    unlink(path);
    rmdir(directory);
    return 0;
}
