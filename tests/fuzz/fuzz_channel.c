/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a channel reads: its target, its service config, and the load reports of its peers. The
 * first byte chooses which.
 *
 *   targets   every address that is taken is a target of its own, which reads the same
 *   configs   what is taken keeps its promises about limits
 *   reports   a weight is nothing or a finite positive number
 */
#include "rpc/service_config.h"
#include "rpc/target.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

static void read_target(const char *text)
{
    static struct target target, again;
    char one[200];

    if (target_parse(text, &target, NULL) != NEO_OK)
        return;
    must(target.n <= TARGET_ADDRESSES_MAX);
    must(target.kind != TARGET_DNS || target.port != 0);
    for (size_t i = 0; i < target.n; i++) {
        target_of_address(target.addresses[i].text, one, sizeof(one));
        must(target_parse(one, &again, NULL) == NEO_OK && again.n == 1);
        must(strcmp(again.addresses[0].text, target.addresses[i].text) == 0);
    }
}

static void read_config(const char *text)
{
    struct service_config config;
    struct neo_error err = {0};

    if (service_config_init(&config, text, &err) != NEO_OK) {
        must(err.message[0] == '$');
        return;
    }
    must(config.balance.policy != NULL);
    must(config.balance.least.choices >= 2 && config.balance.least.choices <= 10);
    must(config.throttle_max_milli >= 1000 && config.throttle_ratio_milli >= 1);
    for (size_t i = 0; i < config.n_methods; i++) {
        const struct method_config *m = &config.methods[i];
        must(!(m->has_retry && m->has_hedging));
        must(!m->has_retry ||
             (m->retry.max_attempts >= 2 && m->retry.max_attempts <= SERVICE_CONFIG_ATTEMPTS_MAX &&
              m->retry.retryable != 0 && (m->retry.retryable & 1) == 0));
        must(!m->has_hedging || (m->hedging.max_attempts >= 2 &&
                                 m->hedging.max_attempts <= SERVICE_CONFIG_ATTEMPTS_MAX));
    }
    service_config_fini(&config);
}

static void read_report(struct neo_bytes wire)
{
    double weight = balance_read_report(wire, 1000);

    must(weight >= 0 && isfinite(weight));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = malloc(size);
    must(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 3) {
    case 0:
        read_target(text);
        break;
    case 1:
        read_config(text);
        break;
    default:
        read_report(neo_bytes(data + 1, size - 1));
        break;
    }
    free(text);
    return 0;
}
