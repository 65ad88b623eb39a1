/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/intel_collateral.h"

#include <neo/encoding.h>
#include <neo/json.h>

#include <time.h>

enum { LEVELS_MAX = 256, MODULES_MAX = 32, ADVISORIES_MAX = 256, DOCUMENT_MAX = 1 << 20 };
enum { TCB_INFO_VERSION = 3, IDENTITY_VERSION = 2 };

/* --- values ----------------------------------------------------------------------------------- */

struct reader {
    struct neo_json json;
    struct neo_arena *arena;
};

static void read_hex(struct reader *r, uint8_t *to, size_t len)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
    struct neo_bytes text;

    if (!neo_json_string(&r->json, &text))
        return;
    if (neo_hex_decode(text, &raw, NULL) != NEO_OK || raw.len != len) {
        neo_json_refuse(&r->json, "must be %zu hex digits", 2 * len);
        return;
    }
    memcpy(to, raw.at, len);
}

static void read_u32(struct reader *r, uint64_t max, uint32_t *ret)
{
    uint64_t value;

    if (!neo_json_u64(&r->json, &value))
        return;
    if (value > max)
        neo_json_refuse(&r->json, "is beyond %llu", (unsigned long long)max);
    else
        *ret = (uint32_t)value;
}

static bool take_digits(const uint8_t *at, size_t n, int *ret)
{
    *ret = 0;
    for (size_t i = 0; i < n; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        *ret = *ret * 10 + (at[i] - '0');
    }
    return true;
}

/* "2025-09-29T18:29:22Z" and no other form. */
static bool parse_time(struct neo_bytes text, int64_t *ret)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
    struct tm t = {0};
    const uint8_t *s = text.at;

    if (text.len != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (form[i] != 'd' && s[i] != (uint8_t)form[i])
            return false;
    }
    if (!take_digits(s, 4, &t.tm_year) || !take_digits(s + 5, 2, &t.tm_mon) ||
        !take_digits(s + 8, 2, &t.tm_mday) || !take_digits(s + 11, 2, &t.tm_hour) ||
        !take_digits(s + 14, 2, &t.tm_min) || !take_digits(s + 17, 2, &t.tm_sec) ||
        t.tm_year < 1970 || t.tm_mon < 1 || t.tm_mon > 12 || t.tm_mday < 1 || t.tm_mday > 31 ||
        t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 59)
        return false;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    *ret = timegm(&t);
    return true;
}

static void read_time(struct reader *r, int64_t *ret)
{
    struct neo_bytes text;

    if (neo_json_string(&r->json, &text) && !parse_time(text, ret))
        neo_json_refuse(&r->json, "must be a time like 2025-09-29T18:29:22Z");
}

static void read_status(struct reader *r, enum intel_status *ret)
{
    struct neo_bytes text;

    if (!neo_json_string(&r->json, &text))
        return;
    enum intel_status status = intel_status_parse(text);
    if (status == INTEL_STATUSES_N || status == INTEL_NOT_SUPPORTED || status == INTEL_RELAUNCH ||
        status == INTEL_RELAUNCH_CONFIGURATION)
        neo_json_refuse(&r->json, "\"%.*s\" is no status of a TCB level", NEO_FMT(text));
    else
        *ret = status;
}

/* Members that must be there, as bits. */
static void expect(struct reader *r, unsigned seen, unsigned wanted, const char *what)
{
    if ((seen & wanted) != wanted)
        neo_json_refuse(&r->json, "%s is incomplete", what);
}

/* An element more for an array that grows by doubling; NULL: too many, or no memory. */
static void *grow(struct reader *r, void *at, size_t n, size_t size, size_t max)
{
    if (n == max) {
        neo_json_refuse(&r->json, "more than %zu elements", max);
        return NULL;
    }
    if ((n & (n - 1)) != 0)
        return at;
    void *more = neo_arena_calloc(r->arena, n == 0 ? 1 : 2 * n, size);
    if (more == NULL)
        neo_json_refuse(&r->json, "out of memory");
    else if (n > 0)
        memcpy(more, at, n * size);
    return more;
}

/* --- levels ----------------------------------------------------------------------------------- */

