/*
 * io_uring - the real io: one ring of one thread.
 *
 * What the kernel offers is probed by trying (setup flags) and by asking (opcodes, features), never by its version.
 */
#include "engine/io.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* 64 x 16 KiB: from about 13 KiB on, larger pieces gain nothing. More of them would leave the processor's cache. */
enum { BUFFER_COUNT = 64, BUFFER_BYTES = 16384, BUFFERS_BYTES = BUFFER_COUNT * BUFFER_BYTES, BUFFER_GROUP = 1 };
_Static_assert((BUFFER_COUNT & (BUFFER_COUNT - 1)) == 0, "the kernel masks positions");

typedef struct uring {
    nxi_io io;
    nxi_memory *memory;
    struct io_uring ring;
    int wake_fd;
    _Atomic int tell_fd;  /* Sync: atomic. -1 until somebody wants to poll */
    atomic_bool woken;    /* Sync: atomic. A wake is under way, so further ones need no system call */
    bool wake_armed;
    bool bells;           /* MSG_RING is there */
    bool skip_success;    /* IOSQE_CQE_SKIP_SUCCESS is there */
    bool multishot;
    bool timer_armed;
    int64_t timer_ns;
    struct __kernel_timespec timer_spec, wait_spec;
    struct io_uring_buf_ring *buffers; /* NULL until something wants to receive */
    size_t buffers_bytes;
    uint8_t *buffer_data;
} uring;

static uring *of(nxi_io *io)
{
    return NXI_CONTAINER(io, uring, io);
}

static void count_enter(uring *u)
{
    if (u->io.enters != NULL)
        atomic_fetch_add_explicit(u->io.enters, 1, memory_order_relaxed);
}

