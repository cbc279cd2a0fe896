/*
 * strict: what is read is what the fields can hold, or an error; and memory of the caller's is neither written to nor kept.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cases.h"

#define LOOSE(FIELD, E)                                                                                                          \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, OPT, i16, small)                                                                                                    \
    FIELD(E, OPT, i32, medium)                                                                                                   \
    FIELD(E, OPT, u32, natural)                                                                                                  \
    FIELD(E, OPT, i64, large)                                                                                                    \
    FIELD(E, OPT, f64, ratio)                                                                                                    \
    FIELD(E, OPT, boolean, flag)                                                                                                 \
    FIELD(E, OPT, text, note)                                                                                                    \
    FIELD(E, OPT, longtext, body, .lazy = NX_OFF)                                                                                \
    FIELD(E, OPT, bytes, data)                                                                                                   \
    FIELD(E, OPT, decimal, price)                                                                                                \
    FIELD(E, OPT, json, extra)                                                                                                   \
    FIELD(E, OPT, date, day)                                                                                                     \
    FIELD(E, OPT, time, hour)                                                                                                    \
    FIELD(E, OPT, timestamp, moment)                                                                                             \
    FIELD(E, OPT, timestamptz, instant)                                                                                          \
    FIELD(E, OPT, interval, span)                                                                                                \
    FIELD(E, OPT, uuid, tag)                                                                                                     \
    FIELD(E, OPT, ulid, mark)                                                                                                    \
    FIELD(E, OPT, vector, place)                                                                                                 \
    FIELD(E, OPT, enumeration, state, .labels = NX_LABELS("a", "b"))
NX_ENTITY(Loose, LOOSE)
#define NEED(FIELD, E) FIELD(E, PK, i64, id) FIELD(E, REQ, i32, number) FIELD(E, REQ, text, name)
NX_ENTITY(Need, NEED)

#define LAND(FIELD, E) FIELD(E, PK, text, code) FIELD(E, PK, i32, number)
NX_ENTITY(Land, LAND)
#define TOWN(FIELD, E)                                                                                                           \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, size)                                                                                                     \
    FIELD(E, REQ, text, name, .unique = true)                                                                                    \
    FIELD(E, OPT, bytes, seal)                                                                                                   \
    FIELD(E, OPT, decimal, tax)                                                                                                  \
    FIELD(E, SINGLE, Land, land, .optional = true)
NX_ENTITY(Town, TOWN)
#define DEED(FIELD, E)                                                                                                           \
    FIELD(E, PK, uuid, id, .generate = NX_GENERATE_UUID7)                                                                        \
    FIELD(E, REQ, i32, number, .unique = true)                                                                                   \
    FIELD(E, REQ, text, title)
NX_ENTITY(Deed, DEED)
#define EDITION(FIELD, E) FIELD(E, PK, i64, id) FIELD(E, REQ, i32, number) FIELD(E, REQ, i32, version, .version = true)
NX_ENTITY(Edition, EDITION)
#define VOLUME(FIELD, E) FIELD(E, PK, i64, id) FIELD(E, REQ, i32, number) FIELD(E, REQ, i64, version, .version = true)
NX_ENTITY(Volume, VOLUME)

static bool on_sqlite(const nxt_fixture *f)
{
    return strcmp(f->provider->name, "sqlite") == 0;
}

static void run(nxt_fixture *f, nx_db *db, const char *sql)
{
    OK(f, nx_execute(db, sql, nx_no_args, NULL));
}

/* As another program would make the tables: SQLite takes any value in any column. */
static nx_db *loose_database(nxt_fixture *f)
{
    nx_db *db = nxt_database(f, 1, (const nx_entity *const[]){ &Loose_entity, &Need_entity, NULL });

    run(f, db, "DROP TABLE loose");
    run(f, db, "DROP TABLE need");
    run(f, db,
        on_sqlite(f)
            ? "CREATE TABLE loose (id INTEGER PRIMARY KEY, small, medium INTEGER, natural, large INTEGER, ratio, flag,"
              " note, body, data, price, extra, day, hour, moment, instant, span, tag, mark, place, state)"
            : "CREATE TABLE loose (id bigint PRIMARY KEY, small integer, medium bigint, \"natural\" bigint, large numeric,"
              " ratio float8, flag boolean, note text, body text, data bytea, price numeric, extra text, day text,"
              " hour text, moment text, instant text, span text, tag text, mark text, place text, state text)");
    run(f, db, "CREATE TABLE need (id bigint PRIMARY KEY, number integer, name text)");
    return db;
}

