/*
 * model - random work in sessions, bulk loads and single writes, checked against a naive model of the two tables.
 *
 * The model holds the tables twice: as committed, and as the open session sees them. After every commit and rollback the whole
 * contents are read by a connection of our own and compared. NX_TEST_SEED repeats a run, NX_TEST_LONG=1 makes it 10 minutes.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fixture.h"
#include "tests/support/test_kit.h"

enum { ITEMS_MAX = 300, TITLE_SIZE = 24, SECONDS = 30, SECONDS_LONG = 600, NONE = -1 };

typedef struct author_item { bool present; int64_t id; int name; int32_t born; /* NONE: NULL */ } author_item;
typedef struct post_item { bool present; int64_t id; int title; int32_t score; bool draft; int author; } post_item;
typedef struct state { author_item author[ITEMS_MAX]; post_item post[ITEMS_MAX]; } state;

/* The objects that the open session holds, by the same index as the items. */
typedef struct held { Author *author[ITEMS_MAX]; Post *post[ITEMS_MAX]; } held;

typedef struct model {
    nxt_fixture f;
    nx_session *s, *outer;
    state committed, now, before_nested;
    held rows, rows_before_nested;
    int author_count, post_count; /* indices used so far */
    int names;
    bool writing;                 /* the session may hold the writer */
    bool made;                    /* rows were made since the last commit */
    uint64_t random;
    uint64_t steps, commits, rollbacks, failures;
    char text[2 * ITEMS_MAX][TITLE_SIZE]; /* texts that rows point to, until the session ends */
    size_t texts;
} model;

static uint32_t roll(model *m, uint32_t sides)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)(m->random >> 20) % sides;
}

static nx_text numbered(model *m, const char *what, int number)
{
    char *text = m->text[m->texts++ % (2 * ITEMS_MAX)];
    snprintf(text, TITLE_SIZE, "%s %d", what, number);
    return nx_str(text);
}

/* ------------------------------------------------------------------- comparing with what is stored */

static int number_of(const unsigned char *text)
{
    const char *space = text == NULL ? NULL : strchr((const char *)text, ' ');
    return space == NULL ? NONE : atoi(space + 1);
}

static int author_of(const state *expected, int64_t id)
{
    for (int i = 0; i < ITEMS_MAX; i++)
        if (expected->author[i].present && expected->author[i].id == id)
            return i;
    return NONE;
}

static int post_of(const state *expected, int64_t id)
{
    for (int i = 0; i < ITEMS_MAX; i++)
        if (expected->post[i].present && expected->post[i].id == id)
            return i;
    return NONE;
}

static void compare_authors(const state *expected, sqlite3 *reader)
{
    int rows = 0, items = 0;
    sqlite3_stmt *statement = NULL;
    cr_assert_eq(sqlite3_prepare_v2(reader, "SELECT id, name, born FROM author", -1, &statement, NULL), SQLITE_OK);
    for (; sqlite3_step(statement) == SQLITE_ROW; rows++) {
        int i = author_of(expected, sqlite3_column_int64(statement, 0));
        cr_assert_neq(i, NONE, "an author is stored that should not be: %s", (const char *)sqlite3_column_text(statement, 1));
        int32_t born = sqlite3_column_type(statement, 2) == SQLITE_NULL ? NONE : sqlite3_column_int(statement, 2);
        cr_assert_eq(number_of(sqlite3_column_text(statement, 1)), expected->author[i].name);
        cr_assert_eq(born, expected->author[i].born, "author %d was born in %d, not %d", i, born, expected->author[i].born);
    }
    sqlite3_finalize(statement);
    for (int i = 0; i < ITEMS_MAX; i++)
        items += expected->author[i].present;
    cr_assert_eq(rows, items, "%d authors are stored, not %d", rows, items);
}

