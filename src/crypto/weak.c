/* SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/weak.h"

#include <openssl/sha.h>

void weak_sha1(struct neo_bytes data, uint8_t ret[static WEAK_SHA1_LEN])
{
    SHA_CTX state;

    SHA1_Init(&state);
    SHA1_Update(&state, data.at, data.len);
    SHA1_Final(ret, &state);
}
