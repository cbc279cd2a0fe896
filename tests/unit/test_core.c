/*
 * test_core - turns, timers, sources, targets and wake-ups.
 */
#include "engine/core.h"
#include "engine/map.h"
#include "tests/support/fake_io.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)

static nxi_memory *memory;
static nxi_core *core;

static void open_fake(uint32_t spin_us)
{
    nx_loop_options options = { .spin_us = spin_us };
    nx_error error;

    memory = nxi_memory_new(0);
    cr_assert_eq(nxi_core_open(memory, &options, fake_io_new(1000 * MS, 8), &core, &error), NX_OK);
}

static void open_real(uint32_t spin_us)
{
    nx_loop_options options = { .spin_us = spin_us };
    nx_error error;

    memory = nxi_memory_new(0);
    cr_assert_eq(nxi_core_open(memory, &options, NULL, &core, &error), NX_OK, "%s", error.message);
}

static void close_core(void)
{
    nxi_core_close(core);
    nxi_memory_free(memory);
}

static void turn(int64_t wait_ns)
{
    cr_assert_eq(nxi_core_turn(core, wait_ns), NX_OK);
}

/* ------------------------------------------------------------------------------ timers */

typedef struct counted { nxi_timer timer; int fired; int64_t at, again_ns; } counted;

static void count_fire(nxi_timer *timer)
{
    counted *c = NXI_CONTAINER(timer, counted, timer);

    c->fired++;
    c->at = nxi_core_now(core);
    if (c->again_ns != 0)
        cr_assert(nxi_timer_set(core, timer, c->at + c->again_ns));
}

Test(core, timers_fire_in_time_and_bound_the_wait)
{
    counted first = { .timer.fire = count_fire }, second = { .timer.fire = count_fire };

    open_fake(UINT32_MAX);
    cr_assert(nxi_timer_set(core, &first.timer, 1005 * MS));
    cr_assert(nxi_timer_set(core, &second.timer, 1007 * MS));
    turn(INT64_MAX);
    cr_assert_eq(fake_io_last_wait(), 5 * MS);
    cr_assert_eq(first.fired, 1);
    cr_assert_eq(second.fired, 0);
    turn(MS);
    cr_assert_eq(second.fired, 0, "the caller's bound was shorter");
    turn(INT64_MAX);
    cr_assert_eq(second.fired, 1);
    cr_assert_eq(second.at, 1007 * MS);
    close_core();
    fake_io_forget();
}

Test(core, a_timer_can_be_moved_and_cleared)
{
    counted c = { .timer.fire = count_fire }, other = { .timer.fire = count_fire };

    open_fake(UINT32_MAX);
    cr_assert(nxi_timer_set(core, &c.timer, 1001 * MS));
    cr_assert(nxi_timer_set(core, &other.timer, 1002 * MS));
    cr_assert(nxi_timer_set(core, &c.timer, 1003 * MS));
    turn(INT64_MAX);
    cr_assert_eq(other.fired, 1);
    cr_assert_eq(c.fired, 0);
    nxi_timer_clear(core, &c.timer);
    nxi_timer_clear(core, &c.timer);
    turn(10 * MS);
    cr_assert_eq(c.fired, 0);
    close_core();
    fake_io_forget();
}

Test(core, a_timer_that_sets_itself_to_the_past_does_not_hold_the_turn)
{
    counted c = { .timer.fire = count_fire, .again_ns = -1 };

    open_fake(UINT32_MAX);
    cr_assert(nxi_timer_set(core, &c.timer, 999 * MS));
    turn(0);
    turn(0);
    cr_assert_eq(c.fired, 2);
    nxi_timer_clear(core, &c.timer);
    close_core();
    fake_io_forget();
}

static int64_t last_fired;
static size_t fired_count;

static void check_order(nxi_timer *timer)
{
    cr_assert_geq(timer->when_ns, last_fired);
    last_fired = timer->when_ns;
    fired_count++;
}

