/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who records makes the body of the line on its own stack and copies it into a
 * queue; the lock is held for that copy only. The chain needs one order, the disk
 * may be slow, and both are the business of one thread, which takes the whole
 * queue by swapping it for its empty one.
 */
#include "mesh/audit_file.h"

#include "observe/audit.h"

#include <neo/loop.h>
#include <neo/memory.h>

#include <signal.h>
#include <unistd.h>

enum { QUEUE_DEFAULT = 4 << 20, QUEUE_LEAST = 2 * AUDIT_BODY_MAX };

/* --- recording: any thread -------------------------------------------------------------------- */

static enum neo_code fail_full(struct neo_audit_file *f, struct neo_error *err)
{
    f->shared.lost++;
    f->shared.queue.lost++;
    neo_counter_add(f->lost_total, 1);
    if (f->shared.state == NEO_OK)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "audit trail '%s': records come too fast",
                        f->path);
    return neo_fail(err, f->shared.state, "audit trail '%s': the disk %s", f->path,
                    f->shared.state == NEO_RESOURCE_EXHAUSTED ? "is full: free space"
                                                              : "failed: restart after repair");
}

/* Under the lock. */
static enum neo_code enqueue(struct neo_audit_file *f, struct neo_bytes body, bool must_be_durable,
                             struct neo_error *err)
{
    struct audit_queue *q = &f->shared.queue;
    uint32_t len = (uint32_t)body.len;
    bool disk_is_full = f->shared.state == NEO_RESOURCE_EXHAUSTED;

    if (sizeof(len) + body.len > f->room - q->len || (f->shared.state != NEO_OK && !disk_is_full) ||
        (disk_is_full && (must_be_durable || f->fail_closed)))
        return fail_full(f, err);
    memcpy(q->at + q->len, &len, sizeof(len));
    memcpy(q->at + q->len + sizeof(len), body.at, body.len);
    q->len += sizeof(len) + body.len;
    f->shared.taken++;
    if (must_be_durable)
        f->shared.wanted = f->shared.taken;
    if (f->shared.is_asleep || must_be_durable ||
        (q->len > f->room / 2 && f->shared.state == NEO_OK))
        (void)pthread_cond_signal(&f->shared.work);
    return NEO_OK;
}

enum neo_code neo_audit_file_append(struct neo_audit_file *file,
                                    const struct neo_audit_record *record, struct neo_error *err)
{
    char body[AUDIT_BODY_MAX];
    size_t len = audit_put_body(record, body);

    (void)pthread_mutex_lock(&file->shared.lock);
    enum neo_code code = enqueue(file, neo_bytes(body, len), false, err);
    (void)pthread_mutex_unlock(&file->shared.lock);
    return code;
}

/* Under the lock. */
static enum neo_code wait_until_durable(struct neo_audit_file *f, uint64_t ticket,
                                        struct neo_error *err)
{
    while (f->shared.durable < ticket && f->shared.state == NEO_OK)
        (void)pthread_cond_wait(&f->shared.progress, &f->shared.lock);
    if (f->shared.durable >= ticket)
        return NEO_OK;
    return neo_fail(err, f->shared.state,
                    "audit trail '%s': the disk %s; the record may or may not be there", f->path,
                    f->shared.state == NEO_RESOURCE_EXHAUSTED ? "is full" : "failed");
}

enum neo_code neo_audit_file_append_durable(struct neo_audit_file *file,
                                            const struct neo_audit_record *record,
                                            struct neo_error *err)
{
    char body[AUDIT_BODY_MAX];
    size_t len = audit_put_body(record, body);

    (void)pthread_mutex_lock(&file->shared.lock);
    enum neo_code code = enqueue(file, neo_bytes(body, len), true, err);
    if (code == NEO_OK)
        code = wait_until_durable(file, file->shared.taken, err);
    (void)pthread_mutex_unlock(&file->shared.lock);
    return code;
}

static void record(struct neo_audit_sink *self, const struct neo_audit_record *r)
{
    /* What was not taken is counted; a decision does not change for that. */
    (void)neo_audit_file_append(neo_owner(self, struct neo_audit_file, sink), r, NULL);
}

struct neo_audit_sink *neo_audit_file_sink(struct neo_audit_file *file)
{
    return &file->sink;
}

struct neo_audit_file_stats neo_audit_file_stats(struct neo_audit_file *file)
{
    (void)pthread_mutex_lock(&file->shared.lock);
    struct neo_audit_file_stats stats = {
        .taken = file->shared.taken,
        .durable = file->shared.durable,
        .lost = file->shared.lost,
        .state = file->shared.state,
    };
    (void)pthread_mutex_unlock(&file->shared.lock);
    return stats;
}

