/*
 * test_table - entities compiled into tables: columns, names, order, and every mapping error.
 */
#include "tests/support/mapping_kit.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(table, .init = kit_open, .fini = kit_close);

#define REGION(FIELD, E)                                                                                                         \
    FIELD(E, OPT, text, note)                                                                                                    \
    FIELD(E, PK, text, country, .max_len = 2)                                                                                    \
    FIELD(E, PK, i32, number)                                                                                                    \
    FIELD(E, SET, Person, people)
#define PERSON(FIELD, E)                                                                                                         \
    FIELD(E, REQ, text, name, .max_len = 80)                                                                                     \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Region, home)                                                                                               \
    FIELD(E, SINGLE, Person, boss, .optional = true)                                                                             \
    FIELD(E, OPT, longtext, story)                                                                                               \
    FIELD(E, REQ, i32, changes, .version = true)                                                                                 \
    FIELD(E, LOCAL, int, scratch)                                                                                                \
    FIELD(E, REQ, bytes, photo, .lazy = NX_ON, .column = "picture")
NX_ENTITY_DECLARE(Region, REGION)
NX_ENTITY_DECLARE(Person, PERSON)
NX_ENTITY_DEFINE(Region, REGION)
NX_ENTITY_DEFINE(Person, PERSON, .table = "staff", .indexes = NX_LIST("name, home"), .uniques = NX_LIST("home , boss"))

Test(table, columns_are_keys_first_then_fields)
{
    static const char *const expected[] = {"id", "name", "home_country", "home_number", "boss_id", "story", "changes", "picture"};
    const nxi_table *person, *region;

    cr_assert_eq(kit_map(&Person_entity, &Region_entity), NX_OK, "%s", kit_error.message);
    person = kit_table(&Person_entity);
    region = kit_table(&Region_entity);
    cr_assert_str_eq(person->name, "staff");
    cr_assert_str_eq(region->name, "region");
    cr_assert_eq(person->column_count, NXI_COUNT(expected));
    for (size_t i = 0; i < NXI_COUNT(expected); i++) {
        cr_assert_str_eq(person->columns[i].name, expected[i]);
        cr_assert_eq(person->columns[i].index, i);
        cr_assert_eq((const void *)nxi_table_column_named(person, nx_str(expected[i])), (const void *)&person->columns[i]);
    }
    cr_assert_eq(person->key_count, 1);
    cr_assert_eq((const void *)person->auto_key, (const void *)&person->columns[0]);
    cr_assert_eq((const void *)person->version, (const void *)&person->columns[6]);
    cr_assert_eq(region->key_count, 2);
    cr_assert_null(region->auto_key);
    cr_assert_str_eq(region->columns[0].name, "country");
    cr_assert_eq(region->columns[1].key_part, 1);
    cr_assert_eq(person->row_size, (sizeof(Person) + 15) / 16 * 16);
    cr_assert_eq(person->lazy_count, 2);
    cr_assert_eq(person->lazy_mask, 3);
    cr_assert_eq(person->field_column[Person_scratch_field], UINT16_MAX);
    cr_assert_eq(person->field_column[Person_id_field], 0);
    cr_assert_eq(person->field_column[Person_home_field], 2);
    cr_assert_null(nxi_table_column(person, nx_str("scratch")));
    cr_assert_null(nxi_table_column(person, nx_str("nobody")));
    cr_assert_null(nxi_table_column(person, nx_str(NULL)));
    cr_assert_null(nxi_table_column_named(person, nx_str("photo")));
}

Test(table, references_take_type_and_length_of_the_key)
{
    const nxi_column *home, *boss;

    cr_assert_eq(kit_map(&Person_entity, &Region_entity), NX_OK, "%s", kit_error.message);
    home = kit_column(&Person_entity, "home");
    boss = kit_column(&Person_entity, "boss");
    cr_assert_eq(home[0].type, NX_TYPE_text);
    cr_assert_eq(home[0].max_len, 2);
    cr_assert_eq(home[1].type, NX_TYPE_i32);
    cr_assert_eq(home[1].key_part, 1);
    cr_assert_eq((const void *)home[1].target_column, (const void *)&kit_table(&Region_entity)->columns[1]);
    cr_assert_not(home[0].nullable);
    cr_assert(boss->nullable);
    cr_assert_eq((const void *)boss->target, (const void *)kit_table(&Person_entity));
    cr_assert(kit_table(&Person_entity)->in_cycle);
    cr_assert_not(kit_table(&Region_entity)->in_cycle);
}

