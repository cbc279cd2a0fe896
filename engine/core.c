/*
 * core - the turns of a loop: hand over, one enter, collect.
 *
 * Sleeping and ringing. Workers put finished requests into boxes that the loop reads without any system call. Only when the
 * loop is about to wait in the kernel must somebody ring. The loop stores asleep = 1 and then looks into the boxes; a worker
 * fills a box and then looks at asleep. All four accesses are sequentially consistent, so there is one order of them all and at
 * least one side sees the other's store: either the loop finds the box filled and does not wait, or the worker finds the loop
 * asleep and rings. Release and acquire would not do: each side's load could be satisfied before its own store is visible.
 * Whoever turns asleep from 1 to 0 rings, so there is one doorbell per sleep, whatever the number of workers.
 */
#include "engine/core.h"

#include <sched.h>
#include <unistd.h>

enum {
    RING_ENTRIES = 256,
    SPIN_US = 50,
    SPIN_CREDIT_MAX = 16,  /* spins that may fail in a row before spinning stops */
    SPIN_RETRY = 64,       /* waits without a spin until it is tried again */
    SPIN_LOOKS = 16,       /* looks between two readings of the clock */
    LINGER_NS = 15000,     /* see linger */
    LINGER_ENOUGH = 24,
    SETTLE_ROUNDS = 4
};

typedef struct slot { nxi_target *target; uint32_t generation, next_free; } slot;

struct nxi_core {
    _Atomic uint64_t wakes;   /* nxi_core_wake calls; Sync: atomic */
    nxi_memory *memory;
    nxi_io *io;
    nxi_timers timers;
    nxi_source *sources, *cursor; /* cursor: the next one of a walk, so that the current one may go */
    slot *slots;
    uint32_t slot_count, slot_capacity, free_slot; /* free_slot: index + 1 */
    int64_t spin_ns, now_ns;
    unsigned processors, spin_credit, spin_skipped;
    bool in_turn, now_known, fd_mode;
    nx_status broken;
    uint64_t turns, late;
    char apart[NXI_CACHE_LINE];   /* what workers write lies on lines of its own */
    atomic_bool asleep;           /* Sync: see above */
    _Atomic uint64_t enters;      /* Sync: atomic, relaxed: a counter */
};

/* ------------------------------------------------------------------------------ opening and closing */

nx_status nxi_core_open(nxi_memory *memory, const nx_loop_options *options, nxi_io *io, nxi_core **ret_core, nx_error *error)
{
    static const nx_loop_options defaults;
    nxi_core *core = nxi_zalloc(memory, sizeof(*core));
    cpu_set_t set;
    nx_status status;

    if (options == NULL)
        options = &defaults;
    if (core == NULL) {
        nxi_io_close(io);
        return nxi_fail(error, NX_ENOMEM, "no memory for a loop");
    }
    if (io == NULL) {
        status = nxi_io_uring_open(memory, options->ring_entries == 0 ? RING_ENTRIES : options->ring_entries, &io, error);
        if (status != NX_OK) {
            nxi_release(memory, core);
            return status;
        }
    }
    core->memory = memory;
    core->timers.memory = memory;
    core->io = io;
    io->enters = &core->enters;
    core->processors = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    if (options->spin_us != UINT32_MAX)
        core->spin_ns = (int64_t)(options->spin_us == 0 ? SPIN_US : options->spin_us) * 1000;
    core->spin_credit = SPIN_CREDIT_MAX;
    *ret_core = core;
    return NX_OK;
}

void nxi_core_close(nxi_core *core)
{
    NX_ASSERT(core->sources == NULL);
    NX_ASSERT(!core->in_turn);
    for (uint32_t i = 0; i < core->slot_count; i++)
        NX_ASSERT(core->slots[i].target == NULL);
    nxi_timers_fini(&core->timers);
    nxi_io_close(core->io);
    nxi_release(core->memory, core->slots);
    nxi_release(core->memory, core);
}

nxi_memory *nxi_core_memory(const nxi_core *core)
{
    return core->memory;
}

nxi_io *nxi_core_io(const nxi_core *core)
{
    return core->io;
}

