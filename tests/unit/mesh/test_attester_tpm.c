/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM's evidence: devices that fail, and a live TPM in software where swtpm is installed. */
#include "fake_system.h"

#include "../scratch.h"

#include "../attest/cvm.h"
#include "imds.h"

#include "mesh/attester_tss.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

extern char **environ;

static uint8_t binder[NEO_BINDER_LEN];

struct answer {
    enum neo_code code;
    enum neo_evidence_kind kind;
    struct neo_buffer body;
    struct neo_buffer certificates;
    struct neo_error err;
};

static void answer_fini(struct answer *a)
{
    neo_buffer_fini(&a->body);
    neo_buffer_fini(&a->certificates);
}

static struct answer ask(struct attester_sys *sys, const struct neo_attester_options *options)
{
    struct answer a = {.code = NEO_OK};
    struct neo_attester *attester;

    if (attester_detect(sys, options, &attester, NULL, &a.err) != NEO_OK)
        fail_msg("%s", a.err.message);
    a.kind = attester->kind;
    a.code = attester->attest(attester, binder, &a.body, &a.certificates, &a.err);
    attester->free(attester);
    if (a.code != NEO_OK)
        assert_int_equal(a.body.len, 0);
    return a;
}

static void expect_says(const struct answer *a, enum neo_code code, const char *text)
{
    if (a->code != code)
        fail_msg("%s: %s", neo_code_name(a->code), a->code == NEO_OK ? "" : a->err.message);
    if (strstr(a->err.message, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", a->err.message, text);
}

/* --- devices that fail ------------------------------------------------------------------------ */

static struct fake fake;
static const struct neo_attester_options options = {.tee = "tpm"};

static int begin_fake(void **state)
{
    (void)state;
    fake_init(&fake);
    (void)fake_put(&fake, "/dev/tpmrm0", "");
    return 0;
}

static int end_fake(void **state)
{
    (void)state;
    fake_fini(&fake);
    return 0;
}

TEST(a_tpm_that_answers_with_garbage_proves_nothing)
{
    static const struct {
        const char *text;
        size_t len;
        enum neo_code code;
        const char *says;
    } cases[] = {
        {"", 0, NEO_INTERNAL, "Input/output error"},             /* it hung up */
        {"\x80\x01\x00", 3, NEO_INTERNAL, "Input/output error"}, /* in the middle of a header */
        {"\x80\x01\x00\x00\x00\x05\x00\x00\x00\x00", 10, NEO_INTERNAL, "tpm2-tss says"},
        {"\x80\x01\xff\xff\xff\xff\x00\x00\x00\x00", 10, NEO_INTERNAL, "tpm2-tss says"},
        {"\x80\x01\x00\x00\x00\x0c\x00\x00\x00\x00", 10, NEO_INTERNAL, "Input/output error"},
        {"\x80\x01\x00\x00\x00\x0a\x00\x00\x00\x00", 10, NEO_INTERNAL, "tpm2-tss says"},
        {"garbage, and a lot of it, more than a header", 44, NEO_INTERNAL, "tpm2-tss says"},
    };

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        fake_set(&fake.files[0], neo_bytes(cases[i].text, cases[i].len));
        NEO_CLEANUP(answer_fini) struct answer a = ask(&fake.face, &options);
        expect_says(&a, cases[i].code, cases[i].says);
    }
}

TEST(the_number_of_a_failure_is_said_with_how_to_read_it)
{
    fake_set(&fake.files[0], NEO_LIT("\x80\x01\x00\x00\x00\x0a\x00\x00\x01\x01"));
    NEO_CLEANUP(answer_fini) struct answer a = ask(&fake.face, &options);
    expect_says(&a, NEO_INTERNAL, "tpm2_rc_decode 0x101");
}

TEST(a_tpm_that_never_answers_ends_with_the_deadline)
{
    neo_nsec start = fake.time;

    fake.files[0].silent = true;
    NEO_CLEANUP(answer_fini) struct answer a = ask(&fake.face, &options);
    expect_says(&a, NEO_DEADLINE_EXCEEDED, "did not answer in time");
    assert_int_equal(fake.time - start, 10 * NEO_NSEC_PER_SEC);
}

TEST(a_tpm_that_is_busy_for_ever_ends_with_the_deadline)
{
    neo_nsec start = fake.time;

    fake.files[0].write_error = EBUSY;
    fake.files[0].write_errors = FAKE_FOR_EVER;
    NEO_CLEANUP(answer_fini) struct answer a = ask(&fake.face, &options);
    expect_says(&a, NEO_DEADLINE_EXCEEDED, "attempts");
    fake.files[0].write_errors = 0;
    fake_set(&fake.files[0], NEO_LIT("\x80\x01\x00\x00\x00\x0a\x00\x00\x09\x22")); /* retry */
    NEO_CLEANUP(answer_fini) struct answer b = ask(&fake.face, &options);
    expect_says(&b, NEO_DEADLINE_EXCEEDED, "busy");
    assert_true(fake.time - start <= 20 * NEO_NSEC_PER_SEC);
}

TEST(a_tpm_that_takes_half_a_command_fails)
{
    fake.files[0].takes_less = true;
    NEO_CLEANUP(answer_fini) struct answer a = ask(&fake.face, &options);
    expect_says(&a, NEO_INTERNAL, "Input/output error");
}

/* --- a live one ------------------------------------------------------------------------------- */

/* Its device is a connection to swtpm; its other files are in the scratch folder. */
static struct live {
    struct attester_linux linux;
    int (*open)(struct attester_sys *s, const char *path, int flags);
    bool is_there;
    pid_t pid;
    char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char tcti[160];
} live;

static int connect_to_swtpm(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, live.socket, sizeof(address.sun_path));
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static int open_live(struct attester_sys *s, const char *path, int flags)
{
    if (strcmp(path, TPM_DEVICE) != 0)
        return live.open(s, path, flags);
    return connect_to_swtpm();
}

/* It returns when it listens, and leaves its id in a file. */
static bool start_swtpm(void)
{
    char shell[] = "sh", option[] = "-c", command[1000];
    char *argv[] = {shell, option, command, NULL};
    int status;
    pid_t pid;

    (void)snprintf(live.socket, sizeof(live.socket), "%s/sock", scratch_folder);
    (void)snprintf(live.tcti, sizeof(live.tcti), "swtpm:path=%s", live.socket);
    (void)snprintf(command, sizeof(command),
                   "exec swtpm socket --tpm2 --daemon --flags not-need-init,startup-clear "
                   "--server type=unixio,path=%s --ctrl type=unixio,path=%s.ctrl "
                   "--tpmstate dir=%s --pid file=%s/pid 2> /dev/null",
                   live.socket, live.socket, scratch_folder, scratch_folder);
    assert_int_equal(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return false;
    assert_int_equal(status, 0);
    return true;
}

static int begin_live(void **state)
{
    FILE *file;
    int pid = 0;

    memset(binder, 0xb1, sizeof(binder));
    if (scratch_setup(state) != 0 ||
        attester_linux_init(&live.linux, scratch_folder, NULL) != NEO_OK)
        return -1;
    live.open = live.linux.face.open;
    live.linux.face.open = open_live;
    live.is_there = start_swtpm();
    if (!live.is_there)
        return 0;
    file = fopen(scratch("pid"), "r");
    if (file == NULL || fscanf(file, "%d", &pid) != 1)
        return -1;
    live.pid = pid;
    return fclose(file);
}

static int end_live(void **state)
{
    if (live.is_there)
        (void)kill(live.pid, SIGKILL); /* it writes nothing more */
    return scratch_teardown(state);
}

static bool is_live(void)
{
    if (!live.is_there)
        printf("skipped: no swtpm\n");
    return live.is_there;
}

/* A policy of the key's name, and of the values that were quoted of these PCRs. */
static struct neo_attest_policies *policy_of(const struct tpm_evidence *e,
                                             const struct tpm_quote *quote)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_attest_policies *policies;
    struct tpm_key key;
    struct neo_error err;

    assert_int_equal(tpm_public_read(e->public_area, &key, NULL), NEO_OK);
    assert_true(neo_buffer_append_text(&text, "attestation_policies:\n"
                                              "  gas-bank-service:\n"
                                              "    require: hardware-or-tpm\n"
                                              "    any_of:\n"
                                              "      - tee: tpm\n"
                                              "        ak: {names: [\""));
    for (size_t i = 0; i < key.name_len; i++)
        assert_true(neo_buffer_printf(&text, "%02x", key.name[i]));
    assert_true(neo_buffer_append_text(&text, "\"]}\n        pcr_sha256:\n"));
    for (unsigned i = 0; i < TPM_PCRS; i++) {
        struct neo_bytes value = tpm_pcr(tpm_bank_of(quote, TPM_SHA256), e->pcrs, i);
        if (value.len == 0)
            continue;
        assert_true(neo_buffer_printf(&text, "          %u: [\"", i));
        for (size_t k = 0; k < value.len; k++)
            assert_true(neo_buffer_printf(&text, "%02x", value.at[k]));
        assert_true(neo_buffer_append_text(&text, "\"]\n"));
    }
    vendor_public_free(key.key);
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    if (neo_attest_policies_compile(&document, 1, false, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return policies;
}

static const char *verdict_on(const struct answer *a, const uint8_t *expected,
                              struct tpm_evidence *ret, struct tpm_quote *ret_quote)
{
    const struct neo_attest_trust_options nothing = {.development = false};
    const struct neo_evidence e = {.kind = NEO_EVIDENCE_TPM, .body = neo_buffer_bytes(&a->body)};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_attest_trust *trust;
    struct neo_appraisal appraisal;
    const char *failed = "accepted";

    if (a->code != NEO_OK)
        fail_msg("%s", a->err.message);
    assert_int_equal(tpm_evidence_read(e.body, ret, NULL), NEO_OK);
    assert_int_equal(tpm_signature_read(ret->signature, ret_quote, NULL), NEO_OK);
    assert_int_equal(tpm_attest_read(ret->attest, ret_quote, NULL), NEO_OK);
    struct neo_attest_policies *policies = policy_of(ret, ret_quote);
    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(neo_attest_trust_new(&nothing, &trust, NULL), NEO_OK);
    assert_int_equal(neo_attest_appraise(trust, policies, NEO_LIT("gas-bank-service"), &e, expected,
                                         1790000000, &arena, &appraisal, NULL),
                     NEO_OK);
    for (size_t i = appraisal.n_checks; i-- > 0;) {
        if (appraisal.checks[i].result == NEO_CHECK_FAIL)
            failed = appraisal.checks[i].name; /* a literal */
    }
    assert_int_equal(appraisal.accepted, strcmp(failed, "accepted") == 0);
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    return failed;
}

TEST(a_quote_for_one_binder_is_none_for_another)
{
    uint8_t other[NEO_BINDER_LEN] = {0};
    struct tpm_evidence e;
    struct tpm_quote q = {.n_banks = 0};

    if (!is_live())
        skip();
    NEO_CLEANUP(answer_fini) struct answer a = ask(&live.linux.face, &options);
    assert_string_equal(verdict_on(&a, other, &e, &q), "tpm.binder");
}

TEST(a_machine_with_a_tpm_proves_to_our_judge_what_booted)
{
    struct tpm_evidence e, again;
    struct tpm_quote q = {.n_banks = 0};

    if (!is_live())
        skip();
    NEO_CLEANUP(answer_fini) struct answer a = ask(&live.linux.face, &options);
    assert_string_equal(verdict_on(&a, binder, &e, &q), "accepted");
    assert_int_equal(tpm_bank_of(&q, TPM_SHA256)->selected, 0xffffff);
    assert_int_equal(e.event_log.len, 0);
    NEO_CLEANUP(answer_fini) struct answer b = ask(&live.linux.face, &options);
    assert_string_equal(verdict_on(&b, binder, &again, &q), "accepted");
    assert_true(neo_bytes_equal(e.public_area, again.public_area)); /* a policy can name it */
    assert_false(neo_bytes_equal(e.signature, again.signature));
}

TEST(fewer_pcrs_are_quoted_when_asked)
{
    const struct neo_attester_options few = {.tee = "tpm", .pcrs = 1u << 0 | 1u << 7 | 1u << 23};
    struct tpm_evidence e;
    struct tpm_quote q = {.n_banks = 0};

    if (!is_live())
        skip();
    NEO_CLEANUP(answer_fini) struct answer a = ask(&live.linux.face, &few);
    assert_string_equal(verdict_on(&a, binder, &e, &q), "accepted");
    assert_int_equal(tpm_bank_of(&q, TPM_SHA256)->selected, few.pcrs);
    assert_int_equal(e.pcrs.len, 3 * 32);
}

/* TPM2_PCR_Extend with SHA-256, by hand. */
static void extend(uint8_t pcr, const uint8_t digest[static 32])
{
    uint8_t command[65] = {0x80, 0x02, 0, 0, 0, 65, 0, 0, 1, 0x82, 0, 0, 0, pcr, 0, 0,   0,
                           9,    0x40, 0, 0, 9, 0,  0, 0, 0, 0,    0, 0, 0, 1,   0, 0x0b};
    uint8_t response[64] = {0};
    int fd = connect_to_swtpm();

    assert_true(fd >= 0);
    memcpy(command + 33, digest, 32);
    assert_int_equal(write(fd, command, sizeof(command)), sizeof(command));
    assert_true(read(fd, response, sizeof(response)) >= 10);
    assert_int_equal(response[6] | response[7] | response[8] | response[9], 0);
    (void)close(fd);
}

static void le(FILE *file, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        (void)fputc((int)(value >> (8 * i) & 0xff), file);
}

/* A firmware's log of one event. */
static void write_log(uint8_t pcr, const uint8_t digest[static 32])
{
    FILE *file;

    (void)mkdir(scratch("sys"), 0700);
    (void)mkdir(scratch("sys/kernel"), 0700);
    (void)mkdir(scratch("sys/kernel/security"), 0700);
    (void)mkdir(scratch("sys/kernel/security/tpm0"), 0700);
    file = fopen(scratch("sys/kernel/security/tpm0/binary_bios_measurements"), "wb");
    assert_non_null(file);
    le(file, 0, 4);
    le(file, 3, 4);
    for (int i = 0; i < 20; i++)
        (void)fputc(0, file);
    le(file, 16 + 8 + 4 + 4 + 1, 4);
    (void)fwrite("Spec ID Event03", 1, 16, file);
    le(file, 0, 8);
    le(file, 1, 4);
    le(file, 0x0b, 2);
    le(file, 32, 2);
    le(file, 0, 1);
    le(file, pcr, 4);
    le(file, 1, 4);
    le(file, 1, 4);
    le(file, 0x0b, 2);
    (void)fwrite(digest, 1, 32, file);
    le(file, 4, 4);
    (void)fwrite("boot", 1, 4, file);
    assert_int_equal(fclose(file), 0);
}

TEST(the_firmwares_log_comes_along_when_it_tells_the_whole_story)
{
    uint8_t digest[32] = {0xd1};
    uint8_t later[32] = {0xd2};
    struct tpm_evidence e;
    struct tpm_quote q = {.n_banks = 0};

    if (!is_live())
        skip();
    extend(4, digest);
    write_log(4, digest);
    NEO_CLEANUP(answer_fini) struct answer a = ask(&live.linux.face, &options);
    assert_string_equal(verdict_on(&a, binder, &e, &q), "accepted");
    assert_true(e.event_log.len > 0);
    extend(4, later); /* by the running system */
    NEO_CLEANUP(answer_fini) struct answer b = ask(&live.linux.face, &options);
    assert_string_equal(verdict_on(&b, binder, &e, &q), "accepted");
    assert_int_equal(e.event_log.len, 0);
}

struct tss {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
};

static struct tss tss_open(void)
{
    struct tss t = {.tcti = NULL};

    assert_int_equal(Tss2_TctiLdr_Initialize(live.tcti, &t.tcti), 0);
    assert_int_equal(Esys_Initialize(&t.esys, t.tcti, NULL), 0);
    return t;
}

static void tss_close(struct tss *t)
{
    Esys_Finalize(&t->esys);
    Tss2_TctiLdr_Finalize(&t->tcti);
}

/* An RSA key for attestation, kept in the TPM at `handle`. */
static void keep_key(TPM2_HANDLE handle, struct neo_buffer *out_modulus)
{
    const TPMA_OBJECT attributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                   TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                   TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT;
    const TPM2B_PUBLIC template = {
        .publicArea = {.type = TPM2_ALG_RSA,
                       .nameAlg = TPM2_ALG_SHA256,
                       .objectAttributes = attributes,
                       .parameters.rsaDetail = {.symmetric.algorithm = TPM2_ALG_NULL,
                                                .scheme = {.scheme = TPM2_ALG_RSASSA,
                                                           .details.rsassa.hashAlg =
                                                               TPM2_ALG_SHA256},
                                                .keyBits = 2048}},
    };
    const TPM2B_SENSITIVE_CREATE nothing = {.size = 0};
    const TPM2B_DATA no_data = {.size = 0};
    const TPML_PCR_SELECTION no_pcrs = {.count = 0};
    NEO_CLEANUP(tss_close) struct tss t = tss_open();
    TPM2B_PUBLIC *made;
    ESYS_TR key, kept;

    assert_int_equal(Esys_CreatePrimary(t.esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                        ESYS_TR_NONE, &nothing, &template, &no_data, &no_pcrs, &key,
                                        &made, NULL, NULL, NULL),
                     0);
    assert_int_equal(Esys_EvictControl(t.esys, ESYS_TR_RH_OWNER, key, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, handle, &kept),
                     0);
    assert_true(neo_buffer_append(out_modulus, neo_bytes(made->publicArea.unique.rsa.buffer,
                                                         made->publicArea.unique.rsa.size)));
    Esys_Free(made);
    assert_int_equal(Esys_FlushContext(t.esys, key), 0);
    assert_int_equal(Esys_TR_Close(t.esys, &kept), 0);
}

TEST(a_key_that_is_kept_in_the_tpm_signs_and_one_that_is_not_there_fails)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer modulus = {0};
    struct neo_attester_options kept = {.tee = "tpm", .tpm = live.tcti, .ak = 0x81010002};
    struct tpm_evidence e;
    struct tpm_quote q = {.n_banks = 0};

    if (!is_live())
        skip();
    NEO_CLEANUP(answer_fini) struct answer a = ask(&live.linux.face, &kept);
    expect_says(&a, NEO_NOT_FOUND, "cannot find the attestation key: the TPM has no such handle");
    keep_key(kept.ak, &modulus);
    NEO_CLEANUP(answer_fini) struct answer b = ask(&live.linux.face, &kept);
    assert_string_equal(verdict_on(&b, binder, &e, &q), "accepted");
    kept.tpm = NULL; /* the same key by the device */
    NEO_CLEANUP(answer_fini) struct answer c = ask(&live.linux.face, &kept);
    assert_string_equal(verdict_on(&c, binder, &e, &q), "accepted");
}

/* --- Azure ------------------------------------------------------------------------------------ */

static void put_index(TPM2_HANDLE handle, struct neo_bytes bytes)
{
    NEO_CLEANUP(tss_close) struct tss t = tss_open();
    const TPM2B_AUTH no_password = {.size = 0};
    const TPM2B_NV_PUBLIC about = {
        .nvPublic = {.nvIndex = handle,
                     .nameAlg = TPM2_ALG_SHA256,
                     .attributes = TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE,
                     .dataSize = (uint16_t)bytes.len},
    };
    ESYS_TR index;

    assert_int_equal(Esys_NV_DefineSpace(t.esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                         ESYS_TR_NONE, &no_password, &about, &index),
                     0);
    for (size_t at = 0; at < bytes.len;) {
        TPM2B_MAX_NV_BUFFER chunk = {.size =
                                         (uint16_t)(bytes.len - at < 1024 ? bytes.len - at : 1024)};
        memcpy(chunk.buffer, bytes.at + at, chunk.size);
        assert_int_equal(Esys_NV_Write(t.esys, ESYS_TR_RH_OWNER, index, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, &chunk, (uint16_t)at),
                         0);
        at += chunk.size;
    }
    assert_int_equal(Esys_TR_Close(t.esys, &index), 0);
}

static void write_tag(void)
{
    FILE *file;

    (void)mkdir(scratch("sys"), 0700);
    (void)mkdir(scratch("sys/class"), 0700);
    (void)mkdir(scratch("sys/class/dmi"), 0700);
    (void)mkdir(scratch("sys/class/dmi/id"), 0700);
    file = fopen(scratch("sys/class/dmi/id/chassis_asset_tag"), "w");
    assert_non_null(file);
    (void)fputs("7783-7084-3265-9085-8269-3286-77\n", file);
    assert_int_equal(fclose(file), 0);
}

static void expect_finding(enum neo_attester_source source, const struct neo_attester_options *how,
                           enum neo_attester_state state, const char *what)
{
    struct neo_attester_finding findings[NEO_ATTESTER_SOURCES_N];

    attester_survey(&live.linux.face, how, findings);
    if (findings[source].state != state || strstr(findings[source].what, what) == NULL)
        fail_msg("%s", findings[source].what);
}

static void expect_azure(enum neo_attester_state state, const char *what)
{
    expect_finding(NEO_ATTESTER_AZURE_SNP_VTPM, &options, state, what);
}

/* What the paravisor keeps about this TPM's key; without the zeros behind it, which this TPM has no
 * room for. */
static struct neo_buffer report_about(struct cvm *c, const struct neo_buffer *modulus,
                                      struct neo_buffer *quote)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer keys = {0};
    struct neo_buffer report = {0};

    assert_true(neo_buffer_append_text(
        &keys, "{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\""));
    assert_true(neo_base64_encode(&keys, neo_buffer_bytes(modulus), NEO_BASE64_URL));
    assert_true(neo_buffer_append(&keys, neo_bytes("\"}", 3)));
    c->keys = (const char *)keys.at;
    cvm_blob(c, &report, quote);
    c->keys = NULL;
    while (report.at[report.len - 1] == 0)
        report.len--;
    return report;
}

static const char *azure_verdict(struct cvm *c, const struct answer *a)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rest = {0};
    struct neo_attest_policies *policies;
    struct azure_evidence e;
    enum neo_attest_reason reason;

    if (a->code != NEO_OK)
        fail_msg("%s", a->err.message);
    assert_int_equal(a->kind, c->is_tdx ? NEO_EVIDENCE_AZURE_TDX : NEO_EVIDENCE_AZURE_SNP);
    assert_int_equal(azure_evidence_read(neo_buffer_bytes(&a->body), &e, NULL), NEO_OK);
    assert_true(neo_buffer_append_text(&rest, "        pcr_sha256: {0: [\""));
    assert_true(neo_hex_encode(&rest, neo_bytes(e.pcrs.at, 32)));
    assert_true(neo_buffer_append(&rest, neo_bytes("\"]}\n", 5)));
    assert_int_equal(cvm_compile(c, (const char *)rest.at, &policies, NULL), NEO_OK);
    const char *said = cvm_judge(c, neo_buffer_bytes(&a->body), cvm_kind(c), policies, &reason);
    neo_attest_policies_unref(policies);
    return said;
}

