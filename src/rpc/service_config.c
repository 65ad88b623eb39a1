/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader follows the JSON from top to bottom; each function reads the keys of one
 * object of grpc.service_config.ServiceConfig.
 */
#include "rpc/service_config.h"

#include "rpc/config_reader.h"

enum { ARENA_BUDGET = 256 * 1024, MAX_METHODS = 256, MAX_NAMES = 32 };

static const struct retry_policy default_retry = {
    .max_attempts = 3,
    .initial_backoff = 100 * NEO_NSEC_PER_MSEC,
    .max_backoff = 1 * NEO_NSEC_PER_SEC,
    .multiplier_percent = 200,
    .retryable = 1u << NEO_UNAVAILABLE,
    .only_safe = true,
};

/* --- methodConfig ----------------------------------------------------------------------------- */

struct name {
    struct neo_bytes service, method;
};

/* Each name makes a row of its own with the settings of its methodConfig. */
struct method_reading {
    struct service_config *config;
    struct method_config settings;
    struct name names[MAX_NAMES];
    size_t n;
};

static void name_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct name *name = self;

    if (neo_bytes_is(key, "service"))
        config_string(r, &name->service);
    else if (neo_bytes_is(key, "method"))
        config_string(r, &name->method);
    else
        config_unknown(r, "service, method");
}

/* A path would be the name of nothing, and its settings would not be missed. */
static void check_part(struct config_reader *r, struct neo_bytes part, const char *example)
{
    if (part.len > 0 && memchr(part.at, '/', part.len) != NULL)
        config_refuse(r, "'%.*s' has a '/', and so names nothing; write %s", NEO_FMT(part),
                      example);
}

static bool is_same(const struct name *a, struct neo_bytes service, struct neo_bytes method)
{
    return neo_bytes_equal(a->service, service) && neo_bytes_equal(a->method, method);
}

static void name_element(struct config_reader *r, void *self)
{
    struct method_reading *m = self;
    struct name name = {.service = {0}};

    if (m->n == MAX_NAMES) {
        config_refuse(r, "at most %d names in one methodConfig", MAX_NAMES);
        return;
    }
    config_object(r, name_key, &name);
    if (name.service.len == 0 && name.method.len > 0)
        config_refuse(r, "a name with a method needs its service");
    check_part(r, name.service, "{\"service\": \"package.Service\"}");
    check_part(r, name.method, "{\"service\": \"package.Service\", \"method\": \"Method\"}");
    for (size_t i = 0; i < m->n; i++)
        if (is_same(&m->names[i], name.service, name.method))
            config_refuse(r, "this name was given before");
    for (size_t i = 0; i < m->config->n_methods; i++)
        if (is_same(&name, m->config->methods[i].service, m->config->methods[i].method))
            config_refuse(r, "this name was given before, in another methodConfig");
    m->names[m->n++] = name;
}

static void method_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct method_reading *reading = self;
    struct method_config *m = &reading->settings;
    uint32_t size = 0;

    if (neo_bytes_is(key, "name")) {
        config_array(r, name_element, reading);
    } else if (neo_bytes_is(key, "timeout")) {
        config_duration(r, 1, &m->timeout);
    } else if (neo_bytes_is(key, "waitForReady")) {
        m->has_wait_for_ready = true;
        config_bool(r, &m->wait_for_ready);
    } else if (neo_bytes_is(key, "maxRequestMessageBytes")) {
        config_u32(r, 1, UINT32_MAX, &size);
        m->max_request = size;
    } else if (neo_bytes_is(key, "maxResponseMessageBytes")) {
        config_u32(r, 1, UINT32_MAX, &size);
        m->max_response = size;
    } else if (neo_bytes_is(key, "retryPolicy")) {
        m->has_retry = true;
        service_config_read_retry(r, &m->retry);
    } else if (neo_bytes_is(key, "hedgingPolicy")) {
        m->has_hedging = true;
        service_config_read_hedging(r, &m->hedging);
    } else {
        config_unknown(r, "name, timeout, waitForReady, maxRequestMessageBytes, "
                          "maxResponseMessageBytes, retryPolicy, hedgingPolicy");
    }
    if (m->has_retry && m->has_hedging)
        config_refuse(r, "either retryPolicy or hedgingPolicy, not both");
}

static void method_element(struct config_reader *r, void *self)
{
    struct service_config *config = self;
    struct method_reading m = {.config = config};

    config_object(r, method_key, &m);
    if (m.n == 0)
        config_refuse(r,
                      "without a name it would apply to nothing; to every method: \"name\": [{}]");
    for (size_t i = 0; i < m.n; i++) {
        if (config->n_methods == MAX_METHODS) {
            config_refuse(r, "at most %d names in all", MAX_METHODS);
            return;
        }
        m.settings.service = neo_arena_copy(&config->arena, m.names[i].service);
        m.settings.method = neo_arena_copy(&config->arena, m.names[i].method);
        config->methods[config->n_methods++] = m.settings;
    }
}

