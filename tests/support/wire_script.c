/*
 * wire_script - servers for pools on the scripted io: descriptors from 1000 on, opened by real opener threads.
 */
#include "tests/support/wire_script.h"

#include <sched.h>
#include <stdlib.h>

_Atomic int next_fd = FD, refuse_opens, refuse_with = NX_ECONNECT, open_gate = 1, interrupt_gate = 1;
_Atomic int opening;

static bool is_refused(void)
{
    int left = atomic_load(&refuse_opens);

    while (left > 0 && !atomic_compare_exchange_weak(&refuse_opens, &left, left - 1))
        continue;
    return left > 0;
}

static nx_status scripted_open(int *ret_fd)
{
    atomic_fetch_add(&opening, 1);
    while (atomic_load(&open_gate) == 0)
        sched_yield();
    atomic_fetch_sub(&opening, 1);
    if (is_refused())
        return (nx_status)atomic_load(&refuse_with);
    *ret_fd = atomic_fetch_add(&next_fd, 1);
    return NX_OK;
}

static void scripted_close(int fd)
{
    (void)fd;
}

static bool scripted_interrupt(int fd)
{
    (void)fd;
    while (atomic_load(&interrupt_gate) == 0)
        sched_yield();
    return atomic_load(&interrupt_gate) > 0;
}

void script_hooks(void)
{
    fake_wire = (fake_wire_hooks){ .open = scripted_open, .close = scripted_close, .interrupt = scripted_interrupt };
}

void script_reset(void)
{
    atomic_store(&next_fd, FD);
    atomic_store(&fake_wire_opens, 0);
    atomic_store(&fake_wire_closes, 0);
    atomic_store(&fake_wire_interrupts, 0);
    opened_calls = closed_calls = 0;
    done_count = 0;
}

void open_scripted(const nxi_driver *driver, const nx_bind_options *options)
{
    nx_error error;

    script_hooks();
    open_core(fake_io_new(1000 * MS, 16));
    cr_assert_eq(nxi_pool_open(core, driver, options, on_opened, NULL, &pool, &error), NX_OK, "%s", error.message);
}

void end_scripted(void)
{
    end();
    fake_io_forget();
}

void forget_fds(void)
{
    for (int fd = FD; fd < FD + FAKE_FDS; fd++) {
        free(fake_io_fd(fd)->written);
        free(fake_io_fd(fd)->fed);
        *fake_io_fd(fd) = (fake_fd){ 0 };
    }
    atomic_store(&next_fd, FD);
}

size_t sent_on(int fd)
{
    return fake_io_fd(fd)->written_size / FAKE_WIRE_HEAD;
}

static uint64_t parse_on(int fd, size_t at, uint8_t *ret_flags)
{
    uint32_t body;
    uint64_t id;

    cr_assert_lt(at, sent_on(fd), "request %zu was not sent on %d", at, fd);
    fake_wire_parse(fake_io_fd(fd)->written + at * FAKE_WIRE_HEAD, FAKE_WIRE_HEAD, ret_flags, &body, &id);
    return id;
}

uint8_t flags_on(int fd, size_t at)
{
    uint8_t flags;

    (void)parse_on(fd, at, &flags);
    return flags;
}

void answer_on(int fd, size_t at, bool in_transaction)
{
    uint8_t head[FAKE_WIRE_HEAD], flags;

    fake_wire_answer(head, parse_on(fd, at, &flags), 0, in_transaction);
    fake_io_feed(fd, head, sizeof(head));
}

void notify_on(int fd, const char *channel, const char *payload)
{
    uint8_t bytes[FAKE_WIRE_HEAD + FAKE_WIRE_NOTIFICATION_MAX];

    fake_io_feed(fd, bytes, fake_wire_notification(bytes, channel, payload));
}
