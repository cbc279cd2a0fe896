/*
 * uow_values - what counts as a change of a value, and what a session keeps of the caller's memory: nothing.
 */
#include <math.h>
#include <stdlib.h>

#include "uow_kit.h"

/* Values of which equal ones have several forms. */
#define UOW_FORMS(FIELD, E)                                                                                                      \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, k)                                                                                                        \
    FIELD(E, OPT, f64, number)                                                                                                   \
    FIELD(E, OPT, decimal, digits)                                                                                               \
    FIELD(E, OPT, json, document)                                                                                                \
    FIELD(E, OPT, text, label)                                                                                                   \
    FIELD(E, OPT, bytes, data)                                                                                                   \
    FIELD(E, OPT, timestamp, at)                                                                                                 \
    FIELD(E, OPT, timestamptz, instant)                                                                                          \
    FIELD(E, OPT, i64, large)                                                                                                    \
    FIELD(E, OPT, interval, span)                                                                                                \
    FIELD(E, OPT, time, clock)                                                                                                   \
    FIELD(E, OPT, date, day)                                                                                                     \
    FIELD(E, OPT, vector, place)
NX_ENTITY(Forms, UOW_FORMS)

/* Texts of every kind, with a key that is one and a reference to it. */
#define UOW_TEXTS(FIELD, E)                                                                                                      \
    FIELD(E, PK, text, code)                                                                                                     \
    FIELD(E, REQ, text, label)                                                                                                   \
    FIELD(E, OPT, bytes, data)                                                                                                   \
    FIELD(E, OPT, decimal, digits)                                                                                               \
    FIELD(E, OPT, longtext, story)                                                                                               \
    FIELD(E, OPT, vector, place)                                                                                                 \
    FIELD(E, REQ, i32, n)
#define UOW_QUOTE(FIELD, E)                                                                                                      \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, SINGLE, Texts, texts, .optional = true)                                                                             \
    FIELD(E, SINGLE, Cell, cell, .optional = true)                                                                               \
    FIELD(E, REQ, i32, n)
NX_ENTITY(Texts, UOW_TEXTS)
NX_ENTITY(Quote, UOW_QUOTE)

/* Versions at the end of their range. */
#define UOW_BIG(FIELD, E)                                                                                                        \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, n)                                                                                                        \
    FIELD(E, REQ, i64, version, .version = true)
NX_ENTITY(Big, UOW_BIG)

/* ------------------------------------------------------------------------------- what is a change */

/* Written once, read back as equal, found again with all columns compared. */
static void is_quiet(nxt_fixture *f, const Forms *values)
{
    nx_session *s = nxt_session(f, &(nx_session_options){ .optimistic = NX_OPTIMISTIC_ALL });
    Forms *forms = NEW(s, Forms);
    *forms = *values;
    OK(f, nx_commit(s, NULL));
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0, "unchanged after its INSERT");
    cr_expect_eq(ONE(f, Forms, nx_filter(nx_select(s, Forms), nx_eq(Forms_.id, forms->id))), forms);
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0, "unchanged after it was read");
    forms->k = 5;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1, "found again");
    nx_session_free(s);
}

#define QUIET(f, member, value) is_quiet((f), &(Forms){ .member = (value) })

CASE(uow_values, numbers_are_quiet)
{
    uow_map(f, NX_ENTITIES(Forms));
    if (strcmp(f->provider->name, "postgres") == 0)
        QUIET(f, number, nx_some(f64, (double)NAN));
    QUIET(f, number, nx_some(f64, -0.0));
    QUIET(f, number, nx_some(f64, 1e-320));
    QUIET(f, number, nx_some(f64, (double)INFINITY));
    QUIET(f, number, nx_some(f64, 0.1 + 0.2));
    QUIET(f, large, nx_some(i64, INT64_MIN));
    QUIET(f, large, nx_some(i64, INT64_MAX));
}

