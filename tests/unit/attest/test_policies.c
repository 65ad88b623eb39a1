/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy file: what does not load, and that every key decides.
 *
 * A key that is compiled but never compared is the classic fault of such code. So
 * each has a row: the snippet accepts the plain machine and refuses the changed
 * one, at its own check; and a looser policy accepts the changed machine, which
 * shows that nothing else refused it.
 */
#include "machine.h"

#include "attest/snp_rule.h"

#include <neo/memory.h>

static const struct snp_rule *snp_rule_of(const struct attest_policy *policy)
{
    assert_ptr_equal(policy->rules[0].family, &attest_snp);
    return policy->rules[0].is;
}

/* --- every key decides ------------------------------------------------------------------------ */

struct sensitivity {
    const char *key;
    const char *snippet;
    const char *looser; /* "": defaults; NULL: no policy accepts the changed machine */
    void (*change)(struct machine *m);
    const char *check;
    enum neo_attest_reason reason;
};

#define CHANGE(name, statement)                                                                    \
    static void name(struct machine *m)                                                            \
    {                                                                                              \
        statement;                                                                                 \
    }

CHANGE(change_measurement, m->report.measurement[47] ^= 1)
CHANGE(lower_version, (m->report.version = 2, m->report.cpu_family = 0, m->report.cpu_model = 0,
                       m->report.cpu_stepping = 0))
CHANGE(raise_vmpl, m->report.vmpl = 1)
CHANGE(set_debug, m->report.policy |= SNP_POLICY_DEBUG)
CHANGE(set_migrate_ma, m->report.policy |= SNP_POLICY_MIGRATE_MA)
CHANGE(set_agent, m->report.report_id_ma[5] = 0)
CHANGE(clear_smt, m->report.policy &= ~SNP_POLICY_SMT)
CHANGE(set_single_socket, m->report.policy |= SNP_POLICY_SINGLE_SOCKET)
CHANGE(set_cxl, m->report.policy |= SNP_POLICY_CXL)
CHANGE(set_xts, m->report.policy |= SNP_POLICY_MEM_AES_256_XTS)
CHANGE(set_rapl, m->report.policy |= SNP_POLICY_RAPL_DIS)
CHANGE(set_hiding, m->report.policy |= SNP_POLICY_CIPHERTEXT_HIDING)
CHANGE(set_page_swap, m->report.policy |= SNP_POLICY_PAGE_SWAP_DISABLE)
CHANGE(clear_platform_smt, m->report.platform_info &= ~SNP_PLATFORM_SMT)
CHANGE(set_tsme, m->report.platform_info |= SNP_PLATFORM_TSME)
CHANGE(clear_ecc, m->report.platform_info &= ~SNP_PLATFORM_ECC)
CHANGE(set_platform_rapl, m->report.platform_info |= SNP_PLATFORM_RAPL_DIS)
CHANGE(set_platform_hiding, m->report.platform_info |= SNP_PLATFORM_CIPHERTEXT_HIDING)
CHANGE(clear_alias_check, m->report.platform_info &= ~SNP_PLATFORM_ALIAS_CHECK)
CHANGE(set_tio, m->report.platform_info |= SNP_PLATFORM_TIO)
CHANGE(lower_launch, m->report.launch_tcb[7]--)
CHANGE(run_uncommitted, m->report.current_tcb[7]++)
CHANGE(run_uncommitted_build, m->report.current_version[0]++)
CHANGE(lower_firmware, (m->report.committed_version[0]--, m->report.current_version[0]--))
CHANGE(lose_mitigation, m->report.current_mitigations &= ~UINT64_C(2))
CHANGE(lose_mitigation_at_launch, m->report.launch_mitigations &= ~UINT64_C(2))
CHANGE(change_id_key, m->report.id_key_digest[0] ^= 1)
CHANGE(change_author_key, m->report.author_key_digest[0] ^= 1)
CHANGE(drop_author_key, (m->report.key_info = 0, memset(m->report.author_key_digest, 0, 48)))
CHANGE(change_host_data, m->report.host_data[31] ^= 1)
CHANGE(change_family_id, m->report.family_id[3] ^= 1)
CHANGE(change_image_id, m->report.image_id[3] ^= 1)
CHANGE(lower_guest_svn, m->report.guest_svn--)
CHANGE(mask_chip, memset(m->report.chip_id, 0, SNP_CHIP_ID_LEN))
CHANGE(be_another_chip, (memset(m->chip.hwid, 0xc2, SNP_CHIP_ID_LEN), machine_issue(m),
                         memset(m->report.chip_id, 0xc2, SNP_CHIP_ID_LEN)))
