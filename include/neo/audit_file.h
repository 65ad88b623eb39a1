/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/audit_file.h - the audit trail on disk.
 *
 * A thread of its own chains, writes and syncs; who records only copies its record
 * into a queue of fixed size. Records reach the kernel within 2 ms, which survives
 * kill -9; the disk, and a signed checkpoint, within a second.
 *
 * When the disk is full the queue keeps what it can, the rest is counted, said in
 * the log and in the metrics, and later in the trail itself; when space returns,
 * writing goes on. After a disk error nothing more is written until restart: what
 * an fsync lost cannot be known.
 *
 * Beside the file stand FILE.key (signs the checkpoints; mode 0600) and FILE.pub
 * (DER, for `neo audit verify`), unless the caller brings a key.
 *
 * Threads   Any, except _open and _close.
 */
#ifndef NEO_AUDIT_FILE_H
#define NEO_AUDIT_FILE_H

#include <neo/audit.h>
#include <neo/log.h>
#include <neo/metrics.h>
#include <neo/server.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_audit_file;

struct neo_audit_file_options {
    const char *path;            /* made with mode 0600 when absent */
    struct neo_key *key;         /* signs the checkpoints; NULL: FILE.key, made when absent */
    struct neo_metrics *metrics; /* borrowed; may be NULL */
    const struct neo_log *log;   /* borrowed; may be NULL */
    size_t queue;                /* bytes of records that wait for the disk; 0: 4 MiB */
    bool allowances;             /* the sink takes what was allowed, too */
    bool fail_closed;            /* refuse every record while the disk is full */
};

/*
 * Continues the chain of an existing file: DATA_LOSS when its last MiB is not a chain (a line that
 * a crash left half-written is cut off, and the trail says so), UNAVAILABLE when another process
 * writes it. Gives `*ret`: neo_audit_file_close().
 */
NEO_MUST_CHECK enum neo_code neo_audit_file_open_with(const struct neo_audit_file_options *options,
                                                      struct neo_audit_file **ret,
                                                      struct neo_error *err);
/* The same with the other options left out. */
NEO_MUST_CHECK enum neo_code neo_audit_file_open(const char *path, struct neo_metrics *metrics,
                                                 struct neo_audit_file **ret,
                                                 struct neo_error *err);
/* Writes what waits, signs and syncs it. */
void neo_audit_file_close(struct neo_audit_file *file);

/*
 * Takes a record; never waits for the disk. RESOURCE_EXHAUSTED: not taken, because the queue is
 * full, or the disk is and the file fails closed; INTERNAL: not taken, the disk failed. What is not
 * taken is counted as lost.
 */
enum neo_code neo_audit_file_append(struct neo_audit_file *file,
                                    const struct neo_audit_record *record, struct neo_error *err);
/*
 * The same, and waits until the record is on the disk: for what must not happen unrecorded. Fails
 * whenever the disk is full or failed; the record may then still be written later.
 */
NEO_MUST_CHECK enum neo_code neo_audit_file_append_durable(struct neo_audit_file *file,
                                                           const struct neo_audit_record *record,
                                                           struct neo_error *err);

/* Appends without waiting; what cannot be taken is lost. For neo_server_options. */
struct neo_audit_sink *neo_audit_file_sink(struct neo_audit_file *file);

struct neo_audit_file_stats {
    uint64_t taken;      /* records since it was opened */
    uint64_t durable;    /* of them on the disk */
    uint64_t lost;       /* records not taken */
    enum neo_code state; /* OK, RESOURCE_EXHAUSTED: the disk is full, INTERNAL: it failed */
};
/* Any thread. */
struct neo_audit_file_stats neo_audit_file_stats(struct neo_audit_file *file);

#ifdef __cplusplus
}
#endif

#endif