CASE(uow_values, decimals_are_quiet)
{
    uow_map(f, NX_ENTITIES(Forms));
    QUIET(f, digits, nx_some(decimal, nx_dec("1.00")));
    QUIET(f, digits, nx_some(decimal, nx_dec("007.50")));
    QUIET(f, digits, nx_some(decimal, nx_dec("-0")));
    QUIET(f, digits, nx_some(decimal, nx_dec("-1234567890123456789012345678901234567890.0123456789")));
}

CASE(uow_values, documents_and_texts_are_quiet)
{
    uow_map(f, NX_ENTITIES(Forms));
    QUIET(f, document, nx_some(json, nx_json_of("{ \"b\" :  1.0, \"a\":[ ] }")));
    QUIET(f, document, nx_some(json, nx_json_of("null")));
    QUIET(f, label, nx_some(text, nx_str("")));
    QUIET(f, label, nx_some(text, nx_str("   ")));
    QUIET(f, label, nx_some(text, nx_str("\xf0\x9f\x98\x80 e\xcc\x81")));
    QUIET(f, data, nx_some(bytes, nx_bytes_of("a\0b\0", 4)));
    QUIET(f, data, nx_some(bytes, nx_bytes_of("", 0)));
}

CASE(uow_values, times_and_vectors_are_quiet)
{
    static const float place[] = { 1.1F, -0.0F };
    bool months = strcmp(f->provider->name, "postgres") == 0;
    uow_map(f, NX_ENTITIES(Forms));
    QUIET(f, at, nx_some(timestamp, ((nx_timestamp){ -1 })));
    QUIET(f, instant, nx_some(timestamptz, ((nx_timestamptz){ 1767225599999999 })));
    QUIET(f, span, nx_some(interval, ((nx_interval){ months, -3, 86400000001 })));
    QUIET(f, clock, nx_some(time, ((nx_time){ 86399999999 })));
    QUIET(f, day, nx_some(date, ((nx_date){ -719528 })));
    QUIET(f, place, nx_some(vector, ((nx_vector){ place, 2 })));
}

CASE(uow_values, empty_text_and_null_differ)
{
    uow_map(f, NX_ENTITIES(Forms));
    nx_session *s = nxt_session(f, NULL);
    Forms *forms = NEW(s, Forms);
    forms->label = nx_some(text, nx_str(""));
    OK(f, nx_commit(s, NULL));
    forms->label = nx_none(text);
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    STORES(f, "SELECT count(*) FROM forms WHERE label IS NULL", 1);
    forms->label = nx_some(text, nx_str(""));
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM forms WHERE label = ''", 1);
}

/* What stands in the member of an optional field that is absent, or between members, is no value. */
CASE(uow_values, value_behind_an_absent_optional_is_no_change)
{
    uow_map(f, NX_ENTITIES(Forms));
    nx_session *s = nxt_session(f, NULL);
    Forms *forms = NEW(s, Forms);
    OK(f, nx_commit(s, NULL));
    forms->number = (nx_opt_f64){ .value = 4.5, .present = false };
    forms->label.value = nx_str("nothing");
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0);
    uow_do(f, f->db, "UPDATE forms SET k = 2");
    cr_expect_eq(ONE(f, Forms, nx_select(s, Forms)), forms);
    cr_expect_eq(forms->k, 2, "an unchanged row takes the newer values");
    nxt_end(f, s);
}

/* ------------------------------------------------------------------------------ the caller's memory */

static char *copy(const char *text)
{
    char *mine = strdup(text);

    cr_assert_not_null(mine);
    return mine;
}

/* Overwrite, then free: what still points there reads garbage, or is found by the sanitizer. */
static void give_up(char *mine)
{
    memset(mine, '#', strlen(mine));
    free(mine);
}

