/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader follows the JSON from top to bottom; each function reads one object
 * of grpc.service_config.ServiceConfig and knows all of its keys.
 */
#include "rpc/service_config.h"

#include <neo/json.h>

#include <strings.h>

enum { ARENA_BUDGET = 256 * 1024, MAX_METHODS = 256, MAX_ATTEMPTS = 5 };

static const struct retry_policy default_retry = {
    .max_attempts = 3,
    .initial_backoff = 100 * NEO_NSEC_PER_MSEC,
    .max_backoff = 1 * NEO_NSEC_PER_SEC,
    .multiplier_percent = 200,
    .retryable = 1u << NEO_UNAVAILABLE,
    .only_safe = true,
};

/* "0.1s", "30s": protobuf's JSON form of a Duration. */
static bool read_duration(struct neo_json *r, neo_nsec *ret)
{
    struct neo_bytes text;

    if (!neo_json_string(r, &text))
        return false;

    uint64_t seconds = 0, nanos = 0, scale = NEO_NSEC_PER_SEC;
    bool digits = false, fraction = false;
    for (size_t i = 0; i + 1 < text.len; i++) {
        uint8_t c = text.at[i];
        if (c == '.' && !fraction && digits) {
            fraction = true;
            continue;
        }
        if (c < '0' || c > '9' || seconds > UINT32_MAX || (fraction && scale == 1)) {
            digits = false;
            break;
        }
        digits = true;
        if (!fraction)
            seconds = seconds * 10 + (c - '0');
        else
            nanos += (c - '0') * (scale /= 10);
    }
    if (!digits || text.at[text.len - 1] != 's') {
        neo_json_refuse(r, "'%.*s' is not a duration; write seconds like \"0.1s\"", NEO_FMT(text));
        return false;
    }
    *ret = seconds * NEO_NSEC_PER_SEC + nanos;
    return true;
}

/* A number with at most three decimals, in thousandths. */
static bool read_milli(struct neo_json *r, uint32_t *ret)
{
    double value;

    if (!neo_json_double(r, &value))
        return false;
    if (!(value >= 0.001 && value <= 1000)) {
        neo_json_refuse(r, "must be at least 0.001 and at most 1000");
        return false;
    }
    *ret = (uint32_t)(value * 1000 + 0.5);
    return true;
}

