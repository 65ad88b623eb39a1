/* SPDX-License-Identifier: Apache-2.0 */
/* Gramine's files inside an SGX enclave: write what the quote is for, read the quote. */
#include "mesh/attester.h"

#include <errno.h>
#include <fcntl.h>

#define TYPE  "/dev/attestation/attestation_type"
#define DATA  "/dev/attestation/user_report_data"
#define QUOTE "/dev/attestation/quote"

enum { TYPE_MAX = 32 };

static enum neo_code check_type(struct attester_run *run, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    NEO_TRY(attester_read(run, TYPE, TYPE_MAX, &text, err));
    while (text.len > 0 && (text.at[text.len - 1] == '\n' || text.at[text.len - 1] == 0))
        text.len--;
    if (!neo_bytes_is(neo_buffer_bytes(&text), "dcap"))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "Gramine attests by '%.*s': the manifest must say "
                        "sgx.remote_attestation = \"dcap\"",
                        (int)text.len, (const char *)text.at);
    return NEO_OK;
}

static enum neo_code ask(struct attester_run *run, const uint8_t *binder,
                         struct neo_buffer *out_body, struct neo_error *err)
{
    NEO_TRY(check_type(run, err));
    NEO_TRY(attester_write(run, DATA, neo_bytes(binder, NEO_BINDER_LEN), err));
    return attester_read(run, QUOTE, ATTESTER_BODY_MAX, out_body, err);
}

enum neo_code gramine_attest(struct attester_run *run, const struct attester_way *way,
                             const uint8_t binder[NEO_AT_LEAST(NEO_BINDER_LEN)],
                             struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                             struct neo_error *err)
{
    (void)way;
    (void)out_certificates; /* a quote brings its own */
    for (;;) {
        enum neo_code code = ask(run, binder, out_body, err);
        if (code == NEO_OK)
            return NEO_OK;
        NEO_TRY(attester_again(run, code, err));
    }
}

void gramine_look(struct attester_run *run, const struct attester_way *way,
                  struct neo_attester_finding *ret)
{
    struct neo_error err;

    (void)way;
    if (!attester_exists(run, TYPE)) {
        attester_found(ret, NEO_ATTESTER_ABSENT, "not inside an enclave: there is no " TYPE);
        if (attester_exists(run, "/dev/sgx_enclave"))
            attester_next(ret, "the processor has SGX: start the service under Gramine with "
                               "sgx.remote_attestation = \"dcap\"");
        return;
    }
    if (check_type(run, &err) != NEO_OK) {
        attester_found(ret, NEO_ATTESTER_LACKING, "%.190s", err.message);
        attester_next(ret,
                      "set sgx.remote_attestation = \"dcap\" in the manifest and sign it anew");
    } else {
        attester_found(ret, NEO_ATTESTER_READY, "Gramine's /dev/attestation, dcap");
    }
}
