/*
 * bind - providers, binding, mapping, tables; and rows whose entity is made at run time.
 */
#include <stdio.h>

#include "cases.h"

CASE(bind, unknown_provider_lists_the_known)
{
    nx_db *db = nx_db_new(f->loop, nxt_entities);
    const nx_error *error = FAILS(f, nx_bind(db, "oracle", &(nx_bind_options){ .path = "x" }, NULL), NX_EPROVIDER);
    MENTIONS(error, "oracle");
    MENTIONS(error, f->provider->name);
    cr_expect_not(nx_is_bound(db));
    cr_expect_neq(nx_await(f->loop, nx_bind(db, NULL, NULL, NULL)).status, NX_OK);
    nx_db_free(db);
}

CASE(bind, bound_and_not)
{
    nx_bind_options options = { 0 };
    nx_db *db = nx_db_new(f->loop, nxt_entities);
    cr_expect_not(nx_is_bound(db));
    f->provider->make(f, 1, &options);
    OK(f, nx_bind(db, f->provider->name, &options, NULL));
    cr_expect(nx_is_bound(db));
    cr_expect_neq(nx_await(f->loop, nx_bind(db, f->provider->name, &options, NULL)).status, NX_OK, "it is bound already");
    OK(f, nx_close(db, NULL));
    cr_expect_not(nx_is_bound(db));
    OK(f, nx_bind(db, f->provider->name, &options, NULL));
    cr_expect(nx_is_bound(db));
    nx_db_free(db);
    nx_db_free(NULL);
}

CASE(bind, use_before_bind)
{
    nx_db *db = nx_db_new(f->loop, nxt_entities);
    FAILS(f, nx_generate_mapping(db, NX_CREATE_TABLES, NULL), NX_ENOTBOUND);
    FAILS(f, nx_execute(db, "SELECT 1", nx_no_args, NULL), NX_ENOTBOUND);
    FAILS(f, nx_select_raw(db, "SELECT 1", nx_no_args, NULL), NX_ENOTBOUND);
    nx_completion c = nx_await(f->loop, nx_fetch_all(nx_select(db, Post), NULL));
    cr_expect(c.status == NX_ENOTBOUND || c.status == NX_ENOTMAPPED, "%s", nx_status_name(c.status));
    cr_expect_null(nx_make(db, Post));
    nx_db_free(db);
}

CASE(bind, use_before_mapping)
{
    nx_bind_options options = { 0 };
    nx_db *db = nx_db_new(f->loop, nxt_entities);
    f->provider->make(f, 1, &options);
    OK(f, nx_bind(db, f->provider->name, &options, NULL));
    nx_completion early = nx_await(f->loop, nx_fetch_all(nx_select(db, Post), NULL));
    cr_expect(early.status == NX_ENOTMAPPED || early.status == NX_EMAPPING, "%s", nx_status_name(early.status));
    MENTIONS(early.error, "mapping");
    cr_expect_null(nx_make(db, Post));
    cr_expect_null(nx_ddl(db));
    cr_expect_null(nx_bulk_begin(db, &Post_entity, NULL));
    nx_completion c = OK(f, nx_select_raw(db, "SELECT 1", nx_no_args, NULL));
    nxt_seen(f, &c);
    nx_db_free(db);
}

CASE(bind, entity_of_another_database)
{
    static const nx_entity *const only[] = { &Tag_entity, NULL };
    nx_db *db = nxt_database(f, 1, only);
    MENTIONS(FAILS(f, nx_fetch_all(nx_select(db, Post), NULL), NX_ENOTMAPPED), "Post");
    cr_expect_null(nx_make(db, Post));
    Post *stranger = nx_make(f->db, Post);
    stranger->title = nx_str("of another database");
    cr_expect_neq(nx_await(f->loop, nx_save(db, stranger, NULL)).status, NX_OK);
    cr_expect_neq(nx_await(f->loop, nx_save(db, NULL, NULL)).status, NX_OK);
    nx_db_free(db);
}

