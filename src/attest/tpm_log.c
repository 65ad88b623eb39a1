/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/tpm_log.h"

#include "base/cursor.h"

#include <assert.h>

enum {
    EV_NO_ACTION = 3,
    ALGORITHMS_MAX = 8,
    EVENTS_MAX = 10000,
    SHA1_LEN = 20,
};

#define malformed(...) neo_fail(err, NEO_INVALID_ARGUMENT, __VA_ARGS__)

struct algorithms {
    uint16_t id[ALGORITHMS_MAX];
    uint16_t len[ALGORITHMS_MAX];
    size_t n;
};

/* The first event says in SHA-1's form which digests the others have. */
static enum neo_code read_header(struct cursor *c, struct algorithms *ret, struct neo_error *err)
{
    static const char signature[16] = "Spec ID Event03";
    uint64_t pcr = cursor_le(c, 4);
    uint64_t type = cursor_le(c, 4);

    (void)cursor_take(c, SHA1_LEN);
    struct cursor data = cursor_of(cursor_take(c, (size_t)cursor_le(c, 4)));
    struct neo_bytes found = cursor_take(&data, sizeof(signature));
    if (pcr > 1 || type != EV_NO_ACTION || /* 1 in a log of confidential machines */
        !neo_bytes_equal(found, neo_bytes(signature, sizeof(signature))))
        return malformed("not a crypto-agile event log");
    (void)cursor_take(&data, 8); /* platform class, version of the specification, errata, uintn */
    uint64_t n = cursor_le(&data, 4);
    if (n == 0 || n > ALGORITHMS_MAX)
        return malformed("an event log of %llu algorithms", (unsigned long long)n);
    for (ret->n = 0; ret->n < n; ret->n++) {
        ret->id[ret->n] = (uint16_t)cursor_le(&data, 2);
        ret->len[ret->n] = (uint16_t)cursor_le(&data, 2);
    }
    (void)cursor_take(&data, cursor_u8(&data)); /* the vendor's */
    if (!cursor_is_done(&data))
        return malformed("an event log whose header is not of its form");
    return NEO_OK;
}

static size_t len_of(const struct algorithms *a, uint16_t id)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->id[i] == id)
            return a->len[i];
    }
    return 0;
}

static void extend(struct tpm_replay *r, unsigned pcr, uint16_t bank, struct neo_bytes with)
{
    uint8_t both[2 * TPM_DIGEST_MAX];

    memcpy(both, r->pcrs[pcr], with.len);
    memcpy(both + with.len, with.at, with.len);
    tpm_digest(bank, neo_bytes(both, 2 * with.len), r->pcrs[pcr]);
    r->touched |= UINT32_C(1) << pcr;
}

/* The locality that started the TPM is PCR 0's first value. */
static void note_locality(struct tpm_replay *r, uint16_t bank, struct neo_bytes data)
{
    static const char name[16] = "StartupLocality";

    if (data.len == sizeof(name) + 1 && memcmp(data.at, name, sizeof(name)) == 0 &&
        (r->touched & 1) == 0)
        r->pcrs[0][tpm_hash_len(bank) - 1] = data.at[sizeof(name)];
}

static enum neo_code read_event(struct cursor *c, const struct algorithms *a, uint16_t bank,
                                struct tpm_replay *r, struct neo_error *err)
{
    uint64_t pcr = cursor_le(c, 4);
    uint64_t type = cursor_le(c, 4);
    uint64_t n = cursor_le(c, 4);
    struct neo_bytes ours = {0};

    if (n > a->n)
        return malformed("an event of %llu digests", (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++) {
        uint16_t id = (uint16_t)cursor_le(c, 2);
        size_t len = len_of(a, id);
        struct neo_bytes found = cursor_take(c, len);
        if (len == 0)
            return malformed("an event with a digest of the unknown algorithm 0x%04x", id);
        if (id == bank)
            ours = found;
    }
    struct neo_bytes data = cursor_take(c, (size_t)cursor_le(c, 4));
    if (c->failed)
        return malformed("an event that is cut short");
    if (type == EV_NO_ACTION) { /* extends nothing, so its PCR and digests mean nothing */
        if (pcr == 0)
            note_locality(r, bank, data);
    } else if (pcr >= TPM_PCRS || ours.at == NULL || ours.len != tpm_hash_len(bank)) {
        return malformed("an event of PCR %llu, or without a digest of the bank",
                         (unsigned long long)pcr);
    } else {
        extend(r, (unsigned)pcr, bank, ours);
    }
    r->n_events++;
    return NEO_OK;
}

/* Firmware hands out the whole area that it kept for the log: ones or zeros behind it. */
static bool is_padding(const struct cursor *c)
{
    uint8_t fill = c->at[0];

    if (fill != 0x00 && fill != 0xff)
        return false;
    for (size_t i = 1; i < c->left; i++) {
        if (c->at[i] != fill)
            return false;
    }
    return true;
}

enum neo_code tpm_log_replay(struct neo_bytes log, uint16_t bank, struct tpm_replay *ret,
                             struct neo_error *err)
{
    struct cursor c = cursor_of(log);
    struct algorithms a = {.n = 0};

    *ret = (struct tpm_replay){.touched = 0};
    assert(tpm_hash_len(bank) > 0);
    NEO_TRY(read_header(&c, &a, err));
    if (len_of(&a, bank) == 0)
        return neo_fail(err, NEO_NOT_FOUND, "an event log without %s", tpm_hash_text(bank));
    if (len_of(&a, bank) != tpm_hash_len(bank))
        return malformed("an event log whose %s has %zu bytes", tpm_hash_text(bank),
                         len_of(&a, bank));
    while (c.left > 0 && !is_padding(&c)) {
        if (ret->n_events == EVENTS_MAX)
            return malformed("more than %d events", EVENTS_MAX);
        NEO_TRY(read_event(&c, &a, bank, ret, err));
    }
    return NEO_OK;
}