static void compare_posts(const state *expected, sqlite3 *reader)
{
    int rows = 0, items = 0;
    sqlite3_stmt *statement = NULL;
    cr_assert_eq(sqlite3_prepare_v2(reader, "SELECT id, title, score, draft, author_id FROM post", -1, &statement, NULL),
                 SQLITE_OK);
    for (; sqlite3_step(statement) == SQLITE_ROW; rows++) {
        int i = post_of(expected, sqlite3_column_int64(statement, 0));
        cr_assert_neq(i, NONE, "a post is stored that should not be: %s", (const char *)sqlite3_column_text(statement, 1));
        const post_item *p = &expected->post[i];
        int32_t score = sqlite3_column_type(statement, 2) == SQLITE_NULL ? NONE : sqlite3_column_int(statement, 2);
        int author =
            sqlite3_column_type(statement, 4) == SQLITE_NULL ? NONE : author_of(expected, sqlite3_column_int64(statement, 4));
        cr_assert_eq(number_of(sqlite3_column_text(statement, 1)), p->title, "post %d is titled %s, not %d", i,
                     (const char *)sqlite3_column_text(statement, 1), p->title);
        cr_assert_eq(score, p->score, "post %d has score %d, not %d", i, score, p->score);
        cr_assert_eq(sqlite3_column_int(statement, 3) != 0, p->draft, "draft of post %d", i);
        cr_assert_eq(author, p->author, "post %d is by %d, not %d", i, author, p->author);
    }
    sqlite3_finalize(statement);
    for (int i = 0; i < ITEMS_MAX; i++)
        items += expected->post[i].present;
    cr_assert_eq(rows, items, "%d posts are stored, not %d", rows, items);
}

