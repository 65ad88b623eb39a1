/* SPDX-License-Identifier: Apache-2.0 */
/* In place of attester_tss.c where the build did not find tpm2-tss. */
#include "mesh/attester_tss.h"

void tss_quote_fini(struct tss_quote *q)
{
    (void)q; /* nothing was put in */
}

bool tss_is_there(void)
{
    return false;
}

enum neo_code tss_reach(struct attester_run *run, struct neo_error *err)
{
    (void)run;
    return neo_fail(err, NEO_UNIMPLEMENTED, "this build has no tpm2-tss");
}

enum neo_code tss_read_nv(struct attester_run *run, uint32_t index, size_t max,
                          struct neo_buffer *out, struct neo_error *err)
{
    (void)run;
    (void)index;
    (void)max;
    (void)out;
    return neo_fail(err, NEO_UNIMPLEMENTED, "this build has no tpm2-tss");
}

enum neo_code tss_make_quote(struct attester_run *run, uint32_t ak,
                             const uint8_t extra_data[NEO_AT_LEAST(32)], struct tss_quote *ret,
                             struct neo_error *err)
{
    (void)run;
    (void)ak;
    (void)extra_data;
    (void)ret;
    return neo_fail(err, NEO_UNIMPLEMENTED, "this build has no tpm2-tss");
}
