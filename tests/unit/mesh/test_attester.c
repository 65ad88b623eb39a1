/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence of this machine: on machines whose files and devices are ours. */
#include "fake_system.h"

#include "../attest/enclave.h"
#include "../attest/machine.h"
#include "../attest/platform.h"
#include "../attest/vectors.h"

#include "base/cursor.h"
#include "codec/cbor.h"

#include <neo/evidence.h>

#include <pthread.h>

static uint8_t binder[NEO_BINDER_LEN];
static struct fake fake;
static struct machine machine;

static int begin(void **state)
{
    (void)state;
    fake_init(&fake);
    memset(binder, 0xb1, sizeof(binder));
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_fini(&fake);
    return 0;
}

/* --- one question ----------------------------------------------------------------------------- */

struct answer {
    enum neo_code code;
    enum neo_evidence_kind kind;
    struct neo_buffer body;
    struct neo_buffer certificates;
    struct neo_error err;
    neo_nsec took;
};

static void answer_fini(struct answer *a)
{
    neo_buffer_fini(&a->body);
    neo_buffer_fini(&a->certificates);
}

static struct answer ask_with(const struct neo_attester_options *options)
{
    struct answer a = {.code = NEO_OK};
    struct neo_attester *attester;
    neo_nsec start;

    if (attester_detect(&fake.face, options, &attester, NULL, &a.err) != NEO_OK)
        fail_msg("%s", a.err.message);
    assert_false(attester->is_fast);
    a.kind = attester->kind;
    start = fake.time;
    a.code = attester->attest(attester, binder, &a.body, &a.certificates, &a.err);
    a.took = fake.time - start;
    attester->free(attester);
    if (a.code != NEO_OK) {
        assert_int_equal(a.body.len, 0); /* nothing of what did not succeed */
        assert_int_equal(a.certificates.len, 0);
        assert_int_equal(a.err.code, a.code);
    }
    return a;
}

static struct answer ask(const char *tee)
{
    const struct neo_attester_options options = {.tee = tee};

    return ask_with(&options);
}

#define ASK(name, tee) NEO_CLEANUP(answer_fini) struct answer name = ask(tee)

static void expect_says(const struct answer *a, enum neo_code code, const char *text)
{
    if (a->code != code)
        fail_msg("%s: %s", neo_code_name(a->code), a->code == NEO_OK ? "" : a->err.message);
    if (strstr(a->err.message, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", a->err.message, text);
}

/* --- a SEV-SNP guest -------------------------------------------------------------------------- */

static void sign_report(const uint8_t *user_data, struct neo_buffer *out)
{
    memcpy(machine.report.report_data, user_data, NEO_BINDER_LEN);
    assert_int_equal(sim_report_sign(&machine.report, machine.chip.key, out, NULL), NEO_OK);
}

static void answer_snp(struct fake *f, struct fake_file *inblob)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer report = {0};

    assert_int_equal(inblob->got.len, NEO_BINDER_LEN);
    sign_report(inblob->got.at, &report);
    fake_set(fake_find(f, FAKE_REPORTS "/neo-x/outblob"), neo_buffer_bytes(&report));
}

static void table_le(struct neo_buffer *out, size_t value)
{
    for (size_t i = 0; i < 4; i++)
        assert_true(neo_buffer_append_byte(out, (uint8_t)(value >> (8 * i))));
}

/* As hosts hand them out: entries of GUID, offset and length, the contents, filled up to a page. */
static struct neo_buffer host_table(void)
{
    static const char guids[] = "\x63\xda\x75\x8d\xe6\x64\x45\x64\xad\xc5\xf4\xb9\x3b\xe8\xac\xcd"
                                "\x4a\xb7\xb3\x79\xbb\xac\x4f\xe4\xa0\x2f\x05\xae\xf3\x27\xc7\x82";
    const struct neo_buffer *ders[] = {&machine.chip.cert_der, &machine.authority.issuer_der};
    struct neo_buffer all = {0};
    size_t at = (NEO_COUNT(ders) + 1) * 24;

    for (size_t i = 0; i < NEO_COUNT(ders); i++) {
        assert_true(neo_buffer_append(&all, neo_bytes(guids + 16 * i, 16)));
        table_le(&all, at);
        table_le(&all, ders[i]->len);
        at += ders[i]->len;
    }
    for (size_t i = 0; i < 24; i++)
        assert_true(neo_buffer_append_byte(&all, 0));
    for (size_t i = 0; i < NEO_COUNT(ders); i++)
        assert_true(neo_buffer_append(&all, neo_buffer_bytes(ders[i])));
    while (all.len % 4096 != 0)
        assert_true(neo_buffer_append_byte(&all, 0));
    return all;
}

static void put_snp(void)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer table = host_table();

    fake_tsm(&fake, "sev_guest\n");
    (void)fake_put(&fake, "/sys/bus/platform/devices/sev-guest", "");
    fake_put(&fake, "@/inblob", "")->wrote = answer_snp;
    (void)fake_put(&fake, "@/privlevel", "");
    (void)fake_put(&fake, "@/privlevel_floor", "0\n");
    fake_set(fake_put(&fake, "@/auxblob", ""), neo_buffer_bytes(&table));
}

static struct fake_file *file(const char *path)
{
    for (size_t i = 0; i < fake.n; i++) {
        if (strcmp(fake.files[i].path, path) == 0)
            return &fake.files[i];
    }
    fail_msg("no %s", path);
    return NULL;
}

