/*
 * test_prepare - what is done to a row before it is written, and what refuses it.
 */
#include "tests/support/mapping_kit.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

TestSuite(prepare, .init = kit_open, .fini = kit_close);

static size_t checks_called;

static bool is_not_thirteen(const void *member)
{
    checks_called++;
    return *(const nx_i32 *)member != 13;
}

static bool is_short_title(const void *member)
{
    checks_called++;
    return ((const nx_text *)member)->size < 10;
}

#define OWNER(FIELD, E)                                                                                                          \
    FIELD(E, PK, text, region, .max_len = 3)                                                                                     \
    FIELD(E, PK, i16, number)
#define TOKEN(FIELD, E) FIELD(E, PK, uuid, id, .generate = NX_GENERATE_UUID4)
#define BADGE(FIELD, E)                                                                                                          \
    FIELD(E, PK, ulid, id, .generate = NX_GENERATE_ULID)                                                                         \
    FIELD(E, SINGLE, Token, token)
#define ITEM(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, title, .max_len = 20)                                                                                    \
    FIELD(E, OPT, text, raw, .autostrip = NX_OFF)                                                                                \
    FIELD(E, OPT, longtext, body)                                                                                                \
    FIELD(E, REQ, bytes, blob, .max_len = 4)                                                                                     \
    FIELD(E, REQ, decimal, price, .precision = 6, .scale = 2, .min = "-10", .max = "5000")                                       \
    FIELD(E, OPT, json, data)                                                                                                    \
    FIELD(E, OPT, enumeration, state, .labels = NX_LABELS("a", "b"))                                                             \
    FIELD(E, OPT, vector, place, .dimensions = 2)                                                                                \
    FIELD(E, OPT, time, at)                                                                                                      \
    FIELD(E, OPT, f64, weight, .min = "0")                                                                                       \
    FIELD(E, OPT, date, day, .min = "2000-01-01", .max = "2099-12-31")                                                           \
    FIELD(E, REQ, u32, count, .max = "100")                                                                                      \
    FIELD(E, OPT, i32, lucky, .check = is_not_thirteen)                                                                          \
    FIELD(E, SINGLE, Owner, owner, .optional = true)                                                                             \
    FIELD(E, SINGLE, Token, token, .optional = true)                                                                             \
    FIELD(E, SINGLE, Item, next, .optional = true)
NX_ENTITY_DECLARE(Owner, OWNER)
NX_ENTITY_DECLARE(Token, TOKEN)
NX_ENTITY_DECLARE(Badge, BADGE)
NX_ENTITY_DECLARE(Item, ITEM)
NX_ENTITY_DEFINE(Owner, OWNER)
NX_ENTITY_DEFINE(Token, TOKEN)
NX_ENTITY_DEFINE(Badge, BADGE)
NX_ENTITY_DEFINE(Item, ITEM, .table = "items")

/* A row in which everything required is set. */
static Item *good_item(void)
{
    Item *item;

    if (kit_tables.list == NULL)
        cr_assert_eq(kit_map(&Item_entity, &Owner_entity, &Token_entity, &Badge_entity), NX_OK, "%s", kit_error.message);
    item = kit_row(&Item_entity);
    item->title = nx_str("title");
    item->blob = nx_bytes_of("\0\xff", 2);
    item->price = nx_dec("1.50");
    return item;
}

static nx_status prepare(void *row)
{
    nxi_error_reset(&kit_error);
    return nxi_row_prepare_insert(nxi_row_of(row)->table, row, NULL, &kit_error);
}

static void check_good(void *row)
{
    cr_assert_eq(prepare(row), NX_OK, "%s", kit_error.message);
}

static void check_refused(void *row, nx_status status, const char *message)
{
    cr_assert_eq(prepare(row), status, "%s", message);
    cr_assert_eq(kit_error.status, status);
    cr_assert_str_eq(kit_error.message, message);
    cr_assert_eq(nxi_row_prepare_insert(nxi_row_of(row)->table, row, NULL, NULL), status);
}

Test(prepare, a_good_row_passes_and_stays_as_it_is)
{
    Item *item = good_item();
    Item before = *item;

    check_good(item);
    cr_assert_eq(memcmp(item, &before, sizeof(before)), 0);
    cr_assert_eq(nxi_row_of(item)->flags & NXI_ROW_KEY_MADE, 0);
}

