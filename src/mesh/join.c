/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "neojoin1" and base64url of: one byte of version, the root's SHA-256, one byte of
 * length and the CA's address, the rest the token's text. A string that was cut or
 * mistyped is told apart by a checksum: the first four bytes of SHA-256 over the rest.
 */
#include <neo/mesh.h>

#include "base/cursor.h"

#include <neo/encoding.h>
#include <neo/memory.h>

#include <stdio.h>

static const char prefix[] = "neojoin1";

enum { CHECK_LEN = 4 };

bool neo_join_format(const struct neo_join *join, struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer body = {0};
    uint8_t digest[NEO_SHA256_LEN];
    size_t len = strlen(join->address);

    (void)neo_buffer_append(&body, neo_bytes(join->root_sha256, sizeof(join->root_sha256)));
    (void)neo_buffer_append_byte(&body, (uint8_t)len);
    (void)neo_buffer_append(&body, neo_bytes(join->address, len));
    (void)neo_buffer_append_text(&body, join->token);
    neo_sha256(neo_buffer_bytes(&body), digest);
    (void)neo_buffer_append(&body, neo_bytes(digest, CHECK_LEN));
    return !body.failed && neo_buffer_append_text(out, prefix) &&
           neo_base64_encode(out, neo_buffer_bytes(&body), NEO_BASE64_URL);
}

static enum neo_code refuse(struct neo_error *err)
{
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "this is no join string, or a part of it is missing; make a new one with: neo "
                    "token create <service>");
}

static bool copy_text(char *to, size_t size, struct neo_bytes from)
{
    if (from.len == 0 || from.len >= size || memchr(from.at, '\0', from.len) != NULL)
        return false;
    memcpy(to, from.at, from.len);
    to[from.len] = '\0';
    return true;
}

enum neo_code neo_join_parse(const char *text, struct neo_join *ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer raw = {.limit = 1024};
    struct neo_bytes all = neo_text(text);
    uint8_t digest[NEO_SHA256_LEN];
    struct neo_join join = {0};

    while (all.len > 0 && (all.at[all.len - 1] == '\n' || all.at[all.len - 1] == ' '))
        all.len--;
    if (!neo_bytes_starts(all, NEO_LIT("neojoin1")))
        return refuse(err);
    if (neo_base64_decode(neo_bytes_from(all, sizeof(prefix) - 1), &raw, NULL) != NEO_OK ||
        raw.len < CHECK_LEN)
        return refuse(err);

    struct neo_bytes body = {raw.at, raw.len - CHECK_LEN};
    neo_sha256(body, digest);
    if (memcmp(digest, raw.at + body.len, CHECK_LEN) != 0)
        return refuse(err);

    struct cursor c = cursor_of(body);
    struct neo_bytes root = cursor_take(&c, sizeof(join.root_sha256));
    struct neo_bytes address = cursor_take(&c, cursor_u8(&c));
    struct neo_bytes token = cursor_take(&c, c.left);
    if (c.failed || !copy_text(join.address, sizeof(join.address), address) ||
        !copy_text(join.token, sizeof(join.token), token))
        return refuse(err);
    memcpy(join.root_sha256, root.at, root.len);
    *ret = join;
    neo_zeroise(&join, sizeof(join));
    return NEO_OK;
}
