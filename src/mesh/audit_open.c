/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trail is continued only when its end is understood. What a crash may leave is
 * part of a line behind the last newline, and nothing else.
 */
#include "mesh/audit_file.h"

#include "observe/audit.h"

#include <neo/loop.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL = 1 << 20, KEY_FILE_MAX = 4096 };

static void finip(struct neo_buffer *buffer)
{
    neo_buffer_fini(buffer);
}

static void fini_secretp(struct neo_buffer *buffer)
{
    neo_buffer_fini_secret(buffer);
}

static enum neo_code open_private(struct neo_audit_file *f, size_t *ret_len, struct neo_error *err)
{
    struct stat status;

    f->fd = open(f->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                 S_IRUSR | S_IWUSR);
    if (f->fd < 0 || fstat(f->fd, &status) != 0)
        return neo_fail_errno(err, "cannot open audit trail '%s'", f->path);
    if (!S_ISREG(status.st_mode))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "audit trail '%s' is not a regular file",
                        f->path);
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "others may read or write audit trail '%s' (mode %o): chmod 600 it",
                        f->path, (unsigned)status.st_mode & 0777u);
    if (flock(f->fd, LOCK_EX | LOCK_NB) != 0)
        return neo_fail(err, NEO_UNAVAILABLE,
                        "another process writes audit trail '%s': stop that first", f->path);
    *ret_len = (size_t)status.st_size;
    return NEO_OK;
}

/* --- the key -------------------------------------------------------------------------------------
 */

static char *path_with(const struct neo_audit_file *f, const char *suffix)
{
    struct neo_buffer path = {0};

    (void)neo_buffer_append_text(&path, f->path);
    (void)neo_buffer_append_text(&path, suffix);
    (void)neo_buffer_append_byte(&path, '\0');
    if (path.failed)
        neo_buffer_fini(&path);
    return (char *)path.at; /* NULL when it failed */
}

static enum neo_code make_key(struct neo_audit_file *f, const char *path, struct neo_error *err)
{
    NEO_CLEANUP(fini_secretp) struct neo_buffer pem = {0};

    NEO_TRY(neo_key_generate(NEO_KEY_ED25519, &f->key, err));
    NEO_TRY(neo_key_to_pem(f->key, &pem, err));
    return neo_file_replace(path, neo_buffer_bytes(&pem), S_IRUSR | S_IWUSR, err);
}

static enum neo_code load_key(struct neo_audit_file *f, const char *path, bool may_make,
                              struct neo_error *err)
{
    NEO_CLEANUP(fini_secretp) struct neo_buffer pem = {0};

    enum neo_code code = neo_file_read(path, KEY_FILE_MAX, &pem, err);
    if (code == NEO_NOT_FOUND && may_make)
        return make_key(f, path, err);
    if (code == NEO_NOT_FOUND)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "audit trail '%s' is signed with '%s', which is gone: bring it back, or "
                        "put the trail aside to start another",
                        f->path, path);
    NEO_TRY(code);
    return neo_key_from_pem(neo_buffer_bytes(&pem), path, &f->key, err);
}

/* Syncs the folder, too, in which the trail itself may be new. */
static enum neo_code publish_key(const struct neo_audit_file *f, struct neo_buffer *spki,
                                 struct neo_error *err)
{
    NEO_CLEANUP(neo_freep) char *path = path_with(f, ".pub");
    if (path == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening '%s'", f->path);
    NEO_TRY(neo_key_spki(f->key, spki, err));
    return neo_file_replace(path, neo_buffer_bytes(spki), S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH,
                            err);
}

static enum neo_code find_key(struct neo_audit_file *f, struct neo_key *key, bool is_new,
                              struct neo_buffer *spki, struct neo_error *err)
{
    NEO_CLEANUP(neo_freep) char *path = path_with(f, ".key");
    if (path == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening '%s'", f->path);
    if (key != NULL)
        f->key = neo_key_ref(key);
    else
        NEO_TRY(load_key(f, path, is_new, err));
    return publish_key(f, spki, err);
}

/* --- the tail ------------------------------------------------------------------------------------
 */

static enum neo_code read_tail(const struct neo_audit_file *f, size_t len, struct neo_buffer *out,
                               struct neo_error *err)
{
    size_t wanted = len < TAIL ? len : TAIL;