CHANGE(lower_reported, (m->chip.tcb[SNP_SNP]--, machine_issue(m), m->report.reported_tcb[6]--))

#define HEX16(b) b b b b b b b b b b b b b b b b
#define HEX32(b) HEX16(b) HEX16(b)
#define HEX48(b) HEX32(b) HEX16(b)
#define HEX64(b) HEX32(b) HEX32(b)

static const struct sensitivity rows[] = {
    {"measurement", "", NULL, change_measurement, "snp.measurement", NEO_ATTEST_MEASUREMENT},
    {"min_report_version", "        min_report_version: 3\n", "        min_report_version: 2\n",
     lower_version, "snp.report_version", NEO_ATTEST_TCB_FLOOR},
    {"vmpl", "        vmpl: 0\n", "        vmpl: 1\n", raise_vmpl, "snp.vmpl", NEO_ATTEST_PLATFORM},
    {"policy.debug", "        policy: {debug: forbid}\n", NULL, set_debug, "snp.policy.debug",
     NEO_ATTEST_DEBUG},
    {"policy.migrate_ma", "        policy: {migrate_ma: forbid}\n", NULL, set_migrate_ma,
     "snp.policy.migrate_ma", NEO_ATTEST_PLATFORM},
    {"policy.migrate_ma", "", NULL, set_agent, "snp.policy.migrate_ma", NEO_ATTEST_PLATFORM},
    {"policy.smt", "        policy: {smt: require}\n", "        policy: {smt: forbid}\n", clear_smt,
     "snp.policy.smt", NEO_ATTEST_PLATFORM},
    {"policy.single_socket", "        policy: {single_socket: forbid}\n",
     "        policy: {single_socket: require}\n", set_single_socket, "snp.policy.single_socket",
     NEO_ATTEST_PLATFORM},
    {"policy.cxl", "        policy: {cxl: forbid}\n", "        policy: {cxl: any}\n", set_cxl,
     "snp.policy.cxl", NEO_ATTEST_PLATFORM},
    {"policy.cxl by default", "", "        policy: {cxl: require}\n", set_cxl, "snp.policy.cxl",
     NEO_ATTEST_PLATFORM},
    {"policy.mem_aes_256_xts", "        policy: {mem_aes_256_xts: forbid}\n", "", set_xts,
     "snp.policy.mem_aes_256_xts", NEO_ATTEST_PLATFORM},
    {"policy.rapl_dis", "        policy: {rapl_dis: forbid}\n", "", set_rapl, "snp.policy.rapl_dis",
     NEO_ATTEST_PLATFORM},
    {"policy.ciphertext_hiding", "        policy: {ciphertext_hiding: forbid}\n", "", set_hiding,
     "snp.policy.ciphertext_hiding", NEO_ATTEST_PLATFORM},
    {"policy.page_swap_disable", "        policy: {page_swap_disable: forbid}\n", "", set_page_swap,
     "snp.policy.page_swap_disable", NEO_ATTEST_PLATFORM},
    {"platform.smt", "        platform: {smt: require}\n", "", clear_platform_smt,
     "snp.platform.smt", NEO_ATTEST_PLATFORM},
    {"platform.tsme", "        platform: {tsme: forbid}\n", "", set_tsme, "snp.platform.tsme",
     NEO_ATTEST_PLATFORM},
    {"platform.ecc", "        platform: {ecc: require}\n", "", clear_ecc, "snp.platform.ecc",
     NEO_ATTEST_PLATFORM},
    {"platform.rapl_dis", "        platform: {rapl_dis: forbid}\n", "", set_platform_rapl,
     "snp.platform.rapl_dis", NEO_ATTEST_PLATFORM},
    {"platform.ciphertext_hiding", "        platform: {ciphertext_hiding: forbid}\n", "",
     set_platform_hiding, "snp.platform.ciphertext_hiding", NEO_ATTEST_PLATFORM},
    {"platform.alias_check", "        platform: {alias_check: require}\n",
     "        platform: {alias_check: any}\n", clear_alias_check, "snp.platform.alias_check",
     NEO_ATTEST_PLATFORM},
    {"platform.alias_check by default", "", "        platform: {alias_check: forbid}\n",
     clear_alias_check, "snp.platform.alias_check", NEO_ATTEST_PLATFORM},
    {"platform.tio", "        platform: {tio: forbid}\n", "", set_tio, "snp.platform.tio",
     NEO_ATTEST_PLATFORM},
    {"min_tcb, reported", "        min_tcb: {snp: 23}\n", "", lower_reported, "snp.tcb.reported",
     NEO_ATTEST_TCB_FLOOR},
    {"min_tcb, launch", "        min_tcb: {microcode: 200}\n",
     "        min_tcb: {microcode: 199}\n", lower_launch, "snp.tcb.launch", NEO_ATTEST_TCB_FLOOR},
    {"committed_equals_current", "        committed_equals_current: true\n",
     "        committed_equals_current: false\n", run_uncommitted, "snp.tcb.provisional",
     NEO_ATTEST_TCB_FLOOR},
    {"committed_equals_current by default", "", "        committed_equals_current: false\n",
     run_uncommitted_build, "snp.tcb.provisional", NEO_ATTEST_TCB_FLOOR},
    {"min_firmware", "        min_firmware: 1.55.40\n", "        min_firmware: 1.54.200\n",
     lower_firmware, "snp.firmware", NEO_ATTEST_TCB_FLOOR},
    {"min_mitigation_vector", "        min_mitigation_vector: 0x3\n",
     "        min_mitigation_vector: 0x1\n", lose_mitigation, "snp.mitigations",
     NEO_ATTEST_TCB_FLOOR},
    {"min_mitigation_vector", "        min_mitigation_vector: 0x3\n", "", lose_mitigation_at_launch,
     "snp.mitigations", NEO_ATTEST_TCB_FLOOR},
    {"id_key_digest", "        id_key_digest: [" HEX48("1d") "]\n", "", change_id_key,
     "snp.id_key_digest", NEO_ATTEST_MEASUREMENT},
    {"author_key_digest", "        author_key_digest: [" HEX48("ab") "]\n", "", change_author_key,
     "snp.author_key_digest", NEO_ATTEST_MEASUREMENT},
    {"author_key_digest", "        author_key_digest: [" HEX48("ab") "]\n", "", drop_author_key,
     "snp.author_key_digest", NEO_ATTEST_MEASUREMENT},
    {"author_key_digest, of zeros",
     "        author_key_digest: [" HEX48("ab") ", " HEX48("00") "]\n", "", drop_author_key,
     "snp.author_key_digest", NEO_ATTEST_MEASUREMENT},
    {"host_data", "        host_data: [" HEX32("00") ", " HEX32("4d") "]\n", "", change_host_data,
     "snp.host_data", NEO_ATTEST_MEASUREMENT},
    {"family_id", "        family_id: [" HEX16("fa") "]\n", "", change_family_id, "snp.family_id",
     NEO_ATTEST_MEASUREMENT},
    {"image_id", "        image_id: [" HEX16("1a") "]\n", "", change_image_id, "snp.image_id",
     NEO_ATTEST_MEASUREMENT},
    {"min_guest_svn", "        min_guest_svn: 7\n", "        min_guest_svn: 6\n", lower_guest_svn,
     "snp.guest_svn", NEO_ATTEST_MEASUREMENT},
    {"chip_id", "        chip_id: [" HEX64("c1") "]\n", "        chip_id: [" HEX64("c2") "]\n",
     be_another_chip, "snp.chip_id", NEO_ATTEST_PLATFORM},
    {"chip_id", "        chip_id: [" HEX64("c1") "]\n        masked_chip_id: allow\n",
     "        masked_chip_id: allow\n", mask_chip, "snp.chip_id", NEO_ATTEST_PLATFORM},
    {"chip_id, of zeros",
     "        chip_id: [" HEX64("c1") ", " HEX64("00") "]\n        masked_chip_id: allow\n",
     "        masked_chip_id: allow\n", mask_chip, "snp.chip_id", NEO_ATTEST_PLATFORM},
    {"masked_chip_id", "        masked_chip_id: forbid\n", "        masked_chip_id: allow\n",
     mask_chip, "snp.chip_id", NEO_ATTEST_PLATFORM},
};

