/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh/attester_imds.h - Azure's metadata service: the quote of a TD.
 *
 * A paravisor keeps a TDREPORT, which only the processor itself can check. The service beside the
 * machine has Intel's quoting enclave sign it: POST /acc/tdquote with {"report": base64url} gives
 * {"quote": base64url}. It is reached without TLS at a link-local address and believed in nothing:
 * what it gives is looked at here, and judged by whoever asked.
 */
#ifndef NEO_MESH_ATTESTER_IMDS_H
#define NEO_MESH_ATTESTER_IMDS_H

#include "mesh/attester.h"

/*
 * The quote of this TDREPORT, into `out`. UNAVAILABLE: the service is busy, or cannot be reached.
 * DEADLINE_EXCEEDED: no whole answer by then. DATA_LOSS: an answer that is none, or a quote of
 * another report. FAILED_PRECONDITION: it refused.
 */
NEO_MUST_CHECK enum neo_code imds_quote(struct attester_run *run, struct neo_bytes report,
                                        struct neo_buffer *out, struct neo_error *err);
/* Can it be reached? Says why not. */
NEO_MUST_CHECK enum neo_code imds_reach(struct attester_run *run, struct neo_error *err);

/* An answer of HTTP/1, so far. `is_whole`: nothing more will come. OK: complete, and `ret_body`
 * holds the body; NOT_FOUND: more must come. */
NEO_MUST_CHECK enum neo_code imds_answer_read(struct neo_bytes text, bool is_whole,
                                              struct neo_buffer *ret_body, struct neo_error *err);

#endif
