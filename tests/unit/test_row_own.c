/*
 * test_row_own - rows that own what they keep: copies of the caller's memory, what counts as a change, values that go back.
 */
#include "tests/support/mapping_kit.h"

#include <criterion/criterion.h>

TestSuite(row_own, .init = kit_open, .fini = kit_close);

#define PAIR(FIELD, E)                                                                                                           \
    FIELD(E, PK, text, region)                                                                                                   \
    FIELD(E, PK, i32, number)                                                                                                    \
    FIELD(E, OPT, text, name)
NX_ENTITY(Pair, PAIR)

#define TOKEN(FIELD, E) FIELD(E, PK, uuid, id, .generate = NX_GENERATE_UUID7)
NX_ENTITY(Token, TOKEN)

/* A composite key without any text, local members between the stored ones, what no UPDATE writes. */
#define SPOT(FIELD, E)                                                                                                           \
    FIELD(E, PK, i32, x, .caller_assigned = true)                                                                                \
    FIELD(E, PK, i64, y, .caller_assigned = true)
NX_ENTITY(Spot, SPOT)
#define DRAFT(FIELD, E)                                                                                                          \
    FIELD(E, PK, i32, id)                                                                                                        \
    FIELD(E, LOCAL, char, scratch)                                                                                               \
    FIELD(E, REQ, text, title)                                                                                                   \
    FIELD(E, OPT, decimal, price)                                                                                                \
    FIELD(E, OPT, vector, place)                                                                                                 \
    FIELD(E, LOCAL, void *, cache)                                                                                               \
    FIELD(E, OPT, text, seen, .is_volatile = true)                                                                               \
    FIELD(E, REQ, i32, version, .version = true)                                                                                 \
    FIELD(E, SINGLE, Pair, pair, .optional = true)                                                                               \
    FIELD(E, SINGLE, Spot, spot, .optional = true)                                                                               \
    FIELD(E, SINGLE, Token, token, .optional = true)                                                                             \
    FIELD(E, LOCAL, long, hits)
NX_ENTITY(Draft, DRAFT)
#define REVISION(FIELD, E) FIELD(E, PK, i64, id) FIELD(E, REQ, i64, version, .version = true)
NX_ENTITY(Revision, REVISION)

static void map_drafts(void)
{
    cr_assert_eq(kit_map(&Draft_entity, &Pair_entity, &Spot_entity, &Token_entity, &Revision_entity), NX_OK, "%s",
                 kit_error.message);
}

/* The caller's memory: texts, numbers and parts of keys. */
typedef struct owned {
    char title[8], price[8], seen[8], region[8];
    float place[2];
    nx_value pair[2], spot[2];
} owned;

static owned *fill(owned *mine, Draft *draft)
{
    *mine = (owned){ .title = "title", .price = "1.50", .seen = "seen", .region = "eu", .place = { 1, 2 } };
    mine->pair[0] = nx_value_str(mine->region);
    mine->pair[1] = nx_value_i64(5);
    mine->spot[0] = nx_value_i64(3);
    mine->spot[1] = nx_value_i64(4);
    draft->title = nx_str(mine->title);
    draft->price = nx_some(decimal, nx_dec(mine->price));
    draft->seen = nx_some(text, nx_str(mine->seen));
    draft->place = nx_some(vector, ((nx_vector){ mine->place, 2 }));
    draft->pair.row = NULL;
    draft->pair.key = (nx_key){ .parts = mine->pair, .part_count = 2 };
    draft->spot.row = NULL;
    draft->spot.key = (nx_key){ .parts = mine->spot, .part_count = 2 };
    return mine;
}

static void expect_own(const Draft *draft, const owned *mine)
{
    cr_assert_str_eq(draft->title.data, "title");
    cr_assert_str_eq(draft->price.value.data, "1.50");
    cr_assert_str_eq(draft->seen.value.data, "seen");
    cr_assert(draft->place.value.size == 2 && draft->place.value.data[1] == 2);
    cr_assert_eq(draft->pair.key.part_count, 2);
    cr_assert_str_eq(draft->pair.key.parts[0].text.data, "eu");
    cr_assert_eq(draft->pair.key.parts[1].i64, 5);
    cr_assert_eq(draft->spot.key.parts[0].i64, 3);
    cr_assert_eq(draft->spot.key.parts[1].i64, 4);
    cr_assert(draft->title.data != mine->title && draft->seen.value.data != mine->seen && draft->pair.key.parts != mine->pair &&
              draft->spot.key.parts != mine->spot && draft->place.value.data != mine->place);
}

