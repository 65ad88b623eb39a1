/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/der.h - reads DER, strictly.
 *
 * Definite minimal lengths and single-byte tags only. The functions read from a
 * base cursor: the first thing that is not there sets its `failed`, and a parser
 * checks once at its end.
 */
#ifndef NEO_CRYPTO_DER_H
#define NEO_CRYPTO_DER_H

#include <base/cursor.h>

enum der_tag {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT_0 = 0xa0,
};

struct der_element {
    uint8_t tag;
    struct neo_bytes body;
    struct neo_bytes whole; /* with tag and length */
};

/* The next element, whatever it is. */
struct der_element der_any(struct cursor *c);
/* The next element, which must be a `tag`. */
struct der_element der_take(struct cursor *c, uint8_t tag);
/* Whether the next element is a `tag`; reads nothing. */
bool der_is_next(const struct cursor *c, uint8_t tag);

/* The bytes of a BIT STRING without unused bits. */
struct neo_bytes der_take_bits(struct cursor *c);

/*
 * One element and nothing behind it, well formed down to its leaves, at most 16 deep and of at most
 * `max_elements` elements: the bound on what any later parser can be made to do.
 */
bool der_is_strict(struct neo_bytes der, unsigned max_elements);

#endif
