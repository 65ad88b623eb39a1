/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile: X509-SVID, narrowed. One row per rule; the text of the row is what
 * the operator reads when the rule is broken.
 */
#include "crypto/cert.h"
#include "crypto/spki.h"

static const X509_EXTENSION *find_extension(const struct neo_cert *cert, int nid)
{
    int at = X509_get_ext_by_NID(cert->x509, nid, -1);

    return at < 0 ? NULL : X509_get_ext(cert->x509, at);
}

static bool has_bits(uint32_t value, uint32_t bits)
{
    return (value & bits) == bits;
}

/* Without the extension OpenSSL reports every usage, so its presence is a question of its own. */
static bool has_critical_key_usage(const struct neo_cert *cert)
{
    const X509_EXTENSION *usage = find_extension(cert, NID_key_usage);

    return usage != NULL && X509_EXTENSION_get_critical(usage) == 1;
}

static bool has_both_extended_usages(const struct neo_cert *cert)
{
    return find_extension(cert, NID_ext_key_usage) != NULL &&
           has_bits(X509_get_extended_key_usage(cert->x509), XKU_SSL_SERVER | XKU_SSL_CLIENT);
}

/* Nobody here judges policies, so who asks for that (RFC 5280, 4.2.1.5, 11 and 14) is refused. */
static bool asks_for_no_policies(const struct neo_cert *cert)
{
    return find_extension(cert, NID_policy_mappings) == NULL &&
           find_extension(cert, NID_policy_constraints) == NULL &&
           find_extension(cert, NID_inhibit_any_policy) == NULL;
}

static bool is_version_3(const struct neo_cert *cert)
{
    return X509_get_version(cert->x509) == X509_VERSION_3;
}

static bool has_allowed_key(const struct neo_cert *cert)
{
    return spki_form(cert->facts.spki) != NULL;
}

static bool has_one_uri(const struct neo_cert *cert)
{
    return cert->uris == 1;
}

static bool names_a_service(const struct neo_cert *cert)
{
    return cert->facts.id.service.len > 0;
}

static bool has_only_uri_and_dns_names(const struct neo_cert *cert)
{
    return !cert->has_foreign_names;
}

bool cert_is_dns_name(struct neo_bytes name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";

    for (size_t i = 0; i < name.len; i++) {
        if (memchr(allowed, name.at[i], sizeof(allowed) - 1) == NULL)
            return false;
    }
    return name.len > 0 && name.len <= 253;
}

static bool has_plain_dns_names(const struct neo_cert *cert)
{
    for (size_t i = 0; i < cert->facts.dns_names; i++) {
        if (!cert_is_dns_name(neo_text(cert->facts.dns_name[i])))
            return false;
    }
    return true;
}

static bool is_no_issuer(const struct neo_cert *cert)
{
    return !cert->facts.is_ca && X509_check_ca(cert->x509) == 0;
}

static bool signs_only(const struct neo_cert *cert)
{
    uint32_t usage = X509_get_key_usage(cert->x509);

    return has_bits(usage, KU_DIGITAL_SIGNATURE) && (usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) == 0;
}

static bool has_no_wildcard_usage(const struct neo_cert *cert)
{
    return (X509_get_extended_key_usage(cert->x509) & XKU_ANYEKU) == 0;
}

static bool names_its_issuer(const struct neo_cert *cert)
{
    return cert->facts.issuer_key_id.len > 0;
}

/* No CN, or one that is the service of the URI, byte for byte. */
static bool has_consistent_common_name(const struct neo_cert *cert)
{
    const X509_NAME *subject = X509_get_subject_name(cert->x509);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at < 0)
        return true;
    if (X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return false;
    const ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    return neo_bytes_equal(neo_bytes(ASN1_STRING_get0_data(cn), (size_t)ASN1_STRING_length(cn)),
                           cert->facts.id.service);
}

struct rule {
    bool (*holds)(const struct neo_cert *cert);
    const char *text;
};

static enum neo_code check_rules(const struct rule *rules, size_t n, const char *role,
                                 const struct neo_cert *cert, struct neo_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!rules[i].holds(cert))
            return neo_fail(err, NEO_UNAUTHENTICATED, "%s certificate \"%.60s\": %s", role,
                            cert->facts.subject, rules[i].text);
    }
    return NEO_OK;
}