TEST(a_confidential_machine_of_azures_proves_itself_to_our_judge)
{
    const struct neo_attester_options any = {.tee = "auto"};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer modulus = {0};
    NEO_CLEANUP(cvm_fini) struct cvm c;

    cvm_init(&c, false);
    if (!is_live())
        skip();
    expect_azure(NEO_ATTESTER_ABSENT, "not a machine of Azure's");
    write_tag();
    expect_azure(NEO_ATTESTER_ABSENT, "keeps no report");
    keep_key(0x81000003, &modulus);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer none = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer report = report_about(&c, &modulus, &none);
    put_index(0x01400001, neo_buffer_bytes(&report));
    expect_azure(NEO_ATTESTER_READY, "SEV-SNP in Azure's virtual TPM");
    NEO_CLEANUP(answer_fini) struct answer a = ask(&live.linux.face, &any);
    assert_string_equal(azure_verdict(&c, &a), "accepted");
}

/* The TPM has the report; what signs it is the metadata service's to give. */
TEST(a_machine_of_azures_with_tdx_proves_itself_with_the_services_quote)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer modulus = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = {0};
    NEO_CLEANUP(cvm_fini) struct cvm c;
    struct imds service = {.piece = 1000};

    cvm_init(&c, true);
    if (!is_live())
        skip();
    write_tag();
    keep_key(0x81000003, &modulus);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer report = report_about(&c, &modulus, &quote);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer answer = imds_answer(neo_buffer_bytes(&quote));
    put_index(0x01400001, neo_buffer_bytes(&report));
    service.answer = neo_buffer_bytes(&answer);
    imds_begin(&service);
    const struct neo_attester_options with = {.tee = "auto", .metadata = service.address};
    expect_finding(NEO_ATTESTER_AZURE_SNP_VTPM, &with, NEO_ATTESTER_ABSENT, "with TDX");
    expect_finding(NEO_ATTESTER_AZURE_TDX_VTPM, &with, NEO_ATTESTER_READY, "a report of TDX");
    NEO_CLEANUP(answer_fini) struct answer a = ask(&live.linux.face, &with);
    assert_string_equal(azure_verdict(&c, &a), "accepted");
    imds_end(&service);
    expect_finding(NEO_ATTESTER_AZURE_TDX_VTPM, &with, NEO_ATTESTER_LACKING, "metadata service");
}