static void read_components(struct reader *r, uint8_t svn[static INTEL_SVN_LEN])
{
    size_t n = 0;

    if (!neo_json_enter_array(&r->json))
        return;
    while (neo_json_element(&r->json)) {
        struct neo_bytes key;
        uint32_t value = UINT32_MAX;
        if (!neo_json_enter_object(&r->json))
            return;
        while (neo_json_key(&r->json, &key)) {
            if (neo_bytes_is(key, "svn"))
                read_u32(r, UINT8_MAX, &value);
            else
                (void)neo_json_skip(&r->json);
        }
        if (n == INTEL_SVN_LEN || value > UINT8_MAX) {
            neo_json_refuse(&r->json, "must be 16 components with an svn each");
            return;
        }
        svn[n++] = (uint8_t)value;
    }
    if (n != INTEL_SVN_LEN)
        neo_json_refuse(&r->json, "must be 16 components with an svn each");
}

enum { HAS_SGX = 1, HAS_TDX = 2, HAS_PCE = 4, HAS_ISV = 8 };

static unsigned read_tcb(struct reader *r, struct intel_level *level)
{
    struct neo_bytes key;
    unsigned seen = 0;

    if (!neo_json_enter_object(&r->json))
        return 0;
    while (neo_json_key(&r->json, &key)) {
        if (neo_bytes_is(key, "sgxtcbcomponents")) {
            read_components(r, level->sgx);
            seen |= HAS_SGX;
        } else if (neo_bytes_is(key, "tdxtcbcomponents")) {
            read_components(r, level->tdx);
            level->has_tdx = true;
            seen |= HAS_TDX;
        } else if (neo_bytes_is(key, "pcesvn")) {
            read_u32(r, UINT16_MAX, &level->pce_svn);
            seen |= HAS_PCE;
        } else if (neo_bytes_is(key, "isvsvn")) {
            read_u32(r, UINT16_MAX, &level->isv_svn);
            seen |= HAS_ISV;
        } else {
            (void)neo_json_skip(&r->json);
        }
    }
    return seen;
}

static void read_advisories(struct reader *r, struct intel_level *level)
{
    struct neo_bytes *ids = NULL;
    size_t n = 0;

    if (!neo_json_enter_array(&r->json))
        return;
    while (neo_json_element(&r->json)) {
        struct neo_bytes id;
        ids = grow(r, ids, n, sizeof(*ids), ADVISORIES_MAX);
        if (ids == NULL || !neo_json_string(&r->json, &id))
            return;
        ids[n++] = neo_arena_copy(r->arena, id);
    }
    level->advisories = ids;
    level->n_advisories = n;
}

/* `wanted`: what its `tcb` must have. */
static void read_level(struct reader *r, unsigned wanted, struct intel_level *level)
{
    enum { TCB = 1, DATE = 2, STATUS = 4 };
    struct neo_bytes key;
    unsigned seen = 0;

    if (!neo_json_enter_object(&r->json))
        return;
    while (neo_json_key(&r->json, &key)) {
        if (neo_bytes_is(key, "tcb")) {
            expect(r, read_tcb(r, level), wanted, "\"tcb\"");
            seen |= TCB;
        } else if (neo_bytes_is(key, "tcbDate")) {
            read_time(r, &level->date);
            seen |= DATE;
        } else if (neo_bytes_is(key, "tcbStatus")) {
            read_status(r, &level->status);
            seen |= STATUS;
        } else if (neo_bytes_is(key, "advisoryIDs")) {
            read_advisories(r, level);
        } else {
            (void)neo_json_skip(&r->json);
        }
    }
    expect(r, seen, TCB | DATE | STATUS, "a TCB level");
}

/* Of two levels, the order in which they are tried: the newest first, as Intel's verifier has it.
 */
static int compare(const struct intel_level *a, const struct intel_level *b)
{
    int by = memcmp(a->sgx, b->sgx, sizeof(a->sgx));

    if (by == 0)
        by = memcmp(a->tdx, b->tdx, sizeof(a->tdx));
    if (by == 0)
        by = (a->pce_svn > b->pce_svn) - (a->pce_svn < b->pce_svn);
    if (by == 0)
        by = (a->isv_svn > b->isv_svn) - (a->isv_svn < b->isv_svn);
    return by;
}

