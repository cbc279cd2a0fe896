/*
 * test_row - columns of a struct read, written, compared and copied; keys.
 */
#include "engine/map.h"
#include "tests/support/mapping_kit.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(row, .init = kit_open, .fini = kit_close);

/* Every type, required and optional. */
#define WIDE(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, boolean, r_boolean)                                                                                            \
    FIELD(E, OPT, boolean, o_boolean)                                                                                            \
    FIELD(E, REQ, i16, r_i16)                                                                                                    \
    FIELD(E, OPT, i16, o_i16)                                                                                                    \
    FIELD(E, REQ, i32, r_i32)                                                                                                    \
    FIELD(E, OPT, i32, o_i32)                                                                                                    \
    FIELD(E, OPT, i64, o_i64)                                                                                                    \
    FIELD(E, REQ, u32, r_u32)                                                                                                    \
    FIELD(E, OPT, u32, o_u32)                                                                                                    \
    FIELD(E, REQ, f64, r_f64)                                                                                                    \
    FIELD(E, OPT, f64, o_f64)                                                                                                    \
    FIELD(E, REQ, text, r_text)                                                                                                  \
    FIELD(E, OPT, text, o_text)                                                                                                  \
    FIELD(E, OPT, longtext, o_longtext)                                                                                          \
    FIELD(E, REQ, bytes, r_bytes)                                                                                                \
    FIELD(E, OPT, bytes, o_bytes)                                                                                                \
    FIELD(E, OPT, decimal, o_decimal)                                                                                            \
    FIELD(E, OPT, json, o_json)                                                                                                  \
    FIELD(E, OPT, date, o_date)                                                                                                  \
    FIELD(E, OPT, time, o_time)                                                                                                  \
    FIELD(E, OPT, timestamp, o_timestamp)                                                                                        \
    FIELD(E, REQ, timestamptz, r_timestamptz)                                                                                    \
    FIELD(E, OPT, interval, o_interval)                                                                                          \
    FIELD(E, OPT, uuid, o_uuid)                                                                                                  \
    FIELD(E, OPT, ulid, o_ulid)                                                                                                  \
    FIELD(E, OPT, enumeration, o_enumeration, .labels = NX_LABELS("a", "b", "c"))                                                \
    FIELD(E, OPT, vector, o_vector)
NX_ENTITY(Wide, WIDE)

#define PAIR(FIELD, E)                                                                                                           \
    FIELD(E, PK, text, region)                                                                                                   \
    FIELD(E, PK, i32, number)                                                                                                    \
    FIELD(E, OPT, text, name)
NX_ENTITY(Pair, PAIR)

#define TOKEN(FIELD, E) FIELD(E, PK, uuid, id, .generate = NX_GENERATE_UUID7)
NX_ENTITY(Token, TOKEN)

#define NOTE(FIELD, E)                                                                                                           \
    FIELD(E, PK, i32, id)                                                                                                        \
    FIELD(E, SINGLE, Wide, wide, .optional = true)                                                                               \
    FIELD(E, SINGLE, Pair, pair, .optional = true)                                                                               \
    FIELD(E, SINGLE, Token, token, .optional = true)                                                                             \
    FIELD(E, REQ, longtext, body)
NX_ENTITY(Note, NOTE)

static void map_all(void)
{
    cr_assert_eq(kit_map(&Wide_entity, &Pair_entity, &Token_entity, &Note_entity), NX_OK, "%s", kit_error.message);
}

