/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of real machines: what must be read from them, and what must be said of
 * them. A report's own REPORT_DATA stands in for the binder, except where the
 * binder is what is tested.
 */
#include "vectors.h"

#include "attest/snp.h"

#include <neo/encoding.h>
#include <neo/json.h>

enum { MACHINES_MAX = 8, ARENA = 1 << 20 };

/* When the recorded certificates were all valid, and when the VLEK no longer was. */
#define THEN INT64_C(1740000000)
#define NOW  INT64_C(1790000000)

static const char *const root_files[] = {
    "snp/roots/ask_ark_milan.pem",      "snp/roots/ask_ark_milan_vlek.pem",
    "snp/roots/ask_ark_genoa.pem",      "snp/roots/ask_ark_genoa_vlek.pem",
    "snp/roots/ask_ark_turin_vcek.pem", "snp/roots/ask_ark_turin_vlek.pem",
};

/* A policy that accepts the report at hand unless `rest` says otherwise. */
static struct neo_attest_policies *policy_for(struct neo_bytes measurement, const char *rest)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    struct neo_attest_policies *policies;
    struct neo_error err;

    assert_true(neo_hex_encode(&hex, measurement));
    assert_true(neo_buffer_printf(&text,
                                  "attestation_policies:\n"
                                  "  function-service:\n"
                                  "    require: hardware\n"
                                  "    any_of:\n"
                                  "      - tee: sev-snp\n"
                                  "        measurement: [%.*s]\n%s",
                                  (int)hex.len, (const char *)hex.at, rest));
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    if (neo_attest_policies_compile(&document, 1, false, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return policies;
}

static struct neo_attest_trust *real_trust(void)
{
    struct neo_buffer files[NEO_COUNT(root_files)];
    struct neo_bytes collateral[NEO_COUNT(root_files)];
    struct neo_attest_trust *trust;
    struct neo_error err;

    for (size_t i = 0; i < NEO_COUNT(root_files); i++) {
        files[i] = vectors_read(root_files[i]);
        collateral[i] = neo_buffer_bytes(&files[i]);
    }
    const struct neo_attest_trust_options options = {.collateral = collateral,
                                                     .n_collateral = NEO_COUNT(collateral)};
    if (neo_attest_trust_new(&options, &trust, &err) != NEO_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < NEO_COUNT(root_files); i++)
        neo_buffer_fini(&files[i]);
    return trust;
}

/* What a test asks: everything has a default but the report and what comes with it. */
struct question {
    struct neo_bytes report;
    struct neo_bytes certificates;
    const char *rules;     /* appended to the policy's one row */
    int64_t now;           /* 0: NOW */
    const uint8_t *binder; /* NULL: the report's own */
};

static enum neo_attest_reason ask(const struct neo_attest_trust *trust, const struct question *q,
                                  struct neo_arena *arena, struct neo_appraisal *ret)
{
    static const uint8_t none[NEO_BINDER_LEN];
    bool whole = q->report.len >= SNP_SIGNED_LEN;
    struct neo_bytes measurement = whole ? neo_bytes(q->report.at + 0x90, SNP_MEASUREMENT_LEN)
                                         : neo_bytes(none, SNP_MEASUREMENT_LEN);
    const uint8_t *own = whole ? q->report.at + 0x50 : none;
    const struct neo_evidence evidence = {NEO_EVIDENCE_SNP, q->report, q->certificates};
    struct neo_attest_policies *policies =
        policy_for(measurement, q->rules == NULL ? "" : q->rules);

    assert_int_equal(neo_attest_appraise(trust, policies, NEO_LIT("function-service"), &evidence,
                                         q->binder == NULL ? own : q->binder,
                                         q->now == 0 ? NOW : q->now, arena, ret, NULL),
                     NEO_OK);
    neo_attest_policies_unref(policies);
    assert_int_equal(ret->accepted, ret->reason == NEO_ATTEST_NONE);
    assert_false(ret->simulated);
    return ret->reason;
}

static enum neo_attest_reason reason_for(const struct neo_attest_trust *trust,
                                         const struct question *q)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_appraisal appraisal;

    neo_arena_init(&arena, ARENA);
    return ask(trust, q, &arena, &appraisal);
}