/* A machine with something in every field that a policy may ask for. */
static void init_rich(struct machine *m)
{
    machine_init(m, "Genoa", SNP_VCEK);
    m->report.version = 5;
    m->report.key_info |= SNP_KEY_AUTHOR;
    m->report.launch_mitigations = 0x13;
    m->report.current_mitigations = 0x13;
    m->report.guest_svn = 7;
    memset(m->report.id_key_digest, 0x1d, 48);
    memset(m->report.author_key_digest, 0xab, 48);
    memset(m->report.host_data, 0x4d, 32);
    memset(m->report.family_id, 0xfa, 16);
    memset(m->report.image_id, 0x1a, 16);
}

TEST(every_key_accepts_what_it_names_and_refuses_the_rest_at_its_own_check)
{
    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        const struct sensitivity *row = &rows[i];
        enum neo_attest_reason reason;
        struct machine m;

        init_rich(&m);
        if (strcmp(machine_verdict(&m, row->snippet, NULL), "accepted") != 0)
            fail_msg("%s refuses what it names", row->key);
        row->change(&m);
        const char *check = machine_verdict(&m, row->snippet, &reason);
        if (strcmp(check, row->check) != 0 || reason != row->reason)
            fail_msg("%s: %s (%s)", row->key, check, neo_attest_reason_text(reason));
        if (row->looser != NULL && strcmp(machine_verdict(&m, row->looser, NULL), "accepted") != 0)
            fail_msg("%s: something else refuses", row->key);
        machine_fini(&m);
    }
}