/* Takes a file away. */
static void forget(const char *path)
{
    file(path)->path = "?";
}

static void expect_judge_accepts_snp(const struct answer *a)
{
    struct neo_attest_policies *policies = machine_policy("");
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_evidence e = {NEO_EVIDENCE_SIM_SNP, neo_buffer_bytes(&a->body),
                                   neo_buffer_bytes(&a->certificates)};
    struct neo_appraisal appraisal;

    if (a->code != NEO_OK)
        fail_msg("%s", a->err.message);
    neo_arena_init(&arena, MACHINE_ARENA);
    assert_int_equal(neo_attest_appraise(machine.trust, policies, NEO_LIT("function-service"), &e,
                                         binder, NOW, &arena, &appraisal, NULL),
                     NEO_OK);
    neo_attest_policies_unref(policies);
    assert_null(machine_first_failure(&appraisal));
    assert_true(appraisal.accepted);
}

TEST(a_driver_that_is_busy_for_ever_ends_with_the_deadline)
{
    put_snp();
    fake.mkdir_error = EBUSY;
    fake.mkdir_errors = FAKE_FOR_EVER;
    struct neo_attester_finding findings[NEO_ATTESTER_SOURCES_N];
    const struct neo_attester_options options = {.tee = "sev-snp"};

    attester_survey(&fake.face, &options, findings);
    assert_int_equal(findings[NEO_ATTESTER_SNP_TSM].state, NEO_ATTESTER_LACKING);
    fake.mkdir_errors = 0;
    file("@/outblob")->read_error = EAGAIN;
    file("@/outblob")->read_errors = FAKE_FOR_EVER;
    ASK(a, "sev-snp");
    expect_says(&a, NEO_DEADLINE_EXCEEDED, "outblob");
    assert_true(a.took <= 10 * NEO_NSEC_PER_SEC);
    assert_true(fake.entries_made > 20); /* it did try */
}

TEST(a_deadline_of_ones_own_is_kept)
{
    const struct neo_attester_options options = {.tee = "sev-snp", .timeout = 2 * NEO_NSEC_PER_SEC};

    put_snp();
    file("@/inblob")->write_error = EBUSY;
    file("@/inblob")->write_errors = FAKE_FOR_EVER;
    NEO_CLEANUP(answer_fini) struct answer a = ask_with(&options);
    expect_says(&a, NEO_DEADLINE_EXCEEDED, "inblob");
    assert_true(a.took <= 2 * NEO_NSEC_PER_SEC);
}

TEST(a_file_that_never_answers_ends_with_the_deadline)
{
    put_snp();
    file("@/outblob")->silent = true;
    ASK(a, "sev-snp");
    expect_says(&a, NEO_DEADLINE_EXCEEDED, "did not answer");
    assert_int_equal(a.took, 10 * NEO_NSEC_PER_SEC);
}

TEST(evidence_that_somebody_else_may_have_asked_for_is_not_taken)
{
    put_snp();
    fake.generation_moves = true;
    ASK(a, "sev-snp");
    expect_says(&a, NEO_DEADLINE_EXCEEDED, "generation");
}

TEST(a_report_about_another_binder_is_not_taken)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer report = {0};
    uint8_t other[NEO_BINDER_LEN] = {1};

    put_snp();
    sign_report(other, &report);
    file("@/inblob")->wrote = NULL;
    fake_set(file("@/outblob"), neo_buffer_bytes(&report));
    ASK(a, "sev-snp");
    expect_says(&a, NEO_DATA_LOSS, "another question");
}

TEST(answers_that_are_no_report_are_not_taken)
{
    static const char *const garbage[] = {"", "x",
                                          "a report would be longer than this, and binary"};

    put_snp();
    file("@/inblob")->wrote = NULL;
    for (size_t i = 0; i < NEO_COUNT(garbage); i++) {
        fake_set(file("@/outblob"), neo_text(garbage[i]));
        ASK(a, "sev-snp");
        expect_says(&a, NEO_DATA_LOSS, "no snp-report");
    }
}

TEST(answers_without_end_are_cut_off)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer much = {0};

    assert_non_null(neo_buffer_reserve(&much, 1 << 20));
    memset(much.at, 0x5a, 1 << 20);
    much.len = 1 << 20;
    put_snp();
    fake_set(file("@/auxblob"), neo_buffer_bytes(&much));
    ASK(a, "sev-snp");
    expect_says(&a, NEO_RESOURCE_EXHAUSTED, "auxblob");
    file("@/inblob")->wrote = NULL;
    fake_set(file("@/outblob"), neo_buffer_bytes(&much));
    ASK(b, "sev-snp");
    expect_says(&b, NEO_RESOURCE_EXHAUSTED, "outblob");
}