typedef struct bad {
    const char *set;
    nx_status status; /* NX_OK: it is a good value */
} bad;

static const bad sqlite_bad[] = {
    { "small = 70000", NX_ERANGE },
    { "small = 1.5", NX_ETYPE },
    { "small = '7'", NX_ETYPE },
    { "small = x'07'", NX_ETYPE },
    { "medium = 2147483648.0", NX_ERANGE },
    { "medium = -2147483649", NX_ERANGE },
    { "medium = 2147483647", NX_OK },
    { "natural = -1", NX_ERANGE },
    { "natural = 4294967296", NX_ERANGE },
    { "large = 1e300", NX_ETYPE },
    { "large = 9223372036854775807 + 1", NX_ETYPE },
    { "ratio = '1.5'", NX_ETYPE },
    { "ratio = 9223372036854775807", NX_ERANGE },
    { "flag = 2", NX_ERANGE },
    { "flag = 'true'", NX_ETYPE },
    { "note = CAST(x'ff41' AS TEXT)", NX_EENCODING },
    { "note = 'a' || char(0) || 'b'", NX_EENCODING },
    { "note = CAST(x'eda080' AS TEXT)", NX_EENCODING },
    { "note = CAST(x'6162636465666768696a6b6c6d6e6f7071c3' AS TEXT)", NX_EENCODING },
    { "note = x'4142'", NX_ETYPE },
    { "note = 5", NX_ETYPE },
    { "note = 'gr\xc3\xbc\xc3\x9f'", NX_OK },
    { "body = CAST(x'41c3' AS TEXT)", NX_EENCODING },
    { "data = 'text'", NX_ETYPE },
    { "price = 'abc'", NX_ETYPE },
    { "price = ''", NX_ETYPE },
    { "price = 1.5", NX_ETYPE },
    { "price = '1e5'", NX_ETYPE },
    { "price = 15", NX_OK },
    { "price = CAST(x'3100' AS TEXT)", NX_ETYPE },
    { "extra = '{bad'", NX_ETYPE },
    { "extra = ''", NX_ETYPE },
    { "extra = '{\"a\":[1,2.5e3,null]}'", NX_OK },
    { "extra = CAST(x'22ff22' AS TEXT)", NX_EENCODING },
    { "day = '2026-02-30'", NX_ETYPE },
    { "day = 20260101", NX_ETYPE },
    { "day = ''", NX_ETYPE },
    { "hour = '25:00:00'", NX_ETYPE },
    { "moment = '2026-13-01 00:00:00'", NX_ETYPE },
    { "instant = 1767225600", NX_ETYPE },
    { "span = 'P1M'", NX_ETYPE },
    { "span = 1.5", NX_ETYPE },
    { "span = 15", NX_OK },
    { "tag = 'xyz'", NX_ETYPE },
    { "tag = x'00112233445566778899aabbccddeeff'", NX_ETYPE },
    { "mark = 'short'", NX_ETYPE },
    { "place = '[1,x]'", NX_ETYPE },
    { "place = '1,2'", NX_ETYPE },
    { "state = 'zz'", NX_ETYPE },
    { "state = 'A'", NX_ETYPE },
    { "state = 0", NX_ETYPE },
    { "state = 'b'", NX_OK },
};
static const bad postgres_bad[] = {
    { "small = 70000", NX_ERANGE },
    { "medium = 2147483648", NX_ERANGE },
    { "\"natural\" = -1", NX_ERANGE },
    { "\"natural\" = 4294967296", NX_ERANGE },
    { "large = 1.5", NX_ERANGE },
    { "large = 9223372036854775808", NX_ERANGE },
    { "large = 'NaN'", NX_ERANGE },
    { "large = 7.00", NX_OK },
    { "note = 'gr\xc3\xbc\xc3\x9f'", NX_OK },
    { "day = '2026-02-30'", NX_ETYPE },
    { "hour = '25:00:00'", NX_ETYPE },
    { "moment = 'now'", NX_ETYPE },
    { "instant = ''", NX_ETYPE },
    { "span = 'x'", NX_ETYPE },
    { "tag = 'xyz'", NX_ETYPE },
    { "mark = 'short'", NX_ETYPE },
    { "place = '[1,x]'", NX_ETYPE },
    { "state = 'zz'", NX_ETYPE },
    { "state = 'A'", NX_ETYPE },
    { "state = 'b'", NX_OK },
    { "extra = '{bad'", NX_ETYPE },
    { "extra = '[1]'", NX_OK },
};