CASE(uow_values, memory_of_values_is_the_callers_again_after_the_flush)
{
    uow_map(f, NX_ENTITIES(Texts));
    char *mine[] = { copy("k1"), copy("label"), copy("data"), copy("1.25"), copy("story") };
    float *place = malloc(2 * sizeof(*place));
    cr_assert_not_null(place);
    place[0] = place[1] = 1.5F;
    nx_session *s = nxt_session(f, NULL);
    Texts *texts = NEW(s, Texts);
    texts->code = nx_str(mine[0]);
    texts->label = nx_str(mine[1]);
    texts->data = nx_some(bytes, nx_bytes_of(mine[2], 4));
    texts->digits = nx_some(decimal, nx_dec(mine[3]));
    texts->story = nx_some(longtext, nx_str(mine[4]));
    texts->place = nx_some(vector, ((nx_vector){ place, 2 }));
    OK(f, nx_flush(s, NULL));
    for (int i = 0; i < 5; i++)
        give_up(mine[i]);
    free(place);
    TEXT_IS(texts->code, "k1");
    TEXT_IS(texts->label, "label");
    TEXT_IS(texts->story.value, "story");
    cr_expect_eq(memcmp(texts->data.value.data, "data", 4), 0);
    cr_expect_eq(memcmp(texts->digits.value.data, "1.25", 4), 0);
    cr_expect_eq(texts->place.value.data[1], 1.5F);
    texts->n = 1;
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 1);
    nxt_end(f, s);
    STORES(f, "SELECT count(*) FROM texts WHERE code = 'k1' AND label = 'label' AND n = 1", 1);
}

CASE(uow_values, memory_of_an_equal_value_is_the_callers_again_after_the_flush)
{
    uow_map(f, NX_ENTITIES(Texts, Quote, Cell));
    uow_do(f, f->db, "INSERT INTO cell (page, code, n) VALUES (1, 'c', 0)");
    nx_session *s = nxt_session(f, NULL);
    Texts *texts = NEW(s, Texts);
    texts->code = nx_str("k1");
    texts->label = nx_str("label");
    Quote *quote = NEW(s, Quote);
    nx_set_ref(quote->texts, texts);
    nx_value first[] = { nx_value_i64(1), nx_value_str("c") };
    quote->cell.key = (nx_key){ .parts = first, .part_count = 2 };
    OK(f, nx_commit(s, NULL));

    char *mine[] = { copy("k1"), copy("label"), copy("k1"), copy("c") };
    nx_value *parts = malloc(2 * sizeof(*parts));
    cr_assert_not_null(parts);
    parts[0] = nx_value_i64(1);
    parts[1] = nx_value_str(mine[3]);
    texts->code = nx_str(mine[0]);
    texts->label = nx_str(mine[1]);
    nx_set_ref_key(quote->texts, nx_str(mine[2]));
    quote->cell.row = NULL;
    quote->cell.key = (nx_key){ .parts = parts, .part_count = 2 };
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 0, "equal values are no change");
    for (int i = 0; i < 4; i++)
        give_up(mine[i]);
    memset(parts, 0xee, 2 * sizeof(*parts));
    free(parts);
    texts->n = quote->n = 1;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 2);
    TEXT_IS(texts->label, "label");
    TEXT_IS(quote->cell.key.parts[1].text, "c");
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM quote WHERE texts_code = 'k1' AND cell_code = 'c' AND n = 1", 1);
}

CASE(uow_values, memory_of_a_value_is_the_callers_again_after_a_save_outside_sessions)
{
    uow_map(f, NX_ENTITIES(Texts));
    char *code = copy("k2"), *label = copy("outside");
    Texts *texts = nx_make(f->db, Texts);
    texts->code = nx_str(code);
    texts->label = nx_str(label);
    OK(f, nx_save(f->db, texts, NULL));
    give_up(code);
    give_up(label);
    texts->n = 1;
    OK(f, nx_save(f->db, texts, NULL));
    TEXT_IS(texts->label, "outside");
    nx_release_row(f->db, texts);
    STORES(f, "SELECT n FROM texts WHERE code = 'k2' AND label = 'outside'", 1);
}

