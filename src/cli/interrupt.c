/* interrupt.c: a thread that waits for SIGINT and SIGTERM. */
#include "cli/interrupt.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

static atomic_bool interrupted;
static sigset_t signals;
static sem_t waiting;

static void *wait_for_signals(void *unused)
{
    int number;
    (void)unused;
    sem_post(&waiting);
    if (sigwait(&signals, &number) != 0) return NULL;
    atomic_store(&interrupted, true);
    if (sigwait(&signals, &number) != 0) return NULL;
    signal(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    raise(number);
    return NULL;
}

ag_status ag_interrupt_begin(ag_error *err)
{
    pthread_t thread;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sem_init(&waiting, 0, 0);
    int wrong = pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (wrong == 0) wrong = pthread_create(&thread, NULL, wait_for_signals, NULL);
    if (wrong != 0) return ag_fail(err, AG_ERR_IO, "cannot wait for signals: %s", strerror(wrong));
    pthread_detach(thread);
    while (sem_wait(&waiting) != 0) {} /* a thread that still starts holds locks, which a fork would copy */
    return AG_OK;
}

bool ag_interrupted(void)
{
    return atomic_load(&interrupted);
}
