/*
 * postgres_connect - ways to say where the server is, and the errors of connections and of the pool, told apart.
 */
#include "server.h"

/* With pool_min nx_bind connects, and tells when it cannot; without it the first operation does both. */
static nx_completion try_to_bind(nx_loop *loop, nx_bind_options options)
{
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Author, Post));
    options.pool_min = 1;
    nx_completion c = nx_await(loop, nx_bind(db, "postgres", &options, NULL));
    printf("%s%s%s\n", nx_status_name(c.status), c.status == NX_OK ? "" : ": ", c.status == NX_OK ? "" : c.error->message);
    nx_db_free(db);
    return c;
}

static void say_where(nx_loop *loop)
{
    /* Field by field. */
    nx_bind_options options = server_options();
    check(try_to_bind(loop, options).status == NX_OK, "fields");

    /* A URI, or a connection string of libpq's: everything that it knows can stand there. A field wins over what the dsn says. */
    char dsn[256];
    snprintf(dsn, sizeof(dsn), "postgresql://%s@%s:%s/%s?application_name=example", server_part("USER"), server_part("HOST"),
             server_part("PORT"), server_part("DBNAME"));
    options = (nx_bind_options){ .dsn = dsn, .password = server_part("PASSWORD") };
    check(try_to_bind(loop, options).status == NX_OK, "a URI, and the password apart from it");
    snprintf(dsn, sizeof(dsn), "host=%s port=%s user=%s dbname=%s", server_part("SOCKET"), server_part("PORT"),
             server_part("USER"), server_part("DBNAME"));
    check(try_to_bind(loop, (nx_bind_options){ .dsn = dsn }).status == NX_OK, "a Unix socket");
}

static void be_refused(nx_loop *loop)
{
    nx_bind_options options = server_options();
    options.password = "not the password";
    check(try_to_bind(loop, options).status == NX_EAUTH, "authentication");

    options = server_options();
    options.dbname = "no_such_database";
    check(try_to_bind(loop, options).status == NX_EUNDEFINED, "no such database");

    options = server_options();
    options.port = 1;
    check(try_to_bind(loop, options).status == NX_ECONNECT, "nobody listens there");
    options.dsn = "options = without quotation marks";
    check(try_to_bind(loop, options).status == NX_EINVAL, "a dsn that cannot be read");
}

/* Two connections, both taken by sessions that are in a transaction: what else needs one waits, in order and not for ever. */
static void wait_for_a_connection(nx_loop *loop)
{
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Author, Post));
    bind_server(loop, db, "example_connect", &(nx_bind_options){ .pool_min = 2, .pool_max = 2, .pool_timeout_ms = 1000 });
    must(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    nx_session *first = nx_session_begin(loop, &(nx_session_options){ .serializable = true });
    nx_session *second = nx_session_begin(loop, &(nx_session_options){ .read_only = true });
    must(loop, nx_count(nx_select(first, Post), NULL));
    must(loop, nx_count(nx_select(second, Post), NULL));

    nx_completion c = nx_await(loop, nx_count(nx_select(db, Post), NULL));
    check(c.status == NX_EPOOLTIMEOUT, "no connection became free");
    printf("%s: %s\n", nx_status_name(c.status), c.error->message);

    nx_op waiting = nx_count(nx_select(db, Post), NULL);
    must(loop, nx_session_end(second, NULL)); /* the connection goes to whoever waits longest */
    must(loop, waiting);
    nx_session_free(first);
    nx_session_free(second);
    drop_schema(loop, db, "example_connect");
    nx_db_free(db);
}

int main(void)
{
    nx_loop *loop = open_loop();
    say_where(loop);
    be_refused(loop);
    wait_for_a_connection(loop);
    nx_loop_close(loop);
    return 0;
}
