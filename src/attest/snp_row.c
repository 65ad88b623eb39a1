/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the file to a rule.
 *
 * Deny by default: what a row leaves out has the strict value (VMPL 0, version 3,
 * VCEK, no CXL, alias check done, firmware committed), or asks nothing where only
 * the operator can know (chip ids, products). The code's identity, `measurement`,
 * must be given.
 */
#include "attest/snp_rule.h"

#include <neo/encoding.h>

#include <inttypes.h>

enum { DEFAULT_MIN_VERSION = 3 };

static enum neo_code check_forbidden(const struct row_text *word, const char *key,
                                     struct neo_error *err)
{
    if (row_gives(word->place) && !neo_bytes_is(word->text, "forbid"))
        return row_refuse(word->place, "\"%s\" can only be forbid: it can never be allowed", key);
    return NEO_OK;
}

static enum neo_code read_bits(const struct snp_row *row, struct snp_rule *rule,
                               struct neo_error *err)
{
    NEO_TRY(check_forbidden(&row->policy.debug, "debug", err));
    NEO_TRY(check_forbidden(&row->policy.migrate_ma, "migrate_ma", err));
    rule->policy_clear = SNP_POLICY_CXL;
    rule->platform_set = SNP_PLATFORM_ALIAS_CHECK;
#define X(name, key)                                                                               \
    NEO_TRY(row_read_bit(&row->policy.bits[SNP_POLICY_KEY_##name], SNP_POLICY_##name,              \
                         &rule->policy_set, &rule->policy_clear, err));
    SNP_POLICY_BITS(X)
#undef X
#define X(name, key)                                                                               \
    NEO_TRY(row_read_bit(&row->platform[SNP_PLATFORM_KEY_##name], SNP_PLATFORM_##name,             \
                         &rule->platform_set, &rule->platform_clear, err));
    SNP_PLATFORM_BITS(X)
#undef X
    return NEO_OK;
}

static enum neo_code read_products(const struct snp_row *row, struct snp_rule *rule,
                                   struct neo_error *err)
{
    const struct row_text *names = row->products.items.at;

    NEO_TRY(row_check_not_empty(&row->products, "products", err));
    if (row->products.items.len == 0)
        rule->products = (1u << SNP_PRODUCTS) - 1;
    for (size_t i = 0; i < row->products.items.len; i++) {
        const struct snp_product *product = snp_product_named(names[i].text);
        if (product == NULL)
            return row_refuse(names[i].place,
                              "unknown product \"%.*s\"; known: Milan, Genoa, Turin",
                              NEO_FMT(names[i].text));
        rule->products |= 1u << (product - snp_products);
    }
    return NEO_OK;
}

static enum neo_code read_veks(const struct attest_row *whole, struct neo_arena *arena,
                               struct snp_rule *rule, struct neo_error *err)
{
    const struct snp_row *row = &whole->snp;
    const struct row_text *names = row->vek.items.at;
    const struct row_text *ids = row->csp_id.items.at;

    NEO_TRY(row_check_not_empty(&row->vek, "vek", err));
    NEO_TRY(row_check_not_empty(&row->csp_id, "csp_id", err));
    if (row->vek.items.len == 0)
        rule->veks = 1u << SNP_VCEK;
    for (size_t i = 0; i < row->vek.items.len; i++) {
        if (neo_bytes_is(names[i].text, "vcek"))
            rule->veks |= 1u << SNP_VCEK;
        else if (neo_bytes_is(names[i].text, "vlek"))
            rule->veks |= 1u << SNP_VLEK;
        else
            return row_refuse(names[i].place, "\"%.*s\" must be vcek or vlek",
                              NEO_FMT(names[i].text));
    }
    bool allows_vlek = (rule->veks & 1u << SNP_VLEK) != 0;
    if (allows_vlek != (row->csp_id.items.len > 0))
        return row_refuse(
            whole->place,
            "vlek and csp_id belong together: say whose keys, and that they may sign");
    struct neo_bytes *copies = neo_arena_calloc(arena, row->csp_id.items.len, sizeof(*copies));
    for (size_t i = 0; copies != NULL && i < row->csp_id.items.len; i++)
        copies[i] = neo_arena_copy(arena, ids[i].text);
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for \"csp_id\"");
    rule->csp_ids = copies;
    rule->n_csp_ids = row->csp_id.items.len;
    return NEO_OK;
}

static enum neo_code read_min_tcb(const struct snp_row *row, struct snp_rule *rule,
                                  struct neo_error *err)
{
    const struct snp_product *turin = snp_product_named(NEO_LIT("Turin"));

    for (size_t i = 0; i < SNP_COMPONENTS; i++) {
        if (row->min_tcb[i] > UINT8_MAX)
            return row_refuse(row->min_tcb_place, "a TCB component is at most 255");
        rule->min_tcb[i] = (uint8_t)row->min_tcb[i];
    }
    if (row->min_tcb[SNP_FMC] > 0 && rule->products != 1u << (turin - snp_products))
        return row_refuse(row->min_tcb_place,
                          "only Turin has an fmc; give it a row with `products: [Turin]`");
    return NEO_OK;
}

/* A number in front, without sign or leading zeros; false: none, or beyond `max`. */
static bool take_number(struct neo_bytes *text, uint64_t base, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    size_t n = 0;

    for (; n < text->len; n++) {
        uint8_t c = text->at[n];
        uint64_t digit = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10)
                                                : base;
        if (digit >= base)
            break;
        if (value > (max - digit) / base)
            return false;
        value = value * base + digit;
    }
    *text = neo_bytes_from(*text, n);
    *ret = value;
    return n > 0;
}

