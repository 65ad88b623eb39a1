/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer's thread: take the queue, chain it, write it, sync it, sign it.
 *
 * What is chained stays as it is until the file has it, even when the disk is full
 * for hours: a line that was written in part is continued where it stopped.
 */
#include "mesh/audit_file.h"

#include "observe/audit.h"

#include <neo/loop.h>

#include <errno.h>
#include <unistd.h>

enum { LINE_EXTRA = 256 }; /* more than a line is longer than its body */

#define LINGER NEO_NSEC_PER_MSEC
#define RETRY  (250 * NEO_NSEC_PER_MSEC)
#define PERIOD NEO_NSEC_PER_SEC

static bool has_body(const struct neo_audit_file *f)
{
    return f->writer.at < f->writer.queue.len;
}

static struct neo_bytes next_body(struct neo_audit_file *f)
{
    const uint8_t *at = f->writer.queue.at + f->writer.at;
    uint32_t len;

    memcpy(&len, at, sizeof(len));
    f->writer.at += sizeof(len) + len;
    return neo_bytes(at + sizeof(len), len);
}

/* --- chaining --------------------------------------------------------------------------------- */

static enum neo_code sign(struct neo_audit_file *f)
{
    f->writer.is_dirty = true;
    return neo_audit_checkpoint(&f->writer.chain, neo_wall_nsec(), f->key, &f->writer.out, NULL);
}

static void put_line(struct neo_audit_file *f, struct neo_bytes body)
{
    (void)audit_put_line(&f->writer.chain, body, &f->writer.out); /* has_room() said it fits */
    f->writer.is_dirty = true;
    if (f->writer.due_at == 0)
        f->writer.due_at = neo_mono_nsec() + PERIOD;
}

static void put_loss(struct neo_audit_file *f)
{
    char body[AUDIT_BODY_MAX];
    size_t len = audit_put_note(neo_wall_nsec(), "lost", f->writer.queue.lost, body);

    put_line(f, neo_bytes(body, len));
    f->writer.queue.lost = 0;
}

/* For a line, and a checkpoint before it. */
static bool has_room(const struct neo_audit_file *f)
{
    return AUDIT_FILE_OUT - f->writer.out.len >= AUDIT_BODY_MAX + 4 * LINE_EXTRA;
}

static enum neo_code sign_if_full(struct neo_audit_file *f)
{
    const struct neo_audit_chain *chain = &f->writer.chain;

    if (chain->sequence - chain->checkpoint < NEO_AUDIT_CHECKPOINT_RECORDS)
        return NEO_OK;
    return sign(f);
}

/* Moves of the queue into `out` what fits. */
static enum neo_code chain_some(struct neo_audit_file *f)
{
    while (has_body(f) && has_room(f)) {
        NEO_TRY(sign_if_full(f));
        put_line(f, next_body(f));
        f->writer.chained++;
        neo_counter_add(f->records_total, 1);
    }
    if (!has_body(f) && has_room(f) && f->writer.queue.lost > 0) {
        NEO_TRY(sign_if_full(f));
        put_loss(f);
    }
    return NEO_OK;
}

/* --- the disk --------------------------------------------------------------------------------- */

static enum neo_code write_out(struct neo_audit_file *f)
{
    while (f->writer.out.len > 0) {
        ssize_t n = write(f->fd, f->writer.out.at, f->writer.out.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == ENOSPC || errno == EDQUOT ? NEO_RESOURCE_EXHAUSTED : NEO_INTERNAL;
        neo_buffer_drop(&f->writer.out, (size_t)n);
    }
    neo_gauge_set(f->sequence, (int64_t)f->writer.chain.sequence);
    return NEO_OK;
}

static bool is_exhausted(const struct neo_audit_file *f)
{
    return !has_body(f) && f->writer.queue.lost == 0;
}

static enum neo_code write_queue(struct neo_audit_file *f)
{
    NEO_TRY(write_out(f)); /* left over from a full disk */
    while (!is_exhausted(f)) {
        enum neo_code code = chain_some(f);
        NEO_TRY(write_out(f));
        NEO_TRY(code);
    }
    return NEO_OK;
}

static enum neo_code sync_file(struct neo_audit_file *f)
{
    if (f->writer.is_dirty && fdatasync(f->fd) != 0)
        return NEO_INTERNAL; /* whatever errno says: what was lost cannot be known */
    f->writer.is_dirty = false;
    f->writer.durable = f->writer.chained;
    return NEO_OK;
}

static enum neo_code do_work(struct neo_audit_file *f, bool is_wanted, bool is_closing)
{
    const struct neo_audit_chain *chain = &f->writer.chain;

