/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/cca_anchor.h"

#include "crypto/vendor_public.h"

#include <neo/encoding.h>
#include <neo/json.h>

enum { ANCHORS_MAX = 10000 };

static void read_hex(struct neo_json *r, uint8_t *to, size_t len)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
    struct neo_bytes text;

    if (!neo_json_string(r, &text))
        return;
    if (neo_hex_decode(text, &raw, NULL) != NEO_OK || raw.len != len)
        neo_json_refuse(r, "must be %zu hex digits", 2 * len);
    else
        memcpy(to, raw.at, len);
}

static void read_coordinate(struct neo_json *r, uint8_t *to, size_t *ret_len)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
    struct neo_bytes text;

    if (!neo_json_string(r, &text))
        return;
    if (neo_base64_decode(text, &raw, NULL) != NEO_OK || raw.len > CCA_POINT_MAX / 2) {
        neo_json_refuse(r, "must be base64url of at most %d bytes", CCA_POINT_MAX / 2);
        return;
    }
    memcpy(to, raw.at, raw.len);
    *ret_len = raw.len;
}

static void read_curve(struct neo_json *r, enum cose_algorithm *ret)
{
    struct neo_bytes text;

    if (!neo_json_string(r, &text))
        return;
    if (neo_bytes_is(text, "P-256"))
        *ret = COSE_ES256;
    else if (neo_bytes_is(text, "P-384"))
        *ret = COSE_ES384;
    else
        neo_json_refuse(r, "\"crv\" must be P-256 or P-384");
}

/* A JWK (RFC 7517); members that say nothing of the point are left alone. */
static void read_key(struct neo_json *r, struct cca_anchor *a)
{
    uint8_t x[CCA_POINT_MAX / 2], y[CCA_POINT_MAX / 2];
    size_t x_len = 0, y_len = 0;
    struct neo_bytes key, type = {0};

    if (!neo_json_enter_object(r))
        return;
    while (neo_json_key(r, &key)) {
        if (neo_bytes_is(key, "kty"))
            (void)neo_json_string(r, &type);
        else if (neo_bytes_is(key, "crv"))
            read_curve(r, &a->algorithm);
        else if (neo_bytes_is(key, "x"))
            read_coordinate(r, x, &x_len);
        else if (neo_bytes_is(key, "y"))
            read_coordinate(r, y, &y_len);
        else
            (void)neo_json_skip(r);
    }
    size_t half = a->algorithm == COSE_ES256 ? 32 : 48;
    if (!neo_bytes_is(type, "EC") || x_len != half || y_len != half) {
        neo_json_refuse(r, "\"pkey\" must be an EC key with kty, crv, x and y");
        return;
    }
    memcpy(a->point, x, half);
    memcpy(a->point + half, y, half);
}

static void read_anchor(struct neo_json *r, struct cca_anchor *a)
{
    enum { KEY = 1, IMPLEMENTATION = 2, INSTANCE = 4 };
    struct neo_bytes key;
    unsigned seen = 0;

    if (!neo_json_enter_object(r))
        return;
    while (neo_json_key(r, &key)) {
        if (neo_bytes_is(key, "pkey")) {
            read_key(r, a);
            seen |= KEY;
        } else if (neo_bytes_is(key, "implementation-id")) {
            read_hex(r, a->implementation_id, sizeof(a->implementation_id));
            seen |= IMPLEMENTATION;
        } else if (neo_bytes_is(key, "instance-id")) {
            read_hex(r, a->instance_id, sizeof(a->instance_id));
            seen |= INSTANCE;
        } else if (neo_bytes_is(key, "simulated")) {
            (void)neo_json_bool(r, &a->simulated);
        } else {
            neo_json_refuse(r, "unknown key \"%.*s\"", NEO_FMT(key));
            return;
        }
    }
    if (seen != (KEY | IMPLEMENTATION | INSTANCE))
        neo_json_refuse(r, "an anchor needs pkey, implementation-id and instance-id");
}

enum neo_code cca_anchors_read(struct neo_bytes text, const char *what, struct neo_arena *arena,
                               struct cca_anchor **list, struct neo_error *err)
{
    struct cca_anchor *first = *list;
    struct neo_json r;
    size_t n = 0;

    neo_json_init(&r, text, what, arena);
    if (neo_json_enter_array(&r)) {
        while (neo_json_element(&r)) {
            struct cca_anchor *a = neo_arena_calloc(arena, 1, sizeof(*a));
            if (a == NULL || ++n > ANCHORS_MAX)
                return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                                "%s: more than %d anchors, or no memory", what, ANCHORS_MAX);
            read_anchor(&r, a);
            a->next = first;
            first = a;
        }
    }
    NEO_TRY(neo_json_finish(&r, err));
    *list = first;
    return NEO_OK;
}

/* --- keys alone ------------------------------------------------------------------------------- */

static struct cca_anchor *bare(struct neo_arena *arena, struct neo_error *err)
{
    struct cca_anchor *a = neo_arena_calloc(arena, 1, sizeof(*a));

    if (a == NULL)
        (void)neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for an anchor");
    else
        a->is_bare = true;
    return a;
}

static void push(struct cca_anchor *a, struct cca_anchor **list)
{
    a->next = *list;
    *list = a;
}

enum neo_code cca_anchor_read_jwk(struct neo_bytes text, const char *what, struct neo_arena *arena,
                                  struct cca_anchor **list, struct neo_error *err)
{
    struct cca_anchor *a = bare(arena, err);
    struct neo_json r;

    if (a == NULL)
        return NEO_RESOURCE_EXHAUSTED;
    neo_json_init(&r, text, what, arena);
    read_key(&r, a);
    NEO_TRY(neo_json_finish(&r, err));
    push(a, list);
    return NEO_OK;
}

enum neo_code cca_anchor_read_spki(struct neo_bytes der, const char *what, struct neo_arena *arena,
                                   struct cca_anchor **list, struct neo_error *err)
{
    struct cca_anchor *a = bare(arena, err);
    size_t len = 0;

    if (a == NULL)
        return NEO_RESOURCE_EXHAUSTED;
    if (!vendor_spki_point(der, a->point, &len))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: not a public key on P-256 or P-384", what);
    a->algorithm = len == VENDOR_P256_LEN ? COSE_ES256 : COSE_ES384;
    push(a, list);
    return NEO_OK;
}