/* ------------------------------------------------------------------------------- errors */

/* Fields of a run-time entity after a good key; maps it and checks the error's message. */
static void check_fields(const nx_field *fields, size_t count, const nx_entity *options, const char *expected)
{
    nx_entity *made = NULL;
    nx_status status = nx_entity_new("Bad", fields, count, options, &made);

    cr_assert_eq(status, NX_OK, "%s", expected);
    status = kit_map(made, &Region_entity, &Person_entity);
    cr_assert_eq(status, NX_EMAPPING, "%s", expected);
    cr_assert_eq(kit_error.status, NX_EMAPPING);
    cr_assert_not_null(strstr(kit_error.message, expected), "'%s' in '%s'", expected, kit_error.message);
    cr_assert_eq(strncmp(kit_error.message, "Bad", 3), 0, "%s", kit_error.message);
    nx_entity_free(made);
}

#define GOOD_KEY                                                                                                                 \
    {                                                                                                                            \
        .name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i64                                                                    \
    }
#define CHECK_FIELD(expected, ...) check_fields((const nx_field[]){GOOD_KEY, {.name = "f", __VA_ARGS__}}, 2, NULL, expected)
#define REQ(t)                     .kind = NX_KIND_REQ, .type = NX_TYPE_##t
#define OPT(t)                     .kind = NX_KIND_OPT, .type = NX_TYPE_##t
#define SINGLE                     .kind = NX_KIND_SINGLE, .target = &Region_entity

static void set_nothing(void *member)
{
    (void)member;
}

static bool accept(const void *member)
{
    return member != NULL;
}

Test(table, options_that_do_not_fit)
{
    CHECK_FIELD("max_len does not fit i32", REQ(i32), .max_len = 5);
    CHECK_FIELD("max_len does not fit a reference", SINGLE, .max_len = 5);
    CHECK_FIELD("min does not fit text", REQ(text), .min = "a");
    CHECK_FIELD("max does not fit boolean", REQ(boolean), .max = "1");
    CHECK_FIELD("labels does not fit text", REQ(text), .labels = NX_LABELS("a"));
    CHECK_FIELD("precision does not fit f64", REQ(f64), .precision = 5);
    CHECK_FIELD("scale does not fit decimal", REQ(decimal), .precision = 5, .scale = 6);
    CHECK_FIELD("scale does not fit decimal", REQ(decimal), .scale = 2);
    CHECK_FIELD("dimensions does not fit text", REQ(text), .dimensions = 3);
    CHECK_FIELD("autostrip does not fit i32", REQ(i32), .autostrip = NX_ON);
    CHECK_FIELD("lazy does not fit a reference", SINGLE, .lazy = NX_ON);
    CHECK_FIELD("generate does not fit uuid", REQ(uuid), .generate = NX_GENERATE_UUID7);
    CHECK_FIELD("generate does not fit i64", .kind = NX_KIND_PK, .type = NX_TYPE_i64, .generate = NX_GENERATE_UUID7);
    CHECK_FIELD("generate does not fit uuid", .kind = NX_KIND_PK, .type = NX_TYPE_uuid, .generate = NX_GENERATE_ULID);
    CHECK_FIELD("generate does not fit ulid", .kind = NX_KIND_PK, .type = NX_TYPE_ulid, .generate = NX_GENERATE_UUID4);
    CHECK_FIELD("caller_assigned does not fit i64", REQ(i64), .caller_assigned = true);
    CHECK_FIELD("optional does not fit i64", REQ(i64), .optional = true);
    CHECK_FIELD("is_volatile does not fit i64 as primary key", .kind = NX_KIND_PK, .type = NX_TYPE_i64, .is_volatile = true);
    CHECK_FIELD("version does not fit text", REQ(text), .version = true);
    CHECK_FIELD("version does not fit i32", OPT(i32), .version = true);
    CHECK_FIELD("version does not fit i32", REQ(i32), .version = true, .is_volatile = true);
    CHECK_FIELD("reverse does not fit text", REQ(text), .reverse = "x");
    CHECK_FIELD("join_table does not fit a reference", SINGLE, .join_table = "x");
    CHECK_FIELD("fk_name does not fit text", REQ(text), .fk_name = "x");
    CHECK_FIELD("on_delete does not fit text", REQ(text), .on_delete = NX_ON_DELETE_CASCADE);
    CHECK_FIELD("on_delete: set null does not fit a reference", SINGLE, .on_delete = NX_ON_DELETE_SET_NULL);
    CHECK_FIELD("sql_type does not fit a reference", SINGLE, .sql_type = "INT");
    CHECK_FIELD("sql_default does not fit a reference", SINGLE, .sql_default = "1");
    CHECK_FIELD("initial does not fit a reference", SINGLE, .initial = "1");
    CHECK_FIELD("initial_call does not fit i32", REQ(i32), .initial = "1", .initial_call = set_nothing);
    CHECK_FIELD("unique does not fit a local field", .kind = NX_KIND_LOCAL, .size = 4, .unique = true);
    CHECK_FIELD("check does not fit a local field", .kind = NX_KIND_LOCAL, .size = 4, .check = accept);
    CHECK_FIELD("column does not fit a collection", .kind = NX_KIND_SET, .target = &Region_entity, .column = "x");
    CHECK_FIELD("max_len is at most", REQ(text), .max_len = SIZE_MAX);
    CHECK_FIELD("cannot be a primary key", .kind = NX_KIND_PK, .type = NX_TYPE_json);
    CHECK_FIELD("cannot be a primary key", .kind = NX_KIND_PK, .type = NX_TYPE_vector);
}