static enum neo_check_result result_of(const struct neo_appraisal *a, const char *name)
{
    for (size_t i = 0; i < a->n_checks; i++) {
        if (strcmp(a->checks[i].name, name) == 0)
            return a->checks[i].result;
    }
    fail_msg("no check %s", name);
    return NEO_CHECK_FAIL;
}

/* --- the recorded machines -------------------------------------------------------------------- */

static const struct machine {
    const char *report;
    size_t offset; /* of the report in its file */
    const char *certificates;
    const char *rules; /* what a policy must concede for this machine to be accepted */
    int64_t now;
    enum neo_attest_reason strictly; /* the verdict of a policy that concedes nothing */
} machines[] = {
    {"snp/genoa_v3_tsm_outblob.bin", 0, "snp/genoa_v3_tsm_vcek.der", "", 0, NEO_ATTEST_NONE},
    {"snp/genoa_v3_tsm_outblob.bin", 0, "snp/genoa_v3_tsm_auxblob.bin", "", 0, NEO_ATTEST_NONE},
    {"snp/milan_v2_report.bin", 0, "snp/milan_v2_vcek.der",
     "        min_report_version: 2\n        platform: {alias_check: any}\n", 0,
     NEO_ATTEST_TCB_FLOOR},
    {"snp/milan_v2_idkey_report.bin", 0, "snp/milan_v2_idkey_vcek.der",
     "        min_report_version: 2\n        platform: {alias_check: any}\n"
     "        committed_equals_current: false\n"
     "        id_key_digest: [0356215882a825279a85b300b0b742931d113bf7e32dde2e50ffde7ec743ca49"
     "1ecdd7f336dc28a6e0b2bb57af7a44a3]\n"
     "        family_id: [\"01000000000000000000000000000000\"]\n"
     "        image_id: [\"02000000000000000000000000000000\"]\n        min_guest_svn: 4\n",
     0, NEO_ATTEST_TCB_FLOOR},
    {"snp/milan_v3_vlek_vmpl1_report.bin", 0, "snp/milan_v3_vlek_vmpl1_vlek.der",
     "        vmpl: 1\n        vek: [vlek]\n        csp_id: [CN=cc-us-east-2.amazonaws.com]\n"
     "        committed_equals_current: false\n",
     THEN, NEO_ATTEST_PLATFORM},
    {"azure-vtpm/snp_genoa_hcl_report.bin", 0x20, "azure-vtpm/snp_genoa_vcek.der", "", 0,
     NEO_ATTEST_NONE},
    {"azure-vtpm/snp_milan_hcl_report.bin", 0x20, "azure-vtpm/snp_milan_vcek.der", "", 0,
     NEO_ATTEST_NONE},
    {"azure-vtpm/snp_milan2_hcl_report.bin", 0x20, "azure-vtpm/snp_milan2_vcek.der", "", 0,
     NEO_ATTEST_NONE},
};

static struct neo_buffer read_report(const char *name, size_t offset)
{
    struct neo_buffer file = vectors_read(name);

    neo_buffer_drop(&file, offset);
    assert_true(file.len >= SNP_REPORT_LEN);
    if (offset != 0)
        file.len = SNP_REPORT_LEN;
    return file;
}

TEST(every_recorded_machine_is_accepted_by_its_own_policy_and_judged_strictly_by_default)
{
    if (!vectors_exist())
        skip();
    struct neo_attest_trust *trust = real_trust();

    for (size_t i = 0; i < NEO_COUNT(machines); i++) {
        const struct machine *m = &machines[i];
        struct neo_buffer report = read_report(m->report, m->offset);
        struct neo_buffer certificates = vectors_read(m->certificates);
        struct question q = {
            .report = neo_buffer_bytes(&report),
            .certificates = neo_buffer_bytes(&certificates),
            .rules = m->rules,
            .now = m->now,
        };

        assert_int_equal(reason_for(trust, &q), NEO_ATTEST_NONE);
        q.rules = "";
        assert_int_equal(reason_for(trust, &q), m->strictly);
        neo_buffer_fini(&report);
        neo_buffer_fini(&certificates);
    }
    neo_attest_trust_unref(trust);
}

