/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns per encode and per decode of a small and a medium message, on one core. Decoding
 * goes into an arena with a lent first block that is reset each time, as a call does.
 */
#include "neo/test/v1/bench.neo.h"

#include <stdio.h>
#include <time.h>

enum { ITEMS = 14, LABELS = 3, TAGS = 2, ROUNDS = 7, FIRST_BLOCK = 16384 };

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct neo_test_v1_Owner owner = {
    .account = {(const uint8_t *)"NVx3vfDnAeEbYXn5Kr", 18},
    .version = 123456,
};

static struct neo_test_v1_Small small_message(void)
{
    return (struct neo_test_v1_Small){
        .id = NEO_LIT("0f8fad5b-d9cb-469f-a165-70867728950e"),
        .name = NEO_LIT("price-feed"),
        .created_at = INT64_C(1767225600123),
        .status = 3,
        .active = true,
        .price = 12.75,
        .owner = &owner,
    };
}

static struct neo_test_v1_Medium medium_message(void)
{
    static struct neo_test_v1_Small items[ITEMS];
    static struct neo_test_v1_Small *pointers[ITEMS];
    static int64_t offsets[60];
    static struct neo_test_v1_Medium_LabelsEntry labels[LABELS];
    static struct neo_bytes tags[TAGS];

    labels[0] = (struct neo_test_v1_Medium_LabelsEntry){NEO_LIT("region"), NEO_LIT("eu-central")};
    labels[1] = (struct neo_test_v1_Medium_LabelsEntry){NEO_LIT("tier"), NEO_LIT("gold")};
    labels[2] = (struct neo_test_v1_Medium_LabelsEntry){NEO_LIT("team"), NEO_LIT("oracles")};
    tags[0] = NEO_LIT("alpha");
    tags[1] = NEO_LIT("beta");
    for (size_t i = 0; i < ITEMS; i++) {
        items[i] = small_message();
        pointers[i] = &items[i];
    }
    for (size_t i = 0; i < NEO_COUNT(offsets); i++)
        offsets[i] = (int64_t)(i * i * 37);
    return (struct neo_test_v1_Medium){
        .next_page = NEO_LIT("b2Zmc2V0PTEwMDA="),
        .items = {pointers, ITEMS},
        .offsets = {offsets, NEO_COUNT(offsets)},
        .labels = {labels, NEO_COUNT(labels)},
        .tags = {tags, NEO_COUNT(tags)},
        .digest = NEO_LIT("0123456789abcdef0123456789abcdef"),
    };
}

static double time_encode(const struct neo_message_info *info, const void *message, int n)
{
    struct neo_buffer out = {0};
    double start = now();

    for (int i = 0; i < n; i++) {
        neo_buffer_clear(&out);
        if (neo_proto_encode(info, message, &out, NULL) != NEO_OK)
            return 0;
    }
    double each = (now() - start) / n;
    neo_buffer_fini(&out);
    return each;
}

static double time_decode(const struct neo_message_info *info, struct neo_bytes wire, int n)
{
    static _Alignas(16) uint8_t block[FIRST_BLOCK];
    struct neo_arena arena;

    neo_arena_init_with(&arena, block, sizeof(block), 1 << 20);
    double start = now();
    for (int i = 0; i < n; i++) {
        neo_arena_reset(&arena);
        void *message = neo_arena_calloc(&arena, 1, info->size);
        if (neo_proto_decode(info, wire, message, &arena, NULL) != NEO_OK)
            return 0;
    }
    double each = (now() - start) / n;
    neo_arena_fini(&arena);
    return each;
}

/* The best of several rounds: the least disturbed one. */
static void measure(const char *name, const struct neo_message_info *info, const void *message,
                    int n)
{
    struct neo_buffer wire = {0};
    double encode = 1e12;
    double decode = 1e12;

    if (neo_proto_encode(info, message, &wire, NULL) != NEO_OK)
        return;
    for (int round = 0; round < ROUNDS; round++) {
        double e = time_encode(info, message, n);
        double d = time_decode(info, neo_buffer_bytes(&wire), n);
        encode = e < encode ? e : encode;
        decode = d < decode ? d : decode;
    }
    printf("%-7s %5zu B   encode %8.1f ns   decode %8.1f ns\n", name, wire.len, encode, decode);
    neo_buffer_fini(&wire);
}

int main(void)
{
    struct neo_test_v1_Small small = small_message();
    struct neo_test_v1_Medium medium = medium_message();

    measure("small", &neo_test_v1_Small_info, &small, 1000000);
    measure("medium", &neo_test_v1_Medium_info, &medium, 100000);
    return 0;
}