    NEO_TRY(write_queue(f));
    bool is_due = f->writer.due_at != 0 && (is_closing || neo_mono_nsec() >= f->writer.due_at);
    if (is_due && chain->sequence > chain->checkpoint) {
        NEO_TRY(sign(f));
        NEO_TRY(write_out(f));
    }
    if (is_due || is_wanted)
        NEO_TRY(sync_file(f));
    if (is_due)
        f->writer.due_at = 0;
    return NEO_OK;
}

/* --- the thread; these are called under the lock ---------------------------------------------- */

static bool has_records(const struct neo_audit_file *f)
{
    return f->shared.queue.len > 0 || f->shared.queue.lost > 0;
}

/* The instant at which there is work without anybody's call. */
static neo_nsec next_work(struct neo_audit_file *f, neo_nsec now)
{
    if (f->shared.state == NEO_RESOURCE_EXHAUSTED)
        return f->writer.retry_at;
    if (f->shared.state != NEO_OK)
        return UINT64_MAX;
    if (f->shared.wanted > f->shared.durable || f->shared.queue.len > f->room / 2)
        return now;

    neo_nsec at = f->writer.due_at == 0 ? UINT64_MAX : f->writer.due_at;
    if (has_records(f)) {
        if (f->writer.linger_until == 0)
            f->writer.linger_until = now + LINGER;
        at = f->writer.linger_until < at ? f->writer.linger_until : at;
    }
    return at;
}

static void wait_for_work(struct neo_audit_file *f)
{
    while (!f->shared.is_closing) {
        neo_nsec now = neo_mono_nsec();
        neo_nsec at = next_work(f, now);
        if (at <= now)
            return;

        struct timespec until = {.tv_sec = (time_t)(at / NEO_NSEC_PER_SEC),
                                 .tv_nsec = (long)(at % NEO_NSEC_PER_SEC)};
        f->shared.is_asleep = f->shared.state == NEO_OK && !has_records(f);
        if (at == UINT64_MAX)
            (void)pthread_cond_wait(&f->shared.work, &f->shared.lock);
        else
            (void)pthread_cond_timedwait(&f->shared.work, &f->shared.lock, &until);
        f->shared.is_asleep = false;
    }
}

static void take_queue(struct neo_audit_file *f)
{
    struct audit_queue empty = {.at = f->writer.queue.at};

    if (!is_exhausted(f))
        return;
    f->writer.queue = f->shared.queue;
    f->writer.at = 0;
    f->writer.linger_until = 0;
    f->shared.queue = empty;
}

/* Every change of the state is said once. */
static void log_state(const struct neo_audit_file *f)
{
    struct neo_field path = NEO_STR("path", f->path);
    uint64_t waiting = f->shared.taken - f->writer.durable;

    if (f->shared.state == NEO_OK)
        neo_log_info(f->log, "audit.resumed", path, NEO_U64("lost", f->shared.lost));
    else if (f->shared.state == NEO_RESOURCE_EXHAUSTED)
        neo_log_error(f->log, "audit.stalled", path, NEO_U64("waiting", waiting));
    else
        neo_log_error(f->log, "audit.broken", path, NEO_U64("waiting", waiting));
}

static void tell(struct neo_audit_file *f, enum neo_code code)
{
    bool changed = f->shared.state != code;

    f->shared.state = code;
    f->shared.durable = f->writer.durable;
    f->writer.retry_at = neo_mono_nsec() + RETRY;
    (void)pthread_cond_broadcast(&f->shared.progress);
    if (!changed)
        return;
    neo_gauge_set(f->failing, code == NEO_OK ? 0 : code == NEO_RESOURCE_EXHAUSTED ? 1 : 2);
    log_state(f);
}

/* What neither the disk nor the file took when it was time to end. */
static void log_loss(const struct neo_audit_file *f)
{
    if (f->shared.taken > f->writer.durable)
        neo_log_error(f->log, "audit.lost", NEO_STR("path", f->path),
                      NEO_U64("records", f->shared.taken - f->writer.durable));
}

void *audit_file_write_forever(void *self)
{
    struct neo_audit_file *f = self;
    bool is_closing = false;
    enum neo_code code = NEO_OK;

    (void)pthread_mutex_lock(&f->shared.lock);
    while (!is_closing || (code == NEO_OK && has_records(f))) {
        wait_for_work(f);
        if (f->shared.state == NEO_INTERNAL)
            break; /* only closing wakes it then */
        is_closing = f->shared.is_closing;
        bool is_wanted = f->shared.wanted > f->shared.durable;
        take_queue(f);
        (void)pthread_mutex_unlock(&f->shared.lock);
        code = do_work(f, is_wanted, is_closing);
        (void)pthread_mutex_lock(&f->shared.lock);
        tell(f, code);
    }
    log_loss(f);
    (void)pthread_mutex_unlock(&f->shared.lock);
    return NULL;
}
