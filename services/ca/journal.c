/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/journal.h"

#include <neo/digest.h>
#include <neo/memory.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SERIAL_LEN = JOURNAL_SERIAL_LEN, CERTIFICATE_MAX = JOURNAL_CERTIFICATE_MAX };

static void digest_of(const struct journal_record *r, const uint8_t *certificate,
                      uint8_t ret[static NEO_SHA256_LEN])
{
    uint8_t all[SERIAL_LEN + sizeof(uint64_t) + CERTIFICATE_MAX];

    memcpy(all, r->serial, SERIAL_LEN);
    memcpy(all + SERIAL_LEN, &r->len, sizeof(r->len));
    memcpy(all + SERIAL_LEN + sizeof(r->len), certificate, (size_t)r->len);
    neo_sha256(neo_bytes(all, SERIAL_LEN + sizeof(r->len) + (size_t)r->len), ret);
}

/* The slot of a serial, or the empty one where it belongs. There are always empty ones. */
static uint32_t *slot_of(struct journal *j, const uint8_t serial[static SERIAL_LEN])
{
    size_t n_slots = j->cap * 2;
    uint64_t hash;

    memcpy(&hash, serial + 1, sizeof(hash)); /* random, but for the first bits */
    for (size_t at = (size_t)hash % n_slots;; at = (at + 1) % n_slots) {
        uint32_t *slot = &j->index[at];
        j->n_looked++;
        if (*slot == 0 ||
            memcmp(j->serials + (*slot - 1) * (size_t)SERIAL_LEN, serial, SERIAL_LEN) == 0)
            return slot;
    }
}

static bool grow(struct journal *j)
{
    size_t cap = j->cap == 0 ? 256 : j->cap * 2;

    if (cap > UINT32_MAX / 2)
        return false;
    uint8_t *serials = neo_realloc(j->serials, cap * SERIAL_LEN);
    if (serials == NULL)
        return false;
    j->serials = serials;
    uint64_t *offsets = neo_realloc(j->offsets, cap * sizeof(*offsets));
    if (offsets == NULL)
        return false;
    j->offsets = offsets;
    uint32_t *index = neo_alloc_array(cap * 2, sizeof(*index));
    if (index == NULL)
        return false;
    memset(index, 0, cap * 2 * sizeof(*index));
    neo_free(j->index);
    j->index = index;
    j->cap = cap;
    for (size_t i = 0; i < j->n; i++)
        *slot_of(j, j->serials + i * SERIAL_LEN) = (uint32_t)i + 1;
    return true;
}

static bool remember(struct journal *j, const uint8_t serial[static SERIAL_LEN], uint64_t offset)
{
    if (j->n == j->cap && !grow(j))
        return false;
    memcpy(j->serials + j->n * SERIAL_LEN, serial, SERIAL_LEN);
    j->offsets[j->n++] = offset;
    *slot_of(j, serial) = (uint32_t)j->n;
    return true;
}

