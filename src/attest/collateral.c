/* SPDX-License-Identifier: Apache-2.0 */
/* Files are taken apart into what was signed; the wrapping is thrown away. */
#include "attest/collateral.h"

#include "attest/cca_anchor.h"
#include "attest/collateral_text.h"

#include <neo/encoding.h>
#include <neo/memory.h>

#include <assert.h>

enum { ARENA_BUDGET = 128 << 20, SET_BYTES_MAX = 48 << 20, SIMULATED_MAX = 8, HEX_MAX = 2 << 20 };

static const char *const kind_texts[] = {
#define X(name, text) [NEO_COLLATERAL_##name] = text,
    NEO_COLLATERAL_KINDS(X)
#undef X
};

const char *neo_collateral_kind_text(enum neo_collateral_kind kind)
{
    return (size_t)kind < NEO_COUNT(kind_texts) ? kind_texts[kind] : "unknown";
}

/* --- the set ---------------------------------------------------------------------------------- */

void neo_collateral_free(struct neo_collateral *set)
{
    if (set == NULL)
        return;
    vendor_bundle_fini(&set->read);
    vendor_bundle_fini(&set->simulated);
    neo_arena_fini(&set->arena);
    neo_free(set->at);
    neo_free(set);
}

static void set_freep(struct neo_collateral **set)
{
    neo_collateral_free(*set);
}

enum neo_code neo_collateral_new(const struct neo_collateral_options *options,
                                 struct neo_collateral **ret, struct neo_error *err)
{
    NEO_CLEANUP(set_freep) struct neo_collateral *set = neo_alloc(sizeof(*set));

    if (set == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for collateral");
    neo_arena_init(&set->arena, ARENA_BUDGET);
    set->development = options->development;
    set->simulated.max = SIMULATED_MAX;
    set->read.max = 2 * NEO_COLLATERAL_ITEMS_MAX;
    if (options->simulated_root.len > 0 && !options->development)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "a simulated root proves nothing; it is accepted in development only");
    if (options->simulated_root.len > 0)
        NEO_TRY(
            vendor_bundle_read(&set->simulated, options->simulated_root, "simulated root", err));
    *ret = set;
    set = NULL;
    return NEO_OK;
}

size_t neo_collateral_count(const struct neo_collateral *set)
{
    return set->n;
}

const struct neo_collateral_item *neo_collateral_at(const struct neo_collateral *set, size_t i)
{
    assert(i < set->n);
    return &set->at[i].is;
}

int neo_collateral_compare(const struct neo_collateral_item *a, const struct neo_collateral_item *b)
{
    if (a->number != b->number)
        return a->number > b->number ? 1 : -1;
    if (a->issued != b->issued)
        return a->issued > b->issued ? 1 : -1;
    return 0;
}

const struct neo_collateral_item *neo_collateral_find(const struct neo_collateral *set,
                                                      struct neo_bytes name)
{
    const struct neo_collateral_item *best = NULL;

    for (size_t i = 0; i < set->n; i++) {
        const struct neo_collateral_item *item = &set->at[i].is;
        if (item->standing == NEO_COLLATERAL_WRONG || !neo_bytes_is(name, item->name))
            continue;
        if (best == NULL || neo_collateral_compare(item, best) > 0)
            best = item;
    }
    return best;
}

enum neo_freshness neo_collateral_freshness(const struct neo_collateral_item *item, int64_t now)
{
    if (item->until == 0)
        return item->is_dated ? NEO_STALE : NEO_FRESH;
    if (now >= item->until)
        return NEO_STALE;
    return item->until - now <= NEO_COLLATERAL_SOON ? NEO_STALE_SOON : NEO_FRESH;
}

/* --- adding ----------------------------------------------------------------------------------- */

static bool is_known(const struct neo_collateral *set, const struct collateral_entry *entry)
{
    for (size_t i = 0; i < set->n; i++) {
        if (neo_bytes_equal(set->at[i].is.bytes, entry->is.bytes))
            return true;
    }
    return false;
}

