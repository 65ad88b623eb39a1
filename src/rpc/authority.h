/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/authority.h - is a call addressed to us?
 *
 * A connection is proven for one pair of identities. A call on it that names another
 * service was meant for somebody else: by a client that shares connections it should
 * not share, or by one that tries what a second name may open. It is refused.
 */
#ifndef NEO_RPC_AUTHORITY_H
#define NEO_RPC_AUTHORITY_H

#include "rpc/peer.h"

/* `authority` is a host, or host:port. Cheap for the one this peer used last. */
bool authority_is_ours(struct peer *p, struct neo_bytes authority);
void authority_forget(struct peer *p);

#endif