Test(table, values_of_options_that_do_not_parse)
{
    CHECK_FIELD("'40000' is no value of type i16", REQ(i16), .initial = "40000");
    CHECK_FIELD("'x' is no value of type date", OPT(date), .initial = "x");
    CHECK_FIELD("'\xff' is no value of type text", REQ(text), .initial = "\xff");
    CHECK_FIELD("'c' is no value of type enumeration", REQ(enumeration), .labels = NX_LABELS("a", "b"), .initial = "c");
    CHECK_FIELD("'1.5' is no value of type i32", REQ(i32), .min = "1.5");
    CHECK_FIELD("'-' is no value of type decimal", REQ(decimal), .max = "-");
    CHECK_FIELD("min 2 is greater than max 1", REQ(i32), .min = "2", .max = "1");
    CHECK_FIELD("min 10 is greater than max 9.99", REQ(decimal), .min = "10", .max = "9.99");
    CHECK_FIELD("an enumeration needs labels", REQ(enumeration));
    CHECK_FIELD("an enumeration needs labels", REQ(enumeration), .labels = NX_LABELS(NULL));
    CHECK_FIELD("label 1 is empty", REQ(enumeration), .labels = NX_LABELS("a", ""));
    CHECK_FIELD("label 0 is empty or no valid UTF-8", REQ(enumeration), .labels = NX_LABELS("\xc0"));
    CHECK_FIELD("the label 'a' is there twice", REQ(enumeration), .labels = NX_LABELS("a", "b", "a"));
}

Test(table, names_that_collide_or_cannot_be_held)
{
    char longest[KIT_IDENTIFIER_BYTES + 2];

    memset(longest, 'n', sizeof(longest));
    longest[KIT_IDENTIFIER_BYTES + 1] = '\0';
    CHECK_FIELD("the column 'ID' is that of field 'id' too", REQ(text), .column = "ID");
    CHECK_FIELD("the column name '' is empty", REQ(text), .column = "");
    CHECK_FIELD("the column name '\xff' is empty, no valid UTF-8", REQ(text), .column = "\xff");
    CHECK_FIELD("longer than the 40 bytes of Plain", REQ(text), .column = longest);
}