/* After a failed flush the values are the caller's still; after a rollback the library's, and nothing of the caller's is read. */
CASE(uow_values, memory_of_a_value_that_was_undone_is_not_read)
{
    uow_map(f, NX_ENTITIES(Texts));
    uow_do(f, f->db, "INSERT INTO texts (code, label, n) VALUES ('k1', 'stored', 0)");
    for (int flushed = 0; flushed < 2; flushed++) {
        nx_session *s = nxt_session(f, NULL);
        Texts *texts = ONE(f, Texts, nx_select(s, Texts));
        char *mine = copy("mine");
        texts->label = nx_str(mine);
        if (flushed)
            OK(f, nx_flush(s, NULL));
        OK(f, nx_rollback(s, NULL));
        give_up(mine);
        TEXT_IS(texts->label, "stored");
        texts->n = flushed + 1;
        cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
        nx_session_free(s);
        STORES(f, "SELECT count(*) FROM texts WHERE label = 'stored'", 1);
    }
}

/* The caller's array of parts is const: it is neither written nor kept. */
CASE(uow_values, parts_of_a_composite_reference_are_the_callers_again_after_the_flush)
{
    uow_map(f, NX_ENTITIES(Cell, Quote, Texts));
    uow_do(f, f->db, "INSERT INTO cell (page, code, n) VALUES (1, 'one', 0), (2, 'two', 0)");
    nx_session *s = nxt_session(f, NULL);
    char code[] = "one";
    nx_value parts[] = { nx_value_i64(1), nx_value_str(code) };
    Quote *first = NEW(s, Quote);
    first->cell.key = (nx_key){ .parts = parts, .part_count = 2 };
    OK(f, nx_flush(s, NULL));
    cr_expect_eq(parts[0].i64, 1);
    cr_expect_eq(parts[1].text.data, (const char *)code, "the caller's array is not written");
    parts[0] = nx_value_i64(2);
    memcpy(code, "two", 3);
    Quote *second = NEW(s, Quote);
    second->cell.key = (nx_key){ .parts = parts, .part_count = 2 };
    OK(f, nx_flush(s, NULL));
    memset(parts, 0xee, sizeof(parts));
    memset(code, '#', 3);
    first->n = second->n = 1;
    OK(f, nx_commit(s, NULL));
    cr_assert_eq(first->cell.key.part_count, 2U);
    cr_expect_eq(first->cell.key.parts[0].i64, 1);
    TEXT_IS(first->cell.key.parts[1].text, "one");
    cr_expect_eq(ONE(f, Quote, nx_order_by(nx_select(s, Quote), nx_asc(Quote_.id))), first);
    TEXT_IS(first->cell.key.parts[1].text, "one");
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM quote WHERE (cell_page = 1 AND cell_code = 'one') OR (cell_page = 2 AND cell_code = 'two')",
           2);
}

/* Values that a query is given are copied by the step, also where the operation waits for others. */
CASE(uow_values, memory_of_conditions_is_not_read_after_the_step)
{
    uow_map(f, NX_ENTITIES(Texts));
    uow_do(f, f->db, "INSERT INTO texts (code, label, n) VALUES ('k1', 'a', 0)");
    nx_session *s = nxt_session(f, NULL);
    char *key = copy("k1"), *sql = copy("UPDATE texts SET n = 3 WHERE code = ?"), *value = copy("k1");
    nx_op get = nx_get(s, Texts, nx_eq(Texts_.code, nx_str(key)), NULL);
    nx_op execute = nx_session_execute(s, f->db, sql, nx_args(nx_str(value)), NULL);
    give_up(key);
    give_up(sql);
    give_up(value);
    cr_expect_eq(COUNT(f, get), 1);
    cr_expect_eq(COUNT(f, execute), 1);
    nxt_end(f, s);
    STORES(f, "SELECT n FROM texts", 3);
}

/* ------------------------------------------------------------------------------------- strictness */

