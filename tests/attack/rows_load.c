/* SPDX-License-Identifier: Apache-2.0 */
/*
 * T04: more handshakes than a server has time or room for. Through is who is served all he asks
 * for. The control asks the same of plain OpenSSL, which serves it, and says what that costs.
 */
#include "matrix.h"

#include "support/cost.h"

#include <neo/loop.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { HELLOS = 5000, HANDSHAKES = 3000, HALF_OPEN = 10000, SPARE_FILES = 64 };

static struct link links[HALF_OPEN];

unsigned attack_want_files(unsigned n)
{
    struct rlimit files = {0};

    (void)getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < n + SPARE_FILES) {
        files.rlim_cur = n + SPARE_FILES < files.rlim_max ? n + SPARE_FILES : files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return files.rlim_cur < n + SPARE_FILES ? (unsigned)files.rlim_cur - SPARE_FILES : n;
}

/* As a row says it whose size is not the whole one. */
static const char *but(unsigned n, unsigned wanted)
{
    return n < wanted ? ", all that this machine has files for" : "";
}

/* Bytes that came without anybody asking for TLS: it was answered. */
static bool is_answered(const struct link *l)
{
    return l->in.len > 0 && l->in.at[0] == 22;
}

static unsigned count_of(bool (*is)(const struct link *l), unsigned n)
{
    unsigned found = 0;

    for (unsigned i = 0; i < n; i++)
        found += is(&links[i]);
    return found;
}

static void close_all(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        link_close(&links[i]);
}

/* Reads what has come on each of them, until they have all been answered or closed. */
static void read_all(unsigned n, bool (*is_done)(const struct link *l), unsigned msec)
{
    neo_nsec until = neo_mono_nsec() + msec * NEO_NSEC_PER_MSEC;
    unsigned left = n;

    while (left > 0 && neo_mono_nsec() < until) {
        left = 0;
        for (unsigned i = 0; i < n; i++) {
            if (links[i].closed || is_done(&links[i]))
                continue;
            link_read(&links[i], 0);
            left++;
        }
        stage_sleep(5);
    }
}

/* More than the gate lets pass in this time: 256 at once and 600 a second, of one worker. */
static bool is_beyond_the_gate(unsigned n, neo_nsec begun)
{
    double seconds = (double)(neo_mono_nsec() - begun) / 1e9;

    return n > 256 + 1.1 * 600 * seconds;
}

/* --- ClientHellos --------------------------------------------------------------------------------
 */

static void first_flight(struct neo_buffer *ret)
{
    const struct raw_options tls = stage_tls();
    struct raw *raw = raw_new(&tls);

    raw_run(raw, (struct neo_bytes){0}, ret);
    raw_free(raw);
}

/* Plain OpenSSL makes keys, a certificate's message and a signature for each of them. */
static void hellos_to_openssl(struct report *r, struct neo_bytes hello)
{
    const struct raw_options serving = {.is_server = true, .cert = stage_cert()};
    struct raw *server = raw_new(&serving);
    struct neo_buffer answer = {0};
    unsigned answered = 0;

    double before = cost_now();
    for (unsigned i = 0; i < HELLOS; i++) {
        raw_renew(server, NULL);
        neo_buffer_clear(&answer);
        raw_run(server, hello, &answer);
        answered += answer.len > 0 && answer.at[0] == 22;
    }
    r->through = answered == HELLOS;
    attack_say(r, "plain OpenSSL: %u answered, %.0f ms", answered, cost_now() - before);
    neo_buffer_fini(&answer);
    raw_free(server);
}

/* The first flight of a client, over and over. */
static void hellos(struct report *r)
{
    unsigned most = attack_want_files(HELLOS), n = 0;
    struct neo_buffer hello = {0};
    neo_nsec begun = neo_mono_nsec();

    first_flight(&hello);
    if (r->control) {
        hellos_to_openssl(r, neo_buffer_bytes(&hello));
    } else {
        for (; n < most && link_connect_from(&links[n], stage_address(), n); n++)
            (void)link_send_raw(&links[n], neo_buffer_bytes(&hello));
        neo_nsec sent = neo_mono_nsec() - begun;
        read_all(n, is_answered, 2000);
        unsigned answered = count_of(is_answered, n);
        r->connections = 512; /* of those that it has not answered, so many are kept */
        r->through = is_beyond_the_gate(answered, begun);
        attack_say(r, "%u in %.1f s, %u answered%s", n, (double)sent / 1e9, answered,
                   but(most, HELLOS));
        close_all(n);
    }
    neo_buffer_fini(&hello);
}

/* --- whole handshakes ----------------------------------------------------------------------------
 */

static void handshakes_with_openssl(struct report *r)
{
    enum { SOME = 500 };
    const struct raw_options serving = {.is_server = true, .cert = stage_cert()},
                             asking = stage_tls();
    struct raw *server = raw_new(&serving), *client = raw_new(&asking);
    struct neo_buffer there = {0}, back = {0};
    unsigned done = 0;
    double cost = 0;

    for (unsigned i = 0; i < SOME; i++) {
        raw_renew(server, NULL);
        raw_renew(client, NULL);
        neo_buffer_clear(&back);
        for (int flight = 0; flight < 2; flight++) {
            neo_buffer_clear(&there);
            raw_run(client, neo_buffer_bytes(&back), &there);
            neo_buffer_clear(&back);
            double before = cost_now();
            raw_run(server, neo_buffer_bytes(&there), &back);
            cost += cost_now() - before;
        }
        done += SSL_is_init_finished(server->ssl) == 1 && !server->failed;
    }
    r->through = done == SOME;
    attack_say(r, "plain OpenSSL: all; %d would take %.0f ms", HANDSHAKES,
               cost / (double)SOME * (double)HANDSHAKES);
    neo_buffer_fini(&there);
    neo_buffer_fini(&back);
    raw_free(server);
    raw_free(client);
}

