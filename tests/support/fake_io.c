/*
 * fake_io - a scripted io: a clock that the test moves, descriptors that are numbers, and every trouble a kernel can make.
 */
#include "tests/support/fake_io.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

enum { EVENTS_MAX = 4096, BUFFERS_MAX = 64 };

struct fake_io {
    nxi_io io;
    _Atomic int64_t now;
    atomic_bool woken;
    fake_fd fds[FAKE_FDS];
    nxi_event events[EVENTS_MAX];
    size_t first, count;
    uint8_t buffers[BUFFERS_MAX][FAKE_BUFFER_BYTES];
    bool taken[BUFFERS_MAX];
    uint32_t buffer_count;
    unsigned refuse, lose_bells, unsent, waits;
    int64_t last_wait, timer_ns;
    nx_status fail_enter;
    bool closed;
};

static fake_io *it;

static void post(nxi_event event)
{
    cr_assert_lt(it->count, (size_t)EVENTS_MAX);
    it->events[(it->first + it->count++) % EVENTS_MAX] = event;
}

fake_fd *fake_io_fd(int fd)
{
    cr_assert(fd >= 1000 && fd < 1000 + FAKE_FDS, "descriptor %d", fd);
    return &it->fds[fd - 1000];
}

static int64_t fake_now(nxi_io *io)
{
    (void)io;
    return atomic_load(&it->now);
}

static nx_status fake_make_buffers(nxi_io *io, nx_error *error)
{
    (void)io;
    (void)error;
    return NX_OK;
}

static bool refused(void)
{
    if (it->refuse == 0)
        return false;
    it->refuse--;
    return true;
}

static bool fake_recv(nxi_io *io, int fd, uint64_t tag)
{
    fake_fd *f = fake_io_fd(fd);

    (void)io;
    if (refused())
        return false;
    cr_assert_not(f->receiving, "two receives on one descriptor");
    cr_assert_not(f->was_shut, "a receive after the shutdown");
    f->receiving = true;
    f->recv_tag = tag;
    f->recvs++;
    it->unsent++;
    return true;
}

static bool fake_send(nxi_io *io, int fd, const void *data, size_t size, uint64_t tag)
{
    fake_fd *f = fake_io_fd(fd);

    (void)io;
    if (refused())
        return false;
    cr_assert_not(f->sending, "two sends under way on one descriptor");
    cr_assert_gt(size, 0u);
    f->sending = true;
    f->send_data = data;
    f->send_size = size;
    f->send_tag = tag;
    f->sends++;
    it->unsent++;
    return true;
}

static bool fake_cancel(nxi_io *io, uint64_t tag)
{
    (void)io;
    (void)tag;
    return !refused();
}

static bool fake_bell(nxi_io *io, nxi_io *target)
{
    (void)io;
    if (it->lose_bells > 0) {
        it->lose_bells--;
        post((nxi_event){ .tag = nxi_io_tag(NXI_IO_BELL_FAILED, 0, 0), .result = -ENOMEM, .buffer = NXI_IO_NO_BUFFER });
        return true;
    }
    nxi_io_wake(target);
    return true;
}

static bool fake_timer(nxi_io *io, int64_t when_ns)
{
    (void)io;
    if (when_ns < it->timer_ns)
        it->timer_ns = when_ns;
    return true;
}

static void fake_give_back(nxi_io *io, uint32_t buffer)
{
    (void)io;
    cr_assert_lt(buffer, it->buffer_count);
    cr_assert(it->taken[buffer], "a buffer was given back twice");
    it->taken[buffer] = false;
    memset(it->buffers[buffer], 0xdd, FAKE_BUFFER_BYTES); /* who still reads there reads rubbish */
}

static void fake_shutdown(nxi_io *io, int fd, bool both_ways)
{
    fake_fd *f = fake_io_fd(fd);

    (void)io;
    f->was_shut = true;
    f->shut_both = both_ways;
}