Test(table, table_names)
{
    static const nx_field key[] = {GOOD_KEY};
    char longest[KIT_IDENTIFIER_BYTES + 2];

    memset(longest, 'n', sizeof(longest));
    longest[KIT_IDENTIFIER_BYTES + 1] = '\0';
    check_fields(key, 1, &(nx_entity){.table = ""}, "the table name '' is empty");
    check_fields(key, 1, &(nx_entity){.table = "\xed\xa0\x80"}, "no valid UTF-8");
    check_fields(key, 1, &(nx_entity){.table = longest}, "longer than the 40 bytes of Plain");
}

Test(table, keys_and_versions)
{
    static const nx_field none[] = {{.name = "a", REQ(i64)}};
    static const nx_field two[] = {GOOD_KEY, {.name = "a", REQ(i32), .version = true}, {.name = "b", REQ(i32), .version = true}};
    static const nx_field assigned[] = {{.name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i32, .caller_assigned = true}};
    nx_entity *made = NULL;

    check_fields(none, 1, NULL, "no primary key");
    check_fields(two, 3, NULL, "more than one version field");
    cr_assert_eq(nx_entity_new("Assigned", assigned, 1, NULL, &made), NX_OK);
    cr_assert_eq(kit_map(made), NX_OK);
    cr_assert_null(kit_table(made)->auto_key);
    nx_entity_free(made);
}

Test(table, at_most_32_lazy_fields)
{
    nx_field fields[34] = {GOOD_KEY};
    char names[34][8];
    nx_entity *made = NULL;

    for (size_t i = 1; i < NXI_COUNT(fields); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "f%zu", i);
        fields[i] = (nx_field){.name = names[i], OPT(longtext)};
    }
    cr_assert_eq(nx_entity_new("Bad", fields, 33, NULL, &made), NX_OK);
    cr_assert_eq(kit_map(made), NX_OK, "%s", kit_error.message);
    cr_assert_eq(kit_table(made)->lazy_mask, UINT32_MAX);
    nx_entity_free(made);
    check_fields(fields, 34, NULL, "more than 32 lazy fields");
}

Test(table, lists_of_fields)
{
    static const nx_field fields[] = {GOOD_KEY, {.name = "a", REQ(text)}, {.name = "l", .kind = NX_KIND_LOCAL, .size = 4}};

    check_fields(fields, 3, &(nx_entity){.indexes = NX_LIST("a, b")}, "index \"a, b\": 'b' is no stored field");
    check_fields(fields, 3, &(nx_entity){.indexes = NX_LIST("l")}, "'l' is no stored field");
    check_fields(fields, 3, &(nx_entity){.uniques = NX_LIST("a,,id")}, "'' is no stored field");
    check_fields(fields, 3, &(nx_entity){.uniques = NX_LIST("a, id, a")}, "named twice in unique constraint");
    check_fields(fields, 3, &(nx_entity){.uniques = NX_LIST(" ")}, "an empty unique constraint");
}

Test(table, relations)
{
    static const nx_entity other = {.name = "Other"};
    const nx_field unknown_target = {.name = "t", .kind = NX_KIND_SINGLE, .target = &other};

    check_fields((const nx_field[]){GOOD_KEY, unknown_target}, 2, NULL, "the entity Other is not in the database's list");
    CHECK_FIELD("Region has no field that refers back to Bad", .kind = NX_KIND_SET, .target = &Region_entity);
    CHECK_FIELD("reverse: Region has no field 'nothing'", .kind = NX_KIND_SET, .target = &Region_entity, .reverse = "nothing");
    CHECK_FIELD("reverse: Region.people does not refer back", .kind = NX_KIND_SET, .target = &Region_entity, .reverse = "people");
    CHECK_FIELD("reverse: Region.note does not refer back", SINGLE, .reverse = "note");
    CHECK_FIELD("Plain cannot hold the name join_table", .kind = NX_KIND_SET, .target = &Region_entity, .join_table = "");
    CHECK_FIELD("the option column names more", SINGLE, .column = "a, b, c");
    CHECK_FIELD("the column name '' is empty", SINGLE, .column = "a");
    CHECK_FIELD("the column 'id' is that of field 'id' too", SINGLE, .column = "a, id");
}

#define TEAM(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SET, Match, matches)
#define MATCH(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Team, home)                                                                                                 \
    FIELD(E, SINGLE, Team, guest)