static void compare(model *m)
{
    sqlite3 *reader = NULL;
    cr_assert_eq(sqlite3_open_v2(m->f.path[0], &reader, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_busy_timeout(reader, 10000), SQLITE_OK);
    compare_authors(&m->committed, reader);
    compare_posts(&m->committed, reader);
    sqlite3_close(reader);
}

/* ------------------------------------------------------------------------------ the session's end */

/* New objects have got their keys. */
static void learn_keys(model *m)
{
    for (int i = 0; i < m->author_count; i++)
        if (m->now.author[i].present && m->now.author[i].id == 0)
            m->now.author[i].id = m->rows.author[i]->id;
    for (int i = 0; i < m->post_count; i++) {
        if (m->now.post[i].present && m->now.post[i].id == 0) {
            m->now.post[i].id = m->rows.post[i]->id;
            cr_assert_gt(m->now.post[i].id, 0, "a flushed row has a key");
        }
    }
}

static void forget(model *m)
{
    nx_session_free(m->s == m->outer ? NULL : m->s);
    nx_session_free(m->outer);
    m->s = m->outer = NULL;
    m->writing = m->made = false;
    m->rows = (held){ 0 };
    m->now = m->committed;
}

static void drop(model *m)
{
    forget(m);
    m->rollbacks++;
    compare(m);
}

/* A duplicate name is the only failure that the model causes; the whole session goes. */
static bool survived(model *m, nx_op op)
{
    nx_completion c = nx_await(m->f.loop, op);
    nxt_seen(&m->f, &c);
    if (c.status == NX_OK)
        return true;
    cr_assert_eq(c.status, NX_EUNIQUE, "%s: %s", nx_status_name(c.status), c.error == NULL ? "" : c.error->message);
    m->failures++;
    drop(m);
    return false;
}

static bool flush(model *m)
{
    m->writing = true;
    if (!survived(m, nx_flush(m->s, NULL)))
        return false;
    learn_keys(m);
    return true;
}

static void commit(model *m)
{
    if (m->s != m->outer || !survived(m, nx_commit(m->s, NULL)))
        return;
    learn_keys(m);
    m->writing = m->made = false;
    m->committed = m->now;
    m->commits++;
    compare(m);
}

static void end(model *m)
{
    if (m->s != m->outer || !survived(m, nx_session_end(m->s, NULL)))
        return;
    learn_keys(m);
    m->committed = m->now;
    m->commits++;
    forget(m);
    compare(m);
}

/* ------------------------------------------------------------------------------- work in a session */

/* Fetch everything: each row is what the model says, and the object that the session holds already. */
static void read_all(model *m)
{
    nx_completion c = nx_await(m->f.loop, nx_fetch_all(nx_select(m->s, Author), NULL));
    if (c.status == NX_EUNIQUE) {
        m->failures++;
        drop(m);
        return;
    }
    cr_assert_eq(c.status, NX_OK, "%s", c.error == NULL ? "" : c.error->message);
    learn_keys(m);
    for (int64_t k = 0; k < c.count; k++) {
        Author *a = c.rows[k];
        int i = author_of(&m->now, a->id);
        cr_assert_neq(i, NONE);
        cr_assert(m->rows.author[i] == NULL || m->rows.author[i] == a, "one row, two objects");
        m->rows.author[i] = a;
        cr_assert_eq(number_of((const unsigned char *)a->name.data), m->now.author[i].name);
        cr_assert_eq(a->born.present ? a->born.value : NONE, m->now.author[i].born);
    }
    nxt_seen(&m->f, &c);
    c = OK(&m->f, nx_fetch_all(nx_order_by(nx_select(m->s, Post), nx_desc(Post_.score)), NULL));
    int present = 0;
    for (int64_t k = 0; k < c.count; k++) {
        Post *p = c.rows[k];
        int i = post_of(&m->now, p->id);
        cr_assert_neq(i, NONE);
        cr_assert(m->rows.post[i] == NULL || m->rows.post[i] == p, "one row, two objects");
        m->rows.post[i] = p;
        cr_assert_eq(number_of((const unsigned char *)p->title.data), m->now.post[i].title);
        cr_assert_eq(p->score.present ? p->score.value : NONE, m->now.post[i].score);
        cr_assert_eq(p->draft, m->now.post[i].draft);
    }
    for (int i = 0; i < m->post_count; i++)
        present += m->now.post[i].present;
    cr_assert_eq(c.count, present);
    nxt_seen(&m->f, &c);
    m->writing = true;
}

/* Roll back and go on; what was made since the last commit would be new again, so then the session goes instead. */
static void roll_back(model *m)
{
    if (m->s != m->outer)
        return;
    if (m->made) {
        drop(m);
        return;
    }
    OK(&m->f, nx_rollback(m->s, NULL));
    m->rollbacks++;
    m->writing = false;
    m->now = m->committed;
    compare(m);
    read_all(m);
}

static int pick_author(model *m)
{
    for (int tries = 0; tries < 10 && m->author_count > 0; tries++) {
        int i = (int)roll(m, (uint32_t)m->author_count);
        if (m->now.author[i].present && m->rows.author[i] != NULL)
            return i;
    }
    return NONE;
}

static int pick_post(model *m)
{
    for (int tries = 0; tries < 10 && m->post_count > 0; tries++) {
        int i = (int)roll(m, (uint32_t)m->post_count);
        if (m->now.post[i].present && m->rows.post[i] != NULL)
            return i;
    }
    return NONE;
}

static void new_author(model *m)
{
    if (m->author_count == ITEMS_MAX)
        return;
    int i = m->author_count++;
    m->made = true;
    int name = roll(m, 40) == 0 && i > 0 ? m->now.author[roll(m, (uint32_t)i)].name : m->names++;
    Author *a = nx_new(m->s, Author);
    cr_assert_not_null(a);
    a->name = numbered(m, "author", name);
    m->rows.author[i] = a;
    m->now.author[i] = (author_item){ .present = true, .name = name, .born = NONE };
}

static void set_author(model *m, int post, int author)
{
    m->now.post[post].author = author;
    if (author == NONE)
        nx_set_ref(m->rows.post[post]->author, NULL);
    else if (m->now.author[author].id != 0 && roll(m, 2) == 0)
        nx_set_ref_key(m->rows.post[post]->author, m->now.author[author].id);
    else
        nx_set_ref(m->rows.post[post]->author, m->rows.author[author]);
}

static void new_post(model *m)
{
    if (m->post_count == ITEMS_MAX)
        return;
    int i = m->post_count++, title = m->names++;
    m->made = true;
    Post *p = nx_new(m->s, Post);
    cr_assert_not_null(p);
    p->title = numbered(m, "post", title);
    m->rows.post[i] = p;
    m->now.post[i] = (post_item){ .present = true, .title = title, .score = NONE, .draft = true };
    set_author(m, i, pick_author(m));
}

static void change(model *m)
{
    int i = pick_post(m), a = pick_author(m);
    if (a != NONE && roll(m, 3) == 0) {
        int32_t born = roll(m, 4) == 0 ? NONE : (int32_t)roll(m, 3000);
        m->rows.author[a]->born = born == NONE ? nx_none(i32) : nx_some(i32, born);
        m->now.author[a].born = born;
    }
    if (i == NONE)
        return;
    Post *p = m->rows.post[i];
    post_item *item = &m->now.post[i];
    switch (roll(m, 4)) {
    case 0:
        item->title = m->names++;
        p->title = numbered(m, "post", item->title);
        break;
    case 1:
        item->score = roll(m, 3) == 0 ? NONE : (int32_t)roll(m, 100);
        p->score = item->score == NONE ? nx_none(i32) : nx_some(i32, item->score);
        break;
    case 2:
        p->draft = item->draft = !item->draft;
        break;
    default:
        set_author(m, i, a);
    }
}

static void delete_post(model *m)
{
    int i = pick_post(m);
    if (i == NONE)
        return;
    CHECK(nx_session_delete(m->s, m->rows.post[i]));
    m->now.post[i].present = false;
    m->rows.post[i] = NULL;
}

/* Objects that refer to the author let go of it first; those that the session does not hold are cleared by the database. */
static void delete_author(model *m)
{
    int i = pick_author(m);
    if (i == NONE)
        return;
    for (int k = 0; k < m->post_count; k++) {
        if (m->now.post[k].present && m->now.post[k].author == i) {
            m->now.post[k].author = NONE;
            if (m->rows.post[k] != NULL)
                nx_set_ref(m->rows.post[k]->author, NULL);
        }
    }
    CHECK(nx_session_delete(m->s, m->rows.author[i]));
    m->now.author[i].present = false;
    m->rows.author[i] = NULL;
}

static void count(model *m)
{
    int32_t least = (int32_t)roll(m, 100);
    nx_completion c = nx_await(m->f.loop, nx_count(nx_filter(nx_select(m->s, Post), nx_ge(Post_.score, least)), NULL));
    if (c.status == NX_EUNIQUE) {
        m->failures++;
        drop(m);
        return;
    }
    cr_assert_eq(c.status, NX_OK, "%s", c.error == NULL ? "" : c.error->message);
    m->writing = true;
    learn_keys(m);
    int expected = 0;
    for (int i = 0; i < m->post_count; i++)
        expected += m->now.post[i].present && m->now.post[i].score != NONE && m->now.post[i].score >= least;
    cr_assert_eq(c.count, expected);
}

/* Set-based writes pass the objects by; they are read again at once. */
static void update_many(model *m)
{
    int32_t least = (int32_t)roll(m, 100), score = (int32_t)roll(m, 100);
    if (!flush(m))
        return;
    OK(&m->f, nx_update_all(nx_filter(nx_select(m->s, Post), nx_ge(Post_.score, least)), NULL, nx_assign(Post_.score, score)));
    for (int i = 0; i < m->post_count; i++)
        if (m->now.post[i].present && m->now.post[i].score != NONE && m->now.post[i].score >= least)
            m->now.post[i].score = score;
    read_all(m);
}

static void nest(model *m)
{
    if (m->s != m->outer) {
        if (roll(m, 2) == 0) {
            if (!survived(m, nx_session_end(m->s, NULL)))
                return;
            learn_keys(m);
            nx_session_free(m->s);
            m->s = m->outer;
        } else {
            nx_session_free(m->s);
            m->s = m->outer;
            m->now = m->before_nested;
            m->rows = m->rows_before_nested;
            read_all(m);
        }
        return;
    }
    if (!flush(m))
        return;
    m->before_nested = m->now;
    m->rows_before_nested = m->rows;
    m->s = nx_session_nested(m->outer, NULL);
    cr_assert_not_null(m->s);
}

/* ------------------------------------------------------------------------------ work outside */

static void load_many(model *m)
{
    int rows = (int)roll(m, 20);
    if (m->writing || m->post_count + rows >= ITEMS_MAX)
        return;
    nx_bulk *bulk = nx_bulk_begin(m->f.db, &Post_entity, &(nx_bulk_options){.assign_keys = true, .batch_rows = 1 + roll(m, 10)});
    cr_assert_not_null(bulk);
    static Post posts[32];
    for (int k = 0; k < rows;) {
        size_t taken = 0;
        posts[k] = (Post){ .title = numbered(m, "post", m->names + k), .score = nx_some(i32, k), .draft = false };
        nx_status status = nx_bulk_rows(bulk, &posts[k], 1, &taken);
        cr_assert(status == NX_OK || status == NX_EBUSY, "%s", nx_status_name(status));
        k += (int)taken;
        if (status == NX_EBUSY)
            nx_await(m->f.loop, nx_bulk_op(bulk));
    }
    cr_assert_eq(COUNT(&m->f, nx_bulk_end(bulk, NULL)), rows);
    nx_bulk_free(bulk);
    nx_for_each_completion(m->f.loop, batch)
    {
        cr_assert_eq(batch->status, NX_OK);
    }
    for (int k = 0; k < rows; k++, m->post_count++) {
        m->committed.post[m->post_count] =
            (post_item){.present = true, .id = posts[k].id, .title = m->names++, .score = k, .author = NONE};
        m->now.post[m->post_count] = m->committed.post[m->post_count];
    }
    compare(m);
}

static void start_again(model *m)
{
    forget(m);
    COUNT(&m->f, nx_delete_all(nx_select(m->f.db, Post), NULL));
    COUNT(&m->f, nx_delete_all(nx_select(m->f.db, Author), NULL));
    m->committed = m->now = (state){ 0 };
    m->author_count = m->post_count = 0;
    compare(m);
}

static void step(model *m)
{
    m->steps++;
    if (m->author_count > ITEMS_MAX - 10 || m->post_count > ITEMS_MAX - 30)
        start_again(m);
    if (m->s == NULL) {
        if (roll(m, 4) == 0)
            load_many(m);
        m->outer = m->s = nxt_session(&m->f, NULL);
        return;
    }
    static void (*const work[])(model *) = {new_author, new_post,    new_post,      change, change, change,
                                            change,     delete_post, delete_author, count,  nest,   read_all};
    uint32_t what = roll(m, 40);
    if (what < 30)
        work[what % 12](m);
    else if (what < 33)
        (void)flush(m);
    else if (what < 35)
        commit(m);
    else if (what < 37)
        end(m);
    else if (what == 37)
        roll_back(m);
    else if (what == 38 && m->s == m->outer)
        update_many(m);
    else if (what == 39)
        drop(m);
}

/* ------------------------------------------------------------------------------------- the test */

static void make_file(nxt_fixture *f, int number, nx_bind_options *ret_options)
{
    snprintf(f->path[number], NXT_PATH_SIZE, "%.100s/%d.db", f->directory, number);
    *ret_options = (nx_bind_options){ .path = f->path[number] };
}

static void remove_files(nxt_fixture *f)
{
    char command[NXT_PATH_SIZE + 16];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->directory);
    if (system(command) != 0)
        cr_log_warn("%s stays", f->directory);
}