TEST(committed_firmware_has_the_same_floor)
{
    enum neo_attest_reason reason;
    struct machine m;

    /* Below the floor only where the host could go back to: committed, and so reported. */
    machine_init(&m, "Genoa", SNP_VCEK);
    m.chip.tcb[SNP_MICROCODE] -= 5;
    machine_issue(&m);
    m.report.reported_tcb[7] = (uint8_t)(m.report.reported_tcb[7] - 5);
    m.report.committed_tcb[7] = (uint8_t)(m.report.committed_tcb[7] - 5);
    const char *rest = "        min_tcb: {microcode: 200}\n"
                       "        committed_equals_current: false\n";
    assert_string_equal(machine_verdict(&m, rest, &reason), "snp.tcb.reported");
    struct neo_attest_policies *policies = machine_policy(rest);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = machine_certificates(&m);
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    neo_arena_init(&arena, MACHINE_ARENA);
    struct neo_appraisal a =
        machine_appraise(&m, policies, neo_buffer_bytes(&certificates), &arena);
    assert_int_equal(a.checks[CHECK_TCB_COMMITTED].result, NEO_CHECK_FAIL);
    assert_int_equal(a.checks[CHECK_TCB_LAUNCH].result, NEO_CHECK_PASS);
    neo_attest_policies_unref(policies);
    machine_fini(&m);
}

TEST(tcb_floors_are_by_component_and_not_by_number)
{
    struct machine m;

    /* As one number the machine's 10.1.23.200 is above any floor with a smaller microcode. */
    machine_init(&m, "Genoa", SNP_VCEK);
    assert_string_equal(
        machine_verdict(&m, "        min_tcb: {bootloader: 11, microcode: 1}\n", NULL),
        "snp.tcb.reported");
    assert_string_equal(machine_verdict(&m,
                                        "        min_tcb: {bootloader: 10, tee: 1, snp: 23, "
                                        "microcode: 200}\n",
                                        NULL),
                        "accepted");
    machine_fini(&m);
}

