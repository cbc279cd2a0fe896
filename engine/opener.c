/*
 * opener - threads for what blocks and is rare: opening, closing and interrupting connections.
 */
#include "engine/opener.h"

#include <pthread.h>
#include <signal.h>

struct nxi_openers {
    nxi_core *core;
    pthread_mutex_t lock;          /* Sync: guards all that follows except `news` */
    pthread_cond_t work, finished;
    nxi_job *waiting, **waiting_end, *ran, **ran_end;
    size_t under_way, threads, threads_max; /* under_way: started and not yet in `ran` */
    bool ending;
    _Atomic size_t news;           /* Sync: atomic, seq_cst: jobs in `ran`; see core.c for why */
    pthread_t thread[];
};

nxi_openers *nxi_openers_new(nxi_core *core, size_t threads_max)
{
    nxi_openers *openers = nxi_zalloc(nxi_core_memory(core), sizeof(*openers) + threads_max * sizeof(pthread_t));

    NX_ASSERT(threads_max > 0);
    if (openers == NULL)
        return NULL;
    openers->core = core;
    openers->threads_max = threads_max;
    openers->waiting_end = &openers->waiting;
    openers->ran_end = &openers->ran;
    pthread_mutex_init(&openers->lock, NULL);
    pthread_cond_init(&openers->work, NULL);
    pthread_cond_init(&openers->finished, NULL);
    return openers;
}

static nxi_job *take(nxi_openers *openers)
{
    nxi_job *job = openers->waiting;

    if (job != NULL) {
        openers->waiting = job->next;
        if (openers->waiting == NULL)
            openers->waiting_end = &openers->waiting;
    }
    return job;
}

static void *serve(void *context)
{
    nxi_openers *openers = context;
    nxi_job *job;

    pthread_setname_np(pthread_self(), "nx-opener");
    pthread_mutex_lock(&openers->lock);
    for (;;) {
        while ((job = take(openers)) == NULL && !openers->ending)
            pthread_cond_wait(&openers->work, &openers->lock);
        if (job == NULL)
            break;
        pthread_mutex_unlock(&openers->lock);
        job->run(job);
        pthread_mutex_lock(&openers->lock);
        job->next = NULL;
        *openers->ran_end = job;
        openers->ran_end = &job->next;
        openers->under_way--;
        atomic_fetch_add(&openers->news, 1);
        pthread_cond_signal(&openers->finished);
        nxi_core_ring(openers->core, NULL);
    }
    pthread_mutex_unlock(&openers->lock);
    return NULL;
}

/* With all signals blocked but those of its own faults. The lock is held. */
static bool add_thread(nxi_openers *openers)
{
    sigset_t blocked, before;
    int result;

    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    result = pthread_create(&openers->thread[openers->threads], NULL, serve, openers);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result == 0)
        openers->threads++;
    return result == 0;
}

bool nxi_openers_start(nxi_openers *openers, nxi_job *job)
{
    bool taken = true;

    pthread_mutex_lock(&openers->lock);
    if (openers->under_way >= openers->threads && openers->threads < openers->threads_max && !add_thread(openers))
        taken = openers->threads > 0; /* those that are there come to it, later */
    if (taken) {
        job->next = NULL;
        *openers->waiting_end = job;
        openers->waiting_end = &job->next;
        openers->under_way++;
        pthread_cond_signal(&openers->work);
    }
    pthread_mutex_unlock(&openers->lock);
    return taken;
}

bool nxi_openers_has_news(const nxi_openers *openers)
{
    return atomic_load(&openers->news) != 0;
}

void nxi_openers_collect(nxi_openers *openers)
{
    nxi_job *list;

    if (!nxi_openers_has_news(openers))
        return;
    pthread_mutex_lock(&openers->lock);
    list = openers->ran;
    openers->ran = NULL;
    openers->ran_end = &openers->ran;
    atomic_store(&openers->news, 0);
    pthread_mutex_unlock(&openers->lock);
    while (list != NULL) {
        nxi_job *next = list->next;

        list->done(list); /* may start another one, or free the job */
        list = next;
    }
}

void nxi_openers_wait(nxi_openers *openers)
{
    pthread_mutex_lock(&openers->lock);
    while (openers->ran == NULL && openers->under_way > 0)
        pthread_cond_wait(&openers->finished, &openers->lock);
    pthread_mutex_unlock(&openers->lock);
}

void nxi_openers_free(nxi_openers *openers)
{
    if (openers == NULL)
        return;
    pthread_mutex_lock(&openers->lock);
    NX_ASSERT(openers->under_way == 0 && openers->ran == NULL);
    openers->ending = true;
    pthread_cond_broadcast(&openers->work);
    pthread_mutex_unlock(&openers->lock);
    for (size_t i = 0; i < openers->threads; i++)
        pthread_join(openers->thread[i], NULL);
    pthread_cond_destroy(&openers->finished);
    pthread_cond_destroy(&openers->work);
    pthread_mutex_destroy(&openers->lock);
    nxi_release(nxi_core_memory(openers->core), openers);
}
