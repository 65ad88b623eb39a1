/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/row.h"

#include "attest/family.h"

#include <neo/encoding.h>

/* --- schema ----------------------------------------------------------------------------------- */

static const struct neo_yaml_field text_element = {
    .kind = NEO_YAML_TEXT,
    .offset = offsetof(struct row_text, text),
    .place = offsetof(struct row_text, place) + 1,
};

static const struct neo_yaml_field entry_element = {
    .kind = NEO_YAML_TEXT,
    .offset = offsetof(struct row_entry, value),
};

#define TEXT(name, type, member)                                                                   \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_TEXT, .offset = offsetof(type, member.text),               \
        .place = offsetof(type, member.place) + 1                                                  \
    }
#define ROW_TEXT(name, member) TEXT(name, struct attest_row, member)
#define ROW_LIST(name, member)                                                                     \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_LIST, .offset = offsetof(struct attest_row, member.items), \
        .size = sizeof(struct row_text), .element = &text_element,                                 \
        .place = offsetof(struct attest_row, member.place) + 1                                     \
    }
#define ROW_MAP(name, member)                                                                      \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_MAP, .offset = offsetof(struct attest_row, member.items),  \
        .size = sizeof(struct row_entry), .element = &entry_element,                               \
        .place = offsetof(struct attest_row, member.place) + 1                                     \
    }
#define ROW_LISTS(name, member)                                                                    \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_MAP, .offset = offsetof(struct attest_row, member.items),  \
        .size = sizeof(struct row_lists_entry), .element = &lists_element,                         \
        .place = offsetof(struct attest_row, member.place) + 1                                     \
    }
#define ROW_NUMBER(name, member)                                                                   \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_U32, .offset = offsetof(struct attest_row, member.value),  \
        .place = offsetof(struct attest_row, member.place) + 1                                     \
    }
#define ROW_STRUCT(name, member, placed, table)                                                    \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_STRUCT, .offset = offsetof(struct attest_row, member),     \
        .fields = (table), .place = offsetof(struct attest_row, placed) + 1                        \
    }

static const struct neo_yaml_field snp_policy_fields[] = {
#define X(name, key) TEXT(key, struct snp_policy_keys, bits[SNP_POLICY_KEY_##name]),
    SNP_POLICY_BITS(X)
#undef X
        TEXT("migrate_ma", struct snp_policy_keys, migrate_ma),
    TEXT("debug", struct snp_policy_keys, debug),
    {0},
};

static const struct neo_yaml_field snp_platform_fields[] = {
#define X(name, word)                                                                              \
    {.key = (word),                                                                                \
     .kind = NEO_YAML_TEXT,                                                                        \
     .offset = SNP_PLATFORM_KEY_##name * sizeof(struct row_text),                                  \
     .place = SNP_PLATFORM_KEY_##name * sizeof(struct row_text) +                                  \
              offsetof(struct row_text, place) + 1},
    SNP_PLATFORM_BITS(X)
#undef X
        {0},
};

#define COMPONENT(name, component)                                                                 \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_U32, .offset = (component) * sizeof(uint32_t)              \
    }
static const struct neo_yaml_field snp_min_tcb_fields[] = {
    COMPONENT("fmc", SNP_FMC), COMPONENT("bootloader", SNP_BOOTLOADER), COMPONENT("tee", SNP_TEE),
    COMPONENT("snp", SNP_SNP), COMPONENT("microcode", SNP_MICROCODE),   {0},
};

#define LIST(name, type, member)                                                                   \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_LIST, .offset = offsetof(type, member.items),              \
        .size = sizeof(struct row_text), .element = &text_element,                                 \
        .place = offsetof(type, member.place) + 1                                                  \
    }

static const struct neo_yaml_field lists_element = {
    .kind = NEO_YAML_LIST,
    .offset = offsetof(struct row_lists_entry, items),
    .size = sizeof(struct row_text),
    .element = &text_element,
};

static const struct neo_yaml_field tcb_fields[] = {
    LIST("accept", struct tcb_row, accept),
    LIST("advisories", struct tcb_row, advisories),
    TEXT("min_date", struct tcb_row, min_date),
    {.key = "min_eval_number",
     .kind = NEO_YAML_U32,
     .offset = offsetof(struct tcb_row, min_eval_number.value),
     .place = offsetof(struct tcb_row, min_eval_number.place) + 1},
    {0},
};

static const struct neo_yaml_field pck_fields[] = {
    LIST("sgx_type", struct pck_row, sgx_type),
    LIST("platform_instance_id", struct pck_row, platform_instance_id),
    LIST("ppid", struct pck_row, ppid),
    LIST("fmspc", struct pck_row, fmspc),
    {0},
};

static const struct neo_yaml_field ak_fields[] = {
    LIST("names", struct ak_row, names),
    LIST("spki", struct ak_row, spki),
    LIST("ca", struct ak_row, ca),
    LIST("usage", struct ak_row, usage),
    {0},
};