Test(prepare, texts_are_stripped_without_copies)
{
    static const char padded[] = " \t\r\n\v\ftitle of it \n";
    Item *item = good_item();

    item->title = nx_str(padded);
    item->raw = nx_some(text, nx_str(" raw "));
    item->body = nx_some(longtext, nx_str(" body "));
    check_good(item);
    cr_assert_eq((const void *)item->title.data, (const void *)(padded + 6));
    cr_assert_eq(item->title.size, strlen("title of it"));
    cr_assert_eq(item->raw.value.size, 5);
    cr_assert_eq(item->body.value.size, 6);
    item->title = nx_str("  \n ");
    check_good(item);
    cr_assert_eq(item->title.size, 0);
    cr_assert_not_null(item->title.data, "an empty text is a text");
}

Test(prepare, required_fields)
{
    Item *item = good_item();
    Badge *badge = kit_row(&Badge_entity);
    Token *token = kit_row(&Token_entity);
    Owner *owner = kit_row(&Owner_entity);

    item->title = nx_str(NULL);
    check_refused(item, NX_EREQUIRED, "Item.title: required, but not set");
    cr_assert_str_eq(kit_error.table, "items");
    cr_assert_str_eq(kit_error.column, "title");
    cr_assert_eq(kit_error.row, -1);
    item->title = nx_str("");
    item->blob = nx_bytes_of(NULL, 3);
    check_refused(item, NX_EREQUIRED, "Item.blob: required, but not set");
    item->blob = nx_bytes_of("", 0);
    item->price = nx_dec(NULL);
    check_refused(item, NX_EREQUIRED, "Item.price: required, but not set");
    item->price = nx_dec("0");
    item->raw = (nx_opt_text){.present = true};
    check_good(item);
    check_refused(owner, NX_EREQUIRED, "Owner.region: required, but not set");
    check_refused(badge, NX_EREQUIRED, "Badge.token: required, but not set");
    nx_set_ref(badge->token, token);
    check_good(badge);
    nx_set_ref_key(badge->token, (const char *)NULL);
    check_refused(badge, NX_EREQUIRED, "Badge.token: required, but not set");
}

Test(prepare, keys_are_made_once)
{
    Badge *badge;
    Token *token;
    nx_uuid first;

    (void)good_item();
    badge = kit_row(&Badge_entity);
    token = kit_row(&Token_entity);
    nx_set_ref(badge->token, token);
    check_good(token);
    cr_assert(nxi_row_has_key(kit_table(&Token_entity), token));
    cr_assert_eq(token->id.byte[6] >> 4, 4);
    cr_assert(nxi_row_of(token)->flags & NXI_ROW_KEY_MADE);
    first = token->id;
    check_good(token);
    cr_assert_eq(memcmp(&first, &token->id, sizeof(first)), 0);
    check_good(badge);
    cr_assert(nxi_row_has_key(kit_table(&Badge_entity), badge));
    nxi_row_clear_key(kit_table(&Token_entity), token);
    cr_assert_eq(nxi_row_prepare_update(token, NULL, 0, NULL, &kit_error), NX_OK);
    cr_assert_not(nxi_row_has_key(kit_table(&Token_entity), token), "only made when inserting");
}

Test(prepare, what_was_made_is_taken_back)
{
    static const nx_uuid none;
    nxi_undo_list undo = {.arena = &kit_arena};
    nx_value id = nx_value_str("01234567-89ab-4cde-8f01-23456789abcd");
    Item *item = good_item();
    Token *token = kit_row(&Token_entity);
    size_t before = kit_arena.bytes;
    const char *next = kit_arena.next;

    item->title = nx_str("title");
    cr_assert_eq(nxi_row_prepare_insert(kit_table(&Item_entity), item, &undo, &kit_error), NX_OK);
    cr_assert(undo.newest == NULL && kit_arena.bytes == before && kit_arena.next == next, "nothing is changed, nothing is kept");
    item->title = nx_str(" title\n");
    item->token.key = (nx_key){.value = id, .part_count = 1};
    cr_assert_eq(nxi_row_prepare_insert(kit_table(&Item_entity), item, &undo, &kit_error), NX_OK);
    cr_assert_eq(nxi_row_prepare_insert(kit_table(&Token_entity), token, &undo, &kit_error), NX_OK);
    cr_assert_eq(item->title.size, 5);
    cr_assert_eq(item->token.key.value.type, NX_TYPE_uuid);
    cr_assert(nxi_row_of(token)->flags & NXI_ROW_KEY_MADE);
    nxi_prepare_undo(&undo);
    cr_assert_str_eq(item->title.data, " title\n");
    cr_assert_eq(item->title.size, 7);
    cr_assert_eq(item->token.key.value.type, NX_TYPE_text);
    cr_assert_str_eq(item->token.key.value.text.data, id.text.data);
    cr_assert_eq(memcmp(&token->id, &none, sizeof(none)), 0);
    cr_assert_not(nxi_row_of(token)->flags & NXI_ROW_KEY_MADE);
    cr_assert_null(undo.newest);
}