int journal_read_record(struct journal *j, uint64_t offset, struct journal_record *r,
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

/* --- the end of the file ---------------------------------------------------------------------- */

enum { TAIL_MAX = sizeof(struct journal_record) + CERTIFICATE_MAX, BLOCK = 512, LARGER = 512 };

static bool is_record(const uint8_t *at, size_t left, uint64_t len)
{
    uint8_t digest[NEO_SHA256_LEN];
    struct journal_record r;

    if (left < sizeof(r) || len == 0 || len > CERTIFICATE_MAX || len > left - sizeof(r))
        return false;
    memcpy(&r, at, sizeof(r));
    r.len = len;
    digest_of(&r, at + sizeof(r), digest);
    return memcmp(digest, r.digest, sizeof(digest)) == 0;
}

/* A record that follows, or the one at the beginning but for its length, which was changed. */
static bool holds_record(const uint8_t *tail, size_t n)
{
    struct journal_record r;

    for (size_t at = 1; at + sizeof(r) < n; at++) {
        memcpy(&r, tail + at, sizeof(r));
        if (is_record(tail + at, n - at, r.len))
            return true;
    }
    return n > sizeof(r) && is_record(tail, n, n - sizeof(r));
}

/* Blocks that the disk never wrote read as zeros, from one of them on to the end. */
static bool is_unwritten(const uint8_t *tail, size_t n, uint64_t offset)
{
    size_t used = n;

    while (used > 0 && tail[used - 1] == 0)
        used--;
    return used == 0 || (offset + used + BLOCK - 1) / BLOCK * BLOCK < offset + n;
}

/* However little of it is there. */
static bool is_head(const uint8_t *at, size_t left)
{
    return memcmp(at, JOURNAL_HEAD_SERIAL, left < SERIAL_LEN ? left : SERIAL_LEN) == 0;
}

/* Whether what begins at `offset`, and is no record, is the one that a crash cut. */
static bool is_torn(const struct journal *j, uint64_t offset, uint64_t size)
{
    uint8_t tail[TAIL_MAX];
    size_t n = (size_t)(size - offset);
    struct journal_record r;

    if (size - offset > sizeof(tail) || pread(j->fd, tail, n, (off_t)offset) != (ssize_t)n ||
        holds_record(tail, n) || (offset == 0 && is_head(tail, n)))
        return false;
    if (n < sizeof(r))
        return true;
    memcpy(&r, tail, sizeof(r));
    if (is_unwritten(tail, n, offset)) /* one record, not two: certificates are much alike */
        return r.len == 0 ? j->largest == 0 || n <= j->largest + LARGER : n - sizeof(r) <= r.len;
    return r.len <= CERTIFICATE_MAX && n - sizeof(r) < r.len;
}

/* False: no head can stand there, or it is of a newer program. */
static bool read_head(struct journal *j, const struct journal_record *r, const uint8_t *body)
{
    struct journal_head head;

    if (j->end != 0 || r->len != sizeof(head))
        return false;
    memcpy(&head, body, sizeof(head));
    j->n_dropped = head.n_dropped;
    memcpy(j->dropped, head.dropped, sizeof(j->dropped));
    return head.version == 1;
}

static enum neo_code take_record(struct journal *j, const struct journal_record *r,
                                 const uint8_t *body, struct neo_error *err)
{
    uint64_t len = sizeof(*r) + r->len;

    if (is_head(r->serial, SERIAL_LEN)) {
        if (!read_head(j, r, body))
            return neo_fail(err, NEO_DATA_LOSS,
                            "'%s' has a head at byte %llu that is none, or of a newer version",
                            j->path, (unsigned long long)j->end);
    } else {
        if (!remember(j, r->serial, j->end))
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading '%s'", j->path);
        if (len > j->largest)
            j->largest = len;
    }
    j->end += len;
    return NEO_OK;
}

enum neo_code journal_scan(struct journal *j, struct neo_error *err)
{
    uint8_t certificate[CERTIFICATE_MAX];
    struct journal_record r;
    struct stat st;

    if (fstat(j->fd, &st) != 0)
        return neo_fail_errno(err, "cannot look at '%s'", j->path);
    uint64_t size = (uint64_t)st.st_size;
    while (j->end < size && journal_read_record(j, j->end, &r, certificate) == 1)
        NEO_TRY(take_record(j, &r, certificate, err));
    if (j->end == size)
        return NEO_OK;
    if (!is_torn(j, j->end, size))
        return neo_fail(err, NEO_DATA_LOSS,
                        "'%s' is damaged at byte %llu, not just cut by a crash; restore it from a "
                        "copy",
                        j->path, (unsigned long long)j->end);
    if (ftruncate(j->fd, (off_t)j->end) != 0)
        return neo_fail_errno(err, "cannot cut the unfinished record of '%s'", j->path);
    return NEO_OK;
}

enum neo_code journal_open(struct journal *j, const char *path, struct neo_error *err)
{
    char next[1024];

    *j = (struct journal){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    if (j->fd < 0)
        return neo_fail_errno(err, "cannot open the signer's journal '%s'", path);
    j->path = neo_string_dup(path);
    if (j->path == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading '%s'", path);
    journal_next_path(path, next);
    (void)unlink(next); /* it has not taken the name, so it never counted */
    NEO_TRY(journal_scan(j, err));
    return j->end == 0 ? journal_sync_folder(path, err) : NEO_OK;
}

void journal_close(struct journal *j)
{
    if (j->fd >= 0)
        (void)close(j->fd);
    neo_free(j->serials);
    neo_free(j->offsets);
    neo_free(j->index);
    neo_free(j->path);
}

bool journal_at(struct journal *j, size_t number, struct neo_buffer *out)
{
    uint8_t certificate[CERTIFICATE_MAX];
    struct journal_record r;

    return number < j->n && journal_read_record(j, j->offsets[number], &r, certificate) == 1 &&
           neo_buffer_append(out, neo_bytes(certificate, (size_t)r.len));
}

bool journal_find(struct journal *j, const uint8_t serial[static SERIAL_LEN],
                  struct neo_buffer *out)
{
    uint32_t number = j->n == 0 ? 0 : *slot_of(j, serial);

    return number != 0 && journal_at(j, number - 1, out);
}

size_t journal_write_record(const uint8_t serial[static SERIAL_LEN], struct neo_bytes certificate,
                            uint8_t *out)
{
    struct journal_record r = {.len = certificate.len};

    memcpy(r.serial, serial, SERIAL_LEN);
    digest_of(&r, certificate.at, r.digest);
    memcpy(out, &r, sizeof(r));
    memcpy(out + sizeof(r), certificate.at, certificate.len);
    return sizeof(r) + certificate.len;
}

enum neo_code journal_append(struct journal *j, const uint8_t serial[static SERIAL_LEN],
                             struct neo_bytes certificate, struct neo_error *err)
{
    uint8_t all[JOURNAL_RECORD_MAX];

    if (certificate.len == 0 || certificate.len > CERTIFICATE_MAX)
        return neo_fail(err, NEO_INTERNAL, "a certificate of %zu bytes", certificate.len);
    if (is_head(serial, SERIAL_LEN))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a serial that the journal keeps for itself");
    if (j->is_lost)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "the signer's journal was not synced to the disk; restart the CA");
    size_t len = journal_write_record(serial, certificate, all);
    if (pwrite(j->fd, all, len, (off_t)j->end) != (ssize_t)len || fdatasync(j->fd) != 0)
        return neo_fail_errno(err, "cannot write the signer's journal");
    if (!remember(j, serial, j->end))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory in the signer");
    j->end += len;
    if (len > j->largest)
        j->largest = len;
    return NEO_OK;
}
