/* SPDX-License-Identifier: Apache-2.0 */
/*
 * T01 - T09: what can be done to a running server with TLS. What a stranger may not get is a call
 * that is handled; the control is the same client without its fault, and its call is.
 */
#include "matrix.h"

#include <neo/loop.h>

#include <stdio.h>
#include <stdlib.h>

enum { ALERT_RECORD = 21, DATA_RECORD = 23 };

/* Connects so, and makes a good call. Appends the alert that came to `said`. */
void attack_call_as(const struct raw_options *tls, char *said, size_t room)
{
    struct neo_buffer out = {0};
    struct link l;
    size_t used = strlen(said);

    (void)link_open(&l, stage_address(), tls);
    frames_preface(&out);
    put_call(&out, 1, "Never");
    unsigned before = stage_handlers();
    (void)attack_send(&l, &out);
    for (int i = 0; i < 60 && l.raw->alert < 0 && !l.closed && stage_handlers() == before; i++)
        link_read(&l, 50);
    if (l.raw->alert >= 0)
        (void)snprintf(said + used, room - used, "%d ", l.raw->alert);
    else
        (void)snprintf(said + used, room - used, l.closed ? "closed " : "- ");
    neo_buffer_fini(&out);
    link_close(&l);
}

static void judge_calls(struct report *r, const char *said)
{
    r->through = stage_handlers() > 0;
    attack_say(r, "%u handlers; alerts %s", stage_handlers(), said);
}

/* Carries bytes between two of plain OpenSSL until all that a handshake has is said. */
static void join(struct raw *client, struct raw *server)
{
    struct neo_buffer there = {0}, back = {0};

    for (int i = 0; i < 4; i++) {
        neo_buffer_clear(&there);
        raw_run(client, neo_buffer_bytes(&back), &there);
        neo_buffer_clear(&back);
        raw_run(server, neo_buffer_bytes(&there), &back);
    }
    neo_buffer_fini(&there);
    neo_buffer_fini(&back);
}

/* A server of plain OpenSSL that checks nothing opens a connection with such a client. */
static bool is_taken_by_openssl(const struct raw_options *tls)
{
    const struct raw_options lax = {.is_server = true,
                                    .cert = stage_cert(),
                                    .alpn = "",
                                    .min_version = TLS1_VERSION,
                                    .certs_most = 1 << 24};
    struct raw *server = raw_new(&lax), *client = raw_new(tls);

    join(client, server);
    bool taken = !server->failed && SSL_is_init_finished(server->ssl) == 1;
    raw_free(server);
    raw_free(client);
    return taken;
}

/* Each in its turn. The control: an unguarded server takes each, and ours one without any fault. */
static void call_as_each(struct report *r, const struct raw_options *tls, size_t n)
{
    const struct raw_options good = stage_tls();
    char said[128] = "";
    size_t taken = 0;

    for (size_t i = 0; i < n; i++)
        if (r->control)
            taken += is_taken_by_openssl(&tls[i]);
        else
            attack_call_as(&tls[i], said, sizeof(said));
    if (!r->control) {
        judge_calls(r, said);
        return;
    }
    attack_call_as(&good, said, sizeof(said));
    r->through = taken == n && stage_handlers() == 1;
    attack_say(r, "plain OpenSSL: %zu of %zu", taken, n);
}

/* The alert that answers this ClientHello; -1: none. */
static int alert_for(struct neo_bytes hello)
{
    struct link l;
    int alert = -1;

    (void)link_connect(&l, stage_address());
    (void)link_send_raw(&l, hello);
    (void)link_wait_closed(&l, 2000);
    if (l.closed && l.in.len >= 7 && l.in.at[0] == ALERT_RECORD)
        alert = l.in.at[6];
    link_close(&l);
    return alert;
}

/* --- T01: downgrade ------------------------------------------------------------------------------
 */

static void good_call(struct report *r)
{
    const struct raw_options tls = stage_tls();
    char said[64] = "";

    attack_call_as(&tls, said, sizeof(said));
    r->through = stage_handlers() == 1;
    attack_say(r, "a good one is handled");
}

