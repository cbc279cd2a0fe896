/*
 * test_entity - descriptors made at run time; members by column handle.
 */
#include "engine/types.h"
#include "tests/support/mapping_kit.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(entity, .init = kit_open, .fini = kit_close);

#define AUTHOR(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, name)                                                                                                    \
    FIELD(E, SET, Post, posts)
#define POST(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, title, .max_len = 200)                                                                                   \
    FIELD(E, REQ, longtext, body)                                                                                                \
    FIELD(E, OPT, i16, score)                                                                                                    \
    FIELD(E, REQ, boolean, draft)                                                                                                \
    FIELD(E, OPT, enumeration, state, .labels = NX_LABELS("new", "old"))                                                         \
    FIELD(E, OPT, date, day)                                                                                                     \
    FIELD(E, OPT, vector, place)                                                                                                 \
    FIELD(E, LOCAL, int, scratch)                                                                                                \
    FIELD(E, SINGLE, Author, author, .optional = true)
NX_ENTITY_DECLARE(Author, AUTHOR)
NX_ENTITY_DECLARE(Post, POST)
NX_ENTITY_DEFINE(Author, AUTHOR)
NX_ENTITY_DEFINE(Post, POST)

/* ------------------------------------------------------------------------ made at run time */

/* Method: the same fields without places give the layout that the compiler gave the struct. */
Test(entity, the_layout_is_that_of_the_struct)
{
    nx_field fields[Post_field_count];
    nx_entity *made = NULL;

    memcpy(fields, Post_entity.fields, sizeof(fields));
    for (size_t i = 0; i < NXI_COUNT(fields); i++) {
        fields[i].offset = 9999;
        if (fields[i].kind != NX_KIND_LOCAL)
            fields[i].size = 9999;
    }
    /* A local member has no type of ours, so the alignment of any type is taken; the compiler knows it is an int. */
    fields[Post_scratch_field].type = NX_TYPE_i32;
    cr_assert_eq(nx_entity_new("Post", fields, NXI_COUNT(fields), NULL, &made), NX_OK);
    cr_assert_eq(made->row_size, sizeof(Post));
    for (size_t i = 0; i < NXI_COUNT(fields); i++) {
        cr_assert_eq(made->fields[i].offset, Post_entity.fields[i].offset, "%s", fields[i].name);
        cr_assert_eq(made->fields[i].size, Post_entity.fields[i].size, "%s", fields[i].name);
        cr_assert_eq(made->fields[i].type, Post_entity.fields[i].type, "%s", fields[i].name);
    }
    nx_entity_free(made);
}

Test(entity, every_type_in_both_forms_gets_an_aligned_place)
{
    nx_field fields[2 * NX_TYPE_count];
    char names[2 * NX_TYPE_count][24];
    size_t count = 0, end = 0;
    nx_entity *made = NULL;

    for (int type = NX_TYPE_null + 1; type < NX_TYPE_key; type++) {
        for (int form = 0; form < 2; form++) {
            (void)snprintf(names[count], sizeof(names[0]), "%s_%d", nx_type_name((nx_type)type), form);
            fields[count] =
                (nx_field){.name = names[count], .kind = form == 0 ? NX_KIND_REQ : NX_KIND_OPT, .type = (nx_type)type};
            count++;
        }
    }
    cr_assert_eq(nx_entity_new("All", fields, count, NULL, &made), NX_OK);
    for (size_t i = 0; i < count; i++) {
        const nxi_type_info *info = &nxi_types[made->fields[i].type];
        size_t align = i % 2 == 0 ? info->align : info->optional_align;

        cr_assert_eq(made->fields[i].offset % align, 0);
        cr_assert_geq(made->fields[i].offset, end);
        end = made->fields[i].offset + made->fields[i].size;
    }
    cr_assert_geq(made->row_size, end);
    nx_entity_free(made);
}

Test(entity, names_and_options_are_copied)
{
    char name[] = "Thing", field[] = "kind", label[] = "one", table[] = "things", index[] = "kind";
    const char *labels[] = {label, NULL}, *indexes[] = {index, NULL};
    nx_field fields[] = {{.name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i64},
                         {.name = field, .kind = NX_KIND_REQ, .type = NX_TYPE_enumeration, .labels = labels, .initial = label}};
    nx_entity options = {.table = table, .indexes = indexes};
    nx_entity *made = NULL;

    cr_assert_eq(nx_entity_new(name, fields, 2, &options, &made), NX_OK);
    memset(name, 'x', 5);
    memset(field, 'x', 4);
    memset(label, 'x', 3);
    memset(table, 'x', 6);
    memset(index, 'x', 4);
    labels[0] = indexes[0] = NULL;
    cr_assert_str_eq(made->name, "Thing");
    cr_assert_str_eq(made->table, "things");
    cr_assert_str_eq(made->fields[1].name, "kind");
    cr_assert_str_eq(made->fields[1].labels[0], "one");
    cr_assert_str_eq(made->indexes[0], "kind");
    cr_assert_eq(kit_map(made), NX_OK, "%s", kit_error.message);
    cr_assert_str_eq(kit_table(made)->name, "things");
    nx_entity_free(made);
}

