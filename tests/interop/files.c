/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, ROOTS_MAX = 8, FILES_MAX = 8 };

static _Noreturn void give_up(const char *path, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", path, why);
    exit(2);
}

void must(enum neo_code code, const struct neo_error *err)
{
    if (code != NEO_OK)
        give_up(neo_code_name(code), err->message);
}

struct neo_buffer file_read(const char *path)
{
    struct neo_buffer bytes = {.limit = FILE_MAX};
    FILE *file = path == NULL ? NULL : fopen(path, "rb");
    size_t n = 1;

    if (path == NULL)
        give_up("a flag that names a file", "is missing");
    if (file == NULL)
        give_up(path, strerror(errno));
    while (n > 0) {
        uint8_t *at = neo_buffer_reserve(&bytes, 4096);
        if (at == NULL)
            give_up(path, "too large");
        n = fread(at, 1, 4096, file);
        bytes.len += n;
    }
    (void)fclose(file);
    return bytes;
}

/* Where the build has put certificates that neo-interop-keys made. */
static void keys_folder(char *ret, size_t len)
{
    const char *named = getenv("NEO_INTEROP_KEYS");
    char self[2048];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    self[n < 0 ? 0 : n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    if (named != NULL)
        (void)snprintf(ret, len, "%s", named);
    else
        (void)snprintf(ret, len, "%s/../interop-keys", self);
}

const char *file_or_default(const char *path, const char *flag, const char *name)
{
    static char kept[FILES_MAX][4096]; /* what is returned lives as long as the program */
    static size_t n_kept;
    char folder[3072];

    if (path != NULL)
        return path;
    keys_folder(folder, sizeof(folder));
    char *found = kept[n_kept++ % FILES_MAX];
    (void)snprintf(found, sizeof(kept[0]), "%s/%s", folder, name);
    if (access(found, R_OK) != 0) {
        (void)fprintf(
            stderr,
            "%s: name a file; without it, %s is looked for in %s (NEO_INTEROP_KEYS), which "
            "`neo-interop-keys FOLDER` fills\n",
            flag, name, folder);
        exit(2);
    }
    return found;
}

struct neo_identity *file_identity(const char *cert_file, const char *key_file)
{
    struct neo_buffer cert = file_read(cert_file), key = file_read(key_file);
    struct neo_identity *identity;
    struct neo_error err;

    must(neo_identity_from_pem(neo_buffer_bytes(&cert), neo_buffer_bytes(&key), cert_file,
                               &identity, &err),
         &err);
    neo_buffer_fini(&cert);
    neo_buffer_fini_secret(&key);
    return identity;
}

/* The certificates of a PEM text, one after the other. */
static size_t read_roots(struct neo_bytes pem, const char *path, struct neo_cert *roots[ROOTS_MAX])
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    size_t n = 0;

    for (const uint8_t *at = pem.at; n < ROOTS_MAX; n++) {
        size_t left = pem.len - (size_t)(at - pem.at);
        struct neo_error err;
        at = memmem(at, left, begin, sizeof(begin) - 1);
        if (at == NULL)
            break;
        must(neo_cert_from_pem(neo_bytes(at, pem.len - (size_t)(at - pem.at)), path, &roots[n],
                               &err),
             &err);
        at += sizeof(begin) - 1;
    }
    return n;
}

struct neo_trust *file_trust(const char *ca_file, const struct neo_identity *identity)
{
    struct neo_buffer pem = file_read(ca_file);
    struct neo_cert *roots[ROOTS_MAX];
    struct neo_bytes der[ROOTS_MAX];
    struct neo_trust *trust;
    struct neo_error err;
    size_t n = read_roots(neo_buffer_bytes(&pem), ca_file, roots);

    for (size_t i = 0; i < n; i++)
        der[i] = neo_cert_facts(roots[i])->der;
    const struct neo_trust_domain domain = {
        .name = neo_cert_facts(neo_identity_leaf(identity))->id.trust_domain,
        .roots = der,
        .n_roots = n,
    };
    must(neo_trust_new(&(struct neo_trust_options){.domains = &domain, .n_domains = 1, .epoch = 1},
                       &trust, &err),
         &err);
    for (size_t i = 0; i < n; i++)
        neo_cert_unref(roots[i]);
    neo_buffer_fini(&pem);
    return trust;
}
