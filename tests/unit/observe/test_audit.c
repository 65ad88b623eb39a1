/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/audit.h>
#include <neo/encoding.h>
#include <neo/json.h>
#include <neo/memory.h>

#include "observe/audit.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_THREAD__)
enum { STRIDE = 13 }; /* nothing here has threads, and this makes it slow */
#else
enum { STRIDE = 1 };
#endif

static struct neo_key *key;
static struct neo_buffer spki;

static struct neo_audit_record deny(const char *id)
{
    struct neo_audit_record r = {
        .wall_nsec = INT64_C(1772366400123456789),
        .caller = NEO_LIT("spiffe://neo.local/price-feed"),
        .target = NEO_LIT("function-service"),
        .method = NEO_LIT("neo.functions.v1.Functions/Execute"),
        .decision = "deny",
        .stage = "authorise",
        .reason = "NO_RULE_ALLOWS",
        .nearest_file = "policy/automation.yaml",
        .nearest_line = 12,
        .detail = "no rule lets price-feed call Execute",
        .trace_id = NEO_LIT("4bf92f3577b34da6a3ce929d0e0e4736"),
        .peer = NEO_LIT("127.0.0.1:40712"),
        .policy_version = "sha256:1f2e",
    };

    (void)snprintf(r.id.text, sizeof(r.id.text), "%s", id);
    return r;
}

static void append(struct neo_audit_chain *chain, struct neo_buffer *out, const char *id)
{
    struct neo_audit_record r = deny(id);

    assert_true(neo_audit_append(chain, &r, out));
}

static void checkpoint(struct neo_audit_chain *chain, struct neo_buffer *out)
{
    assert_int_equal(neo_audit_checkpoint(chain, 1, key, out, NULL), NEO_OK);
    assert_int_equal(chain->checkpoint, chain->sequence);
}

/* At least `size` bytes of log with a checkpoint every `lines` lines and at its end. */
static struct neo_buffer make_log(size_t size, unsigned lines)
{
    struct neo_buffer log = {0};
    struct neo_audit_chain chain;

    neo_audit_chain_init(&chain);
    while (log.len < size) {
        append(&chain, &log, neo_decision_id_new().text);
        if (chain.sequence % lines == 0)
            checkpoint(&chain, &log);
    }
    checkpoint(&chain, &log);
    return log;
}

static enum neo_code verify(struct neo_bytes text)
{
    struct neo_audit_chain chain = {.sequence = 77};
    struct neo_error err;
    enum neo_code code = neo_audit_verify(text, neo_buffer_bytes(&spki), &chain, &err);

    if (code != NEO_OK)
        assert_int_equal(chain.sequence, 77);
    return code;
}

/* The `n`-th line with its newline, counted from 1. */
static struct neo_bytes line(const struct neo_buffer *log, size_t n)
{
    const uint8_t *at = log->at;

    for (; n > 1; n--)
        at = (const uint8_t *)memchr(at, '\n', log->len) + 1;
    return neo_bytes(at, (size_t)((const uint8_t *)memchr(at, '\n', 100000) - at) + 1);
}

TEST(a_record_always_has_the_same_bytes)
{
    struct neo_buffer out = {0};
    struct neo_audit_chain chain;
    struct neo_audit_record r = deny("d-0123456789abcdef");

    neo_audit_chain_init(&chain);
    r.rule_file = "a.yaml";
    r.rule_line = 3;
    r.evidence = "e0e1";
    assert_true(neo_audit_append(&chain, &r, &out));
    static const char want[] =
        "{\"seq\":1,\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\","
        "\"ts\":\"2026-03-01T12:00:00.123456789Z\",\"id\":\"d-0123456789abcdef\","
        "\"decision\":\"deny\",\"stage\":\"authorise\",\"reason\":\"NO_RULE_ALLOWS\","
        "\"caller\":\"spiffe://neo.local/price-feed\",\"target\":\"function-service\","
        "\"method\":\"neo.functions.v1.Functions/Execute\",\"rule\":\"a.yaml:3\","
        "\"nearest\":\"policy/automation.yaml:12\","
        "\"detail\":\"no rule lets price-feed call Execute\","
        "\"trace\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"peer\":\"127.0.0.1:40712\","
        "\"policy\":\"sha256:1f2e\",\"evidence\":\"e0e1\"";
    assert_true(neo_bytes_starts(neo_buffer_bytes(&out), NEO_LIT(want)));

    uint8_t hash[NEO_SHA256_LEN];
    struct neo_buffer rest = {0};
    neo_sha256(NEO_LIT(want), hash);
    assert_true(neo_buffer_append_text(&rest, ",\"hash\":\""));
    assert_true(neo_hex_encode(&rest, neo_bytes(hash, sizeof(hash))));
    assert_true(neo_buffer_append_text(&rest, "\"}\n"));
    assert_true(neo_bytes_equal(neo_bytes_from(neo_buffer_bytes(&out), sizeof(want) - 1),
                                neo_buffer_bytes(&rest)));
    neo_buffer_fini(&rest);
    neo_buffer_fini(&out);
}

