/*
 * postgres - the conformance list on PostgreSQL: by a Unix socket, and by TCP under TLS.
 */
#include "cases.h"
#include "tests/support/pg_kit.h"

/* A test is a process of its own; one of them has a second fixture inside the first. */
enum { KITS_MAX = 2 * NXT_DATABASES_MAX };
static struct {
    const nxt_fixture *owner;
    int number;
    pg_kit kit;
} kits[KITS_MAX];

static pg_kit *kit_of(const nxt_fixture *f, int number)
{
    int free_one = -1;

    for (int i = 0; i < KITS_MAX; i++) {
        if (kits[i].owner == f && kits[i].number == number)
            return &kits[i].kit;
        if (kits[i].owner == NULL && free_one < 0)
            free_one = i;
    }
    cr_assert_geq(free_one, 0);
    kits[free_one].owner = f;
    kits[free_one].number = number;
    pgk_open(&kits[free_one].kit);
    return &kits[free_one].kit;
}

/* The cases use a session and the database beside it at once. */
static void make(const nxt_fixture *f, int number, pgk_way way, nx_bind_options *ret_options)
{
    *ret_options = pgk_options(kit_of(f, number), way);
    ret_options->pool_max = 4;
}

static void make_by_socket(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    make(f, number, PGK_SOCKET, ret_options);
}

static void make_by_tls(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    make(f, number, PGK_TLS, ret_options);
}

static void remove_schemas(nxt_fixture *f)
{
    for (int i = 0; i < KITS_MAX; i++) {
        if (kits[i].owner != f)
            continue;
        pgk_close(&kits[i].kit);
        kits[i].owner = NULL;
    }
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
