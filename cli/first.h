/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/first.h - join strings that the CA writes to files of its owner: `neo serve ca --first`.
 *
 * The first ones are written when the CA starts. Later ones are asked for by who may send the CA a
 * signal, which is its own user (and root), and only where FILE.wanted lies beside FILE. So the
 * operator of a machine whose certificate has ended gets another without a restart, nobody else
 * gets anything, and no string lies about that nobody waits for. Each is in the CA's audit trail
 * before it is in its file.
 */
#ifndef NEO_CLI_FIRST_H
#define NEO_CLI_FIRST_H

#include "ca/ca.h"
#include "cli/cli.h"

#include <pthread.h>

/* Ignored by every process that does not know it: a wrong pid costs nothing. */
#define FIRST_SIGNAL SIGURG

struct first {
    struct ca *ca;
    const struct arg_list *pairs; /* "neo-operator=FILE" */
    const struct neo_log *log;
    pthread_t thread;
    bool has_thread;
    _Atomic bool ending;
};

/* Before any thread: the signal is for one of them only. */
void first_block(void);
/* Writes all of `pairs`, then waits for wishes. `*f` stays until first_end(). */
NEO_MUST_CHECK enum neo_code first_begin(struct first *f, struct neo_error *err);
void first_end(struct first *f);

#endif
