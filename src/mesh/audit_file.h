/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NEO_MESH_AUDIT_FILE_H
#define NEO_MESH_AUDIT_FILE_H

#include <neo/audit_file.h>

#include <pthread.h>

enum { AUDIT_FILE_OUT = 256 << 10 }; /* room for lines that are chained and not yet written */

/* Bodies of records, each behind its length in four bytes. */
struct audit_queue {
    uint8_t *at;
    size_t len;
    uint64_t lost; /* records that found no room behind these */
};

struct neo_audit_file {
    struct neo_audit_sink sink;
    char *path;
    int fd;
    struct neo_key *key;
    const struct neo_log *log;
    size_t room; /* of each queue */
    bool fail_closed;
    bool has_thread;
    pthread_t thread;
    struct neo_counter *records_total;
    struct neo_counter *lost_total;
    struct neo_counter *failing;
    struct neo_counter *sequence;
    struct { /* any thread, under `lock` */
        pthread_mutex_t lock;
        pthread_cond_t work;     /* the writer waits for it */
        pthread_cond_t progress; /* those who wait for the disk wait for it */
        struct audit_queue queue;
        uint64_t taken;   /* records ever */
        uint64_t durable; /* of them on the disk */
        uint64_t wanted;  /* of them somebody waits for */
        uint64_t lost;
        enum neo_code state;
        bool is_asleep; /* the writer, for want of work */
        bool is_closing;
    } shared;
    struct { /* the writer's thread only */
        struct audit_queue queue;
        size_t at;             /* what of the queue is chained */
        struct neo_buffer out; /* chained and not yet in the file */
        struct neo_audit_chain chain;
        uint64_t chained;      /* records ever */
        uint64_t durable;      /* of them on the disk */
        bool is_dirty;         /* the file has what the disk may not have */
        neo_nsec due_at;       /* when to sign and sync; 0: all is signed and synced */
        neo_nsec linger_until; /* others may join what waits; 0: nothing waits */
        neo_nsec retry_at;     /* when the disk is full */
    } writer;
};

/* Opens path and key, checks the tail, leaves fd, key and writer.chain set. */
NEO_MUST_CHECK enum neo_code audit_file_continue(struct neo_audit_file *file, struct neo_key *key,
                                                 struct neo_error *err);
void *audit_file_write_forever(void *file);

#endif