TEST(failures_of_the_driver_say_which_file_and_why)
{
    static const struct {
        const char *path;
        int number;
        bool in_write;
        enum neo_code code;
    } cases[] = {
        {"@/inblob", EINVAL, true, NEO_INTERNAL},
        {"@/privlevel", EINVAL, true, NEO_INTERNAL},
        {"@/outblob", EIO, false, NEO_INTERNAL},
        {"@/outblob", EACCES, false, NEO_PERMISSION_DENIED},
        {"@/outblob", EFBIG, false, NEO_INTERNAL},
        {"@/auxblob", EIO, false, NEO_INTERNAL},
        {"@/generation", EIO, false, NEO_INTERNAL},
        {"@/privlevel_floor", EIO, false, NEO_INTERNAL},
    };

    put_snp();
    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        struct fake_file *f = file(cases[i].path);
        f->write_error = f->read_error = cases[i].number;
        f->write_errors = cases[i].in_write ? 1 : 0;
        f->read_errors = cases[i].in_write ? 0 : 1;
        ASK(a, "sev-snp");
        expect_says(&a, cases[i].code, cases[i].path + 1);
        assert_int_equal(a.took, 0); /* these are not tried again */
    }
}

TEST(a_short_write_is_a_failure)
{
    put_snp();
    file("@/inblob")->takes_less = true;
    ASK(a, "sev-snp");
    expect_says(&a, NEO_DATA_LOSS, "took 63 of 64");
}

TEST(words_that_are_none_are_refused)
{
    put_snp();
    fake_set(file("@/privlevel_floor"), neo_text("4\n"));
    ASK(a, "sev-snp");
    expect_says(&a, NEO_DATA_LOSS, "no level");
    fake_set(file("@/privlevel_floor"), neo_text("\n"));
    ASK(b, "sev-snp");
    expect_says(&b, NEO_DATA_LOSS, "holds no word");
}

TEST(a_provider_that_changed_is_noticed)
{
    const struct neo_attester_options options = {.tee = "sev-snp"};
    NEO_CLEANUP(answer_fini) struct answer a = {.code = NEO_OK};
    struct neo_attester *attester;

    put_snp();
    assert_int_equal(attester_detect(&fake.face, &options, &attester, NULL, NULL), NEO_OK);
    fake_set(file("@/provider"), neo_text("tdx_guest\n"));
    a.code = attester->attest(attester, binder, &a.body, &a.certificates, &a.err);
    expect_says(&a, NEO_NOT_FOUND, "tdx_guest");
    attester->free(attester);
}

TEST(a_guest_with_configfs_proves_itself_to_our_judge)
{
    put_snp();
    ASK(a, "auto");
    assert_int_equal(a.kind, NEO_EVIDENCE_SNP);
    expect_judge_accepts_snp(&a);
    assert_true(neo_bytes_is(neo_buffer_bytes(&file("@/privlevel")->got), "0"));
    assert_int_equal(fake.entries_made, 3); /* looked for a TD and a guest, and asked */
}

TEST(the_least_level_that_a_guest_may_name_is_named)
{
    put_snp();
    fake_set(file("@/privlevel_floor"), neo_text("2\n"));
    ASK(a, "sev-snp");
    assert_int_equal(a.code, NEO_OK);
    assert_true(neo_bytes_is(neo_buffer_bytes(&file("@/privlevel")->got), "2"));
}

TEST(what_is_busy_for_a_moment_is_asked_again)
{
    put_snp();
    file("@/outblob")->read_error = EWOULDBLOCK;
    file("@/outblob")->read_errors = 1;
    file("@/inblob")->write_error = EBUSY;
    file("@/inblob")->write_errors = 2;
    ASK(a, "sev-snp");
    expect_judge_accepts_snp(&a);
    assert_true(a.took > 0 && a.took < NEO_NSEC_PER_SEC);
}

TEST(a_host_without_certificates_is_no_failure)
{
    put_snp();
    forget("@/auxblob");
    ASK(a, "sev-snp");
    assert_int_equal(a.code, NEO_OK);
    assert_int_equal(a.certificates.len, 0);
}

/* --- /dev/sev-guest --------------------------------------------------------------------------- */

/* The kernel's structures, written down a second time. */
struct guest_request {
    uint8_t version;
    uint64_t request, response, exit_info;
};
struct extended_request {
    uint8_t user_data[64];
    uint32_t vmpl;
    uint8_t zero[28];
    uint64_t certificates;
    uint32_t certificates_len;
};

struct firmware {
    struct neo_buffer table; /* empty: the host has none */
    uint32_t status, size;
    int number; /* of this many requests */
    unsigned numbers;
    uint64_t exit_info;
    bool writes_nothing, grows;
    uint32_t claims; /* certificates, instead of what there is */
    unsigned asked;
    uint32_t vmpl;
};

