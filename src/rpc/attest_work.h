/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/attest_work.h - the dear parts of an exchange, off the loop.
 *
 * Judging evidence is several signature checks, and an attester may block for a
 * second. Both go to lanes of the pool that are narrow and have an end: an exchange
 * that finds its lane full is refused, and its owner tries again later. Small frames
 * and fast attesters are served at once.
 *
 * While `busy`, the session and the buffers belong to the pool; nobody may look at
 * them, and the memory must stay. `done` comes on the loop.
 *
 * Threads   One loop owns it.
 */
#ifndef NEO_RPC_ATTEST_WORK_H
#define NEO_RPC_ATTEST_WORK_H

#include <neo/loop.h>

#include "attest/session.h"

#include <stdatomic.h>

struct attest_work {
    struct attest_session *session;
    struct neo_attester *attester; /* borrowed; NULL: there is none */
    void (*done)(struct attest_work *w);
    bool busy;
    enum attest_state state; /* what came of it */
    struct neo_buffer out;   /* the frame to send; may be empty */

    /* private */
    struct neo_task task;
    atomic_bool unwanted;
    enum attest_state result;
    struct neo_buffer in;
    struct neo_buffer body;
    struct neo_buffer certificates;
    int64_t wall;
    neo_nsec now;
};

enum attest_progress {
    ATTEST_SETTLED, /* `state` and `out` say what came of it */
    ATTEST_BUSY,    /* `done` will be called */
    ATTEST_FULL,    /* too many wait already; nothing was done */
};

/* Hands the session a frame. */
enum attest_progress attest_work_feed(struct attest_work *w, struct neo_loop *loop,
                                      struct neo_bytes frame);
/* In ATTEST_NEEDS_EVIDENCE: asks the attester and hands in what it made. */
enum attest_progress attest_work_quote(struct attest_work *w, struct neo_loop *loop);
/* Nobody waits for it: what has not begun need not. `done` still comes. */
void attest_work_forget(struct attest_work *w);
/* Frees what it has, the session too; not while busy. */
void attest_work_fini(struct attest_work *w);

/* Of the process. For tests: set before anything runs. */
extern struct neo_lane attest_judging;
extern struct neo_lane attest_quoting;

#endif
