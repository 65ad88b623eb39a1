/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/journal.h - every certificate the signer ever signed, written before it is handed out.
 *
 * One record: serial, length, SHA-256 over both and the certificate, the certificate. A record cut
 * by a crash is the last one, and was never handed out; it is cut off at the next start. It is
 * believed to be one when the file ends inside it, or holds only zeros from some block on, where
 * the disk never wrote; and when nothing behind its beginning is a record. Whatever else does not
 * fit its digest is damage, and stops the signer: a certificate that was handed out may be in it.
 */
#ifndef NEO_CA_JOURNAL_H
#define NEO_CA_JOURNAL_H

#include <neo/buffer.h>
#include <neo/error.h>

struct journal {
    int fd;
    uint8_t *serials; /* 16 bytes each */
    uint64_t *offsets;
    size_t n;
    size_t cap;
    uint32_t *index; /* by serial: 2 * cap slots, of 1 + the record's number; 0: empty */
    uint64_t end;
    uint64_t largest; /* record so far, in bytes */
};

NEO_MUST_CHECK enum neo_code journal_open(struct journal *j, const char *path,
                                          struct neo_error *err);
void journal_close(struct journal *j);
/* Appends the certificate to `out`; false when the serial was never signed. */
bool journal_find(struct journal *j, const uint8_t serial[static 16], struct neo_buffer *out);
/* Durable when it returns OK. */
NEO_MUST_CHECK enum neo_code journal_append(struct journal *j, const uint8_t serial[static 16],
                                            struct neo_bytes certificate, struct neo_error *err);

#endif