/* Two values of each type that differ. */
static nx_value sample(nx_type type, int which)
{
    static const float numbers[] = {1.5f, -2, 3};
    nx_value value = {.type = type};

    switch ((int)type) {
    case NX_TYPE_boolean:
        value.boolean = which != 0;
        break;
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
        value.i64 = -30000 + which;
        break;
    case NX_TYPE_u32:
        value.i64 = (int64_t)UINT32_MAX - which;
        break;
    case NX_TYPE_f64:
        value.f64 = which == 0 ? 0.0 : (double)NAN;
        break;
    case NX_TYPE_bytes:
        value.bytes = nx_bytes_of(which == 0 ? "\0a" : "\0b", 2);
        break;
    case NX_TYPE_decimal:
        value.text = nx_str(which == 0 ? "1.50" : "1.51");
        break;
    case NX_TYPE_date:
        value.date.days = which;
        break;
    case NX_TYPE_time:
        value.time.microseconds = which;
        break;
    case NX_TYPE_timestamp:
        value.timestamp.microseconds = INT64_MIN + which;
        break;
    case NX_TYPE_timestamptz:
        value.timestamptz.microseconds = INT64_MAX - which;
        break;
    case NX_TYPE_interval:
        value.interval = (nx_interval){1, which, 3};
        break;
    case NX_TYPE_uuid:
        value.uuid.byte[15] = (uint8_t)which;
        break;
    case NX_TYPE_ulid:
        value.ulid.byte[15] = (uint8_t)which;
        break;
    case NX_TYPE_enumeration:
        value.enumeration = which;
        break;
    case NX_TYPE_vector:
        value.vector = (nx_vector){numbers + which, 2};
        break;
    default:
        value.text = nx_str(which == 0 ? "" : "text");
        break;
    }
    return value;
}

Test(row, every_type_is_written_and_read)
{
    const nxi_table *table;
    Wide *row;

    map_all();
    table = kit_table(&Wide_entity);
    row = kit_row(&Wide_entity);
    for (int which = 0; which < 2; which++) {
        for (size_t i = 0; i < table->column_count; i++) {
            const nxi_column *column = &table->columns[i];
            nx_value in = sample(column->type, which), out;

            cr_assert(nxi_column_set(column, row, in, NULL));
            nxi_column_get(column, row, &out);
            cr_assert_eq(out.type, column->type, "%s", column->name);
            cr_assert(nxi_value_equal(&in, &out), "%s", column->name);
            cr_assert_not(nxi_column_is_null(column, row));
        }
    }
    cr_assert_eq(row->r_i32, -29999);
    cr_assert_eq(row->o_u32.value, UINT32_MAX - 1);
    cr_assert(row->o_u32.present);
    cr_assert_eq(row->o_interval.value.days, 1);
}

Test(row, null_is_kept_by_every_form_that_has_one)
{
    const nxi_table *table;
    Wide *row;

    map_all();
    table = kit_table(&Wide_entity);
    row = kit_row(&Wide_entity);
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        nx_value out;

        if (column->form != NXI_FORM_OPTIONAL && column->type != NX_TYPE_text && column->type != NX_TYPE_bytes)
            continue;
        cr_assert(nxi_column_set(column, row, sample(column->type, 1), NULL));
        cr_assert(nxi_column_set(column, row, nx_null(), NULL));
        nxi_column_get(column, row, &out);
        cr_assert_eq(out.type, NX_TYPE_null, "%s", column->name);
        cr_assert(nxi_column_is_null(column, row));
    }
    /* Present, but without a pointer: no value either. */
    row->o_text = (nx_opt_text){.present = true};
    cr_assert(nxi_column_is_null(kit_column(&Wide_entity, "o_text"), row));
    nx_value out;
    nxi_column_get(kit_column(&Wide_entity, "o_text"), row, &out);
    cr_assert_eq(out.type, NX_TYPE_null);
}

