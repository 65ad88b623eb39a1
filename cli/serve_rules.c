/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve_rules.h"

#include <neo/collateral_store.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <sys/stat.h>

enum {
    FILE_MAX = 1 << 20,
    PARTS_MAX = 2 * ARG_LIST_MAX + 1,
    PIECES_MAX = NEO_COLLATERAL_HELD_MAX,
};

/* All that was read, until the policies and the trust are made of it. */
struct reading {
    const struct serve_rules *from;
    struct neo_buffer files[PARTS_MAX]; /* policies, then the root, then collateral */
    size_t n_files;
    struct neo_collateral_store *stores[ARG_LIST_MAX];
    size_t n_stores;
    struct neo_bytes pieces[PIECES_MAX]; /* of collateral */
    size_t n_pieces;
    uint8_t digests[PARTS_MAX + 1][NEO_SHA256_LEN]; /* of each file or folder */
    size_t n_digests;
    struct neo_error no_collateral; /* why a file of it cannot be read; code OK: all can */
};

static void free_reading(struct reading **reading)
{
    struct reading *r = *reading;

    for (size_t i = 0; r != NULL && i < r->n_files; i++)
        neo_buffer_fini(&r->files[i]);
    for (size_t i = 0; r != NULL && i < r->n_stores; i++)
        neo_collateral_store_close(r->stores[i]);
    neo_free(r);
}

static enum neo_code read_file(struct reading *r, const char *path, struct neo_error *err)
{
    struct neo_buffer *file = &r->files[r->n_files++];

    NEO_TRY(neo_file_read(path, FILE_MAX, file, err));
    neo_sha256(neo_buffer_bytes(file), r->digests[r->n_digests++]);
    return NEO_OK;
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* One that cannot be read must not keep policies from coming into force. */
static void read_collateral(struct reading *r, const char *path)
{
    struct neo_error why;

    if (is_folder(path)) {
        neo_collateral_fingerprint(path, r->digests[r->n_digests++]);
    } else if (read_file(r, path, &why) != NEO_OK) {
        r->no_collateral = why;
        memset(r->digests[r->n_digests++], 0, sizeof(r->digests[0]));
    }
}

/* What decides whether it is read at all: of folders their look, of files what they say. */
static enum neo_code look(struct reading *r, struct neo_error *err)
{
    const struct serve_rules *from = r->from;

    for (size_t i = 0; i < from->attestation.n; i++)
        NEO_TRY(read_file(r, from->attestation.at[i], err));
    if (from->simulated_root != NULL)
        NEO_TRY(read_file(r, from->simulated_root, err));
    for (size_t i = 0; i < from->collateral.n; i++)
        read_collateral(r, from->collateral.at[i]);
    return NEO_OK;
}

static struct neo_bytes simulated_root(const struct reading *r)
{
    struct neo_bytes none = {0};

    return r->from->simulated_root == NULL ? none
                                           : neo_buffer_bytes(&r->files[r->from->attestation.n]);
}

static bool add_piece(struct reading *r, struct neo_bytes piece)
{
    if (r->n_pieces == PIECES_MAX)
        return false;
    r->pieces[r->n_pieces++] = piece;
    return true;
}

static enum neo_code open_store(struct reading *r, const char *path, struct neo_error *err)
{
    const struct neo_collateral_store_options options = {
        .dir = path, .simulated_root = simulated_root(r), .development = r->from->development};
    size_t n;

    NEO_TRY(neo_collateral_store_open(&options, &r->stores[r->n_stores], err));
    const struct neo_bytes *at = neo_collateral_store_bytes(r->stores[r->n_stores++], &n);
    for (size_t i = 0; i < n; i++)
        if (!add_piece(r, at[i]))
            return neo_fail(err, NEO_INVALID_ARGUMENT, "more than %d pieces of collateral",
                            PIECES_MAX);
    return NEO_OK;
}

static enum neo_code make_trust(struct reading *r, struct neo_attest_trust **ret,
                                struct neo_error *err)
{
    const struct serve_rules *from = r->from;
    size_t file = from->attestation.n + (from->simulated_root != NULL ? 1 : 0);

