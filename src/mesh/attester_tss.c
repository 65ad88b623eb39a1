/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM through tpm2-tss (ESYS). A device is read by a TCTI of our own, which keeps to the call's
 * time; any other TCTI is loaded by name, and waits as long as it likes.
 */
#include "mesh/attester_tss.h"

#include "attest/tpm_quote.h"

#include <errno.h>
#include <fcntl.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

enum { HEADER_LEN = 10, RESPONSE_MAX = 4096, READS_MAX = TPM_PCRS, NV_CHUNK = 1024 };

#define MAGIC UINT64_C(0x6e656f2d74637469)

void tss_quote_fini(struct tss_quote *q)
{
    neo_buffer_fini(&q->attest);
    neo_buffer_fini(&q->signature);
    neo_buffer_fini(&q->public_area);
    neo_buffer_fini(&q->pcrs);
}

bool tss_is_there(void)
{
    return true;
}

/* --- a TCTI over a device --------------------------------------------------------------------- */

struct device {
    TSS2_TCTI_CONTEXT_COMMON_V2 common; /* first: the library casts */
    struct attester_run *run;
    int fd;
    int number;     /* errno of what failed */
    bool timed_out; /* nothing came until the call had to end */
    uint8_t response[RESPONSE_MAX];
    size_t have;
};

static struct device *device_of(TSS2_TCTI_CONTEXT *tcti)
{
    return (struct device *)(void *)tcti;
}

static TSS2_RC fail_io(struct device *d)
{
    d->number = errno;
    return TSS2_TCTI_RC_IO_ERROR;
}

static bool wait_for(struct device *d, bool to_read)
{
    struct attester_sys *sys = d->run->sys;
    neo_nsec now = sys->now(sys);
    int ready = now >= d->run->until ? 0 : sys->wait(sys, d->fd, to_read, d->run->until - now);

    d->timed_out = ready == 0;
    errno = ready == 0 ? ETIMEDOUT : errno;
    return ready > 0 || (ready < 0 && errno == EINTR);
}

/* A device takes a whole command in one write. */
static TSS2_RC transmit(TSS2_TCTI_CONTEXT *tcti, size_t size, const uint8_t *command)
{
    struct device *d = device_of(tcti);
    struct attester_sys *sys = d->run->sys;

    d->have = 0;
    if (!wait_for(d, false))
        return fail_io(d);
    ssize_t n = sys->write(sys, d->fd, command, size);
    if (n >= 0 && (size_t)n != size)
        errno = EIO;
    return n < 0 || (size_t)n != size ? fail_io(d) : TSS2_RC_SUCCESS;
}

/* What the header says of the response's length; 0 until it is there. */
static size_t response_len(const struct device *d)
{
    const uint8_t *at = d->response + 2;

    if (d->have < HEADER_LEN)
        return 0;
    return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *tcti, size_t *size, uint8_t *response, int32_t timeout)
{
    struct device *d = device_of(tcti);
    struct attester_sys *sys = d->run->sys;

    (void)timeout; /* the call's */
    while (response_len(d) == 0 || d->have < response_len(d)) {
        size_t len = response_len(d);
        if ((d->have >= HEADER_LEN && len < HEADER_LEN) || len > sizeof(d->response))
            return TSS2_TCTI_RC_MALFORMED_RESPONSE;
        if (!wait_for(d, true))
            return fail_io(d);
        ssize_t n = sys->read(sys, d->fd, d->response + d->have, sizeof(d->response) - d->have);
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return fail_io(d);
        d->have += (size_t)n;
    }
    size_t len = response_len(d);
    if (response != NULL && *size < len)
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    if (response != NULL)
        memcpy(response, d->response, len);
    *size = len;
    return TSS2_RC_SUCCESS;
}

static void finalize(TSS2_TCTI_CONTEXT *tcti)
{
    (void)tcti;
}

static void device_init(struct device *d, struct attester_run *run)
{
    *d = (struct device){.run = run, .fd = -1};
    d->common.v1.magic = MAGIC;
    d->common.v1.version = 2;
    d->common.v1.transmit = transmit;
    d->common.v1.receive = receive;
    d->common.v1.finalize = finalize;
}

/* --- a session -------------------------------------------------------------------------------- */

