/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/snp_certs.h"

#include "base/cursor.h"
#include "crypto/der.h"

/* --- the host's table ------------------------------------------------------------------------- */

enum { ENTRY_LEN = 24, GUID_LEN = 16, IA5_STRING = 0x16 };

/* In the order of their text, which is how AMD stores them. */
static const uint8_t known_guids[][GUID_LEN] = {
    {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, /* VCEK */
     0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd},
    {0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, /* VLEK */
     0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1},
    {0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, /* ASK */
     0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82},
    {0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, /* ARK */
     0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae},
};

struct entry {
    struct neo_bytes guid;
    size_t offset;
    size_t len;
};

struct table {
    struct entry entries[SNP_TABLE_ENTRIES_MAX];
    size_t n;
    size_t end; /* where the table ends and contents may begin */
};

static bool is_known(struct neo_bytes guid)
{
    for (size_t i = 0; i < NEO_COUNT(known_guids); i++) {
        if (neo_bytes_equal(guid, neo_bytes(known_guids[i], GUID_LEN)))
            return true;
    }
    return false;
}

static enum neo_code read_table(struct neo_bytes blob, struct table *ret, struct neo_error *err)
{
    struct cursor c = cursor_of(blob);

    for (;;) {
        struct entry e = {.guid = cursor_take(&c, GUID_LEN)};
        e.offset = cursor_le(&c, 4);
        e.len = cursor_le(&c, 4);
        if (c.failed)
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "a certificate table that does not end within its %zu bytes", blob.len);
        if (snp_is_zero(e.guid) && e.offset == 0 && e.len == 0)
            break;
        if (ret->n == SNP_TABLE_ENTRIES_MAX)
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "a certificate table of more than %d entries", SNP_TABLE_ENTRIES_MAX);
        ret->entries[ret->n++] = e;
    }
    ret->end = blob.len - c.left;
    return NEO_OK;
}

/* Contents lie behind the table, within the blob, and apart from each other. */
static enum neo_code check_bounds(const struct table *table, size_t len, struct neo_error *err)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct entry *e = &table->entries[i];
        if (e->offset < table->end || e->offset > len || e->len > len - e->offset)
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "certificate table entry %zu reaches outside the blob", i);
        for (size_t j = 0; j < i; j++) {
            const struct entry *other = &table->entries[j];
            if (e->offset < other->offset + other->len && other->offset < e->offset + e->len)
                return neo_fail(err, NEO_INVALID_ARGUMENT,
                                "certificate table entries %zu and %zu overlap", j, i);
            if (neo_bytes_equal(e->guid, other->guid))
                return neo_fail(err, NEO_INVALID_ARGUMENT,
                                "certificate table entries %zu and %zu have one GUID", j, i);
        }
    }
    return NEO_OK;
}

/* Hosts pad PEM with zeros or line ends. */
static struct neo_bytes trimmed(struct neo_bytes text)
{
    while (text.len > 0 && (text.at[text.len - 1] == '\0' || text.at[text.len - 1] == '\n' ||
                            text.at[text.len - 1] == '\r'))
        text.len--;
    return text;
}

static bool is_pem(struct neo_bytes text)
{
    return neo_bytes_starts(text, NEO_LIT("-----BEGIN "));
}

static enum neo_code split_table(struct neo_bytes blob, struct snp_hints *ret,
                                 struct neo_error *err)
{
    struct table table = {.n = 0};

    NEO_TRY(read_table(blob, &table, err));
    NEO_TRY(check_bounds(&table, blob.len, err));
    for (size_t i = 0; i < table.n; i++) {
        const struct entry *e = &table.entries[i];
        struct neo_bytes content = {blob.at + e->offset, e->len};
        if (is_known(e->guid) && e->len > 0)
            ret->parts[ret->n++] = is_pem(content) ? trimmed(content) : content;
    }
    return NEO_OK;
}

enum neo_code snp_hints_split(struct neo_bytes bytes, struct snp_hints *ret, struct neo_error *err)
{
    struct snp_hints hints = {.n = 0};

    if (bytes.len > SNP_HINTS_LEN_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%zu bytes of certificates, at most %d",
                        bytes.len, SNP_HINTS_LEN_MAX);
    /* A table begins with a GUID; none of AMD's begins like PEM or like a DER SEQUENCE. */
    if (bytes.len > 0 && (is_pem(bytes) || bytes.at[0] == DER_SEQUENCE))
        hints.parts[hints.n++] = bytes;
    else if (bytes.len > 0)
        NEO_TRY(split_table(bytes, &hints, err));
    *ret = hints;
    return NEO_OK;
}

enum neo_code snp_hints_read(struct neo_bytes bytes, struct vendor_bundle *bundle,
                             struct neo_error *err)
{
    size_t crls = bundle->n_crls;
    struct snp_hints hints;

    NEO_TRY(snp_hints_split(bytes, &hints, err));
    for (size_t i = 0; i < hints.n; i++)
        NEO_TRY(vendor_bundle_read(bundle, hints.parts[i], "certificates with the report", err));
    if (bundle->n_crls != crls)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "a revocation list among the certificates; lists come from configuration");
    return NEO_OK;
}