/* They come sorted; this makes sure. At most LEVELS_MAX, so it may be the simple way. */
static void sort_levels(struct intel_levels *levels)
{
    for (size_t i = 1; i < levels->n; i++) {
        struct intel_level level = levels->at[i];
        size_t at = i;
        for (; at > 0 && compare(&levels->at[at - 1], &level) < 0; at--)
            levels->at[at] = levels->at[at - 1];
        levels->at[at] = level;
    }
}

static void read_levels(struct reader *r, unsigned wanted, struct intel_levels *levels)
{
    if (!neo_json_enter_array(&r->json))
        return;
    while (neo_json_element(&r->json)) {
        levels->at = grow(r, levels->at, levels->n, sizeof(*levels->at), LEVELS_MAX);
        if (levels->at == NULL)
            return;
        levels->at[levels->n] = (struct intel_level){.status = INTEL_NOT_SUPPORTED};
        read_level(r, wanted, &levels->at[levels->n++]);
    }
    sort_levels(levels);
}

/* --- TDX modules ------------------------------------------------------------------------------ */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static void read_module_id(struct reader *r, struct intel_module *m)
{
    struct neo_bytes id;

    if (!neo_json_string(&r->json, &id))
        return;
    int high = id.len == 6 ? hex_digit(id.at[4]) : -1;
    int low = id.len == 6 ? hex_digit(id.at[5]) : -1;
    if (!neo_bytes_starts(id, NEO_LIT("TDX_")) || high < 0 || low < 0)
        neo_json_refuse(&r->json, "\"%.*s\" must be TDX_ and two hex digits", NEO_FMT(id));
    else
        m->version = (unsigned)(high * 16 + low);
}

static void read_module(struct reader *r, bool is_default, struct intel_module *m)
{
    enum { ID = 1, SIGNER = 2, ATTRIBUTES = 4, MASK = 8, LEVELS = 16 };
    struct neo_bytes key;
    unsigned seen = 0;

    if (!neo_json_enter_object(&r->json))
        return;
    while (neo_json_key(&r->json, &key)) {
        if (neo_bytes_is(key, "id") && !is_default) {
            read_module_id(r, m);
            seen |= ID;
        } else if (neo_bytes_is(key, "mrsigner")) {
            read_hex(r, m->mrsigner, sizeof(m->mrsigner));
            seen |= SIGNER;
        } else if (neo_bytes_is(key, "attributes")) {
            read_hex(r, m->attributes, sizeof(m->attributes));
            seen |= ATTRIBUTES;
        } else if (neo_bytes_is(key, "attributesMask")) {
            read_hex(r, m->attributes_mask, sizeof(m->attributes_mask));
            seen |= MASK;
        } else if (neo_bytes_is(key, "tcbLevels") && !is_default) {
            read_levels(r, HAS_ISV, &m->levels);
            seen |= LEVELS;
        } else {
            (void)neo_json_skip(&r->json);
        }
    }
    expect(r, seen, SIGNER | ATTRIBUTES | MASK | (is_default ? 0u : ID | LEVELS), "a TDX module");
}

static void read_modules(struct reader *r, struct intel_document *d)
{
    if (!neo_json_enter_array(&r->json))
        return;
    while (neo_json_element(&r->json)) {
        d->modules = grow(r, d->modules, d->n_modules, sizeof(*d->modules), MODULES_MAX);
        if (d->modules == NULL)
            return;
        d->modules[d->n_modules] = (struct intel_module){0};
        read_module(r, false, &d->modules[d->n_modules++]);
    }
}

/* --- the two documents ------------------------------------------------------------------------ */

enum {
    SEEN_ID = 1 << 0,
    SEEN_VERSION = 1 << 1,
    SEEN_ISSUED = 1 << 2,
    SEEN_NEXT = 1 << 3,
    SEEN_EVALUATION = 1 << 4,
    SEEN_LEVELS = 1 << 5,
    SEEN_COMMON = (1 << 6) - 1,
    SEEN_FMSPC = 1 << 6,
    SEEN_PCE_ID = 1 << 7,
    SEEN_MISC = 1 << 8,
    SEEN_MISC_MASK = 1 << 9,
    SEEN_ATTRIBUTES = 1 << 10,
    SEEN_ATTRIBUTES_MASK = 1 << 11,
    SEEN_SIGNER = 1 << 12,
    SEEN_PROD_ID = 1 << 13,
};

