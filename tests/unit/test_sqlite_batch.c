/*
 * sqlite batch: many rows by one INSERT give the same rows, keys and errors as one by one.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/support/sqlite_kit.h"

enum { ROWS = 500 };

static Thing **make_things(kit *k, size_t count)
{
    Thing **rows = NXI_ARENA_ARRAY(&k->arena, Thing *, count);
    char title[32];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(title, sizeof(title), "t%zu", i);
        rows[i] = kit_thing(k, (int)i, title);
        rows[i]->ratio = (double)i / 8;
        if (i % 7 == 0)
            rows[i]->note = nx_some(text, nx_str("note"));
    }
    return rows;
}

static nxi_request *write_things(kit *k, Thing **rows, size_t count)
{
    return kit_write(k, kit_insert(k, &Thing_entity, NULL), (void *const *)rows, count);
}

/* Every row of the table is one of the array, under the key that the array has. */
static void check_keys(kit *k, Thing **rows, size_t count)
{
    nxi_request *read = kit_fetch(k, kit_select(k, &Thing_entity, "ORDER BY number", 0), NULL, 0);
    size_t at = 0;

    cr_assert_eq(kit_run(k, KIT_WRITER, read), NX_OK);
    for (size_t i = 0; i < count; i++) {
        if (rows[i]->id == 0)
            continue;
        const Thing *got = read->steps[0].fetched[at++];
        cr_assert_eq(got->id, rows[i]->id, "row %zu", i);
        cr_assert_eq(got->number, rows[i]->number);
        cr_assert_eq(got->ratio, rows[i]->ratio);
        cr_assert_str_eq(got->title.data, rows[i]->title.data);
        cr_assert_eq(got->note.present, rows[i]->note.present);
    }
    cr_assert_eq((int64_t)at, read->steps[0].affected);
}

static int64_t many_prepared(kit *k)
{
    return kit_number(k, KIT_WRITER, "SELECT count(*) FROM sqlite_stmt WHERE sql LIKE 'INSERT INTO \"thing\"%(%(%(%'");
}

Test(sqlite_batch, keys_and_values_are_right)
{
    static const size_t counts[] = { 1, 63, 64, 65, 128, ROWS };

    for (size_t i = 0; i < NXI_COUNT(counts); i++) {
        kit k;

        kit_open(&k, NULL, true);
        Thing **rows = make_things(&k, counts[i]);
        nxi_request *write = write_things(&k, rows, counts[i]);
        cr_assert_eq(kit_run(&k, 0, write), NX_OK, "%s", write->error == NULL ? "" : write->error->message);
        cr_assert_eq(write->steps[0].affected, (int64_t)counts[i]);
        cr_assert_eq(write->steps[0].ignored, 0);
        for (size_t r = 0; r < counts[i]; r++)
            cr_assert_eq(rows[r]->id, (int64_t)r + 1);
        check_keys(&k, rows, counts[i]);
        cr_assert_eq(many_prepared(&k), counts[i] >= 64, "the fast way was not taken");
        kit_close(&k);
    }
}

Test(sqlite_batch, it_goes_on_behind_the_greatest_key)
{
    kit k;

    kit_open(&k, NULL, true);
    kit_do(&k, "INSERT INTO thing (id, number, ratio, title) VALUES (-50, -2, 0, 'minus')");
    Thing **rows = make_things(&k, 100);
    cr_assert_eq(kit_run(&k, 0, write_things(&k, rows, 64)), NX_OK);
    cr_assert_eq(rows[0]->id, -49);
    kit_do(&k, "INSERT INTO thing (id, number, ratio, title) VALUES (7000, -1, 0, 'x')");
    rows = make_things(&k, 200);
    for (int i = 0; i < 200; i++)
        rows[i]->number += 1000,
            rows[i]->title = nx_str(nxi_arena_str(&k.arena, (char[]){'u', (char)('a' + i % 26), (char)('a' + i / 26), '\0'}));
    cr_assert_eq(kit_run(&k, 0, write_things(&k, rows, 200)), NX_OK);
    for (int i = 0; i < 200; i++)
        cr_assert_eq(rows[i]->id, 7001 + i);
    kit_close(&k);
}

