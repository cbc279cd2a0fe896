/*
 * bulk - conflict rules, rows set aside, counts that add up, keys, bounded batches.
 */
#include <stdio.h>

#include "cases.h"

/* Give all rows, letting the loop run whenever a batch is in flight. */
static nx_status give(nxt_fixture *f, nx_bulk *bulk, const void *rows, size_t row_size, size_t count)
{
    size_t given = 0;
    while (given < count) {
        size_t taken = 0;
        nx_status status = nx_bulk_rows(bulk, (const char *)rows + given * row_size, count - given, &taken);
        given += taken;
        if (status == NX_EBUSY)
            nx_await(f->loop, nx_bulk_op(bulk));
        else if (status != NX_OK)
            return status;
    }
    return NX_OK;
}

static void insist_on_counts(nx_bulk *bulk)
{
    nx_bulk_counts n = nx_bulk_count(bulk);
    cr_expect_eq(n.given, n.loaded + n.updated + n.ignored + n.rejected, "given %d is not loaded %d + ignored %d + rejected %d",
                 (int)n.given, (int)n.loaded, (int)n.ignored, (int)n.rejected);
}

static void fill_slots(Slot *slots, int count, int first)
{
    for (int i = 0; i < count; i++)
        slots[i] = (Slot){ .number = first + i, .label = nx_str("bulk") };
}

CASE(bulk, structs)
{
    enum { ROWS = 25000 };
    static Slot slots[ROWS];
    fill_slots(slots, ROWS, 0);
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, NULL);
    cr_assert_not_null(bulk);
    CHECK(give(f, bulk, slots, sizeof(Slot), ROWS));
    cr_expect_eq(COUNT(f, nx_bulk_end(bulk, NULL)), ROWS);
    nx_bulk_counts n = nx_bulk_count(bulk);
    cr_expect_eq(n.given, ROWS);
    cr_expect_eq(n.loaded, ROWS);
    cr_expect_eq(n.rejected, 0U);
    nx_bulk_free(bulk);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), ROWS);
    nx_completion c = OK(f, nx_sum(nx_select(f->db, Slot), Slot_.number, NULL));
    cr_expect_eq(c.value.i64, (int64_t)ROWS * (ROWS - 1) / 2);
}

/* The array may be used again after the call, also when its texts change. */
CASE(bulk, texts_are_copied)
{
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, NULL);
    for (int i = 0; i < 100; i++) {
        char label[16];
        size_t taken = 0;
        snprintf(label, sizeof(label), "label %d", i);
        Slot slot = { .number = i, .label = nx_str(label) };
        CHECK(nx_bulk_rows(bulk, &slot, 1, &taken));
        cr_assert_eq(taken, 1U);
        memset(label, '!', sizeof(label));
    }
    cr_expect_eq(COUNT(f, nx_bulk_end(bulk, NULL)), 100);
    nx_bulk_free(bulk);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Slot), nx_eq(Slot_.label, "label 77")), NULL)), 1);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Slot), nx_starts_with(Slot_.label, "label ")), NULL)), 100);
}

CASE(bulk, values)
{
    nx_column columns[] = { Slot_.label, Slot_.number };
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, NULL);
    CHECK(nx_bulk_columns(bulk, columns, 2));
    for (int i = 0; i < 10; i++)
        CHECK(nx_bulk_values(bulk, nx_args("value", i)));
    CHECK(nx_bulk_values(bulk, nx_args("converted", "10")));
    cr_expect_eq(COUNT(f, nx_bulk_end(bulk, NULL)), 11);
    nx_bulk_free(bulk);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Slot), nx_eq(Slot_.number, 10)), NULL)), 1);
}

CASE(bulk, columns_not_given_get_their_initial_value)
{
    nx_bulk *bulk = nx_bulk_begin(f->db, &Post_entity, NULL);
    CHECK(nx_bulk_columns(bulk, &Post_.title, 1));
    CHECK(nx_bulk_values(bulk, nx_args("draft by default")));
    cr_expect_eq(COUNT(f, nx_bulk_end(bulk, NULL)), 1);
    nx_bulk_free(bulk);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.draft, true)), NULL)), 1);
}

