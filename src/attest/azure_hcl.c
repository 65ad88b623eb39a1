/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/azure_hcl.h"

#include "base/cursor.h"

#include <neo/buffer.h>
#include <neo/encoding.h>
#include <neo/json.h>

enum {
    HEADER_LEN = 0x20,
    REPORT_AREA_LEN = 0x4a0, /* of either report */
    RUNTIME_HEADER_LEN = 20,
    VERSION_MOST = 2, /* of the blob */
    RUNTIME_VERSION = 1,
    REPORT_SNP = 2,
    REPORT_TDX = 4,
    HASH_SHA256 = 1,
    KEYS_MAX = 16,
};

#define malformed(...)   neo_fail(err, NEO_INVALID_ARGUMENT, __VA_ARGS__)
#define unsupported(...) neo_fail(err, NEO_UNIMPLEMENTED, __VA_ARGS__)

/* --- the runtime data ------------------------------------------------------------------------- */

struct reader {
    struct neo_json json;
    struct azure_hcl *hcl;
};

static bool read_base64(struct reader *r, size_t max, struct neo_bytes *ret)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
    struct neo_bytes text;

    if (!neo_json_string(&r->json, &text))
        return false;
    if (neo_base64_decode(text, &raw, NULL) != NEO_OK || raw.len == 0 || raw.len > max) {
        neo_json_refuse(&r->json, "must be base64url of 1 to %zu bytes", max);
        return false;
    }
    *ret = neo_arena_copy(r->json.arena, neo_buffer_bytes(&raw));
    return true;
}

/* A JWK (RFC 7517). Only the one that signs quotes counts; the other one is for encryption. */
static void read_key(struct reader *r, bool *has_ak)
{
    struct neo_bytes key, kid = {0}, type = {0}, n = {0}, e = {0};

    if (!neo_json_enter_object(&r->json))
        return;
    while (neo_json_key(&r->json, &key)) {
        if (neo_bytes_is(key, "kid"))
            (void)neo_json_string(&r->json, &kid);
        else if (neo_bytes_is(key, "kty"))
            (void)neo_json_string(&r->json, &type);
        else if (neo_bytes_is(key, "n"))
            (void)read_base64(r, 1024, &n);
        else if (neo_bytes_is(key, "e"))
            (void)read_base64(r, 4, &e);
        else
            (void)neo_json_skip(&r->json);
    }
    if (!neo_bytes_is(kid, "HCLAkPub"))
        return;
    if (*has_ak || !neo_bytes_is(type, "RSA") || n.len == 0 || e.len == 0) {
        neo_json_refuse(&r->json, "HCLAkPub must be one RSA key with n and e");
        return;
    }
    struct cursor exponent = cursor_of(e);
    r->hcl->modulus = n;
    r->hcl->exponent = (uint32_t)cursor_be(&exponent, e.len);
    *has_ak = true;
}

static void read_keys(struct reader *r)
{
    bool has_ak = false;
    size_t n = 0;

    if (!neo_json_enter_array(&r->json))
        return;
    while (neo_json_element(&r->json)) {
        if (n++ == KEYS_MAX) {
            neo_json_refuse(&r->json, "more than %d keys", KEYS_MAX);
            return;
        }
        read_key(r, &has_ak);
    }
    if (!has_ak)
        neo_json_refuse(&r->json, "no key HCLAkPub");
}

static void read_vm(struct reader *r)
{
    static const char *const members[] = {
#define X(name, member, key) [AZURE_##name] = member,
        AZURE_VM_BITS(X)
#undef X
    };
    struct neo_bytes key;

    if (!neo_json_enter_object(&r->json))
        return;
    while (neo_json_key(&r->json, &key)) {
        bool is_on = false, is_known = false;
        for (unsigned i = 0; i < AZURE_VM_BITS_N && !is_known; i++) {
            is_known = neo_bytes_is(key, members[i]);
            if (is_known && neo_json_bool(&r->json, &is_on)) {
                r->hcl->vm_known |= 1u << i;
                r->hcl->vm_set |= is_on ? 1u << i : 0;
            }
        }
        if (!is_known && neo_bytes_is(key, "vmUniqueId"))
            (void)neo_json_string(&r->json, &r->hcl->vm_id);
        else if (!is_known)
            (void)neo_json_skip(&r->json);
    }
}

static void read_user_data(struct reader *r)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
    struct neo_bytes text;

    if (!neo_json_string(&r->json, &text))
        return;
    if (neo_hex_decode(text, &raw, NULL) != NEO_OK || raw.len != AZURE_USER_DATA_LEN)
        neo_json_refuse(&r->json, "must be %d hex digits", 2 * AZURE_USER_DATA_LEN);
    else
        r->hcl->user_data = neo_arena_copy(r->json.arena, neo_buffer_bytes(&raw));
}

/* Members that are not known are left alone: Azure adds some now and then. */
static enum neo_code read_runtime(struct azure_hcl *hcl, struct neo_arena *arena,
                                  struct neo_error *err)
{
    struct reader r = {.hcl = hcl};
    struct neo_bytes key;
    bool has_keys = false;