Test(row_own, own_copies_all_that_the_struct_points_to_and_writes_to_nothing)
{
    owned mine, before;
    Draft *draft;

    map_drafts();
    draft = kit_row(&Draft_entity);
    before = *fill(&mine, draft);
    cr_assert(nxi_row_own(draft, &kit_arena));
    cr_assert_eq(memcmp(&mine, &before, sizeof(mine)), 0, "the caller's arrays are not written to");
    memset(&mine, 0xee, sizeof(mine));
    expect_own(draft, &mine);
}

Test(row_own, own_all_goes_back_to_equal_values_of_the_snapshot)
{
    owned mine;
    Draft *draft, *snapshot;
    const char *price;

    map_drafts();
    draft = kit_row(&Draft_entity);
    snapshot = nxi_row_snapshot(draft);
    fill(&mine, draft);
    cr_assert(nxi_row_own(draft, &kit_arena));
    nxi_row_track(draft);
    price = snapshot->price.value.data;

    /* The same values in other memory, and one that differs. */
    fill(&mine, draft);
    memcpy(mine.title, "other", 6);
    draft->title.size = 5;
    cr_assert(nxi_row_changed(draft));
    cr_assert(nxi_row_own_all(draft, &kit_arena));
    memset(&mine, 0xee, sizeof(mine));
    cr_assert_str_eq(draft->title.data, "other");
    cr_assert_str_eq(snapshot->title.data, "title", "the snapshot stays");
    cr_assert(draft->price.value.data == price && draft->pair.key.parts == snapshot->pair.key.parts, "nothing is copied");
    nxi_row_track(draft);

    /* Nothing differs by value: no memory is needed, and both images are the same again. */
    fill(&mine, draft);
    draft->title = nx_str("other");
    draft->seen = snapshot->seen;
    cr_assert_not(nxi_row_is_same_bytes(draft));
    cr_assert_not(nxi_row_changed(draft));
    nxi_arena none;
    nxi_arena_init(&none, kit_memory);
    cr_assert(nxi_row_own_all(draft, &none));
    cr_assert_eq(none.bytes, 0);
    memset(&mine, 0xee, sizeof(mine));
    nxi_row_track(draft);
    cr_assert(nxi_row_is_same_bytes(draft));
    cr_assert_str_eq(draft->pair.key.parts[0].text.data, "eu");
}

Test(row_own, own_all_keeps_a_volatile_value_and_clears_what_stands_beside_a_row)
{
    static char seen[] = "now", left[] = "left";
    Draft *draft;
    Pair *pair;

    map_drafts();
    draft = kit_row(&Draft_entity);
    pair = kit_row(&Pair_entity);
    draft->title = nx_str("t");
    pair->region = nx_str("us");
    pair->number = 1;
    cr_assert(nxi_row_own(draft, &kit_arena));
    nxi_row_track(draft);
    draft->seen = nx_some(text, nx_str(seen));
    draft->price = (nx_opt_decimal){ .value = { left, 4 }, .present = false };
    draft->pair.row = pair;
    draft->pair.key = (nx_key){ .parts = (const nx_value *)(const void *)seen, .part_count = 2 }; /* left there, and no array */
    cr_assert(nxi_row_own_all(draft, &kit_arena));
    cr_assert(draft->seen.value.data != seen && strcmp(draft->seen.value.data, "now") == 0);
    cr_assert_null(draft->price.value.data);
    cr_assert(draft->pair.row == pair && draft->pair.key.part_count == 0);
    nxi_row_track(draft);
    const char *kept = draft->seen.value.data;
    cr_assert(nxi_row_own_all(draft, &kit_arena));
    cr_assert(draft->seen.value.data == kept, "not copied again");
}

Test(row_own, changed_is_what_an_update_would_write)
{
    Draft *draft;
    Pair *pair;
    int here;

    map_drafts();
    draft = kit_row(&Draft_entity);
    pair = kit_row(&Pair_entity);
    pair->region = nx_str("us");
    pair->number = 1;
    draft->title = nx_str("t");
    draft->place = nx_some(vector, ((nx_vector){ (const float[]){ 1 }, 1 }));
    draft->pair.key = (nx_key){ .parts = (const nx_value[]){ NX_VALUE("us"), NX_VALUE(1) }, .part_count = 2 };
    nxi_row_track(draft);
    cr_assert_not(nxi_row_changed(draft));
    draft->scratch = 'x';
    draft->cache = &here;
    draft->hits = 7;
    cr_assert(nxi_row_is_same_bytes(draft), "local members are no columns");
    draft->version = 9;
    draft->seen = nx_some(text, nx_str("now"));
    cr_assert_not(nxi_row_changed(draft), "neither the version nor a volatile column");
    nxi_row_of(pair)->state = NXI_ROW_STORED;
    nx_set_ref(draft->pair, pair);
    cr_assert_not(nxi_row_changed(draft), "the row of the same key");
    nxi_row_of(pair)->state = NXI_ROW_NEW;
    cr_assert(nxi_row_changed(draft), "a row that is still to be inserted");
    nxi_row_of(pair)->state = NXI_ROW_STORED;
    pair->number = 2;
    cr_assert(nxi_row_changed(draft));
    pair->number = 1;
    draft->price = nx_some(decimal, nx_dec(""));
    cr_assert(nxi_row_changed(draft), "empty is not NULL");
}