CASE(bind, calls_without_a_completion_tell_why)
{
    nx_bind_options options = { 0 };
    nx_db *db = nx_db_new(f->loop, NX_ENTITIES(Tag));
    cr_expect_null(nx_make(db, Tag));
    cr_expect_eq(nx_db_error(db)->status, NX_EMAPPING);
    MENTIONS(nx_db_error(db), "Tag");
    f->provider->make(f, 1, &options);
    OK(f, nx_bind(db, f->provider->name, &options, NULL));
    OK(f, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    cr_expect_null(nx_make(db, Post));
    cr_expect_eq(nx_db_error(db)->status, NX_ENOTMAPPED);
    MENTIONS(nx_db_error(db), "Post");
    cr_expect_null(nx_bulk_begin(db, &Author_entity, NULL));
    cr_expect_eq(nx_db_error(db)->status, NX_ENOTMAPPED);
    MENTIONS(nx_db_error(db), "Author");
    cr_expect_null(nx_bulk_begin(db, NULL, NULL));
    cr_expect_eq(nx_db_error(db)->status, NX_EINVAL);
    cr_expect_eq(nx_register(db, &Post_entity), NX_ESTATE);
    cr_expect_eq(nx_db_error(db)->status, NX_ESTATE);
    MENTIONS(nx_db_error(db), "Post");
    nx_db_free(db);
}

CASE(bind, register_before_the_mapping)
{
    nx_bind_options options = { 0 };
    nx_db *db = nx_db_new(f->loop, NULL);
    CHECK(nx_register(db, &Post_entity));
    CHECK(nx_register(db, &Author_entity));
    CHECK(nx_register(db, &Author_entity));
    f->provider->make(f, 1, &options);
    OK(f, nx_bind(db, f->provider->name, &options, NULL));
    OK(f, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    cr_expect_eq(nx_register(db, &Tag_entity), NX_ESTATE);
    cr_expect_eq(COUNT(f, nx_count(nx_select(db, Post), NULL)), 0);
    nx_db_free(db);
}

CASE(bind, tables_are_made_once)
{
    nxt_post(f, "stays", 1, NULL);
    OK(f, nx_create_tables(f->db, NULL));
    OK(f, nx_create_tables(f->db, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 1);
    cr_assert_not_null(nx_ddl(f->db));
    cr_expect_not_null(strstr(nx_ddl(f->db), "CREATE TABLE"));
    cr_expect_not_null(strstr(nx_ddl(f->db), "unq_checked__left__right"));
    cr_expect_not_null(strstr(nx_ddl(f->db), "idx_checked__right"));
    cr_expect_not_null(strstr(nx_ddl(f->db), "idx_checked__code__percent"));
}

CASE(bind, drop_table_minds_its_rows)
{
    nxt_post(f, "here", 1, NULL);
    MENTIONS(FAILS(f, nx_drop_table(f->db, "post", 0, NULL), NX_ESTATE), "post");
    OK(f, nx_drop_table(f->db, "post", NX_DROP_WITH_ALL_DATA, NULL));
    FAILS(f, nx_count(nx_select(f->db, Post), NULL), NX_EUNDEFINED);
    FAILS(f, nx_drop_table(f->db, "post", 0, NULL), NX_EUNDEFINED);
    OK(f, nx_drop_table(f->db, "post", NX_DROP_IF_EXISTS, NULL));
    OK(f, nx_create_tables(f->db, NULL));
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 0);
    cr_expect_neq(nx_await(f->loop, nx_drop_table(f->db, "post\"; DROP TABLE author; --", 0, NULL)).status, NX_OK);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Author), NULL)), 0);
}

CASE(bind, drop_all_tables)
{
    Author *a = nxt_author(f, "Ada");
    nxt_post(f, "hers", 1, a);
    FAILS(f, nx_drop_all_tables(f->db, 0, NULL), NX_ESTATE);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 1, "nothing was dropped");
    OK(f, nx_drop_all_tables(f->db, NX_DROP_WITH_ALL_DATA, NULL));
    FAILS(f, nx_count(nx_select(f->db, Post), NULL), NX_EUNDEFINED);
    OK(f, nx_create_tables(f->db, NULL));
}

CASE(bind, refused_drop_leaves_no_transaction)
{
    nxt_post(f, "here", 1, NULL);
    for (int i = 0; i < 3; i++) {
        const nx_error *error = FAILS(f, nx_drop_table(f->db, "post", 0, NULL), NX_ESTATE);
        cr_expect_str_eq(error->table, "post");
        nxt_author(f, i == 0 ? "a" : i == 1 ? "b" : "c");
    }
    nx_session *s = nxt_session(f, NULL);
    ((Post *)nx_new(s, Post))->title = nx_str("a session can write");
    nxt_end(f, s);
    FAILS(f, nx_drop_table(f->db, "nowhere", 0, NULL), NX_EUNDEFINED);
    cr_expect_eq(COUNT(f, nx_count(nx_select(f->db, Post), NULL)), 2);
    OK(f, nx_delete_all(nx_select(f->db, Post), NULL));
    OK(f, nx_drop_table(f->db, "post", 0, NULL));
    FAILS(f, nx_count(nx_select(f->db, Post), NULL), NX_EUNDEFINED);
}

