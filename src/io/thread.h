/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/thread.h - threads of our own.
 */
#ifndef NEO_IO_THREAD_H
#define NEO_IO_THREAD_H

#include <neo/error.h>

#include <pthread.h>

/* Starts a named thread that leaves signals to the program's own threads. */
NEO_MUST_CHECK enum neo_code thread_start(const char *name, void *(*run)(void *), void *self,
                                          pthread_t *ret, struct neo_error *err);

#endif
