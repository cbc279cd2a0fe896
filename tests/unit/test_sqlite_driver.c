/*
 * sqlite driver: SQL texts, statements, values both ways, writing rows.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>

#include "tests/support/sqlite_kit.h"

static bool contains(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
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
    static const char *const texts[] = {"BEGIN",       " -- x\n COMMIT",    "/* */ rollback",       "END",
                                        "SAVEPOINT a", "release nxi_group", "ROLLBACK TO nxi_group"};
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
    request->steps[0] =
        (nxi_step){.kind = NXI_STEP_SCRIPT,
                   .statement = kit_raw(&k, "CREATE TABLE a (x); -- c\n CREATE TABLE b (y); INSERT INTO a VALUES (3);")};
    cr_assert_eq(kit_run(&k, 0, request), NX_OK);
    cr_assert_eq(kit_number(&k, 0, "SELECT x FROM a"), 3);
    request = kit_request(&k, 1);
    request->writes = true;
    request->steps[0] =
        (nxi_step){.kind = NXI_STEP_SCRIPT, .statement = kit_raw(&k, "INSERT INTO a VALUES (4); INSRT INTO b VALUES (1)")};
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
    cr_assert_eq(
        kit_number(&k, 0, "SELECT count(*) FROM sqlite_stmt WHERE sql LIKE '%WHERE number _ ?' AND sql NOT LIKE '%stmt%'"), 4);
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
    cr_assert(!got->a_boolean.present && !got->a_i64.present && !got->a_text.present && !got->a_date.present &&
              !got->a_vector.present);
    kit_close(&k);
}

Test(sqlite_driver, texts_of_numbers_stay_texts)
{
    static const char *const decimals[] = {
        "0.10", "-0.00", "00012", "12345678901234567890123456789012345678.90", "9007199254740993"};
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
    kit_do(&k, "CREATE TABLE kinds (id INTEGER PRIMARY KEY, a_boolean, a_i16, a_i32, a_i64, a_u32, a_f64 REAL, a_text, "
               "a_longtext, a_bytes, "
               "a_decimal, a_json, a_date, a_time, a_timestamp, a_timestamptz, a_interval, a_uuid, a_ulid, an_enumeration, "
               "a_vector, must)");
    for (size_t i = 0; i < NXI_COUNT(wrong); i++) {
        kit_do(&k, "DELETE FROM kinds");
        kit_do(&k, "INSERT INTO kinds (id, must) VALUES (1, 1)");
        (void)snprintf(sql, sizeof(sql), "UPDATE kinds SET %s = %s", wrong[i].column, wrong[i].value);
        kit_do(&k, sql);
        nxi_request *read = kit_fetch(&k, kit_by_key(&k, &Kinds_entity), nx_args(1));
        nx_status status = kit_run(&k, 0, read);
        cr_assert(status == wrong[i].status || (status == NX_ERANGE && wrong[i].status == NX_ETYPE), "%s %s: %s", wrong[i].column,
                  wrong[i].value, nx_status_name(status));
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
    cr_assert_eq(kit_run(&k, 0, kit_execute(&k, "INSERT INTO kinds (must, an_enumeration) VALUES (1, 'green')", NULL, 0)),
                 NX_ECHECK);
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
    const nxi_statement *ignore =
        kit_insert(&k, &Thing_entity, &(nxi_conflict){.rule = NX_CONFLICT_IGNORE, .key = &key, .key_count = 1});
    const nxi_statement *update = kit_insert(
        &k, &Thing_entity,
        &(nxi_conflict){.rule = NX_CONFLICT_UPDATE, .key = &key, .key_count = 1, .update = &number, .update_count = 1});
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
