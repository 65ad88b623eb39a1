/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at the certificate that a server begins with. One that nobody will accept is no reason
 * not to begin, since another may come any moment (neo_server_update()); but whoever looks for why
 * all callers fail should find it in the first line of the log.
 */
#include "rpc/server.h"

#include <neo/insecure.h>

static void warn(const struct neo_server_options *o, const struct neo_cert *leaf, const char *why)
{
    neo_log_warn(o->log, "server.certificate", NEO_STR("server", o->name), NEO_STR("problem", why),
                 NEO_STR("subject", neo_cert_facts(leaf)->subject),
                 NEO_I64("not_before", neo_cert_facts(leaf)->not_before),
                 NEO_I64("not_after", neo_cert_facts(leaf)->not_after));
}

static void look(const struct neo_server_options *o, const struct neo_cert *leaf, bool needs_dns)
{
    const struct neo_cert_facts *f = neo_cert_facts(leaf);
    int64_t now = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;

    if (now >= f->not_after)
        warn(o, leaf, "it has ended: callers refuse it");
    else if (now < f->not_before)
        warn(o, leaf, "it is not valid yet: compare the clocks");
    if (needs_dns && f->dns_names == 0)
        warn(o, leaf, "it has no DNS name: callers look for one there, not in the common name");
}

void server_look_at_certificate(const struct neo_server_options *o)
{
    struct neo_cert *leaf = NULL;

    if (o->log == NULL)
        return;
    if (o->insecure == NULL)
        look(o, neo_identity_leaf(o->epoch.identity), false);
    else if (o->insecure->certificate_pem.len > 0 &&
             neo_cert_from_pem(o->insecure->certificate_pem, "certificate", &leaf, NULL) == NEO_OK)
        look(o, leaf, true);
    neo_cert_unref(leaf);
}
