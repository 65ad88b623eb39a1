/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interop/files.h - PEM and policy files, as what the library takes.
 */
#ifndef NEO_TESTS_INTEROP_FILES_H
#define NEO_TESTS_INTEROP_FILES_H

#include <neo/cert.h>
#include <neo/policy.h>

/* The file's bytes; ends the program with a word on stderr when it cannot be read. */
struct neo_buffer file_read(const char *path);

/* Ends the program with the error when there is one. */
void must(enum neo_code code, const struct neo_error *err);

/* What mutual TLS needs. Each is the caller's to unref. */
struct neo_identity *file_identity(const char *cert_file, const char *key_file);
/* Trusts the certificates of `ca_file` for the trust domain of `identity`. */
struct neo_trust *file_trust(const char *ca_file, const struct neo_identity *identity);

/*
 * The file that `flag` named, or the one called `name` that the build has made: the names are those
 * of gRPC's own test data, whose files may be put in their place. Ends the program when there is
 * neither. Never freed.
 */
const char *file_or_default(const char *path, const char *flag, const char *name);

#endif
