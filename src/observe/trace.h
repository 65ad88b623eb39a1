/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NEO_OBSERVE_TRACE_H
#define NEO_OBSERVE_TRACE_H

#include <neo/trace.h>

/* As neo_trace_new(), but where it shall lie. */
void trace_begin(struct neo_trace *ret);

#endif
