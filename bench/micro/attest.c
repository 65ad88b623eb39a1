/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What judging a piece of evidence costs, beside the signature checks alone.
 *
 * The floor is OpenSSL doing only what cannot be left out: two RSA-4096-PSS
 * signatures of the certificate path and the report's P-384 signature, on parsed
 * certificates. Judging adds reading the certificates, the path, and every check;
 * an informed trust has read the intermediate beforehand and only reads the leaf.
 * The exchange is a whole neo-attest-v1 between two sessions, both proving; "delegated"
 * is the same by session keys that evidence has named before. A call in header mode
 * costs one signature and one verification more, which "prove" and "check" show.
 *
 *     bench_attest [rounds]
 */
#include "attest/fresh.h"
#include "attest/session.h"

#include <neo/digest.h>
#include <neo/memory.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WALL INT64_C(1790000000)

enum { SIGNED_LEN = 672, R_AT = 0x2a0, S_AT = 0x2e8, NUMBER_LEN = 48 };

static void must(bool promise, const char *what)
{
    if (!promise) {
        (void)fprintf(stderr, "bench_attest: %s failed\n", what);
        exit(1);
    }
}

static uint64_t clock_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

struct bench {
    struct neo_attest_trust *trust;
    struct neo_attest_trust *informed; /* knows the intermediate beforehand, as collateral */
    struct neo_attest_policies *policies;
    struct neo_attester *attester;
    struct neo_buffer body;
    struct neo_buffer certificates;
    uint8_t binder[NEO_BINDER_LEN];
    X509 *path[3]; /* leaf, intermediate, root */
    uint8_t *signature;
    size_t signature_len;
    struct neo_attest_policies *delegated;
    struct neo_key *session_key;
    struct attest_vouch *vouch;
    struct attest_fresh *fresh[2]; /* client, server */
};

/* --- the floor -------------------------------------------------------------------------------- */

static void open_floor(struct bench *b)
{
    BIO *bio = BIO_new_mem_buf(b->certificates.at, (int)b->certificates.len);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_lebin2bn(b->body.at + R_AT, NUMBER_LEN, NULL);
    BIGNUM *s = BN_lebin2bn(b->body.at + S_AT, NUMBER_LEN, NULL);

    for (size_t i = 0; i < 3; i++) {
        b->path[i] = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        must(b->path[i] != NULL, "reading certificates");
    }
    BIO_free(bio);
    must(ECDSA_SIG_set0(sig, r, s) == 1, "reading the signature");
    int len = i2d_ECDSA_SIG(sig, &b->signature);
    must(len > 0, "reading the signature");
    b->signature_len = (size_t)len;
    ECDSA_SIG_free(sig);
}

static void run_floor(struct bench *b)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    must(X509_verify(b->path[1], X509_get0_pubkey(b->path[2])) == 1, "intermediate");
    must(X509_verify(b->path[0], X509_get0_pubkey(b->path[1])) == 1, "leaf");
    must(EVP_DigestVerifyInit(ctx, NULL, EVP_sha384(), NULL, X509_get0_pubkey(b->path[0])) == 1 &&
             EVP_DigestVerify(ctx, b->signature, b->signature_len, b->body.at, SIGNED_LEN) == 1,
         "report");
    EVP_MD_CTX_free(ctx);
}

/* --- what is measured ---------------------------------------------------------------------------
 */

static void appraise(struct bench *b, const struct neo_attest_trust *trust)
{
    const struct neo_evidence evidence = {NEO_EVIDENCE_SIM_SNP, neo_buffer_bytes(&b->body),
                                          neo_buffer_bytes(&b->certificates)};
    struct neo_appraisal appraisal;
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 20);
    must(neo_attest_appraise(trust, b->policies, NEO_LIT("a"), &evidence, b->binder, WALL, &arena,
                             &appraisal, NULL) == NEO_OK &&
             appraisal.accepted,
         "appraisal");
    neo_arena_fini(&arena);
}

static void run_appraisal(struct bench *b)
{
    appraise(b, b->trust);
}

static void run_informed(struct bench *b)
{
    appraise(b, b->informed);
}

static void run_attester(struct bench *b)
{
    struct neo_buffer body = {0}, certificates = {0};

    must(b->attester->attest(b->attester, b->binder, &body, &certificates, NULL) == NEO_OK,
         "attester");
    neo_buffer_fini(&body);
    neo_buffer_fini(&certificates);
}

