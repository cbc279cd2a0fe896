/*
 * test_io_uring - the real ring: socketpairs, buffers running out, bells between rings, and systems that refuse it.
 */
#include "engine/io.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MS INT64_C(1000000)

static nxi_memory *memory;

static nxi_io *open_io(uint32_t entries)
{
    nxi_io *io;
    nx_error error;

    if (memory == NULL)
        memory = nxi_memory_new(0);
    cr_assert_eq(nxi_io_uring_open(memory, entries, &io, &error), NX_OK, "%s", error.message);
    return io;
}

static void close_io(nxi_io *io)
{
    nxi_io_close(io);
    nxi_memory_free(memory);
    memory = NULL;
}

/* The next event, waiting for it. */
static nxi_event await(nxi_io *io)
{
    nxi_event event;

    for (int i = 0; i < 1000; i++) {
        if (nxi_io_next(io, &event))
            return event;
        cr_assert_eq(nxi_io_enter(io, 10 * MS), NX_OK);
    }
    cr_assert_fail("no event came");
    return event;
}

static bool nothing_comes(nxi_io *io)
{
    nxi_event event;

    cr_assert_eq(nxi_io_enter(io, 5 * MS), NX_OK);
    return !nxi_io_next(io, &event);
}

static void make_pair(int fds[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

Test(io_uring, bytes_come_as_they_are_sent)
{
    uint64_t tag = nxi_io_tag(NXI_IO_RECV, 5, 9);
    nxi_io *io = open_io(16);
    nxi_event event;
    int fds[2];

    make_pair(fds);
    cr_assert_eq(nxi_io_make_buffers(io, NULL), NX_OK);
    cr_assert_eq(nxi_io_make_buffers(io, NULL), NX_OK);
    cr_assert(nxi_io_recv(io, fds[0], tag));
    cr_assert(nothing_comes(io));
    for (int i = 0; i < 200; i++) { /* more often than there are buffers */
        cr_assert_eq(write(fds[1], "hello", 5), 5);
        event = await(io);
        cr_assert_eq(event.tag, tag);
        cr_assert_eq(event.result, 5);
        cr_assert(event.more, "one receive serves all");
        cr_assert_eq(memcmp(event.data, "hello", 5), 0);
        nxi_io_give_back(io, event.buffer);
    }
    close(fds[1]);
    event = await(io);
    cr_assert_eq(event.result, 0);
    cr_assert_not(event.more);
    if (event.buffer != NXI_IO_NO_BUFFER)
        nxi_io_give_back(io, event.buffer);
    close(fds[0]);
    close_io(io);
}

/* 1 MB with a pattern, no buffer given back until none is left: nothing may be lost or out of order. */
Test(io_uring, running_out_of_buffers_loses_nothing)
{
    enum { TOTAL = 4 * 1048576 };
    uint64_t tag = nxi_io_tag(NXI_IO_RECV, 1, 1);
    nxi_io *io = open_io(64);
    uint32_t held[4096];
    size_t held_count = 0, got = 0, sent = 0;
    bool ran_out = false;
    int fds[2], size = 1 << 20;

    make_pair(fds);
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    cr_assert_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(nxi_io_make_buffers(io, NULL), NX_OK);
    cr_assert(nxi_io_recv(io, fds[0], tag));
    while (got < TOTAL) {
        uint8_t piece[1000];
        nxi_event event;

        for (;;) {
            size_t want = nxi_min_size(sizeof(piece), TOTAL - sent);
            ssize_t put;

            for (size_t i = 0; i < want; i++)
                piece[i] = (uint8_t)((sent + i) * 7 >> 3);
            put = want == 0 ? 0 : write(fds[1], piece, want);
            if (put <= 0)
                break;
            sent += (size_t)put;
        }
        event = await(io);
        cr_assert_eq(event.tag, tag);
        if (event.result == -ENOBUFS) {
            ran_out = true;
            cr_assert_not(event.more);
            while (held_count > 0)
                nxi_io_give_back(io, held[--held_count]);
            cr_assert(nxi_io_recv(io, fds[0], tag));
            continue;
        }
        cr_assert_gt(event.result, 0);
        for (int32_t i = 0; i < event.result; i++)
            cr_assert_eq(event.data[i], (uint8_t)((got + (size_t)i) * 7 >> 3));
        got += (size_t)event.result;
        held[held_count++] = event.buffer;
        if (!event.more)
            cr_assert(nxi_io_recv(io, fds[0], tag));
    }
    cr_assert(ran_out);
    while (held_count > 0)
        nxi_io_give_back(io, held[--held_count]);
    nxi_io_shutdown(io, fds[0], true);
    cr_assert_eq(await(io).result, 0);
    close(fds[0]);
    close(fds[1]);
    close_io(io);
}

Test(io_uring, sends_arrive_and_a_dead_peer_is_an_error_not_a_signal)
{
    nxi_io *io = open_io(16);
    nxi_event event;
    char got[8];
    int fds[2];

    make_pair(fds);
    cr_assert(nxi_io_send(io, fds[0], "12345678", 8, nxi_io_tag(NXI_IO_SEND, 1, 2)));
    event = await(io);
    cr_assert_eq(event.tag, nxi_io_tag(NXI_IO_SEND, 1, 2));
    cr_assert_eq(event.result, 8);
    cr_assert_eq(read(fds[1], got, 8), 8);
    close(fds[1]);
    cr_assert(nxi_io_send(io, fds[0], "12345678", 8, nxi_io_tag(NXI_IO_SEND, 1, 3)));
    event = await(io);
    cr_assert_lt(event.result, 0);
    cr_assert_not(event.more);
    close(fds[0]);
    close_io(io);
}

Test(io_uring, shutdown_and_cancel_end_a_receive)
{
    uint64_t first = nxi_io_tag(NXI_IO_RECV, 1, 1), second = nxi_io_tag(NXI_IO_RECV, 1, 2);
    nxi_io *io = open_io(16);
    nxi_event event;
    int fds[2];

    make_pair(fds);
    cr_assert_eq(nxi_io_make_buffers(io, NULL), NX_OK);
    cr_assert(nxi_io_recv(io, fds[0], first));
    cr_assert(nothing_comes(io));
    cr_assert(nxi_io_cancel(io, first));
    event = await(io);
    cr_assert_eq(event.tag, first);
    cr_assert_eq(event.result, -ECANCELED);
    cr_assert_not(event.more);
    cr_assert(nothing_comes(io), "the cancel's own event is kept inside");
    cr_assert(nxi_io_recv(io, fds[0], second));
    cr_assert(nothing_comes(io));
    nxi_io_shutdown(io, fds[0], false);
    event = await(io);
    cr_assert_eq(event.tag, second);
    cr_assert_eq(event.result, 0);
    close(fds[0]);
    close(fds[1]);
    close_io(io);
}

/* ------------------------------------------------------------------------------ between threads */

static void *ring_it(void *context)
{
    nxi_io *own = NULL, *target = context;

    cr_assert_eq(nxi_io_uring_open(memory, 4, &own, NULL), NX_OK);
    for (int i = 0; i < 50; i++) { /* more than the target's queue holds */
        cr_assert(nxi_io_bell(own, target));
        cr_assert_eq(nxi_io_enter(own, 0), NX_OK);
    }
    nxi_io_close(own);
    return NULL;
}

Test(io_uring, bells_ring_in_another_ring)
{
    nxi_io *io = open_io(4);
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, ring_it, io), 0);
    for (int i = 0; i < 50; i++)
        cr_assert_eq(nxi_io_tag_kind(await(io).tag), NXI_IO_BELL);
    pthread_join(thread, NULL);
    close_io(io);
}

