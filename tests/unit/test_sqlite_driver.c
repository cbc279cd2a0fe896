/*
 * sqlite driver: opening, statements, values both ways, writing rows, reads, cursors, errors.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/sqlite_kit.h"

static bool contains(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

/* ------------------------------------------------------------------------------ options and opening */

Test(sqlite_driver, options_that_make_no_sense_are_refused)
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
    cr_assert_eq(driver->worker_count(&(nx_bind_options){ .path = "a.db" }), 3);
    cr_assert_eq(driver->worker_count(&(nx_bind_options){ .path = ":memory:", .readers = 3 }), 1);
}

Test(sqlite_driver, registry_knows_it)
{
    const char *known = NULL;

    cr_assert_eq(nxi_driver_find("sqlite", &known), &nxi_driver_sqlite);
    cr_assert_str_eq(known, "sqlite");
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

Test(sqlite_driver, open_failures_name_path_and_reason)
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

Test(sqlite_driver, a_damaged_schema_is_found_at_open)
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

Test(sqlite_driver, places_without_permission)
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

Test(sqlite_driver, a_name_that_looks_like_a_uri_is_a_name)
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

Test(sqlite_driver, settings_are_what_they_should_be)
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

Test(sqlite_driver, read_only_reads_and_refuses_writes)
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

Test(sqlite_driver, a_reader_may_open_first_and_cannot_write)
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

Test(sqlite_driver, schemas_with_json_functions_open)
{
    kit k;
    sqlite3 *other;

    kit_prepare(&k);
    cr_assert_eq(sqlite3_open(k.path, &other), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "CREATE TABLE t (a CHECK (json_valid(a))); CREATE INDEX i ON t (json_extract(a, '$.x'))", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    open_and_close(&k, NX_OK, "");
    kit_discard(&k);
}

/* ------------------------------------------------------------------------------ SQL texts */

Test(sqlite_driver, syntax_errors_tell_the_position_in_characters)
{
    kit k;

    kit_open(&k, NULL, true);
    nxi_request *request = kit_query(&k, "SELECT 'äö', FROM thing", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_ESYNTAX);
    cr_assert_eq(request->error->position, 14);
    cr_assert(contains(request->error->message, "character 14"), "%s", request->error->message);
    cr_assert(contains(request->error->message, "FROM"), "%s", request->error->message);
    cr_assert_str_eq(request->error->sqlstate, "42601");
    cr_assert_eq(request->error->server_code, SQLITE_ERROR);
    kit_close(&k);
}

Test(sqlite_driver, undefined_names)
{
    kit k;

    kit_open(&k, NULL, true);
    nxi_request *request = kit_query(&k, "SELECT * FROM nowhere", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_EUNDEFINED);
    cr_assert_str_eq(request->error->table, "nowhere");
    cr_assert_str_eq(request->error->sqlstate, "42P01");
    request = kit_query(&k, "SELECT missing FROM thing", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_EUNDEFINED);
    cr_assert_str_eq(request->error->column, "missing");
    cr_assert_eq(request->error->position, 8);
    cr_assert_eq(kit_run(&k, 0, kit_query(&k, "SELECT \"no text\"", NULL, 0)), NX_EUNDEFINED);
    cr_assert_eq(kit_run(&k, 0, kit_query(&k, "SELECT nofunction(1)", NULL, 0)), NX_EUNDEFINED);
    kit_close(&k);
}

Test(sqlite_driver, one_statement_in_a_text)
{
    kit k;

    kit_open(&k, NULL, true);
    cr_assert_eq(kit_run(&k, 0, kit_query(&k, "SELECT 1; SELECT 2", NULL, 0)), NX_ESYNTAX);
    cr_assert_eq(kit_run(&k, 0, kit_execute(&k, "DELETE FROM thing; DROP TABLE thing", NULL, 0)), NX_ESYNTAX);
    cr_assert_eq(kit_run(&k, 0, kit_query(&k, "SELECT 1; garbage", NULL, 0)), NX_ESYNTAX);
    cr_assert_eq(kit_run(&k, 0, kit_query(&k, "", NULL, 0)), NX_ESYNTAX);
    cr_assert_eq(kit_run(&k, 0, kit_query(&k, "-- nothing", NULL, 0)), NX_ESYNTAX);
    cr_assert_eq(kit_number(&k, 0, "/* a */ SELECT 5; -- b\n ; /* c */"), 5);
    kit_close(&k);
}

Test(sqlite_driver, parameters_are_counted)
{
    kit k;

    kit_open(&k, NULL, true);
    nxi_request *request = kit_query(&k, "SELECT ?, ?", nx_args(1));
    cr_assert_eq(kit_run(&k, 0, request), NX_EINVAL);
    cr_assert(contains(request->error->message, "2 parameters"), "%s", request->error->message);
    cr_assert_eq(kit_run(&k, 0, kit_query(&k, "SELECT 1", nx_args(1))), NX_EINVAL);
    nx_value *many = NXI_ARENA_ARRAY(&k.arena, nx_value, 65536);
    cr_assert_eq(kit_run(&k, 0, kit_query(&k, "SELECT ?", many, 65536)), NX_ELIMIT);
    cr_assert_eq(kit_run(&k, 0, kit_query(&k, "SELECT ?65536", many, 65536)), NX_ELIMIT);
    kit_close(&k);
}

Test(sqlite_driver, transactions_are_not_begun_by_texts)
{
    static const char *const texts[] = { "BEGIN", " -- x\n COMMIT", "/* */ rollback", "END", "SAVEPOINT a", "release nxi_group", "ROLLBACK TO nxi_group" };
    kit k;

    kit_open(&k, NULL, true);
    for (size_t i = 0; i < NXI_COUNT(texts); i++) {
        nxi_request *request = kit_execute(&k, texts[i], NULL, 0);
        cr_assert_eq(kit_run(&k, 0, request), NX_ESTATE, "%s", texts[i]);
        request = kit_in(kit_execute(&k, texts[i], NULL, 0), 5, NXI_BEGIN_WRITE, NXI_END_COMMIT);
        cr_assert_eq(kit_run(&k, 0, request), NX_ESTATE, "%s", texts[i]);
        cr_assert_eq(request->outcome, NX_OUTCOME_ROLLED_BACK);
    }
    kit_close(&k);
}

Test(sqlite_driver, scripts_run_all_their_statements)
{
    kit k;
    nxi_request *request;

    kit_open(&k, NULL, true);
    request = kit_request(&k, 1);
    request->writes = true;
    request->steps[0] = (nxi_step){ .kind = NXI_STEP_SCRIPT, .statement = kit_raw(&k, "CREATE TABLE a (x); -- c\n CREATE TABLE b (y); INSERT INTO a VALUES (3);") };
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(kit_number(&k, 0, "SELECT x FROM a"), 3);
    request = kit_request(&k, 1);
    request->writes = true;
    request->steps[0] = (nxi_step){ .kind = NXI_STEP_SCRIPT, .statement = kit_raw(&k, "INSERT INTO a VALUES (4); INSRT INTO b VALUES (1)") };
    cr_assert_eq(kit_run(&k, 0, request), NX_ESYNTAX);
    cr_assert_eq(request->error->position, 27);
    cr_assert_eq(kit_number(&k, 0, "SELECT count(*) FROM a"), 1);
    kit_close(&k);
}

Test(sqlite_driver, statements_are_evicted_by_last_use)
{
    kit k;

    kit_open(&k, &(nx_bind_options){ .statements_max = 4 }, true);
    Thing *thing = kit_thing(&k, 1, "one");
    cr_assert_eq(kit_run(&k, 0, kit_write(&k, kit_insert(&k, &Thing_entity, NULL), (void *[]){ thing }, 1)), NX_OK);
    for (uint32_t id = 100; id < 140; id++) {
        nxi_request *request = kit_fetch(&k, kit_select(&k, &Thing_entity, "WHERE number = ?", id), nx_args(1));
        cr_assert_eq(kit_run(&k, 0, request), NX_OK);
        cr_assert_eq(request->steps[0].affected, 1);
    }
    /* sqlite_stmt lists what is prepared: the cache, the driver's own, and this one. */
    cr_assert_eq(kit_number(&k, 0, "SELECT count(*) FROM sqlite_stmt WHERE sql LIKE '%WHERE number _ ?' AND sql NOT LIKE '%stmt%'"), 4);
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ rows */

Test(sqlite_driver, rows_are_written_and_read)
{
    kit k;
    enum { ROWS = 300 };
    void *rows[ROWS];
    char title[32];

    kit_open(&k, NULL, false);
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(title, sizeof(title), "title %d", i);
        Thing *thing = kit_thing(&k, i, title);
        thing->ratio = i / 4.0;
        if (i % 3 == 0)
            thing->note = nx_some(text, nx_str(i % 2 == 0 ? "" : "a note"));
        if (i % 5 == 0)
            thing->flag = nx_some(boolean, i % 10 == 0);
        rows[i] = thing;
    }
    nxi_request *write = kit_write(&k, kit_insert(&k, &Thing_entity, NULL), rows, ROWS);
    cr_assert_eq(kit_run(&k, KIT_WRITER, write), NX_OK, "%s", write->error == NULL ? "" : write->error->message);
    cr_assert_eq(write->outcome, NX_OUTCOME_COMMITTED);
    cr_assert_eq(write->steps[0].affected, ROWS);
    nxi_request *read = kit_fetch(&k, kit_select(&k, &Thing_entity, "ORDER BY id", 0), NULL, 0);
    read->tracked = true;
    read->row_owner = &k;
    cr_assert_eq(kit_run(&k, KIT_READER, read), NX_OK);
    cr_assert_eq(read->steps[0].affected, ROWS);
    for (int i = 0; i < ROWS; i++) {
        const Thing *given = rows[i], *got = read->steps[0].fetched[i];
        cr_assert_eq(given->id, i + 1);
        cr_assert_eq(got->id, i + 1);
        cr_assert_eq(got->number, i);
        cr_assert_eq(got->ratio, i / 4.0);
        cr_assert_eq(got->title.size, given->title.size);
        cr_assert_str_eq(got->title.data, given->title.data);
        cr_assert_eq(got->note.present, i % 3 == 0);
        if (got->note.present)
            cr_assert_str_eq(got->note.value.data, i % 2 == 0 ? "" : "a note");
        cr_assert_eq(got->flag.present, i % 5 == 0);
        cr_assert_eq(got->flag.value, i % 10 == 0);
        cr_assert_null(got->owner.row);
        cr_assert_eq(got->owner.key.part_count, 0);
        cr_assert_eq(nxi_row_of(got)->owner, &k);
        cr_assert_eq(nxi_row_of(got)->state, NXI_ROW_STORED);
        cr_assert_eq(memcmp(nxi_row_snapshot(got), got, sizeof(Thing)), 0);
    }
    kit_close(&k);
}

static Kinds *new_kinds(kit *k)
{
    Kinds *row = nxi_row_new(&k->arena, kit_table(k, &Kinds_entity), NULL);

    cr_assert_not_null(row);
    row->must = UINT32_MAX;
    return row;
}

static Kinds *write_and_read_kinds(kit *k, Kinds *row)
{
    nxi_request *write = kit_write(k, kit_insert(k, &Kinds_entity, NULL), (void *[]){ row }, 1);

    cr_assert_eq(kit_run(k, 0, write), NX_OK, "%s", write->error == NULL ? "" : write->error->message);
    cr_assert_gt(row->id, 0);
    nxi_request *read = kit_fetch(k, kit_by_key(k, &Kinds_entity), nx_args(row->id));
    cr_assert_eq(kit_run(k, 0, read), NX_OK, "%s", read->error == NULL ? "" : read->error->message);
    cr_assert_eq(read->steps[0].affected, 1);
    return read->steps[0].fetched[0];
}

Test(sqlite_driver, all_types_come_back_as_they_were)
{
    kit k;
    static const uint8_t bytes[] = { 0, 1, 255, 0 };
    static const float numbers[] = { 1.5F, -2.25F, 0.1F };

    kit_open(&k, NULL, true);
    Kinds *row = new_kinds(&k);
    row->a_boolean = nx_some(boolean, true);
    row->a_i16 = nx_some(i16, INT16_MIN);
    row->a_i32 = nx_some(i32, INT32_MAX);
    row->a_i64 = nx_some(i64, INT64_MIN);
    row->a_u32 = nx_some(u32, UINT32_MAX);
    row->a_f64 = nx_some(f64, 0.1);
    row->a_text = nx_some(text, nx_str("grüße"));
    row->a_longtext = nx_some(longtext, nx_str(""));
    row->a_bytes = nx_some(bytes, nx_bytes_of(bytes, sizeof(bytes)));
    row->a_decimal = nx_some(decimal, nx_dec("1234567890123456789012345678901234567890.10"));
    row->a_json = nx_some(json, nx_json_of("123"));
    row->a_date = nx_some(date, ((nx_date){ 20000 }));
    row->a_time = nx_some(time, ((nx_time){ 12345678 }));
    row->a_timestamp = nx_some(timestamp, ((nx_timestamp){ 1234567890123456 }));
    row->a_timestamptz = nx_some(timestamptz, ((nx_timestamptz){ -1 }));
    row->a_interval = nx_some(interval, ((nx_interval){ .days = 2, .microseconds = 5 }));
    row->a_uuid = nx_some(uuid, nx_uuid4());
    row->a_ulid = nx_some(ulid, nx_ulid_new());
    row->an_enumeration = nx_some(enumeration, 1);
    row->a_vector = nx_some(vector, ((nx_vector){ numbers, 3 }));
    const Kinds *got = write_and_read_kinds(&k, row);
    cr_assert(got->a_boolean.present && got->a_boolean.value);
    cr_assert_eq(got->a_i16.value, INT16_MIN);
    cr_assert_eq(got->a_i32.value, INT32_MAX);
    cr_assert_eq(got->a_i64.value, INT64_MIN);
    cr_assert_eq(got->a_u32.value, UINT32_MAX);
    cr_assert_eq(got->a_f64.value, 0.1);
    cr_assert_str_eq(got->a_text.value.data, "grüße");
    cr_assert(got->a_longtext.present && got->a_longtext.value.size == 0 && got->a_longtext.value.data != NULL);
    cr_assert_eq(got->a_bytes.value.size, sizeof(bytes));
    cr_assert_eq(memcmp(got->a_bytes.value.data, bytes, sizeof(bytes)), 0);
    cr_assert_str_eq(got->a_decimal.value.data, "1234567890123456789012345678901234567890.10");
    cr_assert_str_eq(got->a_json.value.data, "123");
    cr_assert_eq(got->a_date.value.days, 20000);
    cr_assert_eq(got->a_time.value.microseconds, 12345678);
    cr_assert_eq(got->a_timestamp.value.microseconds, 1234567890123456);
    cr_assert_eq(got->a_timestamptz.value.microseconds, -1);
    cr_assert_eq(got->a_interval.value.microseconds, 2 * INT64_C(86400000000) + 5);
    cr_assert_eq(got->a_interval.value.days, 0);
    cr_assert_eq(memcmp(&got->a_uuid.value, &row->a_uuid.value, 16), 0);
    cr_assert_eq(memcmp(&got->a_ulid.value, &row->a_ulid.value, 16), 0);
    cr_assert_eq(got->an_enumeration.value, 1);
    cr_assert_eq(got->a_vector.value.size, 3);
    cr_assert_eq(memcmp(got->a_vector.value.data, numbers, sizeof(numbers)), 0);
    cr_assert_eq(got->must, UINT32_MAX);
    got = write_and_read_kinds(&k, new_kinds(&k));
    cr_assert(!got->a_boolean.present && !got->a_i64.present && !got->a_text.present && !got->a_date.present && !got->a_vector.present);
    kit_close(&k);
}

Test(sqlite_driver, texts_of_numbers_stay_texts)
{
    static const char *const decimals[] = { "0.10", "-0.00", "1e2", "00012", "12345678901234567890123456789012345678.90", "9007199254740993" };
    kit k;

    kit_open(&k, NULL, true);
    for (size_t i = 0; i < NXI_COUNT(decimals); i++) {
        Kinds *row = new_kinds(&k);
        row->a_decimal = nx_some(decimal, nx_dec(decimals[i]));
        row->a_text = nx_some(text, nx_str(decimals[i]));
        const Kinds *got = write_and_read_kinds(&k, row);
        cr_assert_str_eq(got->a_decimal.value.data, decimals[i]);
        cr_assert_str_eq(got->a_text.value.data, decimals[i]);
    }
    kit_close(&k);
}

Test(sqlite_driver, values_that_sqlite_cannot_hold_are_refused)
{
    kit k;

    kit_open(&k, NULL, true);
    for (int i = 0; i < 3; i++) {
        Kinds *row = new_kinds(&k);
        if (i == 0)
            row->a_f64 = nx_some(f64, (double)NAN);
        else if (i == 1)
            row->a_interval = nx_some(interval, ((nx_interval){ .months = 1 }));
        else
            row->an_enumeration = nx_some(enumeration, 3);
        nxi_request *write = kit_write(&k, kit_insert(&k, &Kinds_entity, NULL), (void *[]){ row }, 1);
        cr_assert_eq(kit_run(&k, 0, write), NX_ERANGE);
        cr_assert_eq(write->error->row, 0);
        cr_assert_str_eq(write->error->table, "kinds");
        cr_assert_str_eq(write->error->column, i == 0 ? "a_f64" : i == 1 ? "a_interval" : "an_enumeration");
    }
    Kinds *row = new_kinds(&k);
    row->a_f64 = nx_some(f64, (double)INFINITY);
    cr_assert_eq(write_and_read_kinds(&k, row)->a_f64.value, (double)INFINITY);
    cr_assert_eq(kit_number(&k, 0, "SELECT count(*) FROM kinds"), 1);
    kit_close(&k);
}

/* What other programs put there. */
Test(sqlite_driver, values_of_the_wrong_type_are_refused_when_read)
{
    static const struct { const char *column, *value; nx_status status; } wrong[] = {
        { "a_i16", "40000", NX_ERANGE },   { "a_i32", "3000000000", NX_ERANGE }, { "a_u32", "-1", NX_ERANGE },
        { "a_i64", "'abc'", NX_ETYPE },    { "a_i64", "1.5", NX_ETYPE },         { "a_i64", "x'00'", NX_ETYPE },
        { "a_f64", "'abc'", NX_ETYPE },    { "a_f64", "9007199254740993", NX_OK /* REAL affinity made it a float */ },
        { "a_text", "x'00'", NX_ETYPE },   { "a_bytes", "'text'", NX_ETYPE },    { "a_decimal", "x'31'", NX_ETYPE },
        { "a_date", "'2026-13-01'", NX_ETYPE }, { "a_uuid", "'nonsense'", NX_ETYPE }, { "a_vector", "'[1,'", NX_ETYPE },
        { "must", "NULL", NX_ETYPE },      { "a_timestamp", "17", NX_ETYPE },
    };
    kit k;
    char sql[256];

    kit_open(&k, NULL, true);
    kit_do(&k, "DROP TABLE kinds");
    kit_do(&k, "CREATE TABLE kinds (id INTEGER PRIMARY KEY, a_boolean, a_i16, a_i32, a_i64, a_u32, a_f64 REAL, a_text, a_longtext, a_bytes, "
               "a_decimal, a_json, a_date, a_time, a_timestamp, a_timestamptz, a_interval, a_uuid, a_ulid, an_enumeration, a_vector, must)");
    for (size_t i = 0; i < NXI_COUNT(wrong); i++) {
        kit_do(&k, "DELETE FROM kinds");
        kit_do(&k, "INSERT INTO kinds (id, must) VALUES (1, 1)");
        (void)snprintf(sql, sizeof(sql), "UPDATE kinds SET %s = %s", wrong[i].column, wrong[i].value);
        kit_do(&k, sql);
        nxi_request *read = kit_fetch(&k, kit_by_key(&k, &Kinds_entity), nx_args(1));
        nx_status status = kit_run(&k, 0, read);
        cr_assert(status == wrong[i].status || (status == NX_ERANGE && wrong[i].status == NX_ETYPE), "%s %s: %s", wrong[i].column, wrong[i].value,
                  nx_status_name(status));
        if (status != NX_OK) {
            cr_assert_str_eq(read->error->column, wrong[i].column);
            cr_assert_str_eq(read->error->table, "kinds");
        }
    }
    kit_close(&k);
}

Test(sqlite_driver, checks_of_the_schema_hold)
{
    kit k;

    kit_open(&k, NULL, true);
    nxi_request *request = kit_execute(&k, "INSERT INTO kinds (must, a_boolean) VALUES (1, 2)", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_ECHECK);
    cr_assert_str_eq(request->error->sqlstate, "23514");
    cr_assert_neq(request->error->constraint[0], '\0');
    cr_assert_eq(kit_run(&k, 0, kit_execute(&k, "INSERT INTO kinds (must, a_json) VALUES (1, '{')", NULL, 0)), NX_ECHECK);
    cr_assert_eq(kit_run(&k, 0, kit_execute(&k, "INSERT INTO kinds (must, an_enumeration) VALUES (1, 'green')", NULL, 0)), NX_ECHECK);
    cr_assert_eq(kit_run(&k, 0, kit_execute(&k, "INSERT INTO kinds (must, an_enumeration) VALUES (1, 'it''s')", NULL, 0)), NX_OK);
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ constraints and writes */

Test(sqlite_driver, constraint_errors_name_the_culprit)
{
    kit k;

    kit_open(&k, NULL, true);
    const nxi_statement *insert = kit_insert(&k, &Thing_entity, NULL);
    cr_assert_eq(kit_run(&k, 0, kit_write(&k, insert, (void *[]){ kit_thing(&k, 1, "same") }, 1)), NX_OK);
    void *rows[] = { kit_thing(&k, 1, "other"), kit_thing(&k, 2, "same"), kit_thing(&k, 3, "third") };
    nxi_request *write = kit_write(&k, insert, rows, 3);
    cr_assert_eq(kit_run(&k, 0, write), NX_EUNIQUE);
    cr_assert_eq(write->error->row, 1);
    cr_assert_str_eq(write->error->table, "thing");
    cr_assert_str_eq(write->error->column, "title");
    cr_assert_str_eq(write->error->sqlstate, "23505");
    cr_assert_eq(write->error->server_code, SQLITE_CONSTRAINT_UNIQUE);
    cr_assert_eq(write->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(write->error->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(kit_number(&k, 0, "SELECT count(*) FROM thing"), 1);
    Thing *lost = kit_thing(&k, 5, "lost");
    lost->owner.key = (nx_key){ .value = nx_value_i64(99), .part_count = 1 };
    write = kit_write(&k, insert, (void *[]){ lost }, 1);
    cr_assert_eq(kit_run(&k, 0, write), NX_EFOREIGNKEY);
    cr_assert_str_eq(write->error->table, "thing");
    Thing *empty = kit_thing(&k, 6, "x");
    empty->title = (nx_text){ 0 };
    write = kit_write(&k, insert, (void *[]){ empty }, 1);
    cr_assert_eq(kit_run(&k, 0, write), NX_ENOTNULL);
    cr_assert_str_eq(write->error->column, "title");
    kit_do(&k, "CREATE TABLE pair (a, b, c CONSTRAINT positive CHECK (c > 0), UNIQUE (a, b))");
    kit_do(&k, "INSERT INTO pair VALUES (1, 2, 3)");
    nxi_request *pair = kit_execute(&k, "INSERT INTO pair VALUES (1, 2, 3)", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, pair), NX_EUNIQUE);
    cr_assert_str_eq(pair->error->column, "a, b");
    pair = kit_execute(&k, "INSERT INTO pair VALUES (4, 5, 0)", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, pair), NX_ECHECK);
    cr_assert_str_eq(pair->error->constraint, "positive");
    kit_close(&k);
}

Test(sqlite_driver, bad_rows_are_set_aside)
{
    kit k;
    enum { ROWS = 50 };
    void *rows[ROWS];
    char title[16];

    kit_open(&k, NULL, true);
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(title, sizeof(title), "t%d", i % 10 == 9 ? 0 : i);
        rows[i] = kit_thing(&k, i, title);
    }
    ((Thing *)rows[5])->title = (nx_text){ 0 };
    ((Thing *)rows[6])->ratio = (double)NAN;
    nxi_request *write = kit_write(&k, kit_insert(&k, &Thing_entity, NULL), rows, ROWS);
    write->steps[0].set_aside = true;
    cr_assert_eq(kit_run(&k, 0, write), NX_OK);
    cr_assert_eq(write->outcome, NX_OUTCOME_COMMITTED);
    cr_assert_eq(write->steps[0].reject_count, 7);
    cr_assert_eq(write->steps[0].affected, ROWS - 7);
    cr_assert_eq(write->steps[0].rejects[0].row, 5);
    cr_assert_eq(write->steps[0].rejects[0].error.status, NX_ENOTNULL);
    cr_assert_eq(write->steps[0].rejects[1].error.status, NX_ERANGE);
    cr_assert_eq(write->steps[0].rejects[2].row, 9);
    cr_assert_eq(write->steps[0].rejects[2].error.status, NX_EUNIQUE);
    cr_assert_eq(write->steps[0].rejects[2].error.row, 9);
    cr_assert_eq(kit_number(&k, 0, "SELECT count(*) FROM thing"), ROWS - 7);
    kit_close(&k);
}

Test(sqlite_driver, conflicts_are_ignored_or_update)
{
    kit k;
    const nxi_column *key, *number;

    kit_open(&k, NULL, true);
    const nxi_table *table = kit_table(&k, &Thing_entity);
    key = kit_column(table, "title");
    number = kit_column(table, "number");
    const nxi_statement *ignore = kit_insert(&k, &Thing_entity, &(nxi_conflict){ .rule = NX_CONFLICT_IGNORE, .key = &key, .key_count = 1 });
    const nxi_statement *update = kit_insert(&k, &Thing_entity, &(nxi_conflict){ .rule = NX_CONFLICT_UPDATE, .key = &key, .key_count = 1, .update = &number, .update_count = 1 });
    cr_assert_eq(kit_run(&k, 0, kit_write(&k, ignore, (void *[]){ kit_thing(&k, 1, "a"), kit_thing(&k, 2, "b") }, 2)), NX_OK);
    Thing *rows[] = { kit_thing(&k, 10, "b"), kit_thing(&k, 11, "c"), kit_thing(&k, 12, "a") };
    nxi_request *write = kit_write(&k, ignore, (void *const *)rows, 3);
    cr_assert_eq(kit_run(&k, 0, write), NX_OK);
    cr_assert_eq(write->steps[0].ignored, 2);
    cr_assert_eq(write->steps[0].affected, 1);
    cr_assert_eq(rows[0]->id, 0);
    cr_assert_eq(rows[1]->id, 3);
    cr_assert_eq(rows[2]->id, 0, "the key of another row was given to one that was left out");
    Thing *changed[] = { kit_thing(&k, 20, "d"), kit_thing(&k, 21, "a") };
    write = kit_write(&k, update, (void *const *)changed, 2);
    cr_assert_eq(kit_run(&k, 0, write), NX_OK);
    cr_assert_eq(write->steps[0].affected, 2);
    cr_assert_neq(changed[0]->id, 0);
    cr_assert_eq(changed[1]->id, 0, "the key of the inserted row was given to the updated one");
    cr_assert_eq(kit_number(&k, 0, "SELECT number FROM thing WHERE title = 'a'"), 21);
    kit_close(&k);
}

Test(sqlite_driver, updates_and_deletes_must_affect)
{
    kit k;

    kit_open(&k, NULL, true);
    Thing *thing = kit_thing(&k, 1, "one"), *gone = kit_thing(&k, 2, "gone");
    cr_assert_eq(kit_run(&k, 0, kit_write(&k, kit_insert(&k, &Thing_entity, NULL), (void *[]){ thing, gone }, 2)), NX_OK);
    nxi_row_track(thing);
    nxi_row_track(gone);
    kit_do(&k, "DELETE FROM thing WHERE id = 2");
    thing->number = 7;
    gone->number = 8;
    nxi_request *write = kit_write(&k, kit_update(&k, &Thing_entity, "number"), (void *[]){ thing, gone }, 2);
    write->steps[0].must_affect = true;
    cr_assert_eq(kit_run(&k, 0, write), NX_EOPTIMISTIC);
    cr_assert_eq(write->error->row, 1);
    cr_assert_eq(kit_number(&k, 0, "SELECT number FROM thing"), 1, "the first row's update was not undone");
    write = kit_write(&k, kit_delete(&k, &Thing_entity), (void *[]){ thing }, 1);
    write->steps[0].must_affect = true;
    cr_assert_eq(kit_run(&k, 0, write), NX_OK);
    cr_assert_eq(kit_number(&k, 0, "SELECT count(*) FROM thing"), 0);
    kit_close(&k);
}

Test(sqlite_driver, keys_that_do_not_fit_are_an_error)
{
    kit k;

    kit_open(&k, NULL, true);
    kit_do(&k, "INSERT INTO kinds (id, must) VALUES (2147483647, 1)");
    nxi_request *write = kit_write(&k, kit_insert(&k, &Kinds_entity, NULL), (void *[]){ new_kinds(&k) }, 1);
    write->steps[0].set_aside = true;
    cr_assert_eq(kit_run(&k, 0, write), NX_ERANGE);
    cr_assert_eq(kit_number(&k, 0, "SELECT count(*) FROM kinds"), 1);
    kit_close(&k);
}

Test(sqlite_driver, triggers_do_not_disturb_keys)
{
    kit k;

    kit_open(&k, NULL, true);
    kit_do(&k, "CREATE TABLE trail (id INTEGER PRIMARY KEY, what)");
    kit_do(&k, "INSERT INTO trail VALUES (1000, 'x')");
    kit_do(&k, "CREATE TRIGGER t AFTER INSERT ON thing BEGIN INSERT INTO trail (what) VALUES (new.title); END");
    Thing *rows[] = { kit_thing(&k, 1, "a"), kit_thing(&k, 2, "b") };
    cr_assert_eq(kit_run(&k, 0, kit_write(&k, kit_insert(&k, &Thing_entity, NULL), (void *const *)rows, 2)), NX_OK);
    cr_assert_eq(rows[0]->id, 1);
    cr_assert_eq(rows[1]->id, 2);
    cr_assert_eq(kit_number(&k, 0, "SELECT count(*) FROM trail"), 3);
    kit_close(&k);
}

Test(sqlite_driver, affected_is_not_left_from_the_statement_before)
{
    kit k;
    nxi_request *request;

    kit_open(&k, NULL, true);
    kit_do(&k, "INSERT INTO owner (name) VALUES ('a'), ('b')");
    request = kit_execute(&k, "UPDATE owner SET name = 'c'", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].affected, 2);
    request = kit_execute(&k, "CREATE TABLE z (a)", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].affected, 0);
    request = kit_execute(&k, "INSERT INTO owner (name) VALUES ('x') RETURNING id", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].affected, 1);
    kit_close(&k);
}

