/* SPDX-License-Identifier: Apache-2.0 */
/* The signer process: reads a request, has the keeper answer, writes. Nothing else. */
#include "ca/keeper.h"
#include "ca/pipe.h"

#include <neo/encoding.h>
#include <neo/loop.h>
#include <neo/memory.h>

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void harden(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_NAME, "neo-ca-signer");
}

/* False when the pipe is at its end, or what comes from it is no request. */
static bool read_body(int fd, uint64_t len, struct neo_buffer *body)
{
    uint8_t piece[4096];

    if (len > SIGNER_BODY_MAX)
        return false;
    while (body->len < len) {
        size_t left = (size_t)len - body->len;
        size_t n = left < sizeof(piece) ? left : sizeof(piece);
        if (!pipe_read(fd, piece, n) || !neo_buffer_append(body, neo_bytes(piece, n)))
            return false;
    }
    return true;
}

enum { SAID_LEN = sizeof(((struct neo_error *)NULL)->message) };

/* Once each, until it is something else. */
static void complain(const struct neo_error *trouble, const char *what, char said[static SAID_LEN])
{
    if (trouble->code == NEO_OK || strcmp(said, trouble->message) == 0)
        return;
    (void)snprintf(said, SAID_LEN, "%s", trouble->message);
    (void)fprintf(stderr, "error: signer: %s: %s\n", what, said);
}

/* For whoever keeps copies: what the copy of the journal must come to. */
static void note_dropped(const struct journal *j, uint64_t *said)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};

    if (j->n_dropped == *said || !neo_hex_encode(&hex, neo_bytes(j->dropped, sizeof(j->dropped))))
        return;
    *said = j->n_dropped;
    (void)fprintf(stderr,
                  "note: signer: the journal's first %llu records are dropped, chain %.*s\n",
                  (unsigned long long)*said, NEO_FMT(neo_buffer_bytes(&hex)));
}

static bool answer(struct keeper *k, int out, const struct signer_request *r, struct neo_bytes body)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer parts = {.limit = SIGNER_ANSWER_MAX};
    struct neo_error err = {.code = NEO_OK};
    int64_t now = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;

    enum neo_code code = keeper_answer(k, r, body, now, neo_mono_nsec(), &parts, &err);
    struct neo_bytes bytes = code == NEO_OK ? neo_buffer_bytes(&parts) : neo_text(err.message);
    const struct signer_answer a = {.code = code, .len = (uint32_t)bytes.len};
    return pipe_write(out, &a, sizeof(a)) &&
           (bytes.len == 0 || pipe_write(out, bytes.at, bytes.len));
}

static void serve(struct keeper *k, int in, int out)
{
    char said[SAID_LEN] = "", said_of_journal[SAID_LEN] = "";
    uint64_t dropped = k->journal.n_dropped;
    struct signer_request request;
    bool going = true;

    while (going && pipe_read(in, &request, sizeof(request))) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {.limit = SIGNER_BODY_MAX};
        going = read_body(in, request.body_len, &body) &&
                answer(k, out, &request, neo_buffer_bytes(&body));
        complain(&k->trouble, "no successor of the issuing certificate", said);
        complain(&k->pruning.trouble, "the journal keeps what it could drop", said_of_journal);
        note_dropped(&k->journal, &dropped);
    }
}

enum { LOCK_TRIES = 50, LOCK_WAIT = 100 * 1000 * 1000 };

/* A CA that was killed leaves its signer a moment behind: it ends when it reads its pipe's end. */
static enum neo_code open_folder(struct keeper *k, const char *dir, const char *trust_domain,
                                 bool development, struct neo_error *err)
{
    const struct timespec wait = {.tv_nsec = LOCK_WAIT};

    for (unsigned i = 1;; i++) {
        int64_t now = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
        enum neo_code code = keeper_open(k, dir, trust_domain, development, now, err);
        if (code != NEO_UNAVAILABLE || i == LOCK_TRIES)
            return code;
        keeper_close(k);
        (void)nanosleep(&wait, NULL);
    }
}

int signer_serve(int in, int out, const char *dir, const char *trust_domain, bool development)
{
    struct keeper *k = &(struct keeper){.dir = dir};
    struct neo_error err = {.code = NEO_OK};

    enum neo_code code = open_folder(k, dir, trust_domain, development, &err);
    if (code == NEO_OK)
        serve(k, in, out);
    else
        (void)fprintf(stderr, "error: signer: %s\n", err.message);
    keeper_close(k);
    return code == NEO_OK ? 0 : 1;
}

int signer_main(int in, int out, const char *dir, const char *trust_domain, bool development)
{
    harden();
    return signer_serve(in, out, dir, trust_domain, development);
}