struct session {
    struct device device;
    TSS2_TCTI_CONTEXT *loaded; /* of another TCTI */
    ESYS_CONTEXT *esys;
    ESYS_TR key;
    bool key_is_ours; /* made for this call */
    TPM2B_PUBLIC *public_area;
};

static void session_close(struct session *s)
{
    if (s->key_is_ours)
        (void)Esys_FlushContext(s->esys, s->key);
    else if (s->key != ESYS_TR_NONE)
        (void)Esys_TR_Close(s->esys, &s->key);
    Esys_Free(s->public_area);
    Esys_Finalize(&s->esys);
    Tss2_TctiLdr_Finalize(&s->loaded);
    if (s->device.fd >= 0)
        s->device.run->sys->close(s->device.run->sys, s->device.fd);
}

static bool is_busy(TSS2_RC rc)
{
    return rc == TPM2_RC_RETRY || rc == TPM2_RC_TESTING || rc == TPM2_RC_YIELDED;
}

/* A handle that is not there, whichever of the command's it is. */
static bool is_absent(TSS2_RC rc)
{
    return (rc & (TPM2_RC_FMT1 | 0x3f)) == TPM2_RC_HANDLE && rc < TSS2_RC_LAYER(1);
}

static enum neo_code failed(const struct session *s, const char *what, TSS2_RC rc,
                            struct neo_error *err)
{
    if (s->device.timed_out)
        return neo_fail(err, NEO_DEADLINE_EXCEEDED, "%s: the TPM did not answer in time", what);
    if (is_busy(rc))
        return neo_fail(err, NEO_UNAVAILABLE, "%s: the TPM is busy (0x%x)", what, rc);
    if (is_absent(rc))
        return neo_fail(err, NEO_NOT_FOUND, "%s: the TPM has no such handle", what);
    if (s->device.number != 0) {
        errno = s->device.number;
        return attester_fail_errno(err, "%s", what);
    }
    return neo_fail(err, NEO_INTERNAL, "%s: tpm2-tss says 0x%x (`tpm2_rc_decode 0x%x` explains it)",
                    what, rc, rc);
}

#define TSS_TRY(what, expr)                                                                        \
    do {                                                                                           \
        TSS2_RC tss_rc = (expr);                                                                   \
        if (tss_rc != TSS2_RC_SUCCESS)                                                             \
            return failed(s, what, tss_rc, err);                                                   \
    } while (0)

static enum neo_code open_session(struct session *s, struct attester_run *run,
                                  struct neo_error *err)
{
    const char *tpm = run->options->tpm == NULL ? TPM_DEVICE : run->options->tpm;
    TSS2_TCTI_CONTEXT *tcti;

    device_init(&s->device, run);
    if (tss_is_device(tpm)) {
        s->device.fd = run->sys->open(run->sys, tpm, O_RDWR);
        if (s->device.fd < 0)
            return attester_fail_errno(err, "cannot open '%s'", tpm);
        tcti = (TSS2_TCTI_CONTEXT *)(void *)&s->device;
    } else {
        TSS_TRY("cannot reach the TPM", Tss2_TctiLdr_Initialize(tpm, &s->loaded));
        tcti = s->loaded;
    }
    TSS_TRY("cannot begin with the TPM", Esys_Initialize(&s->esys, tcti, NULL));
    return NEO_OK;
}

enum neo_code tss_reach(struct attester_run *run, struct neo_error *err)
{
    NEO_CLEANUP(session_close) struct session s = {.key = ESYS_TR_NONE, .device.fd = -1};

    return open_session(&s, run, err);
}

/* --- the key ---------------------------------------------------------------------------------- */

/* The primary key of this template: the TPM makes the same one from its seed each time. */
static enum neo_code make_key(struct session *s, struct neo_error *err)
{
    static const TPM2B_SENSITIVE_CREATE nothing = {.size = 0};
    static const TPM2B_PUBLIC template = {
        .publicArea =
            {
                .type = TPM2_ALG_ECC,
                .nameAlg = TPM2_ALG_SHA256,
                .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                    TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT,
                .parameters.eccDetail =
                    {
                        .symmetric.algorithm = TPM2_ALG_NULL,
                        .scheme = {.scheme = TPM2_ALG_ECDSA,
                                   .details.ecdsa.hashAlg = TPM2_ALG_SHA256},
                        .curveID = TPM2_ECC_NIST_P256,
                        .kdf.scheme = TPM2_ALG_NULL,
                    },
            },
    };
    static const TPM2B_DATA no_data = {.size = 0};
    static const TPML_PCR_SELECTION no_pcrs = {.count = 0};