CASE(bulk, conflict_error_fails_the_load)
{
    Slot slots[10];
    fill_slots(slots, 10, 0);
    slots[7].number = 3;
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, NULL);
    CHECK(give(f, bulk, slots, sizeof(Slot), 10));
    const nx_error *error = FAILS(f, nx_bulk_end(bulk, NULL), NX_EUNIQUE);
    cr_expect_eq(error->row, 7, "row %d", (int)error->row);
    nx_bulk_free(bulk);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 0, "a batch is all or nothing");
}

CASE(bulk, batches_before_a_failure_stay)
{
    Slot slots[30];
    fill_slots(slots, 30, 0);
    slots[25].number = 3;
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, &(nx_bulk_options){ .batch_rows = 10 });
    nx_status status = give(f, bulk, slots, sizeof(Slot), 30);
    cr_expect(status == NX_OK || status == NX_EUNIQUE, "%s", nx_status_name(status));
    const nx_error *error = FAILS(f, nx_bulk_end(bulk, NULL), NX_EUNIQUE);
    cr_expect_eq(error->row, 25, "the number counts all rows given, it is %d", (int)error->row);
    cr_expect_eq(nx_bulk_count(bulk).loaded, 20U);
    nx_bulk_free(bulk);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), 20);
}

CASE(bulk, conflict_ignore)
{
    Slot slots[10];
    fill_slots(slots, 10, 0);
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, NULL);
    CHECK(give(f, bulk, slots, sizeof(Slot), 5));
    OK(f, nx_bulk_end(bulk, NULL));
    nx_bulk_free(bulk);
    for (int i = 0; i < 10; i++)
        slots[i].label = nx_str("second");
    bulk = nx_bulk_begin(f->db, &Slot_entity, &(nx_bulk_options){ .conflict = NX_CONFLICT_IGNORE });
    CHECK(give(f, bulk, slots, sizeof(Slot), 10));
    cr_expect_eq(COUNT(f, nx_bulk_end(bulk, NULL)), 5);
    cr_expect_eq(nx_bulk_count(bulk).ignored, 5U);
    cr_expect_eq(nx_bulk_count(bulk).loaded, 5U);
    insist_on_counts(bulk);
    nx_bulk_free(bulk);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Slot), nx_eq(Slot_.label, "second")), NULL)), 5);
}

CASE(bulk, conflict_update)
{
    Slot slots[10];
    fill_slots(slots, 10, 0);
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, NULL);
    CHECK(give(f, bulk, slots, sizeof(Slot), 5));
    OK(f, nx_bulk_end(bulk, NULL));
    nx_bulk_free(bulk);
    for (int i = 0; i < 10; i++)
        slots[i].label = nx_str("second");
    bulk = nx_bulk_begin(f->db, &Slot_entity, &(nx_bulk_options){ .conflict = NX_CONFLICT_UPDATE });
    CHECK(give(f, bulk, slots, sizeof(Slot), 10));
    OK(f, nx_bulk_end(bulk, NULL));
    insist_on_counts(bulk);
    nx_bulk_free(bulk);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Slot), nx_eq(Slot_.label, "second")), NULL)), 10);
}

CASE(bulk, conflict_update_of_chosen_columns_by_another_key)
{
    Author *a = nxt_author(f, "Ada");
    nx_column key[] = { Author_.name }, update[] = { Author_.born };
    nx_bulk *bulk = nx_bulk_begin(
        f->db, &Author_entity,
        &(nx_bulk_options){
            .conflict = NX_CONFLICT_UPDATE, .conflict_key = key, .conflict_key_count = 1, .update = update, .update_count = 1});
    Author rows[] = { { .name = nx_str("Ada"), .born = nx_some(i32, 1815) }, { .name = nx_str("Bob") } };
    CHECK(give(f, bulk, rows, sizeof(Author), 2));
    OK(f, nx_bulk_end(bulk, NULL));
    nx_bulk_free(bulk);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Author), NULL)), 2);
    cr_expect_eq(
        COUNT(f,
              nx_count(nx_filter(nx_select(f->db, Author), nx_and(nx_eq(Author_.id, a->id), nx_eq(Author_.born, 1815))), NULL)),
        1);
}