NX_ENTITY_DECLARE(Team, TEAM)
NX_ENTITY_DECLARE(Match, MATCH)
NX_ENTITY_DEFINE(Team, TEAM)
NX_ENTITY_DEFINE(Match, MATCH)

#define CLUB(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SET, Game, at_home, .reverse = "home")                                                                              \
    FIELD(E, SET, Game, away, .reverse = "guest")
#define GAME(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Club, home)                                                                                                 \
    FIELD(E, SINGLE, Club, guest)
NX_ENTITY_DECLARE(Club, CLUB)
NX_ENTITY_DECLARE(Game, GAME)
NX_ENTITY_DEFINE(Club, CLUB)
NX_ENTITY_DEFINE(Game, GAME)

#define TAG(FIELD, E)                                                                                                            \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SET, Page, pages)                                                                                                   \
    FIELD(E, SET, Tag, similar, .reverse = "similar")
#define PAGE(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SET, Tag, tags, .join_table = "page_tags")
NX_ENTITY_DECLARE(Tag, TAG)
NX_ENTITY_DECLARE(Page, PAGE)
NX_ENTITY_DEFINE(Tag, TAG)
NX_ENTITY_DEFINE(Page, PAGE)

Test(table, both_sides_of_a_relation)
{
    cr_assert_eq(kit_map(&Team_entity, &Match_entity), NX_EMAPPING);
    cr_assert_str_eq(kit_error.message, "Team.matches: 2 fields of Match refer back to Team; name one with the option reverse");
    cr_assert_str_eq(kit_error.table, "Team");
    cr_assert_str_eq(kit_error.column, "matches");
    cr_assert_eq(kit_map(&Club_entity, &Game_entity), NX_OK, "%s", kit_error.message);
    cr_assert_eq(kit_map(&Tag_entity, &Page_entity), NX_OK, "%s", kit_error.message);
}

#define PLAIN(FIELD, E) FIELD(E, PK, i64, id)
NX_ENTITY(Plain, PLAIN, .table = "thing")
NX_ENTITY(Other, PLAIN, .table = "Thing")

Test(table, lists_of_entities)
{
    nx_entity nameless = Plain_entity, empty = Plain_entity, huge = Plain_entity;

    nameless.name = NULL;
    empty.row_size = 0;
    huge.row_size = SIZE_MAX;
    cr_assert_eq(kit_map(&Plain_entity, &Other_entity), NX_EMAPPING);
    cr_assert_str_eq(kit_error.message, "Other: the table 'Thing' is that of Plain too");
    cr_assert_eq(kit_map(&Plain_entity, &Plain_entity), NX_EMAPPING);
    cr_assert_str_eq(kit_error.message, "Plain: is in the list twice");
    cr_assert_eq(kit_map(&Plain_entity, NULL), NX_EMAPPING);
    cr_assert_eq(kit_map(&nameless), NX_EMAPPING);
    cr_assert_eq(kit_map(&empty), NX_EMAPPING);
    cr_assert_eq(kit_map(&huge), NX_EMAPPING);
    cr_assert_eq(kit_map_list(NULL, 0), NX_EMAPPING);
    cr_assert_eq(nxi_tables_build(&kit_arena, &kit_dialect, NULL, 0, &kit_tables, NULL), NX_EMAPPING);
}

/* Descriptors written by hand must not make anybody read or write outside of the struct. */
Test(table, places_outside_of_the_struct)
{
    const nx_field good = Plain_entity.fields[0];
    nx_field fields[4] = {good, good, good, good};
    nx_entity entity = Plain_entity;

    fields[0].offset = 8;
    fields[1].offset = SIZE_MAX - 7;
    fields[2].size = 4;
    fields[3].offset = 1;
    for (size_t i = 0; i < NXI_COUNT(fields); i++) {
        entity.fields = &fields[i];
        cr_assert_eq(kit_map(&entity), NX_EMAPPING);
        cr_assert_str_eq(kit_error.message, "Plain.id: offset and size do not describe a member of the struct");
    }
    fields[0] = good;
    fields[0].type = (nx_type)99;
    entity.fields = fields;
    cr_assert_eq(kit_map(&entity), NX_EMAPPING);
    fields[0] = good;
    fields[0].kind = (nx_kind)99;
    cr_assert_eq(kit_map(&entity), NX_EMAPPING);
    entity.fields = NULL;
    cr_assert_eq(kit_map(&entity), NX_EMAPPING);
}