static void read_version(struct reader *r, uint32_t wanted)
{
    uint32_t version = 0;

    read_u32(r, UINT16_MAX, &version);
    if (version != wanted)
        neo_json_refuse(&r->json, "version %u; known is %u", version, wanted);
}

/* 0: the key is none of those that both documents have. */
static unsigned read_common(struct reader *r, struct neo_bytes key, struct intel_document *d)
{
    if (neo_bytes_is(key, "issueDate")) {
        read_time(r, &d->issued);
        return SEEN_ISSUED;
    }
    if (neo_bytes_is(key, "nextUpdate")) {
        read_time(r, &d->next_update);
        return SEEN_NEXT;
    }
    if (neo_bytes_is(key, "tcbEvaluationDataNumber")) {
        read_u32(r, UINT32_MAX, &d->evaluation);
        return SEEN_EVALUATION;
    }
    return 0;
}

static void read_id(struct reader *r, const char *first, const char *second,
                    enum intel_document_kind kind, struct intel_document *d)
{
    struct neo_bytes id;

    if (!neo_json_string(&r->json, &id))
        return;
    if (neo_bytes_is(id, first))
        d->kind = kind;
    else if (neo_bytes_is(id, second))
        d->kind = kind + 1;
    else if (kind == INTEL_QE && neo_bytes_is(id, "QVE"))
        d->kind = INTEL_QVE;
    else
        neo_json_refuse(&r->json, "\"%.*s\" is neither %s nor %s", NEO_FMT(id), first, second);
}

static unsigned read_tcb_member(struct reader *r, struct neo_bytes key, struct intel_document *d)
{
    if (neo_bytes_is(key, "id")) {
        read_id(r, "SGX", "TDX", INTEL_TCB_SGX, d);
        return SEEN_ID;
    }
    if (neo_bytes_is(key, "version")) {
        read_version(r, TCB_INFO_VERSION);
        return SEEN_VERSION;
    }
    if (neo_bytes_is(key, "fmspc")) {
        read_hex(r, d->fmspc, sizeof(d->fmspc));
        return SEEN_FMSPC;
    }
    if (neo_bytes_is(key, "pceId")) {
        read_hex(r, d->pce_id, sizeof(d->pce_id));
        return SEEN_PCE_ID;
    }
    if (neo_bytes_is(key, "tdxModule")) {
        read_module(r, true, &d->module);
        d->has_module = true;
    } else if (neo_bytes_is(key, "tdxModuleIdentities")) {
        read_modules(r, d);
    } else if (neo_bytes_is(key, "tcbLevels")) {
        read_levels(r, HAS_SGX | HAS_PCE, &d->levels);
        return SEEN_LEVELS;
    } else {
        (void)neo_json_skip(&r->json);
    }
    return 0;
}

static unsigned read_identity_member(struct reader *r, struct neo_bytes key,
                                     struct intel_document *d)
{
    static const struct {
        const char *key;
        size_t offset;
        size_t len;
        unsigned seen;
    } values[] = {
#define X(key, member, seen)                                                                       \
    {key, offsetof(struct intel_document, member), sizeof(((struct intel_document *)0)->member),   \
     seen}
        X("miscselect", misc_select, SEEN_MISC),
        X("miscselectMask", misc_select_mask, SEEN_MISC_MASK),
        X("attributes", attributes, SEEN_ATTRIBUTES),
        X("attributesMask", attributes_mask, SEEN_ATTRIBUTES_MASK),
        X("mrsigner", mrsigner, SEEN_SIGNER),
#undef X
    };

    for (size_t i = 0; i < NEO_COUNT(values); i++) {
        if (neo_bytes_is(key, values[i].key)) {
            read_hex(r, (uint8_t *)d + values[i].offset, values[i].len);
            return values[i].seen;
        }
    }
    if (neo_bytes_is(key, "id")) {
        read_id(r, "QE", "TD_QE", INTEL_QE, d);
        return SEEN_ID;
    }
    if (neo_bytes_is(key, "version")) {
        read_version(r, IDENTITY_VERSION);
        return SEEN_VERSION;
    }
    if (neo_bytes_is(key, "isvprodid")) {
        read_u32(r, UINT16_MAX, &d->isv_prod_id);
        return SEEN_PROD_ID;
    }
    if (neo_bytes_is(key, "tcbLevels")) {
        read_levels(r, HAS_ISV, &d->levels);
        return SEEN_LEVELS;
    }
    (void)neo_json_skip(&r->json);
    return 0;
}

