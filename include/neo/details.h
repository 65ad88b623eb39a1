/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/details.h - what an error says beyond its code and text.
 *
 * google.rpc.Status carries details of any message type; google/rpc/error_details.neo.h
 * has the usual ones: BadRequest, PreconditionFailure, ResourceInfo, Help ... A handler
 * adds them to the status it finishes with:
 *
 *     struct neo_arena *arena = neo_call_arena(call);
 *     struct neo_status status = neo_status_of(NEO_INVALID_ARGUMENT, "the order is wrong");
 *     const struct neo_pair wrong[] = {{NEO_LIT("lines[2].amount"), NEO_LIT("must be positive")}};
 *
 *     if (!neo_status_add_violations(&status, arena, wrong, 1))
 *         ... out of memory: what the status has so far is still right
 *     neo_call_finish(call, &status);
 *
 * and a caller reads them from the status that it got:
 *
 *     struct google_rpc_BadRequest bad;
 *     if (neo_status_detail(&status, &google_rpc_BadRequest_info, &arena, &bad))
 *         ... bad.field_violations
 *
 * Each type is there at most once (AIP-193). ErrorInfo, RetryInfo and QuotaFailure are made
 * of the fields of struct neo_status, and are not to be added.
 *
 * A peer takes so many bytes of metadata and no more, often 8 or 16 KiB, of which base64 lets three
 * quarters be used: neo_call_finish() leaves out what is too much, details that were added first.
 *
 * Threads   None of their own.
 */
#ifndef NEO_DETAILS_H
#define NEO_DETAILS_H

#include <neo/proto.h>
#include <neo/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Adds one detail: `message` is a struct of the type `info` (google_rpc_Help_info). It is encoded
 * at once, on `arena`, which must live as long as the status. False, and the status unchanged: out
 * of memory, more than 44 KiB of details, a message that cannot be encoded, a type that is there
 * already or is not to be added, a field for attested code alone (neo.v1.sensitivity = TEE_ONLY)
 * that is set.
 */
NEO_MUST_CHECK bool neo_status_add_detail(struct neo_status *status, struct neo_arena *arena,
                                          const struct neo_message_info *info, const void *message);
/* Adds a BadRequest: for each pair the path of a field, "lines[2].amount", and what is wrong. */
NEO_MUST_CHECK bool neo_status_add_violations(struct neo_status *status, struct neo_arena *arena,
                                              const struct neo_pair *violations, size_t n);

/*
 * Decodes the detail of type `info` into `ret_message`, on `arena`. False: there is none, or a
 * malformed one, or memory is out; then `ret_message` is not to be read.
 */
NEO_MUST_CHECK bool neo_status_detail(const struct neo_status *status,
                                      const struct neo_message_info *info, struct neo_arena *arena,
                                      void *ret_message);

#ifdef __cplusplus
}
#endif

#endif
