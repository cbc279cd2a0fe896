/*
 * sqlite open: options, files that cannot be opened, and what connections are set to.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/sqlite_kit.h"

static bool contains(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

/* ------------------------------------------------------------------------------ options and opening */

Test(sqlite_open, options_that_make_no_sense_are_refused)
{
    const nxi_driver *driver = &nxi_driver_sqlite;
    nx_bind_options wrong[] = {
        { 0 },
        { .path = "" },
        { .path = "a.db", .host = "h" },
        { .path = "a.db", .port = 1 },
        { .path = "a.db", .pool_max = 4 },
        { .path = "a.db", .readers = 65 },
        { .path = "a.db", .synchronous = (nx_synchronous)7 },
        { .path = ":memory:", .read_only = true },
    };
    nx_error error;

    for (size_t i = 0; i < NXI_COUNT(wrong); i++)
        cr_assert_eq(driver->check_options(&wrong[i], &error), NX_EINVAL, "%zu", i);
    cr_assert_eq(driver->check_options(&(nx_bind_options){ .path = "a.db", .readers = 3 }, &error), NX_OK);
    cr_assert_eq(driver->worker_count(&(nx_bind_options){ .path = "a.db", .readers = 3 }), 4);
    size_t by_default = driver->worker_count(&(nx_bind_options){ .path = "a.db" });
    cr_assert(by_default >= 2 && by_default <= 5, "a writer, and readers by the number of processors");
    cr_assert_eq(driver->worker_count(&(nx_bind_options){ .path = ":memory:", .readers = 3 }), 1);
}

Test(sqlite_open, registry_knows_it)
{
    const char *known = NULL;

    cr_assert_eq(nxi_driver_find("sqlite", &known), &nxi_driver_sqlite);
    cr_assert_str_eq(known, "postgres, sqlite");
    cr_assert_null(nxi_driver_find("oracle", &known));
    cr_assert_null(nxi_driver_find(NULL, NULL));
}

static void open_and_close(kit *k, nx_status expected, const char *part)
{
    nx_error error = { 0 };

    cr_assert_eq(kit_open_worker(k, 0, NXI_ROLE_WRITER, &error), expected, "%s", error.message);
    if (expected != NX_OK) {
        cr_assert_eq(error.status, expected);
        cr_assert(contains(error.message, k->options.path), "%s", error.message);
        cr_assert(contains(error.message, part), "%s", error.message);
    }
    nxi_driver_sqlite.executor->close(k->states[0]);
    nxi_release(k->memory, k->states[0]);
}

static void put_file(const char *path, const char *text, size_t size)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, size), (ssize_t)size);
    close(fd);
}

Test(sqlite_open, open_failures_name_path_and_reason)
{
    kit k;
    char text[4096];
    struct stat info;

    kit_prepare(&k);
    k.options.path = "/nonexistent/directory/a.db";
    open_and_close(&k, NX_EOPEN, "No such file");
    k.options.path = k.directory;
    open_and_close(&k, NX_EOPEN, "directory");
    k.options.path = "/dev/null";
    open_and_close(&k, NX_EOPEN, "regular");
    k.options.path = k.path;
    memset(text, 'x', sizeof(text));
    put_file(k.path, text, sizeof(text));
    open_and_close(&k, NX_ECORRUPT, "not a database");
    cr_assert_eq(unlink(k.path), 0);
    k.options.read_only = true;
    open_and_close(&k, NX_EOPEN, "No such file");
    k.options.read_only = false;
    open_and_close(&k, NX_OK, "");
    cr_assert_eq(stat(k.path, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0600);
    kit_discard(&k);
}

Test(sqlite_open, a_damaged_schema_is_found_at_open)
{
    kit k;
    char byte[64];

    kit_open(&k, NULL, false);
    for (size_t i = 0; i < k.worker_count; i++) {
        nxi_driver_sqlite.executor->close(k.states[i]);
        nxi_release(k.memory, k.states[i]);
    }
    memset(byte, 0xff, sizeof(byte));
    int fd = open(k.path, O_WRONLY);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, byte, sizeof(byte), 100), (ssize_t)sizeof(byte)); /* the first page's B-tree header */
    close(fd);
    open_and_close(&k, NX_ECORRUPT, "malformed");
    kit_discard(&k);
}

