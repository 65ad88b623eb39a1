/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole small files: certificates, keys, bundles, snapshots.
 *
 * A reader sees the old file or the new one and never a part. The new one is on
 * the disk before its name is, and the name before we say so.
 */
#include "store/store.h"

#include <neo/buffer.h>
#include <neo/memory.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 4096 };

void store_closep(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

enum neo_code store_sync_folder_of(const char *path, struct neo_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    NEO_CLEANUP(neo_freep)
    char *folder = len == 0 ? neo_string_dup(".") : neo_string_from(neo_bytes(path, len));
    if (folder == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory syncing folder of '%s'", path);

    NEO_CLEANUP(store_closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return neo_fail_errno(err, "cannot open folder '%s'", folder);
    if (fsync(fd) != 0)
        return neo_fail_errno(err, "cannot sync folder '%s'", folder);
    return NEO_OK;
}

static enum neo_code write_all(int fd, struct neo_bytes bytes, const char *path,
                               struct neo_error *err)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return neo_fail_errno(err, "cannot write '%s'", path);
        bytes = neo_bytes_from(bytes, (size_t)n);
    }
    return NEO_OK;
}

enum neo_code store_replace(const char *path, store_fill_fn *fill, const void *self,
                            struct neo_error *err)
{
    static const char suffix[] = ".XXXXXX";
    size_t len = strlen(path);
    NEO_CLEANUP(neo_freep) char *temporary = neo_alloc(len + sizeof(suffix));
    if (temporary == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory replacing '%s'", path);
    memcpy(temporary, path, len);
    memcpy(temporary + len, suffix, sizeof(suffix));

    NEO_CLEANUP(store_closep) int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return neo_fail_errno(err, "cannot create a file beside '%s'", path);
    enum neo_code code = fill(self, fd, temporary, err);
    if (code == NEO_OK && fsync(fd) != 0)
        code = neo_fail_errno(err, "cannot sync '%s'", temporary);
    if (code == NEO_OK && rename(temporary, path) != 0)
        code = neo_fail_errno(err, "cannot replace '%s'", path);
    if (code != NEO_OK) {
        (void)unlink(temporary);
        return code;
    }
    return store_sync_folder_of(path, err);
}

struct content {
    struct neo_bytes bytes;
    unsigned mode;
};

/* Private until its last step, so that a secret is never readable too early. */
static enum neo_code fill(const void *self, int fd, const char *temporary, struct neo_error *err)
{
    const struct content *content = self;

    NEO_TRY(write_all(fd, content->bytes, temporary, err));
    if (fchmod(fd, (mode_t)content->mode) != 0)
        return neo_fail_errno(err, "cannot set mode %o of '%s'", content->mode, temporary);
    return NEO_OK;
}

enum neo_code neo_file_replace(const char *path, struct neo_bytes bytes, unsigned mode,
                               struct neo_error *err)
{
    return store_replace(path, fill, &(struct content){bytes, mode}, err);
}

static enum neo_code read_all(int fd, const char *path, size_t limit, struct neo_buffer *out,
                              struct neo_error *err)
{
    size_t before = out->len;

    for (;;) {
        uint8_t *at = neo_buffer_reserve(out, READ_SIZE);
        if (at == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading '%s'", path);
        ssize_t n = read(fd, at, READ_SIZE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return neo_fail_errno(err, "cannot read '%s'", path);
        if (n == 0)
            return NEO_OK;
        if ((size_t)n > limit - (out->len - before))
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "'%s' is longer than %zu bytes", path,
                            limit);
        out->len += (size_t)n;
    }
}

enum neo_code neo_file_read(const char *path, size_t limit, struct neo_buffer *out,
                            struct neo_error *err)
{
    size_t before = out->len;
    struct stat status;
    NEO_CLEANUP(store_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return neo_fail_errno(err, "cannot open '%s'", path);
    if (S_ISDIR(status.st_mode))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%s' is a folder, not a file", path);

    /* Room for all of it at once: growing would leave copies of a secret in freed memory. */
    if (S_ISREG(status.st_mode) && (uint64_t)status.st_size <= limit)
        (void)neo_buffer_reserve(out, (size_t)status.st_size + READ_SIZE);

    enum neo_code code = read_all(fd, path, limit, out, err);
    if (code != NEO_OK)
        out->len = before;
    return code;
}
