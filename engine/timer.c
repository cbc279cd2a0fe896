/*
 * timer - a binary heap of times; the earliest bounds the loop's wait.
 */
#include "engine/core.h"

static void put(nxi_timers *timers, size_t at, nxi_timer *timer)
{
    timers->heap[at] = timer;
    timer->place = at + 1;
}

static void sift_up(nxi_timers *timers, size_t at, nxi_timer *timer)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;

        if (timers->heap[parent]->when_ns <= timer->when_ns)
            break;
        put(timers, at, timers->heap[parent]);
        at = parent;
    }
    put(timers, at, timer);
}

static void sift_down(nxi_timers *timers, size_t at, nxi_timer *timer)
{
    for (;;) {
        size_t child = at * 2 + 1;

        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && timers->heap[child + 1]->when_ns < timers->heap[child]->when_ns)
            child++;
        if (timer->when_ns <= timers->heap[child]->when_ns)
            break;
        put(timers, at, timers->heap[child]);
        at = child;
    }
    put(timers, at, timer);
}

/* Into its order, from where it stands or where a hole is. */
static void settle(nxi_timers *timers, size_t at, nxi_timer *timer)
{
    if (at > 0 && timers->heap[(at - 1) / 2]->when_ns > timer->when_ns)
        sift_up(timers, at, timer);
    else
        sift_down(timers, at, timer);
}

bool nxi_timers_set(nxi_timers *timers, nxi_timer *timer, int64_t when_ns)
{
    NX_ASSERT(timer->fire != NULL);
    if (timer->place == 0) {
        if (timers->count == timers->capacity) {
            size_t capacity = timers->capacity == 0 ? 64 : timers->capacity * 2;
            nxi_timer **heap = nxi_resize(timers->memory, timers->heap, capacity * sizeof(*heap));

            if (heap == NULL)
                return false;
            timers->heap = heap;
            timers->capacity = capacity;
        }
        timer->when_ns = when_ns;
        sift_up(timers, timers->count++, timer);
        return true;
    }
    NX_ASSERT(timer->place <= timers->count && timers->heap[timer->place - 1] == timer);
    timer->when_ns = when_ns;
    settle(timers, timer->place - 1, timer);
    return true;
}

void nxi_timers_clear(nxi_timers *timers, nxi_timer *timer)
{
    size_t at = timer->place;

    if (at == 0)
        return;
    NX_ASSERT(at <= timers->count && timers->heap[at - 1] == timer);
    timer->place = 0;
    timers->count--;
    if (at - 1 < timers->count)
        settle(timers, at - 1, timers->heap[timers->count]);
}

int64_t nxi_timers_first(const nxi_timers *timers)
{
    return timers->count == 0 ? INT64_MAX : timers->heap[0]->when_ns;
}

size_t nxi_timers_fire(nxi_timers *timers, int64_t now_ns)
{
    /* A timer that sets itself again to a time already past must not hold the turn for ever. */
    size_t fired = 0, limit = timers->count;

    while (fired < limit && timers->count > 0 && timers->heap[0]->when_ns <= now_ns) {
        nxi_timer *timer = timers->heap[0];

        nxi_timers_clear(timers, timer);
        fired++;
        timer->fire(timer);
    }
    return fired;
}

void nxi_timers_fini(nxi_timers *timers)
{
    NX_ASSERT(timers->count == 0);
    nxi_release(timers->memory, timers->heap);
    *timers = (nxi_timers){ .memory = timers->memory };
}
