/* SPDX-License-Identifier: Apache-2.0 */
/* channelz as a caller sees it, over real sockets. */
#include "../unit.h"

#include "support/echo.h"

#include <neo/memory.h>

#include <grpc/channelz/v1/channelz.neo.h>

#include <neo/insecure.h>

#include "rpc/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct echo_world world;
static struct neo_server *server;
static struct neo_channel *channel;
static struct neo_channel *other;
static struct neo_arena arena;
static struct neo_policy *policy;

static struct neo_policy *compile(const char *text)
{
    const struct neo_document document = {NEO_LIT("channelz.yaml"), neo_text(text)};
    struct neo_policy *compiled = NULL;
    struct neo_error err;

    if (neo_policy_compile(&document, 1, &compiled, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return compiled;
}

static void set_up_with(const char *rules, bool served)
{
    struct neo_server_options options = {.channelz = served};
    char target[200];

    neo_arena_init(&arena, 16 << 20);
    echo_world_init(&world);
    policy = rules == NULL ? NULL : compile(rules);
    options.epoch.policy = policy;
    server = echo_server(&world, &options);
    echo_target(target, sizeof(target), &server, 1);
    channel = echo_channel(&world, "caller-service", target, NULL);
    other = echo_channel(&world, "caller-service", target, NULL);
}

static int set_up(void **state)
{
    (void)state;
    set_up_with(NULL, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    neo_channel_free(channel);
    neo_channel_free(other);
    neo_server_free(server);
    neo_policy_unref(policy);
    echo_world_fini(&world);
    neo_arena_fini(&arena);
    return 0;
}

static enum neo_code say(unsigned code)
{
    const struct neo_test_v1_Words words = {.text = NEO_LIT("hello"), .code = code};
    struct neo_test_v1_Words reply;

    return neo_test_v1_Speech_Say(channel, NULL, &words, &reply, &arena, NULL);
}

/* Asks over `other`, so that what is counted stays as it is. */
#define ASK(method, request, response)                                                             \
    grpc_channelz_v1_Channelz_##method(other, NULL, (request), (response), &arena, NULL)

static const struct grpc_channelz_v1_Server *the_server(void)
{
    const struct grpc_channelz_v1_GetServersRequest request = {0};
    static struct grpc_channelz_v1_GetServersResponse response;

    assert_int_equal(ASK(GetServers, &request, &response), NEO_OK);
    assert_int_equal(response.server.len, 1);
    assert_true(response.end);
    return response.server.at[0];
}

static int64_t id_of_server(void)
{
    return the_server()->ref->server_id;
}

/* --- who may, and what is not there ------------------------------------------------------- */

TEST(it_is_not_there_unless_it_was_asked_for)
{
    const struct grpc_channelz_v1_GetServersRequest request = {0};
    struct grpc_channelz_v1_GetServersResponse response;

    set_up_with(NULL, false);
    assert_int_equal(ASK(GetServers, &request, &response), NEO_UNIMPLEMENTED);
    tear_down(NULL);
}

TEST(a_proven_caller_whom_no_rule_names_sees_nothing)
{
    const struct grpc_channelz_v1_GetServersRequest request = {0};
    struct grpc_channelz_v1_GetServersResponse response;

    set_up_with("service: \"caller-service\"\n"
                "allowed_calls:\n"
                "  - target_service: \"echo-service\"\n"
                "    operations: [\"neo.test.v1.Speech/*\"]\n",
                true);
    assert_int_equal(say(0), NEO_OK);
    assert_int_equal(ASK(GetServers, &request, &response), NEO_PERMISSION_DENIED);
    tear_down(NULL);
}

#define EVERYTHING                                                                                 \
    "service: \"caller-service\"\n"                                                                \
    "allowed_calls:\n"                                                                             \
    "  - target_service: \"echo-service\"\n"                                                       \
    "    operations: [\"*\"]\n"

TEST(a_rule_for_every_operation_opens_it_and_a_denial_shuts_it_again)
{
    const struct grpc_channelz_v1_GetServersRequest request = {0};
    struct grpc_channelz_v1_GetServersResponse response;

    set_up_with(EVERYTHING, true);
    assert_int_equal(ASK(GetServers, &request, &response), NEO_OK);
    tear_down(NULL);
    set_up_with(EVERYTHING "denied_calls:\n"
                           "  - target_service: \"echo-service\"\n"
                           "    operations: [\"grpc.channelz.v1.Channelz/*\"]\n",
                true);
    assert_int_equal(ASK(GetServers, &request, &response), NEO_PERMISSION_DENIED);
    assert_int_equal(say(0), NEO_OK);
    tear_down(NULL);
}

/* Of two servers in a process, each with a policy of its own. */
TEST(a_server_shows_no_other_one_of_the_process)
{
    const struct grpc_channelz_v1_GetServersRequest request = {0};
    struct grpc_channelz_v1_GetServersResponse response;
    struct neo_server_options options = {.channelz = true};

    set_up_with(NULL, true);
    struct neo_server *beside = echo_server(&world, &options);
    assert_int_equal(ASK(GetServers, &request, &response), NEO_OK);
    assert_int_equal(response.server.len, 1);
    assert_true(response.end);
    const struct grpc_channelz_v1_GetServersRequest behind = {
        .start_server_id = response.server.at[0]->ref->server_id + 1};
    assert_int_equal(ASK(GetServers, &behind, &response), NEO_OK);
    assert_int_equal(response.server.len, 0);
    neo_server_free(beside);
    tear_down(NULL);
}

TEST(what_does_not_exist_is_not_found)
{
    const struct grpc_channelz_v1_GetServerRequest no_server = {.server_id = 1 << 30};
    const struct grpc_channelz_v1_GetServerSocketsRequest no_sockets = {.server_id = 1 << 30};
    const struct grpc_channelz_v1_GetChannelRequest no_channel = {.channel_id = 1 << 30};
    const struct grpc_channelz_v1_GetSubchannelRequest no_sub = {.subchannel_id = 1 << 30};
    static const int64_t ids[] = {1 << 30, 0, -1};
    struct grpc_channelz_v1_GetServerResponse a;
    struct grpc_channelz_v1_GetServerSocketsResponse b;
    struct grpc_channelz_v1_GetChannelResponse c;
    struct grpc_channelz_v1_GetSubchannelResponse d;
    struct grpc_channelz_v1_GetSocketResponse e;

    assert_int_equal(ASK(GetServer, &no_server, &a), NEO_NOT_FOUND);
    assert_int_equal(ASK(GetServerSockets, &no_sockets, &b), NEO_NOT_FOUND);
    assert_int_equal(ASK(GetChannel, &no_channel, &c), NEO_NOT_FOUND);
    assert_int_equal(ASK(GetSubchannel, &no_sub, &d), NEO_NOT_FOUND);
    for (size_t i = 0; i < NEO_COUNT(ids); i++) {
        const struct grpc_channelz_v1_GetSocketRequest no_socket = {.socket_id = ids[i]};
        assert_int_equal(ASK(GetSocket, &no_socket, &e), NEO_NOT_FOUND);
    }
}

/* --- what is there ------------------------------------------------------------------------- */

TEST(a_server_counts_its_calls)
{
    const struct grpc_channelz_v1_Server *s = the_server();
    int64_t started = s->data->calls_started;
    int64_t succeeded = s->data->calls_succeeded;
    int64_t failed = s->data->calls_failed;

    assert_true(neo_bytes_is(s->ref->name, "echo-service"));
    for (int i = 0; i < 5; i++)
        assert_int_equal(say(0), NEO_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(say(NEO_NOT_FOUND), NEO_NOT_FOUND);
    s = the_server();
    assert_int_equal(s->data->calls_started - started, 5 + 3 + 1);
    assert_int_equal(s->data->calls_succeeded - succeeded, 5 + 1);
    assert_int_equal(s->data->calls_failed - failed, 3);
}

/* Each look is a call itself, and the next one comes later. */
TEST(a_server_tells_when_its_last_call_came)
{
    int64_t before = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    const struct google_protobuf_Timestamp *first = the_server()->data->last_call_started_timestamp;
    const struct google_protobuf_Timestamp *last = first;

    assert_non_null(first);
    assert_in_range(first->seconds, before - 1, neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC + 1);
    for (int i = 0; i < 1000 && last->seconds == first->seconds && last->nanos <= first->nanos; i++)
        last = the_server()->data->last_call_started_timestamp;
    assert_true(last->seconds > first->seconds || last->nanos > first->nanos);
}

TEST(a_connection_is_shown_with_its_caller_and_its_counters)
{
    struct grpc_channelz_v1_GetServerSocketsRequest request = {.server_id = id_of_server()};
    struct grpc_channelz_v1_GetServerSocketsResponse response;
    struct grpc_channelz_v1_GetSocketResponse socket;
    const struct grpc_channelz_v1_SocketData *found = NULL;

    for (int i = 0; i < 5; i++)
        assert_int_equal(say(0), NEO_OK);
    assert_int_equal(say(NEO_NOT_FOUND), NEO_NOT_FOUND);
    assert_int_equal(ASK(GetServerSockets, &request, &response), NEO_OK);
    assert_int_equal(response.socket_ref.len, 2);
    assert_true(response.end);
    for (size_t i = 0; i < 2; i++) {
        const struct grpc_channelz_v1_GetSocketRequest one = {
            .socket_id = response.socket_ref.at[i]->socket_id};
        assert_int_equal(ASK(GetSocket, &one, &socket), NEO_OK);
        assert_true(neo_bytes_is(socket.socket->remote_name, "spiffe://neo.test/caller-service"));
        assert_true(socket.socket->security->tls->remote_certificate.len > 100);
        assert_true(neo_bytes_starts(socket.socket->security->tls->standard_name, NEO_LIT("TLS_")));
        assert_int_equal(socket.socket->remote->tcpip_address->ip_address.len, 4);
        assert_true(socket.socket->remote->tcpip_address->port > 0);
        assert_true(socket.socket->local->tcpip_address->port > 0);
        if (socket.socket->data->streams_started == 6)
            found = socket.socket->data;
    }
    assert_non_null(found);
    /* What was refused has ended as a stream should. */
    assert_int_equal(found->streams_succeeded, 6);
    assert_int_equal(found->streams_failed, 0);
    assert_int_equal(found->messages_received, 6);
    assert_int_equal(found->messages_sent, 5);
    assert_non_null(found->last_remote_stream_created_timestamp);
}

static const struct grpc_channelz_v1_Socket *first_socket(bool summary)
{
    const struct grpc_channelz_v1_GetServerSocketsRequest all = {.server_id = id_of_server()};
    struct grpc_channelz_v1_GetServerSocketsResponse response;
    static struct grpc_channelz_v1_GetSocketResponse socket;

    assert_int_equal(ASK(GetServerSockets, &all, &response), NEO_OK);
    assert_true(response.socket_ref.len > 0);
    const struct grpc_channelz_v1_GetSocketRequest one = {
        .socket_id = response.socket_ref.at[0]->socket_id, .summary = summary};
    assert_int_equal(ASK(GetSocket, &one, &socket), NEO_OK);
    return socket.socket;
}

static const struct grpc_channelz_v1_SocketOption *option(
    const struct grpc_channelz_v1_Socket *socket, const char *name)
{
    for (size_t i = 0; i < socket->data->option.len; i++)
        if (neo_bytes_is(socket->data->option.at[i]->name, name))
            return socket->data->option.at[i];
    fail_msg("there is no option %s", name);
    return NULL;
}

TEST(a_summary_has_neither_options_nor_certificates)
{
    const struct grpc_channelz_v1_Socket *socket = first_socket(true);

    assert_int_equal(socket->data->option.len, 0);
    assert_null(socket->security);
    assert_non_null(socket->remote);
    assert_true(socket->data->streams_started > 0);
}

TEST(a_socket_has_its_options_windows_and_both_certificates)
{
    const struct grpc_channelz_v1_Socket *socket = first_socket(false);
    struct grpc_channelz_v1_SocketOptionTcpInfo tcp;
    struct grpc_channelz_v1_SocketOptionLinger linger;
    const struct grpc_channelz_v1_SocketOption *info = option(socket, "TCP_INFO");
    struct neo_error err;

    assert_true(neo_bytes_is(info->additional->type_url,
                             "type.googleapis.com/grpc.channelz.v1.SocketOptionTcpInfo"));
    assert_int_equal(
        grpc_channelz_v1_SocketOptionTcpInfo_decode(info->additional->value, &tcp, &arena, &err),
        NEO_OK);
    assert_int_equal(tcp.tcpi_state, 1); /* ESTABLISHED */
    assert_true(tcp.tcpi_snd_mss > 500 && tcp.tcpi_rto > 0 && tcp.tcpi_snd_cwnd > 0);
    assert_true(neo_bytes_is(option(socket, "TCP_NODELAY")->value, "1"));
    assert_true(option(socket, "TCP_CONGESTION")->value.len > 0);
    assert_true(option(socket, "SO_RCVBUF")->value.len > 3);
    assert_int_equal(grpc_channelz_v1_SocketOptionLinger_decode(
                         option(socket, "SO_LINGER")->additional->value, &linger, &arena, &err),
                     NEO_OK);
    assert_false(linger.active);
    assert_non_null(option(socket, "SO_RCVTIMEO")->additional);
    assert_non_null(option(socket, "SO_SNDTIMEO")->additional);
    /* What the client lets in (1 MiB, less what is under way), and the server. */
    assert_in_range(socket->data->local_flow_control_window->value, 60000, 1 << 24);
    assert_in_range(socket->data->remote_flow_control_window->value, 60000, 1 << 24);
    assert_true(socket->security->tls->local_certificate.len > 100);
    assert_true(socket->security->tls->remote_certificate.len > 100);
    assert_false(neo_bytes_equal(socket->security->tls->local_certificate,
                                 socket->security->tls->remote_certificate));
}

TEST(pages_begin_where_they_are_asked_to_and_say_whether_they_are_the_last)
{
    struct grpc_channelz_v1_GetServerSocketsRequest request = {.server_id = id_of_server(),
                                                               .max_results = 1};
    struct grpc_channelz_v1_GetServerSocketsResponse first, second;

    assert_int_equal(say(0), NEO_OK);
    assert_int_equal(ASK(GetServerSockets, &request, &first), NEO_OK);
    assert_int_equal(first.socket_ref.len, 1);
    assert_false(first.end);
    request.start_socket_id = first.socket_ref.at[0]->socket_id + 1;
    assert_int_equal(ASK(GetServerSockets, &request, &second), NEO_OK);
    assert_int_equal(second.socket_ref.len, 1);
    assert_true(second.end);
    assert_true(second.socket_ref.at[0]->socket_id > first.socket_ref.at[0]->socket_id);
}

TEST(channels_are_shown_with_their_subchannels_and_sockets)
{
    const struct grpc_channelz_v1_GetTopChannelsRequest request = {0};
    struct grpc_channelz_v1_GetTopChannelsResponse response;
    struct grpc_channelz_v1_GetChannelResponse one;
    struct grpc_channelz_v1_GetSubchannelResponse sub;
    struct grpc_channelz_v1_GetSocketResponse socket;

    for (int i = 0; i < 4; i++)
        assert_int_equal(say(i == 3 ? NEO_NOT_FOUND : NEO_OK), i == 3 ? NEO_NOT_FOUND : NEO_OK);
    assert_int_equal(ASK(GetTopChannels, &request, &response), NEO_OK);
    assert_int_equal(response.channel.len, 2);
    assert_true(response.end);
    const struct grpc_channelz_v1_GetChannelRequest first = {
        .channel_id = response.channel.at[0]->ref->channel_id};
    assert_int_equal(ASK(GetChannel, &first, &one), NEO_OK);
    assert_int_equal(one.channel->data->calls_started, 4);
    assert_int_equal(one.channel->data->calls_succeeded, 3);
    assert_int_equal(one.channel->data->calls_failed, 1);
    assert_int_equal(one.channel->data->state->state,
                     grpc_channelz_v1_ChannelConnectivityState_READY);
    assert_true(neo_bytes_starts(one.channel->data->target, NEO_LIT("ipv4:127.0.0.1:")));
    assert_int_equal(one.channel->subchannel_ref.len, 1);
    const struct grpc_channelz_v1_GetSubchannelRequest its = {
        .subchannel_id = one.channel->subchannel_ref.at[0]->subchannel_id};
    assert_int_equal(ASK(GetSubchannel, &its, &sub), NEO_OK);
    assert_int_equal(sub.subchannel->data->calls_started, 4);
    assert_int_equal(sub.subchannel->data->calls_succeeded, 3);
    assert_int_equal(sub.subchannel->data->calls_failed, 1);
    assert_non_null(sub.subchannel->data->last_call_started_timestamp);
    assert_int_equal(sub.subchannel->socket_ref.len, 1);
    const struct grpc_channelz_v1_GetSocketRequest wire = {
        .socket_id = sub.subchannel->socket_ref.at[0]->socket_id};
    assert_int_equal(ASK(GetSocket, &wire, &socket), NEO_OK);
    assert_true(neo_bytes_is(socket.socket->remote_name, "spiffe://neo.test/echo-service"));
    assert_int_equal(socket.socket->data->streams_started, 4);
    assert_int_equal(socket.socket->data->streams_succeeded, 4);
    assert_int_equal(socket.socket->data->streams_failed, 0);
    assert_int_equal(socket.socket->data->messages_sent, 4);
    assert_int_equal(socket.socket->data->messages_received, 3);
    assert_non_null(socket.socket->data->last_local_stream_created_timestamp);
    assert_null(socket.socket->data->last_remote_stream_created_timestamp);
    assert_non_null(socket.socket->data->last_message_sent_timestamp);
    assert_non_null(socket.socket->data->last_message_received_timestamp);
    assert_non_null(option(socket.socket, "TCP_INFO")->additional);
}

/* The connection of the first channel, as that sees it. */
static const struct grpc_channelz_v1_Socket *wire_of_first(void)
{
    const struct grpc_channelz_v1_GetTopChannelsRequest request = {0};
    struct grpc_channelz_v1_GetTopChannelsResponse top;
    struct grpc_channelz_v1_GetSubchannelResponse sub;
    static struct grpc_channelz_v1_GetSocketResponse socket;

    assert_int_equal(ASK(GetTopChannels, &request, &top), NEO_OK);
    const struct grpc_channelz_v1_GetSubchannelRequest its = {
        .subchannel_id = top.channel.at[0]->subchannel_ref.at[0]->subchannel_id};
    assert_int_equal(ASK(GetSubchannel, &its, &sub), NEO_OK);
    const struct grpc_channelz_v1_GetSocketRequest wire = {
        .socket_id = sub.subchannel->socket_ref.at[0]->socket_id};
    assert_int_equal(ASK(GetSocket, &wire, &socket), NEO_OK);
    return socket.socket;
}

TEST(a_stream_that_was_cancelled_has_failed)
{
    const struct neo_test_v1_Words words = {.text = NEO_LIT("again"), .count = 1000000};
    struct neo_test_v1_Words reply;
    struct neo_stream *stream;
    struct neo_error err;

    assert_int_equal(neo_test_v1_Speech_Repeat_stream(channel, NULL, &words, &stream, &err),
                     NEO_OK);
    assert_true(neo_test_v1_Speech_Repeat_stream_next(stream, &reply, &arena));
    neo_stream_free(stream);
    assert_int_equal(say(0), NEO_OK);
    const struct grpc_channelz_v1_SocketData *data = wire_of_first()->data;
    assert_int_equal(data->streams_started, 2);
    assert_int_equal(data->streams_succeeded, 1);
    assert_int_equal(data->streams_failed, 1);
}

TEST(a_unix_socket_is_shown_by_its_path)
{
    char folder[] = "/tmp/neo-channelz-XXXXXX";
    char address[100];
    struct neo_error err;

    assert_non_null(mkdtemp(folder));
    (void)snprintf(address, sizeof(address), "unix:%s/x.sock", folder);
    assert_int_equal(neo_server_listen(server, address, &err), NEO_OK);
    neo_channel_free(channel);
    channel = echo_channel(&world, "caller-service", address, NULL);
    assert_int_equal(say(0), NEO_OK);
    const struct grpc_channelz_v1_GetTopChannelsRequest request = {.start_channel_id = 0};
    struct grpc_channelz_v1_GetTopChannelsResponse top;
    struct grpc_channelz_v1_GetSubchannelResponse sub;
    struct grpc_channelz_v1_GetSocketResponse socket;
    assert_int_equal(ASK(GetTopChannels, &request, &top), NEO_OK);
    const struct grpc_channelz_v1_Channel *last = top.channel.at[top.channel.len - 1];
    const struct grpc_channelz_v1_GetSubchannelRequest its = {
        .subchannel_id = last->subchannel_ref.at[0]->subchannel_id};
    assert_int_equal(ASK(GetSubchannel, &its, &sub), NEO_OK);
    const struct grpc_channelz_v1_GetSocketRequest wire = {
        .socket_id = sub.subchannel->socket_ref.at[0]->socket_id};
    assert_int_equal(ASK(GetSocket, &wire, &socket), NEO_OK);
    assert_int_equal(socket.socket->remote->address_case,
                     grpc_channelz_v1_Address_uds_address_FIELD);
    assert_true(neo_bytes_equal(socket.socket->remote->uds_address->filename,
                                neo_bytes_from(neo_text(address), strlen("unix:"))));
    neo_server_free(server);
    server = NULL;
    assert_int_equal(rmdir(folder), 0); /* the path went with its listener */
}

static bool tells(const struct grpc_channelz_v1_ChannelTrace *trace, size_t i, const char *of)
{
    return trace != NULL && i < trace->events.len && trace->events.at[i]->timestamp != NULL &&
           neo_bytes_starts(trace->events.at[i]->description, neo_text(of));
}

/* In place of what is there: a server in cleartext, and two channels to it. */
static struct neo_policy *go_insecure(void)
{
    static const struct neo_insecure_server cleartext = {.mode = NEO_INSECURE_CLEARTEXT};
    static const struct neo_insecure_channel to_it = {.mode = NEO_INSECURE_CLEARTEXT,
                                                      .server_name = "localhost"};
    struct neo_policy *open = compile("service: \"anonymous\"\n"
                                      "allowed_calls:\n"
                                      "  - target_service: \"echo-service\"\n"
                                      "    operations: [\"*\"]\n");
    const struct neo_server_options options = {.name = "echo-service",
                                               .runtime = world.runtime,
                                               .epoch = {.policy = open},
                                               .insecure = &cleartext,
                                               .channelz = true};
    const struct neo_channel_options channel_options = {.loop = neo_runtime_loop(world.runtime, 0),
                                                        .insecure = &to_it};
    char target[200];

    neo_channel_free(channel);
    neo_channel_free(other);
    neo_server_free(server);
    server = echo_server_with(&world, &options, "127.0.0.1:0");
    echo_target(target, sizeof(target), &server, 1);
    assert_int_equal(neo_channel_open(target, &channel_options, &channel, NULL), NEO_OK);
    assert_int_equal(neo_channel_open(target, &channel_options, &other, NULL), NEO_OK);
    return open;
}

/* Of the server that tells it, and of the channel that asks. */
TEST(a_connection_in_cleartext_has_no_security)
{
    struct neo_policy *open = go_insecure();

    assert_int_equal(say(0), NEO_OK);
    const struct grpc_channelz_v1_Socket *its = first_socket(false);
    assert_true(its->data->option.len > 0); /* it is shown whole */
    assert_null(its->security);
    const struct grpc_channelz_v1_Socket *ours = wire_of_first();
    assert_true(ours->data->option.len > 0);
    assert_null(ours->security);
    neo_policy_unref(open);
}

TEST(a_summary_of_a_channels_socket_has_neither_options_nor_certificates)
{
    struct grpc_channelz_v1_GetSocketResponse summary;

    assert_int_equal(say(0), NEO_OK);
    const struct grpc_channelz_v1_Socket *whole = wire_of_first();
    assert_true(whole->data->option.len > 0);
    assert_non_null(whole->security);
    const struct grpc_channelz_v1_GetSocketRequest request = {.socket_id = whole->ref->socket_id,
                                                              .summary = true};
    assert_int_equal(ASK(GetSocket, &request, &summary), NEO_OK);
    assert_int_equal(summary.socket->data->option.len, 0);
    assert_null(summary.socket->security);
    assert_true(summary.socket->data->streams_started > 0);
}

TEST(a_trace_tells_what_happened_to_a_server)
{
    const struct grpc_channelz_v1_ChannelTrace *trace = the_server()->data->trace;

    assert_true(tells(trace, 0, "created"));
    assert_true(tells(trace, 1, "listens on 127.0.0.1:"));
    assert_non_null(trace->creation_timestamp);
    assert_int_equal(trace->num_events_logged, 2);
    neo_server_drain(server, NEO_NSEC_PER_SEC);
    assert_string_equal(server->shared.trace.events[2].text, "drains");
}

TEST(a_trace_tells_of_an_update_that_was_refused)
{
    struct neo_policy *open = go_insecure();

    neo_server_update(server, &(struct neo_epoch){.identity = world.epoch.identity});
    const struct grpc_channelz_v1_ChannelTrace *trace = the_server()->data->trace;
    assert_true(tells(trace, 2, "refused an update"));
    assert_int_equal(trace->events.at[2]->severity, grpc_channelz_v1_ChannelTraceEvent_CT_WARNING);
    neo_policy_unref(open);
}

TEST(a_trace_tells_how_a_channel_and_its_subchannel_came_to_be_ready)
{
    static const char *const of_channel[] = {"created", "subchannel 127.0.0.1:", "connecting",
                                             "ready"};
    static const char *const of_subchannel[] = {"created", "connecting", "ready"};
    const struct grpc_channelz_v1_GetTopChannelsRequest request = {0};
    struct grpc_channelz_v1_GetTopChannelsResponse response;
    struct grpc_channelz_v1_GetSubchannelResponse sub;

    assert_int_equal(say(0), NEO_OK);
    assert_int_equal(ASK(GetTopChannels, &request, &response), NEO_OK);
    const struct grpc_channelz_v1_Channel *c = response.channel.at[0];
    const struct grpc_channelz_v1_ChannelTrace *trace = c->data->trace;
    size_t at = 0;
    for (size_t i = 0; i < NEO_COUNT(of_channel); i++, at++)
        while (!tells(trace, at, of_channel[i]))
            if (++at >= trace->events.len)
                fail_msg("the channel's trace does not tell '%s'", of_channel[i]);
    assert_non_null(trace->creation_timestamp);
    assert_int_equal(trace->num_events_logged, trace->events.len);
    const struct grpc_channelz_v1_GetSubchannelRequest its = {
        .subchannel_id = c->subchannel_ref.at[0]->subchannel_id};
    assert_int_equal(trace->events.at[1]->subchannel_ref->subchannel_id, its.subchannel_id);
    assert_int_equal(ASK(GetSubchannel, &its, &sub), NEO_OK);
    for (size_t i = 0; i < NEO_COUNT(of_subchannel); i++)
        assert_true(tells(sub.subchannel->data->trace, i, of_subchannel[i]));
}

/* What a look at a channel shows; NULL: it is gone. */
static struct grpc_channelz_v1_Channel *look_at(int64_t id)
{
    const struct grpc_channelz_v1_GetChannelRequest request = {.channel_id = id};
    static struct grpc_channelz_v1_GetChannelResponse response;

    if (ASK(GetChannel, &request, &response) != NEO_OK)
        return NULL;
    return response.channel;
}

static int64_t id_of_last(void)
{
    const struct grpc_channelz_v1_GetTopChannelsRequest request = {0};
    struct grpc_channelz_v1_GetTopChannelsResponse response;

    assert_int_equal(ASK(GetTopChannels, &request, &response), NEO_OK);
    return response.channel.at[response.channel.len - 1]->ref->channel_id;
}

static int64_t its_subchannel(const struct grpc_channelz_v1_Channel *c, size_t i)
{
    assert_true(i < c->subchannel_ref.len);
    return c->subchannel_ref.at[i]->subchannel_id;
}

static int64_t calls_of(int64_t subchannel)
{
    const struct grpc_channelz_v1_GetSubchannelRequest request = {.subchannel_id = subchannel};
    struct grpc_channelz_v1_GetSubchannelResponse response;

    assert_int_equal(ASK(GetSubchannel, &request, &response), NEO_OK);
    return response.subchannel->data->calls_started;
}

/* Replaces `channel` by one whose options are the same as `*twin`'s. */
static void open_twins(struct neo_channel **twin, int64_t *id, int64_t *twin_id)
{
    struct neo_identity *identity = pki_identity(world.pki, "caller-service", NULL);
    const struct neo_channel_options o = {
        .loop = neo_runtime_loop(world.runtime, 0),
        .epoch = {.identity = identity, .trust = world.epoch.trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
    };
    char target[200];

    neo_channel_free(channel);
    echo_target(target, sizeof(target), &server, 1);
    assert_int_equal(neo_channel_open(target, &o, &channel, NULL), NEO_OK);
    *id = id_of_last();
    assert_int_equal(neo_channel_open(target, &o, twin, NULL), NEO_OK);
    *twin_id = id_of_last();
    neo_identity_unref(identity);
}

TEST(channels_that_share_show_one_subchannel_and_each_its_own_calls)
{
    struct neo_channel *twin;
    int64_t id, twin_id;

    open_twins(&twin, &id, &twin_id);
    assert_int_not_equal(id, twin_id);
    for (int i = 0; i < 3; i++)
        assert_int_equal(say(0), NEO_OK);
    int64_t shared = its_subchannel(look_at(id), 0);
    assert_int_equal(look_at(id)->data->calls_started, 3);
    assert_int_equal(look_at(twin_id)->data->calls_started, 0);
    assert_int_equal(its_subchannel(look_at(twin_id), 0), shared);
    assert_int_equal(look_at(twin_id)->data->state->state,
                     grpc_channelz_v1_ChannelConnectivityState_READY);
    assert_int_equal(calls_of(shared), 3);
    assert_true(tells(look_at(twin_id)->data->trace, 1, "shares the connections"));

    neo_channel_free(channel); /* it goes, and what they shared stays */
    channel = twin;
    assert_null(look_at(id));
    assert_int_equal(its_subchannel(look_at(twin_id), 0), shared);
    assert_int_equal(say(0), NEO_OK);
    assert_int_equal(calls_of(shared), 4);
}

TEST(a_channel_that_parted_shows_where_its_calls_still_run)
{
    struct neo_identity *another = pki_identity(world.pki, "caller-service", NULL);
    const struct neo_test_v1_Words once = {.count = 1, .size = 1, .delay_ms = 1};
    struct neo_channel *twin;
    struct neo_stream *stream;
    struct neo_test_v1_Words word;
    int64_t id, twin_id;

    open_twins(&twin, &id, &twin_id);
    assert_int_equal(neo_channel_stream(channel, &neo_test_v1_Speech_info.methods[2], NULL, &once,
                                        &stream, NULL),
                     NEO_OK);
    assert_true(neo_stream_next(stream, &word, &arena));
    int64_t shared = its_subchannel(look_at(id), 0);
    neo_channel_update(channel, &(struct neo_epoch){.identity = another});
    neo_channel_free(twin);
    assert_int_not_equal(its_subchannel(look_at(id), 0), shared); /* its own, for the next call */
    assert_int_equal(its_subchannel(look_at(id), 1), shared);
    assert_int_equal(calls_of(shared), 1);
    assert_int_equal(say(0), NEO_OK);
    assert_int_equal(calls_of(shared), 1);
    neo_stream_free(stream);
    assert_int_equal(look_at(id)->subchannel_ref.len, 1);
    neo_identity_unref(another);
}

TEST(a_trace_keeps_the_last_events_and_counts_all)
{
    struct channelz_trace trace = {0};
    char text[200];

    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof(text), "event %u %0150u", i, 0u);
        channelz_note(&trace, neo_mono_nsec(), i == 999, 0, text);
    }
    const struct grpc_channelz_v1_ChannelTrace *t = channelz_trace(&arena, &trace);
    assert_int_equal(t->num_events_logged, 1000);
    assert_int_equal(t->events.len, CHANNELZ_EVENTS_KEPT);
    assert_true(tells(t, 0, "event 984 "));
    assert_true(tells(t, CHANNELZ_EVENTS_KEPT - 1, "event 999 "));
    assert_int_equal(t->events.at[CHANNELZ_EVENTS_KEPT - 1]->severity,
                     grpc_channelz_v1_ChannelTraceEvent_CT_WARNING);
    assert_int_equal(t->events.at[0]->description.len, CHANNELZ_TEXT_MAX - 1);
}

TEST(a_server_names_the_sockets_on_which_it_listens)
{
    const struct grpc_channelz_v1_Server *s = the_server();
    const char *port = strrchr(neo_server_address(server), ':') + 1;
    struct grpc_channelz_v1_GetSocketResponse socket;

    assert_true(s->listen_socket.len >= 1);
    for (size_t i = 0; i < s->listen_socket.len; i++) {
        const struct grpc_channelz_v1_GetSocketRequest one = {
            .socket_id = s->listen_socket.at[i]->socket_id};
        assert_int_equal(ASK(GetSocket, &one, &socket), NEO_OK);
        assert_int_equal(socket.socket->local->tcpip_address->port, strtol(port, NULL, 10));
        assert_null(socket.socket->remote);
    }
    assert_int_equal(the_server()->listen_socket.at[0]->socket_id,
                     s->listen_socket.at[0]->socket_id);
}

TEST(a_channel_that_was_freed_is_not_shown)
{
    const struct grpc_channelz_v1_GetTopChannelsRequest request = {0};
    struct grpc_channelz_v1_GetTopChannelsResponse response;

    neo_channel_free(channel);
    channel = NULL;
    assert_int_equal(ASK(GetTopChannels, &request, &response), NEO_OK);
    assert_int_equal(response.channel.len, 1);
}

#define SHOWN(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_not_there_unless_it_was_asked_for),
        cmocka_unit_test(a_proven_caller_whom_no_rule_names_sees_nothing),
        cmocka_unit_test(a_rule_for_every_operation_opens_it_and_a_denial_shuts_it_again),
        cmocka_unit_test(a_server_shows_no_other_one_of_the_process),
        SHOWN(what_does_not_exist_is_not_found),
        SHOWN(a_server_counts_its_calls),
        SHOWN(a_server_tells_when_its_last_call_came),
        SHOWN(a_connection_is_shown_with_its_caller_and_its_counters),
        SHOWN(a_summary_has_neither_options_nor_certificates),
        SHOWN(a_socket_has_its_options_windows_and_both_certificates),
        SHOWN(a_stream_that_was_cancelled_has_failed),
        SHOWN(a_connection_in_cleartext_has_no_security),
        SHOWN(a_summary_of_a_channels_socket_has_neither_options_nor_certificates),
        SHOWN(a_trace_tells_what_happened_to_a_server),
        SHOWN(a_trace_tells_of_an_update_that_was_refused),
        SHOWN(a_unix_socket_is_shown_by_its_path),
        SHOWN(pages_begin_where_they_are_asked_to_and_say_whether_they_are_the_last),
        SHOWN(channels_are_shown_with_their_subchannels_and_sockets),
        SHOWN(a_trace_tells_how_a_channel_and_its_subchannel_came_to_be_ready),
        SHOWN(channels_that_share_show_one_subchannel_and_each_its_own_calls),
        SHOWN(a_channel_that_parted_shows_where_its_calls_still_run),
        SHOWN(a_trace_keeps_the_last_events_and_counts_all),
        SHOWN(a_server_names_the_sockets_on_which_it_listens),
        SHOWN(a_channel_that_was_freed_is_not_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
