/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interop/serve.h - what neo-interop-server serves. All on one worker, so nothing here is locked.
 */
#ifndef NEO_TESTS_INTEROP_SERVE_H
#define NEO_TESTS_INTEROP_SERVE_H

#include <grpc/testing/test.neo.h>

#define INTEROP_SERVICE "interop-service"

NEO_MUST_CHECK enum neo_code serve_add(struct neo_server *server, struct neo_error *err);

/* --- server_orca.c --------------------------------------------------------------------------- */

NEO_MUST_CHECK enum neo_code orca_add(struct neo_server *server, struct neo_error *err);
/* In the trailers of this call. */
void orca_report_call(struct neo_call *call, const struct grpc_testing_TestOrcaReport *report);
/* From now on, to everybody who listens; copied. */
void orca_report_all(const struct grpc_testing_TestOrcaReport *report);

#endif
