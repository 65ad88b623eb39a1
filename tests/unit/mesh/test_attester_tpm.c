/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM's evidence: devices that fail, and a live TPM in software where swtpm is installed. */
#include "fake_system.h"

#include "../scratch.h"

#include "attest/tpm_quote.h"
#include "mesh/attester_tss.h"

#include <neo/arena.h>

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
    assert_int_equal(attester->kind, NEO_EVIDENCE_TPM);
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
        struct neo_bytes value = tpm_pcr(quote, e->pcrs, i);
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
    struct tpm_quote q = {.bank = 0};

    if (!is_live())
        skip();
    NEO_CLEANUP(answer_fini) struct answer a = ask(&live.linux.face, &options);
    assert_string_equal(verdict_on(&a, other, &e, &q), "tpm.binder");
}

TEST(a_machine_with_a_tpm_proves_to_our_judge_what_booted)
{
    struct tpm_evidence e, again;
    struct tpm_quote q = {.bank = 0};

    if (!is_live())
        skip();
    NEO_CLEANUP(answer_fini) struct answer a = ask(&live.linux.face, &options);
    assert_string_equal(verdict_on(&a, binder, &e, &q), "accepted");
    assert_int_equal(q.selected, 0xffffff);
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
    struct tpm_quote q = {.bank = 0};

    if (!is_live())
        skip();
    NEO_CLEANUP(answer_fini) struct answer a = ask(&live.linux.face, &few);
    assert_string_equal(verdict_on(&a, binder, &e, &q), "accepted");
    assert_int_equal(q.selected, few.pcrs);
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
    struct tpm_quote q = {.bank = 0};

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

/* An RSA key, kept in the TPM at `handle`. */
static void keep_key(TPM2_HANDLE handle, TPMA_OBJECT attributes)
{
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
    TSS2_TCTI_CONTEXT *tcti = NULL;
    ESYS_CONTEXT *esys = NULL;
    ESYS_TR key, kept;

    assert_int_equal(Tss2_TctiLdr_Initialize(live.tcti, &tcti), 0);
    assert_int_equal(Esys_Initialize(&esys, tcti, NULL), 0);
    assert_int_equal(Esys_CreatePrimary(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                        ESYS_TR_NONE, &nothing, &template, &no_data, &no_pcrs, &key,
                                        NULL, NULL, NULL, NULL),
                     0);
    assert_int_equal(Esys_EvictControl(esys, ESYS_TR_RH_OWNER, key, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                       ESYS_TR_NONE, handle, &kept),
                     0);
    assert_int_equal(Esys_FlushContext(esys, key), 0);
    assert_int_equal(Esys_TR_Close(esys, &kept), 0);
    Esys_Finalize(&esys);
    Tss2_TctiLdr_Finalize(&tcti);
}

TEST(a_key_that_is_kept_in_the_tpm_signs_and_one_that_is_not_there_fails)
{
    struct neo_attester_options kept = {.tee = "tpm", .tpm = live.tcti, .ak = 0x81010002};
    struct tpm_evidence e;
    struct tpm_quote q = {.bank = 0};

    if (!is_live())
        skip();
    NEO_CLEANUP(answer_fini) struct answer a = ask(&live.linux.face, &kept);
    expect_says(&a, NEO_INTERNAL, "attestation key");
    keep_key(kept.ak, TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                          TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                          TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT);
    NEO_CLEANUP(answer_fini) struct answer b = ask(&live.linux.face, &kept);
    assert_string_equal(verdict_on(&b, binder, &e, &q), "accepted");
    kept.tpm = NULL; /* the same key by the device */
    NEO_CLEANUP(answer_fini) struct answer c = ask(&live.linux.face, &kept);
    assert_string_equal(verdict_on(&c, binder, &e, &q), "accepted");
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
        with_live(a_tcti_that_is_not_there_is_named),
    };

    (void)setenv("TSS2_LOG", "all+NONE", 1); /* failures that are meant */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