Test(prepare, without_memory_to_undo_nothing_is_changed)
{
    nxi_undo_list undo = {.arena = &kit_arena};
    Item *item = good_item();
    nx_status status;

    item->title = nx_str(" title");
    kit_arena.next = kit_arena.end;
    nxi_memory_fail(1, true);
    status = nxi_row_prepare_insert(kit_table(&Item_entity), item, &undo, &kit_error);
    nxi_memory_fail(0, false);
    cr_assert_eq(status, NX_ENOMEM);
    cr_assert_eq(item->title.size, 6);
}

Test(prepare, lengths_and_encodings)
{
    char title[64];
    Item *item = good_item();

    for (size_t i = 0; i < 20; i++)
        memcpy(title + 2 * i, "\xc3\xa9", 2);
    item->title = nx_strn(title, 40);
    check_good(item);
    memcpy(title + 40, "\xc3\xa9", 2);
    item->title = nx_strn(title, 42);
    check_refused(item, NX_ETOOLONG, "Item.title: 21 characters, at most 20 allowed");
    item->title = nx_str("ok");
    item->blob = nx_bytes_of("12345", 5);
    check_refused(item, NX_ETOOLONG, "Item.blob: 5 bytes, at most 4 allowed");
    item->blob = nx_bytes_of("\xff\0\xff\0", 4);
    check_good(item);
    item->title = nx_strn("ab\0cd", 5);
    check_refused(item, NX_EENCODING, "Item.title: byte 2 is zero");
    item->title = nx_str("abc\xff");
    check_refused(item, NX_EENCODING, "Item.title: byte 3 is no valid UTF-8");
    item->title = nx_str("abc\xc3");
    check_refused(item, NX_EENCODING, "Item.title: byte 3 is no valid UTF-8");
    item->title = nx_str("ok");
    item->body = nx_some(longtext, nx_str("\xed\xa0\x80"));
    check_refused(item, NX_EENCODING, "Item.body: byte 0 is no valid UTF-8");
    item->body.present = false;
    item->data = nx_some(json, nx_json_of("\"\xc0\x80\""));
    check_refused(item, NX_EENCODING, "Item.data: byte 1 is no valid UTF-8");
}

Test(prepare, decimals)
{
    static const struct {
        const char *text;
        nx_status status;
        const char *message;
    } cases[] = {
        {"0001234.5000", NX_OK, ""},
        {"-10.00", NX_OK, ""},
        {"1.505", NX_ERANGE, "Item.price: 3 digits after the point, at most 2 allowed"},
        {"12345", NX_ERANGE, "Item.price: 5 digits before the point, at most 4 allowed"},
        {"1e5", NX_ETYPE, "Item.price: '1e5' is no decimal number"},
        {"", NX_ETYPE, "Item.price: '' is no decimal number"},
        {"5000.01", NX_ERANGE, "Item.price: 5000.01, at most 5000 allowed"},
        {"-10.01", NX_ERANGE, "Item.price: -10.01, at least -10 allowed"},
    };
    Item *item = good_item();

    for (size_t i = 0; i < NXI_COUNT(cases); i++) {
        item->price = nx_dec(cases[i].text);
        if (cases[i].status == NX_OK)
            check_good(item);
        else
            check_refused(item, cases[i].status, cases[i].message);
    }
}

