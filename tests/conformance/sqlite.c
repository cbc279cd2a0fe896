/*
 * sqlite - the conformance list on SQLite: a file, and ":memory:".
 */
#include <stdio.h>
#include <unistd.h>

#include "uow_cases.h"

static void make_file(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    snprintf(f->path[number], NXT_PATH_SIZE, "%.100s/%d.db", f->directory, number);
    *ret_options = (nx_bind_options){ .path = f->path[number] };
}

static void remove_file(nxt_fixture *f)
{
    static const char *const tails[] = { "", "-wal", "-shm", "-journal" };

    for (int number = 0; number < NXT_DATABASES_MAX; number++) {
        for (size_t i = 0; f->path[number][0] != '\0' && i < sizeof(tails) / sizeof(tails[0]); i++) {
            char path[NXT_PATH_SIZE + 16];
            snprintf(path, sizeof(path), "%s%s", f->path[number], tails[i]);
            unlink(path);
        }
    }
}

static void make_memory(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    (void)f;
    (void)number;
    *ret_options = (nx_bind_options){ .path = ":memory:" };
}

static void remove_memory(nxt_fixture *f)
{
    (void)f;
}

static const nxt_provider file = { .name = "sqlite", .make = make_file, .remove = remove_file };
static const nxt_provider memory = { .name = "sqlite", .make = make_memory, .remove = remove_memory };

enum { SECONDS_MAX = 60, UNMAPPED_SECONDS_MAX = 20 };

#define ON_FILE(subject, name)                                                                     \
    Test(sqlite_file, subject##_##name, .timeout = SECONDS_MAX) { nxt_run(&file, nxt_##subject##_##name); }
#define IN_MEMORY(subject, name)                                                                   \
    Test(sqlite_memory, subject##_##name, .timeout = SECONDS_MAX) { nxt_run(&memory, nxt_##subject##_##name); }

#define UNMAPPED_ON_FILE(subject, name)                                                            \
    Test(sqlite_file, subject##_##name, .timeout = UNMAPPED_SECONDS_MAX) { nxt_run_unmapped(&file, nxt_##subject##_##name); }
#define UNMAPPED_IN_MEMORY(subject, name)                                                          \
    Test(sqlite_memory, subject##_##name, .timeout = UNMAPPED_SECONDS_MAX) { nxt_run_unmapped(&memory, nxt_##subject##_##name); }

NXT_CASES(ON_FILE)
NXT_SHARED_CASES(ON_FILE)
NXT_CASES(IN_MEMORY)
NXT_UOW_CASES(UNMAPPED_ON_FILE)
NXT_UOW_CASES(UNMAPPED_IN_MEMORY)