TEST(turins_fmc_has_a_floor_of_its_own)
{
    struct machine m;

    machine_init(&m, "Turin", SNP_VCEK);
    assert_string_equal(
        machine_verdict(&m, "        products: [Turin]\n        min_tcb: {fmc: 3}\n", NULL),
        "accepted");
    assert_string_equal(
        machine_verdict(&m, "        products: [Turin]\n        min_tcb: {fmc: 4}\n", NULL),
        "snp.tcb.reported");
    assert_string_equal(machine_verdict(&m, "        chip_id: [c1c1c1c1c1c1c1c1]\n", NULL),
                        "accepted");
    assert_string_equal(machine_verdict(&m, "        chip_id: [c1c1c1c1c1c1c1c2]\n", NULL),
                        "snp.chip_id");
    machine_fini(&m);
}

TEST(products_and_signing_keys_are_lists_of_what_is_allowed)
{
    struct machine m;

    machine_init(&m, "Milan", SNP_VCEK);
    assert_string_equal(machine_verdict(&m, "        products: [Genoa, Turin]\n", NULL),
                        "snp.products");
    assert_string_equal(machine_verdict(&m, "        products: [Milan]\n", NULL), "accepted");
    machine_fini(&m);
    machine_init(&m, "Milan", SNP_VLEK);
    assert_string_equal(machine_verdict(&m, "        vek: [vcek]\n", NULL), "snp.vek");
    assert_string_equal(
        machine_verdict(&m, "        vek: [vcek, vlek]\n        csp_id: [CN=somebody]\n", NULL),
        "snp.csp_id");
    assert_string_equal(machine_verdict(&m,
                                        "        vek: [vlek]\n"
                                        "        csp_id: [CN=x, CN=cc-us-east-2.example.com]\n",
                                        NULL),
                        "accepted");
    machine_fini(&m);
}

TEST(of_several_rows_one_must_hold_as_a_whole_and_the_nearest_is_shown)
{
    /* Row 1 wants VMPL 1; row 2 the right VMPL and another chip; neither is made up of both. */
    const char *two = "        vmpl: 1\n"
                      "      - tee: sev-snp\n"
                      "        measurement: [" HEX48("4d") "]\n"
                                                           "        chip_id: [" HEX64("c2") "]\n";
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    assert_string_equal(machine_verdict(&m, two, NULL), "snp.chip_id");
    m.report.vmpl = 1;
    assert_string_equal(machine_verdict(&m, two, NULL), "accepted");
    machine_fini(&m);
}

/* --- what does not load ----------------------------------------------------------------------- */

static void expect_refusal(const char *text, bool development, enum neo_code code,
                           const char *message)
{
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_text(text)};
    struct neo_attest_policies *policies = NULL;
    struct neo_error err = {0};

    if (neo_attest_policies_compile(&document, 1, development, &policies, &err) != code ||
        strstr(err.message, message) == NULL)
        fail_msg("\"%s\" instead of \"%s\"", err.message, message);
    assert_null(policies);
}

#define HEAD                                                                                       \
    "attestation_policies:\n"                                                                      \
    "  function-service:\n"                                                                        \
    "    require: hardware\n"
#define ROW  HEAD "    any_of:\n      - tee: sev-snp\n"
#define GOOD ROW "        measurement: [" HEX48("4d") "]\n"

TEST(a_policy_without_code_identity_does_not_load)
{
    expect_refusal(ROW, false, NEO_INVALID_ARGUMENT, "attest.yaml:5:9: no code identity");
    expect_refusal(ROW "        chip_id: [" HEX64("c1") "]\n", false, NEO_INVALID_ARGUMENT,
                   "no code identity");
    expect_refusal(ROW "        measurement: []\n", false, NEO_INVALID_ARGUMENT,
                   "attest.yaml:6:9: \"measurement\" is empty");
    expect_refusal(HEAD "    any_of: []\n", false, NEO_INVALID_ARGUMENT, "\"any_of\" is empty");
    expect_refusal(HEAD, false, NEO_INVALID_ARGUMENT, "\"any_of\" is missing");
    expect_refusal("attestation_policies: {}\n", false, NEO_INVALID_ARGUMENT, "is empty");
}

