/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/time.h - the one representation of time.
 *
 * Durations and monotonic instants are nanoseconds in 64 bits. Wall-clock time
 * (certificate validity, audit records) is a different thing and never mixes.
 */
#ifndef NEO_TIME_H
#define NEO_TIME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t neo_nsec;

#define NEO_NSEC_PER_MSEC UINT64_C(1000000)
#define NEO_NSEC_PER_SEC  UINT64_C(1000000000)

#ifdef __cplusplus
}
#endif

#endif
