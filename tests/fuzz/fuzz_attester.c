/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine whose files and devices answer with whatever comes next. Whichever source is asked,
 * everything is closed and removed again, the call ends in its time, and what is handed out as
 * evidence is of its form and for the binder.
 */
#include "base/cursor.h"
#include "mesh/attester.h"

#include <neo/evidence.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

enum { BUSY = 0xff, BROKEN = 0xfe, PIECE = 16, PATH_MAX_LEN = 256 };

struct machine {
    struct attester_sys face;
    struct cursor input;
    const char *provider;
    char path[PATH_MAX_LEN]; /* of what was opened last */
    int open;
    int entries;
    neo_nsec now;
};

static struct machine *machine_of(struct attester_sys *s)
{
    return neo_owner(s, struct machine, face);
}

static int refuse(int number)
{
    errno = number;
    return -1;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t n = strlen(end);

    return len >= n && strcmp(text + len - n, end) == 0;
}

static int open_any(struct attester_sys *s, const char *path, int flags)
{
    struct machine *m = machine_of(s);

    (void)flags;
    must(strlen(path) < sizeof(m->path));
    memcpy(m->path, path, strlen(path) + 1);
    m->open++;
    return 3;
}

/* The provider is right, once; everything else is the input's. */
static ssize_t read_any(struct attester_sys *s, int fd, void *at, size_t len)
{
    struct machine *m = machine_of(s);
    uint8_t first = cursor_u8(&m->input);

    (void)fd;
    if (ends_with(m->path, "/provider") && m->provider != NULL) {
        size_t n = strlen(m->provider);
        memcpy(at, m->provider, n);
        m->path[0] = '\0';
        return (ssize_t)n;
    }
    if (first == BUSY || first == BROKEN)
        return refuse(first == BUSY ? EAGAIN : EIO);
    size_t n = (size_t)first * PIECE;
    n = n > m->input.left ? m->input.left : n;
    n = n > len ? len : n;
    struct neo_bytes bytes = cursor_take(&m->input, n);
    if (bytes.len > 0)
        memcpy(at, bytes.at, bytes.len);
    return (ssize_t)bytes.len;
}

static ssize_t write_any(struct attester_sys *s, int fd, const void *at, size_t len)
{
    uint8_t first = cursor_u8(&machine_of(s)->input);

    (void)fd;
    (void)at;
    if (first == BUSY || first == BROKEN)
        return refuse(first == BUSY ? EBUSY : EINVAL);
    return (ssize_t)len;
}

/* Both devices have 32 bytes of request with two places to write to. */
struct request {
    uint64_t first, second, third, fourth;
};

static void fill(struct machine *m, uint64_t at, size_t len)
{
    struct neo_bytes bytes = cursor_take(&m->input, len < m->input.left ? len : m->input.left);

    if (bytes.len > 0)
        memcpy((void *)(uintptr_t)at, bytes.at, bytes.len);
}

/* The report, and certificates as far as there is room; then how long they would be. */
static void answer_extended(struct machine *m, const struct request *r)
{
    uint8_t *asked = (uint8_t *)(uintptr_t)r->second;
    uint32_t len = (uint32_t)cursor_be(&m->input, 2);
    uint32_t room;
    uint64_t at;

    memcpy(&at, asked + 96, sizeof(at));
    memcpy(&room, asked + 104, sizeof(room));
    fill(m, r->third, 32 + 1184);
    fill(m, at, room < len ? room : len);
    memcpy(asked + 104, &len, sizeof(len));
}

static int ioctl_any(struct attester_sys *s, int fd, unsigned long number, void *argument)
{
    struct machine *m = machine_of(s);
    struct request *r = argument;
    uint8_t first = cursor_u8(&m->input);

    (void)fd;
    if ((number >> 8 & 0xff) == 'S') {
        r->fourth = (uint64_t)cursor_be(&m->input, 1) << 32 | cursor_be(&m->input, 1);
        answer_extended(m, r);
    } else {
        uint64_t len = cursor_be(&m->input, 2);
        fill(m, r->third, (size_t)(len < r->fourth ? len : r->fourth));
        r->fourth = len;
    }
    return first == BUSY ? refuse(EBUSY) : first >= 0x80 ? refuse(EIO) : 0;
}

static int wait_any(struct attester_sys *s, int fd, bool to_read, neo_nsec time)
{
    struct machine *m = machine_of(s);

    (void)fd;
    (void)to_read;
    if (cursor_u8(&m->input) != BUSY)
        return 1;
    m->now += time;
    return 0;
}

static void close_any(struct attester_sys *s, int fd)
{
    (void)fd;
    machine_of(s)->open--;
}

static int mkdir_any(struct attester_sys *s, const char *path)
{
    (void)path;
    machine_of(s)->entries++;
    return 0;
}

static int rmdir_any(struct attester_sys *s, const char *path)
{
    (void)path;
    machine_of(s)->entries--;
    return 0;
}

static neo_nsec now_any(struct attester_sys *s)
{
    return machine_of(s)->now;
}

static void sleep_any(struct attester_sys *s, neo_nsec time)
{
    machine_of(s)->now += time;
}

static int connect_never(struct attester_sys *s, const char *address)
{
    (void)s;
    (void)address;
    return refuse(ENETUNREACH);
}

static ssize_t send_never(struct attester_sys *s, int fd, const void *at, size_t len)
{
    (void)s;
    (void)fd;
    (void)at;
    (void)len;
    return refuse(EPIPE);
}

static void ask(struct machine *m, const struct neo_attester_options *options)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = {0};
    uint8_t binder[NEO_BINDER_LEN] = {0};
    struct neo_attester *attester;
    struct neo_error err;

    if (attester_detect(&m->face, options, &attester, NULL, &err) != NEO_OK)
        return;
    neo_nsec start = m->now;
    if (attester->attest(attester, binder, &body, &certificates, &err) == NEO_OK) {
        NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
        const struct neo_evidence e = {.kind = attester->kind, .body = neo_buffer_bytes(&body)};
        struct neo_evidence_facts facts;
        neo_arena_init(&arena, 1 << 20);
        must(neo_evidence_describe(&e, &arena, &facts, NULL) == NEO_OK);
        must(facts.binder.len == NEO_BINDER_LEN || facts.binder.len == 32);
    } else {
        must(body.len == 0 && certificates.len == 0);
    }
    must(m->now - start <= options->timeout);
    attester->free(attester);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const tees[] = {"sev-snp", "tdx", "arm-cca", "sgx", "nitro", "tpm"};
    static const char *const providers[] = {"sev_guest", "tdx_guest", "arm_cca_guest",
                                            NULL,        NULL,        NULL};
    struct machine m = {
        .face = {open_any, read_any, write_any, ioctl_any, wait_any, close_any, mkdir_any,
                 rmdir_any, now_any, sleep_any, connect_never, send_never},
        .input = cursor_of(neo_bytes(data, size)),
    };
    size_t which = cursor_u8(&m.input);
    const struct neo_attester_options options = {.tee = tees[which % NEO_COUNT(tees)],
                                                 .timeout = NEO_NSEC_PER_SEC};

    (void)setenv("TSS2_LOG", "all+NONE", 0);
    m.provider = which < 0x80 ? providers[which % NEO_COUNT(tees)] : NULL; /* else by the device */
    ask(&m, &options);
    must(m.open == 0 && m.entries == 0);
    return 0;
}
