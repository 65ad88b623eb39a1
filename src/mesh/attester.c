/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of sources, the choice among them, and one call: its turn, its time, its result.
 */
#include "mesh/attester.h"

#include <neo/digest.h>
#include <neo/evidence.h>
#include <neo/memory.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#define TIMEOUT (10 * NEO_NSEC_PER_SEC)
#define TURN    (20 * NEO_NSEC_PER_MSEC)

enum { LOOK_ARENA = 1 << 20 };

/* Gramine's files, a TPM and an enclave's device are one for the whole process. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

struct attester {
    struct neo_attester face;
    const struct attester_way *way;
    struct attester_sys *sys; /* `own`, or a test's */
    struct attester_linux own;
    struct neo_attester_options options;
    struct neo_log log;
    char *tpm;
    char *metadata;
};

/* clang-format off */
static const struct attester_way ways[NEO_ATTESTER_SOURCES_N] = {
    [NEO_ATTESTER_SGX_GRAMINE] = {NEO_EVIDENCE_SGX, NULL, gramine_look, gramine_attest},
    [NEO_ATTESTER_NITRO_NSM]   = {NEO_EVIDENCE_NITRO, NULL, nsm_look, nsm_attest},
    [NEO_ATTESTER_TDX_TSM]     = {NEO_EVIDENCE_TDX, "tdx_guest", tsm_look, tsm_attest},
    [NEO_ATTESTER_SNP_TSM]     = {NEO_EVIDENCE_SNP, "sev_guest", tsm_look, tsm_attest},
    [NEO_ATTESTER_SNP_DEVICE]  = {NEO_EVIDENCE_SNP, NULL, sev_look, sev_attest},
    [NEO_ATTESTER_CCA_TSM]     = {NEO_EVIDENCE_CCA, "arm_cca_guest", tsm_look, tsm_attest},
    [NEO_ATTESTER_AZURE_SNP_VTPM] = {NEO_EVIDENCE_AZURE_SNP, NULL, azure_look, azure_attest},
    [NEO_ATTESTER_AZURE_TDX_VTPM] = {NEO_EVIDENCE_AZURE_TDX, NULL, azure_look, azure_attest},
    [NEO_ATTESTER_TPM_TSS]     = {NEO_EVIDENCE_TPM, NULL, tpm_look, tpm_attest},
};
static const struct { const char *tee, *via; } names[NEO_ATTESTER_SOURCES_N] = {
#define X(name, tee, via) {tee, via},
    NEO_ATTESTER_SOURCES(X)
#undef X
};
/* clang-format on */

/* --- findings --------------------------------------------------------------------------------- */

void attester_found(struct neo_attester_finding *ret, enum neo_attester_state state,
                    const char *what, ...)
{
    va_list args;

    va_start(args, what);
    (void)vsnprintf(ret->what, sizeof(ret->what), what, args);
    va_end(args);
    ret->state = state;
}

void attester_next(struct neo_attester_finding *ret, const char *next, ...)
{
    va_list args;

    va_start(args, next);
    (void)vsnprintf(ret->next, sizeof(ret->next), next, args);
    va_end(args);
}

void attester_found_device(struct neo_attester_finding *ret, const char *path, int number)
{
    if (number == ENOENT || number == ENOTDIR) {
        attester_found(ret, NEO_ATTESTER_ABSENT, "there is no %s", path);
        return;
    }
    attester_found(ret, NEO_ATTESTER_LACKING, "cannot open %s: %s", path, strerrordesc_np(number));
    if (number == EACCES || number == EPERM)
        attester_next(
            ret,
            "let the service's user open it: a udev rule with GROUP and MODE=\"0660\", or "
            "chgrp and chmod g+rw %s",
            path);
    else if (number == EBUSY)
        attester_next(ret, "another program holds %s: stop it", path);
    else
        attester_next(ret, "see dmesg");
}

static void look(struct attester_sys *sys, const struct neo_attester_options *options, size_t i,
                 struct neo_attester_finding *ret)
{
    struct attester_run run = {
        .sys = sys, .options = options, .until = sys->now(sys) + NEO_NSEC_PER_SEC};

    *ret = (struct neo_attester_finding){.tee = names[i].tee, .via = names[i].via};
    ways[i].look(&run, &ways[i], ret);
}

