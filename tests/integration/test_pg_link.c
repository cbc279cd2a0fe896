/*
 * pg_link - connections to a real PostgreSQL: all ways to get there, what the session is like, interrupting and closing.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "drivers/postgres/codec.h"
#include "tests/support/link_kit.h"
#include "tests/support/pg_kit.h"

/* ------------------------------------------------------------------------------ every way in */

Test(pg_link, every_sslmode)
{
    static const struct {
        const char *mode;
        bool tls;
    } modes[] = {
        { "disable", false }, { "allow", false },    { "prefer", true },
        { "require", true },  { "verify-ca", true }, { "verify-full", true },
    };
    for (size_t i = 0; i < NXI_COUNT(modes); i++) {
        link_kit p;
        lk_begin(&p);
        lk_set_dsn(&p, "sslmode=%s sslrootcert='%s'", modes[i].mode, pgk_env("CA"));
        lk_opens(&p);
        cr_assert_eq(p.link.tls != NULL, modes[i].tls, "%s", modes[i].mode);
        lk_answers(&p, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()", modes[i].tls ? "true" : "false");
        lk_leave(&p);
    }
}

Test(pg_link, both_versions_of_tls)
{
    static const char *const versions[] = { "TLSv1.2", "TLSv1.3" };
    for (size_t i = 0; i < NXI_COUNT(versions); i++) {
        link_kit p;
        lk_begin(&p);
        lk_set_dsn(&p, "sslmode=verify-full sslrootcert='%s' ssl_max_protocol_version=%s", pgk_env("CA"), versions[i]);
        p.options.host = "localhost";
        lk_opens(&p);
        lk_answers(&p, "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()", versions[i]);
        lk_leave(&p);
    }
}

Test(pg_link, channel_binding)
{
    link_kit p;
    lk_begin(&p);
    lk_set_dsn(&p, "sslmode=require channel_binding=require");
    lk_opens(&p);
    lk_answers(&p, "SELECT 'bound'", "bound");
    lk_leave(&p);
}

Test(pg_link, unix_socket)
{
    link_kit p;
    lk_begin(&p);
    p.options.host = pgk_env("SOCKET");
    p.options.password = NULL;
    lk_opens(&p);
    cr_assert_null(p.link.tls);
    lk_answers(&p, "SELECT coalesce(inet_client_addr()::text, 'socket')", "socket");
    lk_leave(&p);
}

Test(pg_link, dsn_alone)
{
    link_kit p;
    lk_begin(&p);
    p.options = (nx_bind_options){ 0 };
    lk_set_dsn(&p, "postgresql://%s:%s@localhost:%u/%s?sslmode=verify-full&sslrootcert=%s&application_name=an%%20uri",
               pgk_env("USER"), pgk_env("PASSWORD"), (unsigned)pgk_port(), pgk_env("DBNAME"), pgk_env("CA"));
    lk_opens(&p);
    lk_answers(&p, "SELECT current_setting('application_name')", "an uri");
    nxi_pg_link_close(&p.link, p.memory);
    lk_set_dsn(&p, "host=%s port=%u user=%s dbname=%s", pgk_env("SOCKET"), (unsigned)pgk_port(), pgk_env("USER"),
               pgk_env("DBNAME"));
    lk_opens(&p);
    lk_answers(&p, "SELECT current_setting('application_name')", "nextorm");
    lk_leave(&p);
}

Test(pg_link, fields_win_over_the_dsn)
{
    link_kit p;
    lk_begin(&p);
    lk_set_dsn(&p, "host=192.0.2.1 hostaddr=192.0.2.2 port=1 user=nobody password=wrong dbname=nothing sslmode=disable");
    lk_opens(&p);
    lk_answers(&p, "SELECT current_user || ' ' || current_database()", "nextorm nextorm");
    lk_leave(&p);
}

Test(pg_link, plain_user)
{
    link_kit p;
    lk_begin(&p);
    p.options.user = pgk_env("PLAIN_USER");
    p.options.password = pgk_env("PLAIN_PASSWORD");
    lk_opens(&p);
    lk_answers(&p, "SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user", "false");
    lk_leave(&p);
}

Test(pg_link, environment_and_service_file)
{
    char path[] = "/tmp/nextorm-service-XXXXXX";
    link_kit p;
    lk_begin(&p);
    p.options = (nx_bind_options){ 0 };
    setenv("PGHOST", pgk_env("SOCKET"), 1);
    setenv("PGPORT", pgk_env("PORT"), 1);
    setenv("PGUSER", pgk_env("USER"), 1);
    setenv("PGDATABASE", pgk_env("DBNAME"), 1);
    setenv("PGOPTIONS", "-c search_path=from_env", 1);
    lk_opens(&p);
    lk_answers(&p, "SELECT current_setting('search_path') || ' ' || current_setting('TimeZone')", "from_env UTC");
    nxi_pg_link_close(&p.link, p.memory);

    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    dprintf(fd, "[ours]\nhost=%s\nport=%s\nuser=%s\ndbname=postgres\noptions=-c search_path=from_service\n", pgk_env("SOCKET"),
            pgk_env("PORT"), pgk_env("USER"));
    close(fd);
    unsetenv("PGHOST");
    unsetenv("PGDATABASE");
    setenv("PGSERVICEFILE", path, 1);
    lk_set_dsn(&p, "service=ours");
    lk_opens(&p);
    lk_answers(&p, "SELECT current_setting('search_path') || ' ' || current_database()", "from_service postgres");
    nxi_pg_link_close(&p.link, p.memory);
    lk_set_dsn(&p, "service=nobody_s");
    lk_refuses(&p, NX_ECONNECT, "", "nobody_s");
    unlink(path);
    lk_leave(&p);
}

/* ------------------------------------------------------------------------------ the session */

static const char parameters[] = "SELECT concat_ws(' ', current_setting('client_encoding'), current_setting('TimeZone'), "
                                 "split_part(current_setting('DateStyle'), ',', 1), current_setting('IntervalStyle'), "
                                 "current_setting('extra_float_digits'), current_setting('bytea_output'))";

Test(pg_link, session_parameters)
{
    link_kit p;
    lk_begin(&p);
    lk_opens(&p);
    lk_answers(&p, parameters, "UTF8 UTC ISO iso_8601 1 hex");
    nxi_pg_link_close(&p.link, p.memory);
    /* Whatever the program's environment says about the encoding. */
    setenv("PGCLIENTENCODING", "LATIN1", 1);
    lk_opens(&p);
    lk_answers(&p, parameters, "UTF8 UTC ISO iso_8601 1 hex");
    nxi_pg_link_close(&p.link, p.memory);
    lk_set_dsn(&p, "client_encoding=LATIN1");
    lk_opens(&p);
    lk_answers(&p, parameters, "UTF8 UTC ISO iso_8601 1 hex");
    lk_leave(&p);
}

Test(pg_link, options_of_the_user_come_last)
{
    link_kit p;
    lk_begin(&p);
    lk_set_dsn(&p, "options='-c search_path=theirs -c TimeZone=Europe/Vienna -c work_mem=5MB'");
    lk_opens(&p);
    lk_answers(&p, parameters, "UTF8 Europe/Vienna ISO iso_8601 1 hex");
    lk_answers(&p, "SELECT current_setting('search_path') || ' ' || current_setting('work_mem')", "theirs 5MB");
    lk_leave(&p);
}

Test(pg_link, encoding_by_options_is_overridden)
{
    link_kit p;
    lk_begin(&p);
    lk_set_dsn(&p, "options='-c client_encoding=LATIN1'");
    lk_opens(&p);
    lk_answers(&p, parameters, "UTF8 UTC ISO iso_8601 1 hex");
    lk_leave(&p);
}

Test(pg_link, needed_parameters_are_verified)
{
    link_kit p;
    lk_begin(&p);
    lk_set_dsn(&p, "options='-c standard_conforming_strings=off'");
    lk_refuses(&p, NX_EUNSUPPORTED, "", "standard_conforming_strings is \"off\"");
    lk_leave(&p);
}

Test(pg_link, read_only)
{
    size_t size;
    link_kit p;
    lk_begin(&p);
    p.options.read_only = true;
    lk_opens(&p);
    lk_tell_query(&p, "CREATE TABLE never (a int)");
    const uint8_t *body = lk_hear_all(&p, 'E', &size);
    cr_assert_not_null(body);
    cr_assert_not_null(memmem(body, size, "C25006", 7));
    lk_leave(&p);
}

Test(pg_link, behind_a_pooler_options_are_not_used)
{
    link_kit p;
    lk_begin(&p);
    p.options.pooler = NX_POOLER_TRANSACTION;
    lk_opens(&p);
    lk_answers(&p, parameters, "UTF8 UTC ISO postgres_verbose 0 escape");
    lk_leave(&p);
}

/* Two clients take turns on one server session; each has its own time zone, and neither has options. */
Test(pg_link, two_clients_of_a_pooler)
{
    link_kit p, other;
    pg_kit k;
    pgk_open(&k);
    lk_begin(&p);
    lk_begin(&other);
    p.options = pgk_options(&k, PGK_POOLER_ONE);
    other.options = p.options;
    lk_opens(&p);
    lk_opens(&other);
    size_t size;
    lk_tell_query(&other, "SET TimeZone TO 'Asia/Tokyo'");
    (void)lk_hear_all(&other, 'C', &size);
    for (int i = 0; i < 3; i++) {
        char expected[96];
        snprintf(expected, sizeof(expected), "UTC %s", k.schema);
        lk_answers(&p, "SELECT current_setting('TimeZone') || ' ' || current_schema()", expected);
        lk_answers(&other, "SELECT current_setting('TimeZone')", "Asia/Tokyo");
    }
    lk_leave(&p);
    lk_leave(&other);
    pgk_close(&k);
}

/* ------------------------------------------------------------------------------ interrupting and closing */

Test(pg_link, interrupt, .timeout = 60)
{
    static const char *const modes[] = { "disable", "require" };
    for (size_t i = 0; i < NXI_COUNT(modes); i++) {
        size_t size = 0;
        link_kit p;
        lk_begin(&p);
        lk_set_dsn(&p, "sslmode=%s", modes[i]);
        lk_opens(&p);
        lk_tell_query(&p, "SELECT pg_sleep(120)");
        /* A request that comes before the query has begun stops nothing: ask until one hits. */
        for (struct pollfd one = { .fd = p.fd, .events = POLLIN }; poll(&one, 1, 50) == 0;)
            cr_assert(nxi_pg_link_interrupt(&p.link));
        const uint8_t *body = lk_hear_all(&p, 'E', &size);
        cr_assert_not_null(body);
        cr_assert_not_null(memmem(body, size, "C57014", 7));
        lk_leave(&p);
    }
}

static int64_t backends_of(pg_kit *k, const char *name)
{
    char sql[160];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM pg_stat_activity WHERE application_name = '%s'", name);
    return pgk_number(k, sql);
}

static void wait_until_gone(pg_kit *k, const char *name)
{
    while (backends_of(k, name) > 0)
        usleep(5000);
}

Test(pg_link, goodbye, .timeout = 60)
{
    static const char *const modes[] = { "disable", "require" };
    pg_kit k;
    pgk_open(&k);
    for (size_t i = 0; i < 2 * NXI_COUNT(modes); i++) {
        link_kit p;
        lk_begin(&p);
        lk_set_dsn(&p, "sslmode=%s application_name=%s", modes[i / 2], k.schema);
        lk_opens(&p);
        lk_answers(&p, "SELECT 'a'", "a");
        cr_assert_eq(backends_of(&k, k.schema), 1);
        p.link.is_quiet = i % 2 == 0;
        lk_leave(&p);
        wait_until_gone(&k, k.schema);
    }
    pgk_close(&k);
}

/* Nothing is added to a message that was cut: its statement must not run as something else. */
Test(pg_link, closed_in_the_middle_of_a_message, .timeout = 60)
{
    char sql[128];
    pg_kit k;
    pgk_open(&k);
    pgk_do(&k, "CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 20)");
    snprintf(sql, sizeof(sql), "DELETE FROM %s.t WHERE a >= 1 -- ", k.schema);
    for (size_t missing = 1; missing <= 6; missing++) {
        uint8_t message[160];
        size_t size = strlen(sql) + 1;
        link_kit p;
        lk_begin(&p);
        lk_set_dsn(&p, "sslmode=disable application_name=%s", k.schema);
        lk_opens(&p);
        message[0] = 'Q';
        nxi_pg_store32(message + 1, (uint32_t)(size + 4));
        memcpy(message + 5, sql, size);
        lk_tell(&p, message, 5 + size - missing);
        lk_leave(&p);
        wait_until_gone(&k, k.schema);
        cr_assert_eq(pgk_number(&k, "SELECT count(*) FROM t"), 20, "%zu bytes missing", missing);
    }
    pgk_close(&k);
}

/* Each request for memory of ours fails once. */
Test(pg_link, no_memory, .timeout = 120)
{
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        link_kit p;
        lk_begin(&p);
        lk_set_dsn(&p, "sslmode=require options='-c search_path=a'");
        nxi_memory_fail(n, true);
        nx_status status = lk_open_now(&p);
        nxi_memory_fail(0, false);
        failed = status != NX_OK;
        cr_assert(!failed || status == NX_ENOMEM, "%" PRIu64 ": %s", n, p.error.message);
        if (!failed)
            lk_answers(&p, "SELECT 'a'", "a");
        cr_assert_lt(n, 1000);
        lk_leave(&p);
    }
}
