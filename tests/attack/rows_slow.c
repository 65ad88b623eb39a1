/* SPDX-License-Identifier: Apache-2.0 */
/*
 * H04, H12, G11: peers that are slow, and peers that hold on to what they have. Through is who is
 * still there when its time is over. The control does the same without being slow, and is served.
 */
#include "matrix.h"

#include <neo/loop.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static unsigned msec_since(neo_nsec begun)
{
    return (unsigned)((neo_mono_nsec() - begun) / NEO_NSEC_PER_MSEC);
}

/* When the last of them was closed, ms; at most `most`. `drip` is sent to every second, once a
 * second. */
static unsigned wait_for_ends(struct link *links, unsigned n, struct neo_bytes drip, unsigned most)
{
    neo_nsec begun = neo_mono_nsec();
    unsigned open = n, dripped = 0;

    while (open > 0 && msec_since(begun) < most) {
        open = 0;
        for (unsigned i = 0; i < n; i++) {
            if (!links[i].closed)
                link_read(&links[i], 0);
            open += !links[i].closed;
        }
        if (dripped < msec_since(begun) / 1000 && dripped < drip.len) {
            for (unsigned i = 0; i < n; i += 2)
                if (!links[i].closed)
                    (void)link_send(&links[i], neo_bytes(drip.at + dripped, 1));
            dripped++;
        }
        stage_sleep(100);
    }
    return msec_since(begun);
}

static void good_call(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    put_call(&out, 1, "Later");
    (void)attack_send(&l, &out);
    (void)link_wait_answer(&l, 2000);
    (void)link_wait(&l, FRAME_DATA, 1, 3000);
    r->through = l.data > 0 && !l.closed;
    attack_say(r, "who is not slow is answered");
    neo_buffer_fini(&out);
    link_close(&l);
}

/* --- H12: slowloris ------------------------------------------------------------------------------
 */

enum { SLOW = 2000, EACH = 50 };

static struct link slow[SLOW];

/* Each caller may have few connections, so each has a few of them. False: one was refused. */
static bool open_all(unsigned n)
{
    struct pki *pki = stage_pki();
    struct raw *like = NULL;
    bool good = true;

    for (unsigned i = 0; i < n && good; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "slow-service-%u", i / EACH);
        if (i % EACH == 0) {
            const struct pki_cert *cert = pki_make(pki, pki_issuer(pki), name, NULL);
            if (like != NULL)
                raw_free(like);
            like = raw_new(&(struct raw_options){.cert = cert});
        }
        good = link_connect_from(&slow[i], stage_address(), i);
        if (!good)
            break;
        link_begin_secure(&slow[i], raw_another(like));
        link_read(&slow[i], 0);
        for (int turn = 0; turn < 5000 && !slow[i].closed && !link_is_secure(&slow[i]); turn++)
            link_read(&slow[i], 1);
        link_read(&slow[i], 0); /* the last flight is under way */
        good = link_is_secure(&slow[i]);
    }
    raw_free(like);
    return good;
}

static void close_all(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        link_close(&slow[i]);
}