static void *pointer(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

static int answer_guest(struct fake *f, unsigned long request, void *argument)
{
    struct firmware *w = f->world;
    struct guest_request *r = argument;
    struct extended_request *x = pointer(r->request);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer report = {0};
    uint8_t *response = pointer(r->response);

    assert_int_equal(request, 0xc0205302); /* _IOWR('S', 2, 32 bytes) */
    assert_int_equal(r->version, 1);
    w->asked++;
    w->vmpl = x->vmpl;
    if (w->numbers > 0) {
        w->numbers--;
        r->exit_info = w->exit_info;
        return fake_fail(w->number);
    }
    if (w->table.len > 0 && (x->certificates_len < w->table.len || (w->grows && w->asked == 2))) {
        r->exit_info = UINT64_C(1) << 32;
        x->certificates_len = w->claims != 0 ? w->claims : (uint32_t)w->table.len;
        return fake_fail(EIO);
    }
    if (w->table.len > 0)
        memcpy(pointer(x->certificates), w->table.at, w->table.len);
    if (w->writes_nothing)
        return 0;
    sign_report(x->user_data, &report);
    memset(response, 0, 4000);
    memcpy(response, &w->status, 4);
    memcpy(response + 4, &w->size, 4);
    memcpy(response + 32, report.at, report.len);
    return 0;
}

static void firmware_init(struct firmware *w)
{
    *w = (struct firmware){.size = 1184, .table = host_table()};
    fake.world = w;
    fake.on_ioctl = answer_guest;
    (void)fake_put(&fake, "/dev/sev-guest", "");
}

static void firmware_fini(struct firmware *w)
{
    neo_buffer_fini(&w->table);
}

TEST(failures_of_the_firmware_say_its_number)
{
    NEO_CLEANUP(firmware_fini) struct firmware w;

    firmware_init(&w);
    w.number = EIO;
    w.numbers = 1;
    w.exit_info = 0x16;
    ASK(a, "sev-snp");
    expect_says(&a, NEO_INTERNAL, "firmware 0x16");
    w.numbers = 1;
    w.exit_info = UINT64_C(9) << 32;
    ASK(b, "sev-snp");
    expect_says(&b, NEO_INTERNAL, "host 0x9");
    w.status = 0x27;
    ASK(c, "sev-snp");
    expect_says(&c, NEO_INTERNAL, "status 0x27, it has no such key");
    w.status = 0;
    w.size = 1183;
    ASK(d, "sev-snp");
    expect_says(&d, NEO_DATA_LOSS, "1183");
    w.numbers = 1;
    w.number = ENOTTY;
    w.exit_info = 0;
    ASK(e, "sev-snp");
    expect_says(&e, NEO_FAILED_PRECONDITION, "reboot");
}

TEST(a_response_that_nobody_wrote_is_no_report)
{
    NEO_CLEANUP(firmware_fini) struct firmware w;

    firmware_init(&w);
    w.writes_nothing = true;
    ASK(a, "sev-snp");
    expect_says(&a, NEO_INTERNAL, "status 0xffffffff");
}

TEST(a_host_that_holds_back_for_ever_ends_with_the_deadline)
{
    NEO_CLEANUP(firmware_fini) struct firmware w;

    firmware_init(&w);
    w.number = EIO;
    w.numbers = FAKE_FOR_EVER;
    w.exit_info = UINT64_C(2) << 32;
    ASK(a, "sev-snp");
    expect_says(&a, NEO_DEADLINE_EXCEEDED, "holds back");
    assert_true(a.took <= 10 * NEO_NSEC_PER_SEC);
    assert_true(w.asked < 200); /* it is asked less and less often */
}

TEST(more_certificates_than_there_is_room_for_are_refused)
{
    NEO_CLEANUP(firmware_fini) struct firmware w;

    firmware_init(&w);
    w.claims = 1 << 20;
    ASK(a, "sev-snp");
    expect_says(&a, NEO_RESOURCE_EXHAUSTED, "1048576 bytes");
}

TEST(a_device_proves_itself_to_our_judge)
{
    NEO_CLEANUP(firmware_fini) struct firmware w;
    const struct neo_attester_options options = {.tee = "sev-snp", .vmpl = 1};

    firmware_init(&w);
    ASK(a, "auto");
    expect_judge_accepts_snp(&a);
    assert_int_equal(w.asked, 2); /* for the length, then for both */
    NEO_CLEANUP(answer_fini) struct answer b = ask_with(&options);
    assert_int_equal(b.code, NEO_OK);
    assert_int_equal(w.vmpl, 1);
}

TEST(a_device_is_asked_again_when_it_was_busy_or_its_certificates_grew)
{
    static const int numbers[] = {EBUSY, EAGAIN};

    for (size_t i = 0; i < NEO_COUNT(numbers); i++) {
        NEO_CLEANUP(firmware_fini) struct firmware w;
        firmware_init(&w);
        w.number = numbers[i];
        w.numbers = 2;
        ASK(a, "sev-snp");
        expect_judge_accepts_snp(&a);
        assert_true(a.took > 0);
    }
    NEO_CLEANUP(firmware_fini) struct firmware w;
    firmware_init(&w);
    w.grows = true;
    ASK(a, "sev-snp");
    expect_judge_accepts_snp(&a);
}

TEST(a_device_without_certificates_is_asked_once)
{
    NEO_CLEANUP(firmware_fini) struct firmware w;

    firmware_init(&w);
    neo_buffer_fini(&w.table);
    ASK(a, "sev-snp");
    assert_int_equal(a.code, NEO_OK);
    assert_int_equal(a.certificates.len, 0);
    assert_int_equal(w.asked, 1);
}

/* --- Intel ------------------------------------------------------------------------------------ */

static void answer_intel(struct fake *f, struct fake_file *asked)
{
    struct platform *p = f->world;
    struct fake_file *quote =
        fake_find(f, p->is_tdx ? FAKE_REPORTS "/neo-x/outblob" : "/dev/attestation/quote");

    assert_int_equal(asked->got.len, NEO_BINDER_LEN);
    p->binder = asked->got.at[0];
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer made = platform_quote(p);
    fake_set(quote, neo_buffer_bytes(&made));
}

static void expect_judge_accepts_intel(struct platform *p, const struct answer *a)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer row = {0};
    const struct neo_evidence e = {p->is_tdx ? NEO_EVIDENCE_SIM_TDX : NEO_EVIDENCE_SIM_SGX,
                                   neo_buffer_bytes(&a->body), neo_buffer_bytes(&a->certificates)};
    struct neo_attest_policies *policies;
    struct neo_appraisal appraisal;

    if (a->code != NEO_OK)
        fail_msg("%s", a->err.message);
    assert_true(
        neo_buffer_append_text(&row, p->is_tdx ? "        mrtd: [\"" : "        mrenclave: [\""));
    for (size_t i = 0; i < (p->is_tdx ? 48U : 32U); i++)
        assert_true(neo_buffer_printf(&row, "%02x", p->code));
    assert_true(neo_buffer_append(&row, neo_bytes("\"]\n", 4)));
    assert_int_equal(platform_compile(p, (const char *)row.at, &policies, NULL), NEO_OK);
    neo_arena_init(&arena, PLATFORM_ARENA);
    assert_int_equal(neo_attest_appraise(p->trust, policies, NEO_LIT("function-service"), &e,
                                         binder, PLATFORM_NOW, &arena, &appraisal, NULL),
                     NEO_OK);
    neo_attest_policies_unref(policies);
    assert_null(machine_first_failure(&appraisal));
    assert_true(appraisal.accepted);
}

