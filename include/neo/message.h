/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/message.h - what one does with messages besides sending them: compare, copy.
 *
 * Both go by the table, like all of neo/proto.h, and so work for every message, generated or made
 * at run time. To empty a message, zero its struct.
 *
 *     static struct prices_Quote latest;
 *
 *     if (!neo_proto_equal(&prices_Quote_info, &latest, quote))
 *         NEO_TRY(neo_proto_copy(&prices_Quote_info, quote, &latest, &arena, err));
 *
 * Errors    as each function says; nothing else is written on failure.
 * Threads   Any, as long as nobody changes the messages meanwhile.
 * Limits    depth 100, as when encoding. Nesting is a counter, not the C stack.
 */
#ifndef NEO_MESSAGE_H
#define NEO_MESSAGE_H

#include <neo/proto.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Whether two messages of the type `info` say the same: the same fields are set, to the same
 * values.
 *
 *   presence        counts: an `optional int32` that is 0 is not one that is absent, and an empty
 *                   message not an absent one. Without presence a zero is absent.
 *   repeated        the same elements in the same order
 *   map             the same keys with the same values, in any order; of entries with equal keys
 *                   the last counts, as when they are decoded
 *   double, float   bit by bit: a NaN equals the same NaN, and -0.0 is not 0.0, which are told
 *                   apart on the wire, too. So a message always equals its copy.
 *   unknown fields  byte by byte, in the order in which they came
 *   Any             type URL and value byte by byte: what is in it is not looked into
 *
 * What is not set is not looked at: the other members of a oneof, the value beside a has_<name>
 * that is false. Messages nested deeper than the limit equal none. Large maps are compared through
 * an index, in linear time; where there is no memory for it, it takes longer.
 */
bool neo_proto_equal(const struct neo_message_info *info, const void *a, const void *b);

/*
 * Copies all that is set in `from`, unknown fields included, into `to`, a struct of info->size
 * bytes that need not be zeroed. All it points at is then in the arena, strings and bytes too, and
 * nothing of it in what `from` was decoded from or lives in: the copy outlives call and input.
 * `to` may be `from`. A copy encodes to the same bytes.
 *
 * RESOURCE_EXHAUSTED: the arena's budget is spent. INVALID_ARGUMENT: nested deeper than the limit.
 * `to` is left as it was then.
 */
NEO_MUST_CHECK enum neo_code neo_proto_copy(const struct neo_message_info *info, const void *from,
                                            void *to, struct neo_arena *arena,
                                            struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
