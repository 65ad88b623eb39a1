/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl.h"
#include "crypto/vendor_internal.h"
#include "crypto/vendor_memo.h"

#include <openssl/err.h>

enum { PATH_CERTS_MAX = 16 };

bool vendor_cert_issued(const struct vendor_cert *issuer, const struct vendor_cert *cert)
{
    return X509_check_issued(issuer->x509, cert->x509) == X509_V_OK;
}

static bool is_time(int error)
{
    return error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
}

static bool push_all(STACK_OF(X509) * hints, const struct vendor_line *line)
{
    for (size_t i = 0; i < line->n_issuers; i++) {
        if (sk_X509_push(hints, line->issuers[i]->x509) == 0)
            return false;
    }
    return true;
}

/* What OpenSSL found is what was named, one by one. */
static bool is_the_line(const struct vendor_line *line, STACK_OF(X509) * found)
{
    int n = (int)line->n_issuers;

    if (sk_X509_num(found) != n + 2)
        return false;
    for (int i = 0; i < n; i++) {
        if (X509_cmp(sk_X509_value(found, i + 1), line->issuers[i]->x509) != 0)
            return false;
    }
    return X509_cmp(sk_X509_value(found, n + 1), line->root->x509) == 0;
}

static int64_t earliest(const struct vendor_line *line)
{
    int64_t at = line->leaf->facts.not_after;

    for (size_t i = 0; i < line->n_issuers; i++) {
        if (line->issuers[i]->facts.not_after < at)
            at = line->issuers[i]->facts.not_after;
    }
    return line->root->facts.not_after < at ? line->root->facts.not_after : at;
}

/* --- revocation ------------------------------------------------------------------------------- */

/*
 * Every current list of `issuer` is asked about `cert`: lists overlap, and an older one does not
 * know what a newer one revokes. Those that are out of date count only where no other is there.
 */
enum vendor_verdict vendor_lists_ask(const struct vendor_lists *lists,
                                     const struct vendor_cert *cert,
                                     const struct vendor_cert *issuer, int64_t *not_after,
                                     struct neo_error *why)
{
    enum vendor_verdict verdict = VENDOR_NO_CRL;

    for (size_t i = 0; i < lists->n; i++) {
        const struct vendor_crl *crl = lists->at[i];
        X509_REVOKED *entry;

        if (X509_NAME_cmp(X509_CRL_get_issuer(crl->crl), X509_get_subject_name(issuer->x509)) != 0)
            continue;
        if (!vendor_crl_is_signed(crl, issuer, lists->memo))
            continue; /* as if it were not there */
        if (lists->now < crl->this_update || lists->now >= vendor_crl_end(crl, lists->grace)) {
            if (verdict != VENDOR_GOOD)
                verdict = VENDOR_STALE_CRL;
            continue;
        }
        if (X509_CRL_get0_by_cert(crl->crl, &entry, cert->x509) != 0)
            return vendor_fault(VENDOR_REVOKED, why, "a certificate is revoked");
        if (lists->by_grace != NULL && lists->now >= crl->next_update)
            *lists->by_grace = true;
        if (vendor_crl_end(crl, lists->grace) < *not_after)
            *not_after = vendor_crl_end(crl, lists->grace);
        verdict = VENDOR_GOOD;
    }
    if (verdict == VENDOR_GOOD)
        return verdict;
    return vendor_fault(verdict, why,
                        verdict == VENDOR_STALE_CRL
                            ? "a revocation list is out of date"
                            : "a revocation list is missing, or its issuer did not sign it");
}

static enum vendor_verdict consult_all(const struct vendor_line *line, int64_t *not_after,
                                       struct neo_error *why)
{
    const struct vendor_lists lists = {line->crls,  line->n_crls,   line->now,
                                       line->grace, line->by_grace, line->memo};
    enum vendor_verdict verdict = VENDOR_GOOD;
    const struct vendor_cert *cert = line->leaf;