TEST(a_trust_domain_proves_itself_to_our_judge)
{
    NEO_CLEANUP(platform_fini) struct platform p;

    platform_init(&p, true, 4);
    fake.world = &p;
    fake_tsm(&fake, "tdx_guest\n");
    (void)fake_put(&fake, "/dev/tdx_guest", "");
    file("@/inblob")->wrote = answer_intel;
    ASK(a, "auto");
    assert_int_equal(a.kind, NEO_EVIDENCE_TDX);
    expect_judge_accepts_intel(&p, &a);
}

static void put_gramine(struct platform *p)
{
    platform_init(p, false, 3);
    fake.world = p;
    (void)fake_put(&fake, "/dev/attestation/attestation_type", "dcap");
    (void)fake_put(&fake, "/dev/attestation/quote", "");
    fake_put(&fake, "/dev/attestation/user_report_data", "")->wrote = answer_intel;
}

TEST(an_enclave_proves_itself_to_our_judge)
{
    NEO_CLEANUP(platform_fini) struct platform p;

    put_gramine(&p);
    ASK(a, "auto");
    assert_int_equal(a.kind, NEO_EVIDENCE_SGX);
    expect_judge_accepts_intel(&p, &a);
}

TEST(an_enclave_whose_files_fail_proves_nothing)
{
    NEO_CLEANUP(platform_fini) struct platform p;

    put_gramine(&p);
    file("/dev/attestation/user_report_data")->takes_less = true;
    ASK(a, "sgx");
    expect_says(&a, NEO_DATA_LOSS, "user_report_data");
    file("/dev/attestation/user_report_data")->takes_less = false;
    file("/dev/attestation/quote")->read_errors = 1;
    file("/dev/attestation/quote")->read_error = EIO;
    ASK(b, "sgx");
    expect_says(&b, NEO_INTERNAL, "quote");
    file("/dev/attestation/user_report_data")->wrote = NULL;
    fake_set(file("/dev/attestation/quote"), neo_text("no quote"));
    ASK(c, "sgx");
    expect_says(&c, NEO_DATA_LOSS, "no sgx-quote");
    file("/dev/attestation/quote")->silent = true;
    ASK(d, "sgx");
    expect_says(&d, NEO_DEADLINE_EXCEEDED, "quote");
}

/* --- Nitro ------------------------------------------------------------------------------------ */

struct nsm_message {
    uint64_t request_at, request_len, response_at, response_len;
};

struct hypervisor {
    struct enclave enclave;
    const char *text; /* answers this instead */
    size_t text_len;
    int number;
    unsigned numbers;
    uint64_t claims;
};

/* What the request must be, byte for byte. */
static const uint8_t *read_nsm_request(const struct nsm_message *m)
{
    struct cbor c = cbor_of(neo_bytes(pointer(m->request_at), (size_t)m->request_len));
    struct cbor_item user_data, item;

    assert_true(cbor_take(&c, CBOR_MAP, &item) && item.value == 1);
    assert_true(cbor_take(&c, CBOR_TEXT, &item) && neo_bytes_is(item.bytes, "Attestation"));
    assert_true(cbor_take(&c, CBOR_MAP, &item) && item.value == 3);
    assert_true(cbor_take(&c, CBOR_TEXT, &item) && neo_bytes_is(item.bytes, "user_data"));
    assert_true(cbor_take(&c, CBOR_BYTES, &user_data) && user_data.bytes.len == NEO_BINDER_LEN);
    assert_true(cbor_take(&c, CBOR_TEXT, &item) && neo_bytes_is(item.bytes, "nonce"));
    assert_true(cbor_take(&c, CBOR_NULL, &item) && cbor_take(&c, CBOR_TEXT, &item));
    assert_true(neo_bytes_is(item.bytes, "public_key") && cbor_take(&c, CBOR_NULL, &item));
    assert_true(cbor_is_done(&c));
    return user_data.bytes.at;
}