Test(entity, an_entity_can_refer_to_itself_and_to_others)
{
    nx_entity options = {.table = "node"};
    nx_field fields[] = {{.name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i64},
                         {.name = "parent", .kind = NX_KIND_SINGLE, .target = &options, .optional = true},
                         {.name = "author", .kind = NX_KIND_SINGLE, .target = &Author_entity, .optional = true}};
    nx_entity *made = NULL;

    cr_assert_eq(nx_entity_new("Node", fields, 3, &options, &made), NX_OK);
    cr_assert_eq((const void *)made->fields[1].target, (const void *)made);
    cr_assert_eq(kit_map(made, &Author_entity, &Post_entity), NX_OK, "%s", kit_error.message);
    cr_assert_str_eq(kit_column(made, "parent")->name, "parent_id");
    nx_entity_free(made);
}

Test(entity, what_cannot_be_an_entity_is_refused)
{
    nx_field good = {.name = "id", .kind = NX_KIND_PK, .type = NX_TYPE_i64};
    const nx_field bad[] = {{.name = NULL, .kind = NX_KIND_REQ, .type = NX_TYPE_i64},
                            {.name = "", .kind = NX_KIND_REQ, .type = NX_TYPE_i64},
                            {.name = "id", .kind = NX_KIND_REQ, .type = NX_TYPE_i64},
                            {.name = "a", .kind = NX_KIND_REQ, .type = NX_TYPE_null},
                            {.name = "a", .kind = NX_KIND_REQ, .type = NX_TYPE_key},
                            {.name = "a", .kind = NX_KIND_OPT, .type = NX_TYPE_set},
                            {.name = "a", .kind = NX_KIND_PK, .type = (nx_type)77},
                            {.name = "a", .kind = (nx_kind)77, .type = NX_TYPE_i64},
                            {.name = "a", .kind = NX_KIND_SINGLE, .type = NX_TYPE_key},
                            {.name = "a", .kind = NX_KIND_SET},
                            {.name = "a", .kind = NX_KIND_LOCAL},
                            {.name = "a", .kind = NX_KIND_LOCAL, .size = SIZE_MAX}};
    nx_entity *made = NULL;

    for (size_t i = 0; i < NXI_COUNT(bad); i++) {
        nx_field fields[] = {good, bad[i]};

        cr_assert_eq(nx_entity_new("E", fields, 2, NULL, &made), NX_EINVAL, "case %zu", i);
    }
    cr_assert_eq(nx_entity_new("E", &good, 0, NULL, &made), NX_EINVAL);
    cr_assert_eq(nx_entity_new("E", NULL, 1, NULL, &made), NX_EINVAL);
    cr_assert_eq(nx_entity_new("E", &good, UINT16_MAX, NULL, &made), NX_EINVAL);
    cr_assert_eq(nx_entity_new(NULL, &good, 1, NULL, &made), NX_EINVAL);
    cr_assert_eq(nx_entity_new("", &good, 1, NULL, &made), NX_EINVAL);
    cr_assert_eq(nx_entity_new("E", &good, 1, NULL, NULL), NX_EINVAL);
    cr_assert_null(made);
    nx_entity_free(NULL);
}

Test(entity, every_failing_allocation_is_an_answer)
{
    nx_entity *made = NULL;
    size_t failures = 0;

    for (uint64_t n = 1; made == NULL && n < 100; n++) {
        nx_status status;

        nxi_memory_fail(n, true);
        status = nx_entity_new("Post", Post_entity.fields, Post_field_count, NULL, &made);
        nxi_memory_fail(0, false);
        cr_assert(status == NX_OK || (status == NX_ENOMEM && made == NULL));
        failures += status != NX_OK;
    }
    cr_assert_gt(failures, 0);
    cr_assert_not_null(made);
    nx_entity_free(made);
}

/* ------------------------------------------------------------------------- column handles */

Test(entity, columns_are_found_by_name)
{
    cr_assert_eq(nx_column_of(&Post_entity, "score").field, Post_score_field);
    cr_assert_eq((const void *)nx_column_of(&Post_entity, "score").entity, (const void *)&Post_entity);
    cr_assert_eq(nx_column_of(&Post_entity, "Score").field, UINT16_MAX);
    cr_assert_eq(nx_column_of(&Post_entity, "").field, UINT16_MAX);
    cr_assert_eq(nx_column_of(&Post_entity, NULL).field, UINT16_MAX);
    cr_assert_eq(nx_column_of(NULL, "score").field, UINT16_MAX);
}