/* The column that a SET clause is about, without quotes. */
static void column_of(const char *set, char name[16])
{
    size_t size = 0;

    for (; *set != ' '; set++)
        if (*set != '"' && size < 15)
            name[size++] = *set;
    name[size] = '\0';
}

static void set_only(nxt_fixture *f, nx_db *db, const char *set)
{
    char sql[200];

    run(f, db, "DELETE FROM loose");
    run(f, db, "INSERT INTO loose (id) VALUES (1)");
    (void)snprintf(sql, sizeof(sql), "UPDATE loose SET %s", set);
    run(f, db, sql);
}

CASE(strict, what_the_database_holds_fits_or_is_an_error)
{
    const bad *list = on_sqlite(f) ? sqlite_bad : postgres_bad;
    size_t count = on_sqlite(f) ? sizeof(sqlite_bad) / sizeof(bad) : sizeof(postgres_bad) / sizeof(bad);
    nx_db *db = loose_database(f);
    char column[16];

    for (size_t i = 0; i < count; i++) {
        set_only(f, db, list[i].set);
        nx_completion c = nx_await(f->loop, nx_fetch_all(nx_select(db, Loose), NULL));
        cr_expect_eq(c.status, list[i].status, "%s: %s", list[i].set, nx_status_name(c.status));
        if (c.status != NX_OK && c.status == list[i].status) {
            column_of(list[i].set, column);
            cr_expect_str_eq(c.error->column, column, "%s", c.error->message);
            cr_expect_str_eq(c.error->table, "loose", "%s", c.error->message);
        }
        nxt_seen(f, &c);
    }
    run(f, db, "INSERT INTO need (id, number, name) VALUES (1, NULL, 'x')");
    cr_expect_str_eq(FAILS(f, nx_fetch_all(nx_select(db, Need), NULL), NX_ETYPE)->column, "number");
    run(f, db, "UPDATE need SET number = 1, name = NULL");
    cr_expect_str_eq(FAILS(f, nx_fetch_all(nx_select(db, Need), NULL), NX_ETYPE)->column, "name");
}

/* The first failing completion of a stream. */
static nx_status end_of_stream(nxt_fixture *f, nx_db *db)
{
    nx_op op = nx_stream(nx_select(db, Loose), NULL, NULL);
    nx_status status = NX_OK;

    for (bool more = true; more;) {
        nx_completion c = nx_await(f->loop, op);
        status = c.status;
        more = (c.flags & NX_MORE) != 0;
        nxt_seen(f, &c);
    }
    return status;
}