Test(sqlite_batch, the_row_at_fault_is_named)
{
    kit k;

    kit_open(&k, NULL, true);
    Thing **rows = make_things(&k, ROWS);
    rows[300]->title = rows[20]->title;
    nxi_request *write = write_things(&k, rows, ROWS);
    cr_assert_eq(kit_run(&k, 0, write), NX_EUNIQUE);
    cr_assert_eq(write->error->row, 300);
    cr_assert_str_eq(write->error->column, "title");
    cr_assert_eq(kit_number(&k, 0, "SELECT count(*) FROM thing"), 0);
    rows[300]->title = nx_str("fine");
    rows[77]->ratio = __builtin_nan("");
    write = write_things(&k, rows, ROWS);
    cr_assert_eq(kit_run(&k, 0, write), NX_ERANGE);
    cr_assert_eq(write->error->row, 77);
    kit_close(&k);
}

Test(sqlite_batch, bad_rows_are_set_aside_wherever_they_are)
{
    static const size_t bad[] = { 0, 63, 64, 200, 201, 383, 499 };
    kit k;

    kit_open(&k, NULL, true);
    Thing **rows = make_things(&k, ROWS);
    for (size_t i = 0; i < NXI_COUNT(bad); i++)
        rows[bad[i]]->title = (nx_text){ 0 };
    nxi_request *write = write_things(&k, rows, ROWS);
    write->steps[0].set_aside = true;
    cr_assert_eq(kit_run(&k, 0, write), NX_OK);
    cr_assert_eq(write->steps[0].reject_count, NXI_COUNT(bad));
    for (size_t i = 0; i < NXI_COUNT(bad); i++) {
        cr_assert_eq(write->steps[0].rejects[i].row, bad[i]);
        cr_assert_eq(write->steps[0].rejects[i].error.status, NX_ENOTNULL);
        cr_assert_eq(rows[bad[i]]->id, 0);
    }
    cr_assert_eq(write->steps[0].affected, ROWS - (int)NXI_COUNT(bad));
    check_keys(&k, rows, ROWS);
    kit_close(&k);
}

/* Things that make the keys of a batch differ from what one would expect. */
Test(sqlite_batch, keys_are_right_whatever_the_schema_does)
{
    static const char *const twists[] = {
        /* another row for some of the rows */
        ("CREATE TRIGGER t AFTER INSERT ON thing WHEN new.number = 150 BEGIN "
         "INSERT INTO thing (number, ratio, title) VALUES (-1, 0, 'by trigger'); DELETE FROM thing WHERE number = -1; END"),
        "CREATE TRIGGER t BEFORE INSERT ON thing WHEN new.number % 10 = 3 BEGIN INSERT INTO owner (name) VALUES ('x'); END",
        /* rows left out */
        "CREATE TRIGGER t BEFORE INSERT ON thing WHEN new.number = 100 BEGIN SELECT RAISE(IGNORE); END",
        /* the greatest key is taken: SQLite picks at random */
        "INSERT INTO thing (id, number, ratio, title) VALUES (9223372036854775807, 100000, 0, 'last')",
        /* or nearly */
        "INSERT INTO thing (id, number, ratio, title) VALUES (9223372036854775700, 100000, 0, 'last')",
    };

    for (size_t i = 0; i < NXI_COUNT(twists); i++) {
        kit k;

        kit_open(&k, NULL, true);
        kit_do(&k, twists[i]);
        Thing **rows = make_things(&k, ROWS);
        nxi_request *write = write_things(&k, rows, ROWS);
        cr_assert_eq(kit_run(&k, 0, write), NX_OK, "%zu: %s", i, write->error == NULL ? "" : write->error->message);
        if (i == 2) {
            cr_assert_eq(write->steps[0].ignored, 1);
            cr_assert_eq(rows[100]->id, 0);
        }
        cr_assert_eq(write->steps[0].affected, ROWS - (i == 2));
        kit_do(&k, "DELETE FROM thing WHERE number = 100000");
        check_keys(&k, rows, ROWS);
        kit_close(&k);
    }
}