/* What OpenSSL would not say: the ClientHello of another, with these bytes in place of those. */
static int alert_for_forged(const struct raw_options *tls, struct neo_bytes find,
                            struct neo_bytes put)
{
    struct raw *raw = raw_new(tls);
    struct neo_buffer hello = {0};
    size_t found = 0;
    int alert;

    raw_run(raw, (struct neo_bytes){0}, &hello);
    for (size_t i = 0; i + find.len <= hello.len; i++)
        if (memcmp(hello.at + i, find.at, find.len) == 0) {
            memcpy(hello.at + i, put.at, put.len);
            found++;
        }
    alert = found == 0 ? -2 : alert_for(neo_buffer_bytes(&hello));
    neo_buffer_fini(&hello);
    raw_free(raw);
    return alert;
}

/* Neither record nor hello nor extension says more than SSLv3; only SHA-1 for signatures. */
static void forged_downgrade(struct report *r)
{
    struct raw_options old = stage_tls(), sha = stage_tls();
    struct neo_bytes schemes = NEO_LIT("\0\x0d\0\4\0\2\4\3"), sha_1 = NEO_LIT("\0\x0d\0\4\0\2\2\3");

    old.min_version = old.max_version = TLS1_VERSION;
    sha.signatures = "ECDSA+SHA256";
    if (r->control) {
        good_call(r);
        return;
    }
    int ssl_3 = alert_for_forged(&old, NEO_LIT("\3\1"), NEO_LIT("\3\0"));
    int only_sha_1 = alert_for_forged(&sha, schemes, sha_1);
    r->through = ssl_3 < 0 || only_sha_1 < 0 || stage_handlers() > 0;
    attack_say(r, "alerts %d %d", ssl_3, only_sha_1);
}

static void downgrade(struct report *r)
{
    const struct pki_options sha_1 = {.digest = "SHA1"};
    struct raw_options tls[5];

    for (size_t i = 0; i < NEO_COUNT(tls); i++)
        tls[i] = stage_tls();
    tls[0].min_version = tls[0].max_version = TLS1_2_VERSION;
    tls[1].min_version = tls[1].max_version = TLS1_1_VERSION;
    tls[2].min_version = tls[2].max_version = TLS1_VERSION;
    tls[3].groups = "P-521";
    tls[4].cert = pki_make(stage_pki(), pki_issuer(stage_pki()), "attacker-service", &sha_1);
    call_as_each(r, tls, NEO_COUNT(tls));
}

/* --- T02, T03: resumption and early data ---------------------------------------------------------
 */

/* A session with early data, from a server that gives them. */
static SSL_SESSION *session_of(struct raw *server, struct raw *client)
{
    join(client, server);
    SSL_SESSION *session = client->session;
    if (session == NULL)
        exit(2);
    client->session = NULL;
    return session;
}

/* Plain OpenSSL asks about a certificate once, and after that takes the ticket for it. */
static void resume_with_openssl(struct report *r)
{
    const struct raw_options giving = {.is_server = true, .cert = stage_cert(), .tickets = true};
    const struct raw_options taking = stage_tls();
    struct raw *server = raw_new(&giving), *client = raw_new(&taking);
    SSL_SESSION *session = session_of(server, client);
    unsigned judged = server->judged;

    raw_renew(server, NULL);
    raw_renew(client, session);
    join(client, server);
    bool again = !server->failed && SSL_session_reused(server->ssl) == 1;
    r->through = again && judged == 1 && server->judged == judged;
    attack_say(r, "plain OpenSSL: resumed, asked %u time", server->judged);
    SSL_SESSION_free(session);
    raw_free(server);
    raw_free(client);
}

