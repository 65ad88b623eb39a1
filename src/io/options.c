/* SPDX-License-Identifier: Apache-2.0 */
#include "io/net.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static void read_numbers(int fd, struct net_options *ret)
{
    static const struct {
        const char *name;
        int level, option;
    } numbers[] = {
        {"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF},
        {"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF},
        {"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR},
        {"SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT},
        {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE},
        {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY},
        {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT},
    };

    _Static_assert(NEO_COUNT(numbers) <= NET_OPTIONS_MAX, "all have room");
    for (size_t i = 0; i < NEO_COUNT(numbers); i++) {
        int value = 0;
        socklen_t len = sizeof(value);
        if (getsockopt(fd, numbers[i].level, numbers[i].option, &value, &len) == 0)
            ret->of[ret->n++] = (struct net_option){numbers[i].name, value};
    }
}

static neo_nsec read_timeout(int fd, int option)
{
    struct timeval t = {0};
    socklen_t len = sizeof(t);

    if (getsockopt(fd, SOL_SOCKET, option, &t, &len) != 0)
        return 0;
    return (neo_nsec)t.tv_sec * NEO_NSEC_PER_SEC +
           (neo_nsec)t.tv_usec * (NEO_NSEC_PER_SEC / 1000000);
}

static void read_linger(int fd, struct net_options *ret)
{
    struct linger linger = {0};
    socklen_t len = sizeof(linger);

    if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) != 0)
        return;
    ret->lingers = linger.l_onoff != 0;
    ret->linger = linger.l_linger;
}

static void read_tcp(int fd, struct net_options *ret)
{
    struct tcp_info t = {0};
    socklen_t len = sizeof(t);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &len) != 0)
        return;
    const uint32_t facts[] = {
        t.tcpi_state,         t.tcpi_ca_state,       t.tcpi_retransmits,
        t.tcpi_probes,        t.tcpi_backoff,        t.tcpi_options,
        t.tcpi_snd_wscale,    t.tcpi_rcv_wscale,     t.tcpi_rto,
        t.tcpi_ato,           t.tcpi_snd_mss,        t.tcpi_rcv_mss,
        t.tcpi_unacked,       t.tcpi_sacked,         t.tcpi_lost,
        t.tcpi_retrans,       t.tcpi_fackets,        t.tcpi_last_data_sent,
        t.tcpi_last_ack_sent, t.tcpi_last_data_recv, t.tcpi_last_ack_recv,
        t.tcpi_pmtu,          t.tcpi_rcv_ssthresh,   t.tcpi_rtt,
        t.tcpi_rttvar,        t.tcpi_snd_ssthresh,   t.tcpi_snd_cwnd,
        t.tcpi_advmss,        t.tcpi_reordering,
    };
    _Static_assert(NEO_COUNT(facts) == NET_TCP_FACTS, "all of them");
    memcpy(ret->tcp, facts, sizeof(facts));
    ret->is_tcp = true;
    len = sizeof(ret->congestion) - 1;
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, ret->congestion, &len) != 0)
        ret->congestion[0] = '\0';
}

void net_options(struct neo_loop *loop, int fd, struct net_options *ret)
{
    (void)loop;
    *ret = (struct net_options){.n = 0};
    read_numbers(fd, ret);
    read_linger(fd, ret);
    ret->read_timeout = read_timeout(fd, SO_RCVTIMEO);
    ret->write_timeout = read_timeout(fd, SO_SNDTIMEO);
    read_tcp(fd, ret);
}
