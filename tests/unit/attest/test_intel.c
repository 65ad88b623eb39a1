/* SPDX-License-Identifier: Apache-2.0 */
/* SGX and TDX on simulated platforms: what no recorded quote can show. */
#include "platform.h"

#include "attest/row.h"

#include <neo/json.h>

#define EXPECT(p, rest, check, why)                                                                \
    do {                                                                                           \
        enum neo_attest_reason reason_;                                                            \
        assert_string_equal(platform_verdict((p), (rest), &reason_), (check));                     \
        assert_string_equal(neo_attest_reason_text(reason_), (why));                               \
    } while (0)

static const struct {
    bool is_tdx;
    unsigned version;
} kinds[] = {{false, 3}, {false, 5}, {true, 4}, {true, 5}};

TEST(a_platform_that_is_up_to_date_is_accepted_in_every_version_of_its_quote)
{
    for (size_t i = 0; i < NEO_COUNT(kinds); i++) {
        struct platform p;
        platform_init(&p, kinds[i].is_tdx, kinds[i].version);
        EXPECT(&p, "", "accepted", "none");
        platform_fini(&p);
    }
}

TEST(a_td_10_in_a_quote_of_version_5_is_accepted_and_kinds_that_nobody_knows_are_unsupported)
{
    struct platform p;

    platform_init(&p, true, 5);
    p.is_td10 = true;
    EXPECT(&p, "", "accepted", "none");
    p.is_td10 = false;
    for (unsigned kind = 1; kind < 8; kind++) {
        p.body_kind = kind;
        if (kind != 3)
            EXPECT(&p, "", "tdx.format", kind > 4 ? "unsupported" : "format");
    }
    p.body_kind = 0;
    p.version = 6;
    EXPECT(&p, "", "tdx.format", "unsupported");
    p.version = 2;
    EXPECT(&p, "", "tdx.format", "format");
    platform_fini(&p);
}

TEST(an_attestation_key_that_the_quoting_enclave_does_not_vouch_for_is_nobodys)
{
    static const size_t bytes[] = {1, 32, 33, 64}; /* of the digest, and of the zeros behind it */
    struct platform p;

    platform_init(&p, true, 4);
    for (size_t i = 0; i < NEO_COUNT(bytes); i++) {
        p.qe_data_flip = bytes[i];
        EXPECT(&p, "", "tdx.qe.key", "signature");
    }
    platform_fini(&p);
}

TEST(levels_are_tried_from_the_newest_in_whatever_order_they_stand)
{
    struct platform p;

    platform_init(&p, true, 4);
    p.levels = PLATFORM_LEVEL(3, "OutOfDate", "") "," PLATFORM_LEVEL(5, "UpToDate", "");
    p.module_levels = PLATFORM_ISV_LEVEL(3, "OutOfDate") "," PLATFORM_ISV_LEVEL(5, "UpToDate");
    platform_issue(&p);
    EXPECT(&p, "", "accepted", "none");
    p.svn = 4;
    platform_issue(&p);
    EXPECT(&p, "", "tdx.tcb.status", "tcb-status");
    platform_fini(&p);
}

/* --- collateral as people have it ------------------------------------------------------------- */

/* A JSON object of strings, as tools keep it. `split`: bodies and signatures apart. */
static struct neo_buffer bundle_of(const struct platform *p, bool split)
{
    const struct neo_buffer *documents[] = {&p->tcb_json, &p->identity_json};
    static const char *const names[] = {"tcb_info", "qe_identity"};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer chain = {0};
    struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out};

    assert_true(vendor_pem_append(&chain, "CERTIFICATE", neo_buffer_bytes(&p->ders[KEY_SIGNER])));
    neo_json_open_object(&w);
    for (size_t i = 0; i < 2; i++) {
        struct neo_bytes text = neo_buffer_bytes(documents[i]);
        const uint8_t *body = memchr(text.at, ':', text.len);
        const uint8_t *end = memmem(text.at, text.len, ",\"signature\":\"", 14);
        assert_true(body != NULL && end != NULL);
        neo_json_put_key(&w, names[i]);
        if (!split) {
            neo_json_put_string(&w, text);
            continue;
        }
        neo_json_put_string(&w, neo_bytes(body + 1, (size_t)(end - body - 1)));
        neo_json_put_key(&w, i == 0 ? "tcb_info_signature" : "qe_identity_signature");
        neo_json_put_string(&w, neo_bytes(end + 14, 128));
    }
    neo_json_put_key(&w, "tcb_info_issuer_chain");
    neo_json_put_string(&w, neo_buffer_bytes(&chain));
    for (size_t i = 0; i < 2; i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
        assert_true(neo_hex_encode(&hex, neo_buffer_bytes(i == 0 ? &p->root_crl : &p->ca_crl)));
        neo_json_put_key(&w, i == 0 ? "root_ca_crl" : "pck_crl");
        neo_json_put_string(&w, neo_buffer_bytes(&hex));
    }
    neo_json_put_key(&w, "version");
    neo_json_put_u64(&w, 3);
    neo_json_close_object(&w);
    return out;
}