static const struct neo_yaml_field masked_fields[] = {
    TEXT("value", struct masked_row, value),
    TEXT("mask", struct masked_row, mask),
    {0},
};

static const struct neo_yaml_field vm_fields[] = {
#define X(name, member, word)                                                                      \
    {.key = (word),                                                                                \
     .kind = NEO_YAML_TEXT,                                                                        \
     .offset = AZURE_##name * sizeof(struct row_text),                                             \
     .place = AZURE_##name * sizeof(struct row_text) + offsetof(struct row_text, place) + 1},
    AZURE_VM_BITS(X)
#undef X
        {0},
};

static const char supported[] = "sev-snp, tdx, sgx, nitro, arm-cca, tpm, azure-snp, azure-tdx";

static enum neo_code check_tee(const void *value, struct neo_error *err)
{
    const struct neo_bytes *tee = value;

    if (attest_family_named(*tee) != NULL)
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT, "unknown tee \"%.*s\"; supported: %s", NEO_FMT(*tee),
                    supported);
}

const struct neo_yaml_field attest_row_fields[] = {
    {.key = "tee",
     .kind = NEO_YAML_TEXT,
     .offset = offsetof(struct attest_row, tee),
     .required = true,
     .place = offsetof(struct attest_row, place) + 1,
     .check = check_tee},
    ROW_LIST("measurement", snp.measurement),
    ROW_LIST("products", snp.products),
    ROW_LIST("vek", snp.vek),
    ROW_LIST("csp_id", snp.csp_id),
    ROW_LIST("chip_id", snp.chip_id),
    ROW_LIST("id_key_digest", snp.id_key_digest),
    ROW_LIST("author_key_digest", snp.author_key_digest),
    ROW_LIST("host_data", snp.host_data),
    ROW_LIST("family_id", snp.family_id),
    ROW_LIST("image_id", snp.image_id),
    ROW_STRUCT("policy", snp.policy, snp.policy_place, snp_policy_fields),
    ROW_STRUCT("platform", snp.platform, snp.platform_place, snp_platform_fields),
    ROW_TEXT("masked_chip_id", snp.masked_chip_id),
    ROW_TEXT("min_firmware", snp.min_firmware),
    ROW_TEXT("min_mitigation_vector", snp.min_mitigation_vector),
    ROW_STRUCT("min_tcb", snp.min_tcb, snp.min_tcb_place, snp_min_tcb_fields),
    ROW_NUMBER("min_report_version", snp.min_report_version),
    ROW_NUMBER("vmpl", snp.vmpl),
    ROW_NUMBER("min_guest_svn", snp.min_guest_svn),
    {.key = "committed_equals_current",
     .kind = NEO_YAML_BOOL,
     .offset = offsetof(struct attest_row, snp.committed_equals_current),
     .place = offsetof(struct attest_row, snp.committed_equals_current_place) + 1},
    ROW_MAP("pcr", nitro.pcr),
    ROW_STRUCT("tcb", intel.tcb, intel.tcb_place, tcb_fields),
    ROW_STRUCT("pck", intel.pck, intel.pck_place, pck_fields),
    ROW_LIST("mrenclave", sgx.mrenclave),
    ROW_LIST("mrsigner", sgx.mrsigner),
    ROW_NUMBER("isvprodid", sgx.isvprodid),
    ROW_NUMBER("min_isvsvn", sgx.min_isvsvn),
    ROW_LIST("mrtd", tdx.mrtd),
    ROW_LISTS("rtmr", tdx.rtmr),
    ROW_LIST("mrseam", tdx.mrseam),
    ROW_LIST("mrconfigid", tdx.mrconfigid),
    ROW_LIST("mrowner", tdx.mrowner),
    ROW_LIST("mrownerconfig", tdx.mrownerconfig),
    ROW_TEXT("mrservicetd", tdx.mrservicetd),
    ROW_STRUCT("td_attributes", tdx.td_attributes, tdx.td_attributes.place, masked_fields),
    ROW_STRUCT("xfam", tdx.xfam, tdx.xfam.place, masked_fields),
    ROW_LIST("rim", cca.rim),
    ROW_LISTS("rem", cca.rem),
    ROW_LIST("rpv", cca.rpv),
    ROW_LIST("implementation_id", cca.implementation_id),
    ROW_LIST("instance_id", cca.instance_id),
    ROW_TEXT("lifecycle", cca.lifecycle),
    ROW_LISTS("pcr_sha256", tpm.pcr_sha256),
    ROW_LISTS("pcr_sha384", tpm.pcr_sha384),
    ROW_LISTS("pcr_sha1", tpm.pcr_sha1),
    {.key = "accept_sha1",
     .kind = NEO_YAML_BOOL,
     .offset = offsetof(struct attest_row, tpm.accept_sha1),
     .place = offsetof(struct attest_row, tpm.accept_sha1_place) + 1},
    ROW_STRUCT("ak", tpm.ak, tpm.ak_place, ak_fields),
    ROW_STRUCT("vm_configuration", azure.vm, azure.vm_place, vm_fields),
    {0},
};

