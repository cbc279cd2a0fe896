/*
 * completion_queue - many operations in flight, one submission; completions come as they are ready and carry the caller's tag.
 */
#include "blog.h"

enum { QUESTIONS = 64 };

typedef struct question { int64_t id; bool found; } question;

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);
    write_posts(loop, 50);

    /* Queue all of them. Nothing moves yet, nothing blocks. */
    question questions[QUESTIONS] = { { 0 } };
    for (int i = 0; i < QUESTIONS; i++) {
        questions[i].id = i + 1;
        (void)nx_get(db, Post, nx_eq(Post_.id, questions[i].id), &questions[i]);
    }
    check(nx_in_flight(loop) == QUESTIONS, "all are in flight");

    /* The first wait submits the whole batch. */
    const nx_completion *c;
    int answered = 0, found = 0;
    while (answered < QUESTIONS && nx_wait(loop, &c) == NX_OK) {
        question *q = c->tag;
        check(c->status == NX_OK, "an answer");
        q->found = c->count == 1;
        found += q->found;
        answered++;
        nx_seen(loop, c); /* its rows go with it */
    }
    check(answered == QUESTIONS && found == 50, "50 of 64 exist");

    /* Or wait for several at once, and take what is there. */
    for (int i = 0; i < 10; i++)
        (void)nx_count(nx_filter(nx_select(db, Post), nx_le(Post_.score, i)), NULL);
    size_t ready;
    check(nx_wait_many(loop, 10, 5000, &ready) == NX_OK && ready == 10, "ten completions");
    int64_t sum = 0;
    nx_for_each_completion(loop, done)
    {
        sum += done->count;
    }
    check(sum == 45, "0 + 1 + ... + 9");

    /* Or hand the work over, do something else, and look now and then; neither call waits. */
    (void)nx_count(nx_select(db, Post), NULL);
    check(nx_submit(loop) == NX_OK, "it is on its way");
    while ((c = nx_peek(loop)) == NULL)
        check(nx_submit(loop) == NX_OK, "something else was done");
    check(c->status == NX_OK && c->count == 50, "50 posts");
    nx_seen(loop, c);

    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