Test(sqlite_driver, a_large_value)
{
    kit k;
    enum { SIZE = 64 * 1024 * 1024 };

    kit_open(&k, NULL, true);
    Thing *thing = kit_thing(&k, 1, "large");
    char *text = nxi_arena_get(&k.arena, SIZE, 1);
    memset(text, 'a', SIZE);
    thing->note = nx_some(text, nx_strn(text, SIZE));
    cr_assert_eq(kit_run(&k, 0, kit_write(&k, kit_insert(&k, &Thing_entity, NULL), (void *[]){ thing }, 1)), NX_OK);
    nxi_request *read = kit_fetch(&k, kit_by_key(&k, &Thing_entity), nx_args(thing->id));
    cr_assert_eq(kit_run(&k, 0, read), NX_OK);
    cr_assert_eq(((Thing *)read->steps[0].fetched[0])->note.value.size, SIZE);
    /* Beyond what SQLite holds: a typed error, before anything is read from it. */
    thing->note.value.size = (size_t)1 << 31;
    nxi_request *write = kit_write(&k, kit_update(&k, &Thing_entity, "note"), (void *[]){ thing }, 1);
    cr_assert_eq(kit_run(&k, 0, write), NX_ELIMIT);
    cr_assert_str_eq(write->error->column, "note");
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ reading */

Test(sqlite_driver, raw_values_by_storage_class)
{
    kit k;

    kit_open(&k, NULL, true);
    kit_do(&k, "INSERT INTO thing (number, ratio, title, flag) VALUES (1, 0.5, 'x', 1)");
    nxi_request *request = kit_query(&k, "SELECT 7 AS seven, 1.5, 'text', x'0001', NULL, flag, x'', '' FROM thing", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    nx_rows rows = request->steps[0].raw;
    cr_assert_eq(rows.column_count, 8);
    cr_assert_eq(rows.row_count, 1);
    cr_assert_str_eq(rows.names[0], "seven");
    cr_assert(rows.values[0].type == NX_TYPE_i64 && rows.values[0].i64 == 7);
    cr_assert(rows.values[1].type == NX_TYPE_f64 && rows.values[1].f64 == 1.5);
    cr_assert(rows.values[2].type == NX_TYPE_text && strcmp(rows.values[2].text.data, "text") == 0);
    cr_assert(rows.values[3].type == NX_TYPE_bytes && rows.values[3].bytes.size == 2);
    cr_assert_eq(rows.values[4].type, NX_TYPE_null);
    cr_assert(rows.values[5].type == NX_TYPE_boolean && rows.values[5].boolean);
    cr_assert(rows.values[6].type == NX_TYPE_bytes && rows.values[6].bytes.size == 0);
    cr_assert(rows.values[7].type == NX_TYPE_text && rows.values[7].text.size == 0);
    request = kit_query(&k, "SELECT id FROM thing WHERE id = 99", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].raw.row_count, 0);
    cr_assert_str_eq(request->steps[0].raw.names[0], "id");
    request = kit_query(&k, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i, 'x' || i FROM n", NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].raw.row_count, 1000);
    cr_assert_str_eq(nx_rows_at(&request->steps[0].raw, 999, 1).text.data, "x1000");
    request = kit_query(&k, "VALUES (1), (2), (3)", NULL, 0);
    request->steps[0].row_limit = 2;
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].raw.row_count, 2);
    kit_close(&k);
}

