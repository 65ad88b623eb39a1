/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/insecure.h - modes that give up what Neo is for.
 *
 * Everywhere else both ends of a connection prove who they are. Other software does
 * not always: gRPC's interoperability suite authenticates the server at most, and
 * test tools speak cleartext. These modes exist to talk with it. They must be asked
 * for by name, and no service or tool of Neo does, only the examples that show how:
 * tools/check-layers fails when something else includes this header.
 *
 * What stays: HTTP/2 and its guard, deadlines, limits, admission, records, and the
 * policy. Callers are `anonymous`, so a policy must say what `service: anonymous`
 * may do; nothing is allowed otherwise, not even health and reflection, which are
 * open to whoever has proven who it is:
 *
 *     service: anonymous
 *     allowed_calls:
 *       - target_service: hello-service
 *         operations: ["Greet", "grpc.health.v1.Health/Check",
 *                      "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]
 *
 * docs/STANDALONE.md has such a server and its client whole. What goes, besides the
 * proof: attestation, whose evidence is bound to mutual TLS. Identity, trust, attester
 * and attestation policies are refused together with these modes, at the start and in
 * updates.
 *
 * Threads   The structs are plain values, read once: nothing of them is kept after the call that
 *           they are given to. neo_call_foreign_certificate() is as all of neo/call.h.
 */
#ifndef NEO_INSECURE_H
#define NEO_INSECURE_H

#include <neo/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

enum neo_insecure_mode {
    NEO_INSECURE_NOTHING, /* refused: leave the pointer NULL instead */
    /* HTTP/2 with prior knowledge over TCP. Whoever is on the way reads and writes everything. */
    NEO_INSECURE_CLEARTEXT,
    /* TLS 1.3 in which the server shows a certificate for a DNS name; RSA is accepted. Callers
       prove nothing, or hold a certificate under some root: whoever they are, they are `anonymous`.
     */
    NEO_INSECURE_ANONYMOUS_CALLERS,
};

/* For neo_server_options.insecure. */
struct neo_insecure_server {
    enum neo_insecure_mode mode;
    /* With ANONYMOUS_CALLERS: the certificate, then those between it and its root; its key. */
    struct neo_bytes certificate_pem;
    struct neo_bytes key_pem;
    /* When given, callers must show a certificate that is one of these or leads to one. */
    struct neo_bytes caller_root_pem;
};

/* For neo_channel_options.insecure, with `service`, `trust_domain` and `epoch` left empty. */
struct neo_insecure_channel {
    enum neo_insecure_mode mode;
    /*
     * "foo.test.google.fr": sent as :authority and SNI. With ANONYMOUS_CALLERS the server's
     * certificate must carry it as a DNS name (RFC 6125; a wildcard stands for one label).
     */
    const char *server_name;
    struct neo_bytes root_pem; /* with ANONYMOUS_CALLERS: one or more certificates to trust */
    /* What to show to a server that asks; both or none. */
    struct neo_bytes certificate_pem;
    struct neo_bytes key_pem;
};

struct neo_call;
struct neo_cert;

/*
 * For handlers and interceptors: the certificate that the caller has shown under `caller_root_pem`,
 * with proof that it holds the key. It is of somebody else's CA and makes nobody known to Neo: the
 * caller stays `anonymous`, no policy, limit or record sees it, and to let in only whom it names is
 * the handler's work. Begin with "nobody":
 *
 *     const struct neo_cert *cert = neo_call_foreign_certificate(call);
 *     const char *uri = cert == NULL ? NULL : neo_cert_uri(cert, 0);
 *     if (uri == NULL || !is_partner(uri)) {
 *         neo_call_fail(call, NEO_PERMISSION_DENIED, "not for you");
 *         return;
 *     }
 *
 * neo/cert.h reads it: neo_cert_facts() has the DER, of which neo_sha256() makes the fingerprint,
 * the DNS names and the subject, whose common name nobody should decide by; neo_cert_uri() the
 * URIs. Names are visible ASCII, and are not compared or completed: "*.example.com" is these 13
 * characters. A certificate with a NUL or another such byte in a name of text, with more than 64
 * names, of more than 16 KiB, or not in strict DER is withheld whole, and the log says why
 * (`connection.foreign_certificate`).
 *
 * NULL, too, without `caller_root_pem`, in cleartext and with mutual TLS, whose identity
 * neo_call_context() has; when its time is over; and when the connection has gone and nobody had
 * asked before. Its CA is not asked whether it was revoked. Borrowed for as long as the call lives;
 * neo_cert_ref() keeps it longer. It is read once for a connection, when first asked for; for a
 * handler that blocks, before that begins.
 */
const struct neo_cert *neo_call_foreign_certificate(struct neo_call *call);

#ifdef __cplusplus
}
#endif

#endif