Test(prepare, numbers_labels_and_times)
{
    Item *item = good_item();

    item->count = 101;
    check_refused(item, NX_ERANGE, "Item.count: 101, at most 100 allowed");
    item->count = 100;
    item->weight = nx_some(f64, -0.5);
    check_refused(item, NX_ERANGE, "Item.weight: -0.5, at least 0 allowed");
    item->weight = nx_some(f64, (double)NAN);
    check_refused(item, NX_ERANGE, "Item.weight: NaN, at least 0 allowed");
    item->weight = nx_some(f64, (double)INFINITY);
    item->day = nx_some(date, ((nx_date){NX_DAYS_INFINITY}));
    check_refused(item, NX_ERANGE, "Item.day: infinity, at most 2099-12-31 allowed");
    item->day = nx_some(date, ((nx_date){0}));
    check_refused(item, NX_ERANGE, "Item.day: 1970-01-01, at least 2000-01-01 allowed");
    item->day = nx_some(date, ((nx_date){20780}));
    item->state = nx_some(enumeration, 2);
    check_refused(item, NX_ERANGE, "Item.state: 2 is no label's index, the last one is 1");
    item->state = nx_some(enumeration, -1);
    check_refused(item, NX_ERANGE, "Item.state: -1 is no label's index, the last one is 1");
    item->state = nx_some(enumeration, 1);
    item->at = nx_some(time, ((nx_time){86400000001}));
    check_refused(item, NX_ERANGE, "Item.at: 86400000001 microseconds are no time of a day");
    item->at = nx_some(time, ((nx_time){-1}));
    check_refused(item, NX_ERANGE, "Item.at: -1 microseconds are no time of a day");
    item->at = nx_some(time, ((nx_time){86400000000}));
    check_good(item);
    /* What an absent value holds does not matter. */
    item->at = (nx_opt_time){.value = {-1}};
    item->state = (nx_opt_enumeration){.value = 99};
    item->weight = (nx_opt_f64){.value = -1};
    check_good(item);
}

Test(prepare, vectors)
{
    Item *item = good_item();

    item->place = nx_some(vector, ((nx_vector){(const float[]){1, 2, 3}, 3}));
    check_refused(item, NX_ERANGE, "Item.place: 3 dimensions, 2 expected");
    item->place = nx_some(vector, ((nx_vector){(const float[]){1, NAN}, 2}));
    check_refused(item, NX_ERANGE, "Item.place: component 1 is not finite");
    item->place = nx_some(vector, ((nx_vector){(const float[]){INFINITY, 1}, 2}));
    check_refused(item, NX_ERANGE, "Item.place: component 0 is not finite");
    item->place = nx_some(vector, ((nx_vector){NULL, 2}));
    check_good(item);
}

Test(prepare, the_fields_own_check)
{
    Item *item = good_item();

    check_good(item);
    cr_assert_eq(checks_called, 0, "not called for an absent value");
    item->lucky = nx_some(i32, 7);
    check_good(item);
    cr_assert_eq(checks_called, 1);
    item->lucky = nx_some(i32, 13);
    check_refused(item, NX_EVALUE, "Item.lucky: refused by the field's check");
}

#define TITLED(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, OPT, text, title, .max_len = 12, .check = is_short_title)
NX_ENTITY(Titled, TITLED)

Test(prepare, the_check_comes_last)
{
    Titled *titled;

    cr_assert_eq(kit_map(&Titled_entity), NX_OK);
    titled = kit_row(&Titled_entity);
    titled->title = nx_some(text, nx_str("more than twelve"));
    check_refused(titled, NX_ETOOLONG, "Titled.title: 16 characters, at most 12 allowed");
    cr_assert_eq(checks_called, 0);
    titled->title = nx_some(text, nx_str("   123456789   "));
    check_good(titled);
    cr_assert_eq(checks_called, 1);
    titled->title = nx_some(text, nx_str("1234567890"));
    check_refused(titled, NX_EVALUE, "Titled.title: refused by the field's check");
}

/* ----------------------------------------------------------------------------- references */

