/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/sim.h"

#include <neo/attest.h>
#include <neo/digest.h>
#include <neo/memory.h>

static const char organization[] = "Neo simulator, proves nothing";

/* --- authorities ------------------------------------------------------------------------------ */

enum neo_code sim_keys_generate(struct sim_keys *ret, struct neo_error *err)
{
    NEO_CLEANUP(sim_keys_fini) struct sim_keys keys = {0};

    NEO_TRY(vendor_key_generate(VENDOR_RSA_4096, &keys.root, err));
    NEO_TRY(vendor_key_generate(VENDOR_RSA_4096, &keys.issuer, err));
    *ret = keys;
    keys = (struct sim_keys){0};
    return NEO_OK;
}

void sim_keys_fini(struct sim_keys *keys)
{
    vendor_key_free(keys->root);
    vendor_key_free(keys->issuer);
    *keys = (struct sim_keys){0};
}

/* basicConstraints CA:TRUE and keyUsage keyCertSign + cRLSign, both critical. */
static const struct vendor_extension authority_extensions[] = {
    {
        .oid = {(const uint8_t *)"\x55\x1d\x13", 3},
        .value = {(const uint8_t *)"\x30\x03\x01\x01\xff", 5},
        .is_critical = true,
    },
    {
        .oid = {(const uint8_t *)"\x55\x1d\x0f", 3},
        .value = {(const uint8_t *)"\x03\x02\x01\x06", 4},
        .is_critical = true,
    },
};

enum neo_code sim_authority_issue(struct sim_authority *authority, struct neo_error *err)
{
    const struct snp_product *product = authority->product;
    struct vendor_template t = {
        .common_name = product->root_name,
        .issuer_common_name = product->root_name,
        .organization = organization,
        .serial = 1,
        .not_before = authority->not_before,
        .not_after = authority->not_after,
        .extensions = authority_extensions,
        .n_extensions = NEO_COUNT(authority_extensions),
    };

    NEO_TRY(vendor_cert_issue(&t, authority->keys->root, authority->keys->root,
                              &authority->root_der, err));
    t.common_name = product->issuer_name[authority->vek];
    t.serial = 2 + authority->vek;
    return vendor_cert_issue(&t, authority->keys->issuer, authority->keys->root,
                             &authority->issuer_der, err);
}

void sim_authority_fini(struct sim_authority *authority)
{
    neo_buffer_fini(&authority->root_der);
    neo_buffer_fini(&authority->issuer_der);
}

/* --- chips ------------------------------------------------------------------------------------ */

enum {
    TAG_INTEGER = 0x02,
    TAG_OCTET_STRING = 0x04,
    TAG_IA5_STRING = 0x16,
    EXTENSIONS_MAX = 3 + SNP_TCB_LEN,
    VALUE_MAX = 2 + SNP_CHIP_ID_LEN,
};

struct extension_list {
    struct vendor_extension at[EXTENSIONS_MAX];
    struct snp_oid oids[EXTENSIONS_MAX];
    uint8_t values[EXTENSIONS_MAX][VALUE_MAX];
    size_t n;
};

/* `tag` 0: the value is raw, without header. */
static void add(struct extension_list *list, enum snp_extension extension, uint8_t component,
                uint8_t tag, struct neo_bytes value)
{
    uint8_t *to = list->values[list->n];
    size_t header = tag == 0 ? 0 : 2;

    to[0] = tag;
    to[1] = (uint8_t)value.len;
    if (value.len > 0)
        memcpy(to + header, value.at, value.len);
    list->oids[list->n] = snp_extension_oid(extension, component);
    list->at[list->n] = (struct vendor_extension){
        .oid = neo_bytes(list->oids[list->n].at, list->oids[list->n].len),
        .value = neo_bytes(to, header + value.len),
    };
    list->n++;
}

static void add_integer(struct extension_list *list, enum snp_extension extension,
                        uint8_t component, uint8_t value)
{
    const uint8_t bytes[] = {0, value};
    size_t sign = value >= 0x80 ? 0 : 1; /* a leading zero, or none */

    add(list, extension, component, TAG_INTEGER, neo_bytes(bytes + sign, sizeof(bytes) - sign));
}