TEST(times_are_right_over_centuries)
{
    static const struct {
        int64_t seconds;
        const char *want;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000001Z"},
        {951782399, "2000-02-28T23:59:59.000000001Z"},
        {951782400, "2000-02-29T00:00:00.000000001Z"},
        {951868800, "2000-03-01T00:00:00.000000001Z"},
        {4107542400, "2100-03-01T00:00:00.000000001Z"}, /* 2100 has no leap day */
        {4107542399, "2100-02-28T23:59:59.000000001Z"},
        {1767225599, "2025-12-31T23:59:59.000000001Z"},
        {-1, "1969-12-31T23:59:59.000000001Z"},
        {-2203891200, "1900-03-01T00:00:00.000000001Z"},
    };

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        struct neo_buffer out = {0};
        struct neo_audit_chain chain;
        struct neo_audit_record r = deny("d-1");

        neo_audit_chain_init(&chain);
        r.wall_nsec = cases[i].seconds * 1000000000 + 1;
        assert_true(neo_audit_append(&chain, &r, &out));
        assert_true(neo_buffer_append_byte(&out, 0));
        if (strstr((const char *)out.at, cases[i].want) == NULL)
            fail_msg("not %s: %s", cases[i].want, (const char *)out.at);
        neo_buffer_fini(&out);
    }
}

/* Bytes as the reader gives them back: each is the code point of its value. */
static void assert_same_bytes(struct neo_bytes got, struct neo_bytes sent)
{
    size_t at = 0;

    for (size_t i = 0; i < sent.len; i++) {
        assert_true(at < got.len);
        unsigned c = got.at[at++];
        if (c >= 0x80)
            c = (c & 3u) << 6 | (got.at[at++] & 0x3fu);
        assert_int_equal(c, sent.at[i]);
    }
    assert_int_equal(at, got.len);
}

static struct neo_bytes member(struct neo_bytes text, const char *name, struct neo_arena *arena)
{
    struct neo_json r;
    struct neo_bytes found = {0}, k;

    neo_json_init(&r, text, "audit", arena);
    assert_true(neo_json_enter_object(&r));
    while (neo_json_key(&r, &k))
        if (neo_bytes_is(k, name))
            assert_true(neo_json_string(&r, &found));
        else
            assert_true(neo_json_skip(&r));
    assert_int_equal(neo_json_finish(&r, NULL), NEO_OK);
    return found;
}