static struct __kernel_timespec to_timespec(int64_t ns)
{
    return (struct __kernel_timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

static int64_t uring_now(nxi_io *io)
{
    (void)io;
    return nxi_clock_ns();
}

/* ------------------------------------------------------------------------------ starting things */

static struct io_uring_sqe *get_sqe(uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

    if (NXI_UNLIKELY(sqe == NULL)) {
        count_enter(u);
        io_uring_submit(&u->ring); /* its failure shows as no room */
        sqe = io_uring_get_sqe(&u->ring);
    }
    return sqe;
}

/* After liburing's prep functions, some versions of which clear user_data and flags. */

static void finish_sqe(uring *u, struct io_uring_sqe *sqe, uint64_t tag, bool quiet)
{
    sqe->user_data = tag;
    if (quiet && u->skip_success)
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

/* The eventfd is never read: each write triggers the poll, whatever the count stands at. */
static void arm_wake(uring *u)
{
    uint64_t tag = nxi_io_tag(NXI_IO_WAKE, 0, 0);
    struct io_uring_sqe *sqe = get_sqe(u);

    u->wake_armed = sqe != NULL;
    if (sqe == NULL)
        return;
    io_uring_prep_poll_multishot(sqe, u->wake_fd, POLLIN);
    finish_sqe(u, sqe, tag, false);
}

static bool uring_recv(nxi_io *io, int fd, uint64_t tag)
{
    uring *u = of(io);
    struct io_uring_sqe *sqe;

    NX_ASSERT(u->buffers != NULL);
    sqe = get_sqe(u);
    if (sqe == NULL)
        return false;
    if (u->multishot)
        io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    else
        io_uring_prep_recv(sqe, fd, NULL, BUFFER_BYTES, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    finish_sqe(u, sqe, tag, false);
    return true;
}

static bool uring_send(nxi_io *io, int fd, const void *data, size_t size, uint64_t tag)
{
    uring *u = of(io);
    struct io_uring_sqe *sqe = get_sqe(u);

    if (sqe == NULL)
        return false;
    /* The kernel counts in int. WAITALL: it goes on by itself after a partial send. */
    io_uring_prep_send(sqe, fd, data, nxi_min_size(size, INT_MAX & ~4095), MSG_NOSIGNAL | MSG_WAITALL);
    finish_sqe(u, sqe, tag, false);
    return true;
}

static bool uring_cancel(nxi_io *io, uint64_t tag)
{
    uring *u = of(io);
    uint64_t own = nxi_io_tag(NXI_IO_CANCEL, 0, 0);
    struct io_uring_sqe *sqe = get_sqe(u);

    if (sqe == NULL)
        return false;
    io_uring_prep_cancel64(sqe, tag, 0);
    finish_sqe(u, sqe, own, true);
    return true;
}

static const nxi_io_ops uring_ops;

static bool uring_bell(nxi_io *io, nxi_io *target)
{
    uring *u = of(io);
    uint64_t own = nxi_io_tag(NXI_IO_BELL_FAILED, 0, 0);
    struct io_uring_sqe *sqe;

    if (target->ops != &uring_ops || !u->bells) {
        nxi_io_wake(target);
        return true;
    }
    sqe = get_sqe(u);
    if (sqe == NULL) {
        nxi_io_wake(target);
        return true;
    }
    io_uring_prep_msg_ring(sqe, of(target)->ring.ring_fd, 0, nxi_io_tag(NXI_IO_BELL, 0, 0), 0);
    finish_sqe(u, sqe, own, true);
    return true;
}

static bool uring_timer(nxi_io *io, int64_t when_ns)
{
    uring *u = of(io);
    uint64_t tag = nxi_io_tag(NXI_IO_TIMER, 0, 0), own = nxi_io_tag(NXI_IO_CANCEL, 0, 0);
    struct io_uring_sqe *sqe;

    if (u->timer_armed && when_ns >= u->timer_ns)
        return true;
    sqe = get_sqe(u);
    if (sqe == NULL)
        return false;
    u->timer_spec = to_timespec(when_ns < 0 ? 0 : when_ns);
    if (u->timer_armed) {
        io_uring_prep_timeout_update(sqe, &u->timer_spec, tag, IORING_TIMEOUT_ABS);
        finish_sqe(u, sqe, own, true);
    } else {
        io_uring_prep_timeout(sqe, &u->timer_spec, 0, IORING_TIMEOUT_ABS);
        finish_sqe(u, sqe, tag, false);
    }
    u->timer_armed = true;
    u->timer_ns = when_ns;
    return true;
}

/* ------------------------------------------------------------------------------ buffers for receiving */

static void provide(uring *u, uint32_t buffer)
{
    uint8_t *data = u->buffer_data + (size_t)buffer * BUFFER_BYTES;

    NXI_IO_POISON(data, BUFFER_BYTES);
    io_uring_buf_ring_add(u->buffers, data, BUFFER_BYTES, (unsigned short)buffer, io_uring_buf_ring_mask(BUFFER_COUNT), 0);
    io_uring_buf_ring_advance(u->buffers, 1);
}

static void free_buffers(uring *u)
{
    if (u->buffers != NULL)
        munmap(u->buffers, u->buffers_bytes);
    if (u->buffer_data != NULL) {
        NXI_IO_UNPOISON(u->buffer_data, BUFFERS_BYTES);
        nxi_release(u->memory, u->buffer_data);
    }
    u->buffers = NULL;
    u->buffer_data = NULL;
}

static nx_status uring_make_buffers(nxi_io *io, nx_error *error)
{
    uring *u = of(io);
    struct io_uring_buf_reg registration;
    void *shared;
    int result;

    if (u->buffers != NULL)
        return NX_OK;
    u->buffer_data = nxi_resize(u->memory, NULL, BUFFERS_BYTES);
    u->buffers_bytes = BUFFER_COUNT * sizeof(struct io_uring_buf);
    /* Shared with the kernel, which wants whole pages. */
    shared = mmap(NULL, u->buffers_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (u->buffer_data == NULL || shared == MAP_FAILED) {
        if (shared != MAP_FAILED)
            munmap(shared, u->buffers_bytes);
        free_buffers(u);
        return nxi_fail(error, NX_ENOMEM, "no memory for receive buffers");
    }
    madvise(shared, u->buffers_bytes, MADV_DONTFORK);
    u->buffers = shared;
    registration = (struct io_uring_buf_reg){
        .ring_addr = (uintptr_t)shared, .ring_entries = BUFFER_COUNT, .bgid = BUFFER_GROUP
    };
    result = io_uring_register_buf_ring(&u->ring, &registration, 0);
    if (result < 0) {
        free_buffers(u);
        return nxi_fail(error, result == -ENOMEM ? NX_ENOMEM : NX_EUNSUPPORTED,
                        "this kernel's io_uring has no provided-buffer rings (errno %d): Linux 5.19 or later is needed",
                        -result);
    }
    io_uring_buf_ring_init(u->buffers);
    for (uint32_t i = 0; i < BUFFER_COUNT; i++)
        provide(u, i);
    return NX_OK;
}

static void uring_give_back(nxi_io *io, uint32_t buffer)
{
    uring *u = of(io);

    NX_ASSERT(u->buffers != NULL && buffer < BUFFER_COUNT);
    provide(u, buffer);
}

static void uring_shutdown(nxi_io *io, int fd, bool both_ways)
{
    (void)io;
    /* ENOTCONN: the other side was faster, which is as good. */
    (void)shutdown(fd, both_ways ? SHUT_RDWR : SHUT_RD);
}

/* ------------------------------------------------------------------------------ the one system call */

/* With DEFER_TASKRUN, completions wait as task work until the owner enters; TASKRUN_FLAG shows that without entering. */
static bool needs_fetch(uring *u)
{
    return (IO_URING_READ_ONCE(*u->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static bool uring_is_ready(nxi_io *io)
{
    uring *u = of(io);

    return io_uring_cq_ready(&u->ring) != 0 || needs_fetch(u);
}

static bool uring_has_unsent(nxi_io *io)
{
    return io_uring_sq_ready(&of(io)->ring) != 0;
}

/* Before looking for events: those that come later tell again. Who stops looking asks is_ready after this. */
static void hush(uring *u)
{
    uint64_t count;

    while (read(u->tell_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

static nx_status uring_enter(nxi_io *io, int64_t wait_ns)
{
    uring *u = of(io);
    struct io_uring_cqe *cqe;
    int result;

    if (!u->wake_armed)
        arm_wake(u);
    if (u->tell_fd >= 0)
        hush(u);
    if (wait_ns <= 0 || uring_is_ready(io)) {
        if (!uring_has_unsent(io) && !needs_fetch(u))
            return NX_OK;
        count_enter(u);
        result = io_uring_submit_and_get_events(&u->ring);
    } else {
        /* A year stands for "without end": with a time given, liburing enters once only, whatever wakes it. */
        u->wait_spec = to_timespec(wait_ns == INT64_MAX ? INT64_C(31536000000000000) : wait_ns);
        count_enter(u);
        result = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &u->wait_spec, NULL);
    }
    if (NXI_UNLIKELY(IO_URING_READ_ONCE(*u->ring.cq.koverflow) != 0))
        return NX_EIO; /* events are lost for ever: FEAT_NODROP keeps them unless the kernel itself is out of memory */
    switch (result < 0 ? -result : 0) {
    case 0:
    case ETIME:
    case EINTR:
        return NX_OK;
    case EAGAIN:
    case EBUSY:
    case ENOMEM:
        sched_yield(); /* the kernel wants its events reaped, or has no memory just now: what was not sent stays in the queue */
        return NX_OK;
    default:
        return NX_EIO;
    }
}

/* ------------------------------------------------------------------------------ events */

static void take_buffer(uring *u, const struct io_uring_cqe *cqe, nxi_event *event)
{
    if ((cqe->flags & IORING_CQE_F_BUFFER) == 0)
        return;
    event->buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    NX_ASSERT(event->buffer < BUFFER_COUNT);
    event->data = u->buffer_data + (size_t)event->buffer * BUFFER_BYTES;
    if (cqe->res > 0)
        NXI_IO_UNPOISON(event->data, (size_t)cqe->res);
}

/* False: the event is our own affair. */
static bool translate(uring *u, const struct io_uring_cqe *cqe, nxi_event *event)
{
    *event = (nxi_event){ .tag = cqe->user_data, .result = cqe->res, .more = (cqe->flags & IORING_CQE_F_MORE) != 0,
                          .buffer = NXI_IO_NO_BUFFER };
    switch (nxi_io_tag_kind(event->tag)) {
    case NXI_IO_WAKE:
        if (!event->more)
            u->wake_armed = false;
        /* Before the owner looks at what the waker left: a wake that comes later must write again. */
        atomic_exchange(&u->woken, false);
        return true;
    case NXI_IO_TIMER:
        u->timer_armed = false;
        return true;
    case NXI_IO_BELL_FAILED:
        if (event->result >= 0)
            return false;
        u->bells = event->result != -EINVAL && event->result != -EOPNOTSUPP && u->bells;
        return true;
    case NXI_IO_RECV:
        take_buffer(u, cqe, event);
        if (event->result == -EINVAL && u->multishot) {
            u->multishot = false; /* a kernel that cannot: the owner starts again, singly this time */
            event->result = -ENOBUFS;
        }
        return true;
    case NXI_IO_BELL:
    case NXI_IO_SEND:
        return true;
    case NXI_IO_NONE:
    case NXI_IO_CANCEL:
    default:
        return false;
    }
}

static bool uring_next(nxi_io *io, nxi_event *ret_event)
{
    uring *u = of(io);
    struct io_uring_cqe *cqe;
    bool wanted = false;

    while (!wanted) {
        if (io_uring_cq_ready(&u->ring) == 0) {
            if ((IO_URING_READ_ONCE(*u->ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW) == 0)
                return false;
            count_enter(u);
            if (io_uring_get_events(&u->ring) < 0 || io_uring_cq_ready(&u->ring) == 0)
                return false;
        }
        if (io_uring_peek_cqe(&u->ring, &cqe) != 0)
            return false;
        wanted = translate(u, cqe, ret_event);
        io_uring_cqe_seen(&u->ring, cqe);
    }
    return true;
}

static void ring_eventfd(int fd)
{
    uint64_t one = 1;

    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void uring_wake(nxi_io *io)
{
    uring *u = of(io);
    int tell_fd = atomic_load(&u->tell_fd);

    if (atomic_exchange(&u->woken, true))
        return;
    ring_eventfd(u->wake_fd);
    /* The kernel would tell as well, but of one eventfd that triggers another only after an RCU grace period. */
    if (tell_fd >= 0)
        ring_eventfd(tell_fd);
}

/*
 * Not the ring's own descriptor: with DEFER_TASKRUN, a doorbell of another ring is task work that wakes nobody who polls that
 * (seen on Linux 6.18). The kernel signals a registered eventfd in all cases.
 */
static int uring_fd(nxi_io *io)
{
    uring *u = of(io);
    int fd = u->tell_fd;

    if (fd >= 0)
        return fd;
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd >= 0 && io_uring_register_eventfd(&u->ring, fd) != 0) {
        close(fd);
        fd = -1;
    }
    u->tell_fd = fd;
    return fd;
}

static void uring_close(nxi_io *io)
{
    uring *u = of(io);

    io_uring_queue_exit(&u->ring);
    free_buffers(u);
    close(u->wake_fd);
    if (u->tell_fd >= 0)
        close(u->tell_fd);
    nxi_release(u->memory, u);
}

static const nxi_io_ops uring_ops = {
    .now = uring_now, .make_buffers = uring_make_buffers, .recv = uring_recv, .send = uring_send, .cancel = uring_cancel,
    .bell = uring_bell, .timer = uring_timer, .give_back = uring_give_back, .shutdown = uring_shutdown, .enter = uring_enter,
    .is_ready = uring_is_ready, .has_unsent = uring_has_unsent, .next = uring_next, .wake = uring_wake, .fd = uring_fd,
    .close = uring_close
};

/* ------------------------------------------------------------------------------ opening */

/* '0', '1', '2', or 0 when there is no such sysctl. */
static char read_sysctl(void)
{
    char digit = 0;
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    if (read(fd, &digit, 1) != 1)
        digit = 0;
    close(fd);
    return digit;
}

static nx_status explain(int result, nx_error *error)
{
    switch (-result) {
    case EPERM:
    case EACCES:
        switch (read_sysctl()) {
        case '1':
            return nxi_fail(error, NX_EUNSUPPORTED, "io_uring is restricted by the sysctl kernel.io_uring_disabled=1: "
                            "set it to 0, or put the user into the group kernel.io_uring_group");
        case '2':
            return nxi_fail(error, NX_EUNSUPPORTED, "io_uring is switched off by the sysctl kernel.io_uring_disabled=2: "
                            "set it to 0 (sysctl -w kernel.io_uring_disabled=0)");
        default:
            return nxi_fail(error, NX_EUNSUPPORTED, "io_uring is refused (EPERM), most likely by a container's seccomp profile: "
                            "allow io_uring_setup, io_uring_enter and io_uring_register there; the sysctl "
                            "kernel.io_uring_disabled must be 0");
        }
    case ENOSYS:
        return nxi_fail(error, NX_EUNSUPPORTED, "io_uring is not there (ENOSYS): the kernel is built without it "
                        "(CONFIG_IO_URING), or a seccomp profile hides io_uring_setup, io_uring_enter and io_uring_register");
    case ENOMEM:
        return nxi_fail(error, NX_ENOMEM, "no memory for an io_uring (ENOMEM): raise the limit of locked memory (ulimit -l, "
                        "RLIMIT_MEMLOCK), or ask for fewer ring_entries");
    case EMFILE:
    case ENFILE:
        return nxi_fail(error, NX_ELIMIT, "too many open files for an io_uring: raise the limit (ulimit -n, RLIMIT_NOFILE)");
    default:
        return nxi_fail(error, NX_EUNSUPPORTED, "io_uring_setup failed with errno %d: Linux 5.11 or later is needed", -result);
    }
}

/* The best mode that this kernel takes: unknown flags are answered with EINVAL. */
static int setup(uring *u, uint32_t entries)
{
    static const unsigned modes[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
        0
    };
    int result = -EINVAL;

    for (size_t i = 0; i < NXI_COUNT(modes) && result == -EINVAL; i++) {
        struct io_uring_params params = { .flags = modes[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
                                          .cq_entries = entries * 4 };
        result = io_uring_queue_init_params(entries, &u->ring, &params);
    }
    return result;
}

static nx_status probe(uring *u, nx_error *error)
{
    static const int needed[] = { IORING_OP_POLL_ADD, IORING_OP_SEND, IORING_OP_RECV, IORING_OP_TIMEOUT, IORING_OP_ASYNC_CANCEL };
    struct io_uring_probe *found = io_uring_get_probe_ring(&u->ring);
    unsigned features = u->ring.features;
    bool complete = found != NULL && (features & IORING_FEAT_EXT_ARG) != 0 && (features & IORING_FEAT_NODROP) != 0;

    for (size_t i = 0; i < NXI_COUNT(needed) && complete; i++)
        complete = io_uring_opcode_supported(found, needed[i]) != 0;
    if (!complete) {
        io_uring_free_probe(found);
        return nxi_fail(error, NX_EUNSUPPORTED, "this kernel's io_uring is too old: Linux 5.11 or later is needed");
    }
    u->bells = io_uring_opcode_supported(found, IORING_OP_MSG_RING) != 0;
    u->skip_success = (features & IORING_FEAT_CQE_SKIP) != 0;
    u->multishot = true; /* taken back when the kernel refuses the first one */
    io_uring_free_probe(found);
    return NX_OK;
}

nx_status nxi_io_uring_open(nxi_memory *memory, uint32_t entries, nxi_io **ret_io, nx_error *error)
{
    uring *u = nxi_zalloc(memory, sizeof(*u));
    nx_status status;
    int result;

    if (u == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for a ring");
    u->io.ops = &uring_ops;
    u->tell_fd = -1;
    u->memory = memory;
    /* CLAMP bounds both queues, but entries * 4 must not overflow before it gets there. */
    result = setup(u, entries == 0 ? 1 : entries > 32768 ? 32768 : entries);
    if (result < 0) {
        nxi_release(memory, u);
        return explain(result, error);
    }
    u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (u->wake_fd < 0) {
        status = explain(-errno, error);
        goto fail;
    }
    status = probe(u, error);
    if (status != NX_OK)
        goto fail;
    io_uring_ring_dontfork(&u->ring);
    io_uring_register_ring_fd(&u->ring); /* saves the descriptor's look-up in each enter; without it all works too */
    arm_wake(u);
    *ret_io = &u->io;
    return NX_OK;

fail:
    if (u->wake_fd >= 0)
        close(u->wake_fd);
    io_uring_queue_exit(&u->ring);
    nxi_release(memory, u);
    return status;
}
