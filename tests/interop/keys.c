/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo-interop-keys: makes the certificates of the interoperability tests, anew each time.
 *
 *   neo-interop-keys FOLDER
 *
 *   ca.pem, server1.pem, server1.key            a CA and an RSA server for *.test.google.fr
 *   neo-ca.pem, neo-{server,client}.{pem,key}   of one trust domain, as Neo wants them
 *   policy.yaml                                 what that client may call
 */
#include "support/pki.h"

#include <stdio.h>
#include <stdlib.h>

static FILE *create(const char *folder, const char *name)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    return file;
}

static void close_or_fail(FILE *file)
{
    if (fclose(file) != 0) {
        perror("writing");
        exit(1);
    }
}

/* Takes the text. */
static void write_file(const char *folder, const char *name, struct neo_buffer *text)
{
    FILE *file = create(folder, name);

    (void)fwrite(text->at, 1, text->len, file);
    close_or_fail(file);
    neo_buffer_fini_secret(text);
}

static void write_pair(const char *folder, const char *cert_name, const char *key_name,
                       const struct pki_cert *cert)
{
    struct neo_buffer chain = {0}, key = {0};

    pki_pem_chain(cert, &chain);
    write_file(folder, cert_name, &chain);
    pki_pem_key(cert, &key);
    write_file(folder, key_name, &key);
}

static void write_root(const char *folder, const char *name, const struct pki *pki)
{
    struct neo_buffer root = {0};

    pki_pem_root(pki, &root);
    write_file(folder, name, &root);
}

static void make_web(const char *folder)
{
    static const struct pki_options options = {
        .key = "RSA-2048",
        .san = "DNS:*.test.google.fr,DNS:waterzooi.test.google.be,DNS:*.test.youtube.com",
        .extended_key_usage = "serverAuth",
        .key_usage = "critical,digitalSignature,keyEncipherment",
    };
    struct pki *pki = pki_new("web.test");
    const struct pki_cert *server = pki_make(pki, pki_issuer(pki), "server1", &options);

    write_root(folder, "ca.pem", pki);
    write_pair(folder, "server1.pem", "server1.key", server);
    pki_free(pki);
}

static void make_mutual(const char *folder)
{
    /* Other implementations look for a DNS name beside the SPIFFE id. */
    static const struct pki_options named = {.dns = "foo.test.google.fr"};
    static const struct {
        const char *service, *cert, *key;
        const struct pki_options *options;
    } parts[] = {
        {"interop-service", "neo-server.pem", "neo-server.key", &named},
        {"interop-client", "neo-client.pem", "neo-client.key", NULL},
    };
    struct pki *pki = pki_new("interop.test");

    write_root(folder, "neo-ca.pem", pki);
    for (size_t i = 0; i < NEO_COUNT(parts); i++) {
        const struct pki_cert *cert =
            pki_make(pki, pki_issuer(pki), parts[i].service, parts[i].options);
        write_pair(folder, parts[i].cert, parts[i].key, cert);
    }
    pki_free(pki);

    FILE *policy = create(folder, "policy.yaml");
    (void)fputs("service: \"interop-client\"\n"
                "allowed_calls:\n"
                "  - target_service: \"interop-service\"\n"
                "    operations: [\"*\"]\n",
                policy);
    close_or_fail(policy);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    make_web(argv[1]);
    make_mutual(argv[1]);
    return 0;
}
