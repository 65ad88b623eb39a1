/* SPDX-License-Identifier: Apache-2.0 */
/* One table of steps: from where, to where. What a step needs beside is asked for by name. */
#include <neo/rollout.h>

#include <neo/spiffe.h>

#include <stdio.h>

static const char *const state_texts[] = {
#define X(name, text) [NEO_ROLLOUT_##name] = text,
    NEO_ROLLOUT_STATES(X)
#undef X
};

const char *neo_rollout_state_text(enum neo_rollout_state state)
{
    return (size_t)state < NEO_COUNT(state_texts) ? state_texts[state] : "unknown";
}

static bool is_hex(const char *text)
{
    size_t len = strlen(text);

    return len >= 64 && len < NEO_ROLLOUT_MEASUREMENT_LEN && len % 2 == 0 &&
           strspn(text, "0123456789abcdef") == len;
}

enum neo_code neo_rollout_begin(const char *service, const char *measurement, int64_t now,
                                struct neo_rollout *ret, struct neo_error *err)
{
    struct neo_rollout r = {.state = NEO_ROLLOUT_CANDIDATE, .since = now};

    if (!neo_is_service_name(neo_text(service)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%.80s' is not a service name", service);
    if (!is_hex(measurement))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "'%.80s' is no measurement: write 64 to 128 lower-case hex digits",
                        measurement);
    (void)snprintf(r.service, sizeof(r.service), "%s", service);
    (void)snprintf(r.measurement, sizeof(r.measurement), "%s", measurement);
    *ret = r;
    return NEO_OK;
}

static enum neo_code wrong_state(const struct neo_rollout *from, const char *wanted,
                                 struct neo_error *err)
{
    return neo_fail(err, NEO_FAILED_PRECONDITION, "it is %s, and must be %s",
                    neo_rollout_state_text(from->state), wanted);
}

static enum neo_code activate(const struct neo_rollout_seen *seen, int64_t now, int64_t at,
                              struct neo_rollout *r, struct neo_error *err)
{
    if (r->state != NEO_ROLLOUT_CANDIDATE)
        return wrong_state(r, "candidate", err);
    if (seen->instances == 0)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "no instance has started with it and proven so to the registry; start one "
                        "of %s, then activate",
                        r->service);
    r->state = NEO_ROLLOUT_ACTIVE;
    r->proven = now;
    r->not_before = at;
    return NEO_OK;
}

static enum neo_code retire(const struct neo_rollout_seen *seen, int64_t at, struct neo_rollout *r,
                            struct neo_error *err)
{
    if (r->state != NEO_ROLLOUT_ACTIVE)
        return wrong_state(r, "active", err);
    if (seen->channels > 0)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "%llu live connections rest on it; end the instances of %s that run it, "
                        "then retire",
                        (unsigned long long)seen->channels, r->service);
    if (at != 0 && at <= r->not_before)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "it would end before it begins: it is accepted only from a later date on; "
                        "give a date behind that, or revoke it");
    r->state = NEO_ROLLOUT_RETIRING;
    r->not_after = at;
    return NEO_OK;
}

static enum neo_code revoke(int64_t at, struct neo_rollout *r, struct neo_error *err)
{
    if (r->state == NEO_ROLLOUT_REVOKED)
        return wrong_state(r, "anything else", err);
    if (at != 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "a revocation is at once; retire it with a date to give it an end");
    r->state = NEO_ROLLOUT_REVOKED;
    return NEO_OK;
}

static enum neo_code take(enum neo_rollout_step step, const struct neo_rollout_seen *seen,
                          int64_t now, int64_t at, struct neo_rollout *r, struct neo_error *err)
{
    switch (step) {
    case NEO_ROLLOUT_ACTIVATE:
        return activate(seen, now, at, r, err);
    case NEO_ROLLOUT_RETIRE:
        return retire(seen, at, r, err);
    case NEO_ROLLOUT_REVOKE:
        return revoke(at, r, err);
    }
    return neo_fail(err, NEO_INVALID_ARGUMENT, "no such step");
}

enum neo_code neo_rollout_step(const struct neo_rollout *from, enum neo_rollout_step step,
                               const struct neo_rollout_seen *seen, int64_t now, int64_t at,
                               struct neo_rollout *ret, struct neo_error *err)
{
    struct neo_rollout r = *from;

    if (at != 0 && at < now)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the date is in the past");
    NEO_TRY(take(step, seen, now, at, &r, err));
    r.since = now;
    *ret = r;
    return NEO_OK;
}

const char *neo_rollout_refusal(const struct neo_rollout *r, bool observes, int64_t now)
{
    switch (r->state) {
    case NEO_ROLLOUT_CANDIDATE:
        return observes ? NULL : "a candidate, which only the registry accepts";
    case NEO_ROLLOUT_ACTIVE:
    case NEO_ROLLOUT_RETIRING:
        if (r->not_before != 0 && now < r->not_before)
            return "not accepted yet";
        return r->not_after != 0 && now >= r->not_after ? "not accepted any more" : NULL;
    case NEO_ROLLOUT_REVOKED:
    case NEO_ROLLOUT_STATES_N:
        break;
    }
    return "revoked";
}