/* Against the simplest model: every timer that is set and due fires, in order of time, and no other. */
Test(core, a_heap_of_random_timers_is_in_order)
{
    enum { COUNT = 500 };
    static nxi_timer timers[COUNT];
    uint64_t seed = 12345;
    size_t set = 0;
    nxi_timers heap = { 0 };

    heap.memory = nxi_memory_new(0);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 2000; i++) {
            nxi_timer *timer;

            seed = nxi_hash_u64(seed + 1);
            timer = &timers[seed % COUNT];
            timer->fire = check_order;
            if (seed >> 32 & 1)
                cr_assert(nxi_timers_set(&heap, timer, (int64_t)(seed >> 33 & 0xffff)));
            else
                nxi_timers_clear(&heap, timer);
        }
        set = 0;
        for (int i = 0; i < COUNT; i++)
            set += timers[i].place != 0 && timers[i].when_ns <= 30000 ? 1 : 0;
        last_fired = 0;
        fired_count = 0;
        cr_assert_eq(nxi_timers_fire(&heap, 30000), set);
        cr_assert_eq(fired_count, set);
        cr_assert_gt(nxi_timers_first(&heap), 30000);
    }
    for (int i = 0; i < COUNT; i++)
        nxi_timers_clear(&heap, &timers[i]);
    nxi_timers_fini(&heap);
    nxi_memory_free(heap.memory);
}

Test(core, a_timer_that_finds_no_memory_is_not_set)
{
    counted c = { .timer.fire = count_fire };

    open_fake(UINT32_MAX);
    nxi_memory_fail(1, true);
    cr_assert_not(nxi_timer_set(core, &c.timer, 1001 * MS));
    nxi_memory_fail(0, false);
    cr_assert_eq(c.timer.place, 0u);
    cr_assert(nxi_timer_set(core, &c.timer, 1001 * MS));
    nxi_timer_clear(core, &c.timer);
    close_core();
    fake_io_forget();
}

/* ------------------------------------------------------------------------------ sources and targets */

typedef struct probe {
    nxi_source source;
    int handed_over, collected, roused;
    bool news, busy, remove;
} probe;

static void probe_hand_over(nxi_source *source) { NXI_CONTAINER(source, probe, source)->handed_over++; }
static bool probe_has_news(const nxi_source *source) { return ((const probe *)(const void *)source)->news; }
static bool probe_is_busy(const nxi_source *source) { return ((const probe *)(const void *)source)->busy; }
static void probe_rouse(nxi_source *source) { NXI_CONTAINER(source, probe, source)->roused++; }
static void probe_collect(nxi_source *source)
{
    probe *p = NXI_CONTAINER(source, probe, source);

    p->collected++;
    if (p->remove)
        nxi_core_remove(core, source);
}
#define PROBE { .source = { .hand_over = probe_hand_over, .has_news = probe_has_news, .collect = probe_collect, \
                            .is_busy = probe_is_busy, .rouse = probe_rouse } }

Test(core, sources_are_walked_and_may_leave_on_the_way)
{
    probe a = PROBE, b = PROBE, c = PROBE;

    open_fake(UINT32_MAX);
    nxi_core_add(core, &a.source);
    nxi_core_add(core, &b.source);
    nxi_core_add(core, &c.source);
    b.remove = true;
    turn(0);
    turn(0);
    cr_assert(a.collected == 2 && b.collected == 1 && c.collected == 2);
    cr_assert(a.handed_over == 2 && b.handed_over == 1);
    cr_assert_eq(nxi_core_turns(core), 2u);
    nxi_core_remove(core, &c.source);
    nxi_core_remove(core, &a.source);
    close_core();
    fake_io_forget();
}

Test(core, news_are_collected_without_waiting)
{
    probe p = PROBE;

    open_fake(UINT32_MAX);
    nxi_core_add(core, &p.source);
    p.news = true;
    turn(INT64_MAX);
    cr_assert_eq(p.collected, 1);
    cr_assert_eq(fake_io_waits(), 0u);
    nxi_core_remove(core, &p.source);
    close_core();
    fake_io_forget();
}

