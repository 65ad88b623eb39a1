/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer that says anything. Byte 0 chooses our role and what we ask for; then come
 * frames, each behind two bytes of length. Who must prove itself is never accepted,
 * for no root is known here; and the end, once reached, stays.
 */
#include "attest/session.h"

#include "base/cursor.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

#define HEAD "attestation_policies:\n  peer:\n    require: hardware\n"
#define ROW                                                                                        \
    "    any_of:\n      - tee: sev-snp\n"                                                          \
    "        measurement: [4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d"                       \
    "4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d]\n"
static const char policy_text[] = HEAD ROW;
static const char delegated_text[] = HEAD "    mode: delegated\n" ROW;

enum { IS_SERVER = 1, WANTS = 2, CAN_PROVE = 4, CLIENT_FIRST = 8, DELEGATES = 16, KNOWS = 32 };

/* A key that was vouched for, so that its signatures are looked at; nobody here can make one. */
static struct attest_vouch *make_vouch(void)
{
    static uint8_t spki[SESSION_KEY_ED25519_LEN] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                                    0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
    static const struct neo_appraisal good = {.kind = NEO_EVIDENCE_SNP, .accepted = true};
    const struct vouch_facts facts = {
        .identity = NEO_LIT("spiffe://neo.local/peer"),
        .key = neo_bytes(spki, sizeof(spki)),
        .appraisal = &good,
        .rules = 1,
        .until = UINT64_MAX / 2,
    };

    spki[12] = 0xd7; /* some point */
    return vouch_new(&facts);
}

static struct attest_session *open_session(uint8_t mode)
{
    static struct neo_attest_trust *trust;
    static struct neo_attest_policies *policies, *delegated;
    static struct neo_key *key;
    static struct attest_vouch *vouch;
    static struct neo_attester attester = {.kind = NEO_EVIDENCE_SNP};
    struct attest_session *session;
    const struct attest_channel channel = {
        .is_server = (mode & IS_SERVER) != 0,
        .exporter = {1},
        .own_spki_sha256 = {2},
        .peer_spki_sha256 = {3},
        .own_uri = NEO_LIT("spiffe://neo.local/own"),
        .peer_uri = NEO_LIT("spiffe://neo.local/peer"),
        .peer_service = NEO_LIT("peer"),
    };

    if (trust == NULL) {
        const struct neo_document document = {NEO_LIT("p"), NEO_LIT(policy_text)};
        must(neo_attest_trust_new(&(struct neo_attest_trust_options){0}, &trust, NULL) == NEO_OK);
        must(neo_attest_policies_compile(&document, 1, false, &policies, NULL) == NEO_OK);
        const struct neo_document other = {NEO_LIT("p"), NEO_LIT(delegated_text)};
        must(neo_attest_policies_compile(&other, 1, false, &delegated, NULL) == NEO_OK);
        must(neo_key_generate(NEO_KEY_P256, &key, NULL) == NEO_OK);
        vouch = make_vouch();
        must(vouch != NULL);
    }
    const struct attest_options options = {
        .channel = &channel,
        .trust = trust,
        .policies = (mode & DELEGATES) != 0 ? delegated : policies,
        .session_key = (mode & CAN_PROVE) != 0 ? key : NULL,
        .vouches = &vouch,
        .n_vouches = (mode & KNOWS) != 0,
        .rules = 1,
        .attester = (mode & CAN_PROVE) != 0 ? &attester : NULL,
        .want_peer = (mode & WANTS) != 0,
        .nonce = {4},
        .client_first = (mode & CLIENT_FIRST) != 0,
    };
    must(attest_session_new(&options, &session, NULL) == NEO_OK);
    return session;
}

static void feed(struct attest_session *session, struct neo_bytes frame, struct neo_buffer *out)
{
    enum attest_state before = attest_session_state(session);
    enum attest_state state;

    neo_buffer_clear(out);
    state = attest_session_feed(session, frame, 1790000000, NEO_NSEC_PER_SEC, out);
    must(out->len <= ATTEST_FRAME_MAX);
    must(before != ATTEST_REFUSED || state == ATTEST_REFUSED);
    if (state == ATTEST_NEEDS_EVIDENCE) {
        neo_buffer_clear(out);
        (void)attest_session_evidence(session, NEO_LIT("evidence"), NEO_LIT(""), out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(neo_bytes(data, size));
    uint8_t mode = cursor_u8(&c);
    struct attest_session *session = open_session(mode);
    struct neo_buffer out = {0};

    if ((mode & IS_SERVER) == 0)
        must(attest_session_start(session, &out, NULL) == NEO_OK);
    while (!c.failed && c.left > 0) {
        struct neo_bytes frame = cursor_take(&c, (size_t)cursor_be(&c, 2));
        if (!c.failed)
            feed(session, frame, &out);
    }
    must((mode & WANTS) == 0 || attest_session_state(session) != ATTEST_ACCEPTED);
    neo_buffer_fini(&out);
    attest_session_free(session);
    return 0;
}