    neo_json_init(&r.json, hcl->runtime, "runtime data", arena);
    if (neo_json_enter_object(&r.json)) {
        while (neo_json_key(&r.json, &key)) {
            if (neo_bytes_is(key, "keys")) {
                read_keys(&r);
                has_keys = true;
            } else if (neo_bytes_is(key, "vm-configuration")) {
                read_vm(&r);
            } else if (neo_bytes_is(key, "user-data")) {
                read_user_data(&r);
            } else {
                (void)neo_json_skip(&r.json);
            }
        }
    }
    NEO_TRY(neo_json_finish(&r.json, err));
    if (!has_keys)
        return malformed("runtime data without \"keys\"");
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for runtime data");
    return NEO_OK;
}

/* --- the blob --------------------------------------------------------------------------------- */

static bool is_zero(struct neo_bytes bytes)
{
    uint8_t any = 0;

    for (size_t i = 0; i < bytes.len; i++)
        any |= bytes.at[i];
    return any == 0;
}

static enum neo_code read_header(struct cursor *c, uint64_t *ret_size, struct neo_error *err)
{
    struct neo_bytes magic = cursor_take(c, 4);
    uint64_t version = cursor_le(c, 4);

    *ret_size = cursor_le(c, 4);
    (void)cursor_le(c, 4); /* what asked the paravisor for it */
    uint64_t status = cursor_le(c, 4);
    (void)cursor_take(c, HEADER_LEN - 20);
    if (c->failed || !neo_bytes_is(magic, "HCLA"))
        return malformed("no HCL report: it does not begin with HCLA and a header");
    if (version == 0 || version > VERSION_MOST)
        return unsupported("an HCL report of version %llu; known are 1 and 2",
                           (unsigned long long)version);
    if (status != 0)
        return malformed("an HCL report of status %llu", (unsigned long long)status);
    return NEO_OK;
}

/* Kind of report and hash, and the JSON; `size` counts from the blob's beginning to its end. */
static enum neo_code read_runtime_header(struct cursor *c, uint64_t size, struct azure_hcl *hcl,
                                         struct neo_error *err)
{
    uint64_t data_size = cursor_le(c, 4);
    uint64_t version = cursor_le(c, 4);
    uint64_t kind = cursor_le(c, 4);
    uint64_t hash = cursor_le(c, 4);
    uint64_t json_len = cursor_le(c, 4);

    if (c->failed)
        return malformed("an HCL report that is cut short");
    if (version != RUNTIME_VERSION)
        return unsupported("runtime data of version %llu; known is 1", (unsigned long long)version);
    if (kind != REPORT_SNP && kind != REPORT_TDX)
        return unsupported("a report of kind %llu; known are 2 (SEV-SNP) and 4 (TDX)",
                           (unsigned long long)kind);
    if (hash != HASH_SHA256)
        return unsupported("runtime data under hash %llu; known is 1 (SHA-256)",
                           (unsigned long long)hash);
    hcl->is_tdx = kind == REPORT_TDX;
    hcl->runtime = cursor_take(c, (size_t)json_len);
    if (c->failed || json_len == 0 || data_size != RUNTIME_HEADER_LEN + json_len ||
        size != HEADER_LEN + REPORT_AREA_LEN + data_size)
        return malformed("an HCL report whose sizes do not fit together");
    return NEO_OK;
}

enum neo_code azure_hcl_read(struct neo_bytes blob, struct neo_arena *arena, struct azure_hcl *ret,
                             struct neo_error *err)
{
    struct cursor c = cursor_of(blob);
    struct azure_hcl hcl = {.exponent = 0};
    uint64_t size;

    if (blob.len > AZURE_HCL_MAX)
        return malformed("an HCL report of %zu bytes, at most %d", blob.len, AZURE_HCL_MAX);
    NEO_TRY(read_header(&c, &size, err));
    struct neo_bytes area = cursor_take(&c, REPORT_AREA_LEN);
    NEO_TRY(read_runtime_header(&c, size, &hcl, err));
    hcl.report = neo_bytes(area.at, hcl.is_tdx ? AZURE_TD_REPORT_LEN : AZURE_SNP_REPORT_LEN);
    if (!is_zero(neo_bytes_from(area, hcl.report.len)) || !is_zero(neo_bytes(c.at, c.left)))
        return malformed("an HCL report whose padding is not zero");
    NEO_TRY(read_runtime(&hcl, arena, err));
    *ret = hcl;
    return NEO_OK;
}

/* --- the whole -------------------------------------------------------------------------------- */

enum neo_code azure_evidence_read(struct neo_bytes text, struct azure_evidence *ret,
                                  struct neo_error *err)
{
    struct cursor c = cursor_of(text);
    struct azure_evidence e;
    struct neo_bytes *const parts[] = {&e.hcl,  &e.attest,    &e.signature,
                                       &e.pcrs, &e.event_log, &e.td_quote};

    if (text.len > AZURE_EVIDENCE_MAX)
        return malformed("evidence of %zu bytes, at most %d", text.len, AZURE_EVIDENCE_MAX);
    for (size_t i = 0; i < NEO_COUNT(parts); i++)
        *parts[i] = cursor_take(&c, (size_t)cursor_be(&c, 4));
    if (!cursor_is_done(&c))
        return malformed("not six parts with their lengths");
    if (!neo_bytes_starts(e.hcl, NEO_LIT("HCLA")))
        return malformed("the first part is no HCL report");
    *ret = e;
    return NEO_OK;
}