uint64_t nxi_core_turns(const nxi_core *core)
{
    return core->turns;
}

uint64_t nxi_core_enters(const nxi_core *core)
{
    return atomic_load_explicit(&core->enters, memory_order_relaxed);
}

_Atomic uint64_t *nxi_core_enter_counter(nxi_core *core)
{
    return &core->enters;
}

uint64_t nxi_core_late(const nxi_core *core)
{
    return core->late;
}

unsigned nxi_core_processors(const nxi_core *core)
{
    return core->processors;
}

/* ------------------------------------------------------------------------------ sources and targets */

void nxi_core_add(nxi_core *core, nxi_source *source)
{
    source->previous = NULL;
    source->next = core->sources;
    if (core->sources != NULL)
        core->sources->previous = source;
    core->sources = source;
}

void nxi_core_remove(nxi_core *core, nxi_source *source)
{
    if (core->cursor == source)
        core->cursor = source->next;
    if (source->next != NULL)
        source->next->previous = source->previous;
    if (source->previous != NULL)
        source->previous->next = source->next;
    else
        core->sources = source->next;
    source->next = source->previous = NULL;
}

typedef enum walk { WALK_HAND_OVER, WALK_COLLECT, WALK_ROUSE } walk;

static void walk_sources(nxi_core *core, walk what)
{
    nxi_source *source = core->sources;

    while (source != NULL) {
        core->cursor = source->next;
        if (what == WALK_HAND_OVER)
            source->hand_over(source);
        else if (what == WALK_COLLECT)
            source->collect(source);
        else
            source->rouse(source);
        source = core->cursor;
    }
    core->cursor = NULL;
}

static bool any_news(const nxi_core *core)
{
    for (const nxi_source *source = core->sources; source != NULL; source = source->next) {
        if (source->has_news(source))
            return true;
    }
    return false;
}

static bool any_busy(const nxi_core *core)
{
    for (const nxi_source *source = core->sources; source != NULL; source = source->next) {
        if (source->is_busy(source))
            return true;
    }
    return false;
}

static bool grow_slots(nxi_core *core)
{
    uint32_t capacity = core->slot_capacity == 0 ? 16 : core->slot_capacity * 2;
    slot *slots;

    if (capacity > NXI_IO_SLOT_MAX)
        return false;
    slots = nxi_resize(core->memory, core->slots, capacity * sizeof(*slots));
    if (slots == NULL)
        return false;
    core->slots = slots;
    core->slot_capacity = capacity;
    return true;
}

bool nxi_core_attach(nxi_core *core, nxi_target *target)
{
    uint32_t index;

    if (core->free_slot != 0) {
        index = core->free_slot - 1;
        core->free_slot = core->slots[index].next_free;
    } else {
        if (core->slot_count == core->slot_capacity && !grow_slots(core))
            return false;
        index = core->slot_count++;
        core->slots[index] = (slot){ 0 };
    }
    core->slots[index].target = target;
    target->slot = index;
    target->generation = ++core->slots[index].generation;
    return true;
}

void nxi_core_detach(nxi_core *core, nxi_target *target)
{
    slot *own = &core->slots[target->slot];

    NX_ASSERT(target->slot < core->slot_count && own->target == target && own->generation == target->generation);
    own->target = NULL;
    own->next_free = core->free_slot;
    core->free_slot = target->slot + 1;
}

static void dispatch(nxi_core *core, const nxi_event *event)
{
    uint32_t index = nxi_io_tag_slot(event->tag);
    slot *own = index < core->slot_count ? &core->slots[index] : NULL;

    if (own != NULL && own->target != NULL && own->generation == nxi_io_tag_generation(event->tag)) {
        own->target->event(own->target, event);
        return;
    }
    core->late++;
    if (event->buffer != NXI_IO_NO_BUFFER)
        nxi_io_give_back(core->io, event->buffer);
}

/* ------------------------------------------------------------------------------ time */

int64_t nxi_core_now(nxi_core *core)
{
    /* Between turns the user may compute for as long as he likes: only within one is a reading kept. */
    if (!core->in_turn)
        return nxi_io_now(core->io);
    if (!core->now_known) {
        core->now_ns = nxi_io_now(core->io);
        core->now_known = true;
    }
    return core->now_ns;
}