TEST(whatever_is_in_a_field_comes_back_and_stays_on_its_line)
{
    enum { ROUNDS = 5000 };
    uint64_t seed = 50;
    struct neo_audit_chain chain;

    neo_audit_chain_init(&chain);
    for (int i = 0; i < ROUNDS; i++) {
        static const char *const nasty[] = {
            "\n{\"seq\":1}",           "\x1b[2J",        "\xe2\x80\xae", "\xff\xfe",
            "\",\"decision\":\"allow", "\\\",\"id\":\"", "\\u0041",      "",
        };
        uint8_t method[64], peer[256], caller[8];
        struct neo_buffer out = {0};
        struct neo_arena arena;
        struct neo_audit_record r = deny("d-0123456789abcdef");

        for (size_t k = 0; k < sizeof(method); k++)
            method[k] = (uint8_t)unit_random(&seed, 256);
        for (size_t k = 0; k < sizeof(peer); k++)
            peer[k] = (uint8_t)(i + (int)k);
        memcpy(caller, method, sizeof(caller));
        r.method = neo_bytes(method, (size_t)unit_random(&seed, sizeof(method)));
        r.peer = neo_bytes(peer, 1 + (size_t)unit_random(&seed, sizeof(peer)));
        r.caller = neo_bytes(caller, (size_t)unit_random(&seed, sizeof(caller)));
        r.detail = nasty[(size_t)i % NEO_COUNT(nasty)];

        assert_true(neo_audit_append(&chain, &r, &out));
        for (size_t k = 0; k < out.len - 1; k++)
            assert_in_range(out.at[k], 0x20, 0x7e);
        assert_int_equal(out.at[out.len - 1], '\n');

        struct neo_bytes text = neo_bytes(out.at, out.len - 1);
        neo_arena_init(&arena, 1 << 20);
        assert_same_bytes(member(text, "method", &arena), r.method);
        assert_same_bytes(member(text, "peer", &arena), r.peer);
        assert_same_bytes(member(text, "caller", &arena), r.caller);
        assert_same_bytes(member(text, "detail", &arena), neo_text(r.detail));
        assert_true(neo_bytes_is(member(text, "decision", &arena), "deny"));
        neo_arena_fini(&arena);
        neo_buffer_fini(&out);
    }
}

TEST(a_long_field_is_cut_and_says_so)
{
    static uint8_t huge[1 << 20];
    char exact[257];
    struct neo_buffer out = {0};
    struct neo_audit_chain chain;
    struct neo_arena arena;
    struct neo_audit_record r = deny("d-1");

    memset(huge, 0xff, sizeof(huge));
    memset(exact, 'x', 256);
    exact[256] = '\0';
    neo_audit_chain_init(&chain);
    /* All fields at their longest: the body still has room. */
    r.caller = r.target = r.method = r.peer = r.trace_id = neo_bytes(huge, sizeof(huge));
    huge[sizeof(huge) - 1] = 0;
    r.decision = r.stage = r.reason = r.rule_file = r.nearest_file = r.policy_version = r.evidence =
        (const char *)huge;
    r.rule_line = r.nearest_line = UINT32_MAX;
    r.detail = exact;
    memset(r.id.text, 'x', sizeof(r.id.text)); /* not even terminated */
    r.wall_nsec = INT64_MIN;
    assert_true(neo_audit_append(&chain, &r, &out));
    neo_arena_init(&arena, 1 << 20);
    struct neo_bytes text = neo_bytes(out.at, out.len - 1);
    struct neo_bytes caller = member(text, "caller", &arena);
    assert_int_equal(caller.len, 253 * 2 + 3);
    assert_memory_equal(caller.at + caller.len - 3, "...", 3);
    assert_true(neo_bytes_is(member(text, "detail", &arena), exact));
    assert_int_equal(member(text, "id", &arena).len, sizeof(r.id.text));
    neo_arena_fini(&arena);
    neo_buffer_fini(&out);
}

TEST(a_whole_log_verifies_and_continues)
{
    struct neo_buffer log = make_log(20000, 7);
    struct neo_audit_chain chain;

    assert_int_equal(
        neo_audit_verify(neo_buffer_bytes(&log), neo_buffer_bytes(&spki), &chain, NULL), NEO_OK);
    assert_true(chain.sequence > 30);
    assert_int_equal(chain.checkpoint, chain.sequence);
    append(&chain, &log, "d-next");
    assert_int_equal(
        neo_audit_verify(neo_buffer_bytes(&log), neo_buffer_bytes(&spki), &chain, NULL), NEO_OK);
    assert_int_equal(chain.checkpoint, chain.sequence - 1);
    assert_int_equal(neo_audit_verify(neo_buffer_bytes(&log), neo_bytes(NULL, 0), &chain, NULL),
                     NEO_OK);
    assert_int_equal(verify(neo_bytes(NULL, 0)), NEO_OK);
    neo_buffer_fini(&log);
}