static void know(struct platform *p, struct neo_bytes collateral)
{
    const struct neo_attest_trust_options options = {
        .collateral = &collateral,
        .n_collateral = 1,
        .simulated_root = neo_buffer_bytes(&p->ders[KEY_ROOT]),
        .development = true,
    };
    struct neo_error err;

    neo_attest_trust_unref(p->trust);
    p->trust = NULL;
    if (neo_attest_trust_new(&options, &p->trust, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

TEST(a_bundle_of_all_collateral_is_as_good_as_its_pieces)
{
    struct platform p;

    platform_init(&p, true, 4);
    for (unsigned split = 0; split < 2; split++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer bundle = bundle_of(&p, split != 0);
        know(&p, neo_buffer_bytes(&bundle));
        EXPECT(&p, "", "accepted", "none");
        uint8_t *at = memmem(bundle.at, bundle.len, "2026-10-21", 10);
        assert_non_null(at);
        at[9] = '2'; /* a day longer */
        know(&p, neo_buffer_bytes(&bundle));
        EXPECT(&p, "", "tdx.collateral.signature", "signature");
    }
    platform_fini(&p);
}

TEST(objects_that_are_no_collateral_do_not_load)
{
    static const char *const wrong[] = {
        "{}",
        "{\"a\":1}",
        "{\"tcb_info\":\"x\"}",
        "{\"root_ca_crl\":1}",
        "{\"root_ca_crl\":\"00\"}",
        "{\"pck_crl\":\"-----BEGIN CERTIFICATE-----\"}",
        "{\"tcb_info\":\"{}\",\"tcb_info_signature\":\"00\"}",
    };

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        const struct neo_bytes collateral = neo_text(wrong[i]);
        const struct neo_attest_trust_options options = {.collateral = &collateral,
                                                         .n_collateral = 1};
        struct neo_attest_trust *trust = NULL;
        assert_int_equal(neo_attest_trust_new(&options, &trust, NULL), NEO_INVALID_ARGUMENT);
        assert_null(trust);
    }
}

/* --- what is never allowed -------------------------------------------------------------------- */

TEST(debug_is_refused_before_anything_is_asked_of_the_policy)
{
    struct platform p;

    platform_init(&p, false, 3);
    p.flags |= SGX_FLAG_DEBUG;
    EXPECT(&p, "", "sgx.debug", "debug");
    p.flags = 4; /* never initialised */
    EXPECT(&p, "", "sgx.debug", "debug");
    platform_fini(&p);
    for (unsigned bit = 0; bit < 8; bit++) {
        platform_init(&p, true, 4);
        p.td_attributes[0] = (uint8_t)(1u << bit);
        EXPECT(&p,
               "        td_attributes: {value: \"ff00000000000000\", mask: "
               "\"ff00000000000000\"}\n",
               "tdx.debug", "debug");
        platform_fini(&p);
    }
}

TEST(a_quote_for_another_channel_is_refused)
{
    struct platform p;

    platform_init(&p, true, 4);
    p.binder = 0xb2;
    EXPECT(&p, "", "tdx.binder", "binding");
    platform_fini(&p);
}

TEST(another_quoting_enclave_cannot_vouch_for_keys)
{
    struct platform p;

    platform_init(&p, true, 4);
    p.qe_signer = 0xe6;
    EXPECT(&p, "", "tdx.qe.identity", "qe-identity");
    platform_fini(&p);
}

TEST(revoked_certificates_are_refused_wherever_they_stand)
{
    static const struct {
        enum platform_key key;
        const char *check;
    } rows[] = {
        {KEY_PCK, "tdx.chain"}, {KEY_CA, "tdx.chain"}, {KEY_SIGNER, "tdx.collateral.signature"}};

    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        struct platform p;
        platform_init(&p, true, 4);
        p.revoked = rows[i].key;
        platform_issue(&p);
        EXPECT(&p, "", rows[i].check, "revoked");
        platform_fini(&p);
    }
}

/* --- collateral ------------------------------------------------------------------------------- */

TEST(stale_and_missing_collateral_are_told_apart_from_a_refusal)
{
    struct platform p;

    platform_init(&p, true, 4);
    p.crl_until = PLATFORM_NOW;
    platform_issue(&p);
    EXPECT(&p, "", "tdx.chain", "collateral-stale");
    p.crl_until = PLATFORM_NOW + 1;
    p.next_update = "2026-09-21T14:13:20Z"; /* now */
    platform_issue(&p);
    EXPECT(&p, "", "tdx.collateral.fresh", "collateral-stale");
    p.next_update = "2026-09-21T14:13:21Z";
    platform_issue(&p);
    EXPECT(&p, "", "accepted", "none");
    p.issued = "2026-09-21T14:13:21Z";
    platform_issue(&p);
    EXPECT(&p, "", "tdx.collateral.fresh", "collateral-stale");
    p.issued = PLATFORM_ISSUED;
    p.fmspc = "505050505051";
    platform_issue(&p);
    EXPECT(&p, "", "tdx.collateral", "collateral");
    platform_fini(&p);
}

TEST(a_document_with_one_byte_changed_is_nobodys)
{
    struct platform p;

    platform_init(&p, true, 4);
    uint8_t *number = (uint8_t *)memmem(p.tcb_json.at, p.tcb_json.len, "Number\":18", 10);
    assert_non_null(number);
    number[8] = '2';
    const struct neo_bytes collateral[] = {
        neo_buffer_bytes(&p.root_crl),         neo_buffer_bytes(&p.ca_crl),
        neo_buffer_bytes(&p.tcb_json),         neo_buffer_bytes(&p.identity_json),
        neo_buffer_bytes(&p.ders[KEY_SIGNER]),
    };
    const struct neo_attest_trust_options options = {
        .collateral = collateral,
        .n_collateral = NEO_COUNT(collateral),
        .simulated_root = neo_buffer_bytes(&p.ders[KEY_ROOT]),
        .development = true,
    };
    neo_attest_trust_unref(p.trust);
    assert_int_equal(neo_attest_trust_new(&options, &p.trust, NULL), NEO_OK);
    EXPECT(&p, "", "tdx.collateral.signature", "signature");
    platform_fini(&p);
}

TEST(documents_that_are_not_whole_do_not_load)
{
    static const char *const wrong[] = {
        "{}",
        "{\"signature\":\"00\"}",
        "{\"tcbInfo\":{},\"signature\":\"00\"}",
        "{\"tcbInfo\":{},\"tcbInfo\":{}}",
        "{\"tcbInfo\":[]}",
        "{\"other\":{}}",
        "{\"tcbInfo\":{\"id\":\"TDY\"}}",
        "{\"tcbInfo\":{\"version\":2}}",
        "{\"tcbInfo\":{\"issueDate\":\"2025-13-01T00:00:00Z\"}}",
        "{\"tcbInfo\":{\"issueDate\":\"2025-01-01 00:00:00Z\"}}",
        "{\"tcbInfo\":{\"tcbLevels\":[]}}",
        "{\"tcbInfo\":{\"tcbLevels\":[{\"tcbStatus\":\"Fine\"}]}}",
        "{\"tcbInfo\":{\"tcbLevels\":[{\"tcb\":{\"sgxtcbcomponents\":[{\"svn\":256}]}}]}}",
        "{\"tcbInfo\":{\"tcbLevels\":[{\"tcb\":{\"sgxtcbcomponents\":[{\"svn\":1}]}}]}}",
        "{\"tcbInfo\":{\"tdxModuleIdentities\":[{\"id\":\"TDX_0g\"}]}}",
        "{\"enclaveIdentity\":{\"id\":\"QF\"}}",
        "{\"enclaveIdentity\":{\"mrsigner\":\"00\"}}",
    };

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        const struct neo_bytes collateral = neo_text(wrong[i]);
        const struct neo_attest_trust_options options = {.collateral = &collateral,
                                                         .n_collateral = 1};
        struct neo_attest_trust *trust = NULL;
        struct neo_error err;

        assert_int_not_equal(neo_attest_trust_new(&options, &trust, &err), NEO_OK);
        assert_non_null(strstr(err.message, "collateral[0]"));
        assert_null(trust);
    }
}

