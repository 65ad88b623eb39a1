/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is revoked, as one open-addressed table.
 *
 * "This serial" and "everything of this service before T" are the same entry: a
 * key with an instant, which for a serial is the end of time. The key is two
 * SipHashes, under the process's secret, over issuer and serial or issuer and
 * service: 128 bits that nobody outside can aim at, so the names themselves need
 * not be kept, and a million entries take 31 MiB.
 */
#include "crypto/revocation.h"

#include <base/map.h>
#include <neo/memory.h>

enum key_kind {
    KEY_SERIAL = 1,
    KEY_CUTOFF = 2,
    KEY_SECOND_HALF = 0x80,
};

enum { SERVICE_MAX = 63 };

static void make_key(enum key_kind kind, struct neo_bytes issuer, struct neo_bytes what,
                     uint64_t ret[static 2])
{
    uint8_t text[2 + CERT_KEY_ID_MAX + SERVICE_MAX] = {(uint8_t)kind, (uint8_t)issuer.len};
    size_t len = 2 + issuer.len + what.len;

    if (issuer.len > 0)
        memcpy(text + 2, issuer.at, issuer.len);
    if (what.len > 0)
        memcpy(text + 2 + issuer.len, what.at, what.len);
    ret[0] = map_hash(neo_bytes(text, len));
    text[0] |= KEY_SECOND_HALF;
    ret[1] = map_hash(neo_bytes(text, len)) | 1; /* 0 marks a free slot */
}

/* The entry of `key`, or the free slot where it belongs. */
static struct revocation_entry *find(const struct revocations *set, const uint64_t key[static 2])
{
    for (size_t i = key[0] % set->cap;; i = i + 1 == set->cap ? 0 : i + 1) {
        struct revocation_entry *slot = &set->slots[i];
        if (slot->key[1] == 0 || (slot->key[0] == key[0] && slot->key[1] == key[1]))
            return slot;
    }
}

static struct neo_bytes without_leading_zeros(struct neo_bytes serial)
{
    while (serial.len > 1 && serial.at[0] == 0)
        serial = neo_bytes_from(serial, 1);
    return serial;
}

static enum neo_code check(const struct neo_revocation *r, size_t i, struct neo_error *err)
{
    const char *why = NULL;

    if (r->issuer_key_id.len > CERT_KEY_ID_MAX)
        why = "issuer key id of more than 64 bytes";
    else if (r->serial.len > CERT_SERIAL_MAX)
        why = "serial of more than 20 bytes";
    else if (r->serial.len > 0 && r->issuer_key_id.len == 0)
        why = "a serial means nothing without its issuer";
    else if (r->serial.len > 0 && r->service.len > 0)
        why = "a serial and a service at once";
    else if (r->service.len > 0 && !neo_is_service_name(r->service))
        why = "not a service's name";
    if (why != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "revocation %zu: %s", i, why);
    return NEO_OK;
}

static void put(struct revocations *set, const struct neo_revocation *r)
{
    bool is_serial = r->serial.len > 0;
    uint64_t key[2];

    if (is_serial)
        make_key(KEY_SERIAL, r->issuer_key_id, without_leading_zeros(r->serial), key);
    else
        make_key(KEY_CUTOFF, r->issuer_key_id, r->service, key);
    struct revocation_entry *entry = find(set, key);
    int64_t before = is_serial ? INT64_MAX : r->issued_before;
    if (entry->key[1] == 0)
        *entry = (struct revocation_entry){{key[0], key[1]}, before};
    else if (entry->before < before)
        entry->before = before;
    set->has_cutoffs |= !is_serial;
}

enum neo_code revocations_init(struct revocations *set, const struct neo_revocation *from, size_t n,
                               struct neo_error *err)
{
    *set = (struct revocations){0};
    if (n == 0)
        return NEO_OK;
    for (size_t i = 0; i < n; i++)
        NEO_TRY(check(&from[i], i, err));
    set->cap = n + n / 3 + 1; /* three quarters full: about eight probes for what is not there */
    set->slots = neo_alloc_array(set->cap, sizeof(*set->slots));
    if (set->slots == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "revocations: out of memory for %zu", n);
    for (size_t i = 0; i < n; i++)
        put(set, &from[i]);
    return NEO_OK;
}

void revocations_fini(struct revocations *set)
{
    neo_free(set->slots);
    *set = (struct revocations){0};
}

static bool covers(const struct revocations *set, enum key_kind kind, struct neo_bytes issuer,
                   struct neo_bytes what, int64_t not_before)
{
    uint64_t key[2];

    make_key(kind, issuer, what, key);
    const struct revocation_entry *entry = find(set, key);
    return entry->key[1] != 0 && not_before < entry->before;
}

/* A cutoff may name the issuer, the service, both or neither. */
static bool is_cut_off(const struct revocations *set, const struct neo_cert_facts *f)
{
    const struct neo_bytes any = {0};

    return covers(set, KEY_CUTOFF, f->issuer_key_id, f->id.service, f->not_before) ||
           covers(set, KEY_CUTOFF, f->issuer_key_id, any, f->not_before) ||
           covers(set, KEY_CUTOFF, any, f->id.service, f->not_before) ||
           covers(set, KEY_CUTOFF, any, any, f->not_before);
}

bool revocations_cover(const struct revocations *set, const struct neo_cert *cert)
{
    const struct neo_cert_facts *f = &cert->facts;

    if (set->cap == 0)
        return false;
    if (covers(set, KEY_SERIAL, f->issuer_key_id, f->serial, f->not_before))
        return true;
    return set->has_cutoffs && f->id.service.len > 0 && is_cut_off(set, f);
}
