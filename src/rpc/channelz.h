/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/channelz.h - what a process has open, for those who look from outside.
 *
 * Channels are known to the process by ids that are never given twice. Whoever looks at one
 * does so on its loop: a job is posted there, finds out whether the channel still is, and
 * writes what it sees into memory that it shares with the one who waits for it.
 *
 * builtin_channelz.c answers the calls; channelz_channel.c looks at channels.
 */
#ifndef NEO_RPC_CHANNELZ_H
#define NEO_RPC_CHANNELZ_H

#include <neo/arena.h>
#include <neo/channel.h>

#include "base/list.h"
#include "rpc/conn.h"

#include <stdatomic.h>

/* grpc/channelz/v1/channelz.neo.h */
struct google_protobuf_Timestamp;
struct grpc_channelz_v1_Channel;
struct grpc_channelz_v1_Subchannel;
struct grpc_channelz_v1_Socket;
struct grpc_channelz_v1_ChannelTrace;

/* What happened to a channel or a subchannel; the last of it. Zero: nothing yet. */
enum { CHANNELZ_EVENTS_KEPT = 16, CHANNELZ_TEXT_MAX = 80 };
struct channelz_trace {
    neo_nsec created;
    uint64_t n; /* events ever */
    struct channelz_event {
        neo_nsec at;
        int64_t subchannel; /* 0: it is of the thing itself */
        bool warning;
        char text[CHANNELZ_TEXT_MAX]; /* cut off when longer */
    } events[CHANNELZ_EVENTS_KEPT];
};
/* The first one is its creation. */
void channelz_note(struct channelz_trace *trace, neo_nsec now, bool warning, int64_t subchannel,
                   const char *text);

/* A channel's place in the list of all; its first member. */
struct channelz_entry {
    struct list link;
    int64_t id; /* 0: not in the list */
    struct neo_loop *loop;
};

/* What was seen of one channel: it, its subchannels and their connections. On `arena`. */
struct channelz_view {
    struct neo_arena arena;
    struct grpc_channelz_v1_Channel *channel; /* NULL: it is gone */
    struct grpc_channelz_v1_Subchannel **subchannels;
    size_t n_subchannels;
    struct grpc_channelz_v1_Socket **sockets;
    size_t n_sockets;
    atomic_int refs; /* private */
};

/* A number that no other thing of this process has. */
int64_t channelz_new_id(void);
/* The channel exists, or does no more; the latter on its loop. */
void channelz_enter(struct channelz_entry *entry, struct neo_loop *loop);
void channelz_leave(struct channelz_entry *entry);
/* The first channel with an id of at least `from`; 0: there is none. */
int64_t channelz_next(int64_t from);
/* Looks at it. NULL when it is gone, or its loop does not answer within 2 s. Not on its loop.
   Release with channelz_view_free(). */
struct channelz_view *channelz_look(int64_t id);
void channelz_view_free(struct channelz_view *view);

/* channelz_channel.c: on the channel's loop. */
void channelz_fill(struct channelz_entry *entry, struct channelz_view *view);

/* Counters of a connection. */
struct channelz_counts {
    int64_t id; /* 0: nobody has asked yet */
    uint64_t started, succeeded, failed;
    uint64_t sent, received, pings;
    neo_nsec last_stream, last_sent, last_received; /* monotonic; 0: never */
};

/* What a connection is to others. On `arena`; NULL when that is spent. */
struct grpc_channelz_v1_Socket *channelz_socket(struct neo_arena *arena, struct conn *c,
                                                struct channelz_counts *counts, bool is_server,
                                                bool summary);
/* Leaves out what a summary has not. */
void channelz_summarise(struct grpc_channelz_v1_Socket *socket);
struct google_protobuf_Timestamp *channelz_time(struct neo_arena *arena, neo_nsec mono);
/* A socket that listens. */
struct grpc_channelz_v1_Socket *channelz_listener(struct neo_arena *arena, int64_t id,
                                                  const char *address);
struct grpc_channelz_v1_ChannelTrace *channelz_trace(struct neo_arena *arena,
                                                     const struct channelz_trace *trace);
/* The state of those that share it may be another now: their traces tell of it. */
struct channel_core;
void channelz_channel_changed(struct channel_core *core);

#endif
