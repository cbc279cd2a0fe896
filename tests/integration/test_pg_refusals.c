/*
 * pg_refusals - who does not get a connection to PostgreSQL, what they are told, and that no password is in it.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "drivers/postgres/codec.h"
#include "tests/support/link_kit.h"
#include "tests/support/pg_front.h"
#include "tests/support/pg_kit.h"

/* ------------------------------------------------------------------------------ who is refused */

Test(pg_refusals, wrong_password)
{
    link_kit p;
    lk_begin(&p);
    p.options.password = "canary-in-a-coal-mine";
    lk_refuses(&p, NX_EAUTH, "28P01", "password authentication failed for user \"nextorm\"");
    cr_assert_null(strstr(p.error.message, "canary"), "%s", p.error.message);
    cr_assert_not_null(strstr(p.error.message, "database \"nextorm\""), "%s", p.error.message);
    cr_assert_not_null(strstr(p.error.message, pgk_env("PORT")), "%s", p.error.message);
    cr_assert_null(strstr(p.error.message, "28P01"), "%s", p.error.message);
    cr_assert_null(strstr(p.error.message, "connection to server"), "%s", p.error.message);
    /* Under TLS and without it alike: once. */
    cr_assert_null(strstr(strstr(p.error.message, "FATAL") + 1, "FATAL"), "%s", p.error.message);
    cr_assert_null(strstr(p.error.message, "LOCATION"), "%s", p.error.message);
    cr_assert_null(strchr(p.error.message, '\n'));
    lk_leave(&p);
}

Test(pg_refusals, no_password)
{
    link_kit p;
    lk_begin(&p);
    p.options.password = NULL;
    setenv("PGPASSFILE", "/nonexistent", 1);
    lk_refuses(&p, NX_EAUTH, "", "password");
    lk_leave(&p);
}

Test(pg_refusals, unknown_user)
{
    link_kit p;
    lk_begin(&p);
    p.options.user = "who is that";
    lk_refuses(&p, NX_EAUTH, "28P01", "who is that");
    nxi_pg_link_close(&p.link, p.memory);
    p.options.host = pgk_env("SOCKET");
    lk_refuses(&p, NX_EAUTH, "28000", "role \"who is that\" does not exist");
    lk_leave(&p);
}

Test(pg_refusals, unknown_database)
{
    link_kit p;
    lk_begin(&p);
    p.options.dbname = "nowhere=x user=y"; /* it is a name, not a connection string */
    lk_refuses(&p, NX_EUNDEFINED, "3D000", "database \"nowhere=x user=y\" does not exist");
    lk_leave(&p);
}

Test(pg_refusals, bad_option_of_the_user)
{
    link_kit p;
    lk_begin(&p);
    lk_set_dsn(&p, "options='-c no_such_parameter=1'");
    cr_assert_neq(lk_open_now(&p), NX_OK);
    cr_assert_str_eq(p.error.sqlstate, "42704", "%s", p.error.message);
    cr_assert_not_null(strstr(p.error.message, "no_such_parameter"), "%s", p.error.message);
    lk_leave(&p);
}

Test(pg_refusals, too_many_connections)
{
    char name[64], sql[160];
    pg_kit k;
    link_kit p;
    lk_begin(&p);
    pgk_open(&k);
    snprintf(name, sizeof(name), "limited_%s", k.schema);
    snprintf(sql, sizeof(sql), "CREATE ROLE %s LOGIN CONNECTION LIMIT 1", name);
    pgk_do(&k, sql);
    p.options.user = name;
    p.options.host = pgk_env("SOCKET");
    lk_opens(&p);
    link_kit second;
    lk_begin(&second);
    second.options = p.options;
    lk_refuses(&second, NX_ELIMIT, "53300", "too many connections for role");
    cr_assert(second.error.retryable);
    lk_leave(&second);
    p.link.is_quiet = true;
    lk_leave(&p);
    snprintf(sql, sizeof(sql), "DROP ROLE %s", name);
    pgk_do(&k, sql);
    pgk_close(&k);
}