static void *wake_it(void *context)
{
    for (int i = 0; i < 1000; i++)
        nxi_io_wake(context);
    return NULL;
}

Test(io_uring, wakes_of_many_threads_are_seen)
{
    nxi_io *io = open_io(4);
    pthread_t threads[4];
    nxi_event event;

    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, wake_it, io), 0);
    cr_assert_eq(nxi_io_tag_kind(await(io).tag), NXI_IO_WAKE);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    while (!nothing_comes(io))
        continue;
    for (int i = 0; i < 100; i++) { /* each later one on its own */
        nxi_io_wake(io);
        event = await(io);
        cr_assert_eq(nxi_io_tag_kind(event.tag), NXI_IO_WAKE);
    }
    close_io(io);
}

Test(io_uring, more_events_than_the_queue_holds_are_kept)
{
    enum { PAIRS = 64 };
    nxi_io *io = open_io(2); /* 8 completions */
    int fds[PAIRS][2];
    bool seen[PAIRS] = { false };

    for (uint32_t i = 0; i < PAIRS; i++) {
        make_pair(fds[i]);
        cr_assert(nxi_io_send(io, fds[i][0], "x", 1, nxi_io_tag(NXI_IO_SEND, i, 1)));
    }
    for (int i = 0; i < PAIRS; i++) {
        nxi_event event = await(io);

        cr_assert_not(seen[nxi_io_tag_slot(event.tag)]);
        seen[nxi_io_tag_slot(event.tag)] = true;
        cr_assert_eq(event.result, 1);
    }
    for (int i = 0; i < PAIRS; i++) {
        close(fds[i][0]);
        close(fds[i][1]);
    }
    close_io(io);
}