Test(row, changes_are_seen_by_value)
{
    const nxi_table *table;
    Wide *row;

    map_all();
    table = kit_table(&Wide_entity);
    row = kit_row(&Wide_entity);
    nxi_row_track(row);
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        nx_value copy;

        cr_assert_not(nxi_column_changed(column, row, nxi_row_snapshot(row)), "%s", column->name);
        cr_assert(nxi_column_set(column, row, sample(column->type, 1), NULL));
        cr_assert(nxi_column_changed(column, row, nxi_row_snapshot(row)), "%s", column->name);
        nxi_row_track(row);
        /* The same content elsewhere in memory is no change. */
        nxi_column_get(column, row, &copy);
        cr_assert(nxi_value_copy(&kit_arena, &copy, &copy));
        cr_assert(nxi_column_set(column, row, copy, NULL));
        cr_assert_not(nxi_column_changed(column, row, nxi_row_snapshot(row)), "%s", column->name);
        cr_assert(nxi_column_set(column, row, sample(column->type, 0), NULL));
        cr_assert(nxi_column_changed(column, row, nxi_row_snapshot(row)), "%s", column->name);
        if (column->nullable) {
            nxi_row_track(row);
            cr_assert(nxi_column_set(column, row, nx_null(), NULL));
            cr_assert(nxi_column_changed(column, row, nxi_row_snapshot(row)), "%s", column->name);
        }
    }
}

Test(row, null_and_empty_text_differ)
{
    const nxi_column *text;
    Wide *row;

    map_all();
    text = kit_column(&Wide_entity, "r_text");
    row = kit_row(&Wide_entity);
    row->r_text = nx_str(NULL);
    nxi_row_track(row);
    row->r_text = nx_str("");
    cr_assert(nxi_column_changed(text, row, nxi_row_snapshot(row)));
    row->r_text = (nx_text){NULL, 5};
    cr_assert_not(nxi_column_changed(text, row, nxi_row_snapshot(row)));
}

/* ---------------------------------------------------------------------------- references */

static nx_value get(const char *field, size_t part, const void *row)
{
    nx_value value;

    nxi_column_get(kit_column(&Note_entity, field) + part, row, &value);
    return value;
}

Test(row, a_reference_reads_the_row_or_the_key)
{
    Note *note;
    Wide *wide;

    map_all();
    note = kit_row(&Note_entity);
    wide = kit_row(&Wide_entity);
    cr_assert_eq(get("wide", 0, note).type, NX_TYPE_null);
    nx_set_ref(note->wide, wide);
    cr_assert_eq(get("wide", 0, note).type, NX_TYPE_null, "a row that has no key yet");
    cr_assert(nxi_column_is_null(kit_column(&Note_entity, "wide"), note));
    wide->id = 7;
    cr_assert_eq(get("wide", 0, note).i64, 7);
    nxi_row_track(note);
    nx_set_ref_key(note->wide, 7);
    cr_assert_eq(get("wide", 0, note).i64, 7);
    cr_assert_eq(get("wide", 0, note).type, NX_TYPE_i64);
    cr_assert_not(nxi_column_changed(kit_column(&Note_entity, "wide"), note, nxi_row_snapshot(note)), "the same key");
    nx_set_ref_key(note->wide, 8);
    cr_assert(nxi_column_changed(kit_column(&Note_entity, "wide"), note, nxi_row_snapshot(note)));
    nx_set_ref(note->wide, NULL);
    cr_assert(nxi_column_is_null(kit_column(&Note_entity, "wide"), note));
}

Test(row, a_made_key_that_is_zero_is_none)
{
    Note *note;
    Token *token;
    nx_value key;

    map_all();
    note = kit_row(&Note_entity);
    token = kit_row(&Token_entity);
    cr_assert_not(nxi_row_has_key(kit_table(&Token_entity), token));
    nx_set_ref(note->token, token);
    cr_assert_eq(get("token", 0, note).type, NX_TYPE_null);
    token->id = nx_uuid7();
    cr_assert(nxi_row_has_key(kit_table(&Token_entity), token));
    key = get("token", 0, note);
    cr_assert_eq(memcmp(&key.uuid, &token->id, sizeof(nx_uuid)), 0);
    nxi_row_clear_key(kit_table(&Token_entity), token);
    cr_assert_not(nxi_row_has_key(kit_table(&Token_entity), token));
}