/* After the revocation nothing of the first connection may be of use. */
static void resume(struct report *r)
{
    struct raw_options tls = stage_tls();
    struct neo_buffer out = {0};
    char said[128] = "";
    struct link l;

    if (r->control) {
        resume_with_openssl(r);
        return;
    }
    attack_open(&l);
    put_call(&out, 1, "Never");
    (void)attack_send(&l, &out);
    (void)stage_wait_handlers(1);
    link_read(&l, 50);
    bool ticket = l.raw->session != NULL;
    tls.resume = l.raw->session;
    l.raw->session = NULL;
    stage_revoke();
    (void)link_wait_closed(&l, 2000);
    attack_call_as(&tls, said, sizeof(said));
    r->through = ticket || stage_handlers() != 1;
    attack_say(r, "%s; again: alert %s", ticket ? "a ticket" : "no ticket", said);
    SSL_SESSION_free(tls.resume);
    neo_buffer_fini(&out);
    link_close(&l);
}

enum { REPLAYS = 100 };

/* What a client with this session sends before it has heard anything: a call. */
static void capture(struct raw *client, struct neo_buffer *ret)
{
    struct neo_buffer call = {0};
    size_t n = 0;

    frames_preface(&call);
    put_call(&call, 1, "Never");
    if (SSL_write_early_data(client->ssl, call.at, call.len, &n) != 1)
        exit(2);
    raw_run(client, (struct neo_bytes){0}, ret);
    neo_buffer_fini(&call);
}

/* As a server without a memory of what it has had, or one of several that share their keys. */
static void replay_to_openssl(struct report *r)
{
    const struct raw_options giving = {
        .is_server = true, .cert = stage_cert(), .tickets = true, .replays = true};
    const struct raw_options taking = stage_tls();
    struct raw *server = raw_new(&giving), *client = raw_new(&taking);
    SSL_SESSION *session = session_of(server, client);
    struct neo_buffer captured = {0};
    unsigned taken = 0;

    raw_renew(client, session);
    capture(client, &captured);
    for (int i = 0; i < REPLAYS; i++) {
        uint8_t heard[1024];
        size_t n = 0;
        raw_renew(server, NULL);
        (void)BIO_write(SSL_get_rbio(server->ssl), captured.at, (int)captured.len);
        taken += SSL_read_early_data(server->ssl, heard, sizeof(heard), &n) ==
                     SSL_READ_EARLY_DATA_SUCCESS &&
                 n > 0;
    }
    r->through = taken == REPLAYS;
    attack_say(r, "plain OpenSSL: %u of %d read", taken, REPLAYS);
    neo_buffer_fini(&captured);
    SSL_SESSION_free(session);
    raw_free(server);
    raw_free(client);
}

/* The same early data a hundred times. */
static void early_data(struct report *r)
{
    const struct raw_options giving = {.is_server = true, .cert = stage_cert(), .tickets = true};
    const struct raw_options taking = stage_tls();
    struct neo_buffer captured = {0};
    size_t refused = 0;

    if (r->control) {
        replay_to_openssl(r);
        return;
    }
    struct raw *server = raw_new(&giving), *client = raw_new(&taking);
    SSL_SESSION *session = session_of(server, client);
    raw_renew(client, session);
    capture(client, &captured);
    for (int i = 0; i < REPLAYS; i++) {
        struct link l;
        (void)link_connect(&l, stage_address());
        (void)link_send_raw(&l, neo_buffer_bytes(&captured));
        refused += link_wait_closed(&l, 500);
        link_close(&l);
    }
    r->through = stage_handlers() > 0;
    attack_say(r, "%zu of %d refused, %u handlers", refused, REPLAYS, stage_handlers());
    neo_buffer_fini(&captured);
    SSL_SESSION_free(session);
    raw_free(server);
    raw_free(client);
}

/* --- T05: bombs ----------------------------------------------------------------------------------
 */

static void bombs(struct report *r)
{
    static char names[10000 * 16];
    struct pki *pki = stage_pki();
    const struct pki_options many = {.san = names}, rsa = {.key = "RSA-16384"},
                             curve = {.key = "P-256 explicit"};
    size_t used = (size_t)snprintf(names, sizeof(names), "URI:spiffe://neo.test/attacker-service");
    struct raw_options tls[5];

    for (int i = 0; i < 10000 && used < sizeof(names) - 16; i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, ",DNS:n%d", i);
    for (size_t i = 0; i < NEO_COUNT(tls); i++)
        tls[i] = stage_tls();
    tls[0].copies = 100;
    tls[1].copies = 5;
    tls[2].cert = pki_make(pki, pki_issuer(pki), "attacker-service", &many);
    tls[3].cert = pki_make(pki, pki_issuer(pki), "attacker-service", &rsa);
    tls[4].cert = pki_make(pki, pki_issuer(pki), "attacker-service", &curve);
    call_as_each(r, tls, NEO_COUNT(tls));
}