Test(pg_refusals, refused_port)
{
    pg_front f;
    link_kit p;
    lk_begin(&p);
    pgf_start_silent(&f);
    p.options.port = f.port;
    pgf_stop(&f); /* nobody listens there now */
    lk_refuses(&p, NX_ECONNECT, "", "refused");
    char port[16];
    snprintf(port, sizeof(port), ":%u", (unsigned)p.options.port);
    cr_assert_not_null(strstr(p.error.message, port), "%s", p.error.message);
    lk_leave(&p);
}

Test(pg_refusals, no_such_host)
{
    link_kit p;
    lk_begin(&p);
    p.options.host = "no-such-host.invalid";
    lk_set_dsn(&p, "sslmode=disable");
    lk_refuses(&p, NX_ECONNECT, "", "no-such-host.invalid");
    nxi_pg_link_close(&p.link, p.memory);
    p.options.host = "/nonexistent/folder";
    lk_refuses(&p, NX_ECONNECT, "", "/nonexistent/folder");
    lk_leave(&p);
}

/* ------------------------------------------------------------------------------ who is silent */

Test(pg_refusals, host_that_never_answers, .timeout = 60)
{
    pg_front f;
    link_kit p;
    lk_begin(&p);
    pgf_start_silent(&f);
    p.options.port = f.port;
    lk_set_dsn(&p, "connect_timeout=1");
    lk_refuses(&p, NX_ECONNECT, "", "does not answer within 1000 ms");
    cr_assert(p.error.retryable);
    nxi_pg_link_close(&p.link, p.memory);
    /* Without a time of its own: the deadline of the operation. */
    p.options.dsn = NULL;
    p.options.deadline_ms = 300;
    lk_refuses(&p, NX_ECONNECT, "", "does not answer within 300 ms");
    pgf_stop(&f);
    lk_leave(&p);
}

Test(pg_refusals, server_that_stops_in_the_middle, .timeout = 60)
{
    /* The beginning of AuthenticationOk, and no more. */
    pg_front f;
    link_kit p;
    lk_begin(&p);
    pgf_start_script(&f, "R\0\0\0", 4);
    p.options.port = f.port;
    lk_set_dsn(&p, "sslmode=disable connect_timeout=1");
    lk_refuses(&p, NX_ECONNECT, "", "does not answer");
    pgf_stop(&f);
    lk_leave(&p);
}

Test(pg_refusals, several_hosts, .timeout = 60)
{
    pg_front silent, gone;
    char hosts[128];
    link_kit p;
    lk_begin(&p);
    pgf_start_silent(&silent);
    pgf_start_silent(&gone);
    unsigned closed = gone.port;
    pgf_stop(&gone);
    p.options.host = NULL;
    p.options.port = 0;
    snprintf(hosts, sizeof(hosts), "%s,%s,%s,localhost", pgk_env("HOST"), pgk_env("HOST"), "/nonexistent");
    lk_set_dsn(&p, "host=%s port=%u,%u,1,%u connect_timeout=1 target_session_attrs=read-write", hosts, (unsigned)silent.port,
               closed, (unsigned)pgk_port());
    lk_opens(&p);
    lk_answers(&p, "SELECT 'here'", "here");
    nxi_pg_link_close(&p.link, p.memory);
    /* All of them are of no use: each is named. */
    lk_set_dsn(&p, "host=%s port=%u,%u,1,%u connect_timeout=1 target_session_attrs=standby", hosts, (unsigned)silent.port, closed,
               (unsigned)pgk_port());
    lk_refuses(&p, NX_ECONNECT, "", "does not answer within 1000 ms");
    nxi_pg_link_close(&p.link, p.memory);
    lk_set_dsn(&p, "host=%s port=%u,%u,1,%u connect_timeout=1 target_session_attrs=prefer-standby", hosts, (unsigned)silent.port,
               closed, (unsigned)pgk_port());
    lk_opens(&p);
    nxi_pg_link_close(&p.link, p.memory);
    lk_set_dsn(&p, "host=a,b port=1,2,3");
    lk_refuses(&p, NX_EINVAL, "", "3 ports for 2 hosts");
    pgf_stop(&silent);
    lk_leave(&p);
}