Test(prepare, keys_of_references_take_the_targets_type)
{
    nx_uuid uuid = nx_uuid4();
    char text[NX_TEXT_FORM_SIZE];
    Item *item = good_item();

    nx_set_ref_key(item->next, "42");
    check_good(item);
    cr_assert_eq(item->next.key.value.type, NX_TYPE_i64);
    cr_assert_eq(item->next.key.value.i64, 42);
    nx_set_ref_key(item->next, "many");
    check_refused(item, NX_ETYPE, "Item.next: a key of type text, i64 expected");
    nx_set_ref(item->next, NULL);
    (void)nx_uuid_format(uuid, text);
    nx_set_ref_key(item->token, text);
    check_good(item);
    cr_assert_eq(item->token.key.value.type, NX_TYPE_uuid);
    cr_assert_eq(memcmp(&item->token.key.value.uuid, &uuid, sizeof(uuid)), 0);
    nx_set_ref_key(item->token, 5);
    check_refused(item, NX_ETYPE, "Item.token: a key of type i64, uuid expected");
    nx_set_ref(item->token, NULL);
    item->owner.key = (nx_key){.value = NX_VALUE("eu"), .part_count = 1};
    check_refused(item, NX_ETYPE, "Item.owner: a key of 1 parts, 2 expected");
}

static nx_status prepare_owner(nx_value region, nx_value number)
{
    nx_value parts[] = {region, number};
    Item *item = good_item();

    item->owner.key = (nx_key){.parts = parts, .part_count = 2};
    return prepare(item);
}

Test(prepare, parts_of_composite_keys)
{
    Item *item;

    cr_assert_eq(prepare_owner(NX_VALUE("eu"), NX_VALUE(5)), NX_OK, "%s", kit_error.message);
    cr_assert_eq(prepare_owner(NX_VALUE("eu"), nx_null()), NX_OK, "none at all");
    cr_assert_eq(prepare_owner(NX_VALUE("eu"), NX_VALUE(40000)), NX_ERANGE);
    cr_assert_str_eq(kit_error.message, "Item.owner: a key of type i64, i16 expected: out of range");
    cr_assert_eq(prepare_owner(NX_VALUE("long"), NX_VALUE(5)), NX_ETOOLONG);
    cr_assert_str_eq(kit_error.message, "Item.owner: 4 characters, at most 3 allowed");
    cr_assert_eq(prepare_owner(NX_VALUE("\xff"), NX_VALUE(5)), NX_EENCODING);
    cr_assert_eq(prepare_owner(NX_VALUE("eu"), NX_VALUE("5")), NX_ETYPE);
    cr_assert_str_eq(kit_error.message, "Item.owner: part 1 of the key has type text, i16 expected");
    item = good_item();
    item->owner.key = (nx_key){.part_count = 2};
    check_refused(item, NX_ETYPE, "Item.owner: a key without its parts");
}

Test(prepare, rows_of_other_entities_are_refused)
{
    Item *item = good_item();
    void *token = kit_row(&Token_entity);

    item->next.row = token;
    check_refused(item, NX_ETYPE, "Item.next: refers to a row of Token, Item expected");
    item->next.row = good_item();
    check_good(item);
}

/* -------------------------------------------------------------------------------- updates */

Test(prepare, updates_check_only_the_columns_given)
{
    const nxi_column *columns[2];
    Item *item = good_item();

    item->title = nx_str(NULL);
    item->price = nx_dec("1.505");
    columns[0] = kit_column(&Item_entity, "price");
    columns[1] = kit_column(&Item_entity, "count");
    cr_assert_eq(nxi_row_prepare_update(item, columns, 2, NULL, &kit_error), NX_ERANGE);
    item->price = nx_dec("1.50");
    cr_assert_eq(nxi_row_prepare_update(item, columns, 2, NULL, &kit_error), NX_OK);
    columns[0] = kit_column(&Item_entity, "title");
    cr_assert_eq(nxi_row_prepare_update(item, columns, 1, NULL, &kit_error), NX_EREQUIRED);
    columns[0] = kit_column(&Item_entity, "owner") + 1;
    item->title = nx_str("title");
    item->owner.key = (nx_key){.part_count = 2};
    cr_assert_eq(nxi_row_prepare_update(item, columns, 1, NULL, &kit_error), NX_ETYPE);
}

Test(prepare, long_texts_are_cut_in_messages)
{
    static char digits[100000];
    Item *item = good_item();

    memset(digits, 'x', sizeof(digits));
    item->price = (nx_decimal){digits, sizeof(digits)};
    cr_assert_eq(prepare(item), NX_ETYPE);
    cr_assert_lt(strlen(kit_error.message), sizeof(kit_error.message));
    memset(digits, '9', sizeof(digits));
    cr_assert_eq(prepare(item), NX_ERANGE);
}