static bool read_u32(struct neo_json *r, uint32_t least, uint32_t *ret)
{
    uint64_t value;

    if (!neo_json_u64(r, &value))
        return false;
    if (value < least || value > UINT32_MAX) {
        neo_json_refuse(r, "must be a whole number, at least %u", least);
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

static bool read_code(struct neo_json *r, uint32_t *mask)
{
    if (neo_json_peek(r) == NEO_JSON_NUMBER) {
        uint64_t number;
        if (!neo_json_u64(r, &number))
            return false;
        if (number == NEO_OK || number > NEO_UNAUTHENTICATED) {
            neo_json_refuse(r, "a gRPC code to retry is 1 to 16");
            return false;
        }
        *mask |= 1u << number;
        return true;
    }

    struct neo_bytes name;
    if (!neo_json_string(r, &name))
        return false;
    for (enum neo_code code = NEO_CANCELLED; code <= NEO_UNAUTHENTICATED; code++) {
        const char *known = neo_code_name(code);
        if (strlen(known) == name.len && strncasecmp(known, (const char *)name.at, name.len) == 0) {
            *mask |= 1u << code;
            return true;
        }
    }
    neo_json_refuse(r, "'%.*s' is no gRPC code; write for example \"UNAVAILABLE\"", NEO_FMT(name));
    return false;
}

static bool read_codes(struct neo_json *r, uint32_t *ret)
{
    uint32_t mask = 0;

    if (!neo_json_enter_array(r))
        return false;
    while (neo_json_element(r))
        if (!read_code(r, &mask))
            return false;
    if (mask == 0)
        neo_json_refuse(r, "retryableStatusCodes must not be empty");
    *ret = mask;
    return true;
}

static void check_retry(struct neo_json *r, const struct retry_policy *p)
{
    if (p->max_attempts < 2 || p->initial_backoff == 0 || p->max_backoff == 0 ||
        p->multiplier_percent == 0 || p->retryable == 0)
        neo_json_refuse(r, "retryPolicy needs maxAttempts (2 or more), initialBackoff, maxBackoff, "
                           "backoffMultiplier and retryableStatusCodes");
}

static bool read_retry_policy(struct neo_json *r, struct retry_policy *ret)
{
    struct retry_policy p = {0};
    struct neo_bytes key;

    if (!neo_json_enter_object(r))
        return false;
    while (neo_json_key(r, &key)) {
        uint32_t milli;
        if (neo_bytes_is(key, "maxAttempts"))
            (void)read_u32(r, 2, &p.max_attempts);
        else if (neo_bytes_is(key, "initialBackoff"))
            (void)read_duration(r, &p.initial_backoff);
        else if (neo_bytes_is(key, "maxBackoff"))
            (void)read_duration(r, &p.max_backoff);
        else if (neo_bytes_is(key, "backoffMultiplier")) {
            if (read_milli(r, &milli))
                p.multiplier_percent = milli / 10;
        } else if (neo_bytes_is(key, "retryableStatusCodes"))
            (void)read_codes(r, &p.retryable);
        else
            neo_json_refuse(r, "unknown key '%.*s' in retryPolicy", NEO_FMT(key));
    }
    check_retry(r, &p);
    if (p.max_attempts > MAX_ATTEMPTS)
        p.max_attempts = MAX_ATTEMPTS;
    *ret = p;
    return true;
}

/* Each name makes a row of its own with the settings of its methodConfig. */
struct names {
    struct {
        struct neo_bytes service, method;
    } at[32];
    size_t n;
};

static bool read_name(struct neo_json *r, struct names *names)
{
    struct neo_bytes key;

    if (names->n == NEO_COUNT(names->at)) {
        neo_json_refuse(r, "at most %zu names in one methodConfig", NEO_COUNT(names->at));
        return false;
    }
    if (!neo_json_enter_object(r))
        return false;
    names->at[names->n].service = names->at[names->n].method = (struct neo_bytes){0};
    while (neo_json_key(r, &key)) {
        if (neo_bytes_is(key, "service"))
            (void)neo_json_string(r, &names->at[names->n].service);
        else if (neo_bytes_is(key, "method"))
            (void)neo_json_string(r, &names->at[names->n].method);
        else
            neo_json_refuse(r, "unknown key '%.*s' in name", NEO_FMT(key));
    }
    if (names->at[names->n].service.len == 0 && names->at[names->n].method.len > 0)
        neo_json_refuse(r, "a name with a method needs its service");
    names->n++;
    return true;
}

static void read_method_key(struct neo_json *r, struct neo_bytes key, struct method_config *m,
                            struct names *names)
{
    uint32_t size;

    if (neo_bytes_is(key, "name")) {
        if (neo_json_enter_array(r))
            while (neo_json_element(r) && read_name(r, names))
                ;
    } else if (neo_bytes_is(key, "timeout")) {
        (void)read_duration(r, &m->timeout);
    } else if (neo_bytes_is(key, "waitForReady")) {
        m->has_wait_for_ready = neo_json_bool(r, &m->wait_for_ready);
    } else if (neo_bytes_is(key, "maxRequestMessageBytes")) {
        if (read_u32(r, 1, &size))
            m->max_request = size;
    } else if (neo_bytes_is(key, "maxResponseMessageBytes")) {
        if (read_u32(r, 1, &size))
            m->max_response = size;
    } else if (neo_bytes_is(key, "retryPolicy")) {
        m->has_retry = read_retry_policy(r, &m->retry);
    } else {
        neo_json_refuse(r, "unknown key '%.*s' in methodConfig", NEO_FMT(key));
    }
}

static bool read_method_config(struct neo_json *r, struct service_config *config)
{
    struct method_config m = {0};
    struct names names = {.n = 0};
    struct neo_bytes key;

    if (!neo_json_enter_object(r))
        return false;
    while (neo_json_key(r, &key))
        read_method_key(r, key, &m, &names);
    for (size_t i = 0; i < names.n; i++) {
        if (config->n_methods == MAX_METHODS) {
            neo_json_refuse(r, "at most %d names in all", MAX_METHODS);
            return false;
        }
        m.service = neo_arena_copy(&config->arena, names.at[i].service);
        m.method = neo_arena_copy(&config->arena, names.at[i].method);
        config->methods[config->n_methods++] = m;
    }
    return true;
}

static void read_throttling(struct neo_json *r, struct service_config *config)
{
    struct neo_bytes key;

    if (!neo_json_enter_object(r))
        return;
    while (neo_json_key(r, &key)) {
        if (neo_bytes_is(key, "maxTokens")) {
            if (read_milli(r, &config->throttle_max_milli) && config->throttle_max_milli < 1000)
                neo_json_refuse(r, "maxTokens is at least 1");
        } else if (neo_bytes_is(key, "tokenRatio"))
            (void)read_milli(r, &config->throttle_ratio_milli);
        else
            neo_json_refuse(r, "unknown key '%.*s' in retryThrottling", NEO_FMT(key));
    }
}

static bool parse_balancing(struct neo_bytes name, enum balancing *ret)
{
    if (neo_bytes_is(name, "round_robin"))
        *ret = BALANCE_ROUND_ROBIN;
    else if (neo_bytes_is(name, "pick_first"))
        *ret = BALANCE_PICK_FIRST;
    else
        return false;
    return true;
}

/* [{"round_robin": {}}, ...]: the first we know wins. */
static void read_balancing_config(struct neo_json *r, struct service_config *config)
{
    bool found = false;

    if (!neo_json_enter_array(r))
        return;
    while (neo_json_element(r)) {
        struct neo_bytes key;
        if (!neo_json_enter_object(r))
            return;
        while (neo_json_key(r, &key)) {
            if (!found)
                found = parse_balancing(key, &config->balancing);
            (void)neo_json_skip(r);
        }
    }
    if (!found)
        neo_json_refuse(r, "loadBalancingConfig names no policy we know: round_robin, pick_first");
}

static void read_key(struct neo_json *r, struct neo_bytes key, struct service_config *config)
{
    struct neo_bytes name;

    if (neo_bytes_is(key, "loadBalancingConfig")) {
        read_balancing_config(r, config);
    } else if (neo_bytes_is(key, "loadBalancingPolicy")) {
        if (neo_json_string(r, &name) && !parse_balancing(name, &config->balancing))
            neo_json_refuse(r,
                            "unknown loadBalancingPolicy '%.*s'; we know round_robin, pick_first",
                            NEO_FMT(name));
    } else if (neo_bytes_is(key, "methodConfig")) {
        if (neo_json_enter_array(r))
            while (neo_json_element(r) && read_method_config(r, config))
                ;
    } else if (neo_bytes_is(key, "retryThrottling")) {
        read_throttling(r, config);
    } else if (neo_bytes_is(key, "retryPolicy")) {
        neo_json_refuse(r, "retryPolicy at the top level does nothing in gRPC; put it into "
                           "\"methodConfig\": [{\"name\": [{}], \"retryPolicy\": {...}}]");
    } else {
        neo_json_refuse(r, "unknown key '%.*s' in the service config", NEO_FMT(key));
    }
}

static enum neo_code parse(struct service_config *config, const char *json, struct neo_error *err)
{
    struct neo_json r;
    struct neo_bytes key;

    neo_json_init(&r, neo_text(json), "service config", &config->arena);
    if (neo_json_enter_object(&r))
        while (neo_json_key(&r, &key))
            read_key(&r, key, config);
    return neo_json_finish(&r, err);
}

enum neo_code service_config_init(struct service_config *config, const char *json,
                                  struct neo_error *err)
{
    *config = (struct service_config){
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
