/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weighted_round_robin (gRFC A58): each host in proportion to its weight.
 *
 * A weight is what the host could serve: the calls a second it reports, divided by
 * how busy that makes it. Hosts that report nothing, or have only just come, get the
 * mean of the others; when fewer than two report, the weights of the endpoints decide.
 *
 * The turns go round all hosts; in each round a host is left out as often as its
 * weight falls short of the greatest one. Every host starts its series of left-out
 * rounds elsewhere, so that rounds are alike.
 */
#include "rpc/balance.h"

#include "codec/wire.h"

#include <string.h>

enum { TOP = UINT16_MAX };

static double reported(const struct balance *b, const struct balance_host *h, neo_nsec now)
{
    if (!(h->reported > 0) || now - h->reported_at >= b->config->weighted.expiration ||
        now - h->reported_since < b->config->weighted.blackout)
        return 0;
    return h->reported;
}

static double given(const struct balance_host *h)
{
    return h->weight == 0 ? 1 : h->weight;
}

/* From reports when two or more hosts have some. */
static size_t gather(const struct balance *b, neo_nsec now, double weights[])
{
    size_t known = 0;
    double sum = 0;

    for (size_t i = 0; i < b->n; i++) {
        weights[i] = reported(b, b->hosts[i], now);
        known += weights[i] > 0;
        sum += weights[i];
    }
    for (size_t i = 0; i < b->n; i++) {
        if (known < 2)
            weights[i] = given(b->hosts[i]);
        else if (!(weights[i] > 0))
            weights[i] = sum / (double)known;
    }
    return known;
}

static void weigh(struct balance *b, neo_nsec now)
{
    double weights[BALANCE_HOSTS_MAX];
    double greatest = 0;

    b->weighed_at = now;
    b->equal = true;
    (void)gather(b, now, weights);
    for (size_t i = 0; i < b->n; i++)
        greatest = weights[i] > greatest ? weights[i] : greatest;
    for (size_t i = 0; i < b->n; i++) {
        double scaled = weights[i] / greatest * (double)TOP;
        b->weights[i] = scaled < 1 ? 1 : (uint16_t)scaled;
        b->equal = b->equal && b->weights[i] == b->weights[0];
    }
}

/* In which of TOP rounds host i is served: `weight` of them, evenly spread. */
static bool is_served(uint64_t round, size_t i, uint32_t weight)
{
    uint64_t at = round * weight + i * (TOP / 2);

    return at % TOP >= TOP - weight;
}

static size_t pick(struct balance *b, neo_nsec now)
{
    if (now - b->weighed_at >= b->config->weighted.update)
        weigh(b, now);
    for (;;) {
        size_t i = (size_t)(b->turn % b->n);
        uint64_t round = b->turn / b->n;
        b->turn++;
        /* The host with the greatest weight is served in every round: this ends. */
        if (b->equal || is_served(round, i, b->weights[i]))
            return i;
    }
}

const struct balance_policy balance_weighted_round_robin = {
    .name = "weighted_round_robin",
    .also = "weighted_round_robin_experimental",
    .connects_all = true,
    .changed = weigh,
    .pick = pick,
};

/* --- reports ---------------------------------------------------------------------------------- */

/* Fields of OrcaLoadReport. */
enum { CPU_UTILIZATION = 1, RPS_FRACTIONAL = 6, EPS = 7, APPLICATION_UTILIZATION = 9 };

/* Past the field that begins at `at`; its bits when it is a double. NULL: malformed. */
static const uint8_t *read_field(const uint8_t *at, const uint8_t *end, uint32_t tag, double *ret)
{
    uint64_t varint;
    size_t len;

    switch (tag & 7) {
    case 0:
        return wire_varint(at, end, &varint);
    case 1:
        if (end - at < 8)
            return NULL;
        memcpy(ret, at, sizeof(*ret));
        return at + 8;
    case 2:
        at = wire_len(at, end, &len);
        return at == NULL ? NULL : at + len;
    case 5:
        return end - at < 4 ? NULL : at + 4;
    default:
        return NULL;
    }
}

double balance_read_report(struct neo_bytes wire, uint32_t penalty_milli)
{
    const uint8_t *at = wire.at;
    const uint8_t *end = wire.at + wire.len;
    double fields[APPLICATION_UTILIZATION + 1] = {0};

    while (at < end) {
        double value = 0;
        uint32_t tag;
        at = wire_tag(at, end, &tag);
        if (at != NULL)
            at = read_field(at, end, tag, &value);
        if (at == NULL)
            return 0;
        if ((tag & 7) == 1 && tag >> 3 < NEO_COUNT(fields))
            fields[tag >> 3] = value;
    }
    double rps = fields[RPS_FRACTIONAL];
    double utilization = fields[APPLICATION_UTILIZATION] > 0 ? fields[APPLICATION_UTILIZATION]
                                                             : fields[CPU_UTILIZATION];
    /* Written so that NaN fails; a peer may send what it likes. */
    if (!(rps > 0 && rps < 1e12 && utilization > 0 && utilization < 1e6))
        return 0;
    if (fields[EPS] > 0)
        utilization += fields[EPS] / rps * (penalty_milli / 1000.0);
    double weight = rps / utilization;
    return weight > 0 && weight < 1e18 ? weight : 0;
}

void balance_report(struct balance_host *host, double weight, neo_nsec now)
{
    if (!(weight > 0))
        return;
    if (host->reported_since == 0)
        host->reported_since = now;
    host->reported = weight;
    host->reported_at = now;
}