void attester_survey(struct attester_sys *sys, const struct neo_attester_options *options,
                     struct neo_attester_finding ret[NEO_AT_LEAST(NEO_ATTESTER_SOURCES_N)])
{
    for (size_t i = 0; i < NEO_ATTESTER_SOURCES_N; i++)
        look(sys, options, i, &ret[i]);
}

/* --- one call --------------------------------------------------------------------------------- */

static void give_turn(pthread_mutex_t **held)
{
    if (*held != NULL)
        (void)pthread_mutex_unlock(*held);
}

/* With the system's own clock, which a test may have set. */
static bool take_turn(struct attester_run *run)
{
    while (pthread_mutex_trylock(&turn) != 0) {
        if (run->sys->now(run->sys) >= run->until)
            return false;
        run->sys->sleep(run->sys, TURN);
    }
    return true;
}

/* Of its form, and for this binder? Whoever judges it knows more, but not whose fault it is. */
static enum neo_code look_at(enum neo_evidence_kind kind, const uint8_t *binder,
                             const struct neo_buffer *body, const struct neo_buffer *certificates,
                             struct neo_error *err)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_evidence e = {kind, neo_buffer_bytes(body), neo_buffer_bytes(certificates)};
    struct neo_evidence_facts facts = {.n = 0};
    uint8_t digest[NEO_SHA256_LEN];
    struct neo_error why;

    neo_arena_init(&arena, LOOK_ARENA);
    if (neo_evidence_describe(&e, &arena, &facts, &why) != NEO_OK)
        return neo_fail(err, NEO_DATA_LOSS, "what this machine gave is no %s: %.180s",
                        neo_evidence_kind_text(kind), why.message);
    neo_sha256(neo_bytes(binder, NEO_BINDER_LEN), digest); /* what a TPM has room for */
    bool is_tpms = kind == NEO_EVIDENCE_TPM || kind == NEO_EVIDENCE_AZURE_SNP ||
                   kind == NEO_EVIDENCE_AZURE_TDX;
    if (!neo_bytes_equal(facts.binder, is_tpms ? neo_bytes(digest, sizeof(digest))
                                               : neo_bytes(binder, NEO_BINDER_LEN)))
        return neo_fail(err, NEO_DATA_LOSS,
                        "this machine gave a %s that was made for another question",
                        neo_evidence_kind_text(kind));
    return NEO_OK;
}

static enum neo_code make_evidence(struct attester *a, const uint8_t *binder,
                                   struct neo_buffer *body, struct neo_buffer *certificates,
                                   struct neo_error *err)
{
    NEO_CLEANUP(give_turn) pthread_mutex_t *held = NULL;
    neo_nsec timeout = a->options.timeout == 0 ? TIMEOUT : a->options.timeout;
    struct attester_run run = {
        .sys = a->sys, .options = &a->options, .until = a->sys->now(a->sys) + timeout};

    if (!take_turn(&run))
        return neo_fail(err, NEO_DEADLINE_EXCEEDED, "another quote is still being made");
    held = &turn;
    NEO_TRY(a->way->attest(&run, a->way, binder, body, certificates, err));
    return look_at(a->face.kind, binder, body, certificates, err);
}

