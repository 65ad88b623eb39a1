/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/context.h - what travels with a call: trace, caller, deadline, criticality, business context.
 *
 * A handler's context is made by the server from the connection and the request; a
 * call the handler makes inherits it without being asked (neo_call_options.parent):
 * the same trace with a new span, what is left of the deadline less a margin, the
 * same or a lower criticality, and the business entries that the service chose to
 * pass on.
 *
 * The caller is the identity of the certificate. What a peer sends as x-caller-id
 * is dropped at the door.
 */
#ifndef NEO_CONTEXT_H
#define NEO_CONTEXT_H

#include <neo/bytes.h>
#include <neo/time.h>
#include <neo/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Lower is more important. */
enum neo_criticality {
    NEO_CRITICAL_PLUS,
    NEO_CRITICAL, /* the default */
    NEO_SHEDDABLE_PLUS,
    NEO_SHEDDABLE,
};
const char *neo_criticality_text(enum neo_criticality c);

struct neo_entry {
    struct neo_bytes key; /* without the "x-neo-ctx-" of the wire */
    struct neo_bytes value;
};

struct neo_context {
    struct neo_trace trace;
    struct neo_bytes tracestate; /* passed on as it came; may be empty */
    struct neo_bytes caller;     /* service name of the peer; "anonymous" without a certificate */
    struct neo_bytes caller_uri;
    struct neo_bytes caller_serial; /* of its certificate; empty without one */
    neo_nsec deadline;              /* monotonic; 0: none */
    enum neo_criticality criticality;
    const struct neo_entry *business; /* at most 16 entries, 4 KiB in all */
    size_t n_business;
    bool caller_attested;
    struct neo_bytes caller_measurement; /* hex, of what it proved to run; empty: nothing */
    bool caller_simulated; /* that proof was a simulated one, which development alone accepts */
};

#ifdef __cplusplus
}
#endif

#endif