Test(row_own, restore_leaves_local_members)
{
    char image[sizeof(Draft)];
    Draft *draft;
    int here;

    map_drafts();
    draft = kit_row(&Draft_entity);
    draft->title = nx_str("t");
    draft->version = 3;
    draft->token.key = (nx_key){ .value = { .type = NX_TYPE_uuid }, .part_count = 1 };
    memcpy(image, draft, sizeof(image));
    draft->title = nx_str("other");
    draft->version = 4;
    draft->token.key.part_count = 0;
    draft->scratch = 'x';
    draft->cache = &here;
    draft->hits = 7;
    nxi_row_restore(draft, image);
    cr_assert_str_eq(draft->title.data, "t");
    cr_assert_eq(draft->version, 3);
    cr_assert_eq(draft->token.key.part_count, 1);
    cr_assert(draft->scratch == 'x' && draft->cache == &here && draft->hits == 7);
    cr_assert_eq(kit_table(&Pair_entity)->stored_count, 1, "one piece where all members are stored");
    cr_assert_eq(kit_table(&Draft_entity)->stored_count, 3);
}

Test(row_own, copy_gives_an_equal_key_memory_of_its_own)
{
    owned mine;
    Draft *to, *from;

    map_drafts();
    to = kit_row(&Draft_entity);
    from = kit_row(&Draft_entity);
    fill(&mine, to);
    from->title = nx_str("t");
    from->pair.key = (nx_key){ .parts = (const nx_value[]){ NX_VALUE("eu"), NX_VALUE(5) }, .part_count = 2 };
    cr_assert(nxi_row_copy(kit_table(&Draft_entity), to, from, &kit_arena));
    cr_assert(to->pair.key.parts != mine.pair);
    memset(&mine, 0xee, sizeof(mine));
    cr_assert_str_eq(to->pair.key.parts[0].text.data, "eu");
    cr_assert_eq(to->spot.key.part_count, 0);
}

Test(row_own, parts_of_a_key_are_set_in_an_array_of_their_own)
{
    const nx_value mine[] = { NX_VALUE("eu"), NX_VALUE(5) };
    const nxi_column *pair;
    nx_value part = { .type = NX_TYPE_i32, .i64 = 6 };
    Draft *draft;

    map_drafts();
    draft = kit_row(&Draft_entity);
    pair = kit_column(&Draft_entity, "pair");
    draft->pair.key = (nx_key){ .parts = mine, .part_count = 2 };
    cr_assert(nxi_column_set(pair + 1, draft, part, &kit_arena));
    cr_assert(mine[1].i64 == 5 && draft->pair.key.parts != mine);
    cr_assert_str_eq(draft->pair.key.parts[0].text.data, "eu");
    cr_assert_eq(draft->pair.key.parts[1].i64, 6);
}

Test(row_own, version_ends_at_the_greatest_of_its_type)
{
    int64_t next;
    Draft *draft;
    Revision *revision;

    map_drafts();
    draft = kit_row(&Draft_entity);
    revision = kit_row(&Revision_entity);
    draft->version = -1;
    cr_assert(nxi_version_next(kit_table(&Draft_entity)->version, draft, &next));
    cr_assert_eq(next, 0);
    draft->version = INT32_MAX - 1;
    cr_assert(nxi_version_next(kit_table(&Draft_entity)->version, draft, &next));
    cr_assert_eq(next, INT32_MAX);
    draft->version = INT32_MAX;
    cr_assert_not(nxi_version_next(kit_table(&Draft_entity)->version, draft, &next));
    revision->version = INT32_MAX;
    cr_assert(nxi_version_next(kit_table(&Revision_entity)->version, revision, &next));
    revision->version = INT64_MAX;
    cr_assert_not(nxi_version_next(kit_table(&Revision_entity)->version, revision, &next));
}
