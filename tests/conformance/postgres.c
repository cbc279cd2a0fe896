/*
 * postgres - the conformance list on PostgreSQL: by a Unix socket, and by TCP under TLS.
 */
#include "cases.h"
#include "tests/support/pg_kit.h"

/* A test is a process of its own. */
static pg_kit kits[NXT_DATABASES_MAX];

static void make(int number, pgk_way way, nx_bind_options *ret_options)
{
    if (kits[number].conn == NULL)
        pgk_open(&kits[number]);
    *ret_options = pgk_options(&kits[number], way);
}

static void make_by_socket(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    (void)f;
    make(number, PGK_SOCKET, ret_options);
}

static void make_by_tls(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    (void)f;
    make(number, PGK_TLS, ret_options);
}

static void remove_schemas(nxt_fixture *f)
{
    (void)f;
    for (int i = 0; i < NXT_DATABASES_MAX; i++)
        pgk_close(&kits[i]);
}

static const nxt_provider by_socket = { .name = "postgres", .make = make_by_socket, .remove = remove_schemas };
static const nxt_provider by_tls = { .name = "postgres", .make = make_by_tls, .remove = remove_schemas };

enum { SECONDS_MAX = 60 };

#define BY_SOCKET(subject, name)                                                                   \
    Test(postgres_socket, subject##_##name, .timeout = SECONDS_MAX) { nxt_run(&by_socket, nxt_##subject##_##name); }
#define BY_TLS(subject, name)                                                                      \
    Test(postgres_tls, subject##_##name, .timeout = SECONDS_MAX) { nxt_run(&by_tls, nxt_##subject##_##name); }

NXT_CASES(BY_SOCKET)
NXT_SHARED_CASES(BY_SOCKET)
NXT_CASES(BY_TLS)
NXT_SHARED_CASES(BY_TLS)