/* ---------------------------------------------------------------------------- inheritance */

#define ANIMAL(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, name)
#define DOG(FIELD, E)                                                                                                            \
    ANIMAL(FIELD, E)                                                                                                             \
    FIELD(E, OPT, i32, tricks)
#define FISH(FIELD, E)                                                                                                           \
    ANIMAL(FIELD, E)                                                                                                             \
    FIELD(E, OPT, text, tricks)
NX_ENTITY(Animal, ANIMAL, .discriminator = "kind")
NX_ENTITY(Dog, DOG, .parent = &Animal_entity, .discriminator_value = "dog")
NX_ENTITY(Fish, FISH, .parent = &Animal_entity, .discriminator_value = "fish")
NX_ENTITY(Puppy, DOG, .parent = &Dog_entity, .discriminator_value = "puppy")
NX_ENTITY(Clone, DOG, .parent = &Animal_entity, .discriminator_value = "dog")
NX_ENTITY(Nameless, DOG, .parent = &Animal_entity)
NX_ENTITY(Elsewhere, DOG, .parent = &Animal_entity, .discriminator_value = "e", .table = "elsewhere")
NX_ENTITY(Stray, DOG, .parent = &Plain_entity, .discriminator_value = "s")
#define OTHER_KEY(FIELD, E) FIELD(E, PK, text, id)
NX_ENTITY(Keyed, OTHER_KEY, .parent = &Animal_entity, .discriminator_value = "k")

Test(table, children_live_in_the_table_of_their_root)
{
    cr_assert_eq(kit_map(&Puppy_entity, &Dog_entity, &Animal_entity), NX_OK, "%s", kit_error.message);
    cr_assert_eq((const void *)kit_table(&Puppy_entity)->root, (const void *)kit_table(&Animal_entity));
    cr_assert_str_eq(kit_table(&Puppy_entity)->name, "animal");
    cr_assert_eq((const void *)kit_table(&Animal_entity)->root, (const void *)kit_table(&Animal_entity));
}

Test(table, trees_that_do_not_fit_together)
{
    nx_entity ring_a = Dog_entity, ring_b = Dog_entity;

    cr_assert_eq(kit_map(&Animal_entity, &Dog_entity, &Fish_entity), NX_EMAPPING);
    cr_assert_str_eq(kit_error.message, "Dog.tricks: the column 'tricks' has another type in Fish, which shares the table");
    cr_assert_eq(kit_map(&Animal_entity, &Dog_entity, &Clone_entity), NX_EMAPPING);
    cr_assert_str_eq(kit_error.message, "Dog: the discriminator_value 'dog' is that of Clone too");
    cr_assert_eq(kit_map(&Animal_entity, &Nameless_entity), NX_EMAPPING);
    cr_assert_eq(kit_map(&Animal_entity, &Elsewhere_entity), NX_EMAPPING);
    cr_assert_eq(kit_map(&Animal_entity, &Keyed_entity), NX_EMAPPING);
    cr_assert_str_eq(kit_error.message, "Keyed: the primary key is not that of Animal");
    cr_assert_eq(kit_map(&Plain_entity, &Stray_entity), NX_EMAPPING);
    cr_assert_not_null(strstr(kit_error.message, "needs the option discriminator"));
    cr_assert_eq(kit_map(&Dog_entity), NX_EMAPPING);
    cr_assert_not_null(strstr(kit_error.message, "a parent is not in the database's list"));
    ring_a.parent = &ring_b;
    ring_b.parent = &ring_a;
    cr_assert_eq(kit_map(&ring_a, &ring_b), NX_EMAPPING);
}

/* ---------------------------------------------------------------------------------- order */

enum { RANDOM_TABLES = 12 };