CASE(bind, drop_all_tables_of_which_some_are_gone)
{
    Author *a = nxt_author(f, "Ada");
    OK(f, nx_drop_table(f->db, "post", NX_DROP_WITH_ALL_DATA, NULL));
    OK(f, nx_drop_table(f->db, "slot", NX_DROP_WITH_ALL_DATA, NULL));
    MENTIONS(FAILS(f, nx_drop_all_tables(f->db, 0, NULL), NX_ESTATE), "author");
    OK(f, nx_delete(f->db, a, NULL));
    OK(f, nx_drop_all_tables(f->db, 0, NULL));
    FAILS(f, nx_count(nx_select(f->db, Author), NULL), NX_EUNDEFINED);
    OK(f, nx_drop_all_tables(f->db, 0, NULL));
    OK(f, nx_create_tables(f->db, NULL));
    nxt_post(f, "again", 1, NULL);
}

/* Map one entity that has a mistake; the message has to name what is wrong. */
static void refuse(nxt_fixture *f, int number, const nx_entity *entity, const char *culprit)
{
    nx_bind_options options = { 0 };
    nx_db *db = nx_db_new(f->loop, (const nx_entity *const[]){ entity, NULL });
    f->provider->make(f, number, &options);
    OK(f, nx_bind(db, f->provider->name, &options, NULL));
    MENTIONS(FAILS(f, nx_generate_mapping(db, NX_CREATE_TABLES, NULL), NX_EMAPPING), culprit);
    nx_db_free(db);
}

#define KEY                                                                                                                      \
    {                                                                                                                            \
        .name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i64, .offset = 0, .size = 8                                            \
    }
#define FIELD(n, t, s, ...)                                                                                                      \
    {                                                                                                                            \
        .name = n, .kind = NX_KIND_REQ, .type = NX_TYPE_##t, .offset = 8, .size = s, ##__VA_ARGS__                               \
    }
#define REFUSE(name_, culprit, ...)                                                                                              \
    do {                                                                                                                         \
        static const nx_field fields[] = { __VA_ARGS__ };                                                                        \
        static const nx_entity entity = {                                                                                        \
            .name = name_, .row_size = 64, .field_count = sizeof(fields) / sizeof(fields[0]), .fields = fields                   \
        };                                                                                                                       \
        refuse(f, 1, &entity, culprit);                                                                                          \
    } while (0)

/* One row as text: "name nullable key numbered; ". */
static void describe_columns(nxt_fixture *f, const char *table, char *text, size_t size)
{
    nx_completion c = OK(f, nx_table_columns(f->db, table, NULL));
    text[0] = '\0';
    for (size_t i = 0; c.raw != NULL && i < c.raw->row_count; i++) {
        size_t used = strlen(text);
        cr_expect_eq(nx_rows_at(c.raw, i, 1).type, NX_TYPE_text);
        snprintf(text + used, size - used, "%s%s %lld %lld %lld", i == 0 ? "" : "; ", nx_rows_at(c.raw, i, 0).text.data,
                 (long long)nx_rows_at(c.raw, i, 2).i64, (long long)nx_rows_at(c.raw, i, 3).i64,
                 (long long)nx_rows_at(c.raw, i, 4).i64);
    }
    nxt_seen(f, &c);
}

CASE(bind, tables_describe_themselves)
{
    char text[512];
    describe_columns(f, "author", text, sizeof(text));
    cr_expect_str_eq(text, "id 0 1 1; name 0 0 0; born 1 0 0");
    describe_columns(f, "city", text, sizeof(text));
    cr_expect_str_eq(text, "country 0 1 0; code 0 2 0; name 0 0 0");
    describe_columns(f, "there is no 'such' \"table\"", text, sizeof(text));
    cr_expect_str_eq(text, "");
    nx_completion c = OK(f, nx_table_uniques(f->db, "author", NULL));
    bool is_found = false;
    for (size_t i = 0; i < c.raw->row_count; i++)
        is_found = is_found || nxt_text_is(nx_rows_at(c.raw, i, 1).text, "name");
    cr_expect(is_found);
    nxt_seen(f, &c);
    c = OK(f, nx_table_uniques(f->db, "nothing", NULL));
    cr_expect(c.raw == NULL || c.raw->row_count == 0);
    nxt_seen(f, &c);
    FAILS(f, nx_table_columns(f->db, NULL, NULL), NX_EINVAL);
}

CASE(bind, mapping_mistakes_are_named)
{
    REFUSE("Keyless", "Keyless", FIELD("a", i64, 8));
    REFUSE("Twice", "a", KEY, FIELD("a", i64, 8), FIELD("a", i64, 8));
    REFUSE("Columns", "a", KEY, FIELD("a", i64, 8), FIELD("b", i64, 8, .column = "a"));
    REFUSE("BadInitial", "a", KEY, FIELD("a", i64, 8, .initial = "many"));
    REFUSE("BadMin", "a", KEY, FIELD("a", i64, 8, .min = "low"));
    REFUSE("NoLabels", "a", KEY, FIELD("a", enumeration, 4));
    REFUSE("Empty", "Empty", KEY, FIELD("", i64, 8));
    REFUSE("NoTarget", "a", KEY,
           { .name = "a",
             .kind = NX_KIND_SINGLE,
             .type = NX_TYPE_key,
             .offset = 8,
             .size = sizeof(nx_reference),
             .target = &Post_entity });
}