/* --- T06: floods after the handshake -------------------------------------------------------------
 */

/* How many of them a server of plain OpenSSL takes. */
static unsigned openssl_key_updates(unsigned most)
{
    const struct raw_options taking = {.is_server = true, .cert = stage_cert()}, tls = stage_tls();
    struct raw *server = raw_new(&taking), *client = raw_new(&tls);
    struct neo_buffer there = {0}, back = {0};
    unsigned n = 0;

    for (; n < most && !server->failed && !client->failed; n++) {
        if (SSL_is_init_finished(client->ssl) == 1)
            (void)SSL_key_update(client->ssl, SSL_KEY_UPDATE_REQUESTED);
        neo_buffer_clear(&there);
        (void)SSL_do_handshake(client->ssl);
        raw_run(client, neo_buffer_bytes(&back), &there);
        neo_buffer_clear(&back);
        raw_run(server, neo_buffer_bytes(&there), &back);
    }
    neo_buffer_fini(&there);
    neo_buffer_fini(&back);
    raw_free(server);
    raw_free(client);
    return n;
}

static void key_updates(struct report *r)
{
    const struct raw_options tls = stage_tls();
    unsigned most = r->control ? 5 : 100000, n = 0;
    struct neo_buffer out = {0};
    struct link l;

    (void)link_open(&l, stage_address(), &tls);
    frames_preface(&out);
    (void)attack_send(&l, &out);
    for (; n < most && !l.closed; n++) {
        if (SSL_key_update(l.raw->ssl, SSL_KEY_UPDATE_REQUESTED) != 1 ||
            SSL_do_handshake(l.raw->ssl) != 1)
            break;
        raw_run(l.raw, (struct neo_bytes){0}, &l.cipher);
        if (n % 64 == 63 || n + 1 == most)
            (void)link_send_raw(&l, (struct neo_bytes){0});
    }
    r->through = !l.closed && link_is_alive(&l);
    attack_say(r, "%s after %u", l.closed ? "closed" : "alive", n);
    if (r->control) {
        unsigned taken = openssl_key_updates(2000);
        r->through = r->through && taken == 2000;
        attack_say(r, "plain OpenSSL: %u; ours: %u", taken, n);
    }
    neo_buffer_fini(&out);
    link_close(&l);
}

/* The control shows that what is forged is heard: a call. */
static void forge(struct report *r, uint8_t type, struct neo_bytes content)
{
    const struct raw_options tls = stage_tls();
    struct neo_buffer records = {0}, call = {0};
    unsigned n = 0;
    struct link l;

    (void)link_open(&l, stage_address(), &tls);
    link_read(&l, 50);
    frames_preface(&call);
    put_call(&call, 1, "Never");
    if (r->control)
        raw_forge(l.raw, DATA_RECORD, neo_buffer_bytes(&call), &records);
    for (; n < 100000 && !l.closed && !r->control; n++) {
        raw_forge(l.raw, type, content, &records);
        if (records.len < 8192)
            continue;
        (void)link_send_raw(&l, neo_buffer_bytes(&records));
        neo_buffer_clear(&records);
    }
    (void)link_send_raw(&l, neo_buffer_bytes(&records));
    if (!r->control)
        (void)link_wait_closed(&l, 3000);
    r->through = r->control ? stage_wait_handlers(1) : !l.closed;
    attack_say(r, "%s after %u, %u handlers", l.closed ? "closed" : "open", n, stage_handlers());
    neo_buffer_fini(&records);
    neo_buffer_fini(&call);
    link_close(&l);
}