Test(row, references_to_composite_keys)
{
    nx_value parts[] = {NX_VALUE("eu"), NX_VALUE(5)};
    const nxi_column *pair;
    nx_value part;
    Note *note;
    Pair *row;

    map_all();
    pair = kit_column(&Note_entity, "pair");
    note = kit_row(&Note_entity);
    row = kit_row(&Pair_entity);
    row->region = nx_str("us");
    row->number = 9;
    nx_set_ref(note->pair, row);
    cr_assert_str_eq(get("pair", 0, note).text.data, "us");
    cr_assert_eq(get("pair", 1, note).i64, 9);
    note->pair.row = NULL;
    note->pair.key = (nx_key){.parts = parts, .part_count = 2};
    cr_assert_str_eq(get("pair", 0, note).text.data, "eu");
    cr_assert_eq(get("pair", 1, note).i64, 5);
    cr_assert_eq(get("pair", 1, note).type, NX_TYPE_i32, "an integer becomes the column's");
    note->pair.key.part_count = 1;
    cr_assert_eq(get("pair", 1, note).type, NX_TYPE_null, "a key that is too short reads no memory");

    /* Set part by part, as rows are read; the snapshot keeps its own parts. */
    cr_assert(nxi_column_set(pair, note, NX_VALUE("eu"), &kit_arena));
    part = (nx_value){.type = NX_TYPE_i32, .i64 = 5};
    cr_assert(nxi_column_set(pair + 1, note, part, &kit_arena));
    nxi_row_track(note);
    cr_assert(nxi_column_set(pair, note, NX_VALUE("eu"), &kit_arena));
    part.i64 = 6;
    cr_assert(nxi_column_set(pair + 1, note, part, &kit_arena));
    cr_assert_not(nxi_column_changed(pair, note, nxi_row_snapshot(note)));
    cr_assert(nxi_column_changed(pair + 1, note, nxi_row_snapshot(note)));
    cr_assert(nxi_column_set(pair, note, nx_null(), &kit_arena));
    cr_assert(nxi_column_set(pair + 1, note, part, &kit_arena));
    cr_assert_eq(note->pair.key.part_count, 0, "a key with a NULL refers to nothing");
}

/* ---------------------------------------------------------------------------------- keys */

Test(row, keys_hash_and_compare_alike_from_rows_and_values)
{
    nx_value values[] = {NX_VALUE("eu"), {.type = NX_TYPE_i32, .i64 = 5}}, id = nx_value_i64(-3);
    const nxi_table *table;
    Pair *a, *b;
    Wide *wide;

    map_all();
    table = kit_table(&Pair_entity);
    a = kit_row(&Pair_entity);
    b = kit_row(&Pair_entity);
    cr_assert_not(nxi_row_has_key(table, a));
    a->region = nx_str("eu");
    a->number = 5;
    b->region = nx_strn("eur", 2);
    b->number = 5;
    cr_assert(nxi_row_has_key(table, a));
    cr_assert_eq(nxi_row_key_hash(table, a), nxi_row_key_hash(table, b));
    cr_assert_eq(nxi_row_key_hash(table, a), nxi_key_hash(table, values));
    cr_assert(nxi_row_key_equal(table, a, b));
    cr_assert(nxi_row_key_is(table, a, values));
    b->number = 6;
    cr_assert_not(nxi_row_key_equal(table, a, b));
    cr_assert_not(nxi_row_key_is(table, b, values));
    cr_assert_neq(nxi_row_key_hash(table, a), nxi_row_key_hash(table, b));

    table = kit_table(&Wide_entity);
    wide = kit_row(&Wide_entity);
    cr_assert_not(nxi_row_has_key(table, wide));
    wide->id = -3;
    cr_assert(nxi_row_has_key(table, wide));
    cr_assert_eq(nxi_row_key_hash(table, wide), nxi_key_hash(table, &id));
    cr_assert_eq(nxi_row_key_hash(table, wide), nxi_hash_u64((uint64_t)INT64_C(-3)));
    cr_assert(nxi_row_key_is(table, wide, &id));
}

