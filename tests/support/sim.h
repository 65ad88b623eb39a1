/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - a world without a kernel.
 *
 * The simulated twin of src/io. A test that is linked with neo_sim instead of the
 * library keeps calling <neo/loop.h>, <neo/runtime.h> and "io/net.h"; behind them
 * is a world of virtual machines with virtual clocks and a virtual network, run by
 * one thread. Nothing waits: when no loop has anything to do, time jumps to the
 * next thing that will happen. A month takes as long as the code in it.
 *
 *     sim_new(7);
 *     sim_host("10.0.0.1");
 *     server = new_server();             a loop on that machine
 *     sim_host("10.0.0.2");
 *     client = new_client("10.0.0.1:8441");
 *     sim_group("server", "10.0.0.1");
 *     sim_partition("server", "*");
 *     sim_run_for(6 * NEO_NSEC_PER_SEC);
 *     sim_free();                        fails if a loop or socket is left
 *
 * All chance comes from the seed: the same seed and the same code give the same
 * run, which sim_trace() can prove. With NEO_SIM_TRACE=1 in the environment every
 * event is shown as it happens.
 *
 * What the twin is strict about: it aborts, with a sentence, where the real thing
 * would hang, spin, leak or race: nothing will ever happen again; a socket is
 * ready and its owner does nothing; a watched socket is closed; a loop is touched
 * by another loop's callback or by offloaded work.
 *
 * What it does not do: TCP below the level of bytes that arrive (no packet loss
 * but partitions, no congestion), more than one connection between a port pair,
 * files for unix paths, threads.
 *
 * Threads   The one that called sim_new().
 */
#ifndef NEO_TESTS_SUPPORT_SIM_H
#define NEO_TESTS_SUPPORT_SIM_H

#include <neo/loop.h>

/* One world at a time. It begins on 2026-01-01 with one machine, 127.0.0.1. */
void sim_new(uint64_t seed);
/* Everything made in it must be gone. */
void sim_free(void);

/*
 * Time. The clocks are neo_mono_nsec() and neo_wall_nsec(). A turn of a loop takes a microsecond,
 * which is all that code costs here.
 */
void sim_run_until(neo_nsec mono);
void sim_run_for(neo_nsec duration);
/* Runs until `holds`, which is asked after every turn. False when it does not within `within`. */
typedef bool sim_condition_fn(void *self);
bool sim_wait(sim_condition_fn *holds, void *self, neo_nsec within);
/* An operator, or NTP, sets the wall clock. */
void sim_clock_jump(int64_t wall_delta);
void sim_clock_set(int64_t wall);

/* Machines. Loops made from now on are on the machine with this address, "10.0.0.1" or "fd00::1".
 */
void sim_host(const char *ip);

struct sim_network {
    neo_nsec latency_min; /* one way between machines; chosen anew for each segment */
    neo_nsec latency_max;
    neo_nsec local_latency; /* one way within a machine */
    size_t buffer;          /* bytes on each side of a connection */
    /* Faults, in percent of the occasions. */
    unsigned partial_reads;
    unsigned partial_writes;
    unsigned delays; /* of segments, by up to `delay_max` more */
    neo_nsec delay_max;
    unsigned resets;   /* at the arrival of a segment */
    unsigned refusals; /* of connects */
};
/* 200 to 400 us, 20 us, 128 KiB, no faults: what a world begins with. */
struct sim_network sim_network_default(void);
void sim_network(const struct sim_network *network);

/*
 * Groups of ends: "10.0.0.1", "10.0.0.1:8441", "[::1]:8441", "*", several with spaces between. The
 * group "*" is there from the beginning. A group that exists is replaced.
 */
void sim_group(const char *name, const char *members);

/* Nothing passes in this direction: it is sent again, with longer and longer pauses. */
void sim_cut(const char *from, const char *to);
/* In both. */
void sim_partition(const char *a, const char *b);
/* Everything in this direction takes so much longer. */
void sim_slow(const char *from, const char *to, neo_nsec extra);
/* Undoes all of these between the two groups, in both directions; NULL: everywhere. */
void sim_heal(const char *a, const char *b);
/* Resets the connections between the two, as when a process is killed. Returns how many. */
size_t sim_reset(const char *a, const char *b);

/* Makes the resolver know `host`: "10.0.0.1 10.0.0.2". NULL: that there is no such name. */
void sim_name(const char *host, const char *addresses);
/* Makes the resolver fail for `host`. */
void sim_name_fails(const char *host, enum neo_code code);

/* For every loop that listens for it, and neo_runtime_wait(). */
void sim_signal(int signal);
/* The loop makes no turn for so long, as a stopped or busy process. Its sockets stay open. */
void sim_hang(struct neo_loop *loop, neo_nsec duration);
/* How many descriptors may be open; SIZE_MAX in the beginning. */
void sim_descriptors(size_t limit);
size_t sim_open_sockets(void);

/* A digest of everything that has happened so far. */
uint64_t sim_trace(void);

#endif
