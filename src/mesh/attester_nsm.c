/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/nsm: the hypervisor's signed document about a Nitro enclave, asked for in CBOR by ioctl. */
#include "mesh/attester.h"

#include "codec/cbor.h"

#include <neo/memory.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>

#define DEVICE "/dev/nsm"

enum { REQUEST_MAX = 0x1000, RESPONSE_MAX = 0x3000 };

struct nsm_message {
    struct {
        uint64_t at;
        uint64_t len;
    } request, response;
};

#define NSM_RAW _IOWR(0x0a, 0, struct nsm_message)

struct device {
    struct attester_sys *sys;
    int fd;
};

static void device_close(struct device *d)
{
    if (d->fd >= 0)
        d->sys->close(d->sys, d->fd);
}

/* {"Attestation": {"user_data": binder, "nonce": null, "public_key": null}} */
static bool put_request(struct neo_buffer *out, const uint8_t *binder)
{
    return cbor_put(out, CBOR_MAP, 1) && cbor_put_text(out, "Attestation") &&
           cbor_put(out, CBOR_MAP, 3) && cbor_put_text(out, "user_data") &&
           cbor_put_bytes(out, neo_bytes(binder, NEO_BINDER_LEN)) && cbor_put_text(out, "nonce") &&
           cbor_put(out, CBOR_NULL, 0) && cbor_put_text(out, "public_key") &&
           cbor_put(out, CBOR_NULL, 0);
}

static enum neo_code read_error(struct cbor *c, struct neo_error *err)
{
    struct cbor_item item;

    if (!cbor_take(c, CBOR_TEXT, &item) || !cbor_is_done(c))
        return neo_fail(err, NEO_DATA_LOSS, DEVICE " answered with an error that cannot be read");
    return neo_fail(err, NEO_INTERNAL, DEVICE " refused: %.*s",
                    (int)(item.bytes.len < 60 ? item.bytes.len : 60), (const char *)item.bytes.at);
}

/* {"Attestation": {"document": bytes}} or {"Error": text} */
static enum neo_code read_response(struct neo_bytes response, struct neo_buffer *out,
                                   struct neo_error *err)
{
    struct cbor c = cbor_of(response);
    struct cbor_item item;

    if (!cbor_take(&c, CBOR_MAP, &item) || item.value != 1 || !cbor_take(&c, CBOR_TEXT, &item))
        return neo_fail(err, NEO_DATA_LOSS, DEVICE " answered with what is no response");
    if (neo_bytes_is(item.bytes, "Error"))
        return read_error(&c, err);
    if (!neo_bytes_is(item.bytes, "Attestation") || !cbor_take(&c, CBOR_MAP, &item) ||
        item.value != 1 || !cbor_take(&c, CBOR_TEXT, &item) ||
        !neo_bytes_is(item.bytes, "document") || !cbor_take(&c, CBOR_BYTES, &item) ||
        !cbor_is_done(&c) || item.bytes.len == 0)
        return neo_fail(err, NEO_DATA_LOSS, DEVICE " answered with what is no document");
    neo_buffer_clear(out);
    return neo_buffer_append(out, item.bytes)
               ? NEO_OK
               : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a document");
}

static enum neo_code ask(struct attester_run *run, struct neo_bytes request, uint8_t *response,
                         struct neo_buffer *out_body, struct neo_error *err)
{
    NEO_CLEANUP(device_close)
    struct device d = {run->sys, run->sys->open(run->sys, DEVICE, O_RDWR)};
    struct nsm_message m = {
        .request = {(uint64_t)(uintptr_t)request.at, request.len},
        .response = {(uint64_t)(uintptr_t)response, RESPONSE_MAX},
    };

    if (d.fd < 0)
        return attester_fail_errno(err, "cannot open '" DEVICE "'");
    if (d.sys->ioctl(d.sys, d.fd, NSM_RAW, &m) != 0)
        return attester_fail_errno(err, "the request to '" DEVICE "' failed");
    if (m.response.len > RESPONSE_MAX)
        return neo_fail(err, NEO_DATA_LOSS, DEVICE " answered with more than %d bytes",
                        RESPONSE_MAX);
    return read_response(neo_bytes(response, (size_t)m.response.len), out_body, err);
}

enum neo_code nsm_attest(struct attester_run *run, const struct attester_way *way,
                         const uint8_t binder[NEO_AT_LEAST(NEO_BINDER_LEN)],
                         struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                         struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer request = {.limit = REQUEST_MAX};
    NEO_CLEANUP(neo_freep) uint8_t *response = neo_alloc(RESPONSE_MAX);

    (void)way;
    (void)out_certificates; /* a document brings its own */
    if (response == NULL || !put_request(&request, binder))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a document");
    for (;;) {
        enum neo_code code = ask(run, neo_buffer_bytes(&request), response, out_body, err);
        if (code == NEO_OK)
            return NEO_OK;
        NEO_TRY(attester_again(run, code, err));
    }
}

void nsm_look(struct attester_run *run, const struct attester_way *way,
              struct neo_attester_finding *ret)
{
    int number = attester_open_error(run, DEVICE, O_RDWR);

    (void)way;
    if (number == 0)
        attester_found(ret, NEO_ATTESTER_READY, "%s", DEVICE);
    else
        attester_found_device(ret, DEVICE, number);
}