/* -------------------------------------------------------------------------------- copies */

Test(row, copies_are_deep_and_leave_out_what_is_not_loaded)
{
    char text[] = "note", region[] = "eu";
    const nxi_table *table;
    Note *from, *to;
    Pair *pair;

    map_all();
    table = kit_table(&Note_entity);
    from = kit_row(&Note_entity);
    to = kit_row(&Note_entity);
    pair = kit_row(&Pair_entity);
    pair->region = nx_str("eu");
    pair->number = 5;
    from->id = 3;
    from->pair.key = (nx_key){.parts = (const nx_value[]){NX_VALUE(region), NX_VALUE(5)}, .part_count = 2};
    nx_set_ref_key(from->wide, 8);
    nx_set_ref(to->pair, pair);
    from->body = nx_str("not loaded");
    to->body = nx_str("kept");
    nxi_row_of(from)->lazy_missing = table->lazy_mask;
    nxi_row_of(to)->lazy_missing = table->lazy_mask;
    cr_assert(nxi_row_copy(table, to, from, &kit_arena));
    cr_assert_eq(to->id, 3);
    cr_assert_str_eq(to->body.data, "kept");
    cr_assert_eq((void *)to->pair.row, (void *)pair, "a row with the same key stays");
    cr_assert_eq(to->wide.key.value.i64, 8);
    cr_assert_eq(nxi_row_of(to)->lazy_missing, table->lazy_mask);

    from->body = nx_str(text);
    nxi_row_of(from)->lazy_missing = 0;
    pair->number = 6;
    cr_assert(nxi_row_copy(table, to, from, &kit_arena));
    text[0] = region[0] = 'X';
    cr_assert_str_eq(to->body.data, "note");
    cr_assert_null(to->pair.row);
    cr_assert_str_eq(to->pair.key.parts[0].text.data, "eu");
    cr_assert_eq(nxi_row_of(to)->lazy_missing, 0);
}

static void make_answer(void *member)
{
    *(nx_i32 *)member = 42;
}

#define FRESH(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, title, .initial = "untitled")                                                                            \
    FIELD(E, OPT, boolean, draft, .initial = "true")                                                                             \
    FIELD(E, OPT, decimal, price, .initial = "1.50")                                                                             \
    FIELD(E, REQ, i32, answer, .initial_call = make_answer)                                                                      \
    FIELD(E, LOCAL, i32_local, scratch, .initial_call = make_answer)
typedef nx_i32 i32_local;
NX_ENTITY(Fresh, FRESH)

Test(row, new_rows_have_the_initial_values)
{
    Fresh *row;

    cr_assert_eq(kit_map(&Fresh_entity), NX_OK, "%s", kit_error.message);
    row = kit_row(&Fresh_entity);
    cr_assert_str_eq(row->title.data, "untitled");
    cr_assert(row->draft.present && row->draft.value);
    cr_assert(row->price.present);
    cr_assert_str_eq(row->price.value.data, "1.50");
    cr_assert_eq(row->answer, 42);
    cr_assert_eq(row->scratch, 42);
    cr_assert_eq(row->id, 0);
    cr_assert_eq(nxi_row_of(row)->state, NXI_ROW_NEW);
    cr_assert_eq(nxi_row_of(row)->flags, NXI_ROW_TRACKED);
    cr_assert_eq((uintptr_t)row % 16, 0);
}

Test(row, no_memory_is_an_answer)
{
    map_all();
    kit_arena.next = kit_arena.end; /* the chunk is used up */
    nxi_memory_fail(1, true);
    cr_assert_null(nxi_row_new(&kit_arena, kit_table(&Wide_entity), NULL));
    cr_assert_not(nxi_column_set(kit_column(&Note_entity, "pair"), (char[sizeof(Note)]){0}, NX_VALUE("eu"), &kit_arena));
    nxi_memory_fail(0, false);
}
