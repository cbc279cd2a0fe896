/*
 * test_pool_socket - pools of connections on the real ring, over socketpairs.
 */
#include "tests/support/rig.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static void *serve(void *context)
{
    int fd = (int)(intptr_t)context;

    fake_wire_serve(fd);
    close(fd);
    return NULL;
}

static int socket_bytes;
static void *(*server)(void *context) = serve;

static nx_status real_open(int *ret_fd)
{
    pthread_t thread;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return NX_ECONNECT;
    for (int i = 0; i < 2 && socket_bytes != 0; i++) {
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &socket_bytes, sizeof(socket_bytes));
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &socket_bytes, sizeof(socket_bytes));
    }
    if (pthread_create(&thread, NULL, server, (void *)(intptr_t)fds[1]) != 0)
        return NX_ECONNECT;
    pthread_detach(thread);
    *ret_fd = fds[0];
    return NX_OK;
}

static void real_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void open_real(const nx_bind_options *options)
{
    nx_error error;

    fake_wire = (fake_wire_hooks){ .open = real_open, .close = real_close };
    open_core(NULL);
    cr_assert_eq(nxi_pool_open(core, &fake_wire_driver, options, on_opened, NULL, &pool, &error), NX_OK, "%s", error.message);
    while (opened_calls == 0)
        turn(INT64_MAX);
    cr_assert_eq(opened_status, NX_OK);
}

/* Independent requests and transactions, some stopped: each is done once and with its own answer. */
Test(pool_socket, many_requests_over_socketpairs)
{
    enum { TOTAL = 20000 };
    nx_bind_options options = { .pool_min = 2, .pool_max = 4, .in_flight_max = 32 };
    size_t submitted = 0, checked = 0, stopped = 0;
    uint64_t seed = 7;
    static bool busy[REQUESTS];

    open_real(&options);
    while (checked < TOTAL) {
        for (size_t i = 0; i < REQUESTS && submitted < TOTAL; i++) {
            if (busy[i])
                continue;
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            nxi_arena_reset(&arenas[i]);
            if (seed >> 62 == 0)
                make_in(i, ++submitted, NXI_BEGIN_WRITE, NXI_END_COMMIT);
            else
                make(i, (uint32_t)(seed >> 40 & 255)), submitted++;
            steps[i].cursor = submitted;
            nxi_pool_submit(pool, &requests[i]);
            busy[i] = true;
            if (seed >> 50 == 1)
                nxi_pool_stop(pool, &requests[i], NX_ECANCELED);
        }
        turn(INT64_MAX);
        for (size_t i = 0; i < REQUESTS; i++) {
            if (!busy[i] || done_counts[i] == 0)
                continue;
            cr_assert_eq(done_counts[i], 1);
            if (requests[i].status == NX_OK)
                cr_assert_eq(steps[i].affected, (int64_t)steps[i].cursor);
            else
                stopped++;
            busy[i] = false;
            checked++;
        }
    }
    cr_assert_lt(stopped, (size_t)TOTAL / 10);
    cr_assert_leq(nxi_core_enters(core), (uint64_t)TOTAL);
    end();
}

/* Neither side may wait for the other to read: large answers, many requests, tiny socket buffers. */
Test(pool_socket, a_full_pipeline_does_not_lock_up)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1 };

    socket_bytes = 4096;
    open_real(&options);
    for (int round = 0; round < 4; round++) {
        done_count = 0;
        for (size_t i = 0; i < REQUESTS; i++)
            nxi_pool_submit(pool, make(i, 20000));
        while (done_count < REQUESTS)
            turn(INT64_MAX);
        for (size_t i = 0; i < REQUESTS; i++)
            cr_assert_eq(requests[i].status, NX_OK);
    }
    end();
}

Test(pool_socket, freeing_on_the_real_ring_waits_for_the_kernel)
{
    nx_bind_options options = { .pool_min = 3, .pool_max = 3 };

    open_real(&options);
    for (size_t i = 0; i < 100; i++)
        nxi_pool_submit(pool, make(i, 5000));
    turn(0);
    end();
    cr_assert_eq(done_count, 100u);
}

/* A server that reads as many requests as are in flight, then answers them all at once. */
enum { WAVE = 64, WAVES = 100 };

static void *serve_waves(void *context)
{
    int fd = (int)(intptr_t)context;
    uint8_t input[WAVE * FAKE_WIRE_HEAD], output[WAVE * FAKE_WIRE_HEAD];

    while (recv(fd, input, sizeof(input), MSG_WAITALL) == (ssize_t)sizeof(input)) {
        for (size_t i = 0; i < WAVE; i++) {
            uint8_t flags;
            uint32_t body;
            uint64_t id;

            fake_wire_parse(input + i * FAKE_WIRE_HEAD, FAKE_WIRE_HEAD, &flags, &body, &id);
            fake_wire_answer(output + i * FAKE_WIRE_HEAD, id, 0, false);
        }
        if (send(fd, output, sizeof(output), MSG_NOSIGNAL) != (ssize_t)sizeof(output))
            break;
    }
    close(fd);
    return NULL;
}

Test(pool_socket, many_in_flight_need_few_system_calls)
{
    nx_bind_options options = { .pool_min = 1, .pool_max = 1 };
    uint64_t before;

    server = serve_waves;
    open_real(&options);
    before = nxi_core_enters(core);
    for (int round = 0; round < WAVES; round++) {
        done_count = 0;
        for (size_t i = 0; i < WAVE; i++)
            nxi_pool_submit(pool, make(i, 0));
        while (done_count < WAVE)
            turn(INT64_MAX);
    }
    /* One sends and waits; the end of the send may wake the loop once more before the answers. */
    cr_assert_leq(nxi_core_enters(core) - before, UINT64_C(3) * WAVES, "%d enters for %d waves",
                  (int)(nxi_core_enters(core) - before), (int)WAVES);
    end();
}
