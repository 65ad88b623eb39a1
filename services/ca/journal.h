/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/journal.h - the certificates the signer signed, each written before it is handed out.
 *
 * One record: serial, length, SHA-256 over both and the certificate, the certificate. A record cut
 * by a crash is the last one, and was never handed out; it is cut off at the next start. It is
 * believed to be one when the file ends inside it, or holds only zeros from some block on, where
 * the disk never wrote; and when nothing behind its beginning is a record. Whatever else does not
 * fit its digest is damage, and stops the signer: a certificate that was handed out may be in it.
 *
 * The oldest records can be dropped. The file then begins with a head, a record under a serial that
 * no certificate has: how many were dropped, and a digest chained over them all in their order. So
 * whoever kept a copy can show that it is what was here, and nobody can pass off another one. The
 * head was on the disk as a whole before the file got its name: part of one is damage, no crash.
 */
#ifndef NEO_CA_JOURNAL_H
#define NEO_CA_JOURNAL_H

#include <neo/buffer.h>
#include <neo/digest.h>
#include <neo/error.h>

enum { JOURNAL_SERIAL_LEN = 16, JOURNAL_CERTIFICATE_MAX = 4096 };

/* As it is on the disk; the certificate follows. */
struct journal_record {
    uint8_t serial[JOURNAL_SERIAL_LEN];
    uint64_t len;
    uint8_t digest[NEO_SHA256_LEN]; /* over serial, len and the certificate */
};

struct journal {
    int fd;
    char *path;
    uint8_t *serials; /* 16 bytes each, in order */
    uint64_t *offsets;
    size_t n;
    size_t cap;
    uint32_t *index; /* by serial: 2 * cap slots, of 1 + the record's number; 0: empty */
    uint64_t end;
    uint64_t largest;                /* record so far, in bytes */
    uint64_t n_dropped;              /* before the first that is here */
    uint8_t dropped[NEO_SHA256_LEN]; /* chained over those; zeros: none was */
    uint64_t n_looked;               /* slots of the index, since it was opened */
    bool is_lost; /* nobody knows which of two files a crash would leave: nothing is written */
};

/* What an earlier process began to write in its place is removed. */
NEO_MUST_CHECK enum neo_code journal_open(struct journal *j, const char *path,
                                          struct neo_error *err);
void journal_close(struct journal *j);
/* Appends the certificate to `out`; false when the serial is not here. */
bool journal_find(struct journal *j, const uint8_t serial[static JOURNAL_SERIAL_LEN],
                  struct neo_buffer *out);
/* The same by its number, from 0 for the oldest that is here. */
bool journal_at(struct journal *j, size_t number, struct neo_buffer *out);
/* Durable when it returns OK. */
NEO_MUST_CHECK enum neo_code journal_append(struct journal *j,
                                            const uint8_t serial[static JOURNAL_SERIAL_LEN],
                                            struct neo_bytes certificate, struct neo_error *err);
/*
 * Drops the `n` oldest records; not all of them. The rest is written to another file, which is
 * read back and synced, and then takes the name: a crash leaves either the whole old one or the
 * whole new one. When it fails all is as before, but for a sync of the folder that failed after the
 * file had its name: then nothing is signed until the signer is started anew.
 */
NEO_MUST_CHECK enum neo_code journal_prune(struct journal *j, size_t n, struct neo_error *err);
/* One record further: SHA-256 over the chain until then and the record's digest. */
void journal_chain(uint8_t chain[static NEO_SHA256_LEN], const struct journal_record *record);

/* --- between its files ------------------------------------------------------------------------ */

#define JOURNAL_HEAD_SERIAL "neo-journal-head" /* 16 bytes without the NUL */
struct journal_head {
    uint64_t version; /* 1 */
    uint64_t n_dropped;
    uint8_t dropped[NEO_SHA256_LEN];
};
/* A record with its certificate, `out` of JOURNAL_RECORD_MAX; its length. */
enum { JOURNAL_RECORD_MAX = sizeof(struct journal_record) + JOURNAL_CERTIFICATE_MAX };
size_t journal_write_record(const uint8_t serial[static JOURNAL_SERIAL_LEN],
                            struct neo_bytes certificate, uint8_t *out);
/* 1: read; 0: the file ends inside the record; -1: it does not fit its digest. */
int journal_read_record(struct journal *j, uint64_t offset, struct journal_record *r,
                        uint8_t certificate[static JOURNAL_CERTIFICATE_MAX]);
/* Reads all of `j->fd` into what is {0} but for fd and path. */
NEO_MUST_CHECK enum neo_code journal_scan(struct journal *j, struct neo_error *err);
/* The file that takes the place of `path`. */
void journal_next_path(const char *path, char next[static 1024]);
/* After a file in it was made or renamed. */
NEO_MUST_CHECK enum neo_code journal_sync_folder(const char *path, struct neo_error *err);

#endif