static void empty_records(struct report *r)
{
    forge(r, DATA_RECORD, NEO_LIT(""));
}

static void alerts(struct report *r)
{
    forge(r, ALERT_RECORD, NEO_LIT("\x01\x5a")); /* user_canceled, a warning */
}

/* --- T07: truncation -----------------------------------------------------------------------------
 */

static void truncation(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    put_head(&out, 1, "/neo.test.v1.Echoes/Never", 0);
    frames_put(&out, FRAME_DATA, 0, 1,
               r->control ? NEO_LIT("\0\0\0\0\4\x12\2ab") : NEO_LIT("\0\0\0\0\4\x12"));
    if (r->control)
        frames_data(&out, 1, FLAG_END_STREAM, 0);
    (void)attack_send(&l, &out);
    if (r->control)
        (void)stage_wait_handlers(1);
    else
        stage_sleep(100);
    link_close(&l); /* a FIN and no close_notify */
    stage_sleep(100);
    r->through = stage_handlers() > 0;
    attack_say(r, "%u handlers", stage_handlers());
    neo_buffer_fini(&out);
}

/* --- T08, T09: names and certificates ------------------------------------------------------------
 */

static void server_names(struct report *r)
{
    struct raw_options tls[3];

    for (size_t i = 0; i < NEO_COUNT(tls); i++)
        tls[i] = stage_tls();
    tls[0].server_name = "other-service";
    tls[1].server_name = "127.0.0.1";
    tls[2].alpn = "\4smtp";
    call_as_each(r, tls, NEO_COUNT(tls));
}

static void certificates(struct report *r)
{
    struct pki *pki = stage_pki(), *other = pki_new("other.test"), *same = pki_new("neo.test");
    const struct pki_options server_only = {.extended_key_usage = "serverAuth"},
                             no_name = {.san = "DNS:attacker-service"},
                             two = {.san = "URI:spiffe://neo.test/attacker-service,"
                                           "URI:spiffe://neo.test/caller-service"},
                             over = {.not_after = PKI_FROM + 86400}, ca = {.is_ca = true};
    const char *name = "attacker-service";
    struct raw_options tls[] = {
        {.cert = NULL},
        {.cert = pki_make(pki, NULL, name, NULL)},
        {.cert = pki_make(pki, pki_issuer(pki), name, &server_only)},
        {.cert = pki_make(other, pki_issuer(other), name, NULL)},
        {.cert = pki_make(same, pki_issuer(same), name, NULL)},
        {.cert = pki_make(pki, pki_issuer(pki), name, &no_name)},
        {.cert = pki_make(pki, pki_issuer(pki), name, &two)},
        {.cert = pki_make(pki, pki_issuer(pki), name, &over)},
        {.cert = pki_make(pki, pki_issuer(pki), name, &ca)},
    };

    call_as_each(r, tls, NEO_COUNT(tls));
    pki_free(other);
    pki_free(same);
}

#define TWIN .same_server = true

const struct row rows_tls[] = {
    {"T01", "TLS 1.2, 1.1, 1.0, P-521, SHA-1 cert", .run = downgrade, TWIN},
    {"T01", "SSLv3, no signatures but SHA-1", .run = forged_downgrade, TWIN},
    {"T02", "a ticket after the revocation", .run = resume, TWIN, .handlers = 1},
    {"T03", "early data, 100 times", .run = early_data, TWIN},
    {"T05", "chains, 10,000 names, RSA-16384, curve", .run = bombs, TWIN},
    {"T05", "policy trees", .run = policy_trees, TWIN},
    {"T06", "KeyUpdate", .run = key_updates, TWIN},
    {"T06", "empty records", .run = empty_records, TWIN},
    {"T06", "warning alerts", .run = alerts, TWIN},
    {"T07", "FIN within a message", .run = truncation, TWIN},
    {"T08", "SNI of others, ALPN of another", .run = server_names, TWIN},
    {"T09", "9 wrong certificates", .run = certificates, TWIN},
};
const size_t n_rows_tls = NEO_COUNT(rows_tls);