/* --- the standing of a platform --------------------------------------------------------------- */

TEST(the_first_level_that_is_reached_in_all_components_decides)
{
    struct platform p;

    platform_init(&p, false, 3);
    p.svn = 4;
    platform_issue(&p);
    EXPECT(&p, "", "sgx.tcb.status", "tcb-status");
    EXPECT(&p, "        tcb: {accept: [SWHardeningNeeded]}\n", "sgx.tcb.advisories", "tcb-status");
    EXPECT(&p, "        tcb: {accept: [SWHardeningNeeded], advisories: [INTEL-SA-1]}\n",
           "sgx.tcb.advisories", "tcb-status");
    EXPECT(&p, "        tcb: {accept: [SWHardeningNeeded], advisories: [INTEL-SA-2, INTEL-SA-1]}\n",
           "accepted", "none");
    p.svn = 5;
    p.pce_svn = 3; /* one that lags is enough */
    platform_issue(&p);
    EXPECT(&p, "        tcb: {accept: [OutOfDate]}\n", "accepted", "none");
    p.svn = 2;
    platform_issue(&p);
    EXPECT(&p, "        tcb: {accept: [OutOfDate]}\n", "sgx.tcb", "tcb-status");
    platform_fini(&p);
}

TEST(a_revoked_level_is_beyond_every_rule)
{
    struct platform p;

    platform_init(&p, false, 3);
    p.levels = PLATFORM_LEVEL(5, "Revoked", "");
    platform_issue(&p);
    EXPECT(&p, "        tcb: {accept: [OutOfDate, SWHardeningNeeded, ConfigurationNeeded]}\n",
           "sgx.tcb", "tcb-status");
    platform_fini(&p);
}

