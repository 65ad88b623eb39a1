/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/metadata.h - all metadata of a call, one after the other.
 *
 *     struct neo_metadata_cursor at = {0};
 *     struct neo_pair pair;
 *     while (neo_call_metadata_next(call, &at, &pair))
 *         ...
 *
 * In the order of arrival; a name that came more than once is given as often. Values
 * of names that end in -bin are given as the bytes they stand for: base64 with or
 * without padding, several of them joined by commas; one that is neither is left out.
 * Left out, too, is what belongs to the protocol (content-type, te, grpc-*) or is not a
 * peer's to say (neo/call.h). To ask for one value by its name is cheaper:
 * neo_call_metadata(), neo_client_call_metadata().
 *
 * What is given lives as long as the call.
 *
 * Threads   The call's own.
 */
#ifndef NEO_METADATA_H
#define NEO_METADATA_H

#include <neo/call.h>
#include <neo/channel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* {0} is the beginning. */
struct neo_metadata_cursor {
    /* private */
    size_t field;
    size_t offset;
};

/* Server: the request's. False: no more. */
bool neo_call_metadata_next(const struct neo_call *call, struct neo_metadata_cursor *cursor,
                            struct neo_pair *ret);

/* Client: the response's, as far as it has come. Metadata of a response that has nothing but a
   status are trailers. False: no more. */
bool neo_client_call_header_next(struct neo_client_call *call, struct neo_metadata_cursor *cursor,
                                 struct neo_pair *ret);
bool neo_client_call_trailer_next(struct neo_client_call *call, struct neo_metadata_cursor *cursor,
                                  struct neo_pair *ret);

#ifdef __cplusplus
}
#endif

#endif
