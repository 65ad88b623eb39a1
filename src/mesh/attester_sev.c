/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/sev-guest: the firmware's report by ioctl, for kernels without configfs-tsm and for services
 * that a group may open the device to.
 *
 * Structures and numbers are the kernel's ABI, written out because Debian's header of them
 * changed its names between releases.
 */
#include "mesh/attester.h"

#include <neo/memory.h>

#include "base/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>

#define DEVICE "/dev/sev-guest"

enum {
    MESSAGE_VERSION = 1,
    REPORT_LEN = 1184,
    RESPONSE_HEAD = 32,
    PAGE = 4096,
    VMM_INVALID_LEN = 1,
    VMM_BUSY = 2,
};

struct sev_request {
    uint8_t message_version;
    uint8_t zero[7];
    uint64_t request;
    uint64_t response;
    uint64_t exit_info; /* low half: the firmware's error, high half: the host's */
};

struct sev_report_request {
    uint8_t user_data[NEO_BINDER_LEN];
    uint32_t vmpl;
    uint8_t zero[28];
};

struct sev_extended_request {
    struct sev_report_request report;
    uint64_t certificates;
    uint32_t certificates_len;
    uint32_t zero;
};

struct sev_response {
    uint8_t bytes[4000];
};

#define GET_REPORT          _IOWR('S', 0, struct sev_request)
#define GET_EXTENDED_REPORT _IOWR('S', 2, struct sev_request)

struct device {
    struct attester_sys *sys;
    int fd;
};

static void device_close(struct device *d)
{
    if (d->fd >= 0)
        d->sys->close(d->sys, d->fd);
}

static uint64_t address(const void *at)
{
    return (uint64_t)(uintptr_t)at;
}

/* What the number in `exit_info` means; the call itself only says EIO. */
static enum neo_code fail_request(int number, uint64_t exit_info, struct neo_error *err)
{
    uint32_t firmware = (uint32_t)exit_info;
    uint32_t host = (uint32_t)(exit_info >> 32);

    errno = number;
    if (host == VMM_BUSY)
        return neo_fail(err, NEO_UNAVAILABLE, "the host holds back requests of " DEVICE);
    if (number == ENOTTY)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        DEVICE " has no key for this level any more: reboot the guest");
    if (exit_info != 0 && number != EBUSY && number != EAGAIN)
        return neo_fail(err, NEO_INTERNAL,
                        "the request to " DEVICE " failed: firmware 0x%x, host 0x%x (%s)", firmware,
                        host, strerrordesc_np(number));
    return attester_fail_errno(err, "the request to " DEVICE " failed");
}

static int request(struct device *d, unsigned long command, void *asked,
                   struct sev_response *response, uint64_t *ret_exit_info)
{
    struct sev_request r = {
        .message_version = MESSAGE_VERSION,
        .request = address(asked),
        .response = address(response),
    };
    int number = d->sys->ioctl(d->sys, d->fd, command, &r) == 0 ? 0 : errno;

    *ret_exit_info = r.exit_info;
    return number;
}

/* status, size, 24 bytes of nothing, the report */
static enum neo_code take_report(const struct sev_response *response, struct neo_buffer *out,
                                 struct neo_error *err)
{
    struct cursor c = cursor_of(neo_bytes(response->bytes, sizeof(response->bytes)));
    uint32_t status = (uint32_t)cursor_le(&c, 4);
    uint32_t size = (uint32_t)cursor_le(&c, 4);