static enum neo_code attest(struct neo_attester *self,
                            const uint8_t binder[NEO_AT_LEAST(NEO_BINDER_LEN)],
                            struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                            struct neo_error *err)
{
    struct attester *a = neo_owner(self, struct attester, face);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = {0};
    struct neo_error unused;

    if (err == NULL)
        err = &unused;
    enum neo_code code = make_evidence(a, binder, &body, &certificates, err);
    if (code != NEO_OK) {
        neo_log_error(&a->log, "attester.failed", NEO_STR("code", neo_code_name(code)),
                      NEO_STR("why", err->message));
        return code;
    }
    if (!neo_buffer_append(out_body, neo_buffer_bytes(&body)) ||
        !neo_buffer_append(out_certificates, neo_buffer_bytes(&certificates)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for evidence");
    return NEO_OK;
}

/* --- the choice ------------------------------------------------------------------------------- */

static void free_attester(struct neo_attester *self)
{
    struct attester *a = neo_owner(self, struct attester, face);

    neo_free(a->tpm);
    neo_free(a->metadata);
    neo_free(a);
}

/* Makes the text our own; NULL stays NULL. */
static bool keep_text(const char **text, char **ret)
{
    if (*text == NULL)
        return true;
    *ret = neo_string_dup(*text);
    *text = *ret;
    return *ret != NULL;
}

static enum neo_code make(struct attester_sys *sys, const struct neo_attester_options *options,
                          size_t source, struct neo_attester **ret, struct neo_error *err)
{
    struct attester *a = neo_alloc(sizeof(*a));

    if (a == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for an attester");
    a->face = (struct neo_attester){ways[source].kind, false, attest, free_attester};
    a->way = &ways[source];
    a->sys = sys;
    a->options = *options;
    a->options.tee = a->options.root = NULL; /* the caller's, and not needed any more */
    a->options.log = NULL;
    if (options->log != NULL)
        a->log = *options->log;
    else
        a->log.level = NEO_LOG_OFF;
    if (!keep_text(&a->options.tpm, &a->tpm) || !keep_text(&a->options.metadata, &a->metadata)) {
        free_attester(&a->face);
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for an attester");
    }
    *ret = &a->face;
    return NEO_OK;
}

static bool is_auto(const char *tee)
{
    return tee == NULL || strcmp(tee, "auto") == 0;
}

static enum neo_code check_tee(const char *tee, struct neo_error *err)
{
    for (size_t i = 0; i < NEO_ATTESTER_SOURCES_N; i++) {
        if (strcmp(names[i].tee, tee) == 0)
            return NEO_OK;
    }
    return neo_fail(
        err, NEO_INVALID_ARGUMENT,
        "there is no TEE '%s'; there are: auto, sev-snp, tdx, sgx, nitro, arm-cca, azure-snp, "
        "azure-tdx, tpm",
        tee);
}

static enum neo_code fail_none(const char *tee, const struct neo_attester_finding *nearest,
                               struct neo_error *err)
{
    const char *stop = nearest->next[0] == '\0' ? "" : "; ";

    if (nearest->tee == NULL)
        return neo_fail(err, NEO_NOT_FOUND, "this machine has no TEE that is known");
    return neo_fail(err, NEO_NOT_FOUND, "%s%s%s%s%s", is_auto(tee) ? "" : tee,
                    is_auto(tee) ? "" : " is not to be had here: ", nearest->what, stop,
                    nearest->next);
}

enum neo_code attester_detect(struct attester_sys *sys, const struct neo_attester_options *options,
                              struct neo_attester **ret, struct neo_attester_finding *ret_finding,
                              struct neo_error *err)
{
    struct neo_attester_finding nearest = {.tee = NULL};
    struct neo_attester_finding f;

    if (!is_auto(options->tee))
        NEO_TRY(check_tee(options->tee, err));
    for (size_t i = 0; i < NEO_ATTESTER_SOURCES_N; i++) {
        if (!is_auto(options->tee) && strcmp(names[i].tee, options->tee) != 0)
            continue;
        look(sys, options, i, &f);
        if (f.state == NEO_ATTESTER_READY) {
            NEO_TRY(make(sys, options, i, ret, err));
            if (ret_finding != NULL)
                *ret_finding = f;
            return NEO_OK;
        }
        if (nearest.tee == NULL || f.state > nearest.state)
            nearest = f;
    }
    if (is_auto(options->tee) && nearest.state == NEO_ATTESTER_ABSENT)
        nearest.tee = NULL;
    return fail_none(options->tee, &nearest, err);
}

void neo_attester_survey(const struct neo_attester_options *options,
                         struct neo_attester_finding ret[NEO_AT_LEAST(NEO_ATTESTER_SOURCES_N)])
{
    struct attester_linux system;
    struct neo_error err;

    if (attester_linux_init(&system, options->root, &err) == NEO_OK) {
        attester_survey(&system.face, options, ret);
        return;
    }
    for (size_t i = 0; i < NEO_ATTESTER_SOURCES_N; i++) {
        ret[i] = (struct neo_attester_finding){.tee = names[i].tee, .via = names[i].via};
        attester_found(&ret[i], NEO_ATTESTER_ABSENT, "%s", err.message);
    }
}

enum neo_code neo_attester_detect(const struct neo_attester_options *options,
                                  struct neo_attester **ret,
                                  struct neo_attester_finding *ret_finding, struct neo_error *err)
{
    struct attester_linux system;
    struct neo_attester *made;

    NEO_TRY(attester_linux_init(&system, options->root, err));
    NEO_TRY(attester_detect(&system.face, options, &made, ret_finding, err));
    struct attester *a = neo_owner(made, struct attester, face);
    a->own = system;
    a->sys = &a->own.face;
    *ret = made;
    return NEO_OK;
}