TEST(an_old_quoting_enclave_or_module_makes_an_up_to_date_platform_old)
{
    struct platform p;

    platform_init(&p, true, 4);
    p.qe_svn = 3;
    EXPECT(&p, "", "tdx.tcb.status", "tcb-status");
    EXPECT(&p, "        tcb: {accept: [OutOfDate]}\n", "accepted", "none");
    p.qe_svn = 1; /* below every level */
    EXPECT(&p, "        tcb: {accept: [OutOfDate]}\n", "tdx.tcb", "tcb-status");
    p.qe_svn = 4;
    p.tee_svn[0] = 4; /* the module's own */
    EXPECT(&p, "", "tdx.tcb.status", "tcb-status");
    p.tee_svn[1] = 2; /* a module that nobody knows */
    EXPECT(&p, "", "tdx.module", "platform");
    platform_fini(&p);
}

TEST(a_module_without_a_version_is_judged_by_all_components)
{
    struct platform p;

    platform_init(&p, true, 4);
    p.tee_svn[1] = 0;
    EXPECT(&p, "", "tdx.tcb", "tcb-status"); /* component 1 is below every level's */
    p.levels = "{\"tcb\":{\"sgxtcbcomponents\":[" PLATFORM_SVN(
        5) "],\"pcesvn\":5,"
           "\"tdxtcbcomponents\":[" PLATFORM_SVN(0) "]},\"tcbDate\":\"2025-01-05T00:00:00Z\","
                                                    "\"tcbStatus\":\"UpToDate\"}";
    platform_issue(&p);
    EXPECT(&p, "", "accepted", "none");
    platform_fini(&p);
}

TEST(a_td_that_was_launched_on_what_is_old_by_now_should_be_launched_again)
{
    struct platform p;

    platform_init(&p, true, 5);
    p.tee_svn[0] = 4;
    EXPECT(&p, "", "tdx.tcb.status", "tcb-status");
    EXPECT(&p, "        tcb: {accept: [OutOfDate]}\n", "tdx.tcb.status", "tcb-status");
    EXPECT(&p, "        tcb: {accept: [TDRelaunchAdvised]}\n", "accepted", "none");
    p.tee_svn_now[0] = 4; /* and still runs on it */
    EXPECT(&p, "        tcb: {accept: [TDRelaunchAdvised]}\n", "tdx.tcb.status", "tcb-status");
    EXPECT(&p, "        tcb: {accept: [OutOfDate]}\n", "accepted", "none");
    platform_fini(&p);
}

/* --- every key decides ------------------------------------------------------------------------ */