    for (size_t i = 0; i <= line->n_issuers && verdict == VENDOR_GOOD; i++) {
        const struct vendor_cert *issuer = i < line->n_issuers ? line->issuers[i] : line->root;
        verdict = vendor_lists_ask(&lists, cert, issuer, not_after, why);
        cert = issuer;
    }
    return verdict;
}

/* --- the path --------------------------------------------------------------------------------- */

static enum vendor_verdict search(const struct vendor_line *line, struct neo_error *why)
{
    NEO_CLEANUP(openssl_store_freep) X509_STORE *store = X509_STORE_new();
    NEO_CLEANUP(openssl_certs_freep) STACK_OF(X509) *hints = sk_X509_new_null();
    NEO_CLEANUP(openssl_store_ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();

    if (store == NULL || hints == NULL || ctx == NULL ||
        X509_STORE_add_cert(store, line->root->x509) != 1 || !push_all(hints, line) ||
        X509_STORE_CTX_init(ctx, store, line->leaf->x509, hints) != 1)
        return vendor_fault(VENDOR_NO_MEMORY, why, "out of memory");

    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)line->now);
    X509_VERIFY_PARAM_set_depth(param, (int)line->n_issuers);
    if (X509_verify_cert(ctx) != 1) {
        int error = X509_STORE_CTX_get_error(ctx);
        return vendor_fault(is_time(error) ? VENDOR_EXPIRED : VENDOR_UNTRUSTED, why,
                            X509_verify_cert_error_string(error));
    }
    if (!is_the_line(line, X509_STORE_CTX_get0_chain(ctx)))
        return vendor_fault(VENDOR_UNTRUSTED, why, "the path is not the one that was named");
    return VENDOR_GOOD;
}

static void keep(const struct vendor_line *line, const struct vendor_memo_key *key)
{
    int64_t begin = line->leaf->facts.not_before;

    vendor_memo_keep_cert(line->memo, line->leaf);
    for (size_t i = 0; i < line->n_issuers; i++) {
        vendor_memo_keep_cert(line->memo, line->issuers[i]);
        if (line->issuers[i]->facts.not_before > begin)
            begin = line->issuers[i]->facts.not_before;
    }
    if (line->root->facts.not_before > begin)
        begin = line->root->facts.not_before;
    vendor_memo_keep(line->memo, key, begin, earliest(line));
}

static enum vendor_verdict find_path(const struct vendor_line *line, struct neo_error *why)
{
    struct neo_bytes parts[PATH_CERTS_MAX];
    size_t n = 0;

    if (line->n_issuers > PATH_CERTS_MAX - 2)
        return vendor_fault(VENDOR_UNTRUSTED, why, "the path is too long");
    parts[n++] = neo_bytes(line->leaf->facts.sha256, NEO_SHA256_LEN);
    for (size_t i = 0; i < line->n_issuers; i++)
        parts[n++] = neo_bytes(line->issuers[i]->facts.sha256, NEO_SHA256_LEN);
    parts[n++] = neo_bytes(line->root->facts.sha256, NEO_SHA256_LEN);
    const struct vendor_memo_key key = vendor_memo_key("line", parts, n);
    if (vendor_memo_knows(line->memo, &key, line->now))
        return VENDOR_GOOD;
    enum vendor_verdict verdict = search(line, why);
    if (verdict == VENDOR_GOOD)
        keep(line, &key);
    return verdict;
}

enum vendor_verdict vendor_line_verify(const struct vendor_line *line, int64_t *ret_not_after,
                                       struct neo_error *why)
{
    enum vendor_verdict verdict = find_path(line, why);
    int64_t not_after = earliest(line);

    if (verdict == VENDOR_GOOD && line->needs_crls)
        verdict = consult_all(line, &not_after, why);
    ERR_clear_error();
    if (verdict == VENDOR_GOOD)
        *ret_not_after = not_after;
    return verdict;
}