/* ------------------------------------------------------------------------------ certificates */

static void with_certificate(const char *name, const char *mode, bool with_authority, nx_status expected, const char *words)
{
    pg_front f;
    link_kit p;
    lk_begin(&p);
    pgf_start_tls(&f, name);
    p.options.port = f.port;
    p.options.host = "localhost";
    setenv("HOME", "/nonexistent", 1);
    if (with_authority)
        lk_set_dsn(&p, "sslmode=%s sslrootcert='%s'", mode, pgk_env("CA"));
    else
        lk_set_dsn(&p, "sslmode=%s", mode);
    if (expected == NX_OK) {
        lk_opens(&p);
        lk_answers(&p, "SELECT 'through'", "through");
    } else {
        lk_refuses(&p, expected, "", words);
    }
    lk_leave(&p);
    pgf_stop(&f);
}

Test(pg_refusals, good_certificate)
{
    with_certificate("server", "verify-full", true, NX_OK, NULL);
}

Test(pg_refusals, certificate_of_another_name)
{
    with_certificate("wrong_name", "verify-full", true, NX_ECONNECT, "elsewhere.example");
    with_certificate("wrong_name", "verify-ca", true, NX_OK, NULL);
}

Test(pg_refusals, expired_certificate)
{
    with_certificate("expired", "verify-full", true, NX_ECONNECT, "certificate verify failed");
    with_certificate("expired", "verify-ca", true, NX_ECONNECT, "certificate verify failed");
}

Test(pg_refusals, certificate_of_another_authority)
{
    with_certificate("other", "verify-full", true, NX_ECONNECT, "certificate verify failed");
    with_certificate("self_signed", "verify-full", true, NX_ECONNECT, "certificate verify failed");
    /* Encrypted for whoever answers: somebody asked for that. */
    with_certificate("self_signed", "require", false, NX_OK, NULL);
}

Test(pg_refusals, the_system_does_not_know_our_authority)
{
    /* No sslrootcert: the system's authorities, of which ours is none. */
    setenv("SSL_CERT_FILE", pgk_env("TLS"), 1);
    with_certificate("server", "verify-full", false, NX_ECONNECT, "root certificate file");
    char other[256];
    snprintf(other, sizeof(other), "%s/other_ca.crt", pgk_env("TLS"));
    setenv("SSL_CERT_FILE", other, 1);
    with_certificate("server", "verify-full", false, NX_ECONNECT, "certificate verify failed");
    setenv("SSL_CERT_FILE", pgk_env("CA"), 1);
    with_certificate("server", "verify-full", false, NX_OK, NULL);
}

Test(pg_refusals, server_without_tls)
{
    pg_front f;
    link_kit p;
    lk_begin(&p);
    pgf_start_script(&f, "N", 1);
    p.options.port = f.port;
    lk_set_dsn(&p, "sslmode=verify-full sslrootcert='%s'", pgk_env("CA"));
    lk_refuses(&p, NX_ECONNECT, "", "does not support SSL");
    pgf_stop(&f);
    lk_leave(&p);
}

/* ------------------------------------------------------------------------------ strange servers */

#define AUTHENTICATION_OK "R\0\0\0\x08\0\0\0\0"
#define READY             "Z\0\0\0\x05I"
#define KEY               "K\0\0\0\x0c\0\0\0\1\0\0\0\2"