TEST(a_debug_guest_is_refused_as_such_although_all_its_signatures_are_good)
{
    if (!vectors_exist())
        skip();
    struct neo_attest_trust *trust = real_trust();
    struct neo_buffer report = vectors_read("snp/milan_v2_debug_report.bin");
    struct neo_buffer vcek = vectors_read("snp/milan_v2_debug_vcek.der");
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_appraisal appraisal;
    const struct question q = {
        .report = neo_buffer_bytes(&report),
        .certificates = neo_buffer_bytes(&vcek),
        .rules = "        min_report_version: 2\n        platform: {alias_check: any}\n",
    };

    neo_arena_init(&arena, ARENA);
    assert_int_equal(ask(trust, &q, &arena, &appraisal), NEO_ATTEST_DEBUG);
    assert_int_equal(result_of(&appraisal, "snp.chain"), NEO_CHECK_PASS);
    assert_int_equal(result_of(&appraisal, "snp.signature"), NEO_CHECK_PASS);
    assert_int_equal(result_of(&appraisal, "snp.binder"), NEO_CHECK_PASS);
    assert_int_equal(result_of(&appraisal, "snp.policy.debug"), NEO_CHECK_FAIL);
    assert_int_equal(result_of(&appraisal, "snp.measurement"), NEO_CHECK_NOT_APPLICABLE);
    neo_buffer_fini(&report);
    neo_buffer_fini(&vcek);
    neo_attest_trust_unref(trust);
}

TEST(an_expired_certificate_is_refused_as_expired)
{
    if (!vectors_exist())
        skip();
    struct neo_attest_trust *trust = real_trust();
    struct neo_buffer report = vectors_read("snp/milan_v3_vlek_vmpl1_report.bin");
    struct neo_buffer vlek = vectors_read("snp/milan_v3_vlek_vmpl1_vlek.der");
    struct question q = {
        .report = neo_buffer_bytes(&report),
        .certificates = neo_buffer_bytes(&vlek),
        .now = NOW,
    };

    assert_int_equal(reason_for(trust, &q), NEO_ATTEST_EXPIRED);
    q.now = INT64_C(1733000000); /* a few days before it began */
    assert_int_equal(reason_for(trust, &q), NEO_ATTEST_EXPIRED);
    neo_buffer_fini(&report);
    neo_buffer_fini(&vlek);
    neo_attest_trust_unref(trust);
}

TEST(a_certificate_with_a_forged_hardware_id_has_no_path_to_the_root)
{
    static const char *const forged[] = {"snp/neg_vcek_fake_hwid_raw.der",
                                         "snp/neg_vcek_fake_hwid_octetstring.der"};

    if (!vectors_exist())
        skip();
    struct neo_attest_trust *trust = real_trust();
    struct neo_buffer report = vectors_read("snp/milan_v2_report.bin");

    for (size_t i = 0; i < NEO_COUNT(forged); i++) {
        struct neo_buffer vcek = vectors_read(forged[i]);
        const struct question q = {.report = neo_buffer_bytes(&report),
                                   .certificates = neo_buffer_bytes(&vcek)};
        assert_int_equal(reason_for(trust, &q), NEO_ATTEST_CHAIN);
        neo_buffer_fini(&vcek);
    }
    neo_buffer_fini(&report);
    neo_attest_trust_unref(trust);
}

TEST(a_certificate_of_another_chip_is_refused_although_its_path_is_good)
{
    if (!vectors_exist())
        skip();
    struct neo_attest_trust *trust = real_trust();
    struct neo_buffer report = vectors_read("snp/milan_v2_report.bin");
    struct neo_buffer vcek = vectors_read("snp/milan_v2_idkey_vcek.der");
    const struct question q = {.report = neo_buffer_bytes(&report),
                               .certificates = neo_buffer_bytes(&vcek)};

    assert_int_equal(reason_for(trust, &q), NEO_ATTEST_PLATFORM);
    neo_buffer_fini(&report);
    neo_buffer_fini(&vcek);
    neo_attest_trust_unref(trust);
}