typedef unsigned member_fn(struct reader *r, struct neo_bytes key, struct intel_document *d);

static void read_members(struct reader *r, member_fn *member, unsigned wanted,
                         struct intel_document *d)
{
    struct neo_bytes key;
    unsigned seen = 0;

    if (!neo_json_enter_object(&r->json))
        return;
    while (neo_json_key(&r->json, &key)) {
        unsigned found = read_common(r, key, d);
        seen |= found != 0 ? found : member(r, key, d);
    }
    expect(r, seen, SEEN_COMMON | wanted, "the document");
    if (d->levels.n == 0)
        neo_json_refuse(&r->json, "no TCB levels");
}

/* The body on its own, for the signature is over its very bytes; places in messages count from its
 * beginning. */
static void read_body(struct reader *r, struct neo_bytes key, struct intel_document *d)
{
    const unsigned tcb_info = SEEN_FMSPC | SEEN_PCE_ID;
    const unsigned identity = SEEN_MISC | SEEN_MISC_MASK | SEEN_ATTRIBUTES | SEEN_ATTRIBUTES_MASK |
                              SEEN_SIGNER | SEEN_PROD_ID;
    struct reader body = {.arena = r->arena};

    if (!neo_json_raw(&r->json, &d->signed_text))
        return;
    neo_json_init(&body.json, d->signed_text, r->json.what, r->arena);
    if (neo_bytes_is(key, "tcbInfo"))
        read_members(&body, read_tcb_member, tcb_info, d);
    else
        read_members(&body, read_identity_member, identity, d);
    struct neo_error why;
    if (neo_json_finish(&body.json, &why) != NEO_OK)
        neo_json_refuse(&r->json, "%s", why.message);
}

static void read_document(struct reader *r, struct intel_document *d)
{
    struct neo_bytes key;
    bool has_signature = false;

    if (!neo_json_enter_object(&r->json))
        return;
    while (neo_json_key(&r->json, &key)) {
        bool is_body = neo_bytes_is(key, "tcbInfo") || neo_bytes_is(key, "enclaveIdentity");
        if (is_body && d->signed_text.len == 0) {
            read_body(r, key, d);
        } else if (neo_bytes_is(key, "signature")) {
            read_hex(r, d->signature, sizeof(d->signature));
            has_signature = true;
        } else {
            neo_json_refuse(&r->json, "\"%.*s\" is neither tcbInfo, enclaveIdentity nor signature",
                            NEO_FMT(key));
            return;
        }
    }
    if (d->signed_text.len == 0 || !has_signature)
        neo_json_refuse(&r->json, "not a signed document of Intel's");
}

/* Where TDX is meant, every level must say so. */
static bool is_whole(const struct intel_document *d)
{
    if (d->kind != INTEL_TCB_TDX)
        return true;
    for (size_t i = 0; i < d->levels.n; i++) {
        if (!d->levels.at[i].has_tdx)
            return false;
    }
    return d->has_module;
}

enum neo_code intel_document_read(struct neo_bytes text, const char *what, struct neo_arena *arena,
                                  struct intel_document *ret, struct neo_error *err)
{
    struct intel_document d = {.kind = INTEL_TCB_SGX};
    struct reader r = {.arena = arena};

    if (text.len > DOCUMENT_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: %zu bytes, at most %d", what, text.len,
                        DOCUMENT_MAX);
    struct neo_bytes copy = neo_arena_copy(arena, text);
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    neo_json_init(&r.json, copy, what, arena);
    read_document(&r, &d);
    NEO_TRY(neo_json_finish(&r.json, err));
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    if (!is_whole(&d))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%s: a TDX document without \"tdxModule\" or TDX components", what);
    neo_sha256(d.signed_text, d.sha256);
    *ret = d;
    return NEO_OK;
}