    if (wanted > 0 && neo_buffer_reserve(out, wanted) == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading '%s'", f->path);
    while (out->len < wanted) {
        off_t from = (off_t)(len - wanted + out->len);
        ssize_t n = pread(f->fd, out->at + out->len, wanted - out->len, from);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return neo_fail_errno(err, "cannot read audit trail '%s'", f->path);
        out->len += (size_t)n;
    }
    return NEO_OK;
}

/* The whole lines of `tail`. A tail that does not begin the file begins in the middle of a line. */
static struct neo_bytes whole_lines(struct neo_bytes tail, bool is_all)
{
    const uint8_t *end = tail.len == 0 ? NULL : memrchr(tail.at, '\n', tail.len);

    if (end == NULL)
        return (struct neo_bytes){tail.at, 0};
    tail.len = (size_t)(end - tail.at) + 1;
    if (is_all)
        return tail;
    const uint8_t *first = memchr(tail.at, '\n', tail.len);
    return neo_bytes_from(tail, (size_t)(first - tail.at) + 1);
}

static enum neo_code check_lines(struct neo_audit_file *f, struct neo_bytes lines, bool is_all,
                                 struct neo_bytes spki, struct neo_error *err)
{
    struct neo_audit_chain *chain = &f->writer.chain;
    struct neo_error why = {.message = "no whole line"};
    const uint8_t *end = lines.len == 0 ? NULL : memchr(lines.at, '\n', lines.len);

    neo_audit_chain_init(chain);
    bool starts =
        is_all ||
        (end != NULL && audit_chain_before(neo_bytes(lines.at, (size_t)(end - lines.at)), chain));
    if (!starts || audit_verify_from(lines, spki, chain, &why) != NEO_OK)
        return neo_fail(err, NEO_DATA_LOSS,
                        "audit trail '%s' cannot be continued: %s; put it aside and look into it",
                        f->path, why.message);
    return NEO_OK;
}

static enum neo_code cut_torn_line(struct neo_audit_file *f, size_t good, size_t torn,
                                   struct neo_error *err)
{
    char body[AUDIT_BODY_MAX];

    if (torn == 0)
        return NEO_OK;
    if (ftruncate(f->fd, (off_t)good) != 0)
        return neo_fail_errno(err, "cannot cut the torn end of audit trail '%s'", f->path);
    size_t len = audit_put_note(neo_wall_nsec(), "torn", torn, body);
    if (!audit_put_line(&f->writer.chain, neo_bytes(body, len), &f->writer.out))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening '%s'", f->path);
    f->writer.is_dirty = true;
    f->writer.due_at = neo_mono_nsec();
    return NEO_OK;
}

enum neo_code audit_file_continue(struct neo_audit_file *f, struct neo_key *key,
                                  struct neo_error *err)
{
    NEO_CLEANUP(finip) struct neo_buffer spki = {0};
    NEO_CLEANUP(finip) struct neo_buffer tail = {0};
    size_t len = 0;

    NEO_TRY(open_private(f, &len, err));
    NEO_TRY(find_key(f, key, len == 0, &spki, err));
    NEO_TRY(read_tail(f, len, &tail, err));

    bool is_all = tail.len == len;
    struct neo_bytes lines = whole_lines(neo_buffer_bytes(&tail), is_all);
    size_t torn = tail.len == 0 ? 0 : (size_t)(tail.at + tail.len - lines.at) - lines.len;
    NEO_TRY(check_lines(f, lines, is_all, neo_buffer_bytes(&spki), err));
    return cut_torn_line(f, len - torn, torn, err);
}