TEST(the_root_that_came_with_the_report_counts_only_because_its_digest_is_pinned)
{
    const struct neo_attest_trust_options nothing = {0};
    struct neo_attest_trust *trust;

    if (!vectors_exist())
        skip();
    assert_int_equal(neo_attest_trust_new(&nothing, &trust, NULL), NEO_OK);
    struct neo_buffer report = vectors_read("snp/genoa_v3_tsm_outblob.bin");
    struct neo_buffer auxblob = vectors_read("snp/genoa_v3_tsm_auxblob.bin");
    struct neo_buffer vcek = vectors_read("snp/genoa_v3_tsm_vcek.der");
    struct question q = {.report = neo_buffer_bytes(&report),
                         .certificates = neo_buffer_bytes(&auxblob)};

    assert_int_equal(reason_for(trust, &q), NEO_ATTEST_NONE);
    q.certificates = neo_buffer_bytes(&vcek);
    assert_int_equal(reason_for(trust, &q), NEO_ATTEST_COLLATERAL);
    q.certificates = (struct neo_bytes){0};
    assert_int_equal(reason_for(trust, &q), NEO_ATTEST_COLLATERAL);
    neo_buffer_fini(&report);
    neo_buffer_fini(&auxblob);
    neo_buffer_fini(&vcek);
    neo_attest_trust_unref(trust);
}

TEST(a_turin_certificate_reads_as_one)
{
    struct snp_endorsement e;
    struct neo_error err;

    if (!vectors_exist())
        skip();
    struct neo_buffer der = vectors_read("snp/turin_vcek_only.der");
    struct neo_buffer chain = vectors_read("snp/roots/ask_ark_turin_vcek.pem");
    struct vendor_bundle bundle = {.max = 4};
    struct vendor_path path;
    assert_int_equal(vendor_bundle_read(&bundle, neo_buffer_bytes(&der), "t", &err), NEO_OK);
    assert_int_equal(vendor_bundle_read(&bundle, neo_buffer_bytes(&chain), "t", &err), NEO_OK);
    assert_int_equal(bundle.n_certs, 3);

    assert_int_equal(snp_endorsement_read(bundle.certs[0], SNP_VCEK, &e, &err), NEO_OK);
    assert_string_equal(e.product->name, "Turin");
    assert_int_equal(e.hwid.len, 8);
    const struct vendor_chain question = {
        .leaf = bundle.certs[0],
        .issuers = &bundle.certs[1],
        .n_issuers = 1,
        .root = bundle.certs[2],
        .now = NOW,
    };
    assert_int_equal(vendor_chain_verify(&question, &path, &err), VENDOR_GOOD);
    assert_ptr_equal(path.issuer, bundle.certs[1]);
    assert_memory_equal(vendor_cert_facts(bundle.certs[2])->sha256, e.product->root_sha256, 32);
    vendor_bundle_fini(&bundle);
    neo_buffer_fini(&der);
    neo_buffer_fini(&chain);
}

/* --- bits and bytes --------------------------------------------------------------------------- */

TEST(no_bit_of_the_signed_region_can_be_turned)
{
    size_t accepted = 0, by_signature = 0;

    if (!vectors_exist())
        skip();
    struct neo_attest_trust *trust = real_trust();
    struct neo_buffer report = vectors_read("snp/genoa_v3_tsm_outblob.bin");
    struct neo_buffer vcek = vectors_read("snp/genoa_v3_tsm_vcek.der");
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    uint8_t binder[NEO_BINDER_LEN];
    struct neo_attest_policies *policies = policy_for(neo_bytes(report.at + 0x90, 48), "");
    const struct neo_evidence evidence = {NEO_EVIDENCE_SNP, neo_buffer_bytes(&report),
                                          neo_buffer_bytes(&vcek)};

    neo_arena_init(&arena, ARENA);
    memcpy(binder, report.at + 0x50, sizeof(binder));
    for (size_t bit = 0; bit < SNP_SIGNED_LEN * 8; bit++) {
        struct neo_appraisal appraisal;
        report.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(neo_attest_appraise(trust, policies, NEO_LIT("function-service"),
                                             &evidence, binder, NOW, &arena, &appraisal, NULL),
                         NEO_OK);
        accepted += appraisal.accepted;
        by_signature += appraisal.reason == NEO_ATTEST_SIGNATURE;
        report.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        neo_arena_reset(&arena);
    }
    assert_int_equal(accepted, 0);
    /* Fields without a rule of their own are held by the signature alone. */
    assert_true(by_signature > SNP_SIGNED_LEN * 8 / 4);
    neo_attest_policies_unref(policies);
    neo_buffer_fini(&report);
    neo_buffer_fini(&vcek);
    neo_attest_trust_unref(trust);
}

