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

/* --- schema ----------------------------------------------------------------------------------- */

static const struct neo_yaml_field text_element = {
    .kind = NEO_YAML_TEXT,
    .offset = offsetof(struct snp_text, text),
    .place = offsetof(struct snp_text, place) + 1,
};

#define TEXT(name, type, member)                                                                   \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_TEXT, .offset = offsetof(type, member.text),               \
        .place = offsetof(type, member.place) + 1                                                  \
    }
#define LIST(name)                                                                                 \
    {                                                                                              \
        .key = #name, .kind = NEO_YAML_LIST, .offset = offsetof(struct snp_row, name.items),       \
        .size = sizeof(struct snp_text), .element = &text_element,                                 \
        .place = offsetof(struct snp_row, name.place) + 1                                          \
    }

static const struct neo_yaml_field policy_fields[] = {
#define X(name, key) TEXT(key, struct snp_policy_keys, bits[SNP_POLICY_KEY_##name]),
    SNP_POLICY_BITS(X)
#undef X
        TEXT("migrate_ma", struct snp_policy_keys, migrate_ma),
    TEXT("debug", struct snp_policy_keys, debug),
    {0},
};

static const struct neo_yaml_field platform_fields[] = {
#define X(name, word)                                                                              \
    {.key = (word),                                                                                \
     .kind = NEO_YAML_TEXT,                                                                        \
     .offset = SNP_PLATFORM_KEY_##name * sizeof(struct snp_text),                                  \
     .place = SNP_PLATFORM_KEY_##name * sizeof(struct snp_text) +                                  \
              offsetof(struct snp_text, place) + 1},
    SNP_PLATFORM_BITS(X)
#undef X
        {0},
};

#define COMPONENT(name, component)                                                                 \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_U32, .offset = (component) * sizeof(uint32_t)              \
    }
static const struct neo_yaml_field min_tcb_fields[] = {
    COMPONENT("fmc", SNP_FMC), COMPONENT("bootloader", SNP_BOOTLOADER), COMPONENT("tee", SNP_TEE),
    COMPONENT("snp", SNP_SNP), COMPONENT("microcode", SNP_MICROCODE),   {0},
};

static enum neo_code check_tee(const void *value, struct neo_error *err)
{
    const struct neo_bytes *tee = value;
    static const char *const others[] = {"tdx", "sgx", "nitro", "tpm", "arm-cca"};

    if (neo_bytes_is(*tee, "sev-snp"))
        return NEO_OK;
    for (size_t i = 0; i < NEO_COUNT(others); i++) {
        if (neo_bytes_is(*tee, others[i]))
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "tee \"%s\" is not supported by this build; supported: sev-snp",
                            others[i]);
    }
    return neo_fail(err, NEO_INVALID_ARGUMENT, "unknown tee \"%.*s\"; supported: sev-snp",
                    NEO_FMT(*tee));
}

/* Keys of other tees are known, so that such a row is refused for its tee and not for its keys. */
#define FOREIGN(name)                                                                              \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_ANY, .place = offsetof(struct snp_row, foreign) + 1        \
    }