/* --- AMD's extensions ------------------------------------------------------------------------- */

struct snp_oid snp_extension_oid(enum snp_extension extension, uint8_t component)
{
    /* 1.3.6.1.4.1.3704.1 */
    struct snp_oid oid = {.at = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01}, .len = 8};

    oid.at[oid.len++] = (uint8_t)extension;
    if (component != 0)
        oid.at[oid.len++] = component;
    return oid;
}

static bool find(const struct vendor_cert *cert, enum snp_extension extension, uint8_t component,
                 struct neo_bytes *ret)
{
    struct snp_oid oid = snp_extension_oid(extension, component);

    return vendor_cert_extension(cert, neo_bytes(oid.at, oid.len), ret);
}

/* INTEGER, 0 to 255, in its one encoding. */
static bool read_svn(struct neo_bytes value, uint8_t *ret)
{
    struct cursor c = cursor_of(value);
    struct neo_bytes number = der_take(&c, DER_INTEGER).body;

    if (!cursor_is_done(&c) || number.len == 0)
        return false;
    if (number.len == 1 && number.at[0] < 0x80) {
        *ret = number.at[0];
        return true;
    }
    if (number.len == 2 && number.at[0] == 0 && number.at[1] >= 0x80) {
        *ret = number.at[1];
        return true;
    }
    return false;
}

static bool read_ia5(struct neo_bytes value, struct neo_bytes *ret)
{
    struct cursor c = cursor_of(value);
    struct neo_bytes text = der_take(&c, IA5_STRING).body;

    if (!cursor_is_done(&c) || text.len == 0 || text.len > 128)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < 0x20 || text.at[i] > 0x7e)
            return false;
    }
    *ret = text;
    return true;
}

/* Raw in old certificates, an OCTET STRING in new ones: the length tells. */
static bool read_hwid(struct neo_bytes value, size_t len, struct neo_bytes *ret)
{
    struct cursor c = cursor_of(value);

    if (value.len == len) {
        *ret = value;
        return true;
    }
    struct neo_bytes inner = der_take(&c, DER_OCTET_STRING).body;
    if (!cursor_is_done(&c) || inner.len != len)
        return false;
    *ret = inner;
    return true;
}

/* "Milan-B0" is a stepping of Milan. */
static const struct snp_product *product_of(struct neo_bytes name)
{
    const uint8_t *dash = memchr(name.at, '-', name.len);

    if (dash != NULL)
        name.len = (size_t)(dash - name.at);
    if (neo_bytes_is(name, "Bergamo") || neo_bytes_is(name, "Siena"))
        name = NEO_LIT("Genoa"); /* whose root they live under */
    return snp_product_named(name);
}

static enum neo_code read_product(const struct vendor_cert *cert, struct snp_endorsement *e,
                                  struct neo_error *err)
{
    struct neo_bytes value, name;

    if (!find(cert, SNP_EXTENSION_PRODUCT, 0, &value) || !read_ia5(value, &name))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the certificate names no product");
    e->product = product_of(name);
    if (e->product == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "unknown product \"%.*s\"", NEO_FMT(name));
    return NEO_OK;
}

static enum neo_code read_tcb(const struct vendor_cert *cert, struct snp_endorsement *e,
                              struct neo_error *err)
{
    for (size_t i = 0; i < SNP_TCB_LEN; i++) {
        uint8_t component = e->product->tcb[i];
        struct neo_bytes value;
        if (!find(cert, SNP_EXTENSION_TCB, component, &value) ||
            !read_svn(value, &e->tcb[component]))
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "the certificate has no good TCB component %u", component);
        if (snp_component_is_reserved(component) && e->tcb[component] != 0)
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "the certificate sets the reserved TCB component %u", component);
    }
    return NEO_OK;
}

enum neo_code snp_endorsement_read(const struct vendor_cert *cert, enum snp_vek vek,
                                   struct snp_endorsement *ret, struct neo_error *err)
{
    struct snp_endorsement e = {0};
    struct neo_bytes hwid, csp_id;
    bool has_hwid = find(cert, SNP_EXTENSION_HWID, 0, &hwid);
    bool has_csp_id = find(cert, SNP_EXTENSION_CSP_ID, 0, &csp_id);

    NEO_TRY(read_product(cert, &e, err));
    NEO_TRY(read_tcb(cert, &e, err));
    if (vek == SNP_VCEK ? !has_hwid || has_csp_id : !has_csp_id || has_hwid)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the certificate must have a %s",
                        vek == SNP_VCEK ? "hardware id and no operator id"
                                        : "operator id and no hardware id");
    if (has_hwid && !read_hwid(hwid, e.product->hwid_len, &e.hwid))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a hardware id that is not %zu bytes",
                        e.product->hwid_len);
    if (has_csp_id && !read_ia5(csp_id, &e.csp_id))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "an operator id that is not plain text");
    *ret = e;
    return NEO_OK;
}
