/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/client_fresh.h - a server's proof for one call, as its caller asks for and judges it.
 *
 * Threads   The channel's loop.
 */
#ifndef NEO_RPC_CLIENT_FRESH_H
#define NEO_RPC_CLIENT_FRESH_H

#include <stdbool.h>

struct call_attempt;
struct h2_stream;
struct neo_client_call;
struct sub_conn;

/* Must the server prove itself for this call, on this connection? */
bool client_fresh_wanted(const struct neo_client_call *call, const struct sub_conn *sc);
/* Can it? */
bool client_fresh_possible(const struct sub_conn *sc);
enum { CLIENT_FRESH_TEXT_LEN = 43 };
/* Asks for it: the header's value. */
void client_fresh_ask(struct call_attempt *a, char ret[static CLIENT_FRESH_TEXT_LEN]);
/* The headers have come. False: the call has ended, for there is no proof in them. */
bool client_fresh_take(struct call_attempt *a, struct h2_stream *s);

#endif