const struct neo_yaml_field snp_row_fields[] = {
    {.key = "tee",
     .kind = NEO_YAML_TEXT,
     .offset = offsetof(struct snp_row, tee),
     .required = true,
     .place = offsetof(struct snp_row, place) + 1,
     .check = check_tee},
    LIST(measurement),
    LIST(products),
    LIST(vek),
    LIST(csp_id),
    LIST(chip_id),
    LIST(id_key_digest),
    LIST(author_key_digest),
    LIST(host_data),
    LIST(family_id),
    LIST(image_id),
    {.key = "policy",
     .kind = NEO_YAML_STRUCT,
     .offset = offsetof(struct snp_row, policy),
     .fields = policy_fields},
    {.key = "platform",
     .kind = NEO_YAML_STRUCT,
     .offset = offsetof(struct snp_row, platform),
     .fields = platform_fields},
    TEXT("masked_chip_id", struct snp_row, masked_chip_id),
    TEXT("min_firmware", struct snp_row, min_firmware),
    TEXT("min_mitigation_vector", struct snp_row, min_mitigation_vector),
    {.key = "min_tcb",
     .kind = NEO_YAML_STRUCT,
     .offset = offsetof(struct snp_row, min_tcb),
     .fields = min_tcb_fields,
     .place = offsetof(struct snp_row, min_tcb_place) + 1},
    {.key = "min_report_version",
     .kind = NEO_YAML_U32,
     .offset = offsetof(struct snp_row, min_report_version),
     .place = offsetof(struct snp_row, min_report_version_place) + 1},
    {.key = "vmpl",
     .kind = NEO_YAML_U32,
     .offset = offsetof(struct snp_row, vmpl),
     .place = offsetof(struct snp_row, vmpl_place) + 1},
    {.key = "min_guest_svn",
     .kind = NEO_YAML_U32,
     .offset = offsetof(struct snp_row, min_guest_svn)},
    {.key = "committed_equals_current",
     .kind = NEO_YAML_BOOL,
     .offset = offsetof(struct snp_row, committed_equals_current),
     .place = offsetof(struct snp_row, committed_equals_current_place) + 1},
    FOREIGN("mrtd"),
    FOREIGN("rtmr"),
    FOREIGN("mrseam"),
    FOREIGN("mrconfigid"),
    FOREIGN("mrowner"),
    FOREIGN("mrownerconfig"),
    FOREIGN("mrservicetd"),
    FOREIGN("td_attributes"),
    FOREIGN("xfam"),
    FOREIGN("tcb"),
    FOREIGN("pck"),
    FOREIGN("mrenclave"),
    FOREIGN("mrsigner"),
    FOREIGN("isvprodid"),
    FOREIGN("min_isvsvn"),
    FOREIGN("pcr"),
    FOREIGN("pcr_sha256"),
    FOREIGN("ak"),
    FOREIGN("rim"),
    FOREIGN("rem"),
    FOREIGN("rpv"),
    FOREIGN("implementation_id"),
    FOREIGN("lifecycle"),
    {0},
};

/* --- values ----------------------------------------------------------------------------------- */

static bool is_given(struct neo_place place)
{
    return place.file != NULL;
}

#define refuse(place, ...) neo_fail_at(err, NEO_INVALID_ARGUMENT, (place), __VA_ARGS__)

/* An empty list would read as "nothing is allowed" and act as "not asked for". */
static enum neo_code check_not_empty(const struct snp_list *list, const char *key,
                                     struct neo_error *err)
{
    if (is_given(list->place) && list->items.len == 0)
        return refuse(list->place, "\"%s\" is empty; give values or remove the key", key);
    return NEO_OK;
}

/*
 * Hexadecimal values into `to`, `stride` bytes each; shorter ones of `short_len` bytes (0: none)
 * are padded with zeros.
 */
static enum neo_code read_hex(const struct snp_text *text, const char *key, size_t len,
                              size_t short_len, uint8_t *to, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};

    if (neo_hex_decode(text->text, &raw, NULL) != NEO_OK ||
        (raw.len != len && (short_len == 0 || raw.len != short_len)))
        return refuse(text->place, "\"%s\" must be %zu bytes, %zu hex digits", key, len, 2 * len);
    memset(to, 0, len);
    memcpy(to, raw.at, raw.len);
    return NEO_OK;
}

static enum neo_code read_values(const struct snp_list *list, const char *key, size_t len,
                                 size_t short_len, struct neo_arena *arena, struct snp_values *ret,
                                 struct neo_error *err)
{
    const struct snp_text *texts = list->items.at;

    NEO_TRY(check_not_empty(list, key, err));
    uint8_t *at = neo_arena_calloc(arena, list->items.len, len);
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for \"%s\"", key);
    for (size_t i = 0; i < list->items.len; i++)
        NEO_TRY(read_hex(&texts[i], key, len, short_len, at + i * len, err));
    *ret = (struct snp_values){.at = at, .n = list->items.len};
    return NEO_OK;
}