CASE(bulk, bad_rows_are_set_aside_with_number_and_reason)
{
    enum { ROWS = 1000 };
    static Slot slots[ROWS];
    fill_slots(slots, ROWS, 0);
    slots[3].label = (nx_text){ 0 };
    slots[500].number = 2;
    slots[501].label = nx_str("\xff\xfe");
    slots[999].number = 998;
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, &(nx_bulk_options){.bad_rows = NX_BAD_ROWS_SET_ASIDE, .batch_rows = 128});
    static const struct {
        uint64_t row;
        nx_status status;
    } expected[] = {{3, NX_EREQUIRED}, {500, NX_EUNIQUE}, {501, NX_EENCODING}, {999, NX_EUNIQUE}};
    bool found[4] = { false };
    size_t given = 0, count, rejected = 0;
    nx_op end = { 0 };
    for (bool ended = false; !ended;) {
        size_t taken = 0;
        if (given < ROWS) {
            nx_status status = nx_bulk_rows(bulk, slots + given, ROWS - given, &taken);
            given += taken;
            cr_assert(status == NX_OK || status == NX_EBUSY, "%s", nx_status_name(status));
            if (status == NX_EBUSY)
                nx_await(f->loop, nx_bulk_op(bulk));
        } else {
            end = nx_bulk_end(bulk, NULL);
            cr_expect_eq(COUNT(f, end), ROWS - 4);
            ended = true;
        }
        const nx_reject *rejects = nx_bulk_rejects(bulk, &count);
        for (size_t i = 0; i < count; i++, rejected++) {
            for (size_t k = 0; k < 4; k++) {
                if (expected[k].row == rejects[i].row) {
                    cr_expect_eq(rejects[i].error.status, expected[k].status, "row %d: %s", (int)rejects[i].row,
                                 rejects[i].error.message);
                    cr_expect_neq(rejects[i].error.message[0], '\0');
                    found[k] = true;
                }
            }
        }
    }
    cr_expect_eq(rejected, 4U);
    for (int k = 0; k < 4; k++)
        cr_expect(found[k], "row %d was not set aside", (int)expected[k].row);
    cr_expect_eq(nx_bulk_count(bulk).rejected, 4U);
    insist_on_counts(bulk);
    nx_bulk_free(bulk);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Slot), NULL)), ROWS - 4);
}

CASE(bulk, all_rows_bad)
{
    Slot slots[50] = { { 0 } };
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, &(nx_bulk_options){ .bad_rows = NX_BAD_ROWS_SET_ASIDE, .batch_rows = 7 });
    CHECK(give(f, bulk, slots, sizeof(Slot), 50));
    cr_expect_eq(COUNT(f, nx_bulk_end(bulk, NULL)), 0);
    cr_expect_eq(nx_bulk_count(bulk).rejected, 50U);
    insist_on_counts(bulk);
    nx_bulk_free(bulk);
}

CASE(bulk, skipped_rows_keep_the_numbers_in_step)
{
    Slot slots[2] = { { .number = 1, .label = nx_str("one") }, { .number = 1, .label = nx_str("again") } };
    size_t count = 0;
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, &(nx_bulk_options){ .bad_rows = NX_BAD_ROWS_SET_ASIDE });
    CHECK(give(f, bulk, slots, sizeof(Slot), 1));
    nx_bulk_skip(bulk);
    nx_bulk_skip(bulk);
    CHECK(give(f, bulk, slots + 1, sizeof(Slot), 1));
    OK(f, nx_bulk_end(bulk, NULL));
    const nx_reject *rejects = nx_bulk_rejects(bulk, &count);
    cr_assert_eq(count, 1U);
    cr_expect_eq(rejects[0].row, 3U);
    nx_bulk_free(bulk);
}

