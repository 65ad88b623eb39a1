/* SPDX-License-Identifier: Apache-2.0 */
#include "io/thread.h"

#include <neo/bytes.h>

#include <errno.h>
#include <signal.h>

/* Those that a thread earns itself, and a profiler's, stay open. */
static void block_signals(sigset_t *ret_before)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};
    sigset_t blocked;

    (void)sigfillset(&blocked);
    for (size_t i = 0; i < NEO_COUNT(own); i++)
        (void)sigdelset(&blocked, own[i]);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, ret_before);
}

enum neo_code thread_start(const char *name, void *(*run)(void *), void *self, pthread_t *ret,
                           struct neo_error *err)
{
    pthread_t thread;
    sigset_t before;

    block_signals(&before); /* a thread begins with the mask of whoever starts it */
    int number = pthread_create(&thread, NULL, run, self);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (number != 0) {
        errno = number;
        return neo_fail_errno(err, "cannot start the thread %s", name);
    }
    (void)pthread_setname_np(thread, name);
    *ret = thread;
    return NEO_OK;
}