/* require, forbid, any; not given: as it was. */
static enum neo_code read_bit(const struct snp_text *word, uint64_t bit, uint64_t *set,
                              uint64_t *clear, struct neo_error *err)
{
    if (!is_given(word->place))
        return NEO_OK;
    *set &= ~bit;
    *clear &= ~bit;
    if (neo_bytes_is(word->text, "require"))
        *set |= bit;
    else if (neo_bytes_is(word->text, "forbid"))
        *clear |= bit;
    else if (!neo_bytes_is(word->text, "any"))
        return refuse(word->place, "\"%.*s\" must be require, forbid or any", NEO_FMT(word->text));
    return NEO_OK;
}

static enum neo_code check_forbidden(const struct snp_text *word, const char *key,
                                     struct neo_error *err)
{
    if (is_given(word->place) && !neo_bytes_is(word->text, "forbid"))
        return refuse(word->place, "\"%s\" can only be forbid: it can never be allowed", key);
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
    NEO_TRY(read_bit(&row->policy.bits[SNP_POLICY_KEY_##name], SNP_POLICY_##name,                  \
                     &rule->policy_set, &rule->policy_clear, err));
    SNP_POLICY_BITS(X)
#undef X
#define X(name, key)                                                                               \
    NEO_TRY(read_bit(&row->platform[SNP_PLATFORM_KEY_##name], SNP_PLATFORM_##name,                 \
                     &rule->platform_set, &rule->platform_clear, err));
    SNP_PLATFORM_BITS(X)
#undef X
    return NEO_OK;
}

static enum neo_code read_products(const struct snp_row *row, struct snp_rule *rule,
                                   struct neo_error *err)
{
    const struct snp_text *names = row->products.items.at;

    NEO_TRY(check_not_empty(&row->products, "products", err));
    if (row->products.items.len == 0)
        rule->products = (1u << SNP_PRODUCTS) - 1;
    for (size_t i = 0; i < row->products.items.len; i++) {
        const struct snp_product *product = snp_product_named(names[i].text);
        if (product == NULL)
            return refuse(names[i].place, "unknown product \"%.*s\"; known: Milan, Genoa, Turin",
                          NEO_FMT(names[i].text));
        rule->products |= 1u << (product - snp_products);
    }
    return NEO_OK;
}

static enum neo_code read_veks(const struct snp_row *row, struct neo_arena *arena,
                               struct snp_rule *rule, struct neo_error *err)
{
    const struct snp_text *names = row->vek.items.at;
    const struct snp_text *ids = row->csp_id.items.at;

    NEO_TRY(check_not_empty(&row->vek, "vek", err));
    NEO_TRY(check_not_empty(&row->csp_id, "csp_id", err));
    if (row->vek.items.len == 0)
        rule->veks = 1u << SNP_VCEK;
    for (size_t i = 0; i < row->vek.items.len; i++) {
        if (neo_bytes_is(names[i].text, "vcek"))
            rule->veks |= 1u << SNP_VCEK;
        else if (neo_bytes_is(names[i].text, "vlek"))
            rule->veks |= 1u << SNP_VLEK;
        else
            return refuse(names[i].place, "\"%.*s\" must be vcek or vlek", NEO_FMT(names[i].text));
    }
    bool allows_vlek = (rule->veks & 1u << SNP_VLEK) != 0;
    if (allows_vlek != (row->csp_id.items.len > 0))
        return refuse(row->place,
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
            return refuse(row->min_tcb_place, "a TCB component is at most 255");
        rule->min_tcb[i] = (uint8_t)row->min_tcb[i];
    }
    if (row->min_tcb[SNP_FMC] > 0 && rule->products != 1u << (turin - snp_products))
        return refuse(row->min_tcb_place,
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
static enum neo_code read_firmware(const struct snp_text *version, uint8_t ret[static 3],
                                   struct neo_error *err)
{
    struct neo_bytes rest = version->text;

    if (!is_given(version->place))
        return NEO_OK;
    for (size_t i = 0; i < 3; i++) {
        uint64_t part;
        bool has_dot = i == 0 || (rest.len > 0 && rest.at[0] == '.');
        if (i > 0)
            rest = neo_bytes_from(rest, 1);
        if (!has_dot || !take_number(&rest, 10, UINT8_MAX, &part))
            return refuse(version->place, "\"min_firmware\" must look like 1.55.38");
        ret[i] = (uint8_t)part;
    }
    if (rest.len > 0)
        return refuse(version->place, "\"min_firmware\" must look like 1.55.38");
    return NEO_OK;
}

static enum neo_code read_mitigations(const struct snp_text *vector, uint64_t *ret,
                                      struct neo_error *err)
{
    struct neo_bytes rest = neo_bytes_from(vector->text, 2);

    if (!is_given(vector->place))
        return NEO_OK;
    if (!neo_bytes_starts(vector->text, NEO_LIT("0x")) ||
        !take_number(&rest, 16, UINT64_MAX, ret) || rest.len > 0)
        return refuse(vector->place, "\"min_mitigation_vector\" must look like 0x1f");
    return NEO_OK;
}

static enum neo_code read_scalars(const struct snp_row *row, struct snp_rule *rule,
                                  struct neo_error *err)
{
    rule->place = row->place;
    rule->vmpl = row->vmpl;
    rule->min_guest_svn = row->min_guest_svn;
    rule->min_version =
        is_given(row->min_report_version_place) ? row->min_report_version : DEFAULT_MIN_VERSION;
    if (rule->vmpl > 3)
        return refuse(row->vmpl_place, "\"vmpl\" is 0 to 3");
    if (rule->min_version < 2 || rule->min_version > 5)
        return refuse(row->min_report_version_place, "\"min_report_version\" is 2 to 5");
    rule->allow_provisional =
        is_given(row->committed_equals_current_place) && !row->committed_equals_current;
    rule->allow_masked_chip = neo_bytes_is(row->masked_chip_id.text, "allow");
    if (is_given(row->masked_chip_id.place) && !rule->allow_masked_chip &&
        !neo_bytes_is(row->masked_chip_id.text, "forbid"))
        return refuse(row->masked_chip_id.place, "\"masked_chip_id\" must be allow or forbid");
    NEO_TRY(read_firmware(&row->min_firmware, rule->min_firmware, err));
    return read_mitigations(&row->min_mitigation_vector, &rule->mitigations, err);
}

static enum neo_code read_lists(const struct snp_row *row, struct neo_arena *arena,
                                struct snp_rule *rule, struct neo_error *err)
{
    NEO_TRY(read_values(&row->measurement, "measurement", SNP_MEASUREMENT_LEN, 0, arena,
                        &rule->measurements, err));
    NEO_TRY(read_values(&row->id_key_digest, "id_key_digest", 48, 0, arena, &rule->id_keys, err));
    NEO_TRY(read_values(&row->author_key_digest, "author_key_digest", 48, 0, arena,
                        &rule->author_keys, err));
    NEO_TRY(read_values(&row->host_data, "host_data", 32, 0, arena, &rule->host_data, err));
    NEO_TRY(read_values(&row->family_id, "family_id", 16, 0, arena, &rule->family_ids, err));
    NEO_TRY(read_values(&row->image_id, "image_id", 16, 0, arena, &rule->image_ids, err));
    return read_values(&row->chip_id, "chip_id", SNP_CHIP_ID_LEN, 8, arena, &rule->chip_ids, err);
}

enum neo_code snp_rule_compile(const struct snp_row *row, struct neo_arena *arena,
                               struct snp_rule *ret, struct neo_error *err)
{
    struct snp_rule rule = {0};

    if (is_given(row->foreign))
        return refuse(row->foreign, "this key does not belong to tee sev-snp; remove it");
    if (!is_given(row->measurement.place))
        return refuse(row->place, "no code identity: any code would be accepted; add "
                                  "\"measurement\" with the allowed launch digests");
    NEO_TRY(read_lists(row, arena, &rule, err));
    NEO_TRY(read_products(row, &rule, err));
    NEO_TRY(read_veks(row, arena, &rule, err));
    NEO_TRY(read_bits(row, &rule, err));
    NEO_TRY(read_min_tcb(row, &rule, err));
    NEO_TRY(read_scalars(row, &rule, err));
    *ret = rule;
    return NEO_OK;
}
