/*
 * worker - a thread that executes requests, and the boxes through which they come and go.
 *
 * A box has one producer and one consumer and holds a list. The producer puts a whole batch in with one store; when the
 * consumer has not yet taken the last batch, the producer takes it back and puts it in front of the new one, which needs no
 * walk as it knows the end of what it put in last. The consumer takes all with one exchange. The box carries its own ordering
 * (the kernel's doorbell is no edge that compilers, readers or ThreadSanitizer know of); how sleeping and ringing fit together
 * is told in core.c: the worker's own sleep is the same protocol with the sides changed.
 */
#include "engine/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

enum {
    RING_ENTRIES = 8,
    SPIN_NS = 30000,
    SPIN_FEW_NS = 20000,   /* with two processors a spinning worker is more likely in somebody's way */
    SPIN_CREDIT_MAX = 16,
    SPIN_RETRY = 64,
    SPIN_LOOKS = 16
};

typedef struct box {
    _Atomic(nxi_request *) first; /* Sync: see above */
    nxi_request *last;            /* the producer's: end of the batch put in last */
} box;

struct nxi_port {
    nxi_worker_setup setup;
    void *state;
    pthread_t thread;
    bool joined;
    nxi_io *io;                   /* made by the thread before `phase` leaves OPENING, closed after it was joined */
    nx_error error;               /* written before `phase` leaves OPENING, constant afterwards */
    nx_status result;
    int64_t spin_ns;              /* from here on the thread's own */
    unsigned spin_credit, spin_skipped;
    char apart_in[NXI_CACHE_LINE];
    box in;                       /* what the loop writes */
    atomic_bool stopping, nudged; /* Sync: atomic, seq_cst: part of the sleeping protocol */
    char apart_sleep[NXI_CACHE_LINE];
    atomic_bool asleep;           /* Sync: see core.c */
    char apart_out[NXI_CACHE_LINE];
    box out;                      /* what the worker writes */
    _Atomic uint64_t finished;    /* requests put into it so far; Sync: release/acquire */
    _Atomic int phase;            /* Sync: atomic, release/acquire: nxi_worker_state */
    atomic_bool changed;          /* Sync: atomic, seq_cst: phase is another one */
};

struct nxi_worker { struct nxi_port port; };

/* ------------------------------------------------------------------------------ boxes */

static void box_put(box *b, nxi_request *first, nxi_request *last)
{
    nxi_request *waiting = NULL;

    last->next = NULL;
    /* Only the consumer empties it and only we fill it: what is seen empty stays so. */
    if (atomic_load_explicit(&b->first, memory_order_relaxed) != NULL)
        waiting = atomic_exchange_explicit(&b->first, NULL, memory_order_acquire);
    if (waiting != NULL) {
        b->last->next = first;
        first = waiting;
    }
    b->last = last;
    atomic_store(&b->first, first); /* releases the batch; seq_cst for the look at `asleep` that follows */
}

static nxi_request *box_take(box *b)
{
    if (atomic_load_explicit(&b->first, memory_order_relaxed) == NULL)
        return NULL;
    return atomic_exchange_explicit(&b->first, NULL, memory_order_acquire);
}

static bool box_is_filled(const box *b)
{
    return atomic_load(&b->first) != NULL;
}

/* ------------------------------------------------------------------------------ the worker's side */

nxi_request *nxi_port_take(nxi_port *port)
{
    return box_take(&port->in);
}

void nxi_port_finish(nxi_port *port, nxi_request *request)
{
    NX_ASSERT(request != NULL);
    box_put(&port->out, request, request);
    atomic_store_explicit(&port->finished, atomic_load_explicit(&port->finished, memory_order_relaxed) + 1, memory_order_release);
    nxi_core_ring(port->setup.core, port->io);
}

nxi_memory *nxi_port_memory(nxi_port *port)
{
    return nxi_core_memory(port->setup.core);
}

bool nxi_port_is_stopping(nxi_port *port)
{
    return atomic_load_explicit(&port->stopping, memory_order_acquire);
}

static bool has_mail(nxi_port *port)
{
    return box_is_filled(&port->in) || atomic_load(&port->stopping) || atomic_load(&port->nudged);
}