/* --- EXPECTED.json ---------------------------------------------------------------------------- */

static void expect_hex(struct neo_json *r, const uint8_t *at, size_t len)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    struct neo_bytes text;

    assert_true(neo_json_string(r, &text));
    assert_true(neo_hex_encode(&hex, neo_bytes(at, len)));
    assert_true(neo_bytes_equal(text, neo_buffer_bytes(&hex)));
}

static void expect_number(struct neo_json *r, uint64_t value)
{
    uint64_t number;

    assert_true(neo_json_u64(r, &number));
    assert_int_equal(number, value);
}

static void expect_numbers(struct neo_json *r, const uint64_t *values, size_t n)
{
    size_t i = 0;

    assert_true(neo_json_enter_array(r));
    for (; neo_json_element(r); i++) {
        assert_true(i < n);
        expect_number(r, values[i]);
    }
    assert_int_equal(i, n);
}

/* All recorded reports are of Milan or Genoa. */
static void expect_tcb(struct neo_json *r, const uint8_t tcb[SNP_TCB_LEN])
{
    struct neo_bytes key;

    assert_true(neo_json_enter_object(r));
    while (neo_json_key(r, &key)) {
        size_t byte = neo_bytes_is(key, "bl")    ? 0
                      : neo_bytes_is(key, "tee") ? 1
                      : neo_bytes_is(key, "snp") ? 6
                                                 : 7;
        expect_number(r, tcb[byte]);
    }
}

static void expect_hex_number(struct neo_json *r, uint64_t value)
{
    char text[24];
    struct neo_bytes found;

    (void)snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
    assert_true(neo_json_string(r, &found));
    assert_true(neo_bytes_is(found, text));
}

/* True: the key was one of ours that are lists, and its value as expected. */
static bool expect_list(struct neo_json *r, struct neo_bytes key, const struct snp_report *s)
{
    if (neo_bytes_is(key, "cpuid")) {
        const uint64_t cpu[] = {s->cpu_family, s->cpu_model, s->cpu_stepping};
        return expect_numbers(r, cpu, 3), true;
    }
    if (neo_bytes_is(key, "cur_ver")) {
        const uint64_t v[] = {s->current_version[2], s->current_version[1], s->current_version[0]};
        return expect_numbers(r, v, 3), true;
    }
    if (neo_bytes_is(key, "com_ver")) {
        const uint64_t v[] = {s->committed_version[2], s->committed_version[1],
                              s->committed_version[0]};
        return expect_numbers(r, v, 3), true;
    }
    return false;
}

/* True: the key was one of ours, and its value as expected. */
static bool expect_field(struct neo_json *r, struct neo_bytes key, const struct snp_report *s)
{
    const struct {
        const char *key;
        const uint8_t *at;
        size_t len;
    } bytes[] = {
        {"report_data", s->report_data, 64},   {"measurement", s->measurement, 48},
        {"host_data", s->host_data, 32},       {"idkey", s->id_key_digest, 48},
        {"authkey", s->author_key_digest, 48}, {"family_id", s->family_id, 16},
        {"image_id", s->image_id, 16},         {"chip_id", s->chip_id, 64},
    };
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"version", s->version},
        {"guest_svn", s->guest_svn},
        {"vmpl", s->vmpl},
        {"sigalgo", s->signature_algo},
        {"keyinfo", s->key_info},
        {"launch_mit", s->launch_mitigations},
        {"cur_mit", s->current_mitigations},
    };
    const struct {
        const char *key;
        const uint8_t *tcb;
    } tcbs[] = {
        {"cur_tcb", s->current_tcb},   {"rep_tcb", s->reported_tcb},  {"com_tcb", s->committed_tcb},
        {"launch_tcb", s->launch_tcb}, {"cert_tcb", s->reported_tcb},
    };

    for (size_t i = 0; i < NEO_COUNT(bytes); i++) {
        if (neo_bytes_is(key, bytes[i].key))
            return expect_hex(r, bytes[i].at, bytes[i].len), true;
    }
    for (size_t i = 0; i < NEO_COUNT(numbers); i++) {
        if (neo_bytes_is(key, numbers[i].key))
            return expect_number(r, numbers[i].value), true;
    }
    for (size_t i = 0; i < NEO_COUNT(tcbs); i++) {
        if (neo_bytes_is(key, tcbs[i].key))
            return expect_tcb(r, tcbs[i].tcb), true;
    }
    if (neo_bytes_is(key, "policy"))
        return expect_hex_number(r, s->policy), true;
    if (neo_bytes_is(key, "platform_info"))
        return expect_hex_number(r, s->platform_info), true;
    return expect_list(r, key, s);
}