TEST(the_simulator_needs_the_development_flag)
{
    static const char text[] = "attestation_policies:\n"
                               "  function-service:\n"
                               "    require: simulator\n"
                               "    any_of:\n      - tee: sev-snp\n"
                               "        measurement: [" HEX48("4d") "]\n";
    const struct neo_document document = {NEO_LIT("attest.yaml"), NEO_LIT(text)};
    struct neo_attest_policies *policies;

    expect_refusal(text, false, NEO_FAILED_PRECONDITION,
                   "attest.yaml:3:5: \"simulator\" proves nothing");
    assert_int_equal(neo_attest_policies_compile(&document, 1, true, &policies, NULL), NEO_OK);
    neo_attest_policies_unref(policies);
}

TEST(what_this_build_cannot_do_is_said_with_its_place)
{
    expect_refusal(HEAD "    any_of:\n      - tee: sev\n", false, NEO_INVALID_ARGUMENT,
                   "unknown tee \"sev\"");
    expect_refusal(HEAD "    mode: cached\n    any_of:\n      - tee: sev-snp\n"
                        "        measurement: [" HEX48("4d") "]\n",
                   false, NEO_INVALID_ARGUMENT,
                   "attest.yaml:4:5: \"cached\" must be direct, delegated or per-call");
}

TEST(a_key_of_another_tee_or_of_nobody_does_not_load)
{
    expect_refusal(GOOD "        mrtd: [aa]\n", false, NEO_INVALID_ARGUMENT,
                   "attest.yaml:7:9: this key does not belong to tee sev-snp");
    expect_refusal(GOOD "        mesurement: [aa]\n", false, NEO_INVALID_ARGUMENT,
                   "unknown key \"mesurement\"");
    expect_refusal(GOOD "        policy: {sm: any}\n", false, NEO_INVALID_ARGUMENT, "unknown key");
    expect_refusal(GOOD "surplus: 1\n", false, NEO_INVALID_ARGUMENT, "unknown key");
}

TEST(debug_and_migration_can_never_be_allowed)
{
    expect_refusal(GOOD "        policy: {debug: any}\n", true, NEO_INVALID_ARGUMENT,
                   "\"debug\" can only be forbid");
    expect_refusal(GOOD "        policy: {debug: require}\n", true, NEO_INVALID_ARGUMENT,
                   "\"debug\" can only be forbid");
    expect_refusal(GOOD "        policy: {migrate_ma: any}\n", true, NEO_INVALID_ARGUMENT,
                   "\"migrate_ma\" can only be forbid");
}

TEST(a_value_out_of_its_form_or_range_does_not_load)
{
    static const struct {
        const char *rest;
        const char *message;
    } wrong[] = {
        {"        host_data: [4d4d]\n", "attest.yaml:7:21: \"host_data\" must be 32 bytes"},
        {"        id_key_digest: [zz]\n", "\"id_key_digest\" must be 48 bytes"},
        {"        chip_id: [c1c1]\n", "\"chip_id\" must be 64 bytes"},
        {"        chip_id: []\n", "\"chip_id\" is empty"},
        {"        products: []\n", "\"products\" is empty"},
        {"        products: [Rome]\n", "unknown product \"Rome\""},
        {"        vek: [ark]\n", "must be vcek or vlek"},
        {"        vek: []\n", "\"vek\" is empty"},
        {"        vek: [vlek]\n", "vlek and csp_id belong together"},
        {"        csp_id: [x]\n", "vlek and csp_id belong together"},
        {"        policy: {smt: maybe}\n", "must be require, forbid or any"},
        {"        platform: {smt: yes}\n", "must be require, forbid or any"},
        {"        vmpl: 4\n", "\"vmpl\" is 0 to 3"},
        {"        min_report_version: 1\n", "\"min_report_version\" is 2 to 5"},
        {"        min_report_version: 6\n", "\"min_report_version\" is 2 to 5"},
        {"        min_tcb: {snp: 256}\n", "at most 255"},
        {"        min_tcb: {fmc: 1}\n", "only Turin has an fmc"},
        {"        products: [Genoa, Turin]\n        min_tcb: {fmc: 1}\n", "only Turin has an fmc"},
        {"        min_firmware: 1.55\n", "must look like 1.55.38"},
        {"        min_firmware: 1.55.38.1\n", "must look like 1.55.38"},
        {"        min_firmware: 1.55.256\n", "must look like 1.55.38"},
        {"        min_firmware: 1..38\n", "must look like 1.55.38"},
        {"        min_mitigation_vector: 12\n", "must look like 0x1f"},
        {"        min_mitigation_vector: 0x\n", "must look like 0x1f"},
        {"        min_mitigation_vector: 0x1g\n", "must look like 0x1f"},
        {"        min_mitigation_vector: 0x10000000000000000\n", "must look like 0x1f"},
        {"        masked_chip_id: any\n", "must be allow or forbid"},
        {"        committed_equals_current: perhaps\n", "committed_equals_current"},
    };
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        neo_buffer_clear(&text);
        assert_true(neo_buffer_append_text(&text, GOOD));
        assert_true(neo_buffer_append_text(&text, wrong[i].rest));
        assert_true(neo_buffer_append_byte(&text, '\0'));
        expect_refusal((const char *)text.at, true, NEO_INVALID_ARGUMENT, wrong[i].message);
    }
}

