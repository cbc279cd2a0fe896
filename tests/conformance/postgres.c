/*
 * postgres - the conformance list on PostgreSQL: by a Unix socket, by TCP under TLS, and through a pooler in transaction mode.
 */
#include "uow_cases.h"
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

static void make_by_pooler(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    make(f, number, PGK_POOLER, ret_options);
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
static const nxt_provider by_pooler = { .name = "postgres", .make = make_by_pooler, .remove = remove_schemas };

enum { SECONDS_MAX = 60, UNMAPPED_SECONDS_MAX = 20 };

#define BY_SOCKET(subject, name)                                                                   \
    Test(postgres_socket, subject##_##name, .timeout = SECONDS_MAX) { nxt_run(&by_socket, nxt_##subject##_##name); }
#define BY_TLS(subject, name)                                                                      \
    Test(postgres_tls, subject##_##name, .timeout = SECONDS_MAX) { nxt_run(&by_tls, nxt_##subject##_##name); }
/* That is what the mode refuses. */
static void read_only_is_refused(nxt_fixture *f)
{
    nx_bind_options options = f->options;
    nx_db *db = nx_db_new(f->loop, nxt_entities);

    options.read_only = true;
    FAILS(f, nx_bind(db, f->provider->name, &options, NULL), NX_EUNSUPPORTED);
    nx_db_free(db);
}

/* Statements without names are made anew for each use, by memory of the host: what holds is that it all comes back. */
static void nothing_is_kept(nxt_fixture *f)
{
    nxt_posts(f, 100);
    for (int i = 0; i < 400; i++)
        COUNT(f, nx_fetch_all(nx_filter(nx_select(f->db, Post), nx_gt(Post_.score, i % 100)), NULL));
}

/* By a pooler all cases hold but these two, in whose place stands what holds there. */
static void run_by_pooler(nxt_case run)
{
    if (run == nxt_shared_read_only_binding)
        run = read_only_is_refused;
    else if (run == nxt_control_steady_state_allocates_nothing_from_the_host)
        run = nothing_is_kept;
    nxt_run(&by_pooler, run);
}

#define BY_POOLER(subject, name)                                                                   \
    Test(postgres_pooler, subject##_##name, .timeout = SECONDS_MAX) { run_by_pooler(nxt_##subject##_##name); }

#define UNMAPPED_BY_SOCKET(subject, name)                                                          \
    Test(postgres_socket, subject##_##name, .timeout = UNMAPPED_SECONDS_MAX)                       \
    {                                                                                              \
        nxt_run_unmapped(&by_socket, nxt_##subject##_##name);                                      \
    }
#define UNMAPPED_BY_TLS(subject, name)                                                             \
    Test(postgres_tls, subject##_##name, .timeout = UNMAPPED_SECONDS_MAX)                          \
    {                                                                                              \
        nxt_run_unmapped(&by_tls, nxt_##subject##_##name);                                         \
    }
#define UNMAPPED_BY_POOLER(subject, name)                                                          \
    Test(postgres_pooler, subject##_##name, .timeout = UNMAPPED_SECONDS_MAX)                       \
    {                                                                                              \
        nxt_run_unmapped(&by_pooler, nxt_##subject##_##name);                                      \
    }

NXT_CASES(BY_SOCKET)
NXT_SHARED_CASES(BY_SOCKET)
NXT_CASES(BY_TLS)
NXT_SHARED_CASES(BY_TLS)
NXT_CASES(BY_POOLER)
NXT_SHARED_CASES(BY_POOLER)
NXT_UOW_CASES(UNMAPPED_BY_SOCKET)
NXT_UOW_CASES(UNMAPPED_BY_TLS)
NXT_UOW_CASES(UNMAPPED_BY_POOLER)
