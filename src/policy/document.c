/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/document.h"

#include <neo/spiffe.h>

#include "policy/pattern.h"

enum { MOST_RULES = 10000, MOST_ROLES = 16 };

static enum neo_code check_caller(const void *value, struct neo_error *err)
{
    struct neo_bytes name = *(const struct neo_bytes *)value;

    if (neo_is_service_name(name) || neo_bytes_is(name, "*"))
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "\"%.*s\" is no service; write 1 to 63 of a-z 0-9 -, or \"*\" for every "
                    "authenticated service",
                    NEO_FMT(name));
}

static enum neo_code check_name(const void *value, struct neo_error *err)
{
    struct neo_bytes name = *(const struct neo_bytes *)value;

    if (neo_is_service_name(name))
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT, "\"%.*s\" is no name; write 1 to 63 of a-z 0-9 -",
                    NEO_FMT(name));
}

static enum neo_code check_target(const void *value, struct neo_error *err)
{
    struct neo_bytes name = *(const struct neo_bytes *)value;

    if ((neo_is_service_name(name) && !neo_bytes_is(name, "anonymous")) || neo_bytes_is(name, "*"))
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "\"%.*s\" is no service to call; write 1 to 63 of a-z 0-9 -, or \"*\" for "
                    "every service",
                    NEO_FMT(name));
}

static enum neo_code check_operation(const void *value, struct neo_error *err)
{
    struct neo_bytes text = *(const struct neo_bytes *)value;
    struct pattern unused;

    if (pattern_parse(text, &unused))
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "\"%.*s\" is no operation; write Method, package.Service/Method, Prefix* or *",
                    NEO_FMT(text));
}

static enum neo_code check_method(const void *value, struct neo_error *err)
{
    struct neo_bytes text = *(const struct neo_bytes *)value;
    struct pattern p;

    if (pattern_parse(text, &p) && !p.is_prefix)
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "\"%.*s\" is no method; write Method or package.Service/Method", NEO_FMT(text));
}

static enum neo_code check_one_of(struct neo_bytes text, const char *a, const char *b,
                                  struct neo_error *err)
{
    if (neo_bytes_is(text, a) || neo_bytes_is(text, b))
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT, "\"%.*s\" is neither \"%s\" nor \"%s\"",
                    NEO_FMT(text), a, b);
}

static enum neo_code check_mode(const void *value, struct neo_error *err)
{
    return check_one_of(*(const struct neo_bytes *)value, "enforce", "shadow", err);
}

static enum neo_code check_expect(const void *value, struct neo_error *err)
{
    return check_one_of(*(const struct neo_bytes *)value, "allow", "deny", err);
}

static enum neo_code check_some(const void *value, struct neo_error *err)
{
    const struct neo_yaml_list *list = value;

    return list->len > 0 ? NEO_OK
                         : neo_fail(err, NEO_INVALID_ARGUMENT,
                                    "the list is empty; name at least one, or remove the key");
}

bool document_parse_time(struct neo_bytes text, bool end, unsigned *ret)
{
    if (text.len != 5 || text.at[2] != ':')
        return false;
    for (size_t i = 0; i < 5; i++)
        if (i != 2 && (text.at[i] < '0' || text.at[i] > '9'))
            return false;

    unsigned hour = (text.at[0] - '0') * 10u + (text.at[1] - '0');
    unsigned minute = (text.at[3] - '0') * 10u + (text.at[4] - '0');
    if (minute > 59 || hour > 24 || (hour == 24 && (minute > 0 || !end)))
        return false;
    *ret = hour * 60 + minute;
    return true;
}

static enum neo_code check_time(const void *value, struct neo_error *err)
{
    struct neo_bytes text = *(const struct neo_bytes *)value;
    unsigned unused;

    if (document_parse_time(text, false, &unused))
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT, "\"%.*s\" is no time; write \"HH:MM\" in UTC",
                    NEO_FMT(text));
}

/* Of `struct when`: also works out what `hours` means. */
static bool parse_hours(struct neo_bytes text, unsigned *ret_from, unsigned *ret_to)
{
    return text.len == 11 && text.at[5] == '-' &&
           document_parse_time(neo_bytes(text.at, 5), false, ret_from) &&
           document_parse_time(neo_bytes_from(text, 6), true, ret_to) && *ret_from != *ret_to;
}

static enum neo_code check_hours(const void *value, struct neo_error *err)
{
    struct neo_bytes text = *(const struct neo_bytes *)value;
    unsigned from, to;

    if (parse_hours(text, &from, &to))
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "\"%.*s\" is no span of hours; write \"HH:MM-HH:MM\" in UTC", NEO_FMT(text));
}

