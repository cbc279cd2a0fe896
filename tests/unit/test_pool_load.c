/*
 * test_pool_load - pools of workers under load, and inside another event loop.
 */
#include "pool_fixture.h"

#include <sys/epoll.h>

static void recycle(nxi_request *request)
{
    done_count++;
    request->lane = NULL;
    request->context = request;
}

/* epoll hears only of what wakes pollers, and does not look again by itself: the strictest watcher there is. */
static bool becomes_readable(int fd)
{
    static int watcher = -1;
    struct epoll_event event = { .events = EPOLLIN };

    if (watcher < 0) {
        watcher = epoll_create1(EPOLL_CLOEXEC);
        cr_assert_eq(epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &event), 0);
    }
    return epoll_wait(watcher, &event, 1, 10000) == 1;
}

/* 100 000 requests over all routes, with stops in between. */
static void stress(bool by_descriptor)
{
    enum { TOTAL = 100000 };
    uint64_t seed = 42;
    size_t submitted = 0;

    open_pool_of(2, 16);
    wait_opened();
    int fd = by_descriptor ? nxi_core_fd(core) : -1;
    for (size_t i = 0; i < REQUESTS; i++)
        requests[i].context = &requests[i]; /* free */
    while (done_count < TOTAL) {
        for (size_t tries = 0; tries < 64 && submitted < TOTAL; tries++) {
            size_t i;

            seed = nxi_hash_u64(seed + 1);
            i = seed % REQUESTS;
            if (requests[i].context == NULL) {
                if (seed >> 60 == 0)
                    nxi_pool_stop(pool, &requests[i], NX_ECANCELED);
                continue;
            }
            nxi_arena_reset(&arenas[i]);
            make(i)->done = recycle;
            requests[i].writes = seed >> 40 & 1;
            nxi_pool_submit(pool, &requests[i]);
            submitted++;
        }
        if (by_descriptor) {
            turn(0);
            if (done_count < TOTAL && nxi_pool_count(pool).submitted > 0 && (submitted == TOTAL || (seed & 7) == 0))
                cr_assert(becomes_readable(fd), "it must tell of every end");
        } else {
            turn(seed & 1 ? INT64_MAX : 0);
        }
    }
    cr_assert_eq(done_count, (size_t)TOTAL);
    end();
}

Test(pool_load, many_requests_by_all_routes)
{
    stress(false);
}

Test(pool_load, many_requests_inside_another_event_loop)
{
    stress(true);
}

Test(pool_load, the_descriptor_tells_of_each_finished_request)
{
    open_pool_of(1, 0);
    wait_opened();
    int fd = nxi_core_fd(core);
    turn(0);
    for (size_t i = 0; i < 300; i++) {
        nxi_pool_submit(pool, make(i));
        turn(0);
        while (done_count <= i) {
            cr_assert(becomes_readable(fd));
            turn(0);
        }
        if (i % 50 == 0)
            nanosleep(&(struct timespec){ .tv_nsec = MS }, NULL);
    }
    end();
}

Test(pool_load, a_steady_load_asks_for_no_memory)
{
    uint64_t before = 0;

    open_pool_of(2, 0);
    wait_opened();
    for (size_t round = 0; round < 300; round++) {
        if (round == 50) {
            nxi_memory_fail(UINT64_MAX, false);
            before = nxi_memory_requests();
        }
        done_count = 0;
        for (size_t i = 0; i < 64; i++) {
            done_counts[i] = 0;
            make(i)->transaction = i % 4 == 0 ? round * 64 + i + 1 : 0;
            requests[i].begin = i % 4 == 0 ? NXI_BEGIN_SNAPSHOT : NXI_BEGIN_NONE;
            requests[i].end = i % 4 == 0 ? NXI_END_COMMIT : NXI_END_NONE;
            nxi_pool_submit(pool, &requests[i]);
        }
        wait_done(64);
    }
    cr_assert_eq(nxi_memory_requests(), before);
    end();
}