/* True: mail has come. */
static bool spin(nxi_port *port, int64_t until_ns)
{
    int64_t end = nxi_clock_ns() + port->spin_ns;
    bool found = false;

    if (port->spin_ns == 0 || (port->spin_credit == 0 && ++port->spin_skipped < SPIN_RETRY))
        return false;
    port->spin_skipped = 0;
    end = end < until_ns ? end : until_ns;
    do {
        for (int look = 0; look < SPIN_LOOKS && !found; look++) {
            found = has_mail(port);
            nxi_pause();
        }
    } while (!found && nxi_clock_ns() < end);
    if (found)
        port->spin_credit = port->spin_credit + 2 < SPIN_CREDIT_MAX ? port->spin_credit + 2 : SPIN_CREDIT_MAX;
    else if (port->spin_credit > 0)
        port->spin_credit--;
    return found;
}

static void drain(nxi_port *port)
{
    nxi_event event;

    while (nxi_io_next(port->io, &event)) {
        if (nxi_io_tag_kind(event.tag) == NXI_IO_BELL_FAILED)
            nxi_core_wake(port->setup.core);
    }
}

void nxi_port_wait(nxi_port *port, int64_t until_ns)
{
    if (has_mail(port) || spin(port, until_ns))
        return;
    for (;;) {
        int64_t now = nxi_clock_ns();
        nx_status status = NX_OK;

        if (now >= until_ns)
            return;
        atomic_store(&port->asleep, true);
        if (!has_mail(port))
            status = nxi_io_enter(port->io, until_ns == INT64_MAX ? INT64_MAX : until_ns - now);
        atomic_store_explicit(&port->asleep, false, memory_order_relaxed);
        drain(port);
        if (has_mail(port))
            return;
        if (status != NX_OK) /* the ring is broken: go on by looking now and then */
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
}

static void refuse(nxi_port *port, nxi_request *batch)
{
    while (batch != NULL) {
        nxi_request *next = batch->next;

        nxi_request_fail(batch, 0, NX_ECLOSED, "the database was closed");
        nxi_port_finish(port, batch);
        batch = next;
    }
}

static void work(nxi_port *port)
{
    const nxi_executor *executor = port->setup.executor;

    while (!nxi_port_is_stopping(port)) {
        bool nudged = atomic_load_explicit(&port->nudged, memory_order_relaxed) && atomic_exchange(&port->nudged, false);
        nxi_request *batch = nxi_port_take(port);
        int64_t wake_at;

        if (batch != NULL)
            executor->serve(port->state, batch);
        wake_at = executor->wake_at(port->state);
        if (nudged || (wake_at != INT64_MAX && wake_at <= nxi_clock_ns()))
            executor->serve(port->state, NULL);
        else if (batch == NULL)
            nxi_port_wait(port, wake_at);
    }
    executor->abandon(port->state, NX_ECLOSED);
    refuse(port, nxi_port_take(port));
}

static void publish(nxi_port *port, nxi_worker_state phase)
{
    atomic_store_explicit(&port->phase, (int)phase, memory_order_release);
    atomic_store(&port->changed, true);
    nxi_core_ring(port->setup.core, NULL);
}

static void name_thread(const nxi_port *port)
{
    char name[16]; /* the kernel's limit */

    if (port->setup.role == NXI_ROLE_READER)
        snprintf(name, sizeof(name), "nx-reader-%u", port->setup.number % 10000);
    else
        snprintf(name, sizeof(name), "%s", port->setup.role == NXI_ROLE_WRITER ? "nx-writer" : "nx-worker");
    pthread_setname_np(pthread_self(), name);
}

static void *run(void *context)
{
    nxi_port *port = context;
    const nxi_executor *executor = port->setup.executor;
    bool tried = false;

    name_thread(port);
    port->result = nxi_io_uring_open(nxi_port_memory(port), RING_ENTRIES, &port->io, &port->error);
    if (port->result == NX_OK) {
        port->io->enters = nxi_core_enter_counter(port->setup.core);
        tried = true;
        port->result = executor->open(port->state, port->setup.options, port->setup.role, port, &port->error);
    }
    if (port->result == NX_OK) {
        publish(port, NXI_WORKER_OPEN);
        work(port);
    }
    if (tried)
        executor->close(port->state);
    publish(port, port->result == NX_OK ? NXI_WORKER_ENDED : NXI_WORKER_FAILED);
    return NULL;
}

/* ------------------------------------------------------------------------------ the loop's side */

/* Signals are the program's affair and come to its own threads; faults of our own must still be delivered here. */
static int start_thread(nxi_port *port)
{
    sigset_t blocked, before;
    int result;

    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGTRAP);
    sigdelset(&blocked, SIGSYS);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    result = pthread_create(&port->thread, NULL, run, port);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

nx_status nxi_worker_start(const nxi_worker_setup *setup, nxi_worker **ret_worker, nx_error *error)
{
    nxi_memory *memory = nxi_core_memory(setup->core);
    unsigned processors = nxi_core_processors(setup->core);
    nxi_worker *worker = nxi_zalloc(memory, sizeof(*worker));
    nxi_port *port;

    if (worker == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for a worker");
    port = &worker->port;
    port->setup = *setup;
    port->state = nxi_zalloc(memory, nxi_max_size(setup->executor->state_size, 1));
    if (port->state == NULL) {
        nxi_release(memory, worker);
        return nxi_fail(error, NX_ENOMEM, "no memory for a worker");
    }
    nxi_error_reset(&port->error);
    port->spin_ns = processors == 1 ? 0 : processors == 2 ? SPIN_FEW_NS : SPIN_NS;
    port->spin_credit = SPIN_CREDIT_MAX;
    if (start_thread(port) != 0) {
        nxi_release(memory, port->state);
        nxi_release(memory, worker);
        return nxi_fail(error, NX_ELIMIT, "no thread for a worker: the limit of processes (ulimit -u) is reached");
    }
    *ret_worker = worker;
    return NX_OK;
}

nxi_worker_state nxi_worker_state_of(const nxi_worker *worker)
{
    return (nxi_worker_state)atomic_load_explicit(&worker->port.phase, memory_order_acquire);
}

nx_status nxi_worker_result(const nxi_worker *worker, const nx_error **ret_error)
{
    NX_ASSERT(nxi_worker_state_of(worker) != NXI_WORKER_OPENING);
    *ret_error = &worker->port.error;
    return worker->port.result;
}

/* Wakes at once: for what happens outside of turns. */
static void ring_now(nxi_port *port)
{
    if (atomic_load(&port->asleep) && atomic_exchange(&port->asleep, false))
        nxi_io_wake(port->io);
}

void nxi_worker_push(nxi_worker *worker, nxi_request *first, nxi_request *last)
{
    nxi_port *port = &worker->port;

    NX_ASSERT(nxi_worker_state_of(worker) == NXI_WORKER_OPEN);
    NX_ASSERT(!atomic_load_explicit(&port->stopping, memory_order_relaxed));
    box_put(&port->in, first, last);
    if (!atomic_load(&port->asleep) || !atomic_exchange(&port->asleep, false))
        return;
    if (!nxi_io_bell(nxi_core_io(port->setup.core), port->io))
        nxi_io_wake(port->io);
}

nxi_request *nxi_worker_collect(nxi_worker *worker)
{
    nxi_port *port = &worker->port;

    if (atomic_load_explicit(&port->changed, memory_order_relaxed))
        atomic_exchange(&port->changed, false);
    return box_take(&port->out);
}

uint64_t nxi_worker_finished(const nxi_worker *worker)
{
    return atomic_load_explicit(&worker->port.finished, memory_order_acquire);
}

bool nxi_worker_has_news(const nxi_worker *worker)
{
    return box_is_filled(&worker->port.out) || atomic_load(&worker->port.changed);
}

static bool can_ring(const nxi_worker *worker)
{
    return nxi_worker_state_of(worker) == NXI_WORKER_OPEN && !atomic_load_explicit(&worker->port.stopping, memory_order_relaxed);
}

void nxi_worker_nudge(nxi_worker *worker)
{
    if (!can_ring(worker))
        return;
    atomic_store(&worker->port.nudged, true);
    ring_now(&worker->port);
}

void nxi_worker_rouse(nxi_worker *worker)
{
    if (can_ring(worker))
        nxi_io_wake(worker->port.io);
}

void nxi_worker_stop(nxi_worker *worker)
{
    nxi_port *port = &worker->port;

    if (atomic_load_explicit(&port->stopping, memory_order_relaxed))
        return;
    atomic_store(&port->stopping, true);
    /* Even if somebody seems to have rung: that doorbell may sit in a ring that is broken. */
    atomic_store(&port->asleep, false);
    if (nxi_worker_state_of(worker) == NXI_WORKER_OPEN)
        nxi_io_wake(port->io);
}

void nxi_worker_join(nxi_worker *worker)
{
    if (worker->port.joined)
        return;
    pthread_join(worker->port.thread, NULL);
    worker->port.joined = true;
    nxi_io_close(worker->port.io); /* not by the thread: until here somebody may be ringing it */
}

void nxi_worker_free(nxi_worker *worker)
{
    nxi_memory *memory = nxi_core_memory(worker->port.setup.core);

    NX_ASSERT(worker->port.joined);
    NX_ASSERT(!box_is_filled(&worker->port.in) && !box_is_filled(&worker->port.out));
    nxi_release(memory, worker->port.state);
    nxi_release(memory, worker);
}