/* As on the wire, so that a rule cannot wait for what no header is called. */
static bool is_metadata_key(struct neo_bytes key)
{
    for (size_t i = 0; i < key.len; i++) {
        uint8_t c = key.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return !(key.len >= 4 && neo_bytes_is(neo_bytes_from(key, key.len - 4), "-bin"));
}

/* clang-format off */
#define TEXT(type, member, ...) \
    {.key = #member, .kind = NEO_YAML_TEXT, .offset = offsetof(struct type, member), __VA_ARGS__}
#define LIST(type, name, member, of, row, ...) \
    {.key = name, .kind = NEO_YAML_LIST, .offset = offsetof(struct type, member), \
     .size = sizeof(of), .element = &(row), __VA_ARGS__}
#define OWN .place = offsetof(struct document, own) + 1
#define OTHER(name) \
    {.key = name, .kind = NEO_YAML_ANY, .place = offsetof(struct document, other) + 1}

static const struct neo_yaml_field value_row = {.kind = NEO_YAML_TEXT};
static const struct neo_yaml_field name_row = {.kind = NEO_YAML_TEXT, .check = check_name};
static const struct neo_yaml_field role_row = {
    .kind = NEO_YAML_TEXT, .place = offsetof(struct operation, place) + 1, .check = check_name};
static const struct neo_yaml_field operation_row = {
    .kind = NEO_YAML_TEXT, .place = offsetof(struct operation, place) + 1,
    .check = check_operation};
static const struct neo_yaml_field values_row = {
    .kind = NEO_YAML_LIST, .offset = offsetof(struct metadata, values),
    .size = sizeof(struct neo_bytes), .element = &value_row, .check = check_some};
static const struct neo_yaml_field when_fields[] = {
    {.key = "attested", .kind = NEO_YAML_BOOL, .offset = offsetof(struct when, attested),
     .place = offsetof(struct when, attested_place) + 1},
    TEXT(when, hours, .check = check_hours),
    {.key = "metadata", .kind = NEO_YAML_MAP, .offset = offsetof(struct when, metadata),
     .size = sizeof(struct metadata), .element = &values_row, .check = check_some},
    LIST(when, "on_behalf_of", on_behalf_of, struct neo_bytes, name_row, .check = check_some),
    {0},
};
static const struct neo_yaml_field rule_fields[] = {
    {.key = "target_service", .kind = NEO_YAML_TEXT, .offset = offsetof(struct rule, target),
     .required = true, .check = check_target},
    LIST(rule, "operations", operations, struct operation, operation_row, .required = true,
         .check = check_some),
    {.key = "when", .kind = NEO_YAML_STRUCT, .offset = offsetof(struct rule, when),
     .fields = when_fields},
    {0},
};
static const struct neo_yaml_field rule_row = {
    .kind = NEO_YAML_STRUCT, .fields = rule_fields, .place = offsetof(struct rule, place) + 1};
static const struct neo_yaml_field test_metadata_row = {
    .kind = NEO_YAML_TEXT, .offset = offsetof(struct test_metadata, value)};
static const struct neo_yaml_field test_fields[] = {
    TEXT(test, from, .required = true, .check = check_name),
    TEXT(test, to, .required = true, .check = check_name),
    TEXT(test, method, .required = true, .check = check_method),
    TEXT(test, expect, .required = true, .check = check_expect),
    TEXT(test, at, .check = check_time),
    TEXT(test, on_behalf_of, .check = check_name),
    {.key = "attested", .kind = NEO_YAML_BOOL, .offset = offsetof(struct test, attested)},
    {.key = "metadata", .kind = NEO_YAML_MAP, .offset = offsetof(struct test, metadata),
     .size = sizeof(struct test_metadata), .element = &test_metadata_row},
    {0},
};
static const struct neo_yaml_field test_row = {
    .kind = NEO_YAML_STRUCT, .fields = test_fields, .place = offsetof(struct test, place) + 1};
static const struct neo_yaml_field document_fields[] = {
    TEXT(document, service, OWN, .check = check_caller),
    TEXT(document, role, OWN, .check = check_name),
    TEXT(document, mode, OWN, .check = check_mode),
    LIST(document, "roles", roles, struct operation, role_row, OWN),
    LIST(document, "allowed_calls", allowed, struct rule, rule_row, OWN),
    LIST(document, "denied_calls", denied, struct rule, rule_row, OWN),
    LIST(document, "tests", tests, struct test, test_row, OWN),
    OTHER("rate_limits"),
    OTHER("attestation_policies"), OTHER("measurement_rollouts"),
    OTHER("service_config"),
    {0},
};
/* clang-format on */

static enum neo_code check_metadata(const struct when *when, bool denies, struct neo_error *err)
{
    const struct metadata *entries = when->metadata.at;

    for (size_t i = 0; i < when->metadata.len; i++) {
        if (!is_metadata_key(entries[i].key))
            return neo_fail_at(err, NEO_INVALID_ARGUMENT, entries[i].place,
                               "\"%.*s\" is no metadata key to decide by; write a-z 0-9 - _ . "
                               "and not -bin",
                               NEO_FMT(entries[i].key));
        /* The caller writes its metadata, and would simply write something else. */
        if (denies)
            return neo_fail_at(err, NEO_INVALID_ARGUMENT, entries[i].place,
                               "a denial by metadata can be dodged by the caller; allow by "
                               "metadata instead");
    }
    return NEO_OK;
}

static enum neo_code finish_rule(struct rule *rule, bool denies, struct neo_error *err)
{
    struct when *when = &rule->when;
    bool asks_attested = when->attested_place.file != NULL;

    rule->denies = denies;
    if (when->hours.len > 0)
        (void)parse_hours(when->hours, &when->from, &when->to); /* checked while it was read */
    when->is_asked = asks_attested || when->hours.len > 0 || when->metadata.len > 0 ||
                     when->on_behalf_of.len > 0;
    if (asks_attested && when->attested == denies)
        return neo_fail_at(err, NEO_INVALID_ARGUMENT, when->attested_place,
                           denies ? "a denial to attested callers only protects nothing; write "
                                    "\"attested: false\" or remove it"
                                  : "an allowance to unattested callers only protects nothing; "
                                    "write \"attested: true\" or remove it");
    return check_metadata(when, denies, err);
}

static enum neo_code finish_rules(struct documents *all, const struct document *d,
                                  struct neo_error *err)
{
    struct rule *allowed = d->allowed.at;
    struct rule *denied = d->denied.at;

    all->rules += d->allowed.len + d->denied.len;
    if (all->rules > MOST_RULES)
        return neo_fail_at(err, NEO_INVALID_ARGUMENT, d->own,
                           "more than %d rules in one file; split it", MOST_RULES);
    for (size_t i = 0; i < d->allowed.len; i++)
        NEO_TRY(finish_rule(&allowed[i], false, err));
    for (size_t i = 0; i < d->denied.len; i++)
        NEO_TRY(finish_rule(&denied[i], true, err));
    return NEO_OK;
}

static enum neo_code check_roles(const struct document *d, struct neo_error *err)
{
    const struct operation *roles = d->roles.at;

    if (d->roles.len > MOST_ROLES)
        return neo_fail_at(err, NEO_INVALID_ARGUMENT, roles[MOST_ROLES].place,
                           "%zu roles; at most %d for one service", d->roles.len, MOST_ROLES);
    for (size_t i = 0; i < d->roles.len; i++)
        for (size_t j = 0; j < i; j++)
            if (neo_bytes_equal(roles[i].text, roles[j].text))
                return neo_fail_at(err, NEO_INVALID_ARGUMENT, roles[i].place,
                                   "role \"%.*s\" is given twice; keep one",
                                   NEO_FMT(roles[i].text));
    return NEO_OK;
}

static enum neo_code check_kind(const struct document *d, struct neo_place place,
                                struct neo_error *err)
{
    if (d->service.len > 0 && d->role.len > 0)
        return neo_fail_at(err, NEO_INVALID_ARGUMENT, place,
                           "a document is of a service or of a role; split it in two");
    if (d->service.len == 0 && d->role.len == 0)
        return neo_fail_at(err, NEO_INVALID_ARGUMENT, place,
                           "\"service\" is missing; say whose calls these are");
    if (d->role.len > 0 && (d->mode.len > 0 || d->roles.len > 0))
        return neo_fail_at(err, NEO_INVALID_ARGUMENT, place,
                           "a role has no \"mode\" and no \"roles\"; move them to its services");
    if (neo_bytes_is(d->service, "anonymous") && neo_bytes_is(d->mode, "shadow"))
        return neo_fail_at(err, NEO_INVALID_ARGUMENT, place,
                           "\"anonymous\" has no \"mode: shadow\"; it would let everybody in");
    if (d->roles.len > 0 &&
        (neo_bytes_is(d->service, "*") || neo_bytes_is(d->service, "anonymous")))
        return neo_fail_at(err, NEO_INVALID_ARGUMENT, place,
                           "\"%.*s\" has no \"roles\"; write the rules here", NEO_FMT(d->service));
    return NEO_OK;
}

static enum neo_code add_document(void *self, void *document, struct neo_place place,
                                  struct neo_error *err)
{
    struct documents *all = self;
    struct document *d = document;

    if (d->other.file != NULL) {
        if (d->own.file != NULL)
            return neo_fail_at(err, NEO_INVALID_ARGUMENT, d->other,
                               "this key is of another kind of document; put \"---\" between the "
                               "two");
        return NEO_OK;
    }
    NEO_TRY(check_kind(d, place, err));
    NEO_TRY(check_roles(d, err));
    NEO_TRY(finish_rules(all, d, err));
    d->place = place;
    *all->end = d;
    all->end = &d->next;
    return NEO_OK;
}

enum neo_code document_read_all(struct neo_bytes text, const char *file, struct neo_arena *arena,
                                struct documents *ret, struct neo_error *err)
{
    ret->rules = 0;
    return neo_yaml_read(text, file, document_fields, sizeof(struct document), arena, add_document,
                         ret, err);
}