/* All begin at once, each as soon as it has a connection. */
static void handshakes(struct report *r)
{
    const struct raw_options tls = stage_tls();
    unsigned most = attack_want_files(HANDSHAKES), n = 0;
    neo_nsec begun = neo_mono_nsec();

    if (r->control) {
        handshakes_with_openssl(r);
        return;
    }
    struct raw *like = raw_new(&tls);
    for (; n < most && link_connect_from(&links[n], stage_address(), n); n++) {
        link_begin_secure(&links[n], raw_another(like));
        link_read(&links[n], 0);
    }
    neo_nsec sent = neo_mono_nsec() - begun;
    read_all(n, link_is_secure, 4000);
    unsigned done = count_of(link_is_secure, n);
    r->connections = 768; /* that it keeps of them at once, under way or not begun */
    r->through = is_beyond_the_gate(done, begun);
    attack_say(r, "%u begun in %.1f s, %u done%s", n, (double)sent / 1e9, done,
               but(most, HANDSHAKES));
    close_all(n);
    raw_free(like);
}

/* --- half open -----------------------------------------------------------------------------------
 */

enum { LATE = 20 };

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

bool attack_time_handshakes(int *ret_median, int *ret_slowest)
{
    const struct raw_options tls = stage_tls();
    int took[LATE];

    for (int i = 0; i < LATE; i++) {
        struct link late;
        neo_nsec begun = neo_mono_nsec();
        bool served = link_open(&late, stage_address(), &tls);
        link_read(&late, 1); /* the server's SETTINGS: it has accepted us */
        for (int n = 0; served && late.frames[FRAME_SETTINGS] == 0 && n < 2000; n++)
            link_read(&late, 1);
        served = served && late.frames[FRAME_SETTINGS] > 0;
        took[i] = (int)((neo_mono_nsec() - begun) / 1000);
        link_close(&late);
        if (!served)
            return false;
    }
    qsort(took, LATE, sizeof(took[0]), compare);
    *ret_median = took[LATE / 2];
    *ret_slowest = took[LATE - 1];
    return true;
}

/* Plain OpenSSL holds all of them for as long as it is let. */
static void half_open_with_openssl(struct report *r)
{
    const struct raw_options serving = {.is_server = true, .cert = stage_cert()};
    struct raw *like = raw_new(&serving), **held = calloc(HALF_OPEN, sizeof(struct raw *));
    struct neo_buffer hello = {0}, answer = {0};
    unsigned n = 0;

    if (held == NULL)
        exit(2);
    first_flight(&hello);
    size_t before = mallinfo2().uordblks;
    for (; n < HALF_OPEN; n++) {
        held[n] = raw_another(like);
        neo_buffer_clear(&answer);
        if (n % 2 == 0)
            raw_run(held[n], neo_buffer_bytes(&hello), &answer);
        if (held[n]->failed)
            break;
    }
    size_t taken = mallinfo2().uordblks - before;
    r->through = n == HALF_OPEN && (taken > 50 * MIB || COST_SLACK > 1);
    attack_say(r, "plain OpenSSL: %u held, %zu MiB", n, taken / MIB);
    for (unsigned i = 0; i < n; i++)
        raw_free(held[i]);
    raw_free(like);
    free(held);
    neo_buffer_fini(&hello);
    neo_buffer_fini(&answer);
}

static bool is_closed(const struct link *l)
{
    return l->closed;
}

/* Every second says hello and then nothing, the others nothing at all. */
static void half_open(struct report *r)
{
    enum { MEDIAN_MOST = 100000 };
    unsigned most = attack_want_files(HALF_OPEN), n = 0;
    int before = 0, median = 0, slowest = 0;
    struct neo_buffer hello = {0};

    if (r->control) {
        half_open_with_openssl(r);
        return;
    }
    first_flight(&hello);
    r->through = !attack_time_handshakes(&before, &slowest);
    for (; n < most && link_connect_from(&links[n], stage_address(), n); n++)
        if (n % 2 == 0)
            (void)link_send_raw(&links[n], neo_buffer_bytes(&hello));
    r->through = n < most || !attack_time_handshakes(&median, &slowest) ||
                 median > MEDIAN_MOST * COST_SLACK + before || r->through;
    for (unsigned i = 0; i < n; i++)
        link_read(&links[i], 0);
    unsigned held = n - count_of(is_closed, n);
    r->connections = 768;
    r->through = r->through || held > 1000;
    attack_say(r, "%u, %u held; a new one: %d ms (%d before), %d at most%s", n, held, median / 1000,
               before / 1000, slowest / 1000, but(most, HALF_OPEN));
    close_all(n);
    neo_buffer_fini(&hello);
}

#define OPENSSL .same_server = true

const struct row rows_load[] = {
    {"T04", "5,000 ClientHellos at once", .run = hellos, OPENSSL, .share = 50},
    {"T04", "3,000 handshakes at once", .run = handshakes, OPENSSL, .share = 50},
    {"T04", "10,000 half-open", .run = half_open, OPENSSL, .share = 50},
};
const size_t n_rows_load = NEO_COUNT(rows_load);