static enum neo_code push(struct neo_collateral *set, const struct collateral_entry *entry,
                          const char *what, struct neo_error *err)
{
    if (is_known(set, entry))
        return NEO_OK;
    if (neo_arena_failed(&set->arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    if (set->n == NEO_COLLATERAL_ITEMS_MAX || entry->is.bytes.len > SET_BYTES_MAX - set->bytes)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "%s: more than %d pieces of collateral, or %d MiB of it", what,
                        NEO_COLLATERAL_ITEMS_MAX, SET_BYTES_MAX >> 20);
    if (set->n == set->cap) {
        size_t cap = set->cap == 0 ? 32 : 2 * set->cap;
        struct collateral_entry *more = neo_realloc(set->at, cap * sizeof(*more));
        if (more == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
        set->at = more;
        set->cap = cap;
    }
    set->at[set->n] = *entry;
    set->at[set->n].is.why = "not verified yet";
    set->bytes += entry->is.bytes.len;
    set->n++;
    return NEO_OK;
}

static enum neo_code add_certs(struct neo_collateral *set, struct neo_bytes text, const char *what,
                               struct neo_error *err)
{
    size_t certs = set->read.n_certs, crls = set->read.n_crls;

    NEO_TRY(vendor_bundle_read(&set->read, text, what, err));
    if (set->read.n_certs == certs && set->read.n_crls == crls)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: nothing is in it", what);
    for (size_t i = certs; i < set->read.n_certs; i++) {
        struct collateral_entry entry = {.cert = set->read.certs[i]};
        NEO_TRY(collateral_describe_cert(&set->arena, what, &entry, err));
        NEO_TRY(push(set, &entry, what, err));
    }
    for (size_t i = crls; i < set->read.n_crls; i++) {
        struct collateral_entry entry = {.crl = set->read.crls[i]};
        NEO_TRY(collateral_describe_crl(&set->arena, what, &entry, err));
        NEO_TRY(push(set, &entry, what, err));
    }
    return NEO_OK;
}

static enum neo_code add_document(struct neo_collateral *set, struct neo_bytes text,
                                  const char *what, struct neo_error *err)
{
    struct intel_document *d = neo_arena_calloc(&set->arena, 1, sizeof(*d));
    struct collateral_entry entry = {.document = d};

    if (d == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    NEO_TRY(intel_document_read(text, what, &set->arena, d, err));
    if (d->kind == INTEL_QVE)
        return neo_fail(
            err, NEO_INVALID_ARGUMENT,
            "%s: the identity of Intel's quote verification enclave; nothing here asks it", what);
    entry.is.bytes = neo_arena_copy(&set->arena, text);
    collateral_describe_document(&set->arena, &entry);
    return push(set, &entry, what, err);
}

static enum neo_code add_keys(struct neo_collateral *set, struct neo_bytes text, const char *what,
                              struct neo_error *err)
{
    struct collateral_entry entry = {.is.kind = NEO_COLLATERAL_CCA_KEYS};
    struct cca_anchor *anchors = NULL;

    NEO_TRY(cca_anchors_read(text, what, &set->arena, &anchors, err));
    if (anchors == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: a list without a key in it", what);
    for (const struct cca_anchor *a = anchors; a != NULL; a = a->next) {
        entry.is.simulated = entry.is.simulated || a->simulated;
        if (a->simulated && !set->development)
            return neo_fail(err, NEO_FAILED_PRECONDITION,
                            "%s: a simulated platform proves nothing; it is accepted in "
                            "development only",
                            what);
    }
    entry.is.bytes = neo_arena_copy(&set->arena, text);
    collateral_describe_keys(&set->arena, &entry);
    return push(set, &entry, what, err);
}

/* --- forms ------------------------------------------------------------------------------------ */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Tools leave line ends, and Intel's library a NUL, around what was signed. */
static struct neo_bytes trimmed(struct neo_bytes text)
{
    while (text.len > 0 && is_blank(text.at[0]))
        text = neo_bytes_from(text, 1);
    if (text.len > 0 && text.at[0] == 0x30) /* DER ends by its own lengths */
        return text;
    while (text.len > 0 && (is_blank(text.at[text.len - 1]) || text.at[text.len - 1] == 0))
        text.len--;
    return text;
}

static struct neo_bytes from_first_pem(struct neo_bytes text)
{
    const uint8_t *at = text.len == 0 ? NULL : memmem(text.at, text.len, "-----BEGIN ", 11);

    return neo_bytes(at, at == NULL ? 0 : (size_t)(text.at + text.len - at));
}

static bool is_hex(struct neo_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
            return false;
    }
    return text.len >= 8 && text.len % 2 == 0 && text.len <= HEX_MAX && text.at[0] == '3' &&
           text.at[1] == '0';
}

static enum neo_code add_hex(struct neo_collateral *set, struct neo_bytes text, const char *what,
                             struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};

    NEO_TRY(neo_hex_decode(text, &raw, err));
    return add_certs(set, neo_buffer_bytes(&raw), what, err);
}

/* What no bundle is: a bundle within a bundle would be recursion. */
static enum neo_code add_part(struct neo_collateral *set, struct neo_bytes text, const char *what,
                              struct neo_error *err)
{
    text = trimmed(text);
    if (text.len == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: empty", what);
    if (text.at[0] == '{')
        return add_document(set, text, what, err);
    if (text.at[0] == '[')
        return add_keys(set, text, what, err);
    if (is_hex(text))
        return add_hex(set, text, what, err);
    struct neo_bytes pem = from_first_pem(text);
    return add_certs(set, pem.len > 0 && text.at[0] != 0x30 ? pem : text, what, err);
}

static enum neo_code add_each(struct neo_collateral *set, const struct neo_bytes *texts, size_t n,
                              const char *what, struct neo_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (texts[i].len > 0)
            NEO_TRY(add_part(set, texts[i], what, err));
    }
    return NEO_OK;
}

/* One machine's own certificates are no collateral for others, and come with its evidence. */
static enum neo_code add_saved(struct neo_collateral *set, struct neo_bytes text, const char *what,
                               struct neo_error *err)
{
    struct collateral_saved saved;

    NEO_TRY(collateral_saved_read(text, what, &set->arena, &saved, err));
    NEO_TRY(add_each(set, saved.chains, COLLATERAL_CHAINS, what, err));
    NEO_TRY(add_each(set, saved.lists, COLLATERAL_LISTS, what, err));
    return add_each(set, saved.documents, COLLATERAL_DOCUMENTS, what, err);
}

static enum neo_code add(struct neo_collateral *set, struct neo_bytes text, const char *what,
                         struct neo_error *err)
{
    struct neo_bytes body = trimmed(text);

    if (text.len > NEO_COLLATERAL_FILE_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: %zu bytes, at most %d", what, text.len,
                        NEO_COLLATERAL_FILE_MAX);
    if (body.len > 0 && body.at[0] == '{' &&
        collateral_form_of(body, &set->arena) == COLLATERAL_BUNDLE)
        return add_saved(set, body, what, err);
    return add_part(set, body, what, err);
}

enum neo_code neo_collateral_add(struct neo_collateral *set, struct neo_bytes text,
                                 const char *what, struct neo_error *err)
{
    size_t n = set->n, bytes = set->bytes;
    enum neo_code code = add(set, text, what, err);

    if (code != NEO_OK) { /* what was read stays in the bundle, of which no entry speaks */
        set->n = n;
        set->bytes = bytes;
    }
    return code;
}

/* --- headers ---------------------------------------------------------------------------------- */

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* RFC 3986 percent-encoding. */
static enum neo_code decode_url(struct neo_bytes text, struct neo_buffer *out, const char *what,
                                struct neo_error *err)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (c == '%') {
            int high = i + 2 < text.len ? digit(text.at[i + 1]) : -1;
            int low = i + 2 < text.len ? digit(text.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: an issuer chain that is cut short",
                                what);
            c = (uint8_t)(high * 16 + low);
            i += 2;
        }
        (void)neo_buffer_append_byte(out, c);
    }
    return out->failed ? neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what) : NEO_OK;
}