Test(sqlite_batch, tables_of_other_makes)
{
    static const char *const tables[] = {
        "id INTEGER PRIMARY KEY AUTOINCREMENT",
        "id INTEGER PRIMARY KEY ON CONFLICT REPLACE",
    };

    for (size_t i = 0; i < NXI_COUNT(tables); i++) {
        kit k;
        char sql[256];

        kit_open(&k, NULL, true);
        kit_do(&k, "DROP TABLE thing");
        (void)snprintf(sql, sizeof(sql),
                       "CREATE TABLE thing (%s, number, ratio, title TEXT UNIQUE ON CONFLICT IGNORE, note, flag, owner_id)",
                       tables[i]);
        kit_do(&k, sql);
        kit_do(&k, "INSERT INTO thing (id, number, ratio, title) VALUES (900, 0, 0, 'gone')");
        kit_do(&k, "DELETE FROM thing");
        Thing **rows = make_things(&k, ROWS);
        rows[400]->title = rows[5]->title; /* left out by the table itself */
        nxi_request *write = write_things(&k, rows, ROWS);
        cr_assert_eq(kit_run(&k, 0, write), NX_OK, "%s", write->error == NULL ? "" : write->error->message);
        cr_assert_eq(write->steps[0].ignored, 1);
        cr_assert_eq(rows[0]->id, i == 0 ? 901 : 1);
        cr_assert_eq(rows[400]->id, 0);
        check_keys(&k, rows, ROWS);
        kit_close(&k);
    }
}

Test(sqlite_batch, keys_beyond_the_member_are_refused)
{
    kit k;
    void *rows[100];

    kit_open(&k, NULL, true);
    kit_do(&k, "INSERT INTO kinds (id, must) VALUES (2147483600, 1)");
    for (size_t i = 0; i < NXI_COUNT(rows); i++)
        rows[i] = nxi_row_new(&k.arena, kit_table(&k, &Kinds_entity), NULL);
    nxi_request *write = kit_write(&k, kit_insert(&k, &Kinds_entity, NULL), rows, NXI_COUNT(rows));
    cr_assert_eq(kit_run(&k, 0, write), NX_ERANGE);
    cr_assert_eq(write->error->row, 47);
    cr_assert_eq(kit_number(&k, 0, "SELECT count(*) FROM kinds"), 1);
    kit_close(&k);
}

Test(sqlite_batch, a_group_is_not_disturbed)
{
    kit k;

    kit_open(&k, NULL, false);
    kit_do(&k, "CREATE TRIGGER t AFTER INSERT ON thing WHEN new.number = 450 BEGIN SELECT RAISE(ROLLBACK, 'no'); END");
    Thing **good = make_things(&k, 200), **bad = make_things(&k, ROWS);
    for (size_t i = 0; i < ROWS; i++)
        bad[i]->title = nx_str(nxi_arena_text(&k.arena, (char[]){ 'b', (char)('a' + i % 26), (char)('a' + i / 26), '\0' }, 3));
    nxi_request *first = write_things(&k, good, 200), *second = write_things(&k, bad, ROWS);
    kit_serve(&k, KIT_WRITER, first, second, NULL);
    cr_assert_eq(second->status, NX_ECONSTRAINT);
    cr_assert_eq(second->outcome, NX_OUTCOME_ROLLED_BACK);
    cr_assert_eq(first->outcome, NX_OUTCOME_COMMITTED);
    cr_assert_eq(kit_number(&k, KIT_READER, "SELECT count(*) FROM thing"), 200);
    check_keys(&k, good, 200);
    kit_close(&k);
}
