/*
 * nextorm-perf-plan - what the planning of a flush costs, beside Tarjan's algorithm by hand over the same rows.
 *
 *     nextorm-perf-plan [--rounds N] [--rows N]
 *
 * Rows are made in a session; a plan for their flush is built and thrown away. Forms: rows without references; a list; a balanced
 * tree; a random graph of optional references. By hand: the components, their order, and the depth of each row, over the same
 * structs, each of which carries its own number. Both run in turns; times are those of the processor, medians over the rounds.
 * Each form also runs with a tenth of the rows. This program alone sees the library's internals: no public call plans without
 * writing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/session.h"
#include "engine/uow.h"
#include "measure.h"
#include "nextorm.h"

#define PERF_LINK(FIELD, E)                                                                                                      \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, a)                                                                                                        \
    FIELD(E, SINGLE, Link, next, .optional = true)                                                                               \
    FIELD(E, LOCAL, uint32_t, at)
NX_ENTITY(Link, PERF_LINK)

typedef enum form { FORM_UNRELATED, FORM_LIST, FORM_TREE, FORM_RANDOM, FORM_count } form;
static const char *const form_names[] = { "unrelated", "list", "tree", "random" };

enum { ROUNDS_MAX = 101 };

typedef struct graph {
    nx_loop *loop;
    nx_db *db;
    nx_session *session;
    Link **rows;
    uint32_t count;
} graph;

static void fail(const char *what)
{
    fprintf(stderr, "nextorm-perf-plan: %s\n", what);
    exit(1);
}

static uint64_t mix(uint64_t n)
{
    n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9U;
    n = (n ^ (n >> 27)) * 0x94d049bb133111ebU;
    return n ^ (n >> 31);
}

/* The row that row n refers to; UINT32_MAX: none. */
static uint32_t target_of(form kind, uint32_t n, uint32_t count)
{
    switch (kind) {
    case FORM_LIST: return n + 1 < count ? n + 1 : UINT32_MAX;
    case FORM_TREE: return n > 0 ? (n - 1) / 2 : UINT32_MAX;
    case FORM_RANDOM: return (uint32_t)(mix(n + 1) % count);
    case FORM_UNRELATED:
    case FORM_count: break;
    }
    return UINT32_MAX;
}

static void make_rows(graph *g, form kind, uint32_t count)
{
    g->session = nx_session_begin(g->loop, NULL);
    g->rows = calloc(count, sizeof(*g->rows));
    g->count = count;
    if (g->session == NULL || g->rows == NULL)
        fail("out of memory");
    for (uint32_t n = 0; n < count; n++) {
        g->rows[n] = nx_new(g->session, Link);
        if (g->rows[n] == NULL)
            fail("nx_new");
        g->rows[n]->at = n;
    }
    for (uint32_t n = 0; n < count; n++) {
        uint32_t target = target_of(kind, n, count);
        if (target != UINT32_MAX)
            nx_set_ref(g->rows[n]->next, g->rows[target]);
    }
}

static void free_rows(graph *g)
{
    nx_session_free(g->session);
    free(g->rows);
}

/* ------------------------------------------------------------------------------ by hand */

typedef struct tarjan {
    uint32_t *number, *low, *component, *depth, *stack, *path, *order;
    uint32_t stack_size, path_size, last_number, components, ordered;
} tarjan;

static uint32_t next_of(const graph *g, uint32_t n)
{
    const Link *next = g->rows[n]->next.row;

    return next == NULL ? UINT32_MAX : next->at;
}

static void enter(tarjan *t, uint32_t n)
{
    t->number[n] = t->low[n] = ++t->last_number;
    t->stack[t->stack_size++] = n;
    t->path[t->path_size++] = n;
}

static void leave(tarjan *t, uint32_t n, uint32_t next)
{
    uint32_t member;

    t->path_size--;
    if (t->path_size > 0 && t->low[n] < t->low[t->path[t->path_size - 1]])
        t->low[t->path[t->path_size - 1]] = t->low[n];
    if (t->low[n] != t->number[n])
        return;
    uint32_t depth = next == UINT32_MAX || t->component[next] == 0 ? 0 : t->depth[next] + 1;
    t->components++;
    do {
        member = t->stack[--t->stack_size];
        t->component[member] = t->components;
        t->depth[member] = depth;
        t->order[t->ordered++] = member;
    } while (member != n);
}