static void refuses(nxt_fixture *f, const char *sql)
{
    uow_do(f, f->db, "DELETE FROM forms");
    uow_do(f, f->db, "INSERT INTO forms (id, k) VALUES (1, 1)");
    uow_do(f, f->db, sql);
    nx_session *s = nxt_session(f, NULL);
    nx_completion c = nx_await(f->loop, nx_fetch_all(nx_select(s, Forms), NULL));
    cr_expect_neq(c.status, NX_OK, "%s is read", sql);
    nxt_seen(f, &c);
    uow_do(f, f->db, "UPDATE forms SET digits = NULL, label = NULL");
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_select(s, Forms), NULL)), 1, "%s: the session goes on", sql);
    nxt_end(f, s);
}

/* SQLite stores anything in any column. */
CASE(uow_values, values_that_are_none_of_their_type_are_refused_when_read)
{
    static const char *const updates[] = {
        "UPDATE forms SET digits = 'abc'",
        "UPDATE forms SET digits = ''",
        "UPDATE forms SET digits = '1e'",
        "UPDATE forms SET digits = x'31'",
        "UPDATE forms SET label = CAST(x'ff41' AS TEXT)",
        "UPDATE forms SET label = CAST(x'eda080' AS TEXT)",
        "UPDATE forms SET label = 'a' || char(0) || 'b'",
    };

    uow_map(f, NX_ENTITIES(Forms));
    if (strcmp(f->provider->name, "sqlite") != 0)
        return; /* a server refuses to store them */
    for (size_t i = 0; i < sizeof(updates) / sizeof(updates[0]); i++)
        refuses(f, updates[i]);
}

/* The row stays readable, and the object as it was. */
CASE(uow_values, version_at_the_end_of_its_range_is_an_error)
{
    uow_map(f, NX_ENTITIES(Stamped, Big));
    uow_do(f, f->db, "INSERT INTO stamped (id, n, version) VALUES (1, 1, 2147483647)");
    uow_do(f, f->db, "INSERT INTO big (id, n, version) VALUES (1, 1, 9223372036854775807)");
    nx_session *s = nxt_session(f, NULL);
    Stamped *stamped = GET(f, s, Stamped, 1);
    stamped->n = 2;
    const nx_error *error = FAILS(f, nx_flush(s, NULL), NX_ERANGE);
    cr_expect_eq(error->object, stamped);
    MENTIONS(error, "version");
    cr_expect_eq(stamped->version, INT32_MAX);
    OK(f, nx_rollback(s, NULL));
    Big *big = GET(f, s, Big, 1);
    big->n = 2;
    FAILS(f, nx_session_end(s, NULL), NX_ERANGE);
    nx_session_free(s);
    STORES(f, "SELECT count(*) FROM stamped WHERE n = 1 AND version = 2147483647", 1);
    STORES(f, "SELECT count(*) FROM big WHERE n = 1 AND version = 9223372036854775807", 1);
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_select(f->db, Big), NULL)), 1);
    /* Outside of sessions, and for rows that are written by one statement together. */
    nx_completion c = OK(f, nx_fetch_one(nx_select(f->db, Stamped), NULL));
    ((Stamped *)c.rows[0])->n = 3;
    FAILS(f, nx_save(f->db, c.rows[0], NULL), NX_ERANGE);
    nxt_seen(f, &c);
    STORES(f, "SELECT n FROM stamped", 1);
}

CASE(uow_values, version_of_a_set_based_write_at_the_end_of_its_range_is_an_error)
{
    uow_map(f, NX_ENTITIES(Stamped));
    uow_do(f, f->db, "INSERT INTO stamped (id, n, version) VALUES (1, 1, 2147483647)");
    nx_completion c = nx_await(f->loop, nx_update_all(nx_select(f->db, Stamped), NULL, nx_assign(Stamped_.n, 5)));
    cr_expect_neq(c.status, NX_OK);
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_select(f->db, Stamped), NULL)), 1, "the row stays readable");
    STORES(f, "SELECT version FROM stamped", 2147483647);
}