static void put_parameter(nxi_buf *out, const char *name, const char *value)
{
    uint8_t length[4];
    nxi_pg_store32(length, (uint32_t)(4 + strlen(name) + 1 + strlen(value) + 1));
    nxi_buf_putc(out, 'S');
    nxi_buf_put(out, length, 4);
    nxi_buf_put(out, name, strlen(name) + 1);
    nxi_buf_put(out, value, strlen(value) + 1);
}

/* A server that says this of itself; `after` follows ReadyForQuery. */
static void with_server(const char *version, const char *encoding, const char *datetimes, const void *after, size_t size,
                        nx_status expected, const char *words)
{
    pg_front f;
    nxi_buf script;
    link_kit p;
    lk_begin(&p);
    nxi_buf_init(&script, p.memory);
    nxi_buf_put(&script, AUTHENTICATION_OK, sizeof(AUTHENTICATION_OK) - 1);
    put_parameter(&script, "server_version", version);
    put_parameter(&script, "client_encoding", encoding);
    put_parameter(&script, "standard_conforming_strings", "on");
    put_parameter(&script, "integer_datetimes", datetimes);
    nxi_buf_put(&script, KEY READY, sizeof(KEY READY) - 1);
    nxi_buf_put(&script, after, size);
    pgf_start_script(&f, script.data, script.size);
    nxi_buf_fini(&script);
    p.options.port = f.port;
    lk_set_dsn(&p, "sslmode=disable");
    if (expected == NX_OK)
        lk_opens(&p);
    else
        lk_refuses(&p, expected, "", words);
    pgf_stop(&f);
    lk_leave(&p);
}

Test(pg_refusals, servers_that_are_not_supported)
{
    with_server("15.3", "UTF8", "on", "", 0, NX_OK, NULL);
    with_server("11.22", "UTF8", "on", "", 0, NX_EUNSUPPORTED, "PostgreSQL 12 is the oldest");
    with_server("15.3", "SQL_ASCII", "on", "", 0, NX_EUNSUPPORTED, "client_encoding is \"SQL_ASCII\"");
    with_server("15.3", "UTF8", "off", "", 0, NX_EUNSUPPORTED, "integer_datetimes");
}

/* Whole messages behind ReadyForQuery are read by libpq, and what they say counts. */
Test(pg_refusals, words_after_readiness)
{
    nxi_memory *memory = nxi_memory_new(0);
    nxi_buf late;
    nxi_buf_init(&late, memory);
    nxi_buf_put(&late, "N\0\0\0\x1bSNOTICE\0C00000\0Mhello\0\0", 28);
    put_parameter(&late, "TimeZone", "UTC");
    with_server("15.3", "UTF8", "on", late.data, late.size, NX_OK, NULL);
    put_parameter(&late, "client_encoding", "LATIN1");
    with_server("15.3", "UTF8", "on", late.data, late.size, NX_EUNSUPPORTED, "client_encoding is \"LATIN1\"");
    nxi_buf_fini(&late);
    nxi_memory_free(memory);
}

Test(pg_refusals, something_that_is_no_postgresql)
{
    static const char *const words[] = { "HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2p1\r\n", "E",
                                         "\xff\xff\xff\xff\xff\xff\xff\xff" };
    static const char *const modes[] = { "disable", "require" };
    for (size_t i = 0; i < NXI_COUNT(words) * NXI_COUNT(modes); i++) {
        pg_front f;
        link_kit p;
        lk_begin(&p);
        pgf_start_script(&f, words[i / 2], strlen(words[i / 2]));
        p.options.port = f.port;
        lk_set_dsn(&p, "sslmode=%s connect_timeout=1", modes[i % 2]);
        nx_status status = lk_open_now(&p);
        cr_assert_eq(status, NX_ECONNECT, "%s", nx_status_name(status));
        lk_leave(&p);
        pgf_stop(&f);
    }
}

/* ------------------------------------------------------------------------------ secrets */

