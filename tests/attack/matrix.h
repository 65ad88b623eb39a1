/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matrix.h - one row for each attack: what is done, what may come of it, and its control.
 *
 * Each row is played in processes of its own: a server, an attacker, a second server, and the one
 * that watches and judges. That one is the neighbour, too: it calls the server 500 times a second
 * (50 in rows that take long), and at the same pace its twin, which nobody attacks. Whatever the
 * machine does to the neighbour, it does to both. What the attacker's function finds goes into its
 * report. `through` is the question of every row: did the attack get through?
 * Against the guarded server it must not. Then comes the control, where the same question must be
 * answered with yes: against a server whose guard counts but does not stop, or, where the guard is
 * not what stops it, with the harmless twin of the attack against the same server.
 */
#ifndef NEO_TESTS_ATTACK_MATRIX_H
#define NEO_TESTS_ATTACK_MATRIX_H

#include "link.h"

#include "h2/h2.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

struct report {
    bool control;         /* this is the control */
    bool through;         /* it got through */
    unsigned connections; /* open at once, at most; 0 is 1 */
    double cpu;           /* ms of the attacker's processor time */
    char outcome[96];     /* in words */
};

struct row {
    const char *id;
    const char *attack;
    /* Either this, or ... */
    void (*run)(struct report *r);
    /* ... a flood: unit after unit on one connection, until it ends or `units` are sent. */
    void (*unit)(struct neo_buffer *out, uint32_t i);
    uint32_t units;         /* 0: 1,000,000 */
    uint32_t control_units; /* 0: 20,000 */
    bool deaf;              /* the flood reads nothing */
    size_t write;           /* bytes of it in one write; 0: 8 KiB */
    bool streams; /* each unit opens one: the control waits for the server, else nghttp2 ends it */
    /* nghttp2 ends it, guard or no guard: the control is a flood of `control_units` of these, which
     * are what is allowed and nearest to the attack, against the same server. */
    void (*twin)(struct neo_buffer *out, uint32_t i);
    void (*control)(struct report *r); /* instead of `run` */
    /* What a peer may do by design and takes more than 1 MiB: a large message. Its memory counts as
     * the least; `through` when it was accepted. */
    void (*honest)(struct report *r);
    bool client;         /* the attacker is a server; a client of ours calls it and an honest one */
    bool victim_streams; /* that client of ours reads a stream, slowly */
    bool same_server;    /* the control is against the guarded server, too */
    unsigned handlers;   /* that may start, beside the innocent's */
    size_t memory;       /* for each connection, beyond what `honest` takes; 0: 1 MiB */
    size_t max_message;  /* of the server; 0: 4 MiB */
    size_t explodes;     /* the control got through when it took so much memory */
    unsigned share;      /* percent of a core, beside ten times the attacker's time */
    bool waits;          /* and instead of it: the attacker's time is too little for a ratio */
    unsigned files;      /* RLIMIT_NOFILE of the server; 0: ours */
    unsigned slow;       /* seconds that it takes: plays beside the others */
    const char *not_applicable;
};

extern const struct row rows_h2[], rows_grpc[], rows_tls[], rows_load[], rows_slow[], rows_client[];
extern const size_t n_rows_h2, n_rows_grpc, n_rows_tls, n_rows_load, n_rows_slow, n_rows_client;

/* --- for the attacker's process ----------------------------------------------------------------
 */

/* "127.0.0.1:4711" */
const char *stage_address(void);
struct pki *stage_pki(void);
/* As whom: a certificate of attacker-service, which may call everything. */
const struct pki_cert *stage_cert(void);
/* The attacker's usual TLS. */
struct raw_options stage_tls(void);
/* What the server has seen so far. */
unsigned stage_handlers(void);
/* Waits for so many, a few seconds at most. */
bool stage_wait_handlers(unsigned n);
unsigned stage_cancelled(void);
unsigned stage_messages(void);
unsigned stage_spoofed(void);
unsigned stage_late(void);
unsigned stage_patient(void);
unsigned stage_connections(void);
/* Has the attacker's certificate revoked. */
void stage_revoke(void);
void stage_sleep(int msec);
/* Where the attacker's server is called, and what its callers have seen. */
int stage_listener(void);
unsigned stage_calls(void);
unsigned stage_calls_ok(void);
unsigned stage_longest(void);
int stage_code(void);
unsigned stage_text(void); /* bytes of the last status' message */

/* --- victim.c: a client of ours as the one under attack ------------------------------------------
 */

struct victim {
    bool streams;        /* it reads from the hostile server, slowly */
    const char *hostile; /* addresses */
    const char *honest;
    struct neo_identity *identity;
    struct neo_trust *trust;
    const struct h2_limits *limits; /* NULL: the defaults */
    /* Told of each call's end. */
    void (*ended)(bool honest, enum neo_code code, size_t text, neo_nsec took);
};
/* Calls both for ever. */
_Noreturn void victim_run(const struct victim *v);

/* A connection with TLS and preface; ends the process when there is none. */
void attack_open(struct link *l);
/* The other side: the next connection of the client, which has made its first call on it. */
void attack_serve(struct link *l);
/* The same, and the client's SETTINGS are not acknowledged. */
void attack_serve_early(struct link *l);
void attack_say(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Sends what is in `out` and empties it. */
bool attack_send(struct link *l, struct neo_buffer *out);
/* A good request, with a message when `flags` do not end it already. */
void put_call(struct neo_buffer *out, uint32_t stream, const char *method);
void put_head(struct neo_buffer *out, uint32_t stream, const char *path, uint8_t flags);
void put_message(struct neo_buffer *out, uint32_t stream, struct neo_bytes message, uint8_t flags);
/* --- bodies.c: a prefix, and messages with theirs */
void put_prefix(struct neo_buffer *body, bool compressed, size_t len);
/* 4.16 MB that stand for nearly 4 GiB of zeros, and end with the length that they are `told` to
 * have, which is GZIP_BOMB_LEN for the truth: as much as can be told. */
enum { GZIP_BOMB_UNITS = 16640000 };
#define GZIP_BOMB_LEN ((uint32_t)(GZIP_BOMB_UNITS * UINT64_C(258) + 1))
void put_gzip_bomb(struct neo_buffer *body, uint32_t told);
/* The control: who takes it, and for how much. */
void unpack_gzip_bomb(struct report *r);
/* An Echo of `len` bytes, and one of which gzip leaves a thousandth. `body` is empty. */
void put_large_message(struct neo_buffer *body, size_t len);
void put_gzip_message(struct neo_buffer *body, size_t len);
/* --- rows_tls.c: connects so, makes a good call, and appends the alert that came to `said` */
void attack_call_as(const struct raw_options *tls, char *said, size_t room);
/* --- rows_load.c: room for so many files, as far as the machine lets us; how many there are */
unsigned attack_want_files(unsigned n);
/* How long a new handshake takes, us: the median and the slowest of some. False: one failed. */
bool attack_time_handshakes(int *ret_median, int *ret_slowest);
/* --- reflection.c */
void ask_in_vain(struct report *r);
void search_in_vain(struct report *r);
/* --- policies.c */
void policy_trees(struct report *r);
/* --- versions.c */
void repaired_libraries(struct report *r);
/* How a link ended, in words. */
void attack_say_end(struct report *r, const struct link *l, uint32_t units);

static inline uint32_t id_of(uint32_t i)
{
    return 2 * i + 1;
}

#endif