TEST(what_surrounds_the_rows_is_as_strict)
{
    expect_refusal("attestation_policies:\n  Function-Service:\n    require: hardware\n"
                   "    any_of:\n      - tee: sev-snp\n",
                   false, NEO_INVALID_ARGUMENT, "is not a service name");
    expect_refusal("attestation_policies:\n  a:\n    require: anything\n    any_of:\n"
                   "      - tee: sev-snp\n",
                   false, NEO_INVALID_ARGUMENT, "must be hardware, hardware-or-tpm or simulator");
    expect_refusal(HEAD "    max_evidence_age: 0s\n    any_of:\n      - tee: sev-snp\n", false,
                   NEO_INVALID_ARGUMENT, "\"max_evidence_age\" is 1s to 24h");
    expect_refusal(HEAD "    max_evidence_age: 25h\n    any_of:\n      - tee: sev-snp\n", false,
                   NEO_INVALID_ARGUMENT, "\"max_evidence_age\" is 1s to 24h");
    expect_refusal(GOOD "---\n" GOOD, false, NEO_INVALID_ARGUMENT,
                   "\"function-service\" has a policy already, at attest.yaml:2");
}

/* --- what does -------------------------------------------------------------------------------- */

TEST(documents_of_other_kinds_are_left_to_others_and_no_document_asks_nothing)
{
    const struct neo_document documents[] = {
        {NEO_LIT("policy.yaml"), NEO_LIT("service: a\nallowed_calls: []\n")},
        {NEO_LIT("attest.yaml"), NEO_LIT(GOOD)},
    };
    struct neo_attest_policies *policies;

    assert_int_equal(neo_attest_policies_compile(documents, 2, false, &policies, NULL), NEO_OK);
    assert_true(neo_attest_policies_has(policies, NEO_LIT("function-service")));
    assert_false(neo_attest_policies_has(policies, NEO_LIT("a")));
    assert_false(neo_attest_policies_has(policies, NEO_LIT("function-servic")));
    struct neo_attest_policies *same = neo_attest_policies_ref(policies);
    neo_attest_policies_unref(policies);
    assert_true(neo_attest_policies_has(same, NEO_LIT("function-service")));
    neo_attest_policies_unref(same);

    assert_int_equal(neo_attest_policies_compile(NULL, 0, false, &policies, NULL), NEO_OK);
    assert_false(neo_attest_policies_has(policies, NEO_LIT("function-service")));
    neo_attest_policies_unref(policies);
    assert_false(neo_attest_policies_has(NULL, NEO_LIT("function-service")));
    neo_attest_policies_unref(NULL);
}