Test(model, random_work, .timeout = SECONDS_LONG + 3000)
{
    static const nxt_provider sqlite = { .name = "sqlite", .make = make_file, .remove = remove_files };
    static const nx_entity *const entities[] = { &Author_entity, &Post_entity, NULL };
    const char *seed_text = getenv("NX_TEST_SEED");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : (uint64_t)time(NULL) * 2654435761U + 1;
    time_t until = time(NULL) + (tk_is_long() ? SECONDS_LONG : SECONDS);
    model *m = calloc(1, sizeof(*m));

    cr_assert_not_null(m);
    fprintf(stderr, "NX_TEST_SEED=%" PRIu64 "\n", seed);
    m->random = seed | 1;
    nxt_open(&m->f, &sqlite);
    m->f.db = nxt_database(&m->f, 0, entities);
    while (time(NULL) < until)
        step(m);
    forget(m);
    compare(m);
    fprintf(stderr, "%" PRIu64 " steps, %" PRIu64 " commits, %" PRIu64 " rollbacks, %" PRIu64 " refused flushes\n", m->steps,
            m->commits, m->rollbacks, m->failures);
    cr_expect_gt(m->commits, 100U, "too little happened to prove anything");
    cr_expect_gt(m->failures, 0U);
    nxt_close(&m->f);
    free(m);
}