TEST(a_report_of_azures_that_is_none_is_said_to_be_none)
{
    if (!is_live())
        skip();
    write_tag();
    put_index(0x01400001, NEO_LIT("HCLA, and then nothing"));
    expect_azure(NEO_ATTESTER_LACKING, "cannot be read");
}

TEST(a_tcti_that_is_not_there_is_named)
{
    const struct neo_attester_options nowhere = {.tee = "tpm", .tpm = "swtpm:path=/nowhere/sock"};
    struct neo_attester *attester;
    struct neo_error err;

    assert_int_equal(attester_detect(&live.linux.face, &nowhere, &attester, NULL, &err),
                     NEO_NOT_FOUND);
    assert_non_null(strstr(err.message, "cannot reach the TPM"));
    assert_non_null(strstr(err.message, "is 'swtpm:path=/nowhere/sock' right"));
}

#define with_fake(name) cmocka_unit_test_setup_teardown(name, begin_fake, end_fake)
#define with_live(name) cmocka_unit_test_setup_teardown(name, begin_live, end_live)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fake(a_tpm_that_answers_with_garbage_proves_nothing),
        with_fake(the_number_of_a_failure_is_said_with_how_to_read_it),
        with_fake(a_tpm_that_never_answers_ends_with_the_deadline),
        with_fake(a_tpm_that_is_busy_for_ever_ends_with_the_deadline),
        with_fake(a_tpm_that_takes_half_a_command_fails),
        with_live(a_quote_for_one_binder_is_none_for_another),
        with_live(a_machine_with_a_tpm_proves_to_our_judge_what_booted),
        with_live(fewer_pcrs_are_quoted_when_asked),
        with_live(the_firmwares_log_comes_along_when_it_tells_the_whole_story),
        with_live(a_key_that_is_kept_in_the_tpm_signs_and_one_that_is_not_there_fails),
        with_live(a_report_of_azures_that_is_none_is_said_to_be_none),
        with_live(a_machine_of_azures_with_tdx_proves_itself_with_the_services_quote),
        with_live(a_confidential_machine_of_azures_proves_itself_to_our_judge),
        with_live(a_tcti_that_is_not_there_is_named),
    };

    (void)setenv("TSS2_LOG", "all+NONE", 1); /* failures that are meant */
    return cmocka_run_group_tests(tests, machine_setup, machine_teardown);
}