static int answer_nsm(struct fake *f, unsigned long request, void *argument)
{
    struct hypervisor *h = f->world;
    struct nsm_message *m = argument;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer response = {0};

    assert_int_equal(request, 0xc0200a00); /* _IOWR(0x0a, 0, 32 bytes) */
    assert_int_equal(m->response_len, 0x3000);
    if (h->numbers > 0) {
        h->numbers--;
        return fake_fail(h->number);
    }
    memcpy(h->enclave.user_data, read_nsm_request(m), NEO_BINDER_LEN);
    if (h->text != NULL) {
        assert_true(neo_buffer_append(&response, neo_bytes(h->text, h->text_len)));
    } else {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer document = enclave_document(&h->enclave);
        assert_true(cbor_put(&response, CBOR_MAP, 1) && cbor_put_text(&response, "Attestation") &&
                    cbor_put(&response, CBOR_MAP, 1) && cbor_put_text(&response, "document") &&
                    cbor_put_bytes(&response, neo_buffer_bytes(&document)));
    }
    if (response.len > 0)
        memcpy(pointer(m->response_at), response.at, response.len);
    m->response_len = h->claims != 0 ? h->claims : response.len;
    return 0;
}

static void hypervisor_init(struct hypervisor *h)
{
    *h = (struct hypervisor){.text = NULL};
    enclave_init(&h->enclave);
    fake.world = h;
    fake.on_ioctl = answer_nsm;
    (void)fake_put(&fake, "/dev/nsm", "");
}

static void hypervisor_fini(struct hypervisor *h)
{
    enclave_fini(&h->enclave);
}

TEST(what_the_hypervisor_refuses_or_garbles_proves_nothing)
{
    static const struct {
        const char *text;
        size_t len;
        enum neo_code code;
        const char *says;
    } cases[] = {
        {"\xa1\x65"
         "Error\x6f"
         "InvalidArgument",
         23, NEO_INTERNAL, "refused: InvalidArgument"},
        {"\xa1\x65"
         "Error\x01",
         8, NEO_DATA_LOSS, "cannot be read"},
        {"\xa1\x65"
         "Error\x61"
         "x\x00",
         10, NEO_DATA_LOSS, "cannot be read"},
        {"", 0, NEO_DATA_LOSS, "no response"},
        {"\xa0", 1, NEO_DATA_LOSS, "no response"},
        {"\xa1\x61"
         "x\x01",
         4, NEO_DATA_LOSS, "no document"},
        {"\xa1\x6b"
         "Attestation\xa1\x68"
         "document\x40",
         24, NEO_DATA_LOSS, "no document"},
        {"\xa1\x6b"
         "Attestation\xa1\x68"
         "document\x58\xff",
         25, NEO_DATA_LOSS, "no document"},
        {"\xa1\x6b"
         "Attestation\xa1\x68"
         "document\x41x",
         25, NEO_DATA_LOSS, "no nitro-doc"},
    };
    NEO_CLEANUP(hypervisor_fini) struct hypervisor h;

    hypervisor_init(&h);
    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        h.text = cases[i].text;
        h.text_len = cases[i].len;
        ASK(a, "nitro");
        expect_says(&a, cases[i].code, cases[i].says);
    }
    h.text = NULL;
    h.claims = 0x3001;
    ASK(a, "nitro");
    expect_says(&a, NEO_DATA_LOSS, "more than 12288 bytes");
}

TEST(a_device_of_an_enclave_that_fails_says_why)
{
    NEO_CLEANUP(hypervisor_fini) struct hypervisor h;

    hypervisor_init(&h);
    h.number = EMSGSIZE;
    h.numbers = 1;
    ASK(a, "nitro");
    expect_says(&a, NEO_INTERNAL, "/dev/nsm");
    h.number = EBUSY;
    h.numbers = FAKE_FOR_EVER;
    ASK(b, "nitro");
    expect_says(&b, NEO_DEADLINE_EXCEEDED, "/dev/nsm");
}

TEST(a_nitro_enclave_proves_itself_to_our_judge)
{
    NEO_CLEANUP(hypervisor_fini) struct hypervisor h;
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
    struct neo_attest_policies *policies;
    struct neo_appraisal appraisal;

    hypervisor_init(&h);
    h.number = EBUSY;
    h.numbers = 1;
    ASK(a, "auto");
    if (a.code != NEO_OK)
        fail_msg("%s", a.err.message);
    assert_int_equal(a.kind, NEO_EVIDENCE_NITRO);
    enclave_rule(&h.enclave, 7, &rule);
    assert_int_equal(enclave_compile("simulator", (const char *)rule.at, &policies, NULL), NEO_OK);
    const struct neo_evidence e = {.kind = NEO_EVIDENCE_SIM_NITRO,
                                   .body = neo_buffer_bytes(&a.body)};
    neo_arena_init(&arena, ENCLAVE_ARENA);
    assert_int_equal(neo_attest_appraise(h.enclave.trust, policies, NEO_LIT("function-service"), &e,
                                         binder, ENCLAVE_NOW, &arena, &appraisal, NULL),
                     NEO_OK);
    neo_attest_policies_unref(policies);
    assert_null(machine_first_failure(&appraisal));
    assert_true(appraisal.accepted);
}

/* --- Arm CCA ---------------------------------------------------------------------------------- */