TEST(any_single_changed_byte_is_found)
{
    struct neo_buffer log = make_log(64 * 1024, 1000);
    uint64_t seed = 60;

    for (size_t i = 0; i < log.len; i += STRIDE) {
        uint8_t flip =
            (uint8_t)(i % 2 == 0 ? 1u << unit_random(&seed, 8) : 1 + unit_random(&seed, 255));
        log.at[i] ^= flip;
        if (verify(neo_buffer_bytes(&log)) != NEO_DATA_LOSS)
            fail_msg("byte %zu changed by %02x unseen", i, flip);
        log.at[i] ^= flip;
    }
    assert_int_equal(verify(neo_buffer_bytes(&log)), NEO_OK);
    neo_buffer_fini(&log);
}

TEST(any_change_of_any_byte_is_found_with_and_without_the_key)
{
    struct neo_buffer log = make_log(8 * 1024, 7);
    struct neo_audit_chain chain;

    for (size_t i = 0; i < log.len; i += STRIDE)
        for (unsigned flip = 1; flip < 256; flip += 51) {
            log.at[i] ^= (uint8_t)flip;
            assert_int_equal(
                neo_audit_verify(neo_buffer_bytes(&log), neo_bytes(NULL, 0), &chain, NULL),
                NEO_DATA_LOSS);
            if (flip == 1)
                assert_int_equal(verify(neo_buffer_bytes(&log)), NEO_DATA_LOSS);
            log.at[i] ^= (uint8_t)flip;
        }
    neo_buffer_fini(&log);
}

TEST(any_cut_within_a_line_is_found)
{
    struct neo_buffer log = make_log(6000, 7);

    for (size_t len = 1; len < log.len; len++) {
        bool whole_lines = log.at[len - 1] == '\n';
        uint8_t *exact = malloc(len);
        memcpy(exact, log.at, len);
        assert_int_equal(verify(neo_bytes(exact, len)), whole_lines ? NEO_OK : NEO_DATA_LOSS);
        free(exact);
        if (len > 1)
            assert_int_equal(verify(neo_bytes(log.at + len, log.len - len)), NEO_DATA_LOSS);
    }
    neo_buffer_fini(&log);
}

TEST(a_deleted_repeated_or_moved_line_is_found)
{
    struct neo_buffer log = make_log(10000, 7);
    struct neo_audit_chain chain;

    assert_int_equal(neo_audit_verify(neo_buffer_bytes(&log), neo_bytes(NULL, 0), &chain, NULL),
                     NEO_OK);
    for (size_t n = 1; n < chain.sequence; n++) {
        struct neo_bytes one = line(&log, n);
        struct neo_bytes next = line(&log, n + 1);
        size_t before = (size_t)(one.at - log.at);
        struct neo_buffer changed = {0};

        assert_true(neo_buffer_append(&changed, neo_bytes(log.at, before)));
        assert_true(neo_buffer_append(&changed, neo_bytes(next.at, log.len - before - one.len)));
        assert_int_equal(verify(neo_buffer_bytes(&changed)), NEO_DATA_LOSS);

        neo_buffer_clear(&changed);
        assert_true(neo_buffer_append(&changed, neo_bytes(log.at, before + one.len)));
        assert_true(neo_buffer_append(&changed, neo_bytes(one.at, log.len - before)));
        assert_int_equal(verify(neo_buffer_bytes(&changed)), NEO_DATA_LOSS);

        neo_buffer_clear(&changed);
        assert_true(neo_buffer_append(&changed, neo_bytes(log.at, before)));
        assert_true(neo_buffer_append(&changed, next));
        assert_true(neo_buffer_append(&changed, one));
        assert_true(neo_buffer_append(
            &changed, neo_bytes(next.at + next.len, log.len - before - one.len - next.len)));
        assert_int_equal(verify(neo_buffer_bytes(&changed)), NEO_DATA_LOSS);
        neo_buffer_fini(&changed);
    }
    neo_buffer_fini(&log);
}

