/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CoRIM (draft-ietf-rats-corim), as far as reference values are digests: the concise MIDs of a
 * tag, their reference triples, and in each measurement its digests, by its key's name. Whose
 * machine an environment is shows in its class: vendor and model. What is not a
 * digest is left alone.
 */
#include "attest/import.h"
#include "codec/cbor.h"
#include "codec/cose.h"

enum {
    TAG_CORIM_OLD = 500,
    TAG_CORIM = 501,
    TAG_SIGNED = 18,
    TAG_SIGNED_CORIM = 502,
    TAG_COMID = 506,
    CORIM_TAGS = 1,
    COMID_TRIPLES = 4,
    TRIPLES_REFERENCE = 0,
    ENVIRONMENT_CLASS = 0,
    CLASS_VENDOR = 1,
    CLASS_MODEL = 2,
    MEASUREMENT_KEY = 0,
    MEASUREMENT_VALUE = 1,
    VALUE_DIGESTS = 2,
    VALUE_REGISTERS = 14,
    SNP_MEASUREMENT_KEY = 641, /* of AMD's profile */
};

/* A CoRIM without other bounds than its length: CBOR cannot promise more than it brings. */
struct reader {
    struct import *import;
    const char *tee;
    bool found;
};

#define expected(...) neo_fail(err, NEO_INVALID_ARGUMENT, __VA_ARGS__)

/* --- walking ---------------------------------------------------------------------------------- */

/* Without its tags. */
static bool untagged(struct cbor *c, struct cbor_item *ret)
{
    do {
        if (!cbor_next(c, ret))
            return false;
    } while (ret->type == CBOR_TAG);
    return true;
}

