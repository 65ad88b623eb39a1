/* SPDX-License-Identifier: Apache-2.0 */
/* rpc/census.h - counting in a census. */
#ifndef NEO_RPC_CENSUS_H
#define NEO_RPC_CENSUS_H

#include <neo/attest.h>
#include <neo/census.h>

/* What a connection counts as; {0}: nothing. */
struct census_mark {
    struct neo_census *census;
    unsigned row;
};
/* It counts as what `appraisal` found of `service`, and no more as what it counted as before. A
 * census of NULL counts nothing; one that is full leaves a connection uncounted. */
void census_count(struct census_mark *mark, struct neo_census *census, struct neo_bytes service,
                  const struct neo_appraisal *appraisal);
void census_forget(struct census_mark *mark);

#endif
