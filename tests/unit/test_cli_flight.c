/*
 * test_cli_flight - rows in flight of the command: numbers, records, leaving in order, bounded memory.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "api/cli/common.c"
#include "api/cli/flight.c"

static void push(flight *f, uint64_t line)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "record %llu", (unsigned long long)line);

    flight_push(f, line, nx_strn(text, (size_t)size));
}

static flight_row *row_of(flight *f, uint64_t number)
{
    flight_row *row = flight_find(f, number);

    cr_assert_not_null(row);
    return row;
}

static void insist_on_row(flight *f, uint64_t number)
{
    const flight_row *row = row_of(f, number);
    char text[32];
    int size = snprintf(text, sizeof(text), "record %llu", (unsigned long long)(number + 10));

    cr_expect_eq(row->line, number + 10);
    nx_text raw = flight_raw(f, row);
    cr_expect(raw.size == (size_t)size && memcmp(raw.data, text, raw.size) == 0, "row %d", (int)number);
}

Test(cli_flight, rows_are_found_by_number)
{
    flight f = { .rows = NULL };

    cr_expect_null(flight_find(&f, 0));
    for (uint64_t i = 0; i < 100; i++)
        push(&f, i + 10);
    for (uint64_t i = 0; i < 100; i++)
        insist_on_row(&f, i);
    cr_expect_null(flight_find(&f, 100));
    flight_free(&f);
}

Test(cli_flight, answered_rows_leave_with_the_rejected_among_them)
{
    flight f = { .rows = NULL };

    for (uint64_t i = 0; i < 10; i++)
        push(&f, i + 10);
    row_of(&f, 0)->rejected = true;
    row_of(&f, 3)->rejected = true;
    flight_settle(&f, 0);
    cr_expect_null(flight_find(&f, 0), "a rejected row in front needs no answer");
    cr_expect_not_null(flight_find(&f, 1));
    flight_settle(&f, 3);
    cr_expect_null(flight_find(&f, 4));
    insist_on_row(&f, 5);
    cr_expect_eq(flight_rows(&f), 5U);
    flight_settle(&f, 5);
    cr_expect_eq(flight_rows(&f), 0U);
    cr_expect_eq(flight_bytes(&f), 0U);
    flight_free(&f);
}

Test(cli_flight, memory_is_that_of_the_rows_in_flight)
{
    flight f = { .rows = NULL };

    for (uint64_t i = 0; i < 100000; i++) {
        push(&f, i + 10);
        if (i >= 50) {
            flight_settle(&f, 1);
            insist_on_row(&f, i);
            insist_on_row(&f, i - 49);
            cr_assert_null(flight_find(&f, i - 50));
        }
    }
    cr_expect_leq(f.row_capacity, 256U);
    cr_expect_leq(f.byte_capacity, 4096U);
    flight_free(&f);
}

Test(cli_flight, empty_records_and_a_restart)
{
    flight f = { .rows = NULL };

    flight_push(&f, 1, nx_strn(NULL, 0));
    flight_push(&f, 2, nx_str("x"));
    cr_expect_eq(flight_raw(&f, row_of(&f, 0)).size, 0U);
    flight_restart(&f);
    cr_expect_null(flight_find(&f, 0));
    push(&f, 10);
    insist_on_row(&f, 0);
    flight_free(&f);
}