TEST(who_rewrites_the_whole_chain_cannot_sign_it)
{
    struct neo_buffer forged = {0};
    struct neo_key *other;
    struct neo_audit_chain chain;
    struct neo_error err;

    /* With a key of their own. */
    assert_int_equal(neo_key_generate(NEO_KEY_ED25519, &other, NULL), NEO_OK);
    neo_audit_chain_init(&chain);
    append(&chain, &forged, "d-1");
    assert_int_equal(neo_audit_checkpoint(&chain, 1, other, &forged, NULL), NEO_OK);
    assert_int_equal(
        neo_audit_verify(neo_buffer_bytes(&forged), neo_buffer_bytes(&spki), &chain, &err),
        NEO_DATA_LOSS);
    assert_non_null(strstr(err.message, "another key"));
    neo_key_unref(other);

    /* Without checkpoints. */
    neo_buffer_clear(&forged);
    neo_audit_chain_init(&chain);
    for (int i = 0; i < NEO_AUDIT_CHECKPOINT_RECORDS; i++)
        append(&chain, &forged, "d-1");
    assert_int_equal(verify(neo_buffer_bytes(&forged)), NEO_OK);
    append(&chain, &forged, "d-1");
    assert_int_equal(
        neo_audit_verify(neo_buffer_bytes(&forged), neo_buffer_bytes(&spki), &chain, &err),
        NEO_DATA_LOSS);
    assert_non_null(strstr(err.message, "missing"));
    neo_buffer_fini(&forged);
}

static void put_hex_hash(struct neo_buffer *out, struct neo_bytes text)
{
    uint8_t hash[NEO_SHA256_LEN];

    neo_sha256(text, hash);
    assert_true(neo_hex_encode(out, neo_bytes(hash, sizeof(hash))));
}

/* A line whose hash is right, whatever is in it. */
static enum neo_code verify_alone(const char *hashed)
{
    struct neo_buffer text = {0};
    struct neo_audit_chain chain;