CASE(bind, entity_made_at_run_time)
{
    const nx_field fields[] = {
        { .name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i64 },
        { .name = "name", .kind = NX_KIND_REQ, .type = NX_TYPE_text, .max_len = 20 },
        { .name = "price", .kind = NX_KIND_OPT, .type = NX_TYPE_f64 },
        { .name = "made", .kind = NX_KIND_OPT, .type = NX_TYPE_date },
    };
    nx_entity *product = NULL;
    CHECK(nx_entity_new("Product", fields, 4, NULL, &product));
    nx_column name = nx_column_of(product, "name"), price = nx_column_of(product, "price"), made = nx_column_of(product, "made");
    cr_expect_eq(nx_column_of(product, "nothing").field, UINT16_MAX);
    nx_db *db = nxt_database(f, 1, (const nx_entity *const[]){ product, NULL });
    void *row = nx_make_row(db, product);
    cr_assert_not_null(row);
    cr_expect_eq(nx_row_entity(row), product);
    CHECK(nx_row_set(row, name, nx_value_str("lamp")));
    CHECK(nx_row_set(row, price, nx_value_str("12.5")));
    CHECK(nx_row_set(row, made, nx_value_str("2026-11-23")));
    cr_expect_eq(nx_row_set(row, price, nx_value_str("cheap")), NX_ETYPE);
    cr_expect_eq(nx_row_set(row, name, nx_null()), NX_EREQUIRED);
    cr_expect_eq(nx_row_set(row, Post_.title, nx_value_str("x")), NX_ENOFIELD);
    CHECK(nx_row_set(row, made, nx_null()));
    CHECK(nx_row_set(row, made, nx_value_str("2026-11-23")));
    OK(f, nx_save(db, row, NULL));
    nx_query *q = nx_where(nx_select_entity(db, product), "price > ? and made = '2026-11-23'", nx_args(10));
    nx_completion c = OK(f, nx_fetch_only(q, NULL));
    cr_assert_eq(c.count, 1);
    nx_value value;
    CHECK(nx_row_get(c.rows[0], name, &value));
    cr_expect(nxt_text_is(value.text, "lamp"));
    CHECK(nx_row_get(c.rows[0], price, &value));
    cr_expect_float_eq(value.f64, 12.5, 0.0);
    nxt_seen(f, &c);
    nx_db_free(db);
    nx_entity_free(product);
    nx_entity_free(NULL);
}

CASE(bind, run_time_entity_mistakes)
{
    const nx_field twice[] = { { .name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i64 },
                               { .name = "id", .kind = NX_KIND_REQ, .type = NX_TYPE_i64 } };
    const nx_field nothing[] = { { .name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_null } };
    nx_entity *entity = NULL;
    cr_expect_eq(nx_entity_new("E", twice, 2, NULL, &entity), NX_EINVAL);
    cr_expect_eq(nx_entity_new("E", nothing, 1, NULL, &entity), NX_EINVAL);
    cr_expect_eq(nx_entity_new("E", NULL, 0, NULL, &entity), NX_EINVAL);
    cr_expect_null(entity, "untouched on failure");
    cr_expect_neq(nx_column_of(&Post_entity, "title").field, UINT16_MAX);
    (void)f;
}

CASE(bind, integers_are_converted_on_setting)
{
    Every *e = nx_make(f->db, Every);
    CHECK(nx_row_set(e, Every_.i16, nx_value_i64(-32768)));
    cr_expect_eq(e->i16, -32768);
    cr_expect_eq(nx_row_set(e, Every_.i16, nx_value_i64(32768)), NX_ERANGE);
    cr_expect_eq(nx_row_set(e, Every_.u32, nx_value_i64(-1)), NX_ERANGE);
    CHECK(nx_row_set(e, Every_.i16, nx_value_str("12")));
    cr_expect_eq(e->i16, 12);
    cr_expect_eq(nx_row_set(e, Every_.i16, nx_value_str("12x")), NX_ETYPE);
    CHECK(nx_row_set(e, Every_.enumeration, nx_value_str("green")));
    cr_expect_eq(e->enumeration, 1);
    CHECK(nx_row_set(e, Every_.o_i32, nx_null()));
    cr_expect_not(e->o_i32.present);
    nx_release_row(f->db, e);
    nx_release_row(f->db, NULL);
}