    if (status != 0)
        return neo_fail(err, NEO_INTERNAL, "the firmware gave no report: status 0x%x%s", status,
                        status == 0x16   ? ", it did not like the level (vmpl)"
                        : status == 0x27 ? ", it has no such key"
                                         : "");
    if (size != REPORT_LEN)
        return neo_fail(err, NEO_DATA_LOSS, "a report of %u bytes, and not of %d", size,
                        REPORT_LEN);
    neo_buffer_clear(out);
    if (!neo_buffer_append(out, neo_bytes(response->bytes + RESPONSE_HEAD, REPORT_LEN)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a report");
    return NEO_OK;
}

static struct sev_report_request question(const struct attester_run *run, const uint8_t *binder)
{
    struct sev_report_request q = {.vmpl = run->options->vmpl};

    memcpy(q.user_data, binder, NEO_BINDER_LEN);
    return q;
}

/* How much room the host's certificates take: it says so when there is none. */
static enum neo_code ask_for_room(struct device *d, const struct sev_report_request *q,
                                  struct sev_response *response, uint32_t *ret,
                                  struct neo_error *err)
{
    struct sev_extended_request extended = {.report = *q};
    uint64_t exit_info;
    int number = request(d, GET_EXTENDED_REPORT, &extended, response, &exit_info);

    *ret = 0;
    if (number == 0)
        return NEO_OK; /* the host has none, and the report is there */
    if ((uint32_t)(exit_info >> 32) != VMM_INVALID_LEN)
        return fail_request(number, exit_info, err);
    if (extended.certificates_len == 0 || extended.certificates_len > ATTESTER_CERTIFICATES_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the host offers %u bytes of certificates",
                        extended.certificates_len);
    *ret = (extended.certificates_len + PAGE - 1) / PAGE * PAGE;
    return NEO_OK;
}

static enum neo_code ask_extended(struct device *d, const struct sev_report_request *q,
                                  uint32_t room, struct sev_response *response,
                                  struct neo_buffer *out_certificates, struct neo_error *err)
{
    struct sev_extended_request extended = {.report = *q, .certificates_len = room};
    uint64_t exit_info;
    uint8_t *at;

    neo_buffer_clear(out_certificates);
    at = neo_buffer_reserve(out_certificates, room);
    if (at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for certificates");
    memset(at, 0, room);
    extended.certificates = address(at);
    int number = request(d, GET_EXTENDED_REPORT, &extended, response, &exit_info);
    if (number != 0 && (uint32_t)(exit_info >> 32) == VMM_INVALID_LEN)
        return neo_fail(err, NEO_ABORTED, "the host's certificates grew meanwhile");
    if (number != 0)
        return fail_request(number, exit_info, err);
    if (extended.certificates_len > room)
        return neo_fail(err, NEO_DATA_LOSS, "the host wrote %u bytes where %u were free",
                        extended.certificates_len, room);
    out_certificates->len = room;
    return NEO_OK;
}

static enum neo_code ask(struct attester_run *run, const uint8_t *binder,
                         struct sev_response *response, struct neo_buffer *out_body,
                         struct neo_buffer *out_certificates, struct neo_error *err)
{
    NEO_CLEANUP(device_close)
    struct device d = {run->sys, run->sys->open(run->sys, DEVICE, O_RDWR)};
    const struct sev_report_request q = question(run, binder);
    uint32_t room;

    if (d.fd < 0)
        return attester_fail_errno(err, "cannot open '" DEVICE "'");
    NEO_TRY(ask_for_room(&d, &q, response, &room, err));
    if (room > 0)
        NEO_TRY(ask_extended(&d, &q, room, response, out_certificates, err));
    return take_report(response, out_body, err);
}

enum neo_code sev_attest(struct attester_run *run, const struct attester_way *way,
                         const uint8_t binder[NEO_AT_LEAST(NEO_BINDER_LEN)],
                         struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                         struct neo_error *err)
{
    NEO_CLEANUP(neo_freep) struct sev_response *response = neo_alloc(sizeof(*response));

    (void)way;
    if (response == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a report");
    for (;;) {
        memset(response, 0xff, sizeof(*response)); /* nothing that was not written passes */
        enum neo_code code = ask(run, binder, response, out_body, out_certificates, err);
        if (code == NEO_OK)
            return NEO_OK;
        NEO_TRY(attester_again(run, code, err));
    }
}

void sev_look(struct attester_run *run, const struct attester_way *way,
              struct neo_attester_finding *ret)
{
    int number = attester_open_error(run, DEVICE, O_RDWR);

    (void)way;
    if (number == 0)
        attester_found(ret, NEO_ATTESTER_READY, "%s", DEVICE);
    else if (number == ENOENT && attester_exists(run, "/sys/bus/platform/devices/sev-guest")) {
        attester_found(ret, NEO_ATTESTER_LACKING, "a SEV-SNP guest, but %s is not there", DEVICE);
        attester_next(ret, "modprobe sev-guest");
    } else
        attester_found_device(ret, DEVICE, number);
}
