/*
 * core - what a turn of the loop offers to the modules that move requests.
 *
 * Sources hand over before the enter and collect after it; targets get the events of what they started.
 * Threads: the loop's own, except nxi_core_ring.
 */
#ifndef NXI_CORE_H
#define NXI_CORE_H

#include "engine/io.h"
#include "engine/loop.h"

/* The struct is the caller's. A source may be removed from within any of its functions. */
typedef struct nxi_source {
    struct nxi_source *next, *previous;
    void (*hand_over)(struct nxi_source *source);      /* before the enter: push boxes, start sends */
    bool (*has_news)(const struct nxi_source *source); /* something to collect? Called often while spinning: loads only */
    void (*collect)(struct nxi_source *source);
    bool (*is_busy)(const struct nxi_source *source);  /* workers hold requests of it: spinning pays */
    /* adds: results that are there, and that workers are at. NULL: none */
    void (*outlook)(const struct nxi_source *source, size_t *ready, size_t *coming);
    void (*rouse)(struct nxi_source *source);          /* a doorbell got lost: wake everyone who may have mail */
} nxi_source;
void nxi_core_add(nxi_core *core, nxi_source *source);
void nxi_core_remove(nxi_core *core, nxi_source *source);

/* Something that has events: slot and generation are part of the tags of what it starts. The struct is the caller's. */
typedef struct nxi_target {
    uint32_t slot, generation;
    void (*event)(struct nxi_target *target, const nxi_event *event);
} nxi_target;
NX_MUST_CHECK bool nxi_core_attach(nxi_core *core, nxi_target *target); /* false: out of memory, or of slots */
/* Events that still come for it are dropped and their buffers given back. */
void nxi_core_detach(nxi_core *core, nxi_target *target);
static inline uint64_t nxi_target_tag(const nxi_target *target, nxi_io_kind kind)
{
    return nxi_io_tag(kind, target->slot, target->generation);
}
/* Wait for events and give them to their targets, and do nothing else: for ends that cannot wait for a turn. */
NX_MUST_CHECK nx_status nxi_core_pump(nxi_core *core, int64_t wait_ns);
uint64_t nxi_core_late(const nxi_core *core); /* events dropped that way */

/*
 * Any thread, after it has put something where a source's has_news sees it (sequentially consistent): ring if the loop sleeps.
 * from: the caller's own io, or NULL.
 */
void nxi_core_ring(nxi_core *core, nxi_io *from);
_Atomic uint64_t *nxi_core_enter_counter(nxi_core *core);
/* Processors this process may use, at least 1. */
unsigned nxi_core_processors(const nxi_core *core);

/* timer.c */
typedef struct nxi_timers {
    nxi_memory *memory;
    nxi_timer **heap;
    size_t count, capacity;
} nxi_timers;
NX_MUST_CHECK bool nxi_timers_set(nxi_timers *timers, nxi_timer *timer, int64_t when_ns);
void nxi_timers_clear(nxi_timers *timers, nxi_timer *timer);
int64_t nxi_timers_first(const nxi_timers *timers); /* INT64_MAX: none */
/* Fire what is due at `now_ns`, each at most once per call; returns how many. */
size_t nxi_timers_fire(nxi_timers *timers, int64_t now_ns);
void nxi_timers_fini(nxi_timers *timers);

static inline void nxi_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