/* Half of them say nothing at all, the others a byte each second. More than may be under way. */
static void slow_hello(struct report *r)
{
    unsigned most = attack_want_files(SLOW), n = 0;
    int median = 0, slowest = 0;

    while (n < most && link_connect_from(&slow[n], stage_address(), n))
        n++;
    bool served = attack_time_handshakes(&median, &slowest);
    unsigned took =
        wait_for_ends(slow, n, NEO_LIT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03"), 9000);
    r->connections = 512;
    r->through = !served || took < 3000 || took >= 9000;
    attack_say(r, "%u closed after %u.%u s; a new one: %d ms", n, took / 1000, took % 1000 / 100,
               median / 1000);
    close_all(n);
}

static void slow_preface(struct report *r)
{
    unsigned n = attack_want_files(SLOW);

    bool opened = open_all(n);
    unsigned took = wait_for_ends(slow, n, NEO_LIT("PRI * HTTP/2.0\r\n"), 9000);
    r->connections = n;
    r->through = !opened || took < 3000 || took >= 9000;
    attack_say(r, "%u closed, the last after %u.%u s", n, took / 1000, took % 1000 / 100);
    close_all(n);
}

static void slow_headers(struct report *r)
{
    unsigned n = attack_want_files(SLOW);
    struct neo_buffer out = {0};

    bool opened = open_all(n);
    frames_preface(&out);
    frames_settings_ack(&out);
    frames_put(&out, FRAME_HEADERS, 0, 1, NEO_LIT("\x83\x87"));
    for (unsigned i = 0; i < n; i++)
        (void)link_send(&slow[i], neo_buffer_bytes(&out));
    /* The beginning of a CONTINUATION of 100 bytes, a byte a second. */
    unsigned took = wait_for_ends(slow, n, NEO_LIT("\0\0\x64\x09\0\0\0\0\1\x00\x10xxxxxx"), 14000);
    r->connections = n;
    r->through = !opened || took < 3000 || took >= 14000;
    attack_say(r, "%u closed, the last after %u.%u s", n, took / 1000, took % 1000 / 100);
    close_all(n);
    neo_buffer_fini(&out);
}

static void slow_body(struct report *r)
{
    struct neo_buffer out = {0};
    neo_nsec begun = neo_mono_nsec();
    struct link l;

    attack_open(&l);
    put_head(&out, 1, "/neo.test.v1.Echoes/Never", 0);
    frames_put(&out, FRAME_DATA, 0, 1, NEO_LIT("\0\0\0\0\x64"));
    (void)attack_send(&l, &out);
    while (l.http < 0 && l.reset < 0 && !l.closed && msec_since(begun) < 28000) {
        (void)link_wait_answer(&l, 10000);
        frames_put(&out, FRAME_DATA, 0, 1, NEO_LIT("x"));
        (void)attack_send(&l, &out);
    }
    unsigned took = msec_since(begun);
    r->through = took >= 28000;
    attack_say(r, "ended after %u s, grpc-status %d", took / 1000, l.grpc);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* TCP's window shut, HTTP/2's open. */
static void never_reads(struct report *r)
{
    enum { LINKS = 1 };
    static struct link links[LINKS];
    struct neo_buffer out = {0};
    neo_nsec begun = neo_mono_nsec();
    unsigned others = stage_connections();

    for (unsigned n = 0; n < LINKS; n++) {
        attack_open(&links[n]);
        links[n].deaf = true;
        frames_setting(&out, SETTING_INITIAL_WINDOW_SIZE, 0x7fffffff);
        frames_window_update(&out, 0, 0x7fff0000 - 65535);
        for (uint32_t i = 0; i < 100; i++)
            put_call(&out, id_of(i), "Later");
        (void)attack_send(&links[n], &out);
    }
    stage_sleep(200);
    while (stage_connections() > others && msec_since(begun) < 45000)
        stage_sleep(100);
    unsigned took = msec_since(begun);
    r->connections = LINKS;
    r->through = took >= 45000 || took < 1000;
    attack_say(r, "cut after %u s", took / 1000);
    for (unsigned n = 0; n < LINKS; n++)
        link_close(&links[n]);
    neo_buffer_fini(&out);
}

/* A byte each second off the socket: TCP's window opens by less than it takes to be told. */
static void reads_drops(struct report *r)
{
    struct neo_buffer out = {0};
    neo_nsec begun = neo_mono_nsec();
    unsigned others = stage_connections();
    uint8_t byte;
    struct link l;

    attack_open(&l);
    l.deaf = true;
    frames_setting(&out, SETTING_INITIAL_WINDOW_SIZE, 0x7fffffff);
    frames_window_update(&out, 0, 0x7fff0000 - 65535);
    for (uint32_t i = 0; i < 100; i++)
        put_call(&out, id_of(i), "Later");
    (void)attack_send(&l, &out);
    stage_sleep(200);
    while (stage_connections() > others && msec_since(begun) < 45000) {
        (void)recv(l.fd, &byte, 1, MSG_DONTWAIT);
        stage_sleep(1000);
    }
    unsigned took = msec_since(begun);
    r->through = took >= 45000 || took < 1000;
    attack_say(r, "cut after %u s", took / 1000);
    link_close(&l);
    neo_buffer_fini(&out);
}

/* Streams that were reset, or answered with a status alone. */
static size_t ended(const struct link *l)
{
    return l->frames[FRAME_RST_STREAM] + l->failures;
}

/* HTTP/2's window shut but for a byte each ten seconds. */
static void tiny_window(struct report *r)
{
    struct neo_buffer out = {0};
    neo_nsec begun = neo_mono_nsec();
    struct link l;

    attack_open(&l);
    frames_setting(&out, SETTING_INITIAL_WINDOW_SIZE, 0);
    for (uint32_t i = 0; i < 100; i++)
        put_call(&out, id_of(i), "Later");
    (void)attack_send(&l, &out);
    for (unsigned n = 1; !l.closed && ended(&l) < 100 && n < 45; n++) {
        if (n % 10 == 0) {
            frames_window_update(&out, 1, 1);
            (void)attack_send(&l, &out);
        }
        link_read(&l, 1000);
    }
    unsigned took = msec_since(begun);
    r->through = took >= 44000;
    attack_say(r, "%zu of 100 streams ended after %u s", ended(&l), took / 1000);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* --- G11: hoarding -------------------------------------------------------------------------------
 */

/* As many connections as there may be, each full of calls that go on for ever. */
static void hoard(struct report *r)
{
    enum { LINKS = 64 };
    static struct link links[LINKS];
    struct neo_buffer out = {0};
    unsigned n = 0;

    for (; n < (r->control ? 1 : LINKS); n++) {
        attack_open(&links[n]);
        for (uint32_t i = 0; i < 100; i++)
            put_call(&out, id_of(i), "Never");
        (void)attack_send(&links[n], &out);
    }
    if (r->control)
        (void)stage_wait_handlers(100);
    else
        stage_sleep(5000);
    r->connections = n;
    r->through = r->control ? stage_handlers() == 100 : stage_handlers() > 1000;
    attack_say(r, "%u calls on %u connections: %u handlers", n * 100, n, stage_handlers());
    for (unsigned i = 0; i < n; i++)
        link_close(&links[i]);
    neo_buffer_fini(&out);
}

#define TWIN .same_server = true, .control = good_call
/* Of those that do little but wait a ratio would say nothing. */
#define IDLE TWIN, .share = 1, .waits = true

const struct row rows_slow[] = {
    {"G11", "6,400 calls that never end", .run = hoard, .same_server = true, .handlers = 1000,
     .slow = 8},
    {"H12", "2,000 ClientHellos, a byte a second", .run = slow_hello, TWIN, .memory = 64 * KIB,
     .slow = 9},
    {"H12", "2,000 prefaces, a byte a second", .run = slow_preface, TWIN, .memory = 64 * KIB,
     .slow = 18},
    {"H12", "2,000 HEADERS without end", .run = slow_headers, TWIN, .memory = 64 * KIB, .slow = 25},
    {"H12", "a body, a byte each 10 s", .run = slow_body, IDLE, .slow = 30},
    {"H12", "who reads nothing", .run = never_reads, IDLE, .handlers = 400, .slow = 45},
    {"H12", "who reads a byte a second", .run = reads_drops, IDLE, .handlers = 400, .slow = 45},
    {"H04", "a window of a byte each 10 s", .run = tiny_window, IDLE, .handlers = 100, .slow = 45},
};
const size_t n_rows_slow = NEO_COUNT(rows_slow);