Test(core, a_lost_bell_rouses_everybody)
{
    probe p = PROBE;
    nxi_event event = { .tag = nxi_io_tag(NXI_IO_BELL_FAILED, 0, 0), .result = -12, .buffer = NXI_IO_NO_BUFFER };

    open_fake(UINT32_MAX);
    nxi_core_add(core, &p.source);
    fake_io_post(&event);
    turn(INT64_MAX);
    cr_assert_eq(p.roused, 1);
    nxi_core_remove(core, &p.source);
    close_core();
    fake_io_forget();
}

static int target_events;

static void on_target(nxi_target *target, const nxi_event *event)
{
    (void)target;
    (void)event;
    target_events++;
}

Test(core, late_events_are_dropped_and_their_buffers_given_back)
{
    nxi_target target = { .event = on_target }, next = { .event = on_target };
    nxi_event event = { .result = 3, .buffer = 2 };

    open_fake(UINT32_MAX);
    cr_assert(nxi_core_attach(core, &target));
    event.tag = nxi_target_tag(&target, NXI_IO_RECV);
    nxi_core_detach(core, &target);
    cr_assert(nxi_core_attach(core, &next));
    cr_assert_eq(next.slot, target.slot, "the slot is used again, with another generation");
    fake_io_post(&event);
    event.buffer = NXI_IO_NO_BUFFER;
    event.tag = nxi_io_tag(NXI_IO_SEND, 77, 1); /* a slot that never was */
    fake_io_post(&event);
    turn(0);
    cr_assert_eq(target_events, 0);
    cr_assert_eq(nxi_core_late(core), 2u);
    cr_assert_eq(fake_io_buffers_free(), 8u);
    event.tag = nxi_target_tag(&next, NXI_IO_SEND);
    fake_io_post(&event);
    turn(0);
    cr_assert_eq(target_events, 1);
    nxi_core_detach(core, &next);
    close_core();
    fake_io_forget();
}

Test(core, tags_keep_their_parts)
{
    uint64_t tag = nxi_io_tag(NXI_IO_SEND, NXI_IO_SLOT_MAX, 0xdeadbeef);

    cr_assert_eq(nxi_io_tag_kind(tag), NXI_IO_SEND);
    cr_assert_eq(nxi_io_tag_slot(tag), (uint32_t)NXI_IO_SLOT_MAX);
    cr_assert_eq(nxi_io_tag_generation(tag), 0xdeadbeefu);
}

Test(core, a_broken_ring_stays_broken)
{
    open_fake(UINT32_MAX);
    turn(0);
    fake_io_fail_enter(NX_EIO);
    cr_assert_eq(nxi_core_turn(core, INT64_MAX), NX_EIO);
    fake_io_fail_enter(NX_OK);
    cr_assert_eq(nxi_core_turn(core, 0), NX_EIO);
    close_core();
    fake_io_forget();
}

Test(core, the_core_owns_its_io_also_when_it_fails_to_open)
{
    nxi_io *io = fake_io_new(0, 1);
    nx_error error;

    memory = nxi_memory_new(0);
    nxi_memory_fail(1, false);
    cr_assert_eq(nxi_core_open(memory, NULL, io, &core, &error), NX_ENOMEM);
    nxi_memory_fail(0, false);
    cr_assert(fake_io_is_closed());
    fake_io_forget();
    nxi_memory_free(memory);
}

Test(core, the_clock_is_read_once_per_turn_but_always_between_turns)
{
    int64_t before;

    open_fake(UINT32_MAX);
    before = nxi_core_now(core);
    fake_io_advance(7 * MS);
    cr_assert_eq(nxi_core_now(core), before + 7 * MS);
    close_core();
    fake_io_forget();
}