Test(sqlite_driver, scalars_and_limits)
{
    kit k;
    nxi_request *request;

    kit_open(&k, NULL, true);
    kit_do(&k, "INSERT INTO thing (number, ratio, title) VALUES (1, 0, 'a'), (2, 0, 'b'), (3, 0, 'c')");
    request = kit_query(&k, "SELECT sum(number) FROM thing", NULL, 0);
    request->steps[0].kind = NXI_STEP_SCALAR;
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].scalar.i64, 6);
    request = kit_query(&k, "SELECT number FROM thing WHERE id = 99", NULL, 0);
    request->steps[0].kind = NXI_STEP_SCALAR;
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].scalar.type, NX_TYPE_null);
    request = kit_fetch(&k, kit_select(&k, &Thing_entity, "ORDER BY id", 0), NULL, 0);
    request->steps[0].row_limit = 2;
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(request->steps[0].affected, 2);
    kit_close(&k);
}

Test(sqlite_driver, entities_from_texts_are_matched_by_name)
{
    kit k;
    nxi_statement statement = { .sql = "SELECT title, 5 AS other, id FROM thing" };

    kit_open(&k, NULL, true);
    kit_do(&k, "INSERT INTO thing (number, ratio, title) VALUES (1, 0, 'a')");
    statement.sql_size = strlen(statement.sql);
    statement.table = kit_table(&k, &Thing_entity);
    nxi_request *request = kit_fetch(&k, &statement, NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    const Thing *thing = request->steps[0].fetched[0];
    cr_assert_eq(thing->id, 1);
    cr_assert_str_eq(thing->title.data, "a");
    cr_assert_eq(thing->number, 0);
    kit_close(&k);
}

Test(sqlite_driver, references_are_read_and_written)
{
    kit k;

    kit_open(&k, NULL, true);
    Owner *owner = nxi_row_new(&k.arena, kit_table(&k, &Owner_entity), NULL);
    owner->name = nx_str("Ada");
    Thing *by_row = kit_thing(&k, 1, "by row"), *by_key = kit_thing(&k, 2, "by key");
    nx_set_ref(by_row->owner, owner);
    nx_set_ref_key(by_key->owner, 1);
    nxi_request *request = kit_request(&k, 2);
    request->writes = true;
    request->steps[0] = (nxi_step){ .kind = NXI_STEP_WRITE, .statement = kit_insert(&k, &Owner_entity, NULL), .rows = (void *[]){ owner }, .row_count = 1 };
    request->steps[1] = (nxi_step){ .kind = NXI_STEP_WRITE, .statement = kit_insert(&k, &Thing_entity, NULL), .rows = (void *[]){ by_row, by_key }, .row_count = 2 };
    cr_assert_eq(kit_run(&k, 0, request), NX_OK, "%s", request->error == NULL ? "" : request->error->message);
    request = kit_fetch(&k, kit_select(&k, &Thing_entity, "ORDER BY id", 0), NULL, 0);
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    for (size_t i = 0; i < 2; i++) {
        const Thing *got = request->steps[0].fetched[i];
        cr_assert_null(got->owner.row);
        cr_assert_eq(got->owner.key.part_count, 1);
        cr_assert_eq(got->owner.key.value.i64, 1);
    }
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ read transactions */

/* A read that is queued after a commit was acknowledged must see it, even when the reader is in the middle of a batch. */
static nxi_request *late;

static void commit_in_between(nxi_port *port, nxi_request *finished)
{
    kit *k = port->context;

    (void)finished;
    port->at_finish = NULL;
    kit_do(k, "INSERT INTO owner (name) VALUES ('new')");
    late = kit_query(k, "SELECT count(*) FROM owner", NULL, 0);
    fake_port_put(port, late);
}

Test(sqlite_driver, readers_see_what_was_acknowledged_before)
{
    kit k;

    kit_open(&k, NULL, false);
    nxi_request *first = kit_query(&k, "SELECT count(*) FROM owner", NULL, 0), *second = kit_query(&k, "SELECT count(*) FROM owner", NULL, 0);
    k.ports[KIT_READER].context = &k;
    k.ports[KIT_READER].at_finish = commit_in_between;
    kit_serve(&k, KIT_READER, first, second, NULL);
    cr_assert_eq(first->steps[0].raw.values[0].i64, 0);
    cr_assert_eq(second->steps[0].raw.values[0].i64, 0, "one batch, one snapshot");
    cr_assert(kit_is_finished(&k, KIT_READER, late));
    cr_assert_eq(late->steps[0].raw.values[0].i64, 1, "an acknowledged commit was not seen");
    kit_close(&k);
}

Test(sqlite_driver, one_bad_read_leaves_the_others)
{
    kit k;

    kit_open(&k, NULL, false);
    nxi_request *a = kit_query(&k, "SELECT 1", NULL, 0), *b = kit_query(&k, "SELECT oops", NULL, 0), *c = kit_query(&k, "SELECT 3", NULL, 0);
    kit_serve(&k, KIT_READER, a, b, c, NULL);
    cr_assert_eq(a->status, NX_OK);
    cr_assert_eq(b->status, NX_EUNDEFINED);
    cr_assert_eq(c->status, NX_OK);
    cr_assert_eq(c->outcome, NX_OUTCOME_NONE);
    cr_assert_geq(c->done_ns, c->taken_ns);
    cr_assert_geq(c->taken_ns, c->queued_ns);
    kit_close(&k);
}

Test(sqlite_driver, snapshots_stay_as_they_began)
{
    kit k;
    static const char count[] = "SELECT count(*) FROM owner";

    kit_open(&k, NULL, false);
    nxi_request *first = kit_in(kit_query(&k, count, NULL, 0), 7, NXI_BEGIN_SNAPSHOT, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_READER, first), NX_OK);
    cr_assert(first->in_transaction);
    kit_do(&k, "INSERT INTO owner (name) VALUES ('new')");
    nxi_request *second = kit_in(kit_query(&k, count, NULL, 0), 7, NXI_BEGIN_NONE, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_READER, second), NX_OK);
    cr_assert_eq(second->steps[0].raw.values[0].i64, 0);
    cr_assert_eq(kit_number(&k, KIT_READER, count), 1, "a snapshot held others back");
    nxi_request *write = kit_in(kit_execute(&k, "DELETE FROM owner", NULL, 0), 7, NXI_BEGIN_NONE, NXI_END_NONE);
    cr_assert_eq(kit_run(&k, KIT_READER, write), NX_EREADONLY);
    nxi_request *end = kit_end(&k, 7, NXI_END_COMMIT);
    cr_assert_eq(kit_run(&k, KIT_READER, end), NX_OK);
    cr_assert_eq(end->outcome, NX_OUTCOME_COMMITTED);
    cr_assert(!end->in_transaction);
    cr_assert_eq(kit_run(&k, KIT_READER, kit_in(kit_query(&k, count, NULL, 0), 7, NXI_BEGIN_NONE, NXI_END_NONE)), NX_EABORTED);
    cr_assert_eq(kit_run(&k, KIT_READER, kit_end(&k, 7, NXI_END_ROLLBACK)), NX_OK);
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ stop and deadline */

static const char endless[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

static void *stop_soon(void *context)
{
    nxi_request *request = context;

    nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
    atomic_store(&request->stop, NX_ECANCELED);
    return NULL;
}

Test(sqlite_driver, a_long_query_is_cancelled)
{
    kit k;
    pthread_t thread;

    kit_open(&k, NULL, false);
    nxi_request *request = kit_query(&k, endless, NULL, 0);
    cr_assert_eq(pthread_create(&thread, NULL, stop_soon, request), 0);
    cr_assert_eq(kit_run(&k, KIT_READER, request), NX_ECANCELED);
    pthread_join(thread, NULL);
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT 1"), 1);
    kit_close(&k);
}

Test(sqlite_driver, a_deadline_ends_a_query)
{
    kit k;

    kit_open(&k, NULL, false);
    nxi_request *request = kit_query(&k, endless, NULL, 0);
    request->deadline_ns = nxi_clock_ns() + 20000000;
    cr_assert_eq(kit_run(&k, KIT_READER, request), NX_EDEADLINE);
    request = kit_query(&k, "SELECT 1", NULL, 0);
    request->deadline_ns = nxi_clock_ns() - 1;
    cr_assert_eq(kit_run(&k, KIT_READER, request), NX_EDEADLINE);
    request = kit_query(&k, "SELECT 1", NULL, 0);
    atomic_store(&request->stop, NX_ECANCELED);
    cr_assert_eq(kit_run(&k, KIT_READER, request), NX_ECANCELED);
    kit_close(&k);
}

/* ------------------------------------------------------------------------------ cursors */

static void fill(kit *k, int count)
{
    nxi_request *request = kit_execute(k,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO thing (number, ratio, title) SELECT i, 0, 't' || i FROM n",
        nx_args(count));

    cr_assert_eq(kit_run(k, KIT_WRITER, request), NX_OK, "%s", request->error == NULL ? "" : request->error->message);
}

static nxi_request *cursor_step(kit *k, nxi_step_kind kind, uint64_t cursor, uint32_t limit, uint64_t transaction)
{
    nxi_request *request = kit_request(k, 1);

    request->transaction = transaction;
    request->steps[0] = (nxi_step){ .kind = kind, .cursor = cursor, .row_limit = limit };
    if (kind == NXI_STEP_CURSOR_OPEN) {
        request->steps[0].statement = kit_select(k, &Thing_entity, "WHERE number > ? ORDER BY number", 0);
        request->steps[0].values = nxi_arena_copy(&k->arena, &(nx_value){ .type = NX_TYPE_i64 }, sizeof(nx_value));
        request->steps[0].value_count = 1;
    }
    return request;
}

static int64_t fetch_number(kit *k, size_t worker, uint64_t cursor, uint32_t limit, uint64_t transaction)
{
    nxi_request *request = cursor_step(k, NXI_STEP_CURSOR_FETCH, cursor, limit, transaction);

    cr_assert_eq(kit_run(k, worker, request), NX_OK, "%s", request->error == NULL ? "" : request->error->message);
    return request->steps[0].affected == 0 ? -1 : ((Thing *)request->steps[0].fetched[0])->number;
}

static void walk(kit *k, size_t worker)
{
    cr_assert_eq(kit_run(k, worker, cursor_step(k, NXI_STEP_CURSOR_OPEN, 9, 0, 0)), NX_OK);
    cr_assert_eq(fetch_number(k, worker, 9, 10, 0), 1);
    kit_do(k, "DELETE FROM thing WHERE number > 15"); /* a paused cursor neither sees it nor is in its way */
    cr_assert_eq(fetch_number(k, worker, 9, 10, 0), 11);
    nxi_request *rest = cursor_step(k, NXI_STEP_CURSOR_FETCH, 9, 10, 0);
    cr_assert_eq(kit_run(k, worker, rest), NX_OK);
    cr_assert_eq(rest->steps[0].affected, 5);
    cr_assert(rest->steps[0].cursor_ended);
    rest = cursor_step(k, NXI_STEP_CURSOR_FETCH, 9, 10, 0);
    cr_assert_eq(kit_run(k, worker, rest), NX_OK);
    cr_assert(rest->steps[0].cursor_ended && rest->steps[0].affected == 0);
    cr_assert_eq(kit_run(k, worker, cursor_step(k, NXI_STEP_CURSOR_CLOSE, 9, 0, 0)), NX_OK);
    cr_assert_eq(kit_run(k, worker, cursor_step(k, NXI_STEP_CURSOR_CLOSE, 9, 0, 0)), NX_OK);
    cr_assert_eq(kit_run(k, worker, cursor_step(k, NXI_STEP_CURSOR_FETCH, 9, 0, 0)), NX_ESTATE);
    cr_assert_eq(kit_number(k, worker, "SELECT count(*) FROM thing"), 15);
}

Test(sqlite_driver, cursors_fetch_in_pieces)
{
    kit k;

    kit_open(&k, NULL, false);
    fill(&k, 25);
    walk(&k, KIT_READER);
    kit_close(&k);
    kit_open(&k, NULL, true);
    fill(&k, 25);
    walk(&k, KIT_WRITER);
    kit_close(&k);
}

Test(sqlite_driver, cursors_are_bounded_and_reused)
{
    kit k;
    nx_status status = NX_OK;

    kit_open(&k, NULL, false);
    fill(&k, 5);
    for (uint64_t i = 1; i <= 64; i++) {
        cr_assert_eq(kit_run(&k, KIT_READER, cursor_step(&k, NXI_STEP_CURSOR_OPEN, i, 0, 0)), NX_OK);
        cr_assert_eq(fetch_number(&k, KIT_READER, i, 1, 0), 1);
    }
    status = kit_run(&k, KIT_READER, cursor_step(&k, NXI_STEP_CURSOR_OPEN, 65, 0, 0));
    cr_assert_eq(status, NX_ELIMIT);
    cr_assert_eq(kit_run(&k, KIT_READER, cursor_step(&k, NXI_STEP_CURSOR_CLOSE, 3, 0, 0)), NX_OK);
    cr_assert_eq(kit_run(&k, KIT_READER, cursor_step(&k, NXI_STEP_CURSOR_OPEN, 65, 0, 0)), NX_OK);
    cr_assert_eq(kit_run(&k, KIT_READER, cursor_step(&k, NXI_STEP_CURSOR_OPEN, 65, 0, 0)), NX_EINVAL);
    kit_close(&k); /* open ones are freed */
}

Test(sqlite_driver, cursors_of_a_transaction_see_it_and_end_with_it)
{
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        kit k;

        kit_open(&k, NULL, in_memory);
        nxi_request *begin = kit_in(kit_execute(&k, "INSERT INTO thing (number, ratio, title) VALUES (1, 0, 'a'), (2, 0, 'b')", NULL, 0), 3, NXI_BEGIN_WRITE, NXI_END_NONE);
        cr_assert_eq(kit_run(&k, KIT_WRITER, begin), NX_OK);
        cr_assert_eq(kit_run(&k, KIT_WRITER, cursor_step(&k, NXI_STEP_CURSOR_OPEN, 9, 0, 3)), NX_OK);
        cr_assert_eq(fetch_number(&k, KIT_WRITER, 9, 1, 3), 1);
        cr_assert_eq(kit_run(&k, KIT_WRITER, kit_end(&k, 3, NXI_END_COMMIT)), NX_OK);
        cr_assert_eq(kit_run(&k, KIT_WRITER, cursor_step(&k, NXI_STEP_CURSOR_FETCH, 9, 1, 0)), NX_ESTATE);
        kit_close(&k);
    }
}

/* ------------------------------------------------------------------------------ memory and disk */

Test(sqlite_driver, a_full_disk_is_named_and_leaves_nothing)
{
    kit k;
    enum { ROWS = 2000 };
    void *rows[ROWS];
    char title[32];
    struct rlimit before, small = { 0 };

    kit_open(&k, NULL, false);
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(title, sizeof(title), "%d", i);
        Thing *thing = kit_thing(&k, i, title);
        char *text = nxi_arena_get(&k.arena, 1000, 1);
        memset(text, 'x', 1000);
        thing->note = nx_some(text, nx_strn(text, 1000));
        rows[i] = thing;
    }
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_cur = 600000;
    small.rlim_max = before.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    nxi_request *write = kit_write(&k, kit_insert(&k, &Thing_entity, NULL), rows, ROWS);
    nx_status status = kit_run(&k, KIT_WRITER, write);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    cr_assert_eq(status, NX_EFULL, "%s (%d)", write->error->message, (int)write->error->server_code);
    cr_assert_eq(write->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert(contains(write->error->message, k.path), "%s", write->error->message);
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT count(*) FROM thing"), 0);
    write = kit_write(&k, kit_insert(&k, &Thing_entity, NULL), rows, ROWS);
    cr_assert_eq(kit_run(&k, KIT_WRITER, write), NX_OK, "it goes on when there is room again");
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT count(*) FROM thing"), ROWS);
    kit_close(&k);
}

Test(sqlite_driver, lack_of_memory_is_an_error_everywhere)
{
    kit k;

    kit_open(&k, NULL, false);
    fill(&k, 20);
    for (uint64_t nth = 1; nth < 40; nth++) {
        nxi_arena arena;
        nxi_request *read = kit_fetch(&k, kit_select(&k, &Thing_entity, "", 0), NULL, 0);
        nxi_arena_init(&arena, k.memory);
        read->arena = &arena;
        nxi_memory_fail(nth, true);
        kit_serve(&k, KIT_READER, read, NULL);
        nxi_memory_fail(0, false);
        cr_assert(kit_is_finished(&k, KIT_READER, read));
        cr_assert(read->status == NX_OK || read->status == NX_ENOMEM, "%s", nx_status_name(read->status));
        if (read->status == NX_ENOMEM)
            cr_assert(!nxi_request_error_is_own(read));
        nxi_arena_fini(&arena);
        if (read->status == NX_OK)
            break;
    }
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT count(*) FROM thing"), 20);
    kit_close(&k);
}
