/*
 * server - where the examples' PostgreSQL is, and a database on it.
 *
 * tests/run starts a server and says where it is in the environment. To run an example by hand, set the same variables.
 */
#ifndef SERVER_H
#define SERVER_H

#include "blog.h"

static inline const char *server_part(const char *name)
{
    char variable[64];
    snprintf(variable, sizeof(variable), "NX_TEST_POSTGRES_%s", name);
    const char *value = getenv(variable);
    if (value == NULL) {
        fprintf(stderr,
                "%s is not set: the examples need a server, in NX_TEST_POSTGRES_HOST, _PORT, _DBNAME, _USER and _PASSWORD\n",
                variable);
        exit(EXIT_FAILURE);
    }
    return value;
}

/* The address, field by field. */
static inline nx_bind_options server_options(void)
{
    return (nx_bind_options){ .host = server_part("HOST"),
                              .port = (uint16_t)strtoul(server_part("PORT"), NULL, 10),
                              .dbname = server_part("DBNAME"),
                              .user = server_part("USER"),
                              .password = server_part("PASSWORD") };
}

/*
 * Bind to the server with an empty schema of that name, made anew: what is not a field of its own stands in the dsn. `more` adds
 * pool sizes and the like; NULL: nothing.
 */
static inline void bind_server(nx_loop *loop, nx_db *db, const char *schema, const nx_bind_options *more)
{
    nx_bind_options where = server_options(), options = more == NULL ? (nx_bind_options){ .host = NULL } : *more;
    char dsn[128], sql[128];
    options.host = where.host;
    options.port = where.port;
    options.dbname = where.dbname;
    options.user = where.user;
    options.password = where.password;
    snprintf(dsn, sizeof(dsn), "options='-c search_path=%s -c client_min_messages=warning'", schema);
    options.dsn = dsn;
    must(loop, nx_bind(db, "postgres", &options, NULL));
    snprintf(sql, sizeof(sql), "DROP SCHEMA IF EXISTS %s CASCADE", schema);
    must(loop, nx_execute(db, sql, nx_no_args, NULL));
    snprintf(sql, sizeof(sql), "CREATE SCHEMA %s", schema);
    must(loop, nx_execute(db, sql, nx_no_args, NULL));
}

static inline void drop_schema(nx_loop *loop, nx_db *db, const char *schema)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", schema);
    must(loop, nx_execute(db, sql, nx_no_args, NULL));
}

#endif