enum neo_code neo_cert_check_leaf(const struct neo_cert *cert, struct neo_error *err)
{
    static const struct rule rules[] = {
        {is_version_3, "must be X.509 version 3"},
        {has_allowed_key, "key must be ECDSA P-256, ECDSA P-384 or Ed25519 with a named curve"},
        {has_one_uri, "must have exactly one URI name"},
        {names_a_service, "URI name must be spiffe://<trust-domain>/<service>"},
        {has_only_uri_and_dns_names, "may have URI and DNS names only"},
        {has_plain_dns_names, "DNS names must be plain host names"},
        {has_consistent_common_name, "common name must be the service of the URI name"},
        {is_no_issuer, "must not be a CA"},
        {has_critical_key_usage, "keyUsage must be present and critical"},
        {signs_only, "keyUsage must be digitalSignature, without certificate or CRL signing"},
        {has_both_extended_usages, "extendedKeyUsage must have serverAuth and clientAuth"},
        {has_no_wildcard_usage, "extendedKeyUsage must not be any"},
        {names_its_issuer, "must have an authority key identifier"},
        {asks_for_no_policies, "must neither map nor constrain policies: they are not judged here"},
    };

    return check_rules(rules, NEO_COUNT(rules), "leaf", cert, err);
}

static bool is_ca(const struct neo_cert *cert)
{
    return cert->facts.is_ca;
}

static bool signs_certificates(const struct neo_cert *cert)
{
    return has_bits(X509_get_key_usage(cert->x509), KU_KEY_CERT_SIGN);
}

/* An issuer restricted to other purposes restricts what it signs. */
static bool has_no_narrower_usage(const struct neo_cert *cert)
{
    return find_extension(cert, NID_ext_key_usage) == NULL || has_both_extended_usages(cert);
}

static bool is_no_leaf(const struct neo_cert *cert)
{
    return cert->uris == 0 ||
           (cert->facts.id.trust_domain.len > 0 && cert->facts.id.service.len == 0);
}

static bool has_subject_key_id(const struct neo_cert *cert)
{
    return cert->facts.subject_key_id.len > 0;
}

enum neo_code cert_check_issuer(const struct neo_cert *ca, struct neo_bytes trust_domain,
                                struct neo_error *err)
{
    static const struct rule rules[] = {
        {is_version_3, "must be X.509 version 3"},
        {has_allowed_key, "key must be ECDSA P-256, ECDSA P-384 or Ed25519 with a named curve"},
        {is_ca, "must be a CA"},
        {has_critical_key_usage, "keyUsage must be present and critical"},
        {signs_certificates, "keyUsage must have keyCertSign"},
        {has_no_narrower_usage,
         "extendedKeyUsage must have serverAuth and clientAuth, or be absent"},
        {has_subject_key_id, "must have a subject key identifier"},
        {is_no_leaf, "URI name must be the trust domain's own"},
        {asks_for_no_policies, "must neither map nor constrain policies: they are not judged here"},
    };

    NEO_TRY(check_rules(rules, NEO_COUNT(rules), "issuer", ca, err));
    if (ca->uris == 1 && !neo_bytes_equal(ca->facts.id.trust_domain, trust_domain))
        return neo_fail(err, NEO_UNAUTHENTICATED,
                        "issuer certificate \"%.60s\": speaks for trust domain %.*s, not for %.*s",
                        ca->facts.subject, NEO_FMT(ca->facts.id.trust_domain),
                        NEO_FMT(trust_domain));
    return NEO_OK;
}

enum neo_code cert_check_time(const struct neo_cert *cert, int64_t now, struct neo_error *err)
{
    const struct neo_cert_facts *f = &cert->facts;

    if (now < f->not_before)
        return neo_fail(err, NEO_UNAUTHENTICATED,
                        "certificate \"%.60s\": not valid for another %lld s; compare the clocks",
                        f->subject, (long long)(f->not_before - now));
    if (now >= f->not_after)
        return neo_fail(err, NEO_UNAUTHENTICATED, "certificate \"%.60s\": expired %lld s ago",
                        f->subject, (long long)(now - f->not_after));
    return NEO_OK;
}

enum neo_code neo_cert_check_issuing(const struct neo_cert *ca, const struct neo_cert *root,
                                     int64_t now, struct neo_error *err)
{
    NEO_TRY(cert_check_issuer(root, root->facts.id.trust_domain, err));
    NEO_TRY(cert_check_issuer(ca, root->facts.id.trust_domain, err));
    NEO_TRY(cert_check_time(ca, now, err));
    if (!neo_bytes_equal(ca->facts.issuer_key_id, root->facts.subject_key_id) ||
        X509_verify(ca->x509, X509_get0_pubkey(root->x509)) != 1)
        return openssl_fail(err, NEO_UNAUTHENTICATED,
                            "issuer certificate \"%.60s\": not signed by the root \"%.60s\"",
                            ca->facts.subject, root->facts.subject);
    return NEO_OK;
}