/* "1.55.38": major, minor, build. */
static enum neo_code read_firmware(const struct row_text *version, uint8_t ret[static 3],
                                   struct neo_error *err)
{
    struct neo_bytes rest = version->text;

    if (!row_gives(version->place))
        return NEO_OK;
    for (size_t i = 0; i < 3; i++) {
        uint64_t part;
        bool has_dot = i == 0 || (rest.len > 0 && rest.at[0] == '.');
        if (i > 0)
            rest = neo_bytes_from(rest, 1);
        if (!has_dot || !take_number(&rest, 10, UINT8_MAX, &part))
            return row_refuse(version->place, "\"min_firmware\" must look like 1.55.38");
        ret[i] = (uint8_t)part;
    }
    if (rest.len > 0)
        return row_refuse(version->place, "\"min_firmware\" must look like 1.55.38");
    return NEO_OK;
}

static enum neo_code read_mitigations(const struct row_text *vector, uint64_t *ret,
                                      struct neo_error *err)
{
    struct neo_bytes rest = neo_bytes_from(vector->text, 2);

    if (!row_gives(vector->place))
        return NEO_OK;
    if (!neo_bytes_starts(vector->text, NEO_LIT("0x")) ||
        !take_number(&rest, 16, UINT64_MAX, ret) || rest.len > 0)
        return row_refuse(vector->place, "\"min_mitigation_vector\" must look like 0x1f");
    return NEO_OK;
}

static enum neo_code read_scalars(const struct snp_row *row, struct snp_rule *rule,
                                  struct neo_error *err)
{
    rule->vmpl = row->vmpl.value;
    rule->min_guest_svn = row->min_guest_svn.value;
    rule->min_version = row_gives(row->min_report_version.place) ? row->min_report_version.value
                                                                 : DEFAULT_MIN_VERSION;
    if (rule->vmpl > 3)
        return row_refuse(row->vmpl.place, "\"vmpl\" is 0 to 3");
    if (rule->min_version < 2 || rule->min_version > 5)
        return row_refuse(row->min_report_version.place, "\"min_report_version\" is 2 to 5");
    rule->allow_provisional =
        row_gives(row->committed_equals_current_place) && !row->committed_equals_current;
    rule->allow_masked_chip = neo_bytes_is(row->masked_chip_id.text, "allow");
    if (row_gives(row->masked_chip_id.place) && !rule->allow_masked_chip &&
        !neo_bytes_is(row->masked_chip_id.text, "forbid"))
        return row_refuse(row->masked_chip_id.place, "\"masked_chip_id\" must be allow or forbid");
    NEO_TRY(read_firmware(&row->min_firmware, rule->min_firmware, err));
    return read_mitigations(&row->min_mitigation_vector, &rule->mitigations, err);
}

static enum neo_code read_lists(const struct snp_row *row, struct neo_arena *arena,
                                struct snp_rule *rule, struct neo_error *err)
{
    NEO_TRY(row_read_values(&row->measurement, "measurement", SNP_MEASUREMENT_LEN, 0, arena,
                            &rule->measurements, err));
    NEO_TRY(
        row_read_values(&row->id_key_digest, "id_key_digest", 48, 0, arena, &rule->id_keys, err));
    NEO_TRY(row_read_values(&row->author_key_digest, "author_key_digest", 48, 0, arena,
                            &rule->author_keys, err));
    NEO_TRY(row_read_values(&row->host_data, "host_data", 32, 0, arena, &rule->host_data, err));
    NEO_TRY(row_read_values(&row->family_id, "family_id", 16, 0, arena, &rule->family_ids, err));
    NEO_TRY(row_read_values(&row->image_id, "image_id", 16, 0, arena, &rule->image_ids, err));
    return row_read_values(&row->chip_id, "chip_id", SNP_CHIP_ID_LEN, 8, arena, &rule->chip_ids,
                           err);
}

enum neo_code snp_rule_compile(const struct attest_row *whole, struct neo_arena *arena,
                               const void **ret, struct neo_error *err)
{
    const struct snp_row *row = &whole->snp;
    struct snp_rule *rule = neo_arena_calloc(arena, 1, sizeof(*rule));

    if (rule == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a rule");
    if (!row_gives(row->measurement.place))
        return row_refuse(whole->place, "no code identity: any code would be accepted; add "
                                        "\"measurement\" with the allowed launch digests");
    NEO_TRY(read_lists(row, arena, rule, err));
    NEO_TRY(read_products(row, rule, err));
    NEO_TRY(read_veks(whole, arena, rule, err));
    NEO_TRY(read_bits(row, rule, err));
    NEO_TRY(read_min_tcb(row, rule, err));
    NEO_TRY(read_scalars(row, rule, err));
    *ret = rule;
    return NEO_OK;
}