#define HEX48(byte)                                                                                \
    byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte \
        byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte  \
            byte byte byte byte byte byte byte byte byte byte byte
#define HEX16(byte) byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte

static const struct {
    bool is_tdx;
    const char *right;
    const char *wrong;
    const char *check;
} keys_of_rows[] = {
    {true, "        mrseam: [" HEX48("5e") "]\n", "        mrseam: [" HEX48("5f") "]\n",
     "tdx.mrseam"},
    {true, "        mrconfigid: [" HEX48("c1") "]\n", "        mrconfigid: [" HEX48("c0") "]\n",
     "tdx.mrconfigid"},
    {true, "        mrowner: [" HEX48("c2") "]\n", "        mrowner: [" HEX48("c0") "]\n",
     "tdx.mrowner"},
    {true, "        mrownerconfig: [" HEX48("c3") "]\n",
     "        mrownerconfig: [" HEX48("c0") "]\n", "tdx.mrownerconfig"},
    {true, "        rtmr: {0: [\"" HEX48("70") "\"]}\n",
     "        rtmr: {0: [\"" HEX48("71") "\"]}\n", "tdx.rtmr.0"},
    {true, "        rtmr: {1: [\"" HEX48("71") "\"]}\n",
     "        rtmr: {1: [\"" HEX48("72") "\"]}\n", "tdx.rtmr.1"},
    {true, "        rtmr: {2: [\"" HEX48("72") "\"]}\n",
     "        rtmr: {2: [\"" HEX48("71") "\"]}\n", "tdx.rtmr.2"},
    {true, "        rtmr: {3: [\"" HEX48("00") "\", \"" HEX48("73") "\"]}\n",
     "        rtmr: {3: [\"" HEX48("00") "\"]}\n", "tdx.rtmr.3"},
    {true, "        mrservicetd: zero\n", "        mrservicetd: \"" HEX48("01") "\"\n",
     "tdx.mrservicetd"},
    {true, "        xfam: {value: e702000000000000, mask: ffffffffffffffff}\n",
     "        xfam: {value: e700000000000000, mask: ffffffffffffffff}\n", "tdx.xfam"},
    {true, "        td_attributes: {value: \"0000001000000000\", mask: ffffffffffffffff}\n",
     "        td_attributes: {value: \"0000000000000000\", mask: ffffffffffffffff}\n",
     "tdx.td_attributes"},
    {true, "        tcb: {min_date: 2025-01-04}\n", "        tcb: {min_date: 2025-01-05}\n",
     "tdx.tcb.min_date"},
    {true, "        tcb: {min_eval_number: 18}\n", "        tcb: {min_eval_number: 19}\n",
     "tdx.tcb.min_eval_number"},
    {true, "        pck: {sgx_type: [0, 1]}\n", "        pck: {sgx_type: [2]}\n",
     "tdx.pck.sgx_type"},
    {true, "        pck: {ppid: [" HEX16("ab") "]}\n", "        pck: {ppid: [" HEX16("ac") "]}\n",
     "tdx.pck.ppid"},
    {true, "        pck: {platform_instance_id: [" HEX16("cd") "]}\n",
     "        pck: {platform_instance_id: [" HEX16("ce") "]}\n", "tdx.pck.platform_instance_id"},
    {true, "        pck: {fmspc: [\"505050505050\"]}\n",
     "        pck: {fmspc: [\"505050505051\"]}\n", "tdx.pck.fmspc"},
    {false,
     "        mrsigner: [" HEX16("51") HEX16("51") "]\n        isvprodid: 7\n"
                                                   "        min_isvsvn: 3\n",
     "        mrsigner: [" HEX16("52") HEX16("52") "]\n        isvprodid: 7\n", "sgx.mrsigner"},
    {false, "        mrsigner: [" HEX16("51") HEX16("51") "]\n        isvprodid: 7\n",
     "        mrsigner: [" HEX16("51") HEX16("51") "]\n        isvprodid: 8\n", "sgx.isvprodid"},
    {false, "        mrsigner: [" HEX16("51") HEX16("51") "]\n        isvprodid: 7\n",
     "        mrsigner: [" HEX16("51") HEX16("51") "]\n        isvprodid: 7\n"
                                                   "        min_isvsvn: 4\n",
     "sgx.min_isvsvn"},
};