/* ------------------------------------------------------------------------------ on the real ring */

static void *wake_soon(void *context)
{
    (void)context;
    nanosleep(&(struct timespec){ .tv_nsec = 20 * MS }, NULL);
    nxi_core_wake(core);
    return NULL;
}

Test(core, another_thread_wakes_a_waiting_loop)
{
    pthread_t thread;

    open_real(UINT32_MAX);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(pthread_create(&thread, NULL, wake_soon, NULL), 0);
        turn(INT64_MAX);
        pthread_join(thread, NULL);
    }
    close_core();
}

Test(core, wakes_before_the_wait_are_not_lost_and_count_once)
{
    open_real(0);
    nxi_core_wake(core);
    nxi_core_wake(core);
    turn(INT64_MAX);
    nxi_core_wake(core);
    turn(INT64_MAX);
    close_core();
}

Test(core, a_real_turn_ends_with_its_timer_and_with_its_time)
{
    counted c = { .timer.fire = count_fire };
    int64_t before;

    open_real(UINT32_MAX);
    before = nxi_core_now(core);
    cr_assert(nxi_timer_set(core, &c.timer, before + 10 * MS));
    while (c.fired == 0)
        turn(INT64_MAX);
    cr_assert_geq(nxi_core_now(core), before + 10 * MS);
    before = nxi_core_now(core);
    turn(5 * MS);
    cr_assert_geq(nxi_core_now(core), before + 5 * MS);
    close_core();
}

/* epoll, as event loops use it: it hears only of what wakes pollers, and does not look again by itself. */
static bool is_readable(int fd, int timeout_ms)
{
    static int watcher = -1;
    struct epoll_event event = { .events = EPOLLIN };

    if (watcher < 0) {
        watcher = epoll_create1(EPOLL_CLOEXEC);
        cr_assert_eq(epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &event), 0);
    }
    return epoll_wait(watcher, &event, 1, timeout_ms) == 1;
}

/* It may tell once too often (the kernel is late sometimes), but must come to rest. */
static void come_to_rest(int fd)
{
    for (int i = 0; i < 100; i++) {
        turn(0);
        if (!is_readable(fd, 20))
            return;
    }
    cr_assert_fail("the descriptor stays readable");
}

static void turn_until_fired(counted *c, int times)
{
    while (c->fired < times)
        turn(0);
}

Test(core, the_descriptor_tells_of_timers_and_wakes)
{
    counted c = { .timer.fire = count_fire };
    int fd;

    open_real(0);
    fd = nxi_core_fd(core);
    cr_assert_geq(fd, 0);
    cr_assert_eq(nxi_core_fd(core), fd);
    cr_assert(is_readable(fd, 0), "once, to let the first turn set things right");
    come_to_rest(fd);

    cr_assert(nxi_timer_set(core, &c.timer, nxi_core_now(core) + 50 * MS));
    turn(0);
    cr_assert(is_readable(fd, 10000));
    turn_until_fired(&c, 1);
    come_to_rest(fd);

    /* An earlier time moves the alarm. */
    cr_assert(nxi_timer_set(core, &c.timer, nxi_core_now(core) + 3600000 * MS));
    turn(0);
    cr_assert(nxi_timer_set(core, &c.timer, nxi_core_now(core) + 10 * MS));
    turn(0);
    cr_assert(is_readable(fd, 10000));
    turn_until_fired(&c, 2);
    come_to_rest(fd);

    for (int i = 0; i < 10; i++) {
        nxi_core_wake(core);
        cr_assert(is_readable(fd, 10000));
        turn(0);
    }
    close_core();
}

Test(core, an_idle_turn_does_not_enter_the_kernel)
{
    uint64_t before;

    open_real(0);
    turn(0);
    before = nxi_core_enters(core);
    for (int i = 0; i < 100; i++)
        turn(0);
    cr_assert_eq(nxi_core_enters(core), before);
    close_core();
}
