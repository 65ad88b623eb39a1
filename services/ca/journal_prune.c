/* SPDX-License-Identifier: Apache-2.0 */
/* Dropping the oldest records of the journal, so that a crash at any point leaves a whole one. */
#include "ca/journal.h"

#include <neo/memory.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void journal_next_path(const char *path, char next[static 1024])
{
    (void)snprintf(next, 1024, "%s.next", path);
}

enum neo_code journal_sync_folder(const char *path, struct neo_error *err)
{
    char folder[1024];

    (void)snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        (void)snprintf(folder, sizeof(folder), ".");
    else
        slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return neo_fail_errno(err, "cannot open the folder '%s'", folder);
    enum neo_code code = fsync(fd) == 0 ? NEO_OK : neo_fail_errno(err, "cannot sync '%s'", folder);
    (void)close(fd);
    return code;
}

void journal_chain(uint8_t chain[static NEO_SHA256_LEN], const struct journal_record *record)
{
    uint8_t both[2 * NEO_SHA256_LEN];

    memcpy(both, chain, NEO_SHA256_LEN);
    memcpy(both + NEO_SHA256_LEN, record->digest, NEO_SHA256_LEN);
    neo_sha256(neo_bytes(both, sizeof(both)), chain);
}

/* --- the next file ---------------------------------------------------------------------------- */

static enum neo_code write_whole(int fd, const uint8_t *at, size_t len, struct neo_error *err)
{
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n <= 0)
            return neo_fail_errno(err, "cannot write the signer's next journal");
        at += n;
        len -= (size_t)n;
    }
    return NEO_OK;
}

/* What is dropped is read once more: the chain is over what is there. */
static enum neo_code write_head(struct journal *j, size_t n, int fd, struct neo_error *err)
{
    struct journal_head head = {.version = 1, .n_dropped = j->n_dropped + n};
    uint8_t certificate[JOURNAL_CERTIFICATE_MAX], all[JOURNAL_RECORD_MAX];
    uint8_t serial[JOURNAL_SERIAL_LEN];
    struct journal_record r;

    memcpy(head.dropped, j->dropped, sizeof(head.dropped));
    for (size_t i = 0; i < n; i++) {
        if (journal_read_record(j, j->offsets[i], &r, certificate) != 1)
            return neo_fail(err, NEO_DATA_LOSS, "'%s' is damaged at byte %llu", j->path,
                            (unsigned long long)j->offsets[i]);
        journal_chain(head.dropped, &r);
    }
    memcpy(serial, JOURNAL_HEAD_SERIAL, sizeof(serial));
    size_t len = journal_write_record(serial, neo_bytes(&head, sizeof(head)), all);
    return write_whole(fd, all, len, err);
}

static enum neo_code copy_rest(const struct journal *j, uint64_t from, int fd,
                               struct neo_error *err)
{
    uint8_t piece[64 << 10];

    while (from < j->end) {
        size_t left = j->end - from < sizeof(piece) ? (size_t)(j->end - from) : sizeof(piece);
        ssize_t n = pread(j->fd, piece, left, (off_t)from);
        if (n <= 0)
            return neo_fail_errno(err, "cannot read '%s'", j->path);
        NEO_TRY(write_whole(fd, piece, (size_t)n, err));
        from += (uint64_t)n;
    }
    return NEO_OK;
}

static enum neo_code fill(struct journal *j, size_t n, struct journal *next, struct neo_error *err)
{
    NEO_TRY(write_head(j, n, next->fd, err));
    NEO_TRY(copy_rest(j, j->offsets[n], next->fd, err));
    if (fsync(next->fd) != 0)
        return neo_fail_errno(err, "cannot sync the signer's next journal");
    NEO_TRY(journal_scan(next, err));
    if (next->n != j->n - n || next->n_dropped != j->n_dropped + n)
        return neo_fail(err, NEO_DATA_LOSS, "the signer's next journal is not what was written");
    return NEO_OK;
}

enum neo_code journal_prune(struct journal *j, size_t n, struct neo_error *err)
{
    char path[1024];

    if (n == 0 || n >= j->n || j->is_lost)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "%zu of %zu records cannot be dropped", n,
                        j->n);
    journal_next_path(j->path, path);
    struct journal next = {.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (next.fd < 0)
        return neo_fail_errno(err, "cannot make '%s'", path);
    next.path = neo_string_dup(j->path);
    enum neo_code code = next.path == NULL ? neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory")
                                           : fill(j, n, &next, err);
    if (code == NEO_OK && rename(path, j->path) != 0)
        code = neo_fail_errno(err, "cannot rename '%s'", path);
    if (code != NEO_OK) {
        journal_close(&next);
        (void)unlink(path);
        return code;
    }
    journal_close(j);
    *j = next;
    code = journal_sync_folder(j->path, err);
    j->is_lost = code != NEO_OK;
    return code;
}