/* Whose keys stand where in a row, in its order. */
#define SECTION(member) offsetof(struct attest_row, member)
static const struct {
    size_t from;
    const char *tees[3];
} sections[] = {
    {SECTION(snp), {"sev-snp", "azure-snp"}},
    {SECTION(nitro), {"nitro"}},
    {SECTION(intel), {"sgx", "tdx", "azure-tdx"}},
    {SECTION(sgx), {"sgx"}},
    {SECTION(tdx), {"tdx", "azure-tdx"}},
    {SECTION(cca), {"arm-cca"}},
    {SECTION(tpm.pcr_sha256), {"tpm", "azure-snp", "azure-tdx"}},
    {SECTION(tpm.ak), {"tpm"}},
    {SECTION(azure), {"azure-snp", "azure-tdx"}},
};

static bool belongs(struct neo_bytes tee, size_t offset)
{
    size_t at = NEO_COUNT(sections);

    while (at > 0 && offset < sections[at - 1].from)
        at--;
    if (at == 0)
        return true; /* `tee` itself */
    for (size_t i = 0; i < NEO_COUNT(sections[0].tees); i++) {
        const char *name = sections[at - 1].tees[i];
        if (name != NULL && neo_bytes_is(tee, name))
            return true;
    }
    return false;
}

enum neo_code row_check_keys(const struct attest_row *row, struct neo_error *err)
{
    struct neo_place foreign = {0};

    for (const struct neo_yaml_field *f = attest_row_fields; f->key != NULL; f++) {
        struct neo_place place;
        memcpy(&place, (const char *)row + f->place - 1, sizeof(place));
        if (row_gives(place) && !belongs(row->tee, f->place - 1))
            foreign = place;
    }
    if (row_gives(foreign))
        return row_refuse(foreign, "this key does not belong to tee %.*s; remove it",
                          NEO_FMT(row->tee));
    return NEO_OK;
}

/* --- values ----------------------------------------------------------------------------------- */

enum neo_code row_check_not_empty(const struct row_list *list, const char *key,
                                  struct neo_error *err)
{
    if (row_gives(list->place) && list->items.len == 0)
        return row_refuse(list->place, "\"%s\" is empty; give values or remove the key", key);
    return NEO_OK;
}

enum neo_code row_read_hex(const struct row_text *text, const char *key, size_t len,
                           size_t short_len, uint8_t *to, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};

    if (neo_hex_decode(text->text, &raw, NULL) != NEO_OK ||
        (raw.len != len && (short_len == 0 || raw.len != short_len)))
        return row_refuse(text->place, "\"%s\" must be %zu bytes, %zu hex digits", key, len,
                          2 * len);
    memset(to, 0, len);
    memcpy(to, raw.at, raw.len);
    return NEO_OK;
}

enum neo_code row_read_values(const struct row_list *list, const char *key, size_t len,
                              size_t short_len, struct neo_arena *arena, struct attest_values *ret,
                              struct neo_error *err)
{
    const struct row_text *texts = list->items.at;

    NEO_TRY(row_check_not_empty(list, key, err));
    uint8_t *at = neo_arena_calloc(arena, list->items.len, len);
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for \"%s\"", key);
    for (size_t i = 0; i < list->items.len; i++)
        NEO_TRY(row_read_hex(&texts[i], key, len, short_len, at + i * len, err));
    *ret = (struct attest_values){.at = at, .n = list->items.len};
    return NEO_OK;
}

enum neo_code row_read_bit(const struct row_text *word, uint64_t bit, uint64_t *set,
                           uint64_t *clear, struct neo_error *err)
{
    if (!row_gives(word->place))
        return NEO_OK;
    *set &= ~bit;
    *clear &= ~bit;
    if (neo_bytes_is(word->text, "require"))
        *set |= bit;
    else if (neo_bytes_is(word->text, "forbid"))
        *clear |= bit;
    else if (!neo_bytes_is(word->text, "any"))
        return row_refuse(word->place, "\"%.*s\" must be require, forbid or any",
                          NEO_FMT(word->text));
    return NEO_OK;
}

bool row_index(struct neo_bytes key, unsigned end, unsigned *ret)
{
    unsigned value = 0;

    if (key.len == 0 || key.len > 2 || (key.len == 2 && key.at[0] == '0'))
        return false;
    for (size_t i = 0; i < key.len; i++) {
        if (key.at[i] < '0' || key.at[i] > '9')
            return false;
        value = value * 10 + (unsigned)(key.at[i] - '0');
    }
    if (value >= end)
        return false;
    *ret = value;
    return true;
}