bool nxi_timer_set(nxi_core *core, nxi_timer *timer, int64_t when_ns)
{
    return nxi_timers_set(&core->timers, timer, when_ns);
}

void nxi_timer_clear(nxi_core *core, nxi_timer *timer)
{
    nxi_timers_clear(&core->timers, timer);
}

/* ------------------------------------------------------------------------------ waking */

uint64_t nxi_core_wakes(const nxi_core *core)
{
    return atomic_load(&core->wakes);
}

void nxi_core_wake(nxi_core *core)
{
    atomic_fetch_add(&core->wakes, 1);
    nxi_io_wake(core->io);
}

void nxi_core_ring(nxi_core *core, nxi_io *from)
{
    if (!atomic_load(&core->asleep) || !atomic_exchange(&core->asleep, false))
        return;
    if (from == NULL || !nxi_io_bell(from, core->io) || nxi_io_enter(from, 0) != NX_OK)
        nxi_io_wake(core->io);
}

int nxi_core_fd(nxi_core *core)
{
    int fd = nxi_io_fd(core->io);

    if (!core->fd_mode && fd >= 0) {
        core->fd_mode = true;
        /* Readable at once: the turn that follows sets timers and doorbells right. The enter arms what makes it readable. */
        if (nxi_io_enter(core->io, 0) != NX_OK)
            core->broken = NX_EIO;
        nxi_io_wake(core->io);
    }
    return fd;
}

/* ------------------------------------------------------------------------------ a turn */

static nx_status enter(nxi_core *core, int64_t wait_ns)
{
    nx_status status = nxi_io_enter(core->io, wait_ns);

    core->now_known = false;
    if (status != NX_OK)
        core->broken = status;
    return status;
}

/* Look at the boxes for a while before sleeping, as long as that has paid lately. */
static bool spin(nxi_core *core, int64_t wait_ns)
{
    int64_t end, rounds;
    bool found = false;

    if (core->spin_ns == 0 || !any_busy(core))
        return false;
    if (core->spin_credit == 0 && ++core->spin_skipped < SPIN_RETRY)
        return false;
    core->spin_skipped = 0;
    /* Doorbells must be out, else the spin waits for workers that sleep. */
    if (nxi_io_has_unsent(core->io) && enter(core, 0) != NX_OK)
        return true;
    end = nxi_io_now(core->io) + (wait_ns < core->spin_ns ? wait_ns : core->spin_ns);
    rounds = core->spin_ns / 128 + 1; /* a clock that stands still must not keep us */
    do {
        for (int look = 0; look < SPIN_LOOKS && !found; look++) {
            found = any_news(core);
            nxi_pause();
        }
        found = found || nxi_io_is_ready(core->io);
        if (core->processors == 1 && !found)
            sched_yield(); /* the worker needs this very processor */
    } while (!found && --rounds > 0 && nxi_io_now(core->io) < end);
    if (found)
        core->spin_credit = core->spin_credit + 2 < SPIN_CREDIT_MAX ? core->spin_credit + 2 : SPIN_CREDIT_MAX;
    else if (core->spin_credit > 0)
        core->spin_credit--;
    return found;
}

/*
 * Results of short statements come a microsecond apart. Taking each alone would send the next requests off one by one, and a
 * worker would open a transaction for each: stay a moment while more are coming.
 */
static void linger(nxi_core *core)
{
    int64_t end = 0;

    for (;;) {
        size_t ready = 0, coming = 0;
        for (const nxi_source *source = core->sources; source != NULL; source = source->next)
            if (source->outlook != NULL)
                source->outlook(source, &ready, &coming);
        if (ready == 0 || coming == 0 || ready >= LINGER_ENOUGH)
            return;
        int64_t now = nxi_io_now(core->io);
        if (end == 0)
            end = now + LINGER_NS;
        else if (now >= end)
            return;
        for (int i = 0; i < SPIN_LOOKS; i++)
            nxi_pause();
    }
}