Test(io_uring, a_timer_ends_a_wait_and_can_be_moved_forward)
{
    nxi_io *io = open_io(4);

    cr_assert(nxi_io_timer(io, nxi_io_now(io) + 3600000 * MS));
    cr_assert_eq(nxi_io_enter(io, 0), NX_OK);
    cr_assert(nxi_io_timer(io, nxi_io_now(io) + 10 * MS));
    cr_assert_eq(nxi_io_tag_kind(await(io).tag), NXI_IO_TIMER);
    cr_assert(nxi_io_timer(io, nxi_io_now(io) - 10 * MS), "a time gone by");
    cr_assert_eq(nxi_io_tag_kind(await(io).tag), NXI_IO_TIMER);
    close_io(io);
}

Test(io_uring, no_memory_for_buffers_is_an_error)
{
    nxi_io *io = open_io(4);
    nx_error error;

    nxi_memory_fail(1, true);
    cr_assert_eq(nxi_io_make_buffers(io, &error), NX_ENOMEM);
    nxi_memory_fail(0, false);
    cr_assert_eq(nxi_io_make_buffers(io, &error), NX_OK);
    close_io(io);
}

/* ------------------------------------------------------------------------------ refused */

static void refuse_io_uring(uint32_t with)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* the system call's number */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | with),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = NXI_COUNT(code), .filter = code };

    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static nx_error open_refused(nx_status status)
{
    nxi_io *io = NULL;
    nx_error error;

    memory = nxi_memory_new(0);
    cr_assert_eq(nxi_io_uring_open(memory, 8, &io, &error), status, "%s", error.message);
    cr_assert_null(io);
    cr_assert_eq(error.status, status);
    nxi_memory_free(memory);
    return error;
}

Test(io_uring, a_seccomp_profile_is_named)
{
    nx_error error;

    refuse_io_uring(EPERM);
    error = open_refused(NX_EUNSUPPORTED);
    cr_assert_not_null(strstr(error.message, "seccomp"));
    cr_assert_not_null(strstr(error.message, "kernel.io_uring_disabled"));
    cr_assert_not_null(strstr(error.message, "io_uring_setup"));
}

Test(io_uring, a_kernel_without_it_is_named)
{
    nx_error error;

    refuse_io_uring(ENOSYS);
    error = open_refused(NX_EUNSUPPORTED);
    cr_assert_not_null(strstr(error.message, "ENOSYS"));
    cr_assert_not_null(strstr(error.message, "seccomp"));
}

Test(io_uring, an_old_kernel_is_named)
{
    nx_error error;

    refuse_io_uring(EINVAL);
    error = open_refused(NX_EUNSUPPORTED);
    cr_assert_not_null(strstr(error.message, "Linux 5.11"));
}

Test(io_uring, want_of_locked_memory_names_the_limit)
{
    nx_error error;

    refuse_io_uring(ENOMEM);
    error = open_refused(NX_ENOMEM);
    cr_assert_not_null(strstr(error.message, "RLIMIT_MEMLOCK"));
}

Test(io_uring, want_of_descriptors_names_the_limit)
{
    struct rlimit limit, before;
    nx_error error;
    int next = dup(0);

    /* One descriptor: enough for the ring and too few for its wake. Then none at all. */
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)next + 1;
    close(next);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    error = open_refused(NX_ELIMIT);
    cr_assert_not_null(strstr(error.message, "RLIMIT_NOFILE"));
    cr_assert_eq(dup(0), next, "nothing was left open");
    error = open_refused(NX_ELIMIT);
    cr_assert_not_null(strstr(error.message, "RLIMIT_NOFILE"));
    close(next);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0); /* the search for leaks opens files */
}