CASE(strict, every_way_of_reading_is_strict)
{
    nx_db *db = loose_database(f);
    const char *set = on_sqlite(f) ? "price = 'abc', note = CAST(x'ff' AS TEXT)" : "state = 'zz', \"natural\" = -1";
    nx_status status = on_sqlite(f) ? NX_EENCODING : NX_ERANGE;

    set_only(f, db, on_sqlite(f) ? "price = '1'" : "state = 'a'");
    nx_session *s = nx_session_begin(f->loop, NULL);
    nx_completion c = OK(f, nx_fetch_all(nx_select(s, Loose), NULL));
    Loose *row = c.rows[0];
    nxt_seen(f, &c);
    OK(f, nx_rollback(s, NULL));
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "UPDATE loose SET %s", set);
    run(f, db, sql);
    FAILS(f, nx_refresh(s, row, NULL), status);
    nx_session_free(s);
    cr_expect_eq(end_of_stream(f, db), status);
    FAILS(f, nx_fetch_one(nx_select(db, Loose), NULL), status);
    FAILS(f, nx_fetch_sql(db, &Loose_entity, "SELECT * FROM loose", nx_no_args, NULL), status);
    if (on_sqlite(f)) {
        cr_expect_str_eq(FAILS(f, nx_max(nx_select(db, Loose), Loose_.note, NULL), NX_EENCODING)->column, "note");
        cr_expect_str_eq(FAILS(f, nx_min(nx_select(db, Loose), Loose_.price, NULL), NX_ETYPE)->column, "price");
        FAILS(f, nx_fetch_sql(db, &Loose_entity, "SELECT '7' AS small", nx_no_args, NULL), NX_ETYPE);
        FAILS(f, nx_fetch_sql(db, &Loose_entity, "SELECT 0 AS state", nx_no_args, NULL), NX_ETYPE);
        FAILS(f, nx_fetch_sql(db, &Loose_entity, "SELECT '{' AS extra", nx_no_args, NULL), NX_ETYPE);
    } else {
        FAILS(f, nx_min(nx_select(db, Loose), Loose_.natural, NULL), NX_ERANGE);
    }
    c = OK(f, nx_fetch_sql(db, &Loose_entity,
                           on_sqlite(f) ? "SELECT 1 AS id, 90000000 AS span, '2026-01-02' AS day"
                                        : "SELECT 1 AS id, interval '90 s' AS span, date '2026-01-02' AS day",
                           nx_no_args, NULL));
    const Loose *good = c.rows[0];
    cr_expect(good->span.present && good->span.value.microseconds == 90000000);
    cr_expect_eq(good->day.value.days, 20455);
    nxt_seen(f, &c);
}

CASE(strict, the_rest_of_the_session_goes_on)
{
    nx_db *db = loose_database(f);
    nx_session *s = nx_session_begin(f->loop, NULL);

    run(f, db, "INSERT INTO need (id, number, name) VALUES (1, 1, 'one')");
    set_only(f, db, on_sqlite(f) ? "price = 'abc'" : "state = 'zz'");
    nx_op first = nx_fetch_all(nx_select(s, Need), NULL), wrong = nx_fetch_all(nx_select(s, Loose), NULL),
          last = nx_fetch_all(nx_select(s, Need), NULL);
    nx_completion c = OK(f, first);
    Need *need = c.rows[0];
    nxt_seen(f, &c);
    FAILS(f, wrong, NX_ETYPE);
    cr_expect_eq(COUNT(f, last), 1);
    need->number = 2;
    OK(f, nx_session_end(s, NULL));
    nx_session_free(s);
    c = OK(f, nx_fetch_one(nx_select(db, Need), NULL));
    cr_expect_eq(((const Need *)c.rows[0])->number, 2);
    nxt_seen(f, &c);
}

CASE(strict, texts_of_raw_queries_are_as_they_are)
{
    const char *sql = on_sqlite(f) ? "SELECT CAST(x'ff0041' AS TEXT)" : "SELECT convert_to('\xc3\xbc', 'LATIN1')";
    nx_completion c = OK(f, nx_select_raw(f->db, sql, nx_no_args, NULL));
    nx_value value = c.raw->values[0];

    if (on_sqlite(f)) {
        cr_expect_eq(value.type, NX_TYPE_text);
        cr_expect_eq(value.text.size, 3);
        cr_expect_eq(memcmp(value.text.data, "\xff\0A", 4), 0, "and a zero byte behind it");
    } else {
        cr_expect_eq(value.type, NX_TYPE_bytes);
        cr_expect_eq(memcmp(value.bytes.data, "\xfc", 1), 0);
    }
    nxt_seen(f, &c);
}

