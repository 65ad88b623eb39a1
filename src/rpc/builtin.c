/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/builtin.h"

enum neo_code builtin_add(struct neo_server *server, struct neo_error *err)
{
    NEO_TRY(builtin_attest_add(server, err));
    NEO_TRY(builtin_health_add(server, err));
    NEO_TRY(builtin_reflection_add(server, err));
    return builtin_channelz_add(server, err);
}