Test(sqlite_open, places_without_permission)
{
    kit k;

    kit_prepare(&k);
    open_and_close(&k, NX_OK, "");
    cr_assert_eq(chmod(k.path, 0444), 0);
    cr_assert_eq(chmod(k.directory, 0555), 0);
    if (geteuid() == 0)
        cr_assert_eq(chown(k.directory, 65534, 65534) | chown(k.path, 65534, 65534) | seteuid(65534), 0);
    open_and_close(&k, NX_EREADONLY, "read-only");
    k.options.path = nxi_arena_str(&k.arena, k.directory);
    char *other = nxi_arena_get(&k.arena, 128, 1);
    (void)snprintf(other, 128, "%s/other.db", k.directory);
    k.options.path = other;
    open_and_close(&k, NX_EOPEN, "Permission denied");
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0);
    cr_assert_eq(chmod(k.directory, 0755), 0);
    kit_discard(&k);
}

Test(sqlite_open, a_name_that_looks_like_a_uri_is_a_name)
{
    kit k;
    char before[256];

    kit_prepare(&k);
    cr_assert_not_null(getcwd(before, sizeof(before)));
    cr_assert_eq(chdir(k.directory), 0);
    k.options.path = "file:x?mode=memory";
    open_and_close(&k, NX_OK, "");
    cr_assert_eq(access("file:x?mode=memory", F_OK), 0);
    cr_assert_eq(unlink("file:x?mode=memory"), 0);
    cr_assert_eq(chdir(before), 0);
    kit_discard(&k);
}

Test(sqlite_open, settings_are_what_they_should_be)
{
    kit k;

    kit_open(&k, NULL, false);
    cr_assert_eq(kit_number(&k, KIT_WRITER, "PRAGMA foreign_keys"), 1);
    cr_assert_eq(kit_number(&k, KIT_WRITER, "PRAGMA synchronous"), 1);
    cr_assert_eq(kit_number(&k, KIT_WRITER, "PRAGMA secure_delete"), 0);
    if (sqlite3_libversion_number() >= 3041000) /* see open.c */
        cr_assert_eq(kit_number(&k, KIT_WRITER, "PRAGMA busy_timeout"), 0);
    cr_assert_eq(kit_number(&k, KIT_READER, "PRAGMA query_only"), 1);
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT 'a' LIKE 'A'"), 0);
    nxi_request *mode = kit_query(&k, "PRAGMA journal_mode", NULL, 0);
    cr_assert_eq(kit_run(&k, KIT_READER, mode), NX_OK);
    cr_assert_str_eq(mode->steps[0].raw.values[0].text.data, "wal");
    kit_close(&k);
    kit_open(&k, &(nx_bind_options){ .synchronous = NX_SYNCHRONOUS_FULL }, false);
    cr_assert_eq(kit_number(&k, KIT_WRITER, "PRAGMA synchronous"), 2);
    kit_close(&k);
}

Test(sqlite_open, read_only_reads_and_refuses_writes)
{
    kit k;
    nx_error error;

    kit_prepare(&k);
    open_and_close(&k, NX_OK, "");
    k.options.read_only = true;
    cr_assert_eq(kit_open_worker(&k, 0, NXI_ROLE_WRITER, &error), NX_OK, "%s", error.message);
    cr_assert_eq(kit_number(&k, 0, "SELECT 7"), 7);
    nxi_request *create = kit_execute(&k, "CREATE TABLE t (a)", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, create), NX_EREADONLY);
    kit_close(&k);
}

Test(sqlite_open, a_reader_may_open_first_and_cannot_write)
{
    kit k;
    nx_error error;

    kit_prepare(&k);
    cr_assert_eq(kit_open_worker(&k, 0, NXI_ROLE_READER, &error), NX_OK, "%s", error.message);
    cr_assert_eq(kit_open_worker(&k, 1, NXI_ROLE_WRITER, &error), NX_OK, "%s", error.message);
    cr_assert_eq(kit_run(&k, 1, kit_execute(&k, "CREATE TABLE t (a)", NULL, 0)), NX_OK);
    cr_assert_eq(kit_number(&k, 0, "SELECT count(*) FROM t"), 0);
    cr_assert_eq(kit_run(&k, 0, kit_query(&k, "INSERT INTO t VALUES (1) RETURNING a", NULL, 0)), NX_EREADONLY);
    kit_close(&k);
}

Test(sqlite_open, schemas_with_json_functions_open)
{
    kit k;
    sqlite3 *other;

    kit_prepare(&k);
    cr_assert_eq(sqlite3_open(k.path, &other), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "CREATE TABLE t (a CHECK (json_valid(a))); CREATE INDEX i ON t (json_extract(a, '$.x'))",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    sqlite3_close(other);
    open_and_close(&k, NX_OK, "");
    kit_discard(&k);
}