TEST(every_key_of_a_row_accepts_the_right_value_and_refuses_another)
{
    struct platform tdx, sgx;

    platform_init(&tdx, true, 4);
    platform_init(&sgx, false, 3);
    for (size_t i = 0; i < NEO_COUNT(keys_of_rows); i++) {
        struct platform *p = keys_of_rows[i].is_tdx ? &tdx : &sgx;
        enum neo_attest_reason reason;
        const char *right = platform_verdict(p, keys_of_rows[i].right, &reason);
        const char *wrong = platform_verdict(p, keys_of_rows[i].wrong, &reason);
        if (strcmp(right, "accepted") != 0 || strcmp(wrong, keys_of_rows[i].check) != 0)
            fail_msg("%s: %s, %s", keys_of_rows[i].check, right, wrong);
    }
    platform_fini(&tdx);
    platform_fini(&sgx);
}

TEST(a_td_15_with_its_extension_is_accepted_and_judged_on_what_only_that_says)
{
    static const char named[] = "        mrservicetd: \"" HEX48("55") "\"\n";
    struct platform p;

    platform_init(&p, true, 5);
    p.is_extended = true;
    EXPECT(&p, "", "accepted", "none");
    p.vmid = 1;
    EXPECT(&p, "", "tdx.vmid", "platform");
    p.vmid = 0;
    p.service_td_now = 0x55; /* bound after the TD was created, when none was */
    EXPECT(&p, "", "tdx.mrservicetd.bound", "platform");
    p.service_td = 0x55;
    EXPECT(&p, named, "accepted", "none");
    p.service_td_first = 0x55;
    EXPECT(&p, named, "accepted", "none");
    p.service_td_now = 0x56;
    EXPECT(&p, named, "tdx.mrservicetd.bound", "platform");
    p.service_td_now = 0;
    EXPECT(&p, named, "accepted", "none");
    p.service_td_first = 0x56;
    EXPECT(&p, named, "tdx.mrservicetd.bound", "platform");
    platform_fini(&p);
}

TEST(every_byte_of_the_extension_is_signed_and_none_may_be_missing)
{
    struct platform p;

    platform_init(&p, true, 5);
    p.is_extended = true;
    for (size_t at = PLATFORM_EXTENSION; at < PLATFORM_EXTENSION + PLATFORM_EXTENSION_LEN; at++) {
        p.flip = at;
        EXPECT(&p, "", "tdx.signature", "signature");
    }
    p.flip = 0;
    p.body_kind = 3; /* the length of the other kind */
    EXPECT(&p, "", "tdx.format", "format");
    platform_fini(&p);
}

TEST(strict_defaults_refuse_what_nobody_allowed)
{
    struct platform p;

    platform_init(&p, true, 5);
    p.td_attributes[3] = 0; /* page tables unprotected */
    EXPECT(&p, "", "tdx.td_attributes", "platform");
    p.td_attributes[3] = 0x30; /* migratable */
    EXPECT(&p, "", "tdx.td_attributes", "platform");
    p.td_attributes[3] = 0xd0; /* protection keys may be in use */
    EXPECT(&p, "", "accepted", "none");
    p.td_attributes[7] = 0x80; /* performance counters */
    EXPECT(&p, "", "tdx.td_attributes", "platform");
    p.td_attributes[7] = 0;
    p.service_td = 1;
    EXPECT(&p, "", "tdx.mrservicetd", "platform");
    p.service_td = 0;
    p.code = 0x4e;
    EXPECT(&p, "", "tdx.mrtd", "measurement");
    platform_fini(&p);
    platform_init(&p, false, 3);
    p.flags |= SGX_FLAG_PROVISION_KEY;
    EXPECT(&p, "", "sgx.keys", "platform");
    p.flags = 5;
    p.code = 0x4e;
    EXPECT(&p, "", "sgx.mrenclave", "measurement");
    platform_fini(&p);
}

/* --- policy ----------------------------------------------------------------------------------- */