TEST(a_recorded_token_of_a_realm_comes_through_as_it_is)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_evidence_facts facts;

    if (!vectors_exist())
        skip();
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer token = vectors_read("cca/tfrmm_token_legacy399.cbor");
    const struct neo_evidence e = {.kind = NEO_EVIDENCE_CCA, .body = neo_buffer_bytes(&token)};
    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(neo_evidence_describe(&e, &arena, &facts, NULL), NEO_OK);
    assert_int_equal(facts.binder.len, NEO_BINDER_LEN);
    memcpy(binder, facts.binder.at, NEO_BINDER_LEN);
    fake_tsm(&fake, "arm_cca_guest\n");
    (void)fake_put(&fake, "/sys/bus/platform/devices/arm-cca-dev", "");
    fake_set(file("@/outblob"), neo_buffer_bytes(&token));
    ASK(a, "auto");
    assert_int_equal(a.kind, NEO_EVIDENCE_CCA);
    assert_int_equal(a.code, NEO_OK);
    assert_true(neo_bytes_equal(neo_buffer_bytes(&a.body), neo_buffer_bytes(&token)));
    assert_true(neo_bytes_equal(neo_buffer_bytes(&file("@/inblob")->got),
                                neo_bytes(binder, sizeof(binder))));
    binder[0] ^= 1;
    ASK(b, "arm-cca");
    expect_says(&b, NEO_DATA_LOSS, "another question");
}

/* --- the choice ------------------------------------------------------------------------------- */

static struct neo_attester_finding find_out(enum neo_attester_source source)
{
    const struct neo_attester_options options = {.tee = NULL};
    struct neo_attester_finding findings[NEO_ATTESTER_SOURCES_N];

    attester_survey(&fake.face, &options, findings);
    for (size_t i = 0; i < NEO_ATTESTER_SOURCES_N; i++) {
        assert_true(findings[i].what[0] != '\0'); /* nothing without a reason */
        assert_true(findings[i].tee[0] != '\0' && findings[i].via[0] != '\0');
    }
    return findings[source];
}

static void expect_finding(enum neo_attester_source source, enum neo_attester_state state,
                           const char *what, const char *next)
{
    struct neo_attester_finding f = find_out(source);

    assert_int_equal(f.state, state);
    if (strstr(f.what, what) == NULL || strstr(f.next, next) == NULL)
        fail_msg("\"%s\" / \"%s\"", f.what, f.next);
}

static void expect_no_choice(const char *tee, enum neo_code code, const char *text)
{
    const struct neo_attester_options options = {.tee = tee};
    struct neo_attester *attester = NULL;
    struct neo_error err;

    assert_int_equal(attester_detect(&fake.face, &options, &attester, NULL, &err), code);
    assert_null(attester);
    if (strstr(err.message, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, text);
}

TEST(bare_metal_proves_nothing_and_says_so)
{
    for (size_t i = 0; i < NEO_ATTESTER_SOURCES_N; i++)
        assert_int_equal(find_out((enum neo_attester_source)i).state, NEO_ATTESTER_ABSENT);
    expect_no_choice("auto", NEO_NOT_FOUND, "no TEE");
    expect_no_choice(NULL, NEO_NOT_FOUND, "no TEE");
    expect_no_choice("sev-snp", NEO_NOT_FOUND, "not a SEV-SNP guest");
    expect_no_choice("tdx", NEO_NOT_FOUND, "not a trust domain");
    expect_no_choice("nitro", NEO_NOT_FOUND, "there is no /dev/nsm");
    expect_no_choice("tpm", NEO_NOT_FOUND, "there is no /dev/tpmrm0");
    expect_no_choice("sgx", NEO_NOT_FOUND, "not inside an enclave");
    expect_no_choice("arm-cca", NEO_NOT_FOUND, "not a realm");
    expect_no_choice("trustzone", NEO_INVALID_ARGUMENT, "there are: auto, sev-snp");
}

TEST(what_is_missing_is_named_with_the_next_step)
{
    (void)fake_put(&fake, "/sys/bus/platform/devices/sev-guest", "");
    expect_finding(NEO_ATTESTER_SNP_TSM, NEO_ATTESTER_LACKING, "no configfs", "modprobe configfs");
    expect_finding(NEO_ATTESTER_SNP_DEVICE, NEO_ATTESTER_LACKING, "/dev/sev-guest",
                   "modprobe sev-guest");
    (void)fake_put(&fake, "/sys/kernel/config", "");
    expect_finding(NEO_ATTESTER_SNP_TSM, NEO_ATTESTER_LACKING, "tsm", "mount -t configfs");
    fake_put(&fake, "/dev/sev-guest", "")->open_error = EACCES;
    expect_finding(NEO_ATTESTER_SNP_DEVICE, NEO_ATTESTER_LACKING, "Permission denied", "udev");
    fake_put(&fake, "/dev/nsm", "")->open_error = EBUSY;
    expect_finding(NEO_ATTESTER_NITRO_NSM, NEO_ATTESTER_LACKING, "busy", "another program");
    fake_put(&fake, "/dev/tpmrm0", "")->open_error = EACCES;
    expect_finding(NEO_ATTESTER_TPM_TSS, NEO_ATTESTER_LACKING, "Permission denied", "group tss");
    (void)fake_put(&fake, "/dev/attestation/attestation_type", "none");
    expect_finding(NEO_ATTESTER_SGX_GRAMINE, NEO_ATTESTER_LACKING, "'none'", "manifest");
    (void)fake_put(&fake, "/proc/cpuinfo", "flags\t: fpu vme tdx_guest hypervisor\n");
    expect_finding(NEO_ATTESTER_TDX_TSM, NEO_ATTESTER_LACKING, "tsm", "modprobe tdx_guest");
    expect_no_choice("sev-snp", NEO_NOT_FOUND, "mount -t configfs");
    expect_no_choice("auto", NEO_NOT_FOUND, "manifest"); /* the first that is near */
}

TEST(entries_that_only_root_may_make_are_explained)
{
    put_snp();
    fake.mkdir_error = EACCES;
    fake.mkdir_errors = FAKE_FOR_EVER;
    expect_finding(NEO_ATTESTER_SNP_TSM, NEO_ATTESTER_LACKING, "Permission denied",
                   "CAP_DAC_OVERRIDE");
    expect_no_choice("sev-snp", NEO_NOT_FOUND, "CAP_DAC_OVERRIDE");
}

TEST(the_second_way_to_a_kind_is_taken_when_the_first_is_closed)
{
    NEO_CLEANUP(firmware_fini) struct firmware w;

    put_snp();
    fake.mkdir_error = EACCES;
    fake.mkdir_errors = FAKE_FOR_EVER;
    firmware_init(&w);
    ASK(a, "auto");
    expect_judge_accepts_snp(&a);
    assert_int_equal(w.asked, 2);
}

TEST(what_says_most_is_chosen_first)
{
    NEO_CLEANUP(platform_fini) struct platform p;
    const struct neo_attester_options options = {.tee = "auto"};
    struct neo_attester_finding f;
    struct neo_attester *attester;

    put_snp();
    (void)fake_put(&fake, "/dev/tpmrm0", "");
    assert_int_equal(attester_detect(&fake.face, &options, &attester, &f, NULL), NEO_OK);
    assert_int_equal(attester->kind, NEO_EVIDENCE_SNP);
    assert_string_equal(f.via, "configfs-tsm");
    attester->free(attester);
    put_gramine(&p);
    assert_int_equal(attester_detect(&fake.face, &options, &attester, &f, NULL), NEO_OK);
    assert_int_equal(attester->kind, NEO_EVIDENCE_SGX);
    attester->free(attester);
}

/* --- from several threads --------------------------------------------------------------------- */

enum { THREADS = 4, EACH = 5 };

static void *ask_often(void *shared)
{
    struct neo_attester *attester = shared;

    for (int i = 0; i < EACH; i++) {
        NEO_CLEANUP(answer_fini) struct answer a = {.code = NEO_OK};
        a.code = attester->attest(attester, binder, &a.body, &a.certificates, &a.err);
        if (a.code != NEO_OK)
            return shared;
    }
    return NULL;
}

TEST(calls_from_several_threads_take_turns)
{
    const struct neo_attester_options options = {.tee = "sev-snp",
                                                 .timeout = NEO_NSEC_PER_SEC << 20};
    struct neo_attester *attester;
    pthread_t threads[THREADS];
    void *failed;

    put_snp();
    assert_int_equal(attester_detect(&fake.face, &options, &attester, NULL, NULL), NEO_OK);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, attester), 0);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    attester->free(attester);
    assert_int_equal(fake.entries_made, THREADS * EACH + 1);
}