/* ------------------------------------------------------------------------------ what the kernel would do */

static void finish_recv(fake_fd *f, int32_t result)
{
    post((nxi_event){ .tag = f->recv_tag, .result = result, .buffer = NXI_IO_NO_BUFFER });
    f->receiving = false;
}

static void run_recv(fake_fd *f)
{
    while (f->receiving && f->fed_size > 0) {
        uint32_t buffer = 0;
        size_t size = nxi_min_size(f->fed_size, FAKE_BUFFER_BYTES);

        while (buffer < it->buffer_count && it->taken[buffer])
            buffer++;
        if (buffer == it->buffer_count) {
            finish_recv(f, -ENOBUFS);
            return;
        }
        it->taken[buffer] = true;
        memcpy(it->buffers[buffer], f->fed, size);
        memmove(f->fed, f->fed + size, f->fed_size - size);
        f->fed_size -= size;
        post((nxi_event){ .tag = f->recv_tag, .result = (int32_t)size, .more = true, .buffer = buffer,
                          .data = it->buffers[buffer] });
    }
    if (f->receiving && f->fail_recv != 0) {
        finish_recv(f, -f->fail_recv);
        f->fail_recv = 0;
    }
    if (f->receiving && ((f->closed && f->fed_size == 0) || (f->was_shut && !f->hold_end)))
        finish_recv(f, 0);
}

static void run_send(fake_fd *f)
{
    size_t size = f->send_size;
    int32_t result;

    if (!f->sending || (f->was_shut && f->shut_both && f->hold_end))
        return;
    if (f->was_shut && f->shut_both) {
        result = -EPIPE;
    } else if (f->hold_sends) {
        return;
    } else if (f->fail_send != 0) {
        result = -f->fail_send;
        f->fail_send = 0;
    } else {
        if (f->send_max != 0 && f->send_max < size)
            size = f->send_max;
        f->written = realloc(f->written, f->written_size + size);
        NXI_IO_UNPOISON(f->send_data, f->send_size); /* the kernel may read what the engine may not */
        memcpy(f->written + f->written_size, f->send_data, size);
        NXI_IO_POISON(f->send_data, f->send_size);
        f->written_size += size;
        result = (int32_t)size;
    }
    f->sending = false;
    post((nxi_event){ .tag = f->send_tag, .result = result, .buffer = NXI_IO_NO_BUFFER });
}

static void run_all(void)
{
    for (size_t i = 0; i < FAKE_FDS; i++) {
        run_send(&it->fds[i]);
        run_recv(&it->fds[i]);
    }
    if (atomic_load(&it->now) >= it->timer_ns) {
        it->timer_ns = INT64_MAX;
        post((nxi_event){ .tag = nxi_io_tag(NXI_IO_TIMER, 0, 0), .result = -ETIME, .buffer = NXI_IO_NO_BUFFER });
    }
}

static nx_status fake_enter(nxi_io *io, int64_t wait_ns)
{
    if (it->fail_enter != NX_OK)
        return it->fail_enter;
    it->unsent = 0;
    if (io->enters != NULL)
        atomic_fetch_add(io->enters, 1);
    run_all();
    if (wait_ns > 0) {
        it->waits++;
        it->last_wait = wait_ns;
    }
    if (wait_ns > 0 && it->count == 0 && !atomic_load(&it->woken)) {
        cr_assert_neq(wait_ns, INT64_MAX, "waiting without end, and nothing would ever come");
        atomic_fetch_add(&it->now, wait_ns);
        run_all();
    }
    if (atomic_exchange(&it->woken, false))
        post((nxi_event){ .tag = nxi_io_tag(NXI_IO_WAKE, 0, 0), .more = true, .buffer = NXI_IO_NO_BUFFER });
    return NX_OK;
}

static bool fake_is_ready(nxi_io *io)
{
    (void)io;
    return it->count > 0;
}