/* The first member is the report's file. */
static unsigned expect_report(struct neo_json *r)
{
    struct snp_report s;
    struct neo_bytes key, name;
    uint8_t again[SNP_REPORT_LEN];
    char path[128];
    unsigned seen = 0;

    assert_true(neo_json_enter_object(r) && neo_json_key(r, &key) && neo_bytes_is(key, "report"));
    assert_true(neo_json_string(r, &name));
    (void)snprintf(path, sizeof(path), "%.*s", NEO_FMT(name));
    struct neo_buffer file = vectors_read(path);
    assert_int_equal(snp_report_read(neo_buffer_bytes(&file), &s, NULL), NEO_OK);
    snp_report_write(&s, again);
    assert_memory_equal(again, file.at, SNP_REPORT_LEN);
    while (neo_json_key(r, &key)) {
        if (expect_field(r, key, &s))
            seen++;
        else
            assert_true(neo_json_skip(r));
    }
    neo_buffer_fini(&file);
    return seen;
}

TEST(every_field_of_every_recorded_report_reads_as_expected_and_writes_back)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_json r;
    struct neo_bytes key;
    unsigned reports = 0;

    if (!vectors_exist())
        skip();
    struct neo_buffer text = vectors_read("EXPECTED.json");
    neo_arena_init(&arena, ARENA);
    neo_json_init(&r, neo_buffer_bytes(&text), "EXPECTED.json", &arena);
    assert_true(neo_json_enter_object(&r));
    while (neo_json_key(&r, &key)) {
        if (!neo_bytes_is(key, "snp")) {
            assert_true(neo_json_skip(&r));
            continue;
        }
        assert_true(neo_json_enter_array(&r));
        for (; neo_json_element(&r); reports++)
            assert_int_equal(expect_report(&r), 25);
    }
    assert_int_equal(neo_json_finish(&r, NULL), NEO_OK);
    assert_int_equal(reports, 5);
    neo_buffer_fini(&text);
}

/* --- NEGATIVES.json --------------------------------------------------------------------------- */

static void apply(struct neo_json *r, struct neo_buffer *bytes)
{
    struct neo_bytes op = {0}, hex = {0};
    uint64_t at = 0, value = 0;

    assert_true(neo_json_enter_array(r) && neo_json_element(r) && neo_json_string(r, &op));
    assert_true(neo_json_element(r));
    if (neo_bytes_is(op, "append")) {
        assert_true(neo_json_string(r, &hex));
        assert_int_equal(neo_hex_decode(hex, bytes, NULL), NEO_OK);
    } else if (neo_bytes_is(op, "trunc")) {
        assert_true(neo_json_u64(r, &at));
        bytes->len = (size_t)at;
    } else if (neo_bytes_is(op, "xor")) {
        assert_true(neo_json_u64(r, &at) && neo_json_element(r) && neo_json_u64(r, &value));
        bytes->at[at] ^= (uint8_t)value;
    } else {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
        assert_true(neo_bytes_is(op, "set"));
        assert_true(neo_json_u64(r, &at) && neo_json_element(r) && neo_json_string(r, &hex));
        assert_int_equal(neo_hex_decode(hex, &raw, NULL), NEO_OK);
        memcpy(bytes->at + at, raw.at, raw.len);
    }
    assert_false(neo_json_element(r));
}