/* Wait in the kernel, unless something is there by now. */
static nx_status sleep_in_kernel(nxi_core *core, int64_t wait_ns)
{
    nx_status status;

    atomic_store(&core->asleep, true);
    if (any_news(core))
        wait_ns = 0;
    status = enter(core, wait_ns);
    atomic_store_explicit(&core->asleep, false, memory_order_relaxed);
    return status;
}

static int64_t bound_wait(nxi_core *core, int64_t wait_ns)
{
    int64_t first = nxi_timers_first(&core->timers), left;

    if (any_news(core) || nxi_io_is_ready(core->io))
        return 0;
    if (first == INT64_MAX)
        return wait_ns;
    left = first - nxi_core_now(core);
    return left <= 0 ? 0 : left < wait_ns ? left : wait_ns;
}

static void collect_events(nxi_core *core)
{
    nxi_event event;

    while (nxi_io_next(core->io, &event)) {
        switch (nxi_io_tag_kind(event.tag)) {
        case NXI_IO_RECV:
        case NXI_IO_SEND:
            dispatch(core, &event);
            break;
        case NXI_IO_BELL_FAILED:
            walk_sources(core, WALK_ROUSE);
            break;
        case NXI_IO_NONE:
        case NXI_IO_BELL:
        case NXI_IO_WAKE:
        case NXI_IO_TIMER:
        case NXI_IO_CANCEL:
        default:
            break;
        }
    }
}

nx_status nxi_core_pump(nxi_core *core, int64_t wait_ns)
{
    nx_status status = core->broken != NX_OK ? core->broken : enter(core, wait_ns);

    if (status == NX_OK)
        collect_events(core);
    return status;
}

static void collect(nxi_core *core)
{
    collect_events(core);
    walk_sources(core, WALK_COLLECT);
    if (nxi_timers_first(&core->timers) != INT64_MAX && nxi_timers_fire(&core->timers, nxi_core_now(core)) != 0)
        walk_sources(core, WALK_COLLECT); /* what the timers finished */
}

/*
 * Leave things so that the descriptor tells of all that comes: everything sent, a ring timeout for the earliest timer, workers
 * asked to ring. Outside of fd mode the next turn does that.
 */
static nx_status settle(nxi_core *core)
{
    for (int round = 0; round < SETTLE_ROUNDS; round++) {
        int64_t first = nxi_timers_first(&core->timers);
        nx_status status = NX_OK;

        walk_sources(core, WALK_HAND_OVER);
        if (first != INT64_MAX && !nxi_io_timer(core->io, first))
            break;
        if (nxi_io_has_unsent(core->io) || nxi_io_is_ready(core->io)) {
            status = enter(core, 0);
            if (status != NX_OK)
                return status;
        }
        atomic_store(&core->asleep, true);
        if (!any_news(core) && !nxi_io_is_ready(core->io))
            return NX_OK;
        atomic_store_explicit(&core->asleep, false, memory_order_relaxed);
        collect(core);
    }
    nxi_io_wake(core->io); /* it does not come to rest: another turn, then */
    return NX_OK;
}

nx_status nxi_core_turn(nxi_core *core, int64_t wait_ns)
{
    nx_status status = NX_OK;

    NX_ASSERT(!core->in_turn);
    if (core->broken != NX_OK)
        return core->broken;
    bool patient = wait_ns > 0 && core->spin_ns > 0 && core->processors > 1;
    core->in_turn = true;
    core->now_known = false;
    core->turns++;
    if (core->fd_mode)
        atomic_store_explicit(&core->asleep, false, memory_order_relaxed);
    walk_sources(core, WALK_HAND_OVER);
    if (wait_ns > 0)
        wait_ns = bound_wait(core, wait_ns);
    if (wait_ns > 0 && spin(core, wait_ns))
        wait_ns = 0;
    if (patient && core->broken == NX_OK && wait_ns == 0)
        linger(core);
    if (core->broken == NX_OK)
        status = wait_ns > 0 ? sleep_in_kernel(core, wait_ns) : enter(core, 0);
    if (core->broken == NX_OK)
        collect(core);
    if (core->broken == NX_OK && core->fd_mode)
        status = settle(core);
    core->in_turn = false;
    return core->broken != NX_OK ? core->broken : status;
}
