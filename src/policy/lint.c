/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What loads, but is probably not meant: too wide, without effect, or said twice.
 * In the order of the files, so that the same policy gives the same text.
 */
#include "policy/index.h"

#include <stdarg.h>
#include <stdio.h>

NEO_PRINTF(3, 4)
static void warn(struct neo_buffer *out, struct neo_place place, const char *format, ...)
{
    struct neo_error line = {0};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line.message, sizeof(line.message), format, args);
    va_end(args);
    neo_buffer_printf(out, "%s:%u:%u: %s\n", place.file, place.line, place.column, line.message);
}

static void lint_principal(const struct principal *p, struct neo_buffer *out)
{
    if (neo_bytes_is(p->name, "*"))
        warn(out, p->place, "applies to every authenticated service; name the services instead");
    if (neo_bytes_is(p->name, "anonymous") && !p->is_role)
        warn(out, p->place, "applies to peers without any certificate");
    if (p->is_shadow)
        warn(out, p->place, "mode is shadow: denials of \"%.*s\" are let through",
             NEO_FMT(p->name));
    if (p->is_role && !p->is_used)
        warn(out, p->place, "no service has the role \"%.*s\"", NEO_FMT(p->name));
}

static void lint_roles(const struct neo_policy *policy, const struct document *d,
                       struct neo_buffer *out)
{
    const struct operation *roles = d->roles.at;

    for (size_t i = 0; i < d->roles.len; i++)
        if (map_get(&policy->roles, roles[i].text) == NULL)
            warn(out, roles[i].place, "role \"%.*s\" has no document, so it gives nothing",
                 NEO_FMT(roles[i].text));
}

/* Whether `wide` decides everything that `narrow` is about, so that `narrow` never counts. */
static bool makes_useless(const struct op *wide, const struct op *narrow)
{
    if (wide == narrow || wide->has_when)
        return false;
    if (!wide->denies && narrow->denies)
        return false;
    if (!pattern_covers(&wide->pattern, &narrow->pattern))
        return false;
    /* Of two equals one is of use: the first. */
    bool equal = wide->denies == narrow->denies && !narrow->has_when &&
                 pattern_covers(&narrow->pattern, &wide->pattern);
    return !equal || wide->order < narrow->order;
}

static const struct op *find_wider(const struct block *block, const struct op *op)
{
    if (!op->pattern.is_prefix)
        for (size_t i = index_lower_bound(block, op->pattern.method); i < block->n_named; i++) {
            if (!neo_bytes_equal(block->named[i].pattern.method, op->pattern.method))
                break;
            if (makes_useless(&block->named[i], op))
                return &block->named[i];
        }
    for (size_t i = 0; i < block->n_prefixes; i++)
        if (makes_useless(&block->prefixes[i], op))
            return &block->prefixes[i];
    return NULL;
}

static void lint_op(const struct block *block, const struct op *op, struct neo_buffer *out)
{
    const struct op *wider = find_wider(block, op);

    if (op->rule->when.on_behalf_of.len > 0)
        warn(out, op->place,
             "never holds: nothing carries the chains yet that on_behalf_of asks for");
    if (wider != NULL)
        warn(out, op->place, "has no effect: %s:%u already %s it", wider->place.file,
             wider->place.line, wider->denies ? "denies" : "allows");
    else if (op->pattern.is_prefix && op->pattern.method.len == 0 && !op->denies)
        warn(out, op->place, "allows every operation of %.*s, those to come included; name them",
             NEO_FMT(block->target));
}

static void lint_block(const struct block *block, struct neo_buffer *out)
{
    if (neo_bytes_is(block->target, "*")) {
        const struct op *first = block->n_named > 0 ? block->named : block->prefixes;
        warn(out, first->rule->place, "applies to every service that can be called; name them");
    }
    for (size_t i = 0; i < block->n_named; i++)
        lint_op(block, &block->named[i], out);
    for (size_t i = 0; i < block->n_prefixes; i++)
        lint_op(block, &block->prefixes[i], out);
}

void neo_policy_lint(const struct neo_policy *policy, struct neo_buffer *out)
{
    for (const struct principal *p = policy->principals; p != NULL; p = p->next) {
        lint_principal(p, out);
        for (const struct block *block = p->blocks; block != NULL; block = block->next)
            lint_block(block, out);
    }
    for (const struct document *d = policy->documents.first; d != NULL; d = d->next)
        lint_roles(policy, d, out);
}