TEST(rows_without_code_identity_or_with_impossible_wishes_do_not_load)
{
    static const struct {
        bool is_tdx;
        const char *row;
        const char *message;
    } wrong[] = {
        {true, "", "no code identity"},
        {true, "        rtmr: {0: [aa]}\n", "no code identity"},
        {true, "        mrtd: []\n", "is empty"},
        {true, "        mrtd: [aa]\n", "48 bytes"},
        {true, "        mrenclave: [aa]\n", "does not belong to tee tdx"},
        {true, "        measurement: [aa]\n", "does not belong to tee tdx"},
        {false, "", "no code identity"},
        {false, "        mrsigner: [" HEX16("51") HEX16("51") "]\n", "belong together"},
        {false, "        isvprodid: 7\n", "belong together"},
        {false, "        mrenclave: [" HEX16("51") HEX16("51") "]\n        min_isvsvn: 1\n",
         "belongs to mrsigner"},
        {false, "        mrtd: [aa]\n", "does not belong to tee sgx"},
#define MRTD "        mrtd: [" HEX48("4d") "]\n"
        {true, MRTD "        tcb: {accept: [Revoked]}\n", "can never be accepted"},
        {true, MRTD "        tcb: {accept: [TCBNotSupported]}\n", "can never be accepted"},
        {true, MRTD "        tcb: {accept: [Fine]}\n", "no TCB status"},
        {true, MRTD "        tcb: {accept: []}\n", "is empty"},
        {true, MRTD "        tcb: {min_date: yesterday}\n", "2024-11-13"},
        {true, MRTD "        tcb: {min_date: 2024-13-01}\n", "2024-11-13"},
        {true, MRTD "        pck: {sgx_type: [3]}\n", "sgx_type"},
        {true, MRTD "        rtmr: {4: [aa]}\n", "no RTMR"},
        {true, MRTD "        xfam: {value: e700000000000000}\n", "value and mask"},
        {true, MRTD "        xfam: {value: e700000000000000, mask: \"0000000000000000\"}\n",
         "leaves out"},
        {true, MRTD "        mrservicetd: none\n", "48 bytes"},
    };

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        const struct platform p = {.is_tdx = wrong[i].is_tdx};
        struct neo_attest_policies *policies = NULL;
        struct neo_error err;

        assert_int_equal(platform_compile(&p, wrong[i].row, &policies, &err), NEO_INVALID_ARGUMENT);
        if (strstr(err.message, wrong[i].message) == NULL ||
            strstr(err.message, "attest.yaml:") == NULL)
            fail_msg("%s: %s", wrong[i].row, err.message);
        assert_null(policies);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_platform_that_is_up_to_date_is_accepted_in_every_version_of_its_quote),
        cmocka_unit_test(
            a_td_10_in_a_quote_of_version_5_is_accepted_and_kinds_that_nobody_knows_are_unsupported),
        cmocka_unit_test(a_td_15_with_its_extension_is_accepted_and_judged_on_what_only_that_says),
        cmocka_unit_test(every_byte_of_the_extension_is_signed_and_none_may_be_missing),
        cmocka_unit_test(an_attestation_key_that_the_quoting_enclave_does_not_vouch_for_is_nobodys),
        cmocka_unit_test(levels_are_tried_from_the_newest_in_whatever_order_they_stand),
        cmocka_unit_test(a_bundle_of_all_collateral_is_as_good_as_its_pieces),
        cmocka_unit_test(objects_that_are_no_collateral_do_not_load),
        cmocka_unit_test(debug_is_refused_before_anything_is_asked_of_the_policy),
        cmocka_unit_test(a_quote_for_another_channel_is_refused),
        cmocka_unit_test(another_quoting_enclave_cannot_vouch_for_keys),
        cmocka_unit_test(revoked_certificates_are_refused_wherever_they_stand),
        cmocka_unit_test(stale_and_missing_collateral_are_told_apart_from_a_refusal),
        cmocka_unit_test(a_document_with_one_byte_changed_is_nobodys),
        cmocka_unit_test(documents_that_are_not_whole_do_not_load),
        cmocka_unit_test(the_first_level_that_is_reached_in_all_components_decides),
        cmocka_unit_test(a_revoked_level_is_beyond_every_rule),
        cmocka_unit_test(an_old_quoting_enclave_or_module_makes_an_up_to_date_platform_old),
        cmocka_unit_test(a_module_without_a_version_is_judged_by_all_components),
        cmocka_unit_test(a_td_that_was_launched_on_what_is_old_by_now_should_be_launched_again),
        cmocka_unit_test(every_key_of_a_row_accepts_the_right_value_and_refuses_another),
        cmocka_unit_test(strict_defaults_refuse_what_nobody_allowed),
        cmocka_unit_test(rows_without_code_identity_or_with_impossible_wishes_do_not_load),
    };
    return cmocka_run_group_tests_name("attest/intel", tests, NULL, NULL);
}