    TSS_TRY("cannot make the attestation key",
            Esys_CreatePrimary(s->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                               ESYS_TR_NONE, &nothing, &template, &no_data, &no_pcrs, &s->key,
                               &s->public_area, NULL, NULL, NULL));
    s->key_is_ours = true;
    return NEO_OK;
}

static enum neo_code find_key(struct session *s, uint32_t handle, struct neo_error *err)
{
    TSS_TRY(
        "cannot find the attestation key",
        Esys_TR_FromTPMPublic(s->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &s->key));
    TSS_TRY("cannot read the attestation key",
            Esys_ReadPublic(s->esys, s->key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                            &s->public_area, NULL, NULL));
    return NEO_OK;
}

/* --- NV --------------------------------------------------------------------------------------- */

static enum neo_code read_chunk(struct session *s, ESYS_TR index, uint16_t len,
                                struct neo_buffer *out, struct neo_error *err)
{
    TPM2B_MAX_NV_BUFFER *data = NULL;

    TSS_TRY("cannot read the NV index",
            Esys_NV_Read(s->esys, ESYS_TR_RH_OWNER, index, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                         ESYS_TR_NONE, len, (uint16_t)out->len, &data));
    bool whole = data->size == len;
    bool ok = neo_buffer_append(out, neo_bytes(data->buffer, data->size));
    Esys_Free(data);
    if (!whole)
        return neo_fail(err, NEO_DATA_LOSS, "the TPM gave less of an NV index than was asked");
    return ok ? NEO_OK : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for an NV index");
}

static enum neo_code read_index(struct session *s, ESYS_TR index, size_t max,
                                struct neo_buffer *out, struct neo_error *err)
{
    TPM2B_NV_PUBLIC *public_area = NULL;

    TSS_TRY("cannot read about the NV index",
            Esys_NV_ReadPublic(s->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                               &public_area, NULL));
    size_t size = public_area->nvPublic.dataSize;
    Esys_Free(public_area);
    if (size > max)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "an NV index of %zu bytes, at most %zu", size,
                        max);
    while (out->len < size) {
        size_t left = size - out->len;
        NEO_TRY(read_chunk(s, index, (uint16_t)(left < NV_CHUNK ? left : NV_CHUNK), out, err));
    }
    return NEO_OK;
}

enum neo_code tss_read_nv(struct attester_run *run, uint32_t index, size_t max,
                          struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(session_close) struct session session = {.key = ESYS_TR_NONE, .device.fd = -1};
    struct session *s = &session;

    neo_buffer_clear(out);
    NEO_TRY(open_session(s, run, err));
    TSS_TRY("cannot find the NV index",
            Esys_TR_FromTPMPublic(s->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                  &s->key)); /* closed with the session */
    return read_index(s, s->key, max, out, err);
}

/* --- PCRs and quote --------------------------------------------------------------------------- */

static TPML_PCR_SELECTION selection_of(uint32_t pcrs)
{
    return (TPML_PCR_SELECTION){
        .count = 1,
        .pcrSelections = {{.hash = TPM2_ALG_SHA256,
                           .sizeofSelect = TPM_PCRS / 8,
                           .pcrSelect = {(uint8_t)pcrs, (uint8_t)(pcrs >> 8),
                                         (uint8_t)(pcrs >> 16)}}},
    };
}

static uint32_t pcrs_of(const TPML_PCR_SELECTION *selection)
{
    const TPMS_PCR_SELECTION *of = &selection->pcrSelections[0];
    uint32_t pcrs = 0;

    for (size_t i = 0; selection->count == 1 && i < of->sizeofSelect && i < TPM_PCRS / 8; i++)
        pcrs |= (uint32_t)of->pcrSelect[i] << (8 * i);
    return pcrs;
}