    if (r->no_collateral.code != NEO_OK)
        return neo_fail(err, r->no_collateral.code, "%s", r->no_collateral.message);
    for (size_t i = 0; i < from->collateral.n; i++) {
        if (is_folder(from->collateral.at[i]))
            NEO_TRY(open_store(r, from->collateral.at[i], err));
        else if (file == r->n_files || !add_piece(r, neo_buffer_bytes(&r->files[file++])))
            return neo_fail(err, NEO_UNAVAILABLE, "'%s' changed meanwhile", from->collateral.at[i]);
    }
    const struct neo_attest_trust_options options = {.collateral = r->pieces,
                                                     .n_collateral = r->n_pieces,
                                                     .simulated_root = simulated_root(r),
                                                     .development = from->development};
    return neo_attest_trust_new(&options, ret, err);
}

static enum neo_code make_policies(const struct reading *r, struct neo_attest_policies **ret,
                                   struct neo_error *err)
{
    struct neo_document documents[ARG_LIST_MAX];

    for (size_t i = 0; i < r->from->attestation.n; i++)
        documents[i] = (struct neo_document){neo_text(r->from->attestation.at[i]),
                                             neo_buffer_bytes(&r->files[i])};
    return neo_attest_policies_compile(documents, r->from->attestation.n, r->from->development, ret,
                                       err);
}

static enum neo_code sum_policies(const struct reading *r, uint8_t ret[static NEO_SHA256_LEN],
                                  struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer all = {0};

    for (size_t i = 0; i < r->from->attestation.n; i++)
        if (!neo_buffer_append(&all, neo_buffer_bytes(&r->files[i])))
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the attestation");
    neo_sha256(neo_buffer_bytes(&all), ret);
    return NEO_OK;
}

static enum neo_code make_both(struct reading *r, struct ca_reading *ret, struct neo_error *err)
{
    struct ca_reading made = {.policies = NULL};

    NEO_TRY(sum_policies(r, made.sha256, err));
    NEO_TRY(make_policies(r, &made.policies, err));
    enum neo_code code = make_trust(r, &made.trust, &made.no_trust);
    if (code != NEO_OK && !r->from->begun) {
        neo_attest_policies_unref(made.policies);
        return neo_fail(err, code, "%s", made.no_trust.message);
    }
    *ret = made;
    return NEO_OK;
}

/* Not what they say: so it is tried again. */
static bool is_passing(enum neo_code code)
{
    return code == NEO_RESOURCE_EXHAUSTED || code == NEO_UNAVAILABLE;
}

/* Is it other than what was read, and the same as a look ago? */
static bool is_to_be_read(struct serve_rules *from, const uint8_t all[static NEO_SHA256_LEN])
{
    bool settled = !from->begun || memcmp(all, from->seen, NEO_SHA256_LEN) == 0;

    memcpy(from->seen, all, NEO_SHA256_LEN);
    return settled && memcmp(all, from->read, NEO_SHA256_LEN) != 0;
}

enum neo_code serve_rules_read(void *rules, struct ca_reading *ret, struct neo_error *err)
{
    NEO_CLEANUP(free_reading) struct reading *r = neo_alloc(sizeof(*r));
    struct serve_rules *from = rules;
    uint8_t all[NEO_SHA256_LEN];

    if (r == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the attestation");
    r->from = from;
    enum neo_code code = look(r, err);
    if (code != NEO_OK) {
        memset(from->seen, 0, sizeof(from->seen));
        return code;
    }
    neo_sha256(neo_bytes(r->digests, r->n_digests * NEO_SHA256_LEN), all);
    if (!is_to_be_read(from, all))
        return NEO_OK;
    memcpy(from->read, all, sizeof(all)); /* tried once, well or not */
    code = make_both(r, ret, err);
    if (is_passing(code) ||
        (code == NEO_OK && ret->trust == NULL && is_passing(ret->no_trust.code)))
        memset(from->read, 0, sizeof(from->read));
    from->begun = from->begun || code == NEO_OK;
    return code;
}