/* Method: random references among entities; every one that closes no cycle leads to a smaller rank. */
Test(table, referenced_tables_come_first)
{
    uint64_t state = 42;

    for (int round = 0; round < 200; round++) {
        nx_field fields[RANDOM_TABLES][RANDOM_TABLES + 1];
        nx_entity entities[RANDOM_TABLES];
        const nx_entity *list[RANDOM_TABLES];
        bool reach[RANDOM_TABLES][RANDOM_TABLES] = {0};
        char names[RANDOM_TABLES][8];

        for (size_t i = 0; i < RANDOM_TABLES; i++)
            (void)snprintf(names[i], sizeof(names[i]), "T%zu", i);
        for (size_t i = 0; i < RANDOM_TABLES; i++) {
            size_t count = 1;

            fields[i][0] = (nx_field)GOOD_KEY;
            fields[i][0].size = sizeof(int64_t);
            for (size_t j = 0; j < RANDOM_TABLES; j++) {
                state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
                if (state >> 33 & 7) /* one in eight */
                    continue;
                fields[i][count] = (nx_field){.name = names[j],
                                              .kind = NX_KIND_SINGLE,
                                              .type = NX_TYPE_key,
                                              .offset = 8 + (count - 1) * sizeof(nx_reference),
                                              .size = sizeof(nx_reference),
                                              .target = &entities[j],
                                              .optional = true};
                reach[i][j] = true;
                count++;
            }
            entities[i] = (nx_entity){
                .name = names[i], .row_size = 8 + (count - 1) * sizeof(nx_reference), .field_count = count, .fields = fields[i]};
            list[i] = &entities[i];
        }
        cr_assert_eq(kit_map_list(list, RANDOM_TABLES), NX_OK, "%s", kit_error.message);
        bool direct[RANDOM_TABLES][RANDOM_TABLES];
        memcpy(direct, reach, sizeof(direct));
        for (size_t k = 0; k < RANDOM_TABLES; k++)
            for (size_t i = 0; i < RANDOM_TABLES; i++)
                for (size_t j = 0; j < RANDOM_TABLES; j++)
                    reach[i][j] |= reach[i][k] && reach[k][j];
        for (size_t i = 0; i < RANDOM_TABLES; i++) {
            cr_assert_eq(kit_tables.list[i].in_cycle, reach[i][i]);
            cr_assert_eq((const void *)kit_tables.by_order[kit_tables.list[i].order], (const void *)&kit_tables.list[i]);
            for (size_t j = 0; j < RANDOM_TABLES; j++)
                cr_assert(!direct[i][j] || reach[j][i] || kit_tables.list[j].order < kit_tables.list[i].order);
        }
        nxi_arena_reset(&kit_arena);
    }
}

#define CAPTAIN(FIELD, E)                                                                                                        \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Ship, ship)
#define SHIP(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Captain, captain, .optional = true)
NX_ENTITY_DECLARE(Captain, CAPTAIN)
NX_ENTITY_DECLARE(Ship, SHIP)
NX_ENTITY_DEFINE(Captain, CAPTAIN)
NX_ENTITY_DEFINE(Ship, SHIP)

Test(table, in_a_cycle_the_required_side_comes_first)
{
    cr_assert_eq(kit_map(&Captain_entity, &Ship_entity), NX_OK);
    cr_assert_lt(kit_table(&Ship_entity)->order, kit_table(&Captain_entity)->order);
    cr_assert_eq(kit_map(&Ship_entity, &Captain_entity), NX_OK);
    cr_assert_lt(kit_table(&Ship_entity)->order, kit_table(&Captain_entity)->order);
    cr_assert(kit_table(&Ship_entity)->in_cycle && kit_table(&Captain_entity)->in_cycle);
}

Test(table, every_failing_allocation_is_an_answer)
{
    nx_status status = NX_ENOMEM;
    size_t failures = 0;

    for (uint64_t n = 1; status != NX_OK && n < 100; n++) {
        nxi_memory_fail(n, true);
        status = kit_map(&Person_entity, &Region_entity);
        nxi_memory_fail(0, false);
        cr_assert(status == NX_OK || status == NX_ENOMEM);
        failures += status != NX_OK;
    }
    cr_assert_eq(status, NX_OK);
    cr_assert_gt(failures, 0);
}
