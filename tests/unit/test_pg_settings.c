/*
 * pg_settings - what libpq is told, without a server.
 */
#include "drivers/postgres/settings.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static nxi_memory *memory;
static nxi_pg_settings settings;
static nx_error error;

static void forget_environment(void)
{
    static const char *const names[] = { "PGHOST",       "PGHOSTADDR",        "PGPORT",           "PGUSER",
                                         "PGDATABASE",   "PGPASSWORD",        "PGSSLMODE",        "PGOPTIONS",
                                         "PGSERVICE",    "PGSERVICEFILE",     "PGREQUIRESSL",     "PGSSLROOTCERT",
                                         "PGGSSENCMODE", "PGCONNECT_TIMEOUT", "PGCLIENTENCODING", "SSL_CERT_FILE" };
    for (size_t i = 0; i < NXI_COUNT(names); i++)
        unsetenv(names[i]);
    setenv("HOME", "/nonexistent", 1);
    setenv("SSL_CERT_FILE", "/the/system's/roots", 1);
    memory = nxi_memory_new(0);
}

static void finish(void)
{
    nxi_memory_free(memory);
}

TestSuite(pg_settings, .init = forget_environment, .fini = finish);

static nx_status make(const nx_bind_options *options)
{
    nxi_error_reset(&error);
    return nxi_pg_settings_make(&settings, options, memory, &error);
}

static void is(const char *keyword, const char *expected)
{
    const char *value = nxi_pg_settings_get(&settings, keyword);
    cr_assert_str_eq(value == NULL ? "(unset)" : value, expected, "%s: %s", keyword, value == NULL ? "(unset)" : value);
}

/* ------------------------------------------------------------------------------ TLS */

Test(pg_settings, who_has_to_prove_its_name)
{
    static const struct {
        const char *dsn, *mode;
    } cases[] = {
        { "", "(unset)" },
        { "host=/var/run/postgresql", "(unset)" },
        { "host=@abstract", "(unset)" },
        { "host=localhost", "(unset)" },
        { "host=LocalHost", "(unset)" },
        { "host=127.0.0.1", "(unset)" },
        { "host=127.255.0.9", "(unset)" },
        { "host=::1", "(unset)" },
        { "hostaddr=127.0.0.1", "(unset)" },
        { "host=db.example hostaddr=127.0.0.1", "(unset)" },
        { "host=db.example", "verify-full" },
        { "host=localhost.example", "verify-full" },
        { "host=192.0.2.7", "verify-full" },
        { "host=127.0.0.1.example", "verify-full" },
        { "host=128.0.0.1", "verify-full" },
        { "host=::2", "verify-full" },
        { "host=::ffff:192.0.2.7", "verify-full" },
        { "host=localhost hostaddr=192.0.2.7", "verify-full" },
        { "host=localhost,db.example", "verify-full" },
        { "host=db.example,localhost", "verify-full" },
        { "host=/tmp,db.example port=1,2", "verify-full" },
        { "host=db.example sslmode=prefer", "prefer" },
        { "host=db.example sslmode=disable", "disable" },
        { "host=db.example sslmode=require", "require" },
        { "postgresql://db.example/x", "verify-full" },
        { "postgresql://u@[2001:db8::1]:5/x", "verify-full" },
        { "postgresql://u@[::1]:5/x", "(unset)" },
        { "postgresql:///x", "(unset)" },
        { "postgresql://db.example/x?sslmode=allow", "allow" },
    };
    for (size_t i = 0; i < NXI_COUNT(cases); i++) {
        cr_assert_eq(make(&(nx_bind_options){ .dsn = cases[i].dsn }), NX_OK, "%s: %s", cases[i].dsn, error.message);
        const char *mode = nxi_pg_settings_get(&settings, "sslmode");
        cr_assert_str_eq(mode == NULL ? "(unset)" : mode, cases[i].mode, "%s: %s", cases[i].dsn, mode == NULL ? "(unset)" : mode);
        is("sslrootcert", strcmp(cases[i].mode, "verify-full") == 0 ? "/the/system's/roots" : "(unset)");
        nxi_pg_settings_fini(&settings);
    }
}

Test(pg_settings, tls_by_environment)
{
    setenv("PGSSLMODE", "require", 1);
    cr_assert_eq(make(&(nx_bind_options){ .host = "db.example" }), NX_OK);
    is("sslmode", "(unset)"); /* libpq reads it itself */
    nxi_pg_settings_fini(&settings);
    setenv("PGSSLMODE", "prefer", 1);
    cr_assert_eq(make(&(nx_bind_options){ .host = "db.example" }), NX_OK);
    is("sslmode", "(unset)");
    nxi_pg_settings_fini(&settings);
    unsetenv("PGSSLMODE");
    setenv("PGHOST", "db.example", 1);
    cr_assert_eq(make(&(nx_bind_options){ 0 }), NX_OK);
    is("sslmode", "verify-full");
    nxi_pg_settings_fini(&settings);
    setenv("PGHOSTADDR", "127.0.0.1", 1);
    cr_assert_eq(make(&(nx_bind_options){ 0 }), NX_OK);
    is("sslmode", "(unset)");
    nxi_pg_settings_fini(&settings);
}