    assert_true(neo_buffer_append_text(&text, hashed));
    assert_true(neo_buffer_append_text(&text, ",\"hash\":\""));
    put_hex_hash(&text, neo_text(hashed));
    assert_true(neo_buffer_append_text(&text, "\"}\n"));
    enum neo_code code =
        neo_audit_verify(neo_buffer_bytes(&text), neo_bytes(NULL, 0), &chain, NULL);
    neo_buffer_fini(&text);
    return code;
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

TEST(a_line_has_one_form)
{
    static const char *const wrong[] = {
        "",
        "{\"seq\":1",
        "{\"seq\":,\"prev\":\"" ZEROS "\",\"x\":1",
        "{\"seq\":0,\"prev\":\"" ZEROS "\",\"x\":1",
        "{\"seq\":01,\"prev\":\"" ZEROS "\",\"x\":1",
        "{\"seq\":+1,\"prev\":\"" ZEROS "\",\"x\":1",
        "{\"seq\": 1,\"prev\":\"" ZEROS "\",\"x\":1",
        "{\"seq\":1 ,\"prev\":\"" ZEROS "\",\"x\":1",
        "{\"seq\":18446744073709551617,\"prev\":\"" ZEROS "\",\"x\":1",
        "{\"seq\":1,\"prev\":\"0" ZEROS "\",\"x\":1",
        "{\"seq\":1,\"prev\":\"" ZEROS "\"",
        "{\"seq\":2,\"prev\":\"" ZEROS "\",\"x\":1",
        "{\"seq\":1,\"ts\":1,\"prev\":\"" ZEROS "\",\"x\":1",
        "{\"seq\":1,\"prev\":\"" ZEROS "\",\"ts\":\"2026-03-01T12:00:00.123456789Z\","
        "\"checkpoint\":\"\"",
        "{\"seq\":1,\"prev\":\"" ZEROS "\",\"ts\":\"2026-03-01T12:00:00.123456789Z\","
        "\"checkpoint\":\"" ZEROS "\",\"sig\":\"0\"",
        "{\"seq\":1,\"prev\":\"" ZEROS "\",\"ts\":\"2026-03-01T12:00:00.123456789Z\","
        "\"checkpoint\":\"" ZEROS "\",\"sig\":\"0g\"",
    };

    assert_int_equal(verify_alone("{\"seq\":1,\"prev\":\"" ZEROS "\",\"x\":1"), NEO_OK);
    for (size_t i = 0; i < NEO_COUNT(wrong); i++)
        if (verify_alone(wrong[i]) != NEO_DATA_LOSS)
            fail_msg("accepted: %s", wrong[i]);
}

TEST(a_note_is_a_time_and_a_number)
{
    char body[AUDIT_BODY_MAX];
    size_t len = audit_put_note(0, "lost", 12, body);

    assert_true(neo_bytes_is(neo_bytes(body, len),
                             "\"ts\":\"1970-01-01T00:00:00.000000000Z\",\"lost\":12"));
}

TEST(a_checkpoint_signs_everything_before_it)
{
    /* A record is changed and all hashes are made anew; the old signature is kept. */
    static const char hash_field[] = ",\"hash\":\"";
    struct neo_buffer log = {0}, forged = {0};
    struct neo_audit_chain chain;
    struct neo_error err;

    neo_audit_chain_init(&chain);
    append(&chain, &log, "d-1");
    checkpoint(&chain, &log);
    for (size_t n = 1; n <= 2; n++) {
        struct neo_bytes old = line(&log, n);
        size_t start = forged.len;
        char previous[65] = {0};

        memset(previous, '0', 64);
        if (n == 2)
            memcpy(previous, forged.at + start - 67, 64);
        assert_true(neo_buffer_append(&forged, neo_bytes(old.at, old.len - 76)));
        memcpy(forged.at + start + strlen("{\"seq\":1,\"prev\":\""), previous, 64);
        uint8_t *change = memmem(forged.at + start, forged.len - start, "deny", 4);
        if (change != NULL)
            memcpy(change, "alow", 4);
        struct neo_bytes hashed = neo_bytes(forged.at + start, forged.len - start);
        struct neo_buffer hash = {0};
        put_hex_hash(&hash, hashed);
        assert_true(neo_buffer_append_text(&forged, hash_field));
        assert_true(neo_buffer_append(&forged, neo_buffer_bytes(&hash)));
        assert_true(neo_buffer_append_text(&forged, "\"}\n"));
        neo_buffer_fini(&hash);
    }
    assert_int_equal(neo_audit_verify(neo_buffer_bytes(&forged), neo_bytes(NULL, 0), &chain, &err),
                     NEO_OK); /* the chain alone holds together ... */
    assert_int_equal(
        neo_audit_verify(neo_buffer_bytes(&forged), neo_buffer_bytes(&spki), &chain, &err),
        NEO_DATA_LOSS); /* ... but the signature does not */
    assert_non_null(strstr(err.message, "signature"));
    neo_buffer_fini(&forged);
    neo_buffer_fini(&log);
}

TEST(a_message_names_the_line)
{
    struct neo_buffer log = make_log(5000, 7);
    struct neo_audit_chain chain;
    struct neo_error err;
    uint8_t *third = log.at + (line(&log, 3).at - log.at);

    third[200] ^= 1;
    assert_int_equal(neo_audit_verify(neo_buffer_bytes(&log), neo_bytes(NULL, 0), &chain, &err),
                     NEO_DATA_LOSS);
    assert_non_null(strstr(err.message, "line 3"));
    neo_buffer_fini(&log);
}

TEST(a_decision_is_found_by_its_id)
{
    struct neo_buffer log = {0};
    struct neo_audit_chain chain;

    neo_audit_chain_init(&chain);
    append(&chain, &log, "d-1111111111111111");
    struct neo_audit_record sly = deny("d-2222222222222222");
    sly.detail = "\",\"id\":\"d-3333333333333333\"";
    assert_true(neo_audit_append(&chain, &sly, &log));
    append(&chain, &log, "d-3333333333333333");

    struct neo_bytes text = neo_buffer_bytes(&log);
    struct neo_bytes found = neo_audit_find(text, "d-3333333333333333");
    assert_true(neo_bytes_starts(found, NEO_LIT("{\"seq\":3,")));
    assert_int_equal(found.at[found.len - 1], '}');
    found = neo_audit_find(text, "d-1111111111111111");
    assert_true(neo_bytes_starts(found, NEO_LIT("{\"seq\":1,")));
    static const char *const none[] = {
        "d-4444444444444444", "d-1", "", "\"", "\n", "d-1111111111111111d-1111111111111111"};
    for (size_t i = 0; i < NEO_COUNT(none); i++)
        assert_int_equal(neo_audit_find(text, none[i]).len, 0);
    assert_int_equal(neo_audit_find(neo_bytes(NULL, 0), "d-1111111111111111").len, 0);
    neo_buffer_fini(&log);
}

TEST(ids_of_decisions_have_their_form_and_do_not_repeat)
{
    enum { N = 1000 };
    static struct neo_decision_id ids[N];

    for (size_t i = 0; i < N; i++) {
        ids[i] = neo_decision_id_new();
        assert_int_equal(strlen(ids[i].text), 18);
        assert_int_equal(strspn(ids[i].text + 2, "0123456789abcdef"), 16);
        assert_memory_equal(ids[i].text, "d-", 2);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(ids[i].text, ids[k].text);
    }
}

TEST(a_full_buffer_changes_nothing)
{
    struct neo_audit_chain chain;
    struct neo_buffer log = {0};

    neo_audit_chain_init(&chain);
    append(&chain, &log, "d-1");
    for (unsigned long n = 1;; n++) {
        struct neo_audit_chain before = chain;
        struct neo_audit_record r = deny("d-2");
        struct neo_buffer out = {0};

        neo_memory_fail_at(n);
        bool appended = neo_audit_append(&chain, &r, &out);
        neo_memory_fail_at(0);
        if (appended) {
            assert_true(neo_buffer_append(&log, neo_buffer_bytes(&out)));
            neo_buffer_fini(&out);
            break;
        }
        assert_memory_equal(&chain, &before, sizeof(chain));
        assert_int_equal(out.len, 0);
    }
    for (unsigned long n = 1;; n++) {
        struct neo_audit_chain before = chain;
        struct neo_buffer out = {0};

        neo_memory_fail_at(n);
        enum neo_code code = neo_audit_checkpoint(&chain, 1, key, &out, NULL);
        neo_memory_fail_at(0);
        if (code == NEO_OK) {
            assert_true(neo_buffer_append(&log, neo_buffer_bytes(&out)));
            neo_buffer_fini(&out);
            break;
        }
        assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
        assert_memory_equal(&chain, &before, sizeof(chain));
        assert_int_equal(out.len, 0);
        neo_buffer_fini(&out);
    }
    assert_int_equal(verify(neo_buffer_bytes(&log)), NEO_OK);
    neo_buffer_fini(&log);
}

static int make_key(void **state)
{
    (void)state;
    return neo_key_generate(NEO_KEY_ED25519, &key, NULL) == NEO_OK &&
                   neo_key_spki(key, &spki, NULL) == NEO_OK
               ? 0
               : -1;
}

static int drop_key(void **state)
{
    (void)state;
    neo_key_unref(key);
    neo_buffer_fini(&spki);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_always_has_the_same_bytes),
        cmocka_unit_test(times_are_right_over_centuries),
        cmocka_unit_test(whatever_is_in_a_field_comes_back_and_stays_on_its_line),
        cmocka_unit_test(a_long_field_is_cut_and_says_so),
        cmocka_unit_test(a_whole_log_verifies_and_continues),
        cmocka_unit_test(any_single_changed_byte_is_found),
        cmocka_unit_test(any_change_of_any_byte_is_found_with_and_without_the_key),
        cmocka_unit_test(any_cut_within_a_line_is_found),
        cmocka_unit_test(a_deleted_repeated_or_moved_line_is_found),
        cmocka_unit_test(who_rewrites_the_whole_chain_cannot_sign_it),
        cmocka_unit_test(a_line_has_one_form),
        cmocka_unit_test(a_note_is_a_time_and_a_number),
        cmocka_unit_test(a_checkpoint_signs_everything_before_it),
        cmocka_unit_test(a_message_names_the_line),
        cmocka_unit_test(a_decision_is_found_by_its_id),
        cmocka_unit_test(ids_of_decisions_have_their_form_and_do_not_repeat),
        cmocka_unit_test(a_full_buffer_changes_nothing),
    };
    return cmocka_run_group_tests_name("observe/audit", tests, make_key, drop_key);
}