static int begin_all(void **state)
{
    if (machine_setup(state) != 0)
        return -1;
    machine_init(&machine, "Genoa", SNP_VCEK);
    return 0;
}

static int end_all(void **state)
{
    machine_fini(&machine);
    return machine_teardown(state);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_driver_that_is_busy_for_ever_ends_with_the_deadline),
        test(a_deadline_of_ones_own_is_kept),
        test(a_file_that_never_answers_ends_with_the_deadline),
        test(evidence_that_somebody_else_may_have_asked_for_is_not_taken),
        test(a_report_about_another_binder_is_not_taken),
        test(answers_that_are_no_report_are_not_taken),
        test(answers_without_end_are_cut_off),
        test(failures_of_the_driver_say_which_file_and_why),
        test(a_short_write_is_a_failure),
        test(words_that_are_none_are_refused),
        test(a_provider_that_changed_is_noticed),
        test(failures_of_the_firmware_say_its_number),
        test(a_response_that_nobody_wrote_is_no_report),
        test(a_host_that_holds_back_for_ever_ends_with_the_deadline),
        test(more_certificates_than_there_is_room_for_are_refused),
        test(an_enclave_whose_files_fail_proves_nothing),
        test(what_the_hypervisor_refuses_or_garbles_proves_nothing),
        test(a_device_of_an_enclave_that_fails_says_why),
        test(bare_metal_proves_nothing_and_says_so),
        test(what_is_missing_is_named_with_the_next_step),
        test(entries_that_only_root_may_make_are_explained),
        test(a_guest_with_configfs_proves_itself_to_our_judge),
        test(the_least_level_that_a_guest_may_name_is_named),
        test(what_is_busy_for_a_moment_is_asked_again),
        test(a_host_without_certificates_is_no_failure),
        test(a_device_proves_itself_to_our_judge),
        test(a_device_is_asked_again_when_it_was_busy_or_its_certificates_grew),
        test(a_device_without_certificates_is_asked_once),
        test(a_trust_domain_proves_itself_to_our_judge),
        test(an_enclave_proves_itself_to_our_judge),
        test(a_nitro_enclave_proves_itself_to_our_judge),
        test(a_recorded_token_of_a_realm_comes_through_as_it_is),
        test(the_second_way_to_a_kind_is_taken_when_the_first_is_closed),
        test(what_says_most_is_chosen_first),
        test(calls_from_several_threads_take_turns),
    };

    return cmocka_run_group_tests(tests, begin_all, end_all);
}