static void walk(const graph *g, tarjan *t, uint32_t start, uint8_t *followed)
{
    enter(t, start);
    while (t->path_size > 0) {
        uint32_t n = t->path[t->path_size - 1], next = next_of(g, n);
        if (followed[n] || next == UINT32_MAX) {
            leave(t, n, next);
            continue;
        }
        followed[n] = 1;
        if (t->number[next] == 0)
            enter(t, next);
        else if (t->component[next] == 0 && t->number[next] < t->low[n])
            t->low[n] = t->number[next];
    }
}

/* Returns the number of components. */
static uint32_t order_by_hand(const graph *g)
{
    size_t n = g->count;
    uint32_t *numbers = calloc(n * 7, sizeof(uint32_t));
    uint8_t *followed = calloc(n, 1);
    tarjan t = { .number = numbers,
                 .low = numbers + n,
                 .component = numbers + 2 * n,
                 .depth = numbers + 3 * n,
                 .stack = numbers + 4 * n,
                 .path = numbers + 5 * n,
                 .order = numbers + 6 * n };

    if (numbers == NULL || followed == NULL)
        fail("out of memory");
    for (uint32_t i = 0; i < g->count; i++)
        if (t.number[i] == 0)
            walk(g, &t, i, followed);
    free(followed);
    free(numbers);
    return t.ordered == g->count ? t.components : 0;
}

/* ------------------------------------------------------------------------------ planned */

static size_t plan(graph *g)
{
    nxi_plan_rows rows = { .fresh = NULL };
    nxi_arena arena;
    nxi_plan made;
    nx_error error;

    nxi_arena_init(&arena, g->loop->memory);
    nx_status status = nxi_session_collect(g->session, g->db, &arena, &rows, &error);
    if (status == NX_OK)
        status = nxi_plan_build(g->session, g->db, &rows, false, &arena, &made, &error);
    if (status != NX_OK)
        fail(error.message);
    size_t batches = made.row_count == g->count ? made.batch_count : 0;
    nxi_arena_fini(&arena);
    return batches;
}

/* ------------------------------------------------------------------------------ figures */

static void measure(graph *g, form kind, uint32_t count, size_t rounds, double *ret_planned)
{
    double planned[ROUNDS_MAX], by_hand[ROUNDS_MAX];
    size_t batches = 0;
    uint32_t components = 0;

    make_rows(g, kind, count);
    for (size_t round = 0; round <= rounds; round++) {
        perf_clock start = perf_clock_now();
        batches = plan(g);
        double first = perf_clock_since(start).cpu_s;
        start = perf_clock_now();
        components = order_by_hand(g);
        double second = perf_clock_since(start).cpu_s;
        if (round > 0) { /* the first one warms up */
            planned[round - 1] = first;
            by_hand[round - 1] = second;
        }
        if (batches == 0 || components == 0)
            fail("rows are missing");
    }
    *ret_planned = perf_median(planned, rounds);
    double hand = perf_median(by_hand, rounds);
    printf("%-10s %8u rows  planned %8.2f ms  by hand %8.2f ms  ratio %5.2f  batches %zu, components %u\n", form_names[kind],
           count, *ret_planned * 1e3, hand * 1e3, *ret_planned / hand, batches, components);
    free_rows(g);
}

static void open_database(graph *g)
{
    nx_error error;
    nx_bind_options options = { .path = ":memory:" };

    if (nx_loop_open(NULL, &g->loop, &error) != NX_OK)
        fail(error.message);
    g->db = nx_db_new(g->loop, NX_ENTITIES(Link));
    if (g->db == NULL)
        fail("out of memory");
    nx_completion c = nx_await(g->loop, nx_bind(g->db, "sqlite", &options, NULL));
    if (c.status == NX_OK)
        c = nx_await(g->loop, nx_generate_mapping(g->db, NX_CREATE_TABLES, NULL));
    if (c.status != NX_OK)
        fail("the database cannot be opened");
}

int main(int argc, char **argv)
{
    size_t rounds = 5;
    uint32_t rows = 1000000;
    graph g = { 0 };

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--rounds") == 0)
            rounds = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--rows") == 0)
            rows = (uint32_t)strtoul(argv[i + 1], NULL, 10);
    }
    if (rounds == 0 || rounds > ROUNDS_MAX || rows < 10)
        fail("usage: nextorm-perf-plan [--rounds N] [--rows N]");
    open_database(&g);
    for (form kind = 0; kind < FORM_count; kind++) {
        double few, many;
        measure(&g, kind, rows / 10, rounds, &few);
        measure(&g, kind, rows, rounds, &many);
        printf("%-10s %.1f times as long for 10 times the rows\n", "", many / few);
    }
    nx_db_free(g.db);
    nx_loop_close(g.loop);
    return 0;
}