CASE(bulk, keys_are_assigned_on_request)
{
    Author rows[100] = { { 0 } };
    char names[100][16];
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof(names[i]), "author %d", i);
        rows[i].name = nx_str(names[i]);
    }
    nx_bulk *bulk = nx_bulk_begin(f->db, &Author_entity, &(nx_bulk_options){ .assign_keys = true });
    CHECK(give(f, bulk, rows, sizeof(Author), 100));
    cr_expect_eq(COUNT(f, nx_bulk_end(bulk, NULL)), 100);
    nx_bulk_free(bulk);
    for (int i = 0; i < 100; i++) {
        cr_assert_gt(rows[i].id, 0);
        cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Author),
                                                 nx_and(nx_eq(Author_.id, rows[i].id), nx_eq(Author_.name, rows[i].name))),
                                       NULL)),
                     1);
    }
}

CASE(bulk, empty_load)
{
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, NULL);
    cr_expect_eq(COUNT(f, nx_bulk_end(bulk, NULL)), 0);
    size_t taken = 5;
    Slot slot = { .number = 1, .label = nx_str("late") };
    cr_expect_neq(nx_bulk_rows(bulk, &slot, 1, &taken), NX_OK, "an ended load takes no rows");
    cr_expect_neq(nx_await(f->loop, nx_bulk_end(bulk, NULL)).status, NX_OK);
    nx_bulk_free(bulk);
    nx_bulk_free(NULL);
}

CASE(bulk, freed_half_way)
{
    static Slot slots[5000];
    size_t taken = 0;
    fill_slots(slots, 5000, 0);
    nx_bulk *bulk = nx_bulk_begin(f->db, &Slot_entity, &(nx_bulk_options){ .batch_rows = 1000 });
    nx_status status = nx_bulk_rows(bulk, slots, 5000, &taken);
    cr_expect(status == NX_OK || status == NX_EBUSY);
    nx_bulk_free(bulk);
    int64_t stored = COUNT(f, nx_count(nx_select(f->db, Slot), NULL));
    cr_expect_eq(stored % 1000, 0, "whole batches only");
}

CASE(bulk, references_and_every_struct_member)
{
    Author *a = nxt_author(f, "Ada");
    Post rows[2] = { { .title = nx_str("by key") }, { .title = nx_str("by row") } };
    nx_set_ref_key(rows[0].author, a->id);
    nx_set_ref(rows[1].author, a);
    nx_bulk *bulk = nx_bulk_begin(f->db, &Post_entity, NULL);
    CHECK(give(f, bulk, rows, sizeof(Post), 2));
    OK(f, nx_bulk_end(bulk, NULL));
    nx_bulk_free(bulk);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(f->db, Post), nx_eq(Post_.author, a->id)), NULL)), 2);
}

CASE(bulk, foreign_key_violation_is_set_aside)
{
    Author *a = nxt_author(f, "Ada");
    Post rows[3] = { { .title = nx_str("good") }, { .title = nx_str("bad") }, { .title = nx_str("good too") } };
    size_t count = 0;
    nx_set_ref_key(rows[0].author, a->id);
    nx_set_ref_key(rows[1].author, 12345);
    nx_bulk *bulk = nx_bulk_begin(f->db, &Post_entity, &(nx_bulk_options){ .bad_rows = NX_BAD_ROWS_SET_ASIDE });
    CHECK(give(f, bulk, rows, sizeof(Post), 3));
    cr_expect_eq(COUNT(f, nx_bulk_end(bulk, NULL)), 2);
    const nx_reject *rejects = nx_bulk_rejects(bulk, &count);
    cr_assert_eq(count, 1U);
    cr_expect_eq(rejects[0].row, 1U);
    cr_expect_eq(rejects[0].error.status, NX_EFOREIGNKEY);
    nx_bulk_free(bulk);
}