/*
 * A changed reserved byte breaks the format, which is judged before the signature that the list
 * names; a changed low byte of REPORT_DATA or MEASUREMENT breaks the signature.
 */
static bool is_expected(struct neo_bytes expected, enum neo_attest_reason reason)
{
    if (neo_bytes_is(expected, "OK"))
        return reason == NEO_ATTEST_NONE;
    if (neo_bytes_is(expected, "FORMAT"))
        return reason == NEO_ATTEST_FORMAT;
    return neo_bytes_is(expected, "SIGNATURE") &&
           (reason == NEO_ATTEST_SIGNATURE || reason == NEO_ATTEST_FORMAT);
}

static bool check_case(struct neo_json *r, const struct neo_attest_trust *trust)
{
    struct neo_bytes key, base = {0}, expected = {0};
    struct neo_buffer bytes = {0};
    bool ours = false;

    assert_true(neo_json_enter_object(r));
    while (neo_json_key(r, &key)) {
        if (neo_bytes_is(key, "base")) {
            char path[128];
            assert_true(neo_json_string(r, &base));
            ours = neo_bytes_starts(base, NEO_LIT("snp/"));
            (void)snprintf(path, sizeof(path), "%.*s", NEO_FMT(base));
            if (ours)
                bytes = vectors_read(path);
        } else if (ours && neo_bytes_is(key, "ops")) {
            assert_true(neo_json_enter_array(r));
            while (neo_json_element(r))
                apply(r, &bytes);
        } else if (neo_bytes_is(key, "expect")) {
            assert_true(neo_json_string(r, &expected));
        } else {
            assert_true(neo_json_skip(r));
        }
    }
    if (ours) {
        struct neo_buffer vcek = vectors_read("snp/genoa_v3_tsm_vcek.der");
        const struct question q = {.report = neo_buffer_bytes(&bytes),
                                   .certificates = neo_buffer_bytes(&vcek)};
        assert_true(neo_bytes_is(base, "snp/genoa_v3_tsm_outblob.bin"));
        assert_true(is_expected(expected, reason_for(trust, &q)));
        neo_buffer_fini(&vcek);
    }
    neo_buffer_fini(&bytes);
    return ours;
}

TEST(every_listed_mutation_is_refused_for_its_reason)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_json r;
    struct neo_bytes key;
    unsigned cases = 0;

    if (!vectors_exist())
        skip();
    struct neo_attest_trust *trust = real_trust();
    struct neo_buffer text = vectors_read("NEGATIVES.json");
    neo_arena_init(&arena, ARENA);
    neo_json_init(&r, neo_buffer_bytes(&text), "NEGATIVES.json", &arena);
    assert_true(neo_json_enter_object(&r));
    while (neo_json_key(&r, &key)) {
        if (!neo_bytes_is(key, "cases")) {
            assert_true(neo_json_skip(&r));
            continue;
        }
        assert_true(neo_json_enter_array(&r));
        while (neo_json_element(&r))
            cases += check_case(&r, trust);
    }
    assert_int_equal(neo_json_finish(&r, NULL), NEO_OK);
    assert_int_equal(cases, 12);
    neo_buffer_fini(&text);
    neo_attest_trust_unref(trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            every_recorded_machine_is_accepted_by_its_own_policy_and_judged_strictly_by_default),
        cmocka_unit_test(a_debug_guest_is_refused_as_such_although_all_its_signatures_are_good),
        cmocka_unit_test(an_expired_certificate_is_refused_as_expired),
        cmocka_unit_test(a_certificate_with_a_forged_hardware_id_has_no_path_to_the_root),
        cmocka_unit_test(a_certificate_of_another_chip_is_refused_although_its_path_is_good),
        cmocka_unit_test(
            the_root_that_came_with_the_report_counts_only_because_its_digest_is_pinned),
        cmocka_unit_test(a_turin_certificate_reads_as_one),
        cmocka_unit_test(no_bit_of_the_signed_region_can_be_turned),
        cmocka_unit_test(every_field_of_every_recorded_report_reads_as_expected_and_writes_back),
        cmocka_unit_test(every_listed_mutation_is_refused_for_its_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