/* Eight at a time at most: the TPM says which it gave. */
static enum neo_code read_some(struct session *s, uint32_t *left, struct neo_buffer *out,
                               struct neo_error *err)
{
    const TPML_PCR_SELECTION asked = selection_of(*left);
    TPML_PCR_SELECTION *given = NULL;
    TPML_DIGEST *values = NULL;
    uint32_t counter;
    bool ok = true;

    TSS_TRY("cannot read the PCRs", Esys_PCR_Read(s->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                                  &asked, &counter, &given, &values));
    uint32_t had = pcrs_of(given) & *left;
    for (uint32_t i = 0; i < values->count; i++)
        ok = ok &&
             neo_buffer_append(out, neo_bytes(values->digests[i].buffer, values->digests[i].size));
    *left &= ~had;
    Esys_Free(given);
    Esys_Free(values);
    if (!ok)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for PCRs");
    if (had == 0)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "the TPM has no such PCRs in its bank of SHA-256 (mask 0x%06x)", *left);
    return NEO_OK;
}

static enum neo_code read_pcrs(struct session *s, uint32_t pcrs, struct neo_buffer *out,
                               struct neo_error *err)
{
    uint32_t left = pcrs;

    for (size_t i = 0; left != 0 && i < READS_MAX; i++)
        NEO_TRY(read_some(s, &left, out, err));
    return left == 0 ? NEO_OK : neo_fail(err, NEO_DATA_LOSS, "the TPM does not give all PCRs");
}

static enum neo_code put_quote(struct session *s, const TPM2B_ATTEST *attest,
                               const TPMT_SIGNATURE *signature, struct tss_quote *ret,
                               struct neo_error *err)
{
    uint8_t text[sizeof(TPMT_PUBLIC) + sizeof(TPMT_SIGNATURE)];
    size_t n = 0;

    if (!neo_buffer_append(&ret->attest, neo_bytes(attest->attestationData, attest->size)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a quote");
    TSS_TRY("cannot write down the signature",
            Tss2_MU_TPMT_SIGNATURE_Marshal(signature, text, sizeof(text), &n));
    bool ok = neo_buffer_append(&ret->signature, neo_bytes(text, n));
    n = 0;
    TSS_TRY("cannot write down the key",
            Tss2_MU_TPMT_PUBLIC_Marshal(&s->public_area->publicArea, text, sizeof(text), &n));
    ok = ok && neo_buffer_append(&ret->public_area, neo_bytes(text, n));
    return ok ? NEO_OK : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a quote");
}

static enum neo_code quote(struct session *s, const uint8_t *extra_data, uint32_t pcrs,
                           struct tss_quote *ret, struct neo_error *err)
{
    static const TPMT_SIG_SCHEME of_the_key = {.scheme = TPM2_ALG_NULL};
    const TPML_PCR_SELECTION selection = selection_of(pcrs);
    TPM2B_DATA data = {.size = 32};
    TPM2B_ATTEST *attest = NULL;
    TPMT_SIGNATURE *signature = NULL;

    memcpy(data.buffer, extra_data, 32);
    TSS_TRY("cannot quote",
            Esys_Quote(s->esys, s->key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &data,
                       &of_the_key, &selection, &attest, &signature));
    enum neo_code code = put_quote(s, attest, signature, ret, err);
    Esys_Free(attest);
    Esys_Free(signature);
    return code;
}

enum neo_code tss_make_quote(struct attester_run *run, uint32_t ak,
                             const uint8_t extra_data[NEO_AT_LEAST(32)], struct tss_quote *ret,
                             struct neo_error *err)
{
    NEO_CLEANUP(session_close) struct session s = {.key = ESYS_TR_NONE, .device.fd = -1};
    uint32_t all = (UINT32_C(1) << TPM_PCRS) - 1;
    uint32_t pcrs = run->options->pcrs == 0 ? all : run->options->pcrs & all;

    NEO_TRY(open_session(&s, run, err));
    if (ak == 0)
        NEO_TRY(make_key(&s, err));
    else
        NEO_TRY(find_key(&s, ak, err));
    NEO_TRY(read_pcrs(&s, pcrs, &ret->pcrs, err));
    return quote(&s, extra_data, pcrs, ret, err);
}
