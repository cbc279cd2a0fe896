/*
 * streams - a result of any size in bounded memory: batch after batch, and the source waits for the reader.
 */
#include "blog.h"

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = open_blog(loop);
    write_posts(loop, 5000);

    nx_query *q = nx_order_by(nx_select(db, Post), nx_asc(Post_.score));
    nx_op op = nx_stream(q, &(nx_stream_options){ .batch_rows = 500, .credit_bytes = 256 * 1024 }, NULL);
    int64_t rows = 0, sum = 0;
    int batches = 0;
    for (bool more = true; more;) {
        nx_completion c = must(loop, op);
        for (int64_t i = 0; i < c.count; i++)
            sum += ((Post *)c.rows[i])->score.value;
        rows += c.count;
        batches++;
        more = (c.flags & NX_MORE) != 0;
        if (c.rows != NULL)
            nx_seen(loop, &c); /* gives the credit back */
    }
    printf("%lld rows in %d batches\n", (long long)rows, batches);
    check(rows == 5000 && sum == 5000LL * 5001 / 2, "all rows came");

    /* Enough seen: cancel it. The last completion says so. */
    op = nx_stream(nx_select(db, Post), &(nx_stream_options){ .batch_rows = 10, .credit_bytes = 1 }, NULL);
    nx_completion c = must(loop, op);
    nx_seen(loop, &c);
    check(nx_op_cancel(loop, op) == NX_OK, "ask it to stop");
    do {
        c = nx_await(loop, op);
        if (c.rows != NULL)
            nx_seen(loop, &c);
    } while ((c.flags & NX_MORE) != 0);
    check(c.status == NX_ECANCELED, "stopped");

    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
