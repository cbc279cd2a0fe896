/*
 * fixture - see the header.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const nx_entity *const nxt_entities[] = {
    &Author_entity, &Post_entity, &Every_entity,  &City_entity,   &Street_entity, &Tag_entity,  &Slot_entity,
    &Token4_entity, &Token7_entity, &Ticket_entity, &Bare_entity, &Node_entity,   &Hen_entity,  &Egg_entity,
    &Owner_entity,  &Goods_entity,  &Account_entity, &Checked_entity, NULL
};

void nxt_open(nxt_fixture *f, const nxt_provider *provider)
{
    nx_error error = { 0 };
    const char *base = getenv("TMPDIR");

    *f = (nxt_fixture){ .provider = provider };
    snprintf(f->directory, sizeof(f->directory), "%s/nextorm-test-XXXXXX", base != NULL && strlen(base) < 64 ? base : "/tmp");
    cr_assert_not_null(mkdtemp(f->directory), "%s", f->directory);
    cr_assert_eq(nx_loop_open(NULL, &f->loop, &error), NX_OK, "%s", error.message);
}

void nxt_close(nxt_fixture *f)
{
    nx_loop_close(f->loop);
    f->provider->remove(f);
    rmdir(f->directory);
}

nx_db *nxt_database(nxt_fixture *f, int number, const nx_entity *const *entities)
{
    nx_bind_options options = { 0 };

    cr_assert_lt(number, NXT_DATABASES_MAX);
    f->provider->make(f, number, &options);
    if (number == 0)
        f->options = options;
    nx_db *db = nx_db_new(f->loop, entities);
    cr_assert_not_null(db);
    OK(f, nx_bind(db, f->provider->name, &options, NULL));
    OK(f, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    return db;
}

void nxt_run(const nxt_provider *provider, nxt_case run)
{
    nxt_fixture f;

    nxt_open(&f, provider);
    f.db = nxt_database(&f, 0, nxt_entities);
    run(&f);
    /* Whatever a case has done, the loop has to go on afterwards. */
    OK(&f, nx_count(nx_select(f.db, Bare), NULL));
    nxt_close(&f);
}

void nxt_run_unmapped(const nxt_provider *provider, nxt_case run)
{
    nxt_fixture f;

    nxt_open(&f, provider);
    run(&f);
    nx_completion c = OK(&f, nx_select_raw(f.db, "SELECT 1", nx_no_args, NULL));
    nxt_seen(&f, &c);
    nxt_close(&f);
}

nx_completion nxt_await(nxt_fixture *f, nx_op op, nx_status status, const char *file, int line)
{
    nx_completion c = nx_await(f->loop, op);

    cr_assert_eq(c.status, status, "%s:%d: %s (%s), not %s", file, line, nx_status_name(c.status),
                 c.error == NULL ? "no error" : c.error->message, nx_status_name(status));
    if (status == NX_OK) {
        cr_assert_null(c.error, "%s:%d: a success has no error", file, line);
    } else {
        cr_assert_not_null(c.error, "%s:%d: a failure has an error", file, line);
        cr_assert_eq(c.error->status, status, "%s:%d", file, line);
        cr_assert_neq(c.error->message[0], '\0', "%s:%d: a failure has a message", file, line);
    }
    return c;
}

const nx_error *nxt_failed(nxt_fixture *f, nx_op op, nx_status status, const char *file, int line)
{
    static nx_error kept;
    nx_completion c = nxt_await(f, op, status, file, line);

    cr_assert_not_null(c.error);
    kept = *c.error;
    nxt_seen(f, &c);
    return &kept;
}

void nxt_mentions(const nx_error *error, const char *name, const char *file, int line)
{
    cr_assert_not_null(error, "%s:%d: no error", file, line);
    cr_assert_not_null(strstr(error->message, name), "%s:%d: \"%s\" does not name %s", file, line, error->message, name);
}

void nxt_seen(nxt_fixture *f, const nx_completion *c)
{
    if (c->rows != NULL || c->raw != NULL)
        nx_seen(f->loop, c);
}

int64_t nxt_count(nxt_fixture *f, nx_op op, const char *file, int line)
{
    nx_completion c = nxt_await(f, op, NX_OK, file, line);

    nxt_seen(f, &c);
    return c.count;
}

bool nxt_text_is(nx_text text, const char *expected)
{
    return text.data != NULL && text.size == strlen(expected) && memcmp(text.data, expected, text.size) == 0;
}

Author *nxt_author(nxt_fixture *f, const char *name)
{
    Author *a = nx_make(f->db, Author);

    cr_assert_not_null(a);
    a->name = nx_str(name);
    OK(f, nx_save(f->db, a, NULL));
    cr_assert_gt(a->id, 0);
    return a;
}

Post *nxt_post(nxt_fixture *f, const char *title, int32_t score, Author *author)
{
    Post *p = nx_make(f->db, Post);

    cr_assert_not_null(p);
    p->title = nx_str(title);
    p->score = nx_some(i32, score);
    nx_set_ref(p->author, author);
    OK(f, nx_save(f->db, p, NULL));
    cr_assert_gt(p->id, 0);
    return p;
}

void nxt_posts(nxt_fixture *f, int count)
{
    nx_bulk *bulk = nx_bulk_begin(f->db, &Post_entity, NULL);

    cr_assert_not_null(bulk);
    for (int i = 0; i < count; i++) {
        char title[32];
        size_t taken = 0;
        Post post = { .score = nx_some(i32, i), .draft = i % 2 == 0 };
        snprintf(title, sizeof(title), "post %d", i);
        post.title = nx_str(title);
        while (taken == 0) {
            nx_status status = nx_bulk_rows(bulk, &post, 1, &taken);
            cr_assert(status == NX_OK || status == NX_EBUSY, "%s", nx_status_name(status));
            if (taken == 0)
                nx_await(f->loop, nx_bulk_op(bulk));
        }
    }
    cr_assert_eq(COUNT(f, nx_bulk_end(bulk, NULL)), count);
    nx_bulk_free(bulk);
    /* Every batch told of itself by a completion; the cases begin with none. */
    nx_for_each_completion(f->loop, c)
    {
        cr_assert_eq(c->status, NX_OK);
    }
}

nx_session *nxt_session(nxt_fixture *f, const nx_session_options *options)
{
    nx_session *s = nx_session_begin(f->loop, options);

    cr_assert_not_null(s);
    return s;
}

void nxt_end(nxt_fixture *f, nx_session *s)
{
    OK(f, nx_session_end(s, NULL));
    nx_session_free(s);
}

void *nxt_one(nxt_fixture *f, nx_op op, const char *file, int line)
{
    nx_completion c = nxt_await(f, op, NX_OK, file, line);
    void *row = c.count > 0 ? c.rows[0] : NULL;

    nxt_seen(f, &c);
    return row;
}
