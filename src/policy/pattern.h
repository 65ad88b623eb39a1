/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy/pattern.h - which methods a rule speaks of.
 *
 *     Sign                      the method of that name, in whichever service of the target
 *     neo.keys.v1.Keys/Sign     that one
 *     Get*, neo.keys.v1.Keys/G*  every method whose name begins so
 *     *                         every method
 */
#ifndef NEO_POLICY_PATTERN_H
#define NEO_POLICY_PATTERN_H

#include <neo/bytes.h>

struct pattern {
    struct neo_bytes service; /* empty: any */
    struct neo_bytes method;
    bool is_prefix;
};

/* False for anything but the forms above. `*ret` borrows `text`. */
bool pattern_parse(struct neo_bytes text, struct pattern *ret);

bool pattern_matches(const struct pattern *p, struct neo_bytes service, struct neo_bytes method);

/* Whether everything that `inner` matches, `outer` matches too. */
bool pattern_covers(const struct pattern *outer, const struct pattern *inner);

/* Orders by method name, byte by byte; a name comes before those it begins. */
int pattern_compare_names(struct neo_bytes a, struct neo_bytes b);

#endif