static void describe(const struct sim_chip *chip, struct extension_list *list)
{
    const struct snp_product *product = chip->product;

    add_integer(list, SNP_EXTENSION_VERSION, 0, product->tcb[0] == SNP_FMC ? 1 : 0);
    add(list, SNP_EXTENSION_PRODUCT, 0, TAG_IA5_STRING, neo_text(product->name));
    for (size_t i = 0; i < SNP_TCB_LEN; i++)
        add_integer(list, SNP_EXTENSION_TCB, product->tcb[i], chip->tcb[product->tcb[i]]);
    if (chip->vek == SNP_VLEK)
        add(list, SNP_EXTENSION_CSP_ID, 0, TAG_IA5_STRING, neo_text(chip->csp_id));
    else
        add(list, SNP_EXTENSION_HWID, 0, chip->hwid_in_octet_string ? TAG_OCTET_STRING : 0,
            neo_bytes(chip->hwid, product->hwid_len));
}

enum neo_code sim_chip_issue(struct sim_chip *chip, const struct sim_authority *authority,
                             struct neo_error *err)
{
    struct extension_list extensions = {.n = 0};

    describe(chip, &extensions);
    if (chip->key == NULL)
        NEO_TRY(vendor_key_generate(VENDOR_P384, &chip->key, err));

    const struct vendor_template t = {
        .common_name = chip->vek == SNP_VCEK ? "SEV-VCEK" : "SEV-VLEK",
        .issuer_common_name = authority->product->issuer_name[authority->vek],
        .organization = organization,
        .not_before = chip->not_before,
        .not_after = chip->not_after,
        .extensions = extensions.at,
        .n_extensions = extensions.n,
    };
    neo_buffer_clear(&chip->cert_der);
    return vendor_cert_issue(&t, chip->key, authority->keys->issuer, &chip->cert_der, err);
}

void sim_chip_fini(struct sim_chip *chip)
{
    vendor_key_free(chip->key);
    neo_buffer_fini(&chip->cert_der);
}

/* --- reports ---------------------------------------------------------------------------------- */

void sim_report_init(struct snp_report *report, const struct snp_product *product,
                     const uint8_t tcb[static SNP_COMPONENTS], const uint8_t *hwid)
{
    const struct snp_cpu *cpu = &product->cpus[0];
    static const uint8_t firmware[3] = {40, 55, 1};

    *report = (struct snp_report){
        .version = 3,
        .policy = SNP_POLICY_RESERVED_ONE | SNP_POLICY_SMT,
        .signature_algo = 1,
        .platform_info = SNP_PLATFORM_SMT | SNP_PLATFORM_ECC | SNP_PLATFORM_ALIAS_CHECK,
        .cpu_family = cpu->family,
        .cpu_model = cpu->first_model,
        .cpu_stepping = 1,
        .signature.is_little_endian = true,
    };
    memset(report->report_id_ma, 0xff, sizeof(report->report_id_ma));
    for (size_t i = 0; i < SNP_TCB_LEN; i++)
        report->reported_tcb[i] = tcb[product->tcb[i]];
    memcpy(report->committed_tcb, report->reported_tcb, SNP_TCB_LEN);
    memcpy(report->current_tcb, report->reported_tcb, SNP_TCB_LEN);
    memcpy(report->launch_tcb, report->reported_tcb, SNP_TCB_LEN);
    memcpy(report->current_version, firmware, sizeof(firmware));
    memcpy(report->committed_version, firmware, sizeof(firmware));
    if (hwid != NULL)
        memcpy(report->chip_id, hwid, product->hwid_len);
}

enum neo_code sim_report_sign(const struct snp_report *report, const struct vendor_key *key,
                              struct neo_buffer *out, struct neo_error *err)
{
    struct snp_report signing = *report;
    uint8_t bytes[SNP_REPORT_LEN];

    snp_report_write(&signing, bytes);
    NEO_TRY(vendor_p384_sign(key, neo_bytes(bytes, SNP_SIGNED_LEN), &signing.signature, err));
    snp_report_write(&signing, bytes);
    if (!neo_buffer_append(out, neo_bytes(bytes, sizeof(bytes))))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a simulated report");
    return NEO_OK;
}