/* The value of an integer key of the map that comes; false: there is none. */
static bool find(struct neo_bytes map, uint64_t key, struct neo_bytes *ret)
{
    struct cbor c = cbor_of(map);
    struct cbor_item head, item;

    if (!untagged(&c, &head) || head.type != CBOR_MAP)
        return false;
    for (uint64_t i = 0; i < head.value; i++) {
        struct cbor ahead = c;
        bool is_it = cbor_next(&ahead, &item) && item.type == CBOR_UINT && item.value == key;
        if (cbor_skip(&c).at == NULL)
            return false;
        struct neo_bytes value = cbor_skip(&c);
        if (value.at == NULL)
            return false;
        if (is_it) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* The elements of the array that comes, one after the other. */
struct elements {
    struct cbor c;
    uint64_t left;
};

static struct elements elements_of(struct neo_bytes array)
{
    struct elements e = {.c = cbor_of(array), .left = 0};
    struct cbor_item head;

    if (untagged(&e.c, &head) && head.type == CBOR_ARRAY)
        e.left = head.value;
    return e;
}

static bool next(struct elements *e, struct neo_bytes *ret)
{
    if (e->left == 0)
        return false;
    e->left--;
    *ret = cbor_skip(&e->c);
    return ret->at != NULL;
}

/* --- names ------------------------------------------------------------------------------------ */

static bool contains(struct neo_bytes text, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= text.len; i++) {
        size_t k = 0;
        while (k < n && (text.at[i + k] | 0x20) == (uint8_t)word[k])
            k++;
        if (k == n)
            return true;
    }
    return false;
}

static struct neo_bytes text_at(struct neo_bytes map, uint64_t key)
{
    struct neo_bytes value;
    struct cbor_item item;

    if (!find(map, key, &value))
        return (struct neo_bytes){0};
    struct cbor c = cbor_of(value);
    return untagged(&c, &item) && item.type == CBOR_TEXT ? item.bytes : (struct neo_bytes){0};
}

/* NULL: of a maker that is not known. */
static const char *tee_of(struct neo_bytes environment)
{
    struct neo_bytes class;

    if (!find(environment, ENVIRONMENT_CLASS, &class))
        return NULL;
    struct neo_bytes vendor = text_at(class, CLASS_VENDOR);
    struct neo_bytes model = text_at(class, CLASS_MODEL);
    if (contains(vendor, "amd") || contains(model, "snp"))
        return "sev-snp";
    if (contains(model, "tdx") || contains(model, "td"))
        return "tdx";
    if (contains(model, "sgx"))
        return "sgx";
    if (contains(vendor, "amazon") || contains(vendor, "aws") || contains(model, "nitro"))
        return "nitro";
    if (contains(vendor, "arm") || contains(model, "cca"))
        return "arm-cca";
    return contains(vendor, "intel") ? "tdx" : NULL;
}

/* What a row calls the identity that has no name of its own. */
static const char *identity_of(const char *tee)
{
    static const char *const keys[][2] = {{"sev-snp", "measurement"},
                                          {"tdx", "mrtd"},
                                          {"sgx", "mrenclave"},
                                          {"nitro", "pcr"},
                                          {"arm-cca", "rim"}};

    for (size_t i = 0; i < NEO_COUNT(keys); i++) {
        if (strcmp(keys[i][0], tee) == 0)
            return keys[i][1];
    }
    return NULL;
}

/* Names of measurements, as profiles write them, and the key of a row. */
static bool key_of(const char *tee, struct neo_bytes name, const char **ret_key, int *ret_index)
{
    static const struct {
        const char *tee;
        const char *prefix;
        const char *key;
        bool has_index;
    } known[] = {
        {"sev-snp", "measurement", "measurement", false},
        {"tdx", "mrtd", "mrtd", false},
        {"tdx", "mrseam", "mrseam", false},
        {"tdx", "rtmr", "rtmr", true},
        {"sgx", "mrenclave", "mrenclave", false},
        {"nitro", "pcr", "pcr", true},
        {"arm-cca", "rim", "rim", false},
        {"arm-cca", "rem", "rem", true},
    };

    for (size_t i = 0; i < NEO_COUNT(known); i++) {
        size_t n = strlen(known[i].prefix);
        struct neo_bytes head = neo_bytes(name.at, name.len < n ? name.len : n);
        struct neo_bytes tail = neo_bytes_from(name, n);
        if (strcmp(known[i].tee, tee) != 0 || head.len != n || !contains(head, known[i].prefix))
            continue;
        if (tail.len != (known[i].has_index ? 1 : 0) ||
            (tail.len == 1 && (tail.at[0] < '0' || tail.at[0] > '9')))
            continue;
        *ret_key = known[i].key;
        *ret_index = known[i].has_index ? tail.at[0] - '0' : -1;
        return true;
    }
    return false;
}

/* The length that a row asks of this key's values; rim and rem have three. */
static bool fits(const char *key, size_t len)
{
    if (strcmp(key, "rim") == 0 || strcmp(key, "rem") == 0)
        return len == 32 || len == 48 || len == 64;
    return len == (strcmp(key, "mrenclave") == 0 ? 32 : 48);
}

/* --- digests ---------------------------------------------------------------------------------- */

/* [[algorithm, bytes], ...]: those whose length is the key's. */
static void add_digests(struct reader *r, struct neo_bytes digests, const char *key, int index)
{
    struct elements all = elements_of(digests);
    struct neo_bytes pair, part;

    while (next(&all, &pair)) {
        struct elements two = elements_of(pair);
        struct cbor_item item;
        if (!next(&two, &part) || !next(&two, &part))
            continue;
        struct cbor c = cbor_of(part);
        if (untagged(&c, &item) && item.type == CBOR_BYTES && fits(key, item.bytes.len) &&
            import_add(import_row(r->import, r->tee), key, index, item.bytes))
            r->found = true;
    }
}

/* {index: digests, ...}, of TDs' RTMRs and of enclaves' PCRs. */
static void add_registers(struct reader *r, struct neo_bytes registers)
{
    const char *key = strcmp(r->tee, "tdx") == 0       ? "rtmr"
                      : strcmp(r->tee, "nitro") == 0   ? "pcr"
                      : strcmp(r->tee, "arm-cca") == 0 ? "rem"
                                                       : NULL;
    struct cbor c = cbor_of(registers);
    struct cbor_item head, index;

    if (key == NULL || !untagged(&c, &head) || head.type != CBOR_MAP)
        return;
    for (uint64_t i = 0; i < head.value; i++) {
        struct cbor ahead = c;
        bool is_number = cbor_next(&ahead, &index) && index.type == CBOR_UINT && index.value < 32;
        if (cbor_skip(&c).at == NULL)
            return;
        struct neo_bytes digests = cbor_skip(&c);
        if (digests.at == NULL)
            return;
        if (is_number && (strcmp(key, "pcr") == 0 || index.value < 4))
            add_digests(r, digests, key, (int)index.value);
    }
}

static void read_measurement(struct reader *r, struct neo_bytes measurement)
{
    struct neo_bytes value, digests, name, mkey;
    const char *key = identity_of(r->tee);
    int index = strcmp(key, "pcr") == 0 ? 0 : -1;
    bool is_known = true;

    if (!find(measurement, MEASUREMENT_VALUE, &value))
        return;
    if (find(measurement, MEASUREMENT_KEY, &mkey)) {
        struct cbor c = cbor_of(mkey);
        struct cbor_item item;
        is_known = untagged(&c, &item);
        name = is_known && item.type == CBOR_TEXT ? item.bytes : (struct neo_bytes){0};
        if (is_known && item.type == CBOR_UINT && strcmp(r->tee, "sev-snp") == 0)
            is_known = item.value == SNP_MEASUREMENT_KEY;
        else if (is_known)
            is_known = key_of(r->tee, name, &key, &index);
    }
    if (is_known && find(value, VALUE_DIGESTS, &digests))
        add_digests(r, digests, key, index);
    if (find(value, VALUE_REGISTERS, &digests))
        add_registers(r, digests);
}

/* --- from the outside inwards ----------------------------------------------------------------- */

/* [environment, [measurement, ...]] */
static void read_triple(struct reader *r, struct neo_bytes triple)
{
    struct elements two = elements_of(triple);
    struct neo_bytes environment, measurements, one;

    if (!next(&two, &environment) || !next(&two, &measurements))
        return;
    r->tee = tee_of(environment);
    if (r->tee == NULL)
        return;
    struct elements all = elements_of(measurements);
    while (next(&all, &one))
        read_measurement(r, one);
}

static void read_comid(struct reader *r, struct neo_bytes comid)
{
    struct neo_bytes triples, reference, triple;

    if (!find(comid, COMID_TRIPLES, &triples) || !find(triples, TRIPLES_REFERENCE, &reference))
        return;
    struct elements all = elements_of(reference);
    while (next(&all, &triple))
        read_triple(r, triple);
}

/* A tag holds its MID as bytes, in a tag of its own or within. */
static void read_tag(struct reader *r, struct neo_bytes tag)
{
    struct cbor c = cbor_of(tag);
    struct cbor_item item;

    if (untagged(&c, &item) && item.type == CBOR_BYTES)
        read_comid(r, item.bytes);
}

/* The map within tags, or the payload of a COSE_Sign1. */
static struct neo_bytes unsigned_part(struct neo_bytes text)
{
    struct cbor c = cbor_of(text);
    struct cbor ahead = c;
    struct cbor_item item, payload;

    while (cbor_next(&ahead, &item) && item.type == CBOR_TAG)
        c = ahead;
    if (item.type != CBOR_ARRAY || item.value != 4)
        return neo_bytes(c.at, (size_t)(c.end - c.at));
    (void)cbor_skip(&ahead); /* protected */
    (void)cbor_skip(&ahead); /* unprotected */
    if (!cbor_take(&ahead, CBOR_BYTES, &payload))
        return (struct neo_bytes){0};
    return payload.bytes;
}

/* A row needs the code's own identity: registers alone do not load. */
static void note_missing(struct import_row *row)
{
    const char *key = identity_of(row->tee);
    bool is_pcr = strcmp(key, "pcr") == 0;

    for (size_t i = 0; i < row->n; i++) {
        if (strcmp(row->values[i].key, key) == 0 && (!is_pcr || row->values[i].index == 0))
            return;
    }
    row->missing = is_pcr ? "add pcr 0 before it loads; this input does not hold it"
                   : strcmp(key, "mrtd") == 0 ? "add mrtd: [...] before it loads; this input does "
                                                "not hold it"
                                              : "add the code's identity (rim, mrenclave, "
                                                "measurement) before it loads";
}

enum neo_code import_corim(struct neo_bytes text, struct import *import, struct neo_error *err)
{
    struct reader r = {.import = import};
    struct neo_bytes tags, tag;

    if (!find(unsigned_part(text), CORIM_TAGS, &tags))
        return expected("expected a CoRIM: CBOR tag 501 over a map with tags (1), or a COSE_Sign1 "
                        "over it");
    struct elements all = elements_of(tags);
    while (next(&all, &tag))
        read_tag(&r, tag);
    if (!r.found)
        return expected("a CoRIM without digests in reference triples of a TEE that is known: AMD "
                        "SEV-SNP, Intel TDX or SGX, AWS Nitro, Arm CCA, by the class's vendor and "
                        "model");
    for (size_t i = 0; i < import->n; i++)
        note_missing(&import->rows[i]);
    return NEO_OK;
}