Test(pg_settings, tls_by_service_file)
{
    char path[] = "/tmp/nextorm-service-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    dprintf(fd, "[plain]\nhost=db.example\nsslmode=disable\n[silent]\nhost=db.example\n");
    close(fd);
    setenv("PGSERVICEFILE", path, 1);
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "service=plain" }), NX_OK, "%s", error.message);
    is("sslmode", "(unset)");
    cr_assert_str_eq(settings.targets[0].host, "db.example");
    nxi_pg_settings_fini(&settings);
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "service=silent" }), NX_OK, "%s", error.message);
    is("sslmode", "verify-full");
    nxi_pg_settings_fini(&settings);
    unlink(path);
}

Test(pg_settings, own_authorities_before_the_system_s)
{
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "host=db.example sslrootcert=/mine" }), NX_OK);
    is("sslmode", "verify-full");
    is("sslrootcert", "/mine");
    nxi_pg_settings_fini(&settings);
    setenv("PGSSLROOTCERT", "/theirs", 1);
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "host=db.example" }), NX_OK);
    is("sslrootcert", "(unset)");
    nxi_pg_settings_fini(&settings);
}

Test(pg_settings, gssapi)
{
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "gssencmode=prefer" }), NX_OK);
    is("gssencmode", "disable");
    nxi_pg_settings_fini(&settings);
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "gssencmode=require" }), NX_EUNSUPPORTED);
    nxi_pg_settings_fini(&settings);
    setenv("PGGSSENCMODE", "require", 1);
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "" }), NX_EUNSUPPORTED);
    nxi_pg_settings_fini(&settings);
}

/* ------------------------------------------------------------------------------ merging */

Test(pg_settings, options_are_merged)
{
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "options='-c a=1'", .read_only = true }), NX_OK);
    const char *options = nxi_pg_settings_get(&settings, "options");
    const char *ours = strstr(options, "-c TimeZone=UTC"), *theirs = strstr(options, " -c a=1 ");
    cr_assert(ours != NULL && theirs != NULL && ours < theirs, "%s", options);
    cr_assert_not_null(strstr(options, "-c default_transaction_read_only=on"));
    nxi_pg_settings_fini(&settings);
    setenv("PGOPTIONS", "-c b=2", 1);
    cr_assert_eq(make(&(nx_bind_options){ 0 }), NX_OK);
    cr_assert_not_null(strstr(nxi_pg_settings_get(&settings, "options"), " -c b=2"));
    nxi_pg_settings_fini(&settings);
    cr_assert_eq(make(&(nx_bind_options){ .pooler = NX_POOLER_TRANSACTION }), NX_OK);
    is("options", "(unset)");
    nxi_pg_settings_fini(&settings);
}

Test(pg_settings, fields_win)
{
    const nx_bind_options options = {
        .dsn = "host=a hostaddr=192.0.2.1 port=1 user=u password=p dbname=d application_name=me sslmode=disable",
        .host = "b",
        .port = 2,
        .user = "v",
        .password = "q",
        .dbname = "e=x"
    };
    cr_assert_eq(make(&options), NX_OK);
    cr_assert_eq(settings.target_count, 1);
    cr_assert_str_eq(settings.targets[0].host, "b");
    cr_assert_str_eq(settings.targets[0].address, "");
    cr_assert_str_eq(settings.targets[0].port, "2");
    is("user", "v");
    is("password", "q");
    is("dbname", "e=x");
    is("application_name", "me");
    is("fallback_application_name", "nextorm");
    is("client_encoding", "UTF8");
    cr_assert_str_eq(settings.user, "v");
    cr_assert_str_eq(settings.dbname, "e=x");
    nxi_pg_settings_fini(&settings);
}

/* ------------------------------------------------------------------------------ times */

static int64_t timeout_of(const char *dsn, uint32_t deadline_ms)
{
    cr_assert_eq(make(&(nx_bind_options){ .dsn = dsn, .deadline_ms = deadline_ms }), NX_OK);
    int64_t ms = settings.timeout_ns / 1000000;
    nxi_pg_settings_fini(&settings);
    return ms;
}