static struct attest_session *open_end(struct bench *b, bool is_server, bool by_key)
{
    struct attest_session *session;
    const struct attest_channel channel = {
        .is_server = is_server,
        .exporter = {1},
        .own_spki_sha256 = {2},
        .peer_spki_sha256 = {2},
        .own_uri = NEO_LIT("spiffe://neo.local/a"),
        .peer_uri = NEO_LIT("spiffe://neo.local/a"),
        .peer_service = NEO_LIT("a"),
    };
    const struct attest_options options = {
        .channel = &channel,
        .trust = b->trust,
        .policies = by_key ? b->delegated : b->policies,
        .attester = b->attester,
        .want_peer = true,
        .session_key = by_key ? b->session_key : NULL,
        .vouches = &b->vouch,
        .n_vouches = by_key && b->vouch != NULL,
        .rules = 1,
        .nonce = {is_server ? 4 : 5},
    };

    must(attest_session_new(&options, &session, NULL) == NEO_OK, "session");
    return session;
}

static void exchange(struct bench *b, bool by_key)
{
    struct attest_session *ends[2] = {open_end(b, false, by_key), open_end(b, true, by_key)};
    struct neo_buffer out[2] = {0};
    size_t turn = 1;

    must(attest_session_start(ends[0], &out[0], NULL) == NEO_OK, "start");
    while (out[1 - turn].len > 0) {
        neo_buffer_clear(&out[turn]);
        if (attest_session_feed(ends[turn], neo_buffer_bytes(&out[1 - turn]), WALL, 1,
                                &out[turn]) == ATTEST_NEEDS_EVIDENCE) {
            struct neo_buffer body = {0}, certificates = {0};
            must(b->attester->attest(b->attester, attest_session_binder(ends[turn]), &body,
                                     &certificates, NULL) == NEO_OK,
                 "attester");
            (void)attest_session_evidence(ends[turn], neo_buffer_bytes(&body),
                                          neo_buffer_bytes(&certificates), &out[turn]);
            neo_buffer_fini(&body);
            neo_buffer_fini(&certificates);
        }
        turn = 1 - turn;
    }
    for (size_t i = 0; i < 2; i++) {
        must(attest_session_state(ends[i]) == ATTEST_ACCEPTED, "exchange");
        if (by_key && b->vouch == NULL)
            b->vouch = vouch_ref(attest_session_vouch(ends[i]));
        if (by_key && b->fresh[i] == NULL)
            b->fresh[i] = fresh_new(ends[i]);
        attest_session_free(ends[i]);
        neo_buffer_fini(&out[i]);
    }
}

static void run_exchange(struct bench *b)
{
    exchange(b, false);
}

static void run_delegated(struct bench *b)
{
    exchange(b, true);
}

static const uint8_t call_nonce[FRESH_NONCE_LEN] = {1};
static const struct fresh_call a_call = {
    {call_nonce, sizeof(call_nonce)}, 1, {(const uint8_t *)"/a.B/C", 6}};
static uint8_t evidence_id[FRESH_EVIDENCE_LEN];
static struct neo_buffer call_proof;

static void run_prove(struct bench *b)
{
    neo_buffer_clear(&call_proof);
    must(fresh_prove(b->fresh[1], &a_call, &call_proof, evidence_id, NULL) == NEO_OK, "prove");
}

static void run_check(struct bench *b)
{
    must(fresh_check(b->fresh[0], &a_call, neo_buffer_bytes(&call_proof),
                     neo_bytes(evidence_id, sizeof(evidence_id)), 1, NULL) == NEO_OK,
         "check");
}

static void run_binder(struct bench *b)
{
    const struct attest_binder_input in = {
        .role = 1,
        .kind = 1,
        .evidence_type = NEO_LIT("snp-report"),
        .verifier_nonce = neo_bytes(b->binder, 32),
        .exporter = neo_bytes(b->binder, 32),
        .attester_spki_sha256 = neo_bytes(b->binder, 32),
        .verifier_spki_sha256 = neo_bytes(b->binder, 32),
        .attester_uri = NEO_LIT("spiffe://neo.local/function-service"),
        .verifier_uri = NEO_LIT("spiffe://neo.local/automation-service"),
    };
    uint8_t binder[NEO_BINDER_LEN];

    attest_binder(&in, binder);
}

static double measure(struct bench *b, const char *name, void (*run)(struct bench *b),
                      unsigned rounds)
{
    uint64_t *times = neo_alloc_array(rounds, sizeof(*times));

    must(times != NULL, "memory");
    run(b);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t start = clock_now();
        run(b);
        times[i] = clock_now() - start;
    }
    qsort(times, rounds, sizeof(*times), compare);
    double median = (double)times[rounds / 2] / 1000;
    printf("%-10s median %8.1f us   p99 %8.1f us\n", name, median,
           (double)times[rounds - 1 - rounds / 100] / 1000);
    neo_free(times);
    return median;
}

/* --- preparing ----------------------------------------------------------------------------------
 */

