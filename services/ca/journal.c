/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/journal.h"

#include <neo/digest.h>
#include <neo/memory.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SERIAL_LEN = 16, CERTIFICATE_MAX = 4096 };

struct record {
    uint8_t serial[SERIAL_LEN];
    uint64_t len;
    uint8_t digest[NEO_SHA256_LEN]; /* over serial, len and the certificate */
};

static void digest_of(const struct record *r, const uint8_t *certificate,
                      uint8_t ret[static NEO_SHA256_LEN])
{
    uint8_t all[SERIAL_LEN + sizeof(uint64_t) + CERTIFICATE_MAX];

    memcpy(all, r->serial, SERIAL_LEN);
    memcpy(all + SERIAL_LEN, &r->len, sizeof(r->len));
    memcpy(all + SERIAL_LEN + sizeof(r->len), certificate, (size_t)r->len);
    neo_sha256(neo_bytes(all, SERIAL_LEN + sizeof(r->len) + (size_t)r->len), ret);
}

static bool remember(struct journal *j, const uint8_t serial[static SERIAL_LEN], uint64_t offset)
{
    if (j->n == j->cap) {
        size_t cap = j->cap == 0 ? 256 : j->cap * 2;
        uint8_t *serials = neo_realloc(j->serials, cap * SERIAL_LEN);
        if (serials == NULL)
            return false;
        j->serials = serials;
        uint64_t *offsets = neo_realloc(j->offsets, cap * sizeof(*offsets));
        if (offsets == NULL)
            return false;
        j->offsets = offsets;
        j->cap = cap;
    }
    memcpy(j->serials + j->n * SERIAL_LEN, serial, SERIAL_LEN);
    j->offsets[j->n++] = offset;
    return true;
}

/* 1: read; 0: the file ends inside the record; -1: damaged. */
static int read_record(struct journal *j, uint64_t offset, struct record *r,
                       uint8_t certificate[static CERTIFICATE_MAX])
{
    uint8_t digest[NEO_SHA256_LEN];

    if (pread(j->fd, r, sizeof(*r), (off_t)offset) != (ssize_t)sizeof(*r))
        return 0;
    if (r->len == 0 || r->len > CERTIFICATE_MAX)
        return -1;
    if (pread(j->fd, certificate, (size_t)r->len, (off_t)(offset + sizeof(*r))) != (ssize_t)r->len)
        return 0;
    digest_of(r, certificate, digest);
    return memcmp(digest, r->digest, sizeof(digest)) == 0 ? 1 : -1;
}

static enum neo_code scan(struct journal *j, const char *path, struct neo_error *err)
{
    uint8_t certificate[CERTIFICATE_MAX];
    struct record r;
    struct stat st;

    if (fstat(j->fd, &st) != 0)
        return neo_fail_errno(err, "cannot look at '%s'", path);
    uint64_t size = (uint64_t)st.st_size;
    while (j->end < size) {
        int got = read_record(j, j->end, &r, certificate);
        uint64_t after = j->end + sizeof(r) + (got == 1 ? r.len : 0);
        if (got < 0 && size - j->end > sizeof(r) + CERTIFICATE_MAX)
            return neo_fail(err, NEO_DATA_LOSS,
                            "'%s' is damaged at byte %llu; restore it from a copy", path,
                            (unsigned long long)j->end);
        if (got != 1)
            break; /* the last record, cut by a crash: it was never handed out */
        if (!remember(j, r.serial, j->end))
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading '%s'", path);
        j->end = after;
    }
    if (j->end < size && ftruncate(j->fd, (off_t)j->end) != 0)
        return neo_fail_errno(err, "cannot cut the unfinished record of '%s'", path);
    return NEO_OK;
}

enum neo_code journal_open(struct journal *j, const char *path, struct neo_error *err)
{
    *j = (struct journal){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    if (j->fd < 0)
        return neo_fail_errno(err, "cannot open the signer's journal '%s'", path);
    return scan(j, path, err);
}

void journal_close(struct journal *j)
{
    (void)close(j->fd);
    neo_free(j->serials);
    neo_free(j->offsets);
}

bool journal_find(struct journal *j, const uint8_t serial[static SERIAL_LEN],
                  struct neo_buffer *out)
{
    uint8_t certificate[CERTIFICATE_MAX];
    struct record r;

    /* Newest first: what is asked for again was signed a moment ago. */
    for (size_t i = j->n; i > 0; i--)
        if (memcmp(j->serials + (i - 1) * SERIAL_LEN, serial, SERIAL_LEN) == 0)
            return read_record(j, j->offsets[i - 1], &r, certificate) == 1 &&
                   neo_buffer_append(out, neo_bytes(certificate, (size_t)r.len));
    return false;
}

enum neo_code journal_append(struct journal *j, const uint8_t serial[static SERIAL_LEN],
                             struct neo_bytes certificate, struct neo_error *err)
{
    uint8_t all[sizeof(struct record) + CERTIFICATE_MAX];
    struct record r = {.len = certificate.len};

    if (certificate.len > CERTIFICATE_MAX)
        return neo_fail(err, NEO_INTERNAL, "a certificate of %zu bytes", certificate.len);
    memcpy(r.serial, serial, SERIAL_LEN);
    digest_of(&r, certificate.at, r.digest);
    memcpy(all, &r, sizeof(r));
    memcpy(all + sizeof(r), certificate.at, certificate.len);
    size_t len = sizeof(r) + certificate.len;
    if (pwrite(j->fd, all, len, (off_t)j->end) != (ssize_t)len || fdatasync(j->fd) != 0)
        return neo_fail_errno(err, "cannot write the signer's journal");
    if (!remember(j, serial, j->end))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory in the signer");
    j->end += len;
    return NEO_OK;
}