Test(pg_settings, every_wait_has_an_end)
{
    cr_assert_eq(timeout_of("", 0), 10000);
    cr_assert_eq(timeout_of("connect_timeout=0", 0), 10000);
    cr_assert_eq(timeout_of("connect_timeout=-1", 0), 10000);
    cr_assert_eq(timeout_of("connect_timeout=3", 0), 3000);
    cr_assert_eq(timeout_of("connect_timeout=3", 500), 3000);
    cr_assert_eq(timeout_of("connect_timeout=99999999999999999999", 0), 3600000);
    cr_assert_eq(timeout_of("", 500), 500);
    cr_assert_eq(timeout_of("", 1), 100);
    cr_assert_eq(timeout_of("", 20000), 10000);
    setenv("PGCONNECT_TIMEOUT", "7", 1);
    cr_assert_eq(timeout_of("", 0), 7000);
}

Test(pg_settings, keepalive_is_on_unless_said_otherwise)
{
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "keepalives_idle=5 tcp_user_timeout=6" }), NX_OK);
    is("keepalives_idle", "5");
    is("tcp_user_timeout", "6");
    cr_assert(settings.has_own_user_timeout);
    nxi_pg_settings_fini(&settings);
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "connect_timeout=4" }), NX_OK);
    is("keepalives_idle", "30");
    is("keepalives_interval", "10");
    is("keepalives_count", "3");
    is("tcp_user_timeout", "4000");
    cr_assert(!settings.has_own_user_timeout);
    nxi_pg_settings_fini(&settings);
}

/* ------------------------------------------------------------------------------ targets */

Test(pg_settings, lists)
{
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "host=/a,127.0.0.1,,::1 port=1,2,,4" }), NX_OK, "%s", error.message);
    cr_assert_eq(settings.target_count, 4);
    cr_assert_str_eq(settings.targets[0].host, "/a");
    cr_assert_str_eq(settings.targets[1].port, "2");
    cr_assert_str_eq(settings.targets[2].host, "");
    cr_assert_str_eq(settings.targets[2].port, "");
    cr_assert_eq(nxi_pg_settings_resolve(&settings, &error), NX_OK, "%s", error.message);
    cr_assert_eq(settings.target_count, 4);
    cr_assert_str_eq(settings.targets[0].address, "");
    cr_assert_str_eq(settings.targets[1].address, "127.0.0.1");
    cr_assert_str_eq(settings.targets[2].address, "");
    cr_assert_str_eq(settings.targets[3].address, "::1");
    cr_assert(nxi_pg_settings_aim(&settings));
    is("host", "/a,127.0.0.1,,::1");
    is("hostaddr", ",127.0.0.1,,::1");
    is("port", "1,2,,4");
    settings.targets[0].tried = settings.targets[2].tried = true;
    cr_assert(nxi_pg_settings_aim(&settings));
    is("host", "127.0.0.1,::1");
    is("hostaddr", "127.0.0.1,::1");
    is("port", "2,4");
    settings.targets[1].tried = settings.targets[3].tried = true;
    cr_assert(!nxi_pg_settings_aim(&settings));
    nxi_pg_settings_fini(&settings);
}

Test(pg_settings, one_port_for_all)
{
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "host=/a,/b,/c", .port = 77 }), NX_OK);
    cr_assert_eq(settings.target_count, 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_str_eq(settings.targets[i].port, "77");
    nxi_pg_settings_fini(&settings);
}

Test(pg_settings, lists_that_do_not_fit)
{
    char many[1000] = "host=/a", *end = many + strlen(many);
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "host=a,b hostaddr=127.0.0.1" }), NX_EINVAL);
    nxi_pg_settings_fini(&settings);
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "host=a,b,c port=1,2" }), NX_EINVAL);
    nxi_pg_settings_fini(&settings);
    for (int i = 0; i < 64; i++)
        end += snprintf(end, 4, ",/b");
    cr_assert_eq(make(&(nx_bind_options){ .dsn = many }), NX_ELIMIT);
    nxi_pg_settings_fini(&settings);
}

Test(pg_settings, unknown_names)
{
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "host=no-such-host.invalid,127.0.0.1 sslmode=disable" }), NX_OK);
    cr_assert_eq(nxi_pg_settings_resolve(&settings, &error), NX_OK);
    cr_assert_eq(settings.target_count, 1);
    cr_assert_str_eq(settings.targets[0].host, "127.0.0.1");
    nxi_pg_settings_fini(&settings);
    cr_assert_eq(make(&(nx_bind_options){ .dsn = "host=no-such-host.invalid sslmode=disable" }), NX_OK);
    cr_assert_eq(nxi_pg_settings_resolve(&settings, &error), NX_ECONNECT);
    cr_assert_not_null(strstr(error.message, "no-such-host.invalid"));
    nxi_pg_settings_fini(&settings);
}