static Post *map_post(void)
{
    cr_assert_eq(kit_map(&Post_entity, &Author_entity), NX_OK, "%s", kit_error.message);
    return kit_row(&Post_entity);
}

Test(entity, members_are_set_with_conversion)
{
    Post *post = map_post();
    nx_value value;

    cr_assert_eq((const void *)nx_row_entity(post), (const void *)&Post_entity);
    cr_assert_null(nx_row_entity(NULL));
    cr_assert_eq(nx_row_set(post, Post_.title, NX_VALUE("Hello")), NX_OK);
    cr_assert_str_eq(post->title.data, "Hello");
    cr_assert_eq(nx_row_set(post, Post_.score, NX_VALUE("-12")), NX_OK);
    cr_assert(post->score.present && post->score.value == -12);
    cr_assert_eq(nx_row_set(post, Post_.score, NX_VALUE(40000)), NX_ERANGE);
    cr_assert_eq(nx_row_set(post, Post_.score, NX_VALUE("many")), NX_ETYPE);
    cr_assert_eq(post->score.value, -12, "untouched");
    cr_assert_eq(nx_row_set(post, Post_.score, nx_null()), NX_OK);
    cr_assert_not(post->score.present);
    cr_assert_eq(nx_row_get(post, Post_.score, &value), NX_OK);
    cr_assert_eq(value.type, NX_TYPE_null);
    cr_assert_eq(nx_row_set(post, Post_.draft, NX_VALUE(1)), NX_OK);
    cr_assert(post->draft);
    cr_assert_eq(nx_row_set(post, Post_.state, NX_VALUE("old")), NX_OK);
    cr_assert_eq(post->state.value, 1);
    cr_assert_eq(nx_row_set(post, Post_.state, NX_VALUE("older")), NX_ERANGE);
    cr_assert_eq(nx_row_set(post, Post_.day, NX_VALUE("1970-01-05")), NX_OK);
    cr_assert_eq(post->day.value.days, 4);
    cr_assert_eq(nx_row_set(post, Post_.place, NX_VALUE("[1,2]")), NX_ETYPE, "there is no memory for it");
    cr_assert_eq(nx_row_set(post, Post_.title, nx_null()), NX_EREQUIRED);
    cr_assert_eq(nx_row_set(post, Post_.draft, nx_null()), NX_EREQUIRED);
    cr_assert_eq(nx_row_set(post, Post_.author, NX_VALUE("7")), NX_OK);
    cr_assert_eq(nx_row_get(post, Post_.author, &value), NX_OK);
    cr_assert_eq(value.i64, 7);
    cr_assert_eq(nx_row_set(post, Post_.author, nx_null()), NX_OK);
    cr_assert_eq(post->author.key.part_count, 0);
}

Test(entity, columns_that_do_not_belong_are_refused)
{
    Post *post = map_post();
    nx_value value = nx_value_i64(5);

    cr_assert_eq(nx_row_get(post, Author_.name, &value), NX_ENOFIELD);
    cr_assert_eq(nx_row_set(post, Author_.name, NX_VALUE("x")), NX_ENOFIELD);
    cr_assert_eq(nx_row_get(post, (nx_column){&Post_entity, UINT16_MAX}, &value), NX_ENOFIELD);
    cr_assert_eq(nx_row_get(post, (nx_column){&Post_entity, Post_field_count}, &value), NX_ENOFIELD);
    cr_assert_eq(nx_row_get(post, Post_.scratch, &value), NX_ETYPE);
    cr_assert_eq(nx_row_get(NULL, Post_.title, &value), NX_EINVAL);
    cr_assert_eq(nx_row_set(NULL, Post_.title, NX_VALUE("x")), NX_EINVAL);
    cr_assert_eq(value.i64, 5);
    cr_assert_not(nx_row_is_loaded(post, Author_.name));
    cr_assert_not(nx_row_is_loaded(NULL, Post_.title));
}

Test(entity, lazy_fields_tell_whether_they_are_loaded)
{
    Post *post = map_post();
    nx_value value;

    cr_assert(nx_row_is_loaded(post, Post_.body));
    nxi_row_of(post)->lazy_missing = kit_table(&Post_entity)->lazy_mask;
    cr_assert_not(nx_row_is_loaded(post, Post_.body));
    cr_assert(nx_row_is_loaded(post, Post_.title));
    cr_assert_eq(nx_row_get(post, Post_.body, &value), NX_ESTATE);
    cr_assert_eq(nx_row_set(post, Post_.body, NX_VALUE("text")), NX_OK);
    cr_assert(nx_row_is_loaded(post, Post_.body));
    cr_assert_eq(nx_row_get(post, Post_.body, &value), NX_OK);
    cr_assert_str_eq(value.text.data, "text");
}