/* ------------------------------------------------------------------------------ memory */

static nx_db *towns(nxt_fixture *f)
{
    nx_db *db = nxt_database(f, 1, (const nx_entity *const[]){ &Land_entity, &Town_entity, &Deed_entity, NULL });

    run(f, db, "INSERT INTO land (code, number) VALUES ('de', 7), ('fr', 8)");
    return db;
}

CASE(strict, parts_of_a_key_stay_the_callers)
{
    nx_db *db = towns(f);
    nx_session *s = nx_session_begin(f->loop, NULL);
    char code[3] = "de";
    nx_value parts[2] = { nx_value_str(code), nx_value_i64(7) }, before[2];
    Town *town = nx_new(s, Town), *other = nx_new(s, Town);

    memcpy(before, parts, sizeof(parts));
    town->name = nx_str("a");
    town->land.key = (nx_key){ .parts = parts, .part_count = 2 };
    other->name = nx_str("b");
    OK(f, nx_flush(s, NULL));
    cr_assert_eq(memcmp(before, parts, sizeof(parts)), 0, "the library does not write to it");
    memcpy(code, "fr", 2);
    parts[1] = nx_value_i64(8);
    other->land.key = (nx_key){ .parts = parts, .part_count = 2 };
    OK(f, nx_flush(s, NULL));
    memset(parts, 0xee, sizeof(parts));
    memset(code, '#', 2);
    town->size = 1;
    other->size = 2;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 2);
    cr_expect_eq(town->land.key.part_count, 2);
    cr_expect_str_eq(town->land.key.parts[0].text.data, "de");
    cr_expect_eq(town->land.key.parts[1].i64, 7);
    cr_expect_str_eq(other->land.key.parts[0].text.data, "fr");
    nx_session_free(s);
    nx_completion c = OK(f, nx_select_raw(db, "SELECT land_code FROM town ORDER BY name", nx_no_args, NULL));
    cr_expect_str_eq(nx_rows_at(c.raw, 0, 0).text.data, "de");
    cr_expect_str_eq(nx_rows_at(c.raw, 1, 0).text.data, "fr");
    nxt_seen(f, &c);
}

/* Texts on the heap, so that a use after the flush is seen by the sanitizer. */
typedef struct lent {
    char *name, *seal, *tax, *code;
    nx_value parts[2];
} lent;

static void lend(Town *town, lent *mine)
{
    mine->name = strdup("Ulm");
    mine->seal = strdup("seal");
    mine->tax = strdup("1.50");
    mine->code = strdup("de");
    mine->parts[0] = nx_value_str(mine->code);
    mine->parts[1] = nx_value_i64(7);
    town->name = nx_str(mine->name);
    town->seal = nx_some(bytes, nx_bytes_of(mine->seal, 4));
    town->tax = nx_some(decimal, nx_dec(mine->tax));
    town->land.row = NULL;
    town->land.key = (nx_key){ .parts = mine->parts, .part_count = 2 };
}

static void take_back(lent *mine)
{
    memset(mine->name, '#', 3);
    memset(mine->parts, 0xee, sizeof(mine->parts));
    free(mine->name);
    free(mine->seal);
    free(mine->tax);
    free(mine->code);
}

static void check_town(const Town *town)
{
    cr_expect_str_eq(town->name.data, "Ulm");
    cr_expect_eq(memcmp(town->seal.value.data, "seal", 4), 0);
    cr_expect_str_eq(town->tax.value.data, "1.50");
    cr_expect_str_eq(town->land.key.parts[0].text.data, "de");
}

CASE(strict, memory_is_the_callers_after_a_flush)
{
    nx_db *db = towns(f);
    nx_session *s = nx_session_begin(f->loop, NULL);
    Town *town = nx_new(s, Town);
    lent mine;

    lend(town, &mine);
    OK(f, nx_flush(s, NULL));
    take_back(&mine);
    check_town(town);
    /* Equal values in other memory, beside a change: the flush writes the one, and keeps none of the others. */
    lend(town, &mine);
    town->size = 2;
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 1);
    take_back(&mine);
    check_town(town);
    /* And beside none: the flush writes nothing, and is over. */
    lend(town, &mine);
    cr_expect_eq(COUNT(f, nx_flush(s, NULL)), 0);
    take_back(&mine);
    check_town(town);
    town->size = 3;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 1);
    check_town(town);
    nx_session_free(s);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(db, Town), nx_and(nx_eq(Town_.name, "Ulm"), nx_eq(Town_.size, 3))), NULL)),
                 1);
}

