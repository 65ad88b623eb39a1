/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/service_config.h - how a channel behaves, from gRPC's service config JSON.
 *
 * Standard: grpc.service_config.ServiceConfig; retries and hedging as in gRFC A6, health checks as
 * in A17, outlier detection as in A50. Unknown keys are refused, and every refusal names its place
 * ("$.methodConfig[0].retryPolicy.maxAttempts"). A retryPolicy outside methodConfig, which gRPC
 * ignores in silence, is refused with the place where it belongs. docs/CHANNEL.md is the reference.
 */
#ifndef NEO_RPC_SERVICE_CONFIG_H
#define NEO_RPC_SERVICE_CONFIG_H

#include <neo/error.h>
#include <neo/proto.h>
#include <neo/time.h>

#include "rpc/balance.h"

enum { SERVICE_CONFIG_ATTEMPTS_MAX = 5 };

struct retry_policy {
    unsigned max_attempts; /* 2 to 5 */
    neo_nsec initial_backoff;
    neo_nsec max_backoff;
    uint32_t multiplier_percent;
    uint32_t retryable; /* bit n: gRPC code n */
    bool only_safe;     /* not asked for in so many words: only what cannot run twice */
};

struct hedging_policy {
    unsigned max_attempts; /* 2 to 5 */
    neo_nsec delay;        /* between the starts of attempts; 0: all at once */
    uint32_t non_fatal;    /* bit n: gRPC code n */
};

struct method_config {
    struct neo_bytes service; /* empty: any */
    struct neo_bytes method;  /* empty: any of the service */
    neo_nsec timeout;         /* 0: none */
    bool has_wait_for_ready;
    bool wait_for_ready;
    bool has_retry;
    bool has_hedging; /* not with has_retry */
    struct retry_policy retry;
    struct hedging_policy hedging;
    size_t max_request;  /* 0: the channel's */
    size_t max_response; /* 0: the channel's */
};

struct service_config {
    struct balance_config balance;
    struct method_config *methods;
    size_t n_methods;
    uint32_t throttle_max_milli; /* retryThrottling.maxTokens x 1000 */
    uint32_t throttle_ratio_milli;
    bool has_health;
    const char *health_service; /* "": the server as a whole */
    struct neo_arena arena;
};

/* `json` NULL gives the default. The struct is the caller's; service_config_fini(). */
NEO_MUST_CHECK enum neo_code service_config_init(struct service_config *config, const char *json,
                                                 struct neo_error *err);
void service_config_fini(struct service_config *config);

/* The most exact row for a method: service and method, then service, then any; never NULL. */
const struct method_config *service_config_find(const struct service_config *config,
                                                const struct neo_method *method);

/* --- its parts, for service_config.c ---------------------------------------------------------- */

struct config_reader;
/* retryPolicy and hedgingPolicy of a methodConfig. */
void service_config_read_retry(struct config_reader *r, struct retry_policy *ret);
void service_config_read_hedging(struct config_reader *r, struct hedging_policy *ret);
/* loadBalancingConfig. */
void service_config_read_balance(struct config_reader *r, struct balance_config *ret);

#endif