static bool fake_has_unsent(nxi_io *io)
{
    (void)io;
    return it->unsent > 0;
}

static bool fake_next(nxi_io *io, nxi_event *ret_event)
{
    (void)io;
    if (it->count == 0)
        return false;
    *ret_event = it->events[it->first];
    it->first = (it->first + 1) % EVENTS_MAX;
    it->count--;
    return true;
}

static void fake_wake(nxi_io *io)
{
    (void)io;
    atomic_store(&it->woken, true);
}

static int fake_fd_of(nxi_io *io)
{
    (void)io;
    return -1;
}

static void fake_close(nxi_io *io)
{
    (void)io;
    cr_assert_not(it->closed);
    it->closed = true;
    for (uint32_t i = 0; i < it->buffer_count; i++)
        cr_assert_not(it->taken[i], "buffer %u was never given back", i);
    for (size_t i = 0; i < FAKE_FDS; i++)
        cr_assert(!it->fds[i].receiving && !it->fds[i].sending, "closed while something was under way");
}

static const nxi_io_ops fake_ops = {
    .now = fake_now, .make_buffers = fake_make_buffers, .recv = fake_recv, .send = fake_send, .cancel = fake_cancel,
    .bell = fake_bell, .timer = fake_timer, .give_back = fake_give_back, .shutdown = fake_shutdown, .enter = fake_enter,
    .is_ready = fake_is_ready, .has_unsent = fake_has_unsent, .next = fake_next, .wake = fake_wake, .fd = fake_fd_of,
    .close = fake_close
};

/* ------------------------------------------------------------------------------ for tests */

nxi_io *fake_io_new(int64_t now_ns, uint32_t buffers)
{
    cr_assert_null(it);
    cr_assert_leq(buffers, (uint32_t)BUFFERS_MAX);
    it = calloc(1, sizeof(*it));
    cr_assert_not_null(it);
    it->io.ops = &fake_ops;
    atomic_store(&it->now, now_ns);
    it->buffer_count = buffers;
    it->timer_ns = INT64_MAX;
    return &it->io;
}

void fake_io_forget(void)
{
    for (size_t i = 0; i < FAKE_FDS; i++) {
        free(it->fds[i].written);
        free(it->fds[i].fed);
    }
    free(it);
    it = NULL;
}

void fake_io_feed(int fd, const void *data, size_t size)
{
    fake_fd *f = fake_io_fd(fd);

    if (size == 0)
        return;
    f->fed = realloc(f->fed, f->fed_size + size);
    memcpy(f->fed + f->fed_size, data, size);
    f->fed_size += size;
}

void fake_io_end(int fd)
{
    fake_io_fd(fd)->closed = true;
}

void fake_io_break(int fd, int error)
{
    fake_fd *f = fake_io_fd(fd);

    f->fail_recv = error;
    f->fail_send = error;
    f->broken = true;
}

void fake_io_post(const nxi_event *event)
{
    if (event->buffer != NXI_IO_NO_BUFFER)
        it->taken[event->buffer] = true;
    post(*event);
}

void fake_io_advance(int64_t ns)
{
    atomic_fetch_add(&it->now, ns);
}

void fake_io_refuse(unsigned starts)
{
    it->refuse = starts;
}

void fake_io_fail_enter(nx_status status)
{
    it->fail_enter = status;
}

void fake_io_lose_bells(unsigned count)
{
    it->lose_bells = count;
}

uint32_t fake_io_buffers_free(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < it->buffer_count; i++)
        count += it->taken[i] ? 0 : 1;
    return count;
}

unsigned fake_io_waits(void)
{
    return it->waits;
}

int64_t fake_io_last_wait(void)
{
    return it->last_wait;
}

int64_t fake_io_timer_ns(void)
{
    return it->timer_ns;
}

bool fake_io_is_closed(void)
{
    return it->closed;
}