static void open_bench(struct bench *b)
{
    static const char pem_begins[] = "-----BEGIN CERTIFICATE-----";
    struct neo_buffer bundle = {0}, root = {0}, text = {0};
    uint8_t measurement[48];

    must(neo_sim_snp_init(&bundle, &root, WALL, NULL) == NEO_OK, "simulator");
    memset(measurement, 0x4d, sizeof(measurement));
    must(neo_sim_snp_attester(neo_buffer_bytes(&bundle), measurement, true, &b->attester, NULL) ==
             NEO_OK,
         "attester");
    struct neo_attest_trust_options options = {.simulated_root = neo_buffer_bytes(&root),
                                               .development = true};
    must(neo_attest_trust_new(&options, &b->trust, NULL) == NEO_OK, "trust");
    neo_buffer_append_text(&text, "attestation_policies:\n  a:\n    require: simulator\n"
                                  "    any_of:\n      - tee: sev-snp\n        measurement: [");
    for (size_t i = 0; i < sizeof(measurement); i++)
        neo_buffer_append_text(&text, "4d");
    neo_buffer_append_text(&text, "]\n");
    const struct neo_document document = {NEO_LIT("p"), neo_buffer_bytes(&text)};
    must(neo_attest_policies_compile(&document, 1, true, &b->policies, NULL) == NEO_OK, "policy");
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer mode = {0};
    const char *at = memmem(text.at, text.len, "    any_of", 10);
    size_t head = (size_t)((const uint8_t *)at - text.at);
    (void)neo_buffer_append(&mode, neo_bytes(text.at, head));
    (void)neo_buffer_append_text(&mode, "    mode: delegated\n");
    (void)neo_buffer_append(&mode, neo_bytes(text.at + head, text.len - head));
    const struct neo_document delegated = {NEO_LIT("d"), neo_buffer_bytes(&mode)};
    must(neo_attest_policies_compile(&delegated, 1, true, &b->delegated, NULL) == NEO_OK, "policy");
    must(neo_key_generate(NEO_KEY_P256, &b->session_key, NULL) == NEO_OK, "session key");
    neo_random(b->binder, sizeof(b->binder));
    must(b->attester->attest(b->attester, b->binder, &b->body, &b->certificates, NULL) == NEO_OK,
         "evidence");
    const uint8_t *second =
        memmem(b->certificates.at + 1, b->certificates.len - 1, pem_begins, strlen(pem_begins));
    must(second != NULL, "the intermediate");
    const struct neo_bytes collateral =
        neo_bytes_from(neo_buffer_bytes(&b->certificates), (size_t)(second - b->certificates.at));
    options.collateral = &collateral;
    options.n_collateral = 1;
    must(neo_attest_trust_new(&options, &b->informed, NULL) == NEO_OK, "trust");
    neo_buffer_fini_secret(&bundle);
    neo_buffer_fini(&root);
    neo_buffer_fini(&text);
}

static void close_bench(struct bench *b)
{
    b->attester->free(b->attester);
    neo_attest_policies_unref(b->delegated);
    neo_key_unref(b->session_key);
    vouch_unref(b->vouch);
    fresh_free(b->fresh[0]);
    fresh_free(b->fresh[1]);
    neo_buffer_fini(&call_proof);
    neo_attest_trust_unref(b->trust);
    neo_attest_trust_unref(b->informed);
    neo_attest_policies_unref(b->policies);
    neo_buffer_fini(&b->body);
    neo_buffer_fini(&b->certificates);
    for (size_t i = 0; i < 3; i++)
        X509_free(b->path[i]);
    OPENSSL_free(b->signature);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
    struct bench b = {0};

    rounds = rounds == 0 ? 1 : rounds;
    open_bench(&b);
    open_floor(&b);
    printf("%u rounds, CPU time of one thread\n", rounds);
    double floor = measure(&b, "floor", run_floor, rounds);
    double appraisal = measure(&b, "appraisal", run_appraisal, rounds);
    printf("           %.2f times the floor, %.1f us above it\n", appraisal / floor,
           appraisal - floor);
    double informed = measure(&b, "informed", run_informed, rounds);
    printf("           %.2f times the floor, %.1f us above it\n", informed / floor,
           informed - floor);
    (void)measure(&b, "attester", run_attester, rounds);
    (void)measure(&b, "exchange", run_exchange, rounds);
    run_delegated(&b); /* by evidence, which names the key; all that follow are by key */
    (void)measure(&b, "delegated", run_delegated, rounds);
    (void)measure(&b, "prove", run_prove, rounds);
    (void)measure(&b, "check", run_check, rounds);
    (void)measure(&b, "binder", run_binder, rounds);
    close_bench(&b);
    return 0;
}