CASE(strict, saved_rows_keep_their_own_texts)
{
    nx_db *db = towns(f);
    Town *town = nx_make(db, Town);
    lent mine;

    lend(town, &mine);
    OK(f, nx_save(db, town, NULL));
    take_back(&mine);
    lend(town, &mine);
    cr_expect_eq(COUNT(f, nx_save(db, town, NULL)), 0, "nothing has changed");
    take_back(&mine);
    check_town(town);
    town->size = 4;
    cr_expect_eq(COUNT(f, nx_save(db, town, NULL)), 1);
    check_town(town);
    nx_release_row(db, town);
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(db, Town), nx_and(nx_eq(Town_.name, "Ulm"), nx_eq(Town_.size, 4))), NULL)),
                 1);
}

CASE(strict, version_at_its_end_is_refused)
{
    nx_db *db = nxt_database(f, 1, (const nx_entity *const[]){ &Edition_entity, &Volume_entity, NULL });
    nx_session *s;

    run(f, db, "INSERT INTO edition (id, number, version) VALUES (1, 1, 2147483647)");
    run(f, db, "INSERT INTO volume (id, number, version) VALUES (1, 1, 9223372036854775807)");
    for (int i = 0; i < 2; i++) {
        s = nx_session_begin(f->loop, NULL);
        nx_completion c =
            i == 0 ? OK(f, nx_fetch_one(nx_select(s, Edition), NULL)) : OK(f, nx_fetch_one(nx_select(s, Volume), NULL));
        void *row = c.rows[0];
        nxt_seen(f, &c);
        if (i == 0)
            ((Edition *)row)->number = 2;
        else
            ((Volume *)row)->number = 2;
        const nx_error *error = FAILS(f, nx_commit(s, NULL), NX_ERANGE);
        cr_expect_eq(error->object, row);
        cr_expect_str_eq(error->column, "version");
        MENTIONS(error, i == 0 ? "Edition.version" : "Volume.version");
        nx_session_free(s);
    }
    cr_expect_eq(COUNT(f, nx_count(nx_filter(nx_select(db, Edition), nx_eq(Edition_.number, 1)), NULL)), 1, "nothing is written");
    cr_expect_eq(COUNT(f, nx_fetch_all(nx_select(db, Volume), NULL)), 1, "and the row can be read");
}

CASE(strict, failed_flush_leaves_values_as_they_were)
{
    static const char title[] = "  a title ";
    nx_db *db = towns(f);
    nx_session *s = nx_session_begin(f->loop, NULL);
    static const nx_uuid none;
    Deed *good = nx_new(s, Deed), *bad_one = nx_new(s, Deed);

    run(f, db, "INSERT INTO deed (id, number, title) VALUES ('00000000-0000-4000-8000-000000000001', 5, 'x')");
    good->number = 1;
    good->title = nx_str(title);
    bad_one->number = 5;
    bad_one->title = nx_str("t");
    for (int i = 0; i < 2; i++) { /* refused by the database, then before anything is sent */
        FAILS(f, nx_flush(s, NULL), i == 0 ? NX_EUNIQUE : NX_EREQUIRED);
        cr_expect(good->title.data == title && good->title.size == sizeof(title) - 1, "not stripped");
        cr_expect_eq(memcmp(&good->id, &none, sizeof(none)), 0, "no key");
        bad_one->title.data = NULL;
    }
    bad_one->title = nx_str("t");
    bad_one->number = 6;
    cr_expect_eq(COUNT(f, nx_commit(s, NULL)), 2);
    cr_expect_str_eq(good->title.data, "a title");
    nx_session_free(s);
}