/* "SGX-PCK-CRL-Issuer-Chain" and its like, in any case of letters. */
static bool is_issuer_chain(struct neo_bytes name)
{
    static const char suffix[] = "issuer-chain";
    size_t len = sizeof(suffix) - 1;

    if (name.len < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = name.at[name.len - len + i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != (uint8_t)suffix[i])
            return false;
    }
    return true;
}

static enum neo_code add_header(struct neo_collateral *set, struct neo_bytes line, const char *what,
                                struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer chain = {0};
    const uint8_t *colon = line.len == 0 ? NULL : memchr(line.at, ':', line.len);

    if (colon == NULL || !is_issuer_chain(neo_bytes(line.at, (size_t)(colon - line.at))))
        return NEO_OK;
    struct neo_bytes value = neo_bytes_from(line, (size_t)(colon - line.at) + 1);
    NEO_TRY(decode_url(trimmed(value), &chain, what, err));
    return add_part(set, neo_buffer_bytes(&chain), what, err);
}

enum neo_code neo_collateral_add_headers(struct neo_collateral *set, struct neo_bytes text,
                                         const char *what, struct neo_error *err)
{
    size_t n = set->n, bytes = set->bytes;
    enum neo_code code = NEO_OK;

    while (text.len > 0 && code == NEO_OK) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        code = add_header(set, neo_bytes(text.at, len), what, err);
        text = neo_bytes_from(text, len + 1);
    }
    if (code != NEO_OK) {
        set->n = n;
        set->bytes = bytes;
    }
    return code;
}