/* --- opening and closing ---------------------------------------------------------------------- */

static bool make_queues(struct neo_audit_file *f, size_t room)
{
    f->room = room == 0 ? QUEUE_DEFAULT : room < QUEUE_LEAST ? QUEUE_LEAST : room;
    f->shared.queue.at = neo_alloc(f->room);
    f->writer.queue.at = neo_alloc(f->room);
    return f->shared.queue.at != NULL && f->writer.queue.at != NULL &&
           neo_buffer_reserve(&f->writer.out, AUDIT_FILE_OUT) != NULL;
}

static void make_metrics(struct neo_audit_file *f, struct neo_metrics *m)
{
    f->records_total =
        neo_counter(neo_metrics_family(m, "neo_audit_records_total",
                                       "Records written to the audit trail.", NEO_COUNTER, NULL),
                    NULL);
    f->lost_total = neo_counter(neo_metrics_family(m, "neo_audit_lost_total",
                                                   "Records the audit trail could not take.",
                                                   NEO_COUNTER, NULL),
                                NULL);
    f->failing = neo_counter(neo_metrics_family(m, "neo_audit_failing",
                                                "0: written; 1: the disk is full; 2: it failed, "
                                                "restart.",
                                                NEO_GAUGE, NULL),
                             NULL);
    f->sequence = neo_counter(neo_metrics_family(m, "neo_audit_sequence",
                                                 "Number of the last line of the audit trail.",
                                                 NEO_GAUGE, NULL),
                              NULL);
}

static void make_locks(struct neo_audit_file *f)
{
    pthread_condattr_t monotonic;

    (void)pthread_mutex_init(&f->shared.lock, NULL);
    (void)pthread_cond_init(&f->shared.progress, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&f->shared.work, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

static void closep(struct neo_audit_file **file)
{
    neo_audit_file_close(*file);
}

/* Signals are for the threads of the program, not for this one. */
static enum neo_code start_thread(struct neo_audit_file *f, struct neo_error *err)
{
    sigset_t all;
    sigset_t before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&f->thread, NULL, audit_file_write_forever, f);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no thread for audit trail '%s'", f->path);
    f->has_thread = true;
    return NEO_OK;
}

enum neo_code neo_audit_file_open_with(const struct neo_audit_file_options *o,
                                       struct neo_audit_file **ret, struct neo_error *err)
{
    NEO_CLEANUP(closep) struct neo_audit_file *f = neo_alloc(sizeof(*f));
    if (f == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening '%s'", o->path);
    f->fd = -1;
    f->sink = (struct neo_audit_sink){.record = record, .allowances = o->allowances};
    f->log = o->log;
    f->fail_closed = o->fail_closed;
    f->path = neo_string_dup(o->path);
    make_locks(f);
    make_metrics(f, o->metrics);
    if (f->path == NULL || !make_queues(f, o->queue))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening '%s'", o->path);
    NEO_TRY(audit_file_continue(f, o->key, err));
    NEO_TRY(start_thread(f, err));
    *ret = f;
    f = NULL; /* now the caller's */
    return NEO_OK;
}

enum neo_code neo_audit_file_open(const char *path, struct neo_metrics *metrics,
                                  struct neo_audit_file **ret, struct neo_error *err)
{
    const struct neo_audit_file_options options = {.path = path, .metrics = metrics};

    return neo_audit_file_open_with(&options, ret, err);
}

static void stop_thread(struct neo_audit_file *f)
{
    (void)pthread_mutex_lock(&f->shared.lock);
    f->shared.is_closing = true;
    (void)pthread_cond_signal(&f->shared.work);
    (void)pthread_mutex_unlock(&f->shared.lock);
    (void)pthread_join(f->thread, NULL);
}

void neo_audit_file_close(struct neo_audit_file *file)
{
    if (file == NULL)
        return;
    if (file->has_thread)
        stop_thread(file);
    if (file->fd >= 0)
        (void)close(file->fd);
    (void)pthread_cond_destroy(&file->shared.work);
    (void)pthread_cond_destroy(&file->shared.progress);
    (void)pthread_mutex_destroy(&file->shared.lock);
    neo_buffer_fini(&file->writer.out);
    neo_free(file->shared.queue.at);
    neo_free(file->writer.queue.at);
    neo_key_unref(file->key);
    neo_free(file->path);
    neo_free(file);
}
