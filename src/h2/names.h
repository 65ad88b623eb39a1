/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2/names.h - names of fields that mean something to us, and names that may be taken for them.
 *
 * Programs behind and before us make variables of names, where '-' and '_' are the same: what reads
 * X_CALLER_ID finds x_caller_id. So a name that has a meaning here is refused in any other
 * spelling, in requests as in what users add. All other names may have underscores, as gRPC lets
 * them.
 *
 * Pure.
 */
#ifndef NEO_H2_NAMES_H
#define NEO_H2_NAMES_H

#include <neo/bytes.h>

/* What a name is to us; 0: metadata like any other. */
enum h2_name_use {
    H2_NAME_RESERVED = 1, /* the protocol's, the connection's, or not a peer's to say */
    H2_NAME_MADE = 2,     /* a channel writes it into requests itself */
    H2_NAME_KNOWN = 4,    /* metadata, but of a meaning that somebody trusts in */
    H2_NAME_FALSE = 8,    /* none of these, but one of them when '_' is read as '-' */
};

/* The sum of what it is; H2_NAME_FALSE stands alone. */
unsigned h2_name_use(struct neo_bytes name);

#endif
