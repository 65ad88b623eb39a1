/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection is to those who look: addresses, security, counters, windows, options. */
#include "rpc/channelz.h"

#include <grpc/channelz/v1/channelz.neo.h>

#include <neo/memory.h>
#include <neo/well_known.h>

#include <arpa/inet.h>

/* --- addresses -------------------------------------------------------------------------------- */

static bool read_tcp(struct neo_arena *arena, const char *text, struct grpc_channelz_v1_Address *a)
{
    struct grpc_channelz_v1_Address_TcpIpAddress *tcp = neo_arena_calloc(arena, 1, sizeof(*tcp));
    const char *colon = strrchr(text, ':');
    bool six = text[0] == '[' && colon != NULL && colon > text + 1;
    char host[64] = "";
    uint8_t raw[16];

    if (tcp == NULL || colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return false;
    memcpy(host, text + six, (size_t)(colon - text) - 2 * six);
    if (inet_pton(six ? AF_INET6 : AF_INET, host, raw) != 1)
        return false;
    tcp->ip_address = neo_arena_copy(arena, neo_bytes(raw, six ? 16 : 4));
    for (const char *digit = colon + 1; *digit >= '0' && *digit <= '9'; digit++)
        tcp->port = tcp->port * 10 + (*digit - '0');
    a->tcpip_address = tcp;
    a->address_case = grpc_channelz_v1_Address_tcpip_address_FIELD;
    return true;
}

/* "127.0.0.1:8443", "[::1]:8443", "unix:/run/x.sock"; anything else is a name. */
static struct grpc_channelz_v1_Address *address_of(struct neo_arena *arena, const char *text)
{
    struct grpc_channelz_v1_Address *a = neo_arena_calloc(arena, 1, sizeof(*a));
    struct grpc_channelz_v1_Address_UdsAddress *uds = neo_arena_calloc(arena, 1, sizeof(*uds));
    struct grpc_channelz_v1_Address_OtherAddress *other =
        neo_arena_calloc(arena, 1, sizeof(*other));
    struct neo_bytes name = neo_text(text);

    if (a == NULL || uds == NULL || other == NULL || read_tcp(arena, text, a))
        return a;
    if (neo_bytes_starts(name, NEO_LIT("unix:"))) {
        uds->filename = neo_arena_copy(arena, neo_bytes_from(name, strlen("unix:")));
        a->uds_address = uds;
        a->address_case = grpc_channelz_v1_Address_uds_address_FIELD;
        return a;
    }
    other->name = neo_arena_copy(arena, name);
    a->other_address = other;
    a->address_case = grpc_channelz_v1_Address_other_address_FIELD;
    return a;
}

static struct grpc_channelz_v1_Address *local_of(struct neo_arena *arena, const struct conn *c)
{
    struct net_address local;

    return conn_local_address(c, &local) ? address_of(arena, local.text) : NULL;
}

/* --- security --------------------------------------------------------------------------------- */

/* A connection in cleartext has none. */
static struct grpc_channelz_v1_Security *security_of(struct neo_arena *arena, const struct tls *tls)
{
    struct grpc_channelz_v1_Security *s = neo_arena_calloc(arena, 1, sizeof(*s));
    struct grpc_channelz_v1_Security_Tls *t = neo_arena_calloc(arena, 1, sizeof(*t));

    if (s == NULL || t == NULL || tls == NULL || tls_mode(tls) == TLS_CLEARTEXT ||
        tls_peer(tls) == NULL)
        return NULL;
    t->standard_name = neo_arena_copy(arena, neo_text(tls_cipher_name(tls)));
    t->cipher_suite_case = grpc_channelz_v1_Security_Tls_standard_name_FIELD;
    if (tls_own_leaf(tls) != NULL)
        t->local_certificate = neo_arena_copy(arena, neo_cert_facts(tls_own_leaf(tls))->der);
    if (tls_peer(tls)->leaf != NULL)
        t->remote_certificate = neo_arena_copy(arena, neo_cert_facts(tls_peer(tls)->leaf)->der);
    s->tls = t;
    s->model_case = grpc_channelz_v1_Security_tls_FIELD;
    return s;
}

/* --- options ---------------------------------------------------------------------------------- */

/* What getsockopt() says, on its way into a message. */
struct listing {
    struct neo_arena *arena;
    struct grpc_channelz_v1_SocketOption **at;
    size_t n, cap;
};

static struct grpc_channelz_v1_SocketOption *add_option(struct listing *l, const char *name)
{
    struct grpc_channelz_v1_SocketOption *o = neo_arena_calloc(l->arena, 1, sizeof(*o));

    if (o == NULL || l->n == l->cap)
        return NULL;
    o->name = neo_text(name);
    l->at[l->n++] = o;
    return o;
}

static void add_text(struct listing *l, const char *name, const char *value)
{
    struct grpc_channelz_v1_SocketOption *o = add_option(l, name);

    if (o != NULL)
        o->value = neo_arena_copy(l->arena, neo_text(value));
}

static void add_number(struct listing *l, const char *name, int value)
{
    const char *text = neo_arena_printf(l->arena, "%d", value);

    if (text != NULL)
        add_text(l, name, text);
}

/* In `additional`: a message of its own. */
static void add_message(struct listing *l, const char *name, const struct neo_message_info *info,
                        const void *message)
{
    struct grpc_channelz_v1_SocketOption *o = add_option(l, name);
    struct google_protobuf_Any *any = neo_arena_calloc(l->arena, 1, sizeof(*any));

    if (o == NULL || any == NULL || neo_any_pack(info, message, any, l->arena, NULL) != NEO_OK)
        return;
    o->additional = any;
}

static void add_timeout(struct listing *l, const char *name, neo_nsec timeout)
{
    struct google_protobuf_Duration duration;
    const struct grpc_channelz_v1_SocketOptionTimeout message = {.duration = &duration};

    neo_duration_set(&duration, timeout);
    add_message(l, name, &grpc_channelz_v1_SocketOptionTimeout_info, &message);
}

static void add_linger(struct listing *l, const struct net_options *options)
{
    struct google_protobuf_Duration duration = {.seconds = options->linger};
    const struct grpc_channelz_v1_SocketOptionLinger message = {.active = options->lingers,
                                                                .duration = &duration};

    add_message(l, "SO_LINGER", &grpc_channelz_v1_SocketOptionLinger_info, &message);
}

static void add_tcp(struct listing *l, const struct net_options *options)
{
    const uint32_t *t = options->tcp;
    const struct grpc_channelz_v1_SocketOptionTcpInfo message = {
        .tcpi_state = t[0],
        .tcpi_ca_state = t[1],
        .tcpi_retransmits = t[2],
        .tcpi_probes = t[3],
        .tcpi_backoff = t[4],
        .tcpi_options = t[5],
        .tcpi_snd_wscale = t[6],
        .tcpi_rcv_wscale = t[7],
        .tcpi_rto = t[8],
        .tcpi_ato = t[9],
        .tcpi_snd_mss = t[10],
        .tcpi_rcv_mss = t[11],
        .tcpi_unacked = t[12],
        .tcpi_sacked = t[13],
        .tcpi_lost = t[14],
        .tcpi_retrans = t[15],
        .tcpi_fackets = t[16],
        .tcpi_last_data_sent = t[17],
        .tcpi_last_ack_sent = t[18],
        .tcpi_last_data_recv = t[19],
        .tcpi_last_ack_recv = t[20],
        .tcpi_pmtu = t[21],
        .tcpi_rcv_ssthresh = t[22],
        .tcpi_rtt = t[23],
        .tcpi_rttvar = t[24],
        .tcpi_snd_ssthresh = t[25],
        .tcpi_snd_cwnd = t[26],
        .tcpi_advmss = t[27],
        .tcpi_reordering = t[28],
    };

    add_text(l, "TCP_CONGESTION", options->congestion);
    add_message(l, "TCP_INFO", &grpc_channelz_v1_SocketOptionTcpInfo_info, &message);
}

static void add_options(struct neo_arena *arena, const struct conn *c,
                        struct grpc_channelz_v1_SocketData *d)
{
    enum { OTHERS = 5 }; /* linger, two timeouts, TCP_CONGESTION, TCP_INFO */
    struct listing l = {.arena = arena, .cap = NET_OPTIONS_MAX + OTHERS};
    struct net_options options;

    conn_socket_options(c, &options);
    l.at = neo_arena_calloc(arena, l.cap, sizeof(struct grpc_channelz_v1_SocketOption *));
    if (l.at == NULL || options.n == 0)
        return;
    add_linger(&l, &options);
    add_timeout(&l, "SO_RCVTIMEO", options.read_timeout);
    add_timeout(&l, "SO_SNDTIMEO", options.write_timeout);
    for (size_t i = 0; i < options.n; i++)
        add_number(&l, options.of[i].name, options.of[i].value);
    if (options.is_tcp)
        add_tcp(&l, &options);
    d->option.at = l.at;
    d->option.len = l.n;
}

/* --- the whole -------------------------------------------------------------------------------- */

static struct google_protobuf_Int64Value *number_of(struct neo_arena *arena, int64_t value)
{
    struct google_protobuf_Int64Value *n = neo_arena_calloc(arena, 1, sizeof(*n));

    if (n != NULL)
        n->value = value;
    return n;
}

static void add_windows(struct neo_arena *arena, const struct conn *c,
                        struct grpc_channelz_v1_SocketData *d)
{
    int32_t out, in;

    if (conn_h2(c) == NULL)
        return;
    h2_windows(conn_h2(c), &out, &in);
    d->local_flow_control_window = number_of(arena, out);
    d->remote_flow_control_window = number_of(arena, in);
}

static struct grpc_channelz_v1_SocketData *data_of(struct neo_arena *arena,
                                                   const struct channelz_counts *z, bool is_server)
{
    struct grpc_channelz_v1_SocketData *d = neo_arena_calloc(arena, 1, sizeof(*d));
    struct google_protobuf_Timestamp *stream = channelz_time(arena, z->last_stream);

    if (d == NULL)
        return NULL;
    d->streams_started = (int64_t)z->started;
    d->streams_succeeded = (int64_t)z->succeeded;
    d->streams_failed = (int64_t)z->failed;
    d->messages_sent = (int64_t)z->sent;
    d->messages_received = (int64_t)z->received;
    d->keep_alives_sent = (int64_t)z->pings;
    if (is_server)
        d->last_remote_stream_created_timestamp = stream;
    else
        d->last_local_stream_created_timestamp = stream;
    d->last_message_sent_timestamp = channelz_time(arena, z->last_sent);
    d->last_message_received_timestamp = channelz_time(arena, z->last_received);
    return d;
}

struct grpc_channelz_v1_Socket *channelz_socket(struct neo_arena *arena, struct conn *c,
                                                struct channelz_counts *counts, bool is_server,
                                                bool summary)
{
    struct grpc_channelz_v1_Socket *s = neo_arena_calloc(arena, 1, sizeof(*s));
    struct grpc_channelz_v1_SocketRef *ref = neo_arena_calloc(arena, 1, sizeof(*ref));

    if (s == NULL || ref == NULL)
        return NULL;
    if (counts->id == 0)
        counts->id = channelz_new_id();
    ref->socket_id = counts->id;
    ref->name = neo_arena_copy(arena, neo_text(conn_peer_address(c)));
    s->ref = ref;
    s->data = data_of(arena, counts, is_server);
    if (s->data != NULL)
        add_windows(arena, c, s->data);
    s->local = local_of(arena, c);
    s->remote = address_of(arena, conn_peer_address(c));
    if (!summary) {
        s->security = security_of(arena, conn_tls(c));
        if (s->data != NULL)
            add_options(arena, c, s->data);
    }
    if (conn_tls(c) != NULL && tls_peer(conn_tls(c)) != NULL)
        s->remote_name = neo_arena_copy(arena, tls_peer(conn_tls(c))->uri);
    return neo_arena_failed(arena) ? NULL : s;
}

void channelz_summarise(struct grpc_channelz_v1_Socket *socket)
{
    socket->security = NULL;
    if (socket->data != NULL)
        socket->data->option.len = 0;
}

struct grpc_channelz_v1_Socket *channelz_listener(struct neo_arena *arena, int64_t id,
                                                  const char *address)
{
    struct grpc_channelz_v1_Socket *s = neo_arena_calloc(arena, 1, sizeof(*s));
    struct grpc_channelz_v1_SocketRef *ref = neo_arena_calloc(arena, 1, sizeof(*ref));

    if (s == NULL || ref == NULL)
        return NULL;
    ref->socket_id = id;
    ref->name = neo_arena_copy(arena, neo_text(address));
    s->ref = ref;
    s->local = address_of(arena, address);
    s->data = neo_arena_calloc(arena, 1, sizeof(*s->data));
    return neo_arena_failed(arena) ? NULL : s;
}