Test(pg_refusals, no_message_shows_the_password)
{
    static const char *const dsns[] = {
        "password=CANARY CANARY",
        "password=CANARY CANARY=1",
        "password='CANARY",
        "password='x' CANARY",

        "postgresql://u:CANARY%@h/d",
        "postgresql://u:CANARY%zz@h/d",
        "postgresql://u:CANARY@[::1/d",
        "postgresql://u:CANARY@[::1]x/d",
        "postgresql://u:p@h/d?CANARY",
        "postgresql://u:p@h/d?password=CANARY&CANARY=2",
        "postgresql://u:p@h/d?password=CANARY=x",
        "postgresql://u:CANARY@/x@h:1/d?x",
        "CANARY",
        "postgresql://u:CANARY%00@h/d",
        "password=\"CANARY\" x",
        "postgresql://u:\"CANARY%@h",
    };
    for (size_t i = 0; i < NXI_COUNT(dsns); i++) {
        link_kit p;
        lk_begin(&p);
        p.options.dsn = dsns[i];
        nx_status status = lk_open_now(&p);
        cr_assert_neq(status, NX_OK, "%s", dsns[i]);
        cr_assert_eq(status, NX_EINVAL, "%s: %s", dsns[i], p.error.message);
        cr_assert_null(strstr(p.error.message, "CANARY"), "%s: %s", dsns[i], p.error.message);
        cr_assert_null(strstr(p.error.detail, "CANARY"));
        cr_assert_not_null(strstr(p.error.message, "dsn cannot be read"), "%s", p.error.message);
        lk_leave(&p);
    }
}

Test(pg_refusals, no_failed_connection_shows_the_password)
{
    static const char *const more[] = { "sslmode=nonsense",
                                        "port=99999999",
                                        "target_session_attrs=x",
                                        "sslrootcert=/nonexistent sslmode=verify-ca",
                                        "channel_binding=require sslmode=disable",
                                        "connect_timeout=x",
                                        "user=wrong",
                                        "dbname=none",
                                        "hostaddr=1.2.3.4,5.6.7.8",
                                        "gssencmode=require",
                                        "service=none",
                                        "options=-cx=y" };
    for (size_t i = 0; i < NXI_COUNT(more); i++) {
        link_kit p;
        lk_begin(&p);
        p.options.password = NULL;
        p.options.dbname = p.options.user = NULL;
        p.options.port = 0;
        p.options.host = NULL;
        lk_set_dsn(&p, "user=nextorm dbname=nextorm host=127.0.0.1 port=%u password=CANARY %s", (unsigned)pgk_port(), more[i]);
        nx_status status = lk_open_now(&p);
        cr_assert_neq(status, NX_OK, "%s", more[i]);
        cr_assert_null(strstr(p.error.message, "CANARY"), "%s", p.error.message);
        cr_assert_null(strstr(p.error.detail, "CANARY"), "%s", p.error.detail);
        cr_assert_neq(p.error.message[0], '\0');
        lk_leave(&p);
    }
}

Test(pg_refusals, place_of_a_bad_percent_sign)
{
    nx_bind_options options = { .dsn = "postgresql://u:100%@h/d" };
    nx_error error = { 0 };
    cr_assert_eq(nxi_pg_check_options(&options, &error), NX_EINVAL);
    cr_assert_not_null(strstr(error.message, "percent sign at character 19"), "%s", error.message);
}

Test(pg_refusals, options_of_other_providers)
{
    const nx_bind_options bad[] = {
        { .path = "file.db" },
        { .readers = 2 },
        { .group_commit_us = 5 },
        { .synchronous = NX_SYNCHRONOUS_FULL },
        { .pool_min = 3, .pool_max = 2 },
        { .pooler = (nx_pooler)7 },
    };
    for (size_t i = 0; i < NXI_COUNT(bad); i++) {
        nx_error error = { 0 };
        cr_assert_eq(nxi_pg_check_options(&bad[i], &error), NX_EINVAL, "%zu", i);
        cr_assert_neq(error.message[0], '\0');
    }
}