/* --- the rest --------------------------------------------------------------------------------- */

static void throttling_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct service_config *config = self;

    if (neo_bytes_is(key, "maxTokens"))
        config_milli(r, 1000, 1000000, &config->throttle_max_milli);
    else if (neo_bytes_is(key, "tokenRatio"))
        config_milli(r, 1, 1000000, &config->throttle_ratio_milli);
    else
        config_unknown(r, "maxTokens, tokenRatio");
}

static void health_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct service_config *config = self;
    struct neo_bytes name = {0};

    if (!neo_bytes_is(key, "serviceName")) {
        config_unknown(r, "serviceName");
        return;
    }
    config_string(r, &name);
    if (name.len > 200)
        config_refuse(r, "longer than 200 bytes");
    config->has_health = true;
    config->health_service = neo_arena_printf(&config->arena, "%.*s", NEO_FMT(name));
    if (config->health_service == NULL)
        config_refuse(r, "the memory budget is spent");
}

/* The older form is told in capitals, too: ROUND_ROBIN is what the .proto of a config calls it. */
static void policy_name(struct config_reader *r, struct service_config *config)
{
    struct neo_bytes name = {0};
    uint8_t lower[64];
    size_t len = 0;

    config_string(r, &name);
    for (; len < name.len && len < sizeof(lower); len++) {
        uint8_t c = name.at[len];
        lower[len] = c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
    }
    const struct balance_policy *policy = balance_find(neo_bytes(lower, len));
    if (policy == NULL)
        config_refuse(r, "'%.*s' is unknown; known are %s", NEO_FMT(name), balance_names);
    else
        config->balance.policy = policy;
}

static void top_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct service_config *config = self;

    if (neo_bytes_is(key, "loadBalancingConfig"))
        service_config_read_balance(r, &config->balance);
    else if (neo_bytes_is(key, "loadBalancingPolicy"))
        policy_name(r, config);
    else if (neo_bytes_is(key, "methodConfig"))
        config_array(r, method_element, config);
    else if (neo_bytes_is(key, "retryThrottling"))
        config_object(r, throttling_key, config);
    else if (neo_bytes_is(key, "healthCheckConfig"))
        config_object(r, health_key, config);
    else if (neo_bytes_is(key, "retryPolicy") || neo_bytes_is(key, "hedgingPolicy"))
        config_refuse(r,
                      "does nothing at the top level in gRPC; put it into \"methodConfig\": "
                      "[{\"name\": [{}], \"%.*s\": {...}}]",
                      NEO_FMT(key));
    else
        config_unknown(r, "loadBalancingConfig, loadBalancingPolicy, methodConfig, "
                          "retryThrottling, healthCheckConfig");
}

static enum neo_code parse(struct service_config *config, const char *json, struct neo_error *err)
{
    struct config_reader r;

    config_init(&r, json, &config->arena);
    config_object(&r, top_key, config);
    return config_finish(&r, err);
}

enum neo_code service_config_init(struct service_config *config, const char *json,
                                  struct neo_error *err)
{
    *config = (struct service_config){
        .balance = balance_default,
        .throttle_max_milli = 10000,
        .throttle_ratio_milli = 100,
    };
    neo_arena_init(&config->arena, ARENA_BUDGET);
    config->methods = neo_arena_calloc(&config->arena, MAX_METHODS + 1, sizeof(*config->methods));
    if (config->methods == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the service config");
    if (json != NULL) {
        enum neo_code code = parse(config, json, err);
        if (code != NEO_OK) {
            service_config_fini(config);
            return code;
        }
    }
    /* The row of last resort, behind all others. */
    config->methods[config->n_methods] = (struct method_config){
        .has_retry = true,
        .retry = default_retry,
    };
    return NEO_OK;
}

void service_config_fini(struct service_config *config)
{
    neo_arena_fini(&config->arena);
}

const struct method_config *service_config_find(const struct service_config *config,
                                                const struct neo_method *method)
{
    const struct method_config *best = &config->methods[config->n_methods];
    unsigned best_score = 0;

    for (size_t i = 0; i < config->n_methods; i++) {
        const struct method_config *m = &config->methods[i];
        if (m->service.len > 0 && !neo_bytes_is(m->service, method->service))
            continue;
        if (m->method.len > 0 && !neo_bytes_is(m->method, method->name))
            continue;
        unsigned score = 1u + (m->service.len > 0) + (m->method.len > 0);
        if (score > best_score) {
            best = m;
            best_score = score;
        }
    }
    return best;
}