TEST(the_age_of_evidence_is_the_policys)
{
    static const char text[] = "attestation_policies:\n"
                               "  function-service:\n"
                               "    require: hardware\n"
                               "    mode: direct\n"
                               "    max_evidence_age: 90s\n"
                               "    any_of:\n      - tee: sev-snp\n"
                               "        measurement: [" HEX48("4D") "]\n";
    const struct neo_document document = {NEO_LIT("a"), NEO_LIT(text)};
    struct neo_attest_policies *policies;

    assert_int_equal(neo_attest_policies_compile(&document, 1, false, &policies, NULL), NEO_OK);
    const struct attest_policy *policy =
        attest_policies_find(policies, NEO_LIT("function-service"));
    assert_int_equal(policy->max_age, 90 * NEO_NSEC_PER_SEC);
    assert_int_equal(policy->n_rules, 1);
    assert_int_equal(snp_rule_of(policy)->measurements.at[47], 0x4d);
    neo_attest_policies_unref(policies);
}

/* More than one block of every arena, and more services than the first table holds. */
enum { MANY = 30 };

static void write_many(struct neo_buffer *text)
{
    assert_true(neo_buffer_append_text(text, "attestation_policies:\n"));
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(neo_buffer_printf(text,
                                      "  service-%u:\n    require: hardware\n    any_of:\n"
                                      "      - tee: sev-snp\n        measurement:\n",
                                      i));
        for (unsigned j = 0; j < 8; j++)
            assert_true(neo_buffer_printf(text, "          - %s\n", HEX48("4d")));
        assert_true(neo_buffer_append_text(text, "        vek: [vlek]\n        csp_id: [a, b]\n"));
    }
}

TEST(many_services_are_all_found)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_attest_policies *policies;

    write_many(&text);
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    assert_int_equal(neo_attest_policies_compile(&document, 1, false, &policies, NULL), NEO_OK);
    for (unsigned i = 0; i < MANY; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "service-%u", i);
        const struct attest_policy *policy = attest_policies_find(policies, neo_text(name));
        assert_non_null(policy);
        assert_int_equal(snp_rule_of(policy)->measurements.n, 8);
        assert_int_equal(snp_rule_of(policy)->n_csp_ids, 2);
        assert_true(neo_bytes_is(snp_rule_of(policy)->csp_ids[1], "b"));
    }
    neo_attest_policies_unref(policies);
}

TEST(an_allocation_that_fails_loads_nothing_and_leaks_nothing)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    bool done = false;
    unsigned long n;

    write_many(&text);
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    for (n = 1; !done; n++) {
        struct neo_attest_policies *policies = NULL;
        neo_memory_fail_at(n);
        enum neo_code code = neo_attest_policies_compile(&document, 1, false, &policies, NULL);
        neo_memory_fail_at(0);
        done = code == NEO_OK;
        if (done)
            assert_true(neo_attest_policies_has(policies, NEO_LIT("service-29")));
        else
            assert_null(policies);
        neo_attest_policies_unref(policies);
        assert_true(n < 5000);
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_accepts_what_it_names_and_refuses_the_rest_at_its_own_check),
        cmocka_unit_test(committed_firmware_has_the_same_floor),
        cmocka_unit_test(tcb_floors_are_by_component_and_not_by_number),
        cmocka_unit_test(turins_fmc_has_a_floor_of_its_own),
        cmocka_unit_test(products_and_signing_keys_are_lists_of_what_is_allowed),
        cmocka_unit_test(of_several_rows_one_must_hold_as_a_whole_and_the_nearest_is_shown),
        cmocka_unit_test(a_policy_without_code_identity_does_not_load),
        cmocka_unit_test(the_simulator_needs_the_development_flag),
        cmocka_unit_test(what_this_build_cannot_do_is_said_with_its_place),
        cmocka_unit_test(a_key_of_another_tee_or_of_nobody_does_not_load),
        cmocka_unit_test(debug_and_migration_can_never_be_allowed),
        cmocka_unit_test(a_value_out_of_its_form_or_range_does_not_load),
        cmocka_unit_test(what_surrounds_the_rows_is_as_strict),
        cmocka_unit_test(documents_of_other_kinds_are_left_to_others_and_no_document_asks_nothing),
        cmocka_unit_test(the_age_of_evidence_is_the_policys),
        cmocka_unit_test(many_services_are_all_found),
        cmocka_unit_test(an_allocation_that_fails_loads_nothing_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, machine_setup, machine_teardown);
}
